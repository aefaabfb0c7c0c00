/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_DID_H
#define ARILI_FORMAT_DID_H
#include <aril/identity.h>

#define ARILI_DID_HASH_BYTES 32u

/*
 * What a DID says:
 *   did:pqaid:<64 lower-case hex digits>   the SHA3-256 of a public key
 *   did:key:z<base58btc>                   multicodec 0x1211 (ML-DSA-65) or 0x1212
 *                                          (ML-DSA-87) as varint, and the public key
 * No fragment, query or path; one text for each key and method.
 */
struct arili_did {
    aril_did_method method;
    int alg;    /* 65 or 87; 0 for did:pqaid, which does not tell */
    size_t len; /* of id: ARILI_DID_HASH_BYTES, or the size of the public key */
    uint8_t id[ARIL_SIGN_PUBLIC_BYTES_MAX];
};

/* Parse an untrusted string. At most ARIL_DID_BYTES_MAX characters are looked at.
 * FORMAT_KIND: another method, or a key of another algorithm; FORMAT_LENGTH,
 * FORMAT_FIELD. On failure *ret is unchanged. */
ARIL_MUST_USE aril_status arili_did_parse(const char *did, struct arili_did *ret);
/* Write with a final NUL, which *ret_len excludes. USAGE_TOO_SMALL; USAGE_RANGE when
 * method, alg and len do not fit one another. */
ARIL_MUST_USE aril_status arili_did_write(const struct arili_did *did, char *ret, size_t cap,
                                          size_t *ret_len);
#endif
