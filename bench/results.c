/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the project promises itself. A miss is shown and fails nothing. */
static const struct target {
    const char *key;
    bool at_least;
    double value;
} targets[] = {
    { "kv.seal.128B.ns", false, 220 },
    { "kv.seal.2KiB.ratio_raw", true, 0.85 },
    { "kv.seal.18KiB.ratio_raw", true, 0.95 },
    { "kv.seal.64KiB.ratio_raw", true, 0.95 },
    { "kv.open.64KiB.ratio_raw", true, 0.95 },
    { "kv.seal.2MiB.ratio_raw", true, 0.97 },
    { "kv.seal.64KiB.scale_2_threads", true, 1.6 },
    { "kv.seal.2KiB.ratio_python", true, 40 },
    { "kv.path.allocations", false, 0 },
    { "session.establish.hybrid.ratio_primitives", false, 1.3 },
    { "tenants.10000.rss_mib", false, 96 },
    { "tenants.lookup.10000.ns", false, 200 },
    { "keyring.tenant_key.cached.ns", false, 300 },
    { "keyring.rewrap.10000.ratio_raw", true, 0.5 },
    { "keyring.open.10000.ms", false, 500 },
    { "cache.l1.get.1KiB.ns", false, 600 },
    { "cache.l1.get.1KiB.ratio_raw", true, 0.55 },
    { "cache.l2.redis.get.64KiB.ratio_plain", true, 0.85 },
    { "cache.l2.redis.get.4MiB.ratio_plain", true, 0.85 },
    { "cache.async.put.4MiB.ratio_raw_io", true, 0.8 },
    { "proxy.place.hit.ns", false, 100 },
    { "proxy.place.miss.ns", false, 4000 },
    { "proxy.set.64KiB.ratio_plainproxy", true, 0.8 },
    { "proxy.get.64KiB.ratio_plainproxy", true, 0.8 },
    { "proxy.get.4MiB.ratio_plainproxy", true, 0.8 },
    { "proxy.get.1KiB.pipeline16.ratio_plainproxy", true, 0.7 },
    { "proxy_one_cpu.set.64KiB.ratio_plainproxy", true, 0.8 },
    { "proxy_one_cpu.get.64KiB.ratio_plainproxy", true, 0.8 },
    { "proxy_one_cpu.get.4MiB.ratio_plainproxy", true, 0.8 },
    { "proxy_one_cpu.get.1KiB.pipeline16.ratio_plainproxy", true, 0.7 },
    { "proxy.conn.10000.rss_mib", false, 256 },
};
#define TARGETS (sizeof targets / sizeof targets[0])

static json_t *results; /* an object of numbers */

void bench_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fflush(stdout);
    (void)fputs("bench: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void bench_expect(aril_status st, const char *call)
{
    if (st != ARIL_OK) {
        bench_fail("%s: %s (%s)", call, aril_status_name(st), aril_status_text(st));
    }
}

bool bench_wants(const char *stem)
{
    const size_t a = strlen(stem);
    const size_t b = strlen(bench_options.only);
    return strncmp(stem, bench_options.only, a < b ? a : b) == 0;
}

static const struct target *target_of(const char *key)
{
    for (size_t i = 0; i < TARGETS; i++) {
        if (strcmp(targets[i].key, key) == 0) {
            return &targets[i];
        }
    }
    return NULL;
}

static void print(const char *key, double value)
{
    const int digits = value >= 1000 ? 0 : value >= 100 ? 1 : 3;
    (void)printf("%-54s %12.*f", key, digits, value);
    const struct target *t = target_of(key);
    if (t != NULL) {
        const bool met = t->at_least ? value >= t->value : value <= t->value;
        (void)printf("   %s %-8g %s", t->at_least ? ">=" : "<=", t->value, met ? "ok" : "MISSED");
    }
    (void)putchar('\n');
    (void)fflush(stdout);
}

void bench_report(const char *stem, const char *name, double value)
{
    char key[BENCH_KEY_BYTES];
    (void)snprintf(key, sizeof key, "%s.%s", stem, name);
    if (strncmp(key, bench_options.only, strlen(bench_options.only)) != 0) {
        return;
    }
    if (results == NULL) {
        results = json_object();
    }
    BENCH_CHECK(json_object_set_new(results, key, json_real(value)) == 0);
    print(key, value);
}

bool bench_reported(const char *key, double *ret)
{
    const json_t *value = json_object_get(results, key);
    if (value == NULL) {
        return false;
    }
    *ret = json_real_value(value);
    return true;
}

void bench_results_end(void)
{
    for (size_t i = 0; i < TARGETS; i++) {
        double value;
        if (bench_wants(targets[i].key) && !bench_reported(targets[i].key, &value)) {
            (void)fprintf(stderr, "bench: %s was not measured\n", targets[i].key);
        }
    }
    if (bench_options.json != NULL) {
        if (results == NULL) {
            results = json_object();
        }
        const size_t flags = JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(6);
        if (json_dump_file(results, bench_options.json, flags) != 0) {
            bench_fail("cannot write %s", bench_options.json);
        }
    }
    json_decref(results);
    results = NULL;
}
