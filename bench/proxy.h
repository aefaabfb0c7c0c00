/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_BENCH_PROXY_H
#define ARIL_BENCH_PROXY_H
#include "cache.h"
#include "redis.h"

/*
 * A real arild between us and a redis-server of our own, for the measurements of the proxy: one
 * listener on 127.0.0.1 whose clients are all the same tenant, and no log-in. Keys that begin with
 * "plain:" are those of a policy that seals nothing; all others are sealed.
 */
#define BENCH_PROXY_PLAIN "plain:"

struct bench_proxy {
    struct bench_cache keys; /* its keyring; the cache of it is not used */
    struct bench_redis redis;
    pid_t pid;
    unsigned port;
    int notify;
    char folder[64];
};

struct bench_proxy_options {
    bool one_processor;  /* server and proxy are on the processor of this thread, the first */
    const char *preload; /* a library that arild is started with; NULL: none */
    const char *counts;  /* and the file for what it counts */
};
/* False when it cannot be had, which is said on stderr after what: a stem of keys. Without
 * one_processor, each of client, server and proxy has its own where there are three; where there
 * are two, the proxy has the second and the server is with the client. */
bool bench_proxy_start(struct bench_proxy *p, const struct bench_proxy_options *options,
                       const char *what);
void bench_proxy_stop(struct bench_proxy *p);
/* CPU time of arild, all threads. */
uint64_t bench_proxy_cpu_ns(const struct bench_proxy *p);
/* The path of a program or library beside this one. */
void bench_proxy_beside(const char *name, char *ret, size_t cap);

/* A blocking connection to a port of 127.0.0.1. */
int bench_dial(unsigned port);
/* Send all of it; read exactly len bytes. Both end the program when they cannot. */
void bench_send(int fd, const void *data, size_t len);
void bench_receive(int fd, void *ret, size_t len);

void bench_proxy_load(void);   /* proxy_load.c */
void bench_proxy_conns(void);  /* proxy_conns.c */
void bench_proxy_copies(void); /* proxy_copies.c */
#endif
