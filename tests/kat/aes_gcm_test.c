/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "provider.h"
#include "vectors.h"
#include <string.h>

#define FILE_NAME "aes-gcm/wycheproof_aes_gcm_test.json"

static bool run_case(struct vectors *v, const json_t *group, const json_t *t)
{
    const struct arili_crypto *const c = provider();
    const aril_bytes key = vectors_hex(v, t, "key");
    const aril_bytes iv = vectors_hex(v, t, "iv");
    const aril_bytes aad = vectors_hex(v, t, "aad");
    const aril_bytes msg = vectors_hex(v, t, "msg");
    const aril_bytes ct = vectors_hex(v, t, "ct");
    const aril_bytes tag = vectors_hex(v, t, "tag");
    const bool valid = vectors_is_valid(t);
    struct arili_aead_ctx *ctx = NULL;
    uint8_t out[1024];
    uint8_t out_tag[ARILI_AEAD_TAG_BYTES];

    if (vectors_number(group, "keySize") != 8 * ARILI_AEAD_KEY_BYTES ||
        vectors_number(group, "ivSize") != 8 * ARILI_AEAD_NONCE_BYTES) {
        return false;
    }
    assert_true(msg.len <= sizeof out && ct.len == msg.len && tag.len == sizeof out_tag);
    assert_status(c->ops->aead_new(c->provider, &ctx), ARIL_OK);
    assert_status(c->ops->aead_key(ctx, key.data), ARIL_OK);
    const aril_span span = { out, ct.len };
    assert_status(c->ops->aead_open(ctx, iv.data, aad, ct, tag.data, &span, 1),
                  valid ? ARIL_OK : ARIL_E_AUTH);
    if (valid) {
        assert_memory_equal(out, msg.data, msg.len);
    }
    assert_status(c->ops->aead_seal(ctx, iv.data, aad, &msg, 1, out, out_tag), ARIL_OK);
    if (valid) {
        assert_memory_equal(out, ct.data, ct.len);
        assert_memory_equal(out_tag, tag.data, tag.len);
    }
    c->ops->aead_free(ctx);
    return true;
}

static void wycheproof_cases_of_256_bit_keys_and_96_bit_nonces(void **state)
{
    (void)state;
    vectors_run(FILE_NAME, "testGroups", "tests", run_case,
                "of other key or nonce sizes: refused by design");
}

/* The one-message form: without associated data, the tag behind the ciphertext. */
static bool run_128(struct vectors *v, const json_t *group, const json_t *t)
{
    const struct arili_crypto *const c = provider();
    const aril_bytes key = vectors_hex(v, t, "key");
    const aril_bytes iv = vectors_hex(v, t, "iv");
    const aril_bytes msg = vectors_hex(v, t, "msg");
    const aril_bytes ct = vectors_hex(v, t, "ct");
    const aril_bytes tag = vectors_hex(v, t, "tag");
    const bool valid = vectors_is_valid(t);
    uint8_t body[1024];
    uint8_t out[1024];

    if (vectors_number(group, "keySize") != 8 * ARILI_GCM128_KEY_BYTES ||
        vectors_number(group, "ivSize") != 8 * ARILI_AEAD_NONCE_BYTES ||
        vectors_hex(v, t, "aad").len > 0) {
        return false;
    }
    assert_true(ct.len + tag.len <= sizeof body && ct.len == msg.len && tag.len == 16);
    memcpy(body, ct.data, ct.len);
    memcpy(body + ct.len, tag.data, tag.len);
    const aril_bytes b = { body, ct.len + tag.len };
    assert_status(c->ops->gcm128_open(c->provider, key.data, iv.data, b, out),
                  valid ? ARIL_OK : ARIL_E_AUTH);
    if (valid) {
        assert_memory_equal(out, msg.data, msg.len);
        assert_status(c->ops->gcm128_seal(c->provider, key.data, iv.data, msg, out), ARIL_OK);
        assert_memory_equal(out, body, b.len);
    }
    return true;
}

static void wycheproof_cases_of_128_bit_keys_without_associated_data(void **state)
{
    (void)state;
    const unsigned ran = vectors_run(FILE_NAME, "testGroups", "tests", run_128,
                                     "of other sizes, or with associated data");
    assert_int_equal(ran, 49);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wycheproof_cases_of_128_bit_keys_without_associated_data),
        cmocka_unit_test(wycheproof_cases_of_256_bit_keys_and_96_bit_nonces),
    };
    return vectors_exit_status(cmocka_run_group_tests(tests, provider_setup, provider_teardown));
}
