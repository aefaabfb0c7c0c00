/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "check.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#define THREADS 8u
#define READS   (SANITIZED ? 20000u : 200000u)

static uint64_t boot_ns(void)
{
    uint64_t ns = 0;
    return arili_clock_system.boot_ns(arili_clock_system.state, &ns) == ARIL_OK ? ns : 0;
}

static uint64_t exact_ns(clockid_t id)
{
    struct timespec t;
    assert_int_equal(clock_gettime(id, &t), 0);
    return (uint64_t)t.tv_sec * ARILI_NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t tick_ns(void)
{
    struct timespec t;
    assert_int_equal(clock_getres(CLOCK_MONOTONIC_COARSE, &t), 0);
    return (uint64_t)t.tv_sec * ARILI_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* The coarse clock itself may be late while the host does not run this machine, so
 * one of several tries has to be within the tick. */
static void boot_time_is_exact_to_a_tick(void **state)
{
    (void)state;
    bool close = false;
    for (unsigned i = 0; i < 1000 && !close; i++) {
        const uint64_t before = exact_ns(CLOCK_BOOTTIME);
        const uint64_t ours = boot_ns();
        const uint64_t after = exact_ns(CLOCK_BOOTTIME);
        assert_true(ours != 0 && ours <= after);
        close = ours + 2 * tick_ns() >= before;
    }
    assert_true(close);
}

/* Busy for a few ticks instead of asleep: the time has to pass for real. */
static void boot_time_moves_on(void **state)
{
    (void)state;
    const uint64_t first = boot_ns();
    const uint64_t limit = exact_ns(CLOCK_MONOTONIC) + 5 * ARILI_NS_PER_S;
    uint64_t now = first;
    while (now == first && exact_ns(CLOCK_MONOTONIC) < limit) {
        now = boot_ns();
    }
    assert_true(now > first);
}

static void unix_time_is_that_of_the_system(void **state)
{
    (void)state;
    const uint64_t before = (uint64_t)time(NULL);
    uint64_t ours = 0;
    assert_status(arili_clock_system.unix_s(arili_clock_system.state, &ours), ARIL_OK);
    /* time() may read a coarse clock that is a tick behind. */
    assert_true(ours >= before && ours <= (uint64_t)time(NULL) + 1);
}

/* Each thread publishes what it read; whoever has seen that must not read less. */
static _Atomic uint64_t latest;

static void *read_clock(void *arg)
{
    size_t *backwards = arg;
    for (unsigned i = 0; i < READS; i++) {
        uint64_t seen = atomic_load_explicit(&latest, memory_order_acquire);
        const uint64_t now = boot_ns();
        *backwards += now < seen;
        while (seen < now && !atomic_compare_exchange_weak_explicit(
                                 &latest, &seen, now, memory_order_release, memory_order_relaxed)) {
        }
    }
    return NULL;
}

static void boot_time_never_goes_back_between_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    size_t backwards[THREADS] = { 0 };
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_clock, &backwards[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(backwards[i], 0);
    }
}

static void the_table_states_its_version(void **state)
{
    (void)state;
    assert_int_equal(arili_clock_system.abi, ARIL_CLOCK_ABI);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boot_time_is_exact_to_a_tick),
        cmocka_unit_test(boot_time_moves_on),
        cmocka_unit_test(unix_time_is_that_of_the_system),
        cmocka_unit_test(boot_time_never_goes_back_between_threads),
        cmocka_unit_test(the_table_states_its_version),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
