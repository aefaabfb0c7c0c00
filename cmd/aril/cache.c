/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "command.h"
#include "subcommand.h"

static const struct subcommand subcommands[] = {
    { "get", "print a value", cache_get },
    { "put", "store a value", cache_put },
    { "del", "delete values", cache_del },
    { "ls", "list what a namespace holds", cache_ls },
    { "stat", "how a value, or the store, stands", cache_stat },
    { "bump", "end all values of a namespace, or of a tag", cache_bump },
    { "flush", "end them, and delete them from the store", cache_flush },
    { "migrate", "bring values of cachekit or LMCache into the native format", cache_migrate },
    { "salt", "the cache_salt of a tenant, for vLLM, SGLang and LMCache", cache_salt },
    { "block", "the key of a KV block of a model", cache_block },
    { "prefix", "the prefix of a tenant's names, for ACLs", cache_prefix },
    { "key", "the key that cachekit gives to a call", cache_cachekit_key },
    { "metrics", "figures in the text format of Prometheus", cache_metrics },
    { "bench", "replay a trace, plain and sealed", cache_bench },
};

int command_cache(int argc, char **argv)
{
    static const struct subcommand_family family = {
        .command = "aril cache",
        .summary = "Cached values that the store cannot read: sealed under a tenant's key, under\n"
                   "names that say nothing. A value goes through standard input and output or a\n"
                   "file, never through the command line.",
        .list = subcommands,
        .count = sizeof subcommands / sizeof subcommands[0],
    };
    return subcommand_run(&family, argc, argv);
}
