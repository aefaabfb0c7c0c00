/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "format/cachevalue.h"
#include <stdlib.h>
#include <string.h>

#define HEADER  ARILI_VALUE_HEADER_BYTES
#define BODY    5u
#define STORED  (HEADER + BODY + ARILI_VALUE_TAG_BYTES)
#define SEGMENT ((uint64_t)ARILI_VALUE_SEGMENT_BYTES)
#define FILLER  0xa7

static struct arili_value_header sample(void)
{
    struct arili_value_header h = { .flags = ARILI_VALUE_TRAILER,
                                    .created_ms = UINT64_C(0x0102030405060708),
                                    .not_after_ms = UINT64_C(0x1112131415161718),
                                    .generation = UINT64_C(0x2122232425262728),
                                    .body_bytes = BODY };
    for (size_t i = 0; i < sizeof h.key_id; i++) {
        h.key_id[i] = (uint8_t)(0x40 + i);
    }
    for (size_t i = 0; i < sizeof h.nonce; i++) {
        h.nonce[i] = (uint8_t)(0x80 + i);
    }
    return h;
}

/* Parse a copy of exactly its size; what is refused leaves the output alone. */
static aril_status parse(const uint8_t *bytes, size_t len, struct arili_value_header *ret)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    struct arili_value_header untouched;
    assert_non_null(exact);
    if (len > 0) {
        memcpy(exact, bytes, len);
    }
    memset(&untouched, FILLER, sizeof untouched);
    memcpy(ret, &untouched, sizeof *ret);
    const aril_status st = arili_value_parse((aril_bytes){ exact, len }, ret);
    if (st != ARIL_OK) {
        assert_memory_equal(ret, &untouched, sizeof untouched);
    }
    free(exact);
    return st;
}

static void make(uint8_t ret[STORED])
{
    const struct arili_value_header h = sample();
    memset(ret, 0xee, STORED);
    arili_value_write(&h, ret);
}

static void the_header_is_laid_out_as_the_document_says(void **state)
{
    (void)state;
    static const uint8_t start[] = { 0xa1, 2,    4,    1,    0,    0,    0,    0,    0x01, 0x02,
                                     0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x11, 0x12, 0x13, 0x14,
                                     0x15, 0x16, 0x17, 0x18, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26,
                                     0x27, 0x28, 0,    0,    0,    0,    0,    0,    0,    BODY };
    static const uint8_t zeros[4] = { 0 };
    uint8_t bytes[STORED];
    const struct arili_value_header h = sample();
    make(bytes);
    assert_memory_equal(bytes, start, sizeof start);
    assert_memory_equal(bytes + 40, h.key_id, 32);
    assert_memory_equal(bytes + 72, h.nonce, 20);
    assert_memory_equal(bytes + 92, zeros, 4);
    assert_int_equal(bytes[96], 0xee); /* not a byte more */
}

static void every_field_comes_back(void **state)
{
    (void)state;
    uint8_t bytes[STORED];
    struct arili_value_header got;
    const struct arili_value_header h = sample();
    make(bytes);
    assert_status(parse(bytes, sizeof bytes, &got), ARIL_OK);
    assert_int_equal(got.flags, h.flags);
    assert_true(got.created_ms == h.created_ms && got.not_after_ms == h.not_after_ms);
    assert_true(got.generation == h.generation && got.body_bytes == BODY);
    assert_memory_equal(got.key_id, h.key_id, sizeof h.key_id);
    assert_memory_equal(got.nonce, h.nonce, sizeof h.nonce);
}

static void every_truncation_and_extension_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[STORED + 1] = { 0 };
    struct arili_value_header got;
    make(bytes);
    for (size_t len = 0; len < STORED; len++) {
        assert_status(parse(bytes, len, &got), ARIL_E_FORMAT_TRUNCATED);
    }
    assert_status(parse(bytes, STORED + 1, &got), ARIL_E_FORMAT_LENGTH);
    bytes[0] = '{'; /* what is no value at all is told from one that was cut */
    assert_status(parse(bytes, 1, &got), ARIL_E_FORMAT_VERSION);
}

/* What a flipped bit of the header leads to; the tags find the rest. */
static aril_status expected(size_t at, unsigned bit)
{
    if (at == 0) {
        return ARIL_E_FORMAT_VERSION;
    }
    if (at == 1 || at == 2) {
        return ARIL_E_FORMAT_KIND;
    }
    if ((at == 3 && bit != 0) || (at >= 4 && at < 8) || at >= 92) {
        return ARIL_E_FORMAT_FIELD;
    }
    if (at == 8) { /* from 0x01.. to more than 0x11.., or not */
        return (1u ^ 1u << bit) > 0x11 ? ARIL_E_FORMAT_FIELD : ARIL_OK;
    }
    if (at == 16) {
        return (0x11u ^ 1u << bit) < 0x01 ? ARIL_E_FORMAT_FIELD : ARIL_OK;
    }
    if (at >= 32 && at < 40) {
        const uint64_t body = BODY ^ UINT64_C(1) << (8 * (39 - at) + bit);
        return body > ARILI_VALUE_BODY_MAX ? ARIL_E_FORMAT_LENGTH
               : body > BODY               ? ARIL_E_FORMAT_TRUNCATED
                                           : ARIL_E_FORMAT_LENGTH;
    }
    return ARIL_OK;
}

static void every_flipped_bit_has_its_status_and_what_parses_is_written_again(void **state)
{
    (void)state;
    uint8_t bytes[STORED];
    for (size_t at = 0; at < HEADER; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct arili_value_header got;
            make(bytes);
            bytes[at] ^= (uint8_t)(1u << bit);
            const aril_status st = parse(bytes, sizeof bytes, &got);
            assert_status(st, expected(at, bit));
            if (st == ARIL_OK) {
                uint8_t again[HEADER];
                arili_value_write(&got, again);
                assert_memory_equal(again, bytes, sizeof again);
            }
        }
    }
}

static void an_end_at_the_beginning_is_allowed_and_one_before_it_is_not(void **state)
{
    (void)state;
    uint8_t bytes[STORED];
    struct arili_value_header got;
    struct arili_value_header h = sample();
    memset(bytes, 0, sizeof bytes);
    h.not_after_ms = h.created_ms;
    arili_value_write(&h, bytes);
    assert_status(parse(bytes, sizeof bytes, &got), ARIL_OK);
    h.not_after_ms = h.created_ms - 1;
    arili_value_write(&h, bytes);
    assert_status(parse(bytes, sizeof bytes, &got), ARIL_E_FORMAT_FIELD);
}

static void a_length_from_outside_is_compared_before_it_is_believed(void **state)
{
    (void)state;
    static const struct {
        uint64_t body;
        aril_status st;
    } cases[] = { { ARILI_VALUE_BODY_MAX, ARIL_E_FORMAT_TRUNCATED },
                  { ARILI_VALUE_BODY_MAX + 1, ARIL_E_FORMAT_LENGTH },
                  { UINT64_MAX, ARIL_E_FORMAT_LENGTH },
                  { UINT64_MAX - HEADER - 15, ARIL_E_FORMAT_LENGTH },
                  { 0, ARIL_E_FORMAT_LENGTH } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t bytes[STORED] = { 0 };
        struct arili_value_header got;
        struct arili_value_header h = sample();
        h.body_bytes = cases[i].body;
        arili_value_write(&h, bytes);
        assert_status(parse(bytes, sizeof bytes, &got), cases[i].st);
    }
}

static void segments_and_stored_lengths_are_right_around_their_ends(void **state)
{
    (void)state;
    static const struct {
        uint64_t body, segments;
    } cases[] = { { 0, 1 },
                  { 1, 1 },
                  { SEGMENT - 1, 1 },
                  { SEGMENT, 1 },
                  { SEGMENT + 1, 2 },
                  { 2 * SEGMENT, 2 },
                  { 2 * SEGMENT + 1, 3 },
                  { ARILI_VALUE_BODY_MAX, 320 } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(arili_value_segments(cases[i].body) == cases[i].segments);
        assert_true(arili_value_stored_bytes(cases[i].body) ==
                    96 + cases[i].body + 16 * cases[i].segments);
    }
}

/* --- Trailer ------------------------------------------------------------------------------ */

#define TRAILER_MAX 780u
#define BEFORE      7u

static size_t make_trailer(size_t tags, uint64_t value_bytes, uint8_t *ret)
{
    struct arili_value_trailer t = { .value_bytes = value_bytes, .tag_count = tags };
    for (size_t i = 0; i < tags; i++) {
        memset(t.tags[i].context, (int)(1 + i), sizeof t.tags[i].context);
        memset(t.tags[i].stamp, (int)(101 + i), sizeof t.tags[i].stamp);
    }
    arili_value_trailer_write(&t, ret);
    return arili_value_trailer_bytes(tags);
}

static aril_status parse_trailer(const uint8_t *bytes, size_t len, uint64_t body,
                                 struct arili_value_trailer *ret)
{
    uint8_t *exact = malloc(len > 0 ? len : 1);
    static struct arili_value_trailer untouched;
    assert_non_null(exact);
    if (len > 0) {
        memcpy(exact, bytes, len);
    }
    memset(&untouched, FILLER, sizeof untouched);
    memcpy(ret, &untouched, sizeof *ret);
    const aril_status st = arili_value_trailer_parse((aril_bytes){ exact, len }, body, ret);
    if (st != ARIL_OK) {
        assert_memory_equal(ret, &untouched, sizeof untouched);
    }
    free(exact);
    return st;
}

static void a_trailer_of_any_count_comes_back(void **state)
{
    (void)state;
    static struct arili_value_trailer got;
    for (size_t tags = 0; tags <= ARILI_VALUE_TAGS_MAX; tags++) {
        uint8_t bytes[BEFORE + TRAILER_MAX] = { 0 };
        const size_t len = BEFORE + make_trailer(tags, 3, bytes + BEFORE);
        assert_int_equal(len, BEFORE + 48 * tags + 12);
        assert_status(parse_trailer(bytes, len, len, &got), ARIL_OK);
        assert_int_equal(got.tag_count, tags);
        assert_true(got.value_bytes == 3);
        for (size_t i = 0; i < tags; i++) {
            assert_int_equal(got.tags[i].context[31], 1 + i);
            assert_int_equal(got.tags[i].stamp[0], 101 + i);
        }
        uint8_t again[TRAILER_MAX];
        arili_value_trailer_write(&got, again);
        assert_memory_equal(again, bytes + BEFORE, len - BEFORE);
    }
}

static void the_end_of_a_trailer_is_laid_out_as_the_document_says(void **state)
{
    (void)state;
    static const uint8_t end[] = { 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2 };
    uint8_t bytes[60];
    assert_int_equal(make_trailer(1, 0x102, bytes), sizeof bytes);
    assert_int_equal(bytes[0], 1);
    assert_int_equal(bytes[31], 1);
    assert_int_equal(bytes[32], 101);
    assert_memory_equal(bytes + 48, end, sizeof end);
}

static void a_trailer_that_begins_before_the_segment_is_refused(void **state)
{
    (void)state;
    static struct arili_value_trailer got;
    uint8_t bytes[TRAILER_MAX];
    for (size_t tags = 0; tags <= ARILI_VALUE_TAGS_MAX; tags++) {
        const size_t len = make_trailer(tags, 0, bytes);
        for (size_t cut = 1; cut <= len; cut++) {
            assert_status(parse_trailer(bytes + cut, len - cut, 4096, &got),
                          ARIL_E_FORMAT_TRUNCATED);
        }
        assert_status(parse_trailer(bytes, len, len, &got), ARIL_OK);
        assert_status(parse_trailer(bytes, len, len - 1, &got), ARIL_E_FORMAT_LENGTH);
    }
}

static void a_trailer_with_a_field_out_of_range_is_refused(void **state)
{
    (void)state;
    static struct arili_value_trailer got;
    uint8_t bytes[1024] = { 0 };
    uint8_t *end = bytes + sizeof bytes - 12;
    arili_store16(end, 17);
    assert_status(parse_trailer(bytes, sizeof bytes, sizeof bytes, &got), ARIL_E_FORMAT_FIELD);
    arili_store16(end, UINT16_MAX);
    assert_status(parse_trailer(bytes, sizeof bytes, sizeof bytes, &got), ARIL_E_FORMAT_FIELD);
    arili_store16(end, 16);
    assert_status(parse_trailer(bytes, sizeof bytes, sizeof bytes, &got), ARIL_OK);
    for (size_t bit = 0; bit < 16; bit++) {
        arili_store16(end + 2, (uint16_t)(1u << bit));
        assert_status(parse_trailer(bytes, sizeof bytes, sizeof bytes, &got), ARIL_E_FORMAT_FIELD);
    }
    arili_store16(end + 2, 0);
    const uint64_t room = sizeof bytes - TRAILER_MAX;
    const uint64_t too_long[] = { room + 1, sizeof bytes, UINT64_MAX, UINT64_MAX - TRAILER_MAX };
    for (size_t i = 0; i < COUNT(too_long); i++) {
        arili_store64(end + 4, too_long[i]);
        assert_status(parse_trailer(bytes, sizeof bytes, sizeof bytes, &got), ARIL_E_FORMAT_LENGTH);
    }
    arili_store64(end + 4, room);
    assert_status(parse_trailer(bytes, sizeof bytes, sizeof bytes, &got), ARIL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_is_laid_out_as_the_document_says),
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(every_flipped_bit_has_its_status_and_what_parses_is_written_again),
        cmocka_unit_test(an_end_at_the_beginning_is_allowed_and_one_before_it_is_not),
        cmocka_unit_test(a_length_from_outside_is_compared_before_it_is_believed),
        cmocka_unit_test(segments_and_stored_lengths_are_right_around_their_ends),
        cmocka_unit_test(a_trailer_of_any_count_comes_back),
        cmocka_unit_test(the_end_of_a_trailer_is_laid_out_as_the_document_says),
        cmocka_unit_test(a_trailer_that_begins_before_the_segment_is_refused),
        cmocka_unit_test(a_trailer_with_a_field_out_of_range_is_refused),
    };
    return cmocka_run_group_tests_name("cached values", tests, NULL, NULL);
}
