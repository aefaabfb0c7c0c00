/* SPDX-License-Identifier: Apache-2.0 */
/* A registry whose tenants come and go while others use them. Bounded by counts. */
#include "fixture.h"
#include "team.h"
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define NAMES        12u
#define TENANTS_MAX  8u /* fewer than names, so that the registry is full at times */
#define ROUNDS       (SANITIZED ? 150u : 400u)
#define USES         (SANITIZED ? 600u : 4000u)
#define ITEMS        3u
#define RECORD_BYTES 40u

struct stage {
    struct world world;
    aril_tenants *tenants;
    atomic_uint users_left, makers_left;
    atomic_uint sealed, opened, adopted;
};

static aril_bytes name_of(uint64_t n, char room[8])
{
    (void)snprintf(room, 8, "t%u", (unsigned)(n % NAMES));
    return text_bytes(room);
}

/* --- Those that come and go ---------------------------------------------------------- */

static void create(void *arg, unsigned number)
{
    struct stage *s = arg;
    uint64_t random = number + 100;
    for (unsigned i = 0; i < ROUNDS && !team_failed(); i++) {
        char room[8];
        const aril_status st = aril_tenants_create(s->tenants, name_of(team_random(&random), room));
        team_demand(st == ARIL_OK || st == ARIL_E_EXISTS || st == ARIL_E_LIMIT_TENANTS, "create");
        team_demand(aril_tenants_count(s->tenants) <= TENANTS_MAX, "more tenants than allowed");
        sched_yield();
    }
    atomic_fetch_sub(&s->makers_left, 1);
}

static void adopt(void *arg, unsigned number)
{
    struct stage *s = arg;
    uint64_t random = number + 200;
    for (unsigned i = 0; i < ROUNDS / 2 && !team_failed(); i++) {
        char room[8];
        struct pair pair = { NULL, NULL };
        const aril_bytes name = name_of(team_random(&random), room);
        team_demand(aril_session_pair(s->world.rt, ARIL_PROFILE_ML_KEM_768, name,
                                      fixture_identity(ARIL_ML_DSA_65, 0), fixture_tag_key(), NULL,
                                      &pair.tenant, &pair.server) == ARIL_OK,
                    "no pair");
        const aril_status st = aril_tenants_adopt(s->tenants, pair.server);
        /* A creator may have been later with its accept and earlier with its confirm. */
        team_demand(st == ARIL_OK || st == ARIL_E_EXISTS || st == ARIL_E_LIMIT_TENANTS, "adopt");
        if (st == ARIL_OK) {
            pair.server = NULL; /* the registry's */
            atomic_fetch_add(&s->adopted, 1);
        }
        aril_session_close(pair.tenant);
        aril_session_close(pair.server);
        sched_yield();
    }
    atomic_fetch_sub(&s->makers_left, 1);
}

static void close_some(void *arg, unsigned number)
{
    struct stage *s = arg;
    uint64_t random = number + 300;
    for (unsigned i = 0; i < ROUNDS && atomic_load(&s->users_left) > 0 && !team_failed(); i++) {
        char room[8];
        const aril_status st = aril_tenants_close(s->tenants, name_of(team_random(&random), room));
        team_demand(st == ARIL_OK || st == ARIL_E_NOT_FOUND, "close");
        sched_yield();
    }
}

/* --- Those that use them ------------------------------------------------------------- */

struct work {
    uint8_t plain[ITEMS][RECORD_BYTES], out[ITEMS][RECORD_BYTES], body[ITEMS][RECORD_BYTES];
    uint8_t seals[ITEMS][ARIL_SEAL_BYTES];
    aril_kv_block blocks[ITEMS];
    aril_span from[ITEMS], to[ITEMS];
    aril_kv_item items[ITEMS];
    uint64_t seed;
};

static void work_init(struct work *w, uint64_t seed)
{
    w->seed = seed;
    for (unsigned i = 0; i < ITEMS; i++) {
        fill_pattern(w->plain[i], RECORD_BYTES, seed + i);
        memset(w->out[i], GUARD_FILLER, RECORD_BYTES);
        w->blocks[i] = chain_block(seed + i);
        w->from[i] = (aril_span){ w->plain[i], RECORD_BYTES };
        w->to[i] = (aril_span){ w->out[i], RECORD_BYTES };
        w->items[i] = (aril_kv_item){ .block = &w->blocks[i],
                                      .spans = &w->from[i],
                                      .span_count = 1,
                                      .body = w->body[i],
                                      .body_len = RECORD_BYTES,
                                      .seal = w->seals[i] };
    }
}

static void open_to_out(struct work *w)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        w->items[i].spans = &w->to[i];
        w->items[i].status = ARIL_OK;
    }
}

/* Each item that did not succeed has a status of those, and left nothing behind. */
static void check_items(struct work *w, aril_status whole, const aril_status *allowed, size_t count)
{
    if (whole == ARIL_E_NOT_FOUND) {
        return;
    }
    team_demand(whole == ARIL_OK || whole == ARIL_E_BATCH, "a batch with another status");
    for (unsigned i = 0; i < ITEMS; i++) {
        const aril_status st = w->items[i].status;
        bool fine = st == ARIL_OK;
        for (size_t k = 0; k < count; k++) {
            fine = fine || st == allowed[k];
        }
        team_demand(fine, "an item with a status that is not allowed");
        team_demand(st == ARIL_OK || is_filled(w->out[i], RECORD_BYTES, GUARD_FILLER) ||
                        is_filled(w->out[i], RECORD_BYTES, 0),
                    "plaintext of a refused item");
    }
}

static const aril_status when_sealing[] = { ARIL_E_KEY_CLOSED };
/* The session that sealed them may be gone, with another one of the same tenant in place. */
static const aril_status when_opening[] = { ARIL_E_KEY_CLOSED, ARIL_E_KEY_UNKNOWN,
                                            ARIL_E_KEY_RETIRED, ARIL_E_KEY_FUTURE };
static const aril_status when_foreign[] = { ARIL_E_KEY_CLOSED, ARIL_E_ISOLATION };

static void use(void *arg, unsigned number)
{
    struct stage *s = arg;
    uint64_t random = number + 400;
    for (unsigned i = 0; i < USES && !team_failed();) {
        struct work w;
        char room[8], other_room[8];
        const uint64_t n = team_random(&random);
        const aril_bytes name = name_of(n, room);
        const aril_bytes other = name_of(n + 1 + n / NAMES % (NAMES - 1), other_room);
        const size_t model = n / 97 % 2;
        work_init(&w, n);
        aril_status st = aril_tenants_seal(s->tenants, name, model, w.items, ITEMS, NULL);
        check_items(&w, st, when_sealing, COUNT(when_sealing));
        if (st != ARIL_OK) {
            i += atomic_load(&s->makers_left) == 0; /* else another tenant will come */
            sched_yield();
            continue;
        }
        i++;
        atomic_fetch_add(&s->sealed, ITEMS);
        open_to_out(&w);
        st = aril_tenants_open(s->tenants, other, model, w.items, ITEMS, NULL);
        team_demand(st != ARIL_OK, "a tenant opened records of another one");
        check_items(&w, st, when_foreign, COUNT(when_foreign));
        open_to_out(&w);
        st = aril_tenants_open(s->tenants, name, model, w.items, ITEMS, NULL);
        check_items(&w, st, when_opening, COUNT(when_opening));
        for (unsigned k = 0; k < ITEMS && st == ARIL_OK; k++) {
            team_demand(is_pattern(w.out[k], RECORD_BYTES, w.seed + k), "another plaintext");
            atomic_fetch_add(&s->opened, 1);
        }
    }
    atomic_fetch_sub(&s->users_left, 1);
}

/* Holds a tenant for a while, whatever happens to it meanwhile. */
static void hold(void *arg, unsigned number)
{
    struct stage *s = arg;
    uint64_t random = number + 500;
    for (unsigned i = 0; i < USES / 4 && !team_failed(); i++) {
        char room[8];
        aril_tenant *t = NULL;
        const aril_bytes name = name_of(team_random(&random), room);
        const aril_status got = aril_tenants_get(s->tenants, name, &t);
        team_demand(got == ARIL_OK || got == ARIL_E_NOT_FOUND, "get");
        if (got != ARIL_OK) {
            sched_yield();
            continue;
        }
        struct work w;
        work_init(&w, random);
        for (unsigned k = 0; k < 3; k++) {
            const aril_status st = aril_kv_seal_batch(aril_tenant_kv(t, 0), w.items, ITEMS, NULL);
            check_items(&w, st, when_sealing, COUNT(when_sealing));
            aril_session_info info;
            team_demand(aril_session_get_info(aril_tenant_session(t), &info) == ARIL_OK, "info");
            const aril_bytes whose = aril_session_tenant(aril_tenant_session(t));
            team_demand(whose.len == name.len && memcmp(whose.data, name.data, name.len) == 0,
                        "another tenant was held");
            sched_yield();
        }
        aril_tenant_put(t);
    }
}

static int visit(void *user, aril_bytes tenant_id, const aril_session_info *info)
{
    struct stage *s = user;
    aril_tenant *t = NULL;
    if (aril_tenants_get(s->tenants, tenant_id, &t) == ARIL_OK) {
        aril_tenant_put(t);
    }
    return tenant_id.len == 0 || info->sends != ARIL_SERVER_TO_TENANT;
}

static int look(void *user, const aril_event *event)
{
    (void)user;
    return event->kind == ARIL_EVENT_AUTH_FAILURE && event->status == ARIL_OK;
}

static void watch(void *arg, unsigned number)
{
    struct stage *s = arg;
    for (unsigned i = 0; i < 300 && atomic_load(&s->users_left) > 0; i++) {
        const aril_audit_filter filter = { .kinds = 1u << ARIL_EVENT_ISOLATION_VIOLATION };
        if (number == 0) {
            team_demand(aril_tenants_list(s->tenants, visit, s) == ARIL_OK, "list");
        } else {
            team_demand(aril_audit_memory_query(s->world.audit, &filter, look, NULL) == ARIL_OK,
                        "query");
        }
        sched_yield();
    }
}

/* --- The test ------------------------------------------------------------------------ */

static int count_visit(void *user, aril_bytes tenant_id, const aril_session_info *info)
{
    (void)tenant_id;
    (void)info;
    ++*(size_t *)user;
    return 0;
}

static void tenants_come_and_go_while_others_use_them(void **state)
{
    (void)state;
    static struct stage s;
    s = (struct stage){ .users_left = 4, .makers_left = 3 };
    world_init(&s.world);
    (void)fixture_identity(ARIL_ML_DSA_65, 0);
    aril_kv_config models[2] = { view_config(), view_config() };
    models[1].model = TEXT("model@2");
    const aril_policy policy = { .rotate_records = 20, .readable_epochs = 4 };
    const aril_tenants_config config = { .models = models,
                                         .model_count = 2,
                                         .tenants_max = TENANTS_MAX,
                                         .profile = ARIL_PROFILE_ML_KEM_768,
                                         .identity = fixture_identity(ARIL_ML_DSA_65, 0),
                                         .tag_key = fixture_tag_key(),
                                         .policy = &policy };
    assert_status(aril_tenants_new(s.world.rt, &config, &s.tenants), ARIL_OK);
    for (unsigned n = 0; n < TENANTS_MAX / 2; n++) {
        char room[8];
        assert_status(aril_tenants_create(s.tenants, name_of(n, room)), ARIL_OK);
    }
    const struct team_role roles[] = { { "creator", create, 2 },    { "adopter", adopt, 1 },
                                       { "closer", close_some, 2 }, { "user", use, 4 },
                                       { "holder", hold, 2 },       { "watcher", watch, 2 } };
    team_run(roles, COUNT(roles), &s);
    assert_true(atomic_load(&s.sealed) > 0);
    assert_true(atomic_load(&s.opened) > 0);
    assert_true(atomic_load(&s.adopted) > 0);

    size_t listed = 0;
    assert_status(aril_tenants_list(s.tenants, count_visit, &listed), ARIL_OK);
    assert_int_equal(listed, aril_tenants_count(s.tenants));
    size_t closed = 0;
    for (unsigned n = 0; n < NAMES; n++) {
        char room[8];
        closed += aril_tenants_close(s.tenants, name_of(n, room)) == ARIL_OK;
    }
    assert_int_equal(closed, listed);
    assert_int_equal(aril_tenants_count(s.tenants), 0);
    aril_tenants_free(s.tenants);
    /* Each session that began has ended, and each of its epochs was wiped. */
    assert_int_equal(world_events(&s.world, ARIL_EVENT_CLOSE),
                     world_events(&s.world, ARIL_EVENT_SESSION));
    assert_int_equal(world_events(&s.world, ARIL_EVENT_RETIRE),
                     2 * world_events(&s.world, ARIL_EVENT_SESSION) +
                         world_events(&s.world, ARIL_EVENT_ROTATE));
    world_done(&s.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenants_come_and_go_while_others_use_them),
    };
    return cmocka_run_group_tests_name("tenants under threads", tests, NULL, NULL);
}
