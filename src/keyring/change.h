/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_CHANGE_H
#define ARILI_KEYRING_CHANGE_H
#include "keyring/keyring.h"

/*
 * One change of a keyring: everything that it puts and erases becomes the next revision, or
 * nothing does. Under the keyring's slow lock, from begin to done; nobody else writes meanwhile.
 *
 *   ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
 *   ARILI_TRY(arili_change_begin(kr, 0, &ch, error));
 *   ... look at ch.from, put, erase, edit ch.head ...
 *   ARILI_TRY(arili_change_commit(&ch, error));
 */
struct arili_change {
    aril_keyring *kr;
    struct arili_rowset *from; /* held; the state that is changed */
    struct arili_head head;    /* of the next state; its spans must live until commit */
    uint64_t now_s;
    bool raises;            /* the change must not be rolled back: moves the counter */
    struct arili_kek *root; /* NULL, or the new root under which all MACs are made again; held */
    struct arili_row_change *items;
    size_t count, cap;
    bool is_open; /* a transaction of the file is under way */
};

enum {
    ARILI_CHANGE_LOCKED_TOO = 1u << 0, /* allowed while the keyring is locked */
    ARILI_CHANGE_ANY_CLOCK = 1u << 1   /* sets no date that a wrong clock would make wrong */
};
ARIL_MUST_USE aril_status arili_change_begin(aril_keyring *kr, unsigned flags,
                                             struct arili_change *ret, aril_error *error);
/* The last word on a row counts. */
ARIL_MUST_USE aril_status arili_change_put(struct arili_change *ch, enum arili_row_kind kind,
                                           aril_bytes id, aril_bytes body);
ARIL_MUST_USE aril_status arili_change_erase(struct arili_change *ch, enum arili_row_kind kind,
                                             aril_bytes id);
/* The same for a KEY row. */
ARIL_MUST_USE aril_status arili_change_put_key(struct arili_change *ch,
                                               const uint8_t id[ARIL_KEY_ID_BYTES],
                                               const struct arili_key_row *said);
/* On success the new state is current, also when the counter could not be moved: then the
 * status is that of the keystore, and the message says what was done. */
ARIL_MUST_USE aril_status arili_change_commit(struct arili_change *ch, aril_error *error);
void arili_change_done(struct arili_change *ch);

/* The first state of a file that was just made. */
ARIL_MUST_USE aril_status arili_change_begin_first(aril_keyring *kr, const struct arili_head *head,
                                                   struct arili_change *ret, aril_error *error);

/* How the head names its counter: u64 offset, then the locator of the keystore. The generation of
 * the file is the counter's value plus the offset, modulo 2^64: generations go on when a keyring
 * moves to another keystore. */
struct arili_counter {
    struct arili_store_counter store;
    uint8_t bytes[8 + ARILI_STORE_COUNTER_BYTES_MAX];
};
/* Make a counter where the keystore has such, and set it in head to head->generation; counter must
 * live as long as head. */
ARIL_MUST_USE aril_status arili_counter_make(aril_keystore *keystore, struct arili_head *head,
                                             struct arili_counter *counter, aril_error *error);
/* Compare generation and counter (docs/KEYRING-FORMAT.md, "Rollback"); where a crash left the
 * counter one behind, move it. Takes the file's write lock when it has to. */
ARIL_MUST_USE aril_status arili_counter_settle(aril_keyring *kr, aril_error *error);
#endif
