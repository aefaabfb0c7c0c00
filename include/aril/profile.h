/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_PROFILE_H
#define ARIL_PROFILE_H
#include <aril/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Suites; no other knobs. A peer refuses what it does not want, and nothing falls
 * back by itself.
 */
typedef enum aril_profile {
    ARIL_PROFILE_HYBRID = 1,     /* X-Wing, SHA-256, ML-DSA-65: the default */
    ARIL_PROFILE_ML_KEM_768 = 2, /* ML-KEM-768, SHA-256, ML-DSA-65 */
    ARIL_PROFILE_STRICT = 3      /* ML-KEM-1024, SHA-384, ML-DSA-87: CNSA 2.0 */
} aril_profile;

/** "hybrid", "mlkem768", "strict"; never NULL. Threads: any. Since: 0.1 */
ARIL_API const char *aril_profile_name(aril_profile profile);

#ifdef __cplusplus
}
#endif
#endif
