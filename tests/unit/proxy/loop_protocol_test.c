/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "proxy/auth.h"
#include "proxy/loop_internal.h"
#include "proxy_sealed.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

/* RESP2 and RESP3 of one client, and two tenants one after the other, with answers under way. */

/* "correct horse" and "battery staple", as in passphrase_test.c. */
#define USERS                                                            \
    "alice:horse:argon2id:7168,5,1:7369787465656e2d62797465732d6162:"    \
    "b36f3fad576c0ddc24a3737d0551210f41f1b1291d372756e1976603765b214d:7" \
    "\n"                                                                 \
    "bob:staple:argon2id:16384,3,4:7369787465656e2d62797465732d6364:"    \
    "e7c012fb1279b23313292441b0121bcf6ed4e9731a17a01d2c854ee4ce50f015:7\n"

static struct proxy_peers p;

static int setup(void **state)
{
    (void)state;
    proxy_peers_init(&p, proxy_peers_config());
    return 0;
}
static int setup_users(void **state)
{
    (void)state;
    aril_error error;
    struct arili_proxy_config *config = proxy_peers_config();
    struct arili_listen_config *l = &config->listeners[0];
    arili_free(l->tenant, strlen(l->tenant) + 1);
    l->tenant = NULL;
    l->auth = ARILI_AUTH_PASSWORD;
    proxy_peers_init(&p, config);
    assert_status(arili_credentials_parse(p.w.rt, "users", TEXT(USERS),
                                          &p.proxy->settings->credentials, &error),
                  ARIL_OK);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static void speak_resp3(struct proxy_peer *c)
{
    ASKS(c, "HELLO", "3");
    assert_int_equal(heard_answers(c, 1, true).kind, ARILI_RESP_MAP);
}

/* --- Kinds ---------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    bool only_resp3;
} answers[] = {
    { ":-5\r\n", false },
    { "+OK\r\n", false },
    { "-ERR it is so\r\n", false },
    { "$3\r\nabc\r\n", false },
    { "$0\r\n\r\n", false },
    { "*2\r\n:1\r\n*1\r\n$1\r\nx\r\n", false },
    { "*0\r\n", false },
    { "_\r\n", true },
    { "#t\r\n", true },
    { "#f\r\n", true },
    { ",1.5\r\n", true },
    { ",inf\r\n", true },
    { "(12345678901234567890123\r\n", true },
    { "!7\r\nERR one\r\n", true },
    { "=7\r\ntxt:abc\r\n", true },
    { "%1\r\n+a\r\n~1\r\n:1\r\n", true },
    { "|1\r\n+ttl\r\n:5\r\n$3\r\nabc\r\n", true },
    { "*2\r\n|1\r\n+a\r\n_\r\n:1\r\n,2.5\r\n", true },
};

static void in_resp3_each_kind_is_passed_on_as_it_is(void **state)
{
    (void)state;
    for (p.step = 0; p.step < 3; p.step++) {
        for (size_t i = 0; i < COUNT(answers); i++) {
            proxy_peers_end(&p);
            const size_t step = p.step;
            proxy_peers_begin(&p);
            p.step = step;
            struct proxy_peer *c = proxy_accept(&p);
            speak_resp3(c);
            ASKS(c, "TTL", "k");
            ASKS(c, "PING");
            proxy_say(proxy_link(&p, 0), text_bytes(answers[i].text));
            char all[128];
            (void)snprintf(all, sizeof all, "%s+PONG\r\n", answers[i].text);
            proxy_heard_is(c, all);
        }
    }
}

static void in_resp2_no_kind_of_resp3_reaches_a_client(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(answers); i++) {
        proxy_peers_end(&p);
        proxy_peers_begin(&p);
        struct proxy_peer *c = proxy_accept(&p);
        ASKS(c, "TTL", "k");
        proxy_say(proxy_link(&p, 0), text_bytes(answers[i].text));
        if (!answers[i].only_resp3) {
            proxy_heard_is(c, answers[i].text);
            continue;
        }
        if (answers[i].text[0] == '_') { /* which RESP2 says in another way */
            proxy_heard_is(c, "$-1\r\n");
            continue;
        }
        assert_true(proxy_is_closed(&p.links[0]));
        if (!proxy_is_closed(c)) { /* else part of it was told */
            assert_int_equal(heard_answers(c, 1, false).kind, ARILI_RESP_ERROR);
        } else {
            assert_int_equal(answers[i].text[0], '*');
        }
    }
}

/* --- Changes in mid-pipeline ---------------------------------------------------------------- */

static void answers_before_hello_are_in_the_protocol_of_before(void **state)
{
    (void)state;
    aril_bytes args[8];
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    sealed_set(c, 0, "k", "the plaintext", &v);
    struct proxy_peer *s = &p.links[0];
    proxy_say(c, TEXT("GET k\r\nMGET k l\r\nHELLO 3\r\nGET l\r\nHELLO 2\r\nGET l\r\n"));
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    (void)proxy_command_is(s, "MGET", args, COUNT(args));
    size_t count = 0;
    assert_false(proxy_command(s, args, COUNT(args), &count));
    proxy_say(s, TEXT("$-1\r\n*2\r\n"));
    sealed_say(s, &v);
    proxy_say(s, TEXT("$-1\r\n"));
    proxy_heard_begins(c, "$-1\r\n*2\r\n$13\r\nthe plaintext\r\n$-1\r\n%");
    (void)proxy_command_is(s, "HELLO", args, COUNT(args));
    assert_memory_equal(args[1].data, "3", 1);
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    proxy_say(s, TEXT("%0\r\n_\r\n"));
    const aril_bytes heard = proxy_heard(c);
    assert_true(heard.len > 4);
    assert_memory_equal(heard.data, "_\r\n*", 4); /* and the map of HELLO 2 */
    (void)proxy_command_is(s, "HELLO", args, COUNT(args));
    assert_memory_equal(args[1].data, "2", 1);
    (void)proxy_command_is(s, "GET", args, COUNT(args));
    proxy_say(s, TEXT("*0\r\n$-1\r\n"));
    proxy_heard_is(c, "$-1\r\n");
}

/* What alice asked is answered for alice; what is asked after that, for bob, who cannot read it. */
static void a_client_that_becomes_another_tenant_has_its_answers_first(void **state)
{
    (void)state;
    aril_bytes args[8];
    uint8_t name[256];
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "AUTH", "alice", "correct horse");
    proxy_heard_is(c, "+OK\r\n");
    sealed_set(c, 0, "k", "the plaintext", &v);
    struct proxy_peer *s = &p.links[0];
    proxy_say(c, TEXT("GET k\r\nAUTH bob \"battery staple\"\r\nGET k\r\nPING\r\n"));
    assert_int_equal(proxy_command_is(s, "GET", args, COUNT(args)), 2);
    const size_t len = args[1].len;
    assert_true(len <= sizeof name);
    memcpy(name, args[1].data, len);
    size_t count = 0;
    assert_false(proxy_command(s, args, COUNT(args), &count));
    proxy_heard_is(c, "");
    sealed_say(s, &v);
    proxy_heard_is(c, "$13\r\nthe plaintext\r\n+OK\r\n");
    assert_int_equal(proxy_command_is(s, "GET", args, COUNT(args)), 2);
    assert_true(args[1].len != len || memcmp(args[1].data, name, len) != 0);
    sealed_say(s, &v);
    sealed_removal(&p, 1, "UNLINK", sealed_head(&v));
    proxy_heard_is(c, "$-1\r\n+PONG\r\n");
    assert_int_equal(sealed_tampered(&p), 1);
}

static void a_wrong_passphrase_leaves_a_client_who_it_was(void **state)
{
    (void)state;
    struct sealed v;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "AUTH", "alice", "correct horse");
    proxy_heard_is(c, "+OK\r\n");
    sealed_set(c, 0, "k", "the plaintext", &v);
    proxy_say(c, TEXT("AUTH bob wrong\r\nGET k\r\n"));
    sealed_say(&p.links[0], &v);
    proxy_heard_is(c, "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
                      "$13\r\nthe plaintext\r\n");
}

/* A name with a line end would be a line of CLIENT LIST. */
static void hello_takes_the_names_that_setname_takes(void **state)
{
    (void)state;
    struct proxy_peer *c = proxy_accept(&p);
    ASKS(c, "HELLO", "2", "SETNAME", "a\nb");
    proxy_heard_is(c,
                   "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    ASKS(c, "CLIENT", "GETNAME");
    proxy_heard_is(c, "$-1\r\n");
    ASKS(c, "CLIENT", "SETNAME", "web1");
    proxy_heard_is(c, "+OK\r\n");
    ASKS(c, "HELLO", "2", "SETNAME", "a b");
    proxy_heard_is(c,
                   "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
    ASKS(c, "CLIENT", "GETNAME");
    proxy_heard_is(c, "$4\r\nweb1\r\n");
}

int main(void)
{
#define T(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
    const struct CMUnitTest tests[] = {
        T(in_resp3_each_kind_is_passed_on_as_it_is, setup),
        T(in_resp2_no_kind_of_resp3_reaches_a_client, setup),
        T(answers_before_hello_are_in_the_protocol_of_before, setup),
        T(a_client_that_becomes_another_tenant_has_its_answers_first, setup_users),
        T(hello_takes_the_names_that_setname_takes, setup),
        T(a_wrong_passphrase_leaves_a_client_who_it_was, setup_users),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
