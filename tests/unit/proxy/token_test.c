/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "proxy/credential_line.h"
#include "runtime.h"
#include "team.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY  (SANITIZED ? 2000u : ARILI_CREDENTIALS_MAX)
#define WRONG (SANITIZED ? 50000u : 1000000u)

/* The token of known answer, and the SHA-256 of its text: printf '%s' TEXT | sha256sum. */
#define KNOWN_TOKEN "arilt_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define KNOWN_HASH  "365249a9b9a0f3cdc90ceb56178036828c136d72832e0097a91118f5fa3195f3"

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

/* Demands the tenant with YES, and an empty text, all zero, else. */
static enum arili_verdict check(const struct arili_credentials *c, const char *user,
                                const char *secret, const char *tenant)
{
    char got[256];
    static const char zero[256];
    memset(got, 0xee, sizeof got);
    const enum arili_verdict verdict = arili_token_check(c, bytes_of(user), bytes_of(secret), got);
    if (verdict == ARILI_VERDICT_YES) {
        assert_string_equal(got, tenant);
    } else {
        assert_memory_equal(got, zero, sizeof zero);
    }
    return verdict;
}

static void a_known_token_is_its_tenant(void **state)
{
    (void)state;
    struct arili_credentials *c = parse("acme:a:token:" KNOWN_HASH ":7\n");
    assert_int_equal(check(c, "", KNOWN_TOKEN, "acme"), ARILI_VERDICT_YES);
    assert_int_equal(check(c, "default", KNOWN_TOKEN, "acme"), ARILI_VERDICT_YES);
    assert_int_equal(check(c, "acme", KNOWN_TOKEN, "acme"), ARILI_VERDICT_YES);
    assert_int_equal(check(c, "acm", KNOWN_TOKEN, ""), ARILI_VERDICT_NO);
    assert_int_equal(check(c, "acmee", KNOWN_TOKEN, ""), ARILI_VERDICT_NO);
    assert_int_equal(check(c, "ACME", KNOWN_TOKEN, ""), ARILI_VERDICT_NO);
    arili_credentials_free(c);
}

static void every_flipped_bit_and_every_length_of_a_token_is_wrong(void **state)
{
    (void)state;
    struct arili_credentials *c = parse("acme:a:token:" KNOWN_HASH ":7\n");
    char got[256];
    for (size_t bit = 0; bit < 8 * strlen(KNOWN_TOKEN); bit++) {
        char text[] = KNOWN_TOKEN;
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        const aril_bytes secret = { (const uint8_t *)text, sizeof text - 1 };
        assert_int_equal(arili_token_check(c, bytes_of(""), secret, got), ARILI_VERDICT_NO);
    }
    for (size_t len = 0; len < strlen(KNOWN_TOKEN) + 2; len++) {
        const char text[] = KNOWN_TOKEN "A";
        char *exact = test_malloc(len + 1);
        memcpy(exact, text, len);
        const enum arili_verdict want =
            len == strlen(KNOWN_TOKEN) ? ARILI_VERDICT_YES : ARILI_VERDICT_NO;
        assert_int_equal(
            arili_token_check(c, bytes_of(""), (aril_bytes){ (const uint8_t *)exact, len }, got),
            want);
        test_free(exact);
    }
    arili_credentials_free(c);
}

static void a_new_token_is_right_and_only_its_hash_is_kept(void **state)
{
    (void)state;
    char token[2][ARILI_TOKEN_TEXT];
    char line[2][ARILI_CREDENTIAL_LINE_MAX];
    char text[3 * ARILI_CREDENTIAL_LINE_MAX];
    aril_error error = { .status = ARIL_OK };
    for (int i = 0; i < 2; i++) {
        assert_status(arili_token_make(rt, bytes_of(i == 0 ? "a:b c" : "zoe"), "n", 1700000000,
                                       token[i], line[i], &error),
                      ARIL_OK);
        assert_int_equal(strlen(token[i]), ARILI_TOKEN_TEXT - 1);
        assert_memory_equal(token[i], ARILI_TOKEN_PREFIX, 6);
        assert_null(strstr(line[i], token[i] + 6));
        assert_null(strchr(line[i], '\n'));
    }
    assert_string_not_equal(token[0], token[1]);
    (void)snprintf(text, sizeof text, "%s\n%s\n", line[0], line[1]);
    struct arili_credentials *c = parse(text);
    assert_int_equal(arili_credentials_at(c, 0)->created_s, 1700000000);
    assert_int_equal(check(c, "", token[0], "a:b c"), ARILI_VERDICT_YES);
    assert_int_equal(check(c, "a:b c", token[0], "a:b c"), ARILI_VERDICT_YES);
    assert_int_equal(check(c, "zoe", token[0], ""), ARILI_VERDICT_NO);
    assert_int_equal(check(c, "zoe", token[1], "zoe"), ARILI_VERDICT_YES);
    arili_credentials_free(c);
}

static void bad_tenants_and_names_give_no_token(void **state)
{
    (void)state;
    char token[ARILI_TOKEN_TEXT];
    char line[ARILI_CREDENTIAL_LINE_MAX];
    aril_error error = { .status = ARIL_OK };
    memset(token, 'x', sizeof token);
    memset(line, 'x', sizeof line);
    assert_status(arili_token_make(rt, bytes_of(""), "n", 0, token, line, &error),
                  ARIL_E_USAGE_RANGE);
    assert_string_equal(token, "");
    assert_string_equal(line, "");
    assert_status(arili_token_make(rt, bytes_of("acme"), "a b", 0, token, line, &error),
                  ARIL_E_USAGE_RANGE);
    assert_non_null(strstr(error.message, "name"));
}

static void what_is_no_token_is_work_whoever_the_user_is(void **state)
{
    (void)state;
    struct arili_credentials *c =
        parse("acme:a:token:" KNOWN_HASH ":7\n"
              "ann:a:argon2id:7168,5,1:" KNOWN_HASH ":" KNOWN_HASH ":7\n");
    static const char *const users[] = { "", "default", "acme", "ann", "nobody" };
    char longest[ARILI_PASSPHRASE_MAX + 2];
    memset(longest, 'p', sizeof longest);
    longest[ARILI_PASSPHRASE_MAX + 1] = '\0';
    for (size_t i = 0; i < COUNT(users); i++) {
        assert_int_equal(check(c, users[i], "eight888", ""), ARILI_VERDICT_WORK);
        assert_int_equal(check(c, users[i], "seven77", ""), ARILI_VERDICT_NO);
        assert_int_equal(check(c, users[i], "", ""), ARILI_VERDICT_NO);
        assert_int_equal(check(c, users[i], longest, ""), ARILI_VERDICT_NO);
        assert_int_equal(check(c, users[i], longest + 1, ""), ARILI_VERDICT_WORK);
        assert_int_equal(check(c, users[i], "arilt_short", ""), ARILI_VERDICT_NO);
    }
    arili_credentials_free(c);
}

static void where_nobody_has_a_passphrase_there_is_no_work(void **state)
{
    (void)state;
    struct arili_credentials *c = parse("acme:a:token:" KNOWN_HASH ":7\n");
    struct arili_credentials *empty = parse("");
    assert_int_equal(check(c, "acme", "correct horse", ""), ARILI_VERDICT_NO);
    assert_int_equal(check(empty, "", KNOWN_TOKEN, ""), ARILI_VERDICT_NO);
    assert_int_equal(check(empty, "acme", "correct horse", ""), ARILI_VERDICT_NO);
    assert_int_equal(check(NULL, "", KNOWN_TOKEN, ""), ARILI_VERDICT_NO);
    assert_int_equal(check(NULL, "acme", "correct horse", ""), ARILI_VERDICT_NO);
    /* SHA-256 of no text at all is not what an empty table holds. */
    char zeros[ARILI_TOKEN_TEXT] = ARILI_TOKEN_PREFIX;
    memset(zeros + 6, 'A', 43);
    assert_int_equal(check(empty, "", zeros, ""), ARILI_VERDICT_NO);
    arili_credentials_free(c);
    arili_credentials_free(empty);
}

/* A file that is as full as it may be, with the tokens of its lines. */
struct full {
    struct arili_credentials *c;
    char (*tokens)[ARILI_TOKEN_TEXT];
};

static struct full full_new(void)
{
    struct full f = { .tokens = calloc(MANY, sizeof *f.tokens) };
    const size_t cap = (size_t)MANY * 128;
    char *text = malloc(cap);
    size_t len = 0;
    assert_true(f.tokens != NULL && text != NULL);
    for (unsigned i = 0; i < MANY; i++) {
        char tenant[16];
        char name[16];
        char line[ARILI_CREDENTIAL_LINE_MAX];
        (void)snprintf(tenant, sizeof tenant, "t%u", i % 1000);
        (void)snprintf(name, sizeof name, "n%u", i);
        assert_status(arili_token_make(rt, bytes_of(tenant), name, 0, f.tokens[i], line, NULL),
                      ARIL_OK);
        len += (size_t)snprintf(text + len, cap - len, "%s\n", line);
    }
    f.c = parse(text);
    free(text);
    return f;
}

static void each_of_65536_tokens_is_found_among_a_million_wrong_ones(void **state)
{
    (void)state;
    struct full f = full_new();
    uint64_t random = 1;
    char wrong[ARILI_TOKEN_TEXT];
    for (unsigned i = 0; i < WRONG; i++) {
        /* Near the right ones: one character of one of them is another one. */
        const uint64_t r = team_random(&random);
        memcpy(wrong, f.tokens[r % MANY], sizeof wrong);
        char *const at = &wrong[6 + r / MANY % 42];
        *at = *at == 'A' ? 'B' : 'A';
        char got[256];
        if (arili_token_check(f.c, bytes_of(""), bytes_of(wrong), got) != ARILI_VERDICT_NO) {
            fail_msg("a wrong token is taken");
        }
        if (i % (WRONG / MANY) == 0 && i / (WRONG / MANY) < MANY) {
            const unsigned n = i / (WRONG / MANY);
            char tenant[16];
            (void)snprintf(tenant, sizeof tenant, "t%u", n % 1000);
            if (check(f.c, tenant, f.tokens[n], tenant) != ARILI_VERDICT_YES) {
                fail_msg("token %u is not taken", n);
            }
        }
    }
    arili_credentials_free(f.c);
    free(f.tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_token_is_its_tenant),
        cmocka_unit_test(every_flipped_bit_and_every_length_of_a_token_is_wrong),
        cmocka_unit_test(a_new_token_is_right_and_only_its_hash_is_kept),
        cmocka_unit_test(bad_tenants_and_names_give_no_token),
        cmocka_unit_test(what_is_no_token_is_work_whoever_the_user_is),
        cmocka_unit_test(where_nobody_has_a_passphrase_there_is_no_work),
        cmocka_unit_test(each_of_65536_tokens_is_found_among_a_million_wrong_ones),
    };
    return cmocka_run_group_tests_name("tokens", tests, runtime_setup, runtime_teardown);
}
