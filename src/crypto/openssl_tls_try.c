/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "crypto/openssl_tls_internal.h"
#include "crypto/runtime.h"
#include <openssl/err.h>

/* Connections of event loops: nothing here waits. */

#define RECORD_BYTES ((size_t)SSL3_RT_MAX_PLAIN_LENGTH)

/* What a failure is that is not about certificates. */
static aril_status fail(struct arili_tls_conn *c, int result)
{
    const unsigned long e = ERR_peek_error();
    const int reason = ERR_GET_REASON(e);
    aril_status st = ARIL_E_IO;
    if (SSL_get_error(c->ssl, result) == SSL_ERROR_SSL && ERR_GET_LIB(e) == ERR_LIB_SSL &&
        reason != SSL_R_UNEXPECTED_EOF_WHILE_READING && reason < SSL_AD_REASON_OFFSET) {
        /* We did not like what came. Alerts, which have the high numbers, say that of the peer. */
        st = reason == SSL_R_UNSUPPORTED_PROTOCOL ? ARIL_E_FORMAT_VERSION : ARIL_E_FORMAT;
    }
    return arili_tls_give_up(c, st);
}

static aril_status conn_on(struct arili_tls *tls, int fd, const char *host,
                           struct arili_tls_conn **ret)
{
    ARILI_DEFER(arili_tls_conn_freep) struct arili_tls_conn *c = NULL;
    ARILI_ENSURE(tls->server == (host == NULL), ARIL_E_USAGE_STATE);
    ARILI_TRY(arili_tls_conn_new(tls, fd, &c));
    if (host != NULL) {
        ARILI_TRY(arili_tls_set_host(c, host));
        SSL_set_connect_state(c->ssl);
    } else {
        SSL_set_accept_state(c->ssl);
    }
    *ret = ARILI_TAKE(c);
    return ARIL_OK;
}

aril_status arili_tls_accept_on(struct arili_tls *tls, int fd, struct arili_tls_conn **ret)
{
    return conn_on(tls, fd, NULL, ret);
}

aril_status arili_tls_connect_on(struct arili_tls *tls, int fd, const char *host,
                                 struct arili_tls_conn **ret)
{
    ARILI_ENSURE(host != NULL, ARIL_E_USAGE_NULL);
    return conn_on(tls, fd, host, ret);
}

aril_status arili_tls_shake(struct arili_tls_conn *c, int *ret_wants)
{
    *ret_wants = 0;
    ARILI_TRY(c->failed);
    ARILI_TRY(arili_runtime_check(c->tls->rt));
    if (c->ready) {
        return ARIL_OK;
    }
    ERR_clear_error();
    const int result = SSL_do_handshake(c->ssl);
    if (result == 1) {
        c->ready = true;
        c->more = SSL_has_pending(c->ssl) == 1;
        return ARIL_OK;
    }
    *ret_wants = arili_tls_wants(c, result);
    return *ret_wants != 0 ? ARIL_OK : fail(c, result);
}

aril_status arili_tls_try_read(struct arili_tls_conn *c, uint8_t *ret, size_t cap, size_t *ret_len,
                               int *ret_wants)
{
    size_t len = 0;
    *ret_len = 0;
    *ret_wants = 0;
    ARILI_ENSURE(c->ready, ARIL_E_USAGE_STATE);
    ARILI_ENSURE(cap > 0, ARIL_E_USAGE_RANGE);
    c->more = false;
    ARILI_TRY(c->failed);
    ARILI_TRY(arili_runtime_check(c->tls->rt));
    while (len < cap) { /* a record at a time */
        size_t got = 0;
        ERR_clear_error();
        const int result = SSL_read_ex(c->ssl, ret + len, cap - len, &got);
        if (result == 1) {
            len += got;
            continue;
        }
        const bool closed = SSL_get_error(c->ssl, result) == SSL_ERROR_ZERO_RETURN;
        const int wants = closed ? 0 : arili_tls_wants(c, result);
        if (!closed && wants == 0) {
            const aril_status st = fail(c, result);
            if (len == 0) {
                return st;
            }
        }
        /* An end or a failure behind data is told by the next call. */
        c->more = len > 0 && wants == 0;
        *ret_wants = len == 0 ? wants : 0;
        *ret_len = len;
        return ARIL_OK;
    }
    c->more = SSL_has_pending(c->ssl) == 1;
    *ret_len = len;
    return ARIL_OK;
}

aril_status arili_tls_try_write(struct arili_tls_conn *c, aril_bytes bytes, size_t *ret_len,
                                int *ret_wants)
{
    *ret_len = 0;
    *ret_wants = 0;
    ARILI_ENSURE(c->ready, ARIL_E_USAGE_STATE);
    ARILI_ENSURE(bytes.len >= c->unsent, ARIL_E_USAGE_RANGE);
    ARILI_TRY(c->failed);
    ARILI_TRY(arili_runtime_check(c->tls->rt));
    while (bytes.len > 0) {
        /* A record that was begun is offered to libssl as it was. */
        const size_t most = bytes.len < RECORD_BYTES ? bytes.len : RECORD_BYTES;
        const size_t len = c->unsent > 0 ? c->unsent : most;
        size_t done = 0;
        ERR_clear_error();
        const int result = SSL_write_ex(c->ssl, bytes.data, len, &done);
        if (result != 1) {
            const int wants = arili_tls_wants(c, result);
            if (wants == 0) {
                return fail(c, result);
            }
            c->unsent = len;
            *ret_wants = *ret_len == 0 ? wants : 0;
            return ARIL_OK;
        }
        c->unsent = 0;
        *ret_len += done;
        bytes.data += done;
        bytes.len -= done;
    }
    return ARIL_OK;
}

bool arili_tls_has_pending(const struct arili_tls_conn *c)
{
    return c->more;
}
