/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/loop_internal.h"
#include "proxy_sealed.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

/* Answers with many elements of which one is bad: it is left out, or the whole answer is an error,
 * as the policy says. And what is left out takes nothing with it. */

#define FIELDS 3u

static struct proxy_peers p;
static struct proxy_peer *c;
static struct sealed fields[FIELDS], values[FIELDS], members[FIELDS];

/* A set "s" with members m0, m1, m2. */
static void seal_members(void)
{
    aril_bytes args[8];
    struct proxy_peer *s = &p.links[0];
    ASKS(c, "SADD", "s", "m0", "m1", "m2");
    assert_int_equal(proxy_command_is(s, "SADD", args, COUNT(args)), 2 + FIELDS);
    for (size_t i = 0; i < FIELDS; i++) {
        assert_true(args[2 + i].len <= sizeof members[i].bytes);
        memcpy(members[i].bytes, args[2 + i].data, args[2 + i].len);
        members[i].len = args[2 + i].len;
    }
    proxy_say(s, TEXT(":3\r\n"));
    proxy_heard_is(c, ":3\r\n");
}

static int setup_as(enum arili_on_tamper on_tamper)
{
    struct arili_proxy_config *config = proxy_peers_config();
    config->policies[0].on_tamper = on_tamper;
    proxy_peers_init(&p, config);
    c = proxy_accept(&p);
    sealed_hset(c, 0, "h", "f0", "first", &fields[0], &values[0]);
    sealed_hset(c, 0, "h", "f1", "second one", &fields[1], &values[1]);
    sealed_hset(c, 0, "h", "f2", "third", &fields[2], &values[2]);
    seal_members();
    world_forget(&p.w);
    return 0;
}
static int setup_nil(void **state)
{
    (void)state;
    return setup_as(ARILI_TAMPER_NIL);
}
static int setup_error(void **state)
{
    (void)state;
    return setup_as(ARILI_TAMPER_ERROR);
}
static int teardown(void **state)
{
    (void)state;
    proxy_peers_done(&p);
    return 0;
}

static uint64_t tampered(void)
{
    uint64_t n = 0;
    for (struct arili_tenant *t = p.proxy->tenants; t != NULL; t = t->next) {
        n += arili_figure(&t->figures.tampered);
    }
    return n;
}

static struct sealed changed(const struct sealed *from)
{
    struct sealed bad = *from;
    bad.bytes[bad.len - 1] = bad.bytes[bad.len - 1] == 'A' ? 'Q' : 'A';
    return bad;
}

/* --- The server's answers ------------------------------------------------------------------- */

static void say_count(char type, size_t n)
{
    char line[32];
    const int len = snprintf(line, sizeof line, "%c%zu\r\n", type, n);
    proxy_say(&p.links[0], (aril_bytes){ (const uint8_t *)line, (size_t)len });
}

static void say_pairs(const struct sealed f[static FIELDS], const struct sealed v[static FIELDS])
{
    say_count('*', 2 * FIELDS);
    for (size_t i = 0; i < FIELDS; i++) {
        sealed_say(&p.links[0], &f[i]);
        sealed_say(&p.links[0], &v[i]);
    }
}

static void say_list(const struct sealed all[static FIELDS])
{
    say_count('*', FIELDS);
    for (size_t i = 0; i < FIELDS; i++) {
        sealed_say(&p.links[0], &all[i]);
    }
}

static void begin_scan(void)
{
    proxy_say(&p.links[0], TEXT("*2\r\n$2\r\n17\r\n"));
}

/* --- Skipped ones --------------------------------------------------------------------------- */

static void fields_that_do_not_match_take_their_values_with_them(void **state)
{
    (void)state;
    static const char *const answers[FIELDS] = {
        "*2\r\n$2\r\n17\r\n*2\r\n$2\r\nf0\r\n$5\r\nfirst\r\n",
        "*2\r\n$2\r\n17\r\n*2\r\n$2\r\nf1\r\n$10\r\nsecond one\r\n",
        "*2\r\n$2\r\n17\r\n*2\r\n$2\r\nf2\r\n$5\r\nthird\r\n",
    };
    for (size_t i = 0; i < FIELDS; i++) { /* in front of it, behind it, and both */
        const char pattern[] = { 'f', (char)('0' + i), '\0' };
        ASKS(c, "HSCAN", "h", "0", "MATCH", pattern);
        begin_scan();
        say_pairs(fields, values);
        proxy_heard_is(c, answers[i]);
    }
    ASKS(c, "HSCAN", "h", "0", "MATCH", "g*");
    begin_scan();
    say_pairs(fields, values);
    proxy_heard_is(c, "*2\r\n$2\r\n17\r\n*0\r\n");
    ASKS(c, "HSCAN", "h", "0");
    begin_scan();
    say_pairs(fields, values);
    proxy_heard_is(c,
                   "*2\r\n$2\r\n17\r\n*6\r\n$2\r\nf0\r\n$5\r\nfirst\r\n$2\r\nf1\r\n$10\r\nsecond "
                   "one\r\n$2\r\nf2\r\n$5\r\nthird\r\n");
    assert_int_equal(tampered(), 0);
}

static void members_that_do_not_match_are_left_out(void **state)
{
    (void)state;
    ASKS(c, "SSCAN", "s", "0", "MATCH", "m1");
    begin_scan();
    say_list(members);
    proxy_heard_is(c, "*2\r\n$2\r\n17\r\n*1\r\n$2\r\nm1\r\n");
}

/* --- Bad ones ------------------------------------------------------------------------------- */

#define TAMPERED_TEXT "-ERR aril: the value of this key is not what was put there"

/* Lists in which element i is bad, at its value or at its name. */
static void ask_and_say(size_t what, size_t i, bool name)
{
    struct sealed f[FIELDS], v[FIELDS], m[FIELDS];
    memcpy(f, fields, sizeof f);
    memcpy(v, values, sizeof v);
    memcpy(m, members, sizeof m);
    m[i] = changed(&m[i]);
    if (name) {
        f[i] = changed(&f[i]);
    } else {
        v[i] = changed(&v[i]);
    }
    switch (what) {
    case 0:
        ASKS(c, "HGETALL", "h");
        say_pairs(f, v);
        break;
    case 1:
        ASKS(c, "HVALS", "h");
        say_pairs(f, v);
        break;
    case 2:
        ASKS(c, "HSCAN", "h", "0");
        begin_scan();
        say_pairs(f, v);
        break;
    case 3:
        ASKS(c, "HRANDFIELD", "h", "3", "WITHVALUES");
        say_pairs(f, v);
        break;
    case 4:
        ASKS(c, "HKEYS", "h");
        f[i] = changed(&fields[i]);
        say_list(f);
        break;
    case 5:
        ASKS(c, "SMEMBERS", "s");
        say_list(m);
        break;
    default:
        ASKS(c, "SSCAN", "s", "0");
        begin_scan();
        say_list(m);
        break;
    }
}

static void with_errors_the_whole_list_is_one(void **state)
{
    (void)state;
    uint64_t n = 0;
    for (size_t what = 0; what < 7; what++) {
        for (size_t i = 0; i < 2 * FIELDS; i++) {
            fake_clock_add_s(&p.w.clock, 2); /* one event a second is told */
            ask_and_say(what, i % FIELDS, i >= FIELDS);
            const struct heard heard = heard_answers(c, 1, false);
            assert_int_equal(heard.kind, ARILI_RESP_ERROR);
            assert_int_equal(tampered(), ++n); /* once each */
            assert_true(world_events(&p.w, ARIL_EVENT_AUTH_FAILURE) == n || n > ARILI_TELLS_BURST);
        }
    }
    ASKS(c, "HGETALL", "h"); /* nothing is left of them */
    say_pairs(fields, values);
    proxy_heard_is(c, "*6\r\n$2\r\nf0\r\n$5\r\nfirst\r\n$2\r\nf1\r\n$10\r\nsecond one\r\n"
                      "$2\r\nf2\r\n$5\r\nthird\r\n");
    assert_int_equal(p.link_count, 1); /* nothing is removed */
}

static void with_errors_what_was_not_asked_for_is_none(void **state)
{
    (void)state;
    struct sealed v[FIELDS];
    memcpy(v, values, sizeof v);
    v[0] = changed(&v[0]);
    ASKS(c, "HSCAN", "h", "0", "MATCH", "f1");
    begin_scan();
    say_pairs(fields, v);
    proxy_heard_is(c, "*2\r\n$2\r\n17\r\n*2\r\n$2\r\nf1\r\n$10\r\nsecond one\r\n");
    assert_int_equal(tampered(), 1);
}

static void with_errors_an_element_that_was_asked_for_is_one(void **state)
{
    (void)state;
    const struct sealed bad = changed(&values[1]);
    ASKS(c, "HMGET", "h", "f0", "f1", "f2");
    say_count('*', FIELDS);
    sealed_say(&p.links[0], &values[0]);
    sealed_say(&p.links[0], &bad);
    sealed_say(&p.links[0], &values[2]);
    const aril_bytes heard = proxy_heard(c);
    static const char begin[] = "*3\r\n$5\r\nfirst\r\n" TAMPERED_TEXT;
    static const char end[] = "\r\n$5\r\nthird\r\n";
    assert_true(heard.len > sizeof begin + sizeof end);
    assert_memory_equal(heard.data, begin, sizeof begin - 1);
    assert_memory_equal(heard.data + heard.len - (sizeof end - 1), end, sizeof end - 1);
}

static void in_a_transaction_only_that_answer_is_an_error(void **state)
{
    (void)state;
    struct sealed v[FIELDS];
    memcpy(v, values, sizeof v);
    v[2] = changed(&v[2]);
    ASKS(c, "MULTI");
    ASKS(c, "HGETALL", "h");
    ASKS(c, "PING");
    ASKS(c, "EXEC");
    proxy_say(&p.links[0], TEXT("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n"));
    say_pairs(fields, v);
    proxy_say(&p.links[0], TEXT("+PONG\r\n"));
    proxy_heard_begins(c, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n" TAMPERED_TEXT);
    ASKS(c, "PING");
    proxy_heard_is(c, "+PONG\r\n");
}

static void without_errors_the_bad_ones_are_left_out(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "*4\r\n$2\r\nf0\r\n$5\r\nfirst\r\n$2\r\nf2\r\n$5\r\nthird\r\n",
        "*2\r\n$5\r\nfirst\r\n$5\r\nthird\r\n",
        "*2\r\n$2\r\n17\r\n*4\r\n$2\r\nf0\r\n$5\r\nfirst\r\n$2\r\nf2\r\n$5\r\nthird\r\n",
        "*4\r\n$2\r\nf0\r\n$5\r\nfirst\r\n$2\r\nf2\r\n$5\r\nthird\r\n",
        "*2\r\n$2\r\nf0\r\n$2\r\nf2\r\n",
        "*2\r\n$2\r\nm0\r\n$2\r\nm2\r\n",
        "*2\r\n$2\r\n17\r\n*2\r\n$2\r\nm0\r\n$2\r\nm2\r\n",
    };
    for (size_t what = 0; what < COUNT(answers); what++) {
        for (size_t i = 0; i < 2; i++) {
            proxy_peers_end(&p);
            proxy_peers_begin(&p);
            c = proxy_accept(&p);
            ASKS(c, "PING");
            proxy_heard_is(c, "+PONG\r\n");
            ASKS(c, "TTL", "h"); /* there is a link */
            proxy_say(proxy_link(&p, 0), TEXT(":-1\r\n"));
            proxy_heard_is(c, ":-1\r\n");
            const uint64_t before = tampered();
            ask_and_say(what, 1, i == 1);
            for (size_t n = 1; n < p.link_count; n++) { /* the removal ends, done or not */
                proxy_go(proxy_link(&p, n));
            }
            proxy_heard_is(c, answers[what]);
            assert_int_equal(tampered(), before + 1);
        }
    }
}

/* --- One alone ------------------------------------------------------------------------------ */

static void ask_for_one(size_t i)
{
    const struct sealed field = changed(&fields[0]);
    const struct sealed member = changed(&members[0]);
    switch (i) {
    case 0:
        ASKS(c, "SPOP", "s");
        break;
    case 1:
        ASKS(c, "SRANDMEMBER", "s");
        break;
    default:
        ASKS(c, "HRANDFIELD", "h");
        break;
    }
    sealed_say(&p.links[0], i == 2 ? &field : &member);
}

static void one_bad_member_or_field_is_nil_and_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ask_for_one(i);
        proxy_heard_is(c, "$-1\r\n");
        assert_int_equal(tampered(), i + 1);
        assert_int_equal(world_events(&p.w, ARIL_EVENT_AUTH_FAILURE), i + 1);
    }
}

static void with_errors_one_bad_member_or_field_is_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ask_for_one(i);
        proxy_heard_begins(c, TAMPERED_TEXT);
        assert_int_equal(tampered(), i + 1);
        assert_int_equal(world_events(&p.w, ARIL_EVENT_AUTH_FAILURE), i + 1);
    }
    ASKS(c, "SPOP", "s"); /* of another key it is as bad, of this one it is right */
    sealed_say(&p.links[0], &members[0]);
    proxy_heard_is(c, "$2\r\nm0\r\n");
}

static void a_member_of_no_bytes_is_a_bad_one(void **state)
{
    (void)state;
    ASKS(c, "SPOP", "s");
    proxy_say(&p.links[0], TEXT("$0\r\n\r\n"));
    proxy_heard_begins(c, TAMPERED_TEXT);
    assert_int_equal(tampered(), 1);
}

int main(void)
{
#define T(name, with) cmocka_unit_test_setup_teardown(name, with, teardown)
    const struct CMUnitTest tests[] = {
        T(fields_that_do_not_match_take_their_values_with_them, setup_nil),
        T(members_that_do_not_match_are_left_out, setup_nil),
        T(with_errors_the_whole_list_is_one, setup_error),
        T(with_errors_what_was_not_asked_for_is_none, setup_error),
        T(with_errors_an_element_that_was_asked_for_is_one, setup_error),
        T(in_a_transaction_only_that_answer_is_an_error, setup_error),
        T(without_errors_the_bad_ones_are_left_out, setup_nil),
        T(one_bad_member_or_field_is_nil_and_told, setup_nil),
        T(with_errors_one_bad_member_or_field_is_one, setup_error),
        T(a_member_of_no_bytes_is_a_bad_one, setup_error),
    };
#undef T
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
