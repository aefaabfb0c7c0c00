/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "proxy.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * aril_bench measures this machine: a table on stdout, and with --json a flat object of
 * numbers. It exits with 0 whatever the figures are, and with 1 when something did not work.
 */

struct bench_options bench_options = { .only = "" };

size_t bench_rounds(void)
{
    return bench_options.quick ? 3 : BENCH_ROUNDS_MAX;
}

static void usage(FILE *to)
{
    (void)fputs("usage: aril_bench [--json FILE] [--only PREFIX] [--quick]\n"
                "  --json FILE    write the numbers as one JSON object\n"
                "  --only PREFIX  only keys that begin so, as in kv.seal.2KiB\n"
                "  --quick        fewer rounds, no tenants: to see that it runs\n",
                to);
}

static size_t number(const char *text)
{
    char *end;
    const unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || value == 0 || value > 1000000) {
        bench_fail("%s is not a number from 1 to 1000000", text);
    }
    return (size_t)value;
}

/* Never returns for an option that does something else than to measure. */
static void parse(int argc, char **argv)
{
    enum { JSON = 1, ONLY, QUICK, HELP, TENANTS_CHILD };
    static const struct option options[] = { { "json", required_argument, NULL, JSON },
                                             { "only", required_argument, NULL, ONLY },
                                             { "quick", no_argument, NULL, QUICK },
                                             { "help", no_argument, NULL, HELP },
                                             /* of bench_tenants(), for a child */
                                             { "tenants-child", required_argument, NULL,
                                               TENANTS_CHILD },
                                             { 0 } };
    for (int got; (got = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (got) {
        case JSON:
            bench_options.json = optarg;
            break;
        case ONLY:
            bench_options.only = optarg;
            break;
        case QUICK:
            bench_options.quick = true;
            break;
        case TENANTS_CHILD:
            bench_tenants_child(number(optarg));
            exit(0);
        case HELP:
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
    }
    if (optind != argc) {
        usage(stderr);
        exit(2);
    }
}

static void describe(void)
{
    aril_runtime *rt;
    aril_runtime_info info;
    BENCH_OK(aril_runtime_new(NULL, &rt));
    BENCH_OK(aril_runtime_get_info(rt, &info));
    (void)printf("aril %s, %s\n", info.version, info.openssl);
    (void)printf("processor features: %s; processors: %zu\n", info.cpu, bench_processors());
    (void)printf("records in a ring of %zu MiB, %zu rounds, medians\n\n", BENCH_RING_BYTES >> 20,
                 bench_rounds());
    aril_runtime_free(rt);
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    describe();
    if (!bench_pin(0)) {
        (void)fputs("bench: threads cannot be pinned; figures will vary more\n", stderr);
    }
    bench_memory();
    bench_kv();
    bench_kv_threads();
    bench_kv_parts();
    bench_python();
    bench_session();
    bench_keyring();
    bench_cache_l1();
    bench_cache_redis();
    bench_cache_async();
    bench_proxy_place();
    bench_proxy_load();
    bench_proxy_conns();
    bench_proxy_copies();
    bench_tenants();
    bench_results_end();
    return 0;
}
