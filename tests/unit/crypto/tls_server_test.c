/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include "crypto/runtime.h"
#include "crypto/tls.h"
#include "faulty_crypto.h"
#include "provider.h"
#include "runtime.h"
#include "temp_folder.h"
#include "tls_pair.h"
#include "tls_server.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Handshakes of servers, and of clients that do not wait. */

static const struct tls_cert certs[] = {
    { .name = "ca", .days = 30 },
    { .name = "other-ca", .days = 30 },
    { .name = "middle", .issuer = "ca", .is_ca = true, .days = 30 },
    { .name = "server", .san = "DNS:cache.example,IP:127.0.0.1", .issuer = "ca", .days = 30 },
    { .name = "deep", .san = "DNS:cache.example", .issuer = "middle", .days = 30 },
    { .name = "expired", .issuer = "ca", .days = -1 },
    { .name = "client", .issuer = "ca", .days = 30 },
    { .name = "stranger", .issuer = "other-ca", .days = 30 },
};

static void assert_peer_key_is_of(const struct arili_tls_conn *conn, const char *cert)
{
    uint8_t got[32];
    uint8_t want[32];
    unsigned char *der = NULL;
    BIO *const bio = BIO_new_file(tls_cert_path(cert), "r");
    X509 *const x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(x);
    const int len = i2d_PUBKEY(X509_get0_pubkey(x), &der);
    assert_true(len > 0);
    SHA256(der, (size_t)len, want);
    assert_status(arili_tls_peer_key(conn, got), ARIL_OK);
    assert_memory_equal(got, want, sizeof got);
    OPENSSL_free(der);
    X509_free(x);
    BIO_free(bio);
}

static void assert_no_peer_key(const struct arili_tls_conn *conn)
{
    uint8_t key[32];
    memset(key, 0xa7, sizeof key);
    assert_status(arili_tls_peer_key(conn, key), ARIL_E_NOT_FOUND);
    assert_true(provider_all(key, sizeof key, 0xa7));
}

/* A word from one to the other. */
static void say(struct arili_tls_conn *from, struct arili_tls_conn *to)
{
    uint8_t room[16] = { 0 };
    size_t len = 0;
    int wants = 77;
    assert_status(arili_tls_try_write(from, ARILI_LITERAL("word"), &len, &wants), ARIL_OK);
    assert_true(len == 4 && wants == 0);
    assert_status(arili_tls_try_read(to, room, sizeof room, &len, &wants), ARIL_OK);
    assert_true(len == 4 && wants == 0);
    assert_string_equal((const char *)room, "word");
}

/* --- Groups ---------------------------------------------------------------------------------- */

static void both_sides_agree_on_the_hybrid(void **state)
{
    static const char *const groups[] = { "X25519MLKEM768", "SecP384r1MLKEM1024" };
    (void)state;
    for (int strict = 0; strict <= 1; strict++) {
        struct arili_tls *const client = tls_pair_client("ca", NULL, strict);
        struct arili_tls *const server = tls_pair_server("server", NULL, false, strict);
        struct tls_pair p;
        tls_pair_init(&p, client, server, NULL, 0);
        /* Connections outlive what they were made from. */
        arili_tls_free(client);
        arili_tls_free(server);
        assert_true(tls_pair_shake(&p));
        assert_string_equal(arili_tls_group(p.client), groups[strict]);
        assert_string_equal(arili_tls_group(p.server), groups[strict]);
        say(p.client, p.server);
        say(p.server, p.client);
        assert_peer_key_is_of(p.client, "server");
        assert_no_peer_key(p.server);
        tls_pair_step(&p); /* done is done */
        assert_true(p.client_done && p.server_done);
        tls_pair_done(&p);
        assert_true(provider_is_quiet());
    }
}

static void strict_and_not_strict_do_not_meet(void **state)
{
    (void)state;
    for (int strict = 0; strict <= 1; strict++) {
        struct arili_tls *const client = tls_pair_client("ca", NULL, strict);
        struct arili_tls *const server = tls_pair_server("server", NULL, false, !strict);
        struct tls_pair p;
        tls_pair_init(&p, client, server, NULL, 0);
        assert_false(tls_pair_shake(&p));
        assert_status_class(p.server_st, ARIL_E_FORMAT);
        assert_status(p.client_st, ARIL_E_IO); /* it was told so */
        assert_non_null(strstr(arili_tls_why(p.client), "alert"));
        tls_pair_done(&p);
        arili_tls_free(client);
        arili_tls_free(server);
    }
}

/* A client of libssl alone, with these groups, against our server. The server's status. */
static aril_status other_client(const char *groups, int version, const char *want_group)
{
    struct arili_tls *const server = tls_pair_server("server", NULL, false, false);
    struct tls_pair p;
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
    if (groups != NULL) {
        assert_int_equal(SSL_CTX_set1_groups_list(ctx, groups), 1);
    }
    SSL *const ssl = SSL_new(ctx);
    tls_pair_init(&p, NULL, server, NULL, 0);
    assert_int_equal(SSL_set_fd(ssl, p.client_fd), 1);
    bool client_done = false;
    for (unsigned i = 0; i < 20; i++) {
        client_done = client_done || SSL_connect(ssl) == 1;
        tls_pair_step(&p);
    }
    ERR_clear_error();
    const aril_status st = p.server_st;
    assert_int_equal(p.server_done, st == ARIL_OK);
    if (st == ARIL_OK) {
        assert_true(client_done);
        assert_string_equal(arili_tls_group(p.server), want_group);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    tls_pair_done(&p);
    arili_tls_free(server);
    return st;
}

static void servers_prefer_the_hybrid_and_fall_back_only_as_listed(void **state)
{
    const int v13 = TLS1_3_VERSION;
    (void)state;
    assert_status(other_client("X25519MLKEM768", v13, "X25519MLKEM768"), ARIL_OK);
    /* What the client began with counts less than what it can do. */
    assert_status(other_client("X25519:P-256:X25519MLKEM768", v13, "X25519MLKEM768"), ARIL_OK);
    assert_status(other_client("X25519:P-256", v13, "X25519"), ARIL_OK);
    assert_status(other_client("P-256", v13, "P-256"), ARIL_OK);
    assert_status(other_client("P-384:P-521", v13, NULL), ARIL_E_FORMAT);
}

static void older_versions_are_refused(void **state)
{
    (void)state;
    assert_status(other_client(NULL, TLS1_2_VERSION, NULL), ARIL_E_FORMAT_VERSION);
    struct arili_tls *const client = tls_pair_client("ca", NULL, false);
    struct tls_server_config config = { .cert = "server", .tls12 = true };
    struct arili_tls_conn *conn = NULL;
    int fd = -1;
    struct tls_server *const server = tls_server_start(&config, &fd);
    int wants = 0;
    /* The server is a thread, and its socket one that waits; ours does not. */
    assert_status(arili_tls_connect_on(client, fd, "cache.example", &conn), ARIL_OK);
    aril_status st = arili_tls_shake(conn, &wants);
    for (char byte; st == ARIL_OK && wants == ARILI_TLS_READABLE;) {
        assert_true(recv(fd, &byte, 1, MSG_PEEK) >= 0); /* waits */
        st = arili_tls_shake(conn, &wants);
    }
    assert_status(st, ARIL_E_IO); /* an alert */
    arili_tls_close(conn);
    assert_false(tls_server_end(server));
    arili_tls_free(client);
}

static int tickets;
static int count_ticket(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    (void)session;
    tickets++;
    return 0;
}

static void no_session_can_be_resumed(void **state)
{
    struct arili_tls *const server = tls_pair_server("server", NULL, false, false);
    struct tls_pair p;
    SSL_CTX *const ctx = SSL_CTX_new(TLS_client_method());
    (void)state;
    tickets = 0;
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(ctx, count_ticket);
    SSL *const ssl = SSL_new(ctx);
    tls_pair_init(&p, NULL, server, NULL, 0);
    assert_int_equal(SSL_set_fd(ssl, p.client_fd), 1);
    for (unsigned i = 0; i < 20 && !(SSL_connect(ssl) == 1 && p.server_done); i++) {
        tls_pair_step(&p);
    }
    assert_true(p.server_done);
    uint8_t room[8];
    size_t len = 0;
    int wants = 0;
    assert_status(arili_tls_try_write(p.server, ARILI_LITERAL("word"), &len, &wants), ARIL_OK);
    assert_int_equal(SSL_read(ssl, room, sizeof room), 4); /* a ticket would have come before */
    assert_int_equal(tickets, 0);
    assert_int_equal(SSL_SESSION_is_resumable(SSL_get0_session(ssl)), 0);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    tls_pair_done(&p);
    arili_tls_free(server);
}

/* --- Certificates ---------------------------------------------------------------------------- */

static void certificates_of_servers_are_checked(void **state)
{
    static const struct {
        const char *ca, *host;
        bool good;
    } cases[] = {
        { "ca", "cache.example", true },        { "ca", "127.0.0.1", true },
        { "other-ca", "cache.example", false }, { "ca", "other.example", false },
        { "ca", "127.0.0.2", false },
    };
    struct arili_tls *const server = tls_pair_server("server", NULL, false, false);
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arili_tls *const client = tls_pair_client(cases[i].ca, NULL, false);
        struct tls_pair p;
        tls_pair_init(&p, client, server, cases[i].host, 0);
        assert_int_equal(tls_pair_shake(&p), cases[i].good);
        assert_status(p.client_st, cases[i].good ? ARIL_OK : ARIL_E_TRUST);
        if (!cases[i].good) {
            int wants = 0;
            /* Nor is there anything to be had of it any more. */
            assert_status(arili_tls_shake(p.client, &wants), ARIL_E_TRUST);
            assert_true(strlen(arili_tls_why(p.client)) > 0);
            assert_status(p.server_st, ARIL_E_TRUST); /* it was told so */
        }
        tls_pair_done(&p);
        arili_tls_free(client);
    }
    arili_tls_free(server);
}

static void a_chain_is_shown_whole(void **state)
{
    uint8_t text[8192];
    struct arili_tls *tls = NULL;
    struct tls_pair p;
    (void)state;
    size_t len = file_read(tls_cert_path("deep"), text, sizeof text);
    len += file_read(tls_cert_path("middle"), text + len, sizeof text - len);
    for (int whole = 0; whole <= 1; whole++) {
        const char *const chain = temp_write("chain.crt", 0644, (aril_bytes){ text, len });
        const struct arili_tls_server_config config = { .cert_path =
                                                            whole ? chain : tls_cert_path("deep"),
                                                        .key_path = tls_key_path("deep") };
        struct arili_tls *const client = tls_pair_client("ca", NULL, false);
        assert_status(arili_tls_server_new(rt, &config, &tls, NULL), ARIL_OK);
        tls_pair_init(&p, client, tls, NULL, 0);
        assert_int_equal(tls_pair_shake(&p), whole);
        assert_status(p.client_st, whole ? ARIL_OK : ARIL_E_TRUST);
        tls_pair_done(&p);
        arili_tls_free(client);
        arili_tls_free(tls);
    }
}

static void client_certificates_are_asked_for_as_configured(void **state)
{
    static const struct {
        const char *client_ca;
        bool required;
        const char *cert; /* that the client has */
        bool good, known;
    } cases[] = {
        { NULL, false, NULL, true, false },       { NULL, false, "client", true, false },
        { "ca", false, NULL, true, false },       { "ca", false, "client", true, true },
        { "ca", false, "stranger", false, 0 },    { "ca", false, "expired", false, 0 },
        { "ca", true, NULL, false, false },       { "ca", true, "client", true, true },
        { "ca", true, "stranger", false, 0 },     { "ca", true, "expired", false, 0 },
        { "other-ca", true, "client", false, 0 }, { "other-ca", true, "stranger", true, true },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arili_tls *const client = tls_pair_client("ca", cases[i].cert, false);
        struct arili_tls *const server =
            tls_pair_server("server", cases[i].client_ca, cases[i].required, false);
        struct tls_pair p;
        uint8_t byte = 0xa7;
        uint8_t key[32];
        size_t len = 7;
        int wants = 77;
        tls_pair_init(&p, client, server, NULL, 0);
        assert_status(arili_tls_peer_key(p.server, key), ARIL_E_USAGE_STATE);
        assert_int_equal(tls_pair_shake(&p), cases[i].good);
        assert_status(p.server_st, cases[i].good ? ARIL_OK : ARIL_E_TRUST);
        assert_true(p.client_done); /* it has not heard yet what the server thinks */
        if (!cases[i].good) {
            assert_status(arili_tls_peer_key(p.server, key), ARIL_E_USAGE_STATE);
            assert_status(arili_tls_try_read(p.client, &byte, 1, &len, &wants), ARIL_E_TRUST);
            assert_true(byte == 0xa7 && len == 0 && wants == 0);
            assert_status(arili_tls_try_write(p.client, ARILI_LITERAL("x"), &len, &wants),
                          ARIL_E_TRUST);
        } else if (cases[i].known) {
            assert_peer_key_is_of(p.server, cases[i].cert);
            say(p.client, p.server);
        } else {
            assert_no_peer_key(p.server);
            say(p.client, p.server);
        }
        tls_pair_done(&p);
        arili_tls_free(client);
        arili_tls_free(server);
        assert_true(provider_is_quiet());
    }
}

/* --- Files and misuse ------------------------------------------------------------------------ */

static aril_status open_files(const char *cert, const char *key, const char *ca)
{
    struct arili_tls *tls = NULL;
    aril_error error = { 0 };
    const struct arili_tls_server_config config = { .cert_path = cert,
                                                    .key_path = key,
                                                    .client_ca_path = ca };
    const aril_status st = arili_tls_server_new(rt, &config, &tls, &error);
    assert_int_equal(tls != NULL, st == ARIL_OK);
    arili_tls_free(tls);
    assert_true(provider_is_quiet());
    return st;
}

static void files_that_do_not_fit_are_refused(void **state)
{
    const char *const cert = tls_cert_path("server");
    const char *const key = tls_key_path("server");
    const char *const ca = tls_cert_path("ca");
    const char *const text = temp_write("text", 0600, ARILI_LITERAL("nothing\n"));
    struct arili_tls *tls = NULL;
    (void)state;
    assert_status(open_files(cert, key, ca), ARIL_OK);
    assert_status(open_files(cert, key, NULL), ARIL_OK);
    assert_status(open_files(temp_path("missing"), key, NULL), ARIL_E_NOT_FOUND);
    assert_status(open_files(cert, temp_path("missing"), NULL), ARIL_E_NOT_FOUND);
    assert_status(open_files(cert, key, temp_path("missing")), ARIL_E_NOT_FOUND);
    assert_status(open_files(text, key, NULL), ARIL_E_FORMAT);
    assert_status(open_files(cert, text, NULL), ARIL_E_FORMAT);
    assert_status(open_files(cert, key, text), ARIL_E_FORMAT);
    assert_status(open_files(cert, tls_key_path("client"), NULL), ARIL_E_FORMAT);
    assert_status(open_files(NULL, key, NULL), ARIL_E_USAGE_NULL);
    assert_status(open_files(cert, NULL, NULL), ARIL_E_USAGE_NULL);
    const struct arili_tls_server_config nobody = { .cert_path = cert,
                                                    .key_path = key,
                                                    .client_required = true };
    assert_status(arili_tls_server_new(rt, &nobody, &tls, NULL), ARIL_E_USAGE_NULL);
    assert_int_equal(chmod(key, 0644), 0);
    assert_status(open_files(cert, key, NULL), ARIL_E_IO_PERMISSION);
    assert_int_equal(chmod(key, 0600), 0);
    assert_int_equal(chmod(ca, 0666), 0);
    assert_status(open_files(cert, key, ca), ARIL_E_IO_PERMISSION);
    assert_int_equal(chmod(ca, 0644), 0);
}

/* Keys and certificates are OpenSSL's, so is the rest. */
static void primitives_of_others_have_no_tls(void **state)
{
    struct faulty_crypto *const other = faulty_crypto_new(provider());
    const struct arili_tls_server_config config = { .cert_path = tls_cert_path("server"),
                                                    .key_path = tls_key_path("server") };
    struct arili_tls *tls = NULL;
    aril_runtime *over = NULL;
    (void)state;
    assert_non_null(other);
    assert_status(arili_runtime_new_over(faulty_crypto_table(other), NULL, &over), ARIL_OK);
    assert_status(arili_tls_server_new(over, &config, &tls, NULL), ARIL_E_UNAVAILABLE);
    assert_null(tls);
    aril_runtime_free(over);
    faulty_crypto_free(other);
}

static void each_configuration_is_for_one_side(void **state)
{
    struct arili_tls *const client = tls_pair_client("ca", NULL, false);
    struct arili_tls *const server = tls_pair_server("server", NULL, false, false);
    struct arili_tls_conn *conn = NULL;
    struct tls_pair p;
    uint8_t byte;
    size_t len;
    int wants;
    (void)state;
    assert_status(arili_tls_accept_on(client, -1, &conn), ARIL_E_USAGE_STATE);
    assert_status(arili_tls_connect_on(server, -1, "cache.example", &conn), ARIL_E_USAGE_STATE);
    assert_status(arili_tls_connect(server, -1, "cache.example", UINT64_MAX, &conn, NULL),
                  ARIL_E_USAGE_STATE);
    assert_status(arili_tls_connect_on(client, -1, "", &conn), ARIL_E_USAGE_RANGE);
    assert_status(arili_tls_connect_on(client, -1, ".example", &conn), ARIL_E_USAGE_RANGE);
    assert_status(arili_tls_connect_on(client, -1, NULL, &conn), ARIL_E_USAGE_NULL);
    assert_null(conn);
    /* And nothing is read or written before the handshake is done. */
    tls_pair_init(&p, client, server, NULL, 0);
    assert_status(arili_tls_try_read(p.server, &byte, 1, &len, &wants), ARIL_E_USAGE_STATE);
    assert_status(arili_tls_try_write(p.client, ARILI_LITERAL("x"), &len, &wants),
                  ARIL_E_USAGE_STATE);
    assert_false(arili_tls_has_pending(p.server));
    assert_true(tls_pair_shake(&p));
    assert_status(arili_tls_try_read(p.server, &byte, 0, &len, &wants), ARIL_E_USAGE_RANGE);
    tls_pair_done(&p);
    arili_tls_free(client);
    arili_tls_free(server);
}

static int setup(void **state)
{
    if (provider_setup(state) != 0 || runtime_setup(state) != 0 || temp_folder_make(state) != 0) {
        return -1;
    }
    for (size_t i = 0; i < COUNT(certs); i++) {
        tls_cert_make(&certs[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    return temp_folder_remove(state) | runtime_teardown(state) | provider_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_agree_on_the_hybrid),
        cmocka_unit_test(strict_and_not_strict_do_not_meet),
        cmocka_unit_test(servers_prefer_the_hybrid_and_fall_back_only_as_listed),
        cmocka_unit_test(older_versions_are_refused),
        cmocka_unit_test(no_session_can_be_resumed),
        cmocka_unit_test(certificates_of_servers_are_checked),
        cmocka_unit_test(a_chain_is_shown_whole),
        cmocka_unit_test(client_certificates_are_asked_for_as_configured),
        cmocka_unit_test(files_that_do_not_fit_are_refused),
        cmocka_unit_test(primitives_of_others_have_no_tls),
        cmocka_unit_test(each_configuration_is_for_one_side),
    };
    return cmocka_run_group_tests_name("servers of TLS", tests, setup, teardown);
}
