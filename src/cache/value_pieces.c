/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/value_internal.h"
#include <string.h>

/* --- Opening -------------------------------------------------------------------------------- */

/* What one step reads, writes and comes to. It stays within one segment. */
struct step {
    aril_bytes in;
    uint8_t *out;   /* may equal in.data */
    size_t body;    /* bytes of in that are ciphertext; as many go to out */
    size_t tag;     /* and the bytes of the tag behind them */
    bool ends;      /* with them the segment is whole */
    aril_bytes aad; /* of all segments */
};

static size_t min_of(uint64_t a, size_t b)
{
    return a < b ? (size_t)a : b;
}

/* A context that is keyed for a segment: the batch's when it is there, else one of its own. */
static aril_status take(aril_runtime *rt, struct arili_value_batch *batch,
                        const aril_tenant_key *key, const uint8_t *value_nonce, uint64_t segment,
                        struct arili_value_lease *ret, uint8_t *ret_nonce)
{
    if (batch != NULL && !batch->lent) {
        ARILI_TRY(arili_value_batch_lend(batch, key, value_nonce, segment, &ret->of, ret_nonce));
        ret->batched = true;
        return ARIL_OK;
    }
    return arili_value_key_context(rt, key, value_nonce, segment, &ret->of, ret_nonce);
}

static void give_back(aril_runtime *rt, struct arili_value_batch *batch,
                      struct arili_value_lease *lease)
{
    if (lease->batched) {
        arili_value_batch_return(batch, &lease->of);
        lease->batched = false;
    } else if (lease->of.ctx != NULL) {
        arili_contexts_put(rt->contexts, &lease->of);
    }
}

static aril_status open_with(struct arili_value_opening *o, const struct step *s)
{
    const struct arili_crypto_ops *const ops = o->rt->crypto.ops;
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    if (o->lease.of.ctx == NULL) {
        ARILI_TRY(take(o->rt, o->batch, o->key, o->header.nonce, o->segment, &o->lease, nonce));
        if (s->ends && s->tag == ARILI_VALUE_TAG_BYTES) { /* all of it is here */
            const aril_span out = { s->out, s->body };
            return ops->aead_open(o->lease.of.ctx, nonce, s->aad,
                                  (aril_bytes){ s->in.data, s->body }, s->in.data + s->body, &out,
                                  1);
        }
        ARILI_TRY(ops->aead_open_begin(o->lease.of.ctx, nonce, s->aad));
    }
    if (s->body > 0) {
        ARILI_TRY(
            ops->aead_open_more(o->lease.of.ctx, (aril_bytes){ s->in.data, s->body }, s->out));
    }
    if (s->tag > 0) {
        const uint64_t body = arili_value_segment_at(o->header.body_bytes, o->segment).len;
        const size_t have = o->segment_at < body ? 0 : (size_t)(o->segment_at - body);
        memcpy(o->tag + have, s->in.data + s->body, s->tag);
    }
    return s->ends ? ops->aead_open_end(o->lease.of.ctx, o->tag) : ARIL_OK;
}

/* Use of *in what belongs to one segment; out is where its plaintext goes, *ret_len how much. */
static aril_status open_step(struct arili_value_opening *o, aril_bytes *in, uint8_t *out,
                             size_t *ret_len, bool *ret_ends)
{
    ARILI_ENSURE((o->header.flags & ARILI_VALUE_TRAILER) == 0, ARIL_E_FORMAT_KIND);
    ARILI_ENSURE(o->segment < arili_value_segments(o->header.body_bytes), ARIL_E_FORMAT_LENGTH);
    const uint64_t body = arili_value_segment_at(o->header.body_bytes, o->segment).len;
    struct step s = { .in = *in, .out = out, .aad = { o->aad, sizeof o->aad } };
    s.body = o->segment_at < body ? min_of(body - o->segment_at, in->len) : 0;
    const uint64_t tag_left = body + ARILI_VALUE_TAG_BYTES - o->segment_at - s.body;
    s.tag = o->segment_at + s.body < body ? 0 : min_of(tag_left, in->len - s.body);
    s.ends = o->segment_at + s.body + s.tag == body + ARILI_VALUE_TAG_BYTES;
    const aril_status st = open_with(o, &s);
    if (st != ARIL_OK || s.ends) {
        give_back(o->rt, o->batch, &o->lease);
    }
    if (st != ARIL_OK) {
        arili_wipe(out, s.body);
        return st;
    }
    o->segment_at = s.ends ? 0 : o->segment_at + s.body + s.tag;
    o->segment += s.ends;
    in->data += s.body + s.tag;
    in->len -= s.body + s.tag;
    *ret_len = s.body;
    *ret_ends = s.ends;
    return ARIL_OK;
}

aril_status arili_value_open_piece(struct arili_value_opening *o, aril_bytes piece)
{
    while (piece.len > 0 && o->failed == ARIL_OK) {
        size_t len = 0;
        bool ends = false;
        /* Once its ciphertext came, nothing of the segment is written any more. */
        const uint64_t at = o->segment * ARILI_VALUE_SEGMENT_BYTES + o->segment_at;
        uint8_t *const out = at < o->header.body_bytes ? o->out + at : o->out;
        o->failed = open_step(o, &piece, out, &len, &ends);
    }
    return o->failed;
}

aril_status arili_value_open_done(struct arili_value_opening *o)
{
    give_back(o->rt, o->batch, &o->lease);
    ARILI_TRY(o->failed);
    ARILI_ENSURE(o->segment == arili_value_segments(o->header.body_bytes), ARIL_E_FORMAT_TRUNCATED);
    return ARIL_OK;
}

void arili_value_opener_begin(struct arili_value_opener *o, aril_runtime *rt,
                              const aril_tenant_key *key, const uint8_t *stored,
                              const struct arili_value_header *header,
                              const uint8_t context[ARILI_CACHE_CONTEXT_BYTES])
{
    arili_value_open_begin(&o->state, rt, key, stored, header, context);
}

void arili_value_opener_begin_in(struct arili_value_opener *o, struct arili_value_batch *batch,
                                 const aril_tenant_key *key, const uint8_t *stored,
                                 const struct arili_value_header *header,
                                 const uint8_t context[ARILI_CACHE_CONTEXT_BYTES])
{
    arili_value_open_begin(&o->state, batch->rt, key, stored, header, context);
    o->state.batch = batch;
}

aril_status arili_value_opener_run(struct arili_value_opener *o, aril_span *in, aril_span *ret_run,
                                   bool *ret_verified)
{
    aril_bytes left = { in->data, in->len };
    *ret_run = (aril_span){ in->data, 0 };
    *ret_verified = false;
    if (o->state.failed == ARIL_OK && in->len > 0) {
        o->state.failed = open_step(&o->state, &left, in->data, &ret_run->len, ret_verified);
    }
    const size_t used = in->len - left.len;
    if (used > 0) {
        *in = (aril_span){ in->data + used, left.len };
    }
    return o->state.failed;
}

aril_status arili_value_opener_done(struct arili_value_opener *o)
{
    return arili_value_open_done(&o->state);
}

/* --- Sealing -------------------------------------------------------------------------------- */

static aril_status sealer_begin(struct arili_value_sealer *s, const struct arili_value_sealer *as,
                                const uint8_t *context, uint8_t *ret_header)
{
    const struct arili_crypto *c = &as->rt->crypto;
    *s = *as;
    s->failed = ARIL_E_LIMIT;
    ARILI_ENSURE(s->left <= ARILI_VALUE_BODY_MAX, ARIL_E_LIMIT);
    s->failed = s->batch != NULL
                    ? arili_value_batch_nonce(s->batch, s->header.nonce)
                    : c->ops->random(c->provider, s->header.nonce, sizeof s->header.nonce);
    ARILI_TRY(s->failed);
    memcpy(s->header.key_id, aril_tenant_key_id(s->key), sizeof s->header.key_id);
    arili_value_write(&s->header, s->aad);
    memcpy(s->aad + ARILI_VALUE_HEADER_BYTES, context, ARILI_CACHE_CONTEXT_BYTES);
    memcpy(ret_header, s->aad, ARILI_VALUE_HEADER_BYTES);
    return ARIL_OK;
}

aril_status arili_value_sealer_begin(struct arili_value_sealer *s, aril_runtime *rt,
                                     const aril_tenant_key *key,
                                     const uint8_t context[ARILI_CACHE_CONTEXT_BYTES],
                                     uint64_t created_ms, uint64_t not_after_ms,
                                     uint64_t generation, uint64_t body_bytes,
                                     uint8_t ret_header[ARILI_VALUE_HEADER_BYTES])
{
    const struct arili_value_sealer as = { .rt = rt,
                                           .key = key,
                                           .left = body_bytes,
                                           .header = { .created_ms = created_ms,
                                                       .not_after_ms = not_after_ms,
                                                       .generation = generation,
                                                       .body_bytes = body_bytes } };
    return sealer_begin(s, &as, context, ret_header);
}

aril_status arili_value_sealer_begin_in(struct arili_value_sealer *s,
                                        struct arili_value_batch *batch, const aril_tenant_key *key,
                                        const uint8_t context[ARILI_CACHE_CONTEXT_BYTES],
                                        uint64_t created_ms, uint64_t not_after_ms,
                                        uint64_t generation, uint64_t body_bytes,
                                        uint8_t ret_header[ARILI_VALUE_HEADER_BYTES])
{
    const struct arili_value_sealer as = { .rt = batch->rt,
                                           .batch = batch,
                                           .key = key,
                                           .left = body_bytes,
                                           .header = { .created_ms = created_ms,
                                                       .not_after_ms = not_after_ms,
                                                       .generation = generation,
                                                       .body_bytes = body_bytes } };
    return sealer_begin(s, &as, context, ret_header);
}

/* Encrypt the first len bytes at data, which ends says end their segment. */
static aril_status seal_with(struct arili_value_sealer *s, uint8_t *data, size_t len, bool ends,
                             uint8_t *ret_tag)
{
    const struct arili_crypto_ops *const ops = s->rt->crypto.ops;
    const aril_bytes aad = { s->aad, sizeof s->aad };
    const aril_bytes plain = { data, len };
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    if (s->lease.of.ctx == NULL) {
        ARILI_TRY(take(s->rt, s->batch, s->key, s->header.nonce, s->segment, &s->lease, nonce));
        if (ends) { /* all of it is here */
            return ops->aead_seal(s->lease.of.ctx, nonce, aad, &plain, 1, data, ret_tag);
        }
        ARILI_TRY(ops->aead_seal_begin(s->lease.of.ctx, nonce, aad));
    }
    ARILI_TRY(ops->aead_seal_more(s->lease.of.ctx, plain, data));
    return ends ? ops->aead_seal_end(s->lease.of.ctx, ret_tag) : ARIL_OK;
}

/* The first of *in that belong to one segment. */
static aril_status seal_step(struct arili_value_sealer *s, aril_span *in, size_t *ret_len,
                             uint8_t *ret_tag, bool *ret_ends)
{
    ARILI_ENSURE(!s->ended, ARIL_E_FORMAT_LENGTH);
    const size_t room = min_of(s->left, ARILI_VALUE_SEGMENT_BYTES - s->segment_at);
    const size_t len = min_of(room, in->len);
    const bool ends = len == room;
    uint8_t tag[ARILI_VALUE_TAG_BYTES];
    const aril_status st = seal_with(s, in->data, len, ends, tag);
    if (st != ARIL_OK || ends) {
        give_back(s->rt, s->batch, &s->lease);
    }
    if (st != ARIL_OK) {
        arili_wipe(in->data, len);
        return st;
    }
    s->left -= len;
    s->segment_at = ends ? 0 : s->segment_at + len;
    s->segment += ends;
    s->ended = ends && s->left == 0;
    if (ends) {
        memcpy(ret_tag, tag, sizeof tag);
    }
    *ret_len = len;
    *ret_ends = ends;
    return ARIL_OK;
}

aril_status arili_value_sealer_run(struct arili_value_sealer *s, aril_span *in, aril_span *ret_run,
                                   uint8_t ret_tag[ARILI_VALUE_TAG_BYTES], bool *ret_tagged)
{
    const bool nothing = in->len == 0 && (s->ended || s->left > 0);
    *ret_run = (aril_span){ in->data, 0 };
    *ret_tagged = false;
    if (s->failed == ARIL_OK && !nothing) {
        s->failed = seal_step(s, in, &ret_run->len, ret_tag, ret_tagged);
    }
    if (ret_run->len > 0) {
        *in = (aril_span){ in->data + ret_run->len, in->len - ret_run->len };
    }
    return s->failed;
}

aril_status arili_value_sealer_done(struct arili_value_sealer *s)
{
    give_back(s->rt, s->batch, &s->lease);
    ARILI_TRY(s->failed);
    ARILI_ENSURE(s->ended, ARIL_E_FORMAT_TRUNCATED);
    return ARIL_OK;
}
