/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* A decimal number and one of the units. */
static bool parse(const char *text, const struct unit *units, size_t count, uint64_t *ret)
{
    char *end = NULL;
    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    errno = 0;
    const unsigned long long v = strtoull(text, &end, 10);
    for (size_t i = 0; errno == 0 && i < count; i++) {
        if (strcmp(end, units[i].name) == 0 && v <= UINT64_MAX / units[i].factor) {
            *ret = (uint64_t)v * units[i].factor;
            return true;
        }
    }
    return false;
}

bool cache_duration_parse(const char *text, uint64_t *ret_ms)
{
    static const struct unit units[] = { { "", 1000 },   { "ms", 1 },      { "s", 1000 },
                                         { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
    return parse(text, units, sizeof units / sizeof units[0], ret_ms);
}

bool cache_size_parse(const char *text, uint64_t *ret)
{
    static const struct unit units[] = {
        { "", 1 }, { "K", 1u << 10 }, { "M", 1u << 20 }, { "G", 1u << 30 }
    };
    return parse(text, units, sizeof units / sizeof units[0], ret);
}

/* Exactly so many digits. */
static bool number(const char **at, size_t digits, int *ret)
{
    int v = 0;
    for (size_t i = 0; i < digits; i++) {
        if (!isdigit((unsigned char)(*at)[i])) {
            return false;
        }
        v = v * 10 + ((*at)[i] - '0');
    }
    *at += digits;
    *ret = v;
    return true;
}

static bool sign(const char **at, char c)
{
    if (**at != c) {
        return false;
    }
    (*at)++;
    return true;
}

/* ".123456"; what is finer than a microsecond is cut. */
static bool fraction(const char **at, uint32_t *ret_us)
{
    uint32_t scale = 100000;
    if (!sign(at, '.')) {
        return true;
    }
    if (!isdigit((unsigned char)**at)) {
        return false;
    }
    for (; isdigit((unsigned char)**at); (*at)++) {
        *ret_us += (uint32_t)(**at - '0') * scale;
        scale /= 10;
    }
    return true;
}

static bool offset(const char **at, int *ret_s)
{
    int hours = 0;
    int minutes = 0;
    if (sign(at, 'Z') || sign(at, 'z')) {
        *ret_s = 0;
        return true;
    }
    const bool west = **at == '-';
    if (!sign(at, '-') && !sign(at, '+')) {
        return false;
    }
    if (!number(at, 2, &hours) || !sign(at, ':') || !number(at, 2, &minutes) || hours > 23 ||
        minutes > 59) {
        return false;
    }
    *ret_s = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

bool cache_date_parse(const char *text, bool whole_day, int64_t *ret_s, uint32_t *ret_us)
{
    const char *at = text;
    struct tm tm = { .tm_sec = 0 };
    int year = 0;
    int month = 0;
    int offset_s = 0;
    uint32_t us = 0;
    if (!number(&at, 4, &year) || !sign(&at, '-') || !number(&at, 2, &month) || !sign(&at, '-') ||
        !number(&at, 2, &tm.tm_mday)) {
        return false;
    }
    if (!(whole_day && *at == '\0')) {
        const bool time = (sign(&at, 'T') || sign(&at, 't') || sign(&at, ' ')) &&
                          number(&at, 2, &tm.tm_hour) && sign(&at, ':') &&
                          number(&at, 2, &tm.tm_min) && sign(&at, ':') &&
                          number(&at, 2, &tm.tm_sec) && fraction(&at, &us) &&
                          offset(&at, &offset_s) && *at == '\0';
        if (!time || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59) {
            return false;
        }
    }
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    struct tm back = tm;
    const time_t t = timegm(&back);
    if (back.tm_mon != tm.tm_mon || back.tm_mday != tm.tm_mday) {
        return false; /* no such day: timegm() made it another one */
    }
    *ret_s = (int64_t)t - offset_s;
    *ret_us = us;
    return true;
}
