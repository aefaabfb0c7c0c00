/* SPDX-License-Identifier: Apache-2.0 */
/* Caches and a plain map do the same, by chance, for a long time: a hit is what the map has, whole,
 * and a miss has a reason. Over every store that is there; with one cache and with two; with bounds
 * that evict; with a store that fails and lies. ARIL_MODEL_SEED=n repeats a run. */
#include "cache_model_run.h"
#include "files_store.h"
#include "redis.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPS_MEMORY (SANITIZED ? 12000u : 100000u)
#define OPS_SLOW   (SANITIZED ? 2000u : 12000u)

static uint64_t seed_of_run(void)
{
    const char *const text = getenv("ARIL_MODEL_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : 20250801;
}

static void run_over(const struct model_setup *setup)
{
    model_run_begin(setup, seed_of_run());
    model_run_ops();
    model_run_end();
}

static void one_cache_over_memory(void **state)
{
    (void)state;
    const struct model_setup setup = { .name = "memory", .uri = "memory:model", .ops = OPS_MEMORY };
    run_over(&setup);
}

static void two_caches_over_memory_hear_of_one_another(void **state)
{
    (void)state;
    const struct model_setup setup = {
        .name = "memory, two caches", .uri = "memory:model", .caches = 2, .ops = OPS_MEMORY / 2
    };
    run_over(&setup);
}

static void bounds_make_misses_and_nothing_worse(void **state)
{
    (void)state;
    const struct model_setup setup = { .name = "memory, bounded",
                                       .uri = "memory:",
                                       .bytes_max = (uint64_t)96 << 10,
                                       .l1_bytes = (uint64_t)64 << 10,
                                       .ops = OPS_MEMORY / 2 };
    run_over(&setup);
}

static void a_store_that_fails_and_lies(void **state)
{
    (void)state;
    const struct model_setup setup = {
        .name = "memory, faulty", .uri = "memory:", .faulty = true, .ops = OPS_MEMORY / 2
    };
    run_over(&setup);
}

static const char *uri_of(const char *scheme, const char *name)
{
    static char uri[600];
    (void)snprintf(uri, sizeof uri, "%s:%s", scheme, temp_path(name));
    return uri;
}

static void one_cache_over_sqlite(void **state)
{
    (void)state;
    const struct model_setup setup = {
        .name = "sqlite", .uri = uri_of("sqlite", "one.db"), .keeps = true, .ops = OPS_SLOW
    };
    run_over(&setup);
}

static void two_caches_over_sqlite_hear_nothing(void **state)
{
    (void)state;
    const struct model_setup setup = { .name = "sqlite, two caches",
                                       .uri = uri_of("sqlite", "two.db"),
                                       .keeps = true,
                                       .caches = 2,
                                       .ops = OPS_SLOW };
    run_over(&setup);
}

static void one_cache_over_files(void **state)
{
    (void)state;
    const struct model_setup setup = {
        .name = "files", .uri = uri_of("file", "one"), .keeps = true, .ops = OPS_SLOW
    };
    run_over(&setup);
}

static void bounded_files_make_misses(void **state)
{
    (void)state;
    const struct model_setup setup = { .name = "files, bounded",
                                       .uri = uri_of("file", "bounded"),
                                       .bytes_max = (uint64_t)256 << 10,
                                       .l1_bytes = (uint64_t)64 << 10,
                                       .keeps = true,
                                       .ops = OPS_SLOW / 2 };
    run_over(&setup);
}

static struct redis server;

static void two_caches_over_redis(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    char uri[256];
    assert_true(redis_start(&server, &(struct redis_options){ .tcp = false }));
    (void)snprintf(uri, sizeof uri, "redis+unix:%s", server.socket);
    const struct model_setup setup = {
        .name = "redis, two caches", .uri = uri, .keeps = true, .caches = 2, .ops = OPS_SLOW
    };
    run_over(&setup);
}

static int teardown(void **state)
{
    (void)model_run_abandon(state);
    redis_remove(&server);
    server = (struct redis){ 0 };
    /* What stores of files left; the folder's own end removes files alone. */
    (void)tree_remove(temp_path("one"));
    (void)tree_remove(temp_path("bounded"));
    return 0;
}

#define TEST(test) cmocka_unit_test_teardown(test, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_cache_over_memory),
        TEST(two_caches_over_memory_hear_of_one_another),
        TEST(bounds_make_misses_and_nothing_worse),
        TEST(a_store_that_fails_and_lies),
        TEST(one_cache_over_sqlite),
        TEST(two_caches_over_sqlite_hear_nothing),
        TEST(one_cache_over_files),
        TEST(bounded_files_make_misses),
        TEST(two_caches_over_redis),
    };
    return cmocka_run_group_tests_name("cache model", tests, temp_folder_make_quick,
                                       temp_folder_remove);
}
