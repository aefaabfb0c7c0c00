/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/cache.h"
#include <stdio.h>

#define SPACE_LABEL_MAX 64u

static uint64_t figure(const _Atomic uint64_t *of)
{
    return atomic_load_explicit(of, memory_order_relaxed);
}

aril_status aril_cache_get_stats(aril_cache *cache, aril_cache_stats *ret_stats)
{
    ARILI_TRY(arili_cache_enter(cache));
    ARILI_ENSURE(ret_stats != NULL, ARIL_E_USAGE_NULL);
    aril_cache_stats s = { .invalidated = figure(&cache->invalidated) };
    for (size_t i = 0; i < cache->policy_count; i++) {
        const struct arili_policy *p = &cache->policies[i];
        for (size_t o = 0; o < ARIL_CACHE_OUTCOMES; o++) {
            s.outcomes[o] += figure(&p->outcomes[o]);
        }
        s.hits_l1 += figure(&p->hits_l1);
        s.hits_l2 += figure(&p->hits_l2);
        s.hits_stale += figure(&p->hits_stale);
        s.hits_legacy += figure(&p->hits_legacy);
        s.hits_old_key += figure(&p->hits_old_key);
        s.expired += figure(&p->expired);
        s.superseded += figure(&p->superseded);
        s.puts += figure(&p->puts);
        s.put_failures += figure(&p->put_failures);
        s.deletes += figure(&p->deletes);
        s.computed += figure(&p->computed);
        s.waited += figure(&p->waited);
        s.bytes_sealed += figure(&p->bytes_sealed);
        s.bytes_opened += figure(&p->bytes_opened);
    }
    s.outcomes[ARIL_CACHE_HIT] = s.hits_l1 + s.hits_l2;
    const struct arili_l1_stats l1 = arili_l1_get_stats(cache->l1);
    s.l1_entries = l1.entries;
    s.l1_bytes = l1.bytes;
    s.l1_evictions = l1.evictions;
    if (cache->store != NULL) {
        /* A store that is down tells what it knows; the rest stays unknown. */
        arili_forgive(aril_store_get_info(cache->store, &s.store, NULL));
    }
    *ret_stats = s;
    return ARIL_OK;
}

/* --- Metrics -------------------------------------------------------------------------------- */

/* The namespace as a label: bounded by the policies, "" for all others. What is not printable ASCII
 * becomes '?'. */
static const char *space_label(const struct arili_policy *p, char ret[SPACE_LABEL_MAX])
{
    const aril_bytes space = p->said.space;
    size_t len = space.len < SPACE_LABEL_MAX - 1 ? space.len : SPACE_LABEL_MAX - 1;
    for (size_t i = 0; i < len; i++) {
        ret[i] = space.data[i] >= 0x20 && space.data[i] < 0x7f ? (char)space.data[i] : '?';
    }
    ret[len] = '\0';
    return ret;
}

struct kind {
    const char *name, *help;
    const char *label, *label_value; /* beside the namespace, or NULL */
    size_t at;                       /* of the figure in struct arili_policy */
};
#define OF(member) offsetof(struct arili_policy, member)
#define OUTCOME(o) (offsetof(struct arili_policy, outcomes) + (o) * sizeof(_Atomic uint64_t))
static const struct kind kinds[] = {
    { "aril_cache_hits_total", "Values that were served, verified and decrypted.", "tier", "l1",
      OF(hits_l1) },
    { "aril_cache_hits_total", "Values that were served, verified and decrypted.", "tier", "l2",
      OF(hits_l2) },
    { "aril_cache_misses_total", "Reads that found nothing, or what was over.", NULL, NULL,
      OUTCOME(ARIL_CACHE_MISS) },
    { "aril_cache_failures_total", "Reads that failed.", "outcome", "key-gone",
      OUTCOME(ARIL_CACHE_KEY_GONE) },
    { "aril_cache_failures_total", "Reads that failed.", "outcome", "tampered",
      OUTCOME(ARIL_CACHE_TAMPERED) },
    { "aril_cache_failures_total", "Reads that failed.", "outcome", "down",
      OUTCOME(ARIL_CACHE_DOWN) },
    { "aril_cache_hits_stale_total", "Hits in the stale part of their life.", NULL, NULL,
      OF(hits_stale) },
    { "aril_cache_hits_old_key_total", "Hits that needed a key which seals no more.", NULL, NULL,
      OF(hits_old_key) },
    { "aril_cache_hits_legacy_total", "Hits in the format of another system.", NULL, NULL,
      OF(hits_legacy) },
    { "aril_cache_expired_total", "Misses because a value was past its sealed end.", NULL, NULL,
      OF(expired) },
    { "aril_cache_superseded_total", "Misses because of a bump, a flush or a tag.", NULL, NULL,
      OF(superseded) },
    { "aril_cache_puts_total", "Values that were sealed and stored.", NULL, NULL, OF(puts) },
    { "aril_cache_put_failures_total", "Values that could not be stored.", NULL, NULL,
      OF(put_failures) },
    { "aril_cache_deletes_total", "Deletes that were asked for.", NULL, NULL, OF(deletes) },
    { "aril_cache_computed_total", "Values that were computed by get-or-compute.", NULL, NULL,
      OF(computed) },
    { "aril_cache_waited_total", "Values that somebody else computed meanwhile.", NULL, NULL,
      OF(waited) },
    { "aril_cache_sealed_bytes_total", "Bytes of plaintext that were sealed for the store.", NULL,
      NULL, OF(bytes_sealed) },
    { "aril_cache_opened_bytes_total", "Bytes of plaintext that came from the store.", NULL, NULL,
      OF(bytes_opened) },
};

static void tell(const aril_metrics_sink *sink, const char *name, const char *help,
                 aril_metric_type type, const char *const *labels, uint64_t value)
{
    const aril_metric m = {
        .name = name, .help = help, .type = type, .labels = labels, .value = (double)value
    };
    sink->sample(sink->state, &m);
}

static void tell_policies(const aril_cache *cache, const aril_metrics_sink *sink)
{
    char space[SPACE_LABEL_MAX];
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        for (size_t i = 0; i < cache->policy_count; i++) {
            const struct arili_policy *p = &cache->policies[i];
            const char *labels[] = { "space", space_label(p, space), kinds[k].label,
                                     kinds[k].label_value, NULL };
            const _Atomic uint64_t *of =
                (const _Atomic uint64_t *)(const void *)((const char *)p + kinds[k].at);
            tell(sink, kinds[k].name, kinds[k].help, ARIL_METRIC_COUNTER, labels, figure(of));
        }
    }
}

static void tell_store(const aril_store_info *info, const aril_metrics_sink *sink)
{
    const char *labels[] = { "kind", info->kind, NULL };
    tell(sink, "aril_cache_store_calls_total", "Calls of the store.", ARIL_METRIC_COUNTER, labels,
         info->calls);
    tell(sink, "aril_cache_store_failures_total", "Calls that the store failed.",
         ARIL_METRIC_COUNTER, labels, info->failures);
    tell(sink, "aril_cache_store_rejected_total", "Calls that the breaker did not let through.",
         ARIL_METRIC_COUNTER, labels, info->rejected);
    tell(sink, "aril_cache_store_breaker_state", "0 closed, 1 open, 2 half open.",
         ARIL_METRIC_GAUGE, labels, (uint64_t)info->breaker);
}

aril_status aril_cache_metrics(aril_cache *cache, const aril_metrics_sink *sink)
{
    static const char *const none[] = { NULL };
    ARILI_ENSURE(sink != NULL && sink->sample != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(sink->abi == ARIL_METRICS_SINK_ABI, ARIL_E_USAGE_RANGE);
    aril_cache_stats s;
    ARILI_TRY(aril_cache_get_stats(cache, &s));
    tell_policies(cache, sink);
    tell(sink, "aril_cache_invalidated_total", "L1 values that other processes ended.",
         ARIL_METRIC_COUNTER, none, s.invalidated);
    tell(sink, "aril_cache_l1_entries", "Values in L1.", ARIL_METRIC_GAUGE, none, s.l1_entries);
    tell(sink, "aril_cache_l1_bytes", "Bytes that L1 takes, all overhead counted.",
         ARIL_METRIC_GAUGE, none, s.l1_bytes);
    tell(sink, "aril_cache_l1_evictions_total", "Values that L1 let go for want of room.",
         ARIL_METRIC_COUNTER, none, s.l1_evictions);
    if (s.store.kind != NULL) {
        tell_store(&s.store, sink);
    }
    return ARIL_OK;
}
