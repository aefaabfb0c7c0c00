/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on one store. What they find wrong they keep, and the test asks at the end. */
#include "cache_store_cases.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define THREADS     8u
#define LONG_TTL_MS 600000u

struct work {
    aril_store *store;
    unsigned number;
    atomic_int *stop;
    unsigned done, misses;
    const char *problem; /* NULL: none */
    aril_status status;
};

static void run(struct work *work, unsigned count, void *(*fn)(void *))
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fn, &work[i]), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        if (work[i].problem != NULL) {
            fail_msg("thread %u: %s: %s", i, work[i].problem, aril_status_name(work[i].status));
        }
    }
}

static bool wrong(struct work *w, const char *problem, aril_status st)
{
    w->problem = problem;
    w->status = st;
    return false;
}

/* Each has names of its own, so that what must be there is known. */
static void *use_own_names(void *arg)
{
    struct work *const w = arg;
    uint8_t value[3000];
    uint8_t buffer[3000];
    for (unsigned i = 0; i < 150 && w->problem == NULL; i++) {
        uint8_t name[3] = { 'n', (uint8_t)w->number, (uint8_t)(i % 8) };
        aril_store_item item = { .name = { name, sizeof name } };
        const size_t len = (i * 37 + w->number) % sizeof value;
        size_t got = 0;
        fill_pattern(value, len, i * 100 + w->number);
        aril_status st = quiet_put(w->store, &item, (aril_bytes){ value, len });
        if (st != ARIL_OK) {
            (void)wrong(w, "put", st);
            break;
        }
        st = quiet_get(w->store, item.name, buffer, sizeof buffer, &got);
        if (st != ARIL_OK || got != len || memcmp(buffer, value, len) != 0) {
            (void)wrong(w, "get", st);
            break;
        }
        if (i % 5 == 0) {
            st = aril_store_delete(w->store, &item, 1, NULL);
            st = st == ARIL_OK ? item.status : st;
            if (st != ARIL_OK) {
                (void)wrong(w, "delete", st);
                break;
            }
            st = quiet_get(w->store, item.name, buffer, sizeof buffer, &got);
            if (st != ARIL_E_NOT_FOUND) {
                (void)wrong(w, "get after delete", st);
            }
        }
    }
    return NULL;
}

static void threads_do_not_disturb_one_another(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    struct work work[THREADS] = { { 0 } };
    for (unsigned i = 0; i < THREADS; i++) {
        work[i].store = s;
        work[i].number = i;
    }
    run(work, THREADS, use_own_names);
    case_close(s);
}

/* A value says how long it is and what its bytes are: one of another put in it would show. */
#define WHOLE_MAX 120000u

static void make_whole(uint8_t *value, size_t len, uint8_t number)
{
    memset(value, number, len);
    value[0] = (uint8_t)(len >> 16);
    value[1] = (uint8_t)(len >> 8);
    value[2] = (uint8_t)len;
}

static bool is_whole(const uint8_t *value, size_t len)
{
    return len >= 4 && ((size_t)value[0] << 16 | (size_t)value[1] << 8 | value[2]) == len &&
           is_filled(value + 3, len - 3, value[3]);
}

static void overwrite(struct work *w, uint8_t *value)
{
    for (unsigned i = 0; i < 60 && w->problem == NULL; i++) {
        aril_store_item item = { .name = TEXT("shared") };
        const size_t len = 4 + (i * 7919 + w->number * 4001) % (WHOLE_MAX - 4);
        make_whole(value, len, (uint8_t)(w->number * 61 + i));
        const aril_status st = quiet_put(w->store, &item, (aril_bytes){ value, len });
        if (st != ARIL_OK) {
            (void)wrong(w, "put", st);
        }
    }
    (void)atomic_fetch_add(w->stop, 1);
}

static void look(struct work *w, uint8_t *buffer)
{
    while (w->problem == NULL && atomic_load(w->stop) < (int)(THREADS / 2)) {
        size_t len = 0;
        const aril_status st = quiet_get(w->store, TEXT("shared"), buffer, WHOLE_MAX, &len);
        if (st != ARIL_OK) {
            (void)wrong(w, "get", st);
        } else if (!is_whole(buffer, len)) {
            (void)wrong(w, "a mixture of two values", st);
        }
        w->done++;
    }
}

static void *overwrite_or_look(void *arg)
{
    struct work *const w = arg;
    uint8_t *const buffer = malloc(WHOLE_MAX);
    if (buffer == NULL) {
        (void)wrong(w, "malloc", ARIL_E_NOMEM);
        (void)atomic_fetch_add(w->stop, 1);
        return NULL;
    }
    if (w->number % 2 == 0) {
        overwrite(w, buffer);
    } else {
        look(w, buffer);
    }
    free(buffer);
    return NULL;
}

static void values_are_whole_while_they_are_replaced(void **state)
{
    (void)state;
    aril_store *const stores[2] = { case_open(), case_open() };
    atomic_int stop = 0;
    uint8_t first[4];
    struct work work[THREADS] = { { 0 } };
    make_whole(first, sizeof first, 9);
    put(stores[0], TEXT("shared"), (aril_bytes){ first, sizeof first });
    for (unsigned i = 0; i < THREADS; i++) {
        work[i] = (struct work){ .store = stores[i / 4], .number = i, .stop = &stop };
    }
    run(work, THREADS, overwrite_or_look);
    for (size_t i = 0; i < 2; i++) {
        case_close(stores[i]);
    }
}

/* Of those that put the same absent name one succeeds. */
static void *be_first(void *arg)
{
    struct work *const w = arg;
    for (unsigned i = 0; i < 60 && w->problem == NULL; i++) {
        uint8_t name[2] = { 'f', (uint8_t)i };
        aril_store_item item = { .name = { name, sizeof name }, .absent_only = 1 };
        const uint8_t number = (uint8_t)w->number;
        const aril_status st = quiet_put(w->store, &item, (aril_bytes){ &number, 1 });
        if (st == ARIL_OK) {
            w->done++;
        } else if (st != ARIL_E_EXISTS) {
            (void)wrong(w, "put", st);
        }
    }
    return NULL;
}

static void one_of_many_puts_what_is_absent(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    struct work work[THREADS] = { { 0 } };
    unsigned done = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        work[i] = (struct work){ .store = s, .number = i };
    }
    run(work, THREADS, be_first);
    for (unsigned i = 0; i < THREADS; i++) {
        done += work[i].done;
    }
    assert_int_equal(done, 60);
    case_close(s);
}

/* With the lock a counter in the store loses nothing. */
static bool add_one(struct work *w)
{
    const aril_bytes name = TEXT("{counter}lock");
    uint64_t fence = 0;
    uint8_t counter[2] = { 0 };
    size_t len = 0;
    aril_status st = aril_store_lock(w->store, name, LONG_TTL_MS, &fence, NULL);
    if (st == ARIL_E_EXISTS) {
        w->misses++;
        return true;
    }
    if (st != ARIL_OK) {
        return wrong(w, "lock", st);
    }
    st = quiet_get(w->store, TEXT("counter"), counter, sizeof counter, &len);
    if (st != ARIL_OK || len != sizeof counter) {
        return wrong(w, "get", st);
    }
    counter[1] = (uint8_t)(counter[1] + 1);
    counter[0] = (uint8_t)(counter[0] + (counter[1] == 0));
    aril_store_item item = { .name = TEXT("counter"), .lock = name, .fence = fence };
    st = quiet_put(w->store, &item, (aril_bytes){ counter, sizeof counter });
    /* Given back in any case: others wait for it. */
    const aril_status freed = aril_store_unlock(w->store, name, fence, NULL);
    if (st != ARIL_OK || freed != ARIL_OK) {
        return wrong(w, st != ARIL_OK ? "guarded put" : "unlock", st != ARIL_OK ? st : freed);
    }
    w->done++;
    return true;
}

static void *count_under_the_lock(void *arg)
{
    struct work *const w = arg;
    while (w->done < 20 && add_one(w)) {
    }
    return NULL;
}

static void a_lock_keeps_threads_from_one_another(void **state)
{
    (void)state;
    aril_store *const stores[2] = { case_open(), case_open() };
    struct work work[4] = { { 0 } };
    const uint8_t zero[2] = { 0 };
    put(stores[0], TEXT("counter"), (aril_bytes){ zero, sizeof zero });
    for (unsigned i = 0; i < COUNT(work); i++) {
        work[i] = (struct work){ .store = stores[i % 2], .number = i };
    }
    run(work, COUNT(work), count_under_the_lock);
    const uint8_t all[2] = { 0, 80 };
    assert_value(stores[0], TEXT("counter"), (aril_bytes){ all, sizeof all });
    for (size_t i = 0; i < 2; i++) {
        case_close(stores[i]);
    }
}

const struct cache_store_case cache_store_thread_cases[] = {
    { "threads_do_not_disturb_one_another", threads_do_not_disturb_one_another, 0, 0 },
    { "values_are_whole_while_they_are_replaced", values_are_whole_while_they_are_replaced, 0, 0 },
    { "one_of_many_puts_what_is_absent", one_of_many_puts_what_is_absent, 0, 0 },
    { "a_lock_keeps_threads_from_one_another", a_lock_keeps_threads_from_one_another,
      ARIL_STORE_LOCK, 0 },
    { NULL, NULL, 0, 0 },
};
