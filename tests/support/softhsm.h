/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_SOFTHSM_H
#define ARIL_TESTS_SOFTHSM_H
#include <stdbool.h>
#include <stddef.h>

/*
 * SoftHSM with tokens of the test's own, in a temporary folder. The configuration is named by
 * SOFTHSM2_CONF of this process, so it is one for the process, and made before the module is
 * loaded. Tokens are made through the module itself: the PINs are in no argument.
 */
#define SOFTHSM_SO_PIN "so pin of a test"
#define SOFTHSM_PIN    "user pin of a test"

/* Where the module is; NULL without one, or without headers at build time. */
const char *softhsm_module(void);
/* For a group: without SoftHSM both succeed, and each test begins with softhsm_need(). */
int softhsm_setup(void **state);
int softhsm_teardown(void **state);
/* Skips the running test, with the reason, when there is no SoftHSM. */
void softhsm_need(void);

/* Makes a token with SOFTHSM_PIN. No keystore of the process may be open. */
bool softhsm_add_token(const char *label);
/* What SoftHSM keeps of a token that nobody has open: removed, as if it was lost. */
void softhsm_lose_tokens(void);

/* The flags of a token; 0 when it is not there. */
unsigned long softhsm_flags(const char *label);
/* How many secret keys a token has, and whether CKA_VALUE of each one is refused as sensitive.
 * False when the token cannot be asked. */
bool softhsm_keys(const char *label, size_t *ret_count, bool *ret_stay_inside);
#endif
