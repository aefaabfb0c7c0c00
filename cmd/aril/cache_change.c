/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include "files.h"
#include <stdlib.h>
#include <string.h>

/* "aril cache put" and "del". */

struct putting {
    const char *command, *in, *ttl;
    struct args_texts tags;
    bool if_absent;
    aril_bytes tag_bytes[ARIL_CACHE_TAGS_MAX];
    uint64_t ttl_ms;
};

static int read_wishes(struct putting *p)
{
    if (p->ttl != NULL && (!cache_duration_parse(p->ttl, &p->ttl_ms) || p->ttl_ms == 0)) {
        return failure_usage(p->command,
                             "--ttl %s: not a time, as in 90s, 15m, 12h, 30d or 500ms; a number "
                             "alone is seconds",
                             p->ttl);
    }
    if (p->tags.count > ARIL_CACHE_TAGS_MAX) {
        return failure_usage(p->command, "--tag: more than %u tags", ARIL_CACHE_TAGS_MAX);
    }
    for (size_t i = 0; i < p->tags.count; i++) {
        p->tag_bytes[i] = keys_bytes(p->tags.values[i]);
        if (p->tag_bytes[i].len == 0) {
            return failure_usage(p->command, "--tag: an empty tag");
        }
    }
    return 0;
}

static int put_one(struct cache_session *s, const struct cache_options *options,
                   const aril_cache_key *key, aril_bytes value, const struct putting *p)
{
    char subject[CACHE_SUBJECT_TEXT];
    aril_error error = { .status = ARIL_OK };
    aril_cache_item item = {
        .key = *key,
        .value = value,
        .ttl_ms = p->ttl_ms,
        .absent_only = p->if_absent,
        .tags = p->tag_bytes,
        .tag_count = p->tags.count,
    };
    cache_subject(key->key, subject);
    const aril_status st = aril_cache_put(s->cache, &item, 1, &error);
    if (st != ARIL_OK) {
        return failure_error(p->command, st, &error, subject);
    }
    if (options->keys.json) {
        json_t *json = cache_json_key(key);
        json_object_set_new(json, "bytes", json_integer((json_int_t)value.len));
        return keys_print_json(p->command, json);
    }
    printf("stored %s: %zu bytes\n", subject, value.len);
    return EXIT_DONE;
}

static int put(const struct cache_options *options, const char *text, struct putting *p)
{
    DEFER(cache_close) struct cache_session s = { .keys.command = p->command };
    DEFER(cache_key_free) struct cache_key key = { .bytes = NULL };
    DEFER(file_contents_free) struct file_contents value = { .data = NULL };
    int rc = read_wishes(p);
    if (rc == 0) {
        rc = cache_key_parse(p->command, options, text, &key);
    }
    if (rc == 0) {
        rc = file_read(p->command, p->in, ARIL_CACHE_VALUE_BYTES_MAX, &value);
    }
    if (rc == 0) {
        rc = cache_open(&s, options);
    }
    return rc != 0 ? rc : put_one(&s, options, &key.key, file_bytes(&value), p);
}

int cache_put(int argc, char **argv)
{
    static const char command[] = "aril cache put";
    struct cache_options options = { .takes = CACHE_TAKES_ALL };
    struct putting p = { .command = command, .in = "-" };
    const struct args_option own[] = {
        { "ttl", ARGS_TEXT, &p.ttl, "TIME",
          "how long it lives: 90s, 15m, 12h; default the policy's", 0, 0 },
        { "tag", ARGS_TEXTS, &p.tags, "TEXT", "a tag that can end it; may be repeated", 0, 0 },
        { "if-absent", ARGS_FLAG, &p.if_absent, NULL, "only when the store has none", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "KEY [FILE]",
        .summary = "Store FILE, or standard input, as the value of KEY, up to 256 MiB.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
        .operands_min = 1,
        .operands_max = 2,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    size_t count = 0;
    const int rc = cache_parse(&spec, &options, argc, argv, operands, &count);
    if (rc != ARGS_RUN) {
        return rc;
    }
    p.in = count > 1 ? operands[1] : "-";
    return put(&options, operands[0], &p);
}

struct deleting {
    struct cache_key keys[ARGS_OPERANDS_MAX];
    aril_cache_item items[ARGS_OPERANDS_MAX];
    size_t count;
};

static void deleting_free(struct deleting **d)
{
    for (size_t i = 0; *d != NULL && i < (*d)->count; i++) {
        cache_key_free(&(*d)->keys[i]);
    }
    free(*d);
}

static int tell_deleted(const char *command, const struct deleting *d, bool json, aril_status st,
                        const aril_error *error)
{
    char subject[CACHE_SUBJECT_TEXT];
    size_t deleted = 0;
    for (size_t i = 0; i < d->count; i++) {
        const aril_cache_item *item = &d->items[i];
        if (item->status == ARIL_OK) {
            deleted++;
        } else if (item->status != ARIL_E_NOT_FOUND) {
            return failure_error(command, d->count == 1 ? st : item->status, error,
                                 cache_subject(item->key.key, subject));
        }
    }
    if (json) {
        return keys_print_json(command, json_pack("{s:I, s:I}", "deleted", (json_int_t)deleted,
                                                  "absent", (json_int_t)(d->count - deleted)));
    }
    printf("deleted %zu of %zu\n", deleted, d->count);
    return EXIT_DONE;
}

static int del(const char *command, const struct cache_options *options,
               const char *const *operands, size_t count)
{
    DEFER(cache_close) struct cache_session s = { .keys.command = command };
    DEFER(deleting_free) struct deleting *d = calloc(1, sizeof *d);
    int rc = d == NULL ? failure_report(command, ARIL_E_NOMEM, "the keys") : 0;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = cache_key_parse(command, options, operands[i], &d->keys[i]);
        if (rc == 0) {
            d->items[i].key = d->keys[i].key;
            d->count++;
        }
    }
    if (rc == 0) {
        rc = cache_open(&s, options);
    }
    if (rc != 0) {
        return rc;
    }
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_cache_delete(s.cache, d->items, d->count, &error);
    if (st != ARIL_OK && st != ARIL_E_BATCH && st != ARIL_E_NOT_FOUND) {
        return failure_error(command, st, &error, "the keys");
    }
    return tell_deleted(command, d, options->keys.json, st, &error);
}

int cache_del(int argc, char **argv)
{
    static const char command[] = "aril cache del";
    struct cache_options options = { .takes = CACHE_TAKES_ALL };
    const struct args_spec spec = {
        .command = command,
        .operands = "KEY...",
        .summary = "Delete values, here and in other processes that listen. One that is not there\n"
                   "is no failure.",
        .operands_min = 1,
        .operands_max = ARGS_OPERANDS_MAX,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    size_t count = 0;
    const int rc = cache_parse(&spec, &options, argc, argv, operands, &count);
    return rc != ARGS_RUN ? rc : del(command, &options, operands, count);
}
