/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/sqlite_internal.h"
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

/* --- Scanning ------------------------------------------------------------------------------ */

#define PAGE_BYTES ((size_t)65536)

/* Names behind their lengths, and where the next page begins. */
struct page {
    uint8_t start[ARIL_STORE_NAME_BYTES_MAX + 1];
    size_t start_len;
    bool at_end;
    size_t len;
    uint8_t bytes[PAGE_BYTES];
};

static void page_freep(struct page **p)
{
    arili_free(*p, sizeof **p);
}

/* False when the page is full. The next one begins with the first name behind this one: that with
 * a zero byte at its end. */
static bool page_add(struct page *p, aril_bytes name, bool listed)
{
    const uint16_t len = (uint16_t)name.len;
    if (sizeof len + name.len > sizeof p->bytes - p->len) {
        return false;
    }
    if (listed) {
        memcpy(p->bytes + p->len, &len, sizeof len);
        memcpy(p->bytes + p->len + sizeof len, name.data, name.len);
        p->len += sizeof len + name.len;
    }
    memcpy(p->start, name.data, name.len);
    p->start[name.len] = 0;
    p->start_len = name.len + 1;
    return true;
}

static aril_status page_fill(struct arili_lite_connection *c, aril_bytes prefix, struct page *p,
                             aril_error *error)
{
    ARILI_DEFER(arili_lite_resetp) sqlite3_stmt *s = NULL;
    uint8_t start[sizeof p->start];
    const int64_t now_ms = arili_lite_now_ms();
    memcpy(start, p->start, p->start_len);
    ARILI_TRY(arili_lite_prepare(c, ARILI_LITE_LIST, &s, error));
    arili_lite_bind(s, 1, (aril_bytes){ start, p->start_len });
    p->len = 0;
    for (;;) {
        const aril_status st = arili_lite_step(c, s, error);
        if (st == ARIL_E_NOT_FOUND) {
            p->at_end = true;
            return ARIL_OK;
        }
        ARILI_TRY(st);
        const aril_bytes name = { sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0) };
        const int64_t expires_ms = sqlite3_column_int64(s, 1);
        if (name.len == 0 || name.data == NULL || name.len > ARIL_STORE_NAME_BYTES_MAX) {
            continue; /* not ours: an empty name, or no memory for it */
        }
        if (name.len < prefix.len ||
            (prefix.len > 0 && memcmp(name.data, prefix.data, prefix.len) != 0)) {
            p->at_end = true;
            return ARIL_OK;
        }
        if (!page_add(p, name, expires_ms <= 0 || expires_ms > now_ms)) {
            return ARIL_OK;
        }
    }
}

static bool page_visit(const struct page *p, aril_store_visit_fn *visit, void *user)
{
    for (size_t at = 0; at < p->len;) {
        uint16_t len = 0;
        memcpy(&len, p->bytes + at, sizeof len);
        at += sizeof len;
        if (visit(user, (aril_bytes){ p->bytes + at, len }) != 0) {
            return false;
        }
        at += len;
    }
    return true;
}

aril_status arili_lite_scan(void *state, aril_bytes prefix, aril_store_visit_fn *visit, void *user,
                            uint64_t step_ms, aril_error *error)
{
    struct arili_lite_state *const s = state;
    ARILI_DEFER(page_freep) struct page *p = arili_alloc(sizeof *p);
    ARILI_ENSURE(p != NULL, ARIL_E_NOMEM);
    if (prefix.len > 0) {
        memcpy(p->start, prefix.data, prefix.len);
    }
    p->start_len = prefix.len;
    while (!p->at_end) {
        struct arili_lite_connection *c = NULL;
        ARILI_TRY(arili_lite_take(s, arili_lite_now_ns() + step_ms * NS_PER_MS, &c, error));
        const aril_status st = page_fill(c, prefix, p, error);
        arili_lite_give(s, c);
        ARILI_TRY(st);
        if (!page_visit(p, visit, user)) {
            break;
        }
    }
    return ARIL_OK;
}

/* --- Locks --------------------------------------------------------------------------------- */

/* *ret_fence 0: nobody holds it now. */
static aril_status holder(struct arili_lite_connection *c, aril_bytes name, uint64_t *ret_fence,
                          aril_error *error)
{
    ARILI_DEFER(arili_lite_resetp) sqlite3_stmt *s = NULL;
    *ret_fence = 0;
    ARILI_TRY(arili_lite_prepare(c, ARILI_LITE_FIND_LOCK, &s, error));
    arili_lite_bind(s, 1, name);
    const aril_status st = arili_lite_step(c, s, error);
    if (st == ARIL_E_NOT_FOUND) {
        return ARIL_OK;
    }
    ARILI_TRY(st);
    const sqlite3_int64 fence = sqlite3_column_int64(s, 0);
    if (fence > 0 && sqlite3_column_int64(s, 1) > arili_lite_now_ms()) {
        *ret_fence = (uint64_t)fence;
    }
    return ARIL_OK;
}

aril_status arili_lite_is_held(struct arili_lite_connection *c, aril_bytes name, uint64_t fence,
                               bool *ret, aril_error *error)
{
    uint64_t held = 0;
    ARILI_TRY(holder(c, name, &held, error));
    *ret = held != 0 && held == fence;
    return ARIL_OK;
}

/* Within a transaction. */
static aril_status take_lock(struct arili_lite_connection *c, aril_bytes name, uint32_t ttl_ms,
                             uint64_t *ret_fence, aril_error *error)
{
    struct arili_lite_totals totals;
    uint64_t held = 0;
    sqlite3_stmt *s = NULL;
    const int64_t now_ms = arili_lite_now_ms();
    ARILI_TRY(holder(c, name, &held, error));
    if (held != 0) {
        return arili_error_set(error, arili_fail(ARIL_E_EXISTS), "%s: somebody holds the lock",
                               c->path);
    }
    ARILI_TRY(arili_lite_prepare(c, ARILI_LITE_DROP_LOCKS, &s, error));
    (void)sqlite3_bind_int64(s, 1, now_ms);
    ARILI_TRY(arili_lite_run(c, s, error));
    ARILI_TRY(arili_lite_prepare(c, ARILI_LITE_REMOVE_LOCK, &s, error));
    arili_lite_bind(s, 1, name);
    ARILI_TRY(arili_lite_run(c, s, error));
    /* One count for all names: a lock that ended need not be remembered. */
    ARILI_TRY(arili_lite_read_totals(c, &totals, error));
    totals.fence++;
    ARILI_TRY(arili_lite_write_totals(c, &totals, error));
    ARILI_TRY(arili_lite_prepare(c, ARILI_LITE_PUT_LOCK, &s, error));
    arili_lite_bind(s, 1, name);
    (void)sqlite3_bind_int64(s, 2, (sqlite3_int64)totals.fence);
    (void)sqlite3_bind_int64(s, 3, now_ms + ttl_ms);
    ARILI_TRY(arili_lite_run(c, s, error));
    *ret_fence = totals.fence;
    return ARIL_OK;
}

/* Within a transaction. */
static aril_status give_lock(struct arili_lite_connection *c, aril_bytes name, uint64_t fence,
                             aril_error *error)
{
    bool held = false;
    sqlite3_stmt *s = NULL;
    ARILI_TRY(arili_lite_is_held(c, name, fence, &held, error));
    if (!held) {
        return arili_error_set(error, arili_fail(ARIL_E_REPLAY_STALE),
                               "%s: the lock is over, or somebody else's by now", c->path);
    }
    ARILI_TRY(arili_lite_prepare(c, ARILI_LITE_REMOVE_LOCK, &s, error));
    arili_lite_bind(s, 1, name);
    return arili_lite_run(c, s, error);
}

aril_status arili_lite_lock(void *state, aril_bytes name, uint32_t ttl_ms, uint64_t deadline_ns,
                            uint64_t *ret_fence, aril_error *error)
{
    struct arili_lite_connection *c = NULL;
    uint64_t fence = 0;
    ARILI_TRY(arili_lite_take(state, deadline_ns, &c, error));
    aril_status st = arili_lite_run_plain(c, ARILI_LITE_BEGIN_WRITE, error);
    if (st == ARIL_OK) {
        st = arili_lite_end(c, take_lock(c, name, ttl_ms, &fence, error), error);
    }
    arili_lite_give(state, c);
    if (st == ARIL_OK) {
        *ret_fence = fence;
    }
    return st;
}

aril_status arili_lite_unlock(void *state, aril_bytes name, uint64_t fence, uint64_t deadline_ns,
                              aril_error *error)
{
    struct arili_lite_connection *c = NULL;
    ARILI_TRY(arili_lite_take(state, deadline_ns, &c, error));
    aril_status st = arili_lite_run_plain(c, ARILI_LITE_BEGIN_WRITE, error);
    if (st == ARIL_OK) {
        st = arili_lite_end(c, give_lock(c, name, fence, error), error);
    }
    arili_lite_give(state, c);
    return st;
}
