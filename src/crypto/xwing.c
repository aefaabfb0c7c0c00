/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/xwing.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"

/* draft-connolly-cfrg-xwing-kem 5.3: the label that ends the hash, "\.//^\". */
static const uint8_t label[6] = { 0x5c, 0x2e, 0x2f, 0x2f, 0x5e, 0x5c };

#define PUBLIC_M_BYTES ARILI_ML_KEM_768_PUBLIC_BYTES
#define CT_M_BYTES     ARILI_ML_KEM_768_CT_BYTES

struct arili_xwing_key {
    const struct arili_crypto *crypto;
    struct arili_pkey *ml_kem;
    struct arili_pkey *x25519;
    uint8_t public_x[ARILI_X25519_BYTES];
};

/* The two halves of a secret, before they are hashed together. */
struct halves {
    uint8_t m[ARILI_ML_KEM_SHARED_BYTES];
    uint8_t x[ARILI_X25519_BYTES];
};

static void halves_wipe(struct halves *h)
{
    arili_wipe(h, sizeof *h);
}

/* A key that is freed at the end of its scope, with the table that frees it. */
struct scoped_key {
    const struct arili_crypto *crypto;
    struct arili_pkey *key;
};

static void scoped_key_free(struct scoped_key *k)
{
    k->crypto->ops->pkey_free(k->key);
}

static void xwing_freep(struct arili_xwing_key **key)
{
    arili_xwing_free(*key);
}

/* 5.3, Combiner. */
static aril_status combine(const struct arili_crypto *c, const struct halves *h,
                           const uint8_t *ct_x, const uint8_t *public_x, uint8_t *ret_ss)
{
    const aril_bytes parts[] = { { h->m, sizeof h->m },
                                 { h->x, sizeof h->x },
                                 { ct_x, ARILI_X25519_BYTES },
                                 { public_x, ARILI_X25519_BYTES },
                                 { label, sizeof label } };
    return c->ops->hash(c->provider, ARILI_SHA3_256, parts, 5, ret_ss);
}

/* 5.2, expandDecapsulationKey: 96 bytes are d || z of ML-KEM and the scalar. */
static aril_status expand(struct arili_xwing_key *key, const uint8_t *seed, uint8_t *expanded)
{
    const struct arili_crypto *const c = key->crypto;
    const aril_bytes in = { seed, ARILI_XWING_SEED_BYTES };
    ARILI_TRY(
        c->ops->xof(c->provider, &in, 1, expanded, ARILI_ML_KEM_SEED_BYTES + ARILI_X25519_BYTES));
    ARILI_TRY(c->ops->kem_import_seed(c->provider, ARILI_KEM_ML_KEM_768,
                                      (aril_bytes){ expanded, ARILI_ML_KEM_SEED_BYTES },
                                      &key->ml_kem));
    return c->ops->kem_import_seed(
        c->provider, ARILI_KEM_X25519,
        (aril_bytes){ expanded + ARILI_ML_KEM_SEED_BYTES, ARILI_X25519_BYTES }, &key->x25519);
}

aril_status arili_xwing_import(const struct arili_crypto *c,
                               const uint8_t seed[ARILI_XWING_SEED_BYTES],
                               uint8_t ret_public[ARILI_XWING_PUBLIC_BYTES],
                               struct arili_xwing_key **ret)
{
    ARILI_DEFER(xwing_freep) struct arili_xwing_key *key = arili_alloc(sizeof *key);
    ARILI_ENSURE(key != NULL, ARIL_E_NOMEM);
    key->crypto = c;
    uint8_t expanded[ARILI_ML_KEM_SEED_BYTES + ARILI_X25519_BYTES];
    const aril_status st = expand(key, seed, expanded);
    arili_wipe(expanded, sizeof expanded);
    ARILI_TRY(st);

    uint8_t public_m[PUBLIC_M_BYTES];
    size_t len = 0;
    ARILI_TRY(c->ops->pkey_public(key->ml_kem, public_m, sizeof public_m, &len));
    ARILI_TRY(c->ops->pkey_public(key->x25519, key->public_x, sizeof key->public_x, &len));
    memcpy(ret_public, public_m, sizeof public_m);
    memcpy(ret_public + sizeof public_m, key->public_x, sizeof key->public_x);
    *ret = ARILI_TAKE(key);
    return ARIL_OK;
}

void arili_xwing_free(struct arili_xwing_key *key)
{
    if (key != NULL) {
        key->crypto->ops->pkey_free(key->ml_kem);
        key->crypto->ops->pkey_free(key->x25519);
        arili_free(key, sizeof *key);
    }
}

static aril_status encaps_ml_kem(const struct arili_crypto *c, aril_bytes public_key,
                                 const uint8_t *rand, uint8_t *ret_ct, uint8_t *ret_ss)
{
    ARILI_DEFER(scoped_key_free) struct scoped_key peer = { c, NULL };
    ARILI_TRY(c->ops->kem_import_public(c->provider, ARILI_KEM_ML_KEM_768,
                                        (aril_bytes){ public_key.data, PUBLIC_M_BYTES },
                                        &peer.key));
    return c->ops->kem_encaps(peer.key, rand, ret_ct, CT_M_BYTES, ret_ss);
}

static aril_status encaps_x25519(const struct arili_crypto *c, aril_bytes public_key,
                                 const uint8_t *scalar, uint8_t *ret_ct, uint8_t *ret_ss)
{
    ARILI_DEFER(scoped_key_free) struct scoped_key ephemeral = { c, NULL };
    ARILI_DEFER(scoped_key_free) struct scoped_key peer = { c, NULL };
    size_t len = 0;
    ARILI_TRY(c->ops->kem_import_seed(c->provider, ARILI_KEM_X25519,
                                      (aril_bytes){ scalar, ARILI_X25519_BYTES }, &ephemeral.key));
    ARILI_TRY(c->ops->kem_import_public(
        c->provider, ARILI_KEM_X25519,
        (aril_bytes){ public_key.data + PUBLIC_M_BYTES, ARILI_X25519_BYTES }, &peer.key));
    ARILI_TRY(c->ops->pkey_public(ephemeral.key, ret_ct, ARILI_X25519_BYTES, &len));
    return c->ops->x25519(ephemeral.key, peer.key, ret_ss);
}

struct scalar {
    uint8_t bytes[ARILI_X25519_BYTES];
};

static void scalar_wipe(struct scalar *s)
{
    arili_wipe(s, sizeof *s);
}

/* 5.4, Encapsulate. */
aril_status arili_xwing_encaps(const struct arili_crypto *c, aril_bytes public_key,
                               const uint8_t *rand, uint8_t ret_ct[ARILI_XWING_CT_BYTES],
                               uint8_t ret_ss[ARILI_XWING_SHARED_BYTES])
{
    ARILI_ENSURE(public_key.len == ARILI_XWING_PUBLIC_BYTES, ARIL_E_FORMAT_LENGTH);
    ARILI_DEFER(scalar_wipe) struct scalar scalar;
    if (rand != NULL) {
        memcpy(scalar.bytes, rand + ARILI_ML_KEM_ENCAPS_RAND_BYTES, sizeof scalar.bytes);
    } else {
        ARILI_TRY(c->ops->random(c->provider, scalar.bytes, sizeof scalar.bytes));
    }
    ARILI_DEFER(halves_wipe) struct halves h;
    uint8_t ct[ARILI_XWING_CT_BYTES];
    ARILI_TRY(encaps_ml_kem(c, public_key, rand, ct, h.m));
    ARILI_TRY(encaps_x25519(c, public_key, scalar.bytes, ct + CT_M_BYTES, h.x));
    ARILI_TRY(combine(c, &h, ct + CT_M_BYTES, public_key.data + PUBLIC_M_BYTES, ret_ss));
    memcpy(ret_ct, ct, sizeof ct);
    return ARIL_OK;
}

/* 5.5, Decapsulate. The draft lets a point of low order pass; here it is an error, as
 * RFC 9180 7.1.4 wants it. */
aril_status arili_xwing_decaps(const struct arili_xwing_key *key, aril_bytes ct,
                               uint8_t ret_ss[ARILI_XWING_SHARED_BYTES])
{
    const struct arili_crypto *const c = key->crypto;
    ARILI_ENSURE(ct.len == ARILI_XWING_CT_BYTES, ARIL_E_FORMAT_LENGTH);
    const uint8_t *const ct_x = ct.data + CT_M_BYTES;
    ARILI_DEFER(halves_wipe) struct halves h;
    ARILI_DEFER(scoped_key_free) struct scoped_key peer = { c, NULL };
    ARILI_TRY(c->ops->kem_decaps(key->ml_kem, (aril_bytes){ ct.data, CT_M_BYTES }, h.m));
    ARILI_TRY(c->ops->kem_import_public(c->provider, ARILI_KEM_X25519,
                                        (aril_bytes){ ct_x, ARILI_X25519_BYTES }, &peer.key));
    ARILI_TRY(c->ops->x25519(key->x25519, peer.key, h.x));
    return combine(c, &h, ct_x, key->public_x, ret_ss);
}
