/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/context.h"
#include "base/bytes.h"
#include "base/ensure.h"

#define MODEL_BYTES_MAX 4096u
#define NAME_BYTES_MAX  255u
#define DTYPE_BYTES_MAX 31u
/* Label, three vectors and six numbers. */
#define SCOPE_BYTES_MAX                                                                  \
    (64u + 2 + ARIL_TENANT_ID_BYTES_MAX + 2 + MODEL_BYTES_MAX + 2 + NAME_BYTES_MAX + 2 + \
     DTYPE_BYTES_MAX + 6 * 4)

static aril_status check_text(const char *text, size_t max, aril_bytes *ret)
{
    ARILI_ENSURE(text != NULL, ARIL_E_USAGE_NULL);
    const size_t len = strnlen(text, max + 1);
    ARILI_ENSURE(len <= max, ARIL_E_USAGE_RANGE);
    *ret = (aril_bytes){ (const uint8_t *)text, len };
    return ARIL_OK;
}

aril_status arili_kv_scope_make(const struct arili_crypto *c, enum arili_hash hash,
                                aril_bytes tenant, aril_bytes model, const aril_kv_layout *layout,
                                struct arili_kv_scope *ret)
{
    aril_bytes name, dtype;
    ARILI_ENSURE(model.data != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(model.len >= 1 && model.len <= MODEL_BYTES_MAX, ARIL_E_USAGE_RANGE);
    ARILI_TRY(check_text(layout->name, NAME_BYTES_MAX, &name));
    ARILI_TRY(check_text(layout->dtype, DTYPE_BYTES_MAX, &dtype));
    uint8_t bytes[SCOPE_BYTES_MAX];
    struct arili_writer w = arili_writer_init(bytes, sizeof bytes);
    arili_write_bytes(&w, ARILI_LITERAL("aril kv scope v1"));
    arili_write_vec16(&w, tenant);
    arili_write_vec16(&w, model);
    arili_write_vec16(&w, name);
    arili_write_vec16(&w, dtype);
    arili_write32(&w, layout->block_tokens);
    arili_write32(&w, layout->layers);
    arili_write32(&w, layout->kv_heads);
    arili_write32(&w, layout->key_dim);
    arili_write32(&w, layout->value_dim);
    arili_write32(&w, layout->world_size);
    const aril_bytes whole = { bytes, w.len };
    uint8_t digest[ARILI_HASH_BYTES_MAX];
    ARILI_TRY(c->ops->hash(c->provider, hash, &whole, 1, digest));
    memcpy(ret->digest, digest, sizeof ret->digest);
    return ARIL_OK;
}

aril_status arili_kv_block_check(const aril_kv_block *block)
{
    ARILI_ENSURE(block != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(block->layer_count >= 1, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(block->layer_count - 1 <= UINT32_MAX - block->layer_first, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(block->identity == ARIL_KV_CHAIN || block->identity == ARIL_KV_SLOT,
                 ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

void arili_kv_context_write(const struct arili_kv_scope *scope, const aril_kv_block *block,
                            uint8_t ret[ARILI_KV_CONTEXT_BYTES])
{
    memcpy(ret, scope->digest, sizeof scope->digest);
    memset(ret + 32, 0, 4);
    ret[32] = (uint8_t)block->identity;
    arili_store32(ret + 36, block->layer_first);
    arili_store32(ret + 40, block->layer_count);
    arili_store32(ret + 44, block->rank);
    arili_store32(ret + 48, block->group);
    if (block->identity == ARIL_KV_CHAIN) {
        memcpy(ret + 52, block->chain, sizeof block->chain);
        return;
    }
    arili_store64(ret + 52, block->slot);
    arili_store64(ret + 60, block->position);
    arili_store64(ret + 68, block->count);
    arili_store64(ret + 76, 0);
}
