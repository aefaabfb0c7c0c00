/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_OPENSSL_INTERNAL_H
#define ARILI_CRYPTO_OPENSSL_INTERNAL_H
#include "crypto/crypto.h"
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

/* Shared by crypto/openssl_*.c only. */

struct arili_provider {
    OSSL_LIB_CTX *lib;
    OSSL_PROVIDER *module;
    const char *properties; /* of every fetch; NULL for any */
    EVP_CIPHER *gcm;
    EVP_CIPHER *ecb;
    EVP_CIPHER *siv;
    EVP_CIPHER *gcm128;
    EVP_MD *md[ARILI_SHAKE256 + 1]; /* by enum arili_hash */
    EVP_MD *blake2b;
    EVP_MAC *hmac;
    EVP_MAC_CTX *hmac_proto[ARILI_SHA384 + 1]; /* without a key; copied per use */
    EVP_SIGNATURE *ml_dsa_65;
    EVP_SIGNATURE *ml_dsa_87;
    EVP_KDF *argon2id;
};

struct arili_key_type {
    const char *name; /* OpenSSL's */
    size_t seed_bytes;
    size_t public_bytes;
    size_t output_bytes; /* ciphertext or signature */
    enum { ARILI_KEY_KEM, ARILI_KEY_DH, ARILI_KEY_SIGN } use;
};

struct arili_pkey {
    struct arili_provider *provider;
    const struct arili_key_type *type;
    EVP_PKEY *evp;
    bool is_private;
};

/* OpenSSL answers 1 for success, 0 or less for failure; here that becomes a status.
 * ARILI_TRY(ARILI_OSSL(EVP_..(), ARIL_E_CRYPTO)). */
#define ARILI_OSSL(expr, code) ((expr) > 0 ? ARIL_OK : arili_openssl_fail(code))

/* Empties OpenSSL's error queue of this thread, so that no failure shows up in a
 * later call, and returns code, or ARIL_E_NOMEM when that was the reason. */
__attribute__((cold)) aril_status arili_openssl_fail(aril_status code);

/* Some calls of OpenSSL take NULL for "not given", which an empty span is not. */
static inline const uint8_t *arili_openssl_data(aril_bytes b)
{
    static const uint8_t nothing[1] = { 0 };
    return b.len > 0 ? b.data : nothing;
}

void arili_evp_pkey_ctx_freep(EVP_PKEY_CTX **ctx);

/* arili_openssl_new() with a property query, for other provider modules and to
 * test what happens without an algorithm. properties is borrowed. */
ARIL_MUST_USE aril_status arili_openssl_new_with(const char *properties, struct arili_crypto *ret,
                                                 const char **ret_missing);

/* Each part's share of the table, in openssl_provider.c. */
#define ARILI_DECLARE(name) \
    extern __typeof__(*((struct arili_crypto_ops *)0)->name) arili_openssl_##name
ARILI_DECLARE(aead_new);
ARILI_DECLARE(aead_free);
ARILI_DECLARE(aead_key);
ARILI_DECLARE(aead_wipe);
ARILI_DECLARE(aead_seal);
ARILI_DECLARE(aead_open);
ARILI_DECLARE(aead_open_begin);
ARILI_DECLARE(aead_open_more);
ARILI_DECLARE(aead_open_end);
ARILI_DECLARE(aead_seal_begin);
ARILI_DECLARE(aead_seal_more);
ARILI_DECLARE(aead_seal_end);
ARILI_DECLARE(aead_blocks);
ARILI_DECLARE(aes_blocks);
ARILI_DECLARE(hash);
ARILI_DECLARE(xof);
ARILI_DECLARE(hmac);
ARILI_DECLARE(hkdf_extract);
ARILI_DECLARE(hkdf_expand);
ARILI_DECLARE(kem_import_seed);
ARILI_DECLARE(kem_import_public);
ARILI_DECLARE(kem_encaps);
ARILI_DECLARE(kem_decaps);
ARILI_DECLARE(x25519);
ARILI_DECLARE(pkey_public);
ARILI_DECLARE(pkey_free);
ARILI_DECLARE(sign_import_seed);
ARILI_DECLARE(sign_import_public);
ARILI_DECLARE(sign);
ARILI_DECLARE(verify);
ARILI_DECLARE(sign_check_expanded);
ARILI_DECLARE(argon2id);
ARILI_DECLARE(blake2b);
ARILI_DECLARE(siv_seal);
ARILI_DECLARE(siv_open);
ARILI_DECLARE(gcm128_seal);
ARILI_DECLARE(gcm128_open);
#undef ARILI_DECLARE

/* Both check the length (ARIL_E_FORMAT_LENGTH); a key that OpenSSL refuses is
 * ARIL_E_FORMAT_FIELD. */
ARIL_MUST_USE aril_status arili_openssl_import_seed(struct arili_provider *p,
                                                    const struct arili_key_type *type,
                                                    aril_bytes seed, struct arili_pkey **ret);
ARIL_MUST_USE aril_status arili_openssl_import_public(struct arili_provider *p,
                                                      const struct arili_key_type *type,
                                                      aril_bytes public_key,
                                                      struct arili_pkey **ret);

/* What the table works with; NULL when it is not OpenSSL's, but a test's. */
struct arili_provider *arili_openssl_provider_of(const struct arili_crypto *crypto);

/* --- Files of certificates and keys, PEM (openssl_pem.c). Symbolic links are followed; owner and
 * mode are judged at the file they lead to. FORMAT when it holds none or a broken one. */

/* Every certificate in the file, at least one. checks: of base/files.h. */
ARIL_MUST_USE aril_status arili_openssl_read_certs(struct arili_provider *p, const char *path,
                                                   unsigned checks, STACK_OF(X509) * *ret,
                                                   aril_error *error);
/* The first private key, which must not be encrypted and not be readable by others. */
ARIL_MUST_USE aril_status arili_openssl_read_key(struct arili_provider *p, const char *path,
                                                 EVP_PKEY **ret, aril_error *error);

/* Give libcrypto the heap of base/heap.h. Before any other call of it; the first call decides.
 * arili_openssl_heap_in_use() in crypto/crypto.h tells whether it worked. */
void arili_openssl_heap_begin(void);
#endif
