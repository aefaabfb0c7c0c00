/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tells.h"
#include "check.h"

#define S UINT64_C(1000000000)

static struct arili_tells t;

static int setup(void **state)
{
    (void)state;
    arili_tells_init(&t);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    arili_tells_done(&t);
    return 0;
}

/* How many of n are told at that time. */
static unsigned told(enum arili_tell kind, unsigned n, uint64_t now_ns)
{
    uint64_t left_out = 0;
    unsigned ret = 0;
    for (unsigned i = 0; i < n; i++) {
        ret += arili_tells_may(&t, kind, now_ns, &left_out);
    }
    return ret;
}

static void the_first_are_told_and_then_one_each_second(void **state)
{
    (void)state;
    assert_int_equal(told(ARILI_TELL_TAMPERED, 100, 5 * S), ARILI_TELLS_BURST);
    assert_int_equal(told(ARILI_TELL_TAMPERED, 100, 5 * S + 999999999), 0);
    assert_int_equal(told(ARILI_TELL_TAMPERED, 100, 6 * S), 1);
    assert_int_equal(told(ARILI_TELL_TAMPERED, 100, 9 * S), 3);
}

static void part_of_a_second_is_not_lost(void **state)
{
    (void)state;
    assert_int_equal(told(ARILI_TELL_REFUSED, 100, S), ARILI_TELLS_BURST);
    assert_int_equal(told(ARILI_TELL_REFUSED, 100, 2 * S + S / 2), 1);
    assert_int_equal(told(ARILI_TELL_REFUSED, 100, 3 * S), 1);
}

static void quiet_time_saves_up_no_more_than_a_burst(void **state)
{
    (void)state;
    assert_int_equal(told(ARILI_TELL_REFUSED, 3, S), 3);
    assert_int_equal(told(ARILI_TELL_REFUSED, 100, 1000000 * S), ARILI_TELLS_BURST);
    assert_int_equal(told(ARILI_TELL_REFUSED, 100, UINT64_MAX), ARILI_TELLS_BURST);
}

static void a_clock_that_stands_or_goes_back_gives_nothing(void **state)
{
    (void)state;
    assert_int_equal(told(ARILI_TELL_REFUSED, 100, 0), ARILI_TELLS_BURST); /* no clock at all */
    assert_int_equal(told(ARILI_TELL_REFUSED, 100, 0), 0);
    assert_int_equal(told(ARILI_TELL_REFUSED, 100, 50 * S), ARILI_TELLS_BURST);
    assert_int_equal(told(ARILI_TELL_REFUSED, 100, 40 * S), 0);
    assert_int_equal(told(ARILI_TELL_REFUSED, 100, 51 * S), 1);
}

static void logins_are_told_more_rarely(void **state)
{
    (void)state;
    assert_int_equal(told(ARILI_TELL_LOGIN, 100, S), ARILI_TELLS_BURST);
    assert_int_equal(told(ARILI_TELL_LOGIN, 100, 10 * S), 0);
    assert_int_equal(told(ARILI_TELL_LOGIN, 100, 11 * S), 1);
    assert_int_equal(told(ARILI_TELL_LOGIN, 100, 31 * S), 2);
}

static void kinds_have_buckets_of_their_own(void **state)
{
    (void)state;
    for (unsigned k = 0; k < ARILI_TELL_KINDS; k++) {
        assert_int_equal(told((enum arili_tell)k, 100, S), ARILI_TELLS_BURST);
    }
}

static void the_next_one_says_how_many_were_left_out(void **state)
{
    (void)state;
    uint64_t left_out = 99;
    assert_true(arili_tells_may(&t, ARILI_TELL_NAME, S, &left_out));
    assert_int_equal(left_out, 0);
    assert_int_equal(told(ARILI_TELL_NAME, 29, S), ARILI_TELLS_BURST - 1);
    assert_true(arili_tells_may(&t, ARILI_TELL_NAME, 2 * S, &left_out));
    assert_int_equal(left_out, 20);
    assert_true(arili_tells_may(&t, ARILI_TELL_NAME, 3 * S, &left_out));
    assert_int_equal(left_out, 0);
}

static void what_is_owed_is_said_once_and_when_it_may(void **state)
{
    (void)state;
    uint64_t left_out = 99;
    assert_false(arili_tells_owes(&t, ARILI_TELL_NAME, S, &left_out));
    assert_int_equal(told(ARILI_TELL_NAME, 15, S), ARILI_TELLS_BURST);
    assert_int_equal(told(ARILI_TELL_REFUSED, 13, S), ARILI_TELLS_BURST);
    assert_false(arili_tells_owes(&t, ARILI_TELL_NAME, S, &left_out)); /* no token */
    assert_int_equal(left_out, 99);
    assert_true(arili_tells_owes(&t, ARILI_TELL_NAME, 2 * S, &left_out));
    assert_int_equal(left_out, 5);
    assert_false(arili_tells_owes(&t, ARILI_TELL_NAME, 9 * S, &left_out));
    assert_true(arili_tells_owes(&t, ARILI_TELL_REFUSED, 9 * S, &left_out));
    assert_int_equal(left_out, 3);
    assert_false(atomic_load(&t.owing));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_first_are_told_and_then_one_each_second),
        T(part_of_a_second_is_not_lost),
        T(quiet_time_saves_up_no_more_than_a_burst),
        T(a_clock_that_stands_or_goes_back_gives_nothing),
        T(logins_are_told_more_rarely),
        T(kinds_have_buckets_of_their_own),
        T(the_next_one_says_how_many_were_left_out),
        T(what_is_owed_is_said_once_and_when_it_may),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
