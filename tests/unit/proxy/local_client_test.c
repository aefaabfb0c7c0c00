/* SPDX-License-Identifier: Apache-2.0 */
/* CLIENT and COMMAND, as this proxy answers them. */
#include "check.h"
#include "local_answers.h"
#include <stdio.h>
#include <string.h>

static int set_up(void **state)
{
    static struct local_answers la;
    local_answers_init(&la);
    *state = &la;
    return 0;
}

static int tear_down(void **state)
{
    local_answers_done(*state);
    return 0;
}

static void try_line(struct local_answers *la, const char *line, const char *answer)
{
    local_ask_line(la, line);
    if (strcmp((const char *)la->bytes, answer) != 0 || la->len != strlen(answer)) {
        fail_msg("%s: %s, not %s", line, la->bytes, answer);
    }
}

static void expect_part(const struct local_answers *la, const char *part)
{
    if (strstr((const char *)la->bytes, part) == NULL) {
        fail_msg("\"%s\" is not in: %s", part, la->bytes);
    }
}

/* CLIENT sub bytes, or CLIENT SETINFO option bytes. */
static void ask_bytes(struct local_answers *la, const char *sub, const char *option,
                      aril_bytes bytes)
{
    aril_bytes args[4] = { { (const uint8_t *)"CLIENT", 6 },
                           { (const uint8_t *)sub, strlen(sub) } };
    size_t count = 2;
    if (option != NULL) {
        args[count++] = (aril_bytes){ (const uint8_t *)option, strlen(option) };
    }
    args[count++] = bytes;
    local_ask_args(la, args, count);
}

/* --- Names */

static void a_name_is_kept_until_it_is_taken_back(void **state)
{
    struct local_answers *const la = *state;
    try_line(la, "CLIENT GETNAME", "$-1\r\n");
    la->l.resp3 = true;
    try_line(la, "CLIENT GETNAME", "_\r\n");
    try_line(la, "CLIENT SETNAME lm-cache:1", "+OK\r\n");
    try_line(la, "CLIENT GETNAME", "$10\r\nlm-cache:1\r\n");
    ask_bytes(la, "SETNAME", NULL, (aril_bytes){ NULL, 0 });
    local_expect(la, "+OK\r\n");
    try_line(la, "CLIENT GETNAME", "_\r\n");
}

static void every_byte_that_is_no_part_of_a_word_is_refused_in_names(void **state)
{
    struct local_answers *const la = *state;
    for (unsigned byte = 0; byte < 256; byte++) {
        const uint8_t name[] = { 'a', (uint8_t)byte, 'b' };
        const bool fits = byte > ' ' && byte < 127;
        try_line(la, "CLIENT SETNAME before", "+OK\r\n");
        ask_bytes(la, "SETNAME", NULL, (aril_bytes){ name, sizeof name });
        local_expect(la, fits ? "+OK\r\n"
                              : "-ERR Client names cannot contain spaces, newlines or special "
                                "characters.\r\n");
        if (!fits) {
            assert_string_equal(la->l.name, "before");
        }
        ask_bytes(la, "SETINFO", "LIB-NAME", (aril_bytes){ name, sizeof name });
        local_expect(la, fits ? "+OK\r\n"
                              : "-ERR lib-name cannot contain spaces, newlines or special "
                                "characters.\r\n");
    }
}

static void names_have_an_end(void **state)
{
    struct local_answers *const la = *state;
    static uint8_t name[100000];
    memset(name, 'n', sizeof name);
    ask_bytes(la, "SETNAME", NULL, (aril_bytes){ name, 127 });
    local_expect(la, "+OK\r\n");
    assert_int_equal(strlen(la->l.name), 127);
    static const size_t TOO_LONG[] = { 128, 129, sizeof name };
    for (size_t i = 0; i < COUNT(TOO_LONG); i++) {
        ask_bytes(la, "SETNAME", NULL, (aril_bytes){ name, TOO_LONG[i] });
        local_expect(la, "-ERR Client names have at most 127 bytes here.\r\n");
        assert_int_equal(strlen(la->l.name), 127);
    }
    ask_bytes(la, "SETINFO", "lib-ver", (aril_bytes){ name, 63 });
    local_expect(la, "+OK\r\n");
    assert_int_equal(strlen(la->l.lib_version), 63);
    assert_string_equal(la->l.lib_name, "");
    ask_bytes(la, "SETINFO", "lib-ver", (aril_bytes){ name, 64 });
    local_expect(la, "-ERR lib-ver has at most 63 bytes here.\r\n");
    ask_bytes(la, "SETINFO", "lib\r\n%s", (aril_bytes){ name, 1 });
    local_expect(la, "-ERR Unrecognized option 'lib??%s'\r\n");
}

/* --- What is known of a client */

static void info_has_the_words_of_redis(void **state)
{
    static const char LINE[] =
        "id=7 addr=127.0.0.1:40000 laddr=127.0.0.1:6379 fd=-1 name=n age=23 idle=0 flags=N db=3 "
        "sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 "
        "oll=0 omem=0 tot-mem=0 events=r cmd=client|info user=default redir=-1 resp=2 lib-name=l "
        "lib-ver=1.2\n";
    struct local_answers *const la = *state;
    char answer[1000];
    try_line(la, "CLIENT SETNAME n", "+OK\r\n");
    try_line(la, "CLIENT SETINFO lib-name l", "+OK\r\n");
    try_line(la, "CLIENT SETINFO LIB-VER 1.2", "+OK\r\n");
    la->l.database = 3;
    local_ask(la, "CLIENT", "INFO");
    (void)snprintf(answer, sizeof answer, "$%zu\r\n%s\r\n", strlen(LINE), LINE);
    local_expect(la, answer);
    la->l.resp3 = true;
    la->l.connected_ms = 0; /* not known */
    local_ask(la, "CLIENT", "LIST");
    expect_part(la, "\r\ntxt:id=7 ");
    expect_part(la, " age=0 ");
    expect_part(la, " cmd=client|list user=default redir=-1 resp=3 ");
}

static void a_tenant_cannot_forge_a_word_of_the_line(void **state)
{
    struct local_answers *const la = *state;
    char tenant[300];
    (void)snprintf(tenant, sizeof tenant, "a b\nid=1");
    la->l.tenant = tenant;
    local_ask(la, "CLIENT", "INFO");
    expect_part(la, " user=a?b?id=1 redir=-1 ");
    memset(tenant, 't', sizeof tenant - 1);
    tenant[sizeof tenant - 1] = '\0';
    local_ask(la, "CLIENT", "INFO");
    expect_part(la, "ttt redir=-1 ");
}

static void a_client_is_told_of_itself_alone(void **state)
{
    struct local_answers *const la = *state;
    static const char *const SELF[] = { "CLIENT LIST", "CLIENT LIST TYPE normal",
                                        "CLIENT LIST ID 7", "client list id 1 7 9" };
    static const char *const NOBODY[] = { "CLIENT LIST ID 8", "CLIENT LIST TYPE master",
                                          "CLIENT LIST TYPE pubsub", "CLIENT LIST TYPE replica" };
    for (size_t i = 0; i < COUNT(SELF); i++) {
        local_ask_line(la, SELF[i]);
        expect_part(la, "\r\nid=7 ");
    }
    for (size_t i = 0; i < COUNT(NOBODY); i++) {
        try_line(la, NOBODY[i], "$0\r\n\r\n");
    }
    try_line(la, "CLIENT LIST TYPE x", "-ERR Unknown client type 'x'\r\n");
    try_line(la, "CLIENT LIST TYPE", "-ERR syntax error\r\n");
    try_line(la, "CLIENT LIST x", "-ERR syntax error\r\n");
    try_line(la, "CLIENT LIST ID 0", "-ERR Invalid client ID\r\n");
    try_line(la, "CLIENT LIST ID -7", "-ERR Invalid client ID\r\n");
    try_line(la, "CLIENT LIST ID 7 x", "-ERR Invalid client ID\r\n");
    try_line(la, "CLIENT ID", ":7\r\n");
    local_ask(la, "CLIENT", "KILL", "ID", "1");
    expect_part(la, "-ERR 'client|kill' is refused here. It would act on clients of other");
}

static void switches_that_could_not_hold_are_refused(void **state)
{
    struct local_answers *const la = *state;
    try_line(la, "CLIENT NO-EVICT ON", "+OK\r\n");
    assert_true(la->l.no_evict);
    try_line(la, "CLIENT NO-EVICT off", "+OK\r\n");
    assert_false(la->l.no_evict);
    try_line(la, "CLIENT NO-EVICT x", "-ERR syntax error\r\n");
    try_line(la, "CLIENT NO-TOUCH off", "+OK\r\n");
    try_line(la, "CLIENT NO-TOUCH x", "-ERR syntax error\r\n");
    try_line(la, "CLIENT REPLY ON", "+OK\r\n");
    try_line(la, "CLIENT REPLY x", "-ERR syntax error\r\n");
    static const char *const REFUSED[] = { "CLIENT NO-TOUCH ON", "CLIENT REPLY OFF",
                                           "CLIENT REPLY skip",  "CLIENT TRACKING ON",
                                           "CLIENT CACHING yes", "CLIENT PAUSE 1" };
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        local_ask_line(la, REFUSED[i]);
        assert_memory_equal(la->bytes, "-ERR ", 5);
        expect_part(la, "refused here");
    }
    /* What node-redis sends: the answer must begin as any error of a server that does not know. */
    local_ask_line(la, "CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip");
    assert_memory_equal(la->bytes, "-ERR ", 5);
}

static void nothing_is_tracked_and_nobody_is_blocked(void **state)
{
    struct local_answers *const la = *state;
    try_line(la, "CLIENT GETREDIR", ":-1\r\n");
    try_line(la, "CLIENT TRACKINGINFO",
             "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n"
             "*0\r\n");
    try_line(la, "CLIENT UNBLOCK 99", ":0\r\n");
    try_line(la, "CLIENT UNBLOCK 99 error", ":0\r\n");
    try_line(la, "CLIENT UNBLOCK x", "-ERR value is not an integer or out of range\r\n");
    try_line(la, "CLIENT UNBLOCK 9 x", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
    try_line(la, "CLIENT UNBLOCK 9 error x", "-ERR syntax error\r\n");
}

/* --- COMMAND */

static unsigned number_of(const struct local_answers *la, char type)
{
    unsigned n = 0;
    assert_int_equal(la->bytes[0], type);
    for (size_t i = 1; la->bytes[i] != '\r'; i++) {
        n = n * 10 + (unsigned)(la->bytes[i] - '0');
    }
    return n;
}

static void command_lists_what_is_served(void **state)
{
    struct local_answers *const la = *state;
    local_ask(la, "COMMAND", "COUNT");
    const unsigned count = number_of(la, ':');
    assert_in_range(count, 150, 250);
    static const char *const LINES[] = { "COMMAND", "COMMAND INFO", "COMMAND LIST" };
    for (size_t i = 0; i < COUNT(LINES); i++) {
        local_ask_line(la, LINES[i]);
        assert_int_equal(number_of(la, '*'), count);
        expect_part(la, "\r\n$3\r\nget\r\n");
        expect_part(la, "\r\n$6\r\nxgroup\r\n"); /* with a policy that passes values */
        assert_null(strstr((const char *)la->bytes, "\r\n$4\r\neval\r\n"));
    }
    local_ask(la, "COMMAND", "DOCS");
    assert_int_equal(number_of(la, '*'), 2 * count);
    la->l.resp3 = true;
    local_ask(la, "COMMAND", "DOCS");
    assert_int_equal(number_of(la, '%'), count);
}

static void command_info_has_a_place_for_every_name(void **state)
{
    struct local_answers *const la = *state;
    try_line(la, "COMMAND INFO eval nothing client|kill", "*3\r\n$-1\r\n$-1\r\n$-1\r\n");
    la->l.resp3 = true;
    try_line(la, "COMMAND INFO GET eval Client|Id",
             "*3\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n~3\r\n"
             "+@read\r\n+@string\r\n+@fast\r\n~0\r\n~1\r\n%3\r\n$5\r\nflags\r\n~1\r\n+RO\r\n"
             "$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n%1\r\n$5\r\n"
             "index\r\n:1\r\n$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n"
             "%3\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0\r\n_\r\n"
             "*10\r\n$9\r\nclient|id\r\n:2\r\n~0\r\n:0\r\n:0\r\n:0\r\n~2\r\n+@slow\r\n"
             "+@connection\r\n~0\r\n~0\r\n~0\r\n");
    la->l.resp3 = false;
    local_ask(la, "COMMAND", "INFO", "object");
    expect_part(la, "*5\r\n*10\r\n$15\r\nobject|encoding\r\n:3\r\n");
    local_ask(la, "COMMAND", "INFO", "zunionstore");
    expect_part(la, "+write\r\n+movablekeys\r\n:1\r\n:1\r\n:1\r\n");
    expect_part(la, "$6\r\nkeynum\r\n$4\r\nspec\r\n*6\r\n$9\r\nkeynumidx\r\n:0\r\n$8\r\n"
                    "firstkey\r\n:1\r\n$7\r\nkeystep\r\n:1\r\n");
}

static void command_docs_say_what_the_proxy_does(void **state)
{
    struct local_answers *const la = *state;
    la->l.resp3 = true;
    try_line(
        la, "COMMAND DOCS get nothing eval",
        "%1\r\n$3\r\nget\r\n%3\r\n$7\r\nsummary\r\n$33\r\nThe value is verified and opened.\r\n"
        "$5\r\nsince\r\n$5\r\n1.0.0\r\n$5\r\ngroup\r\n$6\r\nstring\r\n");
    try_line(la, "COMMAND DOCS nothing", "%0\r\n");
    local_ask(la, "COMMAND", "DOCS", "lpush", "memory");
    expect_part(la, "For keys whose values are passed. Elements of lists are not sealed;");
    expect_part(la, "$11\r\nsubcommands\r\n%2\r\n$11\r\nmemory|help\r\n%3\r\n");
    local_ask(la, "COMMAND", "DOCS", "zadd", "ZSCORE");
    expect_part(la, "$10\r\nsorted-set\r\n");
}

static void command_list_can_be_filtered(void **state)
{
    struct local_answers *const la = *state;
    try_line(la, "COMMAND LIST FILTERBY PATTERN getd*", "*1\r\n$6\r\ngetdel\r\n");
    try_line(la, "COMMAND LIST filterby pattern eval", "*0\r\n");
    try_line(la, "COMMAND LIST FILTERBY MODULE x", "*0\r\n");
    try_line(la, "COMMAND LIST FILTERBY ACLCAT nothing", "*0\r\n");
    try_line(la, "COMMAND LIST FILTERBY ACLCAT Transaction",
             "*5\r\n$7\r\ndiscard\r\n$4\r\nexec\r\n$5\r\nmulti\r\n$7\r\nunwatch\r\n$5\r\n"
             "watch\r\n");
    try_line(la, "COMMAND LIST FILTERBY x y", "-ERR syntax error\r\n");
    try_line(la, "COMMAND LIST FILTERBY PATTERN", "-ERR syntax error\r\n");
    try_line(la, "COMMAND LIST x", "-ERR syntax error\r\n");
    try_line(la, "COMMAND LIST FILTERBY PATTERN a b", "-ERR syntax error\r\n");
}

static void command_getkeys_finds_keys(void **state)
{
    struct local_answers *const la = *state;
    try_line(la, "COMMAND GETKEYS MSET a 1 b 2", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    try_line(la, "COMMAND GETKEYS zunionstore d 2 a b", "*3\r\n$1\r\nd\r\n$1\r\na\r\n$1\r\nb\r\n");
    try_line(la, "COMMAND GETKEYS OBJECT FREQ k", "*1\r\n$1\r\nk\r\n");
    try_line(la, "COMMAND GETKEYS get",
             "-ERR wrong number of arguments for 'command|getkeys' "
             "command\r\n");
    try_line(la, "COMMAND GETKEYS nothing x", "-ERR Invalid command specified\r\n");
    try_line(la, "COMMAND GETKEYS echo x", "-ERR The command has no key arguments\r\n");
    try_line(la, "COMMAND GETKEYS set a",
             "-ERR Invalid number of arguments specified for command\r\n");
    try_line(la, "COMMAND GETKEYS zunion 3 a", "-ERR Invalid arguments specified for command\r\n");
    try_line(la, "COMMAND GETKEYS sort a", "-ERR Invalid arguments specified for command\r\n");
    try_line(la, "COMMAND FOO", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_kept_until_it_is_taken_back),
        TEST(every_byte_that_is_no_part_of_a_word_is_refused_in_names),
        TEST(names_have_an_end),
        TEST(info_has_the_words_of_redis),
        TEST(a_tenant_cannot_forge_a_word_of_the_line),
        TEST(a_client_is_told_of_itself_alone),
        TEST(switches_that_could_not_hold_are_refused),
        TEST(nothing_is_tracked_and_nobody_is_blocked),
        TEST(command_lists_what_is_served),
        TEST(command_info_has_a_place_for_every_name),
        TEST(command_docs_say_what_the_proxy_does),
        TEST(command_list_can_be_filtered),
        TEST(command_getkeys_finds_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
