/* SPDX-License-Identifier: Apache-2.0 */
/* Once a key is in use, sealing and opening allocate nothing: neither the library, whose
 * allocations the linker hands to fault_alloc.c, nor libcrypto, which is given counting
 * functions before anybody else can give it some. */
#include "fault_alloc.h"
#include "fixture.h"
#include <aril/tenants.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static _Atomic size_t crypto_allocations;

static void *count_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    atomic_fetch_add(&crypto_allocations, 1);
    return malloc(size);
}

static void *count_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    atomic_fetch_add(&crypto_allocations, 1);
    return realloc(p, size);
}

static void count_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

#define BATCH 24u

static struct world w;
static struct pair p;
static aril_pool *pool;
static struct room rooms[BATCH];
static aril_kv_item items[BATCH];

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("tenant"), NULL);
    assert_status(aril_pool_new(2, &pool), ARIL_OK);
    for (unsigned i = 0; i < BATCH; i++) {
        const aril_kv_block block = i % 2 == 0 ? chain_block(i) : slot_block(i, 0);
        room_init(&rooms[i], 64 * 1024, i, &block);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BATCH; i++) {
        room_done(&rooms[i]);
    }
    aril_pool_free(pool);
    pair_done(&p);
    world_done(&w);
    return 0;
}

static size_t begin_counting(void)
{
    fault_alloc_arm(1);
    return atomic_load(&crypto_allocations);
}

static void assert_nothing_allocated(size_t before)
{
    const size_t after = atomic_load(&crypto_allocations);
    fault_alloc_disarm();
    assert_false(fault_alloc_fired());
    assert_int_equal(after, before);
}

/* Records of every outcome, one by one. No status is looked at before the count is: an assert
 * would allocate. */
static void one_by_one(aril_kv *sender, aril_kv *receiver, aril_status *ret)
{
    for (unsigned i = 0; i < BATCH; i++) {
        aril_kv_item item = room_sealing(&rooms[i]);
        ret[0] = aril_kv_seal(sender, &item);
        item = room_opening(&rooms[i]);
        item.staging = i % 3 == 0 ? rooms[i].staging.data : NULL;
        ret[1] = aril_kv_open(receiver, &item);
        ret[2] = aril_kv_open(receiver, &item); /* again: a replay */
        rooms[i].body.data[9] ^= 1;
        item = room_opening(&rooms[i]);
        ret[3] = aril_kv_open(sender, &item); /* reflected */
        rooms[i].seal.data[8] ^= 1;
        ret[4] = aril_kv_open(receiver, &item); /* of another tenant */
        item.block = NULL;
        ret[5] = aril_kv_seal(sender, &item);
    }
}

static void records_allocate_nothing(void **state)
{
    (void)state;
    aril_kv_config config = view_config_peer();
    config.mode = ARIL_KV_ONCE;
    aril_kv *sender = view_new(p.tenant, &config), *receiver = view_new(p.server, &config);
    aril_status st[6];
    one_by_one(sender, receiver, st); /* makes contexts */
    const size_t before = begin_counting();
    one_by_one(sender, receiver, st);
    assert_nothing_allocated(before);
    assert_true(before > 0); /* libcrypto is counted */
    assert_status(st[0], ARIL_OK);
    assert_status(st[1], ARIL_OK);
    assert_status(st[2], ARIL_E_REPLAY);
    assert_status(st[3], ARIL_E_AUTH);
    assert_status(st[4], ARIL_E_ISOLATION);
    assert_status(st[5], ARIL_E_USAGE_NULL);
    aril_kv_free(sender);
    aril_kv_free(receiver);
}

static aril_status all(aril_kv *kv, bool opening)
{
    for (unsigned i = 0; i < BATCH; i++) {
        items[i] = opening ? room_opening(&rooms[i]) : room_sealing(&rooms[i]);
    }
    return opening ? aril_kv_open_batch(kv, items, BATCH, NULL)
                   : aril_kv_seal_batch(kv, items, BATCH, NULL);
}

static void batches_allocate_nothing(void **state)
{
    (void)state;
    const aril_kv_config config = view_config();
    aril_kv *kv = view_new(p.server, &config);
    aril_status sealed = all(kv, false), opened = all(kv, true);
    const size_t before = begin_counting();
    for (unsigned round = 0; round < 3; round++) {
        sealed = all(kv, false);
        opened = all(kv, true);
    }
    assert_nothing_allocated(before);
    assert_status(sealed, ARIL_OK);
    assert_status(opened, ARIL_OK);
    aril_kv_free(kv);
}

/* A thread of a pool makes its context when it first works, and which of them work is chance:
 * so rounds are run until one allocates nothing. */
static void batches_on_a_pool_allocate_nothing_in_the_end(void **state)
{
    (void)state;
    aril_kv_config config = view_config();
    config.executor = aril_pool_executor(pool);
    aril_kv *kv = view_new(p.server, &config);
    bool quiet = false;
    for (unsigned round = 0; round < 2000 && !quiet; round++) {
        assert_status(all(kv, false), ARIL_OK);
        assert_status(all(kv, true), ARIL_OK);
        const size_t before = begin_counting();
        const aril_status sealed = all(kv, false), opened = all(kv, true);
        const size_t after = atomic_load(&crypto_allocations);
        fault_alloc_disarm();
        quiet = after == before && !fault_alloc_fired();
        assert_true(!quiet || (sealed == ARIL_OK && opened == ARIL_OK));
    }
    assert_true(quiet);
    aril_kv_free(kv);
}

static void refusals_at_the_end_of_a_session_allocate_nothing(void **state)
{
    (void)state;
    const aril_kv_config config = view_config();
    aril_kv *kv = view_new(p.server, &config);
    aril_status sealed = all(kv, false);
    assert_status(sealed, ARIL_OK);
    const size_t before = begin_counting();
    fake_clock_add_s(&w.clock, 900);
    sealed = all(kv, false);
    const aril_status opened = all(kv, true);
    assert_nothing_allocated(before);
    assert_status(sealed, ARIL_E_BATCH);
    assert_status(opened, ARIL_E_BATCH);
    assert_status(items[3].status, ARIL_E_EXPIRED);
    aril_kv_free(kv);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    /* The first allocation of libcrypto fixes whose functions it uses. */
    if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1) {
        return 1;
    }
    OPENSSL_free(OPENSSL_malloc(1));
    const struct CMUnitTest tests[] = {
        CASE(records_allocate_nothing),
        CASE(batches_allocate_nothing),
        CASE(batches_on_a_pool_allocate_nothing_in_the_end),
        CASE(refusals_at_the_end_of_a_session_allocate_nothing),
    };
    return cmocka_run_group_tests_name("kv allocations", tests, NULL, NULL);
}
