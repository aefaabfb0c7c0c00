/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_CACHE_FIXTURE_H
#define ARIL_TESTS_CACHE_FIXTURE_H
/*
 * Caches for tests: a keyring with the tenants "alice" and "bob" (keyring_fixture.h), a store, and
 * caches over it. Everything that a test does behind the cache's back goes through the raw store.
 *
 *   struct cache_home ch;
 *   cache_home_init(&ch, &w, "memory:", NULL, 0);
 *   put_text(&ch, "alice", "key", "value"); ... ch.cache, ch.store, ch.error ...
 *   cache_home_done(&ch);
 */
#include "keyring_fixture.h"
#include <aril/cache.h>

struct cache_home {
    struct keyring_home keys;
    aril_store *store;
    aril_cache *cache;
    aril_cache_config config; /* of caches that are opened from now on, but keyring and store */
    aril_error error;
};

/* uri NULL: no store. "memory:" has no messages: a cache that was opened anew would hear those of
 * the one before, whenever they come, and let its L1 go. policies are borrowed until the cache is
 * opened. */
void cache_home_init(struct cache_home *ch, struct world *w, const char *uri,
                     const aril_cache_policy *policies, size_t count);
/* A memory store as one without messages. */
aril_status cache_store_open_silent(aril_runtime *rt, const char *uri, aril_store **ret,
                                    aril_error *error);
/* Closes what is open, removes the keyring. */
void cache_home_done(struct cache_home *ch);
/* Close the cache and open it again: L1 is empty. */
void cache_home_reopen(struct cache_home *ch);

/* --- Values. space "" where none is said. */
aril_cache_key cache_key(const char *tenant, const char *space, const char *key);
aril_status cache_put(struct cache_home *ch, aril_cache_key key, aril_bytes value);
/* Get and compare; the result is in *ret where that is not NULL. On a failure nothing may be in the
 * buffer. */
aril_status cache_get(struct cache_home *ch, aril_cache_key key, aril_bytes expected,
                      aril_cache_result *ret);
/* From a cache whose L1 is empty. */
aril_status cache_get_l2(struct cache_home *ch, aril_cache_key key, aril_bytes expected,
                         aril_cache_result *ret);

/* --- Behind its back */
/* The name of a value; static storage until the next call. */
aril_bytes cache_name(struct cache_home *ch, aril_cache_key key);
/* The bytes that the store has; free() data. NULL: none. */
aril_span cache_stored(struct cache_home *ch, aril_bytes name);
void cache_store_put(struct cache_home *ch, aril_bytes name, aril_bytes value);
/* Names that the store has. */
size_t cache_store_count(struct cache_home *ch);
#endif
