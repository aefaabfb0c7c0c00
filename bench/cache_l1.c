/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "harness.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A hit in the memory of the process against EVP: as many values of the same length, each opened
 * from its own place into one buffer, in the same order. Raw is given associated data as long as
 * ours, bare none; both know where each value lies. All take turns; a ratio is the median of the
 * rounds' ratios, CPU time of the thread counts.
 */
#define ENTRIES     1000u
#define VALUE_BYTES 1024u
#define PASSES      20u
#define TAG_BYTES   16u
#define NONCE_BYTES 12u
#define AAD_BYTES   128u /* meta and name of an entry, to the nearest block */

struct entry {
    char name[32];
    size_t name_len;
    uint8_t nonce[NONCE_BYTES];
    uint8_t tag[2][TAG_BYTES]; /* bare and raw */
    uint8_t *body;             /* an allocation of its own, as in the cache; the same for both */
};

struct state {
    struct bench_cache world;
    EVP_CIPHER *gcm;
    EVP_CIPHER_CTX *ctx;
    struct entry entries[ENTRIES];
    unsigned order[ENTRIES];
    uint8_t aad[AAD_BYTES];
    uint8_t out[VALUE_BYTES];
};

static void value_of(unsigned n, uint8_t value[VALUE_BYTES])
{
    uint64_t random = n + 1;
    for (size_t i = 0; i < VALUE_BYTES; i += sizeof random) {
        const uint64_t word = bench_next(&random);
        memcpy(value + i, &word, sizeof word);
    }
}

static aril_cache_key key_of(const struct entry *e)
{
    return (aril_cache_key){ .tenant = bench_cache_tenant,
                             .space = { (const uint8_t *)"bench", 5 },
                             .key = { (const uint8_t *)e->name, e->name_len } };
}

/* --- EVP ----------------------------------------------------------------------------------- */

static void evp_seal(struct state *s, struct entry *e, const uint8_t *value, bool with_aad)
{
    int n = 0;
    OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, e->tag[with_aad],
                                                    TAG_BYTES),
                            OSSL_PARAM_END };
    int good = EVP_EncryptInit_ex2(s->ctx, NULL, NULL, e->nonce, NULL);
    if (with_aad) {
        good &= EVP_EncryptUpdate(s->ctx, NULL, &n, s->aad, (int)AAD_BYTES);
    }
    good &= EVP_EncryptUpdate(s->ctx, e->body, &n, value, (int)VALUE_BYTES);
    good &= EVP_EncryptFinal_ex(s->ctx, e->body, &n);
    BENCH_CHECK((good & EVP_CIPHER_CTX_get_params(s->ctx, params)) == 1);
}

static inline int evp_open(struct state *s, struct entry *e, bool with_aad)
{
    int n = 0;
    uint8_t none[TAG_BYTES];
    const OSSL_PARAM params[] = { OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG,
                                                          e->tag[with_aad], TAG_BYTES),
                                  OSSL_PARAM_END };
    int good = EVP_DecryptInit_ex2(s->ctx, NULL, NULL, e->nonce, params);
    if (with_aad) {
        good &= EVP_DecryptUpdate(s->ctx, NULL, &n, s->aad, (int)AAD_BYTES);
    }
    good &= EVP_DecryptUpdate(s->ctx, s->out, &n, e->body, (int)VALUE_BYTES);
    return good & EVP_DecryptFinal_ex(s->ctx, none, &n);
}

static void raw_pass(struct state *s)
{
    int good = 1;
    for (unsigned i = 0; i < ENTRIES; i++) {
        good &= evp_open(s, &s->entries[s->order[i]], true);
    }
    BENCH_CHECK(good == 1);
}

static void bare_pass(struct state *s)
{
    int good = 1;
    for (unsigned i = 0; i < ENTRIES; i++) {
        good &= evp_open(s, &s->entries[s->order[i]], false);
    }
    BENCH_CHECK(good == 1);
}

/* --- Ours ---------------------------------------------------------------------------------- */

static void our_put(struct state *s, const struct entry *e, const uint8_t *value)
{
    aril_cache_item item = { .key = key_of(e), .value = { value, VALUE_BYTES } };
    BENCH_OK(aril_cache_put(s->world.cache, &item, 1, NULL));
}

static void our_pass(struct state *s)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < ENTRIES; i++) {
        aril_cache_item item = { .key = key_of(&s->entries[s->order[i]]),
                                 .buffer = { s->out, sizeof s->out } };
        bad += aril_cache_get(s->world.cache, &item, 1, NULL) != ARIL_OK;
    }
    BENCH_CHECK(bad == 0);
}

/* --- Both ---------------------------------------------------------------------------------- */

static void shuffle(unsigned order[ENTRIES])
{
    uint64_t random = 1;
    for (unsigned i = 0; i < ENTRIES; i++) {
        order[i] = i;
    }
    for (unsigned i = ENTRIES - 1; i > 0; i--) {
        const unsigned k = (unsigned)(bench_next(&random) % (i + 1));
        const unsigned was = order[i];
        order[i] = order[k];
        order[k] = was;
    }
}

static void state_new(struct state *s)
{
    static const uint8_t key[32] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    static const aril_cache_policy policy = { .tiers = ARIL_CACHE_L1 };
    bench_cache_new(&s->world, NULL, &policy);
    s->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    s->ctx = EVP_CIPHER_CTX_new();
    BENCH_CHECK(s->gcm != NULL && s->ctx != NULL);
    BENCH_CHECK(EVP_EncryptInit_ex2(s->ctx, s->gcm, key, NULL, NULL) == 1);
    shuffle(s->order);
    for (unsigned n = 0; n < ENTRIES; n++) {
        uint8_t value[VALUE_BYTES];
        struct entry *const e = &s->entries[n];
        e->name_len = (size_t)snprintf(e->name, sizeof e->name, "user:%u:profile", n * 7919);
        memcpy(e->nonce, &n, sizeof n);
        value_of(n, value);
        e->body = malloc(VALUE_BYTES);
        BENCH_CHECK(e->body != NULL);
        evp_seal(s, e, value, false);
        evp_seal(s, e, value, true);
        our_put(s, e, value);
    }
}

static void state_free(struct state *s)
{
    for (unsigned n = 0; n < ENTRIES; n++) {
        free(s->entries[n].body);
    }
    EVP_CIPHER_CTX_free(s->ctx);
    EVP_CIPHER_free(s->gcm);
    bench_cache_free(&s->world);
}

/* Nothing is measured that does not give the last value of a pass. */
static void check(struct state *s, void (*pass)(struct state *s))
{
    uint8_t value[VALUE_BYTES];
    value_of(s->order[ENTRIES - 1], value);
    memset(s->out, 0, sizeof s->out);
    pass(s);
    BENCH_CHECK(memcmp(s->out, value, sizeof value) == 0);
}

static double timed(struct state *s, void (*pass)(struct state *s))
{
    const uint64_t start = bench_thread_ns();
    for (unsigned i = 0; i < PASSES; i++) {
        pass(s);
    }
    return (double)(bench_thread_ns() - start) / (PASSES * ENTRIES);
}

enum { OURS, RAW, BARE, SIDES };
static void (*const passes[SIDES])(struct state *s) = { our_pass, raw_pass, bare_pass };

static void measure(struct state *s)
{
    double ns[SIDES][BENCH_ROUNDS_MAX], ratios[SIDES][BENCH_ROUNDS_MAX];
    const size_t rounds = bench_rounds();
    for (size_t r = 0; r < rounds; r++) {
        for (size_t i = 0; i < SIDES; i++) {
            const size_t side = (i + r) % SIDES; /* another one begins each round */
            ns[side][r] = timed(s, passes[side]);
        }
        for (size_t side = 0; side < SIDES; side++) {
            ratios[side][r] = ns[side][r] / ns[OURS][r];
        }
    }
    bench_report("cache.l1.get.1KiB", "ratio_raw", bench_median(ratios[RAW], rounds));
    bench_report("cache.l1.get.1KiB", "ratio_bare", bench_median(ratios[BARE], rounds));
    bench_report("cache.l1.get.1KiB", "ns", bench_median(ns[OURS], rounds));
    bench_report("cache.l1.get.1KiB", "raw_ns", bench_median(ns[RAW], rounds));
    bench_report("cache.l1.get.1KiB", "bare_ns", bench_median(ns[BARE], rounds));
}

void bench_cache_l1(void)
{
    if (!bench_wants("cache.l1")) {
        return;
    }
    struct state *const s = calloc(1, sizeof *s);
    BENCH_CHECK(s != NULL);
    state_new(s);
    for (size_t i = 0; i < SIDES; i++) {
        check(s, passes[i]);
    }
    measure(s);
    state_free(s);
    free(s);
}
