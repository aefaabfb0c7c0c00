/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_SEAL_H
#define ARILI_FORMAT_SEAL_H
#include <aril/record.h>

/*
 * The seal of a counted record, docs/FORMAT.md section 2. On the wire, big-endian:
 *    0 level 0xa1      1 kind 1        2 use           3 flags, bit 0 the direction
 *    4 epoch           8 tenant tag   16 sequence     24 body length
 *   32 key id (32)    64 tag (16)
 * The first 64 bytes are the header; all of it is associated data.
 */
#define ARILI_SEAL_HEADER_BYTES 64u
#define ARILI_SEAL_TAG_BYTES    16u
#define ARILI_SEAL_LEVEL        0xa1u
#define ARILI_SEAL_KIND_COUNTED 1u
#define ARILI_USE_KV            1u
#define ARILI_KEY_ID_BYTES      32u

struct arili_seal_header {
    uint8_t use;
    uint8_t direction; /* 0 or 1, aril_direction */
    uint32_t epoch;
    uint64_t tenant_tag;
    uint64_t sequence; /* 1 to 2^32 */
    uint64_t body_bytes;
    uint8_t key_id[ARILI_KEY_ID_BYTES];
};

/* Parse the header of an untrusted seal. On failure *ret is unchanged. */
ARIL_MUST_USE aril_status arili_seal_parse(const uint8_t seal[ARILI_SEAL_HEADER_BYTES],
                                           struct arili_seal_header *ret);
/* The one encoding of h. */
void arili_seal_write(const struct arili_seal_header *h, uint8_t ret[ARILI_SEAL_HEADER_BYTES]);
#endif
