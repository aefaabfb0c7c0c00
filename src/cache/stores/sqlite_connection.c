/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/sqlite_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define APPLICATION_ID      0x61726c63 /* "arlc" */
#define APPLICATION_ID_TEXT "1634888803"
#define USER_VERSION        1
#define USER_VERSION_TEXT   "1"
#define VALUES_TABLE                                                       \
    "CREATE TABLE aril_values(id INTEGER PRIMARY KEY, name BLOB NOT NULL " \
    "UNIQUE, expires_ms INTEGER NOT NULL, value BLOB NOT NULL)"
#define EXPIRY_INDEX "CREATE INDEX aril_expiry ON aril_values(expires_ms) WHERE expires_ms > 0"
#define LOCKS_TABLE                                                                    \
    "CREATE TABLE aril_locks(name BLOB PRIMARY KEY, fence INTEGER NOT NULL, until_ms " \
    "INTEGER NOT NULL) WITHOUT ROWID"
#define TOTALS_TABLE                                                                    \
    "CREATE TABLE aril_totals(one INTEGER PRIMARY KEY CHECK(one=1), fence INTEGER NOT " \
    "NULL, bytes INTEGER NOT NULL, entries INTEGER NOT NULL)"

uint64_t arili_lite_now_ns(void)
{
    struct timespec t = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * ARILI_NS_PER_S + (uint64_t)t.tv_nsec;
}

int64_t arili_lite_now_ms(void)
{
    struct timespec t = { 0 };
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec > 0 && t.tv_sec < INT32_MAX * INT64_C(1000)
               ? (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000
               : 0;
}

/* --- Failures ------------------------------------------------------------------------------ */

static aril_status timed_out(const struct arili_lite_connection *c, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_TIMEOUT),
                           "%s: not done within the deadline; find out who else writes to it, or "
                           "allow more time",
                           c->path);
}

aril_status arili_lite_in_time(struct arili_lite_connection *c, aril_error *error)
{
    return arili_lite_now_ns() < c->deadline_ns ? ARIL_OK : timed_out(c, error);
}

aril_status arili_lite_damaged(struct arili_lite_connection *c, aril_error *error)
{
    c->broken = true;
    return arili_error_set(error, arili_fail(ARIL_E_FORMAT),
                           "%s is damaged, or somebody else changed it; remove it, it is only a "
                           "cache",
                           c->path);
}

static aril_status no_cache(struct arili_lite_connection *c, aril_status st, aril_error *error)
{
    c->broken = true;
    return arili_error_set(error, arili_fail(st),
                           "%s is no cache of aril and was left alone; name another file", c->path);
}

static aril_status full(struct arili_lite_connection *c, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_IO_FULL),
                           "%s: the disk is full; make room, or give the store bytes_max", c->path);
}

static aril_status read_only(const char *path, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_IO_READ_ONLY),
                           "%s: it or its folder can not be written; run as its owner, or make the "
                           "file system writable",
                           path);
}

static aril_status io_failed(struct arili_lite_connection *c, int code, aril_error *error)
{
    const int reason = c->handle != NULL ? sqlite3_system_errno(c->handle) : 0;
    c->broken = true;
    if (reason == EROFS || reason == EACCES || reason == EPERM) {
        return read_only(c->path, error);
    }
    if (reason == ENOSPC || reason == EDQUOT) {
        return full(c, error);
    }
    return arili_error_set(error, arili_fail(ARIL_E_IO), "%s: %s (%s); check the disk, then retry",
                           c->path, sqlite3_errstr(code),
                           reason != 0 ? strerror(reason) : "no reason given");
}

aril_status arili_lite_failed(struct arili_lite_connection *c, int code, aril_error *error)
{
    switch (code == SQLITE_IOERR_NOMEM ? SQLITE_NOMEM : code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT:
        return timed_out(c, error);
    case SQLITE_FULL:
        return full(c, error);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        c->broken = true;
        return read_only(c->path, error);
    case SQLITE_NOTADB:
        return no_cache(c, ARIL_E_FORMAT_KIND, error);
    case SQLITE_ERROR: /* our statements are right, so the schema is not */
    case SQLITE_SCHEMA:
    case SQLITE_CORRUPT:
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
        return arili_lite_damaged(c, error);
    case SQLITE_NOMEM:
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "%s: out of memory; give the process more", c->path);
    default:
        return io_failed(c, code, error);
    }
}

/* --- The file ------------------------------------------------------------------------------ */

static aril_status cannot_open(const char *path, int reason, aril_error *error)
{
    const aril_status st = reason == ENOENT || reason == ENOTDIR  ? ARIL_E_NOT_FOUND
                           : reason == ENOSPC || reason == EDQUOT ? ARIL_E_IO_FULL
                           : reason == EROFS || reason == EACCES  ? ARIL_E_IO_READ_ONLY
                                                                  : ARIL_E_IO;
    return arili_error_set(error, arili_fail(st),
                           "%s can not be opened or made: %s; check the path "
                           "and its folder",
                           path, strerror(reason));
}

/* Before SQLite opens it, which would follow a link and wait on a pipe. */
static aril_status prepare_file(const char *path, aril_error *error)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
        return close(fd) == 0 ? ARIL_OK : cannot_open(path, errno, error);
    }
    if (errno != EEXIST) {
        return cannot_open(path, errno, error);
    }
    struct stat st;
    if (lstat(path, &st) != 0) {
        return cannot_open(path, errno, error);
    }
    if (!S_ISREG(st.st_mode)) {
        return arili_error_set(error, arili_fail(ARIL_E_IO),
                               "%s is no regular file; name the file itself, not a link to it",
                               path);
    }
    return ARIL_OK;
}

/* A journal that ends in a file name lets SQLite delete that file; ours never do. */
static aril_status check_journal(const char *path, aril_error *error)
{
    static const uint8_t mark[8] = { 0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7 };
    char journal[ARILI_FILE_PATH_BYTES + 16];
    uint8_t end[sizeof mark];
    struct stat st;
    (void)snprintf(journal, sizeof journal, "%s-journal", path);
    const int fd = open(journal, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return ARIL_OK;
    }
    const off_t mark_bytes = sizeof mark;
    const bool foreign = fstat(fd, &st) == 0 && st.st_size >= mark_bytes &&
                         pread(fd, end, sizeof end, st.st_size - mark_bytes) == mark_bytes &&
                         memcmp(end, mark, sizeof end) == 0;
    (void)close(fd);
    if (foreign) {
        return arili_error_set(error, arili_fail(ARIL_E_FORMAT),
                               "%s was not written by aril; remove it and the cache beside it",
                               journal);
    }
    return ARIL_OK;
}

/* --- A handle ------------------------------------------------------------------------------ */

/* Another process or thread writes: wait, as long as the call may. */
static int wait_for_others(void *arg, int tries)
{
    const struct arili_lite_connection *const c = arg;
    const long pause_ns = tries < 10 ? 100000L * (tries + 1) : 2000000L;
    const struct timespec pause = { .tv_nsec = pause_ns };
    if (arili_lite_now_ns() >= c->deadline_ns) {
        return 0;
    }
    (void)nanosleep(&pause, NULL);
    return 1;
}

static int stop_when_late(void *arg)
{
    const struct arili_lite_connection *const c = arg;
    return arili_lite_now_ns() >= c->deadline_ns;
}

static aril_status execute(struct arili_lite_connection *c, const char *text, aril_error *error)
{
    const int code = sqlite3_exec(c->handle, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? ARIL_OK : arili_lite_failed(c, code, error);
}

/* Nothing that a file says may run: no triggers, no views, no functions in the schema. */
static aril_status harden(struct arili_lite_connection *c, aril_error *error)
{
    static const struct {
        int option, value;
    } options[] = {
        { SQLITE_DBCONFIG_DEFENSIVE, 1 },      { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
        { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 }, { SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
        { SQLITE_DBCONFIG_ENABLE_FKEY, 0 },    { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const int code = sqlite3_db_config(c->handle, options[i].option, options[i].value, NULL);
        if (code != SQLITE_OK) {
            return arili_lite_failed(c, code, error);
        }
    }
    (void)sqlite3_limit(c->handle, SQLITE_LIMIT_LENGTH, (int)ARIL_STORE_VALUE_BYTES_MAX + 8192);
    (void)sqlite3_limit(c->handle, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_busy_handler(c->handle, wait_for_others, c);
    sqlite3_progress_handler(c->handle, 1000, stop_when_late, c);
    (void)sqlite3_extended_result_codes(c->handle, 1);
    return execute(c,
                   "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY; "
                   "PRAGMA secure_delete=OFF; PRAGMA page_size=8192",
                   error);
}

/* The first column of the first row: a number, or whether it is `text`. */
static aril_status ask(struct arili_lite_connection *c, const char *query, const char *text,
                       int *ret, aril_error *error)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(c->handle, query, -1, &s, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(s);
    }
    if (code == SQLITE_ROW && text != NULL) {
        const unsigned char *const told = sqlite3_column_text(s, 0);
        *ret = told != NULL && strcmp((const char *)told, text) == 0;
    } else if (code == SQLITE_ROW) {
        *ret = sqlite3_column_int(s, 0);
    }
    (void)sqlite3_finalize(s);
    return code == SQLITE_ROW ? ARIL_OK : arili_lite_failed(c, code, error);
}

/* Readers and the writer do not wait for one another. Where the file system has no shared memory
 * the journal stays as it is, and then only the slower setting is safe. */
static aril_status set_journal(const struct arili_lite_state *s, struct arili_lite_connection *c,
                               aril_error *error)
{
    int is_wal = 0;
    aril_status st = ask(c, "PRAGMA journal_mode=WAL", "wal", &is_wal, error);
    /* Two that do this at the same time do not wait for one another. */
    while (st == ARIL_E_TIMEOUT && wait_for_others(c, 10) != 0) {
        st = ask(c, "PRAGMA journal_mode=WAL", "wal", &is_wal, error);
    }
    ARILI_TRY(st);
    return execute(c,
                   is_wal != 0 && !s->durable
                       ? "PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=67108864"
                       : "PRAGMA synchronous=FULL; PRAGMA journal_size_limit=67108864",
                   error);
}

struct identity {
    int id, version, tables;
};

static aril_status read_identity(struct arili_lite_connection *c, struct identity *ret,
                                 aril_error *error)
{
    ARILI_TRY(ask(c, "PRAGMA application_id", NULL, &ret->id, error));
    ARILI_TRY(ask(c, "PRAGMA user_version", NULL, &ret->version, error));
    return ask(c, "SELECT count(*) FROM sqlite_schema", NULL, &ret->tables, error);
}

static bool is_blank(const struct identity *i)
{
    return i->id == 0 && i->version == 0 && i->tables == 0;
}

/* Makes the schema unless another process was quicker. */
static aril_status make_schema(struct arili_lite_connection *c, aril_error *error)
{
    ARILI_TRY(execute(c, "BEGIN IMMEDIATE", error));
    struct identity now = { 0 };
    aril_status st = read_identity(c, &now, error);
    if (st == ARIL_OK && is_blank(&now)) {
        st = execute(c,
                     "PRAGMA application_id=" APPLICATION_ID_TEXT
                     "; PRAGMA user_version=" USER_VERSION_TEXT "; " VALUES_TABLE "; " EXPIRY_INDEX
                     "; " LOCKS_TABLE "; " TOTALS_TABLE
                     "; INSERT INTO aril_totals VALUES(1, 0, 0, 0)",
                     error);
    }
    return arili_lite_end(c, st, error);
}

/* Only our tables, word for word, and the index that SQLite makes for one of them. */
static aril_status check_schema(struct arili_lite_connection *c, aril_error *error)
{
    static const char query[] =
        "SELECT count(*) = 5 AND total(sql IN ('" VALUES_TABLE "', '" EXPIRY_INDEX
        "', '" LOCKS_TABLE "', '" TOTALS_TABLE
        "')) = 4 AND total(type = 'index' AND sql IS NULL) = 1 FROM sqlite_schema";
    struct identity i = { 0 };
    int ours = 0;
    ARILI_TRY(read_identity(c, &i, error));
    if (i.id != APPLICATION_ID) {
        return no_cache(c, ARIL_E_FORMAT_KIND, error);
    }
    if (i.version != USER_VERSION) {
        c->broken = true;
        return arili_error_set(error, arili_fail(ARIL_E_FORMAT_VERSION),
                               "%s has format version %d, this release knows %d; use the release "
                               "that wrote it, or remove it",
                               c->path, i.version, USER_VERSION);
    }
    ARILI_TRY(ask(c, query, NULL, &ours, error));
    return ours != 0 ? ARIL_OK : arili_lite_damaged(c, error);
}

static void connection_closep(struct arili_lite_connection **c)
{
    arili_lite_connection_close(*c);
}

void arili_lite_connection_close(struct arili_lite_connection *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < ARILI_LITE_STATEMENTS; i++) {
        (void)sqlite3_finalize(c->statements[i]);
    }
    (void)sqlite3_close(c->handle);
    arili_free(c, sizeof *c);
}

aril_status arili_lite_connection_open(const struct arili_lite_state *s, uint64_t deadline_ns,
                                       struct arili_lite_connection **ret, aril_error *error)
{
    ARILI_TRY(check_journal(s->path, error));
    ARILI_DEFER(connection_closep) struct arili_lite_connection *c = arili_alloc(sizeof *c);
    if (c == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "%s: no memory to open it; give the process more", s->path);
    }
    c->path = s->path;
    c->deadline_ns = deadline_ns;
    ARILI_TRY(prepare_file(s->path, error));
    /* Not SQLITE_OPEN_NOFOLLOW: it refuses links in the folders above, too. */
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    const int code = sqlite3_open_v2(s->path, &c->handle, flags, NULL);
    if (code != SQLITE_OK) {
        return arili_lite_failed(c, code, error);
    }
    ARILI_TRY(harden(c, error));
    /* Before anything is written: a file of somebody else stays as it is. */
    struct identity before = { 0 };
    ARILI_TRY(read_identity(c, &before, error));
    if (!is_blank(&before)) {
        ARILI_TRY(check_schema(c, error));
    }
    ARILI_TRY(set_journal(s, c, error));
    if (is_blank(&before)) {
        ARILI_TRY(make_schema(c, error));
        ARILI_TRY(check_schema(c, error));
    }
    *ret = ARILI_TAKE(c);
    return ARIL_OK;
}
