/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FAKE_REDIS_H
#define ARIL_TESTS_FAKE_REDIS_H
#include <aril/base.h>
#include <pthread.h>
#include <stdbool.h>

/*
 * A server that answers what a test says. It runs on a thread, on 127.0.0.1, and has one connection
 * at a time; the next is accepted when the client has closed. Otherwise it is sane: it greets, has
 * the value "v" under every name, forgets what is put, and is a Cluster of one.
 */
enum fake_then {
    FAKE_GOES_ON, /* with the next command */
    FAKE_CLOSES,
    FAKE_IS_SILENT, /* until the client closes */
    FAKE_STOPS      /* and reads nothing more: the client cannot write all of a long value */
};
/* What stands for a command that is longer than 64 KiB, each time so much of it came. */
#define FAKE_PART "(part)"
struct fake_lie {
    const char *verb; /* "GET": the command that is answered so; NULL: none */
    aril_bytes answer;
    enum fake_then then;
    unsigned times; /* so often */
};
struct fake_redis {
    unsigned port;
    int fd;
    int stop[2]; /* a pipe */
    pthread_t thread;
    pthread_mutex_t mutex;
    struct fake_lie lies[2];
    unsigned accepted, commands, lied;
    char heard[256]; /* the commands, joined with spaces and ';', as far as they fit */
};

void fake_redis_start(struct fake_redis *f);
void fake_redis_stop(struct fake_redis *f);
/* What is answered next; the counters begin anew, and heard. second may be NULL. */
void fake_redis_lie(struct fake_redis *f, const struct fake_lie *first,
                    const struct fake_lie *second);
/* Its counters now. */
unsigned fake_redis_accepted(struct fake_redis *f);
unsigned fake_redis_lied(struct fake_redis *f);
void fake_redis_heard(struct fake_redis *f, char *ret, size_t cap);
#endif
