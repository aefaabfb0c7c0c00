/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl_internal.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

/*
 * Whole messages, each under a key that is given with it: AES-256-SIV and AES-128-GCM. Each call
 * makes a context; what is sealed often goes through openssl_aead.c.
 */

#define TAG_BYTES 16u

static void cipher_ctx_freep(EVP_CIPHER_CTX **ctx)
{
    EVP_CIPHER_CTX_free(*ctx); /* wipes the key schedule */
}

/* A context for one message. tag: NULL to seal. */
static aril_status begin(const EVP_CIPHER *cipher, const uint8_t *key, const uint8_t *nonce,
                         const uint8_t *tag, EVP_CIPHER_CTX **ret)
{
    ARILI_DEFER(cipher_ctx_freep) EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new();
    ARILI_TRY(ARILI_OSSL(evp != NULL, ARIL_E_NOMEM));
    ARILI_TRY(
        ARILI_OSSL(EVP_CipherInit_ex2(evp, cipher, key, nonce, tag == NULL, NULL), ARIL_E_CRYPTO));
    if (tag != NULL) {
        uint8_t copy[TAG_BYTES]; /* OSSL_PARAM has no const */
        memcpy(copy, tag, sizeof copy);
        const OSSL_PARAM params[] = {
            OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, copy, sizeof copy), OSSL_PARAM_END
        };
        ARILI_TRY(ARILI_OSSL(EVP_CIPHER_CTX_set_params(evp, params), ARIL_E_CRYPTO));
    }
    *ret = ARILI_TAKE(evp);
    return ARIL_OK;
}

/* Associated data, when there is any, and all of in to out. code: what a refusal means. The
 * caller has checked that lengths fit an int. */
static aril_status run(EVP_CIPHER_CTX *evp, aril_bytes aad, aril_bytes in, uint8_t *out,
                       aril_status code)
{
    int written = 0;
    if (aad.len > 0) {
        ARILI_TRY(ARILI_OSSL(EVP_CipherUpdate(evp, NULL, &written, aad.data, (int)aad.len),
                             ARIL_E_CRYPTO));
    }
    if (in.len > 0) {
        ARILI_TRY(ARILI_OSSL(EVP_CipherUpdate(evp, out, &written, in.data, (int)in.len), code));
    }
    uint8_t none[TAG_BYTES]; /* neither mode has anything left to write */
    return ARILI_OSSL(EVP_CipherFinal_ex(evp, none, &written), code);
}

static aril_status get_tag(EVP_CIPHER_CTX *evp, uint8_t *ret_tag)
{
    OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, ret_tag, TAG_BYTES),
                            OSSL_PARAM_END };
    return ARILI_OSSL(EVP_CIPHER_CTX_get_params(evp, params), ARIL_E_CRYPTO);
}

static aril_status siv_check(aril_bytes aad, aril_bytes text)
{
    ARILI_ENSURE(text.len >= 1 && text.len <= ARILI_SIV_PLAIN_BYTES_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(aad.len <= ARILI_SIV_PLAIN_BYTES_MAX, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

aril_status arili_openssl_siv_seal(struct arili_provider *p, const uint8_t key[ARILI_SIV_KEY_BYTES],
                                   aril_bytes aad, aril_bytes plain,
                                   uint8_t ret_iv[ARILI_SIV_IV_BYTES], uint8_t *ret_body)
{
    ARILI_TRY(siv_check(aad, plain));
    ARILI_DEFER(cipher_ctx_freep) EVP_CIPHER_CTX *evp = NULL;
    ARILI_TRY(begin(p->siv, key, NULL, NULL, &evp));
    aril_status st = run(evp, aad, plain, ret_body, ARIL_E_CRYPTO);
    if (st == ARIL_OK) {
        st = get_tag(evp, ret_iv);
    }
    if (st != ARIL_OK) {
        arili_wipe(ret_body, plain.len);
        arili_wipe(ret_iv, ARILI_SIV_IV_BYTES);
    }
    return st;
}

aril_status arili_openssl_siv_open(struct arili_provider *p, const uint8_t key[ARILI_SIV_KEY_BYTES],
                                   aril_bytes aad, const uint8_t iv[ARILI_SIV_IV_BYTES],
                                   aril_bytes body, uint8_t *ret_plain)
{
    ARILI_TRY(siv_check(aad, body));
    ARILI_DEFER(cipher_ctx_freep) EVP_CIPHER_CTX *evp = NULL;
    ARILI_TRY(begin(p->siv, key, NULL, iv, &evp));
    const aril_status st = run(evp, aad, body, ret_plain, ARIL_E_AUTH);
    if (st != ARIL_OK) {
        arili_wipe(ret_plain, body.len);
    }
    return st;
}

#define GCM128_BYTES_MAX ((size_t)INT_MAX - TAG_BYTES) /* OpenSSL's lengths are int */

aril_status arili_openssl_gcm128_seal(struct arili_provider *p,
                                      const uint8_t key[ARILI_GCM128_KEY_BYTES],
                                      const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes plain,
                                      uint8_t *ret_body)
{
    ARILI_ENSURE(plain.len <= GCM128_BYTES_MAX, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(cipher_ctx_freep) EVP_CIPHER_CTX *evp = NULL;
    ARILI_TRY(begin(p->gcm128, key, nonce, NULL, &evp));
    aril_status st = run(evp, (aril_bytes){ 0 }, plain, ret_body, ARIL_E_CRYPTO);
    if (st == ARIL_OK) {
        st = get_tag(evp, ret_body + plain.len);
    }
    if (st != ARIL_OK) {
        arili_wipe(ret_body, plain.len + TAG_BYTES);
    }
    return st;
}

aril_status arili_openssl_gcm128_open(struct arili_provider *p,
                                      const uint8_t key[ARILI_GCM128_KEY_BYTES],
                                      const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes body,
                                      uint8_t *ret_plain)
{
    ARILI_ENSURE(body.len >= TAG_BYTES, ARIL_E_AUTH);
    ARILI_ENSURE(body.len - TAG_BYTES <= GCM128_BYTES_MAX, ARIL_E_USAGE_RANGE);
    const aril_bytes text = { body.data, body.len - TAG_BYTES };
    ARILI_DEFER(cipher_ctx_freep) EVP_CIPHER_CTX *evp = NULL;
    ARILI_TRY(begin(p->gcm128, key, nonce, body.data + text.len, &evp));
    const aril_status st = run(evp, (aril_bytes){ 0 }, text, ret_plain, ARIL_E_AUTH);
    if (st != ARIL_OK && text.len > 0) {
        arili_wipe(ret_plain, text.len);
    }
    return st;
}
