/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_VALUE_INTERNAL_H
#define ARILI_CACHE_VALUE_INTERNAL_H
#include "base/bytes.h"
#include "cache/value.h"
#include "crypto/xaes.h"
#include <string.h>

/* Shared by cache/value.c and cache/value_pieces.c only. */

struct arili_value_segment {
    uint64_t index;
    uint64_t from, len; /* of the body */
    uint64_t stored_at; /* of the stored value */
};

static inline struct arili_value_segment arili_value_segment_at(uint64_t body_bytes, uint64_t index)
{
    const uint64_t from = index * ARILI_VALUE_SEGMENT_BYTES;
    const uint64_t left = body_bytes - from;
    return (struct arili_value_segment){
        .index = index,
        .from = from,
        .len = left < ARILI_VALUE_SEGMENT_BYTES ? left : ARILI_VALUE_SEGMENT_BYTES,
        .stored_at =
            ARILI_VALUE_HEADER_BYTES + index * (ARILI_VALUE_SEGMENT_BYTES + ARILI_VALUE_TAG_BYTES)
    };
}

/* The nonce that segment index of the value with this nonce has under XAES. */
static inline void arili_value_segment_nonce(const uint8_t value_nonce[ARILI_VALUE_NONCE_BYTES],
                                             uint64_t index, uint8_t ret[ARILI_XAES_NONCE_BYTES])
{
    memcpy(ret, value_nonce, ARILI_VALUE_NONCE_BYTES);
    arili_store32(ret + ARILI_VALUE_NONCE_BYTES, (uint32_t)index);
}

/* A context keyed for segment index of the value with this nonce, and the segment's nonce. */
ARIL_MUST_USE aril_status arili_value_key_context(
    aril_runtime *rt, const aril_tenant_key *key,
    const uint8_t value_nonce[ARILI_VALUE_NONCE_BYTES], uint64_t index,
    struct arili_context_lease *ret_lease, uint8_t ret_nonce[ARILI_AEAD_NONCE_BYTES]);
#endif
