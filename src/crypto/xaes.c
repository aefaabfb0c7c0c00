/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/xaes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <string.h>

#define BLOCK_BYTES 16u

aril_status arili_xaes_init(const struct arili_crypto *c, const uint8_t key[ARILI_AEAD_KEY_BYTES],
                            struct arili_xaes *ret)
{
    static const uint8_t zeros[BLOCK_BYTES] = { 0 };
    uint8_t l[BLOCK_BYTES];
    ARILI_TRY(c->ops->aes_blocks(c->provider, key, zeros, 1, l));

    /* K1 is L times x in GF(2^128), without a branch on the secret top bit. */
    const uint8_t top = l[0] >> 7;
    ret->crypto = c;
    memcpy(ret->key, key, sizeof ret->key);
    for (size_t i = 0; i < BLOCK_BYTES; i++) {
        const uint8_t carry = i + 1 < BLOCK_BYTES ? l[i + 1] >> 7 : 0;
        ret->k1[i] = (uint8_t)(l[i] << 1 | carry);
    }
    ret->k1[BLOCK_BYTES - 1] ^= (uint8_t)(0x87u & (0u - top));
    arili_wipe(l, sizeof l);
    return ARIL_OK;
}

void arili_xaes_done(struct arili_xaes *x)
{
    arili_wipe(x, sizeof *x);
}

/* key: that of x, or NULL when ctx has it. */
static aril_status derive(const struct arili_xaes *x, const uint8_t *key, const uint8_t *nonce,
                          struct arili_aead_ctx *ctx, uint8_t *ret_key)
{
    uint8_t m[2 * BLOCK_BYTES];
    for (uint8_t i = 0; i < 2; i++) {
        /* A 16-bit counter, the label "X", a zero, 12 bytes of nonce. */
        uint8_t *const block = m + i * BLOCK_BYTES;
        const uint8_t head[4] = { 0, (uint8_t)(i + 1), 'X', 0 };
        memcpy(block, head, sizeof head);
        memcpy(block + sizeof head, nonce, BLOCK_BYTES - sizeof head);
        for (size_t k = 0; k < BLOCK_BYTES; k++) {
            block[k] ^= x->k1[k];
        }
    }
    const aril_status st = x->crypto->ops->aead_blocks(ctx, key, m, 2, ret_key);
    arili_wipe(m, sizeof m);
    return st;
}

static aril_status message(const struct arili_xaes *x, const uint8_t *key, const uint8_t *nonce,
                           struct arili_aead_ctx *ctx, uint8_t *ret_nonce)
{
    uint8_t derived[ARILI_AEAD_KEY_BYTES];
    aril_status st = derive(x, key, nonce, ctx, derived);
    if (st == ARIL_OK) {
        st = x->crypto->ops->aead_key(ctx, derived);
    }
    arili_wipe(derived, sizeof derived);
    ARILI_TRY(st);
    memcpy(ret_nonce, nonce + ARILI_XAES_NONCE_BYTES - ARILI_AEAD_NONCE_BYTES,
           ARILI_AEAD_NONCE_BYTES);
    return ARIL_OK;
}

aril_status arili_xaes_message(const struct arili_xaes *x,
                               const uint8_t nonce[ARILI_XAES_NONCE_BYTES],
                               struct arili_aead_ctx *ctx,
                               uint8_t ret_nonce[ARILI_AEAD_NONCE_BYTES])
{
    return message(x, x->key, nonce, ctx, ret_nonce);
}

aril_status arili_xaes_next(const struct arili_xaes *x, const uint8_t nonce[ARILI_XAES_NONCE_BYTES],
                            struct arili_aead_ctx *ctx, uint8_t ret_nonce[ARILI_AEAD_NONCE_BYTES])
{
    return message(x, NULL, nonce, ctx, ret_nonce);
}
