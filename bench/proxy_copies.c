/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "preload/copies.h"
#include "proxy.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * How often arild copies each byte of a value of 4 MiB on its way to a client. preload/copies.c
 * counts within arild. The sum is what is reported first, its parts beside it:
 *
 *   copies_in      1: from the kernel. Redis' answer is ciphertext, and a socket that is not read
 * by a device of its own has to be copied from. copies_out     1: to the kernel. TCP keeps what it
 * may have to send again. copies_memory  the rest, which is next to 0: a value is decrypted where
 * it was read to, and leaves from there. Only runs below ARILI_SLICE_MIN are copied, because a
 * slice of a block costs more than they do: those at the ends of segments and blocks.
 *
 * Decryption reads and writes each byte once more, in place; it is no copy and is not counted.
 */
#define VALUE_BYTES ((size_t)4 << 20)
#define GETS        50u

static struct bench_copies *counts_new(char path[static 96])
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(path, 96, "%.40s/aril-copies-XXXXXX", base != NULL ? base : "/tmp");
    const int fd = mkstemp(path);
    BENCH_CHECK(fd >= 0 && ftruncate(fd, sizeof(struct bench_copies)) == 0);
    void *at = mmap(NULL, sizeof(struct bench_copies), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    BENCH_CHECK(at != MAP_FAILED);
    (void)close(fd);
    return at;
}

static void get(int fd, uint8_t *in, const uint8_t *value)
{
    static const char command[] = "*2\r\n$3\r\nGET\r\n$1\r\nv\r\n";
    char head[32];
    const int head_len = snprintf(head, sizeof head, "$%zu\r\n", VALUE_BYTES);
    bench_send(fd, command, sizeof command - 1);
    bench_receive(fd, in, (size_t)head_len + VALUE_BYTES + 2);
    BENCH_CHECK(memcmp(in, head, (size_t)head_len) == 0 &&
                memcmp(in + head_len, value, VALUE_BYTES) == 0);
}

static void put(int fd, const uint8_t *value)
{
    char text[64];
    char answer[5];
    const int len =
        snprintf(text, sizeof text, "*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$%zu\r\n", VALUE_BYTES);
    bench_send(fd, text, (size_t)len);
    bench_send(fd, value, VALUE_BYTES);
    bench_send(fd, "\r\n", 2);
    bench_receive(fd, answer, sizeof answer);
    BENCH_CHECK(memcmp(answer, "+OK\r\n", sizeof answer) == 0);
}

static void measure(const struct bench_proxy *p, struct bench_copies *counts)
{
    uint8_t *value = malloc(VALUE_BYTES);
    uint8_t *in = malloc(VALUE_BYTES + 64);
    uint64_t random = 11;
    BENCH_CHECK(value != NULL && in != NULL);
    for (size_t i = 0; i < VALUE_BYTES; i++) {
        value[i] = (uint8_t)bench_next(&random);
    }
    const int fd = bench_dial(p->port);
    put(fd, value);
    get(fd, in, value);
    counts->in = counts->out = counts->memory = 0;
    for (unsigned i = 0; i < GETS; i++) {
        get(fd, in, value);
    }
    const double all = (double)VALUE_BYTES * GETS;
    const double from = (double)counts->in / all;
    const double to = (double)counts->out / all;
    const double memory = (double)counts->memory / all;
    /* Less than one either way, and the library did not count. */
    BENCH_CHECK(from >= 1 && to >= 1);
    bench_report("proxy.get.4MiB", "copies", from + to + memory);
    bench_report("proxy.get.4MiB", "copies_in", from);
    bench_report("proxy.get.4MiB", "copies_out", to);
    bench_report("proxy.get.4MiB", "copies_memory", memory);
    (void)close(fd);
    free(value);
    free(in);
}

void bench_proxy_copies(void)
{
    char library[PATH_MAX], path[96];
    struct bench_proxy p;
    if (!bench_wants("proxy.get.4MiB.copies")) {
        return;
    }
    bench_proxy_beside(BENCH_COPIES_LIBRARY, library, sizeof library);
    if (access(library, R_OK) != 0) {
        (void)fprintf(stderr, "bench: proxy.get.4MiB.copies is unavailable: there is no %s\n",
                      library);
        return;
    }
    struct bench_copies *counts = counts_new(path);
    const struct bench_proxy_options options = { .preload = library, .counts = path };
    if (bench_proxy_start(&p, &options, "proxy.get.4MiB.copies")) {
        measure(&p, counts);
        bench_proxy_stop(&p);
    }
    (void)munmap(counts, sizeof *counts);
    (void)unlink(path);
}
