/* SPDX-License-Identifier: Apache-2.0 */
/* The backend under a keystore's deadline: a module that hangs is left behind. */
#include "fake_token.h"
#include "keyring/keystore.h"
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static aril_status open_within(uint32_t deadline_ms, aril_keystore **ret, aril_error *error)
{
    const aril_keystore_config config = { .uri = fake_token_uri(), .deadline_ms = deadline_ms };
    *ret = NULL;
    return aril_keystore_open(rt, &config, ret, error);
}

static unsigned threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    unsigned count = 0;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        count += e->d_name[0] != '.';
    }
    (void)closedir(dir);
    return count;
}

/* Lets the call go on that was given up, and waits until its thread has cleared up. */
static void let_go_of_thread(unsigned before)
{
    fake_pkcs11_let_go(fake);
    while (threads() > before) {
        (void)sched_yield();
    }
    fake_pkcs11_settle(fake);
    assert_int_equal(fake->sessions, 0);
    assert_int_equal(fake->initialized, fake->finalized);
}

static void the_public_calls_reach_the_token(void **state)
{
    (void)state;
    aril_keystore *ks = NULL;
    assert_status(open_within(0, &ks, NULL), ARIL_OK);
    assert_string_equal(arili_keystore_info(ks)->backend, "pkcs11");
    const struct arili_store_place place = pkcs11_place(1);
    const uint8_t secret[ARILI_STORE_SECRET_BYTES] = { 1 };
    uint8_t opened[ARILI_STORE_SECRET_BYTES];
    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
    size_t len = 0;
    assert_status(arili_keystore_seal(ks, &place, secret, blob, sizeof blob, &len, NULL), ARIL_OK);
    assert_status(arili_keystore_unseal(ks, &place, (aril_bytes){ blob, len }, opened, NULL),
                  ARIL_OK);
    assert_memory_equal(opened, secret, sizeof secret);
    assert_status(arili_keystore_destroy(ks, place.slot, NULL), ARIL_OK);
    aril_keystore_close(ks);
    assert_int_equal(fake->finalized, 1);
}

static void a_module_that_hangs_at_its_start_is_a_timeout(void **state)
{
    (void)state;
    const unsigned before = threads();
    static const char *const calls[] = { "C_Initialize", "C_GetSlotList", "C_OpenSession" };
    for (size_t i = 0; i < COUNT(calls); i++) {
        fake_pkcs11_reset(fake);
        fake->hang_in = calls[i];
        aril_keystore *ks = NULL;
        aril_error error = { .status = ARIL_OK };
        assert_status(open_within(20, &ks, &error), ARIL_E_TIMEOUT);
        assert_null(ks);
        let_go_of_thread(before);
    }
}

static void a_module_that_hangs_at_work_is_a_timeout(void **state)
{
    (void)state;
    const unsigned before = threads();
    static const char *const calls[] = { "C_Login", "C_GenerateKey", "C_Encrypt" };
    for (size_t i = 0; i < COUNT(calls); i++) {
        fake_pkcs11_reset(fake);
        aril_keystore *ks = NULL;
        assert_status(open_within(500, &ks, NULL), ARIL_OK);
        fake->hang_in = calls[i];
        const struct arili_store_place place = pkcs11_place(1);
        const uint8_t secret[ARILI_STORE_SECRET_BYTES] = { 1 };
        uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX] = { 0 };
        size_t len = 0;
        for (unsigned n = 0; n < 2; n++) {
            assert_status(arili_keystore_seal(ks, &place, secret, blob, sizeof blob, &len, NULL),
                          ARIL_E_TIMEOUT);
            assert_int_equal(len + blob[0], 0);
        }
        aril_keystore_close(ks);
        let_go_of_thread(before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_TOKEN_TEST(the_public_calls_reach_the_token),
        FAKE_TOKEN_TEST(a_module_that_hangs_at_its_start_is_a_timeout),
        FAKE_TOKEN_TEST(a_module_that_hangs_at_work_is_a_timeout),
    };
    return fake_token_run(tests);
}
