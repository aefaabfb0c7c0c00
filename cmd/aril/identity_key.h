/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_IDENTITY_KEY_H
#define ARIL_CMD_IDENTITY_KEY_H
#include <aril/identity.h>

/* A public key, wherever it was read from. */
struct identity_key {
    aril_sign_alg alg;
    uint8_t bytes[ARIL_SIGN_PUBLIC_BYTES_MAX];
    size_t len;
};

static inline aril_bytes identity_key_bytes(const struct identity_key *key)
{
    return (aril_bytes){ key->bytes, key->len };
}

/* "ml-dsa-65" or "ml-dsa-87". */
const char *identity_alg_name(aril_sign_alg alg);

/* These print what went wrong and return an exit code, 0 when all is well. */

/* From a private key file or a PEM public key. */
int identity_key_load(const char *command, aril_runtime *rt, const char *path,
                      struct identity_key *ret);

int identity_key_did(const char *command, aril_runtime *rt, const struct identity_key *key,
                     aril_did_method method, char ret_did[ARIL_DID_BYTES_MAX]);
#endif
