/* SPDX-License-Identifier: Apache-2.0 */
/* PINs, and tokens that go away, over the fake module. */
#if __has_include(<p11-kit/pkcs11.h>)
#include "fake_token.h"
#include <p11-kit/pkcs11.h>
#include <string.h>

#define PIN_OF_SIZE_MAX 2000u

static const struct arili_store_ops *const ops = &arili_store_pkcs11;

/* --- PINs */

static void a_pin_that_was_refused_is_not_tried_again(void **state)
{
    (void)state;
    void *store =
        pkcs11_opened(pkcs11_uri(FAKE_LABEL, fake_pkcs11_module(), fake_token_pin("no such pin")));
    struct sealed a;
    aril_error error = { .status = ARIL_OK };
    for (unsigned i = 0; i < 5; i++) {
        assert_status(pkcs11_seal(store, 1, &a, &error), ARIL_E_KEYSTORE_SECRET);
        assert_int_equal(fake->logins, 1);
        assert_null(strstr(error.message, "no such pin"));
    }
    pkcs11_close(&store);
}

static void the_last_try_is_not_spent_on_a_file(void **state)
{
    (void)state;
    fake->is.final_try = true;
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a;
    aril_error error = { .status = ARIL_OK };
    assert_status(pkcs11_seal(store, 1, &a, &error), ARIL_E_KEYSTORE_LOCKOUT);
    expect_message(&error, "one try");
    assert_int_equal(fake->logins, 0);
    pkcs11_close(&store);

    /* A person may. */
    struct asked asked = { .pin = FAKE_PIN };
    assert_status(pkcs11_open(fake_token_uri_no_pin(), asked_answer, &asked, &store, NULL),
                  ARIL_OK);
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void a_locked_pin_is_told_without_a_try(void **state)
{
    (void)state;
    struct asked asked = { .pin = "wrong" };
    void *store = NULL;
    struct sealed a;
    assert_status(pkcs11_open(fake_token_uri_no_pin(), asked_answer, &asked, &store, NULL),
                  ARIL_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_E_KEYSTORE_SECRET);
    }
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_E_KEYSTORE_LOCKOUT);
    assert_int_equal(asked.count, 3);
    assert_int_equal(fake->logins, 3);
    pkcs11_close(&store);
}

static void a_pin_pad_takes_no_pin_from_us(void **state)
{
    (void)state;
    fake->is.pin_pad = true;
    struct asked asked = { .pin = "wrong" };
    void *store = NULL;
    assert_status(pkcs11_open(fake_token_uri_no_pin(), asked_answer, &asked, &store, NULL),
                  ARIL_OK);
    aril_keystore_info info;
    assert_status(ops->info(store, &info, NULL), ARIL_OK);
    assert_true((info.capabilities & ARIL_KEYSTORE_ASKS) != 0);
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_int_equal(asked.count, 0);
    pkcs11_close(&store);
}

static void a_token_without_a_login_asks_nobody(void **state)
{
    (void)state;
    fake->is.no_login = true;
    struct asked asked = { .pin = "wrong" };
    void *store = NULL;
    assert_status(pkcs11_open(fake_token_uri_no_pin(), asked_answer, &asked, &store, NULL),
                  ARIL_OK);
    aril_keystore_info info;
    assert_status(ops->info(store, &info, NULL), ARIL_OK);
    assert_int_equal(info.capabilities, ARIL_KEYSTORE_DESTROY);
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_int_equal(asked.count + fake->logins, 0);
    pkcs11_close(&store);
}

static aril_status asked_too_much(void *user, aril_secret_kind kind, const char *subject,
                                  uint8_t *ret, size_t cap, size_t *ret_len)
{
    (void)user;
    (void)kind;
    (void)subject;
    memset(ret, 'x', cap);
    *ret_len = cap + 1;
    return ARIL_OK;
}

static void secrets_over_their_maximum_are_refused(void **state)
{
    (void)state;
    struct sealed a;
    void *store = NULL;
    assert_status(pkcs11_open(fake_token_uri_no_pin(), asked_too_much, NULL, &store, NULL),
                  ARIL_OK);
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_E_USAGE_RANGE);
    pkcs11_close(&store);

    static char pin[PIN_OF_SIZE_MAX + 1];
    static const struct {
        size_t len;
        aril_status st;
    } cases[] = { { ARIL_SECRET_BYTES_MAX, ARIL_E_KEYSTORE_SECRET },
                  { ARIL_SECRET_BYTES_MAX + 1, ARIL_E_LIMIT },
                  { PIN_OF_SIZE_MAX, ARIL_E_LIMIT } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        memset(pin, '1', cases[i].len);
        pin[cases[i].len] = '\0';
        store = pkcs11_opened(pkcs11_uri(FAKE_LABEL, fake_pkcs11_module(), fake_token_pin(pin)));
        assert_status(pkcs11_seal(store, 1, &a, NULL), cases[i].st);
        pkcs11_close(&store);
    }
    assert_int_equal(fake->logins, 1);
}

static void a_login_that_failed_is_not_repeated_by_itself(void **state)
{
    (void)state;
    static const unsigned long answers[] = { CKR_DEVICE_REMOVED, CKR_SESSION_HANDLE_INVALID,
                                             CKR_TOKEN_NOT_PRESENT, CKR_USER_NOT_LOGGED_IN };
    for (size_t i = 0; i < COUNT(answers); i++) {
        fake_pkcs11_reset(fake);
        void *store = pkcs11_opened(fake_token_uri());
        fake->fault_in = "C_Login";
        fake->fault_nth = 1;
        fake->fault_after = true;
        fake->fault_rv = answers[i];
        struct sealed a;
        assert_status_class(pkcs11_seal(store, 1, &a, NULL),
                            i == 0 || i == 2 ? ARIL_E_NOT_FOUND : ARIL_E_KEYSTORE);
        assert_int_equal(fake->logins, 1);
        pkcs11_close(&store);
    }
}

/* --- tokens that go away */

static void a_token_that_was_pulled_out_and_put_back_goes_on(void **state)
{
    (void)state;
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a;
    aril_error error = { .status = ARIL_OK };
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    fake_pkcs11_replug(fake);
    assert_status(pkcs11_unseal(store, &a, &error), ARIL_OK);
    assert_status(error.status, ARIL_OK); /* left alone on success */
    assert_int_equal(fake->logins, 2);
    assert_int_equal(fake->sessions, 1);

    fake_pkcs11_replug(fake);
    fake->is.no_token = true;
    assert_status(pkcs11_unseal(store, &a, &error), ARIL_E_NOT_FOUND);
    assert_status(pkcs11_unseal(store, &a, &error), ARIL_E_NOT_FOUND);
    fake->is.no_token = false;
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void a_session_that_is_lost_again_and_again_is_given_up(void **state)
{
    (void)state;
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a;
    aril_error error = { .status = ARIL_OK };
    fake->fault_in = "C_GenerateKey";
    fake->fault_rv = CKR_SESSION_HANDLE_INVALID;
    fake->fault_nth = 1;
    fake->fault_repeats = true;
    const unsigned before = fake->calls;
    assert_status(pkcs11_seal(store, 1, &a, &error), ARIL_E_KEYSTORE);
    expect_message(&error, "CKR_SESSION_HANDLE_INVALID");
    assert_in_range(fake->calls - before, 1, 40);
    assert_int_equal(fake->sessions, 0);
    fake->fault_nth = 0;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_TOKEN_TEST(a_pin_that_was_refused_is_not_tried_again),
        FAKE_TOKEN_TEST(the_last_try_is_not_spent_on_a_file),
        FAKE_TOKEN_TEST(a_locked_pin_is_told_without_a_try),
        FAKE_TOKEN_TEST(a_pin_pad_takes_no_pin_from_us),
        FAKE_TOKEN_TEST(a_token_without_a_login_asks_nobody),
        FAKE_TOKEN_TEST(secrets_over_their_maximum_are_refused),
        FAKE_TOKEN_TEST(a_login_that_failed_is_not_repeated_by_itself),
        FAKE_TOKEN_TEST(a_token_that_was_pulled_out_and_put_back_goes_on),
        FAKE_TOKEN_TEST(a_session_that_is_lost_again_and_again_is_given_up),
    };
    return fake_token_run(tests);
}

#else
#include <stdio.h>

int main(void)
{
    (void)puts("SKIPPED: built without the headers of p11-kit");
    return 77;
}
#endif
