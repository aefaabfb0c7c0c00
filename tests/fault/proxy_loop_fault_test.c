/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of the proxy's loop fails once, under a server that answers and has a changed
 * value: every command is answered or its client closed, nobody waits for ever, nothing is left. */
#include "fault_alloc.h"
#include "proxy_sealed.h"
#include "proxy/loop_internal.h"
#include "temp_folder.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS_MAX 4000u

static struct proxy_peers p;
static struct sealed value;

static int setup_as(bool cluster)
{
    struct arili_proxy_config *config = proxy_peers_config();
    config->upstream.cluster = cluster;
    proxy_peers_init(&p, config);
    return 0;
}
static int setup(void **state)
{
    (void)state;
    return setup_as(false);
}
static int setup_cluster(void **state)
{
    (void)state;
    return setup_as(true);
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

/* --- A server ------------------------------------------------------------------------------- */

static const struct {
    const char *word, *answer;
} answers[] = {
    { "HELLO", "+OK\r\n" },
    { "SELECT", "+OK\r\n" },
    { "SET", "+OK\r\n" },
    { "WATCH", "+OK\r\n" },
    { "UNLINK", ":1\r\n" },
    { "PTTL", ":5000\r\n" },
    { "HSET", ":1\r\n" },
    { "PEXPIREAT", ":1\r\n" },
    { "EXPIRE", ":1\r\n" },
    { "HGETALL", "*2\r\n$4\r\nfake\r\n$4\r\nfake\r\n" },
    { "SMEMBERS", "*1\r\n$4\r\nfake\r\n" },
    { "MGET", "*2\r\n$-1\r\n$-1\r\n" },
    { "SCAN", "*2\r\n$1\r\n0\r\n*1\r\n$4\r\nfake\r\n" },
    { "TTL", ":5\r\n" },
    { "CLUSTER", "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:7000\r\n" },
    { "DISCARD", "+OK\r\n" },
    { "UNWATCH", "+OK\r\n" },
};

/* What is queued of each link's transaction; UINT_MAX: there is none. */
static unsigned queued[PROXY_PEERS_MAX];

static void answer_exec(struct proxy_peer *link, unsigned count)
{
    char line[16];
    const int n = snprintf(line, sizeof line, "*%u\r\n", count);
    proxy_say(link, (aril_bytes){ (const uint8_t *)line, (size_t)n });
    for (unsigned i = 0; i < count; i++) {
        proxy_say(link, TEXT(":1\r\n"));
    }
}

static void answer(size_t n, aril_bytes word)
{
    struct proxy_peer *const link = &p.links[n];
    const struct sealed head = { .len = ARILI_VALUE_HEADER_BYTES };
    struct sealed h = head;
    if (word.len == 5 && memcmp(word.data, "MULTI", 5) == 0) {
        queued[n] = 0;
        proxy_say(link, TEXT("+OK\r\n"));
        return;
    }
    if (word.len == 4 && memcmp(word.data, "EXEC", 4) == 0 && queued[n] != UINT_MAX) {
        const unsigned count = queued[n];
        queued[n] = UINT_MAX;
        answer_exec(link, count);
        return;
    }
    if (queued[n] != UINT_MAX) {
        queued[n]++;
        proxy_say(link, TEXT("+QUEUED\r\n"));
        return;
    }
    if (word.len == 3 && memcmp(word.data, "GET", 3) == 0) {
        sealed_say(link, &value);
        return;
    }
    if (word.len == 8 && memcmp(word.data, "GETRANGE", 8) == 0) {
        memcpy(h.bytes, value.bytes, h.len);
        sealed_say(link, &h);
        return;
    }
    for (size_t i = 0; i < COUNT(answers); i++) {
        if (word.len == strlen(answers[i].word) &&
            memcmp(word.data, answers[i].word, word.len) == 0) {
            proxy_say(link, text_bytes(answers[i].answer));
            return;
        }
    }
    proxy_say(link, TEXT("-ERR unknown command\r\n"));
}

/* All links answer what they were asked until nobody asks. */
static void serve(void)
{
    bool asked = true;
    while (asked) {
        asked = false;
        for (size_t i = 0; i < p.link_count; i++) {
            aril_bytes args[16];
            size_t count = 0;
            struct proxy_peer *const link = &p.links[i];
            if (link->connecting && link->peer != NULL) {
                link->connecting = false;
                queued[i] = UINT_MAX;
                arili_loop_connected(link->peer, p.now_ns);
                proxy_say(link, (aril_bytes){ NULL, 0 });
                asked = true;
            }
            while (!proxy_is_closed(link) && proxy_command(link, args, COUNT(args), &count)) {
                answer(i, args[0]);
                asked = true;
            }
        }
    }
}

/* --- Clients -------------------------------------------------------------------------------- */

#define STREAMED 70000u
/* A value that goes to the server while it comes; made by make_streamed(). */
static char streamed[STREAMED + 64];

static void make_streamed(void)
{
    const int n =
        snprintf(streamed, sizeof streamed, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%u\r\n", STREAMED);
    memset(streamed + n, 'x', STREAMED);
    memcpy(streamed + n + STREAMED, "\r\nPING\r\n", sizeof "\r\nPING\r\n");
}

static const struct scenario {
    const char *text;
    size_t answers;
} scenarios[] = {
    { "SET k v\r\nGET k\r\nPING\r\n", 3 },
    { "GET k\r\nEXPIRE k 100\r\nTTL k\r\n", 3 },
    { "HGETALL h\r\nSMEMBERS s\r\nMGET a b\r\n", 3 },
    { "MULTI\r\nTTL k\r\nSET k v\r\nEXEC\r\nPING\r\n", 5 },
    { "WATCH k\r\nTTL k\r\nUNWATCH\r\nSCAN 0\r\n", 4 },
    { "GETEX k PERSIST\r\nSET k v KEEPTTL\r\nPING\r\n", 3 },
    { streamed, 2 },
    { "DBSIZE\r\nKEYS *\r\nRANDOMKEY\r\n", 3 },
};

static void finish(void)
{
    serve();
    proxy_tick(&p, 3000); /* for those who wait until a server is tried again */
    serve();
    proxy_tick(&p, 3000);
    serve();
}

/* Whether the nth allocation was reached. */
static bool run(const struct scenario *s, unsigned nth)
{
    proxy_peers_begin(&p);
    struct proxy_peer *c = proxy_accept(&p);
    struct proxy_peer *other = proxy_accept(&p);
    fault_alloc_arm(nth);
    proxy_say(c, text_bytes(s->text));
    serve();
    fault_alloc_disarm();
    finish();
    if (!proxy_is_closed(c)) {
        (void)heard_answers(c, s->answers, false);
    }
    proxy_say(other, TEXT("TTL k\r\n"));
    finish();
    (void)heard_answers(other, 1, false);
    proxy_peers_end(&p);
    return fault_alloc_fired();
}

static void sweep(void)
{
    make_streamed();
    proxy_peers_end(&p);
    for (size_t i = 0; i < COUNT(scenarios); i++) {
        unsigned nth = 1;
        while (run(&scenarios[i], nth)) {
            assert_true(++nth < ROUNDS_MAX);
        }
        assert_true(nth > 5); /* it did meet some */
    }
    proxy_peers_begin(&p);
}

static void every_allocation_may_fail_once(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &value);
    sweep();
}

static void every_allocation_may_fail_once_with_a_changed_value(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &value);
    value.bytes[value.len - 1] ^= 1;
    sweep();
}

static void every_allocation_may_fail_once_over_a_cluster(void **state)
{
    (void)state;
    value.len = 0;
    sweep();
}

int main(void)
{
#define T(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
    const struct CMUnitTest tests[] = {
        T(every_allocation_may_fail_once, setup),
        T(every_allocation_may_fail_once_with_a_changed_value, setup),
        T(every_allocation_may_fail_once_over_a_cluster, setup_cluster),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
