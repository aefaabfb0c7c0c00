/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "proxy_tenant.h"
#include "temp_folder.h"
#include <stdlib.h>
#include <string.h>

/* Fields of hashes and members of sets: the same text in one key, another in every other one, and
 * nothing opens that was not made for its place. */

#define LONGEST ARILI_SIV_PLAIN_BYTES_MAX

static struct world w;
static struct keyring_home h;
static struct arili_tenant *alice, *bob;
static struct arili_tenant_keys *keys, *bobs;
static struct arili_place place;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&h, "alice");
    home_tenant(&h, "bob");
    alice = proxy_tenant(&h, "alice", "redis", false);
    bob = proxy_tenant(&h, "bob", "redis", false);
    keys = proxy_keys(alice);
    bobs = proxy_keys(bob);
    place = proxy_place(alice, "key");
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    arili_tenant_keys_drop(keys);
    arili_tenant_keys_drop(bobs);
    arili_tenant_free(alice);
    arili_tenant_free(bob);
    home_done(&h);
    world_done(&w);
    return 0;
}

static const enum arili_inner kinds[] = { ARILI_INNER_FIELD, ARILI_INNER_MEMBER };

struct sealed {
    struct guarded room;
    size_t len;
};
static void sealed_done(struct sealed *s)
{
    guarded_check(&s->room);
    guarded_done(&s->room);
}

/* Into exactly as much room as the header asks for. */
static struct sealed seal(enum arili_inner what, aril_bytes text)
{
    struct sealed s;
    guarded_init(&s.room, ARILI_SEALED_NAME_BYTES(text.len));
    assert_status(arili_inner_seal(alice, keys, &place, what, text, s.room.data, &s.len), ARIL_OK);
    guarded_check(&s.room);
    assert_true(s.len <= s.room.len);
    return s;
}

/* Open it: the text, or a buffer without anything in it. */
static aril_status open(const struct arili_tenant *t, const struct arili_tenant_keys *k,
                        const struct arili_place *at, enum arili_inner what, aril_bytes sealed,
                        aril_bytes want)
{
    struct guarded out;
    size_t len = SIZE_MAX;
    guarded_init(&out, sealed.len);
    const aril_status st = arili_inner_open(t, k, at, what, sealed, out.data, &len);
    guarded_check(&out);
    if (st == ARIL_OK) {
        assert_int_equal(len, want.len);
        assert_true(len == 0 || memcmp(out.data, want.data, len) == 0);
    } else {
        assert_true(is_filled(out.data, out.len, 0));
        assert_true(len == SIZE_MAX);
    }
    guarded_done(&out);
    return st;
}

static aril_status open_own(enum arili_inner what, aril_bytes sealed, aril_bytes want)
{
    return open(alice, keys, &place, what, sealed, want);
}

static aril_bytes bytes_of(const struct sealed *s)
{
    return (aril_bytes){ s->room.data, s->len };
}

/* --- Round trips --------------------------------------------------------------------------- */

static void texts_of_every_length_come_back(void **state)
{
    (void)state;
    static uint8_t text[LONGEST + 1];
    static const size_t lens[] = { 1000, 4096, 65537, LONGEST - 2, LONGEST - 1, LONGEST };
    fill_pattern(text, sizeof text, 7);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        for (size_t n = 0; n < 100 + COUNT(lens); n++) {
            const aril_bytes in = { text, n < 100 ? n : lens[n - 100] };
            struct sealed s = seal(kinds[i], in);
            struct sealed again = seal(kinds[i], in);
            assert_int_equal(s.len, again.len);
            assert_memory_equal(s.room.data, again.room.data, s.len);
            if (kinds[i] == ARILI_INNER_MEMBER) {
                assert_int_equal(s.len, in.len + ARILI_MEMBER_OVERHEAD);
            } else {
                assert_int_equal(s.room.data[0], '~');
                assert_int_equal(s.len, 1 + ((in.len + 16) * 4 + 2) / 3);
            }
            assert_status(open_own(kinds[i], bytes_of(&s), in), ARIL_OK);
            sealed_done(&s);
            sealed_done(&again);
        }
        size_t len = 99;
        struct guarded room;
        guarded_init(&room, ARILI_SEALED_NAME_BYTES(sizeof text));
        assert_status(arili_inner_seal(alice, keys, &place, kinds[i],
                                       (aril_bytes){ text, sizeof text }, room.data, &len),
                      ARIL_E_LIMIT);
        assert_int_equal(len, 99);
        assert_true(is_filled(room.data, room.len, GUARD_FILLER));
        guarded_done(&room);
    }
}

static void a_longer_text_than_can_be_sealed_is_refused(void **state)
{
    (void)state;
    uint8_t *sealed = calloc(1, LONGEST + 17);
    assert_non_null(sealed);
    assert_status(open_own(ARILI_INNER_MEMBER, (aril_bytes){ sealed, LONGEST + 17 }, TEXT("")),
                  ARIL_E_FORMAT_LENGTH);
    assert_status(open_own(ARILI_INNER_MEMBER, (aril_bytes){ sealed, LONGEST + 16 }, TEXT("")),
                  ARIL_E_AUTH);
    free(sealed);
}

/* --- Another place ------------------------------------------------------------------------- */

static void the_same_text_is_another_one_in_every_other_place(void **state)
{
    (void)state;
    struct arili_tenant *space = proxy_tenant(&h, "alice", "other", false);
    struct arili_tenant_keys *spaces = proxy_keys(space);
    const aril_bytes texts[] = { TEXT(""), TEXT("x"), TEXT("some field") };
    struct {
        const struct arili_tenant *t;
        const struct arili_tenant_keys *k;
        struct arili_place place;
    } at[5] = { { .t = alice, .k = keys, .place = place },
                { .t = alice, .k = keys },
                { .t = alice, .k = keys, .place = proxy_place(alice, "kez") },
                { .t = bob, .k = bobs, .place = proxy_place(bob, "key") },
                { .t = space, .k = spaces, .place = proxy_place(space, "key") } };
    assert_status(arili_place_make(NULL, alice, keys, 1, TEXT("key"), &at[1].place), ARIL_OK);
    for (size_t n = 0; n < COUNT(texts); n++) {
        uint8_t sealed[10][64];
        size_t lens[10];
        for (size_t i = 0; i < 10; i++) {
            assert_status(arili_inner_seal(at[i / 2].t, at[i / 2].k, &at[i / 2].place, kinds[i % 2],
                                           texts[n], sealed[i], &lens[i]),
                          ARIL_OK);
        }
        for (size_t i = 0; i < 10; i++) {
            for (size_t j = 0; j < 10; j++) {
                const aril_status st =
                    open(at[j / 2].t, at[j / 2].k, &at[j / 2].place, kinds[j % 2],
                         (aril_bytes){ sealed[i], lens[i] }, texts[n]);
                if (i == j) {
                    assert_status(st, ARIL_OK);
                } else if (i % 2 == j % 2) {
                    assert_status(st, ARIL_E_AUTH);
                } else {
                    assert_true(st == ARIL_E_AUTH || aril_status_class(st) == ARIL_E_FORMAT);
                }
            }
        }
    }
    arili_tenant_keys_drop(spaces);
    arili_tenant_free(space);
}

/* The bytes of a field do not open as a member, and the other way round. */
static void a_field_made_a_member_does_not_open(void **state)
{
    (void)state;
    const aril_bytes texts[] = { TEXT(""), TEXT("x"), TEXT("some field") };
    for (size_t n = 0; n < COUNT(texts); n++) {
        uint8_t raw[64];
        char text[96] = "~";
        size_t len = 0;
        struct sealed field = seal(ARILI_INNER_FIELD, texts[n]);
        assert_status(arili_base64url_parse((aril_bytes){ field.room.data + 1, field.len - 1 }, raw,
                                            sizeof raw, &len),
                      ARIL_OK);
        assert_status(open_own(ARILI_INNER_MEMBER, (aril_bytes){ raw, len }, texts[n]),
                      ARIL_E_AUTH);
        struct sealed member = seal(ARILI_INNER_MEMBER, texts[n]);
        len = 1 + arili_base64url(member.room.data, member.len, text + 1);
        assert_status(
            open_own(ARILI_INNER_FIELD, (aril_bytes){ (const uint8_t *)text, len }, texts[n]),
            ARIL_E_AUTH);
        sealed_done(&field);
        sealed_done(&member);
    }
}

/* An empty text is the iv of a zero byte under another label: neither is taken for the other. */
static void an_empty_text_and_one_zero_byte_differ(void **state)
{
    (void)state;
    const uint8_t zero = 0;
    struct sealed empty = seal(ARILI_INNER_MEMBER, TEXT(""));
    struct sealed one = seal(ARILI_INNER_MEMBER, (aril_bytes){ &zero, 1 });
    assert_memory_not_equal(empty.room.data, one.room.data, 16);
    assert_status(open_own(ARILI_INNER_MEMBER, (aril_bytes){ one.room.data, 16 }, TEXT("")),
                  ARIL_E_AUTH);
    uint8_t longer[17];
    for (unsigned last = 0; last < 256; last++) {
        memcpy(longer, empty.room.data, 16);
        longer[16] = (uint8_t)last;
        assert_status(open_own(ARILI_INNER_MEMBER, (aril_bytes){ longer, 17 }, TEXT("")),
                      ARIL_E_AUTH);
    }
    sealed_done(&empty);
    sealed_done(&one);
}

/* --- Changed bytes ------------------------------------------------------------------------- */

static void every_changed_bit_and_length_is_refused(void **state)
{
    (void)state;
    const aril_bytes texts[] = { TEXT(""), TEXT("x"), TEXT("xy"), TEXT("some longer field name") };
    for (size_t n = 0; n < COUNT(kinds) * COUNT(texts); n++) {
        const enum arili_inner what = kinds[n % 2];
        struct sealed s = seal(what, texts[n / 2]);
        for (size_t bit = 0; bit < 8 * s.len; bit++) {
            s.room.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            const aril_status st = open_own(what, bytes_of(&s), texts[n / 2]);
            assert_true(st == ARIL_E_AUTH ||
                        (what == ARILI_INNER_FIELD && aril_status_class(st) == ARIL_E_FORMAT));
            s.room.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t cut = 0; cut < s.len; cut++) {
            const aril_status st = open_own(what, (aril_bytes){ s.room.data, cut }, texts[n / 2]);
            if (cut < 16) {
                assert_status_class(st, ARIL_E_FORMAT);
            } else {
                assert_true(st == ARIL_E_AUTH ||
                            (what == ARILI_INNER_FIELD && aril_status_class(st) == ARIL_E_FORMAT));
            }
        }
        sealed_done(&s);
    }
}

static void what_is_no_field_is_a_format_error(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        aril_status st;
    } cases[] = { { "", ARIL_E_FORMAT_KIND },
                  { "field", ARIL_E_FORMAT_KIND },
                  { "AAAAAAAAAAAAAAAAAAAAAA", ARIL_E_FORMAT_KIND },
                  { "~", ARIL_E_FORMAT_TRUNCATED },
                  { "~A", ARIL_E_FORMAT_LENGTH },
                  { "~AAAA", ARIL_E_FORMAT_TRUNCATED },
                  { "~AAAAAAAAAAAAAAAAAAAA", ARIL_E_FORMAT_TRUNCATED }, /* 15 bytes */
                  { "~AAAAAAAAAAAAAAAAAAAAAB", ARIL_E_FORMAT_FIELD },
                  { "~AAAAAAAAAAAAAAAAAAAA+A", ARIL_E_FORMAT_FIELD },
                  { "~AAAAAAAAAAAAAAAAAAAAA==", ARIL_E_FORMAT_FIELD },
                  { "~AAAAAAAAAAAAAAAAAAAAAA", ARIL_E_AUTH } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_status(open_own(ARILI_INNER_FIELD, text_bytes(cases[i].text), TEXT("")),
                      cases[i].st);
    }
}

/* --- Keys ---------------------------------------------------------------------------------- */

static void without_keys_there_are_no_fields(void **state)
{
    (void)state;
    static const uint64_t child = 0;
    const struct arili_tenant_keys none = { .status = ARIL_E_KEY_DESTROYED };
    struct arili_tenant_keys forked = *keys;
    struct sealed s = seal(ARILI_INNER_MEMBER, TEXT("m"));
    uint8_t room[64];
    size_t len;
    forked.guard.marker = &child;
    assert_status(arili_inner_seal(alice, &none, &place, kinds[0], TEXT("m"), room, &len),
                  ARIL_E_KEY_DESTROYED);
    assert_status(arili_inner_open(alice, &none, &place, kinds[1], bytes_of(&s), room, &len),
                  ARIL_E_KEY_DESTROYED);
    assert_status(arili_inner_seal(alice, &forked, &place, kinds[0], TEXT("m"), room, &len),
                  ARIL_E_FORKED);
    assert_status(arili_inner_open(alice, &forked, &place, kinds[1], bytes_of(&s), room, &len),
                  ARIL_E_FORKED);
    sealed_done(&s);
}

/* --- Lengths of values --------------------------------------------------------------------- */

static void lengths_of_values_go_both_ways(void **state)
{
    (void)state;
    const uint64_t seg = ARILI_VALUE_SEGMENT_BYTES;
    const uint64_t bodies[] = { 0,
                                1,
                                17,
                                4096,
                                seg - 1,
                                seg,
                                seg + 1,
                                2 * seg - 1,
                                2 * seg,
                                128 * seg,
                                ARILI_VALUE_BODY_MAX - 1,
                                ARILI_VALUE_BODY_MAX };
    for (size_t i = 0; i < COUNT(bodies); i++) {
        uint64_t plain = 99;
        assert_true(arili_sealed_bytes(bodies[i]) == arili_value_stored_bytes(bodies[i]));
        assert_status(arili_plain_bytes(arili_sealed_bytes(bodies[i]), &plain), ARIL_OK);
        assert_true(plain == bodies[i]);
    }
}

static void only_lengths_of_values_are_taken(void **state)
{
    (void)state;
    const uint64_t one = arili_sealed_bytes(ARILI_VALUE_SEGMENT_BYTES);
    const uint64_t most = arili_sealed_bytes(ARILI_VALUE_BODY_MAX);
    const uint64_t refused[] = { 0,       1,        95,       96,        111,
                                 one + 1, one + 16, most + 1, most + 17, UINT64_MAX };
    for (size_t i = 0; i < COUNT(refused); i++) {
        uint64_t plain = 99;
        assert_status(arili_plain_bytes(refused[i], &plain), ARIL_E_FORMAT_LENGTH);
        assert_true(plain == 99);
    }
    /* No length has two bodies: of all around a border, as many as there are bodies. */
    uint64_t next = ARILI_VALUE_SEGMENT_BYTES - 100;
    for (uint64_t stored = arili_sealed_bytes(next); next < ARILI_VALUE_SEGMENT_BYTES + 100;
         stored++) {
        uint64_t plain = 0;
        if (arili_plain_bytes(stored, &plain) == ARIL_OK) {
            assert_true(plain == next);
            assert_true(arili_sealed_bytes(plain) == stored);
            next++;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(texts_of_every_length_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_longer_text_than_can_be_sealed_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_same_text_is_another_one_in_every_other_place, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_field_made_a_member_does_not_open, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_text_and_one_zero_byte_differ, setup, teardown),
        cmocka_unit_test_setup_teardown(every_changed_bit_and_length_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_field_is_a_format_error, setup, teardown),
        cmocka_unit_test_setup_teardown(without_keys_there_are_no_fields, setup, teardown),
        cmocka_unit_test_setup_teardown(lengths_of_values_go_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(only_lengths_of_values_are_taken, setup, teardown),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
