/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hpke.h"
#include "base/bytes.h"
#include "check.h"
#include "faulty_crypto.h"
#include "hpke_channel.h"
#include "provider.h"
#include <string.h>

static const struct arili_hpke_suite first = { ARILI_HPKE_X_WING, ARILI_HPKE_HKDF_SHA256 };
static const aril_bytes none = { NULL, 0 };

/* RFC 9180 5.1: psk and id come together; section 9.5: 32 bytes of it at least. */
static void a_psk_needs_an_id_and_32_bytes(void **state)
{
    struct arili_hpke_key *const key = hpke_key_new(first.kem);
    struct arili_hpke_ctx ctx;
    uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX] = { 0 };
    const aril_bytes e = { enc, arili_hpke_enc_bytes(first.kem) };
    (void)state;
    const struct arili_hpke_psk bad[] = {
        { hpke_test_psk.psk, none },
        { none, hpke_test_psk.id },
        { { hpke_test_psk.psk.data, 31 }, hpke_test_psk.id },
        { { hpke_test_psk.psk.data, 1 }, hpke_test_psk.id },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status(arili_hpke_setup_sender(provider(), first, arili_hpke_key_public(key), none,
                                              &bad[i], NULL, enc, e.len, &ctx),
                      ARIL_E_USAGE_RANGE);
        assert_status(arili_hpke_setup_recipient(provider(), first, key, e, none, &bad[i], &ctx),
                      ARIL_E_USAGE_RANGE);
    }
    const struct arili_hpke_psk both_empty = { none, none };
    assert_status(arili_hpke_setup_sender(provider(), first, arili_hpke_key_public(key), none,
                                          &both_empty, NULL, enc, e.len, &ctx),
                  ARIL_OK);
    uint8_t a[32];
    uint8_t b[32];
    assert_status(arili_hpke_export(&ctx, none, a, sizeof a), ARIL_OK);
    arili_hpke_done(&ctx);
    assert_status(arili_hpke_setup_recipient(provider(), first, key, e, none, NULL, &ctx), ARIL_OK);
    assert_status(arili_hpke_export(&ctx, none, b, sizeof b), ARIL_OK);
    assert_memory_equal(a, b, sizeof a);
    arili_hpke_done(&ctx);
    arili_hpke_key_free(key);
}

static void exports_end_at_255_blocks(void **state)
{
    static uint8_t out[255 * 48 + 1];
    static uint8_t longest[255 * 48];
    struct hpke_channel ch;
    (void)state;
    for (size_t i = 0; i < HPKE_SUITES; i++) {
        const size_t max = 255 * (hpke_suites[i].kdf == ARILI_HPKE_HKDF_SHA256 ? 32u : 48u);
        hpke_channel_open(&ch, hpke_suites[i], NULL);
        memset(out, 0xaa, sizeof out);
        assert_status(arili_hpke_export(&ch.tx, ARILI_LITERAL("label"), out, max + 1),
                      ARIL_E_USAGE_RANGE);
        assert_true(provider_all(out, sizeof out, 0xaa));
        assert_status(arili_hpke_export(&ch.tx, ARILI_LITERAL("label"), longest, max), ARIL_OK);
        assert_status(arili_hpke_export(&ch.rx, ARILI_LITERAL("label"), out, max), ARIL_OK);
        assert_memory_equal(out, longest, max);
        assert_int_equal(out[max], 0xaa);
        /* The length is part of the derivation, and so is the label. */
        assert_status(arili_hpke_export(&ch.rx, ARILI_LITERAL("label"), out, 32), ARIL_OK);
        assert_memory_not_equal(out, longest, 32);
        assert_status(arili_hpke_export(&ch.rx, ARILI_LITERAL("lable"), out + 32, 32), ARIL_OK);
        assert_memory_not_equal(out, out + 32, 32);
        hpke_channel_close(&ch);
    }
}

static void every_wrong_length_is_refused(void **state)
{
    static uint8_t bytes[ARILI_HPKE_PUBLIC_BYTES_MAX + 40];
    (void)state;
    for (size_t i = 0; i < HPKE_SUITES; i++) {
        const enum arili_hpke_kem kem = hpke_suites[i].kem;
        struct arili_hpke_key *const key = hpke_key_new(kem);
        struct arili_hpke_key *bad = NULL;
        struct arili_hpke_ctx ctx;
        uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX + 40];
        memset(&ctx, 0xaa, sizeof ctx);
        memset(enc, 0xaa, sizeof enc);
        for (size_t len = 0; len <= sizeof bytes; len++) {
            const aril_bytes b = { bytes, len };
            if (len != arili_hpke_seed_bytes(kem)) {
                assert_status(arili_hpke_key_import(provider(), kem, b, &bad),
                              ARIL_E_FORMAT_LENGTH);
            }
            if (len < arili_hpke_seed_bytes(kem)) {
                assert_status(arili_hpke_key_derive(provider(), kem, b, &bad), ARIL_E_USAGE_RANGE);
            }
            if (len != arili_hpke_public_bytes(kem)) {
                assert_status(arili_hpke_setup_sender(provider(), hpke_suites[i], b, none, NULL,
                                                      NULL, enc, arili_hpke_enc_bytes(kem), &ctx),
                              ARIL_E_FORMAT_LENGTH);
            }
            if (len != arili_hpke_enc_bytes(kem)) {
                assert_status(arili_hpke_setup_sender(provider(), hpke_suites[i],
                                                      arili_hpke_key_public(key), none, NULL, NULL,
                                                      enc, len, &ctx),
                              ARIL_E_USAGE_RANGE);
                assert_status(arili_hpke_setup_recipient(provider(), hpke_suites[i], key, b, none,
                                                         NULL, &ctx),
                              ARIL_E_FORMAT_LENGTH);
            }
            if (len != (kem == ARILI_HPKE_X_WING ? 64 : 32)) {
                assert_status(arili_hpke_setup_sender(provider(), hpke_suites[i],
                                                      arili_hpke_key_public(key), none, NULL, &b,
                                                      enc, arili_hpke_enc_bytes(kem), &ctx),
                              ARIL_E_USAGE_RANGE);
            }
        }
        assert_null(bad);
        assert_true(provider_all((const uint8_t *)&ctx, sizeof ctx, 0xaa));
        assert_true(provider_all(enc, sizeof enc, 0xaa));
        arili_hpke_key_free(key);
    }
}

static void unknown_suites_are_refused(void **state)
{
    const struct arili_hpke_suite bad[] = { { (enum arili_hpke_kem)0x50, ARILI_HPKE_HKDF_SHA256 },
                                            { ARILI_HPKE_X_WING, (enum arili_hpke_kdf)3 },
                                            { ARILI_HPKE_X_WING, (enum arili_hpke_kdf)0 } };
    struct arili_hpke_key *const key = hpke_key_new(first.kem);
    struct arili_hpke_key *none_key = NULL;
    struct arili_hpke_ctx ctx;
    uint8_t buf[2000] = { 0 };
    size_t len = 0;
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status(arili_hpke_setup_sender(provider(), bad[i], arili_hpke_key_public(key), none,
                                              NULL, NULL, buf, 1120, &ctx),
                      ARIL_E_USAGE_RANGE);
        assert_status(arili_hpke_setup_recipient(provider(), bad[i], key, (aril_bytes){ buf, 1120 },
                                                 none, NULL, &ctx),
                      ARIL_E_USAGE_RANGE);
        assert_status(arili_hpke_seal_once(provider(), bad[i], arili_hpke_key_public(key), none,
                                           NULL, none, none, buf, sizeof buf, &len),
                      ARIL_E_USAGE_RANGE);
        assert_status(arili_hpke_open_once(provider(), bad[i], key, none, NULL, none,
                                           (aril_bytes){ buf, 1200 }, buf + 1300, 100, &len),
                      ARIL_E_USAGE_RANGE);
    }
    assert_status(arili_hpke_key_generate(provider(), bad[0].kem, &none_key), ARIL_E_USAGE_RANGE);
    assert_status(arili_hpke_key_import(provider(), bad[0].kem, none, &none_key),
                  ARIL_E_USAGE_RANGE);
    assert_status(arili_hpke_key_derive(provider(), bad[0].kem, none, &none_key),
                  ARIL_E_USAGE_RANGE);
    assert_null(none_key);
    assert_int_equal(arili_hpke_seed_bytes(bad[0].kem), 0);
    assert_int_equal(arili_hpke_public_bytes(bad[0].kem), 0);
    assert_int_equal(arili_hpke_enc_bytes(bad[0].kem), 0);
    /* A key of another KEM than the suite says. */
    const struct arili_hpke_suite other = { ARILI_HPKE_ML_KEM_768, ARILI_HPKE_HKDF_SHA256 };
    assert_status(arili_hpke_setup_recipient(provider(), other, key, (aril_bytes){ buf, 1088 },
                                             none, NULL, &ctx),
                  ARIL_E_USAGE_RANGE);
    arili_hpke_key_free(key);
}

static void buffers_that_are_too_small_stay_untouched(void **state)
{
    struct hpke_channel ch;
    uint8_t ct[21];
    uint8_t sealed[1120 + 21];
    uint8_t plain[5];
    size_t len = 99;
    const aril_bytes text = ARILI_LITERAL("hello");
    (void)state;
    hpke_channel_open(&ch, first, NULL);
    for (size_t cap = 0; cap < sizeof ct; cap++) {
        memset(ct, 0xaa, sizeof ct);
        assert_status(arili_hpke_seal(&ch.tx, none, text, ct, cap, &len), ARIL_E_USAGE_TOO_SMALL);
        assert_true(provider_all(ct, sizeof ct, 0xaa));
    }
    for (size_t cap = 0; cap < sizeof sealed; cap += 20) {
        memset(sealed, 0xaa, sizeof sealed);
        assert_status(arili_hpke_seal_once(provider(), first, arili_hpke_key_public(ch.key), none,
                                           NULL, none, text, sealed, cap, &len),
                      ARIL_E_USAGE_TOO_SMALL);
        assert_true(provider_all(sealed, sizeof sealed, 0xaa));
    }
    assert_status(arili_hpke_seal_once(provider(), first, arili_hpke_key_public(ch.key), none, NULL,
                                       none, text, sealed, sizeof sealed, &len),
                  ARIL_OK);
    memset(plain, 0xaa, sizeof plain);
    len = 99;
    assert_status(arili_hpke_open_once(provider(), first, ch.key, none, NULL, none,
                                       (aril_bytes){ sealed, sizeof sealed }, plain,
                                       sizeof plain - 1, &len),
                  ARIL_E_USAGE_TOO_SMALL);
    for (size_t cut = 0; cut < 1120 + 16; cut += 71) {
        assert_status(arili_hpke_open_once(provider(), first, ch.key, none, NULL, none,
                                           (aril_bytes){ sealed, cut }, plain, sizeof plain, &len),
                      ARIL_E_FORMAT_TRUNCATED);
    }
    assert_status(
        arili_hpke_open(&ch.rx, none, (aril_bytes){ sealed, 15 }, plain, sizeof plain, &len),
        ARIL_E_FORMAT_TRUNCATED);
    assert_true(provider_all(plain, sizeof plain, 0xaa));
    assert_int_equal(len, 99);
    hpke_channel_close(&ch);
}

static void overlapping_buffers_are_refused(void **state)
{
    struct hpke_channel ch;
    uint8_t buf[1300] = { 0 };
    size_t len = 0;
    (void)state;
    hpke_channel_open(&ch, first, NULL);
    assert_status(arili_hpke_seal(&ch.tx, none, (aril_bytes){ buf, 20 }, buf + 19, 40, &len),
                  ARIL_E_USAGE_OVERLAP);
    assert_status(arili_hpke_open(&ch.rx, none, (aril_bytes){ buf, 40 }, buf + 39, 40, &len),
                  ARIL_E_USAGE_OVERLAP);
    assert_status(arili_hpke_seal_once(provider(), first, arili_hpke_key_public(ch.key), none, NULL,
                                       none, (aril_bytes){ buf, 20 }, buf + 19, 1200, &len),
                  ARIL_E_USAGE_OVERLAP);
    assert_status(arili_hpke_open_once(provider(), first, ch.key, none, NULL, none,
                                       (aril_bytes){ buf, 1200 }, buf + 1100, 100, &len),
                  ARIL_E_USAGE_OVERLAP);
    hpke_channel_close(&ch);
}

static void without_randomness_nothing_is_made(void **state)
{
    struct faulty_crypto *const f = faulty_crypto_new(provider());
    const struct arili_crypto *const c = faulty_crypto_table(f);
    struct arili_hpke_key *key = NULL;
    struct arili_hpke_ctx ctx = { 0 };
    uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX];
    (void)state;
    faulty_crypto_arm_random(f, ARIL_E_RANDOM);
    for (size_t i = 0; i < HPKE_SUITES; i++) {
        assert_status(arili_hpke_key_generate(c, hpke_suites[i].kem, &key), ARIL_E_RANDOM);
        assert_null(key);
    }
    /* ML-KEM draws its own randomness inside the provider. */
    struct arili_hpke_key *const peer = hpke_key_new(first.kem);
    memset(enc, 0xaa, sizeof enc);
    assert_status(arili_hpke_setup_sender(c, first, arili_hpke_key_public(peer), none, NULL, NULL,
                                          enc, arili_hpke_enc_bytes(first.kem), &ctx),
                  ARIL_E_RANDOM);
    assert_true(provider_all(enc, sizeof enc, 0xaa));
    assert_true(provider_all((const uint8_t *)&ctx, sizeof ctx, 0));
    arili_hpke_key_free(peer);
    faulty_crypto_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_psk_needs_an_id_and_32_bytes),
        cmocka_unit_test(exports_end_at_255_blocks),
        cmocka_unit_test(every_wrong_length_is_refused),
        cmocka_unit_test(unknown_suites_are_refused),
        cmocka_unit_test(buffers_that_are_too_small_stay_untouched),
        cmocka_unit_test(overlapping_buffers_are_refused),
        cmocka_unit_test(without_randomness_nothing_is_made),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
