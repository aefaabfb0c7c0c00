/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "codec_checks.h"
#include "format/keyring.h"
#include <string.h>

#define FIRST ((enum codec)ARILI_ROW_STAGED)
#define LAST  ((enum codec)ARILI_ROW_RECOVERY)

static const uint8_t blob[70000] = { 1 };

static struct sample sample_of(enum arili_row_kind kind, const char *name)
{
    struct sample s;
    sample_find((enum codec)kind, name, &s);
    return s;
}

static void rows_are_read_and_written(void **state)
{
    (void)state;
    samples_are_read_and_written(FIRST, LAST);
}

static void every_truncation_is_refused_as_truncated(void **state)
{
    (void)state;
    every_truncation_is_truncated(FIRST, LAST);
}

static void every_appended_byte_is_refused(void **state)
{
    (void)state;
    every_appended_byte_is_too_long(FIRST, LAST);
}

static void every_changed_byte_has_its_own_meaning_or_none(void **state)
{
    (void)state;
    every_changed_byte_is_refused_or_canonical(FIRST, LAST);
}

static void a_writer_never_passes_the_end_of_its_buffer(void **state)
{
    (void)state;
    writers_stay_in_their_buffers(FIRST, LAST);
}

/* Each value of a byte; which of them are read. */
static void assert_byte(const struct sample *s, size_t at, unsigned first, unsigned last)
{
    for (unsigned v = 0; v < 256; v++) {
        assert_status(with_number(s, at, 1, v),
                      v >= first && v <= last ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
}

/* Read from first to last bytes, refused below and above. */
static void assert_vector(const struct sample *s, size_t at, size_t first, size_t last)
{
    assert_status(with_vector_length(s, at, first), ARIL_OK);
    assert_status(with_vector_length(s, at, last), ARIL_OK);
    assert_status(with_vector_length(s, at, last + 1), ARIL_E_FORMAT_FIELD);
    if (first > 0) {
        assert_status(with_vector_length(s, at, first - 1), ARIL_E_FORMAT_FIELD);
        assert_status(with_vector_length(s, at, 0), ARIL_E_FORMAT_FIELD);
    }
}

#define REFUSE(kind, member, change)                        \
    do {                                                    \
        union codec_value refused_v = good;                 \
        refused_v.member.change;                            \
        assert_not_written((enum codec)(kind), &refused_v); \
    } while (0)

/* --- STAGED and ROTATION --------------------------------------------------------------- */

static void a_staged_wrap_has_a_parent_and_the_length_of_one(void **state)
{
    (void)state;
    struct sample s = sample_of(ARILI_ROW_STAGED, "data");
    const union codec_value good = sample_value(&s);
    assert_true(is_pattern(good.staged.parent, 32, 10));
    assert_int_equal(good.staged.wrap.len, 1168);
    assert_true(is_pattern(good.staged.wrap.data, 1168, 11));
    assert_vector(&s, 32, 1136, 1680);
    REFUSE(ARILI_ROW_STAGED, staged, wrap.len = 0);
    REFUSE(ARILI_ROW_STAGED, staged, wrap.len = 1135);
    REFUSE(ARILI_ROW_STAGED, staged, wrap = ((aril_bytes){ blob, 1681 }));
    union codec_value v = good;
    memset(v.staged.parent, 0, 32);
    assert_not_written(s.codec, &v);
    memset(s.bytes, 0, 32);
    assert_status(codec_status(s.codec, s.bytes, s.len), ARIL_E_FORMAT_FIELD);
}

static void a_rotation_has_a_successor_and_may_have_a_blob(void **state)
{
    (void)state;
    struct sample s = sample_of(ARILI_ROW_ROTATION, "root");
    const union codec_value good = sample_value(&s);
    assert_true(is_pattern(good.rotation.successor, 32, 12));
    assert_int_equal(good.rotation.started_s, 1750000000);
    assert_int_equal(good.rotation.blob.len, 300);
    assert_true(is_pattern(good.rotation.blob.data, 300, 13));
    assert_vector(&s, 40, 0, 4096);
    REFUSE(ARILI_ROW_ROTATION, rotation, blob = ((aril_bytes){ blob, 4097 }));
    union codec_value v = good;
    memset(v.rotation.successor, 0, 32);
    assert_not_written(s.codec, &v);
    memset(s.bytes, 0, 32);
    assert_status(codec_status(s.codec, s.bytes, s.len), ARIL_E_FORMAT_FIELD);
}

/* --- TOMBSTONE, BACKUP, FLOOR ------------------------------------------------------------ */

static void a_tombstone_gives_its_fields(void **state)
{
    (void)state;
    const struct sample s = sample_of(ARILI_ROW_TOMBSTONE, "one");
    const struct arili_tombstone_row t = sample_value(&s).tombstone;
    assert_int_equal(t.time_s, 1750000000);
    assert_int_equal(t.generation, 17);
    assert_int_equal(t.bundle_version, 4);
    assert_int_equal(t.keys, 6);
    assert_true(is_pattern(t.root, 32, 14));
}

static void a_backup_has_a_path(void **state)
{
    (void)state;
    const struct sample s = sample_of(ARILI_ROW_BACKUP, "destroyed");
    const union codec_value good = sample_value(&s);
    assert_true(good.backup.destroyed);
    assert_int_equal(good.backup.time_s, 1750000000);
    assert_int_equal(good.backup.generation, 12);
    assert_int_equal(good.backup.path.len, 20);
    assert_memory_equal(good.backup.path.data, "/var/backups/keyring", 20);
    assert_byte(&s, 0, 0, 1);
    for (size_t at = 1; at < 8; at++) {
        assert_byte(&s, at, 0, 0);
    }
    assert_vector(&s, 24, 1, 4096);
    for (size_t at = 26; at < s.len; at++) {
        assert_status(with_number(&s, at, 1, 0), ARIL_E_FORMAT_FIELD);
    }
    REFUSE(ARILI_ROW_BACKUP, backup, path.len = 0);
    REFUSE(ARILI_ROW_BACKUP, backup, path = TEXT("a\0b"));
    uint8_t path[4097];
    memset(path, '/', sizeof path);
    REFUSE(ARILI_ROW_BACKUP, backup, path = ((aril_bytes){ path, sizeof path }));
}

static void a_floor_is_eight_bytes(void **state)
{
    (void)state;
    uint64_t value = 7;
    uint8_t bytes[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    for (size_t len = 0; len < 8; len++) {
        assert_status(arili_floor_row_parse((aril_bytes){ bytes, len }, &value),
                      ARIL_E_FORMAT_TRUNCATED);
    }
    assert_status(arili_floor_row_parse((aril_bytes){ bytes, 9 }, &value), ARIL_E_FORMAT_LENGTH);
    assert_int_equal(value, 7);
    assert_status(arili_floor_row_parse((aril_bytes){ bytes, 8 }, &value), ARIL_OK);
    assert_int_equal(value, 0x0102030405060708);
    arili_floor_row_write(UINT64_C(0xf1f2f3f4f5f6f7f8), bytes);
    assert_memory_equal(bytes, "\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\x09", 9);
}

/* --- AUTHORITY and RECOVERY ------------------------------------------------------------ */

static void the_algorithm_fixes_the_key_of_an_authority(void **state)
{
    (void)state;
    struct sample s = sample_of(ARILI_ROW_AUTHORITY, "mldsa87-revoked");
    union codec_value good = sample_value(&s);
    assert_true(good.authority.revoked);
    assert_int_equal(good.authority.alg, ARIL_ML_DSA_87);
    assert_int_equal(good.authority.since_s, 1750000000);
    assert_int_equal(good.authority.public_key.len, 2592);
    assert_byte(&s, 0, 0, 1);
    assert_byte(&s, 1, 87, 87);
    assert_byte(&s, 2, 0, 0);
    assert_byte(&s, 3, 0, 0);
    assert_vector(&s, 12, 2592, 2592);
    REFUSE(ARILI_ROW_AUTHORITY, authority, alg = ARIL_ML_DSA_65);
    REFUSE(ARILI_ROW_AUTHORITY, authority, alg = (aril_sign_alg)44);
    REFUSE(ARILI_ROW_AUTHORITY, authority, alg = (aril_sign_alg)0);
    REFUSE(ARILI_ROW_AUTHORITY, authority, public_key.len = 0);
    s = sample_of(ARILI_ROW_AUTHORITY, "mldsa65");
    good = sample_value(&s);
    assert_true(!good.authority.revoked);
    assert_byte(&s, 1, 65, 65);
    assert_vector(&s, 12, 1952, 1952);
    REFUSE(ARILI_ROW_AUTHORITY, authority, public_key.len = 1951);
    good.authority.alg = (aril_sign_alg)0; /* no key fits an algorithm that is none */
    REFUSE(ARILI_ROW_AUTHORITY, authority, public_key.len = 0);
}

static void a_recovery_row_has_fixed_lengths(void **state)
{
    (void)state;
    const struct sample s = sample_of(ARILI_ROW_RECOVERY, "one");
    const union codec_value good = sample_value(&s);
    assert_int_equal(good.recovery_row.since_s, 1750000000);
    assert_true(is_pattern(good.recovery_row.public_key.data, 1568, 18));
    assert_true(is_pattern(good.recovery_row.wrap.data, 1680, 19));
    assert_vector(&s, 8, 1568, 1568);
    assert_vector(&s, 8 + 2 + 1568, 1680, 1680);
    REFUSE(ARILI_ROW_RECOVERY, recovery_row, public_key.len = 1567);
    REFUSE(ARILI_ROW_RECOVERY, recovery_row, public_key.len = 0);
    REFUSE(ARILI_ROW_RECOVERY, recovery_row, wrap.len = 1679);
    REFUSE(ARILI_ROW_RECOVERY, recovery_row, wrap.len = 0);
}

/* --- NODE ------------------------------------------------------------------------------ */

#define NODE_NAME_AT 36u

static size_t tenants_at(const struct sample *s)
{
    return behind_vector(s, behind_vector(s, behind_vector(s, NODE_NAME_AT)));
}

static void a_node_gives_its_fields(void **state)
{
    (void)state;
    struct sample s = sample_of(ARILI_ROW_NODE, "three-tenants-revoked");
    const union codec_value v = sample_value(&s);
    assert_true(v.node.revoked);
    assert_int_equal(v.node.profile, ARIL_PROFILE_STRICT);
    assert_int_equal(v.node.added_s, 1750000000);
    assert_int_equal(v.node.revoked_s, 1750000009);
    assert_int_equal(v.node.confirmed_version, 5);
    assert_int_equal(v.node.confirmed_s, 1750000005);
    assert_int_equal(v.node.name.len, 6);
    assert_memory_equal(v.node.name.data, "node-1", 6);
    assert_int_equal(v.node.kem_public.len, 1568);
    assert_true(is_pattern(v.node.kem_public.data, 1568, 15));
    assert_int_equal(v.node.sign_public.len, 2592);
    assert_true(is_pattern(v.node.sign_public.data, 2592, 16));
    assert_int_equal(v.node.tenant_count, 3);
    assert_memory_equal(v.node.tenants[0].data, "ac", 2);
    assert_memory_equal(v.node.tenants[1].data, "acme", 4);
    assert_int_equal(v.node.tenants[2].len, 3);
    s = sample_of(ARILI_ROW_NODE, "all-tenants");
    assert_int_equal(sample_value(&s).node.tenant_count, 0);
}

static void fields_of_a_node_out_of_range_are_refused(void **state)
{
    (void)state;
    struct sample s = sample_of(ARILI_ROW_NODE, "three-tenants-revoked");
    const union codec_value good = sample_value(&s);
    assert_byte(&s, 1, 3, 3);
    assert_byte(&s, 2, 0, 0);
    assert_byte(&s, 3, 0, 0);
    assert_status(with_number(&s, 0, 1, 2), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, 0, 1, 0), ARIL_E_FORMAT_FIELD); /* it has a time of it */
    assert_status(with_number(&s, 12, 8, 0), ARIL_OK);
    const size_t kem_at = behind_vector(&s, NODE_NAME_AT);
    assert_vector(&s, NODE_NAME_AT, 1, 63);
    for (unsigned v = 0; v < 256; v++) {
        assert_status(with_number(&s, NODE_NAME_AT + 3, 1, v),
                      v >= 0x21 && v <= 0x7e ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
    assert_vector(&s, kem_at, 1568, 1568);
    assert_vector(&s, behind_vector(&s, kem_at), 2592, 2592);
    REFUSE(ARILI_ROW_NODE, node, revoked = false);
    REFUSE(ARILI_ROW_NODE, node, profile = (aril_profile)0);
    REFUSE(ARILI_ROW_NODE, node, profile = ARIL_PROFILE_HYBRID);
    REFUSE(ARILI_ROW_NODE, node, name.len = 0);
    REFUSE(ARILI_ROW_NODE, node, name = TEXT("a b"));
    REFUSE(ARILI_ROW_NODE, node, kem_public.len = 1567);
    REFUSE(ARILI_ROW_NODE, node, sign_public.len = 2591);
    REFUSE(ARILI_ROW_NODE, node, tenant_count = ARILI_NODE_TENANTS_MAX + 1);
}

static aril_status with_tenants(const aril_bytes *tenants, size_t count)
{
    static struct arili_node_row n;
    static uint8_t out[70000];
    static const uint8_t one[65535] = { 1 };
    size_t len = 0;
    n = (struct arili_node_row){ .profile = ARIL_PROFILE_HYBRID,
                                 .name = TEXT("n"),
                                 .kem_public = { one, 1216 },
                                 .sign_public = { one, 1952 },
                                 .tenant_count = count };
    for (size_t i = 0; i < count; i++) {
        n.tenants[i] = tenants[i];
    }
    const aril_status st = arili_node_row_write(&n, out, sizeof out, &len);
    if (st == ARIL_OK) {
        assert_status(codec_status((enum codec)ARILI_ROW_NODE, out, len), ARIL_OK);
    }
    return st;
}

static void tenants_of_a_node_ascend_without_doubles(void **state)
{
    (void)state;
    const aril_bytes good[] = { TEXT("a"), TEXT("aa"), TEXT("ab"), TEXT("b"), TEXT("\xff") };
    const aril_bytes twice[] = { TEXT("a"), TEXT("a") };
    const aril_bytes longer_first[] = { TEXT("aa"), TEXT("a") };
    const aril_bytes descending[] = { TEXT("\x80"), TEXT("a") };
    const aril_bytes with_nul[] = { TEXT("a\0") };
    const aril_bytes empty[] = { TEXT("") };
    assert_status(with_tenants(good, COUNT(good)), ARIL_OK);
    assert_status(with_tenants(twice, 2), ARIL_E_USAGE_RANGE);
    assert_status(with_tenants(longer_first, 2), ARIL_E_USAGE_RANGE);
    assert_status(with_tenants(descending, 2), ARIL_E_USAGE_RANGE);
    assert_status(with_tenants(with_nul, 1), ARIL_E_USAGE_RANGE);
    assert_status(with_tenants(empty, 1), ARIL_E_USAGE_RANGE);
    struct sample s = sample_of(ARILI_ROW_NODE, "three-tenants-revoked");
    const size_t first = tenants_at(&s) + 2;
    const size_t second = behind_vector(&s, first);
    assert_status(with_vector(&s, first, TEXT("ab")), ARIL_OK);
    assert_status(with_vector(&s, first, TEXT("acmd")), ARIL_OK);
    assert_status(with_vector(&s, first, TEXT("acme")), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, first, TEXT("ad")), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, first, TEXT("")), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, second, TEXT("ac")), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, second, TEXT("acm\0")), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector(&s, second, TEXT("bed")), ARIL_OK);
    assert_status(with_vector(&s, second, TEXT("bee")), ARIL_E_FORMAT_FIELD);
    assert_vector(&s, behind_vector(&s, second), 1, 255);
}

static void a_node_has_256_tenants_at_most_and_fits_a_row(void **state)
{
    (void)state;
    static uint8_t ids[ARILI_NODE_TENANTS_MAX][255];
    static aril_bytes tenants[ARILI_NODE_TENANTS_MAX];
    for (size_t i = 0; i < COUNT(ids); i++) {
        memset(ids[i], 'x', sizeof ids[i]);
        ids[i][0] = (uint8_t)(1 + i / 16);
        ids[i][1] = (uint8_t)(1 + i % 16);
        tenants[i] = (aril_bytes){ ids[i], 200 };
    }
    assert_status(with_tenants(tenants, ARILI_NODE_TENANTS_MAX), ARIL_OK);
    for (size_t i = 0; i < COUNT(ids); i++) {
        tenants[i].len = 255;
    }
    assert_status(with_tenants(tenants, ARILI_NODE_TENANTS_MAX), ARIL_E_USAGE_RANGE);
    assert_status(with_tenants(tenants, 240), ARIL_OK);
    struct sample s = sample_of(ARILI_ROW_NODE, "all-tenants");
    assert_status(with_number(&s, tenants_at(&s), 2, 257), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, tenants_at(&s), 2, 256), ARIL_E_FORMAT_TRUNCATED);
}

/* The writer's limit, for one who wrote more: 256 of the longest tenant ids. */
static void a_longer_row_of_a_node_is_refused(void **state)
{
    (void)state;
    static uint8_t bytes[80000];
    const struct sample s = sample_of(ARILI_ROW_NODE, "all-tenants");
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, s.bytes, s.len);
    arili_store16(bytes + s.len - 2, ARILI_NODE_TENANTS_MAX);
    size_t len = s.len;
    for (unsigned i = 0; i < ARILI_NODE_TENANTS_MAX; i++) {
        arili_store16(bytes + len, 255);
        bytes[len + 2] = (uint8_t)(1 + i / 16);
        bytes[len + 3] = (uint8_t)(1 + i % 16);
        len += 2 + 255;
    }
    assert_true(len > ARILI_ROW_BODY_BYTES_MAX);
    assert_status(codec_status(s.codec, bytes, len), ARIL_E_FORMAT_LENGTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read_and_written),
        cmocka_unit_test(every_truncation_is_refused_as_truncated),
        cmocka_unit_test(every_appended_byte_is_refused),
        cmocka_unit_test(every_changed_byte_has_its_own_meaning_or_none),
        cmocka_unit_test(a_writer_never_passes_the_end_of_its_buffer),
        cmocka_unit_test(a_staged_wrap_has_a_parent_and_the_length_of_one),
        cmocka_unit_test(a_rotation_has_a_successor_and_may_have_a_blob),
        cmocka_unit_test(a_tombstone_gives_its_fields),
        cmocka_unit_test(a_backup_has_a_path),
        cmocka_unit_test(a_floor_is_eight_bytes),
        cmocka_unit_test(the_algorithm_fixes_the_key_of_an_authority),
        cmocka_unit_test(a_recovery_row_has_fixed_lengths),
        cmocka_unit_test(a_node_gives_its_fields),
        cmocka_unit_test(fields_of_a_node_out_of_range_are_refused),
        cmocka_unit_test(tenants_of_a_node_ascend_without_doubles),
        cmocka_unit_test(a_node_has_256_tenants_at_most_and_fits_a_row),
        cmocka_unit_test(a_longer_row_of_a_node_is_refused),
    };
    return cmocka_run_group_tests_name("keyring rows", tests, NULL, NULL);
}
