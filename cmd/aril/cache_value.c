/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include "files.h"
#include "out.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* "aril cache get", "put", "del", "stat". */

/* Lines of text; a terminal would do what other bytes say. */
static bool is_lines(aril_bytes value)
{
    size_t from = 0;
    for (size_t i = 0; i <= value.len; i++) {
        if (i == value.len || value.data[i] == '\n' || value.data[i] == '\t') {
            if (!keys_is_text((aril_bytes){ value.data + from, i - from })) {
                return false;
            }
            from = i + 1;
        }
    }
    return true;
}

static int write_value(const char *command, const char *path, aril_bytes value, bool force)
{
    if (strcmp(path, "-") == 0 && out_is_terminal() && is_lines(value)) {
        return value.len == 0 || fwrite(value.data, 1, value.len, stdout) == value.len
                   ? 0
                   : failure_report(command, ARIL_E_IO, "standard output");
    }
    return file_write(command, path, value, force);
}

/* Whether the call itself failed, so that no result says how a read ended. */
static bool call_failed(aril_status st, const aril_cache_result *result)
{
    return st != ARIL_OK && result->status == ARIL_OK;
}

struct getting {
    const char *out;
    bool force, looks_only; /* looks_only: "stat" */
};

static void print_stat(const aril_cache_key *key, const aril_cache_result *r, const char *name)
{
    char text[CACHE_SUBJECT_TEXT];
    char date[KEYS_DATE_TEXT];
    printf("%-10s %s\n", "key", cache_subject(key->key, text));
    printf("%-10s %s\n", "name", name);
    printf("%-10s %s\n", "outcome", aril_cache_outcome_name(r->outcome));
    if (r->outcome != ARIL_CACHE_HIT) {
        printf("%-10s %s\n", "status", aril_status_name(r->status));
        return;
    }
    printf("%-10s %s%s%s\n", "format", cache_format_name(r->format), r->stale ? ", stale" : "",
           r->old_key ? ", under a key that seals no more" : "");
    printf("%-10s %zu\n", "bytes", r->len);
    printf("%-10s %s\n", "created", cache_date(r->created_ms, date));
    printf("%-10s %s\n", "ends", cache_date(r->not_after_ms, date));
}

static int tell_stat(struct cache_session *s, const struct cache_options *options,
                     const aril_cache_item *item, const char *name)
{
    const char *command = s->keys.command;
    int rc = 0;
    if (options->keys.json) {
        json_t *json = cache_json_result(&item->key, &item->result);
        json_object_set_new(json, "name", keys_json_text(keys_bytes(name)));
        rc = keys_print_json(command, json);
    } else {
        print_stat(&item->key, &item->result, name);
    }
    return rc != 0 ? rc : cache_exit_code(&item->result);
}

static int tell_value(struct cache_session *s, const struct cache_options *options,
                      const aril_cache_item *item, const struct getting *g)
{
    const char *command = s->keys.command;
    const aril_bytes value = { item->buffer.data, item->result.len };
    const bool to_stdout = strcmp(g->out, "-") == 0;
    int rc = 0;
    if (!options->keys.json) {
        return write_value(command, g->out, value, g->force);
    }
    if (!to_stdout) {
        rc = file_write(command, g->out, value, g->force);
    }
    if (rc != 0) {
        return rc;
    }
    json_t *json = cache_json_result(&item->key, &item->result);
    if (to_stdout) {
        json_object_set_new(json, "value_hex", cache_json_hex(value));
    }
    return keys_print_json(command, json);
}

static int get_one(struct cache_session *s, const struct cache_options *options,
                   const aril_cache_key *key, const struct getting *g)
{
    const char *command = s->keys.command;
    char subject[CACHE_SUBJECT_TEXT];
    char name[ARIL_CACHE_NAME_BYTES_MAX + 1] = "";
    size_t name_len = 0;
    aril_error error = { .status = ARIL_OK };
    aril_cache_item item = { .key = *key };
    cache_subject(key->key, subject);
    aril_status st = aril_cache_get(s->cache, &item, 1, &error);
    if (call_failed(st, &item.result)) {
        return failure_error(command, st, &error, subject);
    }
    int rc = 0;
    if (g->looks_only) {
        st = aril_cache_name(s->cache, key, name, sizeof name - 1, &name_len, &error);
        rc = st == ARIL_OK ? tell_stat(s, options, &item, name)
                           : failure_error(command, st, &error, subject);
    } else if (item.result.outcome == ARIL_CACHE_HIT) {
        rc = tell_value(s, options, &item, g);
    } else {
        rc =
            options->keys.json ? keys_print_json(command, cache_json_result(key, &item.result)) : 0;
        rc = rc != 0 ? rc : cache_tell(command, subject, &item.result, &error);
    }
    aril_cache_value_free(&item.buffer);
    return rc;
}

static int get(const char *command, const struct cache_options *options, const char *text,
               const struct getting *g)
{
    DEFER(cache_close) struct cache_session s = { .keys.command = command };
    DEFER(cache_key_free) struct cache_key key = { .bytes = NULL };
    int rc = cache_key_parse(command, options, text, &key);
    if (rc == 0) {
        rc = cache_open(&s, options);
    }
    return rc != 0 ? rc : get_one(&s, options, &key.key, g);
}

int cache_get(int argc, char **argv)
{
    static const char command[] = "aril cache get";
    struct cache_options options = { .takes = CACHE_TAKES_ALL };
    struct getting g = { .out = "-" };
    const struct args_option own[] = {
        { "out", ARGS_TEXT, &g.out, "FILE", "where the value goes; default standard output", 0, 0 },
        { "force", ARGS_FLAG, &g.force, NULL, "replace the file of --out", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "KEY",
        .summary = "Print the value of KEY. The exit code says why there is none: 34 it is not\n"
                   "there or its time is over, 20 it was tampered with, 27 its key is gone.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
        .operands_min = 1,
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    const int rc = cache_parse(&spec, &options, argc, argv, operands, NULL);
    return rc != ARGS_RUN ? rc : get(command, &options, operands[0], &g);
}

static json_t *json_count(uint64_t n)
{
    return n > INT64_MAX ? json_null() : json_integer((json_int_t)n);
}

static const char *breaker_name(aril_breaker_state state)
{
    return state == ARIL_BREAKER_CLOSED ? "closed"
           : state == ARIL_BREAKER_OPEN ? "open"
                                        : "half-open";
}

static json_t *json_store(const aril_store_info *info)
{
    static const char *const names[] = { "ttl", "list", "lock", "notify", "shared" };
    json_t *can = json_array();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((info->capabilities & 1u << i) != 0) {
            json_array_append_new(can, json_string(names[i]));
        }
    }
    return json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "kind", info->kind,
                     "description", keys_json_text(keys_bytes(info->description)), "capabilities",
                     can, "breaker", breaker_name(info->breaker), "calls", json_count(info->calls),
                     "failures", json_count(info->failures), "rejected", json_count(info->rejected),
                     "entries", json_count(info->entries), "bytes", json_count(info->bytes));
}

static void print_count(const char *what, uint64_t n)
{
    if (n == UINT64_MAX) {
        printf("%-12s not known\n", what);
    } else {
        printf("%-12s %" PRIu64 "\n", what, n);
    }
}

static int print_store(const char *command, const aril_store_info *info, bool json)
{
    char safe[4 * sizeof info->description + 1];
    if (json) {
        return keys_print_json(command, json_store(info));
    }
    printf("%-12s %s\n", "kind", info->kind);
    printf("%-12s %s\n", "description",
           keys_safe(keys_bytes(info->description), safe, sizeof safe));
    printf("%-12s%s%s%s%s%s\n", "it has", (info->capabilities & ARIL_STORE_TTL) ? " ttl" : "",
           (info->capabilities & ARIL_STORE_LIST) ? " list" : "",
           (info->capabilities & ARIL_STORE_LOCK) ? " lock" : "",
           (info->capabilities & ARIL_STORE_NOTIFY) ? " notify" : "",
           (info->capabilities & ARIL_STORE_SHARED) ? " shared" : "");
    printf("%-12s %s\n", "breaker", breaker_name(info->breaker));
    print_count("entries", info->entries);
    print_count("bytes", info->bytes);
    print_count("calls", info->calls);
    print_count("failures", info->failures);
    return EXIT_DONE;
}

static int stat_store(const char *command, const struct cache_options *options)
{
    DEFER(cache_close) struct cache_session s = { .keys.command = command };
    aril_store_info info;
    aril_error error = { .status = ARIL_OK };
    const int rc = cache_open(&s, options);
    if (rc != 0) {
        return rc;
    }
    const aril_status st = aril_store_get_info(s.store, &info, &error);
    return st == ARIL_OK ? print_store(command, &info, options->keys.json)
                         : failure_error(command, st, &error, cache_store_uri(options));
}

int cache_stat(int argc, char **argv)
{
    static const char command[] = "aril cache stat";
    struct cache_options options = { .takes = (CACHE_TAKES_ALL & ~CACHE_TAKES_TENANT) |
                                              CACHE_MAY_NAME_TENANT };
    const struct getting g = { .looks_only = true };
    const struct args_spec spec = {
        .command = command,
        .operands = "[KEY]",
        .summary = "Say how the value of KEY stands: outcome, size, dates, its name in the store;\n"
                   "the exit code is that of 'aril cache get'. Without KEY, how the store stands.",
        .operands_max = 1,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    size_t count = 0;
    const int rc = cache_parse(&spec, &options, argc, argv, operands, &count);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if (count == 0) {
        return stat_store(command, &options);
    }
    if (options.tenant == NULL || options.tenant[0] == '\0') {
        return failure_usage(command, "missing option: --tenant");
    }
    return get(command, &options, operands[0], &g);
}
