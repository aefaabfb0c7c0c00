/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl_internal.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <openssl/core_names.h>
#include <string.h>

static void md_ctx_freep(EVP_MD_CTX **ctx)
{
    EVP_MD_CTX_free(*ctx);
}

static void mac_ctx_freep(EVP_MAC_CTX **ctx)
{
    EVP_MAC_CTX_free(*ctx);
}

static void kdf_ctx_freep(EVP_KDF_CTX **ctx)
{
    EVP_KDF_CTX_free(*ctx);
}

/* A digest context that has read the parts. params: NULL for none. */
static aril_status absorb(const EVP_MD *md, const OSSL_PARAM *params, const aril_bytes *parts,
                          size_t count, EVP_MD_CTX **ret)
{
    ARILI_DEFER(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    ARILI_TRY(ARILI_OSSL(ctx != NULL, ARIL_E_NOMEM));
    ARILI_TRY(ARILI_OSSL(EVP_DigestInit_ex2(ctx, md, params), ARIL_E_CRYPTO));
    for (size_t i = 0; i < count; i++) {
        ARILI_TRY(ARILI_OSSL(EVP_DigestUpdate(ctx, parts[i].data, parts[i].len), ARIL_E_CRYPTO));
    }
    *ret = ARILI_TAKE(ctx);
    return ARIL_OK;
}

aril_status arili_openssl_hash(struct arili_provider *p, enum arili_hash alg,
                               const aril_bytes *parts, size_t count, uint8_t *ret)
{
    ARILI_ENSURE(arili_hash_bytes(alg) > 0, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(md_ctx_freep) EVP_MD_CTX *ctx = NULL;
    ARILI_TRY(absorb(p->md[alg], NULL, parts, count, &ctx));
    ARILI_TRY(ARILI_OSSL(EVP_DigestFinal_ex(ctx, ret, NULL), ARIL_E_CRYPTO));
    return ARIL_OK;
}

aril_status arili_openssl_xof(struct arili_provider *p, const aril_bytes *parts, size_t count,
                              uint8_t *ret, size_t ret_len)
{
    ARILI_DEFER(md_ctx_freep) EVP_MD_CTX *ctx = NULL;
    ARILI_TRY(absorb(p->md[ARILI_SHAKE256], NULL, parts, count, &ctx));
    ARILI_TRY(ARILI_OSSL(EVP_DigestFinalXOF(ctx, ret, ret_len), ARIL_E_CRYPTO));
    return ARIL_OK;
}

aril_status arili_openssl_blake2b(struct arili_provider *p, const aril_bytes *parts, size_t count,
                                  uint8_t *ret, size_t ret_len)
{
    ARILI_ENSURE(ret_len >= 1 && ret_len <= ARILI_BLAKE2B_BYTES_MAX, ARIL_E_USAGE_RANGE);
    size_t size = ret_len;
    const OSSL_PARAM params[] = { OSSL_PARAM_size_t(OSSL_DIGEST_PARAM_SIZE, &size),
                                  OSSL_PARAM_END };
    ARILI_DEFER(md_ctx_freep) EVP_MD_CTX *ctx = NULL;
    ARILI_TRY(absorb(p->blake2b, params, parts, count, &ctx));
    /* A library that passes over the parameter would write the full length. */
    uint8_t digest[ARILI_BLAKE2B_BYTES_MAX];
    unsigned written = 0;
    aril_status st = ARILI_OSSL(EVP_DigestFinal_ex(ctx, digest, &written), ARIL_E_CRYPTO);
    if (st == ARIL_OK && written != ret_len) {
        st = arili_fail(ARIL_E_CRYPTO);
    }
    if (st == ARIL_OK) {
        memcpy(ret, digest, ret_len);
    }
    arili_wipe(digest, sizeof digest);
    return st;
}

static bool is_hmac_hash(enum arili_hash alg)
{
    return alg == ARILI_SHA256 || alg == ARILI_SHA384;
}

/* One HMAC with a context that knows its hash; the key may be empty. */
static aril_status mac_run(EVP_MAC_CTX *ctx, aril_bytes key, const aril_bytes *parts, size_t count,
                           uint8_t *ret, size_t ret_len)
{
    size_t written = 0;
    ARILI_TRY(ARILI_OSSL(EVP_MAC_init(ctx, arili_openssl_data(key), key.len, NULL), ARIL_E_CRYPTO));
    for (size_t i = 0; i < count; i++) {
        ARILI_TRY(ARILI_OSSL(EVP_MAC_update(ctx, arili_openssl_data(parts[i]), parts[i].len),
                             ARIL_E_CRYPTO));
    }
    ARILI_TRY(ARILI_OSSL(EVP_MAC_final(ctx, ret, &written, ret_len), ARIL_E_CRYPTO));
    ARILI_ENSURE(written == ret_len, ARIL_E_CRYPTO);
    return ARIL_OK;
}

/* A copy of the prepared context: looking the hash up by name costs more. */
static aril_status mac_new(struct arili_provider *p, enum arili_hash alg, EVP_MAC_CTX **ret)
{
    ARILI_ENSURE(is_hmac_hash(alg), ARIL_E_USAGE_RANGE);
    *ret = EVP_MAC_CTX_dup(p->hmac_proto[alg]);
    return ARILI_OSSL(*ret != NULL, ARIL_E_NOMEM);
}

aril_status arili_openssl_hmac(struct arili_provider *p, enum arili_hash alg, aril_bytes key,
                               const aril_bytes *parts, size_t count, uint8_t *ret)
{
    ARILI_DEFER(mac_ctx_freep) EVP_MAC_CTX *ctx = NULL;
    ARILI_TRY(mac_new(p, alg, &ctx));
    return mac_run(ctx, key, parts, count, ret, arili_hash_bytes(alg));
}

/* RFC 5869 2.2. An empty salt is one of zeros: HMAC pads its key with them. */
aril_status arili_openssl_hkdf_extract(struct arili_provider *p, enum arili_hash alg,
                                       aril_bytes salt, aril_bytes ikm, uint8_t *ret_prk)
{
    return arili_openssl_hmac(p, alg, salt, &ikm, 1, ret_prk);
}

/* RFC 5869 2.3. T(i) = HMAC(prk, T(i-1) || info || i). */
aril_status arili_openssl_hkdf_expand(struct arili_provider *p, enum arili_hash alg, aril_bytes prk,
                                      aril_bytes info, uint8_t *ret, size_t len)
{
    ARILI_DEFER(mac_ctx_freep) EVP_MAC_CTX *ctx = NULL;
    ARILI_TRY(mac_new(p, alg, &ctx));
    const size_t block_len = arili_hash_bytes(alg);
    ARILI_ENSURE(len <= 255 * block_len, ARIL_E_USAGE_RANGE);

    uint8_t block[ARILI_HASH_BYTES_MAX];
    aril_status st = ARIL_OK;
    size_t done = 0;
    for (uint8_t i = 1; done < len && st == ARIL_OK; i++) {
        const aril_bytes parts[] = { { block, i > 1 ? block_len : 0 }, info, { &i, 1 } };
        st = mac_run(ctx, prk, parts, 3, block, block_len);
        const size_t take = len - done < block_len ? len - done : block_len;
        if (st == ARIL_OK) {
            memcpy(ret + done, block, take);
        }
        done += take;
    }
    arili_wipe(block, sizeof block);
    if (st != ARIL_OK) {
        arili_wipe(ret, len);
    }
    return st;
}

#define ARGON2_LANES_MAX    0xffffffu /* RFC 9106 section 3.1 */
#define ARGON2_KIB_PER_LANE 8u
#define ARGON2_IN_BYTES_MAX UINT32_MAX

static aril_status argon2_check(aril_bytes passphrase, aril_bytes salt, uint32_t memory_kib,
                                uint32_t iterations, uint32_t lanes, size_t ret_len)
{
    ARILI_ENSURE(passphrase.len <= ARGON2_IN_BYTES_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(salt.len >= ARILI_ARGON2_SALT_BYTES_MIN && salt.len <= ARGON2_IN_BYTES_MAX,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(lanes >= 1 && lanes <= ARGON2_LANES_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(memory_kib / ARGON2_KIB_PER_LANE >= lanes, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(iterations >= 1, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(ret_len >= ARILI_ARGON2_OUT_BYTES_MIN && ret_len <= UINT32_MAX,
                 ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

aril_status arili_openssl_argon2id(struct arili_provider *p, aril_bytes passphrase, aril_bytes salt,
                                   uint32_t memory_kib, uint32_t iterations, uint32_t lanes,
                                   uint8_t *ret, size_t ret_len)
{
    ARILI_TRY(argon2_check(passphrase, salt, memory_kib, iterations, lanes, ret_len));
    ARILI_DEFER(kdf_ctx_freep) EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(p->argon2id);
    ARILI_TRY(ARILI_OSSL(ctx != NULL, ARIL_E_NOMEM));
    /* The parameters are read only, but OpenSSL's constructors take no const. */
    uint8_t *const pass = (uint8_t *)(uintptr_t)arili_openssl_data(passphrase);
    uint8_t *const salt_data = (uint8_t *)(uintptr_t)arili_openssl_data(salt);
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD, pass, passphrase.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt_data, salt.len),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ARGON2_MEMCOST, &memory_kib),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ITER, &iterations),
        OSSL_PARAM_construct_uint32(OSSL_KDF_PARAM_ARGON2_LANES, &lanes),
        OSSL_PARAM_construct_end(),
    };
    const aril_status st = ARILI_OSSL(EVP_KDF_derive(ctx, ret, ret_len, params), ARIL_E_CRYPTO);
    if (st != ARIL_OK) {
        arili_wipe(ret, ret_len);
    }
    return st;
}
