/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_pair.h"
#include "check.h"
#include "runtime.h"
#include "tls_server.h"
#include <sys/socket.h>
#include <unistd.h>

/* More than any handshake takes, also over buffers of a few KiB. */
#define ROUNDS 200u

void tls_sockets(int ret[2], int buffer_bytes)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret), 0);
    for (int i = 0; i < 2 && buffer_bytes > 0; i++) {
        assert_int_equal(
            setsockopt(ret[i], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes), 0);
    }
}

void tls_pair_init(struct tls_pair *p, struct arili_tls *client, struct arili_tls *server,
                   const char *host, int buffer_bytes)
{
    int fds[2];
    *p = (struct tls_pair){ .client_done = client == NULL, .server_done = server == NULL };
    tls_sockets(fds, buffer_bytes);
    p->client_fd = fds[0];
    p->server_fd = fds[1];
    if (client != NULL) {
        assert_status(arili_tls_connect_on(client, p->client_fd,
                                           host != NULL ? host : "cache.example", &p->client),
                      ARIL_OK);
    }
    if (server != NULL) {
        assert_status(arili_tls_accept_on(server, p->server_fd, &p->server), ARIL_OK);
    }
}

static void step(struct arili_tls_conn *conn, aril_status *st, bool *done)
{
    if (!*done && *st == ARIL_OK) {
        int wants = 77;
        *st = arili_tls_shake(conn, &wants);
        *done = *st == ARIL_OK && wants == 0;
        assert_true(*st == ARIL_OK || wants == 0);
        assert_true(wants >= 0 && wants <= (ARILI_TLS_READABLE | ARILI_TLS_WRITABLE));
    }
}

void tls_pair_step(struct tls_pair *p)
{
    step(p->client, &p->client_st, &p->client_done);
    step(p->server, &p->server_st, &p->server_done);
}

bool tls_pair_shake(struct tls_pair *p)
{
    for (unsigned i = 0; i < ROUNDS && !(p->client_done && p->server_done); i++) {
        if (p->client_st != ARIL_OK && p->server_st != ARIL_OK) {
            break;
        }
        tls_pair_step(p);
    }
    return p->client_done && p->server_done;
}

void tls_pair_done(struct tls_pair *p)
{
    arili_tls_close(p->client);
    arili_tls_close(p->server);
    close(p->client_fd);
    close(p->server_fd);
    *p = (struct tls_pair){ .client_fd = -1, .server_fd = -1 };
}

struct arili_tls *tls_pair_client(const char *ca, const char *cert, bool strict)
{
    struct arili_tls *tls = NULL;
    const struct arili_tls_config config = {
        .ca_path = tls_cert_path(ca),
        .cert_path = cert != NULL ? tls_cert_path(cert) : NULL,
        .key_path = cert != NULL ? tls_key_path(cert) : NULL,
        .strict = strict,
    };
    assert_status(arili_tls_new(rt, &config, &tls, NULL), ARIL_OK);
    return tls;
}

struct arili_tls *tls_pair_server(const char *cert, const char *client_ca, bool required,
                                  bool strict)
{
    struct arili_tls *tls = NULL;
    const struct arili_tls_server_config config = {
        .cert_path = tls_cert_path(cert),
        .key_path = tls_key_path(cert),
        .client_ca_path = client_ca != NULL ? tls_cert_path(client_ca) : NULL,
        .client_required = required,
        .strict = strict,
    };
    assert_status(arili_tls_server_new(rt, &config, &tls, NULL), ARIL_OK);
    return tls;
}
