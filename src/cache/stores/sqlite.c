/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/stores/sqlite_internal.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)

/* --- The pool ------------------------------------------------------------------------------ */

/* With the mutex: an idle connection, or the right to open one (*ret is NULL). */
static aril_status wait_for_one(struct arili_lite_state *s, uint64_t deadline_ns,
                                struct arili_lite_connection **ret)
{
    const struct timespec until = { .tv_sec = (time_t)(deadline_ns / ARILI_NS_PER_S),
                                    .tv_nsec = (long)(deadline_ns % ARILI_NS_PER_S) };
    while (s->idle == NULL && s->open >= s->open_max) {
        ARILI_ENSURE(pthread_cond_timedwait(&s->changed, &s->mutex, &until) != ETIMEDOUT,
                     ARIL_E_TIMEOUT);
    }
    *ret = s->idle;
    if (s->idle != NULL) {
        s->idle = s->idle->next;
    } else {
        s->open++;
    }
    return ARIL_OK;
}

static void forget_one(struct arili_lite_state *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->open--;
    (void)pthread_cond_signal(&s->changed);
    (void)pthread_mutex_unlock(&s->mutex);
}

aril_status arili_lite_take(struct arili_lite_state *s, uint64_t deadline_ns,
                            struct arili_lite_connection **ret, aril_error *error)
{
    struct arili_lite_connection *c = NULL;
    (void)pthread_mutex_lock(&s->mutex);
    aril_status st = wait_for_one(s, deadline_ns, &c);
    (void)pthread_mutex_unlock(&s->mutex);
    if (st != ARIL_OK) {
        return arili_error_set(error, st,
                               "%s: all %zu connections were in use until the deadline; allow more "
                               "of them or more time",
                               s->path, s->open_max);
    }
    if (c == NULL) {
        st = arili_lite_connection_open(s, deadline_ns, &c, error);
        if (st != ARIL_OK) {
            forget_one(s);
            return st;
        }
    }
    c->deadline_ns = deadline_ns;
    *ret = c;
    return ARIL_OK;
}

void arili_lite_give(struct arili_lite_state *s, struct arili_lite_connection *c)
{
    if (c->broken) {
        arili_lite_connection_close(c);
        forget_one(s);
        return;
    }
    (void)pthread_mutex_lock(&s->mutex);
    c->next = s->idle;
    s->idle = c;
    (void)pthread_cond_signal(&s->changed);
    (void)pthread_mutex_unlock(&s->mutex);
}

/* --- Opening and closing ------------------------------------------------------------------- */

static void state_close(void *state)
{
    struct arili_lite_state *const s = state;
    if (s == NULL) {
        return;
    }
    for (struct arili_lite_connection *c = s->idle, *next; c != NULL; c = next) {
        next = c->next;
        arili_lite_connection_close(c);
    }
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->mutex);
    arili_free(s, sizeof *s);
}

static bool init_pool(struct arili_lite_state *s)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    const bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                      pthread_cond_init(&s->changed, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    if (made && pthread_mutex_init(&s->mutex, NULL) != 0) {
        (void)pthread_cond_destroy(&s->changed);
        return false;
    }
    return made;
}

static aril_status open_first(struct arili_lite_state *s, uint32_t deadline_ms, aril_error *error)
{
    struct arili_lite_connection *c = NULL;
    ARILI_TRY(arili_lite_take(s, arili_lite_now_ns() + deadline_ms * NS_PER_MS, &c, error));
    arili_lite_give(s, c);
    return ARIL_OK;
}

static aril_status state_open(const struct arili_cache_store_options *options, const char *scheme,
                              void **ret_state, uint32_t *ret_capabilities, aril_error *error)
{
    (void)scheme;
    const char *const path = options->rest;
    const size_t len = strlen(path);
    struct arili_lite_state *const s = arili_alloc(sizeof *s);
    /* "./" keeps SQLite from reading ":memory:" and "file:..." as what they are to it. */
    if (s != NULL && (len == 0 || len + 3 > sizeof s->path)) {
        arili_free(s, sizeof *s);
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "sqlite: a path of %zu bytes; it may have 1 to %zu", len,
                               sizeof s->path - 3);
    }
    if (s == NULL || sqlite3_threadsafe() == 0 || !init_pool(s)) {
        const aril_status st =
            sqlite3_threadsafe() == 0 ? arili_fail(ARIL_E_UNAVAILABLE) : arili_fail(ARIL_E_NOMEM);
        arili_free(s, sizeof *s);
        return arili_error_set(error, st, "sqlite:%s: %s; %s", path, aril_status_text(st),
                               aril_status_hint(st));
    }
    (void)snprintf(s->path, sizeof s->path, "%s%s", path[0] == '/' ? "" : "./", path);
    s->durable = options->config->durable != 0;
    s->bytes_max = options->config->bytes_max;
    s->open_max = options->config->connections;
    const aril_status st = open_first(s, options->config->deadline_ms, error);
    if (st != ARIL_OK) {
        state_close(s);
        return st;
    }
    *ret_state = s;
    *ret_capabilities = ARIL_STORE_TTL | ARIL_STORE_LIST | ARIL_STORE_LOCK | ARIL_STORE_SHARED;
    return ARIL_OK;
}

static aril_status state_stat(void *state, uint64_t deadline_ns, struct arili_cache_store_stat *ret,
                              aril_error *error)
{
    struct arili_lite_state *const s = state;
    struct arili_lite_connection *c = NULL;
    struct arili_lite_totals totals = { 0 };
    ARILI_TRY(arili_lite_take(s, deadline_ns, &c, error));
    const aril_status st = arili_lite_read_totals(c, &totals, error);
    arili_lite_give(s, c);
    ARILI_TRY(st);
    ret->entries = totals.entries;
    ret->bytes = totals.bytes;
    (void)snprintf(ret->description, sizeof ret->description, "SQLite %s, %.100s",
                   sqlite3_libversion(), s->path);
    return ARIL_OK;
}

static const char *const schemes[] = { "sqlite", NULL };

const struct arili_cache_store_ops arili_cache_store_sqlite = {
    .abi = ARILI_CACHE_STORE_ABI,
    .kind = "sqlite",
    .schemes = schemes,
    .open = state_open,
    .close = state_close,
    .get = arili_lite_get,
    .put = arili_lite_put,
    .erase = arili_lite_erase,
    .exists = arili_lite_exists,
    .scan = arili_lite_scan,
    .lock = arili_lite_lock,
    .unlock = arili_lite_unlock,
    .stat = state_stat,
};
