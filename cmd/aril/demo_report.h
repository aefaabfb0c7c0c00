/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_DEMO_REPORT_H
#define ARIL_CMD_DEMO_REPORT_H
#include <aril/base.h>
#include <jansson.h>
#include <stdbool.h>

/* What the demo tells: checks under headings, as lines or as JSON at the end. */
struct demo_report {
    bool json;
    bool verbose;
    unsigned sections, passed, failed;
    const char *section; /* borrowed: a literal */
    json_t *root;        /* the object of --json; owned */
    json_t *checks;      /* borrowed from root */
};

void demo_report_init(struct demo_report *r, bool json, bool verbose);
void demo_report_done(struct demo_report *r);

void demo_section(struct demo_report *r, const char *title);

/* A check that passes when a call answered exactly what it should. The rest is a note for
 * people, which may be "". */
void demo_check(struct demo_report *r, const char *name, aril_status expected, aril_status got,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A check of something that is no status. */
void demo_fact(struct demo_report *r, const char *name, bool holds, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* A line for people only; demo_detail() with --verbose only. */
void demo_line(const struct demo_report *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void demo_detail(const struct demo_report *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The demo cannot go on. Counts as a failed check; returns false. */
bool demo_stop(struct demo_report *r, const char *what, aril_status st);

/* The last line, or the JSON. */
void demo_finish(struct demo_report *r);
#endif
