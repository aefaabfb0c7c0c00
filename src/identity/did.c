/* SPDX-License-Identifier: Apache-2.0 */
#include "format/did.h"
#include "base/ensure.h"
#include "crypto/runtime.h"
#include "identity/keys.h"
#include <string.h>

aril_status aril_did_write(aril_runtime *rt, aril_did_method method, aril_sign_alg alg,
                           aril_bytes public_key, char *ret_did, size_t cap, size_t *ret_len)
{
    ARILI_ENSURE(rt != NULL && ret_len != NULL && (ret_did != NULL || cap == 0), ARIL_E_USAGE_NULL);
    ARILI_ENSURE(method == ARIL_DID_PQAID || method == ARIL_DID_KEY, ARIL_E_USAGE_RANGE);
    ARILI_TRY(arili_check_public(alg, public_key));
    struct arili_did did = { .method = method };
    if (method == ARIL_DID_PQAID) {
        struct arili_key_hash hash;
        ARILI_TRY(arili_key_hash(rt, public_key, &hash));
        memcpy(did.id, hash.bytes, sizeof hash.bytes);
        did.len = sizeof hash.bytes;
    } else {
        did.alg = (int)alg;
        memcpy(did.id, public_key.data, public_key.len);
        did.len = public_key.len;
    }
    return arili_did_write(&did, ret_did, cap, ret_len);
}

aril_status aril_did_check(aril_runtime *rt, const char *did, aril_sign_alg alg,
                           aril_bytes public_key)
{
    ARILI_ENSURE(rt != NULL && did != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(public_key.data != NULL || public_key.len == 0, ARIL_E_USAGE_NULL);
    const size_t public_bytes = arili_sign_public_bytes((int)alg);
    ARILI_ENSURE(public_bytes != 0, ARIL_E_USAGE_RANGE);
    struct arili_did claim;
    ARILI_TRY(arili_did_parse(did, &claim));
    ARILI_ENSURE(public_key.len == public_bytes, ARIL_E_TRUST_DID);

    /* All compared bytes are public. */
    if (claim.method == ARIL_DID_KEY) {
        ARILI_ENSURE(claim.alg == (int)alg && memcmp(claim.id, public_key.data, claim.len) == 0,
                     ARIL_E_TRUST_DID);
        return ARIL_OK;
    }
    struct arili_key_hash hash;
    ARILI_TRY(arili_key_hash(rt, public_key, &hash));
    ARILI_ENSURE(memcmp(claim.id, hash.bytes, sizeof hash.bytes) == 0, ARIL_E_TRUST_DID);
    return ARIL_OK;
}
