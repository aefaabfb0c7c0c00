/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation of the PKCS#11 backend fails once. Failing calls of the module are in
 * tests/unit/keyring/stores/pkcs11_sweep_test.c. */
#include "fake_token.h"
#include "fault_alloc.h"

static void every_allocation_may_fail(void **state)
{
    (void)state;
    unsigned nth = 0;
    for (bool fired = true; fired;) {
        (void)fake_token_each(NULL);
        const char *uri = fake_token_uri();
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
        FAKE_TOKEN_TEST(every_allocation_may_fail),
    };
    return fake_token_run(tests);
}
