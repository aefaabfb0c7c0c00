/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation and each primitive of a registry fails once: nobody comes in half, nobody is
 * displaced by a session that was not taken, and the same call works afterwards. */
#include "faulty_world.h"
#include "provider.h"
#include <aril/tenants.h>
#include <stdio.h>
#include <string.h>

static struct faulty_world f;
static aril_tenants *registry;
static aril_kv_config models[2];

static aril_tenants_config config_of(void)
{
    models[0] = view_config();
    models[1] = view_config();
    models[1].model = TEXT("second");
    return (aril_tenants_config){ .models = models, .model_count = 2, .identity = f.server };
}

static int setup(void **state)
{
    (void)state;
    faulty_world_init(&f);
    const aril_tenants_config config = config_of();
    assert_status(aril_tenants_new(f.w.rt, &config, &registry), ARIL_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    aril_tenants_free(registry);
    faulty_world_done(&f);
    return 0;
}

static aril_status seal_for(aril_bytes id, struct room *r)
{
    aril_kv_item item = room_sealing(r);
    const aril_status st = aril_tenants_seal(registry, id, 0, &item, 1, NULL);
    return st == ARIL_E_BATCH ? item.status : st;
}

static aril_status open_for(aril_bytes id, struct room *r)
{
    room_reset_out(r);
    aril_kv_item item = room_opening(r);
    const aril_status st = aril_tenants_open(registry, id, 0, &item, 1, NULL);
    return st == ARIL_E_BATCH ? item.status : st;
}

static void a_registry_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    const aril_tenants_config config = config_of();
    for (int what = 0; what < FAULTS; what++) {
        for (unsigned n = 1;; n++) {
            aril_tenants *fresh = (aril_tenants *)&f;
            fault_arm(&f, (enum fault)what, n);
            const aril_status st = aril_tenants_new(f.w.rt, &config, &fresh);
            if (!fault_disarm(&f, (enum fault)what)) {
                assert_status(st, ARIL_OK);
                aril_tenants_free(fresh);
                assert_true(n > 2);
                break;
            }
            assert_fault(&f, (enum fault)what, n, st);
            assert_null(fresh);
        }
    }
    aril_tenants *fresh = (aril_tenants *)&f;
    faulty_crypto_arm_random(f.crypto, ARIL_E_RANDOM);
    assert_status(aril_tenants_new(f.w.rt, &config, &fresh), ARIL_E_RANDOM);
    assert_null(fresh);
    faulty_crypto_disarm(f.crypto);
}

static void a_tenant_is_created_whole_or_not_at_all(void **state)
{
    (void)state;
    struct room r;
    const aril_kv_block block = chain_block(1);
    room_init(&r, 50, 1, &block);
    for (int what = 0; what < FAULTS; what++) {
        for (unsigned n = 1;; n++) {
            const unsigned alive = faulty_crypto_alive(f.crypto);
            fault_arm(&f, (enum fault)what, n);
            const aril_status st = aril_tenants_create(registry, TEXT("a"));
            if (!fault_disarm(&f, (enum fault)what)) {
                assert_status(st, ARIL_OK);
                assert_true(n > 10);
                break;
            }
            aril_tenant *t = (aril_tenant *)&f;
            assert_fault(&f, (enum fault)what, n, st);
            assert_int_equal(aril_tenants_count(registry), 0);
            assert_status(aril_tenants_get(registry, TEXT("a"), &t), ARIL_E_NOT_FOUND);
            assert_int_equal(faulty_crypto_alive(f.crypto), alive);
        }
        assert_status(seal_for(TEXT("a"), &r), ARIL_OK);
        assert_status(open_for(TEXT("a"), &r), ARIL_OK);
        assert_status(aril_tenants_close(registry, TEXT("a")), ARIL_OK);
    }
    room_done(&r);
}

static aril_bytes numbered(unsigned n)
{
    static char name[32];
    (void)snprintf(name, sizeof name, "tenant %u", n);
    return text_bytes(name);
}

/* Allocations of a creation that needs nothing unusual. */
static unsigned allocations_of_a_creation(void)
{
    for (unsigned n = 1;; n++) {
        fault_arm(&f, FAULT_ALLOC, n);
        const aril_status st = aril_tenants_create(registry, TEXT("first"));
        if (!fault_disarm(&f, FAULT_ALLOC)) {
            assert_status(st, ARIL_OK);
            return n - 1;
        }
    }
}

/* Buckets that cannot be doubled grow longer: the one failure that is no failure. */
static void a_table_that_cannot_grow_still_finds_everybody(void **state)
{
    (void)state;
    const unsigned usual = allocations_of_a_creation();
    unsigned tolerated = 0;
    for (unsigned i = 0; i < 200; i++) {
        fault_arm(&f, FAULT_ALLOC, usual + 1); /* the growth comes last */
        const aril_status st = aril_tenants_create(registry, numbered(i));
        const bool fired = fault_disarm(&f, FAULT_ALLOC);
        tolerated += fired && st == ARIL_OK;
        if (st != ARIL_OK) { /* it was the arena of secrets that grew, earlier */
            assert_fault(&f, FAULT_ALLOC, usual + 1, st);
            assert_status(aril_tenants_create(registry, numbered(i)), ARIL_OK);
        }
    }
    assert_true(tolerated > 10);
    assert_int_equal(aril_tenants_count(registry), 201);
    for (unsigned i = 0; i < 200; i++) {
        aril_tenant *t = NULL;
        assert_status(aril_tenants_get(registry, numbered(i), &t), ARIL_OK);
        aril_tenant_put(t);
    }
}

static void a_session_is_adopted_whole_or_not_at_all(void **state)
{
    (void)state;
    struct room r;
    struct talk first, second;
    const aril_kv_block block = chain_block(1);
    room_init(&r, 50, 1, &block);
    for (int what = 0; what < FAULTS; what++) {
        faulty_talk_init(&f, &first, false);
        faulty_talk_init(&f, &second, false);
        talk_until(&first, TALK_CONFIRM);
        talk_until(&second, TALK_CONFIRM);
        assert_status(aril_tenants_adopt(registry, first.server), ARIL_OK);
        first.server = NULL;
        assert_status(seal_for(TEXT("tenant"), &r), ARIL_OK);
        for (unsigned n = 1;; n++) {
            fault_arm(&f, (enum fault)what, n);
            const aril_status st = aril_tenants_adopt(registry, second.server);
            if (!fault_disarm(&f, (enum fault)what)) {
                assert_status(st, ARIL_OK);
                second.server = NULL;
                assert_true(n > 2);
                break;
            }
            assert_fault(&f, (enum fault)what, n, st);
            assert_status(open_for(TEXT("tenant"), &r), ARIL_OK); /* the older one is in place */
            assert_ends_agree(second.tenant, second.server);      /* and this one the caller's */
        }
        assert_status(open_for(TEXT("tenant"), &r), ARIL_E_KEY_UNKNOWN);
        assert_int_equal(aril_tenants_count(registry), 1);
        assert_status(aril_tenants_close(registry, TEXT("tenant")), ARIL_OK);
        talk_done(&first);
        talk_done(&second);
    }
    room_done(&r);
}

static int count_one(void *user, aril_bytes id, const aril_session_info *info)
{
    (void)id;
    (void)info;
    ++*(size_t *)user;
    return 0;
}

static void a_list_without_memory_says_so(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_status(aril_tenants_create(registry, numbered(i)), ARIL_OK);
    }
    for (unsigned n = 1;; n++) {
        size_t seen = 0;
        fault_arm(&f, FAULT_ALLOC, n);
        const aril_status st = aril_tenants_list(registry, count_one, &seen);
        if (!fault_disarm(&f, FAULT_ALLOC)) {
            assert_status(st, ARIL_OK);
            assert_int_equal(seen, 20);
            assert_true(n > 2);
            break;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_true(seen < 20);
    }
}

/* Looking up, sealing, opening and closing work when there is no memory at all. */
static void everything_else_needs_no_memory(void **state)
{
    (void)state;
    struct room r;
    aril_tenant *t = NULL;
    const aril_kv_block block = chain_block(1);
    room_init(&r, 50, 1, &block);
    assert_status(aril_tenants_create(registry, TEXT("a")), ARIL_OK);
    assert_status(seal_for(TEXT("a"), &r), ARIL_OK); /* the first use makes the context */
    fault_arm(&f, FAULT_ALLOC, 1);
    const aril_status got = aril_tenants_get(registry, TEXT("a"), &t);
    aril_tenant_put(t);
    const aril_status sealed = seal_for(TEXT("a"), &r), opened = open_for(TEXT("a"), &r);
    const aril_status closed = aril_tenants_close(registry, TEXT("a"));
    assert_false(fault_disarm(&f, FAULT_ALLOC));
    assert_status(got, ARIL_OK);
    assert_status(sealed, ARIL_OK);
    assert_status(opened, ARIL_OK);
    assert_status(closed, ARIL_OK);
    room_done(&r);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_registry_is_made_whole_or_not_at_all),
        CASE(a_tenant_is_created_whole_or_not_at_all),
        CASE(a_table_that_cannot_grow_still_finds_everybody),
        CASE(a_session_is_adopted_whole_or_not_at_all),
        CASE(a_list_without_memory_says_so),
        CASE(everything_else_needs_no_memory),
    };
    return cmocka_run_group_tests_name("tenants faults", tests, provider_setup, provider_teardown);
}
