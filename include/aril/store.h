/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_STORE_H
#define ARIL_STORE_H
#include <aril/base.h>
#include <aril/keystore.h>
#include <aril/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Where cached values lie: bytes under names, for a time. A store is not trusted: aril/cache.h
 * hands it ciphertext under names that say nothing. These functions are the raw store.
 *
 *   memory:[NAME]                        of this process; one NAME is one memory; without NAME a
 *                                        memory of its own
 *   sqlite:PATH                          a file; several processes may share it
 *   file:FOLDER                          a file for each value, in fan-out folders
 *   redis://[USER@]HOST[:PORT][/DB]      Redis or Valkey over TCP; redis+unix:PATH[?db=N]
 *   rediss://[USER@]HOST[:PORT][/DB]     the same over TLS 1.3, X25519MLKEM768 first
 *   redis+cluster://[USER@]HOST[:PORT][,HOST[:PORT]...]      a Cluster; rediss+cluster: over TLS
 *   http://HOST[:PORT]/PATH, https://... plain GET, PUT, HEAD, DELETE below PATH
 *
 * Passwords and tokens are never part of a URI: they come from aril_store_config.secret_path or
 * ask. ?password-file=PATH is accepted for the former.
 *
 * Threads: any function from any thread, at the same time. Blocks: until the deadline at most.
 * Since: 0.3. error is optional everywhere; it names the store, the reason and the remedy.
 */
typedef struct aril_store aril_store;

enum {
    ARIL_STORE_TTL = 1u << 0,    /* it forgets values by itself */
    ARIL_STORE_LIST = 1u << 1,   /* aril_store_scan() works */
    ARIL_STORE_LOCK = 1u << 2,   /* locks with fencing tokens, and guarded puts */
    ARIL_STORE_NOTIFY = 1u << 3, /* messages reach other processes */
    ARIL_STORE_SHARED = 1u << 4  /* other processes, or other hosts, see the same values */
};

/** Longest name, and longest value, in bytes. */
#define ARIL_STORE_NAME_BYTES_MAX  2048u
#define ARIL_STORE_VALUE_BYTES_MAX ((size_t)512 << 20)
#define ARIL_STORE_BATCH_MAX       65536u
#define ARIL_STORE_DEADLINE_MS_MAX 600000u

/** How to open a store. All zero but uri is the default. */
typedef struct aril_store_config {
    const char *uri;        /* copied */
    uint32_t deadline_ms;   /* for each call, 0: 1000 */
    uint32_t connections;   /* redis, http: connections kept at most, 1 to 256; 0: 8 */
    uint64_t bytes_max;     /* memory, sqlite, file: values evicted above it; 0: 256 MiB for memory,
                               no bound for the others */
    uint32_t breaker_after; /* failures in a row that open the breaker, 0: 5 */
    uint32_t breaker_ms;    /* how long it stays open before one probe, 0: 5000 */
    const char *secret_path; /* file of mode 0600 with the password or bearer token; copied */
    aril_secret_fn *ask;     /* NULL: nobody can be asked. Without secret_path, for the password of
                                USER, or where the store demands one. Only in open. */
    void *user;              /* handed to ask */
    const char *ca_path;     /* TLS: trust anchors, PEM file; NULL: the system's. Copied. */
    const char *cert_path;   /* TLS: client certificate and key, PEM; NULL: none. Copied. */
    const char *key_path;
    int durable;       /* 1: puts are on the disk when they return (sqlite, file). 0: after a
                          crash of the host the newest may be missing; none is ever torn */
    int direct_io;     /* file: 1: O_DIRECT for values of 1 MiB and more, where it works */
    int cachekit_saas; /* http: 1: cachekit's paths, /v1/cache/NAME */
} aril_store_config;

/**
 * Open a store.
 * @retval ARIL_E_USAGE_RANGE  The URI is none of the above, or a member is out of range.
 * @retval ARIL_E_UNAVAILABLE  Built without it, or its library is not installed.
 * @retval ARIL_E_IO (class), ARIL_E_TIMEOUT, ARIL_E_TRUST  It cannot be reached or opened. Stores
 * over a network open also while the server is down when the name can be resolved.
 */
ARIL_API ARIL_MUST_USE aril_status aril_store_open(aril_runtime *rt,
                                                   const aril_store_config *config,
                                                   aril_store **ret_store, aril_error *error);
/** Close. Accepts NULL. No call may be going on. */
ARIL_API void aril_store_close(aril_store *store);

/** Gives memory for a value of @p len bytes, or NULL to pass it over (ARIL_E_LIMIT). */
typedef uint8_t *aril_store_room_fn(void *user, size_t len);

/** One value of a batch. Zero what is not used. */
typedef struct aril_store_item {
    aril_bytes name; /* 1 to ARIL_STORE_NAME_BYTES_MAX bytes, any value */

    /* put: the value is these spans, one after the other; borrowed for the call */
    const aril_bytes *parts;
    size_t part_count;
    uint64_t ttl_ms; /* 0: until it is deleted */
    int absent_only; /* 1: only when there is none; else ARIL_E_EXISTS */
    aril_bytes lock; /* len 0, or the name of a lock that must still be held with this token; else
                        ARIL_E_REPLAY_STALE and nothing is written. In a Cluster both names have one
                        hash tag; else ARIL_E_UNAVAILABLE */
    uint64_t fence;

    /* get: the value goes to buffer when it fits, else to what room gives */
    aril_span buffer;
    aril_store_room_fn *room; /* NULL: too long a value is ARIL_E_USAGE_TOO_SMALL, len says how long
                                 it is */
    /*
     * get: optional, goes before buffer and room. A store whose values come in pieces hands them
     * over one after the other, from the thread that asked: total is the length of the value,
     * offset where the piece begins; offset 0 begins the value, also anew after a failure. An empty
     * value is one empty piece. A result other than 0 passes the rest over, and the item is
     * ARIL_E_LIMIT. Stores that have values whole use buffer and room; data tells: NULL when all
     * was taken.
     */
    int (*take)(void *user, uint64_t total, uint64_t offset, aril_bytes piece);
    void *user;

    /* results */
    uint8_t *data; /* get: where the value is: buffer.data, or what room gave */
    size_t len;    /* get: its length */
    aril_status status;
} aril_store_item;

/**
 * Get, put, delete values; ask whether they exist. Items are independent of one another and each
 * has its status: ARIL_OK, ARIL_E_NOT_FOUND (get, delete, exists), ARIL_E_EXISTS and
 * ARIL_E_REPLAY_STALE (put), ARIL_E_USAGE_TOO_SMALL and ARIL_E_LIMIT (get), ARIL_E_IO_FULL, and
 * those of the call. After a put that failed without an answer (ARIL_E_TIMEOUT, ARIL_E_IO) the
 * store has the old value or the new one, whole.
 *
 * @return ARIL_OK when every item has an answer of the store, ARIL_E_BATCH when some have none.
 * Where the store could not be asked, every item has the status that is returned: ARIL_E_TIMEOUT,
 * ARIL_E_IO (class), ARIL_E_AUTH (it refuses our credentials), ARIL_E_FORMAT (its answer makes no
 * sense), ARIL_E_UNAVAILABLE while the breaker is open.
 */
ARIL_API ARIL_MUST_USE aril_status aril_store_get(aril_store *store, aril_store_item *items,
                                                  size_t count, aril_error *error);
ARIL_API ARIL_MUST_USE aril_status aril_store_put(aril_store *store, aril_store_item *items,
                                                  size_t count, aril_error *error);
ARIL_API ARIL_MUST_USE aril_status aril_store_delete(aril_store *store, aril_store_item *items,
                                                     size_t count, aril_error *error);
ARIL_API ARIL_MUST_USE aril_status aril_store_exists(aril_store *store, aril_store_item *items,
                                                     size_t count, aril_error *error);

/** Called for each name. Return 0 to go on, another value to stop. May call the store. */
typedef int aril_store_visit_fn(void *user, aril_bytes name);
/**
 * Visit the names that begin with @p prefix (may be empty), in no order. A name that comes or goes
 * meanwhile may be missed or told twice. Blocks: until the deadline for each step of the store, not
 * for all of them.
 * @retval ARIL_E_UNAVAILABLE  The store cannot list.
 */
ARIL_API ARIL_MUST_USE aril_status aril_store_scan(aril_store *store, aril_bytes prefix,
                                                   aril_store_visit_fn *visit, void *user,
                                                   aril_error *error);

/**
 * Take a lock for a time. Locks keep work from being done twice; they do not guarantee it: who
 * holds one may be too slow. That is what the fencing token is for: it grows with every holder of
 * that name, and a guarded put (aril_store_item.lock) of an older one is refused.
 * @retval ARIL_E_EXISTS       Somebody holds it.
 * @retval ARIL_E_UNAVAILABLE  The store has no locks.
 */
ARIL_API ARIL_MUST_USE aril_status aril_store_lock(aril_store *store, aril_bytes name,
                                                   uint32_t ttl_ms, uint64_t *ret_fence,
                                                   aril_error *error);
/** Give it back. ARIL_E_REPLAY_STALE when it was somebody else's meanwhile. */
ARIL_API ARIL_MUST_USE aril_status aril_store_unlock(aril_store *store, aril_bytes name,
                                                     uint64_t fence, aril_error *error);

/** Called for each message, from a thread of the store; must not block for long. len 0: messages
 * may have been lost. */
typedef void aril_store_message_fn(void *user, aril_bytes message);
/** Send a message to everybody who listens on the channel, other processes too. At most 64 KiB. */
ARIL_API ARIL_MUST_USE aril_status aril_store_publish(aril_store *store, aril_bytes channel,
                                                      aril_bytes message, aril_error *error);
/** Listen until the store is closed. One listener for a store. */
ARIL_API ARIL_MUST_USE aril_status aril_store_listen(aril_store *store, aril_bytes channel,
                                                     aril_store_message_fn *fn, void *user,
                                                     aril_error *error);

typedef enum aril_breaker_state {
    ARIL_BREAKER_CLOSED = 0,   /* calls go through */
    ARIL_BREAKER_OPEN = 1,     /* calls answer ARIL_E_UNAVAILABLE at once */
    ARIL_BREAKER_HALF_OPEN = 2 /* one call goes through, to see */
} aril_breaker_state;

typedef struct aril_store_info {
    const char *kind;      /* "redis"; static */
    uint32_t capabilities; /* ARIL_STORE_TTL and so on */
    aril_breaker_state breaker;
    uint64_t calls, failures, rejected; /* rejected: by the breaker */
    uint64_t entries, bytes;            /* that it holds; UINT64_MAX where it does not tell */
    char description[128];              /* for people; no secret */
} aril_store_info;
/** Threads: any. May ask the store. */
ARIL_API ARIL_MUST_USE aril_status aril_store_get_info(aril_store *store, aril_store_info *ret_info,
                                                       aril_error *error);

#ifdef __cplusplus
}
#endif
#endif
