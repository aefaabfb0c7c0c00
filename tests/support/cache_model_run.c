/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_model_run.h"
#include "cache/cache.h"
#include "temp_folder.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define L1_TTL_MS  UINT64_C(30000)
#define REFRESH_MS UINT64_C(250)
#define NS_PER_MS  UINT64_C(1000000)

struct model_run mrun;

/* --- Chance ---------------------------------------------------------------------------------- */

static uint64_t random_number(void) /* splitmix64 */
{
    uint64_t z = mrun.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t mrun_below(uint64_t n)
{
    return random_number() % n;
}

bool mrun_one_in(uint64_t n)
{
    return mrun_below(n) == 0;
}

unsigned mrun_cache(void)
{
    return (unsigned)mrun_below(mrun.cache_count);
}

/* --- Names and bytes ------------------------------------------------------------------------- */

static const char *const tenants[CACHE_MODEL_TENANTS] = { "alice", "bob" };
static const char *const spaces[CACHE_MODEL_SPACES] = { "plain", "padded", "listed", "stale" };

/* One for each of spaces. */
static void policies(aril_cache_policy ret[CACHE_MODEL_SPACES])
{
    for (unsigned s = 0; s < CACHE_MODEL_SPACES; s++) {
        ret[s] = (aril_cache_policy){ .space = mrun_space(s), .l1_ttl_ms = L1_TTL_MS };
    }
    ret[1].tiers = ARIL_CACHE_L2;
    ret[1].padding = ARIL_CACHE_PAD_PADME;
    ret[2].listable = ret[2].hash_tags = 1;
    ret[3].stale_ms = 300000;
    ret[3].padding = ARIL_CACHE_PAD_BLOCK;
    ret[3].pad_bytes = 64;
}

aril_bytes mrun_tenant(unsigned tenant)
{
    return text_bytes(tenants[tenant]);
}

aril_bytes mrun_space(unsigned space)
{
    return text_bytes(spaces[space]);
}

aril_bytes mrun_tag(unsigned tag)
{
    static const char *const tags[CACHE_MODEL_TAGS] = { "red", "green", "blue" };
    return text_bytes(tags[tag]);
}

/* Eight keys that differ in one thing each; the tenth byte of one is NUL. */
aril_cache_key mrun_key(unsigned name)
{
    static const uint8_t with_nul[12] = "user:1\0user";
    static uint8_t lengthy[300];
    aril_cache_key key = { .tenant = mrun_tenant(cache_model_tenant(name)),
                           .space = mrun_space(cache_model_space(name)),
                           .key = TEXT("user:1") };
    memset(lengthy, 'u', sizeof lengthy);
    switch (name / (CACHE_MODEL_TENANTS * CACHE_MODEL_SPACES)) {
    case 1:
        key.key = (aril_bytes){ with_nul, sizeof with_nul };
        break;
    case 2:
        key.database = 1;
        break;
    case 3:
        key.type = ARIL_CACHE_HASH_FIELD;
        key.field = TEXT("f");
        break;
    case 4:
        key.type = ARIL_CACHE_HASH_FIELD;
        key.field = TEXT("g");
        break;
    case 5:
        key.type = ARIL_CACHE_SET_MEMBER;
        break;
    case 6:
        key.key = (aril_bytes){ lengthy, sizeof lengthy };
        break;
    case 7:
        key.key = TEXT("{user}:1");
        break;
    default:
        break;
    }
    return key;
}

uint8_t *mrun_bytes(const struct cache_model_value *v)
{
    uint8_t *bytes = malloc(v->len > 0 ? v->len : 1);
    assert_non_null(bytes);
    fill_pattern(bytes, v->len, v->seed);
    return bytes;
}

void mrun_now(void)
{
    mrun.model.now_ns = atomic_load(&mrun.w.clock.boot_ns);
    mrun.model.now_ms = atomic_load(&mrun.w.clock.unix_s) * 1000;
}

/* --- Opening and closing --------------------------------------------------------------------- */

static void open_store(unsigned c)
{
    /* The breaker has tests of its own: here each call is to reach the store. */
    const aril_store_config config = { .uri = mrun.setup->uri,
                                       .bytes_max = mrun.setup->bytes_max,
                                       .deadline_ms = 60000,
                                       .breaker_after = 1000000 };
    if (mrun.faulty != NULL) {
        assert_status(
            faulty_cache_store_open(mrun.faulty, mrun.w.rt, &config, &mrun.stores[c], &mrun.error),
            ARIL_OK);
        return;
    }
    assert_status(aril_store_open(mrun.w.rt, &config, &mrun.stores[c], &mrun.error), ARIL_OK);
}

static void open_cache(unsigned c)
{
    aril_cache_policy said[CACHE_MODEL_SPACES];
    policies(said);
    const aril_cache_config config = { .keyring = mrun.keys.kr,
                                       .store = mrun.stores[c],
                                       .l1_bytes = mrun.setup->l1_bytes != 0 ? mrun.setup->l1_bytes
                                                                             : (uint64_t)64 << 20,
                                       .l1_shards = mrun.setup->l1_bytes != 0 ? 1 : 4,
                                       .refresh_ms = (uint32_t)REFRESH_MS,
                                       .policies = said,
                                       .policy_count = COUNT(said) };
    assert_status(aril_cache_open(mrun.w.rt, &config, &mrun.caches[c], &mrun.error), ARIL_OK);
}

static void close_all(void)
{
    for (unsigned c = 0; c < CACHE_MODEL_CACHES; c++) {
        aril_cache_close(mrun.caches[c]);
        aril_store_close(mrun.stores[c]);
        mrun.caches[c] = NULL;
        mrun.stores[c] = NULL;
    }
}

static void open_all(void)
{
    for (unsigned c = 0; c < mrun.cache_count; c++) {
        open_store(c);
        open_cache(c);
    }
}

void model_run_begin(const struct model_setup *setup, uint64_t seed)
{
    memset(&mrun, 0, sizeof mrun);
    mrun.setup = setup;
    mrun.seed = mrun.random = seed;
    mrun.what = "begin";
    mrun.cache_count = setup->caches != 0 ? setup->caches : 1;
    print_message("cache model, %s: seed %" PRIu64 ", %u operations%s\n", setup->name, seed,
                  setup->ops, SANITIZED ? " (fewer, because a sanitizer runs)" : "");
    world_init(&mrun.w);
    home_init(&mrun.keys, &mrun.w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&mrun.keys, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&mrun.keys, "alice");
    home_tenant(&mrun.keys, "bob");
    if (setup->faulty) {
        mrun.faulty = faulty_cache_store_new(&arili_cache_store_memory);
    }
    cache_model_init(&mrun.model, L1_TTL_MS * NS_PER_MS, REFRESH_MS * NS_PER_MS,
                     setup->bytes_max != 0);
    open_all();
}

int model_run_abandon(void **state)
{
    (void)state;
    if (mrun.setup != NULL) {
        close_all();
        if (mrun.faulty != NULL) {
            faulty_cache_store_free(mrun.faulty);
        }
        home_done(&mrun.keys);
        world_done(&mrun.w);
    }
    memset(&mrun, 0, sizeof mrun);
    return 0;
}

/* --- Operations on many values --------------------------------------------------------------- */

void mrun_look_disturbed(void)
{
    mrun.disturbed = mrun.lying || (mrun.faulty != NULL && faulty_cache_store_fired(mrun.faulty));
}

static void op_clock(void)
{
    mrun.what = "clock";
    if (mrun_one_in(3)) {
        fake_clock_add_ns(&mrun.w.clock, (1 + mrun_below(2 * REFRESH_MS)) * NS_PER_MS);
    } else {
        fake_clock_add_s(&mrun.w.clock, mrun_one_in(4) ? mrun_below(1200) : 1 + mrun_below(40));
    }
    /* One thread looks at the keyring, and the others go on meanwhile. Where that may be a thread
     * of the store, wait for it. */
    mrun_now();
    for (unsigned c = 0; c < mrun.cache_count; c++) {
        if (mrun.cache_count > 1 &&
            (arili_store_capabilities(mrun.stores[c]) & ARIL_STORE_NOTIFY) != 0) {
            arili_scopes_look(mrun.caches[c]);
        }
    }
}

static void op_bump(void)
{
    const unsigned cache = mrun_cache();
    const unsigned tenant = (unsigned)mrun_below(CACHE_MODEL_TENANTS);
    const unsigned space = (unsigned)mrun_below(CACHE_MODEL_SPACES);
    mrun.what = "bump";
    uint64_t generation = 0;
    const aril_status st = aril_cache_bump(mrun.caches[cache], mrun_tenant(tenant),
                                           mrun_space(space), &generation, &mrun.error);
    mrun_demand(st == ARIL_OK && generation > 0, "%s", aril_status_name(st));
    mrun_look_disturbed();
    cache_model_bump(&mrun.model, cache, tenant, space);
    mrun.met.bumps++;
}

static void op_flush(void)
{
    const unsigned cache = mrun_cache();
    const unsigned tenant = (unsigned)mrun_below(CACHE_MODEL_TENANTS);
    const unsigned space = (unsigned)mrun_below(CACHE_MODEL_SPACES);
    uint64_t there = 0;
    mrun.what = "flush";
    for (unsigned i = 0; i < CACHE_MODEL_NAMES; i++) {
        there += cache_model_tenant(i) == tenant && cache_model_space(i) == space &&
                 cache_model_raw(&mrun.model, i) == RAW_THERE;
    }
    uint64_t deleted = 0;
    const aril_status st = aril_cache_flush(mrun.caches[cache], mrun_tenant(tenant),
                                            mrun_space(space), &deleted, &mrun.error);
    mrun_look_disturbed();
    mrun_demand(st == ARIL_OK || mrun.disturbed, "%s", aril_status_name(st));
    mrun_demand(st != ARIL_OK || deleted >= there, "%" PRIu64 " of %" PRIu64 " were deleted",
                deleted, there);
    cache_model_bump(&mrun.model, cache, tenant, space);
    cache_model_flush(&mrun.model, tenant, space, st == ARIL_OK);
    mrun.met.flushes++;
}

static void op_tag(void)
{
    const unsigned cache = mrun_cache();
    const unsigned tenant = (unsigned)mrun_below(CACHE_MODEL_TENANTS);
    const unsigned space = (unsigned)mrun_below(CACHE_MODEL_SPACES);
    const unsigned tag = (unsigned)mrun_below(CACHE_MODEL_TAGS);
    mrun.what = "tag ended";
    const aril_status st = aril_cache_invalidate_tag(mrun.caches[cache], mrun_tenant(tenant),
                                                     mrun_space(space), mrun_tag(tag), &mrun.error);
    mrun_look_disturbed();
    mrun_demand(st == ARIL_OK || mrun.disturbed, "%s", aril_status_name(st));
    cache_model_end_tag(&mrun.model, cache, tenant, space, tag, st == ARIL_OK);
    mrun.met.tags++;
}

static void op_rotate(void)
{
    const unsigned tenant = (unsigned)mrun_below(CACHE_MODEL_TENANTS);
    mrun.what = "rotate";
    assert_status(home_rotate(&mrun.keys, slot_of(ARIL_KEY_DATA, tenants[tenant], NULL)), ARIL_OK);
    cache_model_rotate(&mrun.model, tenant);
    mrun.met.rotated++;
}

static void op_retire(void)
{
    const unsigned tenant = (unsigned)mrun_below(CACHE_MODEL_TENANTS);
    const struct cache_model *m = &mrun.model;
    mrun.what = "retire";
    for (unsigned v = m->retired[tenant] + 1; v < m->data_key[tenant]; v++) {
        struct key_copy key;
        keyring_key(mrun.keys.kr, slot_of(ARIL_KEY_DATA, tenants[tenant], NULL), v, &key);
        assert_status(aril_keyring_retire(mrun.keys.kr, key.info.id, 0, &mrun.error), ARIL_OK);
    }
    cache_model_retire(&mrun.model, tenant);
    mrun.met.retired++;
}

static void op_reopen(void)
{
    mrun.what = "reopen";
    mrun.met.reopened++;
    const unsigned kind = (unsigned)mrun_below(4);
    if (kind < 2 || !mrun.setup->keeps) { /* one cache: L1 is lost */
        const unsigned c = mrun_cache();
        aril_cache_close(mrun.caches[c]);
        open_cache(c);
        cache_model_reopen(&mrun.model, c);
        return;
    }
    close_all();
    if (kind == 3) {
        home_reopen(&mrun.keys); /* floors and keys come from the file */
    }
    open_all();
    for (unsigned c = 0; c < mrun.cache_count; c++) {
        cache_model_reopen(&mrun.model, c);
    }
}

/* --- Lists ----------------------------------------------------------------------------------- */

static int note_listed(void *user, const aril_cache_key *key, aril_bytes name)
{
    unsigned *seen = user;
    (void)name;
    for (unsigned i = 0; key != NULL && i < CACHE_MODEL_NAMES; i++) {
        const aril_cache_key k = mrun_key(i);
        if (k.database == key->database && k.type == key->type && k.key.len == key->key.len &&
            k.field.len == key->field.len && memcmp(k.key.data, key->key.data, k.key.len) == 0 &&
            (k.field.len == 0 || memcmp(k.field.data, key->field.data, k.field.len) == 0) &&
            k.space.len == key->space.len &&
            memcmp(k.space.data, key->space.data, k.space.len) == 0 &&
            k.tenant.len == key->tenant.len &&
            memcmp(k.tenant.data, key->tenant.data, k.tenant.len) == 0) {
            seen[i]++;
        }
    }
    return 0;
}

static void op_list(void)
{
    enum { LISTED = 2 };
    unsigned seen[CACHE_MODEL_NAMES] = { 0 };
    const unsigned tenant = (unsigned)mrun_below(CACHE_MODEL_TENANTS);
    mrun.what = "list";
    const aril_status st = aril_cache_list(mrun.caches[mrun_cache()], mrun_tenant(tenant),
                                           mrun_space(LISTED), note_listed, seen, &mrun.error);
    mrun_look_disturbed();
    mrun_demand(st == ARIL_OK || mrun.disturbed, "%s", aril_status_name(st));
    for (unsigned i = 0; st == ARIL_OK && i < CACHE_MODEL_NAMES; i++) {
        const bool of = cache_model_tenant(i) == tenant && cache_model_space(i) == LISTED;
        const enum cache_model_raw raw = cache_model_raw(&mrun.model, i);
        mrun_demand(seen[i] == 0 || (of && raw != RAW_NONE), "name %u is listed", i);
        mrun_demand(!of || raw != RAW_THERE || seen[i] > 0, "name %u is not listed", i);
    }
    mrun.met.listed++;
}

/* --- The run --------------------------------------------------------------------------------- */

static void (*const kinds[])(void) = {
    mrun_op_get,    mrun_op_put,     mrun_op_get_many, mrun_op_put_many, mrun_op_delete,
    mrun_op_exists, mrun_op_compute, op_clock,         op_bump,          op_flush,
    op_tag,         op_rotate,       op_retire,        op_reopen,        op_list,
};
static const unsigned weights[] = { 800, 500, 40, 25, 120, 120, 120, 40, 12, 6, 20, 2, 1, 6, 12 };
_Static_assert(COUNT(kinds) == COUNT(weights), "each kind has a weight");

static void disturb(void)
{
    static const aril_status failures[] = { ARIL_E_TIMEOUT, ARIL_E_IO, ARIL_E_IO_FULL,
                                            ARIL_E_FORMAT };
    const unsigned nth = 1 + (unsigned)mrun_below(3);
    const aril_status st = failures[mrun_below(COUNT(failures))];
    mrun.lying = false;
    switch (mrun_below(12)) {
    case 0:
        faulty_cache_store_arm(mrun.faulty, nth, st);
        break;
    case 1:
        faulty_cache_store_arm_lost(mrun.faulty, nth, st);
        break;
    case 2:
        faulty_cache_store_arm_item(mrun.faulty, nth, mrun_below(4), st);
        break;
    case 3:
        mrun.lying = true;
        break;
    default:
        break;
    }
    if (mrun.lying) {
        static const enum faulty_cache_lie lies[] = { FAULTY_CACHE_TRUNCATE, FAULTY_CACHE_FLIP,
                                                      FAULTY_CACHE_SWAP,     FAULTY_CACHE_OTHER,
                                                      FAULTY_CACHE_APPEND,   FAULTY_CACHE_GONE };
        faulty_cache_store_lie(mrun.faulty, lies[mrun_below(COUNT(lies))], mrun_below(1000));
    }
}

static void one_op(void)
{
    uint64_t total = 0;
    unsigned kind = 0;
    for (size_t i = 0; i < COUNT(weights); i++) {
        total += weights[i];
    }
    for (uint64_t r = mrun_below(total); r >= weights[kind]; r -= weights[kind++]) {
    }
    if (mrun.faulty != NULL) {
        disturb();
    }
    mrun.disturbed = false;
    mrun_now();
    kinds[kind]();
    if (mrun.faulty != NULL) {
        mrun.met.faults += mrun.disturbed;
        faulty_cache_store_arm(mrun.faulty, 0, ARIL_OK);
        faulty_cache_store_lie(mrun.faulty, FAULTY_CACHE_HONEST, 0);
        mrun.lying = false;
    }
}

void model_run_ops(void)
{
    for (mrun.op = 1; mrun.op <= mrun.setup->ops; mrun.op++) {
        one_op();
    }
}

void model_run_end(void)
{
    print_message("  %" PRIu64 " hits (%" PRIu64 " of L1 that had not heard), %" PRIu64
                  " misses, %" PRIu64 " puts (%" PRIu64 " failed), %" PRIu64 " computed, %" PRIu64
                  " deletes, %" PRIu64 " bumps, %" PRIu64 " tags, %" PRIu64 " rotations, %" PRIu64
                  " faults\n",
                  mrun.met.hits, mrun.met.hits_stale_l1, mrun.met.misses, mrun.met.puts,
                  mrun.met.failed, mrun.met.computed, mrun.met.deletes, mrun.met.bumps,
                  mrun.met.tags, mrun.met.rotated, mrun.met.faults);
    mrun_demand(mrun.met.hits > mrun.setup->ops / 20, "hardly a hit");
    mrun_demand(mrun.met.misses > 0 && mrun.met.computed > 0 && mrun.met.bumps > 0 &&
                    mrun.met.tags > 0,
                "something never happened");
    mrun_demand(mrun.faulty == NULL || mrun.met.faults > mrun.setup->ops / 20, "hardly a fault");
    (void)model_run_abandon(NULL);
}
