/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FAKE_OWNER_H
#define ARIL_TESTS_FAKE_OWNER_H
#include "fixture.h"
#include "record/chain.h"

/* The owner of one chain, with keys that tests can predict and events that they can look at. */
#define OWNER_EVENTS 4096u
struct owner {
    struct world world;
    struct arili_chain chain;
    aril_event events[OWNER_EVENTS];
    size_t event_count;
    aril_status derive_fails, advance_fails; /* ARIL_OK: they do not */
    unsigned advances_left;                  /* calls of advance before it fails */
    unsigned expiries;                       /* calls of expired */
};

/* A complete policy without any limit that a test would meet by chance. */
aril_policy owner_policy(void);
/* Begins a chain at epoch first. seals: this end seals in it. */
void owner_init(struct owner *o, const aril_policy *policy, bool seals, uint32_t first);
/* Ends the chain's memory; nothing may be pinned. */
void owner_done(struct owner *o);

uint64_t owner_now(struct owner *o);
/* What the fake derives for an epoch. */
void owner_key(uint32_t number, struct arili_epoch_keys *ret);
/* A header of that epoch with its right key id. */
struct arili_seal_header owner_header(uint32_t epoch, uint64_t sequence, uint64_t body_bytes);

/* Events of a kind; the last one of it. */
size_t owner_events(const struct owner *o, aril_event_kind kind);
aril_event owner_last(const struct owner *o, aril_event_kind kind);

/* Reserves for count records of one length, and demands success. */
struct arili_reservation owner_reserve(struct owner *o, uint64_t each, size_t count);
aril_status owner_try_reserve(struct owner *o, uint64_t each, size_t count,
                              struct arili_reservation *ret);
/* Find, verify and release. */
aril_status owner_open(struct owner *o, uint32_t epoch, uint64_t sequence, bool once);
aril_direction_info owner_info(struct owner *o);
/* Pins on all epochs together. */
size_t owner_pins(const struct owner *o);
/* Epoch structs that exist. */
size_t owner_structs(const struct owner *o);
#endif
