/* SPDX-License-Identifier: Apache-2.0 */
#include "fault_alloc.h"
#include <stdatomic.h>
#include <stddef.h>

/* The linker's --wrap gives these names. */
void *__real_arili_alloc(size_t size);
void *__wrap_arili_alloc(size_t size);

static atomic_uint left; /* allocations up to the failing one; 0: none fails */
static atomic_bool fired;

void fault_alloc_arm(unsigned nth)
{
    atomic_store(&fired, false);
    atomic_store(&left, nth);
}

void fault_alloc_disarm(void)
{
    atomic_store(&left, 0);
}

bool fault_alloc_fired(void)
{
    return atomic_load(&fired);
}

void *__wrap_arili_alloc(size_t size)
{
    unsigned now = atomic_load(&left);
    while (now > 0 && !atomic_compare_exchange_weak(&left, &now, now - 1)) {
    }
    if (now == 1) {
        atomic_store(&fired, true);
        return NULL;
    }
    return __real_arili_alloc(size);
}
