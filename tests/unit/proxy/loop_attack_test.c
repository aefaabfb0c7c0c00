/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_sealed.h"
#include "proxy/loop_internal.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

/* Servers and clients that choose the moment: a server that is down while it is needed for what it
 * did, commands that change what links have, and arguments in the wrong place. */

static struct proxy_peers p;

static int setup(void **state)
{
    (void)state;
    proxy_peers_init(&p, proxy_peers_config());
    return 0;
}
static int setup_error(void **state)
{
    (void)state;
    struct arili_proxy_config *config = proxy_peers_config();
    config->policies[0].on_tamper = ARILI_TAMPER_ERROR;
    proxy_peers_init(&p, config);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
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

/* --- A removal that ends before it began ---------------------------------------------------- */

/* One link fails, so that no new one is made for a while; another one still answers. */
static void a_bad_value_of_a_server_that_is_down_is_nil_and_no_more(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    struct proxy_peer *other = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "GET", "k");
    ASKS(c, "GET", "k");
    ASKS(other, "GET", "l");
    proxy_go(proxy_link(&p, 1));
    assert_int_equal(heard_answers(other, 1, false).kind, ARILI_RESP_ERROR);
    struct proxy_peer *s = proxy_link(&p, 0);
    sealed_say(s, &v);
    proxy_heard_is(c, "$-1\r\n");
    proxy_say(s, TEXT("$-1\r\n"));
    proxy_heard_is(c, "$-1\r\n");
    assert_int_equal(p.link_count, 2);
}

static void a_bad_value_without_keys_to_remove_it_is_nil_and_no_more(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "GET", "k");
    ASKS(c, "PING");
    assert_status(aril_keyring_lock(p.h.kr, NULL), ARIL_OK);
    arili_proxy_refresh(p.proxy);
    sealed_say(proxy_link(&p, 0), &v);
    proxy_heard_begins(c, "$-1\r\n+PONG\r\n");
    ASKS(c, "GET", "k");
    proxy_heard_begins(c, "-ERR aril: no keys for this tenant");
}

/* --- What links have ------------------------------------------------------------------------ */

/* A SELECT that a server queues and then drops would leave the link with another database than the
 * proxy thinks, and the next client with another's. */
static void select_in_a_transaction_is_refused_and_never_sent(void **state)
{
    (void)state;
    aril_bytes args[8];
    size_t count = 0;
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("MULTI\r\nSET a 1\r\nSELECT 5\r\nSET b 2\r\nDISCARD\r\nTTL k\r\n"));
    struct proxy_peer *s = proxy_link(&p, 0);
    (void)proxy_command_is(s, "MULTI", args, COUNT(args));
    (void)proxy_command_is(s, "SET", args, COUNT(args));
    (void)proxy_command_is(s, "SET", args, COUNT(args));
    (void)proxy_command_is(s, "DISCARD", args, COUNT(args));
    (void)proxy_command_is(s, "TTL", args, COUNT(args));
    proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n+QUEUED\r\n+OK\r\n:-2\r\n"));
    proxy_heard_begins(c, "+OK\r\n+QUEUED\r\n-ERR aril: 'select' is refused inside MULTI");
    struct proxy_peer *next = proxy_accept_at(&p, 1);
    ASKS(next, "SELECT", "5");
    ASKS(next, "GET", "k");
    (void)proxy_command_is(s, "SELECT", args, COUNT(args));
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    assert_false(proxy_command(s, args, COUNT(args), &count));
}

static void a_client_cannot_become_another_in_a_transaction(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    proxy_say(c, TEXT("MULTI\r\nAUTH bob secret\r\nHELLO 3\r\nEXEC\r\n"));
    proxy_heard_begins(c, "+OK\r\n-ERR aril: 'auth' is refused inside MULTI\r\n"
                          "-ERR aril: 'hello' is refused inside MULTI\r\n-EXECABORT");
}

/* --- What is sent in clear ------------------------------------------------------------------ */

static const struct {
    const char *words[8];
    size_t count;
} mistakes[] = {
    { { "SETEX", "k", "secret", "60" }, 4 },
    { { "PSETEX", "k", "secret", "60" }, 4 },
    { { "SET", "k", "v", "secret" }, 4 },
    { { "SET", "k", "v", "EX", "secret" }, 5 },
    { { "SET", "k", "v", "KEEPTTL", "secret" }, 5 },
    { { "EXPIRE", "k", "secret" }, 3 },
    { { "EXPIRE", "k", "10", "secret" }, 4 },
    { { "EXPIRE", "k", "10", "secret", "secret", "secret", "secret" }, 7 },
    { { "GETEX", "k", "secret" }, 3 },
    { { "GETEX", "k", "EX", "secret" }, 4 },
    { { "GETEX", "k", "EXAT", "secret" }, 4 },
    { { "SPOP", "k", "secret" }, 3 },
    { { "SRANDMEMBER", "k", "secret" }, 3 },
    { { "HRANDFIELD", "k", "secret" }, 3 },
    { { "HRANDFIELD", "k", "2", "secret" }, 4 },
    { { "HSCAN", "k", "secret" }, 3 },
    { { "SSCAN", "k", "secret" }, 3 },
    { { "HSCAN", "k", "0", "COUNT", "secret" }, 5 },
    { { "SCAN", "0", "COUNT", "secret" }, 4 },
    { { "SCAN", "0", "TYPE", "secret" }, 4 },
    { { "MEMORY", "USAGE", "k", "SAMPLES", "secret" }, 5 },
};

/* Arguments in the wrong order are a mistake that clients make: what was to be a value, a field or
 * a member is not sent in clear for the server to call it no number. */
static void no_argument_in_the_wrong_place_is_sent_in_clear(void **state)
{
    (void)state;
    for (size_t multi = 0; multi < 2; multi++) {
        for (size_t i = 0; i < COUNT(mistakes); i++) {
            proxy_peers_end(&p);
            proxy_peers_begin(&p);
            struct proxy_peer *c = proxy_accept(&p);
            if (multi == 1) {
                ASKS(c, "MULTI");
                proxy_heard_is(c, "+OK\r\n");
            }
            client_asks(c, mistakes[i].words, mistakes[i].count);
            if (p.link_count == 0) { /* refused here */
                assert_int_equal(heard_answers(c, 1, false).kind, ARILI_RESP_ERROR);
                continue;
            }
            const aril_bytes sent = proxy_heard(proxy_link(&p, 0));
            if (holds(sent, "secret")) {
                fail_msg("%s sends its argument in clear", mistakes[i].words[0]);
            }
        }
    }
}

/* And what is right is sent as it is. */
static void arguments_in_their_place_are_sent(void **state)
{
    (void)state;
    static const struct {
        const char *words[8];
        size_t count;
        const char *there;
    } right[] = {
        { { "SETEX", "k", "-77", "v" }, 4, "$3\r\n-77\r\n" },
        { { "SET", "k", "v", "PX", "4711", "NX" }, 6, "$2\r\nPX\r\n$4\r\n4711\r\n$2\r\nNX\r\n" },
        { { "EXPIRE", "k", "-1", "GT" }, 4, "$2\r\n-1\r\n$2\r\nGT\r\n" },
        { { "EXPIRE", "k", "99999999999999999999", "lt" }, 4, "$20\r\n99999999999999999999\r\n" },
        { { "GETEX", "k", "EX", "0" }, 4, "$2\r\nEX\r\n$1\r\n0\r\n" },
        { { "SPOP", "k", "2" }, 3, "$1\r\n2\r\n" },
        { { "HRANDFIELD", "k", "-5", "withvalues" }, 4, "$2\r\n-5\r\n$10\r\nwithvalues\r\n" },
        { { "HSCAN", "k", "17", "COUNT", "100" }, 5, "$2\r\n17\r\n$5\r\nCOUNT\r\n$3\r\n100\r\n" },
        { { "SCAN", "0", "TYPE", "hash" }, 4, "$4\r\nTYPE\r\n$4\r\nhash\r\n" },
        { { "MEMORY", "USAGE", "k", "SAMPLES", "5" }, 5, "$7\r\nSAMPLES\r\n$1\r\n5\r\n" },
    };
    for (size_t i = 0; i < COUNT(right); i++) {
        proxy_peers_end(&p);
        proxy_peers_begin(&p);
        struct proxy_peer *c = proxy_accept(&p);
        client_asks(c, right[i].words, right[i].count);
        if (!holds(proxy_heard(proxy_link(&p, 0)), right[i].there)) {
            fail_msg("%s sends something else", right[i].words[0]);
        }
    }
}

/* --- GETEX and bad values ------------------------------------------------------------------- */

static struct proxy_peer *getex_of_a_bad_value(struct proxy_peer *c)
{
    aril_bytes args[8];
    struct sealed v;
    sealed_set(c, 0, "k", "the plaintext", &v);
    v.bytes[v.len - 1] ^= 1;
    ASKS(c, "GETEX", "k", "EX", "100");
    struct proxy_peer *s = proxy_link(&p, 0);
    (void)proxy_command_is(s, "WATCH", args, COUNT(args));
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    proxy_say(s, TEXT("+OK\r\n"));
    sealed_say(s, &v);
    return s;
}

static void getex_tells_of_a_bad_value_and_has_it_removed(void **state)
{
    (void)state;
    aril_bytes args[8];
    struct proxy_peer *c = proxy_accept(&p);
    (void)getex_of_a_bad_value(c);
    proxy_heard_is(c, ""); /* not before it is gone */
    assert_int_equal(world_events(&p.w, ARIL_EVENT_AUTH_FAILURE), 1);
    struct proxy_peer *s = proxy_link(&p, p.link_count - 1);
    (void)proxy_command_is(s, "WATCH", args, COUNT(args));
    (void)proxy_command_is(s, "GETRANGE", args, COUNT(args));
    proxy_say(s, TEXT("+OK\r\n$-1\r\n"));
    proxy_heard_is(c, "$-1\r\n");
}

static void with_errors_getex_of_a_bad_value_is_one(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    (void)getex_of_a_bad_value(c);
    proxy_heard_begins(c, "-ERR aril: the value of this key is not what was put there");
    assert_int_equal(world_events(&p.w, ARIL_EVENT_AUTH_FAILURE), 1);
}

/* --- Silence, with noise -------------------------------------------------------------------- */

static void messages_that_nobody_asked_for_are_no_answer(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "GET", "k");
    struct proxy_peer *s = proxy_link(&p, 0);
    for (unsigned i = 0; i < 10; i++) {
        proxy_say(s, TEXT(">1\r\n+x\r\n"));
        proxy_tick(&p, 1000);
        assert_false(proxy_is_closed(s));
    }
    proxy_tick(&p, 1000);
    assert_true(proxy_is_closed(s));
    assert_int_equal(heard_answers(c, 1, false).kind, ARILI_RESP_ERROR);
}

int main(void)
{
#define T(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
    const struct CMUnitTest tests[] = {
        T(a_bad_value_of_a_server_that_is_down_is_nil_and_no_more, setup),
        T(a_bad_value_without_keys_to_remove_it_is_nil_and_no_more, setup),
        T(select_in_a_transaction_is_refused_and_never_sent, setup),
        T(a_client_cannot_become_another_in_a_transaction, setup),
        T(no_argument_in_the_wrong_place_is_sent_in_clear, setup),
        T(arguments_in_their_place_are_sent, setup),
        T(getex_tells_of_a_bad_value_and_has_it_removed, setup),
        T(with_errors_getex_of_a_bad_value_is_one, setup_error),
        T(messages_that_nobody_asked_for_are_no_answer, setup),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
