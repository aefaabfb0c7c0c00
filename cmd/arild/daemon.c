/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"
#include "base/ensure.h"
#include "failure.h"
#include "log.h"
#include "notify.h"
#include "proxy/auth.h"
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define US_PER_S  1000000u
#define NS_PER_US UINT64_C(1000)

/* --- the end --------------------------------------------------------------------------------- */

static void on_deadline(evutil_socket_t fd, short what, void *user)
{
    struct daemon *d = user;
    (void)fd;
    (void)what;
    log_line(LOG_WARN, "not all clients had ended in time; they are cut off");
    driver_stop(d->driver);
}

static void on_idle(evutil_socket_t fd, short what, void *user)
{
    struct daemon *d = user;
    (void)fd;
    (void)what;
    (void)event_base_loopbreak(d->base);
}

static void on_end(evutil_socket_t number, short what, void *user)
{
    struct daemon *d = user;
    const uint32_t ms = d->wiring->drain_ms;
    const struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000 };
    (void)what;
    if (d->draining) {
        log_line(LOG_NOTE, "%s again: clients are cut off",
                 number == SIGINT ? "SIGINT" : "SIGTERM");
        driver_stop(d->driver);
        return;
    }
    d->draining = true;
    log_line(LOG_NOTE, "%s: no new clients; ends within %u ms",
             number == SIGINT ? "SIGINT" : "SIGTERM", (unsigned)ms);
    (void)notify_send("STOPPING=1\nSTATUS=ending");
    acceptor_free(d->acceptor);
    d->acceptor = NULL;
    for (size_t i = 0; i < d->listener_count; i++) {
        listen_close(&d->listeners[i]);
    }
    driver_drain(d->driver);
    (void)event_add(d->deadline, &tv);
}

/* --- another configuration ------------------------------------------------------------------- */

static inline void config_freep(struct arili_proxy_config **c)
{
    arili_config_free(*c);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/* All that can fail comes first; then the proxy decides, and the rest follows. *ret_reached: it was
 * asked, and has told what came of it. */
static aril_status reload(struct daemon *d, bool *ret_reached, aril_error *error)
{
    ARILI_DEFER(config_freep) struct arili_proxy_config *fresh = NULL;
    ARILI_DEFER(wiring_dropp) struct wiring *wiring = NULL;
    ARILI_TRY(arili_config_read(d->options->config, &fresh, error));
    ARILI_TRY(wiring_new(d->keys.rt, fresh, &wiring, error));
    ARILI_TRY(process_raise_files(daemon_files(d, fresh->clients_max), error));
    ARILI_DEFER(close_fd) int audit = -1;
    ARILI_TRY(audit_open(fresh->audit_log, &audit, error));
    const int level = (int)fresh->log_level;
    *ret_reached = true;
    ARILI_TRY(arili_proxy_reload(d->proxy, fresh, error));
    audit_use(&d->audit, audit);
    audit = -1;
    fresh = NULL; /* the proxy's */
    log_set_level(level);
    driver_rewire(d->driver, wiring);
    acceptor_set_clients_max(d->acceptor, wiring->clients_max);
    wiring_drop(d->wiring);
    d->wiring = ARILI_TAKE(wiring);
    return ARIL_OK;
}

static void on_reload(evutil_socket_t number, short what, void *user)
{
    struct daemon *d = user;
    aril_error error = { .status = ARIL_OK };
    (void)number;
    (void)what;
    if (d->draining) {
        return;
    }
    if (d->options->standalone) {
        log_line(LOG_NOTE, "SIGHUP: the standalone mode has no configuration to be read again");
        return;
    }
    (void)notify_reloading();
    bool reached = false;
    const aril_status st = reload(d, &reached, &error);
    if (!reached) {
        arili_proxy_reload_refused(d->proxy, st);
    }
    if (st == ARIL_OK) {
        log_line(LOG_NOTE, "SIGHUP: %s was taken over", d->options->config);
        (void)notify_send("READY=1\nSTATUS=serving");
        return;
    }
    log_line(LOG_ERROR, "SIGHUP: the old configuration stays: %s (%s)",
             error.message[0] != '\0' ? error.message : aril_status_text(st), aril_status_name(st));
    (void)notify_send("READY=1\nSTATUS=serving; the last reload failed, see the log");
}

static void on_child(evutil_socket_t number, short what, void *user)
{
    struct daemon *d = user;
    (void)number;
    (void)what;
    if (d->standalone.redis != NULL) {
        redis_child_ended(d->standalone.redis);
    }
}

/* --- being watched --------------------------------------------------------------------------- */

/* Only while every thread has had its turn: one that hangs makes the manager start us again. */
static void on_watchdog(evutil_socket_t fd, short what, void *user)
{
    const struct daemon *d = user;
    const uint64_t alive_ns = driver_alive_ns(d->driver);
    const uint64_t now_ns = monotonic_ns();
    (void)fd;
    (void)what;
    if (now_ns < alive_ns || now_ns - alive_ns < notify_watchdog_us() * NS_PER_US) {
        (void)notify_send("WATCHDOG=1");
    }
}

static aril_status add_signal(struct daemon *d, size_t at, int number, event_callback_fn act)
{
    d->signals[at] = evsignal_new(d->base, number, act, d);
    ARILI_ENSURE(d->signals[at] != NULL && event_add(d->signals[at], NULL) == 0, ARIL_E_NOMEM);
    return ARIL_OK;
}

static aril_status add_events(struct daemon *d)
{
    const uint64_t every_us = notify_watchdog_us() / 2;
    const struct timeval every = { .tv_sec = (time_t)(every_us / US_PER_S),
                                   .tv_usec = (suseconds_t)(every_us % US_PER_S) };
    ARILI_TRY(add_signal(d, 0, SIGTERM, on_end));
    ARILI_TRY(add_signal(d, 1, SIGINT, on_end));
    ARILI_TRY(add_signal(d, 2, SIGHUP, on_reload));
    ARILI_TRY(add_signal(d, 3, SIGCHLD, on_child));
    d->idle = event_new(d->base, d->idle_fd, EV_READ, on_idle, d);
    d->deadline = evtimer_new(d->base, on_deadline, d);
    d->watchdog = event_new(d->base, -1, EV_PERSIST, on_watchdog, d);
    ARILI_ENSURE(d->idle != NULL && d->deadline != NULL && d->watchdog != NULL &&
                     event_add(d->idle, NULL) == 0 &&
                     (every_us == 0 || event_add(d->watchdog, &every) == 0),
                 ARIL_E_NOMEM);
    return d->standalone.redis == NULL ? ARIL_OK : redis_watch(d->standalone.redis, d->base);
}

static void log_event(int severity, const char *text)
{
    log_line(severity == EVENT_LOG_DEBUG ? LOG_FINE : LOG_WARN, "libevent: %s", text);
}

int daemon_run(const struct daemon_options *options)
{
    aril_error error = { .status = ARIL_OK };
    struct daemon d = { .options = options, .standalone = { .lock_fd = -1 }, .idle_fd = -1 };
    log_init();
    notify_init();
    event_set_log_callback(log_event);
    aril_status st = process_protect(&error);
    if (st == ARIL_OK) {
        st = daemon_start(&d, &error);
    }
    if (st == ARIL_OK) {
        st = add_events(&d);
    }
    int code = 0;
    if (st != ARIL_OK) {
        code = daemon_failed(st, &error, options->standalone ? "--standalone" : options->config);
    } else {
        char status[64];
        if (options->standalone) {
            daemon_announce(&d);
        }
        log_line(LOG_NOTE, "arild %s serves on %zu listeners", aril_version(), d.listener_count);
        snprintf(status, sizeof status, "READY=1\nSTATUS=serving on %zu listeners",
                 d.listener_count);
        (void)notify_send(status);
        if (event_base_dispatch(d.base) < 0) {
            code = daemon_failed(ARIL_E_IO, &error, "the event loop failed");
        }
        log_line(LOG_NOTE, "ended");
    }
    daemon_stop(&d);
    return code;
}

/* --- --check-config -------------------------------------------------------------------------- */

static inline void credentials_freep(struct arili_credentials **c)
{
    arili_credentials_free(*c);
}

static aril_status check(struct daemon *d, size_t *ret_credentials, aril_error *error)
{
    ARILI_DEFER(credentials_freep) struct arili_credentials *credentials = NULL;
    ARILI_TRY(arili_config_read(d->options->config, &d->config, error));
    ARILI_TRY(process_find_user(d->config->user, d->config->group, &d->user, error));
    ARILI_TRY(keys_start(&d->keys, error));
    ARILI_TRY(wiring_new(d->keys.rt, d->config, &d->wiring, error));
    if (d->config->credentials != NULL) {
        ARILI_TRY(arili_credentials_read(d->keys.rt, d->config->credentials, &credentials, error));
        *ret_credentials = arili_credentials_count(credentials);
    }
    return ARIL_OK;
}

int daemon_check(const struct daemon_options *options)
{
    aril_error error = { .status = ARIL_OK };
    struct daemon d = { .options = options, .standalone = { .lock_fd = -1 }, .idle_fd = -1 };
    size_t credentials = 0;
    const aril_status st = check(&d, &credentials, &error);
    int code = 0;
    if (st != ARIL_OK) {
        code = daemon_failed(st, &error, options->config);
    } else if (options->json) {
        json_t *json = json_pack(
            "{s:s, s:b, s:I, s:I, s:I, s:I}", "config", options->config, "ok", 1, "listeners",
            (json_int_t)d.config->listener_count, "tenants", (json_int_t)d.config->tenant_count,
            "policies", (json_int_t)d.config->policy_count, "credentials", (json_int_t)credentials);
        code = json != NULL && json_dumpf(json, stdout, JSON_COMPACT) == 0
                   ? 0
                   : failure_exit_code(ARIL_E_NOMEM);
        printf("\n");
        json_decref(json);
    } else {
        printf("%s: ok: %zu listeners, %zu tenants, %zu policies, %zu credentials\n",
               options->config, d.config->listener_count, d.config->tenant_count,
               d.config->policy_count, credentials);
    }
    daemon_stop(&d);
    return code;
}
