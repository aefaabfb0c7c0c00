/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/cache.h"

/*
 * From the format of another system to ours: read, put, read back, delete. A value is deleted under
 * its old name only after the new one was seen in the store, so it is there at every moment, and
 * what was interrupted is done by the next run.
 */
struct migrating {
    aril_cache *cache;
    struct arili_scope *scope;
    aril_progress_fn *progress;
    void *user;
    uint64_t total;
    aril_cache_migration done;
    aril_error *error;
    aril_status st;
};

static aril_status put_native(struct migrating *m, aril_bytes name,
                              const struct arili_legacy_value *value)
{
    aril_cache_item item = {
        .key = { .tenant = m->scope->tenant, .space = m->scope->space, .key = name },
        .value = value->bytes
    };
    ARILI_TRY(arili_cache_write(m->cache, &item, (aril_bytes){ NULL, 0 }, 0, m->error));
    struct arili_place_of_value place;
    ARILI_TRY(arili_cache_place(m->cache, m->scope, &item.key, &place, m->error));
    aril_store_item written = { .name = { (const uint8_t *)place.name, place.name_len } };
    ARILI_TRY(aril_store_exists(m->cache->store, &written, 1, m->error));
    return written.status;
}

/* A status other than ARIL_OK stops the work: the store is down, or nothing can be sealed. */
static aril_status migrate_one(struct migrating *m, aril_bytes name)
{
    ARILI_DEFER(arili_others_room_done)
    struct arili_others_room room = { .policy = m->scope->policy };
    aril_store_item old = { .name = name, .room = arili_others_room, .user = &room };
    struct arili_legacy_value value = { .bytes = { NULL, 0 } };
    ARILI_TRY(aril_store_get(m->cache->store, &old, 1, m->error));
    m->done.seen++;
    if (old.status == ARIL_E_NOT_FOUND) {
        m->done.expired++;
        return ARIL_OK;
    }
    aril_status st = arili_others_room_status(&room, old.status);
    if (st == ARIL_OK) {
        st = arili_others_open(m->cache, m->scope, name, (aril_bytes){ old.data, old.len }, &value,
                               m->error);
        arili_others_room_done(&room);
    }
    if (st != ARIL_OK) {
        m->done.failed++;
        return aril_status_class(st) == ARIL_E_KEY && st != ARIL_E_KEY_UNKNOWN ? st : ARIL_OK;
    }
    st = put_native(m, name, &value);
    arili_legacy_value_done(&value);
    ARILI_TRY(st);
    m->done.migrated++;
    aril_store_item gone = { .name = name };
    return aril_store_delete(m->cache->store, &gone, 1, m->error);
}

static int visit(void *user, aril_bytes name)
{
    struct migrating *m = user;
    const aril_cache_key key = { .key = name };
    if (!arili_others_name(&key)) {
        m->done.native++;
        return 0;
    }
    m->st = migrate_one(m, name);
    if (m->st == ARIL_OK && m->progress != NULL &&
        m->progress(m->user, m->done.seen, m->total) != 0) {
        m->st = ARIL_E_INTERRUPTED;
    }
    return m->st != ARIL_OK;
}

static aril_status check(const struct migrating *m, uint64_t now_ms)
{
    const aril_cache_policy *p = &m->scope->policy->said;
    if (m->cache->store == NULL || (p->tiers & ARIL_CACHE_L2) == 0 ||
        p->writes != ARIL_CACHE_NATIVE || !arili_others_apply(m->scope, now_ms)) {
        return arili_error_set(
            m->error, ARIL_E_USAGE_STATE,
            "cache: the policy of this namespace has to name the old format in "
            "legacy_reads, a legacy_until_s that is still to come, and write native "
            "values");
    }
    return ARIL_OK;
}

static aril_status check_names(const aril_bytes *names, size_t count, aril_error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].data == NULL || names[i].len < 1 || names[i].len > ARIL_STORE_NAME_BYTES_MAX) {
            return arili_error_set(error, ARIL_E_USAGE_RANGE,
                                   "cache: name %zu to migrate has %zu bytes; it may have 1 to %u",
                                   i, names[i].len, ARIL_STORE_NAME_BYTES_MAX);
        }
    }
    return ARIL_OK;
}

aril_status aril_cache_migrate(aril_cache *cache, aril_bytes tenant, aril_bytes space,
                               const aril_bytes *names, size_t count, aril_progress_fn *progress,
                               void *user, aril_cache_migration *ret_done, aril_error *error)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(ret_done != NULL && (names != NULL || count == 0), ARIL_E_USAGE_NULL);
    const aril_cache_key some = { .tenant = tenant, .space = space, .key = ARILI_LITERAL("-") };
    struct migrating m = {
        .cache = cache, .progress = progress, .user = user, .total = count, .error = error
    };
    uint64_t now_ns;
    uint64_t now_ms;
    ARILI_TRY(check_names(names, count, error));
    ARILI_TRY(arili_cache_key_check(&some));
    ARILI_TRY(arili_scope_find(cache, tenant, space, &m.scope, &now_ns, error));
    ARILI_TRY(arili_cache_now(cache, NULL, &now_ms));
    ARILI_TRY(check(&m, now_ms));
    aril_status st = ARIL_OK;
    if (count == 0) {
        if ((cache->capabilities & ARIL_STORE_LIST) == 0) {
            return arili_error_set(error, ARIL_E_UNAVAILABLE,
                                   "cache: this store cannot list its names; name what to migrate");
        }
        st = aril_store_scan(cache->store, (aril_bytes){ NULL, 0 }, visit, &m, error);
    }
    for (size_t i = 0; i < count && m.st == ARIL_OK; i++) {
        (void)visit(&m, names[i]);
    }
    *ret_done = m.done;
    return m.st != ARIL_OK ? m.st : st;
}
