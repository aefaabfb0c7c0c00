/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_FILES_H
#define ARIL_CMD_FILES_H
#include <aril/base.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* Files that commands read and write whole. "-" is standard input or output. The functions
 * print what went wrong and return an exit code, 0 when all is well. */

#define FILES_BYTES_MAX ((size_t)1 << 30)

struct file_contents {
    uint8_t *data; /* owned; NULL when empty */
    size_t len;
    size_t cap;
};

int file_read(const char *command, const char *path, size_t max, struct file_contents *ret);

/* Wipes: what is signed may be secret. */
void file_contents_free(struct file_contents *contents);

static inline aril_bytes file_bytes(const struct file_contents *contents)
{
    return (aril_bytes){ contents->data, contents->len };
}

/* A file of secrets is nobody else's: its mode and its owner. Standard input is anybody's. */
int file_check_secret(const char *command, const char *path);

/* Whether the file begins with text. False also when it cannot be read: the reader that
 * comes next reports that. */
bool file_begins(const char *path, const char *text);

/* Temporary file, fsync, link or rename, fsync of the folder. Without force a file that
 * exists is left alone. Bytes that are not text do not go to a terminal. */
int file_write(const char *command, const char *path, aril_bytes bytes, bool force);

/* The same without a word: 0, or the errno of what failed; EEXIST without force. */
int file_store(const char *path, aril_bytes bytes, bool force);

/* Replace a file by one with the same owner, group and mode, which like has. 0, or errno. */
int file_replace(const char *path, aril_bytes bytes, const struct stat *like);
#endif
