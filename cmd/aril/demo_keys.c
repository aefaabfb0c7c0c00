/* SPDX-License-Identifier: Apache-2.0 */
#include "defer.h"
#include "demo_world.h"
#include "failure.h"
#include <stdio.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* The first block of a tenant's state, where it was sealed. */
static aril_status open_first(const struct demo_tenant *t, const struct demo_sealed *s)
{
    return demo_open_one(t->kv, &s->blocks[0], s->bodies, demo_block_bytes(s, 0), s->seals);
}

static uint32_t epoch_of(const struct demo_sealed *s)
{
    aril_seal_info info;
    return aril_seal_inspect(s->seals, &info) == ARIL_OK ? info.epoch : UINT32_MAX;
}

static void forked_child(struct demo_world *w)
{
    const struct demo_tenant *bob = &w->tenant[DEMO_BOB];
    fflush(stdout); /* or the child would have a copy to print */
    const pid_t child = fork();
    if (child == 0) {
        _exit(failure_exit_code(open_first(bob, &bob->sealed)));
    }
    int ended = 0;
    aril_status st = ARIL_E_UNAVAILABLE;
    if (child > 0 && waitpid(child, &ended, 0) == child && WIFEXITED(ended)) {
        /* Back from the exit code to the class; this one has no details. */
        st = (aril_status)(WEXITSTATUS(ended) - EXIT_CLASS_BASE);
    }
    demo_check(w->report, "a forked child tries the keys", ARIL_E_FORKED, st,
               "the kernel gave it zeros");
    demo_check(w->report, "the parent goes on", ARIL_OK, open_first(bob, &bob->sealed),
               "with keys of its own");
}

static bool rotation(struct demo_world *w)
{
    struct demo_report *r = w->report;
    struct demo_tenant *t = &w->tenant[DEMO_BOB];
    aril_session *session = aril_tenant_session(t->held);
    const uint32_t before = epoch_of(&t->sealed);
    aril_status st = aril_session_rotate(session);
    demo_check(r, "bob's keys rotate", ARIL_OK, st, "in mid-stream; the tenant does not notice");
    demo_check(r, "what was sealed before still opens", ARIL_OK, open_first(t, &t->sealed),
               "epoch %u", before);
    struct demo_sealed older = { .count = 0 };
    if (!demo_serve_more(w, t, &older)) {
        demo_sealed_free(&older);
        return false;
    }
    demo_fact(r, "what is sealed now has the new key",
              epoch_of(&t->sealed) == before + 1 && open_first(t, &t->sealed) == ARIL_OK,
              "epoch %u", epoch_of(&t->sealed));
    demo_sealed_free(&older);

    aril_session_info info;
    st = aril_session_get_info(session, &info);
    if (st == ARIL_OK) {
        st = aril_session_retire(session, info.sends, before + 1);
    }
    demo_check(r, "the epoch is retired", ARIL_OK, st, "its key is wiped");
    demo_check(r, "what it sealed opens no more", ARIL_E_KEY_RETIRED, open_first(t, &t->sealed),
               "a miss: the engine computes it again");
    return true;
}

/* A clock that the demo turns by hand. */
static aril_status hand_boot_ns(void *state, uint64_t *ret_ns)
{
    *ret_ns = *(const uint64_t *)state;
    return ARIL_OK;
}

static aril_status hand_unix_s(void *state, uint64_t *ret_s)
{
    *ret_s = *(const uint64_t *)state / 1000000000u;
    return ARIL_OK;
}

struct timed {
    uint64_t now_ns;
    aril_clock clock;
    aril_runtime *rt;
    aril_identity *identity;
    aril_session *session;
    aril_kv *kv;
};

static void timed_done(struct timed *t)
{
    aril_kv_free(t->kv);
    aril_session_close(t->session);
    aril_identity_free(t->identity);
    aril_runtime_free(t->rt);
}

/* A session that lives for a minute of that clock. */
static aril_status timed_init(struct timed *t, const struct demo_world *w)
{
    const aril_policy policy = { .ttl_s = 60, .rotate_after_s = 60 };
    t->now_ns = UINT64_C(1000000000000);
    t->clock = (aril_clock){ ARIL_CLOCK_ABI, &t->now_ns, hand_boot_ns, hand_unix_s };
    const aril_runtime_config config = { .clock = &t->clock };
    const aril_kv_config view = demo_kv_config(w);
    aril_status st = aril_runtime_new(&config, &t->rt);
    if (st == ARIL_OK) {
        st = aril_identity_generate(t->rt, ARIL_ML_DSA_65, &t->identity);
    }
    if (st == ARIL_OK) {
        st = aril_session_pair(t->rt, ARIL_PROFILE_HYBRID, demo_text("alice"), t->identity,
                               (aril_bytes){ w->tag_key, sizeof w->tag_key }, &policy, NULL,
                               &t->session);
    }
    return st == ARIL_OK ? aril_kv_new(t->session, &view, &t->kv) : st;
}

static bool expiry(struct demo_world *w)
{
    DEFER(timed_done) struct timed t = { .now_ns = 0 };
    uint8_t plain[256] = { 0 };
    uint8_t body[sizeof plain];
    uint8_t seal[ARIL_SEAL_BYTES];
    const aril_kv_block block = { .layer_count = 1, .identity = ARIL_KV_CHAIN };
    aril_status st = timed_init(&t, w);
    if (st == ARIL_OK) {
        st = demo_seal_one(t.kv, &block, plain, sizeof plain, body, seal);
    }
    if (st != ARIL_OK) {
        return demo_stop(w->report, "a session with a clock of its own", st);
    }
    t.now_ns += UINT64_C(59000000000);
    demo_check(w->report, "a session of 60 s, after 59 s", ARIL_OK,
               demo_open_one(t.kv, &block, body, sizeof body, seal), "a clock turned by hand");
    t.now_ns += UINT64_C(2000000000);
    demo_check(w->report, "after 61 s", ARIL_E_EXPIRED,
               demo_open_one(t.kv, &block, body, sizeof body, seal), "its keys are gone");
    return true;
}

bool demo_keys(struct demo_world *w)
{
    demo_section(w->report, "Keys come and go");
    forked_child(w);
    return rotation(w) && expiry(w);
}
