/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "harness.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Puts of 4 MiB through the asynchronous interface into a store of files, against the same writes
 * of plaintext: the same store, the same number of threads, names and lengths. Both take turns;
 * wall time counts, because both wait for the disk. Every value is on the disk when it is
 * acknowledged.
 */
#define VALUE_BYTES ((size_t)4 << 20)
#define VALUES      32u
#define WORKERS     2u

struct subject {
    struct bench_cache world;
    uint8_t *value; /* VALUES + 1 pages apart, so that no two are alike */
    unsigned next;  /* of the plain writers */
};

static const uint8_t *value_of(const struct subject *s, unsigned n)
{
    return s->value + (size_t)n * 4096;
}

static aril_bytes name_of(unsigned n, char room[32])
{
    const int len = snprintf(room, 32, "block:%u", n);
    return (aril_bytes){ (const uint8_t *)room, (size_t)len };
}

/* --- Through the queue ---------------------------------------------------------------------- */

static double sealed_puts(struct subject *s)
{
    static char names[VALUES][32];
    static aril_cache_item items[VALUES];
    aril_cache_queue *queue;
    BENCH_OK(aril_cache_queue_new(s->world.cache, WORKERS, VALUES, &queue));
    const uint64_t start = bench_wall_ns();
    for (unsigned n = 0; n < VALUES; n++) {
        uint64_t id;
        items[n] = (aril_cache_item){ .key = { .tenant = bench_cache_tenant,
                                               .key = name_of(n, names[n]),
                                               .type = ARIL_CACHE_BLOCK },
                                      .value = { value_of(s, n), VALUE_BYTES } };
        BENCH_OK(aril_cache_submit(queue, ARIL_CACHE_OP_PUT, &items[n], 1, NULL, &id));
    }
    for (unsigned done = 0; done < VALUES;) {
        aril_cache_completion completions[VALUES];
        struct pollfd fd = { .fd = aril_cache_queue_fd(queue), .events = POLLIN };
        BENCH_CHECK(poll(&fd, 1, 60000) == 1);
        const size_t count = aril_cache_completions(queue, completions, VALUES);
        for (size_t i = 0; i < count; i++) {
            BENCH_OK(completions[i].status);
        }
        done += (unsigned)count;
    }
    const double took = (double)(bench_wall_ns() - start) / 1e9;
    aril_cache_queue_free(queue);
    return took;
}

/* --- The same writes of plaintext ----------------------------------------------------------- */

static void *write_plain(void *arg)
{
    struct subject *s = arg;
    unsigned n;
    while ((n = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED)) < VALUES) {
        char room[32];
        const aril_bytes value = { value_of(s, n), VALUE_BYTES };
        aril_store_item item = { .name = name_of(n, room), .parts = &value, .part_count = 1 };
        BENCH_OK(aril_store_put(s->world.store, &item, 1, NULL));
        BENCH_OK(item.status);
    }
    return NULL;
}

static double plain_puts(struct subject *s)
{
    pthread_t threads[WORKERS];
    s->next = 0;
    const uint64_t start = bench_wall_ns();
    for (unsigned i = 0; i < WORKERS; i++) {
        BENCH_CHECK(pthread_create(&threads[i], NULL, write_plain, s) == 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        BENCH_CHECK(pthread_join(threads[i], NULL) == 0);
    }
    return (double)(bench_wall_ns() - start) / 1e9;
}

/* --- Both ----------------------------------------------------------------------------------- */

static void remove_folder(const char *folder)
{
    char *argv[] = { "rm", "-rf", "--", (char *)(uintptr_t)folder, NULL };
    char none[16];
    BENCH_CHECK(bench_child(argv, none, sizeof none));
}

static void measure(const char *stem, bool durable, bool direct_io)
{
    static const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2 };
    struct subject s = { .next = 0 };
    char folder[96], uri[112];
    double ours[BENCH_ROUNDS_MAX], ratio[BENCH_ROUNDS_MAX];
    const char *base = getenv("TMPDIR");
    uint64_t random = 3;
    if (!bench_wants(stem)) {
        return;
    }
    (void)snprintf(folder, sizeof folder, "%.40s/aril-files-XXXXXX", base != NULL ? base : "/tmp");
    BENCH_CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(uri, sizeof uri, "file:%s", folder);
    const aril_store_config store = {
        .uri = uri, .deadline_ms = 60000, .durable = durable, .direct_io = direct_io
    };
    bench_cache_new(&s.world, &store, &policy);
    const size_t bytes = VALUE_BYTES + VALUES * 4096;
    s.value = malloc(bytes);
    BENCH_CHECK(s.value != NULL);
    for (size_t i = 0; i < bytes; i++) {
        s.value[i] = (uint8_t)bench_next(&random);
    }
    const size_t rounds = bench_rounds();
    (void)plain_puts(&s);
    (void)sealed_puts(&s);
    for (size_t r = 0; r < rounds; r++) {
        double plain;
        if (r % 2 == 0) {
            ours[r] = sealed_puts(&s);
            plain = plain_puts(&s);
        } else {
            plain = plain_puts(&s);
            ours[r] = sealed_puts(&s);
        }
        ratio[r] = plain / ours[r];
    }
    bench_report(stem, "ratio_raw_io", bench_median(ratio, rounds));
    bench_report(stem, "mb_s", (double)VALUES * VALUE_BYTES / 1e6 / bench_median(ours, rounds));
    free(s.value);
    bench_cache_free(&s.world);
    remove_folder(folder);
}

void bench_cache_async(void)
{
    if (!bench_wants("cache.async")) {
        return;
    }
    measure("cache.async.put.4MiB", true, false);
    measure("cache.async_direct.put.4MiB", true, true);
    measure("cache.async_cached.put.4MiB", false, false);
}
