/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet_forge.h"
#include "base/bytes.h"
#include "format/pem.h"
#include "identity/keys.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

#define BUNDLE_ROOM ((size_t)1 << 18)

/* --- A small fleet ------------------------------------------------------------------------------
 */

void small_fleet_init(struct small_fleet *f, unsigned capabilities)
{
    world_init(&f->w);
    home_init(&f->authority, &f->w, "authority.aril", capabilities);
    home_make(&f->authority, ARIL_PROFILE_ML_KEM_768, NULL);
    home_tenant(&f->authority, "ada");
    home_tenant(&f->authority, "bob");
    home_init(&f->alpha, &f->w, "alpha.aril", capabilities);
    home_make_node(&f->alpha, &f->authority, "alpha");
    assert_status(fleet_enrol(&f->authority, &f->alpha, NULL), ARIL_OK);
    home_init(&f->beta, &f->w, "beta.aril", capabilities);
    home_make_node(&f->beta, &f->authority, "beta");
    assert_status(fleet_enrol(&f->authority, &f->beta, "bob"), ARIL_OK);
}

void small_fleet_done(struct small_fleet *f)
{
    home_done(&f->alpha);
    home_done(&f->beta);
    home_done(&f->authority);
    world_done(&f->w);
}

aril_span fleet_next(struct keyring_home *authority)
{
    const char *path = fleet_bundle(authority, "next.bundle");
    const aril_span bundle = home_read(path);
    temp_clear(path);
    return bundle;
}

aril_status fleet_take(struct keyring_home *node, aril_span bundle)
{
    int changed = -1;
    node->error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_keyring_bundle_apply(
        node->kr, (aril_bytes){ bundle.data, bundle.len }, &changed, &node->error);
    assert_true(st == ARIL_OK ? changed == 0 || changed == 1 : changed == 0 || changed == -1);
    assert_true(st == ARIL_OK || node->error.status == st);
    return st;
}

void small_fleet_share(struct small_fleet *f)
{
    struct keyring_home *const nodes[] = { &f->alpha, &f->beta };
    const aril_span bundle = fleet_next(&f->authority);
    for (size_t i = 0; i < COUNT(nodes); i++) {
        if (nodes[i]->kr != NULL && fleet_take(nodes[i], bundle) != ARIL_OK) {
            fail_msg("%s: %s", nodes[i]->path, nodes[i]->error.message);
        }
    }
    free(bundle.data);
}

/* --- Signing keys ----------------------------------------------------------------------- */

static aril_identity *identity_of(aril_keyring *kr, aril_key_purpose purpose, uint32_t version)
{
    struct arili_rowset *set = arili_keyring_rows(kr);
    const struct arili_key *found = NULL;
    for (size_t i = 0; i < set->key_count; i++) {
        const struct arili_key *k = &set->keys[i];
        if (k->said.purpose == purpose && (version == 0 || k->said.version == version) &&
            (found == NULL || k->said.version > found->said.version)) {
            found = k;
        }
    }
    assert_non_null(found);
    aril_identity *identity = NULL;
    aril_keyring *held = NULL;
    assert_status(arili_keyring_enter(kr, &held), ARIL_OK);
    assert_status(arili_keyring_identity(kr, set, found, &identity, NULL), ARIL_OK);
    arili_keyring_leavep(&held);
    arili_rowset_drop(set);
    return identity;
}

aril_identity *forge_authority(aril_keyring *kr, uint32_t version)
{
    return identity_of(kr, ARIL_KEY_AUTHORITY, version);
}

aril_identity *forge_node(aril_keyring *kr)
{
    return identity_of(kr, ARIL_KEY_NODE, 0);
}

/* --- Cards and receipts --------------------------------------------------------------------- */

void fleet_card(aril_keyring *node, struct fleet_text *ret)
{
    assert_status(aril_keyring_card(node, ret->pem, sizeof ret->pem, &ret->len, NULL), ARIL_OK);
}

void fleet_receipt(aril_keyring *node, struct fleet_text *ret)
{
    assert_status(aril_keyring_receipt(node, ret->pem, sizeof ret->pem, &ret->len, NULL), ARIL_OK);
}

static void unwrap(const struct fleet_text *t, const char *label, struct fleet_inside *ret)
{
    assert_status(arili_pem_parse(fleet_text_bytes(t), label, ret->der, sizeof ret->der, &ret->len),
                  ARIL_OK);
}

void fleet_card_inside(const struct fleet_text *t, struct fleet_inside *ret)
{
    unwrap(t, ARILI_CARD_LABEL, ret);
    assert_status(arili_card_parse((aril_bytes){ ret->der, ret->len }, &ret->card), ARIL_OK);
}

void fleet_receipt_inside(const struct fleet_text *t, struct fleet_inside *ret)
{
    unwrap(t, ARILI_RECEIPT_LABEL, ret);
    assert_status(arili_receipt_parse((aril_bytes){ ret->der, ret->len }, &ret->receipt), ARIL_OK);
}

void fleet_wrap(const char *label, aril_bytes der, struct fleet_text *ret)
{
    assert_status(arili_pem_write(label, der, ret->pem, sizeof ret->pem, &ret->len), ARIL_OK);
}

static aril_bytes sign(const aril_identity *signer, aril_bytes context, aril_bytes message,
                       uint8_t room[ARIL_SIGN_SIGNATURE_BYTES_MAX])
{
    size_t len = 0;
    assert_status(
        aril_identity_sign(signer, context, message, room, ARIL_SIGN_SIGNATURE_BYTES_MAX, &len),
        ARIL_OK);
    return (aril_bytes){ room, len };
}

void forge_card(const struct arili_card *card, const aril_identity *signer, struct fleet_text *ret)
{
    struct arili_card c = *card;
    uint8_t der[ARIL_CARD_BYTES_MAX];
    uint8_t signature[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len = 0;
    assert_status(arili_card_write_core(&c, der, sizeof der, &len), ARIL_OK);
    c.signature = sign(signer, ARILI_CARD_CONTEXT, (aril_bytes){ der, len }, signature);
    assert_status(arili_card_write(&c, der, sizeof der, &len), ARIL_OK);
    fleet_wrap(ARILI_CARD_LABEL, (aril_bytes){ der, len }, ret);
}

void forge_receipt(const struct arili_receipt *receipt, const aril_identity *signer,
                   struct fleet_text *ret)
{
    struct arili_receipt r = *receipt;
    uint8_t der[ARIL_RECEIPT_BYTES_MAX];
    uint8_t signature[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len = 0;
    assert_status(arili_receipt_write_core(&r, der, sizeof der, &len), ARIL_OK);
    r.signature = sign(signer, ARILI_RECEIPT_CONTEXT, (aril_bytes){ der, len }, signature);
    assert_status(arili_receipt_write(&r, der, sizeof der, &len), ARIL_OK);
    fleet_wrap(ARILI_RECEIPT_LABEL, (aril_bytes){ der, len }, ret);
}

/* --- Parts of bundles ------------------------------------------------------------------------ */

static void node_key(aril_keyring *node, struct arili_rowset *set, aril_bytes *ret_kem,
                     uint8_t ret_id[ARIL_NODE_ID_BYTES])
{
    const struct arili_key *key = NULL;
    aril_bytes signing;
    assert_status(arili_node_key(node, set, &key, ret_kem, &signing), ARIL_OK);
    assert_status(arili_node_id(&node->rt->crypto, *ret_kem, signing, ret_id), ARIL_OK);
}

void forge_node_id(aril_keyring *node, uint8_t ret[ARIL_NODE_ID_BYTES])
{
    struct arili_rowset *set = arili_keyring_rows(node);
    aril_bytes kem;
    node_key(node, set, &kem, ret);
    arili_rowset_drop(set);
}

static struct arili_payload payload_of(uint64_t seed)
{
    struct arili_payload p = { .len = ARILI_AEAD_KEY_BYTES };
    fill_pattern(p.bytes, p.len, seed);
    return p;
}

void forge_key_id(aril_keyring *kr, uint64_t seed, uint8_t ret[ARIL_KEY_ID_BYTES])
{
    const struct arili_payload p = payload_of(seed);
    assert_status(arili_payload_id(&kr->rt->crypto, kr->profile, &p, ret), ARIL_OK);
}

void forge_init(struct forge *f, aril_keyring *authority, aril_keyring *node)
{
    struct arili_rowset *set = arili_keyring_rows(authority);
    *f = (struct forge){ .authority = authority,
                         .profile = set->head.profile,
                         .version = set->head.bundle_version + 1,
                         .nodes = { node } };
    memcpy(f->fleet, authority->id, sizeof f->fleet);
    arili_rowset_drop(set);
    assert_status(authority->rt->clock.unix_s(authority->rt->clock.state, &f->created_s), ARIL_OK);
    f->expires_s = f->created_s + 7 * UINT64_C(86400);
}

void forge_add(struct forge *f, struct forge_key key)
{
    assert_true(f->key_count < FORGE_KEYS);
    f->keys[f->key_count++] = key;
}

/* Bytes that are collected. */
struct pile {
    uint8_t *data;
    size_t len;
};
static struct pile pile_new(void)
{
    struct pile p = { malloc(BUNDLE_ROOM), 0 };
    assert_non_null(p.data);
    return p;
}
static void pile_add(struct pile *p, const void *data, size_t len)
{
    assert_true(len <= BUNDLE_ROOM - p->len);
    memcpy(p->data + p->len, data, len);
    p->len += len;
}
static aril_bytes pile_bytes(const struct pile *p)
{
    return (aril_bytes){ p->data, p->len };
}

struct listed {
    const struct forge_key *key;
    uint8_t id[ARIL_KEY_ID_BYTES];
    uint8_t encoded[512];
    size_t len;
};

static int order_listed(const void *a, const void *b)
{
    return memcmp(((const struct listed *)a)->id, ((const struct listed *)b)->id,
                  ARIL_KEY_ID_BYTES);
}

static void list_keys(const struct forge *f, struct listed *listed, struct pile *pile)
{
    for (size_t i = 0; i < f->key_count; i++) {
        listed[i].key = &f->keys[i];
        forge_key_id(f->authority, f->keys[i].seed, listed[i].id);
        listed[i].id[31] ^= f->keys[i].wrong_id;
    }
    qsort(listed, f->key_count, sizeof *listed, order_listed);
    for (size_t i = 0; i < f->key_count; i++) {
        const struct forge_key *key = listed[i].key;
        struct arili_bundle_key k = { .purpose = key->purpose,
                                      .state = key->state,
                                      .version = key->version,
                                      .created_s = f->created_s,
                                      .activates_s = f->created_s,
                                      .changed_s = f->created_s,
                                      .owner = text_bytes(key->owner) };
        k.label = key->label != NULL ? text_bytes(key->label) : k.label;
        memcpy(k.id, listed[i].id, sizeof k.id);
        assert_status(
            arili_bundle_key_write(&k, listed[i].encoded, sizeof listed[i].encoded, &listed[i].len),
            ARIL_OK);
        pile_add(pile, listed[i].encoded, listed[i].len);
    }
}

static uint32_t list_tombstones(const struct forge *f, struct pile *pile)
{
    uint32_t count = 0;
    for (; count < FORGE_OTHERS && f->tombstones[count] != NULL; count++) {
        const struct arili_bundle_tombstone t = { .tenant = text_bytes(f->tombstones[count]),
                                                  .time_s = f->created_s,
                                                  .generation = 1 };
        uint8_t room[320];
        size_t len = 0;
        assert_status(arili_bundle_tombstone_write(&t, room, sizeof room, &len), ARIL_OK);
        pile_add(pile, room, len);
    }
    return count;
}

static uint32_t list_floors(const struct forge *f, struct pile *pile)
{
    uint32_t count = 0;
    for (; count < FORGE_OTHERS && f->floors[count].name != NULL; count++) {
        const struct arili_bundle_floor floor = { .name = text_bytes(f->floors[count].name),
                                                  .value = f->floors[count].value };
        uint8_t room[320];
        size_t len = 0;
        assert_status(arili_bundle_floor_write(&floor, room, sizeof room, &len), ARIL_OK);
        pile_add(pile, room, len);
    }
    return count;
}

static uint32_t list_authorities(const struct forge *f, struct pile *pile)
{
    uint32_t count = 0;
    for (; count < FORGE_OTHERS && f->revoked_authorities[count].len > 0; count++) {
        struct arili_key_hash hash;
        assert_status(arili_key_hash(f->authority->rt, f->revoked_authorities[count], &hash),
                      ARIL_OK);
        pile_add(pile, hash.bytes, sizeof hash.bytes);
    }
    return count;
}

static void seal_entries(const struct forge *f, const struct listed *listed,
                         struct arili_hpke_ctx *hpke, struct pile *pile)
{
    for (size_t i = 0; i < f->key_count; i++) {
        if (listed[i].key->unsealed) {
            continue;
        }
        const struct arili_payload p = payload_of(listed[i].key->seed);
        uint8_t entry[4 + ARILI_BUNDLE_SEALED_BYTES];
        size_t len = 0;
        arili_store32(entry, (uint32_t)i);
        assert_status(arili_hpke_seal(hpke, (aril_bytes){ listed[i].encoded, listed[i].len },
                                      arili_payload_bytes(&p), entry + 4, sizeof entry - 4, &len),
                      ARIL_OK);
        pile_add(pile, entry, sizeof entry);
    }
}

static void add_section(const struct forge *f, const struct arili_bundle *b, aril_keyring *node,
                        const struct listed *listed, struct pile *pile)
{
    struct arili_rowset *set = arili_keyring_rows(node);
    struct arili_bundle_section s = { .entry_count = 0 };
    aril_bytes kem;
    node_key(node, set, &kem, s.node);
    for (size_t i = 0; i < f->key_count; i++) {
        s.entry_count += !listed[i].key->unsealed;
    }
    uint8_t info[ARILI_BUNDLE_INFO_BYTES];
    uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX];
    uint8_t room[ARILI_HPKE_ENC_BYTES_MAX + 64];
    size_t len = 0;
    const struct arili_hpke_suite suite = node->profile->suite;
    s.enc = (aril_bytes){ enc, arili_hpke_enc_bytes(suite.kem) };
    arili_bundle_info_write(b, s.node, info);
    struct arili_hpke_ctx hpke;
    assert_status(arili_hpke_setup_sender(&node->rt->crypto, suite, kem,
                                          (aril_bytes){ info, sizeof info }, NULL, NULL, enc,
                                          s.enc.len, &hpke),
                  ARIL_OK);
    assert_status(arili_bundle_section_write(&s, room, sizeof room, &len), ARIL_OK);
    pile_add(pile, room, len);
    seal_entries(f, listed, &hpke, pile);
    arili_hpke_done(&hpke);
    arili_rowset_drop(set);
}

/* --- Bundles ------------------------------------------------------------------------------------
 */

static aril_span sign_bundle(struct arili_bundle *b, const aril_identity *signer)
{
    uint8_t signature[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    struct pile whole = pile_new();
    assert_status(arili_bundle_write_core(b, whole.data, BUNDLE_ROOM, &whole.len), ARIL_OK);
    b->signature = sign(signer, ARILI_BUNDLE_CONTEXT, pile_bytes(&whole), signature);
    assert_status(arili_bundle_write(b, whole.data, BUNDLE_ROOM, &whole.len), ARIL_OK);
    return (aril_span){ whole.data, whole.len };
}

aril_span forge_end(const struct forge *f, const aril_identity *signer)
{
    struct listed listed[FORGE_KEYS];
    struct pile keys = pile_new();
    struct pile tombstones = pile_new();
    struct pile authorities = pile_new();
    struct pile sections = pile_new();
    struct pile floors = pile_new();
    struct arili_bundle b = { .profile = f->profile,
                              .version = f->version,
                              .created_s = f->created_s,
                              .expires_s = f->expires_s,
                              .authority = aril_identity_public(signer),
                              .successor = f->successor };
    memcpy(b.fleet, f->fleet, sizeof b.fleet);
    list_keys(f, listed, &keys);
    b.key_count = (uint32_t)f->key_count;
    b.tombstone_count = list_tombstones(f, &tombstones);
    b.revoked_authority_count = list_authorities(f, &authorities);
    b.floor_count = list_floors(f, &floors);
    b.floors = pile_bytes(&floors);
    for (; b.section_count < FORGE_OTHERS && f->nodes[b.section_count] != NULL; b.section_count++) {
        add_section(f, &b, f->nodes[b.section_count], listed, &sections);
    }
    b.keys = pile_bytes(&keys);
    b.tombstones = pile_bytes(&tombstones);
    b.revoked_authorities = pile_bytes(&authorities);
    b.revoked_node_count = (uint32_t)f->revoked_node_count;
    b.revoked_nodes =
        (aril_bytes){ f->revoked_nodes[0], f->revoked_node_count * ARIL_NODE_ID_BYTES };
    b.sections = pile_bytes(&sections);
    const aril_span whole = sign_bundle(&b, signer);
    free(keys.data);
    free(tombstones.data);
    free(authorities.data);
    free(sections.data);
    free(floors.data);
    return whole;
}

aril_span forge_again(aril_bytes bundle, forge_edit_fn *edit, void *arg,
                      const aril_identity *signer)
{
    struct arili_bundle b;
    assert_status(arili_bundle_parse(bundle, &b), ARIL_OK);
    b.authority = aril_identity_public(signer);
    if (edit != NULL) {
        edit(&b, arg);
    }
    return sign_bundle(&b, signer);
}

/* --- Nothing happened
 * ----------------------------------------------------------------------------- */

struct keyring_trace keyring_trace(aril_keyring *kr)
{
    struct keyring_trace t = { .revision = 0 };
    aril_keyring_info info;
    assert_status(aril_keyring_get_info(kr, &info, NULL), ARIL_OK);
    t.revision = info.revision;
    t.generation = info.generation;
    t.bundle_version = info.bundle_version;
    memcpy(t.keys, info.keys, sizeof t.keys);
    struct arili_rowset *set = arili_keyring_rows(kr);
    memcpy(t.mac, set->head_mac, set->head_mac_len);
    arili_rowset_drop(set);
    return t;
}

void assert_untouched(aril_keyring *kr, const struct keyring_trace *before)
{
    const struct keyring_trace now = keyring_trace(kr);
    assert_int_equal(now.revision, before->revision);
    assert_int_equal(now.generation, before->generation);
    assert_int_equal(now.bundle_version, before->bundle_version);
    assert_memory_equal(now.keys, before->keys, sizeof now.keys);
    assert_memory_equal(now.mac, before->mac, sizeof now.mac);
}
