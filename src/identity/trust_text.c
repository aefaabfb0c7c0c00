/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/trust_list.h"
#include "base/ensure.h"
#include <string.h>

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(aril_bytes *line)
{
    while (line->len > 0 && is_blank(line->data[0])) {
        line->data++;
        line->len--;
    }
}

/* The next word as a string, and the blanks after it. */
static aril_status take_word(aril_bytes *line, char *ret, size_t cap)
{
    size_t len = 0;
    while (len < line->len && !is_blank(line->data[len])) {
        /* A NUL would cut the string short, and hide what follows. */
        ARILI_ENSURE(line->data[len] != '\0', ARIL_E_FORMAT_FIELD);
        len++;
    }
    ARILI_ENSURE(len < cap, ARIL_E_FORMAT_LENGTH);
    if (len > 0) {
        memcpy(ret, line->data, len);
        line->data += len;
        line->len -= len;
    }
    ret[len] = '\0';
    skip_blanks(line);
    return ARIL_OK;
}

/* The next line without its end (LF or CRLF) and without blanks around it. */
static aril_bytes next_line(aril_bytes *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    aril_bytes line = { rest->data, end != NULL ? (size_t)(end - rest->data) : rest->len };
    const size_t used = end != NULL ? line.len + 1 : line.len;
    rest->data += used;
    rest->len -= used;
    if (end != NULL && line.len > 0 && line.data[line.len - 1] == '\r') {
        line.len--;
    }
    while (line.len > 0 && is_blank(line.data[line.len - 1])) {
        line.len--;
    }
    skip_blanks(&line);
    return line;
}

/* *ret_text holds what would be wrong with the part that is looked at. */
static aril_status apply_line(aril_runtime *rt, struct arili_trust_list *list, aril_bytes line,
                              const char **ret_text)
{
    char word[ARIL_DID_BYTES_MAX];
    struct arili_trust_claim claim = { .revoke = false };
    *ret_text = "is neither \"trust DID NAME\" nor \"revoke DID REASON\"; correct the line";
    ARILI_TRY(take_word(&line, word, sizeof word));
    claim.revoke = strcmp(word, "revoke") == 0;
    ARILI_ENSURE(claim.revoke || strcmp(word, "trust") == 0, ARIL_E_FORMAT_FIELD);

    *ret_text = "has no DID of an ML-DSA-65 or -87 key; copy the DID again";
    ARILI_TRY(take_word(&line, word, sizeof word));
    ARILI_TRY(arili_trust_claim_did(rt, &claim, word));

    *ret_text = "needs a name of 1 to 127 printable ASCII characters; correct the line";
    ARILI_ENSURE(arili_trust_claim_name(&claim, line) == ARIL_OK, ARIL_E_FORMAT_FIELD);

    *ret_text = "trusts a DID a second time; remove the line";
    return arili_trust_list_apply(list, &claim);
}

aril_status arili_trust_list_apply_text(aril_runtime *rt, struct arili_trust_list *list,
                                        aril_bytes text, struct arili_trust_problem *ret_problem)
{
    unsigned number = 0;
    while (text.len > 0) {
        number++;
        const aril_bytes line = next_line(&text);
        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }
        const char *words = NULL;
        const aril_status st = apply_line(rt, list, line, &words);
        if (st != ARIL_OK) {
            const bool in_text = aril_status_class(st) == ARIL_E_FORMAT || st == ARIL_E_EXISTS;
            *ret_problem =
                (struct arili_trust_problem){ .line = number,
                                              .text = in_text ? words : aril_status_text(st) };
            return st;
        }
    }
    return ARIL_OK;
}
