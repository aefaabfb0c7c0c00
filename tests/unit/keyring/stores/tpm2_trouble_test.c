/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "check.h"
#include "child.h"
#include "keyring/stores/tpm2_internal.h"
#include "tpm2_fixture.h"
#include "valgrind.h"
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#if ARILI_TPM2_HEADERS

/* --- Libraries that are not there */

static const char *hidden; /* what the loader does not find; NULL: it finds all */

/* In the place of libc's, also for what is loaded. */
void *dlopen(const char *file, int mode);
void *dlopen(const char *file, int mode)
{
    void *(*real)(const char *, int) = NULL;
    void *at = dlsym(RTLD_NEXT, "dlopen");
    memcpy(&real, &at, sizeof at);
    const bool hide = hidden != NULL && file != NULL && strstr(file, hidden) != NULL;
    return real(hide ? "libaril-test-no-such.so" : file, mode);
}

static void a_library_that_is_missing_is_named(void **state)
{
    (void)state;
    static const char *const NAMES[] = { "libtss2-esys.so.0", "libtss2-mu.so.0",
                                         "libtss2-tctildr.so.0", "libtss2-rc.so.0",
                                         "libtss2-tcti-swtpm.so.0" };
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        hidden = NAMES[i];
        void *store = NULL;
        aril_error error = { .message = "" };
        assert_status(tpm2_try_open(tpm.uri, &store, &error), ARIL_E_UNAVAILABLE);
        hidden = NULL;
        assert_null(store);
        assert_non_null(strstr(error.message, "install tpm2-tss"));
        assert_non_null(strstr(error.message, "libtss2-tcti-swtpm0"));
    }
    tpm2_close(tpm2_open(&tpm, ""));
}

/* --- TPMs that are not there */

static aril_status open_uri(const char *uri, aril_error *error)
{
    void *store = NULL;
    error->message[0] = '\0';
    const aril_status st = tpm2_try_open(uri, &store, error);
    assert_int_equal(store == NULL, st != ARIL_OK);
    tpm2_close(store);
    return st;
}

static void a_tpm_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    aril_error error;
    assert_status(open_uri("tpm2:device:/dev/aril-no-such-tpm", &error), ARIL_E_NOT_FOUND);
    assert_non_null(strstr(error.message, "tpm2:device:/dev/aril-no-such-tpm: "));
    assert_status(open_uri("tpm2:device:/etc/passwd/tpm", &error), ARIL_E_NOT_FOUND);
    assert_status(open_uri("tpm2:swtpm:path=/nonexistent/s.sock", &error), ARIL_E_NOT_FOUND);
    /* Ports below 1024 of the loopback device, where nobody listens. */
    assert_status(open_uri("tpm2:swtpm:host=127.0.0.1,port=1", &error), ARIL_E_KEYSTORE);
    assert_non_null(strstr(error.message, "see that the TPM is up"));
    assert_status(open_uri("tpm2:swtpm:nonsense", &error), ARIL_E_KEYSTORE);
}

static void a_socket_that_nobody_listens_on_is_a_failure(void **state)
{
    (void)state;
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    const struct arili_store_place place = tpm2_place(1);
    swtpm_kill(&tpm); /* leaves the socket */
    assert_int_equal(access(tpm.socket, F_OK), 0);
    (void)tpm2_expect_refused(tpm2_store(), &blob, &place, ARIL_E_KEYSTORE);
    aril_error error;
    assert_status(open_uri(tpm.uri, &error), ARIL_E_KEYSTORE);
    assert_int_equal(unlink(tpm.socket), 0);
    (void)tpm2_expect_refused(tpm2_store(), &blob, &place, ARIL_E_NOT_FOUND);
    swtpm_restart(&tpm, SWTPM_STARTED);
    tpm2_expect_opens(tpm2_store(), &blob, 1);
}

/* In a child, because root may use every socket. */
static int open_as_nobody(void *arg)
{
    const char *uri = arg;
    if (geteuid() == 0 && seteuid(65534) != 0) {
        return 2;
    }
    void *store = NULL;
    aril_error error = { .message = "" };
    const aril_status st = tpm2_try_open(uri, &store, &error);
    return st == ARIL_E_IO && store == NULL && strstr(error.message, "the group") != NULL ? 0 : 1;
}

static void a_socket_of_others_says_what_to_do(void **state)
{
    (void)state;
    assert_int_equal(chmod(tpm.socket, 0), 0);
    assert_int_equal(child_run(open_as_nobody, tpm.uri), 0);
}

/* --- TPMs that go away */

static void a_tpm_that_was_restarted_needs_no_new_open(void **state)
{
    (void)state;
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    swtpm_stop(&tpm);
    swtpm_restart(&tpm, SWTPM_STARTED);
    tpm2_expect_opens(tpm2_store(), &blob, 1);
    swtpm_kill(&tpm);
    swtpm_restart(&tpm, SWTPM_STARTED);
    tpm2_expect_opens(tpm2_store(), &blob, 1);
}

struct waiter {
    void *store;
    struct tpm2_blob blob;
    atomic_int tid;
    aril_status st;
    aril_error error;
};

static void *wait_for_secret(void *arg)
{
    struct waiter *w = arg;
    const struct arili_store_place place = tpm2_place(1);
    uint8_t got[ARILI_STORE_SECRET_BYTES];
    atomic_store(&w->tid, (int)syscall(SYS_gettid));
    w->st = arili_store_tpm2.unseal(w->store, &place, (aril_bytes){ w->blob.bytes, w->blob.len },
                                    got, &w->error);
    return NULL;
}

/* Until the thread waits for something, seen three times in a row. */
static void until_blocked(struct waiter *w)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    for (unsigned seen = 0, i = 0; seen < 3; i++) {
        assert_in_range(i, 0, 10000);
        (void)nanosleep(&pause, NULL);
        char path[64], stat[256] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", atomic_load(&w->tid));
        FILE *file = atomic_load(&w->tid) != 0 ? fopen(path, "r") : NULL;
        if (file != NULL) {
            stat[fread(stat, 1, sizeof stat - 1, file)] = '\0';
            (void)fclose(file);
        }
        const char *end = strrchr(stat, ')');
        seen = end != NULL && strncmp(end, ") S", 3) == 0 ? seen + 1 : 0;
    }
}

static void a_frozen_tpm_is_waited_for(void **state)
{
    (void)state;
    struct waiter w = { .store = tpm2_store(), .blob = tpm2_seal(tpm2_store(), 1) };
    pthread_t thread;
    swtpm_freeze(&tpm);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_secret, &w), 0);
    until_blocked(&w);
    swtpm_thaw(&tpm);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_status(w.st, ARIL_OK);
}

static void a_tpm_that_dies_during_a_call_fails_it(void **state)
{
    (void)state;
    if (under_valgrind()) {
        skip(); /* tpm2-tss leaks a few bytes here; tests/support/tpm2_fixture.c says which */
    }
    struct waiter w = { .store = tpm2_store(), .blob = tpm2_seal(tpm2_store(), 1) };
    pthread_t thread;
    swtpm_freeze(&tpm);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_secret, &w), 0);
    until_blocked(&w);
    swtpm_kill(&tpm);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_status(w.st, ARIL_E_KEYSTORE);
    assert_non_null(strstr(w.error.message, tpm.uri));
    swtpm_restart(&tpm, SWTPM_STARTED);
    tpm2_expect_opens(tpm2_store(), &w.blob, 1);
}

/* Takes connections and closes them at once, on both sockets of a TPM that is no more. */
static void *hang_up(void *arg)
{
    const int *fds = arg;
    for (;;) {
        const int fd = accept(fds[0], NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        (void)close(fd);
    }
}

static int listen_at(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    assert_in_range(strlen(path), 1, sizeof at.sun_path - 1);
    memcpy(at.sun_path, path, strlen(path));
    (void)unlink(path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void a_closed_pipe_ends_the_call_and_not_the_process(void **state)
{
    (void)state;
    if (under_valgrind()) {
        skip(); /* tpm2-tss leaks a few bytes here; tests/support/tpm2_fixture.c says which */
    }
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    const struct arili_store_place place = tpm2_place(1);
    swtpm_stop(&tpm);
    char ctrl[sizeof tpm.socket + 8];
    (void)snprintf(ctrl, sizeof ctrl, "%s.ctrl", tpm.socket);
    int fds[2][1] = { { listen_at(tpm.socket) }, { listen_at(ctrl) } };
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hang_up, fds[i]), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        (void)tpm2_expect_refused(tpm2_store(), &blob, &place, ARIL_E_KEYSTORE);
    }
    sigset_t pending, mask;
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGPIPE), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &mask), 0);
    assert_int_equal(sigismember(&mask, SIGPIPE), 0);
    for (unsigned i = 0; i < 2; i++) {
        (void)shutdown(fds[i][0], SHUT_RDWR);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        (void)close(fds[i][0]);
    }
    (void)unlink(ctrl);
    swtpm_restart(&tpm, SWTPM_STARTED);
    tpm2_expect_opens(tpm2_store(), &blob, 1);
}

/* --- TPMs in a state of their own */

static void a_lockout_after_wrong_passwords_does_not_take_the_keys(void **state)
{
    (void)state;
    void *bound = tpm2_open(&tpm, "?pcrs=sha256:16");
    const struct tpm2_blob one = tpm2_seal(tpm2_store(), 1);
    const struct tpm2_blob two = tpm2_seal(bound, 2);
    swtpm_lock_out(&tpm);
    tpm2_expect_opens(tpm2_store(), &one, 1);
    tpm2_expect_opens(bound, &two, 2);
    const struct tpm2_blob three = tpm2_seal(bound, 3);
    tpm2_expect_opens(bound, &three, 3);
    tpm2_close(bound);
}

static void an_owner_password_is_asked_away_and_not_guessed(void **state)
{
    (void)state;
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    const struct arili_store_place place = tpm2_place(1);
    swtpm_owner_password(&tpm, "owner");
    const char *message = tpm2_expect_refused(tpm2_store(), &blob, &place, ARIL_E_KEYSTORE_SECRET);
    assert_non_null(strstr(message, "must have no password"));
    aril_error error = { .message = "" };
    assert_status(arili_store_tpm2.destroy(tpm2_store(), place.slot, &error),
                  ARIL_E_KEYSTORE_SECRET);
    struct tpm2_blob other = { .len = 0 };
    assert_status(tpm2_try_seal(tpm2_store(), 2, &other, &error), ARIL_E_KEYSTORE_SECRET);
    assert_int_equal(swtpm_handles(&tpm, SWTPM_NV, NULL, 0), 1);
    swtpm_clear(&tpm); /* takes the password, and the index with it */
    (void)tpm2_expect_refused(tpm2_store(), &blob, &place, ARIL_E_KEYSTORE_WRONG);
}

static void another_tpm_opens_nothing(void **state)
{
    (void)state;
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    const struct arili_store_place place = tpm2_place(1);
    struct swtpm other;
    assert_true(swtpm_start(&other));
    void *store = tpm2_open(&other, "");
    (void)tpm2_expect_refused(store, &blob, &place, ARIL_E_KEYSTORE_WRONG);
    /* Not even when the slot has an index there, by chance or on purpose. */
    (void)tpm2_seal(store, 1);
    (void)tpm2_expect_refused(store, &blob, &place, ARIL_E_AUTH);
    tpm2_expect_clean(&other);
    tpm2_close(store);
    swtpm_remove(&other);
    tpm2_expect_opens(tpm2_store(), &blob, 1);
}

static void a_cleared_tpm_opens_nothing(void **state)
{
    (void)state;
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    const struct arili_store_place place = tpm2_place(1);
    swtpm_clear(&tpm);
    (void)tpm2_expect_refused(tpm2_store(), &blob, &place, ARIL_E_KEYSTORE_WRONG);
    const struct tpm2_blob anew = tpm2_seal(tpm2_store(), 1);
    (void)tpm2_expect_refused(tpm2_store(), &blob, &place, ARIL_E_AUTH);
    tpm2_expect_opens(tpm2_store(), &anew, 1);
}

static void a_tpm_full_of_objects_of_others_is_busy(void **state)
{
    (void)state;
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    const struct arili_store_place place = tpm2_place(1);
    uint32_t objects[3];
    for (unsigned i = 0; i < 3; i++) {
        objects[i] = swtpm_fill_object(&tpm);
    }
    const char *message = tpm2_expect_refused(tpm2_store(), &blob, &place, ARIL_E_KEYSTORE_BUSY);
    assert_non_null(strstr(message, "tpm2_flushcontext"));
    swtpm_flush(&tpm, objects[2]); /* room for the storage key alone */
    (void)tpm2_expect_refused(tpm2_store(), &blob, &place, ARIL_E_KEYSTORE_BUSY);
    assert_int_equal(swtpm_handles(&tpm, SWTPM_TRANSIENT, NULL, 0), 2);
    assert_int_equal(swtpm_handles(&tpm, SWTPM_LOADED_SESSIONS, NULL, 0), 0);
    swtpm_flush(&tpm, objects[0]);
    swtpm_flush(&tpm, objects[1]);
    tpm2_expect_opens(tpm2_store(), &blob, 1);
}

static void a_tpm_that_was_not_started_up_says_how(void **state)
{
    (void)state;
    const struct tpm2_blob blob = tpm2_seal(tpm2_store(), 1);
    const struct arili_store_place place = tpm2_place(1);
    swtpm_stop(&tpm);
    swtpm_restart(&tpm, SWTPM_NOT_STARTED);
    assert_non_null(strstr(tpm2_expect_refused(tpm2_store(), &blob, &place, ARIL_E_KEYSTORE),
                           "tpm2_startup -c"));
    swtpm_stop(&tpm);
    swtpm_restart(&tpm, SWTPM_STARTED);
    tpm2_expect_opens(tpm2_store(), &blob, 1);
}

/* --- What response codes mean */

static void response_codes_have_their_status(void **state)
{
    (void)state;
    static const struct {
        TSS2_RC rc;
        aril_status st;
    } CASES[] = {
        { 0x99d, ARIL_E_KEYSTORE_POLICY },  /* policy fail, session 1 */
        { 0x921, ARIL_E_KEYSTORE_LOCKOUT }, /* lockout */
        { 0x98e, ARIL_E_KEYSTORE_SECRET },  /* auth fail, session 1 */
        { 0x9a2, ARIL_E_KEYSTORE_SECRET },  /* bad auth, session 1 */
        { 0x922, ARIL_E_KEYSTORE_BUSY },    /* retry */
        { 0x908, ARIL_E_KEYSTORE_BUSY },    /* yielded */
        { 0x920, ARIL_E_KEYSTORE_BUSY },    /* NV rate */
        { 0x902, ARIL_E_KEYSTORE_BUSY },    /* object memory */
        { 0x903, ARIL_E_KEYSTORE_BUSY },    /* session memory */
        { 0x18b, ARIL_E_KEYSTORE_BUSY },    /* handle 1 */
        { 0x14b, ARIL_E_LIMIT },            /* NV space */
        { 0x1df, ARIL_E_KEYSTORE_WRONG },   /* integrity, parameter 1 */
        { 0x101, ARIL_E_KEYSTORE },         /* failure */
        { 0x1d5, ARIL_E_KEYSTORE },         /* size, parameter 1: of no special meaning */
        { 0x000b0921, ARIL_E_KEYSTORE_LOCKOUT },
        { 0x000c099d, ARIL_E_KEYSTORE_POLICY }, /* through resource managers */
        { TSS2_TCTI_RC_IO_ERROR, ARIL_E_KEYSTORE },
        { TSS2_ESYS_RC_MEMORY, ARIL_E_NOMEM },
        { TSS2_ESYS_RC_TRY_AGAIN, ARIL_E_KEYSTORE_BUSY },
        { TSS2_ESYS_RC_RSP_AUTH_FAILED, ARIL_E_KEYSTORE },
        { 0x00070921, ARIL_E_KEYSTORE }, /* of the ESAPI itself, so no code of a TPM */
    };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        const char *remedy = NULL;
        assert_status(arili_tpm2_status(CASES[i].rc, &remedy), CASES[i].st);
        assert_non_null(remedy);
        assert_true(strlen(remedy) > 10);
    }
    assert_true(arili_tpm2_blames_parameter(0x1df));
    assert_true(arili_tpm2_blames_parameter(0x2d5));
    assert_false(arili_tpm2_blames_parameter(0x99d));
    assert_false(arili_tpm2_blames_parameter(0x18b));
    assert_false(arili_tpm2_blames_parameter(0x902));
    assert_false(arili_tpm2_blames_parameter(TSS2_TCTI_RC_IO_ERROR));
}

static void a_busy_tpm_is_asked_again_a_few_times(void **state)
{
    (void)state;
    static const TSS2_RC BUSY[] = { 0x922, 0x908, 0x90a, 0x920, 0x923, 0x902, 0x903, 0x904 };
    for (size_t i = 0; i < COUNT(BUSY); i++) {
        unsigned tries = 4; /* the last pause alone: the others are shorter */
        assert_true(arili_tpm2_again(BUSY[i], &tries));
        assert_false(arili_tpm2_again(BUSY[i], &tries));
    }
    unsigned tries = 0, calls = 0;
    TSS2_RC rc = 0;
    ARILI_TPM2_RUN(rc, ++calls < 3 ? 0x922 : 0);
    assert_int_equal(rc, 0);
    assert_int_equal(calls, 3);
    assert_false(arili_tpm2_again(0x99d, &tries));
    assert_false(arili_tpm2_again(0, &tries));
    assert_false(arili_tpm2_again(TSS2_TCTI_RC_IO_ERROR, &tries));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, tpm2_setup, tpm2_teardown)

int main(void)
{
    if (tpm2_missing() != NULL) {
        (void)printf("skipped: %s\n", tpm2_missing());
        return 77;
    }
    const struct CMUnitTest tests[] = {
        TEST(a_library_that_is_missing_is_named),
        TEST(a_tpm_that_is_not_there_is_not_found),
        TEST(a_socket_that_nobody_listens_on_is_a_failure),
        TEST(a_socket_of_others_says_what_to_do),
        TEST(a_tpm_that_was_restarted_needs_no_new_open),
        TEST(a_frozen_tpm_is_waited_for),
        TEST(a_tpm_that_dies_during_a_call_fails_it),
        TEST(a_closed_pipe_ends_the_call_and_not_the_process),
        TEST(a_lockout_after_wrong_passwords_does_not_take_the_keys),
        TEST(an_owner_password_is_asked_away_and_not_guessed),
        TEST(another_tpm_opens_nothing),
        TEST(a_cleared_tpm_opens_nothing),
        TEST(a_tpm_full_of_objects_of_others_is_busy),
        TEST(a_tpm_that_was_not_started_up_says_how),
        cmocka_unit_test(response_codes_have_their_status),
        cmocka_unit_test(a_busy_tpm_is_asked_again_a_few_times),
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
