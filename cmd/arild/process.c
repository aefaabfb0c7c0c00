/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* setresuid(), getresuid() */
#include "process.h"
#include "base/ensure.h"
#include <errno.h>
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

#define LOOKUP_BYTES 16384u
#define GROUPS_MAX   256

static aril_status failed(aril_error *error, const char *what)
{
    return arili_error_set(error, arili_fail(ARIL_E_IO), "%s: %s", what, strerror(errno));
}

aril_status process_protect(aril_error *error)
{
    const struct rlimit none = { 0, 0 };
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return failed(error, "PR_SET_DUMPABLE");
    }
    if (setrlimit(RLIMIT_CORE, &none) != 0) {
        return failed(error, "RLIMIT_CORE");
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return failed(error, "PR_SET_NO_NEW_PRIVS");
    }
    (void)umask(S_IRWXG | S_IRWXO);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return failed(error, "SIGPIPE");
    }
    return ARIL_OK;
}

aril_status process_raise_files(uint64_t wanted, aril_error *error)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return failed(error, "RLIMIT_NOFILE");
    }
    if (limit.rlim_max < wanted) {
        const struct rlimit more = { wanted, wanted };
        if (setrlimit(RLIMIT_NOFILE, &more) == 0) { /* root may */
            return ARIL_OK;
        }
        return arili_error_set(error, arili_fail(ARIL_E_LIMIT),
                               "%llu open files are needed and %llu are allowed: raise "
                               "LimitNOFILE= of the unit or ulimit -n, or lower clients_max",
                               (unsigned long long)wanted, (unsigned long long)limit.rlim_max);
    }
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return failed(error, "RLIMIT_NOFILE");
        }
    }
    return ARIL_OK;
}

/* A number that is no name, as in user = 1000. */
static bool read_id(const char *text, unsigned long *ret)
{
    char *end = NULL;
    errno = 0;
    const unsigned long v = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != '\0' || v >= UINT32_MAX) {
        return false; /* (uid_t)-1 means "leave it" in system calls */
    }
    *ret = v;
    return true;
}

static aril_status find_passwd(const char *user, struct process_user *ret, aril_error *error)
{
    char room[LOOKUP_BYTES];
    struct passwd entry;
    struct passwd *found = NULL;
    unsigned long id = 0;
    int rc = getpwnam_r(user, &entry, room, sizeof room, &found);
    if (found == NULL && read_id(user, &id)) {
        rc = getpwuid_r((uid_t)id, &entry, room, sizeof room, &found);
        if (found == NULL) { /* a user that nothing is known of: its own group */
            ret->uid = (uid_t)id;
            ret->gid = (gid_t)id;
            snprintf(ret->name, sizeof ret->name, "%lu", id);
            return ARIL_OK;
        }
    }
    if (found == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOT_FOUND), "user = %.64s: %s", user,
                               rc == 0 ? "there is no such user" : strerror(rc));
    }
    ret->uid = entry.pw_uid;
    ret->gid = entry.pw_gid;
    snprintf(ret->name, sizeof ret->name, "%.60s", entry.pw_name);
    return ARIL_OK;
}

static aril_status find_group(const char *group, gid_t *ret, aril_error *error)
{
    char room[LOOKUP_BYTES];
    struct group entry;
    struct group *found = NULL;
    unsigned long id = 0;
    const int rc = getgrnam_r(group, &entry, room, sizeof room, &found);
    if (found != NULL) {
        *ret = entry.gr_gid;
        return ARIL_OK;
    }
    if (read_id(group, &id)) {
        *ret = (gid_t)id;
        return ARIL_OK;
    }
    return arili_error_set(error, arili_fail(ARIL_E_NOT_FOUND), "group = %.64s: %s", group,
                           rc == 0 ? "there is no such group" : strerror(rc));
}

aril_status process_find_user(const char *user, const char *group, struct process_user *ret,
                              aril_error *error)
{
    struct process_user found = { .uid = geteuid(), .gid = getegid() };
    if (user != NULL) {
        ARILI_TRY(find_passwd(user, &found, error));
        found.wanted = true;
    }
    if (group != NULL) {
        ARILI_TRY(find_group(group, &found.gid, error));
        found.wanted = true;
    }
    *ret = found;
    return ARIL_OK;
}

static bool is_only(const struct process_user *u)
{
    uid_t uids[3];
    gid_t gids[3];
    if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 ||
        getresgid(&gids[0], &gids[1], &gids[2]) != 0) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (uids[i] != u->uid || gids[i] != u->gid) {
            return false;
        }
    }
    return true;
}

/* The groups of the user, for key files that a group may read; without a name its group alone. */
static int set_groups(const struct process_user *u)
{
    gid_t groups[GROUPS_MAX];
    int count = GROUPS_MAX;
    if (u->name[0] == '\0' || getgrouplist(u->name, u->gid, groups, &count) < 0) {
        groups[0] = u->gid;
        count = 1;
    }
    return setgroups((size_t)count, groups);
}

aril_status process_become(const struct process_user *user, aril_error *error)
{
    if (!user->wanted || (is_only(user) && geteuid() != 0)) {
        return ARIL_OK;
    }
    if (geteuid() != 0) {
        return arili_error_set(error, arili_fail(ARIL_E_IO_PERMISSION),
                               "user = %s: only root can become another user: start arild as "
                               "root, or leave user and group out",
                               user->name[0] == '\0' ? "(this one)" : user->name);
    }
    if (set_groups(user) != 0) {
        return failed(error, "setgroups");
    }
    if (setresgid(user->gid, user->gid, user->gid) != 0) {
        return failed(error, "setgid");
    }
    if (setresuid(user->uid, user->uid, user->uid) != 0) {
        return failed(error, "setuid");
    }
    if (!is_only(user) || (user->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))) {
        return arili_error_set(error, arili_fail(ARIL_E_IO), "privileges could not be dropped");
    }
    /* The kernel made it what suid_dumpable says. */
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? ARIL_OK : failed(error, "PR_SET_DUMPABLE");
}
