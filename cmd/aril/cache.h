/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_CMD_CACHE_H
#define ARIL_CMD_CACHE_H
#include "keys.h"

/* What the commands "aril cache ..." share. Functions that return int print what went wrong and
 * return an exit code, 0 when all is well. */

/* --- options and opening (cache_open.c) ------------------------------------------------------ */

/* Which of the shared options a command has, besides those of keyrings and --policy. */
enum {
    CACHE_TAKES_STORE = 1u << 0,  /* --store and what belongs to it */
    CACHE_TAKES_TENANT = 1u << 1, /* --tenant, which must then be given */
    CACHE_TAKES_SPACE = 1u << 2,
    CACHE_TAKES_KEY = 1u << 3, /* --hex-key, --field, --type, --database */
    CACHE_MAY_NAME_TENANT = 1u << 4,
};
#define CACHE_TAKES_ALL \
    (CACHE_TAKES_STORE | CACHE_TAKES_TENANT | CACHE_TAKES_SPACE | CACHE_TAKES_KEY)

/* NULL, 0 and false: not given. */
struct cache_options {
    struct keys_options keys;
    unsigned takes; /* set before parsing */
    const char *store, *secret, *ca, *certificate, *certificate_key;
    const char *tenant, *space;
    const char *policy, *lmcache_key;
    const char *field, *type;
    uint64_t database;
    bool hex_key, verbose;
};

/* args_parse() with the shared options below those of spec; checks that --tenant is there. */
int cache_parse(const struct args_spec *spec, struct cache_options *options, int argc, char **argv,
                const char *ret_operands[ARGS_OPERANDS_MAX], size_t *ret_count);

/* A cache and what it stands on. All zero but keys.command is the empty state. */
struct cache_session {
    struct keys_session keys;
    json_t *policy_text; /* what the policies point into */
    aril_cache_policy *policies;
    size_t policy_count;
    aril_store *store;
    aril_cache *cache;
};

int cache_open(struct cache_session *s, const struct cache_options *options);
void cache_close(struct cache_session *s);

/* The URI that is meant, or NULL. */
const char *cache_store_uri(const struct cache_options *options);
/* How a store is opened with these options. */
aril_store_config cache_store_config(const struct cache_options *options, const char *uri);
/* A URI that is none is a mistake in the command line. */
int cache_store_failed(const char *command, aril_status st, const aril_error *error,
                       const char *uri);

/* --- names of values (cache_key.c) ----------------------------------------------------------- */

/* The name of a value, as options and the operand KEY say. */
struct cache_key {
    aril_cache_key key; /* borrows the options, the operand and bytes */
    uint8_t *bytes;     /* owned; of --hex-key */
};
int cache_key_parse(const char *command, const struct cache_options *options, const char *text,
                    struct cache_key *ret);
void cache_key_free(struct cache_key *key);
/* Hexadecimal digits of an operand or option, any even number up to 2 * max; to be freed. */
int cache_hex_parse(const char *command, const char *what, const char *text, size_t max,
                    uint8_t **ret, size_t *ret_len);

#define CACHE_SUBJECT_TEXT 200u
/* A key for messages: safe on a terminal, and cut; digits where it is no text. */
const char *cache_subject(aril_bytes key, char ret[CACHE_SUBJECT_TEXT]);
/* {"key": text} where it is text, else {"key_hex": digits}; with field, type, database. */
json_t *cache_json_key(const aril_cache_key *key);
json_t *cache_json_hex(aril_bytes bytes);

/* --- how a read ended (cache_result.c) ------------------------------------------------------- */

const char *cache_format_name(aril_cache_format format);
bool cache_format_parse(const char *name, aril_cache_format *ret);
extern const char *const cache_format_names[ARIL_CACHE_FORMATS];

/* The exit code of an outcome: a miss is that of ARIL_E_NOT_FOUND, whatever made it one. */
int cache_exit_code(const aril_cache_result *result);
/* Say on standard error why there is no value; the exit code. */
int cache_tell(const char *command, const char *subject, const aril_cache_result *result,
               const aril_error *error);
json_t *cache_json_result(const aril_cache_key *key, const aril_cache_result *result);
/* "2026-01-31T23:59:59Z", or "-" for 0. */
const char *cache_date(uint64_t unix_ms, char ret[KEYS_DATE_TEXT]);

/* --- policies (cache_policy.c, cache_units.c) ------------------------------------------------- */

/* Fill policy_text, policies and policy_count from the file of --policy. */
int cache_read_policies(struct cache_session *s, const char *path);
/* The policy of a namespace, or NULL where none of the file is for it. */
const aril_cache_policy *cache_find_policy(const struct cache_session *s, aril_bytes space);

/* "90s", "15m", "12h", "30d", "500ms", or a number of seconds. */
bool cache_duration_parse(const char *text, uint64_t *ret_ms);
/* "65536", "64K", "2M", "1G" */
bool cache_size_parse(const char *text, uint64_t *ret);
/* RFC 3339: "2027-01-31T00:00:00Z", with any offset; or a day, which begins at 00:00 UTC. Parts
 * of a second are told through ret_us. */
bool cache_date_parse(const char *text, bool whole_day, int64_t *ret_s, uint32_t *ret_us);

/* --- keys of others (cache_legacy.c) --------------------------------------------------------- */

/* Hand the keys of cachekit's variables and of --lmcache-key to the cache, where the policy of the
 * namespace lists their format; they are wiped here and in the environment. */
int cache_legacy_keys(struct cache_session *s, const struct cache_options *options);

/* --- MessagePack of tagged JSON (cache_msgpack.c) -------------------------------------------- */

struct cache_packed {
    uint8_t *data; /* owned */
    size_t len, cap;
};
void cache_packed_free(struct cache_packed *packed);
/* cachekit's tagged JSON in canonical form, but for the order of map keys. */
int cache_pack(const char *command, const json_t *json, struct cache_packed *ret);

/* --- the subcommands ------------------------------------------------------------------------- */

int cache_get(int argc, char **argv);
int cache_put(int argc, char **argv);
int cache_del(int argc, char **argv);
int cache_ls(int argc, char **argv);
int cache_stat(int argc, char **argv);
int cache_flush(int argc, char **argv);
int cache_bump(int argc, char **argv);
int cache_migrate(int argc, char **argv);
int cache_salt(int argc, char **argv);
int cache_block(int argc, char **argv);
int cache_prefix(int argc, char **argv);
int cache_cachekit_key(int argc, char **argv);
int cache_metrics(int argc, char **argv);
int cache_bench(int argc, char **argv);
#endif
