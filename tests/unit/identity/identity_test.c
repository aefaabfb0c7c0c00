/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "child.h"
#include "format/keyfile.h"
#include "identities.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEN_UNSET 9999u
#define DATA      ARIL_TEST_DATA_DIR "/identity/"

static const aril_bytes label = { (const uint8_t *)"test label", 10 };
static const aril_bytes message = { (const uint8_t *)"a message", 9 };

static void expect_same_key(const aril_identity *a, const aril_identity *b)
{
    assert_int_equal(aril_identity_alg(a), aril_identity_alg(b));
    assert_int_equal(public_of(a).len, public_of(b).len);
    assert_memory_equal(public_of(a).data, public_of(b).data, public_of(a).len);
}

/* The text of id's key file. */
static size_t key_text(const aril_identity *id, char *ret, size_t cap)
{
    const char *path = temp_path("key-text");
    temp_clear(path);
    assert_status(aril_identity_save(id, path, NULL), ARIL_OK);
    const size_t len = file_read(path, ret, cap);
    temp_clear(path);
    return len;
}

static void expect_load_refused(const char *path, aril_status st, const char *words)
{
    aril_identity *id = id65;
    aril_error error = { .status = ARIL_OK };
    assert_status(aril_identity_load(rt, path, &id, &error), st);
    assert_null(id);
    assert_status(error.status, st);
    assert_non_null(strstr(error.message, path));
    if (strstr(error.message, words) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", words, error.message);
    }
    assert_status(aril_identity_load(rt, path, &id, NULL), st);
}

/* --- generate */

static void a_new_identity_signs_and_its_public_key_verifies(void **state)
{
    (void)state;
    static const size_t sig_bytes[] = { 3309, 4627 };
    const aril_identity *ids[] = { id65, id87 };
    for (size_t i = 0; i < COUNT(ids); i++) {
        uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
        size_t len = 0;
        assert_status(aril_identity_sign(ids[i], label, message, sig, sizeof sig, &len), ARIL_OK);
        assert_int_equal(len, sig_bytes[i]);
        assert_int_equal(public_of(ids[i]).len, i == 0 ? 1952 : 2592);
        assert_status(aril_signature_verify(rt, aril_identity_alg(ids[i]), public_of(ids[i]), label,
                                            message, span(sig, len)),
                      ARIL_OK);
    }
}

static void two_new_identities_differ(void **state)
{
    (void)state;
    aril_identity *other = NULL;
    assert_status(aril_identity_generate(rt, ARIL_ML_DSA_65, &other), ARIL_OK);
    assert_memory_not_equal(public_of(other).data, public_of(id65).data, public_of(id65).len);
    aril_identity_free(other);
}

static void unknown_algorithms_are_out_of_range(void **state)
{
    (void)state;
    static const int algs[] = { 0, 44, 66, -65, 1 };
    for (size_t i = 0; i < COUNT(algs); i++) {
        aril_identity *id = id65;
        const aril_sign_alg alg = (aril_sign_alg)algs[i];
        assert_status(aril_identity_generate(rt, alg, &id), ARIL_E_USAGE_RANGE);
        assert_null(id);
        assert_status(
            aril_signature_verify(rt, alg, public_of(id65), label, message, span(NULL, 0)),
            ARIL_E_USAGE_RANGE);
    }
}

static void required_pointers_are_checked(void **state)
{
    (void)state;
    aril_identity *id = NULL;
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len = LEN_UNSET;
    const aril_bytes bad = { NULL, 1 };
    const aril_bytes pk = public_of(id65);
    assert_status(aril_identity_generate(NULL, ARIL_ML_DSA_65, &id), ARIL_E_USAGE_NULL);
    assert_status(aril_identity_generate(rt, ARIL_ML_DSA_65, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_identity_load(NULL, "x", &id, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_identity_load(rt, NULL, &id, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_identity_load(rt, "x", NULL, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_identity_save(NULL, "x", NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_identity_save(id65, NULL, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_identity_sign(NULL, label, message, sig, sizeof sig, &len),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_identity_sign(id65, bad, message, sig, sizeof sig, &len), ARIL_E_USAGE_NULL);
    assert_status(aril_identity_sign(id65, label, bad, sig, sizeof sig, &len), ARIL_E_USAGE_NULL);
    assert_status(aril_identity_sign(id65, label, message, NULL, 1, &len), ARIL_E_USAGE_NULL);
    assert_status(aril_identity_sign(id65, label, message, sig, sizeof sig, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_signature_verify(NULL, ARIL_ML_DSA_65, pk, label, message, label),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, bad, label, message, label),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, pk, bad, message, label),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, pk, label, bad, label),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_signature_verify(rt, ARIL_ML_DSA_65, pk, label, message, bad),
                  ARIL_E_USAGE_NULL);
    assert_int_equal(len, LEN_UNSET);
    aril_identity_free(NULL);
}

/* --- key files */

static void a_saved_identity_is_loaded_with_the_same_key(void **state)
{
    (void)state;
    aril_identity *ids[] = { id65, id87 };
    for (size_t i = 0; i < COUNT(ids); i++) {
        const char *path = temp_path("saved.pem");
        aril_error error = { .status = ARIL_E_IO };
        assert_status(aril_identity_save(ids[i], path, &error), ARIL_OK);
        assert_status(error.status, ARIL_E_IO); /* left alone on success */
        struct stat info;
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 07777, 0600);
        assert_int_equal(info.st_size, ARILI_KEYFILE_SEED_PEM_BYTES);
        aril_identity *loaded = NULL;
        assert_status(aril_identity_load(rt, path, &loaded, &error), ARIL_OK);
        expect_same_key(loaded, ids[i]);

        uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
        size_t len = 0;
        assert_status(aril_identity_sign(loaded, label, message, sig, sizeof sig, &len), ARIL_OK);
        assert_status(aril_signature_verify(rt, aril_identity_alg(ids[i]), public_of(ids[i]), label,
                                            message, span(sig, len)),
                      ARIL_OK);
        aril_identity_free(loaded);
        temp_clear(path);
    }
}

static void save_never_replaces_a_file_or_a_link(void **state)
{
    (void)state;
    const char *path = temp_write("taken", 0600, span("kept", 4));
    aril_error error = { .status = ARIL_OK };
    assert_status(aril_identity_save(id65, path, &error), ARIL_E_EXISTS);
    assert_status(error.status, ARIL_E_EXISTS);
    assert_non_null(strstr(error.message, path));
    char text[8] = { 0 };
    assert_int_equal(file_read(path, text, sizeof text), 4);
    assert_memory_equal(text, "kept", 4);

    const char *target = temp_path("link-target");
    const char *link = temp_path("dangling-link");
    assert_int_equal(symlink(target, link), 0);
    assert_status(aril_identity_save(id65, link, NULL), ARIL_E_EXISTS);
    assert_int_equal(access(target, F_OK), -1);

    assert_status(aril_identity_save(id65, temp_path("no-folder/key"), &error), ARIL_E_NOT_FOUND);
    assert_status(error.status, ARIL_E_NOT_FOUND);
}

static void every_form_that_openssl_writes_is_read(void **state)
{
    (void)state;
    static const char *const names[][3] = {
        { "ml-dsa-65-seed.pem", "ml-dsa-65-both.pem", DATA "ml-dsa-65-public.pem" },
        { "ml-dsa-87-seed.pem", "ml-dsa-87-both.pem", DATA "ml-dsa-87-public.pem" },
    };
    for (size_t i = 0; i < COUNT(names); i++) {
        aril_sign_alg alg = 0;
        uint8_t pk[ARIL_SIGN_PUBLIC_BYTES_MAX];
        size_t pk_len = 0;
        assert_status(aril_public_key_load(rt, names[i][2], &alg, pk, sizeof pk, &pk_len, NULL),
                      ARIL_OK);
        for (size_t form = 0; form < 2; form++) {
            static char text[ARILI_KEYFILE_PEM_BYTES_MAX];
            char from[512];
            (void)snprintf(from, sizeof from, "%s%s", DATA, names[i][form]);
            const size_t len = file_read(from, text, sizeof text);
            const char *path = temp_write("openssl.pem", 0600, span(text, len));
            aril_identity *id = NULL;
            assert_status(aril_identity_load(rt, path, &id, NULL), ARIL_OK);
            assert_int_equal(aril_identity_alg(id), alg);
            assert_int_equal(public_of(id).len, pk_len);
            assert_memory_equal(public_of(id).data, pk, pk_len);

            /* Saved, it is the seed-only form, whatever it was. */
            char saved[256];
            char want[256];
            const size_t saved_len = key_text(id, saved, sizeof saved);
            (void)snprintf(from, sizeof from, "%s%s", DATA, names[i][0]);
            assert_int_equal(saved_len, file_read(from, want, sizeof want));
            assert_memory_equal(saved, want, saved_len);
            aril_identity_free(id);
        }
    }
}

static void seed_and_expanded_key_must_agree(void **state)
{
    (void)state;
    static const char *const names[] = { DATA "ml-dsa-65-both.pem", DATA "ml-dsa-87-both.pem" };
    for (size_t i = 0; i < COUNT(names); i++) {
        static char text[ARILI_KEYFILE_PEM_BYTES_MAX];
        static uint8_t der[ARILI_KEYFILE_DER_BYTES_MAX];
        size_t der_len = 0;
        size_t len = file_read(names[i], text, sizeof text);
        assert_status(arili_pem_parse(span(text, len), "PRIVATE KEY", der, sizeof der, &der_len),
                      ARIL_OK);
        /* In the seed, in rho, K, tr, s1 and t0 of the expanded key, and its end. */
        const size_t at[] = { 30, 61, 66, 98, 130, 194, 2000, der_len - 1 };
        for (size_t k = 0; k < COUNT(at); k++) {
            der[at[k]] ^= 1;
            assert_status(
                arili_pem_write("PRIVATE KEY", span(der, der_len), text, sizeof text, &len),
                ARIL_OK);
            der[at[k]] ^= 1;
            expect_load_refused(temp_write("disagree.pem", 0600, span(text, len)),
                                ARIL_E_FORMAT_FIELD, "restore");
        }
    }
}

static void keys_of_another_kind_are_refused_with_a_remedy(void **state)
{
    (void)state;
    static const char *const names[] = { "ml-dsa-65-expanded.pem", "ml-dsa-87-expanded.pem",
                                         "ml-dsa-44-seed.pem",     "ed25519.pem",
                                         "ml-dsa-65-public.pem",   "ed25519-public.pem" };
    for (size_t i = 0; i < COUNT(names); i++) {
        static char text[ARILI_KEYFILE_PEM_BYTES_MAX];
        char from[512];
        (void)snprintf(from, sizeof from, "%s%s", DATA, names[i]);
        const size_t len = file_read(from, text, sizeof text);
        expect_load_refused(temp_write(names[i], 0600, span(text, len)), ARIL_E_FORMAT_KIND,
                            "with its seed");
    }
}

static void every_truncation_of_a_key_file_is_a_format_error(void **state)
{
    (void)state;
    char text[256];
    const size_t len = key_text(id65, text, sizeof text);
    for (size_t cut = 0; cut < len; cut++) {
        expect_load_refused(temp_write("cut.pem", 0600, span(text, cut)), ARIL_E_FORMAT_TRUNCATED,
                            "ends too early");
    }
}

static void no_flipped_bit_of_a_key_file_gives_the_same_key(void **state)
{
    (void)state;
    char text[256];
    const size_t len = key_text(id65, text, sizeof text);
    unsigned refused = 0;
    for (size_t at = 0; at < len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            text[at] = (char)(text[at] ^ (1 << bit));
            const char *path = temp_write("flipped.pem", 0600, span(text, len));
            text[at] = (char)(text[at] ^ (1 << bit));
            aril_identity *id = NULL;
            aril_error error = { .status = ARIL_OK };
            const aril_status st = aril_identity_load(rt, path, &id, &error);
            if (st != ARIL_OK) {
                assert_status_class(st, ARIL_E_FORMAT);
                assert_status(error.status, st);
                assert_null(id);
                refused++;
                continue;
            }
            assert_true(aril_identity_alg(id) == ARIL_ML_DSA_87 ||
                        memcmp(public_of(id).data, public_of(id65).data, public_of(id).len) != 0);
            aril_identity_free(id);
        }
    }
    /* All of the two boundary lines and at least half of what is between. */
    assert_true(refused > len * 8 / 2);
}

static void a_key_file_that_others_may_use_is_refused(void **state)
{
    (void)state;
    char text[256];
    const size_t len = key_text(id65, text, sizeof text);
    for (unsigned mode = 0; mode < 0100; mode++) {
        const char *path = temp_write("mode.pem", 0600 | mode, span(text, len));
        if (mode == 0) {
            aril_identity *id = NULL;
            assert_status(aril_identity_load(rt, path, &id, NULL), ARIL_OK);
            aril_identity_free(id);
            continue;
        }
        char shown[8];
        (void)snprintf(shown, sizeof shown, "%04o", 0600 | mode);
        expect_load_refused(path, ARIL_E_IO_PERMISSION, shown);
        expect_load_refused(path, ARIL_E_IO_PERMISSION, "chmod 600");
    }
    aril_identity *id = NULL;
    assert_status(aril_identity_load(rt, temp_write("mode.pem", 0400, span(text, len)), &id, NULL),
                  ARIL_OK);
    aril_identity_free(id);
}

static void a_key_file_of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); /* only root can give a file away */
    }
    char text[256];
    const size_t len = key_text(id65, text, sizeof text);
    const char *path = temp_write("owner.pem", 0600, span(text, len));
    assert_int_equal(chown(path, 65534, 65534), 0);
    expect_load_refused(path, ARIL_E_IO_PERMISSION, "chown");
}

static void only_a_regular_file_is_a_key_file(void **state)
{
    (void)state;
    char text[256];
    const size_t len = key_text(id65, text, sizeof text);
    const char *real = temp_write("real.pem", 0600, span(text, len));
    const char *path = temp_path("link.pem");
    assert_int_equal(symlink(real, path), 0);
    expect_load_refused(path, ARIL_E_IO, "symbolic link");

    path = temp_path("fifo.pem");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_load_refused(path, ARIL_E_IO, "regular file");

    path = temp_path("folder.pem");
    assert_int_equal(mkdir(path, 0700), 0);
    expect_load_refused(path, ARIL_E_IO, "regular file");

    expect_load_refused(temp_path("nothing.pem"), ARIL_E_NOT_FOUND, "check the path");
}

static void a_file_longer_than_any_key_is_refused(void **state)
{
    (void)state;
    static char text[ARILI_KEYFILE_PEM_BYTES_MAX + 1];
    memset(text, 'A', sizeof text);
    expect_load_refused(temp_write("long.pem", 0600, span(text, sizeof text)), ARIL_E_FORMAT_LENGTH,
                        "longer");
    expect_load_refused(temp_write("long.pem", 0600, span(text, sizeof text - 1)),
                        ARIL_E_FORMAT_TRUNCATED, "ends too early");
}

static void a_long_path_leaves_room_for_the_remedy(void **state)
{
    (void)state;
    char name[201];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    const char *path = temp_write(name, 0600, span("no key\n", 7));
    aril_identity *id = NULL;
    aril_error error = { .status = ARIL_OK };
    assert_status(aril_identity_load(rt, path, &id, &error), ARIL_E_FORMAT);
    assert_non_null(strstr(error.message, "backup"));
}

/* --- fork */

static int child_cannot_use_the_key(void *arg)
{
    const char *path = arg;
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len = 0;
    aril_error error = { .status = ARIL_OK };
    if (aril_identity_sign(id65, label, message, sig, sizeof sig, &len) != ARIL_E_FORKED) {
        return 1;
    }
    if (aril_identity_save(id65, path, &error) != ARIL_E_FORKED || error.status != ARIL_E_FORKED) {
        return 2;
    }
    aril_identity *fresh = id65;
    if (aril_identity_generate(rt, ARIL_ML_DSA_65, &fresh) == ARIL_OK || fresh != NULL) {
        return 3; /* there is no memory for secrets here */
    }
    return access(path, F_OK) == 0 ? 4 : 0;
}

static void a_forked_child_neither_signs_nor_saves_nor_makes_keys(void **state)
{
    (void)state;
    aril_runtime_info info;
    assert_status(aril_runtime_get_info(rt, &info), ARIL_OK);
    if (!info.wipes_on_fork) {
        skip();
    }
    char path[512];
    (void)snprintf(path, sizeof path, "%s", temp_path("child.pem"));
    assert_int_equal(child_run(child_cannot_use_the_key, path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_identity_signs_and_its_public_key_verifies),
        cmocka_unit_test(two_new_identities_differ),
        cmocka_unit_test(unknown_algorithms_are_out_of_range),
        cmocka_unit_test(required_pointers_are_checked),
        cmocka_unit_test(a_saved_identity_is_loaded_with_the_same_key),
        cmocka_unit_test(save_never_replaces_a_file_or_a_link),
        cmocka_unit_test(every_form_that_openssl_writes_is_read),
        cmocka_unit_test(seed_and_expanded_key_must_agree),
        cmocka_unit_test(keys_of_another_kind_are_refused_with_a_remedy),
        cmocka_unit_test(every_truncation_of_a_key_file_is_a_format_error),
        cmocka_unit_test(no_flipped_bit_of_a_key_file_gives_the_same_key),
        cmocka_unit_test(a_key_file_that_others_may_use_is_refused),
        cmocka_unit_test(a_key_file_of_another_user_is_refused),
        cmocka_unit_test(only_a_regular_file_is_a_key_file),
        cmocka_unit_test(a_file_longer_than_any_key_is_refused),
        cmocka_unit_test(a_long_path_leaves_room_for_the_remedy),
        cmocka_unit_test(a_forked_child_neither_signs_nor_saves_nor_makes_keys),
    };
    return cmocka_run_group_tests_name("identity", tests, identities_setup, identities_teardown);
}
