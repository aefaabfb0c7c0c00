/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime.h"

aril_runtime *rt;

int runtime_setup(void **state)
{
    (void)state;
    return aril_runtime_new(NULL, &rt) == ARIL_OK ? 0 : -1;
}

int runtime_teardown(void **state)
{
    (void)state;
    aril_runtime_free(rt);
    return 0;
}
