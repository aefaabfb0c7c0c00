/* SPDX-License-Identifier: Apache-2.0 */
#include "value_pieces.h"
#include "check.h"
#include "crypto/runtime.h"
#include "fixture.h"
#include <stdlib.h>
#include <string.h>

/* Seal s->value in pieces to s->bytes; say is the length that was said before. */
static aril_status seal_pieces(struct stored *s, uint64_t say, const struct cuts *cuts)
{
    struct arili_value_sealer w;
    size_t done = HEADER;
    aril_status st =
        arili_value_sealer_begin(&w, vw.rt, vw.key, vw.context, 1000, 2000, 7, say, s->bytes);
    for (size_t at = 0, i = 0, n; st == ARIL_OK && (at < s->value_len || i == 0); at += n, i++) {
        n = cut_at(cuts, i, s->value_len - at);
        uint8_t *const own = malloc(n + GUARD);
        assert_non_null(own);
        memcpy(own, s->value + at, n);
        memset(own + n, 0xa7, GUARD);
        aril_span in = { own, n };
        do {
            const aril_span before = in;
            aril_span run = { NULL, 9 };
            bool tagged = true;
            uint8_t tag[TAG];
            memset(tag, 0xa7, TAG);
            st = arili_value_sealer_run(&w, &in, &run, tag, &tagged);
            assert_true(is_filled(own + n, GUARD, 0xa7));
            assert_int_equal(before.len - in.len, run.len);
            assert_true(tagged || is_filled(tag, TAG, 0xa7));
            if (st == ARIL_OK) {
                assert_ptr_equal(run.data, before.data);
                assert_true(in.len == 0 || tagged);
                assert_true(done + run.len + (tagged ? TAG : 0) <= s->len);
                memcpy(s->bytes + done, run.data, run.len);
                memcpy(s->bytes + done + run.len, tag, tagged ? TAG : 0);
                done += run.len + (tagged ? TAG : 0);
            }
        } while (in.len > 0 && st == ARIL_OK);
        free(own);
    }
    const aril_status end = arili_value_sealer_done(&w);
    assert_status(arili_value_sealer_done(&w), end);
    assert_true(st == ARIL_OK || end == st); /* a failure stays one */
    return end;
}

/* One after the other under one nonce, whole and in pieces: the same bytes. */
static void assert_seals_alike(size_t len, const struct cuts *cuts)
{
    vw.same_nonce = true;
    struct stored whole = stored_sealed(len);
    struct stored pieces = stored_new(len);
    assert_status(seal_pieces(&pieces, len, cuts), ARIL_OK);
    assert_memory_equal(pieces.bytes, whole.bytes, whole.len);
    vw.same_nonce = false;
    stored_done(&whole);
    stored_done(&pieces);
}

static void values_sealed_in_place_are_those_sealed_whole_at_every_split(void **state)
{
    static const size_t lens[] = { 0, 1, 15, 16, 17, 40 };
    (void)state;
    for (size_t i = 0; i < COUNT(lens); i++) {
        for (size_t a = 0; a <= lens[i]; a++) {
            for (size_t b = 0; b <= lens[i] - a; b++) {
                const struct cuts cuts = { { a, b, SIZE_MAX }, 3 };
                assert_seals_alike(lens[i], &cuts);
            }
        }
        const struct cuts bytes = { { 1 }, 1 };
        assert_seals_alike(lens[i], &bytes);
    }
}

static void long_values_sealed_in_place_are_those_sealed_whole(void **state)
{
    static const size_t lens[] = { SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT,
                                   2 * SEGMENT + 5 };
    static const struct cuts cuts[] = {
        { { 1000 }, 1 },
        { { 65536 }, 1 },
        { { SEGMENT }, 1 },
        { { SEGMENT + 1 }, 1 },
        { { SIZE_MAX }, 1 },
        { { SEGMENT - 1, 1, 7 * 4096 }, 3 },
        { { 1, SEGMENT, SIZE_MAX }, 3 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(lens); i++) {
        for (size_t c = 0; c < COUNT(cuts); c++) {
            assert_seals_alike(lens[i], &cuts[c]);
        }
    }
}

static void values_sealed_in_place_open_whole_and_in_place(void **state)
{
    static const struct cuts cuts = { { 77777 }, 1 };
    static const size_t lens[] = { 0, 1, 1000, SEGMENT, SEGMENT + 1 };
    struct opened o = { .out = malloc(2 * SEGMENT) };
    uint8_t nonce[ARILI_VALUE_NONCE_BYTES] = { 0 };
    (void)state;
    assert_non_null(o.out);
    for (size_t i = 0; i < COUNT(lens); i++) {
        struct stored s = stored_new(lens[i]);
        struct arili_value_header h;
        struct arili_value_opening whole;
        assert_status(seal_pieces(&s, lens[i], &cuts), ARIL_OK);
        assert_opens(&s, &cuts, &o);
        assert_status(arili_value_parse((aril_bytes){ s.bytes, s.len }, &h), ARIL_OK);
        assert_true(h.created_ms == 1000 && h.not_after_ms == 2000 && h.generation == 7);
        assert_memory_not_equal(h.nonce, nonce, sizeof nonce); /* a fresh one */
        memcpy(nonce, h.nonce, sizeof nonce);
        arili_value_open_begin(&whole, vw.rt, vw.key, s.bytes, &h, vw.context);
        memset(o.out, 0, s.value_len + 1);
        whole.out = o.out;
        assert_status(arili_value_open_end(&whole, (aril_bytes){ s.bytes, s.len }), ARIL_OK);
        assert_memory_equal(o.out, s.value, s.value_len);
        stored_done(&s);
    }
    free(o.out);
}

static void more_or_less_than_was_said_is_refused(void **state)
{
    static const struct cuts cuts[] = { { { 1 }, 1 }, { { 7 }, 1 }, { { SIZE_MAX }, 1 } };
    (void)state;
    struct stored s = stored_new(20);
    for (size_t c = 0; c < COUNT(cuts); c++) {
        for (uint64_t say = 0; say < 20; say++) {
            assert_status(seal_pieces(&s, say, &cuts[c]), ARIL_E_FORMAT_LENGTH);
        }
        assert_status(seal_pieces(&s, 20, &cuts[c]), ARIL_OK);
        assert_status(seal_pieces(&s, 21, &cuts[c]), ARIL_E_FORMAT_TRUNCATED);
        assert_status(seal_pieces(&s, SEGMENT + 5, &cuts[c]), ARIL_E_FORMAT_TRUNCATED);
    }
    memset(s.bytes, 0xa7, s.len);
    assert_status(seal_pieces(&s, ARILI_VALUE_BODY_MAX + 1, &cuts[0]), ARIL_E_LIMIT);
    assert_status(seal_pieces(&s, UINT64_MAX, &cuts[0]), ARIL_E_LIMIT);
    assert_true(is_filled(s.bytes, s.len, 0xa7));
    stored_done(&s);
}

/* --- Cost ------------------------------------------------------------------------------------ */

/* A short value that is there whole: the key of its message, its nonce, one call of the cipher. */
static void a_short_value_takes_the_fewest_calls(void **state)
{
    static const struct cuts cuts = { { SIZE_MAX }, 1 };
    uint8_t out[1024];
    struct opened o = { .out = out };
    struct stored s = stored_new(sizeof out);
    (void)state;
    unsigned before = faulty_crypto_calls(vw.counting);
    assert_status(seal_pieces(&s, s.value_len, &cuts), ARIL_OK);
    assert_int_equal(faulty_crypto_calls(vw.counting) - before,
                     4); /* with the nonce of the value */
    before = faulty_crypto_calls(vw.counting);
    assert_opens(&s, &cuts, &o);
    assert_int_equal(faulty_crypto_calls(vw.counting) - before, 3);
    stored_done(&s);
}

/* One thread has many values under way, each in the middle of a segment: none waits for another. */
static void many_values_may_be_under_way(void **state)
{
    enum { MANY = 3 * ARILI_CONTEXT_SHARDS };
    static struct arili_value_opener o[MANY];
    static uint8_t bytes[MANY][HEADER + 20 + TAG];
    struct stored s = stored_sealed(20);
    struct arili_value_header h;
    aril_span run;
    bool verified;
    (void)state;
    assert_status(arili_value_parse((aril_bytes){ s.bytes, s.len }, &h), ARIL_OK);
    for (size_t i = 0; i < MANY; i++) {
        memcpy(bytes[i], s.bytes, s.len);
        arili_value_opener_begin(&o[i], vw.rt, vw.key, bytes[i], &h, vw.context);
        aril_span in = { bytes[i] + HEADER, 1 + i % (20 + TAG - 1) };
        assert_status(arili_value_opener_run(&o[i], &in, &run, &verified), ARIL_OK);
        assert_false(verified);
    }
    for (size_t i = 0; i < MANY; i++) {
        const size_t at = 1 + i % (20 + TAG - 1);
        aril_span in = { bytes[i] + HEADER + at, 20 + TAG - at };
        assert_status(arili_value_opener_run(&o[i], &in, &run, &verified), ARIL_OK);
        assert_true(verified);
        assert_status(arili_value_opener_done(&o[i]), ARIL_OK);
        assert_memory_equal(bytes[i] + HEADER, s.value, 20);
    }
    stored_done(&s);
}

static void whoever_gives_up_in_the_middle_gives_the_cipher_back(void **state)
{
    struct stored s = stored_sealed(20);
    struct arili_value_header h;
    (void)state;
    assert_status(arili_value_parse((aril_bytes){ s.bytes, s.len }, &h), ARIL_OK);
    for (unsigned i = 0; i < 3; i++) {
        struct arili_value_opener o;
        struct arili_value_sealer w;
        uint8_t header[HEADER];
        uint8_t tag[TAG];
        uint8_t byte = s.bytes[HEADER];
        aril_span in = { &byte, 1 };
        aril_span run;
        bool ends;
        arili_value_opener_begin(&o, vw.rt, vw.key, s.bytes, &h, vw.context);
        assert_status(arili_value_opener_run(&o, &in, &run, &ends), ARIL_OK);
        assert_status(arili_value_opener_done(&o), ARIL_E_FORMAT_TRUNCATED);
        in = (aril_span){ &byte, 1 };
        assert_status(arili_value_sealer_begin(&w, vw.rt, vw.key, vw.context, 1, 2, 3, 20, header),
                      ARIL_OK);
        assert_status(arili_value_sealer_run(&w, &in, &run, tag, &ends), ARIL_OK);
        assert_status(arili_value_sealer_done(&w), ARIL_E_FORMAT_TRUNCATED);
    }
    stored_done(&s); /* check_leases() looks */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, value_check_leases)
    const struct CMUnitTest tests[] = {
        TEST(values_sealed_in_place_are_those_sealed_whole_at_every_split),
        TEST(long_values_sealed_in_place_are_those_sealed_whole),
        TEST(values_sealed_in_place_open_whole_and_in_place),
        TEST(more_or_less_than_was_said_is_refused),
        TEST(a_short_value_takes_the_fewest_calls),
        TEST(whoever_gives_up_in_the_middle_gives_the_cipher_back),
        cmocka_unit_test(many_values_may_be_under_way), /* and contexts in many shards: the last */
    };
    return cmocka_run_group_tests_name("values sealed in place", tests, value_world_setup,
                                       value_world_teardown);
}
