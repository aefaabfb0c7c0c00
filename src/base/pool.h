/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_POOL_H
#define ARILI_BASE_POOL_H
#include <aril/executor.h>

/* Runs the tasks in the calling thread, one after the other: what a NULL executor
 * means inside the library. */
extern const aril_executor arili_executor_serial;
#endif
