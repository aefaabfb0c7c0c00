/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/flight.h"
#include "fixture.h"
#include "l1_use.h"
#include <pthread.h>
#include <sched.h>
#include <time.h>

static struct arili_flights *flights;

static int setup(void **state)
{
    (void)state;
    assert_status(arili_flights_new(&flights), ARIL_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arili_flights_free(flights);
    return 0;
}

static aril_status enter(uint64_t n, uint32_t wait_ms, struct arili_flight **ret)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(n, text);
    return arili_flight_enter(flights, &key, wait_ms, ret);
}

static void one_works_on_a_name_at_a_time(void **state)
{
    (void)state;
    struct arili_flight *first = NULL, *other = (struct arili_flight *)&flights;
    assert_status(enter(1, 0, &first), ARIL_OK);
    assert_non_null(first);
    assert_status(enter(1, 0, &other), ARIL_E_TIMEOUT);
    assert_null(other);
    assert_status(enter(2, 0, &other), ARIL_OK);
    assert_non_null(other);
    arili_flight_leave(flights, first);
    arili_flight_leave(flights, other);
    assert_status(enter(1, 0, &first), ARIL_OK);
    assert_non_null(first);
    arili_flight_leave(flights, first);
}

static void many_names_are_worked_on_at_a_time(void **state)
{
    (void)state;
    enum { NAMES = 500 };
    struct arili_flight *all[NAMES];
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned n = 0; n < NAMES; n++) {
            assert_status(enter(n, 0, &all[n]), ARIL_OK);
            assert_non_null(all[n]);
        }
        for (unsigned n = 0; n < NAMES; n++) {
            struct arili_flight *none;
            assert_status(enter(n, 0, &none), ARIL_E_TIMEOUT);
        }
        for (unsigned n = 0; n < NAMES; n++) {
            arili_flight_leave(flights, all[(n * 7) % NAMES]);
        }
    }
}

static void a_wait_ends_at_its_time_and_not_before(void **state)
{
    (void)state;
    static const uint32_t waits[] = { 1, 30, 1001 };
    struct arili_flight *first = NULL, *none = NULL;
    assert_status(enter(1, 0, &first), ARIL_OK);
    for (size_t i = 0; i < COUNT(waits); i++) {
        struct timespec from, to;
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &from), 0);
        assert_status(enter(1, waits[i], &none), ARIL_E_TIMEOUT);
        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &to), 0);
        assert_null(none);
        const int64_t ns =
            (int64_t)(to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
        assert_true(ns >= (int64_t)waits[i] * 1000000);
    }
    assert_int_equal(arili_flight_waiters(flights, first), 0);
    arili_flight_leave(flights, first);
}

static void *wait_long(void *arg)
{
    struct arili_flight *none = NULL;
    *(aril_status *)arg = enter(1, UINT32_MAX, &none);
    return none;
}

static void all_who_wait_are_told_of_the_end(void **state)
{
    (void)state;
    enum { WAITERS = 8 };
    pthread_t threads[WAITERS];
    aril_status statuses[WAITERS];
    struct arili_flight *first = NULL, *second = NULL;
    assert_status(enter(1, 0, &first), ARIL_OK);
    for (unsigned i = 0; i < WAITERS; i++) {
        statuses[i] = ARIL_E_CRYPTO;
        assert_int_equal(pthread_create(&threads[i], NULL, wait_long, &statuses[i]), 0);
    }
    while (arili_flight_waiters(flights, first) < WAITERS) {
        sched_yield();
    }
    arili_flight_leave(flights, first);
    assert_status(enter(1, 0, &second), ARIL_OK); /* the next one need not wait for them to wake */
    assert_non_null(second);
    for (unsigned i = 0; i < WAITERS; i++) {
        void *flight = &flights;
        assert_int_equal(pthread_join(threads[i], &flight), 0);
        assert_null(flight);
        assert_status(statuses[i], ARIL_OK);
    }
    arili_flight_leave(flights, second);
}

static void names_out_of_bounds_are_refused(void **state)
{
    (void)state;
    const aril_cache_key key = { .tenant = TEXT("t"),
                                 .key = { (const uint8_t *)"k", ARIL_CACHE_KEY_BYTES_MAX + 1 } };
    struct arili_flight *none = NULL;
    assert_status(arili_flight_enter(flights, &key, 0, &none), ARIL_E_USAGE_RANGE);
    assert_null(none);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(one_works_on_a_name_at_a_time),          CASE(many_names_are_worked_on_at_a_time),
        CASE(a_wait_ends_at_its_time_and_not_before), CASE(all_who_wait_are_told_of_the_end),
        CASE(names_out_of_bounds_are_refused),
    };
    return cmocka_run_group_tests_name("single flight", tests, NULL, NULL);
}
