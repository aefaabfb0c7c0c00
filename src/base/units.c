/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* From small to large; the first one is 1. */
static const struct unit sizes[] = { { "B", 1 },
                                     { "KiB", (uint64_t)1 << 10 },
                                     { "MiB", (uint64_t)1 << 20 },
                                     { "GiB", (uint64_t)1 << 30 },
                                     { "TiB", (uint64_t)1 << 40 } };
static const struct unit durations[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }
};
#define SIZES     (sizeof sizes / sizeof sizes[0])
#define DURATIONS (sizeof durations / sizeof durations[0])

bool arili_number_parse(aril_bytes text, uint64_t *ret)
{
    uint64_t n = 0;
    if (text.len == 0 || (text.len > 1 && text.data[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t digit = (uint8_t)(text.data[i] - '0');
        if (digit > 9 || n > UINT64_MAX / 10 || n * 10 > UINT64_MAX - digit) {
            return false;
        }
        n = n * 10 + digit;
    }
    *ret = n;
    return true;
}

static bool parse(aril_bytes text, const struct unit *units, size_t count, uint64_t *ret)
{
    size_t digits = 0;
    uint64_t n = 0;
    while (digits < text.len && text.data[digits] >= '0' && text.data[digits] <= '9') {
        digits++;
    }
    if (!arili_number_parse((aril_bytes){ text.data, digits }, &n)) {
        return false;
    }
    size_t at = digits;
    while (at < text.len && (text.data[at] == ' ' || text.data[at] == '\t')) {
        at++;
    }
    const size_t unit_len = text.len - at;
    if (unit_len == 0 && at == digits && n == 0) {
        *ret = 0;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (unit_len == strlen(units[i].name) &&
            memcmp(text.data + at, units[i].name, unit_len) == 0 &&
            n <= UINT64_MAX / units[i].factor) {
            *ret = n * units[i].factor;
            return true;
        }
    }
    return false;
}

bool arili_size_parse(aril_bytes text, uint64_t *ret)
{
    return parse(text, sizes, SIZES, ret);
}

bool arili_duration_parse(aril_bytes text, uint64_t *ret_ms)
{
    return parse(text, durations, DURATIONS, ret_ms);
}

static void write(uint64_t n, const struct unit *units, size_t count,
                  char ret[static ARILI_UNITS_TEXT])
{
    size_t best = 0;
    for (size_t i = 1; i < count && n > 0; i++) {
        best = n % units[i].factor == 0 ? i : best;
    }
    (void)snprintf(ret, ARILI_UNITS_TEXT, "%llu %s", (unsigned long long)(n / units[best].factor),
                   units[best].name);
}

void arili_size_text(uint64_t bytes, char ret[static ARILI_UNITS_TEXT])
{
    write(bytes, sizes, SIZES, ret);
}

void arili_duration_text(uint64_t ms, char ret[static ARILI_UNITS_TEXT])
{
    write(ms, durations, DURATIONS, ret);
}
