/* SPDX-License-Identifier: Apache-2.0 */
/* Several processes on one keyring: nobody's change is lost, nobody goes back, and what one does
 * the others hear of. The parent makes no runtime: each child makes its own after the fork. */
#include "check.h"
#include "keyring/keyring.h"
#include "keyring/keys.h"
#include "shared_store.h"
#include "team.h"
#include "temp_folder.h"
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TENANTS   3u
#define WRITERS   3u
#define READERS   2u
#define ROUNDS    (SANITIZED ? 20u : 50u)
#define SAFETY_S  60
#define CHILDREN  8u
#define PLAIN     16u
#define BOX_BYTES (PLAIN + ARIL_BOX_OVERHEAD_BYTES)

/* What the processes share. */
struct stage {
    char path[256], keystore[300]; /* keystore empty: shared_store() */
    struct shared_backing *backing;
    atomic_uint ready, writers_left;
    atomic_uint rotated[TENANTS], created, raised, parents; /* what answered ARIL_OK */
    atomic_bool posted;
    uint8_t posted_id[ARIL_KEY_ID_BYTES];
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

static aril_bytes text(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

static const char *tenant(uint64_t n)
{
    static const char *const names[TENANTS] = { "ada", "bob", "cleo" };
    return names[n % TENANTS];
}

static aril_key_slot slot(aril_key_purpose purpose, const char *owner)
{
    return (aril_key_slot){ .purpose = purpose, .owner = text(owner) };
}

/* --- A child ------------------------------------------------------------------------------- */

struct mine {
    aril_runtime *rt;
    aril_keystore *ks;
    aril_keyring_config config;
    aril_keyring *kr;
};

static void mine_begin(struct mine *m)
{
    *m = (struct mine){ .rt = NULL };
    aril_status st = aril_runtime_new(NULL, &m->rt);
    demand(st == ARIL_OK, st);
    if (stage->keystore[0] != '\0') {
        const aril_keystore_config config = { .uri = stage->keystore, .create = 1 };
        st = aril_keystore_open(m->rt, &config, &m->ks, NULL);
    } else {
        st = arili_keystore_new_over(m->rt, shared_store(stage->backing), 60000, &m->ks, NULL);
    }
    demand(st == ARIL_OK, st);
    m->config = (aril_keyring_config){
        .path = stage->path, .keystore = m->ks, .busy_ms = 120000, .refresh_ms = 5
    };
}

static void mine_open(struct mine *m)
{
    mine_begin(m);
    const aril_status st = aril_keyring_open(m->rt, &m->config, &m->kr, NULL);
    demand(st == ARIL_OK, st);
}

static void mine_end(struct mine *m)
{
    aril_keyring_close(m->kr);
    aril_keystore_close(m->ks);
    aril_runtime_free(m->rt);
}

/* All of them begin at one moment. */
static void wait_for_all(unsigned count)
{
    atomic_fetch_add(&stage->ready, 1);
    while (atomic_load(&stage->ready) < count) {
        sched_yield();
    }
}

typedef void child_fn(unsigned number);
struct role {
    child_fn *run;
    unsigned count;
};

static void run_children(const struct role *roles, size_t count)
{
    pid_t pids[CHILDREN];
    unsigned n = 0;
    atomic_store(&stage->ready, 0);
    for (size_t r = 0; r < count; r++) {
        for (unsigned i = 0; i < roles[r].count; i++) {
            assert_true(n < CHILDREN);
            pids[n] = fork();
            assert_true(pids[n] >= 0);
            if (pids[n++] == 0) {
                (void)alarm(2 * SAFETY_S); /* the others wait for one that failed */
                roles[r].run(i);
                _exit(0);
            }
        }
    }
    bool fine = true;
    for (unsigned i = 0; i < n; i++) {
        int status = 0;
        while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR) {
        }
        fine = fine && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    assert_true(fine);
}

static aril_keyring_info info_of(aril_keyring *kr)
{
    aril_keyring_info info;
    const aril_status st = aril_keyring_get_info(kr, &info, NULL);
    demand(st == ARIL_OK, st);
    return info;
}

/* --- Making the keyring ------------------------------------------------------------------------
 */

static void make(unsigned number)
{
    struct mine m;
    (void)number;
    mine_begin(&m);
    const aril_keyring_init_config init = { .profile = ARIL_PROFILE_ML_KEM_768, .no_recovery = 1 };
    aril_status st = aril_keyring_init(m.rt, &m.config, &init, NULL);
    demand(st == ARIL_OK, st);
    st = aril_keyring_open(m.rt, &m.config, &m.kr, NULL);
    demand(st == ARIL_OK, st);
    for (unsigned i = 0; i < TENANTS; i++) {
        const aril_key_slot s = slot(ARIL_KEY_TENANT, tenant(i));
        st = aril_keyring_create(m.kr, &s, 1, NULL);
        demand(st == ARIL_OK, st);
    }
    demand(info_of(m.kr).revision == 1 + TENANTS, ARIL_OK);
    mine_end(&m);
}

static void stage_init(const char *name, bool counts)
{
    stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(stage != MAP_FAILED);
    memset(stage, 0, sizeof *stage);
    (void)snprintf(stage->path, sizeof stage->path, "%s", temp_path(name));
    if (counts) {
        stage->backing = shared_backing_new();
    } else {
        (void)snprintf(stage->keystore, sizeof stage->keystore, "file:%s", temp_path("key"));
    }
    run_children(&(struct role){ make, 1 }, 1);
}

static void stage_done(void)
{
    temp_clear(stage->path);
    temp_clear(temp_path("key"));
    if (stage->backing != NULL) {
        shared_backing_free(stage->backing);
    }
    (void)munmap(stage, sizeof *stage);
}

/* --- Those that write
 * ------------------------------------------------------------------------------ */

static void write_leaves(unsigned number)
{
    struct mine m;
    uint64_t random = number + 1;
    mine_open(&m);
    wait_for_all(WRITERS + READERS);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char name[32];
        const uint64_t r = team_random(&random);
        aril_key_slot s = slot(ARIL_KEY_DATA, tenant(r));
        aril_status st = aril_keyring_rotate(m.kr, &s, NULL);
        demand(st == ARIL_OK, st);
        atomic_fetch_add(&stage->rotated[r % TENANTS], 1);
        if (i % 4 == 0) {
            (void)snprintf(name, sizeof name, "made-by-%u-%u", number, i);
            s = slot(ARIL_KEY_TENANT, name);
            st = aril_keyring_create(m.kr, &s, 1, NULL);
            demand(st == ARIL_OK, st);
            atomic_fetch_add(&stage->created, 1);
        }
        if (i % 8 == 0) {
            (void)snprintf(name, sizeof name, "floor-%u", number);
            st = aril_keyring_floor_raise(m.kr, text(name), i + 1, NULL);
            demand(st == ARIL_OK, st);
            atomic_fetch_add(&stage->raised, 1);
        }
    }
    atomic_fetch_sub(&stage->writers_left, 1);
    mine_end(&m);
}

static void write_parents(unsigned number)
{
    struct mine m;
    uint64_t random = number + 100;
    mine_open(&m);
    wait_for_all(WRITERS + READERS);
    for (unsigned i = 0; i < ROUNDS / 2; i++) {
        const uint64_t r = team_random(&random);
        const aril_key_slot s = r % 2 == 0 ? (aril_key_slot){ .purpose = ARIL_KEY_ROOT }
                                           : slot(ARIL_KEY_TENANT, tenant(r >> 8));
        const aril_status st = aril_keyring_rotate(m.kr, &s, NULL);
        demand(st == ARIL_OK || st == ARIL_E_INTERRUPTED, st);
        atomic_fetch_add(&stage->parents, st == ARIL_OK);
    }
    atomic_fetch_sub(&stage->writers_left, 1);
    mine_end(&m);
}

/* --- Those that read
 * --------------------------------------------------------------------------------- */

static uint32_t version_of(aril_keyring *kr, const uint8_t *id)
{
    struct arili_rowset *set = arili_keyring_rows(kr);
    const struct arili_key *key = arili_rowset_key(set, id);
    demand(key != NULL, ARIL_E_KEY_UNKNOWN);
    const uint32_t version = key->said.version;
    arili_rowset_drop(set);
    return version;
}

static void use_tenant(aril_keyring *kr, unsigned n, uint32_t *newest)
{
    uint8_t box[BOX_BYTES];
    uint8_t plain[PLAIN];
    uint8_t again[PLAIN];
    size_t len = 0;
    memset(plain, (int)n + 1, sizeof plain);
    aril_status st =
        aril_keyring_seal(kr, text(tenant(n)), text("context"), (aril_bytes){ plain, sizeof plain },
                          box, sizeof box, &len, NULL);
    demand(st == ARIL_OK, st);
    const uint32_t version = version_of(kr, box + 8);
    demand(version >= *newest, ARIL_OK);
    *newest = version;
    st = aril_keyring_open_box(kr, text(tenant(n)), text("context"), (aril_bytes){ box, len },
                               again, sizeof again, &len, NULL);
    demand(st == ARIL_OK && memcmp(plain, again, sizeof plain) == 0, st);
}

static void read_all(unsigned number)
{
    struct mine m;
    uint32_t newest[TENANTS] = { 0 };
    uint64_t revision = 0;
    uint64_t generation = 0;
    mine_open(&m);
    wait_for_all(WRITERS + READERS);
    for (unsigned i = number; atomic_load(&stage->writers_left) > 0; i++) {
        use_tenant(m.kr, i % TENANTS, &newest[i % TENANTS]);
        const aril_keyring_info info = info_of(m.kr);
        demand(info.revision >= revision && info.generation >= generation, ARIL_OK);
        revision = info.revision;
        generation = info.generation;
        if (i % 16 == 0) { /* as a process that is started now */
            aril_keyring_close(m.kr);
            const aril_status st = aril_keyring_open(m.rt, &m.config, &m.kr, NULL);
            demand(st == ARIL_OK, st);
        }
    }
    mine_end(&m);
}

/* --- What is left
 * ---------------------------------------------------------------------------------- */

static void judge_slots(const struct arili_rowset *set)
{
    for (size_t i = 0; i < set->key_count; i++) {
        const struct arili_key_row *said = &set->keys[i].said;
        const bool first = i == 0 || !arili_rowset_same_slot(set, i - 1, i);
        const bool last = i + 1 == set->key_count || !arili_rowset_same_slot(set, i, i + 1);
        demand(first == (said->state == ARIL_KEY_ACTIVE), ARIL_OK);
        demand(first || set->keys[i - 1].said.version == said->version + 1, ARIL_OK);
        demand(!last || said->version == 1, ARIL_OK);
    }
}

static void judge(unsigned number)
{
    struct mine m;
    unsigned rotated = 0;
    (void)number;
    mine_open(&m);
    for (unsigned i = 0; i < TENANTS; i++) {
        aril_tenant_key *key = NULL;
        const aril_status st =
            aril_keyring_tenant_key(m.kr, text(tenant(i)), ARIL_KEY_DATA, &key, NULL);
        demand(st == ARIL_OK, st);
        demand(version_of(m.kr, aril_tenant_key_id(key)) == 1 + atomic_load(&stage->rotated[i]),
               ARIL_OK);
        aril_tenant_key_put(key);
        rotated += atomic_load(&stage->rotated[i]);
    }
    const aril_keyring_info info = info_of(m.kr);
    demand(info.keys[ARIL_KEY_TENANT] == TENANTS + atomic_load(&stage->created), ARIL_OK);
    demand(info.rotation_pending == 0, ARIL_OK);
    const uint64_t raises = rotated + atomic_load(&stage->raised);
    if (atomic_load(&stage->parents) == 0) { /* each change was one commit */
        demand(info.revision == 1 + TENANTS + raises + atomic_load(&stage->created), ARIL_OK);
    }
    if (stage->backing != NULL) {
        demand(shared_backing_counter(stage->backing) ==
                   1000 + raises + atomic_load(&stage->parents),
               ARIL_OK);
    }
    struct arili_rowset *set = arili_keyring_rows(m.kr);
    judge_slots(set);
    arili_rowset_drop(set);
    const aril_status st = aril_keyring_verify(m.kr, NULL, NULL, NULL);
    demand(st == ARIL_OK, st);
    mine_end(&m);
}

static void run_writers_and_readers(bool counts, unsigned parents)
{
    stage_init("shared.aril", counts);
    atomic_store(&stage->writers_left, WRITERS);
    const struct role roles[] = { { write_leaves, WRITERS - parents },
                                  { write_parents, parents },
                                  { read_all, READERS } };
    run_children(roles, COUNT(roles));
    run_children(&(struct role){ judge, 1 }, 1);
    stage_done();
}

static void no_change_of_several_writers_is_lost(void **state)
{
    (void)state;
    run_writers_and_readers(false, 0);
}

static void a_counter_that_processes_share_counts_each_change_once(void **state)
{
    (void)state;
    run_writers_and_readers(true, 0);
}

static void parents_are_replaced_while_others_write_below_them(void **state)
{
    (void)state;
    run_writers_and_readers(true, 2);
}

/* --- Hearing of a change
 * ------------------------------------------------------------------------------ */

static bool is_late(const struct timespec *start)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec - start->tv_sec > SAFETY_S;
}

static void listen_for_a_key(unsigned number)
{
    struct mine m;
    struct timespec start;
    aril_tenant_key *key = NULL;
    (void)number;
    mine_open(&m);
    aril_status st = aril_keyring_tenant_key(m.kr, text("ada"), ARIL_KEY_DATA, &key, NULL);
    demand(st == ARIL_OK, st);
    aril_tenant_key_put(key);
    wait_for_all(2); /* the old key is in memory: only a look at the file can change the answer */
    while (!atomic_load(&stage->posted)) {
        sched_yield();
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    bool same = false;
    while (!same) {
        st = aril_keyring_tenant_key(m.kr, text("ada"), ARIL_KEY_DATA, &key, NULL);
        demand(st == ARIL_OK, st);
        same = memcmp(aril_tenant_key_id(key), stage->posted_id, ARIL_KEY_ID_BYTES) == 0;
        aril_tenant_key_put(key);
        demand(same || !is_late(&start), ARIL_E_TIMEOUT);
    }
    mine_end(&m);
}

static void rotate_and_post(unsigned number)
{
    struct mine m;
    aril_tenant_key *key = NULL;
    const aril_key_slot s = slot(ARIL_KEY_DATA, "ada");
    (void)number;
    mine_open(&m);
    wait_for_all(2);
    aril_status st = aril_keyring_rotate(m.kr, &s, NULL);
    demand(st == ARIL_OK, st);
    st = aril_keyring_tenant_key(m.kr, s.owner, ARIL_KEY_DATA, &key, NULL);
    demand(st == ARIL_OK, st);
    memcpy(stage->posted_id, aril_tenant_key_id(key), sizeof stage->posted_id);
    aril_tenant_key_put(key);
    atomic_store(&stage->posted, true);
    mine_end(&m);
}

static void a_process_hears_of_anothers_rotation_without_being_told(void **state)
{
    (void)state;
    stage_init("heard.aril", false);
    const struct role roles[] = { { listen_for_a_key, 1 }, { rotate_and_post, 1 } };
    run_children(roles, COUNT(roles));
    stage_done();
}

static void listen_for_the_lock(unsigned number)
{
    struct mine m;
    struct timespec start;
    aril_tenant_key *key = NULL;
    (void)number;
    mine_open(&m);
    aril_status st = aril_keyring_tenant_key(m.kr, text("ada"), ARIL_KEY_DATA, &key, NULL);
    demand(st == ARIL_OK, st);
    wait_for_all(2);
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        aril_tenant_key *other = NULL;
        st = aril_keyring_tenant_key(m.kr, text("ada"), ARIL_KEY_DATA, &other, NULL);
        aril_tenant_key_put(other);
        demand(st == ARIL_OK || st == ARIL_E_KEY_LOCKED, st);
        demand(!is_late(&start), ARIL_E_TIMEOUT);
    } while (st != ARIL_E_KEY_LOCKED);
    demand(m.kr->cache.used == 0 && m.kr->root == NULL, ARIL_OK); /* nothing is left in memory */
    demand(aril_tenant_key_purpose(key) == ARIL_KEY_DATA, ARIL_OK);
    aril_tenant_key_put(key);
    st = aril_keyring_unlock(m.kr, NULL);
    demand(st == ARIL_OK, st);
    mine_end(&m);
}

static void lock_it(unsigned number)
{
    struct mine m;
    struct timespec start;
    (void)number;
    mine_open(&m);
    wait_for_all(2);
    aril_status st = aril_keyring_lock(m.kr, NULL);
    demand(st == ARIL_OK, st);
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    while (info_of(m.kr).locked) { /* the other one unlocks */
        demand(!is_late(&start), ARIL_E_TIMEOUT);
        sched_yield();
    }
    mine_end(&m);
}

static void a_process_that_hears_of_a_lock_forgets_its_keys(void **state)
{
    (void)state;
    stage_init("locked.aril", true);
    const struct role roles[] = { { listen_for_the_lock, 1 }, { lock_it, 1 } };
    run_children(roles, COUNT(roles));
    stage_done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_change_of_several_writers_is_lost),
        cmocka_unit_test(a_counter_that_processes_share_counts_each_change_once),
        cmocka_unit_test(parents_are_replaced_while_others_write_below_them),
        cmocka_unit_test(a_process_hears_of_anothers_rotation_without_being_told),
        cmocka_unit_test(a_process_that_hears_of_a_lock_forgets_its_keys),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
