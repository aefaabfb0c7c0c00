/* SPDX-License-Identifier: Apache-2.0 */
/* What cache/store.c does around a backend: checks, defaults, deadlines, breaker, messages. */
#include "cache/store.h"
#include "check.h"
#include "child.h"
#include "faulty_cache_store.h"
#include "fixture.h"
#include "runtime.h"
#include "temp_folder.h"
#include "valgrind.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- A backend that only tells what it was given ------------------------------------------- */

static struct {
    aril_store_config config;
    char rest[600], scheme[32], secret[600];
    uint32_t capabilities;
    aril_status answer; /* of open */
    uint64_t deadline_ns;
    unsigned opened, closed;
} seen;

static aril_status told_open(const struct arili_cache_store_options *options, const char *scheme,
                             void **ret_state, uint32_t *ret_capabilities, aril_error *error)
{
    (void)error;
    seen.opened++;
    seen.config = *options->config;
    (void)snprintf(seen.rest, sizeof seen.rest, "%s", options->rest);
    (void)snprintf(seen.scheme, sizeof seen.scheme, "%s", scheme);
    (void)snprintf(seen.secret, sizeof seen.secret, "%s",
                   options->config->secret_path != NULL ? options->config->secret_path : "");
    *ret_state = seen.answer == ARIL_OK ? &seen : NULL;
    *ret_capabilities = seen.capabilities;
    return seen.answer;
}

static void told_close(void *state)
{
    assert_ptr_equal(state, &seen);
    seen.closed++;
}

static aril_status told_items(void *state, aril_store_item *items, size_t count,
                              uint64_t deadline_ns, aril_error *error)
{
    (void)state, (void)items, (void)count, (void)error;
    seen.deadline_ns = deadline_ns;
    return ARIL_OK;
}

static aril_status told_stat(void *state, uint64_t deadline_ns, struct arili_cache_store_stat *ret,
                             aril_error *error)
{
    (void)state, (void)deadline_ns, (void)error;
    ret->entries = 5;
    (void)snprintf(ret->description, sizeof ret->description, "a\nb");
    return ARIL_OK;
}

static const char *const told_schemes[] = { "memory", NULL };
static struct arili_cache_store_ops told = { .abi = ARILI_CACHE_STORE_ABI,
                                             .kind = "told",
                                             .schemes = told_schemes,
                                             .open = told_open,
                                             .close = told_close,
                                             .get = told_items,
                                             .put = told_items,
                                             .erase = told_items,
                                             .exists = told_items,
                                             .stat = told_stat };

static aril_status open_told(const aril_store_config *config, aril_store **ret, aril_error *error)
{
    memset(&seen, 0, sizeof seen);
    *error = (aril_error){ .status = ARIL_OK };
    return arili_store_open_over(rt, &told, config, ret, error);
}

static aril_status open_told_uri(const char *uri, aril_error *error)
{
    aril_store *s = NULL;
    const aril_store_config config = { .uri = uri };
    const aril_status st = open_told(&config, &s, error);
    assert_int_equal(s != NULL, st == ARIL_OK);
    if (st != ARIL_OK) {
        assert_status(error->status, st);
        assert_true(strlen(error->message) > 10);
    }
    aril_store_close(s);
    return st;
}

/* --- Opening ------------------------------------------------------------------------------- */

static void defaults_are_filled_in(void **state)
{
    (void)state;
    aril_store *s = NULL;
    aril_error error;
    const aril_store_config config = { .uri = "memory:x" };
    assert_status(open_told(&config, &s, &error), ARIL_OK);
    assert_int_equal(seen.config.deadline_ms, 1000);
    assert_int_equal(seen.config.connections, 8);
    assert_int_equal(seen.config.bytes_max, 0); /* only of the backend "memory" */
    assert_int_equal(seen.config.breaker_after, 5);
    assert_int_equal(seen.config.breaker_ms, 5000);
    assert_string_equal(seen.scheme, "memory");
    assert_string_equal(seen.rest, "x");
    aril_store_close(s);
    assert_int_equal(seen.closed, 1);
    aril_store_close(NULL);
}

static void members_out_of_range_are_refused(void **state)
{
    (void)state;
    const aril_store_config configs[] = {
        { .uri = "memory:", .deadline_ms = ARIL_STORE_DEADLINE_MS_MAX + 1 },
        { .uri = "memory:", .connections = 257 },
        { .uri = "memory:", .durable = 2 },
        { .uri = "memory:", .durable = -1 },
        { .uri = "memory:", .direct_io = 2 },
        { .uri = "memory:", .cachekit_saas = 3 },
        { .uri = "memory:", .cert_path = "/x" },
        { .uri = "memory:", .key_path = "/x" },
    };
    for (size_t i = 0; i < COUNT(configs); i++) {
        aril_store *s = (aril_store *)&seen;
        aril_error error;
        assert_status(open_told(&configs[i], &s, &error), ARIL_E_USAGE_RANGE);
        assert_int_equal(seen.opened, 0);
        assert_ptr_equal(s, NULL);
        assert_true(strlen(error.message) > 10);
    }
    const aril_store_config most = { .uri = "memory:",
                                     .deadline_ms = ARIL_STORE_DEADLINE_MS_MAX,
                                     .connections = 256,
                                     .breaker_after = UINT32_MAX,
                                     .breaker_ms = UINT32_MAX };
    aril_store *s = NULL;
    aril_error error;
    assert_status(open_told(&most, &s, &error), ARIL_OK);
    aril_store_close(s);
    const aril_store_config none = { 0 };
    assert_status(open_told(&none, &s, &error), ARIL_E_USAGE_NULL);
    assert_status(aril_store_open(NULL, &most, &s, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_store_open(rt, NULL, &s, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_store_open(rt, &most, NULL, NULL), ARIL_E_USAGE_NULL);
}

static void what_is_no_uri_of_a_store_is_refused(void **state)
{
    (void)state;
    static const char *const uris[] = { "",         "memory",     ":x",      "ftp://host/",
                                        "Memory:x", "memoryx:",   "/a/path", "secret words",
                                        "redis",    "sqlite3:/x", "unix:/x", "redis +unix:/x" };
    for (size_t i = 0; i < COUNT(uris); i++) {
        aril_store *s = NULL;
        aril_error error = { .status = ARIL_OK };
        const aril_store_config config = { .uri = uris[i] };
        assert_status(aril_store_open(rt, &config, &s, &error), ARIL_E_USAGE_RANGE);
        assert_null(s);
        /* It may be anything, a password too. */
        assert_null(strstr(error.message, "words"));
        assert_true(strlen(error.message) > 10);
    }
    static char longest[9000];
    aril_error error;
    memset(longest, 'a', sizeof longest - 1);
    memcpy(longest, "memory:", 7);
    assert_status(open_told_uri(longest, &error), ARIL_E_USAGE_RANGE);
    longest[8191] = '\0';
    assert_status(open_told_uri(longest, &error), ARIL_OK);
}

static void a_password_in_a_uri_is_refused_and_not_shown(void **state)
{
    (void)state;
    static const char *const uris[] = {
        "redis://user:hunter2@host/0",      "redis://:hunter2@host",
        "rediss://user:hun/ter2@host:6379", "redis+cluster://u:hunter2@a:1,b:2",
        "https://user:hunter2@host/path",   "http://u:p@hunter2@host/",
        "redis://user:hunter2?x@host",
    };
    for (size_t i = 0; i < COUNT(uris); i++) {
        aril_error error;
        assert_status(open_told_uri(uris[i], &error), ARIL_E_USAGE_RANGE);
        assert_null(strstr(error.message, "hunter"));
        assert_null(strstr(error.message, "ter2"));
        assert_int_equal(seen.opened, 0);
    }
    static const char *const fine[] = { "redis://user@host:6379/0", "redis://[::1]:6379/0",
                                        "http://host:80/a@b:c", "redis+unix:/a:b@c?db=1",
                                        "redis+cluster://u@a:1,b:2" };
    for (size_t i = 0; i < COUNT(fine); i++) {
        aril_error error;
        assert_status(open_told_uri(fine[i], &error), ARIL_OK);
        assert_string_equal(seen.rest, strchr(fine[i], ':') + 1);
    }
}

static void the_password_file_becomes_the_secret_path(void **state)
{
    (void)state;
    const char *const file = temp_write("password", 0600, TEXT("open sesame"));
    const char *const loose = temp_write("loose", 0644, TEXT("open sesame"));
    const char *const missing = temp_path("missing");
    char uri[700];
    aril_error error;
    static const struct {
        const char *before, *after, *rest;
    } forms[] = {
        { "redis://host:6379/0?password-file=", "", "//host:6379/0" },
        { "redis://u@host?password-file=", "&x=1", "//u@host?x=1" },
        { "redis+unix:/run/r.sock?db=3&password-file=", "", "/run/r.sock?db=3" },
        { "http://h/p?a=1&password-file=", "&b=2", "//h/p?a=1&b=2" },
    };
    for (size_t i = 0; i < COUNT(forms); i++) {
        (void)snprintf(uri, sizeof uri, "%s%s%s", forms[i].before, file, forms[i].after);
        assert_status(open_told_uri(uri, &error), ARIL_OK);
        assert_string_equal(seen.rest, forms[i].rest);
        assert_string_equal(seen.secret, file);
    }
    (void)snprintf(uri, sizeof uri, "redis://h?password-file=%s", loose);
    assert_status(open_told_uri(uri, &error), ARIL_E_IO_PERMISSION);
    (void)snprintf(uri, sizeof uri, "redis://h?password-file=%s", missing);
    assert_status(open_told_uri(uri, &error), ARIL_E_NOT_FOUND);
    assert_status(open_told_uri("redis://h?password-file=", &error), ARIL_E_USAGE_RANGE);
    (void)snprintf(uri, sizeof uri, "redis://h?password-file=%s&password-file=%s", file, file);
    assert_status(open_told_uri(uri, &error), ARIL_E_USAGE_RANGE);

    aril_store *s = NULL;
    aril_store_config config = { .uri = "redis://h", .secret_path = file };
    assert_status(open_told(&config, &s, &error), ARIL_OK);
    assert_string_equal(seen.secret, file);
    aril_store_close(s);
    config.secret_path = loose;
    assert_status(open_told(&config, &s, &error), ARIL_E_IO_PERMISSION);
    config.secret_path = file;
    (void)snprintf(uri, sizeof uri, "redis://h?password-file=%s", file);
    config.uri = uri;
    assert_status(open_told(&config, &s, &error), ARIL_E_USAGE_RANGE);
    /* A path is a path: no query there. */
    assert_status(open_told_uri("sqlite:/a?password-file=/b", &error), ARIL_OK);
    assert_string_equal(seen.rest, "/a?password-file=/b");
    assert_string_equal(seen.secret, "");
}

static void a_backend_that_does_not_open_is_told(void **state)
{
    (void)state;
    aril_store *s = NULL;
    aril_error error = { .status = ARIL_OK };
    const aril_store_config config = { .uri = "redis://user@host/3?token=hunter2" };
    memset(&seen, 0, sizeof seen);
    seen.answer = ARIL_E_TIMEOUT;
    assert_status(arili_store_open_over(rt, &told, &config, &s, &error), ARIL_E_TIMEOUT);
    assert_null(s);
    assert_int_equal(seen.closed, 0);
    assert_non_null(strstr(error.message, "redis://host/3"));
    assert_null(strstr(error.message, "hunter2"));
    assert_null(strstr(error.message, "user"));
    /* It says that it can list, and has no function for it. */
    memset(&seen, 0, sizeof seen);
    seen.capabilities = ARIL_STORE_LIST;
    assert_status(arili_store_open_over(rt, &told, &config, &s, &error), ARIL_E_USAGE_RANGE);
    assert_int_equal(seen.closed, 1);
    struct arili_cache_store_ops other = told;
    other.abi++;
    assert_status(arili_store_open_over(rt, &other, &config, &s, &error), ARIL_E_USAGE_RANGE);
}

/* --- Calls --------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void deadlines_are_the_stores(void **state)
{
    (void)state;
    aril_store *s = NULL;
    aril_error error;
    const aril_store_config config = { .uri = "memory:", .deadline_ms = 600000 };
    aril_store_item item = { .name = TEXT("n") };
    assert_status(open_told(&config, &s, &error), ARIL_OK);
    const uint64_t before = now_ns();
    assert_status(aril_store_put(s, &item, 1, NULL), ARIL_OK);
    assert_true(seen.deadline_ns >= before + 600000 * UINT64_C(1000000));
    assert_true(seen.deadline_ns <= now_ns() + 600000 * UINT64_C(1000000));
    aril_store_info info;
    assert_status(aril_store_get_info(s, &info, NULL), ARIL_OK);
    assert_int_equal(info.failures, 0);
    assert_int_equal(info.calls, 1);
    assert_int_equal(info.entries, 5);
    assert_string_equal(info.kind, "told");
    assert_string_equal(info.description, "a?b");
    aril_store_close(s);
}

static void what_a_store_does_not_have_is_unavailable(void **state)
{
    (void)state;
    aril_store *s = NULL;
    aril_error error;
    uint64_t fence = 7;
    const aril_store_config config = { .uri = "memory:" };
    assert_status(open_told(&config, &s, &error), ARIL_OK);
    assert_int_equal(arili_store_capabilities(s), 0);
    assert_status(aril_store_lock(s, TEXT("l"), 1, &fence, &error), ARIL_E_UNAVAILABLE);
    assert_int_equal(fence, 0);
    assert_status(aril_store_unlock(s, TEXT("l"), 1, &error), ARIL_E_UNAVAILABLE);
    assert_status(aril_store_publish(s, TEXT("c"), TEXT("m"), &error), ARIL_E_UNAVAILABLE);
    aril_store_item item = { .name = TEXT("n"), .lock = TEXT("l"), .fence = 1 };
    assert_status(aril_store_put(s, &item, 1, &error), ARIL_E_UNAVAILABLE);
    assert_status(item.status, ARIL_E_UNAVAILABLE);
    assert_int_equal(seen.deadline_ns, 0);
    aril_store_close(s);
}

/* --- Over a store that fails --------------------------------------------------------------- */

static struct faulty_cache_store *faulty;
static aril_store *store;

static int faulty_setup(void **state)
{
    (void)state;
    const aril_store_config config = {
        .uri = "memory:", .deadline_ms = 60000, .breaker_after = 3, .breaker_ms = 600000
    };
    faulty = faulty_cache_store_new(&arili_cache_store_memory);
    return faulty_cache_store_open(faulty, rt, &config, &store, NULL) == ARIL_OK ? 0 : -1;
}

static int faulty_teardown(void **state)
{
    (void)state;
    aril_store_close(store);
    faulty_cache_store_free(faulty);
    return 0;
}

static aril_status put(const char *name, const char *value)
{
    const aril_bytes v = text_bytes(value);
    aril_store_item item = { .name = text_bytes(name), .parts = &v, .part_count = 1 };
    const aril_status st = aril_store_put(store, &item, 1, NULL);
    assert_status(item.status, st);
    return st;
}

static aril_status get(const char *name, char ret[64])
{
    aril_store_item item = { .name = text_bytes(name), .buffer = { (uint8_t *)ret, 63 } };
    memset(ret, 0, 64);
    const aril_status st = aril_store_get(store, &item, 1, NULL);
    if (st != ARIL_OK) {
        assert_status(item.status, st);
    }
    return item.status;
}

static aril_store_info info_of(void)
{
    aril_store_info info;
    assert_status(aril_store_get_info(store, &info, NULL), ARIL_OK);
    return info;
}

static void failures_open_the_breaker_and_calls_answer_at_once(void **state)
{
    (void)state;
    char value[64];
    aril_error error = { .status = ARIL_OK };
    aril_store_item item = { .name = TEXT("n") };
    uint64_t fence = 0;
    faulty_cache_store_arm_all(faulty, 1, ARIL_E_TIMEOUT);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(info_of().breaker, ARIL_BREAKER_CLOSED);
        assert_status(get("n", value), ARIL_E_TIMEOUT);
    }
    faulty_cache_store_disarm(faulty);
    assert_int_equal(info_of().breaker, ARIL_BREAKER_OPEN);
    const unsigned calls = faulty_cache_store_calls(faulty);
    assert_status(aril_store_get(store, &item, 1, &error), ARIL_E_UNAVAILABLE_STORE);
    assert_status(item.status, ARIL_E_UNAVAILABLE_STORE);
    assert_non_null(strstr(error.message, "memory:"));
    assert_status(put("n", "v"), ARIL_E_UNAVAILABLE_STORE);
    assert_status(aril_store_delete(store, &item, 1, NULL), ARIL_E_UNAVAILABLE_STORE);
    assert_status(aril_store_exists(store, &item, 1, NULL), ARIL_E_UNAVAILABLE_STORE);
    assert_status(aril_store_lock(store, TEXT("l"), 1, &fence, NULL), ARIL_E_UNAVAILABLE_STORE);
    assert_status(aril_store_publish(store, TEXT("c"), TEXT("m"), NULL), ARIL_E_UNAVAILABLE_STORE);
    assert_int_equal(faulty_cache_store_calls(faulty), calls);
    const aril_store_info info = info_of();
    assert_int_equal(info.calls, 9);
    assert_int_equal(info.failures, 3);
    assert_int_equal(info.rejected, 6);
    assert_true(info.entries == UINT64_MAX); /* it is not asked */
}

static void what_is_no_failure_does_not_open_the_breaker(void **state)
{
    (void)state;
    char value[64];
    static const aril_status fine[] = { ARIL_E_AUTH, ARIL_E_NOMEM, ARIL_E_IO_FULL };
    for (size_t i = 0; i < COUNT(fine); i++) {
        faulty_cache_store_arm_all(faulty, 1, fine[i]);
        for (unsigned j = 0; j < 6; j++) {
            assert_status(get("n", value), fine[i]);
        }
    }
    faulty_cache_store_disarm(faulty);
    for (unsigned j = 0; j < 6; j++) {
        assert_status(get("n", value), ARIL_E_NOT_FOUND);
    }
    assert_int_equal(info_of().breaker, ARIL_BREAKER_CLOSED);
    assert_int_equal(info_of().failures, 0);
}

static void an_answer_between_failures_keeps_it_closed(void **state)
{
    (void)state;
    char value[64];
    for (unsigned i = 0; i < 12; i++) {
        faulty_cache_store_arm(faulty, i % 3 == 2 ? 0 : 1, ARIL_E_IO);
        assert_status(get("n", value), i % 3 == 2 ? ARIL_E_NOT_FOUND : ARIL_E_IO);
    }
    assert_int_equal(info_of().breaker, ARIL_BREAKER_CLOSED);
    assert_int_equal(info_of().failures, 8);
}

static void an_item_without_an_answer_makes_a_partial_batch(void **state)
{
    (void)state;
    const aril_bytes v = TEXT("v");
    aril_store_item items[4];
    aril_error error = { .status = ARIL_OK };
    static const char *const names[] = { "0", "1", "2", "3" };
    for (unsigned round = 0; round < 10; round++) {
        for (size_t i = 0; i < COUNT(items); i++) {
            items[i] =
                (aril_store_item){ .name = text_bytes(names[i]), .parts = &v, .part_count = 1 };
        }
        faulty_cache_store_arm_item(faulty, 1, round % 4, ARIL_E_IO);
        assert_status(aril_store_put(store, items, COUNT(items), &error), ARIL_E_BATCH);
        assert_non_null(strstr(error.message, "1 of 4"));
        for (size_t i = 0; i < COUNT(items); i++) {
            assert_status(items[i].status, i == round % 4 ? ARIL_E_IO : ARIL_OK);
        }
    }
    /* Others were answered, so the store is there. */
    assert_int_equal(info_of().breaker, ARIL_BREAKER_CLOSED);
    /* Of one item nothing is partial. */
    faulty_cache_store_arm_item(faulty, 1, 0, ARIL_E_TIMEOUT);
    assert_status(aril_store_get(store, items, 1, NULL), ARIL_E_TIMEOUT);
    assert_int_equal(info_of().failures, 1);
}

static void lengths_that_cannot_be_are_refused(void **state)
{
    (void)state;
    uint8_t buffer[64];
    assert_status(put("n", "value"), ARIL_OK);
    static const size_t lengths[] = { 65, 1000, SIZE_MAX, ARIL_STORE_VALUE_BYTES_MAX + 1 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        memset(buffer, 0xa7, sizeof buffer);
        aril_store_item item = { .name = TEXT("n"), .buffer = { buffer, sizeof buffer } };
        faulty_cache_store_lie(faulty, FAULTY_CACHE_LENGTH, lengths[i]);
        const aril_status st = aril_store_get(store, &item, 1, NULL);
        assert_status_class(st, ARIL_E_FORMAT);
        assert_status(item.status, st);
        assert_int_equal(item.len, 0);
        assert_null(item.data);
        assert_true(is_filled(buffer, sizeof buffer, 0));
        faulty_cache_store_lie(faulty, FAULTY_CACHE_HONEST, 0);
        assert_status(aril_store_exists(store, &item, 1, NULL), ARIL_OK);
    }
}

static void a_lost_reply_leaves_outputs_alone(void **state)
{
    (void)state;
    char value[64];
    faulty_cache_store_arm_lost(faulty, 1, ARIL_E_IO);
    assert_status(put("n", "done"), ARIL_E_IO);
    assert_status(get("n", value), ARIL_OK);
    assert_string_equal(value, "done");
    uint64_t fence = 7;
    faulty_cache_store_arm_lost(faulty, 1, ARIL_E_TIMEOUT);
    assert_status(aril_store_lock(store, TEXT("l"), 600000, &fence, NULL), ARIL_E_TIMEOUT);
    assert_int_equal(fence, 0);
    assert_status(aril_store_lock(store, TEXT("l"), 600000, &fence, NULL), ARIL_E_EXISTS);
    faulty_cache_store_arm_lost(faulty, 1, ARIL_E_TIMEOUT);
    assert_status(get("n", value), ARIL_E_TIMEOUT);
    aril_store_item item = { .name = TEXT("n"), .buffer = { (uint8_t *)value, 63 } };
    faulty_cache_store_arm_lost(faulty, 1, ARIL_E_TIMEOUT);
    assert_status(aril_store_get(store, &item, 1, NULL), ARIL_E_TIMEOUT);
    assert_null(item.data);
    assert_int_equal(item.len, 0);
}

/* --- The lies of the wrapper, which the tests of others rely on ---------------------------- */

static void the_wrapper_lies_as_it_was_told(void **state)
{
    (void)state;
    char value[64];
    assert_status(put("a", "first"), ARIL_OK);
    assert_status(put("a", "newer"), ARIL_OK);
    assert_status(put("b", "of b"), ARIL_OK);
    static const struct {
        enum faulty_cache_lie lie;
        size_t number;
        const char *value;
    } lies[] = {
        { FAULTY_CACHE_HONEST, 0, "newer" },  { FAULTY_CACHE_TRUNCATE, 2, "ne" },
        { FAULTY_CACHE_TRUNCATE, 9, "newe" }, { FAULTY_CACHE_FLIP, 0, "oewer" },
        { FAULTY_CACHE_FLIP, 33, "newep" },   { FAULTY_CACHE_REPLAY, 0, "first" },
        { FAULTY_CACHE_OTHER, 0, "of b" },
    };
    for (size_t i = 0; i < COUNT(lies); i++) {
        faulty_cache_store_lie(faulty, lies[i].lie, lies[i].number);
        assert_status(get("a", value), ARIL_OK);
        assert_string_equal(value, lies[i].value);
    }
    faulty_cache_store_lie(faulty, FAULTY_CACHE_GONE, 0);
    assert_status(get("a", value), ARIL_E_NOT_FOUND);
    faulty_cache_store_lie(faulty, FAULTY_CACHE_APPEND, 3);
    aril_store_item items[2] = { { .name = TEXT("a"), .buffer = { (uint8_t *)value, 63 } } };
    assert_status(aril_store_get(store, items, 1, NULL), ARIL_OK);
    assert_int_equal(items[0].len, 8);
    faulty_cache_store_lie(faulty, FAULTY_CACHE_SWAP, 0);
    uint8_t second[64];
    items[1] = (aril_store_item){ .name = TEXT("b"), .buffer = { second, sizeof second } };
    assert_status(aril_store_get(store, items, 2, NULL), ARIL_OK);
    assert_memory_equal(items[0].data, "of b", 4);
    assert_memory_equal(items[1].data, "newer", 5);
    assert_int_equal(items[1].len, 5);
    /* A replay brings back what was deleted. */
    faulty_cache_store_lie(faulty, FAULTY_CACHE_REPLAY, 0);
    assert_status(aril_store_delete(store, items, 1, NULL), ARIL_OK);
    assert_status(get("a", value), ARIL_OK);
    assert_string_equal(value, "newer");
    faulty_cache_store_lie(faulty, FAULTY_CACHE_HONEST, 0);
    assert_status(get("a", value), ARIL_E_NOT_FOUND);
    faulty_cache_store_drop_puts(faulty, true);
    assert_status(put("c", "lost"), ARIL_OK);
    faulty_cache_store_drop_puts(faulty, false);
    assert_status(get("c", value), ARIL_E_NOT_FOUND);
}

/* --- A forked child ------------------------------------------------------------------------ */

static int use_in_child(void *arg)
{
    aril_store_item item = { .name = TEXT("n") };
    aril_store_info info;
    (void)arg;
    const bool refused = aril_store_get(store, &item, 1, NULL) == ARIL_E_FORKED &&
                         item.status == ARIL_E_FORKED &&
                         aril_store_get_info(store, &info, NULL) == ARIL_E_FORKED;
    aril_store_close(store); /* and does not touch what is the parent's */
    return refused ? 0 : 1;
}

static void a_forked_child_is_refused(void **state)
{
    (void)state;
    if (under_valgrind()) {
        skip(); /* a child leaves what is the parent's: to valgrind that is a leak */
    }
    char value[64];
    assert_status(put("n", "v"), ARIL_OK);
    assert_int_equal(child_run(use_in_child, NULL), 0);
    assert_status(get("n", value), ARIL_OK);
}

#define TEST(f)   cmocka_unit_test(f)
#define FAULTY(f) cmocka_unit_test_setup_teardown(f, faulty_setup, faulty_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_filled_in),
        TEST(members_out_of_range_are_refused),
        TEST(what_is_no_uri_of_a_store_is_refused),
        TEST(a_password_in_a_uri_is_refused_and_not_shown),
        TEST(the_password_file_becomes_the_secret_path),
        TEST(a_backend_that_does_not_open_is_told),
        TEST(deadlines_are_the_stores),
        TEST(what_a_store_does_not_have_is_unavailable),
        FAULTY(failures_open_the_breaker_and_calls_answer_at_once),
        FAULTY(what_is_no_failure_does_not_open_the_breaker),
        FAULTY(an_answer_between_failures_keeps_it_closed),
        FAULTY(an_item_without_an_answer_makes_a_partial_batch),
        FAULTY(lengths_that_cannot_be_are_refused),
        FAULTY(a_lost_reply_leaves_outputs_alone),
        FAULTY(the_wrapper_lies_as_it_was_told),
        FAULTY(a_forked_child_is_refused),
    };
    if (runtime_setup(NULL) != 0 || temp_folder_make(NULL) != 0) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += temp_folder_remove(NULL) != 0;
    runtime_teardown(NULL);
    return failed;
}
