/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "keyring/keyring.h"
#include <string.h>

#define BINDING_LABEL ARILI_LITERAL("aril keyring binding v1")

struct arili_macs arili_keyring_macs(const aril_keyring *kr)
{
    struct arili_macs m = { .crypto = &kr->rt->crypto,
                            .hash = kr->profile->hash,
                            .keys = kr->mac_keys };
    memcpy(m.keyring_id, kr->id, sizeof m.keyring_id);
    return m;
}

aril_status arili_keyring_place(const aril_keyring *kr, const uint8_t root[ARIL_KEY_ID_BYTES],
                                const uint8_t slot[ARILI_KEYRING_SLOT_BYTES],
                                struct arili_store_place *ret)
{
    const struct arili_crypto *c = &kr->rt->crypto;
    const uint8_t profile = (uint8_t)kr->profile->id;
    const aril_bytes parts[] = {
        BINDING_LABEL, { kr->id, sizeof kr->id }, { root, ARIL_KEY_ID_BYTES }, { &profile, 1 }
    };
    uint8_t digest[ARILI_HASH_BYTES_MAX];
    ARILI_TRY(c->ops->hash(c->provider, kr->profile->hash, parts, 4, digest));
    memcpy(ret->slot, slot, sizeof ret->slot);
    memcpy(ret->binding, digest, sizeof ret->binding);
    return ARIL_OK;
}

aril_status arili_keyring_adopt_root(aril_keyring *kr, struct arili_kek *root)
{
    uint64_t now = 0;
    ARILI_TRY(arili_keyring_boot_ns(kr, &now));
    if (!arili_equal_ct(kr->mac_root, root->id, sizeof root->id)) {
        ARILI_TRY(
            arili_mac_keys_derive(&kr->rt->crypto, kr->profile->hash, root->psk, kr->mac_keys));
        memcpy(kr->mac_root, root->id, sizeof root->id);
    }
    arili_kek_hold(root);
    arili_kek_drop(kr->root);
    kr->root = root;
    kr->root_until_ns = now + kr->ttl_ns;
    return ARIL_OK;
}

static aril_status unseal(aril_keyring *kr, const struct arili_head *head, struct arili_kek **ret,
                          aril_error *error)
{
    ARILI_ENSURE(kr->keystore != NULL, ARIL_E_USAGE_STATE);
    struct arili_store_place place;
    ARILI_TRY(arili_keyring_place(kr, head->root, head->root_slot, &place));
    ARILI_DEFER(arili_payload_wipe) struct arili_payload p = { .len = ARILI_STORE_SECRET_BYTES };
    ARILI_TRY(arili_keystore_unseal(kr->keystore, &place, head->blob, p.bytes, error));
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *root = NULL;
    ARILI_TRY(arili_kek_new(kr->rt, kr->profile, ARIL_KEY_ROOT, &p, &root));
    if (memcmp(root->id, head->root, sizeof root->id) != 0) {
        return arili_error_set(error, ARIL_E_KEYSTORE_WRONG,
                               "%s: the keystore gave another root than the one that was sealed",
                               kr->path);
    }
    *ret = ARILI_TAKE(root);
    return ARIL_OK;
}

aril_status arili_keyring_unseal(aril_keyring *kr, const struct arili_head *head,
                                 struct arili_kek **ret, aril_error *error)
{
    const aril_status st = unseal(kr, head, ret, error);
    return st == ARIL_OK ? st
                         : arili_keyring_tell(kr, ARIL_EVENT_KEYRING, "unseal", st,
                                              (aril_bytes){ NULL, 0 }, head->root, NULL);
}

aril_status arili_keyring_root(aril_keyring *kr, const struct arili_rowset *set,
                               struct arili_kek **ret, aril_error *error)
{
    uint64_t now = 0;
    ARILI_TRY(arili_keyring_boot_ns(kr, &now));
    /* With a recovery key in place of the keystore, nothing could unseal it again. */
    if (kr->root != NULL && memcmp(kr->root->id, set->head.root, sizeof kr->root->id) == 0 &&
        (now < kr->root_until_ns || kr->keystore == NULL)) {
        arili_kek_hold(kr->root);
        *ret = kr->root;
        return ARIL_OK;
    }
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *root = NULL;
    ARILI_TRY(arili_keyring_unseal(kr, &set->head, &root, error));
    ARILI_TRY(arili_keyring_adopt_root(kr, root));
    *ret = ARILI_TAKE(root);
    return ARIL_OK;
}

/* A key that does not open under its parent. */
static aril_status damaged(const aril_keyring *kr, aril_status st, aril_error *error)
{
    if (st != ARIL_E_AUTH) {
        return st;
    }
    return arili_error_set(
        error, st, "%s: the wrap of a key does not open; restore a backup (docs/keyring.md)",
        kr->path);
}

static aril_status unwrap_under(aril_keyring *kr, const struct arili_kek *parent,
                                const struct arili_key *key, struct arili_payload *ret,
                                aril_error *error)
{
    ARILI_ENSURE(key->said.wrap.len > 0, ARIL_E_KEY_DESTROYED);
    const aril_status st = arili_unwrap(parent, kr->id, arili_key_id(key), &key->said, ret);
    return st == ARIL_OK ? st : damaged(kr, st, error);
}

/* From the cache, or NULL. */
static struct arili_kek *cached_kek(aril_keyring *kr, const uint8_t *id)
{
    uint64_t now = 0;
    if (arili_keyring_boot_ns(kr, &now) != ARIL_OK) {
        return NULL;
    }
    pthread_mutex_lock(&kr->quick);
    const struct arili_cache_entry *e = arili_cache_find(&kr->cache, id, now);
    struct arili_kek *kek = e != NULL ? e->kek : NULL;
    if (kek != NULL) {
        arili_kek_hold(kek);
    }
    pthread_mutex_unlock(&kr->quick);
    return kek;
}

static aril_status remember_kek(aril_keyring *kr, struct arili_kek *kek)
{
    uint64_t now = 0;
    ARILI_TRY(arili_keyring_boot_ns(kr, &now));
    pthread_mutex_lock(&kr->quick);
    arili_cache_put(&kr->cache, kek->id, NULL, kek, now + kr->ttl_ns);
    pthread_mutex_unlock(&kr->quick);
    return ARIL_OK;
}

aril_status arili_keyring_kek(aril_keyring *kr, const struct arili_rowset *set,
                              const uint8_t id[ARIL_KEY_ID_BYTES], struct arili_kek **ret,
                              aril_error *error)
{
    if (memcmp(id, set->head.root, ARIL_KEY_ID_BYTES) == 0) {
        return arili_keyring_root(kr, set, ret, error);
    }
    *ret = cached_kek(kr, id);
    if (*ret != NULL) {
        return ARIL_OK;
    }
    const struct arili_key *key = arili_rowset_key(set, id);
    ARILI_ENSURE(key != NULL, ARIL_E_KEY_UNKNOWN);
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *root = NULL;
    ARILI_TRY(arili_keyring_root(kr, set, &root, error));
    ARILI_DEFER(arili_payload_wipe) struct arili_payload p = { .len = 0 };
    ARILI_TRY(unwrap_under(kr, root, key, &p, error));
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *kek = NULL;
    ARILI_TRY(arili_kek_new(kr->rt, kr->profile, key->said.purpose, &p, &kek));
    ARILI_TRY(remember_kek(kr, kek));
    *ret = ARILI_TAKE(kek);
    return ARIL_OK;
}

aril_status arili_keyring_unwrap(aril_keyring *kr, const struct arili_rowset *set,
                                 const struct arili_key *key, struct arili_payload *ret,
                                 aril_error *error)
{
    /* A recovery key opens a locked keyring as well. */
    if (set->head.locked && kr->keystore != NULL) {
        return arili_error_set(error, ARIL_E_KEY_LOCKED,
                               "%s is locked; run 'aril keys unlock', then retry", kr->path);
    }
    ARILI_DEFER(arili_kek_dropp) struct arili_kek *parent = NULL;
    ARILI_TRY(arili_keyring_kek(kr, set, key->said.parent, &parent, error));
    return unwrap_under(kr, parent, key, ret, error);
}

void arili_keyring_forget_secrets(aril_keyring *kr)
{
    arili_kek_drop(kr->root);
    kr->root = NULL;
    pthread_mutex_lock(&kr->quick);
    arili_cache_clear(&kr->cache);
    pthread_mutex_unlock(&kr->quick);
}
