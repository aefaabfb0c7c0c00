/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation and each primitive fails once while a value is opened and sealed in place.
 * Demanded are the status of the fault, no plaintext in what is given on, a cipher that was given
 * back, and that the same goes well afterwards. */
#include "cache/value.h"
#include "check.h"
#include "crypto/runtime.h"
#include "fault_alloc.h"
#include "faulty_crypto.h"
#include "fixture.h"
#include "provider.h"
#include <stdlib.h>
#include <string.h>

#define SEGMENT ((size_t)ARILI_VALUE_SEGMENT_BYTES)
#define HEADER  ((size_t)ARILI_VALUE_HEADER_BYTES)
#define TAG     ((size_t)ARILI_VALUE_TAG_BYTES)
#define LEN     (SEGMENT + 1000)
#define STORED  (HEADER + LEN + 2 * TAG)
#define MET_MAX 100u

enum what { ALLOC, CRYPTO };

static struct faulty_crypto *faulty;
static aril_runtime *rt;
static aril_tenant_key *data_key;
static uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
static uint8_t *value, *stored, *bytes;
/* Pieces: whole segments, then small ones. */
static const size_t pieces[] = { SIZE_MAX, 300000, SEGMENT - 1 };

static int setup(void **state)
{
    uint8_t secret[32];
    uint8_t id[32];
    value = malloc(LEN);
    stored = malloc(STORED);
    bytes = malloc(STORED);
    if (value == NULL || stored == NULL || bytes == NULL || provider_setup(state) != 0 ||
        (faulty = faulty_crypto_new(provider())) == NULL) {
        return -1;
    }
    fill_pattern(secret, sizeof secret, 1);
    fill_pattern(id, sizeof id, 2);
    fill_pattern(value, LEN, 3);
    return arili_runtime_new_over(faulty_crypto_table(faulty), NULL, &rt) == ARIL_OK &&
                   arili_tenant_key_new(rt, ARIL_KEY_DATA, text_bytes("acme"), id, secret,
                                        &data_key) == ARIL_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    aril_tenant_key_put(data_key);
    aril_runtime_free(rt);
    const unsigned left = faulty_crypto_alive(faulty);
    faulty_crypto_free(faulty);
    free(value);
    free(stored);
    free(bytes);
    return left == 0 ? provider_teardown(state) : -1;
}

/* Seals value to stored. */
static aril_status seal_in(size_t piece)
{
    struct arili_value_sealer s;
    size_t done = HEADER;
    memcpy(bytes, value, LEN);
    aril_status st = arili_value_sealer_begin(&s, rt, data_key, context, 1, 2, 3, LEN, stored);
    for (size_t at = 0, n; at < LEN && st == ARIL_OK; at += n) {
        n = piece < LEN - at ? piece : LEN - at;
        aril_span in = { bytes + at, n };
        while (in.len > 0 && st == ARIL_OK) {
            aril_span run = { NULL, 0 };
            uint8_t tag[TAG];
            bool tagged = false;
            const aril_span before = in;
            st = arili_value_sealer_run(&s, &in, &run, tag, &tagged);
            if (st != ARIL_OK) {
                const size_t len = before.len < SEGMENT ? before.len : SEGMENT;
                assert_true(run.len == 0 && !tagged && in.len == before.len);
                /* What was to be encrypted ends at a segment; behind it lies the rest. */
                const size_t left = SEGMENT - at % SEGMENT;
                assert_true(is_filled(before.data, len < left ? len : left, 0));
                break;
            }
            memcpy(stored + done, run.data, run.len);
            memcpy(stored + done + run.len, tag, tagged ? TAG : 0);
            done += run.len + (tagged ? TAG : 0);
        }
    }
    if (st != ARIL_OK) { /* a nonce that may have been used is not used again */
        uint8_t byte = 7;
        aril_span in = { &byte, 1 };
        aril_span run;
        uint8_t tag[TAG];
        bool tagged;
        assert_status(arili_value_sealer_run(&s, &in, &run, tag, &tagged), st);
        assert_true(run.len == 0 && !tagged && in.len == 1 && byte == 7);
    }
    const aril_status end = arili_value_sealer_done(&s);
    assert_true(st == ARIL_OK || end == st);
    return end;
}

/* Opens a copy of stored; on success it is the value. */
static aril_status open_in(size_t piece)
{
    struct arili_value_opener o;
    struct arili_value_header h;
    aril_status st = ARIL_OK;
    size_t out = 0;
    memcpy(bytes, stored, STORED);
    assert_status(arili_value_parse((aril_bytes){ stored, STORED }, &h), ARIL_OK);
    arili_value_opener_begin(&o, rt, data_key, stored, &h, context);
    for (size_t at = HEADER, n; at < STORED && st == ARIL_OK; at += n) {
        n = piece < STORED - at ? piece : STORED - at;
        aril_span in = { bytes + at, n };
        while (in.len > 0 && st == ARIL_OK) {
            const aril_span before = in;
            aril_span run = { NULL, 0 };
            bool verified = false;
            st = arili_value_opener_run(&o, &in, &run, &verified);
            if (st != ARIL_OK) {
                assert_true(run.len == 0 && !verified && in.len == before.len);
                for (size_t i = 0; i < before.len; i++) {
                    assert_true(before.data[i] == 0 ||
                                before.data[i] == stored[(size_t)(before.data - bytes) + i]);
                }
                break;
            }
            assert_memory_equal(run.data, value + out, run.len);
            out += run.len;
        }
    }
    const aril_status end = arili_value_opener_done(&o);
    assert_true(st == ARIL_OK || end == st);
    return end;
}

static void arm(enum what what, unsigned n)
{
    if (what == ALLOC) {
        fault_alloc_arm(n);
    } else {
        faulty_crypto_arm(faulty, n, ARIL_E_CRYPTO);
    }
}
static bool fired(enum what what)
{
    fault_alloc_disarm();
    faulty_crypto_disarm(faulty);
    return what == ALLOC ? fault_alloc_fired() : faulty_crypto_fired(faulty);
}

/* How many faults were met. */
static unsigned sweep(enum what what, aril_status (*use)(size_t piece), size_t piece)
{
    const unsigned alive = faulty_crypto_alive(faulty);
    for (unsigned n = 1; n < MET_MAX; n++) {
        arm(what, n);
        const aril_status st = use(piece);
        if (!fired(what)) {
            assert_status(st, ARIL_OK);
            return n - 1;
        }
        assert_status(st, what == ALLOC ? ARIL_E_NOMEM : ARIL_E_CRYPTO);
        assert_true(provider_is_quiet());
        assert_status(use(piece), ARIL_OK);
        assert_int_equal(faulty_crypto_alive(faulty), alive);
    }
    fail_msg("more than %u calls", MET_MAX);
    return 0;
}

static void every_primitive_may_fail(void **state)
{
    (void)state;
    assert_status(seal_in(SIZE_MAX), ARIL_OK); /* what is made once is there */
    for (size_t i = 0; i < COUNT(pieces); i++) {
        /* For each of two segments the key of the message, which are two calls, and one at least
         * of the cipher; and the nonce of a value that is sealed. */
        assert_true(sweep(CRYPTO, seal_in, pieces[i]) >= 7);
        assert_true(sweep(CRYPTO, open_in, pieces[i]) >= 6);
    }
}

static void nothing_is_allocated_but_the_first_context(void **state)
{
    (void)state;
    assert_status(seal_in(SIZE_MAX), ARIL_OK);
    for (size_t i = 0; i < COUNT(pieces); i++) {
        assert_int_equal(sweep(ALLOC, seal_in, pieces[i]), 0);
        assert_int_equal(sweep(ALLOC, open_in, pieces[i]), 0);
    }
}

/* Every place in the cache is lent: the context is made for this value alone. */
static void without_a_place_memory_may_be_short(void **state)
{
    static struct arili_context_lease leases[ARILI_CONTEXT_SHARDS];
    (void)state;
    assert_status(seal_in(SIZE_MAX), ARIL_OK);
    for (size_t i = 0; i < COUNT(leases); i++) {
        assert_status(arili_contexts_get(rt->contexts, 0, NULL, &leases[i]), ARIL_OK);
    }
    for (size_t i = 0; i < COUNT(pieces); i++) {
        assert_true(sweep(ALLOC, seal_in, pieces[i]) >= 2);
        assert_true(sweep(ALLOC, open_in, pieces[i]) >= 2);
        assert_true(sweep(CRYPTO, open_in, pieces[i]) >= 8);
    }
    for (size_t i = 0; i < COUNT(leases); i++) {
        arili_contexts_put(rt->contexts, &leases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_primitive_may_fail),
        cmocka_unit_test(nothing_is_allocated_but_the_first_context),
        cmocka_unit_test(without_a_place_memory_may_be_short),
    };
    return cmocka_run_group_tests_name("faults of values in pieces", tests, setup, teardown);
}
