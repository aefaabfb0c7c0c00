/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"
#include "defer.h"
#include "seeded.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Records of a thread lie in rings of this size, larger than a core's own caches, as the
 * blocks of a serving engine do. */
#define RING_BYTES  ((size_t)16 << 20)
#define RECORDS_MAX 4096u
#define NS_PER_MS   UINT64_C(1000000)

/* What one thread works on. */
struct worker {
    aril_kv *kv;
    size_t bytes, count;
    bool opens;
    uint64_t run_ms;
    aril_kv_block *blocks;
    uint8_t *plain, *bodies, *seals, *opened;
    struct histogram durations;
    uint64_t elapsed_ns;
    aril_status status;
    pthread_t thread;
};

static void worker_done(struct worker *w)
{
    free(w->blocks);
    free(w->plain);
    free(w->bodies);
    free(w->seals);
    free(w->opened);
}

static bool worker_init(struct worker *w, aril_kv *kv, size_t bytes, uint64_t run_ms, uint64_t seed)
{
    const size_t fit = RING_BYTES / bytes;
    struct seeded random = seeded_init(seed);
    w->kv = kv;
    w->bytes = bytes;
    w->count = fit < 1 ? 1 : fit > RECORDS_MAX ? RECORDS_MAX : fit;
    w->run_ms = run_ms;
    w->blocks = calloc(w->count, sizeof *w->blocks);
    w->plain = malloc(w->count * bytes);
    w->bodies = malloc(w->count * bytes);
    w->seals = malloc(w->count * ARIL_SEAL_BYTES);
    w->opened = malloc(bytes);
    if (w->blocks == NULL || w->plain == NULL || w->bodies == NULL || w->seals == NULL ||
        w->opened == NULL) {
        return false;
    }
    seeded_fill(&random, w->plain, w->count * bytes);
    for (size_t i = 0; i < w->count; i++) {
        w->blocks[i].layer_count = 1;
        w->blocks[i].identity = ARIL_KV_CHAIN;
        seeded_fill(&random, w->blocks[i].chain, sizeof w->blocks[i].chain);
    }
    return true;
}

/* Seal or open record i of the ring. */
static aril_status work_on(const struct worker *w, size_t i)
{
    const aril_span span = { w->opens ? w->opened : w->plain + i * w->bytes, w->bytes };
    aril_kv_item item = {
        .block = &w->blocks[i],
        .spans = &span,
        .span_count = 1,
        .body = w->bodies + i * w->bytes,
        .body_len = w->bytes,
        .seal = w->seals + i * ARIL_SEAL_BYTES,
    };
    return w->opens ? aril_kv_open(w->kv, &item) : aril_kv_seal(w->kv, &item);
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    memset(&w->durations, 0, sizeof w->durations);
    w->status = ARIL_OK;
    /* Once around before the clock starts: pages are touched, records exist. */
    for (size_t i = 0; i < w->count && w->status == ARIL_OK; i++) {
        w->status = work_on(w, i);
    }
    const uint64_t started = monotonic_ns();
    uint64_t before = started;
    for (size_t i = 0; w->status == ARIL_OK; i = (i + 1) % w->count) {
        w->status = work_on(w, i);
        const uint64_t after = monotonic_ns();
        histogram_add(&w->durations, after - before);
        before = after;
        if (after - started >= w->run_ms * NS_PER_MS) {
            break;
        }
    }
    w->elapsed_ns = before - started;
    return NULL;
}

static aril_status run_all(struct worker *workers, unsigned threads, bool opens,
                           struct measurement *ret)
{
    unsigned running = 0;
    aril_status st = ARIL_OK;
    for (; running < threads; running++) {
        workers[running].opens = opens;
        if (pthread_create(&workers[running].thread, NULL, worker_run, &workers[running]) != 0) {
            st = ARIL_E_NOMEM;
            break;
        }
    }
    struct histogram *sum = calloc(1, sizeof *sum);
    uint64_t longest = 0;
    for (unsigned i = 0; i < running; i++) {
        struct worker *w = &workers[i];
        (void)pthread_join(w->thread, NULL);
        st = st != ARIL_OK ? st : w->status;
        longest = w->elapsed_ns > longest ? w->elapsed_ns : longest;
        if (sum != NULL) {
            histogram_merge(sum, &w->durations);
        }
    }
    if (sum == NULL) {
        return ARIL_E_NOMEM;
    }
    *ret = measurement_of(sum, longest);
    free(sum);
    return st;
}

static aril_status make_view(aril_runtime *rt, aril_session **ret_session, aril_kv **ret_kv)
{
    static const uint8_t tag_key[32] = { 1 };
    static const aril_policy policy = { .ttl_s = 86400 };
    static const char name[] = "bench";
    const aril_bytes tenant = { (const uint8_t *)name, sizeof name - 1 };
    DEFER(identity_freep) aril_identity *identity = NULL;
    aril_status st = aril_identity_generate(rt, ARIL_ML_DSA_65, &identity);
    if (st == ARIL_OK) {
        st = aril_session_pair(rt, ARIL_PROFILE_HYBRID, tenant, identity,
                               (aril_bytes){ tag_key, sizeof tag_key }, &policy, NULL, ret_session);
    }
    const aril_kv_config config = {
        .model = tenant,
        .layout = { .name = "bench", .dtype = "f16", .layers = 1 },
    };
    return st == ARIL_OK ? aril_kv_new(*ret_session, &config, ret_kv) : st;
}

aril_status bench_records(aril_runtime *rt, size_t bytes, unsigned threads, uint64_t run_ms,
                          struct measurement *ret_seal, struct measurement *ret_open)
{
    DEFER(session_closep) aril_session *session = NULL;
    DEFER(kv_freep) aril_kv *kv = NULL;
    aril_status st = make_view(rt, &session, &kv);
    if (st != ARIL_OK) {
        return st;
    }
    struct worker *workers = calloc(threads, sizeof *workers);
    if (workers == NULL) {
        return ARIL_E_NOMEM;
    }
    for (unsigned i = 0; i < threads && st == ARIL_OK; i++) {
        st = worker_init(&workers[i], kv, bytes, run_ms, i) ? ARIL_OK : ARIL_E_NOMEM;
    }
    if (st == ARIL_OK) {
        st = run_all(workers, threads, false, ret_seal);
    }
    if (st == ARIL_OK) {
        st = run_all(workers, threads, true, ret_open);
    }
    for (unsigned i = 0; i < threads; i++) {
        worker_done(&workers[i]);
    }
    free(workers);
    return st;
}
