/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_RECORD_CHAIN_INTERNAL_H
#define ARILI_RECORD_CHAIN_INTERNAL_H
#include "record/chain.h"

/* Shared by chain.c (epochs come and go) and chain_use.c (records use them). */

#define ARILI_EPOCH_LIVE  (UINT64_C(1) << 31)
#define ARILI_EPOCH_TAKEN (UINT64_C(1) << 30)
#define ARILI_EPOCH_PINS  (ARILI_EPOCH_TAKEN - 1)

static inline uint32_t arili_epoch_number(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

/* Pin epoch if it is live and, when number is not NULL, has that number. Gives the number. */
static inline bool arili_epoch_pin(struct arili_epoch *epoch, const uint32_t *number,
                                   uint32_t *ret_number)
{
    uint64_t s = atomic_load_explicit(&epoch->state, memory_order_relaxed);
    for (;;) {
        if ((s & ARILI_EPOCH_LIVE) == 0 || (number != NULL && arili_epoch_number(s) != *number)) {
            return false;
        }
        /* Acquire: what the epoch's maker wrote before it went live is visible. */
        if (atomic_compare_exchange_weak_explicit(&epoch->state, &s, s + 1, memory_order_acquire,
                                                  memory_order_relaxed)) {
            *ret_number = arili_epoch_number(s);
            return true;
        }
    }
}

/* With the lock held: make the next epoch the newest one. Epochs that leave the readable
 * window go to the list *dying, which starts as NULL, for arili_chain_bury(). */
ARIL_MUST_USE aril_status arili_chain_step(struct arili_chain *chain, uint64_t now_ns,
                                           aril_rotate_reason reason, struct arili_epoch **dying);
/* With the lock held: take every epoch up to and including last out of the chain. */
void arili_chain_unlink(struct arili_chain *chain, uint32_t last, struct arili_epoch **dying);
/* With the lock free: let the epochs of the list go; the last user wipes. */
void arili_chain_bury(struct arili_chain *chain, struct arili_epoch *dying);
/* With the lock held: tell the sink what epoch counted since the last time. */
void arili_epoch_tell(struct arili_chain *chain, struct arili_epoch *e, uint32_t number);
/* Records sealed so far. */
uint64_t arili_epoch_sealed(const struct arili_epoch *e);
#endif
