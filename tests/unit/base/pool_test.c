/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* sched_getaffinity(), for the test alone */
#include <aril/executor.h>
#include "check.h"
#include "child.h"
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static aril_pool *pool_new(size_t threads)
{
    aril_pool *pool = NULL;
    assert_status(aril_pool_new(threads, &pool), ARIL_OK);
    assert_non_null(pool);
    return pool;
}

static void run(aril_pool *pool, void (*task)(void *arg, size_t index), void *arg, size_t count)
{
    const aril_executor *e = aril_pool_executor(pool);
    e->run(e->state, task, arg, count);
}

static void count_visit(void *arg, size_t index)
{
    atomic_uint *visits = arg;
    (void)atomic_fetch_add_explicit(&visits[index], 1, memory_order_relaxed);
}

static atomic_uint visits[100000];

static void every_index_runs_exactly_once(void **state)
{
    (void)state;
    static const size_t threads[] = { 1, 2, 7, 32 };
    static const size_t counts[] = { 0, 1, 2, 3, 31, 32, 33, 34, 1000, COUNT(visits) };
    for (size_t t = 0; t < COUNT(threads); t++) {
        aril_pool *pool = pool_new(threads[t]);
        for (size_t c = 0; c < COUNT(counts); c++) {
            for (size_t i = 0; i < COUNT(visits); i++) {
                atomic_store_explicit(&visits[i], 0, memory_order_relaxed);
            }
            run(pool, count_visit, visits, counts[c]);
            for (size_t i = 0; i < COUNT(visits); i++) {
                assert_int_equal(atomic_load_explicit(&visits[i], memory_order_relaxed),
                                 i < counts[c]);
            }
        }
        aril_pool_free(pool);
    }
}

/* Plain memory: the thread sanitizer sees whether run() orders it. */
static void write_square(void *arg, size_t index)
{
    ((size_t *)arg)[index] = index * index;
}

static void what_the_tasks_wrote_is_visible(void **state)
{
    (void)state;
    aril_pool *pool = pool_new(4);
    static size_t squares[5000];
    for (unsigned round = 0; round < 20; round++) {
        memset(squares, 0, sizeof squares);
        run(pool, write_square, squares, COUNT(squares));
        for (size_t i = 0; i < COUNT(squares); i++) {
            assert_int_equal(squares[i], i * i);
        }
    }
    aril_pool_free(pool);
}

static void many_small_runs_lose_no_wake_up(void **state)
{
    (void)state;
    aril_pool *pool = pool_new(3);
    const unsigned rounds = SANITIZED ? 3000 : 30000;
    for (unsigned round = 0; round < rounds; round++) {
        size_t out[4] = { 0 };
        const size_t count = 1 + round % COUNT(out);
        run(pool, write_square, out, count);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(out[i], i * i);
        }
    }
    aril_pool_free(pool);
}

/* Each task waits until all have begun: only as many threads at once end this. */
struct meeting {
    atomic_uint arrived;
    unsigned expected;
};

static void meet(void *arg, size_t index)
{
    struct meeting *m = arg;
    (void)index;
    (void)atomic_fetch_add(&m->arrived, 1);
    while (atomic_load(&m->arrived) < m->expected) {
        (void)sched_yield();
    }
}

static void all_threads_and_the_caller_work_at_the_same_time(void **state)
{
    (void)state;
    aril_pool *pool = pool_new(5);
    for (unsigned round = 0; round < 50; round++) {
        struct meeting m = { .expected = 6 };
        run(pool, meet, &m, 6);
        assert_int_equal(atomic_load(&m.arrived), 6);
    }
    aril_pool_free(pool);
}

struct caller {
    aril_pool *pool;
    size_t errors;
};

static void *call_often(void *arg)
{
    struct caller *c = arg;
    for (unsigned round = 0; round < (SANITIZED ? 200u : 2000u); round++) {
        size_t out[17] = { 0 };
        run(c->pool, write_square, out, COUNT(out));
        for (size_t i = 0; i < COUNT(out); i++) {
            c->errors += out[i] != i * i;
        }
    }
    return NULL;
}

static void several_callers_share_one_pool(void **state)
{
    (void)state;
    aril_pool *pool = pool_new(3);
    pthread_t threads[6];
    struct caller callers[COUNT(threads)];
    for (size_t i = 0; i < COUNT(threads); i++) {
        callers[i] = (struct caller){ .pool = pool };
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(callers[i].errors, 0);
    }
    aril_pool_free(pool);
}

struct nest {
    aril_pool *pool;
    unsigned depth;
    atomic_uint leaves;
};

struct level {
    struct nest *nest;
    unsigned depth;
};

static void descend(void *arg, size_t index)
{
    const struct level *at = arg;
    (void)index;
    if (at->depth == 0) {
        (void)atomic_fetch_add(&at->nest->leaves, 1);
        return;
    }
    struct level below = { at->nest, at->depth - 1 };
    run(at->nest->pool, descend, &below, 5);
}

static void a_task_may_run_a_batch_of_its_own(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 8; threads *= 2) {
        struct nest nest = { .pool = pool_new(threads) };
        struct level top = { &nest, 4 };
        run(nest.pool, descend, &top, 5);
        assert_int_equal(atomic_load(&nest.leaves), 5 * 5 * 5 * 5 * 5);
        aril_pool_free(nest.pool);
    }
}

struct seen {
    pthread_t caller;
    atomic_uint helpers, wrong_name, open_signals, wrong_cpus;
    cpu_set_t cpus;
    struct meeting meeting;
};

static void inspect_thread(void *arg, size_t index)
{
    struct seen *s = arg;
    meet(&s->meeting, index); /* so that each thread comes here once */
    if (pthread_equal(pthread_self(), s->caller)) {
        return;
    }
    (void)atomic_fetch_add(&s->helpers, 1);
    char name[16] = "";
    (void)prctl(PR_GET_NAME, name, 0, 0, 0);
    (void)atomic_fetch_add(&s->wrong_name, strcmp(name, "aril-pool") != 0);
    sigset_t blocked;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    static const int some[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGALRM, SIGPIPE };
    for (size_t i = 0; i < COUNT(some); i++) {
        (void)atomic_fetch_add(&s->open_signals, sigismember(&blocked, some[i]) != 1);
    }
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    (void)sched_getaffinity(0, sizeof cpus, &cpus);
    (void)atomic_fetch_add(&s->wrong_cpus, !CPU_EQUAL(&cpus, &s->cpus));
}

static void threads_are_named_quiet_and_placed_like_their_maker(void **state)
{
    (void)state;
    struct seen s = { .caller = pthread_self(), .meeting = { .expected = 4 } };
    cpu_set_t before;
    CPU_ZERO(&before);
    CPU_ZERO(&s.cpus);
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&s.cpus) == 0; cpu++) {
        if (CPU_ISSET(cpu, &before)) {
            CPU_SET(cpu, &s.cpus);
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof s.cpus, &s.cpus), 0);
    aril_pool *pool = pool_new(3);
    run(pool, inspect_thread, &s, 4);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    aril_pool_free(pool);
    assert_int_equal(atomic_load(&s.helpers), 3);
    assert_int_equal(atomic_load(&s.wrong_name), 0);
    assert_int_equal(atomic_load(&s.open_signals), 0);
    assert_int_equal(atomic_load(&s.wrong_cpus), 0);
}

static void the_signal_mask_of_the_maker_stays(void **state)
{
    (void)state;
    sigset_t before;
    sigset_t one;
    sigset_t after;
    assert_int_equal(sigemptyset(&one), 0);
    assert_int_equal(sigaddset(&one, SIGUSR2), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &one, &before), 0);
    aril_pool_free(pool_new(2));
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, &after), 0);
    for (int number = 1; number < 32; number++) {
        assert_int_equal(sigismember(&after, number), number == SIGUSR2);
    }
}

static unsigned thread_count(void)
{
    unsigned count = 0;
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *entry;
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    if (tasks != NULL) {
        (void)closedir(tasks);
    }
    return count;
}

static void a_freed_pool_leaves_no_thread(void **state)
{
    (void)state;
    if (SANITIZED) {
        skip(); /* the tool has threads of its own */
    }
    const unsigned before = thread_count();
    for (unsigned i = 0; i < 50; i++) {
        aril_pool_free(pool_new(i % 5 + 1));
    }
    /* A joined thread may need a moment to leave /proc. */
    for (unsigned i = 0; i < 1000000 && thread_count() != before; i++) {
        (void)sched_yield();
    }
    assert_int_equal(thread_count(), before);
}

static void numbers_of_threads_out_of_range_are_refused(void **state)
{
    (void)state;
    aril_pool *pool = (aril_pool *)&pool;
    assert_status(aril_pool_new(0, &pool), ARIL_E_USAGE_RANGE);
    assert_null(pool);
    assert_status(aril_pool_new(ARIL_POOL_THREADS_MAX + 1, &pool), ARIL_E_USAGE_RANGE);
    assert_status(aril_pool_new(SIZE_MAX, &pool), ARIL_E_USAGE_RANGE);
    assert_status(aril_pool_new(1, NULL), ARIL_E_USAGE_NULL);
}

static void nothing_is_a_fine_argument(void **state)
{
    (void)state;
    aril_pool_free(NULL);
    assert_null(aril_pool_executor(NULL));
}

/* Address space for some stacks, but not for all. */
static int start_with_little_address_space(void *arg)
{
    (void)arg;
    struct rlimit limit = { 512u << 20, 512u << 20 };
    if (setrlimit(RLIMIT_AS, &limit) != 0) {
        return 1;
    }
    aril_pool *pool = (aril_pool *)&pool;
    if (aril_pool_new(ARIL_POOL_THREADS_MAX, &pool) != ARIL_E_NOMEM) {
        return 2;
    }
    if (pool != NULL) {
        return 3;
    }
    for (unsigned i = 0; i < 1000000 && thread_count() != 1; i++) {
        (void)sched_yield();
    }
    if (thread_count() != 1) {
        return 4;
    }
    return aril_pool_new(1, &pool) == ARIL_OK ? 0 : 5; /* what there was is given back */
}

static void threads_that_cannot_all_start_are_all_ended(void **state)
{
    (void)state;
    if (SANITIZED) {
        skip(); /* the address space is taken */
    }
    assert_int_equal(child_run(start_with_little_address_space, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_index_runs_exactly_once),
        cmocka_unit_test(what_the_tasks_wrote_is_visible),
        cmocka_unit_test(many_small_runs_lose_no_wake_up),
        cmocka_unit_test(all_threads_and_the_caller_work_at_the_same_time),
        cmocka_unit_test(several_callers_share_one_pool),
        cmocka_unit_test(a_task_may_run_a_batch_of_its_own),
        cmocka_unit_test(threads_are_named_quiet_and_placed_like_their_maker),
        cmocka_unit_test(the_signal_mask_of_the_maker_stays),
        cmocka_unit_test(a_freed_pool_leaves_no_thread),
        cmocka_unit_test(numbers_of_threads_out_of_range_are_refused),
        cmocka_unit_test(nothing_is_a_fine_argument),
        cmocka_unit_test(threads_that_cannot_all_start_are_all_ended),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
