/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/openssl_tls_internal.h"
#include "crypto/runtime.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>

/* What connections have in common, whether their functions wait or not. */

/* --- The socket as a BIO: libssl's own would raise SIGPIPE. Data is the connection. */

static int bio_result(BIO *bio, struct arili_tls_conn *c, ssize_t n, size_t *ret_len, int retry)
{
    BIO_clear_retry_flags(bio);
    if (n > 0) {
        *ret_len = (size_t)n;
        return 1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    } else if (n < 0) {
        c->reason = errno;
    }
    return n < 0 ? -1 : 0; /* a write of 0 would count as done */
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *ret_len)
{
    struct arili_tls_conn *const c = BIO_get_data(bio);
    const ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return bio_result(bio, c, n, ret_len, BIO_FLAGS_WRITE);
}

static int bio_read(BIO *bio, char *data, size_t len, size_t *ret_len)
{
    struct arili_tls_conn *const c = BIO_get_data(bio);
    const ssize_t n = recv(c->fd, data, len, MSG_DONTWAIT);
    c->eof = n == 0;
    return bio_result(bio, c, n, ret_len, BIO_FLAGS_READ);
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    const struct arili_tls_conn *const c = BIO_get_data(bio);
    (void)num;
    (void)ptr;
    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1; /* nothing is kept back */
    case BIO_CTRL_EOF:
        return c->eof;
    default:
        return 0;
    }
}

aril_status arili_tls_socket_method(BIO_METHOD **ret)
{
    *ret = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "aril socket");
    return ARILI_OSSL(*ret != NULL && BIO_meth_set_write_ex(*ret, bio_write) == 1 &&
                          BIO_meth_set_read_ex(*ret, bio_read) == 1 &&
                          BIO_meth_set_ctrl(*ret, bio_ctrl) == 1,
                      ARIL_E_NOMEM);
}

/* --- Making and closing */

void arili_tls_conn_freep(struct arili_tls_conn **conn)
{
    arili_tls_close(*conn);
}

aril_status arili_tls_conn_new(struct arili_tls *tls, int fd, struct arili_tls_conn **ret)
{
    ARILI_TRY(arili_runtime_check(tls->rt));
    ARILI_DEFER(arili_tls_conn_freep) struct arili_tls_conn *c = arili_alloc(sizeof *c);
    ARILI_ENSURE(c != NULL, ARIL_E_NOMEM);
    atomic_fetch_add_explicit(&tls->refs, 1, memory_order_relaxed);
    c->tls = tls;
    c->fd = fd;
    c->ssl = SSL_new(tls->ctx);
    ARILI_TRY(ARILI_OSSL(c->ssl != NULL, ARIL_E_CRYPTO));
    BIO *const bio = BIO_new(tls->socket);
    ARILI_TRY(ARILI_OSSL(bio != NULL, ARIL_E_NOMEM));
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    SSL_set_bio(c->ssl, bio, bio); /* owns it */
    *ret = ARILI_TAKE(c);
    return ARIL_OK;
}

aril_status arili_tls_set_host(struct arili_tls_conn *c, const char *host)
{
    SSL *const ssl = c->ssl;
    uint8_t address[16];
    /* To OpenSSL no name is any name, and a dot in front is any name below. */
    ARILI_ENSURE(host[0] != '\0' && host[0] != '.', ARIL_E_USAGE_RANGE);
    X509_VERIFY_PARAM *const param = SSL_get0_param(ssl);
    /* Names are in the subjectAltName, RFC 9525. */
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1) {
        return ARILI_OSSL(X509_VERIFY_PARAM_set1_ip_asc(param, host), ARIL_E_CRYPTO);
    }
    ARILI_TRY(ARILI_OSSL(X509_VERIFY_PARAM_set1_host(param, host, 0), ARIL_E_CRYPTO));
    return ARILI_OSSL(SSL_set_tlsext_host_name(ssl, host), ARIL_E_CRYPTO);
}

void arili_tls_close(struct arili_tls_conn *c)
{
    if (c == NULL) {
        return;
    }
    if (c->ready && c->failed == ARIL_OK && c->unsent == 0 &&
        arili_runtime_check(c->tls->rt) == ARIL_OK) {
        /* One try to say good-bye: the peer sees the end either way. */
        (void)SSL_shutdown(c->ssl);
        ERR_clear_error();
    }
    SSL_free(c->ssl);
    arili_tls_free(c->tls);
    arili_free(c, sizeof *c);
}

/* --- Going on and failing */

int arili_tls_wants(struct arili_tls_conn *c, int result)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return ARILI_TLS_READABLE;
    case SSL_ERROR_WANT_WRITE:
        return ARILI_TLS_WRITABLE;
    default:
        return 0;
    }
}

/* Whether one side did not like the other's certificate. */
static bool is_about_certificates(int reason)
{
    switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return true;
    default:
        return false;
    }
}

aril_status arili_tls_give_up(struct arili_tls_conn *c, aril_status others)
{
    const unsigned long e = ERR_peek_error();
    const long verified = SSL_get_verify_result(c->ssl);
    const bool trust = ERR_GET_LIB(e) == ERR_LIB_SSL && is_about_certificates(ERR_GET_REASON(e));
    c->why = trust && verified != X509_V_OK ? X509_verify_cert_error_string(verified)
             : e != 0                       ? ERR_reason_error_string(e)
                                            : NULL;
    c->failed = arili_openssl_fail(trust ? ARIL_E_TRUST : others);
    return c->failed;
}

/* --- What is known of the peer */

const char *arili_tls_why(const struct arili_tls_conn *c)
{
    if (c->why != NULL) {
        return c->why;
    }
    return c->reason != 0 ? strerror(c->reason)
           : c->eof       ? "the peer closed the connection"
                          : "no reason given";
}

static void der_freep(unsigned char **der)
{
    OPENSSL_free(*der);
}

aril_status arili_tls_peer_key(const struct arili_tls_conn *c, uint8_t ret[32])
{
    const struct arili_crypto *const crypto = &c->tls->rt->crypto;
    ARILI_ENSURE(c->ready, ARIL_E_USAGE_STATE);
    const X509 *const x = SSL_get0_peer_certificate(c->ssl);
    ARILI_ENSURE(x != NULL, ARIL_E_NOT_FOUND); /* one that is not verified ends the handshake */
    ARILI_DEFER(der_freep) unsigned char *der = NULL;
    const int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    ARILI_TRY(ARILI_OSSL(len, ARIL_E_CRYPTO));
    const aril_bytes part = { der, (size_t)len };
    return crypto->ops->hash(crypto->provider, ARILI_SHA256, &part, 1, ret);
}

const char *arili_tls_group(const struct arili_tls_conn *c)
{
    /* libssl's name, ours. */
    static const char *const names[][2] = {
        { "X25519MLKEM768", "X25519MLKEM768" },
        { "x25519", "X25519" },
        { "secp256r1", "P-256" },
        { "SecP384r1MLKEM1024", "SecP384r1MLKEM1024" },
        { "MLKEM1024", "MLKEM1024" },
    };
    const char *const used = SSL_get0_group_name(c->ssl);
    for (size_t i = 0; used != NULL && i < sizeof names / sizeof *names; i++) {
        if (strcmp(used, names[i][0]) == 0) {
            return names[i][1];
        }
    }
    return "unknown";
}
