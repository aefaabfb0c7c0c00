/* SPDX-License-Identifier: Apache-2.0 */
#include "faulty_crypto.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct faulty_crypto {
    struct arili_crypto inner;
    struct arili_crypto table;
    atomic_uint left; /* calls up to the failing one; 0: none fails */
    atomic_int status;
    atomic_int random_status; /* ARIL_OK: random() works */
    atomic_bool fired;
    _Atomic(const char *) last;
    atomic_uint calls;
    atomic_uint alive;
};

/* Keys and contexts carry where they belong: most functions get nothing else. The
 * opaque types of the table are these structs, and the provider is struct faulty_crypto. */
struct wrapped {
    struct faulty_crypto *f;
    void *inner;
};

static struct faulty_crypto *of(struct arili_provider *p)
{
    return (struct faulty_crypto *)(void *)p;
}

static struct wrapped *of_ctx(struct arili_aead_ctx *ctx)
{
    return (struct wrapped *)(void *)ctx;
}

static const struct wrapped *of_key(const struct arili_pkey *key)
{
    return (const struct wrapped *)(const void *)key;
}

/* Counts one call; ARIL_OK lets it through. */
static aril_status gate(struct faulty_crypto *f, const char *name)
{
    atomic_fetch_add(&f->calls, 1);
    aril_status st = ARIL_OK;
    if (strcmp(name, "random") == 0) {
        st = (aril_status)atomic_load(&f->random_status);
    }
    unsigned now = atomic_load(&f->left);
    while (now > 0 && !atomic_compare_exchange_weak(&f->left, &now, now - 1)) {
    }
    if (now == 1) {
        st = (aril_status)atomic_load(&f->status);
    }
    if (st != ARIL_OK) {
        atomic_store(&f->fired, true);
        atomic_store(&f->last, name);
    }
    return st;
}

#define GATE(f, name)                            \
    do {                                         \
        const aril_status st_ = gate((f), name); \
        if (st_ != ARIL_OK) {                    \
            return st_;                          \
        }                                        \
    } while (0)

static struct wrapped *wrap(struct faulty_crypto *f, void *inner)
{
    struct wrapped *const w = malloc(sizeof *w);
    if (w == NULL) {
        abort();
    }
    *w = (struct wrapped){ f, inner };
    atomic_fetch_add(&f->alive, 1);
    return w;
}

static void unwrap(struct wrapped *w)
{
    atomic_fetch_sub(&w->f->alive, 1);
    free(w);
}

static aril_status faulty_random(struct arili_provider *p, uint8_t *ret, size_t len)
{
    GATE(of(p), "random");
    return of(p)->inner.ops->random(of(p)->inner.provider, ret, len);
}

static aril_status faulty_aead_new(struct arili_provider *p, struct arili_aead_ctx **ret)
{
    struct arili_aead_ctx *inner = NULL;
    GATE(of(p), "aead_new");
    const aril_status st = of(p)->inner.ops->aead_new(of(p)->inner.provider, &inner);
    if (st == ARIL_OK) {
        *ret = (struct arili_aead_ctx *)(void *)wrap(of(p), inner);
    }
    return st;
}

static void faulty_aead_free(struct arili_aead_ctx *ctx)
{
    if (ctx != NULL) {
        of_ctx(ctx)->f->inner.ops->aead_free(of_ctx(ctx)->inner);
        unwrap(of_ctx(ctx));
    }
}

static aril_status faulty_aead_key(struct arili_aead_ctx *ctx,
                                   const uint8_t key[ARILI_AEAD_KEY_BYTES])
{
    GATE(of_ctx(ctx)->f, "aead_key");
    return of_ctx(ctx)->f->inner.ops->aead_key(of_ctx(ctx)->inner, key);
}

static void faulty_aead_wipe(struct arili_aead_ctx *ctx)
{
    of_ctx(ctx)->f->inner.ops->aead_wipe(of_ctx(ctx)->inner);
}

static aril_status faulty_aead_seal(struct arili_aead_ctx *ctx,
                                    const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes aad,
                                    const aril_bytes *spans, size_t count, uint8_t *ret_body,
                                    uint8_t ret_tag[ARILI_AEAD_TAG_BYTES])
{
    GATE(of_ctx(ctx)->f, "aead_seal");
    return of_ctx(ctx)->f->inner.ops->aead_seal(of_ctx(ctx)->inner, nonce, aad, spans, count,
                                                ret_body, ret_tag);
}

static aril_status faulty_aead_open(struct arili_aead_ctx *ctx,
                                    const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes aad,
                                    aril_bytes body, const uint8_t tag[ARILI_AEAD_TAG_BYTES],
                                    const aril_span *ret_spans, size_t count)
{
    GATE(of_ctx(ctx)->f, "aead_open");
    return of_ctx(ctx)->f->inner.ops->aead_open(of_ctx(ctx)->inner, nonce, aad, body, tag,
                                                ret_spans, count);
}

static aril_status faulty_aead_open_begin(struct arili_aead_ctx *ctx,
                                          const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                          aril_bytes aad)
{
    GATE(of_ctx(ctx)->f, "aead_open_begin");
    return of_ctx(ctx)->f->inner.ops->aead_open_begin(of_ctx(ctx)->inner, nonce, aad);
}

static aril_status faulty_aead_open_more(struct arili_aead_ctx *ctx, aril_bytes body,
                                         uint8_t *ret_plain)
{
    GATE(of_ctx(ctx)->f, "aead_open_more");
    return of_ctx(ctx)->f->inner.ops->aead_open_more(of_ctx(ctx)->inner, body, ret_plain);
}

static aril_status faulty_aead_open_end(struct arili_aead_ctx *ctx,
                                        const uint8_t tag[ARILI_AEAD_TAG_BYTES])
{
    GATE(of_ctx(ctx)->f, "aead_open_end");
    return of_ctx(ctx)->f->inner.ops->aead_open_end(of_ctx(ctx)->inner, tag);
}

static aril_status faulty_aead_seal_begin(struct arili_aead_ctx *ctx,
                                          const uint8_t nonce[ARILI_AEAD_NONCE_BYTES],
                                          aril_bytes aad)
{
    GATE(of_ctx(ctx)->f, "aead_seal_begin");
    return of_ctx(ctx)->f->inner.ops->aead_seal_begin(of_ctx(ctx)->inner, nonce, aad);
}

static aril_status faulty_aead_seal_more(struct arili_aead_ctx *ctx, aril_bytes plain,
                                         uint8_t *ret_body)
{
    GATE(of_ctx(ctx)->f, "aead_seal_more");
    return of_ctx(ctx)->f->inner.ops->aead_seal_more(of_ctx(ctx)->inner, plain, ret_body);
}

static aril_status faulty_aead_seal_end(struct arili_aead_ctx *ctx,
                                        uint8_t ret_tag[ARILI_AEAD_TAG_BYTES])
{
    GATE(of_ctx(ctx)->f, "aead_seal_end");
    return of_ctx(ctx)->f->inner.ops->aead_seal_end(of_ctx(ctx)->inner, ret_tag);
}

static aril_status faulty_aead_blocks(struct arili_aead_ctx *ctx,
                                      const uint8_t key[ARILI_AEAD_KEY_BYTES], const uint8_t *in,
                                      size_t blocks, uint8_t *ret_out)
{
    GATE(of_ctx(ctx)->f, "aead_blocks");
    return of_ctx(ctx)->f->inner.ops->aead_blocks(of_ctx(ctx)->inner, key, in, blocks, ret_out);
}

static aril_status faulty_aes_blocks(struct arili_provider *p,
                                     const uint8_t key[ARILI_AEAD_KEY_BYTES], const uint8_t *in,
                                     size_t blocks, uint8_t *ret_out)
{
    GATE(of(p), "aes_blocks");
    return of(p)->inner.ops->aes_blocks(of(p)->inner.provider, key, in, blocks, ret_out);
}

static aril_status faulty_hash(struct arili_provider *p, enum arili_hash alg,
                               const aril_bytes *parts, size_t count, uint8_t *ret)
{
    GATE(of(p), "hash");
    return of(p)->inner.ops->hash(of(p)->inner.provider, alg, parts, count, ret);
}

static aril_status faulty_xof(struct arili_provider *p, const aril_bytes *parts, size_t count,
                              uint8_t *ret, size_t ret_len)
{
    GATE(of(p), "xof");
    return of(p)->inner.ops->xof(of(p)->inner.provider, parts, count, ret, ret_len);
}

static aril_status faulty_hmac(struct arili_provider *p, enum arili_hash alg, aril_bytes key,
                               const aril_bytes *parts, size_t count, uint8_t *ret)
{
    GATE(of(p), "hmac");
    return of(p)->inner.ops->hmac(of(p)->inner.provider, alg, key, parts, count, ret);
}

static aril_status faulty_hkdf_extract(struct arili_provider *p, enum arili_hash alg,
                                       aril_bytes salt, aril_bytes ikm, uint8_t *ret_prk)
{
    GATE(of(p), "hkdf_extract");
    return of(p)->inner.ops->hkdf_extract(of(p)->inner.provider, alg, salt, ikm, ret_prk);
}

static aril_status faulty_hkdf_expand(struct arili_provider *p, enum arili_hash alg, aril_bytes prk,
                                      aril_bytes info, uint8_t *ret, size_t len)
{
    GATE(of(p), "hkdf_expand");
    return of(p)->inner.ops->hkdf_expand(of(p)->inner.provider, alg, prk, info, ret, len);
}

/* What the four imports end with. */
static aril_status hand_out(struct faulty_crypto *f, aril_status st, struct arili_pkey *inner,
                            struct arili_pkey **ret)
{
    if (st == ARIL_OK) {
        *ret = (struct arili_pkey *)(void *)wrap(f, inner);
    }
    return st;
}

static aril_status faulty_kem_import_seed(struct arili_provider *p, enum arili_kem alg,
                                          aril_bytes seed, struct arili_pkey **ret)
{
    struct arili_pkey *inner = NULL;
    GATE(of(p), "kem_import_seed");
    const aril_status st =
        of(p)->inner.ops->kem_import_seed(of(p)->inner.provider, alg, seed, &inner);
    return hand_out(of(p), st, inner, ret);
}

static aril_status faulty_kem_import_public(struct arili_provider *p, enum arili_kem alg,
                                            aril_bytes public_key, struct arili_pkey **ret)
{
    struct arili_pkey *inner = NULL;
    GATE(of(p), "kem_import_public");
    const aril_status st =
        of(p)->inner.ops->kem_import_public(of(p)->inner.provider, alg, public_key, &inner);
    return hand_out(of(p), st, inner, ret);
}

static aril_status faulty_sign_import_seed(struct arili_provider *p, int alg, aril_bytes seed,
                                           struct arili_pkey **ret)
{
    struct arili_pkey *inner = NULL;
    GATE(of(p), "sign_import_seed");
    const aril_status st =
        of(p)->inner.ops->sign_import_seed(of(p)->inner.provider, alg, seed, &inner);
    return hand_out(of(p), st, inner, ret);
}

static aril_status faulty_sign_import_public(struct arili_provider *p, int alg,
                                             aril_bytes public_key, struct arili_pkey **ret)
{
    struct arili_pkey *inner = NULL;
    GATE(of(p), "sign_import_public");
    const aril_status st =
        of(p)->inner.ops->sign_import_public(of(p)->inner.provider, alg, public_key, &inner);
    return hand_out(of(p), st, inner, ret);
}

static aril_status faulty_pkey_public(const struct arili_pkey *key, uint8_t *ret, size_t cap,
                                      size_t *ret_len)
{
    GATE(of_key(key)->f, "pkey_public");
    return of_key(key)->f->inner.ops->pkey_public(of_key(key)->inner, ret, cap, ret_len);
}

static void faulty_pkey_free(struct arili_pkey *key)
{
    if (key != NULL) {
        struct wrapped *const w = (struct wrapped *)(void *)key;
        w->f->inner.ops->pkey_free(w->inner);
        unwrap(w);
    }
}

static aril_status faulty_kem_encaps(const struct arili_pkey *key, const uint8_t *rand,
                                     uint8_t *ret_ct, size_t ct_len,
                                     uint8_t ret_ss[ARILI_ML_KEM_SHARED_BYTES])
{
    GATE(of_key(key)->f, "kem_encaps");
    return of_key(key)->f->inner.ops->kem_encaps(of_key(key)->inner, rand, ret_ct, ct_len, ret_ss);
}

static aril_status faulty_kem_decaps(const struct arili_pkey *key, aril_bytes ct,
                                     uint8_t ret_ss[ARILI_ML_KEM_SHARED_BYTES])
{
    GATE(of_key(key)->f, "kem_decaps");
    return of_key(key)->f->inner.ops->kem_decaps(of_key(key)->inner, ct, ret_ss);
}

static aril_status faulty_x25519(const struct arili_pkey *key, const struct arili_pkey *peer,
                                 uint8_t ret_ss[ARILI_X25519_BYTES])
{
    GATE(of_key(key)->f, "x25519");
    return of_key(key)->f->inner.ops->x25519(of_key(key)->inner, of_key(peer)->inner, ret_ss);
}

static aril_status faulty_sign(const struct arili_pkey *key, aril_bytes context, aril_bytes message,
                               bool deterministic, uint8_t *ret_sig, size_t sig_len)
{
    GATE(of_key(key)->f, "sign");
    return of_key(key)->f->inner.ops->sign(of_key(key)->inner, context, message, deterministic,
                                           ret_sig, sig_len);
}

static aril_status faulty_verify(const struct arili_pkey *key, aril_bytes context,
                                 aril_bytes message, aril_bytes sig)
{
    GATE(of_key(key)->f, "verify");
    return of_key(key)->f->inner.ops->verify(of_key(key)->inner, context, message, sig);
}

static aril_status faulty_sign_check_expanded(const struct arili_pkey *key, aril_bytes expanded)
{
    GATE(of_key(key)->f, "sign_check_expanded");
    return of_key(key)->f->inner.ops->sign_check_expanded(of_key(key)->inner, expanded);
}

static aril_status faulty_argon2id(struct arili_provider *p, aril_bytes passphrase, aril_bytes salt,
                                   uint32_t memory_kib, uint32_t iterations, uint32_t lanes,
                                   uint8_t *ret, size_t ret_len)
{
    GATE(of(p), "argon2id");
    return of(p)->inner.ops->argon2id(of(p)->inner.provider, passphrase, salt, memory_kib,
                                      iterations, lanes, ret, ret_len);
}

static aril_status faulty_blake2b(struct arili_provider *p, const aril_bytes *parts, size_t count,
                                  uint8_t *ret, size_t ret_len)
{
    GATE(of(p), "blake2b");
    return of(p)->inner.ops->blake2b(of(p)->inner.provider, parts, count, ret, ret_len);
}

static aril_status faulty_siv_seal(struct arili_provider *p, const uint8_t key[ARILI_SIV_KEY_BYTES],
                                   aril_bytes aad, aril_bytes plain,
                                   uint8_t ret_iv[ARILI_SIV_IV_BYTES], uint8_t *ret_body)
{
    GATE(of(p), "siv_seal");
    return of(p)->inner.ops->siv_seal(of(p)->inner.provider, key, aad, plain, ret_iv, ret_body);
}

static aril_status faulty_siv_open(struct arili_provider *p, const uint8_t key[ARILI_SIV_KEY_BYTES],
                                   aril_bytes aad, const uint8_t iv[ARILI_SIV_IV_BYTES],
                                   aril_bytes body, uint8_t *ret_plain)
{
    GATE(of(p), "siv_open");
    return of(p)->inner.ops->siv_open(of(p)->inner.provider, key, aad, iv, body, ret_plain);
}

static aril_status faulty_gcm128_seal(struct arili_provider *p,
                                      const uint8_t key[ARILI_GCM128_KEY_BYTES],
                                      const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes plain,
                                      uint8_t *ret_body)
{
    GATE(of(p), "gcm128_seal");
    return of(p)->inner.ops->gcm128_seal(of(p)->inner.provider, key, nonce, plain, ret_body);
}

static aril_status faulty_gcm128_open(struct arili_provider *p,
                                      const uint8_t key[ARILI_GCM128_KEY_BYTES],
                                      const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes body,
                                      uint8_t *ret_plain)
{
    GATE(of(p), "gcm128_open");
    return of(p)->inner.ops->gcm128_open(of(p)->inner.provider, key, nonce, body, ret_plain);
}

static const struct arili_crypto_ops faulty_ops = {
    .abi = ARILI_CRYPTO_ABI,
    .name = "faulty",
    .random = faulty_random,
    .aead_new = faulty_aead_new,
    .aead_free = faulty_aead_free,
    .aead_key = faulty_aead_key,
    .aead_wipe = faulty_aead_wipe,
    .aead_seal = faulty_aead_seal,
    .aead_open = faulty_aead_open,
    .aead_open_begin = faulty_aead_open_begin,
    .aead_open_more = faulty_aead_open_more,
    .aead_open_end = faulty_aead_open_end,
    .aead_seal_begin = faulty_aead_seal_begin,
    .aead_seal_more = faulty_aead_seal_more,
    .aead_seal_end = faulty_aead_seal_end,
    .aead_blocks = faulty_aead_blocks,
    .aes_blocks = faulty_aes_blocks,
    .hash = faulty_hash,
    .xof = faulty_xof,
    .hmac = faulty_hmac,
    .hkdf_extract = faulty_hkdf_extract,
    .hkdf_expand = faulty_hkdf_expand,
    .kem_import_seed = faulty_kem_import_seed,
    .kem_import_public = faulty_kem_import_public,
    .pkey_public = faulty_pkey_public,
    .pkey_free = faulty_pkey_free,
    .kem_encaps = faulty_kem_encaps,
    .kem_decaps = faulty_kem_decaps,
    .x25519 = faulty_x25519,
    .sign_import_seed = faulty_sign_import_seed,
    .sign_import_public = faulty_sign_import_public,
    .sign = faulty_sign,
    .verify = faulty_verify,
    .sign_check_expanded = faulty_sign_check_expanded,
    .argon2id = faulty_argon2id,
    .blake2b = faulty_blake2b,
    .siv_seal = faulty_siv_seal,
    .siv_open = faulty_siv_open,
    .gcm128_seal = faulty_gcm128_seal,
    .gcm128_open = faulty_gcm128_open,
};
/* A member that is added to the table has to be wrapped above. */
_Static_assert(sizeof(struct arili_crypto_ops) == 40 * sizeof(void *), "every member is wrapped");

struct faulty_crypto *faulty_crypto_new(const struct arili_crypto *inner)
{
    struct faulty_crypto *const f = calloc(1, sizeof *f);
    if (f != NULL) {
        f->inner = *inner;
        f->table.ops = &faulty_ops;
        f->table.provider = (struct arili_provider *)(void *)f;
        atomic_store(&f->last, "");
    }
    return f;
}

void faulty_crypto_free(struct faulty_crypto *f)
{
    free(f);
}

const struct arili_crypto *faulty_crypto_table(struct faulty_crypto *f)
{
    return &f->table;
}

void faulty_crypto_arm(struct faulty_crypto *f, unsigned nth, aril_status st)
{
    atomic_store(&f->fired, false);
    atomic_store(&f->status, st);
    atomic_store(&f->left, nth);
}

void faulty_crypto_arm_random(struct faulty_crypto *f, aril_status st)
{
    atomic_store(&f->fired, false);
    atomic_store(&f->random_status, st);
}

void faulty_crypto_disarm(struct faulty_crypto *f)
{
    atomic_store(&f->left, 0);
    atomic_store(&f->random_status, ARIL_OK);
}

bool faulty_crypto_fired(const struct faulty_crypto *f)
{
    return atomic_load(&f->fired);
}

const char *faulty_crypto_last(const struct faulty_crypto *f)
{
    return atomic_load(&f->last);
}

unsigned faulty_crypto_calls(const struct faulty_crypto *f)
{
    return atomic_load(&f->calls);
}

unsigned faulty_crypto_alive(const struct faulty_crypto *f)
{
    return atomic_load(&f->alive);
}
