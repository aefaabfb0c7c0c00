/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KV_PINS_H
#define ARILI_KV_PINS_H
#include <aril/kv.h>
#include <pthread.h>

/*
 * The newest record of every slot place, in a table of fixed size: what makes an older,
 * authentic record stale. A place is (layer first, rank, group, slot, position); the number
 * of layers and tokens may change from record to record. A record's age is (epoch, sequence).
 *
 * Linear probing with backward-shift deletion; a mutex guards all of it. Only records that
 * are named by slot come here.
 */
struct arili_pin_age {
    uint32_t epoch;
    uint64_t sequence; /* 0: place reserved, nothing sealed yet */
};

struct arili_pins;

/* capacity 1 to 2^24 places. seed hides the order of the table from tenants. */
ARIL_MUST_USE aril_status arili_pins_new(size_t capacity, uint64_t seed, struct arili_pins **ret);
void arili_pins_free(struct arili_pins *pins);

/* Before sealing: make sure that the block has a place. ARIL_E_LIMIT_PINS. */
ARIL_MUST_USE aril_status arili_pins_reserve(struct arili_pins *pins, const aril_kv_block *block);
/* After sealing: age is the newest, unless a newer one was faster. */
void arili_pins_sealed(struct arili_pins *pins, const aril_kv_block *block,
                       struct arili_pin_age age);
/* Sealing failed: give the place back if nothing was ever sealed for it, and nobody else is about
 * to. */
void arili_pins_unreserve(struct arili_pins *pins, const aril_kv_block *block);

/* A record of our own may be opened only when it is exactly the newest.
 * ARIL_E_REPLAY_STALE. */
ARIL_MUST_USE aril_status arili_pins_check_self(struct arili_pins *pins, const aril_kv_block *block,
                                                struct arili_pin_age age);
/* Before opening a record of the peer: ARIL_E_REPLAY_STALE when a newer one was seen. */
ARIL_MUST_USE aril_status arili_pins_check_peer(struct arili_pins *pins, const aril_kv_block *block,
                                                struct arili_pin_age age);
/* After its tag was verified: remember it. ARIL_E_REPLAY_STALE, ARIL_E_LIMIT_PINS. */
ARIL_MUST_USE aril_status arili_pins_verified(struct arili_pins *pins, const aril_kv_block *block,
                                              struct arili_pin_age age);

/* Remove all places of a slot; records of the peer must from now on be newer than every one
 * that was removed. Gives their number. */
size_t arili_pins_forget(struct arili_pins *pins, uint64_t slot);
#endif
