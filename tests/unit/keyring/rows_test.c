/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of rows: their order, what of them is shared, and what their MACs see. */
#include "keyring/rows.h"
#include "keyring/keyring.h"
#include "keyring_fixture.h"
#include "temp_folder.h"
#include <string.h>

static struct world w;
static struct keyring_home h;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    home_init(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&h, "alice");
    home_tenant(&h, "bob");
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("m"), 3, &h.error), ARIL_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_done(&h);
    world_done(&w);
    return 0;
}

/* --- Order --------------------------------------------------------------------------------- */

static void rows_are_in_the_order_of_kind_then_bytes_then_length(void **state)
{
    static const struct {
        uint8_t kind;
        const char *id;
    } rows[] = {
        { 1, "" },     { 1, "a" },    { 1, "aa" },   { 1, "ab" }, { 1, "b" }, { 1, "ba" },
        { 1, "\x7f" }, { 1, "\x80" }, { 1, "\xff" }, { 2, "" },   { 2, "a" }, { 255, "" }
    };
    (void)state;
    for (int i = 0; i < (int)COUNT(rows); i++) {
        for (int k = 0; k < (int)COUNT(rows); k++) {
            const int order = arili_row_order(rows[i].kind, text_bytes(rows[i].id), rows[k].kind,
                                              text_bytes(rows[k].id));
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    }
    assert_int_equal(arili_row_order(1, (aril_bytes){ NULL, 0 }, 1, (aril_bytes){ NULL, 0 }), 0);
}

static void the_set_of_a_file_is_in_order_and_finds_each_row_and_key(void **state)
{
    struct arili_rowset *set = arili_keyring_rows(h.kr);
    size_t keys;
    (void)state;
    for (size_t i = 0; i < set->count; i++) {
        const struct arili_row *row = set->rows[i];
        assert_ptr_equal(arili_rowset_find(set, row->kind, arili_row_id(row)), row);
        if (i > 0) {
            assert_true(arili_row_order(set->rows[i - 1]->kind, arili_row_id(set->rows[i - 1]),
                                        row->kind, arili_row_id(row)) < 0);
        }
    }
    assert_int_equal(arili_rowset_kind(set, ARILI_ROW_KEY, &keys), 0);
    assert_int_equal(keys, set->key_count);
    for (size_t i = 0; i < set->key_count; i++) {
        size_t first;
        const struct arili_key_row *said = &set->keys[i].said;
        assert_ptr_equal(arili_rowset_key(set, arili_key_id(&set->keys[i])), &set->keys[i]);
        assert_true(arili_rowset_slot(set, said->purpose, said->owner, said->label, &first));
        assert_true(arili_rowset_same_slot(set, first, i));
    }
    size_t index;
    assert_false(arili_rowset_slot(set, ARIL_KEY_DATA, TEXT("carol"), TEXT(""), &index));
    assert_false(arili_rowset_slot(set, ARIL_KEY_DATA, TEXT("alice"), TEXT("x"), &index));
    assert_null(arili_rowset_find(set, ARILI_ROW_FLOOR, TEXT("n")));
    assert_null(arili_rowset_find(set, ARILI_ROW_RECOVERY, TEXT("")));
    arili_rowset_drop(set);
}

static void versions_of_a_slot_are_newest_first(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    }
    struct arili_rowset *set = arili_keyring_rows(h.kr);
    size_t first;
    assert_true(arili_rowset_slot(set, ARIL_KEY_DATA, TEXT("alice"), TEXT(""), &first));
    for (size_t i = 0; i < 4; i++) {
        assert_true(arili_rowset_same_slot(set, first, first + i));
        assert_int_equal(set->keys[first + i].said.version, 4 - i);
    }
    assert_false(arili_rowset_same_slot(set, first, first + 4));
    assert_false(arili_rowset_same_slot(set, first, set->key_count));
    arili_rowset_drop(set);
}

/* --- The next set -------------------------------------------------------------------------- */

static struct arili_row_change change_of(uint8_t kind, const char *id, struct arili_row *row)
{
    struct arili_row_change c = { .kind = kind, .row = row, .id_len = (uint16_t)strlen(id) };
    memcpy(c.id, id, c.id_len);
    return c;
}

static struct arili_row *floor_row(const char *name, uint64_t value)
{
    uint8_t body[8];
    struct arili_row *row = NULL;
    arili_floor_row_write(value, body);
    assert_status(
        arili_row_new(ARILI_ROW_FLOOR, text_bytes(name), (aril_bytes){ body, sizeof body }, &row),
        ARIL_OK);
    return row;
}

static uint64_t floor_in(const struct arili_rowset *set, const char *name)
{
    uint64_t value = 0;
    const struct arili_row *row = arili_rowset_find(set, ARILI_ROW_FLOOR, text_bytes(name));
    assert_non_null(row);
    assert_status(arili_floor_row_parse(arili_row_body(row), &value), ARIL_OK);
    return value;
}

static void the_next_set_has_what_was_put_and_not_what_was_erased(void **state)
{
    struct arili_rowset *from = arili_keyring_rows(h.kr);
    struct arili_rowset *next = NULL;
    struct arili_row *rows[] = { floor_row("a", 1), floor_row("m", 9), floor_row("z", 2) };
    (void)state;
    const struct arili_row_change changes[] = { change_of(ARILI_ROW_FLOOR, "a", rows[0]),
                                                change_of(ARILI_ROW_FLOOR, "m", rows[1]),
                                                change_of(ARILI_ROW_FLOOR, "nothing", NULL),
                                                change_of(ARILI_ROW_FLOOR, "z", rows[2]) };
    assert_status(arili_rowset_next(w.rt, from, changes, COUNT(changes), &from->head, false, &next),
                  ARIL_OK);
    assert_int_equal(next->count, from->count + 2);
    assert_int_equal(floor_in(next, "a"), 1);
    assert_int_equal(floor_in(next, "m"), 9);
    assert_int_equal(floor_in(next, "z"), 2);
    assert_int_equal(floor_in(from, "m"), 3);
    assert_ptr_equal(next->rows[0], from->rows[0]); /* shared */
    const struct arili_row_change erase = change_of(ARILI_ROW_FLOOR, "m", NULL);
    struct arili_rowset *last = NULL;
    assert_status(arili_rowset_next(w.rt, next, &erase, 1, &next->head, true, &last), ARIL_OK);
    assert_int_equal(last->count, next->count - 1);
    assert_null(arili_rowset_find(last, ARILI_ROW_FLOOR, TEXT("m")));
    assert_ptr_not_equal(last->rows[0], next->rows[0]); /* copies without a MAC */
    assert_int_equal(last->rows[0]->mac_len, 0);
    arili_rowset_drop(last);
    arili_rowset_drop(next);
    arili_rowset_drop(from);
    for (size_t i = 0; i < COUNT(rows); i++) {
        arili_row_drop(rows[i]);
    }
}

static void two_rows_of_one_version_are_refused(void **state)
{
    struct arili_rowset *from = arili_keyring_rows(h.kr);
    struct arili_rowset *next = NULL;
    struct arili_row *row = NULL;
    (void)state;
    assert_status(arili_row_new(ARILI_ROW_KEY, TEXT("0123456789abcdef0123456789abcdef"),
                                arili_row_body(from->rows[0]), &row),
                  ARIL_OK);
    const struct arili_row_change change =
        change_of(ARILI_ROW_KEY, "0123456789abcdef0123456789abcdef", row);
    assert_status(arili_rowset_next(w.rt, from, &change, 1, &from->head, false, &next),
                  ARIL_E_FORMAT_FIELD);
    assert_null(next);
    arili_row_drop(row);
    arili_rowset_drop(from);
}

static void rows_that_are_too_long_are_refused(void **state)
{
    static uint8_t bytes[ARILI_ROW_BODY_BYTES_MAX + 1];
    struct arili_row *row = NULL;
    (void)state;
    assert_status(arili_row_new(1, (aril_bytes){ bytes, 256 }, (aril_bytes){ NULL, 0 }, &row),
                  ARIL_E_LIMIT);
    assert_status(arili_row_new(1, (aril_bytes){ bytes, 255 },
                                (aril_bytes){ bytes, ARILI_ROW_BODY_BYTES_MAX + 1 }, &row),
                  ARIL_E_LIMIT);
    assert_null(row);
    assert_status(arili_row_new(1, (aril_bytes){ bytes, 255 },
                                (aril_bytes){ bytes, ARILI_ROW_BODY_BYTES_MAX }, &row),
                  ARIL_OK);
    arili_row_drop(row);
}

/* --- MACs ---------------------------------------------------------------------------------- */

static aril_status check_with(const struct arili_macs *m, const struct arili_rowset *set)
{
    h.error = (aril_error){ .status = ARIL_OK };
    return arili_rowset_check(m, set, h.path, &h.error);
}

static void every_bit_of_rows_head_and_macs_is_seen(void **state)
{
    struct arili_rowset *set = arili_keyring_rows(h.kr);
    const struct arili_macs m = arili_keyring_macs(h.kr);
    (void)state;
    assert_status(check_with(&m, set), ARIL_OK);
    for (size_t i = 0; i < set->count; i++) {
        struct arili_row *row = set->rows[i];
        const size_t len = (size_t)row->id_len + row->body_len;
        for (size_t at = 0; at < len; at += at < 150 || at + 8 > len ? 1 : 97) {
            row->bytes[at] ^= (uint8_t)(1u << at % 8);
            assert_status(check_with(&m, set), ARIL_E_AUTH);
            row->bytes[at] ^= (uint8_t)(1u << at % 8);
        }
        for (size_t at = 0; at < row->mac_len; at++) {
            row->mac[at] ^= 0x80;
            assert_status(check_with(&m, set), ARIL_E_AUTH);
            row->mac[at] ^= 0x80;
        }
        row->kind ^= 1;
        assert_status(check_with(&m, set), ARIL_E_AUTH);
        row->kind ^= 1;
    }
    for (size_t at = 0; at < set->head_len; at++) {
        set->head_bytes[at] ^= 1;
        assert_status(check_with(&m, set), ARIL_E_AUTH);
        set->head_bytes[at] ^= 1;
    }
    for (size_t at = 0; at < set->head_mac_len; at++) {
        set->head_mac[at] ^= 1;
        assert_status(check_with(&m, set), ARIL_E_AUTH);
        set->head_mac[at] ^= 1;
    }
    assert_error(&h.error, ARIL_E_AUTH, "keys.aril");
    assert_status(check_with(&m, set), ARIL_OK);
    arili_rowset_drop(set);
}

static void a_row_less_a_row_twice_and_rows_in_another_order_are_seen(void **state)
{
    struct arili_rowset *set = arili_keyring_rows(h.kr);
    const struct arili_macs m = arili_keyring_macs(h.kr);
    struct arili_row *last = set->rows[set->count - 1];
    (void)state;
    set->count--;
    assert_status(check_with(&m, set), ARIL_E_AUTH);
    set->count++;
    set->rows[set->count - 1] = set->rows[0];
    assert_status(check_with(&m, set), ARIL_E_AUTH);
    set->rows[set->count - 1] = last;
    struct arili_row *first = set->rows[0];
    set->rows[0] = set->rows[1];
    set->rows[1] = first;
    assert_status(check_with(&m, set), ARIL_E_AUTH);
    set->rows[1] = set->rows[0];
    set->rows[0] = first;
    set->rows[0]->mac_len--;
    assert_status(check_with(&m, set), ARIL_E_AUTH);
    set->rows[0]->mac_len++;
    set->head_mac_len--;
    assert_status(check_with(&m, set), ARIL_E_AUTH);
    set->head_mac_len++;
    assert_status(check_with(&m, set), ARIL_OK);
    arili_rowset_drop(set);
}

static void an_id_and_a_body_cannot_be_divided_in_another_way(void **state)
{
    const struct arili_macs m = arili_keyring_macs(h.kr);
    struct arili_row *rows[2] = { NULL, NULL };
    uint8_t macs[2][ARILI_HASH_BYTES_MAX] = { { 0 } };
    (void)state;
    assert_status(arili_row_new(7, TEXT("ab"), TEXT("c"), &rows[0]), ARIL_OK);
    assert_status(arili_row_new(7, TEXT("a"), TEXT("bc"), &rows[1]), ARIL_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_status(arili_row_mac_compute(&m, rows[i], macs[i]), ARIL_OK);
        arili_row_drop(rows[i]);
    }
    assert_memory_not_equal(macs[0], macs[1], arili_hash_bytes(m.hash));
}

static void macs_are_bound_to_the_keyring_and_to_its_root(void **state)
{
    struct arili_rowset *set = arili_keyring_rows(h.kr);
    struct arili_macs m = arili_keyring_macs(h.kr);
    struct arili_mac_keys other;
    (void)state;
    m.keyring_id[15] ^= 1;
    assert_status(check_with(&m, set), ARIL_E_AUTH);
    m.keyring_id[15] ^= 1;
    other = *m.keys;
    other.row[0] ^= 1;
    m.keys = &other;
    assert_status(check_with(&m, set), ARIL_E_AUTH);
    other.row[0] ^= 1;
    other.set[0] ^= 1;
    assert_status(check_with(&m, set), ARIL_E_AUTH);
    assert_memory_not_equal(other.row, other.set, arili_hash_bytes(m.hash));
    arili_rowset_drop(set);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_in_the_order_of_kind_then_bytes_then_length),
        TEST(the_set_of_a_file_is_in_order_and_finds_each_row_and_key),
        TEST(versions_of_a_slot_are_newest_first),
        TEST(the_next_set_has_what_was_put_and_not_what_was_erased),
        TEST(two_rows_of_one_version_are_refused),
        cmocka_unit_test(rows_that_are_too_long_are_refused),
        TEST(every_bit_of_rows_head_and_macs_is_seen),
        TEST(a_row_less_a_row_twice_and_rows_in_another_order_are_seen),
        TEST(an_id_and_a_body_cannot_be_divided_in_another_way),
        TEST(macs_are_bound_to_the_keyring_and_to_its_root),
    };
    return cmocka_run_group_tests_name("rows", tests, temp_folder_make, temp_folder_remove);
}
