/* SPDX-License-Identifier: Apache-2.0 */
#include "demo_state.h"
#include <stdlib.h>
#include <string.h>

#define FILL 0xee /* what lies in a buffer before an open that is to be refused */

static void fill(uint8_t *buffer, size_t len)
{
    memset(buffer, FILL, len);
}

void demo_sealed_free(struct demo_sealed *sealed)
{
    free(sealed->blocks);
    free(sealed->bodies);
    free(sealed->seals);
    *sealed = (struct demo_sealed){ .count = 0 };
}

/* Items for every block; their spans lie in plain. */
static bool make_items(struct demo_batch *b, const struct demo_sealed *s, uint8_t *plain)
{
    b->count = s->count;
    b->items = calloc(s->count, sizeof *b->items);
    b->spans = calloc(s->count, sizeof *b->spans);
    if (b->items == NULL || b->spans == NULL) {
        return false;
    }
    for (size_t i = 0; i < s->count; i++) {
        const size_t at = i * DEMO_BLOCK_BYTES;
        b->spans[i] = (aril_span){ plain + at, demo_block_bytes(s, i) };
        b->items[i] = (aril_kv_item){
            .block = &s->blocks[i],
            .spans = &b->spans[i],
            .span_count = 1,
            .body = s->bodies + at,
            .body_len = demo_block_bytes(s, i),
            .seal = s->seals + i * ARIL_SEAL_BYTES,
        };
    }
    return true;
}

static void free_items(struct demo_batch *b)
{
    free(b->items);
    free(b->spans);
}

bool demo_batch_init(struct demo_batch *b, const struct demo_sealed *sealed)
{
    *b = (struct demo_batch){ .plain = malloc(sealed->state_bytes) };
    if (b->plain == NULL || !make_items(b, sealed, b->plain)) {
        demo_batch_done(b);
        return false;
    }
    fill(b->plain, sealed->state_bytes);
    return true;
}

void demo_batch_done(struct demo_batch *b)
{
    free_items(b);
    free(b->plain);
}

static bool make_blocks(struct demo_sealed *s, uint64_t slot, uint32_t layers, size_t token_bytes)
{
    s->blocks = calloc(s->count, sizeof *s->blocks);
    s->bodies = calloc(1, s->state_bytes);
    s->seals = calloc(s->count, ARIL_SEAL_BYTES);
    if (s->blocks == NULL || s->bodies == NULL || s->seals == NULL) {
        return false;
    }
    const uint64_t tokens = DEMO_BLOCK_BYTES / token_bytes;
    for (size_t i = 0; i < s->count; i++) {
        s->blocks[i] = (aril_kv_block){
            .layer_count = layers,
            .identity = ARIL_KV_SLOT,
            .slot = slot,
            .position = i * tokens,
            .count = tokens,
        };
    }
    return true;
}

aril_status demo_seal_state(aril_kv *kv, uint64_t slot, uint32_t layers, size_t token_bytes,
                            const uint8_t *state, size_t len, struct demo_sealed *ret_sealed)
{
    struct demo_sealed s = { .state_bytes = len,
                             .count = (len + DEMO_BLOCK_BYTES - 1) / DEMO_BLOCK_BYTES };
    struct demo_batch batch = { .count = 0 };
    aril_status st = ARIL_E_NOMEM;
    /* Sealing only reads its spans. */
    if (make_blocks(&s, slot, layers, token_bytes) &&
        make_items(&batch, &s, (uint8_t *)(uintptr_t)state)) {
        st = aril_kv_seal_batch(kv, batch.items, batch.count, NULL);
    }
    free_items(&batch);
    if (st != ARIL_OK) {
        demo_sealed_free(&s);
        return st;
    }
    *ret_sealed = s;
    return ARIL_OK;
}

aril_status demo_open_state(aril_kv *kv, const struct demo_sealed *sealed, uint8_t *ret_state)
{
    struct demo_batch batch = { .count = 0 };
    aril_status st = ARIL_E_NOMEM;
    if (make_items(&batch, sealed, ret_state)) {
        st = aril_kv_open_batch(kv, batch.items, batch.count, NULL);
    }
    free_items(&batch);
    return st;
}

aril_status demo_seal_one(aril_kv *kv, const aril_kv_block *block, const uint8_t *plain, size_t len,
                          uint8_t *ret_body, uint8_t *ret_seal)
{
    /* Sealing only reads its spans. */
    const aril_span span = { (uint8_t *)(uintptr_t)plain, len };
    aril_kv_item item = { .block = block,
                          .spans = &span,
                          .span_count = 1,
                          .body = ret_body,
                          .body_len = len,
                          .seal = ret_seal };
    return aril_kv_seal(kv, &item);
}

aril_status demo_open_one(aril_kv *kv, const aril_kv_block *block, const uint8_t *body, size_t len,
                          const uint8_t *seal)
{
    uint8_t *plain = malloc(len);
    if (plain == NULL) {
        return ARIL_E_NOMEM;
    }
    fill(plain, len);
    const aril_span span = { plain, len };
    /* Opening only reads body and seal. */
    aril_kv_item item = {
        .block = block,
        .spans = &span,
        .span_count = 1,
        .body = (uint8_t *)(uintptr_t)body,
        .body_len = len,
        .seal = (uint8_t *)(uintptr_t)seal,
    };
    aril_status st = aril_kv_open(kv, &item);
    for (size_t i = 0; i < len && st != ARIL_OK; i++) {
        st = plain[i] == 0 || plain[i] == FILL ? st : ARIL_E_CRYPTO;
    }
    free(plain);
    return st;
}
