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
        for (uint32_t s = 0; s < ARILI_RESP_SLOTS; s++) {
            assert_null(p.loop->slots[s]);
        }
        proxy_go(c);
    }
}

/* What is watched is with one server: it alone can say whether it changed. */
static void keys_of_two_servers_are_not_watched_together(void **state)
{
    (void)state;
    aril_bytes args[4];
    size_t count = 0;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "WATCH", "0");
    serve_map(node(6380), MAP_TWO);
    const uint16_t port = p.links[p.link_count - 1].address.port;
    for (unsigned i = 1; i < 64; i++) { /* one in two has its name with the other server */
        const char key[] = { (char)('0' + i), '\0' };
        if (!proxy_command(node(port), args, COUNT(args), &count)) {
            proxy_heard_begins(c, "-CROSSSLOT aril: ");
            return;
        }
        proxy_say(node(port), TEXT("+OK\r\n"));
        proxy_heard_is(c, "+OK\r\n");
        ASKS(c, "WATCH", key);
    }
    fail_msg("all keys were watched");
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

/* The link that heard this and did not answer yet: which one is asked for the map is its affair. */
static struct proxy_peer *who_heard(const char *word)
{
    for (size_t i = 0; i < p.link_count; i++) {
        struct proxy_peer *link = proxy_is_closed(&p.links[i]) ? NULL : proxy_link(&p, i);
        const size_t len = strlen(word);
        for (size_t at = link != NULL ? link->heard_at : 0;
             link != NULL && at + len <= link->heard_len; at++) {
            if (memcmp(link->heard + at, word, len) == 0) {
                return link;
            }
        }
    }
    fail_msg("nobody heard %s", word);
    return NULL;
}

/* --- Order ---------------------------------------------------------------------------------- */

/* A client whose map says that all is with 7000. */
static struct proxy_peer *client_with_map(void)
{
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "TTL", "k");
    serve_map(node(6380), MAP_ALL);
    aril_bytes args[4];
    (void)proxy_command_is(node(7000), "TTL", args, COUNT(args));
    proxy_say(node(7000), TEXT(":1\r\n"));
    proxy_heard_is(c, ":1\r\n");
    return c;
}

static void a_command_does_not_overtake_one_that_is_sent_elsewhere(void **state)
{
    (void)state;
    aril_bytes args[4];
    char moved[64];
    size_t n = 0;
    struct proxy_peer *c = client_with_map();
    struct proxy_peer *old = node(7000);
    ASKS(c, "TTL", "k");
    ASKS(c, "PTTL", "k");
    (void)proxy_command_is(old, "TTL", args, COUNT(args));
    (void)snprintf(moved, sizeof moved, "-MOVED %u 127.0.0.1:7001\r\n", arili_resp_slot(args[1]));
    (void)proxy_command_is(old, "PTTL", args, COUNT(args));
    proxy_say(old, text_bytes(moved));
    ASKS(c, "TYPE", "k"); /* of which the map says 7001 now; PTTL is still on its way there */
    struct proxy_peer *now = node(7001);
    (void)proxy_command_is(now, "TTL", args, COUNT(args));
    proxy_say(now, TEXT(":7\r\n"));
    proxy_say(old, text_bytes(moved));
    (void)proxy_command_is(now, "PTTL", args, COUNT(args));
    assert_false(proxy_command(now, args, COUNT(args), &n)); /* TYPE waits for it */
    proxy_say(now, TEXT(":8\r\n"));
    proxy_heard_is(c, ":7\r\n:8\r\n");
    (void)proxy_command_is(who_heard("TYPE"), "TYPE", args, COUNT(args));
    assert_false(proxy_command(old, args, COUNT(args), &n));
}

static void a_command_is_not_sent_on_behind_a_later_place_of_an_earlier_one(void **state)
{
    (void)state;
    struct proxy_peer *c = client_with_map();
    struct proxy_peer *old = node(7000);
    ASKS(c, "TTL", "k");
    ASKS(c, "PTTL", "k");
    proxy_say(old, TEXT("-MOVED 1 127.0.0.1:7001\r\n")); /* TTL is with 7001 */
    struct proxy_peer *now = node(7001);
    proxy_say(old, TEXT("-MOVED 1 127.0.0.1:7002\r\n")); /* where TTL may still have to go */
    proxy_say(now, TEXT(":7\r\n"));
    proxy_heard_is(c, ":7\r\n-TRYAGAIN aril: the slot of this key has moved; try again\r\n");
}

static void nothing_is_sent_into_a_value_that_is_streamed(void **state)
{
    (void)state;
    static char value[70000];
    struct proxy_peer *c = client_with_map();
    struct proxy_peer *other = proxy_accept(&p);
    ASKS(c, "TTL", "k");
    struct proxy_peer *old = node(7000);
    proxy_say(c, TEXT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$70000\r\n")); /* to 7000, too */
    assert_true(p.loop->slots[0] != NULL);
    /* A loop to itself: the value is on its way there. */
    proxy_say(old, TEXT("-MOVED 1 127.0.0.1:7000\r\n"));
    memset(value, 'v', sizeof value);
    proxy_say(c, (aril_bytes){ (const uint8_t *)value, sizeof value });
    proxy_say(c, TEXT("\r\n"));
    aril_bytes args[4];
    (void)proxy_command_is(old, "TTL", args, COUNT(args));
    assert_int_equal(proxy_command_is(old, "SET", args, COUNT(args)), 3);
    proxy_say(old, TEXT("+OK\r\n"));
    proxy_heard_is(c, "-TRYAGAIN aril: the slot of this key has moved; try again\r\n+OK\r\n");
    proxy_go(other);
}

/* --- Transactions --------------------------------------------------------------------------- */

static void nothing_is_sent_into_a_transaction(void **state)
{
    (void)state;
    aril_bytes args[4];
    struct proxy_peer *c = client_with_map();
    ASKS(c, "TTL", "k");
    ASKS(c, "MULTI");
    ASKS(c, "TTL", "k");
    struct proxy_peer *s = node(7000);
    proxy_say(s, TEXT("-MOVED 1 127.0.0.1:7000\r\n"));
    (void)proxy_command_is(s, "TTL", args, COUNT(args));
    (void)proxy_command_is(s, "MULTI", args, COUNT(args));
    (void)proxy_command_is(s, "TTL", args, COUNT(args));
    size_t n = 0;
    assert_false(proxy_command(s, args, COUNT(args), &n));
    proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n"));
    proxy_heard_is(c, "-TRYAGAIN aril: the slot of this key has moved; try again\r\n+OK\r\n"
                      "+QUEUED\r\n");
}

static void a_transaction_that_has_moved_is_said_so_without_the_place(void **state)
{
    (void)state;
    struct proxy_peer *c = client_with_map();
    ASKS(c, "MULTI");
    ASKS(c, "TTL", "k");
    ASKS(c, "EXEC");
    proxy_say(node(7000), TEXT("+OK\r\n+QUEUED\r\n-MOVED 1 127.0.0.1:7001\r\n"));
    proxy_heard_is(c, "+OK\r\n+QUEUED\r\n-TRYAGAIN aril: the slot of this key has moved; try "
                      "again\r\n");
}

static void what_is_watched_moves_with_its_slot(void **state)
{
    (void)state;
    aril_bytes args[4];
    struct proxy_peer *c = client_with_map();
    ASKS(c, "WATCH", "k");
    proxy_say(node(7000), TEXT("-MOVED 1 127.0.0.1:7001\r\n"));
    struct proxy_peer *s = node(7001);
    (void)proxy_command_is(s, "WATCH", args, COUNT(args));
    proxy_say(s, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
    ASKS(c, "MULTI");
    ASKS(c, "PING"); /* goes where it is watched */
    ASKS(c, "EXEC");
    (void)proxy_command_is(s, "MULTI", args, COUNT(args));
    (void)proxy_command_is(s, "PING", args, COUNT(args));
    (void)proxy_command_is(s, "EXEC", args, COUNT(args));
    proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n*-1\r\n"));
    proxy_heard_is(c, "+OK\r\n+QUEUED\r\n*-1\r\n");
}

static void a_watch_whose_slot_is_on_its_way_fails_and_leaves_nothing(void **state)
{
    (void)state;
    aril_bytes args[4];
    struct proxy_peer *c = client_with_map();
    ASKS(c, "WATCH", "k");
    proxy_say(node(7000), TEXT("-ASK 1 127.0.0.1:7001\r\n"));
    proxy_heard_begins(c, "-TRYAGAIN ");
    ASKS(c, "MULTI");
    ASKS(c, "EXEC"); /* nothing is watched: no server is asked */
    proxy_heard_is(c, "+OK\r\n*0\r\n");
    size_t n = 0;
    (void)proxy_command_is(node(7000), "WATCH", args, COUNT(args));
    assert_false(proxy_command(node(7000), args, COUNT(args), &n));
}

/* --- Jobs ----------------------------------------------------------------------------------- */

static void a_time_to_live_is_extended_where_the_key_is(void **state)
{
    (void)state;
    aril_bytes args[8];
    struct proxy_peer *c = client_with_map();
    ASKS(c, "EXPIRE", "k", "100");
    struct proxy_peer *old = node(7000);
    proxy_say(old, TEXT("-ASK 1 127.0.0.1:7001\r\n-ASK 1 127.0.0.1:7001\r\n"));
    struct proxy_peer *s = node(7001);
    static const char *const words[] = { "ASKING", "WATCH", "ASKING", "GETRANGE" };
    for (size_t i = 0; i < COUNT(words); i++) {
        (void)proxy_command_is(s, words[i], args, COUNT(args));
    }
    proxy_say(s, TEXT("+OK\r\n+OK\r\n+OK\r\n$0\r\n\r\n"));
    static const char *const more[] = { "ASKING", "MULTI", "expire", "EXEC" };
    for (size_t i = 0; i < COUNT(more); i++) {
        (void)proxy_command_is(s, more[i], args, COUNT(args));
    }
    /* Half way it has moved on: all of it again. */
    proxy_say(s, TEXT("+OK\r\n+OK\r\n-MOVED 1 127.0.0.1:7002\r\n-EXECABORT no\r\n"));
    proxy_say(node(7000), TEXT("+OK\r\n$0\r\n\r\n+OK\r\n+QUEUED\r\n*1\r\n:0\r\n"));
    proxy_heard_is(c, ":0\r\n");
}

/* --- Nodes and maps ------------------------------------------------------------------------- */

static void a_node_that_knows_of_nobody_is_not_believed(void **state)
{
    (void)state;
    struct proxy_peer *c = client_with_map();
    ASKS(c, "TTL", "k");
    proxy_say(node(7000), TEXT("-MOVED 1 127.0.0.1:7001\r\n"));
    serve_map(who_heard("SLOTS"), "*0\r\n");
    assert_false(p.loop->map_loading);
    for (uint32_t s = 0; s < ARILI_RESP_SLOTS; s++) {
        assert_non_null(p.loop->slots[s]);
    }
}

static void nodes_that_come_and_go_are_forgotten(void **state)
{
    (void)state;
    char map[128];
    struct proxy_peer *c = client_with_map();
    for (unsigned i = 0; i < 20; i++) {
        const unsigned was = 7000 + i;
        char text[64];
        ASKS(c, "TTL", "k");
        (void)snprintf(text, sizeof text, "-MOVED 1 127.0.0.1:%u\r\n", was + 1);
        proxy_say(who_heard("TTL"), text_bytes(text));
        proxy_say(node((uint16_t)(was + 1)), TEXT(":1\r\n"));
        (void)proxy_heard(c);
        (void)snprintf(map, sizeof map,
                       "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:%u\r\n", was + 1);
        struct proxy_peer *asked = who_heard("SLOTS");
        aril_bytes args[4];
        size_t n = 0;
        do { /* it may have had TTL before */
            assert_true(proxy_command(asked, args, COUNT(args), &n));
        } while (args[0].len != 7);
        proxy_say(asked, text_bytes(map));
        proxy_tick(&p, 200);
        proxy_tick(&p, 200);
        assert_in_range(p.loop->node_count, 1, 3);
    }
    for (const struct arili_node *n = p.loop->nodes; n != NULL; n = n->next) {
        assert_in_range(n->index, 0, 2);
    }
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
        T(a_command_does_not_overtake_one_that_is_sent_elsewhere),
        T(a_command_is_not_sent_on_behind_a_later_place_of_an_earlier_one),
        T(nothing_is_sent_into_a_value_that_is_streamed),
        T(nothing_is_sent_into_a_transaction),
        T(a_transaction_that_has_moved_is_said_so_without_the_place),
        T(what_is_watched_moves_with_its_slot),
        T(a_watch_whose_slot_is_on_its_way_fails_and_leaves_nothing),
        T(a_time_to_live_is_extended_where_the_key_is),
        T(a_node_that_knows_of_nobody_is_not_believed),
        T(nodes_that_come_and_go_are_forgotten),
        T(keys_of_two_servers_are_not_watched_together),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
