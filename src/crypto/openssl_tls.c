/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/files.h"
#include "base/mem.h"
#include "crypto/openssl_tls_internal.h"
#include "crypto/runtime.h"
#include <unistd.h>

#define GROUPS "X25519MLKEM768:X25519:P-256"
/* Servers also ask clients that can do it, but began with another one, for the first. */
#define GROUPS_SERVER "X25519MLKEM768/X25519:P-256"
#define GROUPS_STRICT "SecP384r1MLKEM1024:MLKEM1024"
#define SUITES        "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#define SUITES_STRICT "TLS_AES_256_GCM_SHA384"
/* 112 bits at least, in every certificate of the chain. */
#define SECURITY_LEVEL 2

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

/* tell: clients are told the names, so that they can choose their certificate. */
static aril_status load_trust(SSL_CTX *ctx, struct arili_provider *p, const char *path, bool tell,
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
        if (tell) {
            ARILI_TRY(
                ARILI_OSSL(SSL_CTX_add_client_CA(ctx, sk_X509_value(certs, i)), ARIL_E_NOMEM));
        }
    }
    return ARIL_OK;
}

static aril_status load_own(SSL_CTX *ctx, struct arili_provider *p, const char *cert_path,
                            const char *key_path, aril_error *error)
{
    ARILI_DEFER(certs_freep) STACK_OF(X509) *certs = NULL;
    ARILI_DEFER(pkey_freep) EVP_PKEY *key = NULL;
    ARILI_TRY(arili_openssl_read_certs(p, cert_path, 0, &certs, error));
    ARILI_TRY(arili_openssl_read_key(p, key_path, &key, error));
    if (SSL_CTX_use_certificate(ctx, sk_X509_value(certs, 0)) != 1) {
        return arili_error_set(error, arili_openssl_fail(ARIL_E_FORMAT),
                               "the certificate in %s cannot be used: its key is too weak, or of "
                               "an unknown kind",
                               cert_path);
    }
    for (int i = 1; i < sk_X509_num(certs); i++) {
        ARILI_TRY(ARILI_OSSL(SSL_CTX_add1_chain_cert(ctx, sk_X509_value(certs, i)), ARIL_E_CRYPTO));
    }
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        return arili_error_set(error, arili_openssl_fail(ARIL_E_FORMAT),
                               "the key in %s is not the one of the first certificate in %s",
                               key_path, cert_path);
    }
    return ARIL_OK;
}

static aril_status configure(SSL_CTX *ctx, bool strict, const char *groups, aril_error *error)
{
    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_options(ctx, SSL_OP_CLEANSE_PLAINTEXT);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
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

static aril_status tls_make(aril_runtime *rt, bool server, bool strict,
                            struct arili_provider **ret_p, struct arili_tls **ret,
                            aril_error *error)
{
    ARILI_TRY(arili_runtime_check(rt));
    struct arili_provider *const p = arili_openssl_provider_of(&rt->crypto);
    ARILI_ENSURE(p != NULL, ARIL_E_UNAVAILABLE);
    /* As for libcrypto: no openssl.cnf, no cleanup at exit. */
    ARILI_TRY(
        ARILI_OSSL(OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL),
                   ARIL_E_CRYPTO));
    ARILI_DEFER(tls_freep) struct arili_tls *tls = arili_alloc(sizeof *tls);
    ARILI_ENSURE(tls != NULL, ARIL_E_NOMEM);
    atomic_init(&tls->refs, 1);
    tls->rt = arili_runtime_hold(rt);
    tls->server = server;
    tls->groups = strict ? GROUPS_STRICT : server ? GROUPS_SERVER : GROUPS;
    ARILI_TRY(arili_tls_socket_method(&tls->socket));
    tls->ctx =
        SSL_CTX_new_ex(p->lib, p->properties, server ? TLS_server_method() : TLS_client_method());
    ARILI_TRY(ARILI_OSSL(tls->ctx != NULL, ARIL_E_CRYPTO));
    ARILI_TRY(configure(tls->ctx, strict, tls->groups, error));
    *ret_p = p;
    *ret = ARILI_TAKE(tls);
    return ARIL_OK;
}

aril_status arili_tls_new(aril_runtime *rt, const struct arili_tls_config *config,
                          struct arili_tls **ret, aril_error *error)
{
    struct arili_provider *p = NULL;
    ARILI_DEFER(tls_freep) struct arili_tls *tls = NULL;
    ARILI_ENSURE((config->cert_path == NULL) == (config->key_path == NULL), ARIL_E_USAGE_NULL);
    ARILI_TRY(tls_make(rt, false, config->strict, &p, &tls, error));
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
    ARILI_TRY(load_trust(tls->ctx, p, config->ca_path, false, error));
    if (config->cert_path != NULL) {
        ARILI_TRY(load_own(tls->ctx, p, config->cert_path, config->key_path, error));
    }
    *ret = ARILI_TAKE(tls);
    return ARIL_OK;
}

aril_status arili_tls_server_new(aril_runtime *rt, const struct arili_tls_server_config *config,
                                 struct arili_tls **ret, aril_error *error)
{
    struct arili_provider *p = NULL;
    ARILI_DEFER(tls_freep) struct arili_tls *tls = NULL;
    ARILI_ENSURE(config->cert_path != NULL && config->key_path != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(config->client_ca_path != NULL || !config->client_required, ARIL_E_USAGE_NULL);
    ARILI_TRY(tls_make(rt, true, config->strict, &p, &tls, error));
    /* Nothing to resume from: every connection has a key agreement, and shows its certificate. */
    (void)SSL_CTX_set_options(tls->ctx, SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    ARILI_TRY(ARILI_OSSL(SSL_CTX_set_num_tickets(tls->ctx, 0), ARIL_E_CRYPTO));
    if (config->client_ca_path != NULL) {
        const int required = config->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
        SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER | required, NULL);
        ARILI_TRY(load_trust(tls->ctx, p, config->client_ca_path, true, error));
    }
    ARILI_TRY(load_own(tls->ctx, p, config->cert_path, config->key_path, error));
    *ret = ARILI_TAKE(tls);
    return ARIL_OK;
}

void arili_tls_free(struct arili_tls *tls)
{
    if (tls == NULL || atomic_fetch_sub_explicit(&tls->refs, 1, memory_order_acq_rel) > 1) {
        return; /* connections still need it */
    }
    SSL_CTX_free(tls->ctx);
    BIO_meth_free(tls->socket);
    aril_runtime_free(tls->rt);
    arili_free(tls, sizeof *tls);
}
