/* SPDX-License-Identifier: Apache-2.0 */
#include "audit/names.h"
#include "check.h"
#include <aril/keyring.h>

/* Log readers filter by these words, so they are fixed. */
static void every_kind_has_its_word(void **state)
{
    (void)state;
    static const char *const words[] = {
        "session", "encrypt",      "decrypt", "rotate",  "retire", "close",  "isolation-violation",
        "replay",  "auth-failure", "key",     "keyring", "fleet",  "service"
    };
    assert_int_equal(COUNT(words), ARIL_EVENT_KINDS);
    for (unsigned kind = 0; kind < ARIL_EVENT_KINDS; kind++) {
        assert_string_equal(aril_event_kind_name((aril_event_kind)kind), words[kind]);
    }
}

static void every_reason_and_direction_has_its_word(void **state)
{
    (void)state;
    static const char *const reasons[] = { "none", "records", "bytes", "age", "manual", "peer" };
    for (unsigned r = 0; r < COUNT(reasons); r++) {
        assert_string_equal(arili_rotate_reason_name((aril_rotate_reason)r), reasons[r]);
    }
    assert_string_equal(arili_direction_name(ARIL_TENANT_TO_SERVER), "tenant-to-server");
    assert_string_equal(arili_direction_name(ARIL_SERVER_TO_TENANT), "server-to-tenant");
}

/* Log readers filter by these as well; they are those of aril/keyring.h. */
static void every_purpose_and_state_has_its_word(void **state)
{
    (void)state;
    static const char *const purposes[] = { "none",      "root", "tenant", "model", "api",
                                            "authority", "node", "data",   "name",  "legacy" };
    static const char *const states[] = { "none",         "pending", "active",
                                          "decrypt-only", "retired", "destroyed" };
    assert_int_equal(COUNT(purposes), ARIL_KEY_PURPOSES);
    for (unsigned p = 0; p < 256; p++) {
        assert_string_equal(arili_event_purpose_name((uint8_t)p),
                            p < COUNT(purposes) ? purposes[p] : "unknown");
        assert_string_equal(arili_event_state_name((uint8_t)p),
                            p < COUNT(states) ? states[p] : "unknown");
    }
}

static void numbers_out_of_range_are_answered(void **state)
{
    (void)state;
    assert_string_equal(aril_event_kind_name((aril_event_kind)ARIL_EVENT_KINDS), "unknown");
    assert_string_equal(aril_event_kind_name((aril_event_kind)1000), "unknown");
    assert_string_equal(arili_rotate_reason_name((aril_rotate_reason)6), "unknown");
    assert_string_equal(arili_direction_name((aril_direction)2), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_its_word),
        cmocka_unit_test(every_reason_and_direction_has_its_word),
        cmocka_unit_test(every_purpose_and_state_has_its_word),
        cmocka_unit_test(numbers_out_of_range_are_answered),
    };
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
