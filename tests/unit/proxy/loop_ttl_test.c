/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"
#include "proxy_sealed.h"
#include "temp_folder.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A time to live above the policy's ttl_max reaches the server as ttl_max, so that a key does not
 * outlive the value that opens. What is below it, or no time at all, reaches it as it is. */

#define TTL_MAX_S 100u

static struct proxy_peers p;
static struct proxy_peer *c;
static char now_s[24], now_ms[24], far_s[24], far_ms[24], near_s[24];

static int setup(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    config->policies[0].ttl_max_s = TTL_MAX_S;
    proxy_peers_init(&p, config);
    c = proxy_accept(&p);
    ASKS(c, "TTL", "k"); /* there is a link */
    proxy_say(proxy_link(&p, 0), TEXT(":-2\r\n"));
    proxy_heard_is(c, ":-2\r\n");
    const uint64_t ms = p.loop->now_ms;
    snprintf(now_s, sizeof now_s, "%" PRIu64, (ms + TTL_MAX_S * 1000) / 1000);
    snprintf(now_ms, sizeof now_ms, "%" PRIu64, ms + TTL_MAX_S * 1000);
    snprintf(far_s, sizeof far_s, "%" PRIu64, ms / 1000 + 5000);
    snprintf(far_ms, sizeof far_ms, "%" PRIu64, ms + 5000000);
    snprintf(near_s, sizeof near_s, "%" PRIu64, ms / 1000 + 50);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static void skip_commands(struct proxy_peer *s)
{
    aril_bytes args[8];
    size_t n = 0;
    while (proxy_command(s, args, COUNT(args), &n)) {
    }
}

static void is_word(aril_bytes arg, const char *word)
{
    if (arg.len != strlen(word) || memcmp(arg.data, word, arg.len) != 0) {
        fail_msg("%.*s, not %s", (int)arg.len, (const char *)arg.data, word);
    }
}

/* Argument at of what the server is sent. */
static void expect_sent(const char *const *words, size_t count, size_t at, const char *want)
{
    aril_bytes args[8];
    struct proxy_peer *s = &p.links[0];
    skip_commands(s);
    client_asks(c, words, count);
    assert_int_equal(proxy_command_is(s, words[0], args, COUNT(args)), count);
    is_word(args[at], want);
    proxy_say(s, TEXT("+OK\r\n"));
    proxy_heard_is(c, "+OK\r\n");
}
#define SENT(at, want, ...)                           \
    expect_sent((const char *const[]){ __VA_ARGS__ }, \
                sizeof(const char *const[]){ __VA_ARGS__ } / sizeof(const char *), at, want)

static void a_longer_time_of_set_is_cut(void **state)
{
    (void)state;
    SENT(4, "100", "SET", "k", "v", "EX", "101");
    SENT(4, "100", "SET", "k", "v", "ex", "5000");
    SENT(4, "100000", "SET", "k", "v", "PX", "100001");
    SENT(4, now_s, "SET", "k", "v", "EXAT", far_s);
    SENT(4, now_ms, "SET", "k", "v", "PxAt", far_ms);
    SENT(5, "100", "SET", "k", "v", "XX", "EX", "1000");
    SENT(5, "XX", "SET", "k", "v", "EX", "1000", "XX");
    SENT(2, "100", "SETEX", "k", "4000", "v");
    SENT(2, "100000", "PSETEX", "k", "4000000", "v");
}

static void another_time_of_set_stays(void **state)
{
    (void)state;
    SENT(4, "100", "SET", "k", "v", "EX", "100");
    SENT(4, "1", "SET", "k", "v", "PX", "1");
    SENT(4, near_s, "SET", "k", "v", "EXAT", near_s);
    SENT(4, "-1", "SET", "k", "v", "EX", "-1");
    SENT(4, "x", "SET", "k", "v", "EX", "1e9"); /* it might be a piece of a value */
    SENT(4, "9223372036854775807", "SET", "k", "v", "EX", "9223372036854775807");
    SENT(4, "9223372036854775807", "SET", "k", "v", "PX", "9223372036854775807");
    SENT(2, "100", "SETEX", "k", "100", "v");
    SENT(3, "EX", "SET", "k", "v", "EX"); /* the server says that something is missing */
}

/* A value that is sent on while it comes. */
static void a_longer_time_of_a_streamed_value_is_cut(void **state)
{
    (void)state;
    aril_bytes args[8];
    const size_t len = 100000;
    char *large = calloc(1, len + 1);
    assert_non_null(large);
    memset(large, 'v', len);
    skip_commands(&p.links[0]);
    ASKS(c, "SETEX", "k", "5000", large);
    free(large);
    assert_int_equal(proxy_command_is(&p.links[0], "SETEX", args, COUNT(args)), 4);
    is_word(args[2], "100");
}

/* One that waits for the options behind it. */
static void a_longer_time_behind_a_long_value_is_cut(void **state)
{
    (void)state;
    aril_bytes args[8];
    const size_t len = 3000000;
    char *large = calloc(1, len + 1);
    assert_non_null(large);
    memset(large, 'v', len);
    skip_commands(&p.links[0]);
    ASKS(c, "SET", "k", large, "PX", "5000000", "XX");
    free(large);
    assert_int_equal(proxy_command_is(&p.links[0], "SET", args, COUNT(args)), 6);
    is_word(args[4], "100000");
    is_word(args[5], "XX");
}

/* EXPIRE and its kin, as GETEX: what is between MULTI and EXEC. */
static void expect_expire(const char *const *words, size_t count, const char *verb,
                          const char *want)
{
    struct sealed v;
    aril_bytes args[8];
    struct proxy_peer *s = &p.links[0];
    const bool getex = strcmp(words[0], "GETEX") == 0;
    skip_commands(s);
    sealed_set(c, 0, "k", "v", &v);
    client_asks(c, words, count);
    proxy_say(s, TEXT("+OK\r\n"));
    if (getex) {
        sealed_say(s, &v);
    } else {
        proxy_say(s, TEXT("$-1\r\n")); /* nothing there */
    }
    (void)proxy_command_is(s, "WATCH", args, COUNT(args));
    (void)proxy_command_is(s, getex ? "GET" : "GETRANGE", args, COUNT(args));
    (void)proxy_command_is(s, "MULTI", args, COUNT(args));
    assert_true(proxy_command_is(s, verb, args, COUNT(args)) >= 3);
    is_word(args[2], want);
    proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"));
    proxy_heard_is(c, getex ? "$1\r\nv\r\n" : ":1\r\n");
}
#define EXPIRES(verb, want, ...)                        \
    expect_expire((const char *const[]){ __VA_ARGS__ }, \
                  sizeof(const char *const[]){ __VA_ARGS__ } / sizeof(const char *), verb, want)

static void a_longer_time_of_expire_is_cut(void **state)
{
    (void)state;
    EXPIRES("expire", "100", "EXPIRE", "k", "5000");
    EXPIRES("expire", "99", "EXPIRE", "k", "99");
    EXPIRES("pexpire", "100000", "PEXPIRE", "k", "5000000");
    EXPIRES("expireat", now_s, "EXPIREAT", "k", far_s);
    EXPIRES("pexpireat", now_ms, "PEXPIREAT", "k", far_ms);
    EXPIRES("EXPIRE", "100", "GETEX", "k", "EX", "5000");
    EXPIRES("PEXPIREAT", now_ms, "GETEX", "k", "PXAT", far_ms);
    EXPIRES("EXPIRE", "99", "GETEX", "k", "EX", "99");
}

static void a_longer_time_is_cut_in_a_transaction(void **state)
{
    (void)state;
    aril_bytes args[8];
    struct proxy_peer *s = &p.links[0];
    skip_commands(s);
    ASKS(c, "MULTI");
    ASKS(c, "SET", "k", "v", "EX", "5000");
    ASKS(c, "EXPIRE", "k", "5000");
    (void)proxy_command_is(s, "MULTI", args, COUNT(args));
    assert_int_equal(proxy_command_is(s, "SET", args, COUNT(args)), 5);
    is_word(args[4], "100");
    assert_int_equal(proxy_command_is(s, "EXPIRE", args, COUNT(args)), 3);
    is_word(args[2], "100");
}

/* Of values that are not sealed nothing is cut. */
static int setup_pass(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    config->policies[0].ttl_max_s = TTL_MAX_S;
    config->policies[0].values = ARILI_VALUES_PASS;
    proxy_peers_init(&p, config);
    c = proxy_accept(&p);
    ASKS(c, "TTL", "k");
    proxy_say(proxy_link(&p, 0), TEXT(":-2\r\n"));
    proxy_heard_is(c, ":-2\r\n");
    return 0;
}
static void times_of_what_passes_stay(void **state)
{
    (void)state;
    SENT(4, "5000", "SET", "k", "v", "EX", "5000");
    SENT(2, "5000", "EXPIRE", "k", "5000");
}

int main(void)
{
#define T(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
    const struct CMUnitTest tests[] = {
        T(a_longer_time_of_set_is_cut, setup),
        T(another_time_of_set_stays, setup),
        T(a_longer_time_of_a_streamed_value_is_cut, setup),
        T(a_longer_time_behind_a_long_value_is_cut, setup),
        T(a_longer_time_of_expire_is_cut, setup),
        T(a_longer_time_is_cut_in_a_transaction, setup),
        T(times_of_what_passes_stay, setup_pass),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
