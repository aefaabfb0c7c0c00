/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_L1_H
#define ARILI_CACHE_L1_H
#include "crypto/runtime.h"
#include <aril/cache.h>

/*
 * Values in the memory of this process, sealed under keys that exist nowhere else: AES-256-GCM with
 * a counted nonce (number of the shard, counter of the shard), one key at a time, replaced long
 * before a counter ends. A hit costs one look-up, one open, no derivation. What is looked up is the
 * whole name; the index is a keyed short hash, and an entry keeps its name to compare and binds it.
 *
 * Bounded in bytes, everything counted: entries, index, ghosts. Eviction is S3-FIFO (Yang et al.,
 * SOSP 2023): a small queue for what is new, the main queue for what was asked for again, a list of
 * hashes of what left the small queue; a hit moves nothing, so a scan does not wash the hot set
 * out.
 *
 * Threads: any. Each shard has a lock; it is not held while bytes are sealed or opened.
 */
struct arili_l1;

/* What is known of an entry besides its bytes. */
struct arili_l1_meta {
    uint64_t created_ms, not_after_ms;
    uint64_t generation;
    uint64_t until_ns; /* boot clock: not used after it */
    uint64_t stale_ns; /* boot clock: stale from then on; UINT64_MAX: never */
    uint64_t epoch;    /* of whoever put it; another one on get means that it is over */
    uint8_t format;    /* aril_cache_format */
    bool old_key;
};
/* What an entry must satisfy to be a hit; else it is dropped, and a miss. */
struct arili_l1_want {
    uint64_t now_ns;     /* boot clock; before until_ns */
    uint64_t generation; /* at least */
    uint64_t epoch;      /* exactly */
};

/* bytes_max: at least 64 KiB. shards: a power of two up to 256; fewer are made when each would get
 * less than 64 KiB. A value has to fit into one shard with its name and some 200 bytes. */
ARIL_MUST_USE aril_status arili_l1_new(aril_runtime *rt, uint64_t bytes_max, size_t shards,
                                       struct arili_l1 **ret);
void arili_l1_free(struct arili_l1 *l1); /* accepts NULL */

/* Room for a value of len bytes, as aril_store_room_fn. */
struct arili_l1_into {
    aril_span buffer;         /* used when len fits */
    aril_store_room_fn *room; /* else asked, or NULL */
    void *user;
};
/*
 * Look up, verify, decrypt. ARIL_OK; ARIL_E_NOT_FOUND; ARIL_E_USAGE_TOO_SMALL (*ret_len is set);
 * ARIL_E_NOMEM; ARIL_E_AUTH when memory was changed (the entry is dropped, the buffer wiped).
 * ARIL_E_FORKED in a child, where every other call does nothing and finds nothing. ARIL_E_LIMIT
 * when room gave none.
 */
ARIL_MUST_USE aril_status arili_l1_get(struct arili_l1 *l1, const aril_cache_key *key,
                                       const struct arili_l1_want *want,
                                       const struct arili_l1_into *into, uint8_t **ret_data,
                                       size_t *ret_len, struct arili_l1_meta *ret_meta);
/* The same in two steps, so that the index is on its way while the caller looks at something else.
 */
uint64_t arili_l1_hash(const struct arili_l1 *l1, const aril_cache_key *key);
ARIL_MUST_USE aril_status arili_l1_get_hashed(struct arili_l1 *l1, uint64_t hash,
                                              const aril_cache_key *key,
                                              const struct arili_l1_want *want,
                                              const struct arili_l1_into *into, uint8_t **ret_data,
                                              size_t *ret_len, struct arili_l1_meta *ret_meta);
/* Whether there is such an entry; nothing is decrypted. */
bool arili_l1_has(struct arili_l1 *l1, const aril_cache_key *key, const struct arili_l1_want *want);
/* Seal and keep; replaces the one of that name. Fails softly: without memory or room nothing is
 * kept, and an older value of that name is dropped. */
void arili_l1_put(struct arili_l1 *l1, const aril_cache_key *key, aril_bytes value,
                  const struct arili_l1_meta *meta);
/* Gives the ticket as it is after the drop: of writers that overlap each gets another one. */
uint64_t arili_l1_drop(struct arili_l1 *l1, const aril_cache_key *key);
void arili_l1_clear(struct arili_l1 *l1);
/*
 * So that a value that was read from the store before it was changed does not come in after the
 * change: take a ticket before the read; put_if gives up when the name was put or dropped since,
 * and gives false. It does so now and then for nothing. False as well without memory or room.
 */
uint64_t arili_l1_ticket(struct arili_l1 *l1, const aril_cache_key *key);
bool arili_l1_put_if(struct arili_l1 *l1, const aril_cache_key *key, aril_bytes value,
                     const struct arili_l1_meta *meta, uint64_t ticket);

struct arili_l1_stats {
    uint64_t entries, bytes, evictions;
};
struct arili_l1_stats arili_l1_get_stats(struct arili_l1 *l1);
#endif
