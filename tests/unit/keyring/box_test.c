/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

#define PLAIN  20u
#define BOX    (PLAIN + ARIL_BOX_OVERHEAD_BYTES)
#define FILLER 0xa7

static struct world w;
static struct keyring_home h;
static uint8_t plain[PLAIN], box[BOX];
static const aril_bytes context = { (const uint8_t *)"setting: api token", 18 };

static aril_status open_as(aril_bytes tenant, aril_bytes ctx, const uint8_t *bytes, size_t len)
{
    uint8_t out[BOX + 16];
    size_t out_len = 4711;
    memset(out, FILLER, sizeof out);
    h.error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_keyring_open_box(h.kr, tenant, ctx, (aril_bytes){ bytes, len }, out,
                                                 sizeof out, &out_len, &h.error);
    if (st == ARIL_OK) {
        assert_int_equal(out_len, PLAIN);
        assert_memory_equal(out, plain, PLAIN);
        assert_true(is_filled(out + PLAIN, sizeof out - PLAIN, FILLER));
    } else {
        size_t wiped = 0; /* unchanged, or zero as far as the plaintext would have gone */
        while (wiped < sizeof out && out[wiped] == 0) {
            wiped++;
        }
        assert_true(wiped <= len && is_filled(out + wiped, sizeof out - wiped, FILLER));
        assert_int_equal(out_len, 4711);
    }
    return st;
}

static aril_status open_it(const uint8_t *bytes, size_t len)
{
    return open_as(TEXT("alice"), context, bytes, len);
}

static void seal_it(void)
{
    size_t len = 0;
    assert_status(aril_keyring_seal(h.kr, TEXT("alice"), context, (aril_bytes){ plain, PLAIN }, box,
                                    sizeof box, &len, &h.error),
                  ARIL_OK);
    assert_int_equal(len, BOX);
}

static void make(aril_profile profile)
{
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, profile, NULL);
    home_tenant(&h, "alice");
    home_tenant(&h, "bob");
    fill_pattern(plain, sizeof plain, 42);
    seal_it();
}

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    make(ARIL_PROFILE_HYBRID);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

/* --- What it is ---------------------------------------------------------------------------- */

static void a_box_opens_and_has_the_form_of_the_document(void **state)
{
    static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                             ARIL_PROFILE_STRICT };
    static const uint8_t start[8] = { 0xa1, 2, 3 };
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        struct key_copy key;
        home_done(&h);
        make(profiles[i]);
        assert_status(open_it(box, BOX), ARIL_OK);
        assert_memory_equal(box, start, sizeof start);
        keyring_key(h.kr, slot_of(ARIL_KEY_DATA, "alice", NULL), 1, &key);
        assert_memory_equal(box + 8, key.info.id, 32);
        home_reopen(&h);
        assert_status(open_it(box, BOX), ARIL_OK);
    }
}

static void no_two_boxes_are_alike(void **state)
{
    uint8_t first[BOX];
    (void)state;
    memcpy(first, box, BOX);
    seal_it();
    assert_memory_not_equal(first + 40, box + 40, 24);
    assert_memory_not_equal(first + 64, box + 64, PLAIN);
    assert_status(open_it(first, BOX), ARIL_OK);
    assert_status(open_it(box, BOX), ARIL_OK);
    for (size_t at = 0; at + 4 <= BOX; at++) {
        assert_memory_not_equal(box + at, plain, 4);
    }
}

static void plaintexts_of_every_length_and_no_context_work(void **state)
{
    static const size_t lens[] = { 0, 1, 15, 16, 17, 4096, 100000 };
    (void)state;
    for (size_t i = 0; i < COUNT(lens); i++) {
        struct guarded in;
        struct guarded sealed;
        struct guarded out;
        size_t len = 0;
        guarded_init(&in, lens[i]);
        guarded_init(&sealed, lens[i] + ARIL_BOX_OVERHEAD_BYTES);
        guarded_init(&out, lens[i]);
        fill_pattern(in.data, in.len, i);
        assert_status(aril_keyring_seal(h.kr, TEXT("alice"), (aril_bytes){ NULL, 0 },
                                        (aril_bytes){ in.data, in.len }, sealed.data, sealed.len,
                                        &len, &h.error),
                      ARIL_OK);
        assert_int_equal(len, sealed.len);
        assert_status(aril_keyring_open_box(h.kr, TEXT("alice"), (aril_bytes){ NULL, 0 },
                                            (aril_bytes){ sealed.data, sealed.len }, out.data,
                                            out.len, &len, &h.error),
                      ARIL_OK);
        assert_int_equal(len, in.len);
        assert_memory_equal(out.data, in.data, in.len);
        guarded_check(&in);
        guarded_check(&sealed);
        guarded_check(&out);
        guarded_done(&in);
        guarded_done(&sealed);
        guarded_done(&out);
    }
}

/* --- What does not open -------------------------------------------------------------------- */

static aril_status status_of_flip(size_t at)
{
    return at == 0   ? ARIL_E_FORMAT_VERSION
           : at < 3  ? ARIL_E_FORMAT_KIND
           : at < 8  ? ARIL_E_FORMAT_FIELD
           : at < 40 ? ARIL_E_KEY_UNKNOWN
                     : ARIL_E_AUTH;
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    for (size_t at = 0; at < BOX; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            world_forget(&w);
            box[at] ^= (uint8_t)(1u << bit);
            assert_status(open_it(box, BOX), status_of_flip(at));
            box[at] ^= (uint8_t)(1u << bit);
            assert_int_equal(world_events(&w, ARIL_EVENT_AUTH_FAILURE), at >= 40);
        }
    }
    assert_status(open_it(box, BOX), ARIL_OK);
}

static void every_truncation_and_every_byte_more_is_noticed(void **state)
{
    uint8_t longer[BOX + 1];
    (void)state;
    for (size_t len = 0; len < BOX; len++) {
        assert_status(open_it(box, len),
                      len < ARIL_BOX_OVERHEAD_BYTES ? ARIL_E_FORMAT_TRUNCATED : ARIL_E_AUTH);
    }
    memcpy(longer, box, BOX);
    for (unsigned byte = 0; byte < 256; byte++) {
        longer[BOX] = (uint8_t)byte;
        assert_status(open_it(longer, sizeof longer), ARIL_E_AUTH);
    }
}

static void another_tenant_or_context_does_not_open_it(void **state)
{
    uint8_t other[18];
    (void)state;
    world_forget(&w);
    assert_status(open_as(TEXT("bob"), context, box, BOX), ARIL_E_ISOLATION);
    assert_true(world_last_tenant_is(&w, ARIL_EVENT_ISOLATION_VIOLATION, TEXT("bob")));
    assert_status(open_as(TEXT("carol"), context, box, BOX), ARIL_E_ISOLATION);
    for (size_t at = 0; at < context.len; at++) {
        memcpy(other, context.data, context.len);
        other[at] ^= 1;
        assert_status(open_as(TEXT("alice"), (aril_bytes){ other, context.len }, box, BOX),
                      ARIL_E_AUTH);
        assert_status(open_as(TEXT("alice"), (aril_bytes){ context.data, at }, box, BOX),
                      ARIL_E_AUTH);
    }
    assert_true(world_last_tenant_is(&w, ARIL_EVENT_AUTH_FAILURE, TEXT("alice")));
    assert_string_equal(world_last(&w, ARIL_EVENT_AUTH_FAILURE).action, "box");
}

static void the_message_names_file_and_remedy(void **state)
{
    (void)state;
    box[BOX - 1] ^= 1;
    assert_status(open_it(box, BOX), ARIL_E_AUTH);
    assert_error(&h.error, ARIL_E_AUTH, h.path);
    box[BOX - 1] ^= 1;
    box[0] = 0;
    assert_status(open_it(box, BOX), ARIL_E_FORMAT_VERSION);
    assert_error(&h.error, ARIL_E_FORMAT_VERSION, h.path);
}

static void a_name_or_legacy_key_opens_no_box(void **state)
{
    struct key_copy key;
    const uint8_t bytes[32] = { 5 };
    const aril_bytes legacy[] = { { bytes, sizeof bytes } };
    (void)state;
    keyring_key(h.kr, slot_of(ARIL_KEY_NAME, "alice", NULL), 1, &key);
    memcpy(box + 8, key.info.id, 32);
    assert_status(open_it(box, BOX), ARIL_E_KEY_UNKNOWN);
    assert_status(aril_keyring_import_cachekit(h.kr, TEXT("alice"), legacy, 1, &h.error), ARIL_OK);
    keyring_key(h.kr, slot_of(ARIL_KEY_LEGACY, "alice", NULL), 1, &key);
    memcpy(box + 8, key.info.id, 32);
    assert_status(open_it(box, BOX), ARIL_E_KEY_UNKNOWN);
}

/* --- How it is called ---------------------------------------------------------------------- */

static void too_small_buffers_are_left_alone(void **state)
{
    uint8_t out[BOX];
    size_t len = 4711;
    (void)state;
    memset(out, FILLER, sizeof out);
    for (size_t cap = 0; cap < BOX; cap++) {
        assert_status(aril_keyring_seal(h.kr, TEXT("alice"), context, (aril_bytes){ plain, PLAIN },
                                        out, cap, &len, &h.error),
                      ARIL_E_USAGE_TOO_SMALL);
    }
    for (size_t cap = 0; cap < PLAIN; cap++) {
        assert_status(aril_keyring_open_box(h.kr, TEXT("alice"), context, (aril_bytes){ box, BOX },
                                            out, cap, &len, &h.error),
                      ARIL_E_USAGE_TOO_SMALL);
    }
    assert_true(is_filled(out, sizeof out, FILLER));
    assert_int_equal(len, 4711);
}

static void input_and_output_must_not_overlap(void **state)
{
    uint8_t room[2 * BOX];
    uint8_t before[2 * BOX];
    size_t len = 0;
    (void)state;
    for (size_t at = 0; at < sizeof room - BOX; at++) {
        memset(room, FILLER, sizeof room);
        memcpy(room + PLAIN, plain, PLAIN);
        memcpy(before, room, sizeof room);
        const bool overlaps = at < 2 * (size_t)PLAIN && at + BOX > PLAIN;
        assert_status(aril_keyring_seal(h.kr, TEXT("alice"), context,
                                        (aril_bytes){ room + PLAIN, PLAIN }, room + at, BOX, &len,
                                        &h.error),
                      overlaps ? ARIL_E_USAGE_OVERLAP : ARIL_OK);
        if (overlaps) {
            assert_memory_equal(room, before, sizeof room);
        }
    }
    for (size_t at = 0; at < sizeof room - PLAIN; at++) {
        memset(room, FILLER, sizeof room);
        memcpy(room + PLAIN, box, BOX);
        const bool overlaps = at < PLAIN + BOX && at + PLAIN > PLAIN;
        assert_status(aril_keyring_open_box(h.kr, TEXT("alice"), context,
                                            (aril_bytes){ room + PLAIN, BOX }, room + at, PLAIN,
                                            &len, &h.error),
                      overlaps ? ARIL_E_USAGE_OVERLAP : ARIL_OK);
    }
}

static void arguments_out_of_range_are_refused(void **state)
{
    static uint8_t big[65536];
    static const aril_bytes none = { NULL, 0 };
    const aril_bytes in = { plain, PLAIN };
    const aril_bytes sealed = { box, BOX };
    uint8_t out[BOX];
    size_t len;
    (void)state;
    assert_status(aril_keyring_seal(NULL, TEXT("alice"), none, in, out, BOX, &len, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_seal(h.kr, TEXT("alice"), none, in, NULL, BOX, &len, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_seal(h.kr, TEXT("alice"), none, in, out, BOX, NULL, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(
        aril_keyring_seal(h.kr, TEXT("alice"), (aril_bytes){ NULL, 1 }, in, out, BOX, &len, NULL),
        ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_seal(h.kr, none, none, in, out, BOX, &len, NULL),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_seal(h.kr, (aril_bytes){ big, 256 }, none, in, out, BOX, &len, NULL),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_seal(h.kr, TEXT("alice"), (aril_bytes){ big, 65536 }, in, out, BOX,
                                    &len, NULL),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_seal(h.kr, TEXT("alice"), (aril_bytes){ big, 65535 }, in, out, BOX,
                                    &len, NULL),
                  ARIL_OK);
    assert_status(aril_keyring_seal(h.kr, TEXT("alice"), none,
                                    (aril_bytes){ plain, ARIL_BOX_PLAIN_BYTES_MAX + 1 }, out,
                                    SIZE_MAX, &len, NULL),
                  ARIL_E_USAGE_RANGE);
    assert_status(aril_keyring_open_box(h.kr, none, context, sealed, out, PLAIN, &len, NULL),
                  ARIL_E_USAGE_RANGE);
    assert_status(
        aril_keyring_open_box(NULL, TEXT("alice"), context, sealed, out, PLAIN, &len, NULL),
        ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_open_box(h.kr, TEXT("alice"), context, (aril_bytes){ NULL, 90 }, out,
                                        PLAIN, &len, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_keyring_seal(h.kr, TEXT("carol"), none, in, out, BOX, &len, &h.error),
                  ARIL_E_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_box_opens_and_has_the_form_of_the_document),
        TEST(no_two_boxes_are_alike),
        TEST(plaintexts_of_every_length_and_no_context_work),
        TEST(every_flipped_bit_is_noticed),
        TEST(every_truncation_and_every_byte_more_is_noticed),
        TEST(another_tenant_or_context_does_not_open_it),
        TEST(the_message_names_file_and_remedy),
        TEST(a_name_or_legacy_key_opens_no_box),
        TEST(too_small_buffers_are_left_alone),
        TEST(input_and_output_must_not_overlap),
        TEST(arguments_out_of_range_are_refused),
    };
    return cmocka_run_group_tests_name("box", tests, temp_folder_make, temp_folder_remove);
}
