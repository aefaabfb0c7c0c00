/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "format/fleet.h"
#include "format/keyring_fields.h"

#define ENTRY_BYTES (4u + ARILI_BUNDLE_SEALED_BYTES)

/* --- Elements of lists --------------------------------------------------------------- */

/* What a reader has passed since it stood at start. */
static aril_bytes passed(aril_bytes start, const struct arili_reader *r)
{
    return (aril_bytes){ start.data, start.len - r->len };
}

static aril_status read_tombstone(struct arili_reader *r, struct arili_bundle_tombstone *ret)
{
    struct arili_bundle_tombstone t = { .tenant = arili_read_vec16(r) };
    t.time_s = arili_read64(r);
    t.generation = arili_read64(r);
    ARILI_ENSURE(!r->short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(arili_owner_is_valid(t.tenant), ARIL_E_FORMAT_FIELD);
    *ret = t;
    return ARIL_OK;
}

static bool floor_is_valid(const struct arili_bundle_floor *f)
{
    return f->name.len >= 1 && f->name.len <= ARILI_ROW_ID_BYTES_MAX;
}

static aril_status read_floor(struct arili_reader *r, struct arili_bundle_floor *ret)
{
    struct arili_bundle_floor f = { .name = arili_read_vec16(r) };
    f.value = arili_read64(r);
    ARILI_ENSURE(!r->short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(floor_is_valid(&f), ARIL_E_FORMAT_FIELD);
    *ret = f;
    return ARIL_OK;
}

static bool key_is_valid(const struct arili_bundle_key *k)
{
    const bool purpose_fits = k->purpose == ARIL_KEY_DATA || k->purpose == ARIL_KEY_NAME ||
                              k->purpose == ARIL_KEY_LEGACY || k->purpose == ARIL_KEY_API;
    return purpose_fits && k->state >= ARIL_KEY_PENDING && k->state <= ARIL_KEY_RETIRED &&
           k->version >= 1 &&
           arili_key_times_are_valid(k->activates_s, k->rotate_by_s, k->not_after_s) &&
           arili_slot_is_valid(k->purpose, k->owner, k->label);
}

static aril_status read_key(struct arili_reader *r, struct arili_bundle_key *ret)
{
    const aril_bytes start = { r->data, r->len };
    bool ok = true;
    struct arili_bundle_key k = { .version = 0 };
    arili_read_into(r, k.id, sizeof k.id);
    k.purpose = (aril_key_purpose)arili_read8(r);
    k.state = (aril_key_state)arili_read8(r);
    arili_read_zeros(r, 2, &ok);
    k.version = arili_read32(r);
    k.created_s = arili_read64(r);
    k.activates_s = arili_read64(r);
    k.rotate_by_s = arili_read64(r);
    k.not_after_s = arili_read64(r);
    k.changed_s = arili_read64(r);
    arili_read_into(r, k.predecessor, sizeof k.predecessor);
    k.owner = arili_read_vec16(r);
    k.label = arili_read_vec16(r);
    k.encoded = passed(start, r);
    ARILI_ENSURE(!r->short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(ok && key_is_valid(&k), ARIL_E_FORMAT_FIELD);
    *ret = k;
    return ARIL_OK;
}

static aril_status read_section(struct arili_reader *r, struct arili_bundle_section *ret)
{
    struct arili_bundle_section s = { .entry_count = 0 };
    arili_read_into(r, s.node, sizeof s.node);
    s.enc = arili_read_vec16(r);
    s.entry_count = arili_read32(r);
    ARILI_ENSURE(!r->short_ && s.entry_count <= r->len / ENTRY_BYTES, ARIL_E_FORMAT_TRUNCATED);
    s.entries = arili_read_bytes(r, (size_t)s.entry_count * ENTRY_BYTES);
    ARILI_ENSURE(arili_kem_enc_is_known(s.enc.len), ARIL_E_FORMAT_FIELD);
    *ret = s;
    return ARIL_OK;
}

aril_status arili_bundle_next_tombstone(aril_bytes *list, struct arili_bundle_tombstone *ret)
{
    struct arili_reader r = arili_reader_init(*list);
    ARILI_TRY(read_tombstone(&r, ret));
    *list = (aril_bytes){ r.data, r.len };
    return ARIL_OK;
}

aril_status arili_bundle_next_floor(aril_bytes *list, struct arili_bundle_floor *ret)
{
    struct arili_reader r = arili_reader_init(*list);
    ARILI_TRY(read_floor(&r, ret));
    *list = (aril_bytes){ r.data, r.len };
    return ARIL_OK;
}

aril_status arili_bundle_next_key(aril_bytes *list, struct arili_bundle_key *ret)
{
    struct arili_reader r = arili_reader_init(*list);
    ARILI_TRY(read_key(&r, ret));
    *list = (aril_bytes){ r.data, r.len };
    return ARIL_OK;
}

aril_status arili_bundle_next_section(aril_bytes *list, struct arili_bundle_section *ret)
{
    struct arili_reader r = arili_reader_init(*list);
    ARILI_TRY(read_section(&r, ret));
    *list = (aril_bytes){ r.data, r.len };
    return ARIL_OK;
}

void arili_bundle_entry(const struct arili_bundle_section *s, uint32_t n, uint32_t *ret_index,
                        uint8_t ret_sealed[ARILI_BUNDLE_SEALED_BYTES])
{
    const uint8_t *entry = s->entries.data + (size_t)n * ENTRY_BYTES;
    *ret_index = arili_load32(entry);
    memcpy(ret_sealed, entry + 4, ARILI_BUNDLE_SEALED_BYTES);
}

aril_status arili_bundle_tombstone_write(const struct arili_bundle_tombstone *t, uint8_t *ret,
                                         size_t cap, size_t *ret_len)
{
    ARILI_ENSURE(arili_owner_is_valid(t->tenant), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write_vec16(&w, t->tenant);
    arili_write64(&w, t->time_s);
    arili_write64(&w, t->generation);
    return arili_writer_end(&w, ret_len);
}

aril_status arili_bundle_floor_write(const struct arili_bundle_floor *f, uint8_t *ret, size_t cap,
                                     size_t *ret_len)
{
    ARILI_ENSURE(floor_is_valid(f), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write_vec16(&w, f->name);
    arili_write64(&w, f->value);
    return arili_writer_end(&w, ret_len);
}

aril_status arili_bundle_key_write(const struct arili_bundle_key *k, uint8_t *ret, size_t cap,
                                   size_t *ret_len)
{
    ARILI_ENSURE(key_is_valid(k), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write_bytes(&w, (aril_bytes){ k->id, sizeof k->id });
    arili_write8(&w, (uint8_t)k->purpose);
    arili_write8(&w, (uint8_t)k->state);
    arili_write16(&w, 0);
    arili_write32(&w, k->version);
    arili_write64(&w, k->created_s);
    arili_write64(&w, k->activates_s);
    arili_write64(&w, k->rotate_by_s);
    arili_write64(&w, k->not_after_s);
    arili_write64(&w, k->changed_s);
    arili_write_bytes(&w, (aril_bytes){ k->predecessor, sizeof k->predecessor });
    arili_write_vec16(&w, k->owner);
    arili_write_vec16(&w, k->label);
    return arili_writer_end(&w, ret_len);
}

aril_status arili_bundle_section_write(const struct arili_bundle_section *s, uint8_t *ret,
                                       size_t cap, size_t *ret_len)
{
    ARILI_ENSURE(arili_kem_enc_is_known(s->enc.len), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    arili_write_bytes(&w, (aril_bytes){ s->node, sizeof s->node });
    arili_write_vec16(&w, s->enc);
    arili_write32(&w, s->entry_count);
    return arili_writer_end(&w, ret_len);
}

/* --- Whole lists --------------------------------------------------------------------- */

/* Each walks count elements, checks each and that they ascend without doubles. */
static aril_status walk_ids(struct arili_reader *r, const struct arili_bundle *b, uint32_t count)
{
    (void)b;
    ARILI_ENSURE(count <= r->len / 32, ARIL_E_FORMAT_TRUNCATED);
    const aril_bytes ids = arili_read_bytes(r, (size_t)count * 32);
    for (uint32_t i = 1; i < count; i++) {
        const uint8_t *id = ids.data + (size_t)i * 32;
        ARILI_ENSURE(memcmp(id - 32, id, 32) < 0, ARIL_E_FORMAT_FIELD); /* public ids */
    }
    return ARIL_OK;
}

static aril_status walk_tombstones(struct arili_reader *r, const struct arili_bundle *b,
                                   uint32_t count)
{
    (void)b;
    aril_bytes last = { NULL, 0 }; /* below every tenant */
    for (uint32_t i = 0; i < count; i++) {
        struct arili_bundle_tombstone t;
        ARILI_TRY(read_tombstone(r, &t));
        ARILI_ENSURE(arili_bytes_order(last, t.tenant) < 0, ARIL_E_FORMAT_FIELD);
        last = t.tenant;
    }
    return ARIL_OK;
}

static aril_status walk_floors(struct arili_reader *r, const struct arili_bundle *b, uint32_t count)
{
    (void)b;
    aril_bytes last = { NULL, 0 }; /* below every name */
    for (uint32_t i = 0; i < count; i++) {
        struct arili_bundle_floor f;
        ARILI_TRY(read_floor(r, &f));
        ARILI_ENSURE(arili_bytes_order(last, f.name) < 0, ARIL_E_FORMAT_FIELD);
        last = f.name;
    }
    return ARIL_OK;
}

static aril_status walk_keys(struct arili_reader *r, const struct arili_bundle *b, uint32_t count)
{
    (void)b;
    const uint8_t *last = NULL;
    for (uint32_t i = 0; i < count; i++) {
        struct arili_bundle_key k;
        ARILI_TRY(read_key(r, &k));
        ARILI_ENSURE(last == NULL || memcmp(last, k.id, sizeof k.id) < 0, ARIL_E_FORMAT_FIELD);
        last = k.encoded.data; /* begins with the id */
    }
    return ARIL_OK;
}

static bool indices_are_valid(const struct arili_bundle_section *s, uint32_t key_count)
{
    uint64_t next = 0;
    for (uint32_t i = 0; i < s->entry_count; i++) {
        const uint32_t index = arili_load32(s->entries.data + (size_t)i * ENTRY_BYTES);
        if (index < next || index >= key_count) {
            return false;
        }
        next = (uint64_t)index + 1;
    }
    return true;
}

static aril_status walk_sections(struct arili_reader *r, const struct arili_bundle *b,
                                 uint32_t count)
{
    uint8_t last[ARIL_NODE_ID_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        struct arili_bundle_section s;
        ARILI_TRY(read_section(r, &s));
        ARILI_ENSURE(i == 0 || memcmp(last, s.node, sizeof last) < 0, ARIL_E_FORMAT_FIELD);
        ARILI_ENSURE(s.enc.len == arili_profile_kem_enc_bytes(b->profile) &&
                         indices_are_valid(&s, b->key_count),
                     ARIL_E_FORMAT_FIELD);
        memcpy(last, s.node, sizeof last);
    }
    return ARIL_OK;
}

typedef aril_status walk_fn(struct arili_reader *r, const struct arili_bundle *b, uint32_t count);

static aril_status read_list(struct arili_reader *r, struct arili_bundle *b, walk_fn *walk,
                             uint32_t *ret_count, aril_bytes *ret_list)
{
    *ret_count = arili_read32(r);
    ARILI_ENSURE(!r->short_, ARIL_E_FORMAT_TRUNCATED);
    const aril_bytes start = { r->data, r->len };
    ARILI_TRY(walk(r, b, *ret_count));
    *ret_list = passed(start, r);
    return ARIL_OK;
}

/* --- Bundle -------------------------------------------------------------------------- */

static bool fields_are_valid(const struct arili_bundle *b)
{
    if (!arili_profile_is_known(b->profile)) {
        return false;
    }
    const size_t public_bytes = arili_profile_sign_public_bytes(b->profile);
    return b->version >= 1 && b->expires_s >= b->created_s && b->authority.len == public_bytes &&
           (b->successor.len == 0 || b->successor.len == public_bytes);
}

static bool signature_is_valid(const struct arili_bundle *b)
{
    return b->signature.len == arili_profile_signature_bytes(b->profile);
}

aril_status arili_bundle_parse(aril_bytes in, struct arili_bundle *ret)
{
    ARILI_ENSURE(in.len <= ARIL_BUNDLE_BYTES_MAX, ARIL_E_FORMAT_LENGTH);
    struct arili_reader r = arili_reader_init(in);
    struct arili_bundle b = { .version = 0 };
    ARILI_TRY(arili_fleet_head_read(&r, ARILI_FLEET_BUNDLE, &b.profile));
    arili_read_into(&r, b.fleet, sizeof b.fleet);
    b.version = arili_read64(&r);
    b.created_s = arili_read64(&r);
    b.expires_s = arili_read64(&r);
    b.authority = arili_read_vec16(&r);
    b.successor = arili_read_vec16(&r);
    ARILI_ENSURE(!r.short_, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(fields_are_valid(&b), ARIL_E_FORMAT_FIELD);
    ARILI_TRY(read_list(&r, &b, walk_ids, &b.revoked_authority_count, &b.revoked_authorities));
    ARILI_TRY(read_list(&r, &b, walk_tombstones, &b.tombstone_count, &b.tombstones));
    ARILI_TRY(read_list(&r, &b, walk_ids, &b.revoked_node_count, &b.revoked_nodes));
    ARILI_TRY(read_list(&r, &b, walk_floors, &b.floor_count, &b.floors));
    ARILI_TRY(read_list(&r, &b, walk_keys, &b.key_count, &b.keys));
    ARILI_TRY(read_list(&r, &b, walk_sections, &b.section_count, &b.sections));
    b.signed_part = (aril_bytes){ in.data, in.len - r.len };
    b.signature = arili_read_vec16(&r);
    ARILI_TRY(arili_reader_end(&r));
    ARILI_ENSURE(signature_is_valid(&b), ARIL_E_FORMAT_FIELD);
    *ret = b;
    return ARIL_OK;
}

static bool list_is_valid(const struct arili_bundle *b, walk_fn *walk, uint32_t count,
                          aril_bytes list)
{
    struct arili_reader r = arili_reader_init(list);
    return walk(&r, b, count) == ARIL_OK && r.len == 0;
}

static bool core_is_valid(const struct arili_bundle *b)
{
    return fields_are_valid(b) &&
           list_is_valid(b, walk_ids, b->revoked_authority_count, b->revoked_authorities) &&
           list_is_valid(b, walk_tombstones, b->tombstone_count, b->tombstones) &&
           list_is_valid(b, walk_ids, b->revoked_node_count, b->revoked_nodes) &&
           list_is_valid(b, walk_floors, b->floor_count, b->floors) &&
           list_is_valid(b, walk_keys, b->key_count, b->keys) &&
           list_is_valid(b, walk_sections, b->section_count, b->sections);
}

static void put_list(struct arili_writer *w, uint32_t count, aril_bytes list)
{
    arili_write32(w, count);
    arili_write_bytes(w, list);
}

static void put_core(struct arili_writer *w, const struct arili_bundle *b)
{
    arili_fleet_head_write(w, ARILI_FLEET_BUNDLE, b->profile);
    arili_write_bytes(w, (aril_bytes){ b->fleet, sizeof b->fleet });
    arili_write64(w, b->version);
    arili_write64(w, b->created_s);
    arili_write64(w, b->expires_s);
    arili_write_vec16(w, b->authority);
    arili_write_vec16(w, b->successor);
    put_list(w, b->revoked_authority_count, b->revoked_authorities);
    put_list(w, b->tombstone_count, b->tombstones);
    put_list(w, b->revoked_node_count, b->revoked_nodes);
    put_list(w, b->floor_count, b->floors);
    put_list(w, b->key_count, b->keys);
    put_list(w, b->section_count, b->sections);
}

aril_status arili_bundle_write_core(const struct arili_bundle *b, uint8_t *ret, size_t cap,
                                    size_t *ret_len)
{
    ARILI_ENSURE(core_is_valid(b), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    put_core(&w, b);
    ARILI_ENSURE(w.len <= ARIL_BUNDLE_BYTES_MAX, ARIL_E_USAGE_RANGE);
    return arili_writer_end(&w, ret_len);
}

aril_status arili_bundle_write(const struct arili_bundle *b, uint8_t *ret, size_t cap,
                               size_t *ret_len)
{
    ARILI_ENSURE(core_is_valid(b) && signature_is_valid(b), ARIL_E_USAGE_RANGE);
    struct arili_writer w = arili_writer_init(ret, cap);
    put_core(&w, b);
    arili_write_vec16(&w, b->signature);
    ARILI_ENSURE(w.len <= ARIL_BUNDLE_BYTES_MAX, ARIL_E_USAGE_RANGE);
    return arili_writer_end(&w, ret_len);
}
