/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include "crypto/xaes.h"
#include "provider.h"
#include "shake128.h"
#include <string.h>

/* C2SP XAES-256-GCM, version 1. */

static const uint8_t first_body[] = { 0xce, 0x54, 0x6e, 0xf6, 0x3c, 0x9c, 0xc6, 0x07, 0x65, 0x92,
                                      0x36, 0x09, 0xb3, 0x3a, 0x9a, 0x19, 0x74, 0xe9, 0x6e, 0x52,
                                      0xda, 0xf2, 0xfc, 0xf7, 0x07, 0x5e, 0x22, 0x71 };
static const uint8_t first_k1[] = { 0xe5, 0x31, 0x95, 0x4a, 0xca, 0x06, 0x3d, 0x5b,
                                    0x8d, 0x9c, 0x47, 0xa4, 0x7d, 0x4c, 0xc6, 0xf0 };
static const uint8_t second_body[] = { 0x98, 0x6e, 0xc1, 0x83, 0x25, 0x93, 0xdf, 0x54, 0x43, 0xa1,
                                       0x79, 0x43, 0x7f, 0xd0, 0x83, 0xbf, 0x3f, 0xdb, 0x41, 0xab,
                                       0xd7, 0x40, 0xa2, 0x1f, 0x71, 0xeb, 0x76, 0x9d };
static const uint8_t second_k1[] = { 0x23, 0x81, 0x0e, 0xc5, 0x0e, 0xdb, 0x99, 0xf3,
                                     0x74, 0x40, 0x94, 0x66, 0xed, 0x1f, 0x4b, 0x7b };

static struct arili_aead_ctx *context_new(void)
{
    struct arili_aead_ctx *ctx = NULL;
    assert_status(provider()->ops->aead_new(provider()->provider, &ctx), ARIL_OK);
    return ctx;
}

static void run_vector(uint8_t key_byte, aril_bytes aad, const uint8_t *k1, const uint8_t *want)
{
    const struct arili_crypto *const c = provider();
    const aril_bytes plain = ARILI_LITERAL("XAES-256-GCM");
    uint8_t key[ARILI_AEAD_KEY_BYTES];
    uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    uint8_t out[12 + ARILI_AEAD_TAG_BYTES];
    struct arili_xaes x;
    struct arili_aead_ctx *const ctx = context_new();

    memset(key, key_byte, sizeof key);
    assert_status(arili_xaes_init(c, key, &x), ARIL_OK);
    assert_memory_equal(x.k1, k1, sizeof x.k1);
    assert_status(
        arili_xaes_message(&x, ARILI_LITERAL("ABCDEFGHIJKLMNOPQRSTUVWX").data, ctx, nonce),
        ARIL_OK);
    assert_memory_equal(nonce, "MNOPQRSTUVWX", sizeof nonce);
    assert_status(c->ops->aead_seal(ctx, nonce, aad, &plain, 1, out, out + plain.len), ARIL_OK);
    assert_memory_equal(out, want, sizeof out);
    arili_xaes_done(&x);
    assert_true(provider_all((const uint8_t *)&x, sizeof x, 0));
    c->ops->aead_free(ctx);
}

static void first_vector_where_the_top_bit_of_l_is_clear(void **state)
{
    (void)state;
    run_vector(1, (aril_bytes){ NULL, 0 }, first_k1, first_body);
}

static void second_vector_where_the_top_bit_of_l_is_set(void **state)
{
    (void)state;
    run_vector(3, ARILI_LITERAL("c2sp.org/XAES-256-GCM"), second_k1, second_body);
}

static void run_accumulated(unsigned rounds, const uint8_t want[32])
{
    const struct arili_crypto *const c = provider();
    struct arili_aead_ctx *const ctx = context_new();
    struct shake128 *const source = shake128_new();
    struct shake128 *const sink = shake128_new();

    for (unsigned i = 0; i < rounds; i++) {
        uint8_t key[32], nonce[24], len, plain[255], aad_len, aad[255], inner[12], out[255 + 16];
        struct arili_xaes x;
        shake128_read(source, key, sizeof key);
        shake128_read(source, nonce, sizeof nonce);
        shake128_read(source, &len, 1);
        shake128_read(source, plain, len);
        shake128_read(source, &aad_len, 1);
        shake128_read(source, aad, aad_len);
        const aril_bytes p = { plain, len };
        const aril_bytes a = { aad, aad_len };
        const aril_span opened = { plain, len };
        assert_status(arili_xaes_init(c, key, &x), ARIL_OK);
        assert_status(arili_xaes_message(&x, nonce, ctx, inner), ARIL_OK);
        assert_status(c->ops->aead_seal(ctx, inner, a, &p, 1, out, out + len), ARIL_OK);
        assert_status(
            c->ops->aead_open(ctx, inner, a, (aril_bytes){ out, len }, out + len, &opened, 1),
            ARIL_OK);
        shake128_write(sink, out, len + 16u);
    }
    shake128_end(sink, want);
    print_message("  XAES-256-GCM accumulated: %u rounds\n", rounds);
    shake128_free(source);
    c->ops->aead_free(ctx);
}

static void accumulated_hash_of_ten_thousand_rounds(void **state)
{
    static const uint8_t want[32] = { 0xe6, 0xb9, 0xed, 0xf2, 0xdf, 0x6c, 0xec, 0x60,
                                      0xc8, 0xcb, 0xd8, 0x64, 0xe2, 0x21, 0x1b, 0x59,
                                      0x7f, 0xb6, 0x9a, 0x52, 0x91, 0x60, 0xcd, 0x04,
                                      0x0d, 0x56, 0xc0, 0xc2, 0x10, 0x08, 0x19, 0x39 };
    (void)state;
    run_accumulated(10000, want);
}

/* Two seconds, and many more under a sanitizer. */
static void accumulated_hash_of_a_million_rounds(void **state)
{
    static const uint8_t want[32] = { 0x21, 0x63, 0xae, 0x14, 0x45, 0x98, 0x5a, 0x30,
                                      0xb6, 0x05, 0x85, 0xee, 0x67, 0xda, 0xa5, 0x56,
                                      0x74, 0xdf, 0x06, 0x90, 0x1b, 0x89, 0x05, 0x93,
                                      0xe8, 0x24, 0xb8, 0xa7, 0xc8, 0x85, 0xab, 0x15 };
    (void)state;
    if (SANITIZED) {
        skip();
    }
    run_accumulated(1000000, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_vector_where_the_top_bit_of_l_is_clear),
        cmocka_unit_test(second_vector_where_the_top_bit_of_l_is_set),
        cmocka_unit_test(accumulated_hash_of_ten_thousand_rounds),
        cmocka_unit_test(accumulated_hash_of_a_million_rounds),
    };
    return cmocka_run_group_tests(tests, provider_setup, provider_teardown);
}
