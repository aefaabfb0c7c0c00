/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_ADMIN_SOCKET_H
#define ARILD_ADMIN_SOCKET_H
#include "proxy/config.h"
#include <sys/types.h>

/* A listening socket on loopback or in the file system; -1: none. */
struct admin_socket {
    int fd;
    struct arili_address address; /* with the port that was taken */
    dev_t device;                 /* of the file of a UNIX socket */
    ino_t inode;
};
/* Statuses as admin_start() has them. */
ARIL_MUST_USE aril_status admin_socket_open(const struct arili_address *address,
                                            struct admin_socket *ret, aril_error *error);
/* Removes the file, when it is still that of this socket. Does not close fd: libevent does. */
void admin_socket_remove(const struct admin_socket *s);
#endif
