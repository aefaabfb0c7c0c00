/* SPDX-License-Identifier: Apache-2.0 */
#include "faulty_cache_store.h"
#include "base/ensure.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 256u

enum fault { NONE, FAILS, FAILS_ALL, LOST, ITEM, BLOCKS };

/* A value with its length; data is from malloc(). */
struct copy {
    uint8_t *data;
    size_t len;
};

/* What was put under a name: the newest, and the one before it. */
struct memory {
    struct copy name, newest, before;
};

struct faulty_cache_store {
    const struct arili_cache_store_ops *inner;
    struct arili_cache_store_ops ops;
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t changed;
    enum fault armed;
    unsigned left; /* calls up to the one that is meant; 0: none */
    size_t index;
    aril_status status;
    bool fired, blocked, released, drops;
    const char *last;
    unsigned calls;
    enum faulty_cache_lie lie;
    size_t number;
    struct memory names[NAMES_MAX];
    size_t name_count;
};

/* One store over it. */
struct state {
    struct faulty_cache_store *f;
    void *inner;
};

/* Whose open() runs: there is no other way to tell it. */
static struct faulty_cache_store *opening;

static void *must(void *p)
{
    if (p == NULL) {
        abort();
    }
    return p;
}

static void copy_done(struct copy *c)
{
    free(c->data);
    *c = (struct copy){ NULL, 0 };
}

static struct copy copy_of(const aril_bytes *parts, size_t count)
{
    struct copy c = { NULL, 0 };
    for (size_t i = 0; i < count; i++) {
        c.len += parts[i].len;
    }
    c.data = must(malloc(c.len > 0 ? c.len : 1));
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0) {
            memcpy(c.data + at, parts[i].data, parts[i].len);
            at += parts[i].len;
        }
    }
    return c;
}

/* --- Faults -------------------------------------------------------------------------------- */

/* What this call has to do; *ret_status and *ret_index are of the fault. */
static enum fault next_call(struct faulty_cache_store *f, const char *name, aril_status *ret_status,
                            size_t *ret_index)
{
    enum fault fault = NONE;
    (void)pthread_mutex_lock(&f->mutex);
    f->calls++;
    if (f->left > 0 && --f->left == 0) {
        fault = f->armed;
        f->fired = true;
        f->last = name;
        f->left = fault == FAILS_ALL ? 1 : 0;
    }
    *ret_status = f->status;
    *ret_index = f->index;
    if (fault == BLOCKS) {
        f->blocked = true;
        (void)pthread_cond_broadcast(&f->changed);
        while (!f->released) {
            (void)pthread_cond_wait(&f->changed, &f->mutex);
        }
        f->blocked = false;
    }
    (void)pthread_mutex_unlock(&f->mutex);
    return fault;
}

static bool is_refused(enum fault fault)
{
    return fault == FAILS || fault == FAILS_ALL;
}

static aril_status failed(aril_status st, aril_error *error)
{
    return arili_error_set(error, st, "the faulty store was told to fail");
}

/* For calls without items. */
#define RELAY(f, name, call)                                               \
    do {                                                                   \
        aril_status fault_st_ = ARIL_OK;                                   \
        size_t index_ = 0;                                                 \
        const enum fault fault_ = next_call(f, name, &fault_st_, &index_); \
        if (is_refused(fault_)) {                                          \
            return failed(fault_st_, error);                               \
        }                                                                  \
        const aril_status done_st_ = (call);                               \
        if (fault_ == LOST) {                                              \
            return failed(fault_st_, error);                               \
        }                                                                  \
        ARILI_TRY(done_st_);                                               \
    } while (0)

/* --- Remembering --------------------------------------------------------------------------- */

/* With the mutex. NULL: never put. */
static struct memory *remembered(struct faulty_cache_store *f, aril_bytes name)
{
    for (size_t i = 0; i < f->name_count; i++) {
        const struct copy *const n = &f->names[i].name;
        if (n->len == name.len && memcmp(n->data, name.data, name.len) == 0) {
            return &f->names[i];
        }
    }
    return NULL;
}

static void remember(struct faulty_cache_store *f, const aril_store_item *item)
{
    (void)pthread_mutex_lock(&f->mutex);
    struct memory *m = remembered(f, item->name);
    if (m == NULL && f->name_count < NAMES_MAX) {
        m = &f->names[f->name_count++];
        m->name = copy_of(&item->name, 1);
    }
    if (m != NULL) {
        copy_done(&m->before);
        m->before = m->newest;
        m->newest = copy_of(item->parts, item->part_count);
    }
    (void)pthread_mutex_unlock(&f->mutex);
}

/* --- Lies ---------------------------------------------------------------------------------- */

static uint8_t *take_all(void *user, size_t len)
{
    struct copy *const c = user;
    c->data = must(malloc(len > 0 ? len : 1));
    c->len = len;
    return c->data;
}

/* With the mutex: the value of `of`, or NULL. */
static const struct copy *other_value(struct faulty_cache_store *f, aril_bytes name)
{
    for (size_t i = 0; i < f->name_count; i++) {
        if (&f->names[i] != remembered(f, name) && f->names[i].newest.data != NULL) {
            return &f->names[i].newest;
        }
    }
    return NULL;
}

/* Puts another value in the place of c. */
static void replace(struct copy *c, const struct copy *with)
{
    if (with != NULL && with->data != NULL) {
        const aril_bytes bytes = { with->data, with->len };
        copy_done(c);
        *c = copy_of(&bytes, 1);
    }
}

static void change(struct faulty_cache_store *f, aril_bytes name, struct copy *c)
{
    const size_t number = f->number;
    const struct memory *const m = remembered(f, name);
    switch (f->lie) {
    case FAULTY_CACHE_TRUNCATE:
        c->len = number < c->len ? number : c->len - (c->len > 0);
        break;
    case FAULTY_CACHE_FLIP:
        if (c->len > 0) {
            c->data[number / 8 % c->len] ^= (uint8_t)(1u << number % 8);
        }
        break;
    case FAULTY_CACHE_REPLAY:
        replace(c, m != NULL ? (m->before.data != NULL ? &m->before : &m->newest) : NULL);
        break;
    case FAULTY_CACHE_OTHER:
        replace(c, other_value(f, name));
        break;
    case FAULTY_CACHE_APPEND:
        c->data = must(realloc(c->data, c->len + number + 1));
        memset(c->data + c->len, 0, number);
        c->len += number;
        break;
    case FAULTY_CACHE_GONE:
        copy_done(c);
        break;
    default:
        break;
    }
}

/* c.data NULL: nothing is found. */
static void deliver(const struct faulty_cache_store *f, aril_store_item *item, const struct copy *c)
{
    if (c->data == NULL) {
        item->status = ARIL_E_NOT_FOUND;
        item->len = 0;
        return;
    }
    if (arili_cache_store_place(item, c->len)) {
        if (c->len > 0) {
            memcpy(item->data, c->data, c->len);
        }
        item->len = f->lie == FAULTY_CACHE_LENGTH ? f->number : item->len;
    }
}

static aril_status get_lying(struct state *s, aril_store_item *items, size_t count,
                             uint64_t deadline_ns, aril_error *error)
{
    struct faulty_cache_store *const f = s->f;
    struct copy *const values = must(calloc(count, sizeof *values));
    aril_store_item *const asked = must(calloc(count, sizeof *asked));
    for (size_t i = 0; i < count; i++) {
        asked[i].name = items[i].name;
        asked[i].room = take_all;
        asked[i].user = &values[i];
    }
    const aril_status st = f->inner->get(s->inner, asked, count, deadline_ns, error);
    (void)pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; st == ARIL_OK && i < count; i++) {
        if (asked[i].status == ARIL_OK && values[i].data == NULL) {
            values[i].data = must(malloc(1)); /* an empty value */
        }
        change(f, items[i].name, &values[i]);
    }
    for (size_t i = 0; st == ARIL_OK && i < count; i++) {
        const size_t from = f->lie == FAULTY_CACHE_SWAP && (i ^ 1) < count ? i ^ 1 : i;
        items[i].status = asked[i].status;
        if (asked[i].status == ARIL_OK || asked[i].status == ARIL_E_NOT_FOUND) {
            deliver(f, &items[i], &values[from]);
        }
    }
    (void)pthread_mutex_unlock(&f->mutex);
    for (size_t i = 0; i < count; i++) {
        copy_done(&values[i]);
    }
    free(values);
    free(asked);
    return st;
}

/* --- Items --------------------------------------------------------------------------------- */

typedef aril_status items_fn(void *state, aril_store_item *items, size_t count,
                             uint64_t deadline_ns, aril_error *error);

/* All items but one. */
static aril_status without(items_fn *fn, void *inner, aril_store_item *items, size_t count,
                           size_t index, aril_status st, uint64_t deadline_ns, aril_error *error)
{
    const size_t at = index < count ? index : count - 1;
    if (at > 0) {
        ARILI_TRY(fn(inner, items, at, deadline_ns, error));
    }
    if (at + 1 < count) {
        ARILI_TRY(fn(inner, items + at + 1, count - at - 1, deadline_ns, error));
    }
    items[at].status = st;
    return ARIL_OK;
}

static aril_status run(struct state *s, const char *name, items_fn *fn, aril_store_item *items,
                       size_t count, uint64_t deadline_ns, aril_error *error)
{
    aril_status st = ARIL_OK;
    size_t index = 0;
    const enum fault fault = next_call(s->f, name, &st, &index);
    if (is_refused(fault)) {
        return failed(st, error);
    }
    if (fault == ITEM) {
        return without(fn, s->inner, items, count, index, st, deadline_ns, error);
    }
    if (fault != LOST) {
        return fn(s->inner, items, count, deadline_ns, error);
    }
    /* Outputs as they were. */
    aril_store_item *const before = must(calloc(count, sizeof *before));
    memcpy(before, items, count * sizeof *before);
    (void)fn(s->inner, items, count, deadline_ns, NULL);
    memcpy(items, before, count * sizeof *before);
    free(before);
    return failed(st, error);
}

static aril_status faulty_get(void *state, aril_store_item *items, size_t count,
                              uint64_t deadline_ns, aril_error *error)
{
    struct state *const s = state;
    (void)pthread_mutex_lock(&s->f->mutex);
    const bool lies = s->f->lie != FAULTY_CACHE_HONEST;
    (void)pthread_mutex_unlock(&s->f->mutex);
    if (lies) {
        RELAY(s->f, "get", get_lying(s, items, count, deadline_ns, error));
        return ARIL_OK;
    }
    return run(s, "get", s->f->inner->get, items, count, deadline_ns, error);
}

static aril_status drop(void *state, aril_store_item *items, size_t count, uint64_t deadline_ns,
                        aril_error *error)
{
    (void)state, (void)deadline_ns, (void)error;
    for (size_t i = 0; i < count; i++) {
        items[i].status = ARIL_OK;
    }
    return ARIL_OK;
}

static aril_status faulty_put(void *state, aril_store_item *items, size_t count,
                              uint64_t deadline_ns, aril_error *error)
{
    struct state *const s = state;
    (void)pthread_mutex_lock(&s->f->mutex);
    items_fn *const fn = s->f->drops ? drop : s->f->inner->put;
    (void)pthread_mutex_unlock(&s->f->mutex);
    for (size_t i = 0; i < count; i++) {
        items[i].status = ARIL_E_NOT_FOUND; /* what a put never answers */
    }
    const aril_status st = run(s, "put", fn, items, count, deadline_ns, error);
    for (size_t i = 0; i < count; i++) {
        if (st == ARIL_OK && items[i].status == ARIL_OK) {
            remember(s->f, &items[i]);
        }
    }
    return st;
}

static aril_status faulty_erase(void *state, aril_store_item *items, size_t count,
                                uint64_t deadline_ns, aril_error *error)
{
    struct state *const s = state;
    const aril_status st = run(s, "erase", s->f->inner->erase, items, count, deadline_ns, error);
    (void)pthread_mutex_lock(&s->f->mutex);
    for (size_t i = 0; i < count; i++) {
        struct memory *const m = remembered(s->f, items[i].name);
        if (st == ARIL_OK && items[i].status == ARIL_OK && m != NULL && m->newest.data != NULL) {
            copy_done(&m->before);
            m->before = m->newest;
            m->newest = (struct copy){ NULL, 0 };
        }
    }
    (void)pthread_mutex_unlock(&s->f->mutex);
    return st;
}

static aril_status faulty_exists(void *state, aril_store_item *items, size_t count,
                                 uint64_t deadline_ns, aril_error *error)
{
    struct state *const s = state;
    return run(s, "exists", s->f->inner->exists, items, count, deadline_ns, error);
}

/* --- The others ---------------------------------------------------------------------------- */

static aril_status faulty_scan(void *state, aril_bytes prefix, aril_store_visit_fn *visit,
                               void *user, uint64_t step_ms, aril_error *error)
{
    struct state *const s = state;
    RELAY(s->f, "scan", s->f->inner->scan(s->inner, prefix, visit, user, step_ms, error));
    return ARIL_OK;
}

static aril_status faulty_lock(void *state, aril_bytes name, uint32_t ttl_ms, uint64_t deadline_ns,
                               uint64_t *ret_fence, aril_error *error)
{
    struct state *const s = state;
    uint64_t fence = 0;
    RELAY(s->f, "lock", s->f->inner->lock(s->inner, name, ttl_ms, deadline_ns, &fence, error));
    *ret_fence = fence;
    return ARIL_OK;
}

static aril_status faulty_unlock(void *state, aril_bytes name, uint64_t fence, uint64_t deadline_ns,
                                 aril_error *error)
{
    struct state *const s = state;
    RELAY(s->f, "unlock", s->f->inner->unlock(s->inner, name, fence, deadline_ns, error));
    return ARIL_OK;
}

static aril_status faulty_publish(void *state, aril_bytes channel, aril_bytes message,
                                  uint64_t deadline_ns, aril_error *error)
{
    struct state *const s = state;
    RELAY(s->f, "publish", s->f->inner->publish(s->inner, channel, message, deadline_ns, error));
    return ARIL_OK;
}

static aril_status faulty_listen(void *state, aril_bytes channel, aril_store_message_fn *fn,
                                 void *user, aril_error *error)
{
    struct state *const s = state;
    RELAY(s->f, "listen", s->f->inner->listen(s->inner, channel, fn, user, error));
    return ARIL_OK;
}

static aril_status faulty_stat(void *state, uint64_t deadline_ns,
                               struct arili_cache_store_stat *ret, aril_error *error)
{
    struct state *const s = state;
    return s->f->inner->stat(s->inner, deadline_ns, ret, error);
}

static void faulty_close(void *state)
{
    struct state *const s = state;
    s->f->inner->close(s->inner);
    free(s);
}

static aril_status faulty_open(const struct arili_cache_store_options *options, const char *scheme,
                               void **ret_state, uint32_t *ret_capabilities, aril_error *error)
{
    struct state *const s = must(calloc(1, sizeof *s));
    s->f = opening;
    const aril_status st = s->f->inner->open(options, scheme, &s->inner, ret_capabilities, error);
    if (st != ARIL_OK) {
        free(s);
        return st;
    }
    *ret_state = s;
    return ARIL_OK;
}

/* --- Making and controlling ---------------------------------------------------------------- */

struct faulty_cache_store *faulty_cache_store_new(const struct arili_cache_store_ops *inner)
{
    struct faulty_cache_store *const f = must(calloc(1, sizeof *f));
    if (pthread_mutex_init(&f->mutex, NULL) != 0 || pthread_cond_init(&f->changed, NULL) != 0) {
        abort();
    }
    f->inner = inner;
    f->last = "";
    f->ops = (struct arili_cache_store_ops){
        .abi = inner->abi,
        .kind = inner->kind,
        .schemes = inner->schemes,
        .open = faulty_open,
        .close = faulty_close,
        .get = faulty_get,
        .put = faulty_put,
        .erase = faulty_erase,
        .exists = faulty_exists,
        .scan = inner->scan != NULL ? faulty_scan : NULL,
        .lock = inner->lock != NULL ? faulty_lock : NULL,
        .unlock = inner->unlock != NULL ? faulty_unlock : NULL,
        .publish = inner->publish != NULL ? faulty_publish : NULL,
        .listen = inner->listen != NULL ? faulty_listen : NULL,
        .stat = faulty_stat,
    };
    return f;
}
/* A member that is added to the port has to be wrapped above. */
_Static_assert(sizeof(struct arili_cache_store_ops) == 15 * sizeof(void *),
               "every member is wrapped");

void faulty_cache_store_free(struct faulty_cache_store *f)
{
    for (size_t i = 0; i < f->name_count; i++) {
        copy_done(&f->names[i].name);
        copy_done(&f->names[i].newest);
        copy_done(&f->names[i].before);
    }
    (void)pthread_cond_destroy(&f->changed);
    (void)pthread_mutex_destroy(&f->mutex);
    free(f);
}

aril_status faulty_cache_store_open(struct faulty_cache_store *f, aril_runtime *rt,
                                    const aril_store_config *config, aril_store **ret,
                                    aril_error *error)
{
    opening = f;
    return arili_store_open_over(rt, &f->ops, config, ret, error);
}

static void arm(struct faulty_cache_store *f, enum fault fault, unsigned nth, size_t index,
                aril_status st)
{
    (void)pthread_mutex_lock(&f->mutex);
    f->armed = fault;
    f->left = nth;
    f->index = index;
    f->status = st;
    f->fired = false;
    f->released = false;
    f->last = "";
    (void)pthread_mutex_unlock(&f->mutex);
}

void faulty_cache_store_arm(struct faulty_cache_store *f, unsigned nth, aril_status st)
{
    arm(f, FAILS, nth, 0, st);
}

void faulty_cache_store_arm_all(struct faulty_cache_store *f, unsigned nth, aril_status st)
{
    arm(f, FAILS_ALL, nth, 0, st);
}

void faulty_cache_store_arm_lost(struct faulty_cache_store *f, unsigned nth, aril_status st)
{
    arm(f, LOST, nth, 0, st);
}

void faulty_cache_store_arm_item(struct faulty_cache_store *f, unsigned nth, size_t index,
                                 aril_status st)
{
    arm(f, ITEM, nth, index, st);
}

void faulty_cache_store_arm_blocked(struct faulty_cache_store *f, unsigned nth)
{
    arm(f, BLOCKS, nth, 0, ARIL_OK);
}

void faulty_cache_store_wait_blocked(struct faulty_cache_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    while (!f->blocked) {
        (void)pthread_cond_wait(&f->changed, &f->mutex);
    }
    (void)pthread_mutex_unlock(&f->mutex);
}

void faulty_cache_store_release(struct faulty_cache_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    f->released = true;
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->mutex);
}

void faulty_cache_store_disarm(struct faulty_cache_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    f->left = 0;
    (void)pthread_mutex_unlock(&f->mutex);
}

bool faulty_cache_store_fired(struct faulty_cache_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    const bool fired = f->fired;
    (void)pthread_mutex_unlock(&f->mutex);
    return fired;
}

const char *faulty_cache_store_last(struct faulty_cache_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    const char *const last = f->last;
    (void)pthread_mutex_unlock(&f->mutex);
    return last;
}

unsigned faulty_cache_store_calls(struct faulty_cache_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    const unsigned calls = f->calls;
    (void)pthread_mutex_unlock(&f->mutex);
    return calls;
}

void faulty_cache_store_lie(struct faulty_cache_store *f, enum faulty_cache_lie lie, size_t number)
{
    (void)pthread_mutex_lock(&f->mutex);
    f->lie = lie;
    f->number = number;
    (void)pthread_mutex_unlock(&f->mutex);
}

void faulty_cache_store_drop_puts(struct faulty_cache_store *f, bool drops)
{
    (void)pthread_mutex_lock(&f->mutex);
    f->drops = drops;
    (void)pthread_mutex_unlock(&f->mutex);
}
