/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/worker.h"
#include "check.h"
#include "team.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* What the worker works on, and a gate that keeps a call inside. Lives longer than the worker. */
struct subject {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool inside, open, released;
    unsigned runs;
    pthread_t thread;
    struct arili_worker *worker;
    atomic_int sum;
};

static void subject_init(struct subject *s)
{
    *s =
        (struct subject){ .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
}

static void set(struct subject *s, bool *flag)
{
    (void)pthread_mutex_lock(&s->mutex);
    *flag = true;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->mutex);
}

static void await(struct subject *s, const bool *flag)
{
    (void)pthread_mutex_lock(&s->mutex);
    while (!*flag) {
        (void)pthread_cond_wait(&s->changed, &s->mutex);
    }
    (void)pthread_mutex_unlock(&s->mutex);
}

static bool get(struct subject *s, const bool *flag)
{
    (void)pthread_mutex_lock(&s->mutex);
    const bool value = *flag;
    (void)pthread_mutex_unlock(&s->mutex);
    return value;
}

static void release(void *arg)
{
    struct subject *const s = arg;
    set(s, &s->released);
}

static aril_status note_thread(void *arg)
{
    struct subject *const s = arg;
    s->runs++;
    s->thread = pthread_self();
    return ARIL_E_IO;
}

static aril_status wait_at_gate(void *arg)
{
    struct subject *const s = arg;
    set(s, &s->inside);
    await(s, &s->open);
    return ARIL_OK;
}

static struct arili_worker *start(struct subject *s, uint32_t deadline_ms)
{
    subject_init(s);
    assert_status(arili_worker_new(s, release, deadline_ms, &s->worker), ARIL_OK);
    return s->worker;
}

#define LONG_MS  600000u
#define SHORT_MS 250u

static void calls_run_on_one_thread_that_is_not_the_callers(void **state)
{
    struct subject s;
    struct arili_worker *const w = start(&s, LONG_MS);
    aril_status st = ARIL_OK;
    (void)state;
    assert_int_equal(arili_worker_take(w), ARILI_TURN_TAKEN);
    assert_true(arili_worker_run(w, note_thread, &st));
    assert_status(st, ARIL_E_IO);
    const pthread_t first = s.thread;
    assert_false(pthread_equal(first, pthread_self()));
    assert_true(arili_worker_run(w, note_thread, &st));
    assert_true(pthread_equal(first, s.thread));
    arili_worker_put(w);
    assert_false(s.released);
    arili_worker_free(w);
    assert_true(s.released);
    arili_worker_free(NULL);
}

static void a_call_that_does_not_return_gives_the_worker_up(void **state)
{
    struct subject s;
    struct arili_worker *const w = start(&s, SHORT_MS);
    aril_status st = ARIL_E_IO;
    (void)state;
    assert_int_equal(arili_worker_take(w), ARILI_TURN_TAKEN);
    assert_false(arili_worker_run(w, wait_at_gate, &st));
    assert_status(st, ARIL_E_IO);
    assert_int_equal(arili_worker_take(w), ARILI_TURN_GIVEN_UP);
    assert_false(get(&s, &s.released));
    set(&s, &s.open);
    await(&s, &s.released);
    assert_int_equal(arili_worker_take(w), ARILI_TURN_GIVEN_UP);
    arili_worker_free(w);
}

static void freeing_a_worker_that_was_given_up_does_not_wait(void **state)
{
    struct subject s;
    struct arili_worker *const w = start(&s, SHORT_MS);
    aril_status st = ARIL_OK;
    (void)state;
    assert_int_equal(arili_worker_take(w), ARILI_TURN_TAKEN);
    assert_false(arili_worker_run(w, wait_at_gate, &st));
    arili_worker_free(w);
    /* The call is still inside, so nothing was released. */
    assert_true(get(&s, &s.inside));
    assert_false(get(&s, &s.released));
    set(&s, &s.open);
    await(&s, &s.released);
}

static void slow_release(void *arg)
{
    struct subject *const s = arg;
    (void)wait_at_gate(s);
    set(s, &s->released);
}

static void freeing_waits_for_the_release_within_the_deadline(void **state)
{
    struct subject s;
    (void)state;
    subject_init(&s);
    assert_status(arili_worker_new(&s, slow_release, SHORT_MS, &s.worker), ARIL_OK);
    arili_worker_free(s.worker);
    await(&s, &s.inside);
    assert_false(get(&s, &s.released));
    set(&s, &s.open);
    await(&s, &s.released);
}

/* Pauses until more time than the deadline has passed, and returns after it. */
static aril_status pause_for_long(void *arg)
{
    struct subject *const s = arg;
    struct timespec began;
    struct timespec now;
    if (!arili_worker_pause(s->worker)) {
        return ARIL_E_USAGE_STATE;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &began);
    do {
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - began.tv_sec) * 1000000000L + (now.tv_nsec - began.tv_nsec) <
             3L * SHORT_MS * 1000000L);
    arili_worker_resume(s->worker);
    s->runs++;
    return ARIL_OK;
}

static void the_clock_stands_still_during_a_pause(void **state)
{
    struct subject s;
    struct arili_worker *const w = start(&s, SHORT_MS);
    aril_status st = ARIL_E_IO;
    (void)state;
    assert_int_equal(arili_worker_take(w), ARILI_TURN_TAKEN);
    assert_true(arili_worker_run(w, pause_for_long, &st));
    assert_status(st, ARIL_OK);
    assert_int_equal(s.runs, 1);
    arili_worker_put(w);
    arili_worker_free(w);
}

static aril_status pause_after_the_gate(void *arg)
{
    struct subject *const s = arg;
    (void)wait_at_gate(s);
    s->runs = arili_worker_pause(s->worker) ? 1 : 2;
    return ARIL_OK;
}

static void a_worker_that_was_given_up_does_not_pause(void **state)
{
    struct subject s;
    struct arili_worker *const w = start(&s, SHORT_MS);
    aril_status st = ARIL_OK;
    (void)state;
    assert_int_equal(arili_worker_take(w), ARILI_TURN_TAKEN);
    assert_false(arili_worker_run(w, pause_after_the_gate, &st));
    set(&s, &s.open);
    await(&s, &s.released);
    assert_int_equal(s.runs, 2);
    arili_worker_free(w);
}

static void *take_and_tell(void *arg)
{
    struct subject *const s = arg;
    const enum arili_turn turn = arili_worker_take(s->worker);
    return turn == ARILI_TURN_BUSY ? s : NULL;
}

static void a_turn_that_does_not_come_is_busy(void **state)
{
    struct subject s;
    struct arili_worker *const w = start(&s, SHORT_MS);
    pthread_t thread;
    void *busy = NULL;
    (void)state;
    assert_int_equal(arili_worker_take(w), ARILI_TURN_TAKEN);
    assert_int_equal(pthread_create(&thread, NULL, take_and_tell, &s), 0);
    assert_int_equal(pthread_join(thread, &busy), 0);
    assert_ptr_equal(busy, &s);
    arili_worker_put(w);
    assert_int_equal(arili_worker_take(w), ARILI_TURN_TAKEN);
    arili_worker_put(w);
    arili_worker_free(w);
}

static aril_status take_inside(void *arg)
{
    struct subject *const s = arg;
    s->runs = arili_worker_take(s->worker) == ARILI_TURN_INSIDE ? 1 : 2;
    return ARIL_OK;
}

static void the_thread_itself_gets_no_turn(void **state)
{
    struct subject s;
    struct arili_worker *const w = start(&s, LONG_MS);
    aril_status st = ARIL_OK;
    (void)state;
    assert_int_equal(arili_worker_take(w), ARILI_TURN_TAKEN);
    assert_true(arili_worker_run(w, take_inside, &st));
    assert_int_equal(s.runs, 1);
    arili_worker_put(w);
    arili_worker_free(w);
}

static aril_status add_one(void *arg)
{
    struct subject *const s = arg;
    const int seen = atomic_load(&s->sum);
    atomic_store(&s->sum, seen + 1); /* two at a time would lose some */
    return ARIL_OK;
}

static void add_many(void *arg, unsigned number)
{
    struct subject *const s = arg;
    (void)number;
    for (unsigned i = 0; i < 200 && !team_failed(); i++) {
        aril_status st = ARIL_E_IO;
        if (!team_demand(arili_worker_take(s->worker) == ARILI_TURN_TAKEN, "no turn") ||
            !team_demand(arili_worker_run(s->worker, add_one, &st) && st == ARIL_OK, "no run")) {
            return;
        }
        arili_worker_put(s->worker);
    }
}

static void callers_take_turns(void **state)
{
    struct subject s;
    struct arili_worker *const w = start(&s, LONG_MS);
    const struct team_role role = { "adds", add_many, 6 };
    (void)state;
    team_run(&role, 1, &s);
    assert_int_equal(atomic_load(&s.sum), 1200);
    arili_worker_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_run_on_one_thread_that_is_not_the_callers),
        cmocka_unit_test(a_call_that_does_not_return_gives_the_worker_up),
        cmocka_unit_test(freeing_a_worker_that_was_given_up_does_not_wait),
        cmocka_unit_test(freeing_waits_for_the_release_within_the_deadline),
        cmocka_unit_test(the_clock_stands_still_during_a_pause),
        cmocka_unit_test(a_worker_that_was_given_up_does_not_pause),
        cmocka_unit_test(a_turn_that_does_not_come_is_busy),
        cmocka_unit_test(the_thread_itself_gets_no_turn),
        cmocka_unit_test(callers_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
