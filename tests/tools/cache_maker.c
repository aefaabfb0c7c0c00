/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts values through a cache into FOLDER/store, a file: store, and writes FOLDER/made.json: the
 * keys of their tenant, what was put, and one message. tests/scripts/format_cache_test.py opens
 * all of it without the library.
 *
 *     cache_maker FOLDER
 */
#include "base/bytes.h"
#include "cache_fixture.h"
#include "keyring/cache.h"
#include "temp_folder.h"
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TENANT "alice"
#define VALUES 40u

static const char *folder;

static const aril_cache_policy policies[] = {
    { .tiers = ARIL_CACHE_L2 },
    { .space = { (const uint8_t *)"padded", 6 }, .padding = ARIL_CACHE_PAD_PADME },
    { .space = { (const uint8_t *)"blocks", 6 },
      .padding = ARIL_CACHE_PAD_BLOCK,
      .pad_bytes = 100 },
    { .space = { (const uint8_t *)"listed", 6 }, .listable = 1, .hash_tags = 1 },
};
static const char *const spaces[] = { "", "padded", "blocks", "listed" };
static const char *const paddings[] = { "none", "padme", "100", "none" };
static const size_t lens[] = {
    0, 1, 10, 1000, (1 << 20) - 13, 33, 777, (1 << 20) - 12, (1 << 20), (1 << 20) + 1
};

static json_t *hex(aril_bytes bytes)
{
    char *text = malloc(2 * bytes.len + 1);
    assert_non_null(text);
    for (size_t i = 0; i < bytes.len; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", bytes.data[i]);
    }
    text[2 * bytes.len] = '\0';
    json_t *j = json_string(text);
    free(text);
    return j;
}

/* --- Values ------------------------------------------------------------------------------ */

static json_t *put(struct cache_home *ch, size_t n)
{
    static const aril_cache_type types[] = { ARIL_CACHE_STRING, ARIL_CACHE_HASH_FIELD,
                                             ARIL_CACHE_SET_MEMBER, ARIL_CACHE_BLOCK };
    const size_t at = n % COUNT(spaces);
    const size_t len = lens[n / COUNT(spaces) % COUNT(lens)];
    const size_t tag_count = n % 3;
    const aril_bytes tags[] = { text_bytes("red"), text_bytes("green") };
    char name[64];
    (void)snprintf(name, sizeof name, "{user:%zu}:%zu", n % 5, n);
    uint8_t *bytes = malloc(len + 4);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i += 4) {
        arili_store32(bytes + i, (uint32_t)(i / 4));
    }
    aril_cache_key key = cache_key(TENANT, spaces[at], name);
    key.type = types[n / 4 % COUNT(types)];
    key.database = (uint32_t)n;
    key.field = key.type == ARIL_CACHE_HASH_FIELD ? text_bytes("field") : key.field;
    aril_cache_item item = {
        .key = key, .value = { bytes, len }, .tags = tags, .tag_count = tag_count
    };
    assert_status(aril_cache_put(ch->cache, &item, 1, &ch->error), ARIL_OK);
    free(bytes);
    json_t *j = json_pack("{s:I, s:I, s:I, s:b, s:s}", "database", (json_int_t)key.database, "type",
                          (json_int_t)key.type, "value_length", (json_int_t)len, "listed",
                          (int)(at == 3), "padding", paddings[at]);
    json_object_set_new(j, "space", hex(key.space));
    json_object_set_new(j, "key", hex(key.key));
    json_object_set_new(j, "field", hex(key.field));
    json_t *list = json_array();
    for (size_t i = 0; i < tag_count; i++) {
        json_array_append_new(list, hex(tags[i]));
    }
    json_object_set_new(j, "tags", list);
    return j;
}

static void add_key(struct cache_home *ch, json_t *j, aril_key_purpose purpose, const char *name,
                    const char *id)
{
    aril_tenant_key *key = NULL;
    assert_status(
        aril_keyring_tenant_key(ch->keys.kr, text_bytes(TENANT), purpose, &key, &ch->error),
        ARIL_OK);
    json_object_set_new(j, name, hex(arili_tenant_key_bytes(key)));
    json_object_set_new(j, id, hex((aril_bytes){ aril_tenant_key_id(key), 32 }));
    aril_tenant_key_put(key);
}

static json_t *make_values(struct world *w, json_t *j)
{
    struct cache_home ch;
    char uri[1024];
    char salt[ARIL_CACHE_SALT_TEXT];
    uint64_t generation = 0;
    (void)snprintf(uri, sizeof uri, "file:%s/store", folder);
    cache_home_init(&ch, w, uri, policies, COUNT(policies));
    assert_status(
        aril_cache_bump(ch.cache, text_bytes(TENANT), text_bytes("padded"), &generation, &ch.error),
        ARIL_OK);
    json_t *values = json_array();
    for (size_t n = 0; n < VALUES; n++) {
        json_array_append_new(values, put(&ch, n));
    }
    add_key(&ch, j, ARIL_KEY_DATA, "data_key", "data_key_id");
    add_key(&ch, j, ARIL_KEY_NAME, "name_key", "name_key_id");
    assert_status(aril_cache_salt(ch.cache, text_bytes(TENANT), text_bytes("d"), salt, &ch.error),
                  ARIL_OK);
    json_object_set_new(j, "salt", json_string(salt));
    json_object_set_new(j, "padded_generation", json_integer((json_int_t)generation));
    cache_home_done(&ch);
    return values;
}

/* --- One message ------------------------------------------------------------------------- */

struct heard {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    json_t *message;
};
static void on_message(void *user, aril_bytes message)
{
    struct heard *h = user;
    (void)pthread_mutex_lock(&h->lock);
    if (h->message == NULL) {
        h->message = hex(message);
    }
    (void)pthread_cond_signal(&h->changed);
    (void)pthread_mutex_unlock(&h->lock);
}

static void make_message(struct world *w, json_t *j)
{
    struct cache_home ch;
    struct heard h = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    aril_store *store = NULL;
    const aril_store_config config = { .uri = "memory:messages" };
    json_t *own = json_object();
    cache_home_init(&ch, w, config.uri, NULL, 0);
    assert_status(aril_store_open(w->rt, &config, &store, &ch.error), ARIL_OK);
    assert_status(aril_store_listen(store, text_bytes("a1:changes"), on_message, &h, &ch.error),
                  ARIL_OK);
    assert_status(cache_put(&ch, cache_key(TENANT, "space", "key"), text_bytes("v")), ARIL_OK);
    (void)pthread_mutex_lock(&h.lock);
    while (h.message == NULL) {
        (void)pthread_cond_wait(&h.changed, &h.lock);
    }
    (void)pthread_mutex_unlock(&h.lock);
    json_object_set_new(own, "box", h.message);
    add_key(&ch, own, ARIL_KEY_DATA, "data_key", "data_key_id");
    json_object_set_new(j, "message", own);
    aril_store_close(store);
    cache_home_done(&ch);
}

static void make(void **state)
{
    (void)state;
    struct world w;
    char path[1024];
    json_t *j = json_pack("{s:s, s:s}", "profile", "hybrid", "tenant", TENANT);
    world_init(&w);
    json_object_set_new(j, "values", make_values(&w, j));
    make_message(&w, j);
    world_done(&w);
    (void)snprintf(path, sizeof path, "%s/made.json", folder);
    assert_int_equal(json_dump_file(j, path, JSON_INDENT(1)), 0);
    json_decref(j);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: cache_maker FOLDER\n");
        return 2;
    }
    folder = argv[1];
    const struct CMUnitTest tests[] = { cmocka_unit_test(make) };
    return cmocka_run_group_tests(tests, temp_folder_make, temp_folder_remove);
}
