/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_HEAP_H
#define ARILI_BASE_HEAP_H
#include <stdbool.h>
#include <stddef.h>

/*
 * A heap for a library that keeps secrets in memory which it allocates itself: libcrypto's
 * key schedules and private keys. Its pages are left out of core files, and what is freed is
 * wiped. There is one for the process, because such a library has one allocator.
 *
 * Free lists are lock-free stacks, so a fork at any moment leaves the child a working heap.
 * Blocks come from one reserved range in size classes; what is larger than a class, or finds
 * the range full, gets a mapping of its own.
 */

/* Reserve the range. False when the system gives none: use another heap. Threads: any; the
 * first call decides. */
bool arili_heap_begin(void);
/* As malloc, realloc and free, 16-byte aligned; size 0 gives a block. For use after
 * arili_heap_begin() was true. */
void *arili_heap_alloc(size_t size);
void *arili_heap_realloc(void *p, size_t size);
void arili_heap_free(void *p);
#endif
