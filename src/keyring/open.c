/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "keyring/change.h"
#include <stdatomic.h>
#include <string.h>

#define BUSY_MS       5000u
#define REFRESH_MS    250u
#define CACHE_TTL_S   300u
#define CACHE_MAX     65536u
#define NS_PER_MS     UINT64_C(1000000)
#define CACHE_MAX_MAX (UINT32_C(1) << 24)

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

aril_status arili_keyring_new(aril_runtime *rt, const aril_keyring_config *config,
                              aril_keyring **ret)
{
    ARILI_ENSURE(rt != NULL && config != NULL && config->path != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(config->executor == NULL || config->executor->abi == ARIL_EXECUTOR_ABI,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(config->cache_max <= CACHE_MAX_MAX, ARIL_E_USAGE_RANGE);
    const size_t len = strlen(config->path);
    ARILI_ENSURE(len > 0 && len < ARILI_FILE_PATH_BYTES, ARIL_E_USAGE_RANGE);
    ARILI_TRY(arili_runtime_check(rt));
    ARILI_DEFER(arili_keyring_closep) aril_keyring *kr = arili_alloc(sizeof *kr);
    ARILI_ENSURE(kr != NULL, ARIL_E_NOMEM);
    kr->rt = rt;
    kr->keystore = config->keystore;
    kr->executor = config->executor;
    kr->progress = config->progress;
    kr->user = config->user;
    kr->busy_ms = or_default(config->busy_ms, BUSY_MS);
    kr->refresh_ns = or_default(config->refresh_ms, REFRESH_MS) * NS_PER_MS;
    kr->ttl_ns = or_default(config->cache_ttl_s, CACHE_TTL_S) * ARILI_NS_PER_S;
    memcpy(kr->path, config->path, len);
    pthread_mutex_init(&kr->slow, NULL);
    pthread_mutex_init(&kr->quick, NULL);
    atomic_init(&kr->look_at_ns, 0);
    arili_cache_init(&kr->cache, or_default(config->cache_max, CACHE_MAX));
    kr->guard = arili_secure_guard(rt->secure);
    kr->mac_keys = arili_secure_take(rt->secure);
    ARILI_ENSURE(kr->mac_keys != NULL, ARIL_E_NOMEM);
    *ret = ARILI_TAKE(kr);
    return ARIL_OK;
}

void aril_keyring_close(aril_keyring *keyring)
{
    if (keyring == NULL) {
        return;
    }
    aril_runtime *rt = keyring->rt;
    if (arili_secure_forked(rt->secure)) {
        /* Locks may be held for ever here, and the file belongs to the parent. */
        if (keyring->db != NULL) {
            arili_database_abandon(keyring->db);
        }
        arili_free(keyring, sizeof *keyring);
        return;
    }
    arili_kek_drop(keyring->root);
    arili_cache_clear(&keyring->cache);
    arili_rowset_drop(keyring->rows);
    arili_database_close(keyring->db);
    arili_secure_give(rt->secure, keyring->mac_keys);
    pthread_mutex_destroy(&keyring->slow);
    pthread_mutex_destroy(&keyring->quick);
    arili_free(keyring, sizeof *keyring);
}

void arili_keyring_closep(aril_keyring **kr)
{
    aril_keyring_close(*kr);
}

/* --- Opening ------------------------------------------------------------------------------- */

/* Read rows, unseal their root, check their MACs. */
static aril_status load(aril_keyring *kr, aril_error *error)
{
    ARILI_TRY(arili_database_version(kr->db, &kr->version, error));
    kr->looked_at = kr->version;
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = NULL;
    ARILI_TRY(arili_rowset_read(kr->rt, kr->db, &set, error));
    memcpy(kr->id, set->head.id, sizeof kr->id);
    kr->profile = arili_profile_get(set->head.profile);
    if (kr->profile == NULL) {
        return arili_error_set(error, ARIL_E_PROFILE,
                               "%s has profile %u, which this version does not know; open it with "
                               "the version of aril that made it, or a newer one",
                               kr->path, (unsigned)set->head.profile);
    }
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *root = NULL;
    ARILI_TRY(arili_keyring_root(kr, set, &root, error));
    const struct arili_macs macs = arili_keyring_macs(kr);
    ARILI_TRY(arili_rowset_check(&macs, set, kr->path, error));
    kr->rows = ARILI_TAKE(set);
    kr->told_revision = kr->rows->head.revision;
    if (kr->rows->head.locked) {
        arili_keyring_forget_secrets(kr);
    }
    return ARIL_OK;
}

aril_status aril_keyring_open(aril_runtime *rt, const aril_keyring_config *config,
                              aril_keyring **ret_keyring, aril_error *error)
{
    ARILI_ENSURE(ret_keyring != NULL, ARIL_E_USAGE_NULL);
    *ret_keyring = NULL;
    ARILI_ENSURE(config != NULL && config->keystore != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_keyring_closep) aril_keyring *kr = NULL;
    ARILI_TRY(arili_keyring_new(rt, config, &kr));
    ARILI_TRY(arili_keyring_open_file(kr, error));
    unsigned tries = 0;
    aril_status st;
    do {
        st = load(kr, error);
    } while (st != ARIL_OK && arili_keyring_is_behind(kr, &tries));
    st = st == ARIL_OK ? arili_counter_settle(kr, error) : st;
    ARILI_TRY(arili_keyring_tell(kr, ARIL_EVENT_KEYRING, "open", st, (aril_bytes){ NULL, 0 }, NULL,
                                 NULL));
    *ret_keyring = ARILI_TAKE(kr);
    return ARIL_OK;
}

/* --- Locking, forgetting, looking ---------------------------------------------------------- */

static aril_status set_locked(aril_keyring *keyring, bool locked, aril_error *error)
{
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(
        arili_change_begin(keyring, ARILI_CHANGE_LOCKED_TOO | ARILI_CHANGE_ANY_CLOCK, &ch, error));
    if (ch.head.locked == locked) {
        return ARIL_OK;
    }
    if (!locked) {
        /* Whoever unlocks has the keystore, not only a process that was running. */
        arili_keyring_forget_secrets(keyring);
        ARILI_DEFER(arili_kek_dropp) struct arili_kek *root = NULL;
        ARILI_TRY(arili_keyring_root(keyring, ch.from, &root, error));
    }
    ch.head.locked = locked;
    ARILI_TRY(arili_change_commit(&ch, error));
    return arili_keyring_tell(keyring, ARIL_EVENT_KEYRING, locked ? "lock" : "unlock", ARIL_OK,
                              (aril_bytes){ NULL, 0 }, NULL, NULL);
}

aril_status aril_keyring_lock(aril_keyring *keyring, aril_error *error)
{
    return set_locked(keyring, true, error);
}

aril_status aril_keyring_unlock(aril_keyring *keyring, aril_error *error)
{
    return set_locked(keyring, false, error);
}

void aril_keyring_forget(aril_keyring *keyring)
{
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    if (arili_keyring_enter(keyring, &held) == ARIL_OK) {
        arili_keyring_forget_secrets(keyring);
    }
}

aril_status aril_keyring_refresh(aril_keyring *keyring, int *ret_changed, aril_error *error)
{
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    bool changed;
    ARILI_TRY(arili_keyring_look(keyring, &changed, error));
    /* Uses of keys look as well, so the last revision that was asked for is what counts. */
    const uint64_t revision = keyring->rows->head.revision;
    if (ret_changed != NULL) {
        *ret_changed = revision != keyring->told_revision;
        keyring->told_revision = revision;
    }
    return ARIL_OK;
}
