/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FAKE_TOKEN_H
#define ARIL_TESTS_FAKE_TOKEN_H
#include "fake_pkcs11.h"
#include "pkcs11_store.h"
#include "runtime.h"

/* The fake module as a group's fixture: fake_token_run(tests) in main(), and FAKE_TOKEN_TEST for
 * each of them. Without a module the program says so and is skipped. */
extern struct fake_pkcs11 *fake;
int fake_token_begin(void **state);
int fake_token_end(void **state);
int fake_token_each(void **state);
#define fake_token_run(tests) \
    (fake_token_missing() ? 77 : cmocka_run_group_tests(tests, fake_token_begin, fake_token_end))
bool fake_token_missing(void);
#define FAKE_TOKEN_TEST(name) cmocka_unit_test_setup(name, fake_token_each)

/* The path of a file of mode 0600 with that PIN. */
const char *fake_token_pin(const char *pin);
/* URIs of the token. */
const char *fake_token_uri(void);        /* with the right PIN in a file */
const char *fake_token_uri_no_pin(void); /* somebody has to be asked */
/* Fails the test unless the message has the words. */
void expect_message(const aril_error *error, const char *words);
#endif
