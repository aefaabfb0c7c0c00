/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/config.h"

/*
 * Redis' stringmatchlen() without its recursion. Every element but '*' takes exactly one byte, so
 * when a byte does not fit, only the last '*' can help, by taking one byte more: what stands before
 * it has matched as early as it could. A set that is not closed ends with the pattern; a range may
 * be written downwards; ']' right behind '[' or '[^' closes an empty set.
 */

/* The set that begins behind '[' at *at: whether c is in it. *at is then behind ']'. */
static bool in_set(aril_bytes pattern, size_t *at, uint8_t c)
{
    const uint8_t *const p = pattern.data;
    size_t i = *at;
    const bool negated = i < pattern.len && p[i] == '^';
    bool found = false;
    i += negated ? 1 : 0;
    while (i < pattern.len && p[i] != ']') {
        const size_t left = pattern.len - i;
        if (p[i] == '\\' && left >= 2) {
            found = found || p[i + 1] == c;
            i += 2;
        } else if (left >= 3 && p[i + 1] == '-') {
            const uint8_t low = p[i] < p[i + 2] ? p[i] : p[i + 2];
            const uint8_t high = p[i] < p[i + 2] ? p[i + 2] : p[i];
            found = found || (c >= low && c <= high);
            i += 3;
        } else {
            found = found || p[i] == c;
            i++;
        }
    }
    *at = i < pattern.len ? i + 1 : i;
    return found != negated;
}

/* The element at *at, which is no '*': whether c fits. *at is then behind it. */
static bool fits(aril_bytes pattern, size_t *at, uint8_t c)
{
    const uint8_t first = pattern.data[(*at)++];
    if (first == '?') {
        return true;
    }
    if (first == '[') {
        return in_set(pattern, at, c);
    }
    if (first == '\\' && *at < pattern.len) {
        return pattern.data[(*at)++] == c;
    }
    return first == c;
}

bool arili_glob(aril_bytes pattern, aril_bytes text)
{
    size_t at = 0;
    size_t star = SIZE_MAX; /* what follows the last '*' */
    size_t star_text = 0;   /* what that matched ends here */
    for (size_t i = 0; i < text.len;) {
        if (at < pattern.len && pattern.data[at] == '*') {
            star = ++at;
            star_text = i;
            if (star == pattern.len) {
                return true;
            }
            continue;
        }
        if (at < pattern.len && fits(pattern, &at, text.data[i])) {
            i++;
            continue;
        }
        if (star == SIZE_MAX) {
            return false;
        }
        at = star;
        i = ++star_text;
    }
    while (at < pattern.len && pattern.data[at] == '*') {
        at++;
    }
    return at == pattern.len;
}
