/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_CACHEKIT_H
#define ARILI_FORMAT_CACHEKIT_H
#include "base/bytes.h"

/*
 * What cachekit writes (github.com/cachekit-io/protocol, 1.1). An encrypted value is
 * nonce (12) || ciphertext || tag (16) over associated data that it does not store.
 */
#define ARILI_CACHEKIT_NONCE_BYTES       12u
#define ARILI_CACHEKIT_TAG_BYTES         16u
#define ARILI_CACHEKIT_OVERHEAD          28u
#define ARILI_CACHEKIT_FINGERPRINT_BYTES 16u
#define ARILI_CACHEKIT_TENANT_BYTES_MAX  1024u
#define ARILI_CACHEKIT_NAME_BYTES_MAX    2048u /* of a store */
#define ARILI_CACHEKIT_TOKEN_BYTES_MAX   32u   /* a format, an original type */

/* --- Names: "namespace:operation:hash" */

#define ARILI_CACHEKIT_SEGMENT_MAX 64u
/* [a-z0-9][a-z0-9._-]{0,63} */
bool arili_cachekit_segment_is_valid(aril_bytes segment);

/* --- Associated data, version 3: 0x03, then u32 length and bytes of each part */

struct arili_cachekit_aad {
    aril_bytes tenant, name, format;
    bool compressed;
    aril_bytes original_type; /* Python's frames alone; empty: there is no such part */
};
/* The longest, with parts of the limits above. */
#define ARILI_CACHEKIT_AAD_BYTES_MAX                                                  \
    (1u + 5u * 4u + ARILI_CACHEKIT_TENANT_BYTES_MAX + ARILI_CACHEKIT_NAME_BYTES_MAX + \
     2u * ARILI_CACHEKIT_TOKEN_BYTES_MAX + 5u)
void arili_cachekit_aad_write(const struct arili_cachekit_aad *aad, struct arili_writer *w);

/* --- Python's frame: "CK" 0x03, u32 length, JSON, payload. The JSON is authenticated by nothing
 * but what of it goes into the associated data. */

#define ARILI_CACHEKIT_HEADER_BYTES_MAX 16384u
struct arili_cachekit_frame {
    aril_bytes format;        /* "msgpack", "orjson" or "arrow" */
    aril_bytes original_type; /* empty: none */
    bool compressed;
    bool enveloped; /* what is encrypted is an envelope. Of arrow's files the flag compressed says
                       that they compress themselves, so that is for msgpack alone. */
    uint8_t fingerprint[ARILI_CACHEKIT_FINGERPRINT_BYTES]; /* of the key */
    aril_bytes payload;
};
/*
 * Parse the frame of an encrypted value. FORMAT_KIND: no frame, or one that says that it is not
 * encrypted; FORMAT_VERSION; FORMAT_TRUNCATED; FORMAT_LENGTH; FORMAT_FIELD: JSON that is not one
 * of strings, booleans, nulls and integers as Python writes it, members twice, another algorithm,
 * no fingerprint. On failure *ret is unchanged; its spans point into stored.
 */
ARIL_MUST_USE aril_status arili_cachekit_frame_parse(aril_bytes stored,
                                                     struct arili_cachekit_frame *ret);

/* --- ByteStorage envelope: [data, checksum of 8 integers, size, format] */

#define ARILI_CACHEKIT_CHECKSUM_BYTES 8u
struct arili_cachekit_envelope {
    aril_bytes data;   /* as it stands there */
    size_t data_bytes; /* what it decodes to; data.len unless it is an array of integers */
    bool is_array;
    uint8_t checksum[ARILI_CACHEKIT_CHECKSUM_BYTES];
    uint64_t original_bytes;
};
/* FORMAT (class). On failure *ret is unchanged. */
ARIL_MUST_USE aril_status arili_cachekit_envelope_parse(aril_bytes envelope,
                                                        struct arili_cachekit_envelope *ret);
/* data of an array of integers, to data_bytes bytes. */
void arili_cachekit_envelope_decode(const struct arili_cachekit_envelope *e, uint8_t *ret);
#endif
