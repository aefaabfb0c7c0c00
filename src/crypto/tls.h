/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_TLS_H
#define ARILI_CRYPTO_TLS_H
#include <aril/runtime.h>
#include <stdbool.h>

/*
 * TLS 1.3 clients over a socket that the caller made, with X25519MLKEM768 as the first key share.
 * One file knows libssl: openssl_tls.c. What a peer may choose: X25519MLKEM768, X25519, P-256,
 * in that order; strict: SecP384r1MLKEM1024 or MLKEM1024 alone.
 *
 * A configuration may be used from any thread; a connection by one at a time. Sockets are
 * non-blocking; the functions wait with poll() until deadline_ns (CLOCK_MONOTONIC).
 */
struct arili_tls_config {
    const char *ca_path;   /* PEM; NULL: the system's */
    const char *cert_path; /* PEM, client certificate; NULL: none */
    const char *key_path;
    bool strict;
};
struct arili_tls;      /* what connections share */
struct arili_tls_conn; /* one connection */

/* ARIL_E_NOT_FOUND, IO_PERMISSION, FORMAT for the files; the message names them. */
ARIL_MUST_USE aril_status arili_tls_new(aril_runtime *rt, const struct arili_tls_config *config,
                                        struct arili_tls **ret, aril_error *error);
void arili_tls_free(struct arili_tls *tls);

/* Handshake on fd, which stays the caller's. host: what the certificate must be for, a name or an
 * IP address. ARIL_E_TRUST when the certificate does not fit, ARIL_E_TIMEOUT, ARIL_E_IO. */
ARIL_MUST_USE aril_status arili_tls_connect(struct arili_tls *tls, int fd, const char *host,
                                            uint64_t deadline_ns, struct arili_tls_conn **ret,
                                            aril_error *error);
void arili_tls_close(struct arili_tls_conn *conn); /* accepts NULL; does not wait */
/* Read what there is, 1 to cap bytes; 0 when the peer has closed properly. */
ARIL_MUST_USE aril_status arili_tls_read(struct arili_tls_conn *conn, uint8_t *ret, size_t cap,
                                         uint64_t deadline_ns, size_t *ret_len);
/* Write all of it. */
ARIL_MUST_USE aril_status arili_tls_write(struct arili_tls_conn *conn, aril_bytes bytes,
                                          uint64_t deadline_ns);
/*
 * Without waiting, for event loops; servers too. A connection is made, then arili_tls_shake() until
 * it is done. *ret_wants is what the socket has to be before the call can go on; 0: it went on.
 */
enum { ARILI_TLS_READABLE = 1, ARILI_TLS_WRITABLE = 2 };
struct arili_tls_server_config {
    const char *cert_path, *key_path; /* PEM: chain, and private key */
    const char *client_ca_path;       /* NULL: clients are not asked for a certificate */
    bool client_required;             /* without one there is no connection */
    bool strict;
};
ARIL_MUST_USE aril_status arili_tls_server_new(aril_runtime *rt,
                                               const struct arili_tls_server_config *config,
                                               struct arili_tls **ret, aril_error *error);
/* A server's connection for an accepted socket; and a client's. fd stays the caller's. */
ARIL_MUST_USE aril_status arili_tls_accept_on(struct arili_tls *tls, int fd,
                                              struct arili_tls_conn **ret);
ARIL_MUST_USE aril_status arili_tls_connect_on(struct arili_tls *tls, int fd, const char *host,
                                               struct arili_tls_conn **ret);
/* TRUST, FORMAT (class), IO. */
ARIL_MUST_USE aril_status arili_tls_shake(struct arili_tls_conn *conn, int *ret_wants);
/* *ret_len 0 with *ret_wants 0: the peer has closed properly. */
ARIL_MUST_USE aril_status arili_tls_try_read(struct arili_tls_conn *conn, uint8_t *ret, size_t cap,
                                             size_t *ret_len, int *ret_wants);
ARIL_MUST_USE aril_status arili_tls_try_write(struct arili_tls_conn *conn, aril_bytes bytes,
                                              size_t *ret_len, int *ret_wants);
/* Bytes that were decrypted and not read: the socket will not say so. */
bool arili_tls_has_pending(const struct arili_tls_conn *conn);
/* SHA-256 of the peer certificate's subject public key info; NOT_FOUND without one. */
ARIL_MUST_USE aril_status arili_tls_peer_key(const struct arili_tls_conn *conn, uint8_t ret[32]);
/* "X25519MLKEM768": the key agreement that was used. Static storage. */
const char *arili_tls_group(const struct arili_tls_conn *conn);
#endif
