/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/value.h"
#include "check.h"
#include "fixture.h"
#include "runtime.h"
#include <stdlib.h>
#include <string.h>

#define SEGMENT ((uint64_t)ARILI_VALUE_SEGMENT_BYTES)
#define FULL    (SEGMENT + ARILI_VALUE_TAG_BYTES)
#define FILLER  0xa7
#define GUARD   32u

static aril_tenant_key *data_key;
static uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
static struct arili_value_tag some_tags[ARILI_VALUE_TAGS_MAX];

static aril_tenant_key *key_new(uint8_t fill)
{
    uint8_t secret[32];
    uint8_t id[32];
    aril_tenant_key *key = NULL;
    memset(secret, fill, sizeof secret);
    memset(id, fill + 1, sizeof id);
    assert_status(arili_tenant_key_new(rt, ARIL_KEY_DATA, text_bytes("acme"), id, secret, &key),
                  ARIL_OK);
    return key;
}

static int setup(void **state)
{
    if (runtime_setup(state) != 0) {
        return -1;
    }
    data_key = key_new(1);
    fill_pattern(context, sizeof context, 5);
    fill_pattern((uint8_t *)some_tags, sizeof some_tags, 6);
    return 0;
}
static int teardown(void **state)
{
    aril_tenant_key_put(data_key);
    return runtime_teardown(state);
}

/* --- One value ----------------------------------------------------------------------------- */

struct sealed {
    struct arili_value_plan plan;
    uint8_t *value;
    uint8_t *bytes;
    size_t len;
};
static void sealed_done(struct sealed *s)
{
    free(s->value);
    free(s->bytes);
}

static aril_status seal_with(aril_runtime *with, struct arili_value_plan plan, struct sealed *ret)
{
    *ret = (struct sealed){ .plan = plan,
                            .value = malloc((size_t)plan.value_bytes + 1),
                            .len = (size_t)arili_value_stored_bytes(plan.body_bytes) };
    ret->bytes = malloc(ret->len + GUARD);
    assert_non_null(ret->value);
    assert_non_null(ret->bytes);
    fill_pattern(ret->value, (size_t)plan.value_bytes, plan.value_bytes);
    memset(ret->bytes, FILLER, ret->len + GUARD);
    const struct arili_value_sealing s = { .rt = with,
                                           .key = data_key,
                                           .context = context,
                                           .created_ms = 1000,
                                           .not_after_ms = 2000,
                                           .generation = 7,
                                           .plan = plan,
                                           .value = { ret->value, (size_t)plan.value_bytes },
                                           .tags = some_tags };
    const aril_status st = arili_value_seal(&s, ret->bytes);
    assert_true(is_filled(ret->bytes + ret->len, GUARD, FILLER));
    return st;
}

static struct sealed seal(struct arili_value_plan plan)
{
    struct sealed s;
    assert_status(seal_with(rt, plan, &s), ARIL_OK);
    return s;
}

static const aril_executor *executor;

/* Opens what is in memory of its exact size. On success the value is compared with that of s. */
static aril_status open(const struct sealed *s, const uint8_t *bytes, size_t len,
                        const aril_tenant_key *key, const uint8_t *ctx)
{
    struct arili_value_header h;
    struct arili_value_opening o;
    uint8_t *exact = malloc(len > 0 ? len : 1);
    assert_non_null(exact);
    if (len > 0) {
        memcpy(exact, bytes, len);
    }
    const aril_bytes stored = { exact, len };
    aril_status st = arili_value_parse(stored, &h);
    if (st == ARIL_OK) {
        arili_value_open_begin(&o, rt, key, exact, &h, ctx);
        o.executor = executor;
        st = arili_value_open_trailer(&o, stored);
    }
    if (st == ARIL_OK) {
        const size_t value = (size_t)o.trailer.value_bytes;
        uint8_t *out = malloc(value + GUARD);
        assert_non_null(out);
        memset(out, FILLER, value + GUARD);
        o.out = out;
        st = arili_value_open_end(&o, stored);
        assert_true(is_filled(out + value, GUARD, FILLER));
        if (st == ARIL_OK) {
            assert_true(value == s->plan.value_bytes);
            assert_memory_equal(out, s->value, value);
            assert_int_equal(o.trailer.tag_count, s->plan.tag_count);
            assert_memory_equal(o.trailer.tags, some_tags, s->plan.tag_count * sizeof some_tags[0]);
        } else {
            assert_true(is_filled(out, value, 0));
        }
        free(out);
    }
    free(exact);
    return st;
}

static aril_status open_all(const struct sealed *s)
{
    return open(s, s->bytes, s->len, data_key, context);
}

static struct arili_value_plan bare(uint64_t len)
{
    return arili_value_plan(len, 0, ARIL_CACHE_PAD_NONE, 0);
}

/* --- Plans --------------------------------------------------------------------------------- */

/* Worked out by hand: E = floor(log2 L), S = floor(log2 E) + 1, up to a multiple of 2^(E - S). */
static void padme_is_that_of_the_paper(void **state)
{
    (void)state;
    static const struct {
        uint64_t len, padded;
    } cases[] = { { 0, 0 },
                  { 1, 1 },
                  { 2, 2 },
                  { 7, 7 },
                  { 8, 8 },
                  { 9, 10 },
                  { 10, 10 },
                  { 11, 12 },
                  { 15, 16 },
                  { 16, 16 },
                  { 17, 18 },
                  { 31, 32 },
                  { 33, 36 },
                  { 100, 104 },
                  { 128, 128 },
                  { 129, 144 },
                  { 255, 256 },
                  { 1000, 1024 },
                  { 1025, 1088 },
                  { 65537, 67584 },
                  { 1 << 20, 1 << 20 },
                  { (1 << 20) + 1, (1 << 20) + (1 << 15) } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_true(arili_padme(cases[i].len) == cases[i].padded);
    }
}

static void padme_grows_never_shrinks_and_adds_at_most_12_percent(void **state)
{
    (void)state;
    uint64_t before = 0;
    for (uint64_t len = 1; len < 200000; len++) {
        const uint64_t padded = arili_padme(len);
        assert_true(padded >= len && padded >= before);
        assert_true(arili_padme(padded) == padded);
        assert_true((padded - len) * 100 <= len * 12);
        before = padded;
    }
    assert_true(arili_padme(ARIL_CACHE_VALUE_BYTES_MAX + 780) < ARILI_VALUE_BODY_MAX);
}

static void plans_hold_value_and_trailer_and_keep_it_in_one_segment(void **state)
{
    (void)state;
    static const uint32_t blocks[] = { 16, 17, 48, 64, 1000, 4096, 65536, 1000000, 1 << 20 };
    for (uint64_t near = 0; near <= 2; near++) {
        for (uint64_t off = 0; off < 2000; off++) {
            const uint64_t len = near * SEGMENT + off - (near > 0 ? 1000 : 0);
            for (size_t tags = 0; tags <= ARILI_VALUE_TAGS_MAX; tags += 4) {
                for (size_t b = 0; b <= COUNT(blocks) + 1; b++) {
                    const struct arili_value_plan p =
                        b < COUNT(blocks)
                            ? arili_value_plan(len, tags, ARIL_CACHE_PAD_BLOCK, blocks[b])
                        : b == COUNT(blocks) ? arili_value_plan(len, tags, ARIL_CACHE_PAD_PADME, 0)
                                             : arili_value_plan(len, tags, ARIL_CACHE_PAD_NONE, 0);
                    const uint64_t trailer = p.trailer ? arili_value_trailer_bytes(tags) : 0;
                    assert_true(p.trailer == (tags > 0 || b <= COUNT(blocks)));
                    assert_true(p.body_bytes >= len + trailer);
                    const uint64_t last =
                        p.body_bytes - (arili_value_segments(p.body_bytes) - 1) * SEGMENT;
                    assert_true(last >= trailer);
                    if (b == COUNT(blocks)) {
                        assert_true(p.body_bytes == arili_padme(len + trailer));
                    }
                }
            }
        }
    }
}

/* --- Round trips --------------------------------------------------------------------------- */

static void values_of_any_length_open_with_and_without_a_trailer(void **state)
{
    (void)state;
    static const uint64_t lens[] = { 0,
                                     1,
                                     15,
                                     16,
                                     17,
                                     1000,
                                     SEGMENT - 61,
                                     SEGMENT - 60,
                                     SEGMENT - 59,
                                     SEGMENT - 13,
                                     SEGMENT - 12,
                                     SEGMENT - 11,
                                     SEGMENT - 1,
                                     SEGMENT,
                                     SEGMENT + 1,
                                     2 * SEGMENT - 12,
                                     2 * SEGMENT - 1,
                                     2 * SEGMENT };
    for (size_t i = 0; i < COUNT(lens); i++) {
        const struct arili_value_plan plans[] = {
            bare(lens[i]),
            arili_value_plan(lens[i], 1, ARIL_CACHE_PAD_NONE, 0),
            arili_value_plan(lens[i], 16, ARIL_CACHE_PAD_NONE, 0),
            arili_value_plan(lens[i], 0, ARIL_CACHE_PAD_PADME, 0),
            arili_value_plan(lens[i], 2, ARIL_CACHE_PAD_BLOCK, 48),
            arili_value_plan(lens[i], 2, ARIL_CACHE_PAD_BLOCK, 1 << 20),
        };
        for (size_t p = 0; p < COUNT(plans); p++) {
            struct sealed s = seal(plans[p]);
            assert_status(open_all(&s), ARIL_OK);
            sealed_done(&s);
        }
    }
}

/* The trailer at every place around the end of a segment. */
static void the_trailer_lies_in_the_last_segment_wherever_the_value_ends(void **state)
{
    (void)state;
    for (uint64_t off = 0; off <= 70; off += SANITIZED ? 7 : 1) {
        struct sealed s = seal(arili_value_plan(SEGMENT - 65 + off, 1, ARIL_CACHE_PAD_NONE, 0));
        assert_status(open_all(&s), ARIL_OK);
        sealed_done(&s);
    }
}

static void two_seals_of_one_value_have_nothing_in_common_but_the_header(void **state)
{
    (void)state;
    struct sealed a = seal(bare(64));
    struct sealed b = seal(bare(64));
    assert_memory_equal(a.bytes, b.bytes, 72);
    assert_memory_not_equal(a.bytes + 72, b.bytes + 72, 20);
    for (size_t at = 96; at + 8 <= a.len; at += 8) {
        assert_memory_not_equal(a.bytes + at, b.bytes + at, 8);
    }
    sealed_done(&a);
    sealed_done(&b);
}

/* --- What does not open -------------------------------------------------------------------- */

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    const struct arili_value_plan plans[] = { bare(0), bare(20),
                                              arili_value_plan(20, 2, ARIL_CACHE_PAD_PADME, 0) };
    for (size_t p = 0; p < COUNT(plans); p++) {
        struct sealed s = seal(plans[p]);
        for (size_t at = 0; at < s.len; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                s.bytes[at] ^= (uint8_t)(1u << bit);
                const aril_status st = open_all(&s);
                assert_true(st == ARIL_E_AUTH || aril_status_class(st) == ARIL_E_FORMAT);
                assert_true(at < 40 || at >= 92 || st == ARIL_E_AUTH);
                assert_true(at < 96 || st == ARIL_E_AUTH);
                s.bytes[at] ^= (uint8_t)(1u << bit);
            }
        }
        sealed_done(&s);
    }
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct sealed s = seal(arili_value_plan(20, 1, ARIL_CACHE_PAD_PADME, 0));
    for (size_t len = 0; len < s.len; len++) {
        assert_status(open(&s, s.bytes, len, data_key, context), ARIL_E_FORMAT_TRUNCATED);
    }
    assert_status(open(&s, s.bytes, s.len + 1, data_key, context), ARIL_E_FORMAT_LENGTH);
    sealed_done(&s);
}

static void every_bit_of_the_context_is_bound(void **state)
{
    (void)state;
    struct sealed s = seal(bare(20));
    for (size_t at = 0; at < sizeof context; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t other[sizeof context];
            memcpy(other, context, sizeof other);
            other[at] ^= (uint8_t)(1u << bit);
            assert_status(open(&s, s.bytes, s.len, data_key, other), ARIL_E_AUTH);
        }
    }
    sealed_done(&s);
}

static void another_key_does_not_open(void **state)
{
    (void)state;
    aril_tenant_key *other = key_new(2);
    struct sealed s = seal(bare(20));
    assert_status(open(&s, s.bytes, s.len, other, context), ARIL_E_AUTH);
    sealed_done(&s);
    aril_tenant_key_put(other);
}

static void segments_cannot_be_swapped_doubled_or_cut_off(void **state)
{
    (void)state;
    struct sealed s = seal(bare(2 * SEGMENT + 5));
    uint8_t *twin = malloc(s.len);
    struct arili_value_header h;
    assert_non_null(twin);
    assert_status(arili_value_parse((aril_bytes){ s.bytes, s.len }, &h), ARIL_OK);
    memcpy(twin, s.bytes, 96);
    memcpy(twin + 96, s.bytes + 96 + FULL, FULL);
    memcpy(twin + 96 + FULL, s.bytes + 96, FULL);
    memcpy(twin + 96 + 2 * FULL, s.bytes + 96 + 2 * FULL, s.len - 96 - 2 * FULL);
    assert_status(open(&s, twin, s.len, data_key, context), ARIL_E_AUTH);
    memcpy(twin + 96, s.bytes + 96, FULL);
    assert_status(open(&s, twin, s.len, data_key, context), ARIL_E_AUTH);
    /* The last one gone, and a header that agrees. */
    memcpy(twin, s.bytes, s.len);
    h.body_bytes = 2 * SEGMENT;
    arili_value_write(&h, twin);
    assert_status(open(&s, twin, 96 + 2 * FULL, data_key, context), ARIL_E_AUTH);
    free(twin);
    sealed_done(&s);
}

/* A segment far from the value is verified as well: nobody changes the padding. */
static void padding_is_verified_too(void **state)
{
    (void)state;
    struct sealed s = seal(arili_value_plan(10, 0, ARIL_CACHE_PAD_BLOCK, 1 << 20));
    s.bytes[96 + SEGMENT / 2] ^= 1;
    assert_status(open_all(&s), ARIL_E_AUTH);
    sealed_done(&s);
    s = seal(arili_value_plan(SEGMENT + 10, 0, ARIL_CACHE_PAD_BLOCK, 1 << 20));
    s.bytes[96 + FULL + SEGMENT / 2] ^= 1;
    assert_status(open_all(&s), ARIL_E_AUTH);
    sealed_done(&s);
}

/* --- As it comes in ------------------------------------------------------------------------ */

/* Feeds what follows the header in pieces; what _piece says, or else _done. */
static aril_status open_in_pieces(const struct sealed *s, size_t len, size_t piece, uint8_t *out)
{
    struct arili_value_header h;
    struct arili_value_opening o;
    aril_status st = ARIL_OK;
    assert_status(arili_value_parse((aril_bytes){ s->bytes, s->len }, &h), ARIL_OK);
    arili_value_open_begin(&o, rt, data_key, s->bytes, &h, context);
    o.out = out;
    for (size_t at = 96, n; st == ARIL_OK && at < len; at += n) {
        n = piece < len - at ? piece : len - at;
        st = arili_value_open_piece(&o, (aril_bytes){ s->bytes + at, n });
    }
    const aril_status end = arili_value_open_done(&o);
    assert_status(arili_value_open_done(&o), end); /* may be called again */
    return st != ARIL_OK ? st : end;
}

static void a_value_opens_in_pieces_of_every_size(void **state)
{
    (void)state;
    static const uint64_t lens[] = { 0, 1, 50, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT + 5 };
    static const size_t pieces[] = {
        1, 15, 16, 17, 1000, 65536, SEGMENT, FULL, FULL + 1, SIZE_MAX
    };
    for (size_t i = 0; i < COUNT(lens); i++) {
        struct sealed s = seal(bare(lens[i]));
        uint8_t *out = malloc((size_t)lens[i] + GUARD);
        assert_non_null(out);
        for (size_t p = lens[i] < 1000 ? 0 : 4; p < COUNT(pieces); p++) {
            memset(out, FILLER, (size_t)lens[i] + GUARD);
            assert_status(open_in_pieces(&s, s.len, pieces[p], out), ARIL_OK);
            assert_memory_equal(out, s.value, (size_t)lens[i]);
            assert_true(is_filled(out + lens[i], GUARD, FILLER));
        }
        free(out);
        sealed_done(&s);
    }
}

static void a_value_in_pieces_that_ends_early_goes_on_or_is_wrong_does_not_open(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 7, 64 };
    struct sealed s = seal(bare(50));
    uint8_t out[50];
    for (size_t p = 0; p < COUNT(pieces); p++) {
        for (size_t len = 96; len < s.len; len++) {
            assert_status(open_in_pieces(&s, len, pieces[p], out), ARIL_E_FORMAT_TRUNCATED);
        }
        assert_status(open_in_pieces(&s, s.len + 1, pieces[p], out), ARIL_E_FORMAT_LENGTH);
        for (size_t at = 96; at < s.len; at++) {
            s.bytes[at] ^= 1;
            assert_status(open_in_pieces(&s, s.len, pieces[p], out), ARIL_E_AUTH);
            s.bytes[at] ^= 1;
        }
    }
    sealed_done(&s);
}

static void nothing_stays_when_a_later_segment_is_wrong(void **state)
{
    (void)state;
    struct sealed s = seal(bare(2 * SEGMENT + 5));
    s.bytes[s.len - 1] ^= 1;
    assert_status(open_all(&s), ARIL_E_AUTH); /* which looks at all of the output */
    sealed_done(&s);
}

/* The last task first: an order that no thread would give. */
static void run_backwards(void *state, void (*task)(void *arg, size_t index), void *arg,
                          size_t count)
{
    *(size_t *)state += count;
    for (size_t i = count; i-- > 0;) {
        task(arg, i);
    }
}

static void segments_may_be_opened_in_any_order(void **state)
{
    (void)state;
    size_t tasks = 0;
    const aril_executor backwards = { .run = run_backwards, .state = &tasks };
    struct sealed s = seal(arili_value_plan(3 * SEGMENT, 1, ARIL_CACHE_PAD_NONE, 0));
    executor = &backwards;
    assert_status(open_all(&s), ARIL_OK);
    assert_int_equal(tasks, 4);
    for (size_t i = 0; i < 4; i++) {
        s.bytes[96 + i * FULL] ^= 1;
        assert_status(open_all(&s), ARIL_E_AUTH);
        s.bytes[96 + i * FULL] ^= 1;
    }
    executor = NULL;
    sealed_done(&s);
}

/* --- Faults -------------------------------------------------------------------------------- */

static unsigned seals_before_fault;
static const struct arili_crypto_ops *real_ops;
static aril_status failing_seal(struct arili_aead_ctx *ctx, const uint8_t *nonce, aril_bytes aad,
                                const aril_bytes *spans, size_t count, uint8_t *ret_body,
                                uint8_t *ret_tag)
{
    if (seals_before_fault-- == 0) {
        return ARIL_E_CRYPTO;
    }
    return real_ops->aead_seal(ctx, nonce, aad, spans, count, ret_body, ret_tag);
}
static aril_status no_random(struct arili_provider *p, uint8_t *ret, size_t len)
{
    (void)p;
    (void)ret;
    (void)len;
    return ARIL_E_RANDOM;
}

static void a_seal_that_fails_leaves_nothing(void **state)
{
    (void)state;
    struct arili_crypto_ops ops = *rt->crypto.ops;
    static struct aril_runtime broken;
    struct sealed s;
    real_ops = rt->crypto.ops;
    ops.aead_seal = failing_seal;
    broken.crypto = rt->crypto;
    broken.crypto.ops = &ops;
    broken.contexts = rt->contexts;
    for (unsigned nth = 0; nth < 3; nth++) {
        seals_before_fault = nth;
        assert_status(seal_with(&broken, bare(2 * SEGMENT + 5), &s), ARIL_E_CRYPTO);
        assert_true(is_filled(s.bytes, s.len, 0));
        sealed_done(&s);
    }
    ops.random = no_random;
    assert_status(seal_with(&broken, bare(5), &s), ARIL_E_RANDOM);
    assert_true(is_filled(s.bytes, s.len, FILLER));
    sealed_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padme_is_that_of_the_paper),
        cmocka_unit_test(padme_grows_never_shrinks_and_adds_at_most_12_percent),
        cmocka_unit_test(plans_hold_value_and_trailer_and_keep_it_in_one_segment),
        cmocka_unit_test(values_of_any_length_open_with_and_without_a_trailer),
        cmocka_unit_test(the_trailer_lies_in_the_last_segment_wherever_the_value_ends),
        cmocka_unit_test(two_seals_of_one_value_have_nothing_in_common_but_the_header),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_bit_of_the_context_is_bound),
        cmocka_unit_test(another_key_does_not_open),
        cmocka_unit_test(segments_cannot_be_swapped_doubled_or_cut_off),
        cmocka_unit_test(padding_is_verified_too),
        cmocka_unit_test(a_value_opens_in_pieces_of_every_size),
        cmocka_unit_test(a_value_in_pieces_that_ends_early_goes_on_or_is_wrong_does_not_open),
        cmocka_unit_test(nothing_stays_when_a_later_segment_is_wrong),
        cmocka_unit_test(segments_may_be_opened_in_any_order),
        cmocka_unit_test(a_seal_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests_name("sealed values", tests, setup, teardown);
}
