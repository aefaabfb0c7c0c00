/* SPDX-License-Identifier: Apache-2.0 */
#include "format/keyring.h"
#include "base/bytes.h"
#include "codec_checks.h"
#include <string.h>

static const uint8_t blob[70000] = { 1 };

static void head_and_keys_are_read_and_written(void **state)
{
    (void)state;
    samples_are_read_and_written(CODEC_HEAD, (enum codec)ARILI_ROW_KEY);
}

static void every_truncation_is_refused_as_truncated(void **state)
{
    (void)state;
    every_truncation_is_truncated(CODEC_HEAD, (enum codec)ARILI_ROW_KEY);
}

static void every_appended_byte_is_refused(void **state)
{
    (void)state;
    every_appended_byte_is_too_long(CODEC_HEAD, (enum codec)ARILI_ROW_KEY);
}

static void every_changed_byte_has_its_own_meaning_or_none(void **state)
{
    (void)state;
    every_changed_byte_is_refused_or_canonical(CODEC_HEAD, (enum codec)ARILI_ROW_KEY);
}

static void a_writer_never_passes_the_end_of_its_buffer(void **state)
{
    (void)state;
    writers_stay_in_their_buffers(CODEC_HEAD, (enum codec)ARILI_ROW_KEY);
}

/* --- Head ------------------------------------------------------------------------------ */

#define LEAD_AT 84u
#define ROOT_AT 136u
#define BLOB_AT 184u

static void a_head_gives_its_fields(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_HEAD, "node-locked-counter", &s);
    const struct arili_head h = sample_value(&s).head;
    assert_int_equal(h.role, ARIL_KEYRING_NODE);
    assert_int_equal(h.profile, ARIL_PROFILE_STRICT);
    assert_true(h.locked && h.has_counter);
    assert_true(is_pattern(h.id, sizeof h.id, 1));
    assert_int_equal(h.revision, 0x0102030405060708);
    assert_int_equal(h.generation, 0x1112131415161718);
    assert_int_equal(h.created_s, 1750000000);
    assert_int_equal(h.clock_s, 1750000001);
    assert_int_equal(h.bundle_version, 3);
    assert_int_equal(h.policy.root_days, 365);
    assert_int_equal(h.policy.tenant_days, 364);
    assert_int_equal(h.policy.data_days, 90);
    assert_int_equal(h.policy.api_days, 30);
    assert_int_equal(h.policy.bundle_days, 7);
    assert_int_equal(h.policy.overdue_refuses, 1);
    assert_int_equal(h.policy.lead_s, 120);
    assert_true(is_pattern(h.fleet, sizeof h.fleet, 6));
    assert_true(is_pattern(h.bundle_digest, sizeof h.bundle_digest, 7));
    assert_true(is_pattern(h.root, sizeof h.root, 2));
    assert_true(is_pattern(h.root_slot, sizeof h.root_slot, 3));
    assert_int_equal(h.blob.len, 200);
    assert_true(is_pattern(h.blob.data, 200, 4));
    assert_int_equal(h.counter.len, 24);
    assert_true(is_pattern(h.counter.data, 24, 5));
    sample_find(CODEC_HEAD, "authority", &s);
    const struct arili_head a = sample_value(&s).head;
    assert_int_equal(a.role, ARIL_KEYRING_AUTHORITY);
    assert_true(!a.locked && !a.has_counter && a.policy.overdue_refuses == 0);
}

static void a_head_of_another_version_is_of_another_version(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_HEAD, "authority", &s);
    for (unsigned v = 0; v <= UINT16_MAX; v++) {
        assert_status(with_number(&s, 0, 2, v), v == 1 ? ARIL_OK : ARIL_E_FORMAT_VERSION);
    }
}

static void two_roles_and_three_profiles_are_known(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_HEAD, "authority", &s);
    for (unsigned v = 0; v < 256; v++) {
        assert_status(with_number(&s, 2, 1, v), v == 1 || v == 2 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, 3, 1, v), v >= 1 && v <= 3 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
}

static void three_flags_are_known_and_the_rest_is_zero(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_HEAD, "authority", &s);
    for (unsigned v = 0; v <= UINT16_MAX; v++) {
        assert_status(with_number(&s, 4, 2, v), v <= 3 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, 6, 2, v), v == 0 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
    sample_find(CODEC_HEAD, "node-locked-counter", &s);
    for (unsigned v = 0; v < 16; v++) { /* this one has a counter */
        assert_status(with_number(&s, 4, 2, v), v >= 4 && v <= 7 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
}

static void a_policy_is_complete_and_not_looser_than_the_maximum(void **state)
{
    (void)state;
    struct sample s;
    static const uint32_t most[] = { 365, 365, 90, 30, 7 };
    sample_find(CODEC_HEAD, "authority", &s);
    for (size_t i = 0; i < COUNT(most); i++) {
        const size_t at = 64 + 4 * i;
        assert_status(with_number(&s, at, 4, 0), ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, at, 4, 1), ARIL_OK);
        assert_status(with_number(&s, at, 4, most[i]), ARIL_OK);
        assert_status(with_number(&s, at, 4, most[i] + 1), ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, at, 4, UINT32_MAX), ARIL_E_FORMAT_FIELD);
    }
    assert_status(with_number(&s, LEAD_AT, 4, 0), ARIL_OK);
    assert_status(with_number(&s, LEAD_AT, 4, 86400), ARIL_OK);
    assert_status(with_number(&s, LEAD_AT, 4, 86401), ARIL_E_FORMAT_FIELD);
}

static void a_head_has_a_root_a_blob_and_perhaps_a_counter(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_HEAD, "node-locked-counter", &s);
    const size_t counter_at = behind_vector(&s, BLOB_AT);
    for (size_t len = 0; len <= 80; len++) {
        assert_status(with_vector_length(&s, counter_at, len),
                      len >= 9 && len <= 72 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
    assert_status(with_vector_length(&s, BLOB_AT, 0), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, BLOB_AT, 1), ARIL_OK);
    assert_status(with_vector_length(&s, BLOB_AT, 4096), ARIL_OK);
    assert_status(with_vector_length(&s, BLOB_AT, 4097), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, BLOB_AT, 8192), ARIL_E_FORMAT_LENGTH);
    memset(s.bytes + ROOT_AT, 0, 32);
    assert_status(codec_status(s.codec, s.bytes, s.len), ARIL_E_FORMAT_FIELD);
    s.bytes[ROOT_AT + 31] = 1;
    assert_status(codec_status(s.codec, s.bytes, s.len), ARIL_OK);
    sample_find(CODEC_HEAD, "authority", &s);
    assert_status(with_vector_length(&s, behind_vector(&s, BLOB_AT), 9), ARIL_E_FORMAT_FIELD);
}

static void a_head_that_would_not_be_read_is_not_written(void **state)
{
    (void)state;
    struct sample s;
    sample_find(CODEC_HEAD, "node-locked-counter", &s);
    const union codec_value good = sample_value(&s);
    union codec_value v;
#define REFUSE(change)                      \
    do {                                    \
        v = good;                           \
        v.head.change;                      \
        assert_not_written(CODEC_HEAD, &v); \
    } while (0)
    REFUSE(role = (aril_keyring_role)0);
    REFUSE(role = (aril_keyring_role)3);
    REFUSE(profile = (aril_profile)0);
    REFUSE(profile = (aril_profile)4);
    REFUSE(policy.root_days = 366);
    REFUSE(policy.tenant_days = 0);
    REFUSE(policy.data_days = 91);
    REFUSE(policy.api_days = 31);
    REFUSE(policy.bundle_days = 8);
    REFUSE(policy.overdue_refuses = 2);
    REFUSE(policy.overdue_refuses = -1);
    REFUSE(has_counter = false);
    REFUSE(counter.len = 0);
    REFUSE(blob.len = 0);
    REFUSE(blob = ((aril_bytes){ blob, 4097 }));
    REFUSE(blob = ((aril_bytes){ blob, sizeof blob }));
    REFUSE(counter = ((aril_bytes){ blob, 8 }));
    REFUSE(counter = ((aril_bytes){ blob, 73 }));
    REFUSE(policy.lead_s = 86401);
#undef REFUSE
    v = good;
    memset(v.head.root, 0, sizeof v.head.root);
    assert_not_written(CODEC_HEAD, &v);
}

/* --- KEY ------------------------------------------------------------------------------- */

#define OWNER_AT 112u

static void a_key_gives_its_fields(void **state)
{
    (void)state;
    struct sample s;
    sample_find((enum codec)ARILI_ROW_KEY, "data-label", &s);
    const struct arili_key_row k = sample_value(&s).key;
    assert_int_equal(k.purpose, ARIL_KEY_DATA);
    assert_int_equal(k.state, ARIL_KEY_RETIRED);
    assert_int_equal(k.profile, ARIL_PROFILE_STRICT);
    assert_int_equal(k.version, 2);
    assert_int_equal(k.created_s, 1750000000);
    assert_int_equal(k.activates_s, 1750000001);
    assert_int_equal(k.rotate_by_s, 1750000002);
    assert_int_equal(k.not_after_s, 1750000003);
    assert_int_equal(k.changed_s, 1750000004);
    assert_true(is_pattern(k.parent, 32, 6));
    assert_true(is_pattern(k.predecessor, 32, 7));
    assert_int_equal(k.owner.len, 4);
    assert_memory_equal(k.owner.data, "acme", 4);
    assert_int_equal(k.label.len, 7);
    assert_memory_equal(k.label.data, "a label", 7);
    assert_int_equal(k.public_key.len, 0);
    assert_int_equal(k.wrap.len, 1616);
    assert_true(is_pattern(k.wrap.data, 1616, 9));
    sample_find((enum codec)ARILI_ROW_KEY, "node", &s);
    const struct arili_key_row n = sample_value(&s).key;
    assert_int_equal(n.public_key.len, 1184 + 1952);
    assert_true(is_pattern(n.public_key.data, n.public_key.len, 8));
}

/* From docs/KEYRING-FORMAT.md, by purpose and profile. */
static const size_t publics[10][4] = {
    [1] = { 0, 1568, 1568, 1568 }, [2] = { 0, 1216, 1184, 1568 }, [3] = { 0, 1216, 1184, 1568 },
    [4] = { 0, 1952, 1952, 2592 }, [5] = { 0, 1952, 1952, 2592 }, [6] = { 0, 3168, 3136, 4160 },
};
static const size_t wraps[10][4] = {
    [1] = { 0, 16, 16, 16 },       [2] = { 0, 1648, 1680, 1680 }, [3] = { 0, 1648, 1680, 1680 },
    [4] = { 0, 1616, 1616, 1616 }, [5] = { 0, 1616, 1616, 1616 }, [6] = { 0, 1648, 1680, 1680 },
    [7] = { 0, 1168, 1136, 1616 }, [8] = { 0, 1168, 1136, 1616 }, [9] = { 0, 1168, 1136, 1616 },
};

static struct arili_key_row plain_key(unsigned purpose, unsigned profile)
{
    static const aril_bytes none = { NULL, 0 };
    struct arili_key_row k = { .purpose = (aril_key_purpose)purpose,
                               .state = ARIL_KEY_ACTIVE,
                               .profile = (aril_profile)profile,
                               .version = 1,
                               .public_key = { blob, publics[purpose][profile] },
                               .wrap = { blob, wraps[purpose][profile] } };
    k.parent[0] = purpose != ARIL_KEY_ROOT;
    k.owner = purpose == ARIL_KEY_ROOT || purpose == ARIL_KEY_AUTHORITY ? none : TEXT("owner");
    return k;
}

static aril_status write_key(const struct arili_key_row *k)
{
    uint8_t out[16384];
    size_t len;
    const aril_status st = arili_key_row_write(k, out, sizeof out, &len);
    if (st == ARIL_OK) {
        assert_status(codec_status((enum codec)ARILI_ROW_KEY, out, len), ARIL_OK);
    }
    return st;
}

static void purpose_and_profile_fix_the_lengths_of_keys(void **state)
{
    (void)state;
    for (unsigned purpose = 1; purpose <= 9; purpose++) {
        for (unsigned profile = 1; profile <= 3; profile++) {
            struct arili_key_row k = plain_key(purpose, profile);
            assert_status(write_key(&k), ARIL_OK);
            const size_t public_len = k.public_key.len, wrap_len = k.wrap.len;
            k.public_key.len = public_len + 1;
            assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
            k.public_key.len = public_len > 0 ? public_len - 1 : 1952;
            assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
            k.public_key.len = public_len;
            k.wrap.len = wrap_len + 1;
            assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
            k.wrap.len = wrap_len - 1;
            assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
            k.wrap.len = 0;
            assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
            k.state = ARIL_KEY_DESTROYED;
            assert_status(write_key(&k), ARIL_OK);
            k.wrap.len = wrap_len;
            assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
        }
    }
}

static void a_parser_refuses_the_same_lengths(void **state)
{
    (void)state;
    struct sample s;
    for (unsigned n = 0; sample_make(n, &s); n++) {
        if (s.codec == (enum codec)ARILI_ROW_KEY) {
            const size_t public_at = behind_vector(&s, behind_vector(&s, OWNER_AT));
            const size_t wrap_at = behind_vector(&s, public_at);
            const size_t public_len = arili_load16(s.bytes + public_at);
            const size_t wrap_len = arili_load16(s.bytes + wrap_at);
            assert_status(with_vector_length(&s, public_at, public_len), ARIL_OK);
            assert_status(with_vector_length(&s, public_at, public_len + 1), ARIL_E_FORMAT_FIELD);
            assert_status(with_vector_length(&s, wrap_at, wrap_len + 1), ARIL_E_FORMAT_FIELD);
            if (public_len > 0) {
                assert_status(with_vector_length(&s, public_at, 0), ARIL_E_FORMAT_FIELD);
            }
            if (wrap_len > 0) {
                assert_status(with_vector_length(&s, wrap_at, 0), ARIL_E_FORMAT_FIELD);
                assert_status(with_vector_length(&s, wrap_at, wrap_len - 1), ARIL_E_FORMAT_FIELD);
            }
        }
    }
}

static void purposes_states_and_profiles_out_of_range_are_refused(void **state)
{
    (void)state;
    struct sample s;
    sample_find((enum codec)ARILI_ROW_KEY, "data", &s);
    for (unsigned v = 0; v < 256; v++) {
        /* NAME and LEGACY have the same form. */
        assert_status(with_number(&s, 0, 1, v), v >= 7 && v <= 9 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, 1, 1, v), v >= 1 && v <= 4 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, 2, 1, v), v == 1 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        assert_status(with_number(&s, 3, 1, v), v == 0 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
    assert_status(with_number(&s, 4, 4, 0), ARIL_E_FORMAT_FIELD);
    assert_status(with_number(&s, 4, 4, 1), ARIL_OK);
    assert_status(with_number(&s, 4, 4, UINT32_MAX), ARIL_OK);
    struct arili_key_row k = plain_key(ARIL_KEY_DATA, 1);
    k.purpose = (aril_key_purpose)10;
    assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
    k = plain_key(ARIL_KEY_DATA, 1);
    k.purpose = (aril_key_purpose)0;
    assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
    k = plain_key(ARIL_KEY_DATA, 1);
    k.state = (aril_key_state)0;
    assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
    k.state = (aril_key_state)6;
    assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
    k = plain_key(ARIL_KEY_DATA, 1);
    k.profile = (aril_profile)4;
    assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
    k = plain_key(ARIL_KEY_DATA, 1);
    k.version = 0;
    assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
}

static void only_a_root_has_no_parent(void **state)
{
    (void)state;
    struct sample s;
    for (unsigned n = 0; sample_make(n, &s); n++) {
        if (s.codec == (enum codec)ARILI_ROW_KEY) {
            const bool root = s.bytes[0] == ARIL_KEY_ROOT;
            memset(s.bytes + 48, 0, 32);
            assert_status(codec_status(s.codec, s.bytes, s.len),
                          root ? ARIL_OK : ARIL_E_FORMAT_FIELD);
            s.bytes[48 + 31] = 1;
            assert_status(codec_status(s.codec, s.bytes, s.len),
                          root ? ARIL_E_FORMAT_FIELD : ARIL_OK);
        }
    }
    struct arili_key_row k = plain_key(ARIL_KEY_ROOT, 1);
    k.parent[31] = 1;
    assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
    k = plain_key(ARIL_KEY_API, 1);
    memset(k.parent, 0, sizeof k.parent);
    assert_status(write_key(&k), ARIL_E_USAGE_RANGE);
}

static void owners_are_1_to_255_bytes_without_nul_where_there_is_one(void **state)
{
    (void)state;
    uint8_t owner[257];
    memset(owner, 0xff, sizeof owner);
    for (unsigned purpose = 1; purpose <= 9; purpose++) {
        const bool has = purpose != ARIL_KEY_ROOT && purpose != ARIL_KEY_AUTHORITY;
        struct arili_key_row k = plain_key(purpose, 2);
        for (size_t len = 0; len <= sizeof owner; len++) {
            k.owner = (aril_bytes){ owner, len };
            const bool fits = has ? len >= 1 && len <= 255 : len == 0;
            assert_status(write_key(&k), fits ? ARIL_OK : ARIL_E_USAGE_RANGE);
        }
    }
    struct sample s;
    sample_find((enum codec)ARILI_ROW_KEY, "tenant", &s);
    assert_status(with_vector_length(&s, OWNER_AT, 0), ARIL_E_FORMAT_FIELD);
    assert_status(with_vector_length(&s, OWNER_AT, 255), ARIL_OK);
    assert_status(with_vector_length(&s, OWNER_AT, 256), ARIL_E_FORMAT_FIELD);
    for (size_t at = 0; at < 4; at++) {
        assert_status(with_number(&s, OWNER_AT + 2 + at, 1, 0), ARIL_E_FORMAT_FIELD);
    }
    sample_find((enum codec)ARILI_ROW_KEY, "authority", &s);
    assert_status(with_vector_length(&s, OWNER_AT, 1), ARIL_E_FORMAT_FIELD);
}

static void labels_are_printable_and_for_data_name_and_legacy_keys(void **state)
{
    (void)state;
    struct sample s;
    sample_find((enum codec)ARILI_ROW_KEY, "data-label", &s);
    const size_t label_at = behind_vector(&s, OWNER_AT);
    for (size_t len = 0; len <= 70; len++) {
        assert_status(with_vector_length(&s, label_at, len),
                      len <= 63 ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
    for (unsigned v = 0; v < 256; v++) {
        assert_status(with_number(&s, label_at + 2 + 6, 1, v),
                      v >= 0x20 && v <= 0x7e ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
    for (unsigned purpose = 1; purpose <= 9; purpose++) {
        struct arili_key_row k = plain_key(purpose, 3);
        k.label = TEXT("x");
        const bool may =
            purpose == ARIL_KEY_DATA || purpose == ARIL_KEY_NAME || purpose == ARIL_KEY_LEGACY;
        assert_status(write_key(&k), may ? ARIL_OK : ARIL_E_USAGE_RANGE);
    }
}

static void ends_come_after_what_they_end(void **state)
{
    (void)state;
    static const struct {
        uint64_t activates_s, rotate_by_s, not_after_s;
        bool ok;
    } cases[] = {
        { 0, 0, 0, true },           { 5, 0, 0, true },  { 5, 5, 0, true },
        { 5, 6, 6, true },           { 5, 0, 5, true },  { 5, 6, 7, true },
        { 5, 4, 0, false },          { 5, 4, 9, false }, { 5, 0, 4, false },
        { 5, 6, 5, false },          { 5, 9, 8, false }, { UINT64_MAX, 0, 0, true },
        { UINT64_MAX, 1, 0, false },
    };
    struct sample s;
    sample_find((enum codec)ARILI_ROW_KEY, "data", &s);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arili_key_row k = plain_key(ARIL_KEY_DATA, 1);
        k.activates_s = cases[i].activates_s;
        k.rotate_by_s = cases[i].rotate_by_s;
        k.not_after_s = cases[i].not_after_s;
        assert_status(write_key(&k), cases[i].ok ? ARIL_OK : ARIL_E_USAGE_RANGE);
        arili_store64(s.bytes + 16, k.activates_s);
        arili_store64(s.bytes + 24, k.rotate_by_s);
        arili_store64(s.bytes + 32, k.not_after_s);
        assert_status(codec_status(s.codec, s.bytes, s.len),
                      cases[i].ok ? ARIL_OK : ARIL_E_FORMAT_FIELD);
    }
}

/* --- Info of a wrap ---------------------------------------------------------------------- */

static void the_info_of_a_wrap_is_all_that_never_changes(void **state)
{
    (void)state;
    struct sample s;
    uint8_t keyring_id[16], id[32], info[ARILI_WRAP_INFO_BYTES_MAX], expected[512];
    size_t len = 0;
    fill_pattern(keyring_id, sizeof keyring_id, 40);
    fill_pattern(id, sizeof id, 41);
    sample_find((enum codec)ARILI_ROW_KEY, "data-label", &s);
    const struct arili_key_row k = sample_value(&s).key;
    assert_status(arili_wrap_info_write(keyring_id, id, &k, info, sizeof info, &len), ARIL_OK);
    uint8_t *at = expected;
    memcpy(at, "aril keyring wrap v1", 20);
    memcpy(at + 20, keyring_id, 16);
    memcpy(at + 36, s.bytes + 48, 32); /* parent */
    memcpy(at + 68, id, 32);
    at[100] = 7;
    at[101] = 3;
    memcpy(at + 102, s.bytes + 4, 4 + 4 * 8); /* version and four times */
    memcpy(at + 138, s.bytes + 80, 32);       /* predecessor */
    memcpy(at + 170, "\0\4acme\0\7a label", 15);
    assert_int_equal(len, 185);
    assert_memory_equal(info, expected, len);
    struct arili_key_row later = k; /* state, its time and the wrap itself may change */
    later.state = ARIL_KEY_DESTROYED;
    later.changed_s++;
    later.wrap.len = 0;
    assert_status(arili_wrap_info_write(keyring_id, id, &later, info, sizeof info, &len), ARIL_OK);
    assert_int_equal(len, 185);
    assert_memory_equal(info, expected, len);
}

static void every_other_field_is_in_the_info(void **state)
{
    (void)state;
    struct arili_key_row k[10];
    uint8_t info[10][ARILI_WRAP_INFO_BYTES_MAX];
    size_t len[10];
    const uint8_t id[32] = { 1 };
    for (size_t i = 0; i < COUNT(k); i++) {
        k[i] = plain_key(ARIL_KEY_DATA, 1);
    }
    k[1].purpose = ARIL_KEY_NAME;
    k[2].profile = ARIL_PROFILE_STRICT;
    k[3].version = 2;
    k[4].created_s = 1;
    k[5].rotate_by_s = 1;
    k[6].not_after_s = 1;
    k[7].parent[31] = 1;
    k[8].predecessor[31] = 1;
    k[9].label = TEXT("l");
    for (size_t i = 0; i < COUNT(k); i++) {
        assert_status(arili_wrap_info_write(id, id, &k[i], info[i], sizeof info[i], &len[i]),
                      ARIL_OK);
        for (size_t other = 0; other < i; other++) {
            assert_true(len[i] != len[other] || memcmp(info[i], info[other], len[i]) != 0);
        }
    }
}

static void an_info_is_refused_for_a_root_and_for_what_is_no_key(void **state)
{
    (void)state;
    uint8_t owner[ARIL_KEY_OWNER_BYTES_MAX], info[ARILI_WRAP_INFO_BYTES_MAX];
    size_t len = 12345;
    const uint8_t id[32] = { 1 };
    struct arili_key_row k = plain_key(ARIL_KEY_ROOT, 1);
    assert_status(arili_wrap_info_write(id, id, &k, info, sizeof info, &len), ARIL_E_USAGE_RANGE);
    k = plain_key(ARIL_KEY_DATA, 1);
    k.version = 0;
    assert_status(arili_wrap_info_write(id, id, &k, info, sizeof info, &len), ARIL_E_USAGE_RANGE);
    k = plain_key(ARIL_KEY_DATA, 1);
    k.owner.len = 0;
    assert_status(arili_wrap_info_write(id, id, &k, info, sizeof info, &len), ARIL_E_USAGE_RANGE);
    assert_int_equal(len, 12345);
    memset(owner, 'o', sizeof owner); /* the longest one fits its constant */
    k.owner = (aril_bytes){ owner, sizeof owner };
    k.label = (aril_bytes){ owner, ARIL_KEY_LABEL_BYTES_MAX };
    assert_status(arili_wrap_info_write(id, id, &k, info, sizeof info, &len), ARIL_OK);
    for (size_t cap = 0; cap < len; cap++) {
        struct guarded g;
        size_t unset = 12345;
        guarded_init(&g, cap);
        assert_status(arili_wrap_info_write(id, id, &k, g.data, cap, &unset),
                      ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal(unset, 12345);
        guarded_check(&g);
        guarded_done(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_and_keys_are_read_and_written),
        cmocka_unit_test(every_truncation_is_refused_as_truncated),
        cmocka_unit_test(every_appended_byte_is_refused),
        cmocka_unit_test(every_changed_byte_has_its_own_meaning_or_none),
        cmocka_unit_test(a_writer_never_passes_the_end_of_its_buffer),
        cmocka_unit_test(a_head_gives_its_fields),
        cmocka_unit_test(a_head_of_another_version_is_of_another_version),
        cmocka_unit_test(two_roles_and_three_profiles_are_known),
        cmocka_unit_test(three_flags_are_known_and_the_rest_is_zero),
        cmocka_unit_test(a_policy_is_complete_and_not_looser_than_the_maximum),
        cmocka_unit_test(a_head_has_a_root_a_blob_and_perhaps_a_counter),
        cmocka_unit_test(a_head_that_would_not_be_read_is_not_written),
        cmocka_unit_test(a_key_gives_its_fields),
        cmocka_unit_test(purpose_and_profile_fix_the_lengths_of_keys),
        cmocka_unit_test(a_parser_refuses_the_same_lengths),
        cmocka_unit_test(purposes_states_and_profiles_out_of_range_are_refused),
        cmocka_unit_test(only_a_root_has_no_parent),
        cmocka_unit_test(owners_are_1_to_255_bytes_without_nul_where_there_is_one),
        cmocka_unit_test(labels_are_printable_and_for_data_name_and_legacy_keys),
        cmocka_unit_test(ends_come_after_what_they_end),
        cmocka_unit_test(the_info_of_a_wrap_is_all_that_never_changes),
        cmocka_unit_test(every_other_field_is_in_the_info),
        cmocka_unit_test(an_info_is_refused_for_a_root_and_for_what_is_no_key),
    };
    return cmocka_run_group_tests_name("keyring format", tests, NULL, NULL);
}
