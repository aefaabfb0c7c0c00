/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_PROCESS_H
#define ARILD_PROCESS_H
#include <aril/base.h>
#include <stdbool.h>
#include <sys/types.h>

/* What the process may and may not do. Everything here belongs before the first thread. */

/* No core files, no debugger of the same user, no new privileges through programs that it starts,
 * no files that others can read, no SIGPIPE. */
ARIL_MUST_USE aril_status process_protect(aril_error *error);

/* Raise the number of open files to at least wanted, and more where it costs nothing. LIMIT with
 * the remedy when that is not allowed. */
ARIL_MUST_USE aril_status process_raise_files(uint64_t wanted, aril_error *error);

/* Who a configuration wants us to be. */
struct process_user {
    bool wanted; /* false: stay who we are */
    uid_t uid;
    gid_t gid;
    char name[64];
};
/* user and group: names or numbers, or NULL. NOT_FOUND when there is no such one. */
ARIL_MUST_USE aril_status process_find_user(const char *user, const char *group,
                                            struct process_user *ret, aril_error *error);
/* Become that user for good: groups, group, user, and a look that there is no way back. Who is that
 * user already keeps it. IO_PERMISSION when it is not allowed. */
ARIL_MUST_USE aril_status process_become(const struct process_user *user, aril_error *error);
#endif
