/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store: its URIs, and servers that answer wrongly. */
#include "base/bytes.h"
#include "cache/stores/redis_internal.h"
#include "check.h"
#include "fake_redis.h"
#include "redis_client.h"
#include "runtime.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OPS arili_cache_store_redis

/* --- URIs */

static aril_status parse(const char *uri, struct arili_redis_uri *ret)
{
    char scheme[32];
    const size_t len = (size_t)(strchr(uri, ':') - uri);
    memcpy(scheme, uri, len);
    scheme[len] = '\0';
    client_error = (aril_error){ 0 };
    return arili_redis_uri_parse(scheme, uri + len + 1, ret, &client_error);
}

static void uris_say_what_they_mean(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        const char *host; /* of the last one */
        unsigned port, seeds, db;
        const char *user, *file;
        bool tls, cluster, is_unix;
    } CASES[] = {
        { "redis://h", "h", 6379, 1, 0, "", "", false, false, false },
        { "redis://h:1", "h", 1, 1, 0, "", "", false, false, false },
        { "redis://h:65535/15", "h", 65535, 1, 15, "", "", false, false, false },
        { "redis://u@h/", "h", 6379, 1, 0, "u", "", false, false, false },
        { "rediss://u%40x@h:7/2", "h", 7, 1, 2, "u@x", "", true, false, false },
        { "redis://[::1]", "::1", 6379, 1, 0, "", "", false, false, false },
        { "redis://[fe80::1%25eth0]:80/1", "fe80::1%eth0", 80, 1, 1, "", "", false, false, false },
        { "redis://h?password-file=/a%20b", "h", 6379, 1, 0, "", "/a b", false, false, false },
        { "redis://h/3?user=u&password-file=x", "h", 6379, 1, 3, "u", "x", false, false, false },
        { "redis+unix:/run/r.sock", "/run/r.sock", 0, 1, 0, "", "", false, false, true },
        { "redis+unix:///run/r.sock?db=4", "/run/r.sock", 0, 1, 4, "", "", false, false, true },
        { "redis+cluster://a,b:2,[::3]:4", "::3", 4, 3, 0, "", "", false, true, false },
        { "rediss+cluster://u@a", "a", 6379, 1, 0, "u", "", true, true, false },
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct arili_redis_uri uri;
        assert_status(parse(CASES[i].uri, &uri), ARIL_OK);
        assert_int_equal(uri.seed_count, CASES[i].seeds);
        const struct arili_redis_address *const last = &uri.seeds[uri.seed_count - 1];
        assert_string_equal(last->host, CASES[i].host);
        assert_int_equal(last->port, CASES[i].port);
        assert_int_equal(last->is_unix, CASES[i].is_unix);
        assert_int_equal(uri.db, CASES[i].db);
        assert_string_equal(uri.user, CASES[i].user);
        assert_string_equal(uri.password_file, CASES[i].file);
        assert_int_equal(uri.tls, CASES[i].tls);
        assert_int_equal(uri.cluster, CASES[i].cluster);
    }
}

static void uris_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const URIS[] = {
        "redis:h",
        "redis:/h",
        "redis://",
        "redis://:1",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:1x",
        "redis://h:-1",
        "redis://h/x",
        "redis://h/65536",
        "redis://h/99999999999999999999",
        "redis://::1",
        "redis://[::1",
        "redis://[::1]x",
        "redis://[::1]:",
        "redis://a,b",
        "redis://h%",
        "redis://h%2",
        "redis://h%zz",
        "redis://h%00",
        "redis://h?",
        "redis://h?db",
        "redis://h?db=x",
        "redis://h?what=1",
        "redis://h?password=x",
        "redis+unix:",
        "redis+unix:?db=1",
        "redis+cluster://a/0",
        "redis+cluster://a?db=0",
        "redis+cluster://a,,b",
        "redis+cluster://a,",
        "redis+cluster://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
    };
    for (size_t i = 0; i < COUNT(URIS); i++) {
        struct arili_redis_uri uri;
        memset(&uri, 0xa5, sizeof uri);
        assert_status(parse(URIS[i], &uri), ARIL_E_USAGE_RANGE);
        assert_int_equal(uri.seed_count, 0);
        assert_string_not_equal(client_error.message, "");
    }
    static const char LONG[] = "redis+unix:/";
    char uri[600];
    struct arili_redis_uri out;
    for (size_t path = 106; path <= 108; path++) {
        memset(uri, 'x', sizeof uri);
        memcpy(uri, LONG, sizeof LONG - 1);
        uri[sizeof LONG - 2 + path] = '\0';
        assert_status(parse(uri, &out), path <= 107 ? ARIL_OK : ARIL_E_USAGE_RANGE);
    }
    for (size_t host = 254; host <= 256; host++) {
        memset(uri, 'x', sizeof uri);
        memcpy(uri, "redis://", 8);
        uri[8 + host] = '\0';
        assert_status(parse(uri, &out), host <= 255 ? ARIL_OK : ARIL_E_USAGE_RANGE);
    }
}

static void a_password_in_a_uri_is_refused_and_not_repeated(void **state)
{
    (void)state;
    struct arili_redis_uri uri;
    assert_status(parse("redis://user:hunter2@host", &uri), ARIL_E_USAGE_RANGE);
    assert_null(strstr(client_error.message, "hunter2"));
    assert_status(parse("redis://:hunter2@host", &uri), ARIL_E_USAGE_RANGE);
    assert_null(strstr(client_error.message, "hunter2"));
}

static void errors_of_servers_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        aril_status status;
        enum arili_redis_trouble trouble;
    } CASES[] = {
        { "ERR what", ARIL_E_IO, ARILI_REDIS_FINAL },
        { "", ARIL_E_IO, ARILI_REDIS_FINAL },
        { "NOAUTH Authentication required.", ARIL_E_AUTH, ARILI_REDIS_FINAL },
        { "WRONGPASS invalid", ARIL_E_AUTH, ARILI_REDIS_FINAL },
        { "NOPERM", ARIL_E_AUTH, ARILI_REDIS_FINAL },
        { "NOPERMX", ARIL_E_IO, ARILI_REDIS_FINAL },
        { "OOM command not allowed", ARIL_E_IO_FULL, ARILI_REDIS_FINAL },
        { "LOADING Redis is loading", ARIL_E_IO, ARILI_REDIS_FINAL },
        { "TRYAGAIN x", ARIL_E_IO, ARILI_REDIS_SETTLING },
        { "CLUSTERDOWN x", ARIL_E_IO, ARILI_REDIS_SETTLING },
        { "MOVED 1 a:1", ARIL_E_IO, ARILI_REDIS_MOVED },
        { "MOVED 16383 ::1:65535", ARIL_E_IO, ARILI_REDIS_MOVED },
        { "MOVED 16383 :65535", ARIL_E_IO, ARILI_REDIS_MOVED },
        { "ASK 0 a:1", ARIL_E_IO, ARILI_REDIS_ASK },
        { "MOVED 16384 a:1", ARIL_E_FORMAT, ARILI_REDIS_FINAL },
        { "MOVED 99999999999 a:1", ARIL_E_FORMAT, ARILI_REDIS_FINAL },
        { "MOVED 1", ARIL_E_FORMAT, ARILI_REDIS_FINAL },
        { "MOVED", ARIL_E_FORMAT, ARILI_REDIS_FINAL },
        { "MOVED  a:1", ARIL_E_FORMAT, ARILI_REDIS_FINAL },
        { "MOVED x a:1", ARIL_E_FORMAT, ARILI_REDIS_FINAL },
        { "MOVED -1 a:1", ARIL_E_FORMAT, ARILI_REDIS_FINAL },
        { "MOVED 1 a:0", ARIL_E_FORMAT, ARILI_REDIS_FINAL },
        { "MOVED 1 a:65536", ARIL_E_FORMAT, ARILI_REDIS_FINAL },
        { "MOVED 1 a", ARIL_E_FORMAT, ARILI_REDIS_FINAL },
        { "ASK 1 a:1 b", ARIL_E_FORMAT, ARILI_REDIS_FINAL },
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct arili_redis_verdict v;
        arili_redis_judge(client_text(CASES[i].text), &v);
        assert_status(v.status, CASES[i].status);
        assert_int_equal(v.trouble, CASES[i].trouble);
    }
    struct arili_redis_verdict v;
    arili_redis_judge(client_text("ERR unknown command `AUTH`, with args: `hunter2`"), &v);
    assert_string_equal(v.text, "ERR unknown command ");
    arili_redis_judge(client_text("ERR unknown command 'AUTH', hunter2"), &v);
    assert_string_equal(v.text, "ERR unknown command ");
    arili_redis_judge(client_text("ERR unknown command \"AUTH\", hunter2"), &v);
    assert_string_equal(v.text, "ERR unknown command ");
    arili_redis_judge(client_text("MOVED 5 ::1:7"), &v);
    assert_string_equal(v.address.host, "::1");
    assert_int_equal(v.address.port, 7);
    assert_int_equal(v.slot, 5);
}

/* --- A server that answers wrongly */

static struct fake_redis fake;
static void *store;

static int setup(void **state)
{
    return runtime_setup(state) == 0 ? temp_folder_make(state) : -1;
}

static int teardown(void **state)
{
    return temp_folder_remove(state) == 0 ? runtime_teardown(state) : -1;
}

static void begin(const char *scheme)
{
    char uri[64];
    fake_redis_start(&fake);
    (void)snprintf(uri, sizeof uri, "%s://127.0.0.1:%u", scheme, fake.port);
    store = client_open(uri);
    assert_status(client_get(store, "n", "v"), ARIL_OK);
}

static int end(void **state)
{
    (void)state;
    client_close(store);
    store = NULL;
    client_deadline_ms = 10000;
    fake_redis_stop(&fake);
    return 0;
}

static void lie(const char *verb, aril_bytes answer, enum fake_then then, unsigned times)
{
    const struct fake_lie one = { verb, answer, then, times };
    fake_redis_lie(&fake, &one, NULL);
}

static void the_next_call_works(void)
{
    client_deadline_ms = 10000;
    assert_status(client_get(store, "n", "v"), ARIL_OK);
}

static void nonsense_is_a_format_error_and_ends_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *answer;
    } CASES[] = {
        { "GET", "+OK\r\n" },
        { "GET", ":1\r\n" },
        { "GET", "*1\r\n$1\r\nv\r\n" },
        { "GET", "*0\r\n" },
        { "GET", "%0\r\n" },
        { "GET", "~1\r\n$1\r\nv\r\n" },
        { "GET", ">1\r\n+x\r\n" },
        { "GET", "#t\r\n" },
        { "GET", ",1.5\r\n" },
        { "GET", "(123\r\n" },
        { "GET", "=5\r\ntxt:v\r\n" },
        { "GET", "|1\r\n+a\r\n+b\r\n$1\r\nv\r\n" },
        { "GET", "HTTP/1.1 400 Bad Request\r\n\r\n" },
        { "GET", "\r\n" },
        { "GET", "$\r\n" },
        { "GET", "$-2\r\n" },
        { "GET", "$1x\r\nv\r\n" },
        { "GET", "$01\r\nv\r\n" },
        { "GET", "$3\r\nabcde\r\n" },
        { "GET", "$1\r\nv\rx" },
        { "GET", "*1000000000000000000\r\n" },
        { "GET", "*2000000\r\n" },
        { "GET", "$1\r\nv\r\n$1\r\nv\r\n" }, /* one more than was asked for */
        { "GET", "$1\r\nv\r\n$" },
        { "GET", "$-1\r\n-ERR\r\n" },
        { "SET", "$-1\r\n" },
        { "SET", "$2\r\nOK\r\n" },
        { "SET", ":1\r\n" },
        { "SET", "*1\r\n+OK\r\n" },
        { "SET", "+OK\r\n+OK\r\n" },
        { "UNLINK", "+OK\r\n" },
        { "UNLINK", ":2\r\n" },
        { "UNLINK", ":-1\r\n" },
        { "UNLINK", "$1\r\n1\r\n" },
        { "EXISTS", "_\r\n" },
        { "EXISTS", "#t\r\n" },
    };
    begin("redis");
    for (size_t i = 0; i < COUNT(CASES); i++) {
        lie(CASES[i].verb, client_text(CASES[i].answer), FAKE_GOES_ON, 1);
        const aril_status st = CASES[i].verb[0] == 'G'   ? client_get(store, "n", "v")
                               : CASES[i].verb[0] == 'S' ? client_put(store, "n", "v")
                               : CASES[i].verb[0] == 'U' ? client_erase(store, "n")
                                                         : client_exists(store, "n");
        if (st != ARIL_E_FORMAT) {
            print_message("%s\n", CASES[i].answer);
        }
        assert_status(st, ARIL_E_FORMAT);
        assert_int_equal(fake_redis_lied(&fake), 1);
        the_next_call_works();
        assert_int_equal(fake_redis_accepted(&fake), 1); /* over a new connection */
    }
}

static void refusals_keep_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        aril_status status;
    } CASES[] = {
        { "-ERR some \x1b[31m text\r\n", ARIL_E_IO },
        { "-READONLY You can't write\r\n", ARIL_E_IO },
        { "-LOADING x\r\n", ARIL_E_IO },
        { "-OOM x\r\n", ARIL_E_IO_FULL },
        { "-NOPERM x\r\n", ARIL_E_AUTH },
        { "-NOAUTH x\r\n", ARIL_E_AUTH },
        { "-MOVED 1 127.0.0.1:1\r\n", ARIL_E_IO },
        { "-ASK 1 127.0.0.1:1\r\n", ARIL_E_IO },
        { "$-1\r\n", ARIL_E_NOT_FOUND },
        { "_\r\n", ARIL_E_NOT_FOUND },
    };
    begin("redis");
    for (size_t i = 0; i < COUNT(CASES); i++) {
        lie("GET", client_text(CASES[i].answer), FAKE_GOES_ON, 1);
        assert_status(client_get(store, "n", "v"), CASES[i].status);
        assert_null(strchr(client_error.message, '\x1b'));
        if (strstr(CASES[i].answer, "127.0.0.1:1") != NULL) { /* which is not followed */
            assert_non_null(strstr(client_error.message, "redis+cluster:"));
        }
        the_next_call_works();
        assert_int_equal(fake_redis_accepted(&fake), 0);
    }
}

static void lengths_beyond_the_limit_are_not_believed(void **state)
{
    (void)state;
    static const char *const ANSWERS[] = { "$1000000000000000000\r\nabc", "$536870913\r\nabc" };
    begin("redis");
    for (size_t i = 0; i < COUNT(ANSWERS); i++) {
        uint8_t buffer[8];
        lie("GET", client_text(ANSWERS[i]), FAKE_IS_SILENT, 1);
        aril_store_item items[2] = {
            { .name = client_text("a"), .buffer = { buffer, sizeof buffer } },
            { .name = client_text("b"), .buffer = { buffer, sizeof buffer } },
        };
        assert_status(OPS.get(store, items, 2, client_deadline_ns(), &client_error), ARIL_OK);
        assert_status(items[0].status, ARIL_E_LIMIT);
        assert_status(items[1].status, ARIL_E_IO); /* lost with the connection */
        the_next_call_works();
        assert_int_equal(fake_redis_accepted(&fake), 1);
    }
}

static void every_truncation_is_a_failure_and_leaves_nothing(void **state)
{
    (void)state;
    static const char ANSWER[] = "$20\r\n01234567890123456789\r\n";
    begin("redis");
    for (size_t len = 1; len < sizeof ANSWER - 1; len++) {
        uint8_t buffer[20] = { 0 };
        static const uint8_t zeros[sizeof buffer];
        lie("GET", (aril_bytes){ (const uint8_t *)ANSWER, len }, FAKE_CLOSES, 1);
        aril_store_item item = { .name = client_text("n"), .buffer = { buffer, sizeof buffer } };
        assert_status(OPS.get(store, &item, 1, client_deadline_ns(), &client_error), ARIL_E_IO);
        assert_status(item.status, ARIL_E_IO);
        assert_null(item.data);
        assert_int_equal(item.len, 0);
        assert_memory_equal(buffer, zeros, sizeof buffer);
        the_next_call_works();
    }
}

/* Pieces of one value, joined. */
struct joined {
    uint8_t bytes[32];
    size_t len;
    unsigned begun;
    size_t refuse_at; /* 0: nothing is refused */
    bool wrong;
};

static int join(void *user, uint64_t total, uint64_t offset, aril_bytes piece)
{
    struct joined *const j = user;
    if (offset == 0) {
        j->begun++;
        j->len = 0;
    }
    if (total != 20 || offset != j->len || piece.len > 20 - j->len) {
        j->wrong = true;
        return 1;
    }
    memcpy(j->bytes + j->len, piece.data, piece.len);
    j->len += piece.len;
    return j->refuse_at != 0 && j->len >= j->refuse_at;
}

static void every_truncation_in_pieces_is_a_failure(void **state)
{
    (void)state;
    static const char ANSWER[] = "$20\r\n01234567890123456789\r\n";
    begin("redis");
    for (size_t len = 1; len < sizeof ANSWER - 1; len++) {
        for (size_t refuse_at = 0; refuse_at <= 10; refuse_at += 10) {
            struct joined j = { .refuse_at = refuse_at };
            aril_store_item items[2] = {
                { .name = client_text("n"), .take = join, .user = &j },
                { .name = client_text("o"), .take = join, .user = &j },
            };
            lie("GET", (aril_bytes){ (const uint8_t *)ANSWER, len }, FAKE_CLOSES, 1);
            assert_status(OPS.get(store, items, 2, client_deadline_ns(), &client_error), ARIL_E_IO);
            assert_string_not_equal(client_error.message, "");
            for (size_t i = 0; i < 2; i++) {
                assert_status(items[i].status, ARIL_E_IO);
                assert_null(items[i].data);
                assert_int_equal(items[i].len, 0);
            }
            assert_false(j.wrong);
            assert_true(j.begun <= 1);
            assert_memory_equal(j.bytes, ANSWER + 5, j.len);
            /* The same item once more: it begins anew. */
            j.refuse_at = 0;
            lie("GET", client_text(ANSWER), FAKE_GOES_ON, 1);
            assert_status(OPS.get(store, items, 1, client_deadline_ns(), NULL), ARIL_OK);
            assert_status(items[0].status, ARIL_OK);
            assert_null(items[0].data);
            assert_int_equal(items[0].len, 20);
            assert_false(j.wrong);
            assert_int_equal(j.len, 20);
            assert_memory_equal(j.bytes, ANSWER + 5, 20);
        }
    }
}

static void every_flipped_bit_leaves_a_store_that_works(void **state)
{
    (void)state;
    static const char ANSWER[] = "$12\r\n012345678901\r\n";
    begin("redis");
    for (size_t bit = 0; bit < 8 * (sizeof ANSWER - 1); bit++) {
        uint8_t answer[sizeof ANSWER - 1];
        uint8_t buffer[12];
        memcpy(answer, ANSWER, sizeof answer);
        answer[bit / 8] ^= (uint8_t)(1u << bit % 8);
        lie("GET", (aril_bytes){ answer, sizeof answer }, FAKE_CLOSES, 1);
        aril_store_item item = { .name = client_text("n"), .buffer = { buffer, sizeof buffer } };
        const aril_status st = OPS.get(store, &item, 1, client_deadline_ns(), &client_error);
        if (bit / 8 >= 5 && bit / 8 < 17) { /* in the value: nobody can tell here */
            assert_status(st, ARIL_OK);
            assert_memory_equal(buffer, answer + 5, sizeof buffer);
        } else if (st == ARIL_OK) { /* a longer value than there is room for, or an error */
            assert_true(item.status != ARIL_OK);
        } else {
            assert_true(aril_status_class(st) == ARIL_E_FORMAT || st == ARIL_E_IO);
        }
        the_next_call_works();
    }
}

static void silence_ends_at_the_deadline(void **state)
{
    (void)state;
    static const char *const ANSWERS[] = { "", "$", "$1\r", "$5\r\nab", "$1\r\nv\r" };
    begin("redis");
    for (size_t i = 0; i < COUNT(ANSWERS); i++) {
        client_deadline_ms = 30;
        lie("GET", client_text(ANSWERS[i]), FAKE_IS_SILENT, 1);
        assert_status(client_get(store, "n", "v"), ARIL_E_TIMEOUT);
        the_next_call_works(); /* and does not get the answer of the last one */
        assert_int_equal(fake_redis_accepted(&fake), 1);
    }
}

static void a_connection_that_was_closed_meanwhile_is_replaced(void **state)
{
    (void)state;
    begin("redis");
    lie("GET", client_text(""), FAKE_CLOSES, 1);
    assert_status(client_get(store, "n", "v"), ARIL_OK);
    assert_int_equal(fake_redis_accepted(&fake), 1);
    /* But what is not the same when it is done twice is not repeated. */
    const aril_bytes part = client_text("v");
    aril_store_item item = {
        .name = client_text("n"), .parts = &part, .part_count = 1, .absent_only = 1
    };
    lie("SET", client_text(""), FAKE_CLOSES, 1);
    assert_status(OPS.put(store, &item, 1, client_deadline_ns(), NULL), ARIL_E_IO);
    /* And a server that closes every time is not asked for ever. */
    lie("GET", client_text(""), FAKE_CLOSES, 1000);
    assert_status(client_get(store, "n", "v"), ARIL_E_IO);
    assert_in_range(fake_redis_lied(&fake), 1, 6);
    fake_redis_lie(&fake, NULL, NULL);
    the_next_call_works();
}

static void bytes_that_nobody_asked_for_end_an_idle_connection(void **state)
{
    (void)state;
    begin("redis");
    /* Two answers at once are seen at once or before the next call; never taken for its answer. */
    lie("EXISTS", client_text(":1\r\n$5\r\nwrong\r\n"), FAKE_GOES_ON, 1);
    const aril_status st = client_exists(store, "n");
    assert_true(st == ARIL_OK || st == ARIL_E_FORMAT);
    the_next_call_works();
    assert_int_equal(fake_redis_accepted(&fake), 1);
}

static void three_items(aril_store_item items[3], uint8_t buffers[3][8])
{
    static const char *const NAMES[3] = { "a", "b", "c" };
    memset(buffers, 0, 24);
    for (size_t i = 0; i < 3; i++) {
        items[i] = (aril_store_item){ .name = client_text(NAMES[i]), .buffer = { buffers[i], 8 } };
    }
}

static void what_was_answered_before_a_failure_counts(void **state)
{
    (void)state;
    static const struct {
        const char *answer; /* to the first of three */
        enum fake_then then;
        aril_status second, third;
    } CASES[] = {
        { "$1\r\nx\r\n", FAKE_CLOSES, ARIL_E_IO, ARIL_E_IO },
        { "$1\r\nx\r\n$1\r\ny\r\n", FAKE_CLOSES, ARIL_OK, ARIL_E_IO },
        { "$1\r\nx\r\n$5\r\ny", FAKE_CLOSES, ARIL_E_IO, ARIL_E_IO },
        { "$1\r\nx\r\n:5\r\n", FAKE_CLOSES, ARIL_E_FORMAT, ARIL_E_FORMAT },
        { "$1\r\nx\r\n$-1\r\n", FAKE_IS_SILENT, ARIL_E_NOT_FOUND, ARIL_E_TIMEOUT },
        { "$1\r\nx\r\n-OOM\r\n", FAKE_IS_SILENT, ARIL_E_IO_FULL, ARIL_E_TIMEOUT },
    };
    begin("redis");
    for (size_t i = 0; i < COUNT(CASES); i++) {
        aril_store_item items[3];
        uint8_t buffers[3][8];
        three_items(items, buffers);
        client_deadline_ms = CASES[i].then == FAKE_IS_SILENT ? 200 : 10000;
        lie("GET", client_text(CASES[i].answer), CASES[i].then, 1);
        client_error = (aril_error){ 0 };
        assert_status(OPS.get(store, items, 3, client_deadline_ns(), &client_error), ARIL_OK);
        assert_status(items[0].status, ARIL_OK);
        assert_int_equal(buffers[0][0], 'x');
        assert_status(items[1].status, CASES[i].second);
        assert_status(items[2].status, CASES[i].third);
        assert_string_not_equal(client_error.message, "");
        the_next_call_works();
    }
}

static void a_value_that_is_refused_before_its_end_is_a_failure(void **state)
{
    (void)state;
    begin("redis");
    static uint8_t value[64 << 20]; /* more than the buffers of two sockets hold */
    const aril_bytes part = { value, sizeof value };
    aril_store_item item = { .name = client_text("n"), .parts = &part, .part_count = 1 };
    lie(FAKE_PART, client_text("-ERR Protocol error\r\n"), FAKE_STOPS, 1);
    assert_status(OPS.put(store, &item, 1, client_deadline_ns(), &client_error), ARIL_E_IO);
    assert_non_null(strstr(client_error.message, "Protocol error"));
    the_next_call_works();
    lie(FAKE_PART, client_text("+OK\r\n"), FAKE_STOPS, 1);
    assert_status(OPS.put(store, &item, 1, client_deadline_ns(), &client_error), ARIL_E_FORMAT);
    the_next_call_works();
    lie(FAKE_PART, client_text(""), FAKE_CLOSES, 1000);
    assert_status(OPS.put(store, &item, 1, client_deadline_ns(), &client_error), ARIL_E_IO);
    fake_redis_lie(&fake, NULL, NULL);
    the_next_call_works();
    lie(FAKE_PART, client_text(""), FAKE_STOPS, 1);
    client_deadline_ms = 100;
    assert_status(OPS.put(store, &item, 1, client_deadline_ns(), &client_error), ARIL_E_TIMEOUT);
    the_next_call_works();
}

/* --- Logins */

static aril_status open_with_password(const char *user)
{
    char uri[96];
    const aril_store_config config = { .secret_path =
                                           temp_write("secret", 0600, ARILI_LITERAL("hunter2")) };
    (void)snprintf(uri, sizeof uri, "redis://%s127.0.0.1:%u/2", user, fake.port);
    return client_open_with(uri, &config, &store);
}

static void an_old_server_is_spoken_to_as_it_understands(void **state)
{
    (void)state;
    char heard[256];
    static const char *const UNKNOWN[] = {
        "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `hunter2`, \r\n",
        "-NOPROTO unsupported protocol version\r\n"
    };
    fake_redis_start(&fake);
    for (size_t i = 0; i < COUNT(UNKNOWN); i++) {
        lie("HELLO", client_text(UNKNOWN[i]), FAKE_GOES_ON, 1);
        assert_status(open_with_password(""), ARIL_OK);
        fake_redis_heard(&fake, heard, sizeof heard);
        assert_string_equal(heard, "HELLO 3 AUTH default hunter2;AUTH hunter2;"
                                   "CLIENT SETNAME aril;SELECT 2;");
        assert_status(client_get(store, "n", "v"), ARIL_OK);
        client_close(store);
        store = NULL;
    }
    lie("HELLO", client_text(UNKNOWN[0]), FAKE_GOES_ON, 1);
    assert_status(open_with_password("me@"), ARIL_OK);
    fake_redis_heard(&fake, heard, sizeof heard);
    assert_string_equal(heard, "HELLO 3 AUTH me hunter2;AUTH me hunter2;"
                               "CLIENT SETNAME aril;SELECT 2;");
    /* RESP3 is none of its answers. */
    lie("GET", client_text("_\r\n"), FAKE_GOES_ON, 1);
    assert_status(client_get(store, "n", "v"), ARIL_E_FORMAT);
}

static void a_login_that_fails_says_why_and_not_the_password(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *answer;
        aril_status status;
    } CASES[] = {
        { "HELLO", "-WRONGPASS invalid username-password pair\r\n", ARIL_E_AUTH },
        { "HELLO", "-NOAUTH x\r\n", ARIL_E_AUTH },
        { "HELLO", "+OK\r\n", ARIL_E_FORMAT },
        { "HELLO", "*0\r\n", ARIL_E_FORMAT },
        { "HELLO", "SSH-2.0-OpenSSH_9.2\r\n", ARIL_E_FORMAT },
        { "SELECT", "-ERR DB index is out of range\r\n", ARIL_E_USAGE_RANGE },
        { "SELECT", "-NOPERM x\r\n", ARIL_E_AUTH },
        { "SELECT", ":1\r\n", ARIL_E_FORMAT },
    };
    fake_redis_start(&fake);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        lie(CASES[i].verb, client_text(CASES[i].answer), FAKE_GOES_ON, 1);
        assert_status(open_with_password(""), CASES[i].status);
        assert_null(store);
        assert_string_not_equal(client_error.message, "");
        assert_null(strstr(client_error.message, "hunter2"));
    }
    const struct fake_lie old = { "HELLO", client_text("-ERR unknown command\r\n"), FAKE_GOES_ON,
                                  1 };
    const struct fake_lie echo = { "AUTH", client_text("-ERR invalid hunter2\r\n"), FAKE_GOES_ON,
                                   1 };
    fake_redis_lie(&fake, &old, &echo);
    assert_status(open_with_password(""), ARIL_E_AUTH);
    assert_null(strstr(client_error.message, "hunter2"));
    /* The name of the connection is not needed. */
    lie("CLIENT", client_text("-NOPERM x\r\n"), FAKE_GOES_ON, 1);
    assert_status(open_with_password(""), ARIL_OK);
}

/* --- A Cluster that answers wrongly */

static void redirections_end(void **state)
{
    (void)state;
    char moved[64];
    char ask[64];
    begin("redis+cluster");
    (void)snprintf(moved, sizeof moved, "-MOVED 1 127.0.0.1:%u\r\n", fake.port);
    (void)snprintf(ask, sizeof ask, "-ASK 1 :%u\r\n", fake.port);
    lie("GET", client_text(moved), FAKE_GOES_ON, 1000);
    assert_status(client_get(store, "n", "v"), ARIL_E_IO);
    assert_int_equal(fake_redis_lied(&fake), ARILI_REDIS_REDIRECTS + 1);
    lie("GET", client_text(ask), FAKE_GOES_ON, 1000);
    assert_status(client_get(store, "n", "v"), ARIL_E_IO);
    assert_int_equal(fake_redis_lied(&fake), ARILI_REDIS_REDIRECTS + 1);
    lie("GET", client_text(ask), FAKE_GOES_ON, 1);
    assert_status(client_get(store, "n", "v"), ARIL_OK);
    char heard[256];
    fake_redis_heard(&fake, heard, sizeof heard);
    assert_string_equal(heard, "GET n;ASKING;GET n;");
    lie("GET", client_text("-TRYAGAIN x\r\n"), FAKE_GOES_ON, 2);
    assert_status(client_get(store, "n", "v"), ARIL_OK);
    lie("WATCH", client_text(moved), FAKE_GOES_ON, 1000);
    uint64_t fence = 3;
    assert_true(OPS.lock(store, client_text("l"), 10, client_deadline_ns(), &fence,
                         &client_error) != ARIL_OK);
    assert_int_equal(fence, 3);
    fake_redis_lie(&fake, NULL, NULL);
    the_next_call_works();
}

static void redirections_to_nowhere_are_refused(void **state)
{
    (void)state;
    static const char *const ANSWERS[] = { "-MOVED 16384 127.0.0.1:1\r\n", "-MOVED 1 x\r\n",
                                           "-MOVED 1 127.0.0.1:99999\r\n", "-ASK 1\r\n" };
    begin("redis+cluster");
    for (size_t i = 0; i < COUNT(ANSWERS); i++) {
        lie("GET", client_text(ANSWERS[i]), FAKE_GOES_ON, 1);
        assert_status(client_get(store, "n", "v"), ARIL_E_FORMAT);
        the_next_call_works();
    }
    /* A node that does not exist: refused at once, and the map is read again. */
    lie("GET", client_text("-MOVED 1 127.0.0.1:1\r\n"), FAKE_GOES_ON, 1);
    const aril_status st = client_get(store, "n", "v");
    assert_true(st == ARIL_OK || st == ARIL_E_IO);
    the_next_call_works();
    const struct fake_lie ask = { "GET", { NULL, 0 }, FAKE_GOES_ON, 1 };
    struct fake_lie first = ask;
    char text[64];
    (void)snprintf(text, sizeof text, "-ASK 1 127.0.0.1:%u\r\n", fake.port);
    first.answer = client_text(text);
    const struct fake_lie second = { "ASKING", client_text(":1\r\n"), FAKE_GOES_ON, 1 };
    fake_redis_lie(&fake, &first, &second);
    assert_status(client_get(store, "n", "v"), ARIL_E_FORMAT);
    the_next_call_works();
}

static void a_map_that_is_none_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        aril_status status;
    } CASES[] = {
        { "+OK\r\n", ARIL_E_FORMAT },
        { "*1\r\n:1\r\n", ARIL_E_FORMAT },
        { "*1\r\n*1\r\n:0\r\n", ARIL_E_FORMAT },
        { "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\nh\r\n:1\r\n", ARIL_E_FORMAT },
        { "*1\r\n*3\r\n:-1\r\n:16\r\n*2\r\n$1\r\nh\r\n:1\r\n", ARIL_E_FORMAT },
        { "*1\r\n*3\r\n:9\r\n:8\r\n*2\r\n$1\r\nh\r\n:1\r\n", ARIL_E_FORMAT },
        { "*1\r\n*3\r\n:0\r\n:8\r\n*2\r\n$1\r\nh\r\n:0\r\n", ARIL_E_FORMAT },
        { "*1\r\n*3\r\n:0\r\n:8\r\n*2\r\n$1\r\nh\r\n:65536\r\n", ARIL_E_FORMAT },
        { "*1\r\n*3\r\n:0\r\n:8\r\n*2\r\n:5\r\n:6\r\n", ARIL_E_FORMAT },
        { "*1\r\n*3\r\n:0\r\n:8\r\n$1\r\nx\r\n", ARIL_E_FORMAT },
        { "*1\r\n*3\r\n:0\r\n:8\r\n*1\r\n$1\r\nh\r\n", ARIL_E_FORMAT },
        { "-ERR This instance has cluster support disabled\r\n", ARIL_E_USAGE_RANGE },
        { "-NOPERM x\r\n", ARIL_E_AUTH },
        { "*0\r\n", ARIL_OK }, /* as one that is down: it may come back */
    };
    char uri[64];
    fake_redis_start(&fake);
    (void)snprintf(uri, sizeof uri, "redis+cluster://127.0.0.1:%u", fake.port);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        /* The store of the last one is used: its connection must not just have been closed. */
        const bool opens = CASES[i].status == ARIL_OK;
        lie("CLUSTER", client_text(CASES[i].answer), opens ? FAKE_GOES_ON : FAKE_CLOSES, 1);
        assert_status(client_open_with(uri, NULL, &store), CASES[i].status);
        if (opens) {
            the_next_call_works();
        }
    }
}

static void a_node_may_leave_out_its_own_address(void **state)
{
    (void)state;
    char text[128];
    char uri[64];
    static const char *const HOSTS[] = { "$0\r\n\r\n", "_\r\n", "$1\r\n?\r\n" };
    fake_redis_start(&fake);
    (void)snprintf(uri, sizeof uri, "redis+cluster://127.0.0.1:%u", fake.port);
    for (size_t i = 0; i < COUNT(HOSTS); i++) {
        (void)snprintf(text, sizeof text, "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n%s:%u\r\n", HOSTS[i],
                       fake.port);
        lie("CLUSTER", client_text(text), FAKE_GOES_ON, 1);
        store = client_open(uri);
        the_next_call_works();
        client_close(store);
        store = NULL;
    }
}

/* --- A server that talks too much */

static void count_message(void *user, aril_bytes message)
{
    (void)message;
    (*(unsigned *)user)++;
}

/* The listener's caller holds a lock that messages wait for, until the server has confirmed. */
static void messages_before_the_confirmation_are_passed_over(void **state)
{
    (void)state;
    static const char ANSWER[] = ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"
                                 ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    unsigned heard = 0;
    begin("redis");
    lie("GET", client_text(""), FAKE_CLOSES, 2); /* it has one connection at a time */
    assert_status(client_get(store, "n", "v"), ARIL_E_IO);
    lie("SUBSCRIBE", client_text(ANSWER), FAKE_IS_SILENT, 1);
    assert_status(OPS.listen(store, client_text("c"), count_message, &heard, &client_error),
                  ARIL_OK);
    assert_int_equal(fake_redis_lied(&fake), 1);
    assert_int_equal(heard, 0);
}

static aril_status pass_over(void *user, const struct arili_redis_value *v)
{
    (void)user;
    (void)v;
    return ARIL_OK;
}

/* An answer of more bytes than are read at once, all there; only its end is not. */
static void an_answer_without_end_ends_at_the_deadline_and_when_told_to_stop(void **state)
{
    (void)state;
    static const char HEAD[] = "*1000000\r\n";
    static uint8_t text[2 * ARILI_REDIS_IN_BYTES];
    for (size_t i = 0; i + 4 <= sizeof text; i += 4) {
        memcpy(text + i, ":1\r\n", 4);
    }
    for (unsigned stops = 0; stops < 2; stops++) {
        struct arili_redis_node node = { .name = "a server" };
        struct arili_redis_conn *const conn = calloc(1, sizeof *conn);
        const int room = 4 * (int)sizeof text;
        int ends[2];
        int stop[2];
        assert_non_null(conn);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
        assert_int_equal(pipe(stop), 0);
        assert_int_equal(write(stop[1], "x", stops), stops);
        conn->node = &node;
        conn->socket = (struct arili_redis_socket){ ends[0], stop[0], NULL, node.name };
        arili_resp_decoder_init(&conn->decoder,
                                &(struct arili_resp_limits){ .count_max = 1000000 });
        assert_int_equal(send(ends[1], HEAD, sizeof HEAD - 1, 0), sizeof HEAD - 1);
        assert_int_equal(send(ends[1], text, sizeof text, 0), sizeof text);
        assert_status(arili_redis_conn_receive(conn, (aril_span){ NULL, 0 }, pass_over, NULL,
                                               stops ? UINT64_MAX : 1, NULL),
                      stops ? ARIL_E_INTERRUPTED : ARIL_E_TIMEOUT);
        assert_true(conn->broken);
        uint8_t byte = 0; /* not all of it was read */
        assert_int_equal(recv(ends[0], &byte, 1, MSG_PEEK), 1);
        for (unsigned k = 0; k < 2; k++) {
            (void)close(ends[k]);
            (void)close(stop[k]);
        }
        free(conn);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uris_say_what_they_mean),
        cmocka_unit_test(uris_that_are_none_are_refused),
        cmocka_unit_test(a_password_in_a_uri_is_refused_and_not_repeated),
        cmocka_unit_test(errors_of_servers_are_told_apart),
        cmocka_unit_test_teardown(nonsense_is_a_format_error_and_ends_the_connection, end),
        cmocka_unit_test_teardown(refusals_keep_the_connection, end),
        cmocka_unit_test_teardown(lengths_beyond_the_limit_are_not_believed, end),
        cmocka_unit_test_teardown(every_truncation_is_a_failure_and_leaves_nothing, end),
        cmocka_unit_test_teardown(every_truncation_in_pieces_is_a_failure, end),
        cmocka_unit_test_teardown(every_flipped_bit_leaves_a_store_that_works, end),
        cmocka_unit_test_teardown(silence_ends_at_the_deadline, end),
        cmocka_unit_test_teardown(a_connection_that_was_closed_meanwhile_is_replaced, end),
        cmocka_unit_test_teardown(bytes_that_nobody_asked_for_end_an_idle_connection, end),
        cmocka_unit_test_teardown(what_was_answered_before_a_failure_counts, end),
        cmocka_unit_test_teardown(a_value_that_is_refused_before_its_end_is_a_failure, end),
        cmocka_unit_test_teardown(an_old_server_is_spoken_to_as_it_understands, end),
        cmocka_unit_test_teardown(a_login_that_fails_says_why_and_not_the_password, end),
        cmocka_unit_test_teardown(redirections_end, end),
        cmocka_unit_test_teardown(redirections_to_nowhere_are_refused, end),
        cmocka_unit_test_teardown(a_map_that_is_none_is_refused, end),
        cmocka_unit_test_teardown(a_node_may_leave_out_its_own_address, end),
        cmocka_unit_test_teardown(messages_before_the_confirmation_are_passed_over, end),
        cmocka_unit_test(an_answer_without_end_ends_at_the_deadline_and_when_told_to_stop),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
