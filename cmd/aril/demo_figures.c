/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"
#include "demo_world.h"
#include <inttypes.h>
#include <stdio.h>

#define RUN_MS 150u /* for each figure: a first impression, "aril bench" takes longer */

static bool audit(struct demo_world *w)
{
    struct demo_report *r = w->report;
    for (size_t i = 0; i < DEMO_TENANTS; i++) {
        aril_session_flush_audit(aril_tenant_session(w->tenant[i].held));
        aril_session_flush_audit(w->tenant[i].client);
    }
    aril_audit_totals totals;
    const aril_status st = aril_audit_memory_totals(w->audit, &totals);
    if (st != ARIL_OK) {
        return demo_stop(r, "the audit log", st);
    }
    json_t *events = json_object();
    char line[512] = "";
    size_t at = 0;
    for (uint32_t k = 0; k < ARIL_EVENT_KINDS; k++) {
        const char *name = aril_event_kind_name((aril_event_kind)k);
        json_object_set_new(events, name, json_integer((json_int_t)totals.events[k]));
        if (totals.events[k] > 0 && at < sizeof line) {
            at += (size_t)snprintf(line + at, sizeof line - at, "%s%s %" PRIu64,
                                   at == 0 ? "" : ", ", name, totals.events[k]);
        }
    }
    json_object_set_new(r->root, "audit", events);
    demo_line(r, "%s", line);
    const uint64_t seen = totals.events[ARIL_EVENT_ISOLATION_VIOLATION];
    demo_fact(r, "every isolation violation was reported", seen == w->foreign_records,
              "%" PRIu64 " of %" PRIu64, seen, w->foreign_records);
    demo_fact(r, "nothing of the log was lost", totals.lost_security == 0,
              "%" PRIu64 " records sealed, %" PRIu64 " opened", totals.records_sealed,
              totals.records_opened);
    return true;
}

static void add_speed(struct demo_report *r, json_t *speeds, size_t bytes, const char *operation,
                      const struct measurement *m)
{
    const double gigabytes = m->per_second * (double)bytes / 1e9;
    json_array_append_new(speeds, json_pack("{s:I, s:s, s:f, s:f, s:f}", "bytes", (json_int_t)bytes,
                                            "operation", operation, "gigabytes_per_second",
                                            gigabytes, "p50_us", m->p50_us, "p99_us", m->p99_us));
    demo_line(r, "%-4s blocks of %4zu KiB   %8.2f GB/s   p50 %9.2f us   p99 %9.2f us", operation,
              bytes / 1024, gigabytes, m->p50_us, m->p99_us);
}

static bool speeds(struct demo_world *w)
{
    static const size_t sizes[] = { DEMO_BLOCK_BYTES, 2u << 20 };
    struct demo_report *r = w->report;
    struct measurement seal = { 0 };
    struct measurement opened = { 0 };
    struct measurement session = { 0 };
    json_t *list = json_array();
    json_object_set_new(r->root, "speeds", list);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const aril_status st = bench_records(w->rt, sizes[i], 1, RUN_MS, &seal, &opened);
        if (st != ARIL_OK) {
            return demo_stop(r, "measuring records", st);
        }
        add_speed(r, list, sizes[i], "seal", &seal);
        add_speed(r, list, sizes[i], "open", &opened);
    }
    const aril_status st = bench_sessions(w->rt, ARIL_PROFILE_HYBRID, RUN_MS, &session);
    if (st != ARIL_OK) {
        return demo_stop(r, "measuring sessions", st);
    }
    json_object_set_new(r->root, "establish_p50_ms", json_real(session.p50_us / 1e3));
    demo_line(r, "a session, hybrid, both ends  p50 %.2f ms   p99 %.2f ms", session.p50_us / 1e3,
              session.p99_us / 1e3);
    return true;
}

static void sizes_of_states(struct demo_world *w)
{
    json_t *list = json_array();
    json_object_set_new(w->report->root, "tenants", list);
    for (size_t i = 0; i < DEMO_TENANTS; i++) {
        const struct demo_tenant *t = &w->tenant[i];
        const size_t seals = t->sealed.count * ARIL_SEAL_BYTES;
        const double percent = 100.0 * (double)seals / (double)t->sealed.state_bytes;
        json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:I, s:f}", "name", t->name,
                                              "state_bytes", (json_int_t)t->sealed.state_bytes,
                                              "blocks", (json_int_t)t->sealed.count, "seal_bytes",
                                              (json_int_t)seals, "overhead_percent", percent));
        demo_line(w->report, "%-5s  state %zu bytes, %zu blocks, seals %zu bytes (%.3f %%)",
                  t->name, t->sealed.state_bytes, t->sealed.count, seals, percent);
    }
}

bool demo_figures(struct demo_world *w)
{
    demo_section(w->report, "What the audit log has");
    if (!audit(w)) {
        return false;
    }
    demo_section(w->report, "Figures, one core");
    sizes_of_states(w);
    return speeds(w);
}
