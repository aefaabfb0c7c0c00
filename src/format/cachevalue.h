/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_CACHEVALUE_H
#define ARILI_FORMAT_CACHEVALUE_H
#include "base/bytes.h"

/*
 * A native cached value, docs/CACHE-FORMAT.md: header || segment || segment ... Each segment is at
 * most ARILI_VALUE_SEGMENT_BYTES of ciphertext and its tag; all but the last are full. Big-endian:
 *    0 level 0xa1      1 kind 2       2 use 4      3 flags      4 zero (4)
 *    8 created, ms    16 not after, ms             24 generation
 *   32 body length    40 key id (32)  72 nonce (20)             92 zero (4)
 * The header is associated data of every segment.
 */
#define ARILI_VALUE_HEADER_BYTES  96u
#define ARILI_VALUE_TAG_BYTES     16u
#define ARILI_VALUE_NONCE_BYTES   20u
#define ARILI_VALUE_SEGMENT_BYTES ((size_t)1 << 20)
#define ARILI_VALUE_KIND_XAES     2u
#define ARILI_VALUE_USE_CACHE     4u
/* The longest body: the longest value, padded, and its trailer. */
#define ARILI_VALUE_BODY_MAX ((uint64_t)320 << 20)

enum {
    ARILI_VALUE_TRAILER = 1u << 0 /* the plaintext ends with a trailer: padding, tags */
};

struct arili_value_header {
    uint8_t flags;
    uint64_t created_ms, not_after_ms, generation;
    uint64_t body_bytes; /* of all segments, without tags */
    uint8_t key_id[32];
    uint8_t nonce[ARILI_VALUE_NONCE_BYTES];
};

/* Parse the header of a whole stored value and compare the lengths. FORMAT (class). On failure *ret
 * is unchanged. */
ARIL_MUST_USE aril_status arili_value_parse(aril_bytes stored, struct arili_value_header *ret);
/* The header alone, without a look at the lengths: for who has nothing else. False: it is none. */
bool arili_value_peek(const uint8_t header[ARILI_VALUE_HEADER_BYTES],
                      struct arili_value_header *ret);
/* The one encoding of h. */
void arili_value_write(const struct arili_value_header *h, uint8_t ret[ARILI_VALUE_HEADER_BYTES]);

/* Segments of a body; 1 for an empty one. And the bytes of the stored value. */
uint64_t arili_value_segments(uint64_t body_bytes);
uint64_t arili_value_stored_bytes(uint64_t body_bytes);

/*
 * The trailer, at the end of the plaintext: n times { context (32) stamp (16) }, u16 n, u16 zero,
 * u64 length of the value. What is between the value and the trailer is zero.
 */
#define ARILI_VALUE_TAG_CONTEXT_BYTES 32u
#define ARILI_VALUE_STAMP_BYTES       16u
#define ARILI_VALUE_TAG_ENTRY_BYTES   48u
#define ARILI_VALUE_TAGS_MAX          16u
#define ARILI_VALUE_TRAILER_END_BYTES 12u
struct arili_value_tag {
    uint8_t context[ARILI_VALUE_TAG_CONTEXT_BYTES];
    uint8_t stamp[ARILI_VALUE_STAMP_BYTES];
};
struct arili_value_trailer {
    uint64_t value_bytes;
    size_t tag_count;
    struct arili_value_tag tags[ARILI_VALUE_TAGS_MAX];
};
size_t arili_value_trailer_bytes(size_t tag_count);
void arili_value_trailer_write(const struct arili_value_trailer *t, uint8_t *ret);
/* From the end of a plaintext, which may be all of it or its last bytes; body_bytes is its whole
 * length. FORMAT (class). */
ARIL_MUST_USE aril_status arili_value_trailer_parse(aril_bytes end, uint64_t body_bytes,
                                                    struct arili_value_trailer *ret);
#endif
