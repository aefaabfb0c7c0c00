/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation fails once in the calls of the stores that allocate; each call of the file system
 * fails, tears or ends the process once in those of the SQLite store. Demanded are the status of
 * the fault and a store that has the old value or the new one, whole, and goes on. */
#include "check.h"
#include "child.h"
#include "failing_vfs.h"
#include "fault_alloc.h"
#include "fixture.h"
#include "runtime.h"
#include "temp_folder.h"
#include <aril/store.h>
#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_MS 120000u
#define LONG_BYTES  150000u /* goes in pieces */
#define MET_MAX     20000u

static char sqlite_uri[600];
static uint8_t old_bytes[LONG_BYTES];
static uint8_t new_bytes[LONG_BYTES];

static aril_status open_it(aril_runtime *in, const char *uri, aril_store **ret, aril_error *error)
{
    /* breaker_after: what this file does to a store must not open it. */
    const aril_store_config config = {
        .uri = uri, .deadline_ms = DEADLINE_MS, .connections = 2, .breaker_after = UINT32_MAX
    };
    return aril_store_open(in, &config, ret, error);
}

static aril_status put(aril_store *s, const char *name, const uint8_t *bytes, size_t len)
{
    const aril_bytes parts[] = { { bytes, len / 2 }, { bytes + len / 2, len - len / 2 } };
    aril_store_item item = { .name = text_bytes(name), .parts = parts, .part_count = 2 };
    const aril_status st = aril_store_put(s, &item, 1, NULL);
    return st == ARIL_OK ? item.status : st;
}

/* 'o': the old value, 'n': the new one, '-': none, '?': something else. */
static char look(aril_store *s, const char *name, size_t len)
{
    static uint8_t buffer[LONG_BYTES + 1];
    aril_store_item item = { .name = text_bytes(name), .buffer = { buffer, sizeof buffer } };
    const aril_status st = aril_store_get(s, &item, 1, NULL);
    if (st != ARIL_OK || item.status == ARIL_E_NOT_FOUND) {
        return st != ARIL_OK ? '!' : '-';
    }
    if (item.status != ARIL_OK || item.len != len) {
        return '?';
    }
    return memcmp(buffer, old_bytes, len) == 0   ? 'o'
           : memcmp(buffer, new_bytes, len) == 0 ? 'n'
                                                 : '?';
}

static void clear_files(void)
{
    static const char *const names[] = { "f.db", "f.db-wal", "f.db-shm", "f.db-journal" };
    for (size_t i = 0; i < COUNT(names); i++) {
        temp_clear(temp_path(names[i]));
    }
}

/* --- What is done while something fails ---------------------------------------------------- */

static int stay(void *user, aril_bytes name)
{
    (void)name;
    (*(unsigned *)user)++;
    return 0;
}

static void hear(void *user, aril_bytes message)
{
    (void)user, (void)message;
}

static aril_status put_short(aril_store *s)
{
    return put(s, "short", new_bytes, 100);
}
static aril_status put_long(aril_store *s)
{
    return put(s, "long", new_bytes, LONG_BYTES);
}
static aril_status put_more(aril_store *s)
{
    char name[16];
    for (unsigned i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, "more%u", i);
        const aril_status st = put(s, name, new_bytes, 2000);
        if (st != ARIL_OK) {
            return st;
        }
    }
    return put_short(s);
}
static aril_status erase_both(aril_store *s)
{
    aril_store_item items[] = { { .name = TEXT("short") }, { .name = TEXT("long") } };
    return aril_store_delete(s, items, 2, NULL);
}
static aril_status lock_it(aril_store *s)
{
    /* Another one each time: what could not be given back stays held. */
    static unsigned number;
    char name[16];
    uint64_t fence = 0;
    (void)snprintf(name, sizeof name, "l%u", number++);
    const aril_status st = aril_store_lock(s, text_bytes(name), 600000, &fence, NULL);
    assert_int_equal(fence > 0, st == ARIL_OK);
    return st == ARIL_OK ? aril_store_unlock(s, text_bytes(name), fence, NULL) : st;
}
static aril_status read_both(aril_store *s)
{
    static uint8_t buffers[2][LONG_BYTES];
    aril_store_item items[] = {
        { .name = TEXT("short"), .buffer = { buffers[0], LONG_BYTES } },
        { .name = TEXT("long"), .buffer = { buffers[1], LONG_BYTES } },
    };
    const aril_status st = aril_store_get(s, items, 2, NULL);
    if (st != ARIL_OK) {
        return st;
    }
    assert_int_equal(items[0].len, 100);
    assert_int_equal(items[1].len, LONG_BYTES);
    return ARIL_OK;
}
static aril_status list_all(aril_store *s)
{
    unsigned n = 0;
    const aril_status st = aril_store_scan(s, TEXT(""), stay, &n, NULL);
    assert_true(st != ARIL_OK || n >= 2);
    return st;
}
static aril_status send(aril_store *s)
{
    return aril_store_publish(s, TEXT("c"), TEXT("message"), NULL);
}
static aril_status listen_and_send(aril_store *s)
{
    const aril_status st = aril_store_listen(s, TEXT("c"), hear, NULL, NULL);
    return st == ARIL_OK ? send(s) : st;
}

/* --- Memory runs out ----------------------------------------------------------------------- */

static void prepare(aril_store *s)
{
    assert_status(put(s, "short", old_bytes, 100), ARIL_OK);
    assert_status(put(s, "long", old_bytes, LONG_BYTES), ARIL_OK);
}

/* What the store has must fit what it said. */
static void assert_whole(aril_store *s, aril_status st, aril_status (*fn)(aril_store *))
{
    const char a = look(s, "short", 100);
    const char b = look(s, "long", LONG_BYTES);
    if (fn == put_short || fn == put_more) {
        assert_true(st == ARIL_OK ? a == 'n' : a == 'o' || a == 'n');
        assert_int_equal(b, 'o');
    } else if (fn == put_long) {
        assert_int_equal(a, 'o');
        assert_true(st == ARIL_OK ? b == 'n' : b == 'o' || b == 'n');
    } else if (fn == erase_both) {
        assert_true(st == ARIL_OK ? a == '-' : a == 'o' || a == '-');
        assert_true(b == (a == '-' ? '-' : 'o')); /* one transaction, or none that can fail */
    } else {
        assert_int_equal(a, 'o');
        assert_int_equal(b, 'o');
    }
}

static unsigned sweep_alloc(const char *uri, aril_status (*fn)(aril_store *))
{
    for (unsigned n = 1; n < MET_MAX; n++) {
        aril_store *s = NULL;
        assert_status(open_it(rt, uri, &s, NULL), ARIL_OK);
        prepare(s);
        fault_alloc_arm(n);
        const aril_status st = fn(s);
        fault_alloc_disarm();
        const bool fired = fault_alloc_fired();
        /* Tables that do not grow and messages that are lost are no failures. */
        assert_true(st == ARIL_OK || (fired && st == ARIL_E_NOMEM));
        assert_whole(s, st, fn);
        assert_status(put(s, "after", new_bytes, 10), ARIL_OK);
        aril_store_close(s);
        if (!fired) {
            return n;
        }
    }
    fail();
    return 0;
}

static void calls_survive_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(sweep_alloc("memory:", put_short) >= 3);
    assert_true(sweep_alloc("memory:", put_more) > 80);
    assert_true(sweep_alloc("memory:", erase_both) >= 1);
    assert_true(sweep_alloc("memory:", lock_it) >= 2);
    assert_true(sweep_alloc("memory:", list_all) >= 2);
    assert_true(sweep_alloc("memory:", listen_and_send) >= 3);
    clear_files();
    assert_true(sweep_alloc(sqlite_uri, put_long) >= 1);
    assert_true(sweep_alloc(sqlite_uri, list_all) >= 2);
}

static void opening_survives_every_failed_allocation(void **state)
{
    (void)state;
    const char *const uris[] = { "memory:", "memory:name", sqlite_uri };
    for (size_t i = 0; i < COUNT(uris); i++) {
        bool fired = true;
        for (unsigned n = 1; fired; n++) {
            clear_files();
            aril_store *s = NULL;
            aril_error error = { .status = ARIL_OK };
            fault_alloc_arm(n);
            const aril_status st = open_it(rt, uris[i], &s, &error);
            fault_alloc_disarm();
            fired = fault_alloc_fired();
            assert_status(st, fired ? ARIL_E_NOMEM : ARIL_OK);
            assert_int_equal(s != NULL, !fired);
            assert_true(!fired || strlen(error.message) > 10);
            aril_store_close(s);
            assert_true(fired || n >= 4);
        }
        aril_store *s = NULL;
        assert_status(open_it(rt, uris[i], &s, NULL), ARIL_OK);
        prepare(s);
        aril_store_close(s);
    }
}

/* A second connection of the pool is opened when the first is in use: by the listing, here. */
static int put_meanwhile(void *user, aril_bytes name)
{
    (void)name;
    aril_store *const s = *(aril_store **)user;
    fault_alloc_arm(1);
    const aril_status st = put_short(s);
    fault_alloc_disarm();
    assert_true(st == ARIL_OK || st == ARIL_E_NOMEM);
    return 1;
}

static void a_connection_that_is_not_had_is_not_missed_later(void **state)
{
    (void)state;
    aril_store *s = NULL;
    clear_files();
    assert_status(open_it(rt, sqlite_uri, &s, NULL), ARIL_OK);
    prepare(s);
    for (unsigned i = 0; i < 5; i++) {
        assert_status(aril_store_scan(s, TEXT(""), put_meanwhile, &s, NULL), ARIL_OK);
    }
    assert_status(put_short(s), ARIL_OK);
    aril_store_close(s);
}

/* --- The file system fails ----------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned calls;
    int code, reason;
} faults[] = {
    { "write", FAILING_WRITE, SQLITE_IOERR_WRITE, EIO },
    { "torn write", FAILING_TORN, SQLITE_IOERR_WRITE, EIO },
    { "disk full", FAILING_TORN, SQLITE_FULL, ENOSPC },
    { "sync", FAILING_SYNC, SQLITE_IOERR_FSYNC, EIO },
    { "truncate", FAILING_TRUNCATE, SQLITE_IOERR_TRUNCATE, EIO },
    { "open", FAILING_OPEN, SQLITE_CANTOPEN, EMFILE },
    { "delete", FAILING_DELETE, SQLITE_IOERR_DELETE, EIO },
    { "deleted", FAILING_DELETED, SQLITE_IOERR_DELETE, EIO },
    { "lock", FAILING_LOCK, SQLITE_IOERR_LOCK, EIO },
    { "read", FAILING_READ, SQLITE_IOERR_READ, EIO },
};

static void assert_fault_status(aril_status st)
{
    const aril_status of = aril_status_class(st);
    if (st != ARIL_OK && of != ARIL_E_IO && of != ARIL_E_TIMEOUT && of != ARIL_E_FORMAT) {
        fail_msg("a fault of the file system became %s", aril_status_name(st));
    }
}

/* One call with the nth fault. Whether the fault was met. */
static bool one_fault(size_t which, bool forever, unsigned nth, aril_status (*fn)(aril_store *))
{
    aril_store *s = NULL;
    assert_status(open_it(rt, sqlite_uri, &s, NULL), ARIL_OK);
    prepare(s);
    failing_vfs_arm(faults[which].calls, nth, faults[which].code, faults[which].reason, forever);
    const aril_status st = fn(s);
    failing_vfs_disarm();
    const bool fired = failing_vfs_fired();
    assert_fault_status(st);
    assert_true(st == ARIL_OK || fired);
    if (faults[which].code == SQLITE_FULL && st != ARIL_OK) {
        assert_status(st, ARIL_E_IO_FULL);
    }
    /* The same store goes on, and so does one that is opened after it. */
    assert_whole(s, st, fn);
    aril_store_close(s);
    assert_status(open_it(rt, sqlite_uri, &s, NULL), ARIL_OK);
    assert_whole(s, st, fn);
    assert_status(fn(s), ARIL_OK);
    assert_whole(s, ARIL_OK, fn);
    aril_store_close(s);
    return fired;
}

static void sweep_files(bool share)
{
    aril_status (*const fns[])(aril_store *) = { put_short, put_long,  erase_both,
                                                 lock_it,   read_both, list_all };
    unsigned met = 0;
    failing_vfs_install();
    failing_vfs_share(share);
    clear_files();
    for (size_t f = 0; f < COUNT(fns); f++) {
        for (size_t i = 0; i < COUNT(faults); i++) {
            for (unsigned forever = 0; forever < 2; forever++) {
                unsigned n = 1;
                while (one_fault(i, forever != 0, n, fns[f])) {
                    /* Everything at first, then some of the many writes of a long value. */
                    n += n < 12 ? 1 : 5;
                    met++;
                }
            }
        }
    }
    failing_vfs_remove();
    print_message("%u faults were met\n", met);
    assert_true(met > 60);
}

static void values_are_whole_after_every_fault_with_a_write_ahead_log(void **state)
{
    (void)state;
    sweep_files(true);
}

static void values_are_whole_after_every_fault_without_shared_memory(void **state)
{
    (void)state;
    sweep_files(false);
}

static void opening_survives_every_fault(void **state)
{
    (void)state;
    failing_vfs_install();
    failing_vfs_share(true);
    for (size_t i = 0; i < COUNT(faults); i++) {
        bool fired = true;
        for (unsigned n = 1; fired; n++) {
            aril_store *s = NULL;
            clear_files();
            failing_vfs_arm(faults[i].calls, n, faults[i].code, faults[i].reason, false);
            const aril_status st = open_it(rt, sqlite_uri, &s, NULL);
            failing_vfs_disarm();
            fired = failing_vfs_fired();
            assert_fault_status(st);
            assert_int_equal(s != NULL, st == ARIL_OK);
            assert_true(fired || st == ARIL_OK);
            aril_store_close(s);
            /* What it left is no obstacle. */
            assert_status(open_it(rt, sqlite_uri, &s, NULL), ARIL_OK);
            prepare(s);
            assert_whole(s, ARIL_OK, read_both);
            aril_store_close(s);
        }
    }
    failing_vfs_remove();
}

/* --- The process ends ---------------------------------------------------------------------- */

struct killed {
    unsigned calls, nth;
    aril_status (*fn)(aril_store *);
};

/* In a child, which makes a runtime of its own. 0: the kill was not reached. */
static int put_and_die(void *arg)
{
    const struct killed *const k = arg;
    aril_runtime *own = NULL;
    aril_store *s = NULL;
    if (aril_runtime_new(NULL, &own) != ARIL_OK || open_it(own, sqlite_uri, &s, NULL) != ARIL_OK) {
        return 2;
    }
    failing_vfs_arm_kill(k->calls, k->nth);
    const aril_status st = k->fn(s);
    failing_vfs_disarm();
    aril_store_close(s);
    aril_runtime_free(own);
    return st == ARIL_OK ? 0 : 3;
}

static void values_are_whole_when_a_process_is_killed(void **state)
{
    (void)state;
    static const unsigned calls[] = { FAILING_WRITE, FAILING_TORN, FAILING_SYNC, FAILING_DELETE,
                                      FAILING_TRUNCATE };
    aril_status (*const fns[])(aril_store *) = { put_short, put_long, erase_both };
    unsigned kills = 0;
    failing_vfs_install();
    for (unsigned share = 0; share < 2; share++) {
        failing_vfs_share(share != 0);
        for (size_t f = 0; f < COUNT(fns); f++) {
            for (size_t i = 0; i < COUNT(calls); i++) {
                int result = 128 + SIGKILL;
                for (unsigned n = 1; result == 128 + SIGKILL; n += n < 8 ? 1 : 7) {
                    struct killed k = { calls[i], n, fns[f] };
                    aril_store *s = NULL;
                    clear_files();
                    assert_status(open_it(rt, sqlite_uri, &s, NULL), ARIL_OK);
                    prepare(s);
                    aril_store_close(s);
                    result = child_run(put_and_die, &k);
                    if (result != 0 && result != 128 + SIGKILL) {
                        fail_msg("the child ended with %d", result);
                    }
                    assert_status(open_it(rt, sqlite_uri, &s, NULL), ARIL_OK);
                    assert_whole(s, result == 0 ? ARIL_OK : ARIL_E_IO, fns[f]);
                    assert_status(fns[f](s), ARIL_OK);
                    assert_whole(s, ARIL_OK, fns[f]);
                    aril_store_close(s);
                    kills += result != 0;
                }
            }
        }
    }
    failing_vfs_remove();
    print_message("%u times killed\n", kills);
    assert_true(kills > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_survives_every_failed_allocation),
        cmocka_unit_test(calls_survive_every_failed_allocation),
        cmocka_unit_test(a_connection_that_is_not_had_is_not_missed_later),
        cmocka_unit_test(values_are_whole_after_every_fault_with_a_write_ahead_log),
        cmocka_unit_test(values_are_whole_after_every_fault_without_shared_memory),
        cmocka_unit_test(opening_survives_every_fault),
        cmocka_unit_test(values_are_whole_when_a_process_is_killed),
    };
    if (runtime_setup(NULL) != 0 || temp_folder_make_quick(NULL) != 0) {
        return 1;
    }
    (void)snprintf(sqlite_uri, sizeof sqlite_uri, "sqlite:%s", temp_path("f.db"));
    fill_pattern(old_bytes, sizeof old_bytes, 1);
    fill_pattern(new_bytes, sizeof new_bytes, 2);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += temp_folder_remove(NULL) != 0;
    runtime_teardown(NULL);
    return failed;
}
