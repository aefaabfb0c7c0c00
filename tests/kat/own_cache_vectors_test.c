/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache.h"
#include "check.h"
#include "format/cachemessage.h"
#include "runtime.h"
#include "vectors.h"
#include <stdlib.h>
#include <string.h>

/* tests/data/vectors/cache-value.json and cache-names.json against the library:
 * docs/CACHE-FORMAT.md section 10. tests/scripts/format_cache_test.py checks them without it. */

#define VALUES "cache-value.json"
#define NAMES  "cache-names.json"
#define FILLER 0x5a
#define GUARD  16u

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

static uint64_t number64(struct vectors *v, const json_t *object, const char *member)
{
    const aril_bytes bytes = vectors_hex(v, object, member);
    assert_int_equal(bytes.len, 8);
    return arili_load64(bytes.data);
}

static aril_tenant_key *key_new(struct vectors *v, const json_t *group, const char *secret,
                                const char *id, aril_key_purpose purpose)
{
    aril_tenant_key *key = NULL;
    const aril_bytes bytes = vectors_hex(v, group, secret);
    assert_int_equal(bytes.len, 32);
    assert_status(arili_tenant_key_new(rt, purpose, text(vectors_string(group, "tenant")),
                                       vectors_hex(v, group, id).data, bytes.data, &key),
                  ARIL_OK);
    return key;
}

static aril_cache_key key_of(struct vectors *v, const json_t *group, const json_t *t)
{
    return (aril_cache_key){ .tenant = text(vectors_string(group, "tenant")),
                             .space = vectors_hex(v, t, "space"),
                             .key = vectors_hex(v, t, "key"),
                             .field = vectors_hex(v, t, "field"),
                             .database = (uint32_t)vectors_number(t, "database"),
                             .type = (aril_cache_type)vectors_number(t, "type") };
}

/* The context, compared with the one in the file. */
static void context_of(struct vectors *v, const json_t *group, const json_t *t,
                       uint8_t ret[ARILI_CACHE_CONTEXT_BYTES])
{
    const aril_cache_key key = key_of(v, group, t);
    assert_status(arili_cache_context(&rt->crypto, vectors_profile(group)->hash, &key, ret),
                  ARIL_OK);
}

/* --- Values ------------------------------------------------------------------------------ */

/* A runtime whose random numbers are the nonce of the case. */
static struct aril_runtime fixed_rt;
static struct arili_crypto_ops fixed_ops;
static uint8_t fixed_nonce[ARILI_VALUE_NONCE_BYTES];
static aril_status give_nonce(struct arili_provider *p, uint8_t *ret, size_t len)
{
    (void)p;
    assert_int_equal(len, sizeof fixed_nonce);
    memcpy(ret, fixed_nonce, len);
    return ARIL_OK;
}

static uint8_t *value_of(struct vectors *v, const json_t *t, size_t *ret_len)
{
    const aril_bytes value = vectors_hex(v, t, "value");
    const bool counted = json_object_get(t, "value_length") != NULL;
    *ret_len = counted ? (size_t)vectors_number(t, "value_length") : value.len;
    uint8_t *bytes = malloc(*ret_len + 4);
    assert_non_null(bytes);
    for (size_t i = 0; counted && i < *ret_len; i += 4) {
        arili_store32(bytes + i, (uint32_t)(i / 4));
    }
    if (!counted && value.len > 0) {
        memcpy(bytes, value.data, value.len);
    }
    return bytes;
}

static struct arili_value_plan plan_of(const json_t *t, size_t value_bytes, size_t tags)
{
    const char *padding = vectors_string(t, "padding");
    if (strcmp(padding, "none") == 0 || strcmp(padding, "padme") == 0) {
        return arili_value_plan(value_bytes, tags,
                                padding[0] == 'n' ? ARIL_CACHE_PAD_NONE : ARIL_CACHE_PAD_PADME, 0);
    }
    return arili_value_plan(value_bytes, tags, ARIL_CACHE_PAD_BLOCK,
                            (uint32_t)strtoul(padding, NULL, 10));
}

static size_t tags_of(struct vectors *v, const json_t *t, struct arili_value_tag *ret)
{
    size_t i;
    const json_t *tag;
    json_array_foreach(json_object_get(t, "tags"), i, tag)
    {
        assert_true(i < ARILI_VALUE_TAGS_MAX);
        const aril_bytes id = vectors_hex(v, tag, "id");
        const aril_bytes stamp = vectors_hex(v, tag, "stamp");
        assert_int_equal(id.len, sizeof ret->context);
        assert_int_equal(stamp.len, sizeof ret->stamp);
        memcpy(ret[i].context, id.data, id.len);
        memcpy(ret[i].stamp, stamp.data, stamp.len);
    }
    return json_array_size(json_object_get(t, "tags"));
}

/* Seal under the nonce of the case: the bytes of the file. */
static aril_span seal(struct vectors *v, const aril_tenant_key *key, const json_t *t,
                      const uint8_t *context, aril_bytes value)
{
    struct arili_value_tag tags[ARILI_VALUE_TAGS_MAX];
    const struct arili_value_sealing s = {
        .rt = &fixed_rt,
        .key = key,
        .context = context,
        .created_ms = number64(v, t, "created_ms"),
        .not_after_ms = number64(v, t, "not_after_ms"),
        .generation = number64(v, t, "generation"),
        .plan = plan_of(t, value.len, tags_of(v, t, tags)),
        .value = value,
        .tags = tags,
    };
    memcpy(fixed_nonce, vectors_hex(v, t, "nonce").data, sizeof fixed_nonce);
    assert_true(s.plan.body_bytes == vectors_number(t, "body_length"));
    const aril_span stored = { malloc(arili_value_stored_bytes(s.plan.body_bytes)),
                               arili_value_stored_bytes(s.plan.body_bytes) };
    assert_non_null(stored.data);
    assert_status(arili_value_seal(&s, stored.data), ARIL_OK);
    if (json_object_get(t, "stored") != NULL) {
        vectors_expect(stored.data, stored.len, vectors_hex(v, t, "stored"));
    } else {
        uint8_t digest[ARILI_HASH_BYTES_MAX];
        const aril_bytes part = { stored.data, stored.len };
        assert_status(rt->crypto.ops->hash(rt->crypto.provider, ARILI_SHA256, &part, 1, digest),
                      ARIL_OK);
        assert_true(stored.len == vectors_number(t, "stored_length"));
        vectors_expect(digest, 32, vectors_hex(v, t, "stored_sha256"));
    }
    return stored;
}

/* What the value layer says; what only a reader with keyring and clock sees is not asked. */
static aril_status open(const aril_tenant_key *key, aril_bytes stored, const uint8_t *context,
                        struct arili_value_opening *o, uint8_t **ret_out)
{
    struct arili_value_header h;
    *ret_out = NULL;
    aril_status st = arili_value_parse(stored, &h);
    if (st != ARIL_OK) {
        return st;
    }
    arili_value_open_begin(o, rt, key, stored.data, &h, context);
    st = arili_value_open_trailer(o, stored);
    if (st != ARIL_OK) {
        return st;
    }
    uint8_t *out = malloc((size_t)o->trailer.value_bytes + GUARD);
    assert_non_null(out);
    memset(out, FILLER, (size_t)o->trailer.value_bytes + GUARD);
    o->out = out;
    st = arili_value_open_end(o, stored);
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal(out[o->trailer.value_bytes + i], FILLER);
    }
    for (size_t i = 0; st != ARIL_OK && i < o->trailer.value_bytes; i++) {
        assert_int_equal(out[i], 0);
    }
    *ret_out = out;
    return st;
}

static void expect_opened(struct vectors *v, const json_t *t, const struct arili_value_opening *o,
                          aril_bytes value)
{
    struct arili_value_tag tags[ARILI_VALUE_TAGS_MAX];
    const size_t count = tags_of(v, t, tags);
    assert_int_equal(o->trailer.value_bytes, value.len);
    if (value.len > 0) {
        assert_memory_equal(o->out, value.data, value.len);
    }
    assert_int_equal(o->trailer.tag_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(&o->trailer.tags[i], &tags[i], sizeof tags[i]);
    }
    assert_true(o->header.created_ms == number64(v, t, "created_ms"));
    assert_true(o->header.not_after_ms == number64(v, t, "not_after_ms"));
    assert_true(o->header.generation == number64(v, t, "generation"));
}

static bool is_for_the_reader(const char *status)
{
    return strcmp(status, "ARIL_E_REPLAY_SUPERSEDED") == 0 ||
           strcmp(status, "ARIL_E_EXPIRED_VALUE") == 0 || strcmp(status, "ARIL_E_KEY_UNKNOWN") == 0;
}

static bool value_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const char *status = vectors_string(t, "status");
    uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
    struct arili_value_opening o;
    uint8_t *out = NULL;
    if (is_for_the_reader(status)) {
        return false;
    }
    aril_tenant_key *key = key_new(v, group, "data_key", "data_key_id", ARIL_KEY_DATA);
    const bool opens = strcmp(status, "ARIL_OK") == 0;
    aril_span sealed = { NULL, 0 };
    aril_bytes stored = vectors_hex(v, t, "stored");
    size_t len = 0;
    uint8_t *value = opens ? value_of(v, t, &len) : NULL;
    const aril_bytes context_wanted = vectors_hex(v, t, "context");
    if (opens) {
        context_of(v, group, t, context);
        vectors_expect(context, sizeof context, context_wanted);
        sealed = seal(v, key, t, context, (aril_bytes){ value, len });
        stored = (aril_bytes){ sealed.data, sealed.len };
    }
    const aril_status st = open(key, stored, context_wanted.data, &o, &out);
    if (strcmp(aril_status_name(st), status) != 0) {
        fail_msg("%s: %s instead of %s", vectors_string(t, "name"), aril_status_name(st), status);
    }
    if (opens) {
        expect_opened(v, t, &o, (aril_bytes){ value, len });
    }
    free(out);
    free(value);
    free(sealed.data);
    aril_tenant_key_put(key);
    return true;
}

static void every_value_gets_its_status_and_seals_again(void **state)
{
    (void)state;
    assert_true(vectors_run(VALUES, "groups", "cases", value_case,
                            "for a reader with keyring and clock") > 140);
}

static bool padme_case(struct vectors *v, const json_t *group, const json_t *t)
{
    (void)v;
    (void)group;
    assert_true(arili_padme(vectors_number(t, "length")) == vectors_number(t, "padded"));
    return true;
}

static void padme_pads_as_the_vectors_say(void **state)
{
    (void)state;
    assert_true(vectors_run(VALUES, NULL, "padme", padme_case, NULL) > 30);
}

/* --- Names ------------------------------------------------------------------------------- */

static struct arili_naming naming_of(const json_t *group, const aril_tenant_key *key,
                                     aril_bytes space)
{
    struct arili_naming n;
    assert_status(arili_naming_init(&rt->crypto, vectors_profile(group)->hash, key, space, &n),
                  ARIL_OK);
    return n;
}

static bool prefix_case(struct vectors *v, const json_t *group, const json_t *t)
{
    aril_tenant_key *key = key_new(v, group, "name_key", "name_key_id", ARIL_KEY_NAME);
    const struct arili_naming n = naming_of(group, key, vectors_hex(v, t, "space"));
    vectors_expect(n.prefix, sizeof n.prefix, text(vectors_string(t, "prefix")));
    aril_tenant_key_put(key);
    return true;
}

static void expect_listed(const aril_cache_key *want, const aril_cache_key *got)
{
    vectors_expect(got->key.data, got->key.len, want->key);
    assert_int_equal(got->field.len, want->field.len);
    if (want->field.len > 0) {
        assert_memory_equal(got->field.data, want->field.data, want->field.len);
    }
    assert_int_equal(got->database, want->database);
    assert_int_equal(got->type, want->type);
}

static bool name_case(struct vectors *v, const json_t *group, const json_t *t)
{
    static char name[ARIL_CACHE_NAME_BYTES_MAX];
    static struct arili_listed_name listed;
    const enum arili_hash hash = vectors_profile(group)->hash;
    const aril_cache_key key = key_of(v, group, t);
    const struct arili_name_want want = { json_is_true(json_object_get(t, "listable")),
                                          json_is_true(json_object_get(t, "hash_tags")) };
    uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
    size_t len = 0;
    aril_tenant_key *name_key = key_new(v, group, "name_key", "name_key_id", ARIL_KEY_NAME);
    const struct arili_naming n = naming_of(group, name_key, key.space);
    context_of(v, group, t, context);
    vectors_expect(context, sizeof context, vectors_hex(v, t, "context"));
    assert_status(
        arili_cache_name(&rt->crypto, hash, &n, name_key, want, &key, context, name, &len),
        ARIL_OK);
    vectors_expect(name, len, text(vectors_string(t, "name")));
    const aril_bytes stored = { (const uint8_t *)name, len };
    const aril_status st =
        arili_cache_name_open(&rt->crypto, hash, &n, name_key, key.space, stored, &listed);
    if (want.listable && (unsigned)key.type < ARILI_CACHE_TAG_ID) {
        assert_status(st, ARIL_OK);
        expect_listed(&key, &listed.key);
    } else {
        assert_status(st, ARIL_E_NOT_FOUND);
    }
    aril_tenant_key_put(name_key);
    return true;
}

static bool refused_name_case(struct vectors *v, const json_t *group, const json_t *t)
{
    static struct arili_listed_name listed;
    const aril_bytes space = vectors_hex(v, t, "space");
    aril_tenant_key *name_key = key_new(v, group, "name_key", "name_key_id", ARIL_KEY_NAME);
    const struct arili_naming n = naming_of(group, name_key, space);
    const aril_status st =
        arili_cache_name_open(&rt->crypto, vectors_profile(group)->hash, &n, name_key, space,
                              text(vectors_string(t, "name")), &listed);
    if (strcmp(aril_status_name(st), vectors_string(t, "status")) != 0) {
        fail_msg("%s: %s", vectors_string(t, "name"), aril_status_name(st));
    }
    aril_tenant_key_put(name_key);
    return true;
}

static bool block_case(struct vectors *v, const json_t *group, const json_t *t)
{
    aril_cache_block block = { .model = vectors_hex(v, t, "model"),
                               .layer_first = (uint32_t)vectors_number(t, "layer_first"),
                               .layer_count = (uint32_t)vectors_number(t, "layer_count"),
                               .rank = (uint32_t)vectors_number(t, "rank"),
                               .group = (uint32_t)vectors_number(t, "group"),
                               .chain = vectors_hex(v, t, "chain") };
    uint8_t key[ARIL_CACHE_BLOCK_KEY_BYTES];
    memcpy(block.layout, vectors_hex(v, t, "layout").data, sizeof block.layout);
    assert_status(arili_cache_block_key(&rt->crypto, vectors_profile(group)->hash, &block, key),
                  ARIL_OK);
    vectors_expect(key, sizeof key, vectors_hex(v, t, "block_key"));
    return true;
}

static bool salt_case(struct vectors *v, const json_t *group, const json_t *t)
{
    char salt[ARILI_CACHE_SALT_CHARS];
    aril_tenant_key *name_key = key_new(v, group, "name_key", "name_key_id", ARIL_KEY_NAME);
    assert_status(arili_cache_salt(&rt->crypto, vectors_profile(group)->hash, name_key,
                                   vectors_hex(v, t, "domain"), salt),
                  ARIL_OK);
    vectors_expect(salt, sizeof salt, text(vectors_string(t, "salt")));
    aril_tenant_key_put(name_key);
    return true;
}

static bool floor_case(struct vectors *v, const json_t *group, const json_t *t)
{
    uint8_t name[ARILI_FLOOR_NAME_BYTES];
    assert_status(arili_cache_floor_name(&rt->crypto, vectors_profile(group)->hash,
                                         text(vectors_string(t, "tenant")),
                                         vectors_hex(v, t, "space"), name),
                  ARIL_OK);
    vectors_expect(name, sizeof name, text(vectors_string(t, "floor")));
    return true;
}

static bool tag_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const aril_cache_key key = { .tenant = text(vectors_string(group, "tenant")),
                                 .space = vectors_hex(v, t, "space"),
                                 .key = vectors_hex(v, t, "tag"),
                                 .type = (aril_cache_type)ARILI_CACHE_TAG_ID };
    uint8_t id[ARILI_CACHE_CONTEXT_BYTES];
    assert_status(arili_cache_context(&rt->crypto, vectors_profile(group)->hash, &key, id),
                  ARIL_OK);
    vectors_expect(id, sizeof id, vectors_hex(v, t, "id"));
    return true;
}

static bool message_case(struct vectors *v, const json_t *group, const json_t *t)
{
    struct arili_cache_change c;
    const aril_bytes plain = vectors_hex(v, t, "plaintext");
    const aril_status st = arili_cache_change_parse(plain, &c);
    assert_string_equal(aril_status_name(st), vectors_string(t, "status"));
    if (st != ARIL_OK) {
        return true;
    }
    uint8_t again[2048];
    struct arili_writer w = arili_writer_init(again, sizeof again);
    arili_cache_change_write(&c, &w);
    vectors_expect(again, w.len, plain);
    vectors_expect(c.sender, sizeof c.sender, vectors_hex(v, t, "sender"));
    assert_int_equal(c.all, json_is_true(json_object_get(t, "all")));
    assert_int_equal(c.space.len, vectors_hex(v, t, "space").len);
    if (!c.all) {
        const aril_cache_key key = key_of(v, group, t);
        const aril_cache_key got = {
            .key = c.key, .field = c.field, .database = c.database, .type = (aril_cache_type)c.type
        };
        expect_listed(&key, &got);
    }
    return true;
}

static void names_and_what_follows_from_them_are_those_of_the_vectors(void **state)
{
    (void)state;
    assert_true(vectors_run(NAMES, "groups", "prefixes", prefix_case, NULL) >= 8);
    assert_true(vectors_run(NAMES, "groups", "names", name_case, NULL) > 100);
    assert_true(vectors_run(NAMES, "groups", "refused_names", refused_name_case, NULL) > 20);
    assert_true(vectors_run(NAMES, "groups", "blocks", block_case, NULL) > 10);
    assert_true(vectors_run(NAMES, "groups", "salts", salt_case, NULL) >= 8);
    assert_true(vectors_run(NAMES, "groups", "floors", floor_case, NULL) >= 8);
    assert_true(vectors_run(NAMES, "groups", "tags", tag_case, NULL) >= 4);
}

static void messages_are_those_of_the_vectors(void **state)
{
    (void)state;
    assert_true(vectors_run(NAMES, "groups", "messages", message_case, NULL) > 20);
}

static int setup(void **state)
{
    if (runtime_setup(state) != 0) {
        return -1;
    }
    fixed_ops = *rt->crypto.ops;
    fixed_ops.random = give_nonce;
    fixed_rt.crypto = rt->crypto;
    fixed_rt.crypto.ops = &fixed_ops;
    fixed_rt.contexts = rt->contexts;
    return 0;
}

int main(void)
{
    if (setenv("ARIL_VECTORS_DIR", ARIL_TEST_DATA_DIR "/vectors", 1) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_gets_its_status_and_seals_again),
        cmocka_unit_test(padme_pads_as_the_vectors_say),
        cmocka_unit_test(names_and_what_follows_from_them_are_those_of_the_vectors),
        cmocka_unit_test(messages_are_those_of_the_vectors),
    };
    return cmocka_run_group_tests(tests, setup, runtime_teardown);
}
