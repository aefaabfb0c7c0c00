/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"
#include "failure.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SCHEME "file://"

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_http(const char *source)
{
    return begins(source, "http://") || begins(source, "https://");
}

int fetch_check(const char *command, const char *source)
{
    const char *slashes = strstr(source, "://");
    if (source[0] == '\0') {
        return failure_usage(command, "an empty source");
    }
    if (slashes == NULL || begins(source, FILE_SCHEME)) {
        return 0;
    }
    if (!is_http(source)) {
        return failure_usage(command, "%.*s: not one of file, http, https", (int)(slashes - source),
                             source);
    }
    /* Arguments can be seen by every user of the machine. */
    const size_t host = strcspn(slashes + 3, "/?#");
    if (memchr(slashes + 3, '@', host) != NULL) {
        return failure_usage(command, "a URL with a name or password in it is not taken");
    }
    return host > 0 ? 0 : failure_usage(command, "%s: no host", source);
}

aril_status fetch_fail(const struct fetch *f, aril_status st, aril_error *error, const char *format,
                       ...)
{
    char what[200];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    /* A server may have a say in it. */
    for (char *at = what; *at != '\0'; at++) {
        *at = *at < 0x20 || *at > 0x7e ? '?' : *at;
    }
    const bool url = is_http(f->source);
    const size_t len = url ? strcspn(f->source, "?#") : strlen(f->source);
    error->status = st;
    snprintf(error->message, sizeof error->message, "%.*s: %s", (int)(len < 110 ? len : 110),
             f->source, what);
    return st;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The path of a file:// URL. */
static bool decode_path(const char *url, char *ret, size_t cap)
{
    const char *at = url + strlen(FILE_SCHEME);
    size_t len = 0;
    if (begins(at, "localhost/")) {
        at += strlen("localhost");
    }
    if (*at != '/') {
        return false;
    }
    for (; *at != '\0'; at++) {
        int byte = (unsigned char)*at;
        if (*at == '%') {
            const int high = hex_digit(at[1]);
            const int low = high < 0 ? -1 : hex_digit(at[2]);
            if (low < 0 || (high | low) == 0) {
                return false;
            }
            byte = high << 4 | low;
            at += 2;
        }
        if (len + 1 == cap) {
            return false;
        }
        ret[len++] = (char)byte;
    }
    ret[len] = '\0';
    return true;
}

static bool read_rest(int fd, struct file_contents *c, size_t max, bool *ret_too_long)
{
    for (;;) {
        if (c->len == c->cap) {
            const size_t cap = c->cap == 0 ? 65536 : c->cap > max / 2 ? max + 1 : c->cap * 2;
            uint8_t *data = realloc(c->data, cap);
            if (data == NULL) {
                errno = ENOMEM;
                return false;
            }
            c->data = data;
            c->cap = cap;
        }
        const ssize_t n = read(fd, c->data + c->len, c->cap - c->len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n == 0) {
            return true;
        }
        c->len += n < 0 ? 0 : (size_t)n;
        if (c->len > max) {
            *ret_too_long = true;
            return true;
        }
    }
}

static aril_status errno_status(int error)
{
    return error == ENOENT || error == ENOTDIR ? ARIL_E_NOT_FOUND
           : error == ENOMEM                   ? ARIL_E_NOMEM
                                               : ARIL_E_IO;
}

static aril_status read_descriptor(struct fetch *f, int fd, struct file_contents *ret,
                                   bool *ret_same, aril_error *error)
{
    struct stat st;
    struct file_contents c = { .data = NULL };
    bool too_long = false;
    if (fstat(fd, &st) != 0) {
        return fetch_fail(f, ARIL_E_IO, error, "%s", strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        return fetch_fail(f, ARIL_E_IO, error, "it is a folder");
    }
    snprintf(f->next_tag, sizeof f->next_tag, "%ju.%ju.%jd.%jd.%ld", (uintmax_t)st.st_dev,
             (uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
             st.st_mtim.tv_nsec);
    *ret_same = S_ISREG(st.st_mode) && strcmp(f->tag, f->next_tag) == 0;
    if (*ret_same) {
        return ARIL_OK;
    }
    const bool done = read_rest(fd, &c, f->bytes_max, &too_long);
    const int reason = errno;
    if (!done || too_long) {
        file_contents_free(&c);
        return too_long ? fetch_fail(f, ARIL_E_LIMIT, error,
                                     "longer than the %zu bytes that are taken", f->bytes_max)
                        : fetch_fail(f, errno_status(reason), error, "%s", strerror(reason));
    }
    *ret = c;
    return ARIL_OK;
}

static aril_status fetch_file(struct fetch *f, struct file_contents *ret, bool *ret_same,
                              aril_error *error)
{
    char path[PATH_MAX];
    if (strcmp(f->source, "-") == 0) {
        return read_descriptor(f, STDIN_FILENO, ret, ret_same, error);
    }
    if (begins(f->source, FILE_SCHEME)) {
        if (!decode_path(f->source, path, sizeof path)) {
            return fetch_fail(f, ARIL_E_NOT_FOUND, error,
                              "not the URL of a local file, as in file:///run/bundle");
        }
    } else if (snprintf(path, sizeof path, "%s", f->source) >= (int)sizeof path) {
        return fetch_fail(f, ARIL_E_NOT_FOUND, error, "%s", strerror(ENAMETOOLONG));
    }
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        const int reason = errno;
        return fetch_fail(f, errno_status(reason), error, "%s", strerror(reason));
    }
    const aril_status st = read_descriptor(f, fd, ret, ret_same, error);
    close(fd);
    return st;
}

aril_status fetch(struct fetch *f, struct file_contents *ret, bool *ret_same, aril_error *error)
{
    *ret_same = false;
    f->next_tag[0] = '\0';
    return is_http(f->source) ? fetch_http(f, ret, ret_same, error)
                              : fetch_file(f, ret, ret_same, error);
}

void fetch_accept(struct fetch *f)
{
    memcpy(f->tag, f->next_tag, sizeof f->tag);
}
