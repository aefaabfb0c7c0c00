/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/report.h"
#include "check.h"
#include <string.h>
#include <time.h>

struct seen {
    unsigned count;
    aril_event last;
};

static void remember(void *state, const aril_event *event)
{
    struct seen *seen = state;
    seen->count++;
    seen->last = *event;
}

struct times {
    aril_status boot_st, unix_st;
    unsigned reads;
};

static aril_status boot_of(void *state, uint64_t *ret_ns)
{
    struct times *t = state;
    t->reads++;
    if (t->boot_st == ARIL_OK) {
        *ret_ns = 1234567890123;
    }
    return t->boot_st;
}

static aril_status unix_of(void *state, uint64_t *ret_s)
{
    struct times *t = state;
    t->reads++;
    if (t->unix_st == ARIL_OK) {
        *ret_s = 1700000000;
    }
    return t->unix_st;
}

static struct times times;
static struct seen seen;
static const aril_clock fixed_clock = { ARIL_CLOCK_ABI, &times, boot_of, unix_of };
static const aril_audit_sink sink = { ARIL_AUDIT_SINK_ABI, &seen, remember };

static int reset(void **state)
{
    (void)state;
    times = (struct times){ ARIL_OK, ARIL_OK, 0 };
    seen = (struct seen){ 0 };
    return 0;
}

static aril_event sample(void)
{
    return (aril_event){ .kind = ARIL_EVENT_REPLAY,
                         .status = ARIL_E_REPLAY,
                         .boot_ns = 5,
                         .unix_s = 6,
                         .tenant = { (const uint8_t *)"acme", 4 },
                         .sequence = 77 };
}

static void the_times_come_from_the_clock_and_the_rest_stays(void **state)
{
    (void)state;
    aril_event event = sample();
    arili_audit_emit(&sink, &fixed_clock, &event);
    assert_int_equal(seen.count, 1);
    assert_true(seen.last.boot_ns == 1234567890123);
    assert_true(seen.last.unix_s == 1700000000);
    assert_int_equal(seen.last.kind, ARIL_EVENT_REPLAY);
    assert_status(seen.last.status, ARIL_E_REPLAY);
    assert_int_equal(seen.last.sequence, 77);
    assert_memory_equal(seen.last.tenant.data, "acme", 4);
}

static void without_a_sink_not_even_the_clock_is_read(void **state)
{
    (void)state;
    aril_event event = sample();
    arili_audit_emit(NULL, &fixed_clock, &event);
    assert_int_equal(times.reads, 0);
    assert_int_equal(event.boot_ns, 5);
}

static void a_failing_clock_loses_its_time_but_not_the_event(void **state)
{
    (void)state;
    times.boot_st = ARIL_E_UNAVAILABLE;
    aril_event event = sample();
    arili_audit_emit(&sink, &fixed_clock, &event);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.boot_ns, 0);
    assert_true(seen.last.unix_s == 1700000000);

    times = (struct times){ ARIL_OK, ARIL_E_UNAVAILABLE, 0 };
    event = sample();
    arili_audit_emit(&sink, &fixed_clock, &event);
    assert_int_equal(seen.count, 2);
    assert_true(seen.last.boot_ns == 1234567890123);
    assert_int_equal(seen.last.unix_s, 0);
}

static void without_a_clock_the_system_tells_the_time(void **state)
{
    (void)state;
    const uint64_t before = (uint64_t)time(NULL);
    aril_event event = sample();
    arili_audit_emit(&sink, NULL, &event);
    assert_true(seen.last.unix_s >= before);
    assert_true(seen.last.boot_ns > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_times_come_from_the_clock_and_the_rest_stays, reset),
        cmocka_unit_test_setup(without_a_sink_not_even_the_clock_is_read, reset),
        cmocka_unit_test_setup(a_failing_clock_loses_its_time_but_not_the_event, reset),
        cmocka_unit_test_setup(without_a_clock_the_system_tells_the_time, reset),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
