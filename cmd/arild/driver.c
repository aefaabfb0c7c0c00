/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"
#include "base/ensure.h"
#include "thread.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A task is back. Its loop says whose it is. */
static void deliver(void *user, struct arili_task *task)
{
    struct driver *d = user;
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->threads[i]->loop == task->loop) {
            thread_mail_task(d->threads[i], task);
            return;
        }
    }
}

struct wiring *driver_wiring(struct driver *d)
{
    pthread_mutex_lock(&d->wiring_lock);
    struct wiring *w = wiring_hold(d->wiring);
    pthread_mutex_unlock(&d->wiring_lock);
    return w;
}

void driver_rewire(struct driver *d, struct wiring *wiring)
{
    pthread_mutex_lock(&d->wiring_lock);
    struct wiring *before = d->wiring;
    d->wiring = wiring_hold(wiring);
    pthread_mutex_unlock(&d->wiring_lock);
    wiring_drop(before);
}

static void driver_freep(struct driver **d)
{
    driver_free(*d);
}

static aril_status start_all(struct driver *d, const struct driver_config *config)
{
    for (; d->count < config->threads; d->count++) {
        ARILI_TRY(thread_new(d, d->count, &d->threads[d->count]));
    }
    ARILI_TRY(workers_new(config->workers, "arild-work", deliver, d, &d->workers));
    ARILI_TRY(workers_new(1, "arild-names", deliver, d, &d->resolvers));
    for (uint32_t i = 0; i < d->count; i++) {
        ARILI_ENSURE(thread_run(d->threads[i]) == 0, ARIL_E_NOMEM);
    }
    return ARIL_OK;
}

aril_status driver_start(const struct driver_config *config, struct driver **ret, aril_error *error)
{
    ARILI_ENSURE(config->threads > 0 && config->workers > 0, ARIL_E_USAGE_RANGE);
    struct driver *fresh = calloc(1, sizeof *fresh);
    ARILI_ENSURE(fresh != NULL, ARIL_E_NOMEM);
    fresh->threads = calloc(config->threads, sizeof *fresh->threads);
    if (fresh->threads == NULL || pthread_mutex_init(&fresh->wiring_lock, NULL) != 0) {
        free(fresh->threads);
        free(fresh);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    ARILI_DEFER(driver_freep) struct driver *d = fresh;
    d->proxy = config->proxy;
    d->idle_fd = config->idle_fd;
    d->wiring = wiring_hold(config->wiring);
    const aril_status st = start_all(d, config);
    if (st != ARIL_OK) {
        driver_stop(d);
        return arili_error_set(error, st, "%u threads and %u workers could not be started: %s",
                               (unsigned)config->threads, (unsigned)config->workers,
                               aril_status_text(st));
    }
    *ret = ARILI_TAKE(d);
    return ARIL_OK;
}

void driver_accepted(struct driver *d, int fd, uint32_t listener)
{
    struct accepted *a = calloc(1, sizeof *a);
    if (a == NULL) {
        close(fd);
        return;
    }
    a->fd = fd;
    a->listener = listener;
    atomic_fetch_add_explicit(&d->clients, 1, memory_order_relaxed);
    struct thread *t = d->threads[d->next];
    d->next = (d->next + 1) % d->count;
    pthread_mutex_lock(&t->mail.lock);
    *t->mail.accepted_last = a;
    t->mail.accepted_last = &a->next;
    pthread_mutex_unlock(&t->mail.lock);
    thread_wake(t);
}

uint64_t driver_clients(const struct driver *d)
{
    return atomic_load_explicit(&d->clients, memory_order_relaxed);
}

static void tell_all(struct driver *d, bool stop)
{
    for (uint32_t i = 0; i < d->count; i++) {
        struct thread *t = d->threads[i];
        pthread_mutex_lock(&t->mail.lock);
        t->mail.drain = t->mail.drain || !stop;
        t->mail.stop = t->mail.stop || stop;
        pthread_mutex_unlock(&t->mail.lock);
        thread_wake(t);
    }
}

void driver_drain(struct driver *d)
{
    tell_all(d, false);
}

void driver_stop(struct driver *d)
{
    tell_all(d, true);
}

uint64_t driver_alive_ns(const struct driver *d)
{
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < d->count; i++) {
        const uint64_t at = atomic_load_explicit(&d->threads[i]->alive_ns, memory_order_relaxed);
        oldest = at < oldest ? at : oldest;
    }
    return oldest;
}

void driver_free(struct driver *d)
{
    if (d == NULL) {
        return;
    }
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->threads[i]->started) {
            pthread_join(d->threads[i]->id, NULL);
        }
    }
    workers_free(d->workers); /* what they had is in the mail of the threads then */
    workers_free(d->resolvers);
    d->workers = NULL;
    d->resolvers = NULL;
    for (uint32_t i = 0; i < d->count; i++) {
        thread_free(d->threads[i]);
    }
    wiring_drop(d->wiring);
    pthread_mutex_destroy(&d->wiring_lock);
    free(d->threads);
    free(d);
}
