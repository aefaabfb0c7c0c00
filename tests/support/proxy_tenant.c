/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy_tenant.h"
#include "keyring/keyring.h"

struct arili_tenant *proxy_tenant(struct keyring_home *h, const char *id, const char *space,
                                  bool hash_tags)
{
    struct arili_tenant *t = NULL;
    assert_status(arili_tenant_new(text_bytes(id), space, hash_tags, &t), ARIL_OK);
    proxy_refresh(h, t);
    assert_status(proxy_status(t), ARIL_OK);
    return t;
}

void proxy_refresh(struct keyring_home *h, struct arili_tenant *t)
{
    arili_tenant_refresh(t, h->w->rt, h->kr);
}

struct arili_tenant_keys *proxy_keys(struct arili_tenant *t)
{
    struct arili_tenant_keys *k = arili_tenant_keys_hold(t);
    assert_non_null(k);
    assert_status(k->status, ARIL_OK);
    return k;
}

aril_status proxy_status(struct arili_tenant *t)
{
    struct arili_tenant_keys *k = arili_tenant_keys_hold(t);
    const aril_status st = k->status;
    arili_tenant_keys_drop(k);
    return st;
}

struct arili_place proxy_place(struct arili_tenant *t, const char *key)
{
    struct arili_place place;
    struct arili_tenant_keys *k = proxy_keys(t);
    assert_status(arili_place_make(NULL, t, k, 0, text_bytes(key), &place), ARIL_OK);
    arili_tenant_keys_drop(k);
    return place;
}

void proxy_bump(struct keyring_home *h, const char *tenant, const char *space, uint64_t floor)
{
    uint8_t name[ARILI_FLOOR_NAME_BYTES];
    assert_status(arili_cache_floor_name(&h->w->rt->crypto, h->kr->profile->hash,
                                         text_bytes(tenant), text_bytes(space), name),
                  ARIL_OK);
    assert_status(
        aril_keyring_floor_raise(h->kr, (aril_bytes){ name, sizeof name }, floor, &h->error),
        ARIL_OK);
}
