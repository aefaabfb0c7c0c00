/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_TENANTS_MODELS_H
#define ARILI_TENANTS_MODELS_H
#include <aril/kv.h>

/* The registry's own copy of its view configurations, strings included. */
struct arili_models {
    aril_kv_config *configs;
    size_t count;
    char *text; /* one block that holds every string */
    size_t text_len;
};
/* ARIL_E_USAGE_NULL, ARIL_E_USAGE_RANGE (text over 1 MiB), ARIL_E_NOMEM. The views check
 * the values. */
ARIL_MUST_USE aril_status arili_models_copy(const aril_kv_config *configs, size_t count,
                                            struct arili_models *ret);
void arili_models_done(struct arili_models *m);
#endif
