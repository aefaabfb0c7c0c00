/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "keyring/keys.h"
#include "keyring/schedule.h"
#include <stdatomic.h>
#include <string.h>

/* --- What every use begins with ------------------------------------------------------------ */

/* Looks at the file when it is time to, unless another thread is at it. */
static aril_status look_in_time(aril_keyring *kr, uint64_t now_ns, aril_error *error)
{
    uint64_t at = atomic_load_explicit(&kr->look_at_ns, memory_order_relaxed);
    if (now_ns < at ||
        !atomic_compare_exchange_strong_explicit(&kr->look_at_ns, &at, now_ns + kr->refresh_ns,
                                                 memory_order_relaxed, memory_order_relaxed)) {
        return ARIL_OK;
    }
    if (pthread_mutex_trylock(&kr->slow) != 0) {
        return ARIL_OK; /* whoever holds it looks as well */
    }
    const aril_status st = arili_keyring_look_softly(kr, error);
    pthread_mutex_unlock(&kr->slow);
    if (st != ARIL_OK) {
        /* A file that was tampered with stays one: every use says so until it is right. */
        atomic_store_explicit(&kr->look_at_ns, 0, memory_order_relaxed);
    }
    return st;
}

aril_status arili_keyring_use(aril_keyring *kr, uint64_t *ret_now_ns, aril_error *error)
{
    ARILI_ENSURE(!arili_is_forked(&kr->guard), ARIL_E_FORKED);
    ARILI_TRY(arili_keyring_boot_ns(kr, ret_now_ns));
    return look_in_time(kr, *ret_now_ns, error);
}

static aril_status is_locked(const aril_keyring *kr, aril_error *error)
{
    return arili_error_set(error, ARIL_E_KEY_LOCKED,
                           "%s is locked; run 'aril keys unlock', then retry", kr->path);
}

static aril_status refused(const aril_keyring *kr, aril_status st, const aril_key_slot *slot,
                           aril_error *error)
{
    char text[ARILI_SLOT_TEXT_BYTES];
    return arili_error_set(error, st, "%s, %s: %s; %s", kr->path, arili_slot_text(slot, text),
                           aril_status_text(st), aril_status_hint(st));
}

/* --- The key of a slot --------------------------------------------------------------------- */

/* Which key seals now; any lock. */
static aril_status choose(const aril_keyring *kr, const struct arili_rowset *set,
                          const aril_key_slot *slot, const struct arili_key **ret,
                          aril_error *error)
{
    if (set->head.locked) {
        return is_locked(kr, error);
    }
    uint64_t now = 0;
    ARILI_TRY(arili_keyring_now(kr, &set->head, &now));
    const struct arili_key *key = arili_slot_sealing(set, slot, now);
    if (key == NULL) {
        size_t index;
        ARILI_TRY(arili_slot_alive(kr, set, slot, error));
        return refused(kr,
                       arili_rowset_slot(set, slot->purpose, slot->owner, slot->label, &index)
                           ? ARIL_E_KEY_INACTIVE
                           : ARIL_E_NOT_FOUND,
                       slot, error);
    }
    const aril_status st = arili_schedule_may_seal(&key->said, &set->head.policy, now);
    if (st != ARIL_OK) {
        return refused(kr, st, slot, error);
    }
    *ret = key;
    return ARIL_OK;
}

/* From the cache, with a reference; NULL when it is not there. Under quick. */
static aril_tenant_key *cached(aril_keyring *kr, const uint8_t *id, uint64_t now_ns)
{
    const struct arili_cache_entry *e = arili_cache_find(&kr->cache, id, now_ns);
    if (e == NULL || e->key == NULL) {
        return NULL;
    }
    arili_tenant_key_hold(e->key);
    return e->key;
}

/* Unwrap it, and remember it. Under slow. */
static aril_status load(aril_keyring *kr, const struct arili_rowset *set,
                        const struct arili_key *key, uint64_t now_ns, aril_tenant_key **ret,
                        aril_error *error)
{
    ARILI_DEFER(arili_payload_wipe) struct arili_payload p = { .len = 0 };
    ARILI_TRY(arili_keyring_unwrap(kr, set, key, &p, error));
    ARILI_ENSURE(p.len == ARILI_AEAD_KEY_BYTES, ARIL_E_AUTH);
    ARILI_TRY(arili_tenant_key_new(kr->rt, key->said.purpose, key->said.owner, arili_key_id(key),
                                   p.bytes, ret));
    pthread_mutex_lock(&kr->quick);
    arili_cache_put(&kr->cache, arili_key_id(key), *ret, NULL, now_ns + kr->ttl_ns);
    pthread_mutex_unlock(&kr->quick);
    return ARIL_OK;
}

static aril_status look_and_load(aril_keyring *kr, const aril_key_slot *slot, uint64_t now_ns,
                                 aril_tenant_key **ret, aril_error *error)
{
    ARILI_TRY(arili_keyring_look_softly(kr, error));
    const struct arili_key *key = NULL;
    ARILI_TRY(choose(kr, kr->rows, slot, &key, error));
    pthread_mutex_lock(&kr->quick);
    *ret = cached(kr, arili_key_id(key), now_ns); /* another thread may have been quicker */
    pthread_mutex_unlock(&kr->quick);
    return *ret != NULL ? ARIL_OK : load(kr, kr->rows, key, now_ns, ret, error);
}

static aril_status slot_key_slowly(aril_keyring *kr, const aril_key_slot *slot, uint64_t now_ns,
                                   aril_tenant_key **ret, aril_error *error)
{
    unsigned tries = 0;
    aril_status st;
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(kr, &held));
    do {
        st = look_and_load(kr, slot, now_ns, ret, error);
    } while (st != ARIL_OK && arili_keyring_is_behind(kr, &tries));
    return st;
}

static aril_status slot_key(aril_keyring *kr, const aril_key_slot *slot, aril_tenant_key **ret,
                            aril_error *error)
{
    uint64_t now_ns = 0;
    ARILI_TRY(arili_keyring_use(kr, &now_ns, error));
    const struct arili_key *key = NULL;
    pthread_mutex_lock(&kr->quick);
    const aril_status st = choose(kr, kr->rows, slot, &key, error);
    if (st == ARIL_OK) {
        *ret = cached(kr, arili_key_id(key), now_ns);
    }
    pthread_mutex_unlock(&kr->quick);
    if (st == ARIL_OK && *ret == NULL) {
        return slot_key_slowly(kr, slot, now_ns, ret, error);
    }
    return st;
}

aril_status aril_keyring_slot_key(aril_keyring *keyring, const aril_key_slot *slot,
                                  aril_tenant_key **ret_key, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && ret_key != NULL, ARIL_E_USAGE_NULL);
    *ret_key = NULL;
    ARILI_TRY(arili_slot_check(slot));
    ARILI_ENSURE(slot->purpose == ARIL_KEY_DATA || slot->purpose == ARIL_KEY_NAME,
                 ARIL_E_USAGE_RANGE);
    return slot_key(keyring, slot, ret_key, error);
}

aril_status aril_keyring_tenant_key(aril_keyring *keyring, aril_bytes tenant,
                                    aril_key_purpose purpose, aril_tenant_key **ret_key,
                                    aril_error *error)
{
    const aril_key_slot slot = { .purpose = purpose, .owner = tenant };
    return aril_keyring_slot_key(keyring, &slot, ret_key, error);
}

aril_status arili_tenant_key_current(aril_keyring *kr, const aril_tenant_key *key, bool *ret_same)
{
    const aril_key_slot slot = { .purpose = key->purpose, .owner = { key->owner, key->owner_len } };
    const struct arili_key *now = NULL;
    ARILI_ENSURE(!arili_is_forked(&kr->guard), ARIL_E_FORKED);
    pthread_mutex_lock(&kr->quick);
    const aril_status st = choose(kr, kr->rows, &slot, &now, NULL);
    if (st == ARIL_OK) {
        *ret_same = memcmp(arili_key_id(now), key->id, sizeof key->id) == 0;
    }
    pthread_mutex_unlock(&kr->quick);
    return st;
}

/* --- The key of an id ---------------------------------------------------------------------- */

/* Whether a key may open for that tenant. Any lock. */
static aril_status may_open(const aril_keyring *kr, const struct arili_rowset *set,
                            aril_bytes tenant, const struct arili_key *key, aril_error *error)
{
    if (set->head.locked) {
        return is_locked(kr, error);
    }
    ARILI_ENSURE(key != NULL, ARIL_E_KEY_UNKNOWN);
    const struct arili_key_row *said = &key->said;
    ARILI_ENSURE(said->purpose == ARIL_KEY_DATA || said->purpose == ARIL_KEY_NAME ||
                     said->purpose == ARIL_KEY_LEGACY,
                 ARIL_E_KEY_UNKNOWN);
    ARILI_ENSURE(tenant.len == 0 || arili_row_order(0, tenant, 0, said->owner) == 0,
                 ARIL_E_ISOLATION);
    switch (said->state) {
    case ARIL_KEY_RETIRED:
        ARILI_FAIL(ARIL_E_KEY_RETIRED);
    case ARIL_KEY_DESTROYED:
        ARILI_FAIL(ARIL_E_KEY_DESTROYED);
    case ARIL_KEY_PENDING: /* another node may seal with it already */
    case ARIL_KEY_ACTIVE:
    case ARIL_KEY_DECRYPT_ONLY:
        break;
    }
    return ARIL_OK;
}

static aril_status look_for_id(aril_keyring *kr, aril_bytes tenant, const uint8_t *id,
                               uint64_t now_ns, aril_tenant_key **ret, aril_error *error)
{
    /* A key that is not known here may have come into the file a moment ago. */
    ARILI_TRY(arili_keyring_look_softly(kr, error));
    const struct arili_key *key = arili_rowset_key(kr->rows, id);
    ARILI_TRY(may_open(kr, kr->rows, tenant, key, error));
    return load(kr, kr->rows, key, now_ns, ret, error);
}

static aril_status key_by_id_slowly(aril_keyring *kr, aril_bytes tenant, const uint8_t *id,
                                    uint64_t now_ns, aril_tenant_key **ret, aril_error *error)
{
    unsigned tries = 0;
    aril_status st;
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(kr, &held));
    do {
        st = look_for_id(kr, tenant, id, now_ns, ret, error);
    } while (st != ARIL_OK && arili_keyring_is_behind(kr, &tries));
    return st;
}

static aril_status key_by_id(aril_keyring *kr, aril_bytes tenant, const uint8_t *id,
                             aril_tenant_key **ret, aril_error *error)
{
    uint64_t now_ns = 0;
    ARILI_TRY(arili_keyring_use(kr, &now_ns, error));
    pthread_mutex_lock(&kr->quick);
    const aril_status st = may_open(kr, kr->rows, tenant, arili_rowset_key(kr->rows, id), error);
    if (st == ARIL_OK) {
        *ret = cached(kr, id, now_ns);
    }
    pthread_mutex_unlock(&kr->quick);
    if ((st == ARIL_OK && *ret == NULL) || st == ARIL_E_KEY_UNKNOWN) {
        return key_by_id_slowly(kr, tenant, id, now_ns, ret, error);
    }
    return st;
}

aril_status aril_keyring_key_by_id(aril_keyring *keyring, aril_bytes tenant,
                                   const uint8_t id[ARIL_KEY_ID_BYTES], aril_tenant_key **ret_key,
                                   aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && id != NULL && ret_key != NULL, ARIL_E_USAGE_NULL);
    *ret_key = NULL;
    ARILI_ENSURE(tenant.data != NULL || tenant.len == 0, ARIL_E_USAGE_NULL);
    aril_error why; /* the caller's may have the status of an earlier failure */
    why.status = ARIL_OK;
    const aril_status st = key_by_id(keyring, tenant, id, ret_key, &why);
    if (st == ARIL_OK) {
        return st;
    }
    if (st == ARIL_E_ISOLATION) {
        (void)arili_keyring_tell(keyring, ARIL_EVENT_ISOLATION_VIOLATION, "key", st, tenant, id,
                                 NULL);
    }
    if (why.status == st) {
        return arili_error_set(error, st, "%s", why.message);
    }
    return arili_error_set(error, st, "%s: %s; %s", keyring->path, aril_status_text(st),
                           aril_status_hint(st));
}

/* --- Signing keys -------------------------------------------------------------------------- */

static aril_status look_and_sign(aril_keyring *kr, const aril_key_slot *slot, aril_identity **ret,
                                 aril_error *error)
{
    ARILI_TRY(arili_keyring_look_softly(kr, error));
    const struct arili_key *key = NULL;
    ARILI_TRY(choose(kr, kr->rows, slot, &key, error));
    return arili_keyring_identity(kr, kr->rows, key, ret, error);
}

aril_status aril_keyring_signing_key(aril_keyring *keyring, aril_bytes owner,
                                     aril_identity **ret_identity, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && ret_identity != NULL, ARIL_E_USAGE_NULL);
    *ret_identity = NULL;
    const aril_key_slot slot = { .purpose = owner.len > 0 ? ARIL_KEY_API : ARIL_KEY_AUTHORITY,
                                 .owner = owner };
    unsigned tries = 0;
    aril_status st;
    ARILI_TRY(arili_slot_check(&slot));
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    do {
        st = look_and_sign(keyring, &slot, ret_identity, error);
    } while (st != ARIL_OK && arili_keyring_is_behind(keyring, &tries));
    return st;
}
