/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include "provider.h"
#include <stdio.h>
#include <string.h>

/* AES-256-SIV, AES-128-GCM for one message, BLAKE2b. GCM has its published cases in
 * tests/kat/aes_gcm_test.c too. */

#define TEXT_MAX 128u

struct siv_case {
    const char *key, *aad, *msg, *ct; /* ct: IV, then the body */
};

/* Wycheproof, testvectors_v1/aes_siv_cmac_test.json (Apache-2.0), cases 309, 316, 320, 322, 324,
 * 326, 328, 330 and 334, of 512-bit keys. */
static const struct siv_case siv_cases[] = {
    { "673cea582bf3982ce3fba5304de8fe46e316d6804749d6db58b7ab7d64bd4e0a"
      "f641997975234f8b918cca3247d67cfeac9230d15ed28f8071a85e84fa9ef211",
      "f5042d5a5b68b262274974a8", "9e99912c7b", "655ef7f09f4cff47b427e9df7fcc642664715ad14c" },
    { "9593f0d6679e8e18b43cb4d26a7ea9da9d6037fd5a82db0b091a682b6547a772"
      "98e4fd1d1481f3603d0b1e7e6dcf27200105af0f844f2aaacd98540ab2b6c8a8",
      "7b3f9591076e32a21766e2bb", "0628d19cc94c4b4f3d703e1f",
      "56e6fd5a7f449a8e6bafa38f945c70cf8a534179b3b1f26266fb6b56" },
    { "139383f3f82dc78e0b380027f9e5fcd2ed23716404be5c554452e4dc73d23702"
      "6594491820c6b8297185cc1fa84f49a5c7d7cd05c5de090ff1c3397bc2740437",
      "d39da73ffc03ad0a9213ffc7", "48604944a80fadf50d55b87727934458c8",
      "a9cf73951cb39823777f35c96c845169476e2ec2317cb6b8dd8b6172fdceabff9d" },
    { "c0f4bede68c6ed5ad14918e2ddeced692dfd5419c04204d5b96f4ca47078b070"
      "28c6fb87b1b490d875f070bbe4d790f65e5df19947f02c9d3a4e493b542d0291",
      "b411e4d2facca67ea4a9f2a1", "2f358d4534559ac99dd71798b7925705d6f013f6b848ffe01cc86cef09d88f",
      "d27ae26dfe02e3eedf544e1b452cb0f0c9303a4e4819318315ae08839bcce558"
      "e4741817ec08dae406bbfc09f59aa9" },
    { "72a76714e0171e8213de624f00e273bc900050e69d25c454cc42b61e8b3fbc92"
      "d4942e1ae14421e164046c1479a7b9c9f4b50b382cb62dfeaa210b98dec7d937",
      "6a8aaf2c84003e0e6f409658",
      "92d8f4dc7d41e8b180d66e8994022db79249cdc76fd7f3ea12d9925b51925250"
      "cd75a15fcfd78ea85c57fe6196f8d7545086f99ea796a0ea69170db994420043"
      "5d9d3d551943892400ce787f703c1105",
      "69f720f36b0da86ec8cc0f46d62835dcb35ac23f5b891152d861c4e0f0018f19"
      "d272ee8b12d83300bfd46aeec0124d5d23b3cb849c1cab1fdf64b70947ebf79f"
      "5442e209076dfa9a3f36ab0a6d3cf4a75ddfcdc21837743b20885db4c803ac27" },
    { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
      "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
      "000102030405060708090a0b0c0d0e0f", "bfa1733d07afa03cb3f2eeb81bbde037",
      "000000000000000000000000000000004ce637d6ca9cdf1c2feb0d140865cddb" },
    { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
      "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
      "000102030405060708090a0b0c0d0e0f", "404aa73280eb830afde284ba6b18d48a",
      "ffffffffffffffffffffffffffffffff0fae016c086fc20546b374c24f3ebad0" },
    { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
      "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
      "000102030405060708090a0b0c0d0e0f", "cd53e1763fbb8663afe74dc1bd443e52",
      "ffffffffffffffffffffffff7fffffff82b74728b73fc76c14b6bdb999625008" },
    { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
      "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
      "000102030405060708090a0b0c0d0e0f", "23525ec6dfb28c323340d09538b4b015",
      "fffffffffffffffffffffffffffffffe1d9a0bf851a0dca6bd0b74fecebf654a" },
};

/* Without associated data the answer is that of no component, not of an empty one: AESSIV of
 * python3-cryptography 48, encrypt(b"r", None) and, for the second, encrypt(..., [b"a"]). */
static const struct siv_case siv_python_cases[] = {
    { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
      "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
      "", "72", "117bd990686c6000612e8df509622a5970" },
    { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
      "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
      "61", "6e616d65206f6620612076616c7565",
      "d4f4aa9bf301cc5c3f10275c19408526e5392651b77b4c61146448e604e661" },
};

static aril_bytes unhex(const char *hex, uint8_t *room)
{
    const size_t len = strlen(hex) / 2;
    assert_true(len <= TEXT_MAX);
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        room[i] = (uint8_t)byte;
    }
    return (aril_bytes){ room, len };
}

static aril_status siv_open(const uint8_t *key, aril_bytes aad, const uint8_t *iv, aril_bytes body,
                            uint8_t *ret)
{
    return provider()->ops->siv_open(provider()->provider, key, aad, iv, body, ret);
}

static aril_status siv_seal(const uint8_t *key, aril_bytes aad, aril_bytes plain, uint8_t *ret_iv,
                            uint8_t *ret)
{
    return provider()->ops->siv_seal(provider()->provider, key, aad, plain, ret_iv, ret);
}

static void expect_siv(const struct siv_case *t)
{
    uint8_t key[TEXT_MAX], aad[TEXT_MAX], msg[TEXT_MAX], ct[TEXT_MAX];
    uint8_t iv[ARILI_SIV_IV_BYTES];
    uint8_t out[TEXT_MAX];
    assert_int_equal(unhex(t->key, key).len, ARILI_SIV_KEY_BYTES);
    const aril_bytes a = unhex(t->aad, aad);
    const aril_bytes m = unhex(t->msg, msg);
    assert_int_equal(unhex(t->ct, ct).len, sizeof iv + m.len);
    memset(out, 0xaa, sizeof out);
    assert_status(siv_seal(key, a, m, iv, out), ARIL_OK);
    assert_memory_equal(iv, ct, sizeof iv);
    assert_memory_equal(out, ct + sizeof iv, m.len);
    assert_true(provider_all(out + m.len, sizeof out - m.len, 0xaa));
    memset(out, 0xaa, sizeof out);
    const aril_bytes body = { ct + sizeof iv, m.len };
    assert_status(siv_open(key, a, ct, body, out), ARIL_OK);
    assert_memory_equal(out, msg, m.len);
    assert_true(provider_all(out + m.len, sizeof out - m.len, 0xaa));
    /* And in place. */
    assert_status(siv_seal(key, a, (aril_bytes){ out, m.len }, iv, out), ARIL_OK);
    assert_memory_equal(iv, ct, sizeof iv);
    assert_memory_equal(out, ct + sizeof iv, m.len);
    assert_status(siv_open(key, a, ct, (aril_bytes){ out, m.len }, out), ARIL_OK);
    assert_memory_equal(out, msg, m.len);
    assert_true(provider_all(out + m.len, sizeof out - m.len, 0xaa));
}

static void siv_gives_the_published_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(siv_cases); i++) {
        expect_siv(&siv_cases[i]);
    }
    for (size_t i = 0; i < COUNT(siv_python_cases); i++) {
        expect_siv(&siv_python_cases[i]);
    }
}

/* One byte string that decides, with a byte of it changed and back. */
static void siv_refuses_a_change(uint8_t *bytes, size_t len, const uint8_t *key, aril_bytes aad,
                                 const uint8_t *iv, aril_bytes body)
{
    uint8_t out[TEXT_MAX];
    for (size_t bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(out, 0xaa, sizeof out);
        assert_status(siv_open(key, aad, iv, body, out), ARIL_E_AUTH);
        assert_true(provider_all(out, body.len, 0));
        assert_true(provider_all(out + body.len, sizeof out - body.len, 0xaa));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void siv_refuses_every_changed_bit_and_every_truncation(void **state)
{
    uint8_t key[TEXT_MAX], aad[TEXT_MAX], ct[TEXT_MAX], out[TEXT_MAX];
    (void)state;
    (void)unhex(siv_cases[2].key, key);
    const aril_bytes a = unhex(siv_cases[2].aad, aad);
    const aril_bytes all = unhex(siv_cases[2].ct, ct);
    const aril_bytes body = { ct + ARILI_SIV_IV_BYTES, all.len - ARILI_SIV_IV_BYTES };
    siv_refuses_a_change(key, ARILI_SIV_KEY_BYTES, key, a, ct, body);
    siv_refuses_a_change(aad, a.len, key, a, ct, body);
    siv_refuses_a_change(ct, all.len, key, a, ct, body);
    for (size_t len = 1; len < body.len; len++) {
        assert_status(siv_open(key, a, ct, (aril_bytes){ body.data, len }, out), ARIL_E_AUTH);
    }
    for (size_t len = 0; len < a.len; len++) {
        assert_status(siv_open(key, (aril_bytes){ aad, len }, ct, body, out), ARIL_E_AUTH);
    }
    assert_status(siv_open(key, a, ct, body, out), ARIL_OK);
    assert_true(provider_is_quiet());
}

static void siv_names_have_a_length(void **state)
{
    static uint8_t big[ARILI_SIV_PLAIN_BYTES_MAX + 1];
    static uint8_t out[ARILI_SIV_PLAIN_BYTES_MAX + 1];
    static uint8_t back[ARILI_SIV_PLAIN_BYTES_MAX + 1];
    const uint8_t key[ARILI_SIV_KEY_BYTES] = { 1 };
    const aril_bytes none = { NULL, 0 };
    const aril_bytes too_long = { big, sizeof big };
    const aril_bytes longest = { big, sizeof big - 1 };
    uint8_t iv[ARILI_SIV_IV_BYTES] = { 2 };
    (void)state;
    assert_status(siv_seal(key, none, none, iv, out), ARIL_E_USAGE_RANGE);
    assert_status(siv_open(key, none, iv, none, out), ARIL_E_USAGE_RANGE);
    assert_status(siv_seal(key, none, too_long, iv, out), ARIL_E_USAGE_RANGE);
    assert_status(siv_seal(key, too_long, longest, iv, out), ARIL_E_USAGE_RANGE);
    assert_status(siv_open(key, none, iv, too_long, out), ARIL_E_USAGE_RANGE);
    assert_int_equal(iv[0], 2);
    provider_pattern(big, sizeof big, 3);
    assert_status(siv_seal(key, longest, longest, iv, out), ARIL_OK);
    assert_status(siv_open(key, longest, iv, (aril_bytes){ out, longest.len }, back), ARIL_OK);
    assert_memory_equal(back, big, longest.len);
}

static aril_status gcm_seal(const uint8_t *key, const uint8_t *nonce, aril_bytes plain,
                            uint8_t *ret)
{
    return provider()->ops->gcm128_seal(provider()->provider, key, nonce, plain, ret);
}

static aril_status gcm_open(const uint8_t *key, const uint8_t *nonce, aril_bytes body, uint8_t *ret)
{
    return provider()->ops->gcm128_open(provider()->provider, key, nonce, body, ret);
}

static void gcm128_refuses_every_changed_bit_and_every_truncation(void **state)
{
    uint8_t key[ARILI_GCM128_KEY_BYTES] = { 1 };
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES] = { 2 };
    uint8_t plain[37], body[37 + 16], out[37];
    uint8_t *const parts[] = { key, nonce, body };
    const size_t lens[] = { sizeof key, sizeof nonce, sizeof body };
    (void)state;
    provider_pattern(plain, sizeof plain, 9);
    assert_status(gcm_seal(key, nonce, (aril_bytes){ plain, sizeof plain }, body), ARIL_OK);
    for (size_t p = 0; p < COUNT(parts); p++) {
        for (size_t bit = 0; bit < 8 * lens[p]; bit++) {
            parts[p][bit / 8] ^= (uint8_t)(1u << bit % 8);
            memset(out, 0xaa, sizeof out);
            assert_status(gcm_open(key, nonce, (aril_bytes){ body, sizeof body }, out),
                          ARIL_E_AUTH);
            assert_true(provider_all(out, sizeof out, 0));
            parts[p][bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    for (size_t len = 0; len < sizeof body; len++) {
        assert_status(gcm_open(key, nonce, (aril_bytes){ body, len }, out), ARIL_E_AUTH);
    }
    assert_status(gcm_open(key, nonce, (aril_bytes){ body, sizeof body }, out), ARIL_OK);
    assert_memory_equal(out, plain, sizeof plain);
    assert_true(provider_is_quiet());
}

/* The original proposal of GCM, test case 1: zeros and nothing. */
static void gcm128_seals_nothing(void **state)
{
    static const uint8_t zeros[16] = { 0 };
    static const uint8_t want[16] = { 0x58, 0xe2, 0xfc, 0xce, 0xfa, 0x7e, 0x30, 0x61,
                                      0x36, 0x7f, 0x1d, 0x57, 0xa4, 0xe7, 0x45, 0x5a };
    const aril_bytes none = { NULL, 0 };
    uint8_t tag[16];
    (void)state;
    assert_status(gcm_seal(zeros, zeros, none, tag), ARIL_OK);
    assert_memory_equal(tag, want, sizeof want);
    assert_status(gcm_open(zeros, zeros, (aril_bytes){ tag, sizeof tag }, NULL), ARIL_OK);
    tag[3] ^= 1;
    assert_status(gcm_open(zeros, zeros, (aril_bytes){ tag, sizeof tag }, NULL), ARIL_E_AUTH);
}

static aril_status blake2b(const aril_bytes *parts, size_t count, uint8_t *ret, size_t len)
{
    return provider()->ops->blake2b(provider()->provider, parts, count, ret, len);
}

/* hashlib.blake2b(b"abc", digest_size=N): the length is part of what is hashed. */
static void blake2b_of_other_lengths_are_other_hashes(void **state)
{
    static const struct {
        size_t len;
        const char *hex;
    } cases[] = {
        { 1, "6b" },
        { 16, "cf4ab791c62b8d2b2109c90275287816" },
        { 32, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319" },
        { 64, "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
              "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923" },
    };
    const aril_bytes parts[] = { ARILI_LITERAL("ab"), { NULL, 0 }, ARILI_LITERAL("c") };
    uint8_t out[80];
    uint8_t want[TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        memset(out, 0xaa, sizeof out);
        assert_status(blake2b(parts, 3, out, cases[i].len), ARIL_OK);
        assert_memory_equal(out, unhex(cases[i].hex, want).data, cases[i].len);
        assert_true(provider_all(out + cases[i].len, sizeof out - cases[i].len, 0xaa));
    }
    memset(out, 0xaa, sizeof out);
    assert_status(blake2b(parts, 3, out, 0), ARIL_E_USAGE_RANGE);
    assert_status(blake2b(parts, 3, out, 65), ARIL_E_USAGE_RANGE);
    assert_true(provider_all(out, sizeof out, 0xaa));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siv_gives_the_published_bytes),
        cmocka_unit_test(siv_refuses_every_changed_bit_and_every_truncation),
        cmocka_unit_test(siv_names_have_a_length),
        cmocka_unit_test(gcm128_refuses_every_changed_bit_and_every_truncation),
        cmocka_unit_test(gcm128_seals_nothing),
        cmocka_unit_test(blake2b_of_other_lengths_are_other_hashes),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
