/* SPDX-License-Identifier: Apache-2.0 */
#include "legacy_values.h"
#include "base/bytes.h"
#include "check.h"
#include "provider.h"
#include "vectors.h"
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX ((size_t)1 << 20)

static struct vectors file;
static struct arili_contexts *contexts;

int legacy_values_setup(void **state)
{
    if (provider_setup(state) != 0 || arili_contexts_new(provider(), &contexts) != ARIL_OK ||
        setenv("ARIL_VECTORS_DIR", ARIL_TEST_DATA_DIR "/vectors", 1) != 0) {
        return -1;
    }
    vectors_open(&file, "cache-legacy.json");
    return 0;
}

int legacy_values_teardown(void **state)
{
    vectors_close(&file);
    arili_contexts_free(contexts);
    return provider_teardown(state);
}

struct arili_contexts *legacy_values_contexts(void)
{
    return contexts;
}

static aril_cache_format format_of(const char *name)
{
    static const struct {
        const char *name;
        aril_cache_format format;
    } formats[] = { { "interop", ARIL_CACHE_CACHEKIT_INTEROP },
                    { "py", ARIL_CACHE_CACHEKIT_PY },
                    { "ts", ARIL_CACHE_CACHEKIT_TS },
                    { "rs", ARIL_CACHE_CACHEKIT_RS } };
    for (size_t i = 0; i < COUNT(formats); i++) {
        if (strcmp(formats[i].name, name) == 0) {
            return formats[i].format;
        }
    }
    fail_msg("no such format: %s", name);
    return ARIL_CACHE_NATIVE;
}

static aril_bytes text_of(const json_t *t, const char *member)
{
    const char *const text = vectors_string(t, member);
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

static void fill_common(const json_t *t, struct legacy_case *ret)
{
    *ret = (struct legacy_case){ .name = vectors_string(t, "name"),
                                 .scope = { .crypto = provider(),
                                            .contexts = contexts,
                                            .value_max = VALUE_MAX,
                                            .keys = &ret->keys },
                                 .stored = vectors_hex(&file, t, "stored_hex"),
                                 .value = vectors_hex(&file, t, "value_hex") };
}

static void fill_cachekit(const json_t *t, struct legacy_case *ret)
{
    const json_t *const masters = json_object_get(file.root, "masters_hex");
    fill_common(t, ret);
    ret->scope.format = format_of(vectors_string(t, "format"));
    ret->scope.tenant = text_of(t, "tenant");
    ret->scope.name = text_of(t, "cache_key");
    ret->key_index = (size_t)vectors_number(t, "key_index");
    ret->keys.count = json_array_size(masters);
    assert_int_equal(ret->keys.count, ARILI_LEGACY_KEYS_MAX);
    for (size_t i = 0; i < ret->keys.count; i++) {
        ret->keys.key[i] = vectors_decode_hex(&file, json_string_value(json_array_get(masters, i)));
    }
}

static void fill_lmcache(const json_t *t, struct legacy_case *ret)
{
    fill_common(t, ret);
    ret->scope.format = ARIL_CACHE_LMCACHE;
    ret->scope.tenant = text_of(t, "salt");
    ret->scope.name = (aril_bytes){ (const uint8_t *)"name", 4 };
    ret->scope.lmcache_key_bits = (uint32_t)vectors_number(t, "key_bits");
    ret->master = vectors_hex(&file, t, "master_hex");
    assert_status(arili_lmcache_prk(provider(), ret->master, ret->prk), ARIL_OK);
    ret->keys.count = 1;
    ret->keys.key[0] = (aril_bytes){ ret->prk, sizeof ret->prk };
}

typedef void fill_fn(const json_t *t, struct legacy_case *ret);
static const struct {
    const char *list;
    fill_fn *fill;
} lists[] = { { "cachekit", fill_cachekit }, { "lmcache", fill_lmcache } };

void legacy_case_get(const char *name, struct legacy_case *ret)
{
    for (size_t l = 0; l < COUNT(lists); l++) {
        size_t i;
        json_t *t;
        json_array_foreach(json_object_get(file.root, lists[l].list), i, t)
        {
            if (strcmp(vectors_string(t, "name"), name) == 0) {
                lists[l].fill(t, ret);
                return;
            }
        }
    }
    fail_msg("no such case: %s", name);
}

unsigned legacy_case_each(void (*fn)(const struct legacy_case *c))
{
    unsigned ran = 0;
    for (size_t l = 0; l < COUNT(lists); l++) {
        size_t i;
        json_t *t;
        json_array_foreach(json_object_get(file.root, lists[l].list), i, t)
        {
            struct legacy_case c;
            lists[l].fill(t, &c);
            print_message("  %s: %s\n", lists[l].list, c.name);
            fn(&c);
            ran++;
        }
    }
    return ran;
}

void legacy_case_expect(const struct legacy_case *c)
{
    static const struct arili_legacy_value empty;
    struct arili_legacy_value got = { 0 };
    assert_status(arili_legacy_open(&c->scope, c->stored, &got), ARIL_OK);
    assert_int_equal(got.key_index, c->key_index);
    assert_int_equal(got.bytes.len, c->value.len);
    if (c->value.len > 0) {
        assert_memory_equal(got.bytes.data, c->value.data, c->value.len);
    }
    arili_legacy_value_done(&got);
    assert_memory_equal(&got, &empty, sizeof got);
    arili_legacy_value_done(&got);
}

void legacy_case_refused(const struct arili_legacy_scope *scope, aril_bytes stored,
                         aril_status want)
{
    struct arili_legacy_value got;
    memset(&got, 0x5a, sizeof got);
    const aril_status st = arili_legacy_open(scope, stored, &got);
    if (want == aril_status_class(want)) {
        assert_status_class(st, want);
    } else {
        assert_status(st, want);
    }
    assert_true(provider_all((const uint8_t *)&got, sizeof got, 0x5a));
}

/* HKDF and AAD once more, so that a test does not lean on the code that it tests. */
void legacy_encrypt(const struct legacy_case *c, size_t key, const struct arili_cachekit_aad *aad,
                    aril_bytes plain, uint8_t *ret)
{
    const struct arili_crypto *const p = provider();
    uint8_t salt[2048];
    uint8_t prk[32];
    uint8_t derived[32];
    static uint8_t data[1u << 16];
    struct arili_writer s = arili_writer_init(salt, sizeof salt);
    arili_write_bytes(&s, ARILI_LITERAL("cachekit_v1_\x0a"
                                        "encryption"));
    arili_write_vec16(&s, c->scope.tenant);
    assert_status(p->ops->hkdf_extract(p->provider, ARILI_SHA256, (aril_bytes){ salt, s.len },
                                       c->keys.key[key], prk),
                  ARIL_OK);
    assert_status(p->ops->hkdf_expand(p->provider, ARILI_SHA256, (aril_bytes){ prk, 32 },
                                      ARILI_LITERAL("encryption"), derived, 32),
                  ARIL_OK);
    struct arili_writer w = arili_writer_init(data, sizeof data);
    const aril_bytes parts[] = { aad->tenant, aad->name, aad->format,
                                 aad->compressed ? ARILI_LITERAL("True") : ARILI_LITERAL("False"),
                                 aad->original_type };
    arili_write8(&w, 3);
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (i < 4 || parts[i].len > 0) {
            arili_write32(&w, (uint32_t)parts[i].len);
            arili_write_bytes(&w, parts[i]);
        }
    }
    assert_true(w.len <= w.cap);
    memset(ret, 0xa0, 12);
    struct arili_context_lease lease;
    assert_status(arili_contexts_get(contexts, 0, derived, &lease), ARIL_OK);
    assert_status(p->ops->aead_seal(lease.ctx, ret, (aril_bytes){ data, w.len }, &plain, 1,
                                    ret + 12, ret + 12 + plain.len),
                  ARIL_OK);
    arili_contexts_put(contexts, &lease);
}
