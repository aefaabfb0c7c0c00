/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Records of a view against the raw cipher, one thread. In each round both seal the whole
 * ring and open it again, one after the other, and the next round begins with the other one;
 * a ratio is the median of the rounds' ratios. CPU time of the thread counts. Times of single
 * records come from passes of their own, because reading a clock disturbs.
 */

enum { BATCH = 1u << 8, TRANSFER = 1u << 9 }; /* beside the BENCH_ flags below */

struct kv_case {
    const char *variant, *size;
    size_t bytes;
    size_t spans;
    unsigned ring, use; /* flags of the ring, flags of struct bench_ours and those above */
};

#define KIB ((size_t)1024)

static const struct kv_case cases[] = {
    { "", "128B", 128, 1, 0, 0 },
    { "", "2KiB", 2 * KIB, 1, 0, 0 },
    { "", "18KiB", 18 * KIB, 1, 0, 0 },
    { "", "64KiB", 64 * KIB, 1, 0, 0 },
    { "", "2MiB", 2048 * KIB, 1, 0, 0 },
    { "_batch", "2KiB", 2 * KIB, 1, 0, BATCH },
    { "_batch", "18KiB", 18 * KIB, 1, 0, BATCH },
    { "_batch", "64KiB", 64 * KIB, 1, 0, BATCH },
    { "_scattered", "2KiB", 2 * KIB, 1, BENCH_SCATTERED, 0 },
    { "_scattered", "18KiB", 18 * KIB, 1, BENCH_SCATTERED, 0 },
    { "_scattered", "64KiB", 64 * KIB, 1, BENCH_SCATTERED, 0 },
    { "_attached", "2KiB", 2 * KIB, 1, BENCH_ATTACHED, 0 },
    { "_attached", "64KiB", 64 * KIB, 1, BENCH_ATTACHED, 0 },
    { "_in_place", "2KiB", 2 * KIB, 1, BENCH_IN_PLACE, 0 },
    { "_in_place", "64KiB", 64 * KIB, 1, BENCH_IN_PLACE, 0 },
    { "_2_spans", "2KiB", 2 * KIB, 2, 0, 0 },
    { "_2_spans", "64KiB", 64 * KIB, 2, 0, 0 },
    { "_slot", "2KiB", 2 * KIB, 1, 0, BENCH_SLOTS },
    { "_slot", "64KiB", 64 * KIB, 1, 0, BENCH_SLOTS },
    { "_once", "2KiB", 2 * KIB, 1, 0, TRANSFER },
    { "_once", "64KiB", 64 * KIB, 1, 0, TRANSFER },
    { "_staging", "2KiB", 2 * KIB, 1, 0, BENCH_STAGING },
    { "_staging", "64KiB", 64 * KIB, 1, 0, BENCH_STAGING },
};

/* One of the two that are compared. */
struct side {
    bench_pass_fn *seal, *open;
    void *state;
    double seal_ns[BENCH_ROUNDS_MAX], open_ns[BENCH_ROUNDS_MAX]; /* per record */
};

struct stems {
    char seal[BENCH_KEY_BYTES], open[BENCH_KEY_BYTES];
};

static double timed(bench_pass_fn *pass, void *state, const struct bench_ring *ring)
{
    const uint64_t start = bench_thread_ns();
    pass(state, ring, 0, ring->count);
    return (double)(bench_thread_ns() - start) / (double)ring->count;
}

/* Nothing is measured that does not give the plaintext back. */
static void check_round_trip(struct side *side, struct bench_ring *ring)
{
    bench_ring_fill(ring);
    side->seal(side->state, ring, 0, ring->count);
    bench_ring_clear(ring);
    side->open(side->state, ring, 0, ring->count);
    BENCH_CHECK(bench_ring_intact(ring));
}

static void one_round(struct side *side, const struct bench_ring *ring, size_t round)
{
    side->seal_ns[round] = timed(side->seal, side->state, ring);
    side->open_ns[round] = timed(side->open, side->state, ring);
}

static void report_side(const char *stem, const struct bench_ring *ring, const double *ours,
                        const double *raw)
{
    double values[BENCH_ROUNDS_MAX];
    const size_t n = bench_rounds();
    for (size_t i = 0; i < n; i++) {
        values[i] = raw[i] / ours[i]; /* of throughputs, so upside down */
    }
    const double ratio = bench_median(values, n);
    memcpy(values, ours, n * sizeof *values);
    const double ns = bench_median(values, n);
    memcpy(values, raw, n * sizeof *values);
    bench_report(stem, "ratio_raw", ratio);
    bench_report(stem, "ns", ns);
    bench_report(stem, "raw_ns", bench_median(values, n));
    bench_report(stem, "gbps", (double)ring->record_bytes / ns);
}

/* Wall clock of every record; the rare ones that were interrupted stay in. */
static void latencies(bench_pass_fn *pass, void *state, const struct bench_ring *ring, double *ret)
{
    for (size_t i = 0; i < ring->count; i++) {
        const uint64_t start = bench_wall_ns();
        pass(state, ring, i, i + 1);
        ret[i] = (double)(bench_wall_ns() - start);
    }
}

static void report_latencies(const char *stem, double *values, size_t count)
{
    const double clock = bench_clock_cost_ns();
    bench_report(stem, "p50_ns", bench_percentile(values, count, 50) - clock);
    bench_report(stem, "p99_ns", bench_percentile(values, count, 99) - clock);
}

static void measure_latencies(const struct stems *stems, struct side *ours,
                              const struct bench_ring *ring)
{
    /* A ring of few records is gone through several times: p99 needs more than a hundred. */
    const size_t turns = ring->count < 1000 ? 1000 / ring->count + 1 : 1;
    const size_t count = turns * ring->count;
    double *seal = calloc(count, sizeof *seal);
    double *open = calloc(count, sizeof *open);
    BENCH_CHECK(seal != NULL && open != NULL);
    for (size_t t = 0; t < turns; t++) {
        latencies(ours->seal, ours->state, ring, seal + t * ring->count);
        latencies(ours->open, ours->state, ring, open + t * ring->count);
    }
    report_latencies(stems->seal, seal, count);
    report_latencies(stems->open, open, count);
    free(seal);
    free(open);
}

static void compare(const struct kv_case *c, const struct stems *stems, struct bench_ring *ring,
                    struct side *ours, struct side *raw)
{
    check_round_trip(raw, ring);
    check_round_trip(ours, ring);
    for (size_t r = 0; r < bench_rounds(); r++) {
        one_round(r % 2 == 0 ? ours : raw, ring, r);
        one_round(r % 2 == 0 ? raw : ours, ring, r);
    }
    report_side(stems->seal, ring, ours->seal_ns, raw->seal_ns);
    report_side(stems->open, ring, ours->open_ns, raw->open_ns);
    if ((c->use & BATCH) == 0) {
        measure_latencies(stems, ours, ring);
    }
}

static struct bench_ours views_new(const struct kv_case *c, const struct bench_world *w,
                                   size_t records)
{
    const size_t pins = (c->use & BENCH_SLOTS) != 0 ? records : 0;
    struct bench_ours ours = { .flags = c->use };
    ours.seals = bench_view_new(w->tenant, ARIL_KV_FROM_SELF, ARIL_KV_REPEATABLE, pins, NULL);
    ours.opens = ours.seals;
    if ((c->use & TRANSFER) != 0) {
        ours.opens = bench_view_new(w->server, ARIL_KV_FROM_PEER, ARIL_KV_ONCE, 0, NULL);
    }
    if ((c->use & BENCH_STAGING) != 0) {
        ours.staging = calloc(1, c->bytes);
        BENCH_CHECK(ours.staging != NULL);
    }
    return ours;
}

static void views_free(struct bench_ours *ours)
{
    if (ours->opens != ours->seals) {
        aril_kv_free(ours->opens);
    }
    aril_kv_free(ours->seals);
    free(ours->staging);
}

static void run_case(const struct kv_case *c)
{
    struct stems stems;
    (void)snprintf(stems.seal, sizeof stems.seal, "kv.seal%s.%s", c->variant, c->size);
    (void)snprintf(stems.open, sizeof stems.open, "kv.open%s.%s", c->variant, c->size);
    if (!bench_wants(stems.seal) && !bench_wants(stems.open)) {
        return;
    }
    struct bench_ring ring;
    struct bench_world world;
    bench_ring_new(&ring, c->bytes, c->spans, c->ring);
    bench_world_new(&world);
    struct bench_ours views = views_new(c, &world, ring.count);
    struct bench_raw *cipher = bench_raw_new();
    struct side ours = { .seal = bench_ours_seal, .open = bench_ours_open, .state = &views };
    struct side raw = { .seal = bench_raw_seal, .open = bench_raw_open, .state = cipher };
    if ((c->use & BATCH) != 0) {
        ours.seal = bench_ours_seal_batch;
        ours.open = bench_ours_open_batch;
    }
    compare(c, &stems, &ring, &ours, &raw);
    bench_raw_free(cipher);
    views_free(&views);
    bench_world_free(&world);
    bench_ring_free(&ring);
}

/* Calls of malloc and its kin in 10 000 seals and opens, after the first ones. */
static void count_allocations(void)
{
    if (!bench_wants("kv.path")) {
        return;
    }
    if (!bench_allocations_counted()) {
        (void)fputs("bench: this C library offers no second malloc: no allocations counted\n",
                    stderr);
        return;
    }
    const size_t turns = 10000;
    struct bench_ring ring;
    struct bench_world world;
    bench_ring_new(&ring, 2 * KIB, 1, 0);
    bench_world_new(&world);
    struct bench_ours ours = { 0 };
    ours.seals = bench_view_new(world.tenant, ARIL_KV_FROM_SELF, ARIL_KV_REPEATABLE, 0, NULL);
    ours.opens = ours.seals;
    bench_ours_seal(&ours, &ring, 0, 100);
    bench_ours_open(&ours, &ring, 0, 100);
    const uint64_t before = bench_allocations();
    bench_ours_seal(&ours, &ring, 0, turns);
    bench_ours_open(&ours, &ring, 0, turns);
    const uint64_t after = bench_allocations();
    bench_report("kv.path", "allocations", (double)(after - before));
    aril_kv_free(ours.seals);
    bench_world_free(&world);
    bench_ring_free(&ring);
}

void bench_kv(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run_case(&cases[i]);
    }
    count_allocations();
}
