/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_AUDIT_H
#define ARIL_AUDIT_H
#include <aril/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Longest tenant id, in bytes. Ids are 1 to 255 bytes, any value but NUL. */
#define ARIL_TENANT_ID_BYTES_MAX 255u
#define ARIL_SESSION_ID_BYTES    16u

/**
 * What happened. Security events are reported one by one. ENCRYPT and DECRYPT
 * are summaries: one event per epoch and interval with the number of records
 * and bytes, so that the log never slows sealing down.
 */
typedef enum aril_event_kind {
    ARIL_EVENT_SESSION = 0,             /* a session was established, or refused (status) */
    ARIL_EVENT_ENCRYPT = 1,             /* summary: records sealed */
    ARIL_EVENT_DECRYPT = 2,             /* summary: records opened */
    ARIL_EVENT_ROTATE = 3,              /* a new epoch; reason says why */
    ARIL_EVENT_RETIRE = 4,              /* an epoch's key was wiped */
    ARIL_EVENT_CLOSE = 5,               /* a session ended, its keys are gone */
    ARIL_EVENT_ISOLATION_VIOLATION = 6, /* a record of another tenant was refused */
    ARIL_EVENT_REPLAY = 7,              /* a replayed or stale record was refused */
    ARIL_EVENT_AUTH_FAILURE = 8,        /* a record was not authentic, not a seal, of an unknown
                                           session or too far ahead (status) */
    ARIL_EVENT_KEY = 9,                 /* a key of a keyring was made or changed its state */
    ARIL_EVENT_KEYRING = 10,            /* a keyring was opened, locked, unlocked, backed up or
                                           recovered, or one of these was refused (status) */
    ARIL_EVENT_FLEET = 11,              /* a node was enrolled or revoked, a bundle written, taken
                                           or refused (status), a receipt noted */
    ARIL_EVENT_SERVICE = 12             /* a daemon began or ended, took a configuration over, or
                                           refused one (status) */
} aril_event_kind;
#define ARIL_EVENT_KINDS 13u

/** Why an epoch began. */
typedef enum aril_rotate_reason {
    ARIL_ROTATE_NONE = 0,
    ARIL_ROTATE_RECORDS = 1, /* rotate_records was reached */
    ARIL_ROTATE_BYTES = 2,   /* rotate_bytes was reached */
    ARIL_ROTATE_AGE = 3,     /* rotate_after_s was reached */
    ARIL_ROTATE_MANUAL = 4,  /* aril_session_rotate() */
    ARIL_ROTATE_PEER = 5     /* the peer had rotated; this end followed */
} aril_rotate_reason;

/** Directions of a session; each has its own keys. */
typedef enum aril_direction { ARIL_TENANT_TO_SERVER = 0, ARIL_SERVER_TO_TENANT = 1 } aril_direction;

/** One event. Pointers are borrowed for the call that carries it. Holds no secret. */
typedef struct aril_event {
    aril_event_kind kind;
    aril_status status;        /* ARIL_OK, or why something was refused or a session ended */
    aril_rotate_reason reason; /* of ARIL_EVENT_ROTATE, else ARIL_ROTATE_NONE */
    aril_direction direction;
    uint64_t unix_s;  /* wall clock, seconds */
    uint64_t boot_ns; /* boot clock, nanoseconds; orders events of one host */
    aril_bytes tenant;
    uint8_t session_id[ARIL_SESSION_ID_BYTES]; /* zero where there is none yet */
    uint32_t epoch;
    uint64_t sequence;          /* of the refused record; 0 where it has no meaning */
    uint64_t foreign_tag;       /* tenant tag found in the record of an isolation violation */
    uint64_t records;           /* summaries: how many. Sessions and refusals: how many like this
                                   one were left out since the last, by a source that bounds them */
    uint64_t bytes;             /* summaries: bytes of plaintext */
    uint64_t interval_start_ns; /* summaries: boot clock when the interval began */
    uint8_t key_id[32];         /* keyrings: which key, zero where there is none */
    uint8_t key_purpose;        /* aril_key_purpose of aril/keyring.h, 0 where there is none */
    uint8_t key_state;          /* aril_key_state after it, 0 where there is none */
    const char *action;         /* what was done or refused, "rotate"; static storage, NULL where
                                   there is none */
    const char *subject;        /* what it was done to: a sealed name of a store, the address of a
                                   peer; borrowed like tenant, printable ASCII of at most
                                   ARIL_EVENT_SUBJECT_MAX bytes, NULL where there is none. The sink
                                   in memory does not keep it. Since: 0.4 */
} aril_event;
#define ARIL_EVENT_SUBJECT_MAX 600u

#define ARIL_AUDIT_SINK_ABI 1u

/** Room that is enough for the JSON of every event, with its NUL. */
#define ARIL_EVENT_JSON_BYTES 2560u

/**
 * Write one event as a JSON object in one line, as it stands in the array of
 * aril_audit_memory_json(): for sinks that write lines. Tenant ids that are not printable ASCII
 * appear as "hex:...". "action" and "subject" are there where the event has them, "suppressed"
 * where others were left out.
 *
 * @param ret_json  Buffer of @p cap bytes; may be NULL when cap is 0.
 * @param ret_len   Bytes of JSON without the final NUL, also when the buffer is
 *                  too small (then ARIL_E_USAGE_TOO_SMALL and nothing is written).
 *
 * Threads: any. Blocks: no. Allocates: no, so a sink may call it from event(). Since: 0.4
 */
ARIL_API ARIL_MUST_USE aril_status aril_audit_event_json(const aril_event *event, char *ret_json,
                                                         size_t cap, size_t *ret_len);

/**
 * Where events go. Rules for every sink:
 *  - Threads. event() is called from any thread, also at the same time.
 *  - Time. event() must not block for long: it runs inside seal and open, on
 *    their failure and rotation paths.
 *  - Calls back into the library from event() are not allowed, but for aril_audit_event_json().
 *  - Failure. event() cannot fail; a sink that loses events counts them itself.
 */
typedef struct aril_audit_sink {
    uint32_t abi; /* ARIL_AUDIT_SINK_ABI */
    void *state;
    void (*event)(void *state, const aril_event *event);
} aril_audit_sink;

/**
 * A sink that keeps events in memory, within a bound. A forked child may only free it: another
 * thread of the parent may have held its lock.
 */
typedef struct aril_audit_memory aril_audit_memory;

/**
 * Create a memory sink.
 *
 * There are three rooms, so that load can not push violations out, nor handshakes that
 * strangers have refused. Violations (isolation, replay, authentication, refusals of keyrings and
 * fleets): when their room is full the older ones stay, and the new one is counted as lost; a
 * flood does not wash away how the attack began. Lifecycle (session, rotate, retire, close, key,
 * what keyrings and fleets did): keeps the newest, and counts those that were replaced.
 * Summaries: keeps the newest; the totals hold all. The counters per kind count every event in
 * any case.
 *
 * @param security_max   Violations kept, and lifecycle events kept, each 1 to 2^24.
 * @param summaries_max  Summaries kept, 1 to 2^24.
 *
 * Threads: any. Blocks: no. Allocates: all it will ever use, 392 bytes for each
 * event; the system gives the pages when they fill. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_audit_memory_new(size_t security_max, size_t summaries_max,
                                                         aril_audit_memory **ret_memory);
ARIL_API void aril_audit_memory_free(aril_audit_memory *memory);

/** The table to hand to aril_runtime_new(); lives as long as @p memory. */
ARIL_API const aril_audit_sink *aril_audit_memory_sink(aril_audit_memory *memory);

/** Which events a query returns. All zero: all of them. */
typedef struct aril_audit_filter {
    aril_bytes tenant; /* len 0: every tenant */
    uint32_t kinds;    /* bit (1u << kind) for each kind wanted; 0: every kind */
    size_t limit;      /* at most so many, the newest ones; 0: no limit */
} aril_audit_filter;

/** Called for each event, oldest first. Return 0 to go on, another value to stop. */
typedef int aril_audit_visit_fn(void *user, const aril_event *event);

/**
 * Visit the kept events that match, oldest first. The visitor runs outside the
 * sink's lock on a copy and may call the library. New events wait while the copy is
 * made; where many are kept, a limit shortens that.
 *
 * @param filter  NULL: all events.
 * @retval ARIL_OK             All were visited, or the visitor stopped.
 * @retval ARIL_E_USAGE_RANGE  @p filter has an unknown kind or too long a tenant id.
 * Threads: any. Allocates: a copy of the matching events. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_audit_memory_query(const aril_audit_memory *memory,
                                                           const aril_audit_filter *filter,
                                                           aril_audit_visit_fn *visit, void *user);

/** Totals since creation or the last clear. Lost events are counted too. */
typedef struct aril_audit_totals {
    uint64_t events[ARIL_EVENT_KINDS]; /* events per kind, lost ones included */
    uint64_t lost_security;            /* violations that found no room */
    uint64_t lost_lifecycle;           /* older lifecycle events that newer ones replaced */
    uint64_t merged_summaries;         /* summaries that live on in the totals only */
    uint64_t records_sealed, bytes_sealed;
    uint64_t records_opened, bytes_opened;
} aril_audit_totals;

/** The totals of this moment. Threads: any. Allocates: no. Since: 0.1 */
ARIL_API ARIL_MUST_USE aril_status aril_audit_memory_totals(const aril_audit_memory *memory,
                                                            aril_audit_totals *ret_totals);

/**
 * Write the matching events as one JSON object:
 * {"events":[{...}],"totals":{...},"lost_security":n}. Tenant ids that are not
 * printable ASCII appear as "hex:...".
 *
 * @param ret_json  Buffer of @p cap bytes; may be NULL when cap is 0.
 * @param ret_len   Bytes of JSON without the final NUL, also when the buffer is
 *                  too small (then ARIL_E_USAGE_TOO_SMALL and nothing is written).
 */
ARIL_API ARIL_MUST_USE aril_status aril_audit_memory_json(const aril_audit_memory *memory,
                                                          const aril_audit_filter *filter,
                                                          char *ret_json, size_t cap,
                                                          size_t *ret_len);

/** Forget all events and totals, after they were exported. */
ARIL_API void aril_audit_memory_clear(aril_audit_memory *memory);

/** "encrypt", "isolation-violation", ...; never NULL. */
ARIL_API const char *aril_event_kind_name(aril_event_kind kind);

#ifdef __cplusplus
}
#endif
#endif
