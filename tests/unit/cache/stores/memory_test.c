/* SPDX-License-Identifier: Apache-2.0 */
/* What the contract does not ask of the store in memory: eviction, names, growth, slow listeners.
 */
#include "check.h"
#include "fixture.h"
#include "runtime.h"
#include <aril/store.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 30000u

static aril_store *open_uri(const char *uri, uint64_t bytes_max)
{
    aril_store *s = NULL;
    const aril_store_config config = { .uri = uri, .bytes_max = bytes_max, .deadline_ms = 120000 };
    assert_status(aril_store_open(rt, &config, &s, NULL), ARIL_OK);
    return s;
}

static aril_status put(aril_store *s, unsigned number, size_t len)
{
    char name[16];
    static uint8_t bytes[100000];
    const aril_bytes v = { bytes, len };
    (void)snprintf(name, sizeof name, "n%u", number);
    memset(bytes, (int)(number & 0xff), len);
    aril_store_item item = { .name = text_bytes(name), .parts = &v, .part_count = 1 };
    assert_status(aril_store_put(s, &item, 1, NULL), ARIL_OK);
    return item.status;
}

static bool has(aril_store *s, unsigned number)
{
    char name[16];
    (void)snprintf(name, sizeof name, "n%u", number);
    uint8_t byte[100000];
    aril_store_item item = { .name = text_bytes(name), .buffer = { byte, sizeof byte } };
    assert_status(aril_store_get(s, &item, 1, NULL), ARIL_OK);
    return item.status == ARIL_OK;
}

static aril_store_info info_of(aril_store *s)
{
    aril_store_info info;
    assert_status(aril_store_get_info(s, &info, NULL), ARIL_OK);
    return info;
}

static void the_least_used_values_go_first(void **state)
{
    (void)state;
    aril_store *const s = open_uri("memory:", 100000);
    for (unsigned i = 0; i < 9; i++) {
        assert_status(put(s, i, 10000), ARIL_OK);
    }
    assert_true(has(s, 0) && has(s, 1)); /* used: 2 is the oldest now */
    for (unsigned i = 9; i < 12; i++) {
        assert_status(put(s, i, 10000), ARIL_OK);
        assert_true(has(s, i));
        assert_true(info_of(s).bytes <= 100000);
    }
    assert_true(has(s, 0) && has(s, 1));
    assert_false(has(s, 2) || has(s, 3) || has(s, 4));
    assert_true(has(s, 5));
    aril_store_close(s);
}

static void the_bound_holds_for_any_lengths(void **state)
{
    (void)state;
    aril_store *const s = open_uri("memory:", 50000);
    for (unsigned i = 0; i < 2000; i++) {
        assert_status(put(s, i % 300, i * 37 % 9000), ARIL_OK);
        assert_true(has(s, i % 300));
        const aril_store_info info = info_of(s);
        assert_true(info.bytes <= 50000 && info.entries <= 300);
    }
    assert_true(info_of(s).entries > 5);
    /* What is longer than all of it pushes nothing out. */
    const uint64_t entries = info_of(s).entries;
    assert_status(put(s, 1999 % 300, 50000), ARIL_E_IO_FULL);
    assert_int_equal(info_of(s).entries, entries);
    assert_true(has(s, 1999 % 300));
    aril_store_close(s);
}

static void bytes_are_counted_back(void **state)
{
    (void)state;
    aril_store *const s = open_uri("memory:", 0);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 100; i++) {
            assert_status(put(s, i, 1000 * round + i), ARIL_OK);
        }
    }
    assert_int_equal(info_of(s).entries, 100);
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "n%u", i);
        aril_store_item item = { .name = text_bytes(name) };
        assert_status(aril_store_delete(s, &item, 1, NULL), ARIL_OK);
        assert_status(item.status, ARIL_OK);
    }
    assert_int_equal(info_of(s).entries, 0);
    assert_int_equal(info_of(s).bytes, 0);
    aril_store_close(s);
}

static void a_name_is_one_memory_and_no_name_is_none(void **state)
{
    (void)state;
    aril_store *const a = open_uri("memory:shared", 0);
    aril_store *b = open_uri("memory:shared", 0);
    aril_store *const other = open_uri("memory:share", 0);
    aril_store *const own = open_uri("memory:", 0);
    aril_store *const own_too = open_uri("memory:", 0);
    assert_status(put(a, 1, 10), ARIL_OK);
    assert_status(put(own, 2, 10), ARIL_OK);
    assert_true(has(b, 1));
    assert_false(has(other, 1) || has(own, 1) || has(own_too, 2));
    aril_store_close(a);
    assert_true(has(b, 1));
    aril_store_close(b);
    b = open_uri("memory:shared", 0); /* the last one took it along */
    assert_false(has(b, 1));
    aril_store_close(b);
    aril_store_close(other);
    aril_store_close(own);
    aril_store_close(own_too);
    char uri[300];
    aril_error error;
    memset(uri, 'x', sizeof uri);
    memcpy(uri, "memory:", 7);
    uri[7 + 256] = '\0';
    const aril_store_config config = { .uri = uri };
    assert_status(aril_store_open(rt, &config, &b, &error), ARIL_E_USAGE_RANGE);
}

struct listing {
    aril_store *store;
    unsigned char seen[MANY];
    unsigned total;
};

static int mark(void *user, aril_bytes name)
{
    struct listing *const l = user;
    char text[16] = { 0 };
    memcpy(text, name.data, name.len < 15 ? name.len : 15);
    const unsigned long number = strtoul(text + 1, NULL, 10);
    if (number < MANY) {
        l->seen[number] = 1;
    }
    /* More names come in meanwhile, so that tables grow under the listing. */
    if (l->total++ < MANY) {
        assert_status(put(l->store, MANY + l->total, 1), ARIL_OK);
    }
    return 0;
}

static void a_listing_goes_on_while_tables_grow(void **state)
{
    (void)state;
    struct listing *const l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->store = open_uri("memory:", 0);
    for (unsigned i = 0; i < MANY; i++) {
        assert_status(put(l->store, i, 1), ARIL_OK);
    }
    assert_status(aril_store_scan(l->store, TEXT("n"), mark, l, NULL), ARIL_OK);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(l->seen[i], 1);
    }
    aril_store_close(l->store);
    free(l);
}

/* Names of the greatest length: more than a page in every bucket. */
static int count(void *user, aril_bytes name)
{
    (void)name;
    (*(unsigned *)user)++;
    return 0;
}

static void long_names_are_listed_too(void **state)
{
    (void)state;
    aril_store *const s = open_uri("memory:", 0);
    uint8_t name[ARIL_STORE_NAME_BYTES_MAX] = { 0 };
    for (unsigned i = 0; i < 500; i++) {
        name[0] = (uint8_t)i;
        name[1] = (uint8_t)(i >> 8);
        aril_store_item item = { .name = { name, sizeof name } };
        assert_status(aril_store_put(s, &item, 1, NULL), ARIL_OK);
    }
    unsigned n = 0;
    assert_status(aril_store_scan(s, TEXT(""), count, &n, NULL), ARIL_OK);
    assert_int_equal(n, 500);
    aril_store_close(s);
}

/* --- A listener that does not come back ------------------------------------------------------ */

struct slow {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool inside, released;
    unsigned messages, lost;
};

static void be_slow(void *user, aril_bytes message)
{
    struct slow *const s = user;
    (void)pthread_mutex_lock(&s->mutex);
    s->inside = true;
    (void)pthread_cond_broadcast(&s->changed);
    while (!s->released) {
        (void)pthread_cond_wait(&s->changed, &s->mutex);
    }
    s->messages += message.len > 0;
    s->lost += message.len == 0;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->mutex);
}

static void a_slow_listener_is_told_that_it_lost_messages(void **state)
{
    (void)state;
    static struct slow slow = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                                .changed = PTHREAD_COND_INITIALIZER };
    static uint8_t message[65536] = { 1 };
    aril_store *const s = open_uri("memory:", 0);
    assert_status(aril_store_listen(s, TEXT("c"), be_slow, &slow, NULL), ARIL_OK);
    assert_status(aril_store_publish(s, TEXT("c"), TEXT("first"), NULL), ARIL_OK);
    (void)pthread_mutex_lock(&slow.mutex);
    while (!slow.inside) {
        (void)pthread_cond_wait(&slow.changed, &slow.mutex);
    }
    (void)pthread_mutex_unlock(&slow.mutex);
    for (unsigned i = 0; i < 40; i++) { /* 2.5 MiB; the publisher does not wait for it */
        assert_status(
            aril_store_publish(s, TEXT("c"), (aril_bytes){ message, sizeof message }, NULL),
            ARIL_OK);
    }
    (void)pthread_mutex_lock(&slow.mutex);
    slow.released = true;
    (void)pthread_cond_broadcast(&slow.changed);
    while (slow.lost == 0 || slow.messages < 17) {
        (void)pthread_cond_wait(&slow.changed, &slow.mutex);
    }
    assert_int_equal(slow.lost, 1);
    (void)pthread_mutex_unlock(&slow.mutex);
    assert_status(aril_store_publish(s, TEXT("c"), (aril_bytes){ message, 65537 }, NULL),
                  ARIL_E_USAGE_RANGE);
    aril_store_close(s);
    assert_int_equal(slow.messages, 17); /* the first, and what the queue holds */
}

static void the_number_of_locks_is_bounded(void **state)
{
    (void)state;
    aril_store *const s = open_uri("memory:", 0);
    uint64_t fence = 0;
    uint64_t first = 0;
    for (uint32_t i = 0; i < 65536; i++) {
        const aril_bytes name = { (const uint8_t *)&i, sizeof i };
        assert_true(aril_store_lock(s, name, 600000, &fence, NULL) == ARIL_OK);
        first = i == 0 ? fence : first;
    }
    assert_status(aril_store_lock(s, TEXT("one more"), 600000, &fence, NULL), ARIL_E_LIMIT);
    const uint32_t zero = 0;
    assert_status(
        aril_store_unlock(s, (aril_bytes){ (const uint8_t *)&zero, sizeof zero }, first, NULL),
        ARIL_OK);
    assert_status(aril_store_lock(s, TEXT("one more"), 600000, &fence, NULL), ARIL_OK);
    aril_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_used_values_go_first),
        cmocka_unit_test(the_bound_holds_for_any_lengths),
        cmocka_unit_test(bytes_are_counted_back),
        cmocka_unit_test(a_name_is_one_memory_and_no_name_is_none),
        cmocka_unit_test(a_listing_goes_on_while_tables_grow),
        cmocka_unit_test(long_names_are_listed_too),
        cmocka_unit_test(a_slow_listener_is_told_that_it_lost_messages),
        cmocka_unit_test(the_number_of_locks_is_bounded),
    };
    return cmocka_run_group_tests(tests, runtime_setup, runtime_teardown);
}
