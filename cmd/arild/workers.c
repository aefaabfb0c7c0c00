/* SPDX-License-Identifier: Apache-2.0 */
#include "workers.h"
#include "base/ensure.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

struct workers {
    workers_deliver_fn *deliver;
    void *user;
    char name[16];
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t more;
    struct arili_task *first, **last;
    bool ending;
    uint32_t count;
    pthread_t threads[];
};

int thread_start(pthread_t *ret, void *(*run)(void *), void *user)
{
    sigset_t all, before;
    sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc != 0) {
        return rc;
    }
    rc = pthread_create(ret, NULL, run, user);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* cannot fail: it was the mask before */
    return rc;
}

void thread_name(const char *name)
{
    (void)prctl(PR_SET_NAME, name, 0, 0, 0); /* only a name */
}

/* NULL: it is over. */
static struct arili_task *take(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    while (w->first == NULL && !w->ending) {
        pthread_cond_wait(&w->more, &w->lock);
    }
    struct arili_task *task = w->first;
    if (task != NULL) {
        w->first = task->next;
        if (w->first == NULL) {
            w->last = &w->first;
        }
        task->next = NULL;
    }
    pthread_mutex_unlock(&w->lock);
    return task;
}

static void *run_worker(void *user)
{
    struct workers *w = user;
    thread_name(w->name);
    for (struct arili_task *task; (task = take(w)) != NULL;) {
        task->run(task);
        w->deliver(w->user, task);
    }
    return NULL;
}

aril_status workers_new(uint32_t count, const char *name, workers_deliver_fn *deliver, void *user,
                        struct workers **ret)
{
    ARILI_ENSURE(count > 0, ARIL_E_USAGE_RANGE);
    struct workers *w = calloc(1, sizeof *w + count * sizeof w->threads[0]);
    ARILI_ENSURE(w != NULL, ARIL_E_NOMEM);
    w->deliver = deliver;
    w->user = user;
    w->last = &w->first;
    snprintf(w->name, sizeof w->name, "%s", name);
    if (pthread_mutex_init(&w->lock, NULL) != 0) {
        free(w);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    if (pthread_cond_init(&w->more, NULL) != 0) {
        pthread_mutex_destroy(&w->lock);
        free(w);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    for (; w->count < count; w->count++) {
        if (thread_start(&w->threads[w->count], run_worker, w) != 0) {
            workers_free(w);
            ARILI_FAIL(ARIL_E_NOMEM);
        }
    }
    *ret = w;
    return ARIL_OK;
}

void workers_put(struct workers *w, struct arili_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&w->lock);
    *w->last = task;
    w->last = &task->next;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
}

void workers_free(struct workers *w)
{
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->ending = true;
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < w->count; i++) {
        pthread_join(w->threads[i], NULL);
    }
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
