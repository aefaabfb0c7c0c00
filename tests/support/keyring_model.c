/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring_model.h"
#include "check.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S UINT64_C(86400)

static const struct km_slot root_slot = { ARIL_KEY_ROOT, "", "" };
static const struct km_slot authority_slot = { ARIL_KEY_AUTHORITY, "", "" };

static bool is_kek(aril_key_purpose p)
{
    return p == ARIL_KEY_ROOT || p == ARIL_KEY_TENANT || p == ARIL_KEY_MODEL;
}

static bool is_wrapped_by_owner(aril_key_purpose p)
{
    return p == ARIL_KEY_DATA || p == ARIL_KEY_NAME || p == ARIL_KEY_LEGACY;
}

static bool is_tenants(aril_key_purpose p)
{
    return p == ARIL_KEY_TENANT || is_wrapped_by_owner(p);
}

static void name_set(char ret[KM_NAME_BYTES], const char *name)
{
    assert_in_range(strlen(name), 0, KM_NAME_BYTES - 1);
    (void)snprintf(ret, KM_NAME_BYTES, "%s", name);
}

/* --- States -------------------------------------------------------------------------------- */

void km_copy(struct km_ring *ret, const struct km_ring *from)
{
    memcpy(ret, from, offsetof(struct km_ring, keys) + from->count * sizeof from->keys[0]);
}

static struct km_ring *copy_new(const struct km_ring *from)
{
    struct km_ring *ret = malloc(sizeof *ret);
    assert_non_null(ret);
    km_copy(ret, from);
    return ret;
}

void km_plan_init(struct km_plan *p, const struct km_ring *from, uint64_t unix_s)
{
    *p = (struct km_plan){ .unix_s = unix_s, .count = 1 };
    p->states[0] = copy_new(from);
}

void km_plan_done(struct km_plan *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->states[i]);
    }
    p->count = 0;
}

static const struct km_ring *newest(const struct km_plan *p)
{
    return p->states[p->count - 1];
}

uint64_t km_now(const struct km_ring *r, uint64_t unix_s)
{
    return unix_s > r->clock_s ? unix_s : r->clock_s;
}

/* One change of the file. */
static struct km_ring *change(struct km_plan *p, bool must_not_be_undone)
{
    assert_in_range(p->count, 1, KM_STATES_MAX - 1);
    struct km_ring *next = copy_new(newest(p));
    p->states[p->count++] = next;
    next->revision++;
    next->generation += must_not_be_undone;
    next->clock_s = km_now(next, p->unix_s);
    return next;
}

enum { LOCKED_TOO = 1, ANY_CLOCK = 2 };
static aril_status may_change(const struct km_plan *p, unsigned flags)
{
    const struct km_ring *r = newest(p);
    if (r->locked && (flags & LOCKED_TOO) == 0) {
        return ARIL_E_KEY_LOCKED;
    }
    const bool behind = p->unix_s + KM_CLOCK_BACK_S < r->clock_s;
    return behind && (flags & ANY_CLOCK) == 0 ? ARIL_E_CLOCK : ARIL_OK;
}

#define STEP(p, call)            \
    do {                         \
        (p)->st = (call);        \
        if ((p)->st != ARIL_OK) { \
            return;              \
        }                        \
    } while (0)

/* --- Keys ---------------------------------------------------------------------------------- */

static int order(const struct km_key *a, const struct km_key *b)
{
    int o = (a->purpose > b->purpose) - (a->purpose < b->purpose);
    o = o != 0 ? o : strcmp(a->owner, b->owner);
    o = o != 0 ? o : strcmp(a->label, b->label);
    return o != 0 ? o : (a->version > b->version) - (a->version < b->version);
}

static bool in_slot(const struct km_key *k, const struct km_slot *slot)
{
    return k->purpose == slot->purpose && strcmp(k->owner, slot->owner) == 0 &&
           strcmp(k->label, slot->label) == 0;
}

static struct km_slot slot_of_key(const struct km_key *k)
{
    return (struct km_slot){ k->purpose, k->owner, k->label };
}

static struct km_key *insert(struct km_ring *r, const struct km_key *k)
{
    assert_in_range(r->count, 0, KM_KEYS_MAX - 1);
    size_t at = r->count;
    while (at > 0 && order(k, &r->keys[at - 1]) < 0) {
        at--;
    }
    memmove(&r->keys[at + 1], &r->keys[at], (r->count - at) * sizeof *k);
    r->keys[at] = *k;
    r->count++;
    return &r->keys[at];
}

static void erase(struct km_ring *r, size_t at)
{
    r->count--;
    memmove(&r->keys[at], &r->keys[at + 1], (r->count - at) * sizeof r->keys[0]);
}

static struct km_key *slot_in_state(struct km_ring *r, const struct km_slot *slot,
                                    aril_key_state state)
{
    for (size_t i = 0; i < r->count; i++) {
        if (in_slot(&r->keys[i], slot) && r->keys[i].state == state) {
            return &r->keys[i];
        }
    }
    return NULL;
}

static const struct km_key *newest_version(const struct km_ring *r, const struct km_slot *slot)
{
    const struct km_key *found = NULL;
    for (size_t i = 0; i < r->count; i++) {
        found = in_slot(&r->keys[i], slot) ? &r->keys[i] : found;
    }
    return found;
}

static bool has_come(const struct km_key *k, uint64_t now_s)
{
    return k->state <= ARIL_KEY_ACTIVE && k->activates_s <= now_s;
}

static const struct km_key *seals_at(const struct km_ring *r, const struct km_slot *slot,
                                     uint64_t now_s)
{
    const struct km_key *found = NULL;
    for (size_t i = 0; i < r->count; i++) {
        if (in_slot(&r->keys[i], slot) && has_come(&r->keys[i], now_s)) {
            found = &r->keys[i];
        }
    }
    return found;
}

aril_key_state km_state(const struct km_ring *r, size_t key, uint64_t now_s)
{
    const struct km_key *k = &r->keys[key];
    if (is_kek(k->purpose) || k->state > ARIL_KEY_ACTIVE) {
        return k->state;
    }
    const struct km_slot slot = slot_of_key(k);
    const struct km_key *seals = seals_at(r, &slot, now_s);
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

static const struct km_key *kek_of(const struct km_ring *r, const char *owner)
{
    const struct km_slot tenant = { ARIL_KEY_TENANT, owner, "" };
    const struct km_slot model = { ARIL_KEY_MODEL, owner, "" };
    const struct km_key *k = slot_in_state((struct km_ring *)r, &tenant, ARIL_KEY_ACTIVE);
    return k != NULL ? k : slot_in_state((struct km_ring *)r, &model, ARIL_KEY_ACTIVE);
}

size_t km_parent(const struct km_ring *r, size_t key)
{
    const aril_key_purpose p = r->keys[key].purpose;
    if (p == ARIL_KEY_ROOT) {
        return r->count;
    }
    const struct km_key *k =
        is_wrapped_by_owner(p) ? kek_of(r, r->keys[key].owner)
                               : slot_in_state((struct km_ring *)r, &root_slot, ARIL_KEY_ACTIVE);
    assert_non_null(k);
    return (size_t)(k - r->keys);
}

static void set_dates(const struct km_ring *r, struct km_key *k, uint64_t now_s, uint64_t wait_s)
{
    const aril_key_policy *p = &r->policy;
    const uint32_t days[ARIL_KEY_PURPOSES] = { [ARIL_KEY_ROOT] = p->root_days,
                                               [ARIL_KEY_AUTHORITY] = p->root_days,
                                               [ARIL_KEY_NODE] = p->root_days,
                                               [ARIL_KEY_TENANT] = p->tenant_days,
                                               [ARIL_KEY_DATA] = p->data_days,
                                               [ARIL_KEY_API] = p->api_days };
    const uint64_t period_s = days[k->purpose] * DAY_S;
    k->created_s = now_s;
    k->activates_s = now_s + wait_s;
    k->rotate_by_s = period_s > 0 ? k->activates_s + period_s : 0;
    k->not_after_s = period_s > 0 ? k->activates_s + 2 * period_s : 0;
}

static struct km_key *make(struct km_ring *r, const struct km_slot *slot, aril_key_state state,
                           uint64_t wait_s)
{
    const struct km_key *before = newest_version(r, slot);
    struct km_key k = { .purpose = slot->purpose,
                        .state = state,
                        .version = before != NULL ? before->version + 1 : 1 };
    name_set(k.owner, slot->owner);
    name_set(k.label, slot->label);
    set_dates(r, &k, r->clock_s, wait_s);
    return insert(r, &k);
}

void km_init(struct km_ring *r, aril_keyring_role role, const aril_key_policy *policy,
             uint64_t unix_s, const char *node_name, uint32_t signer)
{
    memset(r, 0, offsetof(struct km_ring, keys));
    r->role = role;
    r->policy = *policy;
    r->clock_s = unix_s;
    (void)make(r, &root_slot, ARIL_KEY_ACTIVE, 0);
    if (role == ARIL_KEYRING_NODE) {
        const struct km_slot node = { ARIL_KEY_NODE, node_name, "" };
        (void)make(r, &node, ARIL_KEY_ACTIVE, 0);
        r->known[signer] = true;
    } else {
        (void)make(r, &authority_slot, ARIL_KEY_ACTIVE, 0);
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
    const struct km_key *k = seals_at(r, slot, now);
    if (k == NULL) {
        if (is_tenants(slot->purpose) && km_is_buried(r, slot->owner)) {
            return ARIL_E_KEY_DESTROYED;
        }
        return newest_version(r, slot) != NULL ? ARIL_E_KEY_INACTIVE : ARIL_E_NOT_FOUND;
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
        if (!is_wrapped_by_owner(k->purpose) || memcmp(k->id, id, sizeof k->id) != 0) {
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

/* --- Rotation ------------------------------------------------------------------------------ */

static size_t children(const struct km_ring *r)
{
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct km_key *k = &r->keys[i];
        const bool below = r->rotates == ARIL_KEY_ROOT
                               ? k->purpose != ARIL_KEY_ROOT && !is_wrapped_by_owner(k->purpose)
                               : is_wrapped_by_owner(k->purpose) &&
                                     strcmp(k->owner, r->rotates_owner) == 0;
        count += below && k->state != ARIL_KEY_DESTROYED;
    }
    return count;
}

static void end_rotation(struct km_plan *p)
{
    const struct km_slot slot = { newest(p)->rotates, newest(p)->rotates_owner, "" };
    struct km_ring *r = change(p, true);
    struct km_key *old = slot_in_state(r, &slot, ARIL_KEY_ACTIVE);
    struct km_key *fresh = slot_in_state(r, &slot, ARIL_KEY_PENDING);
    old->state = slot.purpose == ARIL_KEY_ROOT ? ARIL_KEY_RETIRED : ARIL_KEY_DESTROYED;
    fresh->state = ARIL_KEY_ACTIVE;
    r->rotating = r->sealed = false;
    r->staged = 0;
}

/* What was cut off is ended; a root that the keystore never sealed is given up. */
static void finish(struct km_plan *p)
{
    if (!newest(p)->rotating) {
        p->st = ARIL_OK;
        return;
    }
    STEP(p, may_change(p, 0));
    if (newest(p)->rotates == ARIL_KEY_ROOT && !newest(p)->sealed) {
        struct km_ring *r = change(p, false);
        erase(r, (size_t)(slot_in_state(r, &root_slot, ARIL_KEY_PENDING) - r->keys));
        r->rotating = false;
        return;
    }
    for (;;) {
        STEP(p, p->stop_at != 0 && ++p->progress == p->stop_at ? ARIL_E_INTERRUPTED : ARIL_OK);
        if (children(newest(p)) - newest(p)->staged <= KM_BATCH) {
            break;
        }
        change(p, false)->staged += KM_BATCH;
    }
    end_rotation(p);
}

static void rotate_kek(struct km_plan *p, const struct km_slot *slot)
{
    STEP(p, may_change(p, 0));
    STEP(p, is_tenants(slot->purpose) && km_is_buried(newest(p), slot->owner) ? ARIL_E_KEY_DESTROYED
                                                                              : ARIL_OK);
    STEP(p, slot_in_state(p->states[p->count - 1], slot, ARIL_KEY_ACTIVE) == NULL ? ARIL_E_NOT_FOUND
                                                                                : ARIL_OK);
    struct km_ring *r = change(p, false);
    (void)make(r, slot, ARIL_KEY_PENDING, 0);
    r->rotating = true;
    r->rotates = slot->purpose;
    name_set(r->rotates_owner, slot->owner);
    if (slot->purpose == ARIL_KEY_ROOT) {
        change(p, false)->sealed = true;
    }
    finish(p);
}

/* The next version of a leaf. What seals now goes on while the new one waits; of the others that
 * live none will seal again. */
static void succeed(struct km_ring *r, const struct km_slot *slot, uint64_t wait_s)
{
    const struct km_key *now_seals = wait_s > 0 ? seals_at(r, slot, r->clock_s) : NULL;
    for (size_t i = 0; i < r->count; i++) {
        struct km_key *k = &r->keys[i];
        if (in_slot(k, slot) && k->state <= ARIL_KEY_ACTIVE) {
            k->state = k == now_seals ? ARIL_KEY_ACTIVE : ARIL_KEY_DECRYPT_ONLY;
        }
    }
    (void)make(r, slot, wait_s > 0 ? ARIL_KEY_PENDING : ARIL_KEY_ACTIVE, wait_s);
}

static void rotate_leaf(struct km_plan *p, const struct km_slot *slot)
{
    STEP(p, newest(p)->role == ARIL_KEYRING_AUTHORITY ? ARIL_OK : ARIL_E_USAGE_STATE);
    STEP(p, may_change(p, 0));
    STEP(p, is_tenants(slot->purpose) && km_is_buried(newest(p), slot->owner) ? ARIL_E_KEY_DESTROYED
                                                                              : ARIL_OK);
    const uint64_t now = km_now(newest(p), p->unix_s);
    STEP(p, seals_at(newest(p), slot, now) == NULL ? ARIL_E_NOT_FOUND : ARIL_OK);
    const uint64_t wait_s = slot->purpose == ARIL_KEY_AUTHORITY ? 0 : newest(p)->policy.lead_s;
    succeed(change(p, true), slot, wait_s);
}

void km_rotate(struct km_plan *p, const struct km_slot *slot)
{
    finish(p);
    if (p->st == ARIL_OK) {
        (is_kek(slot->purpose) ? rotate_kek : rotate_leaf)(p, slot);
    }
}

void km_retire(struct km_plan *p, size_t key, bool destroy)
{
    struct km_key k = { .purpose = ARIL_KEY_DATA };
    const bool found = key < newest(p)->count;
    if (found) {
        k = newest(p)->keys[key];
    }
    finish(p);
    if (p->st != ARIL_OK) {
        return;
    }
    STEP(p, may_change(p, ANY_CLOCK));
    const struct km_ring *r = newest(p);
    size_t at = 0;
    while (found && at < r->count && order(&r->keys[at], &k) != 0) {
        at++;
    }
    STEP(p, found && at < r->count ? ARIL_OK : ARIL_E_NOT_FOUND); /* given up meanwhile */
    STEP(p, k.purpose != ARIL_KEY_ROOT && r->role == ARIL_KEYRING_NODE ? ARIL_E_USAGE_STATE
                                                                       : ARIL_OK);
    const aril_key_state state = km_state(r, at, km_now(r, p->unix_s));
    const aril_key_state wanted = destroy ? ARIL_KEY_DESTROYED : ARIL_KEY_RETIRED;
    STEP(p, state <= ARIL_KEY_ACTIVE && k.purpose != ARIL_KEY_LEGACY ? ARIL_E_USAGE_STATE : ARIL_OK);
    if (state < wanted) {
        change(p, true)->keys[at].state = wanted;
    }
}

/* --- Everything else that changes ---------------------------------------------------------- */

static aril_status authority_only(const struct km_plan *p)
{
    return newest(p)->role == ARIL_KEYRING_AUTHORITY ? ARIL_OK : ARIL_E_USAGE_STATE;
}

static aril_status may_create(const struct km_ring *r, const struct km_slot *slot)
{
    if (is_tenants(slot->purpose) && km_is_buried(r, slot->owner)) {
        return ARIL_E_KEY_DESTROYED;
    }
    if (newest_version(r, slot) != NULL) {
        return ARIL_E_EXISTS;
    }
    return is_wrapped_by_owner(slot->purpose) && kek_of(r, slot->owner) == NULL ? ARIL_E_NOT_FOUND
                                                                                : ARIL_OK;
}

void km_create(struct km_plan *p, const struct km_slot *slots, size_t count)
{
    STEP(p, authority_only(p));
    STEP(p, may_change(p, 0));
    struct km_ring *r = change(p, false);
    for (size_t i = 0; i < count && p->st == ARIL_OK; i++) {
        p->st = may_create(r, &slots[i]);
        if (p->st == ARIL_OK) {
            (void)make(r, &slots[i], ARIL_KEY_ACTIVE, 0);
        }
        if (p->st == ARIL_OK && slots[i].purpose == ARIL_KEY_TENANT) {
            const struct km_slot data = { ARIL_KEY_DATA, slots[i].owner, "" };
            const struct km_slot name = { ARIL_KEY_NAME, slots[i].owner, "" };
            (void)make(r, &data, ARIL_KEY_ACTIVE, 0);
            (void)make(r, &name, ARIL_KEY_ACTIVE, 0);
        }
    }
    if (p->st != ARIL_OK) { /* all or nothing */
        free(p->states[--p->count]);
    }
}

static uint32_t destroy_tenant(struct km_ring *r, const char *tenant)
{
    uint32_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        struct km_key *k = &r->keys[i];
        if (is_tenants(k->purpose) && strcmp(k->owner, tenant) == 0 &&
            k->state != ARIL_KEY_DESTROYED) {
            k->state = ARIL_KEY_DESTROYED;
            count++;
        }
    }
    return count;
}

static void bury(struct km_ring *r, const char *tenant, uint32_t keys)
{
    assert_in_range(r->tomb_count, 0, KM_TENANTS_MAX - 1);
    name_set(r->tombs[r->tomb_count].tenant, tenant);
    r->tombs[r->tomb_count].keys = keys;
    r->tombs[r->tomb_count++].root = slot_in_state(r, &root_slot, ARIL_KEY_ACTIVE)->version;
}

static void shred_roots(struct km_plan *p, const char *tenant, bool destroy_root)
{
    for (size_t i = 0; i < newest(p)->tomb_count; i++) {
        const uint32_t in_use =
            slot_in_state(p->states[p->count - 1], &root_slot, ARIL_KEY_ACTIVE)->version;
        if (strcmp(newest(p)->tombs[i].tenant, tenant) == 0 && newest(p)->tombs[i].root == in_use) {
            rotate_kek(p, &root_slot);
        }
    }
    for (size_t i = newest(p)->count; i > 0 && p->st == ARIL_OK && destroy_root; i--) {
        const struct km_key *k = &newest(p)->keys[i - 1]; /* the newest one first */
        if (k->purpose == ARIL_KEY_ROOT && k->state == ARIL_KEY_RETIRED) {
            change(p, true)->keys[i - 1].state = ARIL_KEY_DESTROYED;
        }
    }
}

void km_shred(struct km_plan *p, const char *tenant, bool destroy_root)
{
    STEP(p, authority_only(p));
    finish(p);
    if (p->st != ARIL_OK) {
        return;
    }
    STEP(p, may_change(p, 0));
    if (!km_is_buried(newest(p), tenant)) {
        struct km_ring *r = change(p, true);
        const uint32_t keys = destroy_tenant(r, tenant);
        if (keys == 0) {
            free(p->states[--p->count]);
            p->st = ARIL_E_NOT_FOUND;
            return;
        }
        bury(r, tenant, keys);
    }
    shred_roots(p, tenant, destroy_root);
}

void km_import(struct km_plan *p, const char *tenant, const uint32_t *materials, size_t count)
{
    const struct km_slot slot = { ARIL_KEY_LEGACY, tenant, "" };
    STEP(p, authority_only(p));
    STEP(p, may_change(p, 0));
    STEP(p, km_is_buried(newest(p), tenant) ? ARIL_E_KEY_DESTROYED : ARIL_OK);
    STEP(p, kek_of(newest(p), tenant) == NULL ? ARIL_E_NOT_FOUND : ARIL_OK);
    for (size_t i = 0; i < newest(p)->count; i++) {
        for (size_t m = 0; m < count; m++) {
            STEP(p, newest(p)->keys[i].material == materials[m] ? ARIL_E_EXISTS : ARIL_OK);
        }
    }
    struct km_ring *r = change(p, false);
    struct km_key *current = slot_in_state(r, &slot, ARIL_KEY_ACTIVE);
    if (current != NULL) {
        current->state = ARIL_KEY_DECRYPT_ONLY;
    }
    for (size_t i = count; i > 0; i--) {
        make(r, &slot, i == 1 ? ARIL_KEY_ACTIVE : ARIL_KEY_DECRYPT_ONLY, 0)->material =
            materials[i - 1];
    }
}

void km_lock(struct km_plan *p, bool locked)
{
    if (newest(p)->locked != locked) {
        change(p, false)->locked = locked;
    }
}

void km_floor_raise(struct km_plan *p, uint64_t value)
{
    STEP(p, may_change(p, ANY_CLOCK));
    STEP(p, value < newest(p)->floor ? ARIL_E_REPLAY_ROLLBACK : ARIL_OK);
    if (value > newest(p)->floor) {
        change(p, true)->floor = value;
    }
}

/* --- Fleet --------------------------------------------------------------------------------- */

static size_t find_node(const struct km_ring *r, const char *name)
{
    size_t i = 0;
    while (i < r->node_count && strcmp(r->nodes[i].name, name) != 0) {
        i++;
    }
    return i;
}

static bool serves(const struct km_ring *r, size_t node, const char *owner)
{
    return r->nodes[node].tenant[0] == '\0' || strcmp(r->nodes[node].tenant, owner) == 0;
}

void km_node_add(struct km_plan *p, const char *name, const char *tenant)
{
    STEP(p, authority_only(p));
    STEP(p, may_change(p, 0));
    const size_t at = find_node(newest(p), name);
    if (at < newest(p)->node_count) {
        STEP(p, newest(p)->nodes[at].revoked ? ARIL_E_TRUST_REVOKED : ARIL_E_EXISTS);
    }
    assert_in_range(at, 0, KM_NODES_MAX - 1);
    struct km_ring *r = change(p, false);
    name_set(r->nodes[at].name, name);
    name_set(r->nodes[at].tenant, tenant);
    r->nodes[at].revoked = false;
    r->node_count++;
}

void km_node_revoke(struct km_plan *p, const char *name)
{
    STEP(p, authority_only(p));
    finish(p);
    if (p->st != ARIL_OK) {
        return;
    }
    STEP(p, may_change(p, 0));
    const size_t at = find_node(newest(p), name);
    STEP(p, at == newest(p)->node_count || newest(p)->nodes[at].revoked ? ARIL_E_NOT_FOUND
                                                                        : ARIL_OK);
    const struct km_ring *before = newest(p);
    struct km_ring *r = change(p, true);
    r->nodes[at].revoked = true;
    for (size_t i = 0; i < before->count; i++) {
        const struct km_key *k = &before->keys[i];
        const struct km_slot slot = slot_of_key(k);
        if ((k->purpose == ARIL_KEY_DATA || k->purpose == ARIL_KEY_NAME) && serves(r, at, k->owner) &&
            seals_at(before, &slot, r->clock_s) == k) {
            succeed(r, &slot, 0);
            p->rotated++;
        }
    }
}

void km_bundle_write(struct km_plan *p, struct km_bundle *ret)
{
    STEP(p, authority_only(p));
    finish(p);
    if (p->st != ARIL_OK) {
        return;
    }
    STEP(p, may_change(p, 0));
    struct km_ring *r = change(p, true);
    r->bundle_version++;
    *ret = (struct km_bundle){ .version = r->bundle_version,
                               .expires_s = r->clock_s + r->policy.bundle_days * DAY_S,
                               .from = copy_new(r) };
    ret->signer = slot_in_state(r, &authority_slot, ARIL_KEY_ACTIVE)->version;
    const struct km_key *former = slot_in_state(r, &authority_slot, ARIL_KEY_DECRYPT_ONLY);
    if (former != NULL) {
        ret->successor = ret->signer;
        ret->signer = former->version;
    }
}

static aril_status may_take(const struct km_plan *p, const struct km_bundle *b, const char *name)
{
    const struct km_ring *r = newest(p);
    const size_t at = find_node(b->from, name);
    if (!r->known[b->signer]) {
        return ARIL_E_TRUST_AUTHORITY;
    }
    if (r->refused[b->signer]) {
        return ARIL_E_TRUST_REVOKED;
    }
    if (b->version < r->bundle_version) {
        return ARIL_E_REPLAY_ROLLBACK;
    }
    if (km_now(r, p->unix_s) >= b->expires_s) {
        return ARIL_E_EXPIRED_BUNDLE;
    }
    if (b->version == r->bundle_version) {
        return ARIL_OK;
    }
    if (at == b->from->node_count) {
        return ARIL_E_NOT_FOUND;
    }
    return b->from->nodes[at].revoked ? ARIL_E_TRUST_REVOKED : ARIL_OK;
}

static const struct km_key *same_key(const struct km_ring *r, const struct km_key *k)
{
    for (size_t i = 0; i < r->count; i++) {
        if (order(&r->keys[i], k) == 0) {
            return &r->keys[i];
        }
    }
    return NULL;
}

static bool in_bundle(const struct km_bundle *b, size_t node, const struct km_key *k)
{
    return k != NULL && is_wrapped_by_owner(k->purpose) && k->state <= ARIL_KEY_DECRYPT_ONLY &&
           serves(b->from, node, k->owner);
}

static void take_keys(struct km_ring *r, const struct km_bundle *b, size_t node)
{
    for (size_t i = 0; i < b->from->count; i++) {
        const struct km_key *k = &b->from->keys[i];
        struct km_key *mine = (struct km_key *)same_key(r, k);
        if (!in_bundle(b, node, k) || km_is_buried(r, k->owner)) {
            continue;
        }
        if (mine != NULL) {
            mine->state = k->state > mine->state ? k->state : mine->state;
            continue;
        }
        const struct km_slot kek = { ARIL_KEY_TENANT, k->owner, "" };
        if (slot_in_state(r, &kek, ARIL_KEY_ACTIVE) == NULL) {
            (void)make(r, &kek, ARIL_KEY_ACTIVE, 0);
        }
        (void)insert(r, k);
    }
    for (size_t i = r->count; i > 0; i--) {
        const struct km_key *k = &r->keys[i - 1];
        if (is_wrapped_by_owner(k->purpose) && k->state != ARIL_KEY_DESTROYED &&
            !km_is_buried(b->from, k->owner) && !in_bundle(b, node, same_key(b->from, k))) {
            erase(r, i - 1);
        }
    }
}

void km_bundle_apply(struct km_plan *p, const struct km_bundle *b, const char *node_name)
{
    STEP(p, newest(p)->role == ARIL_KEYRING_NODE ? ARIL_OK : ARIL_E_USAGE_STATE);
    finish(p);
    if (p->st != ARIL_OK) {
        return;
    }
    STEP(p, may_change(p, ANY_CLOCK));
    STEP(p, may_take(p, b, node_name));
    if (b->version == newest(p)->bundle_version) {
        return;
    }
    struct km_ring *r = change(p, true);
    take_keys(r, b, find_node(b->from, node_name));
    for (size_t i = 0; i < b->from->tomb_count; i++) {
        const char *tenant = b->from->tombs[i].tenant;
        if (!km_is_buried(r, tenant)) {
            bury(r, tenant, destroy_tenant(r, tenant));
        }
    }
    r->known[b->successor] = true;
    r->known[0] = false;
    for (size_t i = 0; i < b->from->count; i++) {
        const struct km_key *k = &b->from->keys[i];
        if (k->purpose == ARIL_KEY_AUTHORITY && k->state >= ARIL_KEY_RETIRED &&
            r->known[k->version]) {
            r->refused[k->version] = true;
        }
    }
    r->bundle_version = b->version;
}
