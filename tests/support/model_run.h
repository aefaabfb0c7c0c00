/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_MODEL_RUN_H
#define ARIL_TESTS_MODEL_RUN_H
/* A run of the model test: two tenants with both ends of a session each, and beside each
 * library object the model of it. Sessions come and go here; the test makes the operations. */
#include "fixture.h"
#include "key_uses.h"
#include "session_model.h"
#include <inttypes.h>

#define TENANTS        2u
#define VIEWS          5u
#define BODY_BYTES_MAX 80u
#define RECORDS_MAX    32768u
#define PINS           16u

/* --- What was sealed ---------------------------------------------------------------- */

struct record {
    unsigned tenant, direction;
    uint64_t chain_id;
    uint32_t epoch;
    uint64_t sequence;
    bool other_model;
    aril_kv_block block;
    size_t len;
    uint64_t seed; /* of the plaintext */
    uint8_t seal[ARIL_SEAL_BYTES];
    uint8_t body[BODY_BYTES_MAX];
};

/* --- Both worlds ----------------------------------------------------------------- */

/* Self, self once, peer, peer once, and self of another model. */
struct view {
    aril_kv *kv;
    struct model_view model;
    bool other_model;
};

struct end {
    aril_session *session;
    bool closed;
    aril_status ended;
    uint64_t expires_ns;
    aril_direction sends;
    struct model_chain chains[2];
    struct view views[VIEWS];
};

struct tenant {
    const char *name;
    bool calm; /* the policy is for long epochs: nobody cuts them short */
    struct end ends[2];
};

struct model_run {
    struct world world;
    struct tenant tenants[TENANTS];
    uint64_t seed, op, random, chains_made, plain_seed;
    struct record *records; /* a ring */
    uint64_t recorded;
    struct key_uses uses;
    uint64_t met[256]; /* by class and low detail: how often which status was predicted */
    uint64_t left_window;
    uint64_t events[ARIL_EVENT_KINDS];
    uint64_t sealed, sealed_bytes, opened, opened_bytes; /* of sessions that are gone */
};
extern struct model_run run;

uint64_t run_random(void);
uint64_t run_below(uint64_t n);
bool run_one_in(uint64_t n);
uint64_t run_now(void);

#define run_demand(cond, what)                                                               \
    do {                                                                                     \
        if (!(cond)) {                                                                       \
            fail_msg("seed %" PRIu64 ", operation %" PRIu64 ": %s", run.seed, run.op, what); \
        }                                                                                    \
    } while (0)

/* Counts what was predicted, and ends the test when it is not what was given. */
void run_agree(const char *what, aril_status got, aril_status predicted);
uint64_t run_times_met(aril_status st);

/* A session under a policy chosen by chance, with its views. */
void tenant_begin(struct tenant *t);
/* Closes both ends and adds what they counted to the run. */
void tenant_finish(struct tenant *t);
void end_close(struct end *e);
/* Every use asks this first: ARIL_OK, or why the session ended, perhaps at this moment. */
aril_status usable(struct end *e);
#endif
