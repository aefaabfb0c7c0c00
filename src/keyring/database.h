/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_DATABASE_H
#define ARILI_KEYRING_DATABASE_H
#include <aril/base.h>
#include <stdbool.h>

/*
 * The file of a keyring as SQLite keeps it: a head and rows of bytes. Knows nothing of what they
 * mean, and believes nothing: who may write the file may write anything, so types, lengths and
 * the schema are checked here, and the rest by MACs above.
 *
 * One thread at a time. ARIL_E_TIMEOUT when another process holds the file for longer than
 * busy_ms; ARIL_E_IO (class), ARIL_E_FORMAT (class), ARIL_E_NOT_FOUND, ARIL_E_NOMEM. Messages
 * name the file and the remedy.
 */
struct arili_database;

/* create: the file must not exist; it gets mode 0600 and an empty schema. */
ARIL_MUST_USE aril_status arili_database_open(const char *path, bool create, uint32_t busy_ms,
                                              struct arili_database **ret, aril_error *error);
/* Removes a file that did not come to be, with what SQLite left beside it. It is closed. */
void arili_database_remove(const char *path);
/* A transaction under way is rolled back. NULL is fine. */
void arili_database_close(struct arili_database *db);
void arili_database_closep(struct arili_database **db);
/* Forgets the handle in a forked child, where SQLite must not be called. */
void arili_database_abandon(struct arili_database *db);
const char *arili_database_path(const struct arili_database *db);

/* Receives what arili_database_read() finds: the head first, then rows by kind and id. Spans are
 * valid for the call. A failure ends the reading and is its result. */
struct arili_database_reader {
    void *user;
    aril_status (*head)(void *user, aril_bytes body, aril_bytes mac);
    aril_status (*row)(void *user, uint8_t kind, aril_bytes id, aril_bytes body, aril_bytes mac);
};
/* One consistent state of the file; inside a transaction, that of the transaction. */
ARIL_MUST_USE aril_status arili_database_read(struct arili_database *db,
                                              const struct arili_database_reader *reader,
                                              aril_error *error);
/* A number that changes when another process or handle has changed the file. */
ARIL_MUST_USE aril_status arili_database_version(struct arili_database *db, uint32_t *ret,
                                                 aril_error *error);

/* A write transaction. Nobody else writes until it ends. */
ARIL_MUST_USE aril_status arili_database_begin(struct arili_database *db, aril_error *error);
ARIL_MUST_USE aril_status arili_database_put(struct arili_database *db, uint8_t kind, aril_bytes id,
                                             aril_bytes body, aril_bytes mac, aril_error *error);
ARIL_MUST_USE aril_status arili_database_erase(struct arili_database *db, uint8_t kind,
                                               aril_bytes id, aril_error *error);
ARIL_MUST_USE aril_status arili_database_put_head(struct arili_database *db, aril_bytes body,
                                                  aril_bytes mac, aril_error *error);
/* After a failure the transaction is gone and the file as before. */
ARIL_MUST_USE aril_status arili_database_commit(struct arili_database *db, aril_error *error);
void arili_database_rollback(struct arili_database *db);

/* A consistent copy. The file must not exist; on failure it does not. */
ARIL_MUST_USE aril_status arili_database_copy(struct arili_database *db, const char *path,
                                              aril_error *error);
#endif
