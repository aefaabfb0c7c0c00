/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include "files.h"
#include <stdlib.h>
#include <string.h>

#define MASTER_VARIABLE   "CACHEKIT_MASTER_KEY"
#define PREVIOUS_VARIABLE "CACHEKIT_PREVIOUS_MASTER_KEYS"
#define PREVIOUS_MAX      3u
#define KEYS_MAX          (1u + PREVIOUS_MAX)
#define KEY_BYTES_MIN     16u
#define KEY_BYTES_MAX     64u
#define LMCACHE_BYTES_MIN 16u
#define LMCACHE_BYTES_MAX 4096u

#define CACHEKIT_BITS                                                   \
    (1u << ARIL_CACHE_CACHEKIT_INTEROP | 1u << ARIL_CACHE_CACHEKIT_PY | \
     1u << ARIL_CACHE_CACHEKIT_TS | 1u << ARIL_CACHE_CACHEKIT_RS)

/* The master key that seals, and those before it. */
struct masters {
    uint8_t bytes[KEYS_MAX][KEY_BYTES_MAX];
    aril_bytes keys[KEYS_MAX]; /* into bytes */
    size_t count;
};

static void masters_wipe(struct masters *m)
{
    explicit_bzero(m, sizeof *m);
}

/* Messages say where, and never what. */
static int add(struct masters *m, const char *command, const char *where, const char *digits,
               size_t len)
{
    const size_t bytes = len / 2;
    if (m->count == KEYS_MAX) {
        return failure_explain(command, ARIL_E_LIMIT, "name those that still open something",
                               "%s: more than %u keys", where, PREVIOUS_MAX);
    }
    if (len % 2 != 0 || bytes < KEY_BYTES_MIN || bytes > KEY_BYTES_MAX ||
        !keys_unhex(digits, bytes, m->bytes[m->count])) {
        return failure_explain(
            command, ARIL_E_FORMAT_FIELD, "cachekit's keys are hexadecimal digits, 64 as a rule",
            "%s: not a key of %u to %u digits", where, 2 * KEY_BYTES_MIN, 2 * KEY_BYTES_MAX);
    }
    m->keys[m->count] = (aril_bytes){ m->bytes[m->count], bytes };
    m->count++;
    return 0;
}

static int add_list(struct masters *m, const char *command, const char *where, const char *text)
{
    int rc = 0;
    while (rc == 0 && *text != '\0') {
        text += strspn(text, ", ");
        const size_t len = strcspn(text, ", ");
        rc = len == 0 ? 0 : add(m, command, where, text, len);
        text += len;
    }
    return rc;
}

/* Take a variable out of the environment; its bytes are wiped where they stand. */
static void forget(const char *name)
{
    char *value = getenv(name);
    if (value != NULL) {
        explicit_bzero(value, strlen(value));
        (void)unsetenv(name);
    }
}

static int read_environment(struct masters *m, const char *command)
{
    const char *master = getenv(MASTER_VARIABLE);
    const char *previous = getenv(PREVIOUS_VARIABLE);
    int rc = 0;
    if (master != NULL && master[0] != '\0') {
        rc = add(m, command, MASTER_VARIABLE, master, strlen(master));
        if (rc == 0 && previous != NULL) {
            rc = add_list(m, command, PREVIOUS_VARIABLE, previous);
        }
    } else if (previous != NULL && previous[0] != '\0') {
        rc = failure_explain(command, ARIL_E_NOT_FOUND, "set it as cachekit has it",
                             "%s is set, and %s is not", PREVIOUS_VARIABLE, MASTER_VARIABLE);
    }
    forget(MASTER_VARIABLE);
    forget(PREVIOUS_VARIABLE);
    return rc;
}

static int give(struct cache_session *s, const struct cache_options *options,
                aril_cache_format format, const aril_bytes *keys, size_t count, const char *where)
{
    char tenant[KEYS_OWNER_TEXT];
    aril_error error = { .status = ARIL_OK };
    const aril_status st =
        aril_cache_legacy_keys(s->cache, keys_bytes(options->tenant), format, keys, count, &error);
    if (st != ARIL_OK) {
        return failure_error(s->keys.command, st, &error, where);
    }
    if (options->verbose) {
        fprintf(stderr, "%s: %zu key%s from %s for tenant %s\n", s->keys.command, count,
                count == 1 ? "" : "s", where,
                keys_safe(keys_bytes(options->tenant), tenant, sizeof tenant));
    }
    return 0;
}

static int give_cachekit(struct cache_session *s, const struct cache_options *options)
{
    DEFER(masters_wipe) struct masters m = { .count = 0 };
    const int rc = read_environment(&m, s->keys.command);
    if (rc != 0 || m.count == 0) {
        return rc; /* none: those of the keyring serve */
    }
    return give(s, options, ARIL_CACHE_CACHEKIT_INTEROP, m.keys, m.count,
                m.count == 1 ? MASTER_VARIABLE : MASTER_VARIABLE " and " PREVIOUS_VARIABLE);
}

static int give_lmcache(struct cache_session *s, const struct cache_options *options)
{
    const char *command = s->keys.command;
    DEFER(file_contents_free) struct file_contents master = { .data = NULL };
    int rc = file_check_secret(command, options->lmcache_key);
    if (rc == 0) {
        rc = file_read(command, options->lmcache_key, LMCACHE_BYTES_MAX, &master);
    }
    if (rc != 0) {
        return rc;
    }
    if (master.len < LMCACHE_BYTES_MIN) {
        return failure_explain(command, ARIL_E_FORMAT_TRUNCATED, "check that it is the right file",
                               "%s: less than %u bytes", options->lmcache_key, LMCACHE_BYTES_MIN);
    }
    const aril_bytes key = file_bytes(&master);
    return give(s, options, ARIL_CACHE_LMCACHE, &key, 1, options->lmcache_key);
}

int cache_legacy_keys(struct cache_session *s, const struct cache_options *options)
{
    const aril_bytes space = keys_bytes(options->space == NULL ? "" : options->space);
    const aril_cache_policy *policy = cache_find_policy(s, space);
    const uint32_t formats = policy == NULL ? 0 : policy->legacy_reads | 1u << policy->writes;
    int rc = 0;
    if ((formats & CACHEKIT_BITS) != 0) {
        rc = give_cachekit(s, options);
    }
    if (rc == 0 && options->lmcache_key != NULL) {
        if ((formats & 1u << ARIL_CACHE_LMCACHE) == 0) {
            return failure_usage(s->keys.command,
                                 "--lmcache-key: the policy of the namespace lists no lmcache");
        }
        rc = give_lmcache(s, options);
    }
    return rc;
}
