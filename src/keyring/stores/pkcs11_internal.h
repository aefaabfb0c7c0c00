/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_STORES_PKCS11_INTERNAL_H
#define ARILI_KEYRING_STORES_PKCS11_INTERNAL_H
#include "base/ensure.h"
#include "keyring/stores/pkcs11_uri.h"
#include "keyring/stores/store.h"

/* The header alone is of the build; modules are loaded when a keystore names one. */
#if __has_include(<p11-kit/pkcs11.h>)
#include <p11-kit/pkcs11.h>
#define ARILI_P11_BUILT 1
#else
#define ARILI_P11_BUILT 0
#endif

#if ARILI_P11_BUILT

/* A module that is loaded and initialized; shared by all keystores of the process. */
struct arili_p11_module;

/* The state of one keystore. */
struct arili_p11 {
    aril_runtime *rt;
    aril_secret_fn *ask;
    void *user;
    char uri[ARILI_P11_URI_BYTES_MAX + 16]; /* for messages; holds no secret */
    struct arili_p11_uri where;
    struct arili_p11_module *module;
    const CK_FUNCTION_LIST *f; /* of module */

    CK_SLOT_ID slot;     /* the reader that the token was found in last */
    CK_TOKEN_INFO token; /* as it was then */
    bool has_session;
    CK_SESSION_HANDLE session;
    bool pin_refused; /* the PIN of the file: it is not offered twice */
    bool lost;        /* the last failure was that of a session or token that went away */
};

/* --- pkcs11_names.c: what the codes of PKCS#11 mean here */

/* Whether it tells something about the device, the session or the login, not about the data. */
bool arili_p11_rv_is_device(CK_RV rv);
/* "URI: cannot DO: CKR_...; remedy". Notes in s->lost whether a new session may
 * help: the session, or the token, went away. */
aril_status arili_p11_failed(struct arili_p11 *s, const char *what, CK_RV rv, aril_error *error);
/* "URI: reason", which names the remedy. */
aril_status arili_p11_refuse(const struct arili_p11 *s, aril_status st, const char *reason,
                             aril_error *error);

/* --- pkcs11_module.c */

/* Loads and initializes s->where.module_path, or shares what is there; fills s->module and
 * s->f. */
ARIL_MUST_USE aril_status arili_p11_module_get(struct arili_p11 *s, aril_error *error);
/* Accepts a state without one. */
void arili_p11_module_put(struct arili_p11 *s);

/* --- pkcs11_session.c */

/* Finds the token and opens a session on it. */
ARIL_MUST_USE aril_status arili_p11_session_open(struct arili_p11 *s, aril_error *error);
void arili_p11_session_close(struct arili_p11 *s);
/* Whether the user has to log in, and whether a person is needed for that. */
bool arili_p11_needs_login(const struct arili_p11 *s);
bool arili_p11_asks(const struct arili_p11 *s);

typedef aril_status arili_p11_job(struct arili_p11 *s, void *arg, aril_error *error);
/* Runs the job with a session that is logged in. If the session or the token went away, once
 * more with a new one. */
ARIL_MUST_USE aril_status arili_p11_run(struct arili_p11 *s, arili_p11_job *job, void *arg,
                                        aril_error *error);

/* --- pkcs11_key.c: the key of a slot. For jobs. */

/* More keys under one id than this are not looked at. Two can be there when a seal that took
 * too long was repeated. */
#define ARILI_P11_KEYS_MAX 8u
struct arili_p11_keys {
    CK_OBJECT_HANDLE handles[ARILI_P11_KEYS_MAX];
    CK_ULONG count;
};
ARIL_MUST_USE aril_status arili_p11_keys_find(struct arili_p11 *s,
                                              const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                              struct arili_p11_keys *ret, aril_error *error);
/* The slot's key, generated when there is none; checked to be one that does not leave. */
ARIL_MUST_USE aril_status arili_p11_key_for_sealing(struct arili_p11 *s,
                                                    const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                                    CK_OBJECT_HANDLE *ret, aril_error *error);
ARIL_MUST_USE aril_status arili_p11_keys_destroy(struct arili_p11 *s,
                                                 const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                                 aril_error *error);

/* --- pkcs11_seal.c: the verbs of the port, with arguments that were checked */

/* A blob is header || IV || ciphertext || tag. The header is "P11" and the version 1. */
#define ARILI_P11_HEADER_BYTES 4u
#define ARILI_P11_IV_BYTES     12u
#define ARILI_P11_TAG_BYTES    16u
#define ARILI_P11_BLOB_BYTES \
    (ARILI_P11_HEADER_BYTES + ARILI_P11_IV_BYTES + ARILI_STORE_SECRET_BYTES + ARILI_P11_TAG_BYTES)

ARIL_MUST_USE aril_status arili_p11_seal(struct arili_p11 *s, const struct arili_store_place *place,
                                         const uint8_t secret[ARILI_STORE_SECRET_BYTES],
                                         uint8_t ret_blob[ARILI_P11_BLOB_BYTES], aril_error *error);
ARIL_MUST_USE aril_status arili_p11_unseal(struct arili_p11 *s,
                                           const struct arili_store_place *place, aril_bytes blob,
                                           uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                           aril_error *error);

#endif
#endif
