/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "check.h"
#include "proxy/tenant.h"
#include "runtime.h"
#include "vectors.h"
#include <stdlib.h>
#include <string.h>

/* tests/data/vectors/cache-proxy.json against the library: docs/CACHE-FORMAT.md section 11.
 * tests/scripts/format_cache_test.py checks it without. */

#define VECTORS "cache-proxy.json"
#define LONGEST ARILI_SIV_PLAIN_BYTES_MAX

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

/* A tenant with the keys of a case, without a keyring. */
struct tenant {
    struct arili_tenant *t;
    struct arili_tenant_keys keys;
    uint8_t siv[ARILI_SIV_KEY_BYTES];
};

static void tenant_init(struct tenant *a, struct vectors *v, const json_t *group, const json_t *t)
{
    const enum arili_hash hash = vectors_profile(group)->hash;
    const aril_bytes space = vectors_hex(v, t, "space");
    char space_text[ARIL_CACHE_SPACE_BYTES_MAX + 1] = { 0 };
    if (space.len > 0) {
        memcpy(space_text, space.data, space.len);
    }
    memset(&a->keys, 0, sizeof a->keys);
    assert_status(arili_tenant_new(text(vectors_string(group, "tenant")), space_text, false, &a->t),
                  ARIL_OK);
    assert_status(arili_tenant_key_new(rt, ARIL_KEY_NAME, text(vectors_string(group, "tenant")),
                                       vectors_hex(v, group, "name_key_id").data,
                                       vectors_hex(v, group, "name_key").data, &a->keys.name),
                  ARIL_OK);
    a->keys.rt = rt;
    a->keys.hash = hash;
    a->keys.guard = arili_secure_guard(rt->secure);
    assert_status(arili_naming_init(&rt->crypto, hash, a->keys.name, space, &a->keys.naming),
                  ARIL_OK);
    assert_status(arili_cache_listing_key(&rt->crypto, hash, a->keys.name, a->siv), ARIL_OK);
    a->keys.siv = a->siv;
    a->keys.naming.listing = a->siv;
}
static void tenant_done(struct tenant *a)
{
    aril_tenant_key_put(a->keys.name);
    arili_tenant_free(a->t);
}

static struct arili_place place_of(struct tenant *a, struct vectors *v, const json_t *t)
{
    struct arili_place place;
    assert_status(arili_place_make(NULL, a->t, &a->keys, (uint32_t)vectors_number(t, "database"),
                                   vectors_hex(v, t, "key"), &place),
                  ARIL_OK);
    vectors_expect(place.context, sizeof place.context, vectors_hex(v, t, "context"));
    return place;
}

static enum arili_inner what_of(const json_t *t)
{
    return strcmp(vectors_string(t, "what"), "field") == 0 ? ARILI_INNER_FIELD : ARILI_INNER_MEMBER;
}

static bool inner_case(struct vectors *v, const json_t *group, const json_t *t)
{
    static uint8_t plain[LONGEST], sealed[ARILI_SEALED_NAME_BYTES(LONGEST)],
        opened[ARILI_SEALED_NAME_BYTES(LONGEST)];
    struct tenant a;
    const bool counted = json_object_get(t, "text_length") != NULL;
    const aril_bytes given = vectors_hex(v, t, "text");
    const size_t len = counted ? (size_t)vectors_number(t, "text_length") : given.len;
    assert_true(len <= sizeof plain);
    for (size_t i = 0; counted && i < len; i++) {
        plain[i] = (uint8_t)(i / 4 >> (24 - i % 4 * 8));
    }
    if (given.len > 0) {
        memcpy(plain, given.data, given.len);
    }
    tenant_init(&a, v, group, t);
    const struct arili_place place = place_of(&a, v, t);
    size_t sealed_len = 0;
    size_t opened_len = 0;
    assert_status(arili_inner_seal(a.t, &a.keys, &place, what_of(t), (aril_bytes){ plain, len },
                                   sealed, &sealed_len),
                  ARIL_OK);
    if (counted) {
        uint8_t digest[ARILI_HASH_BYTES_MAX];
        const aril_bytes part = { sealed, sealed_len };
        assert_int_equal(sealed_len, vectors_number(t, "sealed_length"));
        assert_status(rt->crypto.ops->hash(rt->crypto.provider, ARILI_SHA256, &part, 1, digest),
                      ARIL_OK);
        vectors_expect(digest, 32, vectors_hex(v, t, "sealed_sha256"));
    } else {
        vectors_expect(sealed, sealed_len, vectors_hex(v, t, "sealed"));
    }
    assert_status(arili_inner_open(a.t, &a.keys, &place, what_of(t),
                                   (aril_bytes){ sealed, sealed_len }, opened, &opened_len),
                  ARIL_OK);
    assert_int_equal(opened_len, len);
    assert_true(len == 0 || memcmp(opened, plain, len) == 0);
    tenant_done(&a);
    return true;
}

static bool refused_case(struct vectors *v, const json_t *group, const json_t *t)
{
    struct tenant a;
    uint8_t out[1024];
    size_t len = 0;
    const aril_bytes sealed = vectors_hex(v, t, "sealed");
    assert_true(sealed.len <= sizeof out);
    tenant_init(&a, v, group, t);
    const struct arili_place place = place_of(&a, v, t);
    const aril_status st = arili_inner_open(a.t, &a.keys, &place, what_of(t), sealed, out, &len);
    if (strcmp(aril_status_name(st), vectors_string(t, "status")) != 0) {
        fail_msg("%s: %s instead of %s", vectors_string(t, "name"), aril_status_name(st),
                 vectors_string(t, "status"));
    }
    tenant_done(&a);
    return true;
}

static bool field_case(struct vectors *v, const json_t *group, const json_t *t)
{
    struct tenant a;
    uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
    tenant_init(&a, v, group, t);
    assert_status(arili_field_context(a.t, &a.keys, (uint32_t)vectors_number(t, "database"),
                                      vectors_hex(v, t, "key"), vectors_hex(v, t, "field"),
                                      context),
                  ARIL_OK);
    vectors_expect(context, sizeof context, vectors_hex(v, t, "context"));
    tenant_done(&a);
    return true;
}

static bool length_case(struct vectors *v, const json_t *group, const json_t *t)
{
    (void)v;
    (void)group;
    uint64_t plain = 0;
    const aril_status st = arili_plain_bytes(vectors_number(t, "stored"), &plain);
    if (json_is_null(json_object_get(t, "plain"))) {
        assert_status(st, ARIL_E_FORMAT_LENGTH);
        return true;
    }
    assert_status(st, ARIL_OK);
    assert_true(plain == vectors_number(t, "plain"));
    assert_true(arili_sealed_bytes(plain) == vectors_number(t, "stored"));
    return true;
}

static void fields_and_members_are_those_of_the_vectors(void **state)
{
    (void)state;
    assert_true(vectors_run(VECTORS, "groups", "inner", inner_case, NULL) > 190);
}

static void what_must_be_refused_is(void **state)
{
    (void)state;
    assert_true(vectors_run(VECTORS, "groups", "refused", refused_case, NULL) > 150);
}

static void contexts_of_fields_are_those_of_the_vectors(void **state)
{
    (void)state;
    assert_true(vectors_run(VECTORS, "groups", "fields", field_case, NULL) > 90);
}

static void lengths_are_those_of_the_vectors(void **state)
{
    (void)state;
    assert_true(vectors_run(VECTORS, NULL, "lengths", length_case, NULL) > 15);
}

int main(void)
{
    if (setenv("ARIL_VECTORS_DIR", ARIL_TEST_DATA_DIR "/vectors", 1) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_members_are_those_of_the_vectors),
        cmocka_unit_test(what_must_be_refused_is),
        cmocka_unit_test(contexts_of_fields_are_those_of_the_vectors),
        cmocka_unit_test(lengths_are_those_of_the_vectors),
    };
    return cmocka_run_group_tests(tests, runtime_setup, runtime_teardown);
}
