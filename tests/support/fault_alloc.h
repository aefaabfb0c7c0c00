/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FAULT_ALLOC_H
#define ARIL_TESTS_FAULT_ALLOC_H
#include <stdbool.h>

/* Makes single allocations fail. Link with -Wl,--wrap=arili_alloc: the library has
 * no hook of its own. Any thread may allocate meanwhile; arm and disarm from one. */

/* Let the nth arili_alloc() from now return NULL, counted from 1; 0 is none. */
void fault_alloc_arm(unsigned nth);
/* No further failure. fault_alloc_fired() keeps its answer until the next arm. */
void fault_alloc_disarm(void);
/* Whether the armed allocation was reached. */
bool fault_alloc_fired(void);
#endif
