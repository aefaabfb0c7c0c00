/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_HTTP_SERVER_H
#define ARIL_TESTS_HTTP_SERVER_H
#include <stdbool.h>
#include <sys/types.h>

/* tests/scripts/cache_http_server.py in a process of its own. */
struct http_server {
    pid_t pid;
    int input; /* its end is the server's */
    unsigned port;
    char rest[64]; /* "//127.0.0.1:PORT"; of a URI */
};
/* Paths are NULL without TLS; client_ca: clients must have a certificate of it. False when python3
 * is not there or does not start it. */
bool http_server_start(struct http_server *s, const char *cert, const char *key,
                       const char *client_ca);
void http_server_stop(struct http_server *s);
#endif
