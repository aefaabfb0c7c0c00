/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_REDIS_H
#define ARILD_REDIS_H
#include <aril/base.h>
#include <event2/event.h>
#include <stdbool.h>

/*
 * The private server of the standalone mode: redis-server or valkey-server, on a UNIX socket in a
 * folder, with an append-only file. It ends when we end, however that happens; when it dies on its
 * own it is started again, later each time.
 *
 * Threads: the main one, which must live as long as the process (the kernel tells the server of the
 * end of the thread that started it).
 */
#define REDIS_SOCKET    "redis.sock" /* in the folder; its log is redis.log beside it */
#define REDIS_READY_MS  30000u
#define REDIS_STOP_MS   10000u
#define REDIS_DELAY_MIN 100u /* ms before the next start, doubled up to */
#define REDIS_DELAY_MAX 10000u

struct redis;
/*
 * Start it and wait until it answers. lock_fd: a locked file that the server keeps open, so that
 * the lock outlives us for as long as the server has the folder. UNAVAILABLE: no such program is
 * installed. TIMEOUT, IO: it did not start; the message names its log.
 */
ARIL_MUST_USE aril_status redis_start(const char *folder, int lock_fd, struct redis **ret,
                                      aril_error *error);
/* Start it again from now on when it dies. */
ARIL_MUST_USE aril_status redis_watch(struct redis *r, struct event_base *base);
/* A child has ended: SIGCHLD. */
void redis_child_ended(struct redis *r);
/* Ends it, waits, and frees. Accepts NULL. */
void redis_stop(struct redis *r);
#endif
