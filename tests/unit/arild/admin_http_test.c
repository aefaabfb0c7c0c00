/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_http.h"
#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOD "GET /metrics HTTP/1.1\r\nHost: localhost:9121\r\nAccept: */*\r\n\r\n"

static struct http_request request;

static int parse(const char *head)
{
    memset(&request, 0xee, sizeof request);
    return http_parse(head, strlen(head), "127.0.0.9", &request);
}

static void a_request_is_understood(void **state)
{
    (void)state;
    assert_int_equal(parse(GOOD), 0);
    assert_int_equal(request.method, HTTP_GET);
    assert_false(request.has_body);
    assert_string_equal(request.path, "/metrics");
    assert_int_equal(parse("HEAD /?a=/b HTTP/1.0\r\n\r\n"), 0);
    assert_int_equal(request.method, HTTP_HEAD);
    assert_string_equal(request.path, "/");
    assert_int_equal(parse("POST /x HTTP/1.1\r\nhOSt:localhost\r\n\r\n"), 0);
    assert_int_equal(request.method, HTTP_OTHER);
    assert_int_equal(parse("get / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 0);
    assert_int_equal(request.method, HTTP_OTHER);
}

static void bodies_are_noticed(void **state)
{
    static const struct {
        const char *field;
        bool has_body;
    } cases[] = {
        { "Content-Length: 0", false },         { "content-length: 1", true },
        { "Content-Length: 00", true },         { "Content-Length:", true },
        { "Transfer-Encoding: chunked", true }, { "X-Content-Length: 5", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char head[128];
        snprintf(head, sizeof head, "GET / HTTP/1.0\r\n%s\r\n\r\n", cases[i].field);
        assert_int_equal(parse(head), 0);
        assert_int_equal(request.has_body, cases[i].has_body);
    }
}

static void only_names_of_loopback_are_accepted(void **state)
{
    static const char *const good[] = {
        "localhost",  "LocalHost:80", "127.0.0.1",   "127.0.0.1:65535", "[::1]",
        "[::1]:9121", "127.0.0.9",    "127.0.0.9:1", "localhost:",
    };
    static const char *const bad[] = {
        "evil.example",
        "evil.example:9121",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "[::1",
        "[::2]",
        "::1",
        "[::1]x",
        "localhost:x",
        "localhost:123456",
        "localhost:80:80",
        "evil@localhost",
        "",
        ":80",
        "local",
        "localhostx",
        "[]",
        "0.0.0.0",
    };
    char head[128];
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
        assert_int_equal(parse(head), 0);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(head, sizeof head, "GET / HTTP/1.%zu\r\nHost: %s\r\n\r\n", i % 2, bad[i]);
        assert_int_equal(parse(head), 421);
    }
    /* Where it listens on a UNIX socket there is no further name. */
    static const char other[] = "GET / HTTP/1.1\r\nHost: 127.0.0.9\r\n\r\n";
    assert_int_equal(http_parse(other, sizeof other - 1, NULL, &request), 421);
}

static void what_is_no_request_is_refused(void **state)
{
    static const struct {
        const char *head;
        int code;
    } cases[] = {
        { "", 400 },
        { "\r\n\r\n", 400 },
        { "GET /\r\n\r\n", 400 },
        { "GET  / HTTP/1.1\r\n\r\n", 400 },
        { "GET / HTTP/1.1 \r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n\r\n", 400 }, /* no Host */
        { "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: localhost\r\nNo colon\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: localhost\r\n: nothing\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: localhost\r\nA: \x01\r\n\r\n", 400 },
        { "GET / HTTP/1.1\nHost: localhost\n\n", 400 },
        { "GET / HTTP/1.1\r\nHost: local\rhost\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET", 400 },
        { "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
        { "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
        { "G(T / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
        { "GET /\x7f HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
        { "GET /\xc3\xa4 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400 },
        { "GET / HTTQ/1.1\r\nHost: localhost\r\n\r\n", 400 },
        { "GET / HTTP/1x1\r\nHost: localhost\r\n\r\n", 400 },
        { "GET / HTTP/1.2\r\nHost: localhost\r\n\r\n", 505 },
        { "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505 },
        { "GET / HTTP/0.9\r\n\r\n", 505 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(parse(cases[i].head), cases[i].code);
    }
    assert_int_equal(http_parse("GET /\0x HTTP/1.0\r\n\r\n", 20, NULL, &request), 400);
}

static void the_longest_path_is_bounded(void **state)
{
    char head[512];
    char path[300];
    (void)state;
    memset(path, 'a', sizeof path);
    path[0] = '/';
    snprintf(head, sizeof head, "GET %.255s?%.100s HTTP/1.0\r\n\r\n", path, path);
    assert_int_equal(parse(head), 0);
    assert_int_equal(strlen(request.path), HTTP_PATH_MAX);
    snprintf(head, sizeof head, "GET %.256s HTTP/1.0\r\n\r\n", path);
    assert_int_equal(parse(head), 414);
}

/* Exact copies, so that a sanitizer sees a read beyond the end. */
static void every_truncation_is_refused_and_leaves_the_output(void **state)
{
    const size_t len = strlen(GOOD);
    struct http_request untouched;
    (void)state;
    memset(&untouched, 0xee, sizeof untouched);
    for (size_t n = 0; n < len; n++) {
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, GOOD, n);
        memset(&request, 0xee, sizeof request);
        assert_int_equal(http_parse(copy, n, NULL, &request), 400);
        assert_memory_equal(&request, &untouched, sizeof request);
        free(copy);
    }
}

static void no_changed_byte_lets_another_host_in(void **state)
{
    static const char evil[] = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    char head[sizeof evil];
    (void)state;
    for (size_t at = 0; at < sizeof evil - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memcpy(head, evil, sizeof evil);
            head[at] = (char)byte;
            const int code = http_parse(head, sizeof evil - 1, NULL, &request);
            /* Another method, path or field name; and 1.0 does not need the field. */
            const bool other_field = code == 0 && strncmp(head + 9, "1.0", 3) != 0 &&
                                     strncmp(head + 16, "Host:", 5) == 0;
            assert_false(other_field);
            assert_true(code == 0 || code == 400 || code == 421 || code == 505);
        }
    }
}

static void answers_have_all_fields(void **state)
{
    char text[HTTP_ANSWER_MAX];
    (void)state;
    size_t n = http_answer(200, "text/html; charset=utf-8", 1234567, text);
    assert_int_equal(n, strlen(text));
    assert_int_equal(strncmp(text, "HTTP/1.1 200 OK\r\n", 17), 0);
    assert_non_null(strstr(text, "\r\nContent-Length: 1234567\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Security-Policy: default-src 'none'; "));
    assert_non_null(strstr(text, "frame-ancestors 'none'\r\n"));
    assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(text, "\r\nCache-Control: no-store\r\n"));
    assert_non_null(strstr(text, "\r\nDate: "));
    assert_null(strstr(text, "unsafe"));
    assert_null(strstr(text, "Allow:"));
    assert_string_equal(text + n - 4, "\r\n\r\n");
    n = http_answer(405, NULL, SIZE_MAX, text);
    assert_true(n > 0 && n < HTTP_ANSWER_MAX);
    assert_non_null(strstr(text, "\r\nAllow: GET, HEAD\r\n"));
    assert_null(strstr(text, "\r\nContent-Type:"));
    assert_string_equal(http_reason(999), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_understood),
        cmocka_unit_test(bodies_are_noticed),
        cmocka_unit_test(only_names_of_loopback_are_accepted),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(the_longest_path_is_bounded),
        cmocka_unit_test(every_truncation_is_refused_and_leaves_the_output),
        cmocka_unit_test(no_changed_byte_lets_another_host_in),
        cmocka_unit_test(answers_have_all_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
