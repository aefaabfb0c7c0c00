/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "check.h"
#include "crypto/tls.h"
#include "fault_alloc.h"
#include "provider.h"
#include "runtime.h"
#include "temp_folder.h"
#include "tls_pair.h"
#include "tls_server.h"
#include <time.h>

/* Fails the nth allocation of the library for n = 1, 2, ... while a configuration is read and a
 * connection made. */

static uint64_t in_a_minute(void)
{
    struct timespec ts;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
    return ((uint64_t)ts.tv_sec + 60) * ARILI_NS_PER_S;
}

static aril_status open_config(struct arili_tls **ret)
{
    const struct arili_tls_config config = { .ca_path = tls_cert_path("ca"),
                                             .cert_path = tls_cert_path("client"),
                                             .key_path = tls_key_path("client") };
    return arili_tls_new(rt, &config, ret, NULL);
}

static void a_configuration_needs_all_its_memory(void **state)
{
    struct arili_tls *tls = NULL;
    unsigned n = 1;
    (void)state;
    for (;; n++) {
        fault_alloc_arm(n);
        const aril_status st = open_config(&tls);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            break;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_null(tls);
        assert_true(provider_is_quiet());
    }
    assert_true(n > 4);
    arili_tls_free(tls);
}

static void a_connection_needs_all_its_memory(void **state)
{
    const struct tls_server_config config = { .cert = "server", .client_ca = "ca" };
    struct arili_tls *tls = NULL;
    struct arili_tls_conn *conn = NULL;
    unsigned n = 1;
    (void)state;
    assert_status(open_config(&tls), ARIL_OK);
    for (;; n++) {
        int fd = -1;
        struct tls_server *const server = tls_server_start(&config, &fd);
        fault_alloc_arm(n);
        const aril_status st =
            arili_tls_connect(tls, fd, "cache.example", in_a_minute(), &conn, NULL);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            arili_tls_close(conn);
            (void)tls_server_end(server);
            break;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_null(conn);
        assert_false(tls_server_end(server));
    }
    assert_true(n > 1);
    arili_tls_free(tls);
}

static aril_status open_server(struct arili_tls **ret)
{
    const struct arili_tls_server_config config = { .cert_path = tls_cert_path("server"),
                                                    .key_path = tls_key_path("server"),
                                                    .client_ca_path = tls_cert_path("ca"),
                                                    .client_required = true };
    return arili_tls_server_new(rt, &config, ret, NULL);
}

static void a_server_needs_all_its_memory(void **state)
{
    struct arili_tls *tls = NULL;
    unsigned n = 1;
    (void)state;
    for (;; n++) {
        fault_alloc_arm(n);
        const aril_status st = open_server(&tls);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            break;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_null(tls);
        assert_true(provider_is_quiet());
    }
    assert_true(n > 4);
    arili_tls_free(tls);
}

/* From the two sockets to a word that came. */
static aril_status pair_use(struct arili_tls *client, struct arili_tls *server)
{
    struct tls_pair p = { .client_fd = -1, .server_fd = -1 };
    int fds[2];
    uint8_t room[8];
    size_t len = 0;
    int wants = 0;
    tls_sockets(fds, 0);
    p.client_fd = fds[0];
    p.server_fd = fds[1];
    aril_status st = arili_tls_connect_on(client, fds[0], "cache.example", &p.client);
    if (st == ARIL_OK) {
        st = arili_tls_accept_on(server, fds[1], &p.server);
    }
    if (st == ARIL_OK) {
        assert_true(tls_pair_shake(&p)); /* what libssl allocates is not failed here */
        assert_status(arili_tls_try_write(p.client, (aril_bytes){ room, 1 }, &len, &wants),
                      ARIL_OK);
        assert_status(arili_tls_try_read(p.server, room, sizeof room, &len, &wants), ARIL_OK);
        assert_int_equal(len, 1);
    } else {
        assert_true(p.client == NULL || p.server == NULL);
    }
    tls_pair_done(&p);
    return st;
}

static void connections_that_do_not_wait_need_all_their_memory(void **state)
{
    struct arili_tls *client = NULL;
    struct arili_tls *server = NULL;
    unsigned n = 1;
    (void)state;
    assert_status(open_config(&client), ARIL_OK);
    assert_status(open_server(&server), ARIL_OK);
    for (;; n++) {
        fault_alloc_arm(n);
        const aril_status st = pair_use(client, server);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            break;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_true(provider_is_quiet());
    }
    assert_int_equal(n, 3); /* one for each connection */
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
        cmocka_unit_test(a_configuration_needs_all_its_memory),
        cmocka_unit_test(a_connection_needs_all_its_memory),
        cmocka_unit_test(a_server_needs_all_its_memory),
        cmocka_unit_test(connections_that_do_not_wait_need_all_their_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
