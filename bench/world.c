/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <string.h>

void bench_world_new(struct bench_world *w)
{
    static const uint8_t tag_key[32] = { 7 };
    static const uint8_t tenant[] = "bench-tenant";
    *w = (struct bench_world){ 0 };
    BENCH_OK(aril_runtime_new(NULL, &w->rt));
    BENCH_OK(aril_identity_generate(w->rt, ARIL_ML_DSA_65, &w->identity));
    BENCH_OK(aril_session_pair(
        w->rt, ARIL_PROFILE_HYBRID, (aril_bytes){ tenant, sizeof tenant - 1 }, w->identity,
        (aril_bytes){ tag_key, sizeof tag_key }, NULL, &w->tenant, &w->server));
}

void bench_world_free(struct bench_world *w)
{
    aril_session_close(w->tenant);
    aril_session_close(w->server);
    aril_identity_free(w->identity);
    aril_runtime_free(w->rt);
}

aril_kv *bench_view_new(aril_session *session, aril_kv_source source, aril_kv_mode mode,
                        size_t slot_pins, const aril_executor *executor)
{
    static const uint8_t model[] = "bench-model";
    const aril_kv_config config = { .model = { model, sizeof model - 1 },
                                    .layout = { .name = "bench/1",
                                                .dtype = "f16",
                                                .block_tokens = 16,
                                                .layers = 32,
                                                .kv_heads = 8,
                                                .key_dim = 128,
                                                .value_dim = 128,
                                                .world_size = 1 },
                                    .source = source,
                                    .mode = mode,
                                    .slot_pins = slot_pins,
                                    .executor = executor };
    aril_kv *kv;
    BENCH_OK(aril_kv_new(session, &config, &kv));
    return kv;
}

/* --- Passes ------------------------------------------------------------------- */

#define SPANS_MAX 2u

/* One record as a caller describes it. What is the same for all of them is written once; the
 * rest while the clock runs. */
struct described {
    aril_kv_block block;
    aril_span spans[SPANS_MAX];
};

static void describe(const struct bench_ours *ours, const struct bench_ring *ring,
                     struct described *d, aril_kv_item *item)
{
    const bool slots = (ours->flags & BENCH_SLOTS) != 0;
    *d = (struct described){ .block = { .layer_count = 1,
                                        .identity = slots ? ARIL_KV_SLOT : ARIL_KV_CHAIN,
                                        .count = slots ? 16 : 0 } };
    *item = (aril_kv_item){ .block = &d->block,
                            .spans = d->spans,
                            .span_count = ring->span_count,
                            .body_len = ring->record_bytes,
                            .staging = ours->staging,
                            .flags = ring->in_place ? ARIL_KV_IN_PLACE : 0 };
}

static void aim(const struct bench_ring *ring, size_t i, struct described *d, aril_kv_item *item)
{
    const size_t place = bench_ring_place(ring, i);
    if (d->block.identity == ARIL_KV_SLOT) {
        d->block.slot = i / 64;
        d->block.position = i % 64 * 16;
    } else {
        memcpy(d->block.chain, &i, sizeof i);
    }
    for (size_t s = 0; s < ring->span_count; s++) {
        d->spans[s] = bench_ring_span(ring, place, s);
    }
    item->body = bench_ring_body(ring, place);
    item->seal = bench_ring_seal(ring, place);
}

void bench_ours_seal(void *state, const struct bench_ring *ring, size_t first, size_t end)
{
    const struct bench_ours *ours = state;
    struct described d;
    aril_kv_item item;
    describe(ours, ring, &d, &item);
    for (size_t i = first; i < end; i++) {
        aim(ring, i, &d, &item);
        BENCH_OK(aril_kv_seal(ours->seals, &item));
    }
}

void bench_ours_open(void *state, const struct bench_ring *ring, size_t first, size_t end)
{
    const struct bench_ours *ours = state;
    struct described d;
    aril_kv_item item;
    describe(ours, ring, &d, &item);
    for (size_t i = first; i < end; i++) {
        aim(ring, i, &d, &item);
        BENCH_OK(aril_kv_open(ours->opens, &item));
    }
}

struct batch {
    struct described described[BENCH_BATCH_RECORDS];
    aril_kv_item items[BENCH_BATCH_RECORDS];
};

static void describe_batch(const struct bench_ours *ours, const struct bench_ring *ring,
                           struct batch *b)
{
    for (size_t i = 0; i < BENCH_BATCH_RECORDS; i++) {
        describe(ours, ring, &b->described[i], &b->items[i]);
    }
}

/* How many records the batch then has. */
static size_t aim_batch(const struct bench_ring *ring, size_t first, size_t end, struct batch *b)
{
    size_t n = 0;
    for (; n < BENCH_BATCH_RECORDS && first + n < end; n++) {
        aim(ring, first + n, &b->described[n], &b->items[n]);
    }
    return n;
}

void bench_ours_seal_batch(void *state, const struct bench_ring *ring, size_t first, size_t end)
{
    const struct bench_ours *ours = state;
    struct batch b;
    describe_batch(ours, ring, &b);
    for (size_t n; first < end; first += n) {
        n = aim_batch(ring, first, end, &b);
        BENCH_OK(aril_kv_seal_batch(ours->seals, b.items, n, NULL));
    }
}

void bench_ours_open_batch(void *state, const struct bench_ring *ring, size_t first, size_t end)
{
    const struct bench_ours *ours = state;
    struct batch b;
    describe_batch(ours, ring, &b);
    for (size_t n; first < end; first += n) {
        n = aim_batch(ring, first, end, &b);
        BENCH_OK(aril_kv_open_batch(ours->opens, b.items, n, NULL));
    }
}
