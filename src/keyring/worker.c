/* SPDX-License-Identifier: Apache-2.0 */
#include "keyring/worker.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* The mutex guards what is not constant, but the subject: that is whose turn it is. */
struct arili_worker {
    pthread_mutex_t mutex;
    pthread_cond_t work;    /* the thread waits here */
    pthread_cond_t changed; /* callers wait here */
    pthread_t thread;
    uint64_t deadline_ns;
    void *subject;
    void (*release)(void *subject);

    arili_worker_fn *fn; /* what the thread shall run, or runs; NULL: nothing */
    aril_status status;  /* of what it ran last */
    bool taken;          /* somebody has its turn */
    bool ending;         /* the thread shall release the subject and end */
    bool given_up;       /* the same, and nobody waits for it */
    bool freed;          /* by its owner: the thread ends the rest */
    bool ended;          /* the thread has released the subject and touches nothing any more */

    bool paused;
    uint64_t paused_at_ns;
    uint64_t paused_ns; /* all pauses that are over, together */
};

/* How long a caller waits. */
struct patience {
    uint64_t until_ns;
    uint64_t paused_ns; /* pauses that were over when it began */
};

/* Does not run while the host sleeps: that is no reason to give up what is well. */
static uint64_t now_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static struct patience patience(const struct arili_worker *w)
{
    return (struct patience){ now_ns() + w->deadline_ns, w->paused_ns };
}

/* With the mutex: waits for a change. False: the time is up. */
static bool wait_changed(struct arili_worker *w, const struct patience *p)
{
    uint64_t until_ns = p->until_ns + (w->paused_ns - p->paused_ns);
    if (w->paused) {
        (void)pthread_cond_wait(&w->changed, &w->mutex);
        return true;
    }
    const struct timespec until = { (time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S) };
    (void)pthread_cond_timedwait(&w->changed, &w->mutex, &until);
    until_ns = p->until_ns + (w->paused_ns - p->paused_ns);
    return w->paused || now_ns() < until_ns;
}

static void worker_destroy(struct arili_worker *w)
{
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_cond_destroy(&w->work);
    (void)pthread_mutex_destroy(&w->mutex);
    arili_free(w, sizeof *w);
}

static void *thread_main(void *arg)
{
    struct arili_worker *const w = arg;
    (void)prctl(PR_SET_NAME, "aril-keystore", 0, 0, 0);
    (void)pthread_mutex_lock(&w->mutex);
    while (!w->ending && !w->given_up) {
        arili_worker_fn *const fn = w->fn;
        if (fn == NULL) {
            (void)pthread_cond_wait(&w->work, &w->mutex);
            continue;
        }
        (void)pthread_mutex_unlock(&w->mutex);
        const aril_status st = fn(w->subject);
        (void)pthread_mutex_lock(&w->mutex);
        w->status = st;
        w->fn = NULL;
        (void)pthread_cond_broadcast(&w->changed);
    }
    (void)pthread_mutex_unlock(&w->mutex);
    w->release(w->subject);
    (void)pthread_mutex_lock(&w->mutex);
    w->ended = true;
    (void)pthread_cond_broadcast(&w->changed);
    const bool last = w->freed;
    (void)pthread_mutex_unlock(&w->mutex);
    if (last) {
        worker_destroy(w);
    }
    return NULL;
}

/* With the mutex. */
static void give_up(struct arili_worker *w)
{
    w->given_up = true;
    (void)pthread_detach(w->thread);
    (void)pthread_cond_broadcast(&w->changed);
}

static int conds_init(struct arili_worker *w)
{
    pthread_condattr_t attr;
    int error = pthread_condattr_init(&attr);
    if (error != 0) {
        return error;
    }
    /* None of these fails with valid arguments; without memory only the thread does. */
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)pthread_cond_init(&w->work, NULL);
    (void)pthread_mutex_init(&w->mutex, NULL);
    return 0;
}

/* The thread inherits the mask: signals stay with the threads of the program. */
static int thread_start(struct arili_worker *w)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int error = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error == 0) {
        error = pthread_create(&w->thread, NULL, thread_main, w);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    return error;
}

aril_status arili_worker_new(void *subject, void (*release)(void *subject), uint32_t deadline_ms,
                             struct arili_worker **ret)
{
    struct arili_worker *const w = arili_alloc(sizeof *w);
    ARILI_ENSURE(w != NULL, ARIL_E_NOMEM);
    w->subject = subject;
    w->release = release;
    w->deadline_ns = deadline_ms * NS_PER_MS;
    if (conds_init(w) != 0) {
        arili_free(w, sizeof *w);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    if (thread_start(w) != 0) {
        worker_destroy(w);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    *ret = w;
    return ARIL_OK;
}

void arili_worker_free(struct arili_worker *w)
{
    if (w == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&w->mutex);
    if (!w->given_up) {
        const struct patience p = patience(w);
        w->ending = true;
        (void)pthread_cond_signal(&w->work);
        while (!w->ended && !w->given_up) {
            if (!wait_changed(w, &p) && !w->ended) {
                give_up(w);
            }
        }
    }
    const bool join = !w->given_up;
    const bool last = w->ended;
    w->freed = true;
    (void)pthread_mutex_unlock(&w->mutex);
    if (join) {
        (void)pthread_join(w->thread, NULL);
    }
    if (last) {
        worker_destroy(w);
    }
}

void arili_worker_forget(struct arili_worker *w)
{
    /* The mutex may be locked for ever here, so it is not destroyed. */
    arili_free(w, sizeof *w);
}

enum arili_turn arili_worker_take(struct arili_worker *w)
{
    if (pthread_equal(pthread_self(), w->thread)) {
        return ARILI_TURN_INSIDE;
    }
    (void)pthread_mutex_lock(&w->mutex);
    const struct patience p = patience(w);
    bool in_time = true;
    while (in_time && w->taken && !w->given_up) {
        in_time = wait_changed(w, &p);
    }
    const enum arili_turn turn = w->given_up ? ARILI_TURN_GIVEN_UP
                                 : w->taken  ? ARILI_TURN_BUSY
                                             : ARILI_TURN_TAKEN;
    w->taken = w->taken || turn == ARILI_TURN_TAKEN;
    (void)pthread_mutex_unlock(&w->mutex);
    return turn;
}

void arili_worker_put(struct arili_worker *w)
{
    (void)pthread_mutex_lock(&w->mutex);
    w->taken = false;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->mutex);
}

bool arili_worker_run(struct arili_worker *w, arili_worker_fn *fn, aril_status *ret_status)
{
    (void)pthread_mutex_lock(&w->mutex);
    const struct patience p = patience(w);
    w->fn = fn;
    (void)pthread_cond_signal(&w->work);
    while (w->fn != NULL && !w->given_up) {
        if (!wait_changed(w, &p) && w->fn != NULL) {
            give_up(w);
        }
    }
    const bool done = !w->given_up;
    if (done) {
        *ret_status = w->status;
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return done;
}

bool arili_worker_pause(struct arili_worker *w)
{
    (void)pthread_mutex_lock(&w->mutex);
    const bool wanted = !w->given_up;
    if (wanted) {
        w->paused = true;
        w->paused_at_ns = now_ns();
        (void)pthread_cond_broadcast(&w->changed);
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return wanted;
}

void arili_worker_resume(struct arili_worker *w)
{
    (void)pthread_mutex_lock(&w->mutex);
    w->paused = false;
    w->paused_ns += now_ns() - w->paused_at_ns;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->mutex);
}
