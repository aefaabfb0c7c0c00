/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_XWING_H
#define ARILI_CRYPTO_XWING_H
#include "crypto/crypto.h"

/* X-Wing (draft-connolly-cfrg-xwing-kem): ML-KEM-768 and X25519. Not OpenSSL's
 * X25519MLKEM768, which has the same lengths and another secret. */
#define ARILI_XWING_SEED_BYTES        32u
#define ARILI_XWING_PUBLIC_BYTES      1216u
#define ARILI_XWING_CT_BYTES          1120u
#define ARILI_XWING_SHARED_BYTES      32u
#define ARILI_XWING_ENCAPS_RAND_BYTES 64u

struct arili_xwing_key; /* expanded private key */
ARIL_MUST_USE aril_status arili_xwing_import(const struct arili_crypto *c,
                                             const uint8_t seed[ARILI_XWING_SEED_BYTES],
                                             uint8_t ret_public[ARILI_XWING_PUBLIC_BYTES],
                                             struct arili_xwing_key **ret);
void arili_xwing_free(struct arili_xwing_key *key);
/* rand: NULL, or 64 bytes for known-answer tests. */
ARIL_MUST_USE aril_status arili_xwing_encaps(const struct arili_crypto *c, aril_bytes public_key,
                                             const uint8_t *rand,
                                             uint8_t ret_ct[ARILI_XWING_CT_BYTES],
                                             uint8_t ret_ss[ARILI_XWING_SHARED_BYTES]);
ARIL_MUST_USE aril_status arili_xwing_decaps(const struct arili_xwing_key *key, aril_bytes ct,
                                             uint8_t ret_ss[ARILI_XWING_SHARED_BYTES]);
#endif
