/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/envelope.h"
#include "check.h"
#include "format/cachekit.h"
#include "format/msgpack.h"
#include "provider.h"
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define BYTES(s)  ((aril_bytes){ (const uint8_t *)("" s), sizeof(s) - 1 })
#define VALUE_MAX ((size_t)1 << 20)

/* "hello, cachekit!" of cachekit's wire-format.json: data, checksum, size, format. */
#define TEXT      "hello, cachekit!"
#define CHECKSUM  "\x6d\x8a\x34\xb6\x3a\x3c\x52\xd3"
#define SUM_ARRAY "\x98\x6d\xcc\x8a\x34\xcc\xb6\x3a\x3c\x52\xcc\xd3"
static const aril_bytes good = { (const uint8_t *)"\x94\xc4\x12\xf0\x01" TEXT SUM_ARRAY
                                                  "\x10\xa7msgpack",
                                 42 };

static void refuse(aril_bytes in, size_t value_max, aril_status want)
{
    struct arili_envelope_value v;
    memset(&v, 0x5a, sizeof v);
    const aril_status st = arili_envelope_open(in, value_max, &v);
    if (want == aril_status_class(want)) {
        assert_status_class(st, want);
    } else {
        assert_status(st, want);
    }
    assert_true(provider_all((const uint8_t *)&v, sizeof v, 0x5a));
}

/* An envelope of raw LZ4 bytes with a claim about what they become. */
static size_t envelope_of(aril_bytes data, uint64_t claim, bool integers, uint8_t *ret, size_t cap)
{
    struct arili_writer w = arili_writer_init(ret, cap);
    size_t len = 0;
    arili_msgpack_write_array(&w, 4);
    if (integers) {
        arili_msgpack_write_array(&w, (uint32_t)data.len);
        for (size_t i = 0; i < data.len; i++) {
            arili_msgpack_write_uint(&w, data.data[i]);
        }
    } else {
        arili_msgpack_write_bin(&w, data);
    }
    arili_write_bytes(&w, BYTES(SUM_ARRAY));
    arili_msgpack_write_uint(&w, claim);
    arili_msgpack_write_str(&w, BYTES("msgpack"));
    assert_status(arili_writer_end(&w, &len), ARIL_OK);
    return len;
}

static void the_value_is_exactly_as_long_as_the_envelope_says(void **state)
{
    (void)state;
    struct arili_envelope_value v = { 0 };
    assert_status(arili_envelope_open(good, 16, &v), ARIL_OK);
    assert_int_equal(v.len, 16);
    assert_memory_equal(v.memory, TEXT, 16);
    arili_envelope_value_done(&v);
    assert_null(v.memory);
    refuse(good, 15, ARIL_E_LIMIT);
    refuse(good, 0, ARIL_E_LIMIT);
    uint8_t in[64];
    const aril_bytes data = BYTES("\xf0\x01" TEXT);
    for (unsigned claim = 0; claim < 64; claim++) {
        const size_t len = envelope_of(data, claim, claim % 2 == 1, in, sizeof in);
        if (claim == 16) {
            assert_int_equal(len, good.len);
            assert_memory_equal(in, good.data, len);
        } else {
            refuse((aril_bytes){ in, len }, VALUE_MAX, ARIL_E_FORMAT_FIELD);
        }
    }
}

static void every_truncation_and_every_changed_bit_is_refused(void **state)
{
    (void)state;
    uint8_t in[42];
    for (size_t cut = 0; cut < good.len; cut++) {
        refuse((aril_bytes){ good.data, cut }, VALUE_MAX, ARIL_E_FORMAT);
    }
    for (size_t at = 0; at < good.len - 7; at++) { /* the name of the format is free */
        for (unsigned bit = 0; bit < 8; bit++) {
            struct arili_envelope_value v = { 0 };
            memcpy(in, good.data, sizeof in);
            in[at] = (uint8_t)(in[at] ^ 1u << bit);
            const aril_status st =
                arili_envelope_open((aril_bytes){ in, sizeof in }, VALUE_MAX, &v);
            if (at == 3 && bit < 4) { /* the length of a match that the last sequence has not */
                assert_status(st, ARIL_OK);
                assert_int_equal(v.len, 16);
                assert_memory_equal(v.memory, TEXT, 16);
                arili_envelope_value_done(&v);
            }
            assert_true((st == ARIL_OK) == (at == 3 && bit < 4));
            assert_null(v.memory);
        }
    }
}

static void the_old_form_of_the_data_is_read(void **state)
{
    (void)state;
    uint8_t in[128];
    struct arili_envelope_value v = { 0 };
    const size_t len = envelope_of(BYTES("\xf0\x01" TEXT), 16, true, in, sizeof in);
    assert_status(arili_envelope_open((aril_bytes){ in, len }, VALUE_MAX, &v), ARIL_OK);
    assert_memory_equal(v.memory, TEXT, 16);
    arili_envelope_value_done(&v);
}

static void lz4_that_reads_or_writes_too_far_is_refused(void **state)
{
    (void)state;
    static const aril_bytes blocks[] = {
        { (const uint8_t *)"\xf0", 1 },                      /* no length */
        { (const uint8_t *)"\xf0\xff\xff\xff", 4 },          /* literals that are not there */
        { (const uint8_t *)"\x10x\x00", 3 },                 /* half an offset */
        { (const uint8_t *)"\x10x\x00\x00\x50hello", 9 },    /* offset 0 */
        { (const uint8_t *)"\x10x\x02\x00\x50hello", 9 },    /* before the start */
        { (const uint8_t *)"\x1fx\x01\x00\xff\xff\xff", 7 }, /* a match without end */
        { (const uint8_t *)"\xf0\x01" TEXT "\x00", 19 },     /* bytes behind it */
    };
    uint8_t in[128];
    for (size_t i = 0; i < COUNT(blocks); i++) {
        const size_t len = envelope_of(blocks[i], 16, false, in, sizeof in);
        refuse((aril_bytes){ in, len }, VALUE_MAX, ARIL_E_FORMAT_FIELD);
    }
    const size_t len = envelope_of((aril_bytes){ NULL, 0 }, 0, false, in, sizeof in);
    refuse((aril_bytes){ in, len }, VALUE_MAX, ARIL_E_FORMAT_LENGTH);
}

/* Too few bytes are refused by their number, not only by the checksum. */
static void zeros_do_not_fill_up_a_short_value(void **state)
{
    (void)state;
    static const uint8_t filled[18] = TEXT;
    uint8_t in[64];
    struct arili_writer w = arili_writer_init(in, sizeof in);
    uint8_t sum[8];
    arili_store64(sum, XXH3_64bits(filled, sizeof filled));
    arili_msgpack_write_array(&w, 4);
    arili_msgpack_write_bin(&w, BYTES("\xf0\x01" TEXT));
    arili_msgpack_write_array(&w, 8);
    for (size_t i = 0; i < sizeof sum; i++) {
        arili_msgpack_write_uint(&w, sum[i]);
    }
    arili_msgpack_write_uint(&w, sizeof filled);
    arili_msgpack_write_str(&w, BYTES("msgpack"));
    refuse((aril_bytes){ in, w.len }, VALUE_MAX, ARIL_E_FORMAT_FIELD);
}

static void a_ratio_over_1000_is_a_bomb(void **state)
{
    (void)state;
    uint8_t data[10] = { 0 };
    uint8_t in[128];
    size_t len = envelope_of((aril_bytes){ data, sizeof data }, 10001, false, in, sizeof in);
    refuse((aril_bytes){ in, len }, VALUE_MAX, ARIL_E_LIMIT);
    len = envelope_of((aril_bytes){ data, sizeof data }, 10000, false, in, sizeof in);
    refuse((aril_bytes){ in, len }, VALUE_MAX, ARIL_E_FORMAT_FIELD); /* only because of the data */
    len = envelope_of((aril_bytes){ data, sizeof data }, 10001, true, in, sizeof in);
    refuse((aril_bytes){ in, len }, VALUE_MAX, ARIL_E_LIMIT);
}

/* Memory is not asked for: 512 MiB would show. */
static void claims_beyond_the_limits_are_refused(void **state)
{
    (void)state;
    const size_t data_len = 1u << 20;
    uint8_t *const zeros = calloc(1, data_len);
    uint8_t *const in = malloc(data_len + 64);
    assert_non_null(zeros);
    assert_non_null(in);
    static const uint64_t claims[] = {
        VALUE_MAX + 1, (uint64_t)512 << 20, ((uint64_t)512 << 20) + 1,
        UINT32_MAX,    (uint64_t)1 << 32,   UINT64_MAX
    };
    for (size_t i = 0; i < COUNT(claims); i++) {
        const size_t len =
            envelope_of((aril_bytes){ zeros, data_len }, claims[i], false, in, data_len + 64);
        refuse((aril_bytes){ in, len }, VALUE_MAX, ARIL_E_LIMIT);
    }
    /* The cap of the format holds whatever the caller allows. */
    const size_t len = envelope_of((aril_bytes){ zeros, data_len }, ((uint64_t)512 << 20) + 1,
                                   false, in, data_len + 64);
    refuse((aril_bytes){ in, len }, SIZE_MAX, ARIL_E_LIMIT);
    free(zeros);
    free(in);
}

/* Real LZ4 of zeros, as dense as it gets: it would become 64 MiB. */
static void a_real_bomb_stops_at_the_limit_of_the_caller(void **state)
{
    (void)state;
    const size_t plain = (size_t)64 << 20;
    const int bound = LZ4_compressBound((int)plain);
    char *const zeros = calloc(1, plain);
    char *const packed = malloc((size_t)bound);
    assert_non_null(zeros);
    assert_non_null(packed);
    const int n = LZ4_compress_default(zeros, packed, (int)plain, bound);
    assert_true(n > 0);
    uint8_t *const in = malloc((size_t)n + 64);
    assert_non_null(in);
    const aril_bytes data = { (const uint8_t *)packed, (size_t)n };
    size_t len = envelope_of(data, plain, false, in, (size_t)n + 64);
    refuse((aril_bytes){ in, len }, VALUE_MAX, ARIL_E_LIMIT);
    /* It says little and would write much. */
    len = envelope_of(data, VALUE_MAX, false, in, (size_t)n + 64);
    refuse((aril_bytes){ in, len }, VALUE_MAX, ARIL_E_FORMAT_FIELD);
    free(in);
    free(packed);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_value_is_exactly_as_long_as_the_envelope_says),
        cmocka_unit_test(every_truncation_and_every_changed_bit_is_refused),
        cmocka_unit_test(the_old_form_of_the_data_is_read),
        cmocka_unit_test(lz4_that_reads_or_writes_too_far_is_refused),
        cmocka_unit_test(zeros_do_not_fill_up_a_short_value),
        cmocka_unit_test(a_ratio_over_1000_is_a_bomb),
        cmocka_unit_test(claims_beyond_the_limits_are_refused),
        cmocka_unit_test(a_real_bomb_stops_at_the_limit_of_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
