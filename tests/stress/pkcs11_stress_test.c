/* SPDX-License-Identifier: Apache-2.0 */
/* Keystores of many threads on one PKCS#11 module: they come and go, and none ends the module for
 * another. */
#include "fake_pkcs11.h"
#include "pkcs11_store.h"
#include "runtime.h"
#include "team.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

#define THREADS 4u
#define ROUNDS  100u

static const struct arili_store_ops *const ops = &arili_store_pkcs11;
static char uri[1024];

static bool one_round(unsigned number)
{
    const struct arili_store_options options = { .rt = rt, .uri = uri, .rest = uri + 7 };
    const struct arili_store_place place = pkcs11_place(number);
    uint8_t secret[ARILI_STORE_SECRET_BYTES] = { (uint8_t)number };
    uint8_t opened[ARILI_STORE_SECRET_BYTES] = { 0xff };
    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
    size_t len = 0;
    void *store = NULL;
    if (!team_demand(ops->open(&options, &store, NULL) == ARIL_OK, "open fails")) {
        return false;
    }
    bool good = team_demand(
        ops->seal(store, &place, secret, blob, sizeof blob, &len, NULL) == ARIL_OK, "seal fails");
    good = good && team_demand(ops->unseal(store, &place, (aril_bytes){ blob, len }, opened,
                                           NULL) == ARIL_OK,
                               "unseal fails");
    good = good && team_demand(memcmp(secret, opened, sizeof secret) == 0, "another secret");
    good = good && team_demand(ops->destroy(store, place.slot, NULL) == ARIL_OK, "destroy fails");
    ops->close(store);
    return good;
}

static void come_and_go(void *arg, unsigned number)
{
    (void)arg;
    for (unsigned i = 0; i < ROUNDS && !team_failed(); i++) {
        if (!one_round(number)) {
            return;
        }
    }
}

static void keystores_of_many_threads_share_a_module(void **state)
{
    (void)state;
    fake_pkcs11_need();
    struct fake_pkcs11 *fake = fake_pkcs11_of(fake_pkcs11_module());
    fake_pkcs11_reset(fake);
    const char *pin = temp_write("pin", 0600, (aril_bytes){ (const uint8_t *)FAKE_PIN, 8 });
    (void)snprintf(uri, sizeof uri, "%s", pkcs11_uri(FAKE_LABEL, fake_pkcs11_module(), pin));
    const struct team_role roles[] = { { "keystore", come_and_go, THREADS } };
    team_run(roles, COUNT(roles), NULL);
    assert_int_equal(fake->initialized, fake->finalized);
    assert_int_equal(fake->sessions, 0);
    assert_int_equal(fake->objects, 0);
    temp_clear(pin);
}

static int begin(void **state)
{
    return runtime_setup(state) | temp_folder_make(state);
}

static int end(void **state)
{
    return temp_folder_remove(state) | runtime_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keystores_of_many_threads_share_a_module),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
