/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include <stdlib.h>

static const uint8_t sample[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
                                  0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x00, 0x02, 0xaa, 0xbb, 0xcc };

static void integers_are_big_endian(void **state)
{
    (void)state;
    uint8_t b[14];
    arili_store16(b, 0x0102);
    arili_store32(b + 2, 0x03040506);
    arili_store64(b + 6, UINT64_C(0x0708090a0b0c0d0e));
    assert_memory_equal(b, sample, 14);
    assert_int_equal(arili_load16(b), 0x0102);
    assert_int_equal(arili_load32(b + 2), 0x03040506);
    assert_true(arili_load64(b + 6) == UINT64_C(0x0708090a0b0c0d0e));
    memset(b, 0xff, sizeof b);
    assert_int_equal(arili_load16(b), UINT16_MAX);
    assert_true(arili_load32(b) == UINT32_MAX);
    assert_true(arili_load64(b) == UINT64_MAX);
}

struct fields {
    uint8_t a;
    uint16_t b;
    uint32_t c;
    uint64_t d;
    aril_bytes vec;
    uint8_t last;
};

/* 1 + 2 + 4 + 8 + (2 + 2) + 1 bytes. */
static struct fields read_fields(struct arili_reader *r)
{
    struct fields f = { 0 };
    f.a = arili_read8(r);
    f.b = arili_read16(r);
    f.c = arili_read32(r);
    f.d = arili_read64(r);
    f.vec = arili_read_vec16(r);
    f.last = arili_read8(r);
    return f;
}

static void fields_come_in_order_and_end_exactly(void **state)
{
    (void)state;
    struct arili_reader r = arili_reader_init((aril_bytes){ sample, sizeof sample });
    const struct fields f = read_fields(&r);
    assert_status(arili_reader_end(&r), ARIL_OK);
    assert_int_equal(f.a, 0x01);
    assert_int_equal(f.b, 0x0203);
    assert_int_equal(f.c, 0x04050607);
    assert_true(f.d == UINT64_C(0x08090a0b0c0d0e0f));
    assert_ptr_equal(f.vec.data, sample + 17);
    assert_int_equal(f.vec.len, 2);
    assert_int_equal(f.last, 0xcc);
}

/* A copy of the exact size lets the address sanitizer see a read beyond. */
static void every_truncation_is_noticed(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof sample; len++) {
        uint8_t *copy = malloc(len > 0 ? len : 1);
        assert_non_null(copy);
        memcpy(copy, sample, len);
        struct arili_reader r = arili_reader_init((aril_bytes){ len > 0 ? copy : NULL, len });
        const struct fields f = read_fields(&r);
        assert_status(arili_reader_end(&r), ARIL_E_FORMAT_TRUNCATED);
        assert_int_equal(f.last, 0);
        assert_int_equal(f.a, len >= 1 ? 0x01 : 0);
        assert_int_equal(f.b, len >= 3 ? 0x0203 : 0);
        assert_int_equal(f.c, len >= 7 ? 0x04050607 : 0);
        assert_true(f.d == (len >= 15 ? UINT64_C(0x08090a0b0c0d0e0f) : 0));
        assert_int_equal(f.vec.len, len >= 19 ? 2 : 0);
        assert_true(len >= 19 || f.vec.data == NULL);
        free(copy);
    }
}

static void bytes_left_over_are_a_wrong_length(void **state)
{
    (void)state;
    struct arili_reader r = arili_reader_init((aril_bytes){ sample, 3 });
    (void)arili_read16(&r);
    assert_status(arili_reader_end(&r), ARIL_E_FORMAT_LENGTH);
}

static void nothing_is_read_after_a_short_read(void **state)
{
    (void)state;
    struct arili_reader r = arili_reader_init((aril_bytes){ sample, 3 });
    assert_int_equal(arili_read32(&r), 0);
    assert_int_equal(arili_read8(&r), 0);
    assert_int_equal(arili_read16(&r), 0);
    assert_true(arili_read64(&r) == 0);
    const aril_bytes none = arili_read_bytes(&r, 0);
    assert_null(none.data);
    assert_int_equal(none.len, 0);
    uint8_t out[2] = { 0xff, 0xff };
    arili_read_into(&r, out, 2);
    assert_memory_equal(out, "\0\0", 2);
    assert_status(arili_reader_end(&r), ARIL_E_FORMAT_TRUNCATED);
}

static void huge_lengths_do_not_wrap(void **state)
{
    (void)state;
    struct arili_reader r = arili_reader_init((aril_bytes){ sample, sizeof sample });
    (void)arili_read8(&r);
    assert_int_equal(arili_read_bytes(&r, SIZE_MAX).len, 0);
    assert_status(arili_reader_end(&r), ARIL_E_FORMAT_TRUNCATED);
}

static void empty_input_is_read_whole(void **state)
{
    (void)state;
    struct arili_reader r = arili_reader_init((aril_bytes){ NULL, 0 });
    assert_int_equal(arili_read_bytes(&r, 0).len, 0);
    arili_read_into(&r, NULL, 0);
    assert_status(arili_reader_end(&r), ARIL_OK);
}

static void read_into_copies(void **state)
{
    (void)state;
    struct arili_reader r = arili_reader_init((aril_bytes){ sample, 4 });
    uint8_t out[4] = { 0 };
    arili_read_into(&r, out, 4);
    assert_memory_equal(out, sample, 4);
    assert_status(arili_reader_end(&r), ARIL_OK);
}

static void write_fields(struct arili_writer *w)
{
    arili_write8(w, 0x01);
    arili_write16(w, 0x0203);
    arili_write32(w, 0x04050607);
    arili_write64(w, UINT64_C(0x08090a0b0c0d0e0f));
    arili_write_vec16(w, ARILI_LITERAL("\xaa\xbb"));
    arili_write_bytes(w, ARILI_LITERAL("\xcc"));
    arili_write_bytes(w, (aril_bytes){ NULL, 0 });
}

static void what_is_written_is_what_is_read(void **state)
{
    (void)state;
    uint8_t out[sizeof sample];
    struct arili_writer w = arili_writer_init(out, sizeof out);
    write_fields(&w);
    size_t len = 0;
    assert_status(arili_writer_end(&w, &len), ARIL_OK);
    assert_int_equal(len, sizeof sample);
    assert_memory_equal(out, sample, sizeof sample);
}

static void every_small_buffer_is_refused_with_the_size_wanted(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < sizeof sample; cap++) {
        uint8_t out[sizeof sample + 1];
        memset(out, 0xee, sizeof out);
        struct arili_writer w = arili_writer_init(cap > 0 ? out : NULL, cap);
        write_fields(&w);
        size_t len = 77;
        assert_status(arili_writer_end(&w, &len), ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal(len, 77);
        assert_int_equal(w.len, sizeof sample);
        for (size_t i = cap; i < sizeof out; i++) {
            assert_int_equal(out[i], 0xee);
        }
    }
}

static void nothing_is_written_behind_a_gap(void **state)
{
    (void)state;
    uint8_t out[4] = { 0xee, 0xee, 0xee, 0xee };
    struct arili_writer w = arili_writer_init(out, sizeof out);
    arili_write16(&w, 0x0102);
    arili_write32(&w, 0x03040506); /* does not fit */
    arili_write8(&w, 0x07);        /* would */
    assert_memory_equal(out, "\x01\x02\xee\xee", 4);
    assert_int_equal(w.len, 7);
}

static void a_vector_is_at_most_65535_bytes(void **state)
{
    (void)state;
    static uint8_t big[65536];
    static uint8_t out[70000];
    size_t len = 0;
    struct arili_writer w = arili_writer_init(out, sizeof out);
    arili_write_vec16(&w, (aril_bytes){ big, 65535 });
    assert_status(arili_writer_end(&w, &len), ARIL_OK);
    assert_int_equal(len, 65537);
    assert_memory_equal(out, "\xff\xff", 2);
    w = arili_writer_init(out, sizeof out);
    arili_write_vec16(&w, (aril_bytes){ big, 65536 });
    assert_status(arili_writer_end(&w, &len), ARIL_E_USAGE_TOO_SMALL);
}

static void the_count_does_not_wrap(void **state)
{
    (void)state;
    uint8_t out[4];
    struct arili_writer w = arili_writer_init(out, sizeof out);
    w.len = SIZE_MAX - 1;
    arili_write32(&w, 1);
    size_t len = 0;
    assert_status(arili_writer_end(&w, &len), ARIL_E_USAGE_TOO_SMALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(fields_come_in_order_and_end_exactly),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(bytes_left_over_are_a_wrong_length),
        cmocka_unit_test(nothing_is_read_after_a_short_read),
        cmocka_unit_test(huge_lengths_do_not_wrap),
        cmocka_unit_test(empty_input_is_read_whole),
        cmocka_unit_test(read_into_copies),
        cmocka_unit_test(what_is_written_is_what_is_read),
        cmocka_unit_test(every_small_buffer_is_refused_with_the_size_wanted),
        cmocka_unit_test(nothing_is_written_behind_a_gap),
        cmocka_unit_test(a_vector_is_at_most_65535_bytes),
        cmocka_unit_test(the_count_does_not_wrap),
    };
    return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
