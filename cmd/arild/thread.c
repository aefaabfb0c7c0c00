/* SPDX-License-Identifier: Apache-2.0 */
#include "thread.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "log.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

uint64_t monotonic_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* --- what the loop wants --------------------------------------------------------------------- */

static void start_work(struct thread *t, struct arili_task *task)
{
    if (t->inline_work) {
        task->run(task);
        arili_loop_done(task, monotonic_ns());
        return;
    }
    workers_put(t->driver->workers, task);
}

void thread_settle(struct thread *t)
{
    for (;;) {
        struct arili_action action = { .what = ARILI_DO_NOTHING };
        arili_loop_next(t->loop, &action);
        struct conn *c = action.peer == NULL ? NULL : action.peer->handle;
        switch (action.what) {
        case ARILI_DO_NOTHING:
            return;
        case ARILI_DO_UPDATE:
            if (c != NULL) {
                conn_update(c);
            }
            break;
        case ARILI_DO_CONNECT:
            connect_begin(t, action.peer, action.address);
            break;
        case ARILI_DO_CLOSE:
            if (c != NULL) {
                action.peer->handle = NULL;
                conn_close(c);
            }
            break;
        case ARILI_DO_WORK:
            start_work(t, action.task);
            break;
        }
    }
}

void thread_finish(struct thread *t)
{
    conn_free_dead(t);
    if (t->draining && arili_loop_is_empty(t->loop)) {
        (void)event_base_loopbreak(t->base);
    }
}

/* --- mail ------------------------------------------------------------------------------------ */

void thread_wake(struct thread *t)
{
    const uint64_t one = 1;
    /* Fails only when the counter is full, and then it is awake. */
    const ssize_t n = write(t->wake_fd, &one, sizeof one);
    (void)n;
}

void thread_mail_task(struct thread *t, struct arili_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&t->mail.lock);
    const bool was_empty = t->mail.done == NULL;
    *t->mail.done_last = task;
    t->mail.done_last = &task->next;
    pthread_mutex_unlock(&t->mail.lock);
    if (was_empty) {
        thread_wake(t);
    }
}

static void take_tasks(struct thread *t, struct arili_task *task)
{
    while (task != NULL) {
        struct arili_task *next = task->next;
        task->next = NULL;
        if (connect_is_mine(task)) {
            connect_resolved(t, task);
        } else {
            arili_loop_done(task, monotonic_ns());
        }
        thread_settle(t);
        task = next;
    }
}

static void take_accepted(struct thread *t, struct accepted *a)
{
    while (a != NULL) {
        struct accepted *next = a->next;
        if (t->draining || t->inline_work) {
            close(a->fd);
            atomic_fetch_sub_explicit(&t->driver->clients, 1, memory_order_relaxed);
        } else {
            conn_accept(t, a->fd, a->listener);
            thread_settle(t);
        }
        free(a);
        a = next;
    }
}

/* Clients that are still in their handshake have nothing under way. */
static void begin_drain(struct thread *t)
{
    t->draining = true;
    for (struct conn *c = t->conns, *next; c != NULL; c = next) {
        next = c->next;
        if (!c->is_link && c->peer == NULL) {
            conn_close(c);
        }
    }
    arili_loop_drain(t->loop);
    thread_settle(t);
}

/* Whether the thread is to end. */
static bool take_mail(struct thread *t)
{
    pthread_mutex_lock(&t->mail.lock);
    struct arili_task *done = t->mail.done;
    struct accepted *accepted = t->mail.accepted;
    const bool drain = t->mail.drain;
    const bool stop = t->mail.stop;
    t->mail.done = NULL;
    t->mail.done_last = &t->mail.done;
    t->mail.accepted = NULL;
    t->mail.accepted_last = &t->mail.accepted;
    pthread_mutex_unlock(&t->mail.lock);
    take_tasks(t, done);
    take_accepted(t, accepted);
    if (drain && !t->draining) {
        begin_drain(t);
    }
    return stop;
}

static void on_wake(evutil_socket_t fd, short what, void *user)
{
    struct thread *t = user;
    uint64_t count = 0;
    (void)what;
    const ssize_t n = read(fd, &count, sizeof count); /* before the mail, so that none is missed */
    (void)n;
    const bool stop = take_mail(t);
    thread_finish(t);
    if (stop) {
        (void)event_base_loopbreak(t->base);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *user)
{
    struct thread *t = user;
    const uint64_t now_ns = monotonic_ns();
    (void)fd;
    (void)what;
    atomic_store_explicit(&t->alive_ns, now_ns, memory_order_relaxed);
    arili_loop_tick(t->loop, now_ns);
    thread_settle(t);
    thread_finish(t);
}

/* --- life ------------------------------------------------------------------------------------ */

static void *run_thread(void *user)
{
    struct thread *t = user;
    struct driver *d = t->driver;
    char name[16];
    snprintf(name, sizeof name, "arild-%u", t->number % 1000);
    thread_name(name);
    if (event_base_dispatch(t->base) < 0) {
        log_line(LOG_ERROR, "thread %u: the event loop failed", t->number);
    }
    if (atomic_fetch_sub_explicit(&d->running, 1, memory_order_acq_rel) == 1) {
        const uint64_t one = 1;
        const ssize_t n = write(d->idle_fd, &one, sizeof one);
        (void)n;
    }
    return NULL;
}

int thread_run(struct thread *t)
{
    atomic_fetch_add_explicit(&t->driver->running, 1, memory_order_relaxed);
    const int rc = thread_start(&t->id, run_thread, t);
    if (rc != 0) {
        atomic_fetch_sub_explicit(&t->driver->running, 1, memory_order_relaxed);
        return rc;
    }
    t->started = true;
    return 0;
}

static aril_status make_events(struct thread *t)
{
    const struct timeval every = { .tv_sec = 0, .tv_usec = TICK_MS * 1000 };
    struct event_config *config = event_config_new();
    ARILI_ENSURE(config != NULL, ARIL_E_NOMEM);
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK); /* one thread, always the same */
    t->base = event_base_new_with_config(config);
    event_config_free(config);
    ARILI_ENSURE(t->base != NULL, ARIL_E_NOMEM);
    ARILI_ENSURE(event_assign(&t->wake, t->base, t->wake_fd, EV_READ | EV_PERSIST, on_wake, t) ==
                         0 &&
                     event_add(&t->wake, NULL) == 0 &&
                     event_assign(&t->tick, t->base, -1, EV_PERSIST, on_tick, t) == 0 &&
                     event_add(&t->tick, &every) == 0,
                 ARIL_E_NOMEM);
    return ARIL_OK;
}

static void thread_freep(struct thread **t)
{
    if (*t != NULL) {
        thread_free(*t);
    }
}

aril_status thread_new(struct driver *d, uint32_t number, struct thread **ret)
{
    ARILI_DEFER(thread_freep) struct thread *t = calloc(1, sizeof *t);
    ARILI_ENSURE(t != NULL, ARIL_E_NOMEM);
    t->driver = d;
    t->number = number;
    t->mail.done_last = &t->mail.done;
    t->mail.accepted_last = &t->mail.accepted;
    atomic_init(&t->alive_ns, monotonic_ns());
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const int rc = pthread_mutex_init(&t->mail.lock, NULL); /* cannot fail on Linux */
    ARILI_ENSURE(t->wake_fd >= 0 && rc == 0, ARIL_E_IO);
    ARILI_TRY(make_events(t));
    ARILI_TRY(arili_loop_new(d->proxy, &t->loop));
    *ret = ARILI_TAKE(t);
    return ARIL_OK;
}

/* The thread has ended and so have the workers: what they brought back is taken, and what the loop
 * still wants done is done here, until no task is on its way. */
static void take_rest(struct thread *t)
{
    t->inline_work = true;
    while (t->mail.done != NULL || t->mail.accepted != NULL) {
        (void)take_mail(t);
    }
    thread_settle(t);
}

void thread_free(struct thread *t)
{
    if (t->loop != NULL) {
        t->mail.drain = false;
        take_rest(t);
        arili_loop_free(t->loop);
    }
    while (t->conns != NULL) {
        t->conns->peer = NULL; /* went with the loop */
        conn_close(t->conns);
    }
    conn_free_dead(t);
    if (event_initialized(&t->wake)) {
        (void)event_del(&t->wake);
    }
    if (event_initialized(&t->tick)) {
        (void)event_del(&t->tick);
    }
    if (t->base != NULL) {
        event_base_free(t->base);
    }
    if (t->wake_fd >= 0) {
        close(t->wake_fd);
    }
    pthread_mutex_destroy(&t->mail.lock);
    arili_wipe(t->gather, sizeof t->gather);
    free(t);
}
