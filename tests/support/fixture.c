/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "crypto/runtime.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

aril_bytes text_bytes(const char *s)
{
    return (aril_bytes){ (const uint8_t *)s, strlen(s) };
}

/* --- Time ------------------------------------------------------------------------ */

static aril_status fake_boot_ns(void *state, uint64_t *ret_ns)
{
    struct fake_clock *c = state;
    atomic_fetch_add(&c->reads, 1);
    const aril_status st = (aril_status)atomic_load(&c->status);
    if (st == ARIL_OK) {
        *ret_ns = atomic_load(&c->boot_ns);
    }
    return st;
}

static aril_status fake_unix_s(void *state, uint64_t *ret_s)
{
    struct fake_clock *c = state;
    const aril_status st = (aril_status)atomic_load(&c->status);
    if (st == ARIL_OK) {
        *ret_s = atomic_load(&c->unix_s);
    }
    return st;
}

void fake_clock_init(struct fake_clock *c)
{
    c->table = (aril_clock){
        .abi = ARIL_CLOCK_ABI, .state = c, .boot_ns = fake_boot_ns, .unix_s = fake_unix_s
    };
    atomic_init(&c->boot_ns, FAKE_BOOT_NS);
    atomic_init(&c->unix_s, FAKE_UNIX_S);
    atomic_init(&c->status, ARIL_OK);
    atomic_init(&c->reads, 0);
}

void fake_clock_add_s(struct fake_clock *c, uint64_t seconds)
{
    atomic_fetch_add(&c->unix_s, seconds);
    fake_clock_add_ns(c, seconds * FAKE_NS_PER_S);
}

void fake_clock_add_ns(struct fake_clock *c, uint64_t ns)
{
    atomic_fetch_add(&c->boot_ns, ns);
}

/* --- A runtime with everything that a test looks at -------------------------------- */

static aril_runtime_config world_config(struct world *w)
{
    fake_clock_init(&w->clock);
    assert_status(aril_audit_memory_new(4096, 4096, &w->audit), ARIL_OK);
    return (aril_runtime_config){ .clock = &w->clock.table,
                                  .audit = aril_audit_memory_sink(w->audit) };
}

void world_init(struct world *w)
{
    const aril_runtime_config config = world_config(w);
    assert_status(aril_runtime_new(&config, &w->rt), ARIL_OK);
}

void world_init_over(struct world *w, const struct arili_crypto *crypto)
{
    const aril_runtime_config config = world_config(w);
    assert_status(arili_runtime_new_over(crypto, &config, &w->rt), ARIL_OK);
}

void world_done(struct world *w)
{
    aril_runtime_free(w->rt);
    aril_audit_memory_free(w->audit);
    w->rt = NULL;
    w->audit = NULL;
}

uint64_t world_events(const struct world *w, aril_event_kind kind)
{
    aril_audit_totals totals;
    assert_status(aril_audit_memory_totals(w->audit, &totals), ARIL_OK);
    return totals.events[kind];
}

struct last {
    aril_event event;
    uint8_t tenant[ARIL_TENANT_ID_BYTES_MAX];
    size_t found;
};

static int keep_last(void *user, const aril_event *event)
{
    struct last *last = user;
    last->event = *event;
    if (event->tenant.len > 0) {
        memcpy(last->tenant, event->tenant.data, event->tenant.len);
    }
    last->found++;
    return 0;
}

static struct last find_last(const struct world *w, aril_event_kind kind)
{
    struct last last = { .found = 0 };
    const aril_audit_filter filter = { .kinds = 1u << (unsigned)kind, .limit = 1 };
    assert_status(aril_audit_memory_query(w->audit, &filter, keep_last, &last), ARIL_OK);
    assert_int_equal(last.found, 1);
    return last;
}

aril_event world_last(const struct world *w, aril_event_kind kind)
{
    struct last last = find_last(w, kind);
    last.event.tenant = (aril_bytes){ NULL, 0 };
    return last.event;
}

bool world_last_tenant_is(const struct world *w, aril_event_kind kind, aril_bytes tenant)
{
    const struct last last = find_last(w, kind);
    return last.event.tenant.len == tenant.len &&
           (tenant.len == 0 || memcmp(last.tenant, tenant.data, tenant.len) == 0);
}

void world_forget(struct world *w)
{
    aril_audit_memory_clear(w->audit);
}

/* --- Keys ------------------------------------------------------------------------ */

/* Identities and their runtime live as long as the process. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static aril_runtime *keys_runtime;

aril_identity *fixture_identity(aril_sign_alg alg, unsigned number)
{
    static aril_identity *made[2][4];
    assert_in_range(number, 0, 3);
    (void)pthread_mutex_lock(&lock);
    aril_identity **at = &made[alg == ARIL_ML_DSA_87][number];
    aril_status st = keys_runtime != NULL ? ARIL_OK : aril_runtime_new(NULL, &keys_runtime);
    if (st == ARIL_OK && *at == NULL) {
        st = aril_identity_generate(keys_runtime, alg, at);
    }
    (void)pthread_mutex_unlock(&lock);
    assert_status(st, ARIL_OK);
    return *at;
}

aril_sign_alg fixture_alg(aril_profile profile)
{
    return profile == ARIL_PROFILE_STRICT ? ARIL_ML_DSA_87 : ARIL_ML_DSA_65;
}

const char *fixture_did(const aril_identity *identity)
{
    static _Thread_local char did[ARIL_DID_BYTES_MAX];
    size_t len;
    assert_status(aril_did_write(keys_runtime, ARIL_DID_PQAID, aril_identity_alg(identity),
                                 aril_identity_public(identity), did, sizeof did, &len),
                  ARIL_OK);
    return did;
}

aril_bytes fixture_tag_key(void)
{
    static const uint8_t key[32] = { 0x74, 0x61, 0x67, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    return (aril_bytes){ key, sizeof key };
}

/* --- Sessions and views ------------------------------------------------------------ */

void pair_init(struct pair *p, struct world *w, aril_profile profile, aril_bytes tenant_id,
               const aril_policy *policy)
{
    assert_status(aril_session_pair(w->rt, profile, tenant_id,
                                    fixture_identity(fixture_alg(profile), 0), fixture_tag_key(),
                                    policy, &p->tenant, &p->server),
                  ARIL_OK);
}

void pair_done(struct pair *p)
{
    aril_session_close(p->tenant);
    aril_session_close(p->server);
    *p = (struct pair){ NULL, NULL };
}

aril_kv_config view_config(void)
{
    return (aril_kv_config){ .model = TEXT("model@1"),
                             .layout = { .name = "test/rows",
                                         .dtype = "f16",
                                         .block_tokens = 16,
                                         .layers = 4,
                                         .kv_heads = 2,
                                         .key_dim = 64,
                                         .value_dim = 64,
                                         .world_size = 1 },
                             .slot_pins = 64 };
}

aril_kv_config view_config_peer(void)
{
    aril_kv_config config = view_config();
    config.source = ARIL_KV_FROM_PEER;
    return config;
}

aril_kv *view_new(aril_session *session, const aril_kv_config *config)
{
    aril_kv *kv = NULL;
    assert_status(aril_kv_new(session, config, &kv), ARIL_OK);
    return kv;
}

aril_kv_block chain_block(uint64_t n)
{
    aril_kv_block block = { .layer_count = 1, .identity = ARIL_KV_CHAIN };
    fill_pattern(block.chain, sizeof block.chain, n + 77);
    return block;
}

aril_kv_block slot_block(uint64_t slot, uint64_t position)
{
    return (aril_kv_block){
        .layer_count = 1, .identity = ARIL_KV_SLOT, .slot = slot, .position = position, .count = 16
    };
}

/* --- Memory ----------------------------------------------------------------------- */

static uint8_t pattern_at(uint64_t seed, size_t i)
{
    const uint64_t x = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + i * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint8_t)(x >> 37 ^ x >> 21);
}

void fill_pattern(uint8_t *ret, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        ret[i] = pattern_at(seed, i);
    }
}

bool is_pattern(const uint8_t *p, size_t len, uint64_t seed)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != pattern_at(seed, i)) {
            return false;
        }
    }
    return true;
}

bool is_filled(const void *p, size_t len, uint8_t value)
{
    const uint8_t *bytes = p;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != value) {
            return false;
        }
    }
    return true;
}

void guarded_init(struct guarded *g, size_t len)
{
    g->base = malloc(GUARD_BYTES + len + GUARD_BYTES);
    assert_non_null(g->base);
    g->data = g->base + GUARD_BYTES;
    g->len = len;
    memset(g->base, GUARD_FILLER, GUARD_BYTES + len + GUARD_BYTES);
}

void guarded_check(const struct guarded *g)
{
    assert_true(is_filled(g->base, GUARD_BYTES, GUARD_FILLER));
    assert_true(is_filled(g->data + g->len, GUARD_BYTES, GUARD_FILLER));
}

void guarded_done(struct guarded *g)
{
    free(g->base);
    *g = (struct guarded){ NULL, NULL, 0 };
}

void room_init(struct room *r, size_t len, uint64_t seed, const aril_kv_block *block)
{
    *r = (struct room){ .len = len, .seed = seed, .block = *block };
    guarded_init(&r->plain, len);
    guarded_init(&r->body, len);
    guarded_init(&r->seal, ARIL_SEAL_BYTES);
    guarded_init(&r->out, len);
    guarded_init(&r->staging, len);
    fill_pattern(r->plain.data, len, seed);
    r->plain_span = (aril_span){ r->plain.data, len };
    r->out_span = (aril_span){ r->out.data, len };
}

static aril_kv_item item_over(struct room *r, const aril_span *span)
{
    return (aril_kv_item){ .block = &r->block,
                           .spans = span,
                           .span_count = 1,
                           .body = r->body.data,
                           .body_len = r->len,
                           .seal = r->seal.data };
}

aril_kv_item room_sealing(struct room *r)
{
    return item_over(r, &r->plain_span);
}

aril_kv_item room_opening(struct room *r)
{
    return item_over(r, &r->out_span);
}

void room_reset_out(struct room *r)
{
    memset(r->out.data, GUARD_FILLER, r->len);
    memset(r->staging.data, GUARD_FILLER, r->len);
}

void room_seal(struct room *r, aril_kv *kv)
{
    aril_kv_item item = room_sealing(r);
    assert_status(aril_kv_seal(kv, &item), ARIL_OK);
    assert_status(item.status, ARIL_OK);
    room_check(r);
}

aril_status room_open(struct room *r, aril_kv *kv)
{
    aril_kv_item item = room_opening(r);
    room_reset_out(r);
    const aril_status st = aril_kv_open(kv, &item);
    assert_status(item.status, st);
    room_check(r);
    return st;
}

bool room_is_open(const struct room *r)
{
    return is_pattern(r->out.data, r->len, r->seed);
}

bool room_is_clean(const struct room *r)
{
    return is_filled(r->out.data, r->len, 0) || is_filled(r->out.data, r->len, GUARD_FILLER);
}

void room_check(const struct room *r)
{
    assert_true(is_pattern(r->plain.data, r->len, r->seed));
    guarded_check(&r->plain);
    guarded_check(&r->body);
    guarded_check(&r->seal);
    guarded_check(&r->out);
    guarded_check(&r->staging);
}

void room_done(struct room *r)
{
    guarded_done(&r->plain);
    guarded_done(&r->body);
    guarded_done(&r->seal);
    guarded_done(&r->out);
    guarded_done(&r->staging);
}
