/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_DEMO_ENGINE_H
#define ARIL_CMD_DEMO_ENGINE_H
#include "gguf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What makes and reads KV state in the demo: llama.cpp, or a stand-in without a model.
 * One engine is one model; a context is one sequence of it, number 0. */
struct demo_engine {
    const char *name;        /* "llama.cpp" or "synthetic tensors" */
    const char *output_name; /* what output() is, for people: "logits" */
    char about[256];         /* which library, or why there is none */
    char layout[64];         /* of the state, for struct aril_kv_layout */
    struct gguf_shape shape;
    uint64_t model_bytes; /* size of the GGUF file; 0 without one */
    size_t output_bytes;  /* of one output() */
    void *model;          /* owned by the engine */

    void *(*context_new)(const struct demo_engine *engine); /* NULL on failure */
    void (*context_free)(void *context);                    /* accepts NULL */
    bool (*decode)(void *context, const int32_t *tokens, size_t count);
    /* After decode(): output_bytes bytes that depend on the whole state; borrowed until
     * the next call on the context. */
    const uint8_t *(*output)(void *context);
    size_t (*state_bytes)(void *context);
    bool (*state_get)(void *context, uint8_t *ret_state, size_t len);
    bool (*state_set)(void *context, const uint8_t *state, size_t len);
    void (*close)(struct demo_engine *engine);
};

/* Load libllama from the folder dir, or a folder below it, and a seeded model into it.
 * On failure engine->about says why, and the engine is not open. */
bool demo_llama_open(struct demo_engine *engine, const char *dir, uint64_t seed);

/* An engine whose state is seeded bytes of the same shape. Reason: why it is needed. */
bool demo_synthetic_open(struct demo_engine *engine, const char *reason, uint64_t seed);

/* Bytes of K and V of one token over all layers, f16. */
static inline size_t demo_token_bytes(const struct demo_engine *e)
{
    return (size_t)2 * 2 * e->shape.layers * e->shape.kv_heads *
           (e->shape.embedding / e->shape.heads);
}

/* The model of the demo: small enough to make and run within a second, with several layers
 * and grouped-query attention as in the large ones. */
static const struct gguf_shape demo_shape = {
    .layers = 6,
    .embedding = 256,
    .heads = 8,
    .kv_heads = 2,
    .feed_forward = 384,
    .vocab = 512,
    .context = 2048,
};
#endif
