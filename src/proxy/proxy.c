/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/proxy.h"
#include "base/ensure.h"
#include "base/files.h"
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)
/* What clients are told to speak with; the commands of the table are those of this one. */
#define SERVER_VERSION "7.2.4"

/* --- Settings ------------------------------------------------------------------------------- */

static void settings_free(struct arili_settings *s)
{
    if (s != NULL) {
        arili_credentials_free(s->credentials);
        arili_free(s->password, s->password_len);
        arili_config_free(s->config);
        arili_free(s, sizeof *s);
    }
}

struct arili_settings *arili_settings_hold(struct arili_proxy *proxy)
{
    (void)pthread_mutex_lock(&proxy->lock);
    struct arili_settings *s = proxy->settings;
    atomic_fetch_add(&s->refs, 1);
    (void)pthread_mutex_unlock(&proxy->lock);
    return s;
}

void arili_settings_drop(struct arili_settings *s)
{
    if (s != NULL && atomic_fetch_sub(&s->refs, 1) == 1) {
        settings_free(s);
    }
}

/* The password of the servers, without the line end that editors put behind it. */
static aril_status read_password(const char *path, struct arili_settings *s, aril_error *error)
{
    struct arili_file file = { .data = NULL };
    ARILI_TRY(arili_file_read(path, ARIL_SECRET_BYTES_MAX,
                              ARILI_FILE_SECRET | ARILI_FILE_ROOT_MAY_SHARE, &file, error));
    size_t len = file.len;
    while (len > 0 && (file.data[len - 1] == '\n' || file.data[len - 1] == '\r')) {
        len--;
    }
    s->password = len > 0 ? arili_alloc(len) : NULL;
    if (s->password != NULL) {
        memcpy(s->password, file.data, len);
        s->password_len = len;
    }
    arili_file_done(&file);
    return len > 0 && s->password == NULL ? ARIL_E_NOMEM : ARIL_OK;
}

/* config is taken when it goes well. */
static aril_status settings_new(aril_runtime *rt, struct arili_proxy_config *config,
                                struct arili_settings **ret, aril_error *error)
{
    struct arili_settings *s = arili_alloc(sizeof *s);
    ARILI_ENSURE(s != NULL, ARIL_E_NOMEM);
    atomic_init(&s->refs, 1);
    aril_status st = ARIL_OK;
    if (config->credentials != NULL) {
        st = arili_credentials_read(rt, config->credentials, &s->credentials, error);
    }
    if (st == ARIL_OK && config->upstream.password_file != NULL) {
        st = read_password(config->upstream.password_file, s, error);
    }
    if (st != ARIL_OK) {
        settings_free(s);
        return st;
    }
    s->config = config;
    *ret = s;
    return ARIL_OK;
}

/* --- Tenants -------------------------------------------------------------------------------- */

static struct arili_tenant *find(struct arili_tenant *list, aril_bytes id)
{
    for (struct arili_tenant *t = list; t != NULL; t = t->next) {
        if (t->id_len == id.len && memcmp(t->id, id.data, id.len) == 0) {
            return t;
        }
    }
    return NULL;
}

/* Every tenant of the configuration has its object, and its place in the list for ever. */
static aril_status make_tenants(struct arili_proxy *proxy, const struct arili_proxy_config *config)
{
    for (size_t i = 0; i < config->tenant_count; i++) {
        const char *id = config->tenants[i].id;
        const aril_bytes bytes = { (const uint8_t *)id, strlen(id) };
        struct arili_tenant *t = NULL;
        if (find(proxy->tenants, bytes) != NULL) {
            continue;
        }
        ARILI_TRY(arili_tenant_new(bytes, config->space, config->upstream.cluster, &t));
        t->next = proxy->tenants;
        proxy->tenants = t;
        proxy->tenant_count++;
    }
    return ARIL_OK;
}

aril_status arili_proxy_tenant(struct arili_proxy *proxy, const struct arili_settings *settings,
                               aril_bytes id, struct arili_tenant **ret)
{
    ARILI_ENSURE(arili_config_tenant(settings->config, id) != NULL, ARIL_E_NOT_FOUND);
    (void)pthread_mutex_lock(&proxy->lock);
    struct arili_tenant *t = find(proxy->tenants, id);
    (void)pthread_mutex_unlock(&proxy->lock);
    ARILI_ENSURE(t != NULL, ARIL_E_NOT_FOUND);
    *ret = t;
    return ARIL_OK;
}

/* --- New and gone --------------------------------------------------------------------------- */

void arili_proxy_say(const struct arili_proxy *proxy, int level, const char *format, ...)
{
    char text[512];
    va_list args;
    if (proxy->log == NULL) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    proxy->log(proxy->user, level, text);
}

static void tell_service(struct arili_proxy *proxy, enum arili_tell kind, aril_status st)
{
    struct arili_telling t = { .kind = kind, .status = st };
    if (arili_proxy_may_tell(proxy, NULL, &t)) {
        arili_proxy_tell(proxy, &t);
    }
}

static aril_status begin(struct arili_proxy *proxy, struct arili_proxy_config *config,
                         aril_error *error)
{
    static const char hex[] = "0123456789abcdef";
    const struct arili_crypto *c = &proxy->rt->crypto;
    uint8_t random[20];
    uint64_t s = 0;
    ARILI_TRY(c->ops->random(c->provider, random, sizeof random));
    for (size_t i = 0; i < sizeof random; i++) {
        proxy->run_id[2 * i] = hex[random[i] >> 4];
        proxy->run_id[2 * i + 1] = hex[random[i] & 15];
    }
    ARILI_TRY(proxy->rt->clock.unix_s(proxy->rt->clock.state, &s));
    proxy->started_ms = s * 1000;
    proxy->budget.max = config->memory_max;
    (void)snprintf(proxy->server_version, sizeof proxy->server_version, "%s", SERVER_VERSION);
    ARILI_TRY(arili_tries_new(&proxy->tries));
    ARILI_TRY(make_tenants(proxy, config));
    return settings_new(proxy->rt, config, &proxy->settings, error);
}

aril_status arili_proxy_new(const struct arili_proxy_setup *setup, struct arili_proxy **ret,
                            aril_error *error)
{
    struct arili_proxy *proxy = arili_alloc(sizeof *proxy);
    if (proxy == NULL) {
        arili_config_free(setup->config);
        return ARIL_E_NOMEM;
    }
    proxy->rt = setup->rt;
    proxy->keyring = setup->keyring;
    proxy->log = setup->log;
    proxy->user = setup->user;
    proxy->audit_lost = setup->audit_lost;
    arili_tells_init(&proxy->tells);
    if (pthread_mutex_init(&proxy->lock, NULL) != 0) {
        arili_tells_done(&proxy->tells);
        arili_config_free(setup->config);
        arili_free(proxy, sizeof *proxy);
        return ARIL_E_NOMEM;
    }
    const aril_status st = begin(proxy, setup->config, error);
    if (st != ARIL_OK) {
        if (proxy->settings == NULL) {
            arili_config_free(setup->config);
        }
        arili_proxy_free(proxy);
        return st;
    }
    tell_service(proxy, ARILI_TELL_START, ARIL_OK);
    *ret = proxy;
    return ARIL_OK;
}

void arili_proxy_free(struct arili_proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    if (proxy->settings != NULL) {
        tell_service(proxy, ARILI_TELL_END, ARIL_OK);
    }
    arili_settings_drop(proxy->settings);
    while (proxy->tenants != NULL) {
        struct arili_tenant *next = proxy->tenants->next;
        arili_tenant_free(proxy->tenants);
        proxy->tenants = next;
    }
    arili_tries_free(proxy->tries);
    arili_tells_done(&proxy->tells);
    (void)pthread_mutex_destroy(&proxy->lock);
    arili_free(proxy, sizeof *proxy);
}

static aril_status reload(struct arili_proxy *proxy, struct arili_proxy_config *config,
                          aril_error *error)
{
    struct arili_settings *now = NULL;
    struct arili_settings *old = arili_settings_hold(proxy);
    const char *fixed = arili_config_fixed_difference(old->config, config);
    aril_status st = ARIL_OK;
    arili_settings_drop(old);
    if (fixed != NULL) {
        st = arili_error_set(error, ARIL_E_USAGE_STATE,
                             "%s: %s cannot change while arild runs; restart it", config->path,
                             fixed);
    } else {
        st = settings_new(proxy->rt, config, &now, error);
    }
    if (st != ARIL_OK) {
        return st;
    }
    (void)pthread_mutex_lock(&proxy->lock);
    st = make_tenants(proxy, config);
    if (st == ARIL_OK) {
        old = proxy->settings;
        proxy->settings = now;
    }
    (void)pthread_mutex_unlock(&proxy->lock);
    if (st != ARIL_OK) {
        now->config = NULL; /* the caller's again */
        settings_free(now);
        return st;
    }
    arili_settings_drop(old);
    return ARIL_OK;
}

void arili_proxy_reload_refused(struct arili_proxy *proxy, aril_status st)
{
    arili_figure_add(&proxy->figures.reload_failures, 1);
    tell_service(proxy, ARILI_TELL_RELOAD, st);
}

aril_status arili_proxy_reload(struct arili_proxy *proxy, struct arili_proxy_config *config,
                               aril_error *error)
{
    const aril_status st = reload(proxy, config, error);
    if (st == ARIL_OK) {
        arili_figure_add(&proxy->figures.reloads, 1);
        arili_proxy_refresh(proxy);
        tell_service(proxy, ARILI_TELL_RELOAD, ARIL_OK);
    } else {
        arili_proxy_reload_refused(proxy, st);
    }
    return st;
}

/* --- Looking -------------------------------------------------------------------------------- */

void arili_proxy_refresh(struct arili_proxy *proxy)
{
    (void)pthread_mutex_lock(&proxy->lock);
    struct arili_tenant *t = proxy->tenants;
    (void)pthread_mutex_unlock(&proxy->lock);
    for (; t != NULL; t = t->next) { /* the list only grows at its head */
        arili_tenant_refresh(t, proxy->rt, proxy->keyring);
    }
    arili_proxy_tell_owed(proxy);
}

/* Whether keys are there for anybody; the status of the first tenant that has none. *ret_unsealed
 * tenants can be read alone, *ret_why says why of one of them. */
static aril_status keys_status(struct arili_proxy *proxy, uint64_t *ret_unsealed,
                               aril_status *ret_why)
{
    aril_status first = ARIL_OK;
    bool any = false;
    *ret_unsealed = 0;
    *ret_why = ARIL_OK;
    (void)pthread_mutex_lock(&proxy->lock);
    struct arili_tenant *t = proxy->tenants;
    (void)pthread_mutex_unlock(&proxy->lock);
    for (; t != NULL; t = t->next) {
        struct arili_tenant_keys *keys = arili_tenant_keys_hold(t);
        const aril_status st = keys->status;
        const aril_status sealing = keys->seal_status;
        arili_tenant_keys_drop(keys);
        any = any || st == ARIL_OK;
        first = first == ARIL_OK ? st : first;
        if (st == ARIL_OK && sealing != ARIL_OK) {
            (*ret_unsealed)++;
            *ret_why = sealing;
        }
    }
    return any ? ARIL_OK : first;
}

aril_status arili_proxy_ready(struct arili_proxy *proxy, aril_error *error)
{
    uint64_t unsealed = 0;
    aril_status why = ARIL_OK;
    const aril_status st = keys_status(proxy, &unsealed, &why);
    if (st != ARIL_OK) {
        return arili_error_set(error, st, "no tenant has keys: %s; %s", aril_status_text(st),
                               aril_status_hint(st));
    }
    if (atomic_load(&proxy->server_down)) {
        return arili_error_set(error, ARIL_E_IO, "no server can be reached; look at the log");
    }
    if (unsealed > 0) { /* reading goes on, so that clients are not sent away */
        (void)arili_error_set(error, why, "%llu tenants can be read, not written: %s; %s",
                              (unsigned long long)unsealed, aril_status_text(why),
                              aril_status_hint(why));
    }
    return ARIL_OK;
}
