/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "harness.h"
#include "redis.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Gets of a value from a real Redis of this host: through the cache, L1 off, against the same
 * store with sealing off, which is the raw store with plaintext of the same length. Both take
 * turns, get by get, into one buffer; wall time counts, because both wait for the server. The ratio
 * is that of the medians. Over TCP, as Redis is reached by default, with a processor for each side;
 * the UNIX socket, and both sides on one processor, are reported beside it.
 */
#define VALUES    16u
#define TURNS_MAX 6000u

/* --- One size ------------------------------------------------------------------------------- */

struct subject {
    struct bench_cache world;
    size_t bytes;
    uint8_t *value, *out;
};

static aril_bytes name_of(unsigned n, char room[32])
{
    const int len = snprintf(room, 32, "value:%u", n);
    return (aril_bytes){ (const uint8_t *)room, (size_t)len };
}

static void sealed_get(struct subject *s, unsigned n)
{
    char room[32];
    aril_cache_item item = {
        .key = { .tenant = bench_cache_tenant, .key = name_of(n, room), .type = ARIL_CACHE_BLOCK },
        .buffer = { s->out, s->bytes }
    };
    BENCH_OK(aril_cache_get(s->world.cache, &item, 1, NULL));
    BENCH_CHECK(item.result.tier == ARIL_CACHE_L2 && item.result.len == s->bytes);
}

static void plain_get(struct subject *s, unsigned n)
{
    char room[32];
    aril_store_item item = { .name = name_of(n, room), .buffer = { s->out, s->bytes } };
    BENCH_OK(aril_store_get(s->world.store, &item, 1, NULL));
    BENCH_OK(item.status);
    BENCH_CHECK(item.len == s->bytes);
}

static void put_both(struct subject *s, unsigned n)
{
    char room[32];
    const aril_bytes value = { s->value, s->bytes };
    aril_cache_item item = {
        .key = { .tenant = bench_cache_tenant, .key = name_of(n, room), .type = ARIL_CACHE_BLOCK },
        .value = value
    };
    aril_store_item plain = { .name = name_of(n, room), .parts = &value, .part_count = 1 };
    BENCH_OK(aril_cache_put(s->world.cache, &item, 1, NULL));
    BENCH_OK(aril_store_put(s->world.store, &plain, 1, NULL));
    BENCH_OK(plain.status);
}

static double timed(struct subject *s, void (*get)(struct subject *s, unsigned n), unsigned n)
{
    memset(s->out, 0, 64);
    const uint64_t start = bench_wall_ns();
    get(s, n);
    const double took = (double)(bench_wall_ns() - start) / 1000;
    BENCH_CHECK(memcmp(s->out, s->value, 64) == 0);
    return took;
}

static void measure(const char *uri, const char *stem, size_t bytes, size_t turns)
{
    static double sealed[TURNS_MAX], plain[TURNS_MAX];
    static const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2 };
    const aril_store_config store = { .uri = uri, .deadline_ms = 30000 };
    struct subject s = { .bytes = bytes };
    uint64_t random = 7;
    if (!bench_wants(stem)) {
        return;
    }
    bench_cache_new(&s.world, &store, &policy);
    s.value = malloc(bytes);
    s.out = malloc(bytes);
    BENCH_CHECK(s.value != NULL && s.out != NULL);
    for (size_t i = 0; i < bytes; i++) {
        s.value[i] = (uint8_t)bench_next(&random);
    }
    for (unsigned n = 0; n < VALUES; n++) {
        put_both(&s, n);
    }
    for (unsigned n = 0; n < 2 * VALUES; n++) {
        sealed_get(&s, n % VALUES);
        plain_get(&s, n % VALUES);
    }
    turns = bench_options.quick ? turns / 10 : turns;
    for (size_t i = 0; i < turns; i++) {
        const unsigned n = (unsigned)(bench_next(&random) % VALUES);
        if (i % 2 == 0) {
            sealed[i] = timed(&s, sealed_get, n);
            plain[i] = timed(&s, plain_get, n);
        } else {
            plain[i] = timed(&s, plain_get, n);
            sealed[i] = timed(&s, sealed_get, n);
        }
    }
    const double sealed_p50 = bench_percentile(sealed, turns, 50);
    const double plain_p50 = bench_percentile(plain, turns, 50);
    bench_report(stem, "ratio_plain", plain_p50 / sealed_p50);
    bench_report(stem, "p50_us", sealed_p50);
    bench_report(stem, "p99_us", bench_percentile(sealed, turns, 99));
    bench_report(stem, "plain_p50_us", plain_p50);
    bench_report(stem, "plain_p99_us", bench_percentile(plain, turns, 99));
    free(s.value);
    free(s.out);
    bench_cache_free(&s.world);
}

/* On the processor of this thread: nobody waits for the other one to wake, and nothing overlaps. */
static void measure_on_one_processor(void)
{
    struct bench_redis server;
    if (!bench_wants("cache.l2.redis_one_cpu") ||
        !bench_redis_start(&server, 0, "cache.l2.redis_one_cpu")) {
        return;
    }
    measure(server.tcp_uri, "cache.l2.redis_one_cpu.get.64KiB", (size_t)64 << 10, 6000);
    measure(server.tcp_uri, "cache.l2.redis_one_cpu.get.4MiB", (size_t)4 << 20, 400);
    bench_redis_stop(&server);
}

void bench_cache_redis(void)
{
    struct bench_redis server;
    if (!bench_wants("cache.l2.redis")) {
        return;
    }
    measure_on_one_processor();
    /* This thread is pinned, and a server has a processor of its own where there are two. */
    if (!bench_redis_start(&server, 1, "cache.l2.redis")) {
        return;
    }
    measure(server.tcp_uri, "cache.l2.redis.get.64KiB", (size_t)64 << 10, 6000);
    measure(server.tcp_uri, "cache.l2.redis.get.4MiB", (size_t)4 << 20, 400);
    measure(server.unix_uri, "cache.l2.redis_unix.get.64KiB", (size_t)64 << 10, 6000);
    measure(server.unix_uri, "cache.l2.redis_unix.get.4MiB", (size_t)4 << 20, 400);
    bench_redis_stop(&server);
}
