/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_sealed.h"
#include "proxy/loop_internal.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values that a server changed, moved, cut or brought back: the client hears nil, it is counted and
 * audited, and only what was found is removed. */

static struct proxy_peers p;

static int setup_with(struct arili_proxy_config *config)
{
    proxy_peers_init(&p, config);
    return 0;
}
static int setup(void **state)
{
    (void)state;
    return setup_with(proxy_peers_config());
}
static int setup_quarantine(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    config->policies[0].on_tamper = ARILI_TAMPER_QUARANTINE;
    return setup_with(config);
}
static int setup_error(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    config->policies[0].on_tamper = ARILI_TAMPER_ERROR;
    return setup_with(config);
}
/* Two values of 300 KiB do not have room at a time. */
static int setup_small(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    config->memory_max = 400000;
    return setup_with(config);
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static void each_changed_byte_of_a_value_is_nil_counted_and_removed(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    ASKS(c, "GET", "k");
    sealed_say(proxy_link(&p, 0), &v);
    proxy_heard_is(c, "$13\r\nthe plaintext\r\n");
    for (size_t i = 0; i < v.len; i++) {
        struct sealed bad = v;
        proxy_peers_end(&p);
        proxy_peers_begin(&p);
        const uint64_t before = sealed_tampered(&p);
        const uint64_t gone = sealed_removed(&p);
        world_forget(&p.w);
        fake_clock_add_s(&p.w.clock, 3); /* of each kind, one event a second is told */
        bad.bytes[i] ^= (uint8_t)(1u << (i % 8));
        c = proxy_accept(&p);
        ASKS(c, "GET", "k");
        sealed_say(proxy_link(&p, 0), &bad);
        if (sealed_tampered(&p) == before) { /* the id of a key that nobody has */
            proxy_heard_is(c, "$-1\r\n");
            assert_int_equal(p.link_count, 1);
            continue;
        }
        proxy_heard_is(c, ""); /* it would still be there for EXISTS */
        assert_int_equal(sealed_tampered(&p), before + 1);
        assert_int_equal(world_events(&p.w, ARIL_EVENT_AUTH_FAILURE), 1);
        sealed_removal(&p, 1, "UNLINK", sealed_head(&bad));
        proxy_heard_is(c, "$-1\r\n");
        assert_int_equal(world_events(&p.w, ARIL_EVENT_AUTH_FAILURE), 2);
        assert_int_equal(sealed_removed(&p), gone + 1);
        ASKS(c, "PING");
        proxy_heard_is(c, "+PONG\r\n");
    }
}

static void each_cut_value_is_nil(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    const size_t all = v.len;
    for (v.len = 0; v.len < all; v.len++) {
        proxy_peers_end(&p);
        proxy_peers_begin(&p);
        const uint64_t before = sealed_tampered(&p);
        c = proxy_accept(&p);
        ASKS(c, "GET", "k");
        sealed_say(proxy_link(&p, 0), &v);
        assert_int_equal(sealed_tampered(&p), before + 1);
        proxy_heard_is(c, "");
        sealed_removal(&p, 1, "UNLINK", sealed_head(&v));
        proxy_heard_is(c, "$-1\r\n");
    }
}

static void a_value_that_was_put_meanwhile_stays(void **state)
{
    (void)state;
    struct sealed v, other;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    sealed_set(c, 0, "k", "another one", &other);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "GET", "k");
    ASKS(c, "PING");
    sealed_say(proxy_link(&p, 0), &v);
    sealed_removal(&p, 1, NULL, sealed_head(&other));
    assert_int_equal(sealed_removed(&p), 0);
    proxy_heard_is(c, "$-1\r\n+PONG\r\n");
}

static void quarantine_moves_it_aside(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "GET", "k");
    sealed_say(proxy_link(&p, 0), &v);
    proxy_heard_is(c, "");
    sealed_removal(&p, 1, "RENAME", sealed_head(&v));
    proxy_heard_is(c, "$-1\r\n");
    assert_int_equal(sealed_removed(&p), 1);
}

static void with_errors_it_is_left_and_told(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "GET", "k");
    sealed_say(proxy_link(&p, 0), &v);
    proxy_heard_begins(c, "-ERR aril: the value of this key is not what was put there");
    assert_int_equal(p.link_count, 1);
    assert_int_equal(sealed_removed(&p), 0);
}

/* The server goes at each step of a removal: the client is served on, and nothing is left. */
static void a_removal_that_cannot_be_done_holds_nobody_up(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    for (unsigned stop = 0; stop < 5; stop++) {
        proxy_peers_end(&p);
        proxy_peers_begin(&p);
        c = proxy_accept(&p);
        ASKS(c, "GET", "k");
        ASKS(c, "PING");
        sealed_say(proxy_link(&p, 0), &v);
        proxy_heard_is(c, "");
        struct proxy_peer *s = stop > 0 ? proxy_link(&p, 1) : &p.links[1];
        if (stop > 1) {
            proxy_say(s, TEXT("+OK\r\n"));
        }
        if (stop > 2) {
            const struct sealed head = { .len = ARILI_VALUE_HEADER_BYTES };
            struct sealed h = head;
            memcpy(h.bytes, v.bytes, h.len);
            sealed_say(s, &h);
        }
        if (stop > 3) {
            proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n"));
        }
        proxy_go(s);
        assert_true(proxy_is_closed(s));
        proxy_heard_is(c, "$-1\r\n+PONG\r\n");
    }
}

/* It ends before it began: what is behind it is answered all the same, in order. */
static void a_removal_that_cannot_begin_answers_for_nobody_else(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    struct proxy_peer *other = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    proxy_say(c, TEXT("GET k\r\nTTL k\r\nGET l\r\n"));
    ASKS(other, "TTL", "k");
    proxy_go(proxy_link(&p, 1)); /* for a while the server is not asked for new links */
    sealed_say(&p.links[0], &v);
    proxy_heard_is(c, "$-1\r\n");
    proxy_say(&p.links[0], TEXT(":77\r\n"));
    proxy_heard_is(c, ":77\r\n");
    proxy_say(&p.links[0], TEXT("$-1\r\n"));
    proxy_heard_is(c, "$-1\r\n");
    assert_int_equal(sealed_removed(&p), 0);
}

/* What was said before the bad one has left; what is behind it waits, and is whole. */
static void a_list_goes_on_when_its_bad_value_is_gone(void **state)
{
    (void)state;
    struct sealed v, bad;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    bad = v;
    bad.bytes[bad.len - 1] ^= 1;
    ASKS(c, "MGET", "k", "k", "k");
    ASKS(c, "PING");
    proxy_say(&p.links[0], TEXT("*3\r\n"));
    sealed_say(&p.links[0], &v);
    sealed_say(&p.links[0], &bad);
    proxy_heard_is(c, "*3\r\n$13\r\nthe plaintext\r\n");
    sealed_say(&p.links[0], &v);
    proxy_heard_is(c, "");
    sealed_removal(&p, 1, "UNLINK", sealed_head(&bad));
    proxy_heard_is(c, "$-1\r\n$13\r\nthe plaintext\r\n+PONG\r\n");
}

static void a_transaction_goes_on_when_its_bad_values_are_gone(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "MULTI");
    ASKS(c, "MGET", "k", "k");
    ASKS(c, "EXEC");
    proxy_say(&p.links[0], TEXT("+OK\r\n+QUEUED\r\n*1\r\n*2\r\n"));
    proxy_heard_is(c, "+OK\r\n+QUEUED\r\n*1\r\n*2\r\n");
    sealed_say(&p.links[0], &v);
    sealed_say(&p.links[0], &v);
    proxy_heard_is(c, "");
    sealed_removal(&p, 1, "UNLINK", sealed_head(&v));
    sealed_removal(&p, 1, NULL, TEXT(""));
    proxy_heard_is(c, "$-1\r\n$-1\r\n");
}

/* Half of a list has left, and the rest is held: an error in its place would be an element. */
static void a_torn_list_whose_server_goes_ends_the_client(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "MGET", "k", "l", "k");
    proxy_say(&p.links[0], TEXT("*3\r\n"));
    sealed_say(&p.links[0], &v);
    proxy_heard_is(c, "*3\r\n");
    proxy_go(&p.links[0]);
    assert_true(proxy_is_closed(c));
    proxy_heard_is(c, "");
}

static void a_held_list_of_which_nothing_left_is_an_error_when_its_server_goes(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    proxy_say(c, TEXT("GET k\r\nMGET k l k\r\n"));
    sealed_say(&p.links[0], &v);
    proxy_say(&p.links[0], TEXT("*3\r\n"));
    sealed_say(&p.links[0], &v);
    struct proxy_peer *removal = proxy_link(&p, 1);
    proxy_go(&p.links[0]);
    proxy_heard_is(c, "");
    proxy_go(removal);
    proxy_heard_begins(c, "$-1\r\n-ERR aril: the connection to the server was lost");
}

static void a_client_that_goes_during_a_removal_does_not_stop_it(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "GET", "k");
    sealed_say(proxy_link(&p, 0), &v);
    proxy_go(c);
    sealed_removal(&p, 1, "UNLINK", sealed_head(&v));
    assert_int_equal(sealed_removed(&p), 1);
}

/* --- In another place ----------------------------------------------------------------------- */

static void expect_nil(struct proxy_peer *c, const char *const *words, size_t count,
                       const struct sealed *v)
{
    const uint64_t before = sealed_tampered(&p);
    const size_t n = p.link_count;
    client_asks(c, words, count);
    sealed_say(proxy_link(&p, n > 0 && !proxy_is_closed(&p.links[0]) ? 0 : n), v);
    assert_int_equal(sealed_tampered(&p), before + 1);
    proxy_go(proxy_link(&p, p.link_count - 1)); /* it stays */
    proxy_heard_is(c, "$-1\r\n");
}
#define NIL(c, v, ...)                                  \
    expect_nil(c, (const char *const[]){ __VA_ARGS__ }, \
               sizeof(const char *const[]){ __VA_ARGS__ } / sizeof(const char *), v)

static void a_value_of_another_place_is_nil(void **state)
{
    (void)state;
    struct sealed v, field, in_hash;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    sealed_hset(c, 0, "h", "f", "the plaintext", &field, &in_hash);
    for (unsigned i = 0; i < 7; i++) {
        proxy_peers_end(&p);
        proxy_peers_begin(&p);
        c = proxy_accept_at(&p, i == 1 ? 1 : 0);
        if (i == 2) {
            ASKS(c, "SELECT", "1");
            proxy_heard_is(c, "+OK\r\n");
        }
        switch (i) {
        case 0:
            NIL(c, &v, "GET", "l");
            break;
        case 1:
            NIL(c, &v, "GET", "k"); /* bob's */
            break;
        case 2:
            client_asks(c, (const char *const[]){ "GET", "k" }, 2); /* database 1 */
            proxy_say(proxy_link(&p, 0), TEXT("+OK\r\n"));
            sealed_say(&p.links[0], &v);
            proxy_go(proxy_link(&p, p.link_count - 1));
            proxy_heard_is(c, "$-1\r\n");
            break;
        case 3:
            NIL(c, &v, "HGET", "k", "f");
            break;
        case 4:
            NIL(c, &in_hash, "GET", "h");
            break;
        case 5:
            NIL(c, &in_hash, "HGET", "h", "g");
            break;
        default:
            NIL(c, &in_hash, "HGET", "i", "f");
            break;
        }
    }
}

static void a_value_whose_time_is_over_is_nil_and_not_tampered(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "SETEX", "k", "10", "the plaintext");
    struct proxy_peer *s = proxy_link(&p, 0);
    aril_bytes args[8];
    assert_int_equal(proxy_command_is(s, "SETEX", args, COUNT(args)), 4);
    memcpy(v.bytes, args[3].data, args[3].len);
    v.len = args[3].len;
    proxy_say(s, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
    ASKS(c, "GET", "k");
    sealed_say(s, &v);
    proxy_heard_is(c, "$13\r\nthe plaintext\r\n");
    fake_clock_add_s(&p.w.clock, 12);
    proxy_tick(&p, 12000);
    arili_proxy_refresh(p.proxy);
    ASKS(c, "GET", "k");
    sealed_say(s, &v);
    proxy_heard_is(c, "$-1\r\n");
    assert_int_equal(sealed_tampered(&p), 0);
}

/* --- Memory --------------------------------------------------------------------------------- */

#define LARGE ((size_t)300 * 1024)

static uint8_t *sealed_large(struct proxy_peer *c, size_t *ret_len)
{
    aril_bytes args[8];
    static char value[LARGE + 1];
    memset(value, 'v', LARGE);
    ASKS(c, "SET", "k", value);
    struct proxy_peer *s = proxy_link(&p, 0);
    assert_true(proxy_command_is(s, "SET", args, COUNT(args)) >= 3);
    uint8_t *ret = malloc(args[2].len);
    assert_non_null(ret);
    memcpy(ret, args[2].data, args[2].len);
    *ret_len = args[2].len;
    proxy_say(s, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
    return ret;
}

/* A value that waits for memory is opened when there is some; it is none that was changed. */
static void a_value_that_waited_for_memory_opens(void **state)
{
    (void)state;
    size_t len = 0;
    char line[32];
    struct proxy_peer *a = proxy_accept(&p);
    uint8_t *v = sealed_large(a, &len);
    struct proxy_peer *b = proxy_accept(&p);
    ASKS(a, "GET", "k");
    ASKS(b, "GET", "k");
    struct proxy_peer *s = proxy_link(&p, 0);
    struct proxy_peer *t = proxy_link(&p, 1);
    const int n = snprintf(line, sizeof line, "$%zu\r\n", len);
    const aril_bytes head = { (const uint8_t *)line, (size_t)n };
    proxy_say(s, head);
    proxy_say(s, (aril_bytes){ v, len / 2 });
    proxy_say(t, head); /* no room for it now */
    proxy_say(t, (aril_bytes){ v, len });
    proxy_say(t, TEXT("\r\n"));
    proxy_heard_is(b, "");
    proxy_say(s, (aril_bytes){ v + len / 2, len - len / 2 });
    proxy_say(s, TEXT("\r\n"));
    assert_int_equal(proxy_heard(a).len, LARGE + sizeof "$307200\r\n\r\n" - 1);
    proxy_tick(&p, 100);
    assert_int_equal(proxy_heard(b).len, LARGE + sizeof "$307200\r\n\r\n" - 1);
    assert_int_equal(sealed_tampered(&p), 0);
    free(v);
}

int main(void)
{
#define T(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
    const struct CMUnitTest tests[] = {
        T(each_changed_byte_of_a_value_is_nil_counted_and_removed, setup),
        T(each_cut_value_is_nil, setup),
        T(a_value_that_was_put_meanwhile_stays, setup),
        T(quarantine_moves_it_aside, setup_quarantine),
        T(with_errors_it_is_left_and_told, setup_error),
        T(a_removal_that_cannot_be_done_holds_nobody_up, setup),
        T(a_removal_that_cannot_begin_answers_for_nobody_else, setup),
        T(a_list_goes_on_when_its_bad_value_is_gone, setup),
        T(a_transaction_goes_on_when_its_bad_values_are_gone, setup),
        T(a_torn_list_whose_server_goes_ends_the_client, setup),
        T(a_held_list_of_which_nothing_left_is_an_error_when_its_server_goes, setup),
        T(a_client_that_goes_during_a_removal_does_not_stop_it, setup),
        T(a_value_of_another_place_is_nil, setup),
        T(a_value_whose_time_is_over_is_nil_and_not_tampered, setup),
        T(a_value_that_waited_for_memory_opens, setup_small),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
