/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_MEM_H
#define ARILI_BASE_MEM_H
#include <aril/base.h>
#include <stdbool.h>

/* The only allocator of the library. Zeroed memory or NULL; size > 0. */
void *arili_alloc(size_t size);
/* Wipes size bytes, then releases them. p may be NULL. */
void arili_free(void *p, size_t size);
/* Overwrite with zeros in a way that the compiler must keep. */
void arili_wipe(void *p, size_t size);
/* Constant time in the contents: whether n bytes are equal. For tags and keys. */
bool arili_equal_ct(const void *a, const void *b, size_t n);
/* Whether two spans share a byte. Empty spans share nothing. */
static inline bool arili_overlap(const void *a, size_t a_len, const void *b, size_t b_len)
{
    const uintptr_t a_at = (uintptr_t)a;
    const uintptr_t b_at = (uintptr_t)b;
    if (a_len == 0 || b_len == 0) {
        return false;
    }
    /* The distance is compared, not the ends, so nothing wraps. */
    return a_at <= b_at ? b_at - a_at < a_len : a_at - b_at < b_len;
}
#endif
