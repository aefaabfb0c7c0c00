/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/ensure.h"
#include "crypto/openssl_tls_internal.h"
#include "crypto/runtime.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <time.h>

/* Clients that wait, with a deadline. */

static uint64_t monotonic_ns(void)
{
    struct timespec ts = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* fails for unknown clocks only */
    return (uint64_t)ts.tv_sec * ARILI_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static aril_status wait_for(const struct arili_tls_conn *c, short events, uint64_t deadline_ns)
{
    for (;;) {
        const uint64_t now = monotonic_ns();
        ARILI_ENSURE(now < deadline_ns, ARIL_E_TIMEOUT);
        const uint64_t left_ms = (deadline_ns - now) / 1000000 + 1;
        struct pollfd p = { .fd = c->fd, .events = events };
        const int n = poll(&p, 1, left_ms < 60000 ? (int)left_ms : 60000);
        if (n > 0) {
            return ARIL_OK; /* an error shows when the socket is used */
        }
        ARILI_ENSURE(n == 0 || errno == EINTR, ARIL_E_IO);
    }
}

/* ARIL_OK to make a call of libssl again that gave result, as it could not go on and can now. */
static aril_status go_on(struct arili_tls_conn *c, int result, uint64_t deadline_ns)
{
    switch (arili_tls_wants(c, result)) {
    case ARILI_TLS_READABLE:
        return wait_for(c, POLLIN, deadline_ns);
    case ARILI_TLS_WRITABLE:
        return wait_for(c, POLLOUT, deadline_ns);
    default:
        return arili_tls_give_up(c, ARIL_E_IO);
    }
}

/* The handshake's failure in words. */
static aril_status explain(const struct arili_tls_conn *c, const char *host, aril_status st,
                           aril_error *error)
{
    const long verified = SSL_get_verify_result(c->ssl);
    if (st == ARIL_E_TRUST && verified != X509_V_OK) {
        return arili_error_set(error, st,
                               "%s: the certificate is refused: %s; check the name, the dates and "
                               "the CA that is trusted here",
                               host, X509_verify_cert_error_string(verified));
    }
    if (st == ARIL_E_TRUST) {
        return arili_error_set(error, st, "%s refuses our certificate: %s", host,
                               c->why != NULL ? c->why : "no reason given");
    }
    if (st == ARIL_E_TIMEOUT) {
        return arili_error_set(error, st, "%s did not answer the TLS handshake in time", host);
    }
    if (st == ARIL_E_IO && c->eof) {
        return arili_error_set(error, st,
                               "%s closed the connection during the TLS handshake: check that the "
                               "port speaks TLS 1.3",
                               host);
    }
    if (st == ARIL_E_IO) {
        return arili_error_set(error, st,
                               "%s: the TLS handshake failed: %s; the server needs TLS 1.3 with "
                               "one of %s",
                               host,
                               c->reason != 0 ? strerror(c->reason)
                                              : (c->why != NULL ? c->why : "no reason given"),
                               c->tls->groups);
    }
    return st;
}

aril_status arili_tls_connect(struct arili_tls *tls, int fd, const char *host, uint64_t deadline_ns,
                              struct arili_tls_conn **ret, aril_error *error)
{
    ARILI_DEFER(arili_tls_conn_freep) struct arili_tls_conn *c = NULL;
    ARILI_ENSURE(!tls->server, ARIL_E_USAGE_STATE);
    ARILI_TRY(arili_tls_conn_new(tls, fd, &c));
    ARILI_TRY(arili_tls_set_host(c, host));
    for (;;) {
        ERR_clear_error();
        const int result = SSL_connect(c->ssl);
        if (result == 1) {
            break;
        }
        const aril_status st = go_on(c, result, deadline_ns);
        if (st != ARIL_OK) {
            return explain(c, host, st, error);
        }
    }
    c->ready = true;
    *ret = ARILI_TAKE(c);
    return ARIL_OK;
}

aril_status arili_tls_read(struct arili_tls_conn *c, uint8_t *ret, size_t cap, uint64_t deadline_ns,
                           size_t *ret_len)
{
    ARILI_ENSURE(cap > 0, ARIL_E_USAGE_RANGE);
    ARILI_TRY(arili_runtime_check(c->tls->rt));
    for (;;) {
        size_t len = 0;
        ARILI_ENSURE(c->failed == ARIL_OK, ARIL_E_IO);
        ERR_clear_error();
        const int result = SSL_read_ex(c->ssl, ret, cap, &len);
        if (result == 1 || SSL_get_error(c->ssl, result) == SSL_ERROR_ZERO_RETURN) {
            *ret_len = len;
            return ARIL_OK;
        }
        ARILI_TRY(go_on(c, result, deadline_ns));
    }
}

aril_status arili_tls_write(struct arili_tls_conn *c, aril_bytes bytes, uint64_t deadline_ns)
{
    ARILI_TRY(arili_runtime_check(c->tls->rt));
    while (bytes.len > 0) {
        size_t done = 0;
        ARILI_ENSURE(c->failed == ARIL_OK, ARIL_E_IO);
        ERR_clear_error();
        const int result = SSL_write_ex(c->ssl, bytes.data, bytes.len, &done);
        if (result == 1) {
            bytes.data += done;
            bytes.len -= done;
            continue;
        }
        const aril_status st = go_on(c, result, deadline_ns);
        if (st != ARIL_OK) {
            c->failed = ARIL_E_IO; /* part of a record may be under way */
            return st;
        }
    }
    return ARIL_OK;
}
