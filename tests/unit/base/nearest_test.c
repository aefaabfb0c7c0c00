/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"
#include "check.h"
#include <string.h>

static const char *nearest_of(const char *wanted)
{
    static const char *const words[] = { "clients_max", "client_out_max", "memory_max",
                                         "idle",        "tls_cert",       "tls_key" };
    struct arili_nearest n =
        arili_nearest_init((aril_bytes){ (const uint8_t *)wanted, strlen(wanted) });
    for (size_t i = 0; i < COUNT(words); i++) {
        arili_nearest_offer(&n, words[i]);
    }
    return n.best;
}

static void a_slip_finds_the_word(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("clients_max"), "clients_max");
    assert_string_equal(nearest_of("client_max"), "clients_max");
    assert_string_equal(nearest_of("memroy_max"), "memory_max");
    assert_string_equal(nearest_of("memory-max"), "memory_max");
    assert_string_equal(nearest_of("idel"), "idle");
    assert_string_equal(nearest_of("idle_"), "idle");
}

static void a_beginning_finds_the_word(void **state)
{
    (void)state;
    assert_string_equal(nearest_of("client_o"), "client_out_max");
    assert_string_equal(nearest_of("tls_"), "tls_cert"); /* the first of equal ones */
}

static void what_is_like_nothing_finds_nothing(void **state)
{
    (void)state;
    assert_null(nearest_of("password"));
    assert_null(nearest_of("x"));
    assert_null(nearest_of(""));
    assert_null(nearest_of("clients_maxclients_maxclients_max"));
}

static void words_at_the_longest_are_compared(void **state)
{
    (void)state;
    static const char *const longest = "abcdefghijklmnopqrstuvwxyz01234";
    static const char *const longer = "abcdefghijklmnopqrstuvwxyz012345";
    assert_int_equal(strlen(longest), ARILI_NEAREST_BYTES_MAX);
    struct arili_nearest n =
        arili_nearest_init((aril_bytes){ (const uint8_t *)longest, ARILI_NEAREST_BYTES_MAX });
    arili_nearest_offer(&n, longer);
    assert_null(n.best);
    arili_nearest_offer(&n, longest);
    assert_ptr_equal(n.best, longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_finds_the_word),
        cmocka_unit_test(a_beginning_finds_the_word),
        cmocka_unit_test(what_is_like_nothing_finds_nothing),
        cmocka_unit_test(words_at_the_longest_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
