/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "resp/resp.h"
#include <string.h>

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

/* Redis Cluster specification, and the answers of CLUSTER KEYSLOT of Redis 7.0. */
static void keys_have_the_slots_of_redis(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        unsigned slot;
    } cases[] = {
        { "123456789", 0x31c3 }, { "foo", 12182 }, { "bar", 5061 },
        { "hello", 866 },        { "", 0 },        { "a", 15495 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(arili_resp_slot(text(cases[i].key)), cases[i].slot);
    }
    assert_int_equal(arili_resp_slot((aril_bytes){ NULL, 0 }), 0);
}

static void expect_tag(const char *key, const char *tag)
{
    const aril_bytes found = arili_resp_hash_tag(text(key));
    assert_int_equal(found.len, strlen(tag));
    assert_memory_equal(found.data, tag, found.len);
    assert_int_equal(arili_resp_slot(text(key)), arili_resp_slot(text(tag)));
}

/* The examples of the specification, "Hash tags". */
static void tags_are_found_as_the_specification_says(void **state)
{
    (void)state;
    expect_tag("{user1000}.following", "user1000");
    expect_tag("{user1000}.followers", "user1000");
    expect_tag("foo{}{bar}", "foo{}{bar}");
    expect_tag("foo{{bar}}zap", "{bar");
    expect_tag("foo{bar}{zap}", "bar");
}

static void a_tag_needs_both_braces_in_order(void **state)
{
    (void)state;
    expect_tag("{", "{");
    expect_tag("}", "}");
    expect_tag("{}", "{}");
    expect_tag("}a{", "}a{");
    expect_tag("a{b", "a{b");
    expect_tag("a}b{c}", "c");
    expect_tag("{x}", "x");
    expect_tag("a{b}", "b");
    assert_int_equal(arili_resp_hash_tag((aril_bytes){ NULL, 0 }).len, 0);
}

static void keys_are_bytes(void **state)
{
    (void)state;
    static const uint8_t key[] = { 0, '{', 0, 0xff, '}', 0 };
    const aril_bytes tag = arili_resp_hash_tag((aril_bytes){ key, sizeof key });
    assert_ptr_equal(tag.data, key + 2);
    assert_int_equal(tag.len, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_the_slots_of_redis),
        cmocka_unit_test(tags_are_found_as_the_specification_says),
        cmocka_unit_test(a_tag_needs_both_braces_in_order),
        cmocka_unit_test(keys_are_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
