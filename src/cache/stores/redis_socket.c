/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/stores/redis_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
/* A peer that is gone without a word is noticed after 15 + 3 * 5 seconds. */
#define KEEP_IDLE_S     15
#define KEEP_INTERVAL_S 5
#define KEEP_PROBES     3
#define TLS_PIECE_BYTES 16384u

uint64_t arili_redis_now_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int arili_redis_poll_ms(uint64_t deadline_ns)
{
    const uint64_t now = arili_redis_now_ns();
    if (now >= deadline_ns) {
        return 0;
    }
    const uint64_t ms = (deadline_ns - now - 1) / NS_PER_MS + 1;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static aril_status failed(const struct arili_redis_socket *s, const char *what, int reason,
                          aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_IO), "%s: %s: %s; check that it is running",
                           s->name, what, strerror(reason));
}

static aril_status closed(const struct arili_redis_socket *s, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_IO),
                           "%s: the server closed the connection; look at its log", s->name);
}

aril_status arili_redis_socket_wait(struct arili_redis_socket *s, short events,
                                    uint64_t deadline_ns, aril_error *error)
{
    for (;;) {
        struct pollfd fds[2] = { { .fd = s->fd, .events = events },
                                 { .fd = s->stop_fd, .events = POLLIN } };
        const int ms = arili_redis_poll_ms(deadline_ns);
        const int n = poll(fds, 2, ms);
        if (n < 0 && errno != EINTR) {
            return failed(s, "waiting", errno, error);
        }
        if (n > 0 && fds[1].revents != 0) {
            return arili_fail(ARIL_E_INTERRUPTED);
        }
        if (n > 0 && fds[0].revents != 0) {
            return ARIL_OK;
        }
        if (ms == 0) {
            return arili_error_set(error, arili_fail(ARIL_E_TIMEOUT),
                                   "%s: no answer within the deadline; check its load, or raise "
                                   "deadline_ms",
                                   s->name);
        }
    }
}

/* Where an option is not to be had, the connection works without it. */
static void tune(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        { IPPROTO_TCP, TCP_NODELAY, 1 },
        { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE_S },
        { IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL_S },
        { IPPROTO_TCP, TCP_KEEPCNT, KEEP_PROBES },
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
                         sizeof options[i].value);
    }
}

/* Connects s->fd. */
static aril_status dial(struct arili_redis_socket *s, const struct sockaddr *at, socklen_t len,
                        uint64_t deadline_ns, aril_error *error)
{
    s->fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0) {
        return failed(s, "no socket", errno, error);
    }
    if (at->sa_family != AF_UNIX) {
        tune(s->fd);
    }
    if (connect(s->fd, at, len) == 0) {
        return ARIL_OK;
    }
    /* EAGAIN is a UNIX socket whose queue is full: the server does not take connections. */
    if (errno != EINPROGRESS) {
        return failed(s, "it cannot be reached", errno, error);
    }
    ARILI_TRY(arili_redis_socket_wait(s, POLLOUT, deadline_ns, error));
    int reason = 0;
    socklen_t size = sizeof reason;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &reason, &size) != 0) {
        reason = errno;
    }
    return reason == 0 ? ARIL_OK : failed(s, "it cannot be reached", reason, error);
}

aril_status arili_redis_socket_open(struct arili_redis_socket *s,
                                    const struct arili_redis_address *address,
                                    const struct arili_redis_resolved *resolved,
                                    struct arili_tls *tls, uint64_t deadline_ns, aril_error *error)
{
    aril_status st = ARIL_E_IO;
    s->fd = -1;
    for (size_t i = 0; i < resolved->count; i++) {
        /* Each address but the last gets a share, so that one that is silent does not take all. */
        const uint64_t now = arili_redis_now_ns();
        const uint64_t share = now < deadline_ns ? (deadline_ns - now) / (resolved->count - i) : 0;
        st = dial(s, (const struct sockaddr *)&resolved->addresses[i].at,
                  resolved->addresses[i].len, now + share, error);
        if (st == ARIL_OK || st == ARIL_E_INTERRUPTED) {
            break;
        }
        arili_redis_socket_close(s);
    }
    if (st == ARIL_OK && tls != NULL) {
        st = arili_tls_connect(tls, s->fd, address->host, deadline_ns, &s->tls, error);
    }
    if (st != ARIL_OK) {
        arili_redis_socket_close(s);
    }
    return st;
}

void arili_redis_socket_close(struct arili_redis_socket *s)
{
    arili_tls_close(s->tls);
    s->tls = NULL;
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    s->fd = -1;
}

/* A deadline that has passed: TLS gives what is there, and else says so. */
static aril_status tls_read(struct arili_redis_socket *s, const struct iovec *iov, size_t *ret_len,
                            aril_error *error)
{
    const aril_status st = arili_tls_read(s->tls, iov->iov_base, iov->iov_len, 1, ret_len);
    if (st == ARIL_E_TIMEOUT) {
        *ret_len = 0;
        return ARIL_OK;
    }
    if (st != ARIL_OK) {
        return arili_error_set(error, st, "%s: TLS failed while reading; look at the server's log",
                               s->name);
    }
    return *ret_len > 0 ? ARIL_OK : closed(s, error);
}

aril_status arili_redis_socket_read(struct arili_redis_socket *s, const struct iovec *iov,
                                    size_t count, size_t *ret_len, aril_error *error)
{
    *ret_len = 0;
    if (s->tls != NULL) {
        return tls_read(s, iov, ret_len, error);
    }
    for (;;) {
        /* Neither call writes to the vector; the type is POSIX's. */
        struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = count };
        const ssize_t n = recvmsg(s->fd, &message, 0);
        if (n > 0) {
            *ret_len = (size_t)n;
            return ARIL_OK;
        }
        if (n == 0) {
            return closed(s, error);
        }
        if (errno == EAGAIN) {
            return ARIL_OK;
        }
        if (errno != EINTR) {
            return failed(s, "reading", errno, error);
        }
    }
}

static aril_status tls_write(struct arili_redis_socket *s, const struct iovec *iov,
                             uint64_t deadline_ns, size_t *ret_len, aril_error *error)
{
    const size_t len = iov->iov_len < TLS_PIECE_BYTES ? iov->iov_len : TLS_PIECE_BYTES;
    const aril_status st = arili_tls_write(s->tls, (aril_bytes){ iov->iov_base, len }, deadline_ns);
    if (st != ARIL_OK) {
        return arili_error_set(error, st, "%s: TLS failed while writing; look at the server's log",
                               s->name);
    }
    *ret_len = len;
    return ARIL_OK;
}

aril_status arili_redis_socket_write(struct arili_redis_socket *s, const struct iovec *iov,
                                     size_t count, uint64_t deadline_ns, size_t *ret_len,
                                     aril_error *error)
{
    *ret_len = 0;
    if (s->tls != NULL) {
        return tls_write(s, iov, deadline_ns, ret_len, error);
    }
    for (;;) {
        const struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = count };
        const ssize_t n = sendmsg(s->fd, &message, MSG_NOSIGNAL);
        if (n >= 0) {
            *ret_len = (size_t)n;
            return ARIL_OK;
        }
        if (errno == EAGAIN) {
            return ARIL_OK;
        }
        if (errno != EINTR) {
            return failed(s, "writing", errno, error);
        }
    }
}

bool arili_redis_socket_quiet(struct arili_redis_socket *s)
{
    struct pollfd fd = { .fd = s->fd, .events = POLLIN };
    if (poll(&fd, 1, 0) == 0) {
        return true;
    }
    /* Over TLS there may be tickets, which are no answer. */
    uint8_t byte = 0;
    const struct iovec iov = { &byte, 1 };
    size_t len = 0;
    return s->tls != NULL && tls_read(s, &iov, &len, NULL) == ARIL_OK && len == 0;
}
