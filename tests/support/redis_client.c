/* SPDX-License-Identifier: Apache-2.0 */
#include "redis_client.h"
#include "check.h"
#include "runtime.h"
#include <string.h>
#include <time.h>

uint32_t client_deadline_ms = 10000;
aril_error client_error;

uint64_t client_now_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t client_deadline_ns(void)
{
    return client_now_ns() + client_deadline_ms * UINT64_C(1000000);
}

aril_bytes client_text(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

aril_status client_open_with(const char *uri, const aril_store_config *config, void **ret)
{
    aril_store_config all = { 0 };
    char scheme[32] = "";
    const char *const colon = strchr(uri, ':');
    if (config != NULL) {
        all = *config;
    }
    all.uri = uri;
    all.deadline_ms = all.deadline_ms != 0 ? all.deadline_ms : client_deadline_ms;
    all.connections = all.connections != 0 ? all.connections : 8;
    assert_non_null(colon);
    assert_in_range(colon - uri, 1, sizeof scheme - 1);
    memcpy(scheme, uri, (size_t)(colon - uri));
    const struct arili_cache_store_options options = { rt, &all, colon + 1 };
    uint32_t capabilities = 0;
    client_error = (aril_error){ 0 };
    const aril_status st =
        arili_cache_store_redis.open(&options, scheme, ret, &capabilities, &client_error);
    if (st == ARIL_OK) {
        assert_int_equal(capabilities, ARIL_STORE_TTL | ARIL_STORE_LIST | ARIL_STORE_LOCK |
                                           ARIL_STORE_NOTIFY | ARIL_STORE_SHARED);
    }
    return st;
}

void *client_open(const char *uri)
{
    void *state = NULL;
    const aril_status st = client_open_with(uri, NULL, &state);
    if (st != ARIL_OK) {
        print_message("%s\n", client_error.message);
    }
    assert_status(st, ARIL_OK);
    return state;
}

void client_close(void *state)
{
    arili_cache_store_redis.close(state);
}

/* The status of the one item, which is the call's where it says so. */
static aril_status outcome(aril_status st, const aril_store_item *item)
{
    if (st != ARIL_OK) {
        assert_status(item->status, st);
        assert_string_not_equal(client_error.message, "");
    }
    return item->status;
}

aril_status client_put(void *state, const char *name, const char *value)
{
    const aril_bytes part = client_text(value);
    aril_store_item item = { .name = client_text(name), .parts = &part, .part_count = 1 };
    client_error = (aril_error){ 0 };
    return outcome(
        arili_cache_store_redis.put(state, &item, 1, client_deadline_ns(), &client_error), &item);
}

aril_status client_get(void *state, const char *name, const char *want)
{
    uint8_t buffer[256] = { 0 };
    aril_store_item item = { .name = client_text(name), .buffer = { buffer, sizeof buffer } };
    client_error = (aril_error){ 0 };
    const aril_status st = outcome(
        arili_cache_store_redis.get(state, &item, 1, client_deadline_ns(), &client_error), &item);
    if (st == ARIL_OK) {
        assert_ptr_equal(item.data, buffer);
        assert_int_equal(item.len, strlen(want));
        assert_memory_equal(item.data, want, item.len);
    } else {
        assert_null(item.data);
    }
    return st;
}

aril_status client_erase(void *state, const char *name)
{
    aril_store_item item = { .name = client_text(name) };
    client_error = (aril_error){ 0 };
    return outcome(
        arili_cache_store_redis.erase(state, &item, 1, client_deadline_ns(), &client_error), &item);
}

aril_status client_exists(void *state, const char *name)
{
    aril_store_item item = { .name = client_text(name) };
    client_error = (aril_error){ 0 };
    return outcome(
        arili_cache_store_redis.exists(state, &item, 1, client_deadline_ns(), &client_error),
        &item);
}
