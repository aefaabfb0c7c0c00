/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "proxy.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * What idle clients cost arild: the resident memory of the whole process while 10,000 connections
 * are open, each of which has put a value of 1 KiB and got it back. Nothing is subtracted; what it
 * has before the first connection is reported beside it.
 */
#define CONNS       10000u
#define VALUE_BYTES 1024u
#define SPARE_FDS   200u

static double resident_mib(pid_t pid)
{
    char path[64], line[256];
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    FILE *f = fopen(path, "re");
    BENCH_CHECK(f != NULL);
    uint64_t kib = 0;
    while (kib == 0 && fgets(line, sizeof line, f) != NULL) {
        (void)sscanf(line, "VmRSS: %" SCNu64, &kib);
    }
    (void)fclose(f);
    BENCH_CHECK(kib != 0);
    return (double)kib / 1024;
}

static bool have_descriptors(void)
{
    struct rlimit limit;
    BENCH_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    if (limit.rlim_cur < CONNS + SPARE_FDS && limit.rlim_max >= CONNS + SPARE_FDS) {
        limit.rlim_cur = CONNS + SPARE_FDS;
        BENCH_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    }
    return limit.rlim_cur >= CONNS + SPARE_FDS;
}

static void use_once(int fd, unsigned n)
{
    char text[VALUE_BYTES + 256], value[VALUE_BYTES + 1], answer[VALUE_BYTES + 64], key[16];
    memset(value, 'a' + (int)(n % 26), VALUE_BYTES);
    value[VALUE_BYTES] = '\0';
    const int key_len = snprintf(key, sizeof key, "conn:%u", n);
    int len =
        snprintf(text, sizeof text,
                 "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%u\r\n%s\r\n*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n",
                 key_len, key, VALUE_BYTES, value, key_len, key);
    bench_send(fd, text, (size_t)len);
    len = snprintf(text, sizeof text, "+OK\r\n$%u\r\n%s\r\n", VALUE_BYTES, value);
    bench_receive(fd, answer, (size_t)len);
    BENCH_CHECK(memcmp(answer, text, (size_t)len) == 0);
}

static void measure(const struct bench_proxy *p)
{
    const double before = resident_mib(p->pid);
    int *fds = malloc(CONNS * sizeof *fds);
    BENCH_CHECK(fds != NULL);
    const uint64_t start = bench_wall_ns();
    for (unsigned n = 0; n < CONNS; n++) {
        fds[n] = bench_dial(p->port);
        use_once(fds[n], n);
    }
    const double each_us = (double)(bench_wall_ns() - start) / 1000 / CONNS;
    const double with = resident_mib(p->pid);
    use_once(fds[0], 0); /* the first is served still */
    bench_report("proxy.conn.10000", "rss_mib", with);
    bench_report("proxy.conn.10000", "rss_before_mib", before);
    bench_report("proxy.conn.10000", "kib_each", (with - before) * 1024 / CONNS);
    bench_report("proxy.conn.10000", "connect_us", each_us);
    for (unsigned n = 0; n < CONNS; n++) {
        (void)close(fds[n]);
    }
    free(fds);
}

void bench_proxy_conns(void)
{
    static const struct bench_proxy_options options = { .one_processor = false };
    struct bench_proxy p;
    if (!bench_wants("proxy.conn")) {
        return;
    }
    if (bench_options.quick) {
        (void)fputs("bench: --quick makes no 10000 connections\n", stderr);
        return;
    }
    if (!have_descriptors()) {
        (void)fprintf(stderr, "bench: proxy.conn is unavailable: it needs ulimit -n %u\n",
                      CONNS + SPARE_FDS);
        return;
    }
    if (bench_proxy_start(&p, &options, "proxy.conn")) {
        measure(&p);
        bench_proxy_stop(&p);
    }
}
