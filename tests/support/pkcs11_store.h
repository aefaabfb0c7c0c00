/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_PKCS11_STORE_H
#define ARIL_TESTS_PKCS11_STORE_H
#include "check.h"
#include "keyring/stores/store.h"

/* The backend over PKCS#11 without a keystore around it. The group needs runtime_setup(). */

/* "pkcs11:token=...?module-path=...", with a pin-source unless pin_path is NULL. Blanks of the
 * token are encoded. One result at a time. */
const char *pkcs11_uri(const char *token, const char *module, const char *pin_path);
/* Opens; on failure demands that *ret is NULL and that a message is there. */
aril_status pkcs11_open(const char *uri, aril_secret_fn *ask, void *user, void **ret,
                        aril_error *error);
/* The same, and demands success. */
void *pkcs11_opened(const char *uri);
/* Closes and demands NULL afterwards; for state variables. */
void pkcs11_close(void **state);

/* Who is asked: answers with pin and counts. */
struct asked {
    const char *pin; /* NULL: nobody answers */
    unsigned count;
    char subject[64];
};
aril_secret_fn asked_answer;

/* Slots, bindings and secrets that differ by number. */
struct arili_store_place pkcs11_place(unsigned number);
struct sealed {
    struct arili_store_place place;
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
    size_t len;
};
/* Seals the secret of that number; the status of it. On failure demands that nothing came out. */
aril_status pkcs11_seal(void *state, unsigned number, struct sealed *ret, aril_error *error);
/* Opens it. On success demands the secret, on failure that nothing came out. */
aril_status pkcs11_unseal(void *state, const struct sealed *sealed, aril_error *error);
#endif
