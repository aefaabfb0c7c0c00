/* SPDX-License-Identifier: Apache-2.0 */
/* A forked child has no keys, is told so by everything it calls, waits for no lock of the
 * parent's other threads, and can free what it inherited. The parent does not notice. */
#include "child.h"
#include "session/session.h"
#include "talk.h"
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_SECONDS 60u /* after that it hangs */

static struct world w;
static struct talk t, half; /* established; between two messages */
static aril_kv *from_tenant, *at_server;
static struct room r;

/* Stands for a pool, whose threads do not exist in a child. */
static size_t runs;

static void run_watched(void *state, void (*task)(void *arg, size_t index), void *arg, size_t count)
{
    (void)state;
    runs++;
    for (size_t i = 0; i < count; i++) {
        task(arg, i);
    }
}

static const aril_executor watched = { .abi = ARIL_EXECUTOR_ABI, .run = run_watched };

static int setup(void **state)
{
    (void)state;
    aril_kv_config config = view_config_peer();
    const aril_kv_block block = slot_block(1, 1);
    world_init(&w);
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    talk_init(&half, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&t, TALK_CONFIRM);
    talk_until(&half, TALK_ACCEPT);
    config.executor = &watched;
    from_tenant = view_new(t.tenant, &config);
    at_server = view_new(t.server, &config);
    room_init(&r, 300, 3, &block);
    room_seal(&r, from_tenant);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    room_done(&r);
    aril_kv_free(from_tenant);
    aril_kv_free(at_server);
    talk_done(&t);
    talk_done(&half);
    world_done(&w);
    return 0;
}

/* In the child no cmocka: each body returns the number of the first thing that is wrong. */
#define DEMAND(cond, number) \
    do {                     \
        if (!(cond)) {       \
            return (number); \
        }                    \
    } while (0)

static void parent_is_unaffected(void)
{
    assert_status(room_open(&r, at_server), ARIL_OK);
    assert_true(room_is_open(&r));
    assert_ends_agree(t.tenant, t.server);
    assert_status(talk_finish(&half), ARIL_OK);
    assert_status(talk_confirm(&half), ARIL_OK);
    assert_ends_agree(half.tenant, half.server);
}

/* --- Records ---------------------------------------------------------------------------------- */

static int seals_and_opens(void *arg)
{
    struct room *fresh = arg;
    (void)alarm(CHILD_SECONDS);
    aril_kv_item item = room_sealing(fresh);
    DEMAND(aril_kv_seal(from_tenant, &item) == ARIL_E_FORKED, 1);
    DEMAND(item.status == ARIL_E_FORKED, 2);
    DEMAND(is_filled(fresh->body.data, fresh->len, GUARD_FILLER), 3);
    DEMAND(is_filled(fresh->seal.data, ARIL_SEAL_BYTES, GUARD_FILLER), 4);
    item = room_opening(&r);
    DEMAND(aril_kv_open(at_server, &item) == ARIL_E_FORKED, 5);
    DEMAND(room_is_clean(&r), 6);
    item.seal[9] ^= 1; /* the fork is looked at before whose record it is */
    DEMAND(aril_kv_open(at_server, &item) == ARIL_E_FORKED, 7);
    return 0;
}

static void neither_seals_nor_opens(void **state)
{
    (void)state;
    const aril_kv_block block = chain_block(2);
    struct room fresh;
    room_init(&fresh, 200, 4, &block);
    assert_int_equal(child_run(seals_and_opens, &fresh), 0);
    room_done(&fresh);
    parent_is_unaffected();
}

#define BATCH 8u
#define LARGE (256u * 1024u)
static struct room large[BATCH];
static aril_kv_item items[BATCH];

static void large_init(void)
{
    for (unsigned i = 0; i < BATCH; i++) {
        const aril_kv_block block = chain_block(i);
        room_init(&large[i], LARGE, i, &block);
    }
}

static void large_done(void)
{
    for (unsigned i = 0; i < BATCH; i++) {
        room_done(&large[i]);
    }
}

static void large_items(bool opening)
{
    for (unsigned i = 0; i < BATCH; i++) {
        items[i] = opening ? room_opening(&large[i]) : room_sealing(&large[i]);
    }
}

static int runs_batches(void *arg)
{
    size_t failed = 0;
    (void)arg;
    (void)alarm(CHILD_SECONDS);
    large_items(false);
    DEMAND(aril_kv_seal_batch(from_tenant, items, BATCH, &failed) == ARIL_E_BATCH, 1);
    DEMAND(failed == BATCH, 2);
    for (unsigned i = 0; i < BATCH; i++) {
        DEMAND(items[i].status == ARIL_E_FORKED, 3);
        DEMAND(is_filled(large[i].body.data, LARGE, GUARD_FILLER), 4);
    }
    large_items(true);
    DEMAND(aril_kv_open_batch(at_server, items, BATCH, &failed) == ARIL_E_BATCH, 5);
    for (unsigned i = 0; i < BATCH; i++) {
        DEMAND(items[i].status == ARIL_E_FORKED, 6);
        DEMAND(room_is_clean(&large[i]), 7);
    }
    DEMAND(runs == 0, 8);
    return 0;
}

static void runs_no_batch_and_no_executor(void **state)
{
    (void)state;
    large_init();
    large_items(false);
    runs = 0;
    assert_status(aril_kv_seal_batch(from_tenant, items, BATCH, NULL), ARIL_OK);
    assert_int_equal(runs, 1); /* the parent does */
    runs = 0;
    large_done();
    large_init();
    assert_int_equal(child_run(runs_batches, NULL), 0);
    large_done();
    parent_is_unaffected();
}

/* --- Everything else ---------------------------------------------------------------------------
 */

static int uses_sessions(void *arg)
{
    aril_session_info info;
    (void)arg;
    (void)alarm(CHILD_SECONDS);
    DEMAND(aril_session_rotate(t.tenant) == ARIL_E_FORKED, 1);
    DEMAND(aril_session_retire(t.tenant, ARIL_TENANT_TO_SERVER, 0) == ARIL_E_FORKED, 2);
    DEMAND(aril_session_retire(t.server, ARIL_TENANT_TO_SERVER, 0) == ARIL_E_FORKED, 3);
    DEMAND(aril_session_get_info(t.tenant, &info) == ARIL_E_FORKED, 4);
    aril_session_flush_audit(t.tenant); /* does nothing */
    fake_clock_add_s(&w.clock, 100);    /* summaries would be due */
    aril_kv_item item = room_opening(&r);
    DEMAND(aril_kv_open(at_server, &item) == ARIL_E_FORKED, 5);
    fake_clock_add_s(&w.clock, 5000); /* and it would have expired */
    DEMAND(aril_kv_open(at_server, &item) == ARIL_E_FORKED, 6);
    DEMAND(aril_session_rotate(t.tenant) == ARIL_E_FORKED, 7);
    return 0;
}

/* With the locks held that a thread of the parent may hold when it forks. */
static void cannot_use_a_session(void **state)
{
    (void)state;
    for (unsigned d = 0; d < 2; d++) {
        (void)pthread_mutex_lock(&t.tenant->chain[d].lock);
        (void)pthread_mutex_lock(&t.server->chain[d].lock);
    }
    assert_int_equal(child_run(uses_sessions, NULL), 0);
    for (unsigned d = 0; d < 2; d++) {
        (void)pthread_mutex_unlock(&t.tenant->chain[d].lock);
        (void)pthread_mutex_unlock(&t.server->chain[d].lock);
    }
    parent_is_unaffected();
}

static int begins_something(void *arg)
{
    const aril_kv_config config = view_config();
    aril_kv *kv = (aril_kv *)arg;
    aril_session *session = NULL;
    struct message zeros = half.confirm;
    (void)alarm(CHILD_SECONDS);
    DEMAND(talk_finish(&half) == ARIL_E_FORKED && half.tenant == NULL, 1);
    /* What the server expects reads as zeros here: no MAC of zeros may fit. */
    memcpy(zeros.bytes, half.accept.bytes, 24);
    zeros.bytes[4] = 3;
    zeros.bytes[24] = 0;
    zeros.bytes[25] = 32;
    memset(zeros.bytes + 26, 0, 32);
    zeros.len = 26 + 32;
    DEMAND(aril_session_confirm(half.server_hs, wire(&zeros), &session) == ARIL_E_FORKED, 2);
    DEMAND(session == NULL, 3);
    DEMAND(aril_kv_new(t.tenant, &config, &kv) == ARIL_E_FORKED && kv == NULL, 4);
    DEMAND(aril_session_pair(w.rt, 0, TEXT("t"), fixture_identity(ARIL_ML_DSA_65, 0),
                             fixture_tag_key(), NULL, NULL, &session) == ARIL_E_FORKED,
           5);
    t.offer_config.identity = NULL;
    DEMAND(talk_offer(&t) == ARIL_E_FORKED && t.tenant_hs == NULL, 6);
    DEMAND(talk_accept(&t) == ARIL_E_FORKED && t.server_hs == NULL, 7);
    return 0;
}

static void begins_nothing_with_what_it_inherited(void **state)
{
    (void)state;
    assert_int_equal(child_run(begins_something, &w), 0);
    parent_is_unaffected();
}

static int frees_everything(void *arg)
{
    (void)arg;
    (void)alarm(CHILD_SECONDS);
    aril_kv_free(from_tenant);
    aril_session_close(t.tenant); /* before and after its views */
    aril_session_close(t.server);
    aril_kv_free(at_server);
    aril_handshake_free(t.tenant_hs);
    aril_handshake_free(t.server_hs);
    aril_handshake_free(half.tenant_hs);
    aril_handshake_free(half.server_hs);
    aril_trust_free(t.trust);
    aril_trust_free(half.trust);
    aril_runtime_free(w.rt);
    return 0;
}

static void can_free_everything(void **state)
{
    (void)state;
    const uint64_t closes = world_events(&w, ARIL_EVENT_CLOSE);
    for (unsigned d = 0; d < 2; d++) {
        (void)pthread_mutex_lock(&t.tenant->chain[d].lock);
        (void)pthread_mutex_lock(&t.server->chain[d].lock);
    }
    assert_int_equal(child_run(frees_everything, NULL), 0);
    for (unsigned d = 0; d < 2; d++) {
        (void)pthread_mutex_unlock(&t.tenant->chain[d].lock);
        (void)pthread_mutex_unlock(&t.server->chain[d].lock);
    }
    assert_int_equal(world_events(&w, ARIL_EVENT_CLOSE), closes);
    parent_is_unaffected();
}

static int starts_anew(void *arg)
{
    aril_identity *identity = NULL;
    aril_session *session = NULL;
    aril_runtime *rt = NULL;
    (void)arg;
    (void)alarm(CHILD_SECONDS);
    (void)frees_everything(NULL);
    DEMAND(aril_runtime_new(NULL, &rt) == ARIL_OK, 1);
    DEMAND(aril_identity_generate(rt, ARIL_ML_DSA_65, &identity) == ARIL_OK, 2);
    DEMAND(aril_session_pair(rt, 0, TEXT("t"), identity, fixture_tag_key(), NULL, NULL, &session) ==
               ARIL_OK,
           3);
    const aril_kv_config config = view_config();
    aril_kv *kv = NULL;
    DEMAND(aril_kv_new(session, &config, &kv) == ARIL_OK, 4);
    aril_kv_item item = room_sealing(&r);
    DEMAND(aril_kv_seal(kv, &item) == ARIL_OK, 5);
    item = room_opening(&r);
    DEMAND(aril_kv_open(kv, &item) == ARIL_OK, 6);
    DEMAND(room_is_open(&r), 7);
    aril_kv_free(kv);
    aril_session_close(session);
    aril_identity_free(identity);
    aril_runtime_free(rt);
    return 0;
}

static void can_start_anew(void **state)
{
    (void)state;
    assert_int_equal(child_run(starts_anew, NULL), 0);
    parent_is_unaffected();
}

/* --- In the middle of a batch -------------------------------------------------------------------
 */

static pid_t forked; /* 0 in the child */
static size_t fork_at;

/* An executor that forks before one of its tasks; the child goes on with the rest. */
static void run_and_fork(void *state, void (*task)(void *arg, size_t index), void *arg,
                         size_t count)
{
    (void)state;
    for (size_t i = 0; i < count; i++) {
        if (i == fork_at) {
            forked = fork();
            if (forked == 0) {
                (void)alarm(CHILD_SECONDS);
            }
        }
        task(arg, i);
    }
}

static const aril_executor forking = { .abi = ARIL_EXECUTOR_ABI, .run = run_and_fork };

/* What the child finds: tasks before the fork were done by the parent. */
static int child_verdict(bool opening)
{
    const size_t per_task = 1; /* 8 pieces of 256 KiB */
    for (size_t i = 0; i < BATCH; i++) {
        const bool before = i < fork_at * per_task;
        DEMAND(items[i].status == (before ? ARIL_OK : ARIL_E_FORKED), 1);
        const struct guarded *out = opening ? &large[i].out : &large[i].body;
        DEMAND(before || is_filled(out->data, LARGE, GUARD_FILLER), 2);
        DEMAND(before || opening || is_filled(large[i].seal.data, ARIL_SEAL_BYTES, GUARD_FILLER),
               3);
    }
    return 0;
}

static void wait_for_child(void)
{
    int status = -1;
    assert_int_equal(waitpid(forked, &status, 0), forked);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Keys that were pinned and expanded before the fork must not seal in the child: it would use
 * the parent's nonces, or the zeros that it reads for a key. */
static void forked_inside_a_batch_it_seals_nothing_more(void **state)
{
    (void)state;
    aril_kv_config config = view_config();
    config.executor = &forking;
    aril_kv *kv = view_new(t.tenant, &config);
    for (fork_at = 0; fork_at < BATCH; fork_at++) {
        large_init();
        large_items(false);
        const aril_status st = aril_kv_seal_batch(kv, items, BATCH, NULL);
        if (forked == 0) {
            const int verdict = st == ARIL_E_BATCH ? child_verdict(false) : 9;
            aril_kv_free(kv);
            large_done();
            _exit(verdict);
        }
        assert_status(st, ARIL_OK);
        wait_for_child();
        large_items(true);
        const size_t at = fork_at;
        fork_at = SIZE_MAX;
        assert_status(aril_kv_open_batch(kv, items, BATCH, NULL), ARIL_OK);
        fork_at = at;
        large_done();
    }
    aril_kv_free(kv);
    parent_is_unaffected();
}

static void forked_inside_a_batch_it_opens_nothing_more(void **state)
{
    (void)state;
    aril_kv_config config = view_config();
    config.executor = &forking;
    aril_kv *kv = view_new(t.tenant, &config);
    for (size_t at = 0; at < BATCH; at += 3) {
        large_init();
        large_items(false);
        fork_at = SIZE_MAX;
        assert_status(aril_kv_seal_batch(kv, items, BATCH, NULL), ARIL_OK);
        large_items(true);
        fork_at = at;
        const aril_status st = aril_kv_open_batch(kv, items, BATCH, NULL);
        if (forked == 0) {
            const int verdict = st == ARIL_E_BATCH ? child_verdict(true) : 9;
            aril_kv_free(kv);
            large_done();
            _exit(verdict);
        }
        assert_status(st, ARIL_OK);
        wait_for_child();
        large_done();
    }
    aril_kv_free(kv);
    parent_is_unaffected();
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(neither_seals_nor_opens),
        CASE(runs_no_batch_and_no_executor),
        CASE(cannot_use_a_session),
        CASE(begins_nothing_with_what_it_inherited),
        CASE(can_free_everything),
        CASE(can_start_anew),
        CASE(forked_inside_a_batch_it_seals_nothing_more),
        CASE(forked_inside_a_batch_it_opens_nothing_more),
    };
    return cmocka_run_group_tests_name("a forked child", tests, NULL, NULL);
}
