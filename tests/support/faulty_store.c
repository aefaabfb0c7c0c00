/* SPDX-License-Identifier: Apache-2.0 */
#include "faulty_store.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum fault { NONE, FAILS, LOST, BLOCKS };

#define COUNTERS 16u

struct seen {
    struct arili_store_counter counter;
    uint64_t value;
};

struct faulty_store {
    struct arili_store inner;
    struct arili_store_ops ops; /* NULL where the inner table is */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum fault armed;
    unsigned left; /* calls up to the one that is armed; 0: none is */
    aril_status status;
    bool fired, blocked, released, closed;
    const char *last;
    unsigned calls;
    enum faulty_lie lie;
    size_t seen_count;
    struct seen seen[COUNTERS]; /* what the lie about counters was told last */
};

/* Counts one call; FAILS and LOST are for the caller. Blocks where that is armed. */
static enum fault gate(struct faulty_store *f, const char *name)
{
    enum fault now = NONE;
    (void)pthread_mutex_lock(&f->mutex);
    f->calls++;
    if (f->left > 0 && --f->left == 0) {
        now = f->armed;
        f->fired = true;
        f->last = name;
    }
    if (now == BLOCKS) {
        f->blocked = true;
        (void)pthread_cond_broadcast(&f->changed);
        while (!f->released) {
            (void)pthread_cond_wait(&f->changed, &f->mutex);
        }
        f->blocked = false;
        f->released = false;
        (void)pthread_cond_broadcast(&f->changed);
    }
    (void)pthread_mutex_unlock(&f->mutex);
    return now;
}

static aril_status armed_status(struct faulty_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    const aril_status st = f->status;
    (void)pthread_mutex_unlock(&f->mutex);
    return st;
}

static enum faulty_lie lie_of(struct faulty_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    const enum faulty_lie lie = f->lie;
    (void)pthread_mutex_unlock(&f->mutex);
    return lie;
}

/* Runs call, which fills locals, unless the call fails; the function goes on only with a reply
 * that is not lost. */
#define RELAY(f, name, call)                         \
    do {                                             \
        const enum fault fault_ = gate((f), (name)); \
        const aril_status armed_ = armed_status(f);  \
        if (fault_ == FAILS) {                       \
            return armed_;                           \
        }                                            \
        const aril_status st_ = (call);              \
        if (fault_ == LOST) {                        \
            return armed_;                           \
        }                                            \
        if (st_ != ARIL_OK) {                        \
            return st_;                              \
        }                                            \
    } while (0)

static void faulty_close(void *state)
{
    struct faulty_store *const f = state;
    if (f == NULL) {
        return;
    }
    f->inner.ops->close(f->inner.state);
    (void)pthread_mutex_lock(&f->mutex);
    f->closed = true;
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->mutex);
}

static aril_status faulty_info(void *state, aril_keystore_info *ret_info, aril_error *error)
{
    struct faulty_store *const f = state;
    aril_keystore_info info = { 0 };
    RELAY(f, "info", f->inner.ops->info(f->inner.state, &info, error));
    if (lie_of(f) == FAULTY_PROTECTION) {
        info.protection = (aril_protection)77;
    }
    if (lie_of(f) == FAULTY_TEXT) {
        memset(info.backend, 'x', sizeof info.backend);
        memset(info.description, 'y', sizeof info.description);
    }
    *ret_info = info;
    return ARIL_OK;
}

static aril_status faulty_seal(void *state, const struct arili_store_place *place,
                               const uint8_t secret[ARILI_STORE_SECRET_BYTES], uint8_t *ret_blob,
                               size_t cap, size_t *ret_len, aril_error *error)
{
    struct faulty_store *const f = state;
    uint8_t blob[ARILI_STORE_BLOB_BYTES_MAX];
    size_t len = 0;
    RELAY(f, "seal",
          f->inner.ops->seal(f->inner.state, place, secret, blob,
                             cap < sizeof blob ? cap : sizeof blob, &len, error));
    memcpy(ret_blob, blob, len);
    switch (lie_of(f)) {
    case FAULTY_BLOB_EMPTY:
        len = 0;
        break;
    case FAULTY_BLOB_CUT:
        len--;
        break;
    case FAULTY_BLOB_LONG:
        len = cap + 1;
        break;
    default:
        break;
    }
    *ret_len = len;
    return ARIL_OK;
}

struct secret {
    uint8_t bytes[ARILI_STORE_SECRET_BYTES];
};

static void secret_wipe(struct secret *secret)
{
    arili_wipe(secret, sizeof *secret);
}

static aril_status faulty_unseal(void *state, const struct arili_store_place *place,
                                 aril_bytes blob, uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                 aril_error *error)
{
    struct faulty_store *const f = state;
    ARILI_DEFER(secret_wipe) struct secret secret;
    RELAY(f, "unseal", f->inner.ops->unseal(f->inner.state, place, blob, secret.bytes, error));
    if (lie_of(f) == FAULTY_OTHER_SECRET) {
        secret.bytes[0] ^= 1;
    }
    memcpy(ret_secret, secret.bytes, sizeof secret.bytes);
    return ARIL_OK;
}

static aril_status faulty_destroy(void *state, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                  aril_error *error)
{
    struct faulty_store *const f = state;
    RELAY(f, "destroy", f->inner.ops->destroy(f->inner.state, slot, error));
    return ARIL_OK;
}

/* What the lie makes of a value that was read. */
static uint64_t told(struct faulty_store *f, const struct arili_store_counter *counter,
                     uint64_t value)
{
    (void)pthread_mutex_lock(&f->mutex);
    size_t i = 0;
    while (i < f->seen_count &&
           (f->seen[i].counter.len != counter->len ||
            memcmp(f->seen[i].counter.bytes, counter->bytes, counter->len) != 0)) {
        i++;
    }
    if (f->lie == FAULTY_COUNTER_BACK && i < f->seen_count) {
        value = f->seen[i].value - 1;
    }
    if (i < COUNTERS) {
        f->seen[i] = (struct seen){ *counter, value };
        f->seen_count = i == f->seen_count ? i + 1 : f->seen_count;
    }
    (void)pthread_mutex_unlock(&f->mutex);
    return value;
}

static aril_status faulty_counter_create(void *state, const uint8_t seed[ARILI_STORE_SLOT_BYTES],
                                         struct arili_store_counter *ret_counter,
                                         uint64_t *ret_value, aril_error *error)
{
    struct faulty_store *const f = state;
    struct arili_store_counter counter = { 0 };
    uint64_t value = 0;
    RELAY(f, "counter_create",
          f->inner.ops->counter_create(f->inner.state, seed, &counter, &value, error));
    *ret_value = told(f, &counter, value);
    if (lie_of(f) == FAULTY_COUNTER_LONG) {
        counter.len = sizeof counter.bytes + 1;
    }
    *ret_counter = counter;
    return ARIL_OK;
}

static aril_status faulty_counter_read(void *state, const struct arili_store_counter *counter,
                                       uint64_t *ret_value, aril_error *error)
{
    struct faulty_store *const f = state;
    uint64_t value = 0;
    RELAY(f, "counter_read", f->inner.ops->counter_read(f->inner.state, counter, &value, error));
    *ret_value = told(f, counter, value);
    return ARIL_OK;
}

static aril_status faulty_counter_increment(void *state, const struct arili_store_counter *counter,
                                            uint64_t *ret_value, aril_error *error)
{
    struct faulty_store *const f = state;
    uint64_t value = 0;
    if (lie_of(f) == FAULTY_COUNTER_STUCK) {
        RELAY(f, "counter_increment",
              f->inner.ops->counter_read(f->inner.state, counter, &value, error));
    } else {
        RELAY(f, "counter_increment",
              f->inner.ops->counter_increment(f->inner.state, counter, &value, error));
    }
    *ret_value = told(f, counter, value);
    return ARIL_OK;
}

static aril_status faulty_counter_destroy(void *state, const struct arili_store_counter *counter,
                                          aril_error *error)
{
    struct faulty_store *const f = state;
    RELAY(f, "counter_destroy", f->inner.ops->counter_destroy(f->inner.state, counter, error));
    return ARIL_OK;
}

struct faulty_store *faulty_store_new(struct arili_store inner)
{
    struct faulty_store *const f = calloc(1, sizeof *f);
    if (f == NULL || pthread_mutex_init(&f->mutex, NULL) != 0 ||
        pthread_cond_init(&f->changed, NULL) != 0) {
        abort();
    }
    f->inner = inner;
    f->last = "";
    f->ops = (struct arili_store_ops){
        .abi = ARILI_STORE_ABI,
        .scheme = inner.ops->scheme,
        .close = faulty_close,
        .info = faulty_info,
        .seal = faulty_seal,
        .unseal = faulty_unseal,
        .destroy = inner.ops->destroy != NULL ? faulty_destroy : NULL,
        .counter_create = inner.ops->counter_create != NULL ? faulty_counter_create : NULL,
        .counter_read = inner.ops->counter_read != NULL ? faulty_counter_read : NULL,
        .counter_increment = inner.ops->counter_increment != NULL ? faulty_counter_increment : NULL,
        .counter_destroy = inner.ops->counter_destroy != NULL ? faulty_counter_destroy : NULL,
    };
    return f;
}

struct arili_store faulty_store_store(struct faulty_store *f)
{
    return (struct arili_store){ &f->ops, f };
}

void faulty_store_free(struct faulty_store *f)
{
    if (f != NULL) {
        faulty_store_wait_closed(f);
        (void)pthread_cond_destroy(&f->changed);
        (void)pthread_mutex_destroy(&f->mutex);
        free(f);
    }
}

static void arm(struct faulty_store *f, enum fault fault, unsigned nth, aril_status st)
{
    (void)pthread_mutex_lock(&f->mutex);
    f->armed = fault;
    f->left = nth;
    f->status = st;
    f->fired = false;
    f->released = false;
    f->last = "";
    (void)pthread_mutex_unlock(&f->mutex);
}

void faulty_store_arm(struct faulty_store *f, unsigned nth, aril_status st)
{
    arm(f, FAILS, nth, st);
}

void faulty_store_arm_lost(struct faulty_store *f, unsigned nth, aril_status st)
{
    arm(f, LOST, nth, st);
}

void faulty_store_arm_blocked(struct faulty_store *f, unsigned nth)
{
    arm(f, BLOCKS, nth, ARIL_OK);
}

void faulty_store_disarm(struct faulty_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    f->left = 0;
    (void)pthread_mutex_unlock(&f->mutex);
}

bool faulty_store_fired(struct faulty_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    const bool fired = f->fired;
    (void)pthread_mutex_unlock(&f->mutex);
    return fired;
}

const char *faulty_store_last(struct faulty_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    const char *const last = f->last;
    (void)pthread_mutex_unlock(&f->mutex);
    return last;
}

unsigned faulty_store_calls(struct faulty_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    const unsigned calls = f->calls;
    (void)pthread_mutex_unlock(&f->mutex);
    return calls;
}

void faulty_store_wait_blocked(struct faulty_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    while (!f->blocked) {
        (void)pthread_cond_wait(&f->changed, &f->mutex);
    }
    (void)pthread_mutex_unlock(&f->mutex);
}

void faulty_store_release(struct faulty_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    f->released = true;
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->mutex);
}

void faulty_store_wait_closed(struct faulty_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    while (!f->closed) {
        (void)pthread_cond_wait(&f->changed, &f->mutex);
    }
    (void)pthread_mutex_unlock(&f->mutex);
}

bool faulty_store_closed(struct faulty_store *f)
{
    (void)pthread_mutex_lock(&f->mutex);
    const bool closed = f->closed;
    (void)pthread_mutex_unlock(&f->mutex);
    return closed;
}

void faulty_store_lie(struct faulty_store *f, enum faulty_lie lie)
{
    (void)pthread_mutex_lock(&f->mutex);
    f->lie = lie;
    (void)pthread_mutex_unlock(&f->mutex);
}
