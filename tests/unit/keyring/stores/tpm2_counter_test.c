/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "keyring/stores/tpm2_format.h"
#include "tpm2_fixture.h"
#include <stdio.h>
#include <string.h>

#define FILL         0xee
#define COUNTER_TYPE 0x02040014u /* AUTHREAD, AUTHWRITE, NO_DA, TPM2_NT_COUNTER */

static struct arili_store_counter create(void *store, unsigned number, uint64_t *ret_value)
{
    const struct arili_store_place place = tpm2_place(number);
    struct arili_store_counter c = { .len = 0 };
    aril_error error = { .message = "" };
    if (arili_store_tpm2.counter_create(store, place.slot, &c, ret_value, &error) != ARIL_OK) {
        fail_msg("%s", error.message);
    }
    return c;
}

static uint64_t read_value(void *store, const struct arili_store_counter *c)
{
    uint64_t value = 0;
    aril_error error = { .message = "" };
    if (arili_store_tpm2.counter_read(store, c, &value, &error) != ARIL_OK) {
        fail_msg("%s", error.message);
    }
    return value;
}

static uint64_t increment(void *store, const struct arili_store_counter *c)
{
    uint64_t value = 0;
    aril_error error = { .message = "" };
    if (arili_store_tpm2.counter_increment(store, c, &value, &error) != ARIL_OK) {
        fail_msg("%s", error.message);
    }
    return value;
}

static void expect_gone(void *store, const struct arili_store_counter *c)
{
    uint64_t value = FILL;
    aril_error error = { .message = "" };
    assert_status(arili_store_tpm2.counter_read(store, c, &value, &error), ARIL_E_NOT_FOUND);
    assert_non_null(strstr(error.message, tpm.uri));
    assert_status(arili_store_tpm2.counter_increment(store, c, &value, &error), ARIL_E_NOT_FOUND);
    assert_int_equal(value, FILL);
}

static void counters_count_by_one_and_apart_from_one_another(void **state)
{
    (void)state;
    uint64_t a = 0, b = 0;
    const struct arili_store_counter one = create(tpm2_store(), 1, &a);
    const struct arili_store_counter two = create(tpm2_store(), 2, &b);
    assert_int_equal(read_value(tpm2_store(), &one), a);
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(increment(tpm2_store(), &one), a + i);
        assert_int_equal(read_value(tpm2_store(), &one), a + i);
        assert_int_equal(read_value(tpm2_store(), &two), b);
    }
}

static void a_counter_goes_on_after_a_restart_and_after_a_crash(void **state)
{
    (void)state;
    uint64_t value = 0;
    const struct arili_store_counter c = create(tpm2_store(), 1, &value);
    value = increment(tpm2_store(), &c);
    swtpm_stop(&tpm);
    swtpm_restart(&tpm, SWTPM_STARTED);
    assert_int_equal(read_value(tpm2_store(), &c), value);
    assert_int_equal(increment(tpm2_store(), &c), value + 1);
    swtpm_kill(&tpm);
    swtpm_restart(&tpm, SWTPM_STARTED);
    assert_int_equal(read_value(tpm2_store(), &c), value + 1);
    assert_int_equal(increment(tpm2_store(), &c), value + 2);
}

static void a_counter_made_anew_is_ahead_of_the_one_that_was_removed(void **state)
{
    (void)state;
    uint64_t value = 0, anew = 0;
    struct arili_store_counter c = create(tpm2_store(), 1, &value);
    for (unsigned i = 0; i < 10; i++) {
        value = increment(tpm2_store(), &c);
    }
    assert_status(arili_store_tpm2.counter_destroy(tpm2_store(), &c, NULL), ARIL_OK);
    expect_gone(tpm2_store(), &c);
    assert_status(arili_store_tpm2.counter_destroy(tpm2_store(), &c, NULL), ARIL_OK);
    assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, NULL, 0), 0);
    c = create(tpm2_store(), 1, &anew);
    assert_in_range(anew, value + 1, UINT64_MAX);
    assert_int_equal(read_value(tpm2_store(), &c), anew);
}

static void the_same_seed_finds_a_counter_that_was_left_half_made(void **state)
{
    (void)state;
    const struct arili_store_place place = tpm2_place(1);
    uint8_t tag[TPM2_TAG_BYTES];
    tpm2_tag(TPM2_COUNTER_LABEL, place.slot, tag);
    assert_int_equal(swtpm_nv_define(&tpm, arili_tpm2_nv_handle(tag), COUNTER_TYPE,
                                     (aril_bytes){ tag, sizeof tag }, 8),
                     0);
    uint64_t first = 0, second = 0;
    const struct arili_store_counter c = create(tpm2_store(), 1, &first);
    const struct arili_store_counter again = create(tpm2_store(), 1, &second);
    assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, NULL, 0), 1);
    assert_int_equal(first, second);
    assert_memory_equal(&c, &again, sizeof c);
}

static void what_is_no_counter_of_this_tpm_is_not_counted(void **state)
{
    (void)state;
    uint64_t value = 0;
    const struct arili_store_counter c = create(tpm2_store(), 1, &value);
    /* Another one at its handle, of the same kind, and one that is no counter. */
    assert_status(arili_store_tpm2.counter_destroy(tpm2_store(), &c, NULL), ARIL_OK);
    const uint32_t handle = (uint32_t)c.bytes[4] << 24 | (uint32_t)c.bytes[5] << 16 |
                            (uint32_t)c.bytes[6] << 8 | c.bytes[7];
    assert_int_equal(swtpm_nv_define(&tpm, handle, COUNTER_TYPE, (aril_bytes){ NULL, 0 }, 8), 0);
    expect_gone(tpm2_store(), &c);
    assert_status(arili_store_tpm2.counter_destroy(tpm2_store(), &c, NULL), ARIL_OK);
    assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, NULL, 0), 1); /* it is not ours */
    swtpm_nv_undefine(&tpm, handle);
    assert_int_equal(swtpm_nv_define(&tpm, handle, 0x02040004, (aril_bytes){ c.bytes + 8, 32 }, 8),
                     0);
    expect_gone(tpm2_store(), &c);
}

static void a_changed_place_of_a_counter_counts_nothing(void **state)
{
    (void)state;
    uint64_t value = 0;
    const struct arili_store_counter c = create(tpm2_store(), 1, &value);
    for (size_t i = 0; i < c.len; i++) {
        struct arili_store_counter changed = c;
        changed.bytes[i] ^= (uint8_t)(1u << i % 8);
        uint64_t got = FILL;
        aril_error error = { .message = "" };
        const aril_status st =
            arili_store_tpm2.counter_increment(tpm2_store(), &changed, &got, &error);
        assert_true(st == ARIL_E_NOT_FOUND || aril_status_class(st) == ARIL_E_FORMAT);
        assert_int_equal(got, FILL);
        assert_non_null(strstr(error.message, tpm.uri));
    }
    assert_int_equal(read_value(tpm2_store(), &c), value);
}

static void another_tpm_does_not_have_it(void **state)
{
    (void)state;
    uint64_t value = 0;
    const struct arili_store_counter c = create(tpm2_store(), 1, &value);
    struct swtpm other;
    assert_true(swtpm_start(&other));
    void *store = tpm2_open(&other, "");
    uint64_t got = FILL;
    assert_status(arili_store_tpm2.counter_read(store, &c, &got, NULL), ARIL_E_NOT_FOUND);
    assert_int_equal(got, FILL);
    tpm2_close(store);
    tpm2_expect_clean(&other);
    swtpm_remove(&other);
    swtpm_clear(&tpm);
    expect_gone(tpm2_store(), &c);
}

static void a_lockout_does_not_stop_it(void **state)
{
    (void)state;
    uint64_t value = 0;
    const struct arili_store_counter c = create(tpm2_store(), 1, &value);
    swtpm_lock_out(&tpm);
    assert_int_equal(increment(tpm2_store(), &c), value + 1);
    (void)create(tpm2_store(), 2, &value);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tpm2_setup, tpm2_teardown)

int main(void)
{
    if (tpm2_missing() != NULL) {
        (void)printf("skipped: %s\n", tpm2_missing());
        return 77;
    }
    const struct CMUnitTest tests[] = {
        TEST(counters_count_by_one_and_apart_from_one_another),
        TEST(a_counter_goes_on_after_a_restart_and_after_a_crash),
        TEST(a_counter_made_anew_is_ahead_of_the_one_that_was_removed),
        TEST(the_same_seed_finds_a_counter_that_was_left_half_made),
        TEST(what_is_no_counter_of_this_tpm_is_not_counted),
        TEST(a_changed_place_of_a_counter_counts_nothing),
        TEST(another_tpm_does_not_have_it),
        TEST(a_lockout_does_not_stop_it),
    };
    return cmocka_run_group_tests(tests, tpm2_group_setup, tpm2_group_teardown);
}
