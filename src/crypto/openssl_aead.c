/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl_internal.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

/* Lengths are int in OpenSSL: longer spans go in pieces of this size. */
#define UPDATE_BYTES_MAX ((size_t)1 << 30)

/* One EVP context serves both directions: GCM has one key schedule for both, and
 * each message says its direction when it sets the nonce. */
struct arili_aead_ctx {
    EVP_CIPHER_CTX *evp;
    bool keyed;
    /* Of aead_blocks: NULL until it is first called. */
    EVP_CIPHER_CTX *blocks;
    bool blocks_keyed;
    const EVP_CIPHER *ecb; /* the provider's */
    /* A message in pieces. Left to itself, libcrypto makes up a nonce for one without begin. */
    enum { NOTHING = 0, SEALING, OPENING } under_way;
};

/* Hands a tag in or out: as a parameter this takes 20 ns less than by ctrl call. */
#define TAG_PARAM(tag) \
    OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, (tag), ARILI_AEAD_TAG_BYTES)

static void aead_freep(struct arili_aead_ctx **ctx)
{
    arili_openssl_aead_free(*ctx);
}

static void blocks_drop(struct arili_aead_ctx *ctx)
{
    EVP_CIPHER_CTX_free(ctx->blocks); /* wipes the key schedule */
    ctx->blocks = NULL;
    ctx->blocks_keyed = false;
}

aril_status arili_openssl_aead_new(struct arili_provider *p, struct arili_aead_ctx **ret)
{
    ARILI_DEFER(aead_freep) struct arili_aead_ctx *ctx = arili_alloc(sizeof *ctx);
    ARILI_ENSURE(ctx != NULL, ARIL_E_NOMEM);
    ctx->evp = EVP_CIPHER_CTX_new();
    ARILI_TRY(ARILI_OSSL(ctx->evp != NULL, ARIL_E_NOMEM));
    ARILI_TRY(ARILI_OSSL(EVP_CipherInit_ex2(ctx->evp, p->gcm, NULL, NULL, 1, NULL), ARIL_E_CRYPTO));
    ctx->ecb = p->ecb;
    *ret = ARILI_TAKE(ctx);
    return ARIL_OK;
}

void arili_openssl_aead_free(struct arili_aead_ctx *ctx)
{
    if (ctx != NULL) {
        EVP_CIPHER_CTX_free(ctx->evp); /* wipes the key schedule */
        blocks_drop(ctx);
        arili_free(ctx, sizeof *ctx);
    }
}

aril_status arili_openssl_aead_key(struct arili_aead_ctx *ctx,
                                   const uint8_t key[ARILI_AEAD_KEY_BYTES])
{
    ctx->keyed = false;
    ctx->under_way = NOTHING;
    ARILI_TRY(ARILI_OSSL(EVP_CipherInit_ex2(ctx->evp, NULL, key, NULL, 1, NULL), ARIL_E_CRYPTO));
    ctx->keyed = true;
    return ARIL_OK;
}

static aril_status blocks_key(struct arili_aead_ctx *ctx, const uint8_t *key)
{
    return ARILI_OSSL(EVP_CipherInit_ex2(ctx->blocks, NULL, key, NULL, 1, NULL), ARIL_E_CRYPTO);
}

void arili_openssl_aead_wipe(struct arili_aead_ctx *ctx)
{
    static const uint8_t zeros[ARILI_AEAD_KEY_BYTES] = { 0 };
    uint8_t tag[ARILI_AEAD_TAG_BYTES];

    /* Emptying the EVP context would free what the next key then allocates again. A
     * key of zeros overwrites the schedule and the hash key; an empty message under
     * it overwrites the counter blocks. */
    if (arili_openssl_aead_key(ctx, zeros) != ARIL_OK ||
        arili_openssl_aead_seal(ctx, zeros, (aril_bytes){ 0 }, NULL, 0, NULL, tag) != ARIL_OK) {
        (void)EVP_CIPHER_CTX_reset(ctx->evp); /* always 1; wipes, and later calls fail */
    }
    if (ctx->blocks_keyed && blocks_key(ctx, zeros) != ARIL_OK) {
        blocks_drop(ctx);
    }
    ctx->blocks_keyed = false;
    ctx->keyed = false;
    ctx->under_way = NOTHING;
}

/* One span through the cipher; out NULL for associated data. */
static aril_status update(EVP_CIPHER_CTX *evp, uint8_t *out, const uint8_t *in, size_t len)
{
    while (len > 0) {
        const size_t piece = len < UPDATE_BYTES_MAX ? len : UPDATE_BYTES_MAX;
        int written = 0;
        ARILI_TRY(ARILI_OSSL(EVP_CipherUpdate(evp, out, &written, in, (int)piece), ARIL_E_CRYPTO));
        in += piece;
        out = out != NULL ? out + piece : NULL;
        len -= piece;
    }
    return ARIL_OK;
}

aril_status arili_openssl_aead_seal(struct arili_aead_ctx *ctx,
                                    const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes aad,
                                    const aril_bytes *spans, size_t count, uint8_t *ret_body,
                                    uint8_t ret_tag[ARILI_AEAD_TAG_BYTES])
{
    EVP_CIPHER_CTX *const evp = ctx->evp;
    uint64_t room = ARILI_AEAD_PLAIN_BYTES_MAX;
    int written = 0;

    ARILI_ENSURE(ctx->keyed, ARIL_E_USAGE_STATE);
    ctx->under_way = NOTHING;
    ARILI_TRY(ARILI_OSSL(EVP_CipherInit_ex2(evp, NULL, NULL, nonce, 1, NULL), ARIL_E_CRYPTO));
    ARILI_TRY(update(evp, NULL, aad.data, aad.len));
    for (size_t i = 0; i < count; i++) {
        ARILI_ENSURE(spans[i].len <= room, ARIL_E_USAGE_RANGE);
        room -= spans[i].len;
        if (spans[i].len > 0) {
            ARILI_TRY(update(evp, ret_body, spans[i].data, spans[i].len));
            ret_body += spans[i].len;
        }
    }
    uint8_t none[ARILI_AEAD_TAG_BYTES]; /* GCM has nothing left to write */
    ARILI_TRY(ARILI_OSSL(EVP_CipherFinal_ex(evp, none, &written), ARIL_E_CRYPTO));
    OSSL_PARAM params[] = { TAG_PARAM(ret_tag), OSSL_PARAM_END };
    ARILI_TRY(ARILI_OSSL(EVP_CIPHER_CTX_get_params(evp, params), ARIL_E_CRYPTO));
    return ARIL_OK;
}

aril_status arili_openssl_aead_open(struct arili_aead_ctx *ctx,
                                    const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes aad,
                                    aril_bytes body, const uint8_t tag[ARILI_AEAD_TAG_BYTES],
                                    const aril_span *ret_spans, size_t count)
{
    EVP_CIPHER_CTX *const evp = ctx->evp;
    int written = 0;

    ARILI_ENSURE(ctx->keyed, ARIL_E_USAGE_STATE);
    ctx->under_way = NOTHING;
    ARILI_ENSURE(body.len <= ARILI_AEAD_PLAIN_BYTES_MAX, ARIL_E_USAGE_RANGE);
    /* OSSL_PARAM has no const; a tag that is set is only read. */
    uint8_t copy[ARILI_AEAD_TAG_BYTES];
    memcpy(copy, tag, sizeof copy);
    const OSSL_PARAM params[] = { TAG_PARAM(copy), OSSL_PARAM_END };
    ARILI_TRY(ARILI_OSSL(EVP_CipherInit_ex2(evp, NULL, NULL, nonce, 0, params), ARIL_E_CRYPTO));
    ARILI_TRY(update(evp, NULL, aad.data, aad.len));
    for (size_t i = 0; i < count; i++) {
        const aril_span span = ret_spans[i];
        ARILI_ENSURE(span.len <= body.len, ARIL_E_USAGE_RANGE);
        if (span.len > 0) {
            ARILI_TRY(update(evp, span.data, body.data, span.len));
            body.data += span.len;
            body.len -= span.len;
        }
    }
    ARILI_ENSURE(body.len == 0, ARIL_E_USAGE_RANGE);
    uint8_t none[ARILI_AEAD_TAG_BYTES];
    ARILI_TRY(ARILI_OSSL(EVP_CipherFinal_ex(evp, none, &written), ARIL_E_AUTH));
    return ARIL_OK;
}

/* --- In pieces */

/* Nonce and associated data. */
static aril_status begin(struct arili_aead_ctx *ctx, const uint8_t *nonce, aril_bytes aad, int seal)
{
    ARILI_ENSURE(ctx->keyed, ARIL_E_USAGE_STATE);
    ctx->under_way = NOTHING;
    ARILI_TRY(
        ARILI_OSSL(EVP_CipherInit_ex2(ctx->evp, NULL, NULL, nonce, seal, NULL), ARIL_E_CRYPTO));
    ARILI_TRY(update(ctx->evp, NULL, aad.data, aad.len));
    ctx->under_way = seal ? SEALING : OPENING;
    return ARIL_OK;
}

aril_status arili_openssl_aead_open_begin(struct arili_aead_ctx *ctx,
                                          const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                          aril_bytes aad)
{
    return begin(ctx, nonce, aad, 0);
}

aril_status arili_openssl_aead_open_more(struct arili_aead_ctx *ctx, aril_bytes body,
                                         uint8_t *ret_plain)
{
    ARILI_ENSURE(ctx->under_way == OPENING, ARIL_E_USAGE_STATE);
    return update(ctx->evp, ret_plain, body.data, body.len);
}

aril_status arili_openssl_aead_open_end(struct arili_aead_ctx *ctx,
                                        const uint8_t tag[ARILI_AEAD_TAG_BYTES])
{
    uint8_t copy[ARILI_AEAD_TAG_BYTES];
    uint8_t none[ARILI_AEAD_TAG_BYTES];
    int written = 0;
    ARILI_ENSURE(ctx->under_way == OPENING, ARIL_E_USAGE_STATE);
    ctx->under_way = NOTHING;
    memcpy(copy, tag, sizeof copy);
    const OSSL_PARAM params[] = { TAG_PARAM(copy), OSSL_PARAM_END };
    ARILI_TRY(ARILI_OSSL(EVP_CIPHER_CTX_set_params(ctx->evp, params), ARIL_E_CRYPTO));
    return ARILI_OSSL(EVP_CipherFinal_ex(ctx->evp, none, &written), ARIL_E_AUTH);
}

aril_status arili_openssl_aead_seal_begin(struct arili_aead_ctx *ctx,
                                          const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                          aril_bytes aad)
{
    return begin(ctx, nonce, aad, 1);
}

aril_status arili_openssl_aead_seal_more(struct arili_aead_ctx *ctx, aril_bytes plain,
                                         uint8_t *ret_body)
{
    ARILI_ENSURE(ctx->under_way == SEALING, ARIL_E_USAGE_STATE);
    return update(ctx->evp, ret_body, plain.data, plain.len);
}

aril_status arili_openssl_aead_seal_end(struct arili_aead_ctx *ctx,
                                        uint8_t ret_tag[ARILI_AEAD_TAG_BYTES])
{
    uint8_t none[ARILI_AEAD_TAG_BYTES];
    int written = 0;
    ARILI_ENSURE(ctx->under_way == SEALING, ARIL_E_USAGE_STATE);
    ctx->under_way = NOTHING;
    ARILI_TRY(ARILI_OSSL(EVP_CipherFinal_ex(ctx->evp, none, &written), ARIL_E_CRYPTO));
    OSSL_PARAM params[] = { TAG_PARAM(ret_tag), OSSL_PARAM_END };
    return ARILI_OSSL(EVP_CIPHER_CTX_get_params(ctx->evp, params), ARIL_E_CRYPTO);
}

static void cipher_ctx_freep(EVP_CIPHER_CTX **ctx)
{
    EVP_CIPHER_CTX_free(*ctx);
}

aril_status arili_openssl_aes_blocks(struct arili_provider *p,
                                     const uint8_t key[ARILI_AEAD_KEY_BYTES], const uint8_t *in,
                                     size_t blocks, uint8_t *ret_out)
{
    int written = 0;

    ARILI_ENSURE(blocks <= UPDATE_BYTES_MAX / 16, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(cipher_ctx_freep) EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new();
    ARILI_TRY(ARILI_OSSL(evp != NULL, ARIL_E_NOMEM));
    ARILI_TRY(ARILI_OSSL(EVP_CipherInit_ex2(evp, p->ecb, key, NULL, 1, NULL), ARIL_E_CRYPTO));
    ARILI_TRY(ARILI_OSSL(EVP_CIPHER_CTX_set_padding(evp, 0), ARIL_E_CRYPTO));
    ARILI_TRY(update(evp, ret_out, in, blocks * 16));
    ARILI_TRY(ARILI_OSSL(EVP_CipherFinal_ex(evp, ret_out, &written), ARIL_E_CRYPTO));
    return ARIL_OK;
}

/* A context of its own for blocks, without a key. */
static aril_status blocks_new(struct arili_aead_ctx *ctx)
{
    ARILI_DEFER(cipher_ctx_freep) EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new();
    ARILI_TRY(ARILI_OSSL(evp != NULL, ARIL_E_NOMEM));
    ARILI_TRY(ARILI_OSSL(EVP_CipherInit_ex2(evp, ctx->ecb, NULL, NULL, 1, NULL), ARIL_E_CRYPTO));
    ctx->blocks = ARILI_TAKE(evp);
    return ARIL_OK;
}

aril_status arili_openssl_aead_blocks(struct arili_aead_ctx *ctx,
                                      const uint8_t key[ARILI_AEAD_KEY_BYTES], const uint8_t *in,
                                      size_t blocks, uint8_t *ret_out)
{
    ARILI_ENSURE(blocks <= UPDATE_BYTES_MAX / 16, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(key != NULL || ctx->blocks_keyed, ARIL_E_USAGE_STATE);
    if (ctx->blocks == NULL) {
        ARILI_TRY(blocks_new(ctx));
    }
    aril_status st = key != NULL ? blocks_key(ctx, key) : ARIL_OK;
    if (st == ARIL_OK) { /* whole blocks, encrypted: padding would only come with _final */
        st = update(ctx->blocks, ret_out, in, blocks * 16);
    }
    if (st != ARIL_OK) {
        blocks_drop(ctx);
        return st;
    }
    ctx->blocks_keyed = true;
    return ARIL_OK;
}
