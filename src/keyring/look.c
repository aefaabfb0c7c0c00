/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "keyring/fleet.h"
#include "keyring/schedule.h"
#include "keyring/shred.h"
#include <string.h>

/* The current rows, after a look at the file. */
static aril_status newest_rows(aril_keyring *kr, struct arili_rowset **ret, aril_error *error)
{
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(kr, &held));
    bool changed;
    ARILI_TRY(arili_keyring_look(kr, &changed, error));
    *ret = arili_keyring_rows(kr);
    return ARIL_OK;
}

static aril_key_info describe(const struct arili_rowset *set, size_t index, uint64_t now_s)
{
    const struct arili_key *key = &set->keys[index];
    aril_key_info info = { .purpose = key->said.purpose,
                           .state = arili_slot_state(set, index, now_s),
                           .due = arili_schedule_due(&key->said, now_s),
                           .version = key->said.version,
                           .owner = key->said.owner,
                           .label = key->said.label,
                           .created_s = key->said.created_s,
                           .activates_s = key->said.activates_s,
                           .rotate_by_s = key->said.rotate_by_s,
                           .not_after_s = key->said.not_after_s,
                           .changed_s = key->said.changed_s,
                           .children = set->children[index] };
    if (info.state != ARIL_KEY_ACTIVE) {
        info.due = ARIL_KEY_NOT_DUE;
    }
    memcpy(info.id, arili_key_id(key), sizeof info.id);
    memcpy(info.parent, key->said.parent, sizeof info.parent);
    memcpy(info.predecessor, key->said.predecessor, sizeof info.predecessor);
    return info;
}

static bool matches(const aril_key_filter *filter, const aril_key_info *said)
{
    if (filter == NULL) {
        return true;
    }
    return (filter->purposes == 0 || (filter->purposes >> said->purpose & 1) != 0) &&
           (filter->states == 0 || (filter->states >> said->state & 1) != 0) &&
           (filter->owner.len == 0 || arili_row_order(0, filter->owner, 0, said->owner) == 0);
}

aril_status aril_keyring_list(aril_keyring *keyring, const aril_key_filter *filter,
                              aril_key_visit_fn *visit, void *user, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && visit != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = NULL;
    ARILI_TRY(newest_rows(keyring, &set, error));
    uint64_t now = 0;
    ARILI_TRY(arili_keyring_now(keyring, &set->head, &now));
    /* Versions are kept newest first; a list goes the other way. */
    for (size_t first = 0; first < set->key_count;) {
        size_t end = first + 1;
        while (arili_rowset_same_slot(set, first, end)) {
            end++;
        }
        for (size_t i = end; i > first; i--) {
            const aril_key_info info = describe(set, i - 1, now);
            if (matches(filter, &info) && visit(user, &info) != 0) {
                return ARIL_OK;
            }
        }
        first = end;
    }
    return ARIL_OK;
}

static void count_keys(const struct arili_rowset *set, uint64_t now_s, aril_keyring_info *info)
{
    for (size_t i = 0; i < set->key_count; i++) {
        const aril_key_info key = describe(set, i, now_s);
        info->keys[key.purpose] += key.state != ARIL_KEY_DESTROYED;
        info->due += key.due == ARIL_KEY_DUE;
        info->overdue += key.due == ARIL_KEY_OVERDUE || key.due == ARIL_KEY_ENDED;
    }
}

static aril_status count_rows(const struct arili_rowset *set, aril_keyring_info *info)
{
    size_t count;
    size_t first = arili_rowset_kind(set, ARILI_ROW_NODE, &count);
    for (size_t i = first; i < first + count; i++) {
        struct arili_node_row node;
        ARILI_TRY(arili_node_row_parse(arili_row_body(set->rows[i]), &node));
        info->nodes += !node.revoked;
        info->nodes_revoked += node.revoked;
    }
    first = arili_rowset_kind(set, ARILI_ROW_BACKUP, &count);
    for (size_t i = first; i < first + count; i++) {
        struct arili_backup_row backup;
        ARILI_TRY(arili_backup_row_parse(arili_row_body(set->rows[i]), &backup));
        info->backups_open += !backup.destroyed;
    }
    first = arili_rowset_kind(set, ARILI_ROW_TOMBSTONE, &count);
    for (size_t i = first; i < first + count; i++) {
        aril_shred_info shred;
        ARILI_TRY(arili_shred_describe(set, set->rows[i], &shred));
        info->shreds_pending +=
            shred.nodes_open > 0 || shred.backups_open > 0 || shred.root_open != 0;
    }
    (void)arili_rowset_kind(set, ARILI_ROW_ROTATION, &count);
    info->rotation_pending = count > 0;
    (void)arili_rowset_kind(set, ARILI_ROW_RECOVERY, &count);
    info->has_recovery = count > 0;
    return ARIL_OK;
}

/* Of the key that signs for this keyring; empty when none is active. */
static aril_status write_did(const aril_keyring *kr, const struct arili_rowset *set, uint64_t now_s,
                             char ret[ARIL_KEYRING_DID_BYTES])
{
    static const aril_key_slot authority = { .purpose = ARIL_KEY_AUTHORITY };
    const struct arili_key *key = arili_slot_sealing(set, &authority, now_s);
    aril_bytes sign = { NULL, 0 };
    aril_bytes kem;
    size_t len;
    if (key != NULL) {
        sign = key->said.public_key;
    } else if (arili_node_key(kr, set, &key, &kem, &sign) != ARIL_OK) {
        return ARIL_OK;
    }
    return aril_did_write(kr->rt, ARIL_DID_PQAID, kr->profile->sign, sign, ret,
                          ARIL_KEYRING_DID_BYTES, &len);
}

aril_status aril_keyring_get_info(aril_keyring *keyring, aril_keyring_info *ret_info,
                                  aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && ret_info != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = NULL;
    ARILI_TRY(newest_rows(keyring, &set, error));
    const struct arili_head *head = &set->head;
    aril_keyring_info info = { .role = head->role,
                               .profile = head->profile,
                               .policy = head->policy,
                               .created_s = head->created_s,
                               .revision = head->revision,
                               .generation = head->generation,
                               .bundle_version = head->bundle_version,
                               .rollback = head->has_counter ? ARIL_ROLLBACK_DETECTED
                                                             : ARIL_ROLLBACK_UNDETECTED,
                               .locked = head->locked };
    memcpy(info.id, head->id, sizeof info.id);
    uint64_t clock = 0;
    ARILI_TRY(keyring->rt->clock.unix_s(keyring->rt->clock.state, &clock));
    info.clock_behind_s = clock < head->clock_s ? head->clock_s - clock : 0;
    const uint64_t now = clock > head->clock_s ? clock : head->clock_s;
    count_keys(set, now, &info);
    ARILI_TRY(write_did(keyring, set, now, info.did));
    ARILI_TRY(count_rows(set, &info));
    ARILI_TRY(aril_keystore_get_info(keyring->keystore, &info.keystore));
    *ret_info = info;
    return ARIL_OK;
}

/* --- Verify -------------------------------------------------------------------------------- */

/* Unwraps one key and compares id and public key. */
static aril_status verify_one(aril_keyring *kr, const struct arili_rowset *set,
                              const struct arili_key *key, aril_error *error)
{
    ARILI_DEFER(arili_payload_wipe) struct arili_payload p = { .len = 0 };
    uint8_t public_key[ARILI_KEY_PUBLIC_BYTES_MAX];
    size_t len;
    ARILI_TRY(arili_keyring_unwrap(kr, set, key, &p, error));
    ARILI_TRY(arili_payload_public(kr->rt, kr->profile, key->said.purpose, &p, public_key, &len));
    if (len != key->said.public_key.len ||
        (len != 0 && memcmp(public_key, key->said.public_key.data, len) != 0)) {
        return arili_error_set(error, ARIL_E_AUTH,
                               "%s: the public key of a %s key is not that of its secret; "
                               "restore a backup (docs/keyring.md)",
                               kr->path, aril_key_purpose_name(key->said.purpose));
    }
    return ARIL_OK;
}

aril_status arili_keyring_verify_set(aril_keyring *kr, const struct arili_rowset *set,
                                     aril_key_verify_fn *visit, void *user, aril_error *error)
{
    aril_status first = ARIL_OK;
    uint64_t now = 0;
    ARILI_TRY(arili_keyring_now(kr, &set->head, &now));
    for (size_t i = 0; i < set->key_count; i++) {
        const struct arili_key *key = &set->keys[i];
        if (key->said.wrap.len == 0 || key->said.purpose == ARIL_KEY_ROOT) {
            continue; /* the root was unsealed to come here */
        }
        const aril_status st = verify_one(kr, set, key, first == ARIL_OK ? error : NULL);
        first = first == ARIL_OK ? st : first;
        const aril_key_info info = describe(set, i, now);
        if (visit != NULL && visit(user, &info, st) != 0) {
            break;
        }
        if (kr->progress != NULL && kr->progress(kr->user, i + 1, set->key_count) != 0) {
            return arili_error_set(error, ARIL_E_INTERRUPTED, "%s: stopped after %zu of %zu keys",
                                   kr->path, i + 1, set->key_count);
        }
    }
    return first;
}

aril_status aril_keyring_verify(aril_keyring *keyring, aril_key_verify_fn *visit, void *user,
                                aril_error *error)
{
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    bool changed;
    ARILI_TRY(arili_keyring_look(keyring, &changed, error));
    if (keyring->rows->head.locked) {
        return arili_error_set(error, ARIL_E_KEY_LOCKED,
                               "%s is locked; run 'aril keys unlock', then retry", keyring->path);
    }
    return arili_keyring_verify_set(keyring, keyring->rows, visit, user, error);
}
