/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/stores/http_internal.h"
#include "files_store.h"
#include "fixture.h"
#include "http_server.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The stores http: and https:, against a server that misbehaves. */

#if ARILI_HTTP_HEADERS

static struct http_server server;
static struct raw_store s;

static aril_status open_mode(struct raw_store *store, const char *mode,
                             const aril_store_config *config)
{
    char rest[128];
    (void)snprintf(rest, sizeof rest, "%s/%s", server.rest, mode);
    return raw_open(store, &arili_cache_store_http, NULL, config, "http", rest);
}

static void use(const char *mode, const aril_store_config *config)
{
    raw_close(&s);
    assert_status(open_mode(&s, mode, config), ARIL_OK);
}

static int set_up(void **state)
{
    (void)state;
    const char *reason = NULL;
    if (arili_http_curl_load(&reason) == NULL) {
        print_message("SKIPPED: %s\n", reason);
        skip();
    }
    if (!http_server_start(&server, NULL, NULL, NULL)) {
        print_message("SKIPPED: python3 does not run tests/scripts/cache_http_server.py\n");
        skip();
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    raw_close(&s);
    http_server_stop(&server);
    return 0;
}

/* --- URLs --- */

static void assert_base(const char *rest, bool is_saas, const char *base)
{
    char ret[ARILI_HTTP_BASE_BYTES] = "";
    aril_error error = { .status = ARIL_OK };
    assert_status(arili_http_base("http", rest, is_saas, ret, &error),
                  base != NULL ? ARIL_OK : ARIL_E_USAGE_RANGE);
    assert_string_equal(base != NULL ? ret : "", base != NULL ? base : "");
}

static void a_uri_tells_where_values_are(void **state)
{
    (void)state;
    assert_base("//h", false, "http://h/");
    assert_base("//h/", false, "http://h/");
    assert_base("//h:80/a/b//", false, "http://h:80/a/b/");
    assert_base("//[::1]:80", true, "http://[::1]:80/v1/cache/");
    assert_base("//h/a", true, "http://h/a/v1/cache/");
    const char *const wrong[] = { "",       "h",      "/h",     "//",       "///a",
                                  "//u@h",  "//:1",   "//h?a",  "//h/a#b",  "//h/a b",
                                  "//h/\n", "//h\\a", "//h/\"", "//u:p@h/", "//h/\x80" };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_base(wrong[i], false, NULL);
    }
    static char long_rest[3000] = "//";
    memset(long_rest + 2, 'h', sizeof long_rest - 3);
    assert_base(long_rest, false, NULL);
    long_rest[ARILI_HTTP_BASE_BYTES - 6 - 1] = '\0'; /* "http:" and "/" */
    char ret[ARILI_HTTP_BASE_BYTES];
    assert_status(arili_http_base("http", long_rest, false, ret, NULL), ARIL_OK);
    assert_int_equal(strlen(ret), ARILI_HTTP_BASE_BYTES - 1);
}

static void a_name_is_one_segment(void **state)
{
    (void)state;
    static char url[ARILI_HTTP_URL_BYTES];
    arili_http_url("http://h/", TEXT("aZ09-._~"), url);
    assert_string_equal(url, "http://h/aZ09-._~");
    arili_http_url("http://h/", TEXT("a/b c?d#e%f:{g}"), url);
    assert_string_equal(url, "http://h/a%2Fb%20c%3Fd%23e%25f%3A%7Bg%7D");
    arili_http_url("http://h/", TEXT(".."), url);
    assert_string_equal(url, "http://h/%2E%2E");
    arili_http_url("http://h/", ((aril_bytes){ (const uint8_t *)"\0\377", 2 }), url);
    assert_string_equal(url, "http://h/%00%FF");
}

/* --- A server that behaves --- */

static void values_come_back(void **state)
{
    (void)state;
    use("ok", NULL);
    const size_t lengths[] = { 0, 1, 100, 65536, (1u << 20) + 7, 5u << 20 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        uint8_t *value = malloc(lengths[i] + 1);
        assert_non_null(value);
        fill_pattern(value, lengths[i], i);
        const size_t half = lengths[i] / 2;
        const aril_bytes parts[] = { { value, half },
                                     { NULL, 0 },
                                     { value + half, lengths[i] - half } };
        aril_store_item item = { .name = TEXT("v"), .parts = parts, .part_count = 3 };
        assert_status(raw_put_item(&s, &item), ARIL_OK);
        assert_true(raw_has(&s, TEXT("v"), (aril_bytes){ value, lengths[i] }));
        memset(value, 0, lengths[i]);
        size_t len = 0;
        assert_status(raw_get(&s, TEXT("v"), (aril_span){ value, lengths[i] }, &len), ARIL_OK);
        assert_true(len == lengths[i] && is_pattern(value, len, i));
        free(value);
    }
}

static void names_are_told_apart(void **state)
{
    (void)state;
    use("ok", NULL);
    const char *const names[] = { "a", "A", "a/b", "a%2Fb", ".", "..", "...", "a?b", "a#b", " " };
    uint8_t long_name[ARIL_STORE_NAME_BYTES_MAX];
    memset(long_name, 0xff, sizeof long_name);
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_status(raw_put(&s, text_bytes(names[i]), text_bytes(names[i]), 0), ARIL_OK);
    }
    assert_status(raw_put(&s, (aril_bytes){ long_name, sizeof long_name }, TEXT("l"), 0), ARIL_OK);
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_true(raw_has(&s, text_bytes(names[i]), text_bytes(names[i])));
    }
    assert_true(raw_has(&s, (aril_bytes){ long_name, sizeof long_name }, TEXT("l")));
}

static void exists_and_delete_tell_whether_it_was_there(void **state)
{
    (void)state;
    use("ok", NULL);
    assert_status(raw_exists(&s, TEXT("n")), ARIL_E_NOT_FOUND);
    assert_status(raw_erase(&s, TEXT("n")), ARIL_E_NOT_FOUND);
    assert_status(raw_put(&s, TEXT("n"), TEXT("1"), 0), ARIL_OK);
    assert_status(raw_exists(&s, TEXT("n")), ARIL_OK);
    assert_status(raw_erase(&s, TEXT("n")), ARIL_OK);
    assert_status(raw_get(&s, TEXT("n"), (aril_span){ NULL, 0 }, NULL), ARIL_E_NOT_FOUND);
}

static uint8_t *give_none(void *user, size_t len)
{
    *(size_t *)user = len;
    return NULL;
}

static void assert_places(const char *mode)
{
    use(mode, NULL);
    uint8_t buffer[6];
    size_t len = 0;
    assert_status(raw_get(&s, TEXT("p"), (aril_span){ buffer, 5 }, &len), ARIL_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(buffer, "hello", 5);
    memset(buffer, 0, sizeof buffer);
    assert_status(raw_get(&s, TEXT("p"), (aril_span){ buffer, 4 }, &len), ARIL_E_USAGE_TOO_SMALL);
    assert_int_equal(len, 5);
    assert_true(is_filled(buffer, sizeof buffer, 0));
    aril_store_item item = {
        .name = TEXT("p"), .buffer = { buffer, 4 }, .room = give_none, .user = &len
    };
    len = 0;
    assert_status(raw_get_item(&s, &item), ARIL_E_LIMIT);
    assert_int_equal(len, 5);
    assert_null(item.data);
    assert_true(raw_has(&s, TEXT("p"), TEXT("hello")));
    assert_true(raw_has(&s, TEXT("q"), TEXT("")));
}

static void a_value_goes_to_the_buffer_or_the_room(void **state)
{
    (void)state;
    use("ok", NULL);
    assert_status(raw_put(&s, TEXT("p"), TEXT("hello"), 0), ARIL_OK);
    assert_status(raw_put(&s, TEXT("q"), TEXT(""), 0), ARIL_OK);
    assert_places("ok");
    assert_places("chunked");
}

static uint8_t *give_room(void *user, size_t len)
{
    struct guarded *g = user;
    guarded_init(g, len);
    return g->data;
}

static void a_long_value_without_a_length_comes_back(void **state)
{
    (void)state;
    const size_t len = 3000000;
    uint8_t *value = malloc(len);
    assert_non_null(value);
    fill_pattern(value, len, 1);
    use("ok", NULL);
    assert_status(raw_put(&s, TEXT("long"), (aril_bytes){ value, len }, 0), ARIL_OK);
    use("chunked", NULL);
    assert_true(raw_has(&s, TEXT("long"), (aril_bytes){ value, len }));

    /* What came before it was clear that it does not fit does not stay in the buffer. */
    static uint8_t buffer[1u << 20];
    size_t told = 0;
    assert_status(raw_get(&s, TEXT("long"), (aril_span){ buffer, sizeof buffer }, &told),
                  ARIL_E_USAGE_TOO_SMALL);
    assert_int_equal(told, len);
    assert_true(is_filled(buffer, sizeof buffer, 0));
    struct guarded g = { 0 };
    aril_store_item item = {
        .name = TEXT("long"), .buffer = { buffer, sizeof buffer }, .room = give_room, .user = &g
    };
    assert_status(raw_get_item(&s, &item), ARIL_OK);
    assert_ptr_equal(item.data, g.data);
    assert_true(item.len == len && is_pattern(item.data, len, 1));
    assert_true(is_filled(buffer, sizeof buffer, 0));
    guarded_check(&g);
    guarded_done(&g);
    free(value);
}

static void assert_seen(const char *name, const char *text)
{
    use("seen", NULL);
    uint8_t buffer[256] = { 0 };
    size_t len = 0;
    assert_status(raw_get(&s, text_bytes(name), (aril_span){ buffer, 255 }, &len), ARIL_OK);
    assert_string_equal((const char *)buffer, text);
}

static void a_put_tells_type_time_and_token(void **state)
{
    (void)state;
    const struct {
        uint64_t ttl_ms;
        const char *text;
    } cases[] = { { 0, "|application/octet-stream||" },
                  { 1, "1|application/octet-stream||" },
                  { 1000, "1|application/octet-stream||" },
                  { 1001, "2|application/octet-stream||" },
                  { UINT64_C(2592000000), "2592000|application/octet-stream||" },
                  { UINT64_MAX, "2592000|application/octet-stream||" } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        use("ok", NULL);
        assert_status(raw_put(&s, TEXT("t"), TEXT("x"), cases[i].ttl_ms), ARIL_OK);
        assert_seen("t", cases[i].text);
    }
}

static void the_token_comes_from_a_file(void **state)
{
    (void)state;
    use("token", NULL);
    assert_status(raw_put(&s, TEXT("t"), TEXT("x"), 0), ARIL_E_AUTH);
    assert_non_null(strstr(s.error.message, "secret_path"));
    const char *path = temp_write("token", 0600, TEXT("sesame\n"));
    use("token", &(aril_store_config){ .secret_path = path });
    assert_status(raw_put(&s, TEXT("t"), TEXT("x"), 0), ARIL_OK);
    assert_true(raw_has(&s, TEXT("t"), TEXT("x")));
    assert_seen("t", "|application/octet-stream|Bearer sesame|");
    struct raw_store other;
    const char *const wrong[] = { "", "\n", "a b", "a\r\nX-Other: b\n", "\x80" };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        path = temp_write("token", 0600, text_bytes(wrong[i]));
        assert_status(open_mode(&other, "token", &(aril_store_config){ .secret_path = path }),
                      ARIL_E_FORMAT);
    }
    path = temp_write("token", 0644, TEXT("sesame"));
    assert_status(open_mode(&other, "token", &(aril_store_config){ .secret_path = path }),
                  ARIL_E_IO_PERMISSION);
}

static aril_status put_absent(const char *value)
{
    aril_bytes part = text_bytes(value);
    aril_store_item item = {
        .name = TEXT("absent"), .parts = &part, .part_count = 1, .absent_only = 1
    };
    return raw_put_item(&s, &item);
}

static void absent_only_leaves_what_is_there(void **state)
{
    (void)state;
    use("ok", NULL);
    assert_status(put_absent("1"), ARIL_OK);
    assert_status(put_absent("2"), ARIL_E_EXISTS);
    assert_true(raw_has(&s, TEXT("absent"), TEXT("1")));
    assert_seen("absent", "|application/octet-stream||*");
}

static void the_paths_of_cachekit_are_used_when_asked_for(void **state)
{
    (void)state;
    use("saas", NULL);
    assert_status(raw_put(&s, TEXT("k"), TEXT("x"), 0), ARIL_E_IO);
    assert_int_equal(s.capabilities, ARIL_STORE_SHARED);
    use("saas", &(aril_store_config){ .cachekit_saas = 1 });
    assert_int_equal(s.capabilities, ARIL_STORE_SHARED | ARIL_STORE_TTL);
    assert_status(raw_put(&s, TEXT("k/2"), TEXT("x"), 0), ARIL_OK);
    assert_true(raw_has(&s, TEXT("k/2"), TEXT("x")));
    assert_status(raw_erase(&s, TEXT("k/2")), ARIL_OK);
}

enum { MANY = 300 };

static void a_batch_keeps_to_its_connections(void **state)
{
    (void)state;
    static char names[MANY][8];
    static uint8_t buffers[MANY][8];
    static aril_store_item items[MANY];
    static aril_bytes values[MANY];
    memset(items, 0, sizeof items);
    use("ok", &(aril_store_config){ .connections = 4 });
    for (unsigned i = 0; i < MANY; i++) { /* every name twice: the later one wins */
        (void)snprintf(names[i], sizeof names[i], "m%u", i / 2);
        values[i] = (aril_bytes){ (const uint8_t *)names[i], i % 2 == 0 ? 1 : strlen(names[i]) };
        items[i].name = text_bytes(names[i]);
        items[i].parts = &values[i];
        items[i].part_count = 1;
    }
    assert_status(s.ops->put(s.state, items, MANY, far_deadline(), &s.error), ARIL_OK);
    for (unsigned i = 0; i < MANY; i++) {
        assert_status(items[i].status, ARIL_OK);
        items[i].buffer = (aril_span){ buffers[i], sizeof buffers[i] };
    }
    items[7].name = TEXT("none");
    assert_status(s.ops->get(s.state, items, MANY, far_deadline(), &s.error), ARIL_OK);
    for (unsigned i = 0; i < MANY; i++) {
        assert_status(items[i].status, i == 7 ? ARIL_E_NOT_FOUND : ARIL_OK);
        assert_true(i == 7 || (items[i].len == strlen(names[i]) &&
                               memcmp(items[i].data, names[i], items[i].len) == 0));
    }
    uint8_t text[16] = { 0 };
    use("clients", NULL);
    assert_status(raw_get(&s, TEXT("x"), (aril_span){ text, 15 }, NULL), ARIL_OK);
    assert_true(strtoul((const char *)text, NULL, 10) <= 5);
}

static void every_connection_busy_is_a_timeout(void **state)
{
    (void)state;
    use("ok", &(aril_store_config){ .connections = 1 });
    struct arili_http_desk *desk = NULL;
    uint32_t lanes = 0;
    assert_status(arili_http_desk_take(s.state, 5, far_deadline(), &desk, &lanes, NULL), ARIL_OK);
    assert_int_equal(lanes, 1);
    aril_store_item item = { .name = TEXT("a") };
    const uint64_t soon = arili_http_mono_ns() + UINT64_C(10000000);
    assert_status(s.ops->get(s.state, &item, 1, soon, &s.error), ARIL_E_TIMEOUT);
    assert_non_null(strstr(s.error.message, "connections"));
    arili_http_desk_give(s.state, desk, lanes);
    assert_status(raw_exists(&s, TEXT("nothing")), ARIL_E_NOT_FOUND);
}

/* --- A server that does not --- */

static void a_status_has_its_meaning(void **state)
{
    (void)state;
    const struct {
        const char *mode;
        aril_status get, put;
    } cases[] = {
        { "404", ARIL_E_NOT_FOUND, ARIL_E_IO },    { "410", ARIL_E_NOT_FOUND, ARIL_E_IO },
        { "401", ARIL_E_AUTH, ARIL_E_AUTH },       { "403", ARIL_E_AUTH, ARIL_E_AUTH },
        { "413", ARIL_E_IO_FULL, ARIL_E_IO_FULL }, { "507", ARIL_E_IO_FULL, ARIL_E_IO_FULL },
        { "500", ARIL_E_IO, ARIL_E_IO },           { "503", ARIL_E_IO, ARIL_E_IO },
        { "400", ARIL_E_IO, ARIL_E_IO },           { "206", ARIL_E_FORMAT, ARIL_E_FORMAT },
        { "202", ARIL_E_FORMAT, ARIL_E_FORMAT },   { "302", ARIL_E_FORMAT, ARIL_E_FORMAT },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t buffer[64] = { 0 };
        use(cases[i].mode, NULL);
        assert_status(raw_get(&s, TEXT("a"), (aril_span){ buffer, sizeof buffer }, NULL),
                      cases[i].get);
        assert_true(is_filled(buffer, sizeof buffer, 0));
        assert_status(raw_put(&s, TEXT("a"), TEXT("x"), 0), cases[i].put);
    }
}

static void a_redirect_is_not_followed(void **state)
{
    (void)state;
    static uint8_t buffer[65536];
    const char *const modes[] = { "redirect", "moved" };
    for (size_t i = 0; i < COUNT(modes); i++) {
        use(modes[i], NULL);
        assert_status(raw_get(&s, TEXT("p"), (aril_span){ buffer, sizeof buffer }, NULL),
                      ARIL_E_FORMAT);
        assert_non_null(strstr(s.error.message, "redirect"));
        assert_true(is_filled(buffer, sizeof buffer, 0));
        assert_status(raw_put(&s, TEXT("p"), TEXT("redirected"), 0), ARIL_E_FORMAT);
        assert_status(raw_erase(&s, TEXT("p")), ARIL_E_FORMAT);
        assert_status(raw_exists(&s, TEXT("p")), ARIL_E_FORMAT);
    }
}

static void assert_lie(const char *mode, aril_status st)
{
    uint8_t buffer[256] = { 0 };
    use(mode, NULL);
    assert_status(raw_get(&s, TEXT("lie"), (aril_span){ buffer, sizeof buffer }, NULL), st);
    assert_true(is_filled(buffer, sizeof buffer, 0));
    assert_status_class(raw_get(&s, TEXT("lie"), (aril_span){ NULL, 0 }, NULL),
                        st == ARIL_E_IO && strcmp(mode, "less") == 0 ? ARIL_E_USAGE : st);
    assert_false(raw_has(&s, TEXT("lie"), TEXT("a short value")));
}

static void a_short_value_is_never_taken_for_a_whole_one(void **state)
{
    (void)state;
    use("ok", NULL);
    assert_status(raw_put(&s, TEXT("lie"), TEXT("a short value"), 0), ARIL_OK);
    assert_lie("less", ARIL_E_IO);
    assert_lie("eof", ARIL_E_FORMAT);
    use("cut", NULL);
    uint8_t buffer[64] = { 0 };
    assert_status(raw_get(&s, TEXT("lie"), (aril_span){ buffer, sizeof buffer }, NULL), ARIL_E_IO);
    assert_true(is_filled(buffer, sizeof buffer, 0));
    assert_false(raw_has(&s, TEXT("lie"), TEXT("a short value")));
    use("more", NULL); /* what follows the length is nobody's: not of the next answer either */
    for (unsigned i = 0; i < 3; i++) {
        assert_true(raw_has(&s, TEXT("lie"), TEXT("a short val")));
    }
}

static void what_is_too_long_is_not_taken(void **state)
{
    (void)state;
    uint8_t buffer[64];
    size_t len = 0;
    use("ok", NULL);
    assert_status(raw_put(&s, TEXT("h"), TEXT("x"), 0), ARIL_OK);
    use("huge", NULL);
    aril_store_item item = { .name = TEXT("h"), .room = give_none, .user = &len };
    assert_status(raw_get_item(&s, &item), ARIL_E_LIMIT);
    assert_int_equal(len, 0); /* nobody was asked for room */
    assert_status(raw_get(&s, TEXT("h"), (aril_span){ buffer, sizeof buffer }, NULL), ARIL_E_LIMIT);
    use("endless", NULL);
    assert_status(raw_get(&s, TEXT("h"), (aril_span){ buffer, sizeof buffer }, NULL), ARIL_E_LIMIT);
}

static void what_is_no_answer_is_an_error(void **state)
{
    (void)state;
    use("garbage", NULL);
    assert_status(raw_get(&s, TEXT("a"), (aril_span){ NULL, 0 }, NULL), ARIL_E_FORMAT);
    use("early", NULL);
    static uint8_t value[3u << 20];
    assert_status(raw_put(&s, TEXT("a"), (aril_bytes){ value, sizeof value }, 0), ARIL_E_IO_FULL);
    struct raw_store other;
    assert_status(raw_open(&other, &arili_cache_store_http, NULL, NULL, "http", "//127.0.0.1:1/"),
                  ARIL_OK);
    aril_store_item items[3] = { { .name = TEXT("a") },
                                 { .name = TEXT("b") },
                                 { .name = TEXT("c") } };
    assert_status(other.ops->get(other.state, items, 3, far_deadline(), &other.error), ARIL_E_IO);
    assert_non_null(strstr(other.error.message, "http://127.0.0.1:1/"));
    raw_close(&other);
}

static void a_server_that_hangs_ends_with_the_deadline(void **state)
{
    (void)state;
    use("hang", NULL);
    aril_bytes value = TEXT("x");
    aril_store_item items[20];
    for (unsigned i = 0; i < COUNT(items); i++) {
        items[i] = (aril_store_item){ .name = TEXT("a"), .parts = &value, .part_count = 1 };
    }
    const uint64_t soon = arili_http_mono_ns() + UINT64_C(100000000);
    assert_status(s.ops->get(s.state, items, COUNT(items), soon, &s.error), ARIL_E_TIMEOUT);
    assert_status(s.ops->put(s.state, items, COUNT(items),
                             arili_http_mono_ns() + UINT64_C(100000000), &s.error),
                  ARIL_E_TIMEOUT);
    assert_status(s.ops->exists(s.state, items, 1, 1, &s.error), ARIL_E_TIMEOUT);
}

/* HTTP does not say whose value it is; whoever sealed it does. */
static void another_value_is_handed_on_as_it_came(void **state)
{
    (void)state;
    use("ok", NULL);
    assert_status(raw_put(&s, TEXT("other"), TEXT("not yours"), 0), ARIL_OK);
    use("other", NULL);
    assert_true(raw_has(&s, TEXT("mine"), TEXT("not yours")));
}

static void a_guarded_put_is_refused(void **state)
{
    (void)state;
    use("ok", NULL);
    aril_bytes value = TEXT("x");
    aril_store_item item = {
        .name = TEXT("guarded"), .parts = &value, .part_count = 1, .lock = TEXT("l"), .fence = 1
    };
    assert_status(raw_put_item(&s, &item), ARIL_E_UNAVAILABLE);
    assert_status(raw_exists(&s, TEXT("guarded")), ARIL_E_NOT_FOUND);
}

static void stat_does_not_guess(void **state)
{
    (void)state;
    use("ok", NULL);
    struct arili_cache_store_stat stat;
    assert_status(s.ops->stat(s.state, far_deadline(), &stat, NULL), ARIL_OK);
    assert_true(stat.entries == UINT64_MAX && stat.bytes == UINT64_MAX);
    assert_non_null(strstr(stat.description, "127.0.0.1"));
}

/* --- TLS --- */

static void a_broken_pipe_ends_nobody(void **state)
{
    (void)state;
    int ends[2];
    sigset_t pending;
    sigset_t before;
    sigset_t after;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
    struct arili_http_quiet q = arili_http_quiet_begin();
    assert_int_equal(write(ends[1], "x", 1), -1);
    arili_http_quiet_end(&q);
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    assert_int_equal(sigismember(&after, SIGPIPE), sigismember(&before, SIGPIPE));
}

static bool make_certificates(void)
{
    char command[1024];
    (void)snprintf(command, sizeof command,
                   "cd '%s' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
                   "-nodes -keyout key.pem -out cert.pem -days 3650 -subj /CN=localhost "
                   "-addext subjectAltName=IP:127.0.0.1 >log 2>&1 && openssl req -x509 -newkey ec "
                   "-pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key2.pem -out cert2.pem -days "
                   "3650 -subj /CN=other -addext subjectAltName=IP:127.0.0.1 >log 2>&1",
                   temp_path("."));
    return system(command) == 0;
}

static aril_status get_over_tls(const struct http_server *tls, const aril_store_config *config)
{
    char rest[128];
    struct raw_store store;
    (void)snprintf(rest, sizeof rest, "%s/ok", tls->rest);
    assert_status(raw_open(&store, &arili_cache_store_http, NULL, config, "https", rest), ARIL_OK);
    const aril_status st = raw_exists(&store, TEXT("a"));
    raw_close(&store);
    return st;
}

/* Without care, TLS over a connection that the server closed ends the process. */
static void put_to_a_closed_door(const struct http_server *tls, const char *ca)
{
    static uint8_t value[3u << 20];
    char rest[128];
    struct raw_store store;
    const aril_store_config config = { .ca_path = ca };
    (void)snprintf(rest, sizeof rest, "%s/slam", tls->rest);
    assert_status(raw_open(&store, &arili_cache_store_http, NULL, &config, "https", rest), ARIL_OK);
    for (unsigned i = 0; i < 20; i++) {
        assert_status(raw_put(&store, TEXT("a"), (aril_bytes){ value, sizeof value }, 0),
                      ARIL_E_IO);
    }
    raw_close(&store);
}

static void only_a_trusted_server_is_asked(void **state)
{
    (void)state;
    if (!make_certificates()) {
        print_message("SKIPPED: there is no openssl that makes certificates\n");
        skip();
    }
    char cert[256], key[256], cert2[256], key2[256];
    (void)snprintf(cert, sizeof cert, "%s", temp_path("cert.pem"));
    (void)snprintf(key, sizeof key, "%s", temp_path("key.pem"));
    (void)snprintf(cert2, sizeof cert2, "%s", temp_path("cert2.pem"));
    (void)snprintf(key2, sizeof key2, "%s", temp_path("key2.pem"));
    struct http_server tls;
    assert_true(http_server_start(&tls, cert, key, NULL));
    assert_status(get_over_tls(&tls, &(aril_store_config){ .ca_path = cert }), ARIL_E_NOT_FOUND);
    assert_status(get_over_tls(&tls, &(aril_store_config){ .ca_path = cert2 }), ARIL_E_TRUST);
    assert_status(get_over_tls(&tls, NULL), ARIL_E_TRUST);
    put_to_a_closed_door(&tls, cert);
    http_server_stop(&tls);
    assert_true(http_server_start(&tls, cert, key, cert2));
    assert_status(get_over_tls(&tls, &(aril_store_config){ .ca_path = cert }), ARIL_E_IO);
    assert_status(
        get_over_tls(&tls,
                     &(aril_store_config){ .ca_path = cert, .cert_path = cert2, .key_path = key2 }),
        ARIL_E_NOT_FOUND);
    http_server_stop(&tls);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uri_tells_where_values_are),
        cmocka_unit_test(a_name_is_one_segment),
        TEST(values_come_back),
        TEST(names_are_told_apart),
        TEST(exists_and_delete_tell_whether_it_was_there),
        TEST(a_value_goes_to_the_buffer_or_the_room),
        TEST(a_long_value_without_a_length_comes_back),
        TEST(a_put_tells_type_time_and_token),
        TEST(the_token_comes_from_a_file),
        TEST(absent_only_leaves_what_is_there),
        TEST(the_paths_of_cachekit_are_used_when_asked_for),
        TEST(a_batch_keeps_to_its_connections),
        TEST(every_connection_busy_is_a_timeout),
        TEST(a_status_has_its_meaning),
        TEST(a_redirect_is_not_followed),
        TEST(a_short_value_is_never_taken_for_a_whole_one),
        TEST(what_is_too_long_is_not_taken),
        TEST(what_is_no_answer_is_an_error),
        TEST(a_server_that_hangs_ends_with_the_deadline),
        TEST(another_value_is_handed_on_as_it_came),
        TEST(a_guarded_put_is_refused),
        TEST(stat_does_not_guess),
        cmocka_unit_test(a_broken_pipe_ends_nobody),
        TEST(only_a_trusted_server_is_asked),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}

#else

int main(void)
{
    (void)printf("SKIPPED: built without the headers of libcurl\n");
    return 77;
}
#endif
