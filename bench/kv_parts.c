/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "kv/context.h"
#include "record/record.h"
#include "session/session.h"
#include <string.h>

/*
 * What the steps of sealing one record cost by themselves, warm and in a loop: where to look
 * when kv.seal.128B.ns grows. In a record they overlap, so their sum is more than the whole.
 */

#define TURNS 200000u

struct parts {
    aril_session *session;
    struct arili_chain *chain;
    struct arili_epoch *epoch;
    struct arili_kv_scope scope;
    aril_kv_block block;
    uint8_t plain[128], body[128], seal[ARIL_SEAL_BYTES];
    uint8_t aad[ARILI_SEAL_HEADER_BYTES + ARILI_KV_CONTEXT_BYTES];
    struct arili_aead_ctx *ctx; /* with a key of its own */
};

static uint64_t record_length(const void *records, size_t i)
{
    (void)records;
    (void)i;
    return 128;
}

static void read_clock(struct parts *p)
{
    uint64_t now;
    BENCH_OK(arili_session_now(p->session, &now));
}

static void check_chain(struct parts *p)
{
    BENCH_OK(arili_chain_check(p->chain, p->session->began_ns));
}

static void check_record(struct parts *p)
{
    const aril_span span = { p->plain, sizeof p->plain };
    const struct arili_record r = { .spans = &span,
                                    .span_count = 1,
                                    .body = p->body,
                                    .body_len = sizeof p->body,
                                    .seal = p->seal };
    BENCH_OK(arili_kv_block_check(&p->block));
    BENCH_OK(arili_record_check(&r));
}

static void reserve(struct parts *p)
{
    struct arili_reservation place;
    BENCH_OK(arili_chain_reserve(p->chain, p->session->began_ns, record_length, NULL, 1, &place));
    arili_epoch_unpin(p->chain, place.epoch);
}

static void borrow_context(struct parts *p)
{
    struct arili_contexts *contexts = p->session->rt->contexts;
    struct arili_context_lease lease;
    BENCH_OK(arili_contexts_get(contexts, p->epoch->uid, p->epoch->keys->key, &lease));
    arili_contexts_put(contexts, &lease);
}

static void write_header(struct parts *p)
{
    struct arili_seal_header h = { .use = ARILI_USE_KV,
                                   .sequence = 1,
                                   .body_bytes = sizeof p->body,
                                   .tenant_tag = p->session->tenant_tag };
    memcpy(h.key_id, p->epoch->key_id, sizeof h.key_id);
    arili_seal_write(&h, p->aad);
    arili_kv_context_write(&p->scope, &p->block, p->aad + ARILI_SEAL_HEADER_BYTES);
}

static void cipher(struct parts *p, size_t len)
{
    static const uint8_t nonce[ARILI_AEAD_NONCE_BYTES] = { 1 }; /* the plaintext never changes */
    const aril_bytes span = { p->plain, len };
    BENCH_OK(p->session->rt->crypto.ops->aead_seal(p->ctx, nonce,
                                                   (aril_bytes){ p->aad, sizeof p->aad }, &span, 1,
                                                   p->body, p->seal + ARILI_SEAL_HEADER_BYTES));
}

static void cipher_nothing(struct parts *p)
{
    cipher(p, 0);
}

static void cipher_128(struct parts *p)
{
    cipher(p, sizeof p->plain);
}

static void measure(struct parts *p, const char *name, void (*step)(struct parts *p))
{
    double rounds[BENCH_ROUNDS_MAX];
    for (size_t r = 0; r < bench_rounds(); r++) {
        const uint64_t start = bench_thread_ns();
        for (size_t i = 0; i < TURNS; i++) {
            step(p);
            __asm__ __volatile__("" : : "r"(p) : "memory");
        }
        rounds[r] = (double)(bench_thread_ns() - start) / TURNS;
    }
    bench_report("kv.part", name, bench_median(rounds, bench_rounds()));
}

void bench_kv_parts(void)
{
    if (!bench_wants("kv.part.")) {
        return;
    }
    struct bench_world world;
    bench_world_new(&world);
    const struct arili_crypto *c = &world.rt->crypto;
    struct parts p = { .session = world.tenant };
    static const uint8_t key[ARILI_AEAD_KEY_BYTES] = { 9 };
    p.chain = &p.session->chain[p.session->sends];
    p.epoch = atomic_load(&p.chain->current); /* readable longer than this takes */
    p.block = (aril_kv_block){ .layer_count = 1, .identity = ARIL_KV_CHAIN };
    BENCH_OK(c->ops->aead_new(c->provider, &p.ctx));
    BENCH_OK(c->ops->aead_key(p.ctx, key));
    measure(&p, "check_record_ns", check_record);
    measure(&p, "clock_ns", read_clock);
    measure(&p, "check_chain_ns", check_chain);
    measure(&p, "header_ns", write_header);
    measure(&p, "borrow_context_ns", borrow_context);
    measure(&p, "cipher_0B_ns", cipher_nothing);
    measure(&p, "cipher_128B_ns", cipher_128);
    measure(&p, "reserve_ns", reserve); /* last: it rotates */
    c->ops->aead_free(p.ctx);
    bench_world_free(&world);
}
