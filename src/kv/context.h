/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KV_CONTEXT_H
#define ARILI_KV_CONTEXT_H
#include "crypto/crypto.h"
#include <aril/kv.h>

/*
 * What a KV record is bound to, docs/FORMAT.md section 3. The scope digest stands for what
 * is the same for a whole view; the rest is the block. Big-endian:
 *    0 scope digest (32)   32 identity kind   33 zero (3)
 *   36 layer first   40 layer count   44 rank   48 group
 *   52 chain (32), or slot (8) position (8) count (8) zero (8)
 */
#define ARILI_KV_CONTEXT_BYTES 84u

struct arili_kv_scope {
    uint8_t digest[ARIL_DIGEST_BYTES];
};

/* Check model and layout, and hash them with the tenant id: SHA-256, or the first 32 bytes of
 * SHA-384 where the profile's hash is that. */
ARIL_MUST_USE aril_status arili_kv_scope_make(const struct arili_crypto *c, enum arili_hash hash,
                                              aril_bytes tenant, aril_bytes model,
                                              const aril_kv_layout *layout,
                                              struct arili_kv_scope *ret);
/* ARIL_E_USAGE_RANGE for a block without layers or of an unknown identity. */
ARIL_MUST_USE aril_status arili_kv_block_check(const aril_kv_block *block);
void arili_kv_context_write(const struct arili_kv_scope *scope, const aril_kv_block *block,
                            uint8_t ret[ARILI_KV_CONTEXT_BYTES]);
#endif
