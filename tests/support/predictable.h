/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_PREDICTABLE_H
#define ARIL_TESTS_PREDICTABLE_H
#include "crypto/crypto.h"

/*
 * Primitives whose randomness repeats: the same calls after the same predictable_seed() give
 * the same bytes, in every process. That makes handshakes that a corpus can hold. Encapsulation
 * takes its randomness from the same stream, and signatures are the deterministic ones.
 * The stream and the counts are one for the process; one thread at a time.
 */
void predictable_crypto(const struct arili_crypto *inner, struct arili_crypto *ret);
void predictable_seed(uint64_t seed);

/* Calls since the process began. */
struct predictable_counts {
    unsigned encaps, decaps, signatures;
};
struct predictable_counts predictable_counts(void);
#endif
