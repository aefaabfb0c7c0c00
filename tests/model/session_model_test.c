/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on the sessions of two tenants, each predicted by the reference model of
 * support/session_model.h: every status, the plaintext, the counters and the audit totals
 * have to agree, and no key id may meet a sequence number twice.
 *
 * ARIL_MODEL_SEED repeats a run, ARIL_MODEL_OPS makes it longer or shorter.
 */
#include "fixture.h"
#include "key_uses.h"
#include "session_model.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPS_DEFAULT     (SANITIZED ? UINT64_C(100000) : UINT64_C(1000000))
#define OPS_FOR_ALL     UINT64_C(500000) /* from here on each status must have been met */
#define SEED_DEFAULT    UINT64_C(20261104)
#define TENANTS         2u
#define VIEWS           5u
#define BODY_BYTES_MAX  80u
#define RECORDS_MAX     32768u
#define BATCH_ITEMS_MAX 12u
#define PINS            16u

/* --- What was sealed ---------------------------------------------------------------- */

struct record {
    unsigned tenant, direction;
    uint64_t chain_id;
    uint32_t epoch;
    uint64_t sequence;
    bool other_model;
    aril_kv_block block;
    size_t len;
    uint64_t seed; /* of the plaintext */
    uint8_t seal[ARIL_SEAL_BYTES];
    uint8_t body[BODY_BYTES_MAX];
};

/* --- The two worlds ----------------------------------------------------------------- */

/* Self, self once, peer, peer once, and self of another model. */
struct view {
    aril_kv *kv;
    struct model_view model;
    bool other_model;
};

struct end {
    aril_session *session;
    bool closed;
    aril_status ended;
    uint64_t expires_ns;
    aril_direction sends;
    struct model_chain chains[2];
    struct view views[VIEWS];
};

struct tenant {
    const char *name;
    bool calm; /* the policy is for long epochs: nobody cuts them short */
    struct end ends[2];
};

static struct {
    struct world world;
    struct tenant tenants[TENANTS];
    uint64_t seed, op, random, chains_made, plain_seed;
    struct record *records; /* a ring */
    uint64_t recorded;
    struct key_uses uses;
    uint64_t met[256]; /* by class and low detail: how often which status was predicted */
    uint64_t left_window;
    uint64_t events[ARIL_EVENT_KINDS];
    uint64_t sealed, sealed_bytes, opened, opened_bytes; /* of sessions that are gone */
} g;

static uint64_t random64(void)
{
    g.random += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    uint64_t x = g.random;
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t below(uint64_t n)
{
    return random64() % n;
}

static bool one_in(uint64_t n)
{
    return below(n) == 0;
}

static uint64_t now(void)
{
    return atomic_load(&g.world.clock.boot_ns);
}

#define demand(cond, what)                                                               \
    do {                                                                                 \
        if (!(cond)) {                                                                   \
            fail_msg("seed %" PRIu64 ", operation %" PRIu64 ": %s", g.seed, g.op, what); \
        }                                                                                \
    } while (0)

static void agree(const char *what, aril_status got, aril_status predicted)
{
    g.met[((unsigned)predicted & 0x1fu) << 3 | ((unsigned)predicted >> 8 & 7u)]++;
    if (got != predicted) {
        fail_msg("seed %" PRIu64 ", operation %" PRIu64 ": %s gives %s, the model %s", g.seed, g.op,
                 what, aril_status_name(got), aril_status_name(predicted));
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

static void tenant_begin(struct tenant *t)
{
    const size_t which = below(COUNT(policies));
    aril_policy policy = policies[which];
    policy.ttl_s = (uint32_t)(which == POLICY_CALM ? 6000 : 200 + below(1300));
    t->calm = which == POLICY_CALM;
    struct pair pair;
    pair_init(&pair, &g.world, ARIL_PROFILE_ML_KEM_768, text_bytes(t->name), &policy);
    g.events[ARIL_EVENT_SESSION] += 2;
    g.chains_made += 2;
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &t->ends[i];
        *e = (struct end){ .session = i == 0 ? pair.tenant : pair.server,
                           .sends = i == 0 ? ARIL_TENANT_TO_SERVER : ARIL_SERVER_TO_TENANT,
                           .expires_ns = now() + policy.ttl_s * MODEL_NS_PER_S };
        for (unsigned d = 0; d < 2; d++) {
            model_chain_init(&e->chains[d], &policy, g.chains_made - d, d == (unsigned)e->sends,
                             now());
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
        g.events[ARIL_EVENT_CLOSE]++;
        model_chain_end(&e->chains[0]);
        model_chain_end(&e->chains[1]);
    }
}

/* Every use asks this first. */
static aril_status usable(struct end *e)
{
    if (now() >= e->expires_ns) {
        end_with(e, ARIL_E_EXPIRED);
    }
    return e->ended;
}

static void end_close(struct end *e)
{
    if (!e->closed) {
        aril_session_close(e->session); /* the views still hold it */
        end_with(e, ARIL_E_KEY_CLOSED);
        e->closed = true;
    }
}

static void tenant_finish(struct tenant *t)
{
    for (unsigned i = 0; i < 2; i++) {
        struct end *e = &t->ends[i];
        end_close(e);
        for (unsigned v = 0; v < VIEWS; v++) {
            aril_kv_free(e->views[v].kv);
        }
        for (unsigned d = 0; d < 2; d++) {
            const struct model_chain *c = &e->chains[d];
            g.events[ARIL_EVENT_ROTATE] += c->rotations;
            g.events[ARIL_EVENT_RETIRE] += c->retirements;
            g.sealed += c->records_sealed;
            g.sealed_bytes += c->bytes_sealed;
            g.opened += c->records_opened;
            g.opened_bytes += c->bytes_opened;
            model_chain_done(&e->chains[d]);
        }
    }
}

/* --- Sealing ------------------------------------------------------------------------- */

static aril_kv_block random_block(void)
{
    if (one_in(2)) {
        return chain_block(below(8));
    }
    aril_kv_block block = slot_block(below(6), below(2));
    block.layer_first = (uint32_t)below(2);
    block.count = 1 + below(3);
    return block;
}

struct sealing {
    struct record records[BATCH_ITEMS_MAX];
    uint8_t plain[BATCH_ITEMS_MAX][BODY_BYTES_MAX];
    aril_span spans[BATCH_ITEMS_MAX];
    aril_kv_item items[BATCH_ITEMS_MAX];
    aril_status predicted[BATCH_ITEMS_MAX];
};

static void sealing_item(struct sealing *s, size_t i)
{
    struct record *r = &s->records[i];
    r->block = random_block();
    r->len = one_in(20) ? below(BODY_BYTES_MAX + 1) : below(33);
    r->seed = g.plain_seed++;
    fill_pattern(s->plain[i], r->len, r->seed);
    s->spans[i] = (aril_span){ s->plain[i], r->len };
    s->items[i] = (aril_kv_item){ .block = &r->block,
                                  .spans = &s->spans[i],
                                  .span_count = 1,
                                  .body = r->body,
                                  .body_len = r->len,
                                  .seal = r->seal };
    s->predicted[i] = ARIL_OK;
    if (one_in(40)) { /* refused beforehand */
        if (one_in(2)) {
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
        const size_t n = model_chain_reserve(c, now(), lengths + at, count - at, &epoch, &first);
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
    demand(aril_seal_inspect(r.seal, &info) == ARIL_OK, "a seal cannot be read");
    demand(info.epoch == r.epoch && info.sequence == r.sequence, "another epoch or sequence");
    demand(info.direction == r.direction && info.body_bytes == r.len,
           "another direction or length");
    demand(key_uses_add(&g.uses, &info), "a key id and a sequence number were used twice");
    g.records[g.recorded++ % RECORDS_MAX] = r;
}

static void op_seal(unsigned tenant)
{
    static struct sealing s;
    struct end *e = &g.tenants[tenant].ends[below(2)];
    struct view *v = &e->views[below(VIEWS)];
    const size_t count = 1 + below(g.tenants[tenant].calm ? BATCH_ITEMS_MAX : 4);
    for (size_t i = 0; i < count; i++) {
        sealing_item(&s, i);
    }
    const bool single = count == 1 && one_in(2);
    if (!single || s.predicted[0] == ARIL_OK) {
        predict_batch(e, v, &s, count);
    }
    size_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        bad += s.predicted[i] != ARIL_OK;
    }
    if (single) {
        agree("seal", aril_kv_seal(v->kv, &s.items[0]), s.predicted[0]);
    } else {
        size_t failed = 0;
        agree("seal batch", aril_kv_seal_batch(v->kv, s.items, count, &failed),
              bad == 0 ? ARIL_OK : ARIL_E_BATCH);
        demand(failed == bad, "another number of failed items");
    }
    for (size_t i = 0; i < count; i++) {
        agree("item", s.items[i].status, s.predicted[i]);
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
    switch (below(7)) {
    case 0: /* the epoch: around the newest that the opener knows */
        s->shown.epoch = c->newest + (uint32_t)below(12) - (c->newest < 2 ? 0 : 2);
        store(seal + 4, 4, s->shown.epoch);
        s->shown.genuine = was_genuine && s->shown.epoch == s->r.epoch;
        break;
    case 1:
        s->shown.sequence = 1 + below(c->policy.rotate_records);
        store(seal + 16, 8, s->shown.sequence);
        s->shown.genuine = was_genuine && s->shown.sequence == s->r.sequence;
        break;
    case 2:
        s->shown.format = ARIL_E_FORMAT_FIELD;
        store(seal + 16, 8, bad_sequences[below(2)]);
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
        seal[8 + below(8)] ^= (uint8_t)(1u << below(8));
        break;
    default:
        s->shown.chain_id = 0;
        seal[32 + below(32)] ^= (uint8_t)(1u << below(8));
        break;
    }
}

static void change_kind(struct showing *s)
{
    s->shown.genuine = false;
    switch (below(4)) {
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
    switch (below(4)) {
    case 0:
        change_kind(s);
        break;
    case 1: /* body or tag */
        s->shown.genuine = false;
        if (s->r.len > 0 && one_in(2)) {
            s->r.body[below(s->r.len)] ^= (uint8_t)(1u << below(8));
        } else {
            s->r.seal[64 + below(16)] ^= (uint8_t)(1u << below(8));
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
    const size_t cut = below(s->r.len + 1);
    const aril_span spans[] = { { out, cut }, { out + cut, s->r.len - cut } };
    aril_kv_item item = { .block = &s->r.block,
                          .spans = spans,
                          .span_count = 2,
                          .body = s->r.body,
                          .body_len = s->r.len,
                          .seal = s->r.seal,
                          .staging = one_in(4) ? staging : NULL };
    if (one_in(2)) {
        agree("open", aril_kv_open(v->kv, &item), predicted);
    } else {
        agree("open batch", aril_kv_open_batch(v->kv, &item, 1, NULL),
              predicted == ARIL_OK ? ARIL_OK : ARIL_E_BATCH);
    }
    agree("item", item.status, predicted);
    demand(predicted == ARIL_OK ? is_pattern(out, s->r.len, s->r.seed)
                                : clean(out, cut) && clean(out + cut, s->r.len - cut),
           predicted == ARIL_OK ? "other plaintext" : "plaintext of a refused record");
    demand(clean(staging, s->r.len), "plaintext in the staging memory");
}

/* Mostly one of the views that it was sealed for. */
static struct view *choose_view(const struct record *r, struct end **ret_end)
{
    const unsigned other = one_in(16) ? 1 : 0;
    struct tenant *t = &g.tenants[(r->tenant + other) % TENANTS];
    const unsigned sender = r->direction == (unsigned)ARIL_TENANT_TO_SERVER ? 0 : 1;
    const bool self = one_in(2);
    *ret_end = &t->ends[self ? sender : 1 - sender];
    if (one_in(8)) {
        *ret_end = &t->ends[below(2)];
        return &(*ret_end)->views[below(VIEWS)];
    }
    if (r->other_model) {
        *ret_end = &t->ends[sender];
        return &(*ret_end)->views[4];
    }
    return &(*ret_end)->views[(self ? 0 : 2) + below(2)];
}

static void count_refusal(aril_status st)
{
    switch (aril_status_class(st)) {
    case ARIL_E_ISOLATION:
        g.events[ARIL_EVENT_ISOLATION_VIOLATION]++;
        break;
    case ARIL_E_REPLAY:
        g.events[ARIL_EVENT_REPLAY]++;
        break;
    case ARIL_E_AUTH:
    case ARIL_E_FORMAT:
        g.events[ARIL_EVENT_AUTH_FAILURE]++;
        break;
    default:
        g.events[ARIL_EVENT_AUTH_FAILURE] += st == ARIL_E_KEY_UNKNOWN || st == ARIL_E_KEY_FUTURE;
        break;
    }
}

static const struct record *random_record(void)
{
    const uint64_t kept = g.recorded < RECORDS_MAX ? g.recorded : RECORDS_MAX;
    const uint64_t back = one_in(3) ? below(kept) : below(kept < 64 ? kept : 64);
    return &g.records[(g.recorded - 1 - back) % RECORDS_MAX];
}

/* A record that is about to leave the window of the view, or has just left it; or NULL. */
static const struct record *edge_record(const struct view *v)
{
    const struct model_chain *c = v->model.chain;
    const uint64_t top = c->epochs[c->newest].top;
    const uint64_t wanted = top - (MODEL_WINDOW - 1) - below(2);
    for (size_t i = 0; i < RECORDS_MAX && v->model.once && top > MODEL_WINDOW; i++) {
        const struct record *r = &g.records[i];
        if (r->chain_id == c->id && r->epoch == c->newest && r->sequence == wanted) {
            return r;
        }
    }
    return NULL;
}

static void op_open(void)
{
    if (g.recorded == 0) {
        return;
    }
    struct end *e = NULL;
    const struct record *chosen = random_record();
    struct view *v = choose_view(chosen, &e);
    const struct record *edge = one_in(100) ? edge_record(v) : NULL;
    struct showing s = { .r = edge != NULL ? *edge : *chosen };
    s.shown = (struct model_shown){ .of_kv = true,
                                    .tenant = e == &g.tenants[s.r.tenant].ends[0] ||
                                              e == &g.tenants[s.r.tenant].ends[1],
                                    .length = true,
                                    .direction = s.r.direction,
                                    .epoch = s.r.epoch,
                                    .sequence = s.r.sequence,
                                    .chain_id = s.r.chain_id,
                                    .key_epoch = s.r.epoch,
                                    .block = &s.r.block,
                                    .genuine = s.r.other_model == v->other_model,
                                    .bytes = s.r.len };
    if (edge == NULL && one_in(8)) {
        change(&s, v->model.chain);
    }
    aril_status predicted = usable(e);
    if (predicted == ARIL_OK) {
        predicted = model_open(&v->model, now(), &s.shown);
    } else {
        v->model.chain->refused++;
    }
    g.left_window += predicted == ARIL_E_REPLAY && model_left_window(v->model.chain, &s.shown);
    count_refusal(predicted);
    open_and_compare(v, &s, predicted);
}

/* --- Everything else ----------------------------------------------------------------- */

static void op_rotate(struct end *e)
{
    const aril_status predicted = usable(e);
    agree("rotate", aril_session_rotate(aril_kv_session(e->views[0].kv)), predicted);
    if (predicted == ARIL_OK) {
        model_chain_rotate(&e->chains[e->sends], now());
    }
}

static void op_retire(struct end *e)
{
    const unsigned d = (unsigned)below(2);
    struct model_chain *c = &e->chains[d];
    const uint32_t back = (uint32_t)below(c->newest + 1 < 4 ? c->newest + 1 : 4);
    const uint32_t epoch = one_in(4) ? c->newest + (uint32_t)below(3) : c->newest - back;
    aril_status predicted = usable(e);
    if (predicted == ARIL_OK) {
        predicted = model_chain_retire(c, now(), epoch);
    }
    agree("retire", aril_session_retire(aril_kv_session(e->views[0].kv), (aril_direction)d, epoch),
          predicted);
}

static void op_forget(struct end *e)
{
    struct view *v = &e->views[below(VIEWS)];
    const uint64_t slot = below(7);
    size_t forgotten = 0;
    agree("forget", aril_kv_forget_slot(v->kv, slot, &forgotten), ARIL_OK);
    demand(forgotten == model_pins_forget(&v->model.pins, slot), "another number of pins");
}

static void op_info(struct end *e)
{
    aril_session_info info;
    (void)usable(e); /* looking ends an expired session */
    agree("info", aril_session_get_info(aril_kv_session(e->views[0].kv), &info), ARIL_OK);
    for (unsigned d = 0; d < 2; d++) {
        const struct model_chain *c = &e->chains[d];
        const aril_direction_info *got = &info.direction[d];
        demand(got->epoch == c->newest && got->oldest_readable == c->oldest, "other epochs");
        demand(got->records_sealed == c->records_sealed && got->bytes_sealed == c->bytes_sealed,
               "other counts of sealed records");
        demand(got->records_opened == c->records_opened && got->bytes_opened == c->bytes_opened,
               "other counts of opened records");
        demand(got->refused == c->refused, "another count of refused records");
    }
}

static void op_renew(struct tenant *t)
{
    /* Closed or expired sessions answer for a while before new ones take their place. */
    if (t->ends[0].ended != ARIL_OK || t->ends[1].ended != ARIL_OK) {
        tenant_finish(t);
        tenant_begin(t);
    } else if (!t->calm && one_in(4)) {
        end_close(&t->ends[below(2)]);
    }
}

static void op_time(void)
{
    if (one_in(20)) {
        fake_clock_add_s(&g.world.clock, below(400));
    } else if (one_in(2)) {
        fake_clock_add_s(&g.world.clock, below(3)); /* the age of an epoch is met exactly */
    } else {
        fake_clock_add_ns(&g.world.clock, below(MODEL_NS_PER_S));
    }
}

static void op_any(void)
{
    const unsigned tenant = (unsigned)below(TENANTS);
    struct tenant *t = &g.tenants[tenant];
    struct end *e = &t->ends[below(2)];
    const uint64_t dice = below(1000);
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
            (one_in(2) ? op_rotate : op_retire)(e);
        }
    } else if (one_in(2)) {
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
    assert_status(aril_audit_memory_totals(g.world.audit, &totals), ARIL_OK);
    for (unsigned k = 0; k < ARIL_EVENT_KINDS; k++) {
        if (k != ARIL_EVENT_ENCRYPT && k != ARIL_EVENT_DECRYPT && totals.events[k] != g.events[k]) {
            fail_msg("seed %" PRIu64 ": %" PRIu64 " events \"%s\", the model has %" PRIu64, g.seed,
                     totals.events[k], aril_event_kind_name((aril_event_kind)k), g.events[k]);
        }
    }
    demand(totals.records_sealed == g.sealed && totals.bytes_sealed == g.sealed_bytes,
           "other totals of sealed records in the audit");
    demand(totals.records_opened == g.opened && totals.bytes_opened == g.opened_bytes,
           "other totals of opened records in the audit");
}

static void demand_every_status(uint64_t ops)
{
    (void)printf("  %-22s %9" PRIu64 "\n", "left the window", g.left_window);
    demand(g.left_window > 0 || ops < OPS_FOR_ALL, "no record left the window");
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
        const uint64_t n = g.met[((unsigned)all[i] & 0x1fu) << 3 | ((unsigned)all[i] >> 8 & 7u)];
        (void)printf("  %-22s %9" PRIu64 "\n", aril_status_name(all[i]), n);
        demand(n > 0 || ops < OPS_FOR_ALL, "a status was never met");
    }
}

static void every_operation_gives_what_the_model_predicts(void **state)
{
    (void)state;
    const uint64_t ops = from_environment("ARIL_MODEL_OPS", OPS_DEFAULT);
    g.seed = g.random = from_environment("ARIL_MODEL_SEED", SEED_DEFAULT);
    (void)printf("model: seed %" PRIu64 ", %" PRIu64 " operations%s\n", g.seed, ops,
                 SANITIZED ? " (fewer, because a sanitizer runs)" : "");
    (void)fflush(stdout);
    world_init(&g.world);
    g.records = calloc(RECORDS_MAX, sizeof *g.records);
    assert_non_null(g.records);
    static const char *const names[TENANTS] = { "alpha", "beta" };
    for (unsigned i = 0; i < TENANTS; i++) {
        g.tenants[i].name = names[i];
        tenant_begin(&g.tenants[i]);
    }
    for (g.op = 1; g.op <= ops; g.op++) {
        op_any();
    }
    for (unsigned i = 0; i < TENANTS; i++) {
        op_info(&g.tenants[i].ends[0]);
        op_info(&g.tenants[i].ends[1]);
        tenant_finish(&g.tenants[i]);
    }
    demand_totals();
    demand_every_status(ops);
    (void)printf("  %zu records, each with a key id and sequence of its own; %" PRIu64
                 " sessions, %" PRIu64 " rotations\n",
                 g.uses.count, g.events[ARIL_EVENT_SESSION], g.events[ARIL_EVENT_ROTATE]);
    free(g.records);
    key_uses_done(&g.uses);
    world_done(&g.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_gives_what_the_model_predicts),
    };
    return cmocka_run_group_tests_name("session model", tests, NULL, NULL);
}
