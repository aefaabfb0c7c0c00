/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include "out.h"
#include <stdlib.h>
#include <string.h>

#define SHARED_MAX 24u
/* One process that ends soon needs no large memory in front of the store. */
#define L1_BYTES  ((uint64_t)1 << 20)
#define L1_SHARDS 1u

struct shared {
    struct args_option list[SHARED_MAX];
    size_t count;
};

static void add(struct shared *shared, const struct args_option *options, size_t count)
{
    memcpy(shared->list + shared->count, options, count * sizeof *options);
    shared->count += count;
}

static void add_store(struct shared *shared, struct cache_options *o)
{
    const struct args_option list[] = {
        { "store", ARGS_TEXT, &o->store, "URI", "where values lie; default $ARIL_CACHE_STORE", 0,
          0 },
        { "secret-file", ARGS_TEXT, &o->secret, "FILE", "password or token of the store; mode 0600",
          0, 0 },
        { "ca", ARGS_TEXT, &o->ca, "FILE", "who vouches for the store; PEM; default the system's",
          0, 0 },
        { "cert", ARGS_TEXT, &o->certificate, "FILE", "our certificate for the store; PEM", 0, 0 },
        { "cert-key", ARGS_TEXT, &o->certificate_key, "FILE", "its key; PEM, mode 0600", 0, 0 },
    };
    add(shared, list, sizeof list / sizeof list[0]);
}

static void add_key(struct shared *shared, struct cache_options *o)
{
    const struct args_option list[] = {
        { "hex-key", ARGS_FLAG, &o->hex_key, NULL, "keys are in hexadecimal digits", 0, 0 },
        { "type", ARGS_TEXT, &o->type, "NAME",
          "string, hash-field, set-member or block; default string", 0, 0 },
        { "field", ARGS_TEXT, &o->field, "TEXT", "the field of a hash; KEY is the hash", 0, 0 },
        { "database", ARGS_NUMBER, &o->database, "N", "as Redis numbers them; default 0", 0,
          UINT32_MAX },
    };
    add(shared, list, sizeof list / sizeof list[0]);
}

static void add_names(struct shared *shared, struct cache_options *o)
{
    const struct args_option tenant[] = {
        { "tenant", ARGS_TEXT, &o->tenant, "NAME", "whose values they are", 0, 0 },
    };
    const struct args_option space[] = {
        { "space", ARGS_TEXT, &o->space, "NAME", "the namespace; default the one without a name", 0,
          0 },
    };
    if ((o->takes & (CACHE_TAKES_TENANT | CACHE_MAY_NAME_TENANT)) != 0) {
        add(shared, tenant, 1);
    }
    if ((o->takes & CACHE_TAKES_SPACE) != 0) {
        add(shared, space, 1);
    }
}

static void add_policy(struct shared *shared, struct cache_options *o)
{
    const struct args_option list[] = {
        { "policy", ARGS_TEXT, &o->policy, "FILE", "how namespaces behave; JSON", 0, 0 },
        { "lmcache-key", ARGS_TEXT, &o->lmcache_key, "FILE", "LMCache's master file; mode 0600", 0,
          0 },
        { "verbose", ARGS_FLAG, &o->verbose, NULL, "say which keys of others were used", 0, 0 },
    };
    add(shared, list, sizeof list / sizeof list[0]);
}

int cache_parse(const struct args_spec *spec, struct cache_options *options, int argc, char **argv,
                const char *ret_operands[ARGS_OPERANDS_MAX], size_t *ret_count)
{
    struct shared shared = { .count = 0 };
    struct args_option of_keys[KEYS_SHARED_OPTIONS];
    struct args_spec whole = *spec;
    add_names(&shared, options);
    if ((options->takes & CACHE_TAKES_KEY) != 0) {
        add_key(&shared, options);
    }
    if ((options->takes & CACHE_TAKES_STORE) != 0) {
        add_store(&shared, options);
        add_policy(&shared, options);
    }
    keys_shared_options(&options->keys, of_keys);
    add(&shared, of_keys, KEYS_SHARED_OPTIONS);
    whole.common = shared.list;
    whole.common_count = shared.count;
    const int rc = args_parse(&whole, argc, argv, ret_operands, ret_count);
    if (rc != ARGS_RUN) {
        return rc;
    }
    if ((options->takes & CACHE_TAKES_TENANT) != 0 &&
        (options->tenant == NULL || options->tenant[0] == '\0')) {
        return failure_usage(spec->command, "missing option: --tenant");
    }
    if (options->space != NULL && strlen(options->space) > ARIL_CACHE_SPACE_BYTES_MAX) {
        return failure_usage(spec->command, "--space: longer than %u bytes",
                             ARIL_CACHE_SPACE_BYTES_MAX);
    }
    return rc;
}

const char *cache_store_uri(const struct cache_options *options)
{
    const char *uri = options->store != NULL ? options->store : getenv("ARIL_CACHE_STORE");
    return uri == NULL || uri[0] == '\0' ? NULL : uri;
}

aril_store_config cache_store_config(const struct cache_options *options, const char *uri)
{
    return (aril_store_config){
        .uri = uri,
        .deadline_ms = (uint32_t)options->keys.timeout_ms,
        .secret_path = options->secret,
        .ask = keys_ask,
        .ca_path = options->ca,
        .cert_path = options->certificate,
        .key_path = options->certificate_key,
    };
}

int cache_store_failed(const char *command, aril_status st, const aril_error *error,
                       const char *uri)
{
    if (st == ARIL_E_USAGE_RANGE && error->message[0] != '\0') {
        return failure_usage(command, "--store: %s", error->message);
    }
    return failure_error(command, st, error, uri);
}

static int open_store(struct cache_session *s, const struct cache_options *options)
{
    const char *uri = cache_store_uri(options);
    if (uri == NULL) {
        return failure_usage(s->keys.command,
                             "which store? Give --store URI or set ARIL_CACHE_STORE, as in "
                             "sqlite:FILE or redis://HOST");
    }
    const aril_store_config config = cache_store_config(options, uri);
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_store_open(s->keys.rt, &config, &s->store, &error);
    return st == ARIL_OK ? 0 : cache_store_failed(s->keys.command, st, &error, uri);
}

static int open_cache(struct cache_session *s, const char *policy_path)
{
    const aril_cache_config config = {
        .keyring = s->keys.keyring,
        .store = s->store,
        .l1_bytes = L1_BYTES,
        .l1_shards = L1_SHARDS,
        .policies = s->policies,
        .policy_count = s->policy_count,
    };
    aril_error error = { .status = ARIL_OK };
    const aril_status st = aril_cache_open(s->keys.rt, &config, &s->cache, &error);
    if (st == ARIL_E_USAGE_RANGE && policy_path != NULL && error.message[0] != '\0') {
        return failure_usage(s->keys.command, "--policy %s: %s", policy_path, error.message);
    }
    return st == ARIL_OK ? 0 : failure_error(s->keys.command, st, &error, "the cache");
}

int cache_open(struct cache_session *s, const struct cache_options *options)
{
    int rc = options->policy == NULL ? 0 : cache_read_policies(s, options->policy);
    if (rc == 0) {
        rc = keys_open(&s->keys, &options->keys);
    }
    if (rc == 0 && (options->takes & CACHE_TAKES_STORE) != 0) {
        rc = open_store(s, options);
    }
    if (rc == 0) {
        rc = open_cache(s, options->policy);
    }
    if (rc == 0 && options->tenant != NULL) {
        rc = cache_legacy_keys(s, options);
    }
    return rc;
}

void cache_close(struct cache_session *s)
{
    out_progress_end();
    aril_cache_close(s->cache);
    aril_store_close(s->store);
    s->cache = NULL;
    s->store = NULL;
    free(s->policies);
    s->policies = NULL;
    json_decref(s->policy_text);
    s->policy_text = NULL;
    keys_close(&s->keys);
}
