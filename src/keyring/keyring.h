/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_KEYRING_H
#define ARILI_KEYRING_KEYRING_H
#include "base/files.h"
#include "keyring/cache.h"
#include "keyring/keystore.h"
#include "keyring/rows.h"
#include "keyring/wrap.h"
#include <pthread.h>
#include <sys/types.h>

/*
 * Two locks. slow: the file, the keystore, unwrapping; held for as long as those take. quick: which
 * set of rows is the current one, and the cache; held for a look-up. slow is taken before quick.
 */
struct aril_keyring {
    aril_runtime *rt;
    aril_keystore *keystore; /* NULL only while a recovery key stands in for it */
    const struct arili_profile *profile;
    const aril_executor *executor;
    aril_progress_fn *progress;
    void *user;
    uint32_t busy_ms;
    uint64_t refresh_ns, ttl_ns;
    char path[ARILI_FILE_PATH_BYTES];
    uint8_t id[ARILI_KEYRING_ID_BYTES]; /* never changes */

    struct arili_fork_guard guard;

    pthread_mutex_t slow;
    struct arili_database *db;
    dev_t device; /* of the open file */
    ino_t inode;
    uint32_t version;       /* of the database when rows were read */
    uint32_t looked_at;     /* the same, when somebody last looked, with or without success */
    uint64_t told_revision; /* that aril_keyring_refresh() saw last */
    struct arili_kek *root; /* NULL: forgotten; unsealed again when needed */
    uint64_t root_until_ns;
    struct arili_mac_keys *mac_keys; /* secure cell; of the root named by mac_root */
    uint8_t mac_root[ARIL_KEY_ID_BYTES];

    pthread_mutex_t quick;
    struct arili_rowset *rows;
    struct arili_cache cache;
    _Atomic uint64_t look_at_ns; /* when to look for changes by others */
};

/* --- Ways in (keyring.c) */

/* Checks the pointer and the fork, and takes the slow lock for the scope:
 *   ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
 *   ARILI_TRY(arili_keyring_enter(kr, &held)); */
ARIL_MUST_USE aril_status arili_keyring_enter(aril_keyring *kr, aril_keyring **ret_held);
void arili_keyring_leavep(aril_keyring **held);

/* The current rows, held. Any lock. */
struct arili_rowset *arili_keyring_rows(aril_keyring *kr);
/* Under slow: take changes by others over, and drop secrets whose time is over. The result says
 * whether there were any changes. */
ARIL_MUST_USE aril_status arili_keyring_look(aril_keyring *kr, bool *ret_changed,
                                             aril_error *error);
/* Under slow: a write transaction of the file that has the name now, and look. */
ARIL_MUST_USE aril_status arili_keyring_begin(aril_keyring *kr, aril_error *error);
/* Under slow: whether the file was changed since it was looked at. What failed may work after the
 * next look: another process may have replaced the root, and destroyed it in the keystore, between
 * a look and its use. Answers so a few times for one use. */
#define ARILI_KEYRING_TRIES 5u
bool arili_keyring_is_behind(aril_keyring *kr, unsigned *tries);
/* Under slow: as look, but a file that cannot be reached for now is no failure: what is in memory
 * was checked and goes on. */
ARIL_MUST_USE aril_status arili_keyring_look_softly(aril_keyring *kr, aril_error *error);
/* What every use of keys and floors begins with, without a lock: ARIL_E_FORKED, the time, and every
 * refresh_ms a soft look. */
ARIL_MUST_USE aril_status arili_keyring_use(aril_keyring *kr, uint64_t *ret_now_ns,
                                            aril_error *error);
/* Under slow: make set the current one; takes a reference. */
void arili_keyring_publish(aril_keyring *kr, struct arili_rowset *set);

/* Seconds since 1970, never before the last change of the keyring. */
ARIL_MUST_USE aril_status arili_keyring_now(const aril_keyring *kr, const struct arili_head *head,
                                            uint64_t *ret_s);
/* CLOCK when the clock is further behind the last change than clocks are set back. */
ARIL_MUST_USE aril_status arili_keyring_clock_check(const aril_keyring *kr,
                                                    const struct arili_head *head,
                                                    aril_error *error);
ARIL_MUST_USE aril_status arili_keyring_boot_ns(const aril_keyring *kr, uint64_t *ret_ns);

/* Tell the audit sink. owner may be empty, key and said NULL. Gives st back. */
aril_status arili_keyring_tell(const aril_keyring *kr, aril_event_kind kind, const char *action,
                               aril_status st, aril_bytes owner, const uint8_t *key_id,
                               const struct arili_key_row *said);

/* --- For the cache (legacy.c). Without a lock. */

/* The LEGACY keys of a tenant under a label, pinned: the active one, then the others, newest first.
 * ARIL_OK with 0 when there are none. Put each back. KEY_LOCKED, and what unwrapping says. */
#define ARILI_LEGACY_PINNED_MAX 4u
ARIL_MUST_USE aril_status arili_keyring_legacy(aril_keyring *kr, aril_bytes tenant,
                                               aril_bytes label,
                                               aril_tenant_key *ret[ARILI_LEGACY_PINNED_MAX],
                                               size_t *ret_count, aril_error *error);
/* Whether this key is what seals for its tenant and label now. As cheap as a look-up. */
bool arili_tenant_key_is_active(aril_keyring *kr, const aril_tenant_key *key);
/* Whether aril_keyring_tenant_key() would give this DATA or NAME key of empty label, or another
 * one; or why none: KEY (class), NOT_FOUND, CLOCK. Goes by the rows in memory: it unwraps nothing
 * and does not look at the file. */
ARIL_MUST_USE aril_status arili_tenant_key_current(aril_keyring *kr, const aril_tenant_key *key,
                                                   bool *ret_same);

/* --- Secrets (secrets.c). Under slow. */

struct arili_macs arili_keyring_macs(const aril_keyring *kr);
/* The root that a head names, from the keystore; nothing of this keyring changes. */
ARIL_MUST_USE aril_status arili_keyring_unseal(aril_keyring *kr, const struct arili_head *head,
                                               struct arili_kek **ret, aril_error *error);
/* The root of those rows, unsealed when it is not in memory; held for the caller. KEY_LOCKED. */
ARIL_MUST_USE aril_status arili_keyring_root(aril_keyring *kr, const struct arili_rowset *set,
                                             struct arili_kek **ret, aril_error *error);
/* A key-encryption key of those rows, unwrapped; held for the caller. */
ARIL_MUST_USE aril_status arili_keyring_kek(aril_keyring *kr, const struct arili_rowset *set,
                                            const uint8_t id[ARIL_KEY_ID_BYTES],
                                            struct arili_kek **ret, aril_error *error);
/* The secret of any key but a root. Wipe it. */
ARIL_MUST_USE aril_status arili_keyring_unwrap(aril_keyring *kr, const struct arili_rowset *set,
                                               const struct arili_key *key,
                                               struct arili_payload *ret, aril_error *error);
/* A signing key (API, AUTHORITY, the second half of NODE) as an identity (signing.c). */
ARIL_MUST_USE aril_status arili_keyring_identity(aril_keyring *kr, const struct arili_rowset *set,
                                                 const struct arili_key *key, aril_identity **ret,
                                                 aril_error *error);
/* Where the keystore seals the root of that id in that slot. */
ARIL_MUST_USE aril_status arili_keyring_place(const aril_keyring *kr,
                                              const uint8_t root[ARIL_KEY_ID_BYTES],
                                              const uint8_t slot[ARILI_KEYRING_SLOT_BYTES],
                                              struct arili_store_place *ret);
/* Use this root from now on, for MACs too. */
ARIL_MUST_USE aril_status arili_keyring_adopt_root(aril_keyring *kr, struct arili_kek *root);
/* Forget every secret but the keys of the MACs. */
void arili_keyring_forget_secrets(aril_keyring *kr);

/* Unwrap every key of a set (look.c); as aril_keyring_verify(). */
ARIL_MUST_USE aril_status arili_keyring_verify_set(aril_keyring *kr, const struct arili_rowset *set,
                                                   aril_key_verify_fn *visit, void *user,
                                                   aril_error *error);

/* --- Memory and life (open.c) */

/* A keyring without file, rows and keys. */
ARIL_MUST_USE aril_status arili_keyring_new(aril_runtime *rt, const aril_keyring_config *config,
                                            aril_keyring **ret);
void arili_keyring_closep(aril_keyring **kr);
/* Open the file of that name, in place of the one that is open. */
ARIL_MUST_USE aril_status arili_keyring_open_file(aril_keyring *kr, aril_error *error);
#endif
