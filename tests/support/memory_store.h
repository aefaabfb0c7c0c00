/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_MEMORY_STORE_H
#define ARIL_TESTS_MEMORY_STORE_H
#include "keyring/stores/store.h"

/*
 * A keystore in memory with everything that the port knows. What it keeps is a backing apart
 * from the states that are opened over it, as a token is apart from its sessions: closing a
 * store and making another one over the same backing is a restart.
 *
 * It is strict where the port gives a choice: of a slot that is sealed twice only the newer
 * blob opens. Blobs are tickets, 48 bytes without anything of the secret in them.
 */
struct memory_backing;

/* Ends the process without memory. */
struct memory_backing *memory_backing_new(void);
/* Every store over it must be closed. Wipes. NULL is fine. */
void memory_backing_free(struct memory_backing *b);

/* A store over it, to be closed by whoever gets it. capabilities: which of
 * ARIL_KEYSTORE_COUNTER and ARIL_KEYSTORE_DESTROY it has; the other members are NULL. */
struct arili_store memory_store(struct memory_backing *b, unsigned capabilities);
#define MEMORY_STORE_ALL (ARIL_KEYSTORE_COUNTER | ARIL_KEYSTORE_DESTROY)

/* The table with all capabilities; its open() takes the backing from options->user. */
extern const struct arili_store_ops memory_store_ops;

/* Slots and counters that live; states that are open. */
size_t memory_backing_slots(struct memory_backing *b);
size_t memory_backing_counters(struct memory_backing *b);
size_t memory_backing_open(struct memory_backing *b);
/* The value of the only counter; ends the test when there is not exactly one. */
uint64_t memory_backing_counter(struct memory_backing *b);
#endif
