/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "format/cachemessage.h"
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX 128u

static size_t make(bool all, uint8_t *ret)
{
    struct arili_cache_change c = { .all = all, .space = ARILI_LITERAL("space") };
    memset(c.sender, 0x51, sizeof c.sender);
    if (!all) {
        c.database = 0x01020304;
        c.type = 1;
        c.key = ARILI_LITERAL("key");
        c.field = ARILI_LITERAL("fields");
    }
    struct arili_writer w = arili_writer_init(ret, BYTES_MAX);
    arili_cache_change_write(&c, &w);
    assert_true(w.len <= BYTES_MAX);
    return w.len;
}

static aril_status parse(const uint8_t *bytes, size_t len, struct arili_cache_change *ret)
{
    struct arili_cache_change untouched;
    memset(&untouched, 0xa7, sizeof untouched);
    memcpy(ret, &untouched, sizeof *ret);
    const aril_status st = arili_cache_change_parse((aril_bytes){ bytes, len }, ret);
    if (st != ARIL_OK) {
        assert_memory_equal(ret, &untouched, sizeof untouched);
    }
    return st;
}

static void one_name_comes_back(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct arili_cache_change c;
    const size_t len = make(false, bytes);
    assert_int_equal(len, 16 + 1 + 2 + 5 + 4 + 1 + 4 + 3 + 4 + 6);
    assert_status(parse(bytes, len, &c), ARIL_OK);
    assert_false(c.all);
    assert_int_equal(c.sender[15], 0x51);
    assert_int_equal(c.database, 0x01020304);
    assert_int_equal(c.type, 1);
    assert_int_equal(c.space.len, 5);
    assert_memory_equal(c.key.data, "key", 3);
    assert_int_equal(c.field.len, 6);
    assert_memory_equal(c.field.data, "fields", 6);
}

static void a_namespace_comes_back(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct arili_cache_change c;
    const size_t len = make(true, bytes);
    assert_int_equal(len, 16 + 1 + 2 + 5);
    assert_status(parse(bytes, len, &c), ARIL_OK);
    assert_true(c.all);
    assert_memory_equal(c.space.data, "space", 5);
    assert_int_equal(c.key.len, 0);
}

static void every_truncation_and_extension_is_refused(void **state)
{
    (void)state;
    for (int all = 0; all <= 1; all++) {
        uint8_t bytes[BYTES_MAX] = { 0 };
        struct arili_cache_change c;
        const size_t len = make(all != 0, bytes);
        for (size_t cut = 0; cut < len; cut++) {
            assert_status(parse(bytes, cut, &c), ARIL_E_FORMAT_TRUNCATED);
        }
        assert_status(parse(bytes, len + 1, &c), ARIL_E_FORMAT_LENGTH);
    }
}

static void a_truth_value_is_0_or_1(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    struct arili_cache_change c;
    const size_t len = make(true, bytes);
    for (unsigned v = 2; v < 256; v++) {
        bytes[16] = (uint8_t)v;
        assert_status(parse(bytes, len, &c), ARIL_E_FORMAT_FIELD);
    }
}

static void a_length_that_is_not_there_is_refused(void **state)
{
    (void)state;
    static const uint32_t lens[] = { 4, 10, 0x7fffffff, 0x80000000, UINT32_MAX };
    for (size_t i = 0; i < COUNT(lens); i++) {
        uint8_t bytes[BYTES_MAX];
        struct arili_cache_change c;
        const size_t len = make(false, bytes);
        arili_store32(bytes + len - 6 - 4, lens[i] + 3); /* of the field */
        assert_status(parse(bytes, len, &c),
                      lens[i] + 3 > 6 ? ARIL_E_FORMAT_TRUNCATED : ARIL_E_FORMAT_LENGTH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_name_comes_back),
        cmocka_unit_test(a_namespace_comes_back),
        cmocka_unit_test(every_truncation_and_extension_is_refused),
        cmocka_unit_test(a_truth_value_is_0_or_1),
        cmocka_unit_test(a_length_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests_name("messages of caches", tests, NULL, NULL);
}
