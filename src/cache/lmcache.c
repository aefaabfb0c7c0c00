/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/lmcache.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"

#define LMCACHE_VERSION 0x01u
#define PRK_BYTES       32u

static const char info_label[] = "lmcache-l2-aesgcm-v1";

struct frame_key {
    size_t len; /* 16 or 32 */
    uint8_t bytes[ARILI_AEAD_KEY_BYTES];
};

static void frame_key_done(struct frame_key *k)
{
    arili_wipe(k, sizeof *k);
}

aril_status arili_lmcache_prk(const struct arili_crypto *c, aril_bytes master, uint8_t ret_prk[32])
{
    return c->ops->hkdf_extract(c->provider, ARILI_SHA256, (aril_bytes){ NULL, 0 }, master,
                                ret_prk);
}

static aril_status derive(const struct arili_legacy_scope *scope, struct frame_key *ret)
{
    const struct arili_crypto *const c = scope->crypto;
    const uint32_t bits = scope->lmcache_key_bits;
    ARILI_ENSURE(bits == 0 || bits == 128 || bits == 256, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(scope->keys->count == 1 && scope->keys->key[0].len == PRK_BYTES,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(scope->tenant.len <= ARILI_LMCACHE_SALT_MAX, ARIL_E_USAGE_RANGE);
    uint8_t info[sizeof info_label - 1 + ARILI_LMCACHE_SALT_MAX];
    struct arili_writer w = arili_writer_init(info, sizeof info);
    arili_write_bytes(&w, (aril_bytes){ (const uint8_t *)info_label, sizeof info_label - 1 });
    arili_write_bytes(&w, scope->tenant);
    ret->len = bits == 256 ? 32 : 16;
    return c->ops->hkdf_expand(c->provider, ARILI_SHA256, scope->keys->key[0],
                               (aril_bytes){ info, w.len }, ret->bytes, ret->len);
}

/* body is the ciphertext with its tag. On failure ret is undefined. */
static aril_status decrypt(const struct arili_legacy_scope *scope, const struct frame_key *key,
                           const uint8_t *iv, aril_bytes body, aril_span ret)
{
    const struct arili_crypto *const c = scope->crypto;
    if (key->len == 16) {
        return c->ops->gcm128_open(c->provider, key->bytes, iv, body, ret.data);
    }
    struct arili_context_lease lease;
    ARILI_TRY(arili_contexts_get(scope->contexts, 0, key->bytes, &lease));
    const aril_status st =
        c->ops->aead_open(lease.ctx, iv, (aril_bytes){ NULL, 0 },
                          (aril_bytes){ body.data, ret.len }, body.data + ret.len, &ret, 1);
    arili_contexts_put(scope->contexts, &lease);
    return st;
}

aril_status arili_lmcache_open(const struct arili_legacy_scope *scope, aril_bytes stored,
                               struct arili_legacy_value *ret)
{
    ARILI_ENSURE(stored.len >= ARILI_LMCACHE_OVERHEAD, ARIL_E_FORMAT_TRUNCATED);
    ARILI_ENSURE(stored.data[0] == LMCACHE_VERSION, ARIL_E_FORMAT_VERSION);
    const size_t len = stored.len - ARILI_LMCACHE_OVERHEAD;
    ARILI_ENSURE(len <= scope->value_max, ARIL_E_LIMIT);
    ARILI_DEFER(frame_key_done) struct frame_key key = { 0 };
    ARILI_TRY(derive(scope, &key));
    ret->memory_bytes = len > 0 ? len : 1;
    ret->memory = arili_alloc(ret->memory_bytes);
    ARILI_ENSURE(ret->memory != NULL, ARIL_E_NOMEM);
    const uint8_t *const body = stored.data + 1 + ARILI_AEAD_NONCE_BYTES;
    ARILI_TRY(decrypt(scope, &key, stored.data + 1,
                      (aril_bytes){ body, len + ARILI_AEAD_TAG_BYTES },
                      (aril_span){ ret->memory, len }));
    ret->bytes = (aril_bytes){ ret->memory, len };
    return ARIL_OK;
}

aril_status arili_lmcache_seal(const struct arili_legacy_scope *scope,
                               const uint8_t iv[ARILI_AEAD_NONCE_BYTES], aril_bytes value,
                               uint8_t *ret)
{
    const struct arili_crypto *const c = scope->crypto;
    ARILI_DEFER(frame_key_done) struct frame_key key = { 0 };
    ARILI_TRY(derive(scope, &key));
    uint8_t *const body = ret + 1 + ARILI_AEAD_NONCE_BYTES;
    ret[0] = LMCACHE_VERSION;
    memcpy(ret + 1, iv, ARILI_AEAD_NONCE_BYTES);
    if (key.len == 16) {
        return c->ops->gcm128_seal(c->provider, key.bytes, iv, value, body);
    }
    struct arili_context_lease lease;
    ARILI_TRY(arili_contexts_get(scope->contexts, 0, key.bytes, &lease));
    const aril_status st = c->ops->aead_seal(lease.ctx, iv, (aril_bytes){ NULL, 0 }, &value, 1,
                                             body, body + value.len);
    arili_contexts_put(scope->contexts, &lease);
    return st;
}
