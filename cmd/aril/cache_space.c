/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include "histogram.h"
#include "out.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* "aril cache bump", "flush", "migrate": a whole namespace. */

#define PROGRESS_NS 100000000u

static aril_bytes space_of(const struct cache_options *options)
{
    return keys_bytes(options->space == NULL ? "" : options->space);
}

static const char *space_text(const struct cache_options *options, char ret[CACHE_SUBJECT_TEXT])
{
    if (space_of(options).len == 0) {
        snprintf(ret, CACHE_SUBJECT_TEXT, "the namespace without a name");
        return ret;
    }
    return cache_subject(space_of(options), ret);
}

static int bump_space(struct cache_session *s, const struct cache_options *options)
{
    char text[CACHE_SUBJECT_TEXT];
    uint64_t generation = 0;
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_cache_bump(s->cache, keys_bytes(options->tenant), space_of(options),
                                           &generation, &error);
    if (st != ARIL_OK) {
        return failure_error(s->keys.command, st, &error, space_text(options, text));
    }
    if (options->keys.json) {
        return keys_print_json(s->keys.command,
                               json_pack("{s:o, s:I}", "space", keys_json_text(space_of(options)),
                                         "generation", (json_int_t)generation));
    }
    printf("ended all values of %s; its generation is %" PRIu64 "\n", space_text(options, text),
           generation);
    return EXIT_DONE;
}

static int bump_tags(struct cache_session *s, const struct cache_options *options,
                     const struct args_texts *tags)
{
    char text[CACHE_SUBJECT_TEXT];
    for (size_t i = 0; i < tags->count; i++) {
        aril_error error = { .status = ARIL_OK };
        const aril_bytes tag = keys_bytes(tags->values[i]);
        const aril_status st = aril_cache_invalidate_tag(s->cache, keys_bytes(options->tenant),
                                                         space_of(options), tag, &error);
        if (st != ARIL_OK) {
            return failure_error(s->keys.command, st, &error, cache_subject(tag, text));
        }
    }
    if (options->keys.json) {
        return keys_print_json(s->keys.command,
                               json_pack("{s:o, s:I}", "space", keys_json_text(space_of(options)),
                                         "tags", (json_int_t)tags->count));
    }
    printf("ended all values with %s of %zu tag%s in %s\n", tags->count == 1 ? "the one" : "one",
           tags->count, tags->count == 1 ? "" : "s", space_text(options, text));
    return EXIT_DONE;
}

int cache_bump(int argc, char **argv)
{
    static const char command[] = "aril cache bump";
    struct cache_options options = { .takes = CACHE_TAKES_STORE | CACHE_TAKES_TENANT |
                                              CACHE_TAKES_SPACE };
    struct args_texts tags = { .count = 0 };
    const struct args_option own[] = {
        { "tag", ARGS_TEXTS, &tags, "TEXT", "only values with this tag; may be repeated", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "End all values of a namespace at once, everywhere where this keyring is. The\n"
                   "store keeps their bytes until their time is over; nobody accepts them.",
        .options = own,
        .option_count = 1,
    };
    int rc = cache_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(cache_close) struct cache_session s = { .keys.command = command };
    rc = cache_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    return tags.count == 0 ? bump_space(&s, &options) : bump_tags(&s, &options, &tags);
}

int cache_flush(int argc, char **argv)
{
    static const char command[] = "aril cache flush";
    struct cache_options options = { .takes = CACHE_TAKES_STORE | CACHE_TAKES_TENANT |
                                              CACHE_TAKES_SPACE };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary =
            "End all values of a namespace, as bump does, and delete from the store what it\n"
            "lists of them.",
    };
    int rc = cache_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(cache_close) struct cache_session s = { .keys.command = command };
    char text[CACHE_SUBJECT_TEXT];
    uint64_t deleted = 0;
    aril_error error = { .status = ARIL_OK };
    rc = cache_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    const aril_status st =
        aril_cache_flush(s.cache, keys_bytes(options.tenant), space_of(&options), &deleted, &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, space_text(&options, text));
    }
    if (options.keys.json) {
        return keys_print_json(command,
                               json_pack("{s:o, s:I}", "space", keys_json_text(space_of(&options)),
                                         "deleted", (json_int_t)deleted));
    }
    printf("ended all values of %s; deleted %" PRIu64 " from the store\n",
           space_text(&options, text), deleted);
    return EXIT_DONE;
}

static int show_migration(void *user, uint64_t done, uint64_t total)
{
    uint64_t *shown_ns = user;
    const uint64_t now = monotonic_ns();
    if (now - *shown_ns >= PROGRESS_NS) {
        *shown_ns = now;
        if (total == 0) {
            out_progress("migrating: %" PRIu64 " values", done);
        } else {
            out_progress("migrating: %" PRIu64 " of %" PRIu64 " values", done, total);
        }
    }
    return keys_stopped != 0;
}

static int tell_migration(const char *command, const struct cache_options *options,
                          const aril_cache_migration *m)
{
    if (options->keys.json) {
        const int rc = keys_print_json(
            command, json_pack("{s:I, s:I, s:I, s:I, s:I}", "seen", (json_int_t)m->seen, "migrated",
                               (json_int_t)m->migrated, "native", (json_int_t)m->native, "expired",
                               (json_int_t)m->expired, "failed", (json_int_t)m->failed));
        return rc != 0 || m->failed == 0 ? rc : EXIT_CHECKS_FAILED;
    }
    printf("seen %" PRIu64 ": migrated %" PRIu64 ", native already %" PRIu64 ", expired %" PRIu64
           ", failed %" PRIu64 "\n",
           m->seen, m->migrated, m->native, m->expired, m->failed);
    return m->failed == 0 ? EXIT_DONE : EXIT_CHECKS_FAILED;
}

static int migrate(const char *command, const struct cache_options *options,
                   const aril_bytes *names, size_t count)
{
    DEFER(cache_close) struct cache_session s = { .keys.command = command };
    char text[CACHE_SUBJECT_TEXT];
    uint64_t shown_ns = 0;
    aril_cache_migration done = { .seen = 0 };
    aril_error error = { .status = ARIL_OK };
    const int rc = cache_open(&s, options);
    if (rc != 0) {
        return rc;
    }
    keys_catch_stop();
    const aril_status st =
        aril_cache_migrate(s.cache, keys_bytes(options->tenant), space_of(options), names, count,
                           show_migration, &shown_ns, &done, &error);
    out_progress_end();
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, space_text(options, text));
    }
    return tell_migration(command, options, &done);
}

int cache_migrate(int argc, char **argv)
{
    static const char command[] = "aril cache migrate";
    struct cache_options options = { .takes = CACHE_TAKES_STORE | CACHE_TAKES_TENANT |
                                              CACHE_TAKES_SPACE };
    const struct args_spec spec = {
        .command = command,
        .operands = "[NAME...]",
        .summary =
            "Read values in the formats that the policy's legacy_reads lists, and put them\n"
            "back as native ones; the old ones are deleted. NAME: names as the other software\n"
            "gave them; without any, all that the store lists. Can be stopped and run again.",
        .operands_max = ARGS_OPERANDS_MAX,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    aril_bytes names[ARGS_OPERANDS_MAX];
    size_t count = 0;
    const int rc = cache_parse(&spec, &options, argc, argv, operands, &count);
    if (rc != ARGS_RUN) {
        return rc;
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = keys_bytes(operands[i]);
        if (names[i].len == 0 || names[i].len > ARIL_CACHE_NAME_BYTES_MAX) {
            return failure_usage(command, "a name has 1 to %u bytes", ARIL_CACHE_NAME_BYTES_MAX);
        }
    }
    return migrate(command, &options, names, count);
}
