/* SPDX-License-Identifier: Apache-2.0 */
/* What L1 keeps when not all fits: bytes, order, and the same answers as a plain map. */
#include "fixture.h"
#include "l1_use.h"
#include "runtime.h"
#include "team.h"
#include <stdlib.h>
#include <string.h>

static struct arili_l1 *l1;

/* The seed is fixed, so that each run is the same. */
static void make(uint64_t bytes, size_t shards)
{
    const struct arili_l1_options options = { .fixed_seed = true, .seed = 0x123456789abcdef };
    assert_status(arili_l1_new_with(rt, bytes, shards, &options, &l1), ARIL_OK);
}

/* --- Bytes --------------------------------------------------------------------------------- */

/* The value that fills a shard to its last byte stays, one byte more does not. */
static void the_bound_is_exact_to_the_byte(void **state)
{
    (void)state;
    make(100000, 1);
    const uint64_t budget = l1->shards[0].bytes_max;
    assert_int_equal(arili_l1_get_stats(l1).bytes + budget, 100000);
    const size_t fits = (size_t)budget - l1_entry_bytes(1, 0);
    l1_put(l1, 1, fits, 1);
    assert_true(l1_holds(l1, 1, fits, 1));
    assert_int_equal(arili_l1_get_stats(l1).bytes, 100000);
    l1_put(l1, 2, 0, 2); /* now one has to go */
    assert_false(l1_has(l1, 1));
    assert_true(l1_has(l1, 2));
    l1_put(l1, 1, fits + 1, 1);
    assert_false(l1_has(l1, 1));
    assert_true(l1_has(l1, 2)); /* what can not fit at all costs nobody a place */
    l1_put(l1, 2, fits - l1_entry_bytes(3, 0), 2);
    l1_put(l1, 3, 0, 3);
    assert_true(l1_has(l1, 2) && l1_has(l1, 3));
    assert_int_equal(arili_l1_get_stats(l1).bytes, 100000);
    l1_check_bytes(l1, 100000);
    arili_l1_free(l1);
}

static void the_bound_holds_whatever_the_sizes(void **state)
{
    (void)state;
    static const uint64_t bounds[] = { 65536, 65537, 200001, 1000000, 5000000 };
    uint64_t random = 1;
    for (size_t i = 0; i < COUNT(bounds); i++) {
        make(bounds[i], (size_t)1 << i);
        for (unsigned k = 0; k < 5000; k++) {
            const uint64_t r = team_random(&random);
            const size_t len = r % 7 == 0 ? r / 7 % 30000 : r / 7 % 500;
            l1_put(l1, r % 4000, len, r);
            if (k % 100 == 0) {
                l1_check_bytes(l1, bounds[i]);
            }
            (void)l1_has(l1, r / 3 % 4000);
        }
        l1_check_bytes(l1, bounds[i]);
        assert_true(arili_l1_get_stats(l1).evictions > 0);
        arili_l1_free(l1);
    }
}

/* --- Order --------------------------------------------------------------------------------- */

#define HOT       500u
#define SCAN      100000u
#define VALUE_LEN 64u

/* Room for some 2000 entries. */
static void make_for_hot_set(void)
{
    make(2000 * (l1_entry_bytes(SCAN, VALUE_LEN) + 64), 4);
}

static unsigned count_hot(void)
{
    unsigned count = 0;
    for (unsigned n = 0; n < HOT; n++) {
        count += l1_has(l1, n);
    }
    return count;
}

static void a_scan_does_not_wash_the_hot_set_out(void **state)
{
    (void)state;
    make_for_hot_set();
    for (unsigned n = 0; n < HOT; n++) {
        l1_put(l1, n, VALUE_LEN, n);
    }
    for (unsigned n = 0; n < HOT; n++) {
        assert_true(l1_holds(l1, n, VALUE_LEN, n));
    }
    for (unsigned n = 0; n < SCAN; n++) {
        l1_put(l1, HOT + n, VALUE_LEN, n);
    }
    assert_int_equal(count_hot(), HOT);
    assert_true(arili_l1_get_stats(l1).evictions > SCAN - 2500);
    arili_l1_free(l1);
}

/* The control of the test above: what nobody asked for leaves. */
static void what_nobody_asked_for_leaves_first(void **state)
{
    (void)state;
    make_for_hot_set();
    for (unsigned n = 0; n < HOT; n++) {
        l1_put(l1, n, VALUE_LEN, n);
    }
    for (unsigned n = 0; n < SCAN; n++) {
        l1_put(l1, HOT + n, VALUE_LEN, n);
    }
    assert_int_equal(count_hot(), 0);
    arili_l1_free(l1);
}

static void a_hot_set_gives_way_to_another_one(void **state)
{
    (void)state;
    make_for_hot_set();
    for (unsigned n = 0; n < 2000; n++) {
        l1_put(l1, n, VALUE_LEN, n);
        assert_true(l1_holds(l1, n, VALUE_LEN, n));
    }
    for (unsigned turn = 0; turn < 8; turn++) {
        for (unsigned n = 10000; n < 11500; n++) {
            if (!l1_holds(l1, n, VALUE_LEN, n)) {
                l1_put(l1, n, VALUE_LEN, n);
            }
        }
    }
    unsigned kept = 0;
    for (unsigned n = 10000; n < 11500; n++) {
        kept += l1_has(l1, n);
    }
    assert_true(kept > 1400);
    arili_l1_free(l1);
}

/* Comes back soon after it was evicted: it was wanted, and goes to the main queue at once. */
static void what_comes_back_soon_is_kept_longer(void **state)
{
    (void)state;
    make_for_hot_set();
    for (unsigned n = 0; n < 4000; n++) {
        l1_put(l1, n, VALUE_LEN, n);
    }
    assert_false(l1_has(l1, 1000));
    l1_put(l1, 1000, VALUE_LEN, 1);
    assert_true(l1_peek(l1, 1000)->in_main);
    l1_put(l1, 500000, VALUE_LEN, 1);
    assert_false(l1_peek(l1, 500000)->in_main);
    arili_l1_clear(l1);
    l1_put(l1, 1001, VALUE_LEN, 1);
    assert_true(l1_peek(l1, 1001)->in_main);
    l1_put(l1, 1001, VALUE_LEN, 2); /* a new value of the same name keeps its place */
    assert_true(l1_peek(l1, 1001)->in_main);
    arili_l1_free(l1);
}

/* --- A plain map --------------------------------------------------------------------------- */

#define NAMES      600u
#define OPERATIONS 100000u

struct model {
    bool there;
    size_t len;
    uint64_t seed, until_ns, generation, ticket;
};

static void put_as(struct model *m, uint64_t n, uint64_t r, bool with_ticket)
{
    char text[L1_NAME_TEXT];
    uint8_t value[400];
    const aril_cache_key key = l1_name(n, text);
    struct arili_l1_meta meta = l1_meta();
    const struct model fresh = { .there = true,
                                 .len = r % sizeof value,
                                 .seed = r,
                                 .until_ns = 900 + r % 400,
                                 .generation = 4 + r % 5,
                                 .ticket = m->ticket };
    meta.until_ns = fresh.until_ns;
    meta.generation = fresh.generation;
    fill_pattern(value, fresh.len, fresh.seed);
    const aril_bytes bytes = { value, fresh.len };
    if (with_ticket) {
        if (arili_l1_put_if(l1, &key, bytes, &meta, m->ticket)) {
            *m = fresh;
        }
    } else {
        arili_l1_put(l1, &key, bytes, &meta);
        *m = fresh;
    }
}

/* A hit is what the map has. A miss is what the map has not, or what was evicted. */
static void get_as(struct model *m, uint64_t n, uint64_t r, unsigned *hits, unsigned *lost)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(n, text);
    const struct arili_l1_want want = { 850 + r % 120, 3 + r / 500 % 3, 3 };
    struct arili_l1_meta meta;
    uint8_t out[400], *data;
    const struct arili_l1_into into = { .buffer = { out, sizeof out } };
    size_t len;
    const aril_status st = arili_l1_get(l1, &key, &want, &into, &data, &len, &meta);
    const bool wanted = m->there && want.now_ns < m->until_ns && m->generation >= want.generation;
    if (st == ARIL_OK) {
        assert_true(wanted);
        assert_int_equal(len, m->len);
        assert_true(is_pattern(out, len, m->seed));
        assert_int_equal(meta.generation, m->generation);
        ++*hits;
    } else {
        assert_status(st, ARIL_E_NOT_FOUND);
        *lost += wanted;
        m->there = false;
    }
}

static void compare_with_map(uint64_t bytes, bool may_lose)
{
    static struct model map[NAMES];
    unsigned hits = 0, lost = 0;
    uint64_t random = bytes;
    memset(map, 0, sizeof map);
    make(bytes, 4);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        const uint64_t r = team_random(&random), n = r % NAMES, more = r / NAMES;
        char text[L1_NAME_TEXT];
        const aril_cache_key key = l1_name(n, text);
        switch (more % 16) {
        case 0:
            (void)arili_l1_drop(l1, &key);
            map[n].there = false;
            break;
        case 1:
            map[n].ticket = arili_l1_ticket(l1, &key);
            break;
        case 2:
        case 3:
            put_as(&map[n], n, more, true);
            break;
        case 4:
        case 5:
        case 6:
            put_as(&map[n], n, more, false);
            break;
        default:
            get_as(&map[n], n, more, &hits, &lost);
        }
        if (more / 16 % 5000 == 0) {
            arili_l1_clear(l1);
            for (unsigned k = 0; k < NAMES; k++) {
                map[k].there = false;
            }
        }
    }
    assert_true(hits > 5000);
    assert_int_equal(lost > 0, may_lose);
    l1_check_bytes(l1, bytes);
    arili_l1_free(l1);
}

static void with_room_it_answers_as_a_map(void **state)
{
    (void)state;
    compare_with_map((uint64_t)4 << 20, false);
}

static void without_room_it_forgets_and_never_lies(void **state)
{
    (void)state;
    compare_with_map((uint64_t)128 << 10, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bound_is_exact_to_the_byte),
        cmocka_unit_test(the_bound_holds_whatever_the_sizes),
        cmocka_unit_test(a_scan_does_not_wash_the_hot_set_out),
        cmocka_unit_test(what_nobody_asked_for_leaves_first),
        cmocka_unit_test(a_hot_set_gives_way_to_another_one),
        cmocka_unit_test(what_comes_back_soon_is_kept_longer),
        cmocka_unit_test(with_room_it_answers_as_a_map),
        cmocka_unit_test(without_room_it_forgets_and_never_lies),
    };
    return cmocka_run_group_tests_name("L1 bounds", tests, runtime_setup, runtime_teardown);
}
