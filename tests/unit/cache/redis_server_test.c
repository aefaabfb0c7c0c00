/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store against real servers. */
#include "base/bytes.h"
#include "check.h"
#include "redis.h"
#include "redis_certs.h"
#include "redis_client.h"
#include "runtime.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OPS   arili_cache_store_redis
#define MIB   ((size_t)1 << 20)
#define BATCH 10000u

static struct redis server;
static void *store;
static char uri[256];

static const char *unix_uri(void)
{
    (void)snprintf(uri, sizeof uri, "redis+unix:%s", server.socket);
    return uri;
}

static const char *tcp_uri(const char *user)
{
    (void)snprintf(uri, sizeof uri, "redis://%s127.0.0.1:%u", user, server.port);
    return uri;
}

static void start(const struct redis_options *options)
{
    assert_true(redis_start(&server, options));
}

static int end(void **state)
{
    (void)state;
    client_close(store);
    store = NULL;
    client_deadline_ms = 10000;
    redis_remove(&server);
    server = (struct redis){ 0 };
    return 0;
}

/* A server, and a store over it. */
static void begin(void)
{
    start(&(struct redis_options){ .tcp = true });
    store = client_open(tcp_uri(""));
}

static const char *secret(const char *text, mode_t mode)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s", redis_file(&server, "secret"));
    FILE *const file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

/* --- Values */

/* Bytes that differ everywhere, by number. */
static void fill(uint8_t *ret, size_t len, uint64_t seed)
{
    uint64_t x = seed * 2 + 1;
    for (size_t i = 0; i < len; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ret[i] = (uint8_t)(x >> 56);
    }
}

static uint8_t *room_malloc(void *user, size_t len)
{
    size_t *const seen = user;
    *seen = len;
    return malloc(len > 0 ? len : 1);
}

static void values_of_every_length_come_back(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    static const size_t LENGTHS[] = { 0,     1,     2047,    2048, 2049,    16000,
                                      16384, 16385, MIB - 1, MIB,  80 * MIB };
    for (size_t i = 0; i < COUNT(LENGTHS); i++) {
        const size_t len = LENGTHS[i];
        uint8_t *const value = malloc(len + 1);
        assert_non_null(value);
        fill(value, len, i);
        /* In three parts, one of them empty. */
        const aril_bytes parts[3] = { { value, len / 3 },
                                      { NULL, 0 },
                                      { value + len / 3, len - len / 3 } };
        aril_store_item put = { .name = client_text("v"), .parts = parts, .part_count = 3 };
        assert_status(OPS.put(store, &put, 1, client_deadline_ns(), &client_error), ARIL_OK);
        assert_status(put.status, ARIL_OK);
        size_t seen = SIZE_MAX;
        aril_store_item get = { .name = client_text("v"), .room = room_malloc, .user = &seen };
        assert_status(OPS.get(store, &get, 1, client_deadline_ns(), &client_error), ARIL_OK);
        assert_status(get.status, ARIL_OK);
        assert_int_equal(get.len, len);
        if (len > 0) {
            assert_int_equal(seen, len);
            assert_memory_equal(get.data, value, len);
        }
        char answer[64];
        (void)snprintf(answer, sizeof answer, ":%zu", len);
        redis_expect(&server, "STRLEN v", answer); /* the server has it as well */
        free(len > 0 ? get.data : NULL);
        free(value);
    }
}

static uint8_t *no_room(void *user, size_t len)
{
    ++*(unsigned *)user;
    assert_int_equal(len, 100000);
    return NULL;
}

static void values_that_do_not_fit_are_passed_over(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    static uint8_t value[100000];
    uint8_t small[8] = { 0 };
    unsigned asked = 0;
    fill(value, sizeof value, 1);
    const aril_bytes part = { value, sizeof value };
    aril_store_item put = { .name = client_text("long"), .parts = &part, .part_count = 1 };
    assert_status(OPS.put(store, &put, 1, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(client_put(store, "short", "s"), ARIL_OK);
    aril_store_item items[4] = {
        { .name = client_text("long"), .buffer = { small, sizeof small } },
        { .name = client_text("long"), .room = no_room, .user = &asked },
        { .name = client_text("none"), .buffer = { small, sizeof small } },
        { .name = client_text("short"), .buffer = { small, sizeof small } },
    };
    assert_status(OPS.get(store, items, 4, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(items[0].status, ARIL_E_USAGE_TOO_SMALL);
    assert_int_equal(items[0].len, sizeof value);
    assert_null(items[0].data);
    assert_status(items[1].status, ARIL_E_LIMIT);
    assert_int_equal(asked, 1);
    assert_status(items[2].status, ARIL_E_NOT_FOUND);
    assert_status(items[3].status, ARIL_OK);
    assert_int_equal(small[0], 's');
}

static void names_are_any_bytes(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    uint8_t name[ARIL_STORE_NAME_BYTES_MAX];
    for (size_t i = 0; i < sizeof name; i++) {
        name[i] = (uint8_t)i;
    }
    static const size_t LENGTHS[] = { 1, 2, 14, 256, sizeof name };
    for (size_t i = 0; i < COUNT(LENGTHS); i++) {
        uint8_t value[8];
        uint8_t got[8];
        fill(value, sizeof value, i);
        const aril_bytes part = { value, sizeof value };
        const aril_bytes key = { name, LENGTHS[i] };
        aril_store_item put = { .name = key, .parts = &part, .part_count = 1 };
        assert_status(OPS.put(store, &put, 1, client_deadline_ns(), NULL), ARIL_OK);
        aril_store_item get = { .name = key, .buffer = { got, sizeof got } };
        assert_status(OPS.get(store, &get, 1, client_deadline_ns(), NULL), ARIL_OK);
        assert_status(get.status, ARIL_OK);
        assert_memory_equal(got, value, sizeof value);
    }
    assert_int_equal(redis_number(&server, "DBSIZE"), COUNT(LENGTHS));
}

struct many {
    char names[BATCH][16];
    uint8_t values[BATCH][64];
    uint8_t got[BATCH][64];
    aril_bytes parts[BATCH];
    aril_store_item items[BATCH];
};

static void many_names(struct many *m)
{
    for (size_t i = 0; i < BATCH; i++) {
        (void)snprintf(m->names[i], sizeof m->names[i], "n%zu", i);
        m->parts[i] = (aril_bytes){ m->values[i], i % 65 };
        m->items[i] = (aril_store_item){ .name = client_text(m->names[i]) };
        fill(m->values[i], i % 65, i);
    }
}

static void a_batch_of_ten_thousand_goes_there_and_back(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    struct many *const m = calloc(1, sizeof *m);
    assert_non_null(m);
    many_names(m);
    for (size_t i = 0; i < BATCH; i++) {
        m->items[i].parts = &m->parts[i];
        m->items[i].part_count = 1;
    }
    assert_status(OPS.put(store, m->items, BATCH, client_deadline_ns(), NULL), ARIL_OK);
    assert_int_equal(redis_number(&server, "DBSIZE"), BATCH);
    many_names(m);
    for (size_t i = 0; i < BATCH; i++) {
        m->items[i].buffer = (aril_span){ m->got[i], sizeof m->got[i] };
    }
    assert_status(OPS.get(store, m->items, BATCH, client_deadline_ns(), NULL), ARIL_OK);
    for (size_t i = 0; i < BATCH; i++) {
        assert_status(m->items[i].status, ARIL_OK);
        assert_int_equal(m->items[i].len, i % 65);
        assert_memory_equal(m->got[i], m->values[i], sizeof m->got[i]);
    }
    many_names(m);
    assert_status(OPS.exists(store, m->items, BATCH, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(m->items[BATCH - 1].status, ARIL_OK);
    assert_status(OPS.erase(store, m->items, BATCH / 2, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(OPS.exists(store, m->items, BATCH, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(m->items[BATCH / 2 - 1].status, ARIL_E_NOT_FOUND);
    assert_status(m->items[BATCH / 2].status, ARIL_OK);
    assert_int_equal(redis_number(&server, "DBSIZE"), BATCH / 2);
    free(m);
}

/* More than the buffers of both sockets hold, in both directions. */
static void a_batch_of_long_values_does_not_get_stuck(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    enum { ITEMS = 40 };
    const size_t len = 2 * MIB;
    uint8_t *const value = malloc(len);
    uint8_t *const got = malloc(len * ITEMS);
    assert_true(value != NULL && got != NULL);
    char names[ITEMS][8];
    aril_store_item items[ITEMS];
    const aril_bytes part = { value, len };
    fill(value, len, 7);
    for (size_t i = 0; i < ITEMS; i++) {
        (void)snprintf(names[i], sizeof names[i], "l%zu", i);
        items[i] = (aril_store_item){ .name = client_text(names[i]),
                                      .parts = &part,
                                      .part_count = 1,
                                      .buffer = { got + i * len, len } };
    }
    assert_status(OPS.put(store, items, ITEMS, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(OPS.get(store, items, ITEMS, client_deadline_ns(), NULL), ARIL_OK);
    for (size_t i = 0; i < ITEMS; i++) {
        assert_status(items[i].status, ARIL_OK);
        assert_memory_equal(items[i].data, value, len);
    }
    free(got);
    free(value);
}

static void values_have_a_time_to_live(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    const aril_bytes part = client_text("x");
    aril_store_item items[2] = {
        { .name = client_text("t"), .parts = &part, .part_count = 1, .ttl_ms = 3600000 },
        { .name = client_text("u"), .parts = &part, .part_count = 1, .ttl_ms = UINT64_MAX },
    };
    assert_status(OPS.put(store, items, 2, client_deadline_ns(), NULL), ARIL_OK);
    assert_in_range(redis_number(&server, "PTTL t"), 3590000, 3600000);
    assert_status(items[1].status, ARIL_OK);
    assert_true(redis_number(&server, "PTTL u") > INT64_C(1) << 50);
    assert_status(client_put(store, "t", "y"), ARIL_OK);
    assert_int_equal(redis_number(&server, "PTTL t"), -1);
}

static void absent_only_keeps_what_is_there(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    const aril_bytes part = client_text("new");
    aril_store_item items[3] = {
        { .name = client_text("a"), .parts = &part, .part_count = 1, .absent_only = 1 },
        { .name = client_text("b"),
          .parts = &part,
          .part_count = 1,
          .absent_only = 1,
          .ttl_ms = 100000 },
        { .name = client_text("b"), .parts = &part, .part_count = 1, .absent_only = 1 },
    };
    assert_status(client_put(store, "a", "old"), ARIL_OK);
    assert_status(OPS.put(store, items, 3, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(items[0].status, ARIL_E_EXISTS);
    assert_status(items[1].status, ARIL_OK);
    assert_status(items[2].status, ARIL_E_EXISTS);
    assert_status(client_get(store, "a", "old"), ARIL_OK);
    assert_status(client_get(store, "b", "new"), ARIL_OK);
}

static void of_two_items_with_one_name_the_later_wins(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    const aril_bytes one = client_text("one");
    const aril_bytes two = client_text("two");
    aril_store_item items[2] = { { .name = client_text("n"), .parts = &one, .part_count = 1 },
                                 { .name = client_text("n"), .parts = &two, .part_count = 1 } };
    assert_status(OPS.put(store, items, 2, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(client_get(store, "n", "two"), ARIL_OK);
}

/* --- Where it is, and who may */

static void databases_are_apart(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    start(&(struct redis_options){ 0 });
    char text[256];
    (void)snprintf(text, sizeof text, "redis+unix:%s?db=3", server.socket);
    store = client_open(text);
    assert_status(client_put(store, "n", "v"), ARIL_OK);
    client_close(store);
    store = client_open(unix_uri());
    assert_status(client_get(store, "n", ""), ARIL_E_NOT_FOUND);
    (void)snprintf(text, sizeof text, "redis+unix:%s?db=4000", server.socket);
    void *none = NULL;
    assert_status(client_open_with(text, NULL, &none), ARIL_E_USAGE_RANGE);
}

static void the_password_of_the_file_is_used(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    start(&(struct redis_options){ .tcp = true, .password = "open sesame" });
    void *none = NULL;
    aril_store_config config = { 0 };
    assert_status(client_open_with(tcp_uri(""), NULL, &none), ARIL_E_AUTH);
    config.secret_path = secret("wrong-one\n", 0600);
    assert_status(client_open_with(tcp_uri(""), &config, &none), ARIL_E_AUTH);
    assert_null(strstr(client_error.message, "wrong-one"));
    config.secret_path = secret("open sesame\n", 0644);
    assert_status(client_open_with(tcp_uri(""), &config, &none), ARIL_E_IO_PERMISSION);
    config.secret_path = secret("open sesame\n", 0600);
    assert_status(client_open_with(tcp_uri(""), &config, &store), ARIL_OK);
    assert_status(client_put(store, "n", "v"), ARIL_OK);
    client_close(store);
    char text[512];
    (void)snprintf(text, sizeof text, "%s?password-file=%s", tcp_uri("default@"),
                   config.secret_path);
    store = client_open(text);
    assert_status(client_get(store, "n", "v"), ARIL_OK);
}

static aril_status answer_sesame(void *user, aril_secret_kind kind, const char *subject,
                                 uint8_t *ret, size_t cap, size_t *ret_len)
{
    ++*(unsigned *)user;
    assert_int_equal(kind, ARIL_SECRET_PASSPHRASE);
    assert_non_null(strstr(subject, "127.0.0.1"));
    assert_true(cap >= 6);
    memcpy(ret, "sesame", 6);
    *ret_len = 6;
    return ARIL_OK;
}

static void who_can_be_asked_is_asked_when_the_server_wants_a_password(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    start(&(struct redis_options){ .tcp = true, .password = "sesame" });
    unsigned asked = 0;
    const aril_store_config config = { .ask = answer_sesame, .user = &asked };
    assert_status(client_open_with(tcp_uri(""), &config, &store), ARIL_OK);
    assert_int_equal(asked, 1);
    assert_status(client_put(store, "n", "v"), ARIL_OK);
}

static void users_may_what_their_acl_says(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    start(&(struct redis_options){ .tcp = true,
                                   .acl = "user root on >root ~* &* +@all\nuser default off\n"
                                          "user anna on >secret ~a:* +@all -unlink\n" });
    const aril_store_config config = { .secret_path = secret("secret", 0600) };
    assert_status(client_open_with(tcp_uri("anna@"), &config, &store), ARIL_OK);
    assert_status(client_put(store, "a:1", "v"), ARIL_OK);
    assert_status(client_put(store, "b:1", "v"), ARIL_E_AUTH);
    assert_non_null(strstr(client_error.message, "NOPERM"));
    assert_status(client_erase(store, "a:1"), ARIL_E_AUTH);
    assert_status(client_get(store, "a:1", "v"), ARIL_OK); /* the connection is still good */
    aril_store_item items[2] = { { .name = client_text("a:1") }, { .name = client_text("b:1") } };
    assert_status(OPS.exists(store, items, 2, client_deadline_ns(), &client_error), ARIL_OK);
    assert_status(items[0].status, ARIL_OK);
    assert_status(items[1].status, ARIL_E_AUTH);
}

static void a_full_server_says_so(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    start(&(struct redis_options){ .tcp = true, .conf = "maxmemory 100kb\n" });
    store = client_open(tcp_uri(""));
    assert_status(client_put(store, "n", "v"), ARIL_E_IO_FULL);
    uint64_t fence = 7;
    assert_status(OPS.lock(store, client_text("l"), 1000, client_deadline_ns(), &fence, NULL),
                  ARIL_E_IO_FULL);
    assert_int_equal(fence, 7);
    assert_status(client_get(store, "n", ""), ARIL_E_NOT_FOUND);
}

static void a_name_of_another_type_is_no_value(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    redis_expect(&server, "RPUSH list x", ":1");
    assert_status(client_get(store, "list", ""), ARIL_E_FORMAT_KIND);
    assert_status(client_put(store, "list", "v"), ARIL_OK);
}

static void tls_works_as_plain_does(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    start(&(struct redis_options){ .tls = true });
    char text[128];
    char ca[256];
    (void)snprintf(text, sizeof text, "rediss://localhost:%u", server.tls_port);
    (void)snprintf(ca, sizeof ca, "%s", redis_file(&server, "ca.pem"));
    const aril_store_config config = { .ca_path = ca };
    void *none = NULL;
    assert_status(client_open_with(text, &config, &store), ARIL_OK);
    assert_status(client_put(store, "n", "v"), ARIL_OK);
    assert_status(client_get(store, "n", "v"), ARIL_OK);
    const size_t len = 3 * MIB;
    uint8_t *const value = malloc(len);
    uint8_t *const got = malloc(4 * len);
    assert_true(value != NULL && got != NULL);
    fill(value, len, 3);
    const aril_bytes parts[2] = { { value, 100 }, { value + 100, len - 100 } };
    aril_store_item items[4];
    static const char *const NAMES[4] = { "a", "b", "c", "d" };
    for (size_t i = 0; i < 4; i++) {
        items[i] = (aril_store_item){ .name = client_text(NAMES[i]),
                                      .parts = parts,
                                      .part_count = 2,
                                      .buffer = { got + i * len, len } };
    }
    assert_status(OPS.put(store, items, 4, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(OPS.get(store, items, 4, client_deadline_ns(), NULL), ARIL_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_status(items[i].status, ARIL_OK);
        assert_memory_equal(items[i].data, value, len);
    }
    free(got);
    free(value);
    /* The group is ours to prefer; it depends on the server whether it knows it. */
    struct arili_cache_store_stat stat = { 0 };
    assert_status(OPS.stat(store, client_deadline_ns(), &stat, NULL), ARIL_OK);
    const char *const told = strstr(stat.description, ", TLS 1.3, ");
    assert_non_null(told);
    if (strcmp(told, ", TLS 1.3, X25519MLKEM768") != 0) {
        assert_string_equal(told, ", TLS 1.3, X25519");
        print_message("redis-server has a libssl without X25519MLKEM768\n");
    }
    char other[256];
    (void)snprintf(other, sizeof other, "%s", redis_file(&server, "other.pem"));
    const aril_store_config wrong = { .ca_path = other };
    assert_status_class(client_open_with(text, &wrong, &none), ARIL_E_TRUST);
}

/* --- A server that comes and goes */

static void a_server_that_was_restarted_is_used_again(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    assert_status(client_put(store, "n", "v"), ARIL_OK);
    for (unsigned i = 0; i < 5; i++) {
        redis_kill(&server);
        assert_status(client_get(store, "n", "v"), ARIL_E_IO);
        assert_status(client_get(store, "n", "v"), ARIL_E_IO);
        redis_restart(&server);
        assert_status(client_get(store, "n", "v"), ARIL_E_NOT_FOUND);
        redis_kill(&server); /* between calls, unnoticed */
        redis_restart(&server);
        assert_status(client_put(store, "n", "v"), ARIL_OK);
    }
}

/* The server is killed when half of a value was handed over. */
struct killer {
    uint64_t came;
    unsigned begun;
    bool armed, wrong;
};

static int kill_half_way(void *user, uint64_t total, uint64_t offset, aril_bytes piece)
{
    struct killer *const k = user;
    k->begun += offset == 0;
    k->came = offset == 0 ? 0 : k->came;
    k->wrong = k->wrong || total != 64 * MIB || offset != k->came;
    k->came += piece.len;
    if (k->armed && k->came >= total / 2) {
        redis_kill(&server);
        k->armed = false;
    }
    return 0;
}

static void a_server_that_dies_in_mid_value_hands_over_no_end(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    uint8_t *const value = calloc(1, 64 * MIB); /* more than lies between two sockets */
    assert_non_null(value);
    const aril_bytes part = { value, 64 * MIB };
    struct killer k = { .armed = true };
    aril_store_item item = { .name = client_text("long"),
                             .parts = &part,
                             .part_count = 1,
                             .take = kill_half_way,
                             .user = &k };
    assert_status(OPS.put(store, &item, 1, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(OPS.get(store, &item, 1, client_deadline_ns(), &client_error), ARIL_E_IO);
    assert_status(item.status, ARIL_E_IO);
    assert_null(item.data);
    assert_int_equal(item.len, 0);
    assert_false(k.wrong);
    assert_int_equal(k.begun, 1);
    assert_true(k.came >= 32 * MIB && k.came < 64 * MIB);
    redis_restart(&server);
    assert_status(OPS.put(store, &item, 1, client_deadline_ns(), &client_error), ARIL_OK);
    assert_status(OPS.get(store, &item, 1, client_deadline_ns(), &client_error), ARIL_OK);
    assert_status(item.status, ARIL_OK);
    assert_false(k.wrong);
    assert_int_equal(k.begun, 2);
    assert_int_equal(k.came, 64 * MIB);
    free(value);
}

static void a_store_opens_while_the_server_is_down(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    start(&(struct redis_options){ .tcp = true });
    redis_kill(&server);
    store = client_open(tcp_uri(""));
    assert_status(client_get(store, "n", ""), ARIL_E_IO);
    redis_restart(&server);
    assert_status(client_put(store, "n", "v"), ARIL_OK);
}

static void a_frozen_server_ends_at_the_deadline(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    assert_status(client_put(store, "n", "v"), ARIL_OK);
    redis_freeze(&server);
    client_deadline_ms = 100;
    assert_status(client_get(store, "n", "v"), ARIL_E_TIMEOUT);
    assert_status(client_put(store, "n", "w"), ARIL_E_TIMEOUT);
    redis_thaw(&server);
    client_deadline_ms = 10000;
    assert_status(client_exists(store, "n"), ARIL_OK);
    assert_status(client_put(store, "n", "x"), ARIL_OK);
    assert_status(client_get(store, "n", "x"), ARIL_OK);
}

/* --- Locks */

static aril_status guarded(void *s, const char *lock, uint64_t fence, const char *value,
                           int absent_only)
{
    const aril_bytes part = client_text(value);
    aril_store_item item = { .name = client_text("guarded"),
                             .parts = &part,
                             .part_count = 1,
                             .lock = client_text(lock),
                             .fence = fence,
                             .absent_only = absent_only };
    const aril_status st = OPS.put(s, &item, 1, client_deadline_ns(), &client_error);
    assert_status(st, ARIL_OK);
    return item.status;
}

static void a_lock_has_one_holder_and_tokens_grow(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    void *const other = client_open(tcp_uri(""));
    const aril_bytes name = client_text("lock");
    uint64_t last = 0;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t fence = 0;
        uint64_t none = 5;
        assert_status(OPS.lock(store, name, 60000, client_deadline_ns(), &fence, NULL), ARIL_OK);
        assert_true(fence > last);
        assert_status(OPS.lock(other, name, 60000, client_deadline_ns(), &none, NULL),
                      ARIL_E_EXISTS);
        assert_int_equal(none, 5);
        assert_status(OPS.unlock(other, name, fence + 1, client_deadline_ns(), NULL),
                      ARIL_E_REPLAY_STALE);
        assert_status(OPS.unlock(store, name, fence, client_deadline_ns(), NULL), ARIL_OK);
        assert_status(OPS.unlock(store, name, fence, client_deadline_ns(), NULL),
                      ARIL_E_REPLAY_STALE);
        last = fence;
        if (i == 10) {
            redis_expect(&server, "DEL lock:aril-fence", ":1"); /* as an eviction would */
        }
    }
    client_close(other);
}

static void a_guarded_put_counts_for_the_holder_alone(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    const aril_bytes name = client_text("lock");
    uint64_t first = 0;
    uint64_t second = 0;
    assert_status(OPS.lock(store, name, 60000, client_deadline_ns(), &first, NULL), ARIL_OK);
    assert_in_range(redis_number(&server, "PTTL lock:aril-lock"), 1, 60000);
    assert_status(guarded(store, "lock", first, "one", 0), ARIL_OK);
    assert_status(guarded(store, "lock", first, "two", 1), ARIL_E_EXISTS);
    assert_status(guarded(store, "none", first, "two", 0), ARIL_E_REPLAY_STALE);
    redis_expect(&server, "DEL lock:aril-lock", ":1"); /* it ran out */
    assert_status(guarded(store, "lock", first, "two", 0), ARIL_E_REPLAY_STALE);
    assert_status(OPS.lock(store, name, 60000, client_deadline_ns(), &second, NULL), ARIL_OK);
    assert_true(second > first);
    assert_status(guarded(store, "lock", first, "two", 0), ARIL_E_REPLAY_STALE);
    redis_expect(&server, "GET guarded", "one");
    assert_status(guarded(store, "lock", second, "three", 0), ARIL_OK);
    redis_expect(&server, "GET guarded", "three");
}

struct holder {
    pthread_t thread;
    unsigned *shared; /* guarded by the lock alone */
    unsigned taken;
    uint64_t last;
};

static void *hold_and_count(void *arg)
{
    struct holder *const h = arg;
    while (h->taken < 25) {
        uint64_t fence = 0;
        const aril_status st =
            OPS.lock(store, client_text("one"), 60000, client_deadline_ns(), &fence, NULL);
        if (st == ARIL_E_EXISTS) {
            continue;
        }
        if (st != ARIL_OK || fence <= h->last ||
            __atomic_add_fetch(h->shared, 1, __ATOMIC_SEQ_CST) != 1) {
            return h;
        }
        (void)__atomic_sub_fetch(h->shared, 1, __ATOMIC_SEQ_CST);
        h->last = fence;
        h->taken++;
        if (OPS.unlock(store, client_text("one"), fence, client_deadline_ns(), NULL) != ARIL_OK) {
            return h;
        }
    }
    return NULL;
}

static void threads_take_turns_with_a_lock(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    unsigned shared = 0;
    struct holder holders[4] = { 0 };
    for (size_t i = 0; i < COUNT(holders); i++) {
        holders[i].shared = &shared;
        assert_int_equal(pthread_create(&holders[i].thread, NULL, hold_and_count, &holders[i]), 0);
    }
    for (size_t i = 0; i < COUNT(holders); i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(holders[i].thread, &failed), 0);
        assert_null(failed);
    }
}

static void *put_and_get(void *arg)
{
    char name[16];
    char value[32];
    for (unsigned i = 0; i < 300; i++) {
        uint8_t got[32];
        (void)snprintf(name, sizeof name, "t%u", *(unsigned *)arg);
        (void)snprintf(value, sizeof value, "v%u-%u", *(unsigned *)arg, i);
        const aril_bytes part = client_text(value);
        aril_store_item item = { .name = client_text(name),
                                 .parts = &part,
                                 .part_count = 1,
                                 .buffer = { got, sizeof got } };
        if (OPS.put(store, &item, 1, client_deadline_ns(), NULL) != ARIL_OK ||
            OPS.get(store, &item, 1, client_deadline_ns(), NULL) != ARIL_OK ||
            item.len != part.len || memcmp(item.data, value, part.len) != 0) {
            return arg;
        }
    }
    return NULL;
}

static void more_threads_than_connections_wait_for_one_another(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    start(&(struct redis_options){ .tcp = true });
    const aril_store_config config = { .connections = 2 };
    assert_status(client_open_with(tcp_uri(""), &config, &store), ARIL_OK);
    pthread_t threads[8];
    unsigned numbers[8];
    for (unsigned i = 0; i < 8; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, put_and_get, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < 8; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    char answer[4096];
    (void)redis_ask(&server, "INFO stats", answer, sizeof answer);
    /* Two of the store, and a few of the test. */
    const char *const line = strstr(answer, "total_connections_received:");
    assert_non_null(line);
    assert_in_range(strtoul(line + 27, NULL, 10), 1, 8);
}

/* --- Names and messages */

struct seen {
    void *store; /* asked from within */
    unsigned count, stop_after;
    bool wrong;
};

static int note_name(void *user, aril_bytes name)
{
    struct seen *const s = user;
    aril_store_item item = { .name = name };
    s->wrong = s->wrong || OPS.exists(s->store, &item, 1, client_deadline_ns(), NULL) != ARIL_OK ||
               item.status != ARIL_OK;
    return ++s->count == s->stop_after;
}

static void scan_tells_the_names_with_the_prefix(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    start(&(struct redis_options){ .tcp = true });
    const aril_store_config config = { .connections = 1 };
    assert_status(client_open_with(tcp_uri(""), &config, &store), ARIL_OK);
    char name[32];
    for (unsigned i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof name, "a*[b]?\\^:%u", i);
        assert_status(client_put(store, name, "v"), ARIL_OK);
        if (i < 100) {
            (void)snprintf(name, sizeof name, "axb1\\^:%u", i);
            assert_status(client_put(store, name, "v"), ARIL_OK);
        }
    }
    struct seen seen = { .store = store };
    assert_status(
        OPS.scan(store, client_text("a*[b]?\\^:"), note_name, &seen, 10000, &client_error),
        ARIL_OK);
    assert_false(seen.wrong);
    assert_int_equal(seen.count, 3000);
    seen = (struct seen){ .store = store };
    assert_status(OPS.scan(store, client_text(""), note_name, &seen, 10000, NULL), ARIL_OK);
    assert_int_equal(seen.count, 3100);
    seen = (struct seen){ .store = store, .stop_after = 10 };
    assert_status(OPS.scan(store, client_text("a"), note_name, &seen, 10000, NULL), ARIL_OK);
    assert_int_equal(seen.count, 10);
}

struct inbox {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned messages, lost;
    char last[64];
};

static void note_message(void *user, aril_bytes message)
{
    struct inbox *const in = user;
    (void)pthread_mutex_lock(&in->mutex);
    in->messages += message.len > 0;
    in->lost += message.len == 0;
    if (message.len > 0 && message.len < sizeof in->last) {
        memcpy(in->last, message.data, message.len);
        in->last[message.len] = '\0';
    }
    (void)pthread_cond_broadcast(&in->changed);
    (void)pthread_mutex_unlock(&in->mutex);
}

/* Until so many came; the test's own time limit ends it otherwise. */
static void wait_for(struct inbox *in, unsigned messages, unsigned lost)
{
    (void)pthread_mutex_lock(&in->mutex);
    while (in->messages < messages || in->lost < lost) {
        (void)pthread_cond_wait(&in->changed, &in->mutex);
    }
    assert_int_equal(in->messages, messages);
    assert_int_equal(in->lost, lost);
    (void)pthread_mutex_unlock(&in->mutex);
}

static void messages_reach_another_store(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    static struct inbox in = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                               .changed = PTHREAD_COND_INITIALIZER };
    void *const other = client_open(tcp_uri(""));
    const aril_bytes channel = client_text("news");
    assert_status(OPS.listen(other, channel, note_message, &in, &client_error), ARIL_OK);
    assert_status(OPS.publish(store, channel, client_text("hello"), client_deadline_ns(), NULL),
                  ARIL_OK);
    wait_for(&in, 1, 0);
    assert_string_equal(in.last, "hello");
    static uint8_t big[65536];
    fill(big, sizeof big, 1);
    assert_status(
        OPS.publish(store, channel, (aril_bytes){ big, sizeof big }, client_deadline_ns(), NULL),
        ARIL_OK);
    assert_status(
        OPS.publish(store, client_text("else"), client_text("no"), client_deadline_ns(), NULL),
        ARIL_OK);
    assert_status(OPS.publish(store, channel, client_text("after"), client_deadline_ns(), NULL),
                  ARIL_OK);
    wait_for(&in, 3, 0);
    redis_kill(&server);
    redis_restart(&server);
    wait_for(&in, 3, 1); /* it is told that it may have missed some */
    assert_status(OPS.publish(store, channel, client_text("again"), client_deadline_ns(), NULL),
                  ARIL_OK);
    wait_for(&in, 4, 1);
    assert_string_equal(in.last, "again");
    client_close(other);
}

static void a_listener_ends_while_the_server_is_down(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    static struct inbox in = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                               .changed = PTHREAD_COND_INITIALIZER };
    void *const other = client_open(tcp_uri(""));
    redis_freeze(&server);
    client_deadline_ms = 50;
    client_close(other);
    void *frozen = client_open(tcp_uri(""));
    assert_status(OPS.listen(frozen, client_text("c"), note_message, &in, NULL), ARIL_OK);
    client_close(frozen);
    assert_int_equal(in.messages, 0);
}

static void it_says_what_it_is(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    assert_status(client_put(store, "n", "v"), ARIL_OK);
    struct arili_cache_store_stat stat = { 0 };
    assert_status(OPS.stat(store, client_deadline_ns(), &stat, NULL), ARIL_OK);
    assert_int_equal(stat.entries, 1);
    assert_true(stat.bytes == UINT64_MAX);
    char want[64];
    (void)snprintf(want, sizeof want, " at 127.0.0.1:%u", server.port);
    assert_non_null(strstr(stat.description, want));
    assert_null(strstr(stat.description, "TLS"));
    assert_true(strncmp(stat.description, "redis ", 6) == 0 ||
                strncmp(stat.description, "valkey ", 7) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(values_of_every_length_come_back, end),
        cmocka_unit_test_teardown(values_that_do_not_fit_are_passed_over, end),
        cmocka_unit_test_teardown(names_are_any_bytes, end),
        cmocka_unit_test_teardown(a_batch_of_ten_thousand_goes_there_and_back, end),
        cmocka_unit_test_teardown(a_batch_of_long_values_does_not_get_stuck, end),
        cmocka_unit_test_teardown(values_have_a_time_to_live, end),
        cmocka_unit_test_teardown(absent_only_keeps_what_is_there, end),
        cmocka_unit_test_teardown(of_two_items_with_one_name_the_later_wins, end),
        cmocka_unit_test_teardown(databases_are_apart, end),
        cmocka_unit_test_teardown(the_password_of_the_file_is_used, end),
        cmocka_unit_test_teardown(who_can_be_asked_is_asked_when_the_server_wants_a_password, end),
        cmocka_unit_test_teardown(users_may_what_their_acl_says, end),
        cmocka_unit_test_teardown(a_full_server_says_so, end),
        cmocka_unit_test_teardown(a_name_of_another_type_is_no_value, end),
        cmocka_unit_test_teardown(tls_works_as_plain_does, end),
        cmocka_unit_test_teardown(a_server_that_was_restarted_is_used_again, end),
        cmocka_unit_test_teardown(a_server_that_dies_in_mid_value_hands_over_no_end, end),
        cmocka_unit_test_teardown(a_store_opens_while_the_server_is_down, end),
        cmocka_unit_test_teardown(a_frozen_server_ends_at_the_deadline, end),
        cmocka_unit_test_teardown(a_lock_has_one_holder_and_tokens_grow, end),
        cmocka_unit_test_teardown(a_guarded_put_counts_for_the_holder_alone, end),
        cmocka_unit_test_teardown(threads_take_turns_with_a_lock, end),
        cmocka_unit_test_teardown(more_threads_than_connections_wait_for_one_another, end),
        cmocka_unit_test_teardown(scan_tells_the_names_with_the_prefix, end),
        cmocka_unit_test_teardown(messages_reach_another_store, end),
        cmocka_unit_test_teardown(a_listener_ends_while_the_server_is_down, end),
        cmocka_unit_test_teardown(it_says_what_it_is, end),
    };
    return cmocka_run_group_tests(tests, runtime_setup, runtime_teardown);
}
