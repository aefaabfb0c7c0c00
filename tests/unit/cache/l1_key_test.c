/* SPDX-License-Identifier: Apache-2.0 */
/* What L1 seals with, what it notices, and what a forked child finds. */
#include "cache/l1_internal.h"
#include "child.h"
#include "fixture.h"
#include "l1_use.h"
#include "runtime.h"
#include <string.h>
#include <unistd.h>

#define BYTES ((uint64_t)4 << 20)

static struct arili_l1 *l1;

static void make(size_t shards, uint64_t seals, uint64_t bytes)
{
    const struct arili_l1_options options = { .key_seals_max = seals, .key_bytes_max = bytes };
    assert_status(arili_l1_new_with(rt, BYTES, shards, &options, &l1), ARIL_OK);
}

static void done(void)
{
    l1_check_bytes(l1, BYTES);
    arili_l1_free(l1);
}

/* --- Changed memory ------------------------------------------------------------------------ */

/* Never a value, never a byte of one. A changed name is not found, a changed life may be over, a
 * changed length may be refused: all else is the tag's. */
static void a_changed_bit_of_an_entry_never_opens(void **state)
{
    (void)state;
    enum { LEN = 40 };
    make(1, 0, 0);
    const size_t span = l1_entry_bytes(1, LEN) - offsetof(struct arili_l1_entry, nonce);
    unsigned refused = 0;
    for (size_t at = 0; at < span; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t out[LEN];
            size_t len = 0;
            l1_put(l1, 1, LEN, 1);
            ((uint8_t *)l1_peek(l1, 1)->nonce)[at] ^= (uint8_t)(1u << bit);
            memset(out, GUARD_FILLER, sizeof out);
            const aril_status st = l1_get(l1, 1, out, sizeof out, &len);
            assert_true(st == ARIL_E_AUTH || st == ARIL_E_NOT_FOUND);
            assert_true(is_filled(out, sizeof out, 0) || is_filled(out, sizeof out, GUARD_FILLER));
            if (st == ARIL_E_AUTH) {
                refused++;
                assert_false(l1_has(l1, 1)); /* it left */
            }
            arili_l1_clear(l1);
        }
    }
    assert_true(refused > 8 * (ARILI_AEAD_NONCE_BYTES + ARILI_AEAD_TAG_BYTES + LEN));
    done();
}

static void an_entry_under_the_name_of_another_one_does_not_open(void **state)
{
    (void)state;
    uint8_t out[40];
    size_t len = 0;
    make(1, 0, 0);
    l1_put(l1, 1, 40, 1);
    l1_put(l1, 2, 40, 2);
    struct arili_l1_entry *const a = l1_peek(l1, 1), *const b = l1_peek(l1, 2);
    assert_int_equal(arili_l1_aad(a).len, arili_l1_aad(b).len);
    /* All but the name, so all that a mix-up of pointers could mix up. */
    memcpy(a->nonce, b->nonce, sizeof a->nonce);
    memcpy(a->tag, b->tag, sizeof a->tag);
    memcpy(arili_l1_body(a), arili_l1_body(b), 40);
    assert_status(l1_get(l1, 1, out, sizeof out, &len), ARIL_E_AUTH);
    assert_true(l1_holds(l1, 2, 40, 2));
    done();
}

static uint8_t *give(void *user, size_t len)
{
    (void)len;
    return user;
}

static void room_that_was_given_is_wiped_as_well(void **state)
{
    (void)state;
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(1, text);
    const struct arili_l1_want want = l1_want();
    struct arili_l1_meta meta;
    uint8_t out[40], *data = NULL;
    size_t len = 0;
    make(1, 0, 0);
    l1_put(l1, 1, 40, 1);
    l1_peek(l1, 1)->tag[3] ^= 1;
    memset(out, GUARD_FILLER, sizeof out);
    const struct arili_l1_into into = { .room = give, .user = out };
    assert_status(arili_l1_get(l1, &key, &want, &into, &data, &len, &meta), ARIL_E_AUTH);
    assert_true(is_filled(out, sizeof out, 0));
    assert_null(data);
    done();
}

/* --- Keys ---------------------------------------------------------------------------------- */

static void keys_change_before_a_counter_ends(void **state)
{
    (void)state;
    make(1, 10, 0);
    uint64_t uids[4], last = 0;
    for (unsigned n = 0; n < 35; n++) {
        l1_put(l1, n, 20, n);
        const struct arili_l1_entry *const e = l1_peek(l1, n);
        if (n % 10 == 0) {
            assert_int_not_equal(e->key->uid, last);
            uids[n / 10] = e->key->uid;
            last = e->key->uid;
        }
        assert_int_equal(e->key->uid, uids[n / 10]);
        assert_int_equal(e->nonce[sizeof e->nonce - 1], n % 10);
        /* The key before is still there to read with, those before it are not. */
        for (unsigned k = 0; k <= n; k++) {
            assert_int_equal(l1_holds(l1, k, 20, k), k / 10 + 1 >= n / 10);
        }
    }
    done();
}

static void keys_change_by_bytes_as_well(void **state)
{
    (void)state;
    make(1, 0, 1000);
    l1_put(l1, 1, 600, 1);
    l1_put(l1, 2, 400, 2);
    assert_int_equal(l1_peek(l1, 1)->key->uid, l1_peek(l1, 2)->key->uid);
    l1_put(l1, 3, 1, 3);
    assert_int_not_equal(l1_peek(l1, 3)->key->uid, l1_peek(l1, 2)->key->uid);
    l1_put(l1, 4, 1001, 4); /* more than any key may seal */
    assert_false(l1_has(l1, 4));
    for (unsigned n = 1; n <= 2; n++) {
        assert_true(l1_holds(l1, n, n == 1 ? 600 : 400, n));
    }
    assert_true(l1_holds(l1, 3, 1, 3));
    done();
}

/* Shards share a key, so the number of the shard is in the nonce. */
static void no_nonce_is_used_twice_under_a_key(void **state)
{
    (void)state;
    enum { PUTS = 600 };
    static struct {
        uint64_t uid;
        uint8_t nonce[ARILI_AEAD_NONCE_BYTES];
    } seen[PUTS];
    make(8, 80, 0);
    uint64_t first = UINT64_MAX, last = 0;
    for (unsigned n = 0; n < PUTS; n++) {
        l1_put(l1, n % 50, 20, n);
        const struct arili_l1_entry *const e = l1_peek(l1, n % 50);
        assert_non_null(e);
        seen[n].uid = e->key->uid;
        memcpy(seen[n].nonce, e->nonce, sizeof e->nonce);
        for (unsigned k = 0; k < n; k++) {
            assert_false(seen[k].uid == seen[n].uid &&
                         memcmp(seen[k].nonce, e->nonce, sizeof e->nonce) == 0);
        }
        first = e->key->uid < first ? e->key->uid : first;
        last = e->key->uid > last ? e->key->uid : last;
    }
    assert_true(last - first >= 6); /* 10 a shard, so a new one for all after 75 or so each */
    assert_true(last - first < 40);
    done();
}

/* --- Changes while a value is sealed -------------------------------------------------------- */

static const struct arili_crypto_ops *inner;
static struct arili_crypto_ops ops;
static void (*meanwhile)(void);

static aril_status seal_slowly(struct arili_aead_ctx *ctx,
                               const uint8_t nonce[ARILI_AEAD_NONCE_BYTES], aril_bytes aad,
                               const aril_bytes *spans, size_t count, uint8_t *ret_body,
                               uint8_t ret_tag[ARILI_AEAD_TAG_BYTES])
{
    void (*const now)(void) = meanwhile;
    meanwhile = NULL;
    if (now != NULL) {
        now();
    }
    return inner->aead_seal(ctx, nonce, aad, spans, count, ret_body, ret_tag);
}

static void drop_one(void)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(1, text);
    (void)arili_l1_drop(l1, &key);
}

static void put_one(void)
{
    l1_put(l1, 1, 30, 9);
}

static void clear_all(void)
{
    arili_l1_clear(l1);
}

static void renew_keys(void)
{
    for (unsigned n = 100; n < 130; n++) {
        l1_put(l1, n, 10, n);
    }
}

static void a_change_while_a_value_is_sealed_counts(void **state)
{
    (void)state;
    static void (*const changes[])(void) = { drop_one, put_one, clear_all };
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(1, text);
    const struct arili_l1_meta meta = l1_meta();
    aril_runtime *const usual = rt;
    inner = rt->crypto.ops;
    ops = *inner;
    ops.aead_seal = seal_slowly;
    const struct arili_crypto slow = { &ops, usual->crypto.provider };
    assert_status(arili_runtime_new_over(&slow, NULL, &rt), ARIL_OK);
    make(1, 0, 0);
    for (size_t i = 0; i < COUNT(changes); i++) {
        const uint64_t ticket = arili_l1_ticket(l1, &key);
        meanwhile = changes[i];
        assert_false(arili_l1_put_if(l1, &key, TEXT("old"), &meta, ticket));
        assert_int_equal(l1_holds(l1, 1, 30, 9), changes[i] == put_one);
        arili_l1_clear(l1);
        /* Without a ticket the one that ends last is the one that counts. */
        meanwhile = changes[i];
        l1_put(l1, 1, 20, 4);
        assert_true(l1_holds(l1, 1, 20, 4));
        assert_int_equal(arili_l1_get_stats(l1).entries, 1);
        arili_l1_clear(l1);
    }
    done();
    make(1, 10, 0);
    meanwhile = renew_keys; /* three times: what is sealed keeps its own */
    l1_put(l1, 1, 20, 4);
    assert_true(l1_holds(l1, 1, 20, 4));
    done();
    aril_runtime_free(rt);
    rt = usual;
}

/* --- Fork ---------------------------------------------------------------------------------- */

static int in_child(void *arg)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(1, text);
    const struct arili_l1_want want = l1_want();
    const struct arili_l1_meta meta = l1_meta();
    const aril_bytes value = { (const uint8_t *)text, 4 };
    struct arili_l1_meta got;
    uint8_t out[40], *data = NULL;
    const struct arili_l1_into into = { .buffer = { out, sizeof out } };
    size_t len;
    (void)arg;
    (void)alarm(60);
    memset(out, GUARD_FILLER, sizeof out);
    if (arili_l1_get(l1, &key, &want, &into, &data, &len, &got) != ARIL_E_FORKED ||
        !is_filled(out, sizeof out, GUARD_FILLER)) {
        return 1;
    }
    arili_l1_put(l1, &key, value, &meta);
    if (arili_l1_has(l1, &key, &want) ||
        arili_l1_put_if(l1, &key, value, &meta, arili_l1_ticket(l1, &key))) {
        return 2;
    }
    (void)arili_l1_drop(l1, &key);
    arili_l1_clear(l1);
    if (arili_l1_get_stats(l1).entries != 0) {
        return 3;
    }
    arili_l1_free(l1);
    return 0;
}

static void a_forked_child_finds_nothing_and_waits_for_no_lock(void **state)
{
    (void)state;
    make(1, 0, 0);
    l1_put(l1, 1, 40, 1);
    (void)pthread_mutex_lock(&l1->shards[0].lock); /* as if another thread were in it */
    const int result = child_run(in_child, NULL);
    (void)pthread_mutex_unlock(&l1->shards[0].lock);
    assert_int_equal(result, 0);
    assert_true(l1_holds(l1, 1, 40, 1));
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_bit_of_an_entry_never_opens),
        cmocka_unit_test(an_entry_under_the_name_of_another_one_does_not_open),
        cmocka_unit_test(room_that_was_given_is_wiped_as_well),
        cmocka_unit_test(keys_change_before_a_counter_ends),
        cmocka_unit_test(keys_change_by_bytes_as_well),
        cmocka_unit_test(no_nonce_is_used_twice_under_a_key),
        cmocka_unit_test(a_change_while_a_value_is_sealed_counts),
        cmocka_unit_test(a_forked_child_finds_nothing_and_waits_for_no_lock),
    };
    return cmocka_run_group_tests_name("L1 keys", tests, runtime_setup, runtime_teardown);
}
