/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_CACHEKIT_H
#define ARILI_CACHE_CACHEKIT_H
#include "cache/legacy.h"
#include "format/cachekit.h"

/* The shortest master key that is taken. */
#define ARILI_CACHEKIT_MASTER_BYTES_MIN 16u
/* The AES key of a tenant. ret is a secret: wipe it. USAGE_RANGE: lengths of master or tenant. */
ARIL_MUST_USE aril_status arili_cachekit_derive(const struct arili_crypto *c, aril_bytes master,
                                                aril_bytes tenant,
                                                uint8_t ret[ARILI_AEAD_KEY_BYTES]);
/* What names such a key in Python's frames; not secret. */
ARIL_MUST_USE aril_status arili_cachekit_fingerprint(const struct arili_crypto *c,
                                                     const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                                     uint8_t ret[ARILI_CACHEKIT_FINGERPRINT_BYTES]);

/* arili_legacy_open() and _seal() for the formats of cachekit. *ret is all zero before, and owns
 * what is allocated even when the call fails. The nonce was counted by the caller. */
ARIL_MUST_USE aril_status arili_cachekit_open(const struct arili_legacy_scope *scope,
                                              aril_bytes stored, struct arili_legacy_value *ret);
ARIL_MUST_USE aril_status arili_cachekit_seal(const struct arili_legacy_scope *scope,
                                              const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                              aril_bytes value, uint8_t *ret);
#endif
