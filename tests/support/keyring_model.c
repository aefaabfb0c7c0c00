/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring_model_internal.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S UINT64_C(86400)

const struct km_slot kmi_root_slot = { ARIL_KEY_ROOT, "", "" };
const struct km_slot kmi_authority_slot = { ARIL_KEY_AUTHORITY, "", "" };

bool kmi_is_kek(aril_key_purpose p)
{
    return p == ARIL_KEY_ROOT || p == ARIL_KEY_TENANT || p == ARIL_KEY_MODEL;
}

bool kmi_is_wrapped_by_owner(aril_key_purpose p)
{
    return p == ARIL_KEY_DATA || p == ARIL_KEY_NAME || p == ARIL_KEY_LEGACY;
}

bool kmi_is_tenants(aril_key_purpose p)
{
    return p == ARIL_KEY_TENANT || kmi_is_wrapped_by_owner(p);
}

void kmi_name_set(char ret[KM_NAME_BYTES], const char *name)
{
    assert_in_range(strlen(name), 0, KM_NAME_BYTES - 1);
    (void)snprintf(ret, KM_NAME_BYTES, "%s", name);
}

/* --- States -------------------------------------------------------------------------------- */

void km_copy(struct km_ring *ret, const struct km_ring *from)
{
    memcpy(ret, from, offsetof(struct km_ring, keys) + from->count * sizeof from->keys[0]);
}

struct km_ring *kmi_copy_new(const struct km_ring *from)
{
    struct km_ring *ret = malloc(sizeof *ret);
    assert_non_null(ret);
    km_copy(ret, from);
    return ret;
}

void km_plan_init(struct km_plan *p, const struct km_ring *from, uint64_t unix_s)
{
    *p = (struct km_plan){ .unix_s = unix_s, .count = 1 };
    p->states[0] = kmi_copy_new(from);
}

void km_plan_done(struct km_plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->states[i]);
    }
    p->count = 0;
}

const struct km_ring *kmi_newest(const struct km_plan *p)
{
    return p->states[p->count - 1];
}

uint64_t km_now(const struct km_ring *r, uint64_t unix_s)
{
    return unix_s > r->clock_s ? unix_s : r->clock_s;
}

/* One change of the file. */
struct km_ring *kmi_change(struct km_plan *p, bool must_not_be_undone)
{
    assert_in_range(p->count, 1, KM_STATES_MAX - 1);
    struct km_ring *next = kmi_copy_new(kmi_newest(p));
    p->states[p->count++] = next;
    next->revision++;
    next->generation += must_not_be_undone;
    next->clock_s = km_now(next, p->unix_s);
    return next;
}

aril_status kmi_may_change(const struct km_plan *p, unsigned flags)
{
    const struct km_ring *r = kmi_newest(p);
    if (r->locked && (flags & KMI_LOCKED_TOO) == 0) {
        return ARIL_E_KEY_LOCKED;
    }
    const bool behind = p->unix_s + KM_CLOCK_BACK_S < r->clock_s;
    return behind && (flags & KMI_ANY_CLOCK) == 0 ? ARIL_E_CLOCK : ARIL_OK;
}

/* --- Keys ---------------------------------------------------------------------------------- */

int kmi_order(const struct km_key *a, const struct km_key *b)
{
    int o = (a->purpose > b->purpose) - (a->purpose < b->purpose);
    o = o != 0 ? o : strcmp(a->owner, b->owner);
    o = o != 0 ? o : strcmp(a->label, b->label);
    return o != 0 ? o : (a->version > b->version) - (a->version < b->version);
}

bool kmi_in_slot(const struct km_key *k, const struct km_slot *slot)
{
    return k->purpose == slot->purpose && strcmp(k->owner, slot->owner) == 0 &&
           strcmp(k->label, slot->label) == 0;
}

struct km_slot kmi_slot_of_key(const struct km_key *k)
{
    return (struct km_slot){ k->purpose, k->owner, k->label };
}

struct km_key *kmi_insert(struct km_ring *r, const struct km_key *k)
{
    assert_in_range(r->count, 0, KM_KEYS_MAX - 1);
    size_t at = r->count;
    while (at > 0 && kmi_order(k, &r->keys[at - 1]) < 0) {
        at--;
    }
    memmove(&r->keys[at + 1], &r->keys[at], (r->count - at) * sizeof *k);
    r->keys[at] = *k;
    r->count++;
    return &r->keys[at];
}

void kmi_erase(struct km_ring *r, size_t at)
{
    r->count--;
    memmove(&r->keys[at], &r->keys[at + 1], (r->count - at) * sizeof r->keys[0]);
}

struct km_key *kmi_slot_in_state(struct km_ring *r, const struct km_slot *slot,
                                 aril_key_state state)
{
    for (size_t i = 0; i < r->count; i++) {
        if (kmi_in_slot(&r->keys[i], slot) && r->keys[i].state == state) {
            return &r->keys[i];
        }
    }
    return NULL;
}

const struct km_key *kmi_newest_version(const struct km_ring *r, const struct km_slot *slot)
{
    const struct km_key *found = NULL;
    for (size_t i = 0; i < r->count; i++) {
        found = kmi_in_slot(&r->keys[i], slot) ? &r->keys[i] : found;
    }
    return found;
}

static bool has_come(const struct km_key *k, uint64_t now_s)
{
    return k->state <= ARIL_KEY_ACTIVE && k->activates_s <= now_s;
}

const struct km_key *kmi_seals_at(const struct km_ring *r, const struct km_slot *slot,
                                  uint64_t now_s)
{
    const struct km_key *found = NULL;
    for (size_t i = 0; i < r->count; i++) {
        if (kmi_in_slot(&r->keys[i], slot) && has_come(&r->keys[i], now_s)) {
            found = &r->keys[i];
        }
    }
    return found;
}

aril_key_state km_state(const struct km_ring *r, size_t key, uint64_t now_s)
{
    const struct km_key *k = &r->keys[key];
    if (kmi_is_kek(k->purpose) || k->state > ARIL_KEY_ACTIVE) {
        return k->state;
    }
    const struct km_slot slot = kmi_slot_of_key(k);
    const struct km_key *seals = kmi_seals_at(r, &slot, now_s);
    if (seals == k) {
        return ARIL_KEY_ACTIVE;
    }
    return seals != NULL && seals->version > k->version ? ARIL_KEY_DECRYPT_ONLY : ARIL_KEY_PENDING;
}

bool km_is_buried(const struct km_ring *r, const char *tenant)
{
    for (size_t i = 0; i < r->tomb_count; i++) {
        if (strcmp(r->tombs[i].tenant, tenant) == 0) {
            return true;
        }
    }
    return false;
}

const struct km_key *kmi_kek_of(const struct km_ring *r, const char *owner)
{
    const struct km_slot tenant = { ARIL_KEY_TENANT, owner, "" };
    const struct km_slot model = { ARIL_KEY_MODEL, owner, "" };
    const struct km_key *k = kmi_slot_in_state((struct km_ring *)r, &tenant, ARIL_KEY_ACTIVE);
    return k != NULL ? k : kmi_slot_in_state((struct km_ring *)r, &model, ARIL_KEY_ACTIVE);
}

size_t km_parent(const struct km_ring *r, size_t key)
{
    const aril_key_purpose p = r->keys[key].purpose;
    if (p == ARIL_KEY_ROOT) {
        return r->count;
    }
    const struct km_key *k =
        kmi_is_wrapped_by_owner(p)
            ? kmi_kek_of(r, r->keys[key].owner)
            : kmi_slot_in_state((struct km_ring *)r, &kmi_root_slot, ARIL_KEY_ACTIVE);
    assert_non_null(k);
    return (size_t)(k - r->keys);
}

static void set_dates(const struct km_ring *r, struct km_key *k, uint64_t now_s, uint64_t wait_s)
{
    const aril_key_policy *p = &r->policy;
    const uint32_t days[ARIL_KEY_PURPOSES] = {
        [ARIL_KEY_ROOT] = p->root_days, [ARIL_KEY_AUTHORITY] = p->root_days,
        [ARIL_KEY_NODE] = p->root_days, [ARIL_KEY_TENANT] = p->tenant_days,
        [ARIL_KEY_DATA] = p->data_days, [ARIL_KEY_API] = p->api_days
    };
    const uint64_t period_s = days[k->purpose] * DAY_S;
    k->created_s = now_s;
    k->activates_s = now_s + wait_s;
    k->rotate_by_s = period_s > 0 ? k->activates_s + period_s : 0;
    k->not_after_s = period_s > 0 ? k->activates_s + 2 * period_s : 0;
}

struct km_key *kmi_make(struct km_ring *r, const struct km_slot *slot, aril_key_state state,
                        uint64_t wait_s)
{
    const struct km_key *before = kmi_newest_version(r, slot);
    struct km_key k = { .purpose = slot->purpose,
                        .state = state,
                        .version = before != NULL ? before->version + 1 : 1 };
    kmi_name_set(k.owner, slot->owner);
    kmi_name_set(k.label, slot->label);
    set_dates(r, &k, r->clock_s, wait_s);
    return kmi_insert(r, &k);
}

void km_init(struct km_ring *r, aril_keyring_role role, const aril_key_policy *policy,
             uint64_t unix_s, const char *node_name, uint32_t signer)
{
    memset(r, 0, offsetof(struct km_ring, keys));
    r->role = role;
    r->policy = *policy;
    r->clock_s = unix_s;
    (void)kmi_make(r, &kmi_root_slot, ARIL_KEY_ACTIVE, 0);
    if (role == ARIL_KEYRING_NODE) {
        const struct km_slot node = { ARIL_KEY_NODE, node_name, "" };
        (void)kmi_make(r, &node, ARIL_KEY_ACTIVE, 0);
        r->known[signer] = true;
    } else {
        (void)kmi_make(r, &kmi_authority_slot, ARIL_KEY_ACTIVE, 0);
    }
}

/* --- Using --------------------------------------------------------------------------------- */

aril_status km_sealing(const struct km_ring *r, const struct km_slot *slot, uint64_t unix_s,
                       size_t *ret)
{
    if (r->locked) {
        return ARIL_E_KEY_LOCKED;
    }
    const uint64_t now = km_now(r, unix_s);
    const struct km_key *k = kmi_seals_at(r, slot, now);
    if (k == NULL) {
        if (kmi_is_tenants(slot->purpose) && km_is_buried(r, slot->owner)) {
            return ARIL_E_KEY_DESTROYED;
        }
        return kmi_newest_version(r, slot) != NULL ? ARIL_E_KEY_INACTIVE : ARIL_E_NOT_FOUND;
    }
    if ((k->not_after_s != 0 && now >= k->not_after_s) ||
        (k->rotate_by_s != 0 && now >= k->rotate_by_s && r->policy.overdue_refuses)) {
        return ARIL_E_KEY_OVERDUE;
    }
    *ret = (size_t)(k - r->keys);
    return ARIL_OK;
}

aril_status km_opening(const struct km_ring *r, const char *tenant, const uint8_t *id)
{
    if (r->locked) {
        return ARIL_E_KEY_LOCKED;
    }
    for (size_t i = 0; i < r->count; i++) {
        const struct km_key *k = &r->keys[i];
        if (!kmi_is_wrapped_by_owner(k->purpose) || memcmp(k->id, id, sizeof k->id) != 0) {
            continue;
        }
        if (strcmp(k->owner, tenant) != 0) {
            return ARIL_E_ISOLATION;
        }
        return k->state == ARIL_KEY_RETIRED     ? ARIL_E_KEY_RETIRED
               : k->state == ARIL_KEY_DESTROYED ? ARIL_E_KEY_DESTROYED
                                                : ARIL_OK;
    }
    return ARIL_E_KEY_UNKNOWN;
}
