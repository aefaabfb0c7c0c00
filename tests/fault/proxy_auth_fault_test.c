/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation and each call of a primitive fails once, in every function of proxy/auth.h that
 * has some. Demanded are the exact status, a message where there is one, outputs that are empty,
 * and nobody who is let in. */
#include "check.h"
#include "crypto/runtime.h"
#include "fault_alloc.h"
#include "faulty_crypto.h"
#include "provider.h"
#include "proxy/auth.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

/* Of "correct horse", with the least work, as in tests/unit/proxy/passphrase_test.c. */
#define HORSE                                    \
    "7168,5,1:7369787465656e2d62797465732d6162:" \
    "b36f3fad576c0ddc24a3737d0551210f41f1b1291d372756e1976603765b214d:7"
#define TEXT                                                       \
    "ann:horse:argon2id:" HORSE "\nann:other:argon2id:" HORSE "\n" \
    "acme:t:token:0000000000000000000000000000000000000000000000000000000000000000:7\n"

static struct faulty_crypto *faulty;
static aril_runtime *rt;
static struct arili_credentials *credentials; /* of TEXT and the line of token */
static char token[ARILI_TOKEN_TEXT];
static char path[512];

static aril_bytes bytes_of(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

/* The detail is filled exactly when the call failed. */
static aril_status with_error(aril_status st, const aril_error *error)
{
    assert_status(error->status, st);
    assert_int_equal(error->message[0] != '\0', st != ARIL_OK);
    return st;
}

static void expect_zero(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(bytes[i], 0);
    }
}

static aril_status parse(void)
{
    struct arili_credentials *c = credentials;
    aril_error error = { .status = ARIL_OK };
    const aril_status st = arili_credentials_parse(rt, "users", bytes_of(TEXT), &c, &error);
    assert_int_equal(c == NULL, st != ARIL_OK);
    arili_credentials_free(c);
    return with_error(st, &error);
}

static aril_status read_file(void)
{
    struct arili_credentials *c = credentials;
    aril_error error = { .status = ARIL_OK };
    const aril_status st = arili_credentials_read(rt, path, &c, &error);
    assert_int_equal(c == NULL, st != ARIL_OK);
    arili_credentials_free(c);
    return with_error(st, &error);
}

static aril_status make_token(void)
{
    char fresh[ARILI_TOKEN_TEXT];
    char line[ARILI_CREDENTIAL_LINE_MAX];
    aril_error error = { .status = ARIL_OK };
    memset(fresh, 'x', sizeof fresh);
    memset(line, 'x', sizeof line);
    const aril_status st = arili_token_make(rt, bytes_of("acme"), "n", 7, fresh, line, &error);
    if (st != ARIL_OK) {
        expect_zero(fresh, sizeof fresh);
        expect_zero(line, sizeof line);
    }
    return with_error(st, &error);
}

static aril_status make_passphrase(void)
{
    char line[ARILI_CREDENTIAL_LINE_MAX];
    aril_error error = { .status = ARIL_OK };
    memset(line, 'x', sizeof line);
    const aril_status st = arili_passphrase_make(rt, bytes_of("acme"), "n",
                                                 bytes_of("correct horse"), 7, line, &error);
    if (st != ARIL_OK) {
        expect_zero(line, sizeof line);
    }
    return with_error(st, &error);
}

static aril_status check_passphrase(void)
{
    char tenant[256];
    bool right = true;
    memset(tenant, 'x', sizeof tenant);
    const aril_status st = arili_passphrase_check(credentials, bytes_of("ann"),
                                                  bytes_of("correct horse"), &right, tenant);
    assert_int_equal(right, st == ARIL_OK);
    if (st != ARIL_OK) {
        expect_zero(tenant, sizeof tenant);
    }
    return st;
}

static aril_status check_nobody(void)
{
    char tenant[256];
    bool right = true;
    const aril_status st = arili_passphrase_check(credentials, bytes_of("nobody"),
                                                  bytes_of("correct horse"), &right, tenant);
    assert_false(right);
    expect_zero(tenant, sizeof tenant);
    return st;
}

static aril_status new_tries(void)
{
    struct arili_tries *t = (struct arili_tries *)&t;
    const aril_status st = arili_tries_new(&t);
    assert_int_equal(t == NULL, st != ARIL_OK);
    arili_tries_free(t);
    return st;
}

static const struct action {
    const char *name;
    aril_status (*run)(void);
    unsigned allocs; /* of ours, exactly */
    unsigned calls;  /* of primitives, exactly */
} actions[] = {
    { "parse", parse, 7, 0 },
    { "read", read_file, 8, 0 },
    { "make a token", make_token, 0, 2 },
    { "make a passphrase", make_passphrase, 0, 2 },
    { "check a passphrase", check_passphrase, 0, 2 },
    { "check nobody's passphrase", check_nobody, 0, 2 },
    { "make tries", new_tries, 1, 0 },
};

static void every_failed_allocation_is_nomem(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(actions); i++) {
        bool fired = true;
        unsigned nth = 0;
        while (fired) {
            fault_alloc_arm(++nth);
            const aril_status st = actions[i].run();
            fault_alloc_disarm();
            fired = fault_alloc_fired();
            if (st != (fired ? ARIL_E_NOMEM : ARIL_OK)) {
                fail_msg("%s, allocation %u: %s", actions[i].name, nth, aril_status_name(st));
            }
        }
        if (nth - 1 != actions[i].allocs) {
            fail_msg("%s: %u allocations were met", actions[i].name, nth - 1);
        }
    }
}

static void every_failed_primitive_is_reported(void **state)
{
    (void)state;
    static const aril_status codes[] = { ARIL_E_CRYPTO, ARIL_E_NOMEM, ARIL_E_RANDOM };
    for (size_t i = 0; i < COUNT(actions); i++) {
        for (size_t c = 0; c < COUNT(codes); c++) {
            bool fired = true;
            unsigned nth = 0;
            while (fired) {
                faulty_crypto_arm(faulty, ++nth, codes[c]);
                const aril_status st = actions[i].run();
                faulty_crypto_disarm(faulty);
                fired = faulty_crypto_fired(faulty);
                if (st != (fired ? codes[c] : ARIL_OK)) {
                    fail_msg("%s, call %u (%s): %s", actions[i].name, nth,
                             faulty_crypto_last(faulty), aril_status_name(st));
                }
            }
            if (nth - 1 != actions[i].calls) {
                fail_msg("%s: %u calls were met", actions[i].name, nth - 1);
            }
        }
    }
}

/* A right token is not called wrong because memory was short: its client would give up. */
static void a_token_that_cannot_be_hashed_is_asked_for_later(void **state)
{
    (void)state;
    char tenant[256];
    faulty_crypto_arm(faulty, 1, ARIL_E_NOMEM);
    assert_int_equal(arili_token_check(credentials, bytes_of(""), bytes_of(token), tenant),
                     ARILI_VERDICT_LATER);
    faulty_crypto_disarm(faulty);
    expect_zero(tenant, sizeof tenant);
    assert_int_equal(arili_token_check(credentials, bytes_of(""), bytes_of(token), tenant),
                     ARILI_VERDICT_YES);
    assert_string_equal(tenant, "zoe");
}

static aril_status hash_zero(struct arili_provider *p, enum arili_hash alg, const aril_bytes *parts,
                             size_t count, uint8_t *ret)
{
    (void)p;
    (void)parts;
    (void)count;
    memset(ret, 0, arili_hash_bytes(alg));
    return ARIL_OK;
}

/* A table without rows holds zeros; a token whose hash is zero is nobody's there. */
static void memory_without_a_token_is_no_token(void **state)
{
    (void)state;
    struct arili_crypto_ops ops = *provider()->ops;
    ops.hash = hash_zero;
    const struct arili_crypto crypto = { &ops, provider()->provider };
    aril_runtime *zeros = NULL;
    struct arili_credentials *c = NULL;
    char tenant[256];
    assert_status(arili_runtime_new_over(&crypto, NULL, &zeros), ARIL_OK);
    assert_status(arili_credentials_parse(zeros, "users", bytes_of(""), &c, NULL), ARIL_OK);
    assert_int_equal(arili_token_check(c, bytes_of(""), bytes_of(token), tenant), ARILI_VERDICT_NO);
    arili_credentials_free(c);
    aril_runtime_free(zeros);
}

static int set_up(void **state)
{
    static char text[sizeof TEXT + ARILI_CREDENTIAL_LINE_MAX + 1];
    char line[ARILI_CREDENTIAL_LINE_MAX];
    if (temp_folder_make(state) != 0 || provider_setup(state) != 0) {
        return -1;
    }
    faulty = faulty_crypto_new(provider());
    if (faulty == NULL ||
        arili_runtime_new_over(faulty_crypto_table(faulty), NULL, &rt) != ARIL_OK ||
        arili_token_make(rt, bytes_of("zoe"), "n", 7, token, line, NULL) != ARIL_OK) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s", temp_write("users", 0600, bytes_of(TEXT)));
    (void)snprintf(text, sizeof text, "%s%s\n", TEXT, line);
    return arili_credentials_parse(rt, "users", bytes_of(text), &credentials, NULL) == ARIL_OK ? 0
                                                                                               : -1;
}

static int tear_down(void **state)
{
    arili_credentials_free(credentials);
    aril_runtime_free(rt);
    faulty_crypto_free(faulty);
    return provider_teardown(state) == 0 && temp_folder_remove(state) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_allocation_is_nomem),
        cmocka_unit_test(every_failed_primitive_is_reported),
        cmocka_unit_test(a_token_that_cannot_be_hashed_is_asked_for_later),
        cmocka_unit_test(memory_without_a_token_is_no_token),
    };
    return cmocka_run_group_tests_name("fault sweeps of logins", tests, set_up, tear_down);
}
