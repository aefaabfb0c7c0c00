/* SPDX-License-Identifier: Apache-2.0 */
/* http and https through libcurl, which is loaded when it is needed: the command has no other use
 * for it, and does not depend on it. */
#include "fetch.h"
#include <aril/base.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if __has_include(<curl/curl.h>)
#include <curl/curl.h>

#define LIBRARY            "libcurl.so.4"
#define TIMEOUT_DEFAULT_MS 10000u
#define WHOLE_TIMEOUT_MS   600000L
#define REDIRECTS_MAX      3L
#define FIRST_BYTES        65536u

struct curl_api {
    void *library;
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_version_info) *version_info;
    __typeof__(curl_easy_init) *easy_init;
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
    __typeof__(curl_easy_perform) *easy_perform;
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    __typeof__(curl_easy_strerror) *easy_strerror;
    __typeof__(curl_slist_append) *slist_append;
    __typeof__(curl_slist_free_all) *slist_free_all;
};

/* A transfer: what it needs while libcurl runs. */
struct transfer {
    struct fetch *f;
    struct file_contents body;
    bool too_long, no_memory;
    char reason[CURL_ERROR_SIZE];
    char header[FETCH_TAG_BYTES + 32];
};

static bool load_symbol(void *library, const char *name, void *ret)
{
    void *symbol = dlsym(library, name);
    /* ISO C has no cast from an object to a function. */
    memcpy(ret, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool load_symbols(struct curl_api *a)
{
    void *l = a->library;
    return load_symbol(l, "curl_global_init", &a->global_init) &&
           load_symbol(l, "curl_version_info", &a->version_info) &&
           load_symbol(l, "curl_easy_init", &a->easy_init) &&
           load_symbol(l, "curl_easy_setopt", &a->easy_setopt) &&
           load_symbol(l, "curl_easy_getinfo", &a->easy_getinfo) &&
           load_symbol(l, "curl_easy_perform", &a->easy_perform) &&
           load_symbol(l, "curl_easy_cleanup", &a->easy_cleanup) &&
           load_symbol(l, "curl_easy_strerror", &a->easy_strerror) &&
           load_symbol(l, "curl_slist_append", &a->slist_append) &&
           load_symbol(l, "curl_slist_free_all", &a->slist_free_all);
}

/* Loaded once, and left in place until the process ends. The command has one thread here. */
static const struct curl_api *curl_load(const char **ret_reason)
{
    static struct curl_api api;
    static bool loaded;
    if (loaded) {
        return &api;
    }
    api.library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (api.library == NULL) {
        *ret_reason = "libcurl.so.4 is not installed (Debian: libcurl4)";
        return NULL;
    }
    if (!load_symbols(&api) || api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        *ret_reason = "libcurl.so.4 is not usable";
        return NULL;
    }
    loaded = true;
    return &api;
}

bool fetch_http_works(char *ret_text, size_t cap)
{
    const char *reason = "";
    const struct curl_api *api = curl_load(&reason);
    if (api == NULL) {
        snprintf(ret_text, cap, "%s", reason);
        return false;
    }
    const curl_version_info_data *info = api->version_info(CURLVERSION_FIRST);
    snprintf(ret_text, cap, "libcurl %s, %s", info->version,
             info->ssl_version == NULL ? "without TLS" : info->ssl_version);
    return true;
}

/* --- what libcurl calls ---------------------------------------------------------------------- */

static bool make_room(struct transfer *t, size_t more)
{
    struct file_contents *c = &t->body;
    if (more <= c->cap - c->len) {
        return true;
    }
    size_t cap = c->cap == 0 ? FIRST_BYTES : c->cap;
    while (cap - c->len < more) {
        cap *= 2; /* bytes_max bounds len and more */
    }
    uint8_t *data = realloc(c->data, cap);
    t->no_memory = data == NULL;
    if (data != NULL) {
        c->data = data;
        c->cap = cap;
    }
    return data != NULL;
}

static size_t take_body(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    const size_t len = size * count; /* at most CURL_MAX_WRITE_SIZE */
    t->too_long = len > t->f->bytes_max - t->body.len;
    if (t->too_long || !make_room(t, len)) {
        return 0;
    }
    memcpy(t->body.data + t->body.len, data, len);
    t->body.len += len;
    return len;
}

/* The ETag of the last answer; a redirect has its own. */
static size_t take_header(char *data, size_t size, size_t count, void *user)
{
    struct transfer *t = user;
    const size_t len = size * count;
    static const char name[] = "etag:";
    const size_t name_len = sizeof name - 1;
    if (len >= 5 && strncmp(data, "HTTP/", 5) == 0) {
        t->f->next_tag[0] = '\0';
        t->body.len = 0;
    }
    if (len < name_len || strncasecmp(data, name, name_len) != 0) {
        return len;
    }
    size_t from = name_len;
    size_t to = len;
    while (from < to && (data[from] == ' ' || data[from] == '\t')) {
        from++;
    }
    while (to > from && (unsigned char)data[to - 1] <= ' ') {
        to--;
    }
    bool fits = to - from < sizeof t->f->next_tag;
    for (size_t i = from; fits && i < to; i++) {
        fits = data[i] >= 0x20 && data[i] < 0x7f;
    }
    snprintf(t->f->next_tag, sizeof t->f->next_tag, "%.*s", fits ? (int)(to - from) : 0,
             data + from);
    return len;
}

static int take_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct transfer *t = user;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return t->f->stop != NULL && *t->f->stop != 0;
}

/* --- a transfer ------------------------------------------------------------------------------ */

static CURLcode set_protocols(const struct curl_api *a, CURL *curl, bool https)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    CURLcode rc = a->easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (rc == CURLE_OK) {
        rc = a->easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
    }
#else
    const long both = CURLPROTO_HTTP | CURLPROTO_HTTPS;
    CURLcode rc = a->easy_setopt(curl, CURLOPT_PROTOCOLS, both);
    if (rc == CURLE_OK) {
        rc = a->easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS, https ? CURLPROTO_HTTPS : both);
    }
#endif
    return rc;
}

static CURLcode set_numbers(const struct curl_api *a, CURL *curl, const struct fetch *f)
{
    const long timeout = (long)(f->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : f->timeout_ms);
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        { CURLOPT_NOSIGNAL, 1 },
        { CURLOPT_FOLLOWLOCATION, f->direct ? 0 : 1 },
        { CURLOPT_MAXREDIRS, REDIRECTS_MAX },
        { CURLOPT_CONNECTTIMEOUT_MS, timeout },
        { CURLOPT_TIMEOUT_MS, timeout > WHOLE_TIMEOUT_MS ? timeout : WHOLE_TIMEOUT_MS },
        { CURLOPT_LOW_SPEED_LIMIT, 1 },
        { CURLOPT_LOW_SPEED_TIME, (timeout + 999) / 1000 },
        { CURLOPT_NOPROGRESS, 0 },
        { CURLOPT_SSL_VERIFYPEER, 1 },
        { CURLOPT_SSL_VERIFYHOST, 2 },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const CURLcode rc = a->easy_setopt(curl, numbers[i].option, numbers[i].value);
        if (rc != CURLE_OK) {
            return rc;
        }
    }
    return a->easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)f->bytes_max);
}

static CURLcode set_pointers(const struct curl_api *a, CURL *curl, struct transfer *t,
                             struct curl_slist *headers)
{
    const struct {
        CURLoption option;
        const void *value;
    } pointers[] = {
        { CURLOPT_ERRORBUFFER, t->reason },
        { CURLOPT_URL, t->f->source },
        { CURLOPT_USERAGENT, "aril/" ARIL_VERSION },
        { CURLOPT_WRITEDATA, t },
        { CURLOPT_HEADERDATA, t },
        { CURLOPT_XFERINFODATA, t },
        { CURLOPT_HTTPHEADER, headers },
    };
    for (size_t i = 0; i < sizeof pointers / sizeof pointers[0]; i++) {
        const CURLcode rc = a->easy_setopt(curl, pointers[i].option, pointers[i].value);
        if (rc != CURLE_OK) {
            return rc;
        }
    }
    CURLcode rc = a->easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    if (rc == CURLE_OK) {
        rc = a->easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    }
    if (rc == CURLE_OK) {
        rc = a->easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, take_progress);
    }
    if (rc == CURLE_OK && t->f->direct) {
        rc = a->easy_setopt(curl, CURLOPT_NOPROXY, "*");
    }
    if (rc == CURLE_OK && t->f->unix_socket != NULL) {
        rc = a->easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, t->f->unix_socket);
    }
    if (rc == CURLE_OK && t->f->ca != NULL) {
        rc = a->easy_setopt(curl, CURLOPT_CAINFO, t->f->ca);
    }
    return rc;
}

static aril_status transfer_failed(const struct curl_api *a, const struct transfer *t, CURLcode rc,
                                   aril_error *error)
{
    const char *reason = t->reason[0] != '\0' ? t->reason : a->easy_strerror(rc);
    if (t->no_memory || rc == CURLE_OUT_OF_MEMORY) {
        return fetch_fail(t->f, ARIL_E_NOMEM, error, "out of memory");
    }
    if (t->too_long || rc == CURLE_FILESIZE_EXCEEDED) {
        return fetch_fail(t->f, ARIL_E_LIMIT, error, "longer than the %zu bytes that are taken",
                          t->f->bytes_max);
    }
    switch (rc) {
    case CURLE_OPERATION_TIMEDOUT:
        return fetch_fail(t->f, ARIL_E_TIMEOUT, error, "%s", reason);
    case CURLE_ABORTED_BY_CALLBACK:
        return fetch_fail(t->f, ARIL_E_INTERRUPTED, error, "stopped");
    case CURLE_PARTIAL_FILE:
        return fetch_fail(t->f, ARIL_E_IO, error, "it ended early: %s", reason);
    case CURLE_PEER_FAILED_VERIFICATION:
        return fetch_fail(t->f, ARIL_E_TRUST, error,
                          "%s; --ca FILE names the certificates to trust", reason);
    default:
        return fetch_fail(t->f, ARIL_E_IO, error, "%s", reason);
    }
}

static aril_status judge_answer(const struct curl_api *a, CURL *curl, struct transfer *t,
                                bool asked_for_change, bool *ret_same, aril_error *error)
{
    long code = 0;
    if (a->easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code) != CURLE_OK) {
        code = 0;
    }
    *ret_same = code == 304 && asked_for_change;
    if (code == 200 || *ret_same) {
        return ARIL_OK;
    }
    const bool missing = code == 404 || code == 410;
    return fetch_fail(t->f, missing ? ARIL_E_NOT_FOUND : ARIL_E_IO, error,
                      "the server answered %ld", code);
}

static aril_status run(const struct curl_api *a, CURL *curl, struct transfer *t,
                       struct curl_slist *headers, bool *ret_same, aril_error *error)
{
    CURLcode rc = set_pointers(a, curl, t, headers);
    if (rc == CURLE_OK) {
        rc = set_numbers(a, curl, t->f);
    }
    if (rc == CURLE_OK) {
        rc = set_protocols(a, curl, strncmp(t->f->source, "https:", 6) == 0);
    }
    if (rc != CURLE_OK) {
        return fetch_fail(t->f, ARIL_E_UNAVAILABLE, error, "this libcurl lacks an option: %s",
                          a->easy_strerror(rc));
    }
    rc = a->easy_perform(curl);
    return rc == CURLE_OK ? judge_answer(a, curl, t, headers != NULL, ret_same, error)
                          : transfer_failed(a, t, rc, error);
}

aril_status fetch_http(struct fetch *f, struct file_contents *ret, bool *ret_same,
                       aril_error *error)
{
    const char *reason = "";
    const struct curl_api *a = curl_load(&reason);
    if (a == NULL) {
        return fetch_fail(f, ARIL_E_UNAVAILABLE, error, "%s", reason);
    }
    struct transfer t = { .f = f };
    struct curl_slist *headers = NULL;
    CURL *curl = a->easy_init();
    if (f->tag[0] != '\0') {
        snprintf(t.header, sizeof t.header, "If-None-Match: %s", f->tag);
        headers = a->slist_append(NULL, t.header);
    }
    aril_status st = curl == NULL || (f->tag[0] != '\0' && headers == NULL)
                         ? fetch_fail(f, ARIL_E_NOMEM, error, "out of memory")
                         : run(a, curl, &t, headers, ret_same, error);
    a->easy_cleanup(curl);
    a->slist_free_all(headers);
    if (st != ARIL_OK || *ret_same) {
        file_contents_free(&t.body);
        return st;
    }
    *ret = t.body;
    return ARIL_OK;
}

#else

#define MISSING "built without the headers of libcurl"

bool fetch_http_works(char *ret_text, size_t cap)
{
    snprintf(ret_text, cap, "%s", MISSING);
    return false;
}

aril_status fetch_http(struct fetch *f, struct file_contents *ret, bool *ret_same,
                       aril_error *error)
{
    (void)ret;
    (void)ret_same;
    return fetch_fail(f, ARIL_E_UNAVAILABLE, error, "%s", MISSING);
}
#endif
