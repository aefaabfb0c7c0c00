/* SPDX-License-Identifier: Apache-2.0 */
/* arild in front of a Cluster of three nodes, and one plain Redis server, answer the same commands
 * alike, by chance: clients see no slots and no nodes. ARIL_MODEL_SEED=n repeats a run. */
#include "arild.h"
#include "check.h"
#include "proxy_model.h"
#include "wire.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMANDS (SANITIZED ? 6000u : 40000u)

static struct redis plain;
static struct redis_cluster behind;
static struct arild proxy;

static uint64_t seed_of_run(void)
{
    const char *const text = getenv("ARIL_MODEL_SEED");
    return text != NULL ? strtoull(text, NULL, 10) : 20261127;
}

static int tear_down(void **state)
{
    (void)state;
    arild_remove(&proxy);
    redis_cluster_remove(&behind);
    redis_remove(&plain);
    return 0;
}

static void start(struct arild_options *options)
{
    static char upstream[96];
    const struct redis_options none = { .tcp = false };
    assert_true(redis_start(&plain, &none));
    assert_true(redis_cluster_start(&behind, NULL));
    (void)snprintf(upstream, sizeof upstream, "redis+cluster://127.0.0.1:%u", behind.node[0].port);
    options->upstream = upstream;
    assert_true(arild_start(&proxy, &behind.node[0], options));
}

static void run_with(struct arild_options options, uint64_t seed, unsigned commands)
{
    struct pmodel_setup setup = { .seed = seed, .commands = commands, .cluster = true };
    start(&options);
    for (unsigned i = 0; i < PMODEL_CLIENTS; i++) {
        setup.fds[i][0] = redis_dial(&plain);
        setup.fds[i][1] = arild_dial(&proxy);
        assert_true(setup.fds[i][1] >= 0);
    }
    pmodel_run(&setup);
    for (unsigned i = 0; i < PMODEL_CLIENTS; i++) {
        (void)close(setup.fds[i][0]);
        (void)close(setup.fds[i][1]);
    }
    if (arild_is_plain()) {
        print_message("a plain server stood in for arild\n");
        return;
    }
    for (unsigned i = 0; i < REDIS_NODES; i++) { /* each had a part of it */
        assert_true(redis_number(&behind.node[i], "DBSIZE") > 0);
    }
    assert_int_equal(arild_stop(&proxy), 0);
}

static void a_cluster_answers_as_one_server(void **state)
{
    (void)state;
    ARILD_OR_SKIP();
    run_with((struct arild_options){ .top = NULL }, seed_of_run(), COMMANDS);
}

static void a_cluster_answers_as_one_server_with_many_threads(void **state)
{
    (void)state;
    ARILD_OR_SKIP();
    run_with((struct arild_options){ .top = "threads = 3" }, seed_of_run() + 1, COMMANDS / 4);
}

static void a_cluster_answers_as_one_server_with_a_pipeline_of_one(void **state)
{
    (void)state;
    ARILD_OR_SKIP();
    run_with((struct arild_options){ .conf = "[limits]\npipeline_max = 1" }, seed_of_run() + 2,
             COMMANDS / 4);
}

/* --- What cannot be one */

/* Sends one inline command; its answer must begin so. */
static void __attribute__((format(printf, 3, 4)))
expect(int fd, const char *begins, const char *format, ...)
{
    char line[128];
    struct wire_bytes out = { .len = 0 };
    struct wire_bytes in = { .len = 0 };
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line - 2, format, args);
    va_end(args);
    wire_text(&out, line);
    wire_text(&out, "\r\n");
    assert_true(wire_exchange(fd, &out, &in, 1));
    if (in.len < strlen(begins) || memcmp(in.data, begins, strlen(begins)) != 0) {
        fail_msg("%s: %s instead of %s", line, wire_shown((aril_bytes){ in.data, in.len }), begins);
    }
    wire_free(&out);
    wire_free(&in);
}

/* Which node has the key now; the key is removed. Tags are blinded: it cannot be calculated. */
static unsigned node_of(int fd, unsigned tag)
{
    unsigned at = REDIS_NODES;
    expect(fd, "+OK", "SET {%u}1 v", tag);
    for (unsigned i = 0; i < REDIS_NODES; i++) {
        at = redis_number(&behind.node[i], "DBSIZE") > 0 ? i : at;
    }
    expect(fd, ":1", "DEL {%u}1", tag);
    assert_true(at < REDIS_NODES);
    return at;
}

static void what_must_be_whole_is_refused_over_slots(void **state)
{
    (void)state;
    ARILD_OR_SKIP();
    struct arild_options options = { .top = NULL };
    start(&options);
    if (arild_is_plain()) {
        print_message("SKIPPED: a plain server refuses nothing\n");
        skip();
    }
    const int fd = arild_dial(&proxy);
    assert_true(fd >= 0);
    unsigned b = 1;
    while (node_of(fd, b) == node_of(fd, 0)) {
        b++;
    }
    expect(fd, "-CROSSSLOT ", "MSETNX {0}1 x {%u}1 y", b);
    expect(fd, ":0", "EXISTS {0}1 {%u}1", b);
    expect(fd, ":1", "MSETNX {0}1 x {0}2 y");
    expect(fd, "+OK", "MULTI");
    expect(fd, "+QUEUED", "SET {0}1 z");
    expect(fd, "-CROSSSLOT ", "SET {%u}1 z", b);
    expect(fd, "-EXECABORT ", "EXEC");
    expect(fd, "*2\r\n$1\r\nx\r\n$-1\r\n", "MGET {0}1 {%u}1", b);
    expect(fd, "+OK", "WATCH {0}1");
    expect(fd, "-CROSSSLOT ", "WATCH {%u}1", b);
    expect(fd, "+OK", "UNWATCH");
    /* What is not watched may be anywhere. */
    expect(fd, "+OK", "WATCH {%u}1", b);
    expect(fd, "$1\r\nx", "GET {0}1");
    expect(fd, "+OK", "MULTI");
    expect(fd, "+QUEUED", "PING");
    expect(fd, "+QUEUED", "SET {%u}1 z", b);
    expect(fd, "*2\r\n+PONG\r\n+OK\r\n", "EXEC");
    /* And a transaction that begins without a key is with the server of its first one. */
    for (unsigned tag = 0; tag <= b; tag++) {
        expect(fd, "+OK", "MULTI");
        expect(fd, "+QUEUED", "PING");
        expect(fd, "+QUEUED", "ECHO there");
        expect(fd, "+QUEUED", "SET {%u}1 z", tag);
        expect(fd, "+QUEUED", "PING");
        expect(fd, "*4\r\n+PONG\r\n$5\r\nthere\r\n+OK\r\n+PONG\r\n", "EXEC");
    }
    expect(fd, "+OK", "MULTI");
    expect(fd, "+QUEUED", "PING");
    expect(fd, "*1\r\n+PONG\r\n", "EXEC");
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_must_be_whole_is_refused_over_slots, tear_down),
        cmocka_unit_test_teardown(a_cluster_answers_as_one_server, tear_down),
        cmocka_unit_test_teardown(a_cluster_answers_as_one_server_with_many_threads, tear_down),
        cmocka_unit_test_teardown(a_cluster_answers_as_one_server_with_a_pipeline_of_one,
                                  tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
