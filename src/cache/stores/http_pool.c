/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/stores/http_internal.h"
#if ARILI_HTTP_HEADERS
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <errno.h>
#include <time.h>

/*
 * Desks that no call works at are kept with their connections. A multi handle of libcurl belongs
 * to one thread at a time, so a desk is lent whole. Together the desks have no more lanes, and so
 * no more connections, than the store may have.
 */

static void desk_free(struct arili_http *s, struct arili_http_desk *d)
{
    for (uint32_t i = 0; i < d->lane_count; i++) {
        arili_http_lane_free(d->lanes[i]);
    }
    if (d->multi != NULL) {
        (void)s->curl->multi_cleanup(d->multi);
    }
    arili_free(d->lanes, s->connections * sizeof *d->lanes);
    arili_free(d, sizeof *d);
}

static struct arili_http_desk *desk_new(struct arili_http *s)
{
    struct arili_http_desk *d = arili_alloc(sizeof *d);
    if (d == NULL) {
        return NULL;
    }
    d->lanes = arili_alloc(s->connections * sizeof *d->lanes);
    d->multi = d->lanes == NULL ? NULL : s->curl->multi_init();
    if (d->multi == NULL) {
        desk_free(s, d);
        return NULL;
    }
    return d;
}

/* Makes the desk have so many lanes, or more. */
static bool desk_lanes(struct arili_http *s, struct arili_http_desk *d, uint32_t count)
{
    while (d->lane_count < count) {
        struct arili_http_lane *lane = arili_http_lane_new(s);
        if (lane == NULL) {
            return false;
        }
        d->lanes[d->lane_count++] = lane;
    }
    return s->curl->multi_setopt(d->multi, CURLMOPT_MAXCONNECTS, (long)count) == CURLM_OK;
}

/* With the mutex: the last that was given back has the freshest connections. */
static struct arili_http_desk *pop_idle(struct arili_http *s)
{
    struct arili_http_desk *const d = s->idle;
    if (d != NULL) {
        s->idle = d->next;
        s->idle_lanes -= d->lane_count;
        d->next = NULL;
    }
    return d;
}

/* With the mutex: desks that are too many now, as a list for desks_drop(). */
static struct arili_http_desk *pop_surplus(struct arili_http *s)
{
    struct arili_http_desk *surplus = NULL;
    while (s->idle != NULL && s->idle_lanes + s->in_use > s->connections) {
        struct arili_http_desk *const d = pop_idle(s);
        d->next = surplus;
        surplus = d;
    }
    return surplus;
}

static void desks_drop(struct arili_http *s, struct arili_http_desk *list)
{
    while (list != NULL) {
        struct arili_http_desk *const next = list->next;
        desk_free(s, list);
        list = next;
    }
}

static void release(struct arili_http *s, uint32_t lanes)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->in_use -= lanes;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->mutex);
}

/* 0 when the deadline passed. */
static uint32_t reserve(struct arili_http *s, size_t wanted, uint64_t deadline_ns,
                        struct arili_http_desk **ret, struct arili_http_desk **ret_surplus)
{
    const struct timespec until = { .tv_sec = (time_t)(deadline_ns / ARILI_NS_PER_S),
                                    .tv_nsec = (long)(deadline_ns % ARILI_NS_PER_S) };
    int waited = 0;
    uint32_t lanes = 0;
    (void)pthread_mutex_lock(&s->mutex);
    while (s->in_use == s->connections && waited == 0) {
        waited = pthread_cond_timedwait(&s->changed, &s->mutex, &until);
    }
    const uint32_t left = s->connections - s->in_use;
    if (left > 0) {
        lanes = wanted < left ? (uint32_t)wanted : left;
        *ret = pop_idle(s);
        s->in_use += lanes;
        *ret_surplus = pop_surplus(s);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return lanes;
}

aril_status arili_http_desk_take(struct arili_http *s, size_t wanted, uint64_t deadline_ns,
                                 struct arili_http_desk **ret, uint32_t *ret_lanes,
                                 aril_error *error)
{
    struct arili_http_desk *desk = NULL;
    struct arili_http_desk *surplus = NULL;
    const uint32_t lanes = reserve(s, wanted, deadline_ns, &desk, &surplus);
    desks_drop(s, surplus);
    if (lanes == 0) {
        return arili_http_failed(s, error, arili_fail(ARIL_E_TIMEOUT),
                                 "all connections are busy; raise connections or deadline_ms");
    }
    if (desk == NULL) {
        desk = desk_new(s);
    }
    if (desk == NULL || !desk_lanes(s, desk, lanes)) {
        if (desk != NULL) {
            desk_free(s, desk);
        }
        release(s, lanes);
        return arili_http_failed(s, error, arili_fail(ARIL_E_NOMEM),
                                 "no memory for a connection; give the process more");
    }
    *ret = desk;
    *ret_lanes = lanes;
    return ARIL_OK;
}

void arili_http_desk_give(struct arili_http *s, struct arili_http_desk *desk, uint32_t lanes)
{
    while (desk->lane_count >
           lanes) { /* of an earlier call; its connection went with MAXCONNECTS */
        arili_http_lane_free(desk->lanes[--desk->lane_count]);
    }
    (void)pthread_mutex_lock(&s->mutex);
    s->in_use -= lanes;
    desk->next = s->idle;
    s->idle = desk;
    s->idle_lanes += desk->lane_count;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->mutex);
}

void arili_http_desks_free(struct arili_http *s)
{
    desks_drop(s, s->idle);
    s->idle = NULL;
}
#endif
