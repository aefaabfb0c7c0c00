/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl_internal.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <openssl/core_names.h>
#include <openssl/params.h>

/* What KEM and signature keys have in common: import, public bytes, free. */

static void pkey_freep(struct arili_pkey **key)
{
    arili_openssl_pkey_free(*key);
}

static aril_status pkey_new(struct arili_provider *p, const struct arili_key_type *type,
                            bool is_private, struct arili_pkey **ret)
{
    struct arili_pkey *const key = arili_alloc(sizeof *key);
    ARILI_ENSURE(key != NULL, ARIL_E_NOMEM);
    *key = (struct arili_pkey){ .provider = p, .type = type, .is_private = is_private };
    *ret = key;
    return ARIL_OK;
}

/* ML-KEM and ML-DSA: raw import knows only the expanded form of private keys. Key
 * generation takes the seed as well as import by parameters does, which for ML-KEM
 * adds an encapsulation and a decapsulation to check what a seed cannot get wrong. */
static aril_status evp_from_seed(struct arili_provider *p, const char *name, aril_bytes seed,
                                 EVP_PKEY **ret)
{
    ARILI_DEFER(arili_evp_pkey_ctx_freep)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(p->lib, name, p->properties);
    ARILI_TRY(ARILI_OSSL(ctx != NULL, ARIL_E_CRYPTO));
    ARILI_TRY(ARILI_OSSL(EVP_PKEY_keygen_init(ctx), ARIL_E_CRYPTO));
    /* OSSL_PARAM has no const; OpenSSL only reads here. ML-DSA has the same name. */
    const OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ML_KEM_SEED,
                                                          (void *)seed.data, seed.len),
                                  OSSL_PARAM_END };
    ARILI_TRY(ARILI_OSSL(EVP_PKEY_CTX_set_params(ctx, params), ARIL_E_CRYPTO));
    return ARILI_OSSL(EVP_PKEY_generate(ctx, ret), ARIL_E_CRYPTO);
}

aril_status arili_openssl_import_seed(struct arili_provider *p, const struct arili_key_type *type,
                                      aril_bytes seed, struct arili_pkey **ret)
{
    ARILI_ENSURE(seed.len == type->seed_bytes, ARIL_E_FORMAT_LENGTH);
    ARILI_DEFER(pkey_freep) struct arili_pkey *key = NULL;
    ARILI_TRY(pkey_new(p, type, true, &key));
    if (type->use == ARILI_KEY_DH) {
        key->evp =
            EVP_PKEY_new_raw_private_key_ex(p->lib, type->name, p->properties, seed.data, seed.len);
        ARILI_TRY(ARILI_OSSL(key->evp != NULL, ARIL_E_FORMAT_FIELD));
    } else {
        ARILI_TRY(evp_from_seed(p, type->name, seed, &key->evp));
    }
    *ret = ARILI_TAKE(key);
    return ARIL_OK;
}

aril_status arili_openssl_import_public(struct arili_provider *p, const struct arili_key_type *type,
                                        aril_bytes public_key, struct arili_pkey **ret)
{
    ARILI_ENSURE(public_key.len == type->public_bytes, ARIL_E_FORMAT_LENGTH);
    ARILI_DEFER(pkey_freep) struct arili_pkey *key = NULL;
    ARILI_TRY(pkey_new(p, type, false, &key));
    key->evp = EVP_PKEY_new_raw_public_key_ex(p->lib, type->name, p->properties, public_key.data,
                                              public_key.len);
    ARILI_TRY(ARILI_OSSL(key->evp != NULL, ARIL_E_FORMAT_FIELD));
    *ret = ARILI_TAKE(key);
    return ARIL_OK;
}

aril_status arili_openssl_pkey_public(const struct arili_pkey *key, uint8_t *ret, size_t cap,
                                      size_t *ret_len)
{
    size_t len = key->type->public_bytes;
    ARILI_ENSURE(cap >= len, ARIL_E_USAGE_TOO_SMALL);
    ARILI_TRY(ARILI_OSSL(EVP_PKEY_get_raw_public_key(key->evp, ret, &len), ARIL_E_CRYPTO));
    ARILI_ENSURE(len == key->type->public_bytes, ARIL_E_CRYPTO);
    *ret_len = len;
    return ARIL_OK;
}

void arili_openssl_pkey_free(struct arili_pkey *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->evp); /* wipes private parts */
        arili_free(key, sizeof *key);
    }
}
