/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_fixture.h"
#include "temp_folder.h"
#include "base/bytes.h"
#include "format/cachevalue.h"
#include <stdlib.h>
#include <string.h>

/*
 * The order of a reader's checks, docs/CACHE-FORMAT.md section 2.3: each fault alone has its
 * status, and of two faults the earlier one decides.
 */

static struct world w;
static struct cache_home ch;
static uint8_t bobs_key[ARIL_KEY_ID_BYTES];

static const aril_cache_policy closed = { .tiers = ARIL_CACHE_L2,
                                          .on_tamper = ARIL_CACHE_FAIL_CLOSED,
                                          .on_key_gone = ARIL_CACHE_FAIL_CLOSED };

static void note_key(uint8_t *ret, const char *tenant)
{
    aril_tenant_key *key = NULL;
    assert_status(
        aril_keyring_tenant_key(ch.keys.kr, text_bytes(tenant), ARIL_KEY_DATA, &key, &ch.error),
        ARIL_OK);
    memcpy(ret, aril_tenant_key_id(key), ARIL_KEY_ID_BYTES);
    aril_tenant_key_put(key);
}

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    memset(&ch, 0, sizeof ch);
    cache_home_init(&ch, &w, "memory:", &closed, 1);
    note_key(bobs_key, "bob");
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    cache_home_done(&ch);
    world_done(&w);
    return 0;
}

/* --- Faults, in the order of the document -------------------------------------------------- */

static void wrong_level(aril_span *v)
{
    v->data[0] = 0xa2;
}
static void wrong_kind(aril_span *v)
{
    v->data[1] = 1;
}
static void wrong_flag(aril_span *v)
{
    v->data[3] |= 0x80;
}
static void wrong_length(aril_span *v)
{
    arili_store64(v->data + 32, ARILI_VALUE_BODY_MAX + 1);
}
static void cut(aril_span *v)
{
    v->len--;
}
static void of_an_older_generation(aril_span *v)
{
    arili_store64(v->data + 24, 0);
}
static void over(aril_span *v)
{
    memcpy(v->data + 16, v->data + 8, 8);
}
static void of_an_unknown_key(aril_span *v)
{
    memset(v->data + 40, 0x77, 32);
}
static void of_another_tenant(aril_span *v)
{
    memcpy(v->data + 40, bobs_key, 32);
}
static void changed(aril_span *v)
{
    v->data[100] ^= 1;
}

static const struct {
    void (*apply)(aril_span *v);
    aril_status st;
    aril_cache_outcome outcome;
    unsigned step;
} faults[] = {
    { wrong_level, ARIL_E_FORMAT_VERSION, ARIL_CACHE_TAMPERED, 3 },
    { wrong_kind, ARIL_E_FORMAT_KIND, ARIL_CACHE_TAMPERED, 5 },
    { wrong_flag, ARIL_E_FORMAT_FIELD, ARIL_CACHE_TAMPERED, 6 },
    { wrong_length, ARIL_E_FORMAT_LENGTH, ARIL_CACHE_TAMPERED, 7 },
    { cut, ARIL_E_FORMAT_TRUNCATED, ARIL_CACHE_TAMPERED, 8 },
    { of_an_older_generation, ARIL_E_REPLAY_SUPERSEDED, ARIL_CACHE_MISS, 9 },
    { over, ARIL_E_EXPIRED_VALUE, ARIL_CACHE_MISS, 10 },
    { of_an_unknown_key, ARIL_E_KEY_UNKNOWN, ARIL_CACHE_KEY_GONE, 11 },
    { of_another_tenant, ARIL_E_ISOLATION, ARIL_CACHE_TAMPERED, 12 },
    { changed, ARIL_E_AUTH, ARIL_CACHE_TAMPERED, 17 },
};

static void expect(aril_cache_key key, aril_bytes stored, size_t fault)
{
    aril_cache_result result;
    cache_store_put(&ch, cache_name(&ch, key), stored);
    const aril_status st = cache_get_l2(&ch, key, text_bytes("value"), &result);
    assert_status(result.status, faults[fault].st);
    assert_int_equal(result.outcome, faults[fault].outcome);
    assert_status(st,
                  faults[fault].outcome == ARIL_CACHE_MISS ? ARIL_E_NOT_FOUND : faults[fault].st);
}

static void of_two_faults_the_earlier_one_decides(void **state)
{
    (void)state;
    const aril_cache_key key = cache_key("alice", "s", "key");
    uint64_t generation = 0;
    assert_status(aril_cache_bump(ch.cache, key.tenant, key.space, &generation, &ch.error),
                  ARIL_OK);
    assert_true(generation == 1);
    assert_status(cache_put(&ch, key, text_bytes("value")), ARIL_OK);
    const aril_span good = cache_stored(&ch, cache_name(&ch, key));
    assert_non_null(good.data);
    uint8_t *bytes = malloc(good.len);
    assert_non_null(bytes);
    for (size_t a = 0; a < COUNT(faults); a++) {
        for (size_t b = a; b < COUNT(faults); b++) {
            aril_span bad = { bytes, good.len };
            memcpy(bytes, good.data, good.len);
            faults[b].apply(&bad); /* the later one first: some write the same field */
            if (a != b) {
                faults[a].apply(&bad);
            }
            expect(key, (aril_bytes){ bad.data, bad.len }, a);
        }
    }
    cache_store_put(&ch, cache_name(&ch, key), (aril_bytes){ good.data, good.len });
    assert_status(cache_get_l2(&ch, key, text_bytes("value"), NULL), ARIL_OK);
    free(bytes);
    free(good.data);
}

static void a_name_key_opens_no_value(void **state)
{
    (void)state;
    const aril_cache_key key = cache_key("alice", "s", "key");
    aril_tenant_key *name_key = NULL;
    aril_cache_result result;
    assert_status(cache_put(&ch, key, text_bytes("value")), ARIL_OK);
    const aril_span stored = cache_stored(&ch, cache_name(&ch, key));
    assert_non_null(stored.data);
    assert_status(
        aril_keyring_tenant_key(ch.keys.kr, key.tenant, ARIL_KEY_NAME, &name_key, &ch.error),
        ARIL_OK);
    memcpy(stored.data + 40, aril_tenant_key_id(name_key), 32);
    aril_tenant_key_put(name_key);
    cache_store_put(&ch, cache_name(&ch, key), (aril_bytes){ stored.data, stored.len });
    assert_status(cache_get_l2(&ch, key, text_bytes("value"), &result), ARIL_E_KEY_UNKNOWN);
    assert_int_equal(result.outcome, ARIL_CACHE_KEY_GONE);
    free(stored.data);
}

static void types_that_callers_may_not_use_are_refused(void **state)
{
    (void)state;
    static const unsigned types[] = { 4, 0x7f, 0x80, 0x82, 0xff, 0x100, 0x103, 0x10000 };
    for (size_t i = 0; i < COUNT(types); i++) {
        aril_cache_key key = cache_key("alice", "s", "key");
        key.type = (aril_cache_type)types[i];
        assert_status(cache_put(&ch, key, text_bytes("value")), ARIL_E_USAGE_RANGE);
        assert_status(cache_get(&ch, key, text_bytes("value"), NULL), ARIL_E_USAGE_RANGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(of_two_faults_the_earlier_one_decides, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_key_opens_no_value, setup, teardown),
        cmocka_unit_test_setup_teardown(types_that_callers_may_not_use_are_refused, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("readers", tests, temp_folder_make, temp_folder_remove);
}
