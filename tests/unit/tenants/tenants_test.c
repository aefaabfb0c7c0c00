/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"
#include "talk.h"
#include <aril/tenants.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct world w;
static aril_tenants *registry;

static aril_kv_config models[2];

static aril_tenants_config config_of(size_t tenants_max)
{
    models[0] = view_config();
    models[1] = view_config();
    models[1].model = TEXT("second");
    return (aril_tenants_config){ .models = models,
                                  .model_count = 2,
                                  .tenants_max = tenants_max,
                                  .identity = fixture_identity(ARIL_ML_DSA_65, 0),
                                  .tag_key = fixture_tag_key() };
}

static void begin(size_t tenants_max)
{
    const aril_tenants_config config = config_of(tenants_max);
    world_init(&w);
    assert_status(aril_tenants_new(w.rt, &config, &registry), ARIL_OK);
}

static void end(void)
{
    aril_tenants_free(registry);
    world_done(&w);
}

static aril_bytes numbered(unsigned n)
{
    static char name[32];
    (void)snprintf(name, sizeof name, "tenant %u", n);
    return text_bytes(name);
}

static aril_status seal_for(aril_bytes id, size_t model, struct room *r)
{
    aril_kv_item item = room_sealing(r);
    const aril_status st = aril_tenants_seal(registry, id, model, &item, 1, NULL);
    return st == ARIL_E_BATCH ? item.status : st;
}

static aril_status open_for(aril_bytes id, size_t model, struct room *r)
{
    room_reset_out(r);
    aril_kv_item item = room_opening(r);
    const aril_status st = aril_tenants_open(registry, id, model, &item, 1, NULL);
    return st == ARIL_E_BATCH ? item.status : st;
}

static aril_tenant *hold(aril_bytes id)
{
    aril_tenant *t = NULL;
    assert_status(aril_tenants_get(registry, id, &t), ARIL_OK);
    assert_non_null(t);
    return t;
}

/* --- Coming and going ------------------------------------------------------------------------ */

static void a_tenant_exists_from_creation_to_closing(void **state)
{
    (void)state;
    begin(0);
    aril_tenant *t = (aril_tenant *)&w;
    assert_status(aril_tenants_get(registry, TEXT("a"), &t), ARIL_E_NOT_FOUND);
    assert_null(t);
    assert_int_equal(aril_tenants_count(registry), 0);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
    assert_int_equal(aril_tenants_count(registry), 1);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_E_EXISTS);
    assert_int_equal(aril_tenants_count(registry), 1);
    aril_tenant_put(hold(TEXT("a")));
    assert_status(aril_tenants_close(registry, TEXT("a")), ARIL_OK);
    assert_int_equal(aril_tenants_count(registry), 0);
    assert_status(aril_tenants_get(registry, TEXT("a"), &t), ARIL_E_NOT_FOUND);
    assert_status(aril_tenants_close(registry, TEXT("a")), ARIL_E_NOT_FOUND);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
    end();
}

static void creating_again_leaves_the_tenant_alone(void **state)
{
    (void)state;
    struct room r;
    const aril_kv_block block = chain_block(1);
    begin(0);
    room_init(&r, 64, 1, &block);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
    assert_status(seal_for(TEXT("a"), 0, &r), ARIL_OK);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_E_EXISTS);
    assert_status(open_for(TEXT("a"), 0, &r), ARIL_OK);
    assert_true(room_is_open(&r));
    room_done(&r);
    end();
}

static void a_full_registry_takes_nobody(void **state)
{
    (void)state;
    begin(3);
    for (unsigned i = 0; i < 3; i++) {
        assert_status(aril_tenants_create(registry, numbered(i)), ARIL_OK);
    }
    assert_status(aril_tenants_create(registry, numbered(3)), ARIL_E_LIMIT_TENANTS);
    assert_status(aril_tenants_create(registry, numbered(1)), ARIL_E_EXISTS);
    assert_int_equal(aril_tenants_count(registry), 3);
    assert_status(aril_tenants_close(registry, numbered(0)), ARIL_OK);
    assert_status(aril_tenants_create(registry, numbered(3)), ARIL_OK);
    assert_status(aril_tenants_create(registry, numbered(4)), ARIL_E_LIMIT_TENANTS);
    end();
}

static void a_tenant_id_is_any_bytes_but_nul(void **state)
{
    (void)state;
    uint8_t id[256];
    begin(0);
    for (size_t i = 0; i < sizeof id; i++) {
        id[i] = (uint8_t)(i % 255 + 1);
    }
    for (unsigned v = 1; v < 256; v++) { /* one byte each */
        const uint8_t byte = (uint8_t)v;
        assert_status(aril_tenants_create(registry, (aril_bytes){ &byte, 1 }), ARIL_OK);
    }
    assert_int_equal(aril_tenants_count(registry), 255);
    for (size_t len = 2; len <= 255; len += 11) { /* prefixes of one another */
        assert_status(aril_tenants_create(registry, (aril_bytes){ id, len }), ARIL_OK);
        assert_status(aril_tenants_create(registry, (aril_bytes){ id, len }), ARIL_E_EXISTS);
    }
    assert_status(aril_tenants_create(registry, (aril_bytes){ id, 255 }), ARIL_E_EXISTS);
    assert_status(aril_tenants_create(registry, (aril_bytes){ id, 256 }), ARIL_E_USAGE_RANGE);
    assert_status(aril_tenants_create(registry, (aril_bytes){ id, 0 }), ARIL_E_USAGE_RANGE);
    id[100] = 0;
    assert_status(aril_tenants_create(registry, (aril_bytes){ id, 200 }), ARIL_E_USAGE_RANGE);
    assert_status(aril_tenants_create(registry, (aril_bytes){ NULL, 4 }), ARIL_E_USAGE_NULL);
    aril_tenant *t = NULL;
    assert_status(aril_tenants_get(registry, (aril_bytes){ NULL, 0 }, &t), ARIL_E_NOT_FOUND);
    assert_status(aril_tenants_close(registry, (aril_bytes){ NULL, 0 }), ARIL_E_NOT_FOUND);
    end();
}

static void closing_wipes_what_was_sealed_for_ever(void **state)
{
    (void)state;
    struct room r;
    const aril_kv_block block = chain_block(1);
    begin(0);
    room_init(&r, 64, 1, &block);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
    assert_status(seal_for(TEXT("a"), 0, &r), ARIL_OK);
    world_forget(&w);
    assert_status(aril_tenants_close(registry, TEXT("a")), ARIL_OK);
    assert_int_equal(world_events(&w, ARIL_EVENT_CLOSE), 1);
    assert_int_equal(world_events(&w, ARIL_EVENT_RETIRE), 2);
    assert_status(open_for(TEXT("a"), 0, &r), ARIL_E_NOT_FOUND);
    assert_true(room_is_clean(&r));
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
    assert_status(open_for(TEXT("a"), 0, &r), ARIL_E_KEY_UNKNOWN);
    assert_true(room_is_clean(&r));
    room_done(&r);
    end();
}

static void a_held_tenant_outlives_closing_but_its_keys_do_not(void **state)
{
    (void)state;
    struct room r;
    const aril_kv_block block = chain_block(1);
    begin(0);
    room_init(&r, 64, 1, &block);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
    aril_tenant *t = hold(TEXT("a")), *again = hold(TEXT("a"));
    assert_ptr_equal(t, again);
    aril_tenant_put(again);
    room_seal(&r, aril_tenant_kv(t, 0));
    assert_status(aril_tenants_close(registry, TEXT("a")), ARIL_OK);
    assert_status(room_open(&r, aril_tenant_kv(t, 0)), ARIL_E_KEY_CLOSED);
    assert_int_equal(aril_session_tenant(aril_tenant_session(t)).len, 1);
    aril_session_info info;
    assert_status(aril_session_get_info(aril_tenant_session(t), &info), ARIL_OK);
    aril_tenant_put(t);
    aril_tenant_put(NULL);
    room_done(&r);
    end();
}

static void a_tenant_that_is_held_outlives_the_registry_but_its_keys_do_not(void **state)
{
    (void)state;
    struct room r;
    const aril_kv_block block = chain_block(1);
    begin(0);
    room_init(&r, 64, 1, &block);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
    aril_tenant *t = hold(TEXT("a"));
    room_seal(&r, aril_tenant_kv(t, 0));
    aril_tenants_free(registry);
    registry = NULL;
    assert_int_equal(world_events(&w, ARIL_EVENT_CLOSE), 2); /* the tenant's end, and this */
    assert_status(room_open(&r, aril_tenant_kv(t, 0)), ARIL_E_KEY_CLOSED);
    assert_true(room_is_clean(&r));
    aril_tenant_put(t);
    room_done(&r);
    aril_tenants_free(NULL);
    end();
}

/* --- Adopting --------------------------------------------------------------------------------- */

static void an_established_session_is_taken_over(void **state)
{
    (void)state;
    struct talk t;
    struct room r;
    const aril_kv_block block = chain_block(1);
    begin(0);
    room_init(&r, 64, 1, &block);
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&t, TALK_CONFIRM);
    assert_status(aril_tenants_adopt(registry, t.server), ARIL_OK);
    aril_tenant *held = hold(TEXT("tenant"));
    assert_ptr_equal(aril_tenant_session(held), t.server);
    aril_tenant_put(held);
    t.server = NULL; /* the registry's now */
    assert_int_equal(aril_tenants_count(registry), 1);
    assert_status(seal_for(TEXT("tenant"), 0, &r), ARIL_OK);
    assert_status(open_for(TEXT("tenant"), 0, &r), ARIL_OK);
    aril_kv_config config = view_config_peer(); /* and the tenant's end can read it */
    aril_kv *tenants_view = view_new(t.tenant, &config);
    assert_status(room_open(&r, tenants_view), ARIL_OK);
    aril_kv_free(tenants_view);
    talk_done(&t);
    room_done(&r);
    end();
}

static void a_newer_session_displaces_the_older_one(void **state)
{
    (void)state;
    struct talk first, second;
    struct room r;
    const aril_kv_block block = chain_block(1);
    begin(0);
    room_init(&r, 64, 1, &block);
    talk_init(&first, &w, ARIL_PROFILE_HYBRID, true);
    talk_init(&second, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&first, TALK_CONFIRM);
    assert_status(aril_tenants_adopt(registry, first.server), ARIL_OK);
    first.server = NULL;
    assert_status(seal_for(TEXT("tenant"), 0, &r), ARIL_OK);
    aril_tenant *held = hold(TEXT("tenant"));

    talk_until(&second, TALK_CONFIRM); /* established, but not adopted: nothing is displaced */
    assert_status(open_for(TEXT("tenant"), 0, &r), ARIL_OK);
    world_forget(&w);
    assert_status(aril_tenants_adopt(registry, second.server), ARIL_OK);
    second.server = NULL;
    assert_int_equal(world_events(&w, ARIL_EVENT_CLOSE), 1);
    assert_int_equal(aril_tenants_count(registry), 1);
    assert_status(open_for(TEXT("tenant"), 0, &r), ARIL_E_KEY_UNKNOWN);
    assert_status(room_open(&r, aril_tenant_kv(held, 0)), ARIL_E_KEY_CLOSED);
    assert_status(seal_for(TEXT("tenant"), 0, &r), ARIL_OK);
    assert_status(open_for(TEXT("tenant"), 0, &r), ARIL_OK);
    aril_tenant_put(held);
    talk_done(&first);
    talk_done(&second);
    room_done(&r);
    end();
}

/* Somebody held the confirm of an older accept back: it must not undo the newer one. */
static void a_session_that_was_accepted_earlier_displaces_nothing(void **state)
{
    (void)state;
    struct talk first, second;
    struct room r;
    const aril_kv_block block = chain_block(1);
    begin(0);
    room_init(&r, 64, 1, &block);
    talk_init(&first, &w, ARIL_PROFILE_HYBRID, true);
    talk_init(&second, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&first, TALK_FINISH);
    talk_until(&second, TALK_CONFIRM);
    assert_status(aril_tenants_adopt(registry, second.server), ARIL_OK);
    second.server = NULL;
    assert_status(seal_for(TEXT("tenant"), 0, &r), ARIL_OK);
    assert_status(talk_confirm(&first), ARIL_OK);
    assert_status(aril_tenants_adopt(registry, first.server), ARIL_E_EXISTS);
    assert_status(open_for(TEXT("tenant"), 0, &r), ARIL_OK);
    assert_ends_agree(first.tenant, first.server); /* still the caller's, and open */
    assert_status(aril_tenants_close(registry, TEXT("tenant")), ARIL_OK);
    assert_status(aril_tenants_adopt(registry, first.server), ARIL_OK); /* nothing in place */
    first.server = NULL;
    talk_done(&first);
    talk_done(&second);
    room_done(&r);
    end();
}

static void adopting_displaces_a_created_tenant_too(void **state)
{
    (void)state;
    struct talk t;
    begin(1);
    assert_status(aril_tenants_create(registry, TEXT("tenant")), ARIL_OK);
    talk_init(&t, &w, ARIL_PROFILE_STRICT, true); /* of another profile than create() makes */
    talk_until(&t, TALK_CONFIRM);
    assert_status(aril_tenants_adopt(registry, t.server), ARIL_OK); /* needs no further place */
    t.server = NULL;
    assert_int_equal(aril_tenants_count(registry), 1);
    talk_done(&t);
    end();
}

static void a_session_that_is_not_taken_stays_with_the_caller(void **state)
{
    (void)state;
    struct talk t;
    struct world other;
    begin(1);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&t, TALK_CONFIRM);
    assert_status(aril_tenants_adopt(registry, t.server), ARIL_E_LIMIT_TENANTS);
    assert_status(aril_tenants_adopt(registry, t.tenant), ARIL_E_USAGE_RANGE); /* wrong end */
    assert_status(aril_tenants_adopt(registry, NULL), ARIL_E_USAGE_NULL);
    assert_status(aril_tenants_adopt(NULL, t.server), ARIL_E_USAGE_NULL);
    assert_ends_agree(t.tenant, t.server);
    talk_done(&t);
    world_init(&other); /* of another runtime */
    talk_init(&t, &other, ARIL_PROFILE_HYBRID, true);
    talk_until(&t, TALK_CONFIRM);
    assert_status(aril_tenants_adopt(registry, t.server), ARIL_E_USAGE_RANGE);
    assert_ends_agree(t.tenant, t.server);
    talk_done(&t);
    world_done(&other);
    end();
}

/* --- By tenant id --------------------------------------------------------------------------------
 */

static void records_go_by_tenant_and_model(void **state)
{
    (void)state;
    struct room r;
    const aril_kv_block block = chain_block(1);
    begin(0);
    room_init(&r, 64, 1, &block);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
    assert_status(aril_tenants_create(registry, TEXT("b")), ARIL_OK);
    assert_status(seal_for(TEXT("a"), 0, &r), ARIL_OK);
    assert_status(open_for(TEXT("a"), 0, &r), ARIL_OK);
    assert_true(room_is_open(&r));
    assert_status(open_for(TEXT("a"), 1, &r), ARIL_E_AUTH); /* another model */
    assert_true(room_is_clean(&r));
    assert_status(open_for(TEXT("b"), 0, &r), ARIL_E_ISOLATION);
    assert_true(room_is_clean(&r));
    assert_status(open_for(TEXT("c"), 0, &r), ARIL_E_NOT_FOUND);
    assert_status(open_for(TEXT("a"), 2, &r), ARIL_E_USAGE_RANGE);
    assert_status(seal_for(TEXT("a"), SIZE_MAX, &r), ARIL_E_USAGE_RANGE);
    assert_status(seal_for(TEXT("a"), 1, &r), ARIL_OK);
    assert_status(open_for(TEXT("a"), 1, &r), ARIL_OK);
    aril_tenant *t = hold(TEXT("a"));
    assert_non_null(aril_tenant_kv(t, 1));
    assert_null(aril_tenant_kv(t, 2));
    assert_null(aril_tenant_kv(t, SIZE_MAX));
    assert_null(aril_tenant_kv(NULL, 0));
    assert_null(aril_tenant_session(NULL));
    aril_tenant_put(t);
    room_done(&r);
    end();
}

static void an_unknown_tenant_touches_no_item(void **state)
{
    (void)state;
    struct room r;
    const aril_kv_block block = chain_block(1);
    size_t failed = 4711;
    begin(0);
    room_init(&r, 64, 1, &block);
    aril_kv_item item = room_sealing(&r);
    item.status = (aril_status)0x5c5c;
    assert_status(aril_tenants_seal(registry, TEXT("x"), 0, &item, 1, &failed), ARIL_E_NOT_FOUND);
    assert_status(aril_tenants_open(registry, TEXT("x"), 0, &item, 1, &failed), ARIL_E_NOT_FOUND);
    assert_status(aril_tenants_seal(registry, TEXT("x"), 9, &item, 1, &failed), ARIL_E_USAGE_RANGE);
    assert_status(aril_tenants_seal(NULL, TEXT("x"), 0, &item, 1, &failed), ARIL_E_USAGE_NULL);
    assert_int_equal(failed, 4711);
    assert_int_equal(item.status, 0x5c5c);
    assert_true(is_filled(r.body.data, r.len, GUARD_FILLER));
    room_done(&r);
    end();
}

#define MANY 1000u

/* Each opens its own; of the others a sample is shown to each. */
static void a_thousand_tenants_are_apart(void **state)
{
    (void)state;
    static struct room rooms[MANY];
    const aril_kv_block block = chain_block(1); /* the same block for all of them */
    begin(MANY);
    for (unsigned i = 0; i < MANY; i++) {
        room_init(&rooms[i], 32, i, &block);
        assert_status(aril_tenants_create(registry, numbered(i)), ARIL_OK);
        assert_status(seal_for(numbered(i), 0, &rooms[i]), ARIL_OK);
    }
    assert_int_equal(aril_tenants_count(registry), MANY);
    world_forget(&w);
    uint64_t violations = 0;
    for (unsigned i = 0; i < MANY; i++) {
        assert_status(open_for(numbered(i), 0, &rooms[i]), ARIL_OK);
        assert_true(room_is_open(&rooms[i]));
        for (unsigned k = 1; k < 8; k++) {
            struct room *theirs = &rooms[(i + k * k * 31) % MANY];
            assert_status(open_for(numbered(i), 0, theirs), ARIL_E_ISOLATION);
            assert_true(room_is_clean(theirs));
            violations++;
        }
    }
    assert_int_equal(world_events(&w, ARIL_EVENT_ISOLATION_VIOLATION), violations);
    for (unsigned i = 0; i < MANY; i += 2) { /* every second one goes */
        assert_status(aril_tenants_close(registry, numbered(i)), ARIL_OK);
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_status(open_for(numbered(i), 0, &rooms[i]), i % 2 == 0 ? ARIL_E_NOT_FOUND : ARIL_OK);
        room_done(&rooms[i]);
    }
    assert_int_equal(aril_tenants_count(registry), MANY / 2);
    end();
}

/* --- Listing
 * ----------------------------------------------------------------------------------------- */

struct seen {
    bool tenants[MANY];
    size_t count, stop_after;
    bool closes; /* the visitor calls the registry */
};

static int see(void *user, aril_bytes id, const aril_session_info *info)
{
    struct seen *seen = user;
    unsigned n = 0;
    char name[32] = "";
    assert_in_range(id.len, 1, sizeof name - 1);
    memcpy(name, id.data, id.len);
    assert_int_equal(sscanf(name, "tenant %u", &n), 1);
    assert_in_range(n, 0, MANY - 1);
    assert_false(seen->tenants[n]);
    assert_int_equal(info->sends, ARIL_SERVER_TO_TENANT);
    seen->tenants[n] = true;
    seen->count++;
    if (seen->closes) {
        assert_status(aril_tenants_close(registry, id), ARIL_OK);
    }
    return seen->count == seen->stop_after;
}

static void every_tenant_is_listed_once(void **state)
{
    (void)state;
    struct seen seen = { .count = 0 };
    begin(0);
    assert_status(aril_tenants_list(registry, see, &seen), ARIL_OK);
    assert_int_equal(seen.count, 0);
    for (unsigned i = 0; i < 200; i++) {
        assert_status(aril_tenants_create(registry, numbered(i)), ARIL_OK);
    }
    assert_status(aril_tenants_list(registry, see, &seen), ARIL_OK);
    assert_int_equal(seen.count, 200);
    seen = (struct seen){ .stop_after = 7 };
    assert_status(aril_tenants_list(registry, see, &seen), ARIL_OK);
    assert_int_equal(seen.count, 7);
    seen = (struct seen){ .closes = true };
    assert_status(aril_tenants_list(registry, see, &seen), ARIL_OK);
    assert_int_equal(seen.count, 200);
    assert_int_equal(aril_tenants_count(registry), 0);
    assert_status(aril_tenants_list(registry, NULL, &seen), ARIL_E_USAGE_NULL);
    assert_status(aril_tenants_list(NULL, see, &seen), ARIL_E_USAGE_NULL);
    end();
}

/* --- The configuration
 * -------------------------------------------------------------------------------- */

static void assert_no_registry(const aril_tenants_config *config, aril_status want)
{
    aril_tenants *none = (aril_tenants *)&w;
    assert_status(aril_tenants_new(w.rt, config, &none), want);
    assert_null(none);
}

static void a_registry_checks_its_configuration(void **state)
{
    (void)state;
    begin(0);
    const aril_tenants_config good = config_of(0);
    aril_tenants_config c = good;
    aril_tenants *none = (aril_tenants *)&w;
    assert_status(aril_tenants_new(NULL, &c, &none), ARIL_E_USAGE_NULL);
    assert_null(none);
    assert_status(aril_tenants_new(w.rt, &c, NULL), ARIL_E_USAGE_NULL);
    assert_no_registry(NULL, ARIL_E_USAGE_NULL);
    c.models = NULL;
    assert_no_registry(&c, ARIL_E_USAGE_NULL);
    c = good;
    c.identity = NULL;
    assert_no_registry(&c, ARIL_E_USAGE_NULL);
    c.identity = fixture_identity(ARIL_ML_DSA_87, 0); /* not hybrid's */
    assert_no_registry(&c, ARIL_E_USAGE_RANGE);
    c.profile = (aril_profile)9;
    assert_no_registry(&c, ARIL_E_USAGE_RANGE);
    c = good;
    c.model_count = 0;
    assert_no_registry(&c, ARIL_E_USAGE_RANGE);
    c.model_count = ARIL_TENANTS_MODELS_MAX + 1;
    assert_no_registry(&c, ARIL_E_USAGE_RANGE);
    c = good;
    c.tenants_max = ARIL_TENANTS_MAX + 1;
    assert_no_registry(&c, ARIL_E_USAGE_RANGE);
    c = good;
    c.tag_key.len = 31;
    assert_no_registry(&c, ARIL_E_USAGE_RANGE);
    c.tag_key = (aril_bytes){ NULL, 32 };
    assert_no_registry(&c, ARIL_E_USAGE_NULL);
    c = good;
    c.policy = &(aril_policy){ .ttl_s = 2592001 };
    assert_no_registry(&c, ARIL_E_USAGE_RANGE);
    c = good;
    models[1].model = (aril_bytes){ NULL, 4 };
    assert_no_registry(&c, ARIL_E_USAGE_NULL);
    models[1] = view_config();
    models[0].layout.name = NULL;
    assert_no_registry(&c, ARIL_E_USAGE_NULL);
    assert_int_equal(aril_tenants_count(NULL), 0);
    end();
}

static void everything_but_the_identity_is_copied(void **state)
{
    (void)state;
    char model[] = "model@1", name[] = "test/rows", dtype[] = "f16";
    uint8_t tag_key[32];
    aril_policy policy = { .ttl_s = 77 };
    struct room r;
    const aril_kv_block block = chain_block(1);
    world_init(&w);
    room_init(&r, 64, 1, &block);
    aril_tenants_config config = config_of(0);
    memcpy(tag_key, config.tag_key.data, sizeof tag_key);
    config.tag_key.data = tag_key;
    config.policy = &policy;
    models[0].model = text_bytes(model);
    models[0].layout.name = name;
    models[0].layout.dtype = dtype;
    assert_status(aril_tenants_new(w.rt, &config, &registry), ARIL_OK);
    memset(models, 0xee, sizeof models);
    memset(model, 'x', sizeof model - 1);
    memset(name, 'x', sizeof name - 1);
    memset(dtype, 'x', sizeof dtype - 1);
    memset(tag_key, 0xee, sizeof tag_key);
    policy.ttl_s = 5;
    assert_status(aril_tenants_create(registry, TEXT("tenant")), ARIL_OK);
    aril_tenant *t = hold(TEXT("tenant"));
    aril_session_info info;
    assert_status(aril_session_get_info(aril_tenant_session(t), &info), ARIL_OK);
    assert_int_equal(info.policy.ttl_s, 77);
    assert_int_equal(info.tenant_tag, UINT64_C(0x161798aea36ebb1c)); /* of the first tag key */
    assert_status(seal_for(TEXT("tenant"), 0, &r), ARIL_OK);
    const aril_kv_config same = view_config();
    aril_kv *view = view_new(aril_tenant_session(t), &same);
    assert_status(room_open(&r, view), ARIL_OK); /* sealed for model and layout as they were */
    aril_kv_free(view);
    aril_tenant_put(t);
    room_done(&r);
    end();
}

static void without_a_tag_key_each_registry_draws_its_own(void **state)
{
    (void)state;
    uint64_t tags[2];
    world_init(&w);
    for (size_t i = 0; i < 2; i++) {
        aril_tenants_config config = config_of(0);
        config.tag_key = (aril_bytes){ NULL, 0 };
        assert_status(aril_tenants_new(w.rt, &config, &registry), ARIL_OK);
        assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
        aril_tenant *t = hold(TEXT("a"));
        aril_session_info info;
        assert_status(aril_session_get_info(aril_tenant_session(t), &info), ARIL_OK);
        tags[i] = info.tenant_tag;
        aril_tenant_put(t);
        aril_tenants_free(registry);
    }
    assert_true(tags[0] != tags[1]);
    registry = NULL;
    end();
}

/* The views check their models, so a wrong one shows with the first tenant. */
static void a_model_that_no_view_takes_lets_no_tenant_in(void **state)
{
    (void)state;
    world_init(&w);
    const aril_tenants_config config = config_of(0);
    models[1].slot_pins = SIZE_MAX;
    const aril_status st = aril_tenants_new(w.rt, &config, &registry);
    if (st == ARIL_OK) { /* or at once */
        assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_E_USAGE_RANGE);
        assert_int_equal(aril_tenants_count(registry), 0);
    } else {
        assert_status(st, ARIL_E_USAGE_RANGE);
    }
    end();
}

static void expired_tenants_stay_listed_until_they_are_closed(void **state)
{
    (void)state;
    struct room r;
    struct seen seen = { .count = 0 };
    const aril_kv_block block = chain_block(1);
    begin(0);
    room_init(&r, 64, 1, &block);
    assert_status(aril_tenants_create(registry, numbered(1)), ARIL_OK);
    fake_clock_add_s(&w.clock, 900);
    assert_status(seal_for(numbered(1), 0, &r), ARIL_E_EXPIRED);
    assert_status(aril_tenants_list(registry, see, &seen), ARIL_OK);
    assert_int_equal(seen.count, 1);
    assert_status(aril_tenants_create(registry, numbered(1)), ARIL_E_EXISTS);
    assert_status(aril_tenants_close(registry, numbered(1)), ARIL_OK);
    assert_status(aril_tenants_create(registry, numbered(1)), ARIL_OK);
    assert_status(seal_for(numbered(1), 0, &r), ARIL_OK);
    room_done(&r);
    end();
}

/* --- In a forked child
 * ----------------------------------------------------------------------------- */

static int see_nobody(void *user, aril_bytes id, const aril_session_info *info)
{
    (void)user;
    (void)id;
    (void)info;
    return 1;
}

static int child_is_refused(void *arg)
{
    struct talk *t = arg;
    struct room r;
    aril_tenant *held = (aril_tenant *)&w;
    const aril_kv_block block = chain_block(1);
    const aril_tenants_config config = config_of(0);
    aril_tenants *fresh = (aril_tenants *)&w;
    (void)alarm(60);
    room_init(&r, 64, 1, &block);
    if (aril_tenants_get(registry, TEXT("a"), &held) != ARIL_E_FORKED || held != NULL) {
        return 1;
    }
    if (seal_for(TEXT("a"), 0, &r) != ARIL_E_FORKED ||
        open_for(TEXT("a"), 0, &r) != ARIL_E_FORKED) {
        return 2;
    }
    if (aril_tenants_create(registry, TEXT("b")) != ARIL_E_FORKED ||
        aril_tenants_close(registry, TEXT("a")) != ARIL_E_FORKED ||
        aril_tenants_adopt(registry, t->server) != ARIL_E_FORKED ||
        aril_tenants_list(registry, see_nobody, NULL) != ARIL_E_FORKED) {
        return 3;
    }
    if (aril_tenants_new(w.rt, &config, &fresh) != ARIL_E_FORKED || fresh != NULL) {
        return 4;
    }
    room_done(&r);
    aril_session_close(t->server);
    aril_tenants_free(registry);
    return 0;
}

static void a_forked_child_can_do_nothing_but_free(void **state)
{
    (void)state;
    struct talk t;
    begin(0);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&t, TALK_CONFIRM);
    assert_int_equal(child_run(child_is_refused, &t), 0);
    assert_int_equal(aril_tenants_count(registry), 1);
    assert_status(aril_tenants_adopt(registry, t.server), ARIL_OK);
    t.server = NULL;
    talk_done(&t);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tenant_exists_from_creation_to_closing),
        cmocka_unit_test(creating_again_leaves_the_tenant_alone),
        cmocka_unit_test(a_full_registry_takes_nobody),
        cmocka_unit_test(a_tenant_id_is_any_bytes_but_nul),
        cmocka_unit_test(closing_wipes_what_was_sealed_for_ever),
        cmocka_unit_test(a_held_tenant_outlives_closing_but_its_keys_do_not),
        cmocka_unit_test(a_tenant_that_is_held_outlives_the_registry_but_its_keys_do_not),
        cmocka_unit_test(an_established_session_is_taken_over),
        cmocka_unit_test(a_newer_session_displaces_the_older_one),
        cmocka_unit_test(a_session_that_was_accepted_earlier_displaces_nothing),
        cmocka_unit_test(adopting_displaces_a_created_tenant_too),
        cmocka_unit_test(a_session_that_is_not_taken_stays_with_the_caller),
        cmocka_unit_test(records_go_by_tenant_and_model),
        cmocka_unit_test(an_unknown_tenant_touches_no_item),
        cmocka_unit_test(a_thousand_tenants_are_apart),
        cmocka_unit_test(every_tenant_is_listed_once),
        cmocka_unit_test(a_registry_checks_its_configuration),
        cmocka_unit_test(everything_but_the_identity_is_copied),
        cmocka_unit_test(without_a_tag_key_each_registry_draws_its_own),
        cmocka_unit_test(a_model_that_no_view_takes_lets_no_tenant_in),
        cmocka_unit_test(a_forked_child_can_do_nothing_but_free),
        cmocka_unit_test(expired_tenants_stay_listed_until_they_are_closed),
    };
    return cmocka_run_group_tests_name("tenants", tests, NULL, NULL);
}
