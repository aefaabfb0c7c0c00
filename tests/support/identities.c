/* SPDX-License-Identifier: Apache-2.0 */
#include "identities.h"
#include "temp_folder.h"

aril_identity *id65, *id87;

int identities_setup(void **state)
{
    if (temp_folder_make(state) != 0 || runtime_setup(state) != 0 ||
        aril_identity_generate(rt, ARIL_ML_DSA_65, &id65) != ARIL_OK) {
        return -1;
    }
    return aril_identity_generate(rt, ARIL_ML_DSA_87, &id87) == ARIL_OK ? 0 : -1;
}

int identities_teardown(void **state)
{
    aril_identity_free(id65);
    aril_identity_free(id87);
    (void)runtime_teardown(state);
    return temp_folder_remove(state);
}
