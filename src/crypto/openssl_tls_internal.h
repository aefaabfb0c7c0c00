/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_OPENSSL_TLS_INTERNAL_H
#define ARILI_CRYPTO_OPENSSL_TLS_INTERNAL_H
#include "crypto/openssl_internal.h"
#include "crypto/tls.h"
#include <openssl/ssl.h>
#include <stdatomic.h>

/* Shared by crypto/openssl_tls*.c only. */

struct arili_tls {
    aril_runtime *rt; /* held */
    atomic_uint refs; /* the owner's, and one of each connection */
    bool server;
    const char *groups;
    SSL_CTX *ctx;
    BIO_METHOD *socket; /* how libssl reads and writes */
};

struct arili_tls_conn {
    struct arili_tls *tls; /* held */
    SSL *ssl;
    int fd;             /* the caller's */
    int reason;         /* errno of the last read or write that failed; 0: none */
    bool eof;           /* of the socket */
    bool ready;         /* the handshake is done */
    bool more;          /* a read has something to tell that the socket will not */
    size_t unsent;      /* bytes of the record that libssl has still to send */
    aril_status failed; /* no more records can be exchanged */
    const char *why;    /* static; NULL: it did not fail, or gave no reason */
};

ARIL_MUST_USE aril_status arili_tls_socket_method(BIO_METHOD **ret);
/* *ret is in no role yet. */
ARIL_MUST_USE aril_status arili_tls_conn_new(struct arili_tls *tls, int fd,
                                             struct arili_tls_conn **ret);
void arili_tls_conn_freep(struct arili_tls_conn **conn);
/* host is what the certificate must be for; USAGE_RANGE. */
ARIL_MUST_USE aril_status arili_tls_set_host(struct arili_tls_conn *c, const char *host);

/* What a call of libssl that gave result wants of the socket; 0 when it failed. */
int arili_tls_wants(struct arili_tls_conn *c, int result);
/* It failed: c->failed and c->why, from OpenSSL's error queue, which is empty then. others: the
 * status of what is neither about certificates nor for want of memory. */
__attribute__((cold)) aril_status arili_tls_give_up(struct arili_tls_conn *c, aril_status others);
#endif
