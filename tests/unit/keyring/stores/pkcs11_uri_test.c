/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/stores/pkcs11_uri.h"
#include "check.h"
#include <stdio.h>
#include <string.h>

static struct arili_p11_uri parsed(const char *rest)
{
    struct arili_p11_uri uri;
    aril_error error = { .status = ARIL_OK };
    if (arili_p11_uri_parse(rest, &uri, &error) != ARIL_OK) {
        fail_msg("%s: %s", rest, error.message);
    }
    assert_status(error.status, ARIL_OK);
    return uri;
}

static void expect_refused(const char *rest, const char *words)
{
    static const struct arili_p11_uri zero;
    struct arili_p11_uri uri;
    aril_error error = { .status = ARIL_OK };
    memset(&uri, 0xa5, sizeof uri);
    assert_status(arili_p11_uri_parse(rest, &uri, &error), ARIL_E_USAGE_RANGE);
    assert_memory_equal(&uri, &zero, sizeof uri);
    assert_status(error.status, ARIL_E_USAGE_RANGE);
    if (strstr(error.message, words) == NULL) {
        fail_msg("%s: \"%s\" is not in \"%s\"", rest, words, error.message);
    }
    assert_status(arili_p11_uri_parse(rest, &uri, NULL), ARIL_E_USAGE_RANGE);
}

static void token_and_module_are_enough(void **state)
{
    (void)state;
    const struct arili_p11_uri uri = parsed("token=aril?module-path=/usr/lib/p.so");
    assert_string_equal(uri.token, "aril");
    assert_string_equal(uri.serial, "");
    assert_string_equal(uri.module_path, "/usr/lib/p.so");
    assert_string_equal(uri.pin_path, "");
}

static void all_attributes_are_decoded_in_any_order(void **state)
{
    (void)state;
    const struct arili_p11_uri uri =
        parsed("serial=%30%31;token=My%20Token%3b%3F%c3%a4?pin-source=/a%26b&module-path=/c%2fd");
    assert_string_equal(uri.token, "My Token;?\xc3\xa4");
    assert_string_equal(uri.serial, "01");
    assert_string_equal(uri.module_path, "/c/d");
    assert_string_equal(uri.pin_path, "/a&b");
}

static void a_pin_source_may_be_a_file_uri(void **state)
{
    (void)state;
    static const char *const forms[] = { "/run/pin", "file:/run/pin", "file:///run/pin",
                                         "file%3A/run/pin" };
    for (size_t i = 0; i < COUNT(forms); i++) {
        char rest[128];
        (void)snprintf(rest, sizeof rest, "token=t?module-path=/m&pin-source=%s", forms[i]);
        assert_string_equal(parsed(rest).pin_path, "/run/pin");
    }
}

static void a_pin_in_the_uri_is_refused_and_not_repeated(void **state)
{
    (void)state;
    static const char *const uris[] = {
        "token=t?module-path=/m&pin-value=9271",   "token=t?pin-value=9271&module-path=/m",
        "token=t;pin-value=9271?module-path=/m",   "token=t?module-path=/m&pin=9271",
        "token=t?module-path=/m&pin%2Dvalue=9271", "token=t?module-path=/m&PIN-VALUE=9271",
    };
    for (size_t i = 0; i < COUNT(uris); i++) {
        struct arili_p11_uri uri;
        aril_error error = { .status = ARIL_OK };
        assert_status(arili_p11_uri_parse(uris[i], &uri, &error), ARIL_E_USAGE_RANGE);
        assert_null(strstr(error.message, "9271"));
        assert_non_null(strstr(error.message, i < 3 ? "pin-source" : "is not known"));
    }
}

static void what_is_not_known_is_refused_by_name(void **state)
{
    (void)state;
    expect_refused("token=t;manufacturer=x?module-path=/m", "'manufacturer' is not known");
    expect_refused("token=t;object=x?module-path=/m", "'object' is not known");
    expect_refused("token=t?module-name=x&module-path=/m", "'module-name' is not known");
    expect_refused("Token=t?module-path=/m", "'Token' is not known");
    expect_refused("token=t;;serial=1?module-path=/m", "'' is not known");
}

static void every_malformed_uri_is_refused(void **state)
{
    (void)state;
    expect_refused("", "'token' is missing");
    expect_refused("?module-path=/m", "'token' is missing");
    expect_refused("token=t", "'module-path' must be there");
    expect_refused("token=t?", "'module-path' must be there");
    expect_refused("token=t?module-path=m.so", "absolute");
    expect_refused("token=t?module-path=./m.so", "absolute");
    expect_refused("token=t?module-path=/m&pin-source=pin", "'pin-source' must be an absolute");
    expect_refused("token=t?module-path=/m&pin-source=file:pin", "absolute");
    expect_refused("token=t?module-path=/m&pin-source=file://host/pin", "absolute");
    expect_refused("token=t?module-path=/m&pin-source=|/bin/pin", "absolute");
    expect_refused("token=t?module-path=/m&pin-source=file:", "absolute");
    expect_refused("token=?module-path=/m", "is empty");
    expect_refused("token?module-path=/m", "is empty");
    expect_refused("token=a;token=b?module-path=/m", "is there twice");
    expect_refused("token=a?module-path=/m&module-path=/n", "is there twice");
    expect_refused("token=a;module-path=/m", "belongs behind");
    expect_refused("serial=1?token=a&module-path=/m", "belongs before");
    expect_refused("token=a?module-path=/m;pin-source=/p", "the separator is '&'");
    expect_refused("token=a%?module-path=/m", "two hex digits");
    expect_refused("token=a%4?module-path=/m", "two hex digits");
    expect_refused("token=a%4g?module-path=/m", "two hex digits");
    expect_refused("token=a%00b?module-path=/m", "control character");
    expect_refused("token=a%0ab?module-path=/m", "control character");
    expect_refused("token=a\nb?module-path=/m", "control character");
}

static void lengths_are_bounded_exactly(void **state)
{
    (void)state;
    static char rest[2 * ARILI_P11_URI_BYTES_MAX];
    (void)snprintf(rest, sizeof rest, "token=%032d?module-path=/m", 1);
    assert_int_equal(strlen(parsed(rest).token), ARILI_P11_LABEL_BYTES);
    (void)snprintf(rest, sizeof rest, "token=%033d?module-path=/m", 1);
    expect_refused(rest, "'token' is too long");
    (void)snprintf(rest, sizeof rest, "token=t;serial=%016d?module-path=/m", 1);
    assert_int_equal(strlen(parsed(rest).serial), ARILI_P11_SERIAL_BYTES);
    (void)snprintf(rest, sizeof rest, "token=t;serial=%017d?module-path=/m", 1);
    expect_refused(rest, "'serial' is too long");

    (void)snprintf(rest, sizeof rest, "token=t?module-path=/%0*d", ARILI_P11_PATH_BYTES_MAX - 2, 1);
    assert_int_equal(strlen(parsed(rest).module_path), ARILI_P11_PATH_BYTES_MAX - 1);
    (void)snprintf(rest, sizeof rest, "token=t?module-path=/%0*d", ARILI_P11_PATH_BYTES_MAX - 1, 1);
    expect_refused(rest, "'module-path' is too long");
    (void)snprintf(rest, sizeof rest, "token=t?module-path=/m&x=%0*d", ARILI_P11_URI_BYTES_MAX, 1);
    expect_refused(rest, "more than 4096 bytes");
}

static void every_truncation_parses_or_is_refused(void **state)
{
    (void)state;
    static const char whole[] = "token=a%20b;serial=12?module-path=/m%2f.so&pin-source=file:///p";
    for (size_t len = 0; len < sizeof whole; len++) {
        char cut[sizeof whole];
        memcpy(cut, whole, len);
        cut[len] = '\0';
        struct arili_p11_uri uri;
        const aril_status st = arili_p11_uri_parse(cut, &uri, NULL);
        if (st == ARIL_OK) {
            assert_string_equal(uri.token, "a b");
            assert_int_equal(uri.module_path[0], '/');
        } else {
            assert_status(st, ARIL_E_USAGE_RANGE);
            assert_string_equal(uri.token, "");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_and_module_are_enough),
        cmocka_unit_test(all_attributes_are_decoded_in_any_order),
        cmocka_unit_test(a_pin_source_may_be_a_file_uri),
        cmocka_unit_test(a_pin_in_the_uri_is_refused_and_not_repeated),
        cmocka_unit_test(what_is_not_known_is_refused_by_name),
        cmocka_unit_test(every_malformed_uri_is_refused),
        cmocka_unit_test(lengths_are_bounded_exactly),
        cmocka_unit_test(every_truncation_parses_or_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
