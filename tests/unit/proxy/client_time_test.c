/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_config.h"
#include "proxy_peers.h"
#include "proxy/loop_internal.h"
#include "temp_folder.h"
#include <string.h>

/* Clients that send and read a byte now and then, so that they are never quiet: they have as long
 * as those that are. Time is what the test says it is. */

#define BIG 4000000u
#define CONFIG                                                                    \
    PROXY_CONFIG_TOP                                                              \
    "[upstream]\nserver = redis://127.0.0.1:6380\nanswer_timeout = 1 h\n"         \
    "[listen]\naddress = 127.0.0.1:6379\ntenant = alice\n"                        \
    "[listen]\naddress = unix:/run/arild.sock\nauth = peer\n" /* nobody's user */ \
    "[timeouts]\ncommand = 30 s\nwrite = 1 m\nlogin = 10 s\n"                     \
    "[limits]\nclient_out_max = 16 KiB\n"                                         \
    "[tenant alice]\n"

static struct proxy_peers p;
static uint8_t big[BIG];

static int setup(void **state)
{
    (void)state;
    proxy_peers_init(&p, proxy_config_parse(CONFIG));
    memset(big, 'x', sizeof big);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static void assert_slow(uint64_t count)
{
    assert_int_equal(arili_figure(&p.proxy->figures.slow_clients), count);
}

/* Says text byte by byte, one each second; how many seconds it was let. */
static unsigned drip(struct proxy_peer *c, const char *text)
{
    unsigned seconds = 0;
    for (; text[seconds] != '\0' && !proxy_is_closed(c); seconds++) {
        proxy_say(c, (aril_bytes){ (const uint8_t *)text + seconds, 1 });
        proxy_tick(&p, 1000);
    }
    return seconds;
}

static void a_command_byte_by_byte_has_the_time_of_one_command(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "*2\r\n$3\r\nGET\r\n$60\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "ECHO xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "*100000000000000000000000000000000000000000000000000000000000000000000000",
    };
    for (size_t i = 0; i < 2; i++) {
        struct proxy_peer *c = proxy_accept(&p);
        const unsigned seconds = drip(c, texts[i]);
        assert_in_range(seconds, 30, 35);
        assert_true(proxy_is_closed(c));
        assert_slow(i + 1);
    }
    struct proxy_peer *c = proxy_accept(&p);
    assert_in_range(drip(c, texts[2]), 1, 35); /* or an error before that */
    assert_true(proxy_is_closed(c));
}

static void each_command_has_its_own_time(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(drip(c, "*1\r\n$4\r\nPING"), 12);
        proxy_say(c, TEXT("\r\n*1\r\n")); /* the end of one, and the beginning of the next */
        assert_int_equal(drip(c, "$4\r\nPING\r\n"), 10);
        proxy_heard_is(c, "+PONG\r\n+PONG\r\n");
    }
    assert_slow(0);
}

static void whoever_is_nobody_cannot_stay_so_by_saying_something(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept_at(&p, 1);
    assert_in_range(drip(c, "AUTH alice xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), 9, 11);
    assert_true(proxy_is_closed(c));
    c = proxy_accept_at(&p, 1);
    unsigned seconds = 0;
    for (; seconds < 60 && !proxy_is_closed(c); seconds++) {
        proxy_say(c, TEXT("PING\r\n"));
        proxy_heard_begins(c, "-NOAUTH");
        proxy_tick(&p, 1000);
    }
    assert_in_range(seconds, 9, 11);
    c = proxy_accept_at(&p, 1);
    c->deaf = true;
    proxy_say(c, TEXT("PING\r\n"));
    proxy_tick(&p, 10500);
    assert_true(proxy_is_closed(c));
    assert_slow(3);
}

static void a_value_that_comes_over_a_slow_line_has_the_time_it_needs(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000000\r\n"));
    struct proxy_peer *s = proxy_link(&p, 0);
    for (size_t at = 0; at < BIG; at += 20000) { /* 200 seconds */
        proxy_say(c, (aril_bytes){ big + at, 20000 });
        proxy_tick(&p, 1000);
        assert_false(proxy_is_closed(c));
    }
    proxy_say(c, TEXT("\r\n"));
    proxy_say(s, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
    assert_slow(0);
}

static void a_value_that_drips_ends_with_its_link(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000000\r\n"));
    struct proxy_peer *s = proxy_link(&p, 0);
    unsigned seconds = 0;
    for (; seconds < 200 && !proxy_is_closed(c); seconds++) {
        proxy_say(c, (aril_bytes){ big + 1000 * seconds, 1000 });
        proxy_tick(&p, 1000);
    }
    assert_in_range(seconds, 30, 34);
    assert_true(proxy_is_closed(s));
    assert_slow(1);
}

/* The client waits for the server, and not the other way round. */
static void a_server_that_is_slow_costs_the_client_no_time(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000000\r\n"));
    struct proxy_peer *s = proxy_link(&p, 0);
    s->deaf = true;
    proxy_say(c, (aril_bytes){ big, BIG });
    assert_true(c->unsaid_at < c->unsaid_len);
    for (unsigned i = 0; i < 600; i++) {
        proxy_tick(&p, 1000);
        assert_false(proxy_is_closed(c));
    }
    proxy_listen(s);
    proxy_tick(&p, 1000);
    proxy_say(c, TEXT("\r\n"));
    proxy_say(s, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
    assert_slow(0);
}

/* The driver's write of n bytes of what is there for c. */
static void read_some(struct proxy_peer *c, size_t n)
{
    assert_true(c->peer->out.bytes >= n);
    arili_loop_wrote(c->peer, n);
}

static void ask_for_much(struct proxy_peer *c)
{
    c->deaf = true;
    proxy_say(c, TEXT("*2\r\n$4\r\nECHO\r\n$2000000\r\n"));
    for (size_t at = 0; at < 2000000; at += 100000) {
        proxy_say(c, (aril_bytes){ big, 100000 });
    }
    proxy_say(c, TEXT("\r\n"));
    assert_true(c->peer->out.bytes > 2000000);
}

static void an_answer_that_is_read_byte_by_byte_has_the_time_of_one(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    unsigned seconds = 0;
    ask_for_much(c);
    for (; seconds < 200 && !proxy_is_closed(c); seconds++) {
        read_some(c, 1);
        proxy_tick(&p, 1000);
    }
    assert_in_range(seconds, 59, 62);
    assert_slow(1);
}

/* The system's buffers take much at once, and then the client reads no more. */
static void who_was_quick_has_no_more_time_than_others(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    ask_for_much(c);
    read_some(c, 1000000);
    unsigned seconds = 0;
    for (; seconds < 200 && !proxy_is_closed(c); seconds++) {
        proxy_tick(&p, 1000);
    }
    assert_in_range(seconds, 59, 62);
    c = proxy_accept(&p);
    proxy_say(c, TEXT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000000\r\n"));
    (void)proxy_link(&p, 0);
    proxy_say(c, (aril_bytes){ big, 1000000 });
    for (seconds = 0; seconds < 200 && !proxy_is_closed(c); seconds++) {
        proxy_tick(&p, 1000);
    }
    assert_in_range(seconds, 29, 32);
    assert_slow(2);
}

static void an_answer_that_is_read_over_a_slow_line_has_the_time_it_needs(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    ask_for_much(c);
    while (c->peer->out.bytes >= 20000) {
        read_some(c, 20000);
        proxy_tick(&p, 1000);
        assert_false(proxy_is_closed(c));
    }
    proxy_listen(c);
    assert_slow(0);
}

/* What was begun while its answers were not read had no time yet. */
static void a_reader_that_catches_up_is_not_late_with_what_it_says(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    ask_for_much(c);
    proxy_say(c, TEXT("*1\r\n$4\r\nPI"));
    while (c->peer->out.bytes >= 20000) {
        read_some(c, 20000);
        proxy_tick(&p, 1000);
    }
    proxy_listen(c);
    proxy_tick(&p, 1000);
    assert_false(proxy_is_closed(c));
    (void)proxy_heard(c);
    proxy_say(c, TEXT("NG\r\n"));
    proxy_heard_is(c, "+PONG\r\n");
    assert_slow(0);
}

static void nothing_is_kept_for_clients_that_say_nothing(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("PING\r\n"));
    proxy_tick(&p, 100);
    proxy_tick(&p, 100);
    const uint64_t idle = atomic_load(&p.proxy->budget.used);
    assert_true(idle < 1024); /* room for a few arguments */
    proxy_say(c, TEXT("PING\r\nPI"));
    proxy_tick(&p, 100);
    proxy_tick(&p, 100);
    assert_int_equal(atomic_load(&p.proxy->budget.used), idle + ARILI_BLOCK_BYTES); /* of "PI" */
    proxy_say(c, TEXT("NG\r\n"));
    proxy_heard_is(c, "+PONG\r\n+PONG\r\n+PONG\r\n");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_command_byte_by_byte_has_the_time_of_one_command),
        T(each_command_has_its_own_time),
        T(whoever_is_nobody_cannot_stay_so_by_saying_something),
        T(a_value_that_comes_over_a_slow_line_has_the_time_it_needs),
        T(a_value_that_drips_ends_with_its_link),
        T(a_server_that_is_slow_costs_the_client_no_time),
        T(an_answer_that_is_read_byte_by_byte_has_the_time_of_one),
        T(who_was_quick_has_no_more_time_than_others),
        T(an_answer_that_is_read_over_a_slow_line_has_the_time_it_needs),
        T(a_reader_that_catches_up_is_not_late_with_what_it_says),
        T(nothing_is_kept_for_clients_that_say_nothing),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
