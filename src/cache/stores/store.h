/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_STORES_STORE_H
#define ARILI_CACHE_STORES_STORE_H
#include <aril/store.h>
#include <stdbool.h>

/*
 * The port of cache stores. A backend is one file, or a few that begin with its name, and includes
 * this header, base, for TLS crypto/tls.h, for RESP resp/, and its one library. What items,
 * statuses and capabilities mean is in aril/store.h; names, counts and spans were checked by
 * cache/store.c.
 *
 * Rules for every backend:
 *  - Threads. Every call from any thread, at the same time.
 *  - Time. No call takes longer than its deadline (CLOCK_MONOTONIC, nanoseconds), give or take what
 *    the kernel takes to write a page; on it the answer is ARIL_E_TIMEOUT.
 *  - Items. A call returns ARIL_OK when the store was asked; then each item has its own status.
 *    Else the items' statuses are not looked at. Items of one call may be done in any order; of two
 *    items with one name the later one wins. data, len and status are zero before the call.
 *  - Values are whole: a get sees one put, never a mixture, whatever crashes.
 *  - Memory. Nothing is allocated by a length that came from outside before it was compared with
 *    ARIL_STORE_VALUE_BYTES_MAX; a value goes straight to buffer or room.
 *  - What a backend does not have is NULL here, and its capability bit is not set.
 *  - Values are ciphertext for us, and garbage from outside: a backend interprets none of it.
 *  - Members are appended and bump ARILI_CACHE_STORE_ABI.
 */
#define ARILI_CACHE_STORE_ABI 1u

struct arili_cache_store_options {
    aril_runtime *rt;
    const aril_store_config *config; /* borrowed for open; defaults are filled in */
    const char *rest;                /* what follows the scheme and its colon: "//host:6379/0" */
};

struct arili_cache_store_stat {
    uint64_t entries, bytes; /* UINT64_MAX: not known */
    char description[128];
};

struct arili_cache_store_ops {
    uint32_t abi;
    const char *kind;
    const char *const *schemes; /* ends with NULL */
    /* scheme: the one of schemes that the URI has. ret_capabilities: of this instance. */
    ARIL_MUST_USE aril_status (*open)(const struct arili_cache_store_options *options,
                                      const char *scheme, void **ret_state,
                                      uint32_t *ret_capabilities, aril_error *error);
    void (*close)(void *state);
    ARIL_MUST_USE aril_status (*get)(void *state, aril_store_item *items, size_t count,
                                     uint64_t deadline_ns, aril_error *error);
    ARIL_MUST_USE aril_status (*put)(void *state, aril_store_item *items, size_t count,
                                     uint64_t deadline_ns, aril_error *error);
    ARIL_MUST_USE aril_status (*erase)(void *state, aril_store_item *items, size_t count,
                                       uint64_t deadline_ns, aril_error *error);
    ARIL_MUST_USE aril_status (*exists)(void *state, aril_store_item *items, size_t count,
                                        uint64_t deadline_ns, aril_error *error);
    /* ARIL_STORE_LIST. No lock is held while visit runs. step_ms is the deadline of each step. */
    ARIL_MUST_USE aril_status (*scan)(void *state, aril_bytes prefix, aril_store_visit_fn *visit,
                                      void *user, uint64_t step_ms, aril_error *error);
    /* ARIL_STORE_LOCK */
    ARIL_MUST_USE aril_status (*lock)(void *state, aril_bytes name, uint32_t ttl_ms,
                                      uint64_t deadline_ns, uint64_t *ret_fence, aril_error *error);
    ARIL_MUST_USE aril_status (*unlock)(void *state, aril_bytes name, uint64_t fence,
                                        uint64_t deadline_ns, aril_error *error);
    /* ARIL_STORE_NOTIFY. listen starts a thread that close() ends. */
    ARIL_MUST_USE aril_status (*publish)(void *state, aril_bytes channel, aril_bytes message,
                                         uint64_t deadline_ns, aril_error *error);
    ARIL_MUST_USE aril_status (*listen)(void *state, aril_bytes channel, aril_store_message_fn *fn,
                                        void *user, aril_error *error);
    ARIL_MUST_USE aril_status (*stat)(void *state, uint64_t deadline_ns,
                                      struct arili_cache_store_stat *ret, aril_error *error);
};

/*
 * Where a value of len bytes goes: sets data, len and status. False when it can not be had; the
 * status says why. data may be NULL for an empty value.
 */
static inline bool arili_cache_store_place(aril_store_item *item, size_t len)
{
    item->data = NULL;
    item->len = len;
    item->status = ARIL_OK;
    if (len > ARIL_STORE_VALUE_BYTES_MAX) {
        item->len = 0;
        item->status = ARIL_E_FORMAT_LENGTH;
    } else if (len <= item->buffer.len) {
        item->data = item->buffer.data;
    } else if (item->room == NULL) {
        item->status = ARIL_E_USAGE_TOO_SMALL;
    } else {
        item->data = item->room(item->user, len);
        item->status = item->data != NULL ? ARIL_OK : ARIL_E_LIMIT;
    }
    return item->status == ARIL_OK;
}

/* The backends; each is defined in its file. */
extern const struct arili_cache_store_ops arili_cache_store_memory, arili_cache_store_sqlite,
    arili_cache_store_files, arili_cache_store_redis, arili_cache_store_http;
#endif
