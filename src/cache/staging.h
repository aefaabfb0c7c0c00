/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_STAGING_H
#define ARILI_CACHE_STAGING_H
#include <aril/base.h>

/*
 * Buffers for ciphertext on its way: taken, filled, given back, used again. They hold nothing
 * secret, so they are not wiped in between, and a value of 4 MiB costs no page faults the second
 * time. What a failed seal leaves is wiped by the seal.
 */
struct arili_staging;
ARIL_MUST_USE aril_status arili_staging_new(struct arili_staging **ret);
void arili_staging_free(struct arili_staging *s); /* accepts NULL */

struct arili_stage {
    uint8_t *data;
    size_t cap;
};
/* At least len bytes, aligned to 4096; what they hold is not defined. NOMEM. */
ARIL_MUST_USE aril_status arili_staging_take(struct arili_staging *s, size_t len,
                                             struct arili_stage *ret);
void arili_staging_give(struct arili_staging *s, struct arili_stage *stage); /* data NULL is fine */
#endif
