/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/memory.h"
#include "audit/names.h"
#include "base/ensure.h"
#include "base/json.h"

#define HEX_PREFIX "hex:"

static void write_number(struct arili_json *j, const char *key, uint64_t value)
{
    arili_json_key(j, key);
    arili_json_u64(j, value);
}

static void write_name(struct arili_json *j, const char *key, const char *name)
{
    arili_json_key(j, key);
    arili_json_text(j, name);
}

/* An id that looks like one in hex is written in hex too, so that each text stands
 * for one id. */
static bool is_plain(aril_bytes id)
{
    const size_t prefix_len = sizeof HEX_PREFIX - 1;
    if (id.len >= prefix_len && memcmp(id.data, HEX_PREFIX, prefix_len) == 0) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        if (id.data[i] < 0x20 || id.data[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static void write_tenant(struct arili_json *j, aril_bytes id)
{
    arili_json_key(j, "tenant");
    if (is_plain(id)) {
        arili_json_string(j, id);
    } else {
        arili_json_hex(j, HEX_PREFIX, id);
    }
}

static void write_keyring(struct arili_json *j, const aril_event *event)
{
    write_name(j, "action", event->action != NULL ? event->action : "none");
    if (event->key_purpose != 0) {
        arili_json_key(j, "key");
        arili_json_hex(j, "", (aril_bytes){ event->key_id, sizeof event->key_id });
        write_name(j, "purpose", arili_event_purpose_name(event->key_purpose));
        write_name(j, "state", arili_event_state_name(event->key_state));
    }
}

/* What those of sessions and refusals may have. */
static void write_refusal(struct arili_json *j, const aril_event *event)
{
    if (event->action != NULL) {
        write_name(j, "action", event->action);
    }
    if (event->records > 0) {
        write_number(j, "suppressed", event->records);
    }
}

/* What only some kinds have. */
static void write_details(struct arili_json *j, const aril_event *event)
{
    switch (event->kind) {
    case ARIL_EVENT_ENCRYPT:
    case ARIL_EVENT_DECRYPT:
        write_number(j, "records", event->records);
        write_number(j, "bytes", event->bytes);
        write_number(j, "interval_start_ns", event->interval_start_ns);
        break;
    case ARIL_EVENT_ROTATE:
        write_name(j, "reason", arili_rotate_reason_name(event->reason));
        break;
    case ARIL_EVENT_ISOLATION_VIOLATION: {
        uint8_t tag[8];
        arili_store64(tag, event->foreign_tag);
        arili_json_key(j, "foreign_tag");
        arili_json_hex(j, "", (aril_bytes){ tag, sizeof tag });
        write_number(j, "sequence", event->sequence);
        write_refusal(j, event);
        break;
    }
    case ARIL_EVENT_REPLAY:
    case ARIL_EVENT_AUTH_FAILURE:
        write_number(j, "sequence", event->sequence);
        write_refusal(j, event);
        break;
    case ARIL_EVENT_KEY:
    case ARIL_EVENT_KEYRING:
    case ARIL_EVENT_FLEET:
    case ARIL_EVENT_SERVICE:
        write_keyring(j, event);
        break;
    case ARIL_EVENT_SESSION:
        write_refusal(j, event);
        break;
    case ARIL_EVENT_RETIRE:
    case ARIL_EVENT_CLOSE:
        break;
    }
}

static void write_event(struct arili_json *j, const aril_event *event)
{
    arili_json_object_begin(j);
    write_name(j, "kind", aril_event_kind_name(event->kind));
    write_name(j, "status", aril_status_name(event->status));
    write_number(j, "unix_s", event->unix_s);
    write_number(j, "boot_ns", event->boot_ns);
    write_tenant(j, event->tenant);
    arili_json_key(j, "session");
    arili_json_hex(j, "", (aril_bytes){ event->session_id, sizeof event->session_id });
    write_name(j, "direction", arili_direction_name(event->direction));
    write_number(j, "epoch", event->epoch);
    write_details(j, event);
    if (event->subject != NULL) {
        write_name(j, "subject", event->subject);
    }
    arili_json_object_end(j);
}

static void write_totals(struct arili_json *j, const aril_audit_totals *totals)
{
    arili_json_object_begin(j);
    arili_json_key(j, "events");
    arili_json_object_begin(j);
    for (unsigned kind = 0; kind < ARIL_EVENT_KINDS; kind++) {
        write_number(j, aril_event_kind_name((aril_event_kind)kind), totals->events[kind]);
    }
    arili_json_object_end(j);
    write_number(j, "lost_lifecycle", totals->lost_lifecycle);
    write_number(j, "merged_summaries", totals->merged_summaries);
    write_number(j, "records_sealed", totals->records_sealed);
    write_number(j, "bytes_sealed", totals->bytes_sealed);
    write_number(j, "records_opened", totals->records_opened);
    write_number(j, "bytes_opened", totals->bytes_opened);
    arili_json_object_end(j);
}

static struct arili_json write_all(const struct arili_audit_copy *copy, char *data, size_t cap)
{
    struct arili_json j = arili_json_init(data, cap);
    arili_json_object_begin(&j);
    arili_json_key(&j, "events");
    arili_json_array_begin(&j);
    for (size_t i = 0; i < copy->count; i++) {
        const aril_event event = arili_audit_copy_event(copy, i);
        write_event(&j, &event);
    }
    arili_json_array_end(&j);
    arili_json_key(&j, "totals");
    write_totals(&j, &copy->totals);
    write_number(&j, "lost_security", copy->totals.lost_security);
    arili_json_object_end(&j);
    return j;
}

aril_status aril_audit_memory_json(const aril_audit_memory *memory, const aril_audit_filter *filter,
                                   char *ret_json, size_t cap, size_t *ret_len)
{
    ARILI_ENSURE(ret_len != NULL && (ret_json != NULL || cap == 0), ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_audit_copy_done) struct arili_audit_copy copy = { 0 };
    ARILI_TRY(arili_audit_copy_new(memory, filter, &copy));
    /* The first pass only counts, so a buffer that is too small stays as it is. */
    const struct arili_json counted = write_all(&copy, NULL, 0);
    *ret_len = counted.out.len;
    ARILI_ENSURE(counted.out.len < cap, ARIL_E_USAGE_TOO_SMALL);
    const struct arili_json written = write_all(&copy, ret_json, cap);
    ARILI_TRY(arili_json_end(&written, ret_len));
    ret_json[*ret_len] = '\0';
    return ARIL_OK;
}

aril_status aril_audit_event_json(const aril_event *event, char *ret_json, size_t cap,
                                  size_t *ret_len)
{
    ARILI_ENSURE(event != NULL && ret_len != NULL && (ret_json != NULL || cap == 0),
                 ARIL_E_USAGE_NULL);
    struct arili_json counted = arili_json_init(NULL, 0);
    write_event(&counted, event);
    *ret_len = counted.out.len;
    ARILI_ENSURE(counted.out.len < cap, ARIL_E_USAGE_TOO_SMALL);
    struct arili_json written = arili_json_init(ret_json, cap);
    write_event(&written, event);
    ARILI_TRY(arili_json_end(&written, ret_len));
    ret_json[*ret_len] = '\0';
    return ARIL_OK;
}
