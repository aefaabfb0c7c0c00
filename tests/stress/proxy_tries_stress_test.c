/* SPDX-License-Identifier: Apache-2.0 */
/* Loops that ask for tries at the same time: as many are allowed as from one thread, and one set of
 * credentials is read by all. */
#include "check.h"
#include "proxy/auth.h"
#include "runtime.h"
#include "team.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define THREADS 4u
#define ROUNDS  (SANITIZED ? 5000u : 50000u)
#define NOW     UINT64_C(1000000000000)

struct stage {
    struct arili_tries *tries;
    struct arili_credentials *credentials;
    char token[ARILI_TOKEN_TEXT];
    atomic_uint one_address, one_user, right;
};

static aril_bytes bytes_of(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

/* From one address for many users, and for one user from many addresses. */
static void guess(void *arg, unsigned number)
{
    struct stage *const s = arg;
    for (unsigned i = 0; i < ROUNDS && !team_failed(); i++) {
        char other[32];
        (void)snprintf(other, sizeof other, "10.%u.%u.%u", number, i >> 8 & 255, i & 255);
        atomic_fetch_add(&s->one_address,
                         arili_tries_may(s->tries, "192.0.2.1", bytes_of(other), NOW));
        atomic_fetch_add(&s->one_user, arili_tries_may(s->tries, other, bytes_of("ann"), NOW));
    }
}

static void know(void *arg, unsigned number)
{
    struct stage *const s = arg;
    char mine[32];
    (void)snprintf(mine, sizeof mine, "198.51.100.%u", number);
    for (unsigned i = 0; i < ROUNDS && !team_failed(); i++) {
        team_demand(arili_tries_may(s->tries, mine, bytes_of(mine), NOW),
                    "a right passphrase is delayed");
        arili_tries_right(s->tries, mine, bytes_of(mine));
        atomic_fetch_add(&s->right, 1);
    }
}

static void come_with_tokens(void *arg, unsigned number)
{
    struct stage *const s = arg;
    for (unsigned i = 0; i < ROUNDS && !team_failed(); i++) {
        char tenant[256];
        char wrong[ARILI_TOKEN_TEXT];
        memcpy(wrong, s->token, sizeof wrong);
        wrong[6 + (i + number) % 42] ^= 1;
        team_demand(arili_token_check(s->credentials, bytes_of(""), bytes_of(s->token), tenant) ==
                            ARILI_VERDICT_YES &&
                        strcmp(tenant, "acme") == 0,
                    "a right token is refused");
        team_demand(arili_token_check(s->credentials, bytes_of(""), bytes_of(wrong), tenant) ==
                        ARILI_VERDICT_NO,
                    "a wrong token is taken");
    }
}

static void threads_get_no_more_tries_than_one(void **state)
{
    (void)state;
    struct stage s = { .one_address = 0 };
    char line[ARILI_CREDENTIAL_LINE_MAX + 1];
    assert_status(arili_tries_new(&s.tries), ARIL_OK);
    assert_status(arili_token_make(rt, bytes_of("acme"), "n", 7, s.token, line, NULL), ARIL_OK);
    (void)strncat(line, "\n", 2);
    assert_status(arili_credentials_parse(rt, "users", bytes_of(line), &s.credentials, NULL),
                  ARIL_OK);
    const struct team_role roles[] = {
        { "guess", guess, THREADS },
        { "know", know, 2 },
        { "come with tokens", come_with_tokens, 2 },
    };
    team_run(roles, COUNT(roles), &s);
    assert_int_equal(s.one_address, ARILI_TRIES_ADDRESS_BURST);
    assert_int_equal(s.one_user, ARILI_TRIES_USER_BURST);
    assert_int_equal(s.right, 2 * ROUNDS);
    arili_credentials_free(s.credentials);
    arili_tries_free(s.tries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_get_no_more_tries_than_one),
    };
    return cmocka_run_group_tests_name("logins of many threads", tests, runtime_setup,
                                       runtime_teardown);
}
