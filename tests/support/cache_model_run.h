/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_CACHE_MODEL_RUN_H
#define ARIL_TESTS_CACHE_MODEL_RUN_H
/* One run of caches beside their model: operations by chance, each answer demanded. */
#include "cache_model.h"
#include "faulty_cache_store.h"
#include "keyring_fixture.h"
#include <inttypes.h>

struct model_setup {
    const char *name; /* for messages */
    const char *uri;
    uint64_t bytes_max, l1_bytes; /* bounds, 0: none that matters */
    bool keeps;                   /* the store's values survive its end */
    bool faulty;                  /* single calls fail, and gets lie */
    unsigned caches;              /* 0: 1 */
    unsigned ops;
};

struct model_run {
    const struct model_setup *setup;
    struct world w;
    struct keyring_home keys;
    struct faulty_cache_store *faulty;
    aril_store *stores[CACHE_MODEL_CACHES];
    aril_cache *caches[CACHE_MODEL_CACHES];
    unsigned cache_count;
    struct cache_model model;
    uint64_t seed, random;
    unsigned op;
    const char *what;
    bool lying;     /* the store lies in this operation */
    bool disturbed; /* a fault was met in it, or a lie may have been */
    struct {
        uint64_t hits, misses, hits_stale_l1, puts, failed, computed, exists, deletes, batches;
        uint64_t bumps, flushes, tags, rotated, retired, reopened, listed, faults;
    } met;
    aril_error error;
};
extern struct model_run mrun;

/* Begin, do, end. After a failure abandon closes what is open; it is a teardown. */
void model_run_begin(const struct model_setup *setup, uint64_t seed);
void model_run_ops(void);
void model_run_end(void);
int model_run_abandon(void **state);

/* --- For the files of this run alone */

#define mrun_demand(cond, ...)                                                                  \
    do {                                                                                        \
        if (!(cond)) {                                                                          \
            char text_[400];                                                                    \
            (void)snprintf(text_, sizeof text_, __VA_ARGS__);                                   \
            fail_msg("%s, seed %" PRIu64 ", operation %u, %s: %s", mrun.setup->name, mrun.seed, \
                     mrun.op, mrun.what, text_);                                                \
        }                                                                                       \
    } while (0)

uint64_t mrun_below(uint64_t n);
bool mrun_one_in(uint64_t n);
/* Tell the model what time it is. */
void mrun_now(void);
aril_cache_key mrun_key(unsigned name);
aril_bytes mrun_tenant(unsigned tenant);
aril_bytes mrun_space(unsigned space);
aril_bytes mrun_tag(unsigned tag);
/* The cache that this operation is done with. */
unsigned mrun_cache(void);
/* Whether the operation met a fault: to ask after the call. */
void mrun_look_disturbed(void);
/* The bytes of a version; free(). */
uint8_t *mrun_bytes(const struct cache_model_value *v);

/* Operations on values (cache_model_values.c), and on many of them (cache_model_run.c). */
void mrun_op_get(void);
void mrun_op_get_many(void);
void mrun_op_put(void);
void mrun_op_put_many(void);
void mrun_op_delete(void);
void mrun_op_exists(void);
void mrun_op_compute(void);
#endif
