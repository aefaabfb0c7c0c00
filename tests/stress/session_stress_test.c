/* SPDX-License-Identifier: Apache-2.0 */
/* One session under many threads. Bounded by counts: the same work on a slow and on a fast
 * machine. The thread sanitizer watches the same program in the tsan build. */
#include "fixture.h"
#include "key_uses.h"
#include "team.h"
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define WRITERS      8u
#define READERS      8u
#define EACH         (SANITIZED ? 720u : 2400u)  /* records of a writer, a multiple of BATCH */
#define OPENS        (SANITIZED ? 1000u : 8000u) /* of a reader */
#define BATCH        4u
#define RECORD_BYTES 48u

struct sealed {
    uint8_t seal[ARIL_SEAL_BYTES];
    uint8_t body[RECORD_BYTES];
};

struct stage {
    struct world world;
    struct pair pair;
    aril_kv *self, *peer;   /* of the tenant's end, and of the server's for what the tenant seals */
    struct sealed *records; /* EACH for each writer */
    atomic_uint published[WRITERS];
    atomic_uint writers_left, readers_left;
    atomic_uint opened[2], refused[2]; /* self, peer */
};

static void stage_init(struct stage *s, const aril_policy *policy, aril_kv_mode mode)
{
    *s = (struct stage){ .writers_left = WRITERS, .readers_left = READERS };
    world_init(&s->world);
    pair_init(&s->pair, &s->world, ARIL_PROFILE_ML_KEM_768, TEXT("acme"), policy);
    aril_kv_config config = view_config();
    config.mode = mode;
    s->self = view_new(s->pair.tenant, &config);
    config.source = ARIL_KV_FROM_PEER;
    s->peer = view_new(s->pair.server, &config);
    s->records = calloc((size_t)WRITERS * EACH, sizeof *s->records);
    assert_non_null(s->records);
}

static void stage_done(struct stage *s)
{
    aril_kv_free(s->self);
    aril_kv_free(s->peer);
    pair_done(&s->pair);
    world_done(&s->world);
    free(s->records);
}

static aril_kv_item item_of(struct sealed *r, const aril_kv_block *block, const aril_span *span)
{
    return (aril_kv_item){ .block = block,
                           .spans = span,
                           .span_count = 1,
                           .body = r->body,
                           .body_len = RECORD_BYTES,
                           .seal = r->seal };
}

/* --- Everything at once -------------------------------------------------------------- */

static void write_records(void *arg, unsigned number)
{
    struct stage *s = arg;
    for (unsigned i = 0; i < EACH && !team_failed(); i += BATCH) {
        uint8_t plain[BATCH][RECORD_BYTES];
        aril_kv_block blocks[BATCH];
        aril_span spans[BATCH];
        aril_kv_item items[BATCH];
        for (unsigned k = 0; k < BATCH; k++) {
            const unsigned at = number * EACH + i + k;
            fill_pattern(plain[k], RECORD_BYTES, at);
            blocks[k] = chain_block(at);
            spans[k] = (aril_span){ plain[k], RECORD_BYTES };
            items[k] = item_of(&s->records[at], &blocks[k], &spans[k]);
        }
        const bool one_by_one = i % (2 * BATCH) == 0;
        for (unsigned k = 0; k < BATCH && one_by_one; k++) {
            team_demand(aril_kv_seal(s->self, &items[k]) == ARIL_OK, "a seal failed");
        }
        team_demand(one_by_one || aril_kv_seal_batch(s->self, items, BATCH, NULL) == ARIL_OK,
                    "a batch failed");
        atomic_store_explicit(&s->published[number], i + BATCH, memory_order_release);
    }
    atomic_fetch_sub(&s->writers_left, 1);
}

static bool may_refuse(aril_status st, bool peer)
{
    return st == ARIL_E_KEY_RETIRED || (peer && st == ARIL_E_KEY_FUTURE);
}

static void read_one(struct stage *s, unsigned at, bool peer)
{
    uint8_t out[RECORD_BYTES];
    memset(out, GUARD_FILLER, sizeof out);
    const aril_kv_block block = chain_block(at);
    const aril_span span = { out, sizeof out };
    aril_kv_item item = item_of(&s->records[at], &block, &span);
    const aril_status st = aril_kv_open(peer ? s->peer : s->self, &item);
    if (st == ARIL_OK) {
        team_demand(is_pattern(out, sizeof out, at), "another plaintext");
        atomic_fetch_add(&s->opened[peer], 1);
        return;
    }
    team_demand(may_refuse(st, peer), "a record was refused with a status that is not allowed");
    team_demand(is_filled(out, sizeof out, GUARD_FILLER) || is_filled(out, sizeof out, 0),
                "a refused record left plaintext behind");
    atomic_fetch_add(&s->refused[peer], 1);
}

static void read_records(void *arg, unsigned number)
{
    struct stage *s = arg;
    uint64_t random = number;
    for (unsigned i = 0; i < OPENS && !team_failed();) {
        const unsigned writer = (unsigned)(team_random(&random) % WRITERS);
        const unsigned n = atomic_load_explicit(&s->published[writer], memory_order_acquire);
        if (n == 0) {
            sched_yield();
            continue;
        }
        const unsigned recent = n < 32 || i % 4 == 0 ? n : 32;
        const unsigned back = (unsigned)(team_random(&random) % recent);
        read_one(s, writer * EACH + n - 1 - back, number % 2 != 0);
        i++;
    }
    atomic_fetch_sub(&s->readers_left, 1);
}

static unsigned progress(struct stage *s)
{
    unsigned sum = 0;
    for (unsigned w = 0; w < WRITERS; w++) {
        sum += atomic_load(&s->published[w]);
    }
    return sum;
}

/* Until that share of the records is there. */
static bool wait_for_share(struct stage *s, unsigned step, unsigned steps)
{
    while (progress(s) < WRITERS * EACH / steps * step && atomic_load(&s->writers_left) > 0) {
        sched_yield();
    }
    return atomic_load(&s->writers_left) > 0 && !team_failed();
}

static void rotate(void *arg, unsigned number)
{
    struct stage *s = arg;
    (void)number;
    for (unsigned i = 1; i < 40 && wait_for_share(s, i, 40); i++) {
        team_demand(aril_session_rotate(s->pair.tenant) == ARIL_OK, "a rotation failed");
    }
}

static void retire(void *arg, unsigned number)
{
    struct stage *s = arg;
    for (unsigned i = 1; i < 20 && wait_for_share(s, i, 20); i++) {
        aril_session *session = number == 0 ? s->pair.tenant : s->pair.server;
        aril_session_info info;
        team_demand(aril_session_get_info(session, &info) == ARIL_OK, "no info");
        const uint32_t newest = info.direction[ARIL_TENANT_TO_SERVER].epoch;
        /* Now and then the newest itself at the sealing end. */
        const uint32_t back = number == 0 && i % 8 == 0 ? 0 : 3 + i % 5;
        team_demand(newest < back || aril_session_retire(session, ARIL_TENANT_TO_SERVER,
                                                         newest - back) == ARIL_OK,
                    "retiring failed");
    }
}

static int look(void *user, const aril_event *event)
{
    (void)user;
    return event->tenant.len == 0 || event->kind == ARIL_EVENT_AUTH_FAILURE;
}

static void watch(void *arg, unsigned number)
{
    struct stage *s = arg;
    (void)number;
    for (unsigned i = 0; i < 300 && atomic_load(&s->readers_left) > 0; i++) {
        char json[4096];
        size_t len;
        const aril_audit_filter filter = { .limit = 10 };
        aril_audit_totals totals;
        team_demand(aril_audit_memory_query(s->world.audit, NULL, look, NULL) == ARIL_OK, "query");
        team_demand(aril_audit_memory_totals(s->world.audit, &totals) == ARIL_OK, "totals");
        const aril_status st =
            aril_audit_memory_json(s->world.audit, &filter, json, sizeof json, &len);
        team_demand(st == ARIL_OK || st == ARIL_E_USAGE_TOO_SMALL, "json");
        aril_session_flush_audit(i % 2 == 0 ? s->pair.tenant : s->pair.server);
        sched_yield();
    }
}

/* No place twice, one key id for each epoch, and no gap in the sequences of an epoch. */
static void demand_unique(const struct sealed *records, size_t count)
{
    struct epoch {
        uint8_t key_id[32];
        uint64_t count, top;
    };
    struct key_uses uses = { 0 };
    struct epoch *epochs = calloc(count, sizeof *epochs);
    assert_non_null(epochs);
    for (size_t i = 0; i < count; i++) {
        aril_seal_info info;
        assert_status(aril_seal_inspect(records[i].seal, &info), ARIL_OK);
        assert_true(key_uses_add(&uses, &info));
        assert_true(info.epoch < count);
        struct epoch *e = &epochs[info.epoch];
        if (e->count++ == 0) {
            memcpy(e->key_id, info.key_id, sizeof e->key_id);
        }
        assert_memory_equal(e->key_id, info.key_id, sizeof e->key_id);
        e->top = info.sequence > e->top ? info.sequence : e->top;
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(epochs[i].count, epochs[i].top);
    }
    assert_int_equal(uses.count, count);
    free(epochs);
    key_uses_done(&uses);
}

static void writers_readers_rotation_and_retiring_share_a_session(void **state)
{
    (void)state;
    static struct stage s;
    const aril_policy policy = { .rotate_records = 64, .readable_epochs = 24 };
    stage_init(&s, &policy, ARIL_KV_REPEATABLE);
    const struct team_role roles[] = {
        { "writer", write_records, WRITERS },
        { "reader", read_records, READERS },
        { "rotator", rotate, 1 },
        { "retirer", retire, 2 },
        { "watcher", watch, 1 },
    };
    team_run(roles, COUNT(roles), &s);
    demand_unique(s.records, (size_t)WRITERS * EACH);
    /* How much is readable when it is read is up to the scheduler. */
    assert_true(atomic_load(&s.opened[0]) + atomic_load(&s.opened[1]) > 0);

    aril_session_info info;
    const unsigned records = WRITERS * EACH;
    const unsigned opened[2] = { atomic_load(&s.opened[0]), atomic_load(&s.opened[1]) };
    assert_status(aril_session_get_info(s.pair.tenant, &info), ARIL_OK);
    assert_int_equal(info.direction[0].records_sealed, records);
    assert_int_equal(info.direction[0].bytes_sealed, records * RECORD_BYTES);
    assert_int_equal(info.direction[0].records_opened, opened[0]);
    assert_int_equal(info.direction[0].refused, atomic_load(&s.refused[0]));
    assert_status(aril_session_get_info(s.pair.server, &info), ARIL_OK);
    assert_int_equal(info.direction[0].records_opened, opened[1]);
    assert_int_equal(info.direction[0].refused, atomic_load(&s.refused[1]));

    aril_session_flush_audit(s.pair.tenant);
    aril_session_flush_audit(s.pair.server);
    aril_audit_totals totals;
    assert_status(aril_audit_memory_totals(s.world.audit, &totals), ARIL_OK);
    assert_int_equal(totals.records_sealed, records);
    assert_int_equal(totals.records_opened, opened[0] + opened[1]);
    assert_int_equal(totals.bytes_opened, (opened[0] + opened[1]) * RECORD_BYTES);
    stage_done(&s);
}

/* --- Once ---------------------------------------------------------------------------- */

#define ONCE_RECORDS (SANITIZED ? 480u : 1920u)

/* All readers want every record, in the same order, so that they meet. */
static void read_all_once(void *arg, unsigned number)
{
    struct stage *s = arg;
    (void)number;
    for (unsigned at = 0; at < ONCE_RECORDS && !team_failed(); at++) {
        uint8_t out[RECORD_BYTES];
        memset(out, GUARD_FILLER, sizeof out);
        const aril_kv_block block = chain_block(at);
        const aril_span span = { out, sizeof out };
        aril_kv_item item = item_of(&s->records[at], &block, &span);
        const aril_status st = aril_kv_open(s->peer, &item);
        if (st == ARIL_OK) {
            atomic_fetch_add(&s->opened[1], 1);
            team_demand(is_pattern(out, sizeof out, at), "another plaintext");
        } else {
            team_demand(st == ARIL_E_REPLAY, "a record was neither opened nor a replay");
            team_demand(is_filled(out, sizeof out, GUARD_FILLER) || is_filled(out, sizeof out, 0),
                        "a replay left plaintext behind");
        }
    }
}

static void each_record_opens_once_whoever_is_first(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 6; round++) {
        static struct stage s;
        /* The readers also race to follow the writer into each new epoch. */
        const aril_policy policy = { .rotate_records = 2 + round * 60, .readable_epochs = 1024 };
        stage_init(&s, &policy, ARIL_KV_ONCE);
        for (unsigned at = 0; at < ONCE_RECORDS; at++) {
            uint8_t plain[RECORD_BYTES];
            fill_pattern(plain, sizeof plain, at);
            const aril_kv_block block = chain_block(at);
            const aril_span span = { plain, sizeof plain };
            aril_kv_item item = item_of(&s.records[at], &block, &span);
            assert_status(aril_kv_seal(s.self, &item), ARIL_OK);
        }
        team_run(&(struct team_role){ "reader", read_all_once, READERS }, 1, &s);
        assert_int_equal(atomic_load(&s.opened[1]), ONCE_RECORDS);
        assert_int_equal(world_events(&s.world, ARIL_EVENT_REPLAY), (READERS - 1) * ONCE_RECORDS);
        stage_done(&s);
    }
}

/* --- Slots --------------------------------------------------------------------------- */

#define SLOTS 4u

static void write_slots(void *arg, unsigned number)
{
    struct stage *s = arg;
    for (unsigned i = 0; i < EACH && !team_failed(); i++) {
        const unsigned at = number * EACH + i;
        uint8_t plain[RECORD_BYTES];
        fill_pattern(plain, sizeof plain, at);
        const aril_kv_block block = slot_block(at % SLOTS, 0);
        const aril_span span = { plain, sizeof plain };
        aril_kv_item item = item_of(&s->records[at], &block, &span);
        team_demand(aril_kv_seal(s->self, &item) == ARIL_OK, "a seal failed");
        atomic_store_explicit(&s->published[number], i + 1, memory_order_release);
    }
    atomic_fetch_sub(&s->writers_left, 1);
}

static aril_status open_slot(struct stage *s, aril_kv *kv, unsigned at)
{
    uint8_t out[RECORD_BYTES];
    const aril_kv_block block = slot_block(at % SLOTS, 0);
    const aril_span span = { out, sizeof out };
    aril_kv_item item = item_of(&s->records[at], &block, &span);
    const aril_status st = aril_kv_open(kv, &item);
    team_demand(st != ARIL_OK || is_pattern(out, sizeof out, at), "another plaintext");
    return st;
}

static void read_slots(void *arg, unsigned number)
{
    struct stage *s = arg;
    uint64_t random = number;
    while (atomic_load(&s->writers_left) > 0 && !team_failed()) {
        const unsigned writer = (unsigned)(team_random(&random) % WRITERS);
        const unsigned n = atomic_load_explicit(&s->published[writer], memory_order_acquire);
        if (n > 0) {
            const unsigned at = writer * EACH + n - 1;
            const aril_status st = open_slot(s, number % 2 == 0 ? s->self : s->peer, at);
            team_demand(st == ARIL_OK || st == ARIL_E_REPLAY_STALE || may_refuse(st, true),
                        "a status that is not allowed");
        }
        sched_yield();
    }
}

static uint64_t age_of(const struct sealed *r)
{
    aril_seal_info info;
    assert_status(aril_seal_inspect(r->seal, &info), ARIL_OK);
    return (uint64_t)info.epoch << 32 | info.sequence;
}

static void only_the_newest_record_of_a_slot_opens_whoever_sealed_it(void **state)
{
    (void)state;
    static struct stage s;
    const aril_policy policy = { .rotate_records = EACH / 2, .readable_epochs = 1024 };
    stage_init(&s, &policy, ARIL_KV_REPEATABLE);
    const struct team_role roles[] = { { "writer", write_slots, WRITERS },
                                       { "reader", read_slots, 4 } };
    team_run(roles, COUNT(roles), &s);
    uint64_t newest[SLOTS] = { 0 };
    for (unsigned at = 0; at < WRITERS * EACH; at++) {
        const uint64_t age = age_of(&s.records[at]);
        newest[at % SLOTS] = age > newest[at % SLOTS] ? age : newest[at % SLOTS];
    }
    for (unsigned at = 0; at < WRITERS * EACH; at++) {
        const bool is_newest = age_of(&s.records[at]) == newest[at % SLOTS];
        assert_status(open_slot(&s, s.self, at), is_newest ? ARIL_OK : ARIL_E_REPLAY_STALE);
    }
    stage_done(&s);
}

/* --- The end ------------------------------------------------------------------------- */

/* Seals and opens its own record until the session says why it ended. */
static void use_until_the_end(void *arg, unsigned number)
{
    struct stage *s = arg;
    aril_status sealed = ARIL_OK;
    aril_status opened = ARIL_OK;
    for (unsigned i = 0; (sealed == ARIL_OK || opened == ARIL_OK) && !team_failed(); i++) {
        struct sealed *r = &s->records[number];
        uint8_t plain[RECORD_BYTES], out[RECORD_BYTES];
        fill_pattern(plain, sizeof plain, i);
        const aril_kv_block block = chain_block(i);
        const aril_span from = { plain, sizeof plain }, to = { out, sizeof out };
        aril_kv_item item = item_of(r, &block, &from);
        sealed = aril_kv_seal(s->self, &item);
        item.spans = &to;
        opened =
            sealed == ARIL_OK ? aril_kv_open(number % 2 != 0 ? s->peer : s->self, &item) : sealed;
        team_demand(opened != ARIL_OK || is_pattern(out, sizeof out, i), "another plaintext");
        /* The peer falls behind when its readers wait for the processor. */
        opened = opened == ARIL_E_KEY_FUTURE || opened == ARIL_E_KEY_RETIRED ? ARIL_OK : opened;
        atomic_fetch_add(&s->published[0], 1);
    }
    team_demand(sealed == ARIL_E_KEY_CLOSED || sealed == ARIL_E_EXPIRED, "another end for sealing");
    team_demand(opened == ARIL_E_KEY_CLOSED || opened == ARIL_E_EXPIRED, "another end for opening");
    atomic_fetch_add(&s->refused[sealed == ARIL_E_EXPIRED], 1);
}

static void wait_for_use(struct stage *s, unsigned uses)
{
    while (atomic_load(&s->published[0]) < uses && !team_failed()) {
        sched_yield();
    }
}

static void close_both(void *arg, unsigned number)
{
    struct stage *s = arg;
    (void)number;
    wait_for_use(s, 400);
    pair_done(&s->pair);
}

static void expire(void *arg, unsigned number)
{
    struct stage *s = arg;
    (void)number;
    for (unsigned i = 1; i <= 10; i++) {
        wait_for_use(s, 40 * i);
        fake_clock_add_s(&s->world.clock, 1);
    }
}

static void demand_end(void (*end)(void *arg, unsigned number), unsigned expired)
{
    for (unsigned round = 0; round < 5; round++) {
        static struct stage s;
        const aril_policy policy = { .rotate_records = 16, .rotate_after_s = 1, .ttl_s = 10 };
        stage_init(&s, &policy, ARIL_KV_REPEATABLE);
        const struct team_role roles[] = { { "user", use_until_the_end, 8 }, { "end", end, 1 } };
        team_run(roles, COUNT(roles), &s);
        assert_int_equal(atomic_load(&s.refused[0]), 8 - expired);
        assert_int_equal(atomic_load(&s.refused[1]), expired);
        for (unsigned i = 0; i < 2 && expired > 0; i++) {
            aril_session_info info; /* looking is enough to end a session that is over */
            assert_status(aril_session_get_info(i == 0 ? s.pair.tenant : s.pair.server, &info),
                          ARIL_OK);
        }
        assert_int_equal(world_events(&s.world, ARIL_EVENT_CLOSE), 2);
        /* Each epoch that began was wiped: the first two of each end and those rotated to. */
        assert_int_equal(world_events(&s.world, ARIL_EVENT_RETIRE),
                         4 + world_events(&s.world, ARIL_EVENT_ROTATE));
        stage_done(&s);
    }
}

static void closing_under_use_ends_every_thread_with_closed(void **state)
{
    (void)state;
    demand_end(close_both, 0);
}

static void time_running_out_under_use_ends_every_thread_with_expired(void **state)
{
    (void)state;
    demand_end(expire, 8);
}

/* --- A pool -------------------------------------------------------------------------- */

#define POOL_ITEMS  16u
#define BLOCK_BYTES 65536u /* so that a batch is worth cutting */
#define POOL_ROUNDS 6u

struct pooled {
    struct world world;
    struct pair pair;
    aril_kv *kv;
};

static void batches(void *arg, unsigned number)
{
    struct pooled *p = arg;
    uint8_t *plain = malloc((size_t)POOL_ITEMS * BLOCK_BYTES);
    uint8_t *body = malloc((size_t)POOL_ITEMS * BLOCK_BYTES);
    for (unsigned round = 0; round < POOL_ROUNDS && plain != NULL && body != NULL; round++) {
        uint8_t seals[POOL_ITEMS][ARIL_SEAL_BYTES];
        aril_kv_block blocks[POOL_ITEMS];
        aril_span spans[POOL_ITEMS];
        aril_kv_item items[POOL_ITEMS];
        for (unsigned i = 0; i < POOL_ITEMS; i++) {
            const size_t at = (size_t)i * BLOCK_BYTES;
            blocks[i] = chain_block((number * POOL_ROUNDS + round) * POOL_ITEMS + i);
            fill_pattern(plain + at, BLOCK_BYTES, number + round + i);
            spans[i] = (aril_span){ plain + at, BLOCK_BYTES };
            items[i] = (aril_kv_item){ .block = &blocks[i],
                                       .spans = &spans[i],
                                       .span_count = 1,
                                       .body = body + at,
                                       .body_len = BLOCK_BYTES,
                                       .seal = seals[i] };
        }
        team_demand(aril_kv_seal_batch(p->kv, items, POOL_ITEMS, NULL) == ARIL_OK, "seal");
        body[round * BLOCK_BYTES] ^= 1; /* one of them is changed */
        memset(plain, 0, (size_t)POOL_ITEMS * BLOCK_BYTES);
        size_t failed = 0;
        team_demand(aril_kv_open_batch(p->kv, items, POOL_ITEMS, &failed) == ARIL_E_BATCH, "open");
        team_demand(failed == 1 && items[round].status == ARIL_E_AUTH, "another item failed");
        for (unsigned i = 0; i < POOL_ITEMS; i++) {
            const uint8_t *out = plain + (size_t)i * BLOCK_BYTES;
            team_demand(i == round ? is_filled(out, BLOCK_BYTES, 0)
                                   : is_pattern(out, BLOCK_BYTES, number + round + i),
                        "another plaintext");
        }
    }
    team_demand(plain != NULL && body != NULL, "no memory");
    free(plain);
    free(body);
}

static void threads_share_a_pool(void **state)
{
    (void)state;
    static struct pooled p;
    world_init(&p.world);
    /* Batches cross epochs: each holds 24 of these blocks. */
    const aril_policy policy = { .rotate_bytes = 24 * BLOCK_BYTES, .readable_epochs = 64 };
    pair_init(&p.pair, &p.world, ARIL_PROFILE_HYBRID, TEXT("acme"), &policy);
    aril_pool *pool = NULL;
    assert_status(aril_pool_new(3, &pool), ARIL_OK);
    aril_kv_config config = view_config();
    config.executor = aril_pool_executor(pool);
    p.kv = view_new(p.pair.server, &config);
    team_run(&(struct team_role){ "caller", batches, 4 }, 1, &p);
    aril_kv_free(p.kv);
    pair_done(&p.pair);
    aril_pool_free(pool);
    world_done(&p.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_readers_rotation_and_retiring_share_a_session),
        cmocka_unit_test(each_record_opens_once_whoever_is_first),
        cmocka_unit_test(only_the_newest_record_of_a_slot_opens_whoever_sealed_it),
        cmocka_unit_test(closing_under_use_ends_every_thread_with_closed),
        cmocka_unit_test(time_running_out_under_use_ends_every_thread_with_expired),
        cmocka_unit_test(threads_share_a_pool),
    };
    return cmocka_run_group_tests_name("session under threads", tests, NULL, NULL);
}
