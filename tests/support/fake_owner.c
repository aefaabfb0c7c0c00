/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_owner.h"
#include "record/chain_internal.h"
#include <string.h>

void owner_key(uint32_t number, struct arili_epoch_keys *ret)
{
    fill_pattern((uint8_t *)ret, sizeof *ret, UINT64_C(1000000) + number);
}

static void key_id_of(uint32_t number, uint8_t ret[ARILI_KEY_ID_BYTES])
{
    fill_pattern(ret, ARILI_KEY_ID_BYTES, UINT64_C(2000000) + number);
}

/* The secret tells the number too: a ratchet that lost step would be seen. */
static void secret_of(uint32_t number, uint8_t ret[ARILI_RATCHET_BYTES])
{
    fill_pattern(ret, ARILI_RATCHET_BYTES, UINT64_C(3000000) + number);
}

static aril_status fake_derive(struct arili_chain *chain, const struct arili_ratchet *r,
                               struct arili_epoch_keys *ret_keys,
                               uint8_t ret_key_id[ARILI_KEY_ID_BYTES])
{
    const struct owner *o = chain->owner;
    uint8_t want[ARILI_RATCHET_BYTES];
    secret_of(r->number, want);
    if (memcmp(want, r->secret, sizeof want) != 0) {
        return ARIL_E_CRYPTO;
    }
    if (o->derive_fails != ARIL_OK) {
        return o->derive_fails;
    }
    owner_key(r->number, ret_keys);
    key_id_of(r->number, ret_key_id);
    return ARIL_OK;
}

static aril_status fake_advance(struct arili_chain *chain, struct arili_ratchet *r)
{
    struct owner *o = chain->owner;
    if (o->advance_fails != ARIL_OK && o->advances_left == 0) {
        return o->advance_fails;
    }
    o->advances_left -= o->advances_left > 0;
    r->number++;
    secret_of(r->number, r->secret);
    return ARIL_OK;
}

static void fake_report(struct arili_chain *chain, aril_event *event)
{
    struct owner *o = chain->owner;
    if (o->event_count < OWNER_EVENTS) {
        o->events[o->event_count++] = *event;
    }
}

static void fake_expired(struct arili_chain *chain)
{
    struct owner *o = chain->owner;
    o->expiries++;
    (void)arili_chain_end(chain, ARIL_E_EXPIRED);
}

static const struct arili_chain_ops fake_ops = {
    .derive = fake_derive, .advance = fake_advance, .report = fake_report, .expired = fake_expired
};

aril_policy owner_policy(void)
{
    return (aril_policy){ .rotate_records = ARILI_EPOCH_RECORDS_MAX,
                          .rotate_bytes = ARILI_EPOCH_BYTES_MAX,
                          .rotate_after_s = 2592000,
                          .ttl_s = 2592000,
                          .readable_epochs = 16 };
}

void owner_init(struct owner *o, const aril_policy *policy, bool seals, uint32_t first)
{
    memset(o, 0, sizeof *o);
    world_init(&o->world);
    struct arili_ratchet *ratchet = arili_secure_take(o->world.rt->secure);
    assert_non_null(ratchet);
    ratchet->number = first;
    secret_of(first, ratchet->secret);
    assert_status(arili_chain_init(&o->chain, o->world.rt, &fake_ops, o, ARIL_SERVER_TO_TENANT,
                                   seals, policy, FAKE_BOOT_NS, ratchet),
                  ARIL_OK);
    atomic_store(&o->chain.oldest, first);
}

void owner_done(struct owner *o)
{
    assert_int_equal(owner_pins(o), 0);
    arili_chain_done(&o->chain);
    world_done(&o->world);
}

uint64_t owner_now(struct owner *o)
{
    return atomic_load(&o->world.clock.boot_ns);
}

struct arili_seal_header owner_header(uint32_t epoch, uint64_t sequence, uint64_t body_bytes)
{
    struct arili_seal_header h = { .use = ARILI_USE_KV,
                                   .direction = ARIL_SERVER_TO_TENANT,
                                   .epoch = epoch,
                                   .sequence = sequence,
                                   .body_bytes = body_bytes };
    key_id_of(epoch, h.key_id);
    return h;
}

size_t owner_events(const struct owner *o, aril_event_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < o->event_count; i++) {
        n += o->events[i].kind == kind;
    }
    return n;
}

aril_event owner_last(const struct owner *o, aril_event_kind kind)
{
    for (size_t i = o->event_count; i-- > 0;) {
        if (o->events[i].kind == kind) {
            return o->events[i];
        }
    }
    fail_msg("no event of kind %d", (int)kind);
    return (aril_event){ .kind = kind };
}

static uint64_t same_length(const void *records, size_t i)
{
    (void)i;
    return *(const uint64_t *)records;
}

aril_status owner_try_reserve(struct owner *o, uint64_t each, size_t count,
                              struct arili_reservation *ret)
{
    return arili_chain_reserve(&o->chain, owner_now(o), same_length, &each, count, ret);
}

struct arili_reservation owner_reserve(struct owner *o, uint64_t each, size_t count)
{
    struct arili_reservation place = { .count = 0 };
    assert_status(owner_try_reserve(o, each, count, &place), ARIL_OK);
    assert_non_null(place.epoch);
    assert_in_range(place.count, 1, count);
    return place;
}

aril_status owner_open(struct owner *o, uint32_t epoch, uint64_t sequence, bool once)
{
    const struct arili_seal_header h = owner_header(epoch, sequence, 10);
    struct arili_opening opening;
    aril_status st = arili_chain_find(&o->chain, owner_now(o), &h, once, &opening);
    if (st == ARIL_OK) {
        struct arili_epoch_keys want;
        owner_key(epoch, &want);
        assert_memory_equal(opening.keys, &want, sizeof want);
        st = arili_chain_verified(&o->chain, owner_now(o), &h, once, &opening);
        arili_chain_release(&o->chain, &opening);
    }
    return st;
}

aril_direction_info owner_info(struct owner *o)
{
    aril_direction_info info;
    arili_chain_info(&o->chain, &info);
    return info;
}

size_t owner_pins(const struct owner *o)
{
    size_t pins = 0;
    for (const struct arili_epoch *e = o->chain.all; e != NULL; e = e->next) {
        pins += (size_t)(atomic_load(&e->state) & ARILI_EPOCH_PINS);
    }
    return pins;
}

size_t owner_structs(const struct owner *o)
{
    size_t n = 0;
    for (const struct arili_epoch *e = o->chain.all; e != NULL; e = e->next) {
        n++;
    }
    return n;
}
