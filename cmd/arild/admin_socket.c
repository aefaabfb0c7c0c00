/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_socket.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

union socket_name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

__attribute__((format(printf, 4, 5))) static aril_status fail(const struct arili_address *address,
                                                              aril_status st, aril_error *error,
                                                              const char *format, ...)
{
    char where[ARILI_ADDRESS_TEXT];
    char what[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    arili_address_text(address, where);
    if (error != NULL) {
        error->status = st;
        (void)snprintf(error->message, sizeof error->message, "admin listener %.120s: %.159s",
                       where, what);
    }
    return st;
}

/* Numbers alone, so that what resolves "localhost" has no say in who can connect. 0: not loopback.
 */
static socklen_t make_name(const struct arili_address *a, union socket_name *ret)
{
    const char *host = strcmp(a->host, "localhost") == 0 ? "127.0.0.1" : a->host;
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(a->port);
        return ntohl(ret->v4.sin_addr.s_addr) >> 24 == 127 ? sizeof ret->v4 : 0;
    }
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(a->port);
        return IN6_IS_ADDR_LOOPBACK(&ret->v6.sin6_addr) ? sizeof ret->v6 : 0;
    }
    return 0;
}

static int make_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static aril_status open_tcp(struct admin_socket *s, aril_error *error)
{
    union socket_name name;
    socklen_t len = make_name(&s->address, &name);
    const int on = 1;
    if (len == 0) {
        return fail(&s->address, ARIL_E_USAGE_RANGE, error,
                    "not loopback; use 127.0.0.1:PORT, [::1]:PORT or the path of a UNIX socket");
    }
    s->fd = make_socket(name.any.sa_family);
    if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(s->fd, &name.any, len) != 0 || listen(s->fd, BACKLOG) != 0 ||
        getsockname(s->fd, &name.any, &len) != 0) {
        const int reason = errno;
        return fail(&s->address, reason == EADDRINUSE ? ARIL_E_EXISTS : ARIL_E_IO, error, "%s",
                    strerror(reason));
    }
    s->address.port = ntohs(name.any.sa_family == AF_INET ? name.v4.sin_port : name.v6.sin6_port);
    return ARIL_OK;
}

/* Removes a socket that nobody listens on. */
static aril_status remove_stale(const struct admin_socket *s, const union socket_name *name,
                                aril_error *error)
{
    const char *path = name->un.sun_path;
    struct stat st;
    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? ARIL_OK
                               : fail(&s->address, ARIL_E_IO, error, "%s", strerror(errno));
    }
    if (!S_ISSOCK(st.st_mode)) {
        return fail(&s->address, ARIL_E_EXISTS, error, "there is something that is no socket");
    }
    const int fd = make_socket(AF_UNIX);
    const bool dead =
        fd >= 0 && connect(fd, &name->any, sizeof name->un) != 0 && errno == ECONNREFUSED;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (!dead) {
        return fail(&s->address, ARIL_E_EXISTS, error, "another process listens there");
    }
    return unlink(path) == 0 || errno == ENOENT
               ? ARIL_OK
               : fail(&s->address, ARIL_E_IO, error, "%s", strerror(errno));
}

static aril_status open_unix(struct admin_socket *s, aril_error *error)
{
    union socket_name name = { .un = { .sun_family = AF_UNIX } };
    struct stat st;
    const size_t len = strlen(s->address.host);
    if (len == 0 || len >= sizeof name.un.sun_path) {
        return fail(&s->address, ARIL_E_USAGE_RANGE, error,
                    "the path of a UNIX socket has 1 to %zu bytes", sizeof name.un.sun_path - 1);
    }
    memcpy(name.un.sun_path, s->address.host, len + 1);
    const aril_status stale = remove_stale(s, &name, error);
    if (stale != ARIL_OK) {
        return stale;
    }
    s->fd = make_socket(AF_UNIX);
    /* The mode is right from the first moment on. */
    const mode_t mask = umask(S_IXUSR | S_IRWXG | S_IRWXO);
    const bool bound = s->fd >= 0 && bind(s->fd, &name.any, sizeof name.un) == 0;
    int reason = errno;
    (void)umask(mask);
    if (bound && (lstat(name.un.sun_path, &st) != 0 || listen(s->fd, BACKLOG) != 0)) {
        reason = errno;
        (void)unlink(name.un.sun_path);
    } else if (bound) {
        s->device = st.st_dev;
        s->inode = st.st_ino;
        return ARIL_OK;
    }
    return fail(&s->address, reason == EADDRINUSE ? ARIL_E_EXISTS : ARIL_E_IO, error, "%s",
                strerror(reason));
}

aril_status admin_socket_open(const struct arili_address *address, struct admin_socket *ret,
                              aril_error *error)
{
    struct admin_socket s = { .fd = -1, .address = *address };
    const aril_status st = address->is_unix ? open_unix(&s, error) : open_tcp(&s, error);
    if (st != ARIL_OK) {
        if (s.fd >= 0) {
            (void)close(s.fd);
        }
        return st;
    }
    *ret = s;
    return ARIL_OK;
}

void admin_socket_remove(const struct admin_socket *s)
{
    struct stat st;
    if (s->address.is_unix && lstat(s->address.host, &st) == 0 && st.st_dev == s->device &&
        st.st_ino == s->inode) {
        (void)unlink(s->address.host);
    }
}
