/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/redis_internal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

/*
 * The listener has a connection and a thread of its own. What was published while it was not
 * connected is lost; so after each connection but a first one that came at once, it is told so.
 */
#define MESSAGE_BYTES ((size_t)65536)
#define NS_PER_MS     UINT64_C(1000000)
#define PAUSE_MS      50u
#define PAUSE_MS_MAX  2000u

struct arili_redis_listener {
    struct arili_redis *s;
    aril_store_message_fn *fn;
    void *user;
    pthread_t thread;
    int stop_fd;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool tried; /* the first attempt is over, with: */
    aril_status status;
    aril_error note;
    size_t channel_len;
    uint8_t channel[ARIL_STORE_NAME_BYTES_MAX];
    /* The thread's alone: the message that is being read. */
    bool subscribed;
    unsigned part;
    bool is_message, ours;
    uint8_t room[MESSAGE_BYTES];
};

static bool is(const struct arili_redis_value *v, aril_bytes want)
{
    return v->kind == ARILI_RESP_BULK && v->text.len == want.len &&
           memcmp(v->text.data, want.data, want.len) == 0;
}

/* [ "message", channel, message ], a push or in RESP2 an array. */
static aril_status note_message(void *user, const struct arili_redis_value *v)
{
    struct arili_redis_listener *const l = user;
    if (v->depth == 0) {
        ARILI_ENSURE((v->kind == ARILI_RESP_PUSH || v->kind == ARILI_RESP_ARRAY) && v->count == 3,
                     v->kind == ARILI_RESP_ERROR ? ARIL_E_AUTH : ARIL_E_FORMAT);
        l->part = 0;
        return ARIL_OK;
    }
    const aril_bytes channel = { l->channel, l->channel_len };
    switch (l->part++) {
    case 0:
        l->is_message = is(v, ARILI_LITERAL("message"));
        l->subscribed = l->subscribed || is(v, ARILI_LITERAL("subscribe"));
        return ARIL_OK;
    case 1:
        l->ours = is(v, channel);
        return ARIL_OK;
    default:
        /* Before the server has confirmed there are none; and whoever waits for that holds a lock
         * that fn needs. */
        if (l->subscribed && l->is_message && l->ours && v->kind == ARILI_RESP_BULK) {
            /* One that is too long cannot be told; it is as good as lost. */
            l->fn(l->user, v->cut ? (aril_bytes){ NULL, 0 } : v->text);
        }
        return ARIL_OK;
    }
}

static aril_status hear(struct arili_redis_listener *l, struct arili_redis_conn *conn,
                        uint64_t deadline_ns, aril_error *error)
{
    return arili_redis_conn_receive(conn, (aril_span){ l->room, sizeof l->room }, note_message, l,
                                    deadline_ns, error);
}

static aril_status subscribe(struct arili_redis_listener *l, struct arili_redis_node *node,
                             struct arili_redis_conn **ret, aril_error *error)
{
    const aril_bytes args[] = { ARILI_LITERAL("SUBSCRIBE"), { l->channel, l->channel_len } };
    const uint64_t deadline_ns = arili_redis_now_ns() + l->s->deadline_ms * NS_PER_MS;
    ARILI_TRY(arili_redis_conn_open(node, &l->s->login, l->stop_fd, deadline_ns, ret, error));
    ARILI_TRY(arili_redis_conn_send(*ret, args, 2, deadline_ns, error));
    ARILI_TRY(arili_redis_conn_flush(*ret, deadline_ns, error));
    l->subscribed = false;
    while (!l->subscribed) {
        ARILI_TRY(hear(l, *ret, deadline_ns, error));
    }
    return ARIL_OK;
}

static void report(struct arili_redis_listener *l, aril_status st, const aril_error *note)
{
    (void)pthread_mutex_lock(&l->mutex);
    if (!l->tried) {
        l->tried = true;
        l->status = st;
        l->note = *note;
        (void)pthread_cond_signal(&l->changed);
    }
    (void)pthread_mutex_unlock(&l->mutex);
}

static bool stopped(const struct arili_redis_listener *l, uint64_t for_ms)
{
    struct pollfd fd = { .fd = l->stop_fd, .events = POLLIN };
    return poll(&fd, 1, (int)for_ms) > 0;
}

/* One connection, from its beginning to its end. */
static bool session(struct arili_redis_listener *l, bool lost)
{
    ARILI_DEFER(arili_redis_conn_closep) struct arili_redis_conn *conn = NULL;
    struct arili_redis_node *node = NULL;
    aril_error note = { 0 };
    const uint16_t slot = arili_resp_slot((aril_bytes){ l->channel, l->channel_len });
    aril_status st = arili_redis_route(l->s, slot, &node, &note);
    if (st == ARIL_OK) {
        st = subscribe(l, node, &conn, &note);
    }
    report(l, st, &note);
    const bool worked = st == ARIL_OK;
    if (worked && lost) {
        l->fn(l->user, (aril_bytes){ NULL, 0 });
    }
    while (st == ARIL_OK) {
        st = hear(l, conn, UINT64_MAX, NULL);
    }
    arili_redis_node_drop(node);
    return worked;
}

static void *listener_main(void *arg)
{
    struct arili_redis_listener *const l = arg;
    (void)prctl(PR_SET_NAME, "aril-redis", 0, 0, 0);
    uint64_t pause_ms = 0;
    for (bool lost = false; !stopped(l, pause_ms); lost = true) {
        const bool worked = session(l, lost);
        pause_ms = worked || pause_ms == 0 ? PAUSE_MS : 2 * pause_ms;
        pause_ms = pause_ms < PAUSE_MS_MAX ? pause_ms : PAUSE_MS_MAX;
    }
    return NULL;
}

static void listener_free(struct arili_redis_listener *l)
{
    if (l->stop_fd >= 0) {
        (void)close(l->stop_fd);
    }
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->mutex);
    arili_free(l, sizeof *l);
}

void arili_redis_listener_end(struct arili_redis_listener *l)
{
    if (l == NULL) {
        return;
    }
    const uint64_t one = 1;
    while (write(l->stop_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
    (void)pthread_join(l->thread, NULL);
    listener_free(l);
}

/* The thread inherits the mask: signals stay with the threads of the program. */
static bool start(struct arili_redis_listener *l)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(&l->thread, NULL, listener_main, l);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0;
}

static struct arili_redis_listener *listener_new(struct arili_redis *s, aril_bytes channel,
                                                 aril_store_message_fn *fn, void *user)
{
    struct arili_redis_listener *const l = arili_alloc(sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->s = s;
    l->fn = fn;
    l->user = user;
    l->channel_len = channel.len;
    memcpy(l->channel, channel.data, channel.len);
    (void)pthread_mutex_init(&l->mutex, NULL);
    (void)pthread_cond_init(&l->changed, NULL);
    l->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (l->stop_fd < 0 || !start(l)) {
        listener_free(l);
        return NULL;
    }
    return l;
}

aril_status arili_redis_listen(void *state, aril_bytes channel, aril_store_message_fn *fn,
                               void *user, aril_error *error)
{
    struct arili_redis *const s = state;
    if (channel.len > ARIL_STORE_NAME_BYTES_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "redis: the name of a channel has at most %u bytes",
                               ARIL_STORE_NAME_BYTES_MAX);
    }
    struct arili_redis_listener *const l = listener_new(s, channel, fn, user);
    if (l == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "redis: no memory or thread to listen with");
    }
    /* The first attempt ends by its own deadline. */
    (void)pthread_mutex_lock(&l->mutex);
    while (!l->tried) {
        (void)pthread_cond_wait(&l->changed, &l->mutex);
    }
    const aril_status st = l->status;
    const aril_error note = l->note;
    (void)pthread_mutex_unlock(&l->mutex);
    if (st == ARIL_OK || st == ARIL_E_IO || st == ARIL_E_TIMEOUT) {
        s->listener = l;
        return ARIL_OK; /* one that is down may come back */
    }
    arili_redis_listener_end(l);
    return arili_error_set(error, st, "%s", note.message);
}

aril_status arili_redis_publish(void *state, aril_bytes channel, aril_bytes message,
                                uint64_t deadline_ns, aril_error *error)
{
    struct arili_redis *const s = state;
    struct arili_redis_node *node = NULL;
    struct arili_redis_conn *conn = NULL;
    const aril_bytes args[] = { ARILI_LITERAL("PUBLISH"), channel, message };
    struct arili_redis_answer a = { 0 };
    ARILI_TRY(arili_redis_route(s, arili_resp_slot(channel), &node, error));
    aril_status st = arili_redis_pool_take(node, deadline_ns, &conn, error);
    if (st == ARIL_OK) {
        st = arili_redis_conn_send(conn, args, 3, deadline_ns, error);
    }
    if (st == ARIL_OK) {
        st = arili_redis_conn_flush(conn, deadline_ns, error);
    }
    if (st == ARIL_OK) {
        st = arili_redis_conn_answer(conn, &a, deadline_ns, error);
    }
    if (st == ARIL_OK && a.kind == ARILI_RESP_ERROR) {
        struct arili_redis_verdict v;
        arili_redis_judge((aril_bytes){ a.text, a.len }, &v);
        st = arili_redis_refused(&v, node->name, error);
    } else if (st == ARIL_OK && a.kind != ARILI_RESP_INTEGER) {
        st = arili_redis_conn_nonsense(conn, "its answer to PUBLISH is none", error);
    }
    arili_redis_pool_give(conn);
    arili_redis_node_drop(node);
    return st;
}
