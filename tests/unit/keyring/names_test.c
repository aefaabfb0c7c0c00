/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/names.h"
#include "check.h"
#include <aril/keyring.h>

/* Log readers and people read the same words. */
static void the_words_of_purposes_are_those_of_the_audit(void **state)
{
    (void)state;
    for (unsigned p = 1; p < ARIL_KEY_PURPOSES; p++) {
        assert_string_equal(aril_key_purpose_name((aril_key_purpose)p),
                            arili_event_purpose_name((uint8_t)p));
        for (unsigned q = 1; q < p; q++) {
            assert_string_not_equal(aril_key_purpose_name((aril_key_purpose)p),
                                    aril_key_purpose_name((aril_key_purpose)q));
        }
    }
}

static void the_words_of_states_are_those_of_the_audit(void **state)
{
    (void)state;
    for (unsigned s = ARIL_KEY_PENDING; s <= ARIL_KEY_DESTROYED; s++) {
        assert_string_equal(aril_key_state_name((aril_key_state)s),
                            arili_event_state_name((uint8_t)s));
    }
    assert_string_equal(aril_key_state_name(ARIL_KEY_DECRYPT_ONLY), "decrypt-only");
}

static void numbers_out_of_range_have_a_word(void **state)
{
    static const unsigned numbers[] = { 0, 10, 11, 255, 256, 1000 };
    (void)state;
    for (size_t i = 0; i < COUNT(numbers); i++) {
        assert_string_equal(aril_key_purpose_name((aril_key_purpose)numbers[i]), "unknown");
        assert_string_equal(aril_key_state_name((aril_key_state)numbers[i]), "unknown");
    }
    assert_string_equal(aril_key_state_name((aril_key_state)6), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_words_of_purposes_are_those_of_the_audit),
        cmocka_unit_test(the_words_of_states_are_those_of_the_audit),
        cmocka_unit_test(numbers_out_of_range_have_a_word),
    };
    return cmocka_run_group_tests_name("key names", tests, NULL, NULL);
}
