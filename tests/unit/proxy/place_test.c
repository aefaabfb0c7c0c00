/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* memmem() */
#include "proxy/tenant.h"
#include "cache_fixture.h"
#include "proxy_tenant.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

/* Names: those of the cache, one for each key, and only those are opened. */

#define SPACE "redis"

static struct world w;
static struct cache_home ch;
static struct arili_tenant *alice, *bob, *tagged;
static struct arili_tenant_keys *keys, *bobs, *tags;

static const aril_cache_policy policies[] = {
    { .space = { (const uint8_t *)SPACE, 5 }, .tiers = ARIL_CACHE_L2, .listable = 1 },
    { .space = { (const uint8_t *)"cluster", 7 },
      .tiers = ARIL_CACHE_L2,
      .listable = 1,
      .hash_tags = 1 },
};

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    cache_home_init(&ch, &w, "memory:", policies, COUNT(policies));
    alice = proxy_tenant(&ch.keys, "alice", SPACE, false);
    bob = proxy_tenant(&ch.keys, "bob", SPACE, false);
    tagged = proxy_tenant(&ch.keys, "alice", "cluster", true);
    keys = proxy_keys(alice);
    bobs = proxy_keys(bob);
    tags = proxy_keys(tagged);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    arili_tenant_keys_drop(keys);
    arili_tenant_keys_drop(bobs);
    arili_tenant_keys_drop(tags);
    arili_tenant_free(alice);
    arili_tenant_free(bob);
    arili_tenant_free(tagged);
    cache_home_done(&ch);
    world_done(&w);
    return 0;
}

static aril_bytes name_of(const struct arili_place *p)
{
    return (aril_bytes){ (const uint8_t *)p->name, p->name_len };
}

static struct arili_place make(struct arili_name_cache *cache, uint32_t database, aril_bytes key)
{
    struct arili_place p;
    assert_status(arili_place_make(cache, alice, keys, database, key, &p), ARIL_OK);
    return p;
}

/* --- Those of the cache -------------------------------------------------------------------- */

/* A value that the cache put opens under name and context of the proxy. */
static void check_stored(struct arili_tenant *t, struct arili_tenant_keys *k, const char *key,
                         uint32_t database)
{
    struct arili_place p;
    struct arili_value_header h;
    struct arili_value_opening o;
    uint8_t out[16];
    aril_cache_key full = cache_key(t->id, t->space, key);
    full.database = database;
    assert_status(cache_put(&ch, full, TEXT("some value")), ARIL_OK);
    assert_status(arili_place_make(NULL, t, k, database, text_bytes(key), &p), ARIL_OK);
    const aril_bytes want = cache_name(&ch, full);
    assert_int_equal(p.name_len, want.len);
    assert_memory_equal(p.name, want.data, want.len);
    const aril_span stored = cache_stored(&ch, name_of(&p));
    assert_non_null(stored.data);
    const aril_bytes bytes = { stored.data, stored.len };
    assert_status(arili_value_parse(bytes, &h), ARIL_OK);
    assert_memory_equal(h.key_id, aril_tenant_key_id(k->data), ARIL_KEY_ID_BYTES);
    arili_value_open_begin(&o, w.rt, k->data, stored.data, &h, p.context);
    assert_status(arili_value_open_trailer(&o, bytes), ARIL_OK);
    o.out = out;
    assert_int_equal(o.trailer.value_bytes, 10);
    assert_status(arili_value_open_end(&o, bytes), ARIL_OK);
    assert_memory_equal(out, "some value", 10);
    free(stored.data);
}

static void names_and_contexts_are_those_of_the_cache(void **state)
{
    (void)state;
    static const char *const texts[] = { "k",    "user:1", "{user}:1", "a{b}{c}",
                                         "a{}b", "a{b",    "~",        "}{" };
    for (size_t i = 0; i < COUNT(texts); i++) {
        check_stored(alice, keys, texts[i], 0);
        check_stored(alice, keys, texts[i], 15);
        check_stored(bob, bobs, texts[i], 0);
        check_stored(tagged, tags, texts[i], 3);
    }
}

static void what_the_proxy_seals_the_cache_reads(void **state)
{
    (void)state;
    struct arili_place p = proxy_place(tagged, "{user}:9");
    uint8_t stored[ARILI_VALUE_HEADER_BYTES + 5 + ARILI_VALUE_TAG_BYTES];
    const struct arili_value_sealing s = { .rt = w.rt,
                                           .key = tags->data,
                                           .context = p.context,
                                           .created_ms = FAKE_UNIX_S * 1000,
                                           .not_after_ms = FAKE_UNIX_S * 1000 + 60000,
                                           .generation = tags->generation,
                                           .plan = arili_value_plan(5, 0, ARIL_CACHE_PAD_NONE, 0),
                                           .value = TEXT("value") };
    assert_status(arili_value_seal(&s, stored), ARIL_OK);
    cache_store_put(&ch, name_of(&p), (aril_bytes){ stored, sizeof stored });
    assert_status(cache_get(&ch, cache_key("alice", "cluster", "{user}:9"), TEXT("value"), NULL),
                  ARIL_OK);
}

static void the_context_of_a_field_is_that_of_the_cache(void **state)
{
    (void)state;
    uint8_t got[ARILI_CACHE_CONTEXT_BYTES], want[ARILI_CACHE_CONTEXT_BYTES];
    static uint8_t longest[ARILI_SIV_PLAIN_BYTES_MAX + 1];
    const aril_bytes fields[] = { TEXT(""), TEXT("f"), { longest, ARILI_SIV_PLAIN_BYTES_MAX } };
    for (size_t i = 0; i < COUNT(fields); i++) {
        aril_cache_key full = cache_key("alice", SPACE, "h");
        full.field = fields[i];
        full.type = ARIL_CACHE_HASH_FIELD;
        full.database = 2;
        assert_status(arili_cache_context(&w.rt->crypto, keys->hash, &full, want), ARIL_OK);
        assert_status(arili_field_context(alice, keys, 2, TEXT("h"), fields[i], got), ARIL_OK);
        assert_memory_equal(got, want, sizeof got);
    }
    assert_status(arili_field_context(alice, keys, 0, TEXT("h"),
                                      (aril_bytes){ longest, sizeof longest }, got),
                  ARIL_E_LIMIT);
    assert_status(arili_field_context(alice, keys, 0, TEXT(""), TEXT("f"), got),
                  ARIL_E_USAGE_RANGE);
    assert_status(arili_field_context(alice, keys, 0, (aril_bytes){ longest, 513 }, TEXT("f"), got),
                  ARIL_E_USAGE_RANGE);
}

/* --- One for each key ---------------------------------------------------------------------- */

static void every_part_makes_another_name(void **state)
{
    (void)state;
    struct arili_tenant *other = proxy_tenant(&ch.keys, "alice", "other", false);
    struct arili_tenant_keys *others = proxy_keys(other);
    struct arili_place p[7];
    assert_status(arili_place_make(NULL, alice, keys, 0, TEXT("key"), &p[0]), ARIL_OK);
    assert_status(arili_place_make(NULL, alice, keys, 1, TEXT("key"), &p[1]), ARIL_OK);
    assert_status(arili_place_make(NULL, alice, keys, 256, TEXT("key"), &p[2]), ARIL_OK);
    assert_status(arili_place_make(NULL, alice, keys, 0, TEXT("kez"), &p[3]), ARIL_OK);
    assert_status(arili_place_make(NULL, alice, keys, 0, TEXT("key\0"), &p[4]), ARIL_OK);
    assert_status(arili_place_make(NULL, bob, bobs, 0, TEXT("key"), &p[5]), ARIL_OK);
    assert_status(arili_place_make(NULL, other, others, 0, TEXT("key"), &p[6]), ARIL_OK);
    for (size_t i = 0; i < COUNT(p); i++) {
        for (size_t j = 0; j < i; j++) {
            assert_false(p[i].name_len == p[j].name_len &&
                         memcmp(p[i].name, p[j].name, p[i].name_len) == 0);
            assert_memory_not_equal(p[i].context, p[j].context, sizeof p[i].context);
        }
        assert_null(memmem(p[i].name, p[i].name_len, "key", 3));
    }
    arili_tenant_keys_drop(others);
    arili_tenant_free(other);
}

static void keys_have_1_to_512_bytes(void **state)
{
    (void)state;
    uint8_t key[ARILI_CACHE_LISTED_KEY_MAX + 1];
    uint8_t room[ARILI_CACHE_LISTED_KEY_MAX];
    struct arili_place p;
    size_t len = 0;
    memset(key, 'x', sizeof key);
    for (size_t n = 1; n <= ARILI_CACHE_LISTED_KEY_MAX; n++) {
        assert_status(arili_place_make(NULL, tagged, tags, 0, (aril_bytes){ key, n }, &p), ARIL_OK);
        assert_status(arili_place_open(tagged, tags, 0, name_of(&p), room, &len), ARIL_OK);
        assert_int_equal(len, n);
        assert_memory_equal(room, key, n);
    }
    assert_status(arili_place_make(NULL, alice, keys, 0, (aril_bytes){ key, sizeof key }, &p),
                  ARIL_E_USAGE_RANGE);
    assert_status(arili_place_make(NULL, alice, keys, 0, TEXT(""), &p), ARIL_E_USAGE_RANGE);
}

/* --- The cache of names -------------------------------------------------------------------- */

static void what_is_kept_is_what_was_made(void **state)
{
    (void)state;
    struct arili_name_cache *cache = NULL;
    assert_status(arili_name_cache_new(w.rt, &cache), ARIL_OK);
    /* More keys than rows, so that some take the place of others; longer ones are not kept. */
    for (unsigned round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < ARILI_NAME_CACHE_ROWS + 1000; i += round == 0 ? 1 : 17) {
            uint8_t key[128];
            memset(key, (int)i, sizeof key);
            memcpy(key, &i, sizeof i);
            const aril_bytes text = { key, 4 + i % 124 };
            const struct arili_place p = make(cache, i % 3, text);
            if (i % 17 != 0) {
                continue;
            }
            const struct arili_place again = make(cache, i % 3, text);
            const struct arili_place want = make(NULL, i % 3, text);
            assert_int_equal(p.name_len, want.name_len);
            assert_memory_equal(p.name, want.name, want.name_len);
            assert_memory_equal(p.context, want.context, sizeof want.context);
            assert_int_equal(again.name_len, want.name_len);
            assert_memory_equal(again.name, want.name, want.name_len);
            assert_memory_equal(again.context, want.context, sizeof want.context);
        }
    }
    arili_name_cache_free(cache);
}

/* Counted: a hit asks no primitive. */
static unsigned hashed;
static const struct arili_crypto_ops *sound;
static aril_status count_hash(struct arili_provider *p, enum arili_hash alg,
                              const aril_bytes *parts, size_t count, uint8_t *ret)
{
    hashed++;
    return sound->hash(p, alg, parts, count, ret);
}

static void a_name_is_kept_for_its_tenant_version_database_and_key(void **state)
{
    (void)state;
    struct arili_name_cache *cache = NULL;
    struct arili_crypto_ops ops = *w.rt->crypto.ops;
    uint8_t key[ARILI_NAME_CACHED_MAX + 1];
    struct arili_place p;
    memset(key, 'k', sizeof key);
    assert_status(arili_name_cache_new(w.rt, &cache), ARIL_OK);
    sound = w.rt->crypto.ops;
    ops.hash = count_hash;
    hashed = 0;
    w.rt->crypto.ops = &ops;
    const aril_bytes kept = { key, ARILI_NAME_CACHED_MAX };
    (void)make(cache, 0, kept);
    assert_int_equal(hashed, 1);
    (void)make(cache, 0, kept);
    assert_int_equal(hashed, 1);
    (void)make(cache, 1, kept);
    (void)make(cache, 0, (aril_bytes){ key, ARILI_NAME_CACHED_MAX - 1 });
    assert_status(arili_place_make(cache, bob, bobs, 0, kept, &p), ARIL_OK);
    assert_status(arili_place_make(cache, tagged, tags, 0, kept, &p), ARIL_OK);
    assert_int_equal(hashed, 5);
    struct arili_tenant_keys later = *keys;
    later.naming.key_id[0] ^= 1;
    assert_status(arili_place_make(cache, alice, &later, 0, kept, &p), ARIL_OK);
    later.naming.key_id[0] ^= 1;
    later.naming.key_id[15] ^= 1;
    assert_status(arili_place_make(cache, alice, &later, 0, kept, &p), ARIL_OK);
    assert_int_equal(hashed, 7);
    (void)make(cache, 0, (aril_bytes){ key, sizeof key }); /* too long */
    (void)make(cache, 0, (aril_bytes){ key, sizeof key });
    assert_int_equal(hashed, 9);
    w.rt->crypto.ops = sound;
    arili_name_cache_free(cache);
}

/* --- Opening ------------------------------------------------------------------------------- */

static void expect_no_name(const struct arili_tenant *t, const struct arili_tenant_keys *k,
                           uint32_t database, aril_bytes name)
{
    uint8_t room[ARILI_CACHE_LISTED_KEY_MAX];
    size_t len = 99;
    memset(room, GUARD_FILLER, sizeof room);
    assert_status(arili_place_open(t, k, database, name, room, &len), ARIL_E_NOT_FOUND);
    assert_int_equal(len, 99);
    assert_true(is_filled(room, sizeof room, GUARD_FILLER));
}

static void every_changed_bit_and_length_of_a_name_is_no_name(void **state)
{
    (void)state;
    const struct arili_place places[] = { proxy_place(alice, "user:1"),
                                          proxy_place(tagged, "{user}:1") };
    for (size_t i = 0; i < COUNT(places); i++) {
        const struct arili_tenant *t = i == 0 ? alice : tagged;
        const struct arili_tenant_keys *k = i == 0 ? keys : tags;
        uint8_t name[ARILI_CACHE_NAME_TEXT + 1];
        const size_t len = places[i].name_len;
        memcpy(name, places[i].name, len);
        name[len] = 'A';
        for (size_t at = 0; at < 8 * len; at++) {
            name[at / 8] ^= (uint8_t)(1u << at % 8);
            expect_no_name(t, k, 0, (aril_bytes){ name, len });
            name[at / 8] ^= (uint8_t)(1u << at % 8);
        }
        for (size_t cut = 0; cut < len; cut++) {
            expect_no_name(t, k, 0, (aril_bytes){ name, cut });
        }
        expect_no_name(t, k, 0, (aril_bytes){ name, len + 1 });
    }
}

static void names_of_others_are_no_names(void **state)
{
    (void)state;
    struct arili_place p = proxy_place(alice, "{user}:1");
    uint8_t room[ARILI_CACHE_LISTED_KEY_MAX];
    size_t len = 0;
    assert_status(arili_place_open(alice, keys, 0, name_of(&p), room, &len), ARIL_OK);
    expect_no_name(alice, keys, 1, name_of(&p)); /* another database */
    expect_no_name(bob, bobs, 0, name_of(&p));
    expect_no_name(tagged, tags, 0, name_of(&p)); /* another space */
    expect_no_name(alice, keys, 0, TEXT("user:1"));
    expect_no_name(alice, keys, 0, TEXT(""));
    /* What the cache may have put there: a field, a name that is not listable, a lock. */
    aril_cache_key field = cache_key("alice", SPACE, "h");
    field.field = TEXT("f");
    field.type = ARIL_CACHE_HASH_FIELD;
    expect_no_name(alice, keys, 0, cache_name(&ch, field));
    field.type = ARIL_CACHE_STRING;
    expect_no_name(alice, keys, 0, cache_name(&ch, field));
    field.field = TEXT("");
    field.type = ARIL_CACHE_SET_MEMBER;
    expect_no_name(alice, keys, 0, cache_name(&ch, field));
    char lock[ARILI_CACHE_NAME_TEXT + 2];
    memcpy(lock, p.name, p.name_len);
    memcpy(lock + p.name_len, ":l", 2);
    expect_no_name(alice, keys, 0, (aril_bytes){ (const uint8_t *)lock, p.name_len + 2u });
}

/* Without hash tags a key is called otherwise than with them: only one of the two is its name. */
static void a_key_has_one_name(void **state)
{
    (void)state;
    struct arili_place p;
    tagged->hash_tags = false;
    assert_status(arili_place_make(NULL, tagged, tags, 0, TEXT("{user}:1"), &p), ARIL_OK);
    tagged->hash_tags = true;
    expect_no_name(tagged, tags, 0, name_of(&p));
    p = proxy_place(tagged, "{user}:1");
    tagged->hash_tags = false;
    expect_no_name(tagged, tags, 0, name_of(&p));
    tagged->hash_tags = true;
}

static void the_prefix_begins_every_name(void **state)
{
    (void)state;
    const struct arili_place p = proxy_place(alice, "k");
    assert_memory_equal(p.name, arili_place_prefix(keys), ARILI_CACHE_PREFIX_TEXT);
    assert_memory_not_equal(arili_place_prefix(bobs), arili_place_prefix(keys),
                            ARILI_CACHE_PREFIX_TEXT);
}

static void without_keys_there_are_no_names(void **state)
{
    (void)state;
    struct arili_tenant_keys none = { .status = ARIL_E_KEY_LOCKED };
    struct arili_place p;
    uint8_t room[ARILI_CACHE_LISTED_KEY_MAX];
    uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
    size_t len;
    assert_status(arili_place_make(NULL, alice, &none, 0, TEXT("k"), &p), ARIL_E_KEY_LOCKED);
    assert_status(arili_place_open(alice, &none, 0, TEXT("k"), room, &len), ARIL_E_KEY_LOCKED);
    assert_status(arili_field_context(alice, &none, 0, TEXT("k"), TEXT("f"), context),
                  ARIL_E_KEY_LOCKED);
    /* In a child the secrets read as zeros, so nothing may be made of them. */
    static const uint64_t child = 0;
    struct arili_tenant_keys forked = *keys;
    forked.guard.marker = &child;
    assert_status(arili_place_make(NULL, alice, &forked, 0, TEXT("k"), &p), ARIL_E_FORKED);
    assert_status(arili_place_open(alice, &forked, 0, TEXT("k"), room, &len), ARIL_E_FORKED);
    assert_status(arili_field_context(alice, &forked, 0, TEXT("k"), TEXT("f"), context),
                  ARIL_E_FORKED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_and_contexts_are_those_of_the_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_proxy_seals_the_cache_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(the_context_of_a_field_is_that_of_the_cache, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(every_part_makes_another_name, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_have_1_to_512_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_kept_is_what_was_made, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_is_kept_for_its_tenant_version_database_and_key,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(every_changed_bit_and_length_of_a_name_is_no_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(names_of_others_are_no_names, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_has_one_name, setup, teardown),
        cmocka_unit_test_setup_teardown(the_prefix_begins_every_name, setup, teardown),
        cmocka_unit_test_setup_teardown(without_keys_there_are_no_names, setup, teardown),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
