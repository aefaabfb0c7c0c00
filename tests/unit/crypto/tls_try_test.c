/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include "crypto/tls.h"
#include "provider.h"
#include "runtime.h"
#include "temp_folder.h"
#include "tls_pair.h"
#include "tls_server.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Data over connections that do not wait. */

#define TINY      4608 /* bytes of a socket buffer: the least that Linux gives */
#define RECORD    16384u
#define LONG_SIZE ((size_t)1 << 20)

static struct arili_tls *client_config, *server_config;

static struct tls_pair pair_new(int buffer_bytes)
{
    struct tls_pair p;
    tls_pair_init(&p, client_config, server_config, NULL, buffer_bytes);
    assert_true(tls_pair_shake(&p));
    return p;
}

/* All of it is taken at once. */
static void put(struct arili_tls_conn *conn, const void *data, size_t len)
{
    size_t done = 0;
    int wants = 77;
    assert_status(arili_tls_try_write(conn, (aril_bytes){ data, len }, &done, &wants), ARIL_OK);
    assert_int_equal(done, len);
    assert_int_equal(wants, 0);
}

/* One way: some of the data, and what was seen of it on the other side. */
struct way {
    struct arili_tls_conn *from, *to;
    uint8_t *data, *back;
    size_t sent, came;
    unsigned waits; /* for the socket, while there was something to send */
};

static void way_init(struct way *w, struct arili_tls_conn *from, struct arili_tls_conn *to,
                     unsigned seed)
{
    *w = (struct way){
        .from = from, .to = to, .data = malloc(LONG_SIZE), .back = malloc(LONG_SIZE)
    };
    assert_true(w->data != NULL && w->back != NULL);
    provider_pattern(w->data, LONG_SIZE, seed);
}

static void way_step(struct way *w, size_t chunk)
{
    size_t len = 0;
    int wants = 77;
    if (w->sent < LONG_SIZE) {
        const size_t left = LONG_SIZE - w->sent;
        /* Each time from another place: a buffer may move in between. */
        const size_t most = left < chunk + RECORD ? left : chunk + RECORD;
        uint8_t *const moved = malloc(most);
        assert_non_null(moved);
        memcpy(moved, w->data + w->sent, most);
        assert_status(arili_tls_try_write(w->from, (aril_bytes){ moved, most }, &len, &wants),
                      ARIL_OK);
        assert_true(len <= most && (len == 0) == (wants != 0));
        assert_true(wants == 0 || wants == ARILI_TLS_WRITABLE);
        w->waits += wants != 0;
        w->sent += len;
        free(moved);
    }
    const size_t room = LONG_SIZE - w->came < chunk ? LONG_SIZE - w->came : chunk;
    if (room > 0) {
        assert_status(arili_tls_try_read(w->to, w->back + w->came, room, &len, &wants), ARIL_OK);
        assert_true(len <= room && (len == 0) == (wants != 0));
        assert_true(wants == 0 || wants == ARILI_TLS_READABLE);
        w->came += len;
    }
}

static void way_done(struct way *w)
{
    assert_int_equal(w->came, LONG_SIZE);
    assert_memory_equal(w->back, w->data, LONG_SIZE);
    free(w->data);
    free(w->back);
}

static void long_data_goes_both_ways_through_tiny_buffers(void **state)
{
    static const size_t chunks[] = { 1000, 16384, 16385, 262144 };
    (void)state;
    for (size_t c = 0; c < COUNT(chunks); c++) {
        struct tls_pair p = pair_new(TINY);
        struct way up;
        struct way down;
        way_init(&up, p.client, p.server, 1);
        way_init(&down, p.server, p.client, 2);
        /* Each step sends or takes a byte at least, where one can go. */
        for (size_t i = 0; i < 4 * LONG_SIZE && (up.came < LONG_SIZE || down.came < LONG_SIZE);
             i++) {
            way_step(&up, chunks[c]);
            way_step(&down, chunks[c]);
        }
        assert_true(up.waits > 10 && down.waits > 10);
        way_done(&up);
        way_done(&down);
        tls_pair_done(&p);
    }
    assert_true(provider_is_quiet());
}

static void what_came_and_was_not_read_is_pending(void **state)
{
    struct tls_pair p = pair_new(0);
    uint8_t data[3 * RECORD];
    uint8_t byte = 0;
    size_t len = 0;
    int wants = 0;
    (void)state;
    provider_pattern(data, sizeof data, 3);
    assert_false(arili_tls_has_pending(p.server));
    put(p.client, data, 100);
    for (size_t i = 0; i < 100; i++) {
        assert_status(arili_tls_try_read(p.server, &byte, 1, &len, &wants), ARIL_OK);
        assert_true(len == 1 && wants == 0 && byte == data[i]);
        assert_int_equal(arili_tls_has_pending(p.server), i < 99);
    }
    assert_status(arili_tls_try_read(p.server, &byte, 1, &len, &wants), ARIL_OK);
    assert_true(len == 0 && wants == ARILI_TLS_READABLE);
    assert_false(arili_tls_has_pending(p.server));
    /* Several records are read at once. */
    uint8_t back[sizeof data];
    put(p.client, data, sizeof data);
    assert_status(arili_tls_try_read(p.server, back, sizeof back, &len, &wants), ARIL_OK);
    assert_true(len == sizeof back && wants == 0);
    assert_memory_equal(back, data, sizeof back);
    tls_pair_done(&p);
}

/* Nobody reads until the socket is full. */
static size_t fill(struct arili_tls_conn *conn, const uint8_t *data, size_t cap)
{
    size_t sent = 0;
    size_t len = 0;
    int wants = 0;
    while (wants == 0) {
        assert_true(sent < cap);
        assert_status(
            arili_tls_try_write(conn, (aril_bytes){ data + sent, cap - sent }, &len, &wants),
            ARIL_OK);
        sent += len;
    }
    assert_int_equal(wants, ARILI_TLS_WRITABLE);
    return sent;
}

static void a_record_that_was_begun_has_to_go_on(void **state)
{
    struct tls_pair p = pair_new(TINY);
    uint8_t *const data = malloc(LONG_SIZE);
    uint8_t *const back = malloc(LONG_SIZE);
    size_t len = 0;
    size_t came = 0;
    int wants = 0;
    (void)state;
    assert_true(data != NULL && back != NULL);
    provider_pattern(data, LONG_SIZE, 4);
    size_t sent = fill(p.client, data, LONG_SIZE);
    assert_status(
        arili_tls_try_write(p.client, (aril_bytes){ data + sent, RECORD - 1 }, &len, &wants),
        ARIL_E_USAGE_RANGE);
    assert_status(arili_tls_try_write(p.client, (aril_bytes){ NULL, 0 }, &len, &wants),
                  ARIL_E_USAGE_RANGE);
    assert_status(arili_tls_try_write(p.client, (aril_bytes){ data + sent, RECORD }, &len, &wants),
                  ARIL_OK);
    assert_true(len == 0 && wants == ARILI_TLS_WRITABLE);
    const size_t all = sent + RECORD;
    while (came < all) {
        if (sent < all) {
            assert_status(arili_tls_try_write(p.client, (aril_bytes){ data + sent, all - sent },
                                              &len, &wants),
                          ARIL_OK);
            sent += len;
        }
        assert_status(arili_tls_try_read(p.server, back + came, LONG_SIZE - came, &len, &wants),
                      ARIL_OK);
        assert_true(len > 0 || sent < all);
        came += len;
    }
    assert_memory_equal(back, data, all);
    put(p.client, NULL, 0); /* now nothing is under way, and nothing may be sent */
    tls_pair_done(&p);
    free(data);
    free(back);
}

/* --- Ends ------------------------------------------------------------------------------------ */

enum end { CLOSED, CUT };

static void an_end_is_told_once_all_was_read_and_differs_from_a_cut(void **state)
{
    (void)state;
    for (enum end end = CLOSED; end <= CUT; end++) {
        struct tls_pair p = pair_new(0);
        uint8_t room[64];
        size_t len = 7;
        int wants = 77;
        put(p.client, "hello", 5);
        if (end == CLOSED) {
            arili_tls_close(p.client); /* the socket stays open */
            p.client = NULL;
        } else {
            assert_int_equal(shutdown(p.client_fd, SHUT_WR), 0);
        }
        assert_status(arili_tls_try_read(p.server, room, sizeof room, &len, &wants), ARIL_OK);
        assert_true(len == 5 && wants == 0);
        assert_memory_equal(room, "hello", 5);
        assert_true(arili_tls_has_pending(p.server)); /* the socket says nothing more */
        for (unsigned i = 0; i < 2; i++) {
            assert_status(arili_tls_try_read(p.server, room, sizeof room, &len, &wants),
                          end == CLOSED ? ARIL_OK : ARIL_E_IO);
            assert_true(len == 0 && wants == 0);
            assert_false(arili_tls_has_pending(p.server));
        }
        if (end == CLOSED) {
            put(p.server, "bye", 3); /* the other direction is still there */
        } else {
            assert_status(arili_tls_try_write(p.server, ARILI_LITERAL("x"), &len, &wants),
                          ARIL_E_IO);
            assert_true(strlen(arili_tls_why(p.server)) > 0);
        }
        tls_pair_done(&p);
        assert_true(provider_is_quiet());
    }
}

/* Half a record is no end of TLS, and nothing comes behind it. */
static void closing_in_the_middle_of_a_record_is_a_cut(void **state)
{
    struct tls_pair p = pair_new(TINY);
    uint8_t *const data = malloc(LONG_SIZE);
    uint8_t *const back = malloc(LONG_SIZE);
    size_t came = 0;
    size_t len = 0;
    int wants = 0;
    (void)state;
    assert_true(data != NULL && back != NULL);
    provider_pattern(data, LONG_SIZE, 5);
    const size_t sent = fill(p.client, data, LONG_SIZE);
    arili_tls_close(p.client);
    p.client = NULL;
    assert_int_equal(shutdown(p.client_fd, SHUT_WR), 0);
    aril_status st = ARIL_OK;
    while (st == ARIL_OK) {
        st = arili_tls_try_read(p.server, back + came, LONG_SIZE - came, &len, &wants);
        assert_int_equal(wants, 0);
        assert_true(st != ARIL_OK || len > 0);
        came += len;
    }
    assert_status(st, ARIL_E_IO);
    assert_int_equal(came, sent);
    assert_memory_equal(back, data, came);
    tls_pair_done(&p);
    free(data);
    free(back);
}

/* SIGPIPE would end the test. */
static void writing_to_nobody_is_an_error_and_no_signal(void **state)
{
    struct tls_pair p = pair_new(0);
    size_t len = 7;
    int wants = 77;
    (void)state;
    assert_int_equal(shutdown(p.server_fd, SHUT_RDWR), 0);
    assert_status(arili_tls_try_write(p.client, ARILI_LITERAL("x"), &len, &wants), ARIL_E_IO);
    assert_true(len == 0 && wants == 0);
    assert_non_null(strstr(arili_tls_why(p.client), "ipe"));
    tls_pair_done(&p);
}

/* --- Hostile peers --------------------------------------------------------------------------- */

/* Every byte of a record is flipped in turn: what came before it is read, the record is not. */
static void no_byte_of_a_record_can_be_changed(void **state)
{
    size_t at = 0;
    (void)state;
    for (bool there = true; there; at++) {
        struct tls_pair p = pair_new(0);
        uint8_t record[256];
        uint8_t room[64];
        size_t len = 0;
        int wants = 0;
        put(p.client, "before", 6);
        assert_status(arili_tls_try_read(p.server, room, sizeof room, &len, &wants), ARIL_OK);
        put(p.client, "secret", 6);
        const ssize_t bytes = recv(p.server_fd, record, sizeof record, 0);
        assert_true(bytes > 6 && bytes < (ssize_t)sizeof record);
        there = at < (size_t)bytes;
        if (there) {
            record[at] ^= 0x01;
            assert_int_equal(send(p.client_fd, record, (size_t)bytes, 0), bytes);
            assert_int_equal(shutdown(p.client_fd, SHUT_WR), 0);
            memset(room, 0xa7, sizeof room);
            const aril_status st = arili_tls_try_read(p.server, room, sizeof room, &len, &wants);
            /* With another length more is waited for, and the end comes. */
            assert_true(aril_status_class(st) == ARIL_E_FORMAT || (st == ARIL_E_IO && at < 5));
            assert_true(len == 0 && wants == 0);
            assert_true(provider_all(room, sizeof room, 0xa7));
            assert_status(arili_tls_try_read(p.server, room, sizeof room, &len, &wants), st);
            assert_status(arili_tls_try_write(p.server, ARILI_LITERAL("x"), &len, &wants), st);
            assert_true(strlen(arili_tls_why(p.server)) > 0);
        }
        tls_pair_done(&p);
        assert_true(provider_is_quiet());
    }
    assert_true(at > 20);
}

/* Data is given out before the failure behind it is told, which the socket would not say. */
static void a_failure_behind_data_is_pending(void **state)
{
    struct tls_pair p = pair_new(0);
    uint8_t room[64];
    size_t len = 0;
    int wants = 0;
    (void)state;
    put(p.client, "hello", 5);
    assert_int_equal(
        send(p.client_fd, "\x17\x03\x03\x00\x20 not what it seems to be and so on", 37, 0), 37);
    assert_status(arili_tls_try_read(p.server, room, sizeof room, &len, &wants), ARIL_OK);
    assert_true(len == 5 && wants == 0);
    assert_true(arili_tls_has_pending(p.server));
    assert_status_class(arili_tls_try_read(p.server, room, sizeof room, &len, &wants),
                        ARIL_E_FORMAT);
    assert_true(len == 0 && wants == 0);
    assert_false(arili_tls_has_pending(p.server));
    /* The other side is told by an alert. */
    assert_status(arili_tls_try_read(p.client, room, sizeof room, &len, &wants), ARIL_E_IO);
    assert_non_null(strstr(arili_tls_why(p.client), "alert"));
    tls_pair_done(&p);
    assert_true(provider_is_quiet());
}

static void a_record_that_comes_twice_is_refused(void **state)
{
    struct tls_pair p = pair_new(0);
    uint8_t record[256];
    uint8_t room[64];
    size_t len = 0;
    int wants = 0;
    (void)state;
    put(p.client, "once", 4);
    const ssize_t bytes = recv(p.server_fd, record, sizeof record, 0);
    assert_true(bytes > 0 && bytes < (ssize_t)sizeof record);
    assert_int_equal(send(p.client_fd, record, (size_t)bytes, 0), bytes);
    assert_int_equal(send(p.client_fd, record, (size_t)bytes, 0), bytes);
    assert_status(arili_tls_try_read(p.server, room, sizeof room, &len, &wants), ARIL_OK);
    assert_int_equal(len, 4);
    assert_status_class(arili_tls_try_read(p.server, room, sizeof room, &len, &wants),
                        ARIL_E_FORMAT);
    tls_pair_done(&p);
}

static int setup(void **state)
{
    static const struct tls_cert certs[] = {
        { .name = "ca", .days = 30 },
        { .name = "server", .san = "DNS:cache.example", .issuer = "ca", .days = 30 },
    };
    if (runtime_setup(state) != 0 || temp_folder_make(state) != 0) {
        return -1;
    }
    for (size_t i = 0; i < COUNT(certs); i++) {
        tls_cert_make(&certs[i]);
    }
    client_config = tls_pair_client("ca", NULL, false);
    server_config = tls_pair_server("server", NULL, false, false);
    return 0;
}

static int teardown(void **state)
{
    arili_tls_free(client_config);
    arili_tls_free(server_config);
    return temp_folder_remove(state) | runtime_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_data_goes_both_ways_through_tiny_buffers),
        cmocka_unit_test(what_came_and_was_not_read_is_pending),
        cmocka_unit_test(a_record_that_was_begun_has_to_go_on),
        cmocka_unit_test(an_end_is_told_once_all_was_read_and_differs_from_a_cut),
        cmocka_unit_test(closing_in_the_middle_of_a_record_is_a_cut),
        cmocka_unit_test(writing_to_nobody_is_an_error_and_no_signal),
        cmocka_unit_test(no_byte_of_a_record_can_be_changed),
        cmocka_unit_test(a_failure_behind_data_is_pending),
        cmocka_unit_test(a_record_that_comes_twice_is_refused),
    };
    return cmocka_run_group_tests_name("TLS that does not wait", tests, setup, teardown);
}
