/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_TRANSPORT_H
#define ARILD_TRANSPORT_H
#include "crypto/tls.h"
#include <aril/base.h>
#include <stdbool.h>
#include <sys/uio.h>

/*
 * A connected socket, plain or under TLS. Nothing here waits: *ret_wants is what the socket has to
 * be before the call can go on (TRANSPORT_READABLE, TRANSPORT_WRITABLE), 0 when it went on.
 */
enum { TRANSPORT_READABLE = ARILI_TLS_READABLE, TRANSPORT_WRITABLE = ARILI_TLS_WRITABLE };
#define TRANSPORT_GATHER_BYTES 16384u /* short runs go into one TLS record of at most this */

/* fd < 0 is the empty state. */
struct transport {
    int fd;                     /* owned */
    struct arili_tls_conn *tls; /* NULL: plain */
};
/* Also through a connection that was not made. */
ARIL_MUST_USE aril_status transport_shake(struct transport *t, int *ret_wants);
/* *ret_len 0 with *ret_wants 0: the other side has closed. room is not empty. */
ARIL_MUST_USE aril_status transport_try_read(struct transport *t, aril_span room, size_t *ret_len,
                                             int *ret_wants);
/* The first bytes of pieces. gather: TRANSPORT_GATHER_BYTES of scratch space of the caller's
 * thread. What could not be written is to be offered again, from the same byte on. */
ARIL_MUST_USE aril_status transport_try_write(struct transport *t, const struct iovec *pieces,
                                              size_t count, uint8_t *gather, size_t *ret_len,
                                              int *ret_wants);
/* Words for what failed, for the log; never NULL. */
const char *transport_why(const struct transport *t);
/* Bytes that the socket will not announce, since they were read from it already. */
bool transport_has_pending(const struct transport *t);
void transport_close(struct transport *t);
#endif
