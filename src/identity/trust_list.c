/* SPDX-License-Identifier: Apache-2.0 */
#include "identity/trust_list.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "format/did.h"
#include <string.h>

#define CAP_FIRST 16u

void arili_trust_list_done(struct arili_trust_list *list)
{
    arili_free(list->entries, list->cap * sizeof *list->entries);
    arili_free(list->sorted, list->cap * sizeof *list->sorted);
    *list = (struct arili_trust_list){ 0 };
}

aril_status arili_trust_list_copy(const struct arili_trust_list *from, struct arili_trust_list *ret)
{
    size_t cap = from->cap == 0 ? CAP_FIRST : from->cap;
    /* ARIL_TRUST_ENTRIES_MAX bounds the count, and so this. */
    cap = from->count == cap ? 2 * cap : cap;
    ARILI_DEFER(arili_trust_list_done) struct arili_trust_list l = { .cap = cap };
    l.entries = arili_alloc(cap * sizeof *l.entries);
    l.sorted = arili_alloc(cap * sizeof *l.sorted);
    ARILI_ENSURE(l.entries != NULL && l.sorted != NULL, ARIL_E_NOMEM);
    if (from->count > 0) {
        memcpy(l.entries, from->entries, from->count * sizeof *l.entries);
        memcpy(l.sorted, from->sorted, from->count * sizeof *l.sorted);
    }
    l.count = from->count;
    *ret = l;
    l = (struct arili_trust_list){ 0 };
    return ARIL_OK;
}

/* The first place in sorted whose hash is not below; count when all are. */
static size_t place_of(const struct arili_trust_list *l, const struct arili_key_hash *hash)
{
    size_t low = 0;
    size_t high = l->count;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const struct arili_trust_entry *e = &l->entries[l->sorted[mid]];
        /* Hashes of public keys are public. */
        if (memcmp(e->hash.bytes, hash->bytes, sizeof hash->bytes) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static struct arili_trust_entry *entry_at(const struct arili_trust_list *l, size_t place,
                                          const struct arili_key_hash *hash)
{
    if (place == l->count) {
        return NULL;
    }
    struct arili_trust_entry *e = &l->entries[l->sorted[place]];
    return memcmp(e->hash.bytes, hash->bytes, sizeof hash->bytes) == 0 ? e : NULL;
}

const struct arili_trust_entry *arili_trust_list_find(const struct arili_trust_list *list,
                                                      const struct arili_key_hash *hash)
{
    return entry_at(list, place_of(list, hash), hash);
}

static aril_status insert(struct arili_trust_list *l, size_t place,
                          const struct arili_key_hash *hash, struct arili_trust_entry **ret)
{
    ARILI_ENSURE(l->count < ARIL_TRUST_ENTRIES_MAX, ARIL_E_LIMIT);
    if (l->count == l->cap) {
        struct arili_trust_list grown;
        ARILI_TRY(arili_trust_list_copy(l, &grown));
        arili_trust_list_done(l);
        *l = grown;
    }
    memmove(&l->sorted[place + 1], &l->sorted[place], (l->count - place) * sizeof *l->sorted);
    l->sorted[place] = (uint32_t)l->count;
    struct arili_trust_entry *e = &l->entries[l->count++];
    *e = (struct arili_trust_entry){ .hash = *hash };
    *ret = e;
    return ARIL_OK;
}

aril_status arili_trust_claim_name(struct arili_trust_claim *claim, aril_bytes name)
{
    ARILI_ENSURE(name.len < sizeof claim->name && (name.len > 0 || claim->revoke),
                 ARIL_E_USAGE_RANGE);
    for (size_t i = 0; i < name.len; i++) {
        ARILI_ENSURE(name.data[i] >= 0x20 && name.data[i] <= 0x7e, ARIL_E_USAGE_RANGE);
    }
    memset(claim->name, 0, sizeof claim->name);
    if (name.len > 0) {
        memcpy(claim->name, name.data, name.len);
    }
    return ARIL_OK;
}

aril_status arili_trust_claim_did(aril_runtime *rt, struct arili_trust_claim *claim,
                                  const char *did)
{
    struct arili_did parsed;
    ARILI_TRY(arili_did_parse(did, &parsed));
    if (parsed.method == ARIL_DID_KEY) {
        return arili_key_hash(rt, (aril_bytes){ parsed.id, parsed.len }, &claim->hash);
    }
    memcpy(claim->hash.bytes, parsed.id, sizeof claim->hash.bytes);
    return ARIL_OK;
}

aril_status arili_trust_list_apply(struct arili_trust_list *list,
                                   const struct arili_trust_claim *claim)
{
    const size_t place = place_of(list, &claim->hash);
    struct arili_trust_entry *e = entry_at(list, place, &claim->hash);
    ARILI_ENSURE(e == NULL || !e->trusted || claim->revoke, ARIL_E_EXISTS);
    if (e == NULL) {
        ARILI_TRY(insert(list, place, &claim->hash, &e));
    }
    /* The first reason stays, and no name takes its place. */
    if (!e->revoked) {
        memcpy(e->name, claim->name, sizeof e->name);
    }
    e->revoked = e->revoked || claim->revoke;
    e->trusted = e->trusted || !claim->revoke;
    return ARIL_OK;
}
