/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cachekit.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/envelope.h"
#include "format/msgpack.h"

_Static_assert(ARILI_CACHEKIT_NONCE_BYTES == ARILI_AEAD_NONCE_BYTES &&
                   ARILI_CACHEKIT_TAG_BYTES == ARILI_AEAD_TAG_BYTES &&
                   ARILI_CACHEKIT_NAME_BYTES_MAX == ARIL_STORE_NAME_BYTES_MAX,
               "they are AES-GCM's, and those of a store");

struct secret_key {
    uint8_t bytes[ARILI_AEAD_KEY_BYTES];
};

static void secret_key_done(struct secret_key *k)
{
    arili_wipe(k, sizeof *k);
}

/* --- Keys ------------------------------------------------------------------------- */

aril_status arili_cachekit_derive(const struct arili_crypto *c, aril_bytes master,
                                  aril_bytes tenant, uint8_t ret[ARILI_AEAD_KEY_BYTES])
{
    const aril_bytes domain = ARILI_LITERAL("encryption");
    ARILI_ENSURE(master.len >= ARILI_CACHEKIT_MASTER_BYTES_MIN &&
                     master.len <= ARILI_LEGACY_MASTER_BYTES_MAX,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(tenant.len > 0 && tenant.len <= ARILI_CACHEKIT_TENANT_BYTES_MAX,
                 ARIL_E_USAGE_RANGE);
    uint8_t salt[12 + 1 + 10 + 2 + ARILI_CACHEKIT_TENANT_BYTES_MAX];
    struct arili_writer w = arili_writer_init(salt, sizeof salt);
    arili_write_bytes(&w, ARILI_LITERAL("cachekit_v1_"));
    arili_write8(&w, (uint8_t)domain.len);
    arili_write_bytes(&w, domain);
    arili_write_vec16(&w, tenant);
    struct secret_key prk;
    const aril_bytes prk_bytes = { prk.bytes, sizeof prk.bytes };
    aril_status st = c->ops->hkdf_extract(c->provider, ARILI_SHA256, (aril_bytes){ salt, w.len },
                                          master, prk.bytes);
    if (st == ARIL_OK) {
        st = c->ops->hkdf_expand(c->provider, ARILI_SHA256, prk_bytes, domain, ret,
                                 ARILI_AEAD_KEY_BYTES);
    }
    secret_key_done(&prk);
    return st;
}

aril_status arili_cachekit_fingerprint(const struct arili_crypto *c,
                                       const uint8_t key[ARILI_AEAD_KEY_BYTES],
                                       uint8_t ret[ARILI_CACHEKIT_FINGERPRINT_BYTES])
{
    const aril_bytes parts[] = { ARILI_LITERAL("key_fingerprint_v1"),
                                 { key, ARILI_AEAD_KEY_BYTES } };
    uint8_t digest[32];
    ARILI_TRY(c->ops->hash(c->provider, ARILI_SHA256, parts, 2, digest));
    memcpy(ret, digest, ARILI_CACHEKIT_FINGERPRINT_BYTES);
    return ARIL_OK;
}

/* --- Associated data -------------------------------------------------------------- */

struct aad {
    size_t len;
    uint8_t bytes[ARILI_CACHEKIT_AAD_BYTES_MAX];
};

static aril_bytes tenant_of(const struct arili_legacy_scope *scope)
{
    return scope->tenant.len > 0 ? scope->tenant : ARILI_LITERAL("default");
}

static aril_status make_aad(const struct arili_legacy_scope *scope, aril_bytes format,
                            bool compressed, aril_bytes original_type, struct aad *ret)
{
    ARILI_ENSURE(scope->name.len > 0 && scope->name.len <= ARILI_CACHEKIT_NAME_BYTES_MAX,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(scope->tenant.len <= ARILI_CACHEKIT_TENANT_BYTES_MAX, ARIL_E_USAGE_RANGE);
    const struct arili_cachekit_aad parts = { .tenant = tenant_of(scope),
                                              .name = scope->name,
                                              .format = format,
                                              .compressed = compressed,
                                              .original_type = original_type };
    struct arili_writer w = arili_writer_init(ret->bytes, sizeof ret->bytes);
    arili_cachekit_aad_write(&parts, &w);
    return arili_writer_end(&w, &ret->len);
}

/* --- Opening ---------------------------------------------------------------------- */

/* One try. On failure ret is undefined. */
static aril_status decrypt(const struct arili_legacy_scope *scope, const struct secret_key *key,
                           const struct aad *aad, aril_bytes sealed, aril_span ret)
{
    const uint8_t *const body = sealed.data + ARILI_CACHEKIT_NONCE_BYTES;
    struct arili_context_lease lease;
    ARILI_TRY(arili_contexts_get(scope->contexts, 0, key->bytes, &lease));
    const aril_status st =
        scope->crypto->ops->aead_open(lease.ctx, sealed.data, (aril_bytes){ aad->bytes, aad->len },
                                      (aril_bytes){ body, ret.len }, body + ret.len, &ret, 1);
    arili_contexts_put(scope->contexts, &lease);
    return st;
}

/*
 * Keys in their order, each with the same associated data; only a wrong tag leads to the next.
 * With a fingerprint none is tried but the one that it names.
 */
static aril_status try_keys(const struct arili_legacy_scope *scope, const struct aad *aad,
                            const uint8_t *fingerprint, aril_bytes sealed, aril_span ret,
                            size_t *ret_index)
{
    aril_status st = arili_fail(fingerprint != NULL ? ARIL_E_KEY_UNKNOWN : ARIL_E_AUTH);
    for (size_t i = 0; i < scope->keys->count; i++) {
        ARILI_DEFER(secret_key_done) struct secret_key key;
        ARILI_TRY(
            arili_cachekit_derive(scope->crypto, scope->keys->key[i], tenant_of(scope), key.bytes));
        if (fingerprint != NULL) {
            uint8_t mine[ARILI_CACHEKIT_FINGERPRINT_BYTES];
            ARILI_TRY(arili_cachekit_fingerprint(scope->crypto, key.bytes, mine));
            if (memcmp(mine, fingerprint, sizeof mine) != 0) { /* both are public */
                continue;
            }
        }
        st = decrypt(scope, &key, aad, sealed, ret);
        if (st != ARIL_E_AUTH || fingerprint != NULL) {
            *ret_index = i;
            return st;
        }
    }
    return st;
}

/* Memory for the plaintext of sealed, which is plain_max bytes at most, and the plaintext. */
static aril_status open_sealed(const struct arili_legacy_scope *scope, const struct aad *aad,
                               const uint8_t *fingerprint, aril_bytes sealed, uint64_t plain_max,
                               struct arili_legacy_value *ret)
{
    ARILI_ENSURE(sealed.len >= ARILI_CACHEKIT_OVERHEAD, ARIL_E_FORMAT_TRUNCATED);
    const size_t len = sealed.len - ARILI_CACHEKIT_OVERHEAD;
    ARILI_ENSURE(len <= plain_max, ARIL_E_LIMIT);
    ret->memory_bytes = len > 0 ? len : 1;
    ret->memory = arili_alloc(ret->memory_bytes);
    ARILI_ENSURE(ret->memory != NULL, ARIL_E_NOMEM);
    ARILI_TRY(try_keys(scope, aad, fingerprint, sealed, (aril_span){ ret->memory, len },
                       &ret->key_index));
    ret->bytes = (aril_bytes){ ret->memory, len };
    return ARIL_OK;
}

/* What an envelope of a value may have at most: LZ4 makes noise longer by 1/255, the old form
 * takes up to two bytes for one, and the rest is short. */
static uint64_t envelope_max(size_t value_max)
{
    const uint64_t packed = (uint64_t)value_max + value_max / 255 + 16;
    return 2 * packed + 128;
}

/* Replace the envelope in *v by what it holds. */
static aril_status unpack(const struct arili_legacy_scope *scope, struct arili_legacy_value *v)
{
    struct arili_envelope_value inner = { 0 };
    ARILI_TRY(arili_envelope_open(v->bytes, scope->value_max, &inner));
    arili_free(v->memory, v->memory_bytes);
    v->memory = inner.memory;
    v->memory_bytes = inner.memory_bytes;
    v->bytes = (aril_bytes){ inner.memory, inner.len };
    return ARIL_OK;
}

/* One document and nothing behind it. */
static aril_status open_document(const struct arili_legacy_scope *scope, aril_bytes stored,
                                 struct arili_legacy_value *ret)
{
    struct aad aad;
    ARILI_TRY(make_aad(scope, ARILI_LITERAL("msgpack"), false, (aril_bytes){ NULL, 0 }, &aad));
    ARILI_TRY(open_sealed(scope, &aad, NULL, stored, scope->value_max, ret));
    return arili_msgpack_check(ret->bytes, ARILI_MSGPACK_DEPTH_MAX, NULL);
}

static aril_status open_ts(const struct arili_legacy_scope *scope, aril_bytes stored,
                           struct arili_legacy_value *ret)
{
    struct aad aad;
    ARILI_TRY(make_aad(scope, ARILI_LITERAL("msgpack"), true, (aril_bytes){ NULL, 0 }, &aad));
    ARILI_TRY(open_sealed(scope, &aad, NULL, stored, envelope_max(scope->value_max), ret));
    return unpack(scope, ret);
}

static aril_status open_py(const struct arili_legacy_scope *scope, aril_bytes stored,
                           struct arili_legacy_value *ret)
{
    struct arili_cachekit_frame f;
    struct aad aad;
    ARILI_TRY(arili_cachekit_frame_parse(stored, &f));
    ARILI_TRY(make_aad(scope, f.format, f.compressed, f.original_type, &aad));
    ARILI_TRY(open_sealed(scope, &aad, f.fingerprint, f.payload,
                          f.enveloped ? envelope_max(scope->value_max) : scope->value_max, ret));
    return f.enveloped ? unpack(scope, ret) : ARIL_OK;
}

aril_status arili_cachekit_open(const struct arili_legacy_scope *scope, aril_bytes stored,
                                struct arili_legacy_value *ret)
{
    switch (scope->format) {
    case ARIL_CACHE_CACHEKIT_INTEROP:
    case ARIL_CACHE_CACHEKIT_RS:
        return open_document(scope, stored, ret);
    case ARIL_CACHE_CACHEKIT_TS:
        return open_ts(scope, stored, ret);
    case ARIL_CACHE_CACHEKIT_PY:
        return open_py(scope, stored, ret);
    case ARIL_CACHE_NATIVE:
    case ARIL_CACHE_LMCACHE:
        break;
    }
    ARILI_FAIL(ARIL_E_USAGE_RANGE);
}

/* --- Sealing ---------------------------------------------------------------------- */

aril_status arili_cachekit_seal(const struct arili_legacy_scope *scope,
                                const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes value,
                                uint8_t *ret)
{
    struct aad aad;
    struct arili_context_lease lease;
    ARILI_DEFER(secret_key_done) struct secret_key key;
    ARILI_TRY(make_aad(scope, ARILI_LITERAL("msgpack"), false, (aril_bytes){ NULL, 0 }, &aad));
    ARILI_TRY(
        arili_cachekit_derive(scope->crypto, scope->keys->key[0], tenant_of(scope), key.bytes));
    ARILI_TRY(arili_contexts_get(scope->contexts, 0, key.bytes, &lease));
    memcpy(ret, nonce, ARILI_CACHEKIT_NONCE_BYTES);
    uint8_t *const body = ret + ARILI_CACHEKIT_NONCE_BYTES;
    const aril_status st = scope->crypto->ops->aead_seal(
        lease.ctx, nonce, (aril_bytes){ aad.bytes, aad.len }, &value, 1, body, body + value.len);
    arili_contexts_put(scope->contexts, &lease);
    return st;
}
