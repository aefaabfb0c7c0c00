/* SPDX-License-Identifier: Apache-2.0 */
/* What the contract does not ask of the SQLite store: files of others, damage, bounds, deadlines,
 * processes. */
#include "check.h"
#include "child.h"
#include "fixture.h"
#include "runtime.h"
#include "temp_folder.h"
#include <aril/store.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[512];
static char uri[600];

static int clear(void **state)
{
    static const char *const names[] = { "s.db", "s.db-wal", "s.db-shm", "s.db-journal" };
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        temp_clear(temp_path(names[i]));
    }
    (void)snprintf(path, sizeof path, "%s", temp_path("s.db"));
    (void)snprintf(uri, sizeof uri, "sqlite:%s", path);
    return 0;
}

static aril_status try_open(aril_runtime *in, const char *name, uint64_t bytes_max,
                            uint32_t deadline_ms, aril_store **ret, aril_error *error)
{
    const aril_store_config config = { .uri = name,
                                       .bytes_max = bytes_max,
                                       .deadline_ms = deadline_ms };
    return aril_store_open(in, &config, ret, error);
}

static aril_store *open_it(uint64_t bytes_max)
{
    aril_store *s = NULL;
    aril_error error = { .status = ARIL_OK };
    const aril_status st = try_open(rt, uri, bytes_max, 120000, &s, &error);
    if (st != ARIL_OK) {
        print_message("%s\n", error.message);
    }
    assert_status(st, ARIL_OK);
    return s;
}

static aril_status put(aril_store *s, aril_bytes name, aril_bytes value)
{
    aril_store_item item = { .name = name, .parts = &value, .part_count = 1 };
    const aril_status st = aril_store_put(s, &item, 1, NULL);
    return st == ARIL_OK ? item.status : st;
}

static aril_status get(aril_store *s, aril_bytes name, uint8_t *buffer, size_t cap)
{
    aril_store_item item = { .name = name, .buffer = { buffer, cap } };
    const aril_status st = aril_store_get(s, &item, 1, NULL);
    return st == ARIL_OK ? item.status : st;
}

static aril_status exists(aril_store *s, aril_bytes name)
{
    aril_store_item item = { .name = name };
    const aril_status st = aril_store_exists(s, &item, 1, NULL);
    return st == ARIL_OK ? item.status : st;
}

static aril_store_info info_of(aril_store *s)
{
    aril_store_info info;
    assert_status(aril_store_get_info(s, &info, NULL), ARIL_OK);
    return info;
}

/* Statements of somebody else on the file. */
static void execute(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *message = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        fail_msg("%s: %s", sql, message);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void assert_refused(aril_status want)
{
    aril_store *s = NULL;
    aril_error error = { .status = ARIL_OK };
    assert_status(try_open(rt, uri, 0, 120000, &s, &error), want);
    assert_null(s);
    assert_status(error.status, want);
    assert_non_null(strstr(error.message, "s.db"));
}

/* --- The file ------------------------------------------------------------------------------ */

static void a_new_file_is_ours_alone(void **state)
{
    struct stat st;
    (void)state;
    aril_store *const s = open_it(0);
    assert_status(put(s, TEXT("n"), TEXT("v")), ARIL_OK);
    static const char *const names[] = { "s.db", "s.db-wal" };
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(stat(temp_path(names[i]), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
    assert_string_equal(info_of(s).kind, "sqlite");
    aril_store_close(s);
    /* The last one to close tidies up. */
    assert_int_not_equal(stat(temp_path("s.db-wal"), &st), 0);
}

static void assert_left_alone(aril_status want)
{
    static uint8_t before[200000];
    static uint8_t after[200000];
    const size_t len = file_read(path, before, sizeof before);
    assert_refused(want);
    assert_int_equal(file_read(path, after, sizeof after), len);
    assert_memory_equal(before, after, len);
}

static void files_of_others_are_left_alone(void **state)
{
    (void)state;
    uint8_t text[5000];
    memset(text, 'x', sizeof text);
    (void)temp_write("s.db", 0600, (aril_bytes){ text, sizeof text });
    assert_left_alone(ARIL_E_FORMAT_KIND);
    (void)clear(NULL);
    execute("CREATE TABLE other(a)");
    assert_left_alone(ARIL_E_FORMAT_KIND);
    (void)clear(NULL);
    execute("PRAGMA application_id=1634888044; CREATE TABLE aril_head(one)"); /* a keyring's */
    assert_left_alone(ARIL_E_FORMAT_KIND);
    (void)clear(NULL);
    execute("PRAGMA user_version=1");
    assert_left_alone(ARIL_E_FORMAT_KIND);
}

static void another_schema_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        aril_status status;
    } changes[] = {
        { "CREATE TABLE more(a)", ARIL_E_FORMAT },
        { "CREATE TRIGGER t AFTER INSERT ON aril_values BEGIN DELETE FROM aril_values; END",
          ARIL_E_FORMAT },
        { "CREATE VIEW v AS SELECT 1", ARIL_E_FORMAT },
        { "DROP TABLE aril_locks", ARIL_E_FORMAT },
        { "DROP INDEX aril_expiry; CREATE INDEX aril_expiry ON aril_values(expires_ms)",
          ARIL_E_FORMAT },
        { "ALTER TABLE aril_values ADD COLUMN extra", ARIL_E_FORMAT },
        { "PRAGMA user_version=2", ARIL_E_FORMAT_VERSION },
        { "PRAGMA application_id=7", ARIL_E_FORMAT_KIND },
    };
    for (size_t i = 0; i < COUNT(changes); i++) {
        (void)clear(NULL);
        aril_store_close(open_it(0));
        execute(changes[i].sql);
        assert_refused(changes[i].status);
    }
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    aril_store_close(open_it(0));
    assert_int_equal(rename(path, temp_path("real.db")), 0);
    assert_int_equal(symlink(temp_path("real.db"), path), 0);
    assert_refused(ARIL_E_IO);
    temp_clear(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(ARIL_E_IO);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(ARIL_E_IO);
    temp_clear(temp_path("real.db"));
    aril_store *s = NULL;
    aril_error error;
    char name[700];
    (void)snprintf(name, sizeof name, "sqlite:%s/none/s.db", temp_path("."));
    assert_status(try_open(rt, name, 0, 0, &s, &error), ARIL_E_NOT_FOUND);
    assert_status(try_open(rt, "sqlite:", 0, 0, &s, &error), ARIL_E_USAGE_RANGE);
}

/* What SQLite takes for something else is a name here. */
static void special_names_are_file_names(void **state)
{
    static const char *const names[] = { ":memory:", "file:x?mode=memory", "a b" };
    char before[512];
    char name[64];
    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(temp_path(".")), 0);
    for (size_t i = 0; i < COUNT(names); i++) {
        aril_store *s = NULL;
        (void)snprintf(name, sizeof name, "sqlite:%s", names[i]);
        assert_status(try_open(rt, name, 0, 0, &s, NULL), ARIL_OK);
        aril_store_close(s);
        assert_int_equal(access(names[i], F_OK), 0);
        assert_int_equal(unlink(names[i]), 0);
    }
    assert_int_equal(chdir(before), 0);
}

/* A journal that tells SQLite to delete a file. */
static void a_journal_that_names_a_file_is_refused(void **state)
{
    (void)state;
    static const uint8_t journal[] = "....name of a file....\0\0\0\x04\0\0\0\x04"
                                     "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
    aril_store_close(open_it(0));
    (void)temp_write("s.db-journal", 0600, (aril_bytes){ journal, sizeof journal - 1 });
    assert_refused(ARIL_E_FORMAT);
    temp_clear(temp_path("s.db-journal"));
    aril_store_close(open_it(0));
}

/* --- Damage -------------------------------------------------------------------------------- */

/* Whatever a row holds, a get gives bytes or says that it can not. */
static void rows_that_are_not_ours_are_no_values(void **state)
{
    uint8_t buffer[100];
    (void)state;
    aril_store_close(open_it(0));
    execute("INSERT INTO aril_values(name, expires_ms, value) VALUES(x'61', 0, 'text')");
    execute("INSERT INTO aril_values(name, expires_ms, value) VALUES(x'62', 0, 12)");
    execute("INSERT INTO aril_values(name, expires_ms, value) VALUES('c', 0, x'01')");
    execute("INSERT INTO aril_values(name, expires_ms, value) VALUES(x'64', 'soon', x'01')");
    execute("INSERT INTO aril_values(name, expires_ms, value) VALUES(x'', 0, x'01')");
    execute("INSERT INTO aril_values(name, expires_ms, value) VALUES(zeroblob(3000), 0, x'01')");
    aril_store *const s = open_it(0);
    assert_status(get(s, TEXT("a"), buffer, sizeof buffer), ARIL_E_FORMAT);
    assert_status(get(s, TEXT("b"), buffer, sizeof buffer), ARIL_E_FORMAT);
    assert_status(get(s, TEXT("c"), buffer, sizeof buffer), ARIL_E_NOT_FOUND);
    assert_status(get(s, TEXT("d"), buffer, sizeof buffer), ARIL_OK);
    assert_status(put(s, TEXT("a"), TEXT("ours")), ARIL_OK);
    assert_status(get(s, TEXT("a"), buffer, sizeof buffer), ARIL_OK);
    aril_store_close(s);
    static const char *const totals[] = { "bytes = -1", "entries = -5", "fence = -1",
                                          "fence = 9223372036854775807" };
    for (size_t i = 0; i < COUNT(totals); i++) {
        char sql[100];
        (void)snprintf(sql, sizeof sql, "UPDATE aril_totals SET %s", totals[i]);
        execute("UPDATE aril_totals SET bytes = 1, entries = 1, fence = 1");
        execute(sql);
        aril_store *const t = open_it(0);
        assert_status(put(t, TEXT("x"), TEXT("v")), ARIL_E_FORMAT);
        assert_status(get(t, TEXT("a"), buffer, sizeof buffer), ARIL_OK);
        aril_store_close(t);
    }
    execute("DELETE FROM aril_totals");
    aril_store *const t = open_it(0);
    assert_status(put(t, TEXT("x"), TEXT("v")), ARIL_E_FORMAT);
    aril_store_close(t);
    /* Totals that lie make no bound wrap, and no put hang. */
    execute("INSERT INTO aril_totals VALUES(1, 0, 9223372036854775807, 0)");
    aril_store *const u = open_it(1000);
    assert_status(put(u, TEXT("x"), TEXT("v")), ARIL_OK);
    aril_store_close(u);
}

static int stay(void *user, aril_bytes name)
{
    (void)user, (void)name;
    return 0;
}

/* Calls on a file that anything may be in: each ends, with bytes or with a status. */
static void use_damaged(void)
{
    static uint8_t buffer[40000];
    aril_store *s = NULL;
    if (try_open(rt, uri, 0, 120000, &s, NULL) != ARIL_OK) {
        return;
    }
    (void)get(s, TEXT("short"), buffer, sizeof buffer);
    (void)get(s, TEXT("long"), buffer, sizeof buffer);
    (void)put(s, TEXT("long"), TEXT("new"));
    const aril_status st = aril_store_scan(s, TEXT(""), stay, NULL, NULL);
    assert_true(st == ARIL_OK || aril_status_class(st) == ARIL_E_FORMAT ||
                aril_status_class(st) == ARIL_E_IO);
    aril_store_close(s);
}

static void damaged_files_end_no_process(void **state)
{
    static uint8_t bytes[300000];
    static uint8_t changed[300000];
    (void)state;
    aril_store *const s = open_it(0);
    fill_pattern(changed, 30000, 7);
    assert_status(put(s, TEXT("short"), TEXT("value")), ARIL_OK);
    assert_status(put(s, TEXT("long"), (aril_bytes){ changed, 30000 }), ARIL_OK);
    aril_store_close(s);
    const size_t len = file_read(path, bytes, sizeof bytes);
    assert_true(len > 8192 && len < sizeof bytes);
    /* Every byte of the heads of pages, and some of the rest. */
    for (size_t i = 0; i < len; i += i % 8192 < 100 ? 1 : 61) {
        memcpy(changed, bytes, len);
        changed[i] ^= (uint8_t)(i % 2 == 0 ? 0xff : 1u << i % 8);
        (void)clear(NULL);
        (void)temp_write("s.db", 0600, (aril_bytes){ changed, len });
        use_damaged();
    }
    for (size_t cut = 1; cut < len; cut += cut < 200 ? 1 : 509) {
        (void)clear(NULL);
        (void)temp_write("s.db", 0600, (aril_bytes){ bytes, cut });
        use_damaged();
    }
}

/* --- Bounds -------------------------------------------------------------------------------- */

static void the_oldest_values_are_evicted(void **state)
{
    static uint8_t bytes[1000];
    (void)state;
    aril_store *const s = open_it(10000);
    for (unsigned i = 0; i < 30; i++) {
        const uint8_t name[2] = { 'n', (uint8_t)i };
        assert_status(put(s, (aril_bytes){ name, 2 }, (aril_bytes){ bytes, sizeof bytes }),
                      ARIL_OK);
        assert_true(info_of(s).bytes <= 10000);
    }
    for (unsigned i = 0; i < 30; i++) {
        const uint8_t name[2] = { 'n', (uint8_t)i };
        assert_status(exists(s, (aril_bytes){ name, 2 }), i < 21 ? ARIL_E_NOT_FOUND : ARIL_OK);
    }
    /* Put again is young again. */
    const uint8_t oldest[2] = { 'n', 21 };
    const uint8_t next[2] = { 'n', 22 };
    assert_status(put(s, (aril_bytes){ oldest, 2 }, (aril_bytes){ bytes, sizeof bytes }), ARIL_OK);
    assert_status(put(s, TEXT("xx"), (aril_bytes){ bytes, sizeof bytes }), ARIL_OK);
    assert_status(exists(s, (aril_bytes){ oldest, 2 }), ARIL_OK);
    assert_status(exists(s, (aril_bytes){ next, 2 }), ARIL_E_NOT_FOUND);
    static uint8_t too_long[10000];
    assert_status(put(s, TEXT("xx"), (aril_bytes){ too_long, sizeof too_long }), ARIL_E_IO_FULL);
    assert_status(exists(s, TEXT("xx")), ARIL_OK);
    assert_int_equal(info_of(s).entries, 9);
    aril_store_close(s);
}

static void totals_follow_what_is_done(void **state)
{
    static uint8_t bytes[100000];
    (void)state;
    aril_store *const s = open_it(0);
    assert_status(put(s, TEXT("ab"), (aril_bytes){ bytes, 100000 }), ARIL_OK);
    assert_status(put(s, TEXT("cd"), (aril_bytes){ bytes, 10 }), ARIL_OK);
    assert_status(put(s, TEXT("ab"), (aril_bytes){ bytes, 50 }), ARIL_OK);
    assert_int_equal(info_of(s).entries, 2);
    assert_int_equal(info_of(s).bytes, 64);
    aril_store_item item = { .name = TEXT("ab") };
    assert_status(aril_store_delete(s, &item, 1, NULL), ARIL_OK);
    assert_int_equal(info_of(s).entries, 1);
    assert_int_equal(info_of(s).bytes, 12);
    aril_store_close(s);
    /* What is over goes with a later put. */
    execute("UPDATE aril_values SET expires_ms = 1");
    aril_store *const t = open_it(0);
    assert_status(exists(t, TEXT("cd")), ARIL_E_NOT_FOUND);
    assert_int_equal(info_of(t).entries, 1);
    assert_status(put(t, TEXT("ef"), TEXT("1")), ARIL_OK);
    assert_int_equal(info_of(t).entries, 1);
    assert_int_equal(info_of(t).bytes, 3);
    aril_store_close(t);
}

/* Also while more are over than one put removes. */
static void what_is_over_is_absent_however_much_there_is_of_it(void **state)
{
    (void)state;
    aril_store *s = open_it(0);
    for (unsigned i = 0; i < 60; i++) {
        const uint8_t name[2] = { 'n', (uint8_t)i };
        assert_status(put(s, (aril_bytes){ name, 2 }, TEXT("old")), ARIL_OK);
    }
    aril_store_close(s);
    execute("UPDATE aril_values SET expires_ms = 1");
    s = open_it(0);
    for (unsigned i = 60; i-- > 57;) {
        const uint8_t name[2] = { 'n', (uint8_t)i };
        const aril_bytes value = TEXT("new");
        aril_store_item item = {
            .name = { name, 2 }, .parts = &value, .part_count = 1, .absent_only = 1
        };
        assert_status(exists(s, item.name), ARIL_E_NOT_FOUND);
        assert_status(aril_store_put(s, &item, 1, NULL), ARIL_OK);
        assert_status(item.status, ARIL_OK);
        assert_status(aril_store_put(s, &item, 1, NULL), ARIL_OK);
        assert_status(item.status, ARIL_E_EXISTS);
    }
    aril_store_item item = { .name = { (const uint8_t *)"n\x37", 2 } };
    assert_status(aril_store_delete(s, &item, 1, NULL), ARIL_OK);
    assert_status(item.status, ARIL_E_NOT_FOUND);
    aril_store_close(s);
}

/* --- Others on the file ---------------------------------------------------------------------- */

static void a_writer_that_does_not_end_costs_no_more_than_the_deadline(void **state)
{
    uint8_t buffer[10];
    (void)state;
    aril_store *s = open_it(0);
    assert_status(put(s, TEXT("n"), TEXT("v")), ARIL_OK);
    aril_store_close(s);
    assert_status(try_open(rt, uri, 0, 50, &s, NULL), ARIL_OK);
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_status(put(s, TEXT("n"), TEXT("w")), ARIL_E_TIMEOUT);
    uint64_t fence = 0;
    assert_status(aril_store_lock(s, TEXT("l"), 1000, &fence, NULL), ARIL_E_TIMEOUT);
    /* Reading goes on beside it. */
    aril_store_close(s);
    s = open_it(0);
    assert_status(get(s, TEXT("n"), buffer, sizeof buffer), ARIL_OK);
    assert_int_equal(buffer[0], 'v');
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_status(put(s, TEXT("n"), TEXT("w")), ARIL_OK);
    aril_store_close(s);
}

#define NAMES 90

/* Puts each name that is absent; returns how many. */
static int put_absent(void)
{
    aril_runtime *own = NULL;
    aril_store *s = NULL;
    int won = 0;
    if (aril_runtime_new(NULL, &own) != ARIL_OK ||
        try_open(own, uri, 0, 120000, &s, NULL) != ARIL_OK) {
        return 120;
    }
    for (unsigned i = 0; i < NAMES; i++) {
        const uint8_t name[2] = { 'n', (uint8_t)i };
        const aril_bytes value = { name, sizeof name };
        aril_store_item item = {
            .name = { name, sizeof name }, .parts = &value, .part_count = 1, .absent_only = 1
        };
        const aril_status st = aril_store_put(s, &item, 1, NULL);
        if (st != ARIL_OK || (item.status != ARIL_OK && item.status != ARIL_E_EXISTS)) {
            return 121;
        }
        won += item.status == ARIL_OK;
    }
    aril_store_close(s);
    aril_runtime_free(own);
    return won;
}

/* They make the file at the same time, too. */
static void processes_share_the_file(void **state)
{
    pid_t pids[4];
    int won = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(pids); i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            _exit(put_absent());
        }
    }
    for (size_t i = 0; i < COUNT(pids); i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) <= NAMES);
        won += WEXITSTATUS(status);
    }
    assert_int_equal(won, NAMES);
    aril_store *const s = open_it(0);
    assert_int_equal(info_of(s).entries, NAMES);
    assert_int_equal(info_of(s).bytes, NAMES * 4);
    aril_store_close(s);
}

#define TEST(f) cmocka_unit_test_setup(f, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_ours_alone),
        TEST(files_of_others_are_left_alone),
        TEST(another_schema_is_refused),
        TEST(what_is_no_file_is_refused),
        TEST(special_names_are_file_names),
        TEST(a_journal_that_names_a_file_is_refused),
        TEST(rows_that_are_not_ours_are_no_values),
        TEST(damaged_files_end_no_process),
        TEST(the_oldest_values_are_evicted),
        TEST(totals_follow_what_is_done),
        TEST(what_is_over_is_absent_however_much_there_is_of_it),
        TEST(a_writer_that_does_not_end_costs_no_more_than_the_deadline),
        TEST(processes_share_the_file),
    };
    if (runtime_setup(NULL) != 0 || temp_folder_make_quick(NULL) != 0) {
        return 1;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)clear(NULL);
    failed += temp_folder_remove(NULL) != 0;
    runtime_teardown(NULL);
    return failed;
}
