/* SPDX-License-Identifier: Apache-2.0 */
#include "expanded_keys.h"
#include "base/ensure.h"
#include "crypto/openssl_internal.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <string.h>

#define EXPANDED_BYTES_MAX 4896u

/* Takes a key of the right type and puts the expanded one in its place. */
static aril_status replace(struct arili_pkey *key, aril_bytes raw, struct arili_pkey **ret)
{
    EVP_PKEY *const evp = EVP_PKEY_new_raw_private_key_ex(key->provider->lib, key->type->name, NULL,
                                                          raw.data, raw.len);
    if (evp == NULL) {
        ERR_clear_error();
        arili_openssl_pkey_free(key);
        return ARIL_E_FORMAT_FIELD;
    }
    EVP_PKEY_free(key->evp);
    key->evp = evp;
    *ret = key;
    return ARIL_OK;
}

aril_status expanded_ml_kem(const struct arili_crypto *c, enum arili_kem alg, aril_bytes dk,
                            struct arili_pkey **ret)
{
    static const uint8_t seed[ARILI_ML_KEM_SEED_BYTES];
    struct arili_pkey *key = NULL;
    ARILI_TRY(c->ops->kem_import_seed(c->provider, alg, (aril_bytes){ seed, sizeof seed }, &key));
    return replace(key, dk, ret);
}

aril_status expanded_ml_dsa(const struct arili_crypto *c, int alg, aril_bytes sk,
                            struct arili_pkey **ret)
{
    static const uint8_t seed[ARILI_ML_DSA_SEED_BYTES];
    struct arili_pkey *key = NULL;
    ARILI_TRY(c->ops->sign_import_seed(c->provider, alg, (aril_bytes){ seed, sizeof seed }, &key));
    return replace(key, sk, ret);
}

bool expanded_equals(const struct arili_pkey *key, aril_bytes dk)
{
    uint8_t own[EXPANDED_BYTES_MAX];
    size_t len = 0;
    if (EVP_PKEY_get_octet_string_param(key->evp, OSSL_PKEY_PARAM_PRIV_KEY, own, sizeof own,
                                        &len) != 1) {
        ERR_clear_error();
        return false;
    }
    return len == dk.len && memcmp(own, dk.data, len) == 0;
}
