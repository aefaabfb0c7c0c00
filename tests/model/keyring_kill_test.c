/* SPDX-License-Identifier: Apache-2.0 */
/* A process that changes a keyring is killed, again and again: in the middle of a write of its file
 * or somewhere between. Whoever opens the keyring next finds it whole, ends what was begun, and has
 * everything that the killed process was told to be done. The keystore is a key file, which lives
 * through it. KEYRING_KILL_SEED repeats a run. */
#include "failing_vfs.h"
#include "keyring_fixture.h"
#include "keyring_state.h"
#include "provider.h"
#include "temp_folder.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS     (SANITIZED ? 60u : 240u)
#define RENEW      30u /* rounds with one keyring */
#define NODES      4u
#define TENANTS    5u
#define BOXES      24u
#define CHANGES    40u /* that a child makes, unless it is killed */
#define NAME_BYTES 32u

static struct world w;
static uint64_t seed;
static char uri[HOME_PATH_BYTES], path[HOME_PATH_BYTES], bundle[HOME_PATH_BYTES];

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static aril_status handle_open(aril_runtime *rt, struct keyring_handle *ret, aril_error *error)
{
    const aril_keystore_config store = { .uri = uri };
    *ret = (struct keyring_handle){ NULL, NULL };
    aril_status st = aril_keystore_open(rt, &store, &ret->ks, error);
    if (st == ARIL_OK) {
        const aril_keyring_config config = { .path = path, .keystore = ret->ks };
        st = aril_keyring_open(rt, &config, &ret->kr, error);
    }
    return st;
}

/* --- What there is
 * --------------------------------------------------------------------------------- */

struct tenants {
    size_t count;
    char names[TENANTS + 1][NAME_BYTES];
};
static int add_tenant(void *user, const aril_key_info *info)
{
    struct tenants *t = user;
    if (t->count < COUNT(t->names) && info->owner.len < NAME_BYTES) {
        memcpy(t->names[t->count], info->owner.data, info->owner.len);
        t->names[t->count++][info->owner.len] = '\0';
    }
    return 0;
}
static const aril_key_filter living = { .purposes = 1u << ARIL_KEY_TENANT,
                                        .states = 1u << ARIL_KEY_ACTIVE };

struct old_key {
    bool found;
    uint8_t id[ARIL_KEY_ID_BYTES];
};
static int take_id(void *user, const aril_key_info *info)
{
    struct old_key *k = user;
    memcpy(k->id, info->id, sizeof k->id);
    k->found = true;
    return 1;
}

/* --- The child
 * --------------------------------------------------------------------------------------- */

static aril_status retire_one(aril_keyring *kr, uint64_t random, aril_error *error)
{
    static const aril_key_purpose purposes[] = { ARIL_KEY_DATA, ARIL_KEY_ROOT, ARIL_KEY_AUTHORITY };
    struct old_key key = { .found = false };
    const aril_key_filter old = { .purposes = 1u << purposes[random % COUNT(purposes)],
                                  .states = 1u << ARIL_KEY_DECRYPT_ONLY | 1u << ARIL_KEY_RETIRED };
    const aril_status st = aril_keyring_list(kr, &old, take_id, &key, error);
    if (st != ARIL_OK || !key.found) {
        return st;
    }
    return aril_keyring_retire(kr, key.id, random >> 8 & 1, error);
}

/* One change; what may be refused for a good reason is ARIL_OK. */
static aril_status change_one(aril_keyring *kr, uint64_t random, aril_error *error)
{
    struct tenants t = { .count = 0 };
    aril_status st = aril_keyring_list(kr, &living, add_tenant, &t, error);
    if (st != ARIL_OK) {
        return st;
    }
    char name[NAME_BYTES];
    uint64_t version = 0;
    const unsigned what = random % 16;
    random /= 16;
    (void)snprintf(name, sizeof name, "t-%08x", (unsigned)random);
    if (t.count == 0 || (what <= 2 && t.count < TENANTS)) {
        const aril_key_slot slot = slot_of(ARIL_KEY_TENANT, name, NULL);
        return aril_keyring_create(kr, &slot, 1, error);
    }
    const char *tenant = t.names[random % t.count];
    const aril_key_slot slots[] = {
        slot_of(ARIL_KEY_DATA, tenant, NULL),    slot_of(ARIL_KEY_NAME, tenant, NULL),
        slot_of(ARIL_KEY_TENANT, tenant, NULL),  slot_of(ARIL_KEY_TENANT, tenant, NULL),
        slot_of(ARIL_KEY_ROOT, NULL, NULL),      slot_of(ARIL_KEY_ROOT, NULL, NULL),
        slot_of(ARIL_KEY_AUTHORITY, NULL, NULL),
    };
    if (what >= 3 && what < 3 + COUNT(slots)) {
        return aril_keyring_rotate(kr, &slots[what - 3], error);
    }
    switch (what) {
    case 10:
    case 11:
        return aril_keyring_shred(kr, text_bytes(tenant), what == 11, NULL, error);
    case 12:
        (void)snprintf(name, sizeof name, "node-%u", (unsigned)(random % NODES));
        st = aril_keyring_node_revoke(kr, text_bytes(name), 0, NULL, error);
        return st == ARIL_E_NOT_FOUND ? ARIL_OK : st;
    case 13:
        return aril_keyring_bundle_write(kr, bundle, &version, error);
    case 14:
        return retire_one(kr, random, error);
    default:
        (void)snprintf(name, sizeof name, "floor-%u", (unsigned)(random % 4));
        st = aril_keyring_floor_raise(kr, text_bytes(name), random >> 8 & 0xff, error);
        return st == ARIL_E_REPLAY_ROLLBACK ? ARIL_OK : st;
    }
}

/* Tells the parent the revision after each change. Ends with a message when one is refused. */
static void child(uint64_t random, int out)
{
    aril_error error = { .status = ARIL_OK };
    aril_runtime *rt = NULL;
    struct keyring_handle handle;
    const aril_runtime_config config = { .clock = &w.clock.table, .error = &error };
    aril_status st = aril_runtime_new(&config, &rt);
    st = st != ARIL_OK ? st : handle_open(rt, &handle, &error);
    if (next_random(&random) % 4 != 0) {
        static const unsigned calls[] = { FAILING_TORN, FAILING_WRITE, FAILING_SYNC, FAILING_DELETE,
                                          FAILING_LOCK };
        const unsigned which = calls[next_random(&random) % COUNT(calls)];
        failing_vfs_arm_kill(which, 1 + (unsigned)(next_random(&random) % 60));
    }
    for (unsigned i = 0; i < CHANGES && st == ARIL_OK; i++) {
        aril_keyring_info info;
        st = change_one(handle.kr, next_random(&random), &error);
        st = st != ARIL_OK ? st : aril_keyring_get_info(handle.kr, &info, &error);
        if (st == ARIL_OK && write(out, &info.revision, sizeof info.revision) < 0) {
            break;
        }
    }
    if (st != ARIL_OK) {
        (void)fprintf(stderr, "child: %s: %s\n", aril_status_name(st), error.message);
        _exit(3);
    }
    _exit(0);
}

/* --- The parent
 * -------------------------------------------------------------------------------------- */

static struct sealed_box boxes[BOXES];
static size_t box_count;
static struct {
    unsigned rounds, killed, pending, told;
} seen;

struct box_key {
    const uint8_t *id;
    aril_key_state state;
};
static int look_for_box_key(void *user, const aril_key_info *info)
{
    struct box_key *k = user;
    if (memcmp(info->id, k->id, ARIL_KEY_ID_BYTES) == 0) {
        k->state = info->state;
    }
    return 0;
}
static int is_shredded(void *user, const aril_shred_info *info)
{
    const char **name = user;
    if (strlen(*name) == info->tenant.len &&
        memcmp(*name, info->tenant.data, info->tenant.len) == 0) {
        *name = "";
        return 1;
    }
    return 0;
}

/* A box opens, or its key is retired, or its tenant shredded or its key destroyed: as listed. */
static void check_boxes(aril_keyring *kr)
{
    for (size_t i = 0; i < box_count; i++) {
        struct box_key key = { .id = box_key_id(&boxes[i]) };
        assert_status(aril_keyring_list(kr, NULL, look_for_box_key, &key, NULL), ARIL_OK);
        const aril_status st = box_open(kr, &boxes[i], NULL);
        const char *name = boxes[i].tenant;
        assert_status(aril_keyring_shreds(kr, is_shredded, &name, NULL), ARIL_OK);
        const bool shredded = name[0] == '\0';
        if (key.state == 0) {
            fail_msg("the key of a box is gone");
        }
        assert_status(st, key.state == ARIL_KEY_RETIRED     ? ARIL_E_KEY_RETIRED
                          : key.state == ARIL_KEY_DESTROYED ? ARIL_E_KEY_DESTROYED
                                                            : ARIL_OK);
        assert_true(!shredded || key.state == ARIL_KEY_DESTROYED);
    }
}

static void seal_boxes(aril_keyring *kr)
{
    struct tenants t = { .count = 0 };
    assert_status(aril_keyring_list(kr, &living, add_tenant, &t, NULL), ARIL_OK);
    for (size_t i = 0; i < t.count; i++) {
        struct sealed_box *box = &boxes[box_count < BOXES ? box_count++ : i];
        assert_status(box_seal(kr, t.names[i], box, NULL), ARIL_OK);
    }
}

static void end_pending(aril_keyring *kr)
{
    const aril_key_slot authority = slot_of(ARIL_KEY_AUTHORITY, NULL, NULL);
    aril_error error = { .status = ARIL_OK };
    if (!keyring_info(kr).rotation_pending) {
        return;
    }
    seen.pending++;
    const aril_status st = aril_keyring_rotate(kr, &authority, &error);
    if (st != ARIL_OK) {
        fail_msg("ending a rotation: %s: %s", aril_status_name(st), error.message);
    }
    assert_false(keyring_info(kr).rotation_pending);
}

static void check(unsigned round, uint64_t told)
{
    struct keyring_handle handle;
    aril_error error = { .status = ARIL_OK };
    const aril_status st = handle_open(w.rt, &handle, &error);
    if (st != ARIL_OK) {
        fail_msg("seed %llu, round %u: %s: %s", (unsigned long long)seed, round,
                 aril_status_name(st), error.message);
    }
    if (keyring_info(handle.kr).revision < told) {
        fail_msg("seed %llu, round %u: what was done is lost", (unsigned long long)seed, round);
    }
    for (int i = 0; i < 2; i++) {
        const char *wrong = keyring_unsound(handle.kr);
        if (wrong != NULL) {
            fail_msg("seed %llu, round %u: %s", (unsigned long long)seed, round, wrong);
        }
        check_boxes(handle.kr);
        end_pending(handle.kr);
    }
    seal_boxes(handle.kr);
    handle_close(&handle);
}

/* Waits until so many changes were told, lets some time go by, and kills. The last revision that
 * was told. */
static uint64_t kill_child(pid_t pid, int in, uint64_t random)
{
    uint64_t told = 0;
    uint64_t revision;
    const unsigned wait_for = 1 + (unsigned)(random % 6);
    unsigned count = 0;
    while (count < wait_for && read(in, &revision, sizeof revision) == sizeof revision) {
        told = revision;
        count++;
    }
    for (volatile uint64_t spin = random >> 8 & 0x3fffff; spin > 0; spin--) {
    }
    (void)kill(pid, SIGKILL);
    while (read(in, &revision, sizeof revision) == sizeof revision) {
        told = revision;
        count++;
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        fail_msg("seed %llu: the child was refused something", (unsigned long long)seed);
    }
    seen.killed += WIFSIGNALED(status);
    seen.told += count;
    return told;
}

static void one_round(unsigned round, uint64_t *random)
{
    int ends[2];
    const uint64_t of_child = next_random(random);
    assert_int_equal(pipe(ends), 0);
    (void)fflush(stdout);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        child(of_child, ends[1]);
    }
    (void)close(ends[1]);
    const uint64_t told = kill_child(pid, ends[0], next_random(random));
    (void)close(ends[0]);
    check(round, told);
    seen.rounds++;
}

static void make_keyring(void)
{
    struct keyring_home authority;
    struct keyring_handle handle;
    static const aril_keyring_init_config init = { .profile = ARIL_PROFILE_ML_KEM_768,
                                                   .no_recovery = 1 };
    const aril_keystore_config store = { .uri = uri, .create = 1 };
    temp_clear(path);
    temp_clear(temp_path("key"));
    box_count = 0;
    assert_status(aril_keystore_open(w.rt, &store, &handle.ks, NULL), ARIL_OK);
    const aril_keyring_config config = { .path = path, .keystore = handle.ks };
    assert_status(aril_keyring_init(w.rt, &config, &init, NULL), ARIL_OK);
    assert_status(aril_keyring_open(w.rt, &config, &handle.kr, NULL), ARIL_OK);
    authority = (struct keyring_home){ .w = &w, .kr = handle.kr };
    for (unsigned i = 0; i < NODES; i++) {
        struct keyring_home node;
        char name[NAME_BYTES];
        (void)snprintf(name, sizeof name, "node-%u", i);
        home_init(&node, &w, "node", 0);
        home_make_node(&node, &authority, name);
        assert_status(fleet_enrol(&authority, &node, NULL), ARIL_OK);
        home_done(&node);
    }
    handle_close(&handle);
}

static void a_killed_process_leaves_a_keyring_that_is_whole(void **state)
{
    (void)state;
    uint64_t random = seed;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (round % RENEW == 0) {
            make_keyring();
        }
        one_round(round, &random);
    }
    print_message("%u rounds, %u killed, %u changes told, %u rotations left\n", seen.rounds,
                  seen.killed, seen.told, seen.pending);
    assert_true(seen.killed > ROUNDS / 2);
    assert_true(seen.told > ROUNDS / 2);
}

static int setup(void **state)
{
    (void)state;
    const char *given = getenv("KEYRING_KILL_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    world_init(&w);
    failing_vfs_install();
    (void)snprintf(uri, sizeof uri, "file:%s", temp_path("key"));
    (void)snprintf(path, sizeof path, "%s", temp_path("keys.aril"));
    (void)snprintf(bundle, sizeof bundle, "%s", temp_path("bundle"));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    failing_vfs_remove();
    world_done(&w);
    return 0;
}

static int group_setup(void **state)
{
    return provider_setup(state) != 0 || temp_folder_make(state) != 0;
}

static int group_teardown(void **state)
{
    return temp_folder_remove(state) != 0 || provider_teardown(state) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_killed_process_leaves_a_keyring_that_is_whole, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("keyring killed", tests, group_setup, group_teardown);
}
