/* SPDX-License-Identifier: Apache-2.0 */
#include "refresher.h"
#include "base/ensure.h"
#include "workers.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S  1000000000L
#define NS_PER_MS 1000000L

struct refresher {
    struct arili_proxy *proxy;
    pthread_mutex_t lock; /* of ending */
    pthread_cond_t changed;
    bool ending;
    pthread_t thread;
};

/* Whether it is over; waits for the next turn otherwise. */
static bool wait_turn(struct refresher *r)
{
    struct timespec until = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += REFRESH_EVERY_MS * NS_PER_MS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    pthread_mutex_lock(&r->lock);
    int rc = 0;
    while (!r->ending && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&r->changed, &r->lock, &until);
    }
    const bool ending = r->ending;
    pthread_mutex_unlock(&r->lock);
    return ending;
}

static void *run_refresher(void *user)
{
    struct refresher *r = user;
    thread_name("arild-keys");
    while (!wait_turn(r)) {
        arili_proxy_refresh(r->proxy);
    }
    return NULL;
}

static int init_cond(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);
    if (rc == 0) {
        rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        rc = rc != 0 ? rc : pthread_cond_init(c, &attr);
        (void)pthread_condattr_destroy(&attr);
    }
    return rc;
}

aril_status refresher_new(struct arili_proxy *proxy, struct refresher **ret)
{
    struct refresher *r = calloc(1, sizeof *r);
    ARILI_ENSURE(r != NULL, ARIL_E_NOMEM);
    r->proxy = proxy;
    if (pthread_mutex_init(&r->lock, NULL) != 0) {
        free(r);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    if (init_cond(&r->changed) != 0) {
        pthread_mutex_destroy(&r->lock);
        free(r);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    if (thread_start(&r->thread, run_refresher, r) != 0) {
        pthread_cond_destroy(&r->changed);
        pthread_mutex_destroy(&r->lock);
        free(r);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    *ret = r;
    return ARIL_OK;
}

void refresher_free(struct refresher *r)
{
    if (r == NULL) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->ending = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
