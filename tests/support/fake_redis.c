/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* POLLRDHUP */
#include "fake_redis.h"
#include "check.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES 65536u
#define ARGS_MAX     8u

/* The command at the beginning of text; 0: it is not there whole. Parts of args point into it. */
static size_t parse(const char *text, size_t len, aril_bytes args[ARGS_MAX], size_t *ret_count)
{
    size_t at = 0;
    size_t count = 0;
    const char *line = memchr(text, '\n', len);
    if (len < 4 || text[0] != '*' || line == NULL) {
        return 0;
    }
    const size_t want = strtoul(text + 1, NULL, 10);
    at = (size_t)(line - text) + 1;
    while (count < want) {
        line = at < len ? memchr(text + at, '\n', len - at) : NULL;
        if (line == NULL) {
            return 0;
        }
        const size_t body = strtoul(text + at + 1, NULL, 10);
        at = (size_t)(line - text) + 1;
        if (len - at < body + 2) {
            return 0;
        }
        if (count < ARGS_MAX) {
            args[count] = (aril_bytes){ (const uint8_t *)text + at, body };
        }
        count++;
        at += body + 2;
    }
    *ret_count = count < ARGS_MAX ? count : ARGS_MAX;
    return at;
}

static bool is(aril_bytes arg, const char *word)
{
    return arg.len == strlen(word) && strncasecmp((const char *)arg.data, word, arg.len) == 0;
}

/* What a sane server says. */
static void sane(const struct fake_redis *f, aril_bytes verb, char *ret, size_t cap)
{
    if (is(verb, "HELLO")) {
        (void)snprintf(ret, cap, "%%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n");
    } else if (is(verb, "GET")) {
        (void)snprintf(ret, cap, "$1\r\nv\r\n");
    } else if (is(verb, "EXISTS") || is(verb, "UNLINK") || is(verb, "PUBLISH")) {
        (void)snprintf(ret, cap, ":1\r\n");
    } else if (is(verb, "CLUSTER")) {
        (void)snprintf(ret, cap,
                       "*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:%u\r\n$2\r\nid\r\n",
                       f->port);
    } else if (is(verb, FAKE_PART)) {
        ret[0] = '\0';
    } else {
        (void)snprintf(ret, cap, "+OK\r\n");
    }
}

static void note(struct fake_redis *f, const aril_bytes *args, size_t count)
{
    size_t len = strlen(f->heard);
    for (size_t i = 0; i < count && len + args[i].len + 2 < sizeof f->heard; i++) {
        memcpy(f->heard + len, args[i].data, args[i].len);
        len += args[i].len;
        f->heard[len++] = i + 1 < count ? ' ' : ';';
        f->heard[len] = '\0';
    }
}

/* Until the client has closed. That is not seen while bytes of it wait to be read; so also until it
 * comes anew. */
static void wait_for_end(const struct fake_redis *f, int fd)
{
    struct pollfd fds[3] = { { .fd = fd, .events = POLLRDHUP },
                             { .fd = f->fd, .events = POLLIN },
                             { .fd = f->stop[0], .events = POLLIN } };
    (void)poll(fds, 3, -1);
}

/* Answers one command; false: the connection ends. */
static bool answer(struct fake_redis *f, int fd, const aril_bytes *args, size_t count, bool *silent)
{
    char text[256];
    enum fake_then then = FAKE_GOES_ON;
    sane(f, args[0], text, sizeof text);
    aril_bytes out = { (const uint8_t *)text, strlen(text) };
    (void)pthread_mutex_lock(&f->mutex);
    f->commands++;
    note(f, args, count);
    for (size_t i = 0; i < COUNT(f->lies); i++) {
        struct fake_lie *const lie = &f->lies[i];
        if (lie->verb != NULL && lie->times > 0 && is(args[0], lie->verb)) {
            lie->times--;
            f->lied++;
            out = lie->answer;
            then = lie->then;
            break;
        }
    }
    (void)pthread_mutex_unlock(&f->mutex);
    while (out.len > 0) {
        const ssize_t n = send(fd, out.data, out.len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        out.data += n;
        out.len -= (size_t)n;
    }
    *silent = then == FAKE_IS_SILENT;
    if (then == FAKE_STOPS) {
        wait_for_end(f, fd);
    }
    return then == FAKE_GOES_ON || then == FAKE_IS_SILENT;
}

/* True while there may be more to read. */
static bool readable(const struct fake_redis *f, int fd)
{
    struct pollfd fds[2] = { { .fd = fd, .events = POLLIN },
                             { .fd = f->stop[0], .events = POLLIN } };
    return poll(fds, 2, -1) > 0 && fds[1].revents == 0;
}

static void converse(struct fake_redis *f, int fd)
{
    char *const buffer = malloc(BUFFER_BYTES + 1);
    size_t len = 0;
    bool silent = false;
    while (buffer != NULL && readable(f, fd)) {
        const aril_bytes part = { (const uint8_t *)FAKE_PART, strlen(FAKE_PART) };
        if (len == BUFFER_BYTES && !silent && !answer(f, fd, &part, 1, &silent)) {
            break;
        }
        if (silent || len == BUFFER_BYTES) {
            len = 0; /* what is put is forgotten */
        }
        const ssize_t n = recv(fd, buffer + len, BUFFER_BYTES - len, 0);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
        buffer[len] = '\0';
        size_t used = 1;
        bool open = true;
        while (open && !silent && used > 0) {
            aril_bytes args[ARGS_MAX];
            size_t count = 0;
            used = parse(buffer, len, args, &count);
            if (used > 0) {
                open = answer(f, fd, args, count, &silent);
                len -= used;
                for (size_t i = 0; i <= len; i++) { /* valgrind takes memmove() for memcpy() here */
                    buffer[i] = buffer[used + i];
                }
            }
        }
        if (!open) {
            break;
        }
    }
    free(buffer);
    (void)close(fd);
}

static void *fake_main(void *arg)
{
    struct fake_redis *const f = arg;
    while (readable(f, f->fd)) {
        const int fd = accept(f->fd, NULL, NULL);
        if (fd >= 0) {
            (void)pthread_mutex_lock(&f->mutex);
            f->accepted++;
            (void)pthread_mutex_unlock(&f->mutex);
            converse(f, fd);
        }
    }
    return NULL;
}

void fake_redis_start(struct fake_redis *f)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof at;
    memset(f, 0, sizeof *f);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f->fd >= 0);
    assert_int_equal(bind(f->fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(f->fd, 16), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&at, &len), 0);
    f->port = ntohs(at.sin_port);
    assert_int_equal(pipe(f->stop), 0);
    assert_int_equal(pthread_mutex_init(&f->mutex, NULL), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, fake_main, f), 0);
}

void fake_redis_stop(struct fake_redis *f)
{
    assert_int_equal(write(f->stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(f->thread, NULL), 0);
    (void)close(f->fd);
    (void)close(f->stop[0]);
    (void)close(f->stop[1]);
    (void)pthread_mutex_destroy(&f->mutex);
}

void fake_redis_lie(struct fake_redis *f, const struct fake_lie *first,
                    const struct fake_lie *second)
{
    (void)pthread_mutex_lock(&f->mutex);
    f->lies[0] = first != NULL ? *first : (struct fake_lie){ 0 };
    f->lies[1] = second != NULL ? *second : (struct fake_lie){ 0 };
    f->accepted = 0;
    f->commands = 0;
    f->lied = 0;
    f->heard[0] = '\0';
    (void)pthread_mutex_unlock(&f->mutex);
}

unsigned fake_redis_accepted(struct fake_redis *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    const unsigned n = f->accepted;
    (void)pthread_mutex_unlock(&f->mutex);
    return n;
}

unsigned fake_redis_lied(struct fake_redis *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    const unsigned n = f->lied;
    (void)pthread_mutex_unlock(&f->mutex);
    return n;
}

void fake_redis_heard(struct fake_redis *f, char *ret, size_t cap)
{
    (void)pthread_mutex_lock(&f->mutex);
    (void)snprintf(ret, cap, "%s", f->heard);
    (void)pthread_mutex_unlock(&f->mutex);
}
