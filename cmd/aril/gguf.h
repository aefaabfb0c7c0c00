/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_GGUF_H
#define ARIL_CMD_GGUF_H
#include <stdbool.h>
#include <stdint.h>

/* A model of the "llama" architecture, small enough to be made on the spot. The width of
 * a head is embedding / heads. */
struct gguf_shape {
    uint32_t layers;
    uint32_t embedding; /* a multiple of 32 */
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t feed_forward; /* a multiple of 32 */
    uint32_t vocab;
    uint32_t context;
};

/* Write a GGUF file (version 3, f16 matrices, f32 norms) with seeded random weights to fd,
 * from its current position on. The same shape and seed give the same bytes on every
 * machine. False when a write failed; errno says why. */
bool gguf_write(int fd, const struct gguf_shape *shape, uint64_t seed, uint64_t *ret_bytes);
#endif
