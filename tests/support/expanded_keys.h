/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_EXPANDED_KEYS_H
#define ARIL_TESTS_EXPANDED_KEYS_H
#include "crypto/crypto.h"

/* Keys of the OpenSSL provider from the expanded private form, which the library does
 * not import but vectors come in. ARIL_E_FORMAT_FIELD when OpenSSL refuses it. Free
 * with pkey_free. */
ARIL_MUST_USE aril_status expanded_ml_kem(const struct arili_crypto *c, enum arili_kem alg,
                                          aril_bytes dk, struct arili_pkey **ret);
ARIL_MUST_USE aril_status expanded_ml_dsa(const struct arili_crypto *c, int alg, aril_bytes sk,
                                          struct arili_pkey **ret);
/* Whether the expanded form of the private key is dk. */
bool expanded_equals(const struct arili_pkey *key, aril_bytes dk);
#endif
