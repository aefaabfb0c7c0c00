/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include <stdlib.h>
#include <string.h>

/* "aril cache salt", "block", "prefix": what follows from keys and names, without a store. */

#define CHAIN_BYTES_MIN 16u
#define CHAIN_BYTES_MAX 64u
#define LAYOUT_BYTES    32u

static int print_name(const char *command, bool json, const char *what, const char *text)
{
    if (json) {
        return keys_print_json(command, json_pack("{s:s}", what, text));
    }
    printf("%s\n", text);
    return EXIT_DONE;
}

int cache_salt(int argc, char **argv)
{
    static const char command[] = "aril cache salt";
    struct cache_options options = { .takes = CACHE_TAKES_TENANT };
    const char *domain = "";
    const struct args_option own[] = {
        { "domain", ARGS_TEXT, &domain, "TEXT", "a trust boundary inside the tenant", 0, 0 },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary =
            "Print the cache_salt of a tenant for vLLM, SGLang and LMCache. It is a secret,\n"
            "and the same wherever the tenant's name key is.",
        .options = own,
        .option_count = 1,
    };
    int rc = cache_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(cache_close) struct cache_session s = { .keys.command = command };
    char salt[ARIL_CACHE_SALT_TEXT];
    aril_error error = { .status = ARIL_OK };
    rc = cache_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    const aril_status st =
        aril_cache_salt(s.cache, keys_bytes(options.tenant), keys_bytes(domain), salt, &error);
    rc = st == ARIL_OK ? print_name(command, options.keys.json, "cache_salt", salt)
                       : failure_error(command, st, &error, options.tenant);
    explicit_bzero(salt, sizeof salt);
    return rc;
}

int cache_prefix(int argc, char **argv)
{
    static const char command[] = "aril cache prefix";
    struct cache_options options = { .takes = CACHE_TAKES_TENANT | CACHE_TAKES_SPACE };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "Print what the names of a tenant begin with in every store, or with --space\n"
                   "those of one namespace: for the ACLs of Redis, as in ~PREFIX*.",
    };
    int rc = cache_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    DEFER(cache_close) struct cache_session s = { .keys.command = command };
    char prefix[ARIL_CACHE_NAME_BYTES_MAX + 1];
    size_t len = 0;
    aril_error error = { .status = ARIL_OK };
    rc = cache_open(&s, &options);
    if (rc != 0) {
        return rc;
    }
    const aril_bytes space = keys_bytes(options.space == NULL ? "" : options.space);
    const aril_status st = aril_cache_prefix(s.cache, keys_bytes(options.tenant),
                                             options.space == NULL ? NULL : &space, prefix,
                                             sizeof prefix - 1, &len, &error);
    if (st != ARIL_OK) {
        return failure_error(command, st, &error, options.tenant);
    }
    prefix[len] = '\0';
    return print_name(command, options.keys.json, "prefix", prefix);
}

/* What --model, --layout and so on say. */
struct block {
    const char *model, *layout, *chain;
    uint64_t layer_first, layer_count, rank, group;
};

static int read_block(const char *command, const struct block *b, aril_cache_block *ret,
                      uint8_t **ret_chain)
{
    DEFER(cache_key_free) struct cache_key layout = { .bytes = NULL };
    size_t len = 0;
    if (b->model == NULL || b->layout == NULL || b->chain == NULL) {
        return failure_usage(command, "missing option: --%s",
                             b->model == NULL    ? "model"
                             : b->layout == NULL ? "layout"
                                                 : "chain");
    }
    int rc = cache_hex_parse(command, "--layout", b->layout, LAYOUT_BYTES, &layout.bytes, &len);
    if (rc == 0 && len != LAYOUT_BYTES) {
        rc = failure_usage(command, "--layout: not the %u digits of a digest", 2 * LAYOUT_BYTES);
    }
    if (rc != 0) {
        return rc;
    }
    memcpy(ret->layout, layout.bytes, LAYOUT_BYTES);
    rc = cache_hex_parse(command, "--chain", b->chain, CHAIN_BYTES_MAX, ret_chain, &len);
    if (rc == 0 && len < CHAIN_BYTES_MIN) {
        rc = failure_usage(command, "--chain: fewer than %u digits", 2 * CHAIN_BYTES_MIN);
    }
    ret->chain = (aril_bytes){ *ret_chain, len };
    ret->model = keys_bytes(b->model);
    ret->layer_first = (uint32_t)b->layer_first;
    ret->layer_count = (uint32_t)b->layer_count;
    ret->rank = (uint32_t)b->rank;
    ret->group = (uint32_t)b->group;
    return rc;
}

static int print_block(const char *command, const struct cache_options *options,
                       const aril_cache_block *block)
{
    DEFER(cache_close) struct cache_session s = { .keys.command = command };
    uint8_t key[ARIL_CACHE_BLOCK_KEY_BYTES];
    char text[2 * ARIL_CACHE_BLOCK_KEY_BYTES + 1];
    const int rc = cache_open(&s, options);
    if (rc != 0) {
        return rc;
    }
    const aril_status st = aril_cache_block_name(s.cache, block, key);
    if (st != ARIL_OK) {
        return failure_report(command, st, "the block");
    }
    keys_hex(key, sizeof key, text, sizeof text);
    return print_name(command, options->keys.json, "key_hex", text);
}

int cache_block(int argc, char **argv)
{
    static const char command[] = "aril cache block";
    struct cache_options options = { .takes = 0 };
    struct block b = { .layer_count = 1 };
    const struct args_option own[] = {
        { "model", ARGS_TEXT, &b.model, "TEXT", "name and revision of the model", 0, 0 },
        { "layout", ARGS_TEXT, &b.layout, "HEX", "digest of dtype, shapes, parallelism; 64 digits",
          0, 0 },
        { "chain", ARGS_TEXT, &b.chain, "HEX", "hash over all tokens up to the block's end", 0, 0 },
        { "layer-first", ARGS_NUMBER, &b.layer_first, "N", "first layer; default 0", 0,
          UINT32_MAX },
        { "layer-count", ARGS_NUMBER, &b.layer_count, "N", "layers; default 1", 1, UINT32_MAX },
        { "rank", ARGS_NUMBER, &b.rank, "N", "rank of tensor parallelism; default 0", 0,
          UINT32_MAX },
        { "group", ARGS_NUMBER, &b.group, "N", "group of the KV cache; default 0", 0, UINT32_MAX },
    };
    const struct args_spec spec = {
        .command = command,
        .operands = "",
        .summary = "Print the key of a KV block, in hexadecimal digits: for the other commands\n"
                   "with --hex-key --type block.",
        .options = own,
        .option_count = sizeof own / sizeof own[0],
    };
    int rc = cache_parse(&spec, &options, argc, argv, NULL, NULL);
    if (rc != ARGS_RUN) {
        return rc;
    }
    aril_cache_block block = { .layer_first = 0 };
    uint8_t *chain = NULL;
    rc = read_block(command, &b, &block, &chain);
    if (rc == 0) {
        rc = print_block(command, &options, &block);
    }
    free(chain);
    return rc;
}
