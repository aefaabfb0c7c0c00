/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_credentials_parse, arili_credential_line_parse. Corpus: corpus/credentials/, one
 * password file each.
 * Properties: each line that is taken is written again as the same bytes; a file of those lines
 * alone has the same credentials; a file that is refused names a line that it has; no text is
 * a token or a passphrase in a set that nobody put it into. */
#include "parties.h"
#include "proxy/credential_line.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX ((size_t)1 << 14)
#define PREFIX         "fuzz:"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The lines that are credentials, each as it is written; all of them in the set. */
static size_t write_lines(const struct arili_credentials *c, aril_bytes text, char *ret)
{
    size_t len = 0;
    size_t index = 0;
    uint32_t number = 0;
    for (size_t at = 0; at < text.len;) {
        const uint8_t *const end = memchr(text.data + at, '\n', text.len - at);
        parties_demand(end != NULL);
        const aril_bytes line = { text.data + at, (size_t)(end - text.data) - at };
        at += line.len + 1;
        number++;
        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }
        struct arili_credential_line parsed;
        const char *problem = NULL;
        char again[ARILI_CREDENTIAL_LINE_MAX];
        parties_demand(arili_credential_line_parse(line, &parsed, &problem) == ARIL_OK);
        parties_demand(arili_credential_line_write(&parsed, again) == line.len);
        parties_demand(memcmp(again, line.data, line.len) == 0);
        const struct arili_credential *const one = arili_credentials_at(c, index++);
        parties_demand(one->line == number && strcmp(one->tenant, parsed.tenant) == 0 &&
                       strcmp(one->name, parsed.name) == 0 && one->kind == parsed.kind);
        memcpy(ret + len, again, line.len);
        len += line.len;
        ret[len++] = '\n';
    }
    parties_demand(index == arili_credentials_count(c));
    return len;
}

static void check_again(const struct arili_credentials *c, aril_bytes text)
{
    struct arili_credentials *again = NULL;
    char *const lines = malloc(text.len + 1);
    parties_demand(lines != NULL);
    const size_t len = write_lines(c, text, lines);
    parties_demand(arili_credentials_parse(parties_runtime(), "again",
                                           (aril_bytes){ (const uint8_t *)lines, len }, &again,
                                           NULL) == ARIL_OK);
    parties_demand(arili_credentials_count(again) == arili_credentials_count(c));
    arili_credentials_free(again);
    free(lines);
}

static void check_nobody(const struct arili_credentials *c, aril_bytes text)
{
    static const char token[] = "arilt_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const aril_bytes none = { NULL, 0 };
    char tenant[256];
    parties_demand(arili_token_check(c, none, (aril_bytes){ (const uint8_t *)token, 49 }, tenant) ==
                   ARILI_VERDICT_NO);
    parties_demand(arili_token_check(c, text, text, tenant) != ARILI_VERDICT_YES);
    parties_demand(tenant[0] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > TEXT_BYTES_MAX) {
        return 0;
    }
    struct arili_credentials *c = NULL;
    aril_error error = { .status = ARIL_OK };
    const aril_bytes text = { data, len };
    const aril_status st = arili_credentials_parse(parties_runtime(), "fuzz", text, &c, &error);
    parties_demand((st == ARIL_OK) == (c != NULL));
    if (st == ARIL_OK) {
        check_again(c, text);
        check_nobody(c, text);
    } else {
        unsigned long lines = 1;
        for (size_t i = 0; i < len; i++) {
            lines += data[i] == '\n';
        }
        parties_demand(st == ARIL_E_FORMAT_FIELD && strncmp(error.message, PREFIX, 5) == 0);
        const unsigned long line = strtoul(error.message + 5, NULL, 10);
        parties_demand(line >= 1 && line <= lines);
    }
    arili_credentials_free(c);
    return 0;
}
