/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A registry of many tenants, each of which has sealed one record. It is made in a child of
 * its own, so that its memory is all that the child has: nothing is subtracted.
 */

#define TENANTS      10000u
#define RECORD_BYTES 2048u
#define LOOKUPS      500000u
#define ID_BYTES     32u

struct crowd {
    aril_runtime *rt;
    aril_identity *identity;
    aril_tenants *tenants;
    size_t count;
    char (*ids)[ID_BYTES];
};

static aril_bytes id_of(const struct crowd *c, size_t i)
{
    return (aril_bytes){ (const uint8_t *)c->ids[i], strlen(c->ids[i]) };
}

static void crowd_new(struct crowd *c, size_t count)
{
    static const uint8_t model[] = "bench-model";
    const aril_kv_config config = { .model = { model, sizeof model - 1 },
                                    .layout = { .name = "bench/1", .dtype = "f16" } };
    c->count = count;
    BENCH_OK(aril_runtime_new(NULL, &c->rt));
    BENCH_OK(aril_identity_generate(c->rt, ARIL_ML_DSA_65, &c->identity));
    const aril_tenants_config registry = { .models = &config,
                                           .model_count = 1,
                                           .identity = c->identity };
    BENCH_OK(aril_tenants_new(c->rt, &registry, &c->tenants));
    c->ids = calloc(count, sizeof *c->ids);
    BENCH_CHECK(c->ids != NULL);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(c->ids[i], sizeof c->ids[i], "tenant-%zu", i);
    }
}

static void admit(const struct crowd *c, size_t i)
{
    static uint8_t plain[RECORD_BYTES], body[RECORD_BYTES];
    static uint8_t seal[ARIL_SEAL_BYTES];
    const aril_kv_block block = { .layer_count = 1, .identity = ARIL_KV_CHAIN };
    const aril_span span = { plain, sizeof plain };
    aril_kv_item item = { .block = &block,
                          .spans = &span,
                          .span_count = 1,
                          .body = body,
                          .body_len = sizeof body,
                          .seal = seal };
    BENCH_OK(aril_tenants_create(c->tenants, id_of(c, i)));
    BENCH_OK(aril_tenants_seal(c->tenants, id_of(c, i), 0, &item, 1, NULL));
}

/* Resident memory of this process in KiB. */
static uint64_t resident_kib(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    BENCH_CHECK(f != NULL);
    char line[256];
    uint64_t kib = 0;
    while (kib == 0 && fgets(line, sizeof line, f) != NULL) {
        (void)sscanf(line, "VmRSS: %" SCNu64, &kib);
    }
    (void)fclose(f);
    BENCH_CHECK(kib != 0);
    return kib;
}

/* Nanoseconds to look a random tenant up and give it back. */
static double lookup_ns(const struct crowd *c)
{
    uint64_t state = 1;
    double rounds[BENCH_ROUNDS_MAX];
    for (size_t r = 0; r < BENCH_ROUNDS_MAX; r++) {
        const uint64_t start = bench_thread_ns();
        for (size_t i = 0; i < LOOKUPS; i++) {
            aril_tenant *t;
            BENCH_OK(aril_tenants_get(c->tenants, id_of(c, bench_next(&state) % c->count), &t));
            aril_tenant_put(t);
        }
        rounds[r] = (double)(bench_thread_ns() - start) / LOOKUPS;
    }
    return bench_median(rounds, BENCH_ROUNDS_MAX);
}

void bench_tenants_child(size_t count)
{
    struct crowd c;
    crowd_new(&c, count);
    const uint64_t start = bench_thread_ns();
    for (size_t i = 0; i < count; i++) {
        admit(&c, i);
    }
    const double create_us = (double)(bench_thread_ns() - start) / (double)count / 1000;
    const uint64_t kib = resident_kib();
    (void)printf("%" PRIu64 " %.1f %.2f\n", kib, create_us, lookup_ns(&c));
    aril_tenants_free(c.tenants);
    aril_identity_free(c.identity);
    aril_runtime_free(c.rt);
    free(c.ids);
}

void bench_tenants(void)
{
    if (!bench_wants("tenants")) {
        return;
    }
    if (bench_options.quick) {
        (void)fputs("bench: --quick makes no tenants\n", stderr);
        return;
    }
    char program[] = "/proc/self/exe", option[] = "--tenants-child", count[24], text[128];
    (void)snprintf(count, sizeof count, "%u", TENANTS);
    char *const argv[] = { program, option, count, NULL };
    uint64_t kib;
    double create_us, lookup;
    BENCH_CHECK(bench_child(argv, text, sizeof text));
    BENCH_CHECK(sscanf(text, "%" SCNu64 " %lf %lf", &kib, &create_us, &lookup) == 3);
    bench_report("tenants.10000", "rss_mib", (double)kib / 1024);
    bench_report("tenants.10000", "create_us", create_us);
    bench_report("tenants.lookup.10000", "ns", lookup);
}
