/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_SESSION_PROFILE_H
#define ARILI_SESSION_PROFILE_H
#include "crypto/hpke.h"
#include <aril/session.h>

/* One row per profile, DESIGN of the suites: nothing else in the tree chooses algorithms. */
struct arili_profile {
    aril_profile id;
    const char *name;
    struct arili_hpke_suite suite;
    enum arili_hash hash;
    aril_sign_alg sign;
};
/* NULL for an unknown one. */
const struct arili_profile *arili_profile_get(aril_profile id);

/* Fill defaults in and check ranges; ARIL_E_USAGE_RANGE. in may be NULL. */
ARIL_MUST_USE aril_status arili_policy_complete(const aril_policy *in, aril_policy *ret);
#endif
