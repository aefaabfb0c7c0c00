/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"
#include "check.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NEST_MAX   8u
#define HANG_MS    60000 /* a limit for what hangs */
#define SHOWN      300u
#define SHOWN_KEPT 4u

void wire_put(struct wire_bytes *b, const void *data, size_t len)
{
    if (len > b->cap - b->len) {
        const size_t cap = (b->len + len) * 2;
        uint8_t *const grown = realloc(b->data, cap);
        assert_non_null(grown);
        b->data = grown;
        b->cap = cap;
    }
    if (len > 0) {
        memcpy(b->data + b->len, data, len);
    }
    b->len += len;
}

void wire_text(struct wire_bytes *b, const char *text)
{
    wire_put(b, text, strlen(text));
}

void wire_free(struct wire_bytes *b)
{
    free(b->data);
    *b = (struct wire_bytes){ .data = NULL };
}

void wire_begin(struct wire_bytes *b, size_t args)
{
    char text[32];
    (void)snprintf(text, sizeof text, "*%zu\r\n", args);
    wire_text(b, text);
}

void wire_arg(struct wire_bytes *b, aril_bytes arg)
{
    char text[32];
    (void)snprintf(text, sizeof text, "$%zu\r\n", arg.len);
    wire_text(b, text);
    wire_put(b, arg.data, arg.len);
    wire_text(b, "\r\n");
}

/* --- Replies */

/* The number behind the type, and where its line ends. As wire_reply_len(). */
static size_t head(aril_bytes from, long long *ret)
{
    const uint8_t *const end = from.len > 0 ? memchr(from.data, '\n', from.len) : NULL;
    char text[32] = "";
    if (end == NULL) {
        return 0;
    }
    const size_t len = (size_t)(end - from.data) + 1;
    if (len < 3 || from.data[len - 2] != '\r') {
        return SIZE_MAX;
    }
    if (len - 3 < sizeof text) {
        memcpy(text, from.data + 1, len - 3);
    }
    *ret = strtoll(text, NULL, 10);
    return len;
}

static size_t reply_len(aril_bytes from, unsigned depth)
{
    long long n = 0;
    size_t at = head(from, &n);
    if (at == 0 || at == SIZE_MAX || strchr("+-:_#,(", from.data[0]) != NULL) {
        return at;
    }
    if (strchr("$=!", from.data[0]) != NULL) {
        if (n < 0) {
            return at;
        }
        const size_t want = (size_t)n + 2;
        return from.len - at < want ? 0 : at + want;
    }
    if (strchr("*~%>", from.data[0]) == NULL || depth == NEST_MAX) {
        return SIZE_MAX;
    }
    for (long long i = 0; i < (from.data[0] == '%' ? n * 2 : n); i++) {
        const size_t len = reply_len((aril_bytes){ from.data + at, from.len - at }, depth + 1);
        if (len == 0 || len == SIZE_MAX) {
            return len;
        }
        at += len;
    }
    return at;
}

size_t wire_reply_len(aril_bytes from)
{
    return reply_len(from, 0);
}

bool wire_parts(aril_bytes reply, aril_bytes *ret, size_t cap, size_t *ret_count)
{
    long long n = 0;
    size_t at = head(reply, &n);
    if (at == 0 || at == SIZE_MAX || strchr("*~%>", reply.data[0]) == NULL) {
        return false;
    }
    const size_t count = n < 0 ? 0 : (size_t)n * (reply.data[0] == '%' ? 2 : 1);
    if (count > cap) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const aril_bytes rest = { reply.data + at, reply.len - at };
        const size_t len = wire_reply_len(rest);
        assert_true(len > 0 && len != SIZE_MAX);
        ret[i] = (aril_bytes){ rest.data, len };
        at += len;
    }
    *ret_count = count;
    return true;
}

bool wire_integer(aril_bytes reply, long long *ret)
{
    const size_t len = head(reply, ret);
    return len > 0 && len != SIZE_MAX && reply.data[0] == ':';
}

bool wire_content(aril_bytes reply, aril_bytes *ret)
{
    long long n = 0;
    const size_t len = head(reply, &n);
    if (len == 0 || len == SIZE_MAX || (reply.data[0] != '$' && reply.data[0] != '+') ||
        (reply.data[0] == '$' && n < 0)) {
        return false;
    }
    *ret = reply.data[0] == '+' ? (aril_bytes){ reply.data + 1, len - 3 }
                                : (aril_bytes){ reply.data + len, (size_t)n };
    return true;
}

/* --- Sockets */

/* Adds to in what can be read now; false when the connection is over. */
static bool read_more(int fd, struct wire_bytes *in)
{
    uint8_t room[1 << 16]; /* threads have connections of their own */
    const ssize_t n = recv(fd, room, sizeof room, MSG_DONTWAIT);
    if (n > 0) {
        wire_put(in, room, (size_t)n);
        return true;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

bool wire_exchange(int fd, const struct wire_bytes *out, struct wire_bytes *in, size_t count)
{
    size_t sent = 0;
    size_t at = 0;
    in->len = 0;
    while (sent < out->len || count > 0) {
        struct pollfd one = { fd, POLLIN | (sent < out->len ? POLLOUT : 0), 0 };
        if (poll(&one, 1, HANG_MS) <= 0) {
            return false;
        }
        if ((one.revents & POLLOUT) != 0) {
            const ssize_t n =
                send(fd, out->data + sent, out->len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno != EAGAIN && errno != EINTR) {
                return false;
            }
            sent += n > 0 ? (size_t)n : 0;
        }
        if ((one.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !read_more(fd, in)) {
            return false;
        }
        for (size_t len = 1; count > 0 && len > 0; count -= len > 0) {
            len = wire_reply_len((aril_bytes){ in->data + at, in->len - at });
            if (len == SIZE_MAX) {
                return false;
            }
            at += len;
        }
    }
    return at == in->len;
}

const char *wire_shown(aril_bytes bytes)
{
    static char texts[SHOWN_KEPT][SHOWN * 4 + 32];
    static unsigned next;
    char *const text = texts[next++ % SHOWN_KEPT];
    size_t at = 0;
    for (size_t i = 0; i < bytes.len && i < SHOWN; i++) {
        const unsigned c = bytes.data[i];
        if (c >= 0x20 && c < 0x7f && c != '\\') {
            text[at++] = (char)c;
        } else {
            at += (size_t)snprintf(text + at, 5, "\\x%02x", c);
        }
    }
    text[at] = '\0';
    if (bytes.len > SHOWN) {
        (void)snprintf(text + at, 32, "... %zu bytes", bytes.len);
    }
    return text;
}
