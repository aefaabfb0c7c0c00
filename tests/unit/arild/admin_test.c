/* SPDX-License-Identifier: Apache-2.0 */
#include "admin.h"
#include "admin_http.h"
#include "admin_pages.h"
#include "check.h"
#include "proxy/status.h"
#include "temp_folder.h"
#include "valgrind.h"
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCAL "Host: localhost\r\n"

/* --- a proxy that is none -------------------------------------------------------------------- */

struct arili_proxy {
    aril_status ready, json;
    const char *reason;
    size_t tenants;
};
static struct arili_proxy proxy;
static struct arili_status_tenant tenants[1000];

static struct arili_status snapshot(const struct arili_proxy *p)
{
    for (size_t i = 0; i < p->tenants; i++) {
        tenants[i].id = (aril_bytes){ (const uint8_t *)"acme", 4 };
    }
    return (struct arili_status){ .version = "1", .tenants = tenants, .tenant_count = p->tenants };
}

aril_status arili_proxy_ready(struct arili_proxy *p, aril_error *error)
{
    if (p->reason != NULL) {
        error->status = p->ready;
        snprintf(error->message, sizeof error->message, "%s", p->reason);
    }
    return p->ready;
}

/* Enough for buffers to be too small: each tenant has figures of its own. */
void arili_proxy_metrics(struct arili_proxy *p, const aril_metrics_sink *sink)
{
    const struct arili_status s = snapshot(p);
    const size_t times = p->tenants > 64 ? 20 : 1;
    for (size_t i = 0; i < times; i++) {
        arili_status_metrics(&s, sink);
    }
}

aril_status arili_proxy_status_json(struct arili_proxy *p, char **ret, size_t *ret_bytes)
{
    const struct arili_status s = snapshot(p);
    return p->json != ARIL_OK ? p->json : arili_status_json(&s, ret, ret_bytes);
}

/* --- a client in the same thread ------------------------------------------------------------- */

static struct event_base *base;
static struct admin *admin;
static struct arili_proxy_config config;
static struct arili_address at;
static char answer[4u << 20];

static aril_status start(const char *host, bool is_unix, aril_error *error)
{
    config.admin = true;
    config.admin_address = (struct arili_address){ .is_unix = is_unix };
    snprintf(config.admin_address.host, sizeof config.admin_address.host, "%s", host);
    const aril_status st = admin_start(base, &proxy, &config, &admin, error);
    if (st == ARIL_OK) {
        admin_address(admin, &at);
    }
    return st;
}

static int setup(void **state)
{
    proxy = (struct arili_proxy){ .tenants = 1 };
    base = event_base_new();
    assert_int_equal(temp_folder_make(state), 0);
    assert_non_null(base);
    assert_status(start("127.0.0.1", false, NULL), ARIL_OK);
    assert_int_not_equal(at.port, 0);
    return 0;
}

static int teardown(void **state)
{
    admin_stop(admin);
    admin = NULL;
    event_base_free(base);
    return temp_folder_remove(state);
}

static int open_client(void)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } name = { .v4 = { .sin_family = AF_INET, .sin_port = htons(at.port) } };
    socklen_t len = sizeof name.v4;
    if (at.is_unix) {
        name.un = (struct sockaddr_un){ .sun_family = AF_UNIX };
        snprintf(name.un.sun_path, sizeof name.un.sun_path, "%.100s", at.host);
        len = sizeof name.un;
    } else if (inet_pton(AF_INET, at.host, &name.v4.sin_addr) != 1) {
        name.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(at.port) };
        assert_int_equal(inet_pton(AF_INET6, at.host, &name.v6.sin6_addr), 1);
        len = sizeof name.v6;
    }
    const int fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &name.any, len), 0);
    return fd;
}

static void serve(void)
{
    assert_true(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
}

/* Everything that is sent until the other side closes; its length. The socket is closed. */
static size_t drain(int fd)
{
    size_t len = 0;
    for (;;) {
        serve();
        const ssize_t n = recv(fd, answer + len, sizeof answer - 1 - len, MSG_DONTWAIT);
        if (n == 0) {
            break; /* never by a reset, which may take an answer with it */
        }
        assert_true(n > 0 || errno == EAGAIN);
        len += n > 0 ? (size_t)n : 0;
        assert_true(len < sizeof answer - 1);
    }
    answer[len] = '\0';
    close(fd);
    return len;
}

static void put(int fd, const char *text, size_t len)
{
    while (len > 0) {
        const ssize_t n = send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        serve();
        if (n < 0 && errno != EAGAIN) {
            return; /* it has closed; the answer tells */
        }
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
}

/* The status code of an exchange; what came is in answer. */
static int ask(const char *request)
{
    const int fd = open_client();
    int code = 0;
    put(fd, request, strlen(request));
    if (drain(fd) > 0) {
        assert_int_equal(sscanf(answer, "HTTP/1.1 %d ", &code), 1);
    }
    return code;
}

static const char *body(void)
{
    const char *end = strstr(answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static int get(const char *path)
{
    char request[512];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" LOCAL "\r\n", path);
    return ask(request);
}

/* --- paths ----------------------------------------------------------------------------------- */

static void health_is_that_of_the_process_alone(void **state)
{
    (void)state;
    proxy.ready = ARIL_E_KEY_LOCKED;
    assert_int_equal(get("/healthz"), 200);
    assert_string_equal(body(), "ok\n");
}

static void readiness_says_why_not(void **state)
{
    (void)state;
    assert_int_equal(get("/readyz"), 200);
    assert_string_equal(body(), "ready\n");
    proxy.ready = ARIL_E_KEY_LOCKED;
    proxy.reason = "the keyring is locked";
    assert_int_equal(get("/readyz"), 503);
    assert_string_equal(body(), "not ready: the keyring is locked\n");
    proxy.reason = NULL;
    assert_int_equal(get("/readyz"), 503);
    assert_non_null(strstr(body(), aril_status_text(ARIL_E_KEY_LOCKED)));
}

static void readiness_with_a_remark_is_readiness(void **state)
{
    (void)state;
    proxy.reason = "1 tenants can be read, not written";
    assert_int_equal(get("/readyz"), 200);
    assert_string_equal(body(), "ready: 1 tenants can be read, not written\n");
}

static void metrics_are_whole_whatever_their_length(void **state)
{
    (void)state;
    assert_int_equal(get("/metrics"), 200);
    assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_non_null(strstr(body(), "\naril_proxy_hits_total{tenant=\"acme\"} 0\n"));
    proxy.tenants = 100;
    assert_int_equal(get("/metrics"), 200);
    const char *last = "aril_proxy_latency_seconds_count 0\n";
    assert_true(strlen(body()) > 3 * 65536u);
    assert_string_equal(body() + strlen(body()) - strlen(last), last);
}

static void the_status_is_json(void **state)
{
    (void)state;
    proxy.tenants = 900; /* more than a socket takes at once */
    assert_int_equal(get("/status.json?t=1"), 200);
    assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
    json_t *json = json_loads(body(), JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(json_object_get(json, "tenants")), 900);
    json_decref(json);
    proxy.json = ARIL_E_NOMEM;
    assert_int_equal(get("/status.json"), 500);
    assert_string_equal(body(), "500 Internal Server Error\n");
}

static void the_page_and_what_it_names_are_there(void **state)
{
    static const struct {
        const char *path, *type, *part;
    } parts[] = {
        { "/", "text/html; charset=utf-8", "<!doctype html>" },
        { "/index.html", "text/html; charset=utf-8", "<script src=\"app.js\" defer>" },
        { "/style.css", "text/css; charset=utf-8", "prefers-color-scheme: dark" },
        { "/app.js", "text/javascript; charset=utf-8", "status.json" },
        { "/icon.svg", "image/svg+xml", "<svg" },
    };
    (void)state;
    assert_int_equal(page_asset_count, 4);
    for (size_t i = 0; i < COUNT(parts); i++) {
        char type[80];
        assert_int_equal(get(parts[i].path), 200);
        snprintf(type, sizeof type, "\r\nContent-Type: %s\r\n", parts[i].type);
        assert_non_null(strstr(answer, type));
        assert_non_null(strstr(body(), parts[i].part));
        assert_non_null(strstr(answer, "\r\nContent-Security-Policy: default-src 'none'"));
        /* The policy allows neither, and they are what an injection would need. */
        assert_null(strstr(body(), "style=\""));
        assert_null(strstr(body(), "innerHTML"));
    }
}

static void other_paths_and_methods_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(get("/nothing"), 404);
    assert_int_equal(get("/../etc/passwd"), 404);
    assert_int_equal(get("/%2e"), 404);
    assert_int_equal(get("/metrics/"), 404);
    assert_int_equal(ask("DELETE /nothing HTTP/1.1\r\n" LOCAL "\r\n"), 404);
    assert_int_equal(ask("DELETE /metrics HTTP/1.1\r\n" LOCAL "\r\n"), 405);
    assert_non_null(strstr(answer, "\r\nAllow: GET, HEAD\r\n"));
    assert_int_equal(ask("POST / HTTP/1.1\r\n" LOCAL "Content-Length: 3\r\n\r\nabc"), 405);
    assert_int_equal(ask("OPTIONS / HTTP/1.1\r\n" LOCAL "\r\n"), 405);
    assert_int_equal(ask("GET / HTTP/1.1\r\n" LOCAL "Content-Length: 3\r\n\r\nabc"), 413);
}

static void head_is_get_without_the_body(void **state)
{
    static const char *const paths[] = { "/", "/healthz", "/nothing", "/app.js" };
    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        char request[128];
        char length[64];
        const int code = get(paths[i]);
        snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", strlen(body()));
        snprintf(request, sizeof request, "HEAD %s HTTP/1.1\r\n" LOCAL "\r\n", paths[i]);
        assert_int_equal(ask(request), code);
        assert_non_null(strstr(answer, length));
        assert_string_equal(body(), "");
    }
}

/* --- hostile clients ------------------------------------------------------------------------- */

static void another_host_reads_nothing(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /status.json HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421);
    assert_string_equal(body(), "421 Misdirected Request\n");
    assert_int_equal(ask("GET /status.json HTTP/1.1\r\n\r\n"), 400);
    assert_null(strstr(answer, "Access-Control"));
}

static void a_head_without_an_end_is_bounded(void **state)
{
    static char request[1u << 20];
    (void)state;
    memset(request, 'a', sizeof request - 1);
    assert_int_equal(ask(request), 431);
    /* One that just fits, and one that just does not. */
    static const char begin[] = "GET /healthz HTTP/1.1\r\n" LOCAL "A: ";
    memcpy(request, begin, sizeof begin - 1);
    memcpy(request + HTTP_HEAD_MAX - 4, "\r\n\r\n", 5);
    assert_int_equal(ask(request), 200);
    memset(request + HTTP_HEAD_MAX - 4, 'a', 4);
    memcpy(request + HTTP_HEAD_MAX - 3, "\r\n\r\n", 5);
    assert_int_equal(ask(request), 431);
}

static void bytes_that_come_one_by_one_are_a_request(void **state)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\n" LOCAL "\r\n";
    (void)state;
    const int fd = open_client();
    for (size_t i = 0; i < sizeof request - 1; i++) {
        put(fd, request + i, 1);
    }
    drain(fd);
    assert_string_equal(body(), "ok\n");
}

static void who_has_sent_all_may_still_read(void **state)
{
    static const char request[] = "GET /status.json HTTP/1.1\r\n" LOCAL "\r\n";
    (void)state;
    proxy.tenants = 900;
    const int fd = open_client();
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    drain(fd);
    assert_string_equal(answer + strlen(answer) - 2, "}}");
}

static void a_second_request_is_not_answered(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /healthz HTTP/1.1\r\n" LOCAL "\r\n"
                         "GET /readyz HTTP/1.1\r\n" LOCAL "\r\n"),
                     200);
    assert_string_equal(body(), "ok\n");
}

/* The deadline decides when, not whether: the test waits for the close. */
static void a_client_that_says_nothing_is_closed(void **state)
{
    (void)state;
    admin_set_deadline(admin, 1);
    const int silent = open_client();
    assert_int_equal(drain(silent), 0);
    const int half = open_client();
    put(half, "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(drain(half), 0);
    admin_set_deadline(admin, ADMIN_DEADLINE_MS);
    assert_int_equal(get("/healthz"), 200);
}

static void clients_beyond_the_bound_wait_for_their_turn(void **state)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\n" LOCAL "\r\n";
    int silent[ADMIN_CONNECTIONS_MAX];
    (void)state;
    admin_set_deadline(admin, 3600000);
    for (size_t i = 0; i < COUNT(silent); i++) {
        silent[i] = open_client();
        serve();
    }
    const int late = open_client();
    assert_int_equal(send(late, request, sizeof request - 1, 0), sizeof request - 1);
    for (size_t i = 0; i < 100; i++) {
        serve();
    }
    assert_int_equal(recv(late, answer, sizeof answer, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    close(silent[0]);
    drain(late);
    assert_string_equal(body(), "ok\n");
    for (size_t i = 1; i < COUNT(silent); i++) {
        close(silent[i]);
    }
    assert_int_equal(get("/healthz"), 200);
}

static void without_descriptors_it_waits_and_goes_on(void **state)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\n" LOCAL "\r\n";
    struct rlimit before;
    (void)state;
    if (under_valgrind()) { /* it accepts first, and closes what is above the limit */
        print_message("SKIPPED: valgrind has a limit of its own\n");
        skip();
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int fd = open_client();
    assert_int_equal(send(fd, request, sizeof request - 1, 0), sizeof request - 1);
    const struct rlimit none = { (rlim_t)fd + 1, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    /* One turn meets the error; then only the timer is left, so nothing runs. */
    serve();
    const int waiting = event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED);
    serve();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(waiting, 1);
    drain(fd);
    assert_string_equal(body(), "ok\n");
}

static void stopping_ends_what_is_open(void **state)
{
    (void)state;
    const int fd = open_client();
    put(fd, "GET", 3);
    admin_stop(admin);
    admin = NULL;
    serve(); /* libevent frees buffers in the next turn */
    assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
    assert_int_equal(drain(fd), 0);
}

/* --- addresses ------------------------------------------------------------------------------- */

static void restart(const char *host, bool is_unix, aril_status expected, const char *message)
{
    aril_error error = { .status = ARIL_OK };
    admin_stop(admin);
    admin = NULL;
    assert_status(start(host, is_unix, &error), expected);
    assert_status(error.status, expected);
    if (expected != ARIL_OK) {
        assert_null(admin);
        if (strstr(error.message, message) == NULL) {
            print_error("%s\n", error.message);
        }
        assert_non_null(strstr(error.message, "admin listener "));
        assert_non_null(strstr(error.message, message));
    }
}

static void only_loopback_is_listened_on(void **state)
{
    static const char *const others[] = {
        "0.0.0.0",          "::",   "192.0.2.1", "128.0.0.1", "example.com", "", "::ffff:192.0.2.1",
        "::ffff:127.0.0.1", "127.1"
    };
    (void)state;
    for (size_t i = 0; i < COUNT(others); i++) {
        restart(others[i], false, ARIL_E_USAGE_RANGE, "not loopback");
    }
    restart("localhost", false, ARIL_OK, "");
    snprintf(at.host, sizeof at.host, "127.0.0.1");
    assert_int_equal(get("/healthz"), 200);
    restart("127.9.8.7", false, ARIL_OK, "");
    assert_int_equal(get("/healthz"), 200);
    char request[128];
    snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: 127.9.8.7:%u\r\n\r\n", at.port);
    assert_int_equal(ask(request), 200);
}

static void ipv6_loopback_is_listened_on(void **state)
{
    aril_error error = { .status = ARIL_OK };
    (void)state;
    admin_stop(admin);
    admin = NULL;
    if (start("::1", false, &error) != ARIL_OK) {
        print_message("SKIPPED: this machine has no ::1: %s\n", error.message);
        skip();
    }
    assert_int_equal(ask("GET /healthz HTTP/1.1\r\nHost: [::1]:1\r\n\r\n"), 200);
}

static void a_port_that_is_taken_is_told(void **state)
{
    struct admin *second = admin;
    aril_error error = { .status = ARIL_OK };
    (void)state;
    config.admin_address = at;
    assert_status(admin_start(base, &proxy, &config, &second, &error), ARIL_E_EXISTS);
    assert_null(second);
    assert_non_null(strstr(error.message, strerror(EADDRINUSE)));
}

static void a_unix_socket_is_its_owners_alone(void **state)
{
    char path[200];
    struct stat st;
    (void)state;
    snprintf(path, sizeof path, "%s", temp_path("admin.sock"));
    const mode_t mask = umask(0);
    restart(path, true, ARIL_OK, "");
    assert_int_equal(umask(mask), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(get("/healthz"), 200);
    assert_int_equal(ask("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421);
    admin_stop(admin);
    admin = NULL;
    assert_int_equal(stat(path, &st), -1);
}

static void a_socket_of_the_dead_is_replaced_and_of_the_living_not(void **state)
{
    char path[200];
    struct admin *second = NULL;
    aril_error error = { .status = ARIL_OK };
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    (void)state;
    snprintf(path, sizeof path, "%s", temp_path("admin.sock"));
    snprintf(name.sun_path, sizeof name.sun_path, "%.100s", path);
    const int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(dead, (const struct sockaddr *)&name, sizeof name), 0);
    close(dead);
    restart(path, true, ARIL_OK, "");
    assert_int_equal(get("/healthz"), 200);
    assert_status(admin_start(base, &proxy, &config, &second, &error), ARIL_E_EXISTS);
    assert_non_null(strstr(error.message, "another process listens there"));
    assert_int_equal(get("/healthz"), 200);
    /* What somebody else put there meanwhile stays. */
    assert_int_equal(unlink(path), 0);
    FILE *other = fopen(path, "w");
    assert_non_null(other);
    fclose(other);
    admin_stop(admin);
    admin = NULL;
    assert_int_equal(access(path, F_OK), 0);
    restart(path, true, ARIL_E_EXISTS, "no socket");
    assert_int_equal(access(path, F_OK), 0);
}

static void paths_that_cannot_be_are_told(void **state)
{
    char path[256];
    (void)state;
    restart("", true, ARIL_E_USAGE_RANGE, "1 to 107 bytes");
    memset(path, 'a', sizeof path);
    path[108] = '\0';
    restart(path, true, ARIL_E_USAGE_RANGE, "1 to 107 bytes");
    snprintf(path, sizeof path, "%s", temp_path("nothing/admin.sock"));
    restart(path, true, ARIL_E_IO, strerror(ENOENT));
}

static void without_admin_nothing_listens(void **state)
{
    struct admin *none = admin;
    (void)state;
    config.admin = false;
    assert_status(admin_start(base, &proxy, &config, &none, NULL), ARIL_OK);
    assert_null(none);
    admin_stop(NULL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(health_is_that_of_the_process_alone),
        CASE(readiness_says_why_not),
        CASE(readiness_with_a_remark_is_readiness),
        CASE(metrics_are_whole_whatever_their_length),
        CASE(the_status_is_json),
        CASE(the_page_and_what_it_names_are_there),
        CASE(other_paths_and_methods_are_told_apart),
        CASE(head_is_get_without_the_body),
        CASE(another_host_reads_nothing),
        CASE(a_head_without_an_end_is_bounded),
        CASE(bytes_that_come_one_by_one_are_a_request),
        CASE(who_has_sent_all_may_still_read),
        CASE(a_second_request_is_not_answered),
        CASE(a_client_that_says_nothing_is_closed),
        CASE(clients_beyond_the_bound_wait_for_their_turn),
        CASE(without_descriptors_it_waits_and_goes_on),
        CASE(stopping_ends_what_is_open),
        CASE(only_loopback_is_listened_on),
        CASE(ipv6_loopback_is_listened_on),
        CASE(a_port_that_is_taken_is_told),
        CASE(a_unix_socket_is_its_owners_alone),
        CASE(a_socket_of_the_dead_is_replaced_and_of_the_living_not),
        CASE(paths_that_cannot_be_are_told),
        CASE(without_admin_nothing_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
