/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_fixture.h"
#include "temp_folder.h"
#include "cache/store.h"
#include <stdlib.h>
#include <string.h>

#define ROOM_FILLER 0xa7

static void open_cache(struct cache_home *ch)
{
    aril_cache_config config = ch->config;
    config.keyring = ch->keys.kr;
    config.store = ch->store;
    assert_status(aril_cache_open(ch->keys.w->rt, &config, &ch->cache, &ch->error), ARIL_OK);
}

static aril_status open_silent(const struct arili_cache_store_options *options, const char *scheme,
                               void **ret_state, uint32_t *ret_capabilities, aril_error *error)
{
    const aril_status st =
        arili_cache_store_memory.open(options, scheme, ret_state, ret_capabilities, error);
    *ret_capabilities &= ~(uint32_t)ARIL_STORE_NOTIFY;
    return st;
}

aril_status cache_store_open_silent(aril_runtime *rt, const char *uri, aril_store **ret,
                                    aril_error *error)
{
    static struct arili_cache_store_ops silent;
    const aril_store_config config = { .uri = uri };
    silent = arili_cache_store_memory;
    silent.open = open_silent;
    return arili_store_open_over(rt, &silent, &config, ret, error);
}

void cache_home_init(struct cache_home *ch, struct world *w, const char *uri,
                     const aril_cache_policy *policies, size_t count)
{
    memset(ch, 0, sizeof *ch);
    home_init(&ch->keys, w, "keys.aril", MEMORY_STORE_ALL);
    home_make(&ch->keys, ARIL_PROFILE_HYBRID, NULL);
    home_tenant(&ch->keys, "alice");
    home_tenant(&ch->keys, "bob");
    if (uri != NULL && strcmp(uri, "memory:") == 0) {
        assert_status(cache_store_open_silent(w->rt, uri, &ch->store, &ch->error), ARIL_OK);
    } else if (uri != NULL) {
        const aril_store_config config = { .uri = uri };
        assert_status(aril_store_open(w->rt, &config, &ch->store, &ch->error), ARIL_OK);
    }
    ch->config.policies = policies;
    ch->config.policy_count = count;
    ch->config.l1_bytes = (uint64_t)8 << 20;
    open_cache(ch);
}

void cache_home_done(struct cache_home *ch)
{
    aril_cache_close(ch->cache);
    aril_store_close(ch->store);
    home_done(&ch->keys);
}

void cache_home_reopen(struct cache_home *ch)
{
    aril_cache_close(ch->cache);
    open_cache(ch);
}

aril_cache_key cache_key(const char *tenant, const char *space, const char *key)
{
    return (aril_cache_key){ .tenant = text_bytes(tenant),
                             .space = text_bytes(space),
                             .key = text_bytes(key) };
}

aril_status cache_put(struct cache_home *ch, aril_cache_key key, aril_bytes value)
{
    aril_cache_item item = { .key = key, .value = value };
    ch->error = (aril_error){ .status = ARIL_OK };
    return aril_cache_put(ch->cache, &item, 1, &ch->error);
}

aril_status cache_get(struct cache_home *ch, aril_cache_key key, aril_bytes expected,
                      aril_cache_result *ret)
{
    const size_t room = expected.len + 64;
    uint8_t *buffer = malloc(room);
    assert_non_null(buffer);
    memset(buffer, ROOM_FILLER, room);
    aril_cache_item item = { .key = key, .buffer = { buffer, room } };
    ch->error = (aril_error){ .status = ARIL_OK };
    const aril_status st = aril_cache_get(ch->cache, &item, 1, &ch->error);
    if (st == ARIL_OK) {
        assert_int_equal(item.result.outcome, ARIL_CACHE_HIT);
        assert_int_equal(item.result.len, expected.len);
        if (expected.len > 0) {
            assert_memory_equal(buffer, expected.data, expected.len);
        }
        assert_true(is_filled(buffer + expected.len, room - expected.len, ROOM_FILLER));
    } else {
        size_t wiped = 0;
        while (wiped < room && buffer[wiped] == 0) {
            wiped++;
        }
        assert_true(is_filled(buffer + wiped, room - wiped, ROOM_FILLER));
        assert_int_not_equal(item.result.outcome, ARIL_CACHE_HIT);
    }
    if (ret != NULL) {
        *ret = item.result;
    }
    free(buffer);
    return st;
}

aril_status cache_get_l2(struct cache_home *ch, aril_cache_key key, aril_bytes expected,
                         aril_cache_result *ret)
{
    cache_home_reopen(ch);
    return cache_get(ch, key, expected, ret);
}

aril_bytes cache_name(struct cache_home *ch, aril_cache_key key)
{
    static char name[ARIL_CACHE_NAME_BYTES_MAX];
    size_t len;
    assert_status(aril_cache_name(ch->cache, &key, name, sizeof name, &len, &ch->error), ARIL_OK);
    return (aril_bytes){ (const uint8_t *)name, len };
}

static uint8_t *give_room(void *user, size_t len)
{
    (void)user;
    return malloc(len > 0 ? len : 1);
}

aril_span cache_stored(struct cache_home *ch, aril_bytes name)
{
    aril_store_item item = { .name = name, .room = give_room };
    assert_status(aril_store_get(ch->store, &item, 1, &ch->error), ARIL_OK);
    return item.status == ARIL_OK ? (aril_span){ item.data, item.len } : (aril_span){ NULL, 0 };
}

void cache_store_put(struct cache_home *ch, aril_bytes name, aril_bytes value)
{
    aril_store_item item = { .name = name, .parts = &value, .part_count = 1 };
    assert_status(aril_store_put(ch->store, &item, 1, &ch->error), ARIL_OK);
    assert_status(item.status, ARIL_OK);
}

static int count_name(void *user, aril_bytes name)
{
    (void)name;
    *(size_t *)user += 1;
    return 0;
}

size_t cache_store_count(struct cache_home *ch)
{
    size_t count = 0;
    assert_status(
        aril_store_scan(ch->store, (aril_bytes){ NULL, 0 }, count_name, &count, &ch->error),
        ARIL_OK);
    return count;
}
