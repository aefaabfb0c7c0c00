/* SPDX-License-Identifier: Apache-2.0 */
#include <aril/tenants.h>
#include "base/ensure.h"
#include "base/mem.h"
#include "base/tablehash.h"
#include "session/handshake.h"
#include "session/policy.h"
#include "tenants/models.h"
#include <stdatomic.h>
#include <string.h>

#define SHARDS              64u
#define TENANTS_MAX_DEFAULT 65536u

struct aril_tenant {
    aril_tenant *next; /* in its bucket */
    uint64_t hash;
    _Atomic uint32_t references; /* the registry's, and one per hold */
    aril_session *session;       /* owned */
    size_t view_count;           /* one per model */
    aril_kv *views[];
};

/* Tenants by the hash of their id: the low bits choose the shard, the next the bucket. */
struct shard {
    pthread_rwlock_t lock;
    aril_tenant **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
};

struct aril_tenants {
    aril_runtime *rt;
    struct arili_models models;
    size_t tenants_max;
    aril_profile profile;
    const aril_identity *identity; /* borrowed */
    aril_policy policy;
    struct arili_fork_guard guard;
    uint8_t *tag_key; /* secure cell */
    uint64_t seed;
    _Atomic size_t count;
    struct shard shards[SHARDS];
};

/* --- One tenant ---------------------------------------------------------------- */

static size_t tenant_size(size_t views)
{
    return sizeof(aril_tenant) + views * sizeof(aril_kv *);
}

static void tenant_destroy(aril_tenant *t)
{
    for (size_t i = 0; i < t->view_count; i++) {
        aril_kv_free(t->views[i]);
    }
    aril_session_close(t->session);
    arili_free(t, tenant_size(t->view_count));
}

void aril_tenant_put(aril_tenant *tenant)
{
    if (tenant != NULL &&
        atomic_fetch_sub_explicit(&tenant->references, 1, memory_order_acq_rel) == 1) {
        tenant_destroy(tenant);
    }
}

/* Out of the table: nothing new begins, what is under way ends normally. */
static void retire_tenant(aril_tenant *t)
{
    if (t != NULL) {
        arili_session_end(t->session, ARIL_E_KEY_CLOSED);
        aril_tenant_put(t);
    }
}

static void tenant_putp(aril_tenant **t)
{
    aril_tenant_put(*t);
}

static void session_closep(aril_session **s)
{
    aril_session_close(*s);
}

/* On success the tenant owns session; on failure the caller keeps it. */
static aril_status tenant_new(aril_tenants *registry, aril_session *session, uint64_t hash,
                              aril_tenant **ret)
{
    ARILI_DEFER(tenant_putp) aril_tenant *t = arili_alloc(tenant_size(registry->models.count));
    ARILI_ENSURE(t != NULL, ARIL_E_NOMEM);
    t->view_count = registry->models.count;
    t->hash = hash;
    atomic_store(&t->references, 1);
    for (size_t i = 0; i < registry->models.count; i++) {
        ARILI_TRY(aril_kv_new(session, &registry->models.configs[i], &t->views[i]));
    }
    t->session = session;
    *ret = ARILI_TAKE(t);
    return ARIL_OK;
}

aril_kv *aril_tenant_kv(const aril_tenant *tenant, size_t model)
{
    return tenant != NULL && model < tenant->view_count ? tenant->views[model] : NULL;
}

aril_session *aril_tenant_session(const aril_tenant *tenant)
{
    return tenant != NULL ? tenant->session : NULL;
}

/* In a forked child a lock may be held for ever by a thread of the parent. */
static aril_status check_alive(const aril_tenants *t)
{
    ARILI_ENSURE(!arili_is_forked(&t->guard), ARIL_E_FORKED);
    return ARIL_OK;
}

/* --- The table ---------------------------------------------------------------- */

static struct shard *shard_of(aril_tenants *t, uint64_t hash)
{
    return &t->shards[hash % SHARDS];
}

static aril_tenant **bucket_of(const struct shard *s, uint64_t hash)
{
    return &s->buckets[(hash / SHARDS) & (s->bucket_count - 1)];
}

/* With the lock held: the link that points to the tenant, or to the end of its bucket. */
static aril_tenant **find(const struct shard *s, uint64_t hash, aril_bytes id)
{
    aril_tenant **link = bucket_of(s, hash);
    for (; *link != NULL; link = &(*link)->next) {
        const aril_bytes other = aril_session_tenant((*link)->session);
        /* Names are public: no constant time needed. */
        if ((*link)->hash == hash && other.len == id.len &&
            memcmp(other.data, id.data, id.len) == 0) {
            break;
        }
    }
    return link;
}

/* With the lock held: twice the buckets. Without memory the buckets grow longer instead. */
static void grow(struct shard *s)
{
    const size_t bigger = s->bucket_count * 2;
    aril_tenant **fresh = arili_alloc(bigger * sizeof(aril_tenant *));
    if (fresh == NULL) {
        return;
    }
    for (size_t i = 0; i < s->bucket_count; i++) {
        for (aril_tenant *t = s->buckets[i], *next; t != NULL; t = next) {
            next = t->next;
            aril_tenant **head = &fresh[(t->hash / SHARDS) & (bigger - 1)];
            t->next = *head;
            *head = t;
        }
    }
    arili_free(s->buckets, s->bucket_count * sizeof(aril_tenant *));
    s->buckets = fresh;
    s->bucket_count = bigger;
}

/* Take one of the places that tenants_max allows. */
static bool take_place(aril_tenants *t)
{
    size_t n = atomic_load(&t->count);
    while (n < t->tenants_max) {
        if (atomic_compare_exchange_weak(&t->count, &n, n + 1)) {
            return true;
        }
    }
    return false;
}

/* Put fresh into the table, instead of an older one where replace allows that; the older one
 * is handed back, unlinked. */
static aril_status insert(aril_tenants *t, aril_tenant *fresh, bool replace,
                          aril_tenant **ret_displaced)
{
    struct shard *s = shard_of(t, fresh->hash);
    aril_status st = ARIL_OK;
    (void)pthread_rwlock_wrlock(&s->lock);
    aril_tenant **link = find(s, fresh->hash, aril_session_tenant(fresh->session));
    if (*link != NULL && replace && (*link)->session->order > fresh->session->order) {
        st = ARIL_E_EXISTS; /* that one is newer: this one's confirm came late */
    } else if (*link != NULL && replace) {
        *ret_displaced = *link;
        fresh->next = (*link)->next;
        *link = fresh;
    } else if (*link != NULL) {
        st = ARIL_E_EXISTS;
    } else if (!take_place(t)) {
        st = ARIL_E_LIMIT_TENANTS;
    } else {
        *link = fresh;
        if (++s->count > s->bucket_count) {
            grow(s);
        }
    }
    (void)pthread_rwlock_unlock(&s->lock);
    return st;
}

aril_status aril_tenants_get(aril_tenants *tenants, aril_bytes tenant_id, aril_tenant **ret_tenant)
{
    ARILI_ENSURE(ret_tenant != NULL, ARIL_E_USAGE_NULL);
    *ret_tenant = NULL;
    ARILI_ENSURE(tenants != NULL && (tenant_id.data != NULL || tenant_id.len == 0),
                 ARIL_E_USAGE_NULL);
    ARILI_TRY(check_alive(tenants));
    const uint64_t hash = arili_table_hash(tenants->seed, tenant_id);
    struct shard *s = shard_of(tenants, hash);
    (void)pthread_rwlock_rdlock(&s->lock);
    aril_tenant *t = *find(s, hash, tenant_id);
    if (t != NULL) {
        atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
    }
    (void)pthread_rwlock_unlock(&s->lock);
    ARILI_ENSURE(t != NULL, ARIL_E_NOT_FOUND);
    *ret_tenant = t;
    return ARIL_OK;
}

/* --- The registry -------------------------------------------------------------- */

static void tenants_freep(aril_tenants **t)
{
    aril_tenants_free(*t);
}

static aril_status check_config(const aril_tenants_config *config)
{
    ARILI_ENSURE(config->models != NULL && config->identity != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(config->model_count >= 1 && config->model_count <= ARIL_TENANTS_MODELS_MAX,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(config->tenants_max <= ARIL_TENANTS_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(config->tag_key.len == 0 || config->tag_key.len == ARIL_TAG_KEY_BYTES,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(config->tag_key.data != NULL || config->tag_key.len == 0, ARIL_E_USAGE_NULL);
    return ARIL_OK;
}

static aril_status make_secrets(aril_tenants *t, aril_bytes tag_key)
{
    const struct arili_crypto *c = &t->rt->crypto;
    t->guard = arili_secure_guard(t->rt->secure);
    t->tag_key = arili_secure_take(t->rt->secure);
    ARILI_ENSURE(t->tag_key != NULL, ARIL_E_NOMEM);
    ARILI_TRY(c->ops->random(c->provider, (uint8_t *)&t->seed, sizeof t->seed));
    if (tag_key.len == 0) {
        return c->ops->random(c->provider, t->tag_key, ARIL_TAG_KEY_BYTES);
    }
    memcpy(t->tag_key, tag_key.data, ARIL_TAG_KEY_BYTES);
    return ARIL_OK;
}

static aril_status make_shards(aril_tenants *t)
{
    for (size_t i = 0; i < SHARDS; i++) {
        t->shards[i].buckets = arili_alloc(sizeof(aril_tenant *));
        ARILI_ENSURE(t->shards[i].buckets != NULL, ARIL_E_NOMEM);
        t->shards[i].bucket_count = 1;
        (void)pthread_rwlock_init(&t->shards[i].lock, NULL);
    }
    return ARIL_OK;
}

aril_status aril_tenants_new(aril_runtime *rt, const aril_tenants_config *config,
                             aril_tenants **ret_tenants)
{
    ARILI_ENSURE(ret_tenants != NULL, ARIL_E_USAGE_NULL);
    *ret_tenants = NULL;
    ARILI_ENSURE(rt != NULL && config != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(check_config(config));
    ARILI_TRY(arili_runtime_check(rt));
    ARILI_DEFER(tenants_freep) aril_tenants *t = arili_alloc(sizeof *t);
    ARILI_ENSURE(t != NULL, ARIL_E_NOMEM);
    t->rt = rt;
    t->tenants_max = config->tenants_max != 0 ? config->tenants_max : TENANTS_MAX_DEFAULT;
    t->profile = config->profile != 0 ? config->profile : ARIL_PROFILE_HYBRID;
    t->identity = config->identity;
    const struct arili_profile *p = arili_profile_get(t->profile);
    ARILI_ENSURE(p != NULL && p->sign == aril_identity_alg(t->identity), ARIL_E_USAGE_RANGE);
    ARILI_TRY(arili_policy_complete(config->policy, &t->policy));
    ARILI_TRY(make_secrets(t, config->tag_key));
    ARILI_TRY(make_shards(t));
    ARILI_TRY(arili_models_copy(config->models, config->model_count, &t->models));
    *ret_tenants = ARILI_TAKE(t);
    return ARIL_OK;
}

/* Take every tenant of a shard out of it. */
static aril_tenant *empty_shard(struct shard *s)
{
    aril_tenant *all = NULL;
    for (size_t i = 0; i < s->bucket_count; i++) {
        for (aril_tenant *t = s->buckets[i], *next; t != NULL; t = next) {
            next = t->next;
            t->next = all;
            all = t;
        }
    }
    return all;
}

void aril_tenants_free(aril_tenants *tenants)
{
    if (tenants == NULL) {
        return;
    }
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &tenants->shards[i];
        if (s->buckets == NULL) {
            continue;
        }
        for (aril_tenant *t = empty_shard(s), *next; t != NULL; t = next) {
            next = t->next;
            retire_tenant(t);
        }
        arili_free(s->buckets, s->bucket_count * sizeof(aril_tenant *));
        (void)pthread_rwlock_destroy(&s->lock);
    }
    arili_models_done(&tenants->models);
    arili_secure_give(tenants->rt->secure, tenants->tag_key);
    arili_free(tenants, sizeof *tenants);
}

size_t aril_tenants_count(const aril_tenants *tenants)
{
    return tenants != NULL ? atomic_load(&tenants->count) : 0;
}

/* --- Tenants come and go -------------------------------------------------------- */

aril_status aril_tenants_create(aril_tenants *tenants, aril_bytes tenant_id)
{
    ARILI_ENSURE(tenants != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(arili_tenant_id_check(tenant_id));
    ARILI_DEFER(tenant_putp) aril_tenant *fresh = NULL;
    const aril_status found = aril_tenants_get(tenants, tenant_id, &fresh);
    ARILI_ENSURE(found != ARIL_OK, ARIL_E_EXISTS);
    /* Before the work of a handshake; insert() decides. */
    ARILI_ENSURE(aril_tenants_count(tenants) < tenants->tenants_max, ARIL_E_LIMIT_TENANTS);
    ARILI_ENSURE(found == ARIL_E_NOT_FOUND, found);
    ARILI_DEFER(session_closep) aril_session *session = NULL;
    ARILI_TRY(aril_session_pair(tenants->rt, tenants->profile, tenant_id, tenants->identity,
                                (aril_bytes){ tenants->tag_key, ARIL_TAG_KEY_BYTES },
                                &tenants->policy, NULL, &session));
    const uint64_t hash = arili_table_hash(tenants->seed, tenant_id);
    ARILI_TRY(tenant_new(tenants, session, hash, &fresh));
    session = NULL; /* fresh owns it */
    aril_tenant *none = NULL;
    ARILI_TRY(insert(tenants, fresh, false, &none));
    fresh = NULL; /* the table owns it */
    return ARIL_OK;
}

aril_status aril_tenants_adopt(aril_tenants *tenants, aril_session *session)
{
    ARILI_ENSURE(tenants != NULL && session != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(session->rt == tenants->rt && session->sends == ARIL_SERVER_TO_TENANT,
                 ARIL_E_USAGE_RANGE);
    ARILI_TRY(check_alive(tenants));
    const uint64_t hash = arili_table_hash(tenants->seed, aril_session_tenant(session));
    aril_tenant *fresh = NULL, *displaced = NULL;
    ARILI_TRY(tenant_new(tenants, session, hash, &fresh));
    const aril_status st = insert(tenants, fresh, true, &displaced);
    if (st != ARIL_OK) {
        fresh->session = NULL; /* the caller keeps it */
        aril_tenant_put(fresh);
        return st;
    }
    retire_tenant(displaced);
    return ARIL_OK;
}

aril_status aril_tenants_close(aril_tenants *tenants, aril_bytes tenant_id)
{
    ARILI_ENSURE(tenants != NULL && (tenant_id.data != NULL || tenant_id.len == 0),
                 ARIL_E_USAGE_NULL);
    ARILI_TRY(check_alive(tenants));
    const uint64_t hash = arili_table_hash(tenants->seed, tenant_id);
    struct shard *s = shard_of(tenants, hash);
    (void)pthread_rwlock_wrlock(&s->lock);
    aril_tenant **link = find(s, hash, tenant_id);
    aril_tenant *t = *link;
    if (t != NULL) {
        *link = t->next;
        s->count--;
        atomic_fetch_sub(&tenants->count, 1);
    }
    (void)pthread_rwlock_unlock(&s->lock);
    ARILI_ENSURE(t != NULL, ARIL_E_NOT_FOUND);
    retire_tenant(t);
    return ARIL_OK;
}

/* --- Use ---------------------------------------------------------------------- */

typedef aril_status batch_fn(aril_kv *kv, aril_kv_item *items, size_t count, size_t *ret_failed);

static aril_status by_tenant(aril_tenants *tenants, aril_bytes tenant_id, size_t model,
                             batch_fn *run, aril_kv_item *items, size_t count, size_t *ret_failed)
{
    ARILI_ENSURE(tenants != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(model < tenants->models.count, ARIL_E_USAGE_RANGE);
    ARILI_DEFER(tenant_putp) aril_tenant *t = NULL;
    ARILI_TRY(aril_tenants_get(tenants, tenant_id, &t));
    return run(t->views[model], items, count, ret_failed);
}

aril_status aril_tenants_seal(aril_tenants *tenants, aril_bytes tenant_id, size_t model,
                              aril_kv_item *items, size_t count, size_t *ret_failed)
{
    return by_tenant(tenants, tenant_id, model, aril_kv_seal_batch, items, count, ret_failed);
}

aril_status aril_tenants_open(aril_tenants *tenants, aril_bytes tenant_id, size_t model,
                              aril_kv_item *items, size_t count, size_t *ret_failed)
{
    return by_tenant(tenants, tenant_id, model, aril_kv_open_batch, items, count, ret_failed);
}

/* Hold every tenant of the shard. ret has room for room of them. */
static size_t hold_all(struct shard *s, aril_tenant **ret, size_t room)
{
    size_t n = 0;
    (void)pthread_rwlock_rdlock(&s->lock);
    for (size_t i = 0; i < s->bucket_count; i++) {
        for (aril_tenant *t = s->buckets[i]; t != NULL && n < room; t = t->next) {
            atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
            ret[n++] = t;
        }
    }
    (void)pthread_rwlock_unlock(&s->lock);
    return n;
}

/* *stop: the visitor has had enough. */
static aril_status list_shard(struct shard *s, aril_tenants_visit_fn *visit, void *user, int *stop)
{
    (void)pthread_rwlock_rdlock(&s->lock);
    const size_t room = s->count;
    (void)pthread_rwlock_unlock(&s->lock);
    if (room == 0) {
        return ARIL_OK;
    }
    aril_tenant **held = arili_alloc(room * sizeof(aril_tenant *));
    ARILI_ENSURE(held != NULL, ARIL_E_NOMEM);
    const size_t n = hold_all(s, held, room);
    aril_status st = ARIL_OK;
    for (size_t i = 0; i < n; i++) {
        aril_session_info info;
        if (st == ARIL_OK && *stop == 0) {
            st = aril_session_get_info(held[i]->session, &info);
            if (st == ARIL_OK) {
                *stop = visit(user, aril_session_tenant(held[i]->session), &info);
            }
        }
        aril_tenant_put(held[i]);
    }
    arili_free(held, room * sizeof(aril_tenant *));
    return st;
}

aril_status aril_tenants_list(aril_tenants *tenants, aril_tenants_visit_fn *visit, void *user)
{
    ARILI_ENSURE(tenants != NULL && visit != NULL, ARIL_E_USAGE_NULL);
    ARILI_TRY(check_alive(tenants));
    int stop = 0;
    for (size_t i = 0; i < SHARDS && stop == 0; i++) {
        ARILI_TRY(list_shard(&tenants->shards[i], visit, user, &stop));
    }
    return ARIL_OK;
}
