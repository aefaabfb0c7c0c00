/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FAULTY_CRYPTO_H
#define ARIL_TESTS_FAULTY_CRYPTO_H
#include "crypto/crypto.h"

/*
 * A table of primitives around another one, in which single calls fail. Without an
 * armed fault it does what the inner one does. Counts the calls of all functions that
 * return a status, from any thread; arm and disarm from one.
 *
 * A call that fails never reaches the inner table and leaves its outputs alone.
 */
struct faulty_crypto;

/* inner is borrowed. NULL without memory. */
struct faulty_crypto *faulty_crypto_new(const struct arili_crypto *inner);
/* Contexts and keys that came from the table must be freed before. */
void faulty_crypto_free(struct faulty_crypto *f);
/* Valid as long as f. */
const struct arili_crypto *faulty_crypto_table(struct faulty_crypto *f);

/* Let the nth call from now return st, counted from 1. */
void faulty_crypto_arm(struct faulty_crypto *f, unsigned nth, aril_status st);
/* Let every call of random() return st until disarmed. */
void faulty_crypto_arm_random(struct faulty_crypto *f, aril_status st);
/* No further failure. fired() and last() keep their answers until the next arm. */
void faulty_crypto_disarm(struct faulty_crypto *f);
/* Whether an armed fault was reached. */
bool faulty_crypto_fired(const struct faulty_crypto *f);
/* Name of the function that failed last, "" before. */
const char *faulty_crypto_last(const struct faulty_crypto *f);
/* Calls since f was made. */
unsigned faulty_crypto_calls(const struct faulty_crypto *f);
/* Keys and AEAD contexts that were made and not freed. */
unsigned faulty_crypto_alive(const struct faulty_crypto *f);
#endif
