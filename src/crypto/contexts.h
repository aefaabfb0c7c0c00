/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_CONTEXTS_H
#define ARILI_CRYPTO_CONTEXTS_H
#include "crypto/crypto.h"

/*
 * Keyed AEAD contexts, kept per thread and key in a bounded cache: a new context
 * per message costs three times the encryption.
 *
 * The cache is split in shards. A thread is given a shard of its own by ordinal
 * (thread n uses shard n mod ARILI_CONTEXT_SHARDS), so its lock is free unless more
 * threads run than there are shards; then the next shard is tried. Within a shard a
 * few sets of ways hold contexts by key uid; on a miss the oldest of the set is keyed
 * anew. A shard is made when its first thread arrives, a context when its way is first used.
 *
 * The cache belongs to the runtime, not to thread-local storage, so that a retired
 * key can be wiped out of every shard at once.
 */
#define ARILI_CONTEXT_SHARDS 64u
#define ARILI_CONTEXT_WAYS   4u
#define ARILI_CONTEXT_SETS   8u

struct arili_contexts;

ARIL_MUST_USE aril_status arili_contexts_new(const struct arili_crypto *c,
                                             struct arili_contexts **ret);
void arili_contexts_free(struct arili_contexts *cache);

/* A borrowed context; hand it back with _put on every path. */
struct arili_context_lease {
    struct arili_aead_ctx *ctx;
    void *slot; /* of the cache */
};
/* The context keyed with the 32 bytes at key. uid names the key and is never used
 * for another one in this process; uid 0 means "do not remember" (one-off keys, which
 * _put wipes). With uid 0 key may be NULL: the context is not keyed (for XAES).
 * A thread may hold several leases. With a uid it waits when every place for it is lent out;
 * with uid 0 it never does: the context is then made for this lease and freed with it. Else the
 * first use of a place in the cache allocates, later ones do not. */
ARIL_MUST_USE aril_status arili_contexts_get(struct arili_contexts *cache, uint64_t uid,
                                             const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                             struct arili_context_lease *ret);
void arili_contexts_put(struct arili_contexts *cache, struct arili_context_lease *lease);
/* Wipe the key uid wherever it is cached. Waits for leases of that key, not for others: so the
 * calling thread must hold none of it, and nobody may _get it any more. */
void arili_contexts_forget(struct arili_contexts *cache, uint64_t uid);
/* A fresh uid, never 0. */
uint64_t arili_contexts_uid(struct arili_contexts *cache);
#endif
