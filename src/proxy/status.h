/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_STATUS_H
#define ARILI_PROXY_STATUS_H
#include "proxy/config.h"
#include "proxy/figures.h"
#include <aril/metrics.h>

/*
 * How a proxy stands, at one moment, and the two texts that are made of it: figures for Prometheus
 * and JSON for the status page and `aril proxy top`. The proxy fills a struct arili_status; nothing
 * here looks at a loop, a keyring or a clock. docs/OPERATIONS.md lists the figures.
 */
#define ARILI_STATUS_LABELS_MAX                                                                    \
    64u                             /* tenants, and servers, with labels of their own; the rest is \
                                       one sum with the label "other" */
#define ARILI_STATUS_ROWS_MAX 1000u /* tenants, and servers, in the JSON */
#define ARILI_STATUS_SCHEMA   1u    /* of the JSON */

/* Figures as numbers: read one by one, so that sums of several are right to within what was
 * answered meanwhile. */
struct arili_status_tenant_figures {
#define X(member, name, help) uint64_t member;
    ARILI_TENANT_FIGURES(X)
#undef X
};
struct arili_status_proxy_figures {
#define X(member, name, help) uint64_t member;
    ARILI_PROXY_FIGURES(X)
#undef X
};
struct arili_status_latency {
    uint64_t buckets[ARILI_LATENCY_BUCKETS]; /* not cumulative; the last has all that is longer */
    uint64_t sum_us;
};
/* Add what another has: of several loops, or of one. */
void arili_status_add_tenant(struct arili_status_tenant_figures *sum,
                             const struct arili_tenant_figures *figures);
void arili_status_add_proxy(struct arili_status_proxy_figures *sum,
                            const struct arili_proxy_figures *figures);
void arili_status_add_latency(struct arili_status_latency *sum,
                              const struct arili_latency *latency);

struct arili_status_server {
    char address[ARILI_ADDRESS_TEXT]; /* each is there once */
    bool up;                          /* it answered lately */
    const char *state;                /* for people: "up", "connecting", "refused". Borrowed */
    uint64_t links, failures;
};
struct arili_status_tenant {
    aril_bytes id; /* borrowed, any bytes; each is there once */
    uint64_t clients;
    struct arili_status_tenant_figures figures;
    aril_status key_status;   /* of the data key; ARIL_OK: it seals */
    uint64_t key_created_s;   /* 0: not known */
    uint64_t key_rotate_by_s; /* 0: never, or not known */
};
/* All pointers are borrowed. */
struct arili_status {
    const char *version;
    uint64_t started_s, now_s; /* seconds since 1970 */
    const char *not_ready;     /* why not, for people; NULL: clients can be served */
    uint64_t clients;
    uint64_t memory_used, memory_max; /* bytes of all buffers */
    const struct arili_status_server *servers;
    size_t server_count;
    const struct arili_status_tenant *tenants; /* those first that shall have labels */
    size_t tenant_count;
    struct arili_status_latency latency;
    struct arili_status_proxy_figures figures;
};

/* All figures, those of one name one after the other. Does not allocate. */
void arili_status_metrics(const struct arili_status *s, const aril_metrics_sink *sink);

/*
 * One object, NUL-terminated:
 *   schema, version, now, started (seconds), state ("ready", "not ready"), reason, clients,
 *   memory {used, max}, latency {count, sum_us, p50_us, p99_us, p999_us, buckets [32]},
 *   servers [{address, up (0, 1), state, links, failures}], servers_in_all,
 *   tenants [{tenant, clients, key {status, text, created, rotate_by}, figures {...}}],
 *   tenants_in_all, figures {...}
 * Members of figures are named as those of proxy/figures.h; created and rotate_by are not there
 * where they are not known. Only NOMEM. *ret ends with arili_status_free(*ret, *ret_bytes).
 */
ARIL_MUST_USE aril_status arili_status_json(const struct arili_status *s, char **ret,
                                            size_t *ret_bytes);
/* What arili_status_json() and arili_proxy_status_json() gave; accepts NULL. */
void arili_status_free(char *text, size_t bytes);

/* So long or shorter took permille of 1000 commands, in us: inside a bucket as if they lay evenly.
 * 0 without any. */
uint64_t arili_status_quantile_us(const struct arili_status_latency *latency, unsigned permille);

/*
 * A tenant id or an address as a label: what is no well-formed UTF-8, control and formatting
 * characters and '%' become %XX, so that two ids never have the same text, lines stay lines and
 * terminals and browsers show what is there. The id "other" is written "%6Fther", for the label
 * "other" is a sum.
 */
#define ARILI_STATUS_LABEL_TEXT 768u /* three for each of 255 bytes, and NUL */
void arili_status_label(aril_bytes id, char ret[static ARILI_STATUS_LABEL_TEXT]);
#endif
