/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_BASE_FILES_H
#define ARILI_BASE_FILES_H
#include <aril/base.h>
#include <stdbool.h>

/* Whole small files: keys, trust lists, configuration. Paths are NUL-terminated and
 * shorter than ARILI_FILE_PATH_BYTES. On failure *error, when there is one, names
 * the file, the reason and the remedy. */
#define ARILI_FILE_PATH_BYTES 4096u

/* What a file must be before its content is believed. */
enum {
    /* Owned by the effective user; no permission at all for group and others. */
    ARILI_FILE_SECRET = 1u << 0,
    /* Owned by the effective user; not writable by group and others. */
    ARILI_FILE_TRUSTED = 1u << 1,
    /* root as the owner is as good as the effective user. */
    ARILI_FILE_ROOT_MAY_OWN = 1u << 2,
    /* With SECRET: the group may read what root owns. That is how an access list for one user
     * shows, and how systemd lets a service read its credentials. */
    ARILI_FILE_ROOT_MAY_SHARE = 1u << 3,
};

/* All zero is empty. */
struct arili_file {
    uint8_t *data; /* owned; not NULL after a read, also of an empty file */
    size_t len;
    size_t alloc_bytes; /* of data, for arili_free() */
};

/*
 * Read a regular file of at most bytes_max bytes. The last component of the path
 * may not be a symbolic link, and nothing that could block is waited for. checks is
 * a set of ARILI_FILE_*; owner and mode are those of the file that was opened.
 *
 *   ARIL_E_NOT_FOUND      there is no such file
 *   ARIL_E_IO_PERMISSION  owner or mode are not as checks demands
 *   ARIL_E_LIMIT          longer than bytes_max
 *   ARIL_E_IO             cannot be opened or read, is not a regular file, changed
 *   ARIL_E_NOMEM
 *
 * *ret is all zero on failure. End it with arili_file_done().
 */
ARIL_MUST_USE aril_status arili_file_read(const char *path, size_t bytes_max, unsigned checks,
                                          struct arili_file *ret, aril_error *error);
/* Wipes and releases; *file is all zero then. */
void arili_file_done(struct arili_file *file);

enum arili_file_mode {
    ARILI_FILE_MODE_PRIVATE = 0600,
    ARILI_FILE_MODE_PUBLIC = 0644, /* less the umask */
};

/*
 * Write a file whole: temporary file in the same folder, fsync, then the name, then
 * fsync of the folder. After a crash the path has the old file or the new one. A
 * temporary file that a crash leaves is named ".aril-*.tmp" and has the mode of the
 * new one. With replace, a file or symbolic link of that name is replaced, else it
 * is left alone.
 *
 *   ARIL_E_EXISTS     there is such a file, unchanged
 *   ARIL_E_NOT_FOUND  the folder does not exist
 *   ARIL_E_IO         the path has the old file; only if the last fsync, of the
 *                     folder, failed has it the new one, and the message says so
 */
ARIL_MUST_USE aril_status arili_file_write(const char *path, aril_bytes content,
                                           enum arili_file_mode mode, bool replace,
                                           aril_error *error);
#endif
