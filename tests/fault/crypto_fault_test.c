/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "check.h"
#include "crypto/contexts.h"
#include "crypto/hpke.h"
#include "crypto/selftest.h"
#include "fault_alloc.h"
#include "faulty_crypto.h"
#include "provider.h"
#include <string.h>

/* Fails the nth allocation, or the nth call of a primitive, for n = 1, 2, ... until a
 * run meets no fault. Each time: the exact status, outputs untouched or zero, no key or
 * context left behind. */

static const aril_bytes none = { NULL, 0 };
static const uint8_t psk_bytes[32] = { 4 };
static const uint8_t psk_id[] = { 'p' };
static const struct arili_hpke_psk psk = { { psk_bytes, sizeof psk_bytes },
                                           { psk_id, sizeof psk_id } };

static struct faulty_crypto *faulty;
static const struct arili_crypto *crypto;

enum fault { ALLOCATION, PRIMITIVE, FAULTS };

static void arm(enum fault what, unsigned n)
{
    if (what == ALLOCATION) {
        fault_alloc_arm(n);
    } else {
        faulty_crypto_arm(faulty, n, ARIL_E_CRYPTO);
    }
}

/* Whether the armed fault was reached. */
static bool disarm(enum fault what)
{
    fault_alloc_disarm();
    faulty_crypto_disarm(faulty);
    return what == ALLOCATION ? fault_alloc_fired() : faulty_crypto_fired(faulty);
}

static aril_status status_of(enum fault what)
{
    return what == ALLOCATION ? ARIL_E_NOMEM : ARIL_E_CRYPTO;
}

static bool untouched_or_zero(const uint8_t *bytes, size_t len)
{
    return provider_all(bytes, len, 0xaa) || provider_all(bytes, len, 0);
}

static const struct arili_hpke_suite suites[] = {
    { ARILI_HPKE_X_WING, ARILI_HPKE_HKDF_SHA256 },
    { ARILI_HPKE_ML_KEM_768, ARILI_HPKE_HKDF_SHA256 },
    { ARILI_HPKE_ML_KEM_1024, ARILI_HPKE_HKDF_SHA384 },
    { ARILI_HPKE_X25519, ARILI_HPKE_HKDF_SHA256 },
};

/* Returns how many faults were met. */
static unsigned sweep_keys(struct arili_hpke_suite suite, enum fault what, bool derive)
{
    const uint8_t ikm[64] = { 1 };
    const unsigned alive = faulty_crypto_alive(faulty);
    for (unsigned n = 1;; n++) {
        struct arili_hpke_key *key = NULL;
        arm(what, n);
        const aril_status st =
            derive ? arili_hpke_key_derive(crypto, suite.kem, (aril_bytes){ ikm, sizeof ikm }, &key)
                   : arili_hpke_key_generate(crypto, suite.kem, &key);
        if (!disarm(what)) {
            assert_status(st, ARIL_OK);
            arili_hpke_key_free(key);
            return n - 1;
        }
        assert_status(st, status_of(what));
        assert_null(key);
        assert_int_equal(faulty_crypto_alive(faulty), alive);
    }
}

static unsigned sweep_seal(struct arili_hpke_suite suite, const struct arili_hpke_key *key,
                           enum fault what)
{
    uint8_t out[1700];
    const unsigned alive = faulty_crypto_alive(faulty);
    const size_t enc_len = arili_hpke_enc_bytes(suite.kem);
    for (unsigned n = 1;; n++) {
        size_t len = 77;
        memset(out, 0xaa, sizeof out);
        arm(what, n);
        const aril_status st =
            arili_hpke_seal_once(crypto, suite, arili_hpke_key_public(key), none, &psk, none,
                                 ARILI_LITERAL("text"), out, sizeof out, &len);
        if (!disarm(what)) {
            assert_status(st, ARIL_OK);
            return n - 1;
        }
        assert_status(st, status_of(what));
        assert_int_equal(len, 77);
        assert_true(untouched_or_zero(out, enc_len));
        assert_true(untouched_or_zero(out + enc_len, 20));
        assert_true(provider_all(out + enc_len + 20, sizeof out - enc_len - 20, 0xaa));
        assert_int_equal(faulty_crypto_alive(faulty), alive);
    }
}

static unsigned sweep_open(struct arili_hpke_suite suite, const struct arili_hpke_key *key,
                           enum fault what)
{
    uint8_t sealed[1700];
    uint8_t plain[20];
    size_t sealed_len = 0;
    const unsigned alive = faulty_crypto_alive(faulty);
    assert_status(arili_hpke_seal_once(crypto, suite, arili_hpke_key_public(key), none, &psk, none,
                                       ARILI_LITERAL("text"), sealed, sizeof sealed, &sealed_len),
                  ARIL_OK);
    for (unsigned n = 1;; n++) {
        size_t len = 77;
        memset(plain, 0xaa, sizeof plain);
        arm(what, n);
        const aril_status st =
            arili_hpke_open_once(crypto, suite, key, none, &psk, none,
                                 (aril_bytes){ sealed, sealed_len }, plain, sizeof plain, &len);
        if (!disarm(what)) {
            assert_status(st, ARIL_OK);
            assert_memory_equal(plain, "text", 4);
            return n - 1;
        }
        assert_status(st, status_of(what));
        assert_int_equal(len, 77);
        assert_true(untouched_or_zero(plain, 4));
        assert_true(provider_all(plain + 4, sizeof plain - 4, 0xaa));
        assert_int_equal(faulty_crypto_alive(faulty), alive);
    }
}

static void hpke_survives_every_fault(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(suites); i++) {
        struct arili_hpke_key *key = NULL;
        assert_status(arili_hpke_key_generate(crypto, suites[i].kem, &key), ARIL_OK);
        for (int what = 0; what < FAULTS; what++) {
            const unsigned in_keys = sweep_keys(suites[i], (enum fault)what, false) +
                                     sweep_keys(suites[i], (enum fault)what, true);
            const unsigned in_seal = sweep_seal(suites[i], key, (enum fault)what);
            const unsigned in_open = sweep_open(suites[i], key, (enum fault)what);
            print_message("  KEM 0x%04x, %s: %u faults met in keys, %u in seal, %u in open\n",
                          suites[i].kem, what == ALLOCATION ? "allocations" : "primitives", in_keys,
                          in_seal, in_open);
            assert_true(in_keys >= 2 && in_seal >= 2 && in_open >= 1);
        }
        arili_hpke_key_free(key);
    }
}

static void exports_survive_every_fault(void **state)
{
    struct arili_hpke_ctx ctx;
    struct arili_hpke_key *key = NULL;
    uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX];
    uint8_t out[100];
    unsigned n;
    (void)state;
    assert_status(arili_hpke_key_generate(crypto, suites[0].kem, &key), ARIL_OK);
    assert_status(arili_hpke_setup_sender(crypto, suites[0], arili_hpke_key_public(key), none, NULL,
                                          NULL, enc, arili_hpke_enc_bytes(suites[0].kem), &ctx),
                  ARIL_OK);
    for (n = 1;; n++) {
        memset(out, 0xaa, sizeof out);
        arm(PRIMITIVE, n);
        const aril_status st = arili_hpke_export(&ctx, none, out, sizeof out);
        if (!disarm(PRIMITIVE)) {
            assert_status(st, ARIL_OK);
            break;
        }
        assert_status(st, ARIL_E_CRYPTO);
        assert_true(untouched_or_zero(out, sizeof out));
    }
    assert_int_equal(n, 5); /* 100 bytes are four blocks */
    arili_hpke_done(&ctx);
    arili_hpke_key_free(key);
}

static void contexts_survive_every_allocation_failure(void **state)
{
    const uint8_t key[ARILI_AEAD_KEY_BYTES] = { 1 };
    struct arili_contexts *cache = NULL;
    struct arili_context_lease lease = { 0 };
    unsigned n;
    (void)state;
    fault_alloc_arm(1);
    assert_status(arili_contexts_new(provider(), &cache), ARIL_E_NOMEM);
    fault_alloc_disarm();
    assert_null(cache);
    assert_status(arili_contexts_new(provider(), &cache), ARIL_OK);
    for (n = 1;; n++) {
        fault_alloc_arm(n);
        const aril_status st = arili_contexts_get(cache, 1, key, &lease);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            break;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_null(lease.ctx);
    }
    assert_true(n > 1);
    arili_contexts_put(cache, &lease);
    fault_alloc_arm(1);
    assert_status(arili_contexts_get(cache, 1, key, &lease), ARIL_OK); /* allocates no more */
    fault_alloc_disarm();
    assert_false(fault_alloc_fired());
    arili_contexts_put(cache, &lease);
    arili_contexts_free(cache);
}

static void a_provider_is_made_whole_or_not_at_all(void **state)
{
    unsigned n;
    (void)state;
    for (n = 1;; n++) {
        struct arili_crypto c = { 0 };
        fault_alloc_arm(n);
        const aril_status st = arili_openssl_new(&c, NULL);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            arili_openssl_free(&c);
            break;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_null(c.provider);
    }
    assert_true(n > 1);
}

struct reports {
    unsigned tests;
    unsigned failed;
};

static void report(void *user, const char *name, aril_status st)
{
    struct reports *const r = user;
    (void)name;
    r->tests++;
    r->failed += st != ARIL_OK;
}

/* Whichever primitive breaks, one test of the self-test says so. */
static void the_self_test_notices_every_fault(void **state)
{
    unsigned n;
    (void)state;
    for (n = 1;; n++) {
        struct reports r = { 0, 0 };
        arm(PRIMITIVE, n);
        const aril_status st = arili_crypto_self_test(crypto, report, &r);
        if (!disarm(PRIMITIVE)) {
            assert_status(st, ARIL_OK);
            assert_int_equal(r.failed, 0);
            break;
        }
        assert_status(st, ARIL_E_CRYPTO);
        assert_int_equal(r.failed, 1);
        assert_int_equal(r.tests, 19);
        assert_int_equal(faulty_crypto_alive(faulty), 0);
    }
    assert_true(n > 60);
}

static int setup(void **state)
{
    if (provider_setup(state) != 0) {
        return -1;
    }
    faulty = faulty_crypto_new(provider());
    crypto = faulty != NULL ? faulty_crypto_table(faulty) : NULL;
    return faulty != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    const unsigned alive = faulty_crypto_alive(faulty);
    faulty_crypto_free(faulty);
    provider_teardown(state);
    return alive == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hpke_survives_every_fault),
        cmocka_unit_test(exports_survive_every_fault),
        cmocka_unit_test(contexts_survive_every_allocation_failure),
        cmocka_unit_test(a_provider_is_made_whole_or_not_at_all),
        cmocka_unit_test(the_self_test_notices_every_fault),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
