/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring_model_internal.h"
#include <stdlib.h>
#include <string.h>

/* --- Rotation ------------------------------------------------------------------------------ */

static size_t children(const struct km_ring *r)
{
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct km_key *k = &r->keys[i];
        const bool below =
            r->rotates == ARIL_KEY_ROOT
                ? k->purpose != ARIL_KEY_ROOT && !kmi_is_wrapped_by_owner(k->purpose)
                : kmi_is_wrapped_by_owner(k->purpose) && strcmp(k->owner, r->rotates_owner) == 0;
        count += below && k->state != ARIL_KEY_DESTROYED;
    }
    return count;
}

static void end_rotation(struct km_plan *p)
{
    const struct km_slot slot = { kmi_newest(p)->rotates, kmi_newest(p)->rotates_owner, "" };
    struct km_ring *r = kmi_change(p, true);
    struct km_key *old = kmi_slot_in_state(r, &slot, ARIL_KEY_ACTIVE);
    struct km_key *fresh = kmi_slot_in_state(r, &slot, ARIL_KEY_PENDING);
    old->state = slot.purpose == ARIL_KEY_ROOT ? ARIL_KEY_RETIRED : ARIL_KEY_DESTROYED;
    fresh->state = ARIL_KEY_ACTIVE;
    r->rotating = r->sealed = false;
    r->staged = 0;
}

/* What was cut off is ended; a root that the keystore never sealed is given up. */
void kmi_finish(struct km_plan *p)
{
    if (!kmi_newest(p)->rotating) {
        p->st = ARIL_OK;
        return;
    }
    KMI_STEP(p, kmi_may_change(p, 0));
    if (kmi_newest(p)->rotates == ARIL_KEY_ROOT && !kmi_newest(p)->sealed) {
        struct km_ring *r = kmi_change(p, false);
        kmi_erase(r, (size_t)(kmi_slot_in_state(r, &kmi_root_slot, ARIL_KEY_PENDING) - r->keys));
        r->rotating = false;
        return;
    }
    for (;;) {
        KMI_STEP(p, p->stop_at != 0 && ++p->progress == p->stop_at ? ARIL_E_INTERRUPTED : ARIL_OK);
        if (children(kmi_newest(p)) - kmi_newest(p)->staged <= KM_BATCH) {
            break;
        }
        kmi_change(p, false)->staged += KM_BATCH;
    }
    end_rotation(p);
}

static void rotate_kek(struct km_plan *p, const struct km_slot *slot)
{
    KMI_STEP(p, kmi_may_change(p, 0));
    KMI_STEP(p, kmi_is_tenants(slot->purpose) && km_is_buried(kmi_newest(p), slot->owner)
                    ? ARIL_E_KEY_DESTROYED
                    : ARIL_OK);
    KMI_STEP(p, kmi_slot_in_state(p->states[p->count - 1], slot, ARIL_KEY_ACTIVE) == NULL
                    ? ARIL_E_NOT_FOUND
                    : ARIL_OK);
    struct km_ring *r = kmi_change(p, false);
    (void)kmi_make(r, slot, ARIL_KEY_PENDING, 0);
    r->rotating = true;
    r->rotates = slot->purpose;
    kmi_name_set(r->rotates_owner, slot->owner);
    if (slot->purpose == ARIL_KEY_ROOT) {
        kmi_change(p, false)->sealed = true;
    }
    kmi_finish(p);
}

/* The next version of a leaf. What seals now goes on while the new one waits; of the others that
 * live none will seal again. */
void kmi_succeed(struct km_ring *r, const struct km_slot *slot, uint64_t wait_s)
{
    const struct km_key *now_seals = wait_s > 0 ? kmi_seals_at(r, slot, r->clock_s) : NULL;
    for (size_t i = 0; i < r->count; i++) {
        struct km_key *k = &r->keys[i];
        if (kmi_in_slot(k, slot) && k->state <= ARIL_KEY_ACTIVE) {
            k->state = k == now_seals ? ARIL_KEY_ACTIVE : ARIL_KEY_DECRYPT_ONLY;
        }
    }
    (void)kmi_make(r, slot, wait_s > 0 ? ARIL_KEY_PENDING : ARIL_KEY_ACTIVE, wait_s);
}

static void rotate_leaf(struct km_plan *p, const struct km_slot *slot)
{
    KMI_STEP(p, kmi_newest(p)->role == ARIL_KEYRING_AUTHORITY ? ARIL_OK : ARIL_E_USAGE_STATE);
    KMI_STEP(p, kmi_may_change(p, 0));
    KMI_STEP(p, kmi_is_tenants(slot->purpose) && km_is_buried(kmi_newest(p), slot->owner)
                    ? ARIL_E_KEY_DESTROYED
                    : ARIL_OK);
    const uint64_t now = km_now(kmi_newest(p), p->unix_s);
    KMI_STEP(p, kmi_seals_at(kmi_newest(p), slot, now) == NULL ? ARIL_E_NOT_FOUND : ARIL_OK);
    const uint64_t wait_s = slot->purpose == ARIL_KEY_AUTHORITY ? 0 : kmi_newest(p)->policy.lead_s;
    kmi_succeed(kmi_change(p, true), slot, wait_s);
}

/* Whether the rotation that was cut off is one of that slot, and can be ended. */
static bool goes_on(const struct km_ring *r, const struct km_slot *slot)
{
    return r->rotating && r->rotates == slot->purpose &&
           strcmp(r->rotates_owner, slot->owner) == 0 &&
           (slot->purpose != ARIL_KEY_ROOT || r->sealed);
}

void km_rotate(struct km_plan *p, const struct km_slot *slot)
{
    const bool is_the_one = goes_on(kmi_newest(p), slot);
    kmi_finish(p);
    if (p->st == ARIL_OK && !is_the_one) {
        (kmi_is_kek(slot->purpose) ? rotate_kek : rotate_leaf)(p, slot);
    }
}

void km_retire(struct km_plan *p, size_t key, bool destroy)
{
    struct km_key k = { .purpose = ARIL_KEY_DATA };
    const bool found = key < kmi_newest(p)->count;
    if (found) {
        k = kmi_newest(p)->keys[key];
    }
    kmi_finish(p);
    if (p->st != ARIL_OK) {
        return;
    }
    KMI_STEP(p, kmi_may_change(p, KMI_ANY_CLOCK));
    const struct km_ring *r = kmi_newest(p);
    size_t at = 0;
    while (found && at < r->count && kmi_order(&r->keys[at], &k) != 0) {
        at++;
    }
    KMI_STEP(p, found && at < r->count ? ARIL_OK : ARIL_E_NOT_FOUND); /* given up meanwhile */
    KMI_STEP(p, k.purpose != ARIL_KEY_ROOT && r->role == ARIL_KEYRING_NODE ? ARIL_E_USAGE_STATE
                                                                           : ARIL_OK);
    const aril_key_state state = km_state(r, at, km_now(r, p->unix_s));
    const aril_key_state wanted = destroy ? ARIL_KEY_DESTROYED : ARIL_KEY_RETIRED;
    KMI_STEP(p, state <= ARIL_KEY_ACTIVE && k.purpose != ARIL_KEY_LEGACY ? ARIL_E_USAGE_STATE
                                                                         : ARIL_OK);
    if (state < wanted) {
        kmi_change(p, true)->keys[at].state = wanted;
    }
}

/* --- Everything else that changes ---------------------------------------------------------- */

aril_status kmi_authority_only(const struct km_plan *p)
{
    return kmi_newest(p)->role == ARIL_KEYRING_AUTHORITY ? ARIL_OK : ARIL_E_USAGE_STATE;
}

static aril_status may_create(const struct km_ring *r, const struct km_slot *slot)
{
    if (kmi_is_tenants(slot->purpose) && km_is_buried(r, slot->owner)) {
        return ARIL_E_KEY_DESTROYED;
    }
    if (kmi_newest_version(r, slot) != NULL) {
        return ARIL_E_EXISTS;
    }
    return kmi_is_wrapped_by_owner(slot->purpose) && kmi_kek_of(r, slot->owner) == NULL
               ? ARIL_E_NOT_FOUND
               : ARIL_OK;
}

void km_create(struct km_plan *p, const struct km_slot *slots, size_t count)
{
    KMI_STEP(p, kmi_authority_only(p));
    KMI_STEP(p, kmi_may_change(p, 0));
    struct km_ring *r = kmi_change(p, false);
    for (size_t i = 0; i < count && p->st == ARIL_OK; i++) {
        p->st = may_create(r, &slots[i]);
        if (p->st == ARIL_OK) {
            (void)kmi_make(r, &slots[i], ARIL_KEY_ACTIVE, 0);
        }
        if (p->st == ARIL_OK && slots[i].purpose == ARIL_KEY_TENANT) {
            const struct km_slot data = { ARIL_KEY_DATA, slots[i].owner, "" };
            const struct km_slot name = { ARIL_KEY_NAME, slots[i].owner, "" };
            (void)kmi_make(r, &data, ARIL_KEY_ACTIVE, 0);
            (void)kmi_make(r, &name, ARIL_KEY_ACTIVE, 0);
        }
    }
    if (p->st != ARIL_OK) { /* all or nothing */
        free(p->states[--p->count]);
    }
}

uint32_t kmi_destroy_tenant(struct km_ring *r, const char *tenant)
{
    uint32_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct km_key *k = &r->keys[i];
        if (kmi_is_tenants(k->purpose) && strcmp(k->owner, tenant) == 0 &&
            k->state != ARIL_KEY_DESTROYED) {
            k->state = ARIL_KEY_DESTROYED;
            count++;
        }
    }
    return count;
}

void kmi_bury(struct km_ring *r, const char *tenant, uint32_t keys)
{
    assert_in_range(r->tomb_count, 0, KM_TENANTS_MAX - 1);
    kmi_name_set(r->tombs[r->tomb_count].tenant, tenant);
    r->tombs[r->tomb_count].keys = keys;
    r->tombs[r->tomb_count++].root = kmi_slot_in_state(r, &kmi_root_slot, ARIL_KEY_ACTIVE)->version;
}

static void shred_roots(struct km_plan *p, const char *tenant, bool destroy_root)
{
    for (size_t i = 0; i < kmi_newest(p)->tomb_count; i++) {
        const uint32_t in_use =
            kmi_slot_in_state(p->states[p->count - 1], &kmi_root_slot, ARIL_KEY_ACTIVE)->version;
        if (strcmp(kmi_newest(p)->tombs[i].tenant, tenant) == 0 &&
            kmi_newest(p)->tombs[i].root == in_use) {
            rotate_kek(p, &kmi_root_slot);
        }
    }
    for (size_t i = kmi_newest(p)->count; i > 0 && p->st == ARIL_OK && destroy_root; i--) {
        const struct km_key *k = &kmi_newest(p)->keys[i - 1]; /* the newest one first */
        if (k->purpose == ARIL_KEY_ROOT && k->state == ARIL_KEY_RETIRED) {
            kmi_change(p, true)->keys[i - 1].state = ARIL_KEY_DESTROYED;
        }
    }
}

void km_shred(struct km_plan *p, const char *tenant, bool destroy_root)
{
    KMI_STEP(p, kmi_authority_only(p));
    kmi_finish(p);
    if (p->st != ARIL_OK) {
        return;
    }
    KMI_STEP(p, kmi_may_change(p, 0));
    if (!km_is_buried(kmi_newest(p), tenant)) {
        struct km_ring *r = kmi_change(p, true);
        const uint32_t keys = kmi_destroy_tenant(r, tenant);
        if (keys == 0) {
            free(p->states[--p->count]);
            p->st = ARIL_E_NOT_FOUND;
            return;
        }
        kmi_bury(r, tenant, keys);
    }
    shred_roots(p, tenant, destroy_root);
}

void km_import(struct km_plan *p, const char *tenant, const uint32_t *materials, size_t count)
{
    const struct km_slot slot = { ARIL_KEY_LEGACY, tenant, "" };
    KMI_STEP(p, kmi_authority_only(p));
    KMI_STEP(p, kmi_may_change(p, 0));
    KMI_STEP(p, km_is_buried(kmi_newest(p), tenant) ? ARIL_E_KEY_DESTROYED : ARIL_OK);
    KMI_STEP(p, kmi_kek_of(kmi_newest(p), tenant) == NULL ? ARIL_E_NOT_FOUND : ARIL_OK);
    for (size_t i = 0; i < kmi_newest(p)->count; i++) {
        for (size_t m = 0; m < count; m++) {
            KMI_STEP(p, kmi_newest(p)->keys[i].material == materials[m] ? ARIL_E_EXISTS : ARIL_OK);
        }
    }
    struct km_ring *r = kmi_change(p, false);
    struct km_key *current = kmi_slot_in_state(r, &slot, ARIL_KEY_ACTIVE);
    if (current != NULL) {
        current->state = ARIL_KEY_DECRYPT_ONLY;
    }
    for (size_t i = count; i > 0; i--) {
        kmi_make(r, &slot, i == 1 ? ARIL_KEY_ACTIVE : ARIL_KEY_DECRYPT_ONLY, 0)->material =
            materials[i - 1];
    }
}

void km_lock(struct km_plan *p, bool locked)
{
    if (kmi_newest(p)->locked != locked) {
        kmi_change(p, false)->locked = locked;
    }
}

void km_floor_raise(struct km_plan *p, uint64_t value)
{
    KMI_STEP(p, kmi_may_change(p, KMI_ANY_CLOCK));
    KMI_STEP(p, value < kmi_newest(p)->floor ? ARIL_E_REPLAY_ROLLBACK : ARIL_OK);
    if (value > kmi_newest(p)->floor) {
        kmi_change(p, true)->floor = value;
    }
}
