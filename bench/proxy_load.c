/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "proxy.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Commands through arild, against the same arild and the same connection with sealing off, which is
 * a policy for other keys (plainproxy), and against the server without a proxy (direct). The three
 * take turns, command by command, in an order that changes; wall time counts, from before the
 * command is sent until the answer is here whole. A ratio is that of the medians: 0.8 says that
 * the sealed command takes 1.25 times as long. Everything is TCP over the loopback interface, with
 * one connection, and so one command or one pipeline under way.
 *
 *   proxy          Client, server and proxy have a processor each; where there are two, the proxy
 *                  has one alone. Three programs that wait for one another: for small values most
 *                  of the time goes into waking the next one up, which is alike with and without
 *                  sealing and brings the ratio close to 1. It is what one client sees of a proxy
 *                  that has nothing else to do, and says little of a busy one.
 *   proxy_one_cpu  All three are on one processor. Nothing overlaps and nobody sleeps for long, so
 *                  each microsecond of sealing counts. The same targets, and the harder ones.
 *
 * Beside them is the CPU time of arild alone for each command or pipeline: how much less a busy
 * proxy can do because it seals is cpu_ratio_plainproxy.
 */
#define VALUES     16u
#define TURNS_MAX  6000u
#define COMMAND    64u /* room for the head of a command */
#define BATCH_MAX  16u
#define END_BYTES  2u
#define SET_ANSWER "+OK\r\n"

enum side { SEALED, PLAINPROXY, DIRECT, SIDES };
static const char *const side_names[SIDES] = { "", "plainproxy_", "direct_" };

struct measured {
    const char *name;
    size_t bytes, batch, turns;
    bool set;
};
static const struct measured all[] = {
    { "set.1KiB", (size_t)1 << 10, 1, 6000, true },
    { "get.1KiB", (size_t)1 << 10, 1, 6000, false },
    { "set.64KiB", (size_t)64 << 10, 1, 4000, true },
    { "get.64KiB", (size_t)64 << 10, 1, 4000, false },
    { "set.4MiB", (size_t)4 << 20, 1, 300, true },
    { "get.4MiB", (size_t)4 << 20, 1, 300, false },
    { "get.1KiB.pipeline16", (size_t)1 << 10, BATCH_MAX, 4000, false },
};

struct load {
    const struct measured *m;
    const struct bench_proxy *p;
    char stem[BENCH_KEY_BYTES];
    int fds[SIDES];
    uint8_t *values;    /* VALUES of them; number n holds these bytes in every turn */
    char *out;          /* a batch of commands */
    uint8_t *in, *want; /* answers to a batch, and what they must be */
    size_t out_len, in_len;
    uint64_t random;
};

static const uint8_t *value_of(const struct load *l, unsigned n)
{
    return l->values + n * l->m->bytes;
}

static size_t put(void *to, size_t at, const void *data, size_t len)
{
    memcpy((uint8_t *)to + at, data, len);
    return at + len;
}

/* What is sent for value n of a side, behind what is there already. */
static void add_command(struct load *l, enum side side, unsigned n, bool set)
{
    char key[24];
    const int key_len =
        snprintf(key, sizeof key, "%s%u", side == SEALED ? "sealed:" : BENCH_PROXY_PLAIN, n);
    int len = snprintf(l->out + l->out_len, COMMAND, "*%d\r\n$3\r\n%s\r\n$%d\r\n%s\r\n",
                       set ? 3 : 2, set ? "SET" : "GET", key_len, key);
    l->out_len += (size_t)len;
    if (set) {
        len = snprintf(l->out + l->out_len, COMMAND, "$%zu\r\n", l->m->bytes);
        l->out_len = put(l->out, l->out_len + (size_t)len, value_of(l, n), l->m->bytes);
        l->out_len = put(l->out, l->out_len, "\r\n", END_BYTES);
    }
}

static void add_answer(struct load *l, unsigned n, bool set)
{
    if (set) {
        l->in_len = put(l->want, l->in_len, SET_ANSWER, strlen(SET_ANSWER));
        return;
    }
    const int len = snprintf((char *)l->want + l->in_len, COMMAND, "$%zu\r\n", l->m->bytes);
    l->in_len = put(l->want, l->in_len + (size_t)len, value_of(l, n), l->m->bytes);
    l->in_len = put(l->want, l->in_len, "\r\n", END_BYTES);
}

static void prepare(struct load *l, enum side side, unsigned first, bool set)
{
    l->out_len = l->in_len = 0;
    for (unsigned i = 0; i < l->m->batch; i++) {
        add_command(l, side, (first + i) % VALUES, set);
        add_answer(l, (first + i) % VALUES, set);
    }
}

/* Microseconds. Every byte of every answer is looked at, outside of what is timed. */
static double exchange(struct load *l, enum side side, unsigned first, bool set)
{
    prepare(l, side, first, set);
    const uint64_t start = bench_wall_ns();
    bench_send(l->fds[side], l->out, l->out_len);
    bench_receive(l->fds[side], l->in, l->in_len);
    const double took = (double)(bench_wall_ns() - start) / 1000;
    if (memcmp(l->in, l->want, l->in_len) != 0) {
        bench_fail("%s: the answer is not the right one: %.60s", l->stem, (const char *)l->in);
    }
    return took;
}

static void *make_room(size_t bytes)
{
    void *at = malloc(bytes);
    BENCH_CHECK(at != NULL);
    memset(at, 0, bytes);
    return at;
}

static void load_new(struct load *l)
{
    const struct measured *m = l->m;
    const struct bench_proxy *p = l->p;
    const size_t batch_bytes = m->batch * (m->bytes + 2 * COMMAND) + 1;
    const int proxy = bench_dial(p->port);
    l->fds[SEALED] = l->fds[PLAINPROXY] = proxy;
    l->fds[DIRECT] = bench_dial(p->redis.port);
    l->random = 7;
    l->values = make_room(VALUES * m->bytes);
    l->out = make_room(batch_bytes);
    l->in = make_room(batch_bytes);
    l->want = make_room(batch_bytes);
    for (size_t i = 0; i < VALUES * m->bytes; i++) {
        l->values[i] = (uint8_t)bench_next(&l->random);
    }
}

static void load_free(struct load *l)
{
    (void)close(l->fds[SEALED]);
    (void)close(l->fds[DIRECT]);
    free(l->values);
    free(l->out);
    free(l->in);
    free(l->want);
}

/* Values are there, and every path is warm. */
static void warm(struct load *l)
{
    for (unsigned n = 0; n < 2 * VALUES; n++) {
        for (enum side side = 0; side < SIDES; side++) {
            (void)exchange(l, side, n, true);
            (void)exchange(l, side, n, false);
        }
    }
}

static void report(const char *stem, double took[SIDES][TURNS_MAX], size_t turns)
{
    double p50[SIDES];
    for (enum side side = 0; side < SIDES; side++) {
        p50[side] = bench_percentile(took[side], turns, 50);
    }
    bench_report(stem, "ratio_plainproxy", p50[PLAINPROXY] / p50[SEALED]);
    bench_report(stem, "ratio_direct", p50[DIRECT] / p50[SEALED]);
    for (enum side side = 0; side < SIDES; side++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%sp50_us", side_names[side]);
        bench_report(stem, name, p50[side]);
        (void)snprintf(name, sizeof name, "%sp99_us", side_names[side]);
        bench_report(stem, name, bench_percentile(took[side], turns, 99));
    }
}

static void measure_wall(struct load *l)
{
    static double took[SIDES][TURNS_MAX];
    const size_t turns = bench_options.quick ? l->m->turns / 10 : l->m->turns;
    for (size_t i = 0; i < turns; i++) {
        const unsigned n = (unsigned)(bench_next(&l->random) % VALUES);
        for (size_t k = 0; k < SIDES; k++) {
            const enum side side = (enum side)((i + k) % SIDES);
            took[side][i] = exchange(l, side, n, l->m->set);
        }
    }
    report(l->stem, took, turns);
}

/* What arild does after an answer is counted with the next command, so a round is long. */
static double cpu_us(struct load *l, enum side side)
{
    const unsigned count = l->m->bytes > ((size_t)1 << 20) ? VALUES : 16 * VALUES;
    const uint64_t start = bench_proxy_cpu_ns(l->p);
    for (unsigned n = 0; n < count; n++) {
        (void)exchange(l, side, n % VALUES, l->m->set);
    }
    return (double)(bench_proxy_cpu_ns(l->p) - start) / 1000 / count;
}

static void measure_cpu(struct load *l)
{
    double took[DIRECT][BENCH_ROUNDS_MAX];
    const size_t rounds = bench_rounds();
    for (size_t r = 0; r < rounds; r++) {
        for (size_t k = 0; k < DIRECT; k++) {
            const enum side side = (enum side)((r + k) % DIRECT);
            took[side][r] = cpu_us(l, side);
        }
    }
    const double sealed = bench_median(took[SEALED], rounds);
    const double plain = bench_median(took[PLAINPROXY], rounds);
    bench_report(l->stem, "cpu_ratio_plainproxy", plain / sealed);
    bench_report(l->stem, "cpu_us", sealed);
    bench_report(l->stem, "plainproxy_cpu_us", plain);
}

static void measure(const char *part, const struct measured *m, const struct bench_proxy *p)
{
    struct load l = { .m = m, .p = p };
    (void)snprintf(l.stem, sizeof l.stem, "%s.%s", part, m->name);
    if (!bench_wants(l.stem)) {
        return;
    }
    load_new(&l);
    warm(&l);
    measure_wall(&l);
    measure_cpu(&l);
    load_free(&l);
}

static void measure_all(const char *part, const struct bench_proxy_options *options)
{
    struct bench_proxy p;
    if (!bench_wants(part) || !bench_proxy_start(&p, options, part)) {
        return;
    }
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        measure(part, &all[i], &p);
    }
    bench_proxy_stop(&p);
}

void bench_proxy_load(void)
{
    static const struct bench_proxy_options one = { .one_processor = true };
    static const struct bench_proxy_options apart = { .one_processor = false };
    if (bench_wants("proxy.set") || bench_wants("proxy.get")) {
        measure_all("proxy", &apart);
    }
    measure_all("proxy_one_cpu", &one);
}
