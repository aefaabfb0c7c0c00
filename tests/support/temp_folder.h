/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_TEMP_FOLDER_H
#define ARIL_TESTS_TEMP_FOLDER_H
#include <aril/base.h>
#include <stdbool.h>

/* A folder of the test's own below $TMPDIR, and small files in it. Every failure
 * fails the test that runs. One folder at a time, one thread. */

/* For a group's set-up and tear-down: 0 on success. The end removes all files. */
int temp_folder_make(void **state);
int temp_folder_remove(void **state);
/* The same in memory, where the system has /dev/shm, unless $TMPDIR says otherwise: for tests whose
 * many commits would wait for a disk. */
int temp_folder_make_quick(void **state);

/* The path of a name in the folder. Eight results are kept at a time. */
const char *temp_path(const char *name);
/* A path that is not there any more, whatever it was. */
void temp_clear(const char *path);
/* Writes the whole file, replacing one, with exactly this mode. Returns its path. */
const char *temp_write(const char *name, unsigned mode, aril_bytes content);
/* At most cap bytes; the number that there were. */
size_t file_read(const char *path, void *ret, size_t cap);
#endif
