/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for llama.cpp where there is none: the KV state is the number of tokens and one
 * row of seeded bytes a token, as long as the rows of the demo's model. The "output" mixes
 * every byte of the state, so that two states give the same output only when they are equal.
 */
#include "demo_engine.h"
#include "seeded.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX   1024u
#define HEADER_BYTES 8u

struct synthetic_model {
    uint64_t seed;
};

struct synthetic_context {
    uint64_t seed;
    size_t row_bytes;
    size_t tokens;
    size_t output_bytes;
    uint8_t *rows;
    uint8_t *output;
};

static void synthetic_context_free(void *context)
{
    struct synthetic_context *c = context;
    if (c != NULL) {
        free(c->rows);
        free(c->output);
        free(c);
    }
}

static void *synthetic_context_new(const struct demo_engine *engine)
{
    const struct synthetic_model *model = engine->model;
    struct synthetic_context *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    c->seed = model->seed;
    c->row_bytes = demo_token_bytes(engine);
    c->output_bytes = engine->output_bytes;
    c->rows = calloc(TOKENS_MAX, c->row_bytes);
    c->output = calloc(1, c->output_bytes);
    if (c->rows == NULL || c->output == NULL) {
        synthetic_context_free(c);
        return NULL;
    }
    return c;
}

static bool synthetic_decode(void *context, const int32_t *tokens, size_t count)
{
    struct synthetic_context *c = context;
    if (count > TOKENS_MAX - c->tokens) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct seeded random = seeded_init(c->seed ^ (uint64_t)tokens[i] << 32 ^ c->tokens);
        seeded_fill(&random, c->rows + c->tokens * c->row_bytes, c->row_bytes);
        c->tokens++;
    }
    return true;
}

static const uint8_t *synthetic_output(void *context)
{
    struct synthetic_context *c = context;
    memset(c->output, 0, c->output_bytes);
    const size_t len = c->tokens * c->row_bytes;
    uint64_t mixed = c->tokens;
    for (size_t i = 0; i < len; i++) {
        struct seeded next = seeded_init(mixed ^ c->rows[i]);
        mixed = seeded_next(&next);
        c->output[i % c->output_bytes] ^= (uint8_t)mixed;
    }
    return c->output;
}

static size_t synthetic_state_bytes(void *context)
{
    const struct synthetic_context *c = context;
    return HEADER_BYTES + c->tokens * c->row_bytes;
}

static bool synthetic_state_get(void *context, uint8_t *ret_state, size_t len)
{
    const struct synthetic_context *c = context;
    if (len != synthetic_state_bytes(context)) {
        return false;
    }
    const uint64_t tokens = c->tokens;
    memcpy(ret_state, &tokens, HEADER_BYTES);
    memcpy(ret_state + HEADER_BYTES, c->rows, len - HEADER_BYTES);
    return true;
}

static bool synthetic_state_set(void *context, const uint8_t *state, size_t len)
{
    struct synthetic_context *c = context;
    uint64_t tokens = 0;
    if (len < HEADER_BYTES) {
        return false;
    }
    memcpy(&tokens, state, HEADER_BYTES);
    if (tokens > TOKENS_MAX || len != HEADER_BYTES + tokens * c->row_bytes) {
        return false;
    }
    c->tokens = (size_t)tokens;
    memcpy(c->rows, state + HEADER_BYTES, len - HEADER_BYTES);
    return true;
}

static void synthetic_close(struct demo_engine *engine)
{
    free(engine->model);
    engine->model = NULL;
}

bool demo_synthetic_open(struct demo_engine *engine, const char *reason, uint64_t seed)
{
    struct synthetic_model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        return false;
    }
    model->seed = seed;
    *engine = (struct demo_engine){
        .name = "synthetic tensors",
        .output_name = "state bytes",
        .layout = "synthetic/rows",
        .shape = demo_shape,
        .output_bytes = 64,
        .model = model,
        .context_new = synthetic_context_new,
        .context_free = synthetic_context_free,
        .decode = synthetic_decode,
        .output = synthetic_output,
        .state_bytes = synthetic_state_bytes,
        .state_get = synthetic_state_get,
        .state_set = synthetic_state_set,
        .close = synthetic_close,
    };
    snprintf(engine->about, sizeof engine->about, "%s", reason);
    return true;
}
