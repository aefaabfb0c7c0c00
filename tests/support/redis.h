/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_REDIS_H
#define ARIL_TESTS_REDIS_H
#include <aril/base.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Real Redis servers: redis-server on a UNIX socket and on the loopback interface, with their files
 * in a folder of their own below $TMPDIR. A server ends with the thread that started it, whatever
 * happens. Nothing is written to disk by it, so one that was restarted is empty, but for what
 * options.conf asks for.
 *
 * Failures end the running test, but for those of redis_installed() and the _start() functions.
 * What is here knows nothing of the code under test.
 */

/* Whether there is a redis-server to start; else tests are skipped with this reason. */
bool redis_installed(void);
#define REDIS_MISSING "redis-server is not installed (Debian: redis-server)"
/* In the first line of a test: says so loudly, and skips it. */
#define REDIS_OR_SKIP()                                    \
    do {                                                   \
        if (!redis_installed()) {                          \
            print_message("SKIPPED: " REDIS_MISSING "\n"); \
            skip();                                        \
        }                                                  \
    } while (0)

/* All zero: a UNIX socket alone, no password. Texts are borrowed for redis_start(). */
struct redis_options {
    bool tcp;             /* a port on 127.0.0.1 */
    bool tls;             /* a port with TLS on 127.0.0.1; files of redis_certs.h in the folder */
    bool tls_clients;     /* which asks clients for a certificate */
    const char *password; /* requirepass; not with acl */
    const char *acl;      /* lines of a file of users, "user anna on >secret ~a:* +@all\n" */
    const char *conf;     /* more lines of redis.conf, "maxmemory 4mb\n" */
};

struct redis {
    char folder[128];
    char socket[160];
    unsigned port;     /* 0: none */
    unsigned tls_port; /* 0: none */
    char auth[160];    /* line that redis_ask() logs in with; may be empty */
    pid_t pid;         /* 0: not running */
};

/* A new server that answers. False, with nothing left, when it does not. */
bool redis_start(struct redis *r, const struct redis_options *options);
/* The same again after redis_stop() or redis_kill(): the same socket and ports, no data. */
void redis_restart(struct redis *r);
void redis_stop(struct redis *r); /* SIGTERM */
void redis_kill(struct redis *r); /* SIGKILL, frozen or not */
/* A server that is there and does not answer. */
void redis_freeze(struct redis *r);
void redis_thaw(struct redis *r);
/* Ends it, where it runs, and removes its folder. All zero is fine. */
void redis_remove(struct redis *r);
/* The path of a file in its folder: "ca.pem". Valid until the next call. */
const char *redis_file(const struct redis *r, const char *name);

/* A new connection, blocking, over the UNIX socket. */
int redis_dial(const struct redis *r);
/* Sends an inline command over a connection of its own, logged in as a user who may do everything,
 * and gives the answer as text: "+PONG", ":1", "-ERR ...", "_" for nil, and the bytes of a bulk
 * alone. Of an aggregate its header alone: "*2". Always ends in NUL; the length without it. */
size_t redis_ask(const struct redis *r, const char *line, char *ret, size_t cap);
/* The same; the answer must be this. */
void redis_expect(const struct redis *r, const char *line, const char *answer);
/* The number of a ":1" answer. */
long long redis_number(const struct redis *r, const char *line);

/* --- Cluster: three nodes without replicas on 127.0.0.1, slots 0-5460, 5461-10922, 10923-16383 */
#define REDIS_NODES 3u
struct redis_cluster {
    struct redis node[REDIS_NODES];
};
/* All nodes agree that the cluster is whole. options may be NULL; tcp is implied. */
bool redis_cluster_start(struct redis_cluster *c, const struct redis_options *options);
/* Until each running node says that the cluster is whole again: after a restart. */
void redis_cluster_wait(struct redis_cluster *c);
void redis_cluster_remove(struct redis_cluster *c);
/* The node that the slot is with, as the first running node knows it. */
unsigned redis_cluster_owner(const struct redis_cluster *c, unsigned slot);
/* The slot is on its way: its owner answers ASK for keys that it has not. */
void redis_cluster_migrate(struct redis_cluster *c, unsigned slot, unsigned to);
/* It has arrived: all running nodes know the new owner, the old one answers MOVED. Keys are not
 * moved: MIGRATE does that. */
void redis_cluster_settle(struct redis_cluster *c, unsigned slot, unsigned to);
#endif
