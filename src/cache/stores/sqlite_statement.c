/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/stores/sqlite_internal.h"

#define SHORT_TEXT "65536" /* ARILI_LITE_SHORT_BYTES */
#define NAME_TEXT  "2048"  /* ARIL_STORE_NAME_BYTES_MAX */

/* length() and typeof() of a column do not read it. */
static const char *const sql[ARILI_LITE_STATEMENTS] = {
    [ARILI_LITE_FIND] = "SELECT id, expires_ms, length(name) + length(value) FROM aril_values "
                        "WHERE name = ?1",
    [ARILI_LITE_FIND_VALUE] =
        "SELECT id, expires_ms, length(value), typeof(value) = 'blob', CASE WHEN "
        "length(value) <= " SHORT_TEXT " THEN value END FROM aril_values "
        "WHERE name = ?1",
    [ARILI_LITE_INSERT] = "INSERT INTO aril_values(name, expires_ms, value) VALUES(?1, ?2, ?3)",
    [ARILI_LITE_REMOVE] = "DELETE FROM aril_values WHERE id = ?1",
    [ARILI_LITE_OLDEST] = "SELECT id, length(name) + length(value) FROM aril_values ORDER BY id "
                          "LIMIT 1",
    [ARILI_LITE_OVER] = "SELECT id, length(name) + length(value) FROM aril_values WHERE "
                        "expires_ms > 0 AND expires_ms <= ?1 LIMIT 1",
    [ARILI_LITE_LIST] = "SELECT name, expires_ms FROM aril_values WHERE name >= ?1 AND "
                        "typeof(name) = 'blob' AND length(name) <= " NAME_TEXT " ORDER BY name",
    [ARILI_LITE_READ_TOTALS] = "SELECT fence, bytes, entries FROM aril_totals",
    [ARILI_LITE_WRITE_TOTALS] = "UPDATE aril_totals SET fence = ?1, bytes = ?2, entries = ?3",
    [ARILI_LITE_FIND_LOCK] = "SELECT fence, until_ms FROM aril_locks WHERE name = ?1",
    [ARILI_LITE_PUT_LOCK] = "INSERT INTO aril_locks(name, fence, until_ms) VALUES(?1, ?2, ?3)",
    [ARILI_LITE_REMOVE_LOCK] = "DELETE FROM aril_locks WHERE name = ?1",
    [ARILI_LITE_DROP_LOCKS] = "DELETE FROM aril_locks WHERE until_ms <= ?1",
    [ARILI_LITE_BEGIN_READ] = "BEGIN",
    [ARILI_LITE_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [ARILI_LITE_COMMIT] = "COMMIT",
    [ARILI_LITE_ROLLBACK] = "ROLLBACK",
};

aril_status arili_lite_prepare(struct arili_lite_connection *c, enum arili_lite_statement which,
                               sqlite3_stmt **ret, aril_error *error)
{
    if (c->statements[which] == NULL) {
        const int code = sqlite3_prepare_v3(c->handle, sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                            &c->statements[which], NULL);
        if (code != SQLITE_OK) {
            return arili_lite_failed(c, code, error);
        }
    }
    *ret = c->statements[which];
    return ARIL_OK;
}

void arili_lite_bind(sqlite3_stmt *s, int index, aril_bytes bytes)
{
    static const uint8_t nothing[1] = { 0 };
    /* Borrowed, so nothing can fail but an index that does not exist. */
    (void)sqlite3_bind_blob64(s, index, bytes.len > 0 ? bytes.data : nothing, bytes.len,
                              SQLITE_STATIC);
}

void arili_lite_reset(sqlite3_stmt *s)
{
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
}

void arili_lite_resetp(sqlite3_stmt **s)
{
    if (*s != NULL) {
        arili_lite_reset(*s);
    }
}

aril_status arili_lite_step(struct arili_lite_connection *c, sqlite3_stmt *s, aril_error *error)
{
    const int code = sqlite3_step(s);
    return code == SQLITE_ROW    ? ARIL_OK
           : code == SQLITE_DONE ? ARIL_E_NOT_FOUND
                                 : arili_lite_failed(c, code, error);
}

aril_status arili_lite_run(struct arili_lite_connection *c, sqlite3_stmt *s, aril_error *error)
{
    const aril_status st = arili_lite_step(c, s, error);
    arili_lite_reset(s);
    return st == ARIL_E_NOT_FOUND ? ARIL_OK : st;
}

aril_status arili_lite_run_plain(struct arili_lite_connection *c, enum arili_lite_statement which,
                                 aril_error *error)
{
    sqlite3_stmt *s = NULL;
    ARILI_TRY(arili_lite_prepare(c, which, &s, error));
    return arili_lite_run(c, s, error);
}

aril_status arili_lite_end(struct arili_lite_connection *c, aril_status st, aril_error *error)
{
    if (st == ARIL_OK) {
        st = arili_lite_run_plain(c, ARILI_LITE_COMMIT, error);
    }
    /* SQLite goes back by itself after some failures. */
    if (sqlite3_get_autocommit(c->handle) == 0) {
        c->deadline_ns = UINT64_MAX;
        if (arili_lite_run_plain(c, ARILI_LITE_ROLLBACK, NULL) != ARIL_OK) {
            c->broken = true;
        }
    }
    return st;
}

aril_status arili_lite_read_totals(struct arili_lite_connection *c, struct arili_lite_totals *ret,
                                   aril_error *error)
{
    ARILI_DEFER(arili_lite_resetp) sqlite3_stmt *s = NULL;
    ARILI_TRY(arili_lite_prepare(c, ARILI_LITE_READ_TOTALS, &s, error));
    const aril_status st = arili_lite_step(c, s, error);
    if (st == ARIL_E_NOT_FOUND) {
        return arili_lite_damaged(c, error);
    }
    ARILI_TRY(st);
    const sqlite3_int64 fence = sqlite3_column_int64(s, 0);
    const sqlite3_int64 bytes = sqlite3_column_int64(s, 1);
    const sqlite3_int64 entries = sqlite3_column_int64(s, 2);
    if (fence < 0 || fence == INT64_MAX || bytes < 0 || entries < 0) {
        return arili_lite_damaged(c, error);
    }
    *ret = (struct arili_lite_totals){ (uint64_t)fence, (uint64_t)bytes, (uint64_t)entries };
    return ARIL_OK;
}

aril_status arili_lite_write_totals(struct arili_lite_connection *c,
                                    const struct arili_lite_totals *totals, aril_error *error)
{
    sqlite3_stmt *s = NULL;
    ARILI_TRY(arili_lite_prepare(c, ARILI_LITE_WRITE_TOTALS, &s, error));
    (void)sqlite3_bind_int64(s, 1, (sqlite3_int64)totals->fence);
    (void)sqlite3_bind_int64(s, 2, (sqlite3_int64)totals->bytes);
    (void)sqlite3_bind_int64(s, 3, (sqlite3_int64)totals->entries);
    return arili_lite_run(c, s, error);
}
