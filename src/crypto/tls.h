/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_TLS_H
#define ARILI_CRYPTO_TLS_H
#include <aril/runtime.h>
#include <stdbool.h>

/*
 * TLS 1.3 over a socket that the caller made, with X25519MLKEM768 as the first key share. Only
 * openssl_tls*.c know libssl. What a peer may choose: X25519MLKEM768, X25519, P-256, in that
 * order; strict: SecP384r1MLKEM1024 or MLKEM1024 alone. Servers resume no sessions and ask a client
 * that can do X25519MLKEM768 for it, whatever it began with. There is no ALPN.
 *
 * A configuration may be used from any thread; a connection by one at a time. A connection keeps
 * what it needs of its configuration, which may be freed before it. Sockets are non-blocking; the
 * functions of the first part are for clients, and wait with poll() until deadline_ns
 * (CLOCK_MONOTONIC).
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
 *
 * A failure is final: later calls give the same status, nothing is sent any more, and all that is
 * left is arili_tls_why() and arili_tls_close(). ARIL_E_TRUST: a certificate of one side was not
 * taken by the other, or one is missing; FORMAT (class): what came is not TLS 1.3 as demanded here,
 * FORMAT_VERSION: an older one; IO: the socket failed or ended in the middle, or the peer gave up;
 * NOMEM.
 */
enum { ARILI_TLS_READABLE = 1, ARILI_TLS_WRITABLE = 2 };
struct arili_tls_server_config {
    const char *cert_path, *key_path; /* PEM: chain, and private key */
    const char *client_ca_path;       /* NULL: clients are not asked for a certificate */
    bool client_required;             /* without one there is no connection; needs client_ca_path */
    bool strict;
};
/* As arili_tls_new(); ARIL_E_USAGE_NULL when a path is missing. A certificate that a client shows
 * is verified, required or not. */
ARIL_MUST_USE aril_status arili_tls_server_new(aril_runtime *rt,
                                               const struct arili_tls_server_config *config,
                                               struct arili_tls **ret, aril_error *error);
/* A server's connection for an accepted socket; and a client's. fd stays the caller's, and open
 * until the connection is closed. ARIL_E_USAGE_STATE when the configuration is for the other side.
 */
ARIL_MUST_USE aril_status arili_tls_accept_on(struct arili_tls *tls, int fd,
                                              struct arili_tls_conn **ret);
ARIL_MUST_USE aril_status arili_tls_connect_on(struct arili_tls *tls, int fd, const char *host,
                                               struct arili_tls_conn **ret);
/* TRUST, FORMAT (class), IO, NOMEM. A client is done before the server has seen its certificate: a
 * refusal of it comes with the first read. */
ARIL_MUST_USE aril_status arili_tls_shake(struct arili_tls_conn *conn, int *ret_wants);
/* Fills ret as far as it can. With *ret_len > 0 *ret_wants is 0. *ret_len 0 with *ret_wants 0: the
 * peer has closed properly; it may still be written to. */
ARIL_MUST_USE aril_status arili_tls_try_read(struct arili_tls_conn *conn, uint8_t *ret, size_t cap,
                                             size_t *ret_len, int *ret_wants);
/* The first *ret_len bytes were taken; with *ret_len > 0 *ret_wants is 0. A call that stopped early
 * may have begun a record with what was not taken: the next one brings the same bytes (which may
 * have moved), at least as many up to 16384, else it is ARIL_E_USAGE_RANGE. */
ARIL_MUST_USE aril_status arili_tls_try_write(struct arili_tls_conn *conn, aril_bytes bytes,
                                              size_t *ret_len, int *ret_wants);
/* Whether arili_tls_try_read() has something to tell that the socket will not: bytes that came and
 * were not read, or an end behind them. To be asked after arili_tls_shake() is done, and after each
 * read. */
bool arili_tls_has_pending(const struct arili_tls_conn *conn);
/* SHA-256 of the peer certificate's subject public key info, DER; NOT_FOUND without one.
 * USAGE_STATE before the handshake is done. */
ARIL_MUST_USE aril_status arili_tls_peer_key(const struct arili_tls_conn *conn, uint8_t ret[32]);
/* Words for the failure, for logs: OpenSSL's or the system's. Never NULL; valid until the next
 * call. */
const char *arili_tls_why(const struct arili_tls_conn *conn);
/* "X25519MLKEM768": the key agreement that was used. Static storage. */
const char *arili_tls_group(const struct arili_tls_conn *conn);
#endif
