/* SPDX-License-Identifier: Apache-2.0 */
#include "standalone.h"
#include "base/ensure.h"
#include "driver.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_FOLDER "/var/lib/aril/standalone"
#define LOCK_WAIT_MS  2000u /* a server that was told to end may need a moment */
#define LOCK_EVERY_MS 20
#define NS_PER_MS     UINT64_C(1000000)

static aril_status failed(aril_error *error, const char *path)
{
    return arili_error_set(error, arili_fail(ARIL_E_IO), "%s: %s", path, strerror(errno));
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] != '/' ? NULL : value;
}

static aril_status choose(const char *data, char ret[PATH_MAX], aril_error *error)
{
    char room[2 * PATH_MAX];
    const char *xdg = variable("XDG_DATA_HOME");
    const char *home = variable("HOME");
    if (data != NULL && data[0] == '/') {
        snprintf(room, sizeof room, "%s", data);
    } else if (data != NULL && data[0] != '\0') {
        char here[PATH_MAX];
        if (getcwd(here, sizeof here) == NULL) {
            return failed(error, "the current folder");
        }
        snprintf(room, sizeof room, "%s/%s", here, data);
    } else if (data != NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE), "--data: an empty name");
    } else if (geteuid() == 0) {
        snprintf(room, sizeof room, "%s", SYSTEM_FOLDER);
    } else if (xdg != NULL) {
        snprintf(room, sizeof room, "%s/aril/standalone", xdg);
    } else if (home != NULL) {
        snprintf(room, sizeof room, "%s/.local/share/aril/standalone", home);
    } else {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "which folder? Give --data DIR or set HOME");
    }
    const size_t len = strlen(room);
    if (len >= PATH_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_LIMIT), "--data: longer than %d bytes",
                               PATH_MAX - 1);
    }
    memcpy(ret, room, len + 1);
    return ARIL_OK;
}

/* The folder and those above it, ours alone. */
static aril_status make_folder(char path[PATH_MAX], aril_error *error)
{
    struct stat st;
    for (char *at = path + 1;; at++) {
        at = strchr(at, '/');
        if (at != NULL) {
            *at = '\0';
        }
        const bool made = mkdir(path, S_IRWXU) == 0 || errno == EEXIST;
        const aril_status status = made ? ARIL_OK : failed(error, path);
        if (at == NULL || status != ARIL_OK) {
            ARILI_TRY(status);
            break;
        }
        *at = '/';
    }
    if (lstat(path, &st) != 0) {
        return failed(error, path);
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return arili_error_set(error, arili_fail(ARIL_E_IO_PERMISSION),
                               "%s: must be a folder of ours that nobody else can write to: chmod "
                               "700 it, or choose another --data",
                               path);
    }
    return ARIL_OK;
}

static aril_status lock_folder(struct standalone *s, aril_error *error)
{
    char path[PATH_MAX + 8];
    const uint64_t deadline_ns = monotonic_ns() + LOCK_WAIT_MS * NS_PER_MS;
    snprintf(path, sizeof path, "%s/lock", s->folder);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
    if (s->lock_fd < 0) {
        return failed(error, path);
    }
    while (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return failed(error, path);
        }
        if (monotonic_ns() >= deadline_ns) {
            return arili_error_set(error, arili_fail(ARIL_E_EXISTS),
                                   "%s: another arild --standalone uses this folder: stop it, or "
                                   "choose another --data",
                                   s->folder);
        }
        (void)poll(NULL, 0, LOCK_EVERY_MS);
    }
    return ARIL_OK;
}

aril_status standalone_open(struct standalone *s, const char *data, aril_error *error)
{
    ARILI_TRY(choose(data, s->folder, error));
    if (strlen(s->folder) + strlen("/" REDIS_SOCKET) > ARILI_ADDRESS_PATH_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_LIMIT),
                               "--data: longer than the path of a socket may be, which is %u bytes "
                               "with /" REDIS_SOCKET ": choose another one",
                               ARILI_ADDRESS_PATH_MAX);
    }
    ARILI_TRY(make_folder(s->folder, error));
    return lock_folder(s, error);
}

aril_status standalone_config(const struct standalone *s, const char *listen,
                              struct arili_proxy_config **ret, aril_error *error)
{
    static const char format[] = "keyring = keyring\n"
                                 "[upstream]\n"
                                 "server = redis+unix:" REDIS_SOCKET "\n"
                                 "[admin]\n"
                                 "address = unix:" STANDALONE_ADMIN "\n"
                                 "[tenant " STANDALONE_TENANT "]\n"
                                 "[listen]\n"
                                 "address = %s\n"
                                 "tenant = " STANDALONE_TENANT "\n";
    char path[PATH_MAX + 16]; /* relative names are those of its folder */
    char text[512 + sizeof format];
    char address[ARILI_ADDRESS_TEXT];
    snprintf(address, sizeof address, STANDALONE_HOST ":%u", STANDALONE_PORT);
    if (listen != NULL &&
        (strlen(listen) >= sizeof address || strpbrk(listen, "\r\n\"'#") != NULL)) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "--listen: not an address, as 127.0.0.1:6379 or /run/aril.sock");
    }
    snprintf(path, sizeof path, "%s/(standalone)", s->folder);
    snprintf(text, sizeof text, format, listen != NULL ? listen : address);
    ARILI_DEFER(arili_config_freep) struct arili_proxy_config *config = NULL;
    ARILI_TRY(arili_config_parse(path, (aril_bytes){ (const uint8_t *)text, strlen(text) }, &config,
                                 error));
    if (!arili_address_is_local(&config->listeners[0].address)) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "--listen %s: nobody has to say who he is, so standalone mode "
                               "serves this host alone: 127.0.0.1:PORT or the path of a socket",
                               listen);
    }
    *ret = ARILI_TAKE(config);
    return ARIL_OK;
}

void standalone_close(struct standalone *s)
{
    redis_stop(s->redis);
    s->redis = NULL;
    if (s->lock_fd >= 0) {
        close(s->lock_fd);
        s->lock_fd = -1;
    }
}
