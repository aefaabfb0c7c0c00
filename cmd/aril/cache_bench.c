/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_bench.h"
#include "failure.h"
#include "out.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define COMMAND       "aril cache bench"
#define WHOLE_BLOCK   (UINT64_C(64) << 20) /* Llama 3 8B: 512 tokens, 128 KiB each */
#define SCALE_DEFAULT 16384u
#define SCALE_MAX     ((uint64_t)1 << 20)
#define REQUESTS_MADE 1000u
#define REQUESTS_MAX  UINT64_C(100000000)
#define ENTRY_BYTES_MORE                                                    \
    UINT64_C(4096) /* what a store may count for an entry besides its value \
                    */

struct bench {
    struct cache_options options;
    const char *trace_path;
    uint64_t scale, requests, seed;
    size_t block_bytes;
    struct trace trace;
    struct place place;
    uint64_t nonce;
    struct replay_result plain, sealed;
    aril_store_info info;
};

static void bench_done(struct bench *b)
{
    out_progress_end();
    trace_free(&b->trace);
    place_remove(&b->place);
}

static bool has_kind(const char *uri, const char *kind)
{
    const size_t len = strlen(kind);
    return strncmp(uri, kind, len) == 0 && uri[len] == ':';
}

/* Stores that are made for the run, and end with it. What stands behind the colon of the last two
 * is the folder in which that happens. */
static bool is_own(const char *uri)
{
    return has_kind(uri, "memory") || has_kind(uri, "sqlite") || has_kind(uri, "file");
}

static const char *uri_of(const struct bench *b)
{
    /* Not $ARIL_CACHE_STORE: nobody loads the store of a service by an oversight. */
    return b->options.store == NULL ? "memory:" : b->options.store;
}

static void own_uri(const struct bench *b, const char *what, char *ret, size_t cap)
{
    const char *uri = uri_of(b);
    if (has_kind(uri, "memory")) {
        snprintf(ret, cap, "memory:");
    } else if (is_own(uri)) {
        snprintf(ret, cap, "%.*s:%s/%s", (int)strcspn(uri, ":"), uri, b->place.folder, what);
    } else {
        snprintf(ret, cap, "%s", uri);
    }
}

static int open_store(struct bench *b, const char *what, aril_store **ret)
{
    char uri[PATH_MAX + 64];
    aril_error error = { .status = ARIL_OK };
    own_uri(b, what, uri, sizeof uri);
    aril_store_config config = cache_store_config(&b->options, uri);
    const uint64_t bytes = (uint64_t)b->block_bytes * 2 + ENTRY_BYTES_MORE;
    if (has_kind(uri, "memory")) {
        config.bytes_max =
            b->trace.distinct > UINT64_MAX / bytes ? UINT64_MAX / 2 : b->trace.distinct * bytes;
    }
    const aril_status st = aril_store_open(b->place.rt, &config, ret, &error);
    return st == ARIL_OK ? 0 : cache_store_failed(COMMAND, st, &error, uri);
}

static int run(struct bench *b, const struct replay *replay, struct replay_result *ret)
{
    const int rc = replay_run(replay, ret);
    if (is_own(uri_of(b))) {
        return rc;
    }
    const int cleaned = replay_clean(replay, ret->requests);
    return rc != 0 ? rc : cleaned;
}

static int run_plain(struct bench *b)
{
    aril_store *store = NULL;
    aril_error error = { .status = ARIL_OK };
    int rc = open_store(b, "plain", &store);
    if (rc == 0) {
        const struct replay replay = {
            .command = COMMAND,
            .what = "plain",
            .trace = &b->trace,
            .block_bytes = b->block_bytes,
            .nonce = b->nonce,
            .store = store,
        };
        rc = run(b, &replay, &b->plain);
        if (rc == 0 && aril_store_get_info(store, &b->info, &error) != ARIL_OK) {
            b->info = (aril_store_info){ .kind = "?" };
        }
    }
    aril_store_close(store);
    return rc;
}

static int run_sealed(struct bench *b)
{
    aril_store *store = NULL;
    aril_cache *cache = NULL;
    aril_error error = { .status = ARIL_OK };
    const aril_cache_policy policy = {
        .tiers = ARIL_CACHE_L2,
        .value_max = b->block_bytes,
        .on_store_down = ARIL_CACHE_FAIL_CLOSED,
        .on_tamper = ARIL_CACHE_FAIL_CLOSED,
        .on_key_gone = ARIL_CACHE_FAIL_CLOSED,
    };
    int rc = open_store(b, "sealed", &store);
    if (rc == 0) {
        const aril_cache_config config = {
            .keyring = b->place.keyring,
            .store = store,
            .policies = &policy,
            .policy_count = 1,
        };
        const aril_status st = aril_cache_open(b->place.rt, &config, &cache, &error);
        rc = st == ARIL_OK ? 0 : failure_error(COMMAND, st, &error, "the cache");
    }
    if (rc == 0) {
        const struct replay replay = {
            .command = COMMAND,
            .what = "sealed",
            .trace = &b->trace,
            .block_bytes = b->block_bytes,
            .store = store,
            .cache = cache,
        };
        rc = run(b, &replay, &b->sealed);
    }
    aril_cache_close(cache);
    aril_store_close(store);
    return rc;
}

static double seconds(const struct replay_result *r)
{
    return (double)(r->get_ns + r->put_ns) / 1e9;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

/* Bytes of blocks that were read or written, by time. */
static double gigabytes(const struct bench *b, const struct replay_result *r)
{
    const double bytes = (double)(r->hits + r->puts) * (double)b->block_bytes;
    return seconds(r) > 0 ? bytes / seconds(r) / 1e9 : 0;
}

static double ratio(const struct bench *b)
{
    return seconds(&b->plain) > 0 ? seconds(&b->sealed) / seconds(&b->plain) : 0;
}

static json_t *json_side(const struct bench *b, const struct replay_result *r)
{
    return json_pack("{s:I, s:I, s:f, s:I, s:f, s:f, s:f, s:f}", "block_reads",
                     (json_int_t)r->reads, "hits", (json_int_t)r->hits, "hit_rate",
                     share(r->hits, r->reads), "puts", (json_int_t)r->puts, "seconds", seconds(r),
                     "get_seconds", (double)r->get_ns / 1e9, "put_seconds", (double)r->put_ns / 1e9,
                     "gigabytes_per_second", gigabytes(b, r));
}

static int print_json(const struct bench *b, const aril_runtime_info *machine)
{
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:f}", "version", machine->version,
        "libcrypto", machine->openssl, "processor", machine->cpu, "store", b->info.kind, "trace",
        b->trace_path == NULL ? "synthetic" : b->trace_path, "scale", (json_int_t)b->scale,
        "block_bytes", (json_int_t)b->block_bytes, "requests", (json_int_t)b->plain.requests,
        "distinct_blocks", (json_int_t)b->trace.distinct, "plain", json_side(b, &b->plain),
        "sealed", json_side(b, &b->sealed), "ratio", ratio(b));
    return keys_print_json(COMMAND, json);
}

static void print_side(const struct bench *b, const char *what, const struct replay_result *r)
{
    printf("  %-7s %10" PRIu64 " %10" PRIu64 " %9.2f %% %10.3f s %10.3f s %10.3f s %8.3f GB/s\n",
           what, r->reads, r->hits, 100 * share(r->hits, r->reads), (double)r->get_ns / 1e9,
           (double)r->put_ns / 1e9, seconds(r), gigabytes(b, r));
}

static int report(const struct bench *b)
{
    aril_runtime_info machine;
    const aril_status st = aril_runtime_get_info(b->place.rt, &machine);
    int rc = 0;
    if (st != ARIL_OK) {
        return failure_report(COMMAND, st, "this machine");
    }
    if (b->options.keys.json) {
        rc = print_json(b, &machine);
    } else {
        printf("aril %s, %s, %s, one thread\n", machine.version, machine.openssl, machine.cpu);
        printf("store %s; trace %s: %" PRIu64 " requests, %zu distinct blocks\n", b->info.kind,
               b->trace_path == NULL ? "synthetic" : b->trace_path, b->plain.requests,
               b->trace.distinct);
        printf("blocks of 64 MiB scaled by 1/%" PRIu64 " to %zu bytes\n", b->scale, b->block_bytes);
        printf("A request's blocks are read in one batch; those before the first miss are hits,\n"
               "the others are put in one batch.\n\n");
        printf("%s          %10s %10s %11s %12s %12s %12s%s\n", out_on(OUT_BOLD), "blocks", "hits",
               "hit rate", "reading", "writing", "together", out_off());
        print_side(b, "plain", &b->plain);
        print_side(b, "sealed", &b->sealed);
        printf("\nsealed takes %.2f times as long as plain\n", ratio(b));
    }
    if (b->plain.hits != b->sealed.hits) {
        out_progress_end();
        fflush(stdout);
        fprintf(stderr, "%s: plain and sealed do not hit alike: %" PRIu64 " and %" PRIu64 "\n",
                COMMAND, b->plain.hits, b->sealed.hits);
        return EXIT_CHECKS_FAILED;
    }
    return rc;
}

static int run_all(struct bench *b)
{
    const char *uri = uri_of(b);
    const char *inside = is_own(uri) && !has_kind(uri, "memory") ? strchr(uri, ':') + 1 : NULL;
    int rc = b->trace_path == NULL
                 ? trace_make(COMMAND, b->seed, b->requests == 0 ? REQUESTS_MADE : b->requests,
                              &b->trace)
                 : trace_load(COMMAND, b->trace_path, b->requests, &b->trace);
    if (rc == 0 && getrandom(&b->nonce, sizeof b->nonce, 0) != (ssize_t)sizeof b->nonce) {
        rc = failure_report(COMMAND, ARIL_E_RANDOM, "names for plain blocks");
    }
    if (rc == 0) {
        rc = place_make(&b->place, inside);
    }
    if (rc == 0) {
        rc = run_plain(b);
    }
    if (rc == 0) {
        rc = run_sealed(b);
    }
    return rc == 0 ? report(b) : rc;
}

int cache_bench(int argc, char **argv)
{
    DEFER(bench_done) struct bench b = { .scale = SCALE_DEFAULT, .place.command = COMMAND };
    struct cache_options *o = &b.options;
    const struct args_option own[] = {
        { "trace", ARGS_TEXT, &b.trace_path, "FILE", "JSON lines with hash_ids; default: made up",
          0, 0 },
        { "scale", ARGS_NUMBER, &b.scale, "N", "blocks of 64 MiB / N; default 16384: 4 KiB", 1,
          SCALE_MAX },
        { "requests", ARGS_NUMBER, &b.requests, "N", "so many; default all, 1000 made up", 1,
          REQUESTS_MAX },
        { "seed", ARGS_NUMBER, &b.seed, "N", "of what is made up; default 0", 0, UINT64_MAX },
        { "store", ARGS_TEXT, &o->store, "URI", "sqlite:[FOLDER], redis://...; default memory:", 0,
          0 },
        { "secret-file", ARGS_TEXT, &o->secret, "FILE", "password or token of the store; mode 0600",
          0, 0 },
        { "ca", ARGS_TEXT, &o->ca, "FILE", "who vouches for the store; PEM", 0, 0 },
        { "timeout", ARGS_NUMBER, &o->keys.timeout_ms, "MS", "wait so long for the store", 1,
          KEYS_TIMEOUT_MS_MAX },
        { "json", ARGS_FLAG, &o->keys.json, NULL, "print one JSON object", 0, 0 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "",
        .summary = "Replay the requests of a serving engine, once with a store as it is and once\n"
                   "sealed, each from an empty store; compare hits, and time. It makes a keyring\n"
                   "of its own, and removes it.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
    };
    const int rc = args_parse(&spec, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    b.block_bytes = (size_t)(WHOLE_BLOCK / b.scale);
    keys_catch_stop();
    return run_all(&b);
}
