/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "identity/keys.h"
#include "keyring/fleet.h"
#include "keyring/rotation.h"
#include <string.h>

#define DAY_S             UINT64_C(86400)
#define KEY_BYTES_MAX     448u
#define ENTRY_BYTES       (4u + ARILI_BUNDLE_SEALED_BYTES)
#define SECTION_BYTES_MAX (ARIL_NODE_ID_BYTES + 2u + ARILI_HPKE_ENC_BYTES_MAX + 4u)

/* Bytes that are collected; wiped with their memory. */
struct buffer {
    uint8_t *data;
    size_t len, cap;
};
static void buffer_done(struct buffer *b)
{
    arili_free(b->data, b->cap);
}
static aril_status buffer_init(struct buffer *b, size_t cap)
{
    b->cap = cap > 0 ? cap : 1;
    b->data = arili_alloc(b->cap);
    ARILI_ENSURE(b->data != NULL, ARIL_E_NOMEM);
    return ARIL_OK;
}
static aril_bytes buffer_bytes(const struct buffer *b)
{
    return (aril_bytes){ b->data, b->len };
}

/* What goes into a bundle: the keys in order of their ids, encoded, and their secrets. */
struct packing {
    aril_keyring *kr;
    const struct arili_rowset *set;
    const struct arili_key **chosen;
    size_t count, cap;
    aril_bytes *encoded; /* of each key */
    struct buffer keys, secrets, tombstones, nodes, floors, authorities, sections;
};

static void packing_done(struct packing *p)
{
    arili_free(p->chosen, p->cap * sizeof *p->chosen);
    arili_free(p->encoded, p->cap * sizeof *p->encoded);
    buffer_done(&p->keys);
    buffer_done(&p->secrets);
    buffer_done(&p->tombstones);
    buffer_done(&p->nodes);
    buffer_done(&p->floors);
    buffer_done(&p->authorities);
    buffer_done(&p->sections);
}

/* --- Keys ---------------------------------------------------------------------------------- */

static bool belongs(const struct arili_key *key)
{
    const struct arili_key_row *said = &key->said;
    return (said->purpose == ARIL_KEY_DATA || said->purpose == ARIL_KEY_NAME ||
            said->purpose == ARIL_KEY_LEGACY) &&
           said->state <= ARIL_KEY_DECRYPT_ONLY;
}

static aril_status choose_keys(struct packing *p)
{
    size_t count;
    const size_t first = arili_rowset_kind(p->set, ARILI_ROW_KEY, &count);
    p->cap = count + 1;
    p->chosen = arili_alloc(p->cap * sizeof *p->chosen);
    p->encoded = arili_alloc(p->cap * sizeof *p->encoded);
    ARILI_ENSURE(p->chosen != NULL && p->encoded != NULL, ARIL_E_NOMEM);
    for (size_t i = first; i < first + count; i++) {
        const struct arili_key *key = arili_rowset_key(p->set, p->set->rows[i]->bytes);
        if (key != NULL && belongs(key)) {
            p->chosen[p->count++] = key;
        }
    }
    return ARIL_OK;
}

static aril_status pack_key(struct packing *p, size_t index, aril_error *error)
{
    const struct arili_key_row *said = &p->chosen[index]->said;
    struct arili_bundle_key k = { .purpose = said->purpose,
                                  .state = said->state,
                                  .version = said->version,
                                  .created_s = said->created_s,
                                  .activates_s = said->activates_s,
                                  .rotate_by_s = said->rotate_by_s,
                                  .not_after_s = said->not_after_s,
                                  .changed_s = said->changed_s,
                                  .owner = said->owner,
                                  .label = said->label };
    memcpy(k.id, arili_key_id(p->chosen[index]), sizeof k.id);
    memcpy(k.predecessor, said->predecessor, sizeof k.predecessor);
    size_t len;
    uint8_t *at = p->keys.data + p->keys.len;
    ARILI_TRY(arili_bundle_key_write(&k, at, p->keys.cap - p->keys.len, &len));
    p->encoded[index] = (aril_bytes){ at, len };
    p->keys.len += len;
    ARILI_DEFER(arili_payload_wipe) struct arili_payload payload = { .len = 0 };
    ARILI_TRY(arili_keyring_unwrap(p->kr, p->set, p->chosen[index], &payload, error));
    ARILI_ENSURE(payload.len == ARILI_AEAD_KEY_BYTES, ARIL_E_AUTH);
    memcpy(p->secrets.data + p->secrets.len, payload.bytes, payload.len);
    p->secrets.len += payload.len;
    return ARIL_OK;
}

static aril_status pack_keys(struct packing *p, aril_error *error)
{
    ARILI_TRY(choose_keys(p));
    ARILI_TRY(buffer_init(&p->keys, p->count * KEY_BYTES_MAX));
    ARILI_TRY(buffer_init(&p->secrets, p->count * ARILI_AEAD_KEY_BYTES));
    for (size_t i = 0; i < p->count; i++) {
        ARILI_TRY(pack_key(p, i, error));
    }
    return ARIL_OK;
}

/* --- Tombstones, revoked nodes and authorities, floors -------------------------------------- */

static aril_status pack_tombstones(struct packing *p, struct arili_bundle *b)
{
    size_t count;
    const size_t first = arili_rowset_kind(p->set, ARILI_ROW_TOMBSTONE, &count);
    ARILI_TRY(buffer_init(&p->tombstones, count * (ARIL_KEY_OWNER_BYTES_MAX + 32)));
    for (size_t i = first; i < first + count; i++) {
        struct arili_tombstone_row said;
        ARILI_TRY(arili_tombstone_row_parse(arili_row_body(p->set->rows[i]), &said));
        const struct arili_bundle_tombstone t = { .tenant = arili_row_id(p->set->rows[i]),
                                                  .time_s = said.time_s,
                                                  .generation = said.generation };
        size_t len;
        ARILI_TRY(arili_bundle_tombstone_write(&t, p->tombstones.data + p->tombstones.len,
                                               p->tombstones.cap - p->tombstones.len, &len));
        p->tombstones.len += len;
    }
    b->tombstone_count = (uint32_t)count;
    b->tombstones = buffer_bytes(&p->tombstones);
    return ARIL_OK;
}

static aril_status pack_revoked_nodes(struct packing *p, struct arili_bundle *b)
{
    size_t count;
    const size_t first = arili_rowset_kind(p->set, ARILI_ROW_NODE, &count);
    ARILI_TRY(buffer_init(&p->nodes, count * ARIL_NODE_ID_BYTES));
    for (size_t i = first; i < first + count; i++) {
        struct arili_node_row said;
        ARILI_TRY(arili_node_row_parse(arili_row_body(p->set->rows[i]), &said));
        if (said.revoked) {
            memcpy(p->nodes.data + p->nodes.len, p->set->rows[i]->bytes, ARIL_NODE_ID_BYTES);
            p->nodes.len += ARIL_NODE_ID_BYTES;
            b->revoked_node_count++;
        }
    }
    b->revoked_nodes = buffer_bytes(&p->nodes);
    return ARIL_OK;
}

/* Rows ascend by their ids, which are the names. */
static aril_status pack_floors(struct packing *p, struct arili_bundle *b)
{
    size_t count;
    const size_t first = arili_rowset_kind(p->set, ARILI_ROW_FLOOR, &count);
    ARILI_TRY(buffer_init(&p->floors, count * (2u + ARILI_ROW_ID_BYTES_MAX + 8u)));
    for (size_t i = first; i < first + count; i++) {
        struct arili_bundle_floor f = { .name = arili_row_id(p->set->rows[i]) };
        size_t len;
        ARILI_TRY(arili_floor_row_parse(arili_row_body(p->set->rows[i]), &f.value));
        ARILI_TRY(arili_bundle_floor_write(&f, p->floors.data + p->floors.len,
                                           p->floors.cap - p->floors.len, &len));
        p->floors.len += len;
    }
    b->floor_count = (uint32_t)count;
    b->floors = buffer_bytes(&p->floors);
    return ARIL_OK;
}

/* In ascending order: each is put in its place. */
static void insert_hash(struct buffer *b, const uint8_t hash[ARILI_DID_HASH_BYTES])
{
    size_t at = b->len;
    while (at > 0 && memcmp(b->data + at - ARILI_DID_HASH_BYTES, hash, ARILI_DID_HASH_BYTES) > 0) {
        memcpy(b->data + at, b->data + at - ARILI_DID_HASH_BYTES, ARILI_DID_HASH_BYTES);
        at -= ARILI_DID_HASH_BYTES;
    }
    memcpy(b->data + at, hash, ARILI_DID_HASH_BYTES);
    b->len += ARILI_DID_HASH_BYTES;
}

/* Former signing keys that are retired sign no bundle any more. */
static aril_status pack_revoked_authorities(struct packing *p, struct arili_bundle *b)
{
    ARILI_TRY(buffer_init(&p->authorities, p->set->key_count * ARILI_DID_HASH_BYTES));
    for (size_t i = 0; i < p->set->key_count; i++) {
        const struct arili_key_row *said = &p->set->keys[i].said;
        if (said->purpose != ARIL_KEY_AUTHORITY || said->state < ARIL_KEY_RETIRED) {
            continue;
        }
        struct arili_key_hash hash;
        ARILI_TRY(arili_key_hash(p->kr->rt, said->public_key, &hash));
        insert_hash(&p->authorities, hash.bytes);
        b->revoked_authority_count++;
    }
    b->revoked_authorities = buffer_bytes(&p->authorities);
    return ARIL_OK;
}

/* --- Sections ------------------------------------------------------------------------------ */

void arili_bundle_info_write(const struct arili_bundle *b, const uint8_t node[ARIL_NODE_ID_BYTES],
                             uint8_t ret[ARILI_BUNDLE_INFO_BYTES])
{
    struct arili_writer w = arili_writer_init(ret, ARILI_BUNDLE_INFO_BYTES);
    arili_write_bytes(&w, ARILI_BUNDLE_CONTEXT);
    arili_write_bytes(&w, (aril_bytes){ b->fleet, sizeof b->fleet });
    arili_write64(&w, b->version);
    arili_write_bytes(&w, (aril_bytes){ node, ARIL_NODE_ID_BYTES });
}

static aril_status too_large(const aril_keyring *kr, size_t bytes, aril_error *error)
{
    return arili_error_set(error, ARIL_E_LIMIT,
                           "%s: the bundle would have %zu bytes; give nodes fewer tenants",
                           kr->path, bytes);
}

static uint32_t count_entries(const struct packing *p, const struct arili_node_row *node)
{
    uint32_t count = 0;
    for (size_t i = 0; i < p->count; i++) {
        count += arili_node_serves(node, p->chosen[i]->said.owner);
    }
    return count;
}

static aril_status seal_entries(struct packing *p, const struct arili_node_row *node,
                                struct arili_hpke_ctx *hpke)
{
    for (size_t i = 0; i < p->count; i++) {
        if (!arili_node_serves(node, p->chosen[i]->said.owner)) {
            continue;
        }
        ARILI_ENSURE(p->sections.cap - p->sections.len >= ENTRY_BYTES, ARIL_E_LIMIT);
        uint8_t *at = p->sections.data + p->sections.len;
        size_t len;
        arili_store32(at, (uint32_t)i);
        ARILI_TRY(arili_hpke_seal(
            hpke, p->encoded[i],
            (aril_bytes){ p->secrets.data + i * ARILI_AEAD_KEY_BYTES, ARILI_AEAD_KEY_BYTES },
            at + 4, ARILI_BUNDLE_SEALED_BYTES, &len));
        p->sections.len += ENTRY_BYTES;
    }
    return ARIL_OK;
}

static aril_status pack_section(struct packing *p, const struct arili_bundle *b,
                                const uint8_t *node_id, const struct arili_node_row *node)
{
    const struct arili_hpke_suite suite = p->kr->profile->suite;
    uint8_t info[ARILI_BUNDLE_INFO_BYTES];
    uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX];
    struct arili_bundle_section s = { .enc = { enc, arili_hpke_enc_bytes(suite.kem) },
                                      .entry_count = count_entries(p, node) };
    memcpy(s.node, node_id, sizeof s.node);
    arili_bundle_info_write(b, node_id, info);
    ARILI_DEFER(arili_hpke_done) struct arili_hpke_ctx hpke = { .seq = 0 };
    ARILI_TRY(arili_hpke_setup_sender(&p->kr->rt->crypto, suite, node->kem_public,
                                      (aril_bytes){ info, sizeof info }, NULL, NULL, enc, s.enc.len,
                                      &hpke));
    size_t len;
    ARILI_TRY(arili_bundle_section_write(&s, p->sections.data + p->sections.len,
                                         p->sections.cap - p->sections.len, &len));
    p->sections.len += len;
    return seal_entries(p, node, &hpke);
}

/* Room for the sections: what is no bundle any more is not sealed first. */
static aril_status reserve_sections(struct packing *p, size_t first, size_t count,
                                    aril_error *error)
{
    size_t bytes = 0;
    for (size_t i = first; i < first + count; i++) {
        struct arili_node_row node;
        ARILI_TRY(arili_node_row_parse(arili_row_body(p->set->rows[i]), &node));
        bytes += node.revoked ? 0 : SECTION_BYTES_MAX + count_entries(p, &node) * ENTRY_BYTES;
    }
    if (bytes > ARIL_BUNDLE_BYTES_MAX) {
        return too_large(p->kr, bytes, error);
    }
    return buffer_init(&p->sections, bytes);
}

static aril_status pack_sections(struct packing *p, struct arili_bundle *b, aril_error *error)
{
    size_t count;
    const size_t first = arili_rowset_kind(p->set, ARILI_ROW_NODE, &count);
    ARILI_TRY(reserve_sections(p, first, count, error));
    for (size_t i = first; i < first + count; i++) {
        struct arili_node_row node;
        ARILI_TRY(arili_node_row_parse(arili_row_body(p->set->rows[i]), &node));
        if (!node.revoked) {
            ARILI_TRY(pack_section(p, b, p->set->rows[i]->bytes, &node));
            b->section_count++;
        }
    }
    b->sections = buffer_bytes(&p->sections);
    return ARIL_OK;
}

/* --- Signature ----------------------------------------------------------------------------- */

/* Who signs: the oldest key that is not retired, which every node knows, and it names the next one.
 * It is retired when every node has heard of that. So of several new keys each is handed on by the
 * one before it, and a node never has to know two at once. */
static const struct arili_key *choose_signer(const struct arili_rowset *set, aril_bytes *ret_next)
{
    static const aril_key_slot slot = { .purpose = ARIL_KEY_AUTHORITY };
    const struct arili_key *active = arili_slot_active(set, &slot);
    const struct arili_key *signer = active;
    *ret_next = (aril_bytes){ NULL, 0 };
    size_t first;
    if (active == NULL || !arili_rowset_slot(set, slot.purpose, slot.owner, slot.label, &first)) {
        return active;
    }
    for (size_t i = first; arili_rowset_same_slot(set, first, i); i++) {
        if (set->keys[i].said.state == ARIL_KEY_DECRYPT_ONLY) {
            *ret_next = signer->said.public_key; /* versions go down: the oldest is the last */
            signer = &set->keys[i];
        }
    }
    return signer;
}

static aril_status sign_and_save(struct packing *p, struct arili_bundle *b,
                                 const aril_identity *identity, const char *path, aril_error *error)
{
    uint8_t signature[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    ARILI_DEFER(buffer_done) struct buffer whole = { .len = 0 };
    ARILI_TRY(buffer_init(&whole, 32768 + b->keys.len + b->tombstones.len + b->revoked_nodes.len +
                                      b->revoked_authorities.len + b->floors.len +
                                      b->sections.len));
    ARILI_TRY(arili_bundle_write_core(b, whole.data, whole.cap, &whole.len));
    ARILI_TRY(aril_identity_sign(identity, ARILI_BUNDLE_CONTEXT, buffer_bytes(&whole), signature,
                                 sizeof signature, &b->signature.len));
    b->signature.data = signature;
    ARILI_TRY(arili_bundle_write(b, whole.data, whole.cap, &whole.len));
    if (whole.len > ARIL_BUNDLE_BYTES_MAX) {
        return too_large(p->kr, whole.len, error);
    }
    return arili_file_write(path, buffer_bytes(&whole), ARILI_FILE_MODE_PUBLIC, true, error);
}

/* The next version. It is counted before the file is written: no version has two contents. */
static aril_status count_up(aril_keyring *kr, uint64_t *ret_version, uint64_t *ret_now,
                            aril_error *error)
{
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, 0, &ch, error));
    *ret_version = ++ch.head.bundle_version;
    *ret_now = ch.now_s;
    ch.raises = true; /* an older copy would give the version to another content */
    return arili_change_commit(&ch, error);
}

static aril_status write_bundle(aril_keyring *kr, const char *path, uint64_t *ret_version,
                                aril_error *error)
{
    struct arili_bundle b = { .profile = kr->profile->id };
    ARILI_TRY(arili_rotation_finish(kr, error));
    ARILI_TRY(count_up(kr, &b.version, &b.created_s, error));
    ARILI_DEFER(packing_done) struct packing p = { .kr = kr, .set = kr->rows };
    memcpy(b.fleet, kr->id, sizeof b.fleet);
    b.expires_s = b.created_s + kr->rows->head.policy.bundle_days * DAY_S;
    const struct arili_key *signer = choose_signer(p.set, &b.successor);
    ARILI_ENSURE(signer != NULL, ARIL_E_KEY_INACTIVE);
    b.authority = signer->said.public_key;
    ARILI_TRY(pack_keys(&p, error));
    b.key_count = (uint32_t)p.count;
    b.keys = buffer_bytes(&p.keys);
    ARILI_TRY(pack_tombstones(&p, &b));
    ARILI_TRY(pack_revoked_nodes(&p, &b));
    ARILI_TRY(pack_floors(&p, &b));
    ARILI_TRY(pack_revoked_authorities(&p, &b));
    ARILI_TRY(pack_sections(&p, &b, error));
    ARILI_DEFER(arili_identity_freep) aril_identity *identity = NULL;
    ARILI_TRY(arili_keyring_identity(kr, p.set, signer, &identity, error));
    ARILI_TRY(sign_and_save(&p, &b, identity, path, error));
    *ret_version = b.version;
    return ARIL_OK;
}

aril_status aril_keyring_bundle_write(aril_keyring *keyring, const char *path,
                                      uint64_t *ret_version, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && path != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_TRY(arili_authority_only(keyring, error));
    uint64_t version = 0;
    const aril_status st = write_bundle(keyring, path, &version, error);
    if (st == ARIL_OK && ret_version != NULL) {
        *ret_version = version;
    }
    return arili_keyring_tell(keyring, ARIL_EVENT_FLEET, "bundle-write", st,
                              (aril_bytes){ NULL, 0 }, NULL, NULL);
}
