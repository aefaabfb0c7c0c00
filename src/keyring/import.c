/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "keyring/keys.h"
#include <string.h>

#define MASTER_BYTES  32u
#define LMCACHE_LABEL ARILI_LITERAL("lmcache")

static aril_status check_keys(const aril_bytes *keys, size_t count)
{
    ARILI_ENSURE(keys != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(count >= 1 && count <= ARIL_CACHEKIT_KEYS_MAX, ARIL_E_USAGE_RANGE);
    for (size_t i = 0; i < count; i++) {
        ARILI_ENSURE(keys[i].data != NULL, ARIL_E_USAGE_NULL);
        ARILI_ENSURE(keys[i].len == MASTER_BYTES, ARIL_E_USAGE_RANGE);
        for (size_t k = 0; k < i; k++) {
            ARILI_ENSURE(!arili_equal_ct(keys[i].data, keys[k].data, MASTER_BYTES),
                         ARIL_E_USAGE_RANGE);
        }
    }
    return ARIL_OK;
}

/* The oldest comes first, so that versions go up to the current one. */
static aril_status import_one(struct arili_change *ch, const aril_key_slot *slot,
                              struct arili_kek *parent, aril_bytes key, bool current,
                              struct arili_key_row *dates, aril_error *error)
{
    ARILI_DEFER(arili_payload_wipe) struct arili_payload p = { .len = MASTER_BYTES };
    memcpy(p.bytes, key.data, MASTER_BYTES);
    uint8_t id[ARIL_KEY_ID_BYTES];
    ARILI_TRY(arili_payload_id(&ch->kr->rt->crypto, ch->kr->profile, &p, id));
    if (arili_rowset_find(ch->from, ARILI_ROW_KEY, (aril_bytes){ id, sizeof id }) != NULL) {
        return arili_error_set(error, ARIL_E_EXISTS,
                               "%s: one of these keys was imported before; nothing was changed",
                               ch->kr->path);
    }
    const struct arili_making making = { .slot = *slot,
                                         .parent = parent,
                                         .payload = &p,
                                         .dates = dates,
                                         .state =
                                             current ? ARIL_KEY_ACTIVE : ARIL_KEY_DECRYPT_ONLY };
    ARILI_DEFER(arili_made_wipe) struct arili_made made = { .id = { 0 } };
    ARILI_TRY(arili_key_make(ch, &making, &made));
    dates->version++;
    memcpy(dates->predecessor, made.id, sizeof dates->predecessor);
    return ARIL_OK;
}

static aril_status import_all(struct arili_change *ch, const aril_key_slot *slot,
                              const aril_bytes *keys, size_t count, aril_error *error)
{
    const struct arili_key *above = arili_slot_parent(ch->from, slot);
    if (above == NULL) {
        return arili_error_set(error, ARIL_E_NOT_FOUND,
                               "%s: there is no tenant %.*s; create it first", ch->kr->path,
                               (int)slot->owner.len, (const char *)slot->owner.data);
    }
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *parent = NULL;
    ARILI_TRY(arili_keyring_kek(ch->kr, ch->from, arili_key_id(above), &parent, error));
    struct arili_key_row dates = {
        .version = 1, .created_s = ch->now_s, .activates_s = ch->now_s, .changed_s = ch->now_s
    };
    size_t index;
    if (arili_rowset_slot(ch->from, slot->purpose, slot->owner, slot->label, &index)) {
        const struct arili_key *newest = &ch->from->keys[index];
        dates.version = newest->said.version + 1;
        memcpy(dates.predecessor, arili_key_id(newest), sizeof dates.predecessor);
        if (newest->said.state == ARIL_KEY_ACTIVE) {
            ARILI_TRY(arili_key_set_state(ch, newest, ARIL_KEY_DECRYPT_ONLY));
        }
    }
    for (size_t i = count; i > 0; i--) {
        ARILI_TRY(import_one(ch, slot, parent, keys[i - 1], i == 1, &dates, error));
    }
    return ARIL_OK;
}

/* Both imports, with arguments that were checked. */
static aril_status import(aril_keyring *keyring, const aril_key_slot *slot, const aril_bytes *keys,
                          size_t count, aril_error *error)
{
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_TRY(arili_authority_only(keyring, error));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(keyring, 0, &ch, error));
    ARILI_TRY(arili_slot_alive(keyring, ch.from, slot, error));
    ARILI_TRY(import_all(&ch, slot, keys, count, error));
    ARILI_TRY(arili_change_commit(&ch, error));
    return arili_keyring_tell(keyring, ARIL_EVENT_KEY, "import", ARIL_OK, slot->owner, NULL, NULL);
}

aril_status aril_keyring_import_cachekit(aril_keyring *keyring, aril_bytes tenant,
                                         const aril_bytes *keys, size_t count, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL, ARIL_E_USAGE_NULL);
    const aril_key_slot slot = { .purpose = ARIL_KEY_LEGACY, .owner = tenant };
    ARILI_TRY(arili_slot_check(&slot));
    ARILI_TRY(check_keys(keys, count));
    return import(keyring, &slot, keys, count, error);
}

aril_status aril_keyring_import_lmcache(aril_keyring *keyring, aril_bytes tenant, aril_bytes master,
                                        aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && master.data != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(master.len >= ARIL_LMCACHE_MASTER_BYTES_MIN &&
                     master.len <= ARIL_LMCACHE_MASTER_BYTES_MAX,
                 ARIL_E_USAGE_RANGE);
    const aril_key_slot slot = { .purpose = ARIL_KEY_LEGACY,
                                 .owner = tenant,
                                 .label = LMCACHE_LABEL };
    ARILI_TRY(arili_slot_check(&slot));
    ARILI_TRY(arili_runtime_check(keyring->rt));
    /* All that LMCache's HKDF takes of the file; of a length that a key row has. */
    const struct arili_crypto *c = &keyring->rt->crypto;
    ARILI_DEFER(arili_payload_wipe) struct arili_payload prk = { .len = MASTER_BYTES };
    ARILI_TRY(c->ops->hkdf_extract(c->provider, ARILI_SHA256, (aril_bytes){ NULL, 0 }, master,
                                   prk.bytes));
    const aril_bytes key = { prk.bytes, MASTER_BYTES };
    return import(keyring, &slot, &key, 1, error);
}
