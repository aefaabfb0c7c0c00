/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/schedule.h"
#include "check.h"
#include <string.h>

#define DAY_S UINT64_C(86400)
#define NOW_S UINT64_C(1750000000)

/* --- Policies ------------------------------------------------------------------------------ */

static aril_key_policy defaults(void)
{
    aril_key_policy p;
    assert_status(arili_key_policy_complete(NULL, &p), ARIL_OK);
    return p;
}

static void defaults_are_those_of_hip_5(void **state)
{
    (void)state;
    const aril_key_policy p = defaults();
    assert_int_equal(p.root_days, 365);
    assert_int_equal(p.tenant_days, 365);
    assert_int_equal(p.data_days, 90);
    assert_int_equal(p.api_days, 30);
    assert_int_equal(p.bundle_days, 7);
    assert_int_equal(p.lead_s, 0);
    assert_int_equal(p.overdue_refuses, 0);
}

static void policies_may_be_tighter_and_not_looser(void **state)
{
    static const size_t members[] = { offsetof(aril_key_policy, root_days),
                                      offsetof(aril_key_policy, tenant_days),
                                      offsetof(aril_key_policy, data_days),
                                      offsetof(aril_key_policy, api_days),
                                      offsetof(aril_key_policy, bundle_days) };
    static const uint32_t most[] = { 365, 365, 90, 30, 7 };
    (void)state;
    for (size_t i = 0; i < COUNT(members); i++) {
        const uint32_t looser[] = { most[i] + 1, most[i] + 1000, UINT32_MAX };
        for (size_t k = 0; k < COUNT(looser); k++) {
            aril_key_policy in = { 0 };
            aril_key_policy out = { .root_days = 77 };
            memcpy((char *)&in + members[i], &looser[k], sizeof looser[k]);
            assert_status(arili_key_policy_complete(&in, &out), ARIL_E_USAGE_RANGE);
            assert_int_equal(out.root_days, 77);
        }
        for (uint32_t days = 1; days <= most[i]; days += most[i] - 1) {
            aril_key_policy in = { 0 };
            aril_key_policy out;
            uint32_t got;
            memcpy((char *)&in + members[i], &days, sizeof days);
            assert_status(arili_key_policy_complete(&in, &out), ARIL_OK);
            memcpy(&got, (const char *)&out + members[i], sizeof got);
            assert_int_equal(got, days);
        }
    }
}

static void a_lead_is_a_day_at_most(void **state)
{
    (void)state;
    aril_key_policy out;
    assert_status(arili_key_policy_complete(&(aril_key_policy){ .lead_s = 86400 }, &out), ARIL_OK);
    assert_int_equal(out.lead_s, 86400);
    assert_status(arili_key_policy_complete(&(aril_key_policy){ .lead_s = 86401 }, &out),
                  ARIL_E_USAGE_RANGE);
    assert_status(arili_key_policy_complete(&(aril_key_policy){ .overdue_refuses = 8 }, &out),
                  ARIL_OK);
    assert_int_equal(out.overdue_refuses, 1);
}

/* --- Dates --------------------------------------------------------------------------------- */

static void each_purpose_has_its_period(void **state)
{
    static const struct {
        aril_key_purpose purpose;
        uint64_t days;
    } periods[] = {
        { ARIL_KEY_ROOT, 300 }, { ARIL_KEY_TENANT, 200 }, { ARIL_KEY_MODEL, 0 },
        { ARIL_KEY_API, 20 },   { ARIL_KEY_DATA, 80 },    { ARIL_KEY_AUTHORITY, 300 },
        { ARIL_KEY_NODE, 300 }, { ARIL_KEY_NAME, 0 },     { ARIL_KEY_LEGACY, 0 },
    };
    const aril_key_policy policy = {
        .root_days = 300, .tenant_days = 200, .data_days = 80, .api_days = 20, .bundle_days = 5
    };
    (void)state;
    for (size_t i = 0; i < COUNT(periods); i++) {
        struct arili_key_row said = { .purpose = periods[i].purpose };
        arili_schedule_dates(&policy, NOW_S, NOW_S + 60, &said);
        assert_int_equal(said.created_s, NOW_S);
        assert_int_equal(said.changed_s, NOW_S);
        assert_int_equal(said.activates_s, NOW_S + 60);
        const uint64_t period_s = periods[i].days * DAY_S;
        assert_int_equal(said.rotate_by_s, period_s > 0 ? NOW_S + 60 + period_s : 0);
        assert_int_equal(said.not_after_s, period_s > 0 ? NOW_S + 60 + 2 * period_s : 0);
    }
}

/* An active data key of 90 days from NOW_S on. */
static struct arili_key_row data_key(void)
{
    const aril_key_policy policy = defaults();
    struct arili_key_row said = { .purpose = ARIL_KEY_DATA, .state = ARIL_KEY_ACTIVE };
    arili_schedule_dates(&policy, NOW_S, NOW_S, &said);
    return said;
}

static void a_key_is_due_in_the_last_tenth_and_overdue_and_ended_to_the_second(void **state)
{
    const struct arili_key_row said = data_key();
    static const struct {
        uint64_t after_s;
        aril_key_due due;
    } times[] = {
        { 0, ARIL_KEY_NOT_DUE },          { 81 * DAY_S - 1, ARIL_KEY_NOT_DUE },
        { 81 * DAY_S, ARIL_KEY_DUE },     { 90 * DAY_S - 1, ARIL_KEY_DUE },
        { 90 * DAY_S, ARIL_KEY_OVERDUE }, { 180 * DAY_S - 1, ARIL_KEY_OVERDUE },
        { 180 * DAY_S, ARIL_KEY_ENDED },  { 100000 * DAY_S, ARIL_KEY_ENDED },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(times); i++) {
        assert_int_equal(arili_schedule_due(&said, NOW_S + times[i].after_s), times[i].due);
    }
    assert_int_equal(arili_schedule_due(&said, NOW_S - 1), ARIL_KEY_NOT_DUE);
}

static void keys_that_are_not_active_or_have_no_dates_are_never_due(void **state)
{
    static const aril_key_state states[] = { ARIL_KEY_DECRYPT_ONLY, ARIL_KEY_RETIRED,
                                             ARIL_KEY_DESTROYED };
    struct arili_key_row said = data_key();
    (void)state;
    for (size_t i = 0; i < COUNT(states); i++) {
        said.state = states[i];
        assert_int_equal(arili_schedule_due(&said, NOW_S + 1000 * DAY_S), ARIL_KEY_NOT_DUE);
        assert_false(arili_schedule_is_active(&said, NOW_S + 1));
    }
    said.state = ARIL_KEY_ACTIVE;
    said.rotate_by_s = said.not_after_s = 0;
    assert_int_equal(arili_schedule_due(&said, UINT64_MAX), ARIL_KEY_NOT_DUE);
    assert_status(
        arili_schedule_may_seal(&said, &(aril_key_policy){ .overdue_refuses = 1 }, UINT64_MAX),
        ARIL_OK);
}

/* --- Sealing ------------------------------------------------------------------------------- */

static void a_pending_key_seals_from_its_second_on(void **state)
{
    const aril_key_policy policy = defaults();
    struct arili_key_row said = data_key();
    (void)state;
    said.state = ARIL_KEY_PENDING;
    said.activates_s = NOW_S + 100;
    assert_false(arili_schedule_is_active(&said, NOW_S + 99));
    assert_status(arili_schedule_may_seal(&said, &policy, NOW_S + 99), ARIL_E_KEY_INACTIVE);
    assert_true(arili_schedule_is_active(&said, NOW_S + 100));
    assert_status(arili_schedule_may_seal(&said, &policy, NOW_S + 100), ARIL_OK);
    assert_int_equal(arili_schedule_due(&said, said.rotate_by_s), ARIL_KEY_OVERDUE);
    said.state = ARIL_KEY_ACTIVE;
    assert_status(arili_schedule_may_seal(&said, &policy, NOW_S + 99), ARIL_E_KEY_INACTIVE);
}

static void overdue_seals_by_policy_and_ended_never(void **state)
{
    const aril_key_policy warns = defaults();
    aril_key_policy refuses = warns;
    const struct arili_key_row said = data_key();
    refuses.overdue_refuses = 1;
    (void)state;
    assert_status(arili_schedule_may_seal(&said, &refuses, said.rotate_by_s - 1), ARIL_OK);
    assert_status(arili_schedule_may_seal(&said, &refuses, said.rotate_by_s), ARIL_E_KEY_OVERDUE);
    assert_status(arili_schedule_may_seal(&said, &warns, said.rotate_by_s), ARIL_OK);
    assert_status(arili_schedule_may_seal(&said, &warns, said.not_after_s - 1), ARIL_OK);
    assert_status(arili_schedule_may_seal(&said, &warns, said.not_after_s), ARIL_E_KEY_OVERDUE);
}

static void keys_that_only_open_seal_nothing(void **state)
{
    static const aril_key_state states[] = { ARIL_KEY_DECRYPT_ONLY, ARIL_KEY_RETIRED,
                                             ARIL_KEY_DESTROYED };
    const aril_key_policy policy = defaults();
    struct arili_key_row said = data_key();
    (void)state;
    for (size_t i = 0; i < COUNT(states); i++) {
        said.state = states[i];
        assert_status(arili_schedule_may_seal(&said, &policy, NOW_S + 1), ARIL_E_KEY_INACTIVE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_hip_5),
        cmocka_unit_test(policies_may_be_tighter_and_not_looser),
        cmocka_unit_test(a_lead_is_a_day_at_most),
        cmocka_unit_test(each_purpose_has_its_period),
        cmocka_unit_test(a_key_is_due_in_the_last_tenth_and_overdue_and_ended_to_the_second),
        cmocka_unit_test(keys_that_are_not_active_or_have_no_dates_are_never_due),
        cmocka_unit_test(a_pending_key_seals_from_its_second_on),
        cmocka_unit_test(overdue_seals_by_policy_and_ended_never),
        cmocka_unit_test(keys_that_only_open_seal_nothing),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
