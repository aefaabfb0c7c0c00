/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of the audit memory fails once; nothing may leak, change or be
 * handed out. The address sanitizer sees the leaks. */
#include "check.h"
#include "fault_alloc.h"
#include <aril/audit.h>
#include <string.h>

static aril_audit_memory *filled(void)
{
    aril_audit_memory *memory = NULL;
    assert_status(aril_audit_memory_new(4, 4, &memory), ARIL_OK);
    const aril_audit_sink *sink = aril_audit_memory_sink(memory);
    for (uint64_t i = 0; i < 6; i++) {
        const aril_event event = { .kind = i % 2 == 0 ? ARIL_EVENT_REPLAY : ARIL_EVENT_ENCRYPT,
                                   .tenant = { (const uint8_t *)"acme", 4 },
                                   .sequence = i,
                                   .records = 1 };
        sink->event(sink->state, &event);
    }
    return memory;
}

static int count(void *user, const aril_event *event)
{
    (void)event;
    ++*(size_t *)user;
    return 0;
}

static void creation_survives_every_failed_allocation(void **state)
{
    (void)state;
    for (unsigned nth = 1;; nth++) {
        aril_audit_memory *memory = (aril_audit_memory *)&memory;
        fault_alloc_arm(nth);
        const aril_status st = aril_audit_memory_new(4, 4, &memory);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            aril_audit_memory_free(memory);
            assert_int_equal(nth, 5); /* the object and its three rooms */
            return;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_null(memory);
    }
}

static void a_query_survives_every_failed_allocation(void **state)
{
    (void)state;
    aril_audit_memory *memory = filled();
    size_t visited = 0;
    unsigned nth = 1;
    for (;; nth++) {
        fault_alloc_arm(nth);
        const aril_status st = aril_audit_memory_query(memory, NULL, count, &visited);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            break;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_int_equal(visited, 0);
    }
    assert_int_equal(visited, 6);
    assert_int_equal(nth, 2);
    aril_audit_memory_free(memory);
}

static void an_export_survives_every_failed_allocation(void **state)
{
    (void)state;
    aril_audit_memory *memory = filled();
    char json[8192];
    unsigned nth = 1;
    for (;; nth++) {
        memset(json, 'z', sizeof json);
        size_t len = 77;
        fault_alloc_arm(nth);
        const aril_status st = aril_audit_memory_json(memory, NULL, json, sizeof json, &len);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            assert_int_equal(strlen(json), len);
            break;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_int_equal(len, 77);
        for (size_t i = 0; i < sizeof json; i++) {
            assert_int_equal(json[i], 'z');
        }
    }
    assert_int_equal(nth, 2);
    aril_audit_memory_free(memory);
}

static void events_need_no_memory(void **state)
{
    (void)state;
    aril_audit_memory *memory = NULL;
    assert_status(aril_audit_memory_new(4, 4, &memory), ARIL_OK);
    const aril_audit_sink *sink = aril_audit_memory_sink(memory);
    fault_alloc_arm(1);
    for (unsigned i = 0; i < 20; i++) {
        const aril_event event = { .kind = i % 2 == 0 ? ARIL_EVENT_CLOSE : ARIL_EVENT_DECRYPT };
        sink->event(sink->state, &event);
    }
    aril_audit_totals totals;
    assert_status(aril_audit_memory_totals(memory, &totals), ARIL_OK);
    aril_audit_memory_clear(memory);
    fault_alloc_disarm();
    assert_false(fault_alloc_fired());
    assert_int_equal(totals.events[ARIL_EVENT_CLOSE], 10);
    aril_audit_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_survives_every_failed_allocation),
        cmocka_unit_test(a_query_survives_every_failed_allocation),
        cmocka_unit_test(an_export_survives_every_failed_allocation),
        cmocka_unit_test(events_need_no_memory),
    };
    return cmocka_run_group_tests_name("audit faults", tests, NULL, NULL);
}
