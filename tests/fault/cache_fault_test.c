/* SPDX-License-Identifier: Apache-2.0 */
/* Each allocation and each primitive fails once in the calls of a cache. Demanded are the status of
 * the fault, or what the policy makes of it; no plaintext and nothing half done; no nonce used
 * twice; and a cache that goes on. */
#include "base/ensure.h"
#include "cache_fixture.h"
#include "fault_alloc.h"
#include "faulty_crypto.h"
#include "files_store.h"
#include "format/cachevalue.h"
#include "provider.h"
#include "temp_folder.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB     ((size_t)1 << 20)
#define LONG    (3 * MIB + 5)
#define MET_MAX 5000u
#define BATCH   70u /* more than one window */

enum what { ALLOC, CRYPTO, WHATS };
static const aril_status wants[WHATS] = { ARIL_E_NOMEM, ARIL_E_CRYPTO };

static struct faulty_crypto *crypto;
static struct world w;
static struct cache_home ch;
static uint8_t *long_value, *room;

/* --- Nonces ---------------------------------------------------------------------------------- */

/* Of sealed segments: id of the key, nonce of the value, nonce of the segment. */
struct use {
    uint8_t key_and_nonce[32 + ARILI_VALUE_NONCE_BYTES], nonce[12];
};
static const struct arili_crypto_ops *inner;
static struct arili_crypto_ops ops;
static struct use *uses;
static size_t use_count, use_cap;
static pthread_mutex_t use_lock = PTHREAD_MUTEX_INITIALIZER;

static void note_use(aril_bytes aad, const uint8_t nonce[12])
{
    struct use use;
    memcpy(use.key_and_nonce, aad.data + 40, sizeof use.key_and_nonce);
    memcpy(use.nonce, nonce, sizeof use.nonce);
    (void)pthread_mutex_lock(&use_lock);
    if (use_count == use_cap) {
        use_cap = use_cap == 0 ? 1024 : 2 * use_cap;
        uses = realloc(uses, use_cap * sizeof *uses);
        if (uses == NULL) {
            abort();
        }
    }
    uses[use_count++] = use;
    (void)pthread_mutex_unlock(&use_lock);
}

/* Failed calls count: what they wrote may have been seen. */
static aril_status watch_seal(struct arili_aead_ctx *ctx, const uint8_t nonce[12], aril_bytes aad,
                              const aril_bytes *spans, size_t count, uint8_t *ret_body,
                              uint8_t ret_tag[ARILI_AEAD_TAG_BYTES])
{
    if (aad.len == ARILI_VALUE_HEADER_BYTES + 32 && aad.data[0] == 0xa1 &&
        aad.data[2] == ARILI_VALUE_USE_CACHE) {
        note_use(aad, nonce);
    }
    return inner->aead_seal(ctx, nonce, aad, spans, count, ret_body, ret_tag);
}

static int compare_uses(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct use));
}

static void demand_nonces_once(void)
{
    assert_true(use_count > 0);
    qsort(uses, use_count, sizeof *uses, compare_uses);
    for (size_t i = 1; i < use_count; i++) {
        assert_int_not_equal(compare_uses(&uses[i - 1], &uses[i]), 0);
    }
    free(uses);
    uses = NULL;
    use_count = use_cap = 0;
}

/* --- The world ------------------------------------------------------------------------------- */

static void policies(aril_cache_policy ret[6])
{
    const aril_cache_failure closed = ARIL_CACHE_FAIL_CLOSED;
    ret[0] = (aril_cache_policy){ .space = TEXT("open") };
    ret[1] = (aril_cache_policy){
        .space = TEXT("closed"), .on_store_down = closed, .on_tamper = closed, .on_key_gone = closed
    };
    ret[2] = (aril_cache_policy){ .space = TEXT("padded"),
                                  .tiers = ARIL_CACHE_L2,
                                  .padding = ARIL_CACHE_PAD_PADME,
                                  .on_store_down = closed };
    ret[3] = (aril_cache_policy){ .space = TEXT("listed"), .listable = 1, .on_store_down = closed };
    ret[4] = (aril_cache_policy){ .space = TEXT("lmcache"),
                                  .tiers = ARIL_CACHE_L2,
                                  .legacy_reads = 1u << ARIL_CACHE_LMCACHE,
                                  .legacy_until_s = FAKE_UNIX_S + 1000,
                                  .on_store_down = closed };
    ret[5] = (aril_cache_policy){ .space = TEXT("writes"),
                                  .tiers = ARIL_CACHE_L2,
                                  .legacy_reads = 1u << ARIL_CACHE_LMCACHE,
                                  .legacy_until_s = FAKE_UNIX_S + 1000,
                                  .writes = ARIL_CACHE_LMCACHE,
                                  .lmcache_writes_max = 1000000,
                                  .on_store_down = closed };
}
static aril_cache_policy said[6];

static void clear_store(void)
{
    (void)tree_remove(temp_path("values"));
}

static void begin_world(void)
{
    static struct arili_crypto table;
    crypto = faulty_crypto_new(provider());
    assert_non_null(crypto);
    inner = faulty_crypto_table(crypto)->ops;
    ops = *inner;
    ops.aead_seal = watch_seal;
    table = (struct arili_crypto){ &ops, faulty_crypto_table(crypto)->provider };
    world_init_over(&w, &table);
    policies(said);
    char uri[600];
    (void)snprintf(uri, sizeof uri, "file:%s", temp_path("values"));
    cache_home_init(&ch, &w, uri, said, COUNT(said));
    long_value = malloc(LONG);
    room = malloc(LONG + 64);
    assert_true(long_value != NULL && room != NULL);
    fill_pattern(long_value, LONG, 99);
    assert_status(
        cache_put(&ch, cache_key("alice", "padded", "long"), (aril_bytes){ long_value, LONG }),
        ARIL_OK);
}

static int end_world(void **state)
{
    (void)state;
    if (crypto == NULL) {
        return 0; /* the test came to its end */
    }
    cache_home_done(&ch);
    world_done(&w);
    assert_int_equal(faulty_crypto_alive(crypto), 0);
    faulty_crypto_free(crypto);
    crypto = NULL;
    free(long_value);
    free(room);
    clear_store();
    demand_nonces_once();
    return 0;
}

static void arm(enum what what, unsigned n)
{
    if (what == ALLOC) {
        fault_alloc_arm(n);
    } else {
        faulty_crypto_arm(crypto, n, ARIL_E_CRYPTO);
    }
}

static bool disarm(enum what what)
{
    fault_alloc_disarm();
    faulty_crypto_disarm(crypto);
    return what == ALLOC ? fault_alloc_fired() : faulty_crypto_fired(crypto);
}

/* --- Calls ----------------------------------------------------------------------------------- */

/* One call under the fault. Its own outputs are checked here; a get leaves its result. */
static aril_cache_result result;

static bool was_put; /* and what */
static aril_cache_key put_key;
static aril_bytes put_value;

static aril_status put_to(const char *space, aril_bytes value, size_t tag_count)
{
    const aril_bytes tags[] = { TEXT("red"), TEXT("blue") };
    aril_cache_item item = { .key = cache_key("alice", space, "new"),
                             .value = value,
                             .tags = tags,
                             .tag_count = tag_count };
    const aril_status st = aril_cache_put(ch.cache, &item, 1, NULL);
    assert_status(item.status, st);
    was_put = st == ARIL_OK;
    put_key = item.key;
    put_value = value;
    return st;
}

static aril_status put_short(void)
{
    return put_to("closed", TEXT("new value"), 0);
}
static aril_status put_padded(void)
{
    return put_to("padded", TEXT("new value"), 0);
}
static aril_status put_tagged(void)
{
    return put_to("closed", TEXT("new value"), 2);
}
static aril_status put_long(void)
{
    return put_to("padded", (aril_bytes){ long_value, LONG }, 0);
}
static aril_status put_listed(void)
{
    return put_to("listed", TEXT("new value"), 0);
}
static aril_status put_lmcache(void)
{
    return put_to("writes", TEXT("new value"), 0);
}

/* What is there is hit; a failure leaves zeros or what was there, and no length of a buffer. */
static aril_status get_from(const char *space, const char *key, aril_bytes expected, bool allocate)
{
    memset(room, 0xa7, expected.len);
    aril_cache_item item = { .key = cache_key("alice", space, key) };
    if (!allocate) {
        item.buffer = (aril_span){ room, expected.len };
    }
    const aril_status st = aril_cache_get(ch.cache, &item, 1, NULL);
    result = item.result;
    assert_status(item.status, st);
    if (st == ARIL_OK) {
        assert_int_equal(item.result.len, expected.len);
        assert_memory_equal(item.buffer.data, expected.data, expected.len);
    } else if (allocate) {
        assert_null(item.buffer.data);
    } else {
        size_t wiped = 0;
        while (wiped < expected.len && room[wiped] == 0) {
            wiped++;
        }
        assert_true(is_filled(room + wiped, expected.len - wiped, 0xa7));
    }
    if (allocate) {
        aril_cache_value_free(&item.buffer);
    }
    return st;
}

static aril_status get_closed(void)
{
    return get_from("closed", "kept", TEXT("kept value"), false);
}
static aril_status get_open(void)
{
    return get_from("open", "kept", TEXT("kept value"), true);
}
static aril_status get_padded(void)
{
    return get_from("padded", "kept", TEXT("kept value"), false);
}
static aril_status get_long(void)
{
    return get_from("padded", "long", (aril_bytes){ long_value, LONG }, false);
}
static aril_status get_tagged(void)
{
    return get_from("closed", "tagged", TEXT("tagged value"), false);
}
static aril_status get_lmcache(void)
{
    return get_from("lmcache", "theirs", TEXT("their value"), true);
}

static aril_status many(aril_status (*call)(aril_cache *, aril_cache_item *, size_t, aril_error *),
                        bool values)
{
    static char names[BATCH][8];
    static aril_cache_item items[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        (void)snprintf(names[i], sizeof names[i], "b%zu", i);
        items[i] = (aril_cache_item){ .key = cache_key("alice", "closed", names[i]) };
        if (values) {
            items[i].value = text_bytes(names[i]);
        }
    }
    aril_status st = call(ch.cache, items, BATCH, NULL);
    aril_status worst = ARIL_OK;
    for (size_t i = 0; i < BATCH; i++) {
        if (!values && items[i].status == ARIL_OK && items[i].buffer.data != NULL) {
            assert_int_equal(items[i].result.len, strlen(names[i]));
            assert_memory_equal(items[i].buffer.data, names[i], items[i].result.len);
            aril_cache_value_free(&items[i].buffer);
        }
        assert_null(items[i].buffer.data);
        if (items[i].status != ARIL_OK && items[i].status != ARIL_E_NOT_FOUND) {
            worst = items[i].status;
        }
    }
    assert_true(st != ARIL_OK || worst == ARIL_OK);
    return st == ARIL_E_BATCH ? worst : st;
}

static aril_status put_many(void)
{
    return many(aril_cache_put, true);
}
static aril_status get_many(void)
{
    return many(aril_cache_get, false);
}
static aril_status delete_many(void)
{
    return many(aril_cache_delete, false);
}
static aril_status exists_many(void)
{
    return many(aril_cache_exists, false);
}

static aril_status open_another(void)
{
    aril_cache *cache = (aril_cache *)&ch;
    const aril_cache_config config = {
        .keyring = ch.keys.kr, .store = ch.store, .policies = said, .policy_count = COUNT(said)
    };
    const aril_status st = aril_cache_open(w.rt, &config, &cache, NULL);
    if (st == ARIL_OK) {
        aril_cache_close(cache);
    } else {
        assert_null(cache);
    }
    return st;
}

static aril_status bump(void)
{
    uint64_t generation = 0;
    const aril_status st =
        aril_cache_bump(ch.cache, TEXT("alice"), TEXT("ended"), &generation, NULL);
    assert_true((st == ARIL_OK) == (generation > 0));
    return st;
}
static aril_status flush(void)
{
    return aril_cache_flush(ch.cache, TEXT("alice"), TEXT("ended"), NULL, NULL);
}
static aril_status end_tag(void)
{
    return aril_cache_invalidate_tag(ch.cache, TEXT("alice"), TEXT("ended"), TEXT("red"), NULL);
}

static int look_at_name(void *user, const aril_cache_key *key, aril_bytes name)
{
    unsigned *seen = user;
    (void)name;
    *seen += key != NULL;
    return 0;
}
static aril_status list(void)
{
    unsigned seen = 0;
    const aril_status st =
        aril_cache_list(ch.cache, TEXT("alice"), TEXT("listed"), look_at_name, &seen, NULL);
    assert_true(st != ARIL_OK || seen == 1);
    return st;
}

static aril_status compute_new(void *user, const aril_cache_key *key, aril_bytes *ret)
{
    unsigned *calls = user;
    (void)key;
    ++*calls;
    *ret = TEXT("computed");
    return ARIL_OK;
}
static aril_status get_or_compute(void)
{
    unsigned calls = 0;
    const aril_cache_compute with = { .user = &calls, .compute = compute_new, .lock_ms = 20 };
    aril_cache_item item = { .key = cache_key("alice", "closed", "computed") };
    const aril_status st = aril_cache_get_or_compute(ch.cache, &item, &with, NULL);
    assert_status(item.status, st);
    assert_true(calls <= 1);
    if (st == ARIL_OK) {
        assert_int_equal(item.result.len, 8);
        assert_memory_equal(item.buffer.data, "computed", 8);
    } else {
        assert_null(item.buffer.data);
    }
    aril_cache_value_free(&item.buffer);
    return st;
}

static aril_status hand_keys(void)
{
    const aril_bytes keys[] = { TEXT("0123456789abcdef0123456789abcdef"),
                                TEXT("fedcba9876543210fedcba9876543210") };
    return aril_cache_legacy_keys(ch.cache, TEXT("bob"), ARIL_CACHE_CACHEKIT_INTEROP, keys, 2,
                                  NULL);
}

static aril_status migrate(void)
{
    const aril_bytes name = TEXT("theirs");
    aril_cache_migration done;
    const aril_status st = aril_cache_migrate(ch.cache, TEXT("alice"), TEXT("lmcache"), &name, 1,
                                              NULL, NULL, &done, NULL);
    assert_true(st != ARIL_OK || done.seen == 1); /* what could not be opened stays as it is */
    return st;
}

static aril_status share(void)
{
    uint8_t chains[3][32];
    memset(chains, 0x5a, sizeof chains);
    return aril_cache_share(ch.cache, TEXT("bob"), chains[0], 32, 3, NULL);
}

static aril_status tell_name(void)
{
    char text[ARIL_CACHE_NAME_BYTES_MAX];
    size_t len = 0;
    const aril_cache_key key = cache_key("alice", "fresh", "key");
    const aril_status st = aril_cache_name(ch.cache, &key, text, sizeof text, &len, NULL);
    assert_true((st == ARIL_OK) == (len > 0));
    return st;
}
static aril_status tell_prefix(void)
{
    char text[ARIL_CACHE_NAME_BYTES_MAX];
    size_t len = 0;
    const aril_bytes space = TEXT("fresh");
    const aril_status st =
        aril_cache_prefix(ch.cache, TEXT("alice"), &space, text, sizeof text, &len, NULL);
    assert_true((st == ARIL_OK) == (len > 0));
    return st;
}
static aril_status tell_block(void)
{
    uint8_t key[ARIL_CACHE_BLOCK_KEY_BYTES];
    const aril_cache_block block = { .model = TEXT("m"),
                                     .layer_count = 1,
                                     .chain = TEXT("0123456789abcdef") };
    memset(key, 0xa7, sizeof key);
    const aril_status st = aril_cache_block_name(ch.cache, &block, key);
    assert_true(st == ARIL_OK || is_filled(key, sizeof key, 0xa7) || is_filled(key, sizeof key, 0));
    return st;
}
static aril_status tell_salt(void)
{
    char salt[ARIL_CACHE_SALT_TEXT];
    memset(salt, 0, sizeof salt);
    const aril_status st = aril_cache_salt(ch.cache, TEXT("alice"), TEXT("d"), salt, NULL);
    assert_true((st == ARIL_OK) == (salt[0] != '\0'));
    return st;
}
static aril_status tell_stats(void)
{
    aril_cache_stats stats;
    return aril_cache_get_stats(ch.cache, &stats);
}

/* --- The sweep ------------------------------------------------------------------------------- */

/* How a fault may show. */
enum shows {
    EXACTLY,  /* as its status */
    OR_NOT,   /* or not at all: what failed was not needed */
    AS_A_MISS /* or as ARIL_E_NOT_FOUND, with its status in the result */
};
struct call {
    const char *name;
    aril_status (*run)(void);
    enum shows shows;
    bool warm; /* L1 has the values, and the keyring its keys */
};

static void prepare(bool warm)
{
    const aril_bytes red = TEXT("red");
    const aril_bytes master = TEXT("master key of LMCache, as long as it is");
    aril_cache_close(ch.cache);
    ch.cache = NULL;
    if (!warm) {
        home_reopen(&ch.keys); /* its keys have to be unwrapped */
    }
    cache_home_reopen(&ch);
    assert_status(
        aril_cache_legacy_keys(ch.cache, TEXT("alice"), ARIL_CACHE_LMCACHE, &master, 1, NULL),
        ARIL_OK);
    for (size_t i = 0; i < 4; i++) {
        aril_cache_key key = cache_key("alice", "", "kept");
        key.space = said[i].space;
        assert_status(cache_put(&ch, key, TEXT("kept value")), ARIL_OK);
        aril_cache_item gone = { .key = cache_key("alice", "", "new") };
        gone.key.space = said[i].space;
        arili_forgive(aril_cache_delete(ch.cache, &gone, 1, NULL));
    }
    aril_cache_item tagged = { .key = cache_key("alice", "closed", "tagged"),
                               .value = TEXT("tagged value"),
                               .tags = &red,
                               .tag_count = 1 };
    assert_status(aril_cache_put(ch.cache, &tagged, 1, NULL), ARIL_OK);
    aril_cache_item computed = { .key = cache_key("alice", "closed", "computed") };
    arili_forgive(aril_cache_delete(ch.cache, &computed, 1, NULL));
    assert_status(cache_put(&ch, cache_key("alice", "writes", "theirs"), TEXT("their value")),
                  ARIL_OK);
    aril_cache_item theirs = { .key = cache_key("alice", "lmcache", "theirs") };
    const aril_bytes name = cache_name(&ch, theirs.key);
    aril_store_item native = { .name = name };
    arili_forgive(aril_store_delete(ch.store, &native, 1, NULL));
    if (!warm) {
        aril_cache_close(ch.cache);
        ch.cache = NULL;
        home_reopen(&ch.keys);
        cache_home_reopen(&ch);
        assert_status(
            aril_cache_legacy_keys(ch.cache, TEXT("alice"), ARIL_CACHE_LMCACHE, &master, 1, NULL),
            ARIL_OK);
    }
}

static const char *fault_of(enum what what)
{
    return what == CRYPTO ? faulty_crypto_last(crypto) : "allocation";
}

static unsigned wrong; /* all are told before the test fails */

static void demand_status(const struct call *call, enum what what, unsigned n, aril_status st)
{
    const bool exact = st == wants[what];
    const bool miss = call->shows == AS_A_MISS && st == ARIL_E_NOT_FOUND &&
                      result.status == wants[what] && result.outcome == ARIL_CACHE_DOWN;
    const bool none = call->shows != EXACTLY && st == ARIL_OK;
    if (!exact && !miss && !none) {
        wrong++;
        print_error("%s%s, %s number %u: %s (%s, %s)\n", call->name, call->warm ? "" : ", cold",
                    fault_of(what), n, aril_status_name(st), aril_status_name(result.status),
                    aril_cache_outcome_name(result.outcome));
    }
}

/* What was there is there, and the call works now. */
static void demand_state(const struct call *call)
{
    if (was_put) {
        assert_status(cache_get(&ch, put_key, put_value, NULL), ARIL_OK);
    }
    for (size_t i = 0; i < 4; i++) {
        aril_cache_key key = cache_key("alice", "", "kept");
        key.space = said[i].space;
        assert_status(cache_get(&ch, key, TEXT("kept value"), NULL), ARIL_OK);
    }
    const aril_status st = call->run();
    if (st != ARIL_OK && st != ARIL_E_NOT_FOUND) {
        fail_msg("%s after a fault: %s", call->name, aril_status_name(st));
    }
}

static void sweep(const struct call *call, enum what what)
{
    for (unsigned n = 1;; n++) {
        assert_true(n < MET_MAX);
        prepare(call->warm);
        result = (aril_cache_result){ .status = ARIL_OK };
        was_put = false;
        arm(what, n);
        const aril_status st = call->run();
        if (!disarm(what)) {
            if (st != ARIL_OK && st != ARIL_E_NOT_FOUND) {
                fail_msg("%s: %s", call->name, aril_status_name(st));
            }
            break;
        }
        demand_status(call, what, n, st);
        demand_state(call);
    }
}

static void run_calls(const struct call *calls, size_t count)
{
    begin_world();
    wrong = 0;
    for (size_t i = 0; i < count; i++) {
        for (int what = 0; what < WHATS; what++) {
            for (int warm = 0; warm < 2; warm++) {
                struct call call = calls[i];
                call.warm = warm != 0;
                sweep(&call, (enum what)what);
            }
        }
    }
    (void)end_world(NULL);
    assert_int_equal(wrong, 0);
}

static void puts_survive_every_fault(void **state)
{
    (void)state;
    static const struct call calls[] = {
        { .name = "put", .run = put_short, .shows = OR_NOT },
        { .name = "put padded", .run = put_padded, .shows = OR_NOT },
        { .name = "put tagged", .run = put_tagged, .shows = OR_NOT },
        { .name = "put long", .run = put_long, .shows = OR_NOT },
        { .name = "put listed", .run = put_listed, .shows = OR_NOT },
        { .name = "put LMCache", .run = put_lmcache, .shows = OR_NOT },
    };
    run_calls(calls, COUNT(calls));
}

static void gets_survive_every_fault(void **state)
{
    (void)state;
    static const struct call calls[] = {
        { .name = "get closed", .run = get_closed, .shows = OR_NOT },
        { .name = "get open", .run = get_open, .shows = AS_A_MISS },
        { .name = "get padded", .run = get_padded, .shows = OR_NOT },
        { .name = "get long", .run = get_long, .shows = OR_NOT },
        { .name = "get tagged", .run = get_tagged, .shows = OR_NOT },
        { .name = "get LMCache", .run = get_lmcache, .shows = OR_NOT },
    };
    run_calls(calls, COUNT(calls));
}

static void batches_survive_every_fault(void **state)
{
    (void)state;
    static const struct call calls[] = {
        { .name = "put many", .run = put_many, .shows = OR_NOT },
        { .name = "get many", .run = get_many, .shows = OR_NOT },
        { .name = "exists many", .run = exists_many, .shows = OR_NOT },
        { .name = "delete many", .run = delete_many, .shows = OR_NOT },
    };
    run_calls(calls, COUNT(calls));
}

static void everything_else_survives_every_fault(void **state)
{
    (void)state;
    static const struct call calls[] = {
        { .name = "open", .run = open_another, .shows = EXACTLY },
        { .name = "bump", .run = bump, .shows = OR_NOT },
        { .name = "flush", .run = flush, .shows = OR_NOT },
        { .name = "end a tag", .run = end_tag, .shows = OR_NOT },
        { .name = "list", .run = list, .shows = OR_NOT },
        { .name = "get or compute", .run = get_or_compute, .shows = OR_NOT },
        { .name = "hand in keys", .run = hand_keys, .shows = EXACTLY },
        { .name = "migrate", .run = migrate, .shows = OR_NOT },
        { .name = "share", .run = share, .shows = OR_NOT },
        { .name = "name", .run = tell_name, .shows = OR_NOT },
        { .name = "prefix", .run = tell_prefix, .shows = OR_NOT },
        { .name = "block name", .run = tell_block, .shows = EXACTLY },
        { .name = "salt", .run = tell_salt, .shows = OR_NOT },
        { .name = "figures", .run = tell_stats, .shows = OR_NOT },
    };
    run_calls(calls, COUNT(calls));
}

#define TEST(test) cmocka_unit_test_teardown(test, end_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(puts_survive_every_fault),
        TEST(gets_survive_every_fault),
        TEST(batches_survive_every_fault),
        TEST(everything_else_survives_every_fault),
    };
    if (temp_folder_make_quick(NULL) != 0) {
        return 1;
    }
    const int failed =
        cmocka_run_group_tests_name("cache faults", tests, provider_setup, provider_teardown);
    return failed + (temp_folder_remove(NULL) != 0);
}
