/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody who can only write the file changes a bit of it: of the head, of every column of every
 * kind of row, or anywhere in the bytes of the database. */
#include "keyring_attack.h"
#include "keyring_state.h"
#include "provider.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world w;
static struct keyring_home h;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    rich_home(&h, &w, "keys.aril", MEMORY_STORE_ALL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rich_home_done(&h);
    world_done(&w);
    return 0;
}

/* Bytes of long columns are not all tried: MACs know no places. Beginnings are, where the fields
 * are. */
static size_t next_place(size_t at, size_t len)
{
    const size_t step = SANITIZED ? 211 : 29;
    return at < 160 || at + 4 > len ? at + 1 : at + step;
}

/* Flips single bits of the blob that sql selects, and puts them with update, in which ?1 is the
 * changed blob. */
static void flip_column(sqlite3 *db, const char *select, const char *update, const char *what)
{
    aril_span value = attack_blob(db, select);
    for (size_t at = 0; at < value.len; at = next_place(at, value.len)) {
        char text[160];
        const aril_bytes changed = { value.data, value.len };
        value.data[at] ^= (uint8_t)(1u << (at % 8));
        attack_with(db, update, &changed, 1);
        (void)snprintf(text, sizeof text, "%s, byte %zu of %zu", what, at, value.len);
        assert_noticed(&h, text);
        value.data[at] ^= (uint8_t)(1u << (at % 8));
    }
    const aril_bytes original = { value.data, value.len };
    attack_with(db, update, &original, 1);
    /* One byte less and one more. */
    uint8_t *longer = calloc(1, value.len + 1);
    assert_non_null(longer);
    memcpy(longer, value.data, value.len);
    const aril_bytes cut = { value.data, value.len > 0 ? value.len - 1 : 0 };
    const aril_bytes grown = { longer, value.len + 1 };
    if (value.len > 0) {
        attack_with(db, update, &cut, 1);
        assert_noticed(&h, what);
    }
    attack_with(db, update, &grown, 1);
    assert_noticed(&h, what);
    attack_with(db, update, &original, 1);
    free(longer);
    free(value.data);
}

static void flip_row(sqlite3 *db, int64_t row, int kind)
{
    static const char *const columns[] = { "id", "body", "mac" };
    for (size_t c = 0; c < COUNT(columns); c++) {
        char select[128];
        char update[128];
        char what[64];
        (void)snprintf(select, sizeof select, "SELECT %s FROM aril_rows WHERE rowid=%lld",
                       columns[c], (long long)row);
        (void)snprintf(update, sizeof update, "UPDATE aril_rows SET %s=?1 WHERE rowid=%lld",
                       columns[c], (long long)row);
        (void)snprintf(what, sizeof what, "%s of a row of kind %d", columns[c], kind);
        flip_column(db, select, update, what);
    }
    for (int other = 0; other < 300; other += other < 12 ? 1 : 61) {
        char sql[128];
        if (other == kind || (kind <= 3 && other <= 3 && other > 0)) {
            continue; /* these have ids of keys: the place may be taken */
        }
        (void)snprintf(sql, sizeof sql, "UPDATE aril_rows SET kind=%d WHERE rowid=%lld", other,
                       (long long)row);
        attack_sql(db, sql);
        (void)snprintf(sql, sizeof sql, "kind %d as %d", kind, other);
        assert_noticed(&h, sql);
    }
    char sql[128];
    (void)snprintf(sql, sizeof sql, "UPDATE aril_rows SET kind=%d WHERE rowid=%lld", kind,
                   (long long)row);
    attack_sql(db, sql);
}

/* The first and the last row of each kind. */
static void flip_all_rows(unsigned kinds)
{
    sqlite3 *db = attack_begin(h.path);
    for (int kind = 1; kind < 10; kind++) {
        static const char *const ends[] = { "min", "max" };
        int64_t last = -1;
        for (size_t i = 0; i < COUNT(ends); i++) {
            char sql[96];
            (void)snprintf(sql, sizeof sql,
                           "SELECT %s(rowid) FROM aril_rows WHERE kind=%d HAVING count(*)>0",
                           ends[i], kind);
            const int64_t row = attack_number(db, sql);
            if ((kinds >> kind & 1) == 0) {
                assert_int_equal(row, -1);
            } else if (row != last) {
                assert_true(row > 0);
                flip_row(db, row, kind);
                last = row;
            }
        }
    }
    attack_end(db);
    assert_status(attack_open(&h), ARIL_OK); /* everything was put back */
}

static void a_bit_of_any_row_is_noticed(void **state)
{
    (void)state;
    flip_all_rows(0x2fe & ~(1u << 8));
}

static void a_bit_of_any_row_of_a_node_is_noticed(void **state)
{
    (void)state;
    rich_home_done(&h);
    rich_node(&h, &w, "node.aril");
    flip_all_rows(1u << 1 | 1u << 4 | 1u << 8);
}

#define ROOT_SLOT_AT 168u

static void a_bit_of_the_head_is_noticed(void **state)
{
    (void)state;
    sqlite3 *db = attack_begin(h.path);
    flip_column(db, "SELECT mac FROM aril_head", "UPDATE aril_head SET mac=?1", "mac of the head");
    aril_span body = attack_blob(db, "SELECT body FROM aril_head");
    const aril_bytes bytes = { body.data, body.len };
    for (size_t bit = 0; bit < 8 * body.len; bit += SANITIZED ? 3 : 1) {
        body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        attack_with(db, "UPDATE aril_head SET body=?1", &bytes, 1);
        const aril_status st = attack_open(&h);
        const bool in_slot = bit / 8 >= ROOT_SLOT_AT && bit / 8 < ROOT_SLOT_AT + 16;
        /* A slot that the keystore does not have: its own word. */
        if (in_slot ? st != ARIL_E_KEYSTORE_WRONG
                    : st != ARIL_E_AUTH && aril_status_class(st) != ARIL_E_FORMAT) {
            fail_msg("bit %zu of the head: %s: %s", bit, aril_status_name(st), h.error.message);
        }
        body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    attack_with(db, "UPDATE aril_head SET body=?1", &bytes, 1);
    for (size_t len = 0; len < body.len; len++) {
        const aril_bytes cut = { body.data, len };
        attack_with(db, "UPDATE aril_head SET body=?1", &cut, 1);
        assert_noticed(&h, "a head that was cut");
    }
    attack_with(db, "UPDATE aril_head SET body=?1", &bytes, 1);
    free(body.data);
    attack_end(db);
    assert_status(attack_open(&h), ARIL_OK);
}

/* Unused bytes of a page may be anything; what is read may not. */
static void a_flipped_byte_of_the_file_changes_nothing_that_is_read(void **state)
{
    (void)state;
    struct keyring_state before;
    struct keyring_state after;
    home_open(&h);
    assert_status(keyring_state(h.kr, &before, NULL), ARIL_OK);
    home_close(&h);
    aril_span file = home_read(h.path);
    size_t opened = 0;
    size_t tried = 0;
    for (size_t at = 0; at < file.len; at += at < 110 ? 1 : 97) {
        file.data[at] ^= (uint8_t)(1u << at % 8);
        home_write(h.path, file);
        const aril_status st = home_try_open(&h);
        tried++;
        if (st == ARIL_OK) {
            opened++;
            assert_status(keyring_state(h.kr, &after, NULL), ARIL_OK);
            assert_true(keyring_state_equal(&before, &after));
            assert_int_equal(before.info.revision, after.info.revision);
            const char *wrong = keyring_unsound(h.kr);
            if (wrong != NULL) {
                fail_msg("byte %zu: %s", at, wrong);
            }
        } else if (st != ARIL_E_AUTH && aril_status_class(st) != ARIL_E_FORMAT) {
            fail_msg("byte %zu: %s: %s", at, aril_status_name(st), h.error.message);
        }
        home_close(&h);
        temp_clear(temp_path("keys.aril-wal"));
        temp_clear(temp_path("keys.aril-shm"));
        temp_clear(temp_path("keys.aril-journal"));
        file.data[at] ^= (uint8_t)(1u << at % 8);
    }
    print_message("%zu of %zu bytes are not used\n", opened, tried);
    assert_true(opened < tried);
    home_write(h.path, file);
    free(file.data);
    assert_status(attack_open(&h), ARIL_OK);
}

static void a_truncated_file_is_a_format_error(void **state)
{
    (void)state;
    aril_span file = home_read(h.path);
    for (size_t len = 0; len < file.len; len += len < 128 ? 1 : 509) {
        home_write(h.path, (aril_span){ file.data, len });
        const aril_status st = attack_open(&h);
        /* SQLite fills a page that ends early: then it is a row that is wrong. */
        if (aril_status_class(st) != ARIL_E_FORMAT && (st != ARIL_E_AUTH || len < 4096)) {
            fail_msg("%zu of %zu bytes: %s: %s", len, file.len, aril_status_name(st),
                     h.error.message);
        }
        assert_status(len == 0 ? st : ARIL_E_FORMAT_TRUNCATED, ARIL_E_FORMAT_TRUNCATED);
    }
    home_write(h.path, file);
    free(file.data);
    assert_status(attack_open(&h), ARIL_OK);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static int group_setup(void **state)
{
    return provider_setup(state) != 0 || temp_folder_make(state) != 0;
}

static int group_teardown(void **state)
{
    return temp_folder_remove(state) != 0 || provider_teardown(state) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_bit_of_any_row_is_noticed),
        CASE(a_bit_of_any_row_of_a_node_is_noticed),
        CASE(a_bit_of_the_head_is_noticed),
        CASE(a_flipped_byte_of_the_file_changes_nothing_that_is_read),
        CASE(a_truncated_file_is_a_format_error),
    };
    return cmocka_run_group_tests_name("tampered bits", tests, group_setup, group_teardown);
}
