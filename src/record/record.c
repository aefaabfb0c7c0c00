/* SPDX-License-Identifier: Apache-2.0 */
#include "record/record.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"

_Static_assert(ARILI_AEAD_TAG_BYTES == ARILI_SEAL_TAG_BYTES, "the seal ends with the tag");

/* Associated data: the header of the seal, then the context. */
struct associated {
    uint8_t bytes[ARILI_SEAL_HEADER_BYTES + ARILI_CONTEXT_BYTES_MAX];
    size_t len;
};

static void make_nonce(const struct arili_epoch_keys *keys, uint64_t sequence,
                       uint8_t ret[ARILI_AEAD_NONCE_BYTES])
{
    memcpy(ret, keys->nonce_prefix, ARILI_NONCE_PREFIX_BYTES);
    arili_store64(ret + ARILI_NONCE_PREFIX_BYTES, sequence);
}

aril_status aril_seal_inspect(const uint8_t seal[ARIL_SEAL_BYTES], aril_seal_info *ret_info)
{
    ARILI_ENSURE(seal != NULL && ret_info != NULL, ARIL_E_USAGE_NULL);
    struct arili_seal_header h;
    ARILI_TRY(arili_seal_parse(seal, &h));
    *ret_info = (aril_seal_info){ .version = ARILI_SEAL_LEVEL & 0x0f,
                                  .use = h.use,
                                  .direction = h.direction,
                                  .epoch = h.epoch,
                                  .tenant_tag = h.tenant_tag,
                                  .sequence = h.sequence,
                                  .body_bytes = h.body_bytes };
    memcpy(ret_info->key_id, h.key_id, sizeof ret_info->key_id);
    return ARIL_OK;
}

/* --- Arguments ------------------------------------------------------------------ */

static aril_status check_overlap(const struct arili_record *r, const aril_span *span)
{
    const bool itself = r->in_place && span->data == r->body;
    ARILI_ENSURE(itself || !arili_overlap(span->data, span->len, r->body, r->body_len),
                 ARIL_E_USAGE_OVERLAP);
    ARILI_ENSURE(!arili_overlap(span->data, span->len, r->seal, ARIL_SEAL_BYTES),
                 ARIL_E_USAGE_OVERLAP);
    return ARIL_OK;
}

static aril_status check_staging(const struct arili_record *r)
{
    if (r->staging == NULL) {
        return ARIL_OK;
    }
    ARILI_ENSURE(!r->in_place, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(!arili_overlap(r->staging, r->body_len, r->body, r->body_len) &&
                     !arili_overlap(r->staging, r->body_len, r->seal, ARIL_SEAL_BYTES),
                 ARIL_E_USAGE_OVERLAP);
    for (size_t i = 0; i < r->span_count; i++) {
        ARILI_ENSURE(!arili_overlap(r->staging, r->body_len, r->spans[i].data, r->spans[i].len),
                     ARIL_E_USAGE_OVERLAP);
    }
    return ARIL_OK;
}

aril_status arili_record_check(const struct arili_record *r)
{
    ARILI_ENSURE(r->seal != NULL && (r->body != NULL || r->body_len == 0), ARIL_E_USAGE_NULL);
    ARILI_ENSURE(r->spans != NULL || r->span_count == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(r->body_len <= ARIL_BODY_BYTES_MAX && r->span_count <= ARIL_SPANS_MAX,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(!r->in_place || r->span_count == 1, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(!arili_overlap(r->body, r->body_len, r->seal, ARIL_SEAL_BYTES),
                 ARIL_E_USAGE_OVERLAP);
    size_t left = r->body_len;
    for (size_t i = 0; i < r->span_count; i++) {
        const aril_span *s = &r->spans[i];
        ARILI_ENSURE(s->data != NULL || s->len == 0, ARIL_E_USAGE_NULL);
        ARILI_ENSURE(s->len <= left, ARIL_E_USAGE_RANGE);
        left -= s->len;
        ARILI_TRY(check_overlap(r, s));
    }
    ARILI_ENSURE(left == 0, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(!r->in_place || r->spans[0].data == r->body, ARIL_E_USAGE_RANGE);
    return check_staging(r);
}

/* --- Sealing ------------------------------------------------------------------ */

/* Most records have one span or two. */
#define SPANS_FEW 4u

struct sealing {
    struct arili_aead_ctx *ctx;
    const uint8_t *nonce;
    aril_bytes aad;
    uint8_t *to, *ret_tag;
};

/* The spans again, read-only, in room that is not touched for the usual few. */
__attribute__((noinline)) static aril_status
encrypt_many(const struct arili_crypto *c, const struct arili_record *r, const struct sealing *s)
{
    aril_bytes plain[ARIL_SPANS_MAX];
    for (size_t i = 0; i < r->span_count; i++) {
        plain[i] = (aril_bytes){ r->spans[i].data, r->spans[i].len };
    }
    return c->ops->aead_seal(s->ctx, s->nonce, s->aad, plain, r->span_count, s->to, s->ret_tag);
}

static aril_status encrypt(const struct arili_crypto *c, const struct arili_record *r,
                           const struct sealing *s)
{
    if (r->span_count > SPANS_FEW) {
        return encrypt_many(c, r, s);
    }
    aril_bytes plain[SPANS_FEW];
    for (size_t i = 0; i < r->span_count; i++) {
        plain[i] = (aril_bytes){ r->spans[i].data, r->spans[i].len };
    }
    return c->ops->aead_seal(s->ctx, s->nonce, s->aad, plain, r->span_count, s->to, s->ret_tag);
}

static void describe(const struct arili_record_scope *scope, const struct arili_record *r,
                     const struct arili_place *place, struct associated *ret)
{
    struct arili_seal_header h = { .use = scope->use,
                                   .direction = (uint8_t)scope->chain->direction,
                                   .epoch = place->number,
                                   .tenant_tag = scope->tenant_tag,
                                   .sequence = place->sequence,
                                   .body_bytes = r->body_len };
    memcpy(h.key_id, place->epoch->key_id, sizeof h.key_id);
    arili_seal_write(&h, ret->bytes);
    memcpy(ret->bytes + ARILI_SEAL_HEADER_BYTES, r->context, r->context_len);
    ret->len = ARILI_SEAL_HEADER_BYTES + r->context_len;
}

aril_status arili_record_seal(const struct arili_record_scope *scope, const struct arili_record *r,
                              const struct arili_place *place)
{
    if (arili_chain_forked(scope->chain)) {
        /* An executor's task may fork after the place was reserved. */
        arili_epoch_unused(place->epoch, r->body_len);
        ARILI_FAIL(ARIL_E_FORKED);
    }
    struct associated aad;
    describe(scope, r, place, &aad);
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    make_nonce(place->epoch->keys, place->sequence, nonce);
    uint8_t tag[ARILI_SEAL_TAG_BYTES];
    /* libcrypto reads what it wrote to compute the tag, so that memory must be ours alone. */
    uint8_t *to = r->staging != NULL ? r->staging : r->body;
    const struct sealing s = { place->ctx, nonce, { aad.bytes, aad.len }, to, tag };
    const aril_status st = encrypt(&scope->chain->rt->crypto, r, &s);
    if (st != ARIL_OK) {
        /* The cipher stopped half-way: what it left is neither plaintext nor a record. */
        arili_wipe(to, r->body_len);
        arili_epoch_unused(place->epoch, r->body_len);
        return st;
    }
    if (r->staging != NULL && r->body_len > 0) {
        memcpy(r->body, r->staging, r->body_len);
    }
    memcpy(r->seal, aad.bytes, ARILI_SEAL_HEADER_BYTES);
    memcpy(r->seal + ARILI_SEAL_HEADER_BYTES, tag, sizeof tag);
    return ARIL_OK;
}

/* --- Opening ------------------------------------------------------------------ */

aril_status arili_record_header(const struct arili_record_scope *scope,
                                const struct arili_record *r, uint8_t ret_seal[ARIL_SEAL_BYTES],
                                struct arili_seal_header *ret)
{
    memcpy(ret_seal, r->seal, ARIL_SEAL_BYTES);
    ARILI_TRY(arili_seal_parse(ret_seal, ret));
    ARILI_ENSURE(ret->use == scope->use, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(ret->tenant_tag == scope->tenant_tag, ARIL_E_ISOLATION);
    ARILI_ENSURE(ret->body_bytes == r->body_len, ARIL_E_FORMAT_LENGTH);
    ARILI_ENSURE(ret->direction == (uint8_t)scope->chain->direction, ARIL_E_AUTH);
    return ARIL_OK;
}

aril_status arili_record_decrypt(const struct arili_record_scope *scope,
                                 const struct arili_record *r, const uint8_t seal[ARIL_SEAL_BYTES],
                                 const struct arili_seal_header *h,
                                 const struct arili_opening *opening)
{
    aril_runtime *rt = scope->chain->rt;
    struct associated aad;
    memcpy(aad.bytes, seal, ARILI_SEAL_HEADER_BYTES);
    memcpy(aad.bytes + ARILI_SEAL_HEADER_BYTES, r->context, r->context_len);
    aad.len = ARILI_SEAL_HEADER_BYTES + r->context_len;
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    make_nonce(opening->keys, h->sequence, nonce);
    struct arili_context_lease lease;
    ARILI_TRY(arili_contexts_get(rt->contexts, opening->uid, opening->keys->key, &lease));
    /* libcrypto reads the body twice, for the tag and for the plaintext: whoever can write to it
     * meanwhile gets different bytes past the tag. A copy in staging is out of their reach. */
    const aril_span staging = { r->staging, r->body_len };
    const bool staged = r->staging != NULL;
    if (staged && r->body_len > 0) {
        memcpy(r->staging, r->body, r->body_len);
    }
    const aril_status st = rt->crypto.ops->aead_open(
        lease.ctx, nonce, (aril_bytes){ aad.bytes, aad.len },
        (aril_bytes){ staged ? r->staging : r->body, r->body_len }, seal + ARILI_SEAL_HEADER_BYTES,
        staged ? &staging : r->spans, staged ? 1 : r->span_count);
    arili_contexts_put(rt->contexts, &lease);
    if (st != ARIL_OK) {
        arili_record_wipe(r);
    }
    return st;
}

void arili_record_publish(const struct arili_record *r)
{
    if (r->staging == NULL) {
        return;
    }
    const uint8_t *from = r->staging;
    for (size_t i = 0; i < r->span_count; i++) {
        if (r->spans[i].len > 0) {
            memcpy(r->spans[i].data, from, r->spans[i].len);
            from += r->spans[i].len;
        }
    }
    arili_wipe(r->staging, r->body_len);
}

void arili_record_wipe(const struct arili_record *r)
{
    if (r->staging != NULL) {
        arili_wipe(r->staging, r->body_len);
        return; /* the spans were never touched */
    }
    for (size_t i = 0; i < r->span_count; i++) {
        arili_wipe(r->spans[i].data, r->spans[i].len);
    }
}
