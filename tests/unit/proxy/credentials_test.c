/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "proxy/credential_line.h"
#include "runtime.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define H16  "0123456789abcdef"
#define H60  H16 H16 H16 "0123456789ab"
#define SALT H16 H16

static aril_bytes bytes_of(const char *text)
{
    return (aril_bytes){ (const uint8_t *)text, strlen(text) };
}

static aril_status parse(const char *text, struct arili_credentials **ret, aril_error *error)
{
    *error = (aril_error){ .status = ARIL_OK };
    *ret = (struct arili_credentials *)ret;
    const aril_status st = arili_credentials_parse(rt, "users", bytes_of(text), ret, error);
    assert_int_equal(*ret == NULL, st != ARIL_OK);
    assert_status(error->status, st);
    return st;
}

static void expect_refused(const char *text, const char *where)
{
    struct arili_credentials *c = NULL;
    aril_error error;
    assert_status(parse(text, &c, &error), ARIL_E_FORMAT_FIELD);
    if (strstr(error.message, where) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, where);
    }
    assert_null(strstr(error.message, H16));
}

static void lines_come_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct arili_credentials *c = NULL;
    aril_error error;
    assert_status(parse("# who\n\nzoe:b:token:" H60 "0002:5\n#\n"
                        "acme:x:argon2id:65536,3,4:" SALT ":" H60 "0001:6\n"
                        "acme:a:token:" H60 "0001:7\n",
                        &c, &error),
                  ARIL_OK);
    assert_int_equal(arili_credentials_count(c), 3);
    const struct arili_credential *one = arili_credentials_at(c, 0);
    assert_string_equal(one->tenant, "zoe");
    assert_string_equal(one->name, "b");
    assert_int_equal(one->kind, ARILI_CREDENTIAL_TOKEN);
    assert_int_equal(one->line, 3);
    assert_int_equal(one->created_s, 5);
    one = arili_credentials_at(c, 1);
    assert_string_equal(one->tenant, "acme");
    assert_int_equal(one->kind, ARILI_CREDENTIAL_PASSPHRASE);
    assert_int_equal(one->line, 5);
    assert_int_equal(arili_credentials_at(c, 2)->line, 6);
    arili_credentials_free(c);
}

static void a_file_without_credentials_is_one(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "\n", "# nobody\n", "\n\n#\n\n" };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct arili_credentials *c = NULL;
        aril_error error;
        assert_status(parse(texts[i], &c, &error), ARIL_OK);
        assert_int_equal(arili_credentials_count(c), 0);
        arili_credentials_free(c);
    }
    assert_int_equal(arili_credentials_count(NULL), 0);
    arili_credentials_free(NULL);
}

static void errors_name_file_and_line(void **state)
{
    (void)state;
    expect_refused("# one\nacme:a:token:" H60 "0001:7\nrubbish\n", "users:3: ");
    expect_refused("acme:a:token:" H60 "0001:7", "users:1: the file ends in the middle");
    expect_refused("acme:a:token:" H60 "0001:7\n# the end", "users:2: the file ends in");
    expect_refused("acme:a:token:" H60 "0001:7\n\n a:b:token:" H60 "0002:7\n", "users:3: ");
    expect_refused("acme:a:token:" H60 "0001:7\r\n", "users:1: the time");
}

static void nothing_is_there_twice(void **state)
{
    (void)state;
    expect_refused("acme:a:token:" H60 "0001:7\nb:a:token:" H60 "0002:7\n"
                   "acme:a:token:" H60 "0003:7\n",
                   "users:3: the tenant has a credential of that name already");
    expect_refused("acme:a:argon2id:65536,3,4:" SALT ":" H60 "0001:6\n"
                   "acme:a:token:" H60 "0003:7\n",
                   "users:2: the tenant has a credential of that name already");
    expect_refused("acme:a:token:" H60 "0001:7\nb:a:token:" H60 "0002:7\n"
                   "zoe:q:token:" H60 "0001:7\n",
                   "users:3: the token is there a second time");
}

static void a_tenant_has_four_passphrases_at_most(void **state)
{
    (void)state;
    char text[4096];
    for (int count = 4; count <= 5; count++) {
        size_t len = 0;
        for (int i = 0; i < count; i++) {
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    "acme:p%d:argon2id:65536,3,4:" SALT ":" H60 "%04d:6\n", i, i);
        }
        if (count == 4) {
            struct arili_credentials *c = NULL;
            aril_error error;
            assert_status(parse(text, &c, &error), ARIL_OK);
            arili_credentials_free(c);
        } else {
            expect_refused(text, "users:5: the tenant has more than 4 passphrases");
        }
    }
}

/* Cut anywhere but behind a line, the file is not taken. */
static void every_truncation_of_a_file_is_noticed(void **state)
{
    (void)state;
    static const char text[] = "# who\nacme:a:token:" H60 "0001:7\n"
                               "acme:x:argon2id:65536,3,4:" SALT ":" H60 "0001:16\n";
    for (size_t len = 0; len < sizeof text; len++) {
        struct arili_credentials *c = NULL;
        aril_error error = { .status = ARIL_OK };
        char *exact = test_malloc(len + 1);
        memcpy(exact, text, len);
        const aril_status st = arili_credentials_parse(
            rt, "users", (aril_bytes){ (const uint8_t *)exact, len }, &c, &error);
        const bool whole = len == 0 || text[len - 1] == '\n';
        assert_status(st, whole ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        if (len + 1 == sizeof text) {
            assert_int_equal(arili_credentials_count(c), 2);
        }
        arili_credentials_free(c);
        test_free(exact);
    }
}

static void more_lines_than_the_limit_are_refused(void **state)
{
    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        const size_t count = ARILI_CREDENTIALS_MAX + more;
        const size_t cap = count * 128;
        char *text = malloc(cap);
        assert_non_null(text);
        size_t len = 0;
        for (size_t i = 0; i < count; i++) {
            len +=
                (size_t)snprintf(text + len, cap - len, "t%zu:n%zu:token:%064zx:0\n", i % 7, i, i);
        }
        struct arili_credentials *c = NULL;
        aril_error error = { .status = ARIL_OK };
        const aril_status st = arili_credentials_parse(
            rt, "users", (aril_bytes){ (const uint8_t *)text, len }, &c, &error);
        if (more == 1) {
            assert_status(st, ARIL_E_LIMIT);
            assert_non_null(strstr(error.message, "users:65537: "));
        } else {
            assert_status(st, ARIL_OK);
            assert_int_equal(arili_credentials_count(c), ARILI_CREDENTIALS_MAX);
        }
        arili_credentials_free(c);
        free(text);
    }
}

static void files_longer_than_the_limit_are_refused_unread(void **state)
{
    (void)state;
    struct arili_credentials *c = NULL;
    aril_error error = { .status = ARIL_OK };
    const aril_bytes text = { (const uint8_t *)"x", ARILI_CREDENTIALS_BYTES_MAX + 1 };
    assert_status(arili_credentials_parse(rt, "users", text, &c, &error), ARIL_E_LIMIT);
    assert_null(c);
}

static void long_paths_keep_their_end_in_messages(void **state)
{
    (void)state;
    char path[600];
    memset(path, 'd', sizeof path);
    memcpy(path + sizeof path - 7, "/users", 7);
    struct arili_credentials *c = NULL;
    aril_error error = { .status = ARIL_OK };
    assert_status(arili_credentials_parse(rt, path, bytes_of("x\n"), &c, &error),
                  ARIL_E_FORMAT_FIELD);
    assert_non_null(strstr(error.message, "ddd/users:1: is not TENANT"));
}

static aril_status read_mode(unsigned mode, aril_error *error)
{
    static const char text[] = "acme:a:token:" H60 "0001:7\n";
    const char *path = temp_write("users", mode, bytes_of(text));
    struct arili_credentials *c = (struct arili_credentials *)&c;
    *error = (aril_error){ .status = ARIL_OK };
    const aril_status st = arili_credentials_read(rt, path, &c, error);
    assert_int_equal(st == ARIL_OK ? 1 : 0, arili_credentials_count(c));
    assert_int_equal(c == NULL, st != ARIL_OK);
    arili_credentials_free(c);
    temp_clear(path);
    return st;
}

static void files_that_others_can_read_are_refused(void **state)
{
    (void)state;
    aril_error error;
    assert_status(read_mode(0600, &error), ARIL_OK);
    assert_status(read_mode(0400, &error), ARIL_OK);
    /* The group may read what root owns, so that a service reads what it cannot change. */
    assert_status(read_mode(0640, &error), geteuid() == 0 ? ARIL_OK : ARIL_E_IO_PERMISSION);
    static const unsigned bad[] = { 0644, 0604, 0660, 0602, 0620, 0601, 0777 };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status(read_mode(bad[i], &error), ARIL_E_IO_PERMISSION);
        assert_non_null(strstr(error.message, "chmod"));
    }
}

static void a_file_that_is_not_there_or_no_file_is_said(void **state)
{
    (void)state;
    struct arili_credentials *c = (struct arili_credentials *)&c;
    aril_error error = { .status = ARIL_OK };
    assert_status(arili_credentials_read(rt, temp_path("nothing"), &c, &error), ARIL_E_NOT_FOUND);
    assert_null(c);
    assert_non_null(strstr(error.message, "nothing"));
    const char *folder = temp_path("folder");
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_status(arili_credentials_read(rt, folder, &c, &error), ARIL_E_IO);
    assert_int_equal(rmdir(folder), 0);
    const char *target = temp_write("users", 0600, bytes_of(""));
    const char *link = temp_path("link");
    assert_int_equal(symlink(target, link), 0);
    assert_status(arili_credentials_read(rt, link, &c, &error), ARIL_E_IO);
    temp_clear(link);
    temp_clear(target);
}

static int set_up(void **state)
{
    return temp_folder_make(state) != 0 ? -1 : runtime_setup(state);
}

static int tear_down(void **state)
{
    return runtime_teardown(state) != 0 ? -1 : temp_folder_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_in_the_order_of_the_file),
        cmocka_unit_test(a_file_without_credentials_is_one),
        cmocka_unit_test(errors_name_file_and_line),
        cmocka_unit_test(nothing_is_there_twice),
        cmocka_unit_test(a_tenant_has_four_passphrases_at_most),
        cmocka_unit_test(every_truncation_of_a_file_is_noticed),
        cmocka_unit_test(more_lines_than_the_limit_are_refused),
        cmocka_unit_test(files_longer_than_the_limit_are_refused_unread),
        cmocka_unit_test(long_paths_keep_their_end_in_messages),
        cmocka_unit_test(files_that_others_can_read_are_refused),
        cmocka_unit_test(a_file_that_is_not_there_or_no_file_is_said),
    };
    return cmocka_run_group_tests_name("the password file", tests, set_up, tear_down);
}
