/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/pins.h"
#include "fixture.h"
#include <string.h>

static struct arili_pins *pins_new(size_t capacity, uint64_t seed)
{
    struct arili_pins *p = NULL;
    assert_status(arili_pins_new(capacity, seed, &p), ARIL_OK);
    assert_non_null(p);
    return p;
}

static struct arili_pin_age age(uint32_t epoch, uint64_t sequence)
{
    return (struct arili_pin_age){ epoch, sequence };
}

/* As sealing does it. */
static aril_status seal(struct arili_pins *p, const aril_kv_block *b, struct arili_pin_age a)
{
    const aril_status st = arili_pins_reserve(p, b);
    if (st == ARIL_OK) {
        arili_pins_sealed(p, b, a);
    }
    return st;
}

/* --- Own records --------------------------------------------------------------------------- */

static void only_the_newest_record_of_a_place_opens(void **state)
{
    (void)state;
    struct arili_pins *p = pins_new(4, 1);
    const aril_kv_block b = slot_block(1, 0);
    assert_status(arili_pins_check_self(p, &b, age(0, 1)), ARIL_E_REPLAY_STALE);
    assert_status(seal(p, &b, age(0, 1)), ARIL_OK);
    assert_status(arili_pins_check_self(p, &b, age(0, 1)), ARIL_OK);
    assert_status(arili_pins_check_self(p, &b, age(0, 1)), ARIL_OK); /* as often as wanted */
    assert_status(seal(p, &b, age(0, 2)), ARIL_OK);
    assert_status(arili_pins_check_self(p, &b, age(0, 1)), ARIL_E_REPLAY_STALE);
    assert_status(arili_pins_check_self(p, &b, age(0, 2)), ARIL_OK);
    assert_status(arili_pins_check_self(p, &b, age(0, 3)), ARIL_E_REPLAY_STALE);
    assert_status(arili_pins_check_self(p, &b, age(1, 2)), ARIL_E_REPLAY_STALE);
    assert_status(seal(p, &b, age(1, 1)), ARIL_OK); /* a later epoch is newer */
    assert_status(arili_pins_check_self(p, &b, age(0, 2)), ARIL_E_REPLAY_STALE);
    assert_status(arili_pins_check_self(p, &b, age(1, 1)), ARIL_OK);
    arili_pins_free(p);
}

static void a_late_older_seal_does_not_win(void **state)
{
    (void)state;
    struct arili_pins *p = pins_new(4, 1);
    const aril_kv_block b = slot_block(1, 0);
    assert_status(seal(p, &b, age(2, 10)), ARIL_OK);
    arili_pins_sealed(p, &b, age(2, 9));
    arili_pins_sealed(p, &b, age(1, 1000));
    assert_status(arili_pins_check_self(p, &b, age(2, 10)), ARIL_OK);
    arili_pins_free(p);
}

static void a_reserved_place_opens_nothing(void **state)
{
    (void)state;
    struct arili_pins *p = pins_new(4, 1);
    const aril_kv_block b = slot_block(1, 0);
    assert_status(arili_pins_reserve(p, &b), ARIL_OK);
    assert_status(arili_pins_check_self(p, &b, age(0, 1)), ARIL_E_REPLAY_STALE);
    arili_pins_free(p);
}

static void a_place_is_made_of_five_members(void **state)
{
    (void)state;
    struct arili_pins *p = pins_new(16, 1);
    aril_kv_block b = slot_block(5, 6);
    assert_status(seal(p, &b, age(0, 1)), ARIL_OK);
    for (unsigned member = 0; member < 5; member++) {
        aril_kv_block other = b;
        other.slot ^= member == 0;
        other.position ^= member == 1;
        other.layer_first ^= member == 2;
        other.rank ^= member == 3;
        other.group ^= member == 4;
        assert_status(arili_pins_check_self(p, &other, age(0, 1)), ARIL_E_REPLAY_STALE);
        assert_status(seal(p, &other, age(0, 2 + member)), ARIL_OK);
        assert_status(arili_pins_check_self(p, &other, age(0, 2 + member)), ARIL_OK);
    }
    assert_status(arili_pins_check_self(p, &b, age(0, 1)), ARIL_OK);
    /* Layers and tokens of one place may change from record to record. */
    b.layer_count = 7;
    b.count = 3;
    assert_status(arili_pins_check_self(p, &b, age(0, 1)), ARIL_OK);
    assert_status(seal(p, &b, age(0, 9)), ARIL_OK);
    assert_status(arili_pins_check_self(p, &b, age(0, 1)), ARIL_E_REPLAY_STALE);
    arili_pins_free(p);
}

static void a_full_table_refuses_new_places_only(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity <= 40; capacity++) {
        struct arili_pins *p = pins_new(capacity, capacity);
        for (size_t i = 0; i < capacity; i++) {
            const aril_kv_block b = slot_block(i, i);
            assert_status(seal(p, &b, age(0, i + 1)), ARIL_OK);
        }
        const aril_kv_block extra = slot_block(1000, 0);
        assert_status(arili_pins_reserve(p, &extra), ARIL_E_LIMIT_PINS);
        for (size_t i = 0; i < capacity; i++) {
            const aril_kv_block b = slot_block(i, i);
            assert_status(arili_pins_check_self(p, &b, age(0, i + 1)), ARIL_OK);
            assert_status(seal(p, &b, age(1, i + 1)), ARIL_OK);
        }
        assert_int_equal(arili_pins_forget(p, 0), 1); /* makes room for one */
        assert_status(arili_pins_reserve(p, &extra), ARIL_OK);
        assert_status(arili_pins_reserve(p, &(aril_kv_block){ .slot = 2000 }), ARIL_E_LIMIT_PINS);
        arili_pins_free(p);
    }
}

static void a_place_that_was_never_sealed_is_given_back(void **state)
{
    (void)state;
    struct arili_pins *p = pins_new(1, 1);
    const aril_kv_block a = slot_block(1, 0), b = slot_block(2, 0);
    assert_status(arili_pins_reserve(p, &a), ARIL_OK);
    assert_status(arili_pins_reserve(p, &b), ARIL_E_LIMIT_PINS);
    arili_pins_unreserve(p, &a);
    assert_status(seal(p, &b, age(0, 1)), ARIL_OK);
    assert_status(arili_pins_reserve(p, &b), ARIL_OK);
    arili_pins_unreserve(p, &b); /* a later seal failed: the older record stays the newest */
    assert_status(arili_pins_check_self(p, &b, age(0, 1)), ARIL_OK);
    arili_pins_unreserve(p, &a); /* not there: nothing happens */
    assert_status(arili_pins_check_self(p, &b, age(0, 1)), ARIL_OK);
    arili_pins_free(p);
}

/* Two threads seal for one new place, and one of them fails: the other's record counts. */
static void a_place_that_another_thread_is_sealing_for_is_kept(void **state)
{
    (void)state;
    struct arili_pins *p = pins_new(1, 1);
    const aril_kv_block b = slot_block(1, 0);
    assert_status(arili_pins_reserve(p, &b), ARIL_OK);
    assert_status(arili_pins_reserve(p, &b), ARIL_OK);
    arili_pins_unreserve(p, &b);
    arili_pins_sealed(p, &b, age(0, 2));
    assert_status(arili_pins_check_self(p, &b, age(0, 2)), ARIL_OK);
    arili_pins_free(p);
}

static void a_forgotten_slot_opens_nothing_of_ours(void **state)
{
    (void)state;
    struct arili_pins *p = pins_new(16, 1);
    for (uint64_t position = 0; position < 5; position++) {
        const aril_kv_block b = slot_block(1, position), other = slot_block(2, position);
        assert_status(seal(p, &b, age(0, position + 1)), ARIL_OK);
        assert_status(seal(p, &other, age(0, position + 100)), ARIL_OK);
    }
    assert_int_equal(arili_pins_forget(p, 1), 5);
    assert_int_equal(arili_pins_forget(p, 1), 0);
    assert_int_equal(arili_pins_forget(p, 3), 0);
    for (uint64_t position = 0; position < 5; position++) {
        const aril_kv_block b = slot_block(1, position), other = slot_block(2, position);
        assert_status(arili_pins_check_self(p, &b, age(0, position + 1)), ARIL_E_REPLAY_STALE);
        assert_status(arili_pins_check_self(p, &other, age(0, position + 100)), ARIL_OK);
        arili_pins_sealed(p, &b, age(0, 200)); /* finished after it was forgotten */
        assert_status(arili_pins_check_self(p, &b, age(0, 200)), ARIL_E_REPLAY_STALE);
    }
    arili_pins_free(p);
}

/* --- Records of the peer -------------------------------------------------------------------- */

static aril_status receive(struct arili_pins *p, const aril_kv_block *b, struct arili_pin_age a)
{
    const aril_status st = arili_pins_check_peer(p, b, a);
    return st != ARIL_OK ? st : arili_pins_verified(p, b, a);
}

static void a_record_of_the_peer_must_not_be_older_than_the_last(void **state)
{
    (void)state;
    struct arili_pins *p = pins_new(4, 1);
    const aril_kv_block b = slot_block(1, 0);
    assert_status(receive(p, &b, age(0, 5)), ARIL_OK);
    assert_status(receive(p, &b, age(0, 5)), ARIL_OK); /* once is another rule's affair */
    assert_status(receive(p, &b, age(0, 4)), ARIL_E_REPLAY_STALE);
    assert_status(receive(p, &b, age(0, 9)), ARIL_OK);
    assert_status(receive(p, &b, age(0, 5)), ARIL_E_REPLAY_STALE);
    assert_status(receive(p, &b, age(1, 1)), ARIL_OK);
    assert_status(receive(p, &b, age(0, 1000)), ARIL_E_REPLAY_STALE);
    arili_pins_free(p);
}

static void a_check_without_verification_pins_nothing(void **state)
{
    (void)state;
    struct arili_pins *p = pins_new(1, 1);
    const aril_kv_block a = slot_block(1, 0), b = slot_block(2, 0);
    assert_status(arili_pins_check_peer(p, &a, age(9, 9)), ARIL_OK); /* forged */
    assert_status(receive(p, &a, age(0, 1)), ARIL_OK);
    assert_status(arili_pins_check_peer(p, &b, age(0, 2)), ARIL_E_LIMIT_PINS);
    assert_status(arili_pins_verified(p, &b, age(0, 2)), ARIL_E_LIMIT_PINS);
    assert_status(receive(p, &a, age(0, 3)), ARIL_OK);
    arili_pins_free(p);
}

/* What another thread verified between check and verification counts. */
static void the_verification_decides(void **state)
{
    (void)state;
    struct arili_pins *p = pins_new(2, 1);
    const aril_kv_block b = slot_block(1, 0);
    assert_status(arili_pins_check_peer(p, &b, age(0, 5)), ARIL_OK);
    assert_status(receive(p, &b, age(0, 6)), ARIL_OK);
    assert_status(arili_pins_verified(p, &b, age(0, 5)), ARIL_E_REPLAY_STALE);
    arili_pins_free(p);
}

static void after_forgetting_the_peer_must_be_newer_than_all_that_was_forgotten(void **state)
{
    (void)state;
    struct arili_pins *p = pins_new(8, 1);
    const aril_kv_block a = slot_block(1, 0), b = slot_block(1, 1), c = slot_block(2, 0);
    assert_status(receive(p, &a, age(0, 5)), ARIL_OK);
    assert_status(receive(p, &b, age(1, 3)), ARIL_OK);
    assert_status(receive(p, &c, age(0, 7)), ARIL_OK);
    assert_int_equal(arili_pins_forget(p, 1), 2);
    assert_status(receive(p, &a, age(0, 5)), ARIL_E_REPLAY_STALE);
    assert_status(receive(p, &a, age(0, 900)), ARIL_E_REPLAY_STALE); /* older than b's */
    assert_status(receive(p, &a, age(1, 3)), ARIL_E_REPLAY_STALE);
    assert_status(receive(p, &a, age(1, 4)), ARIL_OK);
    assert_status(receive(p, &c, age(0, 7)), ARIL_OK); /* still pinned by its own age */
    assert_int_equal(arili_pins_forget(p, 2), 1);      /* the floor does not sink */
    assert_status(receive(p, &b, age(0, 8)), ARIL_E_REPLAY_STALE);
    assert_status(receive(p, &b, age(1, 4)), ARIL_OK);
    arili_pins_free(p);
}

/* --- Against a list that is searched from end to end
 * ---------------------------------------------- */

#define PLACES 60u
struct reference {
    struct {
        bool used;
        aril_kv_block block;
        struct arili_pin_age age;
        unsigned pending; /* reserved, and neither sealed nor given back */
    } places[PLACES];
    size_t used, capacity;
    struct arili_pin_age floor;
};

static bool older(struct arili_pin_age a, struct arili_pin_age b)
{
    return a.epoch < b.epoch || (a.epoch == b.epoch && a.sequence < b.sequence);
}

static aril_kv_block block_number(size_t i)
{
    aril_kv_block b = slot_block(i % 6, i / 6 % 5);
    b.rank = (uint32_t)(i / 30);
    return b;
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static aril_status reference_reserve(struct reference *r, size_t i)
{
    if (!r->places[i].used) {
        if (r->used == r->capacity) {
            return ARIL_E_LIMIT_PINS;
        }
        r->used++;
        r->places[i].used = true;
        r->places[i].age = age(0, 0);
        r->places[i].pending = 0;
    }
    return ARIL_OK;
}

static aril_status reference_peer(struct reference *r, size_t i, struct arili_pin_age a)
{
    const bool used = r->places[i].used;
    if (used ? older(a, r->places[i].age) : !older(r->floor, a)) {
        return ARIL_E_REPLAY_STALE;
    }
    const aril_status st = reference_reserve(r, i);
    if (st == ARIL_OK) {
        r->places[i].age = a;
    }
    return st;
}

static size_t reference_forget(struct reference *r, uint64_t slot)
{
    size_t n = 0;
    for (size_t i = 0; i < PLACES; i++) {
        if (r->places[i].used && block_number(i).slot == slot) {
            r->floor = older(r->floor, r->places[i].age) ? r->places[i].age : r->floor;
            r->places[i].used = false;
            r->used--;
            n++;
        }
    }
    return n;
}

static void one_random_operation(struct arili_pins *p, struct reference *r, uint64_t *x)
{
    const size_t i = next_random(x) % PLACES;
    const aril_kv_block b = block_number(i);
    const struct arili_pin_age a = age((uint32_t)(next_random(x) % 3), 1 + next_random(x) % 50);
    switch (next_random(x) % 10) {
    case 0:
    case 1:
    case 2: {
        const aril_status want = reference_reserve(r, i);
        assert_status(arili_pins_reserve(p, &b), want);
        r->places[i].pending += want == ARIL_OK;
        break;
    }
    case 3:
    case 4:
    case 5:
        arili_pins_sealed(p, &b, a);
        r->places[i].pending -= r->places[i].used && r->places[i].pending > 0;
        if (r->places[i].used && older(r->places[i].age, a)) {
            r->places[i].age = a;
        }
        break;
    case 6:
        arili_pins_unreserve(p, &b);
        r->places[i].pending -= r->places[i].used && r->places[i].pending > 0;
        if (r->places[i].used && r->places[i].age.sequence == 0 && r->places[i].pending == 0) {
            r->places[i].used = false;
            r->used--;
        }
        break;
    case 7:
    case 8: {
        const aril_status want = reference_peer(r, i, a);
        assert_status(arili_pins_verified(p, &b, a), want);
        break;
    }
    default:
        assert_int_equal(arili_pins_forget(p, b.slot), reference_forget(r, b.slot));
        break;
    }
}

static void assert_agree(struct arili_pins *p, const struct reference *r)
{
    for (size_t i = 0; i < PLACES; i++) {
        const aril_kv_block b = block_number(i);
        const bool used = r->places[i].used;
        const struct arili_pin_age a = used ? r->places[i].age : age(0, 1);
        assert_status(arili_pins_check_self(p, &b, a), used ? ARIL_OK : ARIL_E_REPLAY_STALE);
        const struct arili_pin_age newest = age(UINT32_MAX, 1);
        assert_status(arili_pins_check_peer(p, &b, newest),
                      used || r->used < r->capacity ? ARIL_OK : ARIL_E_LIMIT_PINS);
    }
}

/* Small tables collide and shift all the time; several seeds, so several orders. */
static void random_operations_agree_with_a_plain_list(void **state)
{
    (void)state;
    static const size_t capacities[] = { 1, 2, 3, 5, 6, 7, 11, 12, 13, 24, 40, 60, 100 };
    for (size_t c = 0; c < COUNT(capacities); c++) {
        for (uint64_t seed = 0; seed < 8; seed++) {
            struct reference r = { .capacity = capacities[c] };
            struct arili_pins *p = pins_new(capacities[c], seed * UINT64_C(0x123456789abcdef));
            uint64_t x = seed * 1000 + c + 1;
            for (unsigned i = 0; i < 1500; i++) {
                one_random_operation(p, &r, &x);
                if (i % 10 == 0) {
                    assert_agree(p, &r);
                }
            }
            arili_pins_free(p);
        }
    }
    arili_pins_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_newest_record_of_a_place_opens),
        cmocka_unit_test(a_late_older_seal_does_not_win),
        cmocka_unit_test(a_reserved_place_opens_nothing),
        cmocka_unit_test(a_place_is_made_of_five_members),
        cmocka_unit_test(a_full_table_refuses_new_places_only),
        cmocka_unit_test(a_place_that_was_never_sealed_is_given_back),
        cmocka_unit_test(a_place_that_another_thread_is_sealing_for_is_kept),
        cmocka_unit_test(a_forgotten_slot_opens_nothing_of_ours),
        cmocka_unit_test(a_record_of_the_peer_must_not_be_older_than_the_last),
        cmocka_unit_test(a_check_without_verification_pins_nothing),
        cmocka_unit_test(the_verification_decides),
        cmocka_unit_test(after_forgetting_the_peer_must_be_newer_than_all_that_was_forgotten),
        cmocka_unit_test(random_operations_agree_with_a_plain_list),
    };
    return cmocka_run_group_tests_name("slot pins", tests, NULL, NULL);
}
