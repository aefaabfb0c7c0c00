/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_FETCH_H
#define ARIL_CMD_FETCH_H
#include "files.h"
#include <aril/base.h>
#include <signal.h>
#include <stdbool.h>

/* Getting a file from a path, file://, http:// or https://. libcurl is loaded when a URL needs it.
 * What arrives is checked by whoever asked for it: the transport is not trusted. */

#define FETCH_TAG_BYTES 256u

struct fetch {
    const char *source;                /* borrowed; "-" is standard input */
    const char *unix_socket;           /* NULL, or where an http source is reached. Borrowed */
    bool direct;                       /* no proxy of the environment, and no redirects */
    const char *ca;                    /* certificates that are trusted; NULL: the system's */
    uint32_t timeout_ms;               /* to connect, and without a byte; 0: 10000 */
    size_t bytes_max;                  /* longer is an error */
    const volatile sig_atomic_t *stop; /* NULL, or what ends a transfer when it is not 0 */
    char tag[FETCH_TAG_BYTES];         /* how the source names what was accepted last */
    char next_tag[FETCH_TAG_BYTES];    /* and what arrived last */
};

/* Whether the source is one that can be fetched; else prints why not. Returns an exit code. */
int fetch_check(const char *command, const char *source);

/* Get the whole file. *ret_same: it is still what was accepted, and *ret is empty.
 * Statuses: NOT_FOUND, IO, TIMEOUT, LIMIT, TRUST (the server's certificate), UNAVAILABLE,
 * INTERRUPTED, NOMEM. error is required; it names the source without its query. */
aril_status fetch(struct fetch *f, struct file_contents *ret, bool *ret_same, aril_error *error);
/* What arrived last was good: the same is not fetched again. */
void fetch_accept(struct fetch *f);

/* Whether http and https work here. Text: the version of libcurl, or why not. */
bool fetch_http_works(char *ret_text, size_t cap);

/* --- between fetch.c and fetch_http.c -------------------------------------------------------- */

aril_status fetch_http(struct fetch *f, struct file_contents *ret, bool *ret_same,
                       aril_error *error);
/* Fill error: "SOURCE: ...". Returns st. */
aril_status fetch_fail(const struct fetch *f, aril_status st, aril_error *error, const char *format,
                       ...) __attribute__((format(printf, 4, 5)));
#endif
