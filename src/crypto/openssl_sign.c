/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl_internal.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <openssl/core_names.h>
#include <openssl/params.h>

/* FIPS 204 5.2: the context string. */
#define CONTEXT_BYTES_MAX 255u

/* FIPS 204 section 4. */
static const struct arili_key_type type_65 = {
    .name = "ML-DSA-65",
    .seed_bytes = ARILI_ML_DSA_SEED_BYTES,
    .public_bytes = 1952,
    .output_bytes = 3309,
    .use = ARILI_KEY_SIGN,
};
static const struct arili_key_type type_87 = {
    .name = "ML-DSA-87",
    .seed_bytes = ARILI_ML_DSA_SEED_BYTES,
    .public_bytes = 2592,
    .output_bytes = 4627,
    .use = ARILI_KEY_SIGN,
};

static const struct arili_key_type *type_of(int alg)
{
    return alg == 65 ? &type_65 : alg == 87 ? &type_87 : NULL;
}

aril_status arili_openssl_sign_import_seed(struct arili_provider *p, int alg, aril_bytes seed,
                                           struct arili_pkey **ret)
{
    const struct arili_key_type *const type = type_of(alg);
    ARILI_ENSURE(type != NULL, ARIL_E_USAGE_RANGE);
    return arili_openssl_import_seed(p, type, seed, ret);
}

aril_status arili_openssl_sign_import_public(struct arili_provider *p, int alg,
                                             aril_bytes public_key, struct arili_pkey **ret)
{
    const struct arili_key_type *const type = type_of(alg);
    ARILI_ENSURE(type != NULL, ARIL_E_USAGE_RANGE);
    return arili_openssl_import_public(p, type, public_key, ret);
}

static EVP_SIGNATURE *algorithm(const struct arili_pkey *key)
{
    return key->type == &type_65 ? key->provider->ml_dsa_65 : key->provider->ml_dsa_87;
}

static EVP_PKEY_CTX *op_new(const struct arili_pkey *key)
{
    return EVP_PKEY_CTX_new_from_pkey(key->provider->lib, key->evp, key->provider->properties);
}

aril_status arili_openssl_sign(const struct arili_pkey *key, aril_bytes context, aril_bytes message,
                               bool deterministic, uint8_t *ret_sig, size_t sig_len)
{
    ARILI_ENSURE(key->type->use == ARILI_KEY_SIGN && key->is_private, ARIL_E_USAGE_STATE);
    ARILI_ENSURE(sig_len == key->type->output_bytes, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(context.len <= CONTEXT_BYTES_MAX, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(arili_evp_pkey_ctx_freep) EVP_PKEY_CTX *ctx = op_new(key);
    ARILI_TRY(ARILI_OSSL(ctx != NULL, ARIL_E_CRYPTO));
    int fixed = deterministic ? 1 : 0;
    /* OSSL_PARAM has no const; OpenSSL only reads here. */
    const OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_CONTEXT_STRING,
                                                          (void *)arili_openssl_data(context),
                                                          context.len),
                                  OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_DETERMINISTIC, &fixed),
                                  OSSL_PARAM_END };
    ARILI_TRY(ARILI_OSSL(EVP_PKEY_sign_message_init(ctx, algorithm(key), params), ARIL_E_CRYPTO));
    const aril_status st =
        ARILI_OSSL(EVP_PKEY_sign(ctx, ret_sig, &sig_len, arili_openssl_data(message), message.len),
                   ARIL_E_CRYPTO);
    if (st != ARIL_OK) {
        arili_wipe(ret_sig, key->type->output_bytes);
    }
    return st;
}

aril_status arili_openssl_verify(const struct arili_pkey *key, aril_bytes context,
                                 aril_bytes message, aril_bytes sig)
{
    ARILI_ENSURE(key->type->use == ARILI_KEY_SIGN, ARIL_E_USAGE_STATE);
    ARILI_ENSURE(context.len <= CONTEXT_BYTES_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(sig.len == key->type->output_bytes, ARIL_E_AUTH);
    ARILI_DEFER(arili_evp_pkey_ctx_freep) EVP_PKEY_CTX *ctx = op_new(key);
    ARILI_TRY(ARILI_OSSL(ctx != NULL, ARIL_E_CRYPTO));
    /* OSSL_PARAM has no const; OpenSSL only reads here. */
    const OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_CONTEXT_STRING,
                                                          (void *)arili_openssl_data(context),
                                                          context.len),
                                  OSSL_PARAM_END };
    ARILI_TRY(ARILI_OSSL(EVP_PKEY_verify_message_init(ctx, algorithm(key), params), ARIL_E_CRYPTO));
    return ARILI_OSSL(
        EVP_PKEY_verify(ctx, sig.data, sig.len, arili_openssl_data(message), message.len),
        ARIL_E_AUTH);
}
