/* SPDX-License-Identifier: Apache-2.0 */
/* Keystores of many threads on one PKCS#11 module: they come and go, and none ends the module for
 * another. */
#include "fake_token.h"
#include "team.h"
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
    (void)snprintf(uri, sizeof uri, "%s", fake_token_uri());
    const struct team_role roles[] = { { "keystore", come_and_go, THREADS } };
    team_run(roles, COUNT(roles), NULL);
    assert_int_equal(fake->initialized, fake->finalized);
    assert_int_equal(fake->sessions, 0);
    assert_int_equal(fake->objects, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_TOKEN_TEST(keystores_of_many_threads_share_a_module),
    };
    return fake_token_run(tests);
}
