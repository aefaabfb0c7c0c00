/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "cache/stores/files_internal.h"
#include "child.h"
#include "files_store.h"
#include "fixture.h"
#include "temp_folder.h"
#include "valgrind.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The store file:FOLDER when its files are torn, changed or not ours, when processes are killed,
 * and when there is no room. */

static struct world w;
static struct raw_store s;
static char folder[256];

static int set_up(void **state)
{
    (void)state;
    world_init(&w);
    (void)snprintf(folder, sizeof folder, "%s", temp_path("cache"));
    return raw_open(&s, &arili_cache_store_files, w.rt, NULL, "file", folder) == ARIL_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    raw_close(&s);
    world_done(&w);
    return tree_remove(folder) ? 0 : -1;
}

static void reopen(void)
{
    raw_close(&s);
    assert_status(raw_open(&s, &arili_cache_store_files, w.rt, NULL, "file", folder), ARIL_OK);
}

/* Below the folder of the tests. */
static const char *file_of(const char *name)
{
    static char path[300];
    struct arili_files_place place;
    arili_files_place_of(text_bytes(name), &place);
    (void)snprintf(path, sizeof path, "cache/%s", place.path);
    return path;
}

static bool is_there(const char *name)
{
    return access(temp_path(file_of(name)), F_OK) == 0;
}

#define VALUE "a value of some bytes, more than thirty-two"

/* --- Torn and changed --- */

static void every_truncation_is_no_value(void **state)
{
    (void)state;
    uint8_t bytes[300] = { 0 };
    assert_status(raw_put(&s, TEXT("name"), TEXT(VALUE), 0), ARIL_OK);
    const size_t len = file_read(temp_path(file_of("name")), bytes, sizeof bytes - 1);
    assert_int_equal(len, ARILI_FILES_HEAD_BYTES + 4 + strlen(VALUE));
    for (size_t cut = 0; cut <= len + 1; cut++) {
        (void)temp_write(file_of("name"), 0600, (aril_bytes){ bytes, cut });
        if (cut == len) {
            assert_true(raw_has(&s, TEXT("name"), TEXT(VALUE)));
            continue;
        }
        assert_status(raw_get(&s, TEXT("name"), (aril_span){ NULL, 0 }, NULL), ARIL_E_NOT_FOUND);
        /* What does not say that it is ours stays. */
        assert_int_equal(is_there("name"), cut < 8);
    }
}

static void every_flipped_bit_of_the_head_is_no_value(void **state)
{
    (void)state;
    uint8_t bytes[300];
    assert_status(raw_put(&s, TEXT("name"), TEXT(VALUE), 0), ARIL_OK);
    const size_t len = file_read(temp_path(file_of("name")), bytes, sizeof bytes);
    for (size_t bit = 0; bit < 8 * (ARILI_FILES_HEAD_BYTES + 4); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)temp_write(file_of("name"), 0600, (aril_bytes){ bytes, len });
        assert_status(raw_exists(&s, TEXT("name")), ARIL_E_NOT_FOUND);
        assert_int_equal(is_there("name"), bit / 8 < 10); /* magic and version: not ours */
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* As after a crash of the host: the head says another boot. */
static size_t make_foreign_boot(uint8_t *bytes, size_t cap, uint16_t flags)
{
    struct arili_files_head head;
    aril_bytes name;
    const size_t len = file_read(temp_path(file_of("name")), bytes, cap);
    assert_status(arili_files_head_parse((aril_bytes){ bytes, len }, &head, &name), ARIL_OK);
    memset(head.boot, 7, sizeof head.boot);
    head.flags = (uint16_t)(head.flags | flags);
    uint8_t fresh[ARILI_FILES_HEAD_BYTES];
    arili_files_head_write(&head, name, fresh);
    memcpy(bytes, fresh, sizeof fresh);
    return len;
}

static void every_flipped_byte_of_another_boot_is_no_value(void **state)
{
    (void)state;
    uint8_t bytes[300];
    uint8_t out[100];
    assert_status(raw_put(&s, TEXT("name"), TEXT(VALUE), 0), ARIL_OK);
    const size_t len = make_foreign_boot(bytes, sizeof bytes, 0);
    for (size_t i = ARILI_FILES_HEAD_BYTES + 4; i < len; i++) {
        bytes[i] ^= 0x10;
        memset(out, 0, sizeof out);
        (void)temp_write(file_of("name"), 0600, (aril_bytes){ bytes, len });
        assert_status(raw_get(&s, TEXT("name"), (aril_span){ out, sizeof out }, NULL),
                      ARIL_E_NOT_FOUND);
        assert_true(is_filled(out, sizeof out, 0));
        assert_false(is_there("name"));
        bytes[i] ^= 0x10;
    }
    (void)temp_write(file_of("name"), 0600, (aril_bytes){ bytes, len });
    assert_true(raw_has(&s, TEXT("name"), TEXT(VALUE)));
}

/* A head can not lie about lengths either, when whoever wrote it knows the sum. */
static void a_head_that_lies_is_no_value(void **state)
{
    (void)state;
    uint8_t bytes[300];
    assert_status(raw_put(&s, TEXT("name"), TEXT(VALUE), 0), ARIL_OK);
    const size_t len = file_read(temp_path(file_of("name")), bytes, sizeof bytes);
    struct arili_files_head head;
    aril_bytes name;
    assert_status(arili_files_head_parse((aril_bytes){ bytes, len }, &head, &name), ARIL_OK);
    const uint64_t lengths[] = { 0,
                                 head.value_len - 1,
                                 head.value_len + 1,
                                 ARIL_STORE_VALUE_BYTES_MAX,
                                 ARIL_STORE_VALUE_BYTES_MAX + 1,
                                 UINT64_MAX,
                                 UINT64_MAX - 67 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        head.value_len = lengths[i];
        arili_files_head_write(&head, name, bytes);
        (void)temp_write(file_of("name"), 0600, (aril_bytes){ bytes, len });
        assert_status(raw_get(&s, TEXT("name"), (aril_span){ NULL, 0 }, NULL), ARIL_E_NOT_FOUND);
    }
    head.value_len = strlen(VALUE);
    const uint32_t names[] = { 0, 3, 5, 2048, 2049, UINT32_MAX };
    for (size_t i = 0; i < COUNT(names); i++) {
        head.name_len = names[i];
        arili_files_head_write(&head, name, bytes);
        (void)temp_write(file_of("name"), 0600, (aril_bytes){ bytes, len });
        assert_status(raw_get(&s, TEXT("name"), (aril_span){ NULL, 0 }, NULL), ARIL_E_NOT_FOUND);
    }
}

static void a_sum_does_not_hang_on_how_bytes_are_cut(void **state)
{
    (void)state;
    uint8_t bytes[200];
    fill_pattern(bytes, sizeof bytes, 3);
    uint64_t seen[201];
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct arili_files_sum whole = arili_files_sum_init();
        arili_files_sum_add(&whole, (aril_bytes){ bytes, len });
        seen[len] = arili_files_sum_end(&whole);
        for (size_t step = 1; step < 70; step += 3) {
            struct arili_files_sum sum = arili_files_sum_init();
            for (size_t at = 0; at < len; at += step) {
                arili_files_sum_add(&sum,
                                    (aril_bytes){ bytes + at, len - at < step ? len - at : step });
            }
            assert_true(arili_files_sum_end(&sum) == seen[len]);
        }
        for (size_t i = 0; i < len; i++) {
            assert_true(seen[i] != seen[len]);
        }
    }
    /* Zeros where data was, in blocks, as a crash leaves them. */
    static uint8_t large[8 * 4096];
    fill_pattern(large, sizeof large, 4);
    struct arili_files_sum sum = arili_files_sum_init();
    arili_files_sum_add(&sum, (aril_bytes){ large, sizeof large });
    const uint64_t whole = arili_files_sum_end(&sum);
    for (size_t i = 0; i < 8; i++) {
        uint8_t kept[4096];
        memcpy(kept, large + i * sizeof kept, sizeof kept);
        memset(large + i * sizeof kept, 0, sizeof kept);
        sum = arili_files_sum_init();
        arili_files_sum_add(&sum, (aril_bytes){ large, sizeof large });
        assert_true(arili_files_sum_end(&sum) != whole);
        memcpy(large + i * sizeof kept, kept, sizeof kept);
    }
}

/* --- Not ours --- */

static void a_file_answers_only_for_its_own_name(void **state)
{
    (void)state;
    uint8_t bytes[300];
    assert_status(raw_put(&s, TEXT("a"), TEXT(VALUE), 0), ARIL_OK);
    assert_status(raw_put(&s, TEXT("b"), TEXT("other"), 0), ARIL_OK);
    const size_t len = file_read(temp_path(file_of("a")), bytes, sizeof bytes);
    (void)temp_write(file_of("b"), 0600, (aril_bytes){ bytes, len });
    assert_status(raw_exists(&s, TEXT("b")), ARIL_E_NOT_FOUND);
    assert_status(raw_erase(&s, TEXT("b")), ARIL_E_NOT_FOUND);
    assert_true(is_there("b"));
    assert_status(raw_put(&s, TEXT("b"), TEXT("mine"), 0), ARIL_OK);
    assert_true(raw_has(&s, TEXT("b"), TEXT("mine")));
}

static int no_visit(void *user, aril_bytes name)
{
    (void)name;
    ++*(unsigned *)user;
    return 0;
}

static void what_is_not_ours_is_left_alone(void **state)
{
    (void)state;
    unsigned visits = 0;
    assert_status(raw_put(&s, TEXT("a"), TEXT("1"), 0), ARIL_OK);
    (void)temp_write(file_of("a"), 0600, TEXT("somebody else's"));
    assert_status(raw_exists(&s, TEXT("a")), ARIL_E_NOT_FOUND);
    assert_status(raw_erase(&s, TEXT("a")), ARIL_E_NOT_FOUND);
    assert_status(s.ops->scan(s.state, TEXT(""), no_visit, &visits, 60000, NULL), ARIL_OK);
    assert_int_equal(visits, 0);
    reopen();
    assert_true(is_there("a"));

    char path[300];
    (void)snprintf(path, sizeof path, "%s", temp_path(file_of("a")));
    const char *target = temp_write("target", 0600, TEXT("a secret of the target"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0); /* is not followed */
    assert_status(raw_exists(&s, TEXT("a")), ARIL_E_NOT_FOUND);
    assert_status(raw_put(&s, TEXT("a"), TEXT("2"), 0), ARIL_OK);
    assert_true(raw_has(&s, TEXT("a"), TEXT("2")));
    char kept[64];
    assert_int_equal(file_read(target, kept, sizeof kept), strlen("a secret of the target"));
    temp_clear(target);

    char moved[300];
    (void)snprintf(moved, sizeof moved, "%s", temp_path("moved")); /* not even to one of ours */
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(symlink(moved, path), 0);
    assert_status(raw_exists(&s, TEXT("a")), ARIL_E_NOT_FOUND);
    temp_clear(moved);

    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody waits for it */
    assert_status(raw_exists(&s, TEXT("a")), ARIL_E_NOT_FOUND);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_status(raw_exists(&s, TEXT("a")), ARIL_E_NOT_FOUND);
    assert_status(raw_put(&s, TEXT("a"), TEXT("2"), 0), ARIL_E_IO);
    assert_int_equal(tree_count(folder, ARILI_FILES_TEMP), 0);
}

/* Who finds an old file ended removes only that one, not what was put since. */
static void a_removal_that_comes_late_removes_nothing(void **state)
{
    (void)state;
    struct arili_files_place place;
    struct stat old;
    arili_files_place_of(TEXT("a"), &place);
    assert_status(raw_put(&s, TEXT("a"), TEXT("old value"), 0), ARIL_OK);
    assert_int_equal(stat(temp_path(file_of("a")), &old), 0);
    assert_status(raw_put(&s, TEXT("a"), TEXT("new"), 0), ARIL_OK);
    assert_true(arili_files_remove(s.state, &place, &old, far_deadline()));
    assert_true(raw_has(&s, TEXT("a"), TEXT("new")));
    assert_int_equal(stat(temp_path(file_of("a")), &old), 0);
    assert_true(arili_files_remove(s.state, &place, &old, far_deadline()));
    assert_false(is_there("a"));
}

static void make_old(const char *path, long seconds)
{
    struct timespec now = { 0 };
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    const struct timespec times[2] = { { .tv_sec = now.tv_sec - seconds },
                                       { .tv_sec = now.tv_sec - seconds } };
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void forgotten_temporary_files_go(void **state)
{
    (void)state;
    char name[300];
    assert_status(raw_put(&s, TEXT("a"), TEXT("1"), 0), ARIL_OK);
    (void)snprintf(name, sizeof name, "%.11s/.tmp-old", file_of("a"));
    make_old(temp_write(name, 0600, TEXT("half")), 3700);
    (void)snprintf(name, sizeof name, "%.11s/.tmp-new", file_of("a"));
    make_old(temp_write(name, 0600, TEXT("half")), 3500);
    (void)snprintf(name, sizeof name, "%.11s/.other", file_of("a"));
    make_old(temp_write(name, 0600, TEXT("half")), 3700);
    make_old(temp_write("cache/.locks/.tmp-old", 0600, TEXT("half")), 3700);
    fake_clock_add_s(&w.clock, 0);
    atomic_store(&w.clock.unix_s, (uint64_t)time(NULL));
    reopen();
    assert_int_equal(tree_count(folder, ".tmp-old"), 0);
    assert_int_equal(tree_count(folder, ".tmp-new"), 1);
    assert_int_equal(tree_count(folder, ".other"), 1);
    assert_true(raw_has(&s, TEXT("a"), TEXT("1")));
}

static void records_of_old_locks_go(void **state)
{
    (void)state;
    uint64_t fence = 0;
    atomic_store(&w.clock.unix_s, (uint64_t)time(NULL) - 10000);
    assert_status(s.ops->lock(s.state, TEXT("old"), 5000, far_deadline(), &fence, NULL), ARIL_OK);
    make_old(temp_path("cache/.locks/old"), 10000);
    atomic_store(&w.clock.unix_s, (uint64_t)time(NULL));
    assert_status(s.ops->lock(s.state, TEXT("new"), 5000, far_deadline(), &fence, NULL), ARIL_OK);
    reopen();
    assert_int_equal(tree_count(folder, "old"), 0);
    assert_int_equal(tree_count(folder, "new"), 1);
    const uint64_t before = fence;
    assert_status(s.ops->lock(s.state, TEXT("old"), 5000, far_deadline(), &fence, NULL), ARIL_OK);
    assert_true(fence >= before); /* the record is gone, and tokens grow */
}

/* --- No room --- */

static int put_with_a_limit(void *arg)
{
    const rlim_t limit = *(const rlim_t *)arg;
    static uint8_t value[5u << 20];
    const struct rlimit r = { limit, limit };
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &r) != 0) {
        return 1;
    }
    const aril_bytes part = { value, sizeof value };
    aril_store_item item = { .name = TEXT("a"), .parts = &part, .part_count = 1 };
    if (raw_put_item(&s, &item) != ARIL_E_IO_FULL) {
        return 2;
    }
    item = (aril_store_item){ .name = TEXT("b"), .parts = &part, .part_count = 1 };
    return raw_put_item(&s, &item) == ARIL_E_IO_FULL ? 0 : 3;
}

static void a_full_disk_leaves_the_old_value_and_no_rest(void **state)
{
    if (under_valgrind()) {
        skip(); /* it could not write its own report in the child */
    }
    (void)state;
    rlim_t limits[] = { 0, 1, 100, 5000, 1u << 20, (3u << 20) + 1, (5u << 20) + 100 };
    for (int direct = 0; direct < 2; direct++) {
        raw_close(&s);
        assert_status(raw_open(&s, &arili_cache_store_files, w.rt,
                               &(aril_store_config){ .direct_io = direct }, "file", folder),
                      ARIL_OK);
        assert_status(raw_put(&s, TEXT("a"), TEXT("old"), 0), ARIL_OK);
        for (size_t i = 0; i < COUNT(limits); i++) {
            assert_int_equal(child_run(put_with_a_limit, &limits[i]), 0);
            assert_true(raw_has(&s, TEXT("a"), TEXT("old")));
            assert_status(raw_exists(&s, TEXT("b")), ARIL_E_NOT_FOUND);
            assert_int_equal(tree_count(folder, ARILI_FILES_TEMP), 0);
        }
    }
}

/* --- Killed --- */

enum { NAMES = 4, KILLS = 60, LONGEST = 3u << 20 };

/* Value number n of a name: its length and all of its bytes hang on n. */
static size_t value_of(unsigned name, uint64_t n, uint8_t *ret)
{
    const size_t len = 16 + (size_t)((n * 2654435761u + name) % (n % 7 == 0 ? LONGEST : 5000u));
    fill_pattern(ret, len, n * NAMES + name);
    arili_store64(ret, n);
    return len;
}

static void put_for_ever(struct raw_store *store, int ready, uint64_t n)
{
    static uint8_t value[LONGEST + 16];
    for (;; n++) {
        for (unsigned i = 0; i < NAMES; i++) {
            const char name[2] = { (char)('a' + i), '\0' };
            const size_t len = value_of(i, n, value);
            if (raw_put(store, text_bytes(name), (aril_bytes){ value, len }, 0) != ARIL_OK) {
                _exit(3);
            }
        }
        if (write(ready, "x", 1) != 1) {
            _exit(4);
        }
    }
}

static uint8_t *whole_room(void *user, size_t len)
{
    return len <= LONGEST + 16 ? user : NULL;
}

/* A name has one of the values that were put, whole. */
static void check_name(unsigned i)
{
    static uint8_t value[LONGEST + 16];
    static uint8_t wanted[LONGEST + 16];
    const char name[2] = { (char)('a' + i), '\0' };
    aril_store_item item = { .name = text_bytes(name), .room = whole_room, .user = value };
    assert_status(raw_get_item(&s, &item), ARIL_OK);
    assert_true(item.len >= 16);
    const size_t len = value_of(i, arili_load64(item.data), wanted);
    assert_int_equal(item.len, len);
    assert_memory_equal(item.data, wanted, len);
}

static void a_killed_writer_leaves_whole_values(void **state)
{
    (void)state;
    const pid_t parent = getpid();
    for (unsigned kills = 0; kills < KILLS; kills++) {
        int ready[2];
        assert_int_equal(pipe(ready), 0);
        const pid_t pid = fork();
        if (pid == 0) {
            struct raw_store own;
            const aril_store_config config = { .direct_io = kills % 2, .durable = kills % 20 == 0 };
            if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
                raw_open(&own, &arili_cache_store_files, w.rt, &config, "file", folder) !=
                    ARIL_OK) {
                _exit(2);
            }
            (void)close(ready[0]);
            put_for_ever(&own, ready[1], kills * 1000u);
        }
        assert_true(pid > 0);
        (void)close(ready[1]);
        char byte;
        for (unsigned i = 0; i <= kills % 3; i++) { /* each name was put */
            assert_int_equal(read(ready[0], &byte, 1), 1);
        }
        const struct timespec pause = { .tv_nsec = (long)(kills * 7919u % 5000u) * 1000 };
        (void)nanosleep(&pause, NULL); /* so that it is met at different places */
        assert_int_equal(kill(pid, SIGKILL), 0);
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        (void)close(ready[0]);
        for (unsigned i = 0; i < NAMES; i++) {
            check_name(i);
        }
    }
    /* Its slots are free again. */
    assert_status(raw_put(&s, TEXT("a"), TEXT("after"), 0), ARIL_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_truncation_is_no_value),
        TEST(every_flipped_bit_of_the_head_is_no_value),
        TEST(every_flipped_byte_of_another_boot_is_no_value),
        TEST(a_head_that_lies_is_no_value),
        cmocka_unit_test(a_sum_does_not_hang_on_how_bytes_are_cut),
        TEST(a_file_answers_only_for_its_own_name),
        TEST(what_is_not_ours_is_left_alone),
        TEST(a_removal_that_comes_late_removes_nothing),
        TEST(forgotten_temporary_files_go),
        TEST(records_of_old_locks_go),
        TEST(a_full_disk_leaves_the_old_value_and_no_rest),
        TEST(a_killed_writer_leaves_whole_values),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
