/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "crypto/runtime.h"
#include "faulty_crypto.h"
#include "provider.h"
#include "proxy/credential_line.h"
#include <stdio.h>
#include <string.h>

/* By the reference implementation:
 *   printf 'correct horse' | argon2 sixteen-bytes-ab -id -t 5 -k 7168 -p 1 -l 32 -r
 *   printf 'battery staple' | argon2 sixteen-bytes-cd -id -t 3 -k 16384 -p 4 -l 32 -r */
#define HORSE                                    \
    "7168,5,1:7369787465656e2d62797465732d6162:" \
    "b36f3fad576c0ddc24a3737d0551210f41f1b1291d372756e1976603765b214d:7"
#define STAPLE                                    \
    "16384,3,4:7369787465656e2d62797465732d6364:" \
    "e7c012fb1279b23313292441b0121bcf6ed4e9731a17a01d2c854ee4ce50f015:7"
#define ANN   "ann:horse:argon2id:" HORSE "\n"
#define BOB   "bob:staple:argon2id:" STAPLE "\n"
#define TOKEN "tim:t:token:0000000000000000000000000000000000000000000000000000000000000000:7\n"

static struct faulty_crypto *counting; /* whose calls are counted */
static aril_runtime *rt;

static aril_bytes bytes_of(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

static struct arili_credentials *parse(const char *text)
{
    struct arili_credentials *c = NULL;
    aril_error error = { .status = ARIL_OK };
    if (arili_credentials_parse(rt, "users", bytes_of(text), &c, &error) != ARIL_OK) {
        fail_msg("%s", error.message);
    }
    return c;
}

/* Whether the passphrase is right; the tenant is then the user, or "default". */
static bool is_right(const struct arili_credentials *c, const char *user, const char *secret)
{
    static const char zero[256];
    char tenant[256];
    bool right = true;
    memset(tenant, 0xee, sizeof tenant);
    assert_status(arili_passphrase_check(c, bytes_of(user), bytes_of(secret), &right, tenant),
                  ARIL_OK);
    if (right) {
        assert_string_equal(tenant, user[0] == '\0' ? "default" : user);
    } else {
        assert_memory_equal(tenant, zero, sizeof zero);
    }
    return right;
}

static unsigned derivations(const struct arili_credentials *c, const char *user)
{
    const unsigned before = faulty_crypto_calls(counting);
    assert_false(is_right(c, user, "wrong one"));
    return faulty_crypto_calls(counting) - before;
}

static void hashes_of_the_reference_implementation_are_right(void **state)
{
    (void)state;
    struct arili_credentials *c = parse(ANN BOB TOKEN);
    assert_true(is_right(c, "ann", "correct horse"));
    assert_true(is_right(c, "bob", "battery staple"));
    assert_false(is_right(c, "bob", "correct horse"));
    assert_false(is_right(c, "ann", "battery staple"));
    assert_false(is_right(c, "ann", "correct horsf"));
    assert_false(is_right(c, "ann", "correct hors"));
    assert_false(is_right(c, "ann", "correct horse "));
    arili_credentials_free(c);
}

static void a_right_passphrase_of_another_lets_nobody_in(void **state)
{
    (void)state;
    /* With one person, every unknown user's work is that person's. */
    struct arili_credentials *c = parse(ANN TOKEN);
    static const char *const users[] = { "", "default", "tim", "nobody", "an", "annn", "Ann" };
    for (size_t i = 0; i < COUNT(users); i++) {
        assert_false(is_right(c, users[i], "correct horse"));
    }
    arili_credentials_free(c);
}

static void unknown_users_take_the_work_of_a_known_one(void **state)
{
    (void)state;
    struct arili_credentials *c = parse(ANN TOKEN);
    static const char *const users[] = { "ann", "", "tim", "nobody" };
    for (size_t i = 0; i < COUNT(users); i++) {
        assert_int_equal(derivations(c, users[i]), 1);
    }
    arili_credentials_free(c);
}

/* Lines of a tenant with so many passphrases, whose hashes are like nobody else's. */
static size_t person(char *ret, size_t cap, const char *tenant, unsigned count)
{
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        len +=
            (size_t)snprintf(ret + len, cap - len, "%s:n%u:argon2id:7168,5,1:%032x:%08x%056x:7\n",
                             tenant, i, i, (unsigned)tenant[0] * 0x01020305u, i);
    }
    return len;
}

/* ann has one passphrase, bob has two: each unknown user is like one of them, always like the same
 * one, and there are some of both; a new tenant in the file changes only those that are like it. */
static void unknown_users_are_like_all_of_the_known_ones(void **state)
{
    (void)state;
    char text[4096];
    size_t len = 0;
    len += person(text + len, sizeof text - len, "ann", 1);
    len += person(text + len, sizeof text - len, "bob", 2);
    struct arili_credentials *c = parse(text);
    assert_int_equal(derivations(c, "ann"), 1);
    assert_int_equal(derivations(c, "bob"), 2);
    unsigned like[4] = { 0 };
    unsigned was[16];
    for (unsigned i = 0; i < COUNT(was); i++) {
        char user[16];
        (void)snprintf(user, sizeof user, "nobody%u", i);
        was[i] = derivations(c, user);
        assert_in_range(was[i], 1, 2);
        like[was[i]]++;
    }
    assert_int_equal(derivations(c, "nobody0"), was[0]);
    assert_true(like[1] > 0 && like[2] > 0);
    arili_credentials_free(c);
    (void)person(text + len, sizeof text - len, "zoe", 3);
    c = parse(text);
    unsigned like_zoe = 0;
    for (unsigned i = 0; i < COUNT(was); i++) {
        char user[16];
        (void)snprintf(user, sizeof user, "nobody%u", i);
        const unsigned is = derivations(c, user);
        assert_true(is == was[i] || is == 3);
        like_zoe += is == 3;
    }
    assert_true(like_zoe > 0 && like_zoe < COUNT(was));
    arili_credentials_free(c);
}

static void each_passphrase_of_a_tenant_is_one(void **state)
{
    (void)state;
    struct arili_credentials *c = parse(ANN "ann:staple:argon2id:" STAPLE "\n");
    assert_true(is_right(c, "ann", "correct horse"));
    assert_true(is_right(c, "ann", "battery staple"));
    /* The second is tried also where the first was right. */
    const unsigned before = faulty_crypto_calls(counting);
    assert_true(is_right(c, "ann", "correct horse"));
    assert_int_equal(faulty_crypto_calls(counting) - before, 2);
    arili_credentials_free(c);
}

static void no_user_is_the_tenant_default(void **state)
{
    (void)state;
    struct arili_credentials *c = parse("default:horse:argon2id:" HORSE "\n" BOB);
    assert_true(is_right(c, "", "correct horse"));
    assert_true(is_right(c, "default", "correct horse"));
    assert_false(is_right(c, "bob", "correct horse"));
    arili_credentials_free(c);
}

static void what_can_not_be_right_is_no_work(void **state)
{
    (void)state;
    char longest[ARILI_PASSPHRASE_MAX + 2];
    memset(longest, 'p', sizeof longest);
    longest[ARILI_PASSPHRASE_MAX + 1] = '\0';
    struct arili_credentials *c = parse(ANN);
    struct arili_credentials *nobody = parse(TOKEN);
    const unsigned before = faulty_crypto_calls(counting);
    assert_false(is_right(c, "ann", ""));
    assert_false(is_right(c, "ann", "seven77"));
    assert_false(is_right(c, "ann", longest));
    assert_false(is_right(nobody, "ann", "correct horse"));
    assert_false(is_right(NULL, "ann", "correct horse"));
    assert_int_equal(faulty_crypto_calls(counting), before);
    assert_false(is_right(c, "ann", longest + 1));
    assert_int_equal(faulty_crypto_calls(counting), before + 1);
    arili_credentials_free(c);
    arili_credentials_free(nobody);
}

/* Passphrases may have any byte; user names too. */
static void bytes_are_compared_not_texts(void **state)
{
    (void)state;
    char line[ARILI_CREDENTIAL_LINE_MAX];
    char text[ARILI_CREDENTIAL_LINE_MAX + 1];
    char tenant[256];
    bool right = false;
    const aril_bytes secret = { (const uint8_t *)"with\0a nul", 10 };
    assert_status(arili_passphrase_make(rt, bytes_of("a:b c\xc3\xa9"), "n", secret, 7, line, NULL),
                  ARIL_OK);
    (void)snprintf(text, sizeof text, "%s\n", line);
    struct arili_credentials *c = parse(text);
    assert_status(arili_passphrase_check(c, bytes_of("a:b c\xc3\xa9"), secret, &right, tenant),
                  ARIL_OK);
    assert_true(right);
    assert_string_equal(tenant, "a:b c\xc3\xa9");
    const aril_bytes other = { (const uint8_t *)"with\0b nul", 10 };
    assert_status(arili_passphrase_check(c, bytes_of("a:b c\xc3\xa9"), other, &right, tenant),
                  ARIL_OK);
    assert_false(right);
    const aril_bytes user = { (const uint8_t *)"a:b c\xc3\xa9\0", 8 };
    assert_status(arili_passphrase_check(c, user, secret, &right, tenant), ARIL_OK);
    assert_false(right);
    arili_credentials_free(c);
}

static void a_new_line_has_the_parameters_and_a_salt_of_its_own(void **state)
{
    (void)state;
    struct arili_credential_line line[2];
    for (int i = 0; i < 2; i++) {
        char text[ARILI_CREDENTIAL_LINE_MAX];
        const char *problem = NULL;
        aril_error error = { .status = ARIL_OK };
        assert_status(arili_passphrase_make(rt, bytes_of("ann"), "n", bytes_of("correct horse"), 7,
                                            text, &error),
                      ARIL_OK);
        assert_null(strstr(text, "horse"));
        assert_status(arili_credential_line_parse(bytes_of(text), &line[i], &problem), ARIL_OK);
        assert_int_equal(line[i].argon2.memory_kib, ARILI_ARGON2_MEMORY_KIB);
        assert_int_equal(line[i].argon2.iterations, ARILI_ARGON2_ITERATIONS);
        assert_int_equal(line[i].argon2.lanes, ARILI_ARGON2_LANES);
        assert_int_equal(line[i].salt_len, ARILI_CREDENTIAL_SALT_BYTES);
    }
    assert_memory_not_equal(line[0].salt, line[1].salt, ARILI_CREDENTIAL_SALT_BYTES);
    assert_memory_not_equal(line[0].hash, line[1].hash, ARILI_CREDENTIAL_HASH_BYTES);
}

static void bad_passphrases_are_refused(void **state)
{
    (void)state;
    char longest[ARILI_PASSPHRASE_MAX + 2];
    memset(longest, 'p', sizeof longest);
    longest[ARILI_PASSPHRASE_MAX + 1] = '\0';
    const char *const bad[] = { "", "seven77", longest, "arilt_is how tokens begin" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        char text[ARILI_CREDENTIAL_LINE_MAX];
        aril_error error = { .status = ARIL_OK };
        memset(text, 'x', sizeof text);
        assert_status(
            arili_passphrase_make(rt, bytes_of("ann"), "n", bytes_of(bad[i]), 7, text, &error),
            ARIL_E_USAGE_RANGE);
        assert_string_equal(text, "");
        assert_non_null(strstr(error.message, "passphrase"));
        assert_null(strstr(error.message, "seven"));
    }
    char text[ARILI_CREDENTIAL_LINE_MAX];
    assert_status(
        arili_passphrase_make(rt, bytes_of("ann"), "a b", bytes_of("correct horse"), 7, text, NULL),
        ARIL_E_USAGE_RANGE);
}

static int set_up(void **state)
{
    if (provider_setup(state) != 0) {
        return -1;
    }
    counting = faulty_crypto_new(provider());
    return counting != NULL &&
                   arili_runtime_new_over(faulty_crypto_table(counting), NULL, &rt) == ARIL_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    aril_runtime_free(rt);
    faulty_crypto_free(counting);
    return provider_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_of_the_reference_implementation_are_right),
        cmocka_unit_test(a_right_passphrase_of_another_lets_nobody_in),
        cmocka_unit_test(unknown_users_take_the_work_of_a_known_one),
        cmocka_unit_test(unknown_users_are_like_all_of_the_known_ones),
        cmocka_unit_test(each_passphrase_of_a_tenant_is_one),
        cmocka_unit_test(no_user_is_the_tenant_default),
        cmocka_unit_test(what_can_not_be_right_is_no_work),
        cmocka_unit_test(bytes_are_compared_not_texts),
        cmocka_unit_test(a_new_line_has_the_parameters_and_a_salt_of_its_own),
        cmocka_unit_test(bad_passphrases_are_refused),
    };
    return cmocka_run_group_tests_name("passphrases", tests, set_up, tear_down);
}
