/* SPDX-License-Identifier: Apache-2.0 */
/* What every keystore promises, kept by a TPM; and the deadline around one that hangs. */
#include "check.h"
#include "keyring/keystore.h"
#include "keystore_contract.h"
#include "runtime.h"
#include "tpm2_fixture.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FILL 0xee

static aril_status open_plain(void *user, struct arili_store *ret, aril_error *error)
{
    (void)user;
    ret->ops = &arili_store_tpm2;
    return tpm2_try_open(tpm.uri, &ret->state, error);
}

static aril_status open_bound(void *user, struct arili_store *ret, aril_error *error)
{
    (void)user;
    char uri[300];
    (void)snprintf(uri, sizeof uri, "%s?pcrs=sha256:7,16", tpm.uri);
    ret->ops = &arili_store_tpm2;
    return tpm2_try_open(uri, &ret->state, error);
}

static void reset(void *user)
{
    (void)user;
    tpm2_expect_clean(&tpm);
    uint32_t handles[64];
    const size_t n = swtpm_handles(&tpm, SWTPM_NV, handles, COUNT(handles));
    for (size_t i = 0; i < n; i++) {
        swtpm_nv_undefine(&tpm, handles[i]);
    }
}

static int run_contract(void)
{
    const struct keystore_subject subjects[] = {
        { .name = "TPM",
          .open = open_plain,
          .reset = reset,
          .protection = ARIL_PROTECTION_TPM,
          .capabilities = ARIL_KEYSTORE_COUNTER | ARIL_KEYSTORE_DESTROY,
          .stride = 3 },
        { .name = "TPM with PCRs",
          .open = open_bound,
          .reset = reset,
          .protection = ARIL_PROTECTION_TPM,
          .capabilities = ARIL_KEYSTORE_COUNTER | ARIL_KEYSTORE_DESTROY,
          .stride = 7 },
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT(subjects); i++) {
        failed += keystore_contract_run(&subjects[i]);
    }
    return failed;
}

/* --- Through the keystore, which has the deadline */

static aril_status open_keystore(uint32_t deadline_ms, aril_keystore **ret, aril_error *error)
{
    const aril_keystore_config config = { .uri = tpm.uri, .deadline_ms = deadline_ms };
    return aril_keystore_open(rt, &config, ret, error);
}

static void a_keystore_opens_a_tpm_by_its_uri(void **state)
{
    (void)state;
    aril_keystore *ks = NULL;
    assert_status(open_keystore(0, &ks, NULL), ARIL_OK);
    const aril_keystore_info *info = arili_keystore_info(ks);
    assert_int_equal(info->protection, ARIL_PROTECTION_TPM);
    assert_string_equal(info->backend, "tpm2");
    const struct arili_store_place place = tpm2_place(1);
    uint8_t want[ARILI_STORE_SECRET_BYTES], got[ARILI_STORE_SECRET_BYTES];
    struct tpm2_blob blob;
    tpm2_secret(1, want);
    assert_status(
        arili_keystore_seal(ks, &place, want, blob.bytes, sizeof blob.bytes, &blob.len, NULL),
        ARIL_OK);
    assert_status(
        arili_keystore_unseal(ks, &place, (aril_bytes){ blob.bytes, blob.len }, got, NULL),
        ARIL_OK);
    assert_memory_equal(got, want, sizeof want);
    aril_keystore_close(ks);
}

/* Until what a thread that was given up left in the TPM is gone. */
static void until_clean(void)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    for (unsigned i = 0; swtpm_handles(&tpm, SWTPM_TRANSIENT, NULL, 0) +
                             swtpm_handles(&tpm, SWTPM_LOADED_SESSIONS, NULL, 0) >
                         0;
         i++) {
        assert_in_range(i, 0, 10000);
        (void)nanosleep(&pause, NULL);
    }
}

static void a_frozen_tpm_ends_the_call_at_the_deadline(void **state)
{
    (void)state;
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    const struct arili_store_place place = tpm2_place(1);
    aril_keystore *ks = NULL;
    assert_status(open_keystore(300, &ks, NULL), ARIL_OK);
    swtpm_freeze(&tpm);
    uint8_t got[ARILI_STORE_SECRET_BYTES];
    memset(got, FILL, sizeof got);
    aril_error error = { .message = "" };
    for (unsigned i = 0; i < 3; i++) { /* the later ones at once: it was given up */
        assert_status(
            arili_keystore_unseal(ks, &place, (aril_bytes){ blob.bytes, blob.len }, got, &error),
            ARIL_E_TIMEOUT);
        assert_non_null(strstr(error.message, tpm.uri));
    }
    uint64_t value = FILL;
    struct arili_store_counter counter = { .len = FILL };
    assert_status(arili_keystore_counter_create(ks, place.slot, &counter, &value, &error),
                  ARIL_E_TIMEOUT);
    assert_int_equal(value, FILL);
    aril_keystore_close(ks);
    aril_keystore *other = NULL;
    assert_status(open_keystore(300, &other, &error), ARIL_E_TIMEOUT);
    assert_null(other);
    for (size_t i = 0; i < sizeof got; i++) {
        assert_int_equal(got[i], FILL);
    }
    /* The TPM wakes up: calls that were given up end by themselves, and a new one works. */
    swtpm_thaw(&tpm);
    tpm2_expect_opens(tpm2_store(), &blob, 1);
    until_clean();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tpm2_setup, tpm2_teardown)

int main(void)
{
    if (tpm2_missing() != NULL) {
        (void)printf("skipped: %s\n", tpm2_missing());
        return 77;
    }
    const struct CMUnitTest tests[] = {
        TEST(a_keystore_opens_a_tpm_by_its_uri),
        TEST(a_frozen_tpm_ends_the_call_at_the_deadline),
    };
    if (tpm2_group_setup(NULL) != 0 || !swtpm_start(&tpm)) {
        return 1;
    }
    int failed = run_contract();
    swtpm_remove(&tpm);
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    (void)tpm2_group_teardown(NULL);
    return failed;
}
