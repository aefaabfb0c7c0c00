/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include <stdlib.h>
#include <string.h>

#define MAX 64u

static struct world w;
static struct pair p;
static aril_pool *pool;
static aril_kv *own, *sender, *receiver;
static struct room rooms[MAX];
static aril_kv_item items[MAX];
static size_t count, each; /* records of this test, and their length */

/* Records of more than 256 KiB together go to the pool, where there is one. */
static void begin_with(size_t records, size_t len, const aril_policy *policy, bool pooled,
                       aril_kv_mode mode)
{
    aril_kv_config self = view_config(), peer = view_config_peer();
    world_init(&w);
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("tenant"), policy);
    pool = NULL;
    if (pooled) {
        assert_status(aril_pool_new(3, &pool), ARIL_OK);
    }
    self.executor = peer.executor = aril_pool_executor(pool);
    self.mode = peer.mode = mode;
    own = view_new(p.server, &self);
    sender = view_new(p.tenant, &peer);
    receiver = view_new(p.server, &peer);
    count = records;
    each = len;
    for (size_t i = 0; i < count; i++) {
        const aril_kv_block block = chain_block(i);
        room_init(&rooms[i], len, i, &block);
    }
    world_forget(&w);
}

static void begin(size_t records, const aril_policy *policy)
{
    begin_with(records, 100, policy, false, ARIL_KV_REPEATABLE);
}

static void end(void)
{
    for (size_t i = 0; i < count; i++) {
        room_done(&rooms[i]);
    }
    aril_kv_free(own);
    aril_kv_free(sender);
    aril_kv_free(receiver);
    aril_pool_free(pool);
    pair_done(&p);
    world_done(&w);
}

static void make_items(bool opening)
{
    for (size_t i = 0; i < count; i++) {
        room_reset_out(&rooms[i]);
        items[i] = opening ? room_opening(&rooms[i]) : room_sealing(&rooms[i]);
        items[i].status = (aril_status)0x5c5c; /* written whatever it was */
    }
}

static void seal_all(aril_kv *kv)
{
    size_t failed = 4711;
    make_items(false);
    assert_status(aril_kv_seal_batch(kv, items, count, &failed), ARIL_OK);
    assert_int_equal(failed, 0);
    for (size_t i = 0; i < count; i++) {
        assert_status(items[i].status, ARIL_OK);
        room_check(&rooms[i]);
    }
}

static void open_all(aril_kv *kv)
{
    size_t failed = 4711;
    make_items(true);
    assert_status(aril_kv_open_batch(kv, items, count, &failed), ARIL_OK);
    assert_int_equal(failed, 0);
    for (size_t i = 0; i < count; i++) {
        assert_status(items[i].status, ARIL_OK);
        assert_true(room_is_open(&rooms[i]));
        room_check(&rooms[i]);
    }
}

static aril_seal_info info_at(size_t i)
{
    aril_seal_info info;
    assert_status(aril_seal_inspect(rooms[i].seal.data, &info), ARIL_OK);
    return info;
}

/* --- What works --------------------------------------------------------------------------- */

static void a_batch_opens_what_a_batch_sealed(void **state)
{
    (void)state;
    for (int pooled = 0; pooled <= 1; pooled++) {
        begin_with(MAX, 16 * 1024, NULL, pooled != 0, ARIL_KV_REPEATABLE);
        seal_all(own);
        open_all(own);
        seal_all(sender);
        open_all(receiver);
        for (size_t i = 0; i < count; i++) { /* one by one is the same */
            assert_status(room_open(&rooms[i], receiver), ARIL_OK);
        }
        end();
    }
}

static void sequences_follow_the_order_of_the_items(void **state)
{
    (void)state;
    for (int pooled = 0; pooled <= 1; pooled++) {
        begin_with(MAX, 16 * 1024, NULL, pooled != 0, ARIL_KV_REPEATABLE);
        for (uint64_t round = 0; round < 3; round++) {
            seal_all(own);
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(info_at(i).sequence, round * count + i + 1);
            }
        }
        end();
    }
}

static void a_batch_is_split_where_an_epoch_ends(void **state)
{
    (void)state;
    const aril_policy policy = { .rotate_records = 7 };
    for (int pooled = 0; pooled <= 1; pooled++) {
        begin_with(MAX, 16 * 1024, &policy, pooled != 0, ARIL_KV_REPEATABLE);
        seal_all(own);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(info_at(i).epoch, i / 7);
            assert_int_equal(info_at(i).sequence, i % 7 + 1);
        }
        open_all(own);
        end();
    }
}

static void a_batch_of_many_epochs_is_followed_by_the_peer(void **state)
{
    (void)state;
    const aril_policy policy = { .rotate_records = 3, .readable_epochs = 64 };
    begin(MAX, &policy);
    seal_all(sender);
    open_all(receiver); /* 22 epochs, never more than one ahead */
    end();
}

static void a_batch_is_split_by_bytes_too(void **state)
{
    (void)state;
    const aril_policy policy = { .rotate_bytes = 350 };
    begin(10, &policy);
    seal_all(own);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(info_at(i).epoch, i / 3);
    }
    open_all(own);
    aril_session_info info;
    assert_status(aril_session_get_info(p.server, &info), ARIL_OK);
    assert_int_equal(info.direction[1].records_sealed, 10);
    assert_int_equal(info.direction[1].bytes_sealed, 1000);
    end();
}

static void no_items_are_no_work(void **state)
{
    (void)state;
    begin(1, NULL);
    size_t failed = 4711;
    assert_status(aril_kv_seal_batch(own, items, 0, &failed), ARIL_OK);
    assert_int_equal(failed, 0);
    failed = 4711;
    assert_status(aril_kv_open_batch(own, NULL, 0, &failed), ARIL_OK);
    assert_int_equal(failed, 0);
    assert_status(aril_kv_seal_batch(own, NULL, 0, NULL), ARIL_OK);
    end();
}

/* --- Items that fail ------------------------------------------------------------------------ */

static void bad_arguments_stop_only_their_own_item(void **state)
{
    (void)state;
    static const size_t places[][3] = {
        { 0, 0, 0 }, { 9, 9, 9 }, { 4, 4, 4 }, { 0, 4, 9 }, { 3, 4, 5 }
    };
    for (size_t c = 0; c < COUNT(places); c++) {
        begin(10, NULL);
        size_t failed = 0;
        bool bad[10] = { false };
        make_items(false);
        for (size_t k = 0; k < 3; k++) {
            bad[places[c][k]] = true;
            items[places[c][k]].body_len = 99;
        }
        const size_t want = c < 3 ? 1 : 3;
        assert_status(aril_kv_seal_batch(own, items, count, &failed), ARIL_E_BATCH);
        assert_int_equal(failed, want);
        uint64_t last = 0;
        for (size_t i = 0; i < count; i++) {
            assert_status(items[i].status, bad[i] ? ARIL_E_USAGE_RANGE : ARIL_OK);
            if (bad[i]) {
                assert_true(is_filled(rooms[i].body.data, each, GUARD_FILLER));
                assert_true(is_filled(rooms[i].seal.data, ARIL_SEAL_BYTES, GUARD_FILLER));
                continue;
            }
            assert_true(info_at(i).sequence > last);
            last = info_at(i).sequence;
        }
        aril_session_info info;
        assert_status(aril_session_get_info(p.server, &info), ARIL_OK);
        assert_int_equal(info.direction[1].records_sealed, 10 - want);
        assert_int_equal(info.direction[1].bytes_sealed, 100 * (10 - want));
        end();
    }
}

static void a_batch_of_bad_items_only_fails_in_all(void **state)
{
    (void)state;
    begin(5, NULL);
    size_t failed = 0;
    make_items(false);
    for (size_t i = 0; i < count; i++) {
        items[i].block = NULL;
    }
    assert_status(aril_kv_seal_batch(own, items, count, &failed), ARIL_E_BATCH);
    assert_int_equal(failed, 5);
    assert_status(aril_kv_open_batch(own, items, count, &failed), ARIL_E_BATCH);
    assert_int_equal(failed, 5);
    for (size_t i = 0; i < count; i++) {
        assert_status(items[i].status, ARIL_E_USAGE_NULL);
    }
    end();
}

static void a_record_that_is_too_long_stops_nobody_else(void **state)
{
    (void)state;
    const aril_policy policy = { .rotate_bytes = 150 };
    for (size_t at = 0; at < 5; at++) {
        begin(5, &policy);
        size_t failed = 0;
        struct room large;
        room_init(&large, 151, 1, &rooms[0].block);
        make_items(false);
        items[at] = room_sealing(&large);
        assert_status(aril_kv_seal_batch(own, items, count, &failed), ARIL_E_BATCH);
        assert_int_equal(failed, 1);
        for (size_t i = 0; i < count; i++) {
            assert_status(items[i].status, i == at ? ARIL_E_LIMIT_RECORD : ARIL_OK);
            if (i != at) {
                assert_status(room_open(&rooms[i], own), ARIL_OK);
            }
        }
        assert_true(is_filled(large.body.data, 151, GUARD_FILLER));
        room_done(&large);
        end();
    }
}

static void every_record_of_a_mixed_batch_gets_its_own_status(void **state)
{
    (void)state;
    for (int pooled = 0; pooled <= 1; pooled++) {
        begin_with(12, 64 * 1024, NULL, pooled != 0, ARIL_KV_REPEATABLE);
        static const aril_status want[12] = {
            ARIL_OK,
            ARIL_E_AUTH,
            ARIL_OK,
            ARIL_E_ISOLATION,
            ARIL_E_FORMAT_VERSION,
            ARIL_OK,
            ARIL_E_KEY_UNKNOWN,
            ARIL_E_USAGE_NULL,
            ARIL_E_FORMAT_LENGTH,
            ARIL_E_KEY_UNKNOWN,
            ARIL_OK,
            ARIL_E_AUTH,
        };
        size_t failed = 0;
        seal_all(own);
        rooms[1].body.data[5] ^= 1;
        rooms[3].seal.data[8] ^= 1;
        rooms[4].seal.data[0] ^= 1;
        rooms[6].seal.data[4] ^= 1;
        rooms[8].seal.data[31] ^= 1;
        rooms[9].seal.data[32] ^= 1;
        rooms[11].block.rank ^= 1;
        make_items(true);
        items[7].block = NULL;
        assert_status(aril_kv_open_batch(own, items, count, &failed), ARIL_E_BATCH);
        assert_int_equal(failed, 8);
        for (size_t i = 0; i < count; i++) {
            assert_status(items[i].status, want[i]);
            assert_true(want[i] == ARIL_OK ? room_is_open(&rooms[i]) : room_is_clean(&rooms[i]));
            room_check(&rooms[i]);
        }
        assert_status(aril_kv_open_batch(own, items, count, NULL), ARIL_E_BATCH);
        end();
    }
}

/* --- Once, and slots
 * ------------------------------------------------------------------------------ */

static void a_record_that_is_twice_in_a_batch_opens_once(void **state)
{
    (void)state;
    for (int pooled = 0; pooled <= 1; pooled++) {
        for (unsigned round = 0; round < 10; round++) {
            begin_with(16, 64 * 1024, NULL, pooled != 0, ARIL_KV_ONCE);
            size_t failed = 0, opened = 0;
            seal_all(sender);
            make_items(true);
            for (size_t i = 8; i < 16; i++) { /* number 3 for all of them, each to its own out */
                items[i].body = rooms[3].body.data;
                items[i].seal = rooms[3].seal.data;
                items[i].block = &rooms[3].block;
            }
            assert_status(aril_kv_open_batch(receiver, items, count, &failed), ARIL_E_BATCH);
            assert_int_equal(failed, 8);
            for (size_t i = 0; i < count; i++) {
                const bool same = i == 3 || i >= 8;
                opened += same && items[i].status == ARIL_OK;
                if (items[i].status == ARIL_OK) {
                    assert_true(is_pattern(rooms[i].out.data, each, same ? 3 : i));
                } else {
                    assert_true(same);
                    assert_status(items[i].status, ARIL_E_REPLAY);
                    assert_true(room_is_clean(&rooms[i]));
                }
            }
            assert_int_equal(opened, 1);
            end();
        }
    }
}

static void a_batch_that_is_replayed_opens_nothing(void **state)
{
    (void)state;
    for (int pooled = 0; pooled <= 1; pooled++) {
        begin_with(16, 64 * 1024, NULL, pooled != 0, ARIL_KV_ONCE);
        size_t failed = 0;
        seal_all(sender);
        open_all(receiver);
        make_items(true);
        assert_status(aril_kv_open_batch(receiver, items, count, &failed), ARIL_E_BATCH);
        assert_int_equal(failed, 16);
        for (size_t i = 0; i < count; i++) {
            assert_status(items[i].status, ARIL_E_REPLAY);
            assert_true(room_is_clean(&rooms[i]));
        }
        end();
    }
}

static void of_a_slot_that_is_twice_in_a_batch_the_later_one_is_newest(void **state)
{
    (void)state;
    for (int pooled = 0; pooled <= 1; pooled++) {
        for (unsigned round = 0; round < 10; round++) {
            begin_with(16, 64 * 1024, NULL, pooled != 0, ARIL_KV_REPEATABLE);
            for (size_t i = 0; i < count; i++) {
                rooms[i].block = slot_block(i % 4, 0);
            }
            seal_all(own);
            for (size_t i = 0; i < count; i++) {
                assert_status(room_open(&rooms[i], own), i < 12 ? ARIL_E_REPLAY_STALE : ARIL_OK);
            }
            end();
        }
    }
}

static void slots_without_a_place_are_refused_one_by_one(void **state)
{
    (void)state;
    begin(20, NULL);
    aril_kv_config config = view_config();
    size_t failed = 0;
    config.slot_pins = 6;
    aril_kv *kv = view_new(p.server, &config);
    make_items(false);
    for (size_t i = 0; i < count; i++) {
        rooms[i].block = slot_block(i / 2, 0); /* ten slots, twice each */
    }
    assert_status(aril_kv_seal_batch(kv, items, count, &failed), ARIL_E_BATCH);
    assert_int_equal(failed, 8);
    for (size_t i = 0; i < count; i++) {
        assert_status(items[i].status, i < 12 ? ARIL_OK : ARIL_E_LIMIT_PINS);
        assert_true(i < 12 || is_filled(rooms[i].body.data, each, GUARD_FILLER));
    }
    aril_kv_free(kv);
    end();
}

/* --- The whole batch
 * --------------------------------------------------------------------------------- */

static void assert_all(aril_kv *kv, bool opening, aril_status want)
{
    size_t failed = 0;
    make_items(opening);
    assert_status(opening ? aril_kv_open_batch(kv, items, count, &failed)
                          : aril_kv_seal_batch(kv, items, count, &failed),
                  ARIL_E_BATCH);
    assert_int_equal(failed, count);
    for (size_t i = 0; i < count; i++) {
        assert_status(items[i].status, want);
        assert_true(room_is_clean(&rooms[i]));
    }
}

static void what_stops_the_session_stops_every_item(void **state)
{
    (void)state;
    begin(6, NULL);
    seal_all(own);
    atomic_store(&w.clock.status, ARIL_E_UNAVAILABLE);
    assert_all(own, false, ARIL_E_UNAVAILABLE);
    assert_all(own, true, ARIL_E_UNAVAILABLE);
    atomic_store(&w.clock.status, ARIL_OK);
    open_all(own);
    fake_clock_add_s(&w.clock, 900);
    assert_all(own, false, ARIL_E_EXPIRED);
    assert_all(own, true, ARIL_E_EXPIRED);
    end();
    begin(6, NULL);
    seal_all(own);
    pair_done(&p);
    assert_all(own, false, ARIL_E_KEY_CLOSED);
    assert_all(own, true, ARIL_E_KEY_CLOSED);
    make_items(false); /* a wrong argument is said all the same */
    items[2].seal = NULL;
    assert_status(aril_kv_seal_batch(own, items, count, NULL), ARIL_E_BATCH);
    assert_status(items[2].status, ARIL_E_USAGE_NULL);
    assert_status(items[3].status, ARIL_E_KEY_CLOSED);
    end();
}

/* The clock is read once: a batch that began in time is finished. */
static void a_batch_reads_the_clock_once(void **state)
{
    (void)state;
    begin(20, NULL);
    make_items(false);
    const unsigned before = atomic_load(&w.clock.reads);
    assert_status(aril_kv_seal_batch(own, items, count, NULL), ARIL_OK);
    assert_int_equal(atomic_load(&w.clock.reads), before + 1);
    make_items(true);
    assert_status(aril_kv_open_batch(own, items, count, NULL), ARIL_OK);
    assert_int_equal(atomic_load(&w.clock.reads), before + 2);
    end();
}

static void a_wrong_call_writes_no_status(void **state)
{
    (void)state;
    begin(3, NULL);
    size_t failed = 4711;
    make_items(false);
    assert_status(aril_kv_seal_batch(NULL, items, count, &failed), ARIL_E_USAGE_NULL);
    assert_status(aril_kv_open_batch(NULL, items, count, &failed), ARIL_E_USAGE_NULL);
    assert_status(aril_kv_seal_batch(own, NULL, count, &failed), ARIL_E_USAGE_NULL);
    assert_status(aril_kv_open_batch(own, NULL, count, &failed), ARIL_E_USAGE_NULL);
    assert_status(aril_kv_seal_batch(own, items, ARIL_BATCH_MAX + 1, &failed), ARIL_E_USAGE_RANGE);
    assert_status(aril_kv_open_batch(own, items, ARIL_BATCH_MAX + 1, &failed), ARIL_E_USAGE_RANGE);
    assert_status(aril_kv_seal_batch(own, items, SIZE_MAX, &failed), ARIL_E_USAGE_RANGE);
    assert_int_equal(failed, 4711);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(items[i].status, 0x5c5c);
    }
    end();
}

/* --- Executors
 * ----------------------------------------------------------------------------------------- */

static unsigned runs;

/* Every second task first, from the end: any order is allowed. */
static void run_in_disorder(void *state, void (*task)(void *arg, size_t index), void *arg,
                            size_t tasks)
{
    (void)state;
    runs++;
    for (size_t half = 0; half < 2; half++) {
        for (size_t i = tasks; i-- > 0;) {
            if (i % 2 == half) {
                task(arg, i);
            }
        }
    }
}

static void the_order_of_execution_does_not_matter(void **state)
{
    (void)state;
    static const aril_executor executor = { .abi = ARIL_EXECUTOR_ABI, .run = run_in_disorder };
    const aril_policy policy = { .rotate_records = 20 };
    begin_with(MAX, 32 * 1024, &policy, false, ARIL_KV_REPEATABLE);
    aril_kv_config config = view_config();
    config.executor = &executor;
    aril_kv *kv = view_new(p.server, &config);
    runs = 0;
    seal_all(kv);
    assert_int_equal(runs, 3); /* epochs 0 to 2; in the last one are 4 records, too few */
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(info_at(i).epoch, i / 20);
        assert_int_equal(info_at(i).sequence, i % 20 + 1);
    }
    runs = 0;
    open_all(kv);
    assert_int_equal(runs, 1);
    aril_kv_free(kv);
    end();
}

/* A summary may be due at the very moment when places are reserved and not used. */
static void run_with_a_summary(void *state, void (*task)(void *arg, size_t index), void *arg,
                               size_t tasks)
{
    aril_session_flush_audit(state);
    for (size_t i = 0; i < tasks; i++) {
        task(arg, i);
    }
    aril_session_flush_audit(state);
}

static void summaries_never_count_what_was_not_sealed_twice(void **state)
{
    (void)state;
    begin_with(16, 64 * 1024, NULL, false, ARIL_KV_REPEATABLE);
    const aril_executor executor = { .abi = ARIL_EXECUTOR_ABI,
                                     .state = p.server,
                                     .run = run_with_a_summary };
    aril_kv_config config = view_config();
    config.executor = &executor;
    config.slot_pins = 4;
    aril_kv *kv = view_new(p.server, &config);
    for (size_t i = 0; i < count; i++) {
        rooms[i].block = slot_block(i, 0);
    }
    make_items(false);
    assert_status(aril_kv_seal_batch(kv, items, count, NULL), ARIL_E_BATCH);
    aril_audit_totals totals;
    assert_status(aril_audit_memory_totals(w.audit, &totals), ARIL_OK);
    assert_true(totals.records_sealed <= 16);
    for (unsigned i = 0; i < 20; i++) { /* 4 were sealed; 16 more bring it right */
        assert_status(room_open(&rooms[0], kv), ARIL_OK);
        room_seal(&rooms[0], kv);
    }
    aril_session_flush_audit(p.server);
    assert_status(aril_audit_memory_totals(w.audit, &totals), ARIL_OK);
    assert_int_equal(totals.records_sealed, 24);
    assert_int_equal(totals.bytes_sealed, 24 * 64 * 1024);
    aril_kv_free(kv);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_opens_what_a_batch_sealed),
        cmocka_unit_test(sequences_follow_the_order_of_the_items),
        cmocka_unit_test(a_batch_is_split_where_an_epoch_ends),
        cmocka_unit_test(a_batch_of_many_epochs_is_followed_by_the_peer),
        cmocka_unit_test(a_batch_is_split_by_bytes_too),
        cmocka_unit_test(no_items_are_no_work),
        cmocka_unit_test(bad_arguments_stop_only_their_own_item),
        cmocka_unit_test(a_batch_of_bad_items_only_fails_in_all),
        cmocka_unit_test(a_record_that_is_too_long_stops_nobody_else),
        cmocka_unit_test(every_record_of_a_mixed_batch_gets_its_own_status),
        cmocka_unit_test(a_record_that_is_twice_in_a_batch_opens_once),
        cmocka_unit_test(a_batch_that_is_replayed_opens_nothing),
        cmocka_unit_test(of_a_slot_that_is_twice_in_a_batch_the_later_one_is_newest),
        cmocka_unit_test(slots_without_a_place_are_refused_one_by_one),
        cmocka_unit_test(what_stops_the_session_stops_every_item),
        cmocka_unit_test(a_batch_reads_the_clock_once),
        cmocka_unit_test(a_wrong_call_writes_no_status),
        cmocka_unit_test(the_order_of_execution_does_not_matter),
        cmocka_unit_test(summaries_never_count_what_was_not_sealed_twice),
    };
    return cmocka_run_group_tests_name("kv batches", tests, NULL, NULL);
}
