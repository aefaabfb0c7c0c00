/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_IDENTITIES_H
#define ARIL_TESTS_IDENTITIES_H
#include "runtime.h"
#include <aril/identity.h>

/* Two new identities, ML-DSA-65 and ML-DSA-87, for a group of tests, with the runtime and
 * the folder of temp_folder.h. */
extern aril_identity *id65, *id87;
int identities_setup(void **state);
int identities_teardown(void **state);

static inline aril_bytes public_of(const aril_identity *id)
{
    return aril_identity_public(id);
}

static inline aril_bytes span(const void *data, size_t len)
{
    return (aril_bytes){ data, len };
}
#endif
