/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/*
 * Two threads against one, wall clock, each thread on a processor of its own. A round counts
 * only when both processors were really ours: the kernel tells how long our threads waited
 * for one, and a thread that spins has used as much CPU time as time went by.
 */

#define RECORD_BYTES   ((size_t)64 << 10)
#define SEGMENTS       8u /* of the ring; a round takes two, so that it is over soon */
#define ATTEMPTS       1000u
#define CLEAN_ROUNDS   41u
#define WAIT_SHARE_MAX 0.03

/* --- A second thread that waits spinning, so that it starts at once ------------------ */

struct helper {
    pthread_t thread;
    _Atomic(unsigned) wanted, done; /* numbers of the job */
    _Atomic(bool) stop;
    bench_pass_fn *pass;
    void *state;
    const struct bench_ring *ring;
    size_t first, end;
    uint64_t start_ns, end_ns, cpu_ns;
};

/* It never yields: a thread that did would come back too late for a round of milliseconds. */
static void spin_until(_Atomic(unsigned) *value, unsigned wanted, const _Atomic(bool) *stop)
{
    while (atomic_load_explicit(value, memory_order_acquire) != wanted &&
           (stop == NULL || !atomic_load_explicit(stop, memory_order_relaxed))) {
    }
}

static void *helper_main(void *arg)
{
    struct helper *h = arg;
    (void)bench_pin(1);
    for (unsigned job = 1;; job++) {
        spin_until(&h->wanted, job, &h->stop);
        if (atomic_load(&h->stop)) {
            return NULL;
        }
        h->start_ns = bench_wall_ns();
        const uint64_t cpu = bench_thread_ns();
        h->pass(h->state, h->ring, h->first, h->end);
        h->cpu_ns = bench_thread_ns() - cpu;
        h->end_ns = bench_wall_ns();
        atomic_store_explicit(&h->done, job, memory_order_release);
    }
}

/* --- One measurement -------------------------------------------------------------- */

/* Records that one round works on; the next round takes the next ones. */
struct segment {
    size_t first, end;
};

static struct segment segment_of(const struct bench_ring *ring, size_t round)
{
    const size_t n = round % SEGMENTS;
    return (struct segment){ n * ring->count / SEGMENTS, (n + 1) * ring->count / SEGMENTS };
}

struct duel {
    bench_pass_fn *pass;
    void *mine, *other; /* states of the two threads; the same one when they share it */
    const struct bench_ring *ring;
    struct helper *helper;
};

static bool was_ours(uint64_t cpu_ns, uint64_t wall_ns)
{
    return (double)cpu_ns >= (1 - WAIT_SHARE_MAX) * (double)wall_ns;
}

/* Wall clock for a segment with one thread. */
static double alone(const struct duel *d, struct segment s, bool *clean)
{
    const uint64_t cpu = bench_thread_ns();
    const uint64_t start = bench_wall_ns();
    d->pass(d->mine, d->ring, s.first, s.end);
    const uint64_t took = bench_wall_ns() - start;
    *clean = *clean && was_ours(bench_thread_ns() - cpu, took);
    return (double)took;
}

static double together(const struct duel *d, struct segment s, bool *clean)
{
    struct helper *h = d->helper;
    const size_t middle = s.first + (s.end - s.first) / 2;
    h->pass = d->pass;
    h->state = d->other;
    h->ring = d->ring;
    h->first = middle;
    h->end = s.end;
    const unsigned job = atomic_load(&h->done) + 1;
    const uint64_t cpu = bench_thread_ns();
    const uint64_t start = bench_wall_ns();
    atomic_store_explicit(&h->wanted, job, memory_order_release);
    d->pass(d->mine, d->ring, s.first, middle);
    const uint64_t end = bench_wall_ns();
    const uint64_t mine = bench_thread_ns() - cpu;
    spin_until(&h->done, job, NULL);
    /* A helper that began late has lost that time too. */
    *clean = *clean && was_ours(mine, end - start) && was_ours(h->cpu_ns, h->end_ns - start);
    return (double)((h->end_ns > end ? h->end_ns : end) - start);
}

/* Collects the ratio of each clean round until there are enough of them. */
struct ratios {
    double clean[CLEAN_ROUNDS], all[ATTEMPTS];
    size_t clean_count, count;
};

static bool want_more(const struct ratios *r)
{
    const size_t attempts = bench_options.quick ? ATTEMPTS / 20 : ATTEMPTS;
    return r->clean_count < CLEAN_ROUNDS && r->count < attempts;
}

static void add_ratio(struct ratios *r, double ratio, bool clean)
{
    r->all[r->count++] = ratio;
    if (clean) {
        r->clean[r->clean_count++] = ratio;
    }
}

static void report_ratios(const char *stem, const char *name, struct ratios *r)
{
    if (r->clean_count >= 7) {
        bench_report(stem, name, bench_median(r->clean, r->clean_count));
        return;
    }
    (void)fprintf(stderr, "bench: %s.%s: only %zu of %zu rounds had both processors\n", stem, name,
                  r->clean_count, r->count);
    bench_report(stem, name, bench_median(r->all, r->count));
}

static void run_duel(const struct duel *d, const char *name)
{
    struct ratios r = { 0 };
    bool ignored = true;
    (void)together(d, segment_of(d->ring, 0), &ignored);
    /* Each side has segments of its own, so that neither finds the other's in a cache. */
    for (size_t at = 0; want_more(&r); at += 2) {
        bool clean = true;
        const bool alone_first = r.count % 2 == 0;
        const struct segment a = segment_of(d->ring, at), b = segment_of(d->ring, at + 1);
        double one = alone_first ? alone(d, a, &clean) : 0;
        const double two = together(d, b, &clean);
        one = alone_first ? one : alone(d, a, &clean);
        add_ratio(&r, one / two, clean);
    }
    report_ratios("kv.seal.64KiB", name, &r);
}

static void duels(const struct bench_ring *ring, const struct bench_world *first,
                  const struct bench_world *second, struct helper *h)
{
    struct bench_ours a = { 0 }, b = { 0 };
    a.seals = bench_view_new(first->tenant, ARIL_KV_FROM_SELF, ARIL_KV_REPEATABLE, 0, NULL);
    b.seals = bench_view_new(second->tenant, ARIL_KV_FROM_SELF, ARIL_KV_REPEATABLE, 0, NULL);
    struct bench_raw *raw_a = bench_raw_new();
    struct bench_raw *raw_b = bench_raw_new();
    run_duel(&(struct duel){ bench_ours_seal, &a, &a, ring, h }, "scale_2_threads");
    run_duel(&(struct duel){ bench_ours_seal, &a, &b, ring, h }, "scale_2_threads_own_session");
    run_duel(&(struct duel){ bench_raw_seal, raw_a, raw_b, ring, h }, "scale_2_threads_raw");
    bench_raw_free(raw_a);
    bench_raw_free(raw_b);
    aril_kv_free(a.seals);
    aril_kv_free(b.seals);
}

static void measure_threads(const struct bench_ring *ring)
{
    struct bench_world first, second;
    bench_world_new(&first);
    bench_world_new(&second);
    struct helper h = { 0 };
    BENCH_CHECK(pthread_create(&h.thread, NULL, helper_main, &h) == 0);
    duels(ring, &first, &second, &h);
    atomic_store(&h.stop, true);
    (void)pthread_join(h.thread, NULL);
    bench_world_free(&first);
    bench_world_free(&second);
}

/* --- A pool --------------------------------------------------------------------- */

/* Sealing a segment in batches; what our threads waited for processors goes to *waited. */
static double batches(struct bench_ours *ours, const struct bench_ring *ring, struct segment s,
                      uint64_t *waited)
{
    const uint64_t before = bench_waited_ns();
    const uint64_t start = bench_wall_ns();
    bench_ours_seal_batch(ours, ring, s.first, s.end);
    const uint64_t took = bench_wall_ns() - start;
    *waited += bench_waited_ns() - before;
    return (double)took;
}

static void compare_pool(const struct bench_ring *ring, struct bench_ours *serial,
                         struct bench_ours *pooled)
{
    struct ratios r = { 0 };
    uint64_t ignored = 0;
    (void)batches(pooled, ring, segment_of(ring, 0), &ignored);
    for (size_t at = 0; want_more(&r); at += 2) {
        uint64_t waited = 0;
        const bool serial_first = r.count % 2 == 0;
        const struct segment a = segment_of(ring, at), b = segment_of(ring, at + 1);
        double one = serial_first ? batches(serial, ring, a, &waited) : 0;
        const double two = batches(pooled, ring, b, &waited);
        one = serial_first ? one : batches(serial, ring, a, &waited);
        add_ratio(&r, one / two, (double)waited <= WAIT_SHARE_MAX * (one + two));
    }
    report_ratios("kv.seal_batch.64KiB", "scale_pool2", &r);
}

static void measure_pool(const struct bench_ring *ring)
{
    struct bench_world world;
    aril_pool *pool;
    bench_world_new(&world);
    (void)bench_pin(1); /* the pool's thread inherits this */
    BENCH_OK(aril_pool_new(1, &pool));
    (void)bench_pin(0);
    struct bench_ours serial = { 0 }, pooled = { 0 };
    serial.seals = bench_view_new(world.tenant, ARIL_KV_FROM_SELF, ARIL_KV_REPEATABLE, 0, NULL);
    pooled.seals = bench_view_new(world.tenant, ARIL_KV_FROM_SELF, ARIL_KV_REPEATABLE, 0,
                                  aril_pool_executor(pool));
    compare_pool(ring, &serial, &pooled);
    aril_kv_free(serial.seals);
    aril_kv_free(pooled.seals);
    aril_pool_free(pool);
    bench_world_free(&world);
}

void bench_kv_threads(void)
{
    const bool threads = bench_wants("kv.seal.64KiB.scale");
    const bool pool = bench_wants("kv.seal_batch.64KiB.scale_pool2");
    if (!threads && !pool) {
        return;
    }
    if (bench_processors() < 2) {
        (void)fputs("bench: one processor: nothing to say about two threads\n", stderr);
        return;
    }
    struct bench_ring ring;
    bench_ring_new(&ring, RECORD_BYTES, 1, 0);
    bench_ring_fill(&ring);
    if (threads) {
        measure_threads(&ring);
    }
    if (pool) {
        measure_pool(&ring);
    }
    bench_ring_free(&ring);
}
