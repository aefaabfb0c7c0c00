/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks that are named by their place: only the newest one of each place opens. */
#include "fixture.h"
#include <string.h>

#define ROOMS 6u

static struct world w;
static struct pair p;
static aril_kv *own, *sender, *receiver;
static struct room rooms[ROOMS];

static void begin_with(size_t pins, aril_kv_mode mode)
{
    aril_kv_config self = view_config(), peer = view_config_peer();
    self.slot_pins = peer.slot_pins = pins;
    self.mode = peer.mode = mode;
    world_init(&w);
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("tenant"), NULL);
    own = view_new(p.server, &self);
    sender = view_new(p.tenant, &peer);
    receiver = view_new(p.server, &peer);
    for (unsigned i = 0; i < ROOMS; i++) {
        const aril_kv_block block = slot_block(1, 16);
        room_init(&rooms[i], 60, i, &block);
    }
    world_forget(&w);
}

static void begin(void)
{
    begin_with(8, ARIL_KV_REPEATABLE);
}

static void end(void)
{
    for (unsigned i = 0; i < ROOMS; i++) {
        room_done(&rooms[i]);
    }
    aril_kv_free(own);
    aril_kv_free(sender);
    aril_kv_free(receiver);
    pair_done(&p);
    world_done(&w);
}

static void assert_opens(unsigned i, aril_kv *kv)
{
    assert_status(room_open(&rooms[i], kv), ARIL_OK);
    assert_true(room_is_open(&rooms[i]));
}

static void assert_refused(unsigned i, aril_kv *kv, aril_status want)
{
    assert_status(room_open(&rooms[i], kv), want);
    assert_true(room_is_clean(&rooms[i]));
}

static void an_older_block_of_a_slot_is_stale(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < ROOMS; i++) {
        room_seal(&rooms[i], own);
        assert_opens(i, own);
        for (unsigned k = 0; k < i; k++) {
            world_forget(&w);
            assert_refused(k, own, ARIL_E_REPLAY_STALE);
            assert_int_equal(world_events(&w, ARIL_EVENT_REPLAY), 1);
            assert_status(world_last(&w, ARIL_EVENT_REPLAY).status, ARIL_E_REPLAY_STALE);
        }
        assert_opens(i, own);
    }
    end();
}

static void a_new_epoch_does_not_make_an_old_block_new(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 5; i++) {
        room_seal(&rooms[5], own); /* sequences 1 to 5 */
    }
    assert_status(aril_session_rotate(p.server), ARIL_OK);
    room_seal(&rooms[0], own); /* sequence 1 of the next epoch */
    assert_opens(0, own);
    assert_refused(5, own, ARIL_E_REPLAY_STALE);
    end();
}

/* Two slots of one view: the store hands out each one's block for the other. */
static void swapped_slots_do_not_open(void **state)
{
    (void)state;
    begin();
    rooms[1].block.slot = 2;
    room_seal(&rooms[0], own);
    room_seal(&rooms[1], own);
    rooms[0].block.slot = 2;
    rooms[1].block.slot = 1;
    assert_refused(0, own, ARIL_E_REPLAY_STALE);
    assert_refused(1, own, ARIL_E_REPLAY_STALE);
    rooms[0].block.slot = 1;
    rooms[1].block.slot = 2;
    assert_opens(0, own);
    assert_opens(1, own);
    /* Two sealed by the peer: without a pin that knows better, the tag says so. */
    room_seal(&rooms[0], sender);
    room_seal(&rooms[1], sender);
    rooms[0].block.slot = 2;
    rooms[1].block.slot = 1;
    assert_refused(0, receiver, ARIL_E_AUTH);
    assert_refused(1, receiver, ARIL_E_AUTH);
    end();
}

static void every_member_of_a_slot_block_is_bound(void **state)
{
    (void)state;
    begin();
    struct room *r = &rooms[0];
    room_seal(r, sender);
    for (unsigned member = 0; member < 7; member++) {
        const aril_kv_block good = r->block;
        r->block.slot ^= member == 0;
        r->block.position ^= member == 1;
        r->block.count ^= member == 2;
        r->block.layer_first ^= member == 3;
        r->block.layer_count += member == 4;
        r->block.rank ^= member == 5;
        r->block.group ^= member == 6;
        assert_refused(0, receiver, ARIL_E_AUTH);
        r->block = good;
    }
    r->block.chain[0] ^= 1; /* has no meaning here */
    assert_opens(0, receiver);
    r->block.identity = ARIL_KV_CHAIN;
    assert_refused(0, receiver, ARIL_E_AUTH);
    end();
}

/* The place is the same, so the pin agrees; the tag does not. */
static void another_number_of_tokens_or_layers_is_another_block(void **state)
{
    (void)state;
    begin();
    room_seal(&rooms[0], own);
    rooms[0].block.count = 15;
    assert_refused(0, own, ARIL_E_AUTH);
    rooms[0].block.count = 16;
    rooms[0].block.layer_count = 2;
    assert_refused(0, own, ARIL_E_AUTH);
    rooms[0].block.layer_count = 1;
    assert_opens(0, own);
    rooms[1].block.count = 17; /* the slot has grown: this is its newest state */
    room_seal(&rooms[1], own);
    assert_refused(0, own, ARIL_E_REPLAY_STALE);
    assert_opens(1, own);
    end();
}

static void a_forgotten_slot_does_not_open(void **state)
{
    (void)state;
    begin();
    size_t forgotten = 0;
    for (unsigned i = 0; i < 3; i++) {
        rooms[i].block.position = i;
        room_seal(&rooms[i], own);
    }
    rooms[3].block.slot = 2;
    room_seal(&rooms[3], own);
    assert_status(aril_kv_forget_slot(own, 1, &forgotten), ARIL_OK);
    assert_int_equal(forgotten, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_refused(i, own, ARIL_E_REPLAY_STALE);
    }
    assert_opens(3, own);
    room_seal(&rooms[0], own); /* the slot is used again */
    assert_opens(0, own);
    assert_refused(1, own, ARIL_E_REPLAY_STALE);
    assert_status(aril_kv_forget_slot(own, 77, &forgotten), ARIL_OK);
    assert_int_equal(forgotten, 0);
    end();
}

static void a_full_table_refuses_new_slots_and_seals_nothing(void **state)
{
    (void)state;
    begin_with(2, ARIL_KV_REPEATABLE);
    aril_session_info info;
    for (unsigned i = 0; i < 3; i++) {
        rooms[i].block.slot = i;
    }
    room_seal(&rooms[0], own);
    room_seal(&rooms[1], own);
    aril_kv_item item = room_sealing(&rooms[2]);
    assert_status(aril_kv_seal(own, &item), ARIL_E_LIMIT_PINS);
    assert_true(is_filled(rooms[2].body.data, 60, GUARD_FILLER));
    assert_true(is_filled(rooms[2].seal.data, ARIL_SEAL_BYTES, GUARD_FILLER));
    assert_status(aril_session_get_info(p.server, &info), ARIL_OK);
    assert_int_equal(info.direction[1].records_sealed, 2);
    assert_int_equal(info.direction[1].bytes_sealed, 120);
    room_seal(&rooms[0], own); /* known places go on */
    assert_opens(0, own);
    assert_opens(1, own);
    rooms[3].block = chain_block(1);
    room_seal(&rooms[3], own); /* and chains need none */
    assert_status(aril_kv_forget_slot(own, 1, NULL), ARIL_OK);
    room_seal(&rooms[2], own);
    assert_opens(2, own);
    end();
}

/* --- From the peer -------------------------------------------------------------------------------
 */

static void a_block_of_the_peer_must_not_be_older_than_what_was_seen(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 4; i++) {
        room_seal(&rooms[i], sender);
    }
    assert_opens(1, receiver);
    assert_refused(0, receiver, ARIL_E_REPLAY_STALE);
    assert_opens(1, receiver); /* repeatable */
    assert_opens(3, receiver);
    assert_refused(2, receiver, ARIL_E_REPLAY_STALE);
    assert_refused(1, receiver, ARIL_E_REPLAY_STALE);
    assert_status(aril_session_rotate(p.tenant), ARIL_OK);
    room_seal(&rooms[4], sender);
    assert_opens(4, receiver);
    assert_refused(3, receiver, ARIL_E_REPLAY_STALE);
    end();
}

static void a_forged_block_of_the_peer_pins_nothing(void **state)
{
    (void)state;
    begin();
    room_seal(&rooms[0], sender);
    room_seal(&rooms[1], sender);
    rooms[1].body.data[3] ^= 1;
    assert_refused(1, receiver, ARIL_E_AUTH);
    assert_opens(0, receiver);
    end();
}

static void once_and_slots_go_together(void **state)
{
    (void)state;
    begin_with(8, ARIL_KV_ONCE);
    for (unsigned i = 0; i < 3; i++) {
        room_seal(&rooms[i], sender);
    }
    assert_opens(1, receiver);
    assert_refused(1, receiver, ARIL_E_REPLAY);
    assert_refused(0, receiver, ARIL_E_REPLAY_STALE);
    assert_opens(2, receiver);
    end();
}

static void a_forgotten_slot_of_the_peer_must_be_newer(void **state)
{
    (void)state;
    begin();
    room_seal(&rooms[0], sender);
    room_seal(&rooms[1], sender);
    assert_opens(1, receiver);
    assert_status(aril_kv_forget_slot(receiver, 1, NULL), ARIL_OK);
    assert_refused(0, receiver, ARIL_E_REPLAY_STALE);
    assert_refused(1, receiver, ARIL_E_REPLAY_STALE);
    room_seal(&rooms[2], sender);
    assert_opens(2, receiver);
    end();
}

static void a_full_table_refuses_new_slots_of_the_peer(void **state)
{
    (void)state;
    begin_with(1, ARIL_KV_REPEATABLE);
    rooms[1].block.slot = 2;
    room_seal(&rooms[0], sender);
    room_seal(&rooms[1], sender); /* a sender pins nothing: the other end does */
    assert_opens(0, receiver);
    assert_refused(1, receiver, ARIL_E_LIMIT_PINS);
    assert_status(aril_kv_forget_slot(receiver, 1, NULL), ARIL_OK);
    assert_opens(1, receiver);
    end();
}

/* Both ends write to the same place: ages of one direction say nothing about the other. */
static void the_two_directions_of_a_slot_do_not_meet(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 20; i++) {
        room_seal(&rooms[5], receiver); /* the server's sequence runs ahead */
    }
    room_seal(&rooms[0], sender); /* sequence 1 of the tenant */
    assert_opens(0, receiver);
    assert_opens(5, sender);
    room_seal(&rooms[1], receiver);
    assert_opens(0, receiver);
    assert_opens(1, sender);
    assert_refused(5, sender, ARIL_E_REPLAY_STALE);
    end();
}

static void pins_belong_to_their_view(void **state)
{
    (void)state;
    begin();
    const aril_kv_config config = view_config();
    aril_kv *second = view_new(p.server, &config);
    room_seal(&rooms[0], own);
    assert_refused(0, second, ARIL_E_REPLAY_STALE); /* knows nothing of it */
    room_seal(&rooms[1], second);
    assert_opens(0, own);
    assert_opens(1, second);
    assert_refused(1, own, ARIL_E_REPLAY_STALE);
    aril_kv_free(second);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_older_block_of_a_slot_is_stale),
        cmocka_unit_test(a_new_epoch_does_not_make_an_old_block_new),
        cmocka_unit_test(swapped_slots_do_not_open),
        cmocka_unit_test(every_member_of_a_slot_block_is_bound),
        cmocka_unit_test(another_number_of_tokens_or_layers_is_another_block),
        cmocka_unit_test(a_forgotten_slot_does_not_open),
        cmocka_unit_test(a_full_table_refuses_new_slots_and_seals_nothing),
        cmocka_unit_test(a_block_of_the_peer_must_not_be_older_than_what_was_seen),
        cmocka_unit_test(a_forged_block_of_the_peer_pins_nothing),
        cmocka_unit_test(once_and_slots_go_together),
        cmocka_unit_test(a_forgotten_slot_of_the_peer_must_be_newer),
        cmocka_unit_test(a_full_table_refuses_new_slots_of_the_peer),
        cmocka_unit_test(the_two_directions_of_a_slot_do_not_meet),
        cmocka_unit_test(pins_belong_to_their_view),
    };
    return cmocka_run_group_tests_name("kv slots", tests, NULL, NULL);
}
