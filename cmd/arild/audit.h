/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_AUDIT_H
#define ARILD_AUDIT_H
#include <aril/audit.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/*
 * Where audit events go: lines of JSON, each in one write() to a file that is only appended to, or
 * to the log where there is no file. Loops call it, so it never waits for the disk: lines are
 * handed to the system, and synced when the file is closed. What cannot be written is counted; the
 * log says so once, and once more when it works again.
 *
 * Threads: the sink any; the functions here one at a time.
 */
struct audit {
    aril_audit_sink sink;
    pthread_mutex_t lock; /* of what follows */
    int fd;               /* -1: to the log */
    bool torn;            /* the last line in the file has no end */
    bool failing;         /* the log was told */
    _Atomic uint64_t lost;
};
/* To the log at first. a stays where it is. */
void audit_init(struct audit *a);
/* Open path for appending, and make it with mode 0600 where it is missing; *ret_fd is to be given
 * to audit_use(), or closed. NULL: -1, the log. IO (class); IO_PERMISSION for a file that others
 * may write to. The message names it. */
ARIL_MUST_USE aril_status audit_open(const char *path, int *ret_fd, aril_error *error);
/* From now on. Takes fd; the file before is synced and closed. */
void audit_use(struct audit *a, int fd);
void audit_done(struct audit *a);
#endif
