/* SPDX-License-Identifier: Apache-2.0 */
/* The codec against a real server, and tests/support/redis.h itself. */
#include "redis.h"
#include "check.h"
#include "resp/resp.h"
#include "resp_events.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VALUE_BYTES ((size_t)4 << 20)
#define READ_BYTES  60000u

static const struct arili_resp_limits LIMITS = { .bulk_max = VALUE_BYTES,
                                                 .count_max = 1000,
                                                 .resp3 = true };

/* A connection and what was read from it and not used. */
struct link {
    int fd;
    struct arili_resp_decoder decoder;
    uint8_t buffer[READ_BYTES];
    aril_bytes rest;
};

static struct redis server;

static int set_up(void **state)
{
    (void)state;
    const struct redis_options options = { .tcp = true, .conf = "enable-debug-command local\n" };
    return redis_installed() && !redis_start(&server, &options) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    redis_remove(&server);
    return 0;
}

static void send_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        assert_true(n > 0);
        data += n;
        len -= (size_t)n;
    }
}

static void link_open(struct link *l)
{
    l->fd = redis_dial(&server);
    l->rest = (aril_bytes){ l->buffer, 0 };
    arili_resp_decoder_init(&l->decoder, &LIMITS);
}

static void link_send(const struct link *l, const aril_bytes *args, size_t count)
{
    const size_t size = arili_resp_put_command(args, count, NULL, 0);
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    assert_int_equal(arili_resp_put_command(args, count, bytes, size), size);
    send_all(l->fd, bytes, size);
    free(bytes);
}

/* The next event, reading for it what is needed. */
static void link_next(struct link *l, struct arili_resp_event *ret)
{
    for (;;) {
        assert_status(arili_resp_next(&l->decoder, &l->rest, ret), ARIL_OK);
        if (ret->kind != ARILI_RESP_MORE) {
            return;
        }
        memmove(l->buffer, l->rest.data, l->rest.len);
        assert_true(l->rest.len < sizeof l->buffer);
        const ssize_t n = read(l->fd, l->buffer + l->rest.len, sizeof l->buffer - l->rest.len);
        assert_true(n > 0);
        l->rest = (aril_bytes){ l->buffer, l->rest.len + (size_t)n };
    }
}

static struct arili_resp_event link_expect(struct link *l, enum arili_resp_kind kind)
{
    struct arili_resp_event event;
    link_next(l, &event);
    assert_int_equal(event.kind, kind);
    return event;
}

static void expect_simple(struct link *l, const char *text)
{
    const struct arili_resp_event event = link_expect(l, ARILI_RESP_SIMPLE);
    assert_int_equal(event.text.len, strlen(text));
    assert_memory_equal(event.text.data, text, event.text.len);
    (void)link_expect(l, ARILI_RESP_END);
    assert_true(arili_resp_is_idle(&l->decoder));
}

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

static void a_ping_is_answered(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    struct link l;
    link_open(&l);
    link_send(&l, (const aril_bytes[]){ text("PING") }, 1);
    expect_simple(&l, "PONG");
    send_all(l.fd, (const uint8_t *)"PING\r\n", 6);
    expect_simple(&l, "PONG");
    (void)close(l.fd);
}

/* Reads the body of a bulk, what is not in the buffer by itself. */
static void read_body(struct link *l, uint8_t *ret, size_t len)
{
    struct arili_resp_event event = { .kind = ARILI_RESP_MORE };
    size_t at = 0;
    while (l->rest.len > 0 && at < len) {
        assert_status(arili_resp_next(&l->decoder, &l->rest, &event), ARIL_OK);
        assert_int_equal(event.kind, ARILI_RESP_BODY);
        assert_false(event.last);
        memcpy(ret + at, event.text.data, event.text.len);
        at += event.text.len;
    }
    assert_int_equal(arili_resp_body_left(&l->decoder), len - at);
    while (at < len) {
        const ssize_t n = read(l->fd, ret + at, len - at);
        assert_true(n > 0);
        at += (size_t)n;
        arili_resp_skip_body(&l->decoder, (uint64_t)n);
    }
    event = link_expect(l, ARILI_RESP_BODY);
    assert_true(event.last);
    assert_int_equal(event.text.len, 0);
    (void)link_expect(l, ARILI_RESP_END);
}

static void four_mebibytes_of_any_bytes_come_back(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    uint8_t *value = malloc(VALUE_BYTES);
    uint8_t *again = calloc(1, VALUE_BYTES);
    assert_non_null(value);
    assert_non_null(again);
    uint32_t x = 1;
    for (size_t i = 0; i < VALUE_BYTES; i++) {
        x = x * 1664525u + 1013904223u;
        value[i] = (uint8_t)(x >> 24);
    }
    struct link l;
    link_open(&l);
    link_send(&l,
              (const aril_bytes[]){
                  text("SET"), { (const uint8_t *)"k\0\r\n", 4 }, { value, VALUE_BYTES } },
              3);
    expect_simple(&l, "OK");
    link_send(&l, (const aril_bytes[]){ text("GET"), { (const uint8_t *)"k\0\r\n", 4 } }, 2);
    assert_int_equal(link_expect(&l, ARILI_RESP_BULK).body_len, VALUE_BYTES);
    read_body(&l, again, VALUE_BYTES);
    assert_memory_equal(again, value, VALUE_BYTES);
    (void)close(l.fd);
    free(value);
    free(again);
}

static void types_of_resp3_are_read_as_the_server_writes_them(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    struct link l;
    link_open(&l);
    link_send(&l, (const aril_bytes[]){ text("HELLO"), text("3") }, 2);
    assert_in_range(link_expect(&l, ARILI_RESP_MAP).count, 5, 20);
    struct arili_resp_event event;
    do {
        link_next(&l, &event);
    } while (event.kind != ARILI_RESP_END);
    static const struct {
        const char *protocol;
        enum arili_resp_kind kind;
    } cases[] = {
        { "string", ARILI_RESP_BULK },       { "integer", ARILI_RESP_INTEGER },
        { "double", ARILI_RESP_DOUBLE },     { "bignum", ARILI_RESP_BIGNUM },
        { "null", ARILI_RESP_NIL },          { "array", ARILI_RESP_ARRAY },
        { "set", ARILI_RESP_SET },           { "map", ARILI_RESP_MAP },
        { "true", ARILI_RESP_BOOL },         { "false", ARILI_RESP_BOOL },
        { "verbatim", ARILI_RESP_VERBATIM }, { "attrib", ARILI_RESP_ATTRIBUTE },
        { "push", ARILI_RESP_PUSH },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        link_send(&l,
                  (const aril_bytes[]){ text("DEBUG"), text("PROTOCOL"), text(cases[i].protocol) },
                  3);
        (void)link_expect(&l, cases[i].kind);
        do {
            link_next(&l, &event);
        } while (event.kind != ARILI_RESP_END);
        assert_true(arili_resp_is_idle(&l.decoder));
    }
    /* A push is no reply: DEBUG writes one behind it. */
    (void)link_expect(&l, ARILI_RESP_BULK);
    assert_true(link_expect(&l, ARILI_RESP_BODY).last);
    (void)link_expect(&l, ARILI_RESP_END);
    assert_int_equal(l.rest.len, 0);
    (void)close(l.fd);
}

static void inline_commands_are_split_as_the_server_does(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    static const char *const lines[] = {
        "a",          "  a\t",    "\"a b\"",       "'a b'",
        "\"\"",       "''",       "\"\\x41\\x7\"", "\"\\n\\r\\t\\q\"",
        "'\\n\\x41'", "'it\\'s'", "a\"b c\"",      "a\\\"b\"",
        "a'b'",       "\"a'b\"",  "'a\"b'",        "\"\\\"\\\\\"",
        "a\vb",       "\"a\"\v",  "a\fb",          "\\x41",
        "\"a",        "'a",       "\"a\"b",        "'a'b",
        "\"a\\\"",    "'a\\'",    "'a\\\\'",       "\"a\\\\\"",
        "\xff\x80",   "\"a\"'b'",
    };
    const struct arili_resp_limits commands = { .bulk_max = 100,
                                                .count_max = 10,
                                                .commands = true };
    for (size_t i = 0; i < COUNT(lines); i++) {
        char line[64], answer[64], expected[128];
        (void)snprintf(line, sizeof line, "ECHO %s", lines[i]);
        const size_t len = redis_ask(&server, line, answer, sizeof answer);
        (void)snprintf(line, sizeof line, "ECHO %s\r\n", lines[i]);
        struct resp_events ours = resp_events_of(&commands, text(line), 0);
        if (strncmp(answer, "-ERR Protocol error", 19) == 0) {
            assert_string_equal(ours.text, "!ARIL_E_FORMAT_FIELD");
        } else {
            char bulk[64];
            const size_t bulk_len = arili_resp_put_bulk((aril_bytes){ (uint8_t *)answer, len },
                                                        (uint8_t *)bulk, sizeof bulk);
            (void)snprintf(expected, sizeof expected, "*2\r\n$4\r\nECHO\r\n%.*s", (int)bulk_len,
                           bulk);
            struct resp_events theirs = resp_events_of(&commands, text(expected), 0);
            assert_string_equal(ours.text, theirs.text);
            resp_events_free(&theirs);
        }
        resp_events_free(&ours);
    }
}

static void keys_have_the_slots_of_the_server(const struct redis *node)
{
    static const char *const keys[] = { "foo",
                                        "{user1000}.following",
                                        "foo{}{bar}",
                                        "foo{{bar}}zap",
                                        "foo{bar}{zap}",
                                        "{",
                                        "}{",
                                        "a}b{c}d",
                                        "\xff\x80" };
    for (size_t i = 0; i < COUNT(keys); i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "CLUSTER KEYSLOT %s", keys[i]);
        assert_int_equal(redis_number(node, line), arili_resp_slot(text(keys[i])));
    }
}

static void a_killed_server_starts_again_at_its_place(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    struct redis r;
    assert_true(redis_start(&r, &(struct redis_options){ .tcp = true, .password = "a b" }));
    const unsigned port = r.port;
    redis_expect(&r, "SET k 1", "+OK");
    redis_kill(&r);
    redis_restart(&r);
    assert_int_equal(r.port, port);
    redis_expect(&r, "GET k", "_");
    redis_freeze(&r);
    redis_thaw(&r);
    redis_expect(&r, "PING", "+PONG");
    redis_stop(&r);
    redis_remove(&r);
    assert_int_not_equal(access(r.socket, F_OK), 0);
}

static void users_and_passwords_are_asked_for(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    struct redis r;
    assert_true(redis_start(
        &r, &(struct redis_options){ .acl = "user default off\nuser anna on >secret ~a:* +get\n",
                                     .conf = "maxmemory 4mb\n" }));
    redis_expect(&r, "ACL WHOAMI", "aril-test-support");
    const int fd = redis_dial(&r);
    send_all(fd, (const uint8_t *)"GET a:1\r\n", 9);
    char answer[32] = "";
    assert_true(read(fd, answer, sizeof answer - 1) > 7);
    assert_memory_equal(answer, "-NOAUTH", 7);
    (void)close(fd);
    redis_remove(&r);
}

static void a_server_with_tls_has_its_port_and_files(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    struct redis r;
    assert_true(redis_start(&r, &(struct redis_options){ .tls = true, .tls_clients = true }));
    assert_int_equal(r.port, 0);
    char hello[] = "PING\r\n";
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)r.tls_port) };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof at), 0);
    send_all(fd, (const uint8_t *)hello, sizeof hello - 1);
    uint8_t alert = 0;
    const ssize_t n = read(fd, &alert, 1); /* an alert, or the end: no PONG in the clear */
    assert_true(n <= 0 || alert == 21);
    (void)close(fd);
    assert_int_equal(access(redis_file(&r, "ca.pem"), R_OK), 0);
    assert_int_equal(access(redis_file(&r, "client.key"), R_OK), 0);
    redis_remove(&r);
}

static void a_cluster_of_three_is_whole_and_moves_slots(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    struct redis_cluster c;
    assert_true(redis_cluster_start(&c, NULL));
    const unsigned slot = arili_resp_slot(text("foo"));
    const unsigned owner = redis_cluster_owner(&c, slot);
    assert_int_equal(owner, 2); /* 12182 */
    keys_have_the_slots_of_the_server(&c.node[owner]);
    redis_expect(&c.node[owner], "SET foo 1", "+OK");
    char moved[64];
    (void)snprintf(moved, sizeof moved, "-MOVED 12182 127.0.0.1:%u", c.node[owner].port);
    redis_expect(&c.node[0], "GET foo", moved);

    /* On its way: what is not there any more is asked for at the new place. */
    redis_cluster_migrate(&c, slot, 1);
    redis_expect(&c.node[owner], "GET foo", "1");
    char ask[64];
    (void)snprintf(ask, sizeof ask, "-ASK 12182 127.0.0.1:%u", c.node[1].port);
    redis_expect(&c.node[owner], "DEL foo", ":1");
    redis_expect(&c.node[owner], "GET foo", ask);
    redis_cluster_settle(&c, slot, 1);
    (void)snprintf(moved, sizeof moved, "-MOVED 12182 127.0.0.1:%u", c.node[1].port);
    redis_expect(&c.node[owner], "GET foo", moved);
    assert_int_equal(redis_cluster_owner(&c, slot), 1);

    redis_kill(&c.node[1]);
    redis_restart(&c.node[1]);
    redis_cluster_wait(&c);
    redis_expect(&c.node[1], "SET foo 2", "+OK");
    redis_cluster_remove(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ping_is_answered),
        cmocka_unit_test(four_mebibytes_of_any_bytes_come_back),
        cmocka_unit_test(types_of_resp3_are_read_as_the_server_writes_them),
        cmocka_unit_test(inline_commands_are_split_as_the_server_does),
        cmocka_unit_test(a_killed_server_starts_again_at_its_place),
        cmocka_unit_test(users_and_passwords_are_asked_for),
        cmocka_unit_test(a_server_with_tls_has_its_port_and_files),
        cmocka_unit_test(a_cluster_of_three_is_whole_and_moves_slots),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
