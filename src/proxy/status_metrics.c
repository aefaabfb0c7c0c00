/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/status.h"
#include <stdio.h>
#include <string.h>

#define PREFIX   "aril_proxy_"
#define LE_BYTES 32u

static void give(const aril_metrics_sink *sink, aril_metric_type type, const char *name,
                 const char *help, const char *const *labels, double value)
{
    const aril_metric m = {
        .name = name, .help = help, .type = type, .labels = labels, .value = value
    };
    sink->sample(sink->state, &m);
}

static void gauge(const aril_metrics_sink *sink, const char *name, const char *help, double value)
{
    give(sink, ARIL_METRIC_GAUGE, name, help, NULL, value);
}

/* --- the proxy ------------------------------------------------------------------------------- */

static void give_proxy(const struct arili_status *s, const aril_metrics_sink *sink)
{
    const char *const version[] = { "version", s->version, NULL };
    give(sink, ARIL_METRIC_GAUGE, PREFIX "build_info",
         "Always 1; the label says which version runs", version, 1);
    gauge(sink, PREFIX "start_time_seconds", "When it started, in seconds since 1970",
          (double)s->started_s);
    gauge(sink, PREFIX "ready", "1 when clients can be served, else 0", s->not_ready == NULL);
    gauge(sink, PREFIX "clients", "Clients that are connected", (double)s->clients);
    gauge(sink, PREFIX "memory_used_bytes", "Buffers of all connections", (double)s->memory_used);
    gauge(sink, PREFIX "memory_max_bytes", "The most that buffers may take", (double)s->memory_max);
    gauge(sink, PREFIX "tenants", "Tenants that are known", (double)s->tenant_count);
#define X(member, name, help) \
    give(sink, ARIL_METRIC_COUNTER, PREFIX name, help, NULL, (double)s->figures.member);
    ARILI_PROXY_FIGURES(X)
#undef X
}

/* --- servers --------------------------------------------------------------------------------- */

static double server_up(const struct arili_status_server *s)
{
    return s->up ? 1 : 0;
}
static double server_links(const struct arili_status_server *s)
{
    return (double)s->links;
}
static double server_failures(const struct arili_status_server *s)
{
    return (double)s->failures;
}

static void give_servers(const struct arili_status *s, const aril_metrics_sink *sink)
{
    static const struct {
        const char *name, *help;
        aril_metric_type type;
        double (*of)(const struct arili_status_server *s);
    } figures[] = {
        { PREFIX "server_up", "1 when the server answered lately, else 0", ARIL_METRIC_GAUGE,
          server_up },
        { PREFIX "server_links", "Connections to the server", ARIL_METRIC_GAUGE, server_links },
        { PREFIX "server_failures_total", "Connections to the server that failed",
          ARIL_METRIC_COUNTER, server_failures },
    };
    char label[ARILI_STATUS_LABEL_TEXT];
    const char *const labels[] = { "server", label, NULL };
    const char *const other[] = { "server", "other", NULL };
    for (size_t f = 0; f < sizeof figures / sizeof figures[0]; f++) {
        double sum = 0;
        for (size_t i = 0; i < s->server_count; i++) {
            const char *address = s->servers[i].address;
            const double value = figures[f].of(&s->servers[i]);
            if (i >= ARILI_STATUS_LABELS_MAX) {
                sum += value;
                continue;
            }
            const size_t len = strnlen(address, ARILI_ADDRESS_TEXT);
            arili_status_label((aril_bytes){ (const uint8_t *)address, len }, label);
            give(sink, figures[f].type, figures[f].name, figures[f].help, labels, value);
        }
        if (s->server_count > ARILI_STATUS_LABELS_MAX) {
            give(sink, figures[f].type, figures[f].name, figures[f].help, other, sum);
        }
    }
}

/* --- tenants --------------------------------------------------------------------------------- */

/* What a figure of tenants is made of: a member, or more. */
struct tenant_figure {
    const char *name, *help;
    aril_metric_type type;
    /* False: this tenant has none. */
    bool (*of)(const struct arili_status *s, const struct arili_status_tenant *t, double *ret);
    enum { SUM, GREATEST, LEAST } other; /* of those that share the label "other" */
};

#define X(member, name, help)                                                                      \
    static bool tenant_##member(const struct arili_status *s, const struct arili_status_tenant *t, \
                                double *ret)                                                       \
    {                                                                                              \
        (void)s;                                                                                   \
        *ret = (double)t->figures.member;                                                          \
        return true;                                                                               \
    }
ARILI_TENANT_FIGURES(X)
#undef X

static bool tenant_clients(const struct arili_status *s, const struct arili_status_tenant *t,
                           double *ret)
{
    (void)s;
    *ret = (double)t->clients;
    return true;
}

static bool tenant_key_usable(const struct arili_status *s, const struct arili_status_tenant *t,
                              double *ret)
{
    (void)s;
    *ret = t->key_status == ARIL_OK ? 1 : 0;
    return true;
}

/* A clock that went back makes no key younger than new. */
static bool tenant_key_age(const struct arili_status *s, const struct arili_status_tenant *t,
                           double *ret)
{
    *ret = s->now_s > t->key_created_s ? (double)(s->now_s - t->key_created_s) : 0;
    return t->key_created_s != 0;
}

static bool tenant_key_rotate_by(const struct arili_status *s, const struct arili_status_tenant *t,
                                 double *ret)
{
    (void)s;
    *ret = (double)t->key_rotate_by_s;
    return t->key_rotate_by_s != 0;
}

static const struct tenant_figure tenant_figures[] = {
#define X(member, name, help) { PREFIX name, help, ARIL_METRIC_COUNTER, tenant_##member, SUM },
    ARILI_TENANT_FIGURES(X)
#undef X
        { PREFIX "tenant_clients", "Clients that are connected as this tenant", ARIL_METRIC_GAUGE,
          tenant_clients, SUM },
    { PREFIX "key_usable", "1 when the tenant's data key seals, else 0", ARIL_METRIC_GAUGE,
      tenant_key_usable, LEAST },
    { PREFIX "key_age_seconds", "Age of the data key that seals", ARIL_METRIC_GAUGE, tenant_key_age,
      GREATEST },
    { PREFIX "key_rotate_by_seconds", "When it is to be rotated, in seconds since 1970",
      ARIL_METRIC_GAUGE, tenant_key_rotate_by, LEAST },
};

static double join(const struct tenant_figure *f, double a, double b)
{
    if (f->other == SUM) {
        return a + b;
    }
    return (a < b) == (f->other == LEAST) ? a : b;
}

static void give_tenant_figure(const struct arili_status *s, const aril_metrics_sink *sink,
                               const struct tenant_figure *f)
{
    char label[ARILI_STATUS_LABEL_TEXT];
    const char *const labels[] = { "tenant", label, NULL };
    const char *const other[] = { "tenant", "other", NULL };
    bool any = false;
    double joined = 0;
    for (size_t i = 0; i < s->tenant_count; i++) {
        double value = 0;
        if (!f->of(s, &s->tenants[i], &value)) {
            continue;
        }
        if (i < ARILI_STATUS_LABELS_MAX) {
            arili_status_label(s->tenants[i].id, label);
            give(sink, f->type, f->name, f->help, labels, value);
        } else {
            joined = any ? join(f, joined, value) : value;
            any = true;
        }
    }
    if (any) {
        give(sink, f->type, f->name, f->help, other, joined);
    }
}

/* --- latency --------------------------------------------------------------------------------- */

/* Bucket i has what is below 2^i us, and these are whole, so all of it is at most that; le is in
 * seconds, with a point whatever the locale. The last has no end. */
static void give_latency(const struct arili_status_latency *l, const aril_metrics_sink *sink)
{
    char le[LE_BYTES];
    const char *const labels[] = { "le", le, NULL };
    double below = 0;
    for (unsigned i = 0; i < ARILI_LATENCY_BUCKETS; i++) {
        const uint64_t us = UINT64_C(1) << i;
        below += (double)l->buckets[i];
        if (i + 1 == ARILI_LATENCY_BUCKETS) {
            (void)snprintf(le, sizeof le, "+Inf");
        } else {
            (void)snprintf(le, sizeof le, "%u.%06u", (unsigned)(us / 1000000),
                           (unsigned)(us % 1000000));
        }
        give(sink, ARIL_METRIC_COUNTER, PREFIX "latency_seconds_bucket",
             "Commands that took at most so long, from the whole command to its whole answer",
             labels, below);
    }
    give(sink, ARIL_METRIC_COUNTER, PREFIX "latency_seconds_sum", "The time of all of them", NULL,
         (double)l->sum_us / 1e6);
    give(sink, ARIL_METRIC_COUNTER, PREFIX "latency_seconds_count", "How many they are", NULL,
         below);
}

void arili_status_metrics(const struct arili_status *s, const aril_metrics_sink *sink)
{
    give_proxy(s, sink);
    give_servers(s, sink);
    for (size_t i = 0; i < sizeof tenant_figures / sizeof tenant_figures[0]; i++) {
        give_tenant_figure(s, sink, &tenant_figures[i]);
    }
    give_latency(&s->latency, sink);
}
