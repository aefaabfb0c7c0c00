/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_BASE58_H
#define ARILI_FORMAT_BASE58_H
#include <aril/base.h>

/* base58btc, the alphabet of did:key. The work grows with the square of the length,
 * so the lengths are bounded. For public data: the time tells the content.
 *
 * Each byte string has one text and the other way round: leading zero bytes are
 * leading ones ('1'), so a text that decodes needs no second look. */
#define ARILI_BASE58_BYTES_MAX 2600u
/* 2600 bytes take at most ceil(2600 * log(256) / log(58)) = 3551 characters. */
#define ARILI_BASE58_CHARS_MAX 3551u

/* No final NUL. USAGE_RANGE beyond ARILI_BASE58_BYTES_MAX, USAGE_TOO_SMALL. */
ARIL_MUST_USE aril_status arili_base58_encode(aril_bytes in, char *ret, size_t cap,
                                              size_t *ret_len);
/* FORMAT_LENGTH when text is longer than ARILI_BASE58_CHARS_MAX or gives more than cap
 * bytes, FORMAT_FIELD for a character outside the alphabet. On failure ret is
 * unchanged. */
ARIL_MUST_USE aril_status arili_base58_decode(aril_bytes text, uint8_t *ret, size_t cap,
                                              size_t *ret_len);
#endif
