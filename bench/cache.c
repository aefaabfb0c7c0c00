/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "harness.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const aril_bytes bench_cache_tenant = { (const uint8_t *)"bench-tenant", 12 };

static void make_keyring(struct bench_cache *w)
{
    char uri[112];
    const char *base = getenv("TMPDIR");
    (void)snprintf(w->folder, sizeof w->folder, "%.40s/aril-bench-XXXXXX",
                   base != NULL ? base : "/tmp");
    BENCH_CHECK(mkdtemp(w->folder) != NULL);
    (void)snprintf(w->path, sizeof w->path, "%s/keyring", w->folder);
    (void)snprintf(w->key_path, sizeof w->key_path, "%s/key", w->folder);
    (void)snprintf(uri, sizeof uri, "file:%s", w->key_path);
    const aril_keystore_config keystore = { .uri = uri, .create = 1 };
    BENCH_OK(aril_keystore_open(w->rt, &keystore, &w->keystore, NULL));
    const aril_keyring_config config = { .path = w->path, .keystore = w->keystore };
    const aril_keyring_init_config init = { .no_recovery = 1 };
    BENCH_OK(aril_keyring_init(w->rt, &config, &init, NULL));
    BENCH_OK(aril_keyring_open(w->rt, &config, &w->keyring, NULL));
    const aril_key_slot slot = { .purpose = ARIL_KEY_TENANT, .owner = bench_cache_tenant };
    BENCH_OK(aril_keyring_create(w->keyring, &slot, 1, NULL));
}

void bench_cache_new(struct bench_cache *w, const aril_store_config *store,
                     const aril_cache_policy *policy)
{
    *w = (struct bench_cache){ .rt = NULL };
    aril_error error = { .message = "" };
    BENCH_OK(aril_runtime_new(NULL, &w->rt));
    make_keyring(w);
    if (store != NULL && aril_store_open(w->rt, store, &w->store, &error) != ARIL_OK) {
        bench_fail("%s", error.message);
    }
    const aril_cache_config config = { .keyring = w->keyring,
                                       .store = w->store,
                                       .l1_bytes = (uint64_t)64 << 20,
                                       .policies = policy,
                                       .policy_count = 1 };
    if (aril_cache_open(w->rt, &config, &w->cache, &error) != ARIL_OK) {
        bench_fail("%s", error.message);
    }
}

void bench_cache_free(struct bench_cache *w)
{
    char lock[128];
    aril_cache_close(w->cache);
    aril_store_close(w->store);
    aril_keyring_close(w->keyring);
    aril_keystore_close(w->keystore);
    aril_runtime_free(w->rt);
    (void)snprintf(lock, sizeof lock, "%s.lock", w->key_path);
    (void)unlink(w->path);
    (void)unlink(w->key_path);
    (void)unlink(lock);
    (void)rmdir(w->folder);
}
