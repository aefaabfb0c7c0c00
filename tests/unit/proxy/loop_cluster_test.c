/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_sealed.h"
#include "proxy/loop_internal.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

/* Nodes of a Cluster that lie about who has what, or go. */

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

/* The newest link to that port that is not closed; connected and logged in. */
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

#define MAP_ALL "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:7000\r\n"
#define MAP_TWO                                                     \
    "*2\r\n*3\r\n:0\r\n:8191\r\n*2\r\n$9\r\n127.0.0.1\r\n:7000\r\n" \
    "*3\r\n:8192\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:7001\r\n"

/* Link number n is asked for the map. */
static void serve_map(struct proxy_peer *link, const char *map)
{
    aril_bytes args[4];
    assert_int_equal(proxy_command_is(link, "CLUSTER", args, COUNT(args)), 2);
    proxy_say(link, text_bytes(map));
}

static void a_moved_key_is_asked_for_where_it_is(void **state)
{
    (void)state;
    aril_bytes args[4];
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "GET", "k");
    serve_map(node(6380), MAP_ALL);
    struct proxy_peer *s = node(7000);
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    proxy_say(s, TEXT("-MOVED 1 127.0.0.1:7001\r\n"));
    s = node(7001);
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    proxy_say(s, TEXT("$-1\r\n"));
    proxy_heard_is(c, "$-1\r\n");
}

static void an_asked_key_is_asked_for_with_asking(void **state)
{
    (void)state;
    aril_bytes args[4];
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "GET", "k");
    serve_map(node(6380), MAP_ALL);
    proxy_say(node(7000), TEXT("-ASK 1 127.0.0.1:7001\r\n"));
    struct proxy_peer *s = node(7001);
    (void)proxy_command_is(s, "ASKING", args, COUNT(args));
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    proxy_say(s, TEXT("+OK\r\n$-1\r\n"));
    proxy_heard_is(c, "$-1\r\n");
}

static void nodes_that_send_a_command_in_circles_end_with_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = { "-MOVED 1 127.0.0.1:7001\r\n",
                                         "-MOVED 1 127.0.0.1:7000\r\n" };
    unsigned rounds = 0;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "GET", "k");
    serve_map(node(6380), MAP_ALL);
    while (c->heard_len == 0) {
        assert_true(++rounds < 20);
        proxy_say(node(rounds % 2 != 0 ? 7000 : 7001), text_bytes(texts[(rounds + 1) % 2]));
    }
    proxy_heard_begins(c, "-TRYAGAIN aril: the slot of this key has moved");
    assert_true(arili_figure(&p.proxy->figures.redirects) >= 8);
    ASKS(c, "PING");
    proxy_heard_is(c, "+PONG\r\n");
}

static void redirections_that_lead_nowhere_are_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "-MOVED\r\n",
        "-MOVED 1\r\n",
        "-MOVED 99999 127.0.0.1:1\r\n",
        "-MOVED 1 nowhere\r\n",
        "-MOVED 1 host:0\r\n",
        "-MOVED 1 host:65536\r\n",
        "-ASK 1 host:-1\r\n",
        "-MOVED x 127.0.0.1:1\r\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        proxy_peers_end(&p);
        proxy_peers_begin(&p);
        struct proxy_peer *c = proxy_accept(&p);
        ASKS(c, "GET", "k");
        serve_map(node(6380), MAP_ALL);
        const size_t links = p.link_count;
        proxy_say(node(7000), text_bytes(texts[i]));
        assert_int_equal(heard_answers(c, 1, false).kind, ARILI_RESP_ERROR);
        assert_int_equal(p.link_count, links);
    }
}

static void a_map_that_is_none_is_not_taken(void **state)
{
    (void)state;
    static const char *const maps[] = {
        "+OK\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\nh\r\n:7000\r\n",
        "*1\r\n*3\r\n:-1\r\n:5\r\n*2\r\n$1\r\nh\r\n:7000\r\n",
        "*1\r\n*3\r\n:5\r\n:4\r\n*2\r\n$1\r\nh\r\n:7000\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\nh\r\n:65536\r\n",
        "*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\nh\r\n:0\r\n",
        "-ERR no\r\n",
        "$4\r\nfake\r\n",
    };
    for (size_t i = 0; i < COUNT(maps); i++) {
        proxy_peers_end(&p);
        proxy_peers_begin(&p);
        struct proxy_peer *c = proxy_accept(&p);
        ASKS(c, "GET", "k");
        serve_map(node(6380), maps[i]);
        assert_false(p.loop->map_known);
        for (uint32_t s = 0; s < ARILI_RESP_SLOTS; s++) {
            assert_null(p.loop->slots[s]);
        }
        proxy_go(c);
    }
}

/* A client that does not read stops two links; when it has read, others can use both. */
static void a_link_that_was_held_back_is_read_from_by_whoever_has_it_next(void **state)
{
    (void)state;
    static char bulk[1060000 + 2];
    static const char head[] = "$1060000\r\n";
    memset(bulk, 'x', sizeof bulk);
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "TTL", "{0}k"); /* any slot: to know the map */
    serve_map(node(6380), MAP_TWO);
    const uint16_t first = p.links[p.link_count - 1].address.port;
    proxy_say(node(first), TEXT(":1\r\n"));
    proxy_heard_is(c, ":1\r\n");
    char other[16] = "{0}k"; /* a key of the other node */
    const size_t links = p.link_count;
    for (char d = '1'; p.link_count == links; d++) {
        other[1] = d;
        ASKS(c, "TTL", other);
        if (p.link_count == links) {
            proxy_say(node(first), TEXT(":1\r\n"));
        }
    }
    const uint16_t second = p.links[p.link_count - 1].address.port;
    proxy_say(node(second), TEXT(":1\r\n"));
    (void)proxy_heard(c);

    c->deaf = true;
    p.step = 200000; /* the last read brings the end of the answer and what is too much */
    ASKS(c, "TTL", "{0}k");
    ASKS(c, "TTL", other);
    proxy_say(node(first), text_bytes(head));
    bulk[sizeof bulk - 2] = '\r';
    bulk[sizeof bulk - 1] = '\n';
    proxy_say(node(first), (aril_bytes){ (const uint8_t *)bulk, sizeof bulk });
    assert_true(node(first)->peer->paused);
    proxy_say(node(second), TEXT(":1\r\n"));
    proxy_listen(c);
    assert_int_equal(proxy_heard(c).len, sizeof bulk + sizeof "$1060000\r\n:1\r\n" - 1);

    struct proxy_peer *d = proxy_accept(&p);
    ASKS(d, "TTL", "{0}k");
    proxy_say(node(first), TEXT(":2\r\n"));
    proxy_heard_is(d, ":2\r\n");
    ASKS(d, "TTL", other);
    proxy_say(node(second), TEXT(":2\r\n"));
    proxy_heard_is(d, ":2\r\n");
}

static void a_node_that_goes_answers_with_an_error(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "GET", "k");
    serve_map(node(6380), MAP_ALL);
    proxy_go(node(7000));
    assert_int_equal(heard_answers(c, 1, false).kind, ARILI_RESP_ERROR);
    ASKS(c, "PING");
    proxy_heard_is(c, "+PONG\r\n");
}

static void a_seed_that_goes_instead_of_the_map_holds_nobody_up(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "GET", "k");
    proxy_go(node(6380));
    assert_int_equal(heard_answers(c, 1, false).kind, ARILI_RESP_ERROR);
    ASKS(c, "PING");
    proxy_heard_is(c, "+PONG\r\n");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_moved_key_is_asked_for_where_it_is),
        T(an_asked_key_is_asked_for_with_asking),
        T(nodes_that_send_a_command_in_circles_end_with_an_error),
        T(redirections_that_lead_nowhere_are_an_error),
        T(a_map_that_is_none_is_not_taken),
        T(a_link_that_was_held_back_is_read_from_by_whoever_has_it_next),
        T(a_node_that_goes_answers_with_an_error),
        T(a_seed_that_goes_instead_of_the_map_holds_nobody_up),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
