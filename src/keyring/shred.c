/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/shred.h"
#include "base/ensure.h"
#include "keyring/fleet.h"
#include "keyring/rotation.h"
#include <string.h>

static bool is_of_tenant(const struct arili_key_row *said, aril_bytes tenant)
{
    return (said->purpose == ARIL_KEY_TENANT || said->purpose == ARIL_KEY_DATA ||
            said->purpose == ARIL_KEY_NAME || said->purpose == ARIL_KEY_LEGACY) &&
           arili_row_order(0, said->owner, 0, tenant) == 0;
}

/* Another process may be rotating: a staged wrap would open the key again, and a rotation whose
 * keys are gone could never end. */
static aril_status stop_rotation(struct arili_change *ch, const struct arili_key *key)
{
    static const enum arili_row_kind kinds[] = { ARILI_ROW_STAGED, ARILI_ROW_ROTATION };
    const aril_bytes id = { arili_key_id(key), ARIL_KEY_ID_BYTES };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (arili_rowset_find(ch->from, (uint8_t)kinds[i], id) != NULL) {
            ARILI_TRY(arili_change_erase(ch, kinds[i], id));
        }
    }
    return ARIL_OK;
}

aril_status arili_shred_keys(struct arili_change *ch, aril_bytes tenant, uint32_t *ret_count)
{
    *ret_count = 0;
    for (size_t i = 0; i < ch->from->key_count; i++) {
        const struct arili_key *key = &ch->from->keys[i];
        if (is_of_tenant(&key->said, tenant) && key->said.state != ARIL_KEY_DESTROYED) {
            ARILI_TRY(arili_key_set_state(ch, key, ARIL_KEY_DESTROYED));
            ARILI_TRY(stop_rotation(ch, key));
            ++*ret_count;
        }
    }
    return ARIL_OK;
}

/* --- What is left to do -------------------------------------------------------------------- */

static aril_status count_nodes(const struct arili_rowset *set, aril_bytes tenant,
                               uint64_t bundle_version, uint32_t *ret)
{
    size_t count;
    const size_t first = arili_rowset_kind(set, ARILI_ROW_NODE, &count);
    for (size_t i = first; i < first + count; i++) {
        struct arili_node_row node;
        ARILI_TRY(arili_node_row_parse(arili_row_body(set->rows[i]), &node));
        *ret += !node.revoked && node.confirmed_version < bundle_version &&
                arili_node_serves(&node, tenant);
    }
    return ARIL_OK;
}

static aril_status count_backups(const struct arili_rowset *set, uint64_t generation, uint32_t *ret)
{
    size_t count;
    const size_t first = arili_rowset_kind(set, ARILI_ROW_BACKUP, &count);
    for (size_t i = first; i < first + count; i++) {
        struct arili_backup_row backup;
        ARILI_TRY(arili_backup_row_parse(arili_row_body(set->rows[i]), &backup));
        *ret += !backup.destroyed && backup.generation < generation;
    }
    return ARIL_OK;
}

aril_status arili_shred_describe(const struct arili_rowset *set, const struct arili_row *tombstone,
                                 aril_shred_info *ret)
{
    struct arili_tombstone_row said;
    ARILI_TRY(arili_tombstone_row_parse(arili_row_body(tombstone), &said));
    aril_shred_info info = { .tenant = arili_row_id(tombstone),
                             .shredded_s = said.time_s,
                             .generation = said.generation,
                             .keys = said.keys };
    if (set->head.role == ARIL_KEYRING_AUTHORITY) {
        ARILI_TRY(count_nodes(set, info.tenant, said.bundle_version, &info.nodes_open));
        ARILI_TRY(count_backups(set, said.generation, &info.backups_open));
        const struct arili_key *root = arili_rowset_key(set, said.root);
        info.root_open = root != NULL && root->said.state != ARIL_KEY_DESTROYED;
    }
    *ret = info;
    return ARIL_OK;
}

aril_status aril_keyring_shreds(aril_keyring *keyring, aril_shred_visit_fn *visit, void *user,
                                aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && visit != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(aril_keyring_refresh(keyring, NULL, error));
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = arili_keyring_rows(keyring);
    size_t count;
    const size_t first = arili_rowset_kind(set, ARILI_ROW_TOMBSTONE, &count);
    for (size_t i = first; i < first + count; i++) {
        aril_shred_info info;
        ARILI_TRY(arili_shred_describe(set, set->rows[i], &info));
        if (visit(user, &info) != 0) {
            break;
        }
    }
    return ARIL_OK;
}

/* --- Shred --------------------------------------------------------------------------------- */

static aril_status put_tombstone(struct arili_change *ch, aril_bytes tenant, uint32_t keys)
{
    uint8_t body[64 + ARIL_KEY_ID_BYTES];
    size_t len;
    struct arili_tombstone_row row = { .time_s = ch->now_s,
                                       .generation = ch->head.generation + 1,
                                       .bundle_version = ch->head.bundle_version + 1,
                                       .keys = keys };
    memcpy(row.root, ch->head.root, sizeof row.root);
    ARILI_TRY(arili_tombstone_row_write(&row, body, sizeof body, &len));
    return arili_change_put(ch, ARILI_ROW_TOMBSTONE, tenant, (aril_bytes){ body, len });
}

/* The tombstone, unless it stands already. */
static aril_status bury(aril_keyring *kr, aril_bytes tenant, aril_error *error)
{
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, 0, &ch, error));
    if (arili_rowset_find(ch.from, ARILI_ROW_TOMBSTONE, tenant) != NULL) {
        return ARIL_OK;
    }
    /* A model may have the name, and data keys of that name: they are none of a tenant's. */
    size_t index;
    if (!arili_rowset_slot(ch.from, ARIL_KEY_TENANT, tenant, (aril_bytes){ NULL, 0 }, &index)) {
        return arili_error_set(error, ARIL_E_NOT_FOUND, "%s: there is no tenant %.*s", kr->path,
                               (int)tenant.len, (const char *)tenant.data);
    }
    uint32_t keys;
    ARILI_TRY(arili_shred_keys(&ch, tenant, &keys));
    ARILI_TRY(put_tombstone(&ch, tenant, keys));
    ch.raises = true;
    /* Before the commit, which may fail when all is written: nobody unwraps one meanwhile. */
    arili_keyring_forget_secrets(kr);
    ARILI_TRY(arili_change_commit(&ch, error));
    return arili_keyring_tell(kr, ARIL_EVENT_KEY, "shred", ARIL_OK, tenant, NULL, NULL);
}

/* Old wraps in backups die with the root of their time, so there is a new one from here on. */
static aril_status renew_root(aril_keyring *kr, aril_bytes tenant, aril_error *error)
{
    static const aril_key_slot root = { .purpose = ARIL_KEY_ROOT };
    struct arili_tombstone_row said;
    const struct arili_row *row = arili_rowset_find(kr->rows, ARILI_ROW_TOMBSTONE, tenant);
    ARILI_ENSURE(row != NULL, ARIL_E_NOT_FOUND);
    ARILI_TRY(arili_tombstone_row_parse(arili_row_body(row), &said));
    if (memcmp(said.root, kr->rows->head.root, sizeof said.root) != 0) {
        return ARIL_OK;
    }
    return arili_rotation_run(kr, &root, error);
}

static aril_status destroy_roots(aril_keyring *kr, aril_error *error)
{
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = arili_keyring_rows(kr);
    for (size_t i = 0; i < set->key_count; i++) {
        const struct arili_key_row *said = &set->keys[i].said;
        if (said->purpose == ARIL_KEY_ROOT && said->state == ARIL_KEY_RETIRED) {
            ARILI_TRY(arili_keyring_retire_locked(kr, arili_key_id(&set->keys[i]), true, error));
        }
    }
    return ARIL_OK;
}

aril_status aril_keyring_shred(aril_keyring *keyring, aril_bytes tenant, int destroy_root,
                               aril_shred_info *ret_info, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL, ARIL_E_USAGE_NULL);
    const aril_key_slot slot = { .purpose = ARIL_KEY_TENANT, .owner = tenant };
    ARILI_TRY(arili_slot_check(&slot));
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_TRY(arili_authority_only(keyring, error));
    ARILI_TRY(arili_rotation_finish(keyring, error));
    ARILI_TRY(bury(keyring, tenant, error));
    ARILI_TRY(renew_root(keyring, tenant, error));
    const aril_status st = destroy_root ? destroy_roots(keyring, error) : ARIL_OK;
    if (ret_info != NULL) {
        ARILI_TRY(arili_shred_describe(
            keyring->rows, arili_rowset_find(keyring->rows, ARILI_ROW_TOMBSTONE, tenant),
            ret_info));
        ret_info->tenant = (aril_bytes){ NULL, 0 };
    }
    return st;
}
