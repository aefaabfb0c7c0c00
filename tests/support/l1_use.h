/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_L1_USE_H
#define ARIL_TESTS_L1_USE_H
#include "cache/l1_internal.h"

/* Names, values and calls for tests of the cache's parts. */

/* The name "item N" of tenant "tenant", space "space". text belongs to the caller. */
#define L1_NAME_TEXT 32u
aril_cache_key l1_name(uint64_t n, char text[L1_NAME_TEXT]);
/* Bytes of an entry of that name with a value of len bytes. */
size_t l1_entry_bytes(uint64_t n, size_t len);

/* Lives for ever; generation 5, epoch 3. */
struct arili_l1_meta l1_meta(void);
/* Is met by it. */
struct arili_l1_want l1_want(void);

/* The value of name n is fill_pattern() with seed. */
void l1_put(struct arili_l1 *l1, uint64_t n, size_t len, uint64_t seed);
/* The status of a get into cap bytes at ret. */
aril_status l1_get(struct arili_l1 *l1, uint64_t n, uint8_t *ret, size_t cap, size_t *ret_len);
/* Whether name n is a hit with that value; ends the test when it is one with another value. */
bool l1_holds(struct arili_l1 *l1, uint64_t n, size_t len, uint64_t seed);
bool l1_has(struct arili_l1 *l1, uint64_t n);
/* The entry of name n, which nobody else may use meanwhile, or NULL. */
struct arili_l1_entry *l1_peek(struct arili_l1 *l1, uint64_t n);
/* Adds up what lies in the shards and compares it with the figures and the bound. */
void l1_check_bytes(struct arili_l1 *l1, uint64_t bytes_max);
#endif
