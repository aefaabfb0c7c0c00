/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "crypto/profile.h"
#include "session/policy.h"
#include <string.h>

#define DAYS_30 2592000u

static void nothing_given_means_the_documented_defaults(void **state)
{
    (void)state;
    const aril_policy empty = { 0 };
    const aril_policy *const inputs[] = { NULL, &empty };
    for (size_t i = 0; i < COUNT(inputs); i++) {
        aril_policy p;
        assert_status(arili_policy_complete(inputs[i], &p), ARIL_OK);
        assert_int_equal(p.rotate_records, 100000);
        assert_int_equal(p.rotate_bytes, UINT64_C(1) << 38);
        assert_int_equal(p.rotate_after_s, 300);
        assert_int_equal(p.ttl_s, 900);
        assert_int_equal(p.readable_epochs, 16);
    }
}

static void what_is_given_stays(void **state)
{
    (void)state;
    const aril_policy given = { .rotate_records = 7,
                                .rotate_bytes = 8,
                                .rotate_after_s = 9,
                                .ttl_s = 10,
                                .readable_epochs = 11 };
    aril_policy p;
    assert_status(arili_policy_complete(&given, &p), ARIL_OK);
    assert_int_equal(p.rotate_records, 7);
    assert_int_equal(p.rotate_bytes, 8);
    assert_int_equal(p.rotate_after_s, 9);
    assert_int_equal(p.ttl_s, 10);
    assert_int_equal(p.readable_epochs, 11);
}

static void each_member_alone_may_be_left_out(void **state)
{
    (void)state;
    aril_policy p;
    assert_status(arili_policy_complete(&(aril_policy){ .ttl_s = 5 }, &p), ARIL_OK);
    assert_int_equal(p.ttl_s, 5);
    assert_int_equal(p.rotate_records, 100000);
    assert_int_equal(p.readable_epochs, 16);
}

enum { RECORDS, BYTES, AFTER, TTL, READABLE, MEMBERS };

static aril_policy with(unsigned member, uint64_t value)
{
    aril_policy p = { 0 };
    switch (member) {
    case RECORDS:
        p.rotate_records = value;
        break;
    case BYTES:
        p.rotate_bytes = value;
        break;
    case AFTER:
        p.rotate_after_s = (uint32_t)value;
        break;
    case TTL:
        p.ttl_s = (uint32_t)value;
        break;
    default:
        p.readable_epochs = (uint32_t)value;
        break;
    }
    return p;
}

static void every_member_ends_at_its_documented_limit(void **state)
{
    (void)state;
    static const uint64_t largest[MEMBERS] = { UINT64_C(1) << 32, UINT64_C(1) << 38, DAYS_30,
                                               DAYS_30, 1024 };
    static const uint64_t of_type[MEMBERS] = { UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX,
                                               UINT32_MAX };
    for (unsigned m = 0; m < MEMBERS; m++) {
        aril_policy in = with(m, largest[m]);
        aril_policy p;
        assert_status(arili_policy_complete(&in, &p), ARIL_OK);
        in = with(m, 1);
        assert_status(arili_policy_complete(&in, &p), ARIL_OK);
        memset(&p, 0x5c, sizeof p);
        in = with(m, largest[m] + 1);
        assert_status(arili_policy_complete(&in, &p), ARIL_E_USAGE_RANGE);
        in = with(m, of_type[m]);
        assert_status(arili_policy_complete(&in, &p), ARIL_E_USAGE_RANGE);
        assert_true(is_filled(&p, sizeof p, 0x5c)); /* unchanged on failure */
    }
}

static void profiles_have_names_and_fixed_suites(void **state)
{
    (void)state;
    static const struct {
        aril_profile id;
        const char *name;
        aril_sign_alg sign;
        size_t hash, kem_public;
    } rows[] = {
        { ARIL_PROFILE_HYBRID, "hybrid", ARIL_ML_DSA_65, 32, 1216 },
        { ARIL_PROFILE_ML_KEM_768, "mlkem768", ARIL_ML_DSA_65, 32, 1184 },
        { ARIL_PROFILE_STRICT, "strict", ARIL_ML_DSA_87, 48, 1568 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct arili_profile *p = arili_profile_get(rows[i].id);
        assert_non_null(p);
        assert_int_equal(p->id, rows[i].id);
        assert_string_equal(aril_profile_name(rows[i].id), rows[i].name);
        assert_int_equal(p->sign, rows[i].sign);
        assert_int_equal(arili_hash_bytes(p->hash), rows[i].hash);
        assert_int_equal(arili_hpke_public_bytes(p->suite.kem), rows[i].kem_public);
    }
    static const int unknown[] = { 0, 4, 255, -1 };
    for (size_t i = 0; i < COUNT(unknown); i++) {
        assert_null(arili_profile_get((aril_profile)unknown[i]));
        assert_string_equal(aril_profile_name((aril_profile)unknown[i]), "unknown");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_means_the_documented_defaults),
        cmocka_unit_test(what_is_given_stays),
        cmocka_unit_test(each_member_alone_may_be_left_out),
        cmocka_unit_test(every_member_ends_at_its_documented_limit),
        cmocka_unit_test(profiles_have_names_and_fixed_suites),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
