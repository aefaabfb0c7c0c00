/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_LOG_H
#define ARILD_LOG_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What the daemon says while it runs: one line each on standard error, in one write(), so that
 * lines of different threads do not mix. Under systemd's journal a line begins with its priority,
 * as in "<4>"; elsewhere with the time. Whatever is not printable ASCII is shown as \xNN, so that
 * no peer can forge a line.
 *
 * Threads: any, after log_init().
 */
enum log_level { LOG_ERROR = 0, LOG_WARN, LOG_NOTE, LOG_FINE };
#define LOG_LINE_MAX 2048u /* longer lines are cut, and end with "..." */

/* Looks whether standard error is the journal. */
void log_init(void);
/* Lines above that level are left out. LOG_NOTE at first. */
void log_set_level(int level);
bool log_is_journal(void);
void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same as arili_proxy_log_fn. */
void log_proxy(void *user, int level, const char *text);

/* For lines that a peer can bring about as often as it likes: one in LOG_QUOTA_NS. All zero is a
 * full one. True: it may be written, and *ret_left_out were not since the last. False: counted. */
#define LOG_QUOTA_NS UINT64_C(1000000000)
struct log_quota {
    _Atomic uint64_t next_ns, left_out;
};
bool log_quota_take(struct log_quota *quota, uint64_t now_ns, uint64_t *ret_left_out);

/* The line with its LF; how long it is. cap is at least 64. */
size_t log_write(bool journal, uint64_t unix_s, int level, const char *text, char *ret, size_t cap);
#endif
