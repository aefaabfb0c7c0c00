/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/cache.h"
#include "format/cachemessage.h"

/*
 * What processes tell one another through a store with ARIL_STORE_NOTIFY, so that their L1 does not
 * serve what was changed: docs/CACHE-FORMAT.md section 6. A message is a box of the tenant's DATA
 * key, so the store learns no names from it and can make up none; replayed or lost it costs a miss,
 * or a stale hit until l1_ttl_ms.
 */
#define CHANNEL       ARILI_LITERAL("a1:changes")
#define CONTEXT       ARILI_LITERAL("aril cache message v1")
#define BOX_KEY_ID_AT 8u

struct message {
    uint8_t *data;
    size_t len;
};
static void message_done(struct message *m)
{
    arili_free(m->data, m->len);
}
static aril_status message_init(struct message *m, size_t len)
{
    m->len = len;
    m->data = arili_alloc(len);
    ARILI_ENSURE(m->data != NULL, ARIL_E_NOMEM);
    return ARIL_OK;
}

/* --- Telling -------------------------------------------------------------------------------- */

static struct arili_cache_change change_of(const aril_cache *cache, aril_bytes space,
                                           const aril_cache_key *key)
{
    struct arili_cache_change c = { .all = key == NULL, .space = space };
    memcpy(c.sender, cache->self, sizeof c.sender);
    if (key != NULL) {
        c.database = key->database;
        c.type = (uint8_t)key->type;
        c.key = key->key;
        c.field = key->field;
    }
    return c;
}

static aril_status tell_one(aril_cache *cache, aril_bytes tenant, aril_bytes space,
                            const aril_cache_key *key)
{
    const struct arili_cache_change change = change_of(cache, space, key);
    struct arili_writer size = arili_writer_init(NULL, 0);
    arili_cache_change_write(&change, &size);
    if (size.len > ARILI_CHANGE_BYTES_MAX) {
        /* Too long a name to be sent: the namespace is ended instead. */
        return tell_one(cache, tenant, space, NULL);
    }
    ARILI_DEFER(message_done) struct message plain = { NULL, 0 };
    ARILI_DEFER(message_done) struct message box = { NULL, 0 };
    ARILI_TRY(message_init(&plain, size.len));
    ARILI_TRY(message_init(&box, size.len + ARIL_BOX_OVERHEAD_BYTES));
    struct arili_writer w = arili_writer_init(plain.data, plain.len);
    arili_cache_change_write(&change, &w);
    size_t len;
    ARILI_TRY(aril_keyring_seal(cache->keyring, tenant, CONTEXT,
                                (aril_bytes){ plain.data, plain.len }, box.data, box.len, &len,
                                NULL));
    return aril_store_publish(cache->store, CHANNEL, (aril_bytes){ box.data, len }, NULL);
}

void arili_messages_tell(aril_cache *cache, aril_bytes tenant, aril_bytes space,
                         const aril_cache_item *items, size_t count)
{
    if (!cache->listens) {
        return;
    }
    if (count == 0) {
        (void)tell_one(cache, tenant, space, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        (void)tell_one(cache, tenant, space, &items[i].key);
    }
}

/* --- Hearing -------------------------------------------------------------------------------- */

static aril_status take_change(aril_cache *cache, aril_bytes tenant, aril_bytes plain)
{
    struct arili_cache_change change;
    ARILI_TRY(arili_cache_change_parse(plain, &change));
    const aril_cache_key key = { .tenant = tenant,
                                 .space = change.space,
                                 .key = change.key,
                                 .field = change.field,
                                 .database = change.database,
                                 .type = (aril_cache_type)change.type };
    if (memcmp(change.sender, cache->self, sizeof cache->self) == 0) {
        return ARIL_OK;
    }
    if (!change.all) {
        ARILI_TRY(arili_cache_key_check(&key));
        arili_l1_drop(cache->l1, &key);
        arili_count(&cache->invalidated, 1);
        return ARIL_OK;
    }
    ARILI_ENSURE(change.space.len <= ARIL_CACHE_SPACE_BYTES_MAX, ARIL_E_FORMAT_LENGTH);
    struct arili_scope *scope;
    uint64_t now;
    ARILI_TRY(arili_scope_find(cache, tenant, key.space, &scope, &now, NULL));
    atomic_fetch_add(&scope->epoch, 1);
    arili_count(&cache->invalidated, 1);
    return ARIL_OK;
}

static aril_status hear(aril_cache *cache, aril_bytes box)
{
    ARILI_ENSURE(box.len >= ARIL_BOX_OVERHEAD_BYTES &&
                     box.len <= ARIL_BOX_OVERHEAD_BYTES + ARILI_CHANGE_BYTES_MAX,
                 ARIL_E_FORMAT_LENGTH);
    /* Whose message it is, its key says; the box opens for nobody else. */
    ARILI_DEFER(arili_tenant_key_putp) aril_tenant_key *key = NULL;
    ARILI_TRY(aril_keyring_key_by_id(cache->keyring, (aril_bytes){ NULL, 0 },
                                     box.data + BOX_KEY_ID_AT, &key, NULL));
    const aril_bytes tenant = { key->owner, key->owner_len };
    ARILI_DEFER(message_done) struct message plain = { NULL, 0 };
    ARILI_TRY(message_init(&plain, box.len));
    size_t len;
    ARILI_TRY(aril_keyring_open_box(cache->keyring, tenant, CONTEXT, box, plain.data, plain.len,
                                    &len, NULL));
    return take_change(cache, tenant, (aril_bytes){ plain.data, len });
}

static void on_message(void *user, aril_bytes message)
{
    aril_cache *cache = user;
    if (arili_cache_enter(cache) != ARIL_OK) {
        return;
    }
    if (message.len == 0) {
        arili_l1_clear(cache->l1); /* some may have been lost */
        return;
    }
    (void)hear(cache, message); /* what is no message of ours concerns nobody */
}

aril_status arili_messages_listen(aril_cache *cache, aril_error *error)
{
    if (cache->store == NULL || (cache->capabilities & ARIL_STORE_NOTIFY) == 0) {
        return ARIL_OK;
    }
    ARILI_TRY(aril_store_listen(cache->store, CHANNEL, on_message, cache, error));
    cache->listens = true;
    return ARIL_OK;
}
