/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "identity/keys.h"
#include "keyring/fleet.h"
#include "keyring/keklist.h"
#include "keyring/rotation.h"
#include "keyring/shred.h"
#include <stdlib.h>
#include <string.h>

/*
 * A node takes a bundle over. Who may sign, whether it is newer, whether it is meant for this node
 * are settled before anything is opened. Then the bundle is the whole list of keys for this node:
 * what it names is made or moved on, what it does not name any more is erased. States only move
 * forward, floors only go up, and a tombstone wins.
 */
struct taking {
    struct arili_change *ch;
    const struct arili_bundle *b;
    struct arili_bundle_section section; /* this node's */
    struct arili_hpke_ctx hpke;
    uint8_t *named;     /* for each key of ch->from: the bundle names it */
    aril_bytes *buried; /* tenants that the bundle has tombstones for; ascending, as parsed */
    struct arili_keklist fresh; /* of new tenants */
};

static void taking_done(struct taking *t)
{
    arili_keklist_done(&t->fresh);
    arili_free(t->buried, (size_t)t->b->tombstone_count * sizeof *t->buried);
    arili_free(t->named, t->ch != NULL && t->ch->from != NULL ? t->ch->from->key_count + 1 : 1);
    arili_hpke_done(&t->hpke);
}

/* --- Who signed it ------------------------------------------------------------------------- */

/* Whether a list of ids of 32 bytes has that one. */
static bool has_id(aril_bytes list, uint32_t count, const uint8_t id[32])
{
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(list.data + (size_t)i * 32, id, 32) == 0) {
            return true;
        }
    }
    return false;
}
_Static_assert(ARIL_NODE_ID_BYTES == 32 && ARILI_DID_HASH_BYTES == 32, "both lists have such ids");

static aril_status is_retired(aril_error *error)
{
    return arili_error_set(error, ARIL_E_TRUST_REVOKED,
                           "the bundle is signed with a key that the authority has retired; fetch "
                           "a newer one");
}

static aril_status check_authority(const aril_keyring *kr, const struct arili_rowset *set,
                                   const struct arili_bundle *b, aril_error *error)
{
    struct arili_key_hash hash;
    ARILI_TRY(arili_key_hash(kr->rt, b->authority, &hash));
    const struct arili_row *row =
        arili_rowset_find(set, ARILI_ROW_AUTHORITY, (aril_bytes){ hash.bytes, sizeof hash.bytes });
    const aril_status fits =
        aril_signature_verify(kr->rt, kr->profile->sign, b->authority, ARILI_BUNDLE_CONTEXT,
                              b->signed_part, b->signature);
    struct arili_authority_row said = { .revoked = false };
    if (row == NULL) {
        return arili_error_set(error,
                               fits == ARIL_OK ? ARIL_E_TRUST_AUTHORITY : ARIL_E_TRUST_UNKNOWN,
                               "the bundle is not signed by the authority that %s was made for; "
                               "fetch the bundle of your own authority",
                               kr->path);
    }
    ARILI_TRY(arili_authority_row_parse(arili_row_body(row), &said));
    if (said.revoked) {
        return is_retired(error);
    }
    if (fits != ARIL_OK) {
        return arili_error_set(error, fits,
                               "the signature of the bundle does not fit: it was changed or is "
                               "damaged; fetch it again");
    }
    return has_id(b->revoked_authorities, b->revoked_authority_count, hash.bytes)
               ? is_retired(error)
               : ARIL_OK;
}

/* --- Whether it is for this node and this time --------------------------------------------- */

static aril_status own_id(const aril_keyring *kr, const struct arili_rowset *set,
                          const struct arili_key **ret_key, uint8_t ret[ARIL_NODE_ID_BYTES])
{
    aril_bytes kem;
    aril_bytes sign;
    ARILI_TRY(arili_node_key(kr, set, ret_key, &kem, &sign));
    return arili_node_id(&kr->rt->crypto, kem, sign, ret);
}

static aril_status check_not_revoked(const struct arili_change *ch, const struct arili_bundle *b,
                                     aril_error *error)
{
    const struct arili_key *key = NULL;
    uint8_t node[ARIL_NODE_ID_BYTES];
    ARILI_TRY(own_id(ch->kr, ch->from, &key, node));
    if (has_id(b->revoked_nodes, b->revoked_node_count, node)) {
        return arili_error_set(error, ARIL_E_TRUST_REVOKED,
                               "this node was revoked by its authority; it gets no keys any more");
    }
    return ARIL_OK;
}

static aril_status find_section(const struct arili_bundle *b, const uint8_t *node,
                                struct arili_bundle_section *ret, aril_error *error)
{
    aril_bytes list = b->sections;
    for (uint32_t i = 0; i < b->section_count; i++) {
        ARILI_TRY(arili_bundle_next_section(&list, ret));
        if (memcmp(ret->node, node, ARIL_NODE_ID_BYTES) == 0) {
            return ARIL_OK;
        }
    }
    return arili_error_set(error, ARIL_E_NOT_FOUND,
                           "the bundle holds nothing for this node; enrol its card with 'aril keys "
                           "node add' at the authority");
}

static aril_status check_time(const struct arili_change *ch, const struct arili_bundle *b,
                              aril_error *error)
{
    if (b->version < ch->head.bundle_version) {
        return arili_error_set(error, ARIL_E_REPLAY_ROLLBACK,
                               "the bundle is version %llu, this node has %llu; fetch the newest",
                               (unsigned long long)b->version,
                               (unsigned long long)ch->head.bundle_version);
    }
    if (ch->now_s >= b->expires_s) {
        return arili_error_set(error, ARIL_E_EXPIRED_BUNDLE,
                               "the bundle ended %llu s ago; fetch a newer one",
                               (unsigned long long)(ch->now_s - b->expires_s));
    }
    return ARIL_OK;
}

/* Two keyrings that sign with one key, or one that was copied: their bundles contradict. */
static aril_status check_one_authority(const struct arili_change *ch, const struct arili_bundle *b,
                                       const uint8_t digest[32], aril_error *error)
{
    const struct arili_head *head = &ch->head;
    if (head->bundle_version == 0) {
        return ARIL_OK;
    }
    if (memcmp(head->fleet, b->fleet, sizeof b->fleet) != 0 ||
        (head->bundle_version == b->version &&
         memcmp(head->bundle_digest, digest, sizeof head->bundle_digest) != 0)) {
        return arili_error_set(error, ARIL_E_TRUST_AUTHORITY,
                               "there are two authorities: bundle %llu contradicts the one that "
                               "this node took; find out which keyring was copied",
                               (unsigned long long)b->version);
    }
    return ARIL_OK;
}

/* The node's own key opens its section. */
static aril_status open_section(struct taking *t, aril_error *error)
{
    aril_keyring *kr = t->ch->kr;
    const struct arili_key *key = NULL;
    uint8_t node[ARIL_NODE_ID_BYTES];
    ARILI_TRY(own_id(kr, t->ch->from, &key, node));
    ARILI_TRY(find_section(t->b, node, &t->section, error));
    ARILI_DEFER(arili_payload_wipe) struct arili_payload p = { .len = 0 };
    ARILI_TRY(arili_keyring_unwrap(kr, t->ch->from, key, &p, error));
    ARILI_DEFER(arili_hpke_key_freep) struct arili_hpke_key *hpke_key = NULL;
    const struct arili_hpke_suite suite = kr->profile->suite;
    ARILI_TRY(arili_hpke_key_import(&kr->rt->crypto, suite.kem,
                                    (aril_bytes){ p.bytes, arili_hpke_seed_bytes(suite.kem) },
                                    &hpke_key));
    uint8_t info[ARILI_BUNDLE_INFO_BYTES];
    arili_bundle_info_write(t->b, node, info);
    return arili_hpke_setup_recipient(&kr->rt->crypto, suite, hpke_key, t->section.enc,
                                      (aril_bytes){ info, sizeof info }, NULL, &t->hpke);
}

/* --- Keys ---------------------------------------------------------------------------------- */

/* This node's own key-encryption key for a tenant; made when it is not there. */
static aril_status tenant_kek(struct taking *t, aril_bytes owner, struct arili_kek **ret,
                              aril_error *error)
{
    aril_keyring *kr = t->ch->kr;
    const aril_key_slot slot = { .purpose = ARIL_KEY_TENANT, .owner = owner };
    *ret = arili_keklist_find(&t->fresh, owner);
    if (*ret != NULL) {
        return ARIL_OK;
    }
    const struct arili_key *there = arili_slot_active(t->ch->from, &slot);
    if (there != NULL) {
        return arili_keyring_kek(kr, t->ch->from, arili_key_id(there), ret, error);
    }
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *root = NULL;
    ARILI_TRY(arili_keyring_root(kr, t->ch->from, &root, error));
    const struct arili_making making = { .slot = slot, .parent = root };
    ARILI_DEFER(arili_made_wipe) struct arili_made made = { .id = { 0 } };
    ARILI_TRY(arili_key_make(t->ch, &making, &made));
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *kek = NULL;
    ARILI_TRY(arili_kek_new(kr->rt, kr->profile, ARIL_KEY_TENANT, &made.payload, &kek));
    ARILI_TRY(arili_keklist_add(&t->fresh, owner, kek));
    *ret = ARILI_TAKE(kek);
    return ARIL_OK;
}

static aril_status make_key(struct taking *t, const struct arili_bundle_key *k,
                            const struct arili_payload *payload, aril_error *error)
{
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *parent = NULL;
    ARILI_TRY(tenant_kek(t, k->owner, &parent, error));
    struct arili_key_row dates = { .version = k->version,
                                   .created_s = k->created_s,
                                   .activates_s = k->activates_s,
                                   .rotate_by_s = k->rotate_by_s,
                                   .not_after_s = k->not_after_s,
                                   .changed_s = k->changed_s };
    memcpy(dates.predecessor, k->predecessor, sizeof dates.predecessor);
    const struct arili_making making = { .slot = { k->purpose, k->owner, k->label },
                                         .parent = parent,
                                         .payload = payload,
                                         .state = k->state,
                                         .dates = &dates };
    ARILI_DEFER(arili_made_wipe) struct arili_made made = { .id = { 0 } };
    ARILI_TRY(arili_key_make(t->ch, &making, &made));
    ARILI_ENSURE(arili_equal_ct(made.id, k->id, sizeof made.id), ARIL_E_AUTH);
    return ARIL_OK;
}

static int order_owners(const void *a, const void *b)
{
    return arili_row_order(0, *(const aril_bytes *)a, 0, *(const aril_bytes *)b);
}

static aril_status find_buried(struct taking *t)
{
    aril_bytes list = t->b->tombstones;
    if (t->b->tombstone_count == 0) {
        return ARIL_OK;
    }
    t->buried = arili_alloc((size_t)t->b->tombstone_count * sizeof *t->buried);
    ARILI_ENSURE(t->buried != NULL, ARIL_E_NOMEM);
    for (uint32_t i = 0; i < t->b->tombstone_count; i++) {
        struct arili_bundle_tombstone tomb;
        ARILI_TRY(arili_bundle_next_tombstone(&list, &tomb));
        t->buried[i] = tomb.tenant;
    }
    return ARIL_OK;
}

/* By a tombstone that is there, or by one of this bundle. */
static bool is_buried(const struct taking *t, aril_bytes owner)
{
    return arili_rowset_find(t->ch->from, ARILI_ROW_TOMBSTONE, owner) != NULL ||
           (t->buried != NULL && bsearch(&owner, t->buried, t->b->tombstone_count,
                                         sizeof *t->buried, order_owners) != NULL);
}

static aril_status take_key(struct taking *t, const struct arili_bundle_key *k,
                            const uint8_t sealed[ARILI_BUNDLE_SEALED_BYTES], aril_error *error)
{
    ARILI_DEFER(arili_payload_wipe) struct arili_payload p = { .len = 0 };
    ARILI_TRY(arili_hpke_open(&t->hpke, k->encoded,
                              (aril_bytes){ sealed, ARILI_BUNDLE_SEALED_BYTES }, p.bytes,
                              sizeof p.bytes, &p.len));
    if (is_buried(t, k->owner)) {
        return ARIL_OK; /* a tombstone wins, whatever the bundle says */
    }
    const struct arili_key *there = arili_rowset_key(t->ch->from, k->id);
    if (there == NULL) {
        return make_key(t, k, &p, error);
    }
    t->named[there - t->ch->from->keys] = 1;
    return k->state > there->said.state ? arili_key_set_state(t->ch, there, k->state) : ARIL_OK;
}

static aril_status take_keys(struct taking *t, aril_error *error)
{
    aril_bytes list = t->b->keys;
    uint32_t entry = 0;
    for (uint32_t i = 0; i < t->b->key_count; i++) {
        struct arili_bundle_key k;
        ARILI_TRY(arili_bundle_next_key(&list, &k));
        uint32_t index = 0;
        uint8_t sealed[ARILI_BUNDLE_SEALED_BYTES];
        if (entry == t->section.entry_count) {
            break;
        }
        arili_bundle_entry(&t->section, entry, &index, sealed);
        if (index != i) {
            continue;
        }
        entry++;
        const aril_status st = take_key(t, &k, sealed, error);
        if (st == ARIL_E_AUTH) {
            return arili_error_set(error, st,
                                   "a key of the bundle does not open: it is damaged, or was made "
                                   "for another node; fetch it again");
        }
        ARILI_TRY(st);
    }
    return ARIL_OK;
}

/* --- What is gone -------------------------------------------------------------------------- */

static aril_status take_tombstones(struct taking *t)
{
    aril_bytes list = t->b->tombstones;
    for (uint32_t i = 0; i < t->b->tombstone_count; i++) {
        struct arili_bundle_tombstone tomb;
        ARILI_TRY(arili_bundle_next_tombstone(&list, &tomb));
        if (arili_rowset_find(t->ch->from, ARILI_ROW_TOMBSTONE, tomb.tenant) != NULL) {
            continue;
        }
        uint8_t body[64 + ARIL_KEY_ID_BYTES];
        size_t len;
        struct arili_tombstone_row row = { .time_s = tomb.time_s,
                                           .generation = tomb.generation,
                                           .bundle_version = t->b->version };
        memcpy(row.root, t->ch->head.root, sizeof row.root);
        ARILI_TRY(arili_shred_keys(t->ch, tomb.tenant, &row.keys));
        ARILI_TRY(arili_tombstone_row_write(&row, body, sizeof body, &len));
        ARILI_TRY(
            arili_change_put(t->ch, ARILI_ROW_TOMBSTONE, tomb.tenant, (aril_bytes){ body, len }));
    }
    return ARIL_OK;
}

/* Keys that the bundle does not name: retired or destroyed at the authority, or no business of
 * this node any more. Destroyed ones stay, to say so. */
static aril_status erase_others(struct taking *t)
{
    const struct arili_rowset *set = t->ch->from;
    for (size_t i = 0; i < set->key_count; i++) {
        const struct arili_key *key = &set->keys[i];
        const aril_key_purpose p = key->said.purpose;
        if ((p == ARIL_KEY_DATA || p == ARIL_KEY_NAME || p == ARIL_KEY_LEGACY) &&
            key->said.state != ARIL_KEY_DESTROYED && !t->named[i]) {
            ARILI_TRY(arili_change_erase(t->ch, ARILI_ROW_KEY, arili_row_id(key->row)));
        }
    }
    return ARIL_OK;
}

static aril_status take_authorities(struct taking *t)
{
    const struct arili_bundle *b = t->b;
    if (b->successor.len > 0) {
        const struct arili_authority_row row = { .alg = t->ch->kr->profile->sign,
                                                 .since_s = t->ch->now_s,
                                                 .public_key = b->successor };
        struct arili_key_hash hash;
        ARILI_TRY(arili_key_hash(t->ch->kr->rt, b->successor, &hash));
        if (arili_rowset_find(t->ch->from, ARILI_ROW_AUTHORITY,
                              (aril_bytes){ hash.bytes, sizeof hash.bytes }) == NULL &&
            !has_id(b->revoked_authorities, b->revoked_authority_count, hash.bytes)) {
            ARILI_TRY(arili_authority_put(t->ch, &row));
        }
    }
    for (uint32_t i = 0; i < b->revoked_authority_count; i++) {
        const aril_bytes id = { b->revoked_authorities.data + (size_t)i * ARILI_DID_HASH_BYTES,
                                ARILI_DID_HASH_BYTES };
        const struct arili_row *row = arili_rowset_find(t->ch->from, ARILI_ROW_AUTHORITY, id);
        struct arili_authority_row said;
        if (row != NULL) {
            ARILI_TRY(arili_authority_row_parse(arili_row_body(row), &said));
            said.revoked = true;
            ARILI_TRY(arili_authority_put(t->ch, &said));
        }
    }
    return ARIL_OK;
}

/* --- All of it ----------------------------------------------------------------------------- */

/* What the form of a bundle allows and a keyring does not: two keys of one version, a purpose that
 * nodes do not take. */
static aril_status contradicts(aril_status st, aril_error *error)
{
    const aril_status class = aril_status_class(st);
    if (class != ARIL_E_FORMAT && class != ARIL_E_USAGE) {
        return st;
    }
    return arili_error_set(error, ARIL_E_FORMAT_FIELD,
                           "the bundle names keys that a node can not have, or two of one version; "
                           "find out what is wrong with the authority, then fetch a newer one");
}

static aril_status take(struct arili_change *ch, const struct arili_bundle *b, aril_error *error)
{
    ARILI_DEFER(taking_done) struct taking t = { .ch = ch, .b = b };
    t.named = arili_alloc(ch->from->key_count + 1);
    ARILI_ENSURE(t.named != NULL, ARIL_E_NOMEM);
    ARILI_TRY(open_section(&t, error));
    ARILI_TRY(find_buried(&t));
    /* Later words on a row count: what is erased first may be made again below. */
    ARILI_TRY(contradicts(take_keys(&t, error), error));
    ARILI_TRY(erase_others(&t));
    ARILI_TRY(take_tombstones(&t));
    ARILI_TRY(take_authorities(&t));
    ARILI_TRY(arili_floors_take(ch, b));
    ch->head.bundle_version = b->version;
    ch->raises = true;
    return contradicts(arili_change_commit(ch, error), error);
}

static aril_status apply(aril_keyring *kr, aril_bytes bundle, int *ret_changed, aril_error *error)
{
    struct arili_bundle b;
    const aril_status st = arili_bundle_parse(bundle, &b);
    if (st != ARIL_OK) {
        return arili_error_set(error, st,
                               "this is no key bundle, or only a part of one; fetch it again");
    }
    if (b.profile != kr->profile->id) {
        return arili_error_set(error, ARIL_E_PROFILE, "the bundle has the profile %s, this node %s",
                               aril_profile_name(b.profile), kr->profile->name);
    }
    ARILI_TRY(arili_rotation_finish(kr, error));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, ARILI_CHANGE_ANY_CLOCK, &ch, error));
    ARILI_TRY(check_authority(kr, ch.from, &b, error));
    ARILI_TRY(check_not_revoked(&ch, &b, error));
    ARILI_TRY(check_time(&ch, &b, error));
    uint8_t digest[32];
    ARILI_TRY(kr->rt->crypto.ops->hash(kr->rt->crypto.provider, ARILI_SHA256, &bundle, 1, digest));
    ARILI_TRY(check_one_authority(&ch, &b, digest, error));
    if (b.version == ch.head.bundle_version) {
        return ARIL_OK;
    }
    memcpy(ch.head.bundle_digest, digest, sizeof digest);
    memcpy(ch.head.fleet, b.fleet, sizeof b.fleet);
    ARILI_TRY(take(&ch, &b, error));
    arili_keyring_forget_secrets(kr);
    *ret_changed = 1;
    return ARIL_OK;
}

aril_status aril_keyring_bundle_apply(aril_keyring *keyring, aril_bytes bundle, int *ret_changed,
                                      aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && bundle.data != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_TRY(arili_node_only(keyring, error));
    int changed = 0;
    const aril_status st = apply(keyring, bundle, &changed, error);
    if (ret_changed != NULL) {
        *ret_changed = changed;
    }
    if (st == ARIL_OK && !changed) {
        return ARIL_OK;
    }
    return arili_keyring_tell(keyring, ARIL_EVENT_FLEET, "bundle-apply", st,
                              (aril_bytes){ NULL, 0 }, NULL, NULL);
}
