/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "identities.h"
#include "temp_folder.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PQAID_CHARS 74u
#define UPPER_PQAID "did:pqaid:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define A_PQAID     "did:pqaid:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const aril_identity *alice, *bob; /* id65 and id87 */
static char alice_did[2][ARIL_DID_BYTES_MAX], bob_did[2][ARIL_DID_BYTES_MAX];
static aril_trust *trust; /* fresh for each test */

static aril_status check_key(const aril_identity *id, const char **name)
{
    return aril_trust_check(trust, aril_identity_alg(id), aril_identity_public(id), name);
}

static void expect_trusted(const aril_identity *id, const char *want)
{
    const char *name = NULL;
    assert_status(check_key(id, &name), ARIL_OK);
    assert_string_equal(name, want);
    assert_status(check_key(id, NULL), ARIL_OK);
}

static void expect_revoked(const aril_identity *id, const char *want)
{
    const char *name = NULL;
    assert_status(check_key(id, &name), ARIL_E_TRUST_REVOKED);
    assert_string_equal(name, want);
}

static void expect_unknown(const aril_identity *id)
{
    const char *name = "unchanged";
    assert_status(check_key(id, &name), ARIL_E_TRUST_UNKNOWN);
    assert_string_equal(name, "unchanged");
}

static const char *trust_file(const char *text)
{
    return temp_write("trust", 0600, (aril_bytes){ (const uint8_t *)text, strlen(text) });
}

static void expect_load_refused(const char *path, aril_status st, const char *words)
{
    aril_error error = { .status = ARIL_OK };
    assert_status(aril_trust_load(trust, path, &error), st);
    assert_status(error.status, st);
    assert_non_null(strstr(error.message, path));
    if (strstr(error.message, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, error.message);
    }
    assert_status(aril_trust_load(trust, path, NULL), st);
}

/* --- add, revoke, check */

static void an_empty_list_trusts_nobody(void **state)
{
    (void)state;
    expect_unknown(alice);
    expect_unknown(bob);
}

static void a_key_is_trusted_by_either_form_of_its_did(void **state)
{
    (void)state;
    assert_status(aril_trust_add(trust, alice_did[ARIL_DID_PQAID], "Alice, of Example"), ARIL_OK);
    assert_status(aril_trust_add(trust, bob_did[ARIL_DID_KEY], "b"), ARIL_OK);
    expect_trusted(alice, "Alice, of Example");
    expect_trusted(bob, "b");
}

static void both_forms_of_one_key_are_one_entry(void **state)
{
    (void)state;
    for (int form = 0; form < 2; form++) {
        const aril_identity *id = form == 0 ? alice : bob;
        char(*did)[ARIL_DID_BYTES_MAX] = form == 0 ? alice_did : bob_did;
        assert_status(aril_trust_add(trust, did[form], "first"), ARIL_OK);
        assert_status(aril_trust_add(trust, did[form], "again"), ARIL_E_EXISTS);
        assert_status(aril_trust_add(trust, did[1 - form], "other form"), ARIL_E_EXISTS);
        expect_trusted(id, "first");
    }
}

static void a_revoked_did_is_revoked_in_either_form(void **state)
{
    (void)state;
    assert_status(aril_trust_add(trust, alice_did[ARIL_DID_PQAID], "Alice"), ARIL_OK);
    assert_status(aril_trust_revoke(trust, alice_did[ARIL_DID_KEY], "laptop stolen"), ARIL_OK);
    expect_revoked(alice, "laptop stolen");
    assert_status(aril_trust_add(trust, bob_did[ARIL_DID_KEY], "Bob"), ARIL_OK);
    assert_status(aril_trust_revoke(trust, bob_did[ARIL_DID_PQAID], "left"), ARIL_OK);
    expect_revoked(bob, "left");
}

static void revocation_is_for_ever_and_its_first_reason_stays(void **state)
{
    (void)state;
    assert_status(aril_trust_revoke(trust, alice_did[ARIL_DID_KEY], "never known"), ARIL_OK);
    expect_revoked(alice, "never known");
    assert_status(aril_trust_add(trust, alice_did[ARIL_DID_PQAID], "Alice"), ARIL_E_TRUST_REVOKED);
    assert_status(aril_trust_add(trust, alice_did[ARIL_DID_KEY], "Alice"), ARIL_E_TRUST_REVOKED);
    assert_status(aril_trust_revoke(trust, alice_did[ARIL_DID_PQAID], "second"), ARIL_OK);
    expect_revoked(alice, "never known");
    assert_status(aril_trust_revoke(trust, bob_did[ARIL_DID_PQAID], ""), ARIL_OK);
    expect_revoked(bob, "");
}

static void a_name_is_short_and_printable(void **state)
{
    (void)state;
    char name[129];
    memset(name, 'n', sizeof name - 1);
    name[128] = '\0';
    const char *did = alice_did[0];
    assert_status(aril_trust_add(trust, did, name), ARIL_E_USAGE_RANGE);
    assert_status(aril_trust_revoke(trust, did, name), ARIL_E_USAGE_RANGE);
    assert_status(aril_trust_add(trust, did, ""), ARIL_E_USAGE_RANGE);
    static const char *const bad[] = { "a\nb", "\x1b[31m", "a\tb", "\x7f", "caf\xc3\xa9" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status(aril_trust_add(trust, did, bad[i]), ARIL_E_USAGE_RANGE);
        assert_status(aril_trust_revoke(trust, did, bad[i]), ARIL_E_USAGE_RANGE);
    }
    expect_unknown(alice);
    name[127] = '\0';
    assert_status(aril_trust_add(trust, did, name), ARIL_OK);
    expect_trusted(alice, name);
}

static void what_is_no_did_of_ours_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "did:web:example.org", A_PQAID "a", UPPER_PQAID };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_status_class(aril_trust_add(trust, bad[i], "name"), ARIL_E_FORMAT);
        assert_status_class(aril_trust_revoke(trust, bad[i], "reason"), ARIL_E_FORMAT);
    }
}

static void arguments_are_checked(void **state)
{
    (void)state;
    const aril_bytes pk = aril_identity_public(alice);
    const aril_bytes bad = { NULL, 1952 };
    aril_trust *other = trust;
    assert_status(aril_trust_new(NULL, &other), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_new(rt, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_add(NULL, A_PQAID, "n"), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_add(trust, NULL, "n"), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_add(trust, A_PQAID, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_revoke(NULL, A_PQAID, "r"), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_revoke(trust, NULL, "r"), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_revoke(trust, A_PQAID, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_load(NULL, "x", NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_load(trust, NULL, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_check(NULL, ARIL_ML_DSA_65, pk, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_check(trust, ARIL_ML_DSA_65, bad, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_trust_check(trust, ARIL_ML_DSA_87, pk, NULL), ARIL_E_USAGE_RANGE);
    assert_status(aril_trust_check(trust, (aril_sign_alg)0, pk, NULL), ARIL_E_USAGE_RANGE);
    aril_trust_free(NULL);
}

/* Enough entries to make the list grow, in an order that is not that of the hashes. */
static void many_entries_are_each_found(void **state)
{
    (void)state;
    char did[PQAID_CHARS + 1];
    for (unsigned i = 0; i < 500; i++) {
        (void)snprintf(did, sizeof did, "did:pqaid:%08x%056u", i * 2654435761u, i);
        assert_status(aril_trust_add(trust, did, "somebody"), ARIL_OK);
        if (i == 250) {
            assert_status(aril_trust_add(trust, alice_did[0], "Alice"), ARIL_OK);
        }
    }
    expect_trusted(alice, "Alice");
    expect_unknown(bob);
    for (unsigned i = 0; i < 500; i++) {
        (void)snprintf(did, sizeof did, "did:pqaid:%08x%056u", i * 2654435761u, i);
        assert_status(aril_trust_add(trust, did, "somebody"), ARIL_E_EXISTS);
    }
}

/* --- files */

static void a_file_adds_its_entries(void **state)
{
    (void)state;
    static char text[8 * ARIL_DID_BYTES_MAX];
    (void)snprintf(text, sizeof text,
                   "# people\n\n  \t\n\ttrust  %s \t Alice of Example \t\n"
                   "   # more\r\nrevoke %s lost key\r\ntrust " A_PQAID " last line",
                   alice_did[ARIL_DID_KEY], bob_did[ARIL_DID_PQAID]);
    aril_error error = { .status = ARIL_E_IO };
    assert_status(aril_trust_load(trust, trust_file(text), &error), ARIL_OK);
    assert_status(error.status, ARIL_E_IO);
    expect_trusted(alice, "Alice of Example");
    expect_revoked(bob, "lost key");
    assert_status(aril_trust_add(trust, A_PQAID, "n"), ARIL_E_EXISTS);
}

static void an_empty_file_adds_nothing(void **state)
{
    (void)state;
    assert_status(aril_trust_add(trust, alice_did[0], "Alice"), ARIL_OK);
    assert_status(aril_trust_load(trust, trust_file(""), NULL), ARIL_OK);
    assert_status(aril_trust_load(trust, trust_file("\n"), NULL), ARIL_OK);
    expect_trusted(alice, "Alice");
}

static void revocation_wins_whatever_the_order_of_lines(void **state)
{
    (void)state;
    static char text[8 * ARIL_DID_BYTES_MAX];
    (void)snprintf(text, sizeof text, "revoke %s gone\ntrust %s Alice\ntrust %s Bob\nrevoke %s\n",
                   alice_did[1], alice_did[0], bob_did[0], bob_did[1]);
    assert_status(aril_trust_load(trust, trust_file(text), NULL), ARIL_OK);
    expect_revoked(alice, "gone");
    expect_revoked(bob, "");
    /* Nor does a later file bring a key back. */
    assert_status(aril_trust_revoke(trust, A_PQAID, "x"), ARIL_OK);
    (void)snprintf(text, sizeof text, "trust " A_PQAID " again\n");
    assert_status(aril_trust_load(trust, trust_file(text), NULL), ARIL_OK);
    assert_status(aril_trust_add(trust, A_PQAID, "n"), ARIL_E_TRUST_REVOKED);
    expect_revoked(alice, "gone");
}

static void a_bad_line_is_named_and_leaves_the_list_as_it_was(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        aril_status st;
        const char *words;
    } cases[] = {
        { "trusted " A_PQAID " n", ARIL_E_FORMAT_FIELD, "trust DID NAME" },
        { "TRUST " A_PQAID " n", ARIL_E_FORMAT_FIELD, "trust DID NAME" },
        { "allow", ARIL_E_FORMAT_FIELD, "trust DID NAME" },
        { A_PQAID, ARIL_E_FORMAT_FIELD, "trust DID NAME" },
        { "trust", ARIL_E_FORMAT_KIND, "no DID" },
        { "trust did:web:example.org n", ARIL_E_FORMAT_KIND, "no DID" },
        { "trust did:pqaid:aaaa n", ARIL_E_FORMAT_LENGTH, "no DID" },
        { "trust " A_PQAID, ARIL_E_FORMAT_FIELD, "127 printable" },
        { "trust " A_PQAID " caf\xc3\xa9", ARIL_E_FORMAT_FIELD, "127 printable" },
        { "trust " A_PQAID " a\tb", ARIL_E_FORMAT_FIELD, "127 printable" },
        { "trust " A_PQAID
          " nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
          "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
          ARIL_E_FORMAT_FIELD, "127 printable" },
        { "trust " A_PQAID " n\ntrust " A_PQAID " n", ARIL_E_EXISTS, "line 4" },
        { "trust " A_PQAID " n\rtrust " A_PQAID " n", ARIL_E_FORMAT_FIELD, "127 printable" },
    };
    assert_status(aril_trust_add(trust, bob_did[0], "Bob"), ARIL_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        static char text[8 * ARIL_DID_BYTES_MAX];
        (void)snprintf(text, sizeof text, "# list\ntrust %s Alice\n%s\nrevoke %s why\n",
                       alice_did[0], cases[i].line, bob_did[1]);
        const char *path = trust_file(text);
        expect_load_refused(path, cases[i].st, cases[i].words);
        expect_load_refused(path, cases[i].st, cases[i].st == ARIL_E_EXISTS ? "line 4" : "line 3");
        expect_unknown(alice);
        expect_trusted(bob, "Bob");
    }
    static char text[8 * ARIL_DID_BYTES_MAX];
    (void)snprintf(text, sizeof text, "trust %s Robert", bob_did[ARIL_DID_KEY]);
    expect_load_refused(trust_file(text), ARIL_E_EXISTS, "line 1");
    expect_trusted(bob, "Bob");
}

static void a_line_cannot_hide_behind_a_zero_byte(void **state)
{
    (void)state;
    static const char text[] = "trust " A_PQAID "\0x n\n";
    const char *path =
        temp_write("trust", 0600, (aril_bytes){ (const uint8_t *)text, sizeof text - 1 });
    expect_load_refused(path, ARIL_E_FORMAT_FIELD, "no DID");
    static const char name[] = "trust " A_PQAID " a\0b\n";
    path = temp_write("trust", 0600, (aril_bytes){ (const uint8_t *)name, sizeof name - 1 });
    expect_load_refused(path, ARIL_E_FORMAT_FIELD, "printable");
    static const char verb[] = "trust\0 " A_PQAID " a\n";
    path = temp_write("trust", 0600, (aril_bytes){ (const uint8_t *)verb, sizeof verb - 1 });
    expect_load_refused(path, ARIL_E_FORMAT_FIELD, "trust DID NAME");
}

static void a_word_longer_than_any_did_is_refused(void **state)
{
    (void)state;
    static char text[6000];
    memset(text, 'z', sizeof text - 1);
    expect_load_refused(trust_file(text), ARIL_E_FORMAT_LENGTH, "line 1");
    memcpy(text, "trust ", 6);
    expect_load_refused(trust_file(text), ARIL_E_FORMAT_LENGTH, "no DID");
}

static void a_file_that_others_may_change_is_refused(void **state)
{
    (void)state;
    static char text[8 * ARIL_DID_BYTES_MAX];
    (void)snprintf(text, sizeof text, "trust %s Alice\n", alice_did[0]);
    const aril_bytes content = { (const uint8_t *)text, strlen(text) };
    expect_load_refused(temp_write("trust", 0620, content), ARIL_E_IO_PERMISSION, "0620");
    expect_load_refused(temp_write("trust", 0602, content), ARIL_E_IO_PERMISSION, "go-w");
    expect_load_refused(temp_write("trust", 0666, content), ARIL_E_IO_PERMISSION, "go-w");
    const char *link = temp_path("trust-link");
    assert_int_equal(symlink(temp_write("trust", 0644, content), link), 0);
    expect_load_refused(link, ARIL_E_IO, "symbolic link");
    expect_load_refused(temp_path("none"), ARIL_E_NOT_FOUND, "none");
    if (geteuid() == 0) {
        const char *path = temp_write("trust", 0644, content);
        assert_int_equal(chown(path, 65534, 65534), 0);
        expect_load_refused(path, ARIL_E_IO_PERMISSION, "chown");
    }
    expect_unknown(alice);
    assert_status(aril_trust_load(trust, temp_write("trust", 0644, content), NULL), ARIL_OK);
    expect_trusted(alice, "Alice");
}

/* A file of count entries, and one more list entry does or does not fit. */
static char *many_lines(size_t count)
{
    const size_t line = PQAID_CHARS + 10;
    char *text = malloc(count * line + 1);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(text + i * line, line + 1, "trust did:pqaid:%064zx nn\n", i * 40503);
    }
    return text;
}

static void the_list_holds_as_many_entries_as_it_says(void **state)
{
    (void)state;
    char *text = many_lines(ARIL_TRUST_ENTRIES_MAX + 1);
    const char *path = trust_file(text);
    expect_load_refused(path, ARIL_E_LIMIT, "line 65537");
    text[strlen(text) - (PQAID_CHARS + 10)] = '\0';
    assert_status(aril_trust_load(trust, trust_file(text), NULL), ARIL_OK);
    free(text);
    assert_status(aril_trust_add(trust, A_PQAID, "n"), ARIL_E_LIMIT);
    assert_status(aril_trust_revoke(trust, A_PQAID, "r"), ARIL_E_LIMIT);
    char did[PQAID_CHARS + 1];
    (void)snprintf(did, sizeof did, "did:pqaid:%064zx", (size_t)40503 * 12345);
    assert_status(aril_trust_add(trust, did, "n"), ARIL_E_EXISTS);
    assert_status(aril_trust_revoke(trust, did, "r"), ARIL_OK);
    assert_status(aril_trust_add(trust, did, "n"), ARIL_E_TRUST_REVOKED);
}

static int set_up(void **state)
{
    bool ok = identities_setup(state) == 0;
    alice = id65;
    bob = id87;
    for (int m = 0; ok && m < 2; m++) {
        size_t len = 0;
        ok = aril_did_write(rt, (aril_did_method)m, ARIL_ML_DSA_65, aril_identity_public(alice),
                            alice_did[m], sizeof alice_did[m], &len) == ARIL_OK &&
             aril_did_write(rt, (aril_did_method)m, ARIL_ML_DSA_87, aril_identity_public(bob),
                            bob_did[m], sizeof bob_did[m], &len) == ARIL_OK;
    }
    return ok ? 0 : -1;
}

static int fresh_list(void **state)
{
    (void)state;
    return aril_trust_new(rt, &trust) == ARIL_OK ? 0 : -1;
}

static int end_list(void **state)
{
    (void)state;
    aril_trust_free(trust);
    return 0;
}

#define WITH_LIST(test) cmocka_unit_test_setup_teardown(test, fresh_list, end_list)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LIST(an_empty_list_trusts_nobody),
        WITH_LIST(a_key_is_trusted_by_either_form_of_its_did),
        WITH_LIST(both_forms_of_one_key_are_one_entry),
        WITH_LIST(a_revoked_did_is_revoked_in_either_form),
        WITH_LIST(revocation_is_for_ever_and_its_first_reason_stays),
        WITH_LIST(a_name_is_short_and_printable),
        WITH_LIST(what_is_no_did_of_ours_is_refused),
        WITH_LIST(arguments_are_checked),
        WITH_LIST(many_entries_are_each_found),
        WITH_LIST(a_file_adds_its_entries),
        WITH_LIST(an_empty_file_adds_nothing),
        WITH_LIST(revocation_wins_whatever_the_order_of_lines),
        WITH_LIST(a_bad_line_is_named_and_leaves_the_list_as_it_was),
        WITH_LIST(a_line_cannot_hide_behind_a_zero_byte),
        WITH_LIST(a_word_longer_than_any_did_is_refused),
        WITH_LIST(a_file_that_others_may_change_is_refused),
        WITH_LIST(the_list_holds_as_many_entries_as_it_says),
    };
    return cmocka_run_group_tests_name("trust", tests, set_up, identities_teardown);
}
