/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"

size_t arili_hash_bytes(enum arili_hash alg)
{
    switch (alg) {
    case ARILI_SHA256:
    case ARILI_SHA3_256:
        return 32;
    case ARILI_SHA384:
        return 48;
    case ARILI_SHAKE256:
        break;
    }
    return 0;
}

size_t arili_kem_ct_bytes(enum arili_kem alg)
{
    switch (alg) {
    case ARILI_KEM_ML_KEM_768:
        return ARILI_ML_KEM_768_CT_BYTES;
    case ARILI_KEM_ML_KEM_1024:
        return ARILI_ML_KEM_1024_CT_BYTES;
    case ARILI_KEM_X25519:
        break;
    }
    return 0;
}

/* FIPS 204 section 4, table 2. */
size_t arili_sign_public_bytes(int alg)
{
    return alg == 65 ? 1952 : alg == 87 ? 2592 : 0;
}

size_t arili_sign_signature_bytes(int alg)
{
    return alg == 65 ? 3309 : alg == 87 ? 4627 : 0;
}
