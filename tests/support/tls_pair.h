/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_TLS_PAIR_H
#define ARIL_TESTS_TLS_PAIR_H
#include "crypto/tls.h"

/* A client and a server of crypto/tls.h over a socket pair, moved on in one thread by the functions
 * that do not wait. Every failure of the set-up fails the test. */
struct tls_pair {
    int client_fd, server_fd; /* non-blocking */
    struct arili_tls_conn *client, *server;
    aril_status client_st, server_st; /* of the handshake */
    bool client_done, server_done;
};

/* Two connected sockets; buffer_bytes: of each, 0 for the system's own. */
void tls_sockets(int ret[2], int buffer_bytes);
/* Either configuration may be NULL: then there is only the socket of that side. host NULL:
 * cache.example. */
void tls_pair_init(struct tls_pair *p, struct arili_tls *client, struct arili_tls *server,
                   const char *host, int buffer_bytes);
/* Once each side that can go on. */
void tls_pair_step(struct tls_pair *p);
/* Until both are done, or neither can go on. Whether both are done. */
bool tls_pair_shake(struct tls_pair *p);
void tls_pair_done(struct tls_pair *p);

/* Configurations over certificates of tls_server.h, by name. client_ca NULL: none is asked for. */
struct arili_tls *tls_pair_client(const char *ca, const char *cert, bool strict);
struct arili_tls *tls_pair_server(const char *cert, const char *client_ca, bool required,
                                  bool strict);
#endif
