/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"
#include "failure.h"
#include <string.h>

const char *const cache_format_names[ARIL_CACHE_FORMATS] = {
    [ARIL_CACHE_NATIVE] = "native",           [ARIL_CACHE_CACHEKIT_INTEROP] = "cachekit-interop",
    [ARIL_CACHE_CACHEKIT_PY] = "cachekit-py", [ARIL_CACHE_CACHEKIT_TS] = "cachekit-ts",
    [ARIL_CACHE_CACHEKIT_RS] = "cachekit-rs", [ARIL_CACHE_LMCACHE] = "lmcache",
};

const char *cache_format_name(aril_cache_format format)
{
    return (unsigned)format < ARIL_CACHE_FORMATS ? cache_format_names[format] : "?";
}

bool cache_format_parse(const char *name, aril_cache_format *ret)
{
    for (unsigned i = 0; i < ARIL_CACHE_FORMATS; i++) {
        if (strcmp(name, cache_format_names[i]) == 0) {
            *ret = (aril_cache_format)i;
            return true;
        }
    }
    return false;
}

int cache_exit_code(const aril_cache_result *result)
{
    switch (result->outcome) {
    case ARIL_CACHE_HIT:
        return EXIT_DONE;
    case ARIL_CACHE_MISS:
        return failure_exit_code(ARIL_E_NOT_FOUND);
    case ARIL_CACHE_KEY_GONE:
        return failure_exit_code(ARIL_E_KEY);
    case ARIL_CACHE_TAMPERED:
        return failure_exit_code(ARIL_E_AUTH);
    default: /* it must not look like success, whatever the status is */
        return failure_exit_code(result->status == ARIL_OK ? ARIL_E_IO : result->status);
    }
}

int cache_tell(const char *command, const char *subject, const aril_cache_result *result,
               const aril_error *error)
{
    const aril_status st = result->status;
    if (result->outcome == ARIL_CACHE_DOWN && error->message[0] != '\0') {
        (void)failure_error(command, st, error, subject);
    } else if (result->outcome == ARIL_CACHE_KEY_GONE && st == ARIL_E_NOT_FOUND) {
        (void)failure_explain(command, st, "'aril keys list --purpose tenant' lists those it has",
                              "%s: key-gone: the keyring has no such tenant", subject);
    } else {
        (void)failure_report(command, st, "%s: %s", subject,
                             aril_cache_outcome_name(result->outcome));
    }
    return cache_exit_code(result);
}

const char *cache_date(uint64_t unix_ms, char ret[KEYS_DATE_TEXT])
{
    if (unix_ms == 0) {
        snprintf(ret, KEYS_DATE_TEXT, "-");
        return ret;
    }
    return keys_date(unix_ms / 1000, ret);
}

static json_t *time_ms(uint64_t unix_ms)
{
    return unix_ms == 0 ? json_null() : json_integer((json_int_t)unix_ms);
}

json_t *cache_json_result(const aril_cache_key *key, const aril_cache_result *result)
{
    const bool hit = result->outcome == ARIL_CACHE_HIT;
    json_t *json = cache_json_key(key);
    json_object_set_new(json, "outcome", json_string(aril_cache_outcome_name(result->outcome)));
    json_object_set_new(json, "status", json_string(aril_status_name(result->status)));
    if (!hit) {
        return json;
    }
    json_object_set_new(json, "tier", json_string(result->tier == ARIL_CACHE_L1 ? "l1" : "l2"));
    json_object_set_new(json, "format", json_string(cache_format_name(result->format)));
    json_object_set_new(json, "stale", json_boolean(result->stale));
    json_object_set_new(json, "old_key", json_boolean(result->old_key));
    json_object_set_new(json, "bytes", json_integer((json_int_t)result->len));
    json_object_set_new(json, "created_ms", time_ms(result->created_ms));
    json_object_set_new(json, "not_after_ms", time_ms(result->not_after_ms));
    return json;
}
