/* SPDX-License-Identifier: Apache-2.0 */
#include "predictable.h"

static const struct arili_crypto_ops *inner_ops;
static struct arili_crypto_ops ops;
static uint64_t stream;
static struct predictable_counts counts;

static void next_bytes(uint8_t *ret, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        stream += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64, a byte a step */
        uint64_t x = stream;
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        ret[i] = (uint8_t)(x >> 56);
    }
}

static aril_status predictable_random(struct arili_provider *p, uint8_t *ret, size_t len)
{
    (void)p;
    next_bytes(ret, len);
    return ARIL_OK;
}

static aril_status predictable_encaps(const struct arili_pkey *key, const uint8_t *rand,
                                      uint8_t *ret_ct, size_t ct_len,
                                      uint8_t ret_ss[ARILI_ML_KEM_SHARED_BYTES])
{
    uint8_t m[ARILI_ML_KEM_ENCAPS_RAND_BYTES];
    next_bytes(m, sizeof m);
    counts.encaps++;
    return inner_ops->kem_encaps(key, rand != NULL ? rand : m, ret_ct, ct_len, ret_ss);
}

static aril_status counted_decaps(const struct arili_pkey *key, aril_bytes ct,
                                  uint8_t ret_ss[ARILI_ML_KEM_SHARED_BYTES])
{
    counts.decaps++;
    return inner_ops->kem_decaps(key, ct, ret_ss);
}

static aril_status deterministic_sign(const struct arili_pkey *key, aril_bytes context,
                                      aril_bytes message, bool deterministic, uint8_t *ret_sig,
                                      size_t sig_len)
{
    (void)deterministic;
    counts.signatures++;
    return inner_ops->sign(key, context, message, true, ret_sig, sig_len);
}

void predictable_crypto(const struct arili_crypto *inner, struct arili_crypto *ret)
{
    inner_ops = inner->ops;
    ops = *inner->ops;
    ops.random = predictable_random;
    ops.kem_encaps = predictable_encaps;
    ops.kem_decaps = counted_decaps;
    ops.sign = deterministic_sign;
    *ret = (struct arili_crypto){ .ops = &ops, .provider = inner->provider };
}

void predictable_seed(uint64_t seed)
{
    stream = seed;
}

struct predictable_counts predictable_counts(void)
{
    return counts;
}
