/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include <stdlib.h>

/* What is listed goes out as it comes: a store may hold more names than memory. */
struct listing {
    const struct cache_options *options;
    uint64_t count;
};

static void print_line(const struct listing *l, const aril_cache_key *key, aril_bytes name)
{
    const aril_bytes bytes = key == NULL ? name : key->key;
    const bool as_digits = key != NULL && l->options->hex_key;
    const size_t cap = 4 * bytes.len + 6;
    char *text = malloc(cap);
    if (text == NULL) {
        printf("?\n"); /* counted, and the next one may be shorter */
        return;
    }
    if (as_digits) {
        keys_hex(bytes.data, bytes.len, text, cap);
    } else {
        keys_safe(bytes, text, cap);
    }
    printf("%s\n", text);
    free(text);
}

static void print_json(struct listing *l, const aril_cache_key *key, aril_bytes name)
{
    json_t *one = key == NULL ? json_object() : cache_json_key(key);
    json_object_set_new(one, "name", keys_json_text(name));
    printf("%s", l->count == 0 ? "[\n  " : ",\n  ");
    (void)json_dumpf(one, stdout, JSON_COMPACT);
    json_decref(one);
}

static int visit(void *user, const aril_cache_key *key, aril_bytes name)
{
    struct listing *l = user;
    if (l->options->keys.json) {
        print_json(l, key, name);
    } else {
        print_line(l, key, name);
    }
    l->count++;
    return keys_stopped != 0;
}

int cache_ls(int argc, char **argv)
{
    static const char command[] = "aril cache ls";
    struct cache_options options = { .takes = CACHE_TAKES_STORE | CACHE_TAKES_TENANT |
                                              CACHE_TAKES_SPACE };
    const struct args_option own[] = {
        { "hex-key", ARGS_FLAG, &options.hex_key, NULL, "print keys in hexadecimal digits", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "List what the store holds of a namespace, a line each: the keys where the\n"
                   "policy says listable, else the names in the store, which say nothing.",
        .options = own,
        .option_count = 1,
    };
    int rc = cache_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(cache_close) struct cache_session s = { .keys.command = command };
    struct listing l = { .options = &options };
    aril_error error = { .status = ARIL_OK };
    rc = cache_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    keys_catch_stop();
    const char *space = options.space == NULL ? "" : options.space;
    const aril_status st =
        aril_cache_list(s.cache, keys_bytes(options.tenant), keys_bytes(space), visit, &l, &error);
    if (options.keys.json) {
        printf("%s]\n", l.count == 0 ? "[" : "\n");
    }
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, space);
    }
    return keys_stopped == 0
               ? EXIT_DONE
               : failure_explain(command, ARIL_E_INTERRUPTED, NULL, "the list is not whole");
}
