/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/selftest.h"
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "crypto/hpke.h"
#include "crypto/xaes.h"
#include "crypto/xwing.h"

/*
 * Answers come from the standards named at each test, or, where those print none
 * that are short, from independent implementations. Long outputs are compared by
 * their SHA-256, which the first test covers.
 */

#define OUTPUT_BYTES_MAX 4627u /* an ML-DSA-87 signature */

struct test {
    const char *name;
    aril_status (*run)(const struct arili_crypto *c);
};

static unsigned nibble(char h)
{
    return h <= '9' ? (unsigned)(h - '0') : (unsigned)(h - 'a') + 10;
}

/* Reads lower-case hex of our own tables below; returns the number of bytes. */
static size_t unhex(const char *hex, uint8_t *ret)
{
    size_t n = 0;
    for (; hex[2 * n] != '\0'; n++) {
        ret[n] = (uint8_t)(nibble(hex[2 * n]) << 4 | nibble(hex[2 * n + 1]));
    }
    return n;
}

static aril_status expect(const uint8_t *got, size_t len, const char *hex)
{
    uint8_t want[64];
    ARILI_ENSURE(unhex(hex, want) == len && arili_equal_ct(got, want, len), ARIL_E_CRYPTO);
    return ARIL_OK;
}

static aril_status expect_sha256(const struct arili_crypto *c, const uint8_t *got, size_t len,
                                 const char *hex)
{
    uint8_t digest[32];
    const aril_bytes part = { got, len };
    ARILI_TRY(c->ops->hash(c->provider, ARILI_SHA256, &part, 1, digest));
    return expect(digest, sizeof digest, hex);
}

static void fill(uint8_t *ret, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++) {
        ret[i] = value;
    }
}

/* first, first + 1, ... */
static void count_up(uint8_t *ret, size_t len, uint8_t first)
{
    for (size_t i = 0; i < len; i++) {
        ret[i] = (uint8_t)(first + i);
    }
}

/* FIPS 180-4, FIPS 202: "abc". */
static aril_status hash_abc(const struct arili_crypto *c, enum arili_hash alg, const char *hex)
{
    const aril_bytes parts[] = { ARILI_LITERAL("a"), ARILI_LITERAL("bc") };
    uint8_t digest[ARILI_HASH_BYTES_MAX];
    ARILI_TRY(c->ops->hash(c->provider, alg, parts, 2, digest));
    return expect(digest, arili_hash_bytes(alg), hex);
}

static aril_status test_sha256(const struct arili_crypto *c)
{
    return hash_abc(c, ARILI_SHA256,
                    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static aril_status test_sha384(const struct arili_crypto *c)
{
    return hash_abc(c, ARILI_SHA384,
                    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                    "8086072ba1e7cc2358baeca134c825a7");
}

static aril_status test_sha3_256(const struct arili_crypto *c)
{
    return hash_abc(c, ARILI_SHA3_256,
                    "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
}

static aril_status test_shake256(const struct arili_crypto *c)
{
    const aril_bytes in = ARILI_LITERAL("abc");
    uint8_t out[32];
    ARILI_TRY(c->ops->xof(c->provider, &in, 1, out, sizeof out));
    return expect(out, sizeof out,
                  "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739");
}

/* RFC 4231 4.3. */
static aril_status test_hmac(const struct arili_crypto *c)
{
    const aril_bytes key = ARILI_LITERAL("Jefe");
    const aril_bytes parts[] = { ARILI_LITERAL("what do ya want "), ARILI_LITERAL("for nothing?") };
    uint8_t mac[ARILI_HASH_BYTES_MAX];
    ARILI_TRY(c->ops->hmac(c->provider, ARILI_SHA256, key, parts, 2, mac));
    ARILI_TRY(expect(mac, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
    ARILI_TRY(c->ops->hmac(c->provider, ARILI_SHA384, key, parts, 2, mac));
    return expect(mac, 48,
                  "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                  "8e2240ca5e69e2c78b3239ecfab21649");
}

/* RFC 5869 A.1. */
static aril_status test_hkdf(const struct arili_crypto *c)
{
    uint8_t ikm[22], salt[13], info[10], prk[32], okm[42];
    fill(ikm, sizeof ikm, 0x0b);
    count_up(salt, sizeof salt, 0);
    count_up(info, sizeof info, 0xf0);
    ARILI_TRY(c->ops->hkdf_extract(c->provider, ARILI_SHA256, (aril_bytes){ salt, sizeof salt },
                                   (aril_bytes){ ikm, sizeof ikm }, prk));
    ARILI_TRY(expect(prk, sizeof prk,
                     "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"));
    ARILI_TRY(c->ops->hkdf_expand(c->provider, ARILI_SHA256, (aril_bytes){ prk, sizeof prk },
                                  (aril_bytes){ info, sizeof info }, okm, sizeof okm));
    return expect(okm, sizeof okm,
                  "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                  "34007208d5b887185865");
}

/* The test of the reference implementation with 256 KiB: RFC 9106 5.3 has a secret and
 * associated data, which the table does not take. Debian's argon2 gives the same. */
static aril_status test_argon2id(const struct arili_crypto *c)
{
    uint8_t out[32];
    ARILI_TRY(c->ops->argon2id(c->provider, ARILI_LITERAL("password"), ARILI_LITERAL("somesalt"),
                               256, 2, 1, out, sizeof out));
    return expect(out, sizeof out,
                  "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe");
}

/* RFC 7693 appendix A; the shorter one is of Python's hashlib. */
static aril_status test_blake2b(const struct arili_crypto *c)
{
    const aril_bytes parts[] = { ARILI_LITERAL("a"), ARILI_LITERAL("bc") };
    uint8_t out[ARILI_BLAKE2B_BYTES_MAX];
    ARILI_TRY(c->ops->blake2b(c->provider, parts, 2, out, sizeof out));
    ARILI_TRY(expect(out, sizeof out,
                     "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                     "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"));
    ARILI_TRY(c->ops->blake2b(c->provider, parts, 2, out, 32));
    return expect(out, 32, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

/* Wycheproof aes_siv_cmac_test, case 320; then with one bit of the IV changed. */
static aril_status test_aes_siv(const struct arili_crypto *c)
{
    uint8_t key[ARILI_SIV_KEY_BYTES], aad[12], plain[17], iv[ARILI_SIV_IV_BYTES], body[17];
    uint8_t opened[17];
    unhex("139383f3f82dc78e0b380027f9e5fcd2ed23716404be5c554452e4dc73d23702"
          "6594491820c6b8297185cc1fa84f49a5c7d7cd05c5de090ff1c3397bc2740437",
          key);
    unhex("d39da73ffc03ad0a9213ffc7", aad);
    unhex("48604944a80fadf50d55b87727934458c8", plain);
    const aril_bytes a = { aad, sizeof aad };
    const aril_bytes b = { body, sizeof body };
    ARILI_TRY(c->ops->siv_seal(c->provider, key, a, (aril_bytes){ plain, sizeof plain }, iv, body));
    ARILI_TRY(expect(iv, sizeof iv, "a9cf73951cb39823777f35c96c845169"));
    ARILI_TRY(expect(body, sizeof body, "476e2ec2317cb6b8dd8b6172fdceabff9d"));
    ARILI_TRY(c->ops->siv_open(c->provider, key, a, iv, b, opened));
    ARILI_ENSURE(arili_equal_ct(opened, plain, sizeof plain), ARIL_E_CRYPTO);
    iv[0] ^= 1;
    ARILI_ENSURE(c->ops->siv_open(c->provider, key, a, iv, b, opened) == ARIL_E_AUTH,
                 ARIL_E_CRYPTO);
    return ARIL_OK;
}

/* The original proposal of GCM, test case 3; then with one bit of the tag changed. */
static aril_status test_aes_128_gcm(const struct arili_crypto *c)
{
    uint8_t key[ARILI_GCM128_KEY_BYTES], nonce[12], plain[64], body[80], opened[64];
    unhex("feffe9928665731c6d6a8f9467308308", key);
    unhex("cafebabefacedbaddecaf888", nonce);
    unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
          plain);
    const aril_bytes b = { body, sizeof body };
    ARILI_TRY(
        c->ops->gcm128_seal(c->provider, key, nonce, (aril_bytes){ plain, sizeof plain }, body));
    ARILI_TRY(expect(body, 64,
                     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985"));
    ARILI_TRY(expect(body + 64, 16, "4d5c2af327cd64a62cf35abd2ba6fab4"));
    ARILI_TRY(c->ops->gcm128_open(c->provider, key, nonce, b, opened));
    ARILI_ENSURE(arili_equal_ct(opened, plain, sizeof plain), ARIL_E_CRYPTO);
    body[79] ^= 1;
    ARILI_ENSURE(c->ops->gcm128_open(c->provider, key, nonce, b, opened) == ARIL_E_AUTH,
                 ARIL_E_CRYPTO);
    return ARIL_OK;
}

struct aead {
    const struct arili_crypto *crypto;
    struct arili_aead_ctx *ctx;
};

static void aead_free(struct aead *a)
{
    a->crypto->ops->aead_free(a->ctx);
}

/* The original proposal of GCM, test case 16; then the same with one bit of the tag
 * changed, which must not open. */
static aril_status test_aes_gcm(const struct arili_crypto *c)
{
    uint8_t key[32], nonce[12], aad[20], plain[60], body[60], tag[16], opened[60];
    unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key);
    unhex("cafebabefacedbaddecaf888", nonce);
    unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad);
    unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
          plain);
    const aril_bytes a = { aad, sizeof aad };
    const aril_bytes parts[] = { { plain, 7 }, { plain + 7, sizeof plain - 7 } };
    const aril_span out[] = { { opened, 33 }, { opened + 33, sizeof opened - 33 } };

    ARILI_DEFER(aead_free) struct aead aead = { c, NULL };
    ARILI_TRY(c->ops->aead_new(c->provider, &aead.ctx));
    ARILI_TRY(c->ops->aead_key(aead.ctx, key));
    ARILI_TRY(c->ops->aead_seal(aead.ctx, nonce, a, parts, 2, body, tag));
    ARILI_TRY(expect(body, sizeof body,
                     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"));
    ARILI_TRY(expect(tag, sizeof tag, "76fc6ece0f4e1768cddf8853bb2d551b"));
    ARILI_TRY(
        c->ops->aead_open(aead.ctx, nonce, a, (aril_bytes){ body, sizeof body }, tag, out, 2));
    ARILI_ENSURE(arili_equal_ct(opened, plain, sizeof plain), ARIL_E_CRYPTO);
    tag[15] ^= 1;
    const aril_status st =
        c->ops->aead_open(aead.ctx, nonce, a, (aril_bytes){ body, sizeof body }, tag, out, 2);
    ARILI_ENSURE(st == ARIL_E_AUTH, ARIL_E_CRYPTO);
    return ARIL_OK;
}

/* C2SP XAES-256-GCM, second vector: key of 3s. */
static aril_status test_xaes(const struct arili_crypto *c)
{
    uint8_t key[32], nonce[12], body[12], tag[16];
    fill(key, sizeof key, 3);
    const aril_bytes plain = ARILI_LITERAL("XAES-256-GCM");
    ARILI_DEFER(arili_xaes_done) struct arili_xaes x = { 0 };
    ARILI_DEFER(aead_free) struct aead aead = { c, NULL };
    ARILI_TRY(c->ops->aead_new(c->provider, &aead.ctx));
    ARILI_TRY(arili_xaes_init(c, key, &x));
    ARILI_TRY(
        arili_xaes_message(&x, ARILI_LITERAL("ABCDEFGHIJKLMNOPQRSTUVWX").data, aead.ctx, nonce));
    ARILI_TRY(c->ops->aead_seal(aead.ctx, nonce, ARILI_LITERAL("c2sp.org/XAES-256-GCM"), &plain, 1,
                                body, tag));
    ARILI_TRY(expect(body, sizeof body, "986ec1832593df5443a17943"));
    return expect(tag, sizeof tag, "7fd083bf3fdb41abd740a21f71eb769d");
}

struct keys {
    const struct arili_crypto *crypto;
    struct arili_pkey *own;
    struct arili_pkey *peer;
};

static void keys_free(struct keys *k)
{
    k->crypto->ops->pkey_free(k->own);
    k->crypto->ops->pkey_free(k->peer);
}

/* RFC 7748 5.2, first vector. */
static aril_status test_x25519(const struct arili_crypto *c)
{
    uint8_t scalar[32], point[32], secret[32];
    unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", scalar);
    unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", point);
    ARILI_DEFER(keys_free) struct keys k = { c, NULL, NULL };
    ARILI_TRY(c->ops->kem_import_seed(c->provider, ARILI_KEM_X25519,
                                      (aril_bytes){ scalar, sizeof scalar }, &k.own));
    ARILI_TRY(c->ops->kem_import_public(c->provider, ARILI_KEM_X25519,
                                        (aril_bytes){ point, sizeof point }, &k.peer));
    ARILI_TRY(c->ops->x25519(k.own, k.peer, secret));
    return expect(secret, sizeof secret,
                  "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}

struct kem_answer {
    enum arili_kem alg;
    const char *public_sha256;
    const char *ct_sha256;
    const char *shared;
    const char *rejected; /* of the ciphertext with bit 0 of byte 0 changed */
};

/* Seed 0, 1, ..., 63 and randomness 64, ..., 95; answers of @noble/post-quantum. */
static aril_status ml_kem(const struct arili_crypto *c, const struct kem_answer *a)
{
    uint8_t seed[64], m[32], out[ARILI_ML_KEM_1024_PUBLIC_BYTES], secret[32];
    size_t len = 0;
    count_up(seed, sizeof seed, 0);
    count_up(m, sizeof m, 64);
    ARILI_DEFER(keys_free) struct keys k = { c, NULL, NULL };
    ARILI_TRY(
        c->ops->kem_import_seed(c->provider, a->alg, (aril_bytes){ seed, sizeof seed }, &k.own));
    ARILI_TRY(c->ops->pkey_public(k.own, out, sizeof out, &len));
    ARILI_TRY(expect_sha256(c, out, len, a->public_sha256));
    ARILI_TRY(c->ops->kem_import_public(c->provider, a->alg, (aril_bytes){ out, len }, &k.peer));
    const aril_bytes ct = { out, arili_kem_ct_bytes(a->alg) };
    ARILI_TRY(c->ops->kem_encaps(k.peer, m, out, ct.len, secret));
    ARILI_TRY(expect_sha256(c, ct.data, ct.len, a->ct_sha256));
    ARILI_TRY(expect(secret, sizeof secret, a->shared));
    ARILI_TRY(c->ops->kem_decaps(k.own, ct, secret));
    ARILI_TRY(expect(secret, sizeof secret, a->shared));
    out[0] ^= 1;
    ARILI_TRY(c->ops->kem_decaps(k.own, ct, secret));
    return expect(secret, sizeof secret, a->rejected);
}

static aril_status test_ml_kem_768(const struct arili_crypto *c)
{
    static const struct kem_answer a = {
        ARILI_KEM_ML_KEM_768, "0b7934c83125c788995e2ba6bd761e33046b3e40571be53e023309a29f398cc9",
        "dbf4e9aa48b078ad46ec1c9c47bda8c2d2fec9d0e7a21bd48d2238a2abedb856",
        "9cddd089ffe70e3996e76f7c8d06746df34d07e8657bc0fcf2bb0e1c3084aea1",
        "dcfc80c6db46ff7028e3a4398651c063ae7a42c107a6dc8cb07141861698ab92"
    };
    return ml_kem(c, &a);
}

static aril_status test_ml_kem_1024(const struct arili_crypto *c)
{
    static const struct kem_answer a = {
        ARILI_KEM_ML_KEM_1024, "c7b8fa0aa471d5ae18922d6ccad5b31e1d84f92ae723abfd13747018740a8530",
        "7c89743960f7c3d17bb69572e49de14fe0990c9113a0706963a8f4c7b39afcdf",
        "0ad8d1ea1b8dd788979b4379581218df9321bdce5567eca42ae6be7d395f1a54",
        "8f2c880890996c587aa500cf8b6da03372de706a9f96075744bb0956ea6fbaac"
    };
    return ml_kem(c, &a);
}

/* Seed 0, 1, ..., 31, deterministic; answers of @noble/post-quantum. */
static aril_status ml_dsa(const struct arili_crypto *c, int alg, const char *public_sha256,
                          const char *sig_sha256)
{
    const aril_bytes context = ARILI_LITERAL("aril");
    const aril_bytes message = ARILI_LITERAL("aril self-test");
    uint8_t seed[32], out[OUTPUT_BYTES_MAX];
    size_t len = 0;
    count_up(seed, sizeof seed, 0);
    ARILI_DEFER(keys_free) struct keys k = { c, NULL, NULL };
    ARILI_TRY(
        c->ops->sign_import_seed(c->provider, alg, (aril_bytes){ seed, sizeof seed }, &k.own));
    ARILI_TRY(c->ops->pkey_public(k.own, out, sizeof out, &len));
    ARILI_TRY(expect_sha256(c, out, len, public_sha256));
    ARILI_TRY(c->ops->sign_import_public(c->provider, alg, (aril_bytes){ out, len }, &k.peer));
    const aril_bytes sig = { out, arili_sign_signature_bytes(alg) };
    ARILI_TRY(c->ops->sign(k.own, context, message, true, out, sig.len));
    ARILI_TRY(expect_sha256(c, sig.data, sig.len, sig_sha256));
    ARILI_TRY(c->ops->verify(k.peer, context, message, sig));
    out[sig.len / 2] ^= 1;
    ARILI_ENSURE(c->ops->verify(k.peer, context, message, sig) == ARIL_E_AUTH, ARIL_E_CRYPTO);
    return ARIL_OK;
}

static aril_status test_ml_dsa_65(const struct arili_crypto *c)
{
    return ml_dsa(c, 65, "d666806e11cee19a7c989f7445f90dd419cf4d2d51db8c0fdb4c0f0a542238c9",
                  "633b4850f8aab1ef671f06f0efa2cedd3b83ea07ca65cdc61911a37cec4e9681");
}

static aril_status test_ml_dsa_87(const struct arili_crypto *c)
{
    return ml_dsa(c, 87, "91dc389cfaa01470b7f66eee45a4ae9026d154817c754dfe22298b3fa241ffcd",
                  "a6f4e8f43d7074911872d384d90d27e8234ecc8310275f49e976a84802d49ff0");
}

static void xwing_freep(struct arili_xwing_key **key)
{
    arili_xwing_free(*key);
}

/* draft-connolly-cfrg-xwing-kem, first vector. */
static aril_status test_xwing(const struct arili_crypto *c)
{
    static const char *const want =
        "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384";
    uint8_t seed[32], rand[64], public_key[ARILI_XWING_PUBLIC_BYTES], ct[ARILI_XWING_CT_BYTES];
    uint8_t secret[32];
    unhex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26", seed);
    unhex("3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2"
          "35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2",
          rand);
    ARILI_DEFER(xwing_freep) struct arili_xwing_key *key = NULL;
    ARILI_TRY(arili_xwing_import(c, seed, public_key, &key));
    ARILI_TRY(expect_sha256(c, public_key, sizeof public_key,
                            "2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb"));
    ARILI_TRY(
        arili_xwing_encaps(c, (aril_bytes){ public_key, sizeof public_key }, rand, ct, secret));
    ARILI_TRY(expect_sha256(c, ct, sizeof ct,
                            "17cd532d657e44c897ca6583e548a5424fc70bf54f99515a4d2bcf99e3469f33"));
    ARILI_TRY(expect(secret, sizeof secret, want));
    ARILI_TRY(arili_xwing_decaps(key, (aril_bytes){ ct, sizeof ct }, secret));
    return expect(secret, sizeof secret, want);
}

/* X-Wing, HKDF-SHA256, AES-256-GCM, mode base: no published vector has this suite;
 * the answers were agreed by two implementations. */
static aril_status test_hpke(const struct arili_crypto *c)
{
    const struct arili_hpke_suite suite = { ARILI_HPKE_X_WING, ARILI_HPKE_HKDF_SHA256 };
    uint8_t seed[32], rand[64], info[24], enc[ARILI_XWING_CT_BYTES], out[32];
    unhex("392fdc8f77b33ec6f67f0c800ebab57b564bd74da19cbab2869d29e664c5c2bd", seed);
    unhex("ae3e70e2cbf1afa4a4376e7e964181cdc558323a3e773806a6a1a63eeb27a578"
          "34b9d73e062598942ba9a31d84c79c2c2b46ec34d1820dce0d460b818699a26b",
          rand);
    unhex("70712d766563746f72732068706b6520696e666f20412030", info);
    const aril_bytes i = { info, sizeof info };
    const aril_bytes r = { rand, sizeof rand };
    ARILI_DEFER(arili_hpke_key_freep) struct arili_hpke_key *key = NULL;
    ARILI_DEFER(arili_hpke_done) struct arili_hpke_ctx tx = { 0 };
    ARILI_DEFER(arili_hpke_done) struct arili_hpke_ctx rx = { 0 };
    ARILI_TRY(arili_hpke_key_import(c, suite.kem, (aril_bytes){ seed, sizeof seed }, &key));
    ARILI_TRY(arili_hpke_setup_sender(c, suite, arili_hpke_key_public(key), i, NULL, &r, enc,
                                      sizeof enc, &tx));
    ARILI_TRY(expect_sha256(c, enc, sizeof enc,
                            "613cf89322819ca3bdacb922ce44cbcdf95ae18a861bf3a4745a4b79f0ecb479"));
    ARILI_TRY(
        arili_hpke_setup_recipient(c, suite, key, (aril_bytes){ enc, sizeof enc }, i, NULL, &rx));
    ARILI_TRY(arili_hpke_export(&tx, ARILI_LITERAL("TestContext"), out, sizeof out));
    ARILI_TRY(expect(out, sizeof out,
                     "9dfb12e6c5c00660ffee1791ea2f7ab572d7303483f71aed8109ba4d756d4fa6"));
    uint8_t plain[29], ct[45], opened[29];
    size_t len = 0;
    unhex("c4a53d0dc0de8812459dc006ffb0b1ba8e1c542474ff287f1ae8f1d706", plain);
    const aril_bytes aad = ARILI_LITERAL("aad-0");
    ARILI_TRY(arili_hpke_seal(&tx, aad, (aril_bytes){ plain, sizeof plain }, ct, sizeof ct, &len));
    ARILI_TRY(expect(ct, len,
                     "4db26fc8b37437783d76cb0351baff40b85b1ff606447e9dfc51d18e3ccd3180"
                     "46600cd911ae8bf6709dc57c19"));
    ARILI_TRY(arili_hpke_open(&rx, aad, (aril_bytes){ ct, len }, opened, sizeof opened, &len));
    return expect(opened, len, "c4a53d0dc0de8812459dc006ffb0b1ba8e1c542474ff287f1ae8f1d706");
}

static const struct test tests[] = {
    { "SHA-256", test_sha256 },
    { "SHA-384", test_sha384 },
    { "SHA3-256", test_sha3_256 },
    { "SHAKE256", test_shake256 },
    { "HMAC", test_hmac },
    { "HKDF", test_hkdf },
    { "Argon2id", test_argon2id },
    { "BLAKE2b", test_blake2b },
    { "AES-256-GCM", test_aes_gcm },
    { "AES-128-GCM", test_aes_128_gcm },
    { "XAES-256-GCM", test_xaes },
    { "AES-256-SIV", test_aes_siv },
    { "X25519", test_x25519 },
    { "ML-KEM-768", test_ml_kem_768 },
    { "ML-KEM-1024", test_ml_kem_1024 },
    { "X-Wing", test_xwing },
    { "HPKE", test_hpke },
    { "ML-DSA-65", test_ml_dsa_65 },
    { "ML-DSA-87", test_ml_dsa_87 },
};

aril_status arili_crypto_self_test(const struct arili_crypto *c, aril_self_test_fn *report,
                                   void *user)
{
    bool passed = true;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        const aril_status st = tests[i].run(c);
        if (report != NULL) {
            report(user, tests[i].name, st);
        }
        passed = passed && st == ARIL_OK;
    }
    ARILI_ENSURE(passed, ARIL_E_CRYPTO);
    return ARIL_OK;
}
