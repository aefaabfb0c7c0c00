/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_fixture.h"
#include "faulty_cache_store.h"
#include "temp_folder.h"
#include "cache/stores/store.h"
#include "format/cachevalue.h"
#include <stdlib.h>
#include <string.h>

/* How reads end: in pieces, by policy, and in the figures. */

static struct world w;
static struct cache_home ch;
static struct faulty_cache_store *faulty;

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    memset(&ch, 0, sizeof ch);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    cache_home_done(&ch);
    if (faulty != NULL) {
        faulty_cache_store_free(faulty);
        faulty = NULL;
    }
    world_done(&w);
    return 0;
}

static void start(const aril_cache_policy *policy)
{
    cache_home_init(&ch, &w, "memory:", policy, policy != NULL ? 1 : 0);
}

/* The cache over a store of the test's instead. */
static void drop_store(void)
{
    aril_cache_close(ch.cache);
    aril_store_close(ch.store);
    ch.cache = NULL;
    ch.store = NULL;
}

static void start_faulty(const aril_cache_policy *policy)
{
    const aril_store_config config = { .uri = "memory:", .breaker_after = 1000 };
    start(policy);
    drop_store();
    faulty = faulty_cache_store_new(&arili_cache_store_memory);
    assert_status(faulty_cache_store_open(faulty, w.rt, &config, &ch.store, &ch.error), ARIL_OK);
    cache_home_reopen(&ch);
}

/* --- In pieces ----------------------------------------------------------------------------- */

static size_t step; /* bytes of a piece */

static uint8_t *give_room(void *user, size_t len)
{
    (void)user;
    return malloc(len > 0 ? len : 1);
}

static void hand_over(aril_store_item *item, const aril_store_item *whole)
{
    int rest = 0;
    size_t at = 0;
    do {
        const size_t len = whole->len - at < step ? whole->len - at : step;
        rest = item->take(item->user, whole->len, at, (aril_bytes){ whole->data + at, len });
        at += len;
    } while (rest == 0 && at < whole->len);
    item->data = NULL;
    item->len = whole->len;
    item->status = rest == 0 ? ARIL_OK : ARIL_E_LIMIT;
}

/* The memory store, as one whose values come in pieces. */
static aril_status get_in_pieces(void *state, aril_store_item *items, size_t count,
                                 uint64_t deadline_ns, aril_error *error)
{
    for (size_t i = 0; i < count; i++) {
        aril_store_item whole = { .name = items[i].name, .room = give_room };
        const aril_status st = arili_cache_store_memory.get(state, &whole, 1, deadline_ns, error);
        if (st != ARIL_OK) {
            return st;
        }
        items[i].status = whole.status;
        if (whole.status == ARIL_OK && items[i].take != NULL) {
            hand_over(&items[i], &whole);
        } else if (whole.status == ARIL_OK && arili_cache_store_place(&items[i], whole.len)) {
            memcpy(items[i].data, whole.data, whole.len);
        }
        free(whole.data);
    }
    return ARIL_OK;
}

static struct arili_cache_store_ops pieces;

static void start_in_pieces(const aril_cache_policy *policy)
{
    const aril_store_config config = { .uri = "memory:" };
    start(policy);
    drop_store();
    pieces = arili_cache_store_memory;
    pieces.get = get_in_pieces;
    assert_status(arili_store_open_over(w.rt, &pieces, &config, &ch.store, &ch.error), ARIL_OK);
    cache_home_reopen(&ch);
}

#define LONG_BYTES (2 * (size_t)ARILI_VALUE_SEGMENT_BYTES + 100)

static aril_bytes long_value(void)
{
    static uint8_t bytes[LONG_BYTES];
    fill_pattern(bytes, sizeof bytes, 3);
    return (aril_bytes){ bytes, sizeof bytes };
}

static void values_in_pieces_of_any_size_are_hits(void **state)
{
    (void)state;
    static const size_t steps[] = { 7, 95, 96, 97, 4096, 1 << 20, 4 << 20 };
    const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2 };
    start_in_pieces(&policy);
    const aril_bytes tags[] = { TEXT("red") };
    const aril_cache_key key = cache_key("alice", "s", "k");
    aril_cache_item tagged = { .key = cache_key("alice", "s", "tagged"),
                               .value = TEXT("with a trailer"),
                               .tags = tags,
                               .tag_count = 1 };
    step = LONG_BYTES;
    assert_status(cache_put(&ch, key, long_value()), ARIL_OK);
    assert_status(aril_cache_put(ch.cache, &tagged, 1, &ch.error), ARIL_OK);
    for (size_t i = 0; i < COUNT(steps); i++) {
        step = steps[i];
        assert_status(cache_get(&ch, key, long_value(), NULL), ARIL_OK);
        assert_status(cache_get(&ch, tagged.key, tagged.value, NULL), ARIL_OK);
    }
}

/* cache_get() looks at the buffer: what came before the wrong tag was plaintext there. */
static void a_wrong_last_tag_leaves_nothing_in_the_buffer(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2 };
    start_in_pieces(&policy);
    const aril_cache_key key = cache_key("alice", "s", "k");
    aril_cache_result result;
    step = 4096;
    assert_status(cache_put(&ch, key, long_value()), ARIL_OK);
    const aril_span stored = cache_stored(&ch, cache_name(&ch, key));
    for (size_t cut = 0; cut < 2; cut++) {
        stored.data[stored.len - 1] ^= 1;
        cache_store_put(&ch, cache_name(&ch, key), (aril_bytes){ stored.data, stored.len });
        assert_status(cache_get(&ch, key, long_value(), &result), ARIL_E_NOT_FOUND);
        assert_status(result.status, ARIL_E_AUTH);
        stored.data[stored.len - 1] ^= 1;
        stored.data[ARILI_VALUE_HEADER_BYTES + ARILI_VALUE_SEGMENT_BYTES] ^= 1;
    }
    aril_cache_item item = { .key = key };
    assert_status(aril_cache_get(ch.cache, &item, 1, NULL), ARIL_E_NOT_FOUND);
    assert_null(item.buffer.data);
    free(stored.data);
}

/* --- By policy ----------------------------------------------------------------------------- */

#define CLOSED                                                                    \
    .on_store_down = ARIL_CACHE_FAIL_CLOSED, .on_tamper = ARIL_CACHE_FAIL_CLOSED, \
    .on_key_gone = ARIL_CACHE_FAIL_CLOSED

static void a_store_that_is_down_is_said_where_it_fails_closed(void **state)
{
    (void)state;
    for (int closed = 0; closed < 2; closed++) {
        const aril_cache_policy policies[] = { { .tiers = ARIL_CACHE_L2 },
                                               { .tiers = ARIL_CACHE_L2, CLOSED } };
        aril_cache_result result;
        start_faulty(&policies[closed]);
        faulty_cache_store_arm_all(faulty, 1, ARIL_E_TIMEOUT);
        assert_status(cache_get(&ch, cache_key("alice", "s", "k"), TEXT("?"), &result),
                      closed ? ARIL_E_TIMEOUT : ARIL_E_NOT_FOUND);
        assert_int_equal(result.outcome, ARIL_CACHE_DOWN);
        assert_status(result.status, ARIL_E_TIMEOUT);
        teardown(NULL);
        setup(NULL);
    }
    start(NULL);
}

static void keys_that_are_gone_are_said_where_it_fails_closed(void **state)
{
    (void)state;
    const aril_cache_policy policy = { CLOSED };
    start(&policy);
    aril_shred_info info;
    aril_cache_result result;
    const aril_cache_key key = cache_key("alice", "s", "k");
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
    assert_status(aril_keyring_lock(ch.keys.kr, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_E_KEY_LOCKED);
    assert_int_equal(result.outcome, ARIL_CACHE_DOWN);
    assert_status(aril_keyring_unlock(ch.keys.kr, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_OK);
    assert_status(aril_keyring_shred(ch.keys.kr, TEXT("alice"), 0, &info, &ch.error), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status(cache_get(&ch, key, TEXT("value"), &result), ARIL_E_KEY_DESTROYED);
    assert_int_equal(result.outcome, ARIL_CACHE_KEY_GONE);
}

static aril_bytes evidence;
static unsigned evidence_calls;
static void note_evidence(void *user, const aril_cache_key *key, aril_bytes name, aril_bytes value,
                          aril_status why)
{
    const aril_bytes *stored = user;
    evidence_calls++;
    assert_int_equal(key->key.len, 1);
    assert_true(name.len > 3);
    assert_status(why, ARIL_E_AUTH);
    assert_int_equal(value.len, stored->len);
    assert_memory_equal(value.data, stored->data, value.len);
}

static void evidence_is_the_whole_value_where_the_policy_wants_it(void **state)
{
    (void)state;
    for (int wanted = 0; wanted < 2; wanted++) {
        const aril_cache_policy policy = { .tiers = ARIL_CACHE_L2, .evidence = wanted };
        start_in_pieces(&policy);
        ch.config.evidence = note_evidence;
        ch.config.user = &evidence;
        cache_home_reopen(&ch);
        const aril_cache_key key = cache_key("alice", "s", "k");
        step = 50;
        evidence_calls = 0;
        assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
        const aril_span stored = cache_stored(&ch, cache_name(&ch, key));
        stored.data[stored.len - 1] ^= 1;
        evidence = (aril_bytes){ stored.data, stored.len };
        cache_store_put(&ch, cache_name(&ch, key), evidence);
        assert_status(cache_get(&ch, key, TEXT("value"), NULL), ARIL_E_NOT_FOUND);
        assert_int_equal(evidence_calls, wanted);
        free(stored.data);
        teardown(NULL);
        setup(NULL);
    }
    start(NULL);
}

/* --- L1 ------------------------------------------------------------------------------------ */

static void what_l1_does_not_keep_comes_from_the_store(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .l1_value_max = 5 };
    start(&policy);
    aril_cache_result result;
    assert_status(cache_put(&ch, cache_key("alice", "s", "a"), TEXT("12345")), ARIL_OK);
    assert_status(cache_put(&ch, cache_key("alice", "s", "b"), TEXT("123456")), ARIL_OK);
    for (int i = 0; i < 2; i++) {
        assert_status(cache_get(&ch, cache_key("alice", "s", "a"), TEXT("12345"), &result),
                      ARIL_OK);
        assert_int_equal(result.tier, ARIL_CACHE_L1);
        assert_status(cache_get(&ch, cache_key("alice", "s", "b"), TEXT("123456"), &result),
                      ARIL_OK);
        assert_int_equal(result.tier, ARIL_CACHE_L2);
    }
}

static void a_hit_in_l1_says_that_its_key_is_old(void **state)
{
    (void)state;
    start(NULL);
    aril_cache_result result;
    aril_cache_stats stats;
    const aril_cache_key key = cache_key("alice", "s", "k");
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
    assert_status(home_rotate(&ch.keys, slot_of(ARIL_KEY_DATA, "alice", NULL)), ARIL_OK);
    for (unsigned i = 1; i <= 2; i++) {
        assert_status(i == 1 ? cache_get_l2(&ch, key, TEXT("value"), &result)
                             : cache_get(&ch, key, TEXT("value"), &result),
                      ARIL_OK);
        assert_int_equal(result.tier, i == 1 ? ARIL_CACHE_L2 : ARIL_CACHE_L1);
        assert_true(result.old_key);
        assert_status(aril_cache_get_stats(ch.cache, &stats), ARIL_OK);
        assert_int_equal(stats.hits_old_key, i);
    }
}

static void without_a_store_a_value_lives_as_long_as_it_is_said(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .tiers = ARIL_CACHE_L1, .ttl_ms = 3600000 };
    start(&policy);
    aril_cache_stats stats;
    const aril_cache_key key = cache_key("alice", "s", "k");
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
    fake_clock_add_s(&w.clock, 3599);
    assert_status(cache_get(&ch, key, TEXT("value"), NULL), ARIL_OK);
    fake_clock_add_s(&w.clock, 3);
    assert_status(cache_get(&ch, key, TEXT("value"), NULL), ARIL_E_NOT_FOUND);
    assert_int_equal(cache_store_count(&ch), 0);
    assert_status(aril_cache_get_stats(ch.cache, &stats), ARIL_OK);
    assert_int_equal(stats.puts, 1);
    assert_int_equal(stats.bytes_sealed, 0); /* none went to a store */
}

static void a_buffer_that_is_not_there_has_no_length(void **state)
{
    (void)state;
    start(NULL);
    const aril_cache_key key = cache_key("alice", "s", "k");
    assert_status(cache_put(&ch, key, TEXT("value")), ARIL_OK);
    aril_cache_item item = { .key = key, .buffer = { NULL, 100 } };
    assert_status(aril_cache_get(ch.cache, &item, 1, NULL), ARIL_OK);
    assert_int_equal(item.result.tier, ARIL_CACHE_L1);
    assert_int_equal(item.buffer.len, 5);
    aril_cache_value_free(&item.buffer);
}

/* --- Figures ------------------------------------------------------------------------------- */

static void a_batch_counts_as_its_items_do_alone(void **state)
{
    (void)state;
    const aril_cache_policy policy = { .space = TEXT("s") };
    aril_cache_stats stats[2];
    for (int batch = 0; batch < 2; batch++) {
        start(&policy);
        assert_status(cache_put(&ch, cache_key("alice", "s", "hit"), TEXT("value")), ARIL_OK);
        assert_status(cache_put(&ch, cache_key("alice", "s", "bad"), TEXT("value")), ARIL_OK);
        cache_store_put(&ch, cache_name(&ch, cache_key("alice", "s", "bad")), TEXT("else"));
        cache_home_reopen(&ch);
        aril_cache_item items[] = { { .key = cache_key("alice", "s", "hit") },
                                    { .key = cache_key("alice", "s", "hit") },
                                    { .key = cache_key("alice", "s", "miss") },
                                    { .key = cache_key("alice", "s", "bad") },
                                    { .key = cache_key("carol", "s", "no tenant") },
                                    { .key = cache_key("alice", "s", "") },
                                    { .key = cache_key("alice", "s", "no space") } };
        items[6].key.space = (aril_bytes){ NULL, 1 };
        for (size_t i = 0; i < (batch ? 1 : COUNT(items)); i++) {
            const aril_status st =
                aril_cache_get(ch.cache, items + i, batch ? COUNT(items) : 1, NULL);
            assert_status(st, batch ? ARIL_E_BATCH : items[i].status);
        }
        assert_status(items[5].status, ARIL_E_USAGE_RANGE);
        assert_status(items[6].status, ARIL_E_USAGE_NULL);
        for (size_t i = 0; i < COUNT(items); i++) {
            aril_cache_value_free(&items[i].buffer);
        }
        assert_status(aril_cache_get_stats(ch.cache, &stats[batch]), ARIL_OK);
        teardown(NULL);
        setup(NULL);
    }
    start(NULL);
    assert_memory_equal(stats[0].outcomes, stats[1].outcomes, sizeof stats[0].outcomes);
    assert_int_equal(stats[1].outcomes[ARIL_CACHE_HIT], 2);
    assert_int_equal(stats[1].outcomes[ARIL_CACHE_MISS], 1);
    assert_int_equal(stats[1].outcomes[ARIL_CACHE_TAMPERED], 1);
    assert_int_equal(stats[1].outcomes[ARIL_CACHE_KEY_GONE], 1);
    assert_int_equal(stats[1].outcomes[ARIL_CACHE_DOWN], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_in_pieces_of_any_size_are_hits),
        TEST(a_wrong_last_tag_leaves_nothing_in_the_buffer),
        TEST(a_store_that_is_down_is_said_where_it_fails_closed),
        TEST(keys_that_are_gone_are_said_where_it_fails_closed),
        TEST(evidence_is_the_whole_value_where_the_policy_wants_it),
        TEST(what_l1_does_not_keep_comes_from_the_store),
        TEST(a_hit_in_l1_says_that_its_key_is_old),
        TEST(without_a_store_a_value_lives_as_long_as_it_is_said),
        TEST(a_buffer_that_is_not_there_has_no_length),
        TEST(a_batch_counts_as_its_items_do_alone),
    };
    return cmocka_run_group_tests_name("reading", tests, temp_folder_make, temp_folder_remove);
}
