/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_CHILD_H
#define ARIL_TESTS_CHILD_H

/* Runs body(arg) in a forked child and returns what it returned (0 to 127), or 128
 * and the number of the signal that ended it, or -1 without a child. The body must
 * not use cmocka's asserts: they would leave for the parent's next test. */
int child_run(int (*body)(void *arg), void *arg);
#endif
