/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_RESP_INLINE_H
#define ARILI_RESP_INLINE_H
#include <aril/base.h>
#include <stdbool.h>

/*
 * The words of an inline command: text that a person types, "SET key \"a b\\x00\"". The rules are
 * those of Redis' sdssplitargs():
 *
 *   word          ends at a blank
 *   "..."         \n \r \t \b \a, \xHH, and a backslash before any other byte is that byte
 *   '...'         \' is a quote, everything else is itself
 *
 * A quote may begin within a word; a blank or the end must follow the one that closes it.
 */
enum arili_inline_kind {
    ARILI_INLINE_BAD = 0, /* a quote that is not closed, or a byte behind it */
    ARILI_INLINE_PIECE,   /* *ret: bytes of the word, in the line or in a constant; never empty */
    ARILI_INLINE_END      /* the word has ended */
};

/* Takes blanks off the beginning of *line. True: a word begins there. */
bool arili_inline_begin(aril_bytes *line);
/* Takes the next piece of a word off the beginning of *line. *quote is 0 at the beginning of a
 * word, and is the tokenizer's between the calls. */
enum arili_inline_kind arili_inline_step(aril_bytes *line, uint8_t *quote, aril_bytes *ret);
/* Takes a whole word off the beginning of *line. False: BAD. */
bool arili_inline_word(aril_bytes *line, size_t *ret_len);
#endif
