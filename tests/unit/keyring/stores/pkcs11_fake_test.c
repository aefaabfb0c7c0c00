/* SPDX-License-Identifier: Apache-2.0 */
/* The backend over a module that lies and fails. */
#if __has_include(<p11-kit/pkcs11.h>)
#include "fake_token.h"
#include <stdio.h>

static const struct arili_store_ops *const ops = &arili_store_pkcs11;

static void expect_open_refused(aril_status st, const char *words)
{
    void *store = NULL;
    aril_error error;
    assert_status(pkcs11_open(fake_token_uri(), NULL, NULL, &store, &error), st);
    expect_message(&error, words);
    assert_int_equal(fake->sessions, 0);
    assert_int_equal(fake->initialized, fake->finalized);
}

/* --- a token that behaves */

static void each_call_is_clean(void **state)
{
    (void)state;
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a;
    assert_int_equal(fake->logins, 0); /* opening asks for no PIN */
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    assert_int_equal(fake->objects, 1);
    assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
    assert_int_equal(fake->objects, 0);
    assert_int_equal(fake->logins, 1);
    assert_int_equal(fake->sessions, 1);
    pkcs11_close(&store);
    assert_int_equal(fake->sessions, 0);
    assert_int_equal(fake->initialized, 1);
    assert_int_equal(fake->finalized, 1);
}

static void texts_of_a_token_cannot_forge_a_line(void **state)
{
    (void)state;
    void *store = pkcs11_opened(fake_token_uri());
    aril_keystore_info info;
    assert_status(ops->info(store, &info, NULL), ARIL_OK);
    assert_string_equal(info.description, "Fake?Maker M1, token " FAKE_LABEL);
    pkcs11_close(&store);
}

static void the_last_keystore_ends_the_module(void **state)
{
    (void)state;
    void *first = pkcs11_opened(fake_token_uri());
    void *second = pkcs11_opened(fake_token_uri());
    assert_int_equal(fake->initialized, 1);
    pkcs11_close(&first);
    assert_int_equal(fake->finalized, 0);
    struct sealed a;
    assert_status(pkcs11_seal(second, 1, &a, NULL), ARIL_OK);
    pkcs11_close(&second);
    assert_int_equal(fake->finalized, 1);

    second = pkcs11_opened(fake_token_uri());
    assert_int_equal(fake->initialized, 2);
    pkcs11_close(&second);
    assert_int_equal(fake->finalized, 2);
}

static void a_module_that_somebody_else_began_goes_on(void **state)
{
    (void)state;
    fake->is.foreign = true;
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
    assert_int_equal(fake->finalized, 0);
}

static void a_serial_number_tells_tokens_of_one_label_apart(void **state)
{
    (void)state;
    fake->is.two_tokens = true;
    expect_open_refused(ARIL_E_KEYSTORE, "serial=");
    static const char *const serials[] = { FAKE_SERIAL, "0124" };
    for (size_t i = 0; i < COUNT(serials); i++) {
        char uri[512];
        (void)snprintf(uri, sizeof uri, "pkcs11:token=fake%%20token;serial=%s?module-path=%s",
                       serials[i], fake_pkcs11_module());
        void *store = pkcs11_opened(uri);
        assert_int_equal(fake->slot, 7 + i);
        pkcs11_close(&store);
    }
}

static void an_iv_of_the_tokens_own_is_kept(void **state)
{
    (void)state;
    fake->is.own_iv = true;
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void a_token_without_a_generator_gets_other_ivs(void **state)
{
    (void)state;
    fake->is.no_rng = true;
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a, b;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_status(pkcs11_seal(store, 1, &b, NULL), ARIL_OK);
    assert_memory_not_equal(a.blob + 4, b.blob + 4, 12);
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void a_blob_opens_under_whichever_key_of_its_slot(void **state)
{
    (void)state;
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a, b;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    /* The token finds nothing, as when two programs seal at the same time. */
    fake->is.finds_nothing = true;
    assert_status(pkcs11_seal(store, 1, &b, NULL), ARIL_OK);
    fake->is.finds_nothing = false;
    assert_int_equal(fake->objects, 2);
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(store, &b, NULL), ARIL_OK);
    assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
    assert_int_equal(fake->objects, 0);
    pkcs11_close(&store);
}

/* --- modules and tokens that are refused at once */

static void what_cannot_serve_is_refused_when_it_is_opened(void **state)
{
    (void)state;
    const struct {
        bool *is;
        aril_status st;
        const char *words;
    } cases[] = {
        { &fake->is.no_list, ARIL_E_UNAVAILABLE, "no function list" },
        { &fake->is.old_list, ARIL_E_UNAVAILABLE, "Cryptoki 2.20" },
        { &fake->is.no_functions, ARIL_E_UNAVAILABLE, "lacks functions" },
        { &fake->is.cryptoki_2_20, ARIL_E_UNAVAILABLE, "Cryptoki 2.20" },
        { &fake->is.no_token, ARIL_E_NOT_FOUND, "no such token" },
        { &fake->is.blank, ARIL_E_NOT_FOUND, "no such token" },
        { &fake->is.many_tokens, ARIL_E_LIMIT, "256 tokens" },
        { &fake->is.no_gcm, ARIL_E_UNAVAILABLE, "CKM_AES_GCM" },
        { &fake->is.gcm_one_way, ARIL_E_UNAVAILABLE, "CKM_AES_GCM" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        *cases[i].is = true;
        expect_open_refused(cases[i].st, cases[i].words);
        *cases[i].is = false;
    }
    void *store = pkcs11_opened(fake_token_uri());
    pkcs11_close(&store);
}

/* --- tokens that lie */

static void keys_that_can_leave_are_not_used(void **state)
{
    (void)state;
    bool *const lies[] = { &fake->is.extractable, &fake->is.not_sensitive, &fake->is.session_keys,
                           &fake->is.empty_attributes };
    for (size_t i = 0; i < COUNT(lies); i++) {
        void *store = pkcs11_opened(fake_token_uri());
        struct sealed a;
        aril_error error = { .status = ARIL_OK };
        *lies[i] = true;
        assert_status(pkcs11_seal(store, 1, &a, &error), ARIL_E_KEYSTORE);
        expect_message(&error, "can be read out");
        assert_int_equal(fake->objects, 0);
        *lies[i] = false;

        /* One that was there before, planted or old, is left alone and not used. */
        assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
        if (lies[i] != &fake->is.session_keys) {
            *lies[i] = true;
            assert_status(pkcs11_seal(store, 1, &a, &error), ARIL_E_KEYSTORE);
            assert_int_equal(fake->objects, 1);
            *lies[i] = false;
        }
        assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
        pkcs11_close(&store);
    }
}

static void what_the_token_cannot_open_again_is_not_handed_out(void **state)
{
    (void)state;
    bool *const lies[] = { &fake->is.garbles, &fake->is.long_output };
    for (size_t i = 0; i < COUNT(lies); i++) {
        void *store = pkcs11_opened(fake_token_uri());
        struct sealed a;
        *lies[i] = true;
        assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_E_KEYSTORE);
        *lies[i] = false;
        assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
        assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
        pkcs11_close(&store);
    }
}

static void lengths_and_counts_beyond_the_buffer_are_refused(void **state)
{
    (void)state;
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a, b;
    aril_error error = { .status = ARIL_OK };
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    fake->is.long_output = true;
    assert_status(pkcs11_seal(store, 2, &b, &error), ARIL_E_KEYSTORE);
    expect_message(&error, "encrypted to a wrong length");
    assert_status(pkcs11_unseal(store, &a, &error), ARIL_E_KEYSTORE);
    expect_message(&error, "decrypted to a wrong length");
    fake->is.long_output = false;
    fake->is.too_many_found = true;
    assert_status(pkcs11_unseal(store, &a, &error), ARIL_E_KEYSTORE);
    expect_message(&error, "more keys");
    assert_status(ops->destroy(store, a.place.slot, &error), ARIL_E_KEYSTORE);
    fake->is.too_many_found = false;
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void a_key_that_stays_is_not_called_destroyed(void **state)
{
    (void)state;
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a;
    aril_error error = { .status = ARIL_OK };
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    fake->is.keeps_objects = true;
    assert_status(ops->destroy(store, a.place.slot, &error), ARIL_E_KEYSTORE);
    expect_message(&error, "still has the key");
    fake->is.keeps_objects = false;
    assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
    pkcs11_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_TOKEN_TEST(each_call_is_clean),
        FAKE_TOKEN_TEST(texts_of_a_token_cannot_forge_a_line),
        FAKE_TOKEN_TEST(the_last_keystore_ends_the_module),
        FAKE_TOKEN_TEST(a_module_that_somebody_else_began_goes_on),
        FAKE_TOKEN_TEST(a_serial_number_tells_tokens_of_one_label_apart),
        FAKE_TOKEN_TEST(an_iv_of_the_tokens_own_is_kept),
        FAKE_TOKEN_TEST(a_token_without_a_generator_gets_other_ivs),
        FAKE_TOKEN_TEST(a_blob_opens_under_whichever_key_of_its_slot),
        FAKE_TOKEN_TEST(what_cannot_serve_is_refused_when_it_is_opened),
        FAKE_TOKEN_TEST(keys_that_can_leave_are_not_used),
        FAKE_TOKEN_TEST(what_the_token_cannot_open_again_is_not_handed_out),
        FAKE_TOKEN_TEST(lengths_and_counts_beyond_the_buffer_are_refused),
        FAKE_TOKEN_TEST(a_key_that_stays_is_not_called_destroyed),
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
