/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_CRYPTO_H
#define ARILI_CRYPTO_CRYPTO_H
#include <aril/base.h>
#include <stdbool.h>

/*
 * The primitives, as tables. One provider implements them all over OpenSSL
 * (crypto/openssl_*.c); tests decorate it with one that fails on demand.
 *
 * Rules for every table and provider:
 *  - Threads. A provider and its keys may be used from any thread at the same
 *    time; an AEAD context belongs to one thread at a time.
 *  - Failure. Outputs are unchanged or zero, except where stated. Statuses:
 *    ARIL_E_NOMEM, ARIL_E_CRYPTO, ARIL_E_RANDOM, ARIL_E_UNAVAILABLE, ARIL_E_USAGE
 *    (class), and ARIL_E_AUTH where stated.
 *  - Secrets are wiped before memory goes back.
 *  - Members are appended and bump ARILI_CRYPTO_ABI.
 */
#define ARILI_CRYPTO_ABI 6u

#define ARILI_AEAD_KEY_BYTES   32u
#define ARILI_AEAD_NONCE_BYTES 12u
#define ARILI_AEAD_TAG_BYTES   16u
/* SP 800-38D 5.2.1.1: the longest plaintext of one message. */
#define ARILI_AEAD_PLAIN_BYTES_MAX ((UINT64_C(1) << 36) - 32)

enum arili_hash {
    ARILI_SHA256 = 1,
    ARILI_SHA384 = 2,
    ARILI_SHA3_256 = 3,
    ARILI_SHAKE256 = 4 /* arili_crypto_ops.xof only */
};
#define ARILI_HASH_BYTES_MAX 48u

enum arili_kem {
    ARILI_KEM_X25519 = 0x0020, /* bare X25519: derive() only; no KEM of its own */
    ARILI_KEM_ML_KEM_768 = 0x0041,
    ARILI_KEM_ML_KEM_1024 = 0x0042,
};
/* Keys and ciphertexts of ML-KEM (FIPS 203 section 8). Seeds are d || z. */
#define ARILI_ML_KEM_SEED_BYTES        64u
#define ARILI_ML_KEM_ENCAPS_RAND_BYTES 32u
#define ARILI_ML_KEM_SHARED_BYTES      32u
#define ARILI_ML_KEM_768_PUBLIC_BYTES  1184u
#define ARILI_ML_KEM_768_CT_BYTES      1088u
#define ARILI_ML_KEM_1024_PUBLIC_BYTES 1568u
#define ARILI_ML_KEM_1024_CT_BYTES     1568u
#define ARILI_X25519_BYTES             32u

#define ARILI_ML_DSA_SEED_BYTES 32u

#define ARILI_BLAKE2B_BYTES_MAX   64u
#define ARILI_SIV_KEY_BYTES       64u /* two AES-256 keys */
#define ARILI_SIV_IV_BYTES        16u
#define ARILI_SIV_PLAIN_BYTES_MAX ((size_t)1 << 20)
#define ARILI_GCM128_KEY_BYTES    16u

/* RFC 9106 section 3.1. */
#define ARILI_ARGON2_SALT_BYTES_MIN 8u
#define ARILI_ARGON2_OUT_BYTES_MIN  4u

struct arili_provider; /* one library context with its fetched algorithms */
struct arili_aead_ctx; /* keyed AES-256-GCM state */
struct arili_pkey;     /* an imported asymmetric key, public or private */

struct arili_crypto_ops {
    uint32_t abi;
    const char *name;

    /* --- random: the system's generator. ARIL_E_RANDOM on failure. */
    ARIL_MUST_USE aril_status (*random)(struct arili_provider *p, uint8_t *ret, size_t len);

    /* --- AES-256-GCM (SP 800-38D). Contexts are made unkeyed at set-up and are
     * keyed again and again; seal and open allocate nothing. */
    ARIL_MUST_USE aril_status (*aead_new)(struct arili_provider *p, struct arili_aead_ctx **ret);
    void (*aead_free)(struct arili_aead_ctx *ctx);
    /* Sets the key for both directions, replacing the one before. */
    ARIL_MUST_USE aril_status (*aead_key)(struct arili_aead_ctx *ctx,
                                          const uint8_t key[ARILI_AEAD_KEY_BYTES]);
    /* Overwrites the key schedules; the context needs a new key before its next use. */
    void (*aead_wipe)(struct arili_aead_ctx *ctx);
    /* Encrypts the spans, one after the other, to ret_body (exactly their sum);
     * ret_body may equal the one span's data, else must not overlap. On failure
     * ret_body is undefined. */
    ARIL_MUST_USE aril_status (*aead_seal)(struct arili_aead_ctx *ctx,
                                           const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                           aril_bytes aad, const aril_bytes *spans, size_t count,
                                           uint8_t *ret_body,
                                           uint8_t ret_tag[ARILI_AEAD_TAG_BYTES]);
    /* Decrypts body into the spans, which hold exactly body.len together; one span alone may be
     * body's own bytes, else they must not overlap. ARIL_E_AUTH
     * when the tag is wrong; on every failure the spans are undefined and the caller
     * wipes them. */
    ARIL_MUST_USE aril_status (*aead_open)(struct arili_aead_ctx *ctx,
                                           const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                           aril_bytes aad, aril_bytes body,
                                           const uint8_t tag[ARILI_AEAD_TAG_BYTES],
                                           const aril_span *ret_spans, size_t count);
    /* The same in pieces, as they come in: begin, more for each, end with the tag, which may be
     * ARIL_E_AUTH. ret_plain may equal body.data. What more wrote is not verified until end said
     * ARIL_OK; else the caller wipes it. Nothing else is done with the context meanwhile. */
    ARIL_MUST_USE aril_status (*aead_open_begin)(struct arili_aead_ctx *ctx,
                                                 const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                                 aril_bytes aad);
    ARIL_MUST_USE aril_status (*aead_open_more)(struct arili_aead_ctx *ctx, aril_bytes body,
                                                uint8_t *ret_plain);
    ARIL_MUST_USE aril_status (*aead_open_end)(struct arili_aead_ctx *ctx,
                                               const uint8_t tag[ARILI_AEAD_TAG_BYTES]);

    /* --- AES-256, blocks of 16 bytes, ECB: only the building block of XAES. */
    ARIL_MUST_USE aril_status (*aes_blocks)(struct arili_provider *p,
                                            const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                            const uint8_t *in, size_t blocks, uint8_t *ret_out);

    /* --- hash over a list of parts; ret has room for the digest of alg. */
    ARIL_MUST_USE aril_status (*hash)(struct arili_provider *p, enum arili_hash alg,
                                      const aril_bytes *parts, size_t count, uint8_t *ret);
    /* SHAKE256, ret_len bytes. */
    ARIL_MUST_USE aril_status (*xof)(struct arili_provider *p, const aril_bytes *parts,
                                     size_t count, uint8_t *ret, size_t ret_len);

    /* --- HMAC and HKDF (RFC 2104, RFC 5869) with SHA-256 or SHA-384. */
    ARIL_MUST_USE aril_status (*hmac)(struct arili_provider *p, enum arili_hash alg, aril_bytes key,
                                      const aril_bytes *parts, size_t count, uint8_t *ret);
    ARIL_MUST_USE aril_status (*hkdf_extract)(struct arili_provider *p, enum arili_hash alg,
                                              aril_bytes salt, aril_bytes ikm, uint8_t *ret_prk);
    ARIL_MUST_USE aril_status (*hkdf_expand)(struct arili_provider *p, enum arili_hash alg,
                                             aril_bytes prk, aril_bytes info, uint8_t *ret,
                                             size_t len);

    /* --- ML-KEM (FIPS 203) and X25519 (RFC 7748). Import checks lengths and, for
     * public ML-KEM keys, the modulus; a bad key is ARIL_E_FORMAT_FIELD. */
    ARIL_MUST_USE aril_status (*kem_import_seed)(struct arili_provider *p, enum arili_kem alg,
                                                 aril_bytes seed, struct arili_pkey **ret);
    ARIL_MUST_USE aril_status (*kem_import_public)(struct arili_provider *p, enum arili_kem alg,
                                                   aril_bytes public_key, struct arili_pkey **ret);
    /* The encoded public key; *ret_len is exact. */
    ARIL_MUST_USE aril_status (*pkey_public)(const struct arili_pkey *key, uint8_t *ret, size_t cap,
                                             size_t *ret_len);
    void (*pkey_free)(struct arili_pkey *key);
    /* rand: NULL for fresh randomness, else 32 bytes m (known-answer tests only). */
    ARIL_MUST_USE aril_status (*kem_encaps)(const struct arili_pkey *key, const uint8_t *rand,
                                            uint8_t *ret_ct, size_t ct_len,
                                            uint8_t ret_ss[ARILI_ML_KEM_SHARED_BYTES]);
    /* Never fails on a forged ciphertext of the right length (implicit rejection);
     * a wrong length is ARIL_E_FORMAT_LENGTH. */
    ARIL_MUST_USE aril_status (*kem_decaps)(const struct arili_pkey *key, aril_bytes ct,
                                            uint8_t ret_ss[ARILI_ML_KEM_SHARED_BYTES]);
    /* X25519; an all-zero result is ARIL_E_FORMAT_FIELD (RFC 9180 7.1.4). */
    ARIL_MUST_USE aril_status (*x25519)(const struct arili_pkey *key, const struct arili_pkey *peer,
                                        uint8_t ret_ss[ARILI_X25519_BYTES]);

    /* --- ML-DSA (FIPS 204, pure). alg is 65 or 87. */
    ARIL_MUST_USE aril_status (*sign_import_seed)(struct arili_provider *p, int alg,
                                                  aril_bytes seed, struct arili_pkey **ret);
    ARIL_MUST_USE aril_status (*sign_import_public)(struct arili_provider *p, int alg,
                                                    aril_bytes public_key, struct arili_pkey **ret);
    /* deterministic: rnd of 32 zero bytes, for known-answer tests; else hedged. */
    ARIL_MUST_USE aril_status (*sign)(const struct arili_pkey *key, aril_bytes context,
                                      aril_bytes message, bool deterministic, uint8_t *ret_sig,
                                      size_t sig_len);
    ARIL_MUST_USE aril_status (*verify)(const struct arili_pkey *key, aril_bytes context,
                                        aril_bytes message, aril_bytes sig);
    /* Whether an expanded private key (FIPS 204 algorithm 24) is the one that the seed
     * of key gives; ARIL_E_FORMAT_FIELD when not. Compares in constant time. */
    ARIL_MUST_USE aril_status (*sign_check_expanded)(const struct arili_pkey *key,
                                                     aril_bytes expanded);

    /* --- Argon2id (RFC 9106, version 0x13), without secret and associated data. Takes
     * memory_kib KiB (8 for each lane at least) and passes over them iterations times; lanes
     * are computed one after the other. Parameters outside the RFC are ARIL_E_USAGE_RANGE;
     * the caller bounds those that come from outside. */
    ARIL_MUST_USE aril_status (*argon2id)(struct arili_provider *p, aril_bytes passphrase,
                                          aril_bytes salt, uint32_t memory_kib, uint32_t iterations,
                                          uint32_t lanes, uint8_t *ret, size_t ret_len);

    /* --- BLAKE2b (RFC 7693), unkeyed, ret_len 1 to ARILI_BLAKE2B_BYTES_MAX: names of
     * cachekit. */
    ARIL_MUST_USE aril_status (*blake2b)(struct arili_provider *p, const aril_bytes *parts,
                                         size_t count, uint8_t *ret, size_t ret_len);

    /* --- AES-256-SIV (RFC 5297): deterministic, for names that must be found again. aad is the
     * one component of associated data; when it is empty there is none. Seal: ret_iv and ret_body
     * (plain.len, at least 1, at most ARILI_SIV_PLAIN_BYTES_MAX); open: ARIL_E_AUTH. Text and body
     * may be the same memory, else must not overlap. On failure outputs are zero or unchanged. */
    ARIL_MUST_USE aril_status (*siv_seal)(struct arili_provider *p,
                                          const uint8_t key[ARILI_SIV_KEY_BYTES], aril_bytes aad,
                                          aril_bytes plain, uint8_t ret_iv[ARILI_SIV_IV_BYTES],
                                          uint8_t *ret_body);
    ARIL_MUST_USE aril_status (*siv_open)(struct arili_provider *p,
                                          const uint8_t key[ARILI_SIV_KEY_BYTES], aril_bytes aad,
                                          const uint8_t iv[ARILI_SIV_IV_BYTES], aril_bytes body,
                                          uint8_t *ret_plain);

    /* --- AES-128-GCM, one message: LMCache's smaller key size. The tag stands behind the
     * ciphertext in body (plain.len + 16), and there is no associated data. ARIL_E_AUTH also for a
     * body shorter than a tag. On failure outputs are zero or unchanged. */
    ARIL_MUST_USE aril_status (*gcm128_seal)(struct arili_provider *p,
                                             const uint8_t key[ARILI_GCM128_KEY_BYTES],
                                             const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                             aril_bytes plain, uint8_t *ret_body);
    ARIL_MUST_USE aril_status (*gcm128_open)(struct arili_provider *p,
                                             const uint8_t key[ARILI_GCM128_KEY_BYTES],
                                             const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                             aril_bytes body, uint8_t *ret_plain);

    /* --- AES-256-GCM, sealing in pieces: begin, more for each, end gives the tag. ret_body has
     * plain.len and may equal plain.data. Nothing else is done with the context meanwhile; more and
     * end without begin are ARIL_E_USAGE_STATE, as those of opening are. After a failure what was
     * written is undefined and the tag unchanged. */
    ARIL_MUST_USE aril_status (*aead_seal_begin)(struct arili_aead_ctx *ctx,
                                                 const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                                 aril_bytes aad);
    ARIL_MUST_USE aril_status (*aead_seal_more)(struct arili_aead_ctx *ctx, aril_bytes plain,
                                                uint8_t *ret_body);
    ARIL_MUST_USE aril_status (*aead_seal_end)(struct arili_aead_ctx *ctx,
                                               uint8_t ret_tag[ARILI_AEAD_TAG_BYTES]);

    /* --- aes_blocks with what ctx keeps for it, beside its AES-256-GCM key and until _wipe: for
     * many calls under one key, as XAES makes them. key NULL: that of the call before; without one
     * USAGE_STATE. After a failure there is none. */
    ARIL_MUST_USE aril_status (*aead_blocks)(struct arili_aead_ctx *ctx,
                                             const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                             const uint8_t *in, size_t blocks, uint8_t *ret_out);
};

/* The provider and its table, handed around together. */
struct arili_crypto {
    const struct arili_crypto_ops *ops;
    struct arili_provider *provider;
};

/* Digest size in bytes; 0 for an unknown one. */
size_t arili_hash_bytes(enum arili_hash alg);
size_t arili_kem_ct_bytes(enum arili_kem alg);
size_t arili_sign_public_bytes(int alg);
size_t arili_sign_signature_bytes(int alg);

/* The provider over OpenSSL >= 3.5, in an own OSSL_LIB_CTX.
 * ARIL_E_UNAVAILABLE when it lacks an algorithm; *ret_missing (optional) names it. */
ARIL_MUST_USE aril_status arili_openssl_new(struct arili_crypto *ret, const char **ret_missing);
void arili_openssl_free(struct arili_crypto *crypto);
const char *arili_openssl_version(void);
/* Whether libcrypto's own memory is left out of core files and wiped when freed. */
bool arili_openssl_heap_in_use(void);
#endif
