/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_sealed.h"
#include "proxy/loop_internal.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

/* Servers that answer garbage, the wrong thing, half of it, or too much: the client hears one
 * answer for each command, in order, and never a value that nobody verified. */

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

static void again(void)
{
    proxy_peers_end(&p);
    proxy_peers_begin(&p);
}

/* The client of a link that said nonsense heard an error, and is served on; also when what it found
 * cannot be removed, because the server goes. */
static void expect_served_on(struct proxy_peer *c, bool resp3)
{
    assert_false(proxy_is_closed(c));
    for (size_t i = 0; i < p.link_count; i++) {
        proxy_go(&p.links[i]);
    }
    proxy_say(c, TEXT("PING\r\n"));
    const struct heard h = heard_answers(c, 1, resp3);
    assert_int_equal(h.kind, ARILI_RESP_SIMPLE);
    assert_int_equal(h.text.len, 4);
}

/* --- What is no RESP ------------------------------------------------------------------------ */

#define NINE "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
#define DEEP NINE NINE ":1\r\n" /* arrays, one in the other */

static const char *const garbage[] = {
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    "?\r\n",
    "$5\r\nhelloXX",
    "$99999999999999999999\r\n",
    "*1000000000000000000\r\n",
    "$-2\r\n",
    "*-2\r\n",
    ":1x\r\n",
    "$?\r\n",
    "+OK\nx\r\n",
    DEEP,
    "+OK\r\n+OK\r\n", /* one too many */
};

static void garbage_ends_the_link_and_answers_with_an_error(void **state)
{
    (void)state;
    for (size_t step = 0; step < 2; step++) {
        for (size_t i = 0; i < COUNT(garbage); i++) {
            again();
            p.step = step;
            struct proxy_peer *c = proxy_accept(&p);
            proxy_say(c, TEXT("TTL k\r\n"));
            struct proxy_peer *s = proxy_link(&p, 0);
            proxy_say(s, text_bytes(garbage[i]));
            assert_true(proxy_is_closed(s));
            if (strncmp(garbage[i], "$5", 2) == 0 || strncmp(garbage[i], "*1\r", 3) == 0) {
                assert_true(proxy_is_closed(c)); /* some of it was passed on already */
                continue;
            }
            const struct heard h = heard_answers(c, 1, false);
            if (i + 1 < COUNT(garbage)) {
                assert_int_equal(h.kind, ARILI_RESP_ERROR);
            }
            expect_served_on(c, false);
        }
    }
}

static void a_server_that_speaks_unasked_is_left(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "TTL", "k");
    struct proxy_peer *s = proxy_link(&p, 0);
    proxy_say(s, TEXT(":-2\r\n"));
    proxy_heard_is(c, ":-2\r\n");
    proxy_say(s, TEXT("$5\r\nhello\r\n"));
    assert_true(proxy_is_closed(s));
    expect_served_on(c, false);
}

static void a_refused_log_in_is_told(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "GET", "k");
    p.links[0].connecting = false;
    arili_loop_connected(p.links[0].peer, p.now_ns);
    proxy_say(&p.links[0], TEXT("-WRONGPASS no\r\n"));
    assert_true(proxy_is_closed(&p.links[0]));
    proxy_heard_is(c, "-ERR aril: the connection to the server was lost before it answered: "
                      "WRONGPASS no\r\n");
    expect_served_on(c, false);
}

/* --- What is RESP and not the answer -------------------------------------------------------- */

/* One of each kind, all of which are no values of GET; the last ones are of RESP3. */
static const char *const fakes[] = {
    "+fake\r\n",
    ":4711\r\n",
    "*1\r\n$4\r\nfake\r\n",
    "*0\r\n",
    "*2\r\n*1\r\n$4\r\nfake\r\n$4\r\nfake\r\n",
    "#t\r\n",
    ",4.7\r\n",
    "(4711\r\n",
    "!4\r\nfake\r\n",
    "=8\r\ntxt:fake\r\n",
    "%1\r\n$4\r\nfake\r\n$4\r\nfake\r\n",
    "~1\r\n$4\r\nfake\r\n",
    "|1\r\n$4\r\nfake\r\n$4\r\nfake\r\n*1\r\n$4\r\nfake\r\n",
};

static const struct asked {
    const char *words[6];
    size_t count;
} commands[] = {
    { { "GET", "k" }, 2 },
    { { "MGET", "k", "l" }, 3 },
    { { "HGET", "k", "f" }, 3 },
    { { "HMGET", "k", "f", "g" }, 4 },
    { { "HGETALL", "k" }, 2 },
    { { "HVALS", "k" }, 2 },
    { { "HKEYS", "k" }, 2 },
    { { "SMEMBERS", "k" }, 2 },
    { { "SPOP", "k" }, 2 },
    { { "SPOP", "k", "2" }, 3 },
    { { "HSCAN", "k", "0" }, 3 },
    { { "SSCAN", "k", "0" }, 3 },
    { { "SCAN", "0" }, 2 },
    { { "STRLEN", "k" }, 2 },
    { { "GETDEL", "k" }, 2 },
    { { "HRANDFIELD", "k", "2", "WITHVALUES" }, 4 },
    { { "SET", "k", "v", "GET" }, 4 },
};

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

/* The answer is one value, has nothing of the fake, and the next command is answered as it should
 * be. False: the client was closed. */
static bool try_fake(const struct asked *a, const char *fake, bool resp3)
{
    again();
    struct proxy_peer *c = proxy_accept(&p);
    if (resp3) {
        ASKS(c, "HELLO", "3");
        (void)heard_answers(c, 1, true);
    }
    client_asks(c, a->words, a->count);
    struct proxy_peer *s = proxy_link(&p, 0);
    proxy_say(s, text_bytes(fake));
    for (size_t i = 1; i < p.link_count; i++) { /* a removal: it is not to hold up the answer */
        proxy_go(proxy_link(&p, i));
    }
    const aril_bytes heard = { c->heard + c->heard_at, c->heard_len - c->heard_at };
    if (holds(heard, "fake") || holds(heard, "4711")) {
        fail_msg("%s was answered with %s", a->words[0], fake);
    }
    if (heard.len == 0 && !proxy_is_closed(c)) {
        fail_msg("%s and %s have no answer", a->words[0], fake);
    }
    if (!proxy_is_closed(c)) { /* else it was half told, and could not be told better */
        (void)heard_answers(c, 1, resp3);
        expect_served_on(c, resp3);
    }
    return !proxy_is_closed(c);
}

static void no_fake_answer_reaches_a_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(commands); i++) {
        for (size_t f = 0; f < COUNT(fakes); f++) {
            if (strcmp(commands[i].words[0], "STRLEN") == 0 && fakes[f][0] == ':') {
                continue; /* a number is what it is for */
            }
            const bool in_pieces =
                strstr(commands[i].words[0], "MGET") != NULL && strncmp(fakes[f], "*2", 2) == 0;
            const bool two = try_fake(&commands[i], fakes[f], false);
            const bool three = try_fake(&commands[i], fakes[f], true);
            if (!in_pieces && (!two || !three)) {
                fail_msg("%s and %s close the client", commands[i].words[0], fakes[f]);
            }
        }
    }
}

/* Lists whose elements are of another kind, or too few or too many. */
static const struct {
    struct asked a;
    const char *answer;
} lists[] = {
    { { { "MGET", "k", "l" }, 3 }, "*1\r\n$-1\r\n" },
    { { { "MGET", "k", "l" }, 3 }, "*3\r\n$-1\r\n$-1\r\n$4\r\nfake\r\n" },
    { { { "MGET", "k", "l" }, 3 }, "*2\r\n$-1\r\n+fake\r\n" },
    { { { "MGET", "k", "l" }, 3 }, "*2\r\n$-1\r\n:4711\r\n" },
    { { { "MGET", "k", "l" }, 3 }, "*2\r\n$-1\r\n*1\r\n$4\r\nfake\r\n" },
    { { { "MGET", "k", "l" }, 3 }, "*2\r\n$-1\r\n-fake\r\n" },
    { { { "HMGET", "k", "f" }, 3 }, "*2\r\n$-1\r\n$4\r\nfake\r\n" },
    { { { "HGETALL", "k" }, 2 }, "*2\r\n:4711\r\n:4711\r\n" },
    { { { "HGETALL", "k" }, 2 }, "*1\r\n$4\r\nfake\r\n" },
    { { { "HGETALL", "k" }, 2 }, "*2\r\n*1\r\n$4\r\nfake\r\n$4\r\nfake\r\n" },
    { { { "HGETALL", "k" }, 2 }, "*2\r\n$4\r\nfake\r\n$-1\r\n" },
    { { { "HVALS", "k" }, 2 }, "*2\r\n$4\r\nfake\r\n+fake\r\n" },
    { { { "HKEYS", "k" }, 2 }, "*1\r\n+fake\r\n" },
    { { { "HKEYS", "k" }, 2 }, "*1\r\n$-1\r\n" },
    { { { "SMEMBERS", "k" }, 2 }, "*2\r\n:4711\r\n+fake\r\n" },
    { { { "SMEMBERS", "k" }, 2 }, "*1\r\n*1\r\n$4\r\nfake\r\n" },
    { { { "SMEMBERS", "k" }, 2 }, "*1\r\n$-1\r\n" },
    { { { "SCAN", "0" }, 2 }, "*2\r\n$1\r\n0\r\n*1\r\n+fake\r\n" },
    { { { "SCAN", "0" }, 2 }, "*2\r\n$1\r\n0\r\n$4\r\nfake\r\n" },
    { { { "SCAN", "0" }, 2 }, "*2\r\n*0\r\n*0\r\n" },
    { { { "SCAN", "0" }, 2 }, "*1\r\n$1\r\n0\r\n" },
    { { { "SCAN", "0" }, 2 }, "*3\r\n$1\r\n0\r\n*0\r\n*0\r\n" },
    { { { "SCAN", "0" }, 2 }, "*2\r\n:0\r\n*0\r\n" },
    { { { "SCAN", "0" }, 2 }, "*2\r\n$4\r\nfake\r\n*0\r\n" },
    { { { "SCAN", "0" }, 2 }, "*2\r\n$0\r\n\r\n*0\r\n" },
    { { { "SCAN", "0" }, 2 }, "*2\r\n$21\r\n123456789012345678901\r\n*0\r\n" },
    { { { "SCAN", "0" }, 2 }, "*2\r\n$1\r\n0\r\n*-1\r\n" },
    { { { "HSCAN", "k", "0" }, 3 }, "*2\r\n$1\r\n0\r\n*1\r\n$4\r\nfake\r\n" },
    { { { "HSCAN", "k", "0" }, 3 }, "*2\r\n$1\r\n0\r\n*2\r\n+fake\r\n+fake\r\n" },
    { { { "SSCAN", "k", "0" }, 3 }, "*2\r\n$1\r\n0\r\n*1\r\n:4711\r\n" },
};

static void no_fake_element_reaches_a_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(lists); i++) {
        const bool in_pieces = strstr(lists[i].a.words[0], "MGET") != NULL;
        assert_true(try_fake(&lists[i].a, lists[i].answer, false) || in_pieces);
        assert_true(try_fake(&lists[i].a, lists[i].answer, true) || in_pieces);
    }
}

static void exec_answers_must_be_those_of_its_commands(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "*1\r\n$-1\r\n",
        "*3\r\n$-1\r\n$-1\r\n$-1\r\n",
        "*2\r\n+fake\r\n*0\r\n",
        "*2\r\n$-1\r\n*1\r\n+fake\r\n",
        "*2\r\n*0\r\n$-1\r\n",
        "+fake\r\n",
        ":4711\r\n",
        "$4\r\nfake\r\n",
        "*0\r\n",
        "%1\r\n$-1\r\n*0\r\n",
    };
    for (size_t i = 0; i < COUNT(answers); i++) {
        again();
        struct proxy_peer *c = proxy_accept(&p);
        proxy_say(c, TEXT("MULTI\r\nGET k\r\nSMEMBERS m\r\nEXEC\r\n"));
        struct proxy_peer *s = proxy_link(&p, 0);
        proxy_say(s, TEXT("+OK\r\n+QUEUED\r\n+QUEUED\r\n"));
        proxy_heard_is(c, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
        proxy_say(s, text_bytes(answers[i]));
        const aril_bytes heard = { c->heard + c->heard_at, c->heard_len - c->heard_at };
        assert_false(holds(heard, "fake") || holds(heard, "4711"));
        if (!proxy_is_closed(c)) { /* else it was half told, and could not be told better */
            (void)heard_answers(c, 1, false);
            expect_served_on(c, false);
        }
        assert_true(proxy_is_closed(s));
    }
}

/* --- Half an answer ------------------------------------------------------------------------- */

static void a_server_that_dies_at_any_byte_of_a_value_gives_an_error(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    const size_t all = v.len + sizeof "$142\r\n\r\n" - 1;
    for (size_t cut = 0; cut < all; cut++) {
        again();
        char line[32];
        c = proxy_accept(&p);
        ASKS(c, "GET", "k");
        struct proxy_peer *s = proxy_link(&p, 0);
        const int n = snprintf(line, sizeof line, "$%zu\r\n", v.len);
        uint8_t answer[8192];
        memcpy(answer, line, (size_t)n);
        memcpy(answer + n, v.bytes, v.len);
        memcpy(answer + (size_t)n + v.len, "\r\n", 2);
        proxy_say(s, (aril_bytes){ answer, cut });
        proxy_heard_is(c, "");
        proxy_go(s);
        assert_int_equal(heard_answers(c, 1, false).kind, ARILI_RESP_ERROR);
        expect_served_on(c, false);
    }
}

static void every_command_under_way_hears_of_a_dead_server_once(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    for (unsigned i = 0; i < 20; i++) {
        ASKS(c, "GET", "k");
    }
    ASKS(c, "PING");
    struct proxy_peer *s = proxy_link(&p, 0);
    proxy_say(s, TEXT("$-1\r\n$-1\r\n$-"));
    proxy_go(s);
    assert_int_equal(heard_answers(c, 21, false).kind, ARILI_RESP_NIL);
    expect_served_on(c, false);
}

static void a_server_that_is_silent_is_left_in_time(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "GET", "k");
    struct proxy_peer *s = proxy_link(&p, 0);
    proxy_tick(&p, 9000);
    proxy_heard_is(c, "");
    proxy_tick(&p, 2000);
    assert_true(proxy_is_closed(s));
    assert_int_equal(heard_answers(c, 1, false).kind, ARILI_RESP_ERROR);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(garbage_ends_the_link_and_answers_with_an_error),
        T(a_server_that_speaks_unasked_is_left),
        T(a_refused_log_in_is_told),
        T(no_fake_answer_reaches_a_client),
        T(no_fake_element_reaches_a_client),
        T(exec_answers_must_be_those_of_its_commands),
        T(a_server_that_dies_at_any_byte_of_a_value_gives_an_error),
        T(every_command_under_way_hears_of_a_dead_server_once),
        T(a_server_that_is_silent_is_left_in_time),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
