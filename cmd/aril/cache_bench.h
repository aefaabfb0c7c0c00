/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_CACHE_BENCH_H
#define ARIL_CMD_CACHE_BENCH_H
#include "cache.h"

/* "aril cache bench": requests of a serving engine against a store, once plain and once sealed. */

/* --- traces (cache_trace.c) ------------------------------------------------------------------ */

/* Which blocks each request reads. All zero is the empty state. */
struct trace {
    uint64_t *ids; /* owned; of request r: ids[first[r]] to ids[first[r + 1] - 1] */
    size_t *first; /* owned; requests + 1 */
    size_t requests, reads, longest, distinct;
};

/* A Mooncake-style file: a JSON object with "hash_ids" on each line. requests 0: all of them. */
int trace_load(const char *command, const char *path, uint64_t requests, struct trace *ret);
/* Conversations that go on, and new ones with shared beginnings; the same for the same seed. */
int trace_make(const char *command, uint64_t seed, uint64_t requests, struct trace *ret);
void trace_free(struct trace *trace);

/* --- a throw-away place (cache_bench_place.c) ------------------------------------------------ */

struct place {
    const char *command;
    char folder[PATH_MAX]; /* removed at the end; "" none */
    char uri[PATH_MAX + 16];
    aril_runtime *rt;
    aril_keystore *keystore;
    aril_keyring *keyring;
};
#define PLACE_TENANT "bench"

/* A folder, in it a key file, and a keyring with one tenant. inside: where the folder is made;
 * NULL: $TMPDIR or /tmp. */
int place_make(struct place *p, const char *inside);
void place_remove(struct place *p);

/* --- replaying (cache_replay.c) -------------------------------------------------------------- */

struct replay_result {
    uint64_t requests, reads, hits, puts;
    uint64_t get_ns, put_ns;
};

/* What a replay runs on. cache NULL: plain. */
struct replay {
    const char *command, *what; /* what: "plain" */
    const struct trace *trace;
    size_t block_bytes;
    uint64_t nonce; /* part of plain names: a store that is shared starts cold */
    aril_store *store;
    aril_cache *cache;
};
/*
 * The rule, for both sides: the blocks of a request are looked up in one batch; those before the
 * first miss are hits, and are compared with what was put; the others are put in one batch. Only
 * calls of the library count, names of blocks included.
 */
int replay_run(const struct replay *r, struct replay_result *ret);
/* Delete what the first so many requests of a replay left in a store that others share. */
int replay_clean(const struct replay *r, uint64_t requests);
#endif
