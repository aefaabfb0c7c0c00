/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CACHE_H
#define ARIL_CACHE_H
#include <aril/base.h>
#include <aril/executor.h>
#include <aril/keyring.h>
#include <aril/metrics.h>
#include <aril/runtime.h>
#include <aril/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The zero-knowledge cache: docs/cache.md is the guide, docs/CACHE-FORMAT.md the format. A store
 * only ever sees ciphertext under names that say nothing.
 *
 * Unless a function says otherwise. Threads: any, at the same time; also several processes and
 * hosts on one store. Blocks: on the store until its deadline, on the keyring when a key has to be
 * unwrapped. Allocates: yes. Since: 0.3. error is optional everywhere.
 */

/** A keyring, a store, and memory in front of it. */
typedef struct aril_cache aril_cache;

/* --- What a value is called ---------------------------------------------------------------- */

#define ARIL_CACHE_SPACE_BYTES_MAX 255u
#define ARIL_CACHE_KEY_BYTES_MAX   ((size_t)1 << 20)
#define ARIL_CACHE_VALUE_BYTES_MAX ((size_t)256 << 20)
#define ARIL_CACHE_TAGS_MAX        16u

/** What kind of container the value lies in; bound to it. */
typedef enum aril_cache_type {
    ARIL_CACHE_STRING = 0,
    ARIL_CACHE_HASH_FIELD = 1, /* field is the name of the field */
    ARIL_CACHE_SET_MEMBER = 2,
    ARIL_CACHE_BLOCK = 3 /* a KV block of a model: aril_cache_block_name() */
} aril_cache_type;

/** Everything that names a value. A value opens under this name alone. Spans are borrowed. */
typedef struct aril_cache_key {
    aril_bytes tenant; /* 1 to ARIL_TENANT_ID_BYTES_MAX bytes */
    aril_bytes space;  /* namespace, 0 to ARIL_CACHE_SPACE_BYTES_MAX bytes */
    aril_bytes key;    /* 1 to ARIL_CACHE_KEY_BYTES_MAX bytes, any value */
    aril_bytes field;  /* 0 to ARIL_CACHE_KEY_BYTES_MAX bytes; empty but for hash fields */
    uint32_t database; /* as Redis numbers them */
    aril_cache_type type;
} aril_cache_key;

/* --- Policies ------------------------------------------------------------------------------ */

/** What a caller hears when a value cannot be had. */
typedef enum aril_cache_failure {
    ARIL_CACHE_FAIL_OPEN = 0,  /* ARIL_E_NOT_FOUND, as if it were not there; result says why */
    ARIL_CACHE_FAIL_CLOSED = 1 /* the status that says why */
} aril_cache_failure;

typedef enum aril_cache_padding {
    ARIL_CACHE_PAD_NONE = 0,  /* the store sees exact lengths */
    ARIL_CACHE_PAD_PADME = 1, /* Padme: at most 12 % longer, hides all but O(log log n) bits */
    ARIL_CACHE_PAD_BLOCK = 2  /* to multiples of pad_bytes */
} aril_cache_padding;

enum {
    ARIL_CACHE_L1 = 1u << 0, /* in the memory of this process */
    ARIL_CACHE_L2 = 1u << 1  /* in the store */
};

/** Formats of others that a namespace may read, or write. */
typedef enum aril_cache_format {
    ARIL_CACHE_NATIVE = 0,           /* docs/CACHE-FORMAT.md */
    ARIL_CACHE_CACHEKIT_INTEROP = 1, /* cachekit interop v1: one MessagePack document */
    ARIL_CACHE_CACHEKIT_PY = 2,      /* cachekit-py's automatic frames; read only */
    ARIL_CACHE_CACHEKIT_TS = 3,      /* cachekit-ts's automatic frames; read only */
    ARIL_CACHE_CACHEKIT_RS = 4,      /* cachekit-rs's automatic frames; read only */
    ARIL_CACHE_LMCACHE = 5           /* LMCache's aesgcm serde */
} aril_cache_format;
#define ARIL_CACHE_FORMATS 6u

/** How one namespace behaves. All zero but space is the default. */
typedef struct aril_cache_policy {
    aril_bytes space; /* which namespace; copied. len 0: those that have no policy of their own */
    uint32_t tiers;   /* 0: ARIL_CACHE_L1 | ARIL_CACHE_L2 */
    uint64_t ttl_ms;  /* of values that name none, 0: 3600000 */
    uint64_t ttl_max_ms;     /* none lives longer, 0: 30 days */
    uint64_t l1_ttl_ms;      /* how long L1 keeps a value without asking the store, 0: 60000; of no
                                meaning without ARIL_CACHE_L2 */
    uint64_t stale_ms;       /* of its life, how long a value is stale before it ends: served by
                                aril_cache_get_or_compute() while one caller computes it anew */
    uint32_t jitter_percent; /* lives are shortened by up to so much, 0 to 50 */
    aril_cache_failure on_store_down, on_tamper, on_key_gone;
    aril_cache_padding padding;
    uint32_t pad_bytes;    /* ARIL_CACHE_PAD_BLOCK: 16 to 2^20 */
    uint64_t value_max;    /* 0: 64 MiB; at most ARIL_CACHE_VALUE_BYTES_MAX */
    uint64_t l1_value_max; /* longer values pass L1 by, 0: 1 MiB */
    int listable;  /* 1: names can be listed by who has the keys: RFC 5297 SIV instead of HMAC,
                      for keys of up to 512 bytes */
    int hash_tags; /* 1: {tag} in a key places it in a Cluster as Redis does, blinded */
    int evidence;  /* 1: what fails its check is handed to aril_cache_config.evidence */

    /* Formats of others. A namespace that lists none opens none: no downgrade. */
    uint32_t legacy_reads;       /* bit (1u << aril_cache_format) */
    uint64_t legacy_until_s;     /* none is read after it (seconds since 1970); demanded with
                                    legacy_reads */
    aril_cache_format writes;    /* ARIL_CACHE_NATIVE, _CACHEKIT_INTEROP or _LMCACHE: then nothing
                                    native is read either */
    aril_bytes legacy_tenant;    /* cachekit: its tenant string; LMCache: cache_salt; copied */
    uint32_t lmcache_key_bits;   /* 128 or 256; 0: 128 */
    uint64_t lmcache_writes_max; /* demanded to write LMCache frames: 1 to 2^32 in all under one
                                    key; this process refuses more */
} aril_cache_policy;

/* --- Opening ------------------------------------------------------------------------------- */

/** What failed its check, whole, for who investigates. Borrowed for the call; must not call back.
 */
typedef void aril_cache_evidence_fn(void *user, const aril_cache_key *key, aril_bytes name,
                                    aril_bytes value, aril_status why);

/** How to open a cache. All zero but keyring and one of store and l1_bytes is the default. */
typedef struct aril_cache_config {
    aril_keyring *keyring; /* borrowed until close */
    aril_store *store;     /* borrowed until close; NULL: L1 alone */
    uint64_t l1_bytes;     /* bound of L1, all overhead counted; 0: 64 MiB; at least 64 KiB */
    uint32_t l1_shards;    /* a power of two up to 256, 0: 16 */
    const aril_executor
        *executor;       /* segments of long values; NULL: the caller's thread. Borrowed. */
    uint32_t refresh_ms; /* a bump, a shred or a lock elsewhere is seen after it, 0: 250 */
    const aril_cache_policy *policies;
    size_t policy_count;
    aril_cache_evidence_fn *evidence; /* NULL: none is kept */
    void *user;
} aril_cache_config;

/**
 * Open a cache. When the store has ARIL_STORE_NOTIFY it listens for what other processes
 * invalidate; only one cache can listen to one aril_store.
 * @retval ARIL_E_USAGE_STATE  Somebody listens to this store already: open another one.
 * @retval ARIL_E_USAGE_RANGE  A member is out of range, or a policy contradicts itself; the message
 * says which member.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_open(aril_runtime *rt,
                                                   const aril_cache_config *config,
                                                   aril_cache **ret_cache, aril_error *error);
/** Close and wipe. Accepts NULL. Queues and values must be gone; close the cache before its store.
 */
ARIL_API void aril_cache_close(aril_cache *cache);

/**
 * Keys for formats of others, in memory alone (aril_keyring_import_cachekit() keeps them). The
 * first seals, where the policy allows, and opens; the others open. They go before those of the
 * keyring.
 * @param format  ARIL_CACHE_CACHEKIT_INTEROP for all of cachekit: 1 to 4 keys of 16 to 64 bytes;
 *                ARIL_CACHE_LMCACHE: 1 key, 16 to 4096 bytes, the content of the master file.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_legacy_keys(aril_cache *cache, aril_bytes tenant,
                                                          aril_cache_format format,
                                                          const aril_bytes *keys, size_t count,
                                                          aril_error *error);

/* --- Values -------------------------------------------------------------------------------- */

/** How a read ended. */
typedef enum aril_cache_outcome {
    ARIL_CACHE_MISS = 0, /* not there, or its time is over, or its namespace was bumped; or there
                            and longer than the buffer or the policy allows: status */
    ARIL_CACHE_HIT = 1,
    ARIL_CACHE_KEY_GONE = 2, /* its key was rotated out or shredded: nobody can open it */
    ARIL_CACHE_TAMPERED = 3, /* it is not what was put there under this name */
    ARIL_CACHE_DOWN = 4      /* store or keyring could not be asked: aril_cache_result.status */
} aril_cache_outcome;
#define ARIL_CACHE_OUTCOMES 5u
/** "miss", "hit", "key-gone", "tampered", "down"; never NULL. */
ARIL_API const char *aril_cache_outcome_name(aril_cache_outcome outcome);

typedef struct aril_cache_result {
    aril_cache_outcome outcome;
    aril_status status;       /* what really happened, whatever the policy makes of it */
    uint32_t tier;            /* ARIL_CACHE_L1 or _L2, of a hit */
    aril_cache_format format; /* of a hit */
    int stale;                /* in the stale part of its life */
    int old_key;              /* it was sealed under a key that seals no more: rotation drains */
    size_t len;               /* of the value; also where the buffer was too small */
    uint64_t created_ms;      /* when it was sealed, milliseconds since 1970; 0: not known */
    uint64_t not_after_ms;    /* when it ends; 0: not known */
} aril_cache_result;

/** One value of a batch. Zero what is not used. */
typedef struct aril_cache_item {
    aril_cache_key key;

    aril_bytes value;       /* put; may be empty */
    uint64_t ttl_ms;        /* put: 0: the policy's; more than ttl_max_ms is cut */
    int absent_only;        /* put: 1: only when the store has none; else ARIL_E_EXISTS */
    const aril_bytes *tags; /* put: aril_cache_invalidate_tag() of any of them ends the value */
    size_t tag_count;

    aril_span buffer; /* get: the value goes there. data NULL: the cache allocates, and the caller
                         ends it with aril_cache_value_free() */
    aril_cache_result result; /* get, exists */
    aril_status status;       /* of this item; what the policy makes of the result */
} aril_cache_item;

/** Wipe and release what a get allocated. All zero is fine. */
ARIL_API void aril_cache_value_free(aril_span *value);

/**
 * Get values. A hit was verified and decrypted; nothing else is ever in a buffer.
 * Item statuses: ARIL_OK; ARIL_E_NOT_FOUND; ARIL_E_USAGE_TOO_SMALL (len says how long it is,
 * nothing was written); and where the policy fails closed ARIL_E_AUTH, ARIL_E_FORMAT (class),
 * ARIL_E_ISOLATION, ARIL_E_KEY (class), those of aril_store_get().
 * @return ARIL_OK when every item is ARIL_OK or ARIL_E_NOT_FOUND, else ARIL_E_BATCH; with one item
 * its status. What concerns all: ARIL_E_USAGE (class), ARIL_E_FORKED.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_get(aril_cache *cache, aril_cache_item *items,
                                                  size_t count, aril_error *error);
/**
 * Put values. Item statuses: ARIL_OK; ARIL_E_EXISTS; ARIL_E_LIMIT (longer than the policy allows);
 * ARIL_E_IO_FULL and the others of aril_store_put(); ARIL_E_KEY (class): nothing can be sealed. A
 * put never fails open: the caller decides.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_put(aril_cache *cache, aril_cache_item *items,
                                                  size_t count, aril_error *error);
/** Delete from store and memory, here and in other processes that listen. */
ARIL_API ARIL_MUST_USE aril_status aril_cache_delete(aril_cache *cache, aril_cache_item *items,
                                                     size_t count, aril_error *error);
/** Ask whether the store has something under the name. Not verified: a get may still miss. */
ARIL_API ARIL_MUST_USE aril_status aril_cache_exists(aril_cache *cache, aril_cache_item *items,
                                                     size_t count, aril_error *error);

/**
 * Computes a value. @p ret_value stays borrowed until release() (may be NULL) is called with it.
 * @return ARIL_OK, or a status that aril_cache_get_or_compute() hands on; nothing is cached then.
 */
typedef struct aril_cache_compute {
    void *user;
    aril_status (*compute)(void *user, const aril_cache_key *key, aril_bytes *ret_value);
    void (*release)(void *user, aril_bytes value);
    uint32_t lock_ms; /* how long others wait for it, also in other processes; at most 600000, 0:
                         30000 */
} aril_cache_compute;
/**
 * Get a value, or compute and put it. Of the callers that miss at the same time one computes and
 * the others wait: threads of this cache, and where the store has locks other processes as well.
 * Who waits longer than lock_ms computes too. Who computes longer than lock_ms loses the lock: its
 * put is refused when another process has it then, and it still gets its value. A stale value is
 * served at once to all but the one that computes it anew. What cannot be read is computed where
 * the policy fails open; where it fails closed the status is that of aril_cache_get().
 *
 * result.outcome is ARIL_CACHE_MISS for a value that was computed; its status ARIL_E_NOT_FOUND, or
 * why it could not be put. When compute() fails the caller hears its status, or gets the stale
 * value.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_get_or_compute(aril_cache *cache,
                                                             aril_cache_item *item,
                                                             const aril_cache_compute *compute,
                                                             aril_error *error);

/* --- Many values at once ------------------------------------------------------------------- */

/**
 * End every value of a namespace at once, everywhere where this keyring is: its generation goes up.
 * @param ret_generation  Optional; the new one.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_bump(aril_cache *cache, aril_bytes tenant,
                                                   aril_bytes space, uint64_t *ret_generation,
                                                   aril_error *error);
/**
 * Bump, and delete what the store lists of the namespace.
 * @param ret_deleted  Optional; how many.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_flush(aril_cache *cache, aril_bytes tenant,
                                                    aril_bytes space, uint64_t *ret_deleted,
                                                    aril_error *error);
/** End every value that was put with this tag. */
ARIL_API ARIL_MUST_USE aril_status aril_cache_invalidate_tag(aril_cache *cache, aril_bytes tenant,
                                                             aril_bytes space, aril_bytes tag,
                                                             aril_error *error);
/** Called for each value that the store lists. key is NULL where names cannot be listed. Return 0
 * to go on. May call the cache. */
typedef int aril_cache_visit_fn(void *user, const aril_cache_key *key, aril_bytes name);
/** List the names of a namespace. @retval ARIL_E_UNAVAILABLE  The store cannot list. */
ARIL_API ARIL_MUST_USE aril_status aril_cache_list(aril_cache *cache, aril_bytes tenant,
                                                   aril_bytes space, aril_cache_visit_fn *visit,
                                                   void *user, aril_error *error);

typedef struct aril_cache_migration {
    uint64_t seen, migrated, native,
        failed; /* failed: could not be opened; they stay as they are */
    uint64_t expired;
} aril_cache_migration;
/**
 * Read the values of a namespace in the formats of legacy_reads and put them back as native ones,
 * under the tenant's names; then the old ones are deleted. Can be stopped and run again.
 * @param names  What to migrate, store names as the other system gave them; @p count 0: all that
 * the store lists but those that have names of ours.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_migrate(aril_cache *cache, aril_bytes tenant,
                                                      aril_bytes space, const aril_bytes *names,
                                                      size_t count, aril_progress_fn *progress,
                                                      void *user, aril_cache_migration *ret_done,
                                                      aril_error *error);

/* --- Names --------------------------------------------------------------------------------- */

#define ARIL_CACHE_NAME_BYTES_MAX ARIL_STORE_NAME_BYTES_MAX
/** The name of a value in the store, without a NUL. Enough is ARIL_CACHE_NAME_BYTES_MAX. */
ARIL_API ARIL_MUST_USE aril_status aril_cache_name(aril_cache *cache, const aril_cache_key *key,
                                                   char *ret_name, size_t cap, size_t *ret_len,
                                                   aril_error *error);
/** The prefix of a tenant's names, of those of a namespace when @p space is not NULL: for ACLs.
 * Ends with NUL, which @p ret_len does not count. */
ARIL_API ARIL_MUST_USE aril_status aril_cache_prefix(aril_cache *cache, aril_bytes tenant,
                                                     const aril_bytes *space, char *ret_prefix,
                                                     size_t cap, size_t *ret_len,
                                                     aril_error *error);

/** A KV block of a model, as engines name it. */
typedef struct aril_cache_block {
    aril_bytes model;   /* name and revision */
    uint8_t layout[32]; /* digest of what tells two layouts apart: dtype, shapes, parallelism */
    uint32_t layer_first, layer_count, rank, group;
    aril_bytes chain; /* hash over all tokens up to its end, 16 to 64 bytes, as the engine has it */
} aril_cache_block;
#define ARIL_CACHE_BLOCK_KEY_BYTES 32u
/**
 * The key of a block, for aril_cache_key.key with type ARIL_CACHE_BLOCK: a digest of all members.
 * Threads: any. Blocks: no. Allocates: no.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_block_name(
    aril_cache *cache, const aril_cache_block *block, uint8_t ret_key[ARIL_CACHE_BLOCK_KEY_BYTES]);

#define ARIL_CACHE_SALT_TEXT 44u
/**
 * cache_salt for vLLM, SGLang and LMCache: 43 characters of [A-Za-z0-9_-], secret, the same for
 * every server that has the tenant's name key. @p domain: a trust boundary inside the tenant, may
 * be empty.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_salt(aril_cache *cache, aril_bytes tenant,
                                                   aril_bytes domain,
                                                   char ret_salt[ARIL_CACHE_SALT_TEXT],
                                                   aril_error *error);

/**
 * The shared-prefix domain: blocks of prompts that the operator lists are kept once for all
 * tenants, under a tenant of their own. Give the chains of the listed prompts; a look-up answers
 * whose block it is.
 * @param shared_tenant  The tenant whose keys seal shared blocks; must exist in the keyring.
 * @param chains         @p count chains of @p chain_bytes bytes, one after the other; copied.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_share(aril_cache *cache, aril_bytes shared_tenant,
                                                    const uint8_t *chains, size_t chain_bytes,
                                                    size_t count, aril_error *error);
/** @p tenant, or the shared one when the chain was listed. Borrowed from the cache or the caller.
 */
ARIL_API aril_bytes aril_cache_block_tenant(const aril_cache *cache, aril_bytes tenant,
                                            aril_bytes chain);

/* --- Asynchronous batches ------------------------------------------------------------------ */

/** Workers and a queue over a cache. Buffers stay the caller's; nothing is copied but by sealing.
 */
typedef struct aril_cache_queue aril_cache_queue;

typedef enum aril_cache_op {
    ARIL_CACHE_OP_GET = 0,
    ARIL_CACHE_OP_PUT = 1,
    ARIL_CACHE_OP_EXISTS = 2,
    ARIL_CACHE_OP_DELETE = 3
} aril_cache_op;

typedef struct aril_cache_completion {
    uint64_t id;
    aril_cache_op op;
    aril_status status; /* as the synchronous call answers */
    aril_cache_item *items;
    size_t count;
    void *user;
} aril_cache_completion;

/**
 * Start @p workers threads (1 to 256), which inherit the caller's CPU affinity.
 * @param depth  Batches that wait or run, at most; 1 to 65536.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_queue_new(aril_cache *cache, size_t workers,
                                                        size_t depth, aril_cache_queue **ret_queue);
/** Wait for what runs, give up what waits (ARIL_E_INTERRUPTED, nobody is told), end the threads. */
ARIL_API void aril_cache_queue_free(aril_cache_queue *queue);
/** An eventfd that is readable while completions wait. Poll it, do not read it. */
ARIL_API int aril_cache_queue_fd(const aril_cache_queue *queue);
/**
 * Submit a batch. Items, and what they point to, belong to the queue until the completion.
 * @retval ARIL_E_LIMIT  depth batches are under way. Take completions, then try again.
 * Blocks: no. Allocates: no.
 */
ARIL_API ARIL_MUST_USE aril_status aril_cache_submit(aril_cache_queue *queue, aril_cache_op op,
                                                     aril_cache_item *items, size_t count,
                                                     void *user, uint64_t *ret_id);
/** Take up to @p cap completions; 0 when there is none. Blocks: no. */
ARIL_API size_t aril_cache_completions(aril_cache_queue *queue, aril_cache_completion *ret,
                                       size_t cap);

/* --- Figures ------------------------------------------------------------------------------- */

typedef struct aril_cache_stats {
    uint64_t outcomes[ARIL_CACHE_OUTCOMES]; /* of gets */
    uint64_t hits_l1, hits_l2, hits_stale, hits_legacy;
    uint64_t hits_old_key;        /* the drain: reads that still needed a key that seals no more */
    uint64_t expired, superseded; /* misses because of not-after; because of generation or tag */
    uint64_t puts, put_failures, deletes;
    uint64_t computed, waited; /* get_or_compute: computed here; served by somebody else's work */
    uint64_t invalidated;      /* values that messages of other processes removed from L1 */
    uint64_t bytes_sealed, bytes_opened; /* on the way to and from the store */
    uint64_t l1_entries, l1_bytes, l1_evictions;
    aril_store_info store; /* kind NULL: no store */
} aril_cache_stats;
ARIL_API ARIL_MUST_USE aril_status aril_cache_get_stats(aril_cache *cache,
                                                        aril_cache_stats *ret_stats);
/** Hand every figure to a sink: aril_cache_hits_total{space="...",tier="l1"} and so on. */
ARIL_API ARIL_MUST_USE aril_status aril_cache_metrics(aril_cache *cache,
                                                      const aril_metrics_sink *sink);

/* --- cachekit ------------------------------------------------------------------------------ */

/**
 * The interop v1 key of cachekit: "NAMESPACE:OPERATION:HEX64".
 * @param space, operation  [a-z0-9][a-z0-9._-]{0,63}
 * @param args  One MessagePack array of the arguments. It is brought into cachekit's canonical form
 *              first: shortest integers, integral floats as integers, map keys sorted by their
 * bytes.
 * @param ret_key  Enough is ARIL_CACHEKIT_KEY_TEXT; ends with NUL.
 * @retval ARIL_E_FORMAT (class)  args is no such array: NaN, infinity, ext types, keys that are no
 * strings or there twice, nested deeper than 32, bytes behind it.
 * @retval ARIL_E_LIMIT  args is longer than ARIL_CACHE_KEY_BYTES_MAX.
 * @retval ARIL_E_USAGE_RANGE  space or operation is no such name.
 * Threads: any. Blocks: no.
 */
#define ARIL_CACHEKIT_KEY_TEXT 195u
ARIL_API ARIL_MUST_USE aril_status aril_cachekit_key(aril_runtime *rt, aril_bytes space,
                                                     aril_bytes operation, aril_bytes args,
                                                     char ret_key[ARIL_CACHEKIT_KEY_TEXT],
                                                     aril_error *error);

#ifdef __cplusplus
}
#endif
#endif
