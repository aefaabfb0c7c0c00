/* SPDX-License-Identifier: Apache-2.0 */
/* Queue and single flight without memory. */
#include "cache/flight.h"
#include "cache/queue_internal.h"
#include "fault_alloc.h"
#include "fixture.h"
#include "l1_use.h"
#include <poll.h>

static aril_status nothing(aril_cache *cache, aril_cache_item *items, size_t count, aril_error *e)
{
    (void)cache;
    (void)items;
    (void)count;
    (void)e;
    return ARIL_OK;
}

static const struct arili_queue_calls calls = { .by_op = { nothing, nothing, nothing, nothing } };

static void a_queue_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        aril_cache_queue *queue = NULL;
        fault_alloc_arm(n);
        const aril_status st = arili_queue_new_over(&calls, NULL, 3, 5, &queue);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            assert_int_equal(n, 4);
            aril_cache_queue_free(queue);
            break;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_null(queue);
    }
}

static void batches_need_no_memory(void **state)
{
    (void)state;
    static aril_cache_item items[100];
    aril_cache_queue *queue = NULL;
    aril_cache_completion c;
    assert_status(arili_queue_new_over(&calls, NULL, 3, 5, &queue), ARIL_OK);
    struct pollfd p = { .fd = aril_cache_queue_fd(queue), .events = POLLIN };
    fault_alloc_arm(1);
    const aril_status st = aril_cache_submit(queue, ARIL_CACHE_OP_PUT, items, 100, NULL, NULL);
    const int ready = poll(&p, 1, 60000);
    const size_t got = aril_cache_completions(queue, &c, 1);
    fault_alloc_disarm();
    assert_false(fault_alloc_fired());
    assert_status(st, ARIL_OK);
    assert_int_equal(ready, 1);
    assert_int_equal(got, 1);
    aril_cache_queue_free(queue);
}

static void without_memory_nobody_flies_and_nobody_is_blocked(void **state)
{
    (void)state;
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(1, text);
    struct arili_flights *flights = NULL;
    struct arili_flight *flight = NULL;
    fault_alloc_arm(1);
    const aril_status made = arili_flights_new(&flights);
    fault_alloc_disarm();
    assert_status(made, ARIL_E_NOMEM);
    assert_null(flights);
    assert_status(arili_flights_new(&flights), ARIL_OK);
    fault_alloc_arm(1);
    const aril_status st = arili_flight_enter(flights, &key, 1000, &flight);
    fault_alloc_disarm();
    assert_status(st, ARIL_E_NOMEM);
    assert_null(flight);
    assert_status(arili_flight_enter(flights, &key, 0, &flight), ARIL_OK);
    assert_non_null(flight);
    arili_flight_leave(flights, flight);
    arili_flights_free(flights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_is_made_whole_or_not_at_all),
        cmocka_unit_test(batches_need_no_memory),
        cmocka_unit_test(without_memory_nobody_flies_and_nobody_is_blocked),
    };
    return cmocka_run_group_tests_name("queue and flight faults", tests, NULL, NULL);
}
