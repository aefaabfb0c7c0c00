/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "base/tablehash.h"
#include "crypto/runtime.h"
#include "proxy/tenant.h"

/* --- Names that were made ------------------------------------------------------------------- */

/* Of the longest key that is kept: prefix, braces and hash tag; base64url of place, iv, and key
 * with two lengths, padded to 16. */
#define KEPT_NAME_TEXT                                      \
    (ARILI_CACHE_PREFIX_TEXT + 3u + ARILI_CACHE_PART_TEXT + \
     (5u + ARILI_SIV_IV_BYTES + (ARILI_NAME_CACHED_MAX + 4u + 15u) / 16u * 16u + 2u) / 3u * 4u)
#define VERSION_BYTES 16u /* of the id of the NAME key: as good as all of it */

struct row {
    uint8_t version[VERSION_BYTES];
    uint32_t tenant; /* number */
    uint32_t database;
    uint16_t key_len, name_len;
    uint8_t key[ARILI_NAME_CACHED_MAX];
    uint8_t context[ARILI_CACHE_CONTEXT_BYTES];
    char name[KEPT_NAME_TEXT];
};

/* A hash has WAYS rows where it may lie: with one, a tenth of a thousand keys would drive one
 * another out for ever. Hashes lie apart from their rows, so that one line of memory says which row
 * it is. */
#define WAYS 4u
#define SETS (ARILI_NAME_CACHE_ROWS / WAYS)
_Static_assert((SETS & (SETS - 1)) == 0, "a power of two");
struct set {
    uint64_t hashes[WAYS]; /* 0: an empty row */
    uint64_t next;         /* the row that goes next */
};

struct arili_name_cache {
    uint64_t seed;
    struct set sets[SETS];
    struct row rows[SETS][WAYS];
};

aril_status arili_name_cache_new(aril_runtime *rt, struct arili_name_cache **ret)
{
    uint8_t seed[8];
    ARILI_TRY(rt->crypto.ops->random(rt->crypto.provider, seed, sizeof seed));
    struct arili_name_cache *c = arili_alloc(sizeof *c);
    ARILI_ENSURE(c != NULL, ARIL_E_NOMEM);
    memcpy(&c->seed, seed, sizeof seed);
    *ret = c;
    return ARIL_OK;
}

void arili_name_cache_free(struct arili_name_cache *c)
{
    arili_free(c, sizeof *c);
}

static uint64_t hash_of(const struct arili_name_cache *c, const struct arili_tenant *t,
                        const struct arili_tenant_keys *keys, uint32_t database, aril_bytes key)
{
    uint64_t version;
    memcpy(&version, keys->naming.key_id, sizeof version);
    uint64_t h = arili_table_mix(c->seed, version, (uint64_t)t->number << 32 | database);
    h = arili_table_mix(c->seed, h, key.len);
    h = arili_table_mix_bytes(c->seed, h, key);
    return h != 0 ? h : 1;
}

/* The bytes that are compared are no secrets of whoever sends them: a client sees its own tenant's
 * rows alone. */
static bool row_is(const struct row *r, const struct arili_tenant *t,
                   const struct arili_tenant_keys *keys, uint32_t database, aril_bytes key)
{
    return r->tenant == t->number && r->database == database && r->key_len == key.len &&
           memcmp(r->version, keys->naming.key_id, VERSION_BYTES) == 0 &&
           memcmp(r->key, key.data, key.len) == 0;
}

static const struct row *row_find(const struct arili_name_cache *c, uint64_t hash,
                                  const struct arili_tenant *t,
                                  const struct arili_tenant_keys *keys, uint32_t database,
                                  aril_bytes key)
{
    const size_t at = hash & (SETS - 1);
    for (size_t i = 0; i < WAYS; i++) {
        const struct row *r = &c->rows[at][i];
        if (c->sets[at].hashes[i] == hash && row_is(r, t, keys, database, key)) {
            return r;
        }
    }
    return NULL;
}

static void row_put(struct arili_name_cache *c, uint64_t hash, const struct arili_tenant *t,
                    const struct arili_tenant_keys *keys, uint32_t database, aril_bytes key,
                    const struct arili_place *place)
{
    struct set *set = &c->sets[hash & (SETS - 1)];
    const size_t way = set->next++ % WAYS;
    struct row *r = &c->rows[hash & (SETS - 1)][way];
    set->hashes[way] = hash;
    memcpy(r->version, keys->naming.key_id, VERSION_BYTES);
    r->tenant = t->number;
    r->database = database;
    r->key_len = (uint16_t)key.len;
    r->name_len = place->name_len;
    memcpy(r->key, key.data, key.len);
    memcpy(r->context, place->context, sizeof r->context);
    memcpy(r->name, place->name, place->name_len);
}

/* --- Places --------------------------------------------------------------------------------- */

static aril_status check(const struct arili_tenant_keys *keys)
{
    ARILI_TRY(keys->status);
    ARILI_ENSURE(!arili_is_forked(&keys->guard), ARIL_E_FORKED);
    return ARIL_OK;
}

static aril_status check_key(aril_bytes key)
{
    ARILI_ENSURE(key.len >= 1 && key.len <= ARILI_CACHE_LISTED_KEY_MAX, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

static aril_cache_key key_of(const struct arili_tenant *t, uint32_t database, aril_bytes key)
{
    return (aril_cache_key){ .tenant = { (const uint8_t *)t->id, t->id_len },
                             .space = { (const uint8_t *)t->space, strlen(t->space) },
                             .key = key,
                             .database = database,
                             .type = ARIL_CACHE_STRING };
}

static aril_status make(const struct arili_tenant *t, const struct arili_tenant_keys *keys,
                        uint32_t database, aril_bytes key, struct arili_place *ret)
{
    const struct arili_crypto *c = &keys->rt->crypto;
    const struct arili_name_want want = { .listable = true, .hash_tags = t->hash_tags };
    const aril_cache_key whole = key_of(t, database, key);
    size_t len = 0;
    ARILI_TRY(arili_cache_context(c, keys->hash, &whole, ret->context));
    ARILI_TRY(arili_cache_name(c, keys->hash, &keys->naming, keys->name, want, &whole, ret->context,
                               ret->name, &len));
    ret->name_len = (uint16_t)len;
    return ARIL_OK;
}

aril_status arili_place_make(struct arili_name_cache *cache, const struct arili_tenant *t,
                             const struct arili_tenant_keys *keys, uint32_t database,
                             aril_bytes key, struct arili_place *ret)
{
    ARILI_TRY(check(keys));
    ARILI_TRY(check_key(key));
    if (cache == NULL || key.len > ARILI_NAME_CACHED_MAX) {
        return make(t, keys, database, key, ret);
    }
    const uint64_t hash = hash_of(cache, t, keys, database, key);
    const struct row *r = row_find(cache, hash, t, keys, database, key);
    if (r != NULL) {
        memcpy(ret->context, r->context, sizeof ret->context);
        memcpy(ret->name, r->name, r->name_len);
        ret->name_len = r->name_len;
        return ARIL_OK;
    }
    ARILI_TRY(make(t, keys, database, key, ret));
    row_put(cache, hash, t, keys, database, key, ret);
    return ARIL_OK;
}

/* Whether a name that opened is the one that is made for its key: one key has one name. */
static bool is_ours(const struct arili_tenant *t, uint32_t database,
                    const struct arili_listed_name *n)
{
    const aril_cache_key *k = &n->key;
    const bool tagged = t->hash_tags && arili_cache_hash_tag(k->key).len > 0;
    return k->database == database && k->type == ARIL_CACHE_STRING && k->field.len == 0 &&
           check_key(k->key) == ARIL_OK && n->hash_tagged == tagged;
}

static void wipe_name(struct arili_listed_name *n)
{
    arili_wipe(n, sizeof *n);
}

aril_status arili_place_open(const struct arili_tenant *t, const struct arili_tenant_keys *keys,
                             uint32_t database, aril_bytes name, uint8_t *room, size_t *ret_len)
{
    ARILI_TRY(check(keys));
    ARILI_DEFER(wipe_name) struct arili_listed_name n;
    const aril_cache_key none = key_of(t, database, (aril_bytes){ NULL, 0 });
    const aril_status st = arili_cache_name_open(&keys->rt->crypto, keys->hash, &keys->naming,
                                                 keys->name, none.space, name, &n);
    if (st == ARIL_E_AUTH || aril_status_class(st) == ARIL_E_FORMAT) {
        return ARIL_E_NOT_FOUND;
    }
    ARILI_TRY(st);
    ARILI_ENSURE(is_ours(t, database, &n), ARIL_E_NOT_FOUND);
    memcpy(room, n.key.key.data, n.key.key.len);
    *ret_len = n.key.key.len;
    return ARIL_OK;
}

const char *arili_place_prefix(const struct arili_tenant_keys *keys)
{
    return keys->naming.prefix;
}

aril_status arili_field_context(const struct arili_tenant *t, const struct arili_tenant_keys *keys,
                                uint32_t database, aril_bytes key, aril_bytes field,
                                uint8_t ret[ARILI_CACHE_CONTEXT_BYTES])
{
    ARILI_TRY(check(keys));
    ARILI_TRY(check_key(key));
    ARILI_ENSURE(field.len <= ARILI_SIV_PLAIN_BYTES_MAX, ARIL_E_LIMIT);
    aril_cache_key whole = key_of(t, database, key);
    whole.field = field;
    whole.type = ARIL_CACHE_HASH_FIELD;
    return arili_cache_context(&keys->rt->crypto, keys->hash, &whole, ret);
}
