/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "identities.h"
#include <stdbool.h>
#include <string.h>

#define FILL      0xee
#define LEN_UNSET 9999u

static aril_identity *other65;

static void did_of(const aril_identity *id, aril_did_method method, char *ret)
{
    size_t len = 0;
    assert_status(aril_did_write(rt, method, aril_identity_alg(id), aril_identity_public(id), ret,
                                 ARIL_DID_BYTES_MAX, &len),
                  ARIL_OK);
    assert_int_equal(len, strlen(ret));
}

static aril_status check_did(const char *did, const aril_identity *id)
{
    return aril_did_check(rt, did, aril_identity_alg(id), aril_identity_public(id));
}

static void a_did_belongs_to_its_key_and_to_no_other(void **state)
{
    (void)state;
    const aril_identity *ids[] = { id65, id87, other65 };
    for (int method = ARIL_DID_PQAID; method <= ARIL_DID_KEY; method++) {
        for (size_t i = 0; i < COUNT(ids); i++) {
            char did[ARIL_DID_BYTES_MAX];
            did_of(ids[i], (aril_did_method)method, did);
            assert_memory_equal(did, method == ARIL_DID_KEY ? "did:key:z" : "did:pqaid:", 9);
            for (size_t k = 0; k < COUNT(ids); k++) {
                assert_status(check_did(did, ids[k]), i == k ? ARIL_OK : ARIL_E_TRUST_DID);
            }
        }
    }
}

static void a_did_does_not_belong_to_a_key_of_another_algorithm(void **state)
{
    (void)state;
    char did[ARIL_DID_BYTES_MAX];
    const aril_bytes pk = aril_identity_public(id65);
    for (int method = ARIL_DID_PQAID; method <= ARIL_DID_KEY; method++) {
        did_of(id65, (aril_did_method)method, did);
        assert_status(aril_did_check(rt, did, ARIL_ML_DSA_87, pk), ARIL_E_TRUST_DID);
        const aril_bytes shorter = { pk.data, pk.len - 1 };
        assert_status(aril_did_check(rt, did, ARIL_ML_DSA_65, shorter), ARIL_E_TRUST_DID);
        const aril_bytes none = { NULL, 0 };
        assert_status(aril_did_check(rt, did, ARIL_ML_DSA_65, none), ARIL_E_TRUST_DID);
    }
}

static void every_changed_digit_of_a_pqaid_is_another_key(void **state)
{
    (void)state;
    char did[ARIL_DID_BYTES_MAX];
    did_of(id65, ARIL_DID_PQAID, did);
    for (size_t at = 10; at < strlen(did); at++) {
        const char kept = did[at];
        did[at] = kept == '0' ? '1' : '0';
        assert_status(check_did(did, id65), ARIL_E_TRUST_DID);
        if (kept >= 'a') {
            did[at] = (char)(kept - 'a' + 'A');
            assert_status(check_did(did, id65), ARIL_E_FORMAT_FIELD);
        }
        did[at] = kept;
    }
    assert_status(check_did(did, id65), ARIL_OK);
}

static void what_is_no_did_of_ours_is_a_format_error(void **state)
{
    (void)state;
    static char did[5001];
    did_of(id65, ARIL_DID_KEY, did);
    const size_t len = strlen(did);
    /* One by one: valgrind takes a fortified memmove for a memcpy. */
    for (size_t i = len + 1; i > 9; i--) {
        did[i] = did[i - 1];
    }
    did[9] = '1'; /* base58 of a leading zero byte */
    assert_status_class(check_did(did, id65), ARIL_E_FORMAT);
    memset(did, 'z', 5000);
    memcpy(did, "did:key:z", 9);
    assert_status(check_did(did, id65), ARIL_E_FORMAT_LENGTH);
    assert_status(check_did("", id65), ARIL_E_FORMAT_KIND);
    assert_status(check_did("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", id65),
                  ARIL_E_FORMAT_KIND);
}

static void a_too_small_buffer_is_left_alone(void **state)
{
    (void)state;
    const aril_bytes pk = aril_identity_public(id65);
    for (int method = ARIL_DID_PQAID; method <= ARIL_DID_KEY; method++) {
        char did[ARIL_DID_BYTES_MAX];
        did_of(id65, (aril_did_method)method, did);
        const size_t want = strlen(did);
        const size_t caps[] = { 0, 1, 10, want - 1, want };
        for (size_t i = 0; i < COUNT(caps); i++) {
            size_t len = LEN_UNSET;
            memset(did, FILL, sizeof did);
            assert_status(
                aril_did_write(rt, (aril_did_method)method, ARIL_ML_DSA_65, pk, did, caps[i], &len),
                ARIL_E_USAGE_TOO_SMALL);
            assert_int_equal(len, LEN_UNSET);
            assert_int_equal((uint8_t)did[0], FILL);
        }
        size_t len = 0;
        assert_status(
            aril_did_write(rt, (aril_did_method)method, ARIL_ML_DSA_65, pk, did, want + 1, &len),
            ARIL_OK);
        assert_int_equal((uint8_t)did[want + 1], FILL);
    }
}

static void arguments_are_checked(void **state)
{
    (void)state;
    char did[ARIL_DID_BYTES_MAX];
    size_t len = LEN_UNSET;
    const aril_bytes pk = aril_identity_public(id65);
    const aril_bytes bad = { NULL, 1952 };
    const aril_bytes shorter = { pk.data, 1951 };
    assert_status(aril_did_write(NULL, ARIL_DID_KEY, ARIL_ML_DSA_65, pk, did, sizeof did, &len),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_did_write(rt, ARIL_DID_KEY, ARIL_ML_DSA_65, bad, did, sizeof did, &len),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_did_write(rt, ARIL_DID_KEY, ARIL_ML_DSA_65, pk, NULL, 1, &len),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_did_write(rt, ARIL_DID_KEY, ARIL_ML_DSA_65, pk, did, sizeof did, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_did_write(rt, (aril_did_method)2, ARIL_ML_DSA_65, pk, did, sizeof did, &len),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_did_write(rt, ARIL_DID_KEY, (aril_sign_alg)44, pk, did, sizeof did, &len),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_did_write(rt, ARIL_DID_KEY, ARIL_ML_DSA_87, pk, did, sizeof did, &len),
                  ARIL_E_USAGE_RANGE);
    assert_status(
        aril_did_write(rt, ARIL_DID_PQAID, ARIL_ML_DSA_65, shorter, did, sizeof did, &len),
        ARIL_E_USAGE_RANGE);
    assert_int_equal(len, LEN_UNSET);

    did_of(id65, ARIL_DID_PQAID, did);
    assert_status(aril_did_check(NULL, did, ARIL_ML_DSA_65, pk), ARIL_E_USAGE_NULL);
    assert_status(aril_did_check(rt, NULL, ARIL_ML_DSA_65, pk), ARIL_E_USAGE_NULL);
    assert_status(aril_did_check(rt, did, ARIL_ML_DSA_65, bad), ARIL_E_USAGE_NULL);
    assert_status(aril_did_check(rt, did, (aril_sign_alg)44, pk), ARIL_E_USAGE_RANGE);
}

static int set_up(void **state)
{
    if (identities_setup(state) != 0) {
        return -1;
    }
    return aril_identity_generate(rt, ARIL_ML_DSA_65, &other65) == ARIL_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    aril_identity_free(other65);
    return identities_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_did_belongs_to_its_key_and_to_no_other),
        cmocka_unit_test(a_did_does_not_belong_to_a_key_of_another_algorithm),
        cmocka_unit_test(every_changed_digit_of_a_pqaid_is_another_key),
        cmocka_unit_test(what_is_no_did_of_ours_is_a_format_error),
        cmocka_unit_test(a_too_small_buffer_is_left_alone),
        cmocka_unit_test(arguments_are_checked),
    };
    return cmocka_run_group_tests_name("dids of identities", tests, set_up, tear_down);
}
