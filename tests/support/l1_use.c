/* SPDX-License-Identifier: Apache-2.0 */
#include "l1_use.h"
#include "fixture.h"
#include <stdio.h>
#include <stdlib.h>

aril_cache_key l1_name(uint64_t n, char text[L1_NAME_TEXT])
{
    const int len = snprintf(text, L1_NAME_TEXT, "item %llu", (unsigned long long)n);
    return (aril_cache_key){ .tenant = TEXT("tenant"),
                             .space = TEXT("space"),
                             .key = { (const uint8_t *)text, (size_t)len } };
}

size_t l1_entry_bytes(uint64_t n, size_t len)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(n, text);
    const size_t aad = sizeof(struct arili_l1_bound) + 6 + 5 + key.key.len;
    return offsetof(struct arili_l1_entry, bound) + (aad + 15) / 16 * 16 + len;
}

struct arili_l1_meta l1_meta(void)
{
    return (struct arili_l1_meta){ .created_ms = 11,
                                   .not_after_ms = 22,
                                   .generation = 5,
                                   .until_ns = UINT64_MAX,
                                   .stale_ns = 44,
                                   .epoch = 3,
                                   .format = ARIL_CACHE_LMCACHE,
                                   .old_key = true };
}

struct arili_l1_want l1_want(void)
{
    return (struct arili_l1_want){ .now_ns = 1000, .generation = 5, .epoch = 3 };
}

void l1_put(struct arili_l1 *l1, uint64_t n, size_t len, uint64_t seed)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(n, text);
    const struct arili_l1_meta meta = l1_meta();
    uint8_t *const value = malloc(len + 1);
    assert_non_null(value);
    fill_pattern(value, len, seed);
    arili_l1_put(l1, &key, (aril_bytes){ value, len }, &meta);
    free(value);
}

aril_status l1_get(struct arili_l1 *l1, uint64_t n, uint8_t *ret, size_t cap, size_t *ret_len)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(n, text);
    const struct arili_l1_want want = l1_want();
    const struct arili_l1_into into = { .buffer = { ret, cap } };
    struct arili_l1_meta meta;
    uint8_t *data;
    return arili_l1_get(l1, &key, &want, &into, &data, ret_len, &meta);
}

bool l1_holds(struct arili_l1 *l1, uint64_t n, size_t len, uint64_t seed)
{
    size_t got = 0;
    uint8_t *const value = malloc(len + 1);
    assert_non_null(value);
    const aril_status st = l1_get(l1, n, value, len, &got);
    if (st == ARIL_OK) {
        assert_int_equal(got, len);
        assert_true(is_pattern(value, len, seed));
    } else {
        assert_status(st, ARIL_E_NOT_FOUND);
    }
    free(value);
    return st == ARIL_OK;
}

bool l1_has(struct arili_l1 *l1, uint64_t n)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(n, text);
    const struct arili_l1_want want = l1_want();
    return arili_l1_has(l1, &key, &want);
}

struct arili_l1_entry *l1_peek(struct arili_l1 *l1, uint64_t n)
{
    char text[L1_NAME_TEXT];
    const aril_cache_key key = l1_name(n, text);
    const uint64_t hash = arili_packed_hash(l1->seed, &key);
    return arili_l1_find(arili_l1_shard_of(l1, hash), hash, &key);
}

static uint64_t queue_bytes(const struct arili_l1_queue *q, bool is_main, uint64_t *count)
{
    uint64_t bytes = 0;
    const struct arili_l1_entry *older = NULL;
    for (const struct arili_l1_entry *e = q->oldest; e != NULL; e = e->newer) {
        assert_ptr_equal(e->older, older);
        assert_int_equal(e->in_main, is_main);
        assert_true(e->linked);
        assert_int_equal(e->bytes, arili_l1_entry_bytes(arili_l1_aad(e).len, e->bound.value_len));
        bytes += e->bytes;
        ++*count;
        older = e;
    }
    assert_ptr_equal(q->newest, older);
    assert_int_equal(q->bytes, bytes);
    return bytes;
}

void l1_check_bytes(struct arili_l1 *l1, uint64_t bytes_max)
{
    uint64_t bytes = sizeof *l1, count = 0;
    for (size_t i = 0; i < l1->shard_count; i++) {
        struct arili_l1_shard *const s = &l1->shards[i];
        uint64_t indexed = 0, queued = 0;
        for (size_t b = 0; b < s->bucket_count; b++) {
            for (const struct arili_l1_entry *e = s->buckets[b]; e != NULL; e = e->next) {
                assert_int_equal(e->hash & (s->bucket_count - 1), b);
                indexed++;
            }
        }
        const uint64_t entries =
            queue_bytes(&s->small, false, &queued) + queue_bytes(&s->main, true, &queued);
        assert_int_equal(queued, indexed);
        assert_int_equal(s->entries, indexed);
        assert_int_equal(s->bytes, entries);
        assert_true(s->bytes <= s->bytes_max);
        bytes +=
            sizeof *s + entries + s->bucket_count * (sizeof *s->buckets + 2 * sizeof *s->ghosts);
        count += indexed;
    }
    const struct arili_l1_stats stats = arili_l1_get_stats(l1);
    assert_int_equal(stats.entries, count);
    assert_int_equal(stats.bytes, bytes);
    assert_true(bytes <= bytes_max);
}
