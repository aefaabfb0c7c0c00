/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: arili_trust_list_apply_text, arili_trust_list_find. Corpus: corpus/trust/, one
 * trust list a file.
 * Properties: a list that was read, written out and read again is the same list; names are
 * printable and short; reading it a second time changes nothing that was trusted or revoked;
 * a text that fails names a line that it has. */
#include "identity/trust_list.h"
#include "parties.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES_MAX ((size_t)1 << 14)
/* "revoke did:pqaid:<64> <127>\n" and the same for trust. */
#define ENTRY_BYTES_MAX 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_entry(const struct arili_trust_list *list, const struct arili_trust_entry *e)
{
    const size_t len = strnlen(e->name, sizeof e->name);
    parties_demand(len <= ARIL_TRUST_NAME_BYTES_MAX && (len > 0 || e->revoked));
    parties_demand(e->trusted || e->revoked);
    for (size_t i = 0; i < len; i++) {
        parties_demand(e->name[i] >= 0x20 && e->name[i] <= 0x7e);
    }
    parties_demand(arili_trust_list_find(list, &e->hash) == e);
}

static size_t write_entry(const struct arili_trust_entry *e, char *ret, size_t cap)
{
    char did[80] = "did:pqaid:";
    for (size_t i = 0; i < sizeof e->hash.bytes; i++) {
        (void)snprintf(did + 10 + 2 * i, 3, "%02x", e->hash.bytes[i]);
    }
    size_t len = 0;
    if (e->revoked) {
        len += (size_t)snprintf(ret, cap, "revoke %s %s\n", did, e->name);
    }
    if (e->trusted) {
        len += (size_t)snprintf(ret + len, cap - len, "trust %s %s\n", did,
                                e->revoked ? "someone" : e->name);
    }
    return len;
}

static void check_again(const struct arili_trust_list *list)
{
    const size_t cap = list->count * ENTRY_BYTES_MAX + 1;
    char *text = malloc(cap);
    parties_demand(text != NULL);
    size_t len = 0;
    for (size_t i = 0; i < list->count && text != NULL; i++) {
        len += write_entry(&list->entries[i], text + len, cap - len);
    }
    struct arili_trust_list again = { 0 };
    struct arili_trust_problem problem = { 0 };
    parties_demand(arili_trust_list_apply_text(parties_runtime(), &again,
                                               (aril_bytes){ (const uint8_t *)text, len },
                                               &problem) == ARIL_OK);
    parties_demand(again.count == list->count);
    for (size_t i = 0; i < list->count; i++) {
        const struct arili_trust_entry *a = &list->entries[i];
        const struct arili_trust_entry *b = arili_trust_list_find(&again, &a->hash);
        parties_demand(b != NULL && a->trusted == b->trusted && a->revoked == b->revoked);
        parties_demand(b != NULL && strcmp(a->name, b->name) == 0);
    }
    arili_trust_list_done(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > TEXT_BYTES_MAX) {
        return 0;
    }
    struct arili_trust_list list = { 0 };
    struct arili_trust_problem problem = { 0 };
    const aril_bytes text = { data, len };
    const aril_status st = arili_trust_list_apply_text(parties_runtime(), &list, text, &problem);
    int trusts = 0;
    for (size_t i = 0; i < list.count; i++) {
        check_entry(&list, &list.entries[i]);
        trusts = trusts || list.entries[i].trusted;
    }
    if (st == ARIL_OK) {
        check_again(&list);
        const size_t count = list.count;
        const aril_status second =
            arili_trust_list_apply_text(parties_runtime(), &list, text, &problem);
        parties_demand(second == (trusts ? ARIL_E_EXISTS : ARIL_OK));
        parties_demand(list.count == count);
    } else {
        unsigned lines = 1;
        for (size_t i = 0; i < len; i++) {
            lines += data[i] == '\n';
        }
        parties_demand(problem.line >= 1 && problem.line <= lines && problem.text != NULL);
    }
    arili_trust_list_done(&list);
    return 0;
}
