/* SPDX-License-Identifier: Apache-2.0 */
#include "resp/inline.h"

#define QUOTE_CLOSED 1u /* a value of *quote: a blank or the end has to follow */

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Outside of quotes. Fewer than the blanks, as in Redis: vertical tab and form feed only separate
 * words. */
static bool ends_word(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void take(aril_bytes *line, size_t n)
{
    line->data += n;
    line->len -= n;
}

/* A piece of one byte that is not in the line. */
static aril_bytes constant(uint8_t c)
{
#define ROW(n)                                                                            \
    (n), (n) + 1, (n) + 2, (n) + 3, (n) + 4, (n) + 5, (n) + 6, (n) + 7, (n) + 8, (n) + 9, \
        (n) + 10, (n) + 11, (n) + 12, (n) + 13, (n) + 14, (n) + 15
    static const uint8_t all[256] = { ROW(0),   ROW(16),  ROW(32),  ROW(48),  ROW(64),  ROW(80),
                                      ROW(96),  ROW(112), ROW(128), ROW(144), ROW(160), ROW(176),
                                      ROW(192), ROW(208), ROW(224), ROW(240) };
#undef ROW
    return (aril_bytes){ &all[c], 1 };
}

/* 0 to 15, or 16. */
static unsigned hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - (unsigned)'0';
    }
    const unsigned lower = c | 0x20u;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 16;
}

static uint8_t escaped(uint8_t c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    default:
        return c;
    }
}

/* *line begins with a backslash. One that escapes nothing, because the line ends or because the
 * quotes are single ones, is itself. */
static aril_bytes step_escape(aril_bytes *line, uint8_t quote)
{
    const uint8_t *const at = line->data;
    if (quote == '"' && line->len >= 4 && at[1] == 'x' && hex_digit(at[2]) < 16 &&
        hex_digit(at[3]) < 16) {
        take(line, 4);
        return constant((uint8_t)(hex_digit(at[2]) << 4 | hex_digit(at[3])));
    }
    if (line->len >= 2 && (quote == '"' || at[1] == '\'')) {
        take(line, 2);
        return constant(quote == '"' ? escaped(at[1]) : at[1]);
    }
    take(line, 1);
    return (aril_bytes){ at, 1 };
}

/* Whether c stands for itself: in quotes, or outside of them. */
static bool is_plain(uint8_t c, uint8_t quote)
{
    return quote != 0 ? c != quote && c != '\\' : c != '"' && c != '\'' && !ends_word(c);
}

bool arili_inline_begin(aril_bytes *line)
{
    while (line->len > 0 && is_blank(line->data[0])) {
        take(line, 1);
    }
    return line->len > 0;
}

enum arili_inline_kind arili_inline_step(aril_bytes *line, uint8_t *quote, aril_bytes *ret)
{
    while (line->len > 0) {
        const uint8_t c = line->data[0];
        if (*quote == QUOTE_CLOSED) {
            return is_blank(c) ? ARILI_INLINE_END : ARILI_INLINE_BAD;
        }
        if (*quote == 0 && ends_word(c)) {
            return ARILI_INLINE_END;
        }
        size_t plain = 0;
        while (plain < line->len && is_plain(line->data[plain], *quote)) {
            plain++;
        }
        if (plain > 0) {
            *ret = (aril_bytes){ line->data, plain };
            take(line, plain);
            return ARILI_INLINE_PIECE;
        }
        if (c == '\\') { /* in quotes: outside of them it is plain */
            *ret = step_escape(line, *quote);
            return ARILI_INLINE_PIECE;
        }
        *quote = *quote == 0 ? c : QUOTE_CLOSED;
        take(line, 1);
    }
    return *quote == 0 || *quote == QUOTE_CLOSED ? ARILI_INLINE_END : ARILI_INLINE_BAD;
}

bool arili_inline_word(aril_bytes *line, size_t *ret_len)
{
    uint8_t quote = 0;
    aril_bytes piece = { NULL, 0 };
    enum arili_inline_kind kind;
    *ret_len = 0;
    while ((kind = arili_inline_step(line, &quote, &piece)) == ARILI_INLINE_PIECE) {
        *ret_len += piece.len;
    }
    return kind == ARILI_INLINE_END;
}
