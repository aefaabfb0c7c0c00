/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on the sessions of two tenants, each predicted by the reference model of
 * support/session_model.h: every status, the plaintext, the counters and the audit totals
 * have to agree, and no key id may meet a sequence number twice.
 *
 * ARIL_MODEL_SEED repeats a run, ARIL_MODEL_OPS makes it longer or shorter.
 */
#include "model_run.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPS_DEFAULT     (SANITIZED ? UINT64_C(200000) : UINT64_C(1000000))
#define OPS_FOR_ALL     UINT64_C(500000) /* from here on each status must have been met */
#define SEED_DEFAULT    UINT64_C(20261104)
#define BATCH_ITEMS_MAX 12u

/* --- Sealing ------------------------------------------------------------------------- */

static aril_kv_block random_block(void)
{
    if (run_one_in(2)) {
        return chain_block(run_below(8));
    }
    aril_kv_block block = slot_block(run_below(6), run_below(2));
    block.layer_first = (uint32_t)run_below(2);
    block.count = 1 + run_below(3);
    return block;
}

struct sealing {
    struct record records[BATCH_ITEMS_MAX];
    uint8_t plain[BATCH_ITEMS_MAX][BODY_BYTES_MAX];
    uint8_t staging[BATCH_ITEMS_MAX][BODY_BYTES_MAX];
    aril_span spans[BATCH_ITEMS_MAX];
    aril_kv_item items[BATCH_ITEMS_MAX];
    aril_status predicted[BATCH_ITEMS_MAX];
};

static void sealing_item(struct sealing *s, size_t i)
{
    struct record *r = &s->records[i];
    r->block = random_block();
    r->len = run_one_in(20) ? run_below(BODY_BYTES_MAX + 1) : run_below(33);
    r->seed = run.plain_seed++;
    fill_pattern(s->plain[i], r->len, r->seed);
    s->spans[i] = (aril_span){ s->plain[i], r->len };
    s->items[i] = (aril_kv_item){ .block = &r->block,
                                  .spans = &s->spans[i],
                                  .span_count = 1,
                                  .body = r->body,
                                  .body_len = r->len,
                                  .seal = r->seal,
                                  .staging = run_one_in(4) ? s->staging[i] : NULL };
    s->predicted[i] = ARIL_OK;
    if (run_one_in(40)) { /* refused beforehand */
        if (run_one_in(2)) {
            s->items[i].block = NULL;
        } else {
            s->items[i].body_len++;
        }
        s->predicted[i] = s->items[i].block == NULL ? ARIL_E_USAGE_NULL : ARIL_E_USAGE_RANGE;
    }
}

static void predict_item(struct view *v, struct sealing *s, size_t i, uint32_t epoch,
                         uint64_t sequence)
{
    struct model_chain *c = v->model.chain;
    struct record *r = &s->records[i];
    if (s->predicted[i] != ARIL_OK) {
        model_chain_unused(c, epoch, 0);
        return;
    }
    if (r->block.identity == ARIL_KV_SLOT && !v->model.from_peer) {
        if (!model_pins_fit(&v->model.pins, &r->block)) {
            s->predicted[i] = ARIL_E_LIMIT_PINS;
            model_chain_unused(c, epoch, r->len);
            return;
        }
        model_pins_set(&v->model.pins, &r->block, epoch, sequence);
    }
    r->epoch = epoch;
    r->sequence = sequence;
}

static void predict_batch(struct end *e, struct view *v, struct sealing *s, size_t count)
{
    struct model_chain *c = &e->chains[e->sends];
    uint64_t lengths[BATCH_ITEMS_MAX];
    const aril_status ended = usable(e);
    for (size_t i = 0; i < count; i++) {
        lengths[i] = s->predicted[i] == ARIL_OK ? s->records[i].len : 0;
        if (s->predicted[i] == ARIL_OK) {
            s->predicted[i] = ended;
        }
    }
    for (size_t at = 0; at < count && ended == ARIL_OK;) {
        uint32_t epoch = 0;
        uint64_t first = 0;
        const size_t n =
            model_chain_reserve(c, run_now(), lengths + at, count - at, &epoch, &first);
        if (n == 0) {
            s->predicted[at++] = ARIL_E_LIMIT_RECORD;
            continue;
        }
        struct view seals = *v; /* pins of the view, chain that it seals in */
        seals.model.chain = c;
        for (size_t i = 0; i < n; i++) {
            predict_item(&seals, s, at + i, epoch, first + i);
        }
        v->model.pins = seals.model.pins;
        at += n;
    }
}

static void keep_sealed(const struct end *e, unsigned tenant, const struct view *v,
                        const struct record *sealed)
{
    struct record r = *sealed;
    r.tenant = tenant;
    r.direction = (unsigned)e->sends;
    r.chain_id = e->chains[e->sends].id;
    r.other_model = v->other_model;
    aril_seal_info info;
    run_demand(aril_seal_inspect(r.seal, &info) == ARIL_OK, "a seal cannot be read");
    run_demand(info.epoch == r.epoch && info.sequence == r.sequence, "another epoch or sequence");
    run_demand(info.direction == r.direction && info.body_bytes == r.len,
               "another direction or length");
    run_demand(key_uses_add(&run.uses, &info), "a key id and a sequence number were used twice");
    run.records[run.recorded++ % RECORDS_MAX] = r;
}

static void op_seal(unsigned tenant)
{
    static struct sealing s;
    struct end *e = &run.tenants[tenant].ends[run_below(2)];
    struct view *v = &e->views[run_below(VIEWS)];
    const size_t count = 1 + run_below(run.tenants[tenant].calm ? BATCH_ITEMS_MAX : 4);
    for (size_t i = 0; i < count; i++) {
        sealing_item(&s, i);
    }
    const bool single = count == 1 && run_one_in(2);
    if (!single || s.predicted[0] == ARIL_OK) {
        predict_batch(e, v, &s, count);
    }
    size_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        bad += s.predicted[i] != ARIL_OK;
    }
    if (single) {
        run_agree("seal", aril_kv_seal(v->kv, &s.items[0]), s.predicted[0]);
    } else {
        size_t failed = 0;
        run_agree("seal batch", aril_kv_seal_batch(v->kv, s.items, count, &failed),
                  bad == 0 ? ARIL_OK : ARIL_E_BATCH);
        run_demand(failed == bad, "another number of failed items");
    }
    for (size_t i = 0; i < count; i++) {
        run_agree("item", s.items[i].status, s.predicted[i]);
        if (s.predicted[i] == ARIL_OK) {
            keep_sealed(e, tenant, v, &s.records[i]);
        }
    }
}

/* --- Opening ------------------------------------------------------------------------- */

/* A record, perhaps changed, and what the model is told about it. */
struct showing {
    struct record r;
    struct model_shown shown;
};

static void store(uint8_t *p, size_t bytes, uint64_t value)
{
    for (size_t i = 0; i < bytes; i++) {
        p[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    }
}

static void change_steering(struct showing *s, const struct model_chain *c)
{
    static const uint64_t bad_sequences[] = { 0, (UINT64_C(1) << 32) + 1 };
    const bool was_genuine = s->shown.genuine;
    uint8_t *seal = s->r.seal;
    s->shown.genuine = false;
    switch (run_below(7)) {
    case 0: /* the epoch: around the newest that the opener knows */
        s->shown.epoch = c->newest + (uint32_t)run_below(12) - (c->newest < 2 ? 0 : 2);
        store(seal + 4, 4, s->shown.epoch);
        s->shown.genuine = was_genuine && s->shown.epoch == s->r.epoch;
        break;
    case 1:
        s->shown.sequence = 1 + run_below(c->policy.rotate_records);
        store(seal + 16, 8, s->shown.sequence);
        s->shown.genuine = was_genuine && s->shown.sequence == s->r.sequence;
        break;
    case 2:
        s->shown.format = ARIL_E_FORMAT_FIELD;
        store(seal + 16, 8, bad_sequences[run_below(2)]);
        break;
    case 3:
        s->shown.length = false;
        store(seal + 24, 8, s->r.len + 1);
        break;
    case 4:
        s->shown.format = ARIL_E_FORMAT_LENGTH;
        store(seal + 24, 8, ARIL_BODY_BYTES_MAX + 1);
        break;
    case 5:
        s->shown.tenant = false;
        seal[8 + run_below(8)] ^= (uint8_t)(1u << run_below(8));
        break;
    default:
        s->shown.chain_id = 0;
        seal[32 + run_below(32)] ^= (uint8_t)(1u << run_below(8));
        break;
    }
}

static void change_kind(struct showing *s)
{
    s->shown.genuine = false;
    switch (run_below(4)) {
    case 0:
        s->shown.format = ARIL_E_FORMAT_VERSION;
        s->r.seal[0] ^= 1;
        break;
    case 1:
        s->shown.format = ARIL_E_FORMAT_KIND;
        s->r.seal[1] ^= 2;
        break;
    case 2:
        s->shown.of_kv = false;
        s->r.seal[2] ^= 4;
        break;
    default:
        s->shown.direction ^= 1;
        s->r.seal[3] ^= 1;
        break;
    }
}

static void change(struct showing *s, const struct model_chain *c)
{
    switch (run_below(4)) {
    case 0:
        change_kind(s);
        break;
    case 1: /* body or tag */
        s->shown.genuine = false;
        if (s->r.len > 0 && run_one_in(2)) {
            s->r.body[run_below(s->r.len)] ^= (uint8_t)(1u << run_below(8));
        } else {
            s->r.seal[64 + run_below(16)] ^= (uint8_t)(1u << run_below(8));
        }
        break;
    case 2: /* opened as another block */
        s->shown.genuine = false;
        s->r.block.rank++;
        break;
    default:
        change_steering(s, c);
        break;
    }
}

static bool clean(const uint8_t *p, size_t len)
{
    return is_filled(p, len, GUARD_FILLER) || is_filled(p, len, 0);
}

static void open_and_compare(struct view *v, struct showing *s, aril_status predicted)
{
    uint8_t out[BODY_BYTES_MAX], staging[BODY_BYTES_MAX];
    memset(out, GUARD_FILLER, sizeof out);
    memset(staging, GUARD_FILLER, sizeof staging);
    const size_t cut = run_below(s->r.len + 1);
    const aril_span spans[] = { { out, cut }, { out + cut, s->r.len - cut } };
    aril_kv_item item = { .block = &s->r.block,
                          .spans = spans,
                          .span_count = 2,
                          .body = s->r.body,
                          .body_len = s->r.len,
                          .seal = s->r.seal,
                          .staging = run_one_in(4) ? staging : NULL };
    if (run_one_in(2)) {
        run_agree("open", aril_kv_open(v->kv, &item), predicted);
    } else {
        run_agree("open batch", aril_kv_open_batch(v->kv, &item, 1, NULL),
                  predicted == ARIL_OK ? ARIL_OK : ARIL_E_BATCH);
    }
    run_agree("item", item.status, predicted);
    run_demand(predicted == ARIL_OK ? is_pattern(out, s->r.len, s->r.seed)
                                    : clean(out, cut) && clean(out + cut, s->r.len - cut),
               predicted == ARIL_OK ? "other plaintext" : "plaintext of a refused record");
    run_demand(clean(staging, s->r.len), "plaintext in the staging memory");
}

/* Mostly one of the views that it was sealed for. */
static struct view *choose_view(const struct record *r, struct end **ret_end)
{
    const unsigned other = run_one_in(16) ? 1 : 0;
    struct tenant *t = &run.tenants[(r->tenant + other) % TENANTS];
    const unsigned sender = r->direction == (unsigned)ARIL_TENANT_TO_SERVER ? 0 : 1;
    const bool self = run_one_in(2);
    *ret_end = &t->ends[self ? sender : 1 - sender];
    if (run_one_in(8)) {
        *ret_end = &t->ends[run_below(2)];
        return &(*ret_end)->views[run_below(VIEWS)];
    }
    if (r->other_model) {
        *ret_end = &t->ends[sender];
        return &(*ret_end)->views[4];
    }
    return &(*ret_end)->views[(self ? 0 : 2) + run_below(2)];
}

static void count_refusal(aril_status st, bool from_peer)
{
    switch (aril_status_class(st)) {
    case ARIL_E_ISOLATION:
        run.events[ARIL_EVENT_ISOLATION_VIOLATION]++;
        break;
    case ARIL_E_REPLAY:
        run.events[ARIL_EVENT_REPLAY]++;
        break;
    case ARIL_E_AUTH:
    case ARIL_E_FORMAT:
        run.events[ARIL_EVENT_AUTH_FAILURE]++;
        break;
    default:
        run.events[ARIL_EVENT_AUTH_FAILURE] +=
            (st == ARIL_E_KEY_UNKNOWN && from_peer) || st == ARIL_E_KEY_FUTURE;
        break;
    }
}

static const struct record *random_record(void)
{
    const uint64_t kept = run.recorded < RECORDS_MAX ? run.recorded : RECORDS_MAX;
    const uint64_t back = run_one_in(3) ? run_below(kept) : run_below(kept < 64 ? kept : 64);
    return &run.records[(run.recorded - 1 - back) % RECORDS_MAX];
}

/* A record that is about to leave the window of the view, or has just left it; or NULL. */
static const struct record *edge_record(const struct view *v)
{
    const struct model_chain *c = v->model.chain;
    const uint64_t top = c->epochs[c->newest].top;
    const uint64_t wanted = top - (MODEL_WINDOW - 1) - run_below(2);
    for (size_t i = 0; i < RECORDS_MAX && v->model.once && top > MODEL_WINDOW; i++) {
        const struct record *r = &run.records[i];
        if (r->chain_id == c->id && r->epoch == c->newest && r->sequence == wanted) {
            return r;
        }
    }
    return NULL;
}

static void op_open(void)
{
    if (run.recorded == 0) {
        return;
    }
    struct end *e = NULL;
    const struct record *chosen = random_record();
    struct view *v = choose_view(chosen, &e);
    const struct record *edge = run_one_in(100) ? edge_record(v) : NULL;
    struct showing s = { .r = edge != NULL ? *edge : *chosen };
    s.shown = (struct model_shown){ .of_kv = true,
                                    .tenant = e == &run.tenants[s.r.tenant].ends[0] ||
                                              e == &run.tenants[s.r.tenant].ends[1],
                                    .length = true,
                                    .direction = s.r.direction,
                                    .epoch = s.r.epoch,
                                    .sequence = s.r.sequence,
                                    .chain_id = s.r.chain_id,
                                    .key_epoch = s.r.epoch,
                                    .block = &s.r.block,
                                    .genuine = s.r.other_model == v->other_model,
                                    .bytes = s.r.len };
    if (edge == NULL && run_one_in(8)) {
        change(&s, v->model.chain);
    }
    aril_status predicted = usable(e);
    if (predicted == ARIL_OK) {
        predicted = model_open(&v->model, run_now(), &s.shown);
    } else {
        v->model.chain->refused++;
    }
    run.left_window += predicted == ARIL_E_REPLAY && model_left_window(v->model.chain, &s.shown);
    count_refusal(predicted, v->model.from_peer);
    open_and_compare(v, &s, predicted);
}

/* --- Everything else ----------------------------------------------------------------- */

static void op_rotate(struct end *e)
{
    const aril_status predicted = usable(e);
    run_agree("rotate", aril_session_rotate(aril_kv_session(e->views[0].kv)), predicted);
    if (predicted == ARIL_OK) {
        model_chain_rotate(&e->chains[e->sends], run_now());
    }
}

static void op_retire(struct end *e)
{
    const unsigned d = (unsigned)run_below(2);
    struct model_chain *c = &e->chains[d];
    const uint32_t back = (uint32_t)run_below(c->newest + 1 < 4 ? c->newest + 1 : 4);
    const uint32_t epoch = run_one_in(4) ? c->newest + (uint32_t)run_below(3) : c->newest - back;
    aril_status predicted = usable(e);
    if (predicted == ARIL_OK) {
        predicted = model_chain_retire(c, run_now(), epoch);
    }
    run_agree("retire",
              aril_session_retire(aril_kv_session(e->views[0].kv), (aril_direction)d, epoch),
              predicted);
}

static void op_forget(struct end *e)
{
    struct view *v = &e->views[run_below(VIEWS)];
    const uint64_t slot = run_below(7);
    size_t forgotten = 0;
    run_agree("forget", aril_kv_forget_slot(v->kv, slot, &forgotten), ARIL_OK);
    run_demand(forgotten == model_pins_forget(&v->model.pins, slot), "another number of pins");
}

static void op_info(struct end *e)
{
    aril_session_info info;
    (void)usable(e); /* looking ends an expired session */
    run_agree("info", aril_session_get_info(aril_kv_session(e->views[0].kv), &info), ARIL_OK);
    for (unsigned d = 0; d < 2; d++) {
        const struct model_chain *c = &e->chains[d];
        const aril_direction_info *got = &info.direction[d];
        run_demand(got->epoch == c->newest && got->oldest_readable == c->oldest, "other epochs");
        run_demand(got->records_sealed == c->records_sealed && got->bytes_sealed == c->bytes_sealed,
                   "other counts of sealed records");
        run_demand(got->records_opened == c->records_opened && got->bytes_opened == c->bytes_opened,
                   "other counts of opened records");
        run_demand(got->refused == c->refused, "another count of refused records");
    }
}

static void op_renew(struct tenant *t)
{
    /* Closed or expired sessions answer for a while before new ones take their place. */
    if (t->ends[0].ended != ARIL_OK || t->ends[1].ended != ARIL_OK) {
        tenant_finish(t);
        tenant_begin(t);
    } else if (!t->calm && run_one_in(4)) {
        end_close(&t->ends[run_below(2)]);
    }
}

static void op_time(void)
{
    if (run_one_in(20)) {
        fake_clock_add_s(&run.world.clock, run_below(400));
    } else if (run_one_in(2)) {
        fake_clock_add_s(&run.world.clock, run_below(3)); /* the age of an epoch is met exactly */
    } else {
        fake_clock_add_ns(&run.world.clock, run_below(MODEL_NS_PER_S));
    }
}

static void op_any(void)
{
    const unsigned tenant = (unsigned)run_below(TENANTS);
    struct tenant *t = &run.tenants[tenant];
    struct end *e = &t->ends[run_below(2)];
    const uint64_t dice = run_below(1000);
    if (dice < 350) {
        op_seal(tenant);
    } else if (dice < 930) {
        op_open();
    } else if (dice < 940) {
        op_time();
    } else if (dice < 960) {
        op_forget(e);
    } else if (dice < 990) {
        op_info(e);
    } else if (dice < 998) {
        if (!t->calm) {
            (run_one_in(2) ? op_rotate : op_retire)(e);
        }
    } else if (run_one_in(2)) {
        op_renew(t);
    }
}

/* --- The run ------------------------------------------------------------------------- */

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    char *end = NULL;
    const uint64_t value = text != NULL ? strtoull(text, &end, 0) : 0;
    return text != NULL && end != text && *end == '\0' ? value : otherwise;
}

static void demand_totals(void)
{
    aril_audit_totals totals;
    assert_status(aril_audit_memory_totals(run.world.audit, &totals), ARIL_OK);
    for (unsigned k = 0; k < ARIL_EVENT_KINDS; k++) {
        if (k != ARIL_EVENT_ENCRYPT && k != ARIL_EVENT_DECRYPT &&
            totals.events[k] != run.events[k]) {
            fail_msg("seed %" PRIu64 ": %" PRIu64 " events \"%s\", the model has %" PRIu64,
                     run.seed, totals.events[k], aril_event_kind_name((aril_event_kind)k),
                     run.events[k]);
        }
    }
    run_demand(totals.records_sealed == run.sealed && totals.bytes_sealed == run.sealed_bytes,
               "other totals of sealed records in the audit");
    run_demand(totals.records_opened == run.opened && totals.bytes_opened == run.opened_bytes,
               "other totals of opened records in the audit");
}

static void demand_every_status(uint64_t ops)
{
    (void)printf("  %-22s %9" PRIu64 "\n", "left the window", run.left_window);
    run_demand(run.left_window > 0 || ops < OPS_FOR_ALL, "no record left the window");
    static const aril_status all[] = {
        ARIL_OK,
        ARIL_E_USAGE_NULL,
        ARIL_E_USAGE_RANGE,
        ARIL_E_FORMAT_VERSION,
        ARIL_E_FORMAT_LENGTH,
        ARIL_E_FORMAT_KIND,
        ARIL_E_FORMAT_FIELD,
        ARIL_E_AUTH,
        ARIL_E_LIMIT_RECORD,
        ARIL_E_LIMIT_PINS,
        ARIL_E_ISOLATION,
        ARIL_E_REPLAY,
        ARIL_E_REPLAY_STALE,
        ARIL_E_KEY_RETIRED,
        ARIL_E_KEY_FUTURE,
        ARIL_E_KEY_UNKNOWN,
        ARIL_E_KEY_CLOSED,
        ARIL_E_EXPIRED,
        ARIL_E_BATCH,
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        const uint64_t n = run_times_met(all[i]);
        (void)printf("  %-22s %9" PRIu64 "\n", aril_status_name(all[i]), n);
        run_demand(n > 0 || ops < OPS_FOR_ALL, "a status was never met");
    }
}

static void every_operation_gives_what_the_model_predicts(void **state)
{
    (void)state;
    const uint64_t ops = from_environment("ARIL_MODEL_OPS", OPS_DEFAULT);
    run.seed = run.random = from_environment("ARIL_MODEL_SEED", SEED_DEFAULT);
    (void)printf("model: seed %" PRIu64 ", %" PRIu64 " operations%s\n", run.seed, ops,
                 SANITIZED ? " (fewer, because a sanitizer runs)" : "");
    (void)fflush(stdout);
    world_init(&run.world);
    run.records = calloc(RECORDS_MAX, sizeof *run.records);
    assert_non_null(run.records);
    static const char *const names[TENANTS] = { "alpha", "beta" };
    for (unsigned i = 0; i < TENANTS; i++) {
        run.tenants[i].name = names[i];
        tenant_begin(&run.tenants[i]);
    }
    for (run.op = 1; run.op <= ops; run.op++) {
        op_any();
    }
    for (unsigned i = 0; i < TENANTS; i++) {
        op_info(&run.tenants[i].ends[0]);
        op_info(&run.tenants[i].ends[1]);
        tenant_finish(&run.tenants[i]);
    }
    demand_totals();
    demand_every_status(ops);
    (void)printf("  %zu records, each with a key id and sequence of its own; %" PRIu64
                 " sessions, %" PRIu64 " rotations\n",
                 run.uses.count, run.events[ARIL_EVENT_SESSION], run.events[ARIL_EVENT_ROTATE]);
    free(run.records);
    key_uses_done(&run.uses);
    world_done(&run.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_gives_what_the_model_predicts),
    };
    return cmocka_run_group_tests_name("session model", tests, NULL, NULL);
}
