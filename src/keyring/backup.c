/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "keyring/change.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKUP_ID_BYTES 16u

static aril_status put_backup(struct arili_change *ch, const uint8_t id[BACKUP_ID_BYTES],
                              const struct arili_backup_row *row)
{
    uint8_t body[ARILI_FILE_PATH_BYTES + 64];
    size_t len;
    ARILI_TRY(arili_backup_row_write(row, body, sizeof body, &len));
    return arili_change_put(ch, ARILI_ROW_BACKUP, (aril_bytes){ id, BACKUP_ID_BYTES },
                            (aril_bytes){ body, len });
}

/* Before the copy is made: a copy that nobody knows of would never be asked for. */
static aril_status announce(aril_keyring *kr, const char *path, uint8_t ret_id[BACKUP_ID_BYTES],
                            aril_error *error)
{
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, ARILI_CHANGE_LOCKED_TOO | ARILI_CHANGE_ANY_CLOCK, &ch, error));
    ARILI_TRY(kr->rt->crypto.ops->random(kr->rt->crypto.provider, ret_id, BACKUP_ID_BYTES));
    const struct arili_backup_row row = { .time_s = ch.now_s,
                                          .generation = ch.head.generation,
                                          .path = { (const uint8_t *)path, strlen(path) } };
    ARILI_TRY(put_backup(&ch, ret_id, &row));
    return arili_change_commit(&ch, error);
}

static aril_status take_back(aril_keyring *kr, const uint8_t id[BACKUP_ID_BYTES])
{
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(kr, ARILI_CHANGE_LOCKED_TOO | ARILI_CHANGE_ANY_CLOCK, &ch, NULL));
    ARILI_TRY(arili_change_erase(&ch, ARILI_ROW_BACKUP, (aril_bytes){ id, BACKUP_ID_BYTES }));
    return arili_change_commit(&ch, NULL);
}

aril_status aril_keyring_backup(aril_keyring *keyring, const char *path, aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && path != NULL, ARIL_E_USAGE_NULL);
    const size_t len = strlen(path);
    ARILI_ENSURE(len > 0 && len < ARILI_FILE_PATH_BYTES, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    struct stat there;
    if (lstat(path, &there) == 0) {
        return arili_error_set(error, ARIL_E_EXISTS,
                               "%s is there already and was left alone; choose another name", path);
    }
    uint8_t id[BACKUP_ID_BYTES];
    ARILI_TRY(announce(keyring, path, id, error));
    const aril_status st = arili_database_copy(keyring->db, path, error);
    if (st != ARIL_OK) {
        const aril_status ignored = take_back(keyring, id);
        (void)ignored;
        return st;
    }
    return arili_keyring_tell(keyring, ARIL_EVENT_KEYRING, "backup", ARIL_OK,
                              (aril_bytes){ NULL, 0 }, NULL, NULL);
}

aril_status aril_keyring_backups(aril_keyring *keyring, aril_backup_visit_fn *visit, void *user,
                                 aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && visit != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(aril_keyring_refresh(keyring, NULL, error));
    ARILI_DEFER(arili_rowset_dropp) struct arili_rowset *set = arili_keyring_rows(keyring);
    size_t count;
    const size_t first = arili_rowset_kind(set, ARILI_ROW_BACKUP, &count);
    for (size_t i = first; i < first + count; i++) {
        struct arili_backup_row row;
        ARILI_TRY(arili_backup_row_parse(arili_row_body(set->rows[i]), &row));
        ARILI_ENSURE(set->rows[i]->id_len == BACKUP_ID_BYTES, ARIL_E_FORMAT_LENGTH);
        aril_backup_info info = { .created_s = row.time_s,
                                  .generation = row.generation,
                                  .path = row.path,
                                  .destroyed = row.destroyed };
        memcpy(info.id, set->rows[i]->bytes, sizeof info.id);
        if (visit(user, &info) != 0) {
            break;
        }
    }
    return ARIL_OK;
}

aril_status aril_keyring_backup_destroyed(aril_keyring *keyring, const uint8_t id[BACKUP_ID_BYTES],
                                          aril_error *error)
{
    ARILI_ENSURE(keyring != NULL && id != NULL, ARIL_E_USAGE_NULL);
    ARILI_DEFER(arili_keyring_leavep) aril_keyring *held = NULL;
    ARILI_TRY(arili_keyring_enter(keyring, &held));
    ARILI_DEFER(arili_change_done) struct arili_change ch = { 0 };
    ARILI_TRY(arili_change_begin(keyring, ARILI_CHANGE_ANY_CLOCK, &ch, error));
    const struct arili_row *row =
        arili_rowset_find(ch.from, ARILI_ROW_BACKUP, (aril_bytes){ id, BACKUP_ID_BYTES });
    if (row == NULL) {
        return arili_error_set(error, ARIL_E_NOT_FOUND, "%s knows no backup of that id",
                               keyring->path);
    }
    struct arili_backup_row said;
    ARILI_TRY(arili_backup_row_parse(arili_row_body(row), &said));
    said.destroyed = true;
    ARILI_TRY(put_backup(&ch, id, &said));
    return arili_change_commit(&ch, error);
}
