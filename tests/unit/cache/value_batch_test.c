/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/value_batch.h"
#include "base/mem.h"
#include "check.h"
#include "fixture.h"
#include "keyring/cache.h"
#include "value_pieces.h"
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEN   40u
#define WHOLE (HEADER + LEN + TAG)

static const uint8_t text[LEN] = "a value of a batch";

static aril_tenant_key *key_number(uint8_t number)
{
    const uint8_t secret[ARILI_AEAD_KEY_BYTES] = { number };
    const uint8_t id[ARIL_KEY_ID_BYTES] = { number };
    aril_tenant_key *key = NULL;
    assert_status(
        arili_tenant_key_new(vw.rt, ARIL_KEY_DATA, (aril_bytes){ id, 1 }, id, secret, &key),
        ARIL_OK);
    return key;
}

static aril_status seal_in(struct arili_value_batch *b, const aril_tenant_key *key,
                           uint8_t ret[WHOLE])
{
    struct arili_value_sealer s;
    aril_span in = { ret + HEADER, LEN };
    aril_span run;
    bool tagged = false;
    memcpy(ret + HEADER, text, LEN);
    aril_status st = arili_value_sealer_begin_in(&s, b, key, vw.context, 1, 2, 3, LEN, ret);
    if (st == ARIL_OK) {
        st = arili_value_sealer_run(&s, &in, &run, ret + HEADER + LEN, &tagged);
    }
    assert_status(arili_value_sealer_done(&s), st);
    return st;
}

/* With a batch, or without when it is NULL. */
static aril_status open_in(struct arili_value_batch *b, const aril_tenant_key *key,
                           const uint8_t stored[WHOLE])
{
    struct arili_value_opener o;
    struct arili_value_header h;
    uint8_t copy[LEN + TAG];
    aril_span in = { copy, sizeof copy };
    aril_span run;
    bool verified;
    memcpy(copy, stored + HEADER, sizeof copy);
    assert_status(arili_value_parse((aril_bytes){ stored, WHOLE }, &h), ARIL_OK);
    b != NULL ? arili_value_opener_begin_in(&o, b, key, stored, &h, vw.context)
              : arili_value_opener_begin(&o, vw.rt, key, stored, &h, vw.context);
    const aril_status st = arili_value_opener_run(&o, &in, &run, &verified);
    if (st == ARIL_OK) {
        assert_true(verified && run.len == LEN);
        assert_memory_equal(run.data, text, LEN);
    }
    assert_status(arili_value_opener_done(&o), st);
    return st;
}

/* It gives everything back, and keeps no nonce. */
static void batch_done(struct arili_value_batch *b)
{
    arili_value_batch_end(b);
    assert_false(b->leased || b->lent || b->keyed);
    assert_true(is_filled(b->nonces, sizeof b->nonces, 0));
}

static void keys_that_take_turns_open_what_they_sealed_and_nothing_else(void **state)
{
    struct arili_value_batch b;
    aril_tenant_key *const keys[2] = { key_number(1), key_number(2) };
    uint8_t stored[2][WHOLE];
    (void)state;
    arili_value_batch_init(&b, vw.rt);
    for (size_t turn = 0; turn < 3 * ARILI_VALUE_BATCH_NONCES; turn++) {
        const size_t i = turn / 3 % 2; /* the same key follows, and the other one does */
        assert_status(seal_in(&b, keys[i], stored[i]), ARIL_OK);
        assert_status(open_in(turn % 2 == 0 ? &b : NULL, keys[i], stored[i]), ARIL_OK);
        assert_status(open_in(&b, keys[1 - i], stored[i]), ARIL_E_AUTH);
        assert_status(open_in(&b, keys[i], stored[i]), ARIL_OK);
    }
    arili_value_batch_end(&b);
    assert_status(open_in(&b, keys[0], stored[0]), ARIL_OK); /* it can be used on */
    batch_done(&b);
    aril_tenant_key_put(keys[0]);
    aril_tenant_key_put(keys[1]);
}

static void no_nonce_comes_twice(void **state)
{
    enum { MANY = 3 * ARILI_VALUE_BATCH_NONCES + 1 };
    static uint8_t nonces[MANY][ARILI_VALUE_NONCE_BYTES];
    struct arili_value_batch b;
    (void)state;
    arili_value_batch_init(&b, vw.rt);
    for (size_t i = 0; i < MANY; i++) {
        if (i == MANY / 2) {
            arili_value_batch_end(&b);
        }
        assert_status(arili_value_batch_nonce(&b, nonces[i]), ARIL_OK);
        for (size_t k = 0; k < b.nonces_left; k++) { /* and those that were given are gone */
            assert_memory_not_equal(b.nonces[k], nonces[i], sizeof nonces[i]);
        }
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(nonces[k], nonces[i], sizeof nonces[i]);
        }
    }
    batch_done(&b);
}

/* A value that waits for its rest keeps the context; the others do without, and so does _end. */
static void a_value_in_the_middle_keeps_the_context(void **state)
{
    struct arili_value_batch b;
    struct arili_value_opener o;
    struct arili_value_header h;
    uint8_t stored[WHOLE], copy[WHOLE];
    aril_span run;
    bool verified;
    (void)state;
    arili_value_batch_init(&b, vw.rt);
    assert_status(seal_in(&b, vw.key, stored), ARIL_OK);
    memcpy(copy, stored, sizeof copy);
    assert_status(arili_value_parse((aril_bytes){ stored, WHOLE }, &h), ARIL_OK);
    arili_value_opener_begin_in(&o, &b, vw.key, stored, &h, vw.context);
    aril_span in = { copy + HEADER, 5 };
    assert_status(arili_value_opener_run(&o, &in, &run, &verified), ARIL_OK);
    assert_true(b.lent && !verified);
    arili_value_batch_end(&b);
    assert_status(open_in(&b, vw.key, stored), ARIL_OK);
    in = (aril_span){ copy + HEADER + 5, LEN + TAG - 5 };
    assert_status(arili_value_opener_run(&o, &in, &run, &verified), ARIL_OK);
    assert_true(!b.lent && verified);
    assert_memory_equal(copy + HEADER, text, LEN);
    assert_status(arili_value_opener_done(&o), ARIL_OK);
    batch_done(&b);
}

/* Each call of the cipher fails once: the status comes out, and the next value is not hurt. */
static void a_failing_step_leaves_nothing_behind(void **state)
{
    struct arili_value_batch b;
    uint8_t stored[WHOLE];
    unsigned failures = 0;
    (void)state;
    arili_value_batch_init(&b, vw.rt);
    for (unsigned n = 1;; n++) {
        faulty_crypto_arm(vw.counting, n, ARIL_E_CRYPTO);
        aril_status st = seal_in(&b, vw.key, stored);
        st = st == ARIL_OK ? open_in(&b, vw.key, stored) : st;
        const bool fired = faulty_crypto_fired(vw.counting);
        faulty_crypto_disarm(vw.counting);
        if (!fired) {
            assert_status(st, ARIL_OK);
            break;
        }
        failures++;
        assert_status(st, ARIL_E_CRYPTO);
        assert_false(b.lent);
        assert_status(seal_in(&b, vw.key, stored), ARIL_OK);
        assert_status(open_in(NULL, vw.key, stored), ARIL_OK);
        arili_value_batch_end(&b);
    }
    assert_true(failures >= 6); /* nonces, both keys, the cipher; and opening */
    batch_done(&b);
}

static void a_value_takes_few_calls(void **state)
{
    struct arili_value_batch b;
    uint8_t stored[WHOLE];
    (void)state;
    arili_value_batch_init(&b, vw.rt);
    assert_status(seal_in(&b, vw.key, stored), ARIL_OK);
    const unsigned before = faulty_crypto_calls(vw.counting);
    assert_status(seal_in(&b, vw.key, stored), ARIL_OK);
    assert_status(open_in(&b, vw.key, stored), ARIL_OK);
    assert_int_equal(faulty_crypto_calls(vw.counting) - before, 6);
    batch_done(&b);
}

static void a_child_gets_no_nonces(void **state)
{
    struct arili_value_batch b;
    uint8_t nonce[ARILI_VALUE_NONCE_BYTES];
    (void)state;
    arili_value_batch_init(&b, vw.rt);
    assert_status(arili_value_batch_nonce(&b, nonce), ARIL_OK);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(arili_value_batch_nonce(&b, nonce) == ARIL_E_FORKED ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    batch_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_take_turns_open_what_they_sealed_and_nothing_else),
        cmocka_unit_test(no_nonce_comes_twice),
        cmocka_unit_test(a_failing_step_leaves_nothing_behind),
        cmocka_unit_test(a_value_takes_few_calls),
        cmocka_unit_test(a_child_gets_no_nonces),
        cmocka_unit_test(a_value_in_the_middle_keeps_the_context),
    };
    return cmocka_run_group_tests_name("values of a batch", tests, value_world_setup,
                                       value_world_teardown);
}
