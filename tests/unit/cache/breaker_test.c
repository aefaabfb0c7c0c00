/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/breaker.h"
#include "check.h"
#include <stdatomic.h>

#define AFTER   3u
#define OPEN_NS UINT64_C(1000)

static int setup(void **state)
{
    static struct arili_breaker b;
    *state = &b;
    return arili_breaker_init(&b, AFTER, OPEN_NS) == ARIL_OK ? 0 : -1;
}

static int teardown(void **state)
{
    arili_breaker_done(*state);
    return 0;
}

/* A call that gets the pass it should, and ends so. */
static void call(struct arili_breaker *b, uint64_t now, enum arili_breaker_pass pass,
                 enum arili_breaker_outcome outcome)
{
    assert_int_equal(arili_breaker_enter(b, now), pass);
    arili_breaker_leave(b, pass, outcome, now);
}

static void fail_until_open(struct arili_breaker *b, uint64_t now)
{
    for (unsigned i = 0; i < AFTER; i++) {
        assert_int_equal(arili_breaker_state(b, now), ARIL_BREAKER_CLOSED);
        call(b, now, ARILI_PASS_NORMAL, ARILI_OUTCOME_FAILED);
    }
    assert_int_equal(arili_breaker_state(b, now), ARIL_BREAKER_OPEN);
}

static void it_opens_after_so_many_failures_in_a_row(void **state)
{
    struct arili_breaker *const b = *state;
    call(b, 1, ARILI_PASS_NORMAL, ARILI_OUTCOME_FAILED);
    call(b, 2, ARILI_PASS_NORMAL, ARILI_OUTCOME_FAILED);
    call(b, 3, ARILI_PASS_NORMAL, ARILI_OUTCOME_ANSWERED); /* not in a row */
    fail_until_open(b, 4);
    call(b, 4, ARILI_PASS_NONE, ARILI_OUTCOME_UNKNOWN);
    call(b, 4 + OPEN_NS - 1, ARILI_PASS_NONE, ARILI_OUTCOME_UNKNOWN);
    assert_int_equal(arili_breaker_state(b, 4 + OPEN_NS - 1), ARIL_BREAKER_OPEN);
}

static void what_says_nothing_does_not_count(void **state)
{
    struct arili_breaker *const b = *state;
    for (unsigned i = 0; i < 20; i++) {
        call(b, i, ARILI_PASS_NORMAL, ARILI_OUTCOME_UNKNOWN);
    }
    call(b, 30, ARILI_PASS_NORMAL, ARILI_OUTCOME_FAILED);
    call(b, 30, ARILI_PASS_NORMAL, ARILI_OUTCOME_FAILED);
    call(b, 30, ARILI_PASS_NORMAL, ARILI_OUTCOME_UNKNOWN); /* and is no answer either */
    call(b, 30, ARILI_PASS_NORMAL, ARILI_OUTCOME_FAILED);
    assert_int_equal(arili_breaker_state(b, 30), ARIL_BREAKER_OPEN);
}

static void one_probe_goes_through_and_closes_it(void **state)
{
    struct arili_breaker *const b = *state;
    fail_until_open(b, 5);
    const uint64_t later = 5 + OPEN_NS;
    assert_int_equal(arili_breaker_state(b, later), ARIL_BREAKER_HALF_OPEN);
    assert_int_equal(arili_breaker_enter(b, later), ARILI_PASS_PROBE);
    for (unsigned i = 0; i < 5; i++) {
        call(b, later + i * OPEN_NS, ARILI_PASS_NONE, ARILI_OUTCOME_UNKNOWN);
        assert_int_equal(arili_breaker_state(b, later + i * OPEN_NS), ARIL_BREAKER_HALF_OPEN);
    }
    arili_breaker_leave(b, ARILI_PASS_PROBE, ARILI_OUTCOME_ANSWERED, later + 9);
    assert_int_equal(arili_breaker_state(b, later + 9), ARIL_BREAKER_CLOSED);
    fail_until_open(b, later + 10); /* counted from zero again */
}

static void a_failed_probe_opens_it_for_as_long_again(void **state)
{
    struct arili_breaker *const b = *state;
    fail_until_open(b, 0);
    uint64_t now = OPEN_NS;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(arili_breaker_enter(b, now), ARILI_PASS_PROBE);
        now += 77; /* the time of its end counts */
        arili_breaker_leave(b, ARILI_PASS_PROBE, ARILI_OUTCOME_FAILED, now);
        call(b, now + OPEN_NS - 1, ARILI_PASS_NONE, ARILI_OUTCOME_UNKNOWN);
        now += OPEN_NS;
    }
    call(b, now, ARILI_PASS_PROBE, ARILI_OUTCOME_ANSWERED);
    assert_int_equal(arili_breaker_state(b, now), ARIL_BREAKER_CLOSED);
}

static void after_a_probe_that_says_nothing_the_next_call_is_the_probe(void **state)
{
    struct arili_breaker *const b = *state;
    fail_until_open(b, 0);
    call(b, OPEN_NS, ARILI_PASS_PROBE, ARILI_OUTCOME_UNKNOWN);
    assert_int_equal(arili_breaker_state(b, OPEN_NS), ARIL_BREAKER_HALF_OPEN);
    call(b, OPEN_NS, ARILI_PASS_PROBE, ARILI_OUTCOME_ANSWERED);
    assert_int_equal(arili_breaker_state(b, OPEN_NS), ARIL_BREAKER_CLOSED);
}

/* Calls that began before it opened. */
static void late_answers_change_nothing(void **state)
{
    struct arili_breaker *const b = *state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(arili_breaker_enter(b, 0), ARILI_PASS_NORMAL);
    }
    fail_until_open(b, 0);
    arili_breaker_leave(b, ARILI_PASS_NORMAL, ARILI_OUTCOME_ANSWERED, 1);
    assert_int_equal(arili_breaker_state(b, 1), ARIL_BREAKER_OPEN);
    assert_int_equal(arili_breaker_enter(b, OPEN_NS), ARILI_PASS_PROBE);
    arili_breaker_leave(b, ARILI_PASS_NORMAL, ARILI_OUTCOME_FAILED, OPEN_NS);
    assert_int_equal(arili_breaker_state(b, OPEN_NS), ARIL_BREAKER_HALF_OPEN);
    arili_breaker_leave(b, ARILI_PASS_PROBE, ARILI_OUTCOME_ANSWERED, OPEN_NS);
    assert_int_equal(arili_breaker_state(b, OPEN_NS), ARIL_BREAKER_CLOSED);
}

static void the_end_of_time_does_not_wrap(void **state)
{
    struct arili_breaker *const b = *state;
    fail_until_open(b, UINT64_MAX - 5);
    call(b, UINT64_MAX - 1, ARILI_PASS_NONE, ARILI_OUTCOME_UNKNOWN);
    call(b, UINT64_MAX, ARILI_PASS_PROBE, ARILI_OUTCOME_ANSWERED);
}

struct crowd {
    struct arili_breaker *b;
    pthread_barrier_t *start;
    atomic_uint *probes;
};

static void *push(void *arg)
{
    struct crowd *const c = arg;
    (void)pthread_barrier_wait(c->start);
    if (arili_breaker_enter(c->b, OPEN_NS) == ARILI_PASS_PROBE) {
        (void)atomic_fetch_add(c->probes, 1);
    }
    return NULL;
}

static void of_many_threads_one_is_the_probe(void **state)
{
    struct arili_breaker *const b = *state;
    pthread_barrier_t start;
    atomic_uint probes = 0;
    pthread_t threads[8];
    struct crowd crowd = { b, &start, &probes };
    fail_until_open(b, 0);
    assert_int_equal(pthread_barrier_init(&start, NULL, COUNT(threads)), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, push, &crowd), 0);
    }
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    (void)pthread_barrier_destroy(&start);
    assert_int_equal(atomic_load(&probes), 1);
}

/* The table of the design: what is held against a store. */
static void every_status_is_judged(void **state)
{
    (void)state;
    static const aril_status failures[] = { ARIL_E_TIMEOUT,       ARIL_E_IO,
                                            ARIL_E_IO_PERMISSION, ARIL_E_IO_READ_ONLY,
                                            ARIL_E_FORMAT,        ARIL_E_FORMAT_LENGTH };
    static const aril_status answers[] = { ARIL_OK,           ARIL_E_IO_FULL,
                                           ARIL_E_AUTH,       ARIL_E_NOT_FOUND,
                                           ARIL_E_EXISTS,     ARIL_E_REPLAY_STALE,
                                           ARIL_E_LIMIT,      ARIL_E_USAGE_TOO_SMALL,
                                           ARIL_E_FORMAT_KIND };
    static const aril_status silent[] = { ARIL_E_NOMEM,       ARIL_E_USAGE,  ARIL_E_USAGE_RANGE,
                                          ARIL_E_UNAVAILABLE, ARIL_E_FORKED, ARIL_E_TRUST };
    for (size_t i = 0; i < COUNT(failures); i++) {
        assert_int_equal(arili_breaker_judge(failures[i]), ARILI_OUTCOME_FAILED);
    }
    for (size_t i = 0; i < COUNT(answers); i++) {
        assert_int_equal(arili_breaker_judge(answers[i]), ARILI_OUTCOME_ANSWERED);
    }
    for (size_t i = 0; i < COUNT(silent); i++) {
        assert_int_equal(arili_breaker_judge(silent[i]), ARILI_OUTCOME_UNKNOWN);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_opens_after_so_many_failures_in_a_row),
        TEST(what_says_nothing_does_not_count),
        TEST(one_probe_goes_through_and_closes_it),
        TEST(a_failed_probe_opens_it_for_as_long_again),
        TEST(after_a_probe_that_says_nothing_the_next_call_is_the_probe),
        TEST(late_answers_change_nothing),
        TEST(the_end_of_time_does_not_wrap),
        TEST(of_many_threads_one_is_the_probe),
        cmocka_unit_test(every_status_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
