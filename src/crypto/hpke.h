/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_HPKE_H
#define ARILI_CRYPTO_HPKE_H
#include "crypto/crypto.h"

/*
 * HPKE (RFC 9180, draft-ietf-hpke-pq), modes base and PSK, AES-256-GCM. Private keys
 * are seeds. DHKEM(X25519) is there for the published vectors of RFC 9180.
 */
enum arili_hpke_kem {
    ARILI_HPKE_X25519 = 0x0020,
    ARILI_HPKE_ML_KEM_768 = 0x0041,
    ARILI_HPKE_ML_KEM_1024 = 0x0042,
    ARILI_HPKE_X_WING = 0x647a
};
enum arili_hpke_kdf { ARILI_HPKE_HKDF_SHA256 = 1, ARILI_HPKE_HKDF_SHA384 = 2 };
/* AES-128-GCM exists only in published vectors and is not offered. */
enum arili_hpke_aead { ARILI_HPKE_AES_256_GCM = 2 };

struct arili_hpke_suite {
    enum arili_hpke_kem kem;
    enum arili_hpke_kdf kdf;
};

#define ARILI_HPKE_PUBLIC_BYTES_MAX 1568u
#define ARILI_HPKE_ENC_BYTES_MAX    1568u
#define ARILI_HPKE_SEED_BYTES_MAX   64u
#define ARILI_HPKE_SHARED_BYTES     32u

size_t arili_hpke_seed_bytes(enum arili_hpke_kem kem);
size_t arili_hpke_public_bytes(enum arili_hpke_kem kem);
size_t arili_hpke_enc_bytes(enum arili_hpke_kem kem);

/* A recipient's key pair: seed imported, public key encoded. */
struct arili_hpke_key;
ARIL_MUST_USE aril_status arili_hpke_key_generate(const struct arili_crypto *c,
                                                  enum arili_hpke_kem kem,
                                                  struct arili_hpke_key **ret);
ARIL_MUST_USE aril_status arili_hpke_key_import(const struct arili_crypto *c,
                                                enum arili_hpke_kem kem, aril_bytes seed,
                                                struct arili_hpke_key **ret);
/* DeriveKeyPair(ikm) of draft-ietf-hpke-pq; ikm at least the seed's length. */
ARIL_MUST_USE aril_status arili_hpke_key_derive(const struct arili_crypto *c,
                                                enum arili_hpke_kem kem, aril_bytes ikm,
                                                struct arili_hpke_key **ret);
aril_bytes arili_hpke_key_public(const struct arili_hpke_key *key);
void arili_hpke_key_free(struct arili_hpke_key *key);
void arili_hpke_key_freep(struct arili_hpke_key **key);

/* A PSK, at least 32 bytes with a non-empty id; both empty is mode base. */
struct arili_hpke_psk {
    aril_bytes psk;
    aril_bytes id;
};

/* Context of one sender or recipient. The caller owns the struct and ends it with
 * _done, which wipes. Not for two threads at once. */
struct arili_hpke_ctx {
    const struct arili_crypto *crypto;
    struct arili_hpke_suite suite;
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    uint8_t base_nonce[ARILI_AEAD_NONCE_BYTES];
    uint8_t exporter[ARILI_HASH_BYTES_MAX];
    uint64_t seq;
    bool sender;
};
void arili_hpke_done(struct arili_hpke_ctx *ctx);

/* enc_rand: NULL, or the randomness of Encap for known-answer tests (ikmE). enc_len
 * is exactly arili_hpke_enc_bytes(). psk NULL is mode base. */
ARIL_MUST_USE aril_status arili_hpke_setup_sender(const struct arili_crypto *c,
                                                  struct arili_hpke_suite suite,
                                                  aril_bytes recipient, aril_bytes info,
                                                  const struct arili_hpke_psk *psk,
                                                  const aril_bytes *enc_rand, uint8_t *ret_enc,
                                                  size_t enc_len, struct arili_hpke_ctx *ret);
ARIL_MUST_USE aril_status arili_hpke_setup_recipient(
    const struct arili_crypto *c, struct arili_hpke_suite suite, const struct arili_hpke_key *key,
    aril_bytes enc, aril_bytes info, const struct arili_hpke_psk *psk, struct arili_hpke_ctx *ret);

/* ret_ct has room for plain.len + 16. The sequence number advances on success only;
 * ARIL_E_LIMIT before it would wrap. */
ARIL_MUST_USE aril_status arili_hpke_seal(struct arili_hpke_ctx *ctx, aril_bytes aad,
                                          aril_bytes plain, uint8_t *ret_ct, size_t cap,
                                          size_t *ret_len);
ARIL_MUST_USE aril_status arili_hpke_open(struct arili_hpke_ctx *ctx, aril_bytes aad, aril_bytes ct,
                                          uint8_t *ret_plain, size_t cap, size_t *ret_len);
/* RFC 9180 5.3; len at most 255 hash lengths. */
ARIL_MUST_USE aril_status arili_hpke_export(const struct arili_hpke_ctx *ctx, aril_bytes label,
                                            uint8_t *ret, size_t len);

/* Single-shot (RFC 9180 section 6): ret is enc || ct. */
ARIL_MUST_USE aril_status arili_hpke_seal_once(const struct arili_crypto *c,
                                               struct arili_hpke_suite suite, aril_bytes recipient,
                                               aril_bytes info, const struct arili_hpke_psk *psk,
                                               aril_bytes aad, aril_bytes plain, uint8_t *ret,
                                               size_t cap, size_t *ret_len);
ARIL_MUST_USE aril_status arili_hpke_open_once(const struct arili_crypto *c,
                                               struct arili_hpke_suite suite,
                                               const struct arili_hpke_key *key, aril_bytes info,
                                               const struct arili_hpke_psk *psk, aril_bytes aad,
                                               aril_bytes enc_and_ct, uint8_t *ret_plain,
                                               size_t cap, size_t *ret_len);
#endif
