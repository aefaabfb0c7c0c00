/* SPDX-License-Identifier: Apache-2.0 */
#include "defer.h"
#include "demo_world.h"
#include "histogram.h"
#include "seeded.h"
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

aril_kv_config demo_kv_config(const struct demo_world *w)
{
    const struct gguf_shape *s = &w->engine.shape;
    const uint32_t head = s->embedding / s->heads;
    return (aril_kv_config){
        .model = demo_text(w->model),
        .layout = {
            .name = w->engine.layout,
            .dtype = "f16",
            .block_tokens = (uint32_t)(DEMO_BLOCK_BYTES / demo_token_bytes(&w->engine)),
            .layers = s->layers,
            .kv_heads = s->kv_heads,
            .key_dim = head,
            .value_dim = head,
            .world_size = 1,
        },
        .slot_pins = 1024,
    };
}

static aril_accept_config accept_config(const struct demo_world *w, const char *vouched)
{
    return (aril_accept_config){
        .identity = w->server,
        .trust = w->trust,
        .vouched_tenant_id = vouched == NULL ? (aril_bytes){ NULL, 0 } : demo_text(vouched),
        .tag_key = { w->tag_key, sizeof w->tag_key },
    };
}

aril_status demo_ask(struct demo_world *w, const aril_offer_config *offer, const char *vouched,
                     void (*change)(uint8_t *offer, size_t len))
{
    DEFER(handshake_freep) aril_handshake *client = NULL;
    DEFER(handshake_freep) aril_handshake *server = NULL;
    uint8_t message[ARIL_HANDSHAKE_BYTES_MAX];
    uint8_t answer[ARIL_HANDSHAKE_BYTES_MAX];
    size_t len = 0;
    size_t answer_len = 0;
    const aril_status st = aril_session_offer(w->rt, offer, &client, message, sizeof message, &len);
    if (st != ARIL_OK) {
        return st;
    }
    if (change != NULL) {
        change(message, len);
    }
    const aril_accept_config config = accept_config(w, vouched);
    return aril_session_accept(w->rt, &config, (aril_bytes){ message, len }, &server, answer,
                               sizeof answer, &answer_len);
}

/* The three messages between a tenant and the server. */
static aril_status establish(struct demo_world *w, const aril_offer_config *offer,
                             const char *vouched, aril_session **ret_client,
                             aril_session **ret_server)
{
    DEFER(handshake_freep) aril_handshake *client_hs = NULL;
    DEFER(handshake_freep) aril_handshake *server_hs = NULL;
    DEFER(session_closep) aril_session *client = NULL;
    uint8_t message[ARIL_HANDSHAKE_BYTES_MAX];
    uint8_t answer[ARIL_HANDSHAKE_BYTES_MAX];
    size_t len = 0;
    size_t answer_len = 0;
    const aril_accept_config config = accept_config(w, vouched);
    aril_status st = aril_session_offer(w->rt, offer, &client_hs, message, sizeof message, &len);
    if (st == ARIL_OK) {
        st = aril_session_accept(w->rt, &config, (aril_bytes){ message, len }, &server_hs, answer,
                                 sizeof answer, &answer_len);
    }
    if (st == ARIL_OK) {
        st = aril_session_finish(client_hs, (aril_bytes){ answer, answer_len }, message,
                                 sizeof message, &len, &client);
    }
    if (st == ARIL_OK) {
        st = aril_session_confirm(server_hs, (aril_bytes){ message, len }, ret_server);
    }
    if (st == ARIL_OK) {
        *ret_client = client;
        client = NULL;
    }
    return st;
}

/* Establish a session, hand the server's end to the registry, and hold the tenant. */
static aril_status connect_tenant(struct demo_world *w, struct demo_tenant *t,
                                  const aril_identity *identity, double *ret_ms)
{
    DEFER(session_closep) aril_session *server = NULL;
    const aril_offer_config offer = {
        .tenant_id = demo_text(t->name),
        .identity = identity,
        .server_did = w->server_did,
    };
    const uint64_t started = monotonic_ns();
    aril_status st = establish(w, &offer, identity == NULL ? t->name : NULL, &t->client, &server);
    *ret_ms = (double)(monotonic_ns() - started) / 1e6;
    if (st == ARIL_OK) {
        st = aril_tenants_adopt(w->tenants, server);
    }
    if (st != ARIL_OK) {
        return st;
    }
    server = NULL; /* the registry's now */
    st = aril_tenants_get(w->tenants, demo_text(t->name), &t->held);
    if (st == ARIL_OK) {
        t->kv = aril_tenant_kv(t->held, 0);
    }
    return st;
}

static aril_status make_identities(struct demo_world *w)
{
    char did[ARIL_DID_BYTES_MAX];
    size_t len = 0;
    aril_status st = aril_identity_generate(w->rt, ARIL_ML_DSA_65, &w->server);
    if (st == ARIL_OK) {
        st = aril_identity_generate(w->rt, ARIL_ML_DSA_65, &w->alice);
    }
    if (st == ARIL_OK) {
        st = aril_identity_generate(w->rt, ARIL_ML_DSA_65, &w->stranger);
    }
    if (st == ARIL_OK) {
        st = aril_did_write(w->rt, ARIL_DID_PQAID, ARIL_ML_DSA_65, aril_identity_public(w->server),
                            w->server_did, sizeof w->server_did, &len);
    }
    if (st == ARIL_OK) {
        st = aril_did_write(w->rt, ARIL_DID_PQAID, ARIL_ML_DSA_65, aril_identity_public(w->alice),
                            did, sizeof did, &len);
    }
    if (st == ARIL_OK) {
        st = aril_trust_new(w->rt, &w->trust);
    }
    return st == ARIL_OK ? aril_trust_add(w->trust, did, "alice") : st;
}

static aril_status make_server(struct demo_world *w)
{
    aril_status st = aril_audit_memory_new(4096, 256, &w->audit);
    if (st == ARIL_OK) {
        const aril_runtime_config config = { .audit = aril_audit_memory_sink(w->audit) };
        st = aril_runtime_new(&config, &w->rt);
    }
    if (st == ARIL_OK) {
        st = make_identities(w);
    }
    if (st == ARIL_OK &&
        getrandom(w->tag_key, sizeof w->tag_key, 0) != (ssize_t)sizeof w->tag_key) {
        st = ARIL_E_RANDOM;
    }
    if (st == ARIL_OK) {
        const aril_kv_config model = demo_kv_config(w);
        const aril_tenants_config config = {
            .models = &model,
            .model_count = 1,
            .identity = w->server,
            .tag_key = { w->tag_key, sizeof w->tag_key },
        };
        st = aril_tenants_new(w->rt, &config, &w->tenants);
    }
    return st;
}

static void make_prompts(struct demo_world *w)
{
    static const char *const names[DEMO_TENANTS] = { "alice", "bob" };
    struct seeded random = seeded_init(w->seed ^ UINT64_C(0x70726f6d7074)); /* "prompt" */
    for (size_t i = 0; i < DEMO_TENANTS; i++) {
        struct demo_tenant *t = &w->tenant[i];
        t->name = names[i];
        t->slot = 3 + 4 * i;
        t->prompt_tokens = DEMO_PROMPT_MAX - 40 * i;
        for (size_t k = 0; k < DEMO_TOKENS_MAX; k++) {
            t->tokens[k] = (int32_t)(seeded_next(&random) % w->engine.shape.vocab);
        }
    }
}

bool demo_setup(struct demo_world *w)
{
    struct demo_report *r = w->report;
    snprintf(w->model, sizeof w->model, "demo-llama/seed-%llu", (unsigned long long)w->seed);
    make_prompts(w);
    aril_status st = make_server(w);
    if (st != ARIL_OK) {
        return demo_stop(r, "the server starts", st);
    }
    demo_section(r, "Two tenants, two sessions");
    double ms = 0;
    st = connect_tenant(w, &w->tenant[DEMO_ALICE], w->alice, &w->establish_ms);
    demo_check(r, "alice: offer signed by her own ML-DSA-65 key", ARIL_OK, st, "%.2f ms, both ends",
               w->establish_ms);
    if (st == ARIL_OK) {
        st = connect_tenant(w, &w->tenant[DEMO_BOB], NULL, &ms);
        demo_check(r, "bob: the transport vouches for him", ARIL_OK, st, "%.2f ms, both ends", ms);
    }
    demo_fact(r, "the server holds both", aril_tenants_count(w->tenants) == DEMO_TENANTS,
              "%zu tenants, each with keys of its own", aril_tenants_count(w->tenants));
    demo_detail(r, "server: %s", w->server_did);
    return st == ARIL_OK;
}

void demo_teardown(struct demo_world *w)
{
    for (size_t i = 0; i < DEMO_TENANTS; i++) {
        struct demo_tenant *t = &w->tenant[i];
        if (t->context != NULL) {
            w->engine.context_free(t->context);
        }
        demo_sealed_free(&t->sealed);
        aril_tenant_put(t->held);
        aril_session_close(t->client);
    }
    aril_tenants_free(w->tenants);
    aril_trust_free(w->trust);
    aril_identity_free(w->server);
    aril_identity_free(w->alice);
    aril_identity_free(w->stranger);
    aril_runtime_free(w->rt);
    aril_audit_memory_free(w->audit);
    if (w->engine_open) {
        w->engine.close(&w->engine);
    }
}
