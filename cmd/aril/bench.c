/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"
#include "args.h"
#include "command.h"
#include "defer.h"
#include "failure.h"
#include "identity_key.h"
#include "out.h"
#include <inttypes.h>
#include <stdio.h>

#define COMMAND "aril bench"

struct bench_options {
    bool json;
    uint64_t seconds;
    uint64_t threads;
    struct args_sizes sizes;
};

/* Where results go: a table while they come in, or arrays for the JSON at the end. */
struct bench_report {
    const struct bench_options *options;
    json_t *records, *sessions, *signatures;
};

static void add_numbers(json_t *to, const struct measurement *m)
{
    json_object_set_new(to, "per_second", json_real(m->per_second));
    json_object_set_new(to, "p50_us", json_real(m->p50_us));
    json_object_set_new(to, "p99_us", json_real(m->p99_us));
}

static void report_record(struct bench_report *r, uint64_t size, const char *operation,
                          const struct measurement *m)
{
    const double gigabytes = m->per_second * (double)size / 1e9;
    out_progress_end();
    if (r->options->json) {
        json_t *one = json_pack("{s:I, s:s, s:f}", "bytes", (json_int_t)size, "operation",
                                operation, "gigabytes_per_second", gigabytes);
        add_numbers(one, m);
        json_array_append_new(r->records, one);
    } else {
        printf("  %10" PRIu64 " B  %-5s %8.2f GB/s %12.0f /s %10.2f us %10.2f us\n", size,
               operation, gigabytes, m->per_second, m->p50_us, m->p99_us);
        fflush(stdout);
    }
}

static void report_operation(struct bench_report *r, json_t *to, const char *key, const char *name,
                             const char *operation, const struct measurement *m)
{
    out_progress_end();
    if (r->options->json) {
        json_t *one = json_pack("{s:s, s:s}", key, name, "operation", operation);
        add_numbers(one, m);
        json_array_append_new(to, one);
    } else {
        printf("  %-10s %-10s %20.0f /s %10.2f us %10.2f us\n", name, operation, m->per_second,
               m->p50_us, m->p99_us);
        fflush(stdout);
    }
}

static void heading(const struct bench_report *r, const char *text, const char *columns)
{
    if (!r->options->json) {
        printf("%s%s%s%s\n", out_on(OUT_BOLD), text, out_off(), columns);
    }
}

static int run_records(aril_runtime *rt, struct bench_report *r)
{
    const struct args_sizes *sizes = &r->options->sizes;
    heading(r, "Records", "                   speed       records           p50           p99");
    for (size_t i = 0; i < sizes->count; i++) {
        const uint64_t size = sizes->values[i];
        struct measurement seal = { 0 };
        struct measurement opened = { 0 };
        out_progress("records of %" PRIu64 " bytes ...", size);
        const aril_status st = bench_records(rt, (size_t)size, (unsigned)r->options->threads,
                                             r->options->seconds * 1000, &seal, &opened);
        if (st != ARIL_OK) {
            return failure_report(COMMAND, st, "records of %" PRIu64 " bytes", size);
        }
        report_record(r, size, "seal", &seal);
        report_record(r, size, "open", &opened);
    }
    return EXIT_DONE;
}

static int run_sessions(aril_runtime *rt, struct bench_report *r)
{
    static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                             ARIL_PROFILE_STRICT };
    heading(r, "Sessions", ", both ends, one thread");
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        const char *name = aril_profile_name(profiles[i]);
        struct measurement m = { 0 };
        out_progress("sessions, %s ...", name);
        const aril_status st = bench_sessions(rt, profiles[i], r->options->seconds * 1000, &m);
        if (st != ARIL_OK) {
            return failure_report(COMMAND, st, "sessions, %s", name);
        }
        report_operation(r, r->sessions, "profile", name, "establish", &m);
    }
    return EXIT_DONE;
}

static int run_signatures(aril_runtime *rt, struct bench_report *r)
{
    static const aril_sign_alg algs[] = { ARIL_ML_DSA_65, ARIL_ML_DSA_87 };
    heading(r, "Signatures", ", 1 KiB, one thread");
    for (size_t i = 0; i < sizeof algs / sizeof algs[0]; i++) {
        const char *name = identity_alg_name(algs[i]);
        struct measurement signing = { 0 };
        struct measurement verifying = { 0 };
        out_progress("signatures, %s ...", name);
        const aril_status st =
            bench_signatures(rt, algs[i], r->options->seconds * 1000, &signing, &verifying);
        if (st != ARIL_OK) {
            return failure_report(COMMAND, st, "signatures, %s", name);
        }
        report_operation(r, r->signatures, "algorithm", name, "sign", &signing);
        report_operation(r, r->signatures, "algorithm", name, "verify", &verifying);
    }
    return EXIT_DONE;
}

static int run_all(const struct bench_options *options)
{
    DEFER(runtime_freep) aril_runtime *rt = NULL;
    DEFER(json_freep) json_t *all = json_object();
    aril_runtime_info info;
    aril_status st = aril_runtime_new(NULL, &rt);
    if (st == ARIL_OK) {
        st = aril_runtime_get_info(rt, &info);
    }
    if (st != ARIL_OK) {
        return failure_report(COMMAND, st, "the library cannot start");
    }
    struct bench_report report = { options, json_array(), json_array(), json_array() };
    json_object_set_new(all, "version", json_string(info.version));
    json_object_set_new(all, "libcrypto", json_string(info.openssl));
    json_object_set_new(all, "processor", json_string(info.cpu));
    json_object_set_new(all, "threads", json_integer((json_int_t)options->threads));
    json_object_set_new(all, "seconds", json_integer((json_int_t)options->seconds));
    json_object_set_new(all, "records", report.records);
    json_object_set_new(all, "sessions", report.sessions);
    json_object_set_new(all, "signatures", report.signatures);
    if (!options->json) {
        printf("aril %s, %s, %s; threads for records: %" PRIu64 "\n\n", info.version, info.openssl,
               info.cpu, options->threads);
    }
    int rc = run_records(rt, &report);
    if (rc == EXIT_DONE) {
        rc = run_sessions(rt, &report);
    }
    if (rc == EXIT_DONE) {
        rc = run_signatures(rt, &report);
    }
    if (rc == EXIT_DONE && options->json) {
        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        printf("\n");
    }
    return rc;
}

int command_bench(int argc, char **argv)
{
    struct bench_options o = { .seconds = 1, .threads = 1 };
    const struct args_option options[] = {
        { "json", ARGS_FLAG, &o.json, NULL, "print one JSON object at the end", 0, 0 },
        { "seconds", ARGS_NUMBER, &o.seconds, "N", "time for each measurement, 1 to 60 (1)", 1,
          60 },
        { "size", ARGS_SIZES, &o.sizes, "LIST", "record sizes (128,2K,18K,64K,2M); up to 256M", 1,
          UINT64_C(1) << 28 },
        { "threads", ARGS_NUMBER, &o.threads, "N", "threads for records, 1 to 256 (1)", 1, 256 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "",
        .summary = "Measure this machine: seal and open records, establish sessions, sign and\n"
                   "verify. Rings of 16 MiB a thread are worked on, so figures include memory.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    const int rc = args_parse(&spec, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (o.sizes.count == 0) {
        /* MLA and grouped-query layer blocks, cross-layer blocks, and what is small. */
        o.sizes = (struct args_sizes){ { 128, 2048, 18432, 65536, 2097152 }, 5 };
    }
    return run_all(&o);
}
