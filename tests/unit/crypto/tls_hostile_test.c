/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include "crypto/tls.h"
#include "provider.h"
#include "runtime.h"
#include "temp_folder.h"
#include "tls_pair.h"
#include "tls_server.h"
#include <string.h>
#include <sys/socket.h>

/* Handshakes with peers that mean no good, and through hands that do not. */

/* What the client sends first. */
static size_t hello_of(struct arili_tls *client, uint8_t *ret, size_t cap)
{
    struct tls_pair p;
    tls_pair_init(&p, client, NULL, NULL, 0);
    tls_pair_step(&p);
    const ssize_t len = recv(p.server_fd, ret, cap, 0);
    assert_true(len > 1000 && (size_t)len < cap);
    tls_pair_done(&p);
    return (size_t)len;
}

/* The bytes come, then the end. */
static aril_status server_hears(struct arili_tls *server, const void *bytes, size_t len)
{
    struct tls_pair p;
    tls_pair_init(&p, NULL, server, NULL, 0);
    assert_int_equal(send(p.client_fd, bytes, len, 0), (ssize_t)len);
    assert_int_equal(shutdown(p.client_fd, SHUT_WR), 0);
    for (unsigned i = 0; i < 5; i++) {
        tls_pair_step(&p);
    }
    assert_false(p.server_done);
    assert_true(strlen(arili_tls_why(p.server)) > 0);
    const aril_status st = p.server_st;
    tls_pair_done(&p);
    assert_true(provider_is_quiet());
    return st;
}

static void what_is_not_tls_is_a_format_error(void **state)
{
    const aril_bytes texts[] = {
        ARILI_LITERAL("PING\r\n"),
        ARILI_LITERAL("*1\r\n$4\r\nPING\r\n"),
        ARILI_LITERAL("*3\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n"),
        ARILI_LITERAL("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        /* Records: longer than any may be; data before a handshake; an alert of five bytes. */
        ARILI_LITERAL("\x16\x03\x01\xff\xff hello"),
        ARILI_LITERAL("\x17\x03\x03\x00\x05 data"),
        ARILI_LITERAL("\x15\x03\x01\x00\x05 oops"),
        /* A hello of SSL 2. */
        ARILI_LITERAL("\x80\x2e\x01\x00\x02 which nobody has spoken for a very long while by now"),
    };
    struct arili_tls *const server = tls_pair_server("server", "ca", true, false);
    uint8_t noise[4096];
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_status_class(server_hears(server, texts[i].data, texts[i].len), ARIL_E_FORMAT);
    }
    for (unsigned seed = 0; seed < 100; seed++) {
        provider_pattern(noise, sizeof noise, seed);
        const aril_status st = server_hears(server, noise, 8 + seed * 40);
        /* A record may seem to be longer than what came. */
        assert_true(aril_status_class(st) == ARIL_E_FORMAT || st == ARIL_E_IO);
    }
    arili_tls_free(server);

    struct arili_tls *const client = tls_pair_client("ca", NULL, false);
    struct tls_pair p;
    tls_pair_init(&p, client, NULL, NULL, 0);
    tls_pair_step(&p);
    assert_int_equal(send(p.server_fd, "-ERR unknown command\r\n", 22, 0), 22);
    tls_pair_step(&p);
    assert_status_class(p.client_st, ARIL_E_FORMAT);
    tls_pair_done(&p);
    arili_tls_free(client);
}

static void every_truncation_of_the_first_flight_is_a_cut(void **state)
{
    struct arili_tls *const client = tls_pair_client("ca", NULL, false);
    struct arili_tls *const server = tls_pair_server("server", NULL, false, false);
    uint8_t hello[4096];
    const size_t len = hello_of(client, hello, sizeof hello);
    (void)state;
    for (size_t cut = 0; cut <= len; cut++) {
        assert_status(server_hears(server, hello, cut), ARIL_E_IO);
    }
    arili_tls_free(client);
    arili_tls_free(server);
}

static void a_peer_that_says_nothing_is_waited_for(void **state)
{
    struct arili_tls *const server = tls_pair_server("server", NULL, false, false);
    struct arili_tls *const client = tls_pair_client("ca", NULL, false);
    struct tls_pair p;
    uint8_t hello[4096];
    int wants = 0;
    (void)state;
    const size_t len = hello_of(client, hello, sizeof hello);
    tls_pair_init(&p, NULL, server, NULL, 0);
    for (size_t i = 0; i < len; i++) { /* also one that says it byte by byte */
        assert_status(arili_tls_shake(p.server, &wants), ARIL_OK);
        assert_int_equal(wants, ARILI_TLS_READABLE);
        assert_int_equal(send(p.client_fd, hello + i, 1, 0), 1);
    }
    uint8_t answer;
    assert_int_equal(recv(p.client_fd, &answer, 1, 0), -1);
    assert_status(arili_tls_shake(p.server, &wants), ARIL_OK);
    assert_int_equal(recv(p.client_fd, &answer, 1, 0), 1);
    tls_pair_done(&p);
    arili_tls_free(client);
    arili_tls_free(server);
}

/* A handshake through a relay that flips one bit of the first flight of one side. Whether there was
 * a byte at that place. *ret_good: both sides were done. */
static bool flip(struct arili_tls *client, struct arili_tls *server, bool of_client, size_t at,
                 bool *ret_good)
{
    struct tls_pair c;
    struct tls_pair s;
    size_t passed[2] = { 0 };
    bool flipped = false;
    tls_pair_init(&c, client, NULL, NULL, 0);
    tls_pair_init(&s, NULL, server, NULL, 0);
    for (unsigned i = 0; i < 12; i++) {
        const int from[2] = { c.server_fd, s.client_fd };
        const int to[2] = { s.client_fd, c.server_fd };
        tls_pair_step(&c);
        tls_pair_step(&s);
        for (int side = 0; side < 2; side++) {
            uint8_t bytes[8192];
            const ssize_t len = recv(from[side], bytes, sizeof bytes, 0);
            const size_t before = passed[side];
            if (len <= 0) {
                continue;
            }
            passed[side] += (size_t)len;
            if (of_client == (side == 0) && at >= before && at < passed[side]) {
                /* Those that come later are not of the first flight. */
                flipped = before == 0;
                bytes[at - before] ^= flipped ? 0x10 : 0;
            }
            (void)!send(to[side], bytes, (size_t)len, MSG_NOSIGNAL);
        }
    }
    *ret_good = c.client_done && s.server_done;
    if (flipped) {
        assert_true(c.client_st == ARIL_OK || c.client_st == ARIL_E_TRUST ||
                    c.client_st == ARIL_E_IO || aril_status_class(c.client_st) == ARIL_E_FORMAT);
        assert_true(s.server_st == ARIL_OK || s.server_st == ARIL_E_IO ||
                    aril_status_class(s.server_st) == ARIL_E_FORMAT);
    }
    tls_pair_done(&c);
    tls_pair_done(&s);
    return flipped;
}

static void no_byte_of_the_first_flights_can_be_changed(void **state)
{
    struct arili_tls *const client = tls_pair_client("ca", "client", false);
    struct arili_tls *const server = tls_pair_server("server", "ca", true, false);
    (void)state;
    for (int of_client = 0; of_client <= 1; of_client++) {
        size_t at = 0;
        unsigned ignored = 0;
        bool good = false;
        for (; flip(client, server, of_client, at, &good); at += SANITIZED ? 13 : 1) {
            /* Nobody looks at the low byte of the version in a record before it is encrypted, RFC
             * 8446 section 5.1. */
            ignored += good;
            assert_true(!good || at == 2);
        }
        assert_true(at > 1000);
        assert_true(ignored <= 1);
        assert_true(good); /* the last one, of which nothing was changed */
        assert_true(provider_is_quiet());
    }
    arili_tls_free(client);
    arili_tls_free(server);
}

static int setup(void **state)
{
    static const struct tls_cert certs[] = {
        { .name = "ca", .days = 30 },
        { .name = "server", .san = "DNS:cache.example", .issuer = "ca", .days = 30 },
        { .name = "client", .issuer = "ca", .days = 30 },
    };
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
        cmocka_unit_test(what_is_not_tls_is_a_format_error),
        cmocka_unit_test(every_truncation_of_the_first_flight_is_a_cut),
        cmocka_unit_test(a_peer_that_says_nothing_is_waited_for),
        cmocka_unit_test(no_byte_of_the_first_flights_can_be_changed),
    };
    return cmocka_run_group_tests_name("hostile handshakes", tests, setup, teardown);
}
