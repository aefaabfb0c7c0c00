/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody who can only write the file moves whole rows, and whole heads: swaps, deletes, repeats,
 * brings old ones back, brings those of another keyring. And plants keys. */
#include "base/ensure.h"
#include "keyring_attack.h"
#include "keyring/keys.h"
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
    rich_home(&h, &w, "keys.aril", 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rich_home_done(&h);
    world_done(&w);
    return 0;
}

/* Each statement is tried on a fresh copy of the file. */
static void try_all(const char *const *statements, size_t count)
{
    aril_span file = home_read(h.path);
    for (size_t i = 0; i < count; i++) {
        sqlite3 *db = attack_begin(h.path);
        attack_sql(db, statements[i]);
        assert_true(sqlite3_total_changes(db) > 0 || strncmp(statements[i], "CREATE", 6) == 0 ||
                    strncmp(statements[i], "DROP", 4) == 0);
        attack_end(db);
        assert_noticed(&h, statements[i]);
        home_write(h.path, file);
    }
    assert_status(attack_open(&h), ARIL_OK);
    free(file.data);
}

static void rows_that_are_swapped_are_noticed(void **state)
{
    (void)state;
    sqlite3 *db = attack_begin(h.path);
    const int64_t count = attack_number(db, "SELECT count(*) FROM aril_rows");
    attack_end(db);
    assert_true(count > 15);
    static const char *const columns[] = { "body", "mac", "body=(SELECT body FROM r), mac" };
    aril_span file = home_read(h.path);
    for (int64_t a = 1; a < count; a += 2) {
        for (size_t c = 0; c < COUNT(columns); c++) {
            char sql[512];
            const char *const last = c == 2 ? "mac" : columns[c];
            (void)snprintf(sql, sizeof sql,
                           "CREATE TEMP TABLE r AS SELECT * FROM aril_rows ORDER BY rowid LIMIT 1 "
                           "OFFSET %lld; CREATE TEMP TABLE s AS SELECT * FROM aril_rows ORDER BY "
                           "rowid LIMIT 1 OFFSET %lld; UPDATE aril_rows SET %s=(SELECT %s FROM r) "
                           "WHERE id=(SELECT id FROM s) AND kind=(SELECT kind FROM s)",
                           (long long)a - 1, (long long)a, columns[c], last);
            db = attack_begin(h.path);
            attack_sql(db, sql);
            attack_end(db);
            assert_noticed(&h, sql);
            home_write(h.path, file);
        }
    }
    free(file.data);
}

static void rows_that_are_gone_or_too_many_are_noticed(void **state)
{
    (void)state;
    static const char *const statements[] = {
        "DELETE FROM aril_rows WHERE kind=1",
        "DELETE FROM aril_rows WHERE kind=2",
        "DELETE FROM aril_rows WHERE kind=3",
        "DELETE FROM aril_rows WHERE kind=4",
        "DELETE FROM aril_rows WHERE kind=5",
        "DELETE FROM aril_rows WHERE kind=6",
        "DELETE FROM aril_rows WHERE kind=7",
        "DELETE FROM aril_rows WHERE kind=9",
        "DELETE FROM aril_rows",
        "DELETE FROM aril_head",
        "DELETE FROM aril_rows WHERE rowid=(SELECT max(rowid) FROM aril_rows WHERE kind=1)",
        "INSERT INTO aril_rows SELECT kind, x'00', body, mac FROM aril_rows WHERE kind=7",
        "INSERT INTO aril_rows SELECT 8, id, body, mac FROM aril_rows WHERE kind=7",
        "INSERT INTO aril_rows SELECT 1, zeroblob(32), body, mac FROM aril_rows LIMIT 1",
        "INSERT INTO aril_rows VALUES(4, x'626f62', zeroblob(60), zeroblob(32))",
        "INSERT INTO aril_rows VALUES(9, x'00', x'', x'')",
        "INSERT INTO aril_rows VALUES(10, x'00', x'', x'')",
        "INSERT INTO aril_rows VALUES(-1, x'00', x'', x'')",
        "INSERT INTO aril_rows VALUES(257, x'00', x'', x'')",
        "INSERT INTO aril_rows VALUES(7, zeroblob(256), x'', x'')",
        "INSERT INTO aril_rows VALUES(7, zeroblob(200000), x'', x'')",
        "INSERT INTO aril_rows VALUES(7, x'00', zeroblob(65536), zeroblob(32))",
        "INSERT INTO aril_rows VALUES(7, x'00', zeroblob(10000000), zeroblob(32))",
        "INSERT INTO aril_rows VALUES(7, x'00', x'0000000000000000', zeroblob(65))",
        "INSERT INTO aril_head SELECT 2, body, mac FROM aril_head",
        "INSERT INTO aril_head SELECT 0, body, mac FROM aril_head",
        "INSERT INTO aril_head SELECT -1, zeroblob(8), x'' FROM aril_head",
        "UPDATE aril_head SET one=2",
        "UPDATE aril_head SET body=zeroblob(8193)",
        "UPDATE aril_head SET body=zeroblob(10000000)",
        "UPDATE aril_head SET mac=x''",
        "UPDATE aril_rows SET mac=x''",
    };
    try_all(statements, COUNT(statements));
}

static void other_types_are_noticed(void **state)
{
    (void)state;
    static const char *const statements[] = {
        "UPDATE aril_rows SET kind='key' WHERE kind=7",
        "UPDATE aril_rows SET kind=7.5 WHERE kind=7",
        "UPDATE aril_rows SET kind=x'07' WHERE kind=7",
        "UPDATE aril_rows SET id=CAST(id AS TEXT) WHERE kind=7",
        "UPDATE aril_rows SET id=CAST(id AS TEXT) WHERE kind=4",
        "UPDATE aril_rows SET id=7 WHERE kind=7",
        "UPDATE aril_rows SET id='' WHERE kind=9",
        "UPDATE aril_rows SET body=CAST(body AS TEXT) WHERE kind=6",
        "UPDATE aril_rows SET body=7 WHERE kind=7",
        "UPDATE aril_rows SET body=7.0 WHERE kind=7",
        "UPDATE aril_rows SET mac=CAST(mac AS TEXT) WHERE kind=7",
        "UPDATE aril_rows SET mac=1 WHERE kind=7",
        "UPDATE aril_head SET body=CAST(body AS TEXT)",
        "UPDATE aril_head SET mac=CAST(mac AS TEXT)",
        "UPDATE aril_head SET mac=0",
    };
    try_all(statements, COUNT(statements));
}

static void another_schema_is_noticed(void **state)
{
    (void)state;
    static const char *const statements[] = {
        "CREATE TABLE other(x)",
        "CREATE VIEW other AS SELECT * FROM aril_rows",
        "CREATE INDEX other ON aril_rows(mac)",
        "CREATE TRIGGER other AFTER INSERT ON aril_rows BEGIN DELETE FROM aril_rows; END",
        "CREATE TABLE other(x PRIMARY KEY) WITHOUT ROWID",
        "CREATE VIRTUAL TABLE other USING fts5(x)",
        "DROP TABLE aril_head",
        "DROP TABLE aril_rows",
        "DROP TABLE aril_head; CREATE VIEW aril_head AS SELECT 1 AS one, body, mac FROM aril_rows",
        "UPDATE sqlite_schema SET sql=sql || ' ' WHERE name='aril_rows'",
        "UPDATE sqlite_schema SET sql=replace(sql, 'CHECK(one=1)', 'CHECK(one<9)')",
        "UPDATE sqlite_schema SET name='aril_heads' WHERE name='aril_head'",
        "DELETE FROM sqlite_schema WHERE type='index'",
    };
    try_all(statements, COUNT(statements));
}

/* --- Older rows, and those of another keyring --------------------------------------------------
 */

/* Two states of the file, and every mix of head and rows of both. */
static void mix(const char *older)
{
    static const char *const mixes[] = {
        "UPDATE aril_head SET body=(SELECT body FROM o.aril_head), mac=(SELECT mac FROM "
        "o.aril_head)",
        "UPDATE aril_head SET mac=(SELECT mac FROM o.aril_head)",
        "UPDATE aril_head SET body=(SELECT body FROM o.aril_head)",
        "DELETE FROM aril_rows; INSERT INTO aril_rows SELECT * FROM o.aril_rows",
        "UPDATE aril_rows AS n SET body=p.body, mac=p.mac FROM o.aril_rows AS p WHERE "
        "p.kind=n.kind "
        "AND p.id=n.id AND p.mac!=n.mac",
        "INSERT OR IGNORE INTO aril_rows SELECT * FROM o.aril_rows; SELECT 1",
        "UPDATE aril_rows AS n SET body=p.body, mac=p.mac FROM o.aril_rows AS p WHERE "
        "p.kind=n.kind "
        "AND n.kind=7",
    };
    aril_span file = home_read(h.path);
    for (size_t i = 0; i < COUNT(mixes); i++) {
        char attach[HOME_PATH_BYTES + 32];
        sqlite3 *db = attack_begin(h.path);
        (void)snprintf(attach, sizeof attach, "ATTACH '%s' AS o", older);
        attack_sql(db, attach);
        attack_sql(db, mixes[i]);
        const bool changed = sqlite3_total_changes(db) > 0;
        attack_end(db);
        if (changed) {
            assert_noticed(&h, mixes[i]);
        }
        home_write(h.path, file);
    }
    free(file.data);
    assert_status(attack_open(&h), ARIL_OK);
}

static void an_older_version_of_some_rows_is_noticed(void **state)
{
    (void)state;
    aril_span old = home_read(h.path);
    const char *path = temp_path("older");
    home_write(path, old);
    home_open(&h);
    assert_status(aril_keyring_floor_raise(h.kr, TEXT("model"), 8, NULL), ARIL_OK);
    assert_status(aril_keyring_node_revoke(h.kr, TEXT("node-1"), 0, NULL, NULL), ARIL_OK);
    assert_status(home_rotate(&h, slot_of(ARIL_KEY_DATA, "bob", NULL)), ARIL_OK);
    home_close(&h);
    mix(path);
    /* The other way round: newer rows under the older head. */
    aril_span fresh = home_read(h.path);
    home_write(path, fresh);
    home_write(h.path, old);
    mix(path);
    temp_clear(path);
    free(old.data);
    free(fresh.data);
}

static void rows_of_another_keyring_are_noticed(void **state)
{
    (void)state;
    struct keyring_home other;
    home_init(&other, &w, "other.aril", 0);
    memory_backing_free(other.backing);
    other.backing = h.backing; /* also with the same keystore */
    home_make(&other, ARIL_PROFILE_ML_KEM_768, NULL);
    home_tenant(&other, "bob");
    assert_status(aril_keyring_floor_raise(other.kr, TEXT("model"), 9, NULL), ARIL_OK);
    home_close(&other);
    mix(other.path);
    other.backing = NULL;
    home_done(&other);
}

/* --- Planted keys ------------------------------------------------------------------------------
 */

/* A row with a MAC under a key that somebody made up. */
static void a_row_with_a_mac_of_another_key_is_noticed(void **state)
{
    (void)state;
    struct keyring_home other;
    home_init(&other, &w, "other.aril", 0);
    home_make(&other, ARIL_PROFILE_ML_KEM_768, NULL);
    static const size_t places[] = { 1, 8 + 7, 24 + 7, 40 + 7, 114, 116 };
    home_close(&h);
    aril_span file = home_read(h.path);
    for (size_t i = 0; i < COUNT(places); i++) {
        sqlite3 *db = attack_begin(h.path);
        const char *const which = "FROM aril_rows WHERE kind=1 AND substr(body, 1, 1)=x'07' AND "
                                  "substr(body, 2, 1)=x'02' LIMIT 1";
        char sql[256];
        (void)snprintf(sql, sizeof sql, "SELECT body %s", which);
        aril_span body = attack_blob(db, sql);
        (void)snprintf(sql, sizeof sql, "SELECT id %s", which);
        aril_span id = attack_blob(db, sql);
        body.data[places[i]] ^= 1u; /* state, dates, owner */
        struct arili_row *row = NULL;
        uint8_t mac[ARILI_HASH_BYTES_MAX];
        assert_status(arili_row_new(ARILI_ROW_KEY, (aril_bytes){ id.data, id.len },
                                    (aril_bytes){ body.data, body.len }, &row),
                      ARIL_OK);
        struct arili_macs macs = arili_keyring_macs(other.kr);
        aril_span head = attack_blob(db, "SELECT body FROM aril_head");
        memcpy(macs.keyring_id, head.data + 8, sizeof macs.keyring_id);
        assert_status(arili_row_mac_compute(&macs, row, mac), ARIL_OK);
        arili_row_drop(row);
        const aril_bytes blobs[] = { { body.data, body.len },
                                     { mac, arili_hash_bytes(macs.hash) },
                                     { id.data, id.len } };
        attack_with(db, "UPDATE aril_rows SET body=?1, mac=?2 WHERE kind=1 AND id=?3", blobs, 3);
        attack_end(db);
        assert_noticed(&h, "a MAC of another key");
        home_write(h.path, file);
        free(body.data);
        free(id.data);
        free(head.data);
    }
    free(file.data);
    home_done(&other);
}

/* Even where the MACs did not exist: a wrap needs the PSK of its parent. */
static aril_status plant(aril_keyring *kr, const struct arili_hpke_psk *psk,
                         uint8_t ret_id[ARIL_KEY_ID_BYTES])
{
    uint8_t info[ARILI_WRAP_INFO_BYTES_MAX];
    uint8_t wrap[ARILI_WRAP_BYTES_MAX];
    size_t len;
    struct arili_payload p = { .len = 0 };
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(kr, &held));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, 0, &ch, NULL));
    const aril_key_slot slot = slot_of(ARIL_KEY_DATA, "bob", NULL);
    const struct arili_key *key = arili_slot_active(ch.from, &slot);
    const struct arili_key *parent = arili_slot_parent(ch.from, &slot);
    ARILI_ENSURE(key != NULL && parent != NULL, ARIL_E_NOT_FOUND);
    const struct arili_crypto *c = &kr->rt->crypto;
    ARILI_TRY(arili_payload_draw(c, kr->profile, ARIL_KEY_DATA, &p));
    ARILI_TRY(arili_payload_id(c, kr->profile, &p, ret_id));
    struct arili_key_row said = key->said;
    said.version++;
    memcpy(said.predecessor, arili_key_id(key), sizeof said.predecessor);
    ARILI_TRY(arili_wrap_info_write(kr->id, ret_id, &said, info, sizeof info, &len));
    ARILI_TRY(arili_hpke_seal_once(c, arili_wrap_suite(kr->profile, ARIL_KEY_TENANT),
                                   parent->said.public_key, (aril_bytes){ info, len }, psk,
                                   (aril_bytes){ NULL, 0 }, arili_payload_bytes(&p), wrap,
                                   sizeof wrap, &said.wrap.len));
    said.wrap.data = wrap;
    ARILI_TRY(arili_change_put_key(&ch, ret_id, &said));
    ARILI_TRY(arili_key_set_state(&ch, key, ARIL_KEY_DECRYPT_ONLY));
    return arili_change_commit(&ch, NULL);
}

static void a_planted_key_is_not_used_even_with_a_right_mac(void **state)
{
    (void)state;
    static const uint8_t guess[32] = { 1 };
    const struct arili_hpke_psk wrong = { { guess, sizeof guess }, TEXT("id") };
    const struct arili_hpke_psk *const psks[] = { NULL, &wrong };
    aril_span file = home_read(h.path);
    for (size_t i = 0; i < COUNT(psks); i++) {
        uint8_t id[ARIL_KEY_ID_BYTES];
        struct sealed_box box;
        aril_tenant_key *key = NULL;
        home_open(&h);
        assert_status(plant(h.kr, psks[i], id), ARIL_OK);
        home_reopen(&h);
        assert_status(box_seal(h.kr, "bob", &box, &h.error), ARIL_E_AUTH);
        assert_error(&h.error, ARIL_E_AUTH, "restore a backup");
        assert_status(aril_keyring_key_by_id(h.kr, TEXT("bob"), id, &key, &h.error), ARIL_E_AUTH);
        assert_null(key);
        assert_status(aril_keyring_verify(h.kr, NULL, NULL, &h.error), ARIL_E_AUTH);
        home_close(&h);
        home_write(h.path, file);
    }
    free(file.data);
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
        CASE(rows_that_are_swapped_are_noticed),
        CASE(rows_that_are_gone_or_too_many_are_noticed),
        CASE(other_types_are_noticed),
        CASE(another_schema_is_noticed),
        CASE(an_older_version_of_some_rows_is_noticed),
        CASE(rows_of_another_keyring_are_noticed),
        CASE(a_row_with_a_mac_of_another_key_is_noticed),
        CASE(a_planted_key_is_not_used_even_with_a_right_mac),
    };
    return cmocka_run_group_tests_name("tampered rows", tests, group_setup, group_teardown);
}
