/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/stores/http_internal.h"
#if ARILI_HTTP_HEADERS
#include "base/ensure.h"
#include <stdio.h>
#include <string.h>

/* A name is one segment of the path below PATH: RFC 3986, 2.3, unreserved bytes as they are, all
 * others as %XX. A name of dots alone is encoded as well, or it would be another folder. */

static aril_status not_a_url(aril_error *error, const char *why)
{
    return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                           "the URI of the store is not http://HOST[:PORT]/PATH: %s", why);
}

aril_status arili_http_base(const char *scheme, const char *rest, bool is_saas,
                            char ret[ARILI_HTTP_BASE_BYTES], aril_error *error)
{
    if (strncmp(rest, "//", 2) != 0 || rest[2] == '\0' || rest[2] == '/' || rest[2] == ':') {
        return not_a_url(error, "it has no host");
    }
    for (const char *p = rest; *p != '\0'; p++) {
        const unsigned char c = (unsigned char)*p;
        if (c <= ' ' || c >= 0x7f || strchr("?#\\\"<>^`{|}", c) != NULL) {
            return not_a_url(error, "it has a query, or characters that must be encoded as %XX");
        }
    }
    const size_t host = strcspn(rest + 2, "/");
    if (memchr(rest, '@', host + 2) != NULL) {
        return not_a_url(error, "it has a user; the token comes from secret_path");
    }
    size_t len = strlen(rest);
    while (len > host + 2 && rest[len - 1] == '/') {
        len--;
    }
    const int n = snprintf(ret, ARILI_HTTP_BASE_BYTES, "%s:%.*s%s/", scheme,
                           len < ARILI_HTTP_BASE_BYTES ? (int)len : (int)ARILI_HTTP_BASE_BYTES,
                           rest, is_saas ? "/v1/cache" : "");
    return n > 0 && (size_t)n < ARILI_HTTP_BASE_BYTES ? ARIL_OK
                                                      : not_a_url(error, "it is too long");
}

static bool is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void arili_http_url(const char *base, aril_bytes name, char ret[ARILI_HTTP_URL_BYTES])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = strlen(base);
    size_t dots = 0;
    memcpy(ret, base, len);
    for (size_t i = 0; i < name.len; i++) {
        dots += name.data[i] == '.';
    }
    for (size_t i = 0; i < name.len; i++) {
        const uint8_t c = name.data[i];
        if (is_unreserved(c) && dots < name.len) {
            ret[len++] = (char)c;
        } else {
            ret[len++] = '%';
            ret[len++] = digits[c >> 4];
            ret[len++] = digits[c & 15];
        }
    }
    ret[len] = '\0';
}
#endif
