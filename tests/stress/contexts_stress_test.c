/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "crypto/contexts.h"
#include "provider.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

/* Threads that lease contexts while their keys are replaced and forgotten. There are
 * more of them than shards, and some sleep on a lease, so that others have to look for
 * another shard and at times find every one lent out. */

#define THREADS (2 * ARILI_CONTEXT_SHARDS + 16u)
#define KEYS    40u
#define ROUNDS  300u
#define CHANGES 300u

/* A key with the uid it has now. Readers use it, the writer replaces it. */
struct shared_key {
    pthread_rwlock_t lock;
    uint64_t uid;
    uint8_t bytes[ARILI_AEAD_KEY_BYTES];
    uint8_t tag[ARILI_AEAD_TAG_BYTES]; /* of the empty message */
};

static struct arili_contexts *cache;
static struct shared_key keys[KEYS];
static atomic_uint wrong;
static pthread_barrier_t start;

static const uint8_t nonce[ARILI_AEAD_NONCE_BYTES] = { 1 };
static const aril_bytes none = { NULL, 0 };

static aril_status key_replace(struct shared_key *k, unsigned seed)
{
    const struct arili_crypto *const c = provider();
    struct arili_aead_ctx *ctx = NULL;
    provider_pattern(k->bytes, sizeof k->bytes, seed);
    k->uid = arili_contexts_uid(cache);
    aril_status st = c->ops->aead_new(c->provider, &ctx);
    if (st == ARIL_OK) {
        st = c->ops->aead_key(ctx, k->bytes);
    }
    if (st == ARIL_OK) {
        st = c->ops->aead_seal(ctx, nonce, none, NULL, 0, NULL, k->tag);
    }
    c->ops->aead_free(ctx);
    return st;
}

/* One lease; whether the context had the right key. slow gives way to other threads
 * before and after the lease is used. */
static bool use(uint64_t uid, const uint8_t *key, const uint8_t *want, bool slow)
{
    struct arili_context_lease lease;
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    if (arili_contexts_get(cache, uid, key, &lease) != ARIL_OK) {
        return false;
    }
    if (slow) {
        sched_yield();
    }
    const aril_status st = provider()->ops->aead_seal(lease.ctx, nonce, none, NULL, 0, NULL, tag);
    if (slow) {
        sched_yield();
    }
    arili_contexts_put(cache, &lease);
    return st == ARIL_OK && memcmp(tag, want, sizeof tag) == 0; /* public test bytes */
}

static void *worker(void *arg)
{
    uint32_t x = (uint32_t)(uintptr_t)arg * 2654435761u + 1;
    pthread_barrier_wait(&start);
    for (unsigned i = 0; i < ROUNDS; i++) {
        x = x * 1664525u + 1013904223u;
        struct shared_key *const k = &keys[(x >> 16) % KEYS];
        pthread_rwlock_rdlock(&k->lock);
        const bool good = use((x >> 8) % 8 == 0 ? 0 : k->uid, k->bytes, k->tag, (x >> 4) % 4 == 0);
        pthread_rwlock_unlock(&k->lock);
        if (!good) {
            atomic_fetch_add(&wrong, 1);
        }
    }
    return NULL;
}

static void *changer(void *arg)
{
    unsigned seed = 1000;
    (void)arg;
    pthread_barrier_wait(&start);
    for (unsigned i = 0; i < CHANGES; i++) {
        struct shared_key *const k = &keys[i * 7 % KEYS];
        pthread_rwlock_wrlock(&k->lock);
        arili_contexts_forget(cache, k->uid);
        if (key_replace(k, seed++) != ARIL_OK) {
            atomic_fetch_add(&wrong, 1);
        }
        pthread_rwlock_unlock(&k->lock);
    }
    return NULL;
}

static void threads_always_get_the_key_they_ask_for(void **state)
{
    pthread_t threads[THREADS + 1];
    (void)state;
    assert_status(arili_contexts_new(provider(), &cache), ARIL_OK);
    for (unsigned i = 0; i < KEYS; i++) {
        assert_int_equal(pthread_rwlock_init(&keys[i].lock, NULL), 0);
        assert_status(key_replace(&keys[i], i), ARIL_OK);
    }
    assert_int_equal(pthread_barrier_init(&start, NULL, THREADS + 1), 0);
    for (size_t i = 0; i <= THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < THREADS ? worker : changer, (void *)(uintptr_t)i),
            0);
    }
    for (size_t i = 0; i <= THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&wrong), 0);
    print_message("  %u threads, %u leases, %u keys replaced\n", THREADS, THREADS * ROUNDS,
                  CHANGES);
    pthread_barrier_destroy(&start);
    for (unsigned i = 0; i < KEYS; i++) {
        pthread_rwlock_destroy(&keys[i].lock);
    }
    arili_contexts_free(cache);
}

static atomic_int forgets; /* 0: not begun, 1: begun, 2: done */

static void *forgetter(void *arg)
{
    atomic_store(&forgets, 1);
    arili_contexts_forget(cache, *(const uint64_t *)arg);
    atomic_store(&forgets, 2);
    return NULL;
}

static void forgetting_waits_for_leases_of_that_key_alone(void **state)
{
    const uint8_t key[ARILI_AEAD_KEY_BYTES] = { 1 };
    struct arili_context_lease lease;
    pthread_t thread;
    uint64_t held;
    uint64_t other;
    (void)state;
    assert_status(arili_contexts_new(provider(), &cache), ARIL_OK);
    held = arili_contexts_uid(cache);
    other = held + ARILI_CONTEXT_SETS; /* in the same set */
    assert_status(arili_contexts_get(cache, other, key, &lease), ARIL_OK);
    arili_contexts_put(cache, &lease);
    assert_status(arili_contexts_get(cache, held, key, &lease), ARIL_OK);
    assert_int_equal(pthread_create(&thread, NULL, forgetter, &other), 0);
    assert_int_equal(pthread_join(thread, NULL), 0); /* hangs here if it waits for the lease */

    atomic_store(&forgets, 0);
    assert_int_equal(pthread_create(&thread, NULL, forgetter, &held), 0);
    while (atomic_load(&forgets) == 0) {
        sched_yield();
    }
    for (unsigned i = 0; i < 2000; i++) { /* time enough to do it wrong */
        sched_yield();
        assert_int_equal(atomic_load(&forgets), 1);
    }
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    assert_status(provider()->ops->aead_seal(lease.ctx, nonce, none, NULL, 0, NULL, tag), ARIL_OK);
    arili_contexts_put(cache, &lease);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&forgets), 2);
    arili_contexts_free(cache);
}

static aril_status every_primitive(const struct arili_crypto *c)
{
    uint8_t seed[64] = { 3 };
    uint8_t ct[ARILI_ML_KEM_768_CT_BYTES];
    uint8_t ss[32];
    uint8_t again[32];
    struct arili_pkey *key = NULL;
    aril_status st = c->ops->kem_import_seed(c->provider, ARILI_KEM_ML_KEM_768,
                                             (aril_bytes){ seed, sizeof seed }, &key);
    if (st == ARIL_OK) {
        st = c->ops->kem_encaps(key, NULL, ct, sizeof ct, ss);
    }
    if (st == ARIL_OK) {
        st = c->ops->kem_decaps(key, (aril_bytes){ ct, sizeof ct }, again);
    }
    c->ops->pkey_free(key);
    const aril_bytes part = { seed, sizeof seed };
    if (st == ARIL_OK) {
        st = c->ops->hkdf_extract(c->provider, ARILI_SHA384, part, part, ct);
    }
    if (st == ARIL_OK) {
        st = c->ops->hash(c->provider, ARILI_SHA3_256, &part, 1, ct);
    }
    if (st == ARIL_OK) {
        st = c->ops->aes_blocks(c->provider, seed, seed, 2, ct);
    }
    return st != ARIL_OK || memcmp(ss, again, sizeof ss) == 0 ? st : ARIL_E_CRYPTO;
}

static void *user_of_the_provider(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&start);
    for (unsigned i = 0; i < 30; i++) {
        if (every_primitive(provider()) != ARIL_OK) {
            atomic_fetch_add(&wrong, 1);
        }
    }
    return NULL;
}

static void one_provider_serves_many_threads(void **state)
{
    pthread_t threads[8];
    (void)state;
    atomic_store(&wrong, 0);
    assert_int_equal(pthread_barrier_init(&start, NULL, COUNT(threads)), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, user_of_the_provider, NULL), 0);
    }
    for (size_t i = 0; i < COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&wrong), 0);
    pthread_barrier_destroy(&start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_always_get_the_key_they_ask_for),
        cmocka_unit_test(forgetting_waits_for_leases_of_that_key_alone),
        cmocka_unit_test(one_provider_serves_many_threads),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
