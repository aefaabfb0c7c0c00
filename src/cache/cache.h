/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_CACHE_H
#define ARILI_CACHE_CACHE_H
#include "cache/flight.h"
#include "cache/l1.h"
#include "cache/legacy.h"
#include "cache/names.h"
#include "cache/staging.h"
#include "cache/store.h"
#include "cache/value.h"
#include "keyring/keyring.h"
#include <pthread.h>
#include <stdatomic.h>

/*
 * The cache. Read paths take no lock of their own: a scope (tenant and namespace) is found in a
 * table of atomic pointers that only grows, and holds what a hit must know. What changes elsewhere
 * (bump, lock, shred, retire) is looked for every refresh_ms by whoever comes by, scope.c.
 */

/* A policy as it was given, defaults filled in, and the figures of its namespaces. */
struct arili_policy {
    aril_cache_policy said;                         /* space and legacy_tenant are owned */
    _Atomic uint64_t outcomes[ARIL_CACHE_OUTCOMES]; /* but for hits, which the tiers count */
    _Atomic uint64_t hits_l1, hits_l2, hits_stale, hits_legacy, hits_old_key;
    _Atomic uint64_t expired, superseded, puts, put_failures, deletes, computed, waited;
    _Atomic uint64_t bytes_sealed, bytes_opened;
};

struct arili_scope {
    uint64_t hash;
    struct arili_policy *policy;
    aril_bytes tenant, space; /* owned, behind the struct */
    size_t alloc_bytes;
    _Atomic uint64_t generation; /* values below it are over */
    _Atomic uint64_t epoch;      /* L1 entries of another one are over */
    _Atomic int status;          /* aril_status: why nothing can be had; ARIL_OK */
    uint64_t gone;               /* mark of the keys that open no more; under the cache's lock */
    _Atomic(struct arili_naming *) naming;
    struct arili_legacy_writer writer; /* policy.writes other than native */
};

/* Open-addressed, grown by copying; former tables live until close, for who reads them. */
struct arili_scope_table {
    struct arili_scope_table *former;
    size_t cap; /* a power of two */
    _Atomic(struct arili_scope *) slots[];
};
#define ARILI_SCOPES_MAX 262144u

/* Keys for formats of others that were handed in, in secure cells. */
struct arili_handed_keys {
    struct arili_handed_keys *next;
    aril_cache_format format;
    uint8_t tenant[ARIL_TENANT_ID_BYTES_MAX];
    size_t tenant_len;
    uint8_t *cells[ARILI_LEGACY_KEYS_MAX];
    size_t lens[ARILI_LEGACY_KEYS_MAX];
    size_t count;
};

struct arili_shared_chains;

struct aril_cache {
    aril_runtime *rt;
    struct arili_fork_guard guard;
    aril_keyring *keyring;
    enum arili_hash hash;
    aril_store *store;     /* NULL: L1 alone */
    uint32_t capabilities; /* of the store */
    const aril_executor *executor;
    aril_cache_evidence_fn *evidence;
    void *user;
    uint64_t refresh_ns, seed;
    uint8_t self[16]; /* tells our own messages */

    struct arili_l1 *l1;
    struct arili_flights *flights;
    struct arili_staging *staging;
    struct arili_policy *policies; /* [policy_count]; the last one is for all other namespaces */
    size_t policy_count;
    size_t policies_room; /* places behind them that are not used */

    pthread_mutex_t lock; /* scopes, handed, shared: whoever changes them */
    _Atomic(struct arili_scope_table *) scopes;
    size_t scope_count;
    _Atomic uint64_t look_at_ns;
    uint64_t revision; /* of the keyring when the scopes were looked at; under lock */
    _Atomic(struct arili_handed_keys *) handed;
    _Atomic(struct arili_shared_chains *) shared;
    _Atomic uint64_t invalidated;
    bool listens; /* to messages of the store */
};

/* --- Scopes (scope.c, policy.c) */

ARIL_MUST_USE aril_status arili_policies_init(aril_cache *cache, const aril_cache_config *config,
                                              aril_error *error);
void arili_policies_done(aril_cache *cache);
/* The policy of a namespace. */
struct arili_policy *arili_policy_of(const aril_cache *cache, aril_bytes space);
void arili_count(_Atomic uint64_t *figure, uint64_t n);

/* Checks pointers, lengths and the fork. */
ARIL_MUST_USE aril_status arili_cache_enter(const aril_cache *cache);
ARIL_MUST_USE aril_status arili_cache_key_check(const aril_cache_key *key);
/* The same of a key that may be one of our own records, which no caller may name. */
ARIL_MUST_USE aril_status arili_cache_record_check(const aril_cache_key *key);

/* The scope of a tenant and namespace; made when it is new. NOT_FOUND: no such tenant; KEY (class);
 * LIMIT. Also does the looking when it is due. */
ARIL_MUST_USE aril_status arili_scope_find(aril_cache *cache, aril_bytes tenant, aril_bytes space,
                                           struct arili_scope **ret, uint64_t *ret_now_ns,
                                           aril_error *error);
/* Take over what changed in the keyring: generations, keys that open no more. */
void arili_scopes_look(aril_cache *cache);
void arili_scopes_free(aril_cache *cache);
/* The NAME key that is active, which the caller puts back, and the names under it. */
ARIL_MUST_USE aril_status arili_scope_naming(aril_cache *cache, struct arili_scope *s,
                                             aril_tenant_key **ret_key,
                                             const struct arili_naming **ret, aril_error *error);

ARIL_MUST_USE aril_status arili_cache_now(const aril_cache *cache, uint64_t *ret_ns,
                                          uint64_t *ret_ms);

/* What a value is called, and its keys. */
struct arili_place_of_value {
    uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
    char name[ARILI_CACHE_NAME_TEXT];
    size_t name_len;
};
ARIL_MUST_USE aril_status arili_cache_place(aril_cache *cache, struct arili_scope *scope,
                                            const aril_cache_key *key,
                                            struct arili_place_of_value *ret, aril_error *error);

/* --- Reading and writing (get.c, read.c, put.c) */

/* One value past the policies: item->result and item->status are filled, nothing is counted. Gives
 * the policy of its namespace; NULL: its key is none. */
struct arili_policy *arili_cache_read(aril_cache *cache, aril_cache_item *item, aril_error *error);
/* The same of one of our own records, without a look into L1 where past_l1 says so. Until when it
 * may be used without asking the store again: boot clock, UINT64_MAX when the store was asked. */
struct arili_policy *arili_cache_read_record(aril_cache *cache, aril_cache_item *item, bool past_l1,
                                             uint64_t *ret_until_ns, aril_error *error);
/* Count how a read ended. p may be NULL. */
void arili_cache_count(struct arili_policy *p, const aril_cache_item *item);
/* One value; with a lock name the store checks that fence still holds it. */
ARIL_MUST_USE aril_status arili_cache_write(aril_cache *cache, aril_cache_item *item,
                                            aril_bytes lock, uint64_t fence, aril_error *error);
/* One of our own records. */
ARIL_MUST_USE aril_status arili_cache_write_record(aril_cache *cache, aril_cache_item *item,
                                                   aril_error *error);
/* What L1 must know of a value that ends at not_after_ms. epoch: the scope's when the call began,
 * before anything was asked; what ends values meanwhile ends this one too. */
struct arili_l1_meta arili_l1_meta_of(const struct arili_scope *scope, uint64_t epoch,
                                      uint64_t now_ns, uint64_t now_ms, uint64_t created_ms,
                                      uint64_t not_after_ms, uint64_t generation);

/* --- Formats of others (others.c) */

/* Whether values of another format are read in that namespace now. */
bool arili_others_apply(const struct arili_scope *scope, uint64_t now_ms);
/* Whether the key is a name that another system may have given: not a field, not too long, and none
 * of ours, which may be another tenant's. */
bool arili_others_name(const aril_cache_key *key);
struct arili_others_keys {
    struct arili_legacy_keys keys;
    aril_tenant_key *pinned[ARILI_LEGACY_KEYS_MAX];
    size_t pinned_count;
};
/* The keys for that format: handed in, or the keyring's. count 0: there are none. */
ARIL_MUST_USE aril_status arili_others_keys(aril_cache *cache, const struct arili_scope *scope,
                                            aril_cache_format format, struct arili_others_keys *ret,
                                            aril_error *error);
void arili_others_keys_done(struct arili_others_keys *k);
/* The format that legacy_reads names. */
aril_cache_format arili_others_format(const struct arili_policy *policy);
/* Memory for a value of theirs on its way from the store: aril_store_item.room with such a user.
 * Whoever asked ends it in any case; a store that fails half-way leaves it here. */
struct arili_others_room {
    const struct arili_policy *policy;
    aril_span memory;
    bool no_memory; /* why ARIL_E_LIMIT */
};
/* What an item that was asked for with it ended with. */
aril_status arili_others_room_status(const struct arili_others_room *room, aril_status st);
uint8_t *arili_others_room(void *user, size_t len);
void arili_others_room_done(struct arili_others_room *room);
ARIL_MUST_USE aril_status arili_others_open(aril_cache *cache, const struct arili_scope *scope,
                                            aril_bytes name, aril_bytes stored,
                                            struct arili_legacy_value *ret, aril_error *error);
/* The value as policy.writes has it; ret_stage is taken for it. */
ARIL_MUST_USE aril_status arili_others_seal(aril_cache *cache, struct arili_scope *scope,
                                            aril_bytes name, aril_bytes value,
                                            struct arili_stage *ret_stage, size_t *ret_len,
                                            aril_error *error);
void arili_handed_keys_free(aril_cache *cache);
void arili_shared_chains_free(aril_cache *cache);

/* --- Tags (tags.c) */
ARIL_MUST_USE aril_status arili_tag_stamps(aril_cache *cache, const aril_cache_item *item,
                                           struct arili_value_tag *ret, aril_error *error);
/* REPLAY_SUPERSEDED when one of them was ended. Until when L1 may answer for that: boot clock. */
ARIL_MUST_USE aril_status arili_tags_check(aril_cache *cache, const aril_cache_key *key,
                                           const struct arili_value_trailer *trailer,
                                           uint64_t *ret_until_ns, aril_error *error);

/* --- Messages between processes (messages.c) */
ARIL_MUST_USE aril_status arili_messages_listen(aril_cache *cache, aril_error *error);
/* Tell others that these names changed; with count 0 that the whole namespace did. Failures are
 * counted by the store and forgotten: L1 lives shortly. */
void arili_messages_tell(aril_cache *cache, aril_bytes tenant, aril_bytes space,
                         const aril_cache_item *items, size_t count);

/* Tell the audit sink what was refused. */
void arili_cache_tell(const aril_cache *cache, aril_event_kind kind, aril_status st,
                      const char *action, const aril_cache_key *key, const uint8_t *key_id);
#endif
