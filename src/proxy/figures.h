/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_PROXY_FIGURES_H
#define ARILI_PROXY_FIGURES_H
#include <stdatomic.h>
#include <stdint.h>

/* What is counted, of a tenant and in all. Relaxed atomics; a loop adds, who reports reads. */
#define ARILI_TENANT_FIGURES(X)                                                              \
    X(commands, "commands_total", "Commands of clients that were answered")                  \
    X(hits, "hits_total", "Values that were read, verified and handed out")                  \
    X(misses, "misses_total", "Values that were asked for and not there")                    \
    X(tampered, "tampered_total", "Values that were not what was put under their name")      \
    X(expired, "expired_total", "Values that a server had although their time was over")     \
    X(key_gone, "key_gone_total", "Values whose key is gone")                                \
    X(refused, "refused_total", "Commands that were refused")                                \
    X(sealed_bytes, "sealed_bytes_total", "Plaintext bytes that were sealed")                \
    X(opened_bytes, "opened_bytes_total", "Plaintext bytes that were opened")                \
    X(resealed, "resealed_total", "Values that were sealed again for a longer time to live") \
    X(removed, "removed_total", "Tampered values that were removed")                         \
    X(quarantined, "quarantined_total", "Tampered values that were moved aside")
#define ARILI_PROXY_FIGURES(X)                                                                   \
    X(connections, "connections_total", "Clients that were accepted")                            \
    X(rejected, "connections_rejected_total", "Clients that were one too many")                  \
    X(protocol_errors, "protocol_errors_total", "Clients that did not speak RESP")               \
    X(logins, "logins_total", "Clients that said who they are")                                  \
    X(login_failures, "login_failures_total", "Wrong passwords, tokens and certificates")        \
    X(slow_clients, "slow_clients_total", "Clients that were closed for being too slow")         \
    X(link_connects, "upstream_connects_total", "Connections to servers that were made")         \
    X(link_failures, "upstream_failures_total", "Connections to servers that failed")            \
    X(link_nonsense, "upstream_nonsense_total", "Servers that answered what RESP does not have") \
    X(redirects, "upstream_redirects_total", "MOVED and ASK answers")                            \
    X(key_waits, "key_waits_total", "Values that waited for a key to be unwrapped")              \
    X(reloads, "reloads_total", "Configurations that were taken over")                           \
    X(reload_failures, "reload_failures_total", "Configurations that were refused")              \
    X(audit_events, "audit_events_total", "Events of the proxy that the audit log was told")     \
    X(audit_suppressed, "audit_suppressed_total", "Events that are in it as a number only")      \
    X(audit_lost, "audit_lost_total", "Events that could not be written to the audit log")

struct arili_tenant_figures {
#define X(member, name, help) _Atomic uint64_t member;
    ARILI_TENANT_FIGURES(X)
#undef X
};
struct arili_proxy_figures {
#define X(member, name, help) _Atomic uint64_t member;
    ARILI_PROXY_FIGURES(X)
#undef X
};
/* Time from a whole command to its whole answer: bucket i counts those below 2^i us. */
#define ARILI_LATENCY_BUCKETS 32u
struct arili_latency {
    _Atomic uint64_t buckets[ARILI_LATENCY_BUCKETS];
    _Atomic uint64_t sum_us;
};
static inline void arili_figure_add(_Atomic uint64_t *figure, uint64_t n)
{
    atomic_fetch_add_explicit(figure, n, memory_order_relaxed);
}
static inline uint64_t arili_figure(const _Atomic uint64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed);
}
#endif
