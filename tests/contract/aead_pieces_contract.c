/* SPDX-License-Identifier: Apache-2.0 */
#include "aead_contract.h"
#include "check.h"
#include "provider.h"
#include <string.h>

/* Messages in pieces are those of one call. */

#define AAD_BYTES 48u
#define LEN_MAX   300u
#define FILLER    0xa7

static const struct arili_crypto *crypto;

static uint8_t key[ARILI_AEAD_KEY_BYTES], nonce[ARILI_AEAD_NONCE_BYTES], aad_bytes[AAD_BYTES];
static uint8_t plain[LEN_MAX], want[LEN_MAX], want_tag[ARILI_AEAD_TAG_BYTES];
static const aril_bytes aad = { aad_bytes, AAD_BYTES };
static struct arili_aead_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    provider_pattern(key, sizeof key, 1);
    provider_pattern(nonce, sizeof nonce, 2);
    provider_pattern(aad_bytes, sizeof aad_bytes, 3);
    provider_pattern(plain, sizeof plain, 4);
    return crypto->ops->aead_new(crypto->provider, &ctx) == ARIL_OK &&
                   crypto->ops->aead_key(ctx, key) == ARIL_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    crypto->ops->aead_free(ctx);
    ctx = NULL;
    return 0;
}

/* What one call makes of the first len bytes: want and want_tag. */
static void seal_whole(size_t len)
{
    const aril_bytes span = { plain, len };
    assert_status(crypto->ops->aead_seal(ctx, nonce, aad, &span, 1, want, want_tag), ARIL_OK);
}

/* Seals [0, a), [a, b), [b, len) from in to out, which may be the same, and compares. */
static void seal_in_three(const uint8_t *in, uint8_t *out, size_t a, size_t b, size_t len)
{
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    const struct arili_crypto_ops *const ops = crypto->ops;
    assert_status(ops->aead_seal_begin(ctx, nonce, aad), ARIL_OK);
    assert_status(ops->aead_seal_more(ctx, (aril_bytes){ in, a }, out), ARIL_OK);
    assert_status(ops->aead_seal_more(ctx, (aril_bytes){ in + a, b - a }, out + a), ARIL_OK);
    assert_status(ops->aead_seal_more(ctx, (aril_bytes){ in + b, len - b }, out + b), ARIL_OK);
    assert_status(ops->aead_seal_end(ctx, tag), ARIL_OK);
    assert_memory_equal(out, want, len);
    assert_memory_equal(tag, want_tag, sizeof tag);
}

/* The same way back. */
static void open_in_three(const uint8_t *in, uint8_t *out, size_t a, size_t b, size_t len)
{
    const struct arili_crypto_ops *const ops = crypto->ops;
    assert_status(ops->aead_open_begin(ctx, nonce, aad), ARIL_OK);
    assert_status(ops->aead_open_more(ctx, (aril_bytes){ in, a }, out), ARIL_OK);
    assert_status(ops->aead_open_more(ctx, (aril_bytes){ in + a, b - a }, out + a), ARIL_OK);
    assert_status(ops->aead_open_more(ctx, (aril_bytes){ in + b, len - b }, out + b), ARIL_OK);
    assert_status(ops->aead_open_end(ctx, want_tag), ARIL_OK);
    assert_memory_equal(out, plain, len);
}

static void every_split_gives_the_bytes_of_one_call(void **state)
{
    static const size_t lens[] = { 0, 1, 15, 16, 17, 48, 67, 300 };
    uint8_t apart[LEN_MAX], place[LEN_MAX];
    (void)state;
    for (size_t i = 0; i < COUNT(lens); i++) {
        const size_t len = lens[i];
        const size_t step = len < 100 ? 1 : 23;
        seal_whole(len);
        for (size_t a = 0; a <= len; a += step) {
            for (size_t b = a; b <= len; b += step) {
                memset(apart, FILLER, sizeof apart);
                seal_in_three(plain, apart, a, b, len);
                assert_true(provider_all(apart + len, sizeof apart - len, FILLER));
                open_in_three(want, apart, a, b, len);
                assert_true(provider_all(apart + len, sizeof apart - len, FILLER));
                memcpy(place, plain, len);
                seal_in_three(place, place, a, b, len);
                open_in_three(place, place, a, b, len);
            }
        }
    }
}

static aril_status open_bytes(const uint8_t *body, size_t len, const uint8_t *tag,
                              const uint8_t *use_nonce, aril_bytes use_aad)
{
    uint8_t out[LEN_MAX];
    assert_status(crypto->ops->aead_open_begin(ctx, use_nonce, use_aad), ARIL_OK);
    for (size_t at = 0; at < len; at++) {
        assert_status(crypto->ops->aead_open_more(ctx, (aril_bytes){ body + at, 1 }, out + at),
                      ARIL_OK);
    }
    return crypto->ops->aead_open_end(ctx, tag);
}

static void every_bit_counts_byte_by_byte(void **state)
{
    uint8_t use_nonce[ARILI_AEAD_NONCE_BYTES], use_aad[AAD_BYTES];
    const size_t len = 33;
    const struct {
        uint8_t *bytes;
        size_t len;
    } parts[] = { { want, len }, { want_tag, 16 }, { use_nonce, 12 }, { use_aad, AAD_BYTES } };
    (void)state;
    memcpy(use_nonce, nonce, sizeof use_nonce);
    memcpy(use_aad, aad_bytes, sizeof use_aad);
    seal_whole(len);
    const aril_bytes with = { use_aad, AAD_BYTES };
    for (size_t p = 0; p < COUNT(parts); p++) {
        for (size_t bit = 0; bit < 8 * parts[p].len; bit++) {
            parts[p].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_status(open_bytes(want, len, want_tag, use_nonce, with), ARIL_E_AUTH);
            parts[p].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_status(open_bytes(want, len, want_tag, use_nonce, with), ARIL_OK);
    }
    assert_status(open_bytes(want, len - 1, want_tag, use_nonce, with), ARIL_E_AUTH);
    assert_status(open_bytes(want, 0, want_tag, use_nonce, with), ARIL_E_AUTH);
}

/* None of these goes on with a message. */
static void assert_nothing_is_under_way(void)
{
    uint8_t byte = FILLER;
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    const aril_bytes one = { plain, 1 };
    memset(tag, FILLER, sizeof tag);
    assert_status_class(crypto->ops->aead_seal_more(ctx, one, &byte), ARIL_E_USAGE);
    assert_status_class(crypto->ops->aead_seal_end(ctx, tag), ARIL_E_USAGE);
    assert_status_class(crypto->ops->aead_open_more(ctx, one, &byte), ARIL_E_USAGE);
    assert_status_class(crypto->ops->aead_open_end(ctx, want_tag), ARIL_E_USAGE);
    assert_int_equal(byte, FILLER);
    assert_true(provider_all(tag, sizeof tag, FILLER));
}

static void pieces_need_a_begin_of_their_own(void **state)
{
    const struct arili_crypto_ops *const ops = crypto->ops;
    uint8_t tag[ARILI_AEAD_TAG_BYTES];
    uint8_t out[LEN_MAX];
    const aril_span span = { out, 20 };
    (void)state;
    assert_nothing_is_under_way(); /* a new key */
    seal_whole(20);
    assert_nothing_is_under_way(); /* a whole message */
    assert_status(ops->aead_seal_begin(ctx, nonce, aad), ARIL_OK);
    assert_status_class(ops->aead_open_more(ctx, (aril_bytes){ want, 20 }, out), ARIL_E_USAGE);
    assert_status_class(ops->aead_open_end(ctx, want_tag), ARIL_E_USAGE);
    assert_status(ops->aead_seal_end(ctx, tag), ARIL_OK);
    assert_nothing_is_under_way(); /* an end */
    assert_status(ops->aead_open_begin(ctx, nonce, aad), ARIL_OK);
    assert_status_class(ops->aead_seal_more(ctx, (aril_bytes){ plain, 20 }, out), ARIL_E_USAGE);
    assert_status_class(ops->aead_seal_end(ctx, tag), ARIL_E_USAGE);
    assert_status(ops->aead_open_end(ctx, want_tag), ARIL_E_AUTH);
    assert_nothing_is_under_way(); /* an end that failed */
    assert_status(ops->aead_open_begin(ctx, nonce, aad), ARIL_OK);
    assert_status(ops->aead_open(ctx, nonce, aad, (aril_bytes){ want, 20 }, want_tag, &span, 1),
                  ARIL_OK);
    assert_nothing_is_under_way();
    assert_status(ops->aead_seal_begin(ctx, nonce, aad), ARIL_OK);
    assert_status(ops->aead_key(ctx, key), ARIL_OK);
    assert_nothing_is_under_way();
    assert_status(ops->aead_seal_begin(ctx, nonce, aad), ARIL_OK);
    ops->aead_wipe(ctx);
    assert_nothing_is_under_way();
    assert_status_class(ops->aead_seal_begin(ctx, nonce, aad), ARIL_E_USAGE);
    assert_status_class(ops->aead_open_begin(ctx, nonce, aad), ARIL_E_USAGE);
}

static void a_begin_starts_anew(void **state)
{
    uint8_t out[LEN_MAX];
    (void)state;
    seal_whole(40);
    assert_status(crypto->ops->aead_seal_begin(ctx, nonce, aad), ARIL_OK);
    assert_status(crypto->ops->aead_seal_more(ctx, (aril_bytes){ plain, 7 }, out), ARIL_OK);
    seal_in_three(plain, out, 3, 9, 40);
    assert_status(crypto->ops->aead_open_begin(ctx, nonce, aad), ARIL_OK);
    assert_status(crypto->ops->aead_open_more(ctx, (aril_bytes){ plain, 7 }, out), ARIL_OK);
    open_in_three(want, out, 3, 9, 40);
    /* No associated data is associated data too. */
    assert_status(crypto->ops->aead_seal_begin(ctx, nonce, (aril_bytes){ NULL, 0 }), ARIL_OK);
    assert_status(crypto->ops->aead_seal_end(ctx, out), ARIL_OK);
    assert_status(crypto->ops->aead_open(ctx, nonce, (aril_bytes){ NULL, 0 },
                                         (aril_bytes){ NULL, 0 }, out, NULL, 0),
                  ARIL_OK);
}

int aead_pieces_contract_run(const char *name, const struct arili_crypto *c)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_split_gives_the_bytes_of_one_call),
        TEST(every_bit_counts_byte_by_byte),
        TEST(pieces_need_a_begin_of_their_own),
        TEST(a_begin_starts_anew),
    };
    crypto = c;
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
