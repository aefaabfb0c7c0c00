/* SPDX-License-Identifier: Apache-2.0 */
#include "record/record.h"
#include "fake_owner.h"
#include "record/chain_internal.h"
#include <string.h>

#define TAG UINT64_C(0x1122334455667788)

static struct owner o;
static struct arili_record_scope scope;
static uint8_t context[ARILI_CONTEXT_BYTES_MAX];

static int setup(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    owner_init(&o, &policy, true, 0);
    scope =
        (struct arili_record_scope){ .chain = &o.chain, .use = ARILI_USE_KV, .tenant_tag = TAG };
    fill_pattern(context, sizeof context, 55);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    owner_done(&o);
    return 0;
}

/* --- What is checked before anything is done ------------------------------------------------ */

/* One arena for everything, so that buffers can be put side by side. Spans begin at 1000,
 * the body at 2000, the seal at 3000, staging at 4000; the record is 100 bytes long. */
static uint8_t arena[6000];

struct layout {
    aril_span spans[3];
    struct arili_record record;
};

static void layout_init(struct layout *l)
{
    memset(l, 0, sizeof *l);
    l->spans[0] = (aril_span){ arena + 1000, 40 };
    l->spans[1] = (aril_span){ arena + 1040, 0 };
    l->spans[2] = (aril_span){ arena + 1040, 60 };
    l->record = (struct arili_record){ .spans = l->spans,
                                       .span_count = 3,
                                       .body = arena + 2000,
                                       .body_len = 100,
                                       .seal = arena + 3000,
                                       .context = context,
                                       .context_len = 84 };
}

static void check(const struct layout *l, aril_status want)
{
    assert_status(arili_record_check(&l->record), want);
}

static void a_plain_record_is_fine(void **state)
{
    (void)state;
    struct layout l;
    layout_init(&l);
    check(&l, ARIL_OK);
    l.record.staging = arena + 4000;
    check(&l, ARIL_OK);
}

static void every_missing_pointer_is_refused(void **state)
{
    (void)state;
    struct layout l;
    layout_init(&l);
    l.record.seal = NULL;
    check(&l, ARIL_E_USAGE_NULL);
    layout_init(&l);
    l.record.body = NULL;
    check(&l, ARIL_E_USAGE_NULL);
    layout_init(&l);
    l.record.spans = NULL;
    check(&l, ARIL_E_USAGE_NULL);
    for (size_t i = 0; i < 3; i++) {
        layout_init(&l);
        l.spans[i].data = NULL;
        check(&l, i == 1 ? ARIL_OK : ARIL_E_USAGE_NULL); /* 1 is empty */
    }
}

static void an_empty_record_needs_no_pointer_but_the_seal(void **state)
{
    (void)state;
    struct layout l;
    layout_init(&l);
    l.record.spans = NULL;
    l.record.span_count = 0;
    l.record.body = NULL;
    l.record.body_len = 0;
    check(&l, ARIL_OK);
    l.record.seal = NULL;
    check(&l, ARIL_E_USAGE_NULL);
}

/* One byte of overlap at each end, and none beside it. */
static void every_overlap_is_refused_by_the_byte(void **state)
{
    (void)state;
    static const struct {
        ptrdiff_t span; /* where span 0 of 40 bytes lies */
        aril_status want;
    } cases[] = {
        { 2000 - 40, ARIL_OK },
        { 2000 - 39, ARIL_E_USAGE_OVERLAP },
        { 2050, ARIL_E_USAGE_OVERLAP },
        { 2099, ARIL_E_USAGE_OVERLAP },
        { 2100, ARIL_OK },
        { 3000 - 40, ARIL_OK },
        { 3000 - 39, ARIL_E_USAGE_OVERLAP },
        { 3079, ARIL_E_USAGE_OVERLAP },
        { 3080, ARIL_OK },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct layout l;
        layout_init(&l);
        l.spans[0].data = arena + cases[i].span;
        check(&l, cases[i].want);
        layout_init(&l); /* the same for the last span, of 60 bytes, at its other end */
        l.spans[2].data = arena + cases[i].span - 20;
        check(&l, cases[i].want == ARIL_OK && cases[i].span != 2100 && cases[i].span != 3080
                      ? ARIL_OK
                      : ARIL_E_USAGE_OVERLAP);
    }
}

static void the_seal_may_touch_the_body_but_not_overlap_it(void **state)
{
    (void)state;
    static const struct {
        ptrdiff_t seal;
        aril_status want;
    } cases[] = {
        { 2000 - 80, ARIL_OK },
        { 2000 - 79, ARIL_E_USAGE_OVERLAP },
        { 2000, ARIL_E_USAGE_OVERLAP },
        { 2099, ARIL_E_USAGE_OVERLAP },
        { 2100, ARIL_OK }, /* attached */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct layout l;
        layout_init(&l);
        l.record.seal = arena + cases[i].seal;
        check(&l, cases[i].want);
    }
}

static void staging_overlaps_nothing(void **state)
{
    (void)state;
    static const struct {
        ptrdiff_t staging;
        aril_status want;
    } cases[] = {
        { 900, ARIL_OK },
        { 901, ARIL_E_USAGE_OVERLAP },
        { 1099, ARIL_E_USAGE_OVERLAP },
        { 1100, ARIL_OK },
        { 1900, ARIL_OK },
        { 1901, ARIL_E_USAGE_OVERLAP },
        { 2099, ARIL_E_USAGE_OVERLAP },
        { 2100, ARIL_OK },
        { 2900, ARIL_OK },
        { 2901, ARIL_E_USAGE_OVERLAP },
        { 3079, ARIL_E_USAGE_OVERLAP },
        { 3080, ARIL_OK },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct layout l;
        layout_init(&l);
        l.record.staging = arena + cases[i].staging;
        assert_status(arili_record_check(&l.record), cases[i].want);
    }
}

static void lengths_must_add_up(void **state)
{
    (void)state;
    struct layout l;
    layout_init(&l);
    l.record.body_len = 99;
    check(&l, ARIL_E_USAGE_RANGE);
    l.record.body_len = 101;
    check(&l, ARIL_E_USAGE_RANGE);
    l.record.body_len = 0;
    check(&l, ARIL_E_USAGE_RANGE);
    layout_init(&l);
    l.record.span_count = 2; /* 40 of 100 */
    check(&l, ARIL_E_USAGE_RANGE);
    l.record.span_count = 0;
    check(&l, ARIL_E_USAGE_RANGE);
}

/* Sums of span lengths that wrap around to the length of the body. */
static void sums_that_wrap_are_refused(void **state)
{
    (void)state;
    static const size_t firsts[] = { SIZE_MAX,        SIZE_MAX - 99,   SIZE_MAX / 2 + 1,
                                     (size_t)1 << 63, (size_t)1 << 32, ((size_t)1 << 32) + 100 };
    for (size_t i = 0; i < COUNT(firsts); i++) {
        struct layout l;
        layout_init(&l);
        l.spans[0].len = firsts[i];
        l.spans[1].len = 0;
        l.spans[2].len = 100 - firsts[i]; /* wraps */
        check(&l, ARIL_E_USAGE_RANGE);
    }
}

static void a_body_has_at_most_two_to_the_36_less_32_bytes(void **state)
{
    (void)state;
    static const size_t lengths[] = { ((size_t)1 << 36) - 31, (size_t)1 << 36, (size_t)1 << 63,
                                      SIZE_MAX - 1, SIZE_MAX };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct layout l;
        layout_init(&l);
        l.record.body_len = lengths[i];
        check(&l, ARIL_E_USAGE_RANGE);
    }
    /* Nothing is read here, so addresses of no memory will do. */
    struct layout l;
    layout_init(&l);
    l.record.body = (uint8_t *)((uintptr_t)1 << 40);
    l.record.body_len = ARIL_BODY_BYTES_MAX;
    l.spans[0] = (aril_span){ (uint8_t *)((uintptr_t)1 << 42), ARIL_BODY_BYTES_MAX };
    l.record.span_count = 1;
    check(&l, ARIL_OK);
    l.record.body_len = ((size_t)1 << 32) + 1; /* lengths that do not fit 32 bits */
    l.spans[0].len = 1;
    check(&l, ARIL_E_USAGE_RANGE);
    l.spans[0].len = ((size_t)1 << 32) + 1;
    check(&l, ARIL_OK);
}

static void a_record_has_at_most_256_spans(void **state)
{
    (void)state;
    static aril_span spans[258];
    for (size_t i = 0; i < COUNT(spans); i++) {
        spans[i] = (aril_span){ arena + i, i < 100 ? 1 : 0 };
    }
    struct layout l;
    layout_init(&l);
    l.record.spans = spans;
    l.record.span_count = 256;
    check(&l, ARIL_OK);
    l.record.span_count = 257;
    check(&l, ARIL_E_USAGE_RANGE);
    l.record.span_count = SIZE_MAX;
    check(&l, ARIL_E_USAGE_RANGE);
}

static void in_place_means_one_span_that_is_the_body(void **state)
{
    (void)state;
    struct layout l;
    layout_init(&l);
    l.record.in_place = true;
    check(&l, ARIL_E_USAGE_RANGE); /* three spans */
    l.record.span_count = 1;
    l.spans[0] = (aril_span){ arena + 2000, 100 };
    check(&l, ARIL_OK);
    l.spans[0].len = 99;
    check(&l, ARIL_E_USAGE_RANGE);
    l.spans[0] = (aril_span){ arena + 1000, 100 }; /* somewhere else */
    check(&l, ARIL_E_USAGE_RANGE);
    l.spans[0] = (aril_span){ arena + 2001, 100 }; /* almost */
    check(&l, ARIL_E_USAGE_OVERLAP);
    l.spans[0] = (aril_span){ arena + 2000, 100 };
    l.record.in_place = false; /* the body without leave */
    check(&l, ARIL_E_USAGE_OVERLAP);
    l.record.in_place = true;
    l.record.staging = arena + 4000;
    check(&l, ARIL_E_USAGE_RANGE);
    l.record.staging = NULL;
    l.record.seal = arena + 2020;
    check(&l, ARIL_E_USAGE_OVERLAP);
    l.record.seal = arena + 2100;
    check(&l, ARIL_OK);
    l.record.span_count = 0;
    check(&l, ARIL_E_USAGE_RANGE);
}

/* --- Sealing and opening ------------------------------------------------------------------ */

static struct arili_reservation place_for(size_t len)
{
    return owner_reserve(&o, len, 1);
}

static aril_status seal_record(const struct arili_record *r, uint64_t *ret_sequence)
{
    struct arili_reservation place = place_for(r->body_len);
    assert_status(arili_record_check(r), ARIL_OK);
    struct arili_contexts *contexts = o.chain.rt->contexts;
    struct arili_context_lease lease;
    assert_status(arili_contexts_get(contexts, place.epoch->uid, place.epoch->keys->key, &lease),
                  ARIL_OK);
    const struct arili_place at = { place.epoch, place.number, place.first, lease.ctx };
    const aril_status st = arili_record_seal(&scope, r, &at);
    arili_contexts_put(contexts, &lease);
    *ret_sequence = place.first;
    arili_epoch_unpin(&o.chain, place.epoch);
    return st;
}

/* Everything that opening does. */
static aril_status open_record(const struct arili_record *r)
{
    uint8_t seal[ARIL_SEAL_BYTES];
    struct arili_seal_header h;
    struct arili_opening opening;
    assert_status(arili_record_check(r), ARIL_OK);
    aril_status st = arili_record_header(&scope, r, seal, &h);
    if (st != ARIL_OK) {
        return st;
    }
    assert_status(arili_chain_find(&o.chain, owner_now(&o), &h, false, &opening), ARIL_OK);
    st = arili_record_decrypt(&scope, r, seal, &h, &opening);
    if (st == ARIL_OK) {
        arili_record_publish(r);
    }
    arili_chain_release(&o.chain, &opening);
    return st;
}

/* Plaintext at 0, body at 2000, seal at 3000 of the arena. */
static struct arili_record whole(aril_span *span, size_t len, uint64_t seed)
{
    memset(arena, GUARD_FILLER, sizeof arena);
    fill_pattern(arena, len, seed);
    *span = (aril_span){ arena, len };
    return (struct arili_record){ .spans = span,
                                  .span_count = 1,
                                  .body = arena + 2000,
                                  .body_len = len,
                                  .seal = arena + 3000,
                                  .context = context,
                                  .context_len = 84 };
}

/* The same from the primitives: nonce = prefix and sequence, associated data = header and
 * context. */
static void a_record_is_what_the_format_says(void **state)
{
    (void)state;
    aril_span span;
    uint64_t sequence = 0;
    const struct arili_record r = whole(&span, 500, 1);
    for (unsigned i = 0; i < 300; i++) { /* to a sequence of more than a byte */
        assert_status(seal_record(&r, &sequence), ARIL_OK);
    }
    assert_int_equal(sequence, 300);
    const uint8_t head[32] = { 0xa1, 1,    1,        ARIL_SERVER_TO_TENANT,
                               0,    0,    0,        0, /* epoch 0 */
                               0x11, 0x22, 0x33,     0x44,
                               0x55, 0x66, 0x77,     0x88,
                               0,    0,    0,        0,
                               0,    0,    300 >> 8, 300 & 0xff,
                               0,    0,    0,        0,
                               0,    0,    500 >> 8, 500 & 0xff };
    assert_memory_equal(arena + 3000, head, sizeof head);
    const struct arili_seal_header of_epoch = owner_header(0, 1, 1);
    assert_memory_equal(arena + 3032, of_epoch.key_id, 32);

    struct arili_epoch_keys keys;
    owner_key(0, &keys);
    uint8_t nonce[12] = { 0 };
    memcpy(nonce, keys.nonce_prefix, 4);
    nonce[10] = 300 >> 8;
    nonce[11] = 300 & 0xff;
    uint8_t aad[64 + 84], body[500], tag[16];
    memcpy(aad, arena + 3000, 64);
    memcpy(aad + 64, context, 84);
    const aril_bytes plain = { arena, 500 };
    struct arili_context_lease lease;
    aril_runtime *rt = o.world.rt;
    assert_status(arili_contexts_get(rt->contexts, 0, keys.key, &lease), ARIL_OK);
    assert_status(rt->crypto.ops->aead_seal(lease.ctx, nonce, (aril_bytes){ aad, sizeof aad },
                                            &plain, 1, body, tag),
                  ARIL_OK);
    arili_contexts_put(rt->contexts, &lease);
    assert_memory_equal(arena + 2000, body, sizeof body);
    assert_memory_equal(arena + 3064, tag, sizeof tag);
}

static void every_length_up_to_300_comes_back(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 300; len++) {
        aril_span span, out = { arena + 4000, len };
        uint64_t sequence;
        struct arili_record r = whole(&span, len, len);
        assert_status(seal_record(&r, &sequence), ARIL_OK);
        assert_true(is_filled(arena + 2000 + len, 100, GUARD_FILLER));
        assert_true(len < 16 || !is_pattern(arena + 2000, len, len));
        r.spans = &out;
        assert_status(open_record(&r), ARIL_OK);
        assert_true(is_pattern(out.data, len, len));
        assert_true(is_filled(out.data + len, 100, GUARD_FILLER));
    }
}

/* Cuts len bytes at base into spans of growing length, with an empty one before, between and
 * after them. */
static size_t cut(uint8_t *base, size_t len, size_t step, aril_span *ret)
{
    size_t n = 0, at = 0, piece = step;
    ret[n++] = (aril_span){ NULL, 0 };
    while (at < len) {
        const size_t take = piece < len - at ? piece : len - at;
        ret[n++] = (aril_span){ base + at, take };
        ret[n++] = (aril_span){ base + at + take, 0 };
        at += take;
        piece += step;
    }
    assert_true(n <= ARIL_SPANS_MAX);
    return n;
}

static void spans_may_be_cut_in_any_way_at_both_ends(void **state)
{
    (void)state;
    static aril_span in[ARIL_SPANS_MAX], out[ARIL_SPANS_MAX];
    static const size_t steps[] = { 1, 3, 16, 17, 500, 1000 };
    for (size_t a = 0; a < COUNT(steps); a++) {
        for (size_t b = 0; b < COUNT(steps); b++) {
            aril_span span;
            uint64_t sequence;
            struct arili_record r = whole(&span, 997, a);
            r.spans = in;
            r.span_count = cut(arena, 997, steps[a], in);
            assert_status(seal_record(&r, &sequence), ARIL_OK);
            r.spans = out;
            r.span_count = cut(arena + 4000, 997, steps[b], out);
            assert_status(open_record(&r), ARIL_OK);
            assert_true(is_pattern(arena + 4000, 997, a));
        }
    }
}

static void spans_may_lie_apart_and_in_another_order(void **state)
{
    (void)state;
    aril_span span;
    uint64_t sequence;
    struct arili_record r = whole(&span, 96, 3);
    assert_status(seal_record(&r, &sequence), ARIL_OK);
    const aril_span out[3] = { { arena + 5000, 32 }, { arena + 4000, 32 }, { arena + 4500, 32 } };
    r.spans = out;
    r.span_count = 3;
    assert_status(open_record(&r), ARIL_OK);
    assert_memory_equal(arena + 5000, arena, 32);
    assert_memory_equal(arena + 4000, arena + 32, 32);
    assert_memory_equal(arena + 4500, arena + 64, 32);
    assert_true(is_filled(arena + 4032, 100, GUARD_FILLER));
}

static void a_record_may_be_sealed_and_opened_in_place(void **state)
{
    (void)state;
    for (size_t len = 0; len < 200; len += 7) {
        aril_span span;
        uint64_t sequence;
        struct arili_record r = whole(&span, len, 4);
        r.body = arena;
        r.seal = arena + len; /* attached */
        r.in_place = true;
        assert_status(seal_record(&r, &sequence), ARIL_OK);
        assert_true(len < 16 || !is_pattern(arena, len, 4));
        assert_true(is_filled(arena + len + 80, 100, GUARD_FILLER));
        assert_status(open_record(&r), ARIL_OK);
        assert_true(is_pattern(arena, len, 4));
    }
}

static void a_seal_may_be_attached(void **state)
{
    (void)state;
    aril_span span, out = { arena + 4000, 333 };
    uint64_t sequence;
    struct arili_record r = whole(&span, 333, 5);
    r.seal = r.body + 333;
    assert_status(seal_record(&r, &sequence), ARIL_OK);
    uint8_t sealed[333 + ARIL_SEAL_BYTES]; /* as it would be stored and read again */
    memcpy(sealed, r.body, sizeof sealed);
    r.body = sealed;
    r.seal = sealed + 333;
    r.spans = &out;
    assert_status(open_record(&r), ARIL_OK);
    assert_true(is_pattern(arena + 4000, 333, 5));
}

static void an_empty_record_still_has_a_tag(void **state)
{
    (void)state;
    uint8_t seal[ARIL_SEAL_BYTES] = { 0 };
    uint64_t sequence;
    struct arili_record r = { .seal = seal, .context = context, .context_len = 84 };
    assert_status(seal_record(&r, &sequence), ARIL_OK);
    assert_status(open_record(&r), ARIL_OK);
    context[83] ^= 1;
    assert_status(open_record(&r), ARIL_E_AUTH);
    context[83] ^= 1;
    seal[79] ^= 1;
    assert_status(open_record(&r), ARIL_E_AUTH);
}

static void every_context_byte_and_its_length_are_bound(void **state)
{
    (void)state;
    for (size_t len = 0; len <= ARILI_CONTEXT_BYTES_MAX; len += 32) {
        aril_span span, out = { arena + 4000, 64 };
        uint64_t sequence;
        struct arili_record r = whole(&span, 64, 6);
        r.context_len = len;
        assert_status(seal_record(&r, &sequence), ARIL_OK);
        r.spans = &out;
        assert_status(open_record(&r), ARIL_OK);
        for (size_t i = 0; i < len; i++) {
            context[i] ^= 0x80;
            assert_status(open_record(&r), ARIL_E_AUTH);
            context[i] ^= 0x80;
        }
        if (len > 0) {
            r.context_len = len - 1;
            assert_status(open_record(&r), ARIL_E_AUTH);
        }
    }
}

/* --- The header ------------------------------------------------------------------------------ */

static void assert_header(const struct arili_record *r, aril_status want)
{
    uint8_t seal[ARIL_SEAL_BYTES];
    struct arili_seal_header h;
    assert_status(arili_record_header(&scope, r, seal, &h), want);
}

static void the_header_is_judged_before_any_key(void **state)
{
    (void)state;
    aril_span span;
    uint64_t sequence;
    struct arili_record r = whole(&span, 64, 7);
    assert_status(seal_record(&r, &sequence), ARIL_OK);
    assert_header(&r, ARIL_OK);
    r.seal[2] = 2; /* another use */
    assert_header(&r, ARIL_E_FORMAT_KIND);
    r.seal[2] = 1;
    for (size_t i = 8; i < 16; i++) { /* each byte of the tenant tag */
        r.seal[i] ^= 1;
        assert_header(&r, ARIL_E_ISOLATION);
        r.seal[i] ^= 1;
    }
    r.seal[3] ^= 1; /* the other direction */
    assert_header(&r, ARIL_E_AUTH);
    r.seal[3] ^= 1;
    r.body_len = 63;
    assert_header(&r, ARIL_E_FORMAT_LENGTH);
    r.body_len = 65;
    assert_header(&r, ARIL_E_FORMAT_LENGTH);
    r.seal[8] ^= 1; /* whose it is comes first */
    assert_header(&r, ARIL_E_ISOLATION);
}

static void the_header_is_a_copy(void **state)
{
    (void)state;
    aril_span span;
    uint64_t sequence;
    uint8_t seal[ARIL_SEAL_BYTES], before[ARIL_SEAL_BYTES];
    struct arili_seal_header h;
    struct arili_record r = whole(&span, 64, 8);
    assert_status(seal_record(&r, &sequence), ARIL_OK);
    memcpy(before, r.seal, sizeof before);
    assert_status(arili_record_header(&scope, &r, seal, &h), ARIL_OK);
    assert_memory_equal(seal, before, sizeof before);

    /* Whoever shares the memory may change it now: what was checked is what is used. */
    aril_span out = { arena + 4000, 64 };
    struct arili_opening opening;
    memset(r.seal, 0xff, ARIL_SEAL_BYTES);
    r.spans = &out;
    assert_status(arili_chain_find(&o.chain, owner_now(&o), &h, false, &opening), ARIL_OK);
    assert_status(arili_record_decrypt(&scope, &r, seal, &h, &opening), ARIL_OK);
    arili_chain_release(&o.chain, &opening);
    assert_true(is_pattern(out.data, 64, 8));
}

/* --- Failure ---------------------------------------------------------------------------------- */

static void no_plaintext_stays_after_a_wrong_tag(void **state)
{
    (void)state;
    aril_span span;
    uint64_t sequence;
    struct arili_record r = whole(&span, 900, 9);
    assert_status(seal_record(&r, &sequence), ARIL_OK);
    r.seal[79] ^= 1;
    const aril_span out[2] = { { arena + 4000, 300 }, { arena + 5000, 600 } };
    r.spans = out;
    r.span_count = 2;
    assert_status(open_record(&r), ARIL_E_AUTH);
    assert_true(is_filled(arena + 4000, 300, 0));
    assert_true(is_filled(arena + 5000, 600, 0));
    assert_true(is_filled(arena + 4300, 100, GUARD_FILLER));
    assert_true(is_filled(arena + 5600, 100, GUARD_FILLER));
}

static void staging_keeps_unverified_bytes_away_from_the_spans(void **state)
{
    (void)state;
    static uint8_t staging[900];
    aril_span span, out = { arena + 4000, 900 };
    uint64_t sequence;
    struct arili_record r = whole(&span, 900, 10);
    assert_status(seal_record(&r, &sequence), ARIL_OK);
    r.spans = &out;
    r.staging = staging;
    memset(staging, 0x77, sizeof staging);
    r.body[500] ^= 1;
    assert_status(open_record(&r), ARIL_E_AUTH);
    assert_true(is_filled(out.data, 900, GUARD_FILLER)); /* never touched */
    assert_true(is_filled(staging, sizeof staging, 0));
    r.body[500] ^= 1;
    assert_status(open_record(&r), ARIL_OK);
    assert_true(is_pattern(out.data, 900, 10));
    assert_true(is_filled(staging, sizeof staging, 0));
}

/* The body may be shared memory: it gets the ciphertext only when all of it is there. */
static void staging_takes_the_ciphertext_before_the_body(void **state)
{
    (void)state;
    static uint8_t staging[900];
    aril_span span, out = { arena + 4000, 900 };
    uint64_t sequence;
    struct arili_record r = whole(&span, 900, 11);
    r.staging = staging;
    assert_status(seal_record(&r, &sequence), ARIL_OK);
    assert_memory_equal(staging, arena + 2000, 900);
    assert_false(is_pattern(staging, 900, 11));
    r.staging = NULL;
    r.spans = &out;
    assert_status(open_record(&r), ARIL_OK); /* the same record as without */
    assert_true(is_pattern(out.data, 900, 11));
}

static void wiping_an_opened_record_leaves_nothing(void **state)
{
    (void)state;
    static uint8_t staging[100];
    aril_span out[2] = { { arena + 4000, 40 }, { arena + 4100, 60 } };
    struct arili_record r = { .spans = out, .span_count = 2, .body_len = 100 };
    memset(arena, 0x31, sizeof arena);
    arili_record_wipe(&r);
    assert_true(is_filled(arena + 4000, 40, 0));
    assert_true(is_filled(arena + 4100, 60, 0));
    assert_true(is_filled(arena + 4040, 60, 0x31));
    memset(arena, 0x31, sizeof arena);
    memset(staging, 0x31, sizeof staging);
    r.staging = staging;
    arili_record_wipe(&r);
    assert_true(is_filled(staging, sizeof staging, 0));
    assert_true(is_filled(arena, sizeof arena, 0x31));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_record_is_fine),
        cmocka_unit_test(every_missing_pointer_is_refused),
        cmocka_unit_test(an_empty_record_needs_no_pointer_but_the_seal),
        cmocka_unit_test(every_overlap_is_refused_by_the_byte),
        cmocka_unit_test(the_seal_may_touch_the_body_but_not_overlap_it),
        cmocka_unit_test(staging_overlaps_nothing),
        cmocka_unit_test(lengths_must_add_up),
        cmocka_unit_test(sums_that_wrap_are_refused),
        cmocka_unit_test(a_body_has_at_most_two_to_the_36_less_32_bytes),
        cmocka_unit_test(a_record_has_at_most_256_spans),
        cmocka_unit_test(in_place_means_one_span_that_is_the_body),
        CASE(a_record_is_what_the_format_says),
        CASE(every_length_up_to_300_comes_back),
        CASE(spans_may_be_cut_in_any_way_at_both_ends),
        CASE(spans_may_lie_apart_and_in_another_order),
        CASE(a_record_may_be_sealed_and_opened_in_place),
        CASE(a_seal_may_be_attached),
        CASE(an_empty_record_still_has_a_tag),
        CASE(every_context_byte_and_its_length_are_bound),
        CASE(the_header_is_judged_before_any_key),
        CASE(the_header_is_a_copy),
        CASE(no_plaintext_stays_after_a_wrong_tag),
        CASE(staging_keeps_unverified_bytes_away_from_the_spans),
        CASE(staging_takes_the_ciphertext_before_the_body),
        CASE(wiping_an_opened_record_leaves_nothing),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
