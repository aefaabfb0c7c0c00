/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_STORES_STORE_H
#define ARILI_KEYRING_STORES_STORE_H
#include <aril/keystore.h>
#include <stdbool.h>

/*
 * The port of keystores: what seals the root secret of a keyring. One file for each backend,
 * which includes this header, base and its one library (the crypto layer, tpm2-tss, PKCS#11).
 *
 * A slot is a name, drawn at random by the keyring, for one sealed secret. What a backend keeps
 * of it (a key in a token, half of the secret in a TPM) lives under that name until destroy().
 * The blob goes into the keyring's file, so whoever holds a copy of the file has it too. A
 * backend with ARIL_KEYSTORE_DESTROY makes every copy of the blob unreadable by destroy().
 *
 * The binding is a digest of what the secret belongs to. A blob opens only under the slot and
 * the binding that it was sealed for.
 *
 * Rules for every backend:
 *  - Threads. One call at a time for each state; the caller sees to that.
 *  - Time. A call may block, on a thread of its own; keyring/keystore.c ends the wait. Only ask()
 *    waits for a person, and the deadline's clock stands still meanwhile.
 *  - Failure. Outputs are unchanged or zero; the file, token or TPM is as before or as after the
 *    call, and a repeated call is safe. Messages name the URI, the reason and the remedy.
 *  - Statuses. NOT_FOUND (file, device, token or counter is not there), UNAVAILABLE, TIMEOUT,
 *    IO (class), KEYSTORE (class), of it KEYSTORE_WRONG for a blob whose slot is not there,
 *    FORMAT (class) for a blob that is none, AUTH for a blob that was changed or belongs to
 *    another slot or binding, LIMIT, NOMEM, RANDOM, CRYPTO, USAGE (class).
 *  - Secrets are wiped before memory goes back, and are in no message.
 *  - Members are appended and bump ARILI_STORE_ABI.
 */
#define ARILI_STORE_ABI           1u
#define ARILI_STORE_SLOT_BYTES    16u
#define ARILI_STORE_BINDING_BYTES 32u
/* Root seed and PSK: what a TPM seals in one object, with the binding. */
#define ARILI_STORE_SECRET_BYTES      96u
#define ARILI_STORE_BLOB_BYTES_MAX    4096u
#define ARILI_STORE_COUNTER_BYTES_MAX 64u

struct arili_store_options {
    aril_runtime *rt;
    const char *uri;  /* whole, for messages */
    const char *rest; /* what follows the scheme and its colon */
    aril_secret_fn *ask;
    void *user;
    uint32_t argon2_ms;
    bool create;
};

/* What a blob is sealed for. */
struct arili_store_place {
    uint8_t slot[ARILI_STORE_SLOT_BYTES];
    uint8_t binding[ARILI_STORE_BINDING_BYTES];
};

/* How a keyring finds its counter again; opaque, kept in its file. */
struct arili_store_counter {
    size_t len;
    uint8_t bytes[ARILI_STORE_COUNTER_BYTES_MAX];
};

struct arili_store_ops {
    uint32_t abi;
    const char *scheme; /* "file" */

    ARIL_MUST_USE aril_status (*open)(const struct arili_store_options *options, void **ret_state,
                                      aril_error *error);
    void (*close)(void *state); /* accepts NULL */
    ARIL_MUST_USE aril_status (*info)(void *state, aril_keystore_info *ret_info, aril_error *error);

    /* A slot that exists is sealed anew only with the same secret: EXISTS is never answered, the
     * older blob may stop opening. */
    ARIL_MUST_USE aril_status (*seal)(void *state, const struct arili_store_place *place,
                                      const uint8_t secret[ARILI_STORE_SECRET_BYTES],
                                      uint8_t *ret_blob, size_t cap, size_t *ret_len,
                                      aril_error *error);
    ARIL_MUST_USE aril_status (*unseal)(void *state, const struct arili_store_place *place,
                                        aril_bytes blob,
                                        uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                        aril_error *error);

    /* With ARIL_KEYSTORE_DESTROY, else NULL. A slot that is not there is success. */
    ARIL_MUST_USE aril_status (*destroy)(void *state, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                         aril_error *error);

    /* With ARIL_KEYSTORE_COUNTER, else NULL. seed makes names differ; values never go down, and
     * a new counter starts anywhere. increment adds 1. */
    ARIL_MUST_USE aril_status (*counter_create)(void *state,
                                                const uint8_t seed[ARILI_STORE_SLOT_BYTES],
                                                struct arili_store_counter *ret_counter,
                                                uint64_t *ret_value, aril_error *error);
    ARIL_MUST_USE aril_status (*counter_read)(void *state,
                                              const struct arili_store_counter *counter,
                                              uint64_t *ret_value, aril_error *error);
    ARIL_MUST_USE aril_status (*counter_increment)(void *state,
                                                   const struct arili_store_counter *counter,
                                                   uint64_t *ret_value, aril_error *error);
    ARIL_MUST_USE aril_status (*counter_destroy)(void *state,
                                                 const struct arili_store_counter *counter,
                                                 aril_error *error);
};

/* A table and the state it opened, handed around together. */
struct arili_store {
    const struct arili_store_ops *ops;
    void *state;
};

/* The backends, in the order of the list in aril/keystore.h. */
extern const struct arili_store_ops arili_store_file, arili_store_passphrase,
    arili_store_credential, arili_store_tpm2, arili_store_pkcs11;
/* NULL when no backend has the URI's scheme. */
const struct arili_store_ops *arili_store_find(const char *uri);
#endif
