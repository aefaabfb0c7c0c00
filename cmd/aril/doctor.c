/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"
#include "command.h"
#include "defer.h"
#include "demo_find.h"
#include "doctor_ports.h"
#include "failure.h"
#include "out.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#define COMMAND     "aril doctor"
#define TESTS_MAX   32u
#define MISSING_MAX 16u

struct self_test {
    char name[48];
    aril_status status;
};

/* What is missing here, and why. */
struct missing {
    const char *feature;
    const char *reason;
};

struct findings {
    aril_runtime_info info;
    struct utsname kernel;
    bool memlock_known, memlock_unlimited;
    uint64_t memlock_bytes;
    struct self_test tests[TESTS_MAX];
    size_t test_count, tests_failed;
    struct doctor_port ports[DOCTOR_PORTS];
    struct missing missing[MISSING_MAX];
    size_t missing_count;
    const char *llama;       /* folder that was given, or NULL */
    struct demo_found found; /* what is in it; empty strings when nothing is */
};

static bool has_feature(const char *cpu, const char *name)
{
    const size_t len = strlen(name);
    for (const char *at = cpu; (at = strstr(at, name)) != NULL; at += len) {
        if ((at == cpu || at[-1] == ',') && (at[len] == ',' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

/* What libcrypto chooses for AES-GCM on such a processor. */
static const char *gcm_class(const char *cpu)
{
    if (has_feature(cpu, "vaes") && has_feature(cpu, "vpclmulqdq") && has_feature(cpu, "avx512f")) {
        return "AVX-512 with VAES: the fastest";
    }
    if (has_feature(cpu, "aes") && (has_feature(cpu, "pclmulqdq") || has_feature(cpu, "pmull"))) {
        return "AES instructions: fast";
    }
    return "without AES instructions: slow, and not in constant time on every machine";
}

static void note_test(void *user, const char *name, aril_status st)
{
    struct findings *f = user;
    f->tests_failed += st != ARIL_OK;
    if (f->test_count < TESTS_MAX) {
        struct self_test *t = &f->tests[f->test_count++];
        snprintf(t->name, sizeof t->name, "%s", name);
        t->status = st;
    }
}

static void add_missing(struct findings *f, const char *feature, const char *reason)
{
    if (f->missing_count < MISSING_MAX) {
        f->missing[f->missing_count++] = (struct missing){ feature, reason };
    }
}

static void look_at_host(struct findings *f)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
        f->memlock_known = true;
        f->memlock_unlimited = limit.rlim_cur == RLIM_INFINITY;
        f->memlock_bytes = limit.rlim_cur;
    }
    if (uname(&f->kernel) != 0) {
        memset(&f->kernel, 0, sizeof f->kernel);
    }
    for (size_t i = 0; i < DOCTOR_PORTS; i++) {
        if (!f->ports[i].works) {
            add_missing(f, f->ports[i].feature, f->ports[i].text);
        }
    }
    add_missing(f, "GPU", "not in this release");
    if (f->llama == NULL) {
        add_missing(f, "llama.cpp", "no folder was given with --llama; only the demo uses it");
    } else if (!demo_find_llama(f->llama, &f->found)) {
        f->found.llama[0] = '\0';
        add_missing(f, "llama.cpp", "no libllama and libggml in one folder below the given one");
    }
}

static void print_line(enum out_style style, const char *mark, const char *what, const char *value)
{
    printf("  %s%-7s%s %s", out_on(style), mark, out_off(), what);
    if (value[0] != '\0') {
        printf("%*s", (int)(strlen(what) < 26 ? 27 - strlen(what) : 1), "");
    }
    printf("%s\n", value);
}

static void print_memory(const struct findings *f)
{
    const aril_runtime_info *i = &f->info;
    const bool locked = i->secure_locked_bytes == i->secure_bytes && i->secure_bytes > 0;
    char limit[32] = "unknown";
    char value[160];
    if (f->memlock_unlimited) {
        snprintf(limit, sizeof limit, "unlimited");
    } else if (f->memlock_known) {
        snprintf(limit, sizeof limit, "%" PRIu64 " bytes", f->memlock_bytes);
    }
    snprintf(value, sizeof value, "%zu of %zu bytes; RLIMIT_MEMLOCK %s", i->secure_locked_bytes,
             i->secure_bytes, limit);
    printf("\n%sMemory for secrets%s\n", out_on(OUT_BOLD), out_off());
    print_line(locked ? OUT_GOOD : OUT_WARN, locked ? "ok" : "warning", "locked against swapping",
               value);
    print_line(i->wipes_on_fork ? OUT_GOOD : OUT_WARN, i->wipes_on_fork ? "ok" : "warning",
               "wiped in a forked child", i->wipes_on_fork ? "" : "the kernel cannot do it");
    print_line(i->excluded_from_core_dumps ? OUT_GOOD : OUT_WARN,
               i->excluded_from_core_dumps ? "ok" : "warning", "left out of core files",
               i->excluded_from_core_dumps ? ""
                                           : "no pages for it, or libcrypto was in use before");
    if (!locked) {
        printf("          raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=), or encrypt the swap\n");
    }
}

static void print_ports(const struct findings *f)
{
    printf("\n%sFor keyrings and caches%s\n", out_on(OUT_BOLD), out_off());
    for (size_t i = 0; i < DOCTOR_PORTS; i++) {
        const struct doctor_port *p = &f->ports[i];
        print_line(p->works ? OUT_GOOD : OUT_DIM, p->works ? "ok" : "-", p->feature,
                   p->works ? p->text : "not available; see below");
    }
}

static void print_findings(const struct findings *f)
{
    printf("%sThis machine%s\n", out_on(OUT_BOLD), out_off());
    printf("  aril       %s\n", f->info.version);
    printf("  libcrypto  %s, embedded\n", f->info.openssl);
    printf("  kernel     %s %s %s\n", f->kernel.sysname, f->kernel.release, f->kernel.machine);
    printf("  processor  %s\n", f->info.cpu);
    printf("  AES-GCM    %s\n", gcm_class(f->info.cpu));
    if (f->found.llama[0] != '\0') {
        printf("  llama.cpp  %s\n", f->found.llama);
    }
    printf("\n%sSelf-tests%s\n", out_on(OUT_BOLD), out_off());
    for (size_t i = 0; i < f->test_count; i++) {
        const struct self_test *t = &f->tests[i];
        const bool ok = t->status == ARIL_OK;
        print_line(ok ? OUT_GOOD : OUT_BAD, ok ? "ok" : "FAILED", t->name,
                   ok ? "" : aril_status_name(t->status));
    }
    print_memory(f);
    print_ports(f);
    printf("\n%sNot available%s\n", out_on(OUT_BOLD), out_off());
    for (size_t i = 0; i < f->missing_count; i++) {
        printf("  %-10s %s\n", f->missing[i].feature, f->missing[i].reason);
    }
    const bool ok = f->tests_failed == 0;
    printf("\n%sdoctor: %zu self-tests, %zu failed%s\n", out_on(ok ? OUT_GOOD : OUT_BAD),
           f->test_count, f->tests_failed, out_off());
}

static json_t *memory_json(const struct findings *f)
{
    const aril_runtime_info *i = &f->info;
    const bool bounded = f->memlock_known && !f->memlock_unlimited;
    return json_pack("{s:I, s:I, s:o, s:b, s:b}", "bytes", (json_int_t)i->secure_bytes,
                     "locked_bytes", (json_int_t)i->secure_locked_bytes, "rlimit_memlock_bytes",
                     bounded ? json_integer((json_int_t)f->memlock_bytes) : json_null(),
                     "wiped_on_fork", i->wipes_on_fork, "left_out_of_core_files",
                     i->excluded_from_core_dumps);
}

static json_t *ports_json(const struct findings *f)
{
    json_t *ports = json_array();
    for (size_t i = 0; i < DOCTOR_PORTS; i++) {
        const struct doctor_port *p = &f->ports[i];
        json_array_append_new(ports, json_pack("{s:s, s:b, s:s}", "feature", p->feature,
                                               "available", p->works, "detail", p->text));
    }
    return ports;
}

static void print_json(const struct findings *f)
{
    json_t *tests = json_array();
    json_t *missing = json_array();
    for (size_t i = 0; i < f->test_count; i++) {
        const struct self_test *t = &f->tests[i];
        json_array_append_new(tests, json_pack("{s:s, s:b, s:s}", "name", t->name, "ok",
                                               t->status == ARIL_OK, "status",
                                               aril_status_name(t->status)));
    }
    for (size_t i = 0; i < f->missing_count; i++) {
        json_array_append_new(missing, json_pack("{s:s, s:s}", "feature", f->missing[i].feature,
                                                 "reason", f->missing[i].reason));
    }
    DEFER(json_freep)
    json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:b}", "version",
                            f->info.version, "libcrypto", f->info.openssl, "kernel",
                            f->kernel.release, "machine", f->kernel.machine, "processor",
                            f->info.cpu, "aes_gcm", gcm_class(f->info.cpu), "secure_memory",
                            memory_json(f), "self_tests", tests, "keyring_ports", ports_json(f),
                            "unavailable", missing, "ok", f->tests_failed == 0);
    if (f->found.llama[0] != '\0') {
        json_object_set_new(all, "llama_cpp", json_string(f->found.llama));
    }
    json_dumpf(all, stdout, JSON_INDENT(2));
    printf("\n");
}

int command_doctor(int argc, char **argv)
{
    bool json = false;
    struct findings f = { .llama = NULL };
    const struct args_option options[] = {
        { "json", ARGS_FLAG, &json, NULL, "print one JSON object", 0, 0 },
        { "llama", ARGS_TEXT, &f.llama, "DIR", "look for llama.cpp in DIR or below", 0, 0 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "",
        .summary = "Check this machine: run a known-answer test of every primitive, look at the\n"
                   "memory for secrets, and say what is not available and why.\n"
                   "Exits with 1 when a self-test fails.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    const int rc = args_parse(&spec, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(runtime_freep) aril_runtime *rt = NULL;
    aril_error why = { .message = "the library cannot start" };
    const aril_runtime_config config = { .error = &why };
    aril_status st = aril_runtime_new(&config, &rt);
    if (st != ARIL_OK) {
        return failure_report(COMMAND, st, "%s", why.message);
    }
    st = aril_runtime_self_test(rt, note_test, &f);
    /* A test run that broke off without naming a test is a failure as well. */
    f.tests_failed += st != ARIL_OK && f.tests_failed == 0;
    st = aril_runtime_get_info(rt, &f.info);
    if (st != ARIL_OK) {
        return failure_report(COMMAND, st, "the runtime");
    }
    doctor_look_at_ports(rt, f.ports);
    look_at_host(&f);
    (json ? print_json : print_findings)(&f);
    return f.tests_failed == 0 ? EXIT_DONE : EXIT_CHECKS_FAILED;
}
