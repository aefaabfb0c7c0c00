/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/staging.h"
#include "check.h"
#include "valgrind.h"
#include <string.h>

#define KIB  ((size_t)1024)
#define MIB  ((size_t)1 << 20)
#define KEPT 8u

static struct arili_staging *s;

static int setup(void **state)
{
    (void)state;
    return arili_staging_new(&s) == ARIL_OK ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    arili_staging_free(s);
    return 0;
}

static struct arili_stage take(size_t len)
{
    struct arili_stage stage = { NULL, 0 };
    assert_status(arili_staging_take(s, len, &stage), ARIL_OK);
    assert_non_null(stage.data);
    assert_true(stage.cap >= len);
    assert_int_equal((uintptr_t)stage.data % 4096, 0);
    memset(stage.data, 0x5a, stage.cap); /* all of it is there */
    return stage;
}

static void a_buffer_is_aligned_and_long_enough_for_every_size(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 32 * MIB; len *= 2) {
        for (size_t near = len - 1; near <= len + 1; near++) {
            struct arili_stage stage = take(near);
            arili_staging_give(s, &stage);
            assert_null(stage.data);
            assert_int_equal(stage.cap, 0);
        }
    }
}

static void what_was_given_back_is_used_again(void **state)
{
    (void)state;
    struct arili_stage first = take(5000);
    uint8_t *const data = first.data;
    arili_staging_give(s, &first);
    struct arili_stage again = take(8000); /* of the same class */
    assert_ptr_equal(again.data, data);
    struct arili_stage other = take(8000);
    assert_ptr_not_equal(other.data, data);
    arili_staging_give(s, &again);
    arili_staging_give(s, &other);
}

static void buffers_that_are_taken_do_not_overlap(void **state)
{
    (void)state;
    struct arili_stage stages[3 * KEPT];
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(stages); i++) {
            stages[i] = take(4 * KIB + i % 2);
            memset(stages[i].data, (int)i, stages[i].cap);
        }
        for (size_t i = 0; i < COUNT(stages); i++) {
            assert_int_equal(stages[i].data[0], i);
            assert_int_equal(stages[i].data[stages[i].cap - 1], i);
        }
        /* More of them than are kept. */
        for (size_t i = 0; i < COUNT(stages); i++) {
            arili_staging_give(s, &stages[i]);
        }
    }
}

static void what_is_longer_than_the_longest_class_has_its_own_length(void **state)
{
    (void)state;
    struct arili_stage stage = take(16 * MIB);
    assert_int_equal(stage.cap, 16 * MIB);
    arili_staging_give(s, &stage);
    stage = take(16 * MIB + 1);
    assert_int_equal(stage.cap, 16 * MIB + 1);
    arili_staging_give(s, &stage);
}

static void many_long_buffers_can_be_given_back(void **state)
{
    (void)state;
    struct arili_stage stages[KEPT]; /* 128 MiB, of which half is kept */
    for (size_t i = 0; i < COUNT(stages); i++) {
        assert_status(arili_staging_take(s, 16 * MIB, &stages[i]), ARIL_OK);
    }
    for (size_t i = 0; i < COUNT(stages); i++) {
        arili_staging_give(s, &stages[i]);
    }
}

static void nothing_can_be_given_back_and_nothing_freed(void **state)
{
    (void)state;
    struct arili_stage none = { NULL, 0 };
    arili_staging_give(s, &none);
    arili_staging_free(NULL);
}

static void what_cannot_be_had_is_said_and_leaves_the_output(void **state)
{
    if (under_valgrind()) {
        skip(); /* which takes such sizes for errors */
    }
    (void)state;
    struct arili_stage stage = { NULL, 7 };
    assert_status(arili_staging_take(s, SIZE_MAX / 2, &stage), ARIL_E_NOMEM);
    assert_null(stage.data);
    assert_int_equal(stage.cap, 7);
    assert_status(arili_staging_take(s, SIZE_MAX, &stage), ARIL_E_NOMEM);
    assert_status(arili_staging_take(s, SIZE_MAX - 100, &stage), ARIL_E_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_buffer_is_aligned_and_long_enough_for_every_size, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_was_given_back_is_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(buffers_that_are_taken_do_not_overlap, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_longer_than_the_longest_class_has_its_own_length,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(many_long_buffers_can_be_given_back, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_can_be_given_back_and_nothing_freed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_had_is_said_and_leaves_the_output, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("staging", tests, NULL, NULL);
}
