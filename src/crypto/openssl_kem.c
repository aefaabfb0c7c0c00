/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl_internal.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <openssl/core_names.h>
#include <openssl/params.h>

/* FIPS 203 section 8, RFC 7748. */
static const struct arili_key_type type_x25519 = {
    .name = "X25519",
    .seed_bytes = ARILI_X25519_BYTES,
    .public_bytes = ARILI_X25519_BYTES,
    .use = ARILI_KEY_DH,
};
static const struct arili_key_type type_ml_kem_768 = {
    .name = "ML-KEM-768",
    .seed_bytes = ARILI_ML_KEM_SEED_BYTES,
    .public_bytes = ARILI_ML_KEM_768_PUBLIC_BYTES,
    .output_bytes = ARILI_ML_KEM_768_CT_BYTES,
    .use = ARILI_KEY_KEM,
};
static const struct arili_key_type type_ml_kem_1024 = {
    .name = "ML-KEM-1024",
    .seed_bytes = ARILI_ML_KEM_SEED_BYTES,
    .public_bytes = ARILI_ML_KEM_1024_PUBLIC_BYTES,
    .output_bytes = ARILI_ML_KEM_1024_CT_BYTES,
    .use = ARILI_KEY_KEM,
};

static const struct arili_key_type *type_of(enum arili_kem alg)
{
    switch (alg) {
    case ARILI_KEM_X25519:
        return &type_x25519;
    case ARILI_KEM_ML_KEM_768:
        return &type_ml_kem_768;
    case ARILI_KEM_ML_KEM_1024:
        return &type_ml_kem_1024;
    }
    return NULL;
}

aril_status arili_openssl_kem_import_seed(struct arili_provider *p, enum arili_kem alg,
                                          aril_bytes seed, struct arili_pkey **ret)
{
    const struct arili_key_type *const type = type_of(alg);
    ARILI_ENSURE(type != NULL, ARIL_E_USAGE_RANGE);
    return arili_openssl_import_seed(p, type, seed, ret);
}

aril_status arili_openssl_kem_import_public(struct arili_provider *p, enum arili_kem alg,
                                            aril_bytes public_key, struct arili_pkey **ret)
{
    const struct arili_key_type *const type = type_of(alg);
    ARILI_ENSURE(type != NULL, ARIL_E_USAGE_RANGE);
    return arili_openssl_import_public(p, type, public_key, ret);
}

static EVP_PKEY_CTX *op_new(const struct arili_pkey *key)
{
    return EVP_PKEY_CTX_new_from_pkey(key->provider->lib, key->evp, key->provider->properties);
}

aril_status arili_openssl_kem_encaps(const struct arili_pkey *key, const uint8_t *rand,
                                     uint8_t *ret_ct, size_t ct_len,
                                     uint8_t ret_ss[ARILI_ML_KEM_SHARED_BYTES])
{
    ARILI_ENSURE(key->type->use == ARILI_KEY_KEM, ARIL_E_USAGE_STATE);
    ARILI_ENSURE(ct_len == key->type->output_bytes, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(arili_evp_pkey_ctx_freep) EVP_PKEY_CTX *ctx = op_new(key);
    ARILI_TRY(ARILI_OSSL(ctx != NULL, ARIL_E_CRYPTO));
    /* OSSL_PARAM has no const; OpenSSL only reads here. */
    const OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_KEM_PARAM_IKME, (void *)rand,
                                                          ARILI_ML_KEM_ENCAPS_RAND_BYTES),
                                  OSSL_PARAM_END };
    ARILI_TRY(
        ARILI_OSSL(EVP_PKEY_encapsulate_init(ctx, rand != NULL ? params : NULL), ARIL_E_CRYPTO));
    size_t ss_len = ARILI_ML_KEM_SHARED_BYTES;
    const aril_status st =
        ARILI_OSSL(EVP_PKEY_encapsulate(ctx, ret_ct, &ct_len, ret_ss, &ss_len), ARIL_E_CRYPTO);
    if (st != ARIL_OK) {
        arili_wipe(ret_ct, key->type->output_bytes);
        arili_wipe(ret_ss, ARILI_ML_KEM_SHARED_BYTES);
    }
    return st;
}

aril_status arili_openssl_kem_decaps(const struct arili_pkey *key, aril_bytes ct,
                                     uint8_t ret_ss[ARILI_ML_KEM_SHARED_BYTES])
{
    ARILI_ENSURE(key->type->use == ARILI_KEY_KEM && key->is_private, ARIL_E_USAGE_STATE);
    ARILI_ENSURE(ct.len == key->type->output_bytes, ARIL_E_FORMAT_LENGTH);
    ARILI_DEFER(arili_evp_pkey_ctx_freep) EVP_PKEY_CTX *ctx = op_new(key);
    ARILI_TRY(ARILI_OSSL(ctx != NULL, ARIL_E_CRYPTO));
    ARILI_TRY(ARILI_OSSL(EVP_PKEY_decapsulate_init(ctx, NULL), ARIL_E_CRYPTO));
    size_t ss_len = ARILI_ML_KEM_SHARED_BYTES;
    const aril_status st =
        ARILI_OSSL(EVP_PKEY_decapsulate(ctx, ret_ss, &ss_len, ct.data, ct.len), ARIL_E_CRYPTO);
    if (st != ARIL_OK) {
        arili_wipe(ret_ss, ARILI_ML_KEM_SHARED_BYTES);
    }
    return st;
}

aril_status arili_openssl_x25519(const struct arili_pkey *key, const struct arili_pkey *peer,
                                 uint8_t ret_ss[ARILI_X25519_BYTES])
{
    static const uint8_t zeros[ARILI_X25519_BYTES] = { 0 };
    size_t len = ARILI_X25519_BYTES;

    ARILI_ENSURE(key->type->use == ARILI_KEY_DH && key->is_private, ARIL_E_USAGE_STATE);
    ARILI_ENSURE(peer->type->use == ARILI_KEY_DH, ARIL_E_USAGE_STATE);
    ARILI_DEFER(arili_evp_pkey_ctx_freep) EVP_PKEY_CTX *ctx = op_new(key);
    ARILI_TRY(ARILI_OSSL(ctx != NULL, ARIL_E_CRYPTO));
    ARILI_TRY(ARILI_OSSL(EVP_PKEY_derive_init(ctx), ARIL_E_CRYPTO));
    /* Every 32 bytes are a point of X25519; what has to be checked is the result. */
    ARILI_TRY(ARILI_OSSL(EVP_PKEY_derive_set_peer_ex(ctx, peer->evp, 0), ARIL_E_CRYPTO));
    aril_status st = ARILI_OSSL(EVP_PKEY_derive(ctx, ret_ss, &len), ARIL_E_FORMAT_FIELD);
    if (st == ARIL_OK && arili_equal_ct(ret_ss, zeros, sizeof zeros)) {
        st = arili_fail(ARIL_E_FORMAT_FIELD);
    }
    if (st != ARIL_OK) {
        arili_wipe(ret_ss, ARILI_X25519_BYTES);
    }
    return st;
}
