/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/mem.h"
#include "proxy/loop_internal.h"
#include "proxy/status.h"
#include <stdio.h>
#include <string.h>

/* How the proxy stands now, for figures and the status page. */

struct snapshot {
    struct arili_status status;
    struct arili_status_tenant *tenants;
    size_t tenant_cap;
    struct arili_status_server servers[ARILI_CONFIG_SEEDS_MAX];
    struct arili_settings *settings;
    char reason[300];
};

struct dates {
    const uint8_t *id; /* of the key that seals; NULL: of the one that would, were it not overdue */
    struct arili_status_tenant *row;
};
static int take_dates(void *user, const aril_key_info *info)
{
    const struct dates *d = user;
    if (d->id != NULL ? memcmp(info->id, d->id, ARIL_KEY_ID_BYTES) != 0
                      : info->state != ARIL_KEY_ACTIVE) {
        return 0;
    }
    d->row->key_created_s = info->created_s;
    d->row->key_rotate_by_s = info->rotate_by_s;
    return 1;
}

static void fill_key(const struct arili_proxy *proxy, const struct arili_tenant *t,
                     struct arili_status_tenant *ret)
{
    struct arili_tenant_keys *keys = arili_tenant_keys_hold((struct arili_tenant *)t);
    struct dates d = { .id = NULL, .row = ret };
    const aril_key_filter filter = { .owner = ret->id, .purposes = 1u << ARIL_KEY_DATA };
    ret->key_status = keys->seal_status;
    if (keys->status == ARIL_OK) {
        d.id = keys->data != NULL ? aril_tenant_key_id(keys->data) : NULL;
        arili_forgive(aril_keyring_list(proxy->keyring, &filter, take_dates, &d, NULL));
    }
    arili_tenant_keys_drop(keys);
}

static aril_status fill_tenants(struct arili_proxy *proxy, struct snapshot *s)
{
    (void)pthread_mutex_lock(&proxy->lock);
    struct arili_tenant *t = proxy->tenants;
    s->tenant_cap = proxy->tenant_count;
    (void)pthread_mutex_unlock(&proxy->lock);
    s->tenants = arili_alloc((s->tenant_cap > 0 ? s->tenant_cap : 1) * sizeof *s->tenants);
    ARILI_ENSURE(s->tenants != NULL, ARIL_E_NOMEM);
    size_t n = 0;
    for (; t != NULL && n < s->tenant_cap; t = t->next) {
        struct arili_status_tenant *row = &s->tenants[n++];
        row->id = (aril_bytes){ (const uint8_t *)t->id, t->id_len };
        row->clients = atomic_load(&t->clients);
        arili_status_add_tenant(&row->figures, &t->figures);
        if (n <= ARILI_STATUS_ROWS_MAX) {
            fill_key(proxy, t, row);
        }
    }
    s->status.tenants = s->tenants;
    s->status.tenant_count = n;
    return ARIL_OK;
}

static void fill_servers(struct arili_proxy *proxy, struct snapshot *s)
{
    const struct arili_upstream_config *u = &s->settings->config->upstream;
    const bool down = atomic_load(&proxy->server_down);
    for (size_t i = 0; i < u->seed_count; i++) {
        struct arili_status_server *row = &s->servers[i];
        arili_address_text(&u->seeds[i], row->address);
        row->up = !down;
        row->state = down ? "a server cannot be reached" : "up";
        row->links = i == 0 ? atomic_load(&proxy->links) : 0;
        row->failures = i == 0 ? arili_figure(&proxy->figures.link_failures) : 0;
    }
    s->status.servers = s->servers;
    s->status.server_count = u->seed_count;
}

static aril_status fill(struct arili_proxy *proxy, struct snapshot *s)
{
    struct arili_status *st = &s->status;
    aril_error error = { .status = ARIL_OK };
    st->version = aril_version();
    st->started_s = proxy->started_ms / 1000;
    ARILI_TRY(proxy->rt->clock.unix_s(proxy->rt->clock.state, &st->now_s));
    if (arili_proxy_ready(proxy, &error) != ARIL_OK) {
        (void)snprintf(s->reason, sizeof s->reason, "%.299s", error.message);
        st->not_ready = s->reason;
    }
    st->clients = atomic_load(&proxy->clients);
    st->memory_used = atomic_load(&proxy->budget.used);
    st->memory_max = proxy->budget.max;
    arili_status_add_proxy(&st->figures, &proxy->figures);
    if (proxy->audit_lost != NULL) {
        st->figures.audit_lost += arili_figure(proxy->audit_lost);
    }
    arili_status_add_latency(&st->latency, &proxy->latency);
    s->settings = arili_settings_hold(proxy);
    fill_servers(proxy, s);
    return fill_tenants(proxy, s);
}

static void done(struct snapshot *s)
{
    arili_settings_drop(s->settings);
    arili_free(s->tenants, (s->tenant_cap > 0 ? s->tenant_cap : 1) * sizeof *s->tenants);
    arili_free(s, sizeof *s);
}

void arili_proxy_metrics(struct arili_proxy *proxy, const aril_metrics_sink *sink)
{
    struct snapshot *s = arili_alloc(sizeof *s);
    if (s == NULL) {
        return;
    }
    if (fill(proxy, s) == ARIL_OK) {
        arili_status_metrics(&s->status, sink);
    }
    done(s);
}

aril_status arili_proxy_status_json(struct arili_proxy *proxy, char **ret, size_t *ret_bytes)
{
    struct snapshot *s = arili_alloc(sizeof *s);
    ARILI_ENSURE(s != NULL, ARIL_E_NOMEM);
    aril_status st = fill(proxy, s);
    if (st == ARIL_OK) {
        st = arili_status_json(&s->status, ret, ret_bytes);
    }
    done(s);
    return st;
}
