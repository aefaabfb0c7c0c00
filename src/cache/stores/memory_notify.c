/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/stores/memory_internal.h"
#include <signal.h>
#include <string.h>

/* What waits for a slow listener; what comes on top is lost, and it is told so. */
#define QUEUE_BYTES_MAX ((size_t)1 << 20)

struct message {
    struct message *next;
    size_t len;
    uint8_t bytes[];
};

struct arili_memory_listener {
    struct arili_memory_listener *next; /* with the mutex of the channels, as is what is below */
    struct message *first, **last;
    size_t queued_bytes;
    bool lost, stop;
    pthread_cond_t changed;
    struct arili_memory_channels *channels;
    pthread_t thread;
    aril_store_message_fn *fn;
    void *user;
    size_t channel_len;
    uint8_t channel[];
};

aril_status arili_memory_channels_init(struct arili_memory_channels *c)
{
    ARILI_ENSURE(pthread_mutex_init(&c->mutex, NULL) == 0, ARIL_E_NOMEM);
    return ARIL_OK;
}

void arili_memory_channels_done(struct arili_memory_channels *c)
{
    (void)pthread_mutex_destroy(&c->mutex);
}

static void message_free(struct message *m)
{
    arili_free(m, sizeof *m + m->len);
}

/* With the mutex: the next message, or NULL and *ret_lost. False: the end. */
static bool next_message(struct arili_memory_listener *l, struct message **ret, bool *ret_lost)
{
    while (!l->stop && l->first == NULL && !l->lost) {
        (void)pthread_cond_wait(&l->changed, &l->channels->mutex);
    }
    *ret = NULL;
    *ret_lost = l->lost;
    l->lost = false;
    if (!l->stop && !*ret_lost) {
        *ret = l->first;
        l->first = l->first->next;
        l->last = l->first != NULL ? l->last : &l->first;
        l->queued_bytes -= (*ret)->len;
    }
    return !l->stop;
}

static void *listen_loop(void *arg)
{
    struct arili_memory_listener *const l = arg;
    struct message *m = NULL;
    bool lost = false;
    (void)pthread_mutex_lock(&l->channels->mutex);
    while (next_message(l, &m, &lost)) {
        (void)pthread_mutex_unlock(&l->channels->mutex);
        if (lost) {
            l->fn(l->user, (aril_bytes){ NULL, 0 });
        } else {
            l->fn(l->user, (aril_bytes){ m->bytes, m->len });
            message_free(m);
        }
        (void)pthread_mutex_lock(&l->channels->mutex);
    }
    (void)pthread_mutex_unlock(&l->channels->mutex);
    return NULL;
}

/* Signals are for the threads of the program. */
static int start_thread(struct arili_memory_listener *l)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&l->thread, NULL, listen_loop, l);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static void listener_free(struct arili_memory_listener *l)
{
    for (struct message *m = l->first, *next; m != NULL; m = next) {
        next = m->next;
        message_free(m);
    }
    (void)pthread_cond_destroy(&l->changed);
    arili_free(l, sizeof *l + l->channel_len);
}

aril_status arili_memory_channels_listen(struct arili_memory_channels *c, aril_bytes channel,
                                         aril_store_message_fn *fn, void *user,
                                         struct arili_memory_listener **ret)
{
    struct arili_memory_listener *const l = arili_alloc(sizeof *l + channel.len);
    ARILI_ENSURE(l != NULL, ARIL_E_NOMEM);
    l->channel_len = channel.len;
    memcpy(l->channel, channel.data, channel.len);
    l->last = &l->first;
    l->channels = c;
    l->fn = fn;
    l->user = user;
    if (pthread_cond_init(&l->changed, NULL) != 0) {
        arili_free(l, sizeof *l + l->channel_len);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    if (start_thread(l) != 0) {
        listener_free(l);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    (void)pthread_mutex_lock(&c->mutex);
    l->next = c->first;
    c->first = l;
    (void)pthread_mutex_unlock(&c->mutex);
    *ret = l;
    return ARIL_OK;
}

void arili_memory_channels_leave(struct arili_memory_channels *c,
                                 struct arili_memory_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&c->mutex);
    struct arili_memory_listener **at = &c->first;
    while (*at != listener) {
        at = &(*at)->next;
    }
    *at = listener->next;
    listener->stop = true;
    (void)pthread_cond_signal(&listener->changed);
    (void)pthread_mutex_unlock(&c->mutex);
    (void)pthread_join(listener->thread, NULL);
    listener_free(listener);
}

/* With the mutex. */
static void enqueue(struct arili_memory_listener *l, aril_bytes message)
{
    struct message *const m = message.len <= QUEUE_BYTES_MAX - l->queued_bytes
                                  ? arili_alloc(sizeof *m + message.len)
                                  : NULL;
    if (m == NULL) {
        l->lost = true;
    } else {
        m->len = message.len;
        memcpy(m->bytes, message.data, message.len);
        *l->last = m;
        l->last = &m->next;
        l->queued_bytes += m->len;
    }
    (void)pthread_cond_signal(&l->changed);
}

void arili_memory_channels_send(struct arili_memory_channels *c, aril_bytes channel,
                                aril_bytes message)
{
    (void)pthread_mutex_lock(&c->mutex);
    for (struct arili_memory_listener *l = c->first; l != NULL; l = l->next) {
        if (l->channel_len == channel.len && memcmp(l->channel, channel.data, channel.len) == 0) {
            enqueue(l, message);
        }
    }
    (void)pthread_mutex_unlock(&c->mutex);
}
