/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_RESP_NUMBER_H
#define ARILI_RESP_NUMBER_H
#include <aril/base.h>
#include <stdbool.h>

/* The numbers of RESP as text, without type byte and CRLF. One way to write each: no leading zeros,
 * no -0, no blanks. Outputs are unchanged when the answer is false. */

/* A length or a count: digits, INT64_MAX at most. */
bool arili_number_length(aril_bytes text, uint64_t *ret);
/* In place of a length: nil. */
bool arili_number_is_minus_one(aril_bytes text);
/* With a sign, + as well: the specification has it for integers. */
bool arili_number_integer(aril_bytes text, int64_t *ret);
/* [sign] digits */
bool arili_number_is_bignum(aril_bytes text);
/* [sign] digits [. digits] [e [sign] digits], inf, nan; some servers write nan with a sign. */
bool arili_number_is_double(aril_bytes text);
#endif
