/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_sealed.h"
#include "proxy/loop_internal.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

/* Nodes of a Cluster that send a command elsewhere at the worst moment: what is sent again must not
 * land inside a value, a transaction, or behind a watch that is with another link. */

static struct proxy_peers p;

static int setup(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    config->upstream.cluster = true;
    proxy_peers_init(&p, config);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static struct proxy_peer *node(uint16_t port)
{
    for (size_t i = p.link_count; i > 0; i--) {
        if (p.links[i - 1].address.port == port && !proxy_is_closed(&p.links[i - 1])) {
            return proxy_link(&p, i - 1);
        }
    }
    fail_msg("no link to %u", port);
    return NULL;
}

/* c has asked something of which the map must be known: all is with 7000. */
static struct proxy_peer *serve_map(void)
{
    aril_bytes args[4];
    struct proxy_peer *seed = node(6380);
    (void)proxy_command_is(seed, "CLUSTER", args, COUNT(args));
    proxy_say(seed, TEXT("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:7000\r\n"));
    return node(7000);
}

/* c's GET, which 7000 was asked, is with 7001 now; the link to 7000 owes nothing. */
static struct proxy_peer *get_at_7001(struct proxy_peer *c, struct proxy_peer **ret_first)
{
    aril_bytes args[4];
    ASKS(c, "GET", "k");
    *ret_first = serve_map();
    (void)proxy_command_is(*ret_first, "GET", args, COUNT(args));
    proxy_say(*ret_first, TEXT("-ASK 1 127.0.0.1:7001\r\n"));
    struct proxy_peer *second = node(7001);
    (void)proxy_command_is(second, "ASKING", args, COUNT(args));
    (void)proxy_command_is(second, "GET", args, COUNT(args));
    return second;
}

static bool holds(aril_bytes text, const char *word)
{
    const size_t len = strlen(word);
    for (size_t i = 0; i + len <= text.len; i++) {
        if (memcmp(text.data + i, word, len) == 0) {
            return true;
        }
    }
    return false;
}

static void nothing_is_sent_again_into_the_middle_of_a_value(void **state)
{
    (void)state;
    static uint8_t value[200000];
    struct proxy_peer *c = proxy_accept(&p);
    struct proxy_peer *first = NULL;
    struct proxy_peer *second = get_at_7001(c, &first);
    proxy_say(c, TEXT("*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$200000\r\n"));
    proxy_say(c, (aril_bytes){ value, sizeof value / 2 });
    assert_true(proxy_heard(first).len > sizeof value / 4);
    proxy_say(second, TEXT("+OK\r\n-MOVED 1 127.0.0.1:7000\r\n"));
    proxy_heard_begins(c, "-TRYAGAIN aril");
    proxy_say(c, (aril_bytes){ value, sizeof value / 2 });
    proxy_say(c, TEXT("\r\n"));
    assert_false(holds(proxy_heard(first), "GET\r\n"));
    proxy_say(first, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
}

static void nothing_is_sent_again_into_a_transaction(void **state)
{
    (void)state;
    aril_bytes args[4];
    size_t count = 0;
    struct proxy_peer *c = proxy_accept(&p);
    struct proxy_peer *first = NULL;
    struct proxy_peer *second = get_at_7001(c, &first);
    proxy_say(c, TEXT("MULTI\r\nTTL v\r\n"));
    (void)proxy_command_is(first, "MULTI", args, COUNT(args));
    (void)proxy_command_is(first, "TTL", args, COUNT(args));
    proxy_say(second, TEXT("+OK\r\n-MOVED 1 127.0.0.1:7000\r\n"));
    assert_false(proxy_command(first, args, COUNT(args), &count));
    proxy_say(first, TEXT("+OK\r\n+QUEUED\r\n"));
    ASKS(c, "EXEC");
    proxy_say(first, TEXT("*1\r\n:-2\r\n"));
    proxy_heard_begins(c, "-TRYAGAIN aril");
}

/* A link that watches is its client's alone, wherever the WATCH was sent in the end: else another
 * client got it, and the transaction ran where nothing is watched. */
static void a_watch_that_moves_takes_its_hold_with_it(void **state)
{
    (void)state;
    aril_bytes args[4];
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "WATCH", "k");
    struct proxy_peer *first = serve_map();
    (void)proxy_command_is(first, "WATCH", args, COUNT(args));
    proxy_say(first, TEXT("-MOVED 1 127.0.0.1:7001\r\n"));
    struct proxy_peer *second = node(7001);
    (void)proxy_command_is(second, "WATCH", args, COUNT(args));
    proxy_say(second, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
    assert_true(((const struct arili_link *)(const void *)second->peer)->sticky);
    proxy_go(c);
    assert_true(proxy_is_closed(second));
}

/* As one piece, with its end: then it is answered when it was opened. */
static void say_at_once(struct proxy_peer *link, const struct sealed *v)
{
    uint8_t answer[sizeof v->bytes + 32];
    const int n = snprintf((char *)answer, 32, "$%zu\r\n", v->len);
    memcpy(answer + n, v->bytes, v->len);
    memcpy(answer + (size_t)n + v->len, "\r\n", 2);
    proxy_say(link, (aril_bytes){ answer, (size_t)n + v->len + 2 });
}

/* Two values of one client wait for the same key with two nodes: when it is there both are opened,
 * before either node has said that its answer is whole. */
static void values_that_waited_for_one_key_are_answered_in_order(void **state)
{
    (void)state;
    aril_bytes args[8];
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "SET", "k", "the plaintext");
    struct proxy_peer *first = serve_map();
    assert_int_equal(proxy_command_is(first, "SET", args, COUNT(args)), 3);
    struct sealed v = { .len = args[2].len };
    memcpy(v.bytes, args[2].data, v.len);
    proxy_say(first, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
    struct arili_value_header h;
    assert_true(arili_value_peek(v.bytes, &h));
    memset(h.key_id, 0x5a, sizeof h.key_id); /* a key that nobody has seen */
    arili_value_write(&h, v.bytes);
    p.tasks_wait = true;
    ASKS(c, "GET", "k");
    proxy_say(first, TEXT("-ASK 1 127.0.0.1:7001\r\n"));
    struct proxy_peer *second = node(7001);
    ASKS(c, "GET", "k");
    proxy_say(second, TEXT("+OK\r\n"));
    say_at_once(second, &v);
    say_at_once(first, &v);
    proxy_heard_is(c, "");
    proxy_work(&p);
    proxy_heard_is(c, "$-1\r\n$-1\r\n");
    ASKS(c, "PING");
    proxy_heard_is(c, "+PONG\r\n");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(nothing_is_sent_again_into_the_middle_of_a_value),
        T(nothing_is_sent_again_into_a_transaction),
        T(a_watch_that_moves_takes_its_hold_with_it),
        T(values_that_waited_for_one_key_are_answered_in_order),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
