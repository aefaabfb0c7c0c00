/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_NOTIFY_H
#define ARILD_NOTIFY_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/*
 * What a service manager is told, as sd_notify(3) describes it: datagrams to $NOTIFY_SOCKET, a path
 * or "@name" in the abstract name space. Without that variable nothing is sent.
 *
 * Threads: one.
 */

/* Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID, and takes them out of the environment, so
 * that no child speaks for us. */
void notify_init(void);
/* "READY=1": one or more lines. False: there is nobody to tell, or it could not be sent. */
bool notify_send(const char *state);
/* RELOADING=1 with the time that Type=notify-reload wants. */
bool notify_reloading(void);
/* How often WATCHDOG=1 is expected at least; 0: never. */
uint64_t notify_watchdog_us(void);

/* The address of $NOTIFY_SOCKET; false when it is none. */
bool notify_address(const char *text, struct sockaddr_un *ret, socklen_t *ret_len);
#endif
