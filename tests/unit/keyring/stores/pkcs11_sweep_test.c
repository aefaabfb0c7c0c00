/* SPDX-License-Identifier: Apache-2.0 */
/* Every call of the module fails once; modules hang, processes fork. */
#if __has_include(<p11-kit/pkcs11.h>)
#include "child.h"
#include "fake_token.h"
#include "temp_folder.h"
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <string.h>

static const struct arili_store_ops *const ops = &arili_store_pkcs11;

/* --- every call fails once */

static bool is_one_of(unsigned long rv, const unsigned long *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == rv) {
            return true;
        }
    }
    return false;
}

struct sweep_case {
    unsigned long rv;
    aril_status st;
    bool is_loss, is_device;
};

enum step { OPEN, SEAL, UNSEAL, DESTROY, STEPS };

/* What the first failing step has to answer. */
static aril_status expected(const struct sweep_case *c, const char *name, enum step step)
{
    if (strcmp(name, "C_CloseSession") == 0 || strcmp(name, "C_Finalize") == 0) {
        return ARIL_OK; /* closing has no answer */
    }
    const bool in_job = step != OPEN && strcmp(name, "C_Login") != 0;
    if (c->is_loss && in_job) {
        return ARIL_OK; /* once more, with a new session */
    }
    if (strcmp(name, "C_Decrypt") == 0 && !c->is_device) {
        return step == SEAL ? ARIL_E_KEYSTORE : ARIL_E_AUTH;
    }
    return c->st;
}

static aril_status run_step(enum step step, void **store, struct sealed *a, aril_error *error)
{
    switch (step) {
    case OPEN:
        return pkcs11_open(fake_token_uri(), NULL, NULL, store, error);
    case SEAL:
        return pkcs11_seal(*store, 1, a, error);
    case UNSEAL:
        return pkcs11_unseal(*store, a, error);
    default:
        return ops->destroy(*store, a->place.slot, error);
    }
}

/* Whether the fault was reached. */
static bool sweep_once(const struct sweep_case *c, unsigned nth, bool after)
{
    fake_pkcs11_reset(fake);
    fake->fault_nth = nth;
    fake->fault_rv = c->rv;
    fake->fault_after = after;
    void *store = NULL;
    struct sealed a = { .len = 0 };
    for (enum step step = OPEN; step < STEPS; step++) {
        const bool was = fake->fault_was != NULL;
        aril_error error = { .status = ARIL_OK };
        const aril_status st = run_step(step, &store, &a, &error);
        const bool hit = !was && fake->fault_was != NULL;
        const aril_status want = hit ? expected(c, fake->fault_was, step) : ARIL_OK;
        if (st != want) {
            fail_msg("step %d, call %u (%s) answers 0x%lx: %s, not %s: %s", step, nth,
                     fake->fault_was != NULL ? fake->fault_was : "none", c->rv,
                     aril_status_name(st), aril_status_name(want), error.message);
        }
        assert_status(error.status, st);
        if (st != ARIL_OK) {
            /* A repeated call is safe, and finishes the work. */
            error = (aril_error){ .status = ARIL_OK };
            if (run_step(step, &store, &a, &error) != ARIL_OK) {
                fail_msg("after 0x%lx of %s: %s", c->rv, fake->fault_was, error.message);
            }
        }
    }
    assert_int_equal(fake->objects, 0);
    pkcs11_close(&store);
    return fake->fault_was != NULL;
}

static void every_failing_call_is_answered_and_a_repeated_one_is_safe(void **state)
{
    (void)state;
    static const struct sweep_case cases[] = {
        { CKR_GENERAL_ERROR, ARIL_E_KEYSTORE, false, false },
        { CKR_FUNCTION_FAILED, ARIL_E_KEYSTORE, false, false },
        { CKR_VENDOR_DEFINED + 7, ARIL_E_KEYSTORE, false, false },
        { CKR_HOST_MEMORY, ARIL_E_NOMEM, false, true },
        { CKR_DEVICE_MEMORY, ARIL_E_LIMIT, false, true },
        { CKR_DEVICE_ERROR, ARIL_E_KEYSTORE, false, true },
        { CKR_SESSION_COUNT, ARIL_E_KEYSTORE_BUSY, false, true },
        { CKR_MECHANISM_INVALID, ARIL_E_UNAVAILABLE, false, false },
        { CKR_PIN_LOCKED, ARIL_E_KEYSTORE_LOCKOUT, false, true },
        { CKR_PIN_EXPIRED, ARIL_E_KEYSTORE, false, true },
        { CKR_USER_PIN_NOT_INITIALIZED, ARIL_E_KEYSTORE, false, true },
        { CKR_SESSION_HANDLE_INVALID, ARIL_E_KEYSTORE, true, true },
        { CKR_SESSION_CLOSED, ARIL_E_KEYSTORE, true, true },
        { CKR_USER_NOT_LOGGED_IN, ARIL_E_KEYSTORE, true, true },
        { CKR_DEVICE_REMOVED, ARIL_E_NOT_FOUND, true, true },
        { CKR_TOKEN_NOT_PRESENT, ARIL_E_NOT_FOUND, true, true },
    };
    static const unsigned long with_after[] = { CKR_GENERAL_ERROR, CKR_DEVICE_ERROR,
                                                CKR_SESSION_HANDLE_INVALID, CKR_DEVICE_REMOVED };
    unsigned tried = 0;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const bool lost_replies = is_one_of(cases[i].rv, with_after, COUNT(with_after));
        for (int after = 0; after <= (lost_replies ? 1 : 0); after++) {
            unsigned nth = 1;
            while (sweep_once(&cases[i], nth, after != 0)) {
                nth++;
            }
            assert_true(nth > 25); /* all verbs were reached */
            tried += nth - 1;
        }
    }
    print_message("%u failing calls\n", tried);
}

/* --- processes and threads */

struct opening {
    const char *uri;
    void *store;
    aril_status st;
};

static void *open_in_thread(void *arg)
{
    struct opening *o = arg;
    const struct arili_store_options options = { .rt = rt, .uri = o->uri, .rest = o->uri + 7 };
    o->st = arili_store_pkcs11.open(&options, &o->store, NULL);
    return NULL;
}

static void a_module_that_hangs_holds_up_no_other(void **state)
{
    (void)state;
    static uint8_t module[1 << 20];
    const size_t len = file_read(fake_pkcs11_module(), module, sizeof module);
    assert_in_range(len, 1, sizeof module - 1);
    const char *copy = temp_write("copy.so", 0755, (aril_bytes){ module, len });
    struct fake_pkcs11 *hanging = fake_pkcs11_of(copy);
    assert_true(hanging != fake);
    hanging->hang_in = "C_Initialize";

    char uri[1024];
    (void)snprintf(uri, sizeof uri, "%s", pkcs11_uri(FAKE_LABEL, copy, NULL));
    struct opening o = { .uri = uri };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, open_in_thread, &o), 0);
    fake_pkcs11_wait_hanging(hanging);
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    pkcs11_close(&store);

    fake_pkcs11_let_go(hanging);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_status(o.st, ARIL_OK);
    pkcs11_close(&o.store);
    temp_clear(copy);
}

static int close_in_child(void *arg)
{
    const unsigned before = fake->calls;
    ops->close(arg);
    return fake->calls == before ? 0 : 1;
}

static void a_forked_child_leaves_the_module_alone(void **state)
{
    (void)state;
    void *store = pkcs11_opened(fake_token_uri());
    struct sealed a;
    assert_status(pkcs11_seal(store, 1, &a, NULL), ARIL_OK);
    assert_int_equal(child_run(close_in_child, store), 0);
    assert_status(pkcs11_unseal(store, &a, NULL), ARIL_OK);
    pkcs11_close(&store);
}

static int open_in_child(void *arg)
{
    aril_runtime *own = NULL;
    if (aril_runtime_new(NULL, &own) != ARIL_OK) {
        return 1;
    }
    fake_pkcs11_reset(fake); /* as modules do that notice a fork */
    const char *uri = arg;
    const struct arili_store_options options = { .rt = own, .uri = uri, .rest = uri + 7 };
    void *store = NULL;
    if (arili_store_pkcs11.open(&options, &store, NULL) != ARIL_OK) {
        return 2;
    }
    ops->close(store);
    aril_runtime_free(own);
    return fake->initialized == 1 && fake->finalized == 1 ? 0 : 3;
}

static void a_forked_child_begins_anew_with_a_runtime_of_its_own(void **state)
{
    (void)state;
    void *store = pkcs11_opened(fake_token_uri());
    char uri[1024];
    (void)snprintf(uri, sizeof uri, "%s", fake_token_uri_no_pin());
    assert_int_equal(child_run(open_in_child, uri), 0);
    pkcs11_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_TOKEN_TEST(every_failing_call_is_answered_and_a_repeated_one_is_safe),
        FAKE_TOKEN_TEST(a_module_that_hangs_holds_up_no_other),
        FAKE_TOKEN_TEST(a_forked_child_leaves_the_module_alone),
        FAKE_TOKEN_TEST(a_forked_child_begins_anew_with_a_runtime_of_its_own),
    };
    return fake_token_run(tests);
}

#else
#include <stdio.h>

int main(void)
{
    (void)puts("SKIPPED: built without the headers of p11-kit");
    return 77;
}
#endif
