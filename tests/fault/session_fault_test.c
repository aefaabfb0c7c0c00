/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation and each primitive of a handshake and of a rotation fails once. Each time:
 * the exact status, no handle, nothing written, nothing left behind, and the same call works
 * afterwards. */
#include "child.h"
#include "deny.h"
#include "fault_alloc.h"
#include "faulty_world.h"
#include "provider.h"
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static struct faulty_world f;
static struct talk t;

static int setup(void **state)
{
    (void)state;
    faulty_world_init(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    faulty_world_done(&f);
    return 0;
}

/* --- Runtimes ----------------------------------------------------------------------------------
 */

static void a_runtime_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    for (unsigned n = 1;; n++) {
        aril_runtime *rt = (aril_runtime *)&f;
        fault_alloc_arm(n);
        const aril_status st = aril_runtime_new(NULL, &rt);
        fault_alloc_disarm();
        if (!fault_alloc_fired()) {
            assert_status(st, ARIL_OK);
            aril_runtime_free(rt);
            assert_true(n > 3); /* runtime, arena, contexts at least */
            return;
        }
        assert_status(st, ARIL_E_NOMEM);
        assert_null(rt);
    }
}

/* --- Handshakes ----------------------------------------------------------------------------------
 */

/* The next step on buffers that must stay as they are when it fails. */
static aril_status try_step(enum talk_step step)
{
    static struct message out;
    size_t len = 4711;
    void *handle = &f;
    aril_status st;
    memset(out.bytes, GUARD_FILLER, sizeof out.bytes);
    if (step == TALK_OFFER) {
        st = aril_session_offer(f.w.rt, &t.offer_config, (aril_handshake **)&handle, out.bytes,
                                sizeof out.bytes, &len);
    } else if (step == TALK_ACCEPT) {
        st = aril_session_accept(f.w.rt, &t.accept_config, wire(&t.offer),
                                 (aril_handshake **)&handle, out.bytes, sizeof out.bytes, &len);
    } else if (step == TALK_FINISH) {
        st = aril_session_finish(t.tenant_hs, wire(&t.accept), out.bytes, sizeof out.bytes, &len,
                                 (aril_session **)&handle);
    } else {
        st = aril_session_confirm(t.server_hs, wire(&t.confirm), (aril_session **)&handle);
    }
    if (st != ARIL_OK) {
        assert_null(handle);
        assert_int_equal(len, 4711);
        assert_true(is_filled(out.bytes, sizeof out.bytes, GUARD_FILLER));
        return st;
    }
    out.len = len;
    t.offer = step == TALK_OFFER ? out : t.offer;
    t.accept = step == TALK_ACCEPT ? out : t.accept;
    t.confirm = step == TALK_FINISH ? out : t.confirm;
    t.tenant_hs = step == TALK_OFFER ? handle : t.tenant_hs;
    t.server_hs = step == TALK_ACCEPT ? handle : t.server_hs;
    t.tenant = step == TALK_FINISH ? handle : t.tenant;
    t.server = step == TALK_CONFIRM ? handle : t.server;
    return ARIL_OK;
}

/* One fault in one step of a handshake that then goes on to its end. */
static bool one_fault(enum talk_step step, bool is_signed, enum fault what, unsigned n)
{
    faulty_talk_init(&f, &t, is_signed);
    for (int s = TALK_OFFER; s < (int)step; s++) {
        assert_status(try_step((enum talk_step)s), ARIL_OK);
    }
    const unsigned alive = faulty_crypto_alive(f.crypto);
    fault_arm(&f, what, n);
    const aril_status st = try_step(step);
    const bool fired = fault_disarm(&f, what);
    if (fired) {
        assert_fault(&f, what, n, st);
        assert_int_equal(faulty_crypto_alive(f.crypto), alive);
        assert_status(try_step(step), ARIL_OK);
    } else {
        assert_status(st, ARIL_OK);
    }
    for (int s = (int)step + 1; s <= TALK_CONFIRM; s++) {
        assert_status(try_step((enum talk_step)s), ARIL_OK);
    }
    assert_ends_agree(t.tenant, t.server);
    talk_done(&t);
    return fired;
}

static void every_step_of_a_handshake_survives_every_fault(void **state)
{
    (void)state;
    for (int is_signed = 0; is_signed <= 1; is_signed++) {
        for (int step = TALK_OFFER; step <= TALK_CONFIRM; step++) {
            for (int what = 0; what < FAULTS; what++) {
                unsigned n = 1;
                while (one_fault((enum talk_step)step, is_signed != 0, (enum fault)what, n)) {
                    n++;
                }
                assert_true(n > 2); /* each has several of each kind */
            }
        }
    }
}

static void a_pair_survives_every_fault(void **state)
{
    (void)state;
    for (int what = 0; what < FAULTS; what++) {
        for (unsigned n = 1;; n++) {
            aril_session *a = (aril_session *)&f, *b = (aril_session *)&f;
            const unsigned alive = faulty_crypto_alive(f.crypto);
            fault_arm(&f, (enum fault)what, n);
            const aril_status st = aril_session_pair(f.w.rt, ARIL_PROFILE_HYBRID, TEXT("tenant"),
                                                     f.server, fixture_tag_key(), NULL, &a, &b);
            if (!fault_disarm(&f, (enum fault)what)) {
                assert_status(st, ARIL_OK);
                assert_ends_agree(a, b);
                aril_session_close(a);
                aril_session_close(b);
                assert_true(n > 10);
                break;
            }
            assert_fault(&f, (enum fault)what, n, st);
            assert_null(a);
            assert_null(b);
            assert_int_equal(faulty_crypto_alive(f.crypto), alive);
        }
    }
}

static void without_randomness_nothing_begins(void **state)
{
    (void)state;
    aril_session *server = (aril_session *)&f;
    faulty_talk_init(&f, &t, true);
    faulty_crypto_arm_random(f.crypto, ARIL_E_RANDOM);
    assert_status(try_step(TALK_OFFER), ARIL_E_RANDOM);
    assert_status(
        aril_session_pair(f.w.rt, 0, TEXT("t"), f.server, fixture_tag_key(), NULL, NULL, &server),
        ARIL_E_RANDOM);
    assert_null(server);
    faulty_crypto_disarm(f.crypto);
    assert_status(try_step(TALK_OFFER), ARIL_OK);
    faulty_crypto_arm_random(f.crypto, ARIL_E_RANDOM);
    assert_status(try_step(TALK_ACCEPT), ARIL_E_RANDOM);
    faulty_crypto_disarm(f.crypto);
    for (int step = TALK_ACCEPT; step <= TALK_CONFIRM; step++) {
        assert_status(try_step((enum talk_step)step), ARIL_OK);
    }
    assert_ends_agree(t.tenant, t.server);
    talk_done(&t);
}

/* --- Rotation
 * ------------------------------------------------------------------------------------- */

static uint32_t newest(const aril_session *s)
{
    aril_session_info info;
    assert_status(aril_session_get_info(s, &info), ARIL_OK);
    return info.direction[info.sends].epoch;
}

static void rotating_and_retiring_survive_every_fault(void **state)
{
    (void)state;
    for (int retiring = 0; retiring <= 1; retiring++) {
        for (int what = 0; what < FAULTS; what++) {
            struct pair p;
            unsigned n = 1;
            bool fired = true;
            faulty_pair_init(&f, &p, NULL);
            for (; fired; n++) {
                const uint32_t before = newest(p.server);
                fault_arm(&f, (enum fault)what, n);
                const aril_status st =
                    retiring ? aril_session_retire(p.server, ARIL_SERVER_TO_TENANT, before)
                             : aril_session_rotate(p.server);
                fired = fault_disarm(&f, (enum fault)what);
                if (fired) {
                    assert_fault(&f, (enum fault)what, n, st);
                    assert_int_equal(newest(p.server), before);
                } else {
                    assert_status(st, ARIL_OK);
                    assert_int_equal(newest(p.server), before + 1);
                }
                assert_ends_agree(p.tenant, p.server);
            }
            assert_true(n > 2);
            pair_done(&p);
        }
    }
}

/* --- Memory that cannot be locked
 * ------------------------------------------------------------------ */

static int works_without_locked_memory(void *arg)
{
    const struct rlimit none = { 0, 0 };
    aril_runtime *rt = NULL;
    aril_identity *identity = NULL;
    aril_session *tenant = NULL, *server = NULL;
    aril_kv *kv = NULL;
    aril_runtime_info info;
    struct room *r = arg;
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || !deny_syscall(SYS_mlock, DENY_ANY, ENOMEM)) {
        return 77;
    }
    if (aril_runtime_new(NULL, &rt) != ARIL_OK ||
        aril_identity_generate(rt, ARIL_ML_DSA_65, &identity) != ARIL_OK ||
        aril_session_pair(rt, 0, TEXT("t"), identity, fixture_tag_key(), NULL, &tenant, &server) !=
            ARIL_OK) {
        return 1;
    }
    /* It says so; but a sanitizer's own mlock() asks nobody. */
    if (aril_runtime_get_info(rt, &info) != ARIL_OK || info.secure_bytes == 0 ||
        (info.secure_locked_bytes != 0 && !SANITIZED)) {
        return 2;
    }
    const aril_kv_config config = view_config();
    aril_kv_item item = room_sealing(r);
    if (aril_kv_new(server, &config, &kv) != ARIL_OK || aril_kv_seal(kv, &item) != ARIL_OK) {
        return 3;
    }
    item = room_opening(r);
    if (aril_kv_open(kv, &item) != ARIL_OK || !room_is_open(r)) {
        return 4;
    }
    aril_kv_free(kv);
    aril_session_close(tenant);
    aril_session_close(server);
    aril_identity_free(identity);
    aril_runtime_free(rt);
    return 0;
}

static void sessions_work_where_no_memory_may_be_locked(void **state)
{
    (void)state;
    struct room r;
    const aril_kv_block block = chain_block(1);
    room_init(&r, 100, 1, &block);
    const int result = child_run(works_without_locked_memory, &r);
    room_done(&r);
    if (result == 77) {
        print_message("this host allows no system call filter\n");
        skip();
    }
    assert_int_equal(result, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_runtime_is_made_whole_or_not_at_all),
        CASE(every_step_of_a_handshake_survives_every_fault),
        CASE(a_pair_survives_every_fault),
        CASE(without_randomness_nothing_begins),
        CASE(rotating_and_retiring_survive_every_fault),
        cmocka_unit_test(sessions_work_where_no_memory_may_be_locked),
    };
    return cmocka_run_group_tests_name("session faults", tests, provider_setup, provider_teardown);
}
