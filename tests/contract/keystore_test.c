/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "faulty_store.h"
#include "fixture.h"
#include "keyring/keystore.h"
#include "keyring/stores/file.h"
#include "keystore_contract.h"
#include "memory_store.h"
#include "runtime.h"
#include "temp_folder.h"
#include <string.h>

/* --- Files ----------------------------------------------------------------------------------- */

#define FAST_KIB 64u

static aril_status open_uri(const struct arili_store_ops *ops, const char *scheme, const char *path,
                            struct arili_store *ret, aril_error *error)
{
    const struct arili_store_options options = {
        .rt = rt, .uri = scheme, .rest = path, .argon2_ms = 1, .create = true
    };
    ret->ops = ops;
    return ops->open(&options, &ret->state, error);
}

static aril_status open_file(void *user, struct arili_store *ret, aril_error *error)
{
    return open_uri(&arili_store_file, "file:", user, ret, error);
}

static void clear_file(void *user)
{
    temp_clear(user);
}

static aril_status open_credential(void *user, struct arili_store *ret, aril_error *error)
{
    return open_uri(&arili_store_credential, "credential:", user, ret, error);
}

static aril_status open_passphrase(void *user, struct arili_store *ret, aril_error *error)
{
    const struct arili_store_options options = {
        .rt = rt, .uri = "passphrase:", .rest = user, .argon2_ms = 1
    };
    ret->ops = &arili_store_passphrase;
    return arili_passphrase_open_with(&options, FAST_KIB, &ret->state, error);
}

static aril_status type_it(void *user, aril_secret_kind kind, const char *subject, uint8_t *ret,
                           size_t cap, size_t *ret_len)
{
    const char *const typed = user;
    (void)kind;
    (void)subject;
    assert_true(strlen(typed) <= cap);
    memcpy(ret, typed, strlen(typed));
    *ret_len = strlen(typed);
    return ARIL_OK;
}

static aril_status open_asking(void *user, struct arili_store *ret, aril_error *error)
{
    const struct arili_store_options options = {
        .rt = rt, .uri = "passphrase:", .rest = "", .ask = type_it, .user = user, .argon2_ms = 1
    };
    ret->ops = &arili_store_passphrase;
    return arili_passphrase_open_with(&options, FAST_KIB, &ret->state, error);
}

/* --- Memory, and the wrapper around it ---------------------------------------------------------
 */

static aril_status open_memory(void *user, struct arili_store *ret, aril_error *error)
{
    (void)error;
    *ret = memory_store(user, MEMORY_STORE_ALL);
    return ARIL_OK;
}

static aril_status open_memory_that_seals(void *user, struct arili_store *ret, aril_error *error)
{
    (void)error;
    *ret = memory_store(user, 0);
    return ARIL_OK;
}

static aril_status open_wrapped(void *user, struct arili_store *ret, aril_error *error)
{
    (void)error;
    *ret = faulty_store_store(faulty_store_new(memory_store(user, MEMORY_STORE_ALL)));
    return ARIL_OK;
}

static void close_wrapped(void *user, struct arili_store *store)
{
    (void)user;
    store->ops->close(store->state);
    faulty_store_free(store->state);
}

/* --- A keystore over the memory, as a store --------------------------------------------------- */

static void keystore_close(void *state)
{
    aril_keystore_close(state);
}

static aril_status keystore_info(void *state, aril_keystore_info *ret_info, aril_error *error)
{
    (void)error;
    return aril_keystore_get_info(state, ret_info);
}

static aril_status keystore_seal(void *state, const struct arili_store_place *place,
                                 const uint8_t secret[ARILI_STORE_SECRET_BYTES], uint8_t *ret_blob,
                                 size_t cap, size_t *ret_len, aril_error *error)
{
    return arili_keystore_seal(state, place, secret, ret_blob, cap, ret_len, error);
}

static aril_status keystore_unseal(void *state, const struct arili_store_place *place,
                                   aril_bytes blob, uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                   aril_error *error)
{
    return arili_keystore_unseal(state, place, blob, ret_secret, error);
}

static aril_status keystore_destroy(void *state, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                    aril_error *error)
{
    return arili_keystore_destroy(state, slot, error);
}

static aril_status keystore_counter_create(void *state, const uint8_t seed[ARILI_STORE_SLOT_BYTES],
                                           struct arili_store_counter *ret_counter,
                                           uint64_t *ret_value, aril_error *error)
{
    return arili_keystore_counter_create(state, seed, ret_counter, ret_value, error);
}

static aril_status keystore_counter_read(void *state, const struct arili_store_counter *counter,
                                         uint64_t *ret_value, aril_error *error)
{
    return arili_keystore_counter_read(state, counter, ret_value, error);
}

static aril_status keystore_counter_increment(void *state,
                                              const struct arili_store_counter *counter,
                                              uint64_t *ret_value, aril_error *error)
{
    return arili_keystore_counter_increment(state, counter, ret_value, error);
}

static aril_status keystore_counter_destroy(void *state, const struct arili_store_counter *counter,
                                            aril_error *error)
{
    return arili_keystore_counter_destroy(state, counter, error);
}

static const struct arili_store_ops keystore_as_store = {
    .abi = ARILI_STORE_ABI,
    .scheme = "memory",
    .close = keystore_close,
    .info = keystore_info,
    .seal = keystore_seal,
    .unseal = keystore_unseal,
    .destroy = keystore_destroy,
    .counter_create = keystore_counter_create,
    .counter_read = keystore_counter_read,
    .counter_increment = keystore_counter_increment,
    .counter_destroy = keystore_counter_destroy,
};

static aril_status open_keystore(void *user, struct arili_store *ret, aril_error *error)
{
    aril_keystore *ks = NULL;
    const aril_status st =
        arili_keystore_new_over(rt, memory_store(user, MEMORY_STORE_ALL), 0, &ks, error);
    *ret = (struct arili_store){ &keystore_as_store, ks };
    return st;
}

/* --- The wrapper itself -------------------------------------------------------------------------
 */

static void an_armed_call_of_a_store_fails_once(void **state)
{
    struct memory_backing *const backing = *state;
    struct faulty_store *const f = faulty_store_new(memory_store(backing, MEMORY_STORE_ALL));
    const struct arili_store s = faulty_store_store(f);
    const struct arili_store_place place = { .slot = { 1 } };
    const uint8_t secret[ARILI_STORE_SECRET_BYTES] = { 2 };
    uint8_t blob[100];
    size_t len = 0;

    faulty_store_arm(f, 2, ARIL_E_IO);
    assert_status(s.ops->destroy(s.state, place.slot, NULL), ARIL_OK);
    assert_false(faulty_store_fired(f));
    assert_status(s.ops->seal(s.state, &place, secret, blob, sizeof blob, &len, NULL), ARIL_E_IO);
    assert_true(faulty_store_fired(f));
    assert_string_equal(faulty_store_last(f), "seal");
    assert_int_equal(memory_backing_slots(backing), 0);
    assert_status(s.ops->seal(s.state, &place, secret, blob, sizeof blob, &len, NULL), ARIL_OK);
    assert_int_equal(memory_backing_slots(backing), 1);

    faulty_store_arm_lost(f, 1, ARIL_E_TIMEOUT);
    assert_status(s.ops->destroy(s.state, place.slot, NULL), ARIL_E_TIMEOUT);
    assert_int_equal(memory_backing_slots(backing), 0);
    assert_int_equal(faulty_store_calls(f), 4);
    s.ops->close(s.state);
    faulty_store_free(f);
}

static int backing_setup(void **state)
{
    *state = memory_backing_new();
    return 0;
}

static int backing_teardown(void **state)
{
    memory_backing_free(*state);
    return 0;
}

static int run_over_memory(void)
{
    struct memory_backing *const backing = memory_backing_new();
    const struct keystore_subject subjects[] = {
        { .name = "memory",
          .user = backing,
          .open = open_memory,
          .protection = ARIL_PROTECTION_SOFTWARE,
          .capabilities = MEMORY_STORE_ALL },
        { .name = "memory that only seals",
          .user = backing,
          .open = open_memory_that_seals,
          .protection = ARIL_PROTECTION_SOFTWARE },
        { .name = "faulty wrapper over memory",
          .user = backing,
          .open = open_wrapped,
          .close = close_wrapped,
          .protection = ARIL_PROTECTION_SOFTWARE,
          .capabilities = MEMORY_STORE_ALL },
        { .name = "keystore over memory",
          .user = backing,
          .open = open_keystore,
          .protection = ARIL_PROTECTION_SOFTWARE,
          .capabilities = MEMORY_STORE_ALL },
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT(subjects); i++) {
        failed += keystore_contract_run(&subjects[i]);
    }
    memory_backing_free(backing);
    return failed;
}

static int run_over_files(void)
{
    static char key_file[512];
    static char secret_file[512];
    static char credential_file[512];
    static char typed[] = "correct horse battery staple";
    (void)strncpy(key_file, temp_path("root.key"), sizeof key_file - 1);
    (void)strncpy(secret_file, temp_write("secret", 0600, TEXT("a passphrase\n")),
                  sizeof secret_file - 1);
    (void)strncpy(credential_file,
                  temp_write("credential", 0400,
                             TEXT("aril key file 1\n00000000000000000000000000000000 "
                                  "000102030405060708090a0b0c0d0e0f"
                                  "101112131415161718191a1b1c1d1e1f\nend\n")),
                  sizeof credential_file - 1);
    const struct keystore_subject subjects[] = {
        { .name = "file",
          .user = key_file,
          .open = open_file,
          .reset = clear_file,
          .protection = ARIL_PROTECTION_SOFTWARE,
          .capabilities = ARIL_KEYSTORE_DESTROY },
        { .name = "credential",
          .user = credential_file,
          .open = open_credential,
          .protection = ARIL_PROTECTION_SOFTWARE },
        { .name = "passphrase in a file",
          .user = secret_file,
          .open = open_passphrase,
          .protection = ARIL_PROTECTION_SOFTWARE },
        { .name = "passphrase that is typed",
          .user = typed,
          .open = open_asking,
          .protection = ARIL_PROTECTION_SOFTWARE,
          .capabilities = ARIL_KEYSTORE_ASKS },
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT(subjects); i++) {
        failed += keystore_contract_run(&subjects[i]);
    }
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_armed_call_of_a_store_fails_once, backing_setup,
                                        backing_teardown),
    };
    if (runtime_setup(NULL) != 0 || temp_folder_make(NULL) != 0) {
        return 1;
    }
    int failed = run_over_memory();
    failed += run_over_files();
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    failed += temp_folder_remove(NULL) != 0;
    runtime_teardown(NULL);
    return failed;
}
