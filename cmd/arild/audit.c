/* SPDX-License-Identifier: Apache-2.0 */
#include "audit.h"
#include "base/ensure.h"
#include "log.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AUDIT_MODE 0600

/* What failed, told once. Under lock. */
static void lose(struct audit *a, const char *why)
{
    atomic_fetch_add_explicit(&a->lost, 1, memory_order_relaxed);
    if (!a->failing) {
        log_line(LOG_ERROR, "the audit log cannot be written: %s; events are lost, and counted",
                 why);
    }
    a->failing = true;
}

/* line ends with LF. A line that was cut off, by a full disk, is ended first, so that only that one
 * is spoiled. Under lock. */
static void append(struct audit *a, const char *line, size_t len)
{
    if (a->torn) {
        if (write(a->fd, "\n", 1) != 1) {
            lose(a, strerror(errno));
            return;
        }
        a->torn = false;
    }
    const ssize_t n = write(a->fd, line, len);
    if (n >= 0 && (size_t)n == len) {
        if (a->failing) {
            a->failing = false;
            log_line(LOG_NOTE, "the audit log is written again; %llu events were lost so far",
                     (unsigned long long)atomic_load(&a->lost));
        }
        return;
    }
    a->torn = n > 0;
    lose(a, n < 0 ? strerror(errno) : "the disk is full");
}

static void on_event(void *state, const aril_event *event)
{
    struct audit *a = state;
    char line[ARIL_EVENT_JSON_BYTES + 1];
    size_t len = 0;
    const aril_status st = aril_audit_event_json(event, line, ARIL_EVENT_JSON_BYTES, &len);
    pthread_mutex_lock(&a->lock);
    if (st != ARIL_OK) {
        lose(a, aril_status_text(st));
    } else if (a->fd < 0) {
        log_line(LOG_NOTE, "audit %s", line);
    } else {
        line[len] = '\n';
        append(a, line, len + 1);
    }
    pthread_mutex_unlock(&a->lock);
}

void audit_init(struct audit *a)
{
    *a = (struct audit){ .fd = -1 };
    a->sink = (aril_audit_sink){ .abi = ARIL_AUDIT_SINK_ABI, .state = a, .event = on_event };
    (void)pthread_mutex_init(&a->lock, NULL); /* with default attributes it does not fail (glibc) */
}

static aril_status cannot(const char *path, aril_error *error)
{
    const int e = errno;
    const aril_status st = e == EACCES || e == EPERM || e == EROFS ? ARIL_E_IO_READ_ONLY
                           : e == ENOSPC || e == EDQUOT            ? ARIL_E_IO_FULL
                                                                   : ARIL_E_IO;
    return arili_error_set(error, arili_fail(st), "audit_log = %.400s: %s", path,
                           e == ELOOP ? "it is a symbolic link" : strerror(e));
}

/* A path that something else lies at is not appended to: a socket or a pipe would stop a loop. */
static aril_status judge(const char *path, int fd, aril_error *error)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return cannot(path, error);
    }
    if (!S_ISREG(st.st_mode)) {
        return arili_error_set(error, arili_fail(ARIL_E_IO),
                               "audit_log = %.400s: it is no regular file", path);
    }
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return arili_error_set(error, arili_fail(ARIL_E_IO_PERMISSION),
                               "audit_log = %.400s: others may write to it; chmod 600 it", path);
    }
    return ARIL_OK;
}

aril_status audit_open(const char *path, int *ret_fd, aril_error *error)
{
    *ret_fd = -1;
    if (path == NULL) {
        return ARIL_OK;
    }
    /* O_NONBLOCK: for what is no file, to be told at once. */
    const int fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, AUDIT_MODE);
    if (fd < 0) {
        return cannot(path, error);
    }
    const aril_status st = judge(path, fd, error);
    if (st != ARIL_OK) {
        close(fd);
        return st;
    }
    *ret_fd = fd;
    return ARIL_OK;
}

static void sync_and_close(int fd)
{
    if (fd >= 0) {
        if (fsync(fd) != 0) {
            log_line(LOG_WARN, "the audit log could not be synced: %s", strerror(errno));
        }
        close(fd);
    }
}

void audit_use(struct audit *a, int fd)
{
    pthread_mutex_lock(&a->lock);
    const int before = a->fd;
    a->fd = fd;
    a->torn = false;
    a->failing = false;
    pthread_mutex_unlock(&a->lock);
    sync_and_close(before); /* events go on meanwhile */
}

void audit_done(struct audit *a)
{
    audit_use(a, -1);
    pthread_mutex_destroy(&a->lock);
}
