/* SPDX-License-Identifier: Apache-2.0 */
#include <aril/metrics.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text format of Prometheus, version 0.0.4:
 *   # HELP name text
 *   # TYPE name counter
 *   name{label="value",...} number
 */

#define NUMBER_BYTES 64u

/* Counts what does not fit. */
static void put(aril_metrics_text *t, char c)
{
    if (t->cap > 0 && t->len < t->cap - 1) {
        t->data[t->len] = c;
    }
    t->len++;
}

static void put_text(aril_metrics_text *t, const char *text)
{
    for (; *text != '\0'; text++) {
        put(t, *text);
    }
}

/* Backslashes and line ends; quotes as well where a quote would end the text. */
static void put_escaped(aril_metrics_text *t, const char *text, bool quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            put_text(t, "\\n");
        } else {
            if (*text == '\\' || (quotes && *text == '"')) {
                put(t, '\\');
            }
            put(t, *text);
        }
    }
}

/* The shortest digits that give the value again; a point, whatever the program's locale writes. */
static void put_number(aril_metrics_text *t, double value)
{
    char digits[NUMBER_BYTES];
    if (isnan(value)) {
        put_text(t, "NaN");
        return;
    }
    if (isinf(value)) {
        put_text(t, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        (void)snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) {
            break;
        }
    }
    bool in_point = false;
    for (const char *d = digits; *d != '\0'; d++) {
        const bool is_point = strchr("0123456789+-e", *d) == NULL;
        if (!is_point) {
            put(t, *d);
        } else if (!in_point) {
            put(t, '.');
        }
        in_point = is_point;
    }
}

static void put_head(aril_metrics_text *t, const aril_metric *m)
{
    put_text(t, "# HELP ");
    put_text(t, m->name);
    put(t, ' ');
    put_escaped(t, m->help != NULL ? m->help : "", false);
    put_text(t, "\n# TYPE ");
    put_text(t, m->name);
    put_text(t, m->type == ARIL_METRIC_COUNTER ? " counter\n" : " gauge\n");
}

/* A name without a value at the end of the list is left out. */
static void put_labels(aril_metrics_text *t, const char *const *labels)
{
    bool any = false;
    for (; labels != NULL && labels[0] != NULL && labels[1] != NULL; labels += 2) {
        put(t, any ? ',' : '{');
        any = true;
        put_text(t, labels[0]);
        put_text(t, "=\"");
        put_escaped(t, labels[1], true);
        put(t, '"');
    }
    if (any) {
        put(t, '}');
    }
}

static void sample(void *state, const aril_metric *m)
{
    aril_metrics_text *const t = state;
    if (strcmp(t->last, m->name) != 0) {
        put_head(t, m);
        /* A name that is too long to be kept has its head again with each sample. */
        const size_t len = strlen(m->name);
        t->last[0] = '\0';
        if (len < sizeof t->last) {
            memcpy(t->last, m->name, len + 1);
        }
    }
    put_text(t, m->name);
    put_labels(t, m->labels);
    put(t, ' ');
    put_number(t, m->value);
    put(t, '\n');
    if (t->cap > 0) {
        t->data[t->len < t->cap ? t->len : t->cap - 1] = '\0';
    }
}

void aril_metrics_text_init(aril_metrics_text *ret_text, char *data, size_t cap)
{
    if (ret_text == NULL) {
        return;
    }
    *ret_text = (aril_metrics_text){
        .sink = { .abi = ARIL_METRICS_SINK_ABI, .state = ret_text, .sample = sample },
        .data = data,
        .cap = data != NULL ? cap : 0,
    };
    if (ret_text->cap > 0) {
        data[0] = '\0';
    }
}
