/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_ADMIN_H
#define ARILD_ADMIN_H
#include "proxy/proxy.h"

/*
 * The admin listener: figures, health and the status page over HTTP/1.1, for GET and HEAD, on
 * loopback or a UNIX socket. docs/OPERATIONS.md lists the paths. It is a server of its own on
 * libevent's buffers, not evhttp: that of libevent 2.1 bounds neither the number of connections nor
 * the time of a whole request, so a local user could take all descriptors of the daemon.
 *
 * Threads: that of base, for all functions here. It calls arili_proxy_metrics(), _status_json() and
 * _ready() there.
 */
#define ADMIN_CONNECTIONS_MAX 32u   /* more wait in the listener's queue */
#define ADMIN_DEADLINE_MS     5000u /* of a connection, from accept to close */

struct admin;
struct event_base;

/*
 * Begin to listen. *ret is NULL with ARIL_OK where the configuration has no [admin]; base and proxy
 * are borrowed until admin_stop(). A socket that a dead process left is replaced.
 * USAGE_RANGE: the address is not loopback. EXISTS: somebody listens there. IO (class), NOMEM.
 */
ARIL_MUST_USE aril_status admin_start(struct event_base *base, struct arili_proxy *proxy,
                                      const struct arili_proxy_config *config, struct admin **ret,
                                      aril_error *error);
/* Ends all connections and removes the socket. Accepts NULL. */
void admin_stop(struct admin *admin);
/* Where it listens, with the port that was taken where 0 was asked for. */
void admin_address(const struct admin *admin, struct arili_address *ret);
/* For connections that come from now on; for tests. */
void admin_set_deadline(struct admin *admin, unsigned ms);
#endif
