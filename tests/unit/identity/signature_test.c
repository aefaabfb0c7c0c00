/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "identities.h"
#include <string.h>

#define FILL      0xee
#define LEN_UNSET 9999u

static const aril_bytes label = { (const uint8_t *)"test label", 10 };
static const aril_bytes message = { (const uint8_t *)"a message", 9 };

static void a_context_of_255_bytes_is_the_longest(void **state)
{
    (void)state;
    uint8_t context[256];
    memset(context, 'c', sizeof context);
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len = LEN_UNSET;
    memset(sig, FILL, sizeof sig);
    assert_status(aril_identity_sign(id65, span(context, 256), message, sig, sizeof sig, &len),
                  ARIL_E_USAGE_RANGE);
    assert_int_equal(len, LEN_UNSET);
    assert_int_equal(sig[0], FILL);
    assert_status(aril_identity_sign(id65, span(context, 255), message, sig, sizeof sig, &len),
                  ARIL_OK);
    assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, public_of(id65), span(context, 255),
                                        message, span(sig, len)),
                  ARIL_OK);
    assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, public_of(id65), span(context, 256),
                                        message, span(sig, len)),
                  ARIL_E_USAGE_RANGE);
}

static void a_signature_is_good_for_its_own_context_message_and_key_only(void **state)
{
    (void)state;
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len = 0;
    const aril_bytes pk = public_of(id65);
    assert_status(aril_identity_sign(id65, label, message, sig, sizeof sig, &len), ARIL_OK);
    const aril_bytes s = span(sig, len);
    static const char *const contexts[] = { "", "test labe", "test label ", "Test label" };
    for (size_t i = 0; i < COUNT(contexts); i++) {
        assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, pk,
                                            span(contexts[i], strlen(contexts[i])), message, s),
                      ARIL_E_AUTH);
    }
    static const char *const messages[] = { "", "a messag", "a message ", "A message" };
    for (size_t i = 0; i < COUNT(messages); i++) {
        assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, pk, label,
                                            span(messages[i], strlen(messages[i])), s),
                      ARIL_E_AUTH);
    }
    /* The label and the message may not be moved into one another. */
    assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, pk, span(NULL, 0),
                                        span("test labela message", 19), s),
                  ARIL_E_AUTH);
    aril_identity *other = NULL;
    assert_status(aril_identity_generate(rt, ARIL_ML_DSA_65, &other), ARIL_OK);
    assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, public_of(other), label, message, s),
                  ARIL_E_AUTH);
    aril_identity_free(other);
    /* A key of the other algorithm has another length. */
    assert_status(aril_signature_verify(rt, ARIL_ML_DSA_87, pk, label, message, s),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_signature_verify(rt, ARIL_ML_DSA_87, public_of(id87), label, message, s),
                  ARIL_E_AUTH);
}

static void empty_context_and_empty_message_are_signed(void **state)
{
    (void)state;
    const aril_bytes none = { NULL, 0 };
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len = 0;
    assert_status(aril_identity_sign(id87, none, none, sig, sizeof sig, &len), ARIL_OK);
    assert_status(
        aril_signature_verify(rt, ARIL_ML_DSA_87, public_of(id87), none, none, span(sig, len)),
        ARIL_OK);
    assert_status(
        aril_signature_verify(rt, ARIL_ML_DSA_87, public_of(id87), label, none, span(sig, len)),
        ARIL_E_AUTH);
}

static void two_signatures_of_one_message_differ(void **state)
{
    (void)state;
    uint8_t a[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    uint8_t b[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len = 0;
    assert_status(aril_identity_sign(id65, label, message, a, sizeof a, &len), ARIL_OK);
    assert_status(aril_identity_sign(id65, label, message, b, sizeof b, &len), ARIL_OK);
    assert_memory_not_equal(a, b, len);
}

static void every_changed_part_of_a_signature_is_refused(void **state)
{
    (void)state;
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX + 1] = { 0 };
    size_t len = 0;
    assert_status(aril_identity_sign(id65, label, message, sig, sizeof sig, &len), ARIL_OK);
    for (size_t at = 0; at < len; at += at < len - 80 ? 23 : 1) {
        sig[at] ^= (uint8_t)(1u << (at % 8));
        assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, public_of(id65), label, message,
                                            span(sig, len)),
                      ARIL_E_AUTH);
        sig[at] ^= (uint8_t)(1u << (at % 8));
    }
    assert_status(
        aril_signature_verify(rt, ARIL_ML_DSA_65, public_of(id65), label, message, span(sig, len)),
        ARIL_OK);
}

static void a_signature_of_another_length_is_refused(void **state)
{
    (void)state;
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX] = { 0 };
    size_t len = 0;
    assert_status(aril_identity_sign(id65, label, message, sig, sizeof sig, &len), ARIL_OK);
    /* 3293 is Dilithium3 before FIPS 204. */
    static const size_t lengths[] = { 0, 1, 64, 3293, 3308, 3310, 4627 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, public_of(id65), label, message,
                                            span(sig, lengths[i])),
                      ARIL_E_AUTH);
    }
}

static void a_public_key_of_another_length_is_out_of_range(void **state)
{
    (void)state;
    uint8_t sig[3309] = { 0 };
    static const size_t lengths[] = { 0, 1, 1312, 1951, 2592 };
    uint8_t pk[2592] = { 0 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, span(pk, lengths[i]), label,
                                            message, span(sig, sizeof sig)),
                      ARIL_E_USAGE_RANGE);
    }
}

static void a_too_small_buffer_is_left_alone(void **state)
{
    (void)state;
    static const size_t caps[] = { 0, 1, 2420, 3293, 3308 };
    for (size_t i = 0; i < COUNT(caps); i++) {
        uint8_t sig[3309];
        memset(sig, FILL, sizeof sig);
        size_t len = LEN_UNSET;
        assert_status(aril_identity_sign(id65, label, message, sig, caps[i], &len),
                      ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal(len, LEN_UNSET);
        for (size_t k = 0; k < sizeof sig; k++) {
            assert_int_equal(sig[k], FILL);
        }
    }
}

static void a_signature_does_not_overwrite_what_is_signed(void **state)
{
    (void)state;
    uint8_t buf[3400];
    memset(buf, FILL, sizeof buf);
    size_t len = LEN_UNSET;
    assert_status(aril_identity_sign(id65, label, span(buf + 3308, 9), buf, sizeof buf, &len),
                  ARIL_E_USAGE_OVERLAP);
    assert_status(aril_identity_sign(id65, span(buf + 3308, 9), message, buf, sizeof buf, &len),
                  ARIL_E_USAGE_OVERLAP);
    assert_int_equal(len, LEN_UNSET);
    assert_status(aril_identity_sign(id65, label, span(buf + 3309, 9), buf, sizeof buf, &len),
                  ARIL_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_of_255_bytes_is_the_longest),
        cmocka_unit_test(a_signature_is_good_for_its_own_context_message_and_key_only),
        cmocka_unit_test(empty_context_and_empty_message_are_signed),
        cmocka_unit_test(two_signatures_of_one_message_differ),
        cmocka_unit_test(every_changed_part_of_a_signature_is_refused),
        cmocka_unit_test(a_signature_of_another_length_is_refused),
        cmocka_unit_test(a_public_key_of_another_length_is_out_of_range),
        cmocka_unit_test(a_too_small_buffer_is_left_alone),
        cmocka_unit_test(a_signature_does_not_overwrite_what_is_signed),
    };
    return cmocka_run_group_tests_name("signatures", tests, identities_setup, identities_teardown);
}
