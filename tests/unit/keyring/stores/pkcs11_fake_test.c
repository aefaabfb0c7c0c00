/* SPDX-License-Identifier: Apache-2.0 */
/* The backend over a module that lies and fails. */
#if __has_include(<p11-kit/pkcs11.h>)
#include "child.h"
#include "fake_pkcs11.h"
#include "pkcs11_store.h"
#include "runtime.h"
#include "temp_folder.h"
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <string.h>

#define PIN_OF_SIZE_MAX 2000u

static const struct arili_store_ops *const ops = &arili_store_pkcs11;
static struct fake_pkcs11 *fake;

static const char *write_pin(const char *pin)
{
    return temp_write("pin", 0600, (aril_bytes){ (const uint8_t *)pin, strlen(pin) });
}

static const char *uri_with_pin(void)
{
    return pkcs11_uri(FAKE_LABEL, fake_pkcs11_module(), write_pin(FAKE_PIN));
}

static const char *uri_without_pin(void)
{
    return pkcs11_uri(FAKE_LABEL, fake_pkcs11_module(), NULL);
}

static int begin(void **state)
{
    return runtime_setup(state) | temp_folder_make(state);
}

static int end(void **state)
{
    temp_clear(temp_path("pin"));
    return temp_folder_remove(state) | runtime_teardown(state);
}

static int each(void **state)
{
    (void)state;
    if (fake_pkcs11_module() != NULL) {
        fake = fake_pkcs11_of(fake_pkcs11_module());
        fake_pkcs11_reset(fake);
    }
    return 0;
}

static void expect_message(const aril_error *error, const char *words)
{
    if (strstr(error->message, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, error->message);
    }
}

static void expect_open_refused(aril_status st, const char *words)
{
    void *store = NULL;
    aril_error error;
    assert_status(pkcs11_open(uri_with_pin(), NULL, NULL, &store, &error), st);
    expect_message(&error, words);
    assert_int_equal(fake->sessions, 0);
    assert_int_equal(fake->initialized, fake->finalized);
}

/* --- a token that behaves */

static void each_call_is_clean(void **state)
{
    (void)state;
    fake_pkcs11_need();
    void *store = pkcs11_opened(uri_with_pin());
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
    fake_pkcs11_need();
    void *store = pkcs11_opened(uri_with_pin());
    aril_keystore_info info;
    assert_status(ops->info(store, &info, NULL), ARIL_OK);
    assert_string_equal(info.description, "Fake?Maker M1, token " FAKE_LABEL);
    pkcs11_close(&store);
}

static void the_last_keystore_ends_the_module(void **state)
{
    (void)state;
    fake_pkcs11_need();
    void *first = pkcs11_opened(uri_with_pin());
    void *second = pkcs11_opened(uri_with_pin());
    assert_int_equal(fake->initialized, 1);
    pkcs11_close(&first);
    assert_int_equal(fake->finalized, 0);
    struct sealed a;
    assert_status(pkcs11_seal(second, 1, &a, NULL), ARIL_OK);
    pkcs11_close(&second);
    assert_int_equal(fake->finalized, 1);

    second = pkcs11_opened(uri_with_pin());
    assert_int_equal(fake->initialized, 2);
    pkcs11_close(&second);
    assert_int_equal(fake->finalized, 2);
}

static void a_module_that_somebody_else_began_goes_on(void **state)
{
    (void)state;
    fake_pkcs11_need();
    fake->is.foreign = true;
    void *store = pkcs11_opened(uri_with_pin());
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
    assert_int_equal(fake->finalized, 0);
}

static void a_serial_number_tells_tokens_of_one_label_apart(void **state)
{
    (void)state;
    fake_pkcs11_need();
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
    fake_pkcs11_need();
    fake->is.own_iv = true;
    void *store = pkcs11_opened(uri_with_pin());
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void a_token_without_a_generator_gets_other_ivs(void **state)
{
    (void)state;
    fake_pkcs11_need();
    fake->is.no_rng = true;
    void *store = pkcs11_opened(uri_with_pin());
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
    fake_pkcs11_need();
    void *store = pkcs11_opened(uri_with_pin());
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
    fake_pkcs11_need();
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
    void *store = pkcs11_opened(uri_with_pin());
    pkcs11_close(&store);
}

/* --- tokens that lie */

static void keys_that_can_leave_are_not_used(void **state)
{
    (void)state;
    fake_pkcs11_need();
    bool *const lies[] = { &fake->is.extractable, &fake->is.not_sensitive, &fake->is.session_keys,
                           &fake->is.empty_attributes };
    for (size_t i = 0; i < COUNT(lies); i++) {
        void *store = pkcs11_opened(uri_with_pin());
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
    fake_pkcs11_need();
    bool *const lies[] = { &fake->is.garbles, &fake->is.long_output };
    for (size_t i = 0; i < COUNT(lies); i++) {
        void *store = pkcs11_opened(uri_with_pin());
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
    fake_pkcs11_need();
    void *store = pkcs11_opened(uri_with_pin());
    struct sealed a;
    aril_error error = { .status = ARIL_OK };
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    fake->is.long_output = true;
    assert_status(pkcs11_unseal(store, &a, &error), ARIL_E_KEYSTORE);
    expect_message(&error, "wrong length");
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
    fake_pkcs11_need();
    void *store = pkcs11_opened(uri_with_pin());
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

/* --- PINs */

static void a_pin_that_was_refused_is_not_tried_again(void **state)
{
    (void)state;
    fake_pkcs11_need();
    void *store =
        pkcs11_opened(pkcs11_uri(FAKE_LABEL, fake_pkcs11_module(), write_pin("no such pin")));
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
    fake_pkcs11_need();
    fake->is.final_try = true;
    void *store = pkcs11_opened(uri_with_pin());
    struct sealed a;
    aril_error error = { .status = ARIL_OK };
    assert_status(pkcs11_seal(store, 1, &a, &error), ARIL_E_KEYSTORE_LOCKOUT);
    expect_message(&error, "one try");
    assert_int_equal(fake->logins, 0);
    pkcs11_close(&store);

    /* A person may. */
    struct asked asked = { .pin = FAKE_PIN };
    assert_status(pkcs11_open(uri_without_pin(), asked_answer, &asked, &store, NULL), ARIL_OK);
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void a_locked_pin_is_told_without_a_try(void **state)
{
    (void)state;
    fake_pkcs11_need();
    struct asked asked = { .pin = "wrong" };
    void *store = NULL;
    struct sealed a;
    assert_status(pkcs11_open(uri_without_pin(), asked_answer, &asked, &store, NULL), ARIL_OK);
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
    fake_pkcs11_need();
    fake->is.pin_pad = true;
    struct asked asked = { .pin = "wrong" };
    void *store = NULL;
    assert_status(pkcs11_open(uri_without_pin(), asked_answer, &asked, &store, NULL), ARIL_OK);
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
    fake_pkcs11_need();
    fake->is.no_login = true;
    struct asked asked = { .pin = "wrong" };
    void *store = NULL;
    assert_status(pkcs11_open(uri_without_pin(), asked_answer, &asked, &store, NULL), ARIL_OK);
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
    fake_pkcs11_need();
    struct sealed a;
    void *store = NULL;
    assert_status(pkcs11_open(uri_without_pin(), asked_too_much, NULL, &store, NULL), ARIL_OK);
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
        store = pkcs11_opened(pkcs11_uri(FAKE_LABEL, fake_pkcs11_module(), write_pin(pin)));
        assert_status(pkcs11_seal(store, 1, &a, NULL), cases[i].st);
        pkcs11_close(&store);
    }
    assert_int_equal(fake->logins, 1);
}

static void a_login_that_failed_is_not_repeated_by_itself(void **state)
{
    (void)state;
    fake_pkcs11_need();
    static const unsigned long answers[] = { CKR_DEVICE_REMOVED, CKR_SESSION_HANDLE_INVALID,
                                             CKR_TOKEN_NOT_PRESENT, CKR_USER_NOT_LOGGED_IN };
    for (size_t i = 0; i < COUNT(answers); i++) {
        fake_pkcs11_reset(fake);
        void *store = pkcs11_opened(uri_with_pin());
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
    fake_pkcs11_need();
    void *store = pkcs11_opened(uri_with_pin());
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
    fake_pkcs11_need();
    void *store = pkcs11_opened(uri_with_pin());
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

/* --- every call fails once */

static bool is_one_of(unsigned long rv, const unsigned long *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == rv) {
            return true;
        }
    }
    return false;
}

struct sweep_case {
    unsigned long rv;
    aril_status st;
    bool is_loss, is_device;
};

enum step { OPEN, SEAL, UNSEAL, DESTROY, STEPS };

/* What the first failing step has to answer. */
static aril_status expected(const struct sweep_case *c, const char *name, enum step step)
{
    if (strcmp(name, "C_CloseSession") == 0 || strcmp(name, "C_Finalize") == 0) {
        return ARIL_OK; /* closing has no answer */
    }
    const bool in_job = step != OPEN && strcmp(name, "C_Login") != 0;
    if (c->is_loss && in_job) {
        return ARIL_OK; /* once more, with a new session */
    }
    if (strcmp(name, "C_Decrypt") == 0 && !c->is_device) {
        return step == SEAL ? ARIL_E_KEYSTORE : ARIL_E_AUTH;
    }
    return c->st;
}

static aril_status run_step(enum step step, void **store, struct sealed *a, aril_error *error)
{
    switch (step) {
    case OPEN:
        return pkcs11_open(uri_with_pin(), NULL, NULL, store, error);
    case SEAL:
        return pkcs11_seal(*store, 1, a, error);
    case UNSEAL:
        return pkcs11_unseal(*store, a, error);
    default:
        return ops->destroy(*store, a->place.slot, error);
    }
}

/* Whether the fault was reached. */
static bool sweep_once(const struct sweep_case *c, unsigned nth, bool after)
{
    fake_pkcs11_reset(fake);
    fake->fault_nth = nth;
    fake->fault_rv = c->rv;
    fake->fault_after = after;
    void *store = NULL;
    struct sealed a = { .len = 0 };
    for (enum step step = OPEN; step < STEPS; step++) {
        const bool was = fake->fault_was != NULL;
        aril_error error = { .status = ARIL_OK };
        const aril_status st = run_step(step, &store, &a, &error);
        const bool hit = !was && fake->fault_was != NULL;
        const aril_status want = hit ? expected(c, fake->fault_was, step) : ARIL_OK;
        if (st != want) {
            fail_msg("step %d, call %u (%s) answers 0x%lx: %s, not %s: %s", step, nth,
                     fake->fault_was != NULL ? fake->fault_was : "none", c->rv,
                     aril_status_name(st), aril_status_name(want), error.message);
        }
        assert_status(error.status, st);
        if (st != ARIL_OK) {
            /* A repeated call is safe, and finishes the work. */
            error = (aril_error){ .status = ARIL_OK };
            if (run_step(step, &store, &a, &error) != ARIL_OK) {
                fail_msg("after 0x%lx of %s: %s", c->rv, fake->fault_was, error.message);
            }
        }
    }
    assert_int_equal(fake->objects, 0);
    pkcs11_close(&store);
    return fake->fault_was != NULL;
}

static void every_failing_call_is_answered_and_a_repeated_one_is_safe(void **state)
{
    (void)state;
    fake_pkcs11_need();
    static const struct sweep_case cases[] = {
        { CKR_GENERAL_ERROR, ARIL_E_KEYSTORE, false, false },
        { CKR_FUNCTION_FAILED, ARIL_E_KEYSTORE, false, false },
        { CKR_VENDOR_DEFINED + 7, ARIL_E_KEYSTORE, false, false },
        { CKR_HOST_MEMORY, ARIL_E_NOMEM, false, true },
        { CKR_DEVICE_MEMORY, ARIL_E_LIMIT, false, true },
        { CKR_DEVICE_ERROR, ARIL_E_KEYSTORE, false, true },
        { CKR_SESSION_COUNT, ARIL_E_KEYSTORE_BUSY, false, true },
        { CKR_MECHANISM_INVALID, ARIL_E_UNAVAILABLE, false, false },
        { CKR_PIN_LOCKED, ARIL_E_KEYSTORE_LOCKOUT, false, true },
        { CKR_PIN_EXPIRED, ARIL_E_KEYSTORE, false, true },
        { CKR_USER_PIN_NOT_INITIALIZED, ARIL_E_KEYSTORE, false, true },
        { CKR_SESSION_HANDLE_INVALID, ARIL_E_KEYSTORE, true, true },
        { CKR_SESSION_CLOSED, ARIL_E_KEYSTORE, true, true },
        { CKR_USER_NOT_LOGGED_IN, ARIL_E_KEYSTORE, true, true },
        { CKR_DEVICE_REMOVED, ARIL_E_NOT_FOUND, true, true },
        { CKR_TOKEN_NOT_PRESENT, ARIL_E_NOT_FOUND, true, true },
    };
    static const unsigned long with_after[] = { CKR_GENERAL_ERROR, CKR_DEVICE_ERROR,
                                                CKR_SESSION_HANDLE_INVALID, CKR_DEVICE_REMOVED };
    unsigned tried = 0;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const bool lost_replies = is_one_of(cases[i].rv, with_after, COUNT(with_after));
        for (int after = 0; after <= (lost_replies ? 1 : 0); after++) {
            unsigned nth = 1;
            while (sweep_once(&cases[i], nth, after != 0)) {
                nth++;
            }
            assert_true(nth > 25); /* all verbs were reached */
            tried += nth - 1;
        }
    }
    print_message("%u failing calls\n", tried);
}

/* --- processes and threads */

struct opening {
    const char *uri;
    void *store;
    aril_status st;
};

static void *open_in_thread(void *arg)
{
    struct opening *o = arg;
    const struct arili_store_options options = { .rt = rt, .uri = o->uri, .rest = o->uri + 7 };
    o->st = arili_store_pkcs11.open(&options, &o->store, NULL);
    return NULL;
}

static void a_module_that_hangs_holds_up_no_other(void **state)
{
    (void)state;
    fake_pkcs11_need();
    static uint8_t module[1 << 20];
    const size_t len = file_read(fake_pkcs11_module(), module, sizeof module);
    assert_in_range(len, 1, sizeof module - 1);
    const char *copy = temp_write("copy.so", 0755, (aril_bytes){ module, len });
    struct fake_pkcs11 *hanging = fake_pkcs11_of(copy);
    assert_true(hanging != fake);
    hanging->hang_in = "C_Initialize";

    char uri[1024];
    (void)snprintf(uri, sizeof uri, "%s", pkcs11_uri(FAKE_LABEL, copy, NULL));
    struct opening o = { .uri = uri };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, open_in_thread, &o), 0);
    fake_pkcs11_wait_hanging(hanging);
    void *store = pkcs11_opened(uri_with_pin());
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    pkcs11_close(&store);

    fake_pkcs11_let_go(hanging);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_status(o.st, ARIL_OK);
    pkcs11_close(&o.store);
    temp_clear(copy);
}

static int close_in_child(void *arg)
{
    const unsigned before = fake->calls;
    ops->close(arg);
    return fake->calls == before ? 0 : 1;
}

static void a_forked_child_leaves_the_module_alone(void **state)
{
    (void)state;
    fake_pkcs11_need();
    void *store = pkcs11_opened(uri_with_pin());
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_int_equal(child_run(close_in_child, store), 0);
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static int open_in_child(void *arg)
{
    aril_runtime *own = NULL;
    if (aril_runtime_new(NULL, &own) != ARIL_OK) {
        return 1;
    }
    fake_pkcs11_reset(fake); /* as modules do that notice a fork */
    const char *uri = arg;
    const struct arili_store_options options = { .rt = own, .uri = uri, .rest = uri + 7 };
    void *store = NULL;
    if (arili_store_pkcs11.open(&options, &store, NULL) != ARIL_OK) {
        return 2;
    }
    ops->close(store);
    aril_runtime_free(own);
    return fake->initialized == 1 && fake->finalized == 1 ? 0 : 3;
}

static void a_forked_child_begins_anew_with_a_runtime_of_its_own(void **state)
{
    (void)state;
    fake_pkcs11_need();
    void *store = pkcs11_opened(uri_with_pin());
    char uri[1024];
    (void)snprintf(uri, sizeof uri, "%s", uri_without_pin());
    assert_int_equal(child_run(open_in_child, uri), 0);
    pkcs11_close(&store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, each)
    const struct CMUnitTest tests[] = {
        TEST(each_call_is_clean),
        TEST(texts_of_a_token_cannot_forge_a_line),
        TEST(the_last_keystore_ends_the_module),
        TEST(a_module_that_somebody_else_began_goes_on),
        TEST(a_serial_number_tells_tokens_of_one_label_apart),
        TEST(an_iv_of_the_tokens_own_is_kept),
        TEST(a_token_without_a_generator_gets_other_ivs),
        TEST(a_blob_opens_under_whichever_key_of_its_slot),
        TEST(what_cannot_serve_is_refused_when_it_is_opened),
        TEST(keys_that_can_leave_are_not_used),
        TEST(what_the_token_cannot_open_again_is_not_handed_out),
        TEST(lengths_and_counts_beyond_the_buffer_are_refused),
        TEST(a_key_that_stays_is_not_called_destroyed),
        TEST(a_pin_that_was_refused_is_not_tried_again),
        TEST(the_last_try_is_not_spent_on_a_file),
        TEST(a_locked_pin_is_told_without_a_try),
        TEST(a_pin_pad_takes_no_pin_from_us),
        TEST(a_token_without_a_login_asks_nobody),
        TEST(secrets_over_their_maximum_are_refused),
        TEST(a_login_that_failed_is_not_repeated_by_itself),
        TEST(a_token_that_was_pulled_out_and_put_back_goes_on),
        TEST(a_session_that_is_lost_again_and_again_is_given_up),
        TEST(every_failing_call_is_answered_and_a_repeated_one_is_safe),
        TEST(a_module_that_hangs_holds_up_no_other),
        TEST(a_forked_child_leaves_the_module_alone),
        TEST(a_forked_child_begins_anew_with_a_runtime_of_its_own),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

#else
#include <stdio.h>

int main(void)
{
    (void)puts("SKIPPED: built without the headers of p11-kit");
    return 77;
}
#endif
