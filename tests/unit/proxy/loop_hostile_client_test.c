/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_peers.h"
#include "proxy/loop_internal.h"
#include "temp_folder.h"
#include <string.h>

/* Clients that speak no RESP, or not to the end: one connection ends, with an error, and the rest
 * does not notice. */

static struct proxy_peers p;

static int setup(void **state)
{
    (void)state;
    proxy_peers_init(&p, proxy_peers_config());
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static const struct {
    const char *text;
    const char *error;
} malformed[] = {
    { "*1000000000000000000\r\n", "-ERR Protocol error: more than the limits" },
    { "*99999999999999999999999\r\n", "-ERR Protocol error: this is not RESP" },
    { "*-5\r\n", "-ERR Protocol error" },
    { "*1\r\n$1000000000000000000\r\n", "-ERR Protocol error: more than the limits" },
    { "*1\r\n$-1\r\n", "-ERR Protocol error" },
    { "*1\r\n$-7\r\n", "-ERR Protocol error" },
    { "*1\r\n:1\r\n", "-ERR Protocol error" },
    { "*1\r\n*1\r\n$4\r\nPING\r\n", "-ERR Protocol error" },
    { "*1\r\n$4\r\nPINGxx", "-ERR Protocol error" },
    { "*1\r\n$4\nPING\r\n", "-ERR Protocol error" },
    { "*1\r\n$+4\r\nPING\r\n", "-ERR Protocol error" },
    { "*01\r\n$4\r\nPING\r\n", "-ERR Protocol error" },
    { "%1\r\n$4\r\nPING\r\n$1\r\nx\r\n", "-ERR Protocol error" },
    { "~1\r\n$4\r\nPING\r\n", "-ERR Protocol error" },
    { ">1\r\n$4\r\nPING\r\n", "-ERR Protocol error" },
    { "+PING\r\n", "-ERR Protocol error" },
    { "_\r\n", "-ERR Protocol error" },
    { "$4\r\nPING\r\n", "-ERR Protocol error" },
    { "PING \"unfinished\r\n", "-ERR Protocol error" },
};

static void malformed_input_ends_that_one_connection_with_an_error(void **state)
{
    (void)state;
    for (size_t step = 0; step < 3; step++) {
        for (size_t i = 0; i < COUNT(malformed); i++) {
            proxy_peers_end(&p);
            proxy_peers_begin(&p);
            p.step = step;
            struct proxy_peer *other = proxy_accept(&p);
            struct proxy_peer *c = proxy_accept(&p);
            proxy_say(c, text_bytes(malformed[i].text));
            proxy_heard_begins(c, malformed[i].error);
            assert_true(proxy_is_closed(c));
            proxy_say(other, TEXT("PING\r\n"));
            proxy_heard_is(other, "+PONG\r\n");
        }
    }
}

static void numbers_of_a_client_allocate_nothing(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("PING\r\n"));
    const uint64_t before = atomic_load(&p.proxy->budget.used);
    proxy_say(c, TEXT("*1000000\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n"));
    assert_false(proxy_is_closed(c));
    assert_true(atomic_load(&p.proxy->budget.used) - before <= ARILI_BLOCK_BIG_BYTES);
}

/* The error must come after the answers that are owed, and then the connection must close. */
static void garbage_behind_a_command_is_answered_in_order_and_closes(void **state)
{
    (void)state;
    aril_bytes args[4];
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("GET k\r\n*-5\r\n"));
    struct proxy_peer *s = proxy_link(&p, 0);
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    proxy_heard_is(c, "");
    assert_false(proxy_is_closed(c));
    proxy_say(s, TEXT("$-1\r\n"));
    proxy_heard_begins(c, "$-1\r\n-ERR Protocol error");
    assert_true(proxy_is_closed(c));
}

static void what_follows_garbage_is_not_run(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    c->deaf = true;
    proxy_say(c, TEXT("*-5\r\nDEL k\r\n"));
    proxy_say(c, TEXT("DEL k\r\n"));
    assert_int_equal(p.link_count, 0);
    proxy_listen(c);
    proxy_heard_begins(c, "-ERR Protocol error");
    assert_true(proxy_is_closed(c));
}

static void a_client_that_goes_in_mid_command_leaves_nothing(void **state)
{
    (void)state;
    static const char command[] = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n";
    for (size_t cut = 0; cut < sizeof command; cut++) {
        proxy_peers_end(&p);
        proxy_peers_begin(&p);
        struct proxy_peer *c = proxy_accept(&p);
        proxy_say(c, (aril_bytes){ (const uint8_t *)command, cut });
        assert_int_equal(p.link_count, cut == sizeof command - 1 ? 1 : 0);
        proxy_go(c);
        assert_true(proxy_is_closed(c));
    }
}

static void a_command_byte_by_byte_is_that_command(void **state)
{
    (void)state;
    aril_bytes args[4];
    p.step = 1;
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n"));
    struct proxy_peer *s = proxy_link(&p, 0);
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    proxy_say(s, TEXT("$-1\r\n"));
    proxy_heard_is(c, "$-1\r\n+PONG\r\n");
}

/* A stream's client goes while half of its value is with the server. */
static void a_half_streamed_value_takes_its_link_with_it(void **state)
{
    (void)state;
    static uint8_t half[100000];
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200000\r\n"));
    struct proxy_peer *s = proxy_link(&p, 0);
    proxy_say(c, (aril_bytes){ half, sizeof half });
    assert_true(proxy_heard(s).len >= sizeof half / 2);
    proxy_go(c);
    assert_true(proxy_is_closed(s));
}

/* The end of a streamed value is not where its length says. */
static void a_streamed_value_without_its_end_closes_both_ends(void **state)
{
    (void)state;
    static uint8_t value[200002];
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$200000\r\n"));
    struct proxy_peer *s = proxy_link(&p, 0);
    proxy_say(c, (aril_bytes){ value, sizeof value });
    assert_true(proxy_is_closed(s));
    proxy_heard_begins(c, "-ERR aril: the connection to the server was lost\r\n-ERR Protocol");
    assert_true(proxy_is_closed(c));
}

static void a_client_too_slow_with_a_command_is_closed(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("*2\r\n$3\r\nGET\r\n"));
    proxy_tick(&p, 29000);
    assert_false(proxy_is_closed(c));
    proxy_tick(&p, 2000);
    assert_true(proxy_is_closed(c));
    assert_int_equal(arili_figure(&p.proxy->figures.slow_clients), 1);
}

static void a_client_that_does_not_read_is_closed(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    c->deaf = true;
    proxy_say(c, TEXT("PING\r\n"));
    proxy_tick(&p, 59000);
    assert_false(proxy_is_closed(c));
    proxy_tick(&p, 2000);
    assert_true(proxy_is_closed(c));
}

/* Whoever does not read answers is not read from for ever. */
static void a_deaf_client_is_not_read_from_beyond_its_share(void **state)
{
    (void)state;
    static char echo[70000];
    struct proxy_peer *c = proxy_accept(&p);
    c->deaf = true;
    memset(echo, 'x', sizeof echo);
    for (unsigned i = 0; i < 64; i++) {
        proxy_say(c, TEXT("*2\r\n$4\r\nECHO\r\n$65000\r\n"));
        proxy_say(c, (aril_bytes){ (const uint8_t *)echo, 65000 });
        proxy_say(c, TEXT("\r\n"));
    }
    assert_true(c->unsaid_at < c->unsaid_len);
    assert_true(c->peer->out.bytes < (UINT64_C(1) << 20) + 2 * 65536);
    proxy_listen(c);
    assert_int_equal(c->unsaid_at, c->unsaid_len);
    assert_int_equal(proxy_heard(c).len, 64 * (65000 + sizeof "$65000\r\n\r\n" - 1));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(malformed_input_ends_that_one_connection_with_an_error),
        T(numbers_of_a_client_allocate_nothing),
        T(garbage_behind_a_command_is_answered_in_order_and_closes),
        T(what_follows_garbage_is_not_run),
        T(a_client_that_goes_in_mid_command_leaves_nothing),
        T(a_command_byte_by_byte_is_that_command),
        T(a_half_streamed_value_takes_its_link_with_it),
        T(a_streamed_value_without_its_end_closes_both_ends),
        T(a_client_too_slow_with_a_command_is_closed),
        T(a_client_that_does_not_read_is_closed),
        T(a_deaf_client_is_not_read_from_beyond_its_share),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
