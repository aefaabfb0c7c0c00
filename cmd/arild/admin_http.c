/* SPDX-License-Identifier: Apache-2.0 */
#include "admin_http.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* What is left of a head. */
struct text {
    const char *at;
    size_t len;
};

static bool equals(struct text t, const char *word)
{
    return t.len == strlen(word) && strncasecmp(t.at, word, t.len) == 0;
}

/* The next line, without CRLF; false when there is none. A CR or LF alone is no end of a line. */
static bool take_line(struct text *rest, struct text *ret)
{
    const char *lf = memchr(rest->at, '\n', rest->len);
    if (lf == NULL || lf == rest->at || lf[-1] != '\r') {
        return false;
    }
    *ret = (struct text){ rest->at, (size_t)(lf - 1 - rest->at) };
    rest->len -= (size_t)(lf + 1 - rest->at);
    rest->at = lf + 1;
    return memchr(ret->at, '\r', ret->len) == NULL;
}

/* What stands before c, which is skipped; all of t where there is no c. */
static struct text take_until(struct text *t, char c)
{
    const char *end = memchr(t->at, c, t->len);
    const struct text taken = { t->at, end == NULL ? t->len : (size_t)(end - t->at) };
    const size_t skipped = taken.len + (end != NULL);
    t->at += skipped;
    t->len -= skipped;
    return taken;
}

static bool is_token(struct text t)
{
    for (size_t i = 0; i < t.len; i++) {
        const char c = t.at[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL) {
            return false;
        }
    }
    return t.len > 0;
}

static bool is_printable(struct text t)
{
    for (size_t i = 0; i < t.len; i++) {
        const unsigned char c = (unsigned char)t.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

static struct text trim(struct text t)
{
    while (t.len > 0 && (t.at[0] == ' ' || t.at[0] == '\t')) {
        t.at++;
        t.len--;
    }
    while (t.len > 0 && (t.at[t.len - 1] == ' ' || t.at[t.len - 1] == '\t')) {
        t.len--;
    }
    return t;
}

/* --- the request line ------------------------------------------------------------------------ */

static int parse_line(struct text line, bool *ret_needs_host, struct http_request *ret)
{
    const struct text method = take_until(&line, ' ');
    const struct text target = take_until(&line, ' ');
    struct text path = target;
    if (!is_token(method) || target.len == 0 || target.at[0] != '/') {
        return 400;
    }
    for (size_t i = 0; i < target.len; i++) {
        if (target.at[i] <= 0x20 || target.at[i] >= 0x7f) {
            return 400;
        }
    }
    if (line.len != 8 || strncmp(line.at, "HTTP/", 5) != 0 || line.at[6] != '.') {
        return 400;
    }
    if (strncmp(line.at, "HTTP/1.", 7) != 0 || (line.at[7] != '0' && line.at[7] != '1')) {
        return 505;
    }
    *ret_needs_host = line.at[7] == '1';
    path = take_until(&path, '?');
    if (path.len > HTTP_PATH_MAX) {
        return 414;
    }
    memcpy(ret->path, path.at, path.len);
    ret->path[path.len] = '\0';
    /* Methods are case-sensitive. */
    ret->method = method.len == 3 && memcmp(method.at, "GET", 3) == 0    ? HTTP_GET
                  : method.len == 4 && memcmp(method.at, "HEAD", 4) == 0 ? HTTP_HEAD
                                                                         : HTTP_OTHER;
    return 0;
}

/* --- Host ------------------------------------------------------------------------------------ */

static bool is_port(struct text t)
{
    for (size_t i = 0; i < t.len; i++) {
        if (t.at[i] < '0' || t.at[i] > '9') {
            return false;
        }
    }
    return t.len <= 5;
}

static bool is_accepted(struct text value, const char *host)
{
    struct text name = value;
    const char *bracket =
        value.len > 0 && value.at[0] == '[' ? memchr(value.at, ']', value.len) : NULL;
    if (bracket != NULL) {
        name.len = (size_t)(bracket + 1 - value.at);
    } else {
        const char *colon = memchr(value.at, ':', value.len);
        name.len = colon == NULL ? value.len : (size_t)(colon - value.at);
    }
    struct text port = { value.at + name.len, value.len - name.len };
    if (port.len > 0) {
        if (port.at[0] != ':') {
            return false;
        }
        port.at++;
        port.len--;
    }
    return is_port(port) && (equals(name, "localhost") || equals(name, "127.0.0.1") ||
                             equals(name, "[::1]") || (host != NULL && equals(name, host)));
}

/* --- fields ---------------------------------------------------------------------------------- */

int http_parse(const char *head, size_t len, const char *host, struct http_request *ret)
{
    struct text rest = { head, len };
    struct text line = { NULL, 0 };
    struct http_request request = { .method = HTTP_OTHER };
    bool needs_host = false;
    bool has_host = false;
    bool right_host = true;
    int code = take_line(&rest, &line) ? parse_line(line, &needs_host, &request) : 400;
    if (code != 0) {
        return code;
    }
    for (;;) {
        if (!take_line(&rest, &line)) {
            return 400;
        }
        if (line.len == 0) {
            break;
        }
        const bool has_colon = memchr(line.at, ':', line.len) != NULL;
        const struct text name = take_until(&line, ':');
        const struct text value = trim(line);
        if (!has_colon || !is_token(name) || !is_printable(value)) {
            return 400;
        }
        if (equals(name, "Host")) {
            if (has_host) {
                return 400;
            }
            has_host = true;
            right_host = is_accepted(value, host);
        }
        request.has_body |= equals(name, "Transfer-Encoding") ||
                            (equals(name, "Content-Length") && !equals(value, "0"));
    }
    if (rest.len > 0 || (needs_host && !has_host)) {
        return 400;
    }
    if (!right_host) {
        return 421;
    }
    *ret = request;
    return 0;
}

/* --- answers --------------------------------------------------------------------------------- */

const char *http_reason(int code)
{
    static const struct {
        int code;
        const char *text;
    } reasons[] = {
        { 200, "OK" },
        { 400, "Bad Request" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 421, "Misdirected Request" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].code == code) {
            return reasons[i].text;
        }
    }
    return "Unknown";
}

/* The page has its style, script and data from this listener, and nothing from elsewhere; no other
 * page may show or read it. */
#define FIELDS                                                                           \
    "Connection: close\r\n"                                                              \
    "Cache-Control: no-store\r\n"                                                        \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; " \
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "          \
    "frame-ancestors 'none'\r\n"                                                         \
    "X-Content-Type-Options: nosniff\r\n"                                                \
    "X-Frame-Options: DENY\r\n"                                                          \
    "Referrer-Policy: no-referrer\r\n"                                                   \
    "Cross-Origin-Resource-Policy: same-origin\r\n"                                      \
    "Cross-Origin-Opener-Policy: same-origin\r\n"

size_t http_answer(int code, const char *type, size_t body_len, char ret[static HTTP_ANSWER_MAX])
{
    char date[64] = "";
    const time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm) != NULL &&
        strftime(date, sizeof date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm) == 0) {
        date[0] = '\0';
    }
    const int n = snprintf(ret, HTTP_ANSWER_MAX,
                           "HTTP/1.1 %d %s\r\n%s" FIELDS "%s%s%s%sContent-Length: %zu\r\n\r\n",
                           code, http_reason(code), date, code == 405 ? "Allow: GET, HEAD\r\n" : "",
                           type == NULL ? "" : "Content-Type: ", type == NULL ? "" : type,
                           type == NULL ? "" : "\r\n", body_len);
    return n > 0 && (size_t)n < HTTP_ANSWER_MAX ? (size_t)n : 0;
}
