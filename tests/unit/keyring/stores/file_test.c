/* SPDX-License-Identifier: Apache-2.0 */
/* What is special of file: and credential:; the rest is in tests/contract/keystore_test.c. */
#include "keyring/stores/file.h"
#include "check.h"
#include "child.h"
#include "crypto/runtime.h"
#include "faulty_crypto.h"
#include "fixture.h"
#include "provider.h"
#include "runtime.h"
#include "team.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILLER 0xa7u
#define SLOT_A "000102030405060708090a0b0c0d0e0f"
#define SLOT_B "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
#define KEY_A  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define KEY_B  "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
#define HEAD   "aril key file 1\n"
#define END    "end\n"

static char key_path[512];
static char lock_path[520];

static const struct arili_store_place place_a = {
    .slot = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }, .binding = { 1 }
};
static const struct arili_store_place place_c = { .slot = { 3 }, .binding = { 1 } };
static const uint8_t secret[ARILI_STORE_SECRET_BYTES] = { 5, 6, 7 };

static aril_status open_as(const struct arili_store_ops *ops, const char *path, bool create,
                           struct arili_store *ret, aril_error *error)
{
    const struct arili_store_options options = {
        .rt = rt, .uri = "uri", .rest = path, .create = create
    };
    *ret = (struct arili_store){ ops, NULL };
    return ops->open(&options, &ret->state, error);
}

static void close_store(struct arili_store *s)
{
    s->ops->close(s->state);
}

static struct arili_store open_file(void)
{
    struct arili_store s;
    assert_status(open_as(&arili_store_file, key_path, true, &s, NULL), ARIL_OK);
    return s;
}

struct blob {
    uint8_t bytes[ARILI_STORE_BLOB_BYTES_MAX];
    size_t len;
};

static aril_status seal(const struct arili_store *s, const struct arili_store_place *place,
                        struct blob *ret)
{
    return s->ops->seal(s->state, place, secret, ret->bytes, sizeof ret->bytes, &ret->len, NULL);
}

static aril_status unseal(const struct arili_store *s, const struct arili_store_place *place,
                          const struct blob *blob, aril_error *error)
{
    uint8_t out[ARILI_STORE_SECRET_BYTES];
    memset(out, FILLER, sizeof out);
    const aril_status st =
        s->ops->unseal(s->state, place, (aril_bytes){ blob->bytes, blob->len }, out, error);
    if (st == ARIL_OK) {
        assert_memory_equal(out, secret, sizeof out);
    } else {
        assert_true(is_filled(out, sizeof out, FILLER));
    }
    return st;
}

static void put_text(const char *text, unsigned mode)
{
    (void)temp_write("root.key", mode, text_bytes(text));
}

static size_t get_text(char *ret, size_t cap)
{
    const size_t len = file_read(key_path, ret, cap - 1);
    ret[len] = '\0';
    return len;
}

static void assert_open_fails(const struct arili_store_ops *ops, aril_status want, const char *says)
{
    struct arili_store s;
    aril_error error = { .status = ARIL_OK };
    assert_status(open_as(ops, key_path, false, &s, &error), want);
    assert_null(s.state);
    assert_status(error.status, want);
    if (strstr(error.message, says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, says);
    }
    assert_non_null(strstr(error.message, "root.key"));
}

/* --- The text of a key file ------------------------------------------------------------------- */

static void a_key_file_is_made_only_when_asked_for(void **state)
{
    char text[64];
    struct arili_store s;
    struct stat info;
    (void)state;
    assert_open_fails(&arili_store_file, ARIL_E_NOT_FOUND, "check the path");
    assert_int_equal(access(key_path, F_OK), -1);
    s = open_file();
    (void)get_text(text, sizeof text);
    assert_string_equal(text, HEAD END);
    assert_int_equal(stat(key_path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    close_store(&s);
    /* Making it again changes nothing. */
    s = open_file();
    close_store(&s);
}

static void each_slot_has_a_line(void **state)
{
    char text[600];
    struct blob a;
    struct blob c;
    struct arili_store s = open_file();
    (void)state;
    assert_status(seal(&s, &place_a, &a), ARIL_OK);
    assert_int_equal(get_text(text, sizeof text), 16 + 98 + 4);
    assert_memory_equal(text, HEAD SLOT_A " ", 16 + 33);
    assert_status(seal(&s, &place_c, &c), ARIL_OK);
    assert_int_equal(get_text(text, sizeof text), 16 + 2 * 98 + 4);
    assert_memory_equal(text + 16 + 98, "03000000000000000000000000000000 ", 33);
    assert_memory_not_equal(text + 16 + 33, text + 16 + 98 + 33, 64);
    /* Sealing a slot anew keeps its key. */
    char before[600];
    memcpy(before, text, sizeof text);
    assert_status(seal(&s, &place_a, &a), ARIL_OK);
    (void)get_text(text, sizeof text);
    assert_string_equal(text, before);
    assert_status(s.ops->destroy(s.state, place_a.slot, NULL), ARIL_OK);
    assert_int_equal(get_text(text, sizeof text), 16 + 98 + 4);
    assert_memory_equal(text + 16, "03000000000000000000000000000000 ", 33);
    assert_status(unseal(&s, &place_c, &c, NULL), ARIL_OK);
    assert_status(unseal(&s, &place_a, &a, NULL), ARIL_E_KEYSTORE_WRONG);
    close_store(&s);
}

/* The key is the one that stands there: another file with it opens the blob. */
static void a_copy_of_the_key_file_opens_what_was_destroyed(void **state)
{
    char text[600];
    struct blob a;
    struct arili_store s = open_file();
    (void)state;
    assert_status(seal(&s, &place_a, &a), ARIL_OK);
    (void)get_text(text, sizeof text);
    assert_status(s.ops->destroy(s.state, place_a.slot, NULL), ARIL_OK);
    assert_status(unseal(&s, &place_a, &a, NULL), ARIL_E_KEYSTORE_WRONG);
    put_text(text, 0600);
    assert_status(unseal(&s, &place_a, &a, NULL), ARIL_OK);
    close_store(&s);
}

static void files_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *text;
        aril_status st;
    } cases[] = {
        { "", ARIL_E_FORMAT_KIND },
        { "x", ARIL_E_FORMAT_KIND },
        { "aril key file 2\nend\n", ARIL_E_FORMAT_KIND },
        { "ARIL key file 1\nend\n", ARIL_E_FORMAT_KIND },
        { "aril key file 1\r\nend\n", ARIL_E_FORMAT_KIND },
        { "aril", ARIL_E_FORMAT_TRUNCATED },
        { HEAD, ARIL_E_FORMAT_TRUNCATED },
        { HEAD "end", ARIL_E_FORMAT_TRUNCATED },
        { HEAD SLOT_A " " KEY_A "\n", ARIL_E_FORMAT_TRUNCATED },
        { HEAD SLOT_A " " KEY_A "\nend\n\n", ARIL_E_FORMAT_TRUNCATED },
        { HEAD "x" END, ARIL_E_FORMAT_FIELD },
        { HEAD SLOT_A "  " KEY_A "\n" END, ARIL_E_FORMAT_FIELD },
        { HEAD SLOT_A "-" KEY_A "\n" END, ARIL_E_FORMAT_FIELD },
        { HEAD SLOT_A " " KEY_A "\r" END, ARIL_E_FORMAT_FIELD },
        { HEAD "F"
               "00102030405060708090a0b0c0d0e0f " KEY_A "\n" END,
          ARIL_E_FORMAT_FIELD },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        put_text(cases[i].text, 0600);
        assert_open_fails(&arili_store_file, cases[i].st, "");
    }
}

/* Each digit of slot and key, with each of the 256 bytes: only lower-case hex passes. */
static void only_lower_case_hex_is_a_digit(void **state)
{
    char text[] = HEAD SLOT_A " " KEY_A "\n" END;
    (void)state;
    for (size_t at = 16; at < 16 + 97; at++) {
        const char kept = text[at];
        for (unsigned c = 0; c < 256; c++) {
            size_t count = 0;
            text[at] = (char)c;
            const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
            const aril_status st =
                arili_keys_check((aril_bytes){ (const uint8_t *)text, sizeof text - 1 }, &count);
            assert_status(st, (at == 16 + 32 ? c == ' ' : digit) ? ARIL_OK : ARIL_E_FORMAT_FIELD);
        }
        text[at] = kept;
    }
}

static void every_truncation_of_a_key_file_is_noticed(void **state)
{
    static const char text[] = HEAD SLOT_A " " KEY_A "\n" SLOT_B " " KEY_B "\n" END;
    size_t count = 99;
    (void)state;
    for (size_t len = 0; len < sizeof text - 1; len++) {
        assert_status_class(arili_keys_check((aril_bytes){ (const uint8_t *)text, len }, &count),
                            ARIL_E_FORMAT);
        assert_int_equal(count, 99);
    }
    assert_status(arili_keys_check((aril_bytes){ (const uint8_t *)text, sizeof text - 1 }, &count),
                  ARIL_OK);
    assert_int_equal(count, 2);
}

static void keys_are_found_added_and_removed(void **state)
{
    static const char text[] = HEAD SLOT_A " " KEY_A "\n" SLOT_B " " KEY_B "\n" END;
    const aril_bytes t = { (const uint8_t *)text, sizeof text - 1 };
    uint8_t out[400];
    uint8_t key[ARILI_AEAD_KEY_BYTES] = { 0 };
    uint8_t slot_b[ARILI_STORE_SLOT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof slot_b; i++) {
        slot_b[i] = (uint8_t)(0xf0 + i);
    }
    assert_true(arili_keys_find(t, place_a.slot, key));
    assert_int_equal(key[0], 0x00);
    assert_int_equal(key[31], 0xff);
    assert_true(arili_keys_find(t, slot_b, key));
    assert_int_equal(key[0], 0xff);
    assert_int_equal(key[5], 0xaa);
    assert_false(arili_keys_find(t, place_c.slot, key));
    assert_int_equal(arili_keys_remove(t, slot_b, out), sizeof text - 1 - 98);
    assert_memory_equal(out, HEAD SLOT_A " " KEY_A "\n" END, sizeof text - 1 - 98);
    assert_int_equal(
        arili_keys_add((aril_bytes){ out, sizeof text - 1 - 98 }, slot_b, key, out + 0),
        sizeof text - 1);
    assert_memory_equal(out, text, sizeof text - 1);
    /* From nothing. */
    assert_int_equal(arili_keys_add((aril_bytes){ NULL, 0 }, slot_b, key, out), 16 + 98 + 4);
    assert_memory_equal(out, HEAD SLOT_B " " KEY_B "\n" END, 16 + 98 + 4);
}

static void a_full_key_file_takes_no_more_keys(void **state)
{
    uint8_t *const text = calloc(1, ARILI_KEYS_BYTES_MAX + 200);
    struct blob blob = { .len = 0 };
    uint8_t slot[ARILI_STORE_SLOT_BYTES] = { 0xee };
    uint8_t key[ARILI_AEAD_KEY_BYTES] = { 1 };
    size_t len = 0;
    (void)state;
    assert_non_null(text);
    for (unsigned i = 0; i < ARILI_KEYS_MAX; i++) {
        slot[1] = (uint8_t)(i >> 8);
        slot[2] = (uint8_t)i;
        len = arili_keys_add((aril_bytes){ text, len }, slot, key, text);
    }
    assert_int_equal(len, ARILI_KEYS_BYTES_MAX);
    (void)temp_write("root.key", 0600, (aril_bytes){ text, len });
    struct arili_store s = open_file();
    assert_status(seal(&s, &place_a, &blob), ARIL_E_LIMIT);
    assert_status(s.ops->destroy(s.state, slot, NULL), ARIL_OK);
    assert_status(seal(&s, &place_a, &blob), ARIL_OK);
    assert_status(unseal(&s, &place_a, &blob, NULL), ARIL_OK);
    close_store(&s);
    len = arili_keys_add((aril_bytes){ text, len }, place_a.slot, key, text);
    (void)temp_write("root.key", 0600, (aril_bytes){ text, len });
    assert_open_fails(&arili_store_file, ARIL_E_FORMAT_LENGTH, "longer than any key file");
    free(text);
}

/* --- The file ----------------------------------------------------------------------------------
 */

static void a_key_file_that_others_can_read_is_refused(void **state)
{
    (void)state;
    put_text(HEAD END, 0640);
    assert_open_fails(&arili_store_file, ARIL_E_IO_PERMISSION, "chmod 600");
    put_text(HEAD SLOT_A " " KEY_A "\n" END, 0604);
    assert_open_fails(&arili_store_credential, ARIL_E_IO_PERMISSION, "0604");
}

static void a_key_file_that_went_away_is_said(void **state)
{
    struct blob blob;
    aril_error error = { .status = ARIL_OK };
    struct arili_store s = open_file();
    (void)state;
    assert_status(seal(&s, &place_a, &blob), ARIL_OK);
    temp_clear(key_path);
    assert_status(unseal(&s, &place_a, &blob, &error), ARIL_E_NOT_FOUND);
    assert_status(seal(&s, &place_a, &blob), ARIL_E_NOT_FOUND);
    /* Also by destroy: the keys may be on a disk that is not mounted. */
    assert_status(s.ops->destroy(s.state, place_a.slot, &error), ARIL_E_NOT_FOUND);
    assert_int_equal(access(key_path, F_OK), -1);
    close_store(&s);
}

static void a_folder_that_is_not_there_is_said(void **state)
{
    struct arili_store s;
    aril_error error = { .status = ARIL_OK };
    char path[600];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/none/root.key", temp_path("no-folder"));
    assert_status(open_as(&arili_store_file, path, true, &s, &error), ARIL_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "folder"));
}

static void paths_that_are_too_long_are_refused(void **state)
{
    static char path[ARILI_FILE_PATH_BYTES + 1];
    struct arili_store s;
    (void)state;
    memset(path, 'x', sizeof path - 1);
    assert_status(open_as(&arili_store_file, path, true, &s, NULL), ARIL_E_USAGE_RANGE);
    assert_status(open_as(&arili_store_credential, path, false, &s, NULL), ARIL_E_USAGE_RANGE);
    /* Too long for the lock's suffix. */
    path[ARILI_FILE_PATH_BYTES - 3] = '\0';
    assert_status(open_as(&arili_store_file, path, true, &s, NULL), ARIL_E_USAGE_RANGE);
}

static int seal_in_read_only_folder(void *arg)
{
    const struct arili_store *const s = arg;
    struct blob blob = { .len = 0 };
    aril_error error = { .status = ARIL_OK };
    if (setuid(65534) != 0) {
        return 1;
    }
    const aril_status st =
        s->ops->seal(s->state, &place_c, secret, blob.bytes, sizeof blob.bytes, &blob.len, &error);
    return st == ARIL_E_IO_READ_ONLY && strstr(error.message, "root.key.lock") != NULL ? 0 : 2;
}

static void a_lock_that_cannot_be_opened_is_said(void **state)
{
    struct arili_store s = open_file();
    struct blob blob;
    (void)state;
    if (geteuid() != 0) {
        close_store(&s);
        skip();
    }
    assert_status(seal(&s, &place_a, &blob), ARIL_OK);
    assert_int_equal(child_run(seal_in_read_only_folder, &s), 0);
    close_store(&s);
}

static void a_symbolic_link_is_no_lock(void **state)
{
    struct blob blob;
    struct arili_store s = open_file();
    (void)state;
    temp_clear(lock_path);
    assert_int_equal(symlink("elsewhere", lock_path), 0);
    assert_status(seal(&s, &place_a, &blob), ARIL_E_IO);
    close_store(&s);
}

/* --- Writers at the same time -------------------------------------------------------------------
 */

#define WRITERS 4u
#define SLOTS   12u

static void set_slot(struct arili_store_place *place, unsigned writer, unsigned n)
{
    *place = (struct arili_store_place){ .slot = { (uint8_t)(writer + 1), (uint8_t)n } };
}

static struct blob blobs[WRITERS][SLOTS];

/* Adds its slots, and takes every third away again. */
static void write_slots(void *arg, unsigned number)
{
    struct arili_store s;
    (void)arg;
    if (!team_demand(open_as(&arili_store_file, key_path, true, &s, NULL) == ARIL_OK, "open")) {
        return;
    }
    for (unsigned n = 0; n < SLOTS; n++) {
        struct arili_store_place place;
        set_slot(&place, number, n);
        (void)team_demand(seal(&s, &place, &blobs[number][n]) == ARIL_OK, "seal");
        if (n % 3 == 2) {
            (void)team_demand(s.ops->destroy(s.state, place.slot, NULL) == ARIL_OK, "destroy");
        }
    }
    close_store(&s);
}

static void assert_no_key_is_lost(void)
{
    struct arili_store s = open_file();
    for (unsigned w = 0; w < WRITERS; w++) {
        for (unsigned n = 0; n < SLOTS; n++) {
            struct arili_store_place place;
            set_slot(&place, w, n);
            assert_status(unseal(&s, &place, &blobs[w][n], NULL),
                          n % 3 == 2 ? ARIL_E_KEYSTORE_WRONG : ARIL_OK);
        }
    }
    close_store(&s);
}

static void threads_that_write_lose_no_key(void **state)
{
    const struct team_role role = { "writes", write_slots, WRITERS };
    (void)state;
    team_run(&role, 1, NULL);
    assert_no_key_is_lost();
}

static int write_in_process(unsigned number)
{
    struct arili_store s = { &arili_store_file, NULL };
    char name[32];
    aril_runtime *own = NULL;
    if (aril_runtime_new(NULL, &own) != ARIL_OK) {
        return 1;
    }
    const struct arili_store_options options = { .rt = own, .uri = "uri", .rest = key_path };
    if (s.ops->open(&options, &s.state, NULL) != ARIL_OK) {
        return 2;
    }
    for (unsigned n = 0; n < SLOTS; n++) {
        struct arili_store_place place;
        struct blob b = { .len = 0 };
        set_slot(&place, number, n);
        if (seal(&s, &place, &b) != ARIL_OK ||
            (n % 3 == 2 && s.ops->destroy(s.state, place.slot, NULL) != ARIL_OK)) {
            return 3;
        }
        (void)snprintf(name, sizeof name, "blob-%u-%u", number, n);
        (void)temp_write(name, 0600, (aril_bytes){ b.bytes, b.len });
    }
    close_store(&s);
    aril_runtime_free(own);
    return 0;
}

static void processes_that_write_lose_no_key(void **state)
{
    pid_t pids[WRITERS];
    char name[32];
    (void)state;
    struct arili_store s = open_file();
    close_store(&s);
    for (unsigned w = 0; w < WRITERS; w++) {
        pids[w] = fork();
        assert_true(pids[w] >= 0);
        if (pids[w] == 0) {
            _exit(write_in_process(w));
        }
    }
    for (unsigned w = 0; w < WRITERS; w++) {
        int status = -1;
        assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
        assert_int_equal(status, 0);
    }
    for (unsigned w = 0; w < WRITERS; w++) {
        for (unsigned n = 0; n < SLOTS; n++) {
            (void)snprintf(name, sizeof name, "blob-%u-%u", w, n);
            blobs[w][n].len =
                file_read(temp_path(name), blobs[w][n].bytes, sizeof blobs[w][n].bytes);
        }
    }
    assert_no_key_is_lost();
}

/* --- Credentials ---------------------------------------------------------------------------------
 */

static void a_credential_is_never_written(void **state)
{
    static const char text[] = HEAD SLOT_B " " KEY_B "\n" END;
    char now[400];
    struct blob blob;
    struct arili_store s;
    (void)state;
    put_text(text, 0400);
    assert_status(open_as(&arili_store_credential, key_path, true, &s, NULL), ARIL_OK);
    assert_null(s.ops->destroy);
    assert_status(seal(&s, &place_a, &blob), ARIL_OK);
    assert_status(unseal(&s, &place_a, &blob, NULL), ARIL_OK);
    (void)get_text(now, sizeof now);
    assert_string_equal(now, text);
    assert_int_equal(access(lock_path, F_OK), -1);
    close_store(&s);
}

static void a_credential_opens_what_its_key_file_sealed(void **state)
{
    struct blob a;
    struct blob c;
    struct arili_store s = open_file();
    (void)state;
    assert_status(seal(&s, &place_a, &a), ARIL_OK);
    assert_status(seal(&s, &place_c, &c), ARIL_OK);
    close_store(&s);
    assert_status(open_as(&arili_store_credential, key_path, false, &s, NULL), ARIL_OK);
    assert_status(unseal(&s, &place_a, &a, NULL), ARIL_OK);
    assert_status(unseal(&s, &place_c, &c, NULL), ARIL_OK);
    close_store(&s);
}

static void a_credential_with_another_key_is_refused(void **state)
{
    struct blob blob;
    struct arili_store s;
    aril_error error = { .status = ARIL_OK };
    (void)state;
    put_text(HEAD SLOT_B " " KEY_B "\n" END, 0400);
    assert_status(open_as(&arili_store_credential, key_path, false, &s, NULL), ARIL_OK);
    assert_status(seal(&s, &place_a, &blob), ARIL_OK);
    put_text(HEAD SLOT_B " " KEY_A "\n" END, 0400);
    assert_status(unseal(&s, &place_a, &blob, &error), ARIL_E_AUTH);
    assert_non_null(strstr(error.message, "another"));
    close_store(&s);
}

static void a_credential_without_a_key_is_refused(void **state)
{
    struct arili_store s;
    (void)state;
    put_text(HEAD END, 0400);
    assert_open_fails(&arili_store_credential, ARIL_E_FORMAT_FIELD, "without a key");
    temp_clear(key_path);
    assert_open_fails(&arili_store_credential, ARIL_E_NOT_FOUND, "docs/keystore.md");
    assert_status(open_as(&arili_store_credential, key_path, true, &s, NULL), ARIL_E_NOT_FOUND);
}

/* systemd gives a service an access list on root's file, which shows as a right of the group. */
static void roots_credential_may_be_shared_with_a_group(void **state)
{
    struct arili_store s;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    put_text(HEAD SLOT_B " " KEY_B "\n" END, 0440);
    assert_status(open_as(&arili_store_credential, key_path, false, &s, NULL), ARIL_OK);
    close_store(&s);
    put_text(HEAD SLOT_B " " KEY_B "\n" END, 0460);
    assert_open_fails(&arili_store_credential, ARIL_E_IO_PERMISSION, "0460");
    put_text(HEAD SLOT_B " " KEY_B "\n" END, 0440);
    assert_int_equal(chown(key_path, 65534, 65534), 0);
    assert_open_fails(&arili_store_credential, ARIL_E_IO_PERMISSION, "chown");
}

/* --- Faults
 * --------------------------------------------------------------------------------------- */

/* Each primitive fails once: the status, untouched outputs, and the key file as it was. */
static void every_fault_of_a_primitive_leaves_the_key_file_alone(void **state)
{
    struct faulty_crypto *faulty;
    aril_runtime *own = NULL;
    struct arili_store s = { &arili_store_file, NULL };
    (void)state;
    assert_int_equal(provider_setup(NULL), 0);
    faulty = faulty_crypto_new(provider());
    assert_status(arili_runtime_new_over(faulty_crypto_table(faulty), NULL, &own), ARIL_OK);
    const struct arili_store_options options = {
        .rt = own, .uri = "uri", .rest = key_path, .create = true
    };
    assert_status(s.ops->open(&options, &s.state, NULL), ARIL_OK);
    struct blob blob = { .len = 0 };
    unsigned n = 1;
    for (;; n++) {
        memset(blob.bytes, FILLER, sizeof blob.bytes);
        faulty_crypto_arm(faulty, n, ARIL_E_CRYPTO);
        const aril_status st = seal(&s, &place_a, &blob);
        faulty_crypto_disarm(faulty);
        if (!faulty_crypto_fired(faulty)) {
            assert_status(st, ARIL_OK);
            break;
        }
        char text[64];
        assert_status(st, ARIL_E_CRYPTO);
        assert_int_equal(blob.len, 0);
        assert_true(is_filled(blob.bytes, sizeof blob.bytes, FILLER));
        (void)get_text(text, sizeof text);
        assert_string_equal(text, HEAD END);
    }
    assert_true(n > 4);
    for (n = 1;; n++) {
        faulty_crypto_arm(faulty, n, ARIL_E_CRYPTO);
        const aril_status st = unseal(&s, &place_a, &blob, NULL);
        faulty_crypto_disarm(faulty);
        if (!faulty_crypto_fired(faulty)) {
            assert_status(st, ARIL_OK);
            break;
        }
        assert_status(st, ARIL_E_CRYPTO);
    }
    assert_true(n > 3);
    close_store(&s);
    aril_runtime_free(own);
    faulty_crypto_free(faulty);
    assert_int_equal(provider_teardown(NULL), 0);
}

static int setup(void **state)
{
    if (runtime_setup(state) != 0 || temp_folder_make(state) != 0) {
        return -1;
    }
    (void)snprintf(key_path, sizeof key_path, "%s", temp_path("root.key"));
    (void)snprintf(lock_path, sizeof lock_path, "%s.lock", key_path);
    return 0;
}

static int teardown(void **state)
{
    return temp_folder_remove(state) != 0 || runtime_teardown(state) != 0;
}

static int clear(void **state)
{
    (void)state;
    temp_clear(key_path);
    temp_clear(lock_path);
    return 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_file_is_made_only_when_asked_for),
        TEST(each_slot_has_a_line),
        TEST(a_copy_of_the_key_file_opens_what_was_destroyed),
        TEST(files_that_are_none_are_refused),
        TEST(only_lower_case_hex_is_a_digit),
        TEST(every_truncation_of_a_key_file_is_noticed),
        TEST(keys_are_found_added_and_removed),
        TEST(a_full_key_file_takes_no_more_keys),
        TEST(a_key_file_that_others_can_read_is_refused),
        TEST(a_key_file_that_went_away_is_said),
        TEST(a_folder_that_is_not_there_is_said),
        TEST(paths_that_are_too_long_are_refused),
        TEST(a_lock_that_cannot_be_opened_is_said),
        TEST(a_symbolic_link_is_no_lock),
        TEST(threads_that_write_lose_no_key),
        TEST(processes_that_write_lose_no_key),
        TEST(a_credential_is_never_written),
        TEST(a_credential_opens_what_its_key_file_sealed),
        TEST(a_credential_with_another_key_is_refused),
        TEST(a_credential_without_a_key_is_refused),
        TEST(roots_credential_may_be_shared_with_a_group),
        TEST(every_fault_of_a_primitive_leaves_the_key_file_alone),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
