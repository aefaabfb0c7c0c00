/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_VALUE_BATCH_H
#define ARILI_CACHE_VALUE_BATCH_H
#include "base/secure.h"
#include "crypto/contexts.h"
#include "format/cachevalue.h"
#include <aril/keyring.h>

/*
 * Many values by one thread, one after the other. Each has a key of its own, whose set-up and
 * wiping take longer than a cipher of a few KiB: a batch keeps one context from value to value,
 * with the key that theirs are derived from, and nonces that were fetched together. Whoever has it
 * calls arili_value_batch_end() when there is a pause, and at least every second: until then the
 * key of the last value and that of the tenant lie in the context.
 */
#define ARILI_VALUE_BATCH_NONCES 32u

struct arili_value_batch {
    aril_runtime *rt;
    struct arili_fork_guard guard;
    bool leased, lent, keyed;
    struct arili_context_lease lease;
    uint8_t key_id[ARIL_KEY_ID_BYTES]; /* keyed: of the tenant's key that the context has */
    uint32_t nonces_left;
    uint8_t nonces[ARILI_VALUE_BATCH_NONCES][ARILI_VALUE_NONCE_BYTES];
};
/* Holds nothing yet. rt is borrowed. */
void arili_value_batch_init(struct arili_value_batch *b, aril_runtime *rt);
/* Wipes and gives back what it holds, but for a context that is lent: that stays until the next
 * time. Then it can be used on. */
void arili_value_batch_end(struct arili_value_batch *b);
/* A random nonce. FORKED in a child, whose parent has the same ones. On failure ret is unchanged.
 */
ARIL_MUST_USE aril_status arili_value_batch_nonce(struct arili_value_batch *b,
                                                  uint8_t ret[ARILI_VALUE_NONCE_BYTES]);
/* The context, keyed for a segment: as arili_value_key_context(). It is not lent now; give it back
 * with arili_value_batch_return(). */
ARIL_MUST_USE aril_status arili_value_batch_lend(struct arili_value_batch *b,
                                                 const aril_tenant_key *key,
                                                 const uint8_t value_nonce[ARILI_VALUE_NONCE_BYTES],
                                                 uint64_t index,
                                                 struct arili_context_lease *ret_lease,
                                                 uint8_t ret_nonce[ARILI_AEAD_NONCE_BYTES]);
void arili_value_batch_return(struct arili_value_batch *b, struct arili_context_lease *lease);
#endif
