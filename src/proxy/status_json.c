/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "base/json.h"
#include "base/mem.h"
#include "proxy/status.h"

static void put_u64(struct arili_json *j, const char *key, uint64_t value)
{
    arili_json_key(j, key);
    arili_json_u64(j, value);
}

static void put_text(struct arili_json *j, const char *key, const char *text)
{
    arili_json_key(j, key);
    arili_json_text(j, text);
}

static void put_label(struct arili_json *j, const char *key, aril_bytes id)
{
    char label[ARILI_STATUS_LABEL_TEXT];
    arili_status_label(id, label);
    put_text(j, key, label);
}

static void put_latency(struct arili_json *j, const struct arili_status_latency *l)
{
    uint64_t count = 0;
    for (size_t i = 0; i < ARILI_LATENCY_BUCKETS; i++) {
        count += l->buckets[i];
    }
    arili_json_key(j, "latency");
    arili_json_object_begin(j);
    put_u64(j, "count", count);
    put_u64(j, "sum_us", l->sum_us);
    put_u64(j, "p50_us", arili_status_quantile_us(l, 500));
    put_u64(j, "p99_us", arili_status_quantile_us(l, 990));
    put_u64(j, "p999_us", arili_status_quantile_us(l, 999));
    arili_json_key(j, "buckets");
    arili_json_array_begin(j);
    for (size_t i = 0; i < ARILI_LATENCY_BUCKETS; i++) {
        arili_json_u64(j, l->buckets[i]);
    }
    arili_json_array_end(j);
    arili_json_object_end(j);
}

static void put_servers(struct arili_json *j, const struct arili_status *s)
{
    arili_json_key(j, "servers");
    arili_json_array_begin(j);
    for (size_t i = 0; i < s->server_count && i < ARILI_STATUS_ROWS_MAX; i++) {
        const struct arili_status_server *server = &s->servers[i];
        const size_t len = strnlen(server->address, sizeof server->address);
        arili_json_object_begin(j);
        put_label(j, "address", (aril_bytes){ (const uint8_t *)server->address, len });
        put_u64(j, "up", server->up ? 1 : 0);
        put_text(j, "state", server->state != NULL ? server->state : "");
        put_u64(j, "links", server->links);
        put_u64(j, "failures", server->failures);
        arili_json_object_end(j);
    }
    arili_json_array_end(j);
    put_u64(j, "servers_in_all", s->server_count);
}

static void put_key(struct arili_json *j, const struct arili_status_tenant *t)
{
    arili_json_key(j, "key");
    arili_json_object_begin(j);
    put_text(j, "status", aril_status_name(t->key_status));
    put_text(j, "text", aril_status_text(t->key_status));
    if (t->key_created_s != 0) {
        put_u64(j, "created", t->key_created_s);
    }
    if (t->key_rotate_by_s != 0) {
        put_u64(j, "rotate_by", t->key_rotate_by_s);
    }
    arili_json_object_end(j);
}

static void put_tenants(struct arili_json *j, const struct arili_status *s)
{
    arili_json_key(j, "tenants");
    arili_json_array_begin(j);
    for (size_t i = 0; i < s->tenant_count && i < ARILI_STATUS_ROWS_MAX; i++) {
        const struct arili_status_tenant *t = &s->tenants[i];
        arili_json_object_begin(j);
        put_label(j, "tenant", t->id);
        put_u64(j, "clients", t->clients);
        put_key(j, t);
        arili_json_key(j, "figures");
        arili_json_object_begin(j);
#define X(member, name, help) put_u64(j, #member, t->figures.member);
        ARILI_TENANT_FIGURES(X)
#undef X
        arili_json_object_end(j);
        arili_json_object_end(j);
    }
    arili_json_array_end(j);
    put_u64(j, "tenants_in_all", s->tenant_count);
}

static void put_all(struct arili_json *j, const struct arili_status *s)
{
    arili_json_object_begin(j);
    put_u64(j, "schema", ARILI_STATUS_SCHEMA);
    put_text(j, "version", s->version);
    put_u64(j, "now", s->now_s);
    put_u64(j, "started", s->started_s);
    put_text(j, "state", s->not_ready == NULL ? "ready" : "not ready");
    put_text(j, "reason", s->not_ready == NULL ? "" : s->not_ready);
    put_u64(j, "clients", s->clients);
    arili_json_key(j, "memory");
    arili_json_object_begin(j);
    put_u64(j, "used", s->memory_used);
    put_u64(j, "max", s->memory_max);
    arili_json_object_end(j);
    put_latency(j, &s->latency);
    put_servers(j, s);
    put_tenants(j, s);
    arili_json_key(j, "figures");
    arili_json_object_begin(j);
#define X(member, name, help) put_u64(j, #member, s->figures.member);
    ARILI_PROXY_FIGURES(X)
#undef X
    arili_json_object_end(j);
    arili_json_object_end(j);
}

aril_status arili_status_json(const struct arili_status *s, char **ret, size_t *ret_bytes)
{
    struct arili_json measure = arili_json_init(NULL, 0);
    put_all(&measure, s);
    const size_t bytes = measure.out.len + 1;
    char *text = arili_alloc(bytes);
    ARILI_ENSURE(text != NULL, ARIL_E_NOMEM);
    struct arili_json j = arili_json_init(text, bytes - 1);
    size_t len = 0;
    put_all(&j, s);
    const aril_status st = arili_json_end(&j, &len);
    if (st != ARIL_OK) {
        arili_free(text, bytes);
        return st;
    }
    text[len] = '\0';
    *ret = text;
    *ret_bytes = bytes;
    return ARIL_OK;
}
