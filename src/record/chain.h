/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_RECORD_CHAIN_H
#define ARILI_RECORD_CHAIN_H
#include "crypto/runtime.h"
#include "format/seal.h"
#include "record/window.h"
#include <aril/audit.h>
#include <aril/session.h>
#include <stdatomic.h>

/*
 * A chain is one direction of a session: epochs, each one key with its counter, the
 * newest of which seals while a window of older ones still opens.
 *
 * An epoch is immutable but for its counters. Whoever works with it pins it; retiring
 * takes it out of the chain at once and wipes it when the last pin goes. Epoch structs
 * are reused but never freed before the chain, so that a late pin attempt on a retired
 * one reads valid memory and fails on its state word.
 *
 * Pinning, reserving and counting are atomic operations without a lock. The mutex
 * guards rotation, retiring and the reports, all rare.
 */
#define ARILI_NONCE_PREFIX_BYTES 4u
#define ARILI_RATCHET_BYTES      48u /* room; the profile's hash says how much is used */
#define ARILI_EPOCH_RECORDS_MAX  (UINT64_C(1) << 32)
#define ARILI_EPOCH_BYTES_MAX    (UINT64_C(1) << 38)

/* Secrets of one epoch, in a secure cell. */
struct arili_epoch_keys {
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    uint8_t nonce_prefix[ARILI_NONCE_PREFIX_BYTES];
};
_Static_assert(sizeof(struct arili_epoch_keys) <= ARILI_SECURE_CELL_BYTES, "fits a cell");

/* The ratchet of a chain, in a secure cell. */
struct arili_ratchet {
    uint32_t number; /* of the epoch that secret makes */
    uint8_t secret[ARILI_RATCHET_BYTES];
};
_Static_assert(sizeof(struct arili_ratchet) <= ARILI_SECURE_CELL_BYTES, "fits a cell");

struct arili_epoch {
    /* Number in the high half, bit 31 "live", bit 30 "taken" until it is wiped, pins below.
     * 0: free for reuse. */
    _Atomic uint64_t state;
    _Atomic uint64_t next_sequence; /* sealing: the next one; 1 first */
    _Atomic uint64_t bytes;         /* sealing: plaintext reserved */
    _Atomic uint64_t unused;        /* sealing: sequences reserved and not used */
    _Atomic uint64_t opened, opened_bytes;
    /* Fixed while live. */
    uint64_t uid;
    uint64_t born_ns;
    struct arili_epoch_keys *keys; /* secure cell */
    uint8_t key_id[ARILI_KEY_ID_BYTES];
    /* Guarded by the chain's lock: what the audit sink was told. */
    uint64_t told_sealed, told_sealed_bytes, told_opened, told_opened_bytes;
    struct arili_window window;
    struct arili_epoch *next;  /* in arili_chain.all */
    struct arili_epoch *dying; /* in a list of retired ones to be unpinned */
};

struct arili_chain;

/* What the owner of a chain (a session) supplies. Called with the chain's lock held, from
 * any thread; must not call the chain back. */
struct arili_chain_ops {
    /* Keys and key id of epoch r->number. Does not change r. */
    ARIL_MUST_USE aril_status (*derive)(struct arili_chain *chain, const struct arili_ratchet *r,
                                        struct arili_epoch_keys *ret_keys,
                                        uint8_t ret_key_id[ARILI_KEY_ID_BYTES]);
    /* Moves r one epoch forward; on failure r is unchanged. */
    ARIL_MUST_USE aril_status (*advance)(struct arili_chain *chain, struct arili_ratchet *r);
    void (*report)(struct arili_chain *chain, aril_event *event);
    /* The time to live is over; called with the lock free. Ends the chain. */
    void (*expired)(struct arili_chain *chain);
};

struct arili_chain {
    const struct arili_chain_ops *ops;
    void *owner;
    aril_runtime *rt;
    aril_direction direction;
    struct arili_fork_guard guard;
    bool seals;         /* this end seals in this direction */
    aril_policy policy; /* complete */
    uint64_t expires_ns;
    struct arili_ratchet *ratchet;         /* secure cell; the state after the newest epoch */
    _Atomic(struct arili_epoch *) current; /* newest; NULL when ended */
    _Atomic uint32_t newest;               /* its number */
    _Atomic uint32_t oldest;               /* oldest that may be readable */
    _Atomic int ended;                     /* ARIL_OK while in use, else why not */
    _Atomic uint64_t refused;
    pthread_mutex_t lock;
    struct arili_epoch *all;             /* every epoch struct ever made */
    _Atomic(struct arili_epoch *) *ring; /* by number modulo readable_epochs */
    /* Sums of epochs that are gone, for the counters. */
    uint64_t past_sealed, past_sealed_bytes, past_opened, past_opened_bytes;
    uint64_t told_ns; /* when the sink was last told */
};

/*
 * Begin a chain with epoch 0. ratchet is a secure cell that holds the secret of epoch 0;
 * it is taken on success only. policy is complete. now_ns is the boot clock.
 */
ARIL_MUST_USE aril_status arili_chain_init(struct arili_chain *chain, aril_runtime *rt,
                                           const struct arili_chain_ops *ops, void *owner,
                                           aril_direction direction, bool seals,
                                           const aril_policy *policy, uint64_t now_ns,
                                           struct arili_ratchet *ratchet);
/* Nobody may hold a pin. Accepts an all-zero chain. */
void arili_chain_done(struct arili_chain *chain);

/* End the chain: from now on every call answers why (ARIL_E_KEY_CLOSED, ARIL_E_EXPIRED). Wipes the
 * ratchet and every epoch that is not pinned; the others follow. The first reason stays.
 * Whether this call was the one that ended it. */
bool arili_chain_end(struct arili_chain *chain, aril_status why);

/* Whether the process was forked since the chain began: one load. */
static inline bool arili_chain_forked(const struct arili_chain *chain)
{
    return arili_is_forked(&chain->guard);
}

/* ARIL_OK while the chain may be used at now_ns; ends it when its time is over. The first
 * check is for a fork. */
ARIL_MUST_USE aril_status arili_chain_check(struct arili_chain *chain, uint64_t now_ns);

/* Sequence numbers for records, all in one pinned epoch. */
struct arili_reservation {
    struct arili_epoch *epoch; /* pinned */
    uint32_t number;
    uint64_t first; /* sequence of the first record */
    size_t count;   /* records, at least 1 */
};
/* Length of record i of those that ask for a place. */
typedef uint64_t arili_length_fn(const void *records, size_t i);
/*
 * Reserve places for at least the first of count records, rotating as the policy says. The
 * caller seals ret->count records and then unpins. ARIL_E_LIMIT_RECORD when the first one
 * does not even fit into an epoch of its own; statuses of _check; those of a rotation.
 */
ARIL_MUST_USE aril_status arili_chain_reserve(struct arili_chain *chain, uint64_t now_ns,
                                              arili_length_fn *length, const void *records,
                                              size_t count, struct arili_reservation *ret);

/* A record that had a place was not sealed after all: correct the counts. */
void arili_epoch_unused(struct arili_epoch *epoch, uint64_t body_bytes);

/* Keys to open a record with: those of a pinned epoch, or, for an epoch ahead of the
 * newest, scratch keys that are committed after the tag verified. */
struct arili_opening {
    struct arili_epoch *epoch; /* pinned; NULL: ahead */
    uint32_t number;
    uint64_t uid; /* 0 for scratch keys */
    const struct arili_epoch_keys *keys;
    struct arili_epoch_keys *scratch; /* secure cell, or NULL */
};
/*
 * Find the epoch of a header. ARIL_E_KEY_RETIRED, ARIL_E_KEY_FUTURE, ARIL_E_KEY_UNKNOWN
 * (the key id is another one), ARIL_E_REPLAY (once, and marked before), statuses of _check.
 */
ARIL_MUST_USE aril_status arili_chain_find(struct arili_chain *chain, uint64_t now_ns,
                                           const struct arili_seal_header *h, bool once,
                                           struct arili_opening *ret);
/*
 * The record of h verified: follow the peer to an epoch ahead, count it, and in once mode mark
 * its sequence. ARIL_E_REPLAY when another thread was first: the caller wipes its output.
 */
ARIL_MUST_USE aril_status arili_chain_verified(struct arili_chain *chain, uint64_t now_ns,
                                               const struct arili_seal_header *h, bool once,
                                               struct arili_opening *opening);
/* On every path after _find succeeded. */
void arili_chain_release(struct arili_chain *chain, struct arili_opening *opening);

void arili_epoch_unpin(struct arili_chain *chain, struct arili_epoch *epoch);

/* Begin a new epoch now. */
ARIL_MUST_USE aril_status arili_chain_rotate(struct arili_chain *chain, uint64_t now_ns,
                                             aril_rotate_reason reason);
/* Wipe every epoch up to and including number; see aril_session_retire(). */
ARIL_MUST_USE aril_status arili_chain_retire(struct arili_chain *chain, uint64_t now_ns,
                                             uint32_t number);
void arili_chain_info(struct arili_chain *chain, aril_direction_info *ret);
/* Tell the sink what was sealed and opened since the last time. */
void arili_chain_tell(struct arili_chain *chain, uint64_t now_ns);
#endif
