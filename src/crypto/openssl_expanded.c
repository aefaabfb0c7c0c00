/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl_internal.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <openssl/core_names.h>

#define EXPANDED_BYTES_MAX 4896u /* ML-DSA-87, FIPS 204 table 2 */

struct expanded {
    uint8_t bytes[EXPANDED_BYTES_MAX];
};

static void expanded_freep(struct expanded **e)
{
    arili_free(*e, sizeof **e);
}

aril_status arili_openssl_sign_check_expanded(const struct arili_pkey *key, aril_bytes expanded)
{
    ARILI_ENSURE(key->is_private && key->type->use == ARILI_KEY_SIGN, ARIL_E_USAGE_STATE);
    ARILI_DEFER(expanded_freep) struct expanded *own = arili_alloc(sizeof *own);
    ARILI_ENSURE(own != NULL, ARIL_E_NOMEM);
    size_t len = 0;
    ARILI_TRY(ARILI_OSSL(EVP_PKEY_get_octet_string_param(key->evp, OSSL_PKEY_PARAM_PRIV_KEY,
                                                         own->bytes, sizeof own->bytes, &len),
                         ARIL_E_CRYPTO));
    ARILI_ENSURE(expanded.len == len && arili_equal_ct(expanded.data, own->bytes, len),
                 ARIL_E_FORMAT_FIELD);
    return ARIL_OK;
}
