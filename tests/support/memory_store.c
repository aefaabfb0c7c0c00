/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_store.h"
#include "check.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS        256u
#define COUNTERS     64u
#define TICKET_BYTES 48u
#define MAGIC_BYTES  8u

struct slot {
    bool used;
    struct arili_store_place place;
    uint8_t secret[ARILI_STORE_SECRET_BYTES];
    uint8_t ticket[TICKET_BYTES];
};

struct counter {
    bool used;
    uint8_t name[ARILI_STORE_SLOT_BYTES];
    uint64_t value;
};

struct memory_backing {
    pthread_mutex_t mutex;
    size_t open;
    struct slot slots[SLOTS];
    struct counter counters[COUNTERS];
};

/* What open() gives. */
struct state {
    struct memory_backing *backing;
    unsigned capabilities;
};

static const uint8_t magic[MAGIC_BYTES] = { 'm', 'e', 'm', 's', 't', 'o', 'r', 'e' };

struct memory_backing *memory_backing_new(void)
{
    struct memory_backing *const b = calloc(1, sizeof *b);
    if (b == NULL || pthread_mutex_init(&b->mutex, NULL) != 0) {
        abort();
    }
    return b;
}

void memory_backing_free(struct memory_backing *b)
{
    if (b != NULL) {
        assert_int_equal(b->open, 0);
        (void)pthread_mutex_destroy(&b->mutex);
        arili_wipe(b, sizeof *b);
        free(b);
    }
}

static void *state_new(struct memory_backing *b, unsigned capabilities)
{
    struct state *const s = calloc(1, sizeof *s);
    if (s == NULL) {
        abort();
    }
    *s = (struct state){ b, capabilities };
    (void)pthread_mutex_lock(&b->mutex);
    b->open++;
    (void)pthread_mutex_unlock(&b->mutex);
    return s;
}

static aril_status memory_open(const struct arili_store_options *options, void **ret_state,
                               aril_error *error)
{
    if (options->user == NULL) {
        return arili_error_set(error, ARIL_E_NOT_FOUND, "%s: no backing; hand one in as user",
                               options->uri);
    }
    *ret_state = state_new(options->user, MEMORY_STORE_ALL);
    return ARIL_OK;
}

static void memory_close(void *state)
{
    struct state *const s = state;
    if (s != NULL) {
        (void)pthread_mutex_lock(&s->backing->mutex);
        s->backing->open--;
        (void)pthread_mutex_unlock(&s->backing->mutex);
        free(s);
    }
}

static aril_status memory_info(void *state, aril_keystore_info *ret_info, aril_error *error)
{
    const struct state *const s = state;
    (void)error;
    *ret_info = (aril_keystore_info){
        .protection = ARIL_PROTECTION_SOFTWARE,
        .capabilities = s->capabilities,
        .backend = "memory",
        .description = "memory of the test",
    };
    return ARIL_OK;
}

/* Numbers that no two tickets and counters of the process share. */
static uint64_t next_number(void)
{
    static _Atomic uint64_t last;
    return atomic_fetch_add(&last, 1) + 1;
}

static void write_ticket(uint8_t ret[TICKET_BYTES])
{
    uint64_t number = next_number();
    memcpy(ret, magic, sizeof magic);
    for (size_t i = MAGIC_BYTES; i < TICKET_BYTES; i++) {
        number = number * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        ret[i] = (uint8_t)(number >> 56);
    }
}

/* NULL is "not there"; slot NULL looks for a free one. */
static struct slot *find_slot(struct memory_backing *b, const uint8_t *slot)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *const s = &b->slots[i];
        if (slot == NULL ? !s->used
                         : s->used && memcmp(s->place.slot, slot, ARILI_STORE_SLOT_BYTES) == 0) {
            return s;
        }
    }
    return NULL;
}

static aril_status seal_locked(struct memory_backing *b, const struct arili_store_place *place,
                               const uint8_t *secret, uint8_t *ret_blob)
{
    struct slot *s = find_slot(b, place->slot);
    s = s != NULL ? s : find_slot(b, NULL);
    ARILI_ENSURE(s != NULL, ARIL_E_LIMIT);
    s->used = true;
    s->place = *place;
    memcpy(s->secret, secret, sizeof s->secret);
    write_ticket(s->ticket);
    memcpy(ret_blob, s->ticket, TICKET_BYTES);
    return ARIL_OK;
}

static aril_status memory_seal(void *state, const struct arili_store_place *place,
                               const uint8_t secret[ARILI_STORE_SECRET_BYTES], uint8_t *ret_blob,
                               size_t cap, size_t *ret_len, aril_error *error)
{
    struct memory_backing *const b = ((struct state *)state)->backing;
    if (cap < TICKET_BYTES) {
        return arili_error_set(error, ARIL_E_USAGE_TOO_SMALL, "memory: a blob has 48 bytes");
    }
    (void)pthread_mutex_lock(&b->mutex);
    const aril_status st = seal_locked(b, place, secret, ret_blob);
    (void)pthread_mutex_unlock(&b->mutex);
    if (st != ARIL_OK) {
        return arili_error_set(error, st, "memory: every slot is used; destroy some");
    }
    *ret_len = TICKET_BYTES;
    return ARIL_OK;
}

static aril_status unseal_locked(struct memory_backing *b, const struct arili_store_place *place,
                                 aril_bytes blob, uint8_t *ret_secret)
{
    ARILI_ENSURE(blob.len == TICKET_BYTES, ARIL_E_FORMAT_LENGTH);
    const struct slot *const s = find_slot(b, place->slot);
    ARILI_ENSURE(s != NULL, ARIL_E_KEYSTORE_WRONG);
    ARILI_ENSURE(memcmp(s->ticket, blob.data, TICKET_BYTES) == 0, ARIL_E_AUTH);
    ARILI_ENSURE(memcmp(s->place.binding, place->binding, sizeof place->binding) == 0, ARIL_E_AUTH);
    memcpy(ret_secret, s->secret, sizeof s->secret);
    return ARIL_OK;
}

static aril_status memory_unseal(void *state, const struct arili_store_place *place,
                                 aril_bytes blob, uint8_t ret_secret[ARILI_STORE_SECRET_BYTES],
                                 aril_error *error)
{
    struct memory_backing *const b = ((struct state *)state)->backing;
    (void)pthread_mutex_lock(&b->mutex);
    const aril_status st = unseal_locked(b, place, blob, ret_secret);
    (void)pthread_mutex_unlock(&b->mutex);
    return st == ARIL_OK ? st : arili_error_set(error, st, "memory: the blob does not open here");
}

static aril_status memory_destroy(void *state, const uint8_t slot[ARILI_STORE_SLOT_BYTES],
                                  aril_error *error)
{
    struct memory_backing *const b = ((struct state *)state)->backing;
    (void)error;
    (void)pthread_mutex_lock(&b->mutex);
    struct slot *const s = find_slot(b, slot);
    if (s != NULL) {
        arili_wipe(s, sizeof *s);
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return ARIL_OK;
}

/* name NULL looks for a free one. */
static struct counter *find_counter(struct memory_backing *b, const struct arili_store_counter *c)
{
    for (size_t i = 0; i < COUNTERS; i++) {
        struct counter *const f = &b->counters[i];
        if (c == NULL ? !f->used
                      : f->used && c->len == sizeof f->name &&
                            memcmp(f->name, c->bytes, sizeof f->name) == 0) {
            return f;
        }
    }
    return NULL;
}

static aril_status memory_counter_create(void *state, const uint8_t seed[ARILI_STORE_SLOT_BYTES],
                                         struct arili_store_counter *ret_counter,
                                         uint64_t *ret_value, aril_error *error)
{
    struct memory_backing *const b = ((struct state *)state)->backing;
    struct arili_store_counter made = { .len = ARILI_STORE_SLOT_BYTES };
    memcpy(made.bytes, seed, ARILI_STORE_SLOT_BYTES);
    (void)pthread_mutex_lock(&b->mutex);
    struct counter *c = find_counter(b, &made);
    c = c != NULL ? c : find_counter(b, NULL);
    if (c != NULL && !c->used) {
        c->used = true;
        memcpy(c->name, seed, sizeof c->name);
        c->value = 1000 + next_number();
    }
    const uint64_t value = c != NULL ? c->value : 0;
    (void)pthread_mutex_unlock(&b->mutex);
    if (c == NULL) {
        return arili_error_set(error, ARIL_E_LIMIT, "memory: every counter is used");
    }
    *ret_counter = made;
    *ret_value = value;
    return ARIL_OK;
}

static aril_status count(struct memory_backing *b, const struct arili_store_counter *counter,
                         uint64_t step, uint64_t *ret_value, aril_error *error)
{
    (void)pthread_mutex_lock(&b->mutex);
    struct counter *const c = find_counter(b, counter);
    if (c != NULL) {
        c->value += step;
        *ret_value = c->value;
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return c != NULL ? ARIL_OK
                     : arili_error_set(error, ARIL_E_NOT_FOUND, "memory: there is no such counter");
}

static aril_status memory_counter_read(void *state, const struct arili_store_counter *counter,
                                       uint64_t *ret_value, aril_error *error)
{
    return count(((struct state *)state)->backing, counter, 0, ret_value, error);
}

static aril_status memory_counter_increment(void *state, const struct arili_store_counter *counter,
                                            uint64_t *ret_value, aril_error *error)
{
    return count(((struct state *)state)->backing, counter, 1, ret_value, error);
}

static aril_status memory_counter_destroy(void *state, const struct arili_store_counter *counter,
                                          aril_error *error)
{
    struct memory_backing *const b = ((struct state *)state)->backing;
    (void)error;
    (void)pthread_mutex_lock(&b->mutex);
    struct counter *const c = find_counter(b, counter);
    if (c != NULL) {
        *c = (struct counter){ 0 };
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return ARIL_OK;
}

#define BASIC                                                                               \
    .abi = ARILI_STORE_ABI, .scheme = "memory", .open = memory_open, .close = memory_close, \
    .info = memory_info, .seal = memory_seal, .unseal = memory_unseal
#define COUNTING                                                                  \
    .counter_create = memory_counter_create, .counter_read = memory_counter_read, \
    .counter_increment = memory_counter_increment, .counter_destroy = memory_counter_destroy

const struct arili_store_ops memory_store_ops = { BASIC, .destroy = memory_destroy, COUNTING };
static const struct arili_store_ops only_destroys = { BASIC, .destroy = memory_destroy };
static const struct arili_store_ops only_counts = { BASIC, COUNTING };
static const struct arili_store_ops only_seals = { BASIC };

struct arili_store memory_store(struct memory_backing *b, unsigned capabilities)
{
    const bool counts = (capabilities & ARIL_KEYSTORE_COUNTER) != 0;
    const bool destroys = (capabilities & ARIL_KEYSTORE_DESTROY) != 0;
    const struct arili_store_ops *ops = counts && destroys ? &memory_store_ops
                                        : counts           ? &only_counts
                                        : destroys         ? &only_destroys
                                                           : &only_seals;
    return (struct arili_store){ ops, state_new(b, capabilities & MEMORY_STORE_ALL) };
}

size_t memory_backing_slots(struct memory_backing *b)
{
    size_t n = 0;
    (void)pthread_mutex_lock(&b->mutex);
    for (size_t i = 0; i < SLOTS; i++) {
        n += b->slots[i].used;
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return n;
}

size_t memory_backing_counters(struct memory_backing *b)
{
    size_t n = 0;
    (void)pthread_mutex_lock(&b->mutex);
    for (size_t i = 0; i < COUNTERS; i++) {
        n += b->counters[i].used;
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return n;
}

size_t memory_backing_open(struct memory_backing *b)
{
    (void)pthread_mutex_lock(&b->mutex);
    const size_t n = b->open;
    (void)pthread_mutex_unlock(&b->mutex);
    return n;
}

uint64_t memory_backing_counter(struct memory_backing *b)
{
    uint64_t value = 0;
    assert_int_equal(memory_backing_counters(b), 1);
    (void)pthread_mutex_lock(&b->mutex);
    for (size_t i = 0; i < COUNTERS; i++) {
        value = b->counters[i].used ? b->counters[i].value : value;
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return value;
}
