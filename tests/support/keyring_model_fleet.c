/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring_model_internal.h"
#include <string.h>

#define DAY_S UINT64_C(86400)

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
    KMI_STEP(p, kmi_authority_only(p));
    KMI_STEP(p, kmi_may_change(p, 0));
    const size_t at = find_node(kmi_newest(p), name);
    if (at < kmi_newest(p)->node_count) {
        KMI_STEP(p, kmi_newest(p)->nodes[at].revoked ? ARIL_E_TRUST_REVOKED : ARIL_E_EXISTS);
    }
    assert_in_range(at, 0, KM_NODES_MAX - 1);
    struct km_ring *r = kmi_change(p, false);
    kmi_name_set(r->nodes[at].name, name);
    kmi_name_set(r->nodes[at].tenant, tenant);
    r->nodes[at].revoked = false;
    r->node_count++;
}

void km_node_revoke(struct km_plan *p, const char *name)
{
    KMI_STEP(p, kmi_authority_only(p));
    kmi_finish(p);
    if (p->st != ARIL_OK) {
        return;
    }
    KMI_STEP(p, kmi_may_change(p, 0));
    const size_t at = find_node(kmi_newest(p), name);
    KMI_STEP(p, at == kmi_newest(p)->node_count || kmi_newest(p)->nodes[at].revoked
                    ? ARIL_E_NOT_FOUND
                    : ARIL_OK);
    const struct km_ring *before = kmi_newest(p);
    struct km_ring *r = kmi_change(p, true);
    r->nodes[at].revoked = true;
    for (size_t i = 0; i < before->count; i++) {
        const struct km_key *k = &before->keys[i];
        const struct km_slot slot = kmi_slot_of_key(k);
        if ((k->purpose == ARIL_KEY_DATA || k->purpose == ARIL_KEY_NAME) &&
            serves(r, at, k->owner) && kmi_seals_at(before, &slot, r->clock_s) == k) {
            kmi_succeed(r, &slot, 0);
            p->rotated++;
        }
    }
}

void km_bundle_write(struct km_plan *p, struct km_bundle *ret)
{
    KMI_STEP(p, kmi_authority_only(p));
    kmi_finish(p);
    if (p->st != ARIL_OK) {
        return;
    }
    KMI_STEP(p, kmi_may_change(p, 0));
    struct km_ring *r = kmi_change(p, true);
    r->bundle_version++;
    *ret = (struct km_bundle){ .version = r->bundle_version,
                               .expires_s = r->clock_s + r->policy.bundle_days * DAY_S,
                               .from = kmi_copy_new(r) };
    ret->signer = kmi_slot_in_state(r, &kmi_authority_slot, ARIL_KEY_ACTIVE)->version;
    for (size_t i = r->count; i > 0; i--) { /* each one is handed on by the one before it */
        const struct km_key *k = &r->keys[i - 1];
        if (k->purpose == ARIL_KEY_AUTHORITY && k->state == ARIL_KEY_DECRYPT_ONLY) {
            ret->successor = ret->signer;
            ret->signer = k->version;
        }
    }
}

static aril_status may_take(const struct km_plan *p, const struct km_bundle *b, const char *name)
{
    const struct km_ring *r = kmi_newest(p);
    const size_t at = find_node(b->from, name);
    if (!r->known[b->signer]) {
        return ARIL_E_TRUST_AUTHORITY;
    }
    if (r->refused[b->signer]) {
        return ARIL_E_TRUST_REVOKED;
    }
    if (at < b->from->node_count && b->from->nodes[at].revoked) {
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
    return at == b->from->node_count ? ARIL_E_NOT_FOUND : ARIL_OK;
}

static const struct km_key *same_key(const struct km_ring *r, const struct km_key *k)
{
    for (size_t i = 0; i < r->count; i++) {
        if (kmi_order(&r->keys[i], k) == 0) {
            return &r->keys[i];
        }
    }
    return NULL;
}

static bool in_bundle(const struct km_bundle *b, size_t node, const struct km_key *k)
{
    return k != NULL && kmi_is_wrapped_by_owner(k->purpose) && k->state <= ARIL_KEY_DECRYPT_ONLY &&
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
        if (kmi_slot_in_state(r, &kek, ARIL_KEY_ACTIVE) == NULL) {
            (void)kmi_make(r, &kek, ARIL_KEY_ACTIVE, 0);
        }
        (void)kmi_insert(r, k);
    }
    for (size_t i = r->count; i > 0; i--) {
        const struct km_key *k = &r->keys[i - 1];
        if (kmi_is_wrapped_by_owner(k->purpose) && k->state != ARIL_KEY_DESTROYED &&
            !km_is_buried(b->from, k->owner) && !in_bundle(b, node, same_key(b->from, k))) {
            kmi_erase(r, i - 1);
        }
    }
}

void km_bundle_apply(struct km_plan *p, const struct km_bundle *b, const char *node_name)
{
    KMI_STEP(p, kmi_newest(p)->role == ARIL_KEYRING_NODE ? ARIL_OK : ARIL_E_USAGE_STATE);
    kmi_finish(p);
    if (p->st != ARIL_OK) {
        return;
    }
    KMI_STEP(p, kmi_may_change(p, KMI_ANY_CLOCK));
    KMI_STEP(p, may_take(p, b, node_name));
    if (b->version == kmi_newest(p)->bundle_version) {
        return;
    }
    struct km_ring *r = kmi_change(p, true);
    take_keys(r, b, find_node(b->from, node_name));
    for (size_t i = 0; i < b->from->tomb_count; i++) {
        const char *tenant = b->from->tombs[i].tenant;
        if (!km_is_buried(r, tenant)) {
            kmi_bury(r, tenant, kmi_destroy_tenant(r, tenant));
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
    r->floor = r->floor > b->from->floor ? r->floor : b->from->floor;
    r->bundle_version = b->version;
}
