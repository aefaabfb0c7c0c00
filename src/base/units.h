/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_UNITS_H
#define ARILI_BASE_UNITS_H
#include <aril/base.h>
#include <stdbool.h>

/* Numbers with units as people write them into configuration files. All of the text is the number;
 * on false *ret is untouched. */

/* Decimal digits without sign, blanks or leading zeros, below 2^64. */
bool arili_number_parse(aril_bytes text, uint64_t *ret);
/* NUMBER and B, KiB, MiB, GiB or TiB, blanks between them or not. Zero needs no unit. */
bool arili_size_parse(aril_bytes text, uint64_t *ret);
/* The same with ms, s, m, h or d. */
bool arili_duration_parse(aril_bytes text, uint64_t *ret_ms);

/* In the largest unit that leaves a whole number: "64 KiB", "1500 ms", "0 B". NUL included. */
#define ARILI_UNITS_TEXT 26u
void arili_size_text(uint64_t bytes, char ret[static ARILI_UNITS_TEXT]);
void arili_duration_text(uint64_t ms, char ret[static ARILI_UNITS_TEXT]);
#endif
