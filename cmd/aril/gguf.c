/* SPDX-License-Identifier: Apache-2.0 */
#include "gguf.h"
#include "seeded.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Numbers of the format; everything in it is little-endian. */
enum {
    GGUF_VERSION = 3,
    GGUF_UINT32 = 4,
    GGUF_FLOAT32 = 6,
    GGUF_STRING = 8,
    GGML_F32 = 0,
    GGML_F16 = 1,
    ALIGNMENT = 32, /* of tensor data, the default of the format */
    PER_LAYER = 9,
};

struct tensor {
    char name[48];
    uint64_t columns;
    uint64_t rows; /* 1 for a vector */
    uint32_t type; /* vectors are f32 and all ones, matrices are f16 and random */
};

static void put32(FILE *out, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++) {
        putc((int)(v >> (8 * i) & 0xff), out);
    }
}

static void put64(FILE *out, uint64_t v)
{
    put32(out, (uint32_t)v);
    put32(out, (uint32_t)(v >> 32));
}

static void put_string(FILE *out, const char *s)
{
    put64(out, strlen(s));
    fputs(s, out);
}

static void put_key_u32(FILE *out, const char *key, uint32_t v)
{
    put_string(out, key);
    put32(out, GGUF_UINT32);
    put32(out, v);
}

static void put_key_f32(FILE *out, const char *key, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_string(out, key);
    put32(out, GGUF_FLOAT32);
    put32(out, bits);
}

static void put_key_string(FILE *out, const char *key, const char *v)
{
    put_string(out, key);
    put32(out, GGUF_STRING);
    put_string(out, v);
}

static uint32_t tensor_count(const struct gguf_shape *s)
{
    return 3 + PER_LAYER * s->layers;
}

/* Tensor number i, in the order of the file. */
static struct tensor tensor_at(const struct gguf_shape *s, uint32_t i)
{
    const uint64_t e = s->embedding;
    const uint64_t ff = s->feed_forward;
    const uint64_t kv = e / s->heads * s->kv_heads;
    const struct {
        const char *name;
        uint64_t columns, rows;
    } whole[] = { { "token_embd", e, s->vocab },
                  { "output_norm", e, 1 },
                  { "output", e, s->vocab } },
      layer[PER_LAYER] = {
          { "attn_norm", e, 1 }, { "attn_q", e, e },      { "attn_k", e, kv },
          { "attn_v", e, kv },   { "attn_output", e, e }, { "ffn_norm", e, 1 },
          { "ffn_gate", e, ff }, { "ffn_up", e, ff },     { "ffn_down", ff, e },
      };

    struct tensor t = { .rows = 0 };
    if (i < 3) {
        t.columns = whole[i].columns;
        t.rows = whole[i].rows;
        snprintf(t.name, sizeof t.name, "%s.weight", whole[i].name);
    } else {
        const uint32_t at = (i - 3) % PER_LAYER;
        t.columns = layer[at].columns;
        t.rows = layer[at].rows;
        snprintf(t.name, sizeof t.name, "blk.%u.%s.weight", (i - 3) / PER_LAYER, layer[at].name);
    }
    t.type = t.rows == 1 ? GGML_F32 : GGML_F16;
    return t;
}

static uint64_t tensor_bytes(const struct tensor *t)
{
    return t->columns * t->rows * (t->type == GGML_F32 ? 4 : 2);
}

static uint64_t padding(uint64_t at)
{
    return (ALIGNMENT - at % ALIGNMENT) % ALIGNMENT;
}

static void put_zeros(FILE *out, uint64_t n)
{
    for (; n > 0; n--) {
        putc(0, out);
    }
}

/* Random f16 weights of either sign between 2^-5 and 2^-3, put together from bits so that no
 * rounding can differ between machines. */
static void put_weights(FILE *out, uint64_t n, struct seeded *random)
{
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t r = seeded_next(random);
        const uint32_t exponent = 10 + (uint32_t)(r >> 11 & 1);
        const uint32_t half =
            (uint32_t)(r >> 12 & 1) << 15 | exponent << 10 | (uint32_t)(r & 0x3ff);
        putc((int)(half & 0xff), out);
        putc((int)(half >> 8), out);
    }
}

static void put_header(FILE *out, const struct gguf_shape *s)
{
    fputs("GGUF", out);
    put32(out, GGUF_VERSION);
    put64(out, tensor_count(s));
    put64(out, 12);
    put_key_string(out, "general.architecture", "llama");
    put_key_string(out, "general.name", "aril demo, random weights");
    put_key_u32(out, "llama.vocab_size", s->vocab);
    put_key_u32(out, "llama.context_length", s->context);
    put_key_u32(out, "llama.embedding_length", s->embedding);
    put_key_u32(out, "llama.block_count", s->layers);
    put_key_u32(out, "llama.feed_forward_length", s->feed_forward);
    put_key_u32(out, "llama.attention.head_count", s->heads);
    put_key_u32(out, "llama.attention.head_count_kv", s->kv_heads);
    put_key_u32(out, "llama.rope.dimension_count", s->embedding / s->heads);
    put_key_f32(out, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    put_key_string(out, "tokenizer.ggml.model", "no_vocab");
}

static void put_infos(FILE *out, const struct gguf_shape *s)
{
    uint64_t offset = 0;
    for (uint32_t i = 0; i < tensor_count(s); i++) {
        const struct tensor t = tensor_at(s, i);
        put_string(out, t.name);
        put32(out, t.rows == 1 ? 1 : 2);
        put64(out, t.columns);
        if (t.rows != 1) {
            put64(out, t.rows);
        }
        put32(out, t.type);
        put64(out, offset);
        offset += tensor_bytes(&t);
        offset += padding(offset);
    }
}

static void put_data(FILE *out, const struct gguf_shape *s, uint64_t seed)
{
    struct seeded random = seeded_init(seed);
    for (uint32_t i = 0; i < tensor_count(s); i++) {
        const struct tensor t = tensor_at(s, i);
        if (t.type == GGML_F16) {
            put_weights(out, t.columns * t.rows, &random);
        } else {
            for (uint64_t k = 0; k < t.columns; k++) {
                put32(out, 0x3f800000); /* 1.0f */
            }
        }
        put_zeros(out, padding(tensor_bytes(&t)));
    }
}

bool gguf_write(int fd, const struct gguf_shape *shape, uint64_t seed, uint64_t *ret_bytes)
{
    const int copy = dup(fd); /* fclose() below ends the copy, not the caller's */
    if (copy < 0) {
        return false;
    }
    FILE *out = fdopen(copy, "wb");
    if (out == NULL) {
        close(copy);
        return false;
    }
    put_header(out, shape);
    put_infos(out, shape);
    const long at = ftell(out);
    if (at >= 0) {
        put_zeros(out, padding((uint64_t)at));
        put_data(out, shape, seed);
    }
    const long end = ftell(out);
    const bool failed = at < 0 || end < 0 || ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        return false;
    }
    *ret_bytes = (uint64_t)end;
    return true;
}
