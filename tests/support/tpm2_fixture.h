/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_TPM2_FIXTURE_H
#define ARIL_TESTS_TPM2_FIXTURE_H
#include "keyring/stores/store.h"
#include "swtpm.h"

/* What tests of the TPM's keystore start from: a runtime for the group, a new TPM for each test.
 * The end of a test demands that no object and no session was left in the TPM. */

/* Why the tests cannot run: for the last line of output, with exit status 77. NULL: they can. */
const char *tpm2_missing(void);

int tpm2_group_setup(void **state);
int tpm2_group_teardown(void **state);
int tpm2_setup(void **state);
int tpm2_teardown(void **state);

/* The TPM of the running test. */
extern struct swtpm tpm;

/* Its store, opened once for each test; closed at the end. */
void *tpm2_store(void);
/* Another state. query: "" or "?pcrs=...". The test closes it. */
void *tpm2_open(const struct swtpm *at, const char *query);
aril_status tpm2_try_open(const char *uri, void **ret, aril_error *error);
void tpm2_close(void *store);

/* A slot and its binding, told apart by number; its secret. */
struct arili_store_place tpm2_place(unsigned number);
void tpm2_secret(unsigned number, uint8_t ret[ARILI_STORE_SECRET_BYTES]);

struct tpm2_blob {
    uint8_t bytes[ARILI_STORE_BLOB_BYTES_MAX];
    size_t len;
};
/* Seals secret number for place number. */
struct tpm2_blob tpm2_seal(void *store, unsigned number);
aril_status tpm2_try_seal(void *store, unsigned number, struct tpm2_blob *ret, aril_error *error);
/* Demands that the secret opens. */
void tpm2_expect_opens(void *store, const struct tpm2_blob *blob, unsigned number);
/* Demands the status, that nothing was answered, and that the message names the URI. Returns
 * the message until the next call. */
const char *tpm2_expect_refused(void *store, const struct tpm2_blob *blob,
                                const struct arili_store_place *place, aril_status st);
void tpm2_expect_clean(struct swtpm *at);

/* The tag of a slot's index, and of a counter's. */
#define TPM2_TAG_BYTES 32u
void tpm2_tag(const char *label, const uint8_t id[ARILI_STORE_SLOT_BYTES],
              uint8_t ret[TPM2_TAG_BYTES]);
#define TPM2_SLOT_LABEL    "aril tpm2 slot v1"
#define TPM2_COUNTER_LABEL "aril tpm2 counter v1"
#endif
