/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_DENY_H
#define ARIL_TESTS_DENY_H
#include <stdbool.h>

/* Every first argument. */
#define DENY_ANY (-1)

/* From now on the system call with this number fails with the given errno in this
 * process, for ever: for a child_run() only. first limits it to calls whose first
 * argument is that descriptor. false: this host does not allow such filters. */
bool deny_syscall(long number, int first, int error);
#endif
