/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_ACCEPTOR_H
#define ARILD_ACCEPTOR_H
#include "driver.h"
#include "listen.h"
#include <event2/event.h>

/*
 * Accepts clients on the main thread and deals them out to the threads in turn: that is the same
 * for TCP and UNIX sockets, and one place knows what to do when descriptors are short. Then one
 * that is kept in reserve takes the connection and closes it, so that the client is told instead of
 * waiting, and after that nothing is accepted for a moment.
 */
struct acceptor;
#define ACCEPT_PAUSE_MS   100u
#define ACCEPT_TURN       64u  /* connections of one listener before others have their turn */
#define ACCEPT_SHAKES_MAX 256u /* sockets beyond clients_max: those in their handshakes */

/* listeners are borrowed until acceptor_free(). */
ARIL_MUST_USE aril_status acceptor_new(struct event_base *base, struct driver *driver,
                                       struct listener *listeners, size_t count,
                                       uint32_t clients_max, struct acceptor **ret);
void acceptor_set_clients_max(struct acceptor *a, uint32_t clients_max);
void acceptor_free(struct acceptor *a); /* accepts NULL */
#endif
