/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_CANONICAL_H
#define ARILI_CACHE_CANONICAL_H
#include <aril/cache.h>

/* Limits of what a cachekit key is made of. */
#define ARILI_CANONICAL_BYTES_MAX ARIL_CACHE_KEY_BYTES_MAX
#define ARILI_CANONICAL_DEPTH_MAX 32u
/* No canonical form is longer than twice its input: a float of 32 bits becomes one of 64. */
#define ARILI_CANONICAL_GROWTH 2u

/*
 * Write a MessagePack document in the form that cachekit hashes: shortest integers and lengths,
 * floats with an integral value in [-2^63, 2^64) as integers, else 64 bits; map keys are strings,
 * sorted by their bytes. Refused: NaN, infinities, ext types, other map keys, a key twice, strings
 * that are no UTF-8 (FORMAT_FIELD), and what arili_msgpack_check() refuses.
 *
 * ret needs room for ARILI_CANONICAL_GROWTH * document.len bytes. On failure it is undefined.
 */
ARIL_MUST_USE aril_status arili_canonical(aril_bytes document, uint8_t *ret, size_t *ret_len);
#endif
