/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of the PKCS#11 backend fails once. Failing calls of the module are in
 * tests/unit/keyring/stores/pkcs11_fake_test.c. */
#include "fake_pkcs11.h"
#include "fault_alloc.h"
#include "pkcs11_store.h"
#include "runtime.h"
#include "temp_folder.h"
#include <stdio.h>

static struct fake_pkcs11 *fake;
static char uri[1024];

static int begin(void **state)
{
    return runtime_setup(state) | temp_folder_make(state);
}

static int end(void **state)
{
    temp_clear(temp_path("pin"));
    return temp_folder_remove(state) | runtime_teardown(state);
}

static void prepare(void)
{
    fake = fake_pkcs11_of(fake_pkcs11_module());
    fake_pkcs11_reset(fake);
    const char *pin = temp_write("pin", 0600, (aril_bytes){ (const uint8_t *)FAKE_PIN, 8 });
    (void)snprintf(uri, sizeof uri, "%s", pkcs11_uri(FAKE_LABEL, fake_pkcs11_module(), pin));
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    fake_pkcs11_need();
    unsigned nth = 0;
    for (bool fired = true; fired;) {
        prepare();
        fault_alloc_arm(++nth);
        void *store = NULL;
        struct sealed a;
        aril_status st = pkcs11_open(uri, NULL, NULL, &store, NULL);
        if (st == ARIL_OK) {
            st = pkcs11_seal(store, 1, &a, NULL);
        }
        fired = fault_alloc_fired();
        fault_alloc_disarm();
        assert_status(st, fired ? ARIL_E_NOMEM : ARIL_OK);
        pkcs11_close(&store);
        assert_int_equal(fake->sessions, 0);
        assert_int_equal(fake->initialized, fake->finalized);
    }
    assert_int_equal(nth, 3); /* the state, the PIN's file, and no more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
