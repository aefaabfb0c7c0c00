/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_server.h"
#include "check.h"
#include "temp_folder.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DAY_S 86400L

/* --- Certificates */

static const char *path_of(const char *name, const char *suffix)
{
    static char paths[32][256];
    static size_t next;
    char file[64];
    char *const path = paths[next++ % COUNT(paths)];
    snprintf(file, sizeof file, "%s%s", name, suffix);
    snprintf(path, sizeof paths[0], "%s", temp_path(file));
    return path;
}

const char *tls_cert_path(const char *name)
{
    return path_of(name, ".crt");
}

const char *tls_key_path(const char *name)
{
    return path_of(name, ".key");
}

static void write_bio(const char *name, const char *suffix, unsigned mode, BIO *bio)
{
    char file[64];
    BUF_MEM *mem = NULL;
    snprintf(file, sizeof file, "%s%s", name, suffix);
    assert_int_equal(BIO_get_mem_ptr(bio, &mem), 1);
    temp_write(file, mode, (aril_bytes){ (const uint8_t *)mem->data, mem->length });
    BIO_free(bio);
}

static X509 *read_cert(const char *name)
{
    BIO *const bio = BIO_new_file(tls_cert_path(name), "r");
    X509 *const x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(x);
    BIO_free(bio);
    return x;
}

static EVP_PKEY *read_key(const char *name)
{
    BIO *const bio = BIO_new_file(tls_key_path(name), "r");
    EVP_PKEY *const key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_non_null(key);
    BIO_free(bio);
    return key;
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *const e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

void tls_cert_make(const struct tls_cert *cert)
{
    static long serial = 1;
    EVP_PKEY *const key = EVP_EC_gen("P-256");
    X509 *const x = X509_new();
    X509 *const issuer = cert->issuer != NULL ? read_cert(cert->issuer) : x;
    EVP_PKEY *const issuer_key = cert->issuer != NULL ? read_key(cert->issuer) : key;
    assert_non_null(key);
    assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), serial++), 1);
    const long until_s = cert->days * DAY_S;
    X509_gmtime_adj(X509_getm_notBefore(x), (until_s < 0 ? until_s : 0) - DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(x), until_s);
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                                (const unsigned char *)cert->name, -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(issuer)), 1);
    assert_int_equal(X509_set_pubkey(x, key), 1);
    add_extension(x, issuer, NID_basic_constraints,
                  cert->issuer != NULL && !cert->is_ca ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (cert->san != NULL) {
        add_extension(x, issuer, NID_subject_alt_name, cert->san);
    }
    assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, x), 1);
    write_bio(cert->name, ".crt", 0644, bio);
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    write_bio(cert->name, ".key", 0600, bio);
    if (cert->issuer != NULL) {
        X509_free(issuer);
        EVP_PKEY_free(issuer_key);
    }
    X509_free(x);
    EVP_PKEY_free(key);
}

/* --- The server */

struct tls_server {
    struct tls_server_config config;
    SSL_CTX *ctx;
    int fd, client_fd;
    pthread_t thread;
    bool shaken;
};

static bool write_all(SSL *ssl, const char *data, size_t len)
{
    size_t done = 0;
    return SSL_write_ex(ssl, data, len, &done) == 1 && done == len;
}

static void echo(SSL *ssl)
{
    char room[4096];
    size_t len = 0;
    while (SSL_read_ex(ssl, room, sizeof room, &len) == 1 && write_all(ssl, room, len)) {
    }
}

static void gather(SSL *ssl, size_t want)
{
    char *const room = malloc(want);
    size_t have = 0;
    size_t len = 0;
    while (room != NULL && have < want && SSL_read_ex(ssl, room + have, want - have, &len) == 1) {
        have += len;
    }
    if (have == want) {
        (void)write_all(ssl, room, want);
    }
    free(room);
    echo(ssl); /* until the client has read and leaves */
}

static void serve(struct tls_server *s, SSL *ssl)
{
    s->shaken = SSL_accept(ssl) == 1;
    if (!s->shaken) {
        return;
    }
    switch (s->config.does) {
    case TLS_SERVER_GATHERS:
        gather(ssl, s->config.bytes);
        break;
    case TLS_SERVER_GREETS:
        (void)write_all(ssl, "hello", 5);
        break;
    case TLS_SERVER_CUTS:
        (void)write_all(ssl, "hello", 5);
        return;
    default:
        echo(ssl);
        break;
    }
    (void)SSL_shutdown(ssl);
}

static void *run(void *arg)
{
    struct tls_server *const s = arg;
    sigset_t pipe; /* libssl's own sockets raise it; the client's must not */
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, NULL);
    if (s->config.does == TLS_SERVER_LEAVES) {
        char first;
        (void)!read(s->fd, &first, 1);
    } else if (s->config.does != TLS_SERVER_HANGS) {
        SSL *const ssl = SSL_new(s->ctx);
        if (ssl != NULL && SSL_set_fd(ssl, s->fd) == 1) {
            serve(s, ssl);
        }
        SSL_free(ssl);
        ERR_clear_error();
    }
    if (s->config.does != TLS_SERVER_HANGS) {
        shutdown(s->fd, SHUT_RDWR);
    }
    return NULL;
}

struct tls_server *tls_server_start(const struct tls_server_config *config, int *ret_client_fd)
{
    struct tls_server *const s = calloc(1, sizeof *s);
    int fds[2];
    assert_non_null(s);
    s->config = *config;
    s->ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(s->ctx);
    if (config->cert != NULL) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(s->ctx, tls_cert_path(config->cert)),
                         1);
        assert_int_equal(
            SSL_CTX_use_PrivateKey_file(s->ctx, tls_key_path(config->cert), SSL_FILETYPE_PEM), 1);
    }
    if (config->client_ca != NULL) {
        SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        assert_int_equal(SSL_CTX_load_verify_file(s->ctx, tls_cert_path(config->client_ca)), 1);
    }
    if (config->groups != NULL) {
        assert_int_equal(SSL_CTX_set1_groups_list(s->ctx, config->groups), 1);
    }
    if (config->tls12) {
        assert_int_equal(SSL_CTX_set_max_proto_version(s->ctx, TLS1_2_VERSION), 1);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    s->fd = fds[0];
    s->client_fd = fds[1];
    assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
    *ret_client_fd = s->client_fd;
    return s;
}

bool tls_server_end(struct tls_server *s)
{
    shutdown(s->client_fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    const bool shaken = s->shaken;
    close(s->client_fd);
    close(s->fd);
    SSL_CTX_free(s->ctx);
    free(s);
    return shaken;
}
