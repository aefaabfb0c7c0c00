/* SPDX-License-Identifier: Apache-2.0 */
/* Epochs that come and go as fast as they can: one record each, one readable. Threads wipe an
 * epoch while others already use its memory again. */
#include "fixture.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 4u
#define RECORDS 400u

static struct world w;
static struct pair p;
static aril_kv *kv;

struct made {
    aril_seal_info info;
};
static struct made made[THREADS][RECORDS];

static void *seal_many(void *arg)
{
    const size_t me = (size_t)(uintptr_t)arg;
    const aril_kv_block block = chain_block(me);
    uint8_t plain[64], body[64], seal[ARIL_SEAL_BYTES];
    memset(plain, 'P', sizeof plain);
    const aril_span span = { plain, sizeof plain };
    for (size_t i = 0; i < RECORDS; i++) {
        aril_kv_item item = { .block = &block,
                              .spans = &span,
                              .span_count = 1,
                              .body = body,
                              .body_len = sizeof body,
                              .seal = seal };
        if (aril_kv_seal(kv, &item) != ARIL_OK ||
            aril_seal_inspect(seal, &made[me][i].info) != ARIL_OK) {
            return (void *)1;
        }
    }
    return NULL;
}

static int by_key_and_sequence(const void *a, const void *b)
{
    const aril_seal_info *x = &((const struct made *)a)->info, *y = &((const struct made *)b)->info;
    const int key = memcmp(x->key_id, y->key_id, sizeof x->key_id);
    return key != 0 ? key : (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static void no_key_and_nonce_meet_twice_when_every_record_rotates(void **state)
{
    (void)state;
    const aril_policy policy = { .rotate_records = 1, .readable_epochs = 1 };
    world_init(&w);
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("alice"), &policy);
    const aril_kv_config config = view_config();
    kv = view_new(p.server, &config);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, seal_many, (void *)(uintptr_t)i), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        void *bad = NULL;
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_null(bad);
    }
    struct made *all = &made[0][0];
    qsort(all, (size_t)THREADS * RECORDS, sizeof *all, by_key_and_sequence);
    for (size_t i = 0; i < (size_t)THREADS * RECORDS; i++) {
        assert_int_equal(all[i].info.sequence, 1);
        assert_true(i == 0 || by_key_and_sequence(&all[i - 1], &all[i]) != 0);
    }
    aril_session_info info;
    assert_status(aril_session_get_info(p.server, &info), ARIL_OK);
    assert_int_equal(info.direction[info.sends].records_sealed, THREADS * RECORDS);
    aril_kv_free(kv);
    pair_done(&p);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_key_and_nonce_meet_twice_when_every_record_rotates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
