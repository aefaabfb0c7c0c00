/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"
#include "proxy_sealed.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

/* Values that are sealed again so that they may live longer, and those that cannot be: GETEX,
 * EXPIRE and PERSIST treat them as GET does. */

static struct proxy_peers p;

static int setup_policy(enum arili_on_tamper on_tamper)
{
    struct arili_proxy_config *config = proxy_peers_config();
    config->policies[0].on_tamper = on_tamper;
    proxy_peers_init(&p, config);
    return 0;
}
static int setup(void **state)
{
    (void)state;
    return setup_policy(ARILI_TAMPER_NIL);
}
static int setup_quarantine(void **state)
{
    (void)state;
    return setup_policy(ARILI_TAMPER_QUARANTINE);
}
static int setup_error(void **state)
{
    (void)state;
    return setup_policy(ARILI_TAMPER_ERROR);
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

/* What each says of a key that is not there. The first four read the header first. */
static const struct {
    const char *words[4];
    const char *missing;
    bool reads_head;
} commands[] = {
    { { "EXPIRE", "k", "99999" }, ":0\r\n", true },
    { { "PEXPIRE", "k", "99999999" }, ":0\r\n", true },
    { { "EXPIREAT", "k", "4000000000" }, ":0\r\n", true },
    { { "PERSIST", "k" }, ":0\r\n", true },
    { { "GETEX", "k", "EX", "99999" }, "$-1\r\n", false },
    { { "GETEX", "k", "PERSIST" }, "$-1\r\n", false },
};

static void restart(void)
{
    proxy_peers_end(&p);
    proxy_peers_begin(&p);
    world_forget(&p.w);
    fake_clock_add_s(&p.w.clock, 20); /* of each kind, one event a second is told */
}

static struct proxy_peer *newest(void)
{
    return proxy_link(&p, p.link_count - 1);
}

/* A value that ends in 100 seconds, as the server has it. */
static void put(struct proxy_peer *c, struct sealed *ret)
{
    aril_bytes args[8];
    ASKS(c, "SETEX", "k", "100", "the plaintext");
    struct proxy_peer *s = newest();
    assert_int_equal(proxy_command_is(s, "SETEX", args, COUNT(args)), 4);
    memcpy(ret->bytes, args[3].data, args[3].len);
    ret->len = args[3].len;
    proxy_say(s, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
}

static void ask(struct proxy_peer *c, size_t i)
{
    size_t count = 0;
    while (count < COUNT(commands[i].words) && commands[i].words[count] != NULL) {
        count++;
    }
    client_asks(c, commands[i].words, count);
}

/* The server has v, or nothing. */
static void serve_read(size_t i, struct proxy_peer *s, const struct sealed *v)
{
    aril_bytes args[8];
    struct sealed head = { .len = sealed_head(v).len };
    memcpy(head.bytes, v->bytes, head.len);
    (void)proxy_command_is(s, "WATCH", args, COUNT(args));
    proxy_say(s, TEXT("+OK\r\n"));
    if (commands[i].reads_head) {
        (void)proxy_command_is(s, "GETRANGE", args, COUNT(args));
        sealed_say(s, &head);
    }
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    sealed_say(s, v);
}

/* --- That can ------------------------------------------------------------------------------- */

static void a_value_is_sealed_again_until_nobody_was_quicker(void **state)
{
    (void)state;
    aril_bytes args[8];
    for (size_t i = 0; i < COUNT(commands); i++) {
        struct sealed v;
        restart();
        struct proxy_peer *c = proxy_accept(&p);
        put(c, &v);
        ask(c, i);
        ASKS(c, "PING");
        struct proxy_peer *s = newest();
        for (unsigned round = 0; round < 3; round++) {
            serve_read(i, s, &v);
            (void)proxy_command_is(s, "MULTI", args, COUNT(args));
            assert_int_equal(proxy_command_is(s, "SET", args, COUNT(args)), 4);
            assert_int_equal(args[2].len, v.len);
            assert_memory_not_equal(args[2].data, v.bytes, v.len);
            size_t count = 0;
            assert_true(proxy_command(s, args, COUNT(args), &count)); /* EXPIRE or its kin */
            (void)proxy_command_is(s, "EXEC", args, COUNT(args));
            proxy_heard_is(c, "");
            proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n+QUEUED\r\n"));
            proxy_say(s, round < 2 ? TEXT("*-1\r\n") : TEXT("*2\r\n+OK\r\n:1\r\n"));
        }
        proxy_heard_is(c, commands[i].reads_head ? ":1\r\n+PONG\r\n"
                                                 : "$13\r\nthe plaintext\r\n+PONG\r\n");
        assert_int_equal(sealed_tampered(&p), 0);
    }
}

static void what_is_not_there_is_neither_counted_nor_removed(void **state)
{
    (void)state;
    aril_bytes args[8];
    for (size_t i = 0; i < COUNT(commands); i++) {
        restart();
        struct proxy_peer *c = proxy_accept(&p);
        ask(c, i);
        struct proxy_peer *s = newest();
        (void)proxy_command_is(s, "WATCH", args, COUNT(args));
        if (commands[i].reads_head) {
            proxy_say(s, TEXT("+OK\r\n$0\r\n\r\n"));
            proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n*1\r\n:0\r\n"));
        } else {
            proxy_say(s, TEXT("+OK\r\n$-1\r\n"));
        }
        proxy_heard_is(c, commands[i].missing);
        assert_int_equal(sealed_tampered(&p), 0);
    }
}

/* --- That cannot ---------------------------------------------------------------------------- */

/* Its last tag, another value's header, a piece of it, and what never was one. */
static void spoil(unsigned way, struct sealed *v)
{
    switch (way) {
    case 0:
        v->bytes[v->len - 1] ^= 1;
        break;
    case 1:
        v->len--;
        break;
    case 2:
        v->bytes[0] ^= 1;
        break;
    default:
        memcpy(v->bytes, "plaintext", 9);
        v->len = way == 3 ? 9 : 300;
        break;
    }
}
#define WAYS 5u

static void a_changed_value_goes_before_it_is_missing(const char *verb)
{
    for (size_t i = 0; i < COUNT(commands); i++) {
        for (unsigned way = 0; way < WAYS; way++) {
            struct sealed v = { .len = 0 };
            restart();
            struct proxy_peer *c = proxy_accept(&p);
            put(c, &v);
            spoil(way, &v);
            const uint64_t before = sealed_tampered(&p);
            const uint64_t gone = sealed_removed(&p);
            ask(c, i);
            ASKS(c, "PING");
            serve_read(i, newest(), &v);
            assert_int_equal(sealed_tampered(&p), before + 1);
            assert_int_equal(world_events(&p.w, ARIL_EVENT_AUTH_FAILURE), 1);
            proxy_heard_is(c, "");
            sealed_removal(&p, p.link_count - 1, verb, sealed_head(&v));
            assert_int_equal(sealed_removed(&p), gone + 1);
            assert_int_equal(world_events(&p.w, ARIL_EVENT_AUTH_FAILURE), 2);
            char all[32];
            (void)snprintf(all, sizeof all, "%s+PONG\r\n", commands[i].missing);
            proxy_heard_is(c, all);
        }
    }
}

static void a_changed_value_is_removed_and_missing(void **state)
{
    (void)state;
    a_changed_value_goes_before_it_is_missing("UNLINK");
}

static void with_quarantine_it_is_moved_aside_and_missing(void **state)
{
    (void)state;
    a_changed_value_goes_before_it_is_missing("RENAME");
}

static void with_errors_a_changed_value_stays_and_is_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(commands); i++) {
        struct sealed v;
        restart();
        struct proxy_peer *c = proxy_accept(&p);
        put(c, &v);
        spoil(0, &v);
        ask(c, i);
        const size_t links = p.link_count;
        serve_read(i, newest(), &v);
        proxy_heard_begins(c, "-ERR aril: the value of this key is not what was put there");
        assert_int_equal(p.link_count, links);
        assert_int_equal(world_events(&p.w, ARIL_EVENT_AUTH_FAILURE), 1);
        assert_int_equal(sealed_removed(&p), 0);
    }
}

static void a_value_whose_time_is_over_is_missing_and_told_as_a_replay(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(commands); i++) {
        struct sealed v;
        restart();
        struct proxy_peer *c = proxy_accept(&p);
        put(c, &v);
        fake_clock_add_s(&p.w.clock, 110);
        proxy_tick(&p, 110000);
        arili_proxy_refresh(p.proxy);
        ask(c, i);
        const size_t links = p.link_count;
        serve_read(i, newest(), &v);
        proxy_heard_is(c, commands[i].missing);
        assert_int_equal(p.link_count, links);
        assert_int_equal(world_events(&p.w, ARIL_EVENT_REPLAY), 1);
        assert_int_equal(sealed_tampered(&p), 0);
    }
}

/* It was put when longer ones were allowed. */
static void a_value_that_is_too_long_is_an_error_and_stays(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(commands); i++) {
        struct sealed v;
        restart();
        struct proxy_peer *c = proxy_accept(&p);
        p.loop->settings->config->max_verified_value = 100;
        put(c, &v);
        p.loop->settings->config->max_verified_value = 10;
        ask(c, i);
        const size_t links = p.link_count;
        serve_read(i, newest(), &v);
        proxy_heard_begins(c, "-ERR aril: the value has 13 bytes, more than max_verified_value");
        assert_int_equal(p.link_count, links);
        assert_int_equal(sealed_tampered(&p), 0);
    }
}

/* The client goes while the value comes: it is told all the same, with its name. */
static void a_changed_value_is_told_when_its_client_has_gone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(commands); i++) {
        struct sealed v;
        restart();
        struct proxy_peer *c = proxy_accept(&p);
        put(c, &v);
        spoil(0, &v);
        ask(c, i);
        struct proxy_peer *s = newest();
        proxy_go(c);
        serve_read(i, s, &v);
        assert_int_equal(world_events(&p.w, ARIL_EVENT_AUTH_FAILURE), 1);
        assert_true(proxy_is_closed(s)); /* it watched */
        assert_int_equal(sealed_removed(&p), 0);
    }
}

static void a_server_that_goes_is_an_error(void **state)
{
    (void)state;
    struct sealed v;
    for (size_t i = 0; i < COUNT(commands); i++) {
        for (unsigned stop = 0; stop < 3; stop++) {
            restart();
            struct proxy_peer *c = proxy_accept(&p);
            put(c, &v);
            ask(c, i);
            struct proxy_peer *s = newest();
            if (stop == 1) {
                proxy_say(s, TEXT("+OK\r\n"));
            } else if (stop == 2) {
                serve_read(i, s, &v);
            }
            proxy_go(s);
            proxy_heard_begins(c, "-ERR aril: the connection to the server was lost");
            ASKS(c, "PING");
            proxy_heard_is(c, "+PONG\r\n");
        }
    }
}

int main(void)
{
#define T(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
    const struct CMUnitTest tests[] = {
        T(a_value_is_sealed_again_until_nobody_was_quicker, setup),
        T(what_is_not_there_is_neither_counted_nor_removed, setup),
        T(a_changed_value_is_removed_and_missing, setup),
        T(with_quarantine_it_is_moved_aside_and_missing, setup_quarantine),
        T(with_errors_a_changed_value_stays_and_is_one, setup_error),
        T(a_value_whose_time_is_over_is_missing_and_told_as_a_replay, setup),
        T(a_value_that_is_too_long_is_an_error_and_stays, setup),
        T(a_changed_value_is_told_when_its_client_has_gone, setup),
        T(a_server_that_goes_is_an_error, setup),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
