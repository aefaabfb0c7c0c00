/* SPDX-License-Identifier: Apache-2.0 */
/* Records in memory that somebody else writes while the cipher runs: a decorated AEAD plays
 * that somebody, just before and just after the real one. */
#include "crypto/runtime.h"
#include "fixture.h"
#include "provider.h"
#include <string.h>

#define LEN 4096u

static struct arili_crypto real;
static struct arili_crypto_ops hostile_ops;
static uint8_t *shared;     /* the body, as the other process sees it */
static const uint8_t *used; /* where the cipher really worked */

static aril_status hostile_seal(struct arili_aead_ctx *ctx, const uint8_t *nonce, aril_bytes aad,
                                const aril_bytes *spans, size_t count, uint8_t *ret_body,
                                uint8_t *ret_tag)
{
    used = ret_body;
    return real.ops->aead_seal(ctx, nonce, aad, spans, count, ret_body, ret_tag);
}

static aril_status hostile_open(struct arili_aead_ctx *ctx, const uint8_t *nonce, aril_bytes aad,
                                aril_bytes body, const uint8_t *tag, const aril_span *ret_spans,
                                size_t count)
{
    used = body.data;
    shared[7] ^= 1; /* after the library copied, before the cipher reads */
    const aril_status st = real.ops->aead_open(ctx, nonce, aad, body, tag, ret_spans, count);
    return st;
}

static struct world w;
static struct pair p;
static aril_kv *kv;
static struct room r;

static int set_up(void **state)
{
    (void)state;
    if (arili_openssl_new(&real, NULL) != ARIL_OK) {
        return -1;
    }
    hostile_ops = *real.ops;
    hostile_ops.aead_seal = hostile_seal;
    hostile_ops.aead_open = hostile_open;
    const struct arili_crypto hostile = { .ops = &hostile_ops, .provider = real.provider };
    world_init_over(&w, &hostile);
    pair_init(&p, &w, ARIL_PROFILE_HYBRID, TEXT("alice"), NULL);
    const aril_kv_config config = view_config();
    kv = view_new(p.server, &config);
    const aril_kv_block block = chain_block(1);
    room_init(&r, LEN, 1, &block);
    shared = r.body.data;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    room_done(&r);
    aril_kv_free(kv);
    pair_done(&p);
    world_done(&w);
    arili_openssl_free(&real);
    return 0;
}

static void without_staging_the_cipher_works_on_the_body(void **state)
{
    (void)state;
    room_seal(&r, kv);
    assert_ptr_equal(used, shared);
    assert_status(room_open(&r, kv), ARIL_E_AUTH);
    assert_ptr_equal(used, shared);
    shared[7] ^= 1;
}

static void with_staging_what_is_opened_is_what_was_copied(void **state)
{
    (void)state;
    room_seal(&r, kv);
    room_reset_out(&r);
    aril_kv_item item = room_opening(&r);
    item.staging = r.staging.data;
    assert_status(aril_kv_open(kv, &item), ARIL_OK);
    assert_true(room_is_open(&r));
    assert_ptr_equal(used, r.staging.data);
    assert_true(is_filled(r.staging.data, LEN, 0));
    shared[7] ^= 1;
}

static void with_staging_the_tag_is_made_over_private_memory(void **state)
{
    (void)state;
    aril_kv_item item = room_sealing(&r);
    item.staging = r.staging.data;
    assert_status(aril_kv_seal(kv, &item), ARIL_OK);
    assert_ptr_equal(used, r.staging.data);
    assert_memory_equal(r.staging.data, r.body.data, LEN); /* ciphertext, copied to the body */
    room_reset_out(&r);
    item = room_opening(&r);
    item.staging = r.staging.data;
    assert_status(aril_kv_open(kv, &item), ARIL_OK);
    assert_true(room_is_open(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_staging_the_cipher_works_on_the_body, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(with_staging_what_is_opened_is_what_was_copied, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(with_staging_the_tag_is_made_over_private_memory, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
