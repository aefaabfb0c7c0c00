/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/stores/sqlite_internal.h"
#include <string.h>

/* Values that are over and are removed along with a put. */
#define OVER_MAX 8u

/* A row without its value. */
struct row {
    sqlite3_int64 id;
    uint64_t bytes;
};

static bool is_over(int64_t expires_ms, int64_t now_ms)
{
    return expires_ms > 0 && expires_ms <= now_ms;
}

/* --- Reading ------------------------------------------------------------------------------- */

static void blob_closep(sqlite3_blob **blob)
{
    (void)sqlite3_blob_close(*blob);
}

/* A long value, straight to where it goes. */
static aril_status read_pieces(struct arili_lite_connection *c, sqlite3_int64 id,
                               aril_store_item *item, aril_error *error)
{
    ARILI_DEFER(blob_closep) sqlite3_blob *blob = NULL;
    int code = sqlite3_blob_open(c->handle, "main", "aril_values", "value", id, 0, &blob);
    if (code != SQLITE_OK) {
        return arili_lite_failed(c, code, error);
    }
    if ((size_t)sqlite3_blob_bytes(blob) != item->len) {
        return arili_lite_damaged(c, error);
    }
    for (size_t at = 0; at < item->len;) {
        const size_t left = item->len - at;
        const size_t n = left < ARILI_LITE_PIECE_BYTES ? left : ARILI_LITE_PIECE_BYTES;
        ARILI_TRY(arili_lite_in_time(c, error));
        code = sqlite3_blob_read(blob, item->data + at, (int)n, (int)at);
        if (code != SQLITE_OK) {
            return arili_lite_failed(c, code, error);
        }
        at += n;
    }
    return ARIL_OK;
}

/* The row of s. */
static aril_status read_value(struct arili_lite_connection *c, sqlite3_stmt *s,
                              aril_store_item *item, aril_error *error)
{
    const sqlite3_int64 len = sqlite3_column_int64(s, 2);
    if (sqlite3_column_int(s, 3) != 1 || len < 0) {
        return arili_lite_damaged(c, error);
    }
    if (!arili_cache_store_place(item, (size_t)len) || len == 0) {
        return ARIL_OK;
    }
    if (item->len > ARILI_LITE_SHORT_BYTES) {
        return read_pieces(c, sqlite3_column_int64(s, 0), item, error);
    }
    const void *const bytes = sqlite3_column_blob(s, 4);
    if (bytes == NULL || (size_t)sqlite3_column_bytes(s, 4) != item->len) {
        return arili_lite_failed(
            c, sqlite3_errcode(c->handle) == SQLITE_NOMEM ? SQLITE_NOMEM : SQLITE_CORRUPT, error);
    }
    memcpy(item->data, bytes, item->len);
    return ARIL_OK;
}

static aril_status get_one(struct arili_lite_connection *c, aril_store_item *item, int64_t now_ms,
                           aril_error *error)
{
    ARILI_DEFER(arili_lite_resetp) sqlite3_stmt *s = NULL;
    ARILI_TRY(arili_lite_prepare(c, ARILI_LITE_FIND_VALUE, &s, error));
    arili_lite_bind(s, 1, item->name);
    const aril_status st = arili_lite_step(c, s, error);
    if (st == ARIL_E_NOT_FOUND || (st == ARIL_OK && is_over(sqlite3_column_int64(s, 1), now_ms))) {
        item->status = ARIL_E_NOT_FOUND;
        return ARIL_OK;
    }
    ARILI_TRY(st);
    return read_value(c, s, item, error);
}

/* ARIL_OK or ARIL_E_NOT_FOUND; what is over counts as there, and *ret_over says so. */
static aril_status find(struct arili_lite_connection *c, aril_bytes name, int64_t now_ms,
                        struct row *ret, bool *ret_over, aril_error *error)
{
    ARILI_DEFER(arili_lite_resetp) sqlite3_stmt *s = NULL;
    ARILI_TRY(arili_lite_prepare(c, ARILI_LITE_FIND, &s, error));
    arili_lite_bind(s, 1, name);
    ARILI_TRY(arili_lite_step(c, s, error));
    const sqlite3_int64 bytes = sqlite3_column_int64(s, 2);
    ret->id = sqlite3_column_int64(s, 0);
    ret->bytes = bytes > 0 ? (uint64_t)bytes : 0;
    *ret_over = is_over(sqlite3_column_int64(s, 1), now_ms);
    return ARIL_OK;
}

static aril_status ask_one(struct arili_lite_connection *c, aril_store_item *item, int64_t now_ms,
                           aril_error *error)
{
    struct row row;
    bool over = false;
    const aril_status st = find(c, item->name, now_ms, &row, &over, error);
    item->status = st == ARIL_E_NOT_FOUND || over ? ARIL_E_NOT_FOUND : ARIL_OK;
    return st == ARIL_E_NOT_FOUND ? ARIL_OK : st;
}

typedef aril_status read_fn(struct arili_lite_connection *c, aril_store_item *item, int64_t now_ms,
                            aril_error *error);

static aril_status read_all(void *state, read_fn *one, aril_store_item *items, size_t count,
                            uint64_t deadline_ns, aril_error *error)
{
    struct arili_lite_connection *c = NULL;
    ARILI_TRY(arili_lite_take(state, deadline_ns, &c, error));
    /* One state of the file for what takes two looks. */
    aril_status st = arili_lite_run_plain(c, ARILI_LITE_BEGIN_READ, error);
    const int64_t now_ms = arili_lite_now_ms();
    for (size_t i = 0; i < count && st == ARIL_OK; i++) {
        st = i == 0 ? ARIL_OK : arili_lite_in_time(c, error);
        st = st == ARIL_OK ? one(c, &items[i], now_ms, error) : st;
    }
    st = arili_lite_end(c, st, error);
    arili_lite_give(state, c);
    return st;
}

aril_status arili_lite_get(void *state, aril_store_item *items, size_t count, uint64_t deadline_ns,
                           aril_error *error)
{
    return read_all(state, get_one, items, count, deadline_ns, error);
}

aril_status arili_lite_exists(void *state, aril_store_item *items, size_t count,
                              uint64_t deadline_ns, aril_error *error)
{
    return read_all(state, ask_one, items, count, deadline_ns, error);
}

/* --- Writing ------------------------------------------------------------------------------- */

/* A transaction that writes. */
struct writing {
    struct arili_lite_state *state;
    struct arili_lite_connection *c;
    struct arili_lite_totals totals;
    int64_t now_ms;
};

static aril_status remove_row(struct writing *w, const struct row *row, aril_error *error)
{
    sqlite3_stmt *s = NULL;
    ARILI_TRY(arili_lite_prepare(w->c, ARILI_LITE_REMOVE, &s, error));
    (void)sqlite3_bind_int64(s, 1, row->id);
    ARILI_TRY(arili_lite_run(w->c, s, error));
    /* What somebody else wrote into the totals does not make them wrap. */
    w->totals.bytes -= row->bytes < w->totals.bytes ? row->bytes : w->totals.bytes;
    w->totals.entries -= w->totals.entries > 0;
    return ARIL_OK;
}

/* The oldest row, or one that is over. ARIL_E_NOT_FOUND: there is none. */
static aril_status pick(struct writing *w, enum arili_lite_statement which, struct row *ret,
                        aril_error *error)
{
    ARILI_DEFER(arili_lite_resetp) sqlite3_stmt *s = NULL;
    ARILI_TRY(arili_lite_prepare(w->c, which, &s, error));
    if (which == ARILI_LITE_OVER) {
        (void)sqlite3_bind_int64(s, 1, w->now_ms);
    }
    ARILI_TRY(arili_lite_step(w->c, s, error));
    const sqlite3_int64 bytes = sqlite3_column_int64(s, 1);
    ret->id = sqlite3_column_int64(s, 0);
    ret->bytes = bytes > 0 ? (uint64_t)bytes : 0;
    return ARIL_OK;
}

static aril_status make_room(struct writing *w, aril_error *error)
{
    while (w->state->bytes_max > 0 && w->totals.bytes > w->state->bytes_max) {
        struct row row;
        const aril_status st = pick(w, ARILI_LITE_OLDEST, &row, error);
        if (st == ARIL_E_NOT_FOUND) {
            w->totals.bytes = 0;
            return ARIL_OK;
        }
        ARILI_TRY(st);
        ARILI_TRY(remove_row(w, &row, error));
        ARILI_TRY(arili_lite_in_time(w->c, error));
    }
    return ARIL_OK;
}

static aril_status drop_what_is_over(struct writing *w, aril_error *error)
{
    for (unsigned i = 0; i < OVER_MAX; i++) {
        struct row row;
        const aril_status st = pick(w, ARILI_LITE_OVER, &row, error);
        if (st == ARIL_E_NOT_FOUND) {
            break;
        }
        ARILI_TRY(st);
        ARILI_TRY(remove_row(w, &row, error));
    }
    return ARIL_OK;
}

/* Cannot wrap: the sum was compared with ARIL_STORE_VALUE_BYTES_MAX. */
static size_t value_len(const aril_store_item *item)
{
    size_t len = 0;
    for (size_t i = 0; i < item->part_count; i++) {
        len += item->parts[i].len;
    }
    return len;
}

static aril_status write_pieces(struct arili_lite_connection *c, const aril_store_item *item,
                                aril_error *error)
{
    ARILI_DEFER(blob_closep) sqlite3_blob *blob = NULL;
    size_t to = 0;
    int code = sqlite3_blob_open(c->handle, "main", "aril_values", "value",
                                 sqlite3_last_insert_rowid(c->handle), 1, &blob);
    for (size_t i = 0; i < item->part_count && code == SQLITE_OK; i++) {
        const aril_bytes part = item->parts[i];
        for (size_t at = 0; at < part.len && code == SQLITE_OK;) {
            const size_t left = part.len - at;
            const size_t n = left < ARILI_LITE_PIECE_BYTES ? left : ARILI_LITE_PIECE_BYTES;
            ARILI_TRY(arili_lite_in_time(c, error));
            code = sqlite3_blob_write(blob, part.data + at, (int)n, (int)to);
            at += n;
            to += n;
        }
    }
    return code == SQLITE_OK ? ARIL_OK : arili_lite_failed(c, code, error);
}

static int64_t expiry(int64_t now_ms, uint64_t ttl_ms)
{
    if (ttl_ms == 0) {
        return 0;
    }
    return ttl_ms < (uint64_t)(INT64_MAX - now_ms) ? now_ms + (int64_t)ttl_ms : INT64_MAX;
}

static aril_status insert(struct writing *w, const aril_store_item *item, size_t len,
                          aril_error *error)
{
    struct arili_lite_connection *const c = w->c;
    sqlite3_stmt *s = NULL;
    ARILI_TRY(arili_lite_prepare(c, ARILI_LITE_INSERT, &s, error));
    arili_lite_bind(s, 1, item->name);
    (void)sqlite3_bind_int64(s, 2, expiry(w->now_ms, item->ttl_ms));
    if (len > ARILI_LITE_SHORT_BYTES) {
        (void)sqlite3_bind_zeroblob64(s, 3, len);
    } else if (item->part_count == 1) {
        arili_lite_bind(s, 3, item->parts[0]);
    } else {
        size_t at = 0;
        for (size_t i = 0; i < item->part_count; i++) {
            if (item->parts[i].len > 0) {
                memcpy(c->scratch + at, item->parts[i].data, item->parts[i].len);
                at += item->parts[i].len;
            }
        }
        arili_lite_bind(s, 3, (aril_bytes){ c->scratch, len });
    }
    ARILI_TRY(arili_lite_run(c, s, error));
    return len > ARILI_LITE_SHORT_BYTES ? write_pieces(c, item, error) : ARIL_OK;
}

static aril_status put_one(struct writing *w, aril_store_item *item, aril_error *error)
{
    const size_t len = value_len(item);
    const uint64_t bytes = item->name.len + len;
    if (w->state->bytes_max > 0 && bytes > w->state->bytes_max) {
        item->status = arili_fail(ARIL_E_IO_FULL);
        return ARIL_OK;
    }
    if (item->lock.len > 0) {
        bool held = false;
        ARILI_TRY(arili_lite_is_held(w->c, item->lock, item->fence, &held, error));
        if (!held) {
            item->status = arili_fail(ARIL_E_REPLAY_STALE);
            return ARIL_OK;
        }
    }
    struct row old;
    bool over = false;
    const aril_status st = find(w->c, item->name, w->now_ms, &old, &over, error);
    if (st == ARIL_OK && item->absent_only != 0 && !over) {
        item->status = arili_fail(ARIL_E_EXISTS);
        return ARIL_OK;
    }
    if (st == ARIL_OK) {
        ARILI_TRY(remove_row(w, &old, error));
    } else if (st != ARIL_E_NOT_FOUND) {
        return st;
    }
    ARILI_TRY(insert(w, item, len, error));
    w->totals.bytes += bytes;
    w->totals.entries++;
    item->status = ARIL_OK;
    return make_room(w, error);
}

static aril_status erase_one(struct writing *w, aril_store_item *item, aril_error *error)
{
    struct row row;
    bool over = false;
    const aril_status st = find(w->c, item->name, w->now_ms, &row, &over, error);
    item->status = st == ARIL_E_NOT_FOUND || over ? ARIL_E_NOT_FOUND : ARIL_OK;
    if (st == ARIL_E_NOT_FOUND) {
        return ARIL_OK;
    }
    ARILI_TRY(st);
    return remove_row(w, &row, error);
}

typedef aril_status write_fn(struct writing *w, aril_store_item *item, aril_error *error);

static aril_status write_each(struct writing *w, write_fn *one, aril_store_item *items,
                              size_t count, aril_error *error)
{
    ARILI_TRY(arili_lite_read_totals(w->c, &w->totals, error));
    ARILI_TRY(drop_what_is_over(w, error));
    for (size_t i = 0; i < count; i++) {
        ARILI_TRY(i == 0 ? ARIL_OK : arili_lite_in_time(w->c, error));
        ARILI_TRY(one(w, &items[i], error));
    }
    return arili_lite_write_totals(w->c, &w->totals, error);
}

/* All in one transaction: on failure nothing of it is there. */
static aril_status write_all(void *state, write_fn *one, aril_store_item *items, size_t count,
                             uint64_t deadline_ns, aril_error *error)
{
    struct writing w = { .state = state, .now_ms = arili_lite_now_ms() };
    ARILI_TRY(arili_lite_take(state, deadline_ns, &w.c, error));
    aril_status st = arili_lite_run_plain(w.c, ARILI_LITE_BEGIN_WRITE, error);
    if (st == ARIL_OK) {
        st = arili_lite_end(w.c, write_each(&w, one, items, count, error), error);
    }
    arili_lite_give(state, w.c);
    return st;
}

aril_status arili_lite_put(void *state, aril_store_item *items, size_t count, uint64_t deadline_ns,
                           aril_error *error)
{
    const aril_status st = write_all(state, put_one, items, count, deadline_ns, error);
    if (st != ARIL_E_IO_FULL) {
        return st;
    }
    for (size_t i = 0; i < count; i++) {
        items[i].status = st; /* an answer, and it is the same for all */
    }
    return ARIL_OK;
}

aril_status arili_lite_erase(void *state, aril_store_item *items, size_t count,
                             uint64_t deadline_ns, aril_error *error)
{
    return write_all(state, erase_one, items, count, deadline_ns, error);
}
