/* SPDX-License-Identifier: Apache-2.0 */
#include "tpm2_fixture.h"
#include "check.h"
#include "crypto/runtime.h"
#include "keyring/stores/tpm2_internal.h"
#include "runtime.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILL 0xee

/* tpm2-tss 3.2 forgets a copy of its configuration when the control channel of swtpm fails. */
const char *__lsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void)
{
    return "leak:Tss2_Tcti_Swtpm_Init\n";
}

struct swtpm tpm;
static void *store_of_test;

const char *tpm2_missing(void)
{
    if (!ARILI_TPM2_HEADERS) {
        return "built without the headers of tpm2-tss (Debian: libtss2-dev)";
    }
    return swtpm_installed() ? NULL : SWTPM_MISSING;
}

int tpm2_group_setup(void **state)
{
    /* tpm2-tss writes each failure to stderr, and reads this when it does so first. Set it to look
     * at what it writes. */
    return setenv("TSS2_LOG", "all+NONE", 0) == 0 ? runtime_setup(state) : -1;
}

int tpm2_group_teardown(void **state)
{
    return runtime_teardown(state);
}

int tpm2_setup(void **state)
{
    (void)state;
    store_of_test = NULL;
    return swtpm_start(&tpm) ? 0 : -1;
}

/* What a call should have flushed, or made persistent by mistake. */
static size_t leftovers(struct swtpm *at)
{
    return swtpm_handles(at, SWTPM_TRANSIENT, NULL, 0) +
           swtpm_handles(at, SWTPM_LOADED_SESSIONS, NULL, 0) +
           swtpm_handles(at, SWTPM_SAVED_SESSIONS, NULL, 0) +
           swtpm_handles(at, SWTPM_PERSISTENT, NULL, 0);
}

int tpm2_teardown(void **state)
{
    (void)state;
    tpm2_close(store_of_test);
    /* Ended before anything is demanded of it: a failed demand leaves for the next test. */
    const size_t left = tpm.pid > 0 && !tpm.is_frozen ? leftovers(&tpm) : 0;
    swtpm_remove(&tpm);
    assert_int_equal(left, 0);
    return 0;
}

void tpm2_expect_clean(struct swtpm *at)
{
    assert_int_equal(leftovers(at), 0);
}

aril_status tpm2_try_open(const char *uri, void **ret, aril_error *error)
{
    const struct arili_store_options options = { .rt = rt,
                                                 .uri = uri,
                                                 .rest = strchr(uri, ':') + 1 };
    return arili_store_tpm2.open(&options, ret, error);
}

void *tpm2_open(const struct swtpm *at, const char *query)
{
    char uri[512];
    (void)snprintf(uri, sizeof uri, "%s%s", at->uri, query);
    void *store = NULL;
    aril_error error = { .message = "" };
    if (tpm2_try_open(uri, &store, &error) != ARIL_OK) {
        fail_msg("%s", error.message);
    }
    return store;
}

void *tpm2_store(void)
{
    if (store_of_test == NULL) {
        store_of_test = tpm2_open(&tpm, "");
    }
    return store_of_test;
}

void tpm2_close(void *store)
{
    arili_store_tpm2.close(store);
}

struct arili_store_place tpm2_place(unsigned number)
{
    struct arili_store_place place;
    memset(place.slot, (int)(0x20 + number), sizeof place.slot);
    memset(place.binding, (int)(0xa0 + number), sizeof place.binding);
    return place;
}

void tpm2_secret(unsigned number, uint8_t ret[ARILI_STORE_SECRET_BYTES])
{
    for (unsigned i = 0; i < ARILI_STORE_SECRET_BYTES; i++) {
        ret[i] = (uint8_t)(i * 7 + number * 31 + 1);
    }
}

aril_status tpm2_try_seal(void *store, unsigned number, struct tpm2_blob *ret, aril_error *error)
{
    const struct arili_store_place place = tpm2_place(number);
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    tpm2_secret(number, secret);
    return arili_store_tpm2.seal(store, &place, secret, ret->bytes, sizeof ret->bytes, &ret->len,
                                 error);
}

struct tpm2_blob tpm2_seal(void *store, unsigned number)
{
    struct tpm2_blob blob = { .len = 0 };
    aril_error error = { .message = "" };
    if (tpm2_try_seal(store, number, &blob, &error) != ARIL_OK) {
        fail_msg("%s", error.message);
    }
    return blob;
}

void tpm2_expect_opens(void *store, const struct tpm2_blob *blob, unsigned number)
{
    const struct arili_store_place place = tpm2_place(number);
    uint8_t got[ARILI_STORE_SECRET_BYTES], want[ARILI_STORE_SECRET_BYTES];
    tpm2_secret(number, want);
    aril_error error = { .message = "" };
    if (arili_store_tpm2.unseal(store, &place, (aril_bytes){ blob->bytes, blob->len }, got,
                                &error) != ARIL_OK) {
        fail_msg("%s", error.message);
    }
    assert_memory_equal(got, want, sizeof want);
}

const char *tpm2_expect_refused(void *store, const struct tpm2_blob *blob,
                                const struct arili_store_place *place, aril_status st)
{
    static aril_error error;
    uint8_t got[ARILI_STORE_SECRET_BYTES];
    memset(got, FILL, sizeof got);
    memset(&error, 0, sizeof error);
    assert_status(
        arili_store_tpm2.unseal(store, place, (aril_bytes){ blob->bytes, blob->len }, got, &error),
        st);
    assert_status(error.status, st);
    assert_int_equal(strncmp(error.message, "tpm2:swtpm:path=", 16), 0);
    for (size_t i = 0; i < sizeof got; i++) {
        assert_int_equal(got[i], FILL);
    }
    return error.message;
}

void tpm2_tag(const char *label, const uint8_t id[ARILI_STORE_SLOT_BYTES],
              uint8_t ret[TPM2_TAG_BYTES])
{
    const aril_bytes parts[] = { { (const uint8_t *)label, strlen(label) },
                                 { id, ARILI_STORE_SLOT_BYTES } };
    assert_status(rt->crypto.ops->hash(rt->crypto.provider, ARILI_SHA256, parts, 2, ret), ARIL_OK);
}
