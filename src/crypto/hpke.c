/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hpke.h"
#include "crypto/hpke_kem.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"

/* RFC 9180 5.1.2 (the PSK needs 32 bytes of entropy) and table 1. */
#define PSK_BYTES_MIN 32u
enum { MODE_BASE = 0, MODE_PSK = 1 };

/* "HPKE" || I2OSP(kem_id, 2) || I2OSP(kdf_id, 2) || I2OSP(aead_id, 2) */
struct suite_id {
    uint8_t bytes[10];
};

struct secret {
    uint8_t bytes[ARILI_HASH_BYTES_MAX];
};

static void secret_wipe(struct secret *s)
{
    arili_wipe(s, sizeof *s);
}

static struct suite_id suite_id(struct arili_hpke_suite suite)
{
    struct suite_id s = { { 'H', 'P', 'K', 'E' } };
    arili_store16(s.bytes + 4, (uint16_t)suite.kem);
    arili_store16(s.bytes + 6, (uint16_t)suite.kdf);
    arili_store16(s.bytes + 8, ARILI_HPKE_AES_256_GCM);
    return s;
}

static enum arili_hash suite_hash(struct arili_hpke_suite suite)
{
    return suite.kdf == ARILI_HPKE_HKDF_SHA256 ? ARILI_SHA256 : ARILI_SHA384;
}

static struct arili_hpke_labels labels(const struct arili_hpke_ctx *ctx, const struct suite_id *id)
{
    return (struct arili_hpke_labels){ ctx->crypto,
                                       suite_hash(ctx->suite),
                                       { id->bytes, sizeof id->bytes } };
}

static aril_status check_suite(struct arili_hpke_suite suite)
{
    ARILI_ENSURE(arili_hpke_kem(suite.kem) != NULL, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(suite.kdf == ARILI_HPKE_HKDF_SHA256 || suite.kdf == ARILI_HPKE_HKDF_SHA384,
                 ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

/* RFC 9180 5.1, VerifyPSKInputs: both or neither. */
static aril_status check_psk(const struct arili_hpke_psk *psk)
{
    ARILI_ENSURE((psk->psk.len == 0) == (psk->id.len == 0), ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(psk->psk.len == 0 || psk->psk.len >= PSK_BYTES_MIN, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

/* RFC 9180 5.1, KeySchedule. ctx has crypto and suite. */
static aril_status key_schedule(struct arili_hpke_ctx *ctx, aril_bytes shared, aril_bytes info,
                                const struct arili_hpke_psk *psk)
{
    const struct suite_id id = suite_id(ctx->suite);
    const struct arili_hpke_labels l = labels(ctx, &id);
    const aril_bytes none = { NULL, 0 };
    const size_t hash_len = arili_hash_bytes(l.hash);
    uint8_t context[1 + 2 * ARILI_HASH_BYTES_MAX];
    context[0] = psk->psk.len > 0 ? MODE_PSK : MODE_BASE;
    ARILI_TRY(
        arili_hpke_labeled_extract(&l, none, ARILI_LITERAL("psk_id_hash"), psk->id, context + 1));
    ARILI_TRY(arili_hpke_labeled_extract(&l, none, ARILI_LITERAL("info_hash"), info,
                                         context + 1 + hash_len));
    const aril_bytes ksc = { context, 1 + 2 * hash_len };

    ARILI_DEFER(secret_wipe) struct secret secret;
    ARILI_TRY(
        arili_hpke_labeled_extract(&l, shared, ARILI_LITERAL("secret"), psk->psk, secret.bytes));
    ARILI_TRY(arili_hpke_labeled_expand(&l, secret.bytes, ARILI_LITERAL("key"), ksc, ctx->key,
                                        sizeof ctx->key));
    ARILI_TRY(arili_hpke_labeled_expand(&l, secret.bytes, ARILI_LITERAL("base_nonce"), ksc,
                                        ctx->base_nonce, sizeof ctx->base_nonce));
    return arili_hpke_labeled_expand(&l, secret.bytes, ARILI_LITERAL("exp"), ksc, ctx->exporter,
                                     hash_len);
}

void arili_hpke_done(struct arili_hpke_ctx *ctx)
{
    arili_wipe(ctx, sizeof *ctx);
}

static const struct arili_hpke_psk no_psk;

aril_status arili_hpke_setup_sender(const struct arili_crypto *c, struct arili_hpke_suite suite,
                                    aril_bytes recipient, aril_bytes info,
                                    const struct arili_hpke_psk *psk, const aril_bytes *enc_rand,
                                    uint8_t *ret_enc, size_t enc_len, struct arili_hpke_ctx *ret)
{
    psk = psk != NULL ? psk : &no_psk;
    ARILI_TRY(check_suite(suite));
    ARILI_TRY(check_psk(psk));
    const struct arili_hpke_kem_ops *const kem = arili_hpke_kem(suite.kem);
    ARILI_ENSURE(enc_len == kem->enc_bytes, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(enc_rand == NULL || enc_rand->len == kem->enc_rand_bytes, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(recipient.len == kem->public_bytes, ARIL_E_FORMAT_LENGTH);

    uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX];
    ARILI_DEFER(secret_wipe) struct secret shared;
    ARILI_DEFER(arili_hpke_done)
    struct arili_hpke_ctx ctx = { .crypto = c, .suite = suite, .sender = true };
    ARILI_TRY(kem->encap(c, suite.kem, recipient, enc_rand != NULL ? enc_rand->data : NULL, enc,
                         shared.bytes));
    ARILI_TRY(key_schedule(&ctx, (aril_bytes){ shared.bytes, ARILI_HPKE_SHARED_BYTES }, info, psk));
    memcpy(ret_enc, enc, enc_len);
    *ret = ctx;
    return ARIL_OK;
}

aril_status arili_hpke_setup_recipient(const struct arili_crypto *c, struct arili_hpke_suite suite,
                                       const struct arili_hpke_key *key, aril_bytes enc,
                                       aril_bytes info, const struct arili_hpke_psk *psk,
                                       struct arili_hpke_ctx *ret)
{
    psk = psk != NULL ? psk : &no_psk;
    ARILI_TRY(check_suite(suite));
    ARILI_TRY(check_psk(psk));
    const struct arili_hpke_kem_ops *const kem = arili_hpke_kem(suite.kem);
    ARILI_ENSURE(key->kem == suite.kem, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(enc.len == kem->enc_bytes, ARIL_E_FORMAT_LENGTH);

    ARILI_DEFER(secret_wipe) struct secret shared;
    ARILI_DEFER(arili_hpke_done) struct arili_hpke_ctx ctx = { .crypto = c, .suite = suite };
    ARILI_TRY(kem->decap(key, enc, shared.bytes));
    ARILI_TRY(key_schedule(&ctx, (aril_bytes){ shared.bytes, ARILI_HPKE_SHARED_BYTES }, info, psk));
    *ret = ctx;
    return ARIL_OK;
}

/* RFC 9180 5.2, ComputeNonce. */
static void message_nonce(const struct arili_hpke_ctx *ctx, uint8_t *ret)
{
    uint8_t counter[8];
    arili_store64(counter, ctx->seq);
    memcpy(ret, ctx->base_nonce, ARILI_AEAD_NONCE_BYTES);
    for (size_t i = 0; i < sizeof counter; i++) {
        ret[ARILI_AEAD_NONCE_BYTES - sizeof counter + i] ^= counter[i];
    }
}

/* A context of its own for each message: HPKE carries keys here, not bulk data. */
struct scoped_aead {
    const struct arili_crypto *crypto;
    struct arili_aead_ctx *ctx;
};

static void scoped_aead_free(struct scoped_aead *a)
{
    a->crypto->ops->aead_free(a->ctx);
}

aril_status arili_hpke_seal(struct arili_hpke_ctx *ctx, aril_bytes aad, aril_bytes plain,
                            uint8_t *ret_ct, size_t cap, size_t *ret_len)
{
    const struct arili_crypto *const c = ctx->crypto;
    ARILI_ENSURE(ctx->sender, ARIL_E_USAGE_STATE);
    ARILI_ENSURE(cap >= ARILI_AEAD_TAG_BYTES && cap - ARILI_AEAD_TAG_BYTES >= plain.len,
                 ARIL_E_USAGE_TOO_SMALL);
    const size_t len = plain.len + ARILI_AEAD_TAG_BYTES;
    ARILI_ENSURE(!arili_overlap(ret_ct, len, plain.data, plain.len), ARIL_E_USAGE_OVERLAP);
    ARILI_ENSURE(ctx->seq < UINT64_MAX, ARIL_E_LIMIT);

    ARILI_DEFER(scoped_aead_free) struct scoped_aead aead = { c, NULL };
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    message_nonce(ctx, nonce);
    ARILI_TRY(c->ops->aead_new(c->provider, &aead.ctx));
    ARILI_TRY(c->ops->aead_key(aead.ctx, ctx->key));
    const aril_status st =
        c->ops->aead_seal(aead.ctx, nonce, aad, &plain, 1, ret_ct, ret_ct + plain.len);
    if (st != ARIL_OK) {
        arili_wipe(ret_ct, len);
        return st;
    }
    ctx->seq++;
    *ret_len = len;
    return ARIL_OK;
}

aril_status arili_hpke_open(struct arili_hpke_ctx *ctx, aril_bytes aad, aril_bytes ct,
                            uint8_t *ret_plain, size_t cap, size_t *ret_len)
{
    const struct arili_crypto *const c = ctx->crypto;
    ARILI_ENSURE(!ctx->sender, ARIL_E_USAGE_STATE);
    ARILI_ENSURE(ct.len >= ARILI_AEAD_TAG_BYTES, ARIL_E_FORMAT_TRUNCATED);
    const size_t len = ct.len - ARILI_AEAD_TAG_BYTES;
    ARILI_ENSURE(cap >= len, ARIL_E_USAGE_TOO_SMALL);
    ARILI_ENSURE(!arili_overlap(ret_plain, len, ct.data, ct.len), ARIL_E_USAGE_OVERLAP);
    ARILI_ENSURE(ctx->seq < UINT64_MAX, ARIL_E_LIMIT);

    ARILI_DEFER(scoped_aead_free) struct scoped_aead aead = { c, NULL };
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    message_nonce(ctx, nonce);
    ARILI_TRY(c->ops->aead_new(c->provider, &aead.ctx));
    ARILI_TRY(c->ops->aead_key(aead.ctx, ctx->key));
    const aril_span out = { ret_plain, len };
    const aril_status st = c->ops->aead_open(aead.ctx, nonce, aad, (aril_bytes){ ct.data, len },
                                             ct.data + len, &out, 1);
    if (st != ARIL_OK) {
        arili_wipe(ret_plain, len);
        return st;
    }
    ctx->seq++;
    *ret_len = len;
    return ARIL_OK;
}

aril_status arili_hpke_export(const struct arili_hpke_ctx *ctx, aril_bytes label, uint8_t *ret,
                              size_t len)
{
    const struct suite_id id = suite_id(ctx->suite);
    const struct arili_hpke_labels l = labels(ctx, &id);
    return arili_hpke_labeled_expand(&l, ctx->exporter, ARILI_LITERAL("sec"), label, ret, len);
}

aril_status arili_hpke_seal_once(const struct arili_crypto *c, struct arili_hpke_suite suite,
                                 aril_bytes recipient, aril_bytes info,
                                 const struct arili_hpke_psk *psk, aril_bytes aad, aril_bytes plain,
                                 uint8_t *ret, size_t cap, size_t *ret_len)
{
    ARILI_TRY(check_suite(suite));
    const size_t enc_len = arili_hpke_enc_bytes(suite.kem);
    ARILI_ENSURE(cap >= enc_len && cap - enc_len >= ARILI_AEAD_TAG_BYTES &&
                     cap - enc_len - ARILI_AEAD_TAG_BYTES >= plain.len,
                 ARIL_E_USAGE_TOO_SMALL);
    const size_t total = enc_len + plain.len + ARILI_AEAD_TAG_BYTES;
    ARILI_ENSURE(!arili_overlap(ret, total, plain.data, plain.len), ARIL_E_USAGE_OVERLAP);
    ARILI_DEFER(arili_hpke_done) struct arili_hpke_ctx ctx = { 0 };
    size_t len = 0;
    ARILI_TRY(arili_hpke_setup_sender(c, suite, recipient, info, psk, NULL, ret, enc_len, &ctx));
    const aril_status st = arili_hpke_seal(&ctx, aad, plain, ret + enc_len, total - enc_len, &len);
    if (st != ARIL_OK) {
        arili_wipe(ret, enc_len);
        return st;
    }
    *ret_len = total;
    return ARIL_OK;
}

aril_status arili_hpke_open_once(const struct arili_crypto *c, struct arili_hpke_suite suite,
                                 const struct arili_hpke_key *key, aril_bytes info,
                                 const struct arili_hpke_psk *psk, aril_bytes aad,
                                 aril_bytes enc_and_ct, uint8_t *ret_plain, size_t cap,
                                 size_t *ret_len)
{
    ARILI_TRY(check_suite(suite));
    const size_t enc_len = arili_hpke_enc_bytes(suite.kem);
    ARILI_ENSURE(enc_and_ct.len >= enc_len + ARILI_AEAD_TAG_BYTES, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(!arili_overlap(ret_plain, enc_and_ct.len - enc_len - ARILI_AEAD_TAG_BYTES,
                                enc_and_ct.data, enc_and_ct.len),
                 ARIL_E_USAGE_OVERLAP);
    ARILI_DEFER(arili_hpke_done) struct arili_hpke_ctx ctx = { 0 };
    const aril_bytes enc = { enc_and_ct.data, enc_len };
    const aril_bytes ct = { enc_and_ct.data + enc_len, enc_and_ct.len - enc_len };
    ARILI_TRY(arili_hpke_setup_recipient(c, suite, key, enc, info, psk, &ctx));
    return arili_hpke_open(&ctx, aad, ct, ret_plain, cap, ret_len);
}
