/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "codec_checks.h"
#include "format/fleet.h"
#include <stdlib.h>
#include <string.h>

static struct sample sample_of(const char *name)
{
    struct sample s;
    sample_find(CODEC_BUNDLE, name, &s);
    return s;
}

static void bundles_are_read_and_written(void **state)
{
    (void)state;
    samples_are_read_and_written(CODEC_BUNDLE, CODEC_BUNDLE);
}

static void every_truncation_is_refused_as_truncated(void **state)
{
    (void)state;
    every_truncation_is_truncated(CODEC_BUNDLE, CODEC_BUNDLE);
}

static void every_appended_byte_is_refused(void **state)
{
    (void)state;
    every_appended_byte_is_too_long(CODEC_BUNDLE, CODEC_BUNDLE);
}

static void every_changed_byte_has_its_own_meaning_or_none(void **state)
{
    (void)state;
    every_changed_byte_is_refused_or_canonical(CODEC_BUNDLE, CODEC_BUNDLE);
}

static void a_writer_never_passes_the_end_of_its_buffer(void **state)
{
    (void)state;
    writers_stay_in_their_buffers(CODEC_BUNDLE, CODEC_BUNDLE);
}

/* --- What a bundle says ------------------------------------------------------------------ */

static void a_bundle_gives_its_fields(void **state)
{
    (void)state;
    const struct sample s = sample_of("two-nodes");
    const struct arili_bundle b = sample_value(&s).bundle;
    assert_int_equal(b.profile, ARIL_PROFILE_STRICT);
    assert_true(is_pattern(b.fleet, sizeof b.fleet, 23));
    assert_int_equal(b.version, 5);
    assert_int_equal(b.created_s, 1750000000);
    assert_int_equal(b.expires_s, 1750604800);
    assert_int_equal(b.authority.len, 2592);
    assert_true(is_pattern(b.authority.data, 2592, 26));
    assert_int_equal(b.successor.len, 2592);
    assert_true(is_pattern(b.successor.data, 2592, 27));
    assert_int_equal(b.revoked_authority_count, 2);
    assert_int_equal(b.revoked_authorities.len, 64);
    assert_int_equal(b.revoked_authorities.data[32], 2);
    assert_int_equal(b.tombstone_count, 3);
    assert_int_equal(b.revoked_node_count, 1);
    assert_int_equal(b.revoked_nodes.data[0], 200);
    assert_int_equal(b.floor_count, 3);
    assert_int_equal(b.key_count, 4);
    assert_int_equal(b.section_count, 2);
    assert_true(is_pattern(b.signature.data, 4627, 32));
    assert_ptr_equal(b.signed_part.data, s.bytes);
    assert_int_equal(b.signed_part.len, s.len - 2 - 4627);
}

static void its_lists_are_walked_element_by_element(void **state)
{
    (void)state;
    const struct sample s = sample_of("two-nodes");
    struct arili_bundle b = sample_value(&s).bundle;
    struct arili_bundle_tombstone t;
    static const char *const tenants[] = { "ab", "abc", "b" };
    for (size_t i = 0; i < COUNT(tenants); i++) {
        assert_status(arili_bundle_next_tombstone(&b.tombstones, &t), ARIL_OK);
        assert_int_equal(t.tenant.len, strlen(tenants[i]));
        assert_memory_equal(t.tenant.data, tenants[i], t.tenant.len);
        assert_int_equal(t.time_s, 1750000000);
        assert_int_equal(t.generation, 9);
    }
    assert_int_equal(b.tombstones.len, 0);
    struct arili_bundle_floor f;
    static const char *const names[] = { "a", "a\x01", "model" };
    static const uint64_t values[] = { UINT64_MAX, 1, 7 };
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_status(arili_bundle_next_floor(&b.floors, &f), ARIL_OK);
        assert_int_equal(f.name.len, strlen(names[i]));
        assert_memory_equal(f.name.data, names[i], f.name.len);
        assert_true(f.value == values[i]);
    }
    assert_int_equal(b.floors.len, 0);
    struct arili_bundle_key k = { .version = 0 };
    static const aril_key_purpose purposes[] = { ARIL_KEY_DATA, ARIL_KEY_NAME, ARIL_KEY_LEGACY,
                                                 ARIL_KEY_API };
    for (size_t i = 0; i < COUNT(purposes); i++) {
        assert_status(arili_bundle_next_key(&b.keys, &k), ARIL_OK);
        assert_int_equal(k.id[0], 3 + i);
        assert_true(is_pattern(k.id + 1, 31, 28));
        assert_int_equal(k.purpose, purposes[i]);
        assert_int_equal(k.state, 1 + i);
    }
    assert_int_equal(b.keys.len, 0);
    assert_int_equal(k.version, 3);
    assert_int_equal(k.created_s, 1750000000);
    assert_int_equal(k.activates_s, 1750000001);
    assert_int_equal(k.rotate_by_s, 0);
    assert_int_equal(k.not_after_s, 1750000003);
    assert_int_equal(k.changed_s, 1750000004);
    assert_true(is_pattern(k.predecessor, 32, 29));
    assert_memory_equal(k.owner.data, "acme", 4);
    assert_int_equal(k.label.len, 0);
    struct arili_bundle_section section;
    static const uint32_t indices[] = { 0, 2, 3 };
    assert_status(arili_bundle_next_section(&b.sections, &section), ARIL_OK);
    assert_int_equal(section.node[0], 10);
    assert_true(is_pattern(section.enc.data, 1568, 30));
    assert_int_equal(section.entry_count, 3);
    for (uint32_t n = 0; n < 3; n++) {
        uint32_t index;
        uint8_t sealed[ARILI_BUNDLE_SEALED_BYTES];
        arili_bundle_entry(&section, n, &index, sealed);
        assert_int_equal(index, indices[n]);
        assert_true(is_pattern(sealed, sizeof sealed, 31));
    }
    assert_status(arili_bundle_next_section(&b.sections, &section), ARIL_OK);
    assert_int_equal(section.node[0], 11);
    assert_int_equal(section.entry_count, 0);
    assert_int_equal(b.sections.len, 0);
}

static void the_end_of_a_list_is_truncated_and_changes_nothing(void **state)
{
    (void)state;
    struct arili_bundle_tombstone t;
    struct arili_bundle_key k;
    struct arili_bundle_section section;
    struct arili_bundle_floor f;
    memset(&f, 0x5c, sizeof f);
    memset(&t, 0x5c, sizeof t);
    memset(&k, 0x5c, sizeof k);
    memset(&section, 0x5c, sizeof section);
    const struct sample s = sample_of("two-nodes");
    const struct arili_bundle b = sample_value(&s).bundle;
    const aril_bytes lists[] = {
        { NULL, 0 },           { b.tombstones.data, 5 },
        { b.keys.data, 50 },   { b.sections.data, 1700 },
        { b.floors.data, 10 },
    };
    for (size_t i = 0; i < COUNT(lists); i++) {
        aril_bytes list = lists[i];
        if (i == 0 || i == 1) {
            assert_status(arili_bundle_next_tombstone(&list, &t), ARIL_E_FORMAT_TRUNCATED);
        }
        if (i == 0 || i == 2) {
            assert_status(arili_bundle_next_key(&list, &k), ARIL_E_FORMAT_TRUNCATED);
        }
        if (i == 0 || i == 3) {
            assert_status(arili_bundle_next_section(&list, &section), ARIL_E_FORMAT_TRUNCATED);
        }
        if (i == 0 || i == 4) {
            assert_status(arili_bundle_next_floor(&list, &f), ARIL_E_FORMAT_TRUNCATED);
        }
        assert_ptr_equal(list.data, lists[i].data);
        assert_int_equal(list.len, lists[i].len);
    }
    assert_true(is_filled(&t, sizeof t, 0x5c) && is_filled(&k, sizeof k, 0x5c));
    assert_true(is_filled(&section, sizeof section, 0x5c) && is_filled(&f, sizeof f, 0x5c));
}

/* --- Fields ---------------------------------------------------------------------------- */

#define AUTHORITY_AT 48u

static void fields_out_of_range_are_refused(void **state)
{
    (void)state;
    const struct sample s = sample_of("one-key");
    const union codec_value good = sample_value(&s);
    assert_status(with_number(&s, 4, 1, 4), ARIL_E_FORMAT_KIND);
    assert_status(with_number(&s, 5, 1, 2), ARIL_E_FORMAT_VERSION);
    assert_status(with_number(&s, 6, 1, 0), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, 6, 1, 1), ARIL_E_FORMAT_FIELD); /* another enc */
    assert_status(with_number(&s, 7, 1, 1), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, 24, 8, 0), ARIL_E_FORMAT_FIELD); /* version */
    assert_status(with_number(&s, 24, 8, UINT64_MAX), ARIL_OK);
    assert_status(with_number(&s, 40, 8, 1750000000), ARIL_OK);
    assert_status(with_number(&s, 40, 8, 1749999999), ARIL_E_FORMAT_FIELD); /* expires */
    const size_t successor_at = behind_vector(&s, AUTHORITY_AT);
    assert_status(with_vector_length(&s, AUTHORITY_AT, 1951), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, AUTHORITY_AT, 0), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, successor_at, 1952), ARIL_OK);
    assert_status(with_vector_length(&s, successor_at, 1), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, successor_at, 2592), ARIL_E_FORMAT_FIELD);
    const size_t signature_at = s.len - 2 - 3309;
    assert_status(with_vector_length(&s, signature_at, 3308), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, signature_at, 0), ARIL_E_FORMAT_FIELD);
#define REFUSE(change)                        \
    do {                                      \
        union codec_value v = good;           \
        v.bundle.change;                      \
        assert_not_written(CODEC_BUNDLE, &v); \
    } while (0)
    REFUSE(profile = (aril_profile)0);
    REFUSE(profile = ARIL_PROFILE_HYBRID);
    REFUSE(version = 0);
    REFUSE(expires_s = 1749999999);
    REFUSE(authority.len = 1951);
    REFUSE(successor = good.bundle.signature);
    REFUSE(signature.len = 3308);
    REFUSE(signature.len = 0);
    REFUSE(key_count = 0);
    REFUSE(key_count = 2);
    REFUSE(keys.len--);
    REFUSE(section_count = 0);
    REFUSE(section_count = 2);
    REFUSE(sections.len--);
    REFUSE(tombstone_count = 1);
    REFUSE(revoked_node_count = 1);
    REFUSE(floor_count = 1);
    REFUSE(floors = good.bundle.keys);
    REFUSE(revoked_authority_count = UINT32_MAX);
    REFUSE(revoked_nodes = good.bundle.keys);
#undef REFUSE
}

/* Where each list's count stands, and the number of its elements. */
#define LISTS 6u
struct list {
    size_t at;
    uint32_t count;
};

static size_t lists_of(const struct sample *s, struct list ret[LISTS])
{
    const struct arili_bundle b = sample_value(s).bundle;
    const aril_bytes lists[LISTS] = {
        b.revoked_authorities, b.tombstones, b.revoked_nodes, b.floors, b.keys, b.sections
    };
    const uint32_t counts[LISTS] = { b.revoked_authority_count,
                                     b.tombstone_count,
                                     b.revoked_node_count,
                                     b.floor_count,
                                     b.key_count,
                                     b.section_count };
    size_t at = behind_vector(s, behind_vector(s, AUTHORITY_AT));
    for (size_t i = 0; i < LISTS; i++) {
        ret[i] = (struct list){ at, counts[i] };
        assert_int_equal(arili_load32(s->bytes + at), counts[i]);
        at += 4 + lists[i].len;
    }
    return at;
}

static void a_count_that_is_not_that_of_its_list_is_refused(void **state)
{
    (void)state;
    const struct sample s = sample_of("two-nodes");
    struct list lists[LISTS];
    assert_int_equal(lists_of(&s, lists), s.len - 2 - 4627);
    static const uint32_t lies[] = { 0, 1, 2, 3, 4, 5, 6, 100, 1u << 16, 1u << 31, UINT32_MAX };
    for (size_t i = 0; i < COUNT(lists); i++) {
        for (size_t k = 0; k < COUNT(lies); k++) {
            const aril_status st = with_number(&s, lists[i].at, 4, lies[k]);
            if (lies[k] == lists[i].count) {
                assert_status(st, ARIL_OK);
            } else {
                assert_status_class(st, ARIL_E_FORMAT);
            }
        }
    }
}

static void lists_ascend_without_doubles(void **state)
{
    (void)state;
    const struct sample s = sample_of("two-nodes");
    struct list lists[LISTS];
    (void)lists_of(&s, lists);
    const size_t authority = lists[0].at + 4;
    assert_status(with_number(&s, authority, 1, 2), ARIL_E_FORMAT_FIELD); /* twice */
    assert_status(with_number(&s, authority, 1, 3), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, authority + 32, 1, 255), ARIL_OK);
    const size_t tombstone = lists[1].at + 4;
    const size_t second = tombstone + 2 + 2 + 16;
    assert_status(with_vector(&s, tombstone, TEXT("abb")), ARIL_OK);
    assert_status(with_vector(&s, tombstone, TEXT("abc")), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, tombstone, TEXT("abcd")), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, second, TEXT("b")), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, second, TEXT("a")), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, second, TEXT("az")), ARIL_OK);
    const size_t key = lists[4].at + 4;
    assert_status(with_number(&s, key, 1, 4), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, key, 1, 9), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, key, 1, 0), ARIL_OK);
    const size_t section = lists[5].at + 4;
    assert_status(with_number(&s, section, 1, 11), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, section, 1, 12), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, section, 1, 9), ARIL_OK);
}

static void tombstones_are_of_tenants(void **state)
{
    (void)state;
    const struct sample s = sample_of("two-nodes");
    struct list lists[LISTS];
    (void)lists_of(&s, lists);
    const size_t last = lists[2].at - 16 - 2 - 1;
    assert_status(with_vector_length(&s, last, 255), ARIL_OK);
    assert_status(with_vector_length(&s, last, 256), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, last, 0), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, last, TEXT("b\0")), ARIL_E_FORMAT_FIELD);
    uint8_t out[512];
    size_t len = 12345;
    struct arili_bundle_tombstone t = { .tenant = TEXT("") };
    assert_status(arili_bundle_tombstone_write(&t, out, sizeof out, &len), ARIL_E_USAGE_RANGE);
    t.tenant = TEXT("a\0b");
    assert_status(arili_bundle_tombstone_write(&t, out, sizeof out, &len), ARIL_E_USAGE_RANGE);
    t.tenant = TEXT("acme");
    for (size_t cap = 0; cap < 22; cap++) {
        assert_status(arili_bundle_tombstone_write(&t, out, cap, &len), ARIL_E_USAGE_TOO_SMALL);
    }
    assert_int_equal(len, 12345);
    assert_status(arili_bundle_tombstone_write(&t, out, 22, &len), ARIL_OK);
    assert_int_equal(len, 22);
}

static void floors_have_names_and_ascend(void **state)
{
    (void)state;
    const struct sample s = sample_of("two-nodes");
    struct list lists[LISTS];
    (void)lists_of(&s, lists);
    const size_t first = lists[3].at + 4;
    const size_t second = first + 2 + 1 + 8;
    assert_status(with_vector(&s, first, TEXT("a\x01")), ARIL_E_FORMAT_FIELD); /* twice */
    assert_status(with_vector(&s, first, TEXT("b")), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, first, TEXT("\0")), ARIL_OK);
    assert_status(with_vector(&s, second, TEXT("n")), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, second, TEXT("az")), ARIL_OK);
    assert_status(with_vector_length(&s, second, 0), ARIL_E_FORMAT_FIELD);
    const size_t last = lists[4].at - 8 - 2 - 5;
    assert_status(with_vector_length(&s, last, 255), ARIL_OK);
    assert_status(with_vector_length(&s, last, 256), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, first + 3, 8, 0), ARIL_OK); /* any value */
    uint8_t out[512];
    size_t len = 12345;
    uint8_t name[256] = { 0 };
    struct arili_bundle_floor f = { .name = { name, 0 } };
    assert_status(arili_bundle_floor_write(&f, out, sizeof out, &len), ARIL_E_USAGE_RANGE);
    f.name.len = 256;
    assert_status(arili_bundle_floor_write(&f, out, sizeof out, &len), ARIL_E_USAGE_RANGE);
    f.name.len = 255;
    for (size_t cap = 0; cap < 265; cap++) {
        assert_status(arili_bundle_floor_write(&f, out, cap, &len), ARIL_E_USAGE_TOO_SMALL);
    }
    assert_int_equal(len, 12345);
    assert_status(arili_bundle_floor_write(&f, out, 265, &len), ARIL_OK);
    assert_int_equal(len, 265);
}

static void a_bundle_has_keys_of_four_purposes_that_are_not_destroyed(void **state)
{
    (void)state;
    const struct sample s = sample_of("one-key");
    struct list lists[LISTS];
    (void)lists_of(&s, lists);
    const size_t key = lists[4].at + 4;
    for (unsigned v = 0; v < 256; v++) {
        const bool purpose = v == 4 || (v >= 7 && v <= 9);
        assert_status(with_number(&s, key + 32, 1, v), purpose ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, key + 33, 1, v),
                      v >= 1 && v <= 4 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, key + 34, 1, v), v == 0 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, key + 35, 1, v), v == 0 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
    assert_status(with_number(&s, key + 36, 4, 0), ARIL_E_FORMAT_FIELD); /* version */
    assert_status(with_number(&s, key + 56, 8, 1), ARIL_E_FORMAT_FIELD); /* rotate by */
    assert_status(with_number(&s, key + 56, 8, 1750000003), ARIL_OK);
    assert_status(with_number(&s, key + 64, 8, 1), ARIL_E_FORMAT_FIELD); /* not after */
    assert_status(with_number(&s, key + 64, 8, 0), ARIL_OK);
    const size_t owner = key + 112;
    assert_status(with_vector_length(&s, owner, 255), ARIL_OK);
    assert_status(with_vector_length(&s, owner, 256), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, owner, 0), ARIL_E_FORMAT_FIELD);
    const size_t label = behind_vector(&s, owner);
    assert_status(with_vector_length(&s, label, 63), ARIL_OK);
    assert_status(with_vector_length(&s, label, 64), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, label, TEXT("\n")), ARIL_E_FORMAT_FIELD);
}

static void a_key_that_would_not_be_read_is_not_written(void **state)
{
    (void)state;
    const struct sample s = sample_of("one-key");
    aril_bytes list = sample_value(&s).bundle.keys;
    struct arili_bundle_key good;
    assert_status(arili_bundle_next_key(&list, &good), ARIL_OK);
    uint8_t out[1024];
    size_t len = 12345;
#define REFUSE(change)                                                                        \
    do {                                                                                      \
        struct arili_bundle_key k = good;                                                     \
        k.change;                                                                             \
        assert_status(arili_bundle_key_write(&k, out, sizeof out, &len), ARIL_E_USAGE_RANGE); \
    } while (0)
    REFUSE(purpose = ARIL_KEY_TENANT);
    REFUSE(purpose = ARIL_KEY_AUTHORITY);
    REFUSE(state = ARIL_KEY_DESTROYED);
    REFUSE(state = (aril_key_state)0);
    REFUSE(version = 0);
    REFUSE(rotate_by_s = 1);
    REFUSE(not_after_s = 1);
    REFUSE(owner.len = 0);
    REFUSE(owner = TEXT("\0"));
    REFUSE(label = TEXT("\x7f"));
#undef REFUSE
    struct arili_bundle_key labelled = good;
    labelled.purpose = ARIL_KEY_API;
    labelled.label = TEXT("x");
    assert_status(arili_bundle_key_write(&labelled, out, sizeof out, &len), ARIL_E_USAGE_RANGE);
    for (size_t cap = 0; cap < good.encoded.len; cap++) {
        assert_status(arili_bundle_key_write(&good, out, cap, &len), ARIL_E_USAGE_TOO_SMALL);
    }
    assert_int_equal(len, 12345);
}

static void entries_name_keys_in_ascending_order(void **state)
{
    (void)state;
    const struct sample s = sample_of("two-nodes");
    struct list lists[LISTS];
    (void)lists_of(&s, lists);
    const size_t entries = lists[5].at + 4 + 32 + 2 + 1568 + 4;
    const size_t second = entries + 52;
    const size_t third = second + 52;
    assert_int_equal(arili_load32(s.bytes + third), 3);
    assert_status(with_number(&s, entries, 4, 1), ARIL_OK);
    assert_status(with_number(&s, entries, 4, 2), ARIL_E_FORMAT_FIELD); /* twice */
    assert_status(with_number(&s, second, 4, 0), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, second, 4, 1), ARIL_OK);
    assert_status(with_number(&s, third, 4, 4), ARIL_E_FORMAT_FIELD); /* there are four keys */
    assert_status(with_number(&s, third, 4, 1), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, third, 4, UINT32_MAX), ARIL_E_FORMAT_FIELD);
    const size_t count = entries - 4;
    assert_status(with_number(&s, count, 4, UINT32_MAX), ARIL_E_FORMAT_TRUNCATED);
    assert_status_class(with_number(&s, count, 4, 2), ARIL_E_FORMAT);
}

static void a_section_has_the_enc_of_its_profile(void **state)
{
    (void)state;
    const struct sample s = sample_of("two-nodes");
    struct list lists[LISTS];
    (void)lists_of(&s, lists);
    const size_t enc = lists[5].at + 4 + 32;
    assert_status(with_vector_length(&s, enc, 1120), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, enc, 1088), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, enc, 0), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, enc, 1569), ARIL_E_FORMAT_FIELD);
    uint8_t out[2048];
    static const uint8_t bytes[2048];
    for (size_t enc_len = 0; enc_len <= 1600; enc_len++) {
        size_t len = 12345;
        const struct arili_bundle_section section = { .enc = { bytes, enc_len } };
        const bool known = enc_len == 1088 || enc_len == 1120 || enc_len == 1568;
        assert_status(arili_bundle_section_write(&section, out, sizeof out, &len),
                      known ? ARIL_OK : ARIL_E_USAGE_RANGE);
        assert_int_equal(len, known ? 32 + 2 + enc_len + 4 : 12345);
        if (known) {
            assert_status(arili_bundle_section_write(&section, out, len - 1, &len),
                          ARIL_E_USAGE_TOO_SMALL);
        }
    }
}

static void a_core_needs_no_signature(void **state)
{
    (void)state;
    static uint8_t out[SAMPLE_BYTES_MAX];
    const struct sample s = sample_of("two-nodes");
    struct arili_bundle b = sample_value(&s).bundle;
    size_t len = 0;
    b.signature.len = 0;
    assert_status(arili_bundle_write_core(&b, out, sizeof out, &len), ARIL_OK);
    assert_int_equal(len, b.signed_part.len);
    assert_memory_equal(out, s.bytes, len);
    b.key_count++;
    assert_status(arili_bundle_write_core(&b, out, sizeof out, &len), ARIL_E_USAGE_RANGE);
}

/* As an authority makes one, of more keys than the samples have. */
static void a_bundle_of_many_keys_and_nodes_is_read_and_written(void **state)
{
    (void)state;
    enum { KEYS = 1000, NODES = 20 };
    static uint8_t keys[KEYS * 200], sections[NODES * (2000 + KEYS * 52)];
    static const uint8_t bytes[8192] = { 1 };
    size_t keys_len = 0, sections_len = 0, len = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        struct arili_bundle_key k = { .purpose = ARIL_KEY_DATA,
                                      .state = ARIL_KEY_ACTIVE,
                                      .version = 1,
                                      .owner = TEXT("tenant") };
        arili_store32(k.id, i);
        assert_status(arili_bundle_key_write(&k, keys + keys_len, sizeof keys - keys_len, &len),
                      ARIL_OK);
        keys_len += len;
    }
    for (uint32_t n = 0; n < NODES; n++) {
        struct arili_bundle_section section = { .enc = { bytes, 1120 }, .entry_count = KEYS };
        arili_store32(section.node, n);
        assert_status(arili_bundle_section_write(&section, sections + sections_len,
                                                 sizeof sections - sections_len, &len),
                      ARIL_OK);
        sections_len += len;
        for (uint32_t i = 0; i < KEYS; i++) {
            arili_store32(sections + sections_len, i);
            sections_len += 4 + ARILI_BUNDLE_SEALED_BYTES;
        }
    }
    const struct arili_bundle b = { .profile = ARIL_PROFILE_HYBRID,
                                    .version = 1,
                                    .authority = { bytes, 1952 },
                                    .key_count = KEYS,
                                    .section_count = NODES,
                                    .keys = { keys, keys_len },
                                    .sections = { sections, sections_len },
                                    .signature = { bytes, 3309 } };
    const size_t cap = keys_len + sections_len + 8192;
    uint8_t *out = malloc(cap);
    assert_non_null(out);
    assert_status(arili_bundle_write(&b, out, cap, &len), ARIL_OK);
    assert_status(codec_status(CODEC_BUNDLE, out, len), ARIL_OK);
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bundles_are_read_and_written),
        cmocka_unit_test(every_truncation_is_refused_as_truncated),
        cmocka_unit_test(every_appended_byte_is_refused),
        cmocka_unit_test(every_changed_byte_has_its_own_meaning_or_none),
        cmocka_unit_test(a_writer_never_passes_the_end_of_its_buffer),
        cmocka_unit_test(a_bundle_gives_its_fields),
        cmocka_unit_test(its_lists_are_walked_element_by_element),
        cmocka_unit_test(the_end_of_a_list_is_truncated_and_changes_nothing),
        cmocka_unit_test(fields_out_of_range_are_refused),
        cmocka_unit_test(a_count_that_is_not_that_of_its_list_is_refused),
        cmocka_unit_test(lists_ascend_without_doubles),
        cmocka_unit_test(tombstones_are_of_tenants),
        cmocka_unit_test(floors_have_names_and_ascend),
        cmocka_unit_test(a_bundle_has_keys_of_four_purposes_that_are_not_destroyed),
        cmocka_unit_test(a_key_that_would_not_be_read_is_not_written),
        cmocka_unit_test(entries_name_keys_in_ascending_order),
        cmocka_unit_test(a_section_has_the_enc_of_its_profile),
        cmocka_unit_test(a_core_needs_no_signature),
        cmocka_unit_test(a_bundle_of_many_keys_and_nodes_is_read_and_written),
    };
    return cmocka_run_group_tests_name("bundle format", tests, NULL, NULL);
}
