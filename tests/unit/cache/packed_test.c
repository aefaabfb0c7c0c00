/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/packed.h"
#include "fixture.h"
#include <stdlib.h>
#include <string.h>

/* A name in a buffer of its own, so that a sanitizer sees what is read behind it. */
static struct arili_packed *pack(const aril_cache_key *key)
{
    struct arili_packed *const p = malloc(sizeof *p + arili_packed_bytes(key));
    assert_non_null(p);
    arili_packed_write(p, key);
    return p;
}

static aril_cache_key key_of(uint8_t *bytes[4], const size_t lens[4])
{
    return (aril_cache_key){ .tenant = { bytes[0], lens[0] },
                             .space = { bytes[1], lens[1] },
                             .key = { bytes[2], lens[2] },
                             .field = { bytes[3], lens[3] },
                             .database = 7,
                             .type = ARIL_CACHE_HASH_FIELD };
}

/* The hash lets hardly any wrong name come so far, so this looks without one. */
static void a_name_equals_itself_and_no_other_one(void **state)
{
    (void)state;
    static const size_t lens[][4] = {
        { 1, 0, 1, 0 },    { 2, 3, 4, 5 },     { 6, 7, 8, 9 },       { 15, 16, 17, 18 },
        { 31, 32, 33, 0 }, { 63, 64, 65, 66 }, { 255, 255, 300, 1 }, { 1, 24, 1000, 128 },
    };
    for (size_t i = 0; i < COUNT(lens); i++) {
        uint8_t *bytes[4];
        for (size_t part = 0; part < 4; part++) {
            bytes[part] = malloc(lens[i][part] + 1); /* never of no bytes */
            assert_non_null(bytes[part]);
            fill_pattern(bytes[part], lens[i][part] + 1, i * 4 + part);
        }
        aril_cache_key key = key_of(bytes, lens[i]);
        struct arili_packed *const p = pack(&key);
        const uint64_t hash = arili_packed_hash(5, &key);
        assert_true(arili_packed_equal(p, &key));
        for (size_t part = 0; part < 4; part++) {
            for (size_t at = 0; at < lens[i][part]; at++) {
                bytes[part][at] ^= 1;
                assert_false(arili_packed_equal(p, &key));
                assert_true(arili_packed_hash(5, &key) != hash);
                bytes[part][at] ^= 1;
            }
        }
        key.database = 8;
        assert_false(arili_packed_equal(p, &key));
        assert_true(arili_packed_hash(5, &key) != hash);
        key.database = 7;
        key.type = ARIL_CACHE_SET_MEMBER;
        assert_false(arili_packed_equal(p, &key));
        assert_true(arili_packed_hash(5, &key) != hash);
        key.type = ARIL_CACHE_HASH_FIELD;
        assert_true(arili_packed_hash(6, &key) != hash);
        assert_true(arili_packed_equal(p, &key));
        free(p);
        for (size_t part = 0; part < 4; part++) {
            free(bytes[part]);
        }
    }
}

/* The same bytes, cut elsewhere. */
static void where_a_part_ends_counts(void **state)
{
    (void)state;
    static const size_t cuts[][4] = { { 5, 5, 5, 5 }, { 6, 4, 5, 5 }, { 5, 6, 4, 5 },
                                      { 5, 5, 6, 4 }, { 4, 5, 5, 6 }, { 20, 0, 0, 0 },
                                      { 0, 0, 20, 0 } };
    uint8_t all[20];
    fill_pattern(all, sizeof all, 1);
    for (size_t i = 0; i < COUNT(cuts); i++) {
        for (size_t k = 0; k < COUNT(cuts); k++) {
            aril_cache_key keys[2];
            const size_t *const both[2] = { cuts[i], cuts[k] };
            for (size_t w = 0; w < 2; w++) {
                size_t at = 0;
                uint8_t *bytes[4];
                for (size_t part = 0; part < 4; part++) {
                    bytes[part] = all + at;
                    at += both[w][part];
                }
                keys[w] = key_of(bytes, both[w]);
            }
            struct arili_packed *const p = pack(&keys[0]);
            assert_int_equal(arili_packed_equal(p, &keys[1]), i == k);
            assert_int_equal(arili_packed_hash(5, &keys[0]) == arili_packed_hash(5, &keys[1]),
                             i == k);
            free(p);
        }
    }
}

static void each_part_has_its_bound(void **state)
{
    (void)state;
    const uint8_t *const some = (const uint8_t *)"x"; /* lengths alone are looked at */
    const aril_cache_key most = { .tenant = { some, ARIL_TENANT_ID_BYTES_MAX },
                                  .space = { some, ARIL_CACHE_SPACE_BYTES_MAX },
                                  .key = { some, ARIL_CACHE_KEY_BYTES_MAX },
                                  .field = { some, ARIL_CACHE_KEY_BYTES_MAX } };
    assert_true(arili_packed_fits(&most));
    assert_int_equal(arili_packed_bytes(&most), 2 * 255 + 2 * 1048576);
    for (unsigned part = 0; part < 4; part++) {
        for (unsigned far = 0; far < 2; far++) {
            aril_cache_key key = most;
            aril_bytes *const parts[] = { &key.tenant, &key.space, &key.key, &key.field };
            parts[part]->len = far ? SIZE_MAX : parts[part]->len + 1;
            assert_false(arili_packed_fits(&key));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_equals_itself_and_no_other_one),
        cmocka_unit_test(where_a_part_ends_counts),
        cmocka_unit_test(each_part_has_its_bound),
    };
    return cmocka_run_group_tests_name("packed names", tests, NULL, NULL);
}
