/* SPDX-License-Identifier: Apache-2.0 */
#include <aril/executor.h>
#include "base/ensure.h"
#include "base/mem.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/prctl.h>

/*
 * One run(). It lives on its caller's stack, so the caller leaves only when the
 * job is out of the list and no helper holds it. Everything but next is guarded by
 * the pool's mutex or constant.
 */
struct job {
    struct job *prev, *next_job; /* in the list of jobs that want help */
    bool listed;
    unsigned helpers; /* pool threads inside the job */
    pthread_cond_t left;
    void (*task)(void *arg, size_t index);
    void *arg;
    size_t count;
    _Alignas(64) atomic_size_t next; /* the next index that nobody has claimed */
};

struct aril_pool {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct job *head, *tail;
    unsigned idle; /* threads that wait for work */
    bool stop;
    size_t started;
    size_t alloc_bytes;
    aril_executor executor;
    pthread_t threads[];
};

static void list_append(aril_pool *pool, struct job *job)
{
    job->prev = pool->tail;
    job->next_job = NULL;
    if (pool->tail != NULL) {
        pool->tail->next_job = job;
    } else {
        pool->head = job;
    }
    pool->tail = job;
    job->listed = true;
}

static void list_remove(aril_pool *pool, struct job *job)
{
    if (!job->listed) {
        return;
    }
    if (job->prev != NULL) {
        job->prev->next_job = job->next_job;
    } else {
        pool->head = job->next_job;
    }
    if (job->next_job != NULL) {
        job->next_job->prev = job->prev;
    } else {
        pool->tail = job->prev;
    }
    job->listed = false;
}

/* Claims and runs until every index is claimed. A thread passes count at most
 * once per visit, so next cannot wrap. */
static void job_work(struct job *job)
{
    for (;;) {
        const size_t index = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed);
        if (index >= job->count) {
            return;
        }
        job->task(job->arg, index);
    }
}

/* With the mutex held, which is released meanwhile. */
static void help(aril_pool *pool, struct job *job)
{
    /* To the end of the list, so that several jobs share the threads. */
    list_remove(pool, job);
    list_append(pool, job);
    job->helpers++;
    (void)pthread_mutex_unlock(&pool->mutex);
    job_work(job);
    (void)pthread_mutex_lock(&pool->mutex);
    list_remove(pool, job);
    job->helpers--;
    if (job->helpers == 0) {
        (void)pthread_cond_signal(&job->left);
    }
}

static void *thread_main(void *arg)
{
    aril_pool *pool = arg;
    (void)prctl(PR_SET_NAME, "aril-pool", 0, 0, 0);
    (void)pthread_mutex_lock(&pool->mutex);
    while (!pool->stop) {
        if (pool->head != NULL) {
            help(pool, pool->head);
        } else {
            pool->idle++;
            (void)pthread_cond_wait(&pool->work, &pool->mutex);
            pool->idle--;
        }
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

static void run(void *state, void (*task)(void *arg, size_t index), void *arg, size_t count)
{
    aril_pool *pool = state;
    if (count <= 1) {
        for (size_t i = 0; i < count; i++) {
            task(arg, i);
        }
        return;
    }
    struct job job = { .left = PTHREAD_COND_INITIALIZER, .task = task, .arg = arg, .count = count };
    atomic_init(&job.next, 0);

    (void)pthread_mutex_lock(&pool->mutex);
    list_append(pool, &job);
    /* Busy threads look at the list before they wait, so only the idle ones need
     * a call; one task stays for this thread. */
    if (pool->idle > 0 && count - 1 >= pool->idle) {
        (void)pthread_cond_broadcast(&pool->work);
    } else {
        for (size_t i = 0; i < count - 1 && pool->idle > 0; i++) {
            (void)pthread_cond_signal(&pool->work);
        }
    }
    (void)pthread_mutex_unlock(&pool->mutex);

    job_work(&job);

    (void)pthread_mutex_lock(&pool->mutex);
    list_remove(pool, &job);
    while (job.helpers > 0) {
        (void)pthread_cond_wait(&job.left, &pool->mutex);
    }
    (void)pthread_mutex_unlock(&pool->mutex);
    (void)pthread_cond_destroy(&job.left);
}

static void pool_end(aril_pool *pool)
{
    (void)pthread_mutex_lock(&pool->mutex);
    pool->stop = true;
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_mutex_unlock(&pool->mutex);
    for (size_t i = 0; i < pool->started; i++) {
        (void)pthread_join(pool->threads[i], NULL);
    }
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_mutex_destroy(&pool->mutex);
    arili_free(pool, pool->alloc_bytes);
}

static void pool_freep(aril_pool **pool)
{
    aril_pool_free(*pool);
}

/* New threads inherit the mask: signals stay with the threads of the program. */
static aril_status start(aril_pool *pool, size_t threads)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    ARILI_ENSURE(pthread_sigmask(SIG_SETMASK, &all, &before) == 0, ARIL_E_UNAVAILABLE);
    int error = 0;
    while (error == 0 && pool->started < threads) {
        error = pthread_create(&pool->threads[pool->started], NULL, thread_main, pool);
        pool->started += error == 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    ARILI_ENSURE(error == 0, ARIL_E_NOMEM);
    return ARIL_OK;
}

aril_status aril_pool_new(size_t threads, aril_pool **ret_pool)
{
    ARILI_ENSURE(ret_pool != NULL, ARIL_E_USAGE_NULL);
    *ret_pool = NULL;
    ARILI_ENSURE(threads >= 1 && threads <= ARIL_POOL_THREADS_MAX, ARIL_E_USAGE_RANGE);
    const size_t bytes = sizeof(aril_pool) + threads * sizeof(pthread_t);
    aril_pool *fresh = arili_alloc(bytes);
    ARILI_ENSURE(fresh != NULL, ARIL_E_NOMEM);
    fresh->alloc_bytes = bytes;
    fresh->executor = (aril_executor){ .abi = ARIL_EXECUTOR_ABI, .state = fresh, .run = run };
    /* With default attributes neither needs memory, so neither fails. */
    (void)pthread_mutex_init(&fresh->mutex, NULL);
    (void)pthread_cond_init(&fresh->work, NULL);
    ARILI_DEFER(pool_freep) aril_pool *pool = fresh;
    ARILI_TRY(start(pool, threads));
    *ret_pool = ARILI_TAKE(pool);
    return ARIL_OK;
}

void aril_pool_free(aril_pool *pool)
{
    if (pool != NULL) {
        pool_end(pool);
    }
}

const aril_executor *aril_pool_executor(aril_pool *pool)
{
    return pool != NULL ? &pool->executor : NULL;
}
