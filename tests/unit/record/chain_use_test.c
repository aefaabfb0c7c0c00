/* SPDX-License-Identifier: Apache-2.0 */
/* What opening does with a chain: known epochs, epochs ahead, replays, counters. */
#include "fake_owner.h"
#include "record/chain_internal.h"
#include <pthread.h>
#include <sched.h>
#include <string.h>

static struct owner o;

/* An opener's chain. */
static void begin_opener(uint32_t readable_epochs)
{
    aril_policy policy = owner_policy();
    policy.readable_epochs = readable_epochs;
    owner_init(&o, &policy, false, 0);
}

static aril_status find(const struct arili_seal_header *h, bool once, struct arili_opening *ret)
{
    return arili_chain_find(&o.chain, owner_now(&o), h, once, ret);
}

static aril_status verified(const struct arili_seal_header *h, bool once, struct arili_opening *p)
{
    return arili_chain_verified(&o.chain, owner_now(&o), h, once, p);
}

static void release(struct arili_opening *p)
{
    arili_chain_release(&o.chain, p);
    assert_null(p->epoch);
    assert_null(p->scratch);
}

static void assert_newest(uint32_t epoch)
{
    assert_int_equal(owner_info(&o).epoch, epoch);
}

/* --- Known epochs -------------------------------------------------------------------- */

static void a_key_is_found_by_its_epoch_and_pinned(void **state)
{
    (void)state;
    begin_opener(16);
    const struct arili_seal_header h = owner_header(0, 77, 10);
    struct arili_opening opening;
    struct arili_epoch_keys want;
    assert_status(find(&h, false, &opening), ARIL_OK);
    owner_key(0, &want);
    assert_memory_equal(opening.keys, &want, sizeof want);
    assert_int_equal(opening.number, 0);
    assert_true(opening.uid != 0);
    assert_int_equal(owner_pins(&o), 1);
    release(&opening);
    assert_int_equal(owner_pins(&o), 0);
    owner_done(&o);
}

/* Every bit of the key id counts, and a mismatch leaves no pin. */
static void another_key_id_is_another_session(void **state)
{
    (void)state;
    begin_opener(16);
    struct arili_opening opening;
    for (size_t bit = 0; bit < 8 * ARILI_KEY_ID_BYTES; bit++) {
        struct arili_seal_header h = owner_header(0, 1, 10);
        h.key_id[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_status(find(&h, false, &opening), ARIL_E_KEY_UNKNOWN);
        assert_status(find(&h, true, &opening), ARIL_E_KEY_UNKNOWN);
    }
    assert_int_equal(owner_pins(&o), 0);
    owner_done(&o);
}

/* --- Epochs ahead --------------------------------------------------------------------- */

static void eight_epochs_ahead_are_followed_and_nine_are_not(void **state)
{
    (void)state;
    for (uint32_t ahead = 1; ahead <= 12; ahead++) {
        begin_opener(16);
        const bool near_enough = ahead <= ARIL_EPOCHS_AHEAD_MAX;
        assert_status(owner_open(&o, ahead, 5, false), near_enough ? ARIL_OK : ARIL_E_KEY_FUTURE);
        assert_newest(near_enough ? ahead : 0);
        owner_done(&o);
    }
    begin_opener(16);
    assert_status(owner_open(&o, UINT32_MAX, 5, false), ARIL_E_KEY_FUTURE);
    assert_status(owner_open(&o, 8, 1, false), ARIL_OK);
    assert_status(owner_open(&o, 17, 1, false), ARIL_E_KEY_FUTURE);
    assert_status(owner_open(&o, 16, 1, false), ARIL_OK); /* counted from the newest */
    assert_newest(16);
    owner_done(&o);
}

static void following_reports_each_epoch_passed(void **state)
{
    (void)state;
    begin_opener(16);
    assert_status(owner_open(&o, 5, 1, false), ARIL_OK);
    assert_int_equal(owner_events(&o, ARIL_EVENT_ROTATE), 5);
    for (size_t i = 0; i < o.event_count; i++) {
        assert_int_equal(o.events[i].kind, ARIL_EVENT_ROTATE);
        assert_int_equal(o.events[i].reason, ARIL_ROTATE_PEER);
        assert_int_equal(o.events[i].epoch, i + 1);
    }
    for (uint32_t n = 0; n <= 5; n++) { /* late records of those between open too */
        assert_status(owner_open(&o, n, 2, true), ARIL_OK);
    }
    owner_done(&o);
}

static void nothing_is_committed_before_the_tag_verified(void **state)
{
    (void)state;
    begin_opener(2);
    const struct arili_ratchet before = *o.chain.ratchet;
    for (unsigned i = 0; i < 5; i++) {
        const struct arili_seal_header h = owner_header(7, 3, 10);
        struct arili_opening opening;
        struct arili_epoch_keys want;
        assert_status(find(&h, i % 2 == 0, &opening), ARIL_OK);
        owner_key(7, &want);
        assert_memory_equal(opening.keys, &want, sizeof want);
        assert_null(opening.epoch);
        assert_int_equal(opening.uid, 0); /* never remembered in the cache of contexts */
        release(&opening);                /* the tag was wrong */
        assert_newest(0);
        assert_memory_equal(o.chain.ratchet, &before, sizeof before);
        assert_int_equal(o.event_count, 0);
        assert_int_equal(owner_structs(&o), 1);
    }
    assert_status(owner_open(&o, 0, 1, false), ARIL_OK);
    owner_done(&o);
}

static void scratch_keys_are_wiped(void **state)
{
    (void)state;
    begin_opener(16);
    const struct arili_seal_header h = owner_header(3, 3, 10);
    struct arili_opening opening;
    assert_status(find(&h, false, &opening), ARIL_OK);
    const struct arili_epoch_keys *scratch = opening.scratch;
    assert_ptr_equal(opening.keys, scratch);
    release(&opening);
    assert_true(is_filled(scratch, sizeof *scratch, 0)); /* its cell stays mapped */
    owner_done(&o);
}

static void a_forged_epoch_ahead_is_told_by_its_key_id(void **state)
{
    (void)state;
    begin_opener(16);
    struct arili_opening opening;
    for (uint32_t ahead = 1; ahead <= 8; ahead++) {
        struct arili_seal_header h = owner_header(ahead, 1, 10);
        h.key_id[31] ^= 1;
        assert_status(find(&h, false, &opening), ARIL_E_KEY_UNKNOWN);
        h = owner_header(ahead + 1, 1, 10); /* the key id of another epoch */
        h.epoch = ahead;
        assert_status(find(&h, false, &opening), ARIL_E_KEY_UNKNOWN);
    }
    assert_newest(0);
    assert_int_equal(o.event_count, 0);
    owner_done(&o); /* the arena knows whether every cell came back */
}

static void following_retires_what_leaves_the_window(void **state)
{
    (void)state;
    begin_opener(3);
    assert_status(owner_open(&o, 8, 1, false), ARIL_OK);
    for (uint32_t n = 0; n <= 8; n++) {
        assert_status(owner_open(&o, n, 1, false), n >= 6 ? ARIL_OK : ARIL_E_KEY_RETIRED);
    }
    assert_int_equal(owner_info(&o).oldest_readable, 6);
    assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), 6);
    owner_done(&o);
}

static void the_sealing_end_follows_nobody(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    owner_init(&o, &policy, true, 0);
    for (uint32_t ahead = 1; ahead <= 12; ahead++) {
        assert_status(owner_open(&o, ahead, 1, false), ARIL_E_KEY_UNKNOWN);
    }
    assert_newest(0);
    owner_done(&o);
}

static void an_epoch_ahead_that_cannot_be_derived_changes_nothing(void **state)
{
    (void)state;
    begin_opener(16);
    o.derive_fails = ARIL_E_CRYPTO;
    assert_status(owner_open(&o, 4, 1, false), ARIL_E_CRYPTO);
    o.derive_fails = ARIL_OK;
    for (unsigned left = 0; left < 3; left++) {
        o.advance_fails = ARIL_E_NOMEM;
        o.advances_left = left;
        assert_status(owner_open(&o, 4, 1, false), ARIL_E_NOMEM);
    }
    o.advance_fails = ARIL_OK;
    assert_newest(0);
    assert_int_equal(o.event_count, 0);
    assert_status(owner_open(&o, 4, 1, false), ARIL_OK);
    owner_done(&o);
}

/* The steps done so far stay, which is harmless: the peer has been there. */
static void following_that_fails_half_way_can_be_repeated(void **state)
{
    (void)state;
    begin_opener(16);
    const struct arili_seal_header h = owner_header(6, 9, 10);
    struct arili_opening opening;
    assert_status(find(&h, true, &opening), ARIL_OK);
    o.advance_fails = ARIL_E_CRYPTO;
    o.advances_left = 2;
    assert_status(verified(&h, true, &opening), ARIL_E_CRYPTO);
    release(&opening);
    assert_newest(2);
    assert_int_equal(owner_info(&o).records_opened, 0);
    o.advance_fails = ARIL_OK;
    assert_status(owner_open(&o, 6, 9, true), ARIL_OK);
    assert_newest(6);
    assert_status(owner_open(&o, 6, 9, true), ARIL_E_REPLAY);
    owner_done(&o);
}

static void an_opener_does_not_follow_to_the_last_number(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    owner_init(&o, &policy, false, UINT32_MAX - 3);
    assert_status(owner_open(&o, UINT32_MAX - 1, 1, false), ARIL_OK);
    assert_newest(UINT32_MAX - 1);
    assert_status(owner_open(&o, UINT32_MAX, 1, false), ARIL_E_LIMIT_EPOCHS);
    assert_newest(UINT32_MAX - 1);
    assert_int_equal(owner_info(&o).records_opened, 1);
    owner_done(&o);
}

/* --- Once ------------------------------------------------------------------------------ */

static void a_record_opens_once_per_epoch_and_sequence(void **state)
{
    (void)state;
    begin_opener(16);
    for (uint32_t n = 0; n < 4; n++) {
        assert_status(owner_open(&o, n, 1, true), ARIL_OK);
        assert_status(owner_open(&o, n, 1, true), ARIL_E_REPLAY);
        assert_status(owner_open(&o, n, 2, true), ARIL_OK);
    }
    for (uint32_t n = 0; n < 4; n++) {
        assert_status(owner_open(&o, n, 1, true), ARIL_E_REPLAY);
        assert_status(owner_open(&o, n, 2, true), ARIL_E_REPLAY);
        assert_status(owner_open(&o, n, 3, true), ARIL_OK);
    }
    owner_done(&o);
}

static void a_record_that_was_not_verified_may_come_again(void **state)
{
    (void)state;
    begin_opener(16);
    const struct arili_seal_header h = owner_header(0, 5, 10);
    struct arili_opening opening;
    assert_status(find(&h, true, &opening), ARIL_OK);
    release(&opening); /* forged: the genuine one must not be locked out */
    assert_status(owner_open(&o, 0, 5, true), ARIL_OK);
    owner_done(&o);
}

static void of_two_equal_records_under_way_one_counts(void **state)
{
    (void)state;
    static const uint32_t epochs[] = { 0, 3 }; /* known, and ahead */
    for (size_t i = 0; i < COUNT(epochs); i++) {
        begin_opener(16);
        const struct arili_seal_header h = owner_header(epochs[i], 5, 10);
        struct arili_opening a, b;
        assert_status(find(&h, true, &a), ARIL_OK);
        assert_status(find(&h, true, &b), ARIL_OK);
        assert_status(verified(&h, true, &b), ARIL_OK);
        assert_status(verified(&h, true, &a), ARIL_E_REPLAY);
        release(&a);
        release(&b);
        assert_int_equal(owner_info(&o).records_opened, 1);
        assert_int_equal(owner_info(&o).bytes_opened, 10);
        assert_newest(epochs[i]);
        owner_done(&o);
    }
}

static void repeatable_records_are_not_marked(void **state)
{
    (void)state;
    begin_opener(16);
    for (unsigned i = 0; i < 5; i++) {
        assert_status(owner_open(&o, 0, 1, false), ARIL_OK);
    }
    assert_status(owner_open(&o, 0, 1, true), ARIL_OK);
    assert_status(owner_open(&o, 0, 1, false), ARIL_OK); /* each caller decides for itself */
    assert_int_equal(owner_info(&o).records_opened, 7);
    owner_done(&o);
}

static void a_reused_epoch_struct_has_an_empty_window(void **state)
{
    (void)state;
    begin_opener(1);
    for (uint32_t n = 0; n < 20; n++) {
        assert_status(owner_open(&o, n, 1, true), ARIL_OK);
        assert_status(owner_open(&o, n, 4000, true), ARIL_OK);
    }
    assert_in_range(owner_structs(&o), 2, 3);
    owner_done(&o);
}

/* --- Another thread follows first ---------------------------------------------------------- */

struct late {
    pthread_t thread;
    struct arili_seal_header header;
    struct arili_opening opening;
    aril_status status;
};

static void *find_late(void *arg)
{
    struct late *late = arg;
    late->status = find(&late->header, false, &late->opening);
    return NULL;
}

/* Takes every free cell of the arena, so that the next one makes it grow: what find_ahead()
 * takes after it looked at the newest epoch and before it waits for the lock. */
#define CHUNK_CELLS 512u
static void *cells[2 * CHUNK_CELLS];
static size_t cell_count;

static size_t arena_bytes(void)
{
    return arili_secure_stats(o.world.rt->secure).bytes;
}

static void fill_arena(void)
{
    const size_t before = arena_bytes();
    cell_count = 0;
    while (arena_bytes() == before) {
        cells[cell_count++] = arili_secure_take(o.world.rt->secure);
    }
    const size_t full = arena_bytes();
    for (size_t i = 1; i < CHUNK_CELLS; i++) {
        cells[cell_count++] = arili_secure_take(o.world.rt->secure);
    }
    assert_int_equal(arena_bytes(), full);
}

static void empty_arena(void)
{
    while (cell_count > 0) {
        arili_secure_give(o.world.rt->secure, cells[--cell_count]);
    }
}

/* What the late one looks for was ahead when it looked and is passed when it gets the lock. */
static void a_thread_that_is_late_finds_the_epoch_that_another_followed_to(void **state)
{
    (void)state;
    for (uint32_t steps = 1; steps <= 6; steps++) {
        begin_opener(4);
        struct late late = { .header = owner_header(1, 1, 10) };
        struct arili_epoch *dying = NULL;
        fill_arena();
        const size_t full = arena_bytes();
        (void)pthread_mutex_lock(&o.chain.lock);
        assert_int_equal(pthread_create(&late.thread, NULL, find_late, &late), 0);
        while (arena_bytes() == full) {
            sched_yield();
        }
        empty_arena();
        for (uint32_t i = 0; i < steps; i++) {
            assert_status(arili_chain_step(&o.chain, owner_now(&o), ARIL_ROTATE_PEER, &dying),
                          ARIL_OK);
        }
        (void)pthread_mutex_unlock(&o.chain.lock);
        arili_chain_bury(&o.chain, dying);
        assert_int_equal(pthread_join(late.thread, NULL), 0);
        /* Readable while it is among the newest four. */
        assert_status(late.status, steps <= 4 ? ARIL_OK : ARIL_E_KEY_RETIRED);
        if (late.status == ARIL_OK) {
            assert_non_null(late.opening.epoch);
            release(&late.opening);
        }
        owner_done(&o);
    }
}

/* --- Counters and summaries ------------------------------------------------------------------ */

static void openings_are_counted_when_they_are_verified(void **state)
{
    (void)state;
    begin_opener(2);
    for (uint32_t n = 0; n < 6; n++) {
        for (uint64_t s = 1; s <= 3; s++) {
            assert_status(owner_open(&o, n, s, true), ARIL_OK);
        }
        assert_status(owner_open(&o, n, 1, true), ARIL_E_REPLAY);
    }
    const aril_direction_info info = owner_info(&o);
    assert_int_equal(info.records_opened, 18); /* of epochs that are gone too */
    assert_int_equal(info.bytes_opened, 180);
    assert_int_equal(info.records_sealed, 0);
    owner_done(&o);
}

static void a_place_that_was_not_used_is_not_counted(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    owner_init(&o, &policy, true, 0);
    struct arili_reservation place = owner_reserve(&o, 10, 5);
    arili_epoch_unused(place.epoch, 10);
    arili_epoch_unused(place.epoch, 10);
    arili_epoch_unpin(&o.chain, place.epoch);
    assert_int_equal(owner_info(&o).records_sealed, 3);
    assert_int_equal(owner_info(&o).bytes_sealed, 30);
    place = owner_reserve(&o, 10, 1);
    assert_int_equal(place.first, 6); /* and its sequence is never used */
    arili_epoch_unpin(&o.chain, place.epoch);
    owner_done(&o);
}

static void a_summary_tells_what_is_new_since_the_last(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    owner_init(&o, &policy, true, 0);
    struct arili_reservation place = owner_reserve(&o, 10, 5);
    arili_epoch_unpin(&o.chain, place.epoch);
    assert_status(owner_open(&o, 0, 1, false), ARIL_OK);
    fake_clock_add_s(&o.world.clock, 4);
    arili_chain_tell(&o.chain, owner_now(&o));
    assert_int_equal(o.event_count, 2);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ENCRYPT).records, 5);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ENCRYPT).bytes, 50);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ENCRYPT).interval_start_ns, FAKE_BOOT_NS);
    assert_int_equal(owner_last(&o, ARIL_EVENT_DECRYPT).records, 1);
    arili_chain_tell(&o.chain, owner_now(&o));
    assert_int_equal(o.event_count, 2); /* nothing new, nothing told */
    place = owner_reserve(&o, 7, 2);
    arili_epoch_unpin(&o.chain, place.epoch);
    arili_chain_tell(&o.chain, owner_now(&o));
    assert_int_equal(o.event_count, 3);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ENCRYPT).records, 2);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ENCRYPT).bytes, 14);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ENCRYPT).interval_start_ns,
                     FAKE_BOOT_NS + 4 * FAKE_NS_PER_S);
    owner_done(&o);
}

static void a_retired_epoch_is_summed_up_before_it_goes(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.readable_epochs = 1;
    owner_init(&o, &policy, true, 0);
    struct arili_reservation place = owner_reserve(&o, 10, 5);
    assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), ARIL_OK);
    arili_epoch_unpin(&o.chain, place.epoch);
    assert_int_equal(o.event_count, 3);
    assert_int_equal(o.events[0].kind, ARIL_EVENT_ROTATE);
    assert_int_equal(o.events[1].kind, ARIL_EVENT_ENCRYPT);
    assert_int_equal(o.events[1].records, 5);
    assert_int_equal(o.events[1].epoch, 0);
    assert_int_equal(o.events[2].kind, ARIL_EVENT_RETIRE);
    owner_done(&o);
}

/* A summary may come between the reservation and the failure of a record. */
static void a_summary_that_came_too_early_is_made_good(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    owner_init(&o, &policy, true, 0);
    struct arili_reservation place = owner_reserve(&o, 10, 4);
    arili_chain_tell(&o.chain, owner_now(&o));
    for (unsigned i = 0; i < 3; i++) {
        arili_epoch_unused(place.epoch, 10);
    }
    arili_chain_tell(&o.chain, owner_now(&o));
    arili_epoch_unpin(&o.chain, place.epoch);
    assert_int_equal(o.event_count, 1);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ENCRYPT).records, 4);
    place = owner_reserve(&o, 10, 5);
    arili_epoch_unpin(&o.chain, place.epoch);
    assert_true(arili_chain_end(&o.chain, ARIL_E_KEY_CLOSED));
    assert_int_equal(owner_last(&o, ARIL_EVENT_ENCRYPT).records, 2); /* 6 in all */
    assert_int_equal(owner_last(&o, ARIL_EVENT_ENCRYPT).bytes, 20);
    assert_int_equal(owner_info(&o).records_sealed, 6);
    owner_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_found_by_its_epoch_and_pinned),
        cmocka_unit_test(another_key_id_is_another_session),
        cmocka_unit_test(eight_epochs_ahead_are_followed_and_nine_are_not),
        cmocka_unit_test(following_reports_each_epoch_passed),
        cmocka_unit_test(nothing_is_committed_before_the_tag_verified),
        cmocka_unit_test(scratch_keys_are_wiped),
        cmocka_unit_test(a_forged_epoch_ahead_is_told_by_its_key_id),
        cmocka_unit_test(following_retires_what_leaves_the_window),
        cmocka_unit_test(the_sealing_end_follows_nobody),
        cmocka_unit_test(an_epoch_ahead_that_cannot_be_derived_changes_nothing),
        cmocka_unit_test(following_that_fails_half_way_can_be_repeated),
        cmocka_unit_test(an_opener_does_not_follow_to_the_last_number),
        cmocka_unit_test(a_record_opens_once_per_epoch_and_sequence),
        cmocka_unit_test(a_record_that_was_not_verified_may_come_again),
        cmocka_unit_test(of_two_equal_records_under_way_one_counts),
        cmocka_unit_test(repeatable_records_are_not_marked),
        cmocka_unit_test(a_reused_epoch_struct_has_an_empty_window),
        cmocka_unit_test(a_thread_that_is_late_finds_the_epoch_that_another_followed_to),
        cmocka_unit_test(openings_are_counted_when_they_are_verified),
        cmocka_unit_test(a_place_that_was_not_used_is_not_counted),
        cmocka_unit_test(a_summary_tells_what_is_new_since_the_last),
        cmocka_unit_test(a_retired_epoch_is_summed_up_before_it_goes),
        cmocka_unit_test(a_summary_that_came_too_early_is_made_good),
    };
    return cmocka_run_group_tests_name("chain use", tests, NULL, NULL);
}
