/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "check.h"
#include <stdbool.h>
#include <string.h>

static aril_status positive(int n)
{
    ARILI_ENSURE(n > 0, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

static aril_status both_positive(int a, int b, bool *ret_reached_end)
{
    ARILI_TRY(positive(a));
    ARILI_TRY(positive(b));
    *ret_reached_end = true;
    return ARIL_OK;
}

static void a_failed_check_leaves_with_its_status(void **state)
{
    (void)state;
    bool end = false;
    assert_status(both_positive(0, 1, &end), ARIL_E_USAGE_RANGE);
    assert_status(both_positive(1, 0, &end), ARIL_E_USAGE_RANGE);
    assert_false(end);
    assert_status(both_positive(1, 1, &end), ARIL_OK);
    assert_true(end);
}

static int cleanups;
static void count_cleanup(int **p)
{
    cleanups += *p != NULL;
}

static void a_taken_pointer_is_not_cleaned_up(void **state)
{
    (void)state;
    int object = 0;
    cleanups = 0;
    {
        ARILI_DEFER(count_cleanup) int *kept = &object;
        assert_ptr_equal(kept, &object);
    }
    assert_int_equal(cleanups, 1);
    int *taken = NULL;
    {
        ARILI_DEFER(count_cleanup) int *given = &object;
        taken = ARILI_TAKE(given);
        assert_null(given);
    }
    assert_ptr_equal(taken, &object);
    assert_int_equal(cleanups, 1);
}

static void an_error_holds_status_and_message(void **state)
{
    (void)state;
    aril_error error = { ARIL_OK, "" };
    assert_status(arili_error_set(&error, ARIL_E_IO, "%s: line %d", "trust.txt", 7), ARIL_E_IO);
    assert_status(error.status, ARIL_E_IO);
    assert_string_equal(error.message, "trust.txt: line 7");
}

static void without_an_error_struct_only_the_status_is_returned(void **state)
{
    (void)state;
    assert_status(arili_error_set(NULL, ARIL_E_LIMIT, "%d", 1), ARIL_E_LIMIT);
}

static void a_long_message_is_cut(void **state)
{
    (void)state;
    struct {
        aril_error error;
        char after[8];
    } s;
    memset(&s, 'z', sizeof s);
    char text[2 * ARIL_ERROR_MESSAGE_BYTES];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)arili_error_set(&s.error, ARIL_E_IO, "%s", text);
    assert_int_equal(strlen(s.error.message), ARIL_ERROR_MESSAGE_BYTES - 1);
    assert_memory_equal(s.error.message, text, ARIL_ERROR_MESSAGE_BYTES - 1);
    assert_memory_equal(s.after, "zzzzzzzz", 8);
}

static void control_characters_cannot_forge_a_line(void **state)
{
    (void)state;
    aril_error error;
    (void)arili_error_set(&error, ARIL_E_IO, "%s", "a\nb\x1b[2J\x7f\tc \xc3\xa9");
    assert_string_equal(error.message, "a?b?[2J??c \xc3\xa9");
}

static void a_message_may_be_built_from_the_old_one(void **state)
{
    (void)state;
    aril_error error;
    (void)arili_error_set(&error, ARIL_E_IO, "disk full");
    (void)arili_error_set(&error, ARIL_E_IO, "key.pem: %s", error.message);
    assert_string_equal(error.message, "key.pem: disk full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_check_leaves_with_its_status),
        cmocka_unit_test(a_taken_pointer_is_not_cleaned_up),
        cmocka_unit_test(an_error_holds_status_and_message),
        cmocka_unit_test(without_an_error_struct_only_the_status_is_returned),
        cmocka_unit_test(a_long_message_is_cut),
        cmocka_unit_test(control_characters_cannot_forge_a_line),
        cmocka_unit_test(a_message_may_be_built_from_the_old_one),
    };
    return cmocka_run_group_tests_name("ensure", tests, NULL, NULL);
}
