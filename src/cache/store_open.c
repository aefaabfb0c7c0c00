/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "cache/store.h"
#include "cache/store_internal.h"
#include "cache/store_uri.h"
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

#define DEADLINE_MS_DEFAULT     1000u
#define CONNECTIONS_DEFAULT     8u
#define CONNECTIONS_MAX         256u
#define MEMORY_BYTES_DEFAULT    (UINT64_C(256) << 20)
#define BREAKER_AFTER_DEFAULT   5u
#define BREAKER_MS_DEFAULT      5000u
#define PASSWORD_FILE_BYTES_MAX 65536u

/* All backends. A new one is one line here. */
static const struct arili_cache_store_ops *find_backend(const char *scheme)
{
    static const struct arili_cache_store_ops *const backends[] = {
        &arili_cache_store_memory, &arili_cache_store_sqlite, &arili_cache_store_files,
        &arili_cache_store_redis,  &arili_cache_store_http,
    };
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        for (const char *const *s = backends[i]->schemes; *s != NULL; s++) {
            if (strcmp(*s, scheme) == 0) {
                return backends[i];
            }
        }
    }
    return NULL;
}

static aril_status out_of_range(aril_error *error, const char *what, uint64_t value, uint64_t max)
{
    return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                           "%s of a store is %llu, and may be %llu at most", what,
                           (unsigned long long)value, (unsigned long long)max);
}

static aril_status check_config(const aril_store_config *c, aril_error *error)
{
    const struct {
        const char *name;
        uint64_t value, max;
    } ranges[] = {
        { "deadline_ms", c->deadline_ms, ARIL_STORE_DEADLINE_MS_MAX },
        { "connections", c->connections, CONNECTIONS_MAX },
        { "durable", (unsigned)c->durable, 1 },
        { "direct_io", (unsigned)c->direct_io, 1 },
        { "cachekit_saas", (unsigned)c->cachekit_saas, 1 },
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (ranges[i].value > ranges[i].max) {
            return out_of_range(error, ranges[i].name, ranges[i].value, ranges[i].max);
        }
    }
    if ((c->cert_path == NULL) != (c->key_path == NULL)) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "cert_path and key_path of a store are given together or not at "
                               "all");
    }
    return ARIL_OK;
}

static void fill_defaults(aril_store_config *c, const struct arili_cache_store_ops *ops)
{
    c->deadline_ms = c->deadline_ms != 0 ? c->deadline_ms : DEADLINE_MS_DEFAULT;
    c->connections = c->connections != 0 ? c->connections : CONNECTIONS_DEFAULT;
    c->breaker_after = c->breaker_after != 0 ? c->breaker_after : BREAKER_AFTER_DEFAULT;
    c->breaker_ms = c->breaker_ms != 0 ? c->breaker_ms : BREAKER_MS_DEFAULT;
    if (c->bytes_max == 0 && strcmp(ops->kind, "memory") == 0) {
        c->bytes_max = MEMORY_BYTES_DEFAULT;
    }
}

/* Readable by us alone, and there: said now, by the name that the user gave, and not when the
 * backend connects. */
static aril_status take_secret(aril_store_config *c, const struct arili_store_uri *uri,
                               aril_error *error)
{
    if (uri->secret_path[0] != '\0') {
        if (c->secret_path != NULL) {
            return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                                   "%s: has secret_path and ?password-file=; give one of them",
                                   uri->shown);
        }
        c->secret_path = uri->secret_path;
    }
    if (c->secret_path == NULL) {
        return ARIL_OK;
    }
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    return arili_file_read(c->secret_path, PASSWORD_FILE_BYTES_MAX, ARILI_FILE_SECRET, &file,
                           error);
}

static bool is_sound(const struct arili_cache_store_ops *ops, uint32_t capabilities)
{
    const bool lists = (capabilities & ARIL_STORE_LIST) != 0;
    const bool locks = (capabilities & ARIL_STORE_LOCK) != 0;
    const bool notifies = (capabilities & ARIL_STORE_NOTIFY) != 0;
    return ops->get != NULL && ops->put != NULL && ops->erase != NULL && ops->exists != NULL &&
           ops->stat != NULL && (!lists || ops->scan != NULL) &&
           (!locks || (ops->lock != NULL && ops->unlock != NULL)) &&
           (!notifies || (ops->publish != NULL && ops->listen != NULL));
}

/* The struct alone; the backend is closed or was never opened. */
static void store_free(aril_store *store)
{
    aril_runtime *const rt = store->rt;
    arili_free((void *)(uintptr_t)store->channel.data, store->channel.len);
    arili_free(store, sizeof *store);
    aril_runtime_free(rt);
}

void aril_store_close(aril_store *store)
{
    if (store == NULL) {
        return;
    }
    /* In a forked child its locks may be held for ever, and its descriptors are the parent's. */
    if (arili_runtime_check(store->rt) == ARIL_OK) {
        if (store->state != NULL) {
            store->ops->close(store->state);
        }
        arili_breaker_done(&store->breaker);
        (void)pthread_mutex_destroy(&store->hearing);
    }
    store_free(store);
}

static void store_closep(aril_store **store)
{
    aril_store_close(*store);
}

static aril_status open_backend(aril_store *s, const aril_store_config *config,
                                const struct arili_store_uri *uri, aril_error *error)
{
    const struct arili_cache_store_options options = { s->rt, config, uri->rest };
    aril_error detail = { .status = ARIL_OK };
    const aril_status st =
        s->ops->open(&options, uri->scheme, &s->state, &s->capabilities, &detail);
    if (st != ARIL_OK) {
        s->state = NULL;
        return detail.message[0] != '\0'
                   ? arili_error_set(error, st, "%s", detail.message)
                   : arili_error_set(error, st, "%s: %s; %s", s->shown, aril_status_text(st),
                                     aril_status_hint(st));
    }
    if (!is_sound(s->ops, s->capabilities)) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%s: its backend does not have what it says it has", s->shown);
    }
    return ARIL_OK;
}

static aril_status open_over(aril_runtime *rt, const struct arili_cache_store_ops *ops,
                             const aril_store_config *config, const struct arili_store_uri *uri,
                             aril_store **ret_store, aril_error *error)
{
    aril_store_config filled = *config;
    ARILI_TRY(take_secret(&filled, uri, error));
    fill_defaults(&filled, ops);
    aril_store *fresh = arili_alloc(sizeof *fresh);
    aril_status st = fresh != NULL ? arili_breaker_init(&fresh->breaker, filled.breaker_after,
                                                        filled.breaker_ms * NS_PER_MS)
                                   : arili_fail(ARIL_E_NOMEM);
    if (st == ARIL_OK && pthread_mutex_init(&fresh->hearing, NULL) != 0) {
        arili_breaker_done(&fresh->breaker);
        st = arili_fail(ARIL_E_NOMEM);
    }
    if (st != ARIL_OK) {
        arili_free(fresh, sizeof *fresh);
        return arili_error_set(error, st, "%s: no memory for it; give the process more",
                               uri->shown);
    }
    fresh->rt = arili_runtime_hold(rt);
    ARILI_DEFER(store_closep) aril_store *s = fresh;
    s->ops = ops;
    s->deadline_ms = filled.deadline_ms;
    memcpy(s->shown, uri->shown, sizeof s->shown);
    ARILI_TRY(open_backend(s, &filled, uri, error));
    *ret_store = ARILI_TAKE(s);
    return ARIL_OK;
}

static void uri_freep(struct arili_store_uri **uri)
{
    arili_free(*uri, sizeof **uri);
}

/* ops NULL: the one that the scheme names. */
static aril_status open_any(aril_runtime *rt, const struct arili_cache_store_ops *ops,
                            const aril_store_config *config, aril_store **ret_store,
                            aril_error *error)
{
    ARILI_ENSURE(rt != NULL && config != NULL && config->uri != NULL && ret_store != NULL,
                 ARIL_E_USAGE_NULL);
    *ret_store = NULL;
    ARILI_TRY(arili_runtime_check(rt));
    ARILI_TRY(check_config(config, error));
    ARILI_DEFER(uri_freep) struct arili_store_uri *uri = arili_alloc(sizeof *uri);
    if (uri == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "no memory to open a store; give the process more");
    }
    ARILI_TRY(arili_store_uri_parse(config->uri, uri, error));
    ops = ops != NULL ? ops : find_backend(uri->scheme);
    if (ops == NULL) {
        /* Not shown: what is no URI may be anything. */
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "the URI of the store begins with none of memory:, sqlite:, file:, "
                               "redis://, redis+unix:, rediss://, redis+cluster://, "
                               "rediss+cluster://, http:// and https://; see docs/cache.md");
    }
    ARILI_ENSURE(ops->abi == ARILI_CACHE_STORE_ABI, ARIL_E_USAGE_RANGE);
    return open_over(rt, ops, config, uri, ret_store, error);
}

aril_status arili_store_open_over(aril_runtime *rt, const struct arili_cache_store_ops *ops,
                                  const aril_store_config *config, aril_store **ret_store,
                                  aril_error *error)
{
    return open_any(rt, ops, config, ret_store, error);
}

aril_status aril_store_open(aril_runtime *rt, const aril_store_config *config,
                            aril_store **ret_store, aril_error *error)
{
    return open_any(rt, NULL, config, ret_store, error);
}
