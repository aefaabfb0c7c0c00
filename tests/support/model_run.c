/* SPDX-License-Identifier: Apache-2.0 */
#include "model_run.h"

struct model_run run;

uint64_t run_random(void)
{
    run.random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t x = run.random;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t run_below(uint64_t n)
{
    return run_random() % n;
}

bool run_one_in(uint64_t n)
{
    return run_below(n) == 0;
}

uint64_t run_now(void)
{
    return atomic_load(&run.world.clock.boot_ns);
}

static size_t met_at(aril_status st)
{
    return ((unsigned)st & 0x1fu) << 3 | ((unsigned)st >> 8 & 7u);
}

uint64_t run_times_met(aril_status st)
{
    return run.met[met_at(st)];
}

void run_agree(const char *what, aril_status got, aril_status predicted)
{
    run.met[met_at(predicted)]++;
    if (got != predicted) {
        fail_msg("seed %" PRIu64 ", operation %" PRIu64 ": %s gives %s, the model %s", run.seed,
                 run.op, what, aril_status_name(got), aril_status_name(predicted));
    }
}

/* --- Sessions come and go ------------------------------------------------------------ */

static const aril_policy policies[] = {
    { .rotate_records = 1, .rotate_bytes = 4096, .rotate_after_s = 9000, .readable_epochs = 3 },
    { .rotate_records = 3, .rotate_bytes = 64, .rotate_after_s = 30, .readable_epochs = 1 },
    { .rotate_records = 40, .rotate_bytes = 700, .rotate_after_s = 60, .readable_epochs = 5 },
    { .rotate_records = 500, .rotate_bytes = 3000, .rotate_after_s = 5, .readable_epochs = 16 },
    { .rotate_records = 9000,
      .rotate_bytes = 1 << 20,
      .rotate_after_s = 9000,
      .readable_epochs = 2 },
};
#define POLICY_CALM (COUNT(policies) - 1)

static void view_init(struct end *e, unsigned number)
{
    struct view *v = &e->views[number];
    aril_kv_config config = view_config();
    config.slot_pins = PINS;
    config.source = number == 2 || number == 3 ? ARIL_KV_FROM_PEER : ARIL_KV_FROM_SELF;
    config.mode = number == 1 || number == 3 ? ARIL_KV_ONCE : ARIL_KV_REPEATABLE;
    v->other_model = number == 4;
    if (v->other_model) {
        config.model = TEXT("model@2");
    }
    v->kv = view_new(e->session, &config);
    const bool peer = config.source == ARIL_KV_FROM_PEER;
    const unsigned direction = peer ? 1u - (unsigned)e->sends : (unsigned)e->sends;
    v->model = (struct model_view){ .chain = &e->chains[direction],
                                    .direction = direction,
                                    .from_peer = peer,
                                    .once = config.mode == ARIL_KV_ONCE,
                                    .pins = { .capacity = PINS } };
}

void tenant_begin(struct tenant *t)
{
    const size_t which = run_below(COUNT(policies));
    aril_policy policy = policies[which];
    policy.ttl_s = (uint32_t)(which == POLICY_CALM ? 6000 : 200 + run_below(1300));
    t->calm = which == POLICY_CALM;
    struct pair pair;
    pair_init(&pair, &run.world, ARIL_PROFILE_ML_KEM_768, text_bytes(t->name), &policy);
    run.events[ARIL_EVENT_SESSION] += 2;
    run.chains_made += 2;
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &t->ends[i];
        *e = (struct end){ .session = i == 0 ? pair.tenant : pair.server,
                           .sends = i == 0 ? ARIL_TENANT_TO_SERVER : ARIL_SERVER_TO_TENANT,
                           .expires_ns = run_now() + policy.ttl_s * MODEL_NS_PER_S };
        for (unsigned d = 0; d < 2; d++) {
            model_chain_init(&e->chains[d], &policy, run.chains_made - d, d == (unsigned)e->sends,
                             run_now());
        }
        for (unsigned v = 0; v < VIEWS; v++) {
            view_init(e, v);
        }
    }
}

static void end_with(struct end *e, aril_status why)
{
    if (e->ended == ARIL_OK) {
        e->ended = why;
        run.events[ARIL_EVENT_CLOSE]++;
        model_chain_end(&e->chains[0]);
        model_chain_end(&e->chains[1]);
    }
}

aril_status usable(struct end *e)
{
    if (run_now() >= e->expires_ns) {
        end_with(e, ARIL_E_EXPIRED);
    }
    return e->ended;
}

void end_close(struct end *e)
{
    if (!e->closed) {
        aril_session_close(e->session); /* the views still hold it */
        end_with(e, ARIL_E_KEY_CLOSED);
        e->closed = true;
    }
}

void tenant_finish(struct tenant *t)
{
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &t->ends[i];
        end_close(e);
        for (unsigned v = 0; v < VIEWS; v++) {
            aril_kv_free(e->views[v].kv);
        }
        for (unsigned d = 0; d < 2; d++) {
            const struct model_chain *c = &e->chains[d];
            run.events[ARIL_EVENT_ROTATE] += c->rotations;
            run.events[ARIL_EVENT_RETIRE] += c->retirements;
            run.sealed += c->records_sealed;
            run.sealed_bytes += c->bytes_sealed;
            run.opened += c->records_opened;
            run.opened_bytes += c->bytes_opened;
            model_chain_done(&e->chains[d]);
        }
    }
}
