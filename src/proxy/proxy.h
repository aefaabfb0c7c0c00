/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_PROXY_H
#define ARILI_PROXY_PROXY_H
#include "proxy/config.h"
#include "proxy/flow.h"
#include <aril/keyring.h>
#include <aril/metrics.h>

/*
 * What all loops of a daemon share: configuration, tenants and their keys, figures. docs/proxy.md
 * is the guide. The files, from below:
 *
 *   flow        bytes on their way             commands  the table of commands
 *   config      arild.conf as a struct         auth      who a client is
 *   tenant      keys, names and seals          cluster   which node has a slot
 *   link        one connection to a server     reply     a server's answer made a client's
 *   request     one command under way          job       what takes several exchanges
 *   client      one connection of a client     loop      all of one thread
 *
 * Threads: every function here from any thread, but for _new and _free.
 */
struct arili_proxy;
struct arili_loop;

/* One line for the log: level 0 error, 1 warning, 2 notice, 3 debug. Borrowed for the call. */
typedef void arili_proxy_log_fn(void *user, int level, const char *text);

struct arili_proxy_setup {
    aril_runtime *rt;
    aril_keyring *keyring;             /* borrowed */
    struct arili_proxy_config *config; /* taken, also on failure */
    arili_proxy_log_fn *log;
    void *user;
    /* What the runtime's audit sink could not write, to be reported; borrowed, NULL: not known. */
    const _Atomic uint64_t *audit_lost;
};
ARIL_MUST_USE aril_status arili_proxy_new(const struct arili_proxy_setup *setup,
                                          struct arili_proxy **ret, aril_error *error);
/* Its loops are gone. */
void arili_proxy_free(struct arili_proxy *proxy);
/* Take another configuration: new commands follow it, clients stay. What cannot change while
 * running (listeners, keyring, threads) is compared and refused with USAGE_STATE, naming it. On
 * failure the old one stays and config is the caller's. */
ARIL_MUST_USE aril_status arili_proxy_reload(struct arili_proxy *proxy,
                                             struct arili_proxy_config *config, aril_error *error);
/* A configuration was refused before it came so far: counted and audited as those are. */
void arili_proxy_reload_refused(struct arili_proxy *proxy, aril_status st);
/* Look for what changed in the keyring, and have the keys of all tenants at hand. May block: from a
 * thread of its own, every 250 ms. */
void arili_proxy_refresh(struct arili_proxy *proxy);
/* ARIL_OK when clients can be served: keyring open, a server reachable. The message says why not;
 * with ARIL_OK it is empty, or says of how many tenants values are read and not sealed, and
 * error->status why. */
ARIL_MUST_USE aril_status arili_proxy_ready(struct arili_proxy *proxy, aril_error *error);
/* All figures: docs/OPERATIONS.md has the list. */
void arili_proxy_metrics(struct arili_proxy *proxy, const aril_metrics_sink *sink);
/* The same and more as JSON, for the status page and `aril proxy top`: ret is NUL-terminated and
 * ends with arili_free(ret, *ret_bytes). */
ARIL_MUST_USE aril_status arili_proxy_status_json(struct arili_proxy *proxy, char **ret,
                                                  size_t *ret_bytes);
#endif
