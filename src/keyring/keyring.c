/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/keyring.h"
#include "audit/report.h"
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

/* Clocks are set back by seconds now and then; a date is not missed by that. */
#define CLOCK_TOLERANCE_S 300u
/* A file that is replaced so often while it is opened is no file to write to. */
#define BEGIN_TRIES 8u

aril_status arili_keyring_enter(aril_keyring *kr, aril_keyring **ret_held)
{
    ARILI_ENSURE(kr != NULL, ARIL_E_USAGE_NULL);
    /* Before the lock, which another thread of the parent may hold for ever. */
    ARILI_TRY(arili_runtime_check(kr->rt));
    pthread_mutex_lock(&kr->slow);
    *ret_held = kr;
    return ARIL_OK;
}

void arili_keyring_leavep(aril_keyring **held)
{
    if (*held != NULL) {
        pthread_mutex_unlock(&(*held)->slow);
    }
}

struct arili_rowset *arili_keyring_rows(aril_keyring *kr)
{
    pthread_mutex_lock(&kr->quick);
    struct arili_rowset *set = kr->rows;
    arili_rowset_hold(set);
    pthread_mutex_unlock(&kr->quick);
    return set;
}

/* A destroyed key is not in memory either, but where it is pinned. Under quick. */
static void drop_destroyed(aril_keyring *kr, const struct arili_rowset *set)
{
    for (size_t i = 0; i < set->key_count; i++) {
        if (set->keys[i].said.state == ARIL_KEY_DESTROYED) {
            arili_cache_drop(&kr->cache, arili_key_id(&set->keys[i]));
        }
    }
}

void arili_keyring_publish(aril_keyring *kr, struct arili_rowset *set)
{
    arili_rowset_hold(set);
    pthread_mutex_lock(&kr->quick);
    struct arili_rowset *old = kr->rows;
    kr->rows = set;
    if (set->head.locked) {
        arili_cache_clear(&kr->cache);
    } else if (old != NULL && set->head.generation != old->head.generation) {
        drop_destroyed(kr, set);
    }
    pthread_mutex_unlock(&kr->quick);
    if (set->head.locked) {
        arili_kek_drop(kr->root);
        kr->root = NULL;
    }
    arili_rowset_drop(old);
}

/* --- Time ---------------------------------------------------------------------------------- */

aril_status arili_keyring_boot_ns(const aril_keyring *kr, uint64_t *ret_ns)
{
    return kr->rt->clock.boot_ns(kr->rt->clock.state, ret_ns);
}

aril_status arili_keyring_now(const aril_keyring *kr, const struct arili_head *head,
                              uint64_t *ret_s)
{
    uint64_t now = 0;
    ARILI_TRY(kr->rt->clock.unix_s(kr->rt->clock.state, &now));
    *ret_s = now > head->clock_s ? now : head->clock_s;
    return ARIL_OK;
}

aril_status arili_keyring_clock_check(const aril_keyring *kr, const struct arili_head *head,
                                      aril_error *error)
{
    uint64_t now = 0;
    ARILI_TRY(kr->rt->clock.unix_s(kr->rt->clock.state, &now));
    if (now + CLOCK_TOLERANCE_S < head->clock_s) {
        return arili_error_set(error, ARIL_E_CLOCK,
                               "%s: the clock is %llu s behind the last change of the keyring; set "
                               "it right, then retry",
                               kr->path, (unsigned long long)(head->clock_s - now));
    }
    return ARIL_OK;
}

/* --- Changes by others --------------------------------------------------------------------- */

aril_status arili_keyring_open_file(aril_keyring *kr, aril_error *error)
{
    struct arili_database *db = NULL;
    struct stat st = { .st_ino = 0 };
    /* Before it is opened: what is put in its place meanwhile is another one then. */
    const bool there = lstat(kr->path, &st) == 0;
    ARILI_TRY(arili_database_open(kr->path, false, kr->busy_ms, &db, error));
    arili_database_close(kr->db);
    kr->db = db;
    kr->version = 0;
    kr->device = there ? st.st_dev : 0;
    kr->inode = there ? st.st_ino : 0;
    return ARIL_OK;
}

/* Whether the file that is open is the one of that name. Not so: a restored backup, or an
 * attack. */
static aril_status is_in_place(const aril_keyring *kr, bool *ret, aril_error *error)
{
    struct stat st;
    if (lstat(kr->path, &st) != 0) {
        /* What would be written to it would be lost. */
        return arili_error_set(error, ARIL_E_IO, "%s: %s; put it back, or restore it from a backup",
                               kr->path, strerror(errno));
    }
    *ret = st.st_dev == kr->device && st.st_ino == kr->inode;
    return ARIL_OK;
}

static aril_status follow(aril_keyring *kr, aril_error *error)
{
    bool in_place = false;
    ARILI_TRY(is_in_place(kr, &in_place, error));
    return in_place ? ARIL_OK : arili_keyring_open_file(kr, error);
}

static bool same_revision(const struct arili_rowset *a, const struct arili_rowset *b)
{
    return a->head.revision == b->head.revision && a->head_mac_len == b->head_mac_len &&
           arili_equal_ct(a->head_mac, b->head_mac, a->head_mac_len);
}

/* A running process does not go back, whatever the keystore can count. */
static aril_status check_forward(const aril_keyring *kr, const struct arili_rowset *from,
                                 const struct arili_rowset *to, aril_error *error)
{
    if (memcmp(to->head.id, kr->id, sizeof kr->id) != 0) {
        return arili_error_set(error, ARIL_E_AUTH, "%s: another keyring was put in its place",
                               kr->path);
    }
    if (to->head.revision < from->head.revision ||
        (to->head.revision == from->head.revision && !same_revision(to, from))) {
        return arili_error_set(error, ARIL_E_REPLAY_ROLLBACK,
                               "%s: revision %llu was put in the place of %llu, which this process "
                               "knows; bring the newest file back",
                               kr->path, (unsigned long long)to->head.revision,
                               (unsigned long long)from->head.revision);
    }
    return ARIL_OK;
}

static void mac_keys_wipe(struct arili_mac_keys *keys)
{
    arili_wipe(keys, sizeof *keys);
}

static aril_status take_over(aril_keyring *kr, struct arili_rowset *set, aril_error *error)
{
    struct arili_rowset *from = kr->rows; /* only slow changes it */
    ARILI_TRY(check_forward(kr, from, set, error));
    /* Nothing that the head says is believed yet: a root that it names is used for good only when
     * the MACs are right. */
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *root = NULL;
    ARILI_DEFER(mac_keys_wipe) struct arili_mac_keys fresh;
    struct arili_macs macs = arili_keyring_macs(kr);
    if (!arili_equal_ct(set->head.root, kr->mac_root, sizeof kr->mac_root)) {
        ARILI_TRY(arili_keyring_unseal(kr, &set->head, &root, error));
        ARILI_TRY(arili_mac_keys_derive(macs.crypto, macs.hash, root->psk, &fresh));
        macs.keys = &fresh;
    }
    ARILI_TRY(arili_rowset_check(&macs, set, kr->path, error));
    if (root != NULL) {
        ARILI_TRY(arili_keyring_adopt_root(kr, root));
    }
    arili_keyring_publish(kr, set);
    return ARIL_OK;
}

/* Keys whose time is over go, also those that nobody asks for any more. */
static aril_status forget_expired(aril_keyring *kr)
{
    uint64_t now = 0;
    ARILI_TRY(arili_keyring_boot_ns(kr, &now));
    pthread_mutex_lock(&kr->quick);
    arili_cache_expire(&kr->cache, now);
    pthread_mutex_unlock(&kr->quick);
    /* One that a recovery key opened could not be unsealed again. */
    if (kr->keystore != NULL && now >= kr->root_until_ns) {
        arili_kek_drop(kr->root);
        kr->root = NULL;
    }
    return ARIL_OK;
}

bool arili_keyring_is_behind(aril_keyring *kr, unsigned *tries)
{
    uint32_t version = 0;
    return ++*tries < ARILI_KEYRING_TRIES &&
           arili_database_version(kr->db, &version, NULL) == ARIL_OK && version != kr->looked_at;
}

static aril_status look_once(aril_keyring *kr, bool *ret_changed, aril_error *error)
{
    *ret_changed = false;
    ARILI_TRY(forget_expired(kr));
    uint32_t version = 0;
    ARILI_TRY(arili_database_version(kr->db, &version, error));
    kr->looked_at = version;
    if (version == kr->version) {
        return ARIL_OK;
    }
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = NULL;
    ARILI_TRY(arili_rowset_read(kr->rt, kr->db, &set, error));
    if (same_revision(set, kr->rows)) {
        /* A head alone says nothing of rows that somebody changed below it. */
        const struct arili_macs macs = arili_keyring_macs(kr);
        ARILI_TRY(arili_rowset_check(&macs, set, kr->path, error));
    } else {
        const aril_status st = take_over(kr, set, error);
        if (st != ARIL_OK) {
            return arili_keyring_tell(kr, ARIL_EVENT_KEYRING, "reload", st, (aril_bytes){ NULL, 0 },
                                      NULL, NULL);
        }
        *ret_changed = true;
    }
    kr->version = version;
    return ARIL_OK;
}

/* At the file that is open. */
static aril_status look(aril_keyring *kr, bool *ret_changed, aril_error *error)
{
    unsigned tries = 0;
    aril_status st;
    do {
        st = look_once(kr, ret_changed, error);
    } while (st != ARIL_OK && arili_keyring_is_behind(kr, &tries));
    return st;
}

aril_status arili_keyring_look(aril_keyring *kr, bool *ret_changed, aril_error *error)
{
    *ret_changed = false;
    ARILI_TRY(follow(kr, error));
    return look(kr, ret_changed, error);
}

/* Not in the middle of a transaction: a file that is opened anew then would be written without
 * one. */
static aril_status begin_in_place(aril_keyring *kr, aril_error *error)
{
    for (unsigned tries = 0; tries < BEGIN_TRIES; tries++) {
        bool in_place = false;
        ARILI_TRY(follow(kr, error));
        ARILI_TRY(arili_database_begin(kr->db, error));
        const aril_status st = is_in_place(kr, &in_place, error);
        if (st == ARIL_OK && in_place) {
            return ARIL_OK;
        }
        arili_database_rollback(kr->db);
        ARILI_TRY(st);
    }
    return arili_error_set(error, ARIL_E_TIMEOUT,
                           "%s is replaced again and again; find out by whom", kr->path);
}

aril_status arili_keyring_begin(aril_keyring *kr, aril_error *error)
{
    bool changed;
    ARILI_TRY(begin_in_place(kr, error));
    const aril_status st = look(kr, &changed, error);
    if (st != ARIL_OK) {
        arili_database_rollback(kr->db);
    }
    return st;
}

aril_status arili_keyring_look_softly(aril_keyring *kr, aril_error *error)
{
    bool changed;
    aril_error why = { .status = ARIL_OK };
    const aril_status st = arili_keyring_look(kr, &changed, &why);
    switch (aril_status_class(st)) {
    case ARIL_OK:
    case ARIL_E_IO:
    case ARIL_E_TIMEOUT:
    case ARIL_E_NOMEM:
        return ARIL_OK; /* and leaves error alone */
    default:
        return why.status == st ? arili_error_set(error, st, "%s", why.message) : st;
    }
}

/* --- Audit --------------------------------------------------------------------------------- */

aril_status arili_keyring_tell(const aril_keyring *kr, aril_event_kind kind, const char *action,
                               aril_status st, aril_bytes owner, const uint8_t *key_id,
                               const struct arili_key_row *said)
{
    aril_event event = { .kind = kind, .status = st, .action = action, .tenant = owner };
    if (key_id != NULL) {
        memcpy(event.key_id, key_id, sizeof event.key_id);
    }
    if (said != NULL) {
        event.tenant = said->owner;
        event.key_purpose = (uint8_t)said->purpose;
        event.key_state = (uint8_t)said->state;
    }
    arili_audit_emit(kr->rt->audit, &kr->rt->clock, &event);
    return st;
}
