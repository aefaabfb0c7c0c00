/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/names.h"
#include "base/bytes.h"
#include "check.h"
#include "runtime.h"
#include <stdlib.h>
#include <string.h>

#define TENANT "acme"

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

/* --- base64url ----------------------------------------------------------------------------- */

static void base64url_is_that_of_rfc_4648(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } cases[] = { { "", "" },
                  { "f", "Zg" },
                  { "fo", "Zm8" },
                  { "foo", "Zm9v" },
                  { "foob", "Zm9vYg" },
                  { "fooba", "Zm9vYmE" },
                  { "foobar", "Zm9vYmFy" },
                  { "\xfb\xff\xbf", "-_-_" } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[16];
        uint8_t back[16];
        size_t len = 99;
        const aril_bytes in = text(cases[i].bytes);
        assert_int_equal(arili_base64url(in.data, in.len, out), strlen(cases[i].text));
        assert_memory_equal(out, cases[i].text, strlen(cases[i].text));
        assert_status(arili_base64url_parse(text(cases[i].text), back, sizeof back, &len), ARIL_OK);
        assert_int_equal(len, in.len);
        assert_memory_equal(back, in.data, in.len);
    }
}

static void only_the_64_characters_are_digits(void **state)
{
    (void)state;
    unsigned digits = 0;
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t in[4] = { 'A', (uint8_t)c, 'A', 'A' };
        uint8_t out[3];
        size_t len;
        const aril_status st =
            arili_base64url_parse((aril_bytes){ in, sizeof in }, out, sizeof out, &len);
        if (st == ARIL_OK) {
            digits++;
        } else {
            assert_status(st, ARIL_E_FORMAT_FIELD);
        }
    }
    assert_int_equal(digits, 64);
}

static void lengths_and_last_bits_are_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        aril_status st;
    } cases[] = { { "A", ARIL_E_FORMAT_LENGTH },
                  { "AAAAA", ARIL_E_FORMAT_LENGTH },
                  { "AA==", ARIL_E_FORMAT_FIELD },
                  { "AB", ARIL_E_FORMAT_FIELD },
                  { "AP", ARIL_E_FORMAT_FIELD },
                  { "AQ", ARIL_OK },
                  { "AAB", ARIL_E_FORMAT_FIELD },
                  { "AAD", ARIL_E_FORMAT_FIELD },
                  { "AAE", ARIL_OK },
                  { "AA A", ARIL_E_FORMAT_FIELD },
                  { "AA\n", ARIL_E_FORMAT_FIELD },
                  { "AAAA", ARIL_OK },
                  { "AAAAAA", ARIL_E_FORMAT_LENGTH } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t out[3];
        size_t len;
        assert_status(arili_base64url_parse(text(cases[i].text), out, sizeof out, &len),
                      cases[i].st);
    }
}

/* --- Context ------------------------------------------------------------------------------- */

static void context(const aril_cache_key *key, enum arili_hash hash, uint8_t ret[32])
{
    assert_status(arili_cache_context(&rt->crypto, hash, key, ret), ARIL_OK);
}

static void every_part_of_a_key_changes_the_context(void **state)
{
    (void)state;
    const aril_cache_key keys[] = {
        { text("ab"), text("cd"), text("ef"), text("gh"), 1, ARIL_CACHE_HASH_FIELD },
        { text("a"), text("bcd"), text("ef"), text("gh"), 1, ARIL_CACHE_HASH_FIELD },
        { text("abc"), text("d"), text("ef"), text("gh"), 1, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("c"), text("def"), text("gh"), 1, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("cde"), text("f"), text("gh"), 1, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("cd"), text("e"), text("fgh"), 1, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("cd"), text("efg"), text("h"), 1, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("cd"), text("efgh"), text(""), 1, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("cd"), text("ef"), text("gh"), 2, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("cd"), text("ef"), text("gh"), 0x100, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("cd"), text("ef"), text("gh"), 1, ARIL_CACHE_STRING },
        { text("ab"), text("cd"), text("ef"), text("gh"), 1, (aril_cache_type)ARILI_CACHE_TAG },
        { text("ab"), text("cd"), text("ef"), text("gh"), 1, (aril_cache_type)ARILI_CACHE_TAG_ID },
        { text("ab"), text(""), text("ef"), text("gh"), 1, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("cd"), text("e"), text("gh"), 1, ARIL_CACHE_HASH_FIELD },
        { text("xb"), text("cd"), text("ef"), text("gh"), 1, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("cx"), text("ef"), text("gh"), 1, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("cd"), text("xf"), text("gh"), 1, ARIL_CACHE_HASH_FIELD },
        { text("ab"), text("cd"), text("ef"), text("gx"), 1, ARIL_CACHE_HASH_FIELD },
    };
    uint8_t contexts[2 * COUNT(keys)][32];
    for (size_t i = 0; i < COUNT(keys); i++) {
        context(&keys[i], ARILI_SHA256, contexts[i]);
        context(&keys[i], ARILI_SHA384, contexts[COUNT(keys) + i]);
    }
    for (size_t i = 0; i < COUNT(contexts); i++) {
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(contexts[i], contexts[k], 32);
        }
    }
}

/* --- Names --------------------------------------------------------------------------------- */

struct named {
    char name[ARIL_CACHE_NAME_BYTES_MAX];
    size_t len;
};

static aril_tenant_key *name_key(uint8_t fill)
{
    uint8_t secret[32];
    uint8_t id[32];
    aril_tenant_key *key = NULL;
    memset(secret, fill, sizeof secret);
    memset(id, fill, sizeof id);
    assert_status(arili_tenant_key_new(rt, ARIL_KEY_NAME, text(TENANT), id, secret, &key), ARIL_OK);
    return key;
}

static aril_status name_of(const aril_tenant_key *k, const aril_cache_key *key, bool listable,
                           bool hash_tags, struct named *ret)
{
    struct arili_naming naming;
    uint8_t ctx[32];
    const struct arili_name_want want = { listable, hash_tags };
    assert_status(arili_naming_init(&rt->crypto, ARILI_SHA256, k, key->space, &naming), ARIL_OK);
    context(key, ARILI_SHA256, ctx);
    return arili_cache_name(&rt->crypto, ARILI_SHA256, &naming, k, want, key, ctx, ret->name,
                            &ret->len);
}

static aril_status open_name(const aril_tenant_key *k, aril_bytes space, const char *name,
                             size_t len, struct arili_listed_name *ret)
{
    struct arili_naming naming;
    char *exact = malloc(len > 0 ? len : 1);
    assert_non_null(exact);
    memcpy(exact, name, len);
    assert_status(arili_naming_init(&rt->crypto, ARILI_SHA256, k, space, &naming), ARIL_OK);
    const aril_status st = arili_cache_name_open(&rt->crypto, ARILI_SHA256, &naming, k, space,
                                                 (aril_bytes){ (uint8_t *)exact, len }, ret);
    free(exact);
    return st;
}

static aril_cache_key string_key(const char *space, const char *key)
{
    return (aril_cache_key){ .tenant = text(TENANT), .space = text(space), .key = text(key) };
}

static void names_have_the_form_of_the_document(void **state)
{
    (void)state;
    aril_tenant_key *k = name_key(1);
    const aril_cache_key key = string_key("s", "{tag}x");
    struct named n;
    assert_status(name_of(k, &key, false, false, &n), ARIL_OK);
    assert_int_equal(n.len, 29 + 45);
    assert_memory_equal(n.name, "a1:", 3);
    assert_int_equal(n.name[15], ':');
    assert_int_equal(n.name[28], ':');
    assert_int_equal(n.name[29], '{');
    assert_int_equal(n.name[n.len - 1], '}');
    assert_status(name_of(k, &key, false, true, &n), ARIL_OK);
    assert_int_equal(n.len, 29 + 14 + 43);
    assert_int_equal(n.name[29 + 13], '}');
    assert_null(memchr(n.name + 29, ':', n.len - 29)); /* that is for locks */
    aril_tenant_key_put(k);
}

static void names_tell_keys_namespaces_and_secrets_apart(void **state)
{
    (void)state;
    aril_tenant_key *k = name_key(1);
    aril_tenant_key *other = name_key(2);
    const aril_cache_key keys[] = { string_key("s", "a"), string_key("s", "b"),
                                    string_key("t", "a"), string_key("", "a") };
    struct named names[COUNT(keys) + 1];
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_status(name_of(k, &keys[i], false, false, &names[i]), ARIL_OK);
    }
    assert_status(name_of(other, &keys[0], false, false, &names[COUNT(keys)]), ARIL_OK);
    for (size_t i = 0; i < COUNT(names); i++) {
        for (size_t n = 0; n < i; n++) {
            assert_memory_not_equal(names[i].name + 29, names[n].name + 29, 45);
        }
    }
    /* One tenant, one namespace: seen in the prefix. */
    assert_memory_equal(names[0].name, names[1].name, 29);
    assert_memory_equal(names[0].name, names[2].name, 16);
    assert_memory_not_equal(names[0].name + 16, names[2].name + 16, 12);
    assert_memory_not_equal(names[0].name + 3, names[COUNT(keys)].name + 3, 12);
    aril_tenant_key_put(k);
    aril_tenant_key_put(other);
}

/* As Redis Cluster places keys: https://redis.io/docs, "Hash tags". */
static void hash_tags_are_found_as_redis_finds_them(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        bool tagged; /* by "user" */
    } cases[] = { { "{user}", true },   { "{user}:1", true },      { "a{user}b", true },
                  { "}{user}", true },  { "{user}{other}", true }, { "{user", false },
                  { "user}", false },   { "{}{user}", false },     { "{{user}}", false },
                  { "{user }", false }, { "user", false } };
    aril_tenant_key *k = name_key(1);
    const aril_cache_key like = string_key("s", "{user}");
    struct named wanted;
    struct named n;
    assert_status(name_of(k, &like, false, true, &wanted), ARIL_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const aril_cache_key key = string_key("s", cases[i].key);
        assert_status(name_of(k, &key, false, true, &n), ARIL_OK);
        const bool same = memcmp(n.name + 29, wanted.name + 29, 14) == 0;
        assert_int_equal(same, cases[i].tagged);
    }
    aril_tenant_key_put(k);
}

static void a_listed_name_says_its_key_to_who_has_the_secret(void **state)
{
    (void)state;
    static struct arili_listed_name listed;
    uint8_t long_key[ARILI_CACHE_LISTED_KEY_MAX];
    memset(long_key, 0xfe, sizeof long_key);
    long_key[0] = '{';
    long_key[511] = '}';
    aril_tenant_key *k = name_key(1);
    for (size_t len = 1; len <= sizeof long_key; len++) {
        for (int tags = 0; tags <= 1; tags++) {
            const size_t field = len / 3;
            const aril_cache_key key = { .tenant = text(TENANT),
                                         .space = text("s"),
                                         .key = { long_key, len - field },
                                         .field = { long_key + 1, field },
                                         .database = (uint32_t)len * 65537,
                                         .type = ARIL_CACHE_HASH_FIELD };
            struct named n;
            assert_status(name_of(k, &key, true, tags != 0, &n), ARIL_OK);
            assert_true(n.len <= 776);
            assert_status(open_name(k, key.space, n.name, n.len, &listed), ARIL_OK);
            assert_int_equal(listed.key.key.len, key.key.len);
            assert_memory_equal(listed.key.key.data, key.key.data, key.key.len);
            assert_int_equal(listed.key.field.len, key.field.len);
            assert_int_equal(listed.key.database, key.database);
            assert_int_equal(listed.key.type, key.type);
        }
    }
    aril_tenant_key_put(k);
}

/* Whether the listing key is derived for the call or was kept, the name is the same; and one that
 * was kept is used: with another one the name is another. */
static void a_listing_key_that_was_kept_gives_the_same_name(void **state)
{
    (void)state;
    static struct arili_listed_name listed;
    aril_tenant_key *k = name_key(1);
    const aril_cache_key key = string_key("s", "some key");
    const struct arili_name_want want = { true, false };
    uint8_t siv[ARILI_SIV_KEY_BYTES], ctx[32];
    struct arili_naming naming;
    struct named derived, kept;
    assert_status(name_of(k, &key, true, false, &derived), ARIL_OK);
    assert_status(arili_naming_init(&rt->crypto, ARILI_SHA256, k, key.space, &naming), ARIL_OK);
    assert_null(naming.listing);
    assert_status(arili_cache_listing_key(&rt->crypto, ARILI_SHA256, k, siv), ARIL_OK);
    naming.listing = siv;
    context(&key, ARILI_SHA256, ctx);
    for (unsigned other = 0; other < 2; other++) {
        siv[0] ^= (uint8_t)other;
        assert_status(arili_cache_name(&rt->crypto, ARILI_SHA256, &naming, k, want, &key, ctx,
                                       kept.name, &kept.len),
                      ARIL_OK);
        assert_int_equal(kept.len, derived.len);
        assert_int_equal(memcmp(kept.name, derived.name, kept.len) == 0, other == 0);
        assert_status(arili_cache_name_open(&rt->crypto, ARILI_SHA256, &naming, k, key.space,
                                            (aril_bytes){ (uint8_t *)derived.name, derived.len },
                                            &listed),
                      other == 0 ? ARIL_OK : ARIL_E_AUTH);
    }
    aril_tenant_key_put(k);
}

static void a_key_that_is_too_long_to_be_listed_is_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[ARILI_CACHE_LISTED_KEY_MAX + 1];
    aril_tenant_key *k = name_key(1);
    aril_cache_key key = { .tenant = text(TENANT), .key = { bytes, sizeof bytes } };
    struct named n;
    assert_status(name_of(k, &key, true, false, &n), ARIL_E_USAGE_RANGE);
    assert_status(name_of(k, &key, false, false, &n), ARIL_OK);
    key.key.len--;
    assert_status(name_of(k, &key, true, false, &n), ARIL_OK);
    key.field = (aril_bytes){ bytes, 1 };
    assert_status(name_of(k, &key, true, false, &n), ARIL_E_USAGE_RANGE);
    aril_tenant_key_put(k);
}

static void every_changed_byte_of_a_listed_name_is_refused(void **state)
{
    (void)state;
    static struct arili_listed_name listed;
    aril_tenant_key *k = name_key(1);
    const aril_cache_key key = string_key("s", "{user}:1");
    for (int tags = 0; tags <= 1; tags++) {
        struct named n;
        assert_status(name_of(k, &key, true, tags != 0, &n), ARIL_OK);
        for (size_t at = 0; at < n.len; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                struct named changed = n;
                changed.name[at] = (char)(changed.name[at] ^ 1 << bit);
                const aril_status st = open_name(k, key.space, changed.name, changed.len, &listed);
                assert_true(st == ARIL_E_NOT_FOUND || st == ARIL_E_AUTH ||
                            st == ARIL_E_FORMAT_FIELD);
            }
        }
    }
    aril_tenant_key_put(k);
}

static void a_listed_name_is_not_moved_under_another_hash_tag(void **state)
{
    (void)state;
    static struct arili_listed_name listed;
    aril_tenant_key *k = name_key(1);
    const aril_cache_key tagged = string_key("s", "{user}:1");
    const aril_cache_key bare = string_key("s", "user:1");
    struct named n;
    struct named other;
    assert_status(name_of(k, &tagged, true, true, &n), ARIL_OK);
    assert_status(name_of(k, &bare, true, false, &other), ARIL_OK);
    /* prefix {tag} and the own part of the key without a tag, without its brace */
    memcpy(n.name + 29 + 14, other.name + 30, other.len - 31);
    n.len = 29 + 14 + other.len - 31;
    assert_status(open_name(k, tagged.space, n.name, n.len, &listed), ARIL_E_AUTH);
    aril_tenant_key_put(k);
}

static void every_truncation_of_a_listed_name_is_refused(void **state)
{
    (void)state;
    static struct arili_listed_name listed;
    aril_tenant_key *k = name_key(1);
    const aril_cache_key key = string_key("s", "{user}:1");
    for (int tags = 0; tags <= 1; tags++) {
        struct named n;
        assert_status(name_of(k, &key, true, tags != 0, &n), ARIL_OK);
        for (size_t len = 0; len < n.len; len++) {
            assert_int_not_equal(open_name(k, key.space, n.name, len, &listed), ARIL_OK);
            struct named cut = n; /* and with the end of a name */
            cut.name[len] = '}';
            if (len + 1 < n.len) {
                assert_int_not_equal(open_name(k, key.space, cut.name, len + 1, &listed), ARIL_OK);
            }
        }
    }
    aril_tenant_key_put(k);
}

static void a_listed_name_belongs_to_its_namespace_and_key(void **state)
{
    (void)state;
    static struct arili_listed_name listed;
    aril_tenant_key *k = name_key(1);
    aril_tenant_key *other = name_key(2);
    const aril_cache_key key = string_key("s", "user");
    const aril_cache_key twin = string_key("t", "user");
    struct named n;
    struct named there;
    assert_status(name_of(k, &key, true, false, &n), ARIL_OK);
    assert_status(name_of(k, &twin, true, false, &there), ARIL_OK);
    assert_status(open_name(k, twin.space, n.name, n.len, &listed), ARIL_E_NOT_FOUND);
    assert_status(open_name(other, key.space, n.name, n.len, &listed), ARIL_E_NOT_FOUND);
    memcpy(n.name, there.name, 29); /* moved to the other namespace */
    assert_status(open_name(k, twin.space, n.name, n.len, &listed), ARIL_E_AUTH);
    aril_tenant_key_put(k);
    aril_tenant_key_put(other);
}

static void records_of_tags_are_never_listed(void **state)
{
    (void)state;
    static struct arili_listed_name listed;
    aril_tenant_key *k = name_key(1);
    aril_cache_key key = string_key("s", "tag");
    key.type = (aril_cache_type)ARILI_CACHE_TAG;
    struct named n;
    struct named hidden;
    assert_status(name_of(k, &key, true, false, &n), ARIL_OK);
    assert_status(name_of(k, &key, false, false, &hidden), ARIL_OK);
    assert_int_equal(n.len, hidden.len);
    assert_memory_equal(n.name, hidden.name, n.len);
    assert_status(open_name(k, key.space, n.name, n.len, &listed), ARIL_E_NOT_FOUND);
    aril_tenant_key_put(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64url_is_that_of_rfc_4648),
        cmocka_unit_test(only_the_64_characters_are_digits),
        cmocka_unit_test(lengths_and_last_bits_are_strict),
        cmocka_unit_test(every_part_of_a_key_changes_the_context),
        cmocka_unit_test(names_have_the_form_of_the_document),
        cmocka_unit_test(names_tell_keys_namespaces_and_secrets_apart),
        cmocka_unit_test(hash_tags_are_found_as_redis_finds_them),
        cmocka_unit_test(a_listed_name_says_its_key_to_who_has_the_secret),
        cmocka_unit_test(a_listing_key_that_was_kept_gives_the_same_name),
        cmocka_unit_test(a_key_that_is_too_long_to_be_listed_is_refused),
        cmocka_unit_test(every_changed_byte_of_a_listed_name_is_refused),
        cmocka_unit_test(a_listed_name_is_not_moved_under_another_hash_tag),
        cmocka_unit_test(every_truncation_of_a_listed_name_is_refused),
        cmocka_unit_test(a_listed_name_belongs_to_its_namespace_and_key),
        cmocka_unit_test(records_of_tags_are_never_listed),
    };
    return cmocka_run_group_tests_name("names", tests, runtime_setup, runtime_teardown);
}
