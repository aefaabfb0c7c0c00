/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused line by line, and texts that are cut, long or hostile. */
#include "base/bytes.h"
#include "check.h"
#include "proxy/config_internal.h"
#include "proxy_config.h"
#include <stdio.h>
#include <stdlib.h>

static void values_out_of_range_are_shown_with_the_range(void **state)
{
    (void)state;
    proxy_config_refused(PROXY_CONFIG_TOP "[limits]\nclients_max = 10x\n", 3,
                         "[limits] clients_max = 10x: not a number from 1 to 1000000");
    proxy_config_refused(PROXY_CONFIG_TOP "threads = 65\n", 2,
                         "threads = 65: not a number from 1 to 64, or auto");
    proxy_config_refused(PROXY_CONFIG_TOP "[limits]\nmemory_max = 1024\n", 3,
                         "not a size from 16 MiB to 1 TiB");
    proxy_config_refused(PROXY_CONFIG_TOP "[timeouts]\nidle = 1500 ms\n", 3,
                         "not a time from 1 s to 365 d in whole seconds, or never");
    proxy_config_refused("log_level = loud\n", 1, "not one of error, warning, notice, debug");
    proxy_config_refused("keyring = ''\n", 1, "not a path");
    proxy_config_refused("user = a/b\n", 1, "not a name");
    proxy_config_refused("user = -a\n", 1, "not a name");
    proxy_config_refused("unlock_credential = .x\n", 1, "not the name of a credential");
    proxy_config_refused("keystore = /a\n", 1, "not a keystore");
    proxy_config_refused("keystore = :a\n", 1, "not a keystore");
    proxy_config_refused("[policy a]\nstreaming = on\n", 0, "keyring is missing");
    proxy_config_refused(PROXY_CONFIG_TOP "[policy a]\nstreaming = on\n", 3, "not yes or no");
    proxy_config_refused(PROXY_CONFIG_TOP "[admin]\naddress = 127.0.0.1\n", 3, "not HOST:PORT");
    /* Long values are cut. */
    proxy_config_refused("user = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", 1,
                         "user = aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: not");
}

static void listeners_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const addresses[] = { "6379",      "tls://unix:/x", "tls:///x", "tls://a",
                                             "tcp://a:1", "a:0",           "\"\"",     "unix:" };
    static const char *const modes[] = { "0800", "60", "00600", "rw", "0o600", "1777" };
    char text[160];
    for (size_t i = 0; i < COUNT(addresses); i++) {
        (void)snprintf(text, sizeof text, PROXY_CONFIG_TOP "[listen]\naddress = %s\n",
                       addresses[i]);
        proxy_config_refused(text, 3, "[listen] address = ");
    }
    for (size_t i = 0; i < COUNT(modes); i++) {
        (void)snprintf(text, sizeof text, PROXY_CONFIG_TOP "[listen]\nsocket_mode = %s\n",
                       modes[i]);
        proxy_config_refused(text, 3, "not an octal number");
    }
    proxy_config_refused(PROXY_CONFIG_TOP "[listen]\nauth = password,,peer\n", 3,
                         "not one or more");
    proxy_config_refused(PROXY_CONFIG_TOP "[listen]\nauth = token\n", 3, "not one or more");
}

static void servers_that_are_none_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *reason;
    } cases[] = {
        { "127.0.0.1:6379", "not a redis:" },
        { "localhost", "not a redis:" },
        { "http://a", "not a redis:" },
        { "rediss+unix:/a", "not a redis:" },
        { "redis://a:0", "a port is no number" },
        { "redis://", "a host is missing" },
        { "redis://a,b", "several hosts" },
        { "redis://a/1", "clients choose the database" },
        { "redis+unix:/a?db=2", "clients choose the database" },
        { "redis+cluster://a/1", "a Cluster has database 0 only" },
        { "redis://a%20b", "a host is no name" },
        { "redis+unix:", "the path of the socket" },
    };
    char text[256];
    for (size_t i = 0; i < COUNT(cases); i++) {
        (void)snprintf(text, sizeof text, PROXY_CONFIG_TOP "[upstream]\nserver = %s\n",
                       cases[i].uri);
        proxy_config_refused(text, 3, cases[i].reason);
    }
    static const char begin[] = PROXY_CONFIG_TOP "[upstream]\n";
    static const char *const twice[][2] = {
        { "user = a\nserver = redis://b@c\n", "in the URI and as a key" },
        { "server = redis://b@c\nuser = a\n", "the URI of the server says it already" },
        { "password_file = a\nserver = redis://c?password-file=b\n", "in the URI and as a key" },
        { "server = redis://c?password-file=b\npassword_file = a\n",
          "the URI of the server says it already" },
    };
    for (size_t i = 0; i < COUNT(twice); i++) {
        (void)snprintf(text, sizeof text, "%s%s", begin, twice[i][0]);
        proxy_config_refused(text, 4, twice[i][1]);
    }
}

/* What may be a password is in no message. */
static void messages_do_not_repeat_what_may_be_a_secret(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "password = hunter2\n",
        "hunter2\n",
        "requirepass \"hunter2\n",
        "keyring = k\n[upstream]\nserver = redis://me:hunter2@host\n",
        "keyring = k\n[upstream]\nserver = hunter2@host:6379\n",
        "keyring = k\n[upstream]\nserver = redis://h?password=hunter2\n",
        "keyring = k\n[hunter2\n",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct arili_proxy_config *c = NULL;
        aril_error error = { ARIL_OK, "" };
        assert_status(arili_config_parse("f", arili_config_text_bytes(texts[i]), &c, &error),
                      ARIL_E_FORMAT_FIELD);
        assert_true(strlen(error.message) > 0);
        assert_null(strstr(error.message, "hunter2"));
    }
}

static void unknown_names_come_with_the_nearest(void **state)
{
    (void)state;
    proxy_config_refused(PROXY_CONFIG_TOP "[limits]\nclient_max = 1\n", 3,
                         "[limits] client_max: there is no such key; did you mean clients_max?");
    proxy_config_refused("log-level = debug\n", 1,
                         "log-level: there is no such key; did you mean "
                         "log_level?");
    proxy_config_refused("clients_max = 1\n", 1, "it belongs into [limits]");
    proxy_config_refused(PROXY_CONFIG_TOP "[limits]\nkeyring = x\n", 3,
                         "it belongs before the first section");
    proxy_config_refused("colour = blue\n", 1, "there is no such key; see man arild.conf");
    proxy_config_refused(PROXY_CONFIG_TOP "[listener]\n", 2,
                         "[listener]: there is no such section; did you mean [listen]?");
    proxy_config_refused(PROXY_CONFIG_TOP "[colours]\n", 2, "see man arild.conf");
}

static void sections_have_their_argument(void **state)
{
    (void)state;
    proxy_config_refused(PROXY_CONFIG_TOP "[limits x]\n", 2, "[limits] takes no argument");
    proxy_config_refused(PROXY_CONFIG_TOP "[limits '']\n", 2, "[limits] takes no argument");
    proxy_config_refused(PROXY_CONFIG_TOP "[tenant]\n", 2, "wants the id of a tenant");
    proxy_config_refused(PROXY_CONFIG_TOP "[policy]\n", 2, "wants a pattern of keys");
    proxy_config_refused(PROXY_CONFIG_TOP "[policy \"\"]\n", 2, "wants a pattern of keys");
    char text[1200];
    char long_name[514];
    memset(long_name, 'x', sizeof long_name);
    (void)snprintf(text, sizeof text, PROXY_CONFIG_TOP "[tenant %.256s]\n", long_name);
    proxy_config_refused(text, 2, "of 1 to 255 bytes");
    (void)snprintf(text, sizeof text, PROXY_CONFIG_TOP "[policy %.513s]\n", long_name);
    proxy_config_refused(text, 2, "of 1 to 512 bytes");
    (void)snprintf(text, sizeof text,
                   PROXY_CONFIG_TOP PROXY_CONFIG_REST "[tenant %.255s]\n[policy %.512s]\n",
                   long_name, long_name);
    arili_config_free(proxy_config_parse(text));
}

/* Every key of the table twice, and every section that is there once. */
static void what_is_there_twice_is_refused(void **state)
{
    (void)state;
    static const char *const begins[ARILI_SECTIONS] = {
        "",           "[limits]\n",   "[timeouts]\n", "[admin]\n", "[upstream]\n",
        "[listen]\n", "[tenant x]\n", "[policy x]\n",
    };
    unsigned refused = 0;
    for (size_t i = 0; i < arili_config_key_count; i++) {
        const struct arili_config_key *const key = &arili_config_keys[i];
        const char *value = key->fallback != NULL ? key->fallback : "a";
        value = key->kind == ARILI_KIND_KEYSTORE ? "file:a" : value;
        value =
            key->kind == ARILI_KIND_ADDRESS || key->kind == ARILI_KIND_LISTEN ? "[::1]:1" : value;
        value = key->kind == ARILI_KIND_SERVER ? "redis://a" : value;
        value = key->kind == ARILI_KIND_WORDS ? "peer" : value;
        if ((key->flags & ARILI_KEY_ADDS) != 0) {
            continue;
        }
        char text[256];
        (void)snprintf(text, sizeof text, "%s%s%s = %s\n\n%s = %s\n",
                       key->section == ARILI_SECTION_TOP ? "\n\n" : PROXY_CONFIG_TOP,
                       begins[key->section], key->name, value, key->name, value);
        char part[128];
        (void)snprintf(part, sizeof part, "%s stands in line 3 already", key->label);
        proxy_config_refused(text, 5, part);
        refused++;
    }
    assert_int_equal(refused, arili_config_key_count - 2);
    for (unsigned s = ARILI_SECTION_LIMITS; s <= ARILI_SECTION_TIMEOUTS; s++) {
        char text[256];
        (void)snprintf(text, sizeof text, PROXY_CONFIG_TOP "%s%s", begins[s], begins[s]);
        proxy_config_refused(text, 3, "stands in line 2 already");
    }
    proxy_config_refused(PROXY_CONFIG_TOP PROXY_CONFIG_REST "[upstream]\n", 8,
                         "[upstream] stands in line 2 already");
    proxy_config_refused(PROXY_CONFIG_TOP "[admin]\naddress=[::1]:1\n[admin]\n", 4,
                         "[admin] stands in line 2 already");
}

static void lists_have_a_maximum(void **state)
{
    (void)state;
    char text[8192];
    size_t at = (size_t)snprintf(text, sizeof text, PROXY_CONFIG_TOP PROXY_CONFIG_REST "uids = 0");
    for (unsigned i = 1; i < ARILI_CONFIG_UIDS_MAX; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, ",%u", i);
    }
    struct arili_proxy_config *const c = proxy_config_parse(text);
    assert_int_equal(c->tenants[0].uid_count, ARILI_CONFIG_UIDS_MAX);
    assert_int_equal(c->tenants[0].uids[255], 255);
    arili_config_free(c);
    (void)snprintf(text + at, sizeof text - at, "\nuids = 1000\n");
    proxy_config_refused(text, 9, "a tenant has 256 at most");
    (void)snprintf(text + at, sizeof text - at, ",1000\n");
    proxy_config_refused(text, 8, "a tenant has 256 at most");
}

static void members_of_lists_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "uids = 4294967295\n",
        "uids = 1,,2\n",
        "uids = root\n",
        "uids = 1,\n",
        "certificates = 00\n",
        "uids = ''\n",
        "certificates = g000000000000000000000000000000000000000000000000000000000000000\n",
        "certificates = 00000000000000000000000000000000000000000000000000000000000000001\n",
        "certificates = 000000000000000000000000000000000000000000000000000000000000000\n",
    };
    char text[400];
    for (size_t i = 0; i < COUNT(bad); i++) {
        (void)snprintf(text, sizeof text, PROXY_CONFIG_TOP "[tenant a]\n%s", bad[i]);
        proxy_config_refused(text, 3, bad[i][0] == 'u' ? "not user ids" : "not SHA-256 digests");
    }
}

/* count sections of one kind, behind what is a configuration: begin, a number, end. */
static char *many(const char *begin, const char *end, unsigned count)
{
    const size_t room = 512 + (size_t)count * 64;
    char *const text = malloc(room);
    assert_non_null(text);
    size_t at = (size_t)snprintf(text, room, "%s", PROXY_CONFIG_TOP PROXY_CONFIG_REST);
    for (unsigned i = 0; i < count; i++) {
        at += (size_t)snprintf(text + at, room - at, "%s%u%s", begin, i + 1, end);
    }
    return text;
}

static void repeated_sections_have_a_maximum(void **state)
{
    (void)state;
    static const struct {
        const char *begin, *end;
        unsigned more; /* than those of PROXY_CONFIG_REST */
        unsigned lines;
    } cases[] = {
        { "[tenant t", "]\n", ARILI_CONFIG_TENANTS_MAX - 1, 1 },
        { "[policy p", "]\n", ARILI_CONFIG_POLICIES_MAX, 1 },
        { "[listen]\ntenant = a\naddress = [::1]:", "\n", ARILI_CONFIG_LISTENERS_MAX - 1, 3 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = many(cases[i].begin, cases[i].end, cases[i].more);
        arili_config_free(proxy_config_parse(text));
        free(text);
        text = many(cases[i].begin, cases[i].end, cases[i].more + 1);
        proxy_config_refused(text, 8 + cases[i].more * cases[i].lines, "is there too often");
        free(text);
    }
}

static void line_ends_of_other_systems_make_no_difference(void **state)
{
    (void)state;
    static const char text[] = PROXY_CONFIG_TOP PROXY_CONFIG_REST;
    char other[2 * sizeof text];
    size_t n = 0;
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        if (text[i] == '\n') {
            other[n++] = '\r';
        }
        other[n++] = text[i];
    }
    other[n] = '\0';
    struct arili_proxy_config *const a = proxy_config_parse(text);
    struct arili_proxy_config *const b = proxy_config_parse(other);
    assert_null(arili_config_fixed_difference(a, b));
    assert_string_equal(a->tenants[0].id, b->tenants[0].id);
    arili_config_free(a);
    arili_config_free(b);
}

static const char sample[] =
    "keyring = k\ncredentials = p\nkeystore = file:x\n[limits]\nclients_max = 10\n"
    "[timeouts]\nidle = 1 h\n[admin]\naddress = 127.0.0.1:9\n"
    "[upstream]\nserver = rediss+cluster://u@a:1,b?password-file=f\ntls_ca = c\n"
    "[listen]\naddress = tls://[::1]:1\ntls_cert = a\ntls_key = b\ntls_client_ca = c\n"
    "auth = password, certificate\n[listen]\naddress = unix:s\nauth = peer\n"
    "[tenant a]\nuids = 1, 2\ncertificates = "
    "00000000000000000000000000000000000000000000000000000000000000aa\n"
    "[policy \"a [b] \"]\ntenant = a\nvalues = pass\n[policy *]\non_tamper = error\n";

static aril_status parse_copy(const char *text, size_t len)
{
    /* A block that is exactly as long: a sanitizer sees the first byte too many. */
    uint8_t *const copy = malloc(len > 0 ? len : 1);
    struct arili_proxy_config *c = NULL;
    aril_error error = { ARIL_OK, "" };
    assert_non_null(copy);
    memcpy(copy, text, len);
    const aril_status st = arili_config_parse("f", (aril_bytes){ copy, len }, &c, &error);
    free(copy);
    assert_int_equal(st == ARIL_OK, c != NULL);
    assert_int_equal(st == ARIL_OK, error.message[0] == '\0');
    arili_config_free(c);
    return st;
}

static void every_truncation_is_refused_or_whole(void **state)
{
    (void)state;
    const size_t whole = sizeof sample - 1;
    /* Where a cut leaves whole lines and all that is demanded. */
    const char *const tenant_end = strstr(sample, "[tenant a]") + strlen("[tenant a]");
    for (size_t len = 0; len <= whole; len++) {
        const aril_status st = parse_copy(sample, len);
        assert_true(st == ARIL_OK || st == ARIL_E_FORMAT_FIELD);
        assert_true(st != ARIL_OK || sample + len >= tenant_end);
    }
    assert_status(parse_copy(sample, whole), ARIL_OK);
}

static void every_byte_that_is_nul_is_refused(void **state)
{
    (void)state;
    char text[sizeof sample];
    for (size_t i = 0; i + 1 < sizeof sample; i++) {
        memcpy(text, sample, sizeof sample);
        text[i] = '\0';
        assert_status(parse_copy(text, sizeof sample - 1), ARIL_E_FORMAT_FIELD);
    }
}

/* A sanitizer looks on. */
static void every_changed_byte_ends_well(void **state)
{
    (void)state;
    static const char others[] = "\n]\"=, #x0:/\xff";
    char text[sizeof sample];
    unsigned refused = 0;
    for (size_t i = 0; i + 1 < sizeof sample; i++) {
        for (size_t j = 0; j + 1 < sizeof others; j++) {
            memcpy(text, sample, sizeof sample);
            text[i] = others[j];
            const aril_status st = parse_copy(text, sizeof sample - 1);
            assert_true(st == ARIL_OK || st == ARIL_E_FORMAT_FIELD);
            refused += st != ARIL_OK;
        }
    }
    assert_true(refused > sizeof sample * 5);
}

static void long_texts_are_read_or_refused(void **state)
{
    (void)state;
    const size_t room = ARILI_CONFIG_BYTES_MAX + 1;
    char *const text = malloc(room);
    struct arili_proxy_config *c = NULL;
    aril_error error = { ARIL_OK, "" };
    assert_non_null(text);
    memset(text, '\n', room);
    const size_t len = sizeof sample - 1;
    memcpy(text + ARILI_CONFIG_BYTES_MAX - len, sample, len);
    assert_status(arili_config_parse("f", (aril_bytes){ (uint8_t *)text, room - 1 }, &c, &error),
                  ARIL_OK);
    arili_config_free(c);
    c = (struct arili_proxy_config *)text;
    assert_status(arili_config_parse("f", (aril_bytes){ (uint8_t *)text, room }, &c, &error),
                  ARIL_E_LIMIT);
    assert_null(c);
    /* One line, and a value far longer than a message. */
    memset(text, 'a', room - 1);
    memcpy(text, "keyring = ", 10);
    assert_status(arili_config_parse("f", (aril_bytes){ (uint8_t *)text, room - 1 }, &c, &error),
                  ARIL_E_FORMAT_FIELD);
    assert_non_null(strstr(error.message, "f:1: keyring = aaaa"));
    free(text);
}

static void long_paths_are_refused(void **state)
{
    (void)state;
    char text[5000];
    char path[4090];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    (void)snprintf(text, sizeof text, "keyring = %s\n", path); /* with /etc/aril it is longer */
    proxy_config_refused(text, 1, "the path is longer than 4095 bytes");
    path[100] = '\0';
    (void)snprintf(text, sizeof text, PROXY_CONFIG_TOP "[admin]\naddress = unix:%s\n", path);
    proxy_config_refused(text, 3, "with its folder the path of the socket is longer");
    (void)snprintf(text, sizeof text, PROXY_CONFIG_TOP "[listen]\naddress = unix:%s\n", path);
    proxy_config_refused(text, 3, "with its folder the path of the socket is longer");
    (void)snprintf(text, sizeof text, PROXY_CONFIG_TOP "[upstream]\nserver = redis+unix:%s\n",
                   path);
    proxy_config_refused(text, 3, "with its folder the path of the socket is longer");
    /* A file of the current folder has none to put before it. */
    struct arili_proxy_config *c = NULL;
    assert_status(
        arili_config_parse("f", ARILI_LITERAL("keyring = k\n" PROXY_CONFIG_REST), &c, NULL),
        ARIL_OK);
    assert_string_equal(c->keyring, "k");
    arili_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_out_of_range_are_shown_with_the_range),
        cmocka_unit_test(listeners_that_are_none_are_refused),
        cmocka_unit_test(servers_that_are_none_are_refused),
        cmocka_unit_test(messages_do_not_repeat_what_may_be_a_secret),
        cmocka_unit_test(unknown_names_come_with_the_nearest),
        cmocka_unit_test(sections_have_their_argument),
        cmocka_unit_test(what_is_there_twice_is_refused),
        cmocka_unit_test(lists_have_a_maximum),
        cmocka_unit_test(members_of_lists_are_checked),
        cmocka_unit_test(repeated_sections_have_a_maximum),
        cmocka_unit_test(line_ends_of_other_systems_make_no_difference),
        cmocka_unit_test(every_truncation_is_refused_or_whole),
        cmocka_unit_test(every_byte_that_is_nul_is_refused),
        cmocka_unit_test(every_changed_byte_ends_well),
        cmocka_unit_test(long_texts_are_read_or_refused),
        cmocka_unit_test(long_paths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
