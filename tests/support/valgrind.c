/* SPDX-License-Identifier: Apache-2.0 */
#include "valgrind.h"
#include <stdlib.h>
#include <string.h>

bool under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}
