/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_store_cases.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CASES_MAX 96u
#define POLLS_MAX 12000u

const struct cache_store_subject *cache_store_subject;
static unsigned polls;
static aril_store *open_stores[4]; /* of the case that runs */

aril_store *case_open(void)
{
    aril_store *store = NULL;
    aril_error error = { .status = ARIL_OK };
    const aril_status st = cache_store_subject->open(cache_store_subject->user, &store, &error);
    if (st != ARIL_OK) {
        print_message("%s\n", error.message);
    }
    assert_status(st, ARIL_OK);
    assert_non_null(store);
    for (size_t i = 0; i < COUNT(open_stores); i++) {
        if (open_stores[i] == NULL) {
            open_stores[i] = store;
            return store;
        }
    }
    fail_msg("a case opens too many stores");
    return NULL;
}

void case_close(aril_store *store)
{
    for (size_t i = 0; i < COUNT(open_stores); i++) {
        open_stores[i] = open_stores[i] == store ? NULL : open_stores[i];
    }
    aril_store_close(store);
}

/* --- Single items -------------------------------------------------------------------------- */

/* A batch of one has the status of its item, but for items without an answer. */
static aril_status one(aril_status st, const aril_store_item *item, const aril_error *error)
{
    if (st != ARIL_OK) {
        print_message("%s\n", error->message);
        assert_status(item->status, st);
        assert_status(error->status, st);
        assert_true(strlen(error->message) > 10);
    }
    return item->status;
}

void got_done(struct got *g)
{
    free(g->data);
    *g = (struct got){ NULL, 0 };
}

static uint8_t *give_room(void *user, size_t len)
{
    struct got *const g = user;
    assert_null(g->data); /* one room for a value */
    g->data = malloc(len > 0 ? len : 1);
    assert_non_null(g->data);
    g->len = len;
    return g->data;
}

aril_status try_put_item(aril_store *s, aril_store_item item, aril_bytes value)
{
    aril_error error = { .status = ARIL_OK };
    item.parts = &value;
    item.part_count = 1;
    const aril_status st = aril_store_put(s, &item, 1, &error);
    return one(st, &item, &error);
}

aril_status try_put(aril_store *s, aril_bytes name, aril_bytes value)
{
    return try_put_item(s, (aril_store_item){ .name = name }, value);
}

aril_status try_get(aril_store *s, aril_bytes name, struct got *ret)
{
    aril_error error = { .status = ARIL_OK };
    aril_store_item item = { .name = name, .room = give_room, .user = ret };
    *ret = (struct got){ NULL, 0 };
    const aril_status st = one(aril_store_get(s, &item, 1, &error), &item, &error);
    if (st != ARIL_OK) {
        got_done(ret);
        assert_null(item.data);
        assert_int_equal(item.len, 0);
        return st;
    }
    /* An empty value fits the buffer of no bytes. */
    assert_int_equal(item.len, ret->len);
    assert_ptr_equal(item.data, ret->data);
    return st;
}

aril_status try_delete(aril_store *s, aril_bytes name)
{
    aril_error error = { .status = ARIL_OK };
    aril_store_item item = { .name = name };
    return one(aril_store_delete(s, &item, 1, &error), &item, &error);
}

aril_status try_exists(aril_store *s, aril_bytes name)
{
    aril_error error = { .status = ARIL_OK };
    aril_store_item item = { .name = name };
    return one(aril_store_exists(s, &item, 1, &error), &item, &error);
}

void put(aril_store *s, aril_bytes name, aril_bytes value)
{
    assert_status(try_put(s, name, value), ARIL_OK);
}

void assert_value(aril_store *s, aril_bytes name, aril_bytes value)
{
    struct got g;
    assert_status(try_get(s, name, &g), ARIL_OK);
    assert_int_equal(g.len, value.len);
    if (value.len > 0) {
        /* Not assert_memory_equal: values may be long, and differences many. */
        assert_true(memcmp(g.data, value.data, value.len) == 0);
    }
    got_done(&g);
    assert_status(try_exists(s, name), ARIL_OK);
}

void assert_nothing(aril_store *s, aril_bytes name)
{
    struct got g;
    assert_status(try_get(s, name, &g), ARIL_E_NOT_FOUND);
    assert_status(try_exists(s, name), ARIL_E_NOT_FOUND);
}

aril_bytes numbered(const char *prefix, unsigned number)
{
    static char texts[8][64];
    static unsigned next;
    char *const text = texts[next++ % COUNT(texts)];
    (void)snprintf(text, sizeof texts[0], "%s%u", prefix, number);
    return text_bytes(text);
}

/* --- Waiting for a store's clock ----------------------------------------------------------- */

void poll_begin(void)
{
    polls = 0;
}

void poll_again(void)
{
    const struct timespec pause = { .tv_nsec = 5000000 };
    assert_true(polls++ < POLLS_MAX);
    (void)nanosleep(&pause, NULL);
}

/* --- For other threads --------------------------------------------------------------------- */

aril_status quiet_get(aril_store *s, aril_bytes name, uint8_t *buffer, size_t cap, size_t *ret_len)
{
    aril_store_item item = { .name = name, .buffer = { buffer, cap } };
    const aril_status st = aril_store_get(s, &item, 1, NULL);
    *ret_len = item.len;
    return st != ARIL_OK ? st : item.status;
}

aril_status quiet_put(aril_store *s, aril_store_item *item, aril_bytes value)
{
    item->parts = &value;
    item->part_count = 1;
    const aril_status st = aril_store_put(s, item, 1, NULL);
    item->parts = NULL;
    item->part_count = 0;
    return st != ARIL_OK ? st : item->status;
}

/* --- Running ------------------------------------------------------------------------------- */

static int clear(void **state)
{
    (void)state;
    if (cache_store_subject->clear != NULL) {
        cache_store_subject->clear(cache_store_subject->user);
    }
    return 0;
}

/* What a case that failed left open. */
static int close_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(open_stores); i++) {
        aril_store_close(open_stores[i]);
        open_stores[i] = NULL;
    }
    return 0;
}

static bool applies(const struct cache_store_case *c)
{
    return (c->needs & ~cache_store_subject->capabilities) == 0 &&
           (c->survives == 0 || cache_store_subject->survives != 0);
}

int cache_store_contract_run(const struct cache_store_subject *subject,
                             struct cache_store_result *ret)
{
    static const struct cache_store_case *const groups[] = {
        cache_store_value_cases,  cache_store_piece_cases, cache_store_batch_cases,
        cache_store_ttl_cases,    cache_store_scan_cases,  cache_store_lock_cases,
        cache_store_thread_cases,
    };
    struct CMUnitTest tests[CASES_MAX];
    size_t count = 0;
    struct cache_store_result result = { 0 };
    cache_store_subject = subject;
    for (size_t g = 0; g < COUNT(groups); g++) {
        for (const struct cache_store_case *c = groups[g]; c->name != NULL; c++) {
            if (!applies(c)) {
                print_message("[ NOT APPLICABLE ] %s: %s\n", subject->name, c->name);
                result.not_applicable++;
                continue;
            }
            if (count == CASES_MAX) {
                print_error("CASES_MAX is too small\n");
                return 1;
            }
            tests[count++] = (struct CMUnitTest){ c->name, c->run, clear, close_all, NULL };
        }
    }
    result.failed = _cmocka_run_group_tests(subject->name, tests, count, NULL, NULL);
    result.passed = (unsigned)count - (unsigned)result.failed;
    print_message("[ CONTRACT ] %s: %u passed, %d failed, %u not applicable\n", subject->name,
                  result.passed, result.failed, result.not_applicable);
    if (ret != NULL) {
        ret->failed += result.failed;
        ret->passed += result.passed;
        ret->not_applicable += result.not_applicable;
    }
    return result.failed;
}
