/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_SELFTEST_H
#define ARILI_CRYPTO_SELFTEST_H
#include "crypto/crypto.h"
#include <aril/runtime.h>

/* Known answers for each primitive, against the table of c. Reports every test, in a
 * fixed order: ARIL_OK, ARIL_E_CRYPTO for other bytes than expected, or the status of
 * the call that failed. ARIL_OK when all passed, else ARIL_E_CRYPTO. */
ARIL_MUST_USE aril_status arili_crypto_self_test(const struct arili_crypto *c,
                                                 aril_self_test_fn *report, void *user);
#endif
