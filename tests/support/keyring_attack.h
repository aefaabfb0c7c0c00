/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_KEYRING_ATTACK_H
#define ARIL_TESTS_KEYRING_ATTACK_H
#include "keyring_fixture.h"
#include <sqlite3.h>

/*
 * Somebody who can write the file of a keyring, and has no keystore: SQL over the closed file,
 * without the checks that a keyring turns on. Every failure fails the test.
 */

/* An authority with rows of all kinds but AUTHORITY, which only nodes have: tenants alice, bob and
 * a shredded one, a node, a backup, a floor, a recovery key, and a rotation of alice under way with
 * a staged wrap. Closed keyring; profile mlkem768. */
void rich_home(struct keyring_home *h, struct world *w, const char *name, unsigned capabilities);
/* Removes what it left besides the file, too. */
void rich_home_done(struct keyring_home *h);
/* The same for a node that took one bundle, with its authority's file gone again. */
void rich_node(struct keyring_home *h, struct world *w, const char *name);

sqlite3 *attack_begin(const char *path);
void attack_end(sqlite3 *db);
/* Runs statements. */
void attack_sql(sqlite3 *db, const char *sql);
/* One statement, which must change exactly one row, with a blob for each ?. */
void attack_with(sqlite3 *db, const char *sql, const aril_bytes *blobs, size_t count);
/* One number, or -1 when there is none. */
int64_t attack_number(sqlite3 *db, const char *sql);
/* One blob; free() data. */
aril_span attack_blob(sqlite3 *db, const char *sql);

/* Opens the file and closes it again: the status of the opening. Also demands that nothing came
 * out and that the error names the file. */
aril_status attack_open(struct keyring_home *h);
/* Demands AUTH or a FORMAT error of it. what is for the message. */
void assert_noticed(struct keyring_home *h, const char *what);
#endif
