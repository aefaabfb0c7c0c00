/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_SESSION_MODEL_H
#define ARIL_TESTS_SESSION_MODEL_H
/*
 * What the documents say that sessions and views do, over plain numbers: epochs in an
 * array, replay windows as sets, pins as a list, no cryptography and no threads. A test
 * asks the model first and the library second; both must agree on each status.
 */
#include <aril/aril.h>
#include <stdbool.h>

#define MODEL_NS_PER_S UINT64_C(1000000000)
/* How far behind the newest sequence a record that is opened once may be. */
#define MODEL_WINDOW 4032u

/* --- Chains: one direction as one end sees it --------------------------------------- */

struct model_epoch {
    bool readable;
    uint64_t born_ns;
    uint64_t next;  /* sealing: the next sequence */
    uint64_t bytes; /* sealing: plaintext bytes so far */
    uint64_t top;   /* once: highest sequence opened */
    bool *opened;   /* once: set of sequences, rotate_records + 1 places, or NULL */
};

struct model_chain {
    aril_policy policy; /* complete */
    uint64_t id;        /* with the epoch it names a key */
    bool seals;
    uint32_t newest, oldest;
    struct model_epoch *epochs; /* by number */
    size_t cap;
    uint64_t records_sealed, bytes_sealed, records_opened, bytes_opened, refused;
    uint64_t rotations, retirements;
};

void model_chain_init(struct model_chain *c, const aril_policy *policy, uint64_t id, bool seals,
                      uint64_t now_ns);
void model_chain_done(struct model_chain *c);
void model_chain_rotate(struct model_chain *c, uint64_t now_ns);
/* ARIL_OK or ARIL_E_USAGE_RANGE. */
aril_status model_chain_retire(struct model_chain *c, uint64_t now_ns, uint32_t epoch);
/* Every key goes. */
void model_chain_end(struct model_chain *c);

/* Places for the first of count records of these lengths: how many there are in one epoch,
 * 0 when the first is longer than an epoch may be. Rotates as the policy says. */
size_t model_chain_reserve(struct model_chain *c, uint64_t now_ns, const uint64_t *lengths,
                           size_t count, uint32_t *ret_epoch, uint64_t *ret_first);
/* One of these places was not used after all. */
void model_chain_unused(struct model_chain *c, uint32_t epoch, uint64_t length);

/* --- Pins: the newest record of each place of a view --------------------------------- */

struct model_pin {
    aril_kv_block place;
    uint32_t epoch;
    uint64_t sequence;
};

#define MODEL_PINS_MAX 32u
struct model_pins {
    size_t capacity, count; /* capacity: at most MODEL_PINS_MAX */
    struct model_pin pins[MODEL_PINS_MAX];
    uint32_t floor_epoch; /* newest that was forgotten */
    uint64_t floor_sequence;
};
/* Whether the block has a pin or there is room for it. */
bool model_pins_fit(const struct model_pins *p, const aril_kv_block *block);
/* Pins the block, which fits, unless a newer record is pinned. */
void model_pins_set(struct model_pins *p, const aril_kv_block *block, uint32_t epoch,
                    uint64_t sequence);
size_t model_pins_forget(struct model_pins *p, uint64_t slot);

/* --- Records that are shown to a view ------------------------------------------------ */

struct model_shown {
    aril_status format; /* ARIL_OK, or what is wrong with the level, kind or a field */
    bool of_kv;         /* the use is that of KV blocks */
    bool tenant;        /* the tenant tag is that of the view's tenant */
    bool length;        /* the seal's length is that of the body */
    unsigned direction;
    uint32_t epoch;
    uint64_t sequence;
    uint64_t chain_id; /* of the chain whose key the key id names; 0: of no key */
    uint32_t key_epoch;
    const aril_kv_block *block; /* that it is opened as */
    bool genuine;               /* nothing was changed, and the view is of its model */
    uint64_t bytes;
};

struct model_view {
    struct model_chain *chain; /* that it opens from */
    unsigned direction;        /* of that chain */
    bool from_peer, once;
    struct model_pins pins;
};

/* Whether the record was never opened but is too old to tell. */
bool model_left_window(const struct model_chain *c, const struct model_shown *r);
/* Status of opening, and everything that opening changes. The session may be used. */
aril_status model_open(struct model_view *v, uint64_t now_ns, const struct model_shown *r);
#endif
