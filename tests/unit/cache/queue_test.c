/* SPDX-License-Identifier: Apache-2.0 */
/* The queue alone, over calls that only note what they were asked. */
#include "cache/queue_internal.h"
#include "child.h"
#include "fixture.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ITEMS_MAX 4000u

/* Stands for a cache: the queue only hands it on. */
struct fake {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned inside, wanted; /* a call waits until so many were inside at once; 0: does not */
    bool shut;               /* no call ends */
    unsigned calls;
    size_t least;          /* items of the smallest call */
    aril_cache_op last_op; /* which function was called */
    aril_status whole;     /* what a call answers instead of looking at its items */
};
static struct fake fake;
static aril_cache_item items[ITEMS_MAX];

/* What an item is to be answered lies in its ttl; how often it was answered in absent_only. */
static aril_status answer(aril_cache_item *item)
{
    item->absent_only++;
    item->status = (aril_status)item->ttl_ms;
    return item->status;
}

static aril_status call(struct fake *f, aril_cache_op op, aril_cache_item *some, size_t count)
{
    (void)pthread_mutex_lock(&f->lock);
    f->calls++;
    f->last_op = op;
    f->least = count < f->least ? count : f->least;
    f->inside++;
    (void)pthread_cond_broadcast(&f->changed);
    while (f->shut || (f->wanted > 0 && f->inside < f->wanted)) {
        (void)pthread_cond_wait(&f->changed, &f->lock);
    }
    (void)pthread_mutex_unlock(&f->lock);
    if (f->whole != ARIL_OK) {
        return f->whole;
    }
    aril_status st = ARIL_OK;
    for (size_t i = 0; i < count; i++) {
        const aril_status one = answer(&some[i]);
        if (count == 1) {
            return one;
        }
        st = one == ARIL_OK || one == ARIL_E_NOT_FOUND ? st : ARIL_E_BATCH;
    }
    return st;
}

static struct fake *of(aril_cache *cache)
{
    return (struct fake *)(void *)cache;
}

static aril_status fake_get(aril_cache *c, aril_cache_item *some, size_t count, aril_error *e)
{
    return e == NULL ? call(of(c), ARIL_CACHE_OP_GET, some, count) : ARIL_E_USAGE;
}

static aril_status fake_put(aril_cache *c, aril_cache_item *some, size_t count, aril_error *e)
{
    return e == NULL ? call(of(c), ARIL_CACHE_OP_PUT, some, count) : ARIL_E_USAGE;
}

static aril_status fake_exists(aril_cache *c, aril_cache_item *some, size_t count, aril_error *e)
{
    return e == NULL ? call(of(c), ARIL_CACHE_OP_EXISTS, some, count) : ARIL_E_USAGE;
}

static aril_status fake_delete(aril_cache *c, aril_cache_item *some, size_t count, aril_error *e)
{
    return e == NULL ? call(of(c), ARIL_CACHE_OP_DELETE, some, count) : ARIL_E_USAGE;
}

static const struct arili_queue_calls calls = {
    .by_op = { fake_get, fake_put, fake_exists, fake_delete },
};

static int setup(void **state)
{
    (void)state;
    fake = (struct fake){ .lock = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER,
                          .least = SIZE_MAX };
    memset(items, 0, sizeof items);
    return 0;
}

static aril_cache_queue *make(size_t workers, size_t depth)
{
    aril_cache_queue *queue = NULL;
    assert_status(arili_queue_new_over(&calls, (aril_cache *)(void *)&fake, workers, depth, &queue),
                  ARIL_OK);
    assert_non_null(queue);
    return queue;
}

/* Waits with poll(), as users do, and takes one. */
static aril_cache_completion take(aril_cache_queue *queue)
{
    aril_cache_completion c = { 0 };
    struct pollfd p = { .fd = aril_cache_queue_fd(queue), .events = POLLIN };
    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_int_equal(aril_cache_completions(queue, &c, 1), 1);
    return c;
}

static bool is_readable(const aril_cache_queue *queue)
{
    struct pollfd p = { .fd = aril_cache_queue_fd(queue), .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

static void let_go(bool shut)
{
    (void)pthread_mutex_lock(&fake.lock);
    fake.shut = shut;
    (void)pthread_cond_broadcast(&fake.changed);
    (void)pthread_mutex_unlock(&fake.lock);
}

static void wait_inside(unsigned count)
{
    (void)pthread_mutex_lock(&fake.lock);
    while (fake.inside < count) {
        (void)pthread_cond_wait(&fake.changed, &fake.lock);
    }
    (void)pthread_mutex_unlock(&fake.lock);
}

static void arguments_outside_the_range_are_refused(void **state)
{
    (void)state;
    aril_cache *const cache = (aril_cache *)(void *)&fake;
    aril_cache_queue *queue = NULL;
    static const size_t bad[][2] = { { 0, 1 }, { 257, 1 }, { 1, 0 }, { 1, 65537 } };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status(arili_queue_new_over(&calls, cache, bad[i][0], bad[i][1], &queue),
                      ARIL_E_USAGE_RANGE);
        assert_null(queue);
    }
    queue = make(1, 65536);
    uint64_t id = 7;
    assert_status(aril_cache_submit(queue, (aril_cache_op)4, items, 1, NULL, &id),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_cache_submit(queue, (aril_cache_op)-1, items, 1, NULL, &id),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, NULL, 1, NULL, &id),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_cache_submit(NULL, ARIL_CACHE_OP_GET, items, 1, NULL, &id),
                  ARIL_E_USAGE_NULL);
    assert_int_equal(id, 7);
    assert_int_equal(aril_cache_completions(NULL, NULL, 1), 0);
    assert_int_equal(aril_cache_queue_fd(NULL), -1);
    assert_int_equal(fake.calls, 0);
    aril_cache_queue_free(queue);
    aril_cache_queue_free(NULL);
}

static void each_operation_reaches_its_function_and_comes_back(void **state)
{
    (void)state;
    aril_cache_queue *const queue = make(2, 4);
    uint64_t last = 0;
    for (int op = 0; op < 4; op++) {
        for (size_t count = 0; count < 3; count++) {
            uint64_t id = 0;
            assert_status(
                aril_cache_submit(queue, (aril_cache_op)op, items + op, count, &fake, &id),
                ARIL_OK);
            const aril_cache_completion c = take(queue);
            assert_true(id > last);
            last = id;
            assert_int_equal(c.id, id);
            assert_int_equal(c.op, op);
            assert_status(c.status, ARIL_OK);
            assert_ptr_equal(c.items, items + op);
            assert_int_equal(c.count, count);
            assert_ptr_equal(c.user, &fake);
            assert_int_equal(fake.last_op, op);
        }
    }
    assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items, 1, NULL, NULL), ARIL_OK);
    assert_int_equal(take(queue).count, 1);
    aril_cache_queue_free(queue);
}

static void every_item_is_worked_on_once(void **state)
{
    (void)state;
    static const size_t workers[] = { 1, 2, 3, 8 };
    static const size_t counts[] = { 1, 2, 15, 16, 17, 31, 32, 33, 100, 1000, ITEMS_MAX };
    for (size_t w = 0; w < COUNT(workers); w++) {
        aril_cache_queue *const queue = make(workers[w], 2);
        for (size_t c = 0; c < COUNT(counts); c++) {
            memset(items, 0, sizeof items);
            fake.calls = 0;
            assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_PUT, items, counts[c], NULL, NULL),
                          ARIL_OK);
            assert_status(take(queue).status, ARIL_OK);
            for (size_t i = 0; i < ITEMS_MAX; i++) {
                assert_int_equal(items[i].absent_only, i < counts[c]);
            }
            assert_true(fake.calls <= workers[w]); /* small ones are not torn apart */
            assert_true(fake.calls <= (counts[c] + 15) / 16);
        }
        aril_cache_queue_free(queue);
    }
}

/* Each waits until all are inside, so the test hangs unless they are. */
static void a_long_batch_is_shared_by_all_workers(void **state)
{
    (void)state;
    aril_cache_queue *const queue = make(4, 1);
    fake.wanted = 4;
    assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items, 64, NULL, NULL), ARIL_OK);
    assert_status(take(queue).status, ARIL_OK);
    assert_int_equal(fake.calls, 4);
    assert_int_equal(fake.least, 16);
    aril_cache_queue_free(queue);
}

static void few_long_values_are_shared_as_well(void **state)
{
    (void)state;
    aril_cache_queue *const queue = make(4, 1);
    fake.wanted = 4;
    for (size_t i = 0; i < 4; i++) {
        items[i].value.len = i == 0 ? SIZE_MAX : (size_t)1 << 20;
        items[i + 4].buffer.len = (size_t)1 << 20;
    }
    assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_PUT, items, 4, NULL, NULL), ARIL_OK);
    assert_status(take(queue).status, ARIL_OK);
    assert_int_equal(fake.calls, 4);
    fake.inside = 0;
    assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items + 4, 4, NULL, NULL), ARIL_OK);
    assert_status(take(queue).status, ARIL_OK);
    assert_int_equal(fake.calls, 8);
    aril_cache_queue_free(queue);
}

static void several_batches_run_at_once(void **state)
{
    (void)state;
    aril_cache_queue *const queue = make(3, 3);
    fake.wanted = 3;
    for (size_t i = 0; i < 3; i++) {
        assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items + i, 1, NULL, NULL),
                      ARIL_OK);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_status(take(queue).status, ARIL_OK);
    }
    aril_cache_queue_free(queue);
}

static void no_more_than_depth_batches_are_under_way(void **state)
{
    (void)state;
    aril_cache_queue *const queue = make(1, 3);
    let_go(true);
    for (unsigned turn = 0; turn < 5; turn++) {
        uint64_t id = 99;
        for (size_t i = 0; i < 3; i++) {
            assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items, 1, NULL, NULL),
                          ARIL_OK);
        }
        assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items, 1, NULL, &id),
                      ARIL_E_LIMIT);
        assert_int_equal(id, 99);
        let_go(false);
        aril_cache_completion c[3];
        for (size_t got = 0; got < 3; sched_yield()) {
            got += aril_cache_completions(queue, c + got, 3 - got);
        }
        assert_true(c[0].id < c[1].id && c[1].id < c[2].id); /* one worker: in order */
        let_go(true);
    }
    let_go(false);
    aril_cache_queue_free(queue);
}

static void the_descriptor_is_readable_while_completions_wait(void **state)
{
    (void)state;
    aril_cache_queue *const queue = make(1, 8);
    const int flags = fcntl(aril_cache_queue_fd(queue), F_GETFD);
    assert_true((flags & FD_CLOEXEC) != 0);
    assert_true((fcntl(aril_cache_queue_fd(queue), F_GETFL) & O_NONBLOCK) != 0);
    for (unsigned turn = 0; turn < 3; turn++) {
        aril_cache_completion c[4];
        assert_false(is_readable(queue));
        assert_int_equal(aril_cache_completions(queue, c, 4), 0);
        for (size_t i = 0; i < 3; i++) {
            assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items, 1, NULL, NULL),
                          ARIL_OK);
        }
        (void)take(queue);
        (void)take(queue);
        struct pollfd p = { .fd = aril_cache_queue_fd(queue), .events = POLLIN };
        assert_int_equal(poll(&p, 1, 60000), 1);
        assert_int_equal(aril_cache_completions(queue, c, 0), 0);
        assert_true(is_readable(queue));
        assert_int_equal(aril_cache_completions(queue, c, 4), 1);
    }
    assert_false(is_readable(queue));
    aril_cache_queue_free(queue);
}

static aril_status status_of(aril_cache_queue *queue, size_t count)
{
    assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items, count, NULL, NULL), ARIL_OK);
    return take(queue).status;
}

/* With 17 items and two workers the last one is a call of its own. */
static void the_status_is_that_of_the_call_in_one_piece(void **state)
{
    (void)state;
    static const struct {
        aril_status item, one, of_many;
    } cases[] = { { ARIL_OK, ARIL_OK, ARIL_OK },
                  { ARIL_E_NOT_FOUND, ARIL_E_NOT_FOUND, ARIL_OK },
                  { ARIL_E_AUTH, ARIL_E_AUTH, ARIL_E_BATCH },
                  { ARIL_E_USAGE_TOO_SMALL, ARIL_E_USAGE_TOO_SMALL, ARIL_E_BATCH },
                  { ARIL_E_EXISTS, ARIL_E_EXISTS, ARIL_E_BATCH } };
    aril_cache_queue *const queue = make(2, 2);
    for (size_t i = 0; i < COUNT(cases); i++) {
        items[0].ttl_ms = cases[i].item;
        assert_status(status_of(queue, 1), cases[i].one);
        assert_status(items[0].status, cases[i].item);
        assert_status(status_of(queue, 17), cases[i].of_many);
        items[0].ttl_ms = ARIL_OK;
        items[16].ttl_ms = cases[i].item;
        assert_status(status_of(queue, 17), cases[i].of_many);
        assert_status(items[16].status, cases[i].item);
        items[16].ttl_ms = ARIL_OK;
    }
    fake.whole = ARIL_E_FORKED; /* concerns all, also where each item is a piece of its own */
    items[0].buffer.len = items[1].buffer.len = ARILI_QUEUE_PIECE_BYTES;
    assert_status(status_of(queue, 2), ARIL_E_FORKED);
    assert_status(status_of(queue, 1), ARIL_E_FORKED);
    assert_status(status_of(queue, 17), ARIL_E_FORKED);
    assert_status(status_of(queue, 64), ARIL_E_FORKED);
    aril_cache_queue_free(queue);
}

/* --- The end ------------------------------------------------------------------------------- */

static aril_status status_now(const aril_cache_item *item)
{
    return __atomic_load_n(&item->status, __ATOMIC_ACQUIRE);
}

/* Opens the gate when the batch that waits has been given up, so inside aril_cache_queue_free(). */
static void *open_late(void *arg)
{
    const aril_cache_item *const waiting = arg;
    while (status_now(waiting) != ARIL_E_INTERRUPTED) {
        sched_yield();
    }
    let_go(false);
    return NULL;
}

static void what_waits_at_the_end_is_given_up_and_what_runs_is_not(void **state)
{
    (void)state;
    pthread_t thread;
    aril_cache_queue *const queue = make(1, 4);
    let_go(true);
    assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items, 2, NULL, NULL), ARIL_OK);
    wait_inside(1);
    assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items + 2, 1, NULL, NULL), ARIL_OK);
    assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_PUT, items + 3, 3, NULL, NULL), ARIL_OK);
    assert_int_equal(pthread_create(&thread, NULL, open_late, items + 5), 0);
    aril_cache_queue_free(queue);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(fake.calls, 1);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(items[i].absent_only, i < 2);
        assert_status(items[i].status, i < 2 ? ARIL_OK : ARIL_E_INTERRUPTED);
    }
}

static void completions_that_nobody_took_are_no_leak(void **state)
{
    (void)state;
    aril_cache_queue *const queue = make(2, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items, 40, NULL, NULL), ARIL_OK);
    }
    aril_cache_queue_free(queue);
}

static unsigned threads_named(const char *name)
{
    unsigned count = 0;
    DIR *const d = opendir("/proc/self/task");
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[300], comm[32] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *const f = fopen(path, "re");
        if (f != NULL) {
            count += fgets(comm, sizeof comm, f) != NULL && strncmp(comm, name, strlen(name)) == 0;
            (void)fclose(f);
        }
    }
    (void)closedir(d);
    return count;
}

static void the_threads_have_a_name_and_end(void **state)
{
    (void)state;
    aril_cache_queue *const queue = make(3, 3);
    fake.wanted = 3;
    for (size_t i = 0; i < 3; i++) {
        assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items, 1, NULL, NULL), ARIL_OK);
    }
    wait_inside(3);
    assert_int_equal(threads_named("aril-cache\n"), 3);
    aril_cache_queue_free(queue);
    assert_int_equal(threads_named("aril-cache\n"), 0);
}

static int in_child(void *arg)
{
    aril_cache_queue *const queue = arg;
    aril_cache_completion c;
    (void)alarm(60);
    if (aril_cache_submit(queue, ARIL_CACHE_OP_GET, items, 1, NULL, NULL) != ARIL_E_FORKED) {
        return 1;
    }
    if (aril_cache_completions(queue, &c, 1) != 0) {
        return 2;
    }
    aril_cache_queue_free(queue);
    return 0;
}

static void a_forked_child_is_refused_and_can_free_it(void **state)
{
    (void)state;
    aril_cache_queue *const queue = make(2, 2);
    assert_int_equal(child_run(in_child, queue), 0);
    assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, items, 1, NULL, NULL), ARIL_OK);
    assert_status(take(queue).status, ARIL_OK);
    aril_cache_queue_free(queue);
}

#define CASE(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(arguments_outside_the_range_are_refused),
        CASE(each_operation_reaches_its_function_and_comes_back),
        CASE(every_item_is_worked_on_once),
        CASE(a_long_batch_is_shared_by_all_workers),
        CASE(few_long_values_are_shared_as_well),
        CASE(several_batches_run_at_once),
        CASE(no_more_than_depth_batches_are_under_way),
        CASE(the_descriptor_is_readable_while_completions_wait),
        CASE(the_status_is_that_of_the_call_in_one_piece),
        CASE(what_waits_at_the_end_is_given_up_and_what_runs_is_not),
        CASE(completions_that_nobody_took_are_no_leak),
        CASE(the_threads_have_a_name_and_end),
        CASE(a_forked_child_is_refused_and_can_free_it),
    };
    return cmocka_run_group_tests_name("queue of a cache", tests, NULL, NULL);
}
