/* SPDX-License-Identifier: Apache-2.0 */
#include "base/files.h"
#include "base/bytes.h"
#include "check.h"
#include "child.h"
#include "deny.h"
#include "valgrind.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BYTES_MAX 1000u

static char folder[64];
static char path[128];

static const char *in_folder(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_file(const char *name, const char *text, mode_t mode)
{
    const int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static unsigned files_in_folder(void)
{
    DIR *dir = opendir(folder);
    unsigned count = 0;
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return count;
}

static int folder_new(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/aril-files-test-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int folder_remove(void **state)
{
    (void)state;
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
            (void)unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    return rmdir(folder);
}

static aril_error error;

/* Reads what must not be read: the status, a message with name and remedy, and
 * nothing handed out. */
static void assert_read_fails(const char *file, unsigned checks, aril_status expected,
                              const char *reason)
{
    struct arili_file f = { (uint8_t *)path, 1, 1 };
    error = (aril_error){ ARIL_OK, "" };
    assert_status(arili_file_read(file, BYTES_MAX, checks, &f, &error), expected);
    assert_null(f.data);
    assert_int_equal(f.len, 0);
    assert_int_equal(f.alloc_bytes, 0);
    assert_status(error.status, expected);
    assert_non_null(strstr(error.message, strrchr(file, '/') + 1));
    assert_non_null(strstr(error.message, reason));
    assert_non_null(strstr(error.message, "; "));
}

static void assert_content(const char *file, const char *text)
{
    struct arili_file f = { 0 };
    error = (aril_error){ ARIL_OK, "untouched" };
    assert_status(arili_file_read(file, BYTES_MAX, 0, &f, &error), ARIL_OK);
    assert_string_equal(error.message, "untouched");
    assert_int_equal(f.len, strlen(text));
    assert_memory_equal(f.data, text, f.len);
    assert_true(f.alloc_bytes > f.len);
    arili_file_done(&f);
    assert_null(f.data);
    assert_int_equal(f.alloc_bytes, 0);
}

static void a_file_is_read_whole(void **state)
{
    (void)state;
    put_file("a", "hello", 0600);
    assert_content(in_folder("a"), "hello");
    put_file("empty", "", 0600);
    assert_content(in_folder("empty"), "");
}

static void the_bound_on_the_size_is_exact(void **state)
{
    (void)state;
    char text[BYTES_MAX + 2];
    memset(text, 'x', sizeof text);
    text[BYTES_MAX] = '\0';
    put_file("fits", text, 0600);
    assert_content(in_folder("fits"), text);
    text[BYTES_MAX] = 'x';
    text[BYTES_MAX + 1] = '\0';
    put_file("long", text, 0600);
    assert_read_fails(in_folder("long"), 0, ARIL_E_LIMIT, "1001 bytes");
}

static void a_missing_file_is_not_found(void **state)
{
    (void)state;
    assert_read_fails(in_folder("none"), 0, ARIL_E_NOT_FOUND, "No such file");
}

static void a_symbolic_link_is_not_followed(void **state)
{
    (void)state;
    put_file("target", "x", 0600);
    char link_path[sizeof path];
    (void)snprintf(link_path, sizeof link_path, "%s", in_folder("link"));
    assert_int_equal(symlink("target", link_path), 0);
    assert_read_fails(link_path, 0, ARIL_E_IO, "symbolic link");
}

static void only_regular_files_are_read_and_none_is_waited_for(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_read_fails(in_folder("fifo"), 0, ARIL_E_IO, "not a regular file");
    assert_int_equal(mkdir(in_folder("dir"), 0700), 0);
    assert_read_fails(in_folder("dir"), 0, ARIL_E_IO, "not a regular file");
    assert_read_fails("/dev/null", 0, ARIL_E_IO, "not a regular file");
    assert_read_fails("/dev/zero", 0, ARIL_E_IO, "not a regular file");
}

static void a_file_instead_of_a_folder_is_an_error(void **state)
{
    (void)state;
    put_file("a", "x", 0600);
    assert_read_fails(in_folder("a/b"), 0, ARIL_E_IO, "Not a directory");
}

/* /proc files say 0 bytes and give more, as a file that grows does. */
static void a_file_that_changes_is_refused(void **state)
{
    (void)state;
    assert_read_fails("/proc/self/status", 0, ARIL_E_IO, "changed while it was read");
}

static void every_mode_bit_for_others_makes_a_secret_unsafe(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 9; bit++) {
        const mode_t mode = 0400 | 1u << bit;
        put_file("key", "x", mode);
        struct arili_file f = { 0 };
        if (bit < 6) {
            assert_read_fails(in_folder("key"), ARILI_FILE_SECRET, ARIL_E_IO_PERMISSION,
                              "chmod 600");
        } else {
            assert_status(arili_file_read(in_folder("key"), BYTES_MAX, ARILI_FILE_SECRET, &f, NULL),
                          ARIL_OK);
            arili_file_done(&f);
        }
        assert_status(arili_file_read(in_folder("key"), BYTES_MAX, 0, &f, NULL), ARIL_OK);
        arili_file_done(&f);
    }
    put_file("key", "x", 0644);
    assert_read_fails(in_folder("key"), ARILI_FILE_SECRET, ARIL_E_IO_PERMISSION, "0644");
}

static void a_trusted_file_may_be_read_but_not_written_by_others(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 9; bit++) {
        put_file("trust", "x", 0400 | 1u << bit);
        struct arili_file f = { 0 };
        if (bit == 1 || bit == 4) {
            assert_read_fails(in_folder("trust"), ARILI_FILE_TRUSTED, ARIL_E_IO_PERMISSION,
                              "chmod go-w");
        } else {
            assert_status(
                arili_file_read(in_folder("trust"), BYTES_MAX, ARILI_FILE_TRUSTED, &f, NULL),
                ARIL_OK);
            arili_file_done(&f);
        }
    }
}

/* Owner checks need a second user, whom only root can be. */
static void a_file_of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    put_file("key", "x", 0600);
    assert_int_equal(chown(in_folder("key"), 65534, 65534), 0);
    assert_read_fails(in_folder("key"), ARILI_FILE_SECRET, ARIL_E_IO_PERMISSION, "chown");
    assert_read_fails(in_folder("key"), ARILI_FILE_TRUSTED, ARIL_E_IO_PERMISSION, "65534");
    assert_read_fails(in_folder("key"), ARILI_FILE_SECRET | ARILI_FILE_ROOT_MAY_OWN,
                      ARIL_E_IO_PERMISSION, "chown");
    struct arili_file f = { 0 };
    assert_status(arili_file_read(in_folder("key"), BYTES_MAX, 0, &f, NULL), ARIL_OK);
    arili_file_done(&f);
}

/* An access list for one user shows as rights of the group. */
static void the_group_may_read_roots_secret_where_the_caller_says_so(void **state)
{
    const unsigned checks = ARILI_FILE_SECRET | ARILI_FILE_ROOT_MAY_OWN | ARILI_FILE_ROOT_MAY_SHARE;
    struct arili_file f = { 0 };
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    for (unsigned bit = 0; bit < 6; bit++) {
        put_file("key", "x", 0400 | 1u << bit);
        assert_read_fails(in_folder("key"), ARILI_FILE_SECRET | ARILI_FILE_ROOT_MAY_OWN,
                          ARIL_E_IO_PERMISSION, "chmod 600");
        if (bit == 5) {
            assert_status(arili_file_read(in_folder("key"), BYTES_MAX, checks, &f, NULL), ARIL_OK);
            arili_file_done(&f);
        } else {
            assert_read_fails(in_folder("key"), checks, ARIL_E_IO_PERMISSION, "chmod 600");
        }
    }
    put_file("key", "x", 0440);
    assert_int_equal(chown(in_folder("key"), 65534, 65534), 0);
    assert_read_fails(in_folder("key"), checks, ARIL_E_IO_PERMISSION, "chown");
}

static int read_roots_file(void *arg)
{
    (void)arg;
    if (setuid(65534) != 0) {
        return 1;
    }
    struct arili_file f = { 0 };
    if (arili_file_read(in_folder("trust"), BYTES_MAX, ARILI_FILE_TRUSTED, &f, NULL) !=
        ARIL_E_IO_PERMISSION) {
        return 2;
    }
    if (arili_file_read(in_folder("trust"), BYTES_MAX, ARILI_FILE_TRUSTED | ARILI_FILE_ROOT_MAY_OWN,
                        &f, NULL) != ARIL_OK) {
        return 3;
    }
    arili_file_done(&f);
    aril_error e = { ARIL_OK, "" };
    if (arili_file_read(in_folder("closed"), BYTES_MAX, 0, &f, &e) != ARIL_E_IO ||
        strstr(e.message, "Permission denied") == NULL) {
        return 4;
    }
    return 0;
}

static void roots_file_is_trusted_where_the_caller_says_so(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    put_file("trust", "x", 0644);
    put_file("closed", "x", 0600);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(child_run(read_roots_file, NULL), 0);
}

static void an_error_struct_is_optional(void **state)
{
    (void)state;
    struct arili_file f = { 0 };
    assert_status(arili_file_read(in_folder("none"), BYTES_MAX, 0, &f, NULL), ARIL_E_NOT_FOUND);
    arili_file_done(&f); /* of nothing, and again */
    arili_file_done(&f);
}

static void a_long_path_keeps_reason_and_remedy(void **state)
{
    (void)state;
    char name[1000];
    memset(name, 'p', sizeof name);
    memcpy(name, "/x/", 3);
    memcpy(name + sizeof name - 9, "/the-end", 9);
    assert_read_fails(name, 0, ARIL_E_NOT_FOUND, "check the path");
}

static aril_status write_text(const char *name, const char *text, bool replace)
{
    error = (aril_error){ ARIL_OK, "" };
    const aril_status st =
        arili_file_write(in_folder(name), (aril_bytes){ (const uint8_t *)text, strlen(text) },
                         ARILI_FILE_MODE_PRIVATE, replace, &error);
    assert_status(error.status, st);
    return st;
}

static void what_is_written_is_what_is_read(void **state)
{
    (void)state;
    assert_status(write_text("a", "hello", false), ARIL_OK);
    assert_content(in_folder("a"), "hello");
    assert_status(arili_file_write(in_folder("b"), (aril_bytes){ NULL, 0 }, ARILI_FILE_MODE_PRIVATE,
                                   false, NULL),
                  ARIL_OK);
    assert_content(in_folder("b"), "");
    assert_int_equal(files_in_folder(), 2);
}

static void the_mode_is_private_or_public(void **state)
{
    (void)state;
    const mode_t before = umask(0);
    struct stat info;
    assert_status(write_text("a", "x", false), ARIL_OK);
    assert_int_equal(stat(in_folder("a"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_status(arili_file_write(in_folder("b"), (aril_bytes){ NULL, 0 }, ARILI_FILE_MODE_PUBLIC,
                                   false, NULL),
                  ARIL_OK);
    assert_int_equal(stat(in_folder("b"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0644);
    (void)umask(before);
}

static void an_existing_file_is_left_alone(void **state)
{
    (void)state;
    put_file("a", "old", 0640);
    assert_status(write_text("a", "new", false), ARIL_E_EXISTS);
    assert_non_null(strstr(error.message, "/a: exists"));
    assert_content(in_folder("a"), "old");
    assert_int_equal(files_in_folder(), 1);
}

static void an_existing_link_or_folder_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(symlink("nowhere", in_folder("link")), 0);
    assert_status(write_text("link", "new", false), ARIL_E_EXISTS);
    assert_int_equal(mkdir(in_folder("dir"), 0700), 0);
    assert_status(write_text("dir", "new", false), ARIL_E_EXISTS);
    assert_status(write_text("dir", "new", true), ARIL_E_IO);
    assert_int_equal(files_in_folder(), 2);
}

static void replacing_takes_the_place_of_file_or_link(void **state)
{
    (void)state;
    put_file("a", "a longer old text", 0640);
    assert_status(write_text("a", "new", true), ARIL_OK);
    assert_content(in_folder("a"), "new");
    put_file("target", "kept", 0600);
    assert_int_equal(symlink("target", in_folder("link")), 0);
    assert_status(write_text("link", "new", true), ARIL_OK);
    assert_content(in_folder("link"), "new");
    assert_content(in_folder("target"), "kept");
    assert_status(write_text("fresh", "x", true), ARIL_OK);
    assert_int_equal(files_in_folder(), 4);
}

/* Whoever opened the old file keeps reading it: it was not written in place. */
static void readers_of_the_old_file_keep_it(void **state)
{
    (void)state;
    put_file("a", "old", 0600);
    const int fd = open(in_folder("a"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_status(write_text("a", "new", true), ARIL_OK);
    char text[8] = "";
    assert_int_equal(read(fd, text, sizeof text), 3);
    assert_memory_equal(text, "old", 3);
    assert_int_equal(close(fd), 0);
}

static void a_name_without_folder_is_in_the_current_one(void **state)
{
    (void)state;
    const int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chdir(folder), 0);
    const aril_status st =
        arili_file_write("plain", ARILI_LITERAL("x"), ARILI_FILE_MODE_PRIVATE, false, NULL);
    assert_int_equal(fchdir(before), 0);
    assert_int_equal(close(before), 0);
    assert_status(st, ARIL_OK);
    assert_content(in_folder("plain"), "x");
}

static void a_path_without_a_name_is_refused(void **state)
{
    (void)state;
    assert_status(write_text("", "x", false), ARIL_E_USAGE_RANGE);
    assert_status(write_text(".", "x", false), ARIL_E_USAGE_RANGE);
    assert_status(write_text("..", "x", true), ARIL_E_USAGE_RANGE);
    assert_status(
        arili_file_write("", (aril_bytes){ NULL, 0 }, ARILI_FILE_MODE_PRIVATE, false, NULL),
        ARIL_E_USAGE_RANGE);
    assert_int_equal(files_in_folder(), 0);
}

static void a_missing_folder_is_not_found(void **state)
{
    (void)state;
    assert_status(write_text("none/a", "x", false), ARIL_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "open its folder"));
    put_file("file", "x", 0600);
    assert_status(write_text("file/a", "x", false), ARIL_E_IO);
}

static void too_long_names_are_refused_without_a_trace(void **state)
{
    (void)state;
    char name[ARILI_FILE_PATH_BYTES + 20];
    memset(name, 'n', sizeof name);
    (void)snprintf(name, sizeof name, "%s/", folder);
    name[strlen(name)] = 'n';
    name[strlen(folder) + 1 + 300] = '\0';
    assert_status(
        arili_file_write(name, (aril_bytes){ NULL, 0 }, ARILI_FILE_MODE_PRIVATE, false, &error),
        ARIL_E_IO);
    assert_non_null(strstr(error.message, "too long"));
    for (size_t i = 0; i < sizeof name - 1; i++) {
        name[i] = i % 2 == 0 ? '/' : 'n';
    }
    name[sizeof name - 1] = '\0';
    assert_status(
        arili_file_write(name, (aril_bytes){ NULL, 0 }, ARILI_FILE_MODE_PRIVATE, false, &error),
        ARIL_E_IO);
    assert_non_null(strstr(error.message, "too long"));
    assert_int_equal(files_in_folder(), 0);
}

/* A limit on file sizes stands for a full disk: write() stops half-way. */
static int write_with_a_size_limit(void *arg)
{
    const bool *replace = arg;
    (void)signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = { 1000, 1000 };
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return 1;
    }
    static uint8_t big[5000];
    aril_error e = { ARIL_OK, "" };
    if (arili_file_write(in_folder("a"), (aril_bytes){ big, sizeof big }, ARILI_FILE_MODE_PRIVATE,
                         *replace, &e) != ARIL_E_IO) {
        return 2;
    }
    return strstr(e.message, "ulimit -f") != NULL ? 0 : 3;
}

static void a_full_disk_keeps_the_old_file_and_leaves_nothing(void **state)
{
    (void)state;
    bool replace = false;
    assert_int_equal(child_run(write_with_a_size_limit, &replace), 0);
    assert_int_equal(files_in_folder(), 0);
    put_file("a", "old", 0600);
    replace = true;
    assert_int_equal(child_run(write_with_a_size_limit, &replace), 0);
    assert_content(in_folder("a"), "old");
    assert_int_equal(files_in_folder(), 1);
}

static int write_as_nobody(void *arg)
{
    (void)arg;
    if (geteuid() == 0 && setuid(65534) != 0) {
        return 1;
    }
    aril_error e = { ARIL_OK, "" };
    if (arili_file_write(in_folder("a"), (aril_bytes){ NULL, 0 }, ARILI_FILE_MODE_PRIVATE, true,
                         &e) != ARIL_E_IO) {
        return 2;
    }
    return strstr(e.message, "Permission denied; give the user") != NULL ? 0 : 3;
}

static void a_read_only_folder_is_an_error(void **state)
{
    (void)state;
    put_file("a", "old", 0644);
    assert_int_equal(chmod(folder, 0555), 0);
    assert_int_equal(child_run(write_as_nobody, NULL), 0);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_content(in_folder("a"), "old");
    assert_int_equal(files_in_folder(), 1);
}

static int write_without_descriptors(void *arg)
{
    (void)arg;
    aril_error e = { ARIL_OK, "" };
    /* One descriptor suffices for the folder, none is left for the file. */
    const int next = dup(0);
    (void)close(next);
    const struct rlimit one = { (rlim_t)next + 1, (rlim_t)next + 1 };
    if (next < 0 || setrlimit(RLIMIT_NOFILE, &one) != 0) {
        return 1;
    }
    if (arili_file_write(in_folder("a"), (aril_bytes){ NULL, 0 }, ARILI_FILE_MODE_PRIVATE, true,
                         &e) != ARIL_E_IO ||
        strstr(e.message, "temporary file") == NULL || strstr(e.message, "ulimit -n") == NULL) {
        return 2;
    }
    /* The folder's descriptor is back, so that this works. */
    struct arili_file f = { 0 };
    if (arili_file_read(in_folder("b"), BYTES_MAX, 0, &f, &e) != ARIL_OK) {
        return 3;
    }
    arili_file_done(&f);
    return 0;
}

static void no_descriptor_is_lost_on_failure(void **state)
{
    (void)state;
    if (under_valgrind()) {
        skip(); /* the highest descriptors are taken */
    }
    put_file("b", "x", 0600);
    assert_int_equal(child_run(write_without_descriptors, NULL), 0);
}

/* One system call of a write that fails, and what must come of it. */
struct denied {
    long number;
    int first; /* added to the next free descriptor: 0 the folder, 1 the file */
    int error;
    aril_status expected;
    const char *message;
    bool replace;
    bool written; /* afterwards the new content is there */
};

#define ANY_DESCRIPTOR (-100)
#define NO_FILTERS     77

static int write_while_denied(void *arg)
{
    const struct denied *d = arg;
    const int next = dup(0);
    (void)close(next);
    const int first = d->first == ANY_DESCRIPTOR ? DENY_ANY : next + d->first;
    if (!deny_syscall(d->number, first, d->error)) {
        return NO_FILTERS;
    }
    aril_error e = { ARIL_OK, "" };
    if (arili_file_write(in_folder("a"), ARILI_LITERAL("new"), ARILI_FILE_MODE_PRIVATE, d->replace,
                         &e) != d->expected) {
        return 1;
    }
    return d->expected == ARIL_OK || strstr(e.message, d->message) != NULL ? 0 : 2;
}

static void every_failed_system_call_of_a_write_is_an_error(void **state)
{
    (void)state;
    static const struct denied cases[] = {
        { SYS_openat, ANY_DESCRIPTOR, EIO, ARIL_E_IO, "open its folder", true, false },
        { SYS_openat, 0, EROFS, ARIL_E_IO, "writable file system", true, false },
        { SYS_write, 1, ENOSPC, ARIL_E_IO, "free some space", true, false },
        { SYS_fsync, 1, EIO, ARIL_E_IO, "bring it to the disk", true, false },
        { SYS_close, 1, EIO, ARIL_E_IO, "close it", true, false },
        { SYS_renameat, ANY_DESCRIPTOR, EIO, ARIL_E_IO, "its name", true, false },
        { SYS_renameat2, 0, EIO, ARIL_E_IO, "its name", false, false },
        { SYS_fsync, 0, EIO, ARIL_E_IO, "though the file is there", true, true },
        { SYS_fsync, 0, EIO, ARIL_E_IO, "though the file is there", false, true },
        { SYS_fsync, 0, EINVAL, ARIL_OK, "", true, true },
        { SYS_renameat2, 0, ENOSYS, ARIL_OK, "", false, true }, /* a link instead */
        { SYS_renameat2, 0, EINVAL, ARIL_OK, "", false, true },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct denied d = cases[i];
        (void)unlink(in_folder("a"));
        if (d.replace) {
            put_file("a", "old", 0600);
        }
        const int result = child_run(write_while_denied, &d);
        if (result == NO_FILTERS) {
            skip();
        }
        assert_int_equal(result, 0);
        if (d.replace || d.written) {
            assert_content(in_folder("a"), d.written ? "new" : "old");
        }
        assert_int_equal(files_in_folder(), d.replace || d.written);
    }
}

static int write_over_without_renameat2(void *arg)
{
    (void)arg;
    if (!deny_syscall(SYS_renameat2, DENY_ANY, ENOSYS)) {
        return NO_FILTERS;
    }
    return arili_file_write(in_folder("a"), ARILI_LITERAL("new"), ARILI_FILE_MODE_PRIVATE, false,
                            NULL) == ARIL_E_EXISTS
               ? 0
               : 1;
}

static void an_existing_file_is_left_alone_by_the_link_too(void **state)
{
    (void)state;
    put_file("a", "old", 0600);
    const int result = child_run(write_over_without_renameat2, NULL);
    if (result == NO_FILTERS) {
        skip();
    }
    assert_int_equal(result, 0);
    assert_content(in_folder("a"), "old");
    assert_int_equal(files_in_folder(), 1);
}

static int read_while_denied(void *arg)
{
    (void)arg;
    const int next = dup(0);
    (void)close(next);
    if (!deny_syscall(SYS_read, next, EIO)) {
        return NO_FILTERS;
    }
    struct arili_file f = { 0 };
    aril_error e = { ARIL_OK, "" };
    if (arili_file_read(in_folder("a"), BYTES_MAX, 0, &f, &e) != ARIL_E_IO || f.data != NULL) {
        return 1;
    }
    return strstr(e.message, "cannot read it: Input/output error") != NULL ? 0 : 2;
}

static void a_failed_read_is_an_error(void **state)
{
    (void)state;
    put_file("a", "text", 0600);
    const int result = child_run(read_while_denied, NULL);
    if (result == NO_FILTERS) {
        skip();
    }
    assert_int_equal(result, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_new, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_read_whole),
        TEST(the_bound_on_the_size_is_exact),
        TEST(a_missing_file_is_not_found),
        TEST(a_symbolic_link_is_not_followed),
        TEST(only_regular_files_are_read_and_none_is_waited_for),
        TEST(a_file_instead_of_a_folder_is_an_error),
        TEST(a_file_that_changes_is_refused),
        TEST(every_mode_bit_for_others_makes_a_secret_unsafe),
        TEST(a_trusted_file_may_be_read_but_not_written_by_others),
        TEST(the_group_may_read_roots_secret_where_the_caller_says_so),
        TEST(a_file_of_another_user_is_refused),
        TEST(roots_file_is_trusted_where_the_caller_says_so),
        TEST(an_error_struct_is_optional),
        TEST(a_long_path_keeps_reason_and_remedy),
        TEST(what_is_written_is_what_is_read),
        TEST(the_mode_is_private_or_public),
        TEST(an_existing_file_is_left_alone),
        TEST(an_existing_link_or_folder_is_left_alone),
        TEST(replacing_takes_the_place_of_file_or_link),
        TEST(readers_of_the_old_file_keep_it),
        TEST(a_name_without_folder_is_in_the_current_one),
        TEST(a_path_without_a_name_is_refused),
        TEST(a_missing_folder_is_not_found),
        TEST(too_long_names_are_refused_without_a_trace),
        TEST(a_full_disk_keeps_the_old_file_and_leaves_nothing),
        TEST(a_read_only_folder_is_an_error),
        TEST(no_descriptor_is_lost_on_failure),
        TEST(every_failed_system_call_of_a_write_is_an_error),
        TEST(an_existing_file_is_left_alone_by_the_link_too),
        TEST(a_failed_read_is_an_error),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
