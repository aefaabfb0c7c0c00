/* SPDX-License-Identifier: Apache-2.0 */
/* Threads on one cache: no value of another name, none half, none that is older than a put which
 * had returned; and when all is quiet L1 and the store agree. */
#include "base/ensure.h"
#include "cache_fixture.h"
#include "files_store.h"
#include "team.h"
#include "temp_folder.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define KEYS       16u
#define OWNED      8u /* keys below it are put by one thread each: its order is known */
#define WRITERS    4u
#define ROUNDS     (SANITIZED ? 700u : 8000u)
#define VALUE_MAX  3000u
#define HEAD_BYTES 16u

struct stage {
    struct cache_home ch;
    _Atomic uint64_t put[KEYS]; /* no older one of an owned key may be seen any more */
    atomic_uint hits, misses, computed, at_work;
};

/* --- Values: number of the key, counter, and a pattern of both. */

static aril_cache_key key_of(unsigned k)
{
    static const char *const tenants[] = { "alice", "bob" };
    static const char *const spaces[] = { "plain", "padded", "l2" };
    static const char *const keys[KEYS] = { "k0", "k1", "k2",  "k3",  "k4",  "k5",  "k6",  "k7",
                                            "k8", "k9", "k10", "k11", "k12", "k13", "k14", "k15" };
    return cache_key(tenants[k % 2], spaces[k % 3], keys[k]);
}

static aril_bytes value_of(unsigned k, uint64_t counter, uint8_t room[VALUE_MAX])
{
    const size_t len = HEAD_BYTES + (size_t)(counter * 37 % (VALUE_MAX - HEAD_BYTES));
    const uint64_t head[2] = { k, counter };
    memcpy(room, head, sizeof head);
    fill_pattern(room + HEAD_BYTES, len - HEAD_BYTES, counter * KEYS + k);
    return (aril_bytes){ room, len };
}

static void look_at(struct stage *s, unsigned k, const uint8_t *data, size_t len, uint64_t oldest)
{
    uint64_t head[2] = { 0, 0 };
    if (!team_demand(len >= HEAD_BYTES && len <= VALUE_MAX, "a value of no length of ours")) {
        return;
    }
    memcpy(head, data, sizeof head);
    team_demand(head[0] == k, "the value of another key");
    team_demand(len == HEAD_BYTES + head[1] * 37 % (VALUE_MAX - HEAD_BYTES), "half a value");
    team_demand(is_pattern(data + HEAD_BYTES, len - HEAD_BYTES, head[1] * KEYS + k),
                "a mixed value");
    team_demand(k >= OWNED || head[1] >= oldest, "a value that was replaced before");
    atomic_fetch_add(&s->hits, 1);
}

/* --- Members */

static void read_one(struct stage *s, unsigned k)
{
    uint8_t room[VALUE_MAX];
    const uint64_t oldest = atomic_load(&s->put[k]);
    aril_cache_item item = { .key = key_of(k), .buffer = { room, sizeof room } };
    const aril_status st = aril_cache_get(s->ch.cache, &item, 1, NULL);
    team_demand(st == item.status && (st == ARIL_OK || st == ARIL_E_NOT_FOUND), "a get failed");
    team_demand(item.result.outcome != ARIL_CACHE_TAMPERED, "tampered");
    if (st == ARIL_OK) {
        look_at(s, k, room, item.result.len, oldest);
    } else {
        atomic_fetch_add(&s->misses, 1);
    }
}

static void read_many(struct stage *s, uint64_t r)
{
    static const size_t n = KEYS;
    aril_cache_item items[KEYS];
    uint64_t oldest[KEYS];
    for (unsigned i = 0; i < n; i++) {
        const unsigned k = (unsigned)(r + i) % KEYS;
        oldest[i] = atomic_load(&s->put[k]);
        items[i] = (aril_cache_item){ .key = key_of(k) };
    }
    team_demand(aril_cache_get(s->ch.cache, items, n, NULL) == ARIL_OK, "a get of many failed");
    for (unsigned i = 0; i < n; i++) {
        if (items[i].status == ARIL_OK) {
            look_at(s, (unsigned)(r + i) % KEYS, items[i].buffer.data, items[i].result.len,
                    oldest[i]);
        }
        aril_cache_value_free(&items[i].buffer);
    }
}

static void reader(void *arg, unsigned number)
{
    struct stage *const s = arg;
    uint64_t random = 1000 + number;
    while (atomic_load(&s->at_work) > 0 && !team_failed()) {
        const uint64_t r = team_random(&random);
        if (r % 16 == 0) {
            read_many(s, r >> 8);
        } else {
            read_one(s, (unsigned)(r >> 8) % KEYS);
        }
    }
}

struct computing {
    unsigned key;
    uint64_t counter;
    uint8_t room[VALUE_MAX];
};
static aril_status compute(void *user, const aril_cache_key *key, aril_bytes *ret)
{
    struct computing *const c = user;
    (void)key;
    *ret = value_of(c->key, c->counter, c->room);
    return ARIL_OK;
}

/* Shared keys alone: what is computed has no order. */
static void compute_one(struct stage *s, unsigned k, uint64_t counter)
{
    struct computing c = { .key = k, .counter = counter };
    const aril_cache_compute with = { .user = &c, .compute = compute };
    aril_cache_item item = { .key = key_of(k) };
    team_demand(aril_cache_get_or_compute(s->ch.cache, &item, &with, NULL) == ARIL_OK,
                "get or compute failed");
    if (item.buffer.data != NULL) {
        look_at(s, k, item.buffer.data, item.result.len, 0);
        atomic_fetch_add(&s->computed, 1);
    }
    aril_cache_value_free(&item.buffer);
}

static void put_one(struct stage *s, unsigned k, uint64_t counter, bool tagged)
{
    uint8_t room[VALUE_MAX];
    const aril_bytes tag = TEXT("red");
    aril_cache_item item = {
        .key = key_of(k), .value = value_of(k, counter, room), .tags = &tag, .tag_count = tagged
    };
    team_demand(aril_cache_put(s->ch.cache, &item, 1, NULL) == ARIL_OK, "a put failed");
    if (k < OWNED) {
        atomic_store(&s->put[k], counter);
    }
}

static void delete_one(struct stage *s, unsigned k, uint64_t counter)
{
    aril_cache_item item = { .key = key_of(k) };
    const aril_status st = aril_cache_delete(s->ch.cache, &item, 1, NULL);
    team_demand(st == ARIL_OK || st == ARIL_E_NOT_FOUND, "a delete failed");
    if (k < OWNED) {
        atomic_store(&s->put[k], counter + 1);
    }
}

static void writer(void *arg, unsigned number)
{
    struct stage *const s = arg;
    uint64_t random = number;
    for (uint64_t i = 1; i <= ROUNDS && !team_failed(); i++) {
        const uint64_t r = team_random(&random);
        const uint64_t counter = i * WRITERS + number; /* of no other thread */
        const unsigned shared = OWNED + (unsigned)(r >> 8) % (KEYS - OWNED);
        const unsigned own = number + WRITERS * (unsigned)((r >> 8) % (OWNED / WRITERS));
        const unsigned k = r % 4 == 0 ? shared : own;
        switch (r >> 32 & 15) {
        case 0:
        case 1:
            delete_one(s, k, counter);
            break;
        case 2:
        case 3:
        case 4:
            compute_one(s, shared, counter);
            break;
        case 5:
            put_one(s, k, counter, true);
            break;
        default:
            put_one(s, k, counter, false);
            break;
        }
    }
    atomic_fetch_sub(&s->at_work, 1);
}

/* What ends values, meanwhile: the time goes on, too. */
static void keeper(void *arg, unsigned number)
{
    struct stage *const s = arg;
    uint64_t random = number + 77;
    for (unsigned turn = 0; atomic_load(&s->at_work) > 0 && !team_failed(); turn++) {
        const uint64_t r = team_random(&random);
        const aril_cache_key of = key_of((unsigned)(r >> 8) % KEYS);
        aril_status st = ARIL_OK;
        if (turn % 64 == 63) {
            const aril_key_slot slot = { .purpose = ARIL_KEY_DATA, .owner = of.tenant };
            st = aril_keyring_rotate(s->ch.keys.kr, &slot, NULL);
        } else if (r % 8 == 0) {
            st = aril_cache_bump(s->ch.cache, of.tenant, of.space, NULL, NULL);
        } else if (r % 8 == 1) {
            st = aril_cache_invalidate_tag(s->ch.cache, of.tenant, of.space, TEXT("red"), NULL);
        } else {
            fake_clock_add_ns(&s->ch.keys.w->clock, 20 * UINT64_C(1000000));
        }
        team_demand(st == ARIL_OK, "what the keeper did failed");
        for (int i = 0; i < 50; i++) {
            sched_yield(); /* else nothing lives long enough to be hit */
        }
    }
}

/* Each name: what L1 gives is what the store gives. */
static void demand_agreement(struct stage *s)
{
    for (unsigned k = 0; k < KEYS; k++) {
        uint8_t first[VALUE_MAX];
        uint8_t second[VALUE_MAX];
        aril_cache_item a = { .key = key_of(k), .buffer = { first, sizeof first } };
        aril_cache_item b = { .key = key_of(k), .buffer = { second, sizeof second } };
        arili_forgive(aril_cache_get(s->ch.cache, &a, 1, NULL));
        cache_home_reopen(&s->ch);
        arili_forgive(aril_cache_get(s->ch.cache, &b, 1, NULL));
        assert_status(a.status, b.status);
        assert_int_equal(a.result.len, b.result.len);
        if (a.status == ARIL_OK) {
            assert_memory_equal(first, second, a.result.len);
        }
    }
}

static void run_over(const char *uri)
{
    static struct world w;
    static struct stage s;
    const aril_cache_policy policies[] = {
        { .space = TEXT("padded"), .padding = ARIL_CACHE_PAD_PADME },
        { .space = TEXT("l2"), .tiers = ARIL_CACHE_L2 },
    };
    memset(&s, 0, sizeof s);
    world_init(&w);
    cache_home_init(&s.ch, &w, uri, policies, COUNT(policies));
    atomic_store(&s.at_work, WRITERS);
    const struct team_role roles[] = { { "writer", writer, WRITERS },
                                       { "reader", reader, 3 },
                                       { "keeper", keeper, 1 } };
    team_run(roles, COUNT(roles), &s);
    print_message("  %s: %u hits, %u misses, %u computed\n", uri, atomic_load(&s.hits),
                  atomic_load(&s.misses), atomic_load(&s.computed));
    assert_true(atomic_load(&s.hits) > ROUNDS / 2);
    demand_agreement(&s);
    cache_home_done(&s.ch);
    world_done(&w);
}

static void threads_on_one_cache_mix_nothing(void **state)
{
    (void)state;
    run_over("memory:");
}

static void threads_on_one_cache_over_files_mix_nothing(void **state)
{
    char uri[600];
    (void)state;
    (void)snprintf(uri, sizeof uri, "file:%s", temp_path("values"));
    run_over(uri);
    assert_true(tree_remove(temp_path("values")));
}

/* --- Two that put the same name */

#define MEETINGS (SANITIZED ? 600u : 5000u)

struct meeting {
    struct cache_home ch;
    aril_cache *plain; /* over the same store, without L1 */
    pthread_barrier_t all;
};

static uint64_t number_now(aril_cache *cache)
{
    uint64_t number = 0;
    aril_cache_item item = { .key = cache_key("alice", "s", "k"),
                             .buffer = { (uint8_t *)&number, sizeof number } };
    team_demand(aril_cache_get(cache, &item, 1, NULL) == ARIL_OK, "it is not there");
    return number;
}

static void meet(void *arg, unsigned member)
{
    struct meeting *const m = arg;
    for (uint64_t i = 0; i < MEETINGS; i++) {
        const uint64_t number = i * 8 + member;
        aril_cache_item item = { .key = cache_key("alice", "s", "k"),
                                 .value = { (const uint8_t *)&number, sizeof number } };
        (void)pthread_barrier_wait(&m->all);
        team_demand(aril_cache_put(m->ch.cache, &item, 1, NULL) == ARIL_OK, "a put failed");
        (void)pthread_barrier_wait(&m->all);
        if (member == 0) {
            team_demand(number_now(m->ch.cache) == number_now(m->plain),
                        "L1 has another value than the store");
        }
    }
}

static void puts_that_overlap_leave_one_value(void **state)
{
    (void)state;
    static struct world w;
    static struct meeting m;
    const aril_cache_policy l2 = { .tiers = ARIL_CACHE_L2 };
    world_init(&w);
    cache_home_init(&m.ch, &w, "memory:meeting", NULL, 0);
    aril_store *store = NULL;
    const aril_store_config store_config = { .uri = "memory:meeting" };
    assert_status(aril_store_open(w.rt, &store_config, &store, NULL), ARIL_OK);
    const aril_cache_config config = {
        .keyring = m.ch.keys.kr, .store = store, .policies = &l2, .policy_count = 1
    };
    assert_status(aril_cache_open(w.rt, &config, &m.plain, NULL), ARIL_OK);
    assert_int_equal(pthread_barrier_init(&m.all, NULL, 3), 0);
    const struct team_role roles[] = { { "writer", meet, 3 } };
    team_run(roles, COUNT(roles), &m);
    (void)pthread_barrier_destroy(&m.all);
    aril_cache_close(m.plain);
    aril_store_close(store);
    cache_home_done(&m.ch);
    world_done(&w);
}

/* --- A queue over a cache */

#define SLOTS   6u
#define BATCHES (SANITIZED ? 60u : 600u) /* of each submitter */

/* A batch of all keys: put with one counter, or got. Free again when it was taken. */
struct parcel {
    atomic_bool busy;
    bool puts;
    uint64_t counter;
    uint8_t rooms[KEYS][VALUE_MAX];
    aril_cache_item items[KEYS];
};
static struct queued {
    struct stage s;
    aril_cache_queue *queue;
    struct parcel parcels[WRITERS][SLOTS];
    atomic_uint submitted, taken;
} queued;

static void fill_parcel(struct parcel *p, uint64_t counter, bool puts)
{
    p->puts = puts;
    p->counter = counter;
    for (unsigned k = 0; k < KEYS; k++) {
        p->items[k] = (aril_cache_item){ .key = key_of(k) };
        if (puts) {
            p->items[k].value = value_of(k, counter, p->rooms[k]);
        } else {
            p->items[k].buffer = (aril_span){ p->rooms[k], VALUE_MAX };
        }
    }
}

static void submitter(void *arg, unsigned number)
{
    struct queued *const q = arg;
    uint64_t random = number;
    for (unsigned i = 0; i < BATCHES && !team_failed();) {
        const uint64_t r = team_random(&random);
        struct parcel *const p = &q->parcels[number][r % SLOTS];
        if (atomic_load(&p->busy)) {
            (void)sched_yield();
            continue;
        }
        fill_parcel(p, (uint64_t)i * WRITERS + number, r >> 8 & 1);
        atomic_store(&p->busy, true);
        const aril_cache_op op = p->puts ? ARIL_CACHE_OP_PUT : ARIL_CACHE_OP_GET;
        const aril_status st = aril_cache_submit(q->queue, op, p->items, KEYS, p, NULL);
        if (st == ARIL_OK) {
            i++;
            atomic_fetch_add(&q->submitted, 1);
        } else {
            team_demand(st == ARIL_E_LIMIT, "a submit failed");
            atomic_store(&p->busy, false);
        }
    }
}

static void take_one(struct queued *q, const aril_cache_completion *c)
{
    struct parcel *const p = c->user;
    team_demand(c->status == ARIL_OK && c->count == KEYS, "a batch failed");
    for (unsigned k = 0; k < KEYS; k++) {
        const aril_status st = p->items[k].status;
        team_demand(st == ARIL_OK || (!p->puts && st == ARIL_E_NOT_FOUND), "an item failed");
        if (!p->puts && st == ARIL_OK) {
            look_at(&q->s, k, p->rooms[k], p->items[k].result.len, 0);
        }
    }
    atomic_store(&p->busy, false);
    atomic_fetch_add(&q->taken, 1);
}

static void taker(void *arg, unsigned number)
{
    struct queued *const q = arg;
    struct pollfd p = { .fd = aril_cache_queue_fd(q->queue), .events = POLLIN };
    while (atomic_load(&q->taken) < WRITERS * BATCHES && !team_failed()) {
        aril_cache_completion c[4];
        (void)poll(&p, 1, 10); /* the other one may take what made it readable */
        const size_t got = aril_cache_completions(q->queue, c, number + 3);
        for (size_t i = 0; i < got; i++) {
            take_one(q, &c[i]);
        }
    }
}

static void a_queue_over_a_cache_mixes_nothing(void **state)
{
    (void)state;
    static struct world w;
    memset(&queued, 0, sizeof queued);
    world_init(&w);
    cache_home_init(&queued.s.ch, &w, "memory:", NULL, 0);
    assert_status(aril_cache_queue_new(queued.s.ch.cache, 3, 8, &queued.queue), ARIL_OK);
    const struct team_role roles[] = { { "submitter", submitter, WRITERS }, { "taker", taker, 2 } };
    team_run(roles, COUNT(roles), &queued);
    assert_int_equal(atomic_load(&queued.taken), WRITERS * BATCHES);
    assert_true(atomic_load(&queued.s.hits) > BATCHES);
    aril_cache_queue_free(queued.queue);
    demand_agreement(&queued.s);
    cache_home_done(&queued.s.ch);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_on_one_cache_mix_nothing),
        cmocka_unit_test(threads_on_one_cache_over_files_mix_nothing),
        cmocka_unit_test(puts_that_overlap_leave_one_value),
        cmocka_unit_test(a_queue_over_a_cache_mixes_nothing),
    };
    return cmocka_run_group_tests_name("cache under threads", tests, temp_folder_make_quick,
                                       temp_folder_remove);
}
