/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

/*
 * The reference: EVP AES-256-GCM as fast as it can be called. One context per direction
 * with its key set once; per message only nonce, associated data, data, final and tag. The
 * associated data is as long as ours: header of the seal and context of a KV block.
 */
#define AAD_BYTES      148u
#define TAG_BYTES      16u
#define NONCE_BYTES    12u
#define TAG_PARAM(tag) OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, (tag), TAG_BYTES)

struct bench_raw {
    EVP_CIPHER *gcm;
    EVP_CIPHER_CTX *seal, *open;
    uint8_t aad[AAD_BYTES];
};

struct bench_raw *bench_raw_new(void)
{
    static const uint8_t key[32] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    struct bench_raw *raw = calloc(1, sizeof *raw);
    BENCH_CHECK(raw != NULL);
    raw->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    raw->seal = EVP_CIPHER_CTX_new();
    raw->open = EVP_CIPHER_CTX_new();
    BENCH_CHECK(raw->gcm != NULL && raw->seal != NULL && raw->open != NULL);
    BENCH_CHECK(EVP_EncryptInit_ex2(raw->seal, raw->gcm, key, NULL, NULL) == 1);
    BENCH_CHECK(EVP_DecryptInit_ex2(raw->open, raw->gcm, key, NULL, NULL) == 1);
    return raw;
}

void bench_raw_free(struct bench_raw *raw)
{
    EVP_CIPHER_CTX_free(raw->seal);
    EVP_CIPHER_CTX_free(raw->open);
    EVP_CIPHER_free(raw->gcm);
    free(raw);
}

static void make_nonce(size_t place, uint8_t nonce[NONCE_BYTES])
{
    const uint64_t n = place; /* reused in each pass, for the same plaintext */
    memset(nonce, 0, NONCE_BYTES);
    memcpy(nonce + 4, &n, sizeof n);
}

static int seal_one(struct bench_raw *raw, const struct bench_ring *ring, size_t place)
{
    EVP_CIPHER_CTX *const ctx = raw->seal;
    uint8_t nonce[NONCE_BYTES];
    uint8_t *out = bench_ring_body(ring, place);
    int n = 0;
    make_nonce(place, nonce);
    int good = EVP_EncryptInit_ex2(ctx, NULL, NULL, nonce, NULL);
    good &= EVP_EncryptUpdate(ctx, NULL, &n, raw->aad, AAD_BYTES);
    for (size_t s = 0; s < ring->span_count; s++) {
        const aril_span span = bench_ring_span(ring, place, s);
        good &= EVP_EncryptUpdate(ctx, out, &n, span.data, (int)span.len);
        out += span.len;
    }
    good &= EVP_EncryptFinal_ex(ctx, out, &n);
    OSSL_PARAM params[] = { TAG_PARAM(bench_ring_seal(ring, place) + ARIL_SEAL_BYTES - TAG_BYTES),
                            OSSL_PARAM_END };
    return good & EVP_CIPHER_CTX_get_params(ctx, params);
}

static int open_one(struct bench_raw *raw, const struct bench_ring *ring, size_t place)
{
    EVP_CIPHER_CTX *const ctx = raw->open;
    uint8_t nonce[NONCE_BYTES];
    const uint8_t *in = bench_ring_body(ring, place);
    int n = 0;
    make_nonce(place, nonce);
    const OSSL_PARAM params[] = {
        TAG_PARAM(bench_ring_seal(ring, place) + ARIL_SEAL_BYTES - TAG_BYTES), OSSL_PARAM_END
    };
    int good = EVP_DecryptInit_ex2(ctx, NULL, NULL, nonce, params);
    good &= EVP_DecryptUpdate(ctx, NULL, &n, raw->aad, AAD_BYTES);
    for (size_t s = 0; s < ring->span_count; s++) {
        const aril_span span = bench_ring_span(ring, place, s);
        good &= EVP_DecryptUpdate(ctx, span.data, &n, in, (int)span.len);
        in += span.len;
    }
    uint8_t none[TAG_BYTES];
    return good & EVP_DecryptFinal_ex(ctx, none, &n);
}

void bench_raw_seal(void *state, const struct bench_ring *ring, size_t first, size_t end)
{
    int good = 1;
    for (size_t i = first; i < end; i++) {
        good &= seal_one(state, ring, bench_ring_place(ring, i));
    }
    BENCH_CHECK(good == 1);
}

void bench_raw_open(void *state, const struct bench_ring *ring, size_t first, size_t end)
{
    int good = 1;
    for (size_t i = first; i < end; i++) {
        good &= open_one(state, ring, bench_ring_place(ring, i));
    }
    BENCH_CHECK(good == 1);
}

/* How fast this machine copies what the others encrypt. */
void bench_memory(void)
{
    if (!bench_wants("memory")) {
        return;
    }
    struct bench_ring ring;
    bench_ring_new(&ring, 65536, 1, 0);
    double cold[BENCH_ROUNDS_MAX], hot[BENCH_ROUNDS_MAX];
    const size_t rounds = bench_rounds();
    const double bytes = (double)(ring.count * ring.record_bytes);
    for (size_t r = 0; r < rounds; r++) {
        uint64_t start = bench_thread_ns();
        for (size_t i = 0; i < ring.count; i++) {
            memcpy(bench_ring_body(&ring, i), bench_ring_span(&ring, i, 0).data, ring.record_bytes);
        }
        cold[r] = bytes / (double)(bench_thread_ns() - start);
        start = bench_thread_ns();
        for (size_t i = 0; i < ring.count; i++) {
            memcpy(ring.body, ring.plain, ring.record_bytes);
            __asm__ __volatile__("" : : "r"(ring.body) : "memory");
        }
        hot[r] = bytes / (double)(bench_thread_ns() - start);
    }
    bench_report("memory", "ring_bytes", (double)BENCH_RING_BYTES);
    bench_report("memory.copy", "gbps", bench_median(cold, rounds));
    bench_report("memory.copy_hot_64KiB", "gbps", bench_median(hot, rounds));
    bench_ring_free(&ring);
}
