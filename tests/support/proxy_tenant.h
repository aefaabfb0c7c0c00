/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_PROXY_TENANT_H
#define ARIL_TESTS_PROXY_TENANT_H
/*
 * Tenants of the proxy over a keyring of keyring_fixture.h, which has their keys:
 *
 *   struct arili_tenant *t = proxy_tenant(&h, "alice", "redis", false);
 *   struct arili_tenant_keys *k = proxy_keys(t);   ... arili_tenant_keys_drop(k);
 *   arili_tenant_free(t);
 *
 * The functions end the running test when something does not work.
 */
#include "keyring_fixture.h"
#include "proxy/tenant.h"

/* Made and refreshed; there are keys. */
struct arili_tenant *proxy_tenant(struct keyring_home *h, const char *id, const char *space,
                                  bool hash_tags);
void proxy_refresh(struct keyring_home *h, struct arili_tenant *t);
/* The keys, held, whose status must be ARIL_OK. */
struct arili_tenant_keys *proxy_keys(struct arili_tenant *t);
/* The status of the keys now. */
aril_status proxy_status(struct arili_tenant *t);
/* The place of a key of database 0, without a cache of names. */
struct arili_place proxy_place(struct arili_tenant *t, const char *key);
/* Raise the generation floor by one, as a bump does. */
void proxy_bump(struct keyring_home *h, const char *tenant, const char *space, uint64_t floor);
#endif
