/* SPDX-License-Identifier: Apache-2.0 */
/* Processes on one store that want the same values: each is computed once, and by somebody else
 * when who computes is killed; who was too slow overwrites nothing. No time decides but that of
 * locks. The parent makes no runtime: each child makes its own after the fork. */
#include "check.h"
#include "files_store.h"
#include "fixture.h"
#include "keyring/keystore.h"
#include "redis.h"
#include "shared_store.h"
#include "temp_folder.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN    12u
#define KEYS        8u
#define DEATHS      2u /* of those who compute a key, in the test of kills */
#define KILL_KEYS   4u
#define VALUE_BYTES 400u
#define SAFETY_S    300u
#define LONG_MS     120000u /* a lock that no test lives to see expire */
#define SHORT_MS    250u    /* one that is waited for */

/* What the processes share. */
struct stage {
    char keyring[300], uri[400], log[300];
    struct shared_backing *backing;
    uint32_t lock_ms;
    unsigned deaths;
    atomic_uint ready, entered[KEYS], done;
    _Atomic uint64_t seen[KEYS]; /* the seed of the value that somebody saw first */
    atomic_uint late_at_work, newer_put;
};
static struct stage *stage;

/* In a child: says what was wrong, and ends it. */
#define demand(cond, st) demand_at(cond, #cond, st, __LINE__)
static void demand_at(bool cond, const char *text, aril_status st, int line)
{
    if (!cond) {
        (void)fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, line, text, aril_status_name(st));
        _exit(1);
    }
}

/* --- A child --------------------------------------------------------------------------------- */

struct mine {
    aril_runtime *rt;
    aril_keystore *ks;
    aril_keyring *kr;
    aril_store *store;
    aril_cache *cache;
};

static void begin_keyring(struct mine *m, bool make)
{
    *m = (struct mine){ .rt = NULL };
    aril_status st = aril_runtime_new(NULL, &m->rt);
    demand(st == ARIL_OK, st);
    st = arili_keystore_new_over(m->rt, shared_store(stage->backing), 60000, &m->ks, NULL);
    demand(st == ARIL_OK, st);
    const aril_keyring_config config = { .path = stage->keyring,
                                         .keystore = m->ks,
                                         .busy_ms = 120000 };
    if (make) {
        const aril_keyring_init_config init = { .role = ARIL_KEYRING_AUTHORITY,
                                                .profile = ARIL_PROFILE_HYBRID,
                                                .no_recovery = 1 };
        st = aril_keyring_init(m->rt, &config, &init, NULL);
        demand(st == ARIL_OK, st);
    }
    st = aril_keyring_open(m->rt, &config, &m->kr, NULL);
    demand(st == ARIL_OK, st);
}

static void begin(struct mine *m)
{
    begin_keyring(m, false);
    const aril_store_config store = { .uri = stage->uri, .deadline_ms = 120000 };
    aril_status st = aril_store_open(m->rt, &store, &m->store, NULL);
    demand(st == ARIL_OK, st);
    const aril_cache_config cache = { .keyring = m->kr, .store = m->store };
    st = aril_cache_open(m->rt, &cache, &m->cache, NULL);
    demand(st == ARIL_OK, st);
}

static void end(struct mine *m)
{
    aril_cache_close(m->cache);
    aril_store_close(m->store);
    aril_keyring_close(m->kr);
    aril_keystore_close(m->ks);
    aril_runtime_free(m->rt);
}

static void wait_for_all(unsigned count)
{
    atomic_fetch_add(&stage->ready, 1);
    while (atomic_load(&stage->ready) < count) {
        (void)sched_yield();
    }
}

static aril_cache_key key_of(unsigned k)
{
    static const char *const keys[KEYS] = { "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7" };
    return (
        aril_cache_key){ .tenant = TEXT("alice"), .space = TEXT("s"), .key = text_bytes(keys[k]) };
}

/* --- Computing ------------------------------------------------------------------------------- */

/* A value begins with its key and its seed. */
struct value {
    uint64_t key, seed;
    uint8_t pattern[VALUE_BYTES];
};

struct computing {
    unsigned key;
    unsigned calls;
    struct value value;
};

static void fill_value(struct value *v, unsigned key, uint64_t seed)
{
    v->key = key;
    v->seed = seed;
    fill_pattern(v->pattern, sizeof v->pattern, seed * KEYS + key);
}

/* A line for each computation; written at once, so lines are whole. */
static void note(unsigned key)
{
    char line[16];
    const int n = snprintf(line, sizeof line, "%u\n", key);
    const int fd = open(stage->log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    demand(fd >= 0 && write(fd, line, (size_t)n) == n && close(fd) == 0, ARIL_E_IO);
}

static aril_status compute(void *user, const aril_cache_key *key, aril_bytes *ret)
{
    struct computing *const c = user;
    (void)key;
    c->calls++;
    note(c->key);
    if (atomic_fetch_add(&stage->entered[c->key], 1) < stage->deaths) {
        (void)kill(getpid(), SIGKILL);
    }
    for (int i = 0; i < 200; i++) {
        (void)sched_yield(); /* so that the others come while it works */
    }
    fill_value(&c->value, c->key, (uint64_t)getpid());
    *ret = (aril_bytes){ (const uint8_t *)&c->value, sizeof c->value };
    return ARIL_OK;
}

/* One value, by whoever; all of them are whole, and the key's. */
static uint64_t get_or_compute(struct mine *m, unsigned k, unsigned *ret_calls)
{
    struct computing c = { .key = k };
    struct value got;
    const aril_cache_compute with = { .user = &c, .compute = compute, .lock_ms = stage->lock_ms };
    aril_cache_item item = { .key = key_of(k), .buffer = { (uint8_t *)&got, sizeof got } };
    const aril_status st = aril_cache_get_or_compute(m->cache, &item, &with, NULL);
    demand(st == ARIL_OK, st);
    demand(item.result.len == sizeof got && got.key == k, st);
    demand(is_pattern(got.pattern, sizeof got.pattern, got.seed * KEYS + k), st);
    *ret_calls = c.calls;
    return got.seed;
}

static void want_all(unsigned number)
{
    struct mine m;
    begin(&m);
    wait_for_all(CHILDREN);
    for (unsigned i = 0; i < KEYS; i++) {
        const unsigned k = (i + number) % KEYS;
        unsigned calls;
        uint64_t first = 0;
        const uint64_t seed = get_or_compute(&m, k, &calls);
        if (!atomic_compare_exchange_strong(&stage->seen[k], &first, seed)) {
            demand(first == seed, ARIL_E_AUTH); /* all have the same one */
        }
    }
    end(&m);
    _exit(0);
}

static void want_all_or_die(unsigned number)
{
    struct mine m;
    begin(&m);
    wait_for_all(CHILDREN);
    for (unsigned i = 0; i < KILL_KEYS; i++) {
        unsigned calls;
        (void)get_or_compute(&m, (i + number) % KILL_KEYS, &calls);
    }
    atomic_fetch_add(&stage->done, 1);
    end(&m);
    _exit(0);
}

/* --- Too late -------------------------------------------------------------------------------- */

static aril_status compute_slowly(void *user, const aril_cache_key *key, aril_bytes *ret)
{
    struct computing *const c = user;
    (void)key;
    atomic_store(&stage->late_at_work, 1);
    while (atomic_load(&stage->newer_put) == 0) {
        (void)sched_yield();
    }
    fill_value(&c->value, 0, 1);
    *ret = (aril_bytes){ (const uint8_t *)&c->value, sizeof c->value };
    return ARIL_OK;
}

static uint64_t seed_now(struct mine *m)
{
    struct value got;
    aril_cache_item item = { .key = key_of(0), .buffer = { (uint8_t *)&got, sizeof got } };
    const aril_status st = aril_cache_get(m->cache, &item, 1, NULL);
    demand(st == ARIL_OK, st);
    return got.seed;
}

/* The first one holds the lock until it has expired and the other one has put. */
static void be_late(unsigned number)
{
    struct mine m;
    begin(&m);
    if (number == 0) {
        struct computing c = { .key = 0 };
        struct value got;
        const aril_cache_compute with = { .user = &c,
                                          .compute = compute_slowly,
                                          .lock_ms = SHORT_MS };
        aril_cache_item item = { .key = key_of(0), .buffer = { (uint8_t *)&got, sizeof got } };
        const aril_status st = aril_cache_get_or_compute(m.cache, &item, &with, NULL);
        demand(st == ARIL_OK && got.seed == 1, st);
        demand(item.result.status == ARIL_E_REPLAY_STALE, item.result.status);
    } else {
        while (atomic_load(&stage->late_at_work) == 0) {
            (void)sched_yield();
        }
        unsigned calls;
        const uint64_t seed = get_or_compute(&m, 0, &calls);
        demand(seed == (uint64_t)getpid() && calls == 1, ARIL_E_AUTH);
        atomic_store(&stage->seen[0], seed);
        atomic_store(&stage->newer_put, 1);
        atomic_fetch_add(&stage->ready, 1);
    }
    while (atomic_load(&stage->ready) == 0) {
        (void)sched_yield();
    }
    demand(seed_now(&m) == atomic_load(&stage->seen[0]), ARIL_E_AUTH);
    end(&m);
    _exit(0);
}

/* --- The parent ------------------------------------------------------------------------------ */

static int make_keyring(void)
{
    struct mine m;
    begin_keyring(&m, true);
    const aril_key_slot slot = { .purpose = ARIL_KEY_TENANT, .owner = TEXT("alice") };
    const aril_status st = aril_keyring_create(m.kr, &slot, 1, NULL);
    demand(st == ARIL_OK, st);
    end(&m);
    return 0;
}

static pid_t start(void (*run)(unsigned number), unsigned number)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)alarm(SAFETY_S); /* the others wait for one that failed */
        run(number);
        _exit(2);
    }
    return pid;
}

/* Returns how many were killed; nobody may end otherwise but well. */
static unsigned run_children(void (*run)(unsigned number), unsigned count)
{
    pid_t pids[CHILDREN];
    unsigned killed = 0;
    bool fine = true;
    for (unsigned i = 0; i < count; i++) {
        pids[i] = start(run, i);
    }
    for (unsigned i = 0; i < count; i++) {
        int status = 0;
        while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR) {
        }
        const bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        killed += was_killed;
        fine = fine && (was_killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    }
    assert_true(fine);
    return killed;
}

static void prepare(const char *uri)
{
    struct shared_backing *const backing = shared_backing_new();
    stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(stage != MAP_FAILED);
    stage->backing = backing;
    (void)snprintf(stage->uri, sizeof stage->uri, "%s", uri);
    (void)snprintf(stage->keyring, sizeof stage->keyring, "%s", temp_path("keys.aril"));
    (void)snprintf(stage->log, sizeof stage->log, "%s", temp_path("log"));
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(make_keyring());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void finish(void)
{
    static const char *const names[] = { "keys.aril", "keys.aril-wal", "keys.aril-shm", "log",
                                         "v.db",      "v.db-wal",      "v.db-shm" };
    for (size_t i = 0; i < COUNT(names); i++) {
        temp_clear(temp_path(names[i]));
    }
    (void)tree_remove(temp_path("values"));
    shared_backing_free(stage->backing);
    (void)munmap(stage, sizeof *stage);
}

/* How often each key was computed. */
static void count_log(unsigned ret[KEYS])
{
    char text[4096];
    memset(ret, 0, KEYS * sizeof *ret);
    const size_t len = file_read(stage->log, text, sizeof text);
    assert_true(len < sizeof text);
    for (size_t i = 0; i < len; i += 2) {
        assert_true(text[i] >= '0' && text[i] < '0' + (char)KEYS);
        ret[text[i] - '0']++;
    }
}

static void each_is_computed_once(const char *uri)
{
    unsigned computed[KEYS];
    prepare(uri);
    stage->lock_ms = LONG_MS;
    assert_int_equal(run_children(want_all, CHILDREN), 0);
    count_log(computed);
    for (unsigned k = 0; k < KEYS; k++) {
        assert_int_equal(computed[k], 1);
    }
    finish();
}

static void the_others_go_on_when_one_is_killed(const char *uri)
{
    unsigned computed[KEYS];
    prepare(uri);
    stage->lock_ms = SHORT_MS;
    stage->deaths = DEATHS;
    assert_int_equal(run_children(want_all_or_die, CHILDREN), KILL_KEYS * DEATHS);
    assert_int_equal(atomic_load(&stage->done), CHILDREN - KILL_KEYS * DEATHS);
    count_log(computed);
    for (unsigned k = 0; k < KILL_KEYS; k++) {
        assert_true(computed[k] > DEATHS);
    }
    finish();
}

static void who_is_late_overwrites_nothing(const char *uri)
{
    prepare(uri);
    stage->lock_ms = SHORT_MS;
    assert_int_equal(run_children(be_late, 2), 0);
    finish();
}

static struct redis server;

static void over(void (*test)(const char *uri))
{
    char uri[400];
    (void)snprintf(uri, sizeof uri, "sqlite:%s", temp_path("v.db"));
    print_message("  sqlite\n");
    test(uri);
    (void)snprintf(uri, sizeof uri, "file:%s", temp_path("values"));
    print_message("  files\n");
    test(uri);
    REDIS_OR_SKIP();
    assert_true(redis_start(&server, &(struct redis_options){ .tcp = false }));
    (void)snprintf(uri, sizeof uri, "redis+unix:%s", server.socket);
    print_message("  redis\n");
    test(uri);
    redis_remove(&server);
    server = (struct redis){ 0 };
}

static void a_value_is_computed_by_one_process(void **state)
{
    (void)state;
    over(each_is_computed_once);
}
static void a_killed_process_is_replaced(void **state)
{
    (void)state;
    over(the_others_go_on_when_one_is_killed);
}
static void a_late_process_is_refused(void **state)
{
    (void)state;
    over(who_is_late_overwrites_nothing);
}

static int teardown(void **state)
{
    (void)state;
    redis_remove(&server);
    server = (struct redis){ 0 };
    return 0;
}

#define TEST(test) cmocka_unit_test_teardown(test, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_value_is_computed_by_one_process),
        TEST(a_killed_process_is_replaced),
        TEST(a_late_process_is_refused),
    };
    return cmocka_run_group_tests_name("caches of several processes", tests, temp_folder_make_quick,
                                       temp_folder_remove);
}
