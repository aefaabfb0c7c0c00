/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation fails once, in opening a keystore of each kind that is a file, in sealing,
 * unsealing and destroying. Demanded are ARIL_E_NOMEM, untouched outputs, a message, and a key
 * file that is as before or as after. */
#include "check.h"
#include "fault_alloc.h"
#include "fixture.h"
#include "keyring/keystore.h"
#include "keyring/stores/file.h"
#include "runtime.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

#define FILLER   0xa7u
#define FAST_KIB 64u

static char uris[3][600];
static const struct arili_store_place place = { .slot = { 1 }, .binding = { 2 } };
static const uint8_t secret[ARILI_STORE_SECRET_BYTES] = { 3, 4, 5 };

static aril_status type_it(void *user, aril_secret_kind kind, const char *subject, uint8_t *ret,
                           size_t cap, size_t *ret_len)
{
    (void)user, (void)kind, (void)subject, (void)cap;
    memcpy(ret, "word", 4);
    *ret_len = 4;
    return ARIL_OK;
}

static aril_status fast_open(const struct arili_store_options *options, void **ret_state,
                             aril_error *error)
{
    return arili_passphrase_open_with(options, FAST_KIB, ret_state, error);
}

/* Number 3 asks for a passphrase. */
static aril_status open_number(unsigned number, aril_keystore **ret, aril_error *error)
{
    static struct arili_store_ops fast;
    const aril_keystore_config config = { .uri = number < 3 ? uris[number] : "passphrase:",
                                          .ask = type_it,
                                          .argon2_ms = 1,
                                          .create = 1 };
    const struct arili_store_ops *ops = arili_store_find(config.uri);
    if (ops == &arili_store_passphrase) {
        fast = *ops;
        fast.open = fast_open;
        ops = &fast;
    }
    return arili_keystore_open_with(rt, ops, &config, ret, error);
}

/* Whether the armed allocation was reached; then the failure must be one of memory. */
static bool met(aril_status st, const aril_error *error)
{
    fault_alloc_disarm();
    if (!fault_alloc_fired()) {
        assert_status(st, ARIL_OK);
        return false;
    }
    assert_status(st, ARIL_E_NOMEM);
    assert_status(error->status, ARIL_E_NOMEM);
    assert_true(strlen(error->message) > 10);
    return true;
}

static void opening_survives_every_failure(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 4; number++) {
        for (unsigned n = 1;; n++) {
            aril_keystore *ks = NULL;
            aril_error error = { .status = ARIL_OK };
            fault_alloc_arm(n);
            const aril_status st = open_number(number, &ks, &error);
            const bool again = met(st, &error);
            assert_int_equal(ks == NULL, again);
            aril_keystore_close(ks);
            if (!again) {
                assert_true(n > 3);
                break;
            }
        }
    }
}

static void sealing_survives_every_failure(void **state)
{
    (void)state;
    for (unsigned number = 0; number < 4; number++) {
        uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
        size_t len = 0;
        aril_error error = { .status = ARIL_OK };
        for (unsigned n = 1;; n++) {
            aril_keystore *ks = NULL;
            assert_status(open_number(number, &ks, NULL), ARIL_OK);
            memset(blob, FILLER, sizeof blob);
            len = 777;
            fault_alloc_arm(n);
            const aril_status st =
                arili_keystore_seal(ks, &place, secret, blob, sizeof blob, &len, &error);
            const bool again = met(st, &error);
            aril_keystore_close(ks);
            if (!again) {
                break;
            }
            assert_true(is_filled(blob, sizeof blob, FILLER));
            assert_int_equal(len, 777);
        }
        for (unsigned n = 1;; n++) {
            uint8_t out[ARILI_STORE_SECRET_BYTES];
            aril_keystore *ks = NULL;
            assert_status(open_number(number, &ks, NULL), ARIL_OK);
            memset(out, FILLER, sizeof out);
            fault_alloc_arm(n);
            const aril_status st =
                arili_keystore_unseal(ks, &place, (aril_bytes){ blob, len }, out, &error);
            const bool again = met(st, &error);
            aril_keystore_close(ks);
            if (!again) {
                assert_memory_equal(out, secret, sizeof out);
                break;
            }
            assert_true(is_filled(out, sizeof out, FILLER));
        }
    }
}

static void destroying_survives_every_failure(void **state)
{
    aril_keystore *ks = NULL;
    uint8_t out[ARILI_STORE_SECRET_BYTES];
    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
    size_t len = 0;
    aril_error error = { .status = ARIL_OK };
    (void)state;
    assert_status(open_number(0, &ks, NULL), ARIL_OK);
    assert_status(arili_keystore_seal(ks, &place, secret, blob, sizeof blob, &len, NULL), ARIL_OK);
    for (unsigned n = 1;; n++) {
        fault_alloc_arm(n);
        const aril_status st = arili_keystore_destroy(ks, place.slot, &error);
        if (!met(st, &error)) {
            assert_true(n > 1);
            break;
        }
        assert_status(arili_keystore_unseal(ks, &place, (aril_bytes){ blob, len }, out, &error),
                      ARIL_OK);
    }
    assert_status(arili_keystore_unseal(ks, &place, (aril_bytes){ blob, len }, out, &error),
                  ARIL_E_KEYSTORE_WRONG);
    aril_keystore_close(ks);
}

static int setup(void **state)
{
    if (runtime_setup(state) != 0 || temp_folder_make(state) != 0) {
        return -1;
    }
    (void)snprintf(uris[0], sizeof uris[0], "file:%s", temp_path("root.key"));
    (void)snprintf(uris[1], sizeof uris[1], "credential:%s",
                   temp_write("credential", 0400,
                              TEXT("aril key file 1\n00000000000000000000000000000000 "
                                   "000102030405060708090a0b0c0d0e0f"
                                   "101112131415161718191a1b1c1d1e1f\nend\n")));
    (void)snprintf(uris[2], sizeof uris[2], "passphrase:%s",
                   temp_write("secret", 0600, TEXT("word\n")));
    return 0;
}

static int teardown(void **state)
{
    return temp_folder_remove(state) != 0 || runtime_teardown(state) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_survives_every_failure),
        cmocka_unit_test(sealing_survives_every_failure),
        cmocka_unit_test(destroying_survives_every_failure),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
