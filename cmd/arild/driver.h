/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_DRIVER_H
#define ARILD_DRIVER_H
#include "proxy/proxy.h"
#include "wiring.h"

/*
 * The threads that run the loops of src/proxy, each with an event base of its own, and the workers
 * beside them. Sockets come in through driver_accepted().
 *
 * Threads: every function from one thread, the main one; wiring may be replaced at any time.
 */
struct driver;

struct driver_config {
    struct arili_proxy *proxy; /* borrowed */
    struct wiring *wiring;     /* held */
    uint32_t threads, workers; /* >= 1 */
    int idle_fd;               /* an eventfd of the caller: written when the last thread ended */
};
ARIL_MUST_USE aril_status driver_start(const struct driver_config *config, struct driver **ret,
                                       aril_error *error);
/* A client's socket, which is taken over, and the listener that it came through. */
void driver_accepted(struct driver *d, int fd, uint32_t listener);
/* How many sockets of clients there are, those still in their handshakes included. */
uint64_t driver_clients(const struct driver *d);
/* For connections from now on. */
void driver_rewire(struct driver *d, struct wiring *wiring);
/* No new commands; threads end when their clients are gone. */
void driver_drain(struct driver *d);
/* End now. */
void driver_stop(struct driver *d);
/* When the thread that is furthest behind was last alive, CLOCK_MONOTONIC. */
uint64_t driver_alive_ns(const struct driver *d);
/* After driver_stop(), or once all threads have ended: joins, closes what is left, and frees. */
void driver_free(struct driver *d); /* accepts NULL */

uint64_t monotonic_ns(void);
#endif
