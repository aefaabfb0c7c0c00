/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_DAEMON_H
#define ARILD_DAEMON_H
#include "acceptor.h"
#include "audit.h"
#include "keys.h"
#include "process.h"
#include "refresher.h"
#include "standalone.h"

/* What was asked for on the command line. */
struct daemon_options {
    const char *config;        /* path */
    const char *data, *listen; /* of the standalone mode; NULL: the defaults */
    bool standalone;
    bool json;
};

/* A daemon and all it consists of, in the order in which it is made. */
struct daemon {
    const struct daemon_options *options;
    struct arili_proxy_config *config; /* until the proxy takes it */
    struct standalone standalone;
    struct process_user user;
    struct wiring *wiring;
    struct audit audit;
    struct keys keys;
    struct listener *listeners;
    size_t listener_count;
    struct event_base *base;
    int idle_fd;
    struct arili_proxy *proxy;
    struct admin *admin;
    struct driver *driver;
    struct refresher *refresher;
    struct acceptor *acceptor;
    struct event *signals[4], *idle, *watchdog, *deadline;
    uint64_t file_reserve; /* descriptors besides those of clients */
    bool made_keyring, draining;
};

/* Start, serve until a signal ends it, and stop; the exit code. */
int daemon_run(const struct daemon_options *options);
/* --check-config: all that a start would read; the exit code. */
int daemon_check(const struct daemon_options *options);

/* --- start.c --- */
ARIL_MUST_USE aril_status daemon_start(struct daemon *d, aril_error *error);
void daemon_stop(struct daemon *d);
/* Print how to connect, in the standalone mode. */
void daemon_announce(const struct daemon *d);
/* How many files can be open at a time. */
uint64_t daemon_files(const struct daemon *d, uint32_t clients_max);
/* An error of the start: on standard error, or as a line of the journal; the exit code. */
int daemon_failed(aril_status st, const aril_error *error, const char *subject);
#endif
