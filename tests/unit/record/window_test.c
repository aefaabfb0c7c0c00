/* SPDX-License-Identifier: Apache-2.0 */
#include "record/window.h"
#include "fixture.h"
#include <string.h>

#define W ARILI_WINDOW_RECORDS /* 4032: what the window is sure to tell apart */

static int setup(void **state)
{
    static struct arili_window w;
    arili_window_init(&w);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    arili_window_done(*state);
    return 0;
}

/* seen() and mark() agree, and what was marked is seen from then on. */
static void assert_new(struct arili_window *w, uint64_t sequence)
{
    assert_false(arili_window_seen(w, sequence));
    assert_status(arili_window_mark(w, sequence), ARIL_OK);
    assert_true(arili_window_seen(w, sequence));
}

static void assert_replay(struct arili_window *w, uint64_t sequence)
{
    assert_true(arili_window_seen(w, sequence));
    assert_status(arili_window_mark(w, sequence), ARIL_E_REPLAY);
    assert_true(arili_window_seen(w, sequence));
}

static void the_window_is_63_words_long(void **state)
{
    (void)state;
    assert_int_equal(W, 63 * 64);
    assert_int_equal(ARILI_WINDOW_WORDS, 64);
}

static void a_record_is_new_once(void **state)
{
    struct arili_window *w = *state;
    for (uint64_t s = 1; s <= 3 * 4096; s++) {
        assert_new(w, s);
        assert_replay(w, s);
    }
}

static void records_within_the_window_may_come_in_any_order(void **state)
{
    struct arili_window *w = *state;
    for (uint64_t s = W; s >= 1; s--) {
        assert_new(w, s);
    }
    for (uint64_t s = 1; s <= W; s++) {
        assert_replay(w, s);
    }
}

/* Whatever the place of the top in its word. */
static void the_oldest_record_of_the_window_is_still_new(void **state)
{
    struct arili_window *w = *state;
    for (uint64_t shift = 0; shift < 130; shift++) {
        const uint64_t top = 100000 + shift;
        arili_window_reset(w);
        assert_new(w, top);
        assert_new(w, top - W + 1);
        assert_replay(w, top - W); /* the first one left of the window */
        assert_replay(w, top - W - 1);
        assert_replay(w, top - W - 64);
        assert_replay(w, top - 4096); /* the place of the top in the ring, one turn ago */
        assert_replay(w, 1);
        assert_replay(w, top);
        assert_replay(w, top - W + 1);
        assert_new(w, top - W + 2);
    }
}

static void the_window_moves_by_one_record(void **state)
{
    struct arili_window *w = *state;
    for (uint64_t top = 5000; top < 5000 + 200; top++) {
        assert_new(w, top);
        assert_replay(w, top - W);
        /* Never marked and about to leave: still new now, gone with the next top. */
        assert_false(arili_window_seen(w, top - W + 1));
    }
}

static void a_refused_record_moves_nothing(void **state)
{
    struct arili_window *w = *state;
    assert_new(w, 10000);
    assert_replay(w, 10000);
    assert_replay(w, 10000 - W);
    assert_replay(w, 3);
    assert_new(w, 10000 - W + 1);
    assert_new(w, 9999);
}

static void a_jump_forgets_what_was_marked_before(void **state)
{
    struct arili_window *w = *state;
    static const uint64_t jumps[] = { 1,
                                      63,
                                      64,
                                      65,
                                      W - 1,
                                      W,
                                      W + 1,
                                      4095,
                                      4096,
                                      4097,
                                      8191,
                                      8192,
                                      100 * 4096,
                                      UINT64_C(1) << 31,
                                      UINT64_C(1) << 40 };
    for (size_t i = 0; i < COUNT(jumps); i++) {
        const uint64_t from = 4096 * 3 + 17;
        const uint64_t to = from + jumps[i];
        arili_window_reset(w);
        for (uint64_t s = from - 200; s <= from; s++) {
            assert_new(w, s);
        }
        assert_new(w, to);
        for (uint64_t s = to - W + 1; s < to; s++) { /* marked before, or else new */
            const bool before = s <= from && s >= from - 200;
            assert_int_equal(arili_window_seen(w, s), before);
        }
        assert_replay(w, to - W);
    }
}

static void the_first_record_may_have_any_number(void **state)
{
    struct arili_window *w = *state;
    static const uint64_t firsts[] = {
        1, 63, 64, W, W + 1, 4096, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX
    };
    for (size_t i = 0; i < COUNT(firsts); i++) {
        arili_window_reset(w);
        assert_new(w, firsts[i]);
        assert_replay(w, firsts[i]);
    }
}

static void the_largest_numbers_work(void **state)
{
    struct arili_window *w = *state;
    for (uint64_t back = 10; back <= 10; back--) {
        assert_new(w, UINT64_MAX - back);
    }
    for (uint64_t back = 0; back <= 10; back++) {
        assert_replay(w, UINT64_MAX - back);
    }
    assert_new(w, UINT64_MAX - W + 1);
    assert_replay(w, UINT64_MAX - W);
    assert_replay(w, 1);
    assert_replay(w, 0);
}

/* Sequences begin at 1, but a 0 does no harm either. */
static void zero_is_a_number_like_others(void **state)
{
    struct arili_window *w = *state;
    assert_new(w, 0);
    assert_replay(w, 0);
    assert_new(w, 1);
    assert_replay(w, 0);
    assert_new(w, W - 1);
    assert_replay(w, 0);
    assert_new(w, W);
    assert_replay(w, 0);
}

static void a_reset_window_knows_nothing(void **state)
{
    struct arili_window *w = *state;
    for (uint64_t s = 1; s <= 5000; s++) {
        assert_new(w, s);
    }
    arili_window_reset(w);
    for (uint64_t s = 1; s <= 5000; s++) {
        assert_new(w, s);
    }
}

/* --- Against a set that remembers everything ---------------------------------------- */

#define SPAN 60000u
struct reference {
    bool marked[SPAN];
    uint64_t top;
};

static bool reference_mark(struct reference *r, uint64_t s)
{
    if (r->marked[s] || (s < r->top && r->top - s >= W)) {
        return false;
    }
    r->marked[s] = true;
    r->top = s > r->top ? s : r->top;
    return true;
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void random_orders_agree_with_a_set_that_forgets_nothing(void **state)
{
    struct arili_window *w = *state;
    static struct reference r;
    for (uint64_t run = 1; run <= 12; run++) {
        uint64_t x = run * UINT64_C(0x9e3779b97f4a7c15);
        memset(&r, 0, sizeof r);
        arili_window_reset(w);
        for (unsigned i = 0; i < 20000; i++) {
            /* Mostly near the top; sometimes far back, sometimes a jump. */
            const uint64_t dice = next_random(&x) % 100;
            const uint64_t reach = dice < 60 ? 80 : dice < 98 ? 4200 : 9000;
            const uint64_t low = r.top > reach ? r.top - reach : 1;
            uint64_t s = low + next_random(&x) % (reach + (dice % 8 == 0 ? reach / 2 : 3) + 1);
            s = s < SPAN ? s : 1 + s % (SPAN - 1);
            const bool fresh = !r.marked[s] && !(s < r.top && r.top - s >= W);
            assert_int_equal(arili_window_seen(w, s), !fresh);
            const bool marks = reference_mark(&r, s);
            assert_status(arili_window_mark(w, s), marks ? ARIL_OK : ARIL_E_REPLAY);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_is_63_words_long),
        cmocka_unit_test_setup_teardown(a_record_is_new_once, setup, teardown),
        cmocka_unit_test_setup_teardown(records_within_the_window_may_come_in_any_order, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_oldest_record_of_the_window_is_still_new, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_window_moves_by_one_record, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_record_moves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_jump_forgets_what_was_marked_before, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_record_may_have_any_number, setup, teardown),
        cmocka_unit_test_setup_teardown(the_largest_numbers_work, setup, teardown),
        cmocka_unit_test_setup_teardown(zero_is_a_number_like_others, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_window_knows_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(random_orders_agree_with_a_set_that_forgets_nothing, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("replay window", tests, NULL, NULL);
}
