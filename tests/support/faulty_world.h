/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FAULTY_WORLD_H
#define ARIL_TESTS_FAULTY_WORLD_H
/* A world in which the nth allocation or the nth call of a primitive fails, and which notices
 * when a nonce is used twice. Link with -Wl,--wrap=arili_alloc, as tests/fault/ does. */
#include "faulty_crypto.h"
#include "key_uses.h"
#include "talk.h"

enum fault {
    FAULT_ALLOC,  /* an allocation of the library */
    FAULT_ARENA,  /* the same, while no secure cell is free, so that each one needs memory */
    FAULT_CRYPTO, /* a primitive */
    FAULTS
};

struct faulty_world {
    struct world w;
    struct faulty_crypto *crypto;
    aril_identity *server, *tenant; /* of this runtime, so that signing may fail too */
};

/* One at a time. provider_setup() is the group's. */
void faulty_world_init(struct faulty_world *f);
/* Demands that nothing is left and that no nonce was used twice. */
void faulty_world_done(struct faulty_world *f);

/* talk_init() with the identities of this world. */
void faulty_talk_init(struct faulty_world *f, struct talk *t, bool is_signed);
/* pair_init() with the identity of this world. */
void faulty_pair_init(struct faulty_world *f, struct pair *p, const aril_policy *policy);

/* Let the nth call from now fail. */
void fault_arm(struct faulty_world *f, enum fault what, unsigned nth);
/* No further failure. Whether it was reached. */
bool fault_disarm(struct faulty_world *f, enum fault what);
/* What it must lead to. */
aril_status fault_status(enum fault what);
/* For messages: which it was. */
const char *fault_name(const struct faulty_world *f, enum fault what);
/* Demands the status of the fault. */
void assert_fault(const struct faulty_world *f, enum fault what, unsigned nth, aril_status got);

/* Calls of aead_seal() since the world began, failed ones included. */
size_t faulty_world_nonces(void);
#endif
