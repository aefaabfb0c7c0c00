/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_ARILD_H
#define ARIL_TESTS_ARILD_H
#include "redis.h"

/*
 * A real arild in front of a real Redis server: its keyring, tokens and configuration are made by
 * tests/support/proxy_prepare.sh in a folder of its own below $TMPDIR. It ends with the thread that
 * started it, whatever happens. The programs are those of $ARIL_BUILD_DIR.
 *
 * With ARILD_PLAIN=1 a second redis-server stands in for arild, so that a test can be tried by
 * itself: then nothing is sealed, no password is demanded, and the server behind has nothing to do.
 *
 * Failures end the running test, but for those of arild_missing() and arild_start(). What is here
 * knows nothing of the code under test.
 */

/* Why there is no arild to start; NULL: there is one. */
const char *arild_missing(void);
/* In the first line of a test: says so loudly, and skips it. */
#define ARILD_OR_SKIP()                                      \
    do {                                                     \
        if (arild_missing() != NULL) {                       \
            print_message("SKIPPED: %s\n", arild_missing()); \
            skip();                                          \
        }                                                    \
    } while (0)
/* Whether a plain server stands in. */
bool arild_is_plain(void);

#define ARILD_TENANT "acme-orchard" /* of the UNIX socket */
#define ARILD_OTHER  "zeta-orchard"

/* All zero: an upstream over the UNIX socket of the server, defaults otherwise. Texts are borrowed
 * for the call. */
struct arild_options {
    const char *upstream;   /* URI instead: "redis+cluster://127.0.0.1:7000" */
    const char *conf;       /* more sections of arild.conf, "[policy *]\nvalues = pass" */
    const char *top;        /* lines before its first section, "threads = 1" */
    const char *plain_conf; /* lines of the stand-in's redis.conf, "appendonly yes\n" */
};

struct arild {
    char folder[128];
    char socket[160]; /* clients of it are ARILD_TENANT without a password */
    unsigned port;    /* of 127.0.0.1, where clients log in */
    pid_t pid;        /* 0: not running */
    int notify;       /* where it says that it is ready */
};

/* A new one that says it is ready. False, with nothing left, when it does not; what it said is
 * printed then. */
bool arild_start(struct arild *a, const struct redis *behind, const struct arild_options *options);
/* The same again after arild_stop() or arild_kill(). */
void arild_restart(struct arild *a);
/* SIGTERM, and its exit status; 128 and the number of a signal that ended it. */
int arild_stop(struct arild *a);
void arild_kill(struct arild *a); /* SIGKILL */
/* Writes another configuration and has it read: until arild says that it is ready again. Whether it
 * was taken over stands in its log. Not with a stand-in. */
void arild_reload(struct arild *a, const struct redis *behind, const struct arild_options *options);
/* Ends it, where it runs, and removes its folder. All zero is fine. */
void arild_remove(struct arild *a);
/* The path of a file in its folder: "log". Valid until the next call. */
const char *arild_file(const struct arild *a, const char *name);

/* A new connection, blocking: over the UNIX socket, or TCP. -1 where nobody listens. */
int arild_dial(const struct arild *a);
int arild_dial_tcp(const struct arild *a);
/* The token of a tenant. */
void arild_token(const struct arild *a, const char *tenant, char ret[static 64]);
#endif
