/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include "files.h"
#include <string.h>

#define COMMAND        "aril cache key"
#define ARGS_BYTES_MAX ((size_t)1 << 24)

static int load(const char *text, size_t len, json_t **ret)
{
    json_error_t why;
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (json == NULL) {
        return failure_explain(
            COMMAND, ARIL_E_FORMAT, "a number beyond 2^63 is {\"$int\": \"...\"}",
            "the arguments, line %d, column %d: %s", why.line, why.column, why.text);
    }
    *ret = json;
    if (!json_is_array(json)) {
        return failure_explain(COMMAND, ARIL_E_FORMAT_KIND, NULL,
                               "the arguments: not a JSON array, as in [42, \"x\"]");
    }
    return 0;
}

/* ARGS: the JSON itself, or - for standard input. */
static int read_arguments(const char *text, json_t **ret)
{
    DEFER(file_contents_free) struct file_contents in = { .data = NULL };
    if (strcmp(text, "-") != 0) {
        return load(text, strlen(text), ret);
    }
    const int rc = file_read(COMMAND, text, ARGS_BYTES_MAX, &in);
    return rc != 0 ? rc : load(in.len == 0 ? "" : (const char *)in.data, in.len, ret);
}

static int print_key(const char *space, const char *operation, const struct cache_packed *args,
                     bool json)
{
    DEFER(runtime_freep) aril_runtime *rt = NULL;
    char key[ARIL_CACHEKIT_KEY_TEXT];
    aril_error error = { .status = ARIL_OK };
    aril_status st = aril_runtime_new(NULL, &rt);
    if (st != ARIL_OK) {
        return failure_report(COMMAND, st, "the library cannot start");
    }
    st = aril_cachekit_key(rt, keys_bytes(space), keys_bytes(operation),
                           (aril_bytes){ args->data, args->len }, key, &error);
    if (st == ARIL_E_USAGE_RANGE && error.message[0] != '\0') {
        return failure_usage(COMMAND, "%s", error.message);
    }
    if (st != ARIL_OK) {
        return failure_error(COMMAND, st, &error, space);
    }
    if (json) {
        return keys_print_json(COMMAND, json_pack("{s:s}", "key", key));
    }
    printf("%s\n", key);
    return EXIT_DONE;
}

int cache_cachekit_key(int argc, char **argv)
{
    bool json = false;
    const struct args_option own[] = {
        { "json", ARGS_FLAG, &json, NULL, "print one JSON object", 0, 0 },
    };
    const struct args_spec spec = {
        .command = COMMAND,
        .operands = "NAMESPACE OPERATION [ARGS]",
        .summary =
            "Print the key that cachekit's interop mode gives to a call. ARGS is a JSON array,\n"
            "or - for standard input; default []. What JSON lacks is {\"$bytes\": \"hex\"},\n"
            "{\"$int\": \"...\"}, {\"$float\": \"...\"}, {\"$datetime\": \"...\"}, {\"$uuid\": "
            "\"...\"},\n"
            "{\"$set\": [...]}.",
        .options = own,
        .option_count = 1,
        .operands_min = 2,
        .operands_max = 3,
    };
    const char *operands[ARGS_OPERANDS_MAX];
    size_t count = 0;
    int rc = args_parse(&spec, argc, argv, operands, &count);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(json_freep) json_t *args = NULL;
    DEFER(cache_packed_free) struct cache_packed packed = { .data = NULL };
    rc = read_arguments(count > 2 ? operands[2] : "[]", &args);
    if (rc == 0) {
        rc = cache_pack(COMMAND, args, &packed);
    }
    return rc != 0 ? rc : print_key(operands[0], operands[1], &packed, json);
}
