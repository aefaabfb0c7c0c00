/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_STANDALONE_H
#define ARILD_STANDALONE_H
#include "proxy/config.h"
#include "redis.h"
#include <limits.h>

/*
 * `arild --standalone`: everything in one folder, for a first try and for small machines. The
 * folder has the keyring with its key file beside it, the private server's data, and a lock.
 */
#define STANDALONE_TENANT     "default"
#define STANDALONE_HOST       "127.0.0.1"
#define STANDALONE_PORT       6379u
#define STANDALONE_ADMIN      "admin.sock" /* in the folder: figures and the status page */
#define STANDALONE_PORT_TRIES 20u          /* where the port is not given: that many in a row */

/* All zero but lock_fd, which is -1, is empty. */
struct standalone {
    char folder[PATH_MAX];
    int lock_fd;
    struct redis *redis;
};

/* Make and lock the folder. data NULL: $XDG_DATA_HOME/aril/standalone, ~/.local/share/...; for root
 * /var/lib/aril/standalone. EXISTS: another arild has it. IO_PERMISSION: others may write to it. */
ARIL_MUST_USE aril_status standalone_open(struct standalone *s, const char *data,
                                          aril_error *error);
/* Its configuration. listen NULL: STANDALONE_HOST and _PORT. */
ARIL_MUST_USE aril_status standalone_config(const struct standalone *s, const char *listen,
                                            struct arili_proxy_config **ret, aril_error *error);
/* Ends the server. */
void standalone_close(struct standalone *s);
#endif
