/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_world.h"
#include "histogram.h"
#include <stdlib.h>
#include <string.h>

/* Plaintext of a state while it exists. */
struct plain_state {
    uint8_t *data;
    size_t len;
};

static void plain_state_done(struct plain_state *s)
{
    if (s->data != NULL) {
        explicit_bzero(s->data, s->len);
        free(s->data);
    }
    *s = (struct plain_state){ .data = NULL };
}

static bool engine_failed(struct demo_report *r, const char *what)
{
    demo_fact(r, what, false, "the demo cannot go on");
    return false;
}

static bool take_state(const struct demo_engine *e, void *context, struct plain_state *ret)
{
    ret->len = e->state_bytes(context);
    ret->data = ret->len == 0 ? NULL : malloc(ret->len);
    return ret->data != NULL && e->state_get(context, ret->data, ret->len);
}

/* Decode DEMO_STEPS tokens one by one and keep every output. */
static bool run_steps(const struct demo_engine *e, void *context, const int32_t *tokens,
                      uint8_t *ret_outputs)
{
    for (size_t i = 0; i < DEMO_STEPS; i++) {
        if (!e->decode(context, &tokens[i], 1)) {
            return false;
        }
        const uint8_t *output = e->output(context);
        if (output == NULL) {
            return false;
        }
        memcpy(ret_outputs + i * e->output_bytes, output, e->output_bytes);
    }
    return true;
}

/* The server decodes the prompt, hands its state out, and goes on without a break: that is
 * what the restored run is compared with. The context ends here. */
static bool prefill(const struct demo_world *w, const struct demo_tenant *t,
                    struct plain_state *ret_state, uint8_t *ret_outputs)
{
    const struct demo_engine *e = &w->engine;
    void *context = e->context_new(e);
    if (context == NULL) {
        return false;
    }
    const bool done = e->decode(context, t->tokens, t->prompt_tokens) &&
                      take_state(e, context, ret_state) &&
                      run_steps(e, context, t->tokens + t->prompt_tokens, ret_outputs);
    e->context_free(context);
    return done;
}

static aril_status seal(struct demo_world *w, struct demo_tenant *t,
                        const struct plain_state *state, double *ret_ms)
{
    const uint64_t started = monotonic_ns();
    const aril_status st =
        demo_seal_state(t->kv, t->slot, w->engine.shape.layers, demo_token_bytes(&w->engine),
                        state->data, state->len, &t->sealed);
    *ret_ms = (double)(monotonic_ns() - started) / 1e6;
    return st;
}

/* Open into fresh memory, load into a fresh context. */
static aril_status restore(struct demo_world *w, struct demo_tenant *t, double *ret_ms,
                           bool *ret_loaded)
{
    const struct demo_engine *e = &w->engine;
    __attribute__((cleanup(plain_state_done))) struct plain_state state = {
        malloc(t->sealed.state_bytes), t->sealed.state_bytes
    };
    if (state.data == NULL) {
        return ARIL_E_NOMEM;
    }
    const uint64_t started = monotonic_ns();
    const aril_status st = demo_open_state(t->kv, &t->sealed, state.data);
    *ret_ms = (double)(monotonic_ns() - started) / 1e6;
    if (st == ARIL_OK) {
        t->context = e->context_new(e);
        *ret_loaded = t->context != NULL && e->state_set(t->context, state.data, state.len);
    }
    return st;
}

static bool is_ciphertext(const struct demo_sealed *sealed, const struct plain_state *state)
{
    size_t equal = 0;
    for (size_t i = 0; i < state->len; i++) {
        equal += sealed->bodies[i] == state->data[i];
    }
    /* One byte of 256 is equal by chance. */
    return equal < state->len / 128;
}

static bool serve_tenant(struct demo_world *w, struct demo_tenant *t, uint8_t *before,
                         uint8_t *after)
{
    struct demo_report *r = w->report;
    const struct demo_engine *e = &w->engine;
    char name[96];
    double ms = 0;
    __attribute__((cleanup(plain_state_done))) struct plain_state state = { .data = NULL };
    if (!prefill(w, t, &state, before)) {
        return engine_failed(r, "the engine decodes a prompt");
    }
    aril_status st = seal(w, t, &state, &ms);
    snprintf(name, sizeof name, "%s: %zu tokens sealed in one batch", t->name, t->prompt_tokens);
    demo_check(r, name, ARIL_OK, st, "%zu bytes, %zu blocks, %.2f ms", state.len, t->sealed.count,
               ms);
    if (st != ARIL_OK) {
        return false;
    }
    snprintf(name, sizeof name, "%s: what is stored is ciphertext", t->name);
    demo_fact(r, name, is_ciphertext(&t->sealed, &state), "seals side by side, + %.3f %%",
              100.0 * (double)(t->sealed.count * ARIL_SEAL_BYTES) / (double)state.len);
    plain_state_done(&state); /* from here on there is only ciphertext */

    bool loaded = false;
    st = restore(w, t, &ms, &loaded);
    snprintf(name, sizeof name, "%s: opened into a fresh context", t->name);
    demo_check(r, name, ARIL_OK, st, "%.2f ms", ms);
    if (st != ARIL_OK) {
        return false;
    }
    if (!loaded || !run_steps(e, t->context, t->tokens + t->prompt_tokens, after)) {
        return engine_failed(r, "the engine goes on from a restored state");
    }
    snprintf(name, sizeof name, "%s: identical to the uninterrupted run", t->name);
    demo_fact(r, name, memcmp(before, after, DEMO_STEPS * e->output_bytes) == 0,
              "%u tokens, all %s bit for bit", DEMO_STEPS, e->output_name);
    return true;
}

bool demo_serve(struct demo_world *w)
{
    const size_t bytes = DEMO_STEPS * w->engine.output_bytes;
    uint8_t *before = calloc(1, bytes);
    uint8_t *after = calloc(1, bytes);
    demo_section(w->report, "KV state: sealed, dropped, restored");
    bool going = before != NULL && after != NULL;
    for (size_t i = 0; i < DEMO_TENANTS && going; i++) {
        going = serve_tenant(w, &w->tenant[i], before, after);
    }
    free(before);
    free(after);
    return going;
}

bool demo_serve_more(struct demo_world *w, struct demo_tenant *t, struct demo_sealed *ret_older)
{
    const struct demo_engine *e = &w->engine;
    __attribute__((cleanup(plain_state_done))) struct plain_state state = { .data = NULL };
    const int32_t *tokens = t->tokens + t->prompt_tokens + DEMO_STEPS;
    if (!e->decode(t->context, tokens, DEMO_STEPS) || !take_state(e, t->context, &state)) {
        return engine_failed(w->report, "the engine decodes more");
    }
    *ret_older = t->sealed;
    t->sealed = (struct demo_sealed){ .count = 0 };
    double ms = 0;
    const aril_status st = seal(w, t, &state, &ms);
    return st == ARIL_OK || demo_stop(w->report, "the state is sealed again", st);
}

/* Outputs of the steps that follow a state; false when the engine does not accept it. */
static bool outputs_from(const struct demo_engine *e, const struct plain_state *state,
                         const int32_t *tokens, uint8_t *ret_outputs)
{
    void *context = e->context_new(e);
    const bool done = context != NULL && e->state_set(context, state->data, state->len) &&
                      run_steps(e, context, tokens, ret_outputs);
    if (context != NULL) {
        e->context_free(context);
    }
    return done;
}

bool demo_flip_bare(struct demo_world *w, const struct demo_tenant *t, size_t at, uint8_t bit,
                    bool *ret_accepted, unsigned *ret_different)
{
    const struct demo_engine *e = &w->engine;
    const size_t bytes = DEMO_STEPS * e->output_bytes;
    const int32_t *tokens = t->tokens + t->prompt_tokens;
    uint8_t *right = calloc(2, bytes);
    if (right == NULL) {
        return false;
    }
    uint8_t *wrong = right + bytes;
    __attribute__((cleanup(plain_state_done))) struct plain_state state = {
        malloc(t->sealed.state_bytes), t->sealed.state_bytes
    };
    const bool opened = state.data != NULL &&
                        demo_open_state(t->kv, &t->sealed, state.data) == ARIL_OK &&
                        outputs_from(e, &state, tokens, right);
    *ret_different = 0;
    if (opened) {
        state.data[at] ^= bit;
        *ret_accepted = outputs_from(e, &state, tokens, wrong);
        for (size_t i = 0; i < DEMO_STEPS && *ret_accepted; i++) {
            const size_t k = i * e->output_bytes;
            *ret_different += memcmp(right + k, wrong + k, e->output_bytes) != 0;
        }
    }
    free(right);
    return opened;
}
