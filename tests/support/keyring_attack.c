/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring_attack.h"
#include "base/ensure.h"
#include "keyring/keys.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Keyrings with everything in them --------------------------------------------------------- */

static int stop_at_once(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    (void)done;
    (void)total;
    return 1;
}

/* A wrap that is staged, without the 513 keys that it takes to get there. */
static aril_status stage_one(aril_keyring *kr, const uint8_t child[ARIL_KEY_ID_BYTES],
                             const uint8_t parent[ARIL_KEY_ID_BYTES])
{
    uint8_t body[ARILI_WRAP_BYTES_MAX + 64];
    size_t len;
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(kr, &held));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, 0, &ch, NULL));
    const struct arili_key *key = arili_rowset_key(ch.from, child);
    ARILI_ENSURE(key != NULL, ARIL_E_NOT_FOUND);
    struct arili_staged_row row = { .wrap = key->said.wrap };
    memcpy(row.parent, parent, sizeof row.parent);
    ARILI_TRY(arili_staged_row_write(&row, body, sizeof body, &len));
    ARILI_TRY(arili_change_put(&ch, ARILI_ROW_STAGED, (aril_bytes){ child, ARIL_KEY_ID_BYTES },
                               (aril_bytes){ body, len }));
    return arili_change_commit(&ch, NULL);
}

static void leave_rotation(struct keyring_home *h)
{
    struct key_copy child;
    struct key_copy parent;
    h->config.progress = stop_at_once;
    home_reopen(h);
    assert_status(home_rotate(h, slot_of(ARIL_KEY_TENANT, "alice", NULL)), ARIL_E_INTERRUPTED);
    h->config.progress = NULL;
    home_reopen(h);
    keyring_key(h->kr, slot_of(ARIL_KEY_DATA, "alice", NULL), 0, &child);
    keyring_key(h->kr, slot_of(ARIL_KEY_TENANT, "alice", NULL), 2, &parent);
    assert_int_equal(parent.info.state, ARIL_KEY_PENDING);
    assert_status(stage_one(h->kr, child.info.id, parent.info.id), ARIL_OK);
}

static void make_authority(struct keyring_home *h, struct world *w, const char *name,
                           unsigned capabilities)
{
    home_init(h, w, name, capabilities);
    const aril_keyring_init_config init = { .profile = ARIL_PROFILE_ML_KEM_768,
                                            .recovery_path = temp_path("rich.recovery") };
    home_make_as(h, &init);
    home_tenant(h, "alice");
    home_tenant(h, "bob");
    home_tenant(h, "gone");
}

void rich_home(struct keyring_home *h, struct world *w, const char *name, unsigned capabilities)
{
    struct keyring_home node;
    make_authority(h, w, name, capabilities);
    home_init(&node, w, "rich.node", MEMORY_STORE_ALL);
    home_make_node(&node, h, "node-1");
    assert_status(fleet_enrol(h, &node, "bob"), ARIL_OK);
    home_done(&node);
    assert_status(home_rotate(h, slot_of(ARIL_KEY_DATA, "bob", NULL)), ARIL_OK);
    assert_status(aril_keyring_backup(h->kr, temp_path("rich.backup"), &h->error), ARIL_OK);
    assert_status(aril_keyring_floor_raise(h->kr, TEXT("model"), 7, &h->error), ARIL_OK);
    assert_status(aril_keyring_shred(h->kr, TEXT("gone"), 0, NULL, &h->error), ARIL_OK);
    leave_rotation(h);
    home_close(h);
}

void rich_home_done(struct keyring_home *h)
{
    home_done(h);
    temp_clear(temp_path("rich.recovery"));
    temp_clear(temp_path("rich.backup"));
}

void rich_node(struct keyring_home *h, struct world *w, const char *name)
{
    struct keyring_home authority;
    make_authority(&authority, w, "rich.authority", MEMORY_STORE_ALL);
    home_init(h, w, name, MEMORY_STORE_ALL);
    home_make_node(h, &authority, "node-1");
    assert_status(fleet_enrol(&authority, h, NULL), ARIL_OK);
    assert_status(aril_keyring_shred(authority.kr, TEXT("gone"), 0, NULL, NULL), ARIL_OK);
    fleet_pull(&authority, h);
    home_close(h);
    rich_home_done(&authority);
}

/* --- SQL ------------------------------------------------------------------------------------- */

sqlite3 *attack_begin(const char *path)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    attack_sql(db, "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; "
                   "PRAGMA ignore_check_constraints=ON; PRAGMA writable_schema=ON");
    return db;
}

void attack_end(sqlite3 *db)
{
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

void attack_sql(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    return s;
}

void attack_with(sqlite3 *db, const char *sql, const aril_bytes *blobs, size_t count)
{
    sqlite3_stmt *s = prepare(db, sql);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(sqlite3_bind_blob(s, (int)i + 1,
                                           blobs[i].len > 0 ? (const void *)blobs[i].data : "",
                                           (int)blobs[i].len, SQLITE_STATIC),
                         SQLITE_OK);
    }
    if (sqlite3_step(s) != SQLITE_DONE || sqlite3_changes(db) != 1) {
        fail_msg("%s: %s, %d rows", sql, sqlite3_errmsg(db), sqlite3_changes(db));
    }
    (void)sqlite3_finalize(s);
}

int64_t attack_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = prepare(db, sql);
    const int64_t ret = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : -1;
    (void)sqlite3_finalize(s);
    return ret;
}

aril_span attack_blob(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = prepare(db, sql);
    if (sqlite3_step(s) != SQLITE_ROW) {
        fail_msg("%s: no row", sql);
    }
    aril_span ret = { NULL, (size_t)sqlite3_column_bytes(s, 0) };
    ret.data = malloc(ret.len + 1);
    assert_non_null(ret.data);
    if (ret.len > 0) {
        memcpy(ret.data, sqlite3_column_blob(s, 0), ret.len);
    }
    (void)sqlite3_finalize(s);
    return ret;
}

/* --- What the keyring says ----------------------------------------------------------------------
 */

aril_status attack_open(struct keyring_home *h)
{
    const aril_status st = home_try_open(h);
    if (st == ARIL_OK) {
        assert_non_null(h->kr);
    } else {
        assert_null(h->kr);
    }
    aril_keyring_close(h->kr);
    h->kr = NULL;
    return st;
}

void assert_noticed(struct keyring_home *h, const char *what)
{
    const aril_status st = attack_open(h);
    if (st != ARIL_E_AUTH && aril_status_class(st) != ARIL_E_FORMAT) {
        fail_msg("%s: %s: %s", what, aril_status_name(st), h->error.message);
    }
    if (h->error.message[0] != '\0' && strncmp(h->error.message, h->path, 8) != 0) {
        fail_msg("%s: the message does not name the file: %s", what, h->error.message);
    }
}
