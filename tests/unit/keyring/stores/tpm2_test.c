/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "keyring/stores/tpm2_format.h"
#include "tpm2_fixture.h"
#include "valgrind.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILL       0xee
#define SHARE_TYPE 0x02042004u /* AUTHREAD, AUTHWRITE, NO_DA, WRITEDEFINE, WRITEALL below */
#define WRITEALL   0x00001000u

static void destroy(void *store, unsigned number)
{
    const struct arili_store_place place = tpm2_place(number);
    aril_error error = { .message = "" };
    if (arili_store_tpm2.destroy(store, place.slot, &error) != ARIL_OK) {
        fail_msg("%s", error.message);
    }
}

static size_t indices(void)
{
    return swtpm_handles(&tpm, SWTPM_NV, NULL, 0);
}

/* --- Sealing */

static void a_secret_opens_under_its_slot_and_binding_alone(void **state)
{
    (void)state;
    void *s = tpm2_store();
    const struct tpm2_blob blob = tpm2_seal(s, 1);
    (void)tpm2_seal(s, 2);
    tpm2_expect_opens(s, &blob, 1);
    struct arili_store_place place = tpm2_place(1);
    for (size_t i = 0; i < sizeof place.slot; i++) {
        place.slot[i] ^= 1;
        (void)tpm2_expect_refused(s, &blob, &place, ARIL_E_AUTH);
        place.slot[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof place.binding; i++) {
        place.binding[i] ^= 1;
        (void)tpm2_expect_refused(s, &blob, &place, ARIL_E_AUTH);
        place.binding[i] ^= 1;
    }
    const struct arili_store_place other = tpm2_place(2);
    (void)tpm2_expect_refused(s, &blob, &other, ARIL_E_AUTH);
    tpm2_expect_opens(s, &blob, 1);
}

static bool contains(const uint8_t *in, size_t len, const uint8_t *what, size_t n)
{
    for (size_t i = 0; i + n <= len; i++) {
        if (memcmp(in + i, what, n) == 0) {
            return true;
        }
    }
    return false;
}

static void a_blob_shows_nothing_of_the_secret_and_the_binding(void **state)
{
    (void)state;
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    const struct arili_store_place place = tpm2_place(1);
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    tpm2_secret(1, secret);
    assert_in_range(blob.len, 200, 600);
    assert_true(contains(blob.bytes, blob.len, place.slot, sizeof place.slot));
    for (size_t i = 0; i + 8 <= sizeof secret; i++) {
        assert_false(contains(blob.bytes, blob.len, secret + i, 8));
    }
    assert_false(contains(blob.bytes, blob.len, place.binding, 8));
}

static void every_changed_byte_of_a_blob_is_noticed(void **state)
{
    (void)state;
    void *plain = tpm2_store();
    void *bound = tpm2_open(&tpm, "?pcrs=sha256:7,16");
    const struct tpm2_blob blobs[] = { tpm2_seal(plain, 1), tpm2_seal(bound, 2) };
    for (unsigned n = 0; n < 2; n++) {
        const struct arili_store_place place = tpm2_place(n + 1);
        struct tpm2_blob b = blobs[n];
        /* The private part comes last, is one ciphertext with a MAC, and takes the TPM each time.
         */
        const size_t last = b.len - 100;
        const size_t stride = under_valgrind() ? 31 : n == 0 ? 1 : 7;
        for (size_t i = 0; i < b.len; i += i < last ? 1 : stride) {
            b.bytes[i] ^= (uint8_t)(1u << i % 8);
            uint8_t got[ARILI_STORE_SECRET_BYTES] = { 0 };
            aril_error error = { .message = "" };
            const aril_status st =
                arili_store_tpm2.unseal(plain, &place, (aril_bytes){ b.bytes, b.len }, got, &error);
            if (st != ARIL_E_AUTH && aril_status_class(st) != ARIL_E_FORMAT) {
                fail_msg("blob %u, byte %zu: %s: %s", n, i, aril_status_name(st), error.message);
            }
            assert_int_equal(got[0], 0);
            b.bytes[i] = blobs[n].bytes[i];
        }
        tpm2_expect_opens(plain, &b, n + 1);
    }
    tpm2_close(bound);
}

static void every_truncated_blob_is_a_format_error(void **state)
{
    (void)state;
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    const struct arili_store_place place = tpm2_place(1);
    struct tpm2_blob cut = blob;
    for (cut.len = 0; cut.len < blob.len; cut.len++) {
        (void)tpm2_expect_refused(tpm2_store(), &cut, &place, ARIL_E_FORMAT_TRUNCATED);
    }
    cut.len = blob.len + 1;
    (void)tpm2_expect_refused(tpm2_store(), &cut, &place, ARIL_E_FORMAT_LENGTH);
}

static void a_too_small_buffer_leaves_everything_alone(void **state)
{
    (void)state;
    const size_t len = tpm2_seal(tpm2_store(), 1).len;
    const struct arili_store_place place = tpm2_place(2);
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    tpm2_secret(2, secret);
    const size_t caps[] = { 0, 1, 64, len - 1 };
    for (size_t i = 0; i < COUNT(caps); i++) {
        uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
        memset(blob, FILL, sizeof blob);
        size_t got = 9999;
        assert_status(
            arili_store_tpm2.seal(tpm2_store(), &place, secret, blob, caps[i], &got, NULL),
            ARIL_E_USAGE_TOO_SMALL);
        assert_int_equal(got, 9999);
        assert_int_equal(blob[0], FILL);
        assert_int_equal(indices(), 1);
    }
    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
    size_t got = 0;
    assert_status(arili_store_tpm2.seal(tpm2_store(), &place, secret, blob, len, &got, NULL),
                  ARIL_OK);
    assert_int_equal(got, len);
}

static void a_slot_that_is_sealed_again_keeps_its_index_and_its_older_blob(void **state)
{
    (void)state;
    void *s = tpm2_store();
    const struct tpm2_blob older = tpm2_seal(s, 1);
    const struct tpm2_blob newer = tpm2_seal(s, 1);
    assert_int_equal(indices(), 1);
    tpm2_expect_opens(s, &older, 1);
    tpm2_expect_opens(s, &newer, 1);
}

static void destroying_a_slot_ends_every_copy_of_its_blob(void **state)
{
    (void)state;
    void *s = tpm2_store();
    const struct tpm2_blob blob = tpm2_seal(s, 1);
    const struct tpm2_blob other = tpm2_seal(s, 2);
    const struct arili_store_place place = tpm2_place(1);
    destroy(s, 1);
    assert_int_equal(indices(), 1);
    assert_non_null(strstr(tpm2_expect_refused(s, &blob, &place, ARIL_E_KEYSTORE_WRONG),
                           "the root was destroyed"));
    destroy(s, 1); /* one that is not there */
    tpm2_expect_opens(s, &other, 2);
    const struct tpm2_blob anew = tpm2_seal(s, 1);
    tpm2_expect_opens(s, &anew, 1);
    (void)tpm2_expect_refused(s, &blob, &place, ARIL_E_AUTH);
}

/* --- PCRs */

static void other_pcrs_refuse_and_the_same_ones_open_again(void **state)
{
    (void)state;
    void *s = tpm2_open(&tpm, "?pcrs=sha256:7,16");
    const struct tpm2_blob blob = tpm2_seal(s, 1);
    const struct arili_store_place place = tpm2_place(1);
    tpm2_expect_opens(s, &blob, 1);
    swtpm_pcr_extend(&tpm, 23); /* not one of them */
    tpm2_expect_opens(s, &blob, 1);
    swtpm_pcr_extend(&tpm, 16);
    const char *message = tpm2_expect_refused(s, &blob, &place, ARIL_E_KEYSTORE_POLICY);
    assert_non_null(strstr(message, "sha256:7,16"));
    tpm2_expect_clean(&tpm);
    swtpm_pcr_reset(&tpm, 16);
    tpm2_expect_opens(s, &blob, 1);
    swtpm_pcr_extend(&tpm, 7);
    (void)tpm2_expect_refused(s, &blob, &place, ARIL_E_KEYSTORE_POLICY);
    tpm2_close(s);
}

static void the_policy_is_that_of_the_blob_and_not_of_the_uri(void **state)
{
    (void)state;
    void *bound = tpm2_open(&tpm, "?pcrs=sha256:16");
    const struct tpm2_blob with = tpm2_seal(bound, 1);
    const struct tpm2_blob without = tpm2_seal(tpm2_store(), 2);
    tpm2_expect_opens(tpm2_store(), &with, 1);
    tpm2_expect_opens(bound, &without, 2);
    swtpm_pcr_extend(&tpm, 16);
    const struct arili_store_place place = tpm2_place(1);
    (void)tpm2_expect_refused(tpm2_store(), &with, &place, ARIL_E_KEYSTORE_POLICY);
    tpm2_expect_opens(bound, &without, 2);
    /* Sealed again, the same slot opens under the PCRs as they are now. */
    const struct tpm2_blob again = tpm2_seal(bound, 1);
    tpm2_expect_opens(bound, &again, 1);
    tpm2_close(bound);
}

/* The attributes of the sealed object, at their place in its TPM2B_PUBLIC. The TPM has them under
 * its MAC: what they say is what it does. */
static uint32_t object_attributes(const struct tpm2_blob *blob, size_t *ret_policy_len)
{
    struct arili_tpm2_blob b;
    assert_status(arili_tpm2_blob_parse((aril_bytes){ blob->bytes, blob->len }, &b), ARIL_OK);
    assert_in_range(b.public_area.len, 12, 200);
    const uint8_t *p = b.public_area.data;
    *ret_policy_len = (size_t)p[10] << 8 | p[11];
    return (uint32_t)p[6] << 24 | (uint32_t)p[7] << 16 | (uint32_t)p[8] << 8 | p[9];
}

static void a_policy_is_the_only_way_to_what_was_sealed_under_it(void **state)
{
    (void)state;
    void *bound = tpm2_open(&tpm, "?pcrs=sha256:16");
    const struct tpm2_blob with = tpm2_seal(bound, 1);
    const struct tpm2_blob without = tpm2_seal(tpm2_store(), 2);
    const uint32_t fixed = 0x412; /* fixedTPM, fixedParent, noDA */
    size_t len = 0;
    assert_int_equal(object_attributes(&with, &len), fixed | 0x80); /* adminWithPolicy */
    assert_int_equal(len, 32);
    assert_int_equal(object_attributes(&without, &len), fixed | 0x40); /* userWithAuth */
    assert_int_equal(len, 0);
    tpm2_close(bound);
}

static void all_pcrs_of_each_bank_can_be_chosen(void **state)
{
    (void)state;
    static const char *const QUERIES[] = {
        "?pcrs=sha256:0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
        "?pcrs=sha384:0,1,2,3,4,5,6,16,23", "?pcrs=sha512:16"
    };
    for (unsigned i = 0; i < COUNT(QUERIES); i++) {
        void *s = tpm2_open(&tpm, QUERIES[i]);
        const struct tpm2_blob blob = tpm2_seal(s, i);
        tpm2_expect_opens(s, &blob, i);
        tpm2_close(s);
    }
}

static void a_bank_that_the_tpm_does_not_keep_is_refused(void **state)
{
    (void)state;
    void *s = tpm2_open(&tpm, "?pcrs=sha384:16");
    const struct tpm2_blob blob = tpm2_seal(s, 1);
    swtpm_pcr_keep_bank(&tpm, ARILI_TPM2_SHA256);
    swtpm_stop(&tpm);
    swtpm_restart(&tpm, SWTPM_STARTED);
    const struct arili_store_place place = tpm2_place(1);
    (void)tpm2_expect_refused(s, &blob, &place, ARIL_E_KEYSTORE_POLICY);
    struct tpm2_blob other = { .len = 0 };
    aril_error error = { .message = "" };
    assert_status(tpm2_try_seal(s, 2, &other, &error), ARIL_E_UNAVAILABLE);
    assert_non_null(strstr(error.message, "this bank"));
    tpm2_close(s);
    char uri[300];
    (void)snprintf(uri, sizeof uri, "%s?pcrs=sha384:16", tpm.uri);
    s = NULL;
    assert_status(tpm2_try_open(uri, &s, &error), ARIL_E_UNAVAILABLE);
    assert_null(s);
}

/* --- Where it lies in the TPM */

static void define_at(uint32_t handle)
{
    assert_int_equal(swtpm_nv_define(&tpm, handle, 0x00040004, (aril_bytes){ NULL, 0 }, 128), 0);
}

static uint32_t slot_handle(unsigned number, uint8_t tag[TPM2_TAG_BYTES])
{
    const struct arili_store_place place = tpm2_place(number);
    tpm2_tag(TPM2_SLOT_LABEL, place.slot, tag);
    return arili_tpm2_nv_handle(tag);
}

static void indices_of_others_are_stepped_over_and_left_alone(void **state)
{
    (void)state;
    uint8_t tag[TPM2_TAG_BYTES];
    const uint32_t first = slot_handle(1, tag);
    define_at(first);
    define_at(first + 1);
    void *s = tpm2_store();
    const struct tpm2_blob blob = tpm2_seal(s, 1);
    tpm2_expect_opens(s, &blob, 1);
    uint32_t handles[3];
    assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, handles, 3), 3);
    assert_int_equal(handles[2], first + 2);
    /* A gap before it does not hide it. */
    swtpm_nv_undefine(&tpm, first);
    tpm2_expect_opens(s, &blob, 1);
    destroy(s, 1);
    assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, handles, 3), 1);
    assert_int_equal(handles[0], first + 1);
}

static void without_a_free_handle_nothing_is_sealed(void **state)
{
    (void)state;
    uint8_t tag[TPM2_TAG_BYTES];
    const uint32_t first = slot_handle(1, tag);
    for (uint32_t i = 0; i < ARILI_TPM2_NV_WINDOW; i++) {
        define_at(first + i);
    }
    struct tpm2_blob blob = { .len = 0 };
    aril_error error = { .message = "" };
    assert_status(tpm2_try_seal(tpm2_store(), 1, &blob, &error), ARIL_E_LIMIT);
    assert_int_equal(blob.len, 0);
    assert_int_equal(indices(), ARILI_TPM2_NV_WINDOW);
}

static void a_seal_that_was_cut_off_after_the_index_can_be_done_again(void **state)
{
    (void)state;
    uint8_t tag[TPM2_TAG_BYTES];
    const uint32_t handle = slot_handle(1, tag);
    const aril_bytes policy = { tag, sizeof tag };
    assert_int_equal(swtpm_nv_define(&tpm, handle, SHARE_TYPE | WRITEALL, policy, 128), 0);
    assert_int_equal(swtpm_nv_define(&tpm, handle + 1, 0x00040004, (aril_bytes){ NULL, 0 }, 8), 0);
    void *s = tpm2_store();
    const struct tpm2_blob blob = tpm2_seal(s, 1);
    assert_int_equal(indices(), 2);
    tpm2_expect_opens(s, &blob, 1);
    destroy(s, 1);
    assert_int_equal(indices(), 1);
    /* Or it is destroyed as it is. */
    assert_int_equal(swtpm_nv_define(&tpm, handle, SHARE_TYPE | WRITEALL, policy, 128), 0);
    const struct arili_store_place place = tpm2_place(1);
    (void)tpm2_expect_refused(s, &blob, &place, ARIL_E_KEYSTORE_WRONG);
    destroy(s, 1);
    assert_int_equal(indices(), 1);
}

static void the_share_in_the_tpm_cannot_be_written_again(void **state)
{
    (void)state;
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    uint32_t handle = 0;
    assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, &handle, 1), 1);
    /* TPM2_NV_Write with the index's own, empty password. */
    uint8_t body[4 + 4 + 13 + 2 + 128 + 2] = { 0 };
    const uint8_t head[] = { 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 128 };
    for (unsigned i = 0; i < 4; i++) {
        body[i] = body[4 + i] = (uint8_t)(handle >> (24 - 8 * i));
    }
    memcpy(body + 8, head, sizeof head);
    assert_int_equal(
        swtpm_command(&tpm, 0x8002, 0x137, (aril_bytes){ body, sizeof body }, NULL, 0, NULL),
        0x148); /* TPM_RC_NV_LOCKED */
    tpm2_expect_opens(tpm2_store(), &blob, 1);
}

static void a_full_tpm_says_so_and_stays_as_it_was(void **state)
{
    (void)state;
    void *s = tpm2_store();
    uint32_t handle = 0x01c10000;
    for (uint16_t bytes = 2048; bytes >= 64;) {
        if (swtpm_nv_define(&tpm, handle, 0x00040004, (aril_bytes){ NULL, 0 }, bytes) == 0) {
            handle++;
        } else {
            bytes /= 2;
        }
    }
    const size_t before = indices();
    struct tpm2_blob blob = { .len = 0 };
    aril_error error = { .message = "" };
    assert_status(tpm2_try_seal(s, 1, &blob, &error), ARIL_E_LIMIT);
    assert_non_null(strstr(error.message, "is full"));
    assert_int_equal(blob.len, 0);
    assert_int_equal(indices(), before);
    swtpm_nv_undefine(&tpm, 0x01c10000);
    blob = tpm2_seal(s, 1);
    tpm2_expect_opens(s, &blob, 1);
}

/* --- Sharing */

static void two_states_work_on_one_tpm(void **state)
{
    (void)state;
    void *other = tpm2_open(&tpm, "");
    const struct tpm2_blob one = tpm2_seal(tpm2_store(), 1);
    const struct tpm2_blob two = tpm2_seal(other, 2);
    tpm2_expect_opens(other, &one, 1);
    tpm2_expect_opens(tpm2_store(), &two, 2);
    destroy(other, 1);
    const struct arili_store_place place = tpm2_place(1);
    (void)tpm2_expect_refused(tpm2_store(), &one, &place, ARIL_E_KEYSTORE_WRONG);
    tpm2_close(other);
}

struct user {
    void *store;
    struct tpm2_blob blob;
    unsigned number, failures;
};

static void *use(void *arg)
{
    struct user *u = arg;
    const struct arili_store_place place = tpm2_place(u->number);
    uint8_t want[ARILI_STORE_SECRET_BYTES];
    tpm2_secret(u->number, want);
    for (unsigned i = 0; i < 10; i++) {
        uint8_t got[ARILI_STORE_SECRET_BYTES];
        const aril_status st = arili_store_tpm2.unseal(
            u->store, &place, (aril_bytes){ u->blob.bytes, u->blob.len }, got, NULL);
        u->failures += st != ARIL_OK || memcmp(got, want, sizeof want) != 0;
    }
    return NULL;
}

static void two_users_at_once_wait_for_room_in_the_tpm(void **state)
{
    (void)state;
    struct user users[2];
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) {
        users[i] = (struct user){ .store = tpm2_open(&tpm, ""), .number = i };
        users[i].blob = tpm2_seal(users[i].store, i);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use, &users[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(users[i].failures, 0);
        tpm2_close(users[i].store);
    }
}

static void many_calls_in_a_row_leave_nothing_in_the_tpm(void **state)
{
    (void)state;
    for (unsigned i = 0; i < (under_valgrind() ? 5 : 50); i++) {
        const struct tpm2_blob blob = tpm2_seal(tpm2_store(), i);
        tpm2_expect_opens(tpm2_store(), &blob, i);
        destroy(tpm2_store(), i);
    }
    assert_int_equal(indices(), 0);
}

static void it_says_what_it_is(void **state)
{
    (void)state;
    aril_keystore_info info;
    memset(&info, FILL, sizeof info);
    assert_status(arili_store_tpm2.info(tpm2_store(), &info, NULL), ARIL_OK);
    assert_int_equal(info.protection, ARIL_PROTECTION_TPM);
    assert_int_equal(info.capabilities, ARIL_KEYSTORE_COUNTER | ARIL_KEYSTORE_DESTROY);
    assert_string_equal(info.backend, "tpm2");
    assert_int_equal(strncmp(info.description, "TPM 2.0 of IBM, SW TPM, firmware ", 33), 0);
    assert_non_null(strstr(info.description, " (software)"));
}

/* --- The bus */

/* Removes all but the digits of the bytes that swtpm logged. */
static size_t squeeze(char *text)
{
    size_t n = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if ((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'F')) {
            text[n++] = *p;
        }
    }
    text[n] = '\0';
    return n;
}

static bool crossed(const char *log, const uint8_t *what, size_t len)
{
    char hex[2 * 16 + 1] = "";
    for (size_t i = 0; i < len; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02X", what[i]);
    }
    return strstr(log, hex) != NULL;
}

static void nothing_secret_crosses_the_way_to_the_tpm(void **state)
{
    (void)state;
    void *s = tpm2_open(&tpm, "?pcrs=sha256:16");
    swtpm_stop(&tpm);
    swtpm_restart(&tpm, SWTPM_LOGGED);
    const struct tpm2_blob blob = tpm2_seal(s, 1);
    tpm2_expect_opens(s, &blob, 1);
    /* The share in the TPM, read with the empty password: in clear, but not in that log. */
    swtpm_stop(&tpm);
    static char log[1u << 18];
    FILE *file = fopen(tpm.log, "r");
    assert_non_null(file);
    const size_t len = fread(log, 1, sizeof log - 1, file);
    (void)fclose(file);
    assert_in_range(len, 1000, sizeof log - 2);
    log[len] = '\0';
    (void)squeeze(log);

    const struct arili_store_place place = tpm2_place(1);
    uint8_t tag[TPM2_TAG_BYTES], secret[ARILI_STORE_SECRET_BYTES], share[128];
    (void)slot_handle(1, tag);
    assert_true(crossed(log, tag, 16)); /* public: the search works */
    tpm2_secret(1, secret);
    for (size_t i = 0; i + 8 <= sizeof secret; i++) {
        assert_false(crossed(log, secret + i, 8));
    }
    assert_false(crossed(log, place.binding, 8));

    swtpm_restart(&tpm, SWTPM_STARTED);
    uint32_t handle = 0;
    assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, &handle, 1), 1);
    uint8_t body[4 + 4 + 13 + 4] = { 0 }, answer[256];
    const uint8_t head[] = { 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 128, 0, 0 };
    for (unsigned i = 0; i < 4; i++) {
        body[i] = body[4 + i] = (uint8_t)(handle >> (24 - 8 * i));
    }
    memcpy(body + 8, head, sizeof head);
    size_t got = 0;
    assert_int_equal(swtpm_command(&tpm, 0x8002, 0x14e, (aril_bytes){ body, sizeof body }, answer,
                                   sizeof answer, &got),
                     0);
    memcpy(share, answer + 6, sizeof share);
    for (size_t i = 0; i + 8 <= sizeof share; i++) {
        assert_false(crossed(log, share + i, 8));
    }
    /* Neither does what is sealed: the secret under that share. */
    for (size_t i = 0; i < sizeof secret; i++) {
        share[i] ^= secret[i];
    }
    for (size_t i = 0; i + 8 <= sizeof secret; i++) {
        assert_false(crossed(log, share + i, 8));
    }
    tpm2_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tpm2_setup, tpm2_teardown)

int main(void)
{
    if (tpm2_missing() != NULL) {
        (void)printf("skipped: %s\n", tpm2_missing());
        return 77;
    }
    const struct CMUnitTest tests[] = {
        TEST(a_secret_opens_under_its_slot_and_binding_alone),
        TEST(a_blob_shows_nothing_of_the_secret_and_the_binding),
        TEST(every_changed_byte_of_a_blob_is_noticed),
        TEST(every_truncated_blob_is_a_format_error),
        TEST(a_too_small_buffer_leaves_everything_alone),
        TEST(a_slot_that_is_sealed_again_keeps_its_index_and_its_older_blob),
        TEST(destroying_a_slot_ends_every_copy_of_its_blob),
        TEST(other_pcrs_refuse_and_the_same_ones_open_again),
        TEST(the_policy_is_that_of_the_blob_and_not_of_the_uri),
        TEST(a_policy_is_the_only_way_to_what_was_sealed_under_it),
        TEST(all_pcrs_of_each_bank_can_be_chosen),
        TEST(a_bank_that_the_tpm_does_not_keep_is_refused),
        TEST(indices_of_others_are_stepped_over_and_left_alone),
        TEST(without_a_free_handle_nothing_is_sealed),
        TEST(a_seal_that_was_cut_off_after_the_index_can_be_done_again),
        TEST(the_share_in_the_tpm_cannot_be_written_again),
        TEST(a_full_tpm_says_so_and_stays_as_it_was),
        TEST(two_states_work_on_one_tpm),
        TEST(two_users_at_once_wait_for_room_in_the_tpm),
        TEST(many_calls_in_a_row_leave_nothing_in_the_tpm),
        TEST(it_says_what_it_is),
        TEST(nothing_secret_crosses_the_way_to_the_tpm),
    };
    return cmocka_run_group_tests(tests, tpm2_group_setup, tpm2_group_teardown);
}
