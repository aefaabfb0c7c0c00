/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_PROFILE_H
#define ARILI_CRYPTO_PROFILE_H
#include "crypto/hpke.h"
#include <aril/identity.h>
#include <aril/profile.h>

/* One row per profile: nothing else in the tree chooses algorithms. */
struct arili_profile {
    aril_profile id;
    const char *name;
    struct arili_hpke_suite suite;
    enum arili_hash hash;
    aril_sign_alg sign;
};
/* NULL for an unknown one. */
const struct arili_profile *arili_profile_get(aril_profile id);
#endif
