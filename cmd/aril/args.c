/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include "failure.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_COMPARED 31u
#define OPTIONS_MAX       32u
#define HELP_COLUMN_MIN   22u

/* Edits that turn a into b: insert, delete, replace. Both are short. */
static size_t distance(const char *a, const char *b)
{
    const size_t b_len = strlen(b);
    if (strlen(a) > NAME_MAX_COMPARED || b_len > NAME_MAX_COMPARED) {
        return NAME_MAX_COMPARED;
    }
    size_t row[NAME_MAX_COMPARED + 1];
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= b_len; j++) {
            const size_t replaced = diagonal + (a[i] != b[j - 1]);
            const size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = replaced < other ? replaced : other;
        }
    }
    return row[b_len];
}

const char *args_nearest(const char *word, const char *const *names, size_t count)
{
    const size_t len = strlen(word);
    const char *best = NULL;
    size_t best_distance = len / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        const bool begins = len >= 2 && strncmp(names[i], word, len) == 0;
        const size_t d = begins ? 0 : distance(word, names[i]);
        if (d < best_distance || (d == best_distance && best == NULL)) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}

/* Option number i: those of the command, then those that it shares. */
static const struct args_option *option_at(const struct args_spec *spec, size_t i)
{
    return i < spec->option_count ? &spec->options[i] : &spec->common[i - spec->option_count];
}

static size_t options_of(const struct args_spec *spec)
{
    return spec->option_count + spec->common_count;
}

static size_t write_left(const struct args_option *o, char *ret, size_t cap)
{
    const int len = snprintf(ret, cap, "--%s%s%s", o->name, o->value_name == NULL ? "" : " ",
                             o->value_name == NULL ? "" : o->value_name);
    return (size_t)len;
}

static void print_help(const struct args_spec *spec)
{
    char left[64];
    size_t column = HELP_COLUMN_MIN;
    for (size_t i = 0; i < options_of(spec); i++) {
        const size_t len = write_left(option_at(spec, i), left, sizeof left);
        column = len > column ? len : column;
    }
    printf("Usage: %s%s%s%s\n\n%s\n", spec->command, options_of(spec) > 0 ? " [options]" : "",
           spec->operands[0] == '\0' ? "" : " ", spec->operands, spec->summary);
    printf("\nOptions:\n");
    for (size_t i = 0; i < options_of(spec); i++) {
        write_left(option_at(spec, i), left, sizeof left);
        printf("  %-*s %s\n", (int)column, left, option_at(spec, i)->help);
    }
    printf("  %-*s %s\n", (int)column, "--help", "print this");
}

static int unknown_option(const struct args_spec *spec, const char *name, size_t len)
{
    char word[NAME_MAX_COMPARED + 1];
    const char *names[OPTIONS_MAX + 1] = { "help" };
    size_t count = 1;
    snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), name);
    for (size_t i = 0; i < options_of(spec) && i < OPTIONS_MAX; i++) {
        names[count++] = option_at(spec, i)->name;
    }
    const char *nearest = args_nearest(word, names, count);
    if (nearest != NULL) {
        return failure_usage(spec->command, "unknown option --%s; did you mean --%s?", word,
                             nearest);
    }
    return failure_usage(spec->command, "unknown option --%s", word);
}

/* A decimal number, for sizes with K, M or G (powers of 1024) behind it. */
static bool read_number(const char **at, bool with_unit, uint64_t *ret)
{
    if (!isdigit((unsigned char)**at)) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    const unsigned long long v = strtoull(*at, &end, 10);
    if (errno != 0) {
        return false;
    }
    unsigned shift = 0;
    if (with_unit && *end != '\0' && *end != ',') {
        shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 64;
        end++;
    }
    if (shift == 64 || v > UINT64_MAX >> shift) {
        return false;
    }
    *ret = (uint64_t)v << shift;
    *at = end;
    return true;
}

static int bad_value(const struct args_spec *spec, const struct args_option *o, const char *value)
{
    if (o->kind == ARGS_NUMBER) {
        return failure_usage(spec->command, "--%s %s: not a number from %llu to %llu", o->name,
                             value, (unsigned long long)o->min, (unsigned long long)o->max);
    }
    return failure_usage(
        spec->command,
        "--%s %s: not a list of at most %u sizes from %llu to %llu, as in 128,64K,2M", o->name,
        value, ARGS_SIZES_MAX, (unsigned long long)o->min, (unsigned long long)o->max);
}

static bool read_sizes(const struct args_option *o, const char *value)
{
    struct args_sizes *sizes = o->target;
    for (const char *at = value;; at++) {
        uint64_t v = 0;
        if (sizes->count == ARGS_SIZES_MAX || !read_number(&at, true, &v) || v < o->min ||
            v > o->max) {
            return false;
        }
        sizes->values[sizes->count++] = v;
        if (*at == '\0') {
            return true;
        }
        if (*at != ',') {
            return false;
        }
    }
}

static int take_value(const struct args_spec *spec, const struct args_option *o, const char *value)
{
    if (o->kind == ARGS_TEXT) {
        *(const char **)o->target = value;
        return ARGS_RUN;
    }
    if (o->kind == ARGS_TEXTS) {
        struct args_texts *texts = o->target;
        if (texts->count == ARGS_TEXTS_MAX) {
            return failure_usage(spec->command, "--%s: given more than %u times", o->name,
                                 ARGS_TEXTS_MAX);
        }
        texts->values[texts->count++] = value;
        return ARGS_RUN;
    }
    if (o->kind == ARGS_SIZES) {
        return read_sizes(o, value) ? ARGS_RUN : bad_value(spec, o, value);
    }
    const char *at = value;
    uint64_t v = 0;
    if (!read_number(&at, false, &v) || *at != '\0' || v < o->min || v > o->max) {
        return bad_value(spec, o, value);
    }
    *(uint64_t *)o->target = v;
    return ARGS_RUN;
}

/* argv[*at] begins with "--" and is more than that. */
static int take_option(const struct args_spec *spec, int argc, char **argv, int *at)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    const size_t len = equals == NULL ? strlen(name) : (size_t)(equals - name);
    for (size_t i = 0; i < options_of(spec); i++) {
        const struct args_option *o = option_at(spec, i);
        if (strlen(o->name) != len || strncmp(o->name, name, len) != 0) {
            continue;
        }
        if (o->kind == ARGS_FLAG) {
            if (equals != NULL) {
                return failure_usage(spec->command, "--%s takes no value", o->name);
            }
            *(bool *)o->target = true;
            return ARGS_RUN;
        }
        if (equals == NULL && *at + 1 == argc) {
            return failure_usage(spec->command, "--%s needs a value: %s", o->name, o->value_name);
        }
        return take_value(spec, o, equals != NULL ? equals + 1 : argv[++*at]);
    }
    return unknown_option(spec, name, len);
}

int args_parse(const struct args_spec *spec, int argc, char **argv,
               const char *ret_operands[ARGS_OPERANDS_MAX], size_t *ret_count)
{
    size_t count = 0;
    bool options = true;
    for (int i = 1; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            print_help(spec);
            return 0;
        } else if (options && strncmp(argv[i], "--", 2) == 0) {
            const int rc = take_option(spec, argc, argv, &i);
            if (rc != ARGS_RUN) {
                return rc;
            }
        } else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            return failure_usage(spec->command, "unknown option %s", argv[i]);
        } else if (count == spec->operands_max) {
            return failure_usage(spec->command, "unexpected argument: %s", argv[i]);
        } else {
            ret_operands[count++] = argv[i];
        }
    }
    if (count < spec->operands_min) {
        return failure_usage(spec->command, "missing argument: %s", spec->operands);
    }
    if (ret_count != NULL) {
        *ret_count = count;
    }
    return ARGS_RUN;
}
