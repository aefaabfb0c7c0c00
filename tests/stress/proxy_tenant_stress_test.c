/* SPDX-License-Identifier: Apache-2.0 */
/* One thread refreshes a tenant while its keys are rotated, locked and bumped; others make and open
 * names and fields with what is published. Keys are whole at any moment, and generations never go
 * back. */
#include "proxy_tenant.h"
#include "team.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

#define READERS 4u
#define ROUNDS  (SANITIZED ? 60u : 400u)

struct stage {
    struct world w;
    struct keyring_home h;
    struct arili_tenant *t;
    atomic_uint at_work;
    _Atomic uint64_t used, refused;
};

/* A reader has its own cache of names and its own table of keys, as a loop has. */
static void use(struct stage *s, struct arili_name_cache *cache, struct arili_key_table *table,
                const struct arili_tenant_keys *k, unsigned r)
{
    struct arili_place p;
    uint8_t room[ARILI_CACHE_LISTED_KEY_MAX], sealed[ARILI_SEALED_NAME_BYTES(8)];
    char key[16];
    size_t len = 0;
    aril_tenant_key *found = NULL;
    const aril_bytes text = { (const uint8_t *)key,
                              (size_t)snprintf(key, sizeof key, "{%u}key", r % 64) };
    team_demand(arili_place_make(cache, s->t, k, r % 3, text, &p) == ARIL_OK, "no name");
    team_demand(arili_place_open(s->t, k, r % 3,
                                 (aril_bytes){ (const uint8_t *)p.name, p.name_len }, room,
                                 &len) == ARIL_OK &&
                    len == text.len && memcmp(room, key, len) == 0,
                "a name of other keys");
    team_demand(arili_inner_seal(s->t, k, &p, ARILI_INNER_FIELD, TEXT("field"), sealed, &len) ==
                    ARIL_OK,
                "no field");
    team_demand(arili_inner_open(s->t, k, &p, ARILI_INNER_FIELD, (aril_bytes){ sealed, len }, room,
                                 &len) == ARIL_OK &&
                    len == 5 && memcmp(room, "field", 5) == 0,
                "a field of other keys");
    const uint8_t *id = aril_tenant_key_id(k->data);
    team_demand(arili_key_table_find(table, s->t, k, id, r, &found) == ARIL_OK && found == k->data,
                "not the key that seals");
    arili_key_table_put(table, s->t, id, found, ARIL_OK, r);
}

static void reader(void *arg, unsigned number)
{
    struct stage *const s = arg;
    struct arili_name_cache *cache = NULL;
    struct arili_key_table table = { 0 };
    uint64_t random = 10 + number;
    uint64_t generation = 0;
    if (!team_demand(arili_name_cache_new(s->w.rt, &cache) == ARIL_OK, "no cache of names")) {
        return;
    }
    while (atomic_load(&s->at_work) > 0 && !team_failed()) {
        struct arili_tenant_keys *k = arili_tenant_keys_hold(s->t);
        team_demand(k->generation >= generation, "a generation went back");
        generation = k->generation;
        if (k->status == ARIL_OK) {
            use(s, cache, &table, k, (unsigned)team_random(&random));
            atomic_fetch_add(&s->used, 1);
        } else {
            team_demand(k->status == ARIL_E_KEY_LOCKED, "a status that nobody caused");
            atomic_fetch_add(&s->refused, 1);
        }
        arili_tenant_keys_drop(k);
    }
    arili_key_table_done(&table);
    arili_name_cache_free(cache);
}

static bool change(struct stage *s, unsigned round)
{
    static const aril_key_slot data = { ARIL_KEY_DATA, { (const uint8_t *)"alice", 5 }, { 0 } };
    static const aril_key_slot name = { ARIL_KEY_NAME, { (const uint8_t *)"alice", 5 }, { 0 } };
    uint8_t floor[ARILI_FLOOR_NAME_BYTES];
    switch (round % 8) {
    case 1:
        return aril_keyring_rotate(s->h.kr, &data, NULL) == ARIL_OK;
    case 3:
        return aril_keyring_rotate(s->h.kr, &name, NULL) == ARIL_OK;
    case 5:
        return aril_keyring_lock(s->h.kr, NULL) == ARIL_OK;
    case 6:
        return aril_keyring_unlock(s->h.kr, NULL) == ARIL_OK;
    case 7:
        return arili_cache_floor_name(&s->w.rt->crypto, ARILI_SHA256, TEXT("alice"), TEXT("redis"),
                                      floor) == ARIL_OK &&
               aril_keyring_floor_raise(s->h.kr, (aril_bytes){ floor, sizeof floor }, round,
                                        NULL) == ARIL_OK;
    default:
        return true;
    }
}

static void refresher(void *arg, unsigned number)
{
    struct stage *const s = arg;
    (void)number;
    for (unsigned i = 0; i < ROUNDS && !team_failed(); i++) {
        team_demand(change(s, i), "a change of the keyring failed");
        proxy_refresh(&s->h, s->t);
        /* Somebody has used these keys, or seen that there are none, before the next ones come. */
        const uint64_t seen = atomic_load(&s->used) + atomic_load(&s->refused);
        while (!team_failed() && atomic_load(&s->used) + atomic_load(&s->refused) == seen) {
        }
    }
    atomic_fetch_sub(&s->at_work, 1);
}

static void keys_are_whole_at_any_moment(void **state)
{
    (void)state;
    static struct stage s;
    memset(&s, 0, sizeof s);
    world_init(&s.w);
    home_init(&s.h, &s.w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&s.h, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&s.h, "alice");
    s.t = proxy_tenant(&s.h, "alice", "redis", true);
    atomic_store(&s.at_work, 1);
    const struct team_role roles[] = { { "refresher", refresher, 1 },
                                       { "reader", reader, READERS } };
    team_run(roles, COUNT(roles), &s);
    assert_true(atomic_load(&s.used) > 0 && atomic_load(&s.refused) > 0);
    proxy_refresh(&s.h, s.t);
    struct arili_tenant_keys *k = proxy_keys(s.t);
    assert_int_equal(atomic_load(&k->refs), 2);
    assert_true(k->generation == ROUNDS / 8 * 8 - 1);
    arili_tenant_keys_drop(k);
    arili_tenant_free(s.t);
    home_done(&s.h);
    world_done(&s.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_whole_at_any_moment),
    };
    return cmocka_run_group_tests(tests, temp_folder_make_quick, temp_folder_remove);
}
