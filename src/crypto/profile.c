/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/profile.h"

static const struct arili_profile profiles[] = {
    { ARIL_PROFILE_HYBRID,
      "hybrid",
      { ARILI_HPKE_X_WING, ARILI_HPKE_HKDF_SHA256 },
      ARILI_SHA256,
      ARIL_ML_DSA_65 },
    { ARIL_PROFILE_ML_KEM_768,
      "mlkem768",
      { ARILI_HPKE_ML_KEM_768, ARILI_HPKE_HKDF_SHA256 },
      ARILI_SHA256,
      ARIL_ML_DSA_65 },
    { ARIL_PROFILE_STRICT,
      "strict",
      { ARILI_HPKE_ML_KEM_1024, ARILI_HPKE_HKDF_SHA384 },
      ARILI_SHA384,
      ARIL_ML_DSA_87 },
};

const struct arili_profile *arili_profile_get(aril_profile id)
{
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (profiles[i].id == id) {
            return &profiles[i];
        }
    }
    return NULL;
}

const char *aril_profile_name(aril_profile profile)
{
    const struct arili_profile *p = arili_profile_get(profile);
    return p != NULL ? p->name : "unknown";
}
