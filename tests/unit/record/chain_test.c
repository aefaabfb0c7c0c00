/* SPDX-License-Identifier: Apache-2.0 */
/* Epochs come and go: limits, rotation, retirement, the end. How records find their keys is
 * in chain_use_test.c. */
#include "child.h"
#include "fake_owner.h"
#include "record/chain_internal.h"
#include <string.h>
#include <unistd.h>

static struct owner o;

static void begin(const aril_policy *policy)
{
    owner_init(&o, policy, true, 0);
}

static void unpin(struct arili_reservation *place)
{
    arili_epoch_unpin(&o.chain, place->epoch);
    place->epoch = NULL;
}

static void assert_place(const struct arili_reservation *p, uint32_t epoch, uint64_t first,
                         size_t count)
{
    assert_int_equal(p->number, epoch);
    assert_int_equal(p->first, first);
    assert_int_equal(p->count, count);
    struct arili_epoch_keys want;
    owner_key(epoch, &want);
    assert_memory_equal(p->epoch->keys, &want, sizeof want);
}

/* One reservation that must come out like this. */
static void expect(uint64_t each, size_t count, uint32_t epoch, uint64_t first, size_t got)
{
    struct arili_reservation place = owner_reserve(&o, each, count);
    assert_place(&place, epoch, first, got);
    unpin(&place);
}

/* --- Places ------------------------------------------------------------------------ */

static void sequences_begin_at_one_and_follow_one_another(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    expect(5, 1, 0, 1, 1);
    expect(5, 1, 0, 2, 1);
    expect(5, 100, 0, 3, 100);
    expect(0, 7, 0, 103, 7);
    expect(5, 1, 0, 110, 1);
    assert_int_equal(owner_info(&o).epoch, 0);
    assert_int_equal(owner_info(&o).records_sealed, 110);
    assert_int_equal(owner_info(&o).bytes_sealed, 103 * 5);
    owner_done(&o);
}

static void a_batch_is_split_at_the_limit_of_records(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.rotate_records = 10;
    begin(&policy);
    expect(1, 25, 0, 1, 10);
    expect(1, 15, 1, 1, 10);
    expect(1, 5, 2, 1, 5);
    expect(1, 5, 2, 6, 5); /* exactly full: no rotation yet */
    assert_int_equal(owner_info(&o).epoch, 2);
    assert_int_equal(owner_events(&o, ARIL_EVENT_ROTATE), 2);
    expect(1, 1, 3, 1, 1);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ROTATE).reason, ARIL_ROTATE_RECORDS);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ROTATE).epoch, 3);
    owner_done(&o);
}

static void one_record_per_epoch_is_a_policy(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.rotate_records = 1;
    begin(&policy);
    for (uint32_t i = 0; i < 40; i++) {
        expect(1, 3, i, 1, 1);
    }
    owner_done(&o);
}

static void an_exact_fit_of_bytes_needs_no_rotation(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.rotate_bytes = 100;
    begin(&policy);
    expect(40, 2, 0, 1, 2);
    expect(20, 1, 0, 3, 1); /* 100 of 100 */
    assert_int_equal(owner_events(&o, ARIL_EVENT_ROTATE), 0);
    expect(0, 3, 0, 4, 3); /* an empty record needs no bytes */
    expect(1, 1, 1, 1, 1);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ROTATE).reason, ARIL_ROTATE_BYTES);
    assert_int_equal(owner_info(&o).bytes_sealed, 101);
    owner_done(&o);
}

static void one_byte_too_many_goes_to_the_next_epoch(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.rotate_bytes = 100;
    begin(&policy);
    expect(40, 3, 0, 1, 2);  /* 120 are too many */
    expect(21, 1, 1, 1, 1);  /* 101 are too many */
    expect(79, 1, 1, 2, 1);  /* 100 fit */
    expect(100, 2, 2, 1, 1); /* each fills one */
    expect(100, 1, 3, 1, 1);
    owner_done(&o);
}

static void a_record_longer_than_an_epoch_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.rotate_bytes = 100;
    begin(&policy);
    struct arili_reservation place;
    expect(10, 1, 0, 1, 1);
    static const uint64_t lengths[] = { 101, 1000, UINT64_C(1) << 36, UINT64_MAX };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        assert_status(owner_try_reserve(&o, lengths[i], 2, &place), ARIL_E_LIMIT_RECORD);
    }
    assert_int_equal(owner_pins(&o), 0);
    expect(90, 1, 0, 2, 1);
    expect(100, 1, 1, 1, 1); /* as long as an epoch may be */
    owner_done(&o);
}

/* Records that fit by bytes but not by number give their bytes back. */
static void bytes_of_records_without_a_number_are_given_back(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.rotate_bytes = 100;
    policy.rotate_records = 3;
    begin(&policy);
    expect(20, 5, 0, 1, 3);
    assert_int_equal(owner_info(&o).bytes_sealed, 60);
    expect(40, 1, 1, 1, 1);
    assert_int_equal(owner_info(&o).bytes_sealed, 100);
    owner_done(&o);
}

static void the_last_of_two_to_the_32_records_is_the_last(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    struct arili_epoch *e = atomic_load(&o.chain.current);
    atomic_store(&e->next_sequence, (UINT64_C(1) << 32) - 2);
    expect(1, 2, 0, (UINT64_C(1) << 32) - 2, 2);
    expect(1, 3, 0, UINT64_C(1) << 32, 1);
    expect(1, 3, 1, 1, 3);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ROTATE).reason, ARIL_ROTATE_RECORDS);
    owner_done(&o);
}

static void the_last_of_two_to_the_38_bytes_is_the_last(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    struct arili_epoch *e = atomic_load(&o.chain.current);
    atomic_store(&e->bytes, (UINT64_C(1) << 38) - 10);
    expect(4, 3, 0, 1, 2);
    expect(2, 1, 0, 3, 1);
    expect(1, 1, 1, 1, 1);
    expect((UINT64_C(1) << 36) - 32, 5, 1, 2, 4); /* 127 bytes are left */
    expect(127, 2, 1, 6, 1);
    expect(1, 1, 2, 1, 1);
    owner_done(&o);
}

static void a_refused_place_pins_nothing(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.rotate_records = 1;
    begin(&policy);
    struct arili_reservation place;
    expect(1, 1, 0, 1, 1);
    o.derive_fails = ARIL_E_CRYPTO;
    assert_status(owner_try_reserve(&o, 1, 1, &place), ARIL_E_CRYPTO);
    assert_int_equal(owner_pins(&o), 0);
    o.derive_fails = ARIL_OK;
    expect(1, 1, 1, 1, 1);
    owner_done(&o);
}

/* --- Rotation ----------------------------------------------------------------------- */

static void an_epoch_is_replaced_when_it_is_old_enough(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.rotate_after_s = 300;
    begin(&policy);
    fake_clock_add_ns(&o.world.clock, 300 * FAKE_NS_PER_S - 1);
    expect(1, 1, 0, 1, 1);
    fake_clock_add_ns(&o.world.clock, 1);
    expect(1, 1, 1, 1, 1);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ROTATE).reason, ARIL_ROTATE_AGE);
    fake_clock_add_s(&o.world.clock, 299);
    expect(1, 1, 1, 2, 1);
    fake_clock_add_s(&o.world.clock, 1);
    expect(1, 1, 2, 1, 1);
    fake_clock_add_s(&o.world.clock, 100000);
    expect(1, 1, 3, 1, 1); /* once, however long nobody sealed */
    owner_done(&o);
}

static void a_clock_that_goes_back_rotates_nothing(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.rotate_after_s = 1;
    begin(&policy);
    atomic_store(&o.world.clock.boot_ns, 0);
    expect(1, 1, 0, 1, 1);
    atomic_store(&o.world.clock.boot_ns, FAKE_BOOT_NS - 1);
    expect(1, 1, 0, 2, 1);
    atomic_store(&o.world.clock.boot_ns, FAKE_BOOT_NS);
    expect(1, 1, 0, 3, 1);
    atomic_store(&o.world.clock.boot_ns, FAKE_BOOT_NS + FAKE_NS_PER_S);
    expect(1, 1, 1, 1, 1);
    atomic_store(&o.world.clock.boot_ns, 5);
    expect(1, 1, 1, 2, 1);
    owner_done(&o);
}

static void a_rotation_by_hand_begins_the_next_epoch(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    for (uint32_t i = 1; i <= 30; i++) {
        assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), ARIL_OK);
        assert_int_equal(owner_info(&o).epoch, i);
        assert_int_equal(owner_last(&o, ARIL_EVENT_ROTATE).reason, ARIL_ROTATE_MANUAL);
        expect(1, 1, i, 1, 1);
    }
    owner_done(&o);
}

static void the_newest_epochs_stay_readable(void **state)
{
    (void)state;
    static const uint32_t windows[] = { 1, 2, 3, 16, 1024 };
    for (size_t w = 0; w < COUNT(windows); w++) {
        aril_policy policy = owner_policy();
        policy.readable_epochs = windows[w];
        begin(&policy);
        for (uint32_t newest = 0; newest < 40; newest++) {
            const uint32_t oldest = newest >= windows[w] ? newest - windows[w] + 1 : 0;
            assert_int_equal(owner_info(&o).epoch, newest);
            assert_int_equal(owner_info(&o).oldest_readable, oldest);
            for (uint32_t n = 0; n <= newest; n++) {
                assert_status(owner_open(&o, n, 1, false),
                              n >= oldest ? ARIL_OK : ARIL_E_KEY_RETIRED);
            }
            assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), oldest);
            assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), ARIL_OK);
        }
        owner_done(&o);
    }
}

static void epoch_structs_are_used_again(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.readable_epochs = 2;
    begin(&policy);
    for (uint32_t i = 0; i < 500; i++) {
        expect(3, 2, i, 1, 2); /* a used one starts anew */
        assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), ARIL_OK);
    }
    assert_in_range(owner_structs(&o), 2, 3);
    assert_int_equal(owner_info(&o).records_sealed, 1000);
    assert_int_equal(owner_info(&o).bytes_sealed, 3000);
    owner_done(&o);
}

/* --- Retiring ----------------------------------------------------------------------- */

/* The tag over nothing under a key, through the cache of contexts. */
static void tag_of(uint64_t uid, const uint8_t *key, uint8_t ret[ARILI_AEAD_TAG_BYTES])
{
    static const uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    aril_runtime *rt = o.world.rt;
    struct arili_context_lease lease;
    assert_status(arili_contexts_get(rt->contexts, uid, key, &lease), ARIL_OK);
    assert_status(
        rt->crypto.ops->aead_seal(lease.ctx, nonce, (aril_bytes){ NULL, 0 }, NULL, 0, NULL, ret),
        ARIL_OK);
    arili_contexts_put(rt->contexts, &lease);
}

static void a_retired_key_is_wiped_everywhere(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.readable_epochs = 1;
    begin(&policy);
    const struct arili_epoch *e = atomic_load(&o.chain.current);
    const uint64_t uid = e->uid;
    const struct arili_epoch_keys *keys = e->keys;
    const uint8_t other[ARILI_AEAD_KEY_BYTES] = { 9 };
    uint8_t own_tag[16], other_tag[16], tag[16];
    tag_of(0, other, other_tag);
    tag_of(uid, keys->key, own_tag);
    tag_of(uid, other, tag); /* cached by uid: the key argument is not looked at */
    assert_memory_equal(tag, own_tag, sizeof tag);
    assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), ARIL_OK);
    assert_true(is_filled(keys, sizeof *keys, 0)); /* the cell, which stays mapped */
    tag_of(uid, other, tag);
    assert_memory_equal(tag, other_tag, sizeof tag);
    arili_contexts_forget(o.world.rt->contexts, uid);
    owner_done(&o);
}

static void a_pinned_epoch_is_wiped_after_its_last_pin(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.readable_epochs = 1;
    begin(&policy);
    struct arili_reservation a = owner_reserve(&o, 1, 1);
    struct arili_reservation b = owner_reserve(&o, 1, 1);
    const struct arili_epoch_keys *keys = a.epoch->keys;
    struct arili_epoch_keys want;
    owner_key(0, &want);
    assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), ARIL_OK);
    assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), 0);
    assert_status(owner_open(&o, 0, 1, false), ARIL_E_KEY_RETIRED); /* no new pins */
    assert_memory_equal(keys, &want, sizeof want);
    unpin(&a);
    assert_memory_equal(keys, &want, sizeof want);
    assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), 0);
    unpin(&b);
    assert_true(is_filled(keys, sizeof *keys, 0));
    assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), 1);
    assert_int_equal(owner_last(&o, ARIL_EVENT_RETIRE).epoch, 0);
    owner_done(&o);
}

static void a_pinned_epoch_is_not_used_again(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.readable_epochs = 1;
    begin(&policy);
    struct arili_reservation place = owner_reserve(&o, 1, 1);
    for (unsigned i = 0; i < 20; i++) {
        assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), ARIL_OK);
    }
    assert_place(&place, 0, 1, 1);
    assert_in_range(owner_structs(&o), 2, 3);
    unpin(&place);
    assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), 20);
    owner_done(&o);
}

static void older_epochs_are_retired_by_hand(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    for (unsigned i = 0; i < 6; i++) {
        assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), ARIL_OK);
    }
    assert_status(arili_chain_retire(&o.chain, owner_now(&o), 3), ARIL_OK);
    assert_int_equal(owner_info(&o).epoch, 6);
    assert_int_equal(owner_info(&o).oldest_readable, 4);
    assert_status(owner_open(&o, 3, 1, false), ARIL_E_KEY_RETIRED);
    assert_status(owner_open(&o, 4, 1, false), ARIL_OK);
    assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), 4);
    assert_status(arili_chain_retire(&o.chain, owner_now(&o), 3), ARIL_OK); /* again */
    assert_status(arili_chain_retire(&o.chain, owner_now(&o), 0), ARIL_OK);
    assert_int_equal(owner_info(&o).oldest_readable, 4);
    assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), 4);
    owner_done(&o);
}

static void retiring_the_newest_epoch_begins_another(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    expect(1, 1, 0, 1, 1);
    assert_status(arili_chain_retire(&o.chain, owner_now(&o), 0), ARIL_OK);
    assert_int_equal(owner_info(&o).epoch, 1);
    assert_int_equal(owner_info(&o).oldest_readable, 1);
    assert_int_equal(owner_last(&o, ARIL_EVENT_ROTATE).reason, ARIL_ROTATE_MANUAL);
    assert_status(owner_open(&o, 0, 1, false), ARIL_E_KEY_RETIRED);
    expect(1, 1, 1, 1, 1);
    owner_done(&o);
}

static void an_epoch_ahead_cannot_be_retired(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    assert_status(arili_chain_retire(&o.chain, owner_now(&o), 1), ARIL_E_USAGE_RANGE);
    assert_status(arili_chain_retire(&o.chain, owner_now(&o), UINT32_MAX), ARIL_E_USAGE_RANGE);
    assert_int_equal(owner_info(&o).epoch, 0);
    assert_status(owner_open(&o, 0, 1, false), ARIL_OK);
    owner_done(&o);
}

static void a_retirement_that_cannot_rotate_retires_nothing(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    o.derive_fails = ARIL_E_NOMEM;
    assert_status(arili_chain_retire(&o.chain, owner_now(&o), 0), ARIL_E_NOMEM);
    assert_status(owner_open(&o, 0, 1, false), ARIL_OK);
    o.derive_fails = ARIL_OK;
    assert_status(arili_chain_retire(&o.chain, owner_now(&o), 0), ARIL_OK);
    assert_int_equal(owner_info(&o).epoch, 1);
    owner_done(&o);
}

/* --- Failures ----------------------------------------------------------------------- */

static void a_rotation_that_fails_changes_nothing(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    for (unsigned round = 0; round < 3; round++) {
        o.derive_fails = ARIL_E_CRYPTO;
        assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL),
                      ARIL_E_CRYPTO);
        o.derive_fails = ARIL_OK;
        o.advance_fails = ARIL_E_NOMEM;
        assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL),
                      ARIL_E_NOMEM);
        o.advance_fails = ARIL_OK;
        assert_int_equal(owner_info(&o).epoch, round);
        assert_int_equal(owner_events(&o, ARIL_EVENT_ROTATE), round);
        expect(1, 1, round, 1, 1);
        assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), ARIL_OK);
    }
    assert_int_equal(owner_info(&o).epoch, 3);
    assert_in_range(owner_structs(&o), 4, 5);
    owner_done(&o); /* the arena knows whether every cell came back */
}

static void epochs_end_before_their_numbers_do(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.rotate_records = 2;
    owner_init(&o, &policy, true, UINT32_MAX - 2);
    struct arili_reservation place;
    expect(1, 2, UINT32_MAX - 2, 1, 2);
    expect(1, 1, UINT32_MAX - 1, 1, 1);
    assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL),
                  ARIL_E_LIMIT_EPOCHS);
    assert_status(arili_chain_retire(&o.chain, owner_now(&o), UINT32_MAX - 1), ARIL_E_LIMIT_EPOCHS);
    expect(1, 2, UINT32_MAX - 1, 2, 1); /* the last place of all */
    assert_status(owner_try_reserve(&o, 1, 1, &place), ARIL_E_LIMIT_EPOCHS);
    assert_status(owner_try_reserve(&o, 1, 1, &place), ARIL_E_LIMIT_EPOCHS);
    assert_int_equal(owner_info(&o).epoch, UINT32_MAX - 1);
    assert_status(owner_open(&o, UINT32_MAX - 2, 1, false), ARIL_OK);
    assert_status(owner_open(&o, UINT32_MAX - 1, 1, false), ARIL_OK);
    assert_status(arili_chain_retire(&o.chain, owner_now(&o), UINT32_MAX - 2), ARIL_OK);
    assert_status(owner_open(&o, UINT32_MAX - 2, 1, false), ARIL_E_KEY_RETIRED);
    owner_done(&o);
}

/* --- The end ------------------------------------------------------------------------ */

static void assert_ended(aril_status why)
{
    struct arili_reservation place;
    assert_status(owner_try_reserve(&o, 1, 1, &place), why);
    assert_status(owner_open(&o, 0, 1, false), why);
    assert_status(owner_open(&o, 1, 1, false), why);
    assert_status(owner_open(&o, 100, 1, false), why);
    assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), why);
    assert_status(arili_chain_retire(&o.chain, owner_now(&o), 0), why);
    assert_status(arili_chain_check(&o.chain, owner_now(&o)), why);
}

static void the_first_reason_of_the_end_stays(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    expect(1, 1, 0, 1, 1);
    assert_true(arili_chain_end(&o.chain, ARIL_E_KEY_CLOSED));
    assert_ended(ARIL_E_KEY_CLOSED);
    assert_false(arili_chain_end(&o.chain, ARIL_E_EXPIRED));
    assert_ended(ARIL_E_KEY_CLOSED);
    fake_clock_add_s(&o.world.clock, 2592000);
    assert_ended(ARIL_E_KEY_CLOSED);
    assert_int_equal(owner_info(&o).records_sealed, 1); /* the counters stay */
    owner_done(&o);
}

static void the_end_wipes_every_secret(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    for (unsigned i = 0; i < 5; i++) {
        assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), ARIL_OK);
    }
    const struct arili_epoch_keys *keys[8];
    size_t n = 0;
    for (const struct arili_epoch *e = o.chain.all; e != NULL; e = e->next) {
        keys[n++] = e->keys;
    }
    assert_int_equal(n, 6);
    assert_true(arili_chain_end(&o.chain, ARIL_E_KEY_CLOSED));
    for (size_t i = 0; i < n; i++) {
        assert_true(is_filled(keys[i], sizeof *keys[i], 0));
    }
    assert_true(is_filled(o.chain.ratchet->secret, sizeof o.chain.ratchet->secret, 0));
    assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), 6);
    owner_done(&o);
}

static void a_pinned_epoch_outlives_the_end_until_it_is_unpinned(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy);
    struct arili_reservation place = owner_reserve(&o, 4, 1);
    const struct arili_epoch_keys *keys = place.epoch->keys;
    assert_true(arili_chain_end(&o.chain, ARIL_E_EXPIRED));
    assert_place(&place, 0, 1, 1);
    assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), 0);
    unpin(&place);
    assert_true(is_filled(keys, sizeof *keys, 0));
    assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), 1);
    assert_int_equal(owner_info(&o).records_sealed, 1);
    owner_done(&o);
}

static void the_time_to_live_ends_at_its_last_nanosecond(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.ttl_s = 900;
    begin(&policy);
    fake_clock_add_ns(&o.world.clock, 900 * FAKE_NS_PER_S - 1);
    expect(1, 1, 0, 1, 1);
    assert_status(owner_open(&o, 0, 1, false), ARIL_OK);
    assert_int_equal(o.expiries, 0);
    fake_clock_add_ns(&o.world.clock, 1);
    assert_ended(ARIL_E_EXPIRED);
    assert_true(o.expiries > 0);
    atomic_store(&o.world.clock.boot_ns, FAKE_BOOT_NS); /* going back revives nothing */
    assert_ended(ARIL_E_EXPIRED);
    owner_done(&o);
}

static void an_empty_chain_may_be_done(void **state)
{
    (void)state;
    struct arili_chain chain = { 0 };
    arili_chain_done(&chain);
}

/* --- Beginning that fails -------------------------------------------------------------- */

static void a_beginning_that_fails_leaves_the_ratchet_to_the_caller(void **state)
{
    (void)state;
    const aril_policy policy = owner_policy();
    begin(&policy); /* for its table of functions and its runtime */
    struct arili_chain chain;
    for (unsigned round = 0; round < 2; round++) {
        struct arili_ratchet *ratchet = arili_secure_take(o.world.rt->secure);
        *ratchet = *o.chain.ratchet; /* the state of epoch 1 */
        o.derive_fails = round == 0 ? ARIL_E_CRYPTO : ARIL_OK;
        o.advance_fails = round == 1 ? ARIL_E_NOMEM : ARIL_OK;
        assert_status(arili_chain_init(&chain, o.world.rt, o.chain.ops, &o, ARIL_TENANT_TO_SERVER,
                                       true, &policy, FAKE_BOOT_NS, ratchet),
                      round == 0 ? ARIL_E_CRYPTO : ARIL_E_NOMEM);
        arili_secure_give(o.world.rt->secure, ratchet);
        arili_chain_done(&chain); /* is all zero */
    }
    owner_done(&o);
}

/* --- In a forked child ------------------------------------------------------------------ */

static int child_is_refused(void *arg)
{
    struct arili_reservation *place = arg;
    struct arili_reservation other;
    struct arili_opening opening;
    const struct arili_seal_header h = owner_header(0, 1, 1);
    const uint64_t now = owner_now(&o);
    (void)alarm(30);
    if (!arili_chain_forked(&o.chain)) {
        return 1;
    }
    if (arili_chain_check(&o.chain, now) != ARIL_E_FORKED ||
        owner_try_reserve(&o, 1, 1, &other) != ARIL_E_FORKED ||
        arili_chain_find(&o.chain, now, &h, false, &opening) != ARIL_E_FORKED ||
        arili_chain_rotate(&o.chain, now, ARIL_ROTATE_MANUAL) != ARIL_E_FORKED ||
        arili_chain_retire(&o.chain, now, 0) != ARIL_E_FORKED) {
        return 2;
    }
    if (arili_chain_check(&o.chain, UINT64_MAX) != ARIL_E_FORKED) {
        return 3; /* before the clock is looked at */
    }
    if (arili_chain_end(&o.chain, ARIL_E_KEY_CLOSED)) {
        return 4;
    }
    arili_epoch_unpin(&o.chain, place->epoch); /* the last pin of a retired epoch */
    if (o.event_count != 1) {
        return 5; /* the child reported something */
    }
    arili_chain_done(&o.chain);
    return 0;
}

/* Another thread of the parent holds the lock for ever, as far as the child can tell. */
static void a_forked_child_is_refused_and_waits_for_nothing(void **state)
{
    (void)state;
    aril_policy policy = owner_policy();
    policy.readable_epochs = 1;
    begin(&policy);
    struct arili_reservation place = owner_reserve(&o, 1, 1);
    assert_status(arili_chain_rotate(&o.chain, owner_now(&o), ARIL_ROTATE_MANUAL), ARIL_OK);
    assert_int_equal(o.event_count, 1);
    (void)pthread_mutex_lock(&o.chain.lock);
    assert_int_equal(child_run(child_is_refused, &place), 0);
    (void)pthread_mutex_unlock(&o.chain.lock);
    assert_place(&place, 0, 1, 1); /* the parent does not notice */
    unpin(&place);
    assert_int_equal(owner_events(&o, ARIL_EVENT_RETIRE), 1);
    expect(1, 1, 1, 1, 1);
    owner_done(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_begin_at_one_and_follow_one_another),
        cmocka_unit_test(a_batch_is_split_at_the_limit_of_records),
        cmocka_unit_test(one_record_per_epoch_is_a_policy),
        cmocka_unit_test(an_exact_fit_of_bytes_needs_no_rotation),
        cmocka_unit_test(one_byte_too_many_goes_to_the_next_epoch),
        cmocka_unit_test(a_record_longer_than_an_epoch_is_refused_and_changes_nothing),
        cmocka_unit_test(bytes_of_records_without_a_number_are_given_back),
        cmocka_unit_test(the_last_of_two_to_the_32_records_is_the_last),
        cmocka_unit_test(the_last_of_two_to_the_38_bytes_is_the_last),
        cmocka_unit_test(a_refused_place_pins_nothing),
        cmocka_unit_test(an_epoch_is_replaced_when_it_is_old_enough),
        cmocka_unit_test(a_clock_that_goes_back_rotates_nothing),
        cmocka_unit_test(a_rotation_by_hand_begins_the_next_epoch),
        cmocka_unit_test(the_newest_epochs_stay_readable),
        cmocka_unit_test(epoch_structs_are_used_again),
        cmocka_unit_test(a_retired_key_is_wiped_everywhere),
        cmocka_unit_test(a_pinned_epoch_is_wiped_after_its_last_pin),
        cmocka_unit_test(a_pinned_epoch_is_not_used_again),
        cmocka_unit_test(older_epochs_are_retired_by_hand),
        cmocka_unit_test(retiring_the_newest_epoch_begins_another),
        cmocka_unit_test(an_epoch_ahead_cannot_be_retired),
        cmocka_unit_test(a_retirement_that_cannot_rotate_retires_nothing),
        cmocka_unit_test(a_rotation_that_fails_changes_nothing),
        cmocka_unit_test(epochs_end_before_their_numbers_do),
        cmocka_unit_test(the_first_reason_of_the_end_stays),
        cmocka_unit_test(the_end_wipes_every_secret),
        cmocka_unit_test(a_pinned_epoch_outlives_the_end_until_it_is_unpinned),
        cmocka_unit_test(the_time_to_live_ends_at_its_last_nanosecond),
        cmocka_unit_test(an_empty_chain_may_be_done),
        cmocka_unit_test(a_beginning_that_fails_leaves_the_ratchet_to_the_caller),
        cmocka_unit_test(a_forked_child_is_refused_and_waits_for_nothing),
    };
    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
