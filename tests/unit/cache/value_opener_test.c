/* SPDX-License-Identifier: Apache-2.0 */
#include "value_pieces.h"
#include "check.h"
#include "crypto/runtime.h"
#include "fixture.h"
#include <stdlib.h>
#include <string.h>

static void short_values_open_in_place_at_every_split(void **state)
{
    static const size_t lens[] = { 0, 1, 15, 16, 17, 40 };
    uint8_t out[64];
    struct opened o = { .out = out };
    (void)state;
    for (size_t i = 0; i < COUNT(lens); i++) {
        struct stored s = stored_sealed(lens[i]);
        const size_t rest = s.len - HEADER;
        for (size_t a = 0; a <= rest; a++) {
            for (size_t b = 0; b <= rest - a; b++) {
                const struct cuts cuts = { { a, b, SIZE_MAX }, 3 };
                assert_opens(&s, &cuts, &o);
            }
        }
        const struct cuts bytes = { { 1 }, 1 };
        assert_opens(&s, &bytes, &o);
        stored_done(&s);
    }
}

static void long_values_open_in_place_in_pieces_of_any_size(void **state)
{
    static const size_t lens[] = { SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT,
                                   2 * SEGMENT + 5 };
    static const struct cuts cuts[] = {
        { { 1000 }, 1 },
        { { 65536 }, 1 },
        { { SEGMENT }, 1 },
        { { FULL }, 1 },
        { { FULL + 1 }, 1 },
        { { SIZE_MAX }, 1 },
        { { SEGMENT - 1, 1, 7 * 4096 }, 3 },
        { { SEGMENT, 3, SIZE_MAX }, 3 },
        { { FULL - 1, 2, SIZE_MAX }, 3 },
        { { 1, FULL - 1, SIZE_MAX }, 3 },
        { { 1, FULL, SIZE_MAX }, 3 },
    };
    struct opened o = { .out = malloc(3 * SEGMENT) };
    (void)state;
    assert_non_null(o.out);
    for (size_t i = 0; i < COUNT(lens); i++) {
        struct stored s = stored_sealed(lens[i]);
        for (size_t c = 0; c < COUNT(cuts); c++) {
            assert_opens(&s, &cuts[c], &o);
        }
        stored_done(&s);
    }
    free(o.out);
}

/* Segments behind one another in one piece are verified one by one. */
static void nothing_of_a_wrong_segment_is_believed(void **state)
{
    struct stored s = stored_sealed(2 * SEGMENT + 5);
    static const struct cuts cuts[] = { { { SIZE_MAX }, 1 }, { { 100000 }, 1 }, { { FULL }, 1 } };
    struct opened o = { .out = malloc(3 * SEGMENT) };
    (void)state;
    assert_non_null(o.out);
    for (size_t seg = 0; seg < 3; seg++) {
        const size_t at = HEADER + seg * FULL;
        for (size_t c = 0; c < COUNT(cuts); c++) {
            s.bytes[at] ^= 1;
            assert_status(open_stored(&s, s.len, &cuts[c], &o), ARIL_E_AUTH);
            assert_int_equal(o.segments, seg);
            assert_int_equal(o.believed, seg * SEGMENT);
            assert_memory_equal(o.out, s.value, o.believed);
            s.bytes[at] ^= 1;
        }
    }
    free(o.out);
    stored_done(&s);
}

static void every_flipped_bit_is_refused_at_every_cut(void **state)
{
    static const struct cuts cuts[] = { { { 1 }, 1 }, { { 7 }, 1 }, { { SIZE_MAX }, 1 } };
    uint8_t out[64];
    struct opened o = { .out = out };
    (void)state;
    for (size_t len = 0; len <= 20; len += 20) {
        struct stored s = stored_sealed(len);
        for (size_t bit = 0; bit < 8 * s.len; bit++) {
            struct arili_value_header h;
            s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            const aril_status st = arili_value_parse((aril_bytes){ s.bytes, s.len }, &h);
            assert_true(st == ARIL_OK || aril_status_class(st) == ARIL_E_FORMAT);
            assert_true(st == ARIL_OK || bit / 8 < HEADER);
            for (size_t c = 0; c < COUNT(cuts) && st == ARIL_OK; c++) {
                const aril_status opens = open_pieces(&h, s.bytes, s.len, &cuts[c], &o);
                /* The flag of a trailer is a bit too. */
                assert_status(opens, bit == 24 ? ARIL_E_FORMAT_KIND : ARIL_E_AUTH);
                assert_int_equal(o.believed, 0);
            }
            s.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        stored_done(&s);
    }
}

static void every_bit_of_the_context_is_bound(void **state)
{
    static const struct cuts cuts = { { 9 }, 1 };
    struct stored s = stored_sealed(20);
    uint8_t out[64];
    struct opened o = { .out = out };
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof vw.context; bit++) {
        vw.context[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_status(open_stored(&s, s.len, &cuts, &o), ARIL_E_AUTH);
        vw.context[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_opens(&s, &cuts, &o);
    stored_done(&s);
}

static void values_that_end_early_or_go_on_are_refused(void **state)
{
    static const struct cuts cuts[] = { { { 1 }, 1 }, { { 7 }, 1 }, { { SIZE_MAX }, 1 } };
    uint8_t out[128];
    struct opened o = { .out = out };
    (void)state;
    for (size_t len = 0; len <= 50; len += 25) {
        struct stored s = stored_sealed(len);
        s.bytes = realloc(s.bytes, s.len + 3);
        assert_non_null(s.bytes);
        memset(s.bytes + s.len, 0, 3);
        for (size_t c = 0; c < COUNT(cuts); c++) {
            for (size_t cut = HEADER; cut < s.len; cut++) {
                assert_status(open_stored(&s, cut, &cuts[c], &o), ARIL_E_FORMAT_TRUNCATED);
                assert_int_equal(o.believed, 0);
            }
            for (size_t more = 1; more <= 3; more++) {
                assert_status(open_stored(&s, s.len + more, &cuts[c], &o), ARIL_E_FORMAT_LENGTH);
            }
        }
        stored_done(&s);
    }
}

static void segments_cannot_be_swapped_doubled_or_cut_off(void **state)
{
    static const struct cuts cuts = { { 200000 }, 1 };
    struct stored s = stored_sealed(2 * SEGMENT + 5);
    struct stored twin = stored_sealed(2 * SEGMENT + 5);
    struct opened o = { .out = malloc(3 * SEGMENT) };
    struct arili_value_header h;
    (void)state;
    assert_non_null(o.out);
    memcpy(twin.bytes, s.bytes, s.len);
    memcpy(twin.bytes + HEADER, s.bytes + HEADER + FULL, FULL);
    memcpy(twin.bytes + HEADER + FULL, s.bytes + HEADER, FULL);
    assert_status(open_stored(&twin, twin.len, &cuts, &o), ARIL_E_AUTH);
    assert_int_equal(o.believed, 0);
    memcpy(twin.bytes + HEADER, s.bytes + HEADER, FULL); /* now twice the first */
    assert_status(open_stored(&twin, twin.len, &cuts, &o), ARIL_E_AUTH);
    assert_int_equal(o.believed, SEGMENT);
    /* The last one gone, and a header that agrees. */
    memcpy(twin.bytes, s.bytes, s.len);
    assert_status(arili_value_parse((aril_bytes){ s.bytes, s.len }, &h), ARIL_OK);
    h.body_bytes = 2 * SEGMENT;
    arili_value_write(&h, twin.bytes);
    assert_status(open_pieces(&h, twin.bytes, HEADER + 2 * FULL, &cuts, &o), ARIL_E_AUTH);
    assert_int_equal(o.believed, 0);
    free(o.out);
    stored_done(&s);
    stored_done(&twin);
}

/* Also when the right bytes come later: a part of the value may have been given on by then. */
static void a_failure_is_final(void **state)
{
    struct stored s = stored_sealed(20);
    (void)state;
    for (size_t first = 1; first <= 20 + TAG; first += 20 + TAG - 1) {
        struct arili_value_opener o;
        struct arili_value_header h;
        uint8_t rest[20 + TAG];
        aril_span in = { rest, sizeof rest };
        aril_span run = { NULL, 0 };
        bool verified = true;
        assert_status(arili_value_parse((aril_bytes){ s.bytes, s.len }, &h), ARIL_OK);
        arili_value_opener_begin(&o, vw.rt, vw.key, s.bytes, &h, vw.context);
        memcpy(rest, s.bytes + HEADER, sizeof rest);
        rest[sizeof rest - 1] ^= 1;
        for (size_t n = first; in.len > 0; n = in.len) {
            aril_span part = { in.data, n };
            const aril_status st = arili_value_opener_run(&o, &part, &run, &verified);
            assert_status(st, n < in.len ? ARIL_OK : ARIL_E_AUTH);
            in = (aril_span){ in.data + n, in.len - n };
        }
        memcpy(rest, s.bytes + HEADER, sizeof rest);
        in = (aril_span){ rest, sizeof rest };
        assert_status(arili_value_opener_run(&o, &in, &run, &verified), ARIL_E_AUTH);
        assert_true(run.len == 0 && !verified && in.len == sizeof rest);
        assert_memory_equal(rest, s.bytes + HEADER, sizeof rest);
        assert_status(arili_value_opener_done(&o), ARIL_E_AUTH);
    }
    stored_done(&s);
}

static void an_empty_input_changes_nothing(void **state)
{
    struct stored s = stored_sealed(20);
    struct arili_value_opener o;
    struct arili_value_header h;
    aril_span run = { NULL, 9 };
    bool verified = true;
    (void)state;
    assert_status(arili_value_parse((aril_bytes){ s.bytes, s.len }, &h), ARIL_OK);
    arili_value_opener_begin(&o, vw.rt, vw.key, s.bytes, &h, vw.context);
    aril_span in = { NULL, 0 };
    assert_status(arili_value_opener_run(&o, &in, &run, &verified), ARIL_OK);
    assert_true(in.data == NULL && in.len == 0 && run.len == 0 && !verified);
    in = (aril_span){ s.bytes + HEADER, s.len - HEADER };
    assert_status(arili_value_opener_run(&o, &in, &run, &verified), ARIL_OK);
    assert_true(verified && in.len == 0 && run.len == 20);
    assert_status(arili_value_opener_run(&o, &in, &run, &verified), ARIL_OK);
    assert_true(!verified && run.len == 0);
    assert_status(arili_value_opener_done(&o), ARIL_OK);
    stored_done(&s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, value_check_leases)
    const struct CMUnitTest tests[] = {
        TEST(short_values_open_in_place_at_every_split),
        TEST(long_values_open_in_place_in_pieces_of_any_size),
        TEST(nothing_of_a_wrong_segment_is_believed),
        TEST(every_flipped_bit_is_refused_at_every_cut),
        TEST(every_bit_of_the_context_is_bound),
        TEST(values_that_end_early_or_go_on_are_refused),
        TEST(segments_cannot_be_swapped_doubled_or_cut_off),
        TEST(a_failure_is_final),
        TEST(an_empty_input_changes_nothing),
    };
    return cmocka_run_group_tests_name("values opened in place", tests, value_world_setup,
                                       value_world_teardown);
}
