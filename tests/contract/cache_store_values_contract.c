/* SPDX-License-Identifier: Apache-2.0 */
/* One value at a time: names, lengths, buffers, replacing, deleting. */
#include "cache_store_cases.h"
#include <stdlib.h>
#include <string.h>

#define FILLER 0xa7u

static size_t value_max(void)
{
    return cache_store_subject->value_max != 0 ? cache_store_subject->value_max : (size_t)16 << 20;
}

static aril_bytes pattern(size_t len, uint64_t seed)
{
    uint8_t *const p = malloc(len > 0 ? len : 1);
    assert_non_null(p);
    fill_pattern(p, len, seed);
    return (aril_bytes){ p, len };
}

static void pattern_done(aril_bytes b)
{
    free((void *)(uintptr_t)b.data);
}

static void it_tells_what_it_is(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    aril_store_info info;
    memset(&info, FILLER, sizeof info);
    assert_status(aril_store_get_info(s, &info, NULL), ARIL_OK);
    assert_true(strlen(info.kind) > 0);
    assert_int_equal(info.capabilities, cache_store_subject->capabilities);
    assert_int_equal(info.breaker, ARIL_BREAKER_CLOSED);
    assert_non_null(memchr(info.description, '\0', sizeof info.description));
    assert_true(strlen(info.description) > 0);
    const uint64_t calls = info.calls;
    put(s, TEXT("a"), TEXT("1"));
    assert_status(aril_store_get_info(s, &info, NULL), ARIL_OK);
    assert_int_equal(info.calls, calls + 1);
    assert_int_equal(info.failures, 0);
    assert_int_equal(info.rejected, 0);
    assert_true(info.entries == 1 || info.entries == UINT64_MAX);
    assert_true(info.bytes >= 1);
    case_close(s);
}

static void what_was_put_is_got_until_it_is_deleted(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    assert_nothing(s, TEXT("name"));
    assert_status(try_delete(s, TEXT("name")), ARIL_E_NOT_FOUND);
    put(s, TEXT("name"), TEXT("value"));
    assert_value(s, TEXT("name"), TEXT("value"));
    assert_value(s, TEXT("name"), TEXT("value"));
    assert_nothing(s, TEXT("nam"));
    assert_nothing(s, TEXT("name2"));
    assert_nothing(s, TEXT("Name"));
    assert_status(try_delete(s, TEXT("name")), ARIL_OK);
    assert_nothing(s, TEXT("name"));
    assert_status(try_delete(s, TEXT("name")), ARIL_E_NOT_FOUND);
    put(s, TEXT("name"), TEXT("again"));
    assert_value(s, TEXT("name"), TEXT("again"));
    case_close(s);
}

static void a_put_replaces_the_value_whole(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    const size_t lengths[] = { 5, 100000, 3, 0, 70000, 1 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const aril_bytes v = pattern(lengths[i], i);
        put(s, TEXT("one name"), v);
        assert_value(s, TEXT("one name"), v);
        pattern_done(v);
    }
    case_close(s);
}

static void an_empty_value_is_a_value(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    put(s, TEXT("empty"), TEXT(""));
    assert_value(s, TEXT("empty"), TEXT(""));
    /* And without any parts, into any buffer. */
    aril_store_item item = { .name = TEXT("none") };
    assert_status(aril_store_put(s, &item, 1, NULL), ARIL_OK);
    assert_status(item.status, ARIL_OK);
    uint8_t buffer[4] = { FILLER, FILLER, FILLER, FILLER };
    item.buffer = (aril_span){ buffer, sizeof buffer };
    item.len = 77;
    assert_status(aril_store_get(s, &item, 1, NULL), ARIL_OK);
    assert_status(item.status, ARIL_OK);
    assert_int_equal(item.len, 0);
    assert_true(is_filled(buffer, sizeof buffer, FILLER));
    assert_status(try_exists(s, TEXT("none")), ARIL_OK);
    case_close(s);
}

static void lengths_around_powers_of_two_are_kept(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    for (size_t power = 1; power <= (size_t)1 << 18; power *= 2) {
        for (size_t len = power - 1; len <= power + 1; len++) {
            const aril_bytes v = pattern(len, len);
            put(s, TEXT("v"), v);
            assert_value(s, TEXT("v"), v);
            pattern_done(v);
        }
    }
    case_close(s);
}

static void the_longest_value_is_kept(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    const aril_bytes v = pattern(value_max(), 1);
    const aril_bytes w = pattern(value_max() - 1, 2);
    put(s, TEXT("long"), v);
    assert_value(s, TEXT("long"), v);
    put(s, TEXT("long"), w);
    assert_value(s, TEXT("long"), w);
    assert_status(try_delete(s, TEXT("long")), ARIL_OK);
    assert_nothing(s, TEXT("long"));
    pattern_done(v);
    pattern_done(w);
    case_close(s);
}

static void parts_are_put_one_after_the_other(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    const aril_bytes v = pattern(300001, 3);
    const size_t cuts[] = { 0, 1, 1, 100000, 100000, 299999, 300001 };
    aril_bytes parts[COUNT(cuts) + 1];
    size_t from = 0;
    for (size_t i = 0; i < COUNT(cuts); i++) {
        parts[i] = (aril_bytes){ v.data + from, cuts[i] - from };
        from = cuts[i];
    }
    parts[COUNT(cuts)] = (aril_bytes){ NULL, 0 };
    aril_store_item item = { .name = TEXT("p"), .parts = parts, .part_count = COUNT(parts) };
    assert_status(aril_store_put(s, &item, 1, NULL), ARIL_OK);
    assert_status(item.status, ARIL_OK);
    assert_value(s, TEXT("p"), v);
    item.parts = parts + 1;
    item.part_count = 3;
    assert_status(aril_store_put(s, &item, 1, NULL), ARIL_OK);
    assert_value(s, TEXT("p"), (aril_bytes){ v.data, 100000 });
    pattern_done(v);
    case_close(s);
}

static void any_bytes_may_be_a_name(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    static const char *const awkward[] = {
        ".",   "..",  "/",        "/etc/passwd", "../../x",   "a/b",   "a//b", "a\\b",
        "a b", " ",   "\n",       "\r\n",        "\t",        "%",     "%00",  "%2e%2e",
        "*",   "a*",  "?",        "[a]",         "{a}",       "{a}b",  "'",    "''",
        "\"",  ";--", "$1",       "?1",          "a?b#c&d=e", "CON",   "nul",  ".tmp",
        "-",   "~",   "\xc3\xa4", "\xc3",        "\xff\xfe",  "a\xff", "A",    "aA",
        "Aa",  "AA",  "aa",
    };
    for (size_t i = 0; i < COUNT(awkward); i++) {
        put(s, text_bytes(awkward[i]), numbered("value ", (unsigned)i));
    }
    uint8_t one_byte[256];
    for (unsigned i = 0; i < 256; i++) {
        one_byte[i] = (uint8_t)i;
        if (memchr("./ \n\t%*?'\"-~A\xc3", (int)i, 14) == NULL || i == 0) {
            put(s, (aril_bytes){ &one_byte[i], 1 }, numbered("byte ", i));
        }
    }
    /* They differ only in what follows a NUL, or in how many there are. */
    put(s, (aril_bytes){ (const uint8_t *)"x\0a", 3 }, TEXT("nul a"));
    put(s, (aril_bytes){ (const uint8_t *)"x\0b", 3 }, TEXT("nul b"));
    put(s, (aril_bytes){ (const uint8_t *)"x\0\0", 3 }, TEXT("nul nul"));
    put(s, (aril_bytes){ (const uint8_t *)"x\0", 2 }, TEXT("nul"));

    for (size_t i = 0; i < COUNT(awkward); i++) {
        assert_value(s, text_bytes(awkward[i]), numbered("value ", (unsigned)i));
    }
    for (unsigned i = 0; i < 256; i++) {
        if (memchr("./ \n\t%*?'\"-~A\xc3", (int)i, 14) == NULL || i == 0) {
            assert_value(s, (aril_bytes){ &one_byte[i], 1 }, numbered("byte ", i));
        }
    }
    assert_value(s, (aril_bytes){ (const uint8_t *)"x\0a", 3 }, TEXT("nul a"));
    assert_value(s, (aril_bytes){ (const uint8_t *)"x\0b", 3 }, TEXT("nul b"));
    assert_value(s, (aril_bytes){ (const uint8_t *)"x\0\0", 3 }, TEXT("nul nul"));
    assert_value(s, (aril_bytes){ (const uint8_t *)"x\0", 2 }, TEXT("nul"));
    assert_status(try_delete(s, (aril_bytes){ (const uint8_t *)"x\0", 2 }), ARIL_OK);
    assert_value(s, (aril_bytes){ (const uint8_t *)"x\0a", 3 }, TEXT("nul a"));
    case_close(s);
}

static void the_longest_names_are_told_apart(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    uint8_t name[ARIL_STORE_NAME_BYTES_MAX + 1];
    fill_pattern(name, sizeof name, 5);
    static const size_t lengths[] = {
        ARIL_STORE_NAME_BYTES_MAX, ARIL_STORE_NAME_BYTES_MAX - 1, 512, 256, 255, 254, 129
    };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        put(s, (aril_bytes){ name, lengths[i] }, numbered("v", (unsigned)i));
    }
    uint8_t other[ARIL_STORE_NAME_BYTES_MAX];
    memcpy(other, name, sizeof other);
    other[sizeof other - 1] ^= 1;
    assert_nothing(s, (aril_bytes){ other, sizeof other });
    put(s, (aril_bytes){ other, sizeof other }, TEXT("other"));
    for (size_t i = 0; i < COUNT(lengths); i++) {
        assert_value(s, (aril_bytes){ name, lengths[i] }, numbered("v", (unsigned)i));
    }
    assert_value(s, (aril_bytes){ other, sizeof other }, TEXT("other"));
    const aril_bytes too_long = { name, sizeof name };
    const aril_bytes empty = { name, 0 };
    assert_status(try_put(s, too_long, TEXT("x")), ARIL_E_USAGE_RANGE);
    assert_status(try_put(s, empty, TEXT("x")), ARIL_E_USAGE_RANGE);
    case_close(s);
}

/* Whoever has no room learns how much it takes. */
static void a_buffer_that_is_too_small_is_left_alone(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    static const size_t lengths[] = { 1, 100, 5000, 200000 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const size_t len = lengths[i];
        const aril_bytes v = pattern(len, i);
        put(s, TEXT("v"), v);
        const size_t caps[] = { 0, len / 2, len - 1, len, len + 1 };
        for (size_t j = 0; j < COUNT(caps); j++) {
            struct guarded g;
            guarded_init(&g, caps[j]);
            aril_store_item item = { .name = TEXT("v"), .buffer = { g.data, g.len } };
            assert_status(aril_store_get(s, &item, 1, NULL), ARIL_OK);
            assert_int_equal(item.len, len);
            guarded_check(&g);
            if (caps[j] < len) {
                assert_status(item.status, ARIL_E_USAGE_TOO_SMALL);
                assert_null(item.data);
                assert_true(is_filled(g.data, g.len, GUARD_FILLER));
            } else {
                assert_status(item.status, ARIL_OK);
                assert_ptr_equal(item.data, g.data);
                assert_memory_equal(g.data, v.data, len);
                assert_true(is_filled(g.data + len, g.len - len, GUARD_FILLER));
            }
            guarded_done(&g);
        }
        pattern_done(v);
    }
    case_close(s);
}

struct host {
    uint8_t *memory;
    size_t asked;
    unsigned calls;
};

static uint8_t *host_gives(void *user, size_t len)
{
    struct host *const h = user;
    h->asked = len;
    h->calls++;
    return h->memory;
}

static void room_is_asked_when_the_buffer_does_not_do(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    static const size_t lengths[] = { 10, 150000 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        const size_t len = lengths[i];
        const aril_bytes v = pattern(len, 9);
        put(s, TEXT("v"), v);
        struct guarded g;
        guarded_init(&g, len);
        uint8_t small[9] = { 0 };
        struct host host = { .memory = g.data };
        aril_store_item item = {
            .name = TEXT("v"), .buffer = { small, sizeof small }, .room = host_gives, .user = &host
        };
        assert_status(aril_store_get(s, &item, 1, NULL), ARIL_OK);
        assert_status(item.status, ARIL_OK);
        assert_int_equal(host.calls, 1);
        assert_int_equal(host.asked, len);
        assert_ptr_equal(item.data, g.data);
        assert_int_equal(item.len, len);
        assert_memory_equal(g.data, v.data, len);
        guarded_check(&g);
        assert_true(is_filled(small, sizeof small, 0));

        /* It says no: the value is passed over, and what follows is not disturbed. */
        host = (struct host){ .memory = NULL };
        assert_status(aril_store_get(s, &item, 1, NULL), ARIL_OK);
        assert_status(item.status, ARIL_E_LIMIT);
        assert_null(item.data);
        assert_int_equal(host.calls, 1);
        assert_value(s, TEXT("v"), v);

        /* A buffer that does is used. */
        item.buffer = (aril_span){ g.data, g.len };
        assert_status(aril_store_get(s, &item, 1, NULL), ARIL_OK);
        assert_status(item.status, ARIL_OK);
        assert_int_equal(host.calls, 1);
        assert_ptr_equal(item.data, g.data);
        guarded_done(&g);
        pattern_done(v);
    }
    case_close(s);
}

static void absent_only_does_not_replace(void **state)
{
    (void)state;
    aril_store *const s = case_open();
    const aril_store_item item = { .name = TEXT("nx"), .absent_only = 1 };
    assert_status(try_put_item(s, item, TEXT("first")), ARIL_OK);
    assert_status(try_put_item(s, item, TEXT("second")), ARIL_E_EXISTS);
    assert_value(s, TEXT("nx"), TEXT("first"));
    assert_status(try_delete(s, TEXT("nx")), ARIL_OK);
    assert_status(try_put_item(s, item, TEXT("third")), ARIL_OK);
    assert_value(s, TEXT("nx"), TEXT("third"));
    put(s, TEXT("empty"), TEXT(""));
    const aril_store_item other = { .name = TEXT("empty"), .absent_only = 1 };
    assert_status(try_put_item(s, other, TEXT("x")), ARIL_E_EXISTS);
    assert_value(s, TEXT("empty"), TEXT(""));
    case_close(s);
}

static void another_store_sees_the_same_values(void **state)
{
    (void)state;
    aril_store *const a = case_open();
    aril_store *const b = case_open();
    put(a, TEXT("n"), TEXT("by a"));
    assert_value(b, TEXT("n"), TEXT("by a"));
    put(b, TEXT("n"), TEXT("by b"));
    assert_value(a, TEXT("n"), TEXT("by b"));
    assert_status(try_delete(a, TEXT("n")), ARIL_OK);
    assert_nothing(b, TEXT("n"));
    const aril_store_item item = { .name = TEXT("n"), .absent_only = 1 };
    assert_status(try_put_item(b, item, TEXT("1")), ARIL_OK);
    assert_status(try_put_item(a, item, TEXT("2")), ARIL_E_EXISTS);
    case_close(a);
    assert_value(b, TEXT("n"), TEXT("1"));
    case_close(b);
}

static void values_survive_closing(void **state)
{
    (void)state;
    aril_store *s = case_open();
    const aril_bytes v = pattern(200000, 4);
    put(s, TEXT("n"), v);
    put(s, TEXT("gone"), TEXT("x"));
    assert_status(try_delete(s, TEXT("gone")), ARIL_OK);
    case_close(s);
    s = case_open();
    assert_value(s, TEXT("n"), v);
    assert_nothing(s, TEXT("gone"));
    case_close(s);
    pattern_done(v);
}

const struct cache_store_case cache_store_value_cases[] = {
    { "it_tells_what_it_is", it_tells_what_it_is, 0, 0 },
    { "what_was_put_is_got_until_it_is_deleted", what_was_put_is_got_until_it_is_deleted, 0, 0 },
    { "a_put_replaces_the_value_whole", a_put_replaces_the_value_whole, 0, 0 },
    { "an_empty_value_is_a_value", an_empty_value_is_a_value, 0, 0 },
    { "lengths_around_powers_of_two_are_kept", lengths_around_powers_of_two_are_kept, 0, 0 },
    { "the_longest_value_is_kept", the_longest_value_is_kept, 0, 0 },
    { "parts_are_put_one_after_the_other", parts_are_put_one_after_the_other, 0, 0 },
    { "any_bytes_may_be_a_name", any_bytes_may_be_a_name, 0, 0 },
    { "the_longest_names_are_told_apart", the_longest_names_are_told_apart, 0, 0 },
    { "a_buffer_that_is_too_small_is_left_alone", a_buffer_that_is_too_small_is_left_alone, 0, 0 },
    { "room_is_asked_when_the_buffer_does_not_do", room_is_asked_when_the_buffer_does_not_do, 0,
      0 },
    { "absent_only_does_not_replace", absent_only_does_not_replace, 0, 0 },
    { "another_store_sees_the_same_values", another_store_sees_the_same_values, 0, 0 },
    { "values_survive_closing", values_survive_closing, 0, 1 },
    { NULL, NULL, 0, 0 },
};
