/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_IDENTITY_KEYS_H
#define ARILI_IDENTITY_KEYS_H
#include "format/did.h"
#include <aril/identity.h>

/* USAGE_NULL, or USAGE_RANGE when alg is unknown or the length is not its own. */
ARIL_MUST_USE aril_status arili_check_public(aril_sign_alg alg, aril_bytes public_key);
/* USAGE_NULL, or USAGE_RANGE for a context above ARIL_SIGN_CONTEXT_BYTES_MAX. */
ARIL_MUST_USE aril_status arili_check_message(aril_bytes context, aril_bytes message);

/* Fills *error with the end of path and words, which name the remedy; returns st. */
aril_status arili_file_failed(aril_error *error, const char *path, aril_status st,
                              const char *words);

/* SHA3-256 of a public key: what did:pqaid says of it, and what names an entry of a
 * trust list. */
struct arili_key_hash {
    uint8_t bytes[ARILI_DID_HASH_BYTES];
};
ARIL_MUST_USE aril_status arili_key_hash(aril_runtime *rt, aril_bytes public_key,
                                         struct arili_key_hash *ret);

void arili_identity_freep(aril_identity **identity);
/* An identity from a seed that is kept elsewhere than in a key file. */
#define ARILI_IDENTITY_SEED_BYTES 32u
ARIL_MUST_USE aril_status arili_identity_from_seed(aril_runtime *rt, aril_sign_alg alg,
                                                   const uint8_t seed[ARILI_IDENTITY_SEED_BYTES],
                                                   aril_identity **ret_identity);
#endif
