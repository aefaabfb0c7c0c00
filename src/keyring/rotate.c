/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "keyring/rotation.h"
#include <string.h>

static bool is_kek(aril_key_purpose purpose)
{
    return purpose == ARIL_KEY_ROOT || purpose == ARIL_KEY_TENANT || purpose == ARIL_KEY_MODEL;
}

/* Signing keys of the authority take no lead: their old version signs until it is retired. */
static uint64_t lead_of(const struct arili_change *ch, const aril_key_slot *slot)
{
    return slot->purpose == ARIL_KEY_AUTHORITY ? 0 : ch->head.policy.lead_s;
}

static aril_status rotate_leaf(aril_keyring *kr, const aril_key_slot *slot, aril_error *error)
{
    ARILI_TRY(arili_authority_only(kr, error));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, 0, &ch, error));
    ARILI_TRY(arili_slot_alive(kr, ch.from, slot, error));
    ARILI_DEFER(arili_made_wipe) struct arili_made made = { .id = { 0 } };
    const uint64_t lead_s = lead_of(&ch, slot);
    ARILI_TRY(arili_key_succeed(&ch, slot, lead_s, &made, error));
    ch.raises = true;
    ARILI_TRY(arili_change_commit(&ch, error));
    const struct arili_key_row said = { .purpose = slot->purpose,
                                        .state = lead_s > 0 ? ARIL_KEY_PENDING : ARIL_KEY_ACTIVE,
                                        .owner = slot->owner };
    return arili_keyring_tell(kr, ARIL_EVENT_KEY, "rotate", ARIL_OK, slot->owner, made.id, &said);
}

aril_status aril_keyring_rotate(aril_keyring *keyring, const aril_key_slot *slot, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(arili_slot_check(slot));
    /* A node with other keys is another node; legacy keys are somebody else's. */
    ARILI_ENSURE(slot->purpose != ARIL_KEY_NODE && slot->purpose != ARIL_KEY_LEGACY,
                 ARIL_E_USAGE_RANGE);
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    bool is_pending = false;
    ARILI_TRY(arili_rotation_pending(keyring, slot, &is_pending, error));
    ARILI_TRY(arili_rotation_finish(keyring, error));
    if (is_pending) {
        return ARIL_OK; /* that was the rotation which is asked for */
    }
    return is_kek(slot->purpose) ? arili_rotation_run(keyring, slot, error)
                                 : rotate_leaf(keyring, slot, error);
}

/* --- Retire -------------------------------------------------------------------------------- */

/* A former root: what it wrapped lives on in backups until its slot is gone. */
static aril_status destroy_slot(aril_keyring *kr, const struct arili_key *key, aril_error *error)
{
    if ((arili_keystore_info(kr->keystore)->capabilities & ARIL_KEYSTORE_DESTROY) == 0) {
        return arili_error_set(error, ARIL_E_UNAVAILABLE,
                               "%s: this keystore cannot destroy what it sealed; backups from the "
                               "time of that root open as long as they and the keystore exist",
                               kr->path);
    }
    return arili_keystore_destroy(kr->keystore, key->said.wrap.data, error);
}

static aril_status retire(struct arili_change *ch, const struct arili_key *key, bool destroy,
                          aril_error *error)
{
    const aril_key_state state =
        arili_slot_state(ch->from, (size_t)(key - ch->from->keys), ch->now_s);
    const aril_key_state next = destroy ? ARIL_KEY_DESTROYED : ARIL_KEY_RETIRED;
    /* An imported key seals nothing, so nothing has to take its place. */
    if ((state == ARIL_KEY_ACTIVE || state == ARIL_KEY_PENDING) &&
        key->said.purpose != ARIL_KEY_LEGACY) {
        return arili_error_set(error, ARIL_E_USAGE_STATE,
                               "%s: the key is %s; rotate it first, then retire the old version",
                               ch->kr->path, aril_key_state_name(state));
    }
    if (state >= next) {
        return ARIL_OK;
    }
    if (key->said.purpose == ARIL_KEY_ROOT) {
        ARILI_TRY(destroy_slot(ch->kr, key, error));
    }
    ARILI_TRY(arili_key_set_state(ch, key, next));
    ch->raises = true;
    ARILI_TRY(arili_change_commit(ch, error));
    struct arili_key_row said = key->said;
    said.state = next;
    return arili_keyring_tell(ch->kr, ARIL_EVENT_KEY, destroy ? "destroy" : "retire", ARIL_OK,
                              said.owner, arili_key_id(key), &said);
}

aril_status arili_keyring_retire_locked(aril_keyring *kr, const uint8_t id[ARIL_KEY_ID_BYTES],
                                        bool destroy, aril_error *error)
{
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, ARILI_CHANGE_ANY_CLOCK, &ch, error));
    const struct arili_key *key = arili_rowset_key(ch.from, id);
    if (key == NULL) {
        return arili_error_set(error, ARIL_E_NOT_FOUND, "%s: there is no key of that id", kr->path);
    }
    if (key->said.purpose != ARIL_KEY_ROOT) {
        ARILI_TRY(arili_authority_only(kr, error));
    }
    return retire(&ch, key, destroy, error);
}

aril_status aril_keyring_retire(aril_keyring *keyring, const uint8_t id[ARIL_KEY_ID_BYTES],
                                int destroy, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && id != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_TRY(arili_rotation_finish(keyring, error));
    return arili_keyring_retire_locked(keyring, id, destroy != 0, error);
}
