/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/memory.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <pthread.h>
#include <string.h>

#define EVENTS_MAX ((size_t)1 << 24)
#define KINDS_ALL  ((UINT32_C(1) << ARIL_EVENT_KINDS) - 1)

/* One kept event. The tenant id is inside, because an event's own pointer ends
 * with the call that carried it. */
struct arili_audit_slot {
    uint64_t order; /* counts all events: merges the rooms in time */
    uint64_t unix_s, boot_ns, sequence, foreign_tag, records, bytes, interval_start_ns;
    const char *action; /* static storage */
    uint32_t status;
    uint32_t epoch;
    uint8_t session_id[ARIL_SESSION_ID_BYTES];
    uint8_t key_id[32];
    uint8_t kind, reason, direction, key_purpose, key_state;
    uint8_t tenant_len;
    uint8_t tenant[ARIL_TENANT_ID_BYTES_MAX];
};
_Static_assert(sizeof(struct arili_audit_slot) <= 392, "aril/audit.h states 392 bytes per event");

/* A ring of slots. Slots that were never used were never touched either, so the
 * system has not given pages for them. */
struct room {
    struct arili_audit_slot *slots; /* owned */
    size_t max, count;
    size_t first; /* the oldest */
    size_t used;  /* most slots ever used at a time; the rest is still zero */
};

/* Events of one room never push out those of another. */
enum room_name { VIOLATIONS, LIFECYCLE, SUMMARIES, ROOMS };

struct aril_audit_memory {
    pthread_mutex_t mutex; /* guards all below but the sink */
    struct room rooms[ROOMS];
    uint64_t next_order;
    aril_audit_totals totals;
    aril_audit_sink sink;
};

/* The mutex changes in an object that is const to readers. */
static void lock(const aril_audit_memory *memory)
{
    (void)pthread_mutex_lock((pthread_mutex_t *)&memory->mutex);
}

static void unlock(const aril_audit_memory *memory)
{
    (void)pthread_mutex_unlock((pthread_mutex_t *)&memory->mutex);
}

static bool room_init(struct room *room, size_t max)
{
    room->slots = arili_alloc(max * sizeof(struct arili_audit_slot));
    room->max = max;
    return room->slots != NULL;
}

static void room_clear(struct room *room)
{
    arili_wipe(room->slots, room->used * sizeof(struct arili_audit_slot));
    room->count = 0;
    room->first = 0;
    room->used = 0;
}

static void room_done(struct room *room)
{
    arili_free(room->slots, room->used * sizeof(struct arili_audit_slot));
    room->slots = NULL;
}

static const struct arili_audit_slot *room_at(const struct room *room, size_t index)
{
    const size_t to_end = room->max - room->first;
    return &room->slots[index < to_end ? room->first + index : index - to_end];
}

/* The slot for one more event; in a full room that of the oldest. */
static struct arili_audit_slot *room_push(struct room *room)
{
    if (room->count == room->max) {
        struct arili_audit_slot *oldest = &room->slots[room->first];
        room->first = room->first + 1 < room->max ? room->first + 1 : 0;
        return oldest;
    }
    room->count++;
    if (room->used < room->count) {
        room->used = room->count;
    }
    return (struct arili_audit_slot *)room_at(room, room->count - 1);
}

static enum room_name room_of(const aril_event *event)
{
    switch (event->kind) {
    case ARIL_EVENT_ENCRYPT:
    case ARIL_EVENT_DECRYPT:
        return SUMMARIES;
    case ARIL_EVENT_SESSION:
    case ARIL_EVENT_ROTATE:
    case ARIL_EVENT_RETIRE:
    case ARIL_EVENT_CLOSE:
    case ARIL_EVENT_KEY:
    case ARIL_EVENT_SERVICE:
        return LIFECYCLE;
    case ARIL_EVENT_KEYRING:
    case ARIL_EVENT_FLEET:
        return event->status == ARIL_OK ? LIFECYCLE : VIOLATIONS;
    case ARIL_EVENT_ISOLATION_VIOLATION:
    case ARIL_EVENT_REPLAY:
    case ARIL_EVENT_AUTH_FAILURE:
        break;
    }
    return VIOLATIONS;
}

static void slot_store(struct arili_audit_slot *slot, const aril_event *event, uint64_t order)
{
    const size_t len = event->tenant.len <= ARIL_TENANT_ID_BYTES_MAX ? event->tenant.len
                                                                     : ARIL_TENANT_ID_BYTES_MAX;
    *slot = (struct arili_audit_slot){
        .order = order,
        .unix_s = event->unix_s,
        .boot_ns = event->boot_ns,
        .sequence = event->sequence,
        .foreign_tag = event->foreign_tag,
        .records = event->records,
        .bytes = event->bytes,
        .interval_start_ns = event->interval_start_ns,
        .action = event->action,
        .status = (uint32_t)event->status,
        .epoch = event->epoch,
        .kind = (uint8_t)event->kind,
        .reason = (uint8_t)event->reason,
        .direction = (uint8_t)event->direction,
        .key_purpose = event->key_purpose,
        .key_state = event->key_state,
        .tenant_len = (uint8_t)len,
    };
    memcpy(slot->session_id, event->session_id, sizeof slot->session_id);
    memcpy(slot->key_id, event->key_id, sizeof slot->key_id);
    if (len > 0) {
        memcpy(slot->tenant, event->tenant.data, len);
    }
}

static aril_event slot_event(const struct arili_audit_slot *slot)
{
    aril_event event = {
        .kind = (aril_event_kind)slot->kind,
        .status = (aril_status)slot->status,
        .reason = (aril_rotate_reason)slot->reason,
        .direction = (aril_direction)slot->direction,
        .unix_s = slot->unix_s,
        .boot_ns = slot->boot_ns,
        .tenant = { slot->tenant, slot->tenant_len },
        .epoch = slot->epoch,
        .sequence = slot->sequence,
        .foreign_tag = slot->foreign_tag,
        .records = slot->records,
        .bytes = slot->bytes,
        .interval_start_ns = slot->interval_start_ns,
        .key_purpose = slot->key_purpose,
        .key_state = slot->key_state,
        .action = slot->action,
    };
    memcpy(event.session_id, slot->session_id, sizeof event.session_id);
    memcpy(event.key_id, slot->key_id, sizeof event.key_id);
    return event;
}

static void count_totals(aril_audit_totals *totals, const aril_event *event)
{
    totals->events[event->kind]++;
    if (event->kind == ARIL_EVENT_ENCRYPT) {
        totals->records_sealed += event->records;
        totals->bytes_sealed += event->bytes;
    } else if (event->kind == ARIL_EVENT_DECRYPT) {
        totals->records_opened += event->records;
        totals->bytes_opened += event->bytes;
    }
}

/* A full room of violations keeps how the attack began; the others keep the newest. */
static void keep(aril_audit_memory *memory, const aril_event *event)
{
    aril_audit_totals *totals = &memory->totals;
    count_totals(totals, event);
    const enum room_name name = room_of(event);
    struct room *room = &memory->rooms[name];
    if (room->count == room->max && name == VIOLATIONS) {
        totals->lost_security++;
        return;
    }
    totals->lost_lifecycle += room->count == room->max && name == LIFECYCLE;
    totals->merged_summaries += room->count == room->max && name == SUMMARIES;
    slot_store(room_push(room), event, memory->next_order++);
}

static void on_event(void *state, const aril_event *event)
{
    aril_audit_memory *memory = state;
    lock(memory);
    if ((unsigned)event->kind < ARIL_EVENT_KINDS) {
        keep(memory, event);
    } else {
        memory->totals.lost_security++; /* no kind of ours: say at least that there was one */
    }
    unlock(memory);
}

static void memory_freep(aril_audit_memory **memory)
{
    aril_audit_memory_free(*memory);
}

aril_status aril_audit_memory_new(size_t security_max, size_t summaries_max,
                                  aril_audit_memory **ret_memory)
{
    ARILI_ENSURE(ret_memory != NULL, ARIL_E_USAGE_NULL);
    *ret_memory = NULL;
    ARILI_ENSURE(security_max >= 1 && security_max <= EVENTS_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(summaries_max >= 1 && summaries_max <= EVENTS_MAX, ARIL_E_USAGE_RANGE);
    aril_audit_memory *fresh = arili_alloc(sizeof *fresh);
    ARILI_ENSURE(fresh != NULL, ARIL_E_NOMEM);
    (void)pthread_mutex_init(&fresh->mutex, NULL); /* default attributes: cannot fail */
    ARILI_DEFER(memory_freep) aril_audit_memory *memory = fresh;
    ARILI_ENSURE(room_init(&memory->rooms[VIOLATIONS], security_max), ARIL_E_NOMEM);
    ARILI_ENSURE(room_init(&memory->rooms[LIFECYCLE], security_max), ARIL_E_NOMEM);
    ARILI_ENSURE(room_init(&memory->rooms[SUMMARIES], summaries_max), ARIL_E_NOMEM);
    memory->sink =
        (aril_audit_sink){ .abi = ARIL_AUDIT_SINK_ABI, .state = memory, .event = on_event };
    *ret_memory = ARILI_TAKE(memory);
    return ARIL_OK;
}

void aril_audit_memory_free(aril_audit_memory *memory)
{
    if (memory != NULL) {
        for (size_t i = 0; i < ROOMS; i++) {
            room_done(&memory->rooms[i]);
        }
        (void)pthread_mutex_destroy(&memory->mutex);
        arili_free(memory, sizeof *memory);
    }
}

const aril_audit_sink *aril_audit_memory_sink(aril_audit_memory *memory)
{
    return memory != NULL ? &memory->sink : NULL;
}

static aril_status filter_check(const aril_audit_filter *filter)
{
    ARILI_ENSURE(filter->tenant.len == 0 || filter->tenant.data != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(filter->tenant.len <= ARIL_TENANT_ID_BYTES_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE((filter->kinds & ~KINDS_ALL) == 0, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

/* Tenant ids are no secret, so memcmp is fine. */
static bool matches(const aril_audit_filter *filter, const struct arili_audit_slot *slot)
{
    if (filter->kinds != 0 && (filter->kinds & UINT32_C(1) << slot->kind) == 0) {
        return false;
    }
    return filter->tenant.len == 0 ||
           (filter->tenant.len == slot->tenant_len &&
            memcmp(filter->tenant.data, slot->tenant, slot->tenant_len) == 0);
}

/* Goes through all rooms from the newest event to the oldest. */
struct backwards {
    const aril_audit_memory *memory;
    size_t left[ROOMS]; /* how many are still to come */
};

static struct backwards backwards_init(const aril_audit_memory *memory)
{
    struct backwards walk = { .memory = memory };
    for (size_t i = 0; i < ROOMS; i++) {
        walk.left[i] = memory->rooms[i].count;
    }
    return walk;
}

/* The newest event that is still to come, or NULL. */
static const struct arili_audit_slot *backwards_step(struct backwards *walk)
{
    const struct arili_audit_slot *newest = NULL;
    size_t from = 0;
    for (size_t i = 0; i < ROOMS; i++) {
        const struct arili_audit_slot *slot =
            walk->left[i] > 0 ? room_at(&walk->memory->rooms[i], walk->left[i] - 1) : NULL;
        if (slot != NULL && (newest == NULL || slot->order > newest->order)) {
            newest = slot;
            from = i;
        }
    }
    walk->left[from] -= newest != NULL;
    return newest;
}

/* The next one that matches, or NULL. */
static const struct arili_audit_slot *backwards_next(struct backwards *walk,
                                                     const aril_audit_filter *filter)
{
    const struct arili_audit_slot *slot;
    do {
        slot = backwards_step(walk);
    } while (slot != NULL && !matches(filter, slot));
    return slot;
}

static size_t count_matches(const aril_audit_memory *memory, const aril_audit_filter *filter)
{
    struct backwards walk = backwards_init(memory);
    size_t count = 0;
    while ((filter->limit == 0 || count < filter->limit) && backwards_next(&walk, filter) != NULL) {
        count++;
    }
    return count;
}

static aril_status copy_matches(const aril_audit_memory *memory, const aril_audit_filter *filter,
                                struct arili_audit_copy *ret)
{
    const size_t count = count_matches(memory, filter);
    if (count == 0) {
        return ARIL_OK;
    }
    ret->slots = arili_alloc(count * sizeof(struct arili_audit_slot));
    ARILI_ENSURE(ret->slots != NULL, ARIL_E_NOMEM);
    ret->count = count;
    struct backwards walk = backwards_init(memory);
    for (size_t i = count; i > 0; i--) {
        ret->slots[i - 1] = *backwards_next(&walk, filter);
    }
    return ARIL_OK;
}

aril_status arili_audit_copy_new(const aril_audit_memory *memory, const aril_audit_filter *filter,
                                 struct arili_audit_copy *ret)
{
    *ret = (struct arili_audit_copy){ 0 };
    ARILI_ENSURE(memory != NULL, ARIL_E_USAGE_NULL);
    const aril_audit_filter all = { 0 };
    const aril_audit_filter *wanted = filter != NULL ? filter : &all;
    ARILI_TRY(filter_check(wanted));
    lock(memory);
    const aril_status st = copy_matches(memory, wanted, ret);
    ret->totals = memory->totals;
    unlock(memory);
    return st;
}

aril_event arili_audit_copy_event(const struct arili_audit_copy *copy, size_t index)
{
    return slot_event(&copy->slots[index]);
}

void arili_audit_copy_done(struct arili_audit_copy *copy)
{
    arili_free(copy->slots, copy->count * sizeof(struct arili_audit_slot));
    *copy = (struct arili_audit_copy){ 0 };
}

aril_status aril_audit_memory_query(const aril_audit_memory *memory,
                                    const aril_audit_filter *filter, aril_audit_visit_fn *visit,
                                    void *user)
{
    ARILI_ENSURE(visit != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_audit_copy_done) struct arili_audit_copy copy = { 0 };
    ARILI_TRY(arili_audit_copy_new(memory, filter, &copy));
    for (size_t i = 0; i < copy.count; i++) {
        const aril_event event = arili_audit_copy_event(&copy, i);
        if (visit(user, &event) != 0) {
            break;
        }
    }
    return ARIL_OK;
}

aril_status aril_audit_memory_totals(const aril_audit_memory *memory, aril_audit_totals *ret_totals)
{
    ARILI_ENSURE(memory != NULL && ret_totals != NULL, ARIL_E_USAGE_NULL);
    lock(memory);
    *ret_totals = memory->totals;
    unlock(memory);
    return ARIL_OK;
}

void aril_audit_memory_clear(aril_audit_memory *memory)
{
    if (memory != NULL) {
        lock(memory);
        for (size_t i = 0; i < ROOMS; i++) {
            room_clear(&memory->rooms[i]);
        }
        memory->totals = (aril_audit_totals){ 0 };
        unlock(memory);
    }
}
