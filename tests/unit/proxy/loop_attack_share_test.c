/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_sealed.h"
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Clients that take more than their share: of links, of memory, of time. */

#define LINKS 8u
#define LARGE ((size_t)300 * 1024)

static struct proxy_peers p;

static int setup(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    config->upstream.links_max = LINKS;
    proxy_peers_init(&p, config);
    return 0;
}
static int setup_small(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    config->memory_max = 2u << 20;
    config->client_out_max = 16384;
    proxy_peers_init(&p, config);
    return 0;
}
/* The first listener wants a password. */
static int setup_password(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    struct arili_listen_config *l = &config->listeners[0];
    arili_free(l->tenant, strlen(l->tenant) + 1);
    l->tenant = NULL;
    l->auth = ARILI_AUTH_PASSWORD;
    proxy_peers_init(&p, config);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

/* --- Links ---------------------------------------------------------------------------------- */

static void a_tenant_that_keeps_links_leaves_some_for_others(void **state)
{
    (void)state;
    aril_bytes args[4];
    for (unsigned i = 0; i < 2 * LINKS; i++) {
        ASKS(proxy_accept(&p), "WATCH", "k");
    }
    assert_int_equal(p.link_count, LINKS - LINKS / 4);
    struct proxy_peer *bob = proxy_accept_at(&p, 1);
    ASKS(bob, "GET", "k");
    assert_int_equal(p.link_count, LINKS - LINKS / 4 + 1);
    struct proxy_peer *s = proxy_link(&p, p.link_count - 1);
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    proxy_say(s, TEXT("$-1\r\n"));
    proxy_heard_is(bob, "$-1\r\n");
}

/* Whoever may have the link that is free has it, also behind those who may not. */
static void a_free_link_goes_to_who_may_have_it(void **state)
{
    (void)state;
    struct proxy_peer *alice[2 * LINKS];
    struct proxy_peer *bob[4];
    for (unsigned i = 0; i < 2 * LINKS; i++) {
        alice[i] = proxy_accept(&p);
        ASKS(alice[i], "WATCH", "k");
    }
    for (unsigned i = 0; i < 4; i++) {
        bob[i] = proxy_accept_at(&p, 1);
        ASKS(bob[i], "GET", "k");
    }
    for (unsigned i = 0; i < 4; i++) {
        struct proxy_peer *s = proxy_link(&p, LINKS - LINKS / 4);
        proxy_say(s, TEXT("$-1\r\n"));
        proxy_heard_is(bob[i], "$-1\r\n");
    }
    /* And of alice's own: one goes, the next has a link. */
    struct proxy_peer *s = proxy_link(&p, LINKS - LINKS / 4);
    const size_t before = s->heard_len;
    proxy_go(alice[0]);
    assert_true(s->heard_len > before);
}

/* Everybody has a link, and waits for something that needs another one. */
static void removals_of_all_clients_at_once_end(void **state)
{
    (void)state;
    aril_bytes args[8];
    struct sealed v;
    struct proxy_peer *c[LINKS];
    const unsigned n = LINKS - LINKS / 4;
    c[0] = proxy_accept(&p);
    sealed_set(c[0], 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    for (unsigned i = 0; i < n; i++) {
        c[i] = i == 0 ? c[0] : proxy_accept(&p);
        ASKS(c[i], "GET", "k");
        ASKS(c[i], "TTL", "k");
    }
    for (unsigned i = 0; i < n; i++) {
        sealed_say(proxy_link(&p, i), &v);
    }
    for (unsigned i = 0; i < n; i++) { /* one after the other: a job has one link beyond all */
        struct proxy_peer *s = proxy_link(&p, p.link_count - 1);
        (void)proxy_command_is(s, "WATCH", args, COUNT(args));
        (void)proxy_command_is(s, "GETRANGE", args, COUNT(args));
        proxy_say(s, TEXT("+OK\r\n$-1\r\n"));
        assert_true(proxy_is_closed(s));
        proxy_tick(&p, 100);
    }
    for (unsigned i = 0; i < n; i++) {
        proxy_heard_is(c[i], "$-1\r\n");
        proxy_say(proxy_link(&p, i), TEXT(":-2\r\n"));
        proxy_heard_is(c[i], ":-2\r\n");
    }
}

/* --- Memory --------------------------------------------------------------------------------- */

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

static uint64_t used(void)
{
    return atomic_load(&p.proxy->budget.used);
}
#define USED_MAX ((2u << 20) + 2 * LARGE + 2 * ARILI_BLOCK_BIG_BYTES)

/* A list is told whole, and a server may never come to its end. */
static void a_list_without_an_end_is_an_error(void **state)
{
    (void)state;
    aril_bytes args[4];
    char member[1001];
    struct proxy_peer *c = proxy_accept(&p);
    memset(member, 'm', 1000);
    member[1000] = '\0';
    ASKS(c, "SADD", "k", member);
    struct proxy_peer *s = proxy_link(&p, 0);
    assert_int_equal(proxy_command_is(s, "SADD", args, COUNT(args)), 3);
    char line[32];
    uint8_t element[2048];
    const int n = snprintf(line, sizeof line, "$%zu\r\n", args[2].len);
    memcpy(element, line, (size_t)n);
    memcpy(element + n, args[2].data, args[2].len);
    memcpy(element + (size_t)n + args[2].len, "\r\n", 2);
    const aril_bytes one = { element, (size_t)n + args[2].len + 2 };
    proxy_say(s, TEXT(":1\r\n"));
    proxy_heard_is(c, ":1\r\n");
    ASKS(c, "SMEMBERS", "k");
    proxy_say(s, TEXT("*5000\r\n"));
    for (unsigned i = 0; i < 5000; i++) {
        proxy_say(s, one);
        assert_true(used() < USED_MAX);
    }
    proxy_heard_begins(c, "-ERR aril: the value could not be opened");
    ASKS(c, "SMEMBERS", "k");
    proxy_say(s, TEXT("*1\r\n"));
    proxy_say(s, one);
    assert_int_equal(heard_answers(c, 1, false).kind, ARILI_RESP_ARRAY);
}

static void say_value(struct proxy_peer *link, const uint8_t *v, size_t len)
{
    char line[32];
    const int n = snprintf(line, sizeof line, "$%zu\r\n", len);
    proxy_say(link, (aril_bytes){ (const uint8_t *)line, (size_t)n });
    proxy_say(link, (aril_bytes){ v, len });
    proxy_say(link, TEXT("\r\n"));
}

/* The link that was asked something just now. */
static struct proxy_peer *asked(void)
{
    aril_bytes args[4];
    size_t count = 0;
    for (size_t i = 0; i < p.link_count; i++) {
        if (!proxy_is_closed(&p.links[i]) && proxy_command(proxy_link(&p, i), args, 4, &count)) {
            return &p.links[i];
        }
    }
    fail_msg("nobody was asked");
    return NULL;
}

/* Each of them alone is short enough; nobody reads them. */
static void values_that_nobody_reads_are_bounded_and_hold_nobody_up(void **state)
{
    (void)state;
    aril_bytes args[4];
    static char value[LARGE + 1];
    struct proxy_peer *c = proxy_accept(&p);
    memset(value, 'v', LARGE);
    ASKS(c, "SET", "k", value);
    assert_int_equal(proxy_command_is(proxy_link(&p, 0), "SET", args, COUNT(args)), 3);
    const size_t len = args[2].len;
    uint8_t *v = malloc(len);
    assert_non_null(v);
    memcpy(v, args[2].data, len);
    proxy_say(proxy_link(&p, 0), TEXT("+OK\r\n"));
    (void)proxy_heard(c);
    for (unsigned i = 0; i < 16; i++) {
        struct proxy_peer *deaf = proxy_accept(&p);
        deaf->deaf = true;
        ASKS(deaf, "GET", "k");
        say_value(asked(), v, len);
        assert_true(used() < USED_MAX);
    }
    ASKS(c, "GET", "k");
    say_value(asked(), v, len);
    proxy_heard_is(c, "");
    proxy_tick(&p, 5000);
    proxy_heard_is(c, "");
    proxy_tick(&p, 6000);
    proxy_heard_begins(c, "-ERR aril: the value could not be opened");
    ASKS(c, "PING");
    proxy_heard_is(c, "+PONG\r\n");
    free(v);
}

static void arguments_count_as_memory(void **state)
{
    (void)state;
    static uint8_t zeros[100000];
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("*2\r\n$4\r\nECHO\r\n$4000000\r\n"));
    for (unsigned i = 0; i < 39 && !proxy_is_closed(c); i++) {
        proxy_say(c, (aril_bytes){ zeros, sizeof zeros });
        assert_true(used() < USED_MAX);
    }
    assert_true(proxy_is_closed(c));
    c = proxy_accept(&p);
    proxy_say(c, TEXT("*1000000\r\n"));
    for (unsigned i = 0; i < 100 && !proxy_is_closed(c); i++) {
        for (unsigned k = 0; k < 10000; k++) {
            memcpy(zeros + (size_t)k * 7, "$1\r\nx\r\n", 7);
        }
        proxy_say(c, (aril_bytes){ zeros, 70000 });
        assert_true(used() < USED_MAX);
    }
    assert_true(proxy_is_closed(c));
}

static void a_value_without_room_is_refused_and_the_client_goes_on(void **state)
{
    (void)state;
    static uint8_t zeros[100000];
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000000\r\n"));
    for (unsigned i = 0; i < 40; i++) {
        proxy_say(c, (aril_bytes){ zeros, sizeof zeros });
        assert_true(used() < USED_MAX);
    }
    proxy_say(c, TEXT("\r\n$2\r\nEX\r\n$2\r\n60\r\n"));
    proxy_heard_begins(c, "-ERR aril: there is no memory for this value now");
    ASKS(c, "PING");
    proxy_heard_is(c, "+PONG\r\n");
}

static void a_transaction_without_an_end_is_refused(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "MULTI");
    ASKS(c, "TTL", "k");
    struct proxy_peer *s = proxy_link(&p, 0);
    proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n"));
    for (unsigned i = 0; i < 3000; i++) {
        ASKS(c, "TTL", "k");
        proxy_say(s, TEXT("+QUEUED\r\n"));
        assert_true(used() < USED_MAX);
        if (proxy_is_closed(s)) {
            break; /* it said QUEUED to nothing */
        }
    }
    assert_true(c->heard_len > 0);
    const aril_bytes heard = proxy_heard(c);
    assert_true(holds(heard, "no memory for more commands"));
}

static void a_server_that_does_not_read_stops_the_client(void **state)
{
    (void)state;
    static char value[60001];
    memset(value, 'v', sizeof value - 1);
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "SET", "k", "v");
    struct proxy_peer *s = proxy_link(&p, 0);
    s->deaf = true;
    for (unsigned i = 0; i < 100; i++) {
        ASKS(c, "SET", "k", value);
    }
    assert_true(s->peer->out.bytes < (1u << 20) + 2 * sizeof value);
    assert_true(c->unsaid_at < c->unsaid_len);
    proxy_listen(s);
    assert_int_equal(c->unsaid_at, c->unsaid_len);
}

/* --- Time ----------------------------------------------------------------------------------- */

static void a_stranger_cannot_stay_by_saying_a_little(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    struct proxy_peer *other = proxy_accept(&p);
    other->deaf = true;
    for (unsigned i = 0; i < 9; i++) {
        proxy_say(c, TEXT("P"));
        proxy_say(other, TEXT("PING\r\n"));
        proxy_tick(&p, 1000);
        assert_false(proxy_is_closed(c) || proxy_is_closed(other));
    }
    proxy_say(c, TEXT("P"));
    proxy_say(other, TEXT("PING\r\n"));
    proxy_tick(&p, 1001);
    assert_true(proxy_is_closed(c) && proxy_is_closed(other));
    assert_int_equal(arili_figure(&p.proxy->figures.slow_clients), 2);
}

/* Seconds until it is closed; it says so many bytes of a long value in each. */
static unsigned sends(size_t bytes, unsigned most)
{
    static uint8_t zeros[65536];
    struct proxy_peer *c = proxy_accept(&p);
    unsigned s = 0;
    proxy_say(c, TEXT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\n"));
    (void)proxy_link(&p, p.link_count - 1);
    for (; s < most && !proxy_is_closed(c); s++) {
        proxy_say(c, (aril_bytes){ zeros, bytes });
        proxy_tick(&p, 1000);
    }
    proxy_go(c);
    return s;
}

static void a_client_that_sends_a_byte_a_second_is_closed(void **state)
{
    (void)state;
    assert_int_equal(sends(1, 100), 31);
    assert_int_equal(sends(20000, 300), 300);
}

static unsigned reads(size_t bytes, unsigned most)
{
    static char echo[60001];
    struct proxy_peer *c = proxy_accept(&p);
    unsigned s = 0;
    memset(echo, 'e', sizeof echo - 1);
    c->deaf = true;
    for (; s < most && !proxy_is_closed(c); s++) {
        if (c->peer->out.bytes < 2 * bytes + 2) {
            ASKS(c, "ECHO", echo);
        }
        arili_loop_wrote(c->peer, bytes);
        proxy_tick(&p, 1000);
    }
    proxy_go(c);
    return s;
}

static void a_client_that_reads_a_byte_a_second_is_closed(void **state)
{
    (void)state;
    assert_int_equal(reads(1, 100), 61);
    assert_int_equal(reads(20000, 300), 300);
}

int main(void)
{
#define T(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
    const struct CMUnitTest tests[] = {
        T(a_tenant_that_keeps_links_leaves_some_for_others, setup),
        T(a_free_link_goes_to_who_may_have_it, setup),
        T(removals_of_all_clients_at_once_end, setup),
        T(a_list_without_an_end_is_an_error, setup_small),
        T(values_that_nobody_reads_are_bounded_and_hold_nobody_up, setup_small),
        T(arguments_count_as_memory, setup_small),
        T(a_value_without_room_is_refused_and_the_client_goes_on, setup_small),
        T(a_transaction_without_an_end_is_refused, setup_small),
        T(a_server_that_does_not_read_stops_the_client, setup),
        T(a_stranger_cannot_stay_by_saying_a_little, setup_password),
        T(a_client_that_sends_a_byte_a_second_is_closed, setup),
        T(a_client_that_reads_a_byte_a_second_is_closed, setup),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
