/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_DEMO_STATE_H
#define ARIL_CMD_DEMO_STATE_H
#include <aril/kv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A sequence state of the engine, sealed. llama.cpp hands out the state of one sequence as
 * one piece of bytes: positions, then for each layer its K rows, then its V rows. It is cut
 * into blocks of DEMO_BLOCK_BYTES, each a cross-layer block of its slot: it counts as all
 * layers, and its place is the number of tokens that fit into the blocks before it. So a
 * block that is written again, after more tokens, has the same place as before.
 */
#define DEMO_BLOCK_BYTES 65536u

struct demo_sealed {
    size_t state_bytes;
    size_t count;
    aril_kv_block *blocks;
    uint8_t *bodies; /* state_bytes, one behind the other */
    uint8_t *seals;  /* count * ARIL_SEAL_BYTES, side by side */
};

/* Cut a state and seal it in one batch. token_bytes: K and V of a token over all layers. */
aril_status demo_seal_state(aril_kv *kv, uint64_t slot, uint32_t layers, size_t token_bytes,
                            const uint8_t *state, size_t len, struct demo_sealed *ret_sealed);

/* Open all blocks in one batch into state_bytes of memory. */
aril_status demo_open_state(aril_kv *kv, const struct demo_sealed *sealed, uint8_t *ret_state);

void demo_sealed_free(struct demo_sealed *sealed);

static inline size_t demo_block_bytes(const struct demo_sealed *s, size_t i)
{
    const size_t at = i * DEMO_BLOCK_BYTES;
    return s->state_bytes - at < DEMO_BLOCK_BYTES ? s->state_bytes - at : DEMO_BLOCK_BYTES;
}

/* A batch over the blocks of a sealed state, for tries that change something in it. */
struct demo_batch {
    size_t count;
    aril_kv_item *items;
    aril_span *spans;
    uint8_t *plain; /* what the spans point into; state_bytes */
};

bool demo_batch_init(struct demo_batch *b, const struct demo_sealed *sealed);
void demo_batch_done(struct demo_batch *b);

/* Seals plain into a body of the same length, as the given block. */
aril_status demo_seal_one(aril_kv *kv, const aril_kv_block *block, const uint8_t *plain, size_t len,
                          uint8_t *ret_body, uint8_t *ret_seal);
/* One record, opened as the given block. Also checks that a refused record leaves nothing
 * but zeros or what was there before; if not, the answer is ARIL_E_CRYPTO. */
aril_status demo_open_one(aril_kv *kv, const aril_kv_block *block, const uint8_t *body, size_t len,
                          const uint8_t *seal);
#endif
