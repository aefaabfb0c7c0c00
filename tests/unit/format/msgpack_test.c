/* SPDX-License-Identifier: Apache-2.0 */
#include "format/msgpack.h"
#include "check.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(s) ((aril_bytes){ (const uint8_t *)("" s), sizeof(s) - 1 })

static struct arili_msgpack read_one(aril_bytes in)
{
    struct arili_reader r = arili_reader_init(in);
    struct arili_msgpack t;
    assert_status(arili_msgpack_next(&r, &t), ARIL_OK);
    assert_false(r.short_);
    return t;
}

/* --- Tokens. The examples are from the specification's table of first bytes. */

static void integers_of_every_width_are_read(void **state)
{
    (void)state;
    static const struct {
        aril_bytes in;
        enum arili_msgpack_type type;
        uint64_t number;
    } cases[] = {
        { { (const uint8_t *)"\x00", 1 }, ARILI_MSGPACK_UINT, 0 },
        { { (const uint8_t *)"\x7f", 1 }, ARILI_MSGPACK_UINT, 127 },
        { { (const uint8_t *)"\xcc\x80", 2 }, ARILI_MSGPACK_UINT, 128 },
        { { (const uint8_t *)"\xcd\x01\x00", 3 }, ARILI_MSGPACK_UINT, 256 },
        { { (const uint8_t *)"\xce\x00\x01\x00\x00", 5 }, ARILI_MSGPACK_UINT, 65536 },
        { { (const uint8_t *)"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9 },
          ARILI_MSGPACK_UINT,
          UINT64_MAX },
        { { (const uint8_t *)"\xff", 1 }, ARILI_MSGPACK_INT, (uint64_t)-1 },
        { { (const uint8_t *)"\xe0", 1 }, ARILI_MSGPACK_INT, (uint64_t)-32 },
        { { (const uint8_t *)"\xd0\x80", 2 }, ARILI_MSGPACK_INT, (uint64_t)-128 },
        { { (const uint8_t *)"\xd1\x80\x00", 3 }, ARILI_MSGPACK_INT, (uint64_t)-32768 },
        { { (const uint8_t *)"\xd2\x80\x00\x00\x00", 5 }, ARILI_MSGPACK_INT, (uint64_t)INT32_MIN },
        { { (const uint8_t *)"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9 },
          ARILI_MSGPACK_INT,
          (uint64_t)INT64_MIN },
        /* Signed forms of numbers that are not below zero. */
        { { (const uint8_t *)"\xd0\x05", 2 }, ARILI_MSGPACK_UINT, 5 },
        { { (const uint8_t *)"\xd3\x00\x00\x00\x00\x00\x00\x00\x05", 9 }, ARILI_MSGPACK_UINT, 5 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct arili_msgpack t = read_one(cases[i].in);
        assert_int_equal(t.type, cases[i].type);
        assert_true(t.number == cases[i].number);
    }
}

static void other_scalars_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_one(BYTES("\xc0")).type, ARILI_MSGPACK_NIL);
    assert_int_equal(read_one(BYTES("\xc2")).number, 0);
    assert_int_equal(read_one(BYTES("\xc3")).number, 1);
    assert_int_equal(read_one(BYTES("\xc3")).type, ARILI_MSGPACK_BOOL);
    assert_true(read_one(BYTES("\xca\x3f\xc0\x00\x00")).real == 1.5);
    assert_true(read_one(BYTES("\xcb\x40\x09\x1e\xb8\x51\xeb\x85\x1f")).real == 3.14);
    assert_true(isinf(read_one(BYTES("\xca\x7f\x80\x00\x00")).real));
}

static void bytes_of_every_form_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        size_t head_len, len;
        enum arili_msgpack_type type;
    } cases[] = {
        { "\xa0", 1, 0, ARILI_MSGPACK_STR },
        { "\xbf", 1, 31, ARILI_MSGPACK_STR },
        { "\xd9\x20", 2, 32, ARILI_MSGPACK_STR },
        { "\xda\x01\x00", 3, 256, ARILI_MSGPACK_STR },
        { "\xdb\x00\x00\x01\x00", 5, 256, ARILI_MSGPACK_STR },
        { "\xc4\x00", 2, 0, ARILI_MSGPACK_BIN },
        { "\xc5\x01\x00", 3, 256, ARILI_MSGPACK_BIN },
        { "\xc6\x00\x00\x01\x00", 5, 256, ARILI_MSGPACK_BIN },
        { "\xd4\x07", 2, 1, ARILI_MSGPACK_EXT },
        { "\xd5\x07", 2, 2, ARILI_MSGPACK_EXT },
        { "\xd6\x07", 2, 4, ARILI_MSGPACK_EXT },
        { "\xd7\x07", 2, 8, ARILI_MSGPACK_EXT },
        { "\xd8\x07", 2, 16, ARILI_MSGPACK_EXT },
        { "\xc7\x03\x07", 3, 3, ARILI_MSGPACK_EXT },
        { "\xc8\x01\x00\x07", 4, 256, ARILI_MSGPACK_EXT },
        { "\xc9\x00\x00\x01\x00\x07", 6, 256, ARILI_MSGPACK_EXT },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t in[300] = { 0 };
        memcpy(in, cases[i].head, cases[i].head_len);
        in[cases[i].head_len] = 0xab;
        const size_t all = cases[i].head_len + cases[i].len;
        const struct arili_msgpack t = read_one((aril_bytes){ in, all });
        assert_int_equal(t.type, cases[i].type);
        assert_int_equal(t.bytes.len, cases[i].len);
        assert_true(cases[i].len == 0 || t.bytes.data == in + cases[i].head_len);
        for (size_t cut = 0; cut < all; cut++) {
            struct arili_reader r = arili_reader_init((aril_bytes){ in, cut });
            struct arili_msgpack untouched;
            memset(&untouched, 0x5a, sizeof untouched);
            assert_status(arili_msgpack_next(&r, &untouched), ARIL_E_FORMAT_TRUNCATED);
            assert_int_equal(untouched.bytes.len, (size_t)0x5a5a5a5a5a5a5a5a);
        }
    }
}

static void containers_that_the_rest_cannot_hold_are_refused_at_their_head(void **state)
{
    (void)state;
    static const aril_bytes cases[] = {
        { (const uint8_t *)"\x91", 1 },
        { (const uint8_t *)"\x92\x00", 2 },
        { (const uint8_t *)"\x81\x00", 2 },
        { (const uint8_t *)"\xdc\xff\xff\x00", 4 },
        { (const uint8_t *)"\xdd\xff\xff\xff\xff\x00", 6 },
        { (const uint8_t *)"\xde\x00\x01\x00", 4 },
        { (const uint8_t *)"\xdf\xff\xff\xff\xff\x00", 6 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arili_reader r = arili_reader_init(cases[i]);
        struct arili_msgpack t;
        assert_status(arili_msgpack_next(&r, &t), ARIL_E_FORMAT_TRUNCATED);
    }
    assert_int_equal(read_one(BYTES("\xdc\x00\x02\x00\x00")).count, 2);
    assert_int_equal(read_one(BYTES("\xdd\x00\x00\x00\x02\x00\x00")).count, 2);
    assert_int_equal(read_one(BYTES("\xde\x00\x01\x00\x00")).count, 1);
    assert_int_equal(read_one(BYTES("\xdf\x00\x00\x00\x01\x00\x00")).count, 1);
}

/* --- Documents */

static aril_status check(aril_bytes in, size_t depth)
{
    return arili_msgpack_check(in, depth, NULL);
}

static void exactly_one_document_is_accepted(void **state)
{
    (void)state;
    size_t pairs = 99;
    const aril_bytes doc = BYTES("\x93\x2a\xa5hello\x82\xa1\x62\x02\xa1\x61\x91\x80");
    assert_status(arili_msgpack_check(doc, 4, &pairs), ARIL_OK);
    assert_int_equal(pairs, 2);
    assert_status(check(doc, 3), ARIL_E_FORMAT_FIELD);
    assert_status(check(BYTES("\xc0"), 0), ARIL_OK);
    assert_status(check(BYTES("\x90"), 1), ARIL_OK);
    pairs = 99;
    assert_status(arili_msgpack_check(BYTES("\xc0\xc0"), 1, &pairs), ARIL_E_FORMAT_LENGTH);
    assert_status(check(BYTES("\x90\x90"), 1), ARIL_E_FORMAT_LENGTH);
    assert_status(check(BYTES(""), 1), ARIL_E_FORMAT_TRUNCATED);
    assert_status(check(BYTES("\x91\xc1"), 1), ARIL_E_FORMAT_FIELD);
    assert_int_equal(pairs, 99);
    for (size_t cut = 0; cut < doc.len; cut++) {
        assert_status(check((aril_bytes){ doc.data, cut }, 4), ARIL_E_FORMAT_TRUNCATED);
    }
}

static void the_depth_counts_every_container_on_the_way_down(void **state)
{
    (void)state;
    assert_status(check(BYTES("\x90"), 0), ARIL_E_FORMAT_FIELD);
    assert_status(check(BYTES("\x91\x91\x90"), 2), ARIL_E_FORMAT_FIELD);
    assert_status(check(BYTES("\x91\x91\x90"), 3), ARIL_OK);
    assert_status(check(BYTES("\x81\x01\x81\x02\x80"), 2), ARIL_E_FORMAT_FIELD);
    assert_status(check(BYTES("\x81\x01\x81\x02\x80"), 3), ARIL_OK);
    /* Beside each other is not below each other. */
    assert_status(check(BYTES("\x93\x91\x01\x91\x01\x91\x01"), 2), ARIL_OK);
    assert_status(check(BYTES("\x93\x91\x01\x80\x91\x90"), 2), ARIL_E_FORMAT_FIELD);
}

static void a_million_levels_are_refused(void **state)
{
    (void)state;
    const size_t levels = 1000000;
    uint8_t *const in = malloc(levels + 1);
    assert_non_null(in);
    memset(in, 0x91, levels);
    in[levels] = 0xc0;
    const aril_bytes doc = { in, levels + 1 };
    assert_status(check(doc, ARILI_MSGPACK_DEPTH_MAX), ARIL_E_FORMAT_FIELD);
    assert_status(check((aril_bytes){ in, levels }, ARILI_MSGPACK_DEPTH_MAX), ARIL_E_FORMAT_FIELD);
    /* Exactly as deep as allowed, and one deeper. */
    const aril_bytes fits = { in + levels - ARILI_MSGPACK_DEPTH_MAX, ARILI_MSGPACK_DEPTH_MAX + 1 };
    assert_status(check(fits, ARILI_MSGPACK_DEPTH_MAX), ARIL_OK);
    const aril_bytes over = { fits.data - 1, fits.len + 1 };
    assert_status(check(over, ARILI_MSGPACK_DEPTH_MAX), ARIL_E_FORMAT_FIELD);
    free(in);
}

/* cachekit-io/protocol, decode-bounds: what is claimed over the whole document counts. */
static void claims_that_add_up_to_more_than_the_input_are_refused(void **state)
{
    (void)state;
    uint8_t in[3 * 800];
    for (size_t i = 0; i < sizeof in; i += 3) {
        memcpy(in + i, "\xdc\x07\xd0", 3); /* 2000 elements each */
    }
    assert_status(check((aril_bytes){ in, sizeof in }, ARILI_MSGPACK_DEPTH_MAX),
                  ARIL_E_FORMAT_TRUNCATED);
    for (size_t i = 0; i < sizeof in; i += 3) {
        memcpy(in + i, "\xde\x00\x90", 3);
    }
    assert_status(check((aril_bytes){ in, sizeof in }, ARILI_MSGPACK_DEPTH_MAX),
                  ARIL_E_FORMAT_TRUNCATED);
}

/* Known from the heads alone: what follows is not looked at. */
static void claims_are_added_up_before_elements_are_read(void **state)
{
    (void)state;
    assert_status(check(BYTES("\x93\x93\xc1\x01\x01"), 4), ARIL_E_FORMAT_TRUNCATED);
    assert_status(check(BYTES("\x93\x93\xc1\x01\x01\x01\x01"), 4), ARIL_E_FORMAT_FIELD);
}

static void every_single_byte_is_read_or_refused(void **state)
{
    (void)state;
    for (unsigned b = 0; b < 256; b++) {
        const uint8_t in[1] = { (uint8_t)b };
        const bool alone = b < 0x80 || b == 0x80 || b == 0x90 || b == 0xa0 || b == 0xc0 ||
                           b == 0xc2 || b == 0xc3 || b >= 0xe0;
        assert_status(check((aril_bytes){ in, 1 }, 1), alone       ? ARIL_OK
                                                       : b == 0xc1 ? ARIL_E_FORMAT_FIELD
                                                                   : ARIL_E_FORMAT_TRUNCATED);
    }
}

/* --- Writing */

static void the_shortest_form_is_written(void **state)
{
    (void)state;
    static const struct {
        int64_t v;
        size_t len;
    } cases[] = { { 0, 1 },
                  { 127, 1 },
                  { 128, 2 },
                  { 255, 2 },
                  { 256, 3 },
                  { 65535, 3 },
                  { 65536, 5 },
                  { INT64_C(4294967295), 5 },
                  { INT64_C(4294967296), 9 },
                  { INT64_MAX, 9 },
                  { -1, 1 },
                  { -32, 1 },
                  { -33, 2 },
                  { -128, 2 },
                  { -129, 3 },
                  { -32768, 3 },
                  { -32769, 5 },
                  { INT32_MIN, 5 },
                  { (int64_t)INT32_MIN - 1, 9 },
                  { INT64_MIN, 9 } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t out[16];
        struct arili_writer w = arili_writer_init(out, sizeof out);
        arili_msgpack_write_int(&w, cases[i].v);
        assert_int_equal(w.len, cases[i].len);
        const struct arili_msgpack t = read_one((aril_bytes){ out, w.len });
        assert_int_equal(t.type, cases[i].v < 0 ? ARILI_MSGPACK_INT : ARILI_MSGPACK_UINT);
        assert_true(t.number == (uint64_t)cases[i].v);
    }
}

static void heads_grow_with_what_they_head(void **state)
{
    (void)state;
    static uint8_t text[65536], out[70000];
    static const struct {
        size_t len, str, bin;
    } cases[] = { { 31, 1, 2 },  { 32, 2, 2 },    { 255, 2, 2 },
                  { 256, 3, 3 }, { 65535, 3, 3 }, { 65536, 5, 5 } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arili_writer w = arili_writer_init(out, sizeof out);
        arili_msgpack_write_str(&w, (aril_bytes){ text, cases[i].len });
        assert_int_equal(w.len, cases[i].len + cases[i].str);
        assert_int_equal(read_one((aril_bytes){ out, w.len }).bytes.len, cases[i].len);
        w = arili_writer_init(out, sizeof out);
        arili_msgpack_write_bin(&w, (aril_bytes){ text, cases[i].len });
        assert_int_equal(w.len, cases[i].len + cases[i].bin);
        assert_int_equal(read_one((aril_bytes){ out, w.len }).bytes.len, cases[i].len);
    }
    static const struct {
        uint32_t count;
        size_t len;
    } counts[] = { { 0, 1 }, { 15, 1 }, { 16, 3 }, { 65535, 3 }, { 65536, 5 } };
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct arili_writer w = arili_writer_init(out, sizeof out);
        arili_msgpack_write_array(&w, counts[i].count);
        assert_int_equal(w.len, counts[i].len);
        w = arili_writer_init(out, sizeof out);
        arili_msgpack_write_map(&w, counts[i].count);
        assert_int_equal(w.len, counts[i].len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_width_are_read),
        cmocka_unit_test(other_scalars_are_read),
        cmocka_unit_test(bytes_of_every_form_are_read),
        cmocka_unit_test(containers_that_the_rest_cannot_hold_are_refused_at_their_head),
        cmocka_unit_test(exactly_one_document_is_accepted),
        cmocka_unit_test(the_depth_counts_every_container_on_the_way_down),
        cmocka_unit_test(a_million_levels_are_refused),
        cmocka_unit_test(claims_that_add_up_to_more_than_the_input_are_refused),
        cmocka_unit_test(claims_are_added_up_before_elements_are_read),
        cmocka_unit_test(every_single_byte_is_read_or_refused),
        cmocka_unit_test(the_shortest_form_is_written),
        cmocka_unit_test(heads_grow_with_what_they_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
