/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* struct ucred */
#include "listen.h"
#include "base/ensure.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define INHERITED_FIRST 3 /* SD_LISTEN_FDS_START */
#define INHERITED_MAX   64
#define MODE_BITS       0777u

static int inherited[INHERITED_MAX]; /* -1: taken */
static size_t inherited_count;

static inline void close_fdp(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

static aril_status failed(const struct arili_listen_config *c, aril_error *error)
{
    char text[ARILI_ADDRESS_TEXT];
    const int why = errno;
    arili_address_text(&c->address, text);
    switch (why) {
    case EADDRINUSE:
        return arili_error_set(error, arili_fail(ARIL_E_EXISTS),
                               "listen %s: the address is in use: stop who uses it (ss -ltnp), or "
                               "choose another one",
                               text);
    case EACCES:
        return arili_error_set(error, arili_fail(ARIL_E_IO),
                               "listen %s: not allowed: ports below 1024 need root or "
                               "CAP_NET_BIND_SERVICE, a path a folder that can be written",
                               text);
    case EADDRNOTAVAIL:
        return arili_error_set(error, arili_fail(ARIL_E_NOT_FOUND),
                               "listen %s: this machine has no such address", text);
    default:
        return arili_error_set(error, arili_fail(ARIL_E_IO), "listen %s: %s", text, strerror(why));
    }
}

/* --- sockets of a service manager ------------------------------------------------------------ */

size_t listen_inherit(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *fds = getenv("LISTEN_FDS");
    char *end = NULL;
    const bool ours = pid != NULL && fds != NULL && strtoull(pid, NULL, 10) == (uint64_t)getpid();
    const unsigned long long count = ours ? strtoull(fds, &end, 10) : 0;
    inherited_count = 0;
    for (int fd = INHERITED_FIRST; inherited_count < count && inherited_count < INHERITED_MAX;
         fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
            break; /* there are fewer than was said */
        }
        inherited[inherited_count++] = fd;
    }
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return inherited_count;
}

size_t listen_inherited_left(void)
{
    size_t left = 0;
    for (size_t i = 0; i < inherited_count; i++) {
        left += inherited[i] >= 0;
    }
    return left;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b,
                         socklen_t len)
{
    if (a->ss_family != b->ss_family) {
        return false;
    }
    if (a->ss_family == AF_INET) {
        struct sockaddr_in x, y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return x.sin_port == y.sin_port && x.sin_addr.s_addr == y.sin_addr.s_addr;
    }
    if (a->ss_family == AF_INET6) {
        struct sockaddr_in6 x, y;
        memcpy(&x, a, sizeof x);
        memcpy(&y, b, sizeof y);
        return x.sin6_port == y.sin6_port &&
               memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0;
    }
    return a->ss_family == AF_UNIX && memcmp(a, b, len) == 0;
}

/* The descriptor that was handed over for that address; -1: none. */
static int take_inherited(const struct sockaddr_storage *wanted, socklen_t len)
{
    for (size_t i = 0; i < inherited_count; i++) {
        struct sockaddr_storage there = { 0 };
        socklen_t there_len = sizeof there;
        if (inherited[i] >= 0 &&
            getsockname(inherited[i], (struct sockaddr *)&there, &there_len) == 0 &&
            same_address(&there, wanted, len)) {
            const int fd = inherited[i];
            inherited[i] = -1;
            return fd;
        }
    }
    return -1;
}

/* --- UNIX sockets ---------------------------------------------------------------------------- */

/* Whether somebody accepts connections there. */
static bool is_alive(const struct sockaddr_un *a)
{
    ARILI_DEFER(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 || connect(fd, (const struct sockaddr *)(const void *)a, sizeof *a) == 0 ||
           (errno != ECONNREFUSED && errno != ENOENT);
}

static aril_status make_room(const struct arili_listen_config *c, const struct sockaddr_un *a,
                             aril_error *error)
{
    struct stat st;
    if (lstat(c->address.host, &st) != 0) {
        return errno == ENOENT ? ARIL_OK : failed(c, error);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return arili_error_set(error, arili_fail(ARIL_E_EXISTS),
                               "listen %s: there is a file that is no socket, and it was left "
                               "alone: choose another path",
                               c->address.host);
    }
    if (is_alive(a)) {
        errno = EADDRINUSE;
        return failed(c, error);
    }
    return unlink(c->address.host) == 0 || errno == ENOENT ? ARIL_OK : failed(c, error);
}

static aril_status open_unix(const struct arili_listen_config *c, const struct process_user *owner,
                             struct listener *l, aril_error *error)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const size_t len = strlen(c->address.host);
    if (len >= sizeof a.sun_path) {
        return arili_error_set(error, arili_fail(ARIL_E_LIMIT),
                               "listen %s: the path of a socket has %zu bytes at most",
                               c->address.host, sizeof a.sun_path - 1);
    }
    memcpy(a.sun_path, c->address.host, len);
    struct sockaddr_storage wanted = { 0 };
    memcpy(&wanted, &a, sizeof a);
    l->fd = take_inherited(&wanted, sizeof a);
    if (l->fd >= 0) {
        return ARIL_OK;
    }
    ARILI_TRY(make_room(c, &a, error));
    ARILI_DEFER(close_fdp) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return failed(c, error);
    }
    /* Nobody can connect before it has its owner and mode: until then it is ours alone. */
    const mode_t before = umask(S_IRWXG | S_IRWXO | S_IXUSR);
    const int bound = bind(fd, (const struct sockaddr *)(const void *)&a, sizeof a);
    const int why = errno;
    (void)umask(before);
    errno = why;
    struct stat st;
    if (bound != 0 || lstat(c->address.host, &st) != 0) {
        return failed(c, error);
    }
    l->made_path = true; /* from here listen_close() removes it */
    l->device = st.st_dev;
    l->inode = st.st_ino;
    if ((owner->wanted && geteuid() == 0 && lchown(c->address.host, owner->uid, owner->gid) != 0) ||
        chmod(c->address.host, c->mode & MODE_BITS) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        return failed(c, error);
    }
    l->fd = fd;
    fd = -1;
    return ARIL_OK;
}

/* --- TCP ------------------------------------------------------------------------------------- */

static int bind_tcp(const struct addrinfo *ai, bool both)
{
    const int on = 1;
    const int only = both ? 0 : 1;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        (ai->ai_family != AF_INET6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == 0) &&
        bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG) == 0) {
        return fd;
    }
    const int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static inline void addrinfo_freep(struct addrinfo **ai)
{
    if (*ai != NULL) {
        freeaddrinfo(*ai);
    }
}

static void note_port(struct listener *l)
{
    struct sockaddr_storage a = { 0 };
    socklen_t len = sizeof a;
    if (getsockname(l->fd, (struct sockaddr *)&a, &len) != 0) {
        return;
    }
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, &a, sizeof v4);
    memcpy(&v6, &a, sizeof v6);
    l->address.port = ntohs(a.ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
}

static aril_status open_tcp(const struct arili_listen_config *c, struct listener *l,
                            aril_error *error)
{
    const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                    .ai_socktype = SOCK_STREAM };
    const bool any = strcmp(c->address.host, "*") == 0;
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)c->address.port);
    ARILI_DEFER(addrinfo_freep) struct addrinfo *found = NULL;
    const int rc = getaddrinfo(any ? "::" : c->address.host, port, &hints, &found);
    if (rc != 0) {
        return arili_error_set(error, arili_fail(ARIL_E_NOT_FOUND), "listen %s: %s",
                               c->address.host, gai_strerror(rc));
    }
    struct sockaddr_storage wanted = { 0 };
    memcpy(&wanted, found->ai_addr, found->ai_addrlen);
    l->fd = take_inherited(&wanted, found->ai_addrlen);
    if (l->fd < 0) {
        l->fd = bind_tcp(found, any);
    }
    if (l->fd < 0 && any && errno == EAFNOSUPPORT) { /* a kernel without IPv6 */
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(c->address.port) };
        const struct addrinfo all = { .ai_family = AF_INET,
                                      .ai_addr = (struct sockaddr *)(void *)&v4,
                                      .ai_addrlen = sizeof v4 };
        l->fd = bind_tcp(&all, false);
    }
    if (l->fd < 0) {
        return failed(c, error);
    }
    note_port(l);
    return ARIL_OK;
}

aril_status listen_open(const struct arili_listen_config *config, uint32_t index,
                        const struct process_user *owner, struct listener *ret, aril_error *error)
{
    struct listener l = { .fd = -1, .index = index, .address = config->address };
    aril_status st =
        config->address.is_unix ? open_unix(config, owner, &l, error) : open_tcp(config, &l, error);
    if (st == ARIL_OK && fcntl(l.fd, F_SETFL, O_NONBLOCK) != 0) { /* of one that was handed over */
        st = failed(config, error);
    }
    if (st != ARIL_OK) {
        listen_close(&l);
        return st;
    }
    *ret = l;
    return ARIL_OK;
}

void listen_close(struct listener *listener)
{
    struct stat st;
    if (listener->fd >= 0) {
        close(listener->fd);
        listener->fd = -1;
    }
    if (listener->made_path && lstat(listener->address.host, &st) == 0 &&
        st.st_dev == listener->device && st.st_ino == listener->inode) {
        (void)unlink(listener->address.host); /* a folder that we may not write any more keeps it */
    }
    listener->made_path = false;
}

/* A number of IPv4 or IPv6; one of IPv4 that came in as IPv6 is shown as what it is. */
static void show_number(const struct sockaddr_storage *a, char *ret, size_t cap, uint16_t *ret_port)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memcpy(&v4, a, sizeof v4);
    memcpy(&v6, a, sizeof v6);
    if (a->ss_family == AF_INET) {
        (void)inet_ntop(AF_INET, &v4.sin_addr, ret, (socklen_t)cap);
        *ret_port = ntohs(v4.sin_port);
        return;
    }
    *ret_port = ntohs(v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        (void)inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], ret, (socklen_t)cap);
    } else {
        (void)inet_ntop(AF_INET6, &v6.sin6_addr, ret, (socklen_t)cap);
    }
}

void listen_identify(int fd, struct arili_identity *ret)
{
    struct sockaddr_storage a = { 0 };
    socklen_t len = sizeof a;
    *ret = (struct arili_identity){ .has_peer_cred = false };
    snprintf(ret->address, sizeof ret->address, "?");
    if (getpeername(fd, (struct sockaddr *)&a, &len) != 0) {
        return;
    }
    if (a.ss_family == AF_UNIX) {
        struct ucred peer;
        socklen_t peer_len = sizeof peer;
        snprintf(ret->address, sizeof ret->address, "unix");
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) == 0 &&
            peer_len == sizeof peer && peer.uid != (uid_t)-1) {
            ret->has_peer_cred = true;
            ret->uid = peer.uid;
            ret->gid = peer.gid;
            snprintf(ret->address, sizeof ret->address, "unix:%u", (unsigned)peer.uid);
        }
        return;
    }
    uint16_t peer_port = 0;
    show_number(&a, ret->address, sizeof ret->address, &peer_port);
    len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) == 0) {
        show_number(&a, ret->local.host, sizeof ret->local.host, &ret->local.port);
    }
}
