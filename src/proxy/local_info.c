/* SPDX-License-Identifier: Apache-2.0 */
/* INFO: facts of this proxy under the names that Redis has for them. What is not known here, such
 * as the number of keys, is left out; clients take a missing line for a feature that is not there.
 */
#include "proxy/local_internal.h"

#define MS_PER_S    1000u
#define S_PER_DAY   86400u
#define ZERO_RUN_ID "0000000000000000000000000000000000000000"

typedef void section_fn(const struct arili_local *l, struct arili_local_text *text);

static uint64_t uptime_s(const struct arili_local *l)
{
    return l->now_ms > l->started_ms ? (l->now_ms - l->started_ms) / MS_PER_S : 0;
}

/* "name:1.50M", as Redis writes sizes for people. */
static void add_human(struct arili_local_text *text, const char *name, uint64_t bytes)
{
    static const char UNITS[] = { 'B', 'K', 'M', 'G', 'T', 'P', 'E' };
    size_t unit = 0;
    uint64_t hundredths = bytes <= UINT64_MAX / 100 ? bytes * 100 : UINT64_MAX;
    while (hundredths >= UINT64_C(102400) && unit + 1 < sizeof UNITS) {
        hundredths /= 1024;
        unit++;
    }
    if (unit == 0) {
        arili_local_add(text, "%s:%lluB\r\n", name, (unsigned long long)bytes);
    } else {
        arili_local_add(text, "%s:%llu.%02u%c\r\n", name, (unsigned long long)(hundredths / 100),
                        (unsigned)(hundredths % 100), UNITS[unit]);
    }
}

static void server(const struct arili_local *l, struct arili_local_text *text)
{
    arili_local_add(text, "# Server\r\nredis_version:%s\r\naril_version:%s\r\nredis_mode:%s\r\n",
                    l->server_version, ARIL_VERSION, l->cluster ? "cluster" : "standalone");
    arili_local_add(text, "arch_bits:%u\r\nrun_id:%s\r\ntcp_port:%u\r\n",
                    (unsigned)sizeof(void *) * 8, l->run_id, (unsigned)l->self.port);
    arili_local_add(text,
                    "server_time_usec:%llu\r\nuptime_in_seconds:%llu\r\nuptime_in_days:%llu\r\n",
                    (unsigned long long)(l->now_ms * 1000), (unsigned long long)uptime_s(l),
                    (unsigned long long)(uptime_s(l) / S_PER_DAY));
}

static void clients(const struct arili_local *l, struct arili_local_text *text)
{
    arili_local_add(text,
                    "# Clients\r\nconnected_clients:%llu\r\nblocked_clients:0\r\n"
                    "tracking_clients:0\r\n",
                    (unsigned long long)l->clients);
}

static void memory(const struct arili_local *l, struct arili_local_text *text)
{
    arili_local_add(text, "# Memory\r\nused_memory:%llu\r\n", (unsigned long long)l->memory_used);
    add_human(text, "used_memory_human", l->memory_used);
    arili_local_add(text, "maxmemory:%llu\r\n", (unsigned long long)l->memory_max);
    add_human(text, "maxmemory_human", l->memory_max);
}

/* It never loads: clients wait while loading is 1. */
static void persistence(const struct arili_local *l, struct arili_local_text *text)
{
    (void)l;
    arili_local_add(text, "# Persistence\r\nloading:0\r\nasync_loading:0\r\naof_enabled:0\r\n");
}

static void stats(const struct arili_local *l, struct arili_local_text *text)
{
    arili_local_add(text,
                    "# Stats\r\ntotal_connections_received:%llu\r\n"
                    "total_commands_processed:%llu\r\nkeyspace_hits:%llu\r\n"
                    "keyspace_misses:%llu\r\n",
                    (unsigned long long)l->connections_total, (unsigned long long)l->commands_total,
                    (unsigned long long)l->hits, (unsigned long long)l->misses);
}

static void replication(const struct arili_local *l, struct arili_local_text *text)
{
    arili_local_add(text,
                    "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"
                    "master_failover_state:no-failover\r\nmaster_replid:%s\r\n"
                    "master_replid2:" ZERO_RUN_ID "\r\nmaster_repl_offset:0\r\n"
                    "second_repl_offset:-1\r\nrepl_backlog_active:0\r\n",
                    l->run_id);
}

static void modules(const struct arili_local *l, struct arili_local_text *text)
{
    (void)l;
    arili_local_add(text, "# Modules\r\n");
}

static void cluster(const struct arili_local *l, struct arili_local_text *text)
{
    arili_local_add(text, "# Cluster\r\ncluster_enabled:%d\r\n", l->cluster ? 1 : 0);
}

/* Counting the keys of a tenant is a scan: DBSIZE. */
static void keyspace(const struct arili_local *l, struct arili_local_text *text)
{
    (void)l;
    arili_local_add(text, "# Keyspace\r\n");
}

static const struct {
    const char *name;
    section_fn *add;
} SECTIONS[] = {
    { "server", server },           { "clients", clients }, { "memory", memory },
    { "persistence", persistence }, { "stats", stats },     { "replication", replication },
    { "modules", modules },         { "cluster", cluster }, { "keyspace", keyspace },
};
#define SECTION_COUNT (sizeof SECTIONS / sizeof SECTIONS[0])

/* Bits of the sections that are asked for; names that nobody knows ask for nothing. */
static uint32_t wanted(const struct arili_local_call *c)
{
    const uint32_t all = (1u << SECTION_COUNT) - 1;
    uint32_t bits = c->count == 1 ? all : 0;
    for (size_t i = 1; i < c->count; i++) {
        if (arili_local_is(c->args[i], "all") || arili_local_is(c->args[i], "default") ||
            arili_local_is(c->args[i], "everything")) {
            return all;
        }
        for (size_t j = 0; j < SECTION_COUNT; j++) {
            bits |= arili_local_is(c->args[i], SECTIONS[j].name) ? 1u << j : 0;
        }
    }
    return bits;
}

void arili_local_info(const struct arili_local_call *c)
{
    const uint32_t bits = wanted(c);
    struct arili_local_text text = { .len = 0 };
    for (size_t j = 0; j < SECTION_COUNT; j++) {
        if ((bits >> j & 1) != 0) {
            arili_local_add(&text, "%s", text.len > 0 ? "\r\n" : "");
            SECTIONS[j].add(c->l, &text);
        }
    }
    arili_local_say_text(c, &text);
}
