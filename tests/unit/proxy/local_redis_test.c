/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of this proxy beside those of a redis-server to the same commands, in RESP2 and RESP3:
 * bytes where both know the same, else types, counts and names. */
#include "check.h"
#include "local_answers.h"
#include "redis.h"
#include "resp/resp.h"
#include "resp_events.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)1 << 20)

static const struct arili_resp_limits LIMITS = { .bulk_max = ANSWER_MAX,
                                                 .count_max = 100000,
                                                 .resp3 = true };
static struct redis single, cluster;

/* A connection to the server, the same client of this proxy, and the server's last answer. */
struct pair {
    int fd;
    struct local_answers la;
    uint8_t *bytes; /* and a NUL */
    size_t len;
};

static int set_up(void **state)
{
    (void)state;
    if (!redis_installed()) {
        return 0;
    }
    static const struct redis_options NONE = { .tcp = false };
    static const struct redis_options OPTIONS = { .tcp = true, .conf = "cluster-enabled yes\n" };
    if (!redis_start(&single, &NONE) || !redis_start(&cluster, &OPTIONS)) {
        return -1;
    }
    redis_expect(&cluster, "CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    redis_remove(&single);
    redis_remove(&cluster);
    return 0;
}

static void send_line(int fd, const char *line)
{
    char bytes[512];
    const int len = snprintf(bytes, sizeof bytes, "%s\r\n", line);
    assert_true(len > 0 && (size_t)len < sizeof bytes);
    assert_int_equal(send(fd, bytes, (size_t)len, MSG_NOSIGNAL), len);
}

/* One whole value. */
static void ask_server(struct pair *p, const char *line)
{
    struct arili_resp_decoder decoder;
    aril_bytes rest = { p->bytes, 0 };
    struct arili_resp_event event = { .kind = ARILI_RESP_MORE };
    arili_resp_decoder_init(&decoder, &LIMITS);
    send_line(p->fd, line);
    p->len = 0;
    do {
        const ssize_t n = read(p->fd, p->bytes + p->len, ANSWER_MAX - p->len);
        assert_true(n > 0);
        p->len += (size_t)n;
        rest.len += (size_t)n;
        do {
            assert_status(arili_resp_next(&decoder, &rest, &event), ARIL_OK);
        } while (event.kind != ARILI_RESP_MORE && event.kind != ARILI_RESP_END);
    } while (event.kind != ARILI_RESP_END);
    assert_int_equal(rest.len, 0);
    p->bytes[p->len] = '\0';
}

static void ask_both(struct pair *p, const char *line)
{
    ask_server(p, line);
    local_ask_line(&p->la, line);
}

/* As this proxy, but for what only the server knows of itself. */
static void pair_open(struct pair *p, const struct redis *server, bool resp3)
{
    static char version[32];
    static char info[4096];
    p->bytes = malloc(ANSWER_MAX + 1);
    assert_non_null(p->bytes);
    p->fd = redis_dial(server);
    (void)redis_ask(server, "INFO server", info, sizeof info);
    const char *const at = strstr(info, "redis_version:");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "redis_version:%31[^\r]", version), 1);
    local_answers_init(&p->la);
    p->la.l.server_version = version;
    p->la.l.databases = 4; /* of every server of tests/support/redis.h */
    p->la.l.resp3 = resp3;
    ask_server(p, resp3 ? "HELLO 3" : "HELLO 2");
    ask_server(p, "CLIENT ID");
    p->la.l.client_id = strtoull((const char *)p->bytes + 1, NULL, 10);
}

static void pair_close(struct pair *p)
{
    close(p->fd);
    free(p->bytes);
    local_answers_done(&p->la);
}

static void expect_same(const struct pair *p, const char *line)
{
    if (p->len != p->la.len || memcmp(p->bytes, p->la.bytes, p->len) != 0) {
        fail_msg("%s: the server says\n%s\nand this proxy\n%s", line, p->bytes, p->la.bytes);
    }
}

static void try_same(const struct redis *server, const char *const *lines, size_t count)
{
    for (unsigned resp3 = 0; resp3 < 2; resp3++) {
        struct pair p;
        pair_open(&p, server, resp3 != 0);
        for (size_t i = 0; i < count; i++) {
            ask_both(&p, lines[i]);
            expect_same(&p, lines[i]);
        }
        pair_close(&p);
    }
}

static void answers_are_byte_for_byte_those_of_a_server(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    static const char *const LINES[] = {
        "PING",
        "PING hello",
        "PING a b",
        "ECHO hello",
        "ECHO",
        "ROLE",
        "MODULE LIST",
        "ACL WHOAMI",
        "CLIENT",
        "CLIENT ID",
        "CLIENT ID x",
        "CLIENT GETNAME",
        "CLIENT SETNAME worker-1",
        "CLIENT GETNAME",
        "CLIENT SETNAME",
        "CLIENT NO-EVICT ON",
        "CLIENT NO-EVICT off",
        "CLIENT NO-EVICT x",
        "CLIENT REPLY ON",
        "CLIENT REPLY x",
        "CLIENT GETREDIR",
        "CLIENT TRACKINGINFO",
        "CLIENT UNBLOCK 999999",
        "CLIENT UNBLOCK x",
        "CLIENT UNBLOCK 999999 x",
        "CLIENT LIST ID 999999",
        "CLIENT LIST ID x",
        "CLIENT LIST TYPE x",
        "CLIENT LIST TYPE pubsub",
        "CLIENT LIST TYPE replica",
        "CLIENT LIST x",
        "CLIENT FOO",
        "CONFIG GET save",
        "CONFIG GET SAVE save",
        "CONFIG GET appendonly",
        "CONFIG GET databases",
        "CONFIG GET cluster-enabled",
        "CONFIG GET notify-keyspace-events",
        "CONFIG GET nothing",
        "CONFIG GET",
        "CONFIG FOO",
        "INFO nothing",
        "INFO cluster",
        "INFO modules",
        "INFO keyspace",
        "COMMAND FOO",
        "COMMAND INFO nothing",
        "COMMAND DOCS nothing",
        "COMMAND LIST FILTERBY x y",
        "COMMAND LIST FILTERBY MODULE x",
        "COMMAND LIST FILTERBY ACLCAT nothing",
        "COMMAND LIST FILTERBY PATTERN getd*",
        "COMMAND GETKEYS set a b",
        "COMMAND GETKEYS mset a 1 b 2",
        "COMMAND GETKEYS zunionstore d 2 a b",
        "COMMAND GETKEYS zunion 9 a b",
        "COMMAND GETKEYS object freq a",
        "COMMAND GETKEYS bitop and d a b",
        "COMMAND GETKEYS nothing a",
        "COMMAND GETKEYS echo a",
        "COMMAND GETKEYS set a",
        "COMMAND GETKEYS get",
        "READONLY",
        "READWRITE",
        "ASKING",
        "CLUSTER SLOTS",
        "CLUSTER KEYSLOT a",
        "CLUSTER",
        "CLUSTER FOO",
        "GET",
        "OBJECT FOO",
        "TIME x",
    };
    try_same(&single, LINES, COUNT(LINES));
}

static void hello_is_byte_for_byte_that_of_a_server(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    for (unsigned i = 0; i < 4; i++) {
        struct pair p;
        const bool resp3 = (i & 1) != 0;
        pair_open(&p, i < 2 ? &single : &cluster, resp3);
        p.la.l.cluster = i >= 2;
        ask_server(&p, "HELLO");
        arili_local_hello(&p.la.l, &p.la.flow);
        local_take(&p.la);
        expect_same(&p, "HELLO");
        pair_close(&p);
    }
}

/* A server that has met no other knows no host of itself. */
static void a_cluster_of_one_is_byte_for_byte_that_of_a_server(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    static const char *const LINES[] = {
        "CLUSTER MYID",  "CLUSTER SLOTS",         "CLUSTER SHARDS", "CLUSTER NODES",
        "CLUSTER LINKS", "CLUSTER KEYSLOT {a}b",  "READONLY",       "READWRITE",
        "ASKING",        "CLUSTER REPLICAS none", "CLUSTER FOO",    "CLUSTER KEYSLOT",
        "INFO cluster",
    };
    for (unsigned resp3 = 0; resp3 < 2; resp3++) {
        struct pair p;
        pair_open(&p, &cluster, resp3 != 0);
        p.la.l.cluster = true;
        p.la.l.self = (struct arili_address){ .port = (uint16_t)cluster.port };
        ask_server(&p, "CLUSTER MYID");
        assert_int_equal(p.len, strlen("$40\r\n\r\n") + 40);
        memcpy(p.la.l.node_id, p.bytes + 5, 40);
        for (size_t i = 0; i < COUNT(LINES); i++) {
            ask_both(&p, LINES[i]);
            expect_same(&p, LINES[i]);
        }
        /* All but the state, which a server has after a while, and the length that it is part of.
         */
        ask_both(&p, "CLUSTER INFO");
        const char *const theirs = strstr((const char *)p.bytes, "cluster_slots_assigned");
        const char *const ours = strstr((const char *)p.la.bytes, "cluster_slots_assigned");
        assert_non_null(theirs);
        assert_non_null(ours);
        assert_string_equal(ours, theirs);
        pair_close(&p);
    }
}

/* --- Where only the shape can be compared */

/* The events of an answer without what is in its texts: "map0:2 bulk1 int1 ...". */
static char *shape(const uint8_t *bytes, size_t len)
{
    struct resp_events events = resp_events_of(&LIMITS, (aril_bytes){ bytes, len }, 0);
    assert_status(events.status, ARIL_OK);
    size_t at = 0;
    for (size_t i = 0; i < events.len; i++) {
        const bool is_bulk = strncmp(events.text + i, "bulk", 4) == 0 ||
                             strncmp(events.text + i, "verbatim", 8) == 0 ||
                             strncmp(events.text + i, "int", 3) == 0 ||
                             strncmp(events.text + i, "simple", 6) == 0;
        if (is_bulk && (i == 0 || events.text[i - 1] == ' ')) {
            const size_t word = strcspn(events.text + i, "\":");
            memmove(events.text + at, events.text + i, word);
            at += word;
            i += strcspn(events.text + i, "\" ");
            if (events.text[i] == '"') {
                i += 1 + strcspn(events.text + i + 1, "\"");
            }
            events.text[at++] = ' ';
        } else {
            events.text[at++] = events.text[i];
        }
    }
    events.text[at] = '\0';
    return events.text;
}

static void answers_have_the_shape_of_those_of_a_server(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    static const char *const LINES[] = { "TIME",
                                         "CLIENT INFO",
                                         "CLIENT LIST",
                                         "INFO",
                                         "INFO server",
                                         "INFO memory stats",
                                         "CLIENT LIST TYPE normal" };
    for (unsigned resp3 = 0; resp3 < 2; resp3++) {
        struct pair p;
        pair_open(&p, &single, resp3 != 0);
        for (size_t i = 0; i < COUNT(LINES); i++) {
            ask_both(&p, LINES[i]);
            char *const theirs = shape(p.bytes, p.len);
            char *const ours = shape(p.la.bytes, p.la.len);
            assert_string_equal(ours, theirs);
            free(theirs);
            free(ours);
        }
        pair_close(&p);
    }
}

/* A row up to what Redis alone knows: finer flags of keys, tips. */
static void rows_of_command_begin_as_those_of_a_server(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    static const char *const LINES[] = { "COMMAND INFO get", "COMMAND INFO hget",
                                         "COMMAND INFO type", "COMMAND INFO zunion" };
    for (unsigned resp3 = 0; resp3 < 2; resp3++) {
        struct pair p;
        pair_open(&p, &single, resp3 != 0);
        for (size_t i = 0; i < COUNT(LINES); i++) {
            ask_both(&p, LINES[i]);
            const char *const end = strstr((const char *)p.bytes, "$5\r\nflags\r\n");
            assert_non_null(end);
            const size_t len = (size_t)(end - (const char *)p.bytes);
            assert_true(len > 60);
            assert_true(p.la.len > len);
            p.bytes[len] = '\0';
            p.la.bytes[len] = '\0';
            assert_string_equal((const char *)p.la.bytes, (const char *)p.bytes);
        }
        pair_close(&p);
    }
}

/* Every "name:" of INFO and "name=" of CLIENT INFO is one of the server's, but for those that are
 * new here. */
static void expect_names(const struct pair *p, char mark, const char *ends, const char *const *own,
                         size_t own_count)
{
    const char *at = (const char *)p->la.bytes + strcspn((const char *)p->la.bytes, "\n") + 1;
    unsigned found = 0;
    for (; *at != '\0'; at += strcspn(at, ends), at += strspn(at, ends)) {
        char name[64];
        const size_t len = strcspn(at, "=:\r\n ");
        if (at[len] != mark || len == 0 || len > 60 || strncmp(at, "txt:", 4) == 0) {
            continue;
        }
        (void)snprintf(name, sizeof name, "%.*s%c", (int)len, at, mark);
        bool is_own = false;
        for (size_t i = 0; i < own_count; i++) {
            is_own = is_own || strcmp(own[i], name) == 0;
        }
        if (!is_own && strstr((const char *)p->bytes, name) == NULL) {
            fail_msg("the server has no %s in\n%s", name, p->bytes);
        }
        found++;
    }
    assert_true(found > 20);
}

static void names_of_facts_are_those_of_a_server(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    static const char *const INFO[] = { "aril_version:" };
    static const char *const CLIENT[] = { "lib-name=", "lib-ver=" }; /* of Redis 7.2 */
    struct pair p;
    pair_open(&p, &single, false);
    ask_both(&p, "INFO");
    expect_names(&p, ':', "\r\n", INFO, COUNT(INFO));
    ask_both(&p, "CLIENT INFO");
    expect_names(&p, '=', " \r\n", CLIENT, COUNT(CLIENT));
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_byte_for_byte_those_of_a_server),
        cmocka_unit_test(hello_is_byte_for_byte_that_of_a_server),
        cmocka_unit_test(a_cluster_of_one_is_byte_for_byte_that_of_a_server),
        cmocka_unit_test(answers_have_the_shape_of_those_of_a_server),
        cmocka_unit_test(rows_of_command_begin_as_those_of_a_server),
        cmocka_unit_test(names_of_facts_are_those_of_a_server),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
