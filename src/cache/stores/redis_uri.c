/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "cache/stores/redis_internal.h"
#include <stdio.h>

#define FORMS                                                           \
    "write redis://[USER@]HOST[:PORT][/DB], redis+unix:PATH[?db=N] or " \
    "redis+cluster://[USER@]HOST[:PORT][,HOST[:PORT]...]; passwords come from a file"
/* sun_path, less its NUL. */
#define UNIX_PATH_MAX 107u

/* A part of the URI. */
struct piece {
    const char *at;
    size_t len;
};

static unsigned hex(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : 16;
}

/* Percent-decoding into cap bytes with NUL; false when it does not fit or is none. */
static bool decode(struct piece from, char *ret, size_t cap)
{
    size_t len = 0;
    for (size_t i = 0; i < from.len; i++) {
        char c = from.at[i];
        if (c == '%') {
            if (from.len - i < 3 || hex(from.at[i + 1]) > 15 || hex(from.at[i + 2]) > 15) {
                return false;
            }
            c = (char)(hex(from.at[i + 1]) << 4 | hex(from.at[i + 2]));
            i += 2;
        }
        if (c == '\0' || len + 1 >= cap) {
            return false;
        }
        ret[len++] = c;
    }
    ret[len] = '\0';
    return true;
}

/* Decimal digits and nothing else, at most max. */
static bool number(struct piece from, uint32_t max, uint32_t *ret)
{
    uint64_t n = 0;
    if (from.len == 0 || from.len > 10) {
        return false;
    }
    for (size_t i = 0; i < from.len; i++) {
        if (from.at[i] < '0' || from.at[i] > '9') {
            return false;
        }
        n = n * 10 + (uint64_t)(from.at[i] - '0');
    }
    *ret = (uint32_t)n;
    return n <= max;
}

/* Cuts what stands before c off; false, and nothing is cut, where there is no c. */
static bool cut(struct piece *rest, char c, struct piece *ret)
{
    const char *const found = rest->len > 0 ? memchr(rest->at, c, rest->len) : NULL;
    if (found == NULL) {
        return false;
    }
    *ret = (struct piece){ rest->at, (size_t)(found - rest->at) };
    rest->at = found + 1;
    rest->len -= ret->len + 1;
    return true;
}

static bool is(struct piece p, const char *text)
{
    return p.len == strlen(text) && memcmp(p.at, text, p.len) == 0;
}

/* "host", "host:port", "[v6]", "[v6]:port" */
static const char *parse_host(struct piece from, struct arili_redis_address *ret)
{
    struct piece host = from;
    struct piece port = { NULL, 0 };
    bool has_port = false;
    if (from.len > 0 && from.at[0] == '[') {
        struct piece rest = { from.at + 1, from.len - 1 };
        if (!cut(&rest, ']', &host) || (rest.len > 0 && rest.at[0] != ':')) {
            return "an address in brackets does not end well";
        }
        has_port = rest.len > 0;
        port = has_port ? (struct piece){ rest.at + 1, rest.len - 1 } : port;
    } else {
        struct piece rest = from;
        has_port = cut(&rest, ':', &host);
        port = rest;
        if (has_port && port.len > 0 && memchr(port.at, ':', port.len) != NULL) {
            return "an IPv6 address stands in brackets";
        }
    }
    uint32_t n = ARILI_REDIS_DEFAULT_PORT;
    if (has_port && (!number(port, UINT16_MAX, &n) || n == 0)) {
        return "a port is no number from 1 to 65535";
    }
    if (host.len == 0 || !decode(host, ret->host, sizeof ret->host)) {
        return "a host is missing, too long, or badly escaped";
    }
    ret->port = (uint16_t)n;
    return NULL;
}

static const char *parse_hosts(struct piece rest, struct arili_redis_uri *out)
{
    for (bool more = true; more;) {
        struct piece one = { NULL, 0 };
        more = cut(&rest, ',', &one);
        if (!more) {
            one = rest;
        }
        if (out->seed_count == ARILI_REDIS_SEEDS_MAX) {
            return "it names more than 16 hosts";
        }
        const char *const reason = parse_host(one, &out->seeds[out->seed_count]);
        if (reason != NULL) {
            return reason;
        }
        out->seed_count++;
    }
    return out->seed_count > 1 && !out->cluster ? "only redis+cluster: has several hosts" : NULL;
}

static const char *parse_authority(struct piece rest, struct arili_redis_uri *out)
{
    if (rest.len < 2 || memcmp(rest.at, "//", 2) != 0) {
        return "two slashes are missing before the host";
    }
    rest = (struct piece){ rest.at + 2, rest.len - 2 };
    struct piece hosts = { NULL, 0 };
    if (!cut(&rest, '/', &hosts)) {
        hosts = rest;
        rest.len = 0;
    }
    struct piece user = { NULL, 0 };
    if (cut(&hosts, '@', &user)) {
        if (user.len > 0 && memchr(user.at, ':', user.len) != NULL) {
            return "a password does not belong into a URI: it shows in lists of processes";
        }
        if (!decode(user, out->user, sizeof out->user)) {
            return "the user is too long or badly escaped";
        }
    }
    if (rest.len > 0 && (out->cluster || !number(rest, ARILI_REDIS_DB_MAX, &out->db))) {
        return out->cluster ? "a Cluster has database 0 only" : "the database is no number";
    }
    return parse_hosts(hosts, out);
}

static const char *parse_unix(struct piece rest, struct arili_redis_uri *out)
{
    /* "redis+unix:///run/x" as others write it. */
    if (rest.len > 2 && memcmp(rest.at, "///", 3) == 0) {
        rest = (struct piece){ rest.at + 2, rest.len - 2 };
    }
    struct arili_redis_address *const seed = &out->seeds[0];
    if (rest.len == 0 || !decode(rest, seed->host, UNIX_PATH_MAX + 1)) {
        return "the path of the socket is missing, longer than 107 bytes, or badly escaped";
    }
    seed->is_unix = true;
    out->seed_count = 1;
    return NULL;
}

static const char *parse_query(struct piece rest, struct arili_redis_uri *out)
{
    for (bool more = true; more;) {
        struct piece word = { NULL, 0 };
        struct piece key = { NULL, 0 };
        more = cut(&rest, '&', &word);
        if (!more) {
            word = rest;
        }
        if (!cut(&word, '=', &key)) {
            return "behind the question mark stands no KEY=VALUE";
        }
        if (is(key, "db")) {
            if (out->cluster || !number(word, ARILI_REDIS_DB_MAX, &out->db)) {
                return "db= is no number of a database";
            }
        } else if (is(key, "password-file")) {
            if (!decode(word, out->password_file, sizeof out->password_file)) {
                return "the path of password-file= is too long or badly escaped";
            }
        } else if (is(key, "user")) {
            if (!decode(word, out->user, sizeof out->user)) {
                return "the user is too long or badly escaped";
            }
        } else {
            return "behind the question mark it knows db=, user= and password-file=";
        }
    }
    return NULL;
}

aril_status arili_redis_uri_parse(const char *scheme, const char *rest, struct arili_redis_uri *ret,
                                  aril_error *error)
{
    memset(ret, 0, sizeof *ret);
    struct piece way = { rest, strlen(rest) };
    struct piece query = way;
    const bool has_query = cut(&query, '?', &way);
    ret->tls = strncmp(scheme, "rediss", 6) == 0;
    ret->cluster = strstr(scheme, "+cluster") != NULL;
    const char *reason =
        strcmp(scheme, "redis+unix") == 0 ? parse_unix(way, ret) : parse_authority(way, ret);
    if (reason == NULL && has_query) {
        reason = parse_query(query, ret);
    }
    if (reason != NULL) {
        memset(ret, 0, sizeof *ret);
        /* The URI is not repeated: what was refused may be a password. */
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "the URI of a store, %s:...: %s; " FORMS, scheme, reason);
    }
    return ARIL_OK;
}

bool arili_redis_address_parse(aril_bytes text, struct arili_redis_address *ret)
{
    struct arili_redis_address out = { 0 };
    size_t colon = text.len;
    for (size_t i = 0; i < text.len; i++) {
        colon = text.data[i] == ':' ? i : colon;
    }
    uint32_t port = 0;
    if (colon >= text.len || colon >= sizeof out.host ||
        memchr(text.data, '\0', text.len) != NULL ||
        !number((struct piece){ (const char *)text.data + colon + 1, text.len - colon - 1 },
                UINT16_MAX, &port) ||
        port == 0) {
        return false;
    }
    memcpy(out.host, text.data, colon);
    out.port = (uint16_t)port;
    *ret = out;
    return true;
}

bool arili_redis_address_equal(const struct arili_redis_address *a,
                               const struct arili_redis_address *b)
{
    return a->is_unix == b->is_unix && a->port == b->port && strcmp(a->host, b->host) == 0;
}

void arili_redis_address_text(const struct arili_redis_address *a,
                              char ret[static ARILI_REDIS_ADDRESS_TEXT])
{
    if (a->is_unix) {
        (void)snprintf(ret, ARILI_REDIS_ADDRESS_TEXT, "%s", a->host);
        return;
    }
    const bool v6 = strchr(a->host, ':') != NULL;
    (void)snprintf(ret, ARILI_REDIS_ADDRESS_TEXT, "%s%s%s:%u", v6 ? "[" : "", a->host,
                   v6 ? "]" : "", (unsigned)a->port);
}
