/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_KEYRING_H
#define ARIL_KEYRING_H
#include <aril/audit.h>
#include <aril/base.h>
#include <aril/executor.h>
#include <aril/identity.h>
#include <aril/keystore.h>
#include <aril/profile.h>
#include <aril/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Keys that outlive a process: docs/keyring.md is the guide, docs/KEYRING-FORMAT.md the format.
 *
 * Unless a function says otherwise. Threads: any, at the same time, also several processes on one
 * file. Blocks: on the file, on the keystore when a secret has to be unsealed, and on other
 * processes that write. Allocates: yes. Since: 0.2. error is optional everywhere; it names the
 * file, the value and the remedy. Where the status says all (ARIL_E_USAGE, ARIL_E_NOMEM and their
 * like) it may be left as it was, so clear it before a call.
 * Statuses of every function: ARIL_E_USAGE (class), ARIL_E_NOMEM, ARIL_E_RANDOM, ARIL_E_CRYPTO,
 * ARIL_E_FORKED in a forked child; those that read or write the file:
 *
 *   ARIL_E_IO (class)        it cannot be read or written; IO_FULL, IO_READ_ONLY
 *   ARIL_E_TIMEOUT           another process holds it, or the keystore did not answer
 *   ARIL_E_FORMAT (class)    it is no keyring, truncated, or of a newer version
 *   ARIL_E_AUTH              something in it was changed by somebody without the keystore
 *   ARIL_E_REPLAY_ROLLBACK   it is older than the keystore's counter says
 *   ARIL_E_KEYSTORE (class)  the keystore refused
 *   ARIL_E_KEY_LOCKED        the keyring is locked
 *   ARIL_E_CLOCK             for changes: the clock is behind the last change
 *
 * After a failure the file holds the old state, or the new one where the message says so.
 */

/** A keyring: one file, and the keystore that seals its root. */
typedef struct aril_keyring aril_keyring;

/** What a keyring is for. */
typedef enum aril_keyring_role {
    ARIL_KEYRING_AUTHORITY = 1, /* makes and rotates keys; signs bundles for nodes */
    ARIL_KEYRING_NODE = 2       /* takes keys from the bundles of one authority */
} aril_keyring_role;

/**
 * What a key is for. ROOT is sealed by the keystore and wraps TENANT, MODEL, API, AUTHORITY and
 * NODE keys; TENANT and MODEL keys wrap DATA, NAME and LEGACY keys.
 */
typedef enum aril_key_purpose {
    ARIL_KEY_ROOT = 1,      /* ML-KEM-1024: wraps the others */
    ARIL_KEY_TENANT = 2,    /* key-encryption key of a tenant: HPKE KEM of the profile */
    ARIL_KEY_MODEL = 3,     /* key-encryption key of a model version */
    ARIL_KEY_API = 4,       /* ML-DSA: signs API requests */
    ARIL_KEY_AUTHORITY = 5, /* ML-DSA: signs bundles */
    ARIL_KEY_NODE = 6,      /* HPKE KEM and ML-DSA: opens bundles, signs receipts */
    ARIL_KEY_DATA = 7,      /* 32 bytes, XAES-256-GCM: seals */
    ARIL_KEY_NAME = 8,      /* 32 bytes, HMAC: names of cached values */
    ARIL_KEY_LEGACY = 9     /* 32 bytes, of cachekit or LMCache; opens what they sealed */
} aril_key_purpose;
#define ARIL_KEY_PURPOSES 10u

typedef enum aril_key_state {
    ARIL_KEY_PENDING = 1,      /* made, not used yet */
    ARIL_KEY_ACTIVE = 2,       /* seals and opens */
    ARIL_KEY_DECRYPT_ONLY = 3, /* opens */
    ARIL_KEY_RETIRED = 4,      /* does neither; can be destroyed */
    ARIL_KEY_DESTROYED = 5     /* its bytes are gone */
} aril_key_state;

/** "root", "tenant", ...; "active", "decrypt-only", ...; never NULL. */
ARIL_API const char *aril_key_purpose_name(aril_key_purpose purpose);
ARIL_API const char *aril_key_state_name(aril_key_state state);

/** How a key stands to its dates. */
typedef enum aril_key_due {
    ARIL_KEY_NOT_DUE = 0,
    ARIL_KEY_DUE = 1,     /* the last tenth of its period */
    ARIL_KEY_OVERDUE = 2, /* past rotate_by: a warning, or no new seals, by policy */
    ARIL_KEY_ENDED = 3    /* past not_after: no new seals */
} aril_key_due;

#define ARIL_KEY_ID_BYTES        32u
#define ARIL_KEY_OWNER_BYTES_MAX 255u
#define ARIL_KEY_LABEL_BYTES_MAX 63u

/** One key as it stands in the file. Spans are borrowed for the call that carries it. */
typedef struct aril_key_info {
    uint8_t id[ARIL_KEY_ID_BYTES];     /* HKDF-Expand(key, "aril key id v1"): also commits to it */
    uint8_t parent[ARIL_KEY_ID_BYTES]; /* the key that wraps it; zeros for a root */
    uint8_t predecessor[ARIL_KEY_ID_BYTES]; /* the version before; zeros for the first */
    aril_key_purpose purpose;
    aril_key_state state;
    aril_key_due due;
    uint32_t version;     /* counts within its owner, purpose and label, from 1 */
    aril_bytes owner;     /* tenant id, "model@version", client id, node name; may be empty */
    aril_bytes label;     /* tells keys of one owner and purpose apart; may be empty */
    uint64_t created_s;   /* seconds since 1970, UTC */
    uint64_t activates_s; /* seals from here on */
    uint64_t rotate_by_s; /* overdue after it; 0: never */
    uint64_t not_after_s; /* seals nothing new after it; 0: no end */
    uint64_t changed_s;   /* last change of state */
    uint32_t children;    /* keys that it wraps */
} aril_key_info;

/**
 * When keys are due, in days; a member that is 0 takes the default, which is also the
 * maximum: policies may be tighter than HIP-5, not looser.
 */
typedef struct aril_key_policy {
    uint32_t root_days;   /* 365; authority and node keys as well */
    uint32_t tenant_days; /* 365 */
    uint32_t data_days;   /* 90; DATA keys. NAME keys never: they are rotated by hand */
    uint32_t api_days;    /* 30 */
    uint32_t bundle_days; /* 7: a bundle ends so long after it was signed */
    uint32_t lead_s;      /* 0 to 86400; seconds that a new version of a DATA, NAME or API key is
                             pending before it seals, so that every node has it; default 0 */
    int overdue_refuses;  /* 1: a key past rotate_by seals nothing new. 0: until not_after,
                             which is twice the period */
} aril_key_policy;

/** What rewraps and other long work calls; a result other than 0 stops it between two keys, and
 * the work answers ARIL_E_INTERRUPTED. It may not call the keyring. */
typedef int aril_progress_fn(void *user, uint64_t done, uint64_t total);

/** How to open a keyring. All zero but path and keystore is the default. */
typedef struct aril_keyring_config {
    const char *path;              /* copied */
    aril_keystore *keystore;       /* borrowed until close */
    const aril_executor *executor; /* NULL: rewraps run on the caller's thread. Borrowed. */
    aril_progress_fn *progress;    /* NULL: nobody looks */
    void *user;                    /* handed to progress */
    uint32_t busy_ms;              /* wait for other writers, 0: 5000 */
    uint32_t refresh_ms;           /* changes by others are seen after this at most, 0: 250 */
    uint32_t cache_ttl_s;          /* unwrapped keys are forgotten after this, 0: 300 */
    uint32_t cache_max;            /* unwrapped keys kept at most, 0: 65536 */
} aril_keyring_config;

/* --- Making, opening, closing ------------------------------------------------------------ */

typedef struct aril_keyring_init_config {
    aril_keyring_role role;        /* 0: ARIL_KEYRING_AUTHORITY */
    aril_profile profile;          /* 0: ARIL_PROFILE_HYBRID */
    const aril_key_policy *policy; /* NULL: the defaults */
    const char *recovery_path;  /* where the recovery key is written (mode 0600, never replaces) */
    const char *recipient_path; /* or: the public recipient of a recovery key made elsewhere */
    int no_recovery;            /* 1: neither; the keyring dies with its keystore */
    const char *node_name;      /* role node: 1 to 63 printable characters */
    const char *authority_path; /* role node: the authority's public key, PEM */
} aril_keyring_init_config;

/**
 * Make a keyring: the file, the root, for an authority its signing key, for a node its keys.
 * Exactly one of recovery_path, recipient_path and no_recovery must be given.
 * @retval ARIL_E_EXISTS  There is a file of that name, or of recovery_path; nothing was changed.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_init(aril_runtime *rt,
                                                     const aril_keyring_config *config,
                                                     const aril_keyring_init_config *init,
                                                     aril_error *error);

/**
 * Open a keyring: unseals the root, checks every row, the set of rows and the counter.
 * A locked keyring opens as well, and can be unlocked.
 * @retval ARIL_E_NOT_FOUND       There is no such file, or the keystore is not there any more.
 * @retval ARIL_E_KEYSTORE_WRONG  The keystore is that of another keyring, or the root was destroyed
 *                                in it. Open with the right one, or recover.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_open(aril_runtime *rt,
                                                     const aril_keyring_config *config,
                                                     aril_keyring **ret_keyring, aril_error *error);
/** Close; wipes. Every key that was taken must be back. Accepts NULL. */
ARIL_API void aril_keyring_close(aril_keyring *keyring);

/**
 * Lock the keyring for every process that has it open: each forgets its unwrapped keys within its
 * refresh time, and uses of keys answer ARIL_E_KEY_LOCKED until it is unlocked. Keys that are
 * pinned at that moment live until they are put back.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_lock(aril_keyring *keyring, aril_error *error);
ARIL_API ARIL_MUST_USE aril_status aril_keyring_unlock(aril_keyring *keyring, aril_error *error);
/** Forget the unwrapped keys of this process alone; they are unwrapped again when needed. */
ARIL_API void aril_keyring_forget(aril_keyring *keyring);

/**
 * Look whether another process changed the file, and take the change over. Uses of keys do so by
 * themselves every refresh_ms; a daemon calls it from a timer to hear of changes.
 * @param ret_changed  Optional; 1 when there was a change since this keyring looked last.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_refresh(aril_keyring *keyring, int *ret_changed,
                                                        aril_error *error);

/* --- Looking at it --------------------------------------------------------------------------- */

typedef enum aril_rollback_guard {
    ARIL_ROLLBACK_UNDETECTED = 0, /* the keystore has no counter */
    ARIL_ROLLBACK_DETECTED = 1
} aril_rollback_guard;

/** Room for a did:pqaid with its final NUL. */
#define ARIL_KEYRING_DID_BYTES 80u

typedef struct aril_keyring_info {
    uint8_t id[16];
    char did[ARIL_KEYRING_DID_BYTES]; /* did:pqaid of the key that signs its bundles or receipts */
    aril_keyring_role role;
    aril_profile profile;
    aril_key_policy policy;
    uint64_t created_s;
    uint64_t revision;       /* goes up with every change */
    uint64_t generation;     /* goes up with changes that must not be rolled back */
    uint64_t bundle_version; /* authority: last one signed; node: last one taken */
    uint64_t clock_behind_s; /* how far the clock is behind the last change; 0: it is not */
    aril_rollback_guard rollback;
    int locked;
    int has_recovery;
    int rotation_pending;           /* a rotation was interrupted; the next rotate ends it */
    size_t keys[ARIL_KEY_PURPOSES]; /* by purpose, all states but destroyed */
    size_t due, overdue;            /* active keys that are due; overdue or ended */
    size_t nodes, nodes_revoked, backups_open, shreds_pending;
    aril_keystore_info keystore;
} aril_keyring_info;

ARIL_API ARIL_MUST_USE aril_status aril_keyring_get_info(aril_keyring *keyring,
                                                         aril_keyring_info *ret_info,
                                                         aril_error *error);

/** Which keys a list has. All zero: all of them. */
typedef struct aril_key_filter {
    aril_bytes owner;  /* len 0: every owner */
    uint32_t purposes; /* bit (1u << purpose); 0: every purpose */
    uint32_t states;   /* bit (1u << state); 0: every state */
} aril_key_filter;

/** Called for each key. Return 0 to go on, another value to stop. May call the keyring. */
typedef int aril_key_visit_fn(void *user, const aril_key_info *info);

/** Visit the keys by purpose, owner, label, version. filter NULL: all. */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_list(aril_keyring *keyring,
                                                     const aril_key_filter *filter,
                                                     aril_key_visit_fn *visit, void *user,
                                                     aril_error *error);

/**
 * Called for each key, with what its unwrapping gave. Return 0 to go on, another value to stop. May
 * not call the keyring.
 */
typedef int aril_key_verify_fn(void *user, const aril_key_info *info, aril_status st);
/**
 * Unwrap every key that is not destroyed, and compare with ids and public keys. Goes on after a
 * failure, and answers the first one.
 * @param visit  NULL: nobody is told which key failed.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_verify(aril_keyring *keyring,
                                                       aril_key_verify_fn *visit, void *user,
                                                       aril_error *error);

/* --- Making and changing keys -------------------------------------------------------------- */

/** Which key: the slot of all versions of one key. */
typedef struct aril_key_slot {
    aril_key_purpose purpose;
    aril_bytes owner; /* 1 to ARIL_KEY_OWNER_BYTES_MAX, no NUL; empty for ROOT and AUTHORITY */
    aril_bytes label; /* 0 to ARIL_KEY_LABEL_BYTES_MAX printable characters; DATA, NAME, LEGACY */
} aril_key_slot;

/**
 * Make the first version of keys. A TENANT comes with a DATA and a NAME key of empty label. The
 * KEKs of DATA and NAME keys must exist. All or nothing.
 * @param slots  TENANT, MODEL, API, DATA or NAME; @p count of them.
 * @retval ARIL_E_EXISTS         One of them exists.
 * @retval ARIL_E_NOT_FOUND      The tenant or model of a DATA or NAME key does not exist.
 * @retval ARIL_E_KEY_DESTROYED  The tenant was shredded; its id is not used again.
 * @retval ARIL_E_USAGE_STATE    This is the keyring of a node.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_create(aril_keyring *keyring,
                                                       const aril_key_slot *slots, size_t count,
                                                       aril_error *error);

/**
 * Make the next version of a key.
 *  - ROOT, TENANT, MODEL: a new key-encryption key; the keys below are wrapped by it. Their bytes
 *    do not change, and neither does bulk data. The old one is destroyed; an old root keeps its
 *    slot in the keystore, so that older backups open, until aril_keyring_retire().
 *  - DATA, NAME, API, AUTHORITY: the new version seals or signs, the old one becomes decrypt-only.
 * Work that was interrupted is ended first, also that of another process; where that is the
 * rotation of this key, it is the one that was asked for, and no other is made.
 * @retval ARIL_E_NOT_FOUND    There is no such key.
 * @retval ARIL_E_INTERRUPTED  The progress function said so; what was done is kept.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_rotate(aril_keyring *keyring,
                                                       const aril_key_slot *slot,
                                                       aril_error *error);

/**
 * End one version of a key: decrypt-only becomes retired; with destroy, decrypt-only and retired
 * become destroyed. For a former root: its slot in the keystore is destroyed, and backups from its
 * time do not open any more. Until then whoever knows that root's secret can still write a file
 * that opens, so a root that leaked is rotated and destroyed.
 * @retval ARIL_E_USAGE_STATE  The key is active or pending: rotate it first.
 * @retval ARIL_E_NOT_FOUND    There is no key of that id.
 * @retval ARIL_E_UNAVAILABLE  destroy of a former root, and the keystore cannot.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_retire(aril_keyring *keyring,
                                                       const uint8_t id[ARIL_KEY_ID_BYTES],
                                                       int destroy, aril_error *error);

/** What is left to do before nobody can open a tenant's data. */
typedef struct aril_shred_info {
    aril_bytes tenant;
    uint64_t shredded_s;
    uint64_t generation;
    uint32_t keys;         /* that were destroyed */
    uint32_t nodes_open;   /* enrolled nodes whose receipt is missing */
    uint32_t backups_open; /* older backups that nobody confirmed as destroyed */
    int root_open;         /* 1: the root of that time still exists in the keystore */
} aril_shred_info;

/**
 * Destroy all keys of a tenant, for ever: its id gets a tombstone that wins every merge, and the
 * root is rotated.
 * @param destroy_root  1: destroy the former roots in the keystore as well; older backups of the
 *                      whole keyring do not open then, but with the recovery key.
 * @param ret_info      Optional; what is still open. tenant is not filled.
 * @retval ARIL_E_NOT_FOUND    No such tenant.
 * @retval ARIL_E_UNAVAILABLE  destroy_root, and the keystore cannot; the rest was done.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_shred(aril_keyring *keyring, aril_bytes tenant,
                                                      int destroy_root, aril_shred_info *ret_info,
                                                      aril_error *error);
typedef int aril_shred_visit_fn(void *user, const aril_shred_info *info);
/** Visit the shredded tenants. */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_shreds(aril_keyring *keyring,
                                                       aril_shred_visit_fn *visit, void *user,
                                                       aril_error *error);

/**
 * A named number that only goes up, guarded against rollback like the keys: the lowest version of
 * a model that may load, the generation of a namespace. get gives 0 for a name that was never set,
 * and what another process did refresh_ms ago or earlier. Floors of an authority reach its nodes in
 * bundles, where they only go up as well; a node may raise its own further.
 * @param name  1 to 255 bytes.
 * @retval ARIL_E_REPLAY_ROLLBACK  raise: @p value is below the floor.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_floor_get(aril_keyring *keyring, aril_bytes name,
                                                          uint64_t *ret_value, aril_error *error);
ARIL_API ARIL_MUST_USE aril_status aril_keyring_floor_raise(aril_keyring *keyring, aril_bytes name,
                                                            uint64_t value, aril_error *error);

/* --- Using keys ---------------------------------------------------------------------------- */

/** An unwrapped DATA, NAME or LEGACY key, pinned: its memory and its bytes stay until it is put
 * back. Immutable, so threads may share it. */
typedef struct aril_tenant_key aril_tenant_key;

/**
 * The key that seals now: the active version of a tenant's key with an empty label.
 * @param purpose  ARIL_KEY_DATA or ARIL_KEY_NAME.
 * @retval ARIL_E_NOT_FOUND      No such tenant.
 * @retval ARIL_E_KEY_DESTROYED  It was shredded.
 * @retval ARIL_E_KEY_OVERDUE    Past not_after, or past rotate_by where the policy refuses.
 * @retval ARIL_E_KEY_INACTIVE   No version is active at this time.
 * Blocks: only when the key is not in memory. Allocates: only then.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_tenant_key(aril_keyring *keyring, aril_bytes tenant,
                                                           aril_key_purpose purpose,
                                                           aril_tenant_key **ret_key,
                                                           aril_error *error);
/** The same for the DATA or NAME key of any slot: with a label, or of a model. */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_slot_key(aril_keyring *keyring,
                                                         const aril_key_slot *slot,
                                                         aril_tenant_key **ret_key,
                                                         aril_error *error);
/**
 * The key that opens: by its id, never by trial. Dates do not matter, only the state.
 * @param tenant  Whose it must be. len 0: anybody's.
 * @retval ARIL_E_KEY_UNKNOWN    No such key here.
 * @retval ARIL_E_ISOLATION      It is another tenant's.
 * @retval ARIL_E_KEY_RETIRED    It is retired.
 * @retval ARIL_E_KEY_DESTROYED  It was destroyed.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_key_by_id(aril_keyring *keyring, aril_bytes tenant,
                                                          const uint8_t id[ARIL_KEY_ID_BYTES],
                                                          aril_tenant_key **ret_key,
                                                          aril_error *error);
/** Give a key back. Accepts NULL. */
ARIL_API void aril_tenant_key_put(aril_tenant_key *key);
/** Its id; borrowed while the key is pinned. */
ARIL_API const uint8_t *aril_tenant_key_id(const aril_tenant_key *key);
ARIL_API aril_key_purpose aril_tenant_key_purpose(const aril_tenant_key *key);

/** Bytes that a box is longer than its plaintext, and the longest plaintext. */
#define ARIL_BOX_OVERHEAD_BYTES  80u
#define ARIL_BOX_PLAIN_BYTES_MAX ((size_t)1 << 30)

/**
 * Seal a small value (a credential, a setting) under a tenant's DATA key of empty label:
 * "aril box v1" of docs/KEYRING-FORMAT.md, XAES-256-GCM with a random nonce. Cache values and KV
 * blocks have formats of their own.
 *
 * @param context  What the value is; the same is needed to open it. At most 65535 bytes.
 * @param ret_box  plain.len + ARIL_BOX_OVERHEAD_BYTES; must not overlap.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_seal(aril_keyring *keyring, aril_bytes tenant,
                                                     aril_bytes context, aril_bytes plain,
                                                     uint8_t *ret_box, size_t cap, size_t *ret_len,
                                                     aril_error *error);
/**
 * Open one. On failure @p ret_plain is unchanged or zero.
 * @retval ARIL_E_AUTH  Changed, or of another tenant or context.
 * And the statuses of aril_keyring_key_by_id().
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_open_box(aril_keyring *keyring, aril_bytes tenant,
                                                         aril_bytes context, aril_bytes box,
                                                         uint8_t *ret_plain, size_t cap,
                                                         size_t *ret_len, aril_error *error);

/**
 * The active API signing key of a client, or with an empty owner the authority's, as an identity
 * that the caller frees before the keyring's runtime.
 * @retval ARIL_E_KEY_OVERDUE, ARIL_E_KEY_INACTIVE, ARIL_E_NOT_FOUND as above.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_signing_key(aril_keyring *keyring, aril_bytes owner,
                                                            aril_identity **ret_identity,
                                                            aril_error *error);

/* --- A fleet of nodes ------------------------------------------------------------------------ */

#define ARIL_NODE_NAME_BYTES_MAX 63u
#define ARIL_NODE_ID_BYTES       32u
#define ARIL_CARD_BYTES_MAX      16384u
#define ARIL_RECEIPT_BYTES_MAX   16384u
#define ARIL_BUNDLE_BYTES_MAX    ((size_t)256 << 20)

typedef struct aril_node_info {
    uint8_t id[ARIL_NODE_ID_BYTES];
    aril_bytes name;
    aril_bytes did; /* did:pqaid of its signing key */
    int revoked;
    uint64_t added_s, revoked_s;
    uint64_t confirmed_version; /* the newest bundle that it gave a receipt for */
    uint64_t confirmed_s;
    size_t tenant_count; /* 0: it gets the keys of all tenants */
    const aril_bytes *tenants;
} aril_node_info;

/**
 * Node: its card, PEM "ARIL NODE CARD", signed by itself: KEM and signature public keys, DID.
 * @param cap  Enough is ARIL_CARD_BYTES_MAX.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_card(aril_keyring *keyring, char *ret_pem,
                                                     size_t cap, size_t *ret_len,
                                                     aril_error *error);
/**
 * Authority: enrol a node by its card. Whoever hands the card over decides who gets keys:
 * compare the DID through another channel.
 * @param tenants  Which tenants it serves; @p tenant_count 0: all, also later ones.
 * @retval ARIL_E_TRUST_DID       The card's DID is not that of its key.
 * @retval ARIL_E_AUTH            The card is not signed by its key.
 * @retval ARIL_E_PROFILE         The node has another profile.
 * @retval ARIL_E_EXISTS          A node of that name, or this card, is enrolled.
 * @retval ARIL_E_TRUST_REVOKED   This card was revoked.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_node_add(aril_keyring *keyring, aril_bytes card_pem,
                                                         const aril_bytes *tenants,
                                                         size_t tenant_count, aril_error *error);
typedef int aril_node_visit_fn(void *user, const aril_node_info *info);
ARIL_API ARIL_MUST_USE aril_status aril_keyring_nodes(aril_keyring *keyring,
                                                      aril_node_visit_fn *visit, void *user,
                                                      aril_error *error);
enum {
    ARIL_REVOKE_KEEP_NAMES = 1u << 0 /* rotate DATA keys alone */
};
/**
 * Authority: revoke a node by name. Every DATA and NAME key that it could open is rotated; NAME
 * keys too, so names change and caches start cold for those tenants. In one transaction.
 * @param flags  0, or ARIL_REVOKE_KEEP_NAMES: names stay, and caches stay warm. The node can then
 * still compute names, and so tell which keys are in a store that it reaches, and delete them; it
 * opens nothing that is written from now on, and makes nothing that others take for real.
 * @param ret_rotated  Optional; keys that were rotated.
 * @retval ARIL_E_USAGE_RANGE  Other flags.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_node_revoke(aril_keyring *keyring, aril_bytes name,
                                                            uint32_t flags, size_t *ret_rotated,
                                                            aril_error *error);

/**
 * Authority: sign the next bundle and write it to a file, atomically. It holds every live key of
 * the tenants, wrapped to each enrolled node, and the tombstones.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_bundle_write(aril_keyring *keyring,
                                                             const char *path,
                                                             uint64_t *ret_version,
                                                             aril_error *error);
/**
 * Node: take a bundle over. The same version again, before its end, is ARIL_OK and changes nothing.
 * @retval ARIL_E_TRUST_UNKNOWN    Not signed by a key of the pinned authority.
 * @retval ARIL_E_TRUST_AUTHORITY  Signed by another authority that is well-formed otherwise.
 * @retval ARIL_E_TRUST_REVOKED    This node is revoked, or the signing key is.
 * @retval ARIL_E_AUTH             The signature or a wrap does not fit.
 * @retval ARIL_E_REPLAY_ROLLBACK  Older than what was taken before.
 * @retval ARIL_E_EXPIRED_BUNDLE   Past its end.
 * @retval ARIL_E_NOT_FOUND        It holds nothing for this node.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_bundle_apply(aril_keyring *keyring,
                                                             aril_bytes bundle, int *ret_changed,
                                                             aril_error *error);
/** Node: PEM "ARIL NODE RECEIPT": which bundle it holds, signed. Enough is
 * ARIL_RECEIPT_BYTES_MAX. */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_receipt(aril_keyring *keyring, char *ret_pem,
                                                        size_t cap, size_t *ret_len,
                                                        aril_error *error);
/** Authority: note a receipt. An older one than noted before is ARIL_OK and changes nothing. */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_confirm(aril_keyring *keyring,
                                                        aril_bytes receipt_pem, aril_error *error);

/* --- Backup and recovery --------------------------------------------------------------------- */

typedef struct aril_backup_info {
    uint8_t id[16];
    uint64_t created_s;
    uint64_t generation;
    aril_bytes path; /* as it was given */
    int destroyed;   /* somebody confirmed that it is gone */
} aril_backup_info;

/** Write a copy of the file, and remember that there is one. Never replaces a file. */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_backup(aril_keyring *keyring, const char *path,
                                                       aril_error *error);
typedef int aril_backup_visit_fn(void *user, const aril_backup_info *info);
ARIL_API ARIL_MUST_USE aril_status aril_keyring_backups(aril_keyring *keyring,
                                                        aril_backup_visit_fn *visit, void *user,
                                                        aril_error *error);
/** Note that a backup was destroyed. */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_backup_destroyed(aril_keyring *keyring,
                                                                 const uint8_t id[16],
                                                                 aril_error *error);

/** Make a recovery key on an offline machine: the secret to one file, then the recipient to the
 * other (PEM). Neither is replaced. When the second fails the first is there, and can go. */
ARIL_API ARIL_MUST_USE aril_status aril_recovery_key_new(aril_runtime *rt, const char *secret_path,
                                                         const char *recipient_path,
                                                         aril_error *error);
/**
 * Whether the recovery key opens this keyring: it unwraps the root of the file, with it checks
 * every row, and unwraps every key. Needs no keystore and changes nothing.
 * @retval ARIL_E_AUTH       It is another recovery key, or the file was changed.
 * @retval ARIL_E_NOT_FOUND  The keyring has no recovery recipient.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_verify_recovery(aril_runtime *rt, const char *path,
                                                                const char *recovery_path,
                                                                aril_error *error);
/**
 * Bring the keyring at config->path under a new keystore: the root is opened with the recovery key
 * and sealed by config->keystore. The file is changed in place: work on a copy of the backup.
 * What happened after the backup was made is lost; rotate the root afterwards. Slots and counter in
 * the older keystore stay as they are: as long as it exists, older copies of the file open with it,
 * so destroy what it holds when it is not needed any more.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_recover(aril_runtime *rt,
                                                        const aril_keyring_config *config,
                                                        const char *recovery_path,
                                                        aril_error *error);

/** Cachekit's limit: the current master key and its predecessors. */
#define ARIL_CACHEKIT_KEYS_MAX 4u

/**
 * Import cachekit master keys for a tenant as LEGACY keys: the first one opens and is marked
 * current, the others open. Nothing is ever sealed under them by this keyring.
 * @param keys   32 bytes each; 1 to ARIL_CACHEKIT_KEYS_MAX, all different.
 * @retval ARIL_E_EXISTS         One of them was imported before; nothing was changed.
 * @retval ARIL_E_NOT_FOUND      No such tenant: create it first.
 * @retval ARIL_E_KEY_DESTROYED  It was shredded.
 * @retval ARIL_E_USAGE_STATE    This is the keyring of a node.
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_import_cachekit(aril_keyring *keyring,
                                                                aril_bytes tenant,
                                                                const aril_bytes *keys,
                                                                size_t count, aril_error *error);

#define ARIL_LMCACHE_MASTER_BYTES_MIN 16u
#define ARIL_LMCACHE_MASTER_BYTES_MAX 4096u

/**
 * Import the master key of LMCache's aesgcm serde for a tenant, as a LEGACY key with the label
 * "lmcache": the 32 bytes of HKDF-Extract (SHA-256, no salt) over it, from which LMCache's keys
 * derive. It becomes the current one; one that was imported before still opens.
 * @param master  The content of the key file as it is: 16 to 4096 bytes.
 * @retval ARIL_E_EXISTS         It was imported before; nothing was changed.
 * @retval ARIL_E_NOT_FOUND      No such tenant: create it first.
 * @retval ARIL_E_KEY_DESTROYED  It was shredded.
 * @retval ARIL_E_USAGE_STATE    This is the keyring of a node.
 * Since: 0.3
 */
ARIL_API ARIL_MUST_USE aril_status aril_keyring_import_lmcache(aril_keyring *keyring,
                                                               aril_bytes tenant, aril_bytes master,
                                                               aril_error *error);

#ifdef __cplusplus
}
#endif
#endif
