/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/ensure.h"
#include "cache/stores/memory_internal.h"
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/*
 * memory:[NAME]. Values in the memory of this process, the least used ones evicted. Stores of one
 * name share one memory, which lives as long as one of them; its size is that of the first.
 */
#define NAME_BYTES_MAX 255u

struct memory {
    struct memory *next; /* in memories, with its mutex */
    size_t holders;      /* with the mutex of memories */
    struct arili_memory_table table;
    struct arili_memory_locks locks;
    struct arili_memory_channels channels;
    char name[NAME_BYTES_MAX + 1]; /* empty: nobody else's */
};

/* One store. */
struct state {
    struct memory *memory;
    struct arili_memory_listener *listener;
};

/* The memories of this process that have a name. */
static struct {
    pthread_mutex_t mutex;
    struct memory *first;
} memories = { PTHREAD_MUTEX_INITIALIZER, NULL };

uint64_t arili_memory_now_ns(void)
{
    uint64_t now = 0;
    const aril_status st = arili_clock_system.boot_ns(NULL, &now);
    return st == ARIL_OK ? now : 0;
}

static bool has_passed(uint64_t deadline_ns)
{
    struct timespec t = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * ARILI_NS_PER_S + (uint64_t)t.tv_nsec >= deadline_ns;
}

/* --- Opening and closing ------------------------------------------------------------------- */

static aril_status memory_new(const char *name, uint64_t bytes_max, struct memory **ret)
{
    uint64_t seeds[2];
    ARILI_ENSURE(getrandom(seeds, sizeof seeds, 0) == (ssize_t)sizeof seeds, ARIL_E_RANDOM);
    struct memory *const m = arili_alloc(sizeof *m);
    ARILI_ENSURE(m != NULL, ARIL_E_NOMEM);
    aril_status st = arili_memory_table_init(&m->table, seeds[0], bytes_max);
    if (st != ARIL_OK) {
        arili_free(m, sizeof *m);
        return st;
    }
    st = arili_memory_locks_init(&m->locks, seeds[1]);
    if (st == ARIL_OK) {
        st = arili_memory_channels_init(&m->channels);
        if (st != ARIL_OK) {
            arili_memory_locks_done(&m->locks);
        }
    }
    if (st != ARIL_OK) {
        arili_memory_table_done(&m->table);
        arili_free(m, sizeof *m);
        return st;
    }
    memcpy(m->name, name, strlen(name) + 1);
    m->holders = 1;
    *ret = m;
    return ARIL_OK;
}

static void memory_free(struct memory *m)
{
    arili_memory_channels_done(&m->channels);
    arili_memory_locks_done(&m->locks);
    arili_memory_table_done(&m->table);
    arili_free(m, sizeof *m);
}

/* The memory of that name, made when there is none. With the mutex. */
static aril_status find_or_make(const char *name, uint64_t bytes_max, struct memory **ret)
{
    for (struct memory *m = memories.first; m != NULL; m = m->next) {
        if (strcmp(m->name, name) == 0) {
            m->holders++;
            *ret = m;
            return ARIL_OK;
        }
    }
    ARILI_TRY(memory_new(name, bytes_max, ret));
    (*ret)->next = memories.first;
    memories.first = *ret;
    return ARIL_OK;
}

static void memory_drop(struct memory *m)
{
    if (m->name[0] == '\0') {
        memory_free(m);
        return;
    }
    (void)pthread_mutex_lock(&memories.mutex);
    const bool last = --m->holders == 0;
    if (last) {
        struct memory **at = &memories.first;
        while (*at != m) {
            at = &(*at)->next;
        }
        *at = m->next;
    }
    (void)pthread_mutex_unlock(&memories.mutex);
    if (last) {
        memory_free(m);
    }
}

static aril_status memory_open(const struct arili_cache_store_options *options, const char *scheme,
                               void **ret_state, uint32_t *ret_capabilities, aril_error *error)
{
    (void)scheme;
    const char *const name = options->rest;
    if (strlen(name) > NAME_BYTES_MAX) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "memory: a name of %zu bytes; it may have %u", strlen(name),
                               NAME_BYTES_MAX);
    }
    struct state *const s = arili_alloc(sizeof *s);
    aril_status st = s != NULL ? ARIL_OK : arili_fail(ARIL_E_NOMEM);
    if (st == ARIL_OK && name[0] == '\0') {
        st = memory_new(name, options->config->bytes_max, &s->memory);
    } else if (st == ARIL_OK) {
        (void)pthread_mutex_lock(&memories.mutex);
        st = find_or_make(name, options->config->bytes_max, &s->memory);
        (void)pthread_mutex_unlock(&memories.mutex);
    }
    if (st != ARIL_OK) {
        arili_free(s, sizeof *s);
        return arili_error_set(error, st, "memory:%s can not be made: %s; %s", name,
                               aril_status_text(st), aril_status_hint(st));
    }
    *ret_state = s;
    *ret_capabilities = ARIL_STORE_TTL | ARIL_STORE_LIST | ARIL_STORE_LOCK | ARIL_STORE_NOTIFY;
    return ARIL_OK;
}

static void memory_close(void *state)
{
    struct state *const s = state;
    if (s != NULL) {
        arili_memory_channels_leave(&s->memory->channels, s->listener);
        memory_drop(s->memory);
        arili_free(s, sizeof *s);
    }
}

/* --- Items --------------------------------------------------------------------------------- */

static aril_status timed_out(const struct state *s, aril_error *error)
{
    return arili_error_set(error, arili_fail(ARIL_E_TIMEOUT),
                           "memory:%s: the batch takes longer than the deadline; split it, or "
                           "allow more time",
                           s->memory->name);
}

static void get_one(struct memory *m, aril_store_item *item)
{
    struct arili_memory_value *const v = arili_memory_table_get(&m->table, item->name);
    if (v == NULL) {
        item->status = ARIL_E_NOT_FOUND;
        return;
    }
    if (arili_cache_store_place(item, v->len) && v->len > 0) {
        memcpy(item->data, v->bytes, v->len);
    }
    arili_memory_value_release(v);
}

static void put_one(struct memory *m, aril_store_item *item)
{
    if (item->lock.len == 0) {
        item->status = arili_memory_table_put(&m->table, item);
        return;
    }
    /* Nobody takes the lock between the look and the put. */
    (void)pthread_mutex_lock(&m->locks.mutex);
    item->status = arili_memory_locks_held(&m->locks, item->lock, item->fence)
                       ? arili_memory_table_put(&m->table, item)
                       : arili_fail(ARIL_E_REPLAY_STALE);
    (void)pthread_mutex_unlock(&m->locks.mutex);
}

static void erase_one(struct memory *m, aril_store_item *item)
{
    item->status = arili_memory_table_erase(&m->table, item->name) ? ARIL_OK : ARIL_E_NOT_FOUND;
}

static void ask_one(struct memory *m, aril_store_item *item)
{
    item->status = arili_memory_table_has(&m->table, item->name) ? ARIL_OK : ARIL_E_NOT_FOUND;
}

static aril_status each(const struct state *s, void (*one)(struct memory *, aril_store_item *),
                        aril_store_item *items, size_t count, uint64_t deadline_ns,
                        aril_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && has_passed(deadline_ns)) {
            return timed_out(s, error);
        }
        one(s->memory, &items[i]);
    }
    return ARIL_OK;
}

static aril_status memory_get(void *state, aril_store_item *items, size_t count,
                              uint64_t deadline_ns, aril_error *error)
{
    return each(state, get_one, items, count, deadline_ns, error);
}

static aril_status memory_put(void *state, aril_store_item *items, size_t count,
                              uint64_t deadline_ns, aril_error *error)
{
    return each(state, put_one, items, count, deadline_ns, error);
}

static aril_status memory_erase(void *state, aril_store_item *items, size_t count,
                                uint64_t deadline_ns, aril_error *error)
{
    return each(state, erase_one, items, count, deadline_ns, error);
}

static aril_status memory_exists(void *state, aril_store_item *items, size_t count,
                                 uint64_t deadline_ns, aril_error *error)
{
    return each(state, ask_one, items, count, deadline_ns, error);
}

/* --- The others ---------------------------------------------------------------------------- */

static aril_status memory_scan(void *state, aril_bytes prefix, aril_store_visit_fn *visit,
                               void *user, uint64_t step_ms, aril_error *error)
{
    struct state *const s = state;
    (void)step_ms;
    (void)error;
    return arili_memory_table_scan(&s->memory->table, prefix, visit, user);
}

static aril_status memory_lock(void *state, aril_bytes name, uint32_t ttl_ms, uint64_t deadline_ns,
                               uint64_t *ret_fence, aril_error *error)
{
    struct state *const s = state;
    (void)deadline_ns;
    (void)error;
    return arili_memory_locks_take(&s->memory->locks, name, ttl_ms, ret_fence);
}

static aril_status memory_unlock(void *state, aril_bytes name, uint64_t fence, uint64_t deadline_ns,
                                 aril_error *error)
{
    struct state *const s = state;
    (void)deadline_ns;
    (void)error;
    return arili_memory_locks_give(&s->memory->locks, name, fence);
}

static aril_status memory_publish(void *state, aril_bytes channel, aril_bytes message,
                                  uint64_t deadline_ns, aril_error *error)
{
    struct state *const s = state;
    (void)deadline_ns;
    (void)error;
    arili_memory_channels_send(&s->memory->channels, channel, message);
    return ARIL_OK;
}

static aril_status memory_listen(void *state, aril_bytes channel, aril_store_message_fn *fn,
                                 void *user, aril_error *error)
{
    struct state *const s = state;
    (void)error;
    return arili_memory_channels_listen(&s->memory->channels, channel, fn, user, &s->listener);
}

static aril_status memory_stat(void *state, uint64_t deadline_ns,
                               struct arili_cache_store_stat *ret, aril_error *error)
{
    struct state *const s = state;
    (void)deadline_ns;
    (void)error;
    ret->entries = atomic_load(&s->memory->table.entries);
    ret->bytes = atomic_load(&s->memory->table.bytes);
    (void)snprintf(ret->description, sizeof ret->description, "memory of this process, %llu MiB",
                   (unsigned long long)(s->memory->table.bytes_max >> 20));
    return ARIL_OK;
}

static const char *const schemes[] = { "memory", NULL };

const struct arili_cache_store_ops arili_cache_store_memory = {
    .abi = ARILI_CACHE_STORE_ABI,
    .kind = "memory",
    .schemes = schemes,
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .put = memory_put,
    .erase = memory_erase,
    .exists = memory_exists,
    .scan = memory_scan,
    .lock = memory_lock,
    .unlock = memory_unlock,
    .publish = memory_publish,
    .listen = memory_listen,
    .stat = memory_stat,
};
