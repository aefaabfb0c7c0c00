/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/tenant.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "keyring/keyring.h"

/* --- Keys ----------------------------------------------------------------------------------- */

static struct arili_tenant_keys *keys_new(aril_status status)
{
    struct arili_tenant_keys *k = arili_alloc(sizeof *k);
    if (k != NULL) {
        atomic_init(&k->refs, 1);
        k->status = k->seal_status = status;
    }
    return k;
}

void arili_tenant_keys_drop(struct arili_tenant_keys *k)
{
    if (k == NULL || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) > 1) {
        return;
    }
    if (k->siv != NULL) {
        arili_secure_give(k->rt->secure, k->siv);
    }
    aril_tenant_key_put(k->data);
    aril_tenant_key_put(k->name);
    arili_free(k, sizeof *k);
}
static void keys_dropp(struct arili_tenant_keys **k)
{
    arili_tenant_keys_drop(*k);
}

static void keys_hold(struct arili_tenant_keys *k)
{
    (void)atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
}

struct arili_tenant_keys *arili_tenant_keys_hold(struct arili_tenant *t)
{
    (void)pthread_mutex_lock(&t->lock);
    struct arili_tenant_keys *k = t->keys;
    keys_hold(k);
    (void)pthread_mutex_unlock(&t->lock);
    return k;
}

/* Under refreshing: from here on loops get k, which is taken. */
static void publish(struct arili_tenant *t, struct arili_tenant_keys *k)
{
    (void)pthread_mutex_lock(&t->lock);
    struct arili_tenant_keys *former = t->keys;
    t->keys = k;
    (void)pthread_mutex_unlock(&t->lock);
    arili_tenant_keys_drop(former);
}

/* --- Tenants -------------------------------------------------------------------------------- */

static aril_status tenant_init(struct arili_tenant *t)
{
    t->keys = keys_new(ARIL_E_KEYSTORE_BUSY);
    t->spare = keys_new(ARIL_OK);
    ARILI_ENSURE(t->keys != NULL && t->spare != NULL, ARIL_E_NOMEM);
    return ARIL_OK;
}

static void tenant_freep(struct arili_tenant **t)
{
    arili_tenant_free(*t);
}

aril_status arili_tenant_new(aril_bytes id, const char *space, bool hash_tags,
                             struct arili_tenant **ret)
{
    static _Atomic uint32_t numbers;
    const size_t space_len = strlen(space);
    _Static_assert(sizeof((struct arili_tenant *)0)->id > ARIL_TENANT_ID_BYTES_MAX, "and NUL");
    ARILI_ENSURE(id.len >= 1 && id.len <= ARIL_TENANT_ID_BYTES_MAX &&
                     space_len <= ARIL_CACHE_SPACE_BYTES_MAX,
                 ARIL_E_USAGE_RANGE);
    ARILI_DEFER(tenant_freep) struct arili_tenant *t = arili_alloc(sizeof *t);
    ARILI_ENSURE(t != NULL, ARIL_E_NOMEM);
    /* With default attributes these do not fail (glibc). */
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_mutex_init(&t->refreshing, NULL);
    arili_tells_init(&t->tells);
    memcpy(t->id, id.data, id.len);
    t->id_len = id.len;
    memcpy(t->space, space, space_len);
    t->hash_tags = hash_tags;
    ARILI_TRY(tenant_init(t));
    t->number = atomic_fetch_add_explicit(&numbers, 1, memory_order_relaxed) + 1;
    *ret = ARILI_TAKE(t);
    return ARIL_OK;
}

void arili_tenant_free(struct arili_tenant *t)
{
    if (t == NULL) {
        return;
    }
    arili_tenant_keys_drop(t->keys);
    arili_tenant_keys_drop(t->spare);
    (void)pthread_mutex_destroy(&t->lock);
    (void)pthread_mutex_destroy(&t->refreshing);
    arili_tells_done(&t->tells);
    arili_free(t, sizeof *t);
}

/* --- Refresh -------------------------------------------------------------------------------- */

static aril_bytes id_of(const struct arili_tenant *t)
{
    return (aril_bytes){ (const uint8_t *)t->id, t->id_len };
}

static aril_bytes space_of(const struct arili_tenant *t)
{
    return (aril_bytes){ (const uint8_t *)t->space, strlen(t->space) };
}

static uint64_t revision_of(aril_keyring *keyring)
{
    struct arili_rowset *rows = arili_keyring_rows(keyring);
    const uint64_t revision = rows->head.revision;
    arili_rowset_drop(rows);
    return revision;
}

/* Whether a failure leaves open what the keyring says: then what it said before goes on. What is
 * not listed here ends access, so that a status of later times does. */
static bool says_nothing(aril_status st)
{
    switch (st) {
    case ARIL_E_KEYSTORE_SECRET: /* it answered, and refused */
    case ARIL_E_KEYSTORE_POLICY:
    case ARIL_E_KEYSTORE_WRONG:
        return false;
    default:
        break;
    }
    switch (aril_status_class(st)) {
    case ARIL_E_NOMEM:
    case ARIL_E_IO:
    case ARIL_E_TIMEOUT:
    case ARIL_E_RANDOM:
    case ARIL_E_CRYPTO:
    case ARIL_E_KEYSTORE:
    case ARIL_E_CLOCK:
        return true;
    default:
        return false;
    }
}

/* Ends sealing, and nothing else: docs/keyring.md. */
static bool ends_sealing(aril_status st)
{
    return st == ARIL_E_KEY_OVERDUE || st == ARIL_E_KEY_INACTIVE;
}

static void key_putp(aril_tenant_key **key)
{
    aril_tenant_key_put(*key);
}

/* Whether the key that seals is still the right one, or there is still none for the same reason. */
static aril_status is_data_current(const struct arili_tenant *t, aril_keyring *keyring, bool *ret)
{
    const struct arili_tenant_keys *k = t->keys;
    ARILI_DEFER(key_putp) aril_tenant_key *key = NULL;
    const aril_status st =
        k->data != NULL ? arili_tenant_key_current(keyring, k->data, ret)
                        : aril_keyring_tenant_key(keyring, id_of(t), ARIL_KEY_DATA, &key, NULL);
    if (k->data == NULL || ends_sealing(st)) {
        *ret = k->data == NULL && st == k->seal_status;
        return st == ARIL_OK || ends_sealing(st) ? ARIL_OK : st;
    }
    return st;
}

/* Whether the keys are still the right ones, whatever else the keyring changed meanwhile; or why
 * there are none any more. */
static aril_status are_current(const struct arili_tenant *t, aril_keyring *keyring, bool *ret)
{
    bool data = false;
    bool name = false;
    if (t->keys->status == ARIL_OK) {
        ARILI_TRY(is_data_current(t, keyring, &data));
        ARILI_TRY(arili_tenant_key_current(keyring, t->keys->name, &name));
    }
    *ret = data && name;
    return ARIL_OK;
}

/* Floors only go up, whatever file is read: one that was seen stays. */
static aril_status read_floor(const struct arili_tenant *t, aril_runtime *rt, aril_keyring *keyring,
                              uint64_t *ret)
{
    uint8_t name[ARILI_FLOOR_NAME_BYTES];
    uint64_t floor = 0;
    ARILI_TRY(
        arili_cache_floor_name(&rt->crypto, keyring->profile->hash, id_of(t), space_of(t), name));
    ARILI_TRY(aril_keyring_floor_get(keyring, (aril_bytes){ name, sizeof name }, &floor, NULL));
    *ret = floor > t->keys->generation ? floor : t->keys->generation;
    return ARIL_OK;
}

/* New keys as the keyring has them. */
static aril_status keys_read(const struct arili_tenant *t, aril_runtime *rt, aril_keyring *keyring,
                             struct arili_tenant_keys **ret)
{
    ARILI_DEFER(keys_dropp) struct arili_tenant_keys *k = keys_new(ARIL_OK);
    ARILI_ENSURE(k != NULL, ARIL_E_NOMEM);
    k->rt = rt;
    k->guard = arili_secure_guard(rt->secure);
    k->hash = keyring->profile->hash;
    k->seal_status = aril_keyring_tenant_key(keyring, id_of(t), ARIL_KEY_DATA, &k->data, NULL);
    ARILI_ENSURE(k->seal_status == ARIL_OK || ends_sealing(k->seal_status), k->seal_status);
    ARILI_TRY(aril_keyring_tenant_key(keyring, id_of(t), ARIL_KEY_NAME, &k->name, NULL));
    ARILI_TRY(read_floor(t, rt, keyring, &k->generation));
    ARILI_TRY(arili_naming_init(&rt->crypto, k->hash, k->name, space_of(t), &k->naming));
    k->siv = arili_secure_take(rt->secure);
    ARILI_ENSURE(k->siv != NULL, ARIL_E_NOMEM);
    _Static_assert(ARILI_SIV_KEY_BYTES <= ARILI_SECURE_CELL_BYTES, "a cell holds it");
    ARILI_TRY(arili_cache_listing_key(&rt->crypto, k->hash, k->name, k->siv));
    k->naming.listing = k->siv;
    *ret = ARILI_TAKE(k);
    return ARIL_OK;
}

/* Somebody else's change, or a bump: nothing has to be unwrapped to know. */
static aril_status look_at_floor(struct arili_tenant *t, aril_runtime *rt, aril_keyring *keyring,
                                 bool *ret_same)
{
    uint64_t floor = 0;
    ARILI_TRY(read_floor(t, rt, keyring, &floor));
    *ret_same = floor == t->keys->generation;
    return ARIL_OK;
}

/* Under refreshing. Where keys are published there is a spare, so that ending access needs no
 * memory. */
static aril_status look(struct arili_tenant *t, aril_runtime *rt, aril_keyring *keyring)
{
    uint64_t now_ns = 0;
    bool same = false;
    ARILI_TRY(arili_keyring_use(keyring, &now_ns, NULL));
    const uint64_t revision = revision_of(keyring);
    ARILI_TRY(are_current(t, keyring, &same));
    if (same && revision != t->revision) {
        ARILI_TRY(look_at_floor(t, rt, keyring, &same));
    }
    if (!same) {
        struct arili_tenant_keys *fresh = NULL;
        if (t->spare == NULL) {
            t->spare = keys_new(ARIL_OK);
            ARILI_ENSURE(t->spare != NULL, ARIL_E_NOMEM);
        }
        ARILI_TRY(keys_read(t, rt, keyring, &fresh));
        publish(t, fresh);
    }
    t->revision = revision;
    return ARIL_OK;
}

/* Under refreshing: there are no keys any more, and why. */
static void end_access(struct arili_tenant *t, aril_status st)
{
    struct arili_tenant_keys *none = t->spare;
    if (t->keys->status == st) {
        return;
    }
    if (none == NULL) { /* there were none before, so another reason can wait for memory */
        none = keys_new(st);
        if (none == NULL) {
            return;
        }
    }
    none->status = none->seal_status = st;
    none->generation = t->keys->generation;
    t->spare = NULL;
    publish(t, none);
}

void arili_tenant_refresh(struct arili_tenant *t, aril_runtime *rt, aril_keyring *keyring)
{
    (void)pthread_mutex_lock(&t->refreshing);
    const aril_status st = look(t, rt, keyring);
    if (st != ARIL_OK && !says_nothing(st)) {
        end_access(t, st);
    }
    (void)pthread_mutex_unlock(&t->refreshing);
}
