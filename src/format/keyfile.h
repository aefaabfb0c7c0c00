/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_FORMAT_KEYFILE_H
#define ARILI_FORMAT_KEYFILE_H
#include "format/pem.h"
#include <aril/base.h>

/*
 * Keys of ML-DSA-65 and -87 in DER: private as PKCS#8 (RFC 5958, RFC 9881 section 6),
 * public as SubjectPublicKeyInfo (RFC 9881 section 4). Each content has one encoding;
 * lengths that are not minimal, attributes, algorithm parameters and trailing bytes
 * are refused.
 */
#define ARILI_KEYFILE_SEED_BYTES 32u
/* PKCS#8 with the seed alone: what we write. */
#define ARILI_KEYFILE_SEED_DER_BYTES 54u
/* PKCS#8 with seed and expanded key of ML-DSA-87: the longest that is read. */
#define ARILI_KEYFILE_DER_BYTES_MAX  4962u
#define ARILI_KEYFILE_SPKI_BYTES_MAX 2614u

#define ARILI_KEYFILE_LABEL_PRIVATE "PRIVATE KEY"
#define ARILI_KEYFILE_LABEL_PUBLIC  "PUBLIC KEY"
#define ARILI_KEYFILE_SEED_PEM_BYTES \
    ARILI_PEM_BYTES(sizeof ARILI_KEYFILE_LABEL_PRIVATE - 1, (size_t)ARILI_KEYFILE_SEED_DER_BYTES)
/* Twice the line ends, for CRLF: every text below fits 7000 bytes. */
#define ARILI_KEYFILE_PEM_BYTES_MAX 7000u

/* Size of FIPS 204 table 2; 0 for an algorithm that is not 65 or 87. */
size_t arili_keyfile_public_bytes(int alg);

/* A private key; the spans point into the parsed bytes. */
struct arili_keyfile {
    int alg;             /* 65 or 87 */
    aril_bytes seed;     /* ARILI_KEYFILE_SEED_BYTES */
    aril_bytes expanded; /* empty in the seed-only form; else to be checked against the seed */
};

/* Parse untrusted PKCS#8. FORMAT_KIND: another algorithm, or an expanded key without
 * its seed; FORMAT_VERSION: not version 0; FORMAT_TRUNCATED, FORMAT_LENGTH,
 * FORMAT_FIELD. On failure *ret is unchanged. */
ARIL_MUST_USE aril_status arili_pkcs8_parse(aril_bytes der, struct arili_keyfile *ret);
/* The seed-only form. alg must be 65 or 87. */
void arili_pkcs8_write(int alg, const uint8_t seed[ARILI_KEYFILE_SEED_BYTES],
                       uint8_t ret[ARILI_KEYFILE_SEED_DER_BYTES]);

/* Parse an untrusted SubjectPublicKeyInfo; the key points into der. Statuses as above. */
ARIL_MUST_USE aril_status arili_spki_parse(aril_bytes der, int *ret_alg, aril_bytes *ret_public);
/* USAGE_RANGE when alg and length do not fit one another, USAGE_TOO_SMALL. */
ARIL_MUST_USE aril_status arili_spki_write(int alg, aril_bytes public_key, uint8_t *ret, size_t cap,
                                           size_t *ret_len);
#endif
