/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FAILING_VFS_H
#define ARIL_TESTS_FAILING_VFS_H
#include <stdbool.h>

/*
 * A file system for SQLite around the default one in which single calls fail. While it is
 * installed it is the default, so databases that are opened by the library go through it. It does
 * not wait for disks: what is synced is not, which makes sweeps quick.
 *
 * Databases that were opened while it was installed must be closed before it is removed. One
 * thread.
 */
enum failing_call {
    FAILING_WRITE = 1u << 0,
    FAILING_TORN = 1u << 1, /* a write of which the first half comes to the disk */
    FAILING_SYNC = 1u << 2,
    FAILING_OPEN = 1u << 3,
    FAILING_DELETE = 1u << 4,
    FAILING_DELETED = 1u << 5, /* the file is deleted, the reply is lost */
    FAILING_TRUNCATE = 1u << 6,
    FAILING_LOCK = 1u << 7,
    FAILING_READ = 1u << 8
};

void failing_vfs_install(void);
void failing_vfs_remove(void);
/* Whether files that are opened from now on have shared memory, so that a write-ahead log can be
 * used; not at first. FAILING_LOCK is then for its locks as well. */
void failing_vfs_share(bool share);

/* Let the nth of these calls from now answer that code of SQLite, with that errno; counted from
 * 1. forever: the calls after it as well. */
void failing_vfs_arm(unsigned calls, unsigned nth, int code, int reason, bool forever);
/* Let the process end by SIGKILL in the nth of these calls from now: in the middle of a write, else
 * before the call is done. */
void failing_vfs_arm_kill(unsigned calls, unsigned nth);
/* fired() keeps its answer until the next arm. */
void failing_vfs_disarm(void);
bool failing_vfs_fired(void);
#endif
