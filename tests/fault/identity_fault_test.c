/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation and each call of a primitive fails once, in every function of
 * aril/identity.h that has some. Demanded are the exact status, untouched or zero
 * outputs, no key that stays alive, and a list that is as before. */
#include <aril/identity.h>
#include "check.h"
#include "crypto/runtime.h"
#include "fault_alloc.h"
#include "faulty_crypto.h"
#include "format/keyfile.h"
#include "provider.h"
#include "temp_folder.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILL      0xee
#define LEN_UNSET 9999u
#define DATA      ARIL_TEST_DATA_DIR "/identity/"

static struct faulty_crypto *faulty;
static aril_runtime *rt;
static aril_identity *id; /* ML-DSA-65 */
static char did[2][ARIL_DID_BYTES_MAX];
static uint8_t good_sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
static size_t good_sig_len;
static const char *seed_path, *both_path, *trust_path, *public_path;
static char paths[4][512];

static const aril_bytes label = { (const uint8_t *)"label", 5 };
static const aril_bytes message = { (const uint8_t *)"message", 7 };

static void expect_unchanged(const void *p, size_t len)
{
    const uint8_t *bytes = p;
    for (size_t i = 0; i < len; i++) {
        assert_true(bytes[i] == 0 || bytes[i] == FILL);
    }
}

/* The detail is filled exactly when the call failed. */
static aril_status with_error(aril_status st, const aril_error *error)
{
    assert_status(error->status, st);
    assert_int_equal(error->message[0] != '\0', st != ARIL_OK);
    return st;
}

/* --- what is swept; each gives its status and checks its outputs */

static aril_status generate(void)
{
    aril_identity *fresh = id;
    const aril_status st = aril_identity_generate(rt, ARIL_ML_DSA_87, &fresh);
    assert_int_equal(fresh == NULL, st != ARIL_OK);
    aril_identity_free(fresh);
    return st;
}

static aril_status load(const char *path)
{
    aril_identity *fresh = id;
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_identity_load(rt, path, &fresh, &error);
    assert_int_equal(fresh == NULL, st != ARIL_OK);
    aril_identity_free(fresh);
    return with_error(st, &error);
}

static aril_status load_seed(void)
{
    return load(seed_path);
}

static aril_status load_both(void)
{
    return load(both_path);
}

static aril_status save(void)
{
    const char *path = temp_path("saved.pem");
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_identity_save(id, path, &error);
    assert_int_equal(access(path, F_OK) == 0, st == ARIL_OK);
    temp_clear(path);
    return with_error(st, &error);
}

static aril_status sign(void)
{
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len = LEN_UNSET;
    memset(sig, FILL, sizeof sig);
    const aril_status st = aril_identity_sign(id, label, message, sig, sizeof sig, &len);
    assert_int_equal(len, st == ARIL_OK ? 3309 : LEN_UNSET);
    if (st != ARIL_OK) {
        expect_unchanged(sig, sizeof sig);
    }
    return st;
}

static aril_status verify(void)
{
    return aril_signature_verify(rt, ARIL_ML_DSA_65, aril_identity_public(id), label, message,
                                 (aril_bytes){ good_sig, good_sig_len });
}

static aril_status write_pqaid(void)
{
    char text[ARIL_DID_BYTES_MAX];
    size_t len = LEN_UNSET;
    memset(text, FILL, sizeof text);
    const aril_status st = aril_did_write(rt, ARIL_DID_PQAID, ARIL_ML_DSA_65,
                                          aril_identity_public(id), text, sizeof text, &len);
    if (st != ARIL_OK) {
        assert_int_equal(len, LEN_UNSET);
        expect_unchanged(text, sizeof text);
    }
    return st;
}

static aril_status check_pqaid(void)
{
    return aril_did_check(rt, did[ARIL_DID_PQAID], ARIL_ML_DSA_65, aril_identity_public(id));
}

static aril_status load_public(void)
{
    aril_sign_alg alg = 0;
    uint8_t pk[ARIL_SIGN_PUBLIC_BYTES_MAX];
    size_t len = LEN_UNSET;
    aril_error error = { .status = ARIL_OK };
    memset(pk, FILL, sizeof pk);
    const aril_status st = aril_public_key_load(rt, public_path, &alg, pk, sizeof pk, &len, &error);
    if (st != ARIL_OK) {
        assert_int_equal(alg, 0);
        assert_int_equal(len, LEN_UNSET);
        expect_unchanged(pk, sizeof pk);
    }
    return with_error(st, &error);
}

/* A list that holds one foreign DID, and is full up to its first growth. */
static aril_trust *list_new(void)
{
    aril_trust *trust = NULL;
    assert_status(aril_trust_new(rt, &trust), ARIL_OK);
    for (unsigned i = 0; i < 16; i++) {
        char foreign[80];
        (void)snprintf(foreign, sizeof foreign, "did:pqaid:%064x", i);
        assert_status(aril_trust_add(trust, foreign, "foreign"), ARIL_OK);
    }
    return trust;
}

static aril_status new_list(void)
{
    aril_trust *trust = (aril_trust *)&trust;
    const aril_status st = aril_trust_new(rt, &trust);
    assert_int_equal(trust == NULL, st != ARIL_OK);
    aril_trust_free(trust);
    return st;
}

static aril_trust *list; /* of the three below, made before the fault is armed */

static aril_status add_me(void)
{
    return aril_trust_add(list, did[ARIL_DID_KEY], "me");
}

static aril_status revoke_me(void)
{
    return aril_trust_revoke(list, did[ARIL_DID_KEY], "reason");
}

static aril_status load_list(void)
{
    aril_error error = { .status = ARIL_OK };
    return with_error(aril_trust_load(list, trust_path, &error), &error);
}

static aril_status check_list(void)
{
    const char *name = NULL;
    const aril_status st = aril_trust_check(list, ARIL_ML_DSA_65, aril_identity_public(id), &name);
    assert_int_equal(name != NULL, st == ARIL_OK || st == ARIL_E_TRUST_REVOKED);
    return st;
}

/* The list is made before the fault is armed; with me: it trusts the identity. */
enum kind { PLAIN, LIST, LIST_WITH_ME };

static const struct action {
    const char *name;
    aril_status (*run)(void);
    enum kind kind;
    aril_status after; /* what a check of the list says when all went well */
    unsigned allocs;   /* of ours, at least */
    unsigned calls;    /* of primitives, exactly */
} actions[] = {
    { "generate", generate, PLAIN, ARIL_OK, 2, 3 },
    { "load a seed", load_seed, PLAIN, ARIL_OK, 4, 2 },
    { "load seed and expanded key", load_both, PLAIN, ARIL_OK, 5, 3 },
    { "save", save, PLAIN, ARIL_OK, 0, 0 },
    { "sign", sign, PLAIN, ARIL_OK, 0, 1 },
    { "verify", verify, PLAIN, ARIL_OK, 1, 2 },
    { "write a did:pqaid", write_pqaid, PLAIN, ARIL_OK, 0, 1 },
    { "check a did:pqaid", check_pqaid, PLAIN, ARIL_OK, 0, 1 },
    { "load a public key", load_public, PLAIN, ARIL_OK, 2, 1 },
    { "make a list", new_list, PLAIN, ARIL_OK, 1, 0 },
    { "add to a full list", add_me, LIST, ARIL_OK, 2, 1 },
    { "revoke in a full list", revoke_me, LIST, ARIL_E_TRUST_REVOKED, 2, 1 },
    { "load a list", load_list, LIST, ARIL_OK, 3, 1 },
    { "check a list", check_list, LIST_WITH_ME, ARIL_OK, 0, 1 },
};

static void begin(const struct action *a)
{
    list = NULL;
    if (a->kind != PLAIN) {
        list = list_new();
    }
    if (a->kind == LIST_WITH_ME) {
        assert_status(aril_trust_add(list, did[ARIL_DID_KEY], "me"), ARIL_OK);
    }
}

/* After a failure the list is as before; after success it says what it should. */
static void end(const struct action *a, aril_status st, unsigned alive)
{
    assert_int_equal(faulty_crypto_alive(faulty), alive);
    if (a->kind == LIST) {
        assert_status(check_list(), st == ARIL_OK ? a->after : ARIL_E_TRUST_UNKNOWN);
        assert_status(aril_trust_add(list,
                                     "did:pqaid:000000000000000000000000000000000000000000000000000"
                                     "000000000000f",
                                     "foreign"),
                      ARIL_E_EXISTS);
    }
    aril_trust_free(list);
}

static void every_failed_allocation_is_nomem_and_changes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(actions); i++) {
        bool fired = true;
        unsigned nth = 0;
        while (fired) {
            begin(&actions[i]);
            const unsigned alive = faulty_crypto_alive(faulty);
            fault_alloc_arm(++nth);
            const aril_status st = actions[i].run();
            fault_alloc_disarm();
            fired = fault_alloc_fired();
            if ((st == ARIL_E_NOMEM) != fired || (!fired && st != ARIL_OK)) {
                fail_msg("%s, allocation %u: %s", actions[i].name, nth, aril_status_name(st));
            }
            end(&actions[i], st, alive);
        }
        if (nth - 1 < actions[i].allocs) {
            fail_msg("%s: only %u allocations were met", actions[i].name, nth - 1);
        }
    }
}

static void every_failed_primitive_is_reported_and_changes_nothing(void **state)
{
    (void)state;
    static const aril_status codes[] = { ARIL_E_CRYPTO, ARIL_E_NOMEM, ARIL_E_UNAVAILABLE };
    for (size_t i = 0; i < COUNT(actions); i++) {
        for (size_t c = 0; c < COUNT(codes); c++) {
            bool fired = true;
            unsigned nth = 0;
            while (fired) {
                begin(&actions[i]);
                const unsigned alive = faulty_crypto_alive(faulty);
                faulty_crypto_arm(faulty, ++nth, codes[c]);
                const aril_status st = actions[i].run();
                faulty_crypto_disarm(faulty);
                fired = faulty_crypto_fired(faulty);
                if (st != (fired ? codes[c] : ARIL_OK)) {
                    fail_msg("%s, call %u (%s): %s", actions[i].name, nth,
                             faulty_crypto_last(faulty), aril_status_name(st));
                }
                end(&actions[i], st, alive);
            }
            if (nth - 1 != actions[i].calls) {
                fail_msg("%s: %u calls were met", actions[i].name, nth - 1);
            }
        }
    }
}

static void without_randomness_there_is_no_new_identity(void **state)
{
    (void)state;
    aril_identity *fresh = id;
    faulty_crypto_arm_random(faulty, ARIL_E_RANDOM);
    const aril_status st = aril_identity_generate(rt, ARIL_ML_DSA_65, &fresh);
    faulty_crypto_disarm(faulty);
    assert_status(st, ARIL_E_RANDOM);
    assert_null(fresh);
}

static void copy_in(const char *from, const char *name, char *ret_path, size_t cap)
{
    static char text[ARILI_KEYFILE_PEM_BYTES_MAX];
    const size_t len = file_read(from, text, sizeof text);
    const char *path = temp_write(name, 0600, (aril_bytes){ (const uint8_t *)text, len });
    (void)snprintf(ret_path, cap, "%s", path);
}

static void make_files(void)
{
    copy_in(DATA "ml-dsa-65-seed.pem", "seed.pem", paths[0], sizeof paths[0]);
    copy_in(DATA "ml-dsa-87-both.pem", "both.pem", paths[1], sizeof paths[1]);
    copy_in(DATA "ml-dsa-87-public.pem", "public.pem", paths[2], sizeof paths[2]);
    static char text[2 * ARIL_DID_BYTES_MAX];
    (void)snprintf(text, sizeof text, "# me\ntrust %s me\n", did[ARIL_DID_KEY]);
    (void)snprintf(paths[3], sizeof paths[3], "%s",
                   temp_write("trust", 0600, (aril_bytes){ (const uint8_t *)text, strlen(text) }));
    seed_path = paths[0];
    both_path = paths[1];
    public_path = paths[2];
    trust_path = paths[3];
}

static int set_up(void **state)
{
    if (temp_folder_make(state) != 0 || provider_setup(state) != 0) {
        return -1;
    }
    faulty = faulty_crypto_new(provider());
    bool ok =
        faulty != NULL &&
        arili_runtime_new_over(faulty_crypto_table(faulty), NULL, &rt) == ARIL_OK &&
        aril_identity_generate(rt, ARIL_ML_DSA_65, &id) == ARIL_OK &&
        aril_identity_sign(id, label, message, good_sig, sizeof good_sig, &good_sig_len) == ARIL_OK;
    for (int m = 0; ok && m < 2; m++) {
        size_t len = 0;
        ok = aril_did_write(rt, (aril_did_method)m, ARIL_ML_DSA_65, aril_identity_public(id),
                            did[m], sizeof did[m], &len) == ARIL_OK;
    }
    if (ok) {
        make_files();
    }
    return ok ? 0 : -1;
}

static int tear_down(void **state)
{
    aril_identity_free(id);
    aril_runtime_free(rt);
    const bool leaked = faulty_crypto_alive(faulty) != 0;
    faulty_crypto_free(faulty);
    const bool ok = provider_teardown(state) == 0 && temp_folder_remove(state) == 0;
    return ok && !leaked ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_allocation_is_nomem_and_changes_nothing),
        cmocka_unit_test(every_failed_primitive_is_reported_and_changes_nothing),
        cmocka_unit_test(without_randomness_there_is_no_new_identity),
    };
    return cmocka_run_group_tests_name("identity fault sweeps", tests, set_up, tear_down);
}
