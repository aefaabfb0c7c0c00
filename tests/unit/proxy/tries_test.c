/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "proxy/auth.h"
#include <stdio.h>
#include <string.h>

#define BURST      ARILI_TRIES_ADDRESS_BURST
#define WAIT       ARILI_TRIES_ADDRESS_INTERVAL_NS
#define USER_BURST ARILI_TRIES_USER_BURST
#define USER_WAIT  ARILI_TRIES_USER_INTERVAL_NS
#define START      UINT64_C(1000000000000)

static aril_bytes bytes_of(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

static int set_up(void **state)
{
    struct arili_tries *t = NULL;
    const aril_status st = arili_tries_new(&t);
    *state = t;
    return st == ARIL_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    arili_tries_free(*state);
    return 0;
}

static bool may(void *t, const char *address, const char *user, uint64_t now_ns)
{
    return arili_tries_may(t, address, bytes_of(user), now_ns);
}

/* How many of 100 tries at one moment are allowed; each from or for another one where NULL. */
static unsigned allowed(void *t, const char *address, const char *user, uint64_t now_ns)
{
    unsigned count = 0;
    for (unsigned i = 0; i < 100; i++) {
        char other[32];
        (void)snprintf(other, sizeof other, "10.1.0.%u", i);
        count += may(t, address != NULL ? address : other, user != NULL ? user : other, now_ns);
    }
    return count;
}

static void an_address_has_its_burst_and_then_one_each_interval(void **state)
{
    assert_int_equal(allowed(*state, "192.0.2.1", NULL, START), BURST);
    assert_int_equal(allowed(*state, "192.0.2.1", NULL, START + WAIT - 1), 0);
    assert_int_equal(allowed(*state, "192.0.2.1", NULL, START + WAIT), 1);
    assert_int_equal(allowed(*state, "192.0.2.1", NULL, START + 2 * WAIT), 1);
    assert_int_equal(allowed(*state, "192.0.2.1", NULL, START + 5 * WAIT), 3);
    assert_int_equal(allowed(*state, "192.0.2.1", NULL, START + 100 * WAIT), BURST);
    assert_int_equal(allowed(*state, "192.0.2.2", NULL, START), BURST);
}

static void a_user_has_a_burst_over_all_addresses(void **state)
{
    assert_int_equal(allowed(*state, NULL, "ann", START), USER_BURST);
    assert_int_equal(allowed(*state, NULL, "ann", START + USER_WAIT - 1), 0);
    assert_int_equal(allowed(*state, NULL, "ann", START + USER_WAIT), 1);
    assert_int_equal(allowed(*state, NULL, "bob", START + 1000 * USER_WAIT), USER_BURST);
}

static void what_is_refused_does_not_prolong_the_wait(void **state)
{
    (void)allowed(*state, "192.0.2.1", NULL, START);
    for (uint64_t now = START; now < START + WAIT; now += WAIT / 50) {
        assert_false(may(*state, "192.0.2.1", "x", now));
    }
    assert_true(may(*state, "192.0.2.1", "x", START + WAIT));
}

/* Who is stopped by his address does not use up the tries of others' users. */
static void a_refused_address_does_not_count_against_the_user(void **state)
{
    assert_int_equal(allowed(*state, "192.0.2.1", "ann", START), BURST);
    assert_int_equal(allowed(*state, NULL, "ann", START), USER_BURST - BURST);
}

static void right_ones_do_not_count(void **state)
{
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(may(*state, "192.0.2.1", "ann", START));
        arili_tries_right(*state, "192.0.2.1", bytes_of("ann"));
    }
    assert_int_equal(allowed(*state, "192.0.2.1", NULL, START), BURST);
}

/* Who has one right passphrase does not get tries of others' for it. */
static void a_right_one_gives_back_no_more_than_itself(void **state)
{
    unsigned wrong = 0;
    for (unsigned i = 0; i < 100; i++) {
        char user[16];
        (void)snprintf(user, sizeof user, "u%u", i);
        wrong += may(*state, "192.0.2.1", user, START);
        if (may(*state, "192.0.2.1", "mine", START)) {
            arili_tries_right(*state, "192.0.2.1", bytes_of("mine"));
        }
    }
    assert_int_equal(wrong, BURST);
}

static void giving_back_what_nobody_took_gives_no_more_than_a_burst(void **state)
{
    for (unsigned i = 0; i < 100; i++) {
        arili_tries_right(*state, "192.0.2.1", bytes_of("ann"));
    }
    assert_true(may(*state, "192.0.2.1", "ann", 0));
    for (unsigned i = 0; i < 100; i++) {
        arili_tries_right(*state, "192.0.2.1", bytes_of("ann"));
    }
    assert_int_equal(allowed(*state, "192.0.2.1", NULL, 0), BURST);
}

static void one_host_of_ipv6_is_one_address(void **state)
{
    unsigned count = 0;
    for (unsigned i = 0; i < 100; i++) {
        char address[64];
        (void)snprintf(address, sizeof address, "2001:db8:0:1::%x", i);
        count += may(*state, address, address, START);
    }
    assert_int_equal(count, BURST);
    assert_int_equal(allowed(*state, "2001:db8:0:2::1", NULL, START), BURST);
    assert_int_equal(allowed(*state, "2001:db8:0:1:ffff::1", NULL, START), 0);
}

static void mapped_addresses_of_ipv4_are_those(void **state)
{
    assert_int_equal(allowed(*state, "::ffff:192.0.2.1", NULL, START), BURST);
    assert_int_equal(allowed(*state, "192.0.2.1", NULL, START), 0);
    assert_int_equal(allowed(*state, "::ffff:192.0.2.2", NULL, START), BURST);
}

static void what_is_no_address_counts_as_its_text(void **state)
{
    assert_int_equal(allowed(*state, "unix:1000", NULL, START), BURST);
    assert_int_equal(allowed(*state, "unix:1000", NULL, START), 0);
    assert_int_equal(allowed(*state, "unix:1001", NULL, START), BURST);
    assert_int_equal(allowed(*state, "", NULL, START), BURST);
}

static void no_user_is_the_default_user(void **state)
{
    assert_int_equal(allowed(*state, NULL, "", START), USER_BURST);
    assert_int_equal(allowed(*state, NULL, "default", START), 0);
}

/* A million addresses with one try each do not wash out one that has used up its own. */
static void a_flood_does_not_make_the_guilty_forgotten(void **state)
{
    (void)allowed(*state, "192.0.2.1", "ann", START);
    (void)allowed(*state, NULL, "ann", START);
    for (unsigned i = 0; i < 1000000; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        assert_true(may(*state, address, address, START));
    }
    assert_int_equal(allowed(*state, "192.0.2.1", NULL, START), 0);
    assert_int_equal(allowed(*state, NULL, "ann", START), 0);
}

/* Innocent users get in while the tables are as full as they get. */
static void who_is_new_may_try_in_a_full_table(void **state)
{
    for (unsigned i = 0; i < 20000; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "10.0.%u.%u", i >> 8, i & 255);
        (void)allowed(*state, address, address, START);
    }
    assert_true(may(*state, "192.0.2.1", "ann", START));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(an_address_has_its_burst_and_then_one_each_interval),
        T(a_user_has_a_burst_over_all_addresses),
        T(what_is_refused_does_not_prolong_the_wait),
        T(a_refused_address_does_not_count_against_the_user),
        T(right_ones_do_not_count),
        T(a_right_one_gives_back_no_more_than_itself),
        T(giving_back_what_nobody_took_gives_no_more_than_a_burst),
        T(one_host_of_ipv6_is_one_address),
        T(mapped_addresses_of_ipv4_are_those),
        T(what_is_no_address_counts_as_its_text),
        T(no_user_is_the_default_user),
        T(a_flood_does_not_make_the_guilty_forgotten),
        T(who_is_new_may_try_in_a_full_table),
    };
#undef T
    arili_tries_free(NULL);
    return cmocka_run_group_tests_name("tries of passphrases", tests, NULL, NULL);
}
