/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store_uri.h"
#include "base/ensure.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char password_file[] = "password-file=";

static aril_status refused(aril_error *error, const char *why)
{
    return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                           "the URI of the store %s; see aril/store.h for what it may be", why);
}

static aril_status set_scheme(const char *uri, struct arili_store_uri *ret, const char **ret_rest,
                              aril_error *error)
{
    const char *const colon = strchr(uri, ':');
    const size_t len = colon != NULL ? (size_t)(colon - uri) : 0;
    if (len == 0 || len >= sizeof ret->scheme) {
        return refused(error, "does not begin with a scheme and a colon");
    }
    memcpy(ret->scheme, uri, len);
    ret->scheme[len] = '\0';
    *ret_rest = colon + 1;
    return ARIL_OK;
}

static bool is_network(const char *scheme)
{
    return strncmp(scheme, "redis", 5) == 0 || strncmp(scheme, "http", 4) == 0;
}

/* The user comes before the last '@' of the authority. What it looks like with a password: a colon
 * in the user, or for Redis an '@' behind a '/' that was meant to belong to the password. */
static bool has_password(const char *scheme, const char *rest)
{
    if (strncmp(rest, "//", 2) != 0) {
        return false;
    }
    const char *const authority = rest + 2;
    const size_t len = strcspn(authority, "/?#");
    size_t user_len = 0;
    for (size_t i = 0; i < len; i++) {
        user_len = authority[i] == '@' ? i : user_len;
    }
    return memchr(authority, ':', user_len) != NULL ||
           (strncmp(scheme, "redis", 5) == 0 && strchr(authority + len, '@') != NULL);
}

/* Copies rest, and takes the parameter out of its query. */
static aril_status take_password_file(const char *rest, struct arili_store_uri *ret,
                                      aril_error *error)
{
    size_t len = strcspn(rest, "?");
    const char *at = rest[len] == '?' ? rest + len + 1 : rest + len;
    memcpy(ret->rest, rest, len);
    char before = '?';
    while (*at != '\0') {
        const size_t n = strcspn(at, "&");
        const size_t head = sizeof password_file - 1;
        if (strncmp(at, password_file, head) == 0) {
            if (n == head || n - head >= sizeof ret->secret_path || ret->secret_path[0] != '\0') {
                return refused(error, "names no file, two files or one with too long a path as "
                                      "password-file");
            }
            memcpy(ret->secret_path, at + head, n - head);
        } else {
            ret->rest[len++] = before;
            memcpy(ret->rest + len, at, n);
            len += n;
            before = '&';
        }
        at += at[n] == '&' ? n + 1 : n;
    }
    ret->rest[len] = '\0';
    return ARIL_OK;
}

static void set_shown(struct arili_store_uri *u)
{
    const char *rest = u->rest;
    const char *lead = "";
    if (is_network(u->scheme)) {
        const char *const user_end = strrchr(rest, '@');
        lead = strncmp(rest, "//", 2) == 0 ? "//" : "";
        rest = user_end != NULL ? user_end + 1 : rest + strlen(lead);
    }
    const size_t len = is_network(u->scheme) ? strcspn(rest, "?#") : strlen(rest);
    const size_t cap = sizeof u->shown - sizeof u->scheme - 4;
    (void)snprintf(u->shown, sizeof u->shown, "%s:%s%.*s", u->scheme, lead,
                   (int)(len < cap ? len : cap), rest);
}

aril_status arili_store_uri_parse(const char *uri, struct arili_store_uri *ret, aril_error *error)
{
    const char *rest = NULL;
    *ret = (struct arili_store_uri){ .rest = "" };
    if (strnlen(uri, ARILI_STORE_URI_BYTES) >= ARILI_STORE_URI_BYTES) {
        return refused(error, "is longer than 8191 bytes");
    }
    ARILI_TRY(set_scheme(uri, ret, &rest, error));
    if (!is_network(ret->scheme)) {
        memcpy(ret->rest, rest, strlen(rest) + 1);
        set_shown(ret);
        return ARIL_OK;
    }
    if (has_password(ret->scheme, rest)) {
        return refused(error, "holds a password; put it into a file of mode 0600 and name that as "
                              "secret_path or ?password-file=");
    }
    ARILI_TRY(take_password_file(rest, ret, error));
    set_shown(ret);
    return ARIL_OK;
}
