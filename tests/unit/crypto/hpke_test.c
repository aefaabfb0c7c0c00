/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hpke.h"
#include "base/bytes.h"
#include "check.h"
#include "hpke_channel.h"
#include "provider.h"
#include <string.h>

static const struct arili_hpke_suite first = { ARILI_HPKE_X_WING, ARILI_HPKE_HKDF_SHA256 };
static const aril_bytes none = { NULL, 0 };

static void every_suite_carries_messages_in_both_modes(void **state)
{
    struct hpke_channel ch;
    uint8_t ct[100];
    uint8_t plain[100];
    size_t len = 0;
    (void)state;
    for (size_t i = 0; i < HPKE_SUITES; i++) {
        for (int with_psk = 0; with_psk < 2; with_psk++) {
            hpke_channel_open(&ch, hpke_suites[i], with_psk ? &hpke_test_psk : NULL);
            for (uint8_t n = 0; n < 5; n++) {
                const aril_bytes aad = { &n, 1 };
                assert_status(
                    arili_hpke_seal(&ch.tx, aad, ARILI_LITERAL("hello"), ct, sizeof ct, &len),
                    ARIL_OK);
                assert_int_equal(len, 5 + ARILI_AEAD_TAG_BYTES);
                assert_status(arili_hpke_open(&ch.rx, aad, (aril_bytes){ ct, len }, plain,
                                              sizeof plain, &len),
                              ARIL_OK);
                assert_int_equal(len, 5);
                assert_memory_equal(plain, "hello", 5);
            }
            hpke_channel_close(&ch);
        }
    }
}

static void psk_mode_and_base_mode_do_not_meet(void **state)
{
    uint8_t out[2000];
    uint8_t plain[100];
    size_t len = 0;
    size_t plain_len = 0;
    struct arili_hpke_key *const key = hpke_key_new(first.kem);
    struct arili_hpke_psk other = hpke_test_psk;
    uint8_t other_bytes[33] = { 1, 2, 3 };
    (void)state;
    assert_status(arili_hpke_seal_once(provider(), first, arili_hpke_key_public(key), none,
                                       &hpke_test_psk, none, ARILI_LITERAL("text"), out, sizeof out,
                                       &len),
                  ARIL_OK);
    const aril_bytes sealed = { out, len };
    memset(plain, 0xaa, sizeof plain);
    assert_status(arili_hpke_open_once(provider(), first, key, none, NULL, none, sealed, plain,
                                       sizeof plain, &plain_len),
                  ARIL_E_AUTH);
    other.id = ARILI_LITERAL("other id");
    assert_status(arili_hpke_open_once(provider(), first, key, none, &other, none, sealed, plain,
                                       sizeof plain, &plain_len),
                  ARIL_E_AUTH);
    other = hpke_test_psk;
    other.psk = (aril_bytes){ other_bytes, sizeof other_bytes };
    assert_status(arili_hpke_open_once(provider(), first, key, none, &other, none, sealed, plain,
                                       sizeof plain, &plain_len),
                  ARIL_E_AUTH);
    assert_true(provider_all(plain, 4, 0));
    assert_true(provider_all(plain + 4, sizeof plain - 4, 0xaa));
    assert_int_equal(plain_len, 0);
    assert_status(arili_hpke_open_once(provider(), first, key, none, &hpke_test_psk, none, sealed,
                                       plain, sizeof plain, &plain_len),
                  ARIL_OK);
    arili_hpke_key_free(key);
}

static void each_byte_of_enc_ciphertext_aad_and_info_counts(void **state)
{
    uint8_t sealed[ARILI_HPKE_ENC_BYTES_MAX + 20];
    uint8_t info[] = { 'i', 'n', 'f', 'o' };
    uint8_t aad[] = { 'a', 'a', 'd' };
    uint8_t plain[4];
    size_t len = 0;
    size_t plain_len = 0;
    (void)state;
    for (size_t i = 0; i < HPKE_SUITES; i++) {
        struct arili_hpke_key *const key = hpke_key_new(hpke_suites[i].kem);
        assert_status(arili_hpke_seal_once(provider(), hpke_suites[i], arili_hpke_key_public(key),
                                           (aril_bytes){ info, sizeof info }, NULL,
                                           (aril_bytes){ aad, sizeof aad }, ARILI_LITERAL("text"),
                                           sealed, sizeof sealed, &len),
                      ARIL_OK);
        const struct {
            uint8_t *bytes;
            size_t len;
            size_t step;
        } parts[] = { { sealed, len, len > 200 ? 23 : 1 },
                      { sealed + len - 20, 20, 1 },
                      { info, sizeof info, 1 },
                      { aad, sizeof aad, 1 } };
        for (size_t k = 0; k < COUNT(parts); k++) {
            for (size_t at = 0; at < parts[k].len; at += parts[k].step) {
                parts[k].bytes[at] ^= 1;
                memset(plain, 0xaa, sizeof plain);
                assert_status(arili_hpke_open_once(provider(), hpke_suites[i], key,
                                                   (aril_bytes){ info, sizeof info }, NULL,
                                                   (aril_bytes){ aad, sizeof aad },
                                                   (aril_bytes){ sealed, len }, plain, sizeof plain,
                                                   &plain_len),
                              ARIL_E_AUTH);
                assert_true(provider_all(plain, sizeof plain, 0));
                parts[k].bytes[at] ^= 1;
            }
        }
        assert_status(
            arili_hpke_open_once(provider(), hpke_suites[i], key, (aril_bytes){ info, sizeof info },
                                 NULL, (aril_bytes){ aad, sizeof aad }, (aril_bytes){ sealed, len },
                                 plain, sizeof plain, &plain_len),
            ARIL_OK);
        arili_hpke_key_free(key);
    }
}

static void the_kdf_is_part_of_the_suite(void **state)
{
    const struct arili_hpke_suite other = { ARILI_HPKE_X_WING, ARILI_HPKE_HKDF_SHA384 };
    struct arili_hpke_key *const key = hpke_key_new(first.kem);
    uint8_t sealed[1200];
    uint8_t plain[4];
    size_t len = 0;
    (void)state;
    assert_status(arili_hpke_seal_once(provider(), first, arili_hpke_key_public(key), none, NULL,
                                       none, ARILI_LITERAL("text"), sealed, sizeof sealed, &len),
                  ARIL_OK);
    assert_status(arili_hpke_open_once(provider(), other, key, none, NULL, none,
                                       (aril_bytes){ sealed, len }, plain, sizeof plain, &len),
                  ARIL_E_AUTH);
    arili_hpke_key_free(key);
}

static void messages_open_in_order_and_once(void **state)
{
    struct hpke_channel ch;
    uint8_t ct[3][17];
    uint8_t plain[1];
    size_t len = 0;
    (void)state;
    hpke_channel_open(&ch, first, NULL);
    for (uint8_t i = 0; i < 3; i++) {
        assert_status(
            arili_hpke_seal(&ch.tx, none, (aril_bytes){ &i, 1 }, ct[i], sizeof ct[i], &len),
            ARIL_OK);
    }
    assert_int_equal(ch.tx.seq, 3);
    assert_status(arili_hpke_open(&ch.rx, none, (aril_bytes){ ct[1], 17 }, plain, 1, &len),
                  ARIL_E_AUTH);
    assert_int_equal(ch.rx.seq, 0); /* a failure does not use up a number */
    for (uint8_t i = 0; i < 3; i++) {
        assert_status(arili_hpke_open(&ch.rx, none, (aril_bytes){ ct[i], 17 }, plain, 1, &len),
                      ARIL_OK);
        assert_int_equal(plain[0], i);
        assert_status(arili_hpke_open(&ch.rx, none, (aril_bytes){ ct[i], 17 }, plain, 1, &len),
                      ARIL_E_AUTH);
    }
    hpke_channel_close(&ch);
}

static void the_sequence_number_never_wraps(void **state)
{
    struct hpke_channel ch;
    uint8_t ct[17];
    uint8_t plain[1];
    size_t len = 99;
    (void)state;
    hpke_channel_open(&ch, first, NULL);
    ch.tx.seq = ch.rx.seq = UINT64_MAX - 1;
    assert_status(arili_hpke_seal(&ch.tx, none, ARILI_LITERAL("x"), ct, sizeof ct, &len), ARIL_OK);
    assert_status(arili_hpke_open(&ch.rx, none, (aril_bytes){ ct, 17 }, plain, 1, &len), ARIL_OK);
    memset(ct, 0xaa, sizeof ct);
    len = 99;
    assert_status(arili_hpke_seal(&ch.tx, none, ARILI_LITERAL("x"), ct, sizeof ct, &len),
                  ARIL_E_LIMIT);
    assert_status(arili_hpke_open(&ch.rx, none, (aril_bytes){ ct, 17 }, plain, 1, &len),
                  ARIL_E_LIMIT);
    assert_true(provider_all(ct, sizeof ct, 0xaa));
    assert_int_equal(len, 99);
    hpke_channel_close(&ch);
}

static void directions_are_not_mixed_up(void **state)
{
    struct hpke_channel ch;
    uint8_t ct[40] = { 0 };
    size_t len = 0;
    (void)state;
    hpke_channel_open(&ch, first, NULL);
    assert_status(arili_hpke_seal(&ch.rx, none, ARILI_LITERAL("x"), ct, sizeof ct, &len),
                  ARIL_E_USAGE_STATE);
    assert_status(arili_hpke_open(&ch.tx, none, (aril_bytes){ ct, 17 }, ct + 20, 1, &len),
                  ARIL_E_USAGE_STATE);
    hpke_channel_close(&ch);
}

static void key_pairs_derive_from_longer_material(void **state)
{
    uint8_t ikm[100];
    (void)state;
    provider_pattern(ikm, sizeof ikm, 1);
    for (size_t i = 0; i < HPKE_SUITES; i++) {
        struct arili_hpke_key *a = NULL;
        struct arili_hpke_key *b = NULL;
        const size_t len = arili_hpke_seed_bytes(hpke_suites[i].kem);
        assert_status(
            arili_hpke_key_derive(provider(), hpke_suites[i].kem, (aril_bytes){ ikm, len }, &a),
            ARIL_OK);
        assert_status(arili_hpke_key_derive(provider(), hpke_suites[i].kem,
                                            (aril_bytes){ ikm, sizeof ikm }, &b),
                      ARIL_OK);
        const aril_bytes pa = arili_hpke_key_public(a);
        const aril_bytes pb = arili_hpke_key_public(b);
        assert_int_equal(pa.len, arili_hpke_public_bytes(hpke_suites[i].kem));
        assert_memory_not_equal(pa.data, pb.data, pa.len);
        arili_hpke_key_free(a);
        arili_hpke_key_free(b);
    }
    arili_hpke_key_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_suite_carries_messages_in_both_modes),
        cmocka_unit_test(psk_mode_and_base_mode_do_not_meet),
        cmocka_unit_test(each_byte_of_enc_ciphertext_aad_and_info_counts),
        cmocka_unit_test(the_kdf_is_part_of_the_suite),
        cmocka_unit_test(messages_open_in_order_and_once),
        cmocka_unit_test(the_sequence_number_never_wraps),
        cmocka_unit_test(directions_are_not_mixed_up),
        cmocka_unit_test(key_pairs_derive_from_longer_material),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
