/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem() */
#include "proxy/loop_internal.h"
#include "proxy/status.h"
#include "proxy_sealed.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

/* A tenant whose DATA key has ended: its clients read, and what would have to be sealed is refused,
 * before any of it reaches a server. */

#define DAY_S UINT64_C(86400)

static struct proxy_peers p;
static struct proxy_peer *c;
static struct sealed v, field, in_hash;

static int setup(void **state)
{
    (void)state;
    proxy_peers_init(&p, proxy_peers_config());
    c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    sealed_hset(c, 0, "h", "f", "in a hash", &field, &in_hash);
    fake_clock_add_s(&p.w.clock, 180 * DAY_S); /* twice the period of DATA keys */
    proxy_tick(&p, 12000);                     /* the loop looks at the clock */
    arili_proxy_refresh(p.proxy);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static const char refusal[] = "-ERR aril: this tenant's values can be read, not written: ";

static void what_was_sealed_is_read(void **state)
{
    (void)state;
    ASKS(c, "GET", "k");
    sealed_say(&p.links[0], &v);
    proxy_heard_is(c, "$13\r\nthe plaintext\r\n");
    ASKS(c, "HGET", "h", "f");
    sealed_say(&p.links[0], &in_hash);
    proxy_heard_is(c, "$9\r\nin a hash\r\n");
    ASKS(c, "DEL", "k");
    proxy_say(&p.links[0], TEXT(":1\r\n"));
    proxy_heard_is(c, ":1\r\n");
}

static void what_seals_is_refused_and_the_server_hears_nothing(void **state)
{
    (void)state;
    static const char *const commands[][6] = {
        { "SET", "k", "x" },
        { "SET", "k", "x", "KEEPTTL" },
        { "SETEX", "k", "10", "x" },
        { "PSETEX", "k", "10", "x" },
        { "SETNX", "k", "x" },
        { "GETSET", "k", "x" },
        { "MSET", "k", "x", "l", "y" },
        { "MSETNX", "k", "x" },
        { "HSET", "h", "f", "x" },
        { "HSETNX", "h", "f", "x" },
        { "HMSET", "h", "f", "x" },
    };
    aril_bytes args[8];
    size_t n = 0;
    while (proxy_command(&p.links[0], args, COUNT(args), &n)) {
    }
    for (size_t i = 0; i < COUNT(commands); i++) {
        size_t count = 0;
        while (count < COUNT(commands[i]) && commands[i][count] != NULL) {
            count++;
        }
        client_asks(c, commands[i], count);
        proxy_heard_begins(c, refusal);
        assert_false(proxy_command(&p.links[0], args, COUNT(args), &n));
    }
    assert_int_equal(p.link_count, 1);
}

static void a_large_value_is_refused_when_it_is_whole(void **state)
{
    (void)state;
    const size_t len = (size_t)1 << 20;
    char *large = malloc(len + 1);
    aril_bytes args[8];
    size_t n = 0;
    assert_non_null(large);
    memset(large, 'v', len);
    large[len] = '\0';
    while (proxy_command(&p.links[0], args, COUNT(args), &n)) {
    }
    ASKS(c, "SETEX", "k", "10", large);
    free(large);
    proxy_heard_begins(c, refusal);
    assert_false(proxy_command(&p.links[0], args, COUNT(args), &n));
    ASKS(c, "PING");
    proxy_heard_is(c, "+PONG\r\n");
}

static void a_refusal_ends_a_transaction(void **state)
{
    (void)state;
    ASKS(c, "MULTI");
    ASKS(c, "SET", "k", "x");
    ASKS(c, "EXEC");
    const aril_bytes heard = proxy_heard(c);
    assert_non_null(memmem(heard.data, heard.len, refusal, sizeof refusal - 1));
    assert_non_null(memmem(heard.data, heard.len, "-EXECABORT", 10));
}

/* EXPIRE inside what the seal allows passes; what goes beyond it would have to be sealed anew. */
static void only_what_a_seal_allows_is_given_a_longer_life(void **state)
{
    (void)state;
    aril_bytes args[8];
    size_t n = 0;
    struct proxy_peer *s = &p.links[0]; /* the client does not need it meanwhile */
    while (proxy_command(s, args, COUNT(args), &n)) {
    }
    ASKS(c, "EXPIRE", "k", "10");
    proxy_say(s, TEXT("+OK\r\n"));
    sealed_say(s, &(struct sealed){ .len = 0 }); /* nothing there */
    (void)proxy_command_is(s, "WATCH", args, COUNT(args));
    (void)proxy_command_is(s, "GETRANGE", args, COUNT(args));
    (void)proxy_command_is(s, "MULTI", args, COUNT(args));
    proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n*1\r\n:0\r\n"));
    proxy_heard_is(c, ":0\r\n");

    ASKS(c, "PERSIST", "k"); /* the policy's maximum from now on: later than the seal */
    struct sealed head = { .len = ARILI_VALUE_HEADER_BYTES };
    memcpy(head.bytes, v.bytes, head.len);
    proxy_say(s, TEXT("+OK\r\n"));
    sealed_say(s, &head);
    sealed_say(s, &v);
    proxy_heard_begins(c, "-ERR aril: the value would have to be sealed anew");
    assert_true(proxy_is_closed(s)); /* WATCH is on it */
}

static void the_proxy_is_ready_and_says_what_is_not_as_it_should_be(void **state)
{
    (void)state;
    aril_error error = { .status = ARIL_OK };
    assert_status(arili_proxy_ready(p.proxy, &error), ARIL_OK);
    assert_status(error.status, ARIL_E_KEY_OVERDUE);
    assert_non_null(strstr(error.message, "2 tenants can be read, not written: "));
    char *text = NULL;
    size_t bytes = 0;
    assert_status(arili_proxy_status_json(p.proxy, &text, &bytes), ARIL_OK);
    assert_non_null(strstr(text, "\"state\":\"ready\""));
    assert_non_null(strstr(text, "\"rotate_by\":"));
    arili_status_free(text, bytes);
    assert_status(home_rotate(&p.h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    assert_status(home_rotate(&p.h, slot_of(ARIL_KEY_DATA, "bob", NULL)), ARIL_OK);
    arili_proxy_refresh(p.proxy);
    error = (aril_error){ .status = ARIL_OK };
    assert_status(arili_proxy_ready(p.proxy, &error), ARIL_OK);
    assert_string_equal(error.message, "");
    sealed_set(c, 0, "k", "again", &v);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_was_sealed_is_read),
        T(what_seals_is_refused_and_the_server_hears_nothing),
        T(a_large_value_is_refused_when_it_is_whole),
        T(a_refusal_ends_a_transaction),
        T(only_what_a_seal_allows_is_given_a_longer_life),
        T(the_proxy_is_ready_and_says_what_is_not_as_it_should_be),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
