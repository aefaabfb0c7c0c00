/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_STORES_SQLITE_INTERNAL_H
#define ARILI_CACHE_STORES_SQLITE_INTERNAL_H
#include "base/files.h"
#include "cache/stores/store.h"
#include <pthread.h>
#include <sqlite3.h>

/*
 * sqlite:PATH. A table of values with rowids, because only those can be read and written in pieces;
 * a value that is put again gets a new rowid, so the smallest one is the oldest. Locks and totals
 * are in the same file: what a transaction changes is changed together, for all processes.
 *
 * Who may write the file may write anything, so types and lengths are checked, and nothing that a
 * schema says may run. Time is the system's UTC clock in milliseconds, which processes share.
 */

/* Values up to this length go in and out with a statement, longer ones in pieces. */
#define ARILI_LITE_SHORT_BYTES ((size_t)65536)
/* Pieces; between them the deadline is looked at. */
#define ARILI_LITE_PIECE_BYTES ((size_t)4 << 20)

enum arili_lite_statement {
    ARILI_LITE_FIND,
    ARILI_LITE_FIND_VALUE,
    ARILI_LITE_INSERT,
    ARILI_LITE_REMOVE,
    ARILI_LITE_OLDEST,
    ARILI_LITE_OVER,
    ARILI_LITE_LIST,
    ARILI_LITE_READ_TOTALS,
    ARILI_LITE_WRITE_TOTALS,
    ARILI_LITE_FIND_LOCK,
    ARILI_LITE_PUT_LOCK,
    ARILI_LITE_REMOVE_LOCK,
    ARILI_LITE_DROP_LOCKS,
    ARILI_LITE_BEGIN_READ,
    ARILI_LITE_BEGIN_WRITE,
    ARILI_LITE_COMMIT,
    ARILI_LITE_ROLLBACK,
    ARILI_LITE_STATEMENTS
};

/* One thread at a time. */
struct arili_lite_connection {
    struct arili_lite_connection *next; /* of the idle ones */
    sqlite3 *handle;
    sqlite3_stmt *statements[ARILI_LITE_STATEMENTS];
    const char *path;     /* the store's */
    uint64_t deadline_ns; /* of the call that uses it; CLOCK_MONOTONIC */
    bool broken;          /* not to be used again */
    uint8_t scratch[ARILI_LITE_SHORT_BYTES];
};

struct arili_lite_state {
    char path[ARILI_FILE_PATH_BYTES];
    bool durable;
    uint64_t bytes_max; /* 0: no bound */
    /* The pool, with its mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct arili_lite_connection *idle;
    size_t open, open_max;
};

/* Totals of the file. */
struct arili_lite_totals {
    uint64_t fence, bytes, entries;
};

/* --- sqlite_connection.c ------------------------------------------------------------------- */

/* The file is made when there is none, mode 0600. */
ARIL_MUST_USE aril_status arili_lite_connection_open(const struct arili_lite_state *s,
                                                     uint64_t deadline_ns,
                                                     struct arili_lite_connection **ret,
                                                     aril_error *error);
void arili_lite_connection_close(struct arili_lite_connection *c); /* accepts NULL */
/* What SQLite answered, as a status and words; marks the connection where it must not be used
 * again. */
aril_status arili_lite_failed(struct arili_lite_connection *c, int code, aril_error *error);
aril_status arili_lite_damaged(struct arili_lite_connection *c, aril_error *error);

uint64_t arili_lite_now_ns(void); /* CLOCK_MONOTONIC */
/* Milliseconds since 1970; ends far below INT64_MAX. */
int64_t arili_lite_now_ms(void);
ARIL_MUST_USE aril_status arili_lite_in_time(struct arili_lite_connection *c, aril_error *error);

/* --- sqlite_statement.c -------------------------------------------------------------------- */

/* The statement, ready to be bound. Its end is arili_lite_reset() or arili_lite_run(). */
ARIL_MUST_USE aril_status arili_lite_prepare(struct arili_lite_connection *c,
                                             enum arili_lite_statement which, sqlite3_stmt **ret,
                                             aril_error *error);
void arili_lite_bind(sqlite3_stmt *s, int index, aril_bytes bytes);
void arili_lite_reset(sqlite3_stmt *s);
void arili_lite_resetp(sqlite3_stmt **s); /* accepts NULL */
/* ARIL_OK: a row; ARIL_E_NOT_FOUND: none. */
ARIL_MUST_USE aril_status arili_lite_step(struct arili_lite_connection *c, sqlite3_stmt *s,
                                          aril_error *error);
/* Steps a statement that gives no row, and resets it. */
ARIL_MUST_USE aril_status arili_lite_run(struct arili_lite_connection *c, sqlite3_stmt *s,
                                         aril_error *error);
ARIL_MUST_USE aril_status arili_lite_run_plain(struct arili_lite_connection *c,
                                               enum arili_lite_statement which, aril_error *error);
/* Ends a transaction: commits after ARIL_OK, else goes back. Returns st or what commit says. */
ARIL_MUST_USE aril_status arili_lite_end(struct arili_lite_connection *c, aril_status st,
                                         aril_error *error);

/* Within a transaction. */
ARIL_MUST_USE aril_status arili_lite_read_totals(struct arili_lite_connection *c,
                                                 struct arili_lite_totals *ret, aril_error *error);
ARIL_MUST_USE aril_status arili_lite_write_totals(struct arili_lite_connection *c,
                                                  const struct arili_lite_totals *totals,
                                                  aril_error *error);

/* --- sqlite.c ------------------------------------------------------------------------------ */

ARIL_MUST_USE aril_status arili_lite_take(struct arili_lite_state *s, uint64_t deadline_ns,
                                          struct arili_lite_connection **ret, aril_error *error);
void arili_lite_give(struct arili_lite_state *s, struct arili_lite_connection *c);

/* --- sqlite_values.c, sqlite_names.c ------------------------------------------------------- */

aril_status arili_lite_get(void *state, aril_store_item *items, size_t count, uint64_t deadline_ns,
                           aril_error *error);
aril_status arili_lite_put(void *state, aril_store_item *items, size_t count, uint64_t deadline_ns,
                           aril_error *error);
aril_status arili_lite_erase(void *state, aril_store_item *items, size_t count,
                             uint64_t deadline_ns, aril_error *error);
aril_status arili_lite_exists(void *state, aril_store_item *items, size_t count,
                              uint64_t deadline_ns, aril_error *error);
aril_status arili_lite_scan(void *state, aril_bytes prefix, aril_store_visit_fn *visit, void *user,
                            uint64_t step_ms, aril_error *error);
aril_status arili_lite_lock(void *state, aril_bytes name, uint32_t ttl_ms, uint64_t deadline_ns,
                            uint64_t *ret_fence, aril_error *error);
aril_status arili_lite_unlock(void *state, aril_bytes name, uint64_t fence, uint64_t deadline_ns,
                              aril_error *error);
/* Within a transaction: whether the lock is held with that token. */
ARIL_MUST_USE aril_status arili_lite_is_held(struct arili_lite_connection *c, aril_bytes name,
                                             uint64_t fence, bool *ret, aril_error *error);
#endif
