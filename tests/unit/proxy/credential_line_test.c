/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/credential_line.h"
#include "check.h"
#include <stdio.h>
#include <string.h>

#define H16        "0123456789abcdef"
#define H64        H16 H16 H16 H16
#define TOKEN      "acme:web-1:token:" H64 ":1700000000"
#define PASSPHRASE "acme:ann:argon2id:65536,3,4:" H16 H16 ":" H64 ":1700000000"

static aril_status parse(const char *text, size_t len, struct arili_credential_line *ret)
{
    const char *problem = NULL;
    memset(ret, 0xee, sizeof *ret);
    const aril_status st =
        arili_credential_line_parse((aril_bytes){ (const uint8_t *)text, len }, ret, &problem);
    if (st != ARIL_OK) {
        static const struct arili_credential_line zero;
        assert_status(st, ARIL_E_FORMAT_FIELD);
        assert_memory_equal(ret, &zero, sizeof zero);
        assert_non_null(problem);
        /* No part of the hash is told. */
        assert_null(strstr(problem, "0123"));
    }
    return st;
}

static bool is_good(const char *text)
{
    struct arili_credential_line line;
    return parse(text, strlen(text), &line) == ARIL_OK;
}

static void a_token_line_has_its_fields(void **state)
{
    (void)state;
    struct arili_credential_line line;
    assert_status(parse(TOKEN, strlen(TOKEN), &line), ARIL_OK);
    assert_string_equal(line.tenant, "acme");
    assert_string_equal(line.name, "web-1");
    assert_int_equal(line.kind, ARILI_CREDENTIAL_TOKEN);
    assert_int_equal(line.created_s, 1700000000);
    assert_int_equal(line.hash[0], 0x01);
    assert_int_equal(line.hash[31], 0xef);
}

static void a_passphrase_line_has_its_fields(void **state)
{
    (void)state;
    struct arili_credential_line line;
    assert_status(parse(PASSPHRASE, strlen(PASSPHRASE), &line), ARIL_OK);
    assert_string_equal(line.name, "ann");
    assert_int_equal(line.kind, ARILI_CREDENTIAL_PASSPHRASE);
    assert_int_equal(line.argon2.memory_kib, 65536);
    assert_int_equal(line.argon2.iterations, 3);
    assert_int_equal(line.argon2.lanes, 4);
    assert_int_equal(line.salt_len, 16);
    assert_int_equal(line.salt[1], 0x23);
    assert_int_equal(line.hash[31], 0xef);
}

static void tenants_are_escaped_in_one_way(void **state)
{
    (void)state;
    struct arili_credential_line line;
    char text[ARILI_CREDENTIAL_LINE_MAX];
    static const char escaped[] = "a%3Ab%20c%25%23%C3%A9%01:n:token:" H64 ":0";
    assert_status(parse(escaped, strlen(escaped), &line), ARIL_OK);
    assert_string_equal(line.tenant, "a:b c%#\xc3\xa9\x01");
    assert_int_equal(arili_credential_line_write(&line, text), strlen(escaped));
    assert_string_equal(text, escaped);
    static const char *const bad[] = { "a%41", "a%3a", "a%00", "a%3",       "a%",  "a%GG",
                                       "a b",  "a#b",  "",     "a\xc3\xa9", "a\t", "a\x7f" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        (void)snprintf(text, sizeof text, "%s:n:token:" H64 ":0", bad[i]);
        if (is_good(text)) {
            fail_msg("taken: %s", text);
        }
    }
}

static void the_longest_line_is_written_and_read(void **state)
{
    (void)state;
    struct arili_credential_line line = { .kind = ARILI_CREDENTIAL_PASSPHRASE,
                                          .argon2 = { 262144, 4, 8 },
                                          .salt_len = ARILI_CREDENTIAL_SALT_BYTES_MAX,
                                          .created_s = ARILI_CREDENTIAL_CREATED_MAX };
    struct arili_credential_line again;
    char text[ARILI_CREDENTIAL_LINE_MAX];
    memset(line.tenant, ' ', ARILI_CREDENTIAL_TENANT_MAX);
    memset(line.name, 'n', ARILI_CREDENTIAL_NAME_MAX);
    memset(line.salt, 0xa5, sizeof line.salt);
    memset(line.hash, 0x5a, sizeof line.hash);
    const size_t len = arili_credential_line_write(&line, text);
    assert_int_equal(len, strlen(text));
    assert_status(parse(text, len, &again), ARIL_OK);
    assert_memory_equal(&again, &line, sizeof line);
}

static void texts_one_byte_too_long_are_refused(void **state)
{
    (void)state;
    char text[ARILI_CREDENTIAL_LINE_MAX + 64];
    char fill[300];
    memset(fill, 'a', sizeof fill);
    for (int more = 0; more < 2; more++) {
        (void)snprintf(text, sizeof text, "%.*s:n:token:" H64 ":0", 255 + more, fill);
        assert_int_equal(is_good(text), more == 0);
        (void)snprintf(text, sizeof text, "t:%.*s:token:" H64 ":0", 64 + more, fill);
        assert_int_equal(is_good(text), more == 0);
        (void)snprintf(text, sizeof text, "t:n:token:" H64 ":%s",
                       more == 0 ? "253402300799" : "253402300800");
        assert_int_equal(is_good(text), more == 0);
    }
}

static void argon2_parameters_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { "65536,3,4", true },
        { "7168,5,1", true },
        { "7168,4,1", false },
        { "7167,6,1", false },
        { "262144,4,8", true },
        { "262144,5,1", false },
        { "262145,1,1", false },
        { "65536,16,1", true },
        { "65536,17,1", false },
        { "65536,3,8", true },
        { "65536,3,9", false },
        { "65536,0,1", false },
        { "65536,3,0", false },
        { "0,3,1", false },
        { "065536,3,4", false },
        { "65536,3", false },
        { "65536,3,4,1", false },
        { "-65536,3,4", false },
        { "65536, 3,4", false },
        { "4294967296,1,1", false },
        { "18446744073709551617,3,4", false },
        { "", false },
        { ",,", false },
        { "1e5,3,4", false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[ARILI_CREDENTIAL_LINE_MAX];
        (void)snprintf(text, sizeof text, "t:n:argon2id:%s:" H16 H16 ":" H64 ":0", cases[i].text);
        if (is_good(text) != cases[i].good) {
            fail_msg("%s is %s", cases[i].text, cases[i].good ? "refused" : "taken");
        }
    }
}

static void wrong_fields_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ":",
        "a:n",
        "a:n:",
        "a:n:token",
        "a:n:token:",
        "a::token:" H64 ":0",
        "a:n/1:token:" H64 ":0",
        "a:n:Token:" H64 ":0",
        "a:n:sha256:" H64 ":0",
        "a:n:token:" H64,
        "a:n:token:" H64 ":",
        "a:n:token:" H64 ":01",
        "a:n:token:" H64 ":0:",
        "a:n:token:" H64 ":0 ",
        " a:n:token:" H64 ":0",
        "a:n:token:" H64 ":0\r",
        "a:n:token:" H64 "0:0",
        "a:n:token:" H64 "00:0",
        "a:n:token:" H16 H16 H16 ":0",
        "a:n:token:" H16 H16 H16 "0123456789ABCDEF:0",
        "a:n:argon2id:" H64 ":0",
        "a:n:argon2id:65536,3,4:" H16 ":" H64 ":0",
        "a:n:argon2id:65536,3,4:" H64 "00:" H64 ":0",
        "a:n:argon2id:65536,3,4:" H16 "0123456789abcdeg:" H64 ":0",
        "a:n:argon2id:65536,3,4:" H16 H16 ":" H16 H16 ":0",
        "a:n:argon2i:65536,3,4:" H16 H16 ":" H64 ":0",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (is_good(bad[i])) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    struct arili_credential_line line;
    static const char nul[] = "a:n\0b:token:" H64 ":0";
    assert_status(parse(nul, sizeof nul - 1, &line), ARIL_E_FORMAT_FIELD);
}

/* Of each line: every bit flipped is refused, or is another credential; and what is taken has that
 * one text. */
static void every_flipped_bit_is_an_error_or_another_credential(void **state)
{
    (void)state;
    static const char *const lines[] = { TOKEN, PASSPHRASE };
    for (size_t i = 0; i < COUNT(lines); i++) {
        const size_t len = strlen(lines[i]);
        struct arili_credential_line original;
        assert_status(parse(lines[i], len, &original), ARIL_OK);
        for (size_t bit = 0; bit < 8 * len; bit++) {
            char text[ARILI_CREDENTIAL_LINE_MAX];
            char again[ARILI_CREDENTIAL_LINE_MAX];
            struct arili_credential_line line;
            memcpy(text, lines[i], len);
            text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
            if (parse(text, len, &line) == ARIL_OK) {
                assert_memory_not_equal(&line, &original, sizeof line);
                assert_int_equal(arili_credential_line_write(&line, again), len);
                assert_memory_equal(again, text, len);
            }
        }
    }
}

/* The end of the time of creation is the only place where a shorter line is one; that the last line
 * of a file ends in LF is for that. */
static void every_truncation_before_the_time_is_an_error(void **state)
{
    (void)state;
    static const char *const lines[] = { TOKEN, PASSPHRASE };
    for (size_t i = 0; i < COUNT(lines); i++) {
        const size_t time_at = (size_t)(strrchr(lines[i], ':') + 1 - lines[i]);
        for (size_t len = 0; len < strlen(lines[i]); len++) {
            struct arili_credential_line line;
            char *exact = test_malloc(len + 1);
            memcpy(exact, lines[i], len);
            assert_int_equal(parse(exact, len, &line) == ARIL_OK, len > time_at);
            test_free(exact);
        }
    }
}

static void new_lines_are_checked(void **state)
{
    (void)state;
    struct arili_credential_line line;
    aril_error error = { .status = ARIL_OK };
    char long_tenant[257];
    memset(long_tenant, 't', sizeof long_tenant);
    const aril_bytes good = { (const uint8_t *)"acme", 4 };
    const aril_bytes longest = { (const uint8_t *)long_tenant, 255 };
    const aril_bytes too_long = { (const uint8_t *)long_tenant, 256 };
    const aril_bytes with_nul = { (const uint8_t *)"ac\0me", 5 };
    const aril_bytes empty = { NULL, 0 };
    assert_status(arili_credential_line_begin(good, "n", 1, &line, &error), ARIL_OK);
    assert_string_equal(line.tenant, "acme");
    assert_string_equal(line.name, "n");
    assert_int_equal(line.created_s, 1);
    assert_status(arili_credential_line_begin(longest, "n", 1, &line, &error), ARIL_OK);
    assert_int_equal(strlen(line.tenant), 255);
    const aril_bytes bad[] = { too_long, with_nul, empty };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status(arili_credential_line_begin(bad[i], "n", 1, &line, &error),
                      ARIL_E_USAGE_RANGE);
        assert_non_null(strstr(error.message, "tenant"));
        assert_string_equal(line.tenant, "");
    }
    static const char *const names[] = { "", "a b", "a:b", "\xc3\xa9", "a/b" };
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_status(arili_credential_line_begin(good, names[i], 1, &line, &error),
                      ARIL_E_USAGE_RANGE);
        assert_non_null(strstr(error.message, "name"));
    }
    assert_status(
        arili_credential_line_begin(good, "n", ARILI_CREDENTIAL_CREATED_MAX + 1, &line, &error),
        ARIL_E_USAGE_RANGE);
    assert_non_null(strstr(error.message, "clock"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_line_has_its_fields),
        cmocka_unit_test(a_passphrase_line_has_its_fields),
        cmocka_unit_test(tenants_are_escaped_in_one_way),
        cmocka_unit_test(the_longest_line_is_written_and_read),
        cmocka_unit_test(texts_one_byte_too_long_are_refused),
        cmocka_unit_test(argon2_parameters_are_bounded),
        cmocka_unit_test(wrong_fields_are_refused),
        cmocka_unit_test(every_flipped_bit_is_an_error_or_another_credential),
        cmocka_unit_test(every_truncation_before_the_time_is_an_error),
        cmocka_unit_test(new_lines_are_checked),
    };
    return cmocka_run_group_tests_name("lines of the password file", tests, NULL, NULL);
}
