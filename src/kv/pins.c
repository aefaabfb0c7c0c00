/* SPDX-License-Identifier: Apache-2.0 */
#include "kv/pins.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "base/tablehash.h"
#include <stdbool.h>

struct pin {
    uint64_t slot, position;
    uint32_t layer_first, rank, group;
    uint32_t epoch;
    uint64_t sequence; /* 0: nothing sealed yet */
    uint32_t pending;  /* seals under way */
    bool used;
};

struct arili_pins {
    pthread_mutex_t lock;
    uint64_t seed;
    size_t capacity; /* places that may be used */
    size_t used;
    size_t mask;                /* table size less one; the table is at most 3/4 full */
    struct arili_pin_age floor; /* newest record that was ever forgotten */
    struct pin *table;
};

static size_t home(const struct arili_pins *p, const struct pin *key)
{
    uint64_t h = arili_table_mix(p->seed, ~p->seed, key->slot);
    h = arili_table_mix(p->seed, h, key->position);
    h = arili_table_mix(p->seed, h, (uint64_t)key->layer_first << 32 | key->rank);
    h = arili_table_mix(p->seed, h, key->group);
    return (size_t)h & p->mask;
}

static bool same_place(const struct pin *a, const struct pin *b)
{
    return a->slot == b->slot && a->position == b->position && a->layer_first == b->layer_first &&
           a->rank == b->rank && a->group == b->group;
}

static struct pin key_of(const aril_kv_block *block)
{
    return (struct pin){ .slot = block->slot,
                         .position = block->position,
                         .layer_first = block->layer_first,
                         .rank = block->rank,
                         .group = block->group,
                         .used = true };
}

static bool older(struct arili_pin_age a, struct arili_pin_age b)
{
    return a.epoch != b.epoch ? a.epoch < b.epoch : a.sequence < b.sequence;
}

static struct arili_pin_age age_of(const struct pin *p)
{
    return (struct arili_pin_age){ p->epoch, p->sequence };
}

static void set_age(struct pin *p, struct arili_pin_age age)
{
    p->epoch = age.epoch;
    p->sequence = age.sequence;
}

/* The place of key, or the free entry where it would go. */
static struct pin *probe(struct arili_pins *p, const struct pin *key)
{
    size_t i = home(p, key);
    while (p->table[i].used && !same_place(&p->table[i], key)) {
        i = (i + 1) & p->mask;
    }
    return &p->table[i];
}

/* The place of key, taken if it is new. NULL when the table is full. */
static struct pin *find_or_add(struct arili_pins *p, const struct pin *key)
{
    struct pin *at = probe(p, key);
    if (at->used) {
        return at;
    }
    if (p->used >= p->capacity) {
        return NULL;
    }
    *at = *key;
    p->used++;
    return at;
}

/* Close the gap: move entries back whose probe sequence passed over it. */
static void erase(struct arili_pins *p, size_t gap)
{
    size_t i = gap;
    for (;;) {
        i = (i + 1) & p->mask;
        if (!p->table[i].used) {
            break;
        }
        const size_t want = home(p, &p->table[i]);
        if (((i - want) & p->mask) >= ((i - gap) & p->mask)) {
            p->table[gap] = p->table[i];
            gap = i;
        }
    }
    p->table[gap] = (struct pin){ 0 };
    p->used--;
}

aril_status arili_pins_new(size_t capacity, uint64_t seed, struct arili_pins **ret)
{
    size_t size = 8;
    while (size < capacity + capacity / 3 + 1) {
        size *= 2;
    }
    struct arili_pins *p = arili_alloc(sizeof *p);
    ARILI_ENSURE(p != NULL, ARIL_E_NOMEM);
    p->table = arili_alloc(size * sizeof *p->table);
    if (p->table == NULL) {
        arili_free(p, sizeof *p);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    (void)pthread_mutex_init(&p->lock, NULL);
    p->seed = seed;
    p->capacity = capacity;
    p->mask = size - 1;
    *ret = p;
    return ARIL_OK;
}

void arili_pins_free(struct arili_pins *pins)
{
    if (pins == NULL) {
        return;
    }
    (void)pthread_mutex_destroy(&pins->lock);
    arili_free(pins->table, (pins->mask + 1) * sizeof *pins->table);
    arili_free(pins, sizeof *pins);
}

aril_status arili_pins_reserve(struct arili_pins *pins, const aril_kv_block *block)
{
    const struct pin key = key_of(block);
    (void)pthread_mutex_lock(&pins->lock);
    struct pin *at = find_or_add(pins, &key);
    if (at != NULL) {
        at->pending++;
    }
    (void)pthread_mutex_unlock(&pins->lock);
    ARILI_ENSURE(at != NULL, ARIL_E_LIMIT_PINS);
    return ARIL_OK;
}

void arili_pins_sealed(struct arili_pins *pins, const aril_kv_block *block,
                       struct arili_pin_age age)
{
    const struct pin key = key_of(block);
    (void)pthread_mutex_lock(&pins->lock);
    struct pin *at = probe(pins, &key);
    /* A place that was forgotten meanwhile stays forgotten. */
    if (at->used) {
        at->pending -= at->pending > 0;
        if (older(age_of(at), age)) {
            set_age(at, age);
        }
    }
    (void)pthread_mutex_unlock(&pins->lock);
}

void arili_pins_unreserve(struct arili_pins *pins, const aril_kv_block *block)
{
    const struct pin key = key_of(block);
    (void)pthread_mutex_lock(&pins->lock);
    struct pin *at = probe(pins, &key);
    if (at->used) {
        at->pending -= at->pending > 0;
        if (at->pending == 0 && at->sequence == 0) {
            erase(pins, (size_t)(at - pins->table));
        }
    }
    (void)pthread_mutex_unlock(&pins->lock);
}

aril_status arili_pins_check_self(struct arili_pins *pins, const aril_kv_block *block,
                                  struct arili_pin_age age)
{
    const struct pin key = key_of(block);
    (void)pthread_mutex_lock(&pins->lock);
    const struct pin *at = probe(pins, &key);
    const bool newest = at->used && at->epoch == age.epoch && at->sequence == age.sequence;
    (void)pthread_mutex_unlock(&pins->lock);
    ARILI_ENSURE(newest, ARIL_E_REPLAY_STALE);
    return ARIL_OK;
}

/* Not older than its pin, and without a pin newer than all that were forgotten. */
static bool fresh(const struct arili_pins *p, const struct pin *at, struct arili_pin_age age)
{
    return at->used ? !older(age, age_of(at)) : older(p->floor, age);
}

aril_status arili_pins_check_peer(struct arili_pins *pins, const aril_kv_block *block,
                                  struct arili_pin_age age)
{
    const struct pin key = key_of(block);
    (void)pthread_mutex_lock(&pins->lock);
    const struct pin *at = probe(pins, &key);
    const bool is_fresh = fresh(pins, at, age);
    const bool fits = at->used || pins->used < pins->capacity;
    (void)pthread_mutex_unlock(&pins->lock);
    ARILI_ENSURE(is_fresh, ARIL_E_REPLAY_STALE);
    ARILI_ENSURE(fits, ARIL_E_LIMIT_PINS);
    return ARIL_OK;
}

aril_status arili_pins_verified(struct arili_pins *pins, const aril_kv_block *block,
                                struct arili_pin_age age)
{
    const struct pin key = key_of(block);
    aril_status st = ARIL_OK;
    (void)pthread_mutex_lock(&pins->lock);
    if (!fresh(pins, probe(pins, &key), age)) {
        st = ARIL_E_REPLAY_STALE;
    } else {
        struct pin *at = find_or_add(pins, &key);
        st = at != NULL ? ARIL_OK : ARIL_E_LIMIT_PINS;
        if (at != NULL) {
            set_age(at, age);
        }
    }
    (void)pthread_mutex_unlock(&pins->lock);
    return st;
}

size_t arili_pins_forget(struct arili_pins *pins, uint64_t slot)
{
    size_t forgotten = 0;
    (void)pthread_mutex_lock(&pins->lock);
    for (size_t i = 0; i <= pins->mask;) {
        if (!pins->table[i].used || pins->table[i].slot != slot) {
            i++;
            continue;
        }
        if (older(pins->floor, age_of(&pins->table[i]))) {
            pins->floor = age_of(&pins->table[i]);
        }
        erase(pins, i); /* may move another entry to i: look at i again */
        forgotten++;
    }
    (void)pthread_mutex_unlock(&pins->lock);
    return forgotten;
}
