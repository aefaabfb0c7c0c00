/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include "proxy/config.h"
#include <stdlib.h>

static aril_status parse(const char *text, uint16_t default_port, struct arili_address *ret)
{
    return arili_address_parse((aril_bytes){ (const uint8_t *)text, strlen(text) }, default_port,
                               ret);
}

static void addresses_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
        bool is_unix;
        const char *written; /* NULL: as it was */
    } cases[] = {
        { "127.0.0.1:6379", "127.0.0.1", 6379, false, NULL },
        { "redis.example:1", "redis.example", 1, false, NULL },
        { "a_b-c.d:65535", "a_b-c.d", 65535, false, NULL },
        { "1.2.3.4.example:80", "1.2.3.4.example", 80, false, NULL },
        { "[::1]:6379", "::1", 6379, false, NULL },
        { "[fe80::1%eth0]:6379", "fe80::1%eth0", 6379, false, NULL },
        { "[::ffff:1.2.3.4]:6379", "::ffff:1.2.3.4", 6379, false, NULL },
        { "/run/redis.sock", "/run/redis.sock", 0, true, NULL },
        { "unix:/run/redis.sock", "/run/redis.sock", 0, true, "/run/redis.sock" },
        { "unix:redis.sock", "redis.sock", 0, true, NULL },
        { "/run/a:1", "/run/a:1", 0, true, NULL },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct arili_address a;
        struct arili_address again;
        char text[ARILI_ADDRESS_TEXT];
        assert_status(parse(cases[i].text, 0, &a), ARIL_OK);
        assert_string_equal(a.host, cases[i].host);
        assert_int_equal(a.port, cases[i].port);
        assert_int_equal(a.is_unix, cases[i].is_unix);
        arili_address_text(&a, text);
        assert_string_equal(text, cases[i].written == NULL ? cases[i].text : cases[i].written);
        assert_status(parse(text, 0, &again), ARIL_OK);
        assert_true(arili_address_equal(&a, &again));
    }
}

static void a_default_port_may_be_left_out(void **state)
{
    (void)state;
    struct arili_address a;
    assert_status(parse("localhost", 6379, &a), ARIL_OK);
    assert_int_equal(a.port, 6379);
    assert_status(parse("[::1]", 6379, &a), ARIL_OK);
    assert_int_equal(a.port, 6379);
    assert_status(parse("localhost:1", 6379, &a), ARIL_OK);
    assert_int_equal(a.port, 1);
    assert_status(parse("/run/x", 6379, &a), ARIL_OK);
    assert_int_equal(a.port, 0);
}

static void what_is_no_address_leaves_the_output(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",         ":",           ":6379",     "localhost",   "[::1]",       "host:",
        "host:0",   "host:65536",  "host:01",   "host:-1",     "host: 1",     "host:1 ",
        "host:1:2", "::1:6379",    "[::1:6379", "[::1]6379",   "[::1]:",      "[]:1",
        "[x]:1",    "[1.2.3.4]:1", "[::1%]:1",  "[::1%a/b]:1", "300.1.1.1:1", "1.2.3:1",
        "1:1",      "...:1",       "-a:1",      ".a:1",        "a b:1",       "a/b:1",
        "a@b:1",    "\xc3\xa9:1",  "unix:",     "tls://a:1",   "*:6379",      "a,b:1",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct arili_address a = { true, 7, "before" };
        if (parse(bad[i], 0, &a) != ARIL_E_FORMAT_FIELD) {
            fail_msg("accepted: %s", bad[i]);
        }
        assert_true(a.is_unix && a.port == 7 && strcmp(a.host, "before") == 0);
    }
    struct arili_address a;
    assert_status(arili_address_parse(ARILI_LITERAL("/run/\0x"), 0, &a), ARIL_E_FORMAT_FIELD);
    assert_status(arili_address_parse(ARILI_LITERAL("host\0:1"), 0, &a), ARIL_E_FORMAT_FIELD);
    assert_status(arili_address_parse(ARILI_LITERAL("host:1\0"), 0, &a), ARIL_E_FORMAT_FIELD);
}

static void lengths_end_where_they_say(void **state)
{
    (void)state;
    char text[400];
    struct arili_address a;
    memset(text, 'x', sizeof text);
    text[0] = '/';
    const aril_bytes longest = { (const uint8_t *)text, ARILI_ADDRESS_PATH_MAX };
    assert_status(arili_address_parse(longest, 0, &a), ARIL_OK);
    assert_int_equal(strlen(a.host), ARILI_ADDRESS_PATH_MAX);
    const aril_bytes longer = { (const uint8_t *)text, ARILI_ADDRESS_PATH_MAX + 1 };
    assert_status(arili_address_parse(longer, 0, &a), ARIL_E_FORMAT_FIELD);
    text[0] = 'x';
    assert_status(arili_address_parse((aril_bytes){ (const uint8_t *)text, 255 }, 65535, &a),
                  ARIL_OK);
    char shown[ARILI_ADDRESS_TEXT];
    arili_address_text(&a, shown);
    assert_int_equal(strlen(shown), 255 + strlen(":65535"));
    assert_status(arili_address_parse((aril_bytes){ (const uint8_t *)text, 256 }, 65535, &a),
                  ARIL_E_FORMAT_FIELD);
}

static void every_truncation_stays_inside(void **state)
{
    (void)state;
    static const char *const texts[] = { "[fe80::1%eth0]:6379", "127.0.0.1:65535", "unix:/a" };
    for (size_t i = 0; i < COUNT(texts); i++) {
        for (size_t len = 1; len <= strlen(texts[i]); len++) {
            uint8_t *const copy = malloc(len);
            assert_non_null(copy);
            memcpy(copy, texts[i], len);
            struct arili_address a;
            const aril_status st = arili_address_parse((aril_bytes){ copy, len }, 0, &a);
            free(copy);
            assert_true(st == ARIL_OK || st == ARIL_E_FORMAT_FIELD);
            assert_true(len < strlen(texts[i]) || st == ARIL_OK);
        }
    }
}

static void equal_is_all_of_it(void **state)
{
    (void)state;
    const struct arili_address a = { false, 1, "a" };
    const struct arili_address others[] = { { true, 1, "a" },
                                            { false, 2, "a" },
                                            { false, 1, "b" } };
    assert_true(arili_address_equal(&a, &a));
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_false(arili_address_equal(&a, &others[i]));
    }
}

static void local_is_what_only_this_machine_reaches(void **state)
{
    (void)state;
    static const char *const local[] = { "127.0.0.1:1", "127.9.8.7:1", "[::1]:1",
                                         "localhost:1", "/run/x",      "unix:x" };
    static const char *const others[] = { "0.0.0.0:1",
                                          "[::]:1",
                                          "10.0.0.1:1",
                                          "128.0.0.1:1",
                                          "[::ffff:127.0.0.1]:1",
                                          "localhost.example:1",
                                          "127.0.0.1.example:1",
                                          "[fe80::1%lo]:1" };
    struct arili_address a;
    for (size_t i = 0; i < COUNT(local); i++) {
        assert_status(parse(local[i], 0, &a), ARIL_OK);
        assert_true(arili_address_is_local(&a));
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_status(parse(others[i], 0, &a), ARIL_OK);
        assert_false(arili_address_is_local(&a));
    }
}

static void any_is_what_nobody_connects_to(void **state)
{
    (void)state;
    static const char *const any[] = { "0.0.0.0:1", "[::]:1", "[0::0]:1" };
    static const char *const others[] = { "127.0.0.1:1", "[::1]:1", "localhost:1",
                                          "/run/x",      "unix:*",  "10.0.0.0:1" };
    struct arili_address a = { .host = "*" };
    assert_true(arili_address_is_any(&a));
    for (size_t i = 0; i < COUNT(any); i++) {
        assert_status(parse(any[i], 0, &a), ARIL_OK);
        assert_true(arili_address_is_any(&a));
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        assert_status(parse(others[i], 0, &a), ARIL_OK);
        assert_false(arili_address_is_any(&a));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(a_default_port_may_be_left_out),
        cmocka_unit_test(what_is_no_address_leaves_the_output),
        cmocka_unit_test(lengths_end_where_they_say),
        cmocka_unit_test(every_truncation_stays_inside),
        cmocka_unit_test(equal_is_all_of_it),
        cmocka_unit_test(local_is_what_only_this_machine_reaches),
        cmocka_unit_test(any_is_what_nobody_connects_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
