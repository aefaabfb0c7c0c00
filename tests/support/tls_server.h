/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_TLS_SERVER_H
#define ARIL_TESTS_TLS_SERVER_H
#include <stdbool.h>
#include <stddef.h>

/* TLS servers for one connection, each a thread at the other end of a socket pair, and
 * certificates for them in the temporary folder. Every failure of the set-up fails the test. */

struct tls_cert {
    const char *name;   /* of NAME.crt and NAME.key in the temporary folder */
    const char *san;    /* "DNS:a.example,IP:127.0.0.1"; NULL: none */
    const char *issuer; /* name of one made before; NULL: itself, and it is a CA */
    bool is_ca;         /* may issue others though it has an issuer */
    int days;           /* valid from the day before to so many days from now; may be negative */
};
void tls_cert_make(const struct tls_cert *cert);
/* "NAME.crt" and "NAME.key": paths, kept for long. */
const char *tls_cert_path(const char *name);
const char *tls_key_path(const char *name);

enum tls_server_does {
    TLS_SERVER_ECHOES = 0, /* whatever it reads, until the client closes */
    TLS_SERVER_GATHERS,    /* reads `bytes` bytes before it writes them back */
    TLS_SERVER_HANGS,      /* never reads or writes; ends with tls_server_end() */
    TLS_SERVER_LEAVES,     /* closes after the first bytes of the client, without an answer */
    TLS_SERVER_GREETS,     /* handshake, "hello", proper end */
    TLS_SERVER_CUTS,       /* handshake, "hello", then the connection without an end of TLS */
};
struct tls_server_config {
    const char *cert;      /* name of a certificate above */
    const char *client_ca; /* demands a client certificate of it; NULL: none */
    const char *groups;    /* OpenSSL's list; NULL: its own */
    bool tls12;            /* nothing newer */
    enum tls_server_does does;
    size_t bytes;
};
struct tls_server;
struct tls_server *tls_server_start(const struct tls_server_config *config, int *ret_client_fd);
/* Waits for the thread, closes both descriptors. Whether the server's handshake succeeded. */
bool tls_server_end(struct tls_server *s);
#endif
