/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/keys.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "keyring/schedule.h"
#include <stdio.h>
#include <string.h>

/* --- Slots --------------------------------------------------------------------------------- */

static bool has_nul(aril_bytes b)
{
    return b.len > 0 && memchr(b.data, 0, b.len) != NULL;
}

static bool is_printable(aril_bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        if (b.data[i] < 0x20 || b.data[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

aril_status arili_slot_check(const aril_key_slot *slot)
{
    ARILI_ENSURE(slot != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(slot->owner.data != NULL || slot->owner.len == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(slot->label.data != NULL || slot->label.len == 0, ARIL_E_USAGE_NULL);
    const aril_key_purpose p = slot->purpose;
    ARILI_ENSURE(p >= ARIL_KEY_ROOT && p <= ARIL_KEY_LEGACY, ARIL_E_USAGE_RANGE);
    const bool nameless = p == ARIL_KEY_ROOT || p == ARIL_KEY_AUTHORITY;
    ARILI_ENSURE(nameless == (slot->owner.len == 0), ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(slot->owner.len <= ARIL_KEY_OWNER_BYTES_MAX && !has_nul(slot->owner),
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(slot->label.len == 0 || p == ARIL_KEY_DATA || p == ARIL_KEY_NAME ||
                     p == ARIL_KEY_LEGACY,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(slot->label.len <= ARIL_KEY_LABEL_BYTES_MAX && is_printable(slot->label),
                 ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

const char *arili_slot_text(const aril_key_slot *slot, char ret[ARILI_SLOT_TEXT_BYTES])
{
    (void)snprintf(ret, ARILI_SLOT_TEXT_BYTES, "%s key%s%.*s%s%.*s",
                   aril_key_purpose_name(slot->purpose), slot->owner.len > 0 ? " of " : "",
                   (int)(slot->owner.len < 100 ? slot->owner.len : 100),
                   slot->owner.len > 0 ? (const char *)slot->owner.data : "",
                   slot->label.len > 0 ? ", label " : "", (int)slot->label.len,
                   slot->label.len > 0 ? (const char *)slot->label.data : "");
    return ret;
}

static bool is_tenants(aril_key_purpose purpose)
{
    return purpose == ARIL_KEY_TENANT || purpose == ARIL_KEY_DATA || purpose == ARIL_KEY_NAME ||
           purpose == ARIL_KEY_LEGACY;
}

aril_status arili_slot_alive(const aril_keyring *kr, const struct arili_rowset *set,
                             const aril_key_slot *slot, aril_error *error)
{
    if (is_tenants(slot->purpose) &&
        arili_rowset_find(set, ARILI_ROW_TOMBSTONE, slot->owner) != NULL) {
        return arili_error_set(error, ARIL_E_KEY_DESTROYED,
                               "%s: tenant %.*s was shredded; its id is not used again", kr->path,
                               (int)slot->owner.len, (const char *)slot->owner.data);
    }
    return ARIL_OK;
}

const struct arili_key *arili_slot_active(const struct arili_rowset *set, const aril_key_slot *slot)
{
    size_t first;
    if (!arili_rowset_slot(set, slot->purpose, slot->owner, slot->label, &first)) {
        return NULL;
    }
    for (size_t i = first; arili_rowset_same_slot(set, first, i); i++) {
        if (set->keys[i].said.state == ARIL_KEY_ACTIVE) {
            return &set->keys[i];
        }
    }
    return NULL;
}

const struct arili_key *arili_slot_sealing(const struct arili_rowset *set,
                                           const aril_key_slot *slot, uint64_t now_s)
{
    size_t first;
    if (!arili_rowset_slot(set, slot->purpose, slot->owner, slot->label, &first)) {
        return NULL;
    }
    for (size_t i = first; arili_rowset_same_slot(set, first, i); i++) {
        if (arili_schedule_is_active(&set->keys[i].said, now_s)) {
            return &set->keys[i];
        }
    }
    return NULL;
}

aril_key_state arili_slot_state(const struct arili_rowset *set, size_t index, uint64_t now_s)
{
    const struct arili_key_row *said = &set->keys[index].said;
    if (said->state > ARIL_KEY_ACTIVE || said->purpose == ARIL_KEY_ROOT ||
        said->purpose == ARIL_KEY_TENANT || said->purpose == ARIL_KEY_MODEL) {
        return said->state;
    }
    for (size_t i = index; i > 0 && arili_rowset_same_slot(set, index, i - 1); i--) {
        if (arili_schedule_is_active(&set->keys[i - 1].said, now_s)) {
            return ARIL_KEY_DECRYPT_ONLY;
        }
    }
    return arili_schedule_is_active(said, now_s) ? ARIL_KEY_ACTIVE : ARIL_KEY_PENDING;
}

const struct arili_key *arili_slot_parent(const struct arili_rowset *set, const aril_key_slot *slot)
{
    static const aril_key_purpose keks[] = { ARIL_KEY_TENANT, ARIL_KEY_MODEL };
    if (!(slot->purpose == ARIL_KEY_DATA || slot->purpose == ARIL_KEY_NAME ||
          slot->purpose == ARIL_KEY_LEGACY)) {
        return arili_rowset_key(set, set->head.root);
    }
    for (size_t i = 0; i < sizeof keks / sizeof keks[0]; i++) {
        const aril_key_slot above = { .purpose = keks[i], .owner = slot->owner };
        const struct arili_key *parent = arili_slot_active(set, &above);
        if (parent != NULL) {
            return parent;
        }
    }
    return NULL;
}

aril_status arili_authority_only(const aril_keyring *kr, aril_error *error)
{
    if (kr->rows->head.role != ARIL_KEYRING_AUTHORITY) {
        return arili_error_set(error, ARIL_E_USAGE_STATE,
                               "%s is the keyring of a node; do this at the authority", kr->path);
    }
    return ARIL_OK;
}

aril_status arili_node_only(const aril_keyring *kr, aril_error *error)
{
    if (kr->rows->head.role != ARIL_KEYRING_NODE) {
        return arili_error_set(error, ARIL_E_USAGE_STATE,
                               "%s is the keyring of an authority; do this on a node", kr->path);
    }
    return ARIL_OK;
}

/* --- Making -------------------------------------------------------------------------------- */

void arili_made_wipe(struct arili_made *made)
{
    arili_wipe(made, sizeof *made);
}

static void fill_fields(const struct arili_change *ch, const struct arili_making *m,
                        struct arili_key_row *said)
{
    said->purpose = m->slot.purpose;
    said->state = m->state != 0 ? m->state : ARIL_KEY_ACTIVE;
    said->profile = ch->head.profile;
    said->version = 1;
    said->owner = m->slot.owner;
    said->label = m->slot.label;
    if (m->predecessor != NULL) {
        said->version = m->predecessor->said.version + 1;
        memcpy(said->predecessor, arili_key_id(m->predecessor), sizeof said->predecessor);
    }
    arili_schedule_dates(&ch->head.policy, ch->now_s, ch->now_s + m->wait_s, said);
    if (m->parent != NULL) {
        memcpy(said->parent, m->parent->id, sizeof said->parent);
    }
    if (m->dates != NULL) {
        said->version = m->dates->version;
        said->created_s = m->dates->created_s;
        said->activates_s = m->dates->activates_s;
        said->rotate_by_s = m->dates->rotate_by_s;
        said->not_after_s = m->dates->not_after_s;
        said->changed_s = m->dates->changed_s;
        memcpy(said->predecessor, m->dates->predecessor, sizeof said->predecessor);
    }
}

/* Room for what a row borrows while it is written. */
struct made_room {
    uint8_t public_key[ARILI_KEY_PUBLIC_BYTES_MAX];
    uint8_t wrap[ARILI_WRAP_BYTES_MAX];
};

static aril_status make(struct arili_change *ch, const struct arili_making *m,
                        struct arili_made *ret)
{
    aril_runtime *rt = ch->kr->rt;
    const struct arili_profile *profile = ch->kr->profile;
    const aril_key_purpose purpose = m->slot.purpose;
    if (m->payload != NULL) {
        ret->payload = *m->payload;
    } else {
        ARILI_TRY(arili_payload_draw(&rt->crypto, profile, purpose, &ret->payload));
    }
    ARILI_TRY(arili_payload_id(&rt->crypto, profile, &ret->payload, ret->id));
    struct made_room room;
    struct arili_key_row said = { .version = 0 };
    fill_fields(ch, m, &said);
    ARILI_TRY(arili_payload_public(rt, profile, purpose, &ret->payload, room.public_key,
                                   &said.public_key.len));
    said.public_key.data = room.public_key;
    said.wrap = (aril_bytes){ m->slot_in_keystore, ARILI_KEYRING_SLOT_BYTES };
    if (m->parent != NULL) {
        ARILI_TRY(arili_wrap(m->parent, ch->kr->id, ret->id, &said, &ret->payload, room.wrap,
                             &said.wrap.len));
        said.wrap.data = room.wrap;
    }
    return arili_change_put_key(ch, ret->id, &said);
}

aril_status arili_key_make(struct arili_change *ch, const struct arili_making *making,
                           struct arili_made *ret)
{
    const aril_status st = make(ch, making, ret);
    if (st != ARIL_OK) {
        arili_made_wipe(ret);
    }
    return st;
}

aril_status arili_key_set_state(struct arili_change *ch, const struct arili_key *key,
                                aril_key_state state)
{
    struct arili_key_row said = key->said;
    said.state = state;
    said.changed_s = ch->now_s;
    if (state == ARIL_KEY_DESTROYED) {
        said.wrap = (aril_bytes){ NULL, 0 };
    }
    return arili_change_put_key(ch, arili_key_id(key), &said);
}

/* What the older versions are from now on. */
static aril_status settle_older(struct arili_change *ch, size_t first, bool new_seals)
{
    const struct arili_rowset *set = ch->from;
    bool sealing_seen = new_seals;
    for (size_t i = first; arili_rowset_same_slot(set, first, i); i++) {
        const struct arili_key *key = &set->keys[i];
        if (key->said.state > ARIL_KEY_ACTIVE) {
            continue;
        }
        const bool seals = !sealing_seen && arili_schedule_is_active(&key->said, ch->now_s);
        const aril_key_state next = seals ? ARIL_KEY_ACTIVE : ARIL_KEY_DECRYPT_ONLY;
        sealing_seen = sealing_seen || seals;
        if (key->said.state != next) {
            ARILI_TRY(arili_key_set_state(ch, key, next));
        }
    }
    return ARIL_OK;
}

aril_status arili_key_succeed(struct arili_change *ch, const aril_key_slot *slot, uint64_t lead_s,
                              struct arili_made *ret, aril_error *error)
{
    size_t first;
    const struct arili_key *above = arili_slot_parent(ch->from, slot);
    if (above == NULL || arili_slot_sealing(ch->from, slot, ch->now_s) == NULL ||
        !arili_rowset_slot(ch->from, slot->purpose, slot->owner, slot->label, &first)) {
        char text[ARILI_SLOT_TEXT_BYTES];
        return arili_error_set(error, ARIL_E_NOT_FOUND, "%s: there is no active %s", ch->kr->path,
                               arili_slot_text(slot, text));
    }
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *parent = NULL;
    ARILI_TRY(arili_keyring_kek(ch->kr, ch->from, arili_key_id(above), &parent, error));
    const struct arili_making making = { .slot = *slot,
                                         .parent = parent,
                                         .predecessor = &ch->from->keys[first],
                                         .wait_s = lead_s,
                                         .state = lead_s > 0 ? ARIL_KEY_PENDING : ARIL_KEY_ACTIVE };
    ARILI_TRY(arili_key_make(ch, &making, ret));
    return settle_older(ch, first, lead_s == 0);
}
