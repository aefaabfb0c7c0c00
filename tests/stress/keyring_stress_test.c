/* SPDX-License-Identifier: Apache-2.0 */
/* One keyring under many threads, and another handle on its file that changes it as another
 * process would. Bounded by counts. */
#include "keyring_fixture.h"
#include "keyring/cache.h"
#include "keyring/keyring.h"
#include "team.h"
#include "temp_folder.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define USERS    4u
#define USES     (SANITIZED ? 600u : 2000u)
#define ROUNDS   (SANITIZED ? 20u : 60u)
#define KEPT     64u
#define KEEP_OLD 5u /* versions that may open */
#define PLAIN    16u
#define HANDLES  2u

static const char *const tenants[] = { "ada", "bob", "cleo" };
static const char *const brief[] = { "x0", "x1", "x2", "x3" }; /* made and shredded meanwhile */

struct box {
    unsigned tenant;
    uint8_t seed;
    uint8_t bytes[PLAIN + ARIL_BOX_OVERHEAD_BYTES];
};

/* What a user saw, judged when all is quiet. */
struct seen {
    unsigned handle, tenant;
    bool retired; /* else: was sealed with it */
    uint8_t id[ARIL_KEY_ID_BYTES];
};

struct stage {
    struct world w;
    struct keyring_home home;
    struct keyring_handle second;
    bool locks, tiny;
    pthread_mutex_t mutex;
    struct box kept[KEPT];
    uint64_t kept_count;
    struct seen seen[USERS][USES];
    unsigned seen_count[USERS];
    atomic_uint users_left;
    atomic_uint sealed, opened, refused, rotated;
};

/* As team_demand(), with the status in the words. */
static bool demand_status(bool fine, const char *what, aril_status st)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    static char text[128]; /* the first complaint counts, and ends the program's tests */
    if (!fine && !atomic_flag_test_and_set(&said)) {
        (void)snprintf(text, sizeof text, "%s: %s", what, aril_status_name(st));
    }
    return team_demand(fine, text);
}

static aril_keyring *handle(struct stage *s, uint64_t n)
{
    return n % HANDLES == 0 ? s->home.kr : s->second.kr;
}

/* --- Those that use it ----------------------------------------------------------------------- */

static bool may(struct stage *s, aril_status st)
{
    return st == ARIL_OK || (s->locks && st == ARIL_E_KEY_LOCKED);
}

static void see(struct stage *s, unsigned user, unsigned h, const struct box *box, bool retired)
{
    struct seen *to = &s->seen[user][s->seen_count[user]];
    if (s->seen_count[user] < USES) {
        s->seen_count[user]++;
        to->handle = h;
        to->tenant = box->tenant;
        to->retired = retired;
        memcpy(to->id, box->bytes + 8, sizeof to->id);
    }
}

static void open_box(struct stage *s, unsigned user, unsigned h, const struct box *box)
{
    uint8_t plain[PLAIN] = { 0 };
    size_t len = 0;
    const aril_status st = aril_keyring_open_box(
        handle(s, h), text_bytes(tenants[box->tenant]), TEXT("context"),
        (aril_bytes){ box->bytes, sizeof box->bytes }, plain, sizeof plain, &len, NULL);
    demand_status(may(s, st) || st == ARIL_E_KEY_RETIRED, "open box", st);
    team_demand(is_filled(plain, sizeof plain, st == ARIL_OK ? box->seed : 0),
                "a box with other content");
    atomic_fetch_add(st == ARIL_OK ? &s->opened : &s->refused, 1);
    if (st == ARIL_E_KEY_RETIRED) {
        see(s, user, h, box, true);
    }
}

static void seal_and_open(struct stage *s, unsigned user, uint64_t random)
{
    struct box box = { .tenant = (unsigned)(random % COUNT(tenants)),
                       .seed = (uint8_t)(1 + random % 250) };
    uint8_t plain[PLAIN];
    size_t len = 0;
    const unsigned h = (unsigned)(random >> 8) % HANDLES;
    memset(plain, box.seed, sizeof plain);
    const aril_status st = aril_keyring_seal(handle(s, h), text_bytes(tenants[box.tenant]),
                                             TEXT("context"), (aril_bytes){ plain, sizeof plain },
                                             box.bytes, sizeof box.bytes, &len, NULL);
    demand_status(may(s, st), "seal and open", st);
    if (st != ARIL_OK) {
        atomic_fetch_add(&s->refused, 1);
        return;
    }
    atomic_fetch_add(&s->sealed, 1);
    see(s, user, h, &box, false);
    open_box(s, user, h + 1, &box); /* the other handle may not know the key yet */
    pthread_mutex_lock(&s->mutex);
    s->kept[s->kept_count++ % KEPT] = box;
    pthread_mutex_unlock(&s->mutex);
}

static void open_kept(struct stage *s, unsigned user, uint64_t random)
{
    struct box box;
    pthread_mutex_lock(&s->mutex);
    const uint64_t count = s->kept_count < KEPT ? s->kept_count : KEPT;
    box = s->kept[count > 0 ? random % count : 0];
    pthread_mutex_unlock(&s->mutex);
    if (count > 0) {
        open_box(s, user, (unsigned)(random >> 16), &box);
    }
}

/* A pinned key stays what it is, whatever happens to its keyring. */
static void pin(struct stage *s, uint64_t random)
{
    aril_tenant_key *key = NULL;
    uint8_t id[ARIL_KEY_ID_BYTES];
    uint8_t secret[32];
    const aril_key_purpose purpose = random % 2 == 0 ? ARIL_KEY_DATA : ARIL_KEY_NAME;
    const aril_bytes tenant = text_bytes(tenants[(random >> 4) % COUNT(tenants)]);
    aril_status st = aril_keyring_tenant_key(handle(s, random >> 8), tenant, purpose, &key, NULL);
    demand_status(may(s, st), "pin", st);
    if (st != ARIL_OK) {
        return;
    }
    memcpy(id, aril_tenant_key_id(key), sizeof id);
    memcpy(secret, arili_tenant_key_bytes(key).data, sizeof secret);
    for (unsigned i = 0; i < 8; i++) {
        aril_tenant_key *same = NULL;
        sched_yield();
        st = aril_keyring_key_by_id(handle(s, random >> (9 + i)), tenant, id, &same, NULL);
        demand_status(may(s, st) || st == ARIL_E_KEY_RETIRED, "pin", st);
        team_demand(st != ARIL_OK ||
                        memcmp(arili_tenant_key_bytes(same).data, secret, sizeof secret) == 0,
                    "another secret for one id");
        aril_tenant_key_put(same);
    }
    team_demand(memcmp(aril_tenant_key_id(key), id, sizeof id) == 0 &&
                    memcmp(arili_tenant_key_bytes(key).data, secret, sizeof secret) == 0 &&
                    aril_tenant_key_purpose(key) == purpose,
                "a pinned key changed");
    aril_tenant_key_put(key);
}

/* Not there, there, destroyed: for one who looks at one handle never the other way round. */
static void use_brief(struct stage *s, unsigned h, unsigned *age, uint64_t random)
{
    static const aril_status ages[] = { ARIL_E_NOT_FOUND, ARIL_OK, ARIL_E_KEY_DESTROYED };
    const unsigned n = (unsigned)(random % COUNT(brief));
    aril_tenant_key *key = NULL;
    const aril_status st =
        aril_keyring_tenant_key(handle(s, h), text_bytes(brief[n]), ARIL_KEY_DATA, &key, NULL);
    aril_tenant_key_put(key);
    if (s->locks && st == ARIL_E_KEY_LOCKED) {
        return;
    }
    unsigned now = 0;
    while (now < COUNT(ages) && ages[now] != st) {
        now++;
    }
    if (demand_status(now < COUNT(ages), "use brief", st)) {
        team_demand(now >= age[n], "a tenant came back");
        age[n] = now;
    }
}

/* Whoever meets a locked keyring waits until it is not, most of the time. */
static void wait_for_unlock(struct stage *s, unsigned h)
{
    aril_tenant_key *key = NULL;
    while (s->locks && !team_failed() &&
           aril_keyring_tenant_key(handle(s, h), TEXT("ada"), ARIL_KEY_DATA, &key, NULL) ==
               ARIL_E_KEY_LOCKED) {
        sched_yield();
    }
    aril_tenant_key_put(key);
}

static void use(void *arg, unsigned number)
{
    struct stage *s = arg;
    unsigned ages[HANDLES][COUNT(brief)] = { { 0 } };
    uint64_t state = number + 1;
    for (unsigned i = 0; i < USES && !team_failed(); i++) {
        const uint64_t random = team_random(&state);
        const unsigned h = i % HANDLES;
        if (random >> 60 != 0) {
            wait_for_unlock(s, h);
        }
        switch (random % 8) {
        case 0:
            pin(s, random >> 8);
            break;
        case 1:
            use_brief(s, h, ages[h], random >> 8);
            break;
        case 2:
        case 3:
            open_kept(s, number, random >> 8);
            break;
        default:
            seal_and_open(s, number, random >> 8);
        }
    }
    atomic_fetch_sub(&s->users_left, 1);
}

/* --- Those that change it -----------------------------------------------------------------------
 */

static void must_change(struct stage *s, aril_status st)
{
    /* Two that replace one root at a time: one of them is told to retry. */
    if (demand_status(may(s, st) || st == ARIL_E_INTERRUPTED, "must change", st) && st == ARIL_OK) {
        atomic_fetch_add(&s->rotated, 1);
    }
    sched_yield();
}

struct wanted {
    uint32_t version;
    bool found;
    uint8_t id[ARIL_KEY_ID_BYTES];
};
static int find_old(void *user, const aril_key_info *info)
{
    struct wanted *w = user;
    if (info->label.len == 0 && info->state == ARIL_KEY_DECRYPT_ONLY &&
        info->version <= w->version) {
        w->found = true;
        memcpy(w->id, info->id, sizeof w->id);
    }
    return 0;
}
static int find_newest(void *user, const aril_key_info *info)
{
    uint32_t *const newest = user;
    *newest = info->version > *newest ? info->version : *newest;
    return 0;
}

static void retire_old(struct stage *s, aril_keyring *kr, const char *tenant)
{
    const aril_key_filter filter = { .owner = text_bytes(tenant), .purposes = 1u << ARIL_KEY_DATA };
    uint32_t newest = 0;
    team_demand(aril_keyring_list(kr, &filter, find_newest, &newest, NULL) == ARIL_OK, "list");
    struct wanted w = { .version = newest > KEEP_OLD ? newest - KEEP_OLD : 0 };
    team_demand(aril_keyring_list(kr, &filter, find_old, &w, NULL) == ARIL_OK, "list");
    if (w.found) {
        const aril_status st = aril_keyring_retire(kr, w.id, 0, NULL);
        demand_status(may(s, st), "retire old", st);
    }
}

static void rotate_leaves(void *arg, unsigned number)
{
    struct stage *s = arg;
    uint64_t state = number + 50;
    for (unsigned i = 0; i < ROUNDS && !team_failed(); i++) {
        const uint64_t random = team_random(&state);
        const char *tenant = tenants[random % COUNT(tenants)];
        const aril_key_slot slot =
            slot_of((random >> 8) % 3 == 0 ? ARIL_KEY_NAME : ARIL_KEY_DATA, tenant, NULL);
        must_change(s, aril_keyring_rotate(handle(s, number), &slot, NULL));
        retire_old(s, handle(s, number), tenant);
    }
}

static void rotate_parents(void *arg, unsigned number)
{
    struct stage *s = arg;
    uint64_t state = number + 70;
    for (unsigned i = 0; i < ROUNDS && !team_failed(); i++) {
        const uint64_t random = team_random(&state);
        const aril_key_slot slot =
            random % 3 == 0
                ? slot_of(ARIL_KEY_ROOT, NULL, NULL)
                : slot_of(ARIL_KEY_TENANT, tenants[(random >> 8) % COUNT(tenants)], NULL);
        must_change(s, aril_keyring_rotate(handle(s, number), &slot, NULL));
    }
}

/* Until it is done: others lock the keyring now and then. */
static void create_and_shred(void *arg, unsigned number)
{
    struct stage *s = arg;
    aril_status st;
    for (unsigned i = 0; i < COUNT(brief) && !team_failed(); i++) {
        const aril_key_slot slot = slot_of(ARIL_KEY_TENANT, brief[i], NULL);
        do {
            st = aril_keyring_create(handle(s, 1 + number), &slot, 1, NULL);
            sched_yield();
        } while (demand_status(may(s, st), "create and shred", st) && st != ARIL_OK &&
                 !team_failed());
        do {
            st = aril_keyring_shred(handle(s, 1 + number), slot.owner, i % 2, NULL, NULL);
            sched_yield();
        } while (demand_status(may(s, st) || st == ARIL_E_INTERRUPTED, "create and shred", st) &&
                 st != ARIL_OK && !team_failed());
    }
}

/* Most of the time the keyring is not locked. */
static void wait_for_uses(struct stage *s)
{
    const unsigned sealed = atomic_load(&s->sealed);
    while (atomic_load(&s->sealed) < sealed + USES / ROUNDS && atomic_load(&s->users_left) > 0 &&
           !team_failed()) {
        sched_yield();
    }
}

static void lock_and_unlock(void *arg, unsigned number)
{
    struct stage *s = arg;
    aril_tenant_key *key = NULL;
    (void)number;
    for (unsigned i = 0; s->locks && i < ROUNDS / 2 && !team_failed(); i++) {
        aril_keyring *const from = handle(s, i / 2);
        for (unsigned locked = 0; locked < 2; locked++) {
            const aril_status st =
                locked == 0 ? aril_keyring_lock(from, NULL) : aril_keyring_unlock(from, NULL);
            demand_status(st == ARIL_OK, "lock and unlock", st);
            const aril_status right = locked == 0 ? ARIL_E_KEY_LOCKED : ARIL_OK;
            for (unsigned h = 0; h < HANDLES; h++) {
                team_demand(aril_keyring_refresh(handle(s, h), NULL, NULL) == ARIL_OK, "refresh");
                team_demand(aril_keyring_tenant_key(handle(s, h), TEXT("ada"), ARIL_KEY_DATA, &key,
                                                    NULL) == right,
                            "not locked, or locked still");
                aril_tenant_key_put(key);
            }
            sched_yield();
        }
        wait_for_uses(s);
    }
}

/* Forgets, refreshes, looks, and moves the clock on where it is not the system's. */
static void disturb(void *arg, unsigned number)
{
    struct stage *s = arg;
    unsigned i = number;
    while (atomic_load(&s->users_left) > 0 && !team_failed()) {
        aril_keyring *const kr = handle(s, i);
        aril_keyring_info info;
        switch (i++ % 16) {
        case 0:
        case 1:
            aril_keyring_forget(kr);
            break;
        case 2:
        case 3:
            team_demand(aril_keyring_get_info(kr, &info, NULL) == ARIL_OK, "info");
            break;
        case 4: {
            const aril_status st = aril_keyring_verify(kr, NULL, NULL, NULL);
            /* Who has to unseal the root again and again may meet one that a shred destroyed. */
            demand_status(may(s, st) || (s->tiny && st == ARIL_E_KEYSTORE_WRONG), "verify", st);
            break;
        }
        default:
            team_demand(aril_keyring_refresh(kr, NULL, NULL) == ARIL_OK, "refresh");
            fake_clock_add_ns(&s->w.clock, 700000);
        }
        sched_yield();
    }
}

/* --- When all is quiet
 * ------------------------------------------------------------------------------ */

static const struct arili_key *key_of(const struct arili_rowset *set, const uint8_t *id)
{
    const struct arili_key *key = arili_rowset_key(set, id);
    assert_non_null(key);
    return key;
}

static void judge_users(struct stage *s, const struct arili_rowset *set)
{
    for (unsigned u = 0; u < USERS; u++) {
        uint32_t newest[HANDLES][COUNT(tenants)] = { { 0 } };
        for (unsigned i = 0; i < s->seen_count[u]; i++) {
            const struct seen *seen = &s->seen[u][i];
            const struct arili_key_row *said = &key_of(set, seen->id)->said;
            uint32_t *last = &newest[seen->handle % HANDLES][seen->tenant];
            if (seen->retired) {
                assert_int_equal(said->state, ARIL_KEY_RETIRED);
            } else {
                assert_true(said->version >= *last); /* nobody goes back to an older key */
                *last = said->version;
            }
        }
    }
}

/* Versions of each slot run from 1 on, and one of them is active. */
static void judge_keys(const struct arili_rowset *set)
{
    size_t count;
    (void)arili_rowset_kind(set, ARILI_ROW_STAGED, &count);
    assert_int_equal(count, 0);
    (void)arili_rowset_kind(set, ARILI_ROW_ROTATION, &count);
    assert_int_equal(count, 0);
    for (size_t i = 0; i < set->key_count;) {
        size_t end = i;
        unsigned active = 0;
        bool destroyed = true;
        for (; arili_rowset_same_slot(set, i, end); end++) {
            assert_int_equal(set->keys[end].said.version,
                             set->keys[i].said.version - (uint32_t)(end - i));
            assert_int_not_equal(set->keys[end].said.state, ARIL_KEY_PENDING);
            active += set->keys[end].said.state == ARIL_KEY_ACTIVE;
            destroyed = destroyed && set->keys[end].said.state == ARIL_KEY_DESTROYED;
        }
        assert_int_equal(set->keys[end - 1].said.version, 1);
        assert_int_equal(active, destroyed ? 0 : 1);
        i = end;
    }
}

static void judge(struct stage *s)
{
    /* A lock may have stopped a rotation; the next one ends it. */
    assert_status(home_rotate(&s->home, slot_of(ARIL_KEY_NAME, "ada", NULL)), ARIL_OK);
    for (unsigned h = 0; h < HANDLES; h++) {
        assert_status(aril_keyring_refresh(handle(s, h), NULL, NULL), ARIL_OK);
        assert_status(aril_keyring_verify(handle(s, h), NULL, NULL, NULL), ARIL_OK);
    }
    assert_int_equal(keyring_info(s->home.kr).revision, keyring_info(s->second.kr).revision);
    struct arili_rowset *set = arili_keyring_rows(s->home.kr);
    judge_users(s, set);
    judge_keys(set);
    arili_rowset_drop(set);
    handle_close(&s->second);
    home_reopen(&s->home);
    assert_status(aril_keyring_verify(s->home.kr, NULL, NULL, NULL), ARIL_OK);
}

static void run(bool locks, bool real_clock, bool tiny)
{
    static struct stage s;
    s = (struct stage){ .locks = locks, .tiny = tiny, .users_left = USERS };
    assert_int_equal(pthread_mutex_init(&s.mutex, NULL), 0);
    world_init(&s.w);
    if (real_clock) {
        aril_runtime_free(s.w.rt);
        assert_status(aril_runtime_new(NULL, &s.w.rt), ARIL_OK);
    }
    home_init(&s.home, &s.w, "stress.aril", MEMORY_STORE_ALL);
    s.home.config.busy_ms = 120000;
    s.home.config.refresh_ms = 1;
    s.home.config.cache_max = tiny ? 4 : 0;
    home_make(&s.home, ARIL_PROFILE_ML_KEM_768, NULL);
    for (size_t i = 0; i < COUNT(tenants); i++) {
        home_tenant(&s.home, tenants[i]);
    }
    s.second = home_second(&s.home);
    if (tiny) {
        s.home.kr->ttl_ns = s.second.kr->ttl_ns = 1000000; /* less than a config can say */
    }
    const struct team_role roles[] = {
        { "use", use, USERS },
        { "rotate leaves", rotate_leaves, HANDLES },
        { "rotate parents", rotate_parents, HANDLES },
        { "create and shred", create_and_shred, 1 },
        { "lock", lock_and_unlock, 1 },
        { "disturb", disturb, 1 },
    };
    team_run(roles, COUNT(roles), &s);
    print_message("%u sealed, %u opened, %u refused, %u rotated\n", atomic_load(&s.sealed),
                  atomic_load(&s.opened), atomic_load(&s.refused), atomic_load(&s.rotated));
    assert_true(atomic_load(&s.sealed) > 0 && atomic_load(&s.opened) > 0 &&
                atomic_load(&s.rotated) > 0);
    judge(&s);
    home_done(&s.home);
    world_done(&s.w);
    assert_int_equal(pthread_mutex_destroy(&s.mutex), 0);
}

static void keys_are_used_while_two_handles_change_them(void **state)
{
    (void)state;
    run(false, false, false);
}

static void keys_are_used_while_the_keyring_is_locked_now_and_then(void **state)
{
    (void)state;
    run(true, false, false);
}

static void a_tiny_cache_with_a_short_life_changes_no_answer(void **state)
{
    (void)state;
    run(false, true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_used_while_two_handles_change_them),
        cmocka_unit_test(keys_are_used_while_the_keyring_is_locked_now_and_then),
        cmocka_unit_test(a_tiny_cache_with_a_short_life_changes_no_answer),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
