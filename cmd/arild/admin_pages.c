/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_pages.h"
#include "proxy/status.h"
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METRICS_BYTES_FIRST ((size_t)64 << 10)
#define METRICS_BYTES_MAX   ((size_t)64 << 20)
#define TYPE_TEXT           "text/plain; charset=utf-8"
#define TYPE_JSON           "application/json"

struct answer {
    struct evbuffer *out;
    bool without_body; /* HEAD: the fields of the answer, without what they describe */
};

static bool give(const struct answer *a, int code, const char *type, const void *body, size_t len)
{
    char head[HTTP_ANSWER_MAX];
    const size_t n = http_answer(code, type, len, head);
    return n > 0 && evbuffer_add(a->out, head, n) == 0 &&
           (a->without_body || evbuffer_add(a->out, body, len) == 0);
}

static bool give_text(const struct answer *a, int code, const char *text)
{
    return give(a, code, TYPE_TEXT, text, strlen(text));
}

static bool refuse(const struct answer *a, int code)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%d %s\n", code, http_reason(code));
    return give_text(a, code, text);
}

/* --- what is asked of the proxy -------------------------------------------------------------- */

static bool give_health(struct arili_proxy *proxy, const struct answer *a)
{
    (void)proxy;
    return give_text(a, 200, "ok\n");
}

static bool give_ready(struct arili_proxy *proxy, const struct answer *a)
{
    aril_error error = { .status = ARIL_OK };
    const aril_status st = arili_proxy_ready(proxy, &error);
    char text[sizeof error.message + 32];
    if (st == ARIL_OK && error.message[0] == '\0') {
        return give_text(a, 200, "ready\n");
    }
    (void)snprintf(text, sizeof text, "%s: %s\n", st == ARIL_OK ? "ready" : "not ready",
                   error.message[0] != '\0' ? error.message : aril_status_text(st));
    return give_text(a, st == ARIL_OK ? 200 : 503, text);
}

static bool give_status(struct arili_proxy *proxy, const struct answer *a)
{
    char *text = NULL;
    size_t bytes = 0;
    if (arili_proxy_status_json(proxy, &text, &bytes) != ARIL_OK) {
        return refuse(a, 500);
    }
    const bool given = give(a, 200, TYPE_JSON, text, bytes - 1);
    arili_status_free(text, bytes);
    return given;
}

/* Figures change between two calls, so the second buffer may be too small as well. */
static bool give_metrics(struct arili_proxy *proxy, const struct answer *a)
{
    size_t cap = METRICS_BYTES_FIRST;
    while (cap <= METRICS_BYTES_MAX) {
        char *data = malloc(cap);
        aril_metrics_text text;
        if (data == NULL) {
            break;
        }
        aril_metrics_text_init(&text, data, cap);
        arili_proxy_metrics(proxy, &text.sink);
        const bool whole = text.len < cap;
        const bool given =
            whole && give(a, 200, "text/plain; version=0.0.4; charset=utf-8", data, text.len);
        free(data);
        if (whole) {
            return given;
        }
        cap = text.len >= cap / 2 ? 2 * text.len + 1 : 2 * cap;
    }
    return refuse(a, 500);
}

/* --- the page -------------------------------------------------------------------------------- */

static const char *asset_type(const char *path)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        { ".html", "text/html; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },
        { ".js", "text/javascript; charset=utf-8" },
        { ".svg", "image/svg+xml" },
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot != NULL && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(dot, types[i].end) == 0) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

static const struct page_asset *find_asset(const char *path)
{
    const char *name = strcmp(path, "/") == 0 ? "/index.html" : path;
    for (size_t i = 0; i < page_asset_count; i++) {
        if (strcmp(page_assets[i].path, name) == 0) {
            return &page_assets[i];
        }
    }
    return NULL;
}

/* --- paths ----------------------------------------------------------------------------------- */

static const struct route {
    const char *path;
    bool (*give)(struct arili_proxy *proxy, const struct answer *a);
} routes[] = {
    { "/healthz", give_health },
    { "/readyz", give_ready },
    { "/status.json", give_status },
    { "/metrics", give_metrics },
};

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(routes[i].path, path) == 0) {
            return &routes[i];
        }
    }
    return NULL;
}

bool admin_answer(struct arili_proxy *proxy, const struct http_request *request,
                  struct evbuffer *out)
{
    const struct answer a = { .out = out, .without_body = request->method == HTTP_HEAD };
    const struct route *route = find_route(request->path);
    const struct page_asset *asset = find_asset(request->path);
    if (route == NULL && asset == NULL) {
        return refuse(&a, 404);
    }
    if (request->method == HTTP_OTHER) {
        return refuse(&a, 405);
    }
    if (request->has_body) {
        return refuse(&a, 413);
    }
    return route != NULL ? route->give(proxy, &a)
                         : give(&a, 200, asset_type(asset->path), asset->data, asset->len);
}

bool admin_refuse(int code, struct evbuffer *out)
{
    const struct answer a = { .out = out };
    return refuse(&a, code);
}
