/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/tablehash.h"
#include "cache/stores/memory_internal.h"
#include <string.h>

#define FIRST_BITS 6u
#define BITS_MAX   24u
#define NS_PER_MS  UINT64_C(1000000)

/* What a scan copies at a time. */
#define PAGE_BYTES ((size_t)64 << 10)

struct arili_memory_entry {
    struct arili_memory_entry *next; /* in its bucket */
    struct arili_memory_entry *newer, *older;
    uint64_t last_use;
    uint64_t hash;
    uint64_t until_ns; /* UINT64_MAX: until it is deleted */
    struct arili_memory_value *value;
    size_t name_len;
    uint8_t name[];
};

void arili_memory_value_release(struct arili_memory_value *v)
{
    if (v != NULL && atomic_fetch_sub(&v->references, 1) == 1) {
        arili_free(v, sizeof *v + v->len);
    }
}

static uint64_t cost(const struct arili_memory_entry *e)
{
    return sizeof *e + e->name_len + sizeof *e->value + e->value->len;
}

static void entry_free(struct arili_memory_entry *e)
{
    arili_memory_value_release(e->value);
    arili_free(e, sizeof *e + e->name_len);
}

static void entry_freep(struct arili_memory_entry **e)
{
    if (*e != NULL) {
        entry_free(*e);
    }
}

static bool is_over(const struct arili_memory_entry *e)
{
    return e->until_ns != UINT64_MAX && arili_memory_now_ns() >= e->until_ns;
}

/* --- One shard; all with its mutex --------------------------------------------------------- */

static size_t bucket_of(const struct arili_memory_shard *s, uint64_t hash)
{
    return (size_t)(hash >> (64 - s->bits));
}

static void list_remove(struct arili_memory_shard *s, struct arili_memory_entry *e)
{
    *(e->newer != NULL ? &e->newer->older : &s->newest) = e->older;
    *(e->older != NULL ? &e->older->newer : &s->oldest) = e->newer;
    atomic_store(&s->oldest_use, s->oldest != NULL ? s->oldest->last_use : UINT64_MAX);
}

static void list_push(struct arili_memory_table *t, struct arili_memory_shard *s,
                      struct arili_memory_entry *e)
{
    e->last_use = atomic_fetch_add(&t->uses, 1);
    e->newer = NULL;
    e->older = s->newest;
    *(s->newest != NULL ? &s->newest->newer : &s->oldest) = e;
    s->newest = e;
    atomic_store(&s->oldest_use, s->oldest->last_use);
}

static struct arili_memory_entry *find(struct arili_memory_shard *s, uint64_t hash, aril_bytes name)
{
    struct arili_memory_entry *e = s->buckets[bucket_of(s, hash)];
    while (e != NULL && (e->hash != hash || e->name_len != name.len ||
                         memcmp(e->name, name.data, name.len) != 0)) {
        e = e->next;
    }
    return e;
}

/* Takes it out; the caller frees it, without the mutex. */
static void take_out(struct arili_memory_table *t, struct arili_memory_shard *s,
                     struct arili_memory_entry *e)
{
    struct arili_memory_entry **at = &s->buckets[bucket_of(s, e->hash)];
    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    list_remove(s, e);
    s->count--;
    (void)atomic_fetch_sub(&t->entries, 1);
    (void)atomic_fetch_sub(&t->bytes, cost(e));
}

/* Doubles the buckets. Without memory they stay as they are, and chains get longer. */
static void grow(struct arili_memory_shard *s)
{
    struct arili_memory_entry **const old = s->buckets;
    const size_t old_count = (size_t)1 << s->bits;
    struct arili_memory_entry **const fresh =
        s->bits < BITS_MAX ? arili_alloc(2 * old_count * sizeof *fresh) : NULL;
    if (fresh == NULL) {
        return;
    }
    s->buckets = fresh;
    s->bits++;
    for (size_t i = 0; i < old_count; i++) {
        for (struct arili_memory_entry *e = old[i], *next; e != NULL; e = next) {
            next = e->next;
            struct arili_memory_entry **const at = &fresh[bucket_of(s, e->hash)];
            e->next = *at;
            *at = e;
        }
    }
    arili_free(old, old_count * sizeof *old);
}

static void bring_in(struct arili_memory_table *t, struct arili_memory_shard *s,
                     struct arili_memory_entry *e)
{
    if (s->count >= (size_t)1 << s->bits) {
        grow(s);
    }
    struct arili_memory_entry **const at = &s->buckets[bucket_of(s, e->hash)];
    e->next = *at;
    *at = e;
    list_push(t, s, e);
    s->count++;
    (void)atomic_fetch_add(&t->entries, 1);
    (void)atomic_fetch_add(&t->bytes, cost(e));
}

/* --- The table ----------------------------------------------------------------------------- */

static struct arili_memory_shard *shard_of(struct arili_memory_table *t, uint64_t hash)
{
    /* The low bits: the high ones choose the bucket. */
    return &t->shards[hash % ARILI_MEMORY_SHARDS];
}

aril_status arili_memory_table_init(struct arili_memory_table *t, uint64_t seed, uint64_t bytes_max)
{
    t->seed = seed;
    t->bytes_max = bytes_max;
    for (size_t i = 0; i < ARILI_MEMORY_SHARDS; i++) {
        struct arili_memory_shard *const s = &t->shards[i];
        s->bits = FIRST_BITS;
        atomic_store(&s->oldest_use, UINT64_MAX);
        s->buckets = arili_alloc(((size_t)1 << FIRST_BITS) * sizeof *s->buckets);
        if (s->buckets == NULL || pthread_mutex_init(&s->mutex, NULL) != 0) {
            arili_free(s->buckets, ((size_t)1 << FIRST_BITS) * sizeof *s->buckets);
            s->buckets = NULL;
            arili_memory_table_done(t);
            ARILI_FAIL(ARIL_E_NOMEM);
        }
    }
    return ARIL_OK;
}

void arili_memory_table_done(struct arili_memory_table *t)
{
    for (size_t i = 0; i < ARILI_MEMORY_SHARDS && t->shards[i].buckets != NULL; i++) {
        struct arili_memory_shard *const s = &t->shards[i];
        for (struct arili_memory_entry *e = s->newest, *older; e != NULL; e = older) {
            older = e->older;
            entry_free(e);
        }
        arili_free(s->buckets, ((size_t)1 << s->bits) * sizeof *s->buckets);
        s->buckets = NULL;
        (void)pthread_mutex_destroy(&s->mutex);
    }
}

/* With the mutex of the shard: the entry, or NULL. One that is over is taken out, to be freed. */
static struct arili_memory_entry *look(struct arili_memory_table *t, struct arili_memory_shard *s,
                                       uint64_t hash, aril_bytes name,
                                       struct arili_memory_entry **ret_over)
{
    struct arili_memory_entry *const e = find(s, hash, name);
    if (e != NULL && is_over(e)) {
        take_out(t, s, e);
        *ret_over = e;
        return NULL;
    }
    return e;
}

struct arili_memory_value *arili_memory_table_get(struct arili_memory_table *t, aril_bytes name)
{
    const uint64_t hash = arili_table_hash(t->seed, name);
    struct arili_memory_shard *const s = shard_of(t, hash);
    ARILI_DEFER(entry_freep) struct arili_memory_entry *over = NULL;
    struct arili_memory_value *value = NULL;
    (void)pthread_mutex_lock(&s->mutex);
    struct arili_memory_entry *const e = look(t, s, hash, name, &over);
    if (e != NULL) {
        value = e->value;
        (void)atomic_fetch_add(&value->references, 1);
        list_remove(s, e);
        list_push(t, s, e);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return value;
}

bool arili_memory_table_has(struct arili_memory_table *t, aril_bytes name)
{
    const uint64_t hash = arili_table_hash(t->seed, name);
    struct arili_memory_shard *const s = shard_of(t, hash);
    ARILI_DEFER(entry_freep) struct arili_memory_entry *over = NULL;
    (void)pthread_mutex_lock(&s->mutex);
    const bool found = look(t, s, hash, name, &over) != NULL;
    (void)pthread_mutex_unlock(&s->mutex);
    return found;
}

bool arili_memory_table_erase(struct arili_memory_table *t, aril_bytes name)
{
    const uint64_t hash = arili_table_hash(t->seed, name);
    struct arili_memory_shard *const s = shard_of(t, hash);
    ARILI_DEFER(entry_freep) struct arili_memory_entry *over = NULL;
    (void)pthread_mutex_lock(&s->mutex);
    struct arili_memory_entry *const e = look(t, s, hash, name, &over);
    if (e != NULL) {
        take_out(t, s, e);
        over = e;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return e != NULL;
}

static aril_status entry_new(struct arili_memory_table *t, const aril_store_item *item,
                             struct arili_memory_entry **ret)
{
    size_t len = 0; /* cannot wrap: the sum was compared with ARIL_STORE_VALUE_BYTES_MAX */
    for (size_t i = 0; i < item->part_count; i++) {
        len += item->parts[i].len;
    }
    ARILI_ENSURE(sizeof **ret + item->name.len + sizeof(struct arili_memory_value) + len <=
                     t->bytes_max,
                 ARIL_E_IO_FULL);
    struct arili_memory_value *const v = arili_alloc(sizeof *v + len);
    struct arili_memory_entry *const e = arili_alloc(sizeof *e + item->name.len);
    if (v == NULL || e == NULL) {
        arili_free(v, sizeof *v + len);
        arili_free(e, sizeof *e + item->name.len);
        ARILI_FAIL(ARIL_E_NOMEM);
    }
    atomic_store(&v->references, 1);
    for (size_t i = 0; i < item->part_count; i++) {
        if (item->parts[i].len > 0) {
            memcpy(v->bytes + v->len, item->parts[i].data, item->parts[i].len);
            v->len += item->parts[i].len;
        }
    }
    e->value = v;
    e->hash = arili_table_hash(t->seed, item->name);
    e->name_len = item->name.len;
    memcpy(e->name, item->name.data, item->name.len);
    const uint64_t now = arili_memory_now_ns();
    e->until_ns = item->ttl_ms == 0 || item->ttl_ms > (UINT64_MAX - now) / NS_PER_MS
                      ? UINT64_MAX
                      : now + item->ttl_ms * NS_PER_MS;
    *ret = e;
    return ARIL_OK;
}

/* Which shard has the entry that was not used for the longest time; NULL: all are empty. What other
 * threads do meanwhile makes the choice a little worse, and no more. */
static struct arili_memory_shard *oldest_shard(struct arili_memory_table *t)
{
    struct arili_memory_shard *found = NULL;
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < ARILI_MEMORY_SHARDS; i++) {
        const uint64_t use = atomic_load(&t->shards[i].oldest_use);
        if (use < oldest) {
            oldest = use;
            found = &t->shards[i];
        }
    }
    return found;
}

static void make_room(struct arili_memory_table *t)
{
    struct arili_memory_shard *s = NULL;
    while (atomic_load(&t->bytes) > t->bytes_max && (s = oldest_shard(t)) != NULL) {
        ARILI_DEFER(entry_freep) struct arili_memory_entry *victim = NULL;
        (void)pthread_mutex_lock(&s->mutex);
        victim = s->oldest;
        if (victim != NULL) {
            take_out(t, s, victim);
        }
        (void)pthread_mutex_unlock(&s->mutex);
    }
}

aril_status arili_memory_table_put(struct arili_memory_table *t, const aril_store_item *item)
{
    ARILI_DEFER(entry_freep) struct arili_memory_entry *fresh = NULL;
    ARILI_TRY(entry_new(t, item, &fresh));
    struct arili_memory_shard *const s = shard_of(t, fresh->hash);
    ARILI_DEFER(entry_freep) struct arili_memory_entry *old = NULL;
    (void)pthread_mutex_lock(&s->mutex);
    struct arili_memory_entry *const before = look(t, s, fresh->hash, item->name, &old);
    const bool refused = before != NULL && item->absent_only != 0;
    if (before != NULL && !refused) {
        take_out(t, s, before);
        old = before;
    }
    if (!refused) {
        bring_in(t, s, ARILI_TAKE(fresh));
    }
    (void)pthread_mutex_unlock(&s->mutex);
    ARILI_ENSURE(!refused, ARIL_E_EXISTS);
    make_room(t);
    return ARIL_OK;
}

/* --- Scanning ------------------------------------------------------------------------------ */

/* Names of whole buckets, each behind its length. */
struct page {
    uint8_t *data;
    size_t cap, len;
};

static void page_done(struct page *p)
{
    arili_free(p->data, p->cap);
}

static bool wanted(const struct arili_memory_entry *e, aril_bytes prefix)
{
    return e->name_len >= prefix.len &&
           (prefix.len == 0 || memcmp(e->name, prefix.data, prefix.len) == 0) && !is_over(e);
}

static size_t bucket_bytes(const struct arili_memory_entry *e, aril_bytes prefix)
{
    size_t bytes = 0;
    for (; e != NULL; e = e->next) {
        bytes += wanted(e, prefix) ? sizeof e->name_len + e->name_len : 0;
    }
    return bytes;
}

static void page_add(struct page *p, const struct arili_memory_entry *e, aril_bytes prefix)
{
    for (; e != NULL; e = e->next) {
        /* What was counted can only have become less since: it may be over by now. */
        if (wanted(e, prefix)) {
            memcpy(p->data + p->len, &e->name_len, sizeof e->name_len);
            memcpy(p->data + p->len + sizeof e->name_len, e->name, e->name_len);
            p->len += sizeof e->name_len + e->name_len;
        }
    }
}

/* Fills the page with the buckets from a hash on. *io_hash is where to go on; *ret_need is above 0
 * when one bucket needs a larger page. True: that was the end of the shard. */
static bool page_fill(struct arili_memory_shard *s, aril_bytes prefix, struct page *p,
                      uint64_t *io_hash, size_t *ret_need)
{
    bool at_end = false;
    p->len = 0;
    *ret_need = 0;
    (void)pthread_mutex_lock(&s->mutex);
    size_t i = bucket_of(s, *io_hash);
    for (; i < (size_t)1 << s->bits; i++) {
        const size_t bytes = bucket_bytes(s->buckets[i], prefix);
        if (bytes > p->cap - p->len) {
            *ret_need = p->len == 0 ? bytes : 0;
            break;
        }
        page_add(p, s->buckets[i], prefix);
    }
    at_end = i == (size_t)1 << s->bits;
    *io_hash = at_end ? 0 : (uint64_t)i << (64 - s->bits);
    (void)pthread_mutex_unlock(&s->mutex);
    return at_end;
}

static bool page_visit(const struct page *p, aril_store_visit_fn *visit, void *user)
{
    for (size_t at = 0; at < p->len;) {
        size_t len = 0;
        memcpy(&len, p->data + at, sizeof len);
        at += sizeof len;
        if (visit(user, (aril_bytes){ p->data + at, len }) != 0) {
            return false;
        }
        at += len;
    }
    return true;
}

aril_status arili_memory_table_scan(struct arili_memory_table *t, aril_bytes prefix,
                                    aril_store_visit_fn *visit, void *user)
{
    ARILI_DEFER(page_done) struct page p = { .cap = PAGE_BYTES };
    p.data = arili_alloc(p.cap);
    ARILI_ENSURE(p.data != NULL, ARIL_E_NOMEM);
    for (size_t i = 0; i < ARILI_MEMORY_SHARDS; i++) {
        uint64_t hash = 0;
        for (bool at_end = false; !at_end;) {
            size_t need = 0;
            at_end = page_fill(&t->shards[i], prefix, &p, &hash, &need);
            if (need > 0) {
                page_done(&p);
                p.data = arili_alloc(need);
                p.cap = p.data != NULL ? need : 0;
                ARILI_ENSURE(p.data != NULL, ARIL_E_NOMEM);
            } else if (!page_visit(&p, visit, user)) {
                return ARIL_OK;
            }
        }
    }
    return ARIL_OK;
}
