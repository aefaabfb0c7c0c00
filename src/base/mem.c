/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *arili_alloc(size_t size)
{
    return calloc(1, size);
}

void arili_free(void *p, size_t size)
{
    if (p != NULL) {
        arili_wipe(p, size);
        free(p);
    }
}

void arili_wipe(void *p, size_t size)
{
    if (size > 0) {
        memset(p, 0, size);
        /* To the compiler this may read the memory, so the stores stay. */
        __asm__ __volatile__("" : : "r"(p) : "memory");
    }
}

bool arili_equal_ct(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a;
    const uint8_t *y = b;
    unsigned difference = 0;
    for (size_t i = 0; i < n; i++) {
        difference |= (unsigned)(x[i] ^ y[i]);
        /* Opaque after each byte: nothing tells the compiler that it may stop. */
        __asm__ __volatile__("" : "+r"(difference));
    }
    return difference == 0;
}
