/* SPDX-License-Identifier: Apache-2.0 */
#include "admin.h"
#include "base/ensure.h"
#include "daemon.h"
#include "failure.h"
#include "log.h"
#include "notify.h"
#include "out.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS_MAX   8u
#define FILES_SPARE   128u /* keyring, logs, admin listener, epoll and the like */
#define CLUSTER_NODES 16u  /* that many are reckoned with */

int daemon_failed(aril_status st, const aril_error *error, const char *subject)
{
    if (!log_is_journal()) {
        return failure_error("arild", st, error, subject);
    }
    log_line(LOG_ERROR, "%s (%s)", error->message[0] != '\0' ? error->message : subject,
             aril_status_name(st));
    return failure_exit_code(st);
}

static uint32_t thread_count(const struct arili_proxy_config *c)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (c->threads > 0) {
        return c->threads;
    }
    return online < 1 ? 1 : online > (long)THREADS_MAX ? THREADS_MAX : (uint32_t)online;
}

uint64_t daemon_files(const struct daemon *d, uint32_t clients_max)
{
    return (uint64_t)clients_max + ACCEPT_SHAKES_MAX + d->file_reserve;
}

static void reckon_files(struct daemon *d)
{
    const struct arili_upstream_config *up = &d->config->upstream;
    const uint64_t nodes = up->cluster ? CLUSTER_NODES : 1;
    d->file_reserve = (uint64_t)thread_count(d->config) * nodes * up->links_max + FILES_SPARE;
}

/* --- sockets --------------------------------------------------------------------------------- */

/* The port of the standalone mode is the next one that is free, where none was asked for. */
static aril_status open_listener(const struct daemon *d, struct arili_listen_config *config,
                                 uint32_t index, struct listener *ret, aril_error *error)
{
    const bool may_move = d->options->standalone && d->options->listen == NULL;
    aril_status st = listen_open(config, index, &d->user, ret, error);
    for (unsigned i = 1; may_move && st == ARIL_E_EXISTS && i < STANDALONE_PORT_TRIES; i++) {
        config->address.port = (uint16_t)(STANDALONE_PORT + i);
        st = listen_open(config, index, &d->user, ret, error);
    }
    return st;
}

static aril_status open_listeners(struct daemon *d, aril_error *error)
{
    const size_t count = d->config->listener_count;
    if (count == 0) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%s: there is no [listen], so no client could come in",
                               d->config->path);
    }
    (void)listen_inherit();
    d->listeners = calloc(count, sizeof *d->listeners);
    ARILI_ENSURE(d->listeners != NULL, ARIL_E_NOMEM);
    for (; d->listener_count < count; d->listener_count++) {
        const uint32_t i = (uint32_t)d->listener_count;
        ARILI_TRY(open_listener(d, &d->config->listeners[i], i, &d->listeners[i], error));
    }
    const size_t left = listen_inherited_left();
    if (left > 0) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%zu sockets of the service manager have no [listen] of the same "
                               "address in %s",
                               left, d->config->path);
    }
    return ARIL_OK;
}

/* --- the parts ------------------------------------------------------------------------------- */

/* As the user that serves, who has to open it again. */
static aril_status open_audit(struct daemon *d, aril_error *error)
{
    int fd = -1;
    ARILI_TRY(audit_open(d->config->audit_log, &fd, error));
    audit_use(&d->audit, fd);
    return ARIL_OK;
}

static aril_status open_keyring(struct daemon *d, aril_error *error)
{
    if (!d->options->standalone) {
        return keys_open(&d->keys, d->config, error);
    }
    return keys_open_or_make(&d->keys, d->config, STANDALONE_TENANT, &d->made_keyring, error);
}

static aril_status start_admin(struct daemon *d, const struct arili_proxy_config *config,
                               aril_error *error)
{
    if (!config->admin) {
        return ARIL_OK;
    }
    return admin_start(d->base, d->proxy, config, &d->admin, error);
}

static aril_status start_proxy(struct daemon *d, aril_error *error)
{
    struct arili_proxy_config *config = ARILI_TAKE(d->config);
    const uint32_t workers = config->workers > 0 ? config->workers : 1;
    const uint32_t threads = thread_count(config);
    const uint32_t clients_max = config->clients_max;
    const struct arili_proxy_setup setup = {
        .rt = d->keys.rt,
        .keyring = d->keys.keyring,
        .config = config,
        .log = log_proxy,
        .audit_lost = &d->audit.lost,
    };
    ARILI_TRY(arili_proxy_new(&setup, &d->proxy, error));
    arili_proxy_refresh(d->proxy);            /* the first clients find their keys */
    ARILI_TRY(start_admin(d, config, error)); /* the proxy has it, and nobody reloads yet */
    const struct driver_config driver = { .proxy = d->proxy,
                                          .wiring = d->wiring,
                                          .threads = threads,
                                          .workers = workers,
                                          .idle_fd = d->idle_fd };
    ARILI_TRY(driver_start(&driver, &d->driver, error));
    ARILI_TRY(refresher_new(d->proxy, &d->refresher));
    return acceptor_new(d->base, d->driver, d->listeners, d->listener_count, clients_max,
                        &d->acceptor);
}

static aril_status read_config(struct daemon *d, aril_error *error)
{
    if (!d->options->standalone) {
        return arili_config_read(d->options->config, &d->config, error);
    }
    ARILI_TRY(standalone_open(&d->standalone, d->options->data, error));
    return standalone_config(&d->standalone, d->options->listen, &d->config, error);
}

aril_status daemon_start(struct daemon *d, aril_error *error)
{
    ARILI_TRY(read_config(d, error));
    log_set_level((int)d->config->log_level);
    reckon_files(d);
    ARILI_TRY(process_raise_files(daemon_files(d, d->config->clients_max), error));
    ARILI_TRY(process_find_user(d->config->user, d->config->group, &d->user, error));
    audit_init(&d->audit);
    d->keys.audit = &d->audit.sink;
    ARILI_TRY(keys_start(&d->keys, error));
    ARILI_TRY(wiring_new(d->keys.rt, d->config, &d->wiring, error));
    ARILI_TRY(open_listeners(d, error));
    /* Before the keyring: its file, its key and what a writer leaves beside it belong to the user
     * that serves, or a later look at it would be refused. */
    ARILI_TRY(process_become(&d->user, error));
    ARILI_TRY(open_audit(d, error));
    if (d->options->standalone) {
        ARILI_TRY(
            redis_start(d->standalone.folder, d->standalone.lock_fd, &d->standalone.redis, error));
    }
    ARILI_TRY(open_keyring(d, error));
    d->base = event_base_new();
    d->idle_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ARILI_ENSURE(d->base != NULL && d->idle_fd >= 0, ARIL_E_NOMEM);
    return start_proxy(d, error);
}

static void free_event(struct event **e)
{
    if (*e != NULL) {
        event_free(*e);
        *e = NULL;
    }
}

void daemon_stop(struct daemon *d)
{
    acceptor_free(d->acceptor);
    for (size_t i = 0; i < d->listener_count; i++) {
        listen_close(&d->listeners[i]);
    }
    free(d->listeners);
    if (d->driver != NULL) {
        driver_stop(d->driver);
        driver_free(d->driver);
    }
    refresher_free(d->refresher);
    if (d->admin != NULL) {
        admin_stop(d->admin);
    }
    arili_proxy_free(d->proxy);
    arili_config_free(d->config);
    standalone_close(&d->standalone);
    for (size_t i = 0; i < sizeof d->signals / sizeof d->signals[0]; i++) {
        free_event(&d->signals[i]);
    }
    free_event(&d->idle);
    free_event(&d->watchdog);
    free_event(&d->deadline);
    if (d->base != NULL) {
        event_base_free(d->base);
    }
    if (d->idle_fd >= 0) {
        close(d->idle_fd);
    }
    wiring_drop(d->wiring);
    keys_close(&d->keys);
    if (d->audit.sink.event != NULL) {
        audit_done(&d->audit);
    }
}

/* --- telling --------------------------------------------------------------------------------- */

static void announce_json(const struct daemon *d, const char *address)
{
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:b}", "listen", address, "data", d->standalone.folder, "tenant",
                  STANDALONE_TENANT, "new", (int)d->made_keyring);
    if (json != NULL && json_dumpf(json, stdout, JSON_COMPACT) == 0) {
        printf("\n");
    }
    json_decref(json);
}

void daemon_announce(const struct daemon *d)
{
    const struct arili_address *a = &d->listeners[0].address;
    char address[ARILI_ADDRESS_TEXT];
    arili_address_text(a, address);
    if (d->options->json) {
        announce_json(d, address);
    } else if (a->is_unix) {
        printf("arild %s serves %s; data and keys are in %s\n"
               "connect with: redis-cli -s %s\n",
               aril_version(), address, d->standalone.folder, address);
    } else {
        printf("arild %s serves %s; data and keys are in %s\n"
               "connect with: redis-cli -h %s -p %u\n",
               aril_version(), address, d->standalone.folder, a->host, (unsigned)a->port);
    }
    if (!d->options->json) {
        printf("look at it with: aril proxy top %s/" STANDALONE_ADMIN "\n", d->standalone.folder);
    }
    if (!d->options->json && d->made_keyring) {
        printf("a keyring without recovery was made: who loses %s/keyring.key loses the data\n",
               d->standalone.folder);
    }
    (void)fflush(stdout); /* who reads it no more is no reason to stop */
}
