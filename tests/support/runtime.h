/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_RUNTIME_H
#define ARIL_TESTS_RUNTIME_H
#include <aril/runtime.h>

/* One runtime for a group of tests: cmocka_run_group_tests(tests, runtime_setup,
 * runtime_teardown), then rt in each. */
extern aril_runtime *rt;
int runtime_setup(void **state);
int runtime_teardown(void **state);
#endif
