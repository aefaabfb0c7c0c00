/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_LEGACY_H
#define ARILI_CACHE_LEGACY_H
#include "crypto/runtime.h"
#include <aril/cache.h>
#include <stdatomic.h>

/*
 * Values in formats of others: cachekit (interop v1 and what its Python, TypeScript and Rust
 * clients write by themselves), LMCache's aesgcm serde. docs/CACHE-FORMAT.md section 7 has the
 * bytes.
 *
 * What cachekit-ts writes without compression has the bytes of ARIL_CACHE_CACHEKIT_RS;
 * ARIL_CACHE_CACHEKIT_TS is what it writes with it. Neither says which it is, and the associated
 * data is never tried both ways.
 *
 * The caller has looked for a fork: a copy of a writer in a child would use its nonces again.
 *
 * Everything in stored is untrusted. Memory is bounded by value_max, which every length is compared
 * with before it is believed; LZ4 is decompressed to what the envelope says and not a byte more.
 */
#define ARILI_LEGACY_KEYS_MAX         4u
#define ARILI_LEGACY_MASTER_BYTES_MAX 64u

/* cachekit: master keys, current one first. LMCache: one, the PRK of arili_lmcache_prk(). */
struct arili_legacy_keys {
    aril_bytes key[ARILI_LEGACY_KEYS_MAX];
    size_t count;
};
/* HKDF-Extract without salt over the master file: what LMCache's HKDF begins with. */
ARIL_MUST_USE aril_status arili_lmcache_prk(const struct arili_crypto *c, aril_bytes master,
                                            uint8_t ret_prk[32]);

struct arili_legacy_scope {
    const struct arili_crypto *crypto;
    struct arili_contexts *contexts;
    aril_cache_format format;
    aril_bytes tenant; /* cachekit's tenant string, empty: "default"; LMCache: cache_salt */
    aril_bytes name;   /* the name in the store */
    uint32_t lmcache_key_bits;
    size_t value_max;
    const struct arili_legacy_keys *keys;
};
/* An opened value; end it with _done, which wipes. */
struct arili_legacy_value {
    aril_bytes bytes; /* the application's bytes: MessagePack for cachekit */
    size_t key_index; /* which key opened it; above 0: rotation drains */
    uint8_t *memory;
    size_t memory_bytes;
};
/*
 *   ARIL_E_AUTH            no key that may be tried opens it; for a Python frame that is the one
 *                          that its fingerprint names, and no other
 *   ARIL_E_KEY_UNKNOWN     a Python frame names a key that is not there
 *   ARIL_E_FORMAT (class)  not of this format; FORMAT_KIND: it says itself that it is not encrypted
 *   ARIL_E_LIMIT           longer than value_max, or a decompression bomb
 *   ARIL_E_USAGE_RANGE     keys, tenant, name or key bits of scope that the format does not have
 * On failure *ret is unchanged.
 */
ARIL_MUST_USE aril_status arili_legacy_open(const struct arili_legacy_scope *scope,
                                            aril_bytes stored, struct arili_legacy_value *ret);
void arili_legacy_value_done(struct arili_legacy_value *v);

/* Nonces of one writer: cachekit's u64 instance || u32 counter, counted for LMCache too. */
struct arili_legacy_writer {
    uint8_t instance[8];
    _Atomic uint64_t used;
    uint64_t used_max; /* 2^32 at most; then ARIL_E_LIMIT */
};
/* Bytes that a stored value is longer; interop and LMCache only. */
size_t arili_legacy_overhead(aril_cache_format format);
/* Seal under the first key. Interop: value must be exactly one MessagePack document
 * (ARIL_E_FORMAT). ret has value.len + overhead bytes, which do not overlap value; on failure they
 * are zero or unchanged. ARIL_E_LIMIT: value_max, or the writer's used_max; ARIL_E_USAGE_RANGE: as
 * for open, and formats that are only read. */
ARIL_MUST_USE aril_status arili_legacy_seal(const struct arili_legacy_scope *scope,
                                            struct arili_legacy_writer *writer, aril_bytes value,
                                            uint8_t *ret);
#endif
