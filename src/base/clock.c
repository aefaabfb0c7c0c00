/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/ensure.h"
#include <stdatomic.h>
#include <time.h>

/*
 * One cache for the process; both clocks are the same for every thread.
 *
 * boot_ns only grows, and every answer was in it before it was given. So a thread
 * that learns of an answer, and then asks, reads that value or a later one. tick
 * is stored after boot_ns, with release: whoever finds its own tick there finds a
 * boot_ns that was read in this tick or later. A late store of an old tick only
 * costs the next caller a system clock read.
 */
static struct {
    _Alignas(64) _Atomic uint64_t tick; /* CLOCK_MONOTONIC_COARSE; 0 is never met */
    _Atomic uint64_t boot_ns;
} cache;

static aril_status read_ns(clockid_t id, uint64_t *ret_ns)
{
    struct timespec now;
    ARILI_ENSURE(clock_gettime(id, &now) == 0, ARIL_E_UNAVAILABLE);
    ARILI_ENSURE(now.tv_sec >= 0, ARIL_E_UNAVAILABLE);
    *ret_ns = (uint64_t)now.tv_sec * ARILI_NS_PER_S + (uint64_t)now.tv_nsec;
    return ARIL_OK;
}

static aril_status system_boot_ns(void *state, uint64_t *ret_ns)
{
    (void)state;
    uint64_t tick = 0;
    ARILI_TRY(read_ns(CLOCK_MONOTONIC_COARSE, &tick));
    if (tick != 0 && atomic_load_explicit(&cache.tick, memory_order_acquire) == tick) {
        *ret_ns = atomic_load_explicit(&cache.boot_ns, memory_order_relaxed);
        return ARIL_OK;
    }
    uint64_t now = 0;
    ARILI_TRY(read_ns(CLOCK_BOOTTIME, &now));
    uint64_t newest = atomic_load_explicit(&cache.boot_ns, memory_order_relaxed);
    while (newest < now &&
           !atomic_compare_exchange_weak_explicit(&cache.boot_ns, &newest, now,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
    atomic_store_explicit(&cache.tick, tick, memory_order_release);
    *ret_ns = newest < now ? now : newest;
    return ARIL_OK;
}

static aril_status system_unix_s(void *state, uint64_t *ret_s)
{
    (void)state;
    uint64_t now = 0;
    ARILI_TRY(read_ns(CLOCK_REALTIME, &now));
    *ret_s = now / ARILI_NS_PER_S;
    return ARIL_OK;
}

const aril_clock arili_clock_system = {
    .abi = ARIL_CLOCK_ABI,
    .state = NULL,
    .boot_ns = system_boot_ns,
    .unix_s = system_unix_s,
};
