/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation and each primitive of a view fails once, and ciphers stop half-way. Each
 * time: the exact status, no plaintext and no half record, no nonce used twice (the world
 * watches), and the same call works afterwards. */
#include "crypto/runtime.h"
#include "fault_alloc.h"
#include "faulty_world.h"
#include "provider.h"
#include <string.h>

#define BATCH 12u

static struct faulty_world f;
static struct pair p;
static aril_kv *own, *sender, *receiver;
static struct room rooms[BATCH];

static void begin(const aril_policy *policy, aril_kv_mode mode, size_t slot_pins)
{
    aril_kv_config self = view_config(), peer = view_config_peer();
    self.mode = peer.mode = mode;
    self.slot_pins = peer.slot_pins = slot_pins;
    faulty_world_init(&f);
    faulty_pair_init(&f, &p, policy);
    own = view_new(p.server, &self);
    sender = view_new(p.tenant, &peer);
    receiver = view_new(p.server, &peer);
    for (unsigned i = 0; i < BATCH; i++) {
        const aril_kv_block block = slot_pins > 0 ? slot_block(i, 0) : chain_block(i);
        room_init(&rooms[i], 90, i, &block);
    }
}

static void end(void)
{
    for (unsigned i = 0; i < BATCH; i++) {
        room_done(&rooms[i]);
    }
    aril_kv_free(own);
    aril_kv_free(sender);
    aril_kv_free(receiver);
    pair_done(&p);
    faulty_world_done(&f);
}

/* Body and seal were not written, or hold zeros. */
static void assert_nothing_sealed(const struct room *r)
{
    assert_true(is_filled(r->body.data, r->len, 0) ||
                is_filled(r->body.data, r->len, GUARD_FILLER));
    assert_true(is_filled(r->seal.data, ARIL_SEAL_BYTES, 0) ||
                is_filled(r->seal.data, ARIL_SEAL_BYTES, GUARD_FILLER));
    room_check(r);
}

/* --- Views ------------------------------------------------------------------------------------ */

static void a_view_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    begin(NULL, ARIL_KV_REPEATABLE, 8);
    const aril_kv_config config = view_config();
    for (int what = 0; what < FAULTS; what++) {
        for (unsigned n = 1;; n++) {
            aril_kv *kv = (aril_kv *)&f;
            fault_arm(&f, (enum fault)what, n);
            const aril_status st = aril_kv_new(p.server, &config, &kv);
            if (!fault_disarm(&f, (enum fault)what)) {
                assert_status(st, ARIL_OK);
                aril_kv_free(kv);
                assert_true(n > 2);
                break;
            }
            assert_fault(&f, (enum fault)what, n, st);
            assert_null(kv);
        }
    }
    aril_kv *kv = (aril_kv *)&f;
    faulty_crypto_arm_random(f.crypto, ARIL_E_RANDOM);
    assert_status(aril_kv_new(p.server, &config, &kv), ARIL_E_RANDOM);
    assert_null(kv);
    faulty_crypto_disarm(f.crypto);
    end(); /* no view kept a hold on the session */
}

/* --- Sealing ------------------------------------------------------------------------------------
 */

/* One seal with its nth call failing, in a fresh world; whether the fault was met. */
static bool one_seal(const aril_policy *policy, unsigned before, size_t slot_pins, enum fault what,
                     unsigned n)
{
    begin(policy, ARIL_KV_REPEATABLE, slot_pins);
    for (unsigned i = 0; i < before; i++) {
        room_seal(&rooms[1], own);
    }
    aril_kv_item item = room_sealing(&rooms[0]);
    fault_arm(&f, what, n);
    const aril_status st = aril_kv_seal(own, &item);
    const bool fired = fault_disarm(&f, what);
    assert_status(item.status, st);
    if (fired) {
        assert_fault(&f, what, n, st);
        assert_nothing_sealed(&rooms[0]);
        aril_session_info info;
        assert_status(aril_session_get_info(p.server, &info), ARIL_OK);
        assert_int_equal(info.direction[1].records_sealed, before);
        assert_int_equal(info.direction[1].bytes_sealed, 90 * before);
        if (slot_pins == 1) { /* the place was given back */
            room_seal(&rooms[2], own);
            assert_status(room_open(&rooms[2], own), ARIL_OK);
            assert_status(aril_kv_forget_slot(own, 2, NULL), ARIL_OK);
        }
        room_seal(&rooms[0], own);
    } else {
        assert_status(st, ARIL_OK);
    }
    assert_status(room_open(&rooms[0], own), ARIL_OK);
    assert_true(room_is_open(&rooms[0]));
    end();
    return fired;
}

static void sealing_survives_every_fault(void **state)
{
    (void)state;
    const aril_policy each_rotates = { .rotate_records = 1 };
    for (int what = 0; what < FAULTS; what++) {
        unsigned n = 1;
        while (one_seal(NULL, 0, 0, (enum fault)what, n)) {
            n++;
        }
        assert_true(n > 2);
        n = 1;
        while (one_seal(NULL, 0, 1, (enum fault)what, n)) { /* a slot, and room for one */
            n++;
        }
        assert_true(n > 2);
        n = 1;
        while (one_seal(&each_rotates, 1, 0, (enum fault)what, n)) {
            n++;
        }
        assert_true(n > 2);
    }
}

/* --- Opening
 * --------------------------------------------------------------------------------------- */

/* The record is `ahead` epochs ahead of what the opener knows. */
static bool one_open(uint32_t ahead, aril_kv_mode mode, bool staged, enum fault what, unsigned n)
{
    begin(NULL, mode, 0);
    for (uint32_t i = 0; i < ahead; i++) {
        assert_status(aril_session_rotate(p.tenant), ARIL_OK);
    }
    room_seal(&rooms[0], sender);
    aril_kv_item item = room_opening(&rooms[0]);
    item.staging = staged ? rooms[0].staging.data : NULL;
    fault_arm(&f, what, n);
    const aril_status st = aril_kv_open(receiver, &item);
    const bool fired = fault_disarm(&f, what);
    assert_status(item.status, st);
    if (fired) {
        assert_fault(&f, what, n, st);
        assert_true(room_is_clean(&rooms[0]));
        assert_true(!is_pattern(rooms[0].staging.data, 90, 0));
        aril_session_info info;
        assert_status(aril_session_get_info(p.server, &info), ARIL_OK);
        assert_int_equal(info.direction[0].records_opened, 0);
        assert_status(aril_kv_open(receiver, &item), ARIL_OK); /* once, too */
    } else {
        assert_status(st, ARIL_OK);
    }
    assert_true(room_is_open(&rooms[0]));
    assert_status(room_open(&rooms[0], receiver), mode == ARIL_KV_ONCE ? ARIL_E_REPLAY : ARIL_OK);
    end();
    return fired;
}

static void opening_survives_every_fault(void **state)
{
    (void)state;
    static const uint32_t ahead[] = { 0, 1, 3, 8 };
    for (size_t a = 0; a < COUNT(ahead); a++) {
        for (int what = 0; what < FAULTS; what++) {
            for (int staged = 0; staged <= 1; staged++) {
                unsigned n = 1;
                while (one_open(ahead[a], staged ? ARIL_KV_ONCE : ARIL_KV_REPEATABLE, staged != 0,
                                (enum fault)what, n)) {
                    n++;
                }
                assert_true(what != FAULT_CRYPTO || n > 1 + ahead[a]);
            }
        }
    }
}

/* --- Batches
 * ------------------------------------------------------------------------------------------ */

/* Each item is refused with the fault's status, or is a whole record. */
static size_t settle(aril_kv_item *items, enum fault what, unsigned n, size_t failed)
{
    size_t bad = 0;
    for (unsigned i = 0; i < BATCH; i++) {
        if (items[i].status == ARIL_OK) {
            continue;
        }
        assert_fault(&f, what, n, items[i].status);
        bad++;
    }
    assert_int_equal(bad, failed);
    return bad;
}

static bool one_batch(enum fault what, unsigned n)
{
    const aril_policy policy = { .rotate_records = 5 }; /* three epochs */
    aril_kv_item items[BATCH];
    size_t failed = 0;
    begin(&policy, ARIL_KV_ONCE, 0);
    for (unsigned i = 0; i < BATCH; i++) {
        items[i] = room_sealing(&rooms[i]);
    }
    fault_arm(&f, what, n);
    aril_status st = aril_kv_seal_batch(sender, items, BATCH, &failed);
    bool fired = fault_disarm(&f, what);
    assert_status(st, fired ? ARIL_E_BATCH : ARIL_OK);
    assert_true(settle(items, what, n, failed) > 0 || !fired);
    for (unsigned i = 0; i < BATCH; i++) {
        if (items[i].status != ARIL_OK) {
            assert_nothing_sealed(&rooms[i]);
            room_seal(&rooms[i], sender);
        }
    }
    for (unsigned i = 0; i < BATCH; i++) {
        items[i] = room_opening(&rooms[i]);
    }
    fault_arm(&f, what, n);
    st = aril_kv_open_batch(receiver, items, BATCH, &failed);
    const bool fired_again = fault_disarm(&f, what);
    assert_status(st, fired_again ? ARIL_E_BATCH : ARIL_OK);
    assert_true(settle(items, what, n, failed) > 0 || !fired_again);
    for (unsigned i = 0; i < BATCH; i++) {
        if (items[i].status == ARIL_OK) {
            assert_true(room_is_open(&rooms[i]));
            continue;
        }
        assert_true(room_is_clean(&rooms[i]));
        assert_status(room_open(&rooms[i], receiver), ARIL_OK);
    }
    end();
    return fired || fired_again;
}

static void batches_survive_every_fault(void **state)
{
    (void)state;
    for (int what = 0; what < FAULTS; what++) {
        unsigned n = 1;
        while (one_batch((enum fault)what, n)) {
            n++;
        }
        assert_true(n > 2);
    }
}

/* --- Ciphers that stop half-way
 * --------------------------------------------------------------------- */

static aril_status stop_half_way(struct arili_aead_ctx *ctx,
                                 const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes aad,
                                 const aril_bytes *spans, size_t count, uint8_t *ret_body,
                                 uint8_t ret_tag[ARILI_AEAD_TAG_BYTES])
{
    (void)ctx;
    (void)nonce;
    (void)aad;
    (void)spans;
    (void)count;
    memset(ret_body, 0x3c, 45); /* of 90 */
    memset(ret_tag, 0x3c, 3);
    return ARIL_E_CRYPTO;
}

static aril_status stop_half_way_open(struct arili_aead_ctx *ctx,
                                      const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes aad,
                                      aril_bytes body, const uint8_t tag[ARILI_AEAD_TAG_BYTES],
                                      const aril_span *ret_spans, size_t count)
{
    (void)ctx;
    (void)nonce;
    (void)aad;
    (void)body;
    (void)tag;
    memset(ret_spans[count - 1].data, 0x3c, ret_spans[count - 1].len / 2); /* "plaintext" */
    return ARIL_E_CRYPTO;
}

static void half_a_record_is_wiped(void **state)
{
    (void)state;
    begin(NULL, ARIL_KV_REPEATABLE, 0);
    const struct arili_crypto_ops *genuine = f.w.rt->crypto.ops;
    struct arili_crypto_ops broken = *genuine;
    broken.aead_seal = stop_half_way;
    broken.aead_open = stop_half_way_open;
    for (int staged = 0; staged <= 1; staged++) {
        struct room *r = &rooms[staged];
        f.w.rt->crypto.ops = &broken;
        aril_kv_item item = room_sealing(r);
        item.staging = staged ? r->staging.data : NULL;
        assert_status(aril_kv_seal(own, &item), ARIL_E_CRYPTO);
        assert_nothing_sealed(r);
        f.w.rt->crypto.ops = genuine;
        room_seal(r, own);
        f.w.rt->crypto.ops = &broken;
        item = room_opening(r);
        item.staging = staged ? r->staging.data : NULL;
        room_reset_out(r);
        assert_status(aril_kv_open(own, &item), ARIL_E_CRYPTO);
        assert_true(is_filled(r->out.data, r->len, staged ? GUARD_FILLER : 0));
        assert_true(is_filled(r->staging.data, r->len, staged ? 0 : GUARD_FILLER));
        f.w.rt->crypto.ops = genuine;
        assert_status(room_open(r, own), ARIL_OK);
    }
    end();
}

/* In place there is nothing to go back to: neither plaintext nor a record, so zeros. */
static void in_place_half_a_record_becomes_zeros(void **state)
{
    (void)state;
    begin(NULL, ARIL_KV_REPEATABLE, 0);
    const struct arili_crypto_ops *genuine = f.w.rt->crypto.ops;
    struct arili_crypto_ops broken = *genuine;
    struct room *r = &rooms[0];
    broken.aead_seal = stop_half_way;
    aril_kv_item item = room_sealing(r);
    item.body = r->plain.data;
    item.flags = ARIL_KV_IN_PLACE;
    faulty_crypto_arm(f.crypto, 1, ARIL_E_CRYPTO); /* no context: nothing was touched yet */
    assert_status(aril_kv_seal(own, &item), ARIL_E_CRYPTO);
    faulty_crypto_disarm(f.crypto);
    room_check(r);
    f.w.rt->crypto.ops = &broken;
    assert_status(aril_kv_seal(own, &item), ARIL_E_CRYPTO);
    f.w.rt->crypto.ops = genuine;
    assert_true(is_filled(r->plain.data, r->len, 0));
    assert_true(is_filled(r->seal.data, ARIL_SEAL_BYTES, 0) ||
                is_filled(r->seal.data, ARIL_SEAL_BYTES, GUARD_FILLER));
    fill_pattern(r->plain.data, r->len, r->seed);
    end();
}

/* A sequence whose cipher failed is never used again, whatever is sealed next. */
static void a_failed_record_burns_its_sequence(void **state)
{
    (void)state;
    aril_seal_info info;
    begin(NULL, ARIL_KV_REPEATABLE, 0);
    room_seal(&rooms[0], own); /* makes the context */
    for (unsigned i = 0; i < 5; i++) {
        aril_kv_item item = room_sealing(&rooms[1]);
        faulty_crypto_arm(f.crypto, 1, ARIL_E_CRYPTO);
        assert_status(aril_kv_seal(own, &item), ARIL_E_CRYPTO);
        assert_string_equal(faulty_crypto_last(f.crypto), "aead_seal");
        faulty_crypto_disarm(f.crypto);
    }
    room_seal(&rooms[1], own);
    assert_status(aril_seal_inspect(rooms[1].seal.data, &info), ARIL_OK);
    assert_int_equal(info.sequence, 7);
    aril_session_info session;
    assert_status(aril_session_get_info(p.server, &session), ARIL_OK);
    assert_int_equal(session.direction[1].records_sealed, 2);
    assert_true(faulty_world_nonces() >= 7);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_is_made_whole_or_not_at_all),
        cmocka_unit_test(sealing_survives_every_fault),
        cmocka_unit_test(opening_survives_every_fault),
        cmocka_unit_test(batches_survive_every_fault),
        cmocka_unit_test(half_a_record_is_wiped),
        cmocka_unit_test(in_place_half_a_record_becomes_zeros),
        cmocka_unit_test(a_failed_record_burns_its_sequence),
    };
    return cmocka_run_group_tests_name("kv faults", tests, provider_setup, provider_teardown);
}
