/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "keyring/keys.h"
#include <string.h>

/* What the cache asks of a keyring beside the keys that seal and open. */

struct ids {
    uint8_t id[ARILI_LEGACY_PINNED_MAX][ARIL_KEY_ID_BYTES];
    size_t count;
};

static void add_those(const struct arili_rowset *set, size_t first, aril_key_state state,
                      struct ids *ids)
{
    for (size_t i = first; arili_rowset_same_slot(set, first, i); i++) {
        if (set->keys[i].said.state == state && ids->count < ARILI_LEGACY_PINNED_MAX) {
            memcpy(ids->id[ids->count++], arili_key_id(&set->keys[i]), ARIL_KEY_ID_BYTES);
        }
    }
}

/* Versions stand newest first. */
static aril_status choose(aril_keyring *kr, const aril_key_slot *slot, struct ids *ids,
                          aril_error *error)
{
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = arili_keyring_rows(kr);
    size_t first;
    if (set->head.locked) {
        return arili_error_set(error, ARIL_E_KEY_LOCKED,
                               "%s is locked; run 'aril keys unlock', then retry", kr->path);
    }
    if (arili_rowset_slot(set, slot->purpose, slot->owner, slot->label, &first)) {
        add_those(set, first, ARIL_KEY_ACTIVE, ids);
        add_those(set, first, ARIL_KEY_DECRYPT_ONLY, ids);
    }
    return ARIL_OK;
}

/* A key that ended, or that a bundle took away, between the choice and its use. */
static bool is_gone(aril_status st)
{
    return st == ARIL_E_KEY_UNKNOWN || st == ARIL_E_KEY_RETIRED || st == ARIL_E_KEY_DESTROYED;
}

static aril_status pin(aril_keyring *kr, aril_bytes tenant, const struct ids *ids,
                       aril_tenant_key *ret[ARILI_LEGACY_PINNED_MAX], size_t *ret_count,
                       aril_error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < ids->count; i++) {
        aril_tenant_key *key = NULL;
        aril_error why; /* of a key that is gone nobody hears */
        const aril_status st = aril_keyring_key_by_id(kr, tenant, ids->id[i], &key, &why);
        if (st == ARIL_OK) {
            ret[count++] = key;
        } else if (!is_gone(st)) {
            while (count > 0) {
                arili_tenant_key_putp(&ret[--count]);
                ret[count] = NULL;
            }
            return arili_error_set(error, st, "%s", why.message);
        }
    }
    *ret_count = count;
    return ARIL_OK;
}

aril_status arili_keyring_legacy(aril_keyring *kr, aril_bytes tenant, aril_bytes label,
                                 aril_tenant_key *ret[ARILI_LEGACY_PINNED_MAX], size_t *ret_count,
                                 aril_error *error)
{
    const aril_key_slot slot = { .purpose = ARIL_KEY_LEGACY, .owner = tenant, .label = label };
    struct ids ids = { .count = 0 };
    uint64_t now_ns = 0;
    ARILI_TRY(arili_slot_check(&slot));
    ARILI_TRY(arili_keyring_use(kr, &now_ns, error));
    ARILI_TRY(choose(kr, &slot, &ids, error));
    return pin(kr, tenant, &ids, ret, ret_count, error);
}

static bool seals_now(const aril_keyring *kr, const struct arili_rowset *set,
                      const uint8_t id[ARIL_KEY_ID_BYTES])
{
    const struct arili_key *key = arili_rowset_key(set, id);
    uint64_t now = 0;
    if (key == NULL ||
        (key->said.purpose != ARIL_KEY_DATA && key->said.purpose != ARIL_KEY_NAME &&
         key->said.purpose != ARIL_KEY_LEGACY) ||
        arili_keyring_now(kr, &set->head, &now) != ARIL_OK) {
        return false;
    }
    const aril_key_slot slot = { key->said.purpose, key->said.owner, key->said.label };
    return arili_slot_sealing(set, &slot, now) == key;
}

bool arili_tenant_key_is_active(aril_keyring *kr, const aril_tenant_key *key)
{
    if (arili_is_forked(&kr->guard)) {
        return false; /* another thread of the parent may hold the lock for ever */
    }
    pthread_mutex_lock(&kr->quick);
    const bool answer = seals_now(kr, kr->rows, key->id);
    pthread_mutex_unlock(&kr->quick);
    return answer;
}
