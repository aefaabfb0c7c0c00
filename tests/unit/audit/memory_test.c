/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include <aril/audit.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static aril_audit_memory *memory_new(size_t security_max, size_t summaries_max)
{
    aril_audit_memory *memory = NULL;
    assert_status(aril_audit_memory_new(security_max, summaries_max, &memory), ARIL_OK);
    assert_non_null(memory);
    return memory;
}

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

static void send(aril_audit_memory *memory, aril_event event)
{
    const aril_audit_sink *sink = aril_audit_memory_sink(memory);
    sink->event(sink->state, &event);
}

static void send_kind(aril_audit_memory *memory, aril_event_kind kind, const char *tenant,
                      uint64_t sequence)
{
    send(memory, (aril_event){ .kind = kind, .tenant = text(tenant), .sequence = sequence });
}

struct kept {
    aril_event events[64];
    uint8_t tenants[64][ARIL_TENANT_ID_BYTES_MAX];
    size_t count;
    size_t stop_after; /* 0: never */
};

static int keep(void *user, const aril_event *event)
{
    struct kept *kept = user;
    assert_true(kept->count < COUNT(kept->events));
    kept->events[kept->count] = *event;
    if (event->tenant.len > 0) {
        memcpy(kept->tenants[kept->count], event->tenant.data, event->tenant.len);
    }
    kept->events[kept->count].tenant.data = kept->tenants[kept->count];
    kept->count++;
    return kept->stop_after != 0 && kept->count == kept->stop_after;
}

static struct kept kept;

static void query(const aril_audit_memory *memory, const aril_audit_filter *filter)
{
    memset(&kept, 0, sizeof kept);
    assert_status(aril_audit_memory_query(memory, filter, keep, &kept), ARIL_OK);
}

/* The sequence numbers of what is kept, which the tests use as names. */
static void assert_sequences(const uint64_t *expected, size_t count)
{
    assert_int_equal(kept.count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(kept.events[i].sequence, expected[i]);
    }
}
#define ASSERT_SEQUENCES(...) \
    assert_sequences((const uint64_t[]){ __VA_ARGS__ }, COUNT(((const uint64_t[]){ __VA_ARGS__ })))

static aril_audit_totals totals_of(const aril_audit_memory *memory)
{
    aril_audit_totals totals;
    assert_status(aril_audit_memory_totals(memory, &totals), ARIL_OK);
    return totals;
}

static void every_field_of_an_event_is_kept(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(4, 4);
    aril_event event = { .kind = ARIL_EVENT_ROTATE,
                         .status = ARIL_E_REPLAY_STALE,
                         .reason = ARIL_ROTATE_PEER,
                         .direction = ARIL_SERVER_TO_TENANT,
                         .unix_s = UINT64_MAX - 1,
                         .boot_ns = UINT64_MAX - 2,
                         .tenant = text("acme"),
                         .epoch = UINT32_MAX,
                         .sequence = UINT64_MAX - 3,
                         .foreign_tag = UINT64_MAX - 4,
                         .records = UINT64_MAX - 5,
                         .bytes = UINT64_MAX - 6,
                         .interval_start_ns = UINT64_MAX - 7,
                         .key_purpose = 254,
                         .key_state = 253,
                         .action = "rotate" };
    memset(event.session_id, 0xc3, sizeof event.session_id);
    memset(event.key_id, 0xc4, sizeof event.key_id);
    send(memory, event);
    query(memory, NULL);
    assert_int_equal(kept.count, 1);
    const aril_event *e = &kept.events[0];
    assert_int_equal(e->kind, event.kind);
    assert_status(e->status, event.status);
    assert_int_equal(e->reason, event.reason);
    assert_int_equal(e->direction, event.direction);
    assert_true(e->unix_s == event.unix_s);
    assert_true(e->boot_ns == event.boot_ns);
    assert_int_equal(e->tenant.len, 4);
    assert_memory_equal(e->tenant.data, "acme", 4);
    assert_memory_equal(e->session_id, event.session_id, sizeof event.session_id);
    assert_true(e->epoch == event.epoch);
    assert_true(e->sequence == event.sequence);
    assert_true(e->foreign_tag == event.foreign_tag);
    assert_true(e->records == event.records);
    assert_true(e->bytes == event.bytes);
    assert_true(e->interval_start_ns == event.interval_start_ns);
    assert_memory_equal(e->key_id, event.key_id, sizeof event.key_id);
    assert_int_equal(e->key_purpose, 254);
    assert_int_equal(e->key_state, 253);
    assert_ptr_equal(e->action, event.action); /* static storage is not copied */
    aril_audit_memory_free(memory);
}

static void tenant_ids_are_copied(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(4, 4);
    char id[] = "acme";
    send_kind(memory, ARIL_EVENT_REPLAY, id, 1);
    memset(id, 'x', 4);
    query(memory, NULL);
    assert_memory_equal(kept.events[0].tenant.data, "acme", 4);
    aril_audit_memory_free(memory);
}

static void tenant_ids_of_every_length_are_kept_and_longer_ones_cut(void **state)
{
    (void)state;
    uint8_t id[300];
    for (size_t i = 0; i < sizeof id; i++) {
        id[i] = (uint8_t)(255 - i);
    }
    for (size_t len = 0; len <= 257; len++) {
        aril_audit_memory *memory = memory_new(2, 1);
        send(memory,
             (aril_event){ .kind = ARIL_EVENT_SESSION, .tenant = { len > 0 ? id : NULL, len } });
        query(memory, NULL);
        const size_t expected = len <= 255 ? len : 255;
        assert_int_equal(kept.events[0].tenant.len, expected);
        assert_memory_equal(kept.events[0].tenant.data, id, expected);
        aril_audit_memory_free(memory);
    }
}

static void a_flood_keeps_the_first_and_counts_all(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(3, 2);
    for (uint64_t i = 1; i <= 1000; i++) {
        send_kind(memory, i % 2 == 1 ? ARIL_EVENT_AUTH_FAILURE : ARIL_EVENT_REPLAY, "mallory", i);
    }
    query(memory, NULL);
    ASSERT_SEQUENCES(1, 2, 3);
    const aril_audit_totals totals = totals_of(memory);
    assert_int_equal(totals.events[ARIL_EVENT_AUTH_FAILURE], 500);
    assert_int_equal(totals.events[ARIL_EVENT_REPLAY], 500);
    assert_int_equal(totals.lost_security, 997);
    assert_int_equal(totals.merged_summaries, 0);
    aril_audit_memory_free(memory);
}

static void send_summary(aril_audit_memory *memory, aril_event_kind kind, uint64_t name,
                         uint64_t records, uint64_t bytes)
{
    send(memory, (aril_event){ .kind = kind,
                               .tenant = text("acme"),
                               .sequence = name,
                               .records = records,
                               .bytes = bytes });
}

static void summaries_keep_the_newest_and_the_totals_all(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(1, 3);
    for (uint64_t i = 1; i <= 8; i++) {
        send_summary(memory, i % 2 == 1 ? ARIL_EVENT_ENCRYPT : ARIL_EVENT_DECRYPT, i, i, 100 * i);
        query(memory, NULL);
        assert_int_equal(kept.count, i < 3 ? i : 3);
        for (size_t k = 0; k < kept.count; k++) {
            assert_int_equal(kept.events[k].sequence, i - kept.count + 1 + k);
        }
    }
    const aril_audit_totals totals = totals_of(memory);
    assert_int_equal(totals.merged_summaries, 5);
    assert_int_equal(totals.events[ARIL_EVENT_ENCRYPT], 4);
    assert_int_equal(totals.events[ARIL_EVENT_DECRYPT], 4);
    assert_int_equal(totals.records_sealed, 1 + 3 + 5 + 7);
    assert_int_equal(totals.bytes_sealed, 1600);
    assert_int_equal(totals.records_opened, 2 + 4 + 6 + 8);
    assert_int_equal(totals.bytes_opened, 2000);
    assert_int_equal(totals.lost_security, 0);
    aril_audit_memory_free(memory);
}

static void load_cannot_push_security_events_out(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(2, 2);
    send_kind(memory, ARIL_EVENT_ISOLATION_VIOLATION, "mallory", 1);
    for (uint64_t i = 2; i < 100; i++) {
        send_summary(memory, ARIL_EVENT_ENCRYPT, i, 1, 1);
    }
    send_kind(memory, ARIL_EVENT_REPLAY, "mallory", 100);
    query(memory, NULL);
    ASSERT_SEQUENCES(1, 98, 99, 100);
    assert_int_equal(totals_of(memory).lost_security, 0);
    aril_audit_memory_free(memory);
}

static void violations_keep_the_oldest_and_all_else_the_newest(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ARIL_EVENT_KINDS; kind++) {
        aril_audit_memory *memory = memory_new(1, 1);
        send_kind(memory, (aril_event_kind)kind, "a", 1);
        send_kind(memory, (aril_event_kind)kind, "a", 2);
        const bool summary = kind == ARIL_EVENT_ENCRYPT || kind == ARIL_EVENT_DECRYPT;
        const bool violation =
            kind >= ARIL_EVENT_ISOLATION_VIOLATION && kind <= ARIL_EVENT_AUTH_FAILURE;
        query(memory, NULL);
        ASSERT_SEQUENCES(violation ? 1 : 2);
        const aril_audit_totals totals = totals_of(memory);
        assert_int_equal(totals.lost_security, violation);
        assert_int_equal(totals.lost_lifecycle, !violation && !summary);
        assert_int_equal(totals.merged_summaries, summary);
        assert_int_equal(totals.events[kind], 2);
        aril_audit_memory_free(memory);
    }
}

static void refusals_of_keyrings_and_fleets_are_violations(void **state)
{
    (void)state;
    static const struct {
        aril_event_kind kind;
        bool violation;
    } cases[] = { { ARIL_EVENT_KEY, false },
                  { ARIL_EVENT_KEYRING, true },
                  { ARIL_EVENT_FLEET, true },
                  { ARIL_EVENT_SERVICE, false },
                  { ARIL_EVENT_SESSION, false } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        aril_audit_memory *memory = memory_new(1, 1);
        for (uint64_t n = 1; n <= 2; n++) {
            send(memory, (aril_event){ .kind = cases[i].kind,
                                       .status = ARIL_E_REPLAY_ROLLBACK,
                                       .sequence = n });
        }
        query(memory, NULL);
        ASSERT_SEQUENCES(cases[i].violation ? 1 : 2);
        assert_int_equal(totals_of(memory).lost_security, cases[i].violation);
        assert_int_equal(totals_of(memory).lost_lifecycle, !cases[i].violation);
        aril_audit_memory_free(memory);
    }
}

static void use_of_a_keyring_cannot_push_its_refusals_out(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(2, 1);
    send(memory, (aril_event){ .kind = ARIL_EVENT_FLEET, .status = ARIL_E_AUTH, .sequence = 1 });
    for (uint64_t i = 2; i < 50; i++) {
        send_kind(memory, i % 2 == 0 ? ARIL_EVENT_KEYRING : ARIL_EVENT_KEY, "acme", i);
    }
    query(memory, NULL);
    ASSERT_SEQUENCES(1, 48, 49);
    assert_int_equal(totals_of(memory).lost_security, 0);
    aril_audit_memory_free(memory);
}

static void strangers_cannot_push_violations_out(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(2, 1);
    for (uint64_t i = 1; i < 50; i++) {
        send_kind(memory, ARIL_EVENT_SESSION, "stranger", i);
    }
    send_kind(memory, ARIL_EVENT_ISOLATION_VIOLATION, "mallory", 50);
    query(memory, NULL);
    ASSERT_SEQUENCES(48, 49, 50);
    assert_int_equal(totals_of(memory).lost_security, 0);
    assert_int_equal(totals_of(memory).lost_lifecycle, 47);
    aril_audit_memory_free(memory);
}

static void an_unknown_kind_is_counted_as_lost(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(2, 2);
    send_kind(memory, (aril_event_kind)ARIL_EVENT_KINDS, "a", 1);
    send_kind(memory, (aril_event_kind)0x40000000, "a", 1);
    query(memory, NULL);
    assert_int_equal(kept.count, 0);
    assert_int_equal(totals_of(memory).lost_security, 2);
    aril_audit_memory_free(memory);
}

/* acme and bee, five kinds, in turn. */
static aril_audit_memory *mixed(void)
{
    aril_audit_memory *memory = memory_new(8, 8);
    send_kind(memory, ARIL_EVENT_SESSION, "acme", 1);
    send_kind(memory, ARIL_EVENT_SESSION, "bee", 2);
    send_kind(memory, ARIL_EVENT_ENCRYPT, "acme", 3);
    send_kind(memory, ARIL_EVENT_REPLAY, "acme", 4);
    send_kind(memory, ARIL_EVENT_DECRYPT, "bee", 5);
    send_kind(memory, ARIL_EVENT_REPLAY, "bee", 6);
    send_kind(memory, ARIL_EVENT_CLOSE, "acme", 7);
    return memory;
}

static void an_empty_filter_and_none_return_all(void **state)
{
    (void)state;
    aril_audit_memory *memory = mixed();
    query(memory, NULL);
    ASSERT_SEQUENCES(1, 2, 3, 4, 5, 6, 7);
    query(memory, &(aril_audit_filter){ .limit = 0 });
    ASSERT_SEQUENCES(1, 2, 3, 4, 5, 6, 7);
    aril_audit_memory_free(memory);
}

static void a_filter_for_a_tenant_takes_the_whole_id(void **state)
{
    (void)state;
    aril_audit_memory *memory = mixed();
    query(memory, &(aril_audit_filter){ .tenant = text("acme") });
    ASSERT_SEQUENCES(1, 3, 4, 7);
    query(memory, &(aril_audit_filter){ .tenant = text("bee") });
    ASSERT_SEQUENCES(2, 5, 6);
    static const char *const others[] = { "acm", "acmee", "Acme", "b" };
    for (size_t i = 0; i < COUNT(others); i++) {
        query(memory, &(aril_audit_filter){ .tenant = text(others[i]) });
        assert_int_equal(kept.count, 0);
    }
    aril_audit_memory_free(memory);
}

static void a_filter_for_kinds_takes_each_bit(void **state)
{
    (void)state;
    aril_audit_memory *memory = mixed();
    query(memory, &(aril_audit_filter){ .kinds = 1u << ARIL_EVENT_REPLAY });
    ASSERT_SEQUENCES(4, 6);
    query(memory, &(aril_audit_filter){ .kinds = 1u << ARIL_EVENT_SESSION });
    ASSERT_SEQUENCES(1, 2);
    query(memory,
          &(aril_audit_filter){ .kinds = 1u << ARIL_EVENT_ENCRYPT | 1u << ARIL_EVENT_CLOSE });
    ASSERT_SEQUENCES(3, 7);
    query(memory, &(aril_audit_filter){ .kinds = 1u << ARIL_EVENT_RETIRE });
    assert_int_equal(kept.count, 0);
    query(memory, &(aril_audit_filter){ .tenant = text("bee"), .kinds = 1u << ARIL_EVENT_REPLAY });
    ASSERT_SEQUENCES(6);
    aril_audit_memory_free(memory);
}

static void a_limit_takes_the_newest_that_match(void **state)
{
    (void)state;
    aril_audit_memory *memory = mixed();
    query(memory, &(aril_audit_filter){ .limit = 3 });
    ASSERT_SEQUENCES(5, 6, 7);
    query(memory, &(aril_audit_filter){ .tenant = text("acme"), .limit = 2 });
    ASSERT_SEQUENCES(4, 7);
    query(memory, &(aril_audit_filter){ .limit = SIZE_MAX });
    assert_int_equal(kept.count, 7);
    aril_audit_memory_free(memory);
}

static void a_visitor_can_stop(void **state)
{
    (void)state;
    aril_audit_memory *memory = mixed();
    memset(&kept, 0, sizeof kept);
    kept.stop_after = 2;
    assert_status(aril_audit_memory_query(memory, NULL, keep, &kept), ARIL_OK);
    ASSERT_SEQUENCES(1, 2);
    aril_audit_memory_free(memory);
}

/* With the lock held the visitor would wait for itself. */
static int send_another(void *user, const aril_event *event)
{
    send_kind(user, ARIL_EVENT_CLOSE, "visitor", event->sequence + 100);
    return 0;
}

static void a_visitor_may_send_events_and_does_not_see_them(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(8, 1);
    send_kind(memory, ARIL_EVENT_SESSION, "a", 1);
    send_kind(memory, ARIL_EVENT_SESSION, "a", 2);
    assert_status(aril_audit_memory_query(memory, NULL, send_another, memory), ARIL_OK);
    query(memory, NULL);
    ASSERT_SEQUENCES(1, 2, 101, 102);
    aril_audit_memory_free(memory);
}

static void clear_forgets_events_and_totals(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(2, 2);
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t i = 1; i <= 3; i++) {
            send_kind(memory, ARIL_EVENT_REPLAY, "a", i);
            send_summary(memory, ARIL_EVENT_ENCRYPT, 10 + i, i, i);
        }
        query(memory, NULL);
        ASSERT_SEQUENCES(1, 2, 12, 13);
        aril_audit_memory_clear(memory);
        query(memory, NULL);
        assert_int_equal(kept.count, 0);
        const aril_audit_totals totals = totals_of(memory);
        const aril_audit_totals zero = { 0 };
        assert_memory_equal(&totals, &zero, sizeof zero);
    }
    aril_audit_memory_free(memory);
}

static void sizes_out_of_range_are_refused(void **state)
{
    (void)state;
    const size_t over = ((size_t)1 << 24) + 1;
    static const size_t bad[][2] = { { 0, 1 }, { 1, 0 }, { SIZE_MAX, 1 }, { 1, SIZE_MAX } };
    aril_audit_memory *memory = (aril_audit_memory *)&memory;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status(aril_audit_memory_new(bad[i][0], bad[i][1], &memory), ARIL_E_USAGE_RANGE);
        assert_null(memory);
    }
    assert_status(aril_audit_memory_new(over, 1, &memory), ARIL_E_USAGE_RANGE);
    assert_status(aril_audit_memory_new(1, over, &memory), ARIL_E_USAGE_RANGE);
    assert_status(aril_audit_memory_new(1, 1, NULL), ARIL_E_USAGE_NULL);
}

static void missing_pointers_are_refused(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(1, 1);
    aril_audit_totals totals;
    assert_status(aril_audit_memory_query(NULL, NULL, keep, &kept), ARIL_E_USAGE_NULL);
    assert_status(aril_audit_memory_query(memory, NULL, NULL, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_audit_memory_totals(NULL, &totals), ARIL_E_USAGE_NULL);
    assert_status(aril_audit_memory_totals(memory, NULL), ARIL_E_USAGE_NULL);
    assert_null(aril_audit_memory_sink(NULL));
    aril_audit_memory_clear(NULL);
    aril_audit_memory_free(NULL);
    aril_audit_memory_free(memory);
}

static void filters_out_of_range_are_refused(void **state)
{
    (void)state;
    aril_audit_memory *memory = mixed();
    uint8_t id[256] = { 'a' };
    memset(&kept, 0, sizeof kept);
    const aril_audit_filter unknown_kind = { .kinds = 1u << ARIL_EVENT_KINDS };
    const aril_audit_filter long_id = { .tenant = { id, sizeof id } };
    const aril_audit_filter no_id = { .tenant = { NULL, 1 } };
    assert_status(aril_audit_memory_query(memory, &unknown_kind, keep, &kept), ARIL_E_USAGE_RANGE);
    assert_status(aril_audit_memory_query(memory, &long_id, keep, &kept), ARIL_E_USAGE_RANGE);
    assert_status(aril_audit_memory_query(memory, &no_id, keep, &kept), ARIL_E_USAGE_NULL);
    assert_int_equal(kept.count, 0);
    aril_audit_memory_free(memory);
}

static void the_sink_states_its_version(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(1, 1);
    assert_int_equal(aril_audit_memory_sink(memory)->abi, ARIL_AUDIT_SINK_ABI);
    aril_audit_memory_free(memory);
}

/* The largest memory costs address space only, until it fills. */
static void the_largest_memory_is_possible(void **state)
{
    (void)state;
    if (SANITIZED) {
        skip(); /* the tools touch every page */
    }
    aril_audit_memory *memory = NULL;
    const aril_status st = aril_audit_memory_new((size_t)1 << 24, (size_t)1 << 24, &memory);
    if (st == ARIL_E_NOMEM) {
        skip(); /* a host with little memory may refuse */
    }
    assert_status(st, ARIL_OK);
    send_kind(memory, ARIL_EVENT_REPLAY, "a", 1);
    send_summary(memory, ARIL_EVENT_ENCRYPT, 2, 1, 1);
    query(memory, NULL);
    ASSERT_SEQUENCES(1, 2);
    aril_audit_memory_clear(memory);
    aril_audit_memory_free(memory);
}

#define THREADS 8u
#define EVENTS  2000u

static void *send_many(void *arg)
{
    for (unsigned i = 0; i < EVENTS; i++) {
        send_kind(arg, ARIL_EVENT_AUTH_FAILURE, "mallory", i);
        send_summary(arg, ARIL_EVENT_DECRYPT, i, 2, 3);
    }
    return NULL;
}

static int check_event(void *user, const aril_event *event)
{
    size_t *bad = user;
    const bool security = event->kind == ARIL_EVENT_AUTH_FAILURE;
    const bool summary = event->kind == ARIL_EVENT_DECRYPT && event->records == 2;
    *bad += !security && !summary;
    *bad += event->tenant.len != (security ? 7u : 4u);
    return 0;
}

static void eight_threads_lose_no_count(void **state)
{
    (void)state;
    aril_audit_memory *memory = memory_new(100, 50);
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, memory), 0);
    }
    size_t bad = 0;
    for (unsigned i = 0; i < 200; i++) {
        assert_status(aril_audit_memory_query(memory, NULL, check_event, &bad), ARIL_OK);
        (void)totals_of(memory);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(bad, 0);
    const aril_audit_totals totals = totals_of(memory);
    assert_int_equal(totals.events[ARIL_EVENT_AUTH_FAILURE], THREADS * EVENTS);
    assert_int_equal(totals.lost_security, THREADS * EVENTS - 100);
    assert_int_equal(totals.merged_summaries, THREADS * EVENTS - 50);
    assert_int_equal(totals.records_opened, THREADS * EVENTS * 2);
    assert_int_equal(totals.bytes_opened, THREADS * EVENTS * 3);
    aril_audit_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_an_event_is_kept),
        cmocka_unit_test(tenant_ids_are_copied),
        cmocka_unit_test(tenant_ids_of_every_length_are_kept_and_longer_ones_cut),
        cmocka_unit_test(a_flood_keeps_the_first_and_counts_all),
        cmocka_unit_test(summaries_keep_the_newest_and_the_totals_all),
        cmocka_unit_test(load_cannot_push_security_events_out),
        cmocka_unit_test(violations_keep_the_oldest_and_all_else_the_newest),
        cmocka_unit_test(refusals_of_keyrings_and_fleets_are_violations),
        cmocka_unit_test(use_of_a_keyring_cannot_push_its_refusals_out),
        cmocka_unit_test(strangers_cannot_push_violations_out),
        cmocka_unit_test(an_unknown_kind_is_counted_as_lost),
        cmocka_unit_test(an_empty_filter_and_none_return_all),
        cmocka_unit_test(a_filter_for_a_tenant_takes_the_whole_id),
        cmocka_unit_test(a_filter_for_kinds_takes_each_bit),
        cmocka_unit_test(a_limit_takes_the_newest_that_match),
        cmocka_unit_test(a_visitor_can_stop),
        cmocka_unit_test(a_visitor_may_send_events_and_does_not_see_them),
        cmocka_unit_test(clear_forgets_events_and_totals),
        cmocka_unit_test(sizes_out_of_range_are_refused),
        cmocka_unit_test(missing_pointers_are_refused),
        cmocka_unit_test(filters_out_of_range_are_refused),
        cmocka_unit_test(the_sink_states_its_version),
        cmocka_unit_test(the_largest_memory_is_possible),
        cmocka_unit_test(eight_threads_lose_no_count),
    };
    return cmocka_run_group_tests_name("audit memory", tests, NULL, NULL);
}
