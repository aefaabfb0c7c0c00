/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_MEMORY_FIND_H
#define ARIL_TESTS_MEMORY_FIND_H
#include <stddef.h>
#include <stdint.h>

/* How often 16 bytes occur in the writable memory of this process, stacks excluded.
 * To be sure that the caller's own copy is not found, masked holds them XOR mask.
 * Always 0 under a sanitizer or valgrind: first see that what should be there is found. */
size_t memory_find(const uint8_t masked[16], uint8_t mask);
#endif
