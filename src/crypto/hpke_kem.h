/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_HPKE_KEM_H
#define ARILI_CRYPTO_HPKE_KEM_H
#include "crypto/hpke.h"

/* Inside of crypto/hpke*.c: the KEMs behind one table, and the labeled functions of
 * RFC 9180 section 4. */

struct arili_xwing_key;

struct arili_hpke_key {
    const struct arili_crypto *crypto;
    enum arili_hpke_kem kem;
    struct arili_pkey *pkey;       /* all but X-Wing */
    struct arili_xwing_key *xwing; /* X-Wing */
    uint8_t public_key[ARILI_HPKE_PUBLIC_BYTES_MAX];
};

struct arili_hpke_kem_ops {
    enum arili_hpke_kem id;
    size_t seed_bytes;
    size_t public_bytes;
    size_t enc_bytes;
    size_t enc_rand_bytes; /* randomness of Encap in known-answer tests */
    /* seed has seed_bytes; fills pkey or xwing, and public_key. */
    ARIL_MUST_USE aril_status (*import)(struct arili_hpke_key *key, const uint8_t *seed);
    /* ret_seed has seed_bytes. */
    ARIL_MUST_USE aril_status (*derive)(const struct arili_crypto *c, enum arili_hpke_kem id,
                                        aril_bytes ikm, uint8_t *ret_seed);
    /* recipient has public_bytes, ret_enc enc_bytes; rand NULL or enc_rand_bytes. */
    ARIL_MUST_USE aril_status (*encap)(const struct arili_crypto *c, enum arili_hpke_kem id,
                                       aril_bytes recipient, const uint8_t *rand, uint8_t *ret_enc,
                                       uint8_t *ret_ss);
    ARIL_MUST_USE aril_status (*decap)(const struct arili_hpke_key *key, aril_bytes enc,
                                       uint8_t *ret_ss);
};

/* NULL for an unknown one. */
const struct arili_hpke_kem_ops *arili_hpke_kem(enum arili_hpke_kem kem);

/* suite_id of RFC 9180: at most "HPKE" and three numbers. */
struct arili_hpke_labels {
    const struct arili_crypto *crypto;
    enum arili_hash hash;
    aril_bytes suite_id;
};
ARIL_MUST_USE aril_status arili_hpke_labeled_extract(const struct arili_hpke_labels *l,
                                                     aril_bytes salt, aril_bytes label,
                                                     aril_bytes ikm, uint8_t *ret_prk);
ARIL_MUST_USE aril_status arili_hpke_labeled_expand(const struct arili_hpke_labels *l,
                                                    const uint8_t *prk, aril_bytes label,
                                                    aril_bytes info, uint8_t *ret, size_t len);
#endif
