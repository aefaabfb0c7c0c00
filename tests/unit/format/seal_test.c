/* SPDX-License-Identifier: Apache-2.0 */
#include "format/seal.h"
#include "fixture.h"
#include <string.h>

/* A header whose bytes are all different, and the same by hand from the format document. */
static struct arili_seal_header sample(void)
{
    struct arili_seal_header h = { .use = ARILI_USE_KV,
                                   .direction = 1,
                                   .epoch = 0x01020304,
                                   .tenant_tag = UINT64_C(0x1112131415161718),
                                   .sequence = 0x21222324,
                                   .body_bytes = UINT64_C(0x0000000431323334) };
    for (size_t i = 0; i < sizeof h.key_id; i++) {
        h.key_id[i] = (uint8_t)(0x80 + i);
    }
    return h;
}

static const uint8_t sample_bytes[ARILI_SEAL_HEADER_BYTES] = {
    0xa1, 0x01, 0x01, 0x01, 0x01, 0x02, 0x03, 0x04, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
    0x00, 0x00, 0x00, 0x00, 0x21, 0x22, 0x23, 0x24, 0x00, 0x00, 0x00, 0x04, 0x31, 0x32, 0x33, 0x34,
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f,
    0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f,
};

/* Writing what was parsed gives the same bytes. */
static void assert_canonical(const uint8_t seal[ARILI_SEAL_HEADER_BYTES])
{
    struct arili_seal_header h;
    uint8_t again[ARILI_SEAL_HEADER_BYTES];
    assert_status(arili_seal_parse(seal, &h), ARIL_OK);
    arili_seal_write(&h, again);
    assert_memory_equal(again, seal, sizeof again);
}

/* Refused, and the output is as before. */
static void assert_refused(const uint8_t seal[ARILI_SEAL_HEADER_BYTES], aril_status want)
{
    struct arili_seal_header h;
    memset(&h, 0x5c, sizeof h);
    assert_status(arili_seal_parse(seal, &h), want);
    assert_true(is_filled(&h, sizeof h, 0x5c));
}

static void a_header_has_the_documented_bytes(void **state)
{
    (void)state;
    uint8_t bytes[ARILI_SEAL_HEADER_BYTES];
    const struct arili_seal_header want = sample();
    arili_seal_write(&want, bytes);
    assert_memory_equal(bytes, sample_bytes, sizeof bytes);
    struct arili_seal_header h;
    memset(&h, 0x5c, sizeof h);
    assert_status(arili_seal_parse(sample_bytes, &h), ARIL_OK);
    assert_int_equal(h.use, want.use);
    assert_int_equal(h.direction, want.direction);
    assert_int_equal(h.epoch, want.epoch);
    assert_int_equal(h.tenant_tag, want.tenant_tag);
    assert_int_equal(h.sequence, want.sequence);
    assert_int_equal(h.body_bytes, want.body_bytes);
    assert_memory_equal(h.key_id, want.key_id, sizeof h.key_id);
}

static void only_one_level_is_read(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        uint8_t seal[ARILI_SEAL_HEADER_BYTES];
        memcpy(seal, sample_bytes, sizeof seal);
        seal[0] = (uint8_t)v;
        if (v == 0xa1) {
            assert_canonical(seal);
        } else {
            assert_refused(seal, ARIL_E_FORMAT_VERSION);
        }
    }
}

static void only_the_counted_kind_is_read(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        uint8_t seal[ARILI_SEAL_HEADER_BYTES];
        memcpy(seal, sample_bytes, sizeof seal);
        seal[1] = (uint8_t)v;
        if (v == 1) {
            assert_canonical(seal);
        } else {
            assert_refused(seal, ARIL_E_FORMAT_KIND);
        }
    }
}

static void every_use_is_read_because_the_use_decides(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        uint8_t seal[ARILI_SEAL_HEADER_BYTES];
        memcpy(seal, sample_bytes, sizeof seal);
        seal[2] = (uint8_t)v;
        assert_canonical(seal);
        struct arili_seal_header h;
        assert_status(arili_seal_parse(seal, &h), ARIL_OK);
        assert_int_equal(h.use, v);
    }
}

static void the_only_flag_is_the_direction(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        uint8_t seal[ARILI_SEAL_HEADER_BYTES];
        memcpy(seal, sample_bytes, sizeof seal);
        seal[3] = (uint8_t)v;
        if (v <= 1) {
            assert_canonical(seal);
            struct arili_seal_header h;
            assert_status(arili_seal_parse(seal, &h), ARIL_OK);
            assert_int_equal(h.direction, v);
        } else {
            assert_refused(seal, ARIL_E_FORMAT_FIELD);
        }
    }
}

static void write_with(uint64_t sequence, uint64_t body, uint8_t ret[ARILI_SEAL_HEADER_BYTES])
{
    struct arili_seal_header h = sample();
    h.sequence = sequence;
    h.body_bytes = body;
    arili_seal_write(&h, ret);
}

static void a_sequence_is_one_to_two_to_the_32(void **state)
{
    (void)state;
    static const uint64_t good[] = { 1, 2, UINT32_MAX, UINT64_C(1) << 32 };
    static const uint64_t bad[] = { 0, (UINT64_C(1) << 32) + 1, UINT64_C(1) << 33,
                                    UINT64_C(1) << 63, UINT64_MAX };
    uint8_t seal[ARILI_SEAL_HEADER_BYTES];
    for (size_t i = 0; i < COUNT(good); i++) {
        write_with(good[i], 7, seal);
        assert_canonical(seal);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        write_with(bad[i], 7, seal);
        assert_refused(seal, ARIL_E_FORMAT_FIELD);
    }
}

static void a_body_is_as_long_as_one_message_may_be(void **state)
{
    (void)state;
    static const uint64_t good[] = { 0, 1, ARIL_BODY_BYTES_MAX };
    static const uint64_t bad[] = { ARIL_BODY_BYTES_MAX + 1, UINT64_C(1) << 36, UINT64_C(1) << 63,
                                    UINT64_MAX };
    uint8_t seal[ARILI_SEAL_HEADER_BYTES];
    for (size_t i = 0; i < COUNT(good); i++) {
        write_with(9, good[i], seal);
        assert_canonical(seal);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        write_with(9, bad[i], seal);
        assert_refused(seal, ARIL_E_FORMAT_LENGTH);
    }
}

static void epoch_tag_and_key_id_take_every_value(void **state)
{
    (void)state;
    static const uint8_t fillers[] = { 0x00, 0xff, 0x55 };
    for (size_t i = 0; i < COUNT(fillers); i++) {
        uint8_t seal[ARILI_SEAL_HEADER_BYTES];
        memcpy(seal, sample_bytes, sizeof seal);
        memset(seal + 4, fillers[i], 12);
        memset(seal + 32, fillers[i], 32);
        assert_canonical(seal);
    }
}

/* Every value of every byte: refused, or read in a way that gives the same bytes back. */
static void every_changed_byte_is_refused_or_canonical(void **state)
{
    (void)state;
    size_t refused = 0;
    for (size_t at = 0; at < ARILI_SEAL_HEADER_BYTES; at++) {
        for (unsigned x = 1; x < 256; x++) {
            uint8_t seal[ARILI_SEAL_HEADER_BYTES];
            memcpy(seal, sample_bytes, sizeof seal);
            seal[at] ^= (uint8_t)x;
            struct arili_seal_header h;
            const aril_status st = arili_seal_parse(seal, &h);
            if (st == ARIL_OK) {
                assert_canonical(seal);
            } else {
                assert_status_class(st, ARIL_E_FORMAT);
                refused++;
            }
        }
    }
    /* level, kind; flags but for the other direction; four high bytes of the sequence, but
     * for none; four of the length, the fourth up to 15. */
    assert_int_equal(refused, 255 + 255 + 254 + 4 * 255 + 3 * 255 + 240);
}

static void random_bytes_are_refused_or_canonical(void **state)
{
    (void)state;
    size_t read = 0;
    for (uint64_t n = 0; n < 20000; n++) {
        uint8_t seal[ARILI_SEAL_HEADER_BYTES];
        fill_pattern(seal, sizeof seal, n);
        if (n % 2 == 0) { /* give half of them a chance */
            memcpy(seal, sample_bytes, 4);
            memset(seal + 16, 0, 4);
            memset(seal + 24, 0, 4);
        }
        struct arili_seal_header h;
        if (arili_seal_parse(seal, &h) == ARIL_OK) {
            assert_canonical(seal);
            read++;
        }
    }
    assert_true(read > 9000);
}

static void inspecting_tells_the_fields_and_no_more(void **state)
{
    (void)state;
    uint8_t seal[ARIL_SEAL_BYTES];
    memcpy(seal, sample_bytes, sizeof sample_bytes);
    memset(seal + ARILI_SEAL_HEADER_BYTES, 0xee, ARILI_SEAL_TAG_BYTES); /* no tag of anything */
    aril_seal_info info;
    const struct arili_seal_header want = sample();
    assert_status(aril_seal_inspect(seal, &info), ARIL_OK);
    assert_int_equal(info.version, 1);
    assert_int_equal(info.use, 1);
    assert_int_equal(info.direction, ARIL_SERVER_TO_TENANT);
    assert_int_equal(info.epoch, want.epoch);
    assert_int_equal(info.tenant_tag, want.tenant_tag);
    assert_int_equal(info.sequence, want.sequence);
    assert_int_equal(info.body_bytes, want.body_bytes);
    assert_memory_equal(info.key_id, want.key_id, sizeof info.key_id);
}

static void inspecting_refuses_what_is_no_seal(void **state)
{
    (void)state;
    uint8_t seal[ARIL_SEAL_BYTES] = { 0 };
    aril_seal_info info;
    memset(&info, 0x5c, sizeof info);
    assert_status(aril_seal_inspect(seal, &info), ARIL_E_FORMAT_VERSION);
    assert_status(aril_seal_inspect(NULL, &info), ARIL_E_USAGE_NULL);
    assert_true(is_filled(&info, sizeof info, 0x5c));
    memcpy(seal, sample_bytes, sizeof sample_bytes);
    assert_status(aril_seal_inspect(seal, NULL), ARIL_E_USAGE_NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_has_the_documented_bytes),
        cmocka_unit_test(only_one_level_is_read),
        cmocka_unit_test(only_the_counted_kind_is_read),
        cmocka_unit_test(every_use_is_read_because_the_use_decides),
        cmocka_unit_test(the_only_flag_is_the_direction),
        cmocka_unit_test(a_sequence_is_one_to_two_to_the_32),
        cmocka_unit_test(a_body_is_as_long_as_one_message_may_be),
        cmocka_unit_test(epoch_tag_and_key_id_take_every_value),
        cmocka_unit_test(every_changed_byte_is_refused_or_canonical),
        cmocka_unit_test(random_bytes_are_refused_or_canonical),
        cmocka_unit_test(inspecting_tells_the_fields_and_no_more),
        cmocka_unit_test(inspecting_refuses_what_is_no_seal),
    };
    return cmocka_run_group_tests_name("seal format", tests, NULL, NULL);
}
