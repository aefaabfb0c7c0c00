/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FAULTY_STORE_H
#define ARIL_TESTS_FAULTY_STORE_H
#include "keyring/stores/store.h"

/*
 * A store around another one in which single calls fail, lose their reply, or do not come back
 * until the test lets them; or that lies. Without any of this it does what the inner one does.
 * Calls of every function but close are counted. Use the controls from any thread.
 */
struct faulty_store;

/* Takes inner over; its state is closed together with the store. Ends the process without
 * memory. */
struct faulty_store *faulty_store_new(struct arili_store inner);
/* The store to hand on, once; who gets it closes it. */
struct arili_store faulty_store_store(struct faulty_store *f);
/* After the store was closed; waits until it was, when a thread still holds it. A call that is
 * blocked must have been released. */
void faulty_store_free(struct faulty_store *f);

/* Let the nth call from now return st and do nothing, counted from 1. */
void faulty_store_arm(struct faulty_store *f, unsigned nth, aril_status st);
/* Let the nth call from now be done, but return st and leave its outputs alone. */
void faulty_store_arm_lost(struct faulty_store *f, unsigned nth, aril_status st);
/* Let the nth call from now wait for faulty_store_release() before it is done. */
void faulty_store_arm_blocked(struct faulty_store *f, unsigned nth);
/* No fault any more. fired() and last() keep their answers until the next arm. */
void faulty_store_disarm(struct faulty_store *f);
/* Whether what was armed was reached. */
bool faulty_store_fired(struct faulty_store *f);
/* Name of the function that it was: "seal"; "" before. */
const char *faulty_store_last(struct faulty_store *f);
/* Calls since f was made. */
unsigned faulty_store_calls(struct faulty_store *f);

/* Returns when a call is blocked. */
void faulty_store_wait_blocked(struct faulty_store *f);
/* Lets the blocked call go on, and the next one that blocks before it is armed again. */
void faulty_store_release(struct faulty_store *f);
/* Returns when the store was closed. */
void faulty_store_wait_closed(struct faulty_store *f);
bool faulty_store_closed(struct faulty_store *f);

enum faulty_lie {
    FAULTY_HONEST = 0,
    FAULTY_OTHER_SECRET,  /* unseal gives a secret that was not sealed */
    FAULTY_BLOB_EMPTY,    /* seal gives a blob of length 0 */
    FAULTY_BLOB_CUT,      /* seal gives the blob without its last byte */
    FAULTY_BLOB_LONG,     /* seal says a length above the capacity; nothing is written there */
    FAULTY_COUNTER_BACK,  /* counters are read as 1 less than they were read before */
    FAULTY_COUNTER_STUCK, /* increment does not add */
    FAULTY_COUNTER_LONG,  /* counter_create says a length above the maximum */
    FAULTY_PROTECTION,    /* info states a protection that does not exist */
    FAULTY_TEXT           /* info gives texts without a NUL */
};
/* From now on. */
void faulty_store_lie(struct faulty_store *f, enum faulty_lie lie);
#endif
