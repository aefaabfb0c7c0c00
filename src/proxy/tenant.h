/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_TENANT_H
#define ARILI_PROXY_TENANT_H
#include "cache/names.h"
#include "cache/value.h"
#include "proxy/config.h"
#include "proxy/figures.h"
#include "proxy/tells.h"
#include <aril/keyring.h>
#include <pthread.h>
#include <stdatomic.h>

/*
 * Keys, names and seals of one tenant. What needs the keyring is done by arili_tenant_refresh() on
 * a thread that may block; loops use what it left and never wait. Names, contexts and values are
 * those of docs/CACHE-FORMAT.md, so `aril cache get` reads what arild wrote: space as configured,
 * listable, the client's database. A name is that of a STRING whatever lies there, so that DEL,
 * EXISTS and TYPE need not know; contexts of values say what they are.
 *
 * Field names of hashes and members of sets are AES-256-SIV under the listing key, bound to tenant,
 * space, database, key and what they are: the same field has the same text in one hash, and another
 * text in every other one. "~" and base64url for fields; raw bytes for members.
 */

/*
 * What loops use: immutable, counted. All that is made here with keys answers their status where
 * that is not ARIL_OK, and FORKED in a child.
 *
 * Reading needs names and the keyring; sealing needs an active DATA key besides. Where that one is
 * overdue or there is none that is active, status is ARIL_OK, seal_status says why nothing is
 * sealed, and data is NULL: values open by the ids that stand in them. A NAME key has no end.
 */
struct arili_tenant_keys {
    _Atomic uint32_t refs;
    aril_status status;      /* ARIL_OK, or why there are no keys: KEY_LOCKED, NOT_FOUND, ... */
    aril_status seal_status; /* ARIL_OK: data seals; else status, KEY_OVERDUE or KEY_INACTIVE */
    aril_tenant_key *data, *name;
    struct arili_naming naming;
    uint8_t *siv;        /* secure cell: listing key; naming borrows it */
    uint64_t generation; /* of values that are sealed, and the least of those that are opened */
    aril_runtime *rt;
    struct arili_fork_guard guard;
    enum arili_hash hash;
};

struct arili_tenant {
    struct arili_tenant *next;
    char id[256];
    size_t id_len;
    char space[ARIL_CACHE_SPACE_BYTES_MAX + 1];
    bool hash_tags;  /* a Cluster: {tag} of keys is kept, blinded */
    uint32_t number; /* small and unique: of metrics and name caches */
    pthread_mutex_t lock;
    struct arili_tenant_keys *keys; /* under lock; never NULL */
    _Atomic uint32_t clients;
    struct arili_tenant_figures figures;
    struct arili_tells tells; /* how often something of it was told */

    pthread_mutex_t refreshing;      /* taken before lock; guards what follows */
    struct arili_tenant_keys *spare; /* to say that there are no keys when memory is short */
    uint64_t revision;               /* of the keyring when the floor was read */
};
/* Its number is one more than that of the tenant before, in this process. Until the first refresh
 * the status of its keys is ARIL_E_KEYSTORE_BUSY. USAGE_RANGE: the id is empty or too long, or the
 * space is. */
ARIL_MUST_USE aril_status arili_tenant_new(aril_bytes id, const char *space, bool hash_tags,
                                           struct arili_tenant **ret);
/* Keys that loops hold stay. NULL is fine. */
void arili_tenant_free(struct arili_tenant *t);
/*
 * Look at the keyring; publishes new keys when something changed, also when a date came. Blocks
 * when it did, and every refresh_ms of the keyring on its file; else it is two look-ups, less than
 * 1 us. Any thread, also several.
 *
 * A failure that says nothing about access (memory, the file or the keystore is not to be reached
 * now) leaves the keys as they are; every other one ends them, and is their status.
 */
void arili_tenant_refresh(struct arili_tenant *t, aril_runtime *rt, aril_keyring *keyring);
/* A reference; its status may say that there are none. */
struct arili_tenant_keys *arili_tenant_keys_hold(struct arili_tenant *t);
void arili_tenant_keys_drop(struct arili_tenant_keys *k); /* NULL is fine */

/* The key that opens a value. Only what is in memory: the active one, and what was put into the
 * loop's table below. NULL: ask the keyring on a worker. */
#define ARILI_KEY_TABLE 64u
struct arili_key_table { /* of one loop: former keys, the least used goes */
    struct {
        uint8_t id[ARIL_KEY_ID_BYTES];
        uint32_t tenant;      /* number; what one tenant may open another may not */
        aril_tenant_key *key; /* NULL: empty, or status says why there is none */
        aril_status status;
        uint64_t until_ns, used_ns;
    } rows[ARILI_KEY_TABLE];
};
/* *ret a reference, to be put back. ARIL_OK with NULL: not known here. Else why there is none. */
ARIL_MUST_USE aril_status arili_key_table_find(struct arili_key_table *table,
                                               const struct arili_tenant *t,
                                               const struct arili_tenant_keys *keys,
                                               const uint8_t id[ARIL_KEY_ID_BYTES], uint64_t now_ns,
                                               aril_tenant_key **ret);
/* key: a reference that the table takes; NULL with the status of the keyring. Kept one second. One
 * that is not a DATA key opens no values: it is put back, and KEY_UNKNOWN kept in its place. */
void arili_key_table_put(struct arili_key_table *table, const struct arili_tenant *t,
                         const uint8_t id[ARIL_KEY_ID_BYTES], aril_tenant_key *key,
                         aril_status status, uint64_t now_ns);
void arili_key_table_done(struct arili_key_table *table); /* empty then; may be used again */

/* --- Names ---------------------------------------------------------------------------------- */

/* Names that were made lately, of one loop: making one costs about 3 us, finding it 100 ns.
 * By a keyed hash of tenant, key version, database and key. 3 MiB. */
#define ARILI_NAME_CACHE_ROWS 8192u
#define ARILI_NAME_CACHED_MAX 96u /* longer keys are not kept */
struct arili_name_cache;
ARIL_MUST_USE aril_status arili_name_cache_new(aril_runtime *rt, struct arili_name_cache **ret);
void arili_name_cache_free(struct arili_name_cache *c); /* wipes */

struct arili_place {
    uint8_t context[ARILI_CACHE_CONTEXT_BYTES]; /* of a STRING */
    uint16_t name_len;
    char name[ARILI_CACHE_NAME_TEXT];
};
/* USAGE_RANGE: the key is empty or longer than ARILI_CACHE_LISTED_KEY_MAX. cache may be NULL. */
ARIL_MUST_USE aril_status arili_place_make(struct arili_name_cache *cache,
                                           const struct arili_tenant *t,
                                           const struct arili_tenant_keys *keys, uint32_t database,
                                           aril_bytes key, struct arili_place *ret);
/* What a name of the store is called by its tenant. room: ARILI_CACHE_LISTED_KEY_MAX. NOT_FOUND:
 * it is no name of this tenant and database, or not the one that arili_place_make() gives; room is
 * unchanged then. */
ARIL_MUST_USE aril_status arili_place_open(const struct arili_tenant *t,
                                           const struct arili_tenant_keys *keys, uint32_t database,
                                           aril_bytes name, uint8_t *room, size_t *ret_len);
/* The prefix of all names: "a1:T:S:", of ARILI_CACHE_PREFIX_TEXT bytes, then in the pattern of SCAN
 * "*". */
const char *arili_place_prefix(const struct arili_tenant_keys *keys);

/* Contexts of the values in a hash: those of its fields. */
ARIL_MUST_USE aril_status arili_field_context(const struct arili_tenant *t,
                                              const struct arili_tenant_keys *keys,
                                              uint32_t database, aril_bytes key, aril_bytes field,
                                              uint8_t ret[ARILI_CACHE_CONTEXT_BYTES]);
/* A field name or a member as the store has it: iv || ciphertext, in base64url behind "~" for
 * fields: docs/CACHE-FORMAT.md section 11. Longer by this much at most. */
#define ARILI_SEALED_NAME_BYTES(len) (1u + (16u + (len) + 2u) / 3u * 4u)
#define ARILI_MEMBER_OVERHEAD        16u
enum arili_inner { ARILI_INNER_FIELD = 1, ARILI_INNER_MEMBER = 2 };
/* ret has room for ARILI_SEALED_NAME_BYTES(text.len) and does not overlap. LIMIT above
 * ARILI_SIV_PLAIN_BYTES_MAX. Empty texts are allowed. */
ARIL_MUST_USE aril_status arili_inner_seal(const struct arili_tenant *t,
                                           const struct arili_tenant_keys *keys,
                                           const struct arili_place *place, enum arili_inner what,
                                           aril_bytes text, uint8_t *ret, size_t *ret_len);
/* ret has room for sealed.len and does not overlap; what is behind *ret_len is undefined, on
 * failure all of it is zero. AUTH, FORMAT (class): it was not made here, for this key. */
ARIL_MUST_USE aril_status arili_inner_open(const struct arili_tenant *t,
                                           const struct arili_tenant_keys *keys,
                                           const struct arili_place *place, enum arili_inner what,
                                           aril_bytes sealed, uint8_t *ret, size_t *ret_len);

/* --- Values, in place and in pieces --------------------------------------------------------- */

/* Bytes of a stored value of so many, and the other way: FORMAT_LENGTH when no value without a
 * trailer has that length. */
uint64_t arili_sealed_bytes(uint64_t value_bytes);
ARIL_MUST_USE aril_status arili_plain_bytes(uint64_t stored_bytes, uint64_t *ret);
#endif
