/* SPDX-License-Identifier: Apache-2.0 */
#include "resp/number.h"
#include <string.h>

static bool take_byte(aril_bytes *text, char a, char b)
{
    if (text->len == 0 || (text->data[0] != (uint8_t)a && text->data[0] != (uint8_t)b)) {
        return false;
    }
    text->data++;
    text->len--;
    return true;
}

/* Whether there was a digit at least. */
static bool take_digits(aril_bytes *text)
{
    const size_t before = text->len;
    while (text->len > 0 && text->data[0] >= '0' && text->data[0] <= '9') {
        text->data++;
        text->len--;
    }
    return text->len < before;
}

/* Digits up to max, which is below UINT64_MAX. */
static bool parse_digits(aril_bytes text, uint64_t max, uint64_t *ret)
{
    if (text.len == 0 || (text.data[0] == '0' && text.len > 1)) {
        return false;
    }
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        const unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9 || n > (max - digit) / 10) {
            return false;
        }
        n = n * 10 + digit;
    }
    *ret = n;
    return true;
}

bool arili_number_length(aril_bytes text, uint64_t *ret)
{
    return parse_digits(text, INT64_MAX, ret);
}

bool arili_number_is_minus_one(aril_bytes text)
{
    return text.len == 2 && memcmp(text.data, "-1", 2) == 0;
}

bool arili_number_integer(aril_bytes text, int64_t *ret)
{
    const bool negative = text.len > 0 && text.data[0] == '-';
    (void)take_byte(&text, '-', '+');
    const uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    uint64_t n = 0;
    if (!parse_digits(text, max, &n) || (negative && n == 0)) {
        return false;
    }
    /* -2^63 has no positive counterpart. */
    *ret = negative ? -(int64_t)(n - 1) - 1 : (int64_t)n;
    return true;
}

bool arili_number_is_bignum(aril_bytes text)
{
    (void)take_byte(&text, '-', '+');
    return take_digits(&text) && text.len == 0;
}

bool arili_number_is_double(aril_bytes text)
{
    (void)take_byte(&text, '-', '+');
    if (text.len == 3 && (memcmp(text.data, "inf", 3) == 0 || memcmp(text.data, "nan", 3) == 0)) {
        return true;
    }
    if (!take_digits(&text)) {
        return false;
    }
    if (take_byte(&text, '.', '.') && !take_digits(&text)) {
        return false;
    }
    if (take_byte(&text, 'e', 'E')) {
        (void)take_byte(&text, '-', '+');
        if (!take_digits(&text)) {
            return false;
        }
    }
    return text.len == 0;
}
