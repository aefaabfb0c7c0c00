/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_pack.h"
#include "failure.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UUID_TEXT 36u

static int no_memory(const char *command)
{
    return failure_report(command, ARIL_E_NOMEM, "the arguments");
}

static int refuse(const char *command, const char *tag, const char *text, const char *what)
{
    char safe[80];
    keys_safe(keys_bytes(text), safe, sizeof safe);
    return failure_explain(command, ARIL_E_FORMAT_FIELD, "docs/cache.md shows the tags",
                           "{\"%s\": \"%s\"}: not %s", tag, safe, what);
}

static int add_bytes(const char *command, struct cache_packed *out, const char *text)
{
    const size_t digits = strlen(text);
    uint8_t *bytes = malloc(digits / 2 + 1);
    if (bytes == NULL) {
        return no_memory(command);
    }
    int rc = 0;
    if (digits % 2 != 0 || !keys_unhex(text, digits / 2, bytes)) {
        rc = refuse(command, "$bytes", text, "an even number of hexadecimal digits");
    } else if (!pack_bytes(out, PACK_BINARY, bytes, digits / 2)) {
        rc = no_memory(command);
    }
    free(bytes);
    return rc;
}

static int add_integer(const char *command, struct cache_packed *out, const char *text)
{
    const bool negative = text[0] == '-';
    char *end = NULL;
    bool done = false;
    errno = 0;
    if (!isdigit((unsigned char)text[negative])) {
        return refuse(command, "$int", text, "a decimal integer");
    }
    if (negative) {
        const long long v = strtoll(text, &end, 10);
        done = errno != 0 || *end != '\0' || pack_integer(out, v);
    } else {
        const unsigned long long v = strtoull(text, &end, 10);
        done = errno != 0 || *end != '\0' || pack_unsigned(out, v);
    }
    if (errno == ERANGE) {
        return refuse(command, "$int", text, "from -2^63 to 2^64 - 1");
    }
    return *end != '\0' ? refuse(command, "$int", text, "a decimal integer")
           : done       ? 0
                        : no_memory(command);
}

static int add_real(const char *command, struct cache_packed *out, const char *text)
{
    char *end = NULL;
    const double v = strtod(text, &end);
    if (end == text || *end != '\0' || isspace((unsigned char)text[0])) {
        return refuse(command, "$float", text, "a number");
    }
    if (!isfinite(v)) {
        return refuse(command, "$float", text, "finite");
    }
    return pack_real(out, v) ? 0 : no_memory(command);
}

/* Seconds since 1970, cut to microseconds towards the past, as one division. */
static int add_datetime(const char *command, struct cache_packed *out, const char *text)
{
    int64_t s = 0;
    uint32_t us = 0;
    if (!cache_date_parse(text, false, &s, &us)) {
        return refuse(command, "$datetime", text,
                      "a date and time with its offset, as in 2024-01-01T12:30:45+00:00");
    }
    const int64_t micros = s * 1000000 + (int64_t)us; /* 4 digits of a year: no overflow */
    return pack_real(out, (double)micros / 1e6) ? 0 : no_memory(command);
}

static int add_uuid(const char *command, struct cache_packed *out, const char *text)
{
    char lower[UUID_TEXT + 1] = "";
    bool good = strlen(text) == UUID_TEXT;
    for (size_t i = 0; good && i < UUID_TEXT; i++) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        good = dash ? text[i] == '-' : isxdigit((unsigned char)text[i]) != 0;
        lower[i] = (char)tolower((unsigned char)text[i]);
    }
    if (!good) {
        return refuse(command, "$uuid", text, "a UUID");
    }
    return pack_bytes(out, PACK_TEXT, lower, UUID_TEXT) ? 0 : no_memory(command);
}

int pack_tagged(const char *command, struct cache_packed *out, const char *tag, const json_t *value)
{
    static const char *const tags[] = { "$bytes", "$int", "$float", "$datetime", "$uuid", "$set" };
    static int (*const add[])(const char *, struct cache_packed *,
                              const char *) = { add_bytes, add_integer, add_real, add_datetime,
                                                add_uuid };
    const char *text = json_string_value(value);
    for (size_t i = 0; i < sizeof add / sizeof add[0]; i++) {
        if (strcmp(tag, tags[i]) == 0 && text != NULL) {
            return add[i](command, out, text);
        }
    }
    char safe[40];
    const char *nearest = args_nearest(tag, tags, sizeof tags / sizeof tags[0]);
    const bool known = nearest != NULL && strcmp(nearest, tag) == 0;
    keys_safe(keys_bytes(tag), safe, sizeof safe);
    if (known) {
        return failure_explain(command, ARIL_E_FORMAT_FIELD, NULL, "%s: %s", safe,
                               strcmp(tag, "$set") == 0 ? "its value is an array"
                                                        : "its value is a text");
    }
    return failure_explain(command, ARIL_E_FORMAT_FIELD, "docs/cache.md shows the tags",
                           "unknown tag %s%s%s%s", safe, nearest == NULL ? "" : "; did you mean ",
                           nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?");
}
