/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation, and each call of a primitive, fails once while values of others are opened and
 * sealed. The exact status comes out, and nothing of the value. The address sanitizer sees leaks.
 */
#include "base/bytes.h"
#include "cache/canonical.h"
#include "check.h"
#include "crypto/runtime.h"
#include "fault_alloc.h"
#include "faulty_crypto.h"
#include "legacy_values.h"
#include "provider.h"
#include <string.h>

#define STEPS_MAX 64u

static struct faulty_crypto *faulty;
static struct arili_contexts *contexts; /* over it */

static int setup(void **state)
{
    if (legacy_values_setup(state) != 0) {
        return -1;
    }
    faulty = faulty_crypto_new(provider());
    return faulty != NULL && arili_contexts_new(faulty_crypto_table(faulty), &contexts) == ARIL_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    arili_contexts_free(contexts);
    faulty_crypto_free(faulty);
    return legacy_values_teardown(state);
}

/* One case of each form, with the number of the allocations of its own that open it. */
static const struct {
    const char *name;
    unsigned allocations;
} forms[] = { { "interop_key_3", 1 }, { "rs", 1 },       { "ts", 2 },       { "ts_integers", 3 },
              { "py_old_key", 2 },    { "py_numpy", 1 }, { "aes128_0", 1 }, { "aes256_1", 1 } };

static void opening_survives_every_failed_allocation(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct legacy_case c;
        legacy_case_get(forms[i].name, &c);
        legacy_case_expect(&c); /* contexts are made on their first use */
        for (unsigned nth = 1; nth <= forms[i].allocations; nth++) {
            fault_alloc_arm(nth);
            legacy_case_refused(&c.scope, c.stored, ARIL_E_NOMEM);
            fault_alloc_disarm();
            assert_true(fault_alloc_fired());
        }
        fault_alloc_arm(forms[i].allocations + 1);
        legacy_case_expect(&c);
        fault_alloc_disarm();
        assert_false(fault_alloc_fired());
    }
}

static void opening_survives_every_failed_primitive(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct legacy_case c;
        legacy_case_get(forms[i].name, &c);
        c.scope.crypto = faulty_crypto_table(faulty);
        c.scope.contexts = contexts;
        legacy_case_expect(&c);
        unsigned nth = 1;
        for (; nth < STEPS_MAX; nth++) {
            struct arili_legacy_value value = { 0 };
            faulty_crypto_arm(faulty, nth, ARIL_E_CRYPTO);
            const aril_status st = arili_legacy_open(&c.scope, c.stored, &value);
            faulty_crypto_disarm(faulty);
            if (!faulty_crypto_fired(faulty)) {
                assert_status(st, ARIL_OK);
                arili_legacy_value_done(&value);
                break;
            }
            /* Another failure than a wrong tag does not lead to the next key. */
            assert_status(st, ARIL_E_CRYPTO);
            assert_null(value.memory);
        }
        assert_true(nth > 2 && nth < STEPS_MAX);
    }
}

static void sealing_survives_every_failed_primitive(void **state)
{
    (void)state;
    static const char *const names[] = { "interop_key_0", "aes128_0", "aes256_1" };
    for (size_t i = 0; i < COUNT(names); i++) {
        struct legacy_case c;
        legacy_case_get(names[i], &c);
        c.scope.crypto = faulty_crypto_table(faulty);
        c.scope.contexts = contexts;
        struct arili_legacy_writer writer = { .used_max = UINT64_C(1) << 32 };
        const size_t len = c.value.len + arili_legacy_overhead(c.scope.format);
        uint8_t sealed[512];
        unsigned nth = 1;
        for (; nth < STEPS_MAX; nth++) {
            memset(sealed, 0xee, sizeof sealed);
            faulty_crypto_arm(faulty, nth, ARIL_E_CRYPTO);
            const aril_status st = arili_legacy_seal(&c.scope, &writer, c.value, sealed);
            faulty_crypto_disarm(faulty);
            /* A number is used up, whatever came of it. */
            assert_int_equal(atomic_load(&writer.used), nth);
            if (!faulty_crypto_fired(faulty)) {
                assert_status(st, ARIL_OK);
                break;
            }
            assert_status(st, ARIL_E_CRYPTO);
            assert_true(provider_all(sealed, len, 0));
        }
        assert_true(nth > 2 && nth < STEPS_MAX);
        if (c.scope.format == ARIL_CACHE_LMCACHE) {
            faulty_crypto_arm_random(faulty, ARIL_E_RANDOM);
            assert_status(arili_legacy_seal(&c.scope, &writer, c.value, sealed), ARIL_E_RANDOM);
            faulty_crypto_disarm(faulty);
            assert_true(provider_all(sealed, len, 0));
        }
    }
}

static void a_key_survives_every_failed_allocation(void **state)
{
    (void)state;
    static const uint8_t args[] = { 0x91, 0x82, 0xa1, 'b', 0x01, 0xa1, 'a', 0x02 };
    aril_runtime *rt = NULL;
    char key[ARIL_CACHEKIT_KEY_TEXT] = "untouched";
    bool fired = true;
    unsigned nth = 1;
    assert_status(arili_runtime_new_over(provider(), NULL, &rt), ARIL_OK);
    for (; fired; nth++) {
        fault_alloc_arm(nth);
        const aril_status st = aril_cachekit_key(rt, ARILI_LITERAL("t"), ARILI_LITERAL("op"),
                                                 (aril_bytes){ args, sizeof args }, key, NULL);
        fault_alloc_disarm();
        fired = fault_alloc_fired();
        assert_status(st, fired ? ARIL_E_NOMEM : ARIL_OK);
        assert_true(fired == (strcmp(key, "untouched") == 0));
    }
    assert_int_equal(nth, 3 + 2); /* output, scratch, entries */
    aril_runtime_free(rt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_survives_every_failed_allocation),
        cmocka_unit_test(opening_survives_every_failed_primitive),
        cmocka_unit_test(sealing_survives_every_failed_primitive),
        cmocka_unit_test(a_key_survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
