/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/keystore.h"
#include "base/bytes.h"
#include "check.h"
#include "child.h"
#include "faulty_store.h"
#include "fixture.h"
#include "memory_store.h"
#include "runtime.h"
#include "team.h"
#include "temp_folder.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LONG_MS  600000u
#define SHORT_MS 250u
#define FILLER   0xa7u

/* A keystore over a faulty store over memory. */
struct kit {
    struct memory_backing *backing;
    struct faulty_store *faulty;
    aril_keystore *ks;
    struct arili_store_place place;
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    uint8_t out[ARILI_STORE_SECRET_BYTES];
    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
    size_t len;
    aril_error error;
};

static void kit_init(struct kit *k, uint32_t deadline_ms)
{
    memset(k, 0, sizeof *k);
    fill_pattern(k->secret, sizeof k->secret, 1);
    fill_pattern(k->place.slot, sizeof k->place.slot, 2);
    fill_pattern(k->place.binding, sizeof k->place.binding, 3);
    k->backing = memory_backing_new();
    k->faulty = faulty_store_new(memory_store(k->backing, MEMORY_STORE_ALL));
    assert_status(
        arili_keystore_new_over(rt, faulty_store_store(k->faulty), deadline_ms, &k->ks, &k->error),
        ARIL_OK);
}

static void kit_done(struct kit *k)
{
    aril_keystore_close(k->ks);
    faulty_store_free(k->faulty);
    memory_backing_free(k->backing);
}

static aril_status seal(struct kit *k)
{
    k->error = (aril_error){ .status = ARIL_OK };
    return arili_keystore_seal(k->ks, &k->place, k->secret, k->blob, sizeof k->blob, &k->len,
                               &k->error);
}

static aril_status unseal(struct kit *k)
{
    k->error = (aril_error){ .status = ARIL_OK };
    memset(k->out, FILLER, sizeof k->out);
    const aril_status st =
        arili_keystore_unseal(k->ks, &k->place, (aril_bytes){ k->blob, k->len }, k->out, &k->error);
    assert_true(st == ARIL_OK || is_filled(k->out, sizeof k->out, FILLER));
    return st;
}

/* The message of the last failure. */
static void assert_says(const struct kit *k, aril_status st, const char *words)
{
    assert_status(k->error.status, st);
    if (strstr(k->error.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", k->error.message, words);
    }
}

/* --- URIs ---------------------------------------------------------------------------------- */

static void each_scheme_has_its_backend(void **state)
{
    (void)state;
    assert_ptr_equal(arili_store_find("file:/x"), &arili_store_file);
    assert_ptr_equal(arili_store_find("file:"), &arili_store_file);
    assert_ptr_equal(arili_store_find("passphrase:"), &arili_store_passphrase);
    assert_ptr_equal(arili_store_find("passphrase:/x"), &arili_store_passphrase);
    assert_ptr_equal(arili_store_find("credential:x"), &arili_store_credential);
    assert_ptr_equal(arili_store_find("tpm2:device:/dev/tpmrm0"), &arili_store_tpm2);
    assert_ptr_equal(arili_store_find("pkcs11:token=a?module-path=b"), &arili_store_pkcs11);
    const char *const others[] = { "", ":", "file", "fil:x", "files:x", "FILE:x", " file:x", "/x" };
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_null(arili_store_find(others[i]));
    }
}

static aril_status open_uri(const char *uri, struct kit *k)
{
    const aril_keystore_config config = { .uri = uri };
    k->ks = (aril_keystore *)(void *)k;
    k->error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_keystore_open(rt, &config, &k->ks, &k->error);
    if (st != ARIL_OK) {
        assert_null(k->ks);
    }
    return st;
}

static void a_uri_of_no_backend_is_refused_and_not_shown(void **state)
{
    struct kit k;
    (void)state;
    assert_status(open_uri("hunter2", &k), ARIL_E_USAGE_RANGE);
    assert_says(&k, ARIL_E_USAGE_RANGE, "passphrase:");
    assert_null(strstr(k.error.message, "hunter2"));
    assert_status(open_uri("file:", &k), ARIL_E_USAGE_RANGE);
    assert_status(open_uri("credential:", &k), ARIL_E_USAGE_RANGE);
}

static void values_out_of_range_are_refused(void **state)
{
    struct kit k;
    static char uri[6000] = "file:";
    aril_keystore *ks = NULL;
    (void)state;
    memset(uri + 5, 'x', sizeof uri - 6);
    assert_status(open_uri(uri, &k), ARIL_E_USAGE_RANGE);
    aril_keystore_config c = { .uri = "file:/nowhere", .deadline_ms = 600001 };
    assert_status(aril_keystore_open(rt, &c, &ks, NULL), ARIL_E_USAGE_RANGE);
    c = (aril_keystore_config){ .uri = "file:/nowhere", .argon2_ms = 10001 };
    assert_status(aril_keystore_open(rt, &c, &ks, NULL), ARIL_E_USAGE_RANGE);
    c = (aril_keystore_config){ .uri = "passphrase:", .argon2_ms = 400, .deadline_ms = 500 };
    assert_status(aril_keystore_open(rt, &c, &ks, &k.error), ARIL_E_USAGE_RANGE);
    assert_says(&k, ARIL_E_USAGE_RANGE, "400");
    assert_null(ks);
}

static void missing_pointers_are_refused(void **state)
{
    const aril_keystore_config none = { .uri = NULL };
    const aril_keystore_config config = { .uri = "file:/nowhere" };
    aril_keystore *ks = NULL;
    aril_keystore_info info;
    struct kit k;
    (void)state;
    assert_status(aril_keystore_open(NULL, &config, &ks, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_keystore_open(rt, NULL, &ks, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_keystore_open(rt, &none, &ks, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_keystore_open(rt, &config, NULL, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_keystore_get_info(NULL, &info), ARIL_E_USAGE_NULL);
    kit_init(&k, 0);
    assert_status(aril_keystore_get_info(k.ks, NULL), ARIL_E_USAGE_NULL);
    kit_done(&k);
    aril_keystore_close(NULL);
}

static void a_key_file_opens_by_its_uri(void **state)
{
    char uri[600];
    struct kit k = { 0 };
    aril_keystore_info info;
    (void)state;
    (void)snprintf(uri, sizeof uri, "file:%s", temp_path("by-uri.key"));
    assert_status(open_uri(uri, &k), ARIL_E_NOT_FOUND);
    assert_says(&k, ARIL_E_NOT_FOUND, "by-uri.key");
    const aril_keystore_config config = { .uri = uri, .create = 1 };
    assert_status(aril_keystore_open(rt, &config, &k.ks, &k.error), ARIL_OK);
    assert_status(seal(&k), ARIL_OK);
    aril_keystore_close(k.ks);
    assert_status(open_uri(uri, &k), ARIL_OK);
    assert_status(unseal(&k), ARIL_OK);
    assert_memory_equal(k.out, k.secret, sizeof k.out);
    assert_status(aril_keystore_get_info(k.ks, &info), ARIL_OK);
    assert_string_equal(info.backend, "file");
    assert_int_equal(info.protection, ARIL_PROTECTION_SOFTWARE);
    assert_int_equal(arili_keystore_info(k.ks)->capabilities, ARIL_KEYSTORE_DESTROY);
    /* And what it lacks is said. */
    struct arili_store_counter c = { .len = 1 };
    uint64_t value = 0;
    assert_status(arili_keystore_counter_create(k.ks, k.place.slot, &c, &value, &k.error),
                  ARIL_E_UNAVAILABLE);
    assert_says(&k, ARIL_E_UNAVAILABLE, "counter");
    assert_status(arili_keystore_counter_read(k.ks, &c, &value, &k.error), ARIL_E_UNAVAILABLE);
    assert_status(arili_keystore_counter_increment(k.ks, &c, &value, &k.error), ARIL_E_UNAVAILABLE);
    assert_status(arili_keystore_counter_destroy(k.ks, &c, &k.error), ARIL_E_UNAVAILABLE);
    aril_keystore_close(k.ks);
}

static void protections_have_names(void **state)
{
    (void)state;
    assert_string_equal(aril_protection_name(ARIL_PROTECTION_SOFTWARE), "software");
    assert_string_equal(aril_protection_name(ARIL_PROTECTION_TPM), "tpm");
    assert_string_equal(aril_protection_name(ARIL_PROTECTION_HSM), "hsm");
    assert_string_equal(aril_protection_name((aril_protection)0), "unknown");
}

/* --- Failures of a store ---------------------------------------------------------------------- */

static void a_store_that_fails_gives_its_status_and_some_message(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, LONG_MS);
    assert_status(seal(&k), ARIL_OK);
    faulty_store_arm(k.faulty, 1, ARIL_E_KEYSTORE_BUSY);
    assert_status(unseal(&k), ARIL_E_KEYSTORE_BUSY);
    assert_says(&k, ARIL_E_KEYSTORE_BUSY, "memory");
    /* A message of the store itself is passed on. */
    k.place.binding[0] ^= 1;
    assert_status(unseal(&k), ARIL_E_AUTH);
    assert_says(&k, ARIL_E_AUTH, "does not open here");
    k.place.binding[0] ^= 1;
    assert_status(unseal(&k), ARIL_OK);
    assert_memory_equal(k.out, k.secret, sizeof k.out);
    /* Its own TIMEOUT is one of many: nothing is given up. */
    faulty_store_arm(k.faulty, 1, ARIL_E_TIMEOUT);
    assert_status(unseal(&k), ARIL_E_TIMEOUT);
    assert_status(unseal(&k), ARIL_OK);
    kit_done(&k);
}

static void a_store_whose_info_fails_does_not_open(void **state)
{
    struct memory_backing *const backing = memory_backing_new();
    struct faulty_store *const f = faulty_store_new(memory_store(backing, MEMORY_STORE_ALL));
    aril_keystore *ks = NULL;
    aril_error error = { .status = ARIL_OK };
    (void)state;
    faulty_store_arm(f, 1, ARIL_E_KEYSTORE_LOCKOUT);
    assert_status(arili_keystore_new_over(rt, faulty_store_store(f), LONG_MS, &ks, &error),
                  ARIL_E_KEYSTORE_LOCKOUT);
    assert_null(ks);
    assert_status(error.status, ARIL_E_KEYSTORE_LOCKOUT);
    faulty_store_free(f);
    assert_int_equal(memory_backing_open(backing), 0);
    memory_backing_free(backing);
}

static void blobs_that_cannot_be_never_reach_the_store(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, LONG_MS);
    const unsigned calls = faulty_store_calls(k.faulty);
    static uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX + 1];
    assert_status(arili_keystore_unseal(k.ks, &k.place, (aril_bytes){ blob, 0 }, k.out, &k.error),
                  ARIL_E_FORMAT_LENGTH);
    assert_status(
        arili_keystore_unseal(k.ks, &k.place, (aril_bytes){ blob, sizeof blob }, k.out, &k.error),
        ARIL_E_FORMAT_LENGTH);
    struct arili_store_counter c = { .len = 0 };
    uint64_t value = 5;
    assert_status(arili_keystore_counter_read(k.ks, &c, &value, &k.error), ARIL_E_FORMAT_LENGTH);
    c.len = sizeof c.bytes + 1;
    assert_status(arili_keystore_counter_increment(k.ks, &c, &value, &k.error),
                  ARIL_E_FORMAT_LENGTH);
    assert_status(arili_keystore_counter_destroy(k.ks, &c, &k.error), ARIL_E_FORMAT_LENGTH);
    assert_int_equal(value, 5);
    assert_int_equal(faulty_store_calls(k.faulty), calls);
    kit_done(&k);
}

/* --- Lies --------------------------------------------------------------------------------------
 */

static void a_store_that_lies_about_a_blob_is_noticed(void **state)
{
    static const enum faulty_lie lies[] = { FAULTY_BLOB_EMPTY, FAULTY_BLOB_LONG };
    struct kit k;
    (void)state;
    kit_init(&k, LONG_MS);
    for (size_t i = 0; i < COUNT(lies); i++) {
        faulty_store_lie(k.faulty, lies[i]);
        memset(k.blob, FILLER, sizeof k.blob);
        k.len = 777;
        assert_status(seal(&k), ARIL_E_KEYSTORE);
        assert_says(&k, ARIL_E_KEYSTORE, "length");
        assert_true(is_filled(k.blob, sizeof k.blob, FILLER));
        assert_int_equal(k.len, 777);
        /* Also against a buffer that is smaller than the longest blob. */
        assert_status(arili_keystore_seal(k.ks, &k.place, k.secret, k.blob, 100, &k.len, &k.error),
                      ARIL_E_KEYSTORE);
    }
    faulty_store_lie(k.faulty, FAULTY_HONEST);
    assert_status(seal(&k), ARIL_OK);
    kit_done(&k);
}

static void a_counter_that_goes_back_or_stands_still_is_noticed(void **state)
{
    struct kit k;
    struct arili_store_counter c = { 0 };
    uint64_t value = 0;
    uint64_t start = 0;
    (void)state;
    kit_init(&k, LONG_MS);
    assert_status(arili_keystore_counter_create(k.ks, k.place.slot, &c, &start, &k.error), ARIL_OK);
    assert_status(arili_keystore_counter_increment(k.ks, &c, &value, &k.error), ARIL_OK);
    assert_int_equal(value, start + 1);
    assert_status(arili_keystore_counter_read(k.ks, &c, &value, &k.error), ARIL_OK);
    assert_int_equal(value, start + 1);

    faulty_store_lie(k.faulty, FAULTY_COUNTER_STUCK);
    value = 99;
    assert_status(arili_keystore_counter_increment(k.ks, &c, &value, &k.error), ARIL_E_KEYSTORE);
    assert_says(&k, ARIL_E_KEYSTORE, "did not go up");
    faulty_store_lie(k.faulty, FAULTY_COUNTER_BACK);
    assert_status(arili_keystore_counter_read(k.ks, &c, &value, &k.error), ARIL_E_KEYSTORE);
    assert_says(&k, ARIL_E_KEYSTORE, "went back");
    assert_int_equal(value, 99);
    faulty_store_lie(k.faulty, FAULTY_HONEST);
    assert_status(arili_keystore_counter_read(k.ks, &c, &value, &k.error), ARIL_OK);
    assert_int_equal(value, start + 1);
    kit_done(&k);
}

static void a_counter_may_begin_lower_after_it_was_destroyed(void **state)
{
    struct kit k;
    struct arili_store_counter c = { 0 };
    uint64_t value = 0;
    (void)state;
    kit_init(&k, LONG_MS);
    for (unsigned i = 0; i < 20; i++) {
        k.place.slot[0] = (uint8_t)i;
        assert_status(arili_keystore_counter_create(k.ks, k.place.slot, &c, &value, &k.error),
                      ARIL_OK);
        assert_status(arili_keystore_counter_increment(k.ks, &c, &value, &k.error), ARIL_OK);
        assert_status(arili_keystore_counter_destroy(k.ks, &c, &k.error), ARIL_OK);
        assert_status(arili_keystore_counter_read(k.ks, &c, &value, &k.error), ARIL_E_NOT_FOUND);
    }
    kit_done(&k);
}

static void a_counter_with_an_impossible_name_is_refused(void **state)
{
    struct kit k;
    struct arili_store_counter c = { .len = 3 };
    uint64_t value = 7;
    (void)state;
    kit_init(&k, LONG_MS);
    faulty_store_lie(k.faulty, FAULTY_COUNTER_LONG);
    assert_status(arili_keystore_counter_create(k.ks, k.place.slot, &c, &value, &k.error),
                  ARIL_E_KEYSTORE);
    assert_int_equal(c.len, 3);
    assert_int_equal(value, 7);
    kit_done(&k);
}

static void a_store_that_states_nonsense_of_itself_does_not_open(void **state)
{
    static const enum faulty_lie lies[] = { FAULTY_PROTECTION, FAULTY_TEXT };
    (void)state;
    for (size_t i = 0; i < COUNT(lies); i++) {
        struct memory_backing *const backing = memory_backing_new();
        struct faulty_store *const f = faulty_store_new(memory_store(backing, MEMORY_STORE_ALL));
        aril_keystore *ks = NULL;
        aril_error error = { .status = ARIL_OK };
        faulty_store_lie(f, lies[i]);
        assert_status(arili_keystore_new_over(rt, faulty_store_store(f), LONG_MS, &ks, &error),
                      ARIL_E_KEYSTORE);
        assert_null(ks);
        assert_status(error.status, ARIL_E_KEYSTORE);
        faulty_store_free(f);
        memory_backing_free(backing);
    }
}

/* --- The deadline -------------------------------------------------------------------------------
 */

static void a_call_that_does_not_return_is_a_timeout(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, SHORT_MS);
    faulty_store_arm_blocked(k.faulty, 1);
    memset(k.blob, FILLER, sizeof k.blob);
    k.len = 777;
    assert_status(seal(&k), ARIL_E_TIMEOUT);
    assert_says(&k, ARIL_E_TIMEOUT, "250 ms");
    assert_true(is_filled(k.blob, sizeof k.blob, FILLER));
    assert_int_equal(k.len, 777);

    /* Given up: at once, whatever is called. */
    const unsigned calls = faulty_store_calls(k.faulty);
    struct arili_store_counter c = { .len = 1 };
    uint64_t value = 0;
    k.len = 48;
    assert_status(unseal(&k), ARIL_E_TIMEOUT);
    assert_says(&k, ARIL_E_TIMEOUT, "memory");
    assert_status(arili_keystore_destroy(k.ks, k.place.slot, &k.error), ARIL_E_TIMEOUT);
    assert_status(arili_keystore_counter_create(k.ks, k.place.slot, &c, &value, &k.error),
                  ARIL_E_TIMEOUT);
    assert_status(arili_keystore_counter_read(k.ks, &c, &value, &k.error), ARIL_E_TIMEOUT);
    assert_int_equal(faulty_store_calls(k.faulty), calls);

    /* Closing does not wait, and the store goes when its call comes back. */
    aril_keystore_close(k.ks);
    assert_false(faulty_store_closed(k.faulty));
    faulty_store_release(k.faulty);
    faulty_store_free(k.faulty);
    assert_int_equal(memory_backing_slots(k.backing), 1);
    memory_backing_free(k.backing);
}

/* Every call, and the state goes before the keystore does. */
static void every_call_has_the_deadline(void **state)
{
    (void)state;
    for (unsigned call = 0; call < 6; call++) {
        struct kit k;
        struct arili_store_counter c = { .len = ARILI_STORE_SLOT_BYTES };
        uint64_t value = 0;
        kit_init(&k, SHORT_MS);
        faulty_store_arm_blocked(k.faulty, 1);
        k.len = 48;
        const aril_status st =
            call == 0   ? unseal(&k)
            : call == 1 ? arili_keystore_destroy(k.ks, k.place.slot, &k.error)
            : call == 2 ? arili_keystore_counter_create(k.ks, k.place.slot, &c, &value, &k.error)
            : call == 3 ? arili_keystore_counter_read(k.ks, &c, &value, &k.error)
            : call == 4 ? arili_keystore_counter_increment(k.ks, &c, &value, &k.error)
                        : arili_keystore_counter_destroy(k.ks, &c, &k.error);
        assert_status(st, ARIL_E_TIMEOUT);
        faulty_store_release(k.faulty);
        faulty_store_wait_closed(k.faulty);
        assert_status(unseal(&k), ARIL_E_TIMEOUT);
        kit_done(&k);
    }
}

/* open() of a backend whose device does not answer: everything of it is in one place, so that
 * the test can look at it after the keystore is gone. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool released;
    struct memory_backing *backing;
} device = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static aril_status open_slowly(const struct arili_store_options *options, void **ret_state,
                               aril_error *error)
{
    (void)pthread_mutex_lock(&device.mutex);
    while (!device.released) {
        (void)pthread_cond_wait(&device.changed, &device.mutex);
    }
    (void)pthread_mutex_unlock(&device.mutex);
    return memory_store_ops.open(options, ret_state, error);
}

static void close_and_tell(void *state)
{
    memory_store_ops.close(state);
    (void)pthread_mutex_lock(&device.mutex);
    device.released = false;
    (void)pthread_cond_broadcast(&device.changed);
    (void)pthread_mutex_unlock(&device.mutex);
}

static void opening_has_the_deadline_too(void **state)
{
    struct arili_store_ops ops = memory_store_ops;
    aril_keystore *ks = NULL;
    aril_error error = { .status = ARIL_OK };
    (void)state;
    device.backing = memory_backing_new();
    device.released = false;
    ops.open = open_slowly;
    ops.close = close_and_tell;
    const aril_keystore_config config = { .uri = "memory:x",
                                          .user = device.backing,
                                          .deadline_ms = SHORT_MS };
    assert_status(arili_keystore_open_with(rt, &ops, &config, &ks, &error), ARIL_E_TIMEOUT);
    assert_null(ks);
    assert_non_null(strstr(error.message, "memory:x"));
    (void)pthread_mutex_lock(&device.mutex);
    device.released = true;
    (void)pthread_cond_broadcast(&device.changed);
    while (device.released) {
        (void)pthread_cond_wait(&device.changed, &device.mutex);
    }
    (void)pthread_mutex_unlock(&device.mutex);
    assert_int_equal(memory_backing_open(device.backing), 0);
    memory_backing_free(device.backing);
}

/* The thread that was given up keeps what it needs of a runtime that its program has freed. */
static void a_runtime_may_end_before_a_keystore_that_was_given_up(void **state)
{
    struct memory_backing *const backing = memory_backing_new();
    struct faulty_store *const f = faulty_store_new(memory_store(backing, MEMORY_STORE_ALL));
    const struct arili_store_place place = { .slot = { 1 } };
    const uint8_t secret[ARILI_STORE_SECRET_BYTES] = { 2 };
    uint8_t blob[100];
    size_t len = 0;
    aril_runtime *own = NULL;
    aril_keystore *ks = NULL;
    (void)state;
    assert_status(aril_runtime_new(NULL, &own), ARIL_OK);
    assert_status(arili_keystore_new_over(own, faulty_store_store(f), SHORT_MS, &ks, NULL),
                  ARIL_OK);
    faulty_store_arm_blocked(f, 1);
    assert_status(arili_keystore_seal(ks, &place, secret, blob, sizeof blob, &len, NULL),
                  ARIL_E_TIMEOUT);
    aril_keystore_close(ks);
    aril_runtime_free(own);
    faulty_store_release(f);
    faulty_store_free(f);
    memory_backing_free(backing);
}

static void seal_with_kit(void *arg, unsigned number)
{
    struct kit *const k = arg;
    struct arili_store_place place = k->place;
    uint8_t blob[64];
    size_t len = 0;
    place.slot[0] = (uint8_t)number;
    (void)team_demand(arili_keystore_seal(k->ks, &place, k->secret, blob, sizeof blob, &len,
                                          NULL) == ARIL_E_TIMEOUT,
                      "a call did not time out");
}

static void those_who_wait_for_their_turn_hear_that_it_is_given_up(void **state)
{
    struct kit k;
    const struct team_role role = { "seals", seal_with_kit, 4 };
    (void)state;
    kit_init(&k, SHORT_MS);
    faulty_store_arm_blocked(k.faulty, 1);
    team_run(&role, 1, &k);
    faulty_store_release(k.faulty);
    kit_done(&k);
}

static void work_with_kit(void *arg, unsigned number)
{
    struct kit *const k = arg;
    struct arili_store_place place = k->place;
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    uint8_t out[ARILI_STORE_SECRET_BYTES];
    uint8_t blob[64];
    size_t len = 0;
    memset(secret, (int)number + 1, sizeof secret);
    place.slot[0] = (uint8_t)number;
    for (unsigned i = 0; i < 100 && !team_failed(); i++) {
        (void)team_demand(
            arili_keystore_seal(k->ks, &place, secret, blob, sizeof blob, &len, NULL) == ARIL_OK,
            "sealing failed");
        (void)team_demand(
            arili_keystore_unseal(k->ks, &place, (aril_bytes){ blob, len }, out, NULL) == ARIL_OK &&
                memcmp(out, secret, sizeof out) == 0,
            "another secret came back");
    }
}

static void threads_share_a_keystore(void **state)
{
    struct kit k;
    const struct team_role role = { "works", work_with_kit, 6 };
    (void)state;
    kit_init(&k, LONG_MS);
    team_run(&role, 1, &k);
    assert_int_equal(memory_backing_slots(k.backing), 6);
    kit_done(&k);
}

/* --- Asking -------------------------------------------------------------------------------------
 */

struct person {
    unsigned asked;
    aril_secret_kind kind;
    char subject[64];
    bool slow, too_long;
    aril_status answer;
    aril_keystore *ks; /* called from within, when not NULL */
    aril_status inner;
};

static uint64_t now_ms(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static aril_status type_it(void *user, aril_secret_kind kind, const char *subject, uint8_t *ret,
                           size_t cap, size_t *ret_len)
{
    struct person *const p = user;
    p->asked++;
    p->kind = kind;
    (void)snprintf(p->subject, sizeof p->subject, "%s", subject);
    const uint64_t until_ms = now_ms() + 4 * SHORT_MS;
    while (p->slow && now_ms() < until_ms) {
    }
    if (p->ks != NULL) {
        const struct arili_store_place place = { .slot = { 1 } };
        uint8_t out[ARILI_STORE_SECRET_BYTES];
        p->inner = arili_keystore_unseal(p->ks, &place, (aril_bytes){ ret, 4 }, out, NULL);
    }
    memcpy(ret, "word", 4);
    *ret_len = p->too_long ? cap + 1 : 4;
    return p->answer;
}

/* A store that asks whenever it unseals, and answers whether the word was right. */
struct asking {
    struct arili_store inner;
    struct arili_store_options options;
};
static struct asking asking;

static aril_status asking_open(const struct arili_store_options *options, void **ret_state,
                               aril_error *error)
{
    asking.options = *options;
    (void)error;
    *ret_state = &asking;
    return ARIL_OK;
}

static void asking_close(void *state)
{
    (void)state;
}

static aril_status asking_info(void *state, aril_keystore_info *ret_info, aril_error *error)
{
    (void)state;
    (void)error;
    *ret_info = (aril_keystore_info){ .protection = ARIL_PROTECTION_HSM,
                                      .capabilities = ARIL_KEYSTORE_ASKS,
                                      .backend = "asking",
                                      .description = "tok\033[31men\n" };
    return ARIL_OK;
}

static aril_status asking_seal(void *state, const struct arili_store_place *place,
                               const uint8_t secret[ARILI_STORE_SECRET_BYTES], uint8_t *ret_blob,
                               size_t cap, size_t *ret_len, aril_error *error)
{
    (void)state, (void)place, (void)secret, (void)ret_blob, (void)cap, (void)ret_len, (void)error;
    return ARIL_E_UNAVAILABLE;
}

static aril_status asking_unseal(void *state, const struct arili_store_place *place,
                                 aril_bytes blob, uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                 aril_error *error)
{
    uint8_t typed[16];
    size_t len = 0;
    (void)state, (void)place, (void)blob, (void)error;
    if (asking.options.ask == NULL) {
        return ARIL_E_KEYSTORE_SECRET;
    }
    const aril_status st = asking.options.ask(asking.options.user, ARIL_SECRET_PIN, "token", typed,
                                              sizeof typed, &len);
    if (st != ARIL_OK) {
        return st;
    }
    if (len != 4 || memcmp(typed, "word", 4) != 0) {
        return ARIL_E_KEYSTORE_SECRET;
    }
    memset(ret_secret, 5, ARILI_STORE_SECRET_BYTES);
    return ARIL_OK;
}

static const struct arili_store_ops asking_ops = {
    .abi = ARILI_STORE_ABI,
    .scheme = "asking",
    .open = asking_open,
    .close = asking_close,
    .info = asking_info,
    .seal = asking_seal,
    .unseal = asking_unseal,
};

static aril_keystore *open_asking(struct person *p)
{
    aril_keystore *ks = NULL;
    const aril_keystore_config config = {
        .uri = "asking:x", .ask = p != NULL ? type_it : NULL, .user = p, .deadline_ms = SHORT_MS
    };
    assert_status(arili_keystore_open_with(rt, &asking_ops, &config, &ks, NULL), ARIL_OK);
    return ks;
}

static aril_status unseal_asking(aril_keystore *ks, uint8_t ret[ARILI_STORE_SECRET_BYTES])
{
    const struct arili_store_place place = { .slot = { 1 } };
    memset(ret, FILLER, ARILI_STORE_SECRET_BYTES);
    return arili_keystore_unseal(ks, &place, TEXT("blob"), ret, NULL);
}

static void a_person_may_take_longer_than_the_deadline(void **state)
{
    struct person p = { .slow = true };
    uint8_t out[ARILI_STORE_SECRET_BYTES];
    aril_keystore *const ks = open_asking(&p);
    (void)state;
    assert_status(unseal_asking(ks, out), ARIL_OK);
    assert_true(is_filled(out, sizeof out, 5));
    assert_int_equal(p.asked, 1);
    assert_int_equal(p.kind, ARIL_SECRET_PIN);
    assert_string_equal(p.subject, "token");
    assert_status(unseal_asking(ks, out), ARIL_OK);
    aril_keystore_close(ks);
}

static void what_a_person_does_not_say_is_passed_on(void **state)
{
    struct person p = { .answer = ARIL_E_KEYSTORE_SECRET };
    uint8_t out[ARILI_STORE_SECRET_BYTES];
    aril_keystore *const ks = open_asking(&p);
    (void)state;
    assert_status(unseal_asking(ks, out), ARIL_E_KEYSTORE_SECRET);
    assert_true(is_filled(out, sizeof out, FILLER));
    p.answer = ARIL_OK;
    p.too_long = true;
    assert_status(unseal_asking(ks, out), ARIL_E_USAGE_RANGE);
    p.too_long = false;
    assert_status(unseal_asking(ks, out), ARIL_OK);
    aril_keystore_close(ks);
}

static void a_keystore_that_is_called_from_its_own_question_says_so(void **state)
{
    struct person p = { .answer = ARIL_OK };
    uint8_t out[ARILI_STORE_SECRET_BYTES];
    aril_keystore *const ks = open_asking(&p);
    (void)state;
    p.ks = ks;
    assert_status(unseal_asking(ks, out), ARIL_OK);
    assert_status(p.inner, ARIL_E_USAGE_STATE);
    aril_keystore_close(ks);
}

static void a_store_learns_that_nobody_can_be_asked(void **state)
{
    uint8_t out[ARILI_STORE_SECRET_BYTES];
    aril_keystore *const ks = open_asking(NULL);
    (void)state;
    assert_status(unseal_asking(ks, out), ARIL_E_KEYSTORE_SECRET);
    aril_keystore_close(ks);
}

static void texts_of_a_device_are_harmless(void **state)
{
    aril_keystore *const ks = open_asking(NULL);
    (void)state;
    assert_string_equal(arili_keystore_info(ks)->description, "tok?[31men?");
    assert_int_equal(arili_keystore_info(ks)->protection, ARIL_PROTECTION_HSM);
    aril_keystore_close(ks);
}

static aril_status refuse_open(const struct arili_store_options *options, void **ret_state,
                               aril_error *error)
{
    (void)options, (void)ret_state, (void)error;
    return ARIL_E_KEYSTORE;
}

/* A backend that says nothing itself gets a message with the URI; a PIN in it is not shown. */
static void a_pin_in_a_uri_is_in_no_message(void **state)
{
    struct arili_store_ops ops = asking_ops;
    aril_keystore *ks = NULL;
    aril_error error = { .status = ARIL_OK };
    const aril_keystore_config config = { .uri = "asking:token=a?pin-value=1234&x=y" };
    (void)state;
    ops.open = refuse_open;
    assert_status(arili_keystore_open_with(rt, &ops, &config, &ks, &error), ARIL_E_KEYSTORE);
    assert_non_null(strstr(error.message, "asking:token=a?pin-value=..."));
    assert_null(strstr(error.message, "1234"));
    ops.abi = ARILI_STORE_ABI + 1;
    assert_status(arili_keystore_open_with(rt, &ops, &config, &ks, &error), ARIL_E_USAGE_RANGE);
    assert_null(ks);
}

/* --- Forks --------------------------------------------------------------------------------------
 */

static int use_in_child(void *arg)
{
    struct kit *const k = arg;
    const aril_keystore_config config = { .uri = "file:/nowhere" };
    aril_keystore *ks = NULL;
    if (seal(k) != ARIL_E_FORKED || unseal(k) != ARIL_E_FORKED ||
        k->error.status != ARIL_E_FORKED) {
        return 1;
    }
    if (aril_keystore_open(rt, &config, &ks, NULL) != ARIL_E_FORKED) {
        return 2;
    }
    aril_keystore_close(k->ks);
    /* The child has no thread that could close the store, and must not: it is the parent's. */
    return faulty_store_closed(k->faulty) ? 3 : 0;
}

static void a_forked_child_is_refused_and_can_close(void **state)
{
    struct kit k;
    (void)state;
    kit_init(&k, LONG_MS);
    assert_status(seal(&k), ARIL_OK);
    assert_int_equal(child_run(use_in_child, &k), 0);
    assert_status(unseal(&k), ARIL_OK);
    assert_memory_equal(k.out, k.secret, sizeof k.out);
    kit_done(&k);
}

static int setup(void **state)
{
    return runtime_setup(state) != 0 || temp_folder_make(state) != 0;
}

static int teardown(void **state)
{
    return temp_folder_remove(state) != 0 || runtime_teardown(state) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_scheme_has_its_backend),
        cmocka_unit_test(a_uri_of_no_backend_is_refused_and_not_shown),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(missing_pointers_are_refused),
        cmocka_unit_test(a_key_file_opens_by_its_uri),
        cmocka_unit_test(protections_have_names),
        cmocka_unit_test(a_store_that_fails_gives_its_status_and_some_message),
        cmocka_unit_test(a_store_whose_info_fails_does_not_open),
        cmocka_unit_test(blobs_that_cannot_be_never_reach_the_store),
        cmocka_unit_test(a_store_that_lies_about_a_blob_is_noticed),
        cmocka_unit_test(a_counter_that_goes_back_or_stands_still_is_noticed),
        cmocka_unit_test(a_counter_may_begin_lower_after_it_was_destroyed),
        cmocka_unit_test(a_counter_with_an_impossible_name_is_refused),
        cmocka_unit_test(a_store_that_states_nonsense_of_itself_does_not_open),
        cmocka_unit_test(a_call_that_does_not_return_is_a_timeout),
        cmocka_unit_test(every_call_has_the_deadline),
        cmocka_unit_test(opening_has_the_deadline_too),
        cmocka_unit_test(a_runtime_may_end_before_a_keystore_that_was_given_up),
        cmocka_unit_test(those_who_wait_for_their_turn_hear_that_it_is_given_up),
        cmocka_unit_test(threads_share_a_keystore),
        cmocka_unit_test(a_person_may_take_longer_than_the_deadline),
        cmocka_unit_test(what_a_person_does_not_say_is_passed_on),
        cmocka_unit_test(a_keystore_that_is_called_from_its_own_question_says_so),
        cmocka_unit_test(a_store_learns_that_nobody_can_be_asked),
        cmocka_unit_test(texts_of_a_device_are_harmless),
        cmocka_unit_test(a_pin_in_a_uri_is_in_no_message),
        cmocka_unit_test(a_forked_child_is_refused_and_can_close),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
