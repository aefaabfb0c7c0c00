/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hpke_kem.h"
#include "crypto/xwing.h"
#include "base/ensure.h"
#include "base/mem.h"

struct seed {
    uint8_t bytes[ARILI_HPKE_SEED_BYTES_MAX];
};

static void seed_wipe(struct seed *s)
{
    arili_wipe(s, sizeof *s);
}

size_t arili_hpke_seed_bytes(enum arili_hpke_kem kem)
{
    const struct arili_hpke_kem_ops *const ops = arili_hpke_kem(kem);
    return ops != NULL ? ops->seed_bytes : 0;
}

size_t arili_hpke_public_bytes(enum arili_hpke_kem kem)
{
    const struct arili_hpke_kem_ops *const ops = arili_hpke_kem(kem);
    return ops != NULL ? ops->public_bytes : 0;
}

size_t arili_hpke_enc_bytes(enum arili_hpke_kem kem)
{
    const struct arili_hpke_kem_ops *const ops = arili_hpke_kem(kem);
    return ops != NULL ? ops->enc_bytes : 0;
}

aril_status arili_hpke_key_import(const struct arili_crypto *c, enum arili_hpke_kem kem,
                                  aril_bytes seed, struct arili_hpke_key **ret)
{
    const struct arili_hpke_kem_ops *const ops = arili_hpke_kem(kem);
    ARILI_ENSURE(ops != NULL, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(seed.len == ops->seed_bytes, ARIL_E_FORMAT_LENGTH);
    ARILI_DEFER(arili_hpke_key_freep) struct arili_hpke_key *key = arili_alloc(sizeof *key);
    ARILI_ENSURE(key != NULL, ARIL_E_NOMEM);
    key->crypto = c;
    key->kem = kem;
    ARILI_TRY(ops->import(key, seed.data));
    *ret = ARILI_TAKE(key);
    return ARIL_OK;
}

aril_status arili_hpke_key_generate(const struct arili_crypto *c, enum arili_hpke_kem kem,
                                    struct arili_hpke_key **ret)
{
    const size_t len = arili_hpke_seed_bytes(kem);
    ARILI_ENSURE(len > 0, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(seed_wipe) struct seed seed;
    ARILI_TRY(c->ops->random(c->provider, seed.bytes, len));
    return arili_hpke_key_import(c, kem, (aril_bytes){ seed.bytes, len }, ret);
}

aril_status arili_hpke_key_derive(const struct arili_crypto *c, enum arili_hpke_kem kem,
                                  aril_bytes ikm, struct arili_hpke_key **ret)
{
    const struct arili_hpke_kem_ops *const ops = arili_hpke_kem(kem);
    ARILI_ENSURE(ops != NULL, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(ikm.len >= ops->seed_bytes, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(seed_wipe) struct seed seed;
    ARILI_TRY(ops->derive(c, kem, ikm, seed.bytes));
    return arili_hpke_key_import(c, kem, (aril_bytes){ seed.bytes, ops->seed_bytes }, ret);
}

aril_bytes arili_hpke_key_public(const struct arili_hpke_key *key)
{
    return (aril_bytes){ key->public_key, arili_hpke_public_bytes(key->kem) };
}

void arili_hpke_key_free(struct arili_hpke_key *key)
{
    if (key != NULL) {
        key->crypto->ops->pkey_free(key->pkey);
        arili_xwing_free(key->xwing);
        arili_free(key, sizeof *key);
    }
}

void arili_hpke_key_freep(struct arili_hpke_key **key)
{
    arili_hpke_key_free(*key);
}
