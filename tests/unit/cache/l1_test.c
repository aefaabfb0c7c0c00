/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/l1.h"
#include "fixture.h"
#include "l1_use.h"
#include "runtime.h"
#include <stdlib.h>
#include <string.h>

#define MIB ((uint64_t)1 << 20)

static struct arili_l1 *l1;

static int setup(void **state)
{
    (void)state;
    assert_status(arili_l1_new(rt, 4 * MIB, 4, &l1), ARIL_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    l1_check_bytes(l1, 4 * MIB);
    arili_l1_free(l1);
    return 0;
}

static void sizes_outside_the_range_are_refused(void **state)
{
    (void)state;
    static const size_t bad_shards[] = { 0, 3, 12, 255, 257, 512 };
    struct arili_l1 *none = NULL;
    for (size_t i = 0; i < COUNT(bad_shards); i++) {
        assert_status(arili_l1_new(rt, MIB, bad_shards[i], &none), ARIL_E_USAGE_RANGE);
    }
    assert_status(arili_l1_new(rt, 65535, 1, &none), ARIL_E_USAGE_RANGE);
    assert_null(none);
    assert_status(arili_l1_new(rt, 65536, 256, &none), ARIL_OK);
    assert_int_equal(none->shard_count, 1);
    l1_put(none, 1, 1000, 1);
    assert_true(l1_holds(none, 1, 1000, 1));
    l1_check_bytes(none, 65536);
    arili_l1_free(none);
    arili_l1_free(NULL);
}

static void what_was_put_is_a_hit_with_all_that_was_said_of_it(void **state)
{
    (void)state;
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(1, text);
    const struct arili_l1_want want = l1_want();
    const struct arili_l1_meta meta = l1_meta();
    uint8_t value[100], out[200], *data = NULL;
    const struct arili_l1_into into = { .buffer = { out, sizeof out } };
    struct arili_l1_meta got;
    size_t len = 0;
    fill_pattern(value, sizeof value, 7);
    memset(out, GUARD_FILLER, sizeof out);
    assert_status(arili_l1_get(l1, &key, &want, &into, &data, &len, &got), ARIL_E_NOT_FOUND);
    assert_false(arili_l1_has(l1, &key, &want));
    assert_null(data);
    assert_true(is_filled(out, sizeof out, GUARD_FILLER));
    arili_l1_put(l1, &key, (aril_bytes){ value, sizeof value }, &meta);
    assert_true(arili_l1_has(l1, &key, &want));
    assert_status(arili_l1_get(l1, &key, &want, &into, &data, &len, &got), ARIL_OK);
    assert_ptr_equal(data, out);
    assert_int_equal(len, sizeof value);
    assert_memory_equal(out, value, sizeof value);
    assert_true(is_filled(out + len, sizeof out - len, GUARD_FILLER));
    assert_int_equal(got.created_ms, meta.created_ms);
    assert_int_equal(got.not_after_ms, meta.not_after_ms);
    assert_int_equal(got.generation, meta.generation);
    assert_int_equal(got.until_ns, meta.until_ns);
    assert_int_equal(got.stale_ns, meta.stale_ns);
    assert_int_equal(got.epoch, meta.epoch);
    assert_int_equal(got.format, meta.format);
    assert_true(got.old_key);
}

static void a_value_lies_in_memory_as_ciphertext(void **state)
{
    (void)state;
    l1_put(l1, 1, 256, 9);
    struct arili_l1_entry *const e = l1_peek(l1, 1);
    uint8_t plain[256];
    size_t same = 0;
    fill_pattern(plain, sizeof plain, 9);
    for (size_t i = 0; i < sizeof plain; i++) {
        same += plain[i] == arili_l1_body(e)[i];
    }
    assert_true(same < 30); /* one is expected */
}

static void the_last_put_wins(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        l1_put(l1, 1, 100 + i, i);
        l1_put(l1, 2, 50, 1);
    }
    assert_true(l1_holds(l1, 1, 119, 19));
    assert_true(l1_holds(l1, 2, 50, 1));
    assert_int_equal(arili_l1_get_stats(l1).entries, 2);
    assert_int_equal(arili_l1_get_stats(l1).evictions, 0);
}

static void what_was_dropped_is_gone_and_the_rest_stays(void **state)
{
    (void)state;
    char text[L1_NAME_TEXT];
    for (unsigned n = 0; n < 100; n++) {
        l1_put(l1, n, 64, n);
    }
    const aril_cache_key key = l1_name(50, text);
    (void)arili_l1_drop(l1, &key);
    (void)arili_l1_drop(l1, &key);
    for (unsigned n = 0; n < 100; n++) {
        assert_int_equal(l1_holds(l1, n, 64, n), n != 50);
    }
    arili_l1_clear(l1);
    for (unsigned n = 0; n < 100; n++) {
        assert_false(l1_has(l1, n));
    }
    assert_int_equal(arili_l1_get_stats(l1).entries, 0);
    l1_put(l1, 50, 64, 1);
    assert_true(l1_holds(l1, 50, 64, 1));
}

/* --- Names --------------------------------------------------------------------------------- */

static void put_text(const aril_cache_key *key, uint8_t value)
{
    const struct arili_l1_meta meta = l1_meta();
    arili_l1_put(l1, key, (aril_bytes){ &value, 1 }, &meta);
}

static int get_text(const aril_cache_key *key)
{
    const struct arili_l1_want want = l1_want();
    uint8_t out = 0, *data;
    const struct arili_l1_into into = { .buffer = { &out, 1 } };
    struct arili_l1_meta meta;
    size_t len;
    return arili_l1_get(l1, key, &want, &into, &data, &len, &meta) == ARIL_OK ? out : -1;
}

/* Each part counts, and where one ends and the next begins. */
static void names_that_differ_in_one_part_are_different(void **state)
{
    (void)state;
    const aril_cache_key keys[] = {
        { TEXT("t"), TEXT("s"), TEXT("k"), TEXT("f"), 1, ARIL_CACHE_HASH_FIELD },
        { TEXT("u"), TEXT("s"), TEXT("k"), TEXT("f"), 1, ARIL_CACHE_HASH_FIELD },
        { TEXT("t"), TEXT("u"), TEXT("k"), TEXT("f"), 1, ARIL_CACHE_HASH_FIELD },
        { TEXT("t"), TEXT("s"), TEXT("u"), TEXT("f"), 1, ARIL_CACHE_HASH_FIELD },
        { TEXT("t"), TEXT("s"), TEXT("k"), TEXT("u"), 1, ARIL_CACHE_HASH_FIELD },
        { TEXT("t"), TEXT("s"), TEXT("k"), TEXT("f"), 2, ARIL_CACHE_HASH_FIELD },
        { TEXT("t"), TEXT("s"), TEXT("k"), TEXT("f"), 1, ARIL_CACHE_SET_MEMBER },
        { TEXT("ts"), TEXT(""), TEXT("k"), TEXT("f"), 1, ARIL_CACHE_HASH_FIELD },
        { TEXT("t"), TEXT("sk"), TEXT(""), TEXT("f"), 1, ARIL_CACHE_HASH_FIELD },
        { TEXT("t"), TEXT("s"), TEXT("kf"), TEXT(""), 1, ARIL_CACHE_HASH_FIELD },
        { TEXT("t"), TEXT("s"), TEXT(""), TEXT("kf"), 1, ARIL_CACHE_HASH_FIELD },
        { TEXT("t"), TEXT(""), TEXT("s"), TEXT("kf"), 1, ARIL_CACHE_HASH_FIELD },
    };
    for (size_t i = 0; i < COUNT(keys); i++) {
        put_text(&keys[i], (uint8_t)(i + 1));
    }
    assert_int_equal(arili_l1_get_stats(l1).entries, COUNT(keys));
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_int_equal(get_text(&keys[i]), i + 1);
    }
}

static void names_of_every_length_are_found_again(void **state)
{
    (void)state;
    uint8_t bytes[80];
    fill_pattern(bytes, sizeof bytes, 3);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        const aril_cache_key key = { .tenant = TEXT("t"), .key = { bytes, len } };
        put_text(&key, (uint8_t)(len + 1));
    }
    for (size_t len = 0; len <= sizeof bytes; len++) {
        const aril_cache_key key = { .tenant = TEXT("t"), .key = { bytes, len } };
        assert_int_equal(get_text(&key), len + 1);
        for (size_t at = 0; at < len; at++) {
            bytes[at] ^= 1;
            assert_int_equal(get_text(&key), -1);
            bytes[at] ^= 1;
        }
    }
}

static void a_name_of_a_mebibyte_is_kept_and_a_longer_one_is_not(void **state)
{
    (void)state;
    struct arili_l1 *const small = l1;
    assert_status(arili_l1_new(rt, 16 * MIB, 1, &l1), ARIL_OK);
    uint8_t *const bytes = malloc(MIB + 1);
    assert_non_null(bytes);
    fill_pattern(bytes, MIB + 1, 4);
    aril_cache_key key = { .tenant = TEXT("t"), .key = { bytes, MIB }, .field = { bytes, MIB } };
    put_text(&key, 1);
    assert_int_equal(get_text(&key), 1);
    bytes[MIB - 1] ^= 1;
    assert_int_equal(get_text(&key), -1);
    key.key.len = MIB + 1;
    put_text(&key, 2);
    assert_int_equal(get_text(&key), -1);
    assert_int_equal(arili_l1_get_stats(l1).entries, 1);
    free(bytes);
    arili_l1_free(l1);
    l1 = small;
}

/* Under seed 0 the hash is the sum of the words of a name. */
static void names_whose_hashes_collide_are_told_apart(void **state)
{
    (void)state;
    struct arili_l1 *const seeded = l1;
    const struct arili_l1_options options = { .fixed_seed = true };
    assert_status(arili_l1_new_with(rt, MIB, 4, &options, &l1), ARIL_OK);
    const aril_cache_key keys[] = {
        { .tenant = TEXT("t"), .key = TEXT("aaaaaaaabbbbbbbbcccccccc") },
        { .tenant = TEXT("t"), .key = TEXT("bbbbbbbbaaaaaaaacccccccc") },
        { .tenant = TEXT("t"), .key = TEXT("ccccccccaaaaaaaabbbbbbbb") },
        { .tenant = TEXT("t"), .key = TEXT("ccccccccbbbbbbbbaaaaaaaa") },
    };
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_int_equal(arili_packed_hash(0, &keys[i]), arili_packed_hash(0, &keys[0]));
        assert_int_equal(get_text(&keys[i]), -1);
        put_text(&keys[i], (uint8_t)(i + 1));
    }
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_int_equal(get_text(&keys[i]), i + 1);
    }
    (void)arili_l1_drop(l1, &keys[2]);
    for (size_t i = 0; i < COUNT(keys); i++) {
        assert_int_equal(get_text(&keys[i]), i == 2 ? -1 : (int)i + 1);
    }
    arili_l1_free(l1);
    l1 = seeded;
}

/* --- What a hit has to satisfy ------------------------------------------------------------- */

static aril_status get_wanting(uint64_t now_ns, uint64_t generation, uint64_t epoch)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(1, text);
    const struct arili_l1_want want = { now_ns, generation, epoch };
    struct arili_l1_meta meta = l1_meta();
    uint8_t out[8], *data;
    const struct arili_l1_into into = { .buffer = { out, sizeof out } };
    size_t len;
    meta.until_ns = 100;
    arili_l1_put(l1, &key, TEXT("value"), &meta);
    const bool has = arili_l1_has(l1, &key, &want);
    arili_l1_put(l1, &key, TEXT("value"), &meta);
    memset(out, GUARD_FILLER, sizeof out);
    const aril_status st = arili_l1_get(l1, &key, &want, &into, &data, &len, &meta);
    assert_int_equal(has, st == ARIL_OK);
    assert_int_equal(arili_l1_get_stats(l1).entries, st == ARIL_OK ? 1 : 0);
    assert_true(st == ARIL_OK || is_filled(out, sizeof out, GUARD_FILLER));
    return st;
}

static void an_entry_that_is_over_is_a_miss_and_leaves(void **state)
{
    (void)state;
    assert_status(get_wanting(99, 5, 3), ARIL_OK);
    assert_status(get_wanting(0, 4, 3), ARIL_OK);
    assert_status(get_wanting(100, 5, 3), ARIL_E_NOT_FOUND);
    assert_status(get_wanting(UINT64_MAX, 5, 3), ARIL_E_NOT_FOUND);
    assert_status(get_wanting(99, 6, 3), ARIL_E_NOT_FOUND);
    assert_status(get_wanting(99, 5, 2), ARIL_E_NOT_FOUND);
    assert_status(get_wanting(99, 5, 4), ARIL_E_NOT_FOUND);
}

/* --- Room ---------------------------------------------------------------------------------- */

static uint8_t *give(void *user, size_t len)
{
    struct guarded *const g = user;
    assert_int_equal(len, g->len);
    return g->data;
}

static uint8_t *give_none(void *user, size_t len)
{
    *(size_t *)user = len;
    return NULL;
}

static void too_small_a_buffer_is_left_alone(void **state)
{
    (void)state;
    l1_put(l1, 1, 100, 1);
    for (size_t cap = 0; cap < 100; cap++) {
        struct guarded g;
        size_t len = 0;
        guarded_init(&g, 100);
        assert_status(l1_get(l1, 1, g.data, cap, &len), ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal(len, 100);
        assert_true(is_filled(g.data, 100, GUARD_FILLER));
        guarded_check(&g);
        guarded_done(&g);
    }
    assert_true(l1_holds(l1, 1, 100, 1));
}

static void room_is_asked_for_when_the_buffer_is_too_small(void **state)
{
    (void)state;
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(1, text);
    const struct arili_l1_want want = l1_want();
    struct arili_l1_meta meta;
    struct guarded g;
    uint8_t little[10], *data = NULL;
    size_t len = 0, asked = 0;
    l1_put(l1, 1, 100, 1);
    guarded_init(&g, 100);
    struct arili_l1_into into = { { little, sizeof little }, give, &g };
    assert_status(arili_l1_get(l1, &key, &want, &into, &data, &len, &meta), ARIL_OK);
    assert_ptr_equal(data, g.data);
    assert_int_equal(len, 100);
    assert_true(is_pattern(g.data, 100, 1));
    guarded_check(&g);
    guarded_done(&g);
    into = (struct arili_l1_into){ { little, sizeof little }, give_none, &asked };
    data = NULL;
    assert_status(arili_l1_get(l1, &key, &want, &into, &data, &len, &meta), ARIL_E_LIMIT);
    assert_int_equal(asked, 100);
    assert_null(data);
    assert_true(l1_has(l1, 1));
}

static void an_empty_value_is_a_value(void **state)
{
    (void)state;
    size_t len = 7;
    l1_put(l1, 1, 0, 1);
    assert_true(l1_has(l1, 1));
    assert_status(l1_get(l1, 1, NULL, 0, &len), ARIL_OK);
    assert_int_equal(len, 0);
}

/* --- Tickets ------------------------------------------------------------------------------- */

static bool put_if(uint64_t n, uint64_t ticket, uint64_t seed)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(n, text);
    const struct arili_l1_meta meta = l1_meta();
    uint8_t value[32];
    fill_pattern(value, sizeof value, seed);
    return arili_l1_put_if(l1, &key, (aril_bytes){ value, sizeof value }, &meta, ticket);
}

static void a_put_with_a_ticket_gives_up_after_any_change(void **state)
{
    (void)state;
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(1, text);
    uint64_t ticket = arili_l1_ticket(l1, &key);
    assert_true(put_if(1, ticket, 1));
    assert_true(l1_holds(l1, 1, 32, 1));
    assert_false(put_if(1, ticket, 2)); /* it was used */
    assert_true(l1_holds(l1, 1, 32, 1));

    ticket = arili_l1_ticket(l1, &key);
    assert_true(l1_holds(l1, 1, 32, 1)); /* a hit is no change */
    assert_true(put_if(1, ticket, 3));
    assert_true(l1_holds(l1, 1, 32, 3));

    ticket = arili_l1_ticket(l1, &key);
    l1_put(l1, 1, 32, 4);
    assert_false(put_if(1, ticket, 5));
    assert_true(l1_holds(l1, 1, 32, 4));

    ticket = arili_l1_ticket(l1, &key);
    (void)arili_l1_drop(l1, &key);
    assert_false(put_if(1, ticket, 6));
    assert_false(l1_has(l1, 1));

    ticket = arili_l1_ticket(l1, &key);
    (void)arili_l1_drop(l1, &key); /* of a name that is not there: the store may have had it */
    assert_false(put_if(1, ticket, 7));

    ticket = arili_l1_ticket(l1, &key);
    arili_l1_clear(l1);
    assert_false(put_if(1, ticket, 8));
    assert_int_equal(arili_l1_get_stats(l1).entries, 0);
}

static void a_drop_gives_a_ticket_of_its_own(void **state)
{
    (void)state;
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(1, text);
    const uint64_t first = arili_l1_drop(l1, &key);
    const uint64_t second = arili_l1_drop(l1, &key);
    assert_false(put_if(1, first, 1));
    assert_true(put_if(1, second, 2));
    assert_true(l1_holds(l1, 1, 32, 2));
}

/* Counters are shared, so now and then; not for most. */
static void changes_of_other_names_rarely_count(void **state)
{
    (void)state;
    unsigned kept = 0;
    for (unsigned n = 0; n < 400; n++) {
        char text[L1_NAME_TEXT];
        const aril_cache_key key = l1_name(n, text);
        const uint64_t ticket = arili_l1_ticket(l1, &key);
        l1_put(l1, n + 1000, 10, 1);
        kept += put_if(n, ticket, 1);
    }
    assert_true(kept > 350);
}

/* A value that cannot be kept must not leave an older one behind that is wrong now. */
static void a_value_that_does_not_fit_ends_the_older_one(void **state)
{
    (void)state;
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(1, text);
    const struct arili_l1_meta meta = l1_meta();
    const uint64_t ticket = arili_l1_ticket(l1, &key);
    l1_put(l1, 1, 32, 1);
    l1_put(l1, 1, 2 * MIB, 2);
    assert_false(l1_has(l1, 1));
    l1_put(l1, 1, 32, 1);
    /* Nothing reads so much: the length alone refuses it. */
    arili_l1_put(l1, &key, (aril_bytes){ (const uint8_t *)text, SIZE_MAX }, &meta);
    assert_false(l1_has(l1, 1));
    assert_false(put_if(1, ticket, 3));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(sizes_outside_the_range_are_refused),
        CASE(what_was_put_is_a_hit_with_all_that_was_said_of_it),
        CASE(a_value_lies_in_memory_as_ciphertext),
        CASE(the_last_put_wins),
        CASE(what_was_dropped_is_gone_and_the_rest_stays),
        CASE(names_that_differ_in_one_part_are_different),
        CASE(names_of_every_length_are_found_again),
        CASE(a_name_of_a_mebibyte_is_kept_and_a_longer_one_is_not),
        CASE(names_whose_hashes_collide_are_told_apart),
        CASE(an_entry_that_is_over_is_a_miss_and_leaves),
        CASE(too_small_a_buffer_is_left_alone),
        CASE(room_is_asked_for_when_the_buffer_is_too_small),
        CASE(an_empty_value_is_a_value),
        CASE(a_put_with_a_ticket_gives_up_after_any_change),
        CASE(a_drop_gives_a_ticket_of_its_own),
        CASE(changes_of_other_names_rarely_count),
        CASE(a_value_that_does_not_fit_ends_the_older_one),
    };
    return cmocka_run_group_tests_name("L1", tests, runtime_setup, runtime_teardown);
}
