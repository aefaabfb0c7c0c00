/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store against a Cluster of three nodes. */
#include "check.h"
#include "redis.h"
#include "redis_client.h"
#include "resp/resp.h"
#include "runtime.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPS   arili_cache_store_redis
#define NAMES 3000u

static struct redis_cluster cluster;
static void *store;
static char uri[256];

static const char *uri_of(const char *scheme, unsigned node)
{
    (void)snprintf(uri, sizeof uri, "%s://127.0.0.1:%u", scheme, cluster.node[node].port);
    return uri;
}

/* A Cluster costs seconds to start, so tests share one; each leaves it whole and empty. */
static int setup(void **state)
{
    if (runtime_setup(state) != 0) {
        return -1;
    }
    if (redis_installed()) {
        /* One node that is down shall not stop the others, however slow the machine is. */
        const struct redis_options options = { .conf = "cluster-require-full-coverage no\n" };
        return redis_cluster_start(&cluster, &options) ? 0 : -1;
    }
    return 0;
}

static int teardown(void **state)
{
    redis_cluster_remove(&cluster);
    return runtime_teardown(state);
}

static void begin(void)
{
    store = client_open(uri_of("redis+cluster", 1));
}

static int end(void **state)
{
    (void)state;
    client_close(store);
    store = NULL;
    client_deadline_ms = 10000;
    for (unsigned i = 0; i < REDIS_NODES && cluster.node[i].pid != 0; i++) {
        redis_expect(&cluster.node[i], "FLUSHALL", "+OK");
    }
    return 0;
}

/* How often a node has answered with this error. */
static unsigned long errors(unsigned node, const char *word)
{
    char text[65536];
    char line[64];
    (void)snprintf(line, sizeof line, "errorstat_%s:count=", word);
    (void)redis_ask(&cluster.node[node], "INFO errorstats", text, sizeof text);
    const char *const found = strstr(text, line);
    return found != NULL ? strtoul(found + strlen(line), NULL, 10) : 0;
}

static unsigned node_of(const char *name)
{
    return redis_cluster_owner(&cluster, arili_resp_slot(client_text(name)));
}

/* A name that belongs to this node, by number. */
static const char *name_at(unsigned node, unsigned number)
{
    static char names[16][32];
    static unsigned next;
    static const unsigned ENDS[REDIS_NODES] = { 5460, 10922, 16383 };
    char *const name = names[next++ % COUNT(names)];
    for (unsigned i = 0, found = 0;; i++) {
        (void)snprintf(name, sizeof names[0], "k%u", i);
        const unsigned slot = arili_resp_slot(client_text(name));
        const bool here = slot <= ENDS[node] && (node == 0 || slot > ENDS[node - 1]);
        if (here && found++ == number) {
            return name;
        }
    }
}

struct many {
    char names[NAMES][16];
    aril_bytes parts[NAMES];
    uint8_t got[NAMES][16];
    aril_store_item items[NAMES];
};

static struct many *many_new(void)
{
    struct many *const m = calloc(1, sizeof *m);
    assert_non_null(m);
    for (size_t i = 0; i < NAMES; i++) {
        (void)snprintf(m->names[i], sizeof m->names[i], "n%zu", i);
        m->parts[i] = client_text(m->names[i]); /* the value is the name */
        m->items[i] = (aril_store_item){ .name = m->parts[i],
                                         .parts = &m->parts[i],
                                         .part_count = 1,
                                         .buffer = { m->got[i], sizeof m->got[i] } };
    }
    return m;
}

static void check_got(const struct many *m, size_t i)
{
    assert_status(m->items[i].status, ARIL_OK);
    assert_int_equal(m->items[i].len, m->parts[i].len);
    assert_memory_equal(m->items[i].data, m->names[i], m->parts[i].len);
}

static void a_batch_goes_to_all_nodes(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    struct many *const m = many_new();
    assert_status(OPS.put(store, m->items, NAMES, client_deadline_ns(), NULL), ARIL_OK);
    long long sum = 0;
    for (unsigned i = 0; i < REDIS_NODES; i++) {
        const long long n = redis_number(&cluster.node[i], "DBSIZE");
        assert_in_range(n, 500, 1500);
        assert_int_equal(errors(i, "MOVED"), 0);
        sum += n;
    }
    assert_int_equal(sum, NAMES);
    assert_status(OPS.get(store, m->items, NAMES, client_deadline_ns(), NULL), ARIL_OK);
    for (size_t i = 0; i < NAMES; i++) {
        check_got(m, i);
    }
    struct arili_cache_store_stat stat = { 0 };
    assert_status(OPS.stat(store, client_deadline_ns(), &stat, NULL), ARIL_OK);
    assert_int_equal(stat.entries, NAMES);
    assert_non_null(strstr(stat.description, "Cluster of 3"));
    assert_status(OPS.erase(store, m->items, NAMES, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(OPS.exists(store, m->items, NAMES, client_deadline_ns(), NULL), ARIL_OK);
    for (size_t i = 0; i < NAMES; i++) {
        assert_status(m->items[i].status, ARIL_E_NOT_FOUND);
    }
    free(m);
}

static void a_slot_that_moves_is_followed(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    const char *const old = "{moving}old";
    const char *const fresh = "{moving}fresh";
    const unsigned slot = arili_resp_slot(client_text(old));
    const unsigned from = node_of(old);
    const unsigned to = (from + 1) % REDIS_NODES;
    unsigned long moved = errors(from, "MOVED");
    const unsigned long ask = errors(from, "ASK");
    assert_status(client_put(store, old, "one"), ARIL_OK);
    redis_cluster_migrate(&cluster, slot, to);
    assert_status(client_get(store, old, "one"), ARIL_OK); /* still there */
    assert_status(client_put(store, fresh, "two"), ARIL_OK);
    assert_status(client_get(store, fresh, "two"), ARIL_OK);
    assert_status(client_exists(store, fresh), ARIL_OK);
    assert_int_equal(errors(from, "ASK"), ask + 3);
    assert_int_equal(errors(from, "MOVED"), moved);
    assert_int_equal(redis_number(&cluster.node[to], "DBSIZE"), 1);
    /* A large batch, of which one value is elsewhere. */
    struct many *const m = many_new();
    m->items[NAMES / 2].name = client_text(fresh);
    assert_status(OPS.put(store, m->items, NAMES, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(OPS.get(store, m->items, NAMES, client_deadline_ns(), NULL), ARIL_OK);
    for (size_t i = 0; i < NAMES; i++) {
        check_got(m, i);
    }
    free(m);
    char line[128];
    (void)snprintf(line, sizeof line, "MIGRATE 127.0.0.1 %u %s 0 5000", cluster.node[to].port, old);
    redis_expect(&cluster.node[from], line, "+OK");
    redis_cluster_settle(&cluster, slot, to);
    assert_status(client_get(store, old, "one"), ARIL_OK);
    assert_int_equal(errors(from, "MOVED"), moved + 1);
    assert_status(client_get(store, old, "one"), ARIL_OK);
    assert_status(client_put(store, fresh, "three"), ARIL_OK);
    assert_int_equal(errors(from, "MOVED"), moved + 1); /* the map knows it now */
    /* And back, which another store with an old map finds out by itself. */
    void *const other = client_open(uri_of("redis+cluster", 0));
    redis_cluster_migrate(&cluster, slot, from);
    (void)snprintf(line, sizeof line, "MIGRATE 127.0.0.1 %u \"\" 0 5000 KEYS %s %s",
                   cluster.node[from].port, old, fresh);
    redis_expect(&cluster.node[to], line, "+OK");
    redis_cluster_settle(&cluster, slot, from);
    assert_status(client_get(other, fresh, "three"), ARIL_OK);
    assert_status(client_get(store, old, "one"), ARIL_OK);
    client_close(other);
}

static void check_one_node_out(unsigned out, aril_status expected)
{
    aril_store_item items[9];
    uint8_t got[9][16];
    aril_bytes value = client_text("v");
    for (unsigned i = 0; i < 9; i++) {
        items[i] = (aril_store_item){ .name = client_text(name_at(i % 3, i / 3)),
                                      .parts = &value,
                                      .part_count = 1,
                                      .buffer = { got[i], sizeof got[i] } };
    }
    const uint64_t deadline_ns = client_deadline_ns();
    client_error = (aril_error){ 0 };
    assert_status(OPS.put(store, items, 9, deadline_ns, &client_error), ARIL_OK);
    for (unsigned i = 0; i < 9; i++) {
        assert_status(items[i].status, i % 3 == out ? expected : ARIL_OK);
    }
    assert_status(client_error.status, expected);
    /* The kernel's pace, not the server's: what it takes to wake up. */
    assert_true(client_now_ns() < deadline_ns + UINT64_C(2000000000));
}

static void a_dead_node_takes_only_its_slots_with_it(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    client_deadline_ms = 3000;
    check_one_node_out(REDIS_NODES, ARIL_OK);
    redis_kill(&cluster.node[2]);
    for (unsigned i = 0; i < 3; i++) {
        check_one_node_out(2, ARIL_E_IO);
    }
    assert_status(client_get(store, name_at(2, 0), ""), ARIL_E_IO);
    assert_status(client_get(store, name_at(1, 0), "v"), ARIL_OK);
    redis_restart(&cluster.node[2]);
    redis_cluster_wait(&cluster);
    check_one_node_out(REDIS_NODES, ARIL_OK);
    assert_status(client_get(store, name_at(2, 0), "v"), ARIL_OK);
}

static void a_frozen_node_takes_only_its_slots_with_it(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    client_deadline_ms = 1000;
    redis_freeze(&cluster.node[0]); /* never spoken to by this store */
    check_one_node_out(0, ARIL_E_TIMEOUT);
    redis_thaw(&cluster.node[0]);
    redis_cluster_wait(&cluster);
    client_deadline_ms = 10000;
    assert_status(client_put(store, name_at(0, 0), "v"), ARIL_OK);
    client_deadline_ms = 1000;
    redis_freeze(&cluster.node[0]); /* with a connection that is kept */
    check_one_node_out(0, ARIL_E_TIMEOUT);
    redis_thaw(&cluster.node[0]);
    redis_cluster_wait(&cluster);
    client_deadline_ms = 10000;
    check_one_node_out(REDIS_NODES, ARIL_OK);
}

static void a_slot_without_a_node_is_waited_for_until_the_deadline(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    client_deadline_ms = 200;
    const unsigned slot = arili_resp_slot(client_text("homeless"));
    const unsigned owner = node_of("homeless");
    char line[64];
    (void)snprintf(line, sizeof line, "CLUSTER DELSLOTS %u", slot);
    for (unsigned i = 0; i < REDIS_NODES; i++) {
        redis_expect(&cluster.node[i], line, "+OK");
    }
    assert_status(client_get(store, "homeless", ""), ARIL_E_IO);
    assert_non_null(strstr(client_error.message, "CLUSTERDOWN"));
    (void)snprintf(line, sizeof line, "CLUSTER ADDSLOTS %u", slot);
    redis_expect(&cluster.node[owner], line, "+OK");
    redis_cluster_wait(&cluster);
    client_deadline_ms = 10000;
    assert_status(client_get(store, "homeless", ""), ARIL_E_NOT_FOUND);
}

static void one_living_seed_is_enough(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    char text[256];
    (void)snprintf(text, sizeof text, "redis+cluster://127.0.0.1:1,127.0.0.1:%u,[::1]:1",
                   cluster.node[2].port);
    store = client_open(text);
    check_one_node_out(REDIS_NODES, ARIL_OK);
}

static void what_is_no_cluster_and_what_is_one_says_so(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    struct redis single;
    char text[256];
    void *none = NULL;
    assert_true(redis_start(&single, &(struct redis_options){ .tcp = true }));
    (void)snprintf(text, sizeof text, "redis+cluster://127.0.0.1:%u", single.port);
    const aril_status st = client_open_with(text, NULL, &none);
    redis_remove(&single);
    assert_status(st, ARIL_E_USAGE_RANGE);
    store = client_open(uri_of("redis", 0));
    assert_status(client_put(store, name_at(0, 0), "v"), ARIL_OK);
    assert_status(client_put(store, name_at(1, 0), "v"), ARIL_E_IO);
    assert_non_null(strstr(client_error.message, "redis+cluster:"));
}

static void locks_guard_names_of_their_slot(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    static const char *const LOCKS[] = { "{a}lock", "plain", "odd{", "{}x" };
    for (size_t i = 0; i < COUNT(LOCKS); i++) {
        const aril_bytes name = client_text(LOCKS[i]);
        uint64_t fence = 0;
        uint64_t more = 0;
        const aril_status st =
            OPS.lock(store, name, 60000, client_deadline_ns(), &fence, &client_error);
        if (strcmp(LOCKS[i], "{}x") == 0) { /* no name beside it is in its slot */
            assert_status(st, ARIL_E_UNAVAILABLE);
            continue;
        }
        assert_status(st, ARIL_OK);
        assert_status(OPS.lock(store, name, 60000, client_deadline_ns(), &more, NULL),
                      ARIL_E_EXISTS);
        assert_status(OPS.unlock(store, name, fence, client_deadline_ns(), NULL), ARIL_OK);
        assert_status(OPS.lock(store, name, 60000, client_deadline_ns(), &more, NULL), ARIL_OK);
        assert_true(more > fence);
        assert_status(OPS.unlock(store, name, fence, client_deadline_ns(), NULL),
                      ARIL_E_REPLAY_STALE);
    }
    uint64_t fence = 0;
    const aril_bytes value = client_text("v");
    assert_status(
        OPS.lock(store, client_text("{b}lock"), 60000, client_deadline_ns(), &fence, NULL),
        ARIL_OK);
    aril_store_item items[3] = {
        { .name = client_text("{b}value"),
          .parts = &value,
          .part_count = 1,
          .lock = client_text("{b}lock"),
          .fence = fence },
        { .name = client_text("{b}value"),
          .parts = &value,
          .part_count = 1,
          .lock = client_text("{b}lock"),
          .fence = fence - 1 },
        { .name = client_text("elsewhere"),
          .parts = &value,
          .part_count = 1,
          .lock = client_text("{b}lock"),
          .fence = fence },
    };
    assert_status(OPS.put(store, items, 3, client_deadline_ns(), &client_error), ARIL_OK);
    assert_status(items[0].status, ARIL_OK);
    assert_status(items[1].status, ARIL_E_REPLAY_STALE);
    assert_status(items[2].status, ARIL_E_UNAVAILABLE);
    /* The slot goes to another node: the lock is found there. */
    const unsigned slot = arili_resp_slot(client_text("{b}lock"));
    const unsigned from = redis_cluster_owner(&cluster, slot);
    const unsigned to = (from + 1) % REDIS_NODES;
    char line[160];
    redis_cluster_migrate(&cluster, slot, to);
    (void)snprintf(line, sizeof line,
                   "MIGRATE 127.0.0.1 %u \"\" 0 5000 KEYS {b}lock:aril-lock "
                   "{b}lock:aril-fence "
                   "{b}value",
                   cluster.node[to].port);
    redis_expect(&cluster.node[from], line, "+OK");
    redis_cluster_settle(&cluster, slot, to);
    assert_status(OPS.put(store, items, 1, client_deadline_ns(), &client_error), ARIL_OK);
    assert_status(items[0].status, ARIL_OK);
    assert_status(OPS.unlock(store, client_text("{b}lock"), fence, client_deadline_ns(), NULL),
                  ARIL_OK);
    redis_cluster_migrate(&cluster, slot, from);
    redis_expect(&cluster.node[to], "FLUSHALL", "+OK");
    redis_cluster_settle(&cluster, slot, from);
}

static int count_name(void *user, aril_bytes name)
{
    (void)name;
    ++*(unsigned *)user;
    return 0;
}

static void scan_visits_all_nodes(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    struct many *const m = many_new();
    unsigned count = 0;
    assert_status(OPS.put(store, m->items, NAMES, client_deadline_ns(), NULL), ARIL_OK);
    assert_status(OPS.scan(store, client_text("n"), count_name, &count, 10000, NULL), ARIL_OK);
    assert_int_equal(count, NAMES);
    free(m);
}

struct inbox {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned messages;
};

static void note_message(void *user, aril_bytes message)
{
    struct inbox *const in = user;
    (void)pthread_mutex_lock(&in->mutex);
    in->messages += message.len > 0;
    (void)pthread_cond_broadcast(&in->changed);
    (void)pthread_mutex_unlock(&in->mutex);
}

static void messages_reach_everybody(void **state)
{
    (void)state;
    REDIS_OR_SKIP();
    begin();
    static struct inbox in = { .mutex = PTHREAD_MUTEX_INITIALIZER,
                               .changed = PTHREAD_COND_INITIALIZER };
    void *const other = client_open(uri_of("redis+cluster", 2));
    assert_status(OPS.listen(other, client_text("c"), note_message, &in, NULL), ARIL_OK);
    assert_status(
        OPS.publish(store, client_text("c"), client_text("m"), client_deadline_ns(), NULL),
        ARIL_OK);
    (void)pthread_mutex_lock(&in.mutex);
    while (in.messages == 0) {
        (void)pthread_cond_wait(&in.changed, &in.mutex);
    }
    (void)pthread_mutex_unlock(&in.mutex);
    client_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_batch_goes_to_all_nodes, end),
        cmocka_unit_test_teardown(a_slot_that_moves_is_followed, end),
        cmocka_unit_test_teardown(one_living_seed_is_enough, end),
        cmocka_unit_test_teardown(what_is_no_cluster_and_what_is_one_says_so, end),
        cmocka_unit_test_teardown(locks_guard_names_of_their_slot, end),
        cmocka_unit_test_teardown(scan_visits_all_nodes, end),
        cmocka_unit_test_teardown(messages_reach_everybody, end),
        cmocka_unit_test_teardown(a_slot_without_a_node_is_waited_for_until_the_deadline, end),
        cmocka_unit_test_teardown(a_frozen_node_takes_only_its_slots_with_it, end),
        cmocka_unit_test_teardown(a_dead_node_takes_only_its_slots_with_it, end),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
