/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hpke.h"
#include "crypto/runtime.h"
#include "harness.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A keyring with one tenant of 10,000 DATA keys over a key file: how long it takes to open, to
 * wrap all keys anew when the tenant's key rotates, and to get a key that is in memory. Rewraps
 * are compared with the HPKE opens and seals that they cannot do without, alone, single-threaded,
 * in turns; both are wall time, ours with everything that it writes to the disk.
 */

#define KEYS       10000u
#define KEYS_QUICK 500u
#define LOOKUPS    2000000u
#define ROUNDS     3u

static const aril_bytes tenant = { (const uint8_t *)"bench-tenant", 12 };

struct subject {
    aril_runtime *rt;
    aril_keystore *keystore;
    aril_keyring *keyring;
    aril_pool *pool;
    size_t keys;
    char folder[64], path[96], key_path[96], uri[112];
};

static aril_keyring_config config_of(const struct subject *s)
{
    return (aril_keyring_config){ .path = s->path,
                                  .keystore = s->keystore,
                                  .executor =
                                      s->pool != NULL ? aril_pool_executor(s->pool) : NULL };
}

static void open_keyring(struct subject *s)
{
    const aril_keyring_config config = config_of(s);
    BENCH_OK(aril_keyring_open(s->rt, &config, &s->keyring, NULL));
}

static void make_keys(struct subject *s)
{
    static char labels[KEYS][8];
    aril_key_slot *slots = calloc(s->keys, sizeof *slots);
    BENCH_CHECK(slots != NULL);
    for (size_t i = 0; i < s->keys; i++) {
        const int len = snprintf(labels[i], sizeof labels[i], "k%zu", i);
        slots[i] =
            (aril_key_slot){ ARIL_KEY_DATA, tenant, { (const uint8_t *)labels[i], (size_t)len } };
    }
    const aril_key_slot first = { .purpose = ARIL_KEY_TENANT, .owner = tenant };
    BENCH_OK(aril_keyring_create(s->keyring, &first, 1, NULL));
    BENCH_OK(aril_keyring_create(s->keyring, slots, s->keys, NULL));
    free(slots);
}

static void subject_new(struct subject *s)
{
    *s = (struct subject){ .keys = bench_options.quick ? KEYS_QUICK : KEYS };
    const char *base = getenv("TMPDIR");
    (void)snprintf(s->folder, sizeof s->folder, "%.40s/aril-bench-XXXXXX",
                   base != NULL ? base : "/tmp");
    BENCH_CHECK(mkdtemp(s->folder) != NULL);
    (void)snprintf(s->path, sizeof s->path, "%s/keyring", s->folder);
    (void)snprintf(s->key_path, sizeof s->key_path, "%s/key", s->folder);
    (void)snprintf(s->uri, sizeof s->uri, "file:%s", s->key_path);
    BENCH_OK(aril_runtime_new(NULL, &s->rt));
    const aril_keystore_config keystore = { .uri = s->uri, .create = 1 };
    BENCH_OK(aril_keystore_open(s->rt, &keystore, &s->keystore, NULL));
    const aril_keyring_config config = config_of(s);
    const aril_keyring_init_config init = { .no_recovery = 1 };
    BENCH_OK(aril_keyring_init(s->rt, &config, &init, NULL));
    open_keyring(s);
    make_keys(s);
}

static void subject_free(struct subject *s)
{
    char lock[128];
    aril_keyring_close(s->keyring);
    aril_keystore_close(s->keystore);
    aril_pool_free(s->pool);
    aril_runtime_free(s->rt);
    (void)snprintf(lock, sizeof lock, "%s.lock", s->key_path);
    (void)unlink(s->path);
    (void)unlink(s->key_path);
    (void)unlink(lock);
    (void)rmdir(s->folder);
}

/* --- Looking keys up ----------------------------------------------------------------------- */

static void measure_lookup(struct subject *s)
{
    if (!bench_wants("keyring.tenant_key")) {
        return;
    }
    aril_tenant_key *key = NULL;
    double each[BENCH_ROUNDS_MAX];
    const size_t count = bench_options.quick ? LOOKUPS / 20 : LOOKUPS;
    BENCH_OK(aril_keyring_tenant_key(s->keyring, tenant, ARIL_KEY_DATA, &key, NULL));
    uint8_t id[ARIL_KEY_ID_BYTES];
    memcpy(id, aril_tenant_key_id(key), sizeof id);
    aril_tenant_key_put(key);
    for (size_t r = 0; r < bench_rounds(); r++) {
        const uint64_t start = bench_thread_ns();
        for (size_t i = 0; i < count; i++) {
            BENCH_OK(aril_keyring_tenant_key(s->keyring, tenant, ARIL_KEY_DATA, &key, NULL));
            aril_tenant_key_put(key);
        }
        each[r] = (double)(bench_thread_ns() - start) / (double)count;
    }
    bench_report("keyring.tenant_key.cached", "ns", bench_median(each, bench_rounds()));
    for (size_t r = 0; r < bench_rounds(); r++) {
        const uint64_t start = bench_thread_ns();
        for (size_t i = 0; i < count; i++) {
            BENCH_OK(aril_keyring_key_by_id(s->keyring, tenant, id, &key, NULL));
            aril_tenant_key_put(key);
        }
        each[r] = (double)(bench_thread_ns() - start) / (double)count;
    }
    bench_report("keyring.tenant_key.by_id", "ns", bench_median(each, bench_rounds()));
}

/* --- Opening ------------------------------------------------------------------------------- */

static void measure_open(struct subject *s)
{
    if (!bench_wants("keyring.open.10000")) {
        return;
    }
    double each[BENCH_ROUNDS_MAX];
    for (size_t r = 0; r < bench_rounds(); r++) {
        aril_keyring_close(s->keyring);
        const uint64_t start = bench_wall_ns();
        open_keyring(s);
        each[r] = (double)(bench_wall_ns() - start) / 1e6;
    }
    bench_report("keyring.open.10000", "ms", bench_median(each, bench_rounds()));
}

/* --- Rewrapping ---------------------------------------------------------------------------- */

/* What a rewrap cannot do without: as many HPKE opens and seals in PSK mode, for the same suite
 * and lengths. */
static double raw_seconds(const struct subject *s)
{
    static const uint8_t psk_bytes[32] = { 1 };
    static const uint8_t info_bytes[256] = { 2 };
    static const uint8_t secret[32] = { 3 };
    const struct arili_crypto *c = &s->rt->crypto;
    const struct arili_hpke_suite suite = { ARILI_HPKE_X_WING, ARILI_HPKE_HKDF_SHA256 };
    const struct arili_hpke_psk psk = { { psk_bytes, 32 }, { info_bytes, 32 } };
    const aril_bytes info = { info_bytes, sizeof info_bytes };
    const aril_bytes nothing = { NULL, 0 };
    struct arili_hpke_key *from = NULL;
    struct arili_hpke_key *to = NULL;
    uint8_t wrap[1600];
    uint8_t plain[64];
    size_t len;
    size_t plain_len;
    BENCH_OK(arili_hpke_key_generate(c, suite.kem, &from));
    BENCH_OK(arili_hpke_key_generate(c, suite.kem, &to));
    BENCH_OK(arili_hpke_seal_once(c, suite, arili_hpke_key_public(from), info, &psk, nothing,
                                  (aril_bytes){ secret, 32 }, wrap, sizeof wrap, &len));
    const uint64_t start = bench_wall_ns();
    for (size_t i = 0; i < s->keys; i++) {
        uint8_t fresh[1600];
        size_t fresh_len;
        BENCH_OK(arili_hpke_open_once(c, suite, from, info, &psk, nothing,
                                      (aril_bytes){ wrap, len }, plain, sizeof plain, &plain_len));
        BENCH_OK(arili_hpke_seal_once(c, suite, arili_hpke_key_public(to), info, &psk, nothing,
                                      (aril_bytes){ plain, plain_len }, fresh, sizeof fresh,
                                      &fresh_len));
    }
    const double took = (double)(bench_wall_ns() - start) / 1e9;
    arili_hpke_key_free(from);
    arili_hpke_key_free(to);
    return took;
}

static double rewrap_seconds(struct subject *s)
{
    const aril_key_slot slot = { .purpose = ARIL_KEY_TENANT, .owner = tenant };
    const uint64_t start = bench_wall_ns();
    BENCH_OK(aril_keyring_rotate(s->keyring, &slot, NULL));
    return (double)(bench_wall_ns() - start) / 1e9;
}

static void measure_rewrap(struct subject *s)
{
    if (!bench_wants("keyring.rewrap.10000")) {
        return;
    }
    double ratio[ROUNDS];
    double ours[ROUNDS];
    for (size_t r = 0; r < ROUNDS; r++) {
        const double raw = raw_seconds(s);
        ours[r] = rewrap_seconds(s);
        ratio[r] = raw / ours[r];
    }
    bench_report("keyring.rewrap.10000", "ratio_raw", bench_median(ratio, ROUNDS));
    bench_report("keyring.rewrap.10000", "ms", bench_median(ours, ROUNDS) * 1000);
    if (bench_processors() < 2) {
        return;
    }
    aril_keyring_close(s->keyring);
    /* A pool's threads inherit the processor of their maker. */
    BENCH_CHECK(bench_pin(1));
    BENCH_OK(aril_pool_new(1, &s->pool));
    BENCH_CHECK(bench_pin(0));
    open_keyring(s);
    for (size_t r = 0; r < ROUNDS; r++) {
        ours[r] = rewrap_seconds(s);
    }
    bench_report("keyring.rewrap_2_threads.10000", "ms", bench_median(ours, ROUNDS) * 1000);
}

void bench_keyring(void)
{
    if (!bench_wants("keyring")) {
        return;
    }
    struct subject s;
    subject_new(&s);
    measure_lookup(&s);
    measure_open(&s);
    measure_rewrap(&s);
    subject_free(&s);
}
