/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/redis_internal.h"
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

/* getaddrinfo() knows no deadline. It runs on a thread; who is last, the thread or the caller,
 * frees the job. */
struct job {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done, left;
    int code;
    struct arili_redis_resolved found;
    char host[ARILI_REDIS_HOST_BYTES];
    char port[8];
};

static int look_up(const char *host, const char *port, int flags, struct arili_redis_resolved *ret)
{
    const struct addrinfo hints = { .ai_flags = flags,
                                    .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    const int code = getaddrinfo(host, port, &hints, &list);
    if (code != 0) {
        return code;
    }
    const size_t cap = sizeof ret->addresses / sizeof ret->addresses[0];
    ret->count = 0;
    for (const struct addrinfo *a = list; a != NULL && ret->count < cap; a = a->ai_next) {
        if (a->ai_addrlen <= sizeof ret->addresses[0].at) {
            memcpy(&ret->addresses[ret->count].at, a->ai_addr, a->ai_addrlen);
            ret->addresses[ret->count++].len = a->ai_addrlen;
        }
    }
    freeaddrinfo(list);
    return ret->count > 0 ? 0 : EAI_NONAME;
}

static void job_free(struct job *job)
{
    (void)pthread_cond_destroy(&job->changed);
    (void)pthread_mutex_destroy(&job->mutex);
    arili_free(job, sizeof *job);
}

static void *job_main(void *arg)
{
    struct job *const job = arg;
    struct arili_redis_resolved found = { 0 };
    const int code = look_up(job->host, job->port, AI_NUMERICSERV | AI_ADDRCONFIG, &found);
    (void)pthread_mutex_lock(&job->mutex);
    job->code = code;
    job->found = found;
    job->done = true;
    (void)pthread_cond_signal(&job->changed);
    const bool last = job->left;
    (void)pthread_mutex_unlock(&job->mutex);
    if (last) {
        job_free(job);
    }
    return NULL;
}

static bool job_start(struct job *job)
{
    pthread_condattr_t monotonic;
    pthread_attr_t detached;
    if (pthread_condattr_init(&monotonic) != 0) {
        return false;
    }
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&job->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&job->mutex, NULL);
    if (pthread_attr_init(&detached) != 0) {
        return false;
    }
    (void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sigset_t all;
    sigset_t before;
    pthread_t thread;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(&thread, &detached, job_main, job);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&detached);
    return code == 0;
}

static aril_status resolve_name(const struct arili_redis_address *address, const char *port,
                                uint64_t deadline_ns, struct arili_redis_resolved *ret,
                                aril_error *error)
{
    struct job *const job = arili_alloc(sizeof *job);
    if (job == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM), "%s: out of memory", address->host);
    }
    memcpy(job->host, address->host, sizeof job->host);
    memcpy(job->port, port, strlen(port) + 1);
    if (!job_start(job)) {
        arili_free(job, sizeof *job);
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM), "%s: no thread to look the name up",
                               address->host);
    }
    const struct timespec until = { (time_t)(deadline_ns / NS_PER_S),
                                    (long)(deadline_ns % NS_PER_S) };
    (void)pthread_mutex_lock(&job->mutex);
    while (!job->done && pthread_cond_timedwait(&job->changed, &job->mutex, &until) == 0) {
    }
    const bool done = job->done;
    const int code = job->code;
    if (done && code == 0) {
        *ret = job->found;
    }
    job->left = true;
    (void)pthread_mutex_unlock(&job->mutex);
    if (!done) {
        return arili_error_set(error, arili_fail(ARIL_E_TIMEOUT),
                               "%s: the name was not resolved in time; check DNS, or give an "
                               "address",
                               address->host);
    }
    job_free(job);
    if (code != 0) {
        return arili_error_set(error, arili_fail(ARIL_E_IO),
                               "%s: the name does not resolve (%s); check it, and DNS",
                               address->host, gai_strerror(code));
    }
    return ARIL_OK;
}

static aril_status resolve_path(const struct arili_redis_address *address,
                                struct arili_redis_resolved *ret, aril_error *error)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    const size_t len = strlen(address->host);
    if (len >= sizeof at.sun_path) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%s: the path of a socket has at most 107 bytes", address->host);
    }
    memcpy(at.sun_path, address->host, len);
    memcpy(&ret->addresses[0].at, &at, sizeof at);
    ret->addresses[0].len = sizeof at;
    ret->count = 1;
    return ARIL_OK;
}

aril_status arili_redis_resolve(const struct arili_redis_address *address, uint64_t deadline_ns,
                                struct arili_redis_resolved *ret, aril_error *error)
{
    struct arili_redis_resolved found = { 0 };
    if (address->is_unix) {
        ARILI_TRY(resolve_path(address, &found, error));
    } else {
        char port[8];
        (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
        if (look_up(address->host, port, AI_NUMERICHOST | AI_NUMERICSERV, &found) != 0) {
            ARILI_TRY(resolve_name(address, port, deadline_ns, &found, error));
        }
    }
    *ret = found;
    return ARIL_OK;
}
