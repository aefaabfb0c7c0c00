/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "cache/l1_internal.h"

/* One put, from its reservation to its end. */
struct put {
    struct arili_l1_shard *s;
    const aril_cache_key *key;
    aril_bytes value;
    uint64_t hash;
    size_t bytes;           /* of the entry */
    const uint64_t *ticket; /* NULL: whatever happened since */
    bool was_main;          /* of the entry that was replaced */
    uint8_t was_asked;
    struct arili_l1_key *sealing; /* with a reference */
    uint64_t counter;
};

/* With the lock held. */
static bool changed(const struct put *p)
{
    return p->ticket != NULL && *arili_l1_ticket_of(p->s, p->hash) != *p->ticket;
}

static void drop_name(struct put *p, struct arili_l1_entry **dead)
{
    struct arili_l1_entry *const old = arili_l1_find(p->s, p->hash, p->key);
    if (old != NULL) {
        p->was_main = old->in_main;
        p->was_asked = old->asked;
        arili_l1_unlink(p->s, old, dead);
    }
}

static bool key_is_used_up(const struct arili_l1 *l1, const struct put *p)
{
    return p->s->seals >= l1->shard_seals_max ||
           p->s->sealed_bytes > l1->shard_bytes_max - p->value.len;
}

/* Without the lock: a newer key than old, with a reference for the shard. */
static aril_status next_key(struct arili_l1 *l1, const struct arili_l1_key *old,
                            struct arili_l1_key **ret)
{
    aril_status st = ARIL_OK;
    (void)pthread_mutex_lock(&l1->key_lock);
    if (l1->key == old) { /* else another shard came here before */
        struct arili_l1_key *fresh = NULL;
        st = arili_l1_key_new(l1->rt, &fresh);
        if (st == ARIL_OK) {
            arili_l1_key_put(l1->key);
            l1->key = fresh;
        }
    }
    if (st == ARIL_OK) {
        arili_l1_key_hold(l1->key);
        *ret = l1->key;
    }
    (void)pthread_mutex_unlock(&l1->key_lock);
    return st;
}

/* With the lock held, which is released meanwhile: a key that has room for this put. */
static bool renew_key(struct arili_l1 *l1, const struct put *p, struct arili_l1_entry **dead)
{
    while (key_is_used_up(l1, p)) {
        struct arili_l1_key *const old = p->s->key;
        struct arili_l1_key *fresh = NULL;
        arili_l1_key_hold(old); /* so that its address is not another key's meanwhile */
        arili_l1_unlock(p->s);
        const aril_status st = next_key(l1, old, &fresh);
        arili_l1_lock(p->s);
        const bool late = p->s->key != old;
        arili_l1_key_put(old);
        if (st != ARIL_OK) {
            return false;
        }
        if (late) {
            arili_l1_key_put(fresh);
        } else {
            arili_l1_change_key(p->s, fresh, dead);
        }
    }
    return true;
}

/* Room, key and nonce. What was there under the name leaves in any case. */
static bool begin(struct arili_l1 *l1, struct put *p)
{
    struct arili_l1_entry *dead = NULL;
    arili_l1_lock(p->s);
    bool good = !changed(p);
    if (good) {
        drop_name(p, &dead);
        good = p->value.len <= l1->shard_bytes_max && p->bytes <= p->s->bytes_max &&
               renew_key(l1, p, &dead) && arili_l1_reserve(p->s, p->bytes, &dead);
    }
    if (good) {
        arili_l1_key_hold(p->s->key);
        p->sealing = p->s->key;
        p->counter = p->s->seals++;
        p->s->sealed_bytes += p->value.len;
    }
    arili_l1_unlock(p->s);
    arili_l1_release(dead);
    return good;
}

/* Without the lock. NULL when it cannot be had. */
static struct arili_l1_entry *seal(struct put *p, const struct arili_l1_meta *meta)
{
    struct arili_l1_entry *const e = arili_alloc(p->bytes);
    if (e == NULL) {
        return NULL;
    }
    e->hash = p->hash;
    e->bytes = p->bytes;
    atomic_init(&e->references, 1);
    e->bound = (struct arili_l1_bound){ .created_ms = meta->created_ms,
                                        .not_after_ms = meta->not_after_ms,
                                        .generation = meta->generation,
                                        .until_ns = meta->until_ns,
                                        .stale_ns = meta->stale_ns,
                                        .epoch = meta->epoch,
                                        .value_len = p->value.len,
                                        .format = meta->format,
                                        .old_key = meta->old_key };
    arili_packed_write(&e->bound.name, p->key);
    arili_store32(e->nonce, p->s->number);
    arili_store64(e->nonce + 4, p->counter);
    e->key = p->sealing;
    if (arili_l1_key_seal(e->key, e->nonce, arili_l1_aad(e), p->value, arili_l1_body(e), e->tag) !=
        ARIL_OK) {
        arili_free(e, e->bytes);
        return NULL;
    }
    p->sealing = NULL; /* the entry's */
    return e;
}

/* Links the entry, or gives its room back. False: nothing is kept. */
static bool end(struct put *p, struct arili_l1_entry *fresh)
{
    struct arili_l1_entry *dead = NULL;
    arili_l1_lock(p->s);
    const bool kept = fresh != NULL && !changed(p);
    if (!changed(p)) {
        drop_name(p, &dead);
        ++*arili_l1_ticket_of(p->s, p->hash);
    }
    if (kept) {
        fresh->in_main = p->was_main;
        fresh->asked = p->was_asked;
        arili_l1_link(p->s, fresh);
    } else {
        p->s->bytes -= p->bytes;
    }
    arili_l1_unlock(p->s);
    arili_l1_release(dead);
    if (!kept && fresh != NULL) {
        arili_l1_entry_put(fresh);
    }
    return kept;
}

static bool put(struct arili_l1 *l1, const aril_cache_key *key, aril_bytes value,
                const struct arili_l1_meta *meta, const uint64_t *ticket)
{
    if (arili_is_forked(&l1->guard) || !arili_packed_fits(key)) {
        return false;
    }
    struct put p = { .key = key, .value = value, .ticket = ticket };
    p.hash = arili_packed_hash(l1->seed, key);
    p.s = arili_l1_shard_of(l1, p.hash);
    const bool fits = value.len <= ARIL_CACHE_VALUE_BYTES_MAX; /* so the sum does not wrap */
    p.bytes = arili_l1_entry_bytes(arili_l1_aad_bytes(arili_packed_bytes(key)), value.len);
    if (!fits || !begin(l1, &p)) {
        if (ticket == NULL) {
            (void)arili_l1_drop(l1, key);
        }
        return false;
    }
    struct arili_l1_entry *const fresh = seal(&p, meta);
    arili_l1_key_put(p.sealing);
    return end(&p, fresh);
}

void arili_l1_put(struct arili_l1 *l1, const aril_cache_key *key, aril_bytes value,
                  const struct arili_l1_meta *meta)
{
    (void)put(l1, key, value, meta, NULL);
}

bool arili_l1_put_if(struct arili_l1 *l1, const aril_cache_key *key, aril_bytes value,
                     const struct arili_l1_meta *meta, uint64_t ticket)
{
    return put(l1, key, value, meta, &ticket);
}
