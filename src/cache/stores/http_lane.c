/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/stores/http_internal.h"
#if ARILI_HTTP_HEADERS
#include "base/ensure.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* One request and its answer. */

#define NS_PER_MS    UINT64_C(1000000)
#define TTL_S_MAX    2592000u /* cachekit's */
#define BUFFER_BYTES 262144L
#define WAIT_MS_MAX  3600000u
#define CODE_OK      200

struct arili_http_lane *arili_http_lane_new(struct arili_http *s)
{
    struct arili_http_lane *l = arili_alloc(sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->s = s;
    l->easy = s->curl->easy_init();
    if (l->easy == NULL) {
        arili_free(l, sizeof *l);
        return NULL;
    }
    return l;
}

static void lane_reset(struct arili_http_lane *l)
{
    arili_http_body_drop(&l->body);
    l->s->curl->easy_reset(l->easy);
    l->s->curl->slist_free_all(l->headers);
    l->headers = NULL;
    l->item = NULL;
}

void arili_http_lane_free(struct arili_http_lane *l)
{
    lane_reset(l);
    l->s->curl->easy_cleanup(l->easy);
    arili_free(l, sizeof *l);
}

/* --- What libcurl calls --- */

static long answer_code(const struct arili_http_lane *l)
{
    long code = 0;
    return l->s->curl->easy_getinfo(l->easy, CURLINFO_RESPONSE_CODE, &code) == CURLE_OK ? code : 0;
}

static void begin_body(struct arili_http_lane *l)
{
    curl_off_t told = -1;
    if (l->s->curl->easy_getinfo(l->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &told) != CURLE_OK) {
        told = -1;
    }
    l->body.is_ignored = l->verb != ARILI_HTTP_GET || answer_code(l) != CODE_OK;
    arili_http_body_begin(&l->body, told >= 0 && !l->body.is_chunked ? (uint64_t)told : UINT64_MAX);
}

static size_t take_body(char *data, size_t size, size_t count, void *user)
{
    struct arili_http_lane *l = user;
    const size_t len = size * count; /* at most the buffer that was asked for */
    if (!l->body.is_begun) {
        begin_body(l);
    }
    const aril_bytes bytes = { (const uint8_t *)data, len };
    return l->body.st == ARIL_OK && arili_http_body_take(&l->body, bytes) ? len : 0;
}

static bool has_word(const char *data, size_t len, const char *word)
{
    const size_t word_len = strlen(word);
    for (size_t at = 0; word_len <= len && at <= len - word_len; at++) {
        if (strncasecmp(data + at, word, word_len) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether the end of the body can be told from a cut. */
static size_t take_header(char *data, size_t size, size_t count, void *user)
{
    static const char name[] = "transfer-encoding:";
    struct arili_http_lane *l = user;
    const size_t len = size * count;
    if (len >= 5 && strncmp(data, "HTTP/", 5) == 0) {
        l->body.is_chunked = false; /* another answer, after 100 */
    } else if (len >= sizeof name - 1 && strncasecmp(data, name, sizeof name - 1) == 0) {
        l->body.is_chunked = has_word(data, len, "chunked");
    }
    return len;
}

static size_t give_value(char *data, size_t size, size_t count, void *user)
{
    struct arili_http_lane *l = user;
    const aril_store_item *const item = l->item;
    const size_t cap = size * count;
    size_t done = 0;
    while (done < cap && l->part < item->part_count) {
        const aril_bytes part = item->parts[l->part];
        const size_t left = part.len - l->off;
        const size_t len = left < cap - done ? left : cap - done;
        if (len > 0) {
            memcpy(data + done, part.data + l->off, len);
        }
        done += len;
        l->off += len;
        if (l->off == part.len) {
            l->part++;
            l->off = 0;
        }
    }
    return done;
}

/* A kept connection was closed by the server just now, so the value is sent again. */
static int rewind_value(void *user, curl_off_t offset, int origin)
{
    struct arili_http_lane *l = user;
    if (origin != SEEK_SET || offset != 0) {
        return CURL_SEEKFUNC_CANTSEEK;
    }
    l->part = 0;
    l->off = 0;
    return CURL_SEEKFUNC_OK;
}

/* --- The request --- */

struct number {
    CURLoption option;
    long value;
};
struct pointer {
    CURLoption option;
    const void *value;
};

static CURLcode set_numbers(struct arili_http_lane *l, const struct number *numbers, size_t count)
{
    CURLcode rc = CURLE_OK;
    for (size_t i = 0; i < count && rc == CURLE_OK; i++) {
        rc = l->s->curl->easy_setopt(l->easy, numbers[i].option, numbers[i].value);
    }
    return rc;
}

/* Those that are NULL are left out. */
static CURLcode set_pointers(struct arili_http_lane *l, const struct pointer *pointers,
                             size_t count)
{
    CURLcode rc = CURLE_OK;
    for (size_t i = 0; i < count && rc == CURLE_OK; i++) {
        if (pointers[i].value != NULL) {
            rc = l->s->curl->easy_setopt(l->easy, pointers[i].option, pointers[i].value);
        }
    }
    return rc;
}

static CURLcode set_protocols(struct arili_http_lane *l)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    return l->s->curl->easy_setopt(l->easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    return l->s->curl->easy_setopt(l->easy, CURLOPT_PROTOCOLS,
                                   (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* The same for every request. The environment names no proxy for us. */
static CURLcode set_common(struct arili_http_lane *l, long timeout_ms)
{
    const struct number numbers[] = {
        { CURLOPT_NOSIGNAL, 1 },
        { CURLOPT_FOLLOWLOCATION, 0 },
        { CURLOPT_PATH_AS_IS, 1 },
        { CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
        { CURLOPT_HTTP09_ALLOWED, 0 },
        { CURLOPT_CONNECTTIMEOUT_MS, timeout_ms },
        { CURLOPT_TIMEOUT_MS, timeout_ms },
        { CURLOPT_SSL_VERIFYPEER, 1 },
        { CURLOPT_SSL_VERIFYHOST, 2 },
        { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
        { CURLOPT_BUFFERSIZE, BUFFER_BYTES },
    };
    const struct pointer pointers[] = {
        { CURLOPT_URL, l->url },
        { CURLOPT_PROXY, "" },
        { CURLOPT_USERAGENT, "aril/" ARIL_VERSION },
        { CURLOPT_ERRORBUFFER, l->reason },
        { CURLOPT_PRIVATE, l },
        { CURLOPT_WRITEDATA, l },
        { CURLOPT_HEADERDATA, l },
        { CURLOPT_READDATA, l },
        { CURLOPT_SEEKDATA, l },
        { CURLOPT_CAINFO, or_null(l->s->ca_path) },
        { CURLOPT_SSLCERT, or_null(l->s->cert_path) },
        { CURLOPT_SSLKEY, or_null(l->s->key_path) },
    };
    CURLcode rc = set_numbers(l, numbers, sizeof numbers / sizeof numbers[0]);
    if (rc == CURLE_OK) {
        rc = set_pointers(l, pointers, sizeof pointers / sizeof pointers[0]);
    }
    if (rc == CURLE_OK) {
        rc = set_protocols(l);
    }
    if (rc == CURLE_OK) {
        rc = l->s->curl->easy_setopt(l->easy, CURLOPT_WRITEFUNCTION, take_body);
    }
    if (rc == CURLE_OK) {
        rc = l->s->curl->easy_setopt(l->easy, CURLOPT_HEADERFUNCTION, take_header);
    }
    return rc;
}

static uint64_t value_len(const aril_store_item *item)
{
    uint64_t len = 0;
    for (size_t i = 0; i < item->part_count; i++) {
        len += item->parts[i].len; /* the bound on values was checked above */
    }
    return len;
}

static CURLcode set_put(struct arili_http_lane *l)
{
    const struct arili_http_curl *const c = l->s->curl;
    const struct number numbers[] = { { CURLOPT_UPLOAD, 1 },
                                      { CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES } };
    CURLcode rc = set_numbers(l, numbers, sizeof numbers / sizeof numbers[0]);
    if (rc == CURLE_OK) {
        rc = c->easy_setopt(l->easy, CURLOPT_READFUNCTION, give_value);
    }
    if (rc == CURLE_OK) {
        rc = c->easy_setopt(l->easy, CURLOPT_SEEKFUNCTION, rewind_value);
    }
    return rc == CURLE_OK
               ? c->easy_setopt(l->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)value_len(l->item))
               : rc;
}

static CURLcode set_verb(struct arili_http_lane *l)
{
    switch (l->verb) {
    case ARILI_HTTP_GET:
        return l->s->curl->easy_setopt(l->easy, CURLOPT_HTTPGET, 1L);
    case ARILI_HTTP_PUT:
        return set_put(l);
    case ARILI_HTTP_HEAD:
        return l->s->curl->easy_setopt(l->easy, CURLOPT_NOBODY, 1L);
    case ARILI_HTTP_DELETE:
        return l->s->curl->easy_setopt(l->easy, CURLOPT_CUSTOMREQUEST, "DELETE");
    }
    return CURLE_BAD_FUNCTION_ARGUMENT;
}

/* --- Headers --- */

static bool add_header(struct arili_http_lane *l, const char *header)
{
    struct curl_slist *list =
        header == NULL ? l->headers : l->s->curl->slist_append(l->headers, header);
    l->headers = list != NULL ? list : l->headers;
    return header == NULL || list != NULL;
}

/* Whole seconds, up; cachekit takes 1 second to 30 days. */
static bool add_ttl(struct arili_http_lane *l)
{
    char header[48];
    if (l->item->ttl_ms == 0) {
        return true;
    }
    const uint64_t ttl_s = l->item->ttl_ms / 1000 + (l->item->ttl_ms % 1000 != 0);
    (void)snprintf(header, sizeof header, "X-CacheKit-TTL: %llu",
                   (unsigned long long)(ttl_s < TTL_S_MAX ? ttl_s : TTL_S_MAX));
    return add_header(l, header);
}

static CURLcode set_headers(struct arili_http_lane *l)
{
    bool made = add_header(l, l->s->authorization);
    if (l->verb == ARILI_HTTP_PUT) {
        made = made && add_header(l, "Content-Type: application/octet-stream") &&
               add_header(l, "Expect:") && add_ttl(l) &&
               add_header(l, l->item->absent_only != 0 ? "If-None-Match: *" : NULL);
    }
    return made ? l->s->curl->easy_setopt(l->easy, CURLOPT_HTTPHEADER, l->headers)
                : CURLE_OUT_OF_MEMORY;
}

aril_status arili_http_lane_begin(struct arili_http_lane *l, enum arili_http_verb verb,
                                  aril_store_item *item, uint64_t deadline_ns, aril_error *error)
{
    lane_reset(l);
    const uint64_t now = arili_http_mono_ns();
    if (now >= deadline_ns) {
        return arili_http_failed(l->s, error, arili_fail(ARIL_E_TIMEOUT),
                                 "the deadline has passed; raise deadline_ms");
    }
    const uint64_t left_ms = (deadline_ns - now) / NS_PER_MS + 1;
    l->item = item;
    l->verb = verb;
    l->body.item = item;
    l->part = l->off = 0;
    l->is_failed = false;
    l->reason[0] = '\0';
    arili_http_url(l->s->base, item->name, l->url);
    CURLcode rc = set_common(l, (long)(left_ms < WAIT_MS_MAX ? left_ms : WAIT_MS_MAX));
    rc = rc == CURLE_OK ? set_headers(l) : rc;
    rc = rc == CURLE_OK ? set_verb(l) : rc;
    if (rc == CURLE_OK) {
        return ARIL_OK;
    }
    const aril_status st = rc == CURLE_OUT_OF_MEMORY ? ARIL_E_NOMEM : ARIL_E_UNAVAILABLE;
    const aril_status answer =
        arili_http_failed(l->s, error, arili_fail(st), l->s->curl->easy_strerror(rc));
    lane_reset(l);
    return answer;
}

/* --- The answer --- */

static aril_status judge_failure(const struct arili_http_lane *l, CURLcode rc, aril_error *error)
{
    const char *const reason = l->reason[0] != '\0' ? l->reason : l->s->curl->easy_strerror(rc);
    switch (rc) {
    case CURLE_OUT_OF_MEMORY:
        return arili_http_failed(l->s, error, arili_fail(ARIL_E_NOMEM), "no memory");
    case CURLE_FILESIZE_EXCEEDED:
        return arili_fail(ARIL_E_LIMIT);
    case CURLE_OPERATION_TIMEDOUT:
        return arili_http_failed(l->s, error, arili_fail(ARIL_E_TIMEOUT), reason);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return arili_http_failed(l->s, error, arili_fail(ARIL_E_TRUST), reason);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        return arili_http_failed(l->s, error, arili_fail(ARIL_E_FORMAT), reason);
    default:
        return arili_http_failed(l->s, error, arili_fail(ARIL_E_IO), reason);
    }
}

static aril_status judge_refusal(const struct arili_http_lane *l, long code, aril_error *error)
{
    char text[96];
    aril_status st = ARIL_E_IO;
    const char *remedy = "look at the server's log";
    const bool is_put = l->verb == ARILI_HTTP_PUT;
    if (!is_put && (code == 404 || code == 410)) {
        return ARIL_E_NOT_FOUND;
    }
    if (is_put && l->item->absent_only != 0 && code == 412) {
        return ARIL_E_EXISTS;
    }
    switch (code) {
    case 413:
    case 507:
        return arili_fail(ARIL_E_IO_FULL);
    case 401:
    case 403:
        st = ARIL_E_AUTH;
        remedy = "check the token in secret_path";
        break;
    default:
        if (code < 400) {
            st = ARIL_E_FORMAT;
            remedy = code >= 300 ? "redirects are not followed; give the URI of the server itself"
                                 : "give the URI of a server that keeps values";
        }
        break;
    }
    (void)snprintf(text, sizeof text, "it answers %ld; %s", code, remedy);
    return arili_http_failed(l->s, error, arili_fail(st), text);
}

static bool is_success(enum arili_http_verb verb, long code)
{
    switch (verb) {
    case ARILI_HTTP_GET:
        return code == CODE_OK;
    case ARILI_HTTP_PUT:
        return code == CODE_OK || code == 201 || code == 204;
    case ARILI_HTTP_HEAD:
        return code == CODE_OK || code == 204;
    case ARILI_HTTP_DELETE:
        return code == CODE_OK || code == 202 || code == 204;
    }
    return false;
}

static aril_status judge(struct arili_http_lane *l, CURLcode rc, aril_error *error)
{
    const long code = answer_code(l);
    /* A server may refuse a body without reading it, and close. */
    const bool is_refused = code >= 400;
    if (l->body.st != ARIL_OK) {
        return l->body.st == ARIL_E_USAGE_TOO_SMALL || l->body.st == ARIL_E_LIMIT
                   ? l->body.st
                   : arili_http_failed(l->s, error, l->body.st, aril_status_text(l->body.st));
    }
    if (rc != CURLE_OK && !is_refused) {
        l->is_failed = true;
        return judge_failure(l, rc, error);
    }
    if (!is_success(l->verb, code)) {
        const aril_status st = judge_refusal(l, code, error);
        l->is_failed = st == ARIL_E_AUTH;
        return st;
    }
    if (l->verb != ARILI_HTTP_GET) {
        return ARIL_OK;
    }
    if (!l->body.is_begun) { /* an empty value */
        begin_body(l);
    }
    const aril_status st = arili_http_body_end(&l->body);
    return aril_status_class(st) != ARIL_E_FORMAT && aril_status_class(st) != ARIL_E_IO
               ? st
               : arili_http_failed(l->s, error, st, "it does not tell how long the value is");
}

aril_status arili_http_lane_end(struct arili_http_lane *l, CURLcode rc, aril_error *error)
{
    const aril_status st = judge(l, rc, error);
    if (st == ARIL_OK) {
        l->body = (struct arili_http_body){ 0 }; /* the item has it */
    } else if (st != ARIL_E_USAGE_TOO_SMALL && st != ARIL_E_LIMIT) {
        l->item->len = 0;
    }
    lane_reset(l);
    return st;
}
#endif
