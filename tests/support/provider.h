/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_PROVIDER_H
#define ARIL_TESTS_PROVIDER_H
#include "crypto/crypto.h"

/* The OpenSSL provider for a group of tests: cmocka_run_group_tests(tests,
 * provider_setup, provider_teardown), then provider() in each. */
int provider_setup(void **state);
int provider_teardown(void **state);
const struct arili_crypto *provider(void);

/* Bytes that tests can tell apart: a fixed pattern that depends on seed. */
void provider_pattern(uint8_t *ret, size_t len, unsigned seed);
/* Whether all bytes are the same value: 0 for "wiped", a filler for "untouched". */
bool provider_all(const uint8_t *bytes, size_t len, uint8_t value);
/* Fails the test unless the public key of a key is want. */
void provider_expect_public(const struct arili_pkey *key, aril_bytes want);
/* Whether OpenSSL's error queue of this thread is empty. */
bool provider_is_quiet(void);
#endif
