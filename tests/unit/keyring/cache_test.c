/* SPDX-License-Identifier: Apache-2.0 */
/* The table of unwrapped keys, against a list that does the same slowly. */
#include "keyring/cache.h"
#include "fixture.h"
#include "runtime.h"
#include <stdlib.h>
#include <string.h>

#define IDS 200u
#define TTL 50u

static aril_tenant_key *keys[IDS];
static struct arili_cache cache;

static int setup(void **state)
{
    (void)state;
    for (unsigned i = 0; i < IDS; i++) {
        uint8_t id[32];
        uint8_t secret[32];
        fill_pattern(id, sizeof id, i % 3); /* many in one bucket */
        id[31] = (uint8_t)i;
        fill_pattern(secret, sizeof secret, 1000 + i);
        if (arili_tenant_key_new(rt, ARIL_KEY_DATA, TEXT("alice"), id, secret, &keys[i]) !=
            ARIL_OK) {
            return -1;
        }
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < IDS; i++) {
        /* whatever the cache held it has let go */
        if (atomic_load(&keys[i]->references) != 1) {
            return -1;
        }
        aril_tenant_key_put(keys[i]);
    }
    return 0;
}

static void put(unsigned i, uint64_t until)
{
    arili_cache_put(&cache, keys[i]->id, keys[i], NULL, until);
}

static bool has(unsigned i, uint64_t now)
{
    const struct arili_cache_entry *e = arili_cache_find(&cache, keys[i]->id, now);
    assert_true(e == NULL || (e->key == keys[i] && e->kek == NULL));
    return e != NULL;
}

static void an_empty_cache_finds_nothing(void **state)
{
    (void)state;
    arili_cache_init(&cache, 4);
    assert_false(has(0, 0));
    arili_cache_clear(&cache);
    assert_false(has(0, 0));
}

static void the_oldest_goes_when_it_is_full(void **state)
{
    (void)state;
    for (size_t max = 1; max < IDS; max = max * 3 + 1) {
        arili_cache_init(&cache, max);
        for (unsigned i = 0; i < IDS; i++) {
            put(i, 100);
            assert_true(has(i, 0));
            assert_int_equal(i < max || !has(i - (unsigned)max, 0), 1);
        }
        for (unsigned i = 0; i < IDS; i++) {
            assert_int_equal(has(i, 0), i >= IDS - max);
        }
        arili_cache_clear(&cache);
    }
}

static void an_entry_ends_at_its_time(void **state)
{
    (void)state;
    arili_cache_init(&cache, 10);
    put(1, 100);
    assert_true(has(1, 99));
    assert_int_equal(atomic_load(&keys[1]->references), 2);
    assert_false(has(1, 100));
    assert_int_equal(atomic_load(&keys[1]->references), 1);
    assert_false(has(1, 0));
    arili_cache_clear(&cache);
}

static void what_is_over_goes_though_nobody_looks_for_it(void **state)
{
    (void)state;
    arili_cache_init(&cache, 10);
    for (unsigned i = 0; i < 6; i++) {
        put(i, 100 + i);
    }
    arili_cache_expire(&cache, 102);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(atomic_load(&keys[i]->references), i <= 2 ? 1 : 2);
    }
    assert_true(has(5, 104)); /* finds one, drops the others */
    assert_int_equal(atomic_load(&keys[4]->references), 1);
    for (unsigned i = 0; i < 12; i++) { /* places are used again */
        put(i, 200);
    }
    assert_int_equal(atomic_load(&keys[1]->references), 1);
    assert_int_equal(atomic_load(&keys[2]->references), 2);
    arili_cache_clear(&cache);
}

static void a_second_put_replaces_the_first(void **state)
{
    (void)state;
    arili_cache_init(&cache, 2);
    put(1, 100);
    put(2, 100);
    put(1, 200); /* is the newest now */
    assert_int_equal(atomic_load(&keys[1]->references), 2);
    put(3, 100);
    assert_true(has(1, 150));
    assert_false(has(2, 0));
    assert_true(has(3, 0));
    arili_cache_clear(&cache);
}

static size_t count_of(const uint64_t *until)
{
    size_t count = 0;
    for (unsigned k = 0; k < IDS; k++) {
        count += until[k] != 0;
    }
    return count;
}

/* IDS: there is none. */
static unsigned oldest_of(const uint64_t *until, const uint64_t *order)
{
    unsigned oldest = IDS;
    for (unsigned k = 0; k < IDS; k++) {
        if (until[k] != 0 && (oldest == IDS || order[k] < order[oldest])) {
            oldest = k;
        }
    }
    return oldest;
}

static void it_does_what_a_slow_list_does(void **state)
{
    uint64_t until[IDS] = { 0 }; /* 0: not there */
    uint64_t order[IDS] = { 0 };
    uint64_t seed = 88172645463325252u;
    size_t max = 70;
    (void)state;
    arili_cache_init(&cache, max);
    for (uint64_t now = 1; now < 20000; now++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        const unsigned i = (unsigned)(seed >> 33) % IDS;
        if (seed % 5 < 2) {
            until[i] = 0;
            if (count_of(until) == max) {
                until[oldest_of(until, order)] = 0;
            }
            until[i] = now + TTL + seed % 7 * TTL;
            order[i] = now;
            put(i, until[i]);
        } else {
            const bool want = until[i] > now;
            for (;;) { /* the old end goes with every look */
                const unsigned oldest = oldest_of(until, order);
                if (oldest == IDS || until[oldest] > now) {
                    break;
                }
                until[oldest] = 0;
            }
            until[i] = want ? until[i] : 0;
            assert_int_equal(has(i, now), want);
        }
    }
    arili_cache_clear(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_cache_finds_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_goes_when_it_is_full, setup, teardown),
        cmocka_unit_test_setup_teardown(an_entry_ends_at_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_over_goes_though_nobody_looks_for_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_second_put_replaces_the_first, setup, teardown),
        cmocka_unit_test_setup_teardown(it_does_what_a_slow_list_does, setup, teardown),
    };
    return cmocka_run_group_tests_name("cache", tests, runtime_setup, runtime_teardown);
}
