/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that submit and take at the same time: each batch comes back once, whole. */
#include "cache/queue_internal.h"
#include "fixture.h"
#include "team.h"
#include <poll.h>
#include <sched.h>
#include <string.h>

#define SUBMITTERS 4u
#define TAKERS     2u
#define BATCHES    (SANITIZED ? 300u : 3000u) /* of each submitter */
#define SLOTS      8u                         /* batches of one submitter at a time */
#define ITEMS_MAX  80u

/* Memory of a batch: free again when its completion was taken. */
struct parcel {
    atomic_bool busy;
    aril_cache_item items[ITEMS_MAX];
    size_t count;
    uint64_t number;
};

struct stage {
    aril_cache_queue *queue;
    struct parcel parcels[SUBMITTERS][SLOTS];
    atomic_uint submitted, taken, refused;
};

/* Plain memory of items: the queue orders it. */
static aril_status count_items(aril_cache *cache, aril_cache_item *items, size_t count,
                               aril_error *error)
{
    (void)cache;
    (void)error;
    for (size_t i = 0; i < count; i++) {
        items[i].absent_only++;
        items[i].status = ARIL_OK;
    }
    return ARIL_OK;
}

static const struct arili_queue_calls calls = {
    .by_op = { count_items, count_items, count_items, count_items },
};

static void submitter(void *arg, unsigned number)
{
    struct stage *const s = arg;
    uint64_t random = number + 1;
    for (unsigned i = 0; i < BATCHES && !team_failed();) {
        const uint64_t r = team_random(&random);
        struct parcel *const p = &s->parcels[number][r % SLOTS];
        if (atomic_load(&p->busy)) {
            sched_yield();
            continue;
        }
        memset(p->items, 0, sizeof p->items);
        p->count = r / SLOTS % (ITEMS_MAX + 1);
        p->number = i;
        atomic_store(&p->busy, true);
        uint64_t id = 0;
        const aril_cache_op op = (aril_cache_op)(r / 1000 % 4);
        const aril_status st = aril_cache_submit(s->queue, op, p->items, p->count, p, &id);
        if (st == ARIL_OK) {
            i++;
            atomic_fetch_add(&s->submitted, 1);
        } else {
            team_demand(st == ARIL_E_LIMIT, "a submit that failed");
            atomic_store(&p->busy, false);
            atomic_fetch_add(&s->refused, 1);
            sched_yield();
        }
    }
}

static void take(struct stage *s, const aril_cache_completion *c)
{
    struct parcel *const p = c->user;
    team_demand(atomic_load(&p->busy), "a batch came back twice");
    team_demand(c->items == p->items && c->count == p->count, "another batch");
    team_demand(c->status == ARIL_OK, "a status that nobody gave");
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        team_demand(p->items[i].absent_only == (i < p->count), "an item twice or not at all");
    }
    atomic_store(&p->busy, false);
    atomic_fetch_add(&s->taken, 1);
}

static void taker(void *arg, unsigned number)
{
    struct stage *const s = arg;
    struct pollfd p = { .fd = aril_cache_queue_fd(s->queue), .events = POLLIN };
    while (atomic_load(&s->taken) < SUBMITTERS * BATCHES && !team_failed()) {
        aril_cache_completion c[5];
        (void)poll(&p, 1, 10); /* the other one may take what made it readable */
        const size_t got = aril_cache_completions(s->queue, c, number + 4);
        for (size_t i = 0; i < got; i++) {
            take(s, &c[i]);
        }
    }
}

static void each_batch_comes_back_once(void **state)
{
    (void)state;
    static struct stage s;
    static const size_t workers[] = { 1, 4 };
    for (size_t w = 0; w < COUNT(workers); w++) {
        memset(&s, 0, sizeof s);
        assert_status(arili_queue_new_over(&calls, NULL, workers[w], 10, &s.queue), ARIL_OK);
        const struct team_role roles[] = { { "submitter", submitter, SUBMITTERS },
                                           { "taker", taker, TAKERS } };
        team_run(roles, COUNT(roles), &s);
        assert_int_equal(atomic_load(&s.submitted), SUBMITTERS * BATCHES);
        assert_int_equal(atomic_load(&s.taken), SUBMITTERS * BATCHES);
        aril_cache_queue_free(s.queue);
    }
}

static void a_queue_ends_while_it_works(void **state)
{
    (void)state;
    static struct parcel parcels[20];
    for (unsigned turn = 0; turn < 50; turn++) {
        aril_cache_queue *queue = NULL;
        memset(parcels, 0, sizeof parcels);
        assert_status(arili_queue_new_over(&calls, NULL, 3, COUNT(parcels), &queue), ARIL_OK);
        for (size_t i = 0; i < COUNT(parcels); i++) {
            assert_status(aril_cache_submit(queue, ARIL_CACHE_OP_GET, parcels[i].items, ITEMS_MAX,
                                            NULL, NULL),
                          ARIL_OK);
        }
        aril_cache_queue_free(queue);
        for (size_t i = 0; i < COUNT(parcels); i++) {
            for (size_t k = 0; k < ITEMS_MAX; k++) {
                const aril_cache_item *const item = &parcels[i].items[k];
                assert_int_equal(item->status,
                                 item->absent_only == 1 ? ARIL_OK : ARIL_E_INTERRUPTED);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_batch_comes_back_once),
        cmocka_unit_test(a_queue_ends_while_it_works),
    };
    return cmocka_run_group_tests_name("queue under threads", tests, NULL, NULL);
}
