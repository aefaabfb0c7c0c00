/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_LISTEN_H
#define ARILD_LISTEN_H
#include "process.h"
#include "proxy/config.h"
#include "proxy/loop.h"
#include <sys/socket.h>

/* Sockets that clients connect to. */

#define LISTEN_BACKLOG 1024

/* fd < 0 is the empty state. */
struct listener {
    int fd;
    uint32_t index; /* in the configuration */
    bool made_path; /* the socket file is ours, to be removed */
    dev_t device;   /* which file that is */
    ino_t inode;
    struct arili_address address; /* with the port that was taken, for port 0 */
};

/*
 * Bind and listen. A UNIX socket gets the mode of the configuration, and the owner that we are
 * going to be; the file of a socket that nobody listens at any more is replaced, every other file
 * is left alone. "*" as host: all addresses, IPv6 and IPv4.
 * Sockets that a service manager handed over (listen_inherit) are used where the address is theirs.
 *
 *   EXISTS      somebody listens there, or the path is no socket
 *   NOT_FOUND   the host has no address
 *   IO (class)
 */
ARIL_MUST_USE aril_status listen_open(const struct arili_listen_config *config, uint32_t index,
                                      const struct process_user *owner, struct listener *ret,
                                      aril_error *error);
/* Also removes the socket file, when it is still the one that was made. */
void listen_close(struct listener *listener);

/* Take over what $LISTEN_FDS says (sd_listen_fds(3)); how many there are. Once, at the start. */
size_t listen_inherit(void);
/* How many of them no listener has taken. */
size_t listen_inherited_left(void);

/* What is known of the other end of an accepted socket. */
void listen_identify(int fd, struct arili_identity *ret);
#endif
