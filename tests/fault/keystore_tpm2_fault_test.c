/* SPDX-License-Identifier: Apache-2.0 */
/* Each command to the TPM fails once: it is not done, or it is done and its answer is lost, or
 * the TPM loses power before it. So does each allocation and each call of a primitive. Demanded
 * are the status, outputs that were left alone, a TPM without leftovers, and that the same call
 * works when it is made again. */
#include "check.h"
#include "crypto/runtime.h"
#include "fault_alloc.h"
#include "faulty_crypto.h"
#include "keyring/stores/tpm2_internal.h"
#include "provider.h"
#include "runtime.h"
#include "tpm2_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if ARILI_TPM2_HEADERS

#define FILL 0xee

enum fault { NOT_DONE, ANSWER_LOST, POWER_LOST, FAULTS };

static struct {
    enum fault what;
    unsigned countdown; /* 0: no fault is armed */
    bool fired;
    const char *last;
} armed;

/* Whether this command fails without being done. */
static bool fails_before(const char *name, bool changes)
{
    if (armed.countdown == 0 || (armed.what == ANSWER_LOST && !changes) || --armed.countdown > 0) {
        return false;
    }
    armed.fired = true;
    armed.last = name;
    if (armed.what == POWER_LOST) {
        swtpm_kill(&tpm);
        return false; /* it finds out by itself */
    }
    return armed.what == NOT_DONE;
}

static bool fails_after(const char *name)
{
    return armed.fired && armed.what == ANSWER_LOST && strcmp(armed.last, name) == 0;
}

#define WRAP(name, changes, params, args)                                  \
    static __typeof__(name) *real_##name;                                  \
    static TSS2_RC faulty_##name params                                    \
    {                                                                      \
        if (fails_before(#name, changes)) {                                \
            return TSS2_TCTI_RC_IO_ERROR;                                  \
        }                                                                  \
        const TSS2_RC rc = real_##name args;                               \
        return changes && fails_after(#name) ? TSS2_TCTI_RC_IO_ERROR : rc; \
    }

WRAP(Tss2_TctiLdr_Initialize_Ex, false, (const char *a, const char *b, TSS2_TCTI_CONTEXT **c),
     (a, b, c))
WRAP(Esys_GetCapability, false,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, TPM2_CAP e, UINT32 f, UINT32 g,
      TPMI_YES_NO *h, TPMS_CAPABILITY_DATA **i),
     (a, b, c, d, e, f, g, h, i))
WRAP(Esys_CreatePrimary, false,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, const TPM2B_SENSITIVE_CREATE *f,
      const TPM2B_PUBLIC *g, const TPM2B_DATA *h, const TPML_PCR_SELECTION *i, ESYS_TR *j,
      TPM2B_PUBLIC **k, TPM2B_CREATION_DATA **l, TPM2B_DIGEST **m, TPMT_TK_CREATION **n),
     (a, b, c, d, e, f, g, h, i, j, k, l, m, n))
WRAP(Esys_TR_GetName, false, (ESYS_CONTEXT * a, ESYS_TR b, TPM2B_NAME **c), (a, b, c))
WRAP(Esys_StartAuthSession, false,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, ESYS_TR f, const TPM2B_NONCE *g,
      TPM2_SE h, const TPMT_SYM_DEF *i, TPMI_ALG_HASH j, ESYS_TR *k),
     (a, b, c, d, e, f, g, h, i, j, k))
WRAP(Esys_TRSess_SetAttributes, false,
     (ESYS_CONTEXT * a, ESYS_TR b, TPMA_SESSION c, TPMA_SESSION d), (a, b, c, d))
WRAP(Esys_TR_FromTPMPublic, false,
     (ESYS_CONTEXT * a, TPM2_HANDLE b, ESYS_TR c, ESYS_TR d, ESYS_TR e, ESYS_TR *f),
     (a, b, c, d, e, f))
WRAP(Esys_PCR_Read, false,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, const TPML_PCR_SELECTION *e, UINT32 *f,
      TPML_PCR_SELECTION **g, TPML_DIGEST **h),
     (a, b, c, d, e, f, g, h))
WRAP(Esys_PolicyPCR, false,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, const TPM2B_DIGEST *f,
      const TPML_PCR_SELECTION *g),
     (a, b, c, d, e, f, g))
WRAP(Esys_Create, false,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, const TPM2B_SENSITIVE_CREATE *f,
      const TPM2B_PUBLIC *g, const TPM2B_DATA *h, const TPML_PCR_SELECTION *i, TPM2B_PRIVATE **j,
      TPM2B_PUBLIC **k, TPM2B_CREATION_DATA **l, TPM2B_DIGEST **m, TPMT_TK_CREATION **n),
     (a, b, c, d, e, f, g, h, i, j, k, l, m, n))
WRAP(Esys_Load, false,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, const TPM2B_PRIVATE *f,
      const TPM2B_PUBLIC *g, ESYS_TR *h),
     (a, b, c, d, e, f, g, h))
WRAP(Esys_Unseal, false,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, TPM2B_SENSITIVE_DATA **f),
     (a, b, c, d, e, f))
WRAP(Esys_NV_DefineSpace, true,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, const TPM2B_AUTH *f,
      const TPM2B_NV_PUBLIC *g, ESYS_TR *h),
     (a, b, c, d, e, f, g, h))
WRAP(Esys_NV_UndefineSpace, true,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, ESYS_TR f), (a, b, c, d, e, f))
WRAP(Esys_NV_ReadPublic, false,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, TPM2B_NV_PUBLIC **f,
      TPM2B_NAME **g),
     (a, b, c, d, e, f, g))
WRAP(Esys_NV_Write, true,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, ESYS_TR f,
      const TPM2B_MAX_NV_BUFFER *g, UINT16 h),
     (a, b, c, d, e, f, g, h))
WRAP(Esys_NV_WriteLock, true,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, ESYS_TR f), (a, b, c, d, e, f))
WRAP(Esys_NV_Read, false,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, ESYS_TR f, UINT16 g, UINT16 h,
      TPM2B_MAX_NV_BUFFER **i),
     (a, b, c, d, e, f, g, h, i))
WRAP(Esys_NV_Increment, true,
     (ESYS_CONTEXT * a, ESYS_TR b, ESYS_TR c, ESYS_TR d, ESYS_TR e, ESYS_TR f), (a, b, c, d, e, f))

/* A store whose commands may fail. */
static void *open_faulty(const char *query)
{
    struct arili_tpm2 *t = tpm2_open(&tpm, query);
#define REPLACE(name)                \
    do {                             \
        real_##name = t->lib.name;   \
        t->lib.name = faulty_##name; \
    } while (0)
    REPLACE(Tss2_TctiLdr_Initialize_Ex);
    REPLACE(Esys_GetCapability);
    REPLACE(Esys_CreatePrimary);
    REPLACE(Esys_TR_GetName);
    REPLACE(Esys_StartAuthSession);
    REPLACE(Esys_TRSess_SetAttributes);
    REPLACE(Esys_TR_FromTPMPublic);
    REPLACE(Esys_PCR_Read);
    REPLACE(Esys_PolicyPCR);
    REPLACE(Esys_Create);
    REPLACE(Esys_Load);
    REPLACE(Esys_Unseal);
    REPLACE(Esys_NV_DefineSpace);
    REPLACE(Esys_NV_UndefineSpace);
    REPLACE(Esys_NV_ReadPublic);
    REPLACE(Esys_NV_Write);
    REPLACE(Esys_NV_WriteLock);
    REPLACE(Esys_NV_Read);
    REPLACE(Esys_NV_Increment);
#undef REPLACE
    return t;
}

/* --- What is swept. Each makes one call, and looks at its outputs. */

static const struct arili_store_ops *const ops = &arili_store_tpm2;
static struct tpm2_blob sealed; /* of number 1 */
static struct arili_store_counter counter;
static uint64_t counted; /* last value that is known */

static void seal_one(void *store)
{
    sealed = tpm2_seal(store, 1);
}

static aril_status seal(void *store, aril_error *error)
{
    struct tpm2_blob blob;
    memset(&blob, FILL, sizeof blob);
    const size_t unset = blob.len;
    const aril_status st = tpm2_try_seal(store, 1, &blob, error);
    assert_int_equal(blob.len == unset, st != ARIL_OK);
    assert_int_equal(blob.bytes[0] == FILL, st != ARIL_OK);
    sealed = st == ARIL_OK ? blob : sealed;
    return st;
}

static aril_status unseal(void *store, aril_error *error)
{
    const struct arili_store_place place = tpm2_place(1);
    uint8_t got[ARILI_STORE_SECRET_BYTES], want[ARILI_STORE_SECRET_BYTES];
    memset(got, FILL, sizeof got);
    const aril_status st =
        ops->unseal(store, &place, (aril_bytes){ sealed.bytes, sealed.len }, got, error);
    tpm2_secret(1, want);
    if (st != ARIL_OK) {
        memset(want, FILL, sizeof want);
    }
    assert_memory_equal(got, want, sizeof want);
    return st;
}

static aril_status destroy(void *store, aril_error *error)
{
    const struct arili_store_place place = tpm2_place(1);
    return ops->destroy(store, place.slot, error);
}

static aril_status create(void *store, aril_error *error)
{
    const struct arili_store_place place = tpm2_place(1);
    struct arili_store_counter c = { .len = FILL };
    uint64_t value = FILL;
    const aril_status st = ops->counter_create(store, place.slot, &c, &value, error);
    assert_int_equal(c.len == FILL, st != ARIL_OK);
    assert_int_equal(value == FILL, st != ARIL_OK);
    if (st == ARIL_OK) {
        counter = c;
        counted = value;
    }
    return st;
}

static void create_one(void *store)
{
    assert_status(create(store, NULL), ARIL_OK);
}

static aril_status read_counter(void *store, aril_error *error)
{
    uint64_t value = 0;
    const aril_status st = ops->counter_read(store, &counter, &value, error);
    assert_int_equal(value, st == ARIL_OK ? counted : 0);
    return st;
}

static aril_status increment(void *store, aril_error *error)
{
    uint64_t value = 0;
    const aril_status st = ops->counter_increment(store, &counter, &value, error);
    if (st == ARIL_OK) {
        /* A call that failed may have counted as well. */
        assert_in_range(value, counted + 1, counted + 2);
        counted = value;
    } else {
        assert_int_equal(value, 0);
    }
    return st;
}

static aril_status remove_counter(void *store, aril_error *error)
{
    return ops->counter_destroy(store, &counter, error);
}

static const struct sweep {
    const char *name, *query;
    void (*before)(void *store); /* without a fault */
    aril_status (*call)(void *store, aril_error *error);
    size_t indices;        /* in the TPM after it worked */
    unsigned commands_min; /* that it is made of, so that a sweep over nothing is noticed */
} SWEEPS[] = {
    { "seal", "", NULL, seal, 1, 8 },
    { "seal with PCRs", "?pcrs=sha256:0,1,2,3,4,5,6,7,16", NULL, seal, 1, 10 },
    { "seal again", "", seal_one, seal, 1, 8 },
    { "unseal", "", seal_one, unseal, 1, 9 },
    { "unseal with PCRs", "?pcrs=sha256:16", seal_one, unseal, 1, 12 },
    { "destroy", "", seal_one, destroy, 0, 4 },
    { "counter create", "", NULL, create, 1, 8 },
    { "counter read", "", create_one, read_counter, 1, 7 },
    { "counter increment", "", create_one, increment, 1, 8 },
    { "counter destroy", "", create_one, remove_counter, 0, 4 },
};

static void expect_failed(const struct sweep *s, unsigned nth, aril_status st,
                          const aril_error *error, aril_status want)
{
    if (st != want || error->status != st || strstr(error->message, tpm.uri) == NULL) {
        fail_msg("%s, command %u, %s: %s: %s", s->name, nth, armed.last, aril_status_name(st),
                 error->message);
    }
}

static void remove_all(void)
{
    uint32_t handles[8];
    for (size_t n = swtpm_handles(&tpm, SWTPM_NV, handles, COUNT(handles)); n > 0; n--) {
        swtpm_nv_undefine(&tpm, handles[n - 1]);
    }
}

/* Fails the nth command; false when there are fewer. */
static bool sweep_one(const struct sweep *s, enum fault what, unsigned nth)
{
    void *store = open_faulty(s->query);
    if (s->before != NULL) {
        s->before(store);
    }
    aril_error error = { .message = "" };
    armed.what = what;
    armed.countdown = nth;
    armed.fired = false;
    const aril_status st = s->call(store, &error);
    armed.countdown = 0;
    const bool fired = armed.fired;
    armed.fired = false;
    if (fired) {
        expect_failed(s, nth, st, &error, ARIL_E_KEYSTORE);
    } else {
        assert_status(st, ARIL_OK);
    }
    if (tpm.pid == 0) {
        swtpm_restart(&tpm, SWTPM_STARTED);
    }
    tpm2_expect_clean(&tpm);
    if (fired) {
        assert_status(s->call(store, &error), ARIL_OK);
    }
    assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, NULL, 0), s->indices);
    tpm2_close(store);
    remove_all();
    return fired;
}

static void sweep(enum fault what, bool all_commands)
{
    for (size_t i = 0; i < COUNT(SWEEPS); i++) {
        unsigned nth = 1;
        while (sweep_one(&SWEEPS[i], what, nth)) {
            nth++;
        }
        assert_in_range(nth, all_commands ? SWEEPS[i].commands_min : 1, 40);
    }
}

static void a_command_that_fails_leaves_the_tpm_as_it_was(void **state)
{
    (void)state;
    sweep(NOT_DONE, true);
}

static void a_command_whose_answer_is_lost_can_be_done_again(void **state)
{
    (void)state;
    sweep(ANSWER_LOST, false);
}

static void a_tpm_that_loses_power_at_any_command_goes_on_afterwards(void **state)
{
    (void)state;
    sweep(POWER_LOST, true);
}

static void an_index_that_could_not_be_finished_is_removed(void **state)
{
    (void)state;
    void *store = open_faulty("");
    for (unsigned nth = 1; nth < 40; nth++) {
        armed.what = NOT_DONE;
        armed.countdown = nth;
        armed.fired = false;
        struct tpm2_blob blob;
        const aril_status st = tpm2_try_seal(store, 1, &blob, NULL);
        armed.countdown = 0;
        if (st == ARIL_OK) {
            break;
        }
        assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, NULL, 0), 0);
    }
    assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, NULL, 0), 1);
    tpm2_close(store);
}

/* --- Memory and primitives */

static void opening_without_memory_is_a_failure_like_any_other(void **state)
{
    (void)state;
    unsigned nth = 1;
    for (;; nth++) {
        void *store = NULL;
        aril_error error = { .message = "" };
        fault_alloc_arm(nth);
        const aril_status st = tpm2_try_open(tpm.uri, &store, &error);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            tpm2_close(store);
            break;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_null(store);
    }
    assert_in_range(nth, 2, 10);
}

static struct faulty_crypto *crypto;
static aril_runtime *rt_of_group;

static int crypto_setup(void **state)
{
    rt_of_group = rt;
    if (provider_setup(state) != 0 || tpm2_setup(state) != 0) {
        return -1;
    }
    crypto = faulty_crypto_new(provider());
    return crypto != NULL &&
                   arili_runtime_new_over(faulty_crypto_table(crypto), NULL, &rt) == ARIL_OK
               ? 0
               : -1;
}

static int crypto_teardown(void **state)
{
    aril_runtime_free(rt);
    rt = rt_of_group;
    faulty_crypto_free(crypto);
    const int ended = tpm2_teardown(state);
    return provider_teardown(state) == 0 ? ended : -1;
}

static void a_primitive_that_fails_leaves_the_tpm_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(SWEEPS); i++) {
        const struct sweep *s = &SWEEPS[i];
        void *store = tpm2_open(&tpm, s->query);
        if (s->before != NULL) {
            s->before(store);
        }
        const size_t before = swtpm_handles(&tpm, SWTPM_NV, NULL, 0);
        for (unsigned nth = 1;; nth++) {
            aril_error error = { .message = "" };
            faulty_crypto_arm(crypto, nth, ARIL_E_CRYPTO);
            const aril_status st = s->call(store, &error);
            faulty_crypto_disarm(crypto);
            if (!faulty_crypto_fired(crypto)) {
                assert_status(st, ARIL_OK);
                break;
            }
            armed.last = faulty_crypto_last(crypto);
            expect_failed(s, nth, st, &error, ARIL_E_CRYPTO);
            assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, NULL, 0), before);
        }
        tpm2_expect_clean(&tpm);
        tpm2_close(store);
        remove_all();
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tpm2_setup, tpm2_teardown)

int main(void)
{
    if (tpm2_missing() != NULL) {
        (void)printf("skipped: %s\n", tpm2_missing());
        return 77;
    }
    const struct CMUnitTest tests[] = {
        TEST(a_command_that_fails_leaves_the_tpm_as_it_was),
        TEST(a_command_whose_answer_is_lost_can_be_done_again),
        TEST(a_tpm_that_loses_power_at_any_command_goes_on_afterwards),
        TEST(an_index_that_could_not_be_finished_is_removed),
        TEST(opening_without_memory_is_a_failure_like_any_other),
        cmocka_unit_test_setup_teardown(a_primitive_that_fails_leaves_the_tpm_as_it_was,
                                        crypto_setup, crypto_teardown),
    };
    return cmocka_run_group_tests(tests, tpm2_group_setup, tpm2_group_teardown);
}

#else
int main(void)
{
    (void)printf("skipped: %s\n", tpm2_missing());
    return 77;
}
#endif
