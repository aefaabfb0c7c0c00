/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_BENCH_CACHE_H
#define ARIL_BENCH_CACHE_H
#include <aril/aril.h>

/* A cache over a throw-away keyring with one tenant, for the measurements of the cache. */
struct bench_cache {
    aril_runtime *rt;
    aril_keystore *keystore;
    aril_keyring *keyring;
    aril_store *store; /* NULL: L1 alone */
    aril_cache *cache;
    char folder[64], path[96], key_path[96];
};
extern const aril_bytes bench_cache_tenant;

/* store NULL: none. Both are borrowed for the call. */
void bench_cache_new(struct bench_cache *w, const aril_store_config *store,
                     const aril_cache_policy *policy);
void bench_cache_free(struct bench_cache *w);
#endif
