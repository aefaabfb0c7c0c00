/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_report.h"
#include "out.h"
#include <stdarg.h>
#include <stdio.h>

#define NOTE_BYTES 256

void demo_report_init(struct demo_report *r, bool json, bool verbose)
{
    *r = (struct demo_report){ .json = json, .verbose = verbose };
    r->root = json_object();
    r->checks = json_array();
    json_object_set_new(r->root, "checks", r->checks);
}

void demo_report_done(struct demo_report *r)
{
    json_decref(r->root);
}

void demo_section(struct demo_report *r, const char *title)
{
    r->section = title;
    r->sections++;
    if (!r->json) {
        printf("\n%s%u. %s%s\n", out_on(OUT_BOLD), r->sections, title, out_off());
    }
}

static void add(struct demo_report *r, const char *name, const char *expected, const char *got,
                bool passed, const char *note)
{
    r->passed += passed;
    r->failed += !passed;
    json_array_append_new(r->checks,
                          json_pack("{s:s, s:s, s:s, s:s, s:b, s:s}", "section",
                                    r->section == NULL ? "" : r->section, "name", name, "expected",
                                    expected, "got", got, "passed", passed, "note", note));
    if (r->json) {
        return;
    }
    printf("  %s%s%s  %-44s  %s%-22s%s %s%s%s\n", out_on(passed ? OUT_GOOD : OUT_BAD),
           passed ? "PASS" : "FAIL", out_off(), name, passed ? "" : out_on(OUT_BAD), got, out_off(),
           out_on(OUT_DIM), note, out_off());
    if (!passed) {
        printf("        expected %s\n", expected);
    }
    fflush(stdout);
}

void demo_check(struct demo_report *r, const char *name, aril_status expected, aril_status got,
                const char *format, ...)
{
    char note[NOTE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(note, sizeof note, format, args);
    va_end(args);
    add(r, name, aril_status_name(expected), aril_status_name(got), expected == got, note);
    if (got != ARIL_OK) {
        demo_detail(r, "%s; %s", aril_status_text(got), aril_status_hint(got));
    }
}

void demo_fact(struct demo_report *r, const char *name, bool holds, const char *format, ...)
{
    char note[NOTE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(note, sizeof note, format, args);
    va_end(args);
    add(r, name, "yes", holds ? "yes" : "no", holds, note);
}

void demo_line(const struct demo_report *r, const char *format, ...)
{
    if (r->json) {
        return;
    }
    va_list args;
    va_start(args, format);
    printf("  ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

void demo_detail(const struct demo_report *r, const char *format, ...)
{
    if (r->json || !r->verbose) {
        return;
    }
    va_list args;
    va_start(args, format);
    printf("        %s", out_on(OUT_DIM));
    vprintf(format, args);
    printf("%s\n", out_off());
    va_end(args);
}

bool demo_stop(struct demo_report *r, const char *what, aril_status st)
{
    demo_check(r, what, ARIL_OK, st, "the demo cannot go on");
    return false;
}

void demo_finish(struct demo_report *r)
{
    if (r->json) {
        json_object_set_new(r->root, "passed", json_integer(r->passed));
        json_object_set_new(r->root, "failed", json_integer(r->failed));
        json_dumpf(r->root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        printf("\n");
        return;
    }
    printf("\n%sdemo: %u checks passed, %u failed%s\n", out_on(r->failed == 0 ? OUT_GOOD : OUT_BAD),
           r->passed, r->failed, out_off());
}
