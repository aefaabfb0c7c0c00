/* SPDX-License-Identifier: Apache-2.0 */
#include "base/conf.h"
#include "base/ensure.h"
#include "base/units.h"
#include "proxy/config.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool all_in(const char *text, const char *others)
{
    for (const char *c = text; *c != '\0'; c++) {
        const bool plain =
            (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (!plain && strchr(others, *c) == NULL) {
            return false;
        }
    }
    return true;
}

/* "::1", "fe80::1%eth0" */
static bool is_v6(const char *host)
{
    char number[INET6_ADDRSTRLEN];
    struct in6_addr ignored;
    const char *const scope = strchr(host, '%');
    const size_t len = scope == NULL ? strlen(host) : (size_t)(scope - host);
    if (len >= sizeof number ||
        (scope != NULL && (scope[1] == '\0' || !all_in(scope + 1, "._-")))) {
        return false;
    }
    memcpy(number, host, len);
    number[len] = '\0';
    return inet_pton(AF_INET6, number, &ignored) == 1;
}

/* A number of IPv4, or a name; what looks like a number is none of a name. */
static bool is_v4_or_name(const char *host)
{
    struct in_addr ignored;
    const bool looks_like_number = strspn(host, "0123456789.") == strlen(host);
    return host[0] != '-' && host[0] != '.' && all_in(host, "._-") &&
           (!looks_like_number || inet_pton(AF_INET, host, &ignored) == 1);
}

static bool copy_host(aril_bytes from, char ret[256])
{
    if (from.len == 0 || from.len > 255 || memchr(from.data, '\0', from.len) != NULL) {
        return false;
    }
    memcpy(ret, from.data, from.len);
    ret[from.len] = '\0';
    return true;
}

static aril_status parse_unix(aril_bytes path, struct arili_address *ret)
{
    struct arili_address out = { .is_unix = true };
    ARILI_ENSURE(path.len <= ARILI_ADDRESS_PATH_MAX && copy_host(path, out.host),
                 ARIL_E_FORMAT_FIELD);
    *ret = out;
    return ARIL_OK;
}

aril_status arili_address_parse(aril_bytes text, uint16_t default_port, struct arili_address *ret)
{
    struct arili_address out = { .port = default_port };
    if (text.len > 0 && text.data[0] == '/') {
        return parse_unix(text, ret);
    }
    if (text.len >= 5 && memcmp(text.data, "unix:", 5) == 0) {
        return parse_unix((aril_bytes){ text.data + 5, text.len - 5 }, ret);
    }
    const bool v6 = text.len > 0 && text.data[0] == '[';
    const size_t begin = v6 ? 1 : 0;
    size_t end = begin;
    while (end < text.len && text.data[end] != (v6 ? ']' : ':')) {
        end++;
    }
    ARILI_ENSURE(copy_host((aril_bytes){ text.data + begin, end - begin }, out.host),
                 ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(v6 ? is_v6(out.host) : is_v4_or_name(out.host), ARIL_E_FORMAT_FIELD);
    ARILI_ENSURE(!v6 || end < text.len, ARIL_E_FORMAT_FIELD);
    const size_t colon = v6 ? end + 1 : end;
    if (colon < text.len) {
        uint64_t port = 0;
        ARILI_ENSURE(text.data[colon] == ':' &&
                         arili_number_parse(
                             (aril_bytes){ text.data + colon + 1, text.len - colon - 1 }, &port) &&
                         port >= 1 && port <= UINT16_MAX,
                     ARIL_E_FORMAT_FIELD);
        out.port = (uint16_t)port;
    }
    ARILI_ENSURE(out.port > 0, ARIL_E_FORMAT_FIELD);
    *ret = out;
    return ARIL_OK;
}

void arili_address_text(const struct arili_address *a, char ret[static ARILI_ADDRESS_TEXT])
{
    if (a->is_unix) {
        (void)snprintf(ret, ARILI_ADDRESS_TEXT, "%s%s", a->host[0] == '/' ? "" : "unix:", a->host);
        return;
    }
    const bool v6 = strchr(a->host, ':') != NULL;
    (void)snprintf(ret, ARILI_ADDRESS_TEXT, "%s%s%s:%u", v6 ? "[" : "", a->host, v6 ? "]" : "",
                   (unsigned)a->port);
}

bool arili_address_equal(const struct arili_address *a, const struct arili_address *b)
{
    return a->is_unix == b->is_unix && a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool arili_address_is_local(const struct arili_address *a)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (a->is_unix || strcmp(a->host, "localhost") == 0) {
        return true;
    }
    if (inet_pton(AF_INET, a->host, &v4) == 1) {
        return ntohl(v4.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, a->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool arili_address_is_any(const struct arili_address *a)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (a->is_unix || strcmp(a->host, "*") == 0) {
        return !a->is_unix;
    }
    if (inet_pton(AF_INET, a->host, &v4) == 1) {
        return v4.s_addr == htonl(INADDR_ANY);
    }
    return inet_pton(AF_INET6, a->host, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
}
