/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_WIRING_H
#define ARILD_WIRING_H
#include "crypto/tls.h"
#include "proxy/config.h"
#include <stdatomic.h>

/*
 * What sockets need of the configuration. Immutable and counted: a reload makes another one, and
 * connections keep the one that they began with, for its certificates.
 *
 * Threads: any.
 */
struct wiring {
    _Atomic uint32_t refs;
    struct arili_tls *upstream;                              /* NULL: plain */
    struct arili_tls *listeners[ARILI_CONFIG_LISTENERS_MAX]; /* NULL: plain */
    uint32_t connect_ms, login_ms, drain_ms;
    uint32_t clients_max;
};
/* Reads certificates and keys. The error names the file. */
ARIL_MUST_USE aril_status wiring_new(aril_runtime *rt, const struct arili_proxy_config *config,
                                     struct wiring **ret, aril_error *error);
struct wiring *wiring_hold(struct wiring *w);
void wiring_drop(struct wiring *w); /* accepts NULL */
void wiring_dropp(struct wiring **w);
#endif
