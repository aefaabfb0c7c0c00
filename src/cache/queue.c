/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/queue_internal.h"
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

/* One of depth; it is always in one of the three lists, or runs whole. */
struct batch {
    struct batch *next;
    aril_cache_completion c; /* status grows worse as pieces end */
    size_t claimed;          /* items that a worker took */
    size_t running;          /* pieces that are being worked on */
};

struct list {
    struct batch *first, *last;
};

struct aril_cache_queue {
    const struct arili_queue_calls *calls;
    aril_cache *cache;
    pid_t pid; /* a forked child has no workers, and the mutex may be held there for ever */
    int fd;    /* readable while done has something */
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t work;
    struct list unused, waiting, done;
    bool stop;
    uint64_t last_id;
    size_t started;
    size_t workers, depth;
    pthread_t *threads;
    struct batch *batches;
};

static void append(struct list *list, struct batch *b)
{
    b->next = NULL;
    *(list->last != NULL ? &list->last->next : &list->first) = b;
    list->last = b;
}

static struct batch *take_first(struct list *list)
{
    struct batch *const b = list->first;
    if (b != NULL) {
        list->first = b->next;
        list->last = b->next != NULL ? list->last : NULL;
        b->next = NULL;
    }
    return b;
}

static bool is_forked(const aril_cache_queue *queue)
{
    return getpid() != queue->pid;
}

/* --- Pieces -------------------------------------------------------------------------------- */

struct piece {
    struct batch *batch;
    aril_cache_item *items;
    size_t count;
};

static size_t item_bytes(const struct batch *b, const aril_cache_item *item)
{
    size_t bytes = 0;
    if (b->c.op == ARIL_CACHE_OP_PUT) {
        bytes = item->value.len;
    } else if (b->c.op == ARIL_CACHE_OP_GET) {
        bytes = item->buffer.len;
    }
    return bytes < ARILI_QUEUE_PIECE_BYTES ? bytes : ARILI_QUEUE_PIECE_BYTES;
}

/* With the mutex held. A worker's fair share, and more where that would be little work. */
static size_t piece_size(const aril_cache_queue *queue, const struct batch *b)
{
    const size_t left = b->c.count - b->claimed;
    const size_t share = b->c.count / queue->workers + (b->c.count % queue->workers != 0);
    size_t bytes = 0, count = 0;
    while (count < left && count < ARILI_QUEUE_PIECE_ITEMS && bytes < ARILI_QUEUE_PIECE_BYTES) {
        bytes += item_bytes(b, &b->c.items[b->claimed + count]);
        count++;
    }
    count = count < share ? share : count;
    return count < left ? count : left;
}

/* With the mutex held; something waits. */
static struct piece claim(aril_cache_queue *queue)
{
    struct batch *const b = queue->waiting.first;
    struct piece p = { .batch = b, .count = piece_size(queue, b) };
    p.items = p.count > 0 ? b->c.items + b->claimed : b->c.items;
    b->claimed += p.count;
    b->running++;
    if (b->claimed == b->c.count) {
        (void)take_first(&queue->waiting);
    }
    return p;
}

/*
 * Without the mutex: what the piece means for its batch. A call with one item answers that item's
 * status, which of a longer batch is not the batch's. What concerns all leaves items alone.
 */
static aril_status run(const aril_cache_queue *queue, const struct piece *p)
{
    const bool alone = p->count == 1 && p->batch->c.count > 1;
    const aril_status untouched = ARIL_E_INTERRUPTED;
    if (alone) {
        p->items[0].status = untouched;
    }
    const aril_status st =
        queue->calls->by_op[p->batch->c.op](queue->cache, p->items, p->count, NULL);
    if (!alone || st == ARIL_OK || p->items[0].status == untouched) {
        return st;
    }
    return st == ARIL_E_NOT_FOUND ? ARIL_OK : ARIL_E_BATCH;
}

/* What concerns all is worse than what concerns items. */
static aril_status worse(aril_status a, aril_status b)
{
    return a == ARIL_OK || (a == ARIL_E_BATCH && b != ARIL_OK) ? b : a;
}

/* With the mutex held. */
static void end_piece(aril_cache_queue *queue, struct batch *b, aril_status st)
{
    b->c.status = worse(b->c.status, st);
    b->running--;
    if (b->running > 0 || b->claimed < b->c.count) {
        return;
    }
    if (queue->done.first == NULL) {
        const uint64_t one = 1;
        const ssize_t written = write(queue->fd, &one, sizeof one);
        (void)written; /* the count goes from 0 to 1: there is nothing to fail */
    }
    append(&queue->done, b);
}

static void *worker_main(void *arg)
{
    aril_cache_queue *const queue = arg;
    (void)prctl(PR_SET_NAME, "aril-cache", 0, 0, 0);
    (void)pthread_mutex_lock(&queue->mutex);
    while (!queue->stop) {
        if (queue->waiting.first == NULL) {
            (void)pthread_cond_wait(&queue->work, &queue->mutex);
            continue;
        }
        const struct piece p = claim(queue);
        (void)pthread_mutex_unlock(&queue->mutex);
        const aril_status st = run(queue, &p);
        (void)pthread_mutex_lock(&queue->mutex);
        end_piece(queue, p.batch, st);
    }
    (void)pthread_mutex_unlock(&queue->mutex);
    return NULL;
}

/* --- New and free -------------------------------------------------------------------------- */

/* With the mutex held. */
static void give_up_waiting(aril_cache_queue *queue)
{
    for (struct batch *b; (b = take_first(&queue->waiting)) != NULL;) {
        for (; b->claimed < b->c.count; b->claimed++) {
            b->c.items[b->claimed].status = ARIL_E_INTERRUPTED;
        }
    }
}

static void end_workers(aril_cache_queue *queue)
{
    (void)pthread_mutex_lock(&queue->mutex);
    queue->stop = true;
    give_up_waiting(queue);
    (void)pthread_cond_broadcast(&queue->work);
    (void)pthread_mutex_unlock(&queue->mutex);
    for (size_t i = 0; i < queue->started; i++) {
        (void)pthread_join(queue->threads[i], NULL);
    }
    (void)pthread_cond_destroy(&queue->work);
    (void)pthread_mutex_destroy(&queue->mutex);
}

void aril_cache_queue_free(aril_cache_queue *queue)
{
    if (queue == NULL) {
        return;
    }
    if (!is_forked(queue)) {
        end_workers(queue);
    }
    if (queue->fd >= 0) {
        (void)close(queue->fd);
    }
    arili_free(queue->threads, queue->workers * sizeof *queue->threads);
    arili_free(queue->batches, queue->depth * sizeof *queue->batches);
    arili_free(queue, sizeof *queue);
}

static void queue_freep(aril_cache_queue **queue)
{
    aril_cache_queue_free(*queue);
}

/* New threads inherit the mask: signals stay with the threads of the program. */
static aril_status start(aril_cache_queue *queue)
{
    sigset_t all, before;
    int error = 0;
    (void)sigfillset(&all);
    ARILI_ENSURE(pthread_sigmask(SIG_SETMASK, &all, &before) == 0, ARIL_E_UNAVAILABLE);
    while (error == 0 && queue->started < queue->workers) {
        error = pthread_create(&queue->threads[queue->started], NULL, worker_main, queue);
        queue->started += error == 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    ARILI_ENSURE(error == 0, ARIL_E_NOMEM);
    return ARIL_OK;
}

aril_status arili_queue_new_over(const struct arili_queue_calls *calls, aril_cache *cache,
                                 size_t workers, size_t depth, aril_cache_queue **ret)
{
    *ret = NULL;
    ARILI_ENSURE(workers >= 1 && workers <= ARILI_QUEUE_WORKERS_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(depth >= 1 && depth <= ARILI_QUEUE_DEPTH_MAX, ARIL_E_USAGE_RANGE);
    aril_cache_queue *const fresh = arili_alloc(sizeof *fresh);
    ARILI_ENSURE(fresh != NULL, ARIL_E_NOMEM);
    fresh->calls = calls;
    fresh->cache = cache;
    fresh->pid = getpid();
    fresh->workers = workers;
    fresh->depth = depth;
    fresh->fd = -1;
    /* With default attributes neither needs memory, so neither fails. */
    (void)pthread_mutex_init(&fresh->mutex, NULL);
    (void)pthread_cond_init(&fresh->work, NULL);
    ARILI_DEFER(queue_freep) aril_cache_queue *queue = fresh;
    queue->threads = arili_alloc(workers * sizeof *queue->threads);
    queue->batches = arili_alloc(depth * sizeof *queue->batches);
    ARILI_ENSURE(queue->threads != NULL && queue->batches != NULL, ARIL_E_NOMEM);
    for (size_t i = 0; i < depth; i++) {
        append(&queue->unused, &queue->batches[i]);
    }
    queue->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ARILI_ENSURE(queue->fd >= 0, ARIL_E_UNAVAILABLE);
    ARILI_TRY(start(queue));
    *ret = ARILI_TAKE(queue);
    return ARIL_OK;
}

/* --- Submit and take ----------------------------------------------------------------------- */

int aril_cache_queue_fd(const aril_cache_queue *queue)
{
    return queue != NULL ? queue->fd : -1;
}

/* With the mutex held. */
static void wake_workers(aril_cache_queue *queue, const struct batch *b)
{
    if (b->c.count > 1) {
        (void)pthread_cond_broadcast(&queue->work);
    } else {
        (void)pthread_cond_signal(&queue->work);
    }
}

aril_status aril_cache_submit(aril_cache_queue *queue, aril_cache_op op, aril_cache_item *items,
                              size_t count, void *user, uint64_t *ret_id)
{
    ARILI_ENSURE(queue != NULL && (items != NULL || count == 0), ARIL_E_USAGE_NULL);
    ARILI_ENSURE((unsigned)op < ARILI_QUEUE_OPS, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(!is_forked(queue), ARIL_E_FORKED);
    (void)pthread_mutex_lock(&queue->mutex);
    struct batch *const b = take_first(&queue->unused);
    if (b != NULL) {
        *b = (struct batch){
            .c = { .id = ++queue->last_id, .op = op, .items = items, .count = count, .user = user }
        };
        if (ret_id != NULL) {
            *ret_id = b->c.id;
        }
        append(&queue->waiting, b);
        wake_workers(queue, b);
    }
    (void)pthread_mutex_unlock(&queue->mutex);
    ARILI_ENSURE(b != NULL, ARIL_E_LIMIT);
    return ARIL_OK;
}

size_t aril_cache_completions(aril_cache_queue *queue, aril_cache_completion *ret, size_t cap)
{
    if (queue == NULL || ret == NULL || is_forked(queue)) {
        return 0;
    }
    size_t taken = 0;
    (void)pthread_mutex_lock(&queue->mutex);
    while (taken < cap && queue->done.first != NULL) {
        struct batch *const b = take_first(&queue->done);
        ret[taken++] = b->c;
        append(&queue->unused, b);
    }
    if (taken > 0 && queue->done.first == NULL) {
        uint64_t count;
        const ssize_t got = read(queue->fd, &count, sizeof count);
        (void)got; /* it is readable: this is the only reader, and holds the mutex */
    }
    (void)pthread_mutex_unlock(&queue->mutex);
    return taken;
}
