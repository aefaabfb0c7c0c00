/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/stores/files_internal.h"
#include "files_store.h"
#include "fixture.h"
#include "temp_folder.h"
#include <pthread.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The store file:FOLDER: names, values, times, room. What crashes and others do to its files is in
 * files_damage_test.c. */

static struct world w;
static struct raw_store s;
static char folder[256];

static int set_up(void **state)
{
    (void)state;
    world_init(&w);
    (void)snprintf(folder, sizeof folder, "%s", temp_path("cache"));
    return raw_open(&s, &arili_cache_store_files, w.rt, NULL, "file", folder) == ARIL_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    raw_close(&s);
    world_done(&w);
    return tree_remove(folder) ? 0 : -1;
}

static void reopen(const aril_store_config *config)
{
    raw_close(&s);
    assert_status(raw_open(&s, &arili_cache_store_files, w.rt, config, "file", folder), ARIL_OK);
}

/* --- Names --- */

/* From the list of test vectors of the FNV authors. */
static void the_hash_is_fnv_1a(void **state)
{
    (void)state;
    assert_true(arili_files_hash(TEXT("")) == UINT64_C(0xcbf29ce484222325));
    assert_true(arili_files_hash(TEXT("a")) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(arili_files_hash(TEXT("foobar")) == UINT64_C(0x85944171f73967e8));
}

static void assert_file(aril_bytes name, const char *file)
{
    struct arili_files_place place;
    arili_files_place_of(name, &place);
    assert_string_equal(place.file, file);
    assert_string_equal(place.path + 6, file);
    assert_true(place.leaf < ARILI_FILES_LEAVES);
}

static void a_name_tells_its_file(void **state)
{
    (void)state;
    assert_file(TEXT("aril:{t1}-x_9.v"), "aril:{t1}-x_9.v");
    assert_file(TEXT("."), "%2E");
    assert_file(TEXT(".."), "%2E.");
    assert_file(TEXT("a/b"), "a%2Fb");
    assert_file(TEXT("%2E"), "%252E");
    assert_file(TEXT("~"), "%7E");
    assert_file(((aril_bytes){ (const uint8_t *)"\0\377", 2 }), "%00%FF");
    uint8_t long_name[201];
    memset(long_name, 'x', sizeof long_name);
    struct arili_files_place place;
    arili_files_place_of((aril_bytes){ long_name, 200 }, &place);
    assert_int_equal(strlen(place.file), 200);
    assert_int_equal(place.file[0], 'x');
    arili_files_place_of((aril_bytes){ long_name, 201 }, &place);
    assert_int_equal(strlen(place.file), 34);
    assert_memory_equal(place.file, "%~", 2);
}

static const char *const odd_names[] = { "a",   "A",      ".",   "..",  "a/b", "a%2Fb", ".tmp-1",
                                         "%2E", ".locks", "\n",  " ",   "~",   "../a",  "%~00",
                                         "ab",  "a:b",    "{a}", "a\\", "00",  "00/00" };

static void every_name_has_its_own_value(void **state)
{
    (void)state;
    uint8_t long_name[ARIL_STORE_NAME_BYTES_MAX];
    memset(long_name, 'y', sizeof long_name);
    for (size_t i = 0; i < COUNT(odd_names); i++) {
        assert_status(raw_put(&s, text_bytes(odd_names[i]), text_bytes(odd_names[i]), 0), ARIL_OK);
    }
    for (size_t len = 190; len <= sizeof long_name; len += 37) {
        const aril_bytes name = { long_name, len };
        assert_status(raw_put(&s, name, name, 0), ARIL_OK);
    }
    for (size_t len = 190; len <= sizeof long_name; len += 37) {
        const aril_bytes name = { long_name, len };
        assert_true(raw_has(&s, name, name));
    }
    for (size_t i = 0; i < COUNT(odd_names); i++) {
        assert_true(raw_has(&s, text_bytes(odd_names[i]), text_bytes(odd_names[i])));
    }
    assert_status(raw_get(&s, TEXT("b"), (aril_span){ NULL, 0 }, NULL), ARIL_E_NOT_FOUND);
}

static void a_deleted_name_has_none(void **state)
{
    (void)state;
    assert_status(raw_erase(&s, TEXT("a")), ARIL_E_NOT_FOUND);
    assert_status(raw_put(&s, TEXT("a"), TEXT("1"), 0), ARIL_OK);
    assert_status(raw_exists(&s, TEXT("a")), ARIL_OK);
    assert_status(raw_erase(&s, TEXT("a")), ARIL_OK);
    assert_status(raw_exists(&s, TEXT("a")), ARIL_E_NOT_FOUND);
    assert_status(raw_erase(&s, TEXT("a")), ARIL_E_NOT_FOUND);
}

/* --- Values --- */

static uint8_t *give_room(void *user, size_t len)
{
    struct guarded *g = user;
    guarded_init(g, len);
    return g->data;
}

static uint8_t *give_none(void *user, size_t len)
{
    *(size_t *)user = len;
    return NULL;
}

static void a_value_goes_to_the_buffer_or_the_room(void **state)
{
    (void)state;
    assert_status(raw_put(&s, TEXT("a"), TEXT("hello"), 0), ARIL_OK);
    uint8_t buffer[5] = { 0 };
    size_t len = 0;
    assert_status(raw_get(&s, TEXT("a"), (aril_span){ buffer, 5 }, &len), ARIL_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(buffer, "hello", 5);
    memset(buffer, GUARD_FILLER, sizeof buffer);
    assert_status(raw_get(&s, TEXT("a"), (aril_span){ buffer, 4 }, &len), ARIL_E_USAGE_TOO_SMALL);
    assert_int_equal(len, 5);
    assert_true(is_filled(buffer, sizeof buffer, GUARD_FILLER));

    struct guarded g = { 0 };
    aril_store_item item = {
        .name = TEXT("a"), .buffer = { buffer, 4 }, .room = give_room, .user = &g
    };
    assert_status(raw_get_item(&s, &item), ARIL_OK);
    assert_ptr_equal(item.data, g.data);
    assert_memory_equal(item.data, "hello", 5);
    guarded_check(&g);
    guarded_done(&g);

    item = (aril_store_item){ .name = TEXT("a"), .room = give_none, .user = &len };
    len = 0;
    assert_status(raw_get_item(&s, &item), ARIL_E_LIMIT);
    assert_int_equal(len, 5);
    assert_null(item.data);
}

/* Puts the pattern in parts of each length, and reads it back to an aligned address and another. */
static void try_value(size_t len, size_t part, size_t shift)
{
    static aril_bytes parts[5000];
    uint8_t *value = aligned_alloc(4096, (len / 4096 + 2) * 4096);
    assert_non_null(value);
    fill_pattern(value + shift, len, len);
    size_t count = 0;
    for (size_t at = 0; at < len; at += part) {
        parts[count++] = (aril_bytes){ value + shift + at, len - at < part ? len - at : part };
        parts[count++] = (aril_bytes){ NULL, 0 };
    }
    aril_store_item item = { .name = TEXT("v"), .parts = parts, .part_count = count };
    assert_status(raw_put_item(&s, &item), ARIL_OK);
    memset(value, 0, len + shift);
    size_t got = 0;
    assert_status(raw_get(&s, TEXT("v"), (aril_span){ value + shift, len }, &got), ARIL_OK);
    assert_int_equal(got, len);
    assert_true(is_pattern(value + shift, len, len));
    free(value);
}

static void values_of_every_size_and_part_come_back(void **state)
{
    (void)state;
    const size_t mib = 1u << 20;
    const size_t lengths[] = { 0,       1,       31,          32,
                               33,      4095,    4096,        4097,
                               mib - 1, mib,     mib + 1,     2 * mib + 4095,
                               3 * mib, 5 * mib, 5 * mib + 7, 6 * mib - 4096 };
    for (int direct = 0; direct < 2; direct++) {
        reopen(&(aril_store_config){ .direct_io = direct });
        for (size_t i = 0; i < COUNT(lengths); i++) {
            try_value(lengths[i], lengths[i] + 1, 0);
            try_value(lengths[i], lengths[i] + 1, 13);
            try_value(lengths[i], lengths[i] / 70 + 1, 1);
            try_value(lengths[i], 8192 < lengths[i] / 2000 ? lengths[i] / 2000 : 8192, 0);
        }
    }
    assert_int_equal(tree_count(folder, ARILI_FILES_TEMP), 0);
}

static void a_durable_value_comes_back(void **state)
{
    (void)state;
    reopen(&(aril_store_config){ .durable = 1 });
    try_value(100, 7, 0);
    try_value((2u << 20) + 1, 1u << 20, 0);
    reopen(NULL);
    assert_status(raw_exists(&s, TEXT("v")), ARIL_OK);
}

static void the_newest_put_wins(void **state)
{
    (void)state;
    aril_bytes values[3] = { TEXT("one"), TEXT("two and more"), TEXT("3") };
    aril_store_item items[3] = { { .name = TEXT("a"), .parts = &values[0], .part_count = 1 },
                                 { .name = TEXT("b"), .parts = &values[1], .part_count = 1 },
                                 { .name = TEXT("a"), .parts = &values[2], .part_count = 1 } };
    assert_status(s.ops->put(s.state, items, 3, far_deadline(), &s.error), ARIL_OK);
    assert_true(raw_has(&s, TEXT("a"), TEXT("3")));
    assert_true(raw_has(&s, TEXT("b"), TEXT("two and more")));
    assert_int_equal(tree_count(folder, "a"), 1);
}

/* --- Time --- */

static void a_value_ends(void **state)
{
    (void)state;
    assert_status(raw_put(&s, TEXT("a"), TEXT("1"), 5000), ARIL_OK);
    assert_status(raw_put(&s, TEXT("b"), TEXT("2"), 0), ARIL_OK);
    assert_status(raw_put(&s, TEXT("c"), TEXT("3"), UINT64_MAX), ARIL_OK);
    fake_clock_add_s(&w.clock, 4);
    assert_true(raw_has(&s, TEXT("a"), TEXT("1")));
    assert_int_equal(tree_count(folder, "a"), 1);
    fake_clock_add_s(&w.clock, 1);
    assert_status(raw_exists(&s, TEXT("a")), ARIL_E_NOT_FOUND);
    assert_int_equal(tree_count(folder, "a"), 0); /* removed when it was met */
    assert_true(raw_has(&s, TEXT("b"), TEXT("2")));
    assert_true(raw_has(&s, TEXT("c"), TEXT("3")));
}

static int count_visit(void *user, aril_bytes name)
{
    (void)name;
    ++*(unsigned *)user;
    return 0;
}

static void what_has_ended_is_not_deleted_or_scanned(void **state)
{
    (void)state;
    unsigned visits = 0;
    assert_status(raw_put(&s, TEXT("a"), TEXT("1"), 1000), ARIL_OK);
    fake_clock_add_s(&w.clock, 2);
    assert_status(s.ops->scan(s.state, TEXT(""), count_visit, &visits, 60000, NULL), ARIL_OK);
    assert_int_equal(visits, 0);
    assert_status(raw_erase(&s, TEXT("a")), ARIL_E_NOT_FOUND);
    assert_int_equal(tree_count(folder, "a"), 0);
}

static void ended_values_go_as_others_are_put(void **state)
{
    (void)state;
    char name[16];
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof name, "old%u", i);
        assert_status(raw_put(&s, text_bytes(name), TEXT("1"), 1000), ARIL_OK);
    }
    fake_clock_add_s(&w.clock, 2);
    for (unsigned i = 0; i < 3000; i++) {
        assert_status(raw_put(&s, TEXT("new"), TEXT("1"), 0), ARIL_OK);
    }
    assert_int_equal(tree_count(folder, "old"), 0);
    assert_int_equal(tree_count(folder, "new"), 1);
}

static void a_call_after_its_deadline_does_nothing(void **state)
{
    (void)state;
    aril_bytes value = TEXT("1");
    aril_store_item item = { .name = TEXT("a"), .parts = &value, .part_count = 1 };
    assert_status(s.ops->put(s.state, &item, 1, 1, &s.error), ARIL_E_TIMEOUT);
    assert_non_null(strstr(s.error.message, "deadline"));
    assert_status(raw_exists(&s, TEXT("a")), ARIL_E_NOT_FOUND);
    assert_status(s.ops->get(s.state, &item, 1, 1, NULL), ARIL_E_TIMEOUT);
    assert_status(s.ops->erase(s.state, &item, 1, 1, NULL), ARIL_E_TIMEOUT);
    assert_status(s.ops->exists(s.state, &item, 1, 1, NULL), ARIL_E_TIMEOUT);
    uint64_t fence = 7;
    assert_status(arili_files_slot_take(s.state, 3, far_deadline(), NULL), ARIL_OK);
    assert_status(arili_files_slot_take(s.state, 3, 1, NULL), ARIL_E_TIMEOUT);
    arili_files_slot_give(s.state, 3);
    assert_status(s.ops->unlock(s.state, TEXT("l"), fence, far_deadline(), NULL),
                  ARIL_E_REPLAY_STALE);
}

/* --- Only when there is none --- */

static aril_status put_absent(struct raw_store *store, aril_bytes name, aril_bytes value)
{
    aril_store_item item = { .name = name, .parts = &value, .part_count = 1, .absent_only = 1 };
    const aril_status st = store->ops->put(store->state, &item, 1, far_deadline(), NULL);
    return st == ARIL_OK ? item.status : st;
}

static void absent_only_leaves_what_is_there(void **state)
{
    (void)state;
    assert_status(put_absent(&s, TEXT("a"), TEXT("1")), ARIL_OK);
    assert_status(put_absent(&s, TEXT("a"), TEXT("2")), ARIL_E_EXISTS);
    assert_true(raw_has(&s, TEXT("a"), TEXT("1")));
    assert_status(raw_put(&s, TEXT("a"), TEXT("3"), 1000), ARIL_OK);
    fake_clock_add_s(&w.clock, 1);
    assert_status(put_absent(&s, TEXT("a"), TEXT("4")), ARIL_OK);
    assert_true(raw_has(&s, TEXT("a"), TEXT("4")));
    assert_int_equal(tree_count(folder, ARILI_FILES_TEMP), 0);
}

enum { RACERS = 8, RACES = 100 };

struct racer {
    struct raw_store store;
    unsigned won[RACES];
    bool failed;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    for (unsigned i = 0; i < RACES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "race%u", i);
        const aril_status st = put_absent(&r->store, text_bytes(name), text_bytes(name));
        r->won[i] = st == ARIL_OK;
        r->failed = r->failed || (st != ARIL_OK && st != ARIL_E_EXISTS);
    }
    return NULL;
}

/* Half of the threads share a store; the others have one each, as other processes do. */
static void one_of_many_puts_when_absent(void **state)
{
    (void)state;
    static struct racer racers[RACERS];
    pthread_t threads[RACERS];
    memset(racers, 0, sizeof racers);
    for (unsigned i = 0; i < RACERS; i++) {
        racers[i].store = s;
        if (i % 2 == 0) {
            assert_status(
                raw_open(&racers[i].store, &arili_cache_store_files, w.rt, NULL, "file", folder),
                ARIL_OK);
        }
    }
    for (unsigned i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (unsigned i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_false(racers[i].failed);
    }
    for (unsigned i = 0; i < RACES; i++) {
        unsigned won = 0;
        for (unsigned k = 0; k < RACERS; k++) {
            won += racers[k].won[i];
        }
        assert_int_equal(won, 1);
    }
    for (unsigned i = 0; i < RACERS; i += 2) {
        raw_close(&racers[i].store);
    }
}

/* --- Locks --- */

static aril_status take(uint32_t ttl_ms, uint64_t *ret_fence)
{
    return s.ops->lock(s.state, TEXT("l"), ttl_ms, far_deadline(), ret_fence, NULL);
}

static aril_status give(uint64_t fence)
{
    return s.ops->unlock(s.state, TEXT("l"), fence, far_deadline(), NULL);
}

static aril_status put_guarded(uint64_t fence)
{
    aril_bytes value = TEXT("guarded");
    aril_store_item item = {
        .name = TEXT("g"), .parts = &value, .part_count = 1, .lock = TEXT("l"), .fence = fence
    };
    return raw_put_item(&s, &item);
}

static void a_lock_has_one_holder(void **state)
{
    (void)state;
    uint64_t first = 0;
    uint64_t second = 0;
    assert_status(take(5000, &first), ARIL_OK);
    assert_status(take(5000, &second), ARIL_E_EXISTS);
    assert_int_equal(second, 0);
    assert_status(give(first), ARIL_OK);
    assert_status(give(first), ARIL_E_REPLAY_STALE);
    assert_status(take(5000, &second), ARIL_OK);
    assert_true(second > first);
    assert_status(give(first), ARIL_E_REPLAY_STALE);
    fake_clock_add_s(&w.clock, 5);
    assert_status(take(5000, &first), ARIL_OK);
    assert_true(first > second);
}

static void a_guarded_put_needs_the_lock(void **state)
{
    (void)state;
    uint64_t fence = 0;
    assert_status(put_guarded(0), ARIL_E_REPLAY_STALE);
    assert_status(take(5000, &fence), ARIL_OK);
    assert_status(put_guarded(fence - 1), ARIL_E_REPLAY_STALE);
    assert_status(raw_exists(&s, TEXT("g")), ARIL_E_NOT_FOUND);
    assert_status(put_guarded(fence), ARIL_OK);
    assert_true(raw_has(&s, TEXT("g"), TEXT("guarded")));
    reopen(NULL);
    assert_status(put_guarded(fence), ARIL_OK);
    fake_clock_add_s(&w.clock, 5);
    assert_status(put_guarded(fence), ARIL_E_REPLAY_STALE);
    assert_int_equal(tree_count(folder, ARILI_FILES_TEMP), 0);
}

static void a_torn_lock_is_free_and_its_tokens_grow(void **state)
{
    (void)state;
    uint64_t fence = 0;
    uint64_t next = 0;
    char path[300];
    (void)snprintf(path, sizeof path, "%s/.locks/l", folder);
    assert_status(take(5000, &fence), ARIL_OK);
    uint8_t bytes[64];
    const size_t len = file_read(path, bytes, sizeof bytes);
    assert_int_equal(len, 32);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 1;
        (void)temp_write("cache/.locks/l", 0600, (aril_bytes){ bytes, len });
        assert_status(put_guarded(fence), ARIL_E_REPLAY_STALE);
        bytes[i] ^= 1;
    }
    fake_clock_add_s(&w.clock, 1);
    for (size_t cut = 0; cut < len; cut++) {
        (void)temp_write("cache/.locks/l", 0600, (aril_bytes){ bytes, cut });
        assert_status(put_guarded(fence), ARIL_E_REPLAY_STALE);
    }
    assert_status(take(5000, &next), ARIL_OK);
    assert_true(next > fence);
}

static void a_held_slot_makes_a_put_wait_until_its_deadline(void **state)
{
    (void)state;
    struct raw_store other;
    assert_status(raw_open(&other, &arili_cache_store_files, w.rt, NULL, "file", folder), ARIL_OK);
    struct arili_files_place place;
    arili_files_place_of(TEXT("a"), &place);
    const uint32_t slot = arili_files_stripe(place.leaf);
    assert_status(raw_put(&s, TEXT("a"), TEXT("old"), 0), ARIL_OK);
    assert_status(arili_files_slot_take(other.state, slot, far_deadline(), NULL), ARIL_OK);
    aril_bytes value = TEXT("new");
    aril_store_item item = { .name = TEXT("a"), .parts = &value, .part_count = 1 };
    const uint64_t soon = arili_files_mono_ns() + UINT64_C(20000000);
    assert_status(s.ops->put(s.state, &item, 1, soon, NULL), ARIL_E_TIMEOUT);
    assert_true(raw_has(&s, TEXT("a"), TEXT("old"))); /* readers wait for nobody */
    assert_int_equal(tree_count(folder, ARILI_FILES_TEMP), 0);
    arili_files_slot_give(other.state, slot);
    assert_status(raw_put_item(&s, &item), ARIL_OK);
    raw_close(&other);
}

/* --- Scan, stat, room --- */

struct seen {
    unsigned count, stop_at;
    unsigned of[64];
    struct raw_store *store;
};

static int note_name(void *user, aril_bytes name)
{
    struct seen *seen = user;
    seen->count++;
    for (size_t i = 0; i < COUNT(odd_names); i++) {
        const aril_bytes odd = text_bytes(odd_names[i]);
        seen->of[i] += odd.len == name.len && memcmp(odd.data, name.data, name.len) == 0;
    }
    if (seen->store != NULL) {
        (void)raw_erase(seen->store, name);
    }
    return seen->count == seen->stop_at;
}

static void scan_tells_each_name_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(odd_names); i++) {
        assert_status(raw_put(&s, text_bytes(odd_names[i]), TEXT("x"), 0), ARIL_OK);
    }
    struct seen seen = { 0 };
    assert_status(s.ops->scan(s.state, TEXT(""), note_name, &seen, 60000, NULL), ARIL_OK);
    assert_int_equal(seen.count, COUNT(odd_names));
    for (size_t i = 0; i < COUNT(odd_names); i++) {
        assert_int_equal(seen.of[i], 1);
    }
    seen = (struct seen){ 0 };
    assert_status(s.ops->scan(s.state, TEXT("a"), note_name, &seen, 60000, NULL), ARIL_OK);
    assert_int_equal(seen.count, 6);
    seen = (struct seen){ .stop_at = 3 };
    assert_status(s.ops->scan(s.state, TEXT(""), note_name, &seen, 60000, NULL), ARIL_OK);
    assert_int_equal(seen.count, 3);
    seen = (struct seen){ .store = &s };
    assert_status(s.ops->scan(s.state, TEXT(""), note_name, &seen, 60000, NULL), ARIL_OK);
    assert_int_equal(seen.count, COUNT(odd_names));
    seen = (struct seen){ 0 };
    assert_status(s.ops->scan(s.state, TEXT(""), note_name, &seen, 60000, NULL), ARIL_OK);
    assert_int_equal(seen.count, 0);
    assert_status(s.ops->scan(s.state, TEXT(""), note_name, &seen, 0, NULL), ARIL_E_TIMEOUT);
}

static void stat_tells_what_there_is(void **state)
{
    (void)state;
    struct arili_cache_store_stat stat;
    assert_status(s.ops->stat(s.state, far_deadline(), &stat, NULL), ARIL_OK);
    assert_int_equal(stat.entries, 0);
    assert_status(raw_put(&s, TEXT("a"), TEXT("12345"), 0), ARIL_OK);
    assert_status(raw_put(&s, TEXT("a"), TEXT("123"), 0), ARIL_OK);
    assert_status(s.ops->stat(s.state, far_deadline(), &stat, NULL), ARIL_OK);
    assert_int_equal(stat.entries, 1);
    assert_int_equal(stat.bytes, ARILI_FILES_HEAD_BYTES + 1 + 3);
    assert_non_null(strstr(stat.description, "files in "));
    assert_status(s.ops->stat(s.state, 1, &stat, NULL), ARIL_OK);
    assert_true(stat.entries == UINT64_MAX);
}

static void count_bytes(void *user, const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    *(uint64_t *)user += (uint64_t)info.st_size;
}

/* Whichever process and store wrote them. */
static void the_oldest_make_room(void **state)
{
    (void)state;
    static const uint8_t value[4000];
    const uint64_t max = 100 * 4096;
    char name[16];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 300; i++) {
            (void)snprintf(name, sizeof name, "v%u-%u", round, i);
            assert_status(raw_put(&s, text_bytes(name), (aril_bytes){ value, sizeof value }, 0),
                          ARIL_OK);
            assert_status(raw_exists(&s, text_bytes(name)), ARIL_OK);
        }
        uint64_t bytes = 0;
        tree_visit(folder, count_bytes, &bytes);
        assert_true(round == 0 || bytes <= max);
        assert_true(bytes > max / 2);
        reopen(&(aril_store_config){ .bytes_max = max });
    }
    aril_bytes whole = { value, sizeof value };
    reopen(&(aril_store_config){ .bytes_max = sizeof value });
    assert_status(raw_put(&s, TEXT("x"), whole, 0), ARIL_E_IO_FULL);
}

/* --- Opening --- */

static void a_folder_that_others_may_change_is_refused(void **state)
{
    (void)state;
    raw_close(&s);
    assert_int_equal(chmod(folder, 0770), 0);
    assert_status(raw_open(&s, &arili_cache_store_files, w.rt, NULL, "file", folder),
                  ARIL_E_IO_PERMISSION);
    assert_null(s.state);
    assert_non_null(strstr(s.error.message, "chmod go-w"));
    assert_int_equal(chmod(folder, 0700), 0);
    reopen(NULL);
    struct stat info;
    assert_status(raw_put(&s, TEXT("a"), TEXT("1"), 0), ARIL_OK);
    struct arili_files_place place;
    arili_files_place_of(TEXT("a"), &place);
    char path[300];
    (void)snprintf(path, sizeof path, "cache/%s", place.path);
    assert_int_equal(stat(temp_path(path), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    (void)snprintf(path, sizeof path, "cache/%.5s", place.path);
    assert_int_equal(stat(temp_path(path), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
}

static void a_path_that_is_no_folder_is_refused(void **state)
{
    (void)state;
    struct raw_store other;
    assert_status(raw_open(&other, &arili_cache_store_files, w.rt, NULL, "file", ""),
                  ARIL_E_USAGE_RANGE);
    assert_status(raw_open(&other, &arili_cache_store_files, w.rt, NULL, "file", "/nowhere/at/all"),
                  ARIL_E_IO);
    assert_non_null(strstr(other.error.message, "/nowhere/at/all"));
    const char *file = temp_write("file", 0600, TEXT("x"));
    assert_status(raw_open(&other, &arili_cache_store_files, w.rt, NULL, "file", file), ARIL_E_IO);
    temp_clear(file);
    static char long_path[5000];
    memset(long_path, 'x', sizeof long_path - 1);
    assert_status(raw_open(&other, &arili_cache_store_files, w.rt, NULL, "file", long_path),
                  ARIL_E_USAGE_RANGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_fnv_1a),
        cmocka_unit_test(a_name_tells_its_file),
        TEST(every_name_has_its_own_value),
        TEST(a_deleted_name_has_none),
        TEST(a_value_goes_to_the_buffer_or_the_room),
        TEST(values_of_every_size_and_part_come_back),
        TEST(a_durable_value_comes_back),
        TEST(the_newest_put_wins),
        TEST(a_value_ends),
        TEST(what_has_ended_is_not_deleted_or_scanned),
        TEST(ended_values_go_as_others_are_put),
        TEST(a_call_after_its_deadline_does_nothing),
        TEST(absent_only_leaves_what_is_there),
        TEST(one_of_many_puts_when_absent),
        TEST(a_lock_has_one_holder),
        TEST(a_guarded_put_needs_the_lock),
        TEST(a_torn_lock_is_free_and_its_tokens_grow),
        TEST(a_held_slot_makes_a_put_wait_until_its_deadline),
        TEST(scan_tells_each_name_once),
        TEST(stat_tells_what_there_is),
        TEST(the_oldest_make_room),
        TEST(a_folder_that_others_may_change_is_refused),
        TEST(a_path_that_is_no_folder_is_refused),
    };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
