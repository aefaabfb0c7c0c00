/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that need no server. tests/unit/proxy/local_redis_test.c compares them with a server's.
 */
#include "check.h"
#include "local_answers.h"
#include "resp_events.h"
#include <stdio.h>
#include <stdlib.h>
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

/* A line and its answer in RESP2 and, where it is another one, in RESP3. */
struct exchange {
    const char *line, *answer, *answer3;
};

static void try_all(struct local_answers *la, const struct exchange *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (unsigned resp3 = 0; resp3 < 2; resp3++) {
            const char *const answer =
                resp3 != 0 && all[i].answer3 != NULL ? all[i].answer3 : all[i].answer;
            la->l.resp3 = resp3 != 0;
            local_ask_line(la, all[i].line);
            if (strcmp((const char *)la->bytes, answer) != 0 || la->len != strlen(answer)) {
                fail_msg("%s in RESP%u: %s, not %s", all[i].line, 2 + resp3, la->bytes, answer);
            }
        }
    }
    la->l.resp3 = false;
}

/* The answer has this text in it. */
static void expect_part(const struct local_answers *la, const char *part)
{
    if (strstr((const char *)la->bytes, part) == NULL) {
        fail_msg("\"%s\" is not in: %s", part, la->bytes);
    }
}

static void every_row_that_is_answered_here_has_an_answer(void **state)
{
    struct local_answers *const la = *state;
    static const struct arili_resp_limits LIMITS = { .bulk_max = 100000,
                                                     .count_max = 10000,
                                                     .resp3 = true };
    size_t count, answered = 0;
    const struct arili_command *const table = arili_command_table(&count);
    la->l.cluster = true;
    for (size_t i = 0; i < count; i++) {
        if ((table[i].verb != ARILI_VERB_LOCAL && table[i].verb != ARILI_VERB_CLUSTER) ||
            ((table[i].flags & ARILI_COMMAND_CONTAINER) != 0 && table[i].arity != -1)) {
            continue;
        }
        aril_bytes args[8];
        const size_t arity = (size_t)abs(table[i].arity);
        assert_true(arity <= COUNT(args));
        for (size_t a = 0; a < arity; a++) {
            args[a] = (aril_bytes){ (const uint8_t *)"x", 1 };
        }
        arili_local_answer(&la->l, &table[i], args, arity, &la->flow);
        local_take(la);
        assert_null(strstr((const char *)la->bytes, "is refused here. "));
        /* One whole value of the protocol. */
        struct resp_events events = resp_events_of(&LIMITS, (aril_bytes){ la->bytes, la->len }, 0);
        assert_status(events.status, ARIL_OK);
        assert_true(events.is_idle);
        resp_events_free(&events);
        answered++;
    }
    assert_true(answered > 35);
}

static void small_answers_are_those_of_redis(void **state)
{
    static const struct exchange ALL[] = {
        { "PING", "+PONG\r\n", NULL },
        { "ping hello", "$5\r\nhello\r\n", NULL },
        { "PING a b", "-ERR wrong number of arguments for 'ping' command\r\n", NULL },
        { "ECHO hi", "$2\r\nhi\r\n", NULL },
        { "ECHO", "-ERR wrong number of arguments for 'echo' command\r\n", NULL },
        { "TIME", "*2\r\n$10\r\n1700000123\r\n$6\r\n456000\r\n", NULL },
        { "ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", NULL },
        { "MODULE LIST", "*0\r\n", NULL },
        { "ACL WHOAMI", "$7\r\ndefault\r\n", NULL },
        { "READONLY", "-ERR This instance has cluster support disabled\r\n", NULL },
        { "CLUSTER SLOTS", "-ERR This instance has cluster support disabled\r\n", NULL },
        { "CLUSTER FOO", "-ERR unknown subcommand 'FOO'. Try CLUSTER HELP.\r\n", NULL },
        { "CLIENT", "-ERR wrong number of arguments for 'client' command\r\n", NULL },
        { "CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command\r\n", NULL },
        { "NOTHING a", "-ERR unknown command 'NOTHING'\r\n", NULL },
        { "client|id", "-ERR unknown command 'client|id'\r\n", NULL },
    };
    try_all(*state, ALL, COUNT(ALL));
}

static void the_tenant_is_the_user(void **state)
{
    struct local_answers *const la = *state;
    la->l.tenant = "anna";
    local_ask(la, "ACL", "WHOAMI");
    local_expect(la, "$4\r\nanna\r\n");
    local_ask(la, "ACL", "SETUSER", "x");
    expect_part(la, "-ERR 'acl|setuser' is refused here. Users are those of this proxy");
}

static void hello_is_a_map(void **state)
{
    struct local_answers *const la = *state;
    arili_local_hello(&la->l, &la->flow);
    local_take(la);
    local_expect(la, "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\n"
                     "proto\r\n:2\r\n$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\n"
                     "role\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n");
    la->l.resp3 = true;
    la->l.cluster = true;
    arili_local_hello(&la->l, &la->flow);
    local_take(la);
    local_expect(la, "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\n"
                     "proto\r\n:3\r\n$2\r\nid\r\n:7\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\n"
                     "role\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n");
}

static void help_lists_the_sub_commands(void **state)
{
    struct local_answers *const la = *state;
    local_ask(la, "CLIENT", "HELP");
    expect_part(la, "+client <subcommand> [<arg> ...]. Subcommands are:\r\n+caching\r\n+    "
                    "Refused. The messages of a server");
    expect_part(la, "+id\r\n+    About this connection to the proxy.\r\n");
    local_ask(la, "OBJECT", "HELP");
    local_expect(la, "*11\r\n+object <subcommand> [<arg> ...]. Subcommands are:\r\n"
                     "+encoding\r\n+    The name is sealed; the answer is about the ciphertext.\r\n"
                     "+freq\r\n+    The name is sealed; the answer is about the ciphertext.\r\n"
                     "+help\r\n+    The sub-commands that are answered.\r\n"
                     "+idletime\r\n+    The name is sealed; the answer is about the ciphertext.\r\n"
                     "+refcount\r\n"
                     "+    The name is sealed; the answer is about the ciphertext.\r\n");
}

/* --- INFO */

static void info_gives_the_sections_that_were_asked_for(void **state)
{
    static const char REPLICATION[] =
        "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"
        "master_failover_state:no-failover\r\nmaster_replid:" LOCAL_RUN_ID "\r\n"
        "master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:0\r\n"
        "second_repl_offset:-1\r\nrepl_backlog_active:0\r\n";
    static const char CLUSTER[] = "# Cluster\r\ncluster_enabled:0\r\n";
    struct local_answers *const la = *state;
    char answer[2000];
    local_ask(la, "INFO", "REPLICATION");
    (void)snprintf(answer, sizeof answer, "$%zu\r\n%s\r\n", strlen(REPLICATION), REPLICATION);
    local_expect(la, answer);
    /* In the order of Redis, each once. */
    local_ask(la, "INFO", "cluster", "nothing", "Replication", "cluster");
    (void)snprintf(answer, sizeof answer, "$%zu\r\n%s\r\n%s\r\n",
                   strlen(REPLICATION) + 2 + strlen(CLUSTER), REPLICATION, CLUSTER);
    local_expect(la, answer);
    la->l.resp3 = true;
    local_ask(la, "info", "cluster");
    (void)snprintf(answer, sizeof answer, "=%zu\r\ntxt:%s\r\n", strlen(CLUSTER) + 4, CLUSTER);
    local_expect(la, answer);
    local_ask(la, "INFO", "nothing");
    local_expect(la, "=4\r\ntxt:\r\n");
}

static void info_says_what_is_true_of_the_proxy(void **state)
{
    struct local_answers *const la = *state;
    static const char *const PARTS[] = {
        "# Server\r\nredis_version:7.0.15\r\naril_version:" ARIL_VERSION "\r\n",
        "redis_mode:standalone\r\n",
        "tcp_port:6379\r\n",
        "uptime_in_seconds:123\r\nuptime_in_days:0\r\n",
        "\r\n\r\n# Clients\r\nconnected_clients:3\r\n",
        "used_memory:1536\r\nused_memory_human:1.50K\r\nmaxmemory:1073741824\r\n"
        "maxmemory_human:1.00G\r\n",
        "loading:0\r\n",
        "total_connections_received:5\r\ntotal_commands_processed:11\r\nkeyspace_hits:2\r\n"
        "keyspace_misses:1\r\n",
        "# Keyspace\r\n",
    };
    static const char *const ALL[][2] = {
        { "INFO", NULL }, { "INFO", "all" }, { "INFO", "EVERYTHING" }, { "INFO", "default" }
    };
    for (size_t i = 0; i < COUNT(ALL); i++) {
        local_ask_words(la, ALL[i], ALL[i][1] != NULL ? 2 : 1);
        for (size_t p = 0; p < COUNT(PARTS); p++) {
            expect_part(la, PARTS[p]);
        }
    }
    /* A clock that was set back, and numbers at their ends. */
    la->l.now_ms = 0;
    la->l.memory_used = UINT64_MAX;
    la->l.memory_max = 0;
    la->l.cluster = true;
    local_ask(la, "INFO");
    expect_part(la, "uptime_in_seconds:0\r\n");
    expect_part(la, "used_memory:18446744073709551615\r\n");
    expect_part(la, "maxmemory_human:0B\r\n");
    expect_part(la, "redis_mode:cluster\r\n");
    expect_part(la, "cluster_enabled:1\r\n");
    expect_part(la, "# Keyspace\r\n\r\n"); /* nothing was cut */
}

/* --- CONFIG GET */

static void config_get_knows_what_clients_ask_for(void **state)
{
    static const struct exchange ALL[] = {
        { "CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n", "%1\r\n$4\r\nsave\r\n$0\r\n\r\n" },
        { "config get APPENDonly", "*2\r\n$10\r\nAPPENDonly\r\n$2\r\nno\r\n",
          "%1\r\n$10\r\nAPPENDonly\r\n$2\r\nno\r\n" },
        { "CONFIG GET databases", "*2\r\n$9\r\ndatabases\r\n$2\r\n16\r\n",
          "%1\r\n$9\r\ndatabases\r\n$2\r\n16\r\n" },
        { "CONFIG GET save save s*", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n",
          "%1\r\n$4\r\nsave\r\n$0\r\n\r\n" },
        { "CONFIG GET requirepass", "*0\r\n", "%0\r\n" },
        { "CONFIG GET", "-ERR wrong number of arguments for 'config|get' command\r\n", NULL },
        { "CONFIG GET *",
          "*10\r\n$10\r\nappendonly\r\n$2\r\nno\r\n$15\r\ncluster-enabled\r\n$2\r\nno\r\n"
          "$9\r\ndatabases\r\n$2\r\n16\r\n$22\r\nnotify-keyspace-events\r\n$0\r\n\r\n"
          "$4\r\nsave\r\n$0\r\n\r\n",
          "%5\r\n$10\r\nappendonly\r\n$2\r\nno\r\n$15\r\ncluster-enabled\r\n$2\r\nno\r\n"
          "$9\r\ndatabases\r\n$2\r\n16\r\n$22\r\nnotify-keyspace-events\r\n$0\r\n\r\n"
          "$4\r\nsave\r\n$0\r\n\r\n" },
    };
    struct local_answers *const la = *state;
    try_all(la, ALL, COUNT(ALL));
    local_ask(la, "CONFIG", "SET", "save", "");
    expect_part(la, "-ERR 'config|set' is refused here. ");
    static uint8_t stars[100000];
    memset(stars, '*', sizeof stars);
    const aril_bytes args[] = { { (const uint8_t *)"config", 6 },
                                { (const uint8_t *)"get", 3 },
                                { stars, sizeof stars } };
    local_ask_args(la, args, 3);
    local_expect(la, "*0\r\n");
}

/* --- CLUSTER */

static void the_proxy_is_a_cluster_of_one(void **state)
{
    static const struct exchange ALL[] = {
        { "CLUSTER SLOTS",
          "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:6379\r\n$40\r\n" LOCAL_NODE_ID
          "\r\n*0\r\n",
          "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:6379\r\n$40\r\n" LOCAL_NODE_ID
          "\r\n%0\r\n" },
        { "CLUSTER MYID", "$40\r\n" LOCAL_NODE_ID "\r\n", NULL },
        { "CLUSTER MYSHARDID", "$40\r\n" LOCAL_NODE_ID "\r\n", NULL },
        { "CLUSTER KEYSLOT a", ":15495\r\n", NULL },
        { "CLUSTER KEYSLOT {a}b", ":15495\r\n", NULL },
        { "CLUSTER LINKS", "*0\r\n", NULL },
        { "CLUSTER REPLICAS " LOCAL_NODE_ID, "*0\r\n", NULL },
        { "CLUSTER SLAVES x%n", "-ERR Unknown node x%n\r\n", NULL },
        { "READONLY", "+OK\r\n", NULL },
        { "READWRITE", "+OK\r\n", NULL },
        { "ASKING", "+OK\r\n", NULL },
    };
    struct local_answers *const la = *state;
    la->l.cluster = true;
    try_all(la, ALL, COUNT(ALL));
    local_ask(la, "CLUSTER", "NODES");
    expect_part(la,
                LOCAL_NODE_ID " 127.0.0.1:6379@16379 myself,master - 0 0 0 connected 0-16383\n");
    la->l.self.port = 60000; /* no port is 10000 above it */
    local_ask(la, "CLUSTER", "NODES");
    expect_part(la, "127.0.0.1:60000@0 ");
    local_ask(la, "CLUSTER", "INFO");
    expect_part(la, "cluster_state:ok\r\ncluster_slots_assigned:16384\r\n");
    local_ask(la, "CLUSTER", "MEET", "127.0.0.1", "1");
    expect_part(la, "-ERR 'cluster|meet' is refused here. ");
}

static void a_socket_has_no_host(void **state)
{
    struct local_answers *const la = *state;
    la->l.cluster = true;
    la->l.self = (struct arili_address){ .is_unix = true, .host = "/run/arild.sock" };
    static const char *const LINES[] = { "CLUSTER SLOTS", "CLUSTER SHARDS", "CLUSTER NODES" };
    for (size_t i = 0; i < COUNT(LINES); i++) {
        local_ask_line(la, LINES[i]);
        assert_null(strstr((const char *)la->bytes, "arild.sock"));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_row_that_is_answered_here_has_an_answer),
        TEST(small_answers_are_those_of_redis),
        TEST(the_tenant_is_the_user),
        TEST(hello_is_a_map),
        TEST(help_lists_the_sub_commands),
        TEST(info_gives_the_sections_that_were_asked_for),
        TEST(info_says_what_is_true_of_the_proxy),
        TEST(config_get_knows_what_clients_ask_for),
        TEST(the_proxy_is_a_cluster_of_one),
        TEST(a_socket_has_no_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
