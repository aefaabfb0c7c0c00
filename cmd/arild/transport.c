/* SPDX-License-Identifier: Apache-2.0 */
#include "transport.h"
#include "base/ensure.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECES_MAX     1024u /* IOV_MAX of Linux */
#define DISCARD_BYTES  4096u
#define DISCARD_ROUNDS 16

static bool would_block(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

aril_status transport_shake(struct transport *t, int *ret_wants)
{
    *ret_wants = 0;
    return t->tls == NULL ? ARIL_OK : arili_tls_shake(t->tls, ret_wants);
}

aril_status transport_try_read(struct transport *t, aril_span room, size_t *ret_len, int *ret_wants)
{
    *ret_len = 0;
    *ret_wants = 0;
    if (t->tls != NULL) {
        return arili_tls_try_read(t->tls, room.data, room.len, ret_len, ret_wants);
    }
    const ssize_t n = recv(t->fd, room.data, room.len, 0);
    if (n < 0) {
        if (!would_block(errno)) {
            return arili_fail(ARIL_E_IO);
        }
        *ret_wants = TRANSPORT_READABLE;
        return ARIL_OK;
    }
    *ret_len = (size_t)n;
    return ARIL_OK;
}

/* A long first piece as it is, else up to one record of copies. A record that has to be offered
 * again is never offered shorter: the first bytes stay, and more may have come behind them. */
static aril_bytes next_record(const struct iovec *pieces, size_t count, uint8_t *gather)
{
    if (count > 0 && pieces[0].iov_len >= TRANSPORT_GATHER_BYTES) {
        return (aril_bytes){ pieces[0].iov_base, pieces[0].iov_len };
    }
    size_t len = 0;
    for (size_t i = 0; i < count && len < TRANSPORT_GATHER_BYTES; i++) {
        const size_t room = TRANSPORT_GATHER_BYTES - len;
        const size_t n = pieces[i].iov_len < room ? pieces[i].iov_len : room;
        if (n > 0) {
            memcpy(gather + len, pieces[i].iov_base, n);
            len += n;
        }
    }
    return (aril_bytes){ gather, len };
}

aril_status transport_try_write(struct transport *t, const struct iovec *pieces, size_t count,
                                uint8_t *gather, size_t *ret_len, int *ret_wants)
{
    *ret_len = 0;
    *ret_wants = 0;
    if (t->tls != NULL) {
        return arili_tls_try_write(t->tls, next_record(pieces, count, gather), ret_len, ret_wants);
    }
    const int most = (int)(count < PIECES_MAX ? count : PIECES_MAX);
    const ssize_t n = writev(t->fd, pieces, most);
    if (n < 0) {
        if (!would_block(errno)) {
            return arili_fail(ARIL_E_IO);
        }
        *ret_wants = TRANSPORT_WRITABLE;
        return ARIL_OK;
    }
    *ret_len = (size_t)n;
    return ARIL_OK;
}

const char *transport_why(const struct transport *t)
{
    return t->tls != NULL ? arili_tls_why(t->tls) : "no TLS";
}

bool transport_has_pending(const struct transport *t)
{
    return t->tls != NULL && arili_tls_has_pending(t->tls);
}

/* Closing a socket with bytes unread resets the connection, and the peer may lose our last words:
 * why it was closed. A bounded amount is read and dropped. */
static void discard(int fd)
{
    uint8_t bytes[DISCARD_BYTES];
    for (int i = 0; i < DISCARD_ROUNDS; i++) {
        if (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) <= 0) {
            return;
        }
    }
}

void transport_close(struct transport *t)
{
    arili_tls_close(t->tls);
    t->tls = NULL;
    if (t->fd >= 0) {
        (void)shutdown(t->fd, SHUT_WR); /* one that was not connected says no */
        discard(t->fd);
        close(t->fd);
        t->fd = -1;
    }
}
