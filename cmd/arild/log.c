/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool is_journal;
static _Atomic int most = LOG_NOTE;

/* $JOURNAL_STREAM is "DEVICE:INODE" of the stream that a service was given; standard error may
 * have been sent elsewhere since. */
static bool is_stream(const char *text, const struct stat *st)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long device = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != ':') {
        return false;
    }
    const char *inode_text = end + 1;
    const unsigned long long inode = strtoull(inode_text, &end, 10);
    return errno == 0 && end != inode_text && *end == '\0' && device == st->st_dev &&
           inode == st->st_ino;
}

void log_init(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    is_journal = stream != NULL && fstat(STDERR_FILENO, &st) == 0 && is_stream(stream, &st);
}

void log_set_level(int level)
{
    atomic_store_explicit(&most, level, memory_order_relaxed);
}

bool log_is_journal(void)
{
    return is_journal;
}

/* What stands before the text. */
static size_t write_head(bool journal, uint64_t unix_s, int level, char *ret, size_t cap)
{
    static const char *const names[] = { "error: ", "warning: ", "", "debug: " };
    static const int priorities[] = { 3, 4, 5, 7 };
    const int at = level < LOG_ERROR ? LOG_ERROR : level > LOG_FINE ? LOG_FINE : level;
    if (journal) {
        return (size_t)snprintf(ret, cap, "<%d>", priorities[at]);
    }
    const time_t when = (time_t)unix_s;
    struct tm tm = { 0 };
    char date[32] = "";
    if (gmtime_r(&when, &tm) == NULL ||
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        snprintf(date, sizeof date, "-");
    }
    return (size_t)snprintf(ret, cap, "%s arild: %s", date, names[at]);
}

size_t log_write(bool journal, uint64_t unix_s, int level, const char *text, char *ret, size_t cap)
{
    static const char hex[] = "0123456789abcdef";
    static const char cut[] = "...";
    size_t len = write_head(journal, unix_s, level, ret, cap);
    const size_t room = cap - sizeof cut; /* of the text; behind it "..." and LF */
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char c = (unsigned char)*at;
        const bool plain = c >= 0x20 && c < 0x7f && c != '\\';
        if (len + (plain ? 1 : 4) > room) {
            memcpy(ret + len, cut, sizeof cut - 1);
            len += sizeof cut - 1;
            break;
        }
        if (plain) {
            ret[len++] = (char)c;
        } else {
            ret[len++] = '\\';
            ret[len++] = 'x';
            ret[len++] = hex[c >> 4];
            ret[len++] = hex[c & 15];
        }
    }
    ret[len++] = '\n';
    return len;
}

bool log_quota_take(struct log_quota *quota, uint64_t now_ns, uint64_t *ret_left_out)
{
    uint64_t next_ns = atomic_load_explicit(&quota->next_ns, memory_order_relaxed);
    if (now_ns < next_ns ||
        !atomic_compare_exchange_strong_explicit(&quota->next_ns, &next_ns, now_ns + LOG_QUOTA_NS,
                                                 memory_order_relaxed, memory_order_relaxed)) {
        (void)atomic_fetch_add_explicit(&quota->left_out, 1, memory_order_relaxed);
        return false;
    }
    *ret_left_out = atomic_exchange_explicit(&quota->left_out, 0, memory_order_relaxed);
    return true;
}

void log_proxy(void *user, int level, const char *text)
{
    char line[LOG_LINE_MAX];
    struct timespec now = { 0 };
    (void)user;
    if (level > atomic_load_explicit(&most, memory_order_relaxed)) {
        return;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    const size_t len = log_write(is_journal, (uint64_t)now.tv_sec, level, text, line, sizeof line);
    /* A log that cannot be written is no reason to stop serving. */
    const ssize_t written = write(STDERR_FILENO, line, len);
    (void)written;
}

void log_line(int level, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_proxy(NULL, level, text);
}
