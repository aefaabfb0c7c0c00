/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_LMCACHE_H
#define ARILI_CACHE_LMCACHE_H
#include "cache/legacy.h"

/*
 * LMCache's aesgcm serde: 0x01 || iv (12) || ciphertext || tag (16), no associated data. So nothing
 * binds a frame to its name: whoever can write the store can swap frames of one salt.
 */
#define ARILI_LMCACHE_OVERHEAD 29u
#define ARILI_LMCACHE_SALT_MAX 1024u

/* As arili_cachekit_open() and _seal(). */
ARIL_MUST_USE aril_status arili_lmcache_open(const struct arili_legacy_scope *scope,
                                             aril_bytes stored, struct arili_legacy_value *ret);
ARIL_MUST_USE aril_status arili_lmcache_seal(const struct arili_legacy_scope *scope,
                                             const uint8_t iv[ARILI_AEAD_NONCE_BYTES],
                                             aril_bytes value, uint8_t *ret);
#endif
