/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of a real arild, on both sides, and who its clients are by certificate and user id. */
#include "arild.h"
#include "check.h"
#include "temp_folder.h"
#include "tls_server.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_S     60
#define CONF_BYTES 8192

static const struct tls_cert certs[] = {
    { .name = "ca", .days = 30 },
    { .name = "other-ca", .days = 30 },
    { .name = "server", .san = "IP:127.0.0.1", .issuer = "ca", .days = 30 },
    { .name = "renewed", .san = "IP:127.0.0.1", .issuer = "ca", .days = 30 },
    { .name = "expired", .san = "IP:127.0.0.1", .issuer = "ca", .days = -1 },
    { .name = "elsewhere", .san = "IP:192.0.2.1", .issuer = "ca", .days = 30 },
    { .name = "client", .issuer = "ca", .days = 30 },
    { .name = "nobody", .issuer = "ca", .days = 30 },
    { .name = "old-client", .issuer = "ca", .days = -1 },
    { .name = "stranger", .issuer = "other-ca", .days = 30 },
};

static struct redis behind;
static struct arild a;
static unsigned strict_port, either_port; /* certificates alone; or a password */
static char conf[CONF_BYTES];

/* --- The configuration ------------------------------------------------------------------------ */

static unsigned free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)close(fd);
    return ntohs(at.sin_port);
}

static X509 *cert_of(const char *name)
{
    BIO *const bio = BIO_new_file(tls_cert_path(name), "r");
    X509 *const x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(x);
    BIO_free(bio);
    return x;
}

static const char *digest_of(const char *name)
{
    static char hex[65];
    uint8_t hash[32];
    unsigned char *der = NULL;
    X509 *const x = cert_of(name);
    const int len = i2d_PUBKEY(X509_get0_pubkey(x), &der);
    assert_true(len > 0);
    SHA256(der, (size_t)len, hash);
    for (size_t i = 0; i < sizeof hash; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    }
    OPENSSL_free(der);
    X509_free(x);
    return hex;
}

/* The first lines belong to the section of the last tenant, ARILD_OTHER: whose certificate and user
 * id these are. */
static const struct arild_options *options(unsigned uid)
{
    static struct arild_options o;
    const int n =
        snprintf(conf, sizeof conf,
                 "certificates = %s\nuids = %u\n"
                 "[listen]\naddress = tls://127.0.0.1:%u\nauth = certificate\n"
                 "tls_cert = %s\ntls_key = %s\ntls_client_ca = %s\n"
                 "[listen]\naddress = tls://127.0.0.1:%u\nauth = certificate, password\n"
                 "tls_cert = %s\ntls_key = %s\ntls_client_ca = %s\n"
                 "[listen]\naddress = unix:%s\nauth = peer\n",
                 digest_of("client"), uid, strict_port, temp_path("now.crt"), temp_path("now.key"),
                 tls_cert_path("ca"), either_port, temp_path("now.crt"), temp_path("now.key"),
                 tls_cert_path("ca"), temp_path("peer.sock"));
    assert_true(n > 0 && (size_t)n < sizeof conf);
    o = (struct arild_options){ .conf = conf };
    return &o;
}

/* What arild has as its own from now on. */
static void install(const char *cert, const char *key)
{
    char text[16384];
    const size_t c = file_read(tls_cert_path(cert), text, sizeof text);
    (void)temp_write("now.crt", 0600, (aril_bytes){ (const uint8_t *)text, c });
    const size_t k = file_read(tls_key_path(key), text, sizeof text);
    (void)temp_write("now.key", 0600, (aril_bytes){ (const uint8_t *)text, k });
    assert_true(c < sizeof text && k < sizeof text);
}

static int begin(void **state)
{
    if (temp_folder_make(state) != 0) {
        return -1;
    }
    if (arild_missing() != NULL || arild_is_plain() || !redis_installed()) {
        return 0;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < COUNT(certs); i++) {
        tls_cert_make(&certs[i]);
    }
    install("server", "server");
    strict_port = free_port();
    either_port = free_port();
    return redis_start(&behind, &(struct redis_options){ 0 }) &&
                   arild_start(&a, &behind, options(getuid()))
               ? 0
               : -1;
}

static int finish(void **state)
{
    arild_remove(&a);
    redis_remove(&behind);
    return temp_folder_remove(state);
}

#define OR_SKIP()                                                   \
    do {                                                            \
        REDIS_OR_SKIP();                                            \
        ARILD_OR_SKIP();                                            \
        if (arild_is_plain()) {                                     \
            print_message("SKIPPED: a stand-in has no such TLS\n"); \
            skip();                                                 \
        }                                                           \
    } while (0)

static bool log_has(const struct arild *of, const char *words)
{
    static char text[1 << 20];
    const size_t n = file_read(arild_file(of, "log"), text, sizeof text - 1);
    text[n < sizeof text ? n : sizeof text - 1] = '\0';
    return strstr(text, words) != NULL;
}

/* --- Clients ---------------------------------------------------------------------------------- */

struct client {
    SSL_CTX *ctx;
    SSL *ssl; /* NULL: no TLS */
    int fd;
};

static int dial(const struct sockaddr *at, socklen_t len)
{
    const struct timeval wait = { .tv_sec = WAIT_S };
    const int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    assert_int_equal(connect(fd, at, len), 0);
    return fd;
}

static int dial_port(unsigned port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return dial((const struct sockaddr *)&at, sizeof at);
}

/* With a certificate, where cert is not NULL; of TLS up to a version; with these groups. Whether
 * this side of the handshake was done. */
static bool client_connect(struct client *c, unsigned port, const char *cert, int version,
                           const char *groups)
{
    *c = (struct client){ .ctx = SSL_CTX_new(TLS_client_method()), .fd = dial_port(port) };
    assert_int_equal(SSL_CTX_load_verify_file(c->ctx, tls_cert_path("ca")), 1);
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    assert_int_equal(SSL_CTX_set_max_proto_version(c->ctx, version), 1);
    if (cert != NULL) {
        assert_int_equal(
            SSL_CTX_use_certificate_file(c->ctx, tls_cert_path(cert), SSL_FILETYPE_PEM), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(c->ctx, tls_key_path(cert), SSL_FILETYPE_PEM),
                         1);
    }
    if (groups != NULL) {
        assert_int_equal(SSL_CTX_set1_groups_list(c->ctx, groups), 1);
    }
    c->ssl = SSL_new(c->ctx);
    assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
    const bool done = SSL_connect(c->ssl) == 1;
    ERR_clear_error();
    return done;
}

static void client_end(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    (void)close(c->fd);
    *c = (struct client){ .fd = -1 };
}

static int client_read(struct client *c, char *ret, int cap)
{
    const int n = c->ssl != NULL ? SSL_read(c->ssl, ret, cap) : (int)read(c->fd, ret, (size_t)cap);
    ERR_clear_error();
    return n;
}

/* One command as a line, and the first line of its answer, or the bulk; "" when it was closed. */
static const char *ask(struct client *c, const char *command)
{
    static char text[1024];
    char line[512];
    const int len = snprintf(line, sizeof line, "%s\r\n", command);
    const int sent =
        c->ssl != NULL ? SSL_write(c->ssl, line, len) : (int)write(c->fd, line, (size_t)len);
    int have = 0;
    text[0] = '\0';
    while (sent == len && strstr(text, "\r\n") == NULL) {
        const int n = client_read(c, text + have, (int)sizeof text - 1 - have);
        if (n <= 0) {
            return "";
        }
        have += n;
        text[have] = '\0';
    }
    ERR_clear_error();
    if (sent != len || text[0] != '$' || text[1] == '-') {
        text[strcspn(text, "\r")] = '\0';
        return sent == len ? text : "";
    }
    const char *body = strchr(text, '\n') + 1;
    const int want = (int)(body - text) + (int)strtol(text + 1, NULL, 10) + 2;
    while (have < want) {
        const int n = client_read(c, text + have, (int)sizeof text - 1 - have);
        assert_true(n > 0);
        have += n;
    }
    text[want - 2] = '\0';
    return body;
}

static void asks(struct client *c, const char *command, const char *answer)
{
    assert_string_equal(ask(c, command), answer);
}

static void begins(struct client *c, const char *command, const char *answer)
{
    const char *got = ask(c, command);
    if (strncmp(got, answer, strlen(answer)) != 0) {
        fail_msg("%s was answered with \"%s\", not \"%s\"", command, got, answer);
    }
}

static struct client must(unsigned port, const char *cert)
{
    struct client c;
    assert_true(client_connect(&c, port, cert, TLS1_3_VERSION, NULL));
    return c;
}

/* The other end refuses it: at once, or, as TLS 1.3 has it, behind the client's last message. */
static void is_refused(unsigned port, const char *cert, int version)
{
    struct client c;
    if (client_connect(&c, port, cert, version, NULL)) {
        asks(&c, "PING", "");
    }
    client_end(&c);
}

/* --- Listeners -------------------------------------------------------------------------------- */

static void the_hybrid_group_is_agreed(void **state)
{
    (void)state;
    OR_SKIP();
    struct client c = must(strict_port, "client");
    assert_string_equal(SSL_get0_group_name(c.ssl), "X25519MLKEM768");
    assert_string_equal(SSL_get_version(c.ssl), "TLSv1.3");
    client_end(&c);
    /* A client that would rather not, and can: it is asked again. */
    assert_true(client_connect(&c, strict_port, "client", TLS1_3_VERSION, "X25519:X25519MLKEM768"));
    assert_string_equal(SSL_get0_group_name(c.ssl), "X25519MLKEM768");
    asks(&c, "PING", "+PONG");
    client_end(&c);
    /* One that cannot. */
    assert_true(client_connect(&c, strict_port, "client", TLS1_3_VERSION, "X25519"));
    asks(&c, "PING", "+PONG");
    client_end(&c);
}

static void a_certificate_is_its_tenant(void **state)
{
    (void)state;
    OR_SKIP();
    char login[256];
    char token[64];
    struct client c = must(strict_port, "client");
    asks(&c, "SET tls:whose other", "+OK");
    client_end(&c);
    arild_token(&a, ARILD_OTHER, token);
    (void)snprintf(login, sizeof login, "AUTH " ARILD_OTHER " %s", token);
    c = must(either_port, NULL);
    begins(&c, "PING", "-NOAUTH Authentication required");
    asks(&c, login, "+OK");
    asks(&c, "GET tls:whose", "other");
    client_end(&c);
    struct client first = { .fd = arild_dial(&a) }; /* ARILD_TENANT */
    asks(&first, "GET tls:whose", "$-1");
    client_end(&first);
    c = must(either_port, "client");
    asks(&c, "GET tls:whose", "other"); /* without a password */
    client_end(&c);
}

static void a_certificate_without_a_tenant_is_nobody_and_hears_why(void **state)
{
    (void)state;
    OR_SKIP();
    struct client c = must(strict_port, "nobody");
    begins(&c, "PING", "-NOAUTH aril: this listener knows clients by certificate");
    begins(&c, "HELLO 3", "-NOAUTH aril: this listener knows clients by certificate");
    begins(&c, "GET k", "-NOAUTH aril: ");
    begins(&c, "AUTH x y", "-ERR aril: this listener takes no passwords");
    client_end(&c);
    assert_true(log_has(&a, digest_of("nobody"))); /* what to add to the configuration */
    c = must(either_port, "nobody");               /* may still say who it is */
    begins(&c, "GET k", "-NOAUTH Authentication required");
    client_end(&c);
}

static void other_certificates_are_refused(void **state)
{
    (void)state;
    OR_SKIP();
    is_refused(strict_port, NULL, TLS1_3_VERSION);
    is_refused(strict_port, "stranger", TLS1_3_VERSION);
    is_refused(strict_port, "old-client", TLS1_3_VERSION);
    is_refused(either_port, "stranger", TLS1_3_VERSION);
    is_refused(either_port, "old-client", TLS1_3_VERSION);
}

static void older_tls_and_none_at_all_are_refused(void **state)
{
    (void)state;
    OR_SKIP();
    is_refused(strict_port, "client", TLS1_2_VERSION);
    is_refused(either_port, NULL, TLS1_2_VERSION);
    struct client c = { .fd = dial_port(strict_port) };
    const char *got = ask(&c, "PING"); /* closed, with an alert or without */
    assert_null(strchr(got, '+'));
    char byte;
    while (client_read(&c, &byte, 1) > 0) {
    }
    client_end(&c);
    struct client again = must(strict_port, "client");
    asks(&again, "PING", "+PONG");
    client_end(&again);
}

static struct client dial_peer(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", temp_path("peer.sock"));
    return (struct client){ .fd = dial((const struct sockaddr *)&at, sizeof at) };
}

static void a_user_id_is_its_tenant(void **state)
{
    (void)state;
    OR_SKIP();
    struct client c = must(strict_port, "client");
    asks(&c, "SET tls:peer other", "+OK");
    struct client peer = dial_peer();
    asks(&peer, "GET tls:peer", "other");
    client_end(&peer);
    arild_reload(&a, &behind, options(getuid() + 1));
    peer = dial_peer();
    begins(&peer, "GET tls:peer", "-NOAUTH aril: ");
    client_end(&peer);
    assert_true(log_has(&a, "its user id, "));
    asks(&c, "GET tls:peer", "other");
    arild_reload(&a, &behind, options(getuid()));
    peer = dial_peer();
    asks(&peer, "GET tls:peer", "other");
    client_end(&peer);
    client_end(&c);
}

static bool shows(struct client *c, const char *cert)
{
    X509 *const want = cert_of(cert);
    X509 *const got = SSL_get1_peer_certificate(c->ssl);
    const bool same = got != NULL && X509_cmp(got, want) == 0;
    X509_free(want);
    X509_free(got);
    return same;
}

static void a_renewed_certificate_is_taken_over_and_nobody_is_dropped(void **state)
{
    (void)state;
    OR_SKIP();
    struct client before = must(strict_port, "client");
    assert_true(shows(&before, "server"));
    asks(&before, "SET tls:renew one", "+OK");
    install("renewed", "renewed");
    arild_reload(&a, &behind, options(getuid()));
    struct client after = must(strict_port, "client");
    assert_true(shows(&after, "renewed"));
    asks(&after, "GET tls:renew", "one");
    asks(&before, "GET tls:renew", "one");
    /* A key that is not of the certificate: everything stays. */
    assert_false(log_has(&a, "the old configuration stays"));
    install("server", "renewed");
    arild_reload(&a, &behind, options(getuid()));
    assert_true(log_has(&a, "the old configuration stays"));
    struct client third = must(strict_port, "client");
    assert_true(shows(&third, "renewed"));
    asks(&third, "GET tls:renew", "one");
    asks(&before, "GET tls:renew", "one");
    asks(&after, "GET tls:renew", "one");
    client_end(&before);
    client_end(&after);
    client_end(&third);
    install("server", "server");
    arild_reload(&a, &behind, options(getuid()));
}

/* --- The server behind ------------------------------------------------------------------------ */

/* arild over TLS to a server that shows that certificate, and believes that authority. why: what
 * its log says of it; NULL: it works. */
static void with_upstream(struct redis *r, const char *cert, const char *ca, const char *client,
                          const char *why)
{
    char line[1024];
    char upstream[1024];
    struct arild over;
    (void)snprintf(line, sizeof line,
                   "CONFIG SET tls-cert-file %s tls-key-file %s tls-ca-cert-file %s",
                   tls_cert_path(cert), tls_key_path(cert), tls_cert_path("ca"));
    redis_expect(r, line, "+OK");
    const int n = snprintf(upstream, sizeof upstream, "rediss://127.0.0.1:%u\ntls_ca = %s",
                           r->tls_port, tls_cert_path(ca));
    if (client != NULL) {
        (void)snprintf(upstream + n, sizeof upstream - (size_t)n, "\ntls_cert = %s\ntls_key = %s",
                       tls_cert_path(client), tls_key_path(client));
    }
    assert_true(arild_start(
        &over, r, &(struct arild_options){ .upstream = upstream, .top = "log_level = debug" }));
    struct client c = { .fd = arild_dial(&over) };
    if (why == NULL) {
        asks(&c, "SET tls:behind value", "+OK");
        asks(&c, "GET tls:behind", "value");
    } else {
        begins(&c, "SET tls:behind value", "-ERR aril: the ");
        asks(&c, "PING", "+PONG");
        assert_true(log_has(&over, why));
    }
    client_end(&c);
    arild_remove(&over);
}

static void the_server_behind_must_be_who_it_should_be(void **state)
{
    (void)state;
    OR_SKIP();
    struct redis r;
    assert_true(redis_start(&r, &(struct redis_options){ .tls = true }));
    with_upstream(&r, "server", "ca", NULL, NULL);
    with_upstream(&r, "server", "other-ca", NULL, "self-signed certificate in certificate chain");
    with_upstream(&r, "expired", "ca", NULL, "certificate has expired");
    with_upstream(&r, "elsewhere", "ca", NULL, "IP address mismatch");
    redis_remove(&r);
}

static void the_server_behind_may_want_a_certificate(void **state)
{
    (void)state;
    OR_SKIP();
    struct redis r;
    assert_true(redis_start(&r, &(struct redis_options){ .tls = true, .tls_clients = true }));
    with_upstream(&r, "server", "ca", "client", NULL);
    with_upstream(&r, "server", "ca", "stranger", "it closed the connection");
    redis_remove(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hybrid_group_is_agreed),
        cmocka_unit_test(a_certificate_is_its_tenant),
        cmocka_unit_test(a_certificate_without_a_tenant_is_nobody_and_hears_why),
        cmocka_unit_test(other_certificates_are_refused),
        cmocka_unit_test(older_tls_and_none_at_all_are_refused),
        cmocka_unit_test(a_user_id_is_its_tenant),
        cmocka_unit_test(a_renewed_certificate_is_taken_over_and_nobody_is_dropped),
        cmocka_unit_test(the_server_behind_must_be_who_it_should_be),
        cmocka_unit_test(the_server_behind_may_want_a_certificate),
    };
    return cmocka_run_group_tests_name("arild tls", tests, begin, finish);
}
