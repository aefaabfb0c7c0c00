/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl_internal.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <sys/random.h>
#include <sys/types.h>

aril_status arili_openssl_fail(aril_status code)
{
    const unsigned long error = ERR_peek_last_error();
    ERR_clear_error();
    return arili_fail(ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE ? ARIL_E_NOMEM : code);
}

void arili_evp_pkey_ctx_freep(EVP_PKEY_CTX **ctx)
{
    EVP_PKEY_CTX_free(*ctx);
}

/* The kernel's generator, not OpenSSL's: it knows when the machine was cloned. Encapsulation and
 * signing draw from OpenSSL's inside the library, as FIPS 203 and 204 ask of a module. */
static aril_status provider_random(struct arili_provider *p, uint8_t *ret, size_t len)
{
    (void)p;
    for (size_t done = 0; done < len;) {
        const size_t want = len - done < 256 ? len - done : 256;
        const ssize_t got = getrandom(ret + done, want, 0);
        if (got <= 0) {
            if (got < 0 && errno == EINTR) {
                continue;
            }
            arili_wipe(ret, len);
            ARILI_FAIL(ARIL_E_RANDOM);
        }
        done += (size_t)got;
    }
    return ARIL_OK;
}

static void provider_free(struct arili_provider *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof p->hmac_proto / sizeof *p->hmac_proto; i++) {
        EVP_MAC_CTX_free(p->hmac_proto[i]);
    }
    for (size_t i = 0; i < sizeof p->md / sizeof *p->md; i++) {
        EVP_MD_free(p->md[i]);
    }
    EVP_CIPHER_free(p->gcm);
    EVP_CIPHER_free(p->ecb);
    EVP_CIPHER_free(p->siv);
    EVP_CIPHER_free(p->gcm128);
    EVP_MD_free(p->blake2b);
    EVP_MAC_free(p->hmac);
    EVP_SIGNATURE_free(p->ml_dsa_65);
    EVP_SIGNATURE_free(p->ml_dsa_87);
    EVP_KDF_free(p->argon2id);
    if (p->module != NULL) {
        OSSL_PROVIDER_unload(p->module);
    }
    OSSL_LIB_CTX_free(p->lib);
    arili_free(p, sizeof *p);
}

static void provider_freep(struct arili_provider **p)
{
    provider_free(*p);
}

/* Key types are looked up by name at each use, so it is enough that they exist. */
static bool has_kem(const struct arili_provider *p, const char *name)
{
    EVP_KEYMGMT *keys = EVP_KEYMGMT_fetch(p->lib, name, p->properties);
    EVP_KEM *kem = EVP_KEM_fetch(p->lib, name, p->properties);
    EVP_KEYMGMT_free(keys);
    EVP_KEM_free(kem);
    return keys != NULL && kem != NULL;
}

static bool has_x25519(const struct arili_provider *p)
{
    EVP_KEYMGMT *keys = EVP_KEYMGMT_fetch(p->lib, "X25519", p->properties);
    EVP_KEYEXCH *exchange = EVP_KEYEXCH_fetch(p->lib, "X25519", p->properties);
    EVP_KEYMGMT_free(keys);
    EVP_KEYEXCH_free(exchange);
    return keys != NULL && exchange != NULL;
}

static bool has_hmac(struct arili_provider *p, enum arili_hash alg, const char *digest)
{
    char name[16];
    OPENSSL_strlcpy(name, digest, sizeof name);
    OSSL_PARAM params[3];
    size_t n = 0;
    params[n++] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0);
    char query[64];
    if (p->properties != NULL) {
        OPENSSL_strlcpy(query, p->properties, sizeof query);
        params[n++] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_PROPERTIES, query, 0);
    }
    params[n] = OSSL_PARAM_construct_end();
    p->hmac_proto[alg] = EVP_MAC_CTX_new(p->hmac);
    return p->hmac_proto[alg] != NULL && EVP_MAC_CTX_set_params(p->hmac_proto[alg], params) == 1;
}

/* NULL, or the first algorithm that is not there. */
static const char *fetch_all(struct arili_provider *p)
{
    const char *const q = p->properties;
#define NEED(expr, name)   \
    do {                   \
        if (!(expr)) {     \
            return (name); \
        }                  \
    } while (0)
    NEED(p->gcm = EVP_CIPHER_fetch(p->lib, "AES-256-GCM", q), "AES-256-GCM");
    NEED(p->ecb = EVP_CIPHER_fetch(p->lib, "AES-256-ECB", q), "AES-256-ECB");
    NEED(p->md[ARILI_SHA256] = EVP_MD_fetch(p->lib, "SHA256", q), "SHA-256");
    NEED(p->md[ARILI_SHA384] = EVP_MD_fetch(p->lib, "SHA384", q), "SHA-384");
    NEED(p->md[ARILI_SHA3_256] = EVP_MD_fetch(p->lib, "SHA3-256", q), "SHA3-256");
    NEED(p->md[ARILI_SHAKE256] = EVP_MD_fetch(p->lib, "SHAKE256", q), "SHAKE256");
    NEED(p->hmac = EVP_MAC_fetch(p->lib, "HMAC", q), "HMAC");
    NEED(has_hmac(p, ARILI_SHA256, "SHA256"), "HMAC-SHA-256");
    NEED(has_hmac(p, ARILI_SHA384, "SHA384"), "HMAC-SHA-384");
    NEED(has_kem(p, "ML-KEM-768"), "ML-KEM-768");
    NEED(has_kem(p, "ML-KEM-1024"), "ML-KEM-1024");
    NEED(has_x25519(p), "X25519");
    NEED(p->ml_dsa_65 = EVP_SIGNATURE_fetch(p->lib, "ML-DSA-65", q), "ML-DSA-65");
    NEED(p->ml_dsa_87 = EVP_SIGNATURE_fetch(p->lib, "ML-DSA-87", q), "ML-DSA-87");
    NEED(p->argon2id = EVP_KDF_fetch(p->lib, "ARGON2ID", q), "Argon2id");
    NEED(p->blake2b = EVP_MD_fetch(p->lib, "BLAKE2B-512", q), "BLAKE2b");
    NEED(p->siv = EVP_CIPHER_fetch(p->lib, "AES-256-SIV", q), "AES-256-SIV");
    NEED(p->gcm128 = EVP_CIPHER_fetch(p->lib, "AES-128-GCM", q), "AES-128-GCM");
#undef NEED
    return NULL;
}

static const struct arili_crypto_ops openssl_ops = {
    .abi = ARILI_CRYPTO_ABI,
    .name = "openssl",
    .random = provider_random,
    .aead_new = arili_openssl_aead_new,
    .aead_free = arili_openssl_aead_free,
    .aead_key = arili_openssl_aead_key,
    .aead_wipe = arili_openssl_aead_wipe,
    .aead_seal = arili_openssl_aead_seal,
    .aead_open = arili_openssl_aead_open,
    .aead_open_begin = arili_openssl_aead_open_begin,
    .aead_open_more = arili_openssl_aead_open_more,
    .aead_open_end = arili_openssl_aead_open_end,
    .aead_seal_begin = arili_openssl_aead_seal_begin,
    .aead_seal_more = arili_openssl_aead_seal_more,
    .aead_seal_end = arili_openssl_aead_seal_end,
    .aead_blocks = arili_openssl_aead_blocks,
    .aes_blocks = arili_openssl_aes_blocks,
    .hash = arili_openssl_hash,
    .xof = arili_openssl_xof,
    .hmac = arili_openssl_hmac,
    .hkdf_extract = arili_openssl_hkdf_extract,
    .hkdf_expand = arili_openssl_hkdf_expand,
    .kem_import_seed = arili_openssl_kem_import_seed,
    .kem_import_public = arili_openssl_kem_import_public,
    .pkey_public = arili_openssl_pkey_public,
    .pkey_free = arili_openssl_pkey_free,
    .kem_encaps = arili_openssl_kem_encaps,
    .kem_decaps = arili_openssl_kem_decaps,
    .x25519 = arili_openssl_x25519,
    .sign_import_seed = arili_openssl_sign_import_seed,
    .sign_import_public = arili_openssl_sign_import_public,
    .sign = arili_openssl_sign,
    .verify = arili_openssl_verify,
    .sign_check_expanded = arili_openssl_sign_check_expanded,
    .argon2id = arili_openssl_argon2id,
    .blake2b = arili_openssl_blake2b,
    .siv_seal = arili_openssl_siv_seal,
    .siv_open = arili_openssl_siv_open,
    .gcm128_seal = arili_openssl_gcm128_seal,
    .gcm128_open = arili_openssl_gcm128_open,
};

aril_status arili_openssl_new_with(const char *properties, struct arili_crypto *ret,
                                   const char **ret_missing)
{
    arili_openssl_heap_begin();
    /* Before anything else of OpenSSL: no openssl.cnf, which the environment could
     * point elsewhere, and no cleanup at exit under threads that still run. */
    ARILI_TRY(
        ARILI_OSSL(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL),
                   ARIL_E_CRYPTO));
    ARILI_DEFER(provider_freep) struct arili_provider *p = arili_alloc(sizeof *p);
    ARILI_ENSURE(p != NULL, ARIL_E_NOMEM);
    p->properties = properties;
    p->lib = OSSL_LIB_CTX_new();
    ARILI_TRY(ARILI_OSSL(p->lib != NULL, ARIL_E_NOMEM));
    p->module = OSSL_PROVIDER_load(p->lib, "default");
    ARILI_TRY(ARILI_OSSL(p->module != NULL, ARIL_E_UNAVAILABLE));

    const char *const missing = fetch_all(p);
    if (missing != NULL) {
        if (ret_missing != NULL) {
            *ret_missing = missing;
        }
        return arili_openssl_fail(ARIL_E_UNAVAILABLE);
    }
    *ret = (struct arili_crypto){ .ops = &openssl_ops, .provider = ARILI_TAKE(p) };
    return ARIL_OK;
}

aril_status arili_openssl_new(struct arili_crypto *ret, const char **ret_missing)
{
    return arili_openssl_new_with(NULL, ret, ret_missing);
}

void arili_openssl_free(struct arili_crypto *crypto)
{
    if (crypto != NULL) {
        provider_free(crypto->provider);
        *crypto = (struct arili_crypto){ 0 };
    }
}

struct arili_provider *arili_openssl_provider_of(const struct arili_crypto *crypto)
{
    return crypto->ops->aead_new == arili_openssl_aead_new ? crypto->provider : NULL;
}

const char *arili_openssl_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}
