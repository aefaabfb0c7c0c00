/* SPDX-License-Identifier: Apache-2.0 */
/* A cache over a Cluster of three nodes, one of which is killed under load and comes back empty:
 * never a wrong value; what living nodes acknowledged is there; the breaker closes again while one
 * node is still down; and after the restart everything works. */
#include "cache_fixture.h"
#include "redis.h"
#include "resp/resp.h"
#include "team.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define THREADS    4u
#define NAMES      24u /* of each thread */
#define OPS        80u /* of each thread in each phase, at least */
#define DEAD       1u  /* the node that is killed */
#define PENDING    64u
#define LIMIT_S    120 /* until something has to work again */
#define VALUE_SIZE 64u

static struct redis_cluster cluster;
static struct world w;
static struct cache_home ch;

/* One name, which one thread puts. */
struct name {
    char text[24];
    unsigned node;
    uint64_t acked; /* the last that was acknowledged; 0: none */
    /* put since without an acknowledgement: the store may have any of them */
    uint64_t pending[PENDING];
    unsigned pending_count;
    bool lost; /* its node came back empty: it may be gone */
};

static struct stage {
    struct name names[THREADS][NAMES];
    atomic_uint ops[THREADS], failed, hits;
    atomic_bool down; /* a node is */
    atomic_bool stopped;
} stage;

/* --- Values ----------------------------------------------------------------------------------- */

static aril_cache_key key_of(const struct name *n)
{
    return cache_key("alice", "s", n->text);
}

static void fill_value(uint8_t ret[VALUE_SIZE], const struct name *n, uint64_t number)
{
    memset(ret, 0, VALUE_SIZE);
    memcpy(ret, n->text, sizeof n->text);
    memcpy(ret + sizeof n->text, &number, sizeof number);
    fill_pattern(ret + 32, VALUE_SIZE - 32, number);
}

static bool is_down(aril_status st)
{
    return aril_status_class(st) == ARIL_E_IO || st == ARIL_E_TIMEOUT ||
           aril_status_class(st) == ARIL_E_UNAVAILABLE;
}

/* Whether it is what this name may have. */
static bool is_value_of(const struct name *n, const uint8_t *data, size_t len)
{
    uint64_t number = 0;
    uint8_t want[VALUE_SIZE];
    if (len != VALUE_SIZE) {
        return false;
    }
    memcpy(&number, data + sizeof n->text, sizeof number);
    fill_value(want, n, number);
    bool known = number == n->acked;
    for (unsigned i = 0; i < n->pending_count; i++) {
        known = known || number == n->pending[i];
    }
    return known && memcmp(data, want, VALUE_SIZE) == 0;
}

static aril_status put(struct name *n, uint64_t number)
{
    uint8_t value[VALUE_SIZE];
    fill_value(value, n, number);
    aril_cache_item item = { .key = key_of(n), .value = { value, sizeof value } };
    const aril_status st = aril_cache_put(ch.cache, &item, 1, NULL);
    if (st == ARIL_OK) {
        n->acked = number;
        n->pending_count = 0;
        n->lost = false;
    } else if (n->pending_count < PENDING) {
        n->pending[n->pending_count++] = number;
    }
    return st;
}

static aril_status get(const struct name *n, bool *ret_right)
{
    uint8_t value[VALUE_SIZE];
    aril_cache_item item = { .key = key_of(n), .buffer = { value, sizeof value } };
    const aril_status st = aril_cache_get(ch.cache, &item, 1, NULL);
    *ret_right = st != ARIL_OK || is_value_of(n, value, item.result.len);
    return st;
}

/* --- Threads ---------------------------------------------------------------------------------- */

/* Failures are for the time when a node is down. */
static void demand_or_down(aril_status st, const struct name *n, const char *what)
{
    if (st != ARIL_OK && !(is_down(st) && atomic_load(&stage.down))) {
        print_error("%s of %s at node %u: %s\n", what, n->text, n->node, aril_status_name(st));
        team_demand(false, what);
    }
}

static void one_put(struct name *n, uint64_t number)
{
    if (n->pending_count == PENDING) {
        return; /* the next get would not know what to expect */
    }
    const aril_status st = put(n, number);
    demand_or_down(st, n, "a put failed");
    atomic_fetch_add(&stage.failed, st != ARIL_OK);
}

static void one_get(struct name *n)
{
    bool right;
    /* A node that came back empty may have been asked before this thread knows of it. */
    const bool was_down = atomic_load(&stage.down);
    const aril_status st = get(n, &right);
    team_demand(right, "a wrong value");
    if (st == ARIL_E_NOT_FOUND) {
        team_demand(n->acked == 0 || (n->node == DEAD && (was_down || n->lost)),
                    "what was acknowledged is gone");
        n->lost = n->lost || n->acked != 0;
    } else {
        demand_or_down(st, n, "a get failed");
        atomic_fetch_add(&stage.hits, st == ARIL_OK);
    }
}

static void user_of(void *arg, unsigned number)
{
    uint64_t random = number;
    (void)arg;
    for (uint64_t i = 1; !atomic_load(&stage.stopped) && !team_failed(); i++) {
        const uint64_t r = team_random(&random);
        struct name *const n = &stage.names[number][(r >> 8) % NAMES];
        /* The store waits a while for a node to come back: most calls go elsewhere. */
        if (n->node == DEAD && atomic_load(&stage.down) && r % 8 != 0) {
            continue;
        }
        if (r % 3 == 0) {
            one_put(n, i);
        } else {
            one_get(n);
        }
        atomic_fetch_add(&stage.ops[number], 1);
    }
}

/* Until every thread has done some more. */
static void let_them_work(void)
{
    unsigned before[THREADS];
    for (unsigned t = 0; t < THREADS; t++) {
        before[t] = atomic_load(&stage.ops[t]);
    }
    for (unsigned t = 0; t < THREADS; t++) {
        while (atomic_load(&stage.ops[t]) - before[t] < OPS && !team_failed()) {
            const struct timespec ms = { .tv_nsec = 1000000 };
            (void)nanosleep(&ms, NULL); /* the others need the processor */
        }
    }
}

/* Ends a run, and before it a node where arg says so. */
static void keeper(void *arg, unsigned number)
{
    const bool *kills = arg;
    (void)number;
    let_them_work();
    if (*kills) {
        atomic_store(&stage.down, true);
        redis_kill(&cluster.node[DEAD]);
        let_them_work();
    }
    atomic_store(&stage.stopped, true);
}

/* --- Phases ----------------------------------------------------------------------------------- */

static bool in_time(const struct timespec *since)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec - since->tv_sec < LIMIT_S;
}

/* Polls until the call of a name on that node works, though others keep failing. */
static void demand_soon(struct name *n, bool puts)
{
    struct timespec since;
    aril_status st;
    bool right = true;
    (void)clock_gettime(CLOCK_MONOTONIC, &since);
    do {
        st = puts ? put(n, n->acked + 1000000) : get(n, &right);
        assert_true(right);
        assert_true(st == ARIL_OK || is_down(st));
        if (st != ARIL_OK && !in_time(&since)) {
            fail_msg("name %s of node %u: %s for %d s", n->text, n->node, aril_status_name(st),
                     LIMIT_S);
        }
    } while (st != ARIL_OK);
}

static void for_all(void (*fn)(struct name *n))
{
    for (unsigned t = 0; t < THREADS; t++) {
        for (unsigned i = 0; i < NAMES; i++) {
            fn(&stage.names[t][i]);
        }
    }
}

static void demand_living(struct name *n)
{
    if (n->node != DEAD && n->acked != 0) {
        demand_soon(n, false);
    }
}

/* The dead node is asked all the while, so the breaker opens again and again. */
static void demand_living_beside_dead(struct name *n)
{
    static struct name *dead;
    static unsigned number;
    bool right;
    if (n->node == DEAD) {
        dead = n;
        return;
    }
    for (unsigned i = 0; dead != NULL && number % 32 == 0 && i < 3; i++) {
        const aril_status st = get(dead, &right);
        assert_true(is_down(st));
    }
    demand_soon(n, true);
    number++;
}

static void demand_all(struct name *n)
{
    n->lost = n->lost || n->node == DEAD;
    demand_soon(n, true);
    demand_soon(n, false);
}

/* --- The test --------------------------------------------------------------------------------- */

static void name_them(void)
{
    memset(&stage, 0, sizeof stage);
    unsigned of_dead = 0;
    for (unsigned t = 0; t < THREADS; t++) {
        for (unsigned i = 0; i < NAMES; i++) {
            struct name *n = &stage.names[t][i];
            (void)snprintf(n->text, sizeof n->text, "thread %u name %u", t, i);
            n->node = redis_cluster_owner(&cluster, arili_resp_slot(cache_name(&ch, key_of(n))));
            of_dead += n->node == DEAD;
        }
    }
    assert_true(of_dead > 0 && of_dead < THREADS * NAMES);
}

static void begin(void)
{
    static const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2,
                                              .on_store_down = ARIL_CACHE_FAIL_CLOSED };
    const struct redis_options options = { .conf = "cluster-require-full-coverage no\n" };
    assert_true(redis_cluster_start(&cluster, &options));
    char uri[128];
    (void)snprintf(uri, sizeof uri, "redis+cluster://127.0.0.1:%u,127.0.0.1:%u",
                   cluster.node[0].port, cluster.node[DEAD].port);
    world_init(&w);
    cache_home_init(&ch, &w, NULL, NULL, 0);
    const aril_store_config store = {
        .uri = uri, .deadline_ms = 5000, .breaker_after = 2, .breaker_ms = 20
    };
    assert_status(aril_store_open(w.rt, &store, &ch.store, &ch.error), ARIL_OK);
    ch.config.policies = &policy;
    ch.config.policy_count = 1;
    cache_home_reopen(&ch);
    name_them();
}

static int end(void **state)
{
    (void)state;
    if (w.rt != NULL) {
        cache_home_done(&ch);
        world_done(&w);
    }
    redis_cluster_remove(&cluster);
    memset(&cluster, 0, sizeof cluster);
    return 0;
}

static void run_team(bool kills)
{
    const struct team_role roles[] = { { "user", user_of, THREADS }, { "keeper", keeper, 1 } };
    atomic_store(&stage.stopped, false);
    team_run(roles, COUNT(roles), &kills);
}

static void a_node_that_dies_takes_nothing_else_with_it(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    run_team(true);
    print_message("  %u hits, %u puts failed\n", atomic_load(&stage.hits),
                  atomic_load(&stage.failed));
    for_all(demand_living);
    for_all(demand_living_beside_dead);
    aril_store_info info;
    assert_status(aril_store_get_info(ch.store, &info, NULL), ARIL_OK);
    assert_true(info.rejected > 0); /* it had opened */
    redis_restart(&cluster.node[DEAD]);
    redis_cluster_wait(&cluster);
    for_all(demand_all);
    atomic_store(&stage.down, false);
    run_team(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_node_that_dies_takes_nothing_else_with_it, end),
    };
    return cmocka_run_group_tests_name("a cache over a Cluster", tests, temp_folder_make_quick,
                                       temp_folder_remove);
}
