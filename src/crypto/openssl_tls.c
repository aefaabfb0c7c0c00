/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/ensure.h"
#include "base/files.h"
#include "base/mem.h"
#include "crypto/openssl_internal.h"
#include "crypto/runtime.h"
#include "crypto/tls.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GROUPS        "X25519MLKEM768:X25519:P-256"
#define GROUPS_STRICT "SecP384r1MLKEM1024:MLKEM1024"
#define SUITES        "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#define SUITES_STRICT "TLS_AES_256_GCM_SHA384"
/* 112 bits at least, in every certificate of the chain. */
#define SECURITY_LEVEL 2

struct arili_tls {
    aril_runtime *rt; /* held */
    const char *groups;
    SSL_CTX *ctx;
    BIO_METHOD *socket; /* how libssl reads and writes */
};

struct arili_tls_conn {
    const struct arili_tls *tls;
    SSL *ssl;
    int fd;     /* the caller's */
    int reason; /* errno of the last read or write that failed; 0: none */
    bool eof;
    bool ready;  /* the handshake is done */
    bool broken; /* no more records can be exchanged */
};

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

static aril_status socket_method(BIO_METHOD **ret)
{
    *ret = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "aril socket");
    return ARILI_OSSL(*ret != NULL && BIO_meth_set_write_ex(*ret, bio_write) == 1 &&
                          BIO_meth_set_read_ex(*ret, bio_read) == 1 &&
                          BIO_meth_set_ctrl(*ret, bio_ctrl) == 1,
                      ARIL_E_NOMEM);
}

/* --- What connections share */

static void certs_freep(STACK_OF(X509) * *certs)
{
    OSSL_STACK_OF_X509_free(*certs);
}

static void pkey_freep(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

/* libcrypto's own default is a path of the machine it was built on. */
static aril_status system_ca(const char **ret, aril_error *error)
{
    static const char *const paths[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
        "/etc/ssl/ca-bundle.pem",             /* SUSE */
        "/etc/ssl/cert.pem",                  /* Alpine */
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (access(paths[i], R_OK) == 0) {
            *ret = paths[i];
            return ARIL_OK;
        }
    }
    return arili_error_set(error, arili_fail(ARIL_E_NOT_FOUND),
                           "the system has no list of CAs, such as %s: install ca-certificates, or "
                           "name a file of CA certificates",
                           paths[0]);
}

static aril_status load_trust(SSL_CTX *ctx, struct arili_provider *p, const char *path,
                              aril_error *error)
{
    if (path == NULL) {
        ARILI_TRY(system_ca(&path, error));
    }
    ARILI_DEFER(certs_freep) STACK_OF(X509) *certs = NULL;
    ARILI_TRY(arili_openssl_read_certs(p, path, ARILI_FILE_TRUSTED | ARILI_FILE_ROOT_MAY_OWN,
                                       &certs, error));
    X509_STORE *const store = SSL_CTX_get_cert_store(ctx);
    for (int i = 0; i < sk_X509_num(certs); i++) {
        ARILI_TRY(ARILI_OSSL(X509_STORE_add_cert(store, sk_X509_value(certs, i)), ARIL_E_CRYPTO));
    }
    return ARIL_OK;
}

static aril_status load_client(SSL_CTX *ctx, struct arili_provider *p,
                               const struct arili_tls_config *config, aril_error *error)
{
    ARILI_DEFER(certs_freep) STACK_OF(X509) *certs = NULL;
    ARILI_DEFER(pkey_freep) EVP_PKEY *key = NULL;
    ARILI_TRY(arili_openssl_read_certs(p, config->cert_path, 0, &certs, error));
    ARILI_TRY(arili_openssl_read_key(p, config->key_path, &key, error));
    if (SSL_CTX_use_certificate(ctx, sk_X509_value(certs, 0)) != 1) {
        return arili_error_set(error, arili_openssl_fail(ARIL_E_FORMAT),
                               "the certificate in %s cannot be used: its key is too weak, or of "
                               "an unknown kind",
                               config->cert_path);
    }
    for (int i = 1; i < sk_X509_num(certs); i++) {
        ARILI_TRY(ARILI_OSSL(SSL_CTX_add1_chain_cert(ctx, sk_X509_value(certs, i)), ARIL_E_CRYPTO));
    }
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        return arili_error_set(error, arili_openssl_fail(ARIL_E_FORMAT),
                               "the key in %s is not the one of the first certificate in %s",
                               config->key_path, config->cert_path);
    }
    return ARIL_OK;
}

static aril_status configure(SSL_CTX *ctx, bool strict, const char *groups, aril_error *error)
{
    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    ARILI_TRY(ARILI_OSSL(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION), ARIL_E_CRYPTO));
    ARILI_TRY(ARILI_OSSL(SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION), ARIL_E_CRYPTO));
    ARILI_TRY(
        ARILI_OSSL(SSL_CTX_set_ciphersuites(ctx, strict ? SUITES_STRICT : SUITES), ARIL_E_CRYPTO));
    if (SSL_CTX_set1_groups_list(ctx, groups) != 1) {
        return arili_error_set(error, arili_openssl_fail(ARIL_E_UNAVAILABLE),
                               "libssl %s lacks a key agreement of %s", arili_openssl_version(),
                               groups);
    }
    return ARIL_OK;
}

static void tls_freep(struct arili_tls **tls)
{
    arili_tls_free(*tls);
}

aril_status arili_tls_new(aril_runtime *rt, const struct arili_tls_config *config,
                          struct arili_tls **ret, aril_error *error)
{
    ARILI_ENSURE((config->cert_path == NULL) == (config->key_path == NULL), ARIL_E_USAGE_NULL);
    ARILI_TRY(arili_runtime_check(rt));
    struct arili_provider *const p = arili_openssl_provider_of(&rt->crypto);
    ARILI_ENSURE(p != NULL, ARIL_E_UNAVAILABLE);
    /* As for libcrypto: no openssl.cnf, no cleanup at exit. */
    ARILI_TRY(
        ARILI_OSSL(OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL),
                   ARIL_E_CRYPTO));
    ARILI_DEFER(tls_freep) struct arili_tls *tls = arili_alloc(sizeof *tls);
    ARILI_ENSURE(tls != NULL, ARIL_E_NOMEM);
    tls->rt = arili_runtime_hold(rt);
    tls->groups = config->strict ? GROUPS_STRICT : GROUPS;
    ARILI_TRY(socket_method(&tls->socket));
    tls->ctx = SSL_CTX_new_ex(p->lib, p->properties, TLS_client_method());
    ARILI_TRY(ARILI_OSSL(tls->ctx != NULL, ARIL_E_CRYPTO));
    ARILI_TRY(configure(tls->ctx, config->strict, tls->groups, error));
    ARILI_TRY(load_trust(tls->ctx, p, config->ca_path, error));
    if (config->cert_path != NULL) {
        ARILI_TRY(load_client(tls->ctx, p, config, error));
    }
    *ret = ARILI_TAKE(tls);
    return ARIL_OK;
}

void arili_tls_free(struct arili_tls *tls)
{
    if (tls != NULL) {
        SSL_CTX_free(tls->ctx);
        BIO_meth_free(tls->socket);
        aril_runtime_free(tls->rt);
        arili_free(tls, sizeof *tls);
    }
}

/* --- Waiting and failing */

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

/* Whether one side did not like the other's certificate. */
static bool is_about_certificates(int reason)
{
    switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
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

/* What a call of libssl that gave result means: ARIL_OK to call it again, as it could not go on
 * and can now. *ret_why: OpenSSL's words, static, or NULL. */
static aril_status go_on(struct arili_tls_conn *c, int result, uint64_t deadline_ns,
                         const char **ret_why)
{
    switch (SSL_get_error(c->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(c, POLLIN, deadline_ns);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(c, POLLOUT, deadline_ns);
    default:
        break;
    }
    const unsigned long e = ERR_peek_error();
    c->broken = true;
    *ret_why = e != 0 ? ERR_reason_error_string(e) : NULL;
    return arili_openssl_fail(
        ERR_GET_LIB(e) == ERR_LIB_SSL && is_about_certificates(ERR_GET_REASON(e)) ? ARIL_E_TRUST
                                                                                  : ARIL_E_IO);
}

/* --- Connections */

static aril_status set_host(SSL *ssl, const char *host)
{
    uint8_t address[16];
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

static aril_status start(struct arili_tls_conn *c, const char *host)
{
    c->ssl = SSL_new(c->tls->ctx);
    ARILI_TRY(ARILI_OSSL(c->ssl != NULL, ARIL_E_CRYPTO));
    BIO *const bio = BIO_new(c->tls->socket);
    ARILI_TRY(ARILI_OSSL(bio != NULL, ARIL_E_NOMEM));
    BIO_set_data(bio, c);
    BIO_set_init(bio, 1);
    SSL_set_bio(c->ssl, bio, bio); /* owns it */
    return set_host(c->ssl, host);
}

/* The handshake's failure in words. */
static aril_status explain(const struct arili_tls_conn *c, const char *host, aril_status st,
                           const char *why, aril_error *error)
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
                               why != NULL ? why : "no reason given");
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
        return arili_error_set(
            error, st,
            "%s: the TLS handshake failed: %s; the server needs TLS 1.3 with "
            "one of %s",
            host, c->reason != 0 ? strerror(c->reason) : (why != NULL ? why : "no reason given"),
            c->tls->groups);
    }
    return st;
}

static void conn_freep(struct arili_tls_conn **conn)
{
    arili_tls_close(*conn);
}

aril_status arili_tls_connect(struct arili_tls *tls, int fd, const char *host, uint64_t deadline_ns,
                              struct arili_tls_conn **ret, aril_error *error)
{
    /* To OpenSSL no name is any name, and a dot in front is any name below. */
    ARILI_ENSURE(host[0] != '\0' && host[0] != '.', ARIL_E_USAGE_RANGE);
    ARILI_TRY(arili_runtime_check(tls->rt));
    ARILI_DEFER(conn_freep) struct arili_tls_conn *c = arili_alloc(sizeof *c);
    ARILI_ENSURE(c != NULL, ARIL_E_NOMEM);
    c->tls = tls;
    c->fd = fd;
    ARILI_TRY(start(c, host));
    for (;;) {
        const char *why = NULL;
        ERR_clear_error();
        const int result = SSL_connect(c->ssl);
        if (result == 1) {
            break;
        }
        const aril_status st = go_on(c, result, deadline_ns, &why);
        if (st != ARIL_OK) {
            return explain(c, host, st, why, error);
        }
    }
    c->ready = true;
    *ret = ARILI_TAKE(c);
    return ARIL_OK;
}

void arili_tls_close(struct arili_tls_conn *c)
{
    if (c == NULL) {
        return;
    }
    if (c->ready && !c->broken && arili_runtime_check(c->tls->rt) == ARIL_OK) {
        /* One try to say good-bye: the peer sees the end either way. */
        (void)SSL_shutdown(c->ssl);
        ERR_clear_error();
    }
    SSL_free(c->ssl);
    arili_free(c, sizeof *c);
}

aril_status arili_tls_read(struct arili_tls_conn *c, uint8_t *ret, size_t cap, uint64_t deadline_ns,
                           size_t *ret_len)
{
    ARILI_ENSURE(cap > 0, ARIL_E_USAGE_RANGE);
    ARILI_TRY(arili_runtime_check(c->tls->rt));
    for (;;) {
        const char *why = NULL;
        size_t len = 0;
        ARILI_ENSURE(!c->broken, ARIL_E_IO);
        ERR_clear_error();
        const int result = SSL_read_ex(c->ssl, ret, cap, &len);
        if (result == 1 || SSL_get_error(c->ssl, result) == SSL_ERROR_ZERO_RETURN) {
            *ret_len = len;
            return ARIL_OK;
        }
        ARILI_TRY(go_on(c, result, deadline_ns, &why));
    }
}

aril_status arili_tls_write(struct arili_tls_conn *c, aril_bytes bytes, uint64_t deadline_ns)
{
    ARILI_TRY(arili_runtime_check(c->tls->rt));
    while (bytes.len > 0) {
        const char *why = NULL;
        size_t done = 0;
        ARILI_ENSURE(!c->broken, ARIL_E_IO);
        ERR_clear_error();
        const int result = SSL_write_ex(c->ssl, bytes.data, bytes.len, &done);
        if (result == 1) {
            bytes.data += done;
            bytes.len -= done;
            continue;
        }
        const aril_status st = go_on(c, result, deadline_ns, &why);
        if (st != ARIL_OK) {
            c->broken = true; /* part of a record may be under way */
            return st;
        }
    }
    return ARIL_OK;
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
