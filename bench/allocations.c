/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <stdatomic.h>
#include <stdlib.h>

/*
 * The program's own malloc stands before the C library's, for every part of the program:
 * libcrypto is linked statically and comes here too. glibc offers its allocator under a
 * second name; elsewhere nothing is counted.
 */
static _Atomic uint64_t calls;

uint64_t bench_allocations(void)
{
    return atomic_load_explicit(&calls, memory_order_relaxed);
}

#ifdef __GLIBC__

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void __libc_free(void *p);

static void count_call(void)
{
    (void)atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
    count_call();
    return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t size)
{
    count_call();
    return __libc_calloc(count, size);
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t size)
{
    count_call();
    return __libc_realloc(p, size);
}

__attribute__((visibility("default"))) void free(void *p)
{
    count_call();
    __libc_free(p);
}

bool bench_allocations_counted(void)
{
    return true;
}

#else

bool bench_allocations_counted(void)
{
    return false;
}

#endif
