/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_KEYRING_RUN_H
#define ARIL_TESTS_KEYRING_RUN_H
/* A run of the model test of keyrings: the keyrings of an authority and of a node, beside each the
 * model of it, handles that come and go, operations that are cut off, and the comparison after each
 * of them. The test makes the operations. */
#include "check.h"
#include "faulty_store.h"
#include "keyring_fixture.h"
#include "keyring_model.h"
#include <inttypes.h>

#define BOXES_MAX   48u
#define BUNDLES_MAX 6u

extern const char *const ring_tenants[4];
extern const char *const ring_owners[5];
extern const char *const ring_labels[3];

/* One keyring, what the model says of it, and the stores of its handles. */
struct side {
    struct keyring_home home;
    struct km_ring *model;
    struct faulty_store *faulty[2]; /* of the first and the second handle */
    struct keyring_handle second;
    bool is_open;
};

struct bundle {
    struct km_bundle said;
    aril_span bytes;
};

struct keyring_run {
    uint64_t seed, random, op;
    struct world world;
    struct side authority, node;
    char node_name[KM_NAME_BYTES];
    unsigned nodes_made;
    struct sealed_box boxes[BOXES_MAX];
    size_t boxed;
    struct bundle bundles[BUNDLES_MAX];
    size_t bundled;
    uint32_t materials;
    unsigned stop_at, progress; /* of the operation under way */
    const char *what;           /* the last one */
    aril_status met[256];
    uint64_t met_count[256], cut_off, half_done, stopped;
};
extern struct keyring_run ring;

uint64_t ring_draw(void);
uint64_t ring_below(uint64_t n);
bool ring_one_in(uint64_t n);
#define ANY(list) ((list)[ring_below(COUNT(list))])

#define ring_demand(cond, ...)                                                                     \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            print_error("seed %" PRIu64 ", operation %" PRIu64 ", after %s: ", ring.seed, ring.op, \
                        ring.what);                                                                \
            fail_msg(__VA_ARGS__);                                                                 \
        }                                                                                          \
    } while (0)

uint64_t ring_unix_s(void);
/* Note that this status was predicted and met. */
void ring_count(aril_status st);

/* A side without a keyring yet; its file has that name in the temp folder. */
void side_init(struct side *s, const char *name);
void side_done(struct side *s);
/* As after the end of the process. */
void side_reopen(struct side *s);
/* Everything that a handle shows is what the model says. */
void ring_compare(struct side *s, aril_keyring *kr);

struct operation {
    struct side *s;
    aril_keyring *kr;
    struct faulty_store *faulty;
    struct km_plan plan;
    aril_error error;
};

/* Chooses a handle, and whether and how the operation is cut off. Then ask the model with o->plan,
 * call the library with o->kr and o->error, and hand its status to ring_end(). */
void ring_begin(struct operation *o, struct side *s);
/* The file holds what the plan says, or where it was cut off one of the states on the way; the
 * model goes on from there. */
void ring_end(struct operation *o, const char *what, aril_status got);
#endif
