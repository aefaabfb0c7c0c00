/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/value.h"
#include "check.h"
#include "crypto/runtime.h"
#include "faulty_crypto.h"
#include "fixture.h"
#include "provider.h"
#include <stdlib.h>
#include <string.h>

#define SEGMENT ((size_t)ARILI_VALUE_SEGMENT_BYTES)
#define TAG     ((size_t)ARILI_VALUE_TAG_BYTES)
#define FULL    (SEGMENT + TAG)
#define HEADER  ((size_t)ARILI_VALUE_HEADER_BYTES)
#define GUARD   32u

static struct faulty_crypto *counting;
static aril_runtime *rt;
static aril_tenant_key *data_key;
static uint8_t context[ARILI_CACHE_CONTEXT_BYTES];

/* Two values under one nonce can be compared. Only tests do this. */
static bool same_nonce;
static aril_status chosen_random(struct arili_provider *p, uint8_t *ret, size_t len)
{
    if (same_nonce) {
        fill_pattern(ret, len, 77);
        return ARIL_OK;
    }
    return faulty_crypto_table(counting)->ops->random(p, ret, len);
}

static int setup(void **state)
{
    static struct arili_crypto_ops ops;
    static struct arili_crypto table;
    uint8_t secret[32];
    uint8_t id[32];
    if (provider_setup(state) != 0 || (counting = faulty_crypto_new(provider())) == NULL) {
        return -1;
    }
    ops = *faulty_crypto_table(counting)->ops;
    ops.random = chosen_random;
    table = (struct arili_crypto){ &ops, faulty_crypto_table(counting)->provider };
    fill_pattern(secret, sizeof secret, 1);
    fill_pattern(id, sizeof id, 2);
    fill_pattern(context, sizeof context, 5);
    return arili_runtime_new_over(&table, NULL, &rt) == ARIL_OK &&
                   arili_tenant_key_new(rt, ARIL_KEY_DATA, text_bytes("acme"), id, secret,
                                        &data_key) == ARIL_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    aril_tenant_key_put(data_key);
    aril_runtime_free(rt);
    const unsigned left = faulty_crypto_alive(counting);
    faulty_crypto_free(counting);
    return left == 0 ? provider_teardown(state) : -1;
}

/* Every lease went back: with one missing, others would have made a second context. */
static int check_leases(void **state)
{
    (void)state;
    same_nonce = false;
    struct arili_context_lease lease;
    if (arili_contexts_get(rt->contexts, 0, NULL, &lease) != ARIL_OK) {
        return -1;
    }
    arili_contexts_put(rt->contexts, &lease);
    return faulty_crypto_alive(counting) == 1 ? 0 : -1;
}

/* --- Values ---------------------------------------------------------------------------------- */

struct stored {
    size_t value_len, len;
    uint8_t *value, *bytes;
};

static struct stored stored_new(size_t value_len)
{
    struct stored s = { .value_len = value_len, .len = arili_value_stored_bytes(value_len) };
    s.value = malloc(value_len + 1);
    s.bytes = malloc(s.len);
    assert_true(s.value != NULL && s.bytes != NULL);
    fill_pattern(s.value, value_len, value_len);
    return s;
}

static void stored_done(struct stored *s)
{
    free(s->value);
    free(s->bytes);
}

/* Sealed whole: what the openers open. */
static struct stored sealed(size_t value_len)
{
    struct stored s = stored_new(value_len);
    const struct arili_value_sealing how = {
        .rt = rt,
        .key = data_key,
        .context = context,
        .created_ms = 1000,
        .not_after_ms = 2000,
        .generation = 7,
        .plan = arili_value_plan(value_len, 0, ARIL_CACHE_PAD_NONE, 0),
        .value = { s.value, value_len },
    };
    assert_status(arili_value_seal(&how, s.bytes), ARIL_OK);
    return s;
}

/* Pieces in order; the last is repeated. */
struct cuts {
    size_t sizes[3];
    size_t count;
};
static size_t cut_at(const struct cuts *cuts, size_t i, size_t left)
{
    const size_t size = cuts->sizes[i < cuts->count ? i : cuts->count - 1];
    return size < left ? size : left;
}

/* --- Opening --------------------------------------------------------------------------------- */

struct opened {
    uint8_t *out;
    size_t len, believed;
    uint64_t segments;
};

/* A run that failed shows nothing, and stays failed. now is what the input has become. */
static void assert_failed_run(struct arili_value_opener *o, aril_span in, const uint8_t *before,
                              const aril_span *now, const aril_span *run, bool verified,
                              aril_status st)
{
    aril_span none = in;
    aril_span run2 = { NULL, 9 };
    assert_true(now->data == in.data && now->len == in.len);
    assert_int_equal(run->len, 0);
    assert_false(verified);
    for (size_t i = 0; i < in.len; i++) {
        assert_true(in.data[i] == before[i] || in.data[i] == 0);
    }
    assert_status(arili_value_opener_run(o, &none, &run2, &verified), st);
    assert_int_equal(run2.len, 0);
    assert_false(verified);
    assert_status(arili_value_opener_done(o), st);
}

/* Open bytes, which are as many as the header says plus extra, in pieces of memory of their own. */
static aril_status open_pieces(const struct arili_value_header *h, const uint8_t *bytes, size_t len,
                               const struct cuts *cuts, struct opened *ret)
{
    struct arili_value_opener o;
    ret->len = ret->believed = 0;
    ret->segments = 0;
    arili_value_opener_begin(&o, rt, data_key, bytes, h, context);
    for (size_t at = HEADER, i = 0, n; at < len; at += n, i++) {
        n = cut_at(cuts, i, len - at);
        uint8_t *const own = malloc(n + GUARD);
        assert_non_null(own);
        memcpy(own, bytes + at, n);
        memset(own + n, 0xa7, GUARD);
        aril_span in = { own, n };
        do {
            const aril_span before = in;
            aril_span run = { NULL, 9 };
            bool verified = true;
            const aril_status st = arili_value_opener_run(&o, &in, &run, &verified);
            assert_true(is_filled(own + n, GUARD, 0xa7));
            if (st != ARIL_OK) {
                assert_failed_run(&o, before, bytes + at + (size_t)(before.data - own), &in, &run,
                                  verified, st);
                free(own);
                return st;
            }
            assert_ptr_equal(run.data, before.data);
            assert_true(in.len == 0 || verified);
            assert_true(before.len - in.len >= run.len && before.len - in.len <= run.len + TAG);
            memcpy(ret->out + ret->len, run.data, run.len);
            ret->len += run.len;
            ret->believed = verified ? ret->len : ret->believed;
            ret->segments += verified;
        } while (in.len > 0);
        free(own);
    }
    const aril_status st = arili_value_opener_done(&o);
    assert_status(arili_value_opener_done(&o), st); /* may be called again */
    return st;
}

static aril_status open_stored(const struct stored *s, size_t len, const struct cuts *cuts,
                               struct opened *ret)
{
    struct arili_value_header h;
    assert_status(arili_value_parse((aril_bytes){ s->bytes, s->len }, &h), ARIL_OK);
    return open_pieces(&h, s->bytes, len, cuts, ret);
}

static void assert_opens(const struct stored *s, const struct cuts *cuts, struct opened *o)
{
    assert_status(open_stored(s, s->len, cuts, o), ARIL_OK);
    assert_int_equal(o->len, s->value_len);
    assert_int_equal(o->believed, s->value_len);
    assert_true(o->segments == arili_value_segments(s->value_len));
    assert_memory_equal(o->out, s->value, s->value_len);
}

static void short_values_open_in_place_at_every_split(void **state)
{
    static const size_t lens[] = { 0, 1, 15, 16, 17, 40 };
    uint8_t out[64];
    struct opened o = { .out = out };
    (void)state;
    for (size_t i = 0; i < COUNT(lens); i++) {
        struct stored s = sealed(lens[i]);
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
        struct stored s = sealed(lens[i]);
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
    struct stored s = sealed(2 * SEGMENT + 5);
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
        struct stored s = sealed(len);
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
    struct stored s = sealed(20);
    uint8_t out[64];
    struct opened o = { .out = out };
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof context; bit++) {
        context[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_status(open_stored(&s, s.len, &cuts, &o), ARIL_E_AUTH);
        context[bit / 8] ^= (uint8_t)(1u << bit % 8);
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
        struct stored s = sealed(len);
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
    struct stored s = sealed(2 * SEGMENT + 5);
    struct stored twin = sealed(2 * SEGMENT + 5);
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
    struct stored s = sealed(20);
    (void)state;
    for (size_t first = 1; first <= 20 + TAG; first += 20 + TAG - 1) {
        struct arili_value_opener o;
        struct arili_value_header h;
        uint8_t rest[20 + TAG];
        aril_span in = { rest, sizeof rest };
        aril_span run = { NULL, 0 };
        bool verified = true;
        assert_status(arili_value_parse((aril_bytes){ s.bytes, s.len }, &h), ARIL_OK);
        arili_value_opener_begin(&o, rt, data_key, s.bytes, &h, context);
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
    struct stored s = sealed(20);
    struct arili_value_opener o;
    struct arili_value_header h;
    aril_span run = { NULL, 9 };
    bool verified = true;
    (void)state;
    assert_status(arili_value_parse((aril_bytes){ s.bytes, s.len }, &h), ARIL_OK);
    arili_value_opener_begin(&o, rt, data_key, s.bytes, &h, context);
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

/* --- Sealing --------------------------------------------------------------------------------- */

/* Seal s->value in pieces to s->bytes; say is the length that was said before. */
static aril_status seal_pieces(struct stored *s, uint64_t say, const struct cuts *cuts)
{
    struct arili_value_sealer w;
    size_t done = HEADER;
    aril_status st =
        arili_value_sealer_begin(&w, rt, data_key, context, 1000, 2000, 7, say, s->bytes);
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
    same_nonce = true;
    struct stored whole = sealed(len);
    struct stored pieces = stored_new(len);
    assert_status(seal_pieces(&pieces, len, cuts), ARIL_OK);
    assert_memory_equal(pieces.bytes, whole.bytes, whole.len);
    same_nonce = false;
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
        arili_value_open_begin(&whole, rt, data_key, s.bytes, &h, context);
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
    unsigned before = faulty_crypto_calls(counting);
    assert_status(seal_pieces(&s, s.value_len, &cuts), ARIL_OK);
    assert_int_equal(faulty_crypto_calls(counting) - before, 4); /* with the nonce of the value */
    before = faulty_crypto_calls(counting);
    assert_opens(&s, &cuts, &o);
    assert_int_equal(faulty_crypto_calls(counting) - before, 3);
    stored_done(&s);
}

/* One thread has many values under way, each in the middle of a segment: none waits for another. */
static void many_values_may_be_under_way(void **state)
{
    enum { MANY = 3 * ARILI_CONTEXT_SHARDS };
    static struct arili_value_opener o[MANY];
    static uint8_t bytes[MANY][HEADER + 20 + TAG];
    struct stored s = sealed(20);
    struct arili_value_header h;
    aril_span run;
    bool verified;
    (void)state;
    assert_status(arili_value_parse((aril_bytes){ s.bytes, s.len }, &h), ARIL_OK);
    for (size_t i = 0; i < MANY; i++) {
        memcpy(bytes[i], s.bytes, s.len);
        arili_value_opener_begin(&o[i], rt, data_key, bytes[i], &h, context);
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
    struct stored s = sealed(20);
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
        arili_value_opener_begin(&o, rt, data_key, s.bytes, &h, context);
        assert_status(arili_value_opener_run(&o, &in, &run, &ends), ARIL_OK);
        assert_status(arili_value_opener_done(&o), ARIL_E_FORMAT_TRUNCATED);
        in = (aril_span){ &byte, 1 };
        assert_status(arili_value_sealer_begin(&w, rt, data_key, context, 1, 2, 3, 20, header),
                      ARIL_OK);
        assert_status(arili_value_sealer_run(&w, &in, &run, tag, &ends), ARIL_OK);
        assert_status(arili_value_sealer_done(&w), ARIL_E_FORMAT_TRUNCATED);
    }
    stored_done(&s); /* check_leases() looks */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, check_leases)
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
        TEST(values_sealed_in_place_are_those_sealed_whole_at_every_split),
        TEST(long_values_sealed_in_place_are_those_sealed_whole),
        TEST(values_sealed_in_place_open_whole_and_in_place),
        TEST(more_or_less_than_was_said_is_refused),
        TEST(a_short_value_takes_the_fewest_calls),
        TEST(whoever_gives_up_in_the_middle_gives_the_cipher_back),
        cmocka_unit_test(many_values_may_be_under_way), /* and contexts in many shards: the last */
    };
    return cmocka_run_group_tests_name("values in pieces", tests, setup, teardown);
}
