/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"
#include "failure.h"
#include "out.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BYTES 65536u

static bool is_standard(const char *path)
{
    return strcmp(path, "-") == 0;
}

void file_contents_free(struct file_contents *contents)
{
    if (contents->data != NULL) {
        explicit_bzero(contents->data, contents->cap);
        free(contents->data);
    }
    *contents = (struct file_contents){ .data = NULL };
}

/* Room for at least one byte more. Not realloc, which would leave a copy behind. */
static bool grow(struct file_contents *c, size_t max)
{
    const size_t doubled = c->cap == 0 ? FIRST_BYTES : c->cap * 2;
    const size_t cap = doubled > max + 1 ? max + 1 : doubled;
    uint8_t *data = malloc(cap);
    if (data == NULL) {
        return false;
    }
    if (c->len > 0) {
        memcpy(data, c->data, c->len);
    }
    const size_t len = c->len;
    file_contents_free(c);
    *c = (struct file_contents){ .data = data, .len = len, .cap = cap };
    return true;
}

static int read_all(const char *command, const char *path, int fd, size_t max,
                    struct file_contents *c)
{
    for (;;) {
        if (c->len == c->cap && !grow(c, max)) {
            return failure_report(command, ARIL_E_NOMEM, "%s", path);
        }
        const ssize_t n = read(fd, c->data + c->len, c->cap - c->len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return failure_errno(command, path, errno);
        }
        if (n == 0) {
            return 0;
        }
        c->len += (size_t)n;
        if (c->len > max) {
            return failure_explain(command, ARIL_E_LIMIT, "check that it is the right file",
                                   "%s: longer than the %zu bytes that are taken", path, max);
        }
    }
}

int file_read(const char *command, const char *path, size_t max, struct file_contents *ret)
{
    struct file_contents c = { .data = NULL };
    const int fd = is_standard(path) ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return failure_errno(command, path, errno);
    }
    const int code = read_all(command, is_standard(path) ? "standard input" : path, fd, max, &c);
    if (fd != STDIN_FILENO) {
        close(fd);
    }
    if (code != 0) {
        file_contents_free(&c);
        return code;
    }
    *ret = c;
    return 0;
}

int file_check_secret(const char *command, const char *path)
{
    struct stat st;
    if (is_standard(path)) {
        return 0;
    }
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0) {
        const int error = errno;
        if (fd >= 0) {
            close(fd);
        }
        return failure_errno(command, path, error);
    }
    close(fd);
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0 || st.st_uid != geteuid()) {
        return failure_report(command, ARIL_E_IO_PERMISSION, "%s", path);
    }
    return 0;
}

bool file_begins(const char *path, const char *text)
{
    char head[64] = { 0 };
    const size_t len = strlen(text);
    if (len > sizeof head) {
        return false;
    }
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return false;
    }
    const ssize_t n = read(fd, head, len);
    close(fd);
    return n == (ssize_t)len && memcmp(head, text, len) == 0;
}

static bool write_all(int fd, aril_bytes bytes)
{
    size_t at = 0;
    while (at < bytes.len) {
        const ssize_t n = write(fd, bytes.data + at, bytes.len - at);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        at += n < 0 ? 0 : (size_t)n;
    }
    return true;
}

static bool sync_folder(const char *path)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash == NULL) {
        snprintf(dir, sizeof dir, ".");
    } else {
        slash[slash == dir ? 1 : 0] = '\0';
    }
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const bool done = fsync(fd) == 0;
    close(fd);
    return done;
}

/* Give the temporary file its name. errno is EEXIST when there is a file and no force. */
static bool publish(const char *temporary, const char *path, bool force)
{
    if (force) {
        return rename(temporary, path) == 0;
    }
    return link(temporary, path) == 0 && unlink(temporary) == 0;
}

/* Owner first: a change of it may take bits of the mode away. */
static bool make_like(int fd, const struct stat *like)
{
    struct stat now;
    if (like == NULL) {
        return true;
    }
    if (fstat(fd, &now) != 0) {
        return false;
    }
    const bool same = now.st_uid == like->st_uid && now.st_gid == like->st_gid;
    return (same || fchown(fd, like->st_uid, like->st_gid) == 0) &&
           fchmod(fd, like->st_mode & (S_IRWXU | S_IRWXG | S_IRWXO)) == 0;
}

/* like: NULL for a file of its own mode, 0600. */
static int store(const char *path, aril_bytes bytes, bool force, const struct stat *like)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary) {
        return ENAMETOOLONG;
    }
    const int fd = mkstemp(temporary);
    if (fd < 0) {
        return errno;
    }
    bool done = make_like(fd, like) && write_all(fd, bytes) && fsync(fd) == 0;
    int error = errno;
    if (close(fd) != 0 && done) {
        done = false;
        error = errno;
    }
    if (done) {
        done = publish(temporary, path, force) && sync_folder(path);
        error = errno;
    }
    if (!done) {
        (void)unlink(temporary);
    }
    return done ? 0 : error;
}

int file_store(const char *path, aril_bytes bytes, bool force)
{
    return store(path, bytes, force, NULL);
}

int file_replace(const char *path, aril_bytes bytes, const struct stat *like)
{
    return store(path, bytes, true, like);
}

static int write_file(const char *command, const char *path, aril_bytes bytes, bool force)
{
    const int error = file_store(path, bytes, force);
    if (error == EEXIST) {
        return failure_explain(command, ARIL_E_EXISTS, "--force replaces it",
                               "%s: exists and was left alone", path);
    }
    return error == 0 ? 0 : failure_errno(command, path, error);
}

int file_write(const char *command, const char *path, aril_bytes bytes, bool force)
{
    if (!is_standard(path)) {
        return write_file(command, path, bytes, force);
    }
    if (out_is_terminal()) {
        return failure_usage(command, "binary output does not go to a terminal; give --out a file "
                                      "name or redirect it");
    }
    fflush(stdout);
    if (!write_all(STDOUT_FILENO, bytes)) {
        return failure_errno(command, "standard output", errno);
    }
    return 0;
}
