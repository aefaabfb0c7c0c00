/* SPDX-License-Identifier: Apache-2.0 */
/* The backend over a real module, SoftHSM. What a module can do wrong is in pkcs11_fake_test.c. */
#include "pkcs11_store.h"
#include "provider.h"
#include "runtime.h"
#include "softhsm.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if __has_include(<p11-kit/pkcs11.h>)

#define LABEL     "aril test"
#define COUNT_LOW (1ul << 16) /* CKF_USER_PIN_COUNT_LOW: a PIN was wrong */

static const struct arili_store_ops *const ops = &arili_store_pkcs11;

static const char *write_pin(const char *pin, unsigned mode)
{
    return temp_write("pin", mode, (aril_bytes){ (const uint8_t *)pin, strlen(pin) });
}

static const char *good_uri(void)
{
    return pkcs11_uri(LABEL, softhsm_module(), write_pin(SOFTHSM_PIN "\n", 0600));
}

static int begin(void **state)
{
    if (runtime_setup(state) != 0 || temp_folder_make(state) != 0 || softhsm_setup(state) != 0) {
        return -1;
    }
    return softhsm_module() == NULL || softhsm_add_token(LABEL) ? 0 : -1;
}

static int end(void **state)
{
    temp_clear(temp_path("pin"));
    return softhsm_teardown(state) | temp_folder_remove(state) | runtime_teardown(state);
}

static void expect_open_refused(const char *uri, aril_status st, const char *words)
{
    void *store = NULL;
    aril_error error;
    assert_status(pkcs11_open(uri, NULL, NULL, &store, &error), st);
    if (strstr(error.message, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, error.message);
    }
    assert_status(pkcs11_open(uri, NULL, NULL, &store, NULL), st);
}

/* --- what it is for */

static void what_was_sealed_opens_also_after_a_restart(void **state)
{
    (void)state;
    softhsm_need();
    void *store = pkcs11_opened(good_uri());
    struct sealed a, b;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_status(pkcs11_seal(store, 2, &b, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(store, &b, NULL), ARIL_OK);
    pkcs11_close(&store);

    store = pkcs11_opened(good_uri());
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(store, &b, NULL), ARIL_OK);
    assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
    assert_status(ops->destroy(store, b.place.slot, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void a_blob_shows_nothing_of_the_secret_and_never_repeats(void **state)
{
    (void)state;
    softhsm_need();
    void *store = pkcs11_opened(good_uri());
    struct sealed a, b;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_status(pkcs11_seal(store, 1, &b, NULL), ARIL_OK);
    assert_int_equal(a.len, 4 + 12 + ARILI_STORE_SECRET_BYTES + 16);
    assert_int_equal(b.len, a.len);
    assert_memory_not_equal(a.blob + 4, b.blob + 4, 12); /* the IV */
    assert_memory_not_equal(a.blob + 16, b.blob + 16, 16);
    for (size_t i = 0; i + 4 <= a.len; i++) {
        assert_memory_not_equal(a.blob + i, a.secret, 4);
    }
    /* One key serves both. */
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(store, &b, NULL), ARIL_OK);
    pkcs11_close(&store);
    size_t keys = 0;
    bool inside = false;
    assert_true(softhsm_keys(LABEL, &keys, &inside));
    assert_int_equal(keys, 1);

    store = pkcs11_opened(good_uri());
    assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void no_key_leaves_the_token(void **state)
{
    (void)state;
    softhsm_need();
    void *store = pkcs11_opened(good_uri());
    struct sealed sealed[3];
    for (unsigned i = 0; i < COUNT(sealed); i++) {
        assert_status(pkcs11_seal(store, i, &sealed[i], NULL), ARIL_OK);
    }
    pkcs11_close(&store);
    size_t keys = 0;
    bool inside = false;
    assert_true(softhsm_keys(LABEL, &keys, &inside));
    assert_int_equal(keys, COUNT(sealed));
    assert_true(inside);

    store = pkcs11_opened(good_uri());
    for (unsigned i = 0; i < COUNT(sealed); i++) {
        assert_status(ops->destroy(store, sealed[i].place.slot, NULL), ARIL_OK);
    }
    pkcs11_close(&store);
    assert_true(softhsm_keys(LABEL, &keys, &inside));
    assert_int_equal(keys, 0);
}

static void a_destroyed_slot_never_opens_again(void **state)
{
    (void)state;
    softhsm_need();
    void *store = pkcs11_opened(good_uri());
    struct sealed gone, kept, again;
    assert_status(pkcs11_seal(store, 1, &gone, NULL), ARIL_OK);
    assert_status(pkcs11_seal(store, 2, &kept, NULL), ARIL_OK);
    assert_status(ops->destroy(store, gone.place.slot, NULL), ARIL_OK);
    aril_error error = { .status = ARIL_OK };
    assert_status(pkcs11_unseal(store, &gone, &error), ARIL_E_KEYSTORE_WRONG);
    assert_non_null(strstr(error.message, "destroyed"));
    assert_status(pkcs11_unseal(store, &kept, NULL), ARIL_OK);

    /* A slot that is not there is success, and a new key is another one. */
    assert_status(ops->destroy(store, gone.place.slot, NULL), ARIL_OK);
    assert_status(pkcs11_seal(store, 1, &again, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(store, &again, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(store, &gone, NULL), ARIL_E_AUTH);
    assert_status(ops->destroy(store, again.place.slot, NULL), ARIL_OK);
    assert_status(ops->destroy(store, kept.place.slot, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void it_says_what_it_is(void **state)
{
    (void)state;
    softhsm_need();
    void *store = pkcs11_opened(good_uri());
    aril_keystore_info info;
    assert_status(ops->info(store, &info, NULL), ARIL_OK);
    assert_int_equal(info.protection, ARIL_PROTECTION_HSM);
    assert_int_equal(info.capabilities, ARIL_KEYSTORE_DESTROY);
    assert_string_equal(info.backend, "pkcs11");
    assert_non_null(strstr(info.description, "SoftHSM"));
    assert_non_null(strstr(info.description, "token " LABEL " (software)"));
    pkcs11_close(&store);

    assert_status(pkcs11_open(pkcs11_uri(LABEL, softhsm_module(), NULL), NULL, NULL, &store, NULL),
                  ARIL_OK);
    assert_status(ops->info(store, &info, NULL), ARIL_OK);
    assert_int_equal(info.capabilities, ARIL_KEYSTORE_DESTROY | ARIL_KEYSTORE_ASKS);
    pkcs11_close(&store);
    assert_null(ops->counter_create);
    assert_null(ops->counter_read);
    assert_null(ops->counter_increment);
    assert_null(ops->counter_destroy);
    ops->close(NULL);
}

static void two_keystores_share_the_module_and_the_login(void **state)
{
    (void)state;
    softhsm_need();
    void *first = pkcs11_opened(good_uri());
    void *second = NULL;
    struct asked asked = { .pin = SOFTHSM_PIN };
    assert_status(
        pkcs11_open(pkcs11_uri(LABEL, softhsm_module(), NULL), asked_answer, &asked, &second, NULL),
        ARIL_OK);
    struct sealed a, b;
    assert_status(pkcs11_seal(first, 1, &a, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(second, &a, NULL), ARIL_OK);
    assert_int_equal(asked.count, 0); /* the first one had logged in */
    pkcs11_close(&first);
    assert_status(pkcs11_seal(second, 2, &b, NULL), ARIL_OK);
    assert_status(pkcs11_unseal(second, &a, NULL), ARIL_OK);
    assert_status(ops->destroy(second, a.place.slot, NULL), ARIL_OK);
    assert_status(ops->destroy(second, b.place.slot, NULL), ARIL_OK);
    pkcs11_close(&second);
}

static void a_module_that_others_use_is_not_ended(void **state)
{
    (void)state;
    softhsm_need();
    /* softhsm_flags() begins and ends the module itself when nobody has. */
    void *store = pkcs11_opened(good_uri());
    assert_true(softhsm_flags(LABEL) != 0);
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
    pkcs11_close(&store);
    assert_true(softhsm_flags(LABEL) != 0);
}

/* --- blobs that are not what was sealed */

static void another_slot_or_binding_does_not_open(void **state)
{
    (void)state;
    softhsm_need();
    void *store = pkcs11_opened(good_uri());
    struct sealed a, b;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_status(pkcs11_seal(store, 2, &b, NULL), ARIL_OK);
    struct sealed wrong = a;
    memcpy(wrong.place.slot, b.place.slot, sizeof wrong.place.slot);
    assert_status(pkcs11_unseal(store, &wrong, NULL), ARIL_E_AUTH);
    wrong = a;
    wrong.place.slot[0] ^= 1; /* has no key */
    assert_status(pkcs11_unseal(store, &wrong, NULL), ARIL_E_KEYSTORE_WRONG);
    for (size_t i = 0; i < sizeof a.place.binding; i++) {
        wrong = a;
        wrong.place.binding[i] ^= 0x80;
        aril_error error = { .status = ARIL_OK };
        assert_status(pkcs11_unseal(store, &wrong, &error), ARIL_E_AUTH);
        assert_status(error.status, ARIL_E_AUTH);
    }
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
    assert_status(ops->destroy(store, b.place.slot, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void no_flipped_bit_goes_unnoticed(void **state)
{
    (void)state;
    softhsm_need();
    void *store = pkcs11_opened(good_uri());
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    for (size_t bit = 0; bit < a.len * 8; bit++) {
        struct sealed wrong = a;
        wrong.blob[bit / 8] = (uint8_t)(wrong.blob[bit / 8] ^ 1u << bit % 8);
        const aril_status st = pkcs11_unseal(store, &wrong, NULL);
        assert_status(st, bit < 24   ? ARIL_E_FORMAT_KIND
                          : bit < 32 ? ARIL_E_FORMAT_VERSION
                                     : ARIL_E_AUTH);
    }
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static void every_other_length_is_a_format_error(void **state)
{
    (void)state;
    softhsm_need();
    void *store = pkcs11_opened(good_uri());
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    const size_t len = a.len;
    for (a.len = 0; a.len < len; a.len++) {
        assert_status(pkcs11_unseal(store, &a, NULL), ARIL_E_FORMAT_TRUNCATED);
    }
    for (a.len = len + 1; a.len < len + 40; a.len++) {
        assert_status(pkcs11_unseal(store, &a, NULL), ARIL_E_FORMAT_LENGTH);
    }
    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX] = { 0 };
    for (size_t cap = 0; cap < len; cap++) {
        size_t got = 0;
        assert_status(ops->seal(store, &a.place, a.secret, blob, cap, &got, NULL),
                      ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal(got, 0);
    }
    assert_true(provider_all(blob, sizeof blob, 0));
    assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
    pkcs11_close(&store);
}

/* --- PINs */

static void a_wrong_pin_is_tried_once(void **state)
{
    (void)state;
    softhsm_need();
    assert_int_equal(softhsm_flags(LABEL) & COUNT_LOW, 0);
    void *store = pkcs11_opened(
        pkcs11_uri(LABEL, softhsm_module(), write_pin("not the pin of a test", 0600)));
    struct sealed a;
    aril_error error = { .status = ARIL_OK };
    assert_status(pkcs11_seal(store, 1, &a, &error), ARIL_E_KEYSTORE_SECRET);
    assert_non_null(strstr(error.message, "CKR_PIN_INCORRECT"));
    assert_null(strstr(error.message, "not the pin"));
    assert_status(pkcs11_seal(store, 1, &a, &error), ARIL_E_KEYSTORE_SECRET);
    assert_non_null(strstr(error.message, "is not asked again"));
    pkcs11_close(&store);
    assert_int_equal(softhsm_flags(LABEL) & COUNT_LOW, COUNT_LOW);

    /* The right one resets the token's count. */
    store = pkcs11_opened(good_uri());
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
    pkcs11_close(&store);
    assert_int_equal(softhsm_flags(LABEL) & COUNT_LOW, 0);
}

static void a_person_is_asked_when_there_is_no_file(void **state)
{
    (void)state;
    softhsm_need();
    void *store = NULL;
    struct asked asked = { .pin = "wrong pin" };
    assert_status(
        pkcs11_open(pkcs11_uri(LABEL, softhsm_module(), NULL), asked_answer, &asked, &store, NULL),
        ARIL_OK);
    assert_int_equal(asked.count, 0);
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_E_KEYSTORE_SECRET);
    assert_int_equal(asked.count, 1);
    assert_string_equal(asked.subject, LABEL);
    asked.pin = SOFTHSM_PIN;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_int_equal(asked.count, 2);
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    assert_status(ops->destroy(store, a.place.slot, NULL), ARIL_OK);
    assert_int_equal(asked.count, 2);
    pkcs11_close(&store);
}

static void without_anybody_to_ask_no_pin_is_tried(void **state)
{
    (void)state;
    softhsm_need();
    void *store = pkcs11_opened(pkcs11_uri(LABEL, softhsm_module(), NULL));
    struct sealed a;
    aril_error error = { .status = ARIL_OK };
    assert_status(pkcs11_seal(store, 1, &a, &error), ARIL_E_KEYSTORE_SECRET);
    assert_non_null(strstr(error.message, "pin-source"));
    pkcs11_close(&store);

    static const char *const answers[] = { NULL, "" };
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct asked asked = { .pin = answers[i] };
        assert_status(pkcs11_open(pkcs11_uri(LABEL, softhsm_module(), NULL), asked_answer, &asked,
                                  &store, NULL),
                      ARIL_OK);
        assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_E_KEYSTORE_SECRET);
        pkcs11_close(&store);
    }
    assert_int_equal(softhsm_flags(LABEL) & COUNT_LOW, 0);
}

static void a_pin_file_must_be_private(void **state)
{
    (void)state;
    softhsm_need();
    struct sealed a;
    aril_error error = { .status = ARIL_OK };
    static const unsigned modes[] = { 0640, 0604, 0666, 0620 };
    for (size_t i = 0; i < COUNT(modes); i++) {
        void *store =
            pkcs11_opened(pkcs11_uri(LABEL, softhsm_module(), write_pin(SOFTHSM_PIN, modes[i])));
        assert_status(pkcs11_seal(store, 1, &a, &error), ARIL_E_IO_PERMISSION);
        assert_non_null(strstr(error.message, "chmod 600"));
        pkcs11_close(&store);
    }
    static const char *const pins[] = { "", "\n" };
    for (size_t i = 0; i < COUNT(pins); i++) {
        void *store = pkcs11_opened(pkcs11_uri(LABEL, softhsm_module(), write_pin(pins[i], 0600)));
        assert_status(pkcs11_seal(store, 1, &a, &error), ARIL_E_KEYSTORE_SECRET);
        assert_non_null(strstr(error.message, "empty"));
        pkcs11_close(&store);
    }
    void *store = pkcs11_opened(pkcs11_uri(LABEL, softhsm_module(), temp_path("no-such-pin")));
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_E_NOT_FOUND);
    pkcs11_close(&store);
    assert_int_equal(softhsm_flags(LABEL) & COUNT_LOW, 0);
}

/* --- what is not there */

static void a_missing_token_is_told_by_name(void **state)
{
    (void)state;
    softhsm_need();
    expect_open_refused(pkcs11_uri("aril", softhsm_module(), NULL), ARIL_E_NOT_FOUND,
                        "token=aril?"); /* a beginning of the label is another one */
    expect_open_refused(pkcs11_uri("nobody", softhsm_module(), NULL), ARIL_E_NOT_FOUND,
                        "no such token");
    char uri[512];
    (void)snprintf(uri, sizeof uri, "pkcs11:token=aril%%20test;serial=none?module-path=%s",
                   softhsm_module());
    expect_open_refused(uri, ARIL_E_NOT_FOUND, "no such token");
}

static void a_missing_module_is_told_by_path(void **state)
{
    (void)state;
    expect_open_refused(pkcs11_uri("t", temp_path("none.so"), NULL), ARIL_E_NOT_FOUND, "none.so");
    expect_open_refused(pkcs11_uri("t", temp_path("no/none.so"), NULL), ARIL_E_NOT_FOUND,
                        "none.so");
    expect_open_refused("pkcs11:token=t?module-path=none.so", ARIL_E_USAGE_RANGE, "absolute");
}

static void a_module_that_is_none_is_unavailable(void **state)
{
    (void)state;
    const char *path = temp_write("text.so", 0755, (aril_bytes){ (const uint8_t *)"text", 4 });
    expect_open_refused(pkcs11_uri("t", path, NULL), ARIL_E_UNAVAILABLE, "text.so");
    temp_clear(path);
    expect_open_refused(pkcs11_uri("t", "/", NULL), ARIL_E_IO, "not a regular file");
}

static void a_module_that_others_could_change_is_not_loaded(void **state)
{
    (void)state;
    static const unsigned modes[] = { 0775, 0757, 0666 };
    for (size_t i = 0; i < COUNT(modes); i++) {
        const char *path =
            temp_write("open.so", modes[i], (aril_bytes){ (const uint8_t *)"text", 4 });
        expect_open_refused(pkcs11_uri("t", path, NULL), ARIL_E_IO_PERMISSION, "chmod go-w");
        const char *link = temp_path("link.so");
        assert_int_equal(symlink(path, link), 0);
        expect_open_refused(pkcs11_uri("t", link, NULL), ARIL_E_IO_PERMISSION, "link.so");
        temp_clear(link);
        temp_clear(path);
    }
    const char *path = temp_write("other.so", 0755, (aril_bytes){ (const uint8_t *)"text", 4 });
    if (geteuid() == 0 && chown(path, 12345, (gid_t)-1) == 0) {
        expect_open_refused(pkcs11_uri("t", path, NULL), ARIL_E_IO_PERMISSION, "chown");
    }
    temp_clear(path);
}

static void a_token_that_was_lost_says_so(void **state)
{
    (void)state;
    softhsm_need();
    void *store = pkcs11_opened(good_uri());
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
    softhsm_lose_tokens();
    expect_open_refused(good_uri(), ARIL_E_NOT_FOUND, "no such token");

    /* A new token of the same name is another one. */
    assert_true(softhsm_add_token(LABEL));
    store = pkcs11_opened(good_uri());
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_E_KEYSTORE_WRONG);
    pkcs11_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens_also_after_a_restart),
        cmocka_unit_test(a_blob_shows_nothing_of_the_secret_and_never_repeats),
        cmocka_unit_test(no_key_leaves_the_token),
        cmocka_unit_test(a_destroyed_slot_never_opens_again),
        cmocka_unit_test(it_says_what_it_is),
        cmocka_unit_test(two_keystores_share_the_module_and_the_login),
        cmocka_unit_test(a_module_that_others_use_is_not_ended),
        cmocka_unit_test(another_slot_or_binding_does_not_open),
        cmocka_unit_test(no_flipped_bit_goes_unnoticed),
        cmocka_unit_test(every_other_length_is_a_format_error),
        cmocka_unit_test(a_wrong_pin_is_tried_once),
        cmocka_unit_test(a_person_is_asked_when_there_is_no_file),
        cmocka_unit_test(without_anybody_to_ask_no_pin_is_tried),
        cmocka_unit_test(a_pin_file_must_be_private),
        cmocka_unit_test(a_missing_token_is_told_by_name),
        cmocka_unit_test(a_missing_module_is_told_by_path),
        cmocka_unit_test(a_module_that_is_none_is_unavailable),
        cmocka_unit_test(a_module_that_others_could_change_is_not_loaded),
        cmocka_unit_test(a_token_that_was_lost_says_so),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

#else

static void without_headers_it_is_unavailable(void **state)
{
    (void)state;
    void *store = NULL;
    aril_error error;
    assert_status(pkcs11_open(pkcs11_uri("t", "/m.so", NULL), NULL, NULL, &store, &error),
                  ARIL_E_UNAVAILABLE);
    assert_non_null(strstr(error.message, "p11-kit"));
    arili_store_pkcs11.close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_headers_it_is_unavailable),
    };
    return cmocka_run_group_tests(tests, runtime_setup, runtime_teardown);
}

#endif
