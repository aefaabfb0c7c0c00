/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation and each primitive of L1 fails once: it is made whole or not at all, nothing
 * wrong is kept, and no byte of room is lost. */
#include "fault_alloc.h"
#include "faulty_crypto.h"
#include "fixture.h"
#include "l1_use.h"
#include "provider.h"
#include <string.h>

#define BYTES ((uint64_t)1 << 20)

static struct faulty_crypto *crypto;
static struct world w;

static int setup(void **state)
{
    (void)state;
    crypto = faulty_crypto_new(provider());
    assert_non_null(crypto);
    world_init_over(&w, faulty_crypto_table(crypto));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_done(&w);
    assert_int_equal(faulty_crypto_alive(crypto), 0);
    faulty_crypto_free(crypto);
    return 0;
}

static void arm(bool alloc, unsigned nth)
{
    if (alloc) {
        fault_alloc_arm(nth);
    } else {
        faulty_crypto_arm(crypto, nth, ARIL_E_CRYPTO);
    }
}

/* Whether it was reached. */
static bool disarm(bool alloc)
{
    fault_alloc_disarm();
    faulty_crypto_disarm(crypto);
    return alloc ? fault_alloc_fired() : faulty_crypto_fired(crypto);
}

static struct arili_l1 *make(uint64_t seals)
{
    const struct arili_l1_options options = { .key_seals_max = seals };
    struct arili_l1 *l1 = NULL;
    assert_status(arili_l1_new_with(w.rt, BYTES, 2, &options, &l1), ARIL_OK);
    return l1;
}

static void it_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    for (int alloc = 0; alloc < 2; alloc++) {
        for (unsigned n = 1;; n++) {
            struct arili_l1 *l1 = (struct arili_l1 *)&w;
            arm(alloc, n);
            const aril_status st = arili_l1_new(w.rt, BYTES, 4, &l1);
            if (!disarm(alloc)) {
                assert_status(st, ARIL_OK);
                assert_int_equal(n, alloc ? 11 : 3); /* seed and key; two tables a shard */
                arili_l1_free(l1);
                break;
            }
            assert_status(st, alloc ? ARIL_E_NOMEM : ARIL_E_CRYPTO);
            assert_ptr_equal(l1, &w);
        }
    }
}

/* A put that fails leaves neither the new value nor the older one, and gives its room back. */
static void a_put_that_fails_leaves_no_value(void **state)
{
    (void)state;
    for (int alloc = 0; alloc < 2; alloc++) {
        for (unsigned n = 1;; n++) {
            struct arili_l1 *const l1 = make(0);
            l1_put(l1, 1, 100, 1);
            l1_put(l1, 2, 100, 2);
            arm(alloc, n);
            l1_put(l1, 1, 200, 3);
            const bool fired = disarm(alloc);
            assert_int_equal(l1_holds(l1, 1, 200, 3), !fired);
            assert_true(l1_holds(l1, 2, 100, 2));
            l1_check_bytes(l1, BYTES);
            l1_put(l1, 1, 50, 4);
            assert_true(l1_holds(l1, 1, 50, 4));
            arili_l1_free(l1);
            if (!fired) {
                assert_true(n > 1);
                break;
            }
        }
    }
}

/* Without a new key nothing is sealed, and what is there stays. */
static void a_key_that_cannot_be_changed_stops_puts_alone(void **state)
{
    (void)state;
    for (int alloc = 0; alloc < 2; alloc++) {
        bool fired = true;
        for (unsigned n = 1; fired; n++) {
            struct arili_l1 *const l1 = make(4); /* two a shard */
            unsigned kept = 0;
            for (unsigned k = 0; k < 40; k++) {
                l1_put(l1, k, 10, k);
                kept += l1_has(l1, k);
            }
            assert_int_equal(kept, 40);
            const struct arili_l1_stats before = arili_l1_get_stats(l1);
            unsigned lost = 0;
            arm(alloc, n);
            for (unsigned k = 100; k < 104; k++) {
                l1_put(l1, k, 10, k);
                lost += !l1_has(l1, k);
            }
            fired = disarm(alloc);
            assert_int_equal(lost, fired ? 1 : 0);
            assert_true(arili_l1_get_stats(l1).entries <= before.entries + 4);
            l1_put(l1, 200, 10, 200);
            assert_true(l1_holds(l1, 200, 10, 200));
            l1_check_bytes(l1, BYTES);
            arili_l1_free(l1);
        }
    }
}

static void a_get_that_fails_keeps_the_entry_and_wipes_the_buffer(void **state)
{
    (void)state;
    struct arili_l1 *const l1 = make(0);
    uint8_t out[100];
    size_t len = 0;
    l1_put(l1, 1, sizeof out, 1);
    assert_true(l1_holds(l1, 1, sizeof out, 1)); /* the context is there */
    memset(out, GUARD_FILLER, sizeof out);
    arm(false, 1);
    const aril_status st = l1_get(l1, 1, out, sizeof out, &len);
    assert_true(disarm(false));
    assert_status(st, ARIL_E_CRYPTO);
    assert_int_equal(len, 0);
    assert_true(is_filled(out, sizeof out, 0));
    assert_true(l1_holds(l1, 1, sizeof out, 1));
    arili_l1_free(l1);
}

static void a_hit_needs_no_memory(void **state)
{
    (void)state;
    struct arili_l1 *const l1 = make(0);
    uint8_t out[100];
    size_t len = 0;
    l1_put(l1, 1, sizeof out, 1);
    arm(true, 1);
    const aril_status st = l1_get(l1, 1, out, sizeof out, &len);
    const bool has = l1_has(l1, 1);
    assert_false(disarm(true));
    assert_status(st, ARIL_OK);
    assert_true(has);
    assert_true(is_pattern(out, sizeof out, 1));
    arili_l1_free(l1);
}

/* A key that nobody needs any more is in no context either. */
static void keys_that_ended_are_wiped_from_contexts(void **state)
{
    (void)state;
    struct arili_l1 *const l1 = make(4);
    for (unsigned n = 0; n < 200; n++) {
        l1_put(l1, n, 10, n);
    }
    /* Ways of one thread: none is ever needed for more than two keys at a time. */
    assert_true(faulty_crypto_alive(crypto) <= 3 * ARILI_CONTEXT_SETS);
    arili_l1_free(l1);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_is_made_whole_or_not_at_all),
        CASE(a_put_that_fails_leaves_no_value),
        CASE(a_key_that_cannot_be_changed_stops_puts_alone),
        CASE(a_get_that_fails_keeps_the_entry_and_wipes_the_buffer),
        CASE(a_hit_needs_no_memory),
        CASE(keys_that_ended_are_wiped_from_contexts),
    };
    return cmocka_run_group_tests_name("L1 faults", tests, provider_setup, provider_teardown);
}
