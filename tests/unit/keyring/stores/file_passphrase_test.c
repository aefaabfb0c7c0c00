/* SPDX-License-Identifier: Apache-2.0 */
/* What is special of passphrase:; the rest is in tests/contract/keystore_test.c. */
#include "base/bytes.h"
#include "check.h"
#include "crypto/runtime.h"
#include "faulty_crypto.h"
#include "fixture.h"
#include "keyring/stores/file.h"
#include "memory_find.h"
#include "provider.h"
#include "runtime.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILLER   0xa7u
#define FAST_KIB 64u

/* Where the fields of a blob are. */
#define MEMORY_AT     2u
#define ITERATIONS_AT 6u
#define SALT_AT       10u
#define CHECK_AT      26u
#define BODY_AT       (CHECK_AT + 32u + 24u)
#define DIGEST_AT     (CHECK_AT + 32u + 136u)
#define BLOB_BYTES    (DIGEST_AT + 32u)

static const struct arili_store_place place = { .slot = { 1 }, .binding = { 2 } };
static const struct arili_store_place other_place = { .slot = { 3 }, .binding = { 2 } };
static const uint8_t secret[ARILI_STORE_SECRET_BYTES] = { 5, 6, 7 };

struct person {
    const char *types;
    size_t len; /* 0: strlen(types) */
    aril_status answer;
    unsigned asked, asked_new;
};

static aril_status type_it(void *user, aril_secret_kind kind, const char *subject, uint8_t *ret,
                           size_t cap, size_t *ret_len)
{
    struct person *const p = user;
    p->asked += kind == ARIL_SECRET_PASSPHRASE;
    p->asked_new += kind == ARIL_SECRET_NEW_PASSPHRASE;
    assert_int_equal(cap, ARIL_SECRET_BYTES_MAX);
    assert_true(strlen(subject) > 0);
    const size_t len = p->len > 0 ? p->len : strlen(p->types);
    memcpy(ret, p->types, len < cap ? len : cap);
    *ret_len = len;
    return p->answer;
}

static aril_status open_with(aril_runtime *on, struct person *p, const char *path,
                             uint32_t argon2_ms, struct arili_store *ret, aril_error *error)
{
    const struct arili_store_options options = { .rt = on,
                                                 .uri = "passphrase:",
                                                 .rest = path,
                                                 .ask = p != NULL ? type_it : NULL,
                                                 .user = p,
                                                 .argon2_ms = argon2_ms };
    *ret = (struct arili_store){ &arili_store_passphrase, NULL };
    return arili_passphrase_open_with(&options, FAST_KIB, &ret->state, error);
}

static struct arili_store open_for(struct person *p)
{
    struct arili_store s;
    assert_status(open_with(rt, p, "", 1, &s, NULL), ARIL_OK);
    return s;
}

static void close_store(struct arili_store *s)
{
    s->ops->close(s->state);
}

struct blob {
    uint8_t bytes[ARILI_STORE_BLOB_BYTES_MAX];
    size_t len;
    aril_error error;
};

static aril_status seal_at(const struct arili_store *s, const struct arili_store_place *at,
                           struct blob *ret)
{
    ret->len = 0;
    ret->error = (aril_error){ .status = ARIL_OK };
    return s->ops->seal(s->state, at, secret, ret->bytes, sizeof ret->bytes, &ret->len,
                        &ret->error);
}

static aril_status unseal_at(const struct arili_store *s, const struct arili_store_place *at,
                             struct blob *blob)
{
    uint8_t out[ARILI_STORE_SECRET_BYTES];
    memset(out, FILLER, sizeof out);
    blob->error = (aril_error){ .status = ARIL_OK };
    const aril_status st =
        s->ops->unseal(s->state, at, (aril_bytes){ blob->bytes, blob->len }, out, &blob->error);
    if (st == ARIL_OK) {
        assert_memory_equal(out, secret, sizeof out);
    } else {
        assert_true(is_filled(out, sizeof out, FILLER));
        assert_status(blob->error.status, st);
    }
    return st;
}

/* Sealed by somebody who typed this. */
static void seal_typed(const char *typed, struct blob *ret)
{
    struct person p = { .types = typed };
    struct arili_store s = open_for(&p);
    assert_status(seal_at(&s, &place, ret), ARIL_OK);
    assert_int_equal(p.asked_new, 1);
    assert_int_equal(p.asked, 0);
    close_store(&s);
}

/* What a forger does after changing a blob: the digest has no key. */
static void fix_digest(struct blob *b)
{
    const aril_bytes parts[] = { ARILI_LITERAL("aril passphrase blob v1"),
                                 { place.slot, sizeof place.slot },
                                 { place.binding, sizeof place.binding },
                                 { b->bytes, DIGEST_AT } };
    assert_status(rt->crypto.ops->hash(rt->crypto.provider, ARILI_SHA256, parts, COUNT(parts),
                                       b->bytes + DIGEST_AT),
                  ARIL_OK);
}

/* --- Asking -------------------------------------------------------------------------------------
 */

static void a_new_passphrase_is_asked_for_once(void **state)
{
    struct person p = { .types = "word" };
    struct arili_store s = open_for(&p);
    struct blob a;
    struct blob b;
    (void)state;
    assert_int_equal(p.asked + p.asked_new, 0);
    assert_status(seal_at(&s, &place, &a), ARIL_OK);
    assert_status(seal_at(&s, &other_place, &b), ARIL_OK);
    assert_status(unseal_at(&s, &place, &a), ARIL_OK);
    assert_status(unseal_at(&s, &other_place, &b), ARIL_OK);
    assert_int_equal(p.asked_new, 1);
    assert_int_equal(p.asked, 0);
    assert_int_equal(a.len, BLOB_BYTES);
    close_store(&s);
}

static void sealing_after_unsealing_does_not_ask(void **state)
{
    struct person p = { .types = "word" };
    struct blob a;
    struct blob b;
    (void)state;
    seal_typed("word", &a);
    struct arili_store s = open_for(&p);
    assert_status(unseal_at(&s, &place, &a), ARIL_OK);
    assert_status(unseal_at(&s, &place, &a), ARIL_OK);
    assert_status(seal_at(&s, &other_place, &b), ARIL_OK);
    assert_int_equal(p.asked, 1);
    assert_int_equal(p.asked_new, 0);
    close_store(&s);
    s = open_for(&p);
    assert_status(unseal_at(&s, &other_place, &b), ARIL_OK);
    assert_int_equal(p.asked, 2);
    close_store(&s);
}

/* Two passphrases in one store: blobs of both open, each with its own. */
static void a_blob_of_another_passphrase_is_asked_for(void **state)
{
    struct person p = { .types = "one" };
    struct blob a;
    struct blob b;
    (void)state;
    seal_typed("one", &a);
    seal_typed("two", &b);
    struct arili_store s = open_for(&p);
    assert_status(unseal_at(&s, &place, &a), ARIL_OK);
    assert_status(unseal_at(&s, &place, &b), ARIL_E_KEYSTORE_SECRET);
    /* The one that was right is still there. */
    assert_status(unseal_at(&s, &place, &a), ARIL_OK);
    assert_int_equal(p.asked, 2);
    p.types = "two";
    assert_status(unseal_at(&s, &place, &b), ARIL_OK);
    assert_int_equal(p.asked, 3);
    close_store(&s);
}

static void a_wrong_passphrase_is_told_from_a_changed_blob(void **state)
{
    static const char *const wrong[] = { "wor", "words", "Word", "word ", "drow" };
    struct blob b;
    (void)state;
    seal_typed("word", &b);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct person p = { .types = wrong[i] };
        struct arili_store s = open_for(&p);
        assert_status(unseal_at(&s, &place, &b), ARIL_E_KEYSTORE_SECRET);
        assert_non_null(strstr(b.error.message, "wrong"));
        assert_null(strstr(b.error.message, wrong[i]));
        /* And is asked for again. */
        p.types = "word";
        assert_status(unseal_at(&s, &place, &b), ARIL_OK);
        assert_int_equal(p.asked, 2);
        close_store(&s);
    }
}

static void a_blob_that_was_damaged_is_noticed_before_anybody_is_asked(void **state)
{
    struct person p = { .types = "word" };
    struct arili_store s = open_for(&p);
    struct blob b;
    (void)state;
    seal_typed("word", &b);
    for (size_t i = 0; i < b.len; i++) {
        b.bytes[i] ^= 0x10;
        const aril_status of = aril_status_class(unseal_at(&s, &place, &b));
        assert_true(of == ARIL_E_AUTH || of == ARIL_E_FORMAT);
        b.bytes[i] ^= 0x10;
    }
    assert_status(unseal_at(&s, &other_place, &b), ARIL_E_AUTH);
    assert_int_equal(p.asked, 0);
    assert_status(unseal_at(&s, &place, &b), ARIL_OK);
    close_store(&s);
}

/* With its digest made right again, what the key covers still refuses every change. */
static void a_forged_blob_is_refused(void **state)
{
    struct person p = { .types = "word" };
    struct blob good;
    (void)state;
    seal_typed("word", &good);
    for (size_t i = SALT_AT; i < DIGEST_AT; i++) {
        struct arili_store s = open_for(&p);
        struct blob b = good;
        b.bytes[i] ^= 1;
        fix_digest(&b);
        /* Before the box a change gives another key: as good as a wrong passphrase. */
        assert_status(unseal_at(&s, &place, &b),
                      i < CHECK_AT + 32 ? ARIL_E_KEYSTORE_SECRET : ARIL_E_AUTH);
        close_store(&s);
    }
    /* The right digest for another place: the tag refuses. */
    struct arili_store s = open_for(&p);
    struct blob b = good;
    fix_digest(&b);
    assert_memory_equal(b.bytes, good.bytes, good.len);
    close_store(&s);
}

static void a_blob_may_not_ask_for_more_than_a_host_has(void **state)
{
    static const struct {
        uint32_t memory_kib, iterations;
    } cases[] = {
        { 0, 3 },
        { 7, 3 },
        { (1u << 20) + 1, 1 },
        { UINT32_MAX, 1 },
        { 64, 0 },
        { 64, 1u << 21 },
        { 64, UINT32_MAX },
        { 1u << 20, 65 },
        { 65536u, 1025 },
        { UINT32_MAX, UINT32_MAX },
    };
    struct person p = { .types = "word" };
    struct arili_store s = open_for(&p);
    struct blob good;
    (void)state;
    seal_typed("word", &good);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct blob b = good;
        arili_store32(b.bytes + MEMORY_AT, cases[i].memory_kib);
        arili_store32(b.bytes + ITERATIONS_AT, cases[i].iterations);
        fix_digest(&b);
        assert_status(unseal_at(&s, &place, &b), ARIL_E_FORMAT_FIELD);
    }
    assert_int_equal(p.asked, 0);
    close_store(&s);
}

static void an_empty_passphrase_is_refused(void **state)
{
    struct person p = { .types = "" };
    struct arili_store s = open_for(&p);
    struct blob b;
    (void)state;
    assert_status(seal_at(&s, &place, &b), ARIL_E_KEYSTORE_SECRET);
    assert_non_null(strstr(b.error.message, "empty"));
    seal_typed("word", &b);
    assert_status(unseal_at(&s, &place, &b), ARIL_E_KEYSTORE_SECRET);
    close_store(&s);
}

static void the_longest_passphrase_works_to_its_last_byte(void **state)
{
    char typed[ARIL_SECRET_BYTES_MAX + 2];
    struct person p = { .types = typed, .len = ARIL_SECRET_BYTES_MAX };
    struct arili_store s = open_for(&p);
    struct blob b;
    (void)state;
    memset(typed, 'x', sizeof typed);
    typed[10] = '\0'; /* bytes, not text */
    assert_status(seal_at(&s, &place, &b), ARIL_OK);
    close_store(&s);
    s = open_for(&p);
    typed[ARIL_SECRET_BYTES_MAX - 1] = 'y';
    assert_status(unseal_at(&s, &place, &b), ARIL_E_KEYSTORE_SECRET);
    typed[ARIL_SECRET_BYTES_MAX - 1] = 'x';
    p.len = ARIL_SECRET_BYTES_MAX + 1;
    assert_status(unseal_at(&s, &place, &b), ARIL_E_KEYSTORE_SECRET);
    p.len = ARIL_SECRET_BYTES_MAX;
    assert_status(unseal_at(&s, &place, &b), ARIL_OK);
    close_store(&s);
}

static void who_does_not_answer_is_passed_on(void **state)
{
    struct person p = { .types = "word", .answer = ARIL_E_KEYSTORE_SECRET };
    struct arili_store s = open_for(&p);
    struct blob b;
    (void)state;
    assert_status(seal_at(&s, &place, &b), ARIL_E_KEYSTORE_SECRET);
    assert_non_null(strstr(b.error.message, "terminal"));
    close_store(&s);
}

static void where_nobody_can_be_asked_it_does_not_open(void **state)
{
    struct arili_store s;
    aril_error error = { .status = ARIL_OK };
    (void)state;
    assert_status(open_with(rt, NULL, "", 1, &s, &error), ARIL_E_KEYSTORE_SECRET);
    assert_non_null(strstr(error.message, "passphrase:PATH"));
    assert_null(s.state);
}

/* --- Files
 * ---------------------------------------------------------------------------------------- */

static void the_end_of_a_line_is_no_part_of_a_passphrase(void **state)
{
    static const char *const same[] = { "two words", "two words\n", "two words\r\n" };
    static const char *const others[] = { "two words\n\n", "two words ", "two words\r",
                                          " two words" };
    struct arili_store s;
    struct blob b;
    (void)state;
    seal_typed("two words", &b);
    for (size_t i = 0; i < COUNT(same) + COUNT(others); i++) {
        const bool right = i < COUNT(same);
        const char *const text = right ? same[i] : others[i - COUNT(same)];
        const char *const path = temp_write("secret", 0600, text_bytes(text));
        assert_status(open_with(rt, NULL, path, 1, &s, NULL), ARIL_OK);
        assert_status(unseal_at(&s, &place, &b), right ? ARIL_OK : ARIL_E_KEYSTORE_SECRET);
        close_store(&s);
    }
}

static void files_that_hold_no_passphrase_are_refused(void **state)
{
    static uint8_t big[ARIL_SECRET_BYTES_MAX + 3];
    struct arili_store s;
    aril_error error = { .status = ARIL_OK };
    (void)state;
    memset(big, 'x', sizeof big);
    const char *path = temp_write("secret", 0600, TEXT(""));
    assert_status(open_with(rt, NULL, path, 1, &s, &error), ARIL_E_KEYSTORE_SECRET);
    path = temp_write("secret", 0600, TEXT("\n"));
    assert_status(open_with(rt, NULL, path, 1, &s, &error), ARIL_E_KEYSTORE_SECRET);
    path = temp_write("secret", 0600, (aril_bytes){ big, ARIL_SECRET_BYTES_MAX + 1 });
    assert_status(open_with(rt, NULL, path, 1, &s, &error), ARIL_E_LIMIT);
    path = temp_write("secret", 0600, (aril_bytes){ big, sizeof big });
    assert_status(open_with(rt, NULL, path, 1, &s, &error), ARIL_E_LIMIT);
    big[ARIL_SECRET_BYTES_MAX] = '\n';
    path = temp_write("secret", 0600, (aril_bytes){ big, ARIL_SECRET_BYTES_MAX + 1 });
    assert_status(open_with(rt, NULL, path, 1, &s, &error), ARIL_OK);
    close_store(&s);
    path = temp_write("secret", 0644, TEXT("word"));
    assert_status(open_with(rt, NULL, path, 1, &s, &error), ARIL_E_IO_PERMISSION);
    temp_clear(path);
    assert_status(open_with(rt, NULL, path, 1, &s, &error), ARIL_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "0600"));
}

static void a_file_does_not_ask(void **state)
{
    struct person p = { .types = "other" };
    aril_keystore_info info;
    struct arili_store s;
    struct blob b;
    (void)state;
    const char *const path = temp_write("secret", 0600, TEXT("word"));
    assert_status(open_with(rt, &p, path, 1, &s, NULL), ARIL_OK);
    assert_status(seal_at(&s, &place, &b), ARIL_OK);
    assert_status(unseal_at(&s, &place, &b), ARIL_OK);
    assert_int_equal(p.asked + p.asked_new, 0);
    assert_status(s.ops->info(s.state, &info, NULL), ARIL_OK);
    assert_int_equal(info.capabilities, 0);
    assert_non_null(strstr(info.description, "secret"));
    close_store(&s);
}

/* --- Argon2id
 * ------------------------------------------------------------------------------------- */

static uint32_t iterations_for(uint32_t argon2_ms)
{
    struct person p = { .types = "word" };
    struct arili_store s;
    struct blob b;
    assert_status(open_with(rt, &p, "", argon2_ms, &s, NULL), ARIL_OK);
    assert_status(seal_at(&s, &place, &b), ARIL_OK);
    assert_int_equal(arili_load32(b.bytes + MEMORY_AT), FAST_KIB);
    close_store(&s);
    s = open_for(&p);
    assert_status(unseal_at(&s, &place, &b), ARIL_OK);
    close_store(&s);
    return arili_load32(b.bytes + ITERATIONS_AT);
}

static void iterations_fill_the_time_and_are_three_at_least(void **state)
{
    (void)state;
    assert_int_equal(iterations_for(0), 3);
    /* Three passes over 64 KiB take far less than a tenth of this, also on a slow host. */
    assert_true(iterations_for(400) > 30);
}

/* The parameters that users get: 64 MiB. */
static void the_default_takes_64_mib(void **state)
{
    struct person p = { .types = "word" };
    struct arili_store s = { &arili_store_passphrase, NULL };
    struct blob b;
    const struct arili_store_options options = {
        .rt = rt, .uri = "passphrase:", .rest = "", .ask = type_it, .user = &p, .argon2_ms = 1
    };
    (void)state;
    assert_status(s.ops->open(&options, &s.state, NULL), ARIL_OK);
    assert_status(seal_at(&s, &place, &b), ARIL_OK);
    assert_int_equal(arili_load32(b.bytes + MEMORY_AT), 65536);
    assert_int_equal(arili_load32(b.bytes + ITERATIONS_AT), 3);
    close_store(&s);
}

static void salts_and_nonces_differ(void **state)
{
    struct blob a;
    struct blob b;
    (void)state;
    seal_typed("word", &a);
    seal_typed("word", &b);
    assert_memory_not_equal(a.bytes + SALT_AT, b.bytes + SALT_AT, 16);
    assert_memory_not_equal(a.bytes + CHECK_AT, b.bytes + CHECK_AT, 32);
    assert_memory_not_equal(a.bytes + BODY_AT, b.bytes + BODY_AT, 96);
}

/* The key of the box, from the fields alone and with the table of primitives: the layout that
 * docs/keystore.md has. */
static void a_blob_is_what_the_documents_say(void **state)
{
    const struct arili_crypto *const c = &rt->crypto;
    struct blob b;
    uint8_t k[32];
    uint8_t check[32];
    (void)state;
    seal_typed("word", &b);
    assert_int_equal(b.len, BLOB_BYTES);
    assert_int_equal(b.bytes[0], 1);
    assert_int_equal(b.bytes[1], 2);
    assert_status(c->ops->argon2id(c->provider, ARILI_LITERAL("word"),
                                   (aril_bytes){ b.bytes + SALT_AT, 16 },
                                   arili_load32(b.bytes + MEMORY_AT),
                                   arili_load32(b.bytes + ITERATIONS_AT), 1, k, sizeof k),
                  ARIL_OK);
    assert_status(c->ops->hkdf_expand(c->provider, ARILI_SHA256, (aril_bytes){ k, sizeof k },
                                      ARILI_LITERAL("aril passphrase check v1"), check,
                                      sizeof check),
                  ARIL_OK);
    assert_memory_equal(check, b.bytes + CHECK_AT, sizeof check);
    uint8_t digest[32];
    memcpy(digest, b.bytes + DIGEST_AT, sizeof digest);
    fix_digest(&b);
    assert_memory_equal(digest, b.bytes + DIGEST_AT, sizeof digest);
}

/* --- Memory and faults
 * ---------------------------------------------------------------------------- */

/* 16 characters, kept XOR 0x55 in this program. */
static const uint8_t masked[16] = { 0x3d, 0x23, 0x2e, 0x67, 0x31, 0x3b, 0x26, 0x32,
                                    0x2d, 0x3f, 0x2b, 0x3a, 0x64, 0x22, 0x2f, 0x38 };

static aril_status type_masked(void *user, aril_secret_kind kind, const char *subject, uint8_t *ret,
                               size_t cap, size_t *ret_len)
{
    (void)kind, (void)subject, (void)cap;
    for (size_t i = 0; i < sizeof masked; i++) {
        ret[i] = masked[i] ^ 0x55;
    }
    *(size_t *)user = memory_find(masked, 0x55);
    *ret_len = sizeof masked;
    return ARIL_OK;
}

static void the_passphrase_is_not_kept(void **state)
{
    size_t found = 0;
    struct arili_store s = { &arili_store_passphrase, NULL };
    struct blob b;
    const struct arili_store_options options = {
        .rt = rt, .uri = "passphrase:", .rest = "", .ask = type_masked, .user = &found
    };
    (void)state;
    assert_status(arili_passphrase_open_with(&options, FAST_KIB, &s.state, NULL), ARIL_OK);
    assert_status(seal_at(&s, &place, &b), ARIL_OK);
    if (found == 0) {
        close_store(&s);
        skip(); /* a sanitizer: the memory cannot be searched */
    }
    assert_int_equal(memory_find(masked, 0x55), 0);
    close_store(&s);
}

static void every_fault_of_a_primitive_is_passed_on(void **state)
{
    struct person p = { .types = "word" };
    aril_runtime *own = NULL;
    struct arili_store s;
    struct blob b;
    struct blob again;
    (void)state;
    assert_int_equal(provider_setup(NULL), 0);
    struct faulty_crypto *const faulty = faulty_crypto_new(provider());
    assert_status(arili_runtime_new_over(faulty_crypto_table(faulty), NULL, &own), ARIL_OK);
    for (unsigned n = 1;; n++) {
        assert_status(open_with(own, &p, "", 0, &s, NULL), ARIL_OK);
        memset(b.bytes, FILLER, sizeof b.bytes);
        faulty_crypto_arm(faulty, n, ARIL_E_CRYPTO);
        const aril_status st = seal_at(&s, &place, &b);
        faulty_crypto_disarm(faulty);
        const bool fired = faulty_crypto_fired(faulty);
        assert_status(st, fired ? ARIL_E_CRYPTO : ARIL_OK);
        assert_true(!fired || is_filled(b.bytes, sizeof b.bytes, FILLER));
        /* Nothing half-done is kept: it asks again, and works. */
        assert_status(seal_at(&s, &place, &again), ARIL_OK);
        close_store(&s);
        if (!fired) {
            assert_true(n > 8);
            break;
        }
    }
    for (unsigned n = 1;; n++) {
        assert_status(open_with(own, &p, "", 0, &s, NULL), ARIL_OK);
        faulty_crypto_arm(faulty, n, ARIL_E_CRYPTO);
        const aril_status st = unseal_at(&s, &place, &b);
        faulty_crypto_disarm(faulty);
        const bool fired = faulty_crypto_fired(faulty);
        assert_status(st, fired ? ARIL_E_CRYPTO : ARIL_OK);
        assert_status(unseal_at(&s, &place, &b), ARIL_OK);
        close_store(&s);
        if (!fired) {
            assert_true(n > 6);
            break;
        }
    }
    aril_runtime_free(own);
    faulty_crypto_free(faulty);
    assert_int_equal(provider_teardown(NULL), 0);
}

static int setup(void **state)
{
    return runtime_setup(state) != 0 || temp_folder_make(state) != 0;
}

static int teardown(void **state)
{
    return temp_folder_remove(state) != 0 || runtime_teardown(state) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_passphrase_is_asked_for_once),
        cmocka_unit_test(sealing_after_unsealing_does_not_ask),
        cmocka_unit_test(a_blob_of_another_passphrase_is_asked_for),
        cmocka_unit_test(a_wrong_passphrase_is_told_from_a_changed_blob),
        cmocka_unit_test(a_blob_that_was_damaged_is_noticed_before_anybody_is_asked),
        cmocka_unit_test(a_forged_blob_is_refused),
        cmocka_unit_test(a_blob_may_not_ask_for_more_than_a_host_has),
        cmocka_unit_test(an_empty_passphrase_is_refused),
        cmocka_unit_test(the_longest_passphrase_works_to_its_last_byte),
        cmocka_unit_test(who_does_not_answer_is_passed_on),
        cmocka_unit_test(where_nobody_can_be_asked_it_does_not_open),
        cmocka_unit_test(the_end_of_a_line_is_no_part_of_a_passphrase),
        cmocka_unit_test(files_that_hold_no_passphrase_are_refused),
        cmocka_unit_test(a_file_does_not_ask),
        cmocka_unit_test(iterations_fill_the_time_and_are_three_at_least),
        cmocka_unit_test(the_default_takes_64_mib),
        cmocka_unit_test(salts_and_nonces_differ),
        cmocka_unit_test(a_blob_is_what_the_documents_say),
        cmocka_unit_test(the_passphrase_is_not_kept),
        cmocka_unit_test(every_fault_of_a_primitive_is_passed_on),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
