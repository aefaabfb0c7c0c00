/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_SHAKE128_H
#define ARIL_TESTS_SHAKE128_H
#include <stddef.h>
#include <stdint.h>

/* SHAKE128 as a stream: the accumulated test vectors of C2SP draw their inputs from
 * one and hash their outputs with another. Ends the running test on failure. */
struct shake128;
struct shake128 *shake128_new(void);
void shake128_free(struct shake128 *s);
void shake128_write(struct shake128 *s, const void *data, size_t len);
/* After the first read nothing can be written. */
void shake128_read(struct shake128 *s, uint8_t *ret, size_t len);
/* Fails the test unless the stream begins with the 32 bytes want. Frees it. */
void shake128_end(struct shake128 *s, const uint8_t want[32]);
#endif
