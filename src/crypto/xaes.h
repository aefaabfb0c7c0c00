/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_XAES_H
#define ARILI_CRYPTO_XAES_H
#include "crypto/crypto.h"

/* XAES-256-GCM (C2SP, version 1): 192-bit random nonces for writers that cannot
 * coordinate. Derives the key and nonce of one AES-256-GCM message. */
#define ARILI_XAES_NONCE_BYTES 24u

struct arili_xaes {
    const struct arili_crypto *crypto;
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    uint8_t k1[16];
};
/* Once per key; end with _done, which wipes. */
ARIL_MUST_USE aril_status arili_xaes_init(const struct arili_crypto *c,
                                          const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                          struct arili_xaes *ret);
void arili_xaes_done(struct arili_xaes *x);
/* Key and nonce of the message: ctx is keyed with the former, ret_nonce is the latter. ctx also has
 * x's key then, until it is wiped. */
ARIL_MUST_USE aril_status arili_xaes_message(const struct arili_xaes *x,
                                             const uint8_t nonce[ARILI_XAES_NONCE_BYTES],
                                             struct arili_aead_ctx *ctx,
                                             uint8_t ret_nonce[ARILI_AEAD_NONCE_BYTES]);
/* The same, faster, where x's was the last message of ctx and it was not wiped since. Whoever calls
 * it knows: another key would be taken for this one. USAGE_STATE: ctx has none. */
ARIL_MUST_USE aril_status arili_xaes_next(const struct arili_xaes *x,
                                          const uint8_t nonce[ARILI_XAES_NONCE_BYTES],
                                          struct arili_aead_ctx *ctx,
                                          uint8_t ret_nonce[ARILI_AEAD_NONCE_BYTES]);
#endif
