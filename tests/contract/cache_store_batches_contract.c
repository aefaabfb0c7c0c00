/* SPDX-License-Identifier: Apache-2.0 */
/* Batches, and the time that values live. */
#include "cache_store_cases.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH        1500u
#define LONG_TTL_MS  600000u
#define SHORT_TTL_MS 40u

struct batch {
    aril_store_item items[BATCH];
    char names[BATCH][24];
    aril_bytes values[BATCH];
    uint8_t bytes[BATCH][64];
};

/* Number i has i % 64 bytes. */
static struct batch *batch_new(const char *prefix)
{
    struct batch *const b = calloc(1, sizeof *b);
    assert_non_null(b);
    for (unsigned i = 0; i < BATCH; i++) {
        (void)snprintf(b->names[i], sizeof b->names[i], "%s%u", prefix, i);
        fill_pattern(b->bytes[i], sizeof b->bytes[i], i);
        b->values[i] = (aril_bytes){ b->bytes[i], i % 64 };
        b->items[i].name = text_bytes(b->names[i]);
        b->items[i].parts = &b->values[i];
        b->items[i].part_count = 1;
    }
    return b;
}

static void batches_do_what_single_items_do(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    struct batch *const b = batch_new("b");
    assert_status(aril_store_exists(s, b->items, BATCH, NULL), ARIL_OK);
    for (unsigned i = 0; i < BATCH; i++) {
        assert_status(b->items[i].status, ARIL_E_NOT_FOUND);
    }
    assert_status(aril_store_put(s, b->items, BATCH, NULL), ARIL_OK);
    for (unsigned i = 0; i < BATCH; i++) {
        assert_status(b->items[i].status, ARIL_OK);
    }
    /* Every third is deleted; then each item of a batch has its own answer. */
    for (unsigned i = 0; i < BATCH; i += 3) {
        assert_status(try_delete(s, text_bytes(b->names[i])), ARIL_OK);
    }
    uint8_t(*const buffers)[64] = calloc(BATCH, sizeof *buffers);
    assert_non_null(buffers);
    for (unsigned i = 0; i < BATCH; i++) {
        b->items[i].buffer = (aril_span){ buffers[i], i % 5 == 0 && i % 64 > 0 ? i % 64 - 1 : 64 };
    }
    assert_status(aril_store_get(s, b->items, BATCH, NULL), ARIL_OK);
    for (unsigned i = 0; i < BATCH; i++) {
        const aril_store_item *const item = &b->items[i];
        if (i % 3 == 0) {
            assert_status(item->status, ARIL_E_NOT_FOUND);
        } else if (i % 5 == 0 && i % 64 > 0) {
            assert_status(item->status, ARIL_E_USAGE_TOO_SMALL);
            assert_int_equal(item->len, i % 64);
        } else {
            assert_status(item->status, ARIL_OK);
            assert_int_equal(item->len, i % 64);
            assert_memory_equal(buffers[i], b->bytes[i], i % 64);
        }
    }
    assert_status(aril_store_exists(s, b->items, BATCH, NULL), ARIL_OK);
    for (unsigned i = 0; i < BATCH; i++) {
        assert_status(b->items[i].status, i % 3 == 0 ? ARIL_E_NOT_FOUND : ARIL_OK);
    }
    assert_status(aril_store_delete(s, b->items, BATCH, NULL), ARIL_OK);
    for (unsigned i = 0; i < BATCH; i++) {
        assert_status(b->items[i].status, i % 3 == 0 ? ARIL_E_NOT_FOUND : ARIL_OK);
    }
    free(buffers);
    free(b);
    case_close(s);
}

static void absent_only_is_per_item(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    struct batch *const b = batch_new("x");
    for (unsigned i = 0; i < 100; i++) {
        b->items[i].absent_only = i % 2 == 0;
        if (i % 4 < 2) {
            put(s, text_bytes(b->names[i]), TEXT("old"));
        }
    }
    assert_status(aril_store_put(s, b->items, 100, NULL), ARIL_OK);
    for (unsigned i = 0; i < 100; i++) {
        const bool refused = i % 4 == 0;
        assert_status(b->items[i].status, refused ? ARIL_E_EXISTS : ARIL_OK);
        assert_value(s, text_bytes(b->names[i]), refused ? TEXT("old") : b->values[i]);
    }
    free(b);
    case_close(s);
}

static void of_two_items_with_one_name_the_later_wins(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    const aril_bytes values[] = { TEXT("first"), TEXT("second"), TEXT("third") };
    aril_store_item items[3];
    for (size_t i = 0; i < 3; i++) {
        items[i] = (aril_store_item){ .name = TEXT("same"), .parts = &values[i], .part_count = 1 };
    }
    assert_status(aril_store_put(s, items, 3, NULL), ARIL_OK);
    assert_value(s, TEXT("same"), values[2]);
    case_close(s);
}

static void a_batch_of_long_and_short_values_keeps_them_apart(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    enum { N = 24 };
    static uint8_t bytes[N][70000];
    static uint8_t out[N][70000];
    aril_bytes values[N];
    aril_store_item items[N];
    char names[N][8];
    for (unsigned i = 0; i < N; i++) {
        fill_pattern(bytes[i], sizeof bytes[i], i);
        values[i] = (aril_bytes){ bytes[i], i % 3 == 0 ? sizeof bytes[i] - i : i };
        (void)snprintf(names[i], sizeof names[i], "n%u", i);
        items[i] = (aril_store_item){ .name = text_bytes(names[i]),
                                      .parts = &values[i],
                                      .part_count = 1,
                                      .buffer = { out[i], sizeof out[i] } };
    }
    assert_status(aril_store_put(s, items, N, NULL), ARIL_OK);
    memset(out, 0, sizeof out);
    assert_status(aril_store_get(s, items, N, NULL), ARIL_OK);
    for (unsigned i = 0; i < N; i++) {
        assert_status(items[i].status, ARIL_OK);
        assert_int_equal(items[i].len, values[i].len);
        assert_true(memcmp(out[i], bytes[i], values[i].len) == 0);
    }
    case_close(s);
}

static void calls_that_cannot_be_are_refused(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    aril_store_item item = { .name = TEXT("n") };
    assert_status(aril_store_get(s, &item, 0, NULL), ARIL_OK);
    assert_status(aril_store_put(s, NULL, 0, NULL), ARIL_OK);
    assert_status(aril_store_get(s, NULL, 1, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_store_get(NULL, &item, 1, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_store_get(s, &item, ARIL_STORE_BATCH_MAX + 1, NULL), ARIL_E_USAGE_RANGE);
    item.part_count = 1;
    assert_status(aril_store_put(s, &item, 1, NULL), ARIL_E_USAGE_NULL);
    const aril_bytes parts[] = { { (const uint8_t *)"", ARIL_STORE_VALUE_BYTES_MAX },
                                 { (const uint8_t *)"", 1 } };
    item.parts = parts;
    item.part_count = 2;
    assert_status(aril_store_put(s, &item, 1, NULL), ARIL_E_USAGE_RANGE);
    item = (aril_store_item){ .name = TEXT("n"), .absent_only = 2 };
    assert_status(aril_store_put(s, &item, 1, NULL), ARIL_E_USAGE_RANGE);
    item = (aril_store_item){ .name = { NULL, 3 } };
    assert_status(aril_store_delete(s, &item, 1, NULL), ARIL_E_USAGE_NULL);
    assert_nothing(s, TEXT("n"));
    case_close(s);
}

/* --- Time ---------------------------------------------------------------------------------- */

static void put_for(aril_store *s, aril_bytes name, aril_bytes value, uint64_t ttl_ms)
{
    const aril_store_item item = { .name = name, .ttl_ms = ttl_ms };
    assert_status(try_put_item(s, item, value), ARIL_OK);
}

static void wait_until_gone(aril_store *s, aril_bytes name)
{
    for (poll_begin(); try_exists(s, name) == ARIL_OK; poll_again()) {
    }
}

static void a_value_goes_when_its_time_is_over(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    put_for(s, TEXT("long"), TEXT("stays"), LONG_TTL_MS);
    put_for(s, TEXT("ever"), TEXT("stays"), UINT64_MAX);
    put_for(s, TEXT("short"), TEXT("goes"), SHORT_TTL_MS);
    wait_until_gone(s, TEXT("short"));
    assert_nothing(s, TEXT("short"));
    assert_status(try_delete(s, TEXT("short")), ARIL_E_NOT_FOUND);
    assert_value(s, TEXT("long"), TEXT("stays"));
    assert_value(s, TEXT("ever"), TEXT("stays"));
    case_close(s);
}

/* "mark" is put last, so when it is gone the time of those before it is over as well. */
static void the_newest_put_decides_the_time(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    put_for(s, TEXT("freed"), TEXT("1"), SHORT_TTL_MS);
    put_for(s, TEXT("freed"), TEXT("2"), 0);
    put_for(s, TEXT("longer"), TEXT("1"), SHORT_TTL_MS);
    put_for(s, TEXT("longer"), TEXT("2"), LONG_TTL_MS);
    put_for(s, TEXT("shorter"), TEXT("1"), LONG_TTL_MS);
    put_for(s, TEXT("shorter"), TEXT("2"), SHORT_TTL_MS);
    put_for(s, TEXT("bound"), TEXT("1"), 0);
    put_for(s, TEXT("bound"), TEXT("2"), SHORT_TTL_MS);
    put_for(s, TEXT("mark"), TEXT("x"), SHORT_TTL_MS);
    wait_until_gone(s, TEXT("mark"));
    assert_value(s, TEXT("freed"), TEXT("2"));
    assert_value(s, TEXT("longer"), TEXT("2"));
    assert_nothing(s, TEXT("shorter"));
    assert_nothing(s, TEXT("bound"));
    case_close(s);
}

static void absent_only_takes_the_place_of_what_is_over(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    const aril_store_item item = { .name = TEXT("n"), .absent_only = 1, .ttl_ms = LONG_TTL_MS };
    put_for(s, TEXT("n"), TEXT("old"), SHORT_TTL_MS);
    aril_status st = ARIL_OK;
    for (poll_begin(); (st = try_put_item(s, item, TEXT("new"))) == ARIL_E_EXISTS; poll_again()) {
    }
    assert_status(st, ARIL_OK);
    assert_value(s, TEXT("n"), TEXT("new"));
    assert_status(try_put_item(s, item, TEXT("newer")), ARIL_E_EXISTS);
    case_close(s);
}

static int fail_on_short(void *user, aril_bytes name)
{
    bool *const found = user;
    *found = *found || (name.len == 5 && memcmp(name.data, "short", 5) == 0);
    return 0;
}

static void what_is_over_is_not_listed(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    bool found = false;
    put_for(s, TEXT("short"), TEXT("goes"), SHORT_TTL_MS);
    wait_until_gone(s, TEXT("short"));
    assert_status(aril_store_scan(s, TEXT(""), fail_on_short, &found, NULL), ARIL_OK);
    assert_false(found);
    case_close(s);
}

const struct cache_store_case cache_store_batch_cases[] = {
    { "batches_do_what_single_items_do", batches_do_what_single_items_do, 0, 0 },
    { "absent_only_is_per_item", absent_only_is_per_item, 0, 0 },
    { "of_two_items_with_one_name_the_later_wins", of_two_items_with_one_name_the_later_wins, 0,
      0 },
    { "a_batch_of_long_and_short_values_keeps_them_apart",
      a_batch_of_long_and_short_values_keeps_them_apart, 0, 0 },
    { "calls_that_cannot_be_are_refused", calls_that_cannot_be_are_refused, 0, 0 },
    { NULL, NULL, 0, 0 },
};
const struct cache_store_case cache_store_ttl_cases[] = {
    { "a_value_goes_when_its_time_is_over", a_value_goes_when_its_time_is_over, ARIL_STORE_TTL, 0 },
    { "the_newest_put_decides_the_time", the_newest_put_decides_the_time, ARIL_STORE_TTL, 0 },
    { "absent_only_takes_the_place_of_what_is_over", absent_only_takes_the_place_of_what_is_over,
      ARIL_STORE_TTL, 0 },
    { "what_is_over_is_not_listed", what_is_over_is_not_listed, ARIL_STORE_TTL | ARIL_STORE_LIST,
      0 },
    { NULL, NULL, 0, 0 },
};
