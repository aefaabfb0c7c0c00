/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "identities.h"
#include "temp_folder.h"
#include <string.h>

#define FILL      0xee
#define LEN_UNSET 9999u
#define DATA      ARIL_TEST_DATA_DIR "/identity/"

static void a_public_key_is_written_and_read_as_pem(void **state)
{
    (void)state;
    const aril_identity *ids[] = { id65, id87 };
    for (size_t i = 0; i < COUNT(ids); i++) {
        char pem[ARIL_PUBLIC_PEM_BYTES_MAX];
        size_t len = 0;
        const aril_sign_alg alg = aril_identity_alg(ids[i]);
        assert_status(aril_identity_public_pem(rt, alg, public_of(ids[i]), pem, sizeof pem, &len),
                      ARIL_OK);
        assert_int_equal(len, strlen(pem));
        assert_int_equal(len, i == 0 ? 2726 : 3595);
        const char *path = temp_write("public.pem", 0644, span(pem, len));
        aril_sign_alg got_alg = 0;
        uint8_t pk[ARIL_SIGN_PUBLIC_BYTES_MAX];
        size_t pk_len = 0;
        assert_status(aril_public_key_load(rt, path, &got_alg, pk, sizeof pk, &pk_len, NULL),
                      ARIL_OK);
        assert_int_equal(got_alg, alg);
        assert_int_equal(pk_len, public_of(ids[i]).len);
        assert_memory_equal(pk, public_of(ids[i]).data, pk_len);

        static const size_t one_less[] = { 2726, 3595 };
        char small[ARIL_PUBLIC_PEM_BYTES_MAX];
        memset(small, FILL, sizeof small);
        size_t unset = LEN_UNSET;
        assert_status(
            aril_identity_public_pem(rt, alg, public_of(ids[i]), small, one_less[i], &unset),
            ARIL_E_USAGE_TOO_SMALL);
        assert_status(aril_identity_public_pem(rt, alg, public_of(ids[i]), NULL, 0, &unset),
                      ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal((uint8_t)small[0], FILL);
        assert_status(
            aril_public_key_load(rt, path, &got_alg, (uint8_t *)small, pk_len - 1, &unset, NULL),
            ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal((uint8_t)small[0], FILL);
        assert_int_equal(unset, LEN_UNSET);
    }
}

static void openssl_s_public_keys_are_written_the_same(void **state)
{
    (void)state;
    static const char *const names[] = { DATA "ml-dsa-65-public.pem", DATA "ml-dsa-87-public.pem" };
    for (size_t i = 0; i < COUNT(names); i++) {
        char want[4096];
        char pem[ARIL_PUBLIC_PEM_BYTES_MAX];
        const size_t want_len = file_read(names[i], want, sizeof want);
        aril_sign_alg alg = 0;
        uint8_t pk[ARIL_SIGN_PUBLIC_BYTES_MAX];
        size_t len = 0;
        assert_status(aril_public_key_load(rt, names[i], &alg, pk, sizeof pk, &len, NULL), ARIL_OK);
        assert_status(aril_identity_public_pem(rt, alg, span(pk, len), pem, sizeof pem, &len),
                      ARIL_OK);
        assert_int_equal(len, want_len);
        assert_memory_equal(pem, want, len);
    }
}

static void what_is_no_public_key_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        aril_status st;
        const char *words;
    } cases[] = {
        { DATA "ed25519-public.pem", ARIL_E_FORMAT_KIND, "aril identity show" },
        { DATA "ml-dsa-65-seed.pem", ARIL_E_FORMAT_KIND, "aril identity show" },
        { DATA "README.md", ARIL_E_FORMAT, "PUBLIC KEY" },
        { DATA "nothing", ARIL_E_NOT_FOUND, "nothing" },
        { DATA, ARIL_E_IO, "regular file" },
        { "/dev/zero", ARIL_E_IO, "regular file" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        aril_sign_alg alg = 0;
        uint8_t pk[ARIL_SIGN_PUBLIC_BYTES_MAX] = { 0 };
        size_t len = LEN_UNSET;
        aril_error error = { .status = ARIL_OK };
        assert_status(aril_public_key_load(rt, cases[i].path, &alg, pk, sizeof pk, &len, &error),
                      cases[i].st);
        assert_status(error.status, cases[i].st);
        if (strstr(error.message, cases[i].words) == NULL) {
            fail_msg("\"%s\" is not in \"%s\"", cases[i].words, error.message);
        }
        assert_int_equal(alg, 0);
        assert_int_equal(len, LEN_UNSET);
        assert_int_equal(pk[0], 0);
    }
}

static void public_key_functions_check_their_arguments(void **state)
{
    (void)state;
    char pem[ARIL_PUBLIC_PEM_BYTES_MAX];
    uint8_t pk[ARIL_SIGN_PUBLIC_BYTES_MAX];
    aril_sign_alg alg = 0;
    size_t len = LEN_UNSET;
    const char *path = DATA "ml-dsa-65-public.pem";
    const aril_bytes key = public_of(id65);
    const aril_bytes bad = { NULL, 1952 };
    assert_status(aril_identity_public_pem(NULL, ARIL_ML_DSA_65, key, pem, sizeof pem, &len),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_identity_public_pem(rt, ARIL_ML_DSA_65, bad, pem, sizeof pem, &len),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_identity_public_pem(rt, ARIL_ML_DSA_65, key, NULL, 1, &len),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_identity_public_pem(rt, ARIL_ML_DSA_65, key, pem, sizeof pem, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_identity_public_pem(rt, ARIL_ML_DSA_87, key, pem, sizeof pem, &len),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_identity_public_pem(rt, (aril_sign_alg)44, key, pem, sizeof pem, &len),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_public_key_load(NULL, path, &alg, pk, sizeof pk, &len, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_public_key_load(rt, NULL, &alg, pk, sizeof pk, &len, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_public_key_load(rt, path, NULL, pk, sizeof pk, &len, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_public_key_load(rt, path, &alg, NULL, 1, &len, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_public_key_load(rt, path, &alg, pk, sizeof pk, NULL, NULL),
                  ARIL_E_USAGE_NULL);
    assert_int_equal(len, LEN_UNSET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_public_key_is_written_and_read_as_pem),
        cmocka_unit_test(openssl_s_public_keys_are_written_the_same),
        cmocka_unit_test(what_is_no_public_key_is_refused),
        cmocka_unit_test(public_key_functions_check_their_arguments),
    };
    return cmocka_run_group_tests_name("public key files", tests, identities_setup,
                                       identities_teardown);
}
