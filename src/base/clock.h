/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_CLOCK_H
#define ARILI_BASE_CLOCK_H
#include <aril/runtime.h>

#define ARILI_NS_PER_S UINT64_C(1000000000)

/* The system's clocks: CLOCK_BOOTTIME and CLOCK_REALTIME. boot_ns is read once
 * per record, so it asks CLOCK_MONOTONIC_COARSE first and answers from a cache
 * within one tick (1 to 10 ms); it is exact to that tick. */
extern const aril_clock arili_clock_system;
#endif
