/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/flight.h"
#include "base/clock.h"
#include "base/ensure.h"
#include "cache/packed.h"
#include <errno.h>
#include <pthread.h>
#include <time.h>

/* Lists are as long as threads work at a time, so a hash serves to spread the locks alone, and
 * nobody gains by choosing names that meet. */
#define STRIPES 64u

struct arili_flight {
    struct arili_flight *next; /* in its stripe; NULL once it has ended */
    struct stripe *stripe;
    pthread_cond_t ended_now;
    size_t waiters; /* the last one frees a flight that has ended */
    bool ended;
    size_t bytes;             /* of the allocation */
    struct arili_packed name; /* with its bytes behind it */
};

struct stripe {
    pthread_mutex_t lock; /* guards the list and the flights in it */
    struct arili_flight *list;
};

struct arili_flights {
    uint64_t seed;
    struct stripe stripes[STRIPES];
};

aril_status arili_flights_new(struct arili_flights **ret)
{
    struct arili_flights *const f = arili_alloc(sizeof *f);
    ARILI_ENSURE(f != NULL, ARIL_E_NOMEM);
    f->seed = UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < STRIPES; i++) {
        (void)pthread_mutex_init(&f->stripes[i].lock, NULL); /* needs nothing, cannot fail */
    }
    *ret = f;
    return ARIL_OK;
}

void arili_flights_free(struct arili_flights *f)
{
    if (f == NULL) {
        return;
    }
    for (size_t i = 0; i < STRIPES; i++) {
        (void)pthread_mutex_destroy(&f->stripes[i].lock);
    }
    arili_free(f, sizeof *f);
}

static struct arili_flight *find(const struct stripe *s, const aril_cache_key *key)
{
    struct arili_flight *flight = s->list;
    while (flight != NULL && !arili_packed_equal(&flight->name, key)) {
        flight = flight->next;
    }
    return flight;
}

/* The clock of conditions is the monotonic one: setting the time of day ends no wait. */
static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

static void flight_free(struct arili_flight *flight)
{
    (void)pthread_cond_destroy(&flight->ended_now);
    arili_free(flight, flight->bytes);
}

/* With the lock held. */
static aril_status lead(struct stripe *s, const aril_cache_key *key, struct arili_flight **ret)
{
    const size_t bytes = sizeof(struct arili_flight) + arili_packed_bytes(key);
    struct arili_flight *const flight = arili_alloc(bytes);
    ARILI_ENSURE(flight != NULL, ARIL_E_NOMEM);
    flight->bytes = bytes;
    flight->stripe = s;
    cond_init(&flight->ended_now);
    arili_packed_write(&flight->name, key);
    flight->next = s->list;
    s->list = flight;
    *ret = flight;
    return ARIL_OK;
}

static struct timespec deadline(uint32_t wait_ms)
{
    struct timespec at = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(wait_ms / 1000);
    at.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (at.tv_nsec >= (long)ARILI_NS_PER_S) {
        at.tv_sec++;
        at.tv_nsec -= (long)ARILI_NS_PER_S;
    }
    return at;
}

/* With the lock held, which is released meanwhile. */
static aril_status wait_for(struct arili_flight *flight, uint32_t wait_ms)
{
    const struct timespec until = deadline(wait_ms);
    int error = 0;
    flight->waiters++;
    while (!flight->ended && error == 0) {
        error = pthread_cond_timedwait(&flight->ended_now, &flight->stripe->lock, &until);
    }
    const bool ended = flight->ended;
    flight->waiters--;
    if (ended && flight->waiters == 0) {
        flight_free(flight);
    }
    return ended ? ARIL_OK : ARIL_E_TIMEOUT;
}

aril_status arili_flight_enter(struct arili_flights *f, const aril_cache_key *key, uint32_t wait_ms,
                               struct arili_flight **ret)
{
    *ret = NULL;
    ARILI_ENSURE(arili_packed_fits(key), ARIL_E_USAGE_RANGE);
    struct stripe *const s = &f->stripes[arili_packed_hash(f->seed, key) % STRIPES];
    aril_status st = ARIL_E_TIMEOUT;
    (void)pthread_mutex_lock(&s->lock);
    struct arili_flight *const flight = find(s, key);
    if (flight == NULL) {
        st = lead(s, key, ret);
    } else if (wait_ms > 0) {
        st = wait_for(flight, wait_ms);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return st;
}

void arili_flight_leave(struct arili_flights *f, struct arili_flight *flight)
{
    (void)f;
    struct stripe *const s = flight->stripe;
    (void)pthread_mutex_lock(&s->lock);
    struct arili_flight **link = &s->list;
    while (*link != flight) {
        link = &(*link)->next;
    }
    *link = flight->next;
    flight->next = NULL;
    flight->ended = true;
    if (flight->waiters == 0) {
        flight_free(flight);
    } else {
        (void)pthread_cond_broadcast(&flight->ended_now);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

size_t arili_flight_waiters(struct arili_flights *f, struct arili_flight *flight)
{
    (void)f;
    (void)pthread_mutex_lock(&flight->stripe->lock);
    const size_t waiters = flight->waiters;
    (void)pthread_mutex_unlock(&flight->stripe->lock);
    return waiters;
}
