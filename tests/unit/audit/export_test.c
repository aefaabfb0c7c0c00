/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include <aril/audit.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static aril_audit_memory *memory;
static char buffer[16384];
static json_t *root; /* what json_of() read last */

static int memory_make(void **state)
{
    (void)state;
    root = NULL;
    return aril_audit_memory_new(8, 4, &memory) == ARIL_OK ? 0 : -1;
}

static int memory_end(void **state)
{
    (void)state;
    json_decref(root);
    aril_audit_memory_free(memory);
    return 0;
}

static void send(aril_event event)
{
    const aril_audit_sink *sink = aril_audit_memory_sink(memory);
    sink->event(sink->state, &event);
}

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

/* Another implementation has to accept it, also where it is strict. */
static const json_t *json_of(const aril_audit_filter *filter)
{
    size_t len = 0;
    memset(buffer, 'z', sizeof buffer);
    assert_status(aril_audit_memory_json(memory, filter, buffer, sizeof buffer, &len), ARIL_OK);
    assert_int_equal(strlen(buffer), len);
    json_decref(root);
    root = json_loadb(buffer, len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    return root;
}

static const json_t *event_at(const json_t *from, size_t index)
{
    const json_t *event = json_array_get(json_object_get(from, "events"), index);
    assert_non_null(event);
    return event;
}

static void assert_text(const json_t *object, const char *key, const char *expected)
{
    const char *value = json_string_value(json_object_get(object, key));
    assert_non_null(value);
    assert_string_equal(value, expected);
}

static void assert_number(const json_t *object, const char *key, json_int_t expected)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    assert_true(json_integer_value(value) == expected);
}

static void an_empty_memory_is_a_whole_object(void **state)
{
    (void)state;
    const json_t *json = json_of(NULL);
    assert_int_equal(json_object_size(json), 3);
    assert_int_equal(json_array_size(json_object_get(json, "events")), 0);
    assert_true(json_is_array(json_object_get(json, "events")));
    assert_number(json, "lost_security", 0);
    const json_t *totals = json_object_get(json, "totals");
    const json_t *kinds = json_object_get(totals, "events");
    assert_int_equal(json_object_size(kinds), ARIL_EVENT_KINDS);
    for (unsigned kind = 0; kind < ARIL_EVENT_KINDS; kind++) {
        assert_number(kinds, aril_event_kind_name((aril_event_kind)kind), 0);
    }
}

static void what_all_events_share_is_written(void **state)
{
    (void)state;
    aril_event event = { .kind = ARIL_EVENT_SESSION,
                         .status = ARIL_E_TRUST_UNKNOWN,
                         .direction = ARIL_SERVER_TO_TENANT,
                         .unix_s = 1700000000,
                         .boot_ns = 9007199254740993,
                         .tenant = text("acme"),
                         .epoch = UINT32_MAX };
    for (size_t i = 0; i < sizeof event.session_id; i++) {
        event.session_id[i] = (uint8_t)(i * 17);
    }
    send(event);
    const json_t *e = event_at(json_of(NULL), 0);
    assert_int_equal(json_object_size(e), 8);
    assert_text(e, "kind", "session");
    assert_text(e, "status", "ARIL_E_TRUST_UNKNOWN");
    assert_text(e, "direction", "server-to-tenant");
    assert_number(e, "unix_s", 1700000000);
    assert_number(e, "boot_ns", 9007199254740993);
    assert_text(e, "tenant", "acme");
    assert_number(e, "epoch", UINT32_MAX);
    assert_text(e, "session", "00112233445566778899aabbccddeeff");
}

static void each_kind_has_its_details(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < ARIL_EVENT_KINDS; kind++) {
        aril_audit_memory_clear(memory);
        send((aril_event){ .kind = (aril_event_kind)kind,
                           .reason = kind == ARIL_EVENT_ROTATE ? ARIL_ROTATE_AGE : ARIL_ROTATE_NONE,
                           .sequence = 5,
                           .foreign_tag = UINT64_C(0x00ff00000000cafe),
                           .records = 6,
                           .bytes = 7,
                           .interval_start_ns = 8,
                           .key_purpose = 7,
                           .key_state = 3,
                           .action = "create" });
        const json_t *e = event_at(json_of(NULL), 0);
        assert_text(e, "kind", aril_event_kind_name((aril_event_kind)kind));
        const bool summary = kind == ARIL_EVENT_ENCRYPT || kind == ARIL_EVENT_DECRYPT;
        const bool isolation = kind == ARIL_EVENT_ISOLATION_VIOLATION;
        const bool refused =
            isolation || kind == ARIL_EVENT_REPLAY || kind == ARIL_EVENT_AUTH_FAILURE;
        const bool rotate = kind == ARIL_EVENT_ROTATE;
        const bool keyring = kind >= ARIL_EVENT_KEY;
        const bool bounded = refused || kind == ARIL_EVENT_SESSION;
        assert_int_equal(json_object_size(e), 8u + 3u * summary + refused + isolation + rotate +
                                                  4u * keyring + 2u * bounded);
        if (bounded) {
            assert_text(e, "action", "create");
            assert_number(e, "suppressed", 6);
        }
        if (summary) {
            assert_number(e, "records", 6);
            assert_number(e, "bytes", 7);
            assert_number(e, "interval_start_ns", 8);
        }
        if (refused) {
            assert_number(e, "sequence", 5);
        }
        if (isolation) {
            assert_text(e, "foreign_tag", "00ff00000000cafe");
        }
        if (rotate) {
            assert_text(e, "reason", "age");
        }
        if (keyring) {
            assert_text(e, "action", "create");
            assert_text(e, "purpose", "data");
            assert_text(e, "state", "decrypt-only");
        }
    }
}

static void the_key_is_written_where_there_is_one(void **state)
{
    (void)state;
    for (unsigned kind = ARIL_EVENT_KEY; kind <= ARIL_EVENT_SERVICE; kind++) {
        aril_audit_memory_clear(memory);
        aril_event event = { .kind = (aril_event_kind)kind, .key_purpose = 1, .key_state = 200 };
        for (size_t i = 0; i < sizeof event.key_id; i++) {
            event.key_id[i] = (uint8_t)(i * 7);
        }
        send(event);
        event.key_purpose = 0;
        send(event);
        const json_t *json = json_of(NULL);
        assert_text(event_at(json, 0), "action", "none");
        assert_text(event_at(json, 0), "key",
                    "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9");
        assert_text(event_at(json, 0), "purpose", "root");
        assert_text(event_at(json, 0), "state", "unknown");
        assert_int_equal(json_object_size(event_at(json, 1)), 9);
        assert_text(event_at(json, 1), "action", "none");
    }
}

static void one_event_is_a_line_of_the_same_json(void **state)
{
    (void)state;
    aril_event event = { .kind = ARIL_EVENT_AUTH_FAILURE,
                         .status = ARIL_E_AUTH,
                         .unix_s = 1700000000,
                         .tenant = text("ac\"me\n"),
                         .action = "value" };
    size_t len = 0;
    send(event);
    char *kept = json_dumps(event_at(json_of(NULL), 0), JSON_COMPACT);
    assert_status(aril_audit_event_json(&event, buffer, sizeof buffer, &len), ARIL_OK);
    assert_int_equal(strlen(buffer), len);
    assert_null(strchr(buffer, '\n'));
    assert_string_equal(buffer, kept);
    free(kept);
    event.subject = "a1:name \"quoted\"";
    assert_status(aril_audit_event_json(&event, buffer, sizeof buffer, &len), ARIL_OK);
    json_decref(root);
    root = json_loadb(buffer, len, JSON_REJECT_DUPLICATES, NULL);
    assert_text(root, "subject", event.subject);
}

static void the_longest_event_has_room(void **state)
{
    (void)state;
    static uint8_t tenant[ARIL_TENANT_ID_BYTES_MAX];
    static char subject[ARIL_EVENT_SUBJECT_MAX + 1];
    size_t len = 0;
    memset(subject, '"', sizeof subject - 1);
    for (unsigned pass = 0; pass < 2; pass++) { /* as text that is all escapes, and in hex */
        memset(tenant, pass == 0 ? '"' : 0xff, sizeof tenant);
        for (unsigned kind = 0; kind < ARIL_EVENT_KINDS; kind++) {
            const aril_event event = { .kind = (aril_event_kind)kind,
                                       .status = ARIL_E_REPLAY_SUPERSEDED,
                                       .unix_s = UINT64_MAX,
                                       .boot_ns = UINT64_MAX,
                                       .tenant = { tenant, sizeof tenant },
                                       .epoch = UINT32_MAX,
                                       .sequence = UINT64_MAX,
                                       .records = UINT64_MAX,
                                       .bytes = UINT64_MAX,
                                       .interval_start_ns = UINT64_MAX,
                                       .key_purpose = 5,
                                       .key_state = 3,
                                       .action = "thirty bytes of something done",
                                       .subject = subject };
            assert_status(aril_audit_event_json(&event, buffer, ARIL_EVENT_JSON_BYTES, &len),
                          ARIL_OK);
        }
    }
}

static void one_event_needs_room_and_pointers(void **state)
{
    (void)state;
    const aril_event event = { .kind = ARIL_EVENT_CLOSE };
    size_t len = 0;
    size_t again = 0;
    assert_status(aril_audit_event_json(&event, NULL, 0, &len), ARIL_E_USAGE_TOO_SMALL);
    assert_true(len > 0);
    memset(buffer, 'z', sizeof buffer);
    assert_status(aril_audit_event_json(&event, buffer, len, &again), ARIL_E_USAGE_TOO_SMALL);
    assert_int_equal(buffer[0], 'z');
    assert_int_equal(again, len);
    assert_status(aril_audit_event_json(&event, buffer, len + 1, &again), ARIL_OK);
    assert_int_equal(strlen(buffer), len);
    assert_status(aril_audit_event_json(NULL, buffer, sizeof buffer, &len), ARIL_E_USAGE_NULL);
    assert_status(aril_audit_event_json(&event, NULL, 1, &len), ARIL_E_USAGE_NULL);
    assert_status(aril_audit_event_json(&event, buffer, sizeof buffer, NULL), ARIL_E_USAGE_NULL);
}

static void totals_and_losses_are_written(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        send((aril_event){ .kind = ARIL_EVENT_REPLAY });
        send((aril_event){ .kind = ARIL_EVENT_ENCRYPT, .records = 1, .bytes = 10 });
        send((aril_event){ .kind = ARIL_EVENT_DECRYPT, .records = 2, .bytes = 20 });
    }
    const json_t *json = json_of(NULL);
    assert_number(json, "lost_security", 2);
    const json_t *totals = json_object_get(json, "totals");
    assert_int_equal(json_object_size(totals), 7);
    assert_number(totals, "lost_lifecycle", 0);
    assert_number(totals, "merged_summaries", 16);
    assert_number(totals, "records_sealed", 10);
    assert_number(totals, "bytes_sealed", 100);
    assert_number(totals, "records_opened", 20);
    assert_number(totals, "bytes_opened", 200);
    assert_number(json_object_get(totals, "events"), "replay", 10);
    assert_number(json_object_get(totals, "events"), "encrypt", 10);
}

static void the_filter_chooses_the_events_but_not_the_totals(void **state)
{
    (void)state;
    send((aril_event){ .kind = ARIL_EVENT_REPLAY, .tenant = text("acme") });
    send((aril_event){ .kind = ARIL_EVENT_REPLAY, .tenant = text("bee") });
    const json_t *json = json_of(&(aril_audit_filter){ .tenant = text("bee") });
    assert_int_equal(json_array_size(json_object_get(json, "events")), 1);
    assert_text(event_at(json, 0), "tenant", "bee");
    assert_number(json_object_get(json_object_get(json, "totals"), "events"), "replay", 2);
}

static void every_tenant_id_has_one_text(void **state)
{
    (void)state;
    static const struct {
        const char *id, *written;
    } cases[] = {
        { "acme", "acme" },
        { "with space ~", "with space ~" },
        { "quote\" and \\", "quote\" and \\" },
        { "</script>", "</script>" },
        { "", "" },
        { "line\n", "hex:6c696e650a" },
        { "\x1b[2J", "hex:1b5b324a" },
        { "\x7f", "hex:7f" },
        { "caf\xc3\xa9", "hex:636166c3a9" },
        { "\xff", "hex:ff" },
        { "hex:61", "hex:6865783a3631" }, /* else it would read as the id "a" */
        { "hex:", "hex:6865783a" },
        { "hex", "hex" },
        { "Hex:61", "Hex:61" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        aril_audit_memory_clear(memory);
        send((aril_event){ .kind = ARIL_EVENT_CLOSE, .tenant = text(cases[i].id) });
        assert_text(event_at(json_of(NULL), 0), "tenant", cases[i].written);
    }
}

/* Ids hold no NUL by contract; a caller that breaks it gets hex, not a cut text. */
static void every_single_byte_makes_well_formed_json(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t id = (uint8_t)c;
        aril_audit_memory_clear(memory);
        send((aril_event){ .kind = ARIL_EVENT_CLOSE, .tenant = { &id, 1 } });
        char hex[8];
        (void)snprintf(hex, sizeof hex, "hex:%02x", c);
        const char plain[2] = { (char)c, '\0' };
        assert_text(event_at(json_of(NULL), 0), "tenant", c >= 0x20 && c < 0x7f ? plain : hex);
    }
}

static void every_small_buffer_is_refused_with_the_size_wanted(void **state)
{
    (void)state;
    send((aril_event){ .kind = ARIL_EVENT_ISOLATION_VIOLATION, .tenant = text("a\nb") });
    send((aril_event){ .kind = ARIL_EVENT_ENCRYPT, .tenant = text("acme") });
    size_t wanted = 0;
    assert_status(aril_audit_memory_json(memory, NULL, NULL, 0, &wanted), ARIL_E_USAGE_TOO_SMALL);
    assert_true(wanted > 0 && wanted < sizeof buffer);
    for (size_t cap = 1; cap <= wanted; cap++) {
        size_t len = 0;
        memset(buffer, 'z', sizeof buffer);
        assert_status(aril_audit_memory_json(memory, NULL, buffer, cap, &len),
                      ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal(len, wanted);
        for (size_t i = 0; i <= cap; i++) {
            assert_int_equal(buffer[i], 'z');
        }
    }
    size_t len = 0;
    assert_status(aril_audit_memory_json(memory, NULL, buffer, wanted + 1, &len), ARIL_OK);
    assert_int_equal(len, wanted);
    assert_int_equal(buffer[len], '\0');
    assert_int_equal(buffer[len + 1], 'z');
}

static void missing_pointers_and_bad_filters_are_refused(void **state)
{
    (void)state;
    size_t len = 7;
    const aril_audit_filter unknown_kind = { .kinds = 1u << ARIL_EVENT_KINDS };
    assert_status(aril_audit_memory_json(NULL, NULL, buffer, sizeof buffer, &len),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_audit_memory_json(memory, NULL, NULL, 1, &len), ARIL_E_USAGE_NULL);
    assert_status(aril_audit_memory_json(memory, NULL, buffer, sizeof buffer, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_audit_memory_json(memory, &unknown_kind, buffer, sizeof buffer, &len),
                  ARIL_E_USAGE_RANGE);
    assert_int_equal(len, 7);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, memory_make, memory_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_memory_is_a_whole_object),
        TEST(what_all_events_share_is_written),
        TEST(each_kind_has_its_details),
        TEST(the_key_is_written_where_there_is_one),
        TEST(one_event_is_a_line_of_the_same_json),
        TEST(the_longest_event_has_room),
        TEST(one_event_needs_room_and_pointers),
        TEST(totals_and_losses_are_written),
        TEST(the_filter_chooses_the_events_but_not_the_totals),
        TEST(every_tenant_id_has_one_text),
        TEST(every_single_byte_makes_well_formed_json),
        TEST(every_small_buffer_is_refused_with_the_size_wanted),
        TEST(missing_pointers_and_bad_filters_are_refused),
    };
    return cmocka_run_group_tests_name("audit export", tests, NULL, NULL);
}
