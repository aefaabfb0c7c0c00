/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_BENCH_REDIS_H
#define ARIL_BENCH_REDIS_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A redis-server of our own, in a folder below $TMPDIR, that writes nothing to disk. It ends with
 * the thread that started it. */
struct bench_redis {
    pid_t pid;
    unsigned port; /* of 127.0.0.1 */
    char folder[64], socket[96], unix_uri[128], tcp_uri[64];
};
/* On the nth of the processors that this program may use, modulo their number. False, and nothing
 * is left, when it does not start; it says so on stderr, after what: a stem of keys. */
bool bench_redis_start(struct bench_redis *r, size_t processor, const char *what);
void bench_redis_stop(const struct bench_redis *r);

/* A port that nobody has just now. */
unsigned bench_free_port(void);
#endif
