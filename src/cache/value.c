/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/value.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/value_internal.h"
#include <stdatomic.h>
#include <stddef.h>

#define SEGMENT     ARILI_VALUE_SEGMENT_BYTES
#define ZEROS_BYTES 65536u
/* One segment: the value, zeros in pieces, the trailer. */
#define SPANS_MAX (2u + SEGMENT / ZEROS_BYTES + 1u)

static const uint8_t zeros[ZEROS_BYTES];

/* --- Lengths -------------------------------------------------------------------------------- */

static unsigned log2_of(uint64_t v)
{
    return v == 0 ? 0 : 63u - (unsigned)__builtin_clzll(v);
}

uint64_t arili_padme(uint64_t len)
{
    if (len < 2) {
        return len;
    }
    const unsigned exponent = log2_of(len);
    const unsigned mantissa = log2_of(exponent) + 1;
    if (exponent <= mantissa) {
        return len;
    }
    const uint64_t mask = (UINT64_C(1) << (exponent - mantissa)) - 1;
    return (len + mask) & ~mask;
}

struct arili_value_plan arili_value_plan(uint64_t value_bytes, size_t tag_count,
                                         aril_cache_padding padding, uint32_t pad_bytes)
{
    struct arili_value_plan p = { .value_bytes = value_bytes,
                                  .body_bytes = value_bytes,
                                  .tag_count = tag_count,
                                  .trailer = tag_count > 0 || padding != ARIL_CACHE_PAD_NONE };
    if (!p.trailer) {
        return p;
    }
    const size_t trailer = arili_value_trailer_bytes(tag_count);
    p.body_bytes += trailer;
    if (padding == ARIL_CACHE_PAD_PADME) {
        p.body_bytes = arili_padme(p.body_bytes);
    } else if (padding == ARIL_CACHE_PAD_BLOCK) {
        p.body_bytes = (p.body_bytes + pad_bytes - 1) / pad_bytes * pad_bytes;
    }
    /* The trailer lies in one segment. */
    const uint64_t last = p.body_bytes - (arili_value_segments(p.body_bytes) - 1) * SEGMENT;
    if (last < trailer) {
        p.body_bytes += trailer - last;
    }
    return p;
}

/* --- One segment ---------------------------------------------------------------------------- */

aril_status arili_value_key_context(aril_runtime *rt, const aril_tenant_key *key,
                                    const uint8_t value_nonce[ARILI_VALUE_NONCE_BYTES],
                                    uint64_t index, struct arili_context_lease *ret_lease,
                                    uint8_t ret_nonce[ARILI_AEAD_NONCE_BYTES])
{
    uint8_t nonce[ARILI_XAES_NONCE_BYTES];
    arili_value_segment_nonce(value_nonce, index, nonce);
    ARILI_TRY(arili_contexts_get(rt->contexts, 0, NULL, ret_lease));
    const aril_status st =
        arili_xaes_message(arili_tenant_key_xaes(key), nonce, ret_lease->ctx, ret_nonce);
    if (st != ARIL_OK) {
        arili_contexts_put(rt->contexts, ret_lease);
    }
    return st;
}

/* --- Sealing -------------------------------------------------------------------------------- */

struct seal_work {
    const struct arili_value_sealing *s;
    const uint8_t *nonce;
    uint8_t *out;
    const uint8_t *trailer;
    size_t trailer_bytes;
    uint8_t aad[ARILI_VALUE_AAD_BYTES];
    _Atomic int failed; /* aril_status */
};

/* What of the plaintext lies in a segment: value, zeros, trailer. */
static size_t spans_of(const struct seal_work *w, const struct arili_value_segment *seg,
                       aril_bytes spans[SPANS_MAX])
{
    const aril_bytes value = w->s->value;
    const uint64_t trailer_at = w->s->plan.body_bytes - w->trailer_bytes;
    const uint64_t end = seg->from + seg->len;
    uint64_t at = seg->from;
    size_t n = 0;
    if (at < value.len) {
        const uint64_t len = (value.len < end ? value.len : end) - at;
        spans[n++] = (aril_bytes){ value.data + at, (size_t)len };
        at += len;
    }
    while (at < end && at < trailer_at) {
        uint64_t len = (trailer_at < end ? trailer_at : end) - at;
        len = len < ZEROS_BYTES ? len : ZEROS_BYTES;
        spans[n++] = (aril_bytes){ zeros, (size_t)len };
        at += len;
    }
    if (at < end) {
        spans[n++] = (aril_bytes){ w->trailer + (at - trailer_at), (size_t)(end - at) };
    }
    return n;
}

static aril_status seal_segment(const struct seal_work *w, uint64_t index)
{
    const struct arili_crypto *c = &w->s->rt->crypto;
    const struct arili_value_segment seg = arili_value_segment_at(w->s->plan.body_bytes, index);
    struct arili_context_lease lease;
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    aril_bytes spans[SPANS_MAX];
    uint8_t *body = w->out + seg.stored_at;
    ARILI_TRY(arili_value_key_context(w->s->rt, w->s->key, w->nonce, index, &lease, nonce));
    const size_t count = spans_of(w, &seg, spans);
    const aril_status st =
        c->ops->aead_seal(lease.ctx, nonce, (aril_bytes){ w->aad, sizeof w->aad }, spans, count,
                          body, body + seg.len);
    arili_contexts_put(w->s->rt->contexts, &lease);
    return st;
}

static void seal_task(void *arg, size_t index)
{
    struct seal_work *w = arg;
    const aril_status st = seal_segment(w, index);
    if (st != ARIL_OK) {
        atomic_store(&w->failed, (int)st);
    }
}

/* Run a task for each segment: on the executor where there are several. */
static void run_segments(const aril_executor *executor, void (*task)(void *arg, size_t index),
                         void *arg, uint64_t count)
{
    if (executor != NULL && count > 1) {
        executor->run(executor->state, task, arg, (size_t)count);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        task(arg, (size_t)i);
    }
}

aril_status arili_value_seal(const struct arili_value_sealing *s, uint8_t *ret)
{
    const struct arili_crypto *c = &s->rt->crypto;
    struct arili_value_header h = { .flags = s->plan.trailer ? ARILI_VALUE_TRAILER : 0,
                                    .created_ms = s->created_ms,
                                    .not_after_ms = s->not_after_ms,
                                    .generation = s->generation,
                                    .body_bytes = s->plan.body_bytes };
    memcpy(h.key_id, aril_tenant_key_id(s->key), sizeof h.key_id);
    ARILI_TRY(c->ops->random(c->provider, h.nonce, sizeof h.nonce));
    uint8_t
        trailer[ARILI_VALUE_TAGS_MAX * ARILI_VALUE_TAG_ENTRY_BYTES + ARILI_VALUE_TRAILER_END_BYTES];
    struct seal_work w = { .s = s, .nonce = h.nonce, .out = ret, .trailer = trailer };
    if (s->plan.trailer) {
        struct arili_value_trailer t = { .value_bytes = s->value.len,
                                         .tag_count = s->plan.tag_count };
        for (size_t i = 0; i < t.tag_count; i++) {
            t.tags[i] = s->tags[i];
        }
        arili_value_trailer_write(&t, trailer);
        w.trailer_bytes = arili_value_trailer_bytes(t.tag_count);
    }
    arili_value_write(&h, ret);
    memcpy(w.aad, ret, ARILI_VALUE_HEADER_BYTES);
    memcpy(w.aad + ARILI_VALUE_HEADER_BYTES, s->context, ARILI_CACHE_CONTEXT_BYTES);
    run_segments(s->executor, seal_task, &w, arili_value_segments(h.body_bytes));
    const aril_status st = (aril_status)atomic_load(&w.failed);
    if (st != ARIL_OK) {
        arili_wipe(ret, arili_value_stored_bytes(h.body_bytes));
    }
    return st;
}

/* --- Opening -------------------------------------------------------------------------------- */

void arili_value_open_begin(struct arili_value_opening *o, aril_runtime *rt,
                            const aril_tenant_key *key, const uint8_t *stored,
                            const struct arili_value_header *header,
                            const uint8_t context[ARILI_CACHE_CONTEXT_BYTES])
{
    memset(o, 0, offsetof(struct arili_value_opening, trailer));
    o->rt = rt;
    o->key = key;
    o->header = *header;
    o->trailer.value_bytes = header->body_bytes;
    o->trailer.tag_count = 0; /* and so nothing of its tags is read */
    memcpy(o->aad, stored, ARILI_VALUE_HEADER_BYTES);
    memcpy(o->aad + ARILI_VALUE_HEADER_BYTES, context, ARILI_CACHE_CONTEXT_BYTES);
}

/* Decrypt a segment: its first bytes to out, what is beyond them to scratch. */
static aril_status open_segment(const struct arili_value_opening *o,
                                const struct arili_value_segment *seg, const uint8_t *stored,
                                const aril_span *out, size_t count)
{
    const struct arili_crypto *c = &o->rt->crypto;
    struct arili_context_lease lease;
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    const uint8_t *body = stored + seg->stored_at;
    ARILI_TRY(arili_value_key_context(o->rt, o->key, o->header.nonce, seg->index, &lease, nonce));
    const aril_status st =
        c->ops->aead_open(lease.ctx, nonce, (aril_bytes){ o->aad, sizeof o->aad },
                          (aril_bytes){ body, (size_t)seg->len }, body + seg->len, out, count);
    arili_contexts_put(o->rt->contexts, &lease);
    return st;
}

struct scratch {
    uint8_t *data;
    size_t len;
};
static void scratch_done(struct scratch *s)
{
    arili_free(s->data, s->len);
}

/* Segments that reach beyond the value, and those that lie there, need memory of their own. */
static aril_status open_at(const struct arili_value_opening *o, const uint8_t *stored,
                           uint64_t index)
{
    const struct arili_value_segment seg = arili_value_segment_at(o->header.body_bytes, index);
    const uint64_t value = o->trailer.value_bytes;
    const uint64_t inside = seg.from >= value            ? 0
                            : value - seg.from < seg.len ? value - seg.from
                                                         : seg.len;
    if (inside == seg.len) {
        const aril_span out = { seg.len > 0 ? o->out + seg.from : NULL, (size_t)seg.len };
        return open_segment(o, &seg, stored, &out, seg.len > 0 ? 1 : 0);
    }
    ARILI_DEFER(scratch_done) struct scratch rest = { .len = (size_t)(seg.len - inside) };
    rest.data = arili_alloc(rest.len);
    ARILI_ENSURE(rest.data != NULL, ARIL_E_NOMEM);
    const aril_span out[2] = { { inside > 0 ? o->out + seg.from : NULL, (size_t)inside },
                               { rest.data, rest.len } };
    return inside > 0 ? open_segment(o, &seg, stored, out, 2)
                      : open_segment(o, &seg, stored, out + 1, 1);
}

struct open_work {
    const struct arili_value_opening *o;
    const uint8_t *stored;
    _Atomic int failed; /* aril_status */
};
static void open_task(void *arg, size_t index)
{
    struct open_work *w = arg;
    const aril_status st = open_at(w->o, w->stored, index);
    if (st != ARIL_OK) {
        atomic_store(&w->failed, (int)st);
    }
}

/* The last segment, which is not empty, into memory that ret gets. */
static aril_status open_last(const struct arili_value_opening *o, aril_bytes stored,
                             struct scratch *ret)
{
    const uint64_t body = o->header.body_bytes;
    const struct arili_value_segment seg =
        arili_value_segment_at(body, arili_value_segments(body) - 1);
    ARILI_ENSURE(seg.len > 0, ARIL_E_FORMAT_TRUNCATED);
    ret->len = (size_t)seg.len;
    ret->data = arili_alloc(ret->len);
    ARILI_ENSURE(ret->data != NULL, ARIL_E_NOMEM);
    const aril_span out = { ret->data, ret->len };
    return open_segment(o, &seg, stored.data, &out, 1);
}

aril_status arili_value_open_trailer(struct arili_value_opening *o, aril_bytes stored)
{
    if ((o->header.flags & ARILI_VALUE_TRAILER) == 0) {
        return ARIL_OK;
    }
    ARILI_DEFER(scratch_done) struct scratch end = { .data = NULL };
    ARILI_TRY(open_last(o, stored, &end));
    return arili_value_trailer_parse((aril_bytes){ end.data, end.len }, o->header.body_bytes,
                                     &o->trailer);
}

aril_status arili_value_open_length(const struct arili_value_opening *o, aril_bytes stored)
{
    ARILI_DEFER(scratch_done) struct scratch end = { .data = NULL };
    return open_last(o, stored, &end);
}

aril_status arili_value_open_end(struct arili_value_opening *o, aril_bytes stored)
{
    struct open_work w = { .o = o, .stored = stored.data };
    run_segments(o->executor, open_task, &w, arili_value_segments(o->header.body_bytes));
    const aril_status st = (aril_status)atomic_load(&w.failed);
    if (st != ARIL_OK) {
        arili_wipe(o->out, (size_t)o->trailer.value_bytes);
    }
    return st;
}
