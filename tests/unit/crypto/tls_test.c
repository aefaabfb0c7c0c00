/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tls.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "check.h"
#include "provider.h"
#include "runtime.h"
#include "temp_folder.h"
#include "tls_server.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LONG_S 60u /* no test waits so long unless it fails */

static const struct tls_cert certs[] = {
    { .name = "ca", .days = 30 },
    { .name = "other-ca", .days = 30 },
    { .name = "server",
      .san = "DNS:cache.example,DNS:*.pool.example,IP:127.0.0.1,IP:::1",
      .issuer = "ca",
      .days = 30 },
    { .name = "expired", .san = "DNS:cache.example", .issuer = "ca", .days = -1 },
    { .name = "cache.example", .issuer = "ca", .days = 30 }, /* the name in the CN alone */
    { .name = "client", .issuer = "ca", .days = 30 },
    { .name = "stranger", .issuer = "other-ca", .days = 30 },
};

static aril_error error;

static uint64_t in(uint64_t seconds)
{
    struct timespec ts;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
    return ((uint64_t)ts.tv_sec + seconds) * ARILI_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static struct arili_tls *client_with(const char *ca, const char *cert, bool strict)
{
    struct arili_tls *tls = NULL;
    const struct arili_tls_config config = {
        .ca_path = tls_cert_path(ca),
        .cert_path = cert != NULL ? tls_cert_path(cert) : NULL,
        .key_path = cert != NULL ? tls_key_path(cert) : NULL,
        .strict = strict,
    };
    error = (aril_error){ 0 };
    assert_status(arili_tls_new(rt, &config, &tls, &error), ARIL_OK);
    return tls;
}

struct attempt {
    struct tls_server_config server;
    const char *ca; /* NULL: "ca" */
    const char *cert;
    const char *host; /* NULL: cache.example */
    bool strict;
};

/* One handshake and a word there and back. The status of the handshake. */
static aril_status try(const struct attempt *a, const char *want_group)
{
    int fd = -1;
    struct arili_tls *const tls = client_with(a->ca != NULL ? a->ca : "ca", a->cert, a->strict);
    struct tls_server *const server = tls_server_start(&a->server, &fd);
    struct arili_tls_conn *conn = NULL;
    error = (aril_error){ 0 };
    const aril_status st = arili_tls_connect(tls, fd, a->host != NULL ? a->host : "cache.example",
                                             in(LONG_S), &conn, &error);
    if (st == ARIL_OK) {
        uint8_t back[5] = { 0 };
        size_t len = 0;
        assert_string_equal(arili_tls_group(conn), want_group);
        assert_status(arili_tls_write(conn, ARILI_LITERAL("word"), in(LONG_S)), ARIL_OK);
        assert_status(arili_tls_read(conn, back, sizeof back, in(LONG_S), &len), ARIL_OK);
        assert_int_equal(len, 4);
        assert_string_equal((const char *)back, "word");
    } else {
        assert_null(conn);
        assert_int_equal(error.status, st);
    }
    arili_tls_close(conn);
    arili_tls_free(tls);
    assert_int_equal(tls_server_end(server), st == ARIL_OK);
    assert_true(provider_is_quiet());
    return st;
}

static void expect_words(const char *a, const char *b)
{
    if (strstr(error.message, a) == NULL || strstr(error.message, b) == NULL) {
        fail_msg("\"%s\" does not say \"%s\" and \"%s\"", error.message, a, b);
    }
}

static void the_key_agreement_is_hybrid_and_falls_back_only_as_listed(void **state)
{
    (void)state;
    const struct attempt plain = { .server = { .cert = "server" } };
    assert_status(try(&plain, "X25519MLKEM768"), ARIL_OK);
    const struct attempt old = { .server = { .cert = "server", .groups = "X25519:P-256" } };
    assert_status(try(&old, "X25519"), ARIL_OK);
    const struct attempt older = { .server = { .cert = "server", .groups = "P-256" } };
    assert_status(try(&older, "P-256"), ARIL_OK);
    const struct attempt other = { .server = { .cert = "server", .groups = "P-384" } };
    assert_status(try(&other, NULL), ARIL_E_IO);
    expect_words("cache.example", "X25519MLKEM768");
}

static void strict_takes_ml_kem_1024_alone(void **state)
{
    (void)state;
    const struct attempt both = {
        .server = { .cert = "server", .groups = "MLKEM1024:SecP384r1MLKEM1024" }, .strict = true
    };
    assert_status(try(&both, "SecP384r1MLKEM1024"), ARIL_OK);
    const struct attempt pure = { .server = { .cert = "server", .groups = "MLKEM1024" },
                                  .strict = true };
    assert_status(try(&pure, "MLKEM1024"), ARIL_OK);
    const struct attempt hybrid = { .server = { .cert = "server", .groups = "X25519MLKEM768" },
                                    .strict = true };
    assert_status(try(&hybrid, NULL), ARIL_E_IO);
    expect_words("cache.example", "MLKEM1024");
}

static void names_and_addresses_must_be_those_of_the_certificate(void **state)
{
    static const char *const good[] = { "cache.example", "CACHE.example", "a.pool.example",
                                        "127.0.0.1", "::1" };
    static const char *const bad[] = { "other.example", "example", "b.a.pool.example",
                                       "127.0.0.2",     "::2",     "127.0.0.1.example" };
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        const struct attempt a = { .server = { .cert = "server" }, .host = good[i] };
        assert_status(try(&a, "X25519MLKEM768"), ARIL_OK);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        const struct attempt a = { .server = { .cert = "server" }, .host = bad[i] };
        assert_status(try(&a, NULL), ARIL_E_TRUST);
        expect_words(bad[i], "mismatch");
    }
    /* A name in the CN counts for nothing. */
    const struct attempt cn = { .server = { .cert = "cache.example" } };
    assert_status(try(&cn, NULL), ARIL_E_TRUST);
}

static void hosts_that_would_match_anything_are_refused(void **state)
{
    static const char *const hosts[] = { "", ".example" };
    struct arili_tls *const tls = client_with("ca", NULL, false);
    struct arili_tls_conn *conn = NULL;
    (void)state;
    for (size_t i = 0; i < COUNT(hosts); i++) {
        assert_status(arili_tls_connect(tls, -1, hosts[i], in(LONG_S), &conn, NULL),
                      ARIL_E_USAGE_RANGE);
        assert_null(conn);
    }
    arili_tls_free(tls);
}

static void certificates_of_others_and_of_the_past_are_refused(void **state)
{
    (void)state;
    const struct attempt unknown = { .server = { .cert = "server" }, .ca = "other-ca" };
    assert_status(try(&unknown, NULL), ARIL_E_TRUST);
    expect_words("cache.example", "issuer");
    const struct attempt expired = { .server = { .cert = "expired" } };
    assert_status(try(&expired, NULL), ARIL_E_TRUST);
    expect_words("cache.example", "expired");
}

static void a_client_certificate_is_shown(void **state)
{
    (void)state;
    const struct attempt a = { .server = { .cert = "server", .client_ca = "ca" },
                               .cert = "client" };
    assert_status(try(&a, "X25519MLKEM768"), ARIL_OK);
}

/* In TLS 1.3 the client is done before the server has seen its certificate, so the answer comes
 * with the first read. */
static void a_client_certificate_that_is_missing_or_wrong_is_told_at_the_first_read(void **state)
{
    static const char *const shown[] = { NULL, "stranger" };
    (void)state;
    for (size_t i = 0; i < COUNT(shown); i++) {
        const struct tls_server_config config = { .cert = "server", .client_ca = "ca" };
        struct arili_tls *const tls = client_with("ca", shown[i], false);
        struct arili_tls_conn *conn = NULL;
        uint8_t byte = 0xaa;
        size_t len = 7;
        int fd = -1;
        struct tls_server *const server = tls_server_start(&config, &fd);
        assert_status(arili_tls_connect(tls, fd, "cache.example", in(LONG_S), &conn, &error),
                      ARIL_OK);
        assert_status(arili_tls_read(conn, &byte, 1, in(LONG_S), &len), ARIL_E_TRUST);
        assert_int_equal(len, 7);
        assert_int_equal(byte, 0xaa);
        assert_status(arili_tls_write(conn, ARILI_LITERAL("x"), in(LONG_S)), ARIL_E_IO);
        arili_tls_close(conn);
        arili_tls_free(tls);
        assert_false(tls_server_end(server));
    }
}

static void tls_1_2_is_refused(void **state)
{
    (void)state;
    const struct attempt a = { .server = { .cert = "server", .tls12 = true } };
    assert_status(try(&a, NULL), ARIL_E_IO);
    expect_words("cache.example", "TLS 1.3");
}

static void a_peer_that_never_answers_ends_at_the_deadline(void **state)
{
    const struct tls_server_config hangs = { .does = TLS_SERVER_HANGS };
    struct arili_tls *const tls = client_with("ca", NULL, false);
    struct arili_tls_conn *conn = NULL;
    int fd = -1;
    (void)state;
    struct tls_server *server = tls_server_start(&hangs, &fd);
    assert_status(arili_tls_connect(tls, fd, "cache.example", in(0) + 2000000, &conn, &error),
                  ARIL_E_TIMEOUT);
    expect_words("cache.example", "in time");
    assert_null(conn);
    assert_status(arili_tls_connect(tls, fd, "cache.example", 0, &conn, NULL), ARIL_E_TIMEOUT);
    (void)tls_server_end(server);

    /* After the handshake a read that ran out of time lost nothing. */
    const struct tls_server_config echoes = { .cert = "server" };
    uint8_t byte = 0;
    size_t len = 7;
    server = tls_server_start(&echoes, &fd);
    assert_status(arili_tls_connect(tls, fd, "cache.example", in(LONG_S), &conn, &error), ARIL_OK);
    assert_status(arili_tls_read(conn, &byte, 1, 0, &len), ARIL_E_TIMEOUT);
    assert_int_equal(len, 7);
    assert_status(arili_tls_write(conn, ARILI_LITERAL("x"), in(LONG_S)), ARIL_OK);
    assert_status(arili_tls_read(conn, &byte, 1, in(LONG_S), &len), ARIL_OK);
    assert_int_equal(byte, 'x');
    arili_tls_close(conn);
    assert_true(tls_server_end(server));
    arili_tls_free(tls);
}

/* Nobody reads: the socket fills, the deadline ends it, and the connection is of no use any more.
 */
static void a_write_that_ran_out_of_time_breaks_the_connection(void **state)
{
    const size_t len = (size_t)16 << 20;
    uint8_t *const data = calloc(1, len);
    struct arili_tls *const tls = client_with("ca", NULL, false);
    const struct tls_server_config config = { .cert = "server" };
    struct arili_tls_conn *conn = NULL;
    int fd = -1;
    (void)state;
    assert_non_null(data);
    struct tls_server *const server = tls_server_start(&config, &fd);
    assert_status(arili_tls_connect(tls, fd, "cache.example", in(LONG_S), &conn, &error), ARIL_OK);
    /* The echo is never read, so the server stops reading too. */
    assert_status(arili_tls_write(conn, (aril_bytes){ data, len }, in(0) + 50000000),
                  ARIL_E_TIMEOUT);
    assert_status(arili_tls_write(conn, ARILI_LITERAL("x"), in(LONG_S)), ARIL_E_IO);
    arili_tls_close(conn);
    (void)tls_server_end(server);
    arili_tls_free(tls);
    free(data);
}

static void a_peer_that_leaves_is_an_io_error(void **state)
{
    (void)state;
    const struct attempt a = { .server = { .does = TLS_SERVER_LEAVES } };
    assert_status(try(&a, NULL), ARIL_E_IO);
    expect_words("cache.example", "TLS");
}

static void the_end_of_tls_differs_from_a_cut(void **state)
{
    static const enum tls_server_does does[] = { TLS_SERVER_GREETS, TLS_SERVER_CUTS };
    (void)state;
    for (size_t i = 0; i < COUNT(does); i++) {
        const struct tls_server_config config = { .cert = "server", .does = does[i] };
        struct arili_tls *const tls = client_with("ca", NULL, false);
        struct arili_tls_conn *conn = NULL;
        uint8_t room[16];
        size_t len = 0;
        int fd = -1;
        struct tls_server *const server = tls_server_start(&config, &fd);
        assert_status(arili_tls_connect(tls, fd, "cache.example", in(LONG_S), &conn, &error),
                      ARIL_OK);
        assert_status(arili_tls_read(conn, room, sizeof room, in(LONG_S), &len), ARIL_OK);
        assert_int_equal(len, 5);
        if (does[i] == TLS_SERVER_GREETS) {
            assert_status(arili_tls_read(conn, room, sizeof room, in(LONG_S), &len), ARIL_OK);
            assert_int_equal(len, 0);
        } else {
            assert_status(arili_tls_read(conn, room, sizeof room, in(LONG_S), &len), ARIL_E_IO);
            assert_int_equal(len, 5);
        }
        arili_tls_close(conn);
        arili_tls_free(tls);
        assert_true(tls_server_end(server));
    }
}

/* SIGPIPE would end the test. */
static void writing_to_nobody_is_an_error_and_no_signal(void **state)
{
    struct arili_tls *const tls = client_with("ca", NULL, false);
    struct arili_tls_conn *conn = NULL;
    const struct tls_server_config config = { .cert = "server" };
    int fd = -1;
    (void)state;
    struct tls_server *const server = tls_server_start(&config, &fd);
    assert_status(arili_tls_connect(tls, fd, "cache.example", in(LONG_S), &conn, &error), ARIL_OK);
    assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    assert_status(arili_tls_write(conn, ARILI_LITERAL("x"), in(LONG_S)), ARIL_E_IO);
    arili_tls_close(conn);
    (void)tls_server_end(server);
    arili_tls_free(tls);
}

static void sixteen_mebibytes_come_back(void **state)
{
    const size_t len = (size_t)16 << 20;
    uint8_t *const data = malloc(len);
    uint8_t *const back = malloc(len);
    struct arili_tls *const tls = client_with("ca", NULL, false);
    const struct tls_server_config config = { .cert = "server",
                                              .does = TLS_SERVER_GATHERS,
                                              .bytes = len };
    struct arili_tls_conn *conn = NULL;
    size_t have = 0;
    int fd = -1;
    (void)state;
    assert_true(data != NULL && back != NULL);
    provider_pattern(data, len, 11);
    struct tls_server *const server = tls_server_start(&config, &fd);
    assert_status(arili_tls_connect(tls, fd, "cache.example", in(LONG_S), &conn, &error), ARIL_OK);
    assert_status(arili_tls_write(conn, (aril_bytes){ data, len }, in(LONG_S)), ARIL_OK);
    while (have < len) {
        size_t got = 0;
        assert_status(arili_tls_read(conn, back + have, len - have, in(LONG_S), &got), ARIL_OK);
        assert_true(got > 0);
        have += got;
    }
    assert_memory_equal(back, data, len);
    arili_tls_close(conn);
    assert_true(tls_server_end(server));
    arili_tls_free(tls);
    free(data);
    free(back);
}

/* --- Files */

static aril_status open_files(const char *ca, const char *cert, const char *key)
{
    struct arili_tls *tls = NULL;
    const struct arili_tls_config config = { .ca_path = ca, .cert_path = cert, .key_path = key };
    error = (aril_error){ 0 };
    const aril_status st = arili_tls_new(rt, &config, &tls, &error);
    assert_int_equal(tls != NULL, st == ARIL_OK);
    arili_tls_free(tls);
    assert_true(provider_is_quiet());
    return st;
}

static void files_that_do_not_fit_are_named(void **state)
{
    const char *const ca = tls_cert_path("ca");
    const char *const cert = tls_cert_path("client");
    const char *const key = tls_key_path("client");
    const char *const text = temp_write("text", 0644, ARILI_LITERAL("nothing\n"));
    const char *const missing = temp_path("missing");
    (void)state;
    assert_status(open_files(ca, cert, key), ARIL_OK);
    assert_status(open_files(missing, NULL, NULL), ARIL_E_NOT_FOUND);
    expect_words(missing, "cannot be read");
    assert_status(open_files(text, NULL, NULL), ARIL_E_FORMAT);
    expect_words(text, "no PEM certificate");
    assert_status(open_files(ca, text, key), ARIL_E_FORMAT);
    expect_words(text, "no PEM certificate");
    assert_status(open_files(ca, cert, text), ARIL_E_IO_PERMISSION);
    expect_words(text, "");
    assert_status(open_files(ca, cert, cert), ARIL_E_IO_PERMISSION);
    assert_status(open_files(ca, cert, tls_key_path("stranger")), ARIL_E_FORMAT);
    expect_words(tls_key_path("stranger"), cert);
    assert_status(open_files(ca, cert, NULL), ARIL_E_USAGE_NULL);
    assert_status(open_files(ca, NULL, key), ARIL_E_USAGE_NULL);
    /* A key that others may read is no secret; a list of CAs that others may write no trust. */
    assert_int_equal(chmod(key, 0644), 0);
    assert_status(open_files(ca, cert, key), ARIL_E_IO_PERMISSION);
    expect_words(key, "");
    assert_int_equal(chmod(key, 0600), 0);
    assert_int_equal(chmod(ca, 0666), 0);
    assert_status(open_files(ca, NULL, NULL), ARIL_E_IO_PERMISSION);
    assert_int_equal(chmod(ca, 0644), 0);
}

/* Mounted secrets are links. */
static void links_are_followed_to_files_that_are_checked(void **state)
{
    const char *const link_path = temp_path("link.key");
    (void)state;
    assert_int_equal(symlink(tls_key_path("client"), link_path), 0);
    assert_status(open_files(tls_cert_path("ca"), tls_cert_path("client"), link_path), ARIL_OK);
    assert_int_equal(chmod(tls_key_path("client"), 0644), 0);
    assert_status(open_files(tls_cert_path("ca"), tls_cert_path("client"), link_path),
                  ARIL_E_IO_PERMISSION);
    assert_int_equal(chmod(tls_key_path("client"), 0600), 0);
}

static void every_truncation_of_a_certificate_and_a_key_is_refused(void **state)
{
    uint8_t cert[2048];
    uint8_t key[2048];
    const size_t cert_len = file_read(tls_cert_path("client"), cert, sizeof cert);
    const size_t key_len = file_read(tls_key_path("client"), key, sizeof key);
    (void)state;
    /* Without the last line break it is whole. */
    for (size_t len = 0; len < cert_len - 1; len++) {
        const char *const path = temp_write("cut", 0600, (aril_bytes){ cert, len });
        assert_status(open_files(path, NULL, NULL), ARIL_E_FORMAT);
    }
    for (size_t len = 0; len < key_len - 1; len++) {
        const char *const path = temp_write("cut", 0600, (aril_bytes){ key, len });
        assert_status(open_files(tls_cert_path("ca"), tls_cert_path("client"), path),
                      ARIL_E_FORMAT);
    }
}

static void the_lists_of_the_system_are_known(void **state)
{
    (void)state;
    const aril_status st = open_files(NULL, NULL, NULL);
    if (st != ARIL_OK) {
        assert_status(st, ARIL_E_NOT_FOUND);
        expect_words("ca-certificates", "install");
    }
}

static int setup(void **state)
{
    if (runtime_setup(state) != 0 || temp_folder_make(state) != 0) {
        return -1;
    }
    for (size_t i = 0; i < COUNT(certs); i++) {
        tls_cert_make(&certs[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    return temp_folder_remove(state) | runtime_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_agreement_is_hybrid_and_falls_back_only_as_listed),
        cmocka_unit_test(strict_takes_ml_kem_1024_alone),
        cmocka_unit_test(names_and_addresses_must_be_those_of_the_certificate),
        cmocka_unit_test(hosts_that_would_match_anything_are_refused),
        cmocka_unit_test(certificates_of_others_and_of_the_past_are_refused),
        cmocka_unit_test(a_client_certificate_is_shown),
        cmocka_unit_test(a_client_certificate_that_is_missing_or_wrong_is_told_at_the_first_read),
        cmocka_unit_test(tls_1_2_is_refused),
        cmocka_unit_test(a_peer_that_never_answers_ends_at_the_deadline),
        cmocka_unit_test(a_write_that_ran_out_of_time_breaks_the_connection),
        cmocka_unit_test(a_peer_that_leaves_is_an_io_error),
        cmocka_unit_test(the_end_of_tls_differs_from_a_cut),
        cmocka_unit_test(writing_to_nobody_is_an_error_and_no_signal),
        cmocka_unit_test(sixteen_mebibytes_come_back),
        cmocka_unit_test(files_that_do_not_fit_are_named),
        cmocka_unit_test(links_are_followed_to_files_that_are_checked),
        cmocka_unit_test(every_truncation_of_a_certificate_and_a_key_is_refused),
        cmocka_unit_test(the_lists_of_the_system_are_known),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
