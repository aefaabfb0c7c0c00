/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/database.h"
#include "base/ensure.h"
#include "base/files.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define APPLICATION_ID "1634888044" /* "aril" */
#define USER_VERSION   "1"
#define HEAD_TABLE                                                                      \
    "CREATE TABLE aril_head(one INTEGER PRIMARY KEY CHECK(one=1), body BLOB NOT NULL, " \
    "mac BLOB NOT NULL)"
#define ROWS_TABLE                                                                         \
    "CREATE TABLE aril_rows(kind INTEGER NOT NULL, id BLOB NOT NULL, body BLOB NOT NULL, " \
    "mac BLOB NOT NULL, PRIMARY KEY(kind, id))"

/* Longest blob that is read: a row body, and then some. */
#define BLOB_BYTES_MAX 131072

enum statement {
    READ_HEAD,
    READ_ROWS,
    READ_VERSION,
    PUT_ROW,
    ERASE_ROW,
    PUT_HEAD,
    BEGIN_READ,
    BEGIN_WRITE,
    COMMIT,
    ROLLBACK,
    STATEMENTS
};
static const char *const sql[STATEMENTS] = {
    [READ_HEAD] = "SELECT body, mac, one FROM aril_head",
    [READ_ROWS] = "SELECT kind, id, body, mac FROM aril_rows ORDER BY kind, id",
    [READ_VERSION] = "PRAGMA data_version",
    [PUT_ROW] = "INSERT INTO aril_rows(kind, id, body, mac) VALUES(?1, ?2, ?3, ?4) "
                "ON CONFLICT(kind, id) DO UPDATE SET body = ?3, mac = ?4",
    [ERASE_ROW] = "DELETE FROM aril_rows WHERE kind = ?1 AND id = ?2",
    [PUT_HEAD] = "INSERT INTO aril_head(one, body, mac) VALUES(1, ?1, ?2) "
                 "ON CONFLICT(one) DO UPDATE SET body = ?1, mac = ?2",
    [BEGIN_READ] = "BEGIN",
    [BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

struct arili_database {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENTS];
    bool in_transaction;
    char path[ARILI_FILE_PATH_BYTES];
};

const char *arili_database_path(const struct arili_database *db)
{
    return db->path;
}

void arili_database_abandon(struct arili_database *db)
{
    arili_free(db, sizeof *db);
}

void arili_database_close(struct arili_database *db)
{
    if (db == NULL) {
        return;
    }
    if (db->in_transaction) {
        arili_database_rollback(db);
    }
    for (size_t i = 0; i < STATEMENTS; i++) {
        (void)sqlite3_finalize(db->statements[i]);
    }
    (void)sqlite3_close(db->handle);
    arili_free(db, sizeof *db);
}

void arili_database_closep(struct arili_database **db)
{
    arili_database_close(*db);
}

/* --- Failures ------------------------------------------------------------------------------ */

static aril_status read_only(const struct arili_database *db, aril_error *error)
{
    return arili_error_set(error, ARIL_E_IO_READ_ONLY,
                           "%s: it or its folder can not be written; run as its owner, or "
                           "make the file system writable",
                           db->path);
}

static aril_status io_failed(const struct arili_database *db, int code, aril_error *error)
{
    const int reason = db->handle != NULL ? sqlite3_system_errno(db->handle) : 0;
    if (reason == EROFS || reason == EACCES || reason == EPERM) {
        return read_only(db, error);
    }
    if (reason == ENOSPC || reason == EDQUOT) {
        return arili_error_set(error, ARIL_E_IO_FULL, "%s: the disk is full; make room, then retry",
                               db->path);
    }
    return arili_error_set(error, ARIL_E_IO, "%s: %s (%s); check the disk, then retry", db->path,
                           sqlite3_errstr(code),
                           reason != 0 ? strerror(reason) : "no reason given");
}

/* What SQLite answered, as a status and words. */
static aril_status failed(const struct arili_database *db, int code, aril_error *error)
{
    switch (code == SQLITE_IOERR_NOMEM ? SQLITE_NOMEM : code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return arili_error_set(error, ARIL_E_TIMEOUT,
                               "%s: another process is writing to it; retry, or find out which",
                               db->path);
    case SQLITE_FULL:
        return arili_error_set(error, ARIL_E_IO_FULL, "%s: the disk is full; make room, then retry",
                               db->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return read_only(db, error);
    case SQLITE_NOTADB:
        return arili_error_set(error, ARIL_E_FORMAT_KIND,
                               "%s is no keyring; name the file that 'aril keys init' made",
                               db->path);
    case SQLITE_ERROR: /* our statements are right, so the schema is not */
    case SQLITE_SCHEMA:
    case SQLITE_CORRUPT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
        return arili_error_set(error, ARIL_E_FORMAT,
                               "%s is damaged; restore it from a backup (docs/keyring.md)",
                               db->path);
    case SQLITE_NOMEM:
        return arili_error_set(error, ARIL_E_NOMEM, "%s: out of memory", db->path);
    default:
        return io_failed(db, code, error);
    }
}

static aril_status not_ours(const struct arili_database *db, aril_error *error)
{
    return arili_error_set(error, ARIL_E_FORMAT,
                           "%s has other tables or types than a keyring; somebody changed it: "
                           "restore it from a backup (docs/keyring.md)",
                           db->path);
}

/* --- Statements ---------------------------------------------------------------------------- */

static aril_status prepared(struct arili_database *db, enum statement which, sqlite3_stmt **ret,
                            aril_error *error)
{
    if (db->statements[which] == NULL) {
        const int code = sqlite3_prepare_v3(db->handle, sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                            &db->statements[which], NULL);
        if (code != SQLITE_OK) {
            /* A file without our tables is none of ours. */
            return code == SQLITE_ERROR ? not_ours(db, error) : failed(db, code, error);
        }
    }
    *ret = db->statements[which];
    return ARIL_OK;
}

/* Steps a statement that gives no row. */
static aril_status run(struct arili_database *db, sqlite3_stmt *s, aril_error *error)
{
    const int code = sqlite3_step(s);
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return code == SQLITE_DONE || code == SQLITE_ROW ? ARIL_OK : failed(db, code, error);
}

static aril_status run_plain(struct arili_database *db, enum statement which, aril_error *error)
{
    sqlite3_stmt *s = NULL;
    ARILI_TRY(prepared(db, which, &s, error));
    return run(db, s, error);
}

static aril_status execute(struct arili_database *db, const char *text, aril_error *error)
{
    const int code = sqlite3_exec(db->handle, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? ARIL_OK : failed(db, code, error);
}

static const uint8_t nothing[1] = { 0 };

static int bind(sqlite3_stmt *s, int index, aril_bytes bytes)
{
    return sqlite3_bind_blob64(s, index, bytes.len > 0 ? bytes.data : nothing, bytes.len,
                               SQLITE_STATIC);
}

static bool column(sqlite3_stmt *s, int index, aril_bytes *ret)
{
    if (sqlite3_column_type(s, index) != SQLITE_BLOB) {
        return false;
    }
    ret->data = sqlite3_column_blob(s, index);
    ret->len = (size_t)sqlite3_column_bytes(s, index);
    if (ret->len == 0) {
        ret->data = nothing; /* SQLite says NULL, which memcpy must not see */
    }
    return ret->data != NULL;
}

/* --- Opening ------------------------------------------------------------------------------- */

/* Nothing that a file says may run: no triggers, no views, no functions in the schema. */
static aril_status harden(struct arili_database *db, uint32_t busy_ms, aril_error *error)
{
    static const struct {
        int option, value;
    } options[] = {
        { SQLITE_DBCONFIG_DEFENSIVE, 1 },      { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
        { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 }, { SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
        { SQLITE_DBCONFIG_ENABLE_FKEY, 0 },    { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const int code = sqlite3_db_config(db->handle, options[i].option, options[i].value, NULL);
        if (code != SQLITE_OK) {
            return failed(db, code, error);
        }
    }
    (void)sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, BLOB_BYTES_MAX);
    (void)sqlite3_limit(db->handle, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_busy_timeout(db->handle, busy_ms > INT32_MAX ? INT32_MAX : (int)busy_ms);
    (void)sqlite3_extended_result_codes(db->handle, 1);
    return execute(db,
                   "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; "
                   "PRAGMA secure_delete=ON; PRAGMA synchronous=EXTRA",
                   error);
}

static aril_status make_file(const char *path, aril_error *error)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
        return close(fd) == 0 ? ARIL_OK
                              : arili_error_set(error, ARIL_E_IO, "%s: %s", path, strerror(errno));
    }
    const int reason = errno;
    if (reason == EEXIST) {
        return arili_error_set(error, ARIL_E_EXISTS,
                               "%s is there already and was left alone; choose another name", path);
    }
    const aril_status st = reason == ENOENT                       ? ARIL_E_NOT_FOUND
                           : reason == ENOSPC || reason == EDQUOT ? ARIL_E_IO_FULL
                           : reason == EROFS || reason == EACCES  ? ARIL_E_IO_READ_ONLY
                                                                  : ARIL_E_IO;
    return arili_error_set(error, st, "%s cannot be made: %s", path, strerror(reason));
}

/* Before SQLite opens it, which would follow no link but wait on a pipe. */
static aril_status look_at_file(const char *path, aril_error *error)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        const int reason = errno;
        return arili_error_set(error, reason == ENOENT ? ARIL_E_NOT_FOUND : ARIL_E_IO, "%s: %s%s",
                               path, strerror(reason),
                               reason == ENOENT ? "; make a keyring with 'aril keys init'" : "");
    }
    if (!S_ISREG(st.st_mode)) {
        return arili_error_set(error, ARIL_E_IO,
                               "%s is no regular file; name the keyring itself, not a link to it",
                               path);
    }
    if (st.st_size == 0) {
        return arili_error_set(error, ARIL_E_FORMAT_TRUNCATED,
                               "%s is empty; restore it from a backup, or remove it and make a "
                               "new one",
                               path);
    }
    return ARIL_OK;
}

/* A journal that a crash left is played back by SQLite, and may end in the name of a file for it
 * to delete: what transactions over several databases need, and ours never write. */
static aril_status check_journal(const char *path, aril_error *error)
{
    static const uint8_t mark[8] = { 0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7 };
    char journal[ARILI_FILE_PATH_BYTES + 16];
    (void)snprintf(journal, sizeof journal, "%s-journal", path);
    const int fd = open(journal, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return ARIL_OK; /* there is none, or SQLite cannot read it either */
    }
    struct stat st;
    uint8_t end[sizeof mark];
    const bool names_a_file =
        fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof end &&
        pread(fd, end, sizeof end, st.st_size - (off_t)sizeof end) == (ssize_t)sizeof end &&
        memcmp(end, mark, sizeof end) == 0;
    (void)close(fd);
    if (names_a_file) {
        return arili_error_set(error, ARIL_E_FORMAT,
                               "%s was not written by aril; move it away, and restore the keyring "
                               "from a backup (docs/keyring.md)",
                               journal);
    }
    return ARIL_OK;
}

static aril_status make_schema(struct arili_database *db, aril_error *error)
{
    return execute(db,
                   "BEGIN; PRAGMA application_id=" APPLICATION_ID
                   "; PRAGMA user_version=" USER_VERSION "; " HEAD_TABLE "; " ROWS_TABLE "; COMMIT",
                   error);
}

static aril_status number(struct arili_database *db, const char *pragma, int *ret,
                          aril_error *error)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(db->handle, pragma, -1, &s, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(s);
    }
    if (code == SQLITE_ROW) {
        *ret = sqlite3_column_int(s, 0);
    }
    (void)sqlite3_finalize(s);
    return code == SQLITE_ROW ? ARIL_OK : failed(db, code, error);
}

/* Only our tables, word for word, and the index that SQLite makes for one of them. */
static aril_status check_schema(struct arili_database *db, aril_error *error)
{
    static const char query[] = "SELECT count(*), "
                                "total(type = 'table' AND sql IN ('" HEAD_TABLE "', '" ROWS_TABLE
                                "')), total(type = 'index' AND sql IS NULL) FROM sqlite_schema";
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(db->handle, query, -1, &s, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(s);
    }
    const bool ours = code == SQLITE_ROW && sqlite3_column_int(s, 0) == 3 &&
                      sqlite3_column_int(s, 1) == 2 && sqlite3_column_int(s, 2) == 1;
    (void)sqlite3_finalize(s);
    if (code != SQLITE_ROW) {
        return code == SQLITE_ERROR ? not_ours(db, error) : failed(db, code, error);
    }
    return ours ? ARIL_OK : not_ours(db, error);
}

static aril_status check_file(struct arili_database *db, aril_error *error)
{
    int id = 0;
    int version = 0;
    ARILI_TRY(number(db, "PRAGMA application_id", &id, error));
    ARILI_TRY(number(db, "PRAGMA user_version", &version, error));
    if (id != 0x6172696c) {
        return failed(db, SQLITE_NOTADB, error);
    }
    if (version != 1) {
        return arili_error_set(error, ARIL_E_FORMAT_VERSION,
                               "%s has format version %d, this release knows 1; use the release "
                               "that wrote it, or a newer one",
                               db->path, version);
    }
    return check_schema(db, error);
}

static aril_status open_handle(struct arili_database *db, bool create, uint32_t busy_ms,
                               aril_error *error)
{
    /* Not SQLITE_OPEN_NOFOLLOW: it refuses links in the folders above, too. */
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    const int code = sqlite3_open_v2(db->path, &db->handle, flags, NULL);
    if (code != SQLITE_OK) {
        return failed(db, code, error);
    }
    ARILI_TRY(harden(db, busy_ms, error));
    if (create) {
        ARILI_TRY(make_schema(db, error));
    }
    return check_file(db, error);
}

void arili_database_remove(const char *path)
{
    char journal[ARILI_FILE_PATH_BYTES + sizeof "-journal"];
    (void)unlink(path);
    (void)snprintf(journal, sizeof journal, "%s-journal", path);
    (void)unlink(journal);
}

aril_status arili_database_open(const char *path, bool create, uint32_t busy_ms,
                                struct arili_database **ret, aril_error *error)
{
    const size_t len = strlen(path);
    if (len == 0 || len >= ARILI_FILE_PATH_BYTES) {
        return arili_error_set(error, ARIL_E_USAGE_RANGE, "the path of a keyring has 1 to %u bytes",
                               ARILI_FILE_PATH_BYTES - 1);
    }
    ARILI_TRY(check_journal(path, error));
    ARILI_DEFER(arili_database_closep) struct arili_database *db = arili_alloc(sizeof *db);
    ARILI_ENSURE(db != NULL, ARIL_E_NOMEM);
    ARILI_TRY(create ? make_file(path, error) : look_at_file(path, error));
    memcpy(db->path, path, len);
    const aril_status st = open_handle(db, create, busy_ms, error);
    if (st != ARIL_OK) {
        arili_database_close(ARILI_TAKE(db));
        if (create) {
            arili_database_remove(path);
        }
        return st;
    }
    *ret = ARILI_TAKE(db);
    return ARIL_OK;
}

/* --- Reading ------------------------------------------------------------------------------- */

static aril_status read_head(struct arili_database *db, const struct arili_database_reader *reader,
                             aril_error *error)
{
    sqlite3_stmt *s = NULL;
    ARILI_TRY(prepared(db, READ_HEAD, &s, error));
    aril_bytes body;
    aril_bytes mac;
    int code = sqlite3_step(s);
    aril_status st = ARIL_OK;
    if (code == SQLITE_DONE) {
        st =
            arili_error_set(error, ARIL_E_FORMAT_TRUNCATED,
                            "%s has no head; restore it from a backup (docs/keyring.md)", db->path);
    } else if (code != SQLITE_ROW) {
        st = failed(db, code, error);
    } else if (!column(s, 0, &body) || !column(s, 1, &mac) || sqlite3_column_int64(s, 2) != 1) {
        st = not_ours(db, error);
    } else {
        st = reader->head(reader->user, body, mac);
        code = st == ARIL_OK ? sqlite3_step(s) : SQLITE_DONE;
    }
    if (st == ARIL_OK && code != SQLITE_DONE) { /* a second head: which one counts? */
        st = code == SQLITE_ROW ? not_ours(db, error) : failed(db, code, error);
    }
    (void)sqlite3_reset(s);
    return st;
}

static aril_status read_row(const struct arili_database_reader *reader, struct arili_database *db,
                            sqlite3_stmt *s, aril_error *error)
{
    aril_bytes id;
    aril_bytes body;
    aril_bytes mac;
    const sqlite3_int64 kind = sqlite3_column_int64(s, 0);
    if (sqlite3_column_type(s, 0) != SQLITE_INTEGER || kind < 0 || kind > UINT8_MAX ||
        !column(s, 1, &id) || !column(s, 2, &body) || !column(s, 3, &mac)) {
        return not_ours(db, error);
    }
    return reader->row(reader->user, (uint8_t)kind, id, body, mac);
}

static aril_status read_rows(struct arili_database *db, const struct arili_database_reader *reader,
                             aril_error *error)
{
    sqlite3_stmt *s = NULL;
    ARILI_TRY(prepared(db, READ_ROWS, &s, error));
    aril_status st = ARIL_OK;
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW && st == ARIL_OK) {
        st = read_row(reader, db, s, error);
    }
    if (st == ARIL_OK && code != SQLITE_DONE) {
        st = failed(db, code, error);
    }
    (void)sqlite3_reset(s);
    return st;
}

aril_status arili_database_read(struct arili_database *db,
                                const struct arili_database_reader *reader, aril_error *error)
{
    const bool own = !db->in_transaction;
    if (own) {
        ARILI_TRY(run_plain(db, BEGIN_READ, error));
    }
    aril_status st = read_head(db, reader, error);
    if (st == ARIL_OK) {
        st = read_rows(db, reader, error);
    }
    if (own) {
        /* Ends a transaction that wrote nothing: cannot fail in a way that matters. */
        (void)run_plain(db, COMMIT, NULL);
    }
    return st;
}

aril_status arili_database_version(struct arili_database *db, uint32_t *ret, aril_error *error)
{
    sqlite3_stmt *s = NULL;
    ARILI_TRY(prepared(db, READ_VERSION, &s, error));
    const int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        *ret = (uint32_t)sqlite3_column_int64(s, 0);
    }
    (void)sqlite3_reset(s);
    return code == SQLITE_ROW ? ARIL_OK : failed(db, code, error);
}

/* --- Writing ------------------------------------------------------------------------------- */

aril_status arili_database_begin(struct arili_database *db, aril_error *error)
{
    ARILI_TRY(run_plain(db, BEGIN_WRITE, error));
    db->in_transaction = true;
    return ARIL_OK;
}

aril_status arili_database_put(struct arili_database *db, uint8_t kind, aril_bytes id,
                               aril_bytes body, aril_bytes mac, aril_error *error)
{
    sqlite3_stmt *s = NULL;
    ARILI_TRY(prepared(db, PUT_ROW, &s, error));
    const int code =
        sqlite3_bind_int(s, 1, kind) | bind(s, 2, id) | bind(s, 3, body) | bind(s, 4, mac);
    return code == SQLITE_OK ? run(db, s, error) : failed(db, code, error);
}

aril_status arili_database_erase(struct arili_database *db, uint8_t kind, aril_bytes id,
                                 aril_error *error)
{
    sqlite3_stmt *s = NULL;
    ARILI_TRY(prepared(db, ERASE_ROW, &s, error));
    const int code = sqlite3_bind_int(s, 1, kind) | bind(s, 2, id);
    return code == SQLITE_OK ? run(db, s, error) : failed(db, code, error);
}

aril_status arili_database_put_head(struct arili_database *db, aril_bytes body, aril_bytes mac,
                                    aril_error *error)
{
    sqlite3_stmt *s = NULL;
    ARILI_TRY(prepared(db, PUT_HEAD, &s, error));
    const int code = bind(s, 1, body) | bind(s, 2, mac);
    return code == SQLITE_OK ? run(db, s, error) : failed(db, code, error);
}

aril_status arili_database_commit(struct arili_database *db, aril_error *error)
{
    const aril_status st = run_plain(db, COMMIT, error);
    if (st != ARIL_OK) {
        arili_database_rollback(db);
        return st;
    }
    db->in_transaction = false;
    return ARIL_OK;
}

void arili_database_rollback(struct arili_database *db)
{
    /* Some failures have rolled back already; the answer to a second one does not matter. */
    (void)run_plain(db, ROLLBACK, NULL);
    db->in_transaction = false;
}

/* --- Copies -------------------------------------------------------------------------------- */

aril_status arili_database_copy(struct arili_database *db, const char *path, aril_error *error)
{
    ARILI_DEFER(arili_database_closep) struct arili_database *copy = NULL;
    ARILI_TRY(arili_database_open(path, true, 0, &copy, error));
    sqlite3_backup *b = sqlite3_backup_init(copy->handle, "main", db->handle, "main");
    int code = b != NULL ? sqlite3_backup_step(b, -1) : sqlite3_errcode(copy->handle);
    if (b != NULL) {
        (void)sqlite3_backup_finish(b);
    }
    if (code != SQLITE_DONE) {
        const aril_status st = failed(copy, code, error);
        arili_database_close(ARILI_TAKE(copy));
        arili_database_remove(path);
        return st;
    }
    return ARIL_OK;
}
