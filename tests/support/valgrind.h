/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_VALGRIND_H
#define ARIL_TESTS_VALGRIND_H
#include <stdbool.h>

/* Whether the process runs under valgrind. It needs descriptors and address space of its own,
 * so tests that leave none skip themselves, and those that read dead stacks. */
bool under_valgrind(void);
#endif
