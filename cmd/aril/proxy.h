/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_PROXY_H
#define ARIL_CMD_PROXY_H
#include "files.h"
#include "proxy/auth.h"

/* What the commands "aril proxy ..." share. Functions that return int print what went wrong and
 * return an exit code, 0 when all is well. */

/* --- the password file (proxy_file.c) --------------------------------------------------------- */

/* All zero but command, path and folder is the empty state; folder is -1 there. */
struct proxy_file {
    const char *command, *path;
    aril_runtime *rt;
    int folder; /* locked while the file is changed */
    bool exists;
    struct stat info;                      /* of the file, when it exists */
    struct file_contents text;             /* of the file */
    struct arili_credentials *credentials; /* what text says */
};
#define PROXY_FILE_NEW(command_, path_)                      \
    {                                                        \
        .command = (command_), .path = (path_), .folder = -1 \
    }

/* To look at: the file must exist. */
int proxy_file_open(struct proxy_file *f);
/* To change: nobody else does meanwhile, and a file that is not there is an empty one. */
int proxy_file_edit(struct proxy_file *f);
void proxy_file_close(struct proxy_file *f);
/* The credential of that name, or NULL. */
const struct arili_credential *proxy_file_find(const struct proxy_file *f, const char *tenant,
                                               const char *name);
/* Write the file with line in the place of old, which may be NULL: at the end; line may be NULL:
 * old is removed. The file has the old text or the new one, whole, with the same owner and mode;
 * a new file is 0600. */
int proxy_file_write(struct proxy_file *f, const struct arili_credential *old, const char *line);

/* --- what token and passwd share (proxy_list.c) ----------------------------------------------- */

/* tenant: NULL for all. */
int proxy_list(const char *command, const char *path, const char *tenant, bool json);
int proxy_remove(const char *command, const char *path, const char *tenant, const char *name,
                 enum arili_credential_kind kind, bool json);
const char *proxy_kind_name(enum arili_credential_kind kind);
/* What messages call a credential: its name in quotes, and whose it is. */
#define PROXY_SUBJECT_TEXT 1200
const char *proxy_subject(const char *tenant, const char *name, char ret[PROXY_SUBJECT_TEXT]);

/* --- the subcommands -------------------------------------------------------------------------- */

int proxy_token(int argc, char **argv);
int proxy_passwd(int argc, char **argv);
#endif
