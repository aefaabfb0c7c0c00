/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_STORES_HTTP_INTERNAL_H
#define ARILI_CACHE_STORES_HTTP_INTERNAL_H
#include "cache/stores/store.h"

#if __has_include(<curl/curl.h>)
#define ARILI_HTTP_HEADERS 1
#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>

/* What the files of the stores http: and https: share. */

/* --- libcurl: http_curl.c --------------------------------------------------------------------- */

struct arili_http_curl {
    __typeof__(curl_global_init) *global_init;
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_reset) *easy_reset;
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    __typeof__(curl_easy_strerror) *easy_strerror;
    __typeof__(curl_slist_append) *slist_append;
    __typeof__(curl_slist_free_all) *slist_free_all;
    __typeof__(curl_multi_init) *multi_init;
    CURLMcode (*multi_setopt)(CURLM *, CURLMoption, ...);
    __typeof__(curl_multi_add_handle) *multi_add_handle;
    __typeof__(curl_multi_remove_handle) *multi_remove_handle;
    __typeof__(curl_multi_perform) *multi_perform;
    __typeof__(curl_multi_poll) *multi_poll;
    __typeof__(curl_multi_info_read) *multi_info_read;
    __typeof__(curl_multi_cleanup) *multi_cleanup;
};
/* Loaded once for the process, and left in place. NULL and *ret_reason when that does not work.
 * Threads: any. */
const struct arili_http_curl *arili_http_curl_load(const char **ret_reason);

/* A connection that the server closed raises SIGPIPE where TLS writes to it: libcurl leaves that to
 * its callers, and only newer ones keep TLS from it. So calls that may write are between these, in
 * one thread. */
struct arili_http_quiet {
    sigset_t old;
    bool was_pending;
};
struct arili_http_quiet arili_http_quiet_begin(void);
void arili_http_quiet_end(struct arili_http_quiet *q);

/* --- URLs: http_url.c ------------------------------------------------------------------------- */

#define ARILI_HTTP_BASE_BYTES 2048u
#define ARILI_HTTP_URL_BYTES  (ARILI_HTTP_BASE_BYTES + 3 * ARIL_STORE_NAME_BYTES_MAX)
#define ARILI_HTTP_PATH_BYTES 4096u

/* "http", "//HOST/PATH" -> "http://HOST/PATH/". USAGE_RANGE with *error for anything else. */
ARIL_MUST_USE aril_status arili_http_base(const char *scheme, const char *rest, bool is_saas,
                                          char ret[ARILI_HTTP_BASE_BYTES], aril_error *error);
void arili_http_url(const char *base, aril_bytes name, char ret[ARILI_HTTP_URL_BYTES]);

/* --- The store -------------------------------------------------------------------------------- */

#define ARILI_HTTP_TOKEN_BYTES_MAX 4096u

enum arili_http_verb { ARILI_HTTP_GET, ARILI_HTTP_PUT, ARILI_HTTP_HEAD, ARILI_HTTP_DELETE };

struct arili_http_lane;

/* What one call works with: connections that are kept, and a handle for each. */
struct arili_http_desk {
    struct arili_http_desk *next;
    CURLM *multi;
    struct arili_http_lane **lanes; /* of s->connections */
    uint32_t lane_count;
};

struct arili_http {
    const struct arili_http_curl *curl;
    char base[ARILI_HTTP_BASE_BYTES];
    char ca_path[ARILI_HTTP_PATH_BYTES], cert_path[ARILI_HTTP_PATH_BYTES],
        key_path[ARILI_HTTP_PATH_BYTES]; /* empty: none */
    char *authorization;                 /* header; NULL: none. Secret. */
    size_t authorization_bytes;
    uint32_t connections;
    bool is_saas;

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t in_use;     /* lanes that calls have */
    uint32_t idle_lanes; /* of the desks below; in_use + idle_lanes <= connections */
    struct arili_http_desk *idle;
};

uint64_t arili_http_mono_ns(void);
/* "http://HOST/PATH/: WHAT". */
aril_status arili_http_failed(const struct arili_http *s, aril_error *error, aril_status st,
                              const char *what);

/* --- Desks: http_pool.c ----------------------------------------------------------------------- */

/* A desk with 1 to wanted lanes. */
ARIL_MUST_USE aril_status arili_http_desk_take(struct arili_http *s, size_t wanted,
                                               uint64_t deadline_ns, struct arili_http_desk **ret,
                                               uint32_t *ret_lanes, aril_error *error);
void arili_http_desk_give(struct arili_http *s, struct arili_http_desk *desk, uint32_t lanes);
void arili_http_desks_free(struct arili_http *s);

/* --- Transfers: http_lane.c, http_body.c ------------------------------------------------------ */

/* A body on its way to an item. */
struct arili_http_body {
    aril_store_item *item;
    size_t len;      /* that came */
    size_t expected; /* when it is known */
    bool is_begun, is_known, is_chunked;
    bool is_ignored; /* of an answer that is no value; len counts */
    bool is_counted; /* too long for buffer, and no room: only len counts */
    uint8_t *to;     /* buffer, or what room gave */
    uint8_t *grown;  /* ours, when the length is not known */
    size_t grown_bytes;
    aril_status st; /* why it was not taken */
};
/* len: SIZE_MAX when the answer does not tell. */
void arili_http_body_begin(struct arili_http_body *b, uint64_t len);
/* False: st says why. */
bool arili_http_body_take(struct arili_http_body *b, aril_bytes bytes);
/* The value is whole: into the item. */
ARIL_MUST_USE aril_status arili_http_body_end(struct arili_http_body *b);
/* No value: nothing of it stays. */
void arili_http_body_drop(struct arili_http_body *b);

struct arili_http_lane {
    struct arili_http *s;
    CURL *easy;
    struct curl_slist *headers;
    enum arili_http_verb verb;
    aril_store_item *item; /* NULL: idle */
    bool is_probe;         /* HEAD before a put with absent_only */
    struct arili_http_body body;
    size_t part, off; /* put: where the value is read */
    bool is_failed;   /* the transfer was, not only the item */
    char reason[CURL_ERROR_SIZE];
    char url[ARILI_HTTP_URL_BYTES];
};
/* NULL: no memory. */
struct arili_http_lane *arili_http_lane_new(struct arili_http *s);
void arili_http_lane_free(struct arili_http_lane *l);
/* Ready to be added to a multi handle. */
ARIL_MUST_USE aril_status arili_http_lane_begin(struct arili_http_lane *l,
                                                enum arili_http_verb verb, aril_store_item *item,
                                                uint64_t deadline_ns, aril_error *error);
/* It was removed from the multi handle. The status of the item; *ret_again: it is begun once more,
 * as is. is_failed says whether to ask no further. */
aril_status arili_http_lane_end(struct arili_http_lane *l, CURLcode rc, aril_error *error);
#else
#define ARILI_HTTP_HEADERS 0
#endif
#endif
