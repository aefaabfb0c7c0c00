/* SPDX-License-Identifier: Apache-2.0 */
/* What the process may do. Each look is taken in a child, for there is no way back. */
#define _GNU_SOURCE /* getresuid() */
#include "process.h"
#include "check.h"
#include "child.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int protect(void *arg)
{
    aril_error error = { .status = ARIL_OK };
    struct rlimit core;
    struct stat st;
    (void)arg;
    if (process_protect(&error) != ARIL_OK) {
        return 1;
    }
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) {
        return 2;
    }
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0) {
        return 3;
    }
    char path[] = "/tmp/arild_process_XXXXXX";
    const int folder = mkdtemp(path) == NULL ? -1 : open(path, O_DIRECTORY | O_CLOEXEC);
    const int fd = openat(folder, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
    const int there = fstat(fd, &st);
    (void)unlinkat(folder, "file", 0);
    (void)rmdir(path);
    return there != 0 || (st.st_mode & 0777) != 0600 ? 4 : raise(SIGPIPE) == 0 ? 0 : 5;
}

static void a_protected_process_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_int_equal(child_run(protect, NULL), 0);
}

static int raise_files(void *arg)
{
    aril_error error = { .status = ARIL_OK };
    struct rlimit limit = { 64, 128 };
    (void)arg;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1;
    }
    if (process_raise_files(100, &error) != ARIL_OK || getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur != 100) {
        return 2;
    }
    if (process_raise_files(50, &error) != ARIL_OK || getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
        limit.rlim_cur != 100) {
        return 3; /* what is enough stays */
    }
    const aril_status st = process_raise_files(1000, &error);
    if (geteuid() == 0 && st == ARIL_OK) { /* root may, unless a container says no */
        return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 1000 ? 0 : 4;
    }
    return st == ARIL_E_LIMIT && strstr(error.message, "1000") != NULL &&
                   strstr(error.message, "128") != NULL
               ? 0
               : 5;
}

static void open_files_are_raised_or_the_remedy_is_told(void **state)
{
    (void)state;
    assert_int_equal(child_run(raise_files, NULL), 0);
}

static void users_are_found_by_name_and_number(void **state)
{
    aril_error error = { .status = ARIL_OK };
    struct process_user u = { .wanted = true };
    (void)state;
    assert_status(process_find_user(NULL, NULL, &u, &error), ARIL_OK);
    assert_false(u.wanted);
    assert_int_equal(u.uid, geteuid());
    assert_status(process_find_user("root", NULL, &u, &error), ARIL_OK);
    assert_true(u.wanted);
    assert_int_equal(u.uid, 0);
    assert_int_equal(u.gid, 0);
    assert_string_equal(u.name, "root");
    assert_status(process_find_user("0", "4711", &u, &error), ARIL_OK);
    assert_int_equal(u.uid, 0);
    assert_int_equal(u.gid, 4711);
    assert_string_equal(u.name, "root");
    assert_status(process_find_user("54321", NULL, &u, &error), ARIL_OK);
    assert_int_equal(u.uid, 54321);
    assert_int_equal(u.gid, 54321);
}

static void who_does_not_exist_is_named(void **state)
{
    static const char *const users[] = { "no-such-user-here", "", "-1", "4294967295", "0x0", "1 " };
    struct process_user u = { .uid = 77 };
    (void)state;
    for (size_t i = 0; i < COUNT(users); i++) {
        aril_error error = { .status = ARIL_OK };
        assert_status(process_find_user(users[i], NULL, &u, &error), ARIL_E_NOT_FOUND);
        assert_non_null(strstr(error.message, users[i]));
        assert_status(process_find_user(NULL, users[i], &u, &error), ARIL_E_NOT_FOUND);
        assert_int_equal(u.uid, 77);
    }
}

static int become(void *arg)
{
    const struct process_user *u = arg;
    aril_error error = { .status = ARIL_OK };
    uid_t r, e, s;
    gid_t rg, eg, sg;
    gid_t groups[64];
    if (process_become(u, &error) != ARIL_OK) {
        return 1;
    }
    if (getresuid(&r, &e, &s) != 0 || r != u->uid || e != u->uid || s != u->uid ||
        getresgid(&rg, &eg, &sg) != 0 || rg != u->gid || eg != u->gid || sg != u->gid) {
        return 2;
    }
    const int count = getgroups(64, groups);
    for (int i = 0; i < count; i++) {
        if (groups[i] == 0) {
            return 3; /* a group of root stayed */
        }
    }
    if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0) {
        return 4;
    }
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return 5;
    }
    /* Again, as itself, is fine; somebody else is not. */
    const struct process_user other = { .wanted = true, .uid = u->uid + 1, .gid = u->gid + 1 };
    if (process_become(u, &error) != ARIL_OK) {
        return 6;
    }
    return process_become(&other, &error) == ARIL_E_IO_PERMISSION ? 0 : 7;
}

static void root_becomes_another_user_for_good(void **state)
{
    struct process_user u = { .wanted = true, .uid = 54321, .gid = 54322, .name = "54321" };
    (void)state;
    if (geteuid() != 0) {
        print_message("SKIPPED: only root can become another user\n");
        skip();
    }
    assert_int_equal(child_run(become, &u), 0);
    u.name[0] = '\0'; /* without a name: no groups to look for */
    assert_int_equal(child_run(become, &u), 0);
}

static void who_is_not_wanted_stays(void **state)
{
    aril_error error = { .status = ARIL_OK };
    const struct process_user u = { .wanted = false, .uid = 54321, .gid = 54321 };
    const uid_t before = geteuid();
    (void)state;
    assert_status(process_become(&u, &error), ARIL_OK);
    assert_int_equal(geteuid(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_protected_process_leaves_nothing_behind),
        cmocka_unit_test(open_files_are_raised_or_the_remedy_is_told),
        cmocka_unit_test(users_are_found_by_name_and_number),
        cmocka_unit_test(who_does_not_exist_is_named),
        cmocka_unit_test(root_becomes_another_user_for_good),
        cmocka_unit_test(who_is_not_wanted_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
