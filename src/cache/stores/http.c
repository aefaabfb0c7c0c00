/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/stores/http_internal.h"
#include "base/clock.h"
#include "base/ensure.h"
#include "base/files.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * http://HOST/PATH and https://: GET, PUT, HEAD and DELETE of PATH/NAME, by libcurl, which is
 * loaded when such a store is opened. A time to live goes along as X-CacheKit-TTL, in seconds. With
 * cachekit_saas the path is PATH/v1/cache/NAME, and the server is believed to forget by itself.
 *
 * There is no lock: cachekit's have an id that does not grow, so it is no fencing token, and no
 * server could refuse a guarded put. absent_only is HEAD, then PUT with If-None-Match: *; a server
 * that ignores it lets two such puts at the same moment both succeed.
 */
#if ARILI_HTTP_HEADERS

#define POLL_MS_MAX      1000u
#define NS_PER_MS        UINT64_C(1000000)
#define TOKEN_FILE_BYTES (ARILI_HTTP_TOKEN_BYTES_MAX + 2)
#define SHOWN_CHARS      100

uint64_t arili_http_mono_ns(void)
{
    struct timespec now = { 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * ARILI_NS_PER_S + (uint64_t)now.tv_nsec;
}

aril_status arili_http_failed(const struct arili_http *s, aril_error *error, aril_status st,
                              const char *what)
{
    return arili_error_set(error, st, "%.*s: %s", SHOWN_CHARS, s->base, what);
}

/* --- Open and close --- */

static void state_free(struct arili_http *s)
{
    struct arili_http_quiet q = arili_http_quiet_begin();
    arili_http_desks_free(s);
    arili_http_quiet_end(&q);
    arili_free(s->authorization, s->authorization_bytes);
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->mutex);
    arili_free(s, sizeof *s);
}

static void state_freep(struct arili_http **s)
{
    if (*s != NULL) {
        state_free(*s);
    }
}

static bool make_mutex(struct arili_http *s)
{
    pthread_condattr_t attr;
    if (pthread_mutex_init(&s->mutex, NULL) != 0) {
        return false;
    }
    bool made = pthread_condattr_init(&attr) == 0;
    if (made) {
        made = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
               pthread_cond_init(&s->changed, &attr) == 0;
        (void)pthread_condattr_destroy(&attr);
    }
    if (!made) {
        (void)pthread_mutex_destroy(&s->mutex);
    }
    return made;
}

static struct arili_http *state_new(const struct arili_http_curl *curl, uint32_t connections)
{
    struct arili_http *s = arili_alloc(sizeof *s);
    if (s != NULL && !make_mutex(s)) {
        arili_free(s, sizeof *s);
        return NULL;
    }
    if (s != NULL) {
        s->curl = curl;
        s->connections = connections;
    }
    return s;
}

static aril_status copy_path(const char *what, const char *path, char ret[ARILI_HTTP_PATH_BYTES],
                             aril_error *error)
{
    const size_t len = path == NULL ? 0 : strlen(path);
    if (len >= ARILI_HTTP_PATH_BYTES) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%s has %zu characters, %u at most", what, len,
                               ARILI_HTTP_PATH_BYTES - 1);
    }
    if (len > 0) {
        memcpy(ret, path, len);
    }
    ret[len] = '\0';
    return ARIL_OK;
}

/* RFC 6750, 2.1, but for what no server takes. */
static bool is_token(aril_bytes token)
{
    for (size_t i = 0; i < token.len; i++) {
        if (token.data[i] <= 0x20 || token.data[i] >= 0x7f) {
            return false;
        }
    }
    return token.len > 0;
}

static aril_status read_token(struct arili_http *s, const char *path, aril_error *error)
{
    static const char begin[] = "Authorization: Bearer ";
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    ARILI_TRY(arili_file_read(path, TOKEN_FILE_BYTES, ARILI_FILE_SECRET, &file, error));
    aril_bytes token = { file.data, file.len };
    while (token.len > 0 &&
           (token.data[token.len - 1] == '\n' || token.data[token.len - 1] == '\r')) {
        token.len--;
    }
    if (!is_token(token)) {
        return arili_http_failed(s, error, arili_fail(ARIL_E_FORMAT),
                                 "the file secret_path is no bearer token; it is one line of "
                                 "visible characters without spaces");
    }
    s->authorization_bytes = sizeof begin + token.len;
    s->authorization = arili_alloc(s->authorization_bytes);
    if (s->authorization == NULL) {
        return arili_http_failed(s, error, arili_fail(ARIL_E_NOMEM), "no memory");
    }
    memcpy(s->authorization, begin, sizeof begin - 1);
    memcpy(s->authorization + sizeof begin - 1, token.data, token.len);
    return ARIL_OK;
}

static aril_status http_open(const struct arili_cache_store_options *o, const char *scheme,
                             void **ret_state, uint32_t *ret_capabilities, aril_error *error)
{
    const char *reason = NULL;
    const struct arili_http_curl *curl = arili_http_curl_load(&reason);
    if (curl == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_UNAVAILABLE), "%s: %s", scheme, reason);
    }
    const aril_store_config *const c = o->config;
    ARILI_DEFER(state_freep)
    struct arili_http *s = state_new(curl, c->connections > 0 ? c->connections : 1);
    if (s == NULL) {
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM),
                               "no memory for a store; give the process more");
    }
    s->is_saas = c->cachekit_saas != 0;
    ARILI_TRY(arili_http_base(scheme, o->rest, s->is_saas, s->base, error));
    ARILI_TRY(copy_path("ca_path", c->ca_path, s->ca_path, error));
    ARILI_TRY(copy_path("cert_path", c->cert_path, s->cert_path, error));
    ARILI_TRY(copy_path("key_path", c->key_path, s->key_path, error));
    if (c->secret_path != NULL) {
        ARILI_TRY(read_token(s, c->secret_path, error));
    }
    *ret_capabilities = ARIL_STORE_SHARED | (s->is_saas ? ARIL_STORE_TTL : 0);
    *ret_state = ARILI_TAKE(s);
    return ARIL_OK;
}

static void http_close(void *state)
{
    state_free(state);
}

/* --- Batches --- */

struct batch {
    struct arili_http *s;
    struct arili_http_desk *desk;
    uint32_t lanes, active;
    enum arili_http_verb verb;
    aril_store_item *items;
    size_t count, next;
    uint64_t deadline_ns;
    bool has_answer;
    aril_status stop;   /* no further item is asked for; they get this */
    aril_status failed; /* the first that is no answer */
    aril_error why;
};

/* Whether it says something about the item, not about the store. */
static bool is_answer(aril_status st)
{
    switch (st) {
    case ARIL_OK:
    case ARIL_E_NOT_FOUND:
    case ARIL_E_EXISTS:
    case ARIL_E_USAGE_TOO_SMALL:
    case ARIL_E_LIMIT:
    case ARIL_E_IO_FULL:
        return true;
    default:
        return false;
    }
}

static void settle(struct batch *b, aril_store_item *item, aril_status st, const aril_error *why)
{
    item->status = st;
    if (is_answer(st)) {
        b->has_answer = true;
    } else if (b->failed == ARIL_OK) {
        b->failed = st;
        b->why = *why;
    }
}

static bool has_same_name(const aril_store_item *a, const aril_store_item *b)
{
    return a->name.len == b->name.len && memcmp(a->name.data, b->name.data, a->name.len) == 0;
}

/* A lane for an item; NULL while all are busy or one of them is at the same name: the later put
 * must win. */
static struct arili_http_lane *free_lane(const struct batch *b, const aril_store_item *item)
{
    struct arili_http_lane *found = NULL;
    for (uint32_t i = 0; i < b->lanes; i++) {
        struct arili_http_lane *const l = b->desk->lanes[i];
        if (l->item == NULL) {
            found = l;
        } else if (b->verb != ARILI_HTTP_GET && has_same_name(l->item, item)) {
            return NULL;
        }
    }
    return found;
}

static void begin(struct batch *b, struct arili_http_lane *l, aril_store_item *item,
                  enum arili_http_verb verb)
{
    aril_error why = { .status = ARIL_OK };
    aril_status st = arili_http_lane_begin(l, verb, item, b->deadline_ns, &why);
    if (st == ARIL_OK) {
        if (b->s->curl->multi_add_handle(b->desk->multi, l->easy) == CURLM_OK) {
            b->active++;
            return;
        }
        st = arili_http_failed(b->s, &why, arili_fail(ARIL_E_NOMEM), "no memory");
        (void)arili_http_lane_end(l, CURLE_OUT_OF_MEMORY, NULL);
    }
    b->stop = st;
    settle(b, item, st, &why);
}

static void begin_next(struct batch *b)
{
    while (b->stop == ARIL_OK && b->next < b->count) {
        aril_store_item *const item = &b->items[b->next];
        struct arili_http_lane *const l = free_lane(b, item);
        if (l == NULL) {
            return;
        }
        b->next++;
        item->data = NULL;
        item->len = b->verb == ARILI_HTTP_GET ? 0 : item->len;
        if (item->lock.len > 0 && b->verb == ARILI_HTTP_PUT) {
            aril_error why = { .status = ARIL_OK };
            settle(b, item,
                   arili_http_failed(b->s, &why, arili_fail(ARIL_E_UNAVAILABLE),
                                     "the store has no locks"),
                   &why);
            continue;
        }
        l->is_probe = b->verb == ARILI_HTTP_PUT && item->absent_only != 0;
        begin(b, l, item, l->is_probe ? ARILI_HTTP_HEAD : b->verb);
    }
}

static void end(struct batch *b, struct arili_http_lane *l, CURLcode rc)
{
    aril_store_item *const item = l->item;
    aril_error why = { .status = ARIL_OK };
    (void)b->s->curl->multi_remove_handle(b->desk->multi, l->easy);
    b->active--;
    const aril_status st = arili_http_lane_end(l, rc, &why);
    if (l->is_failed && b->stop == ARIL_OK) {
        b->stop = st;
    }
    if (l->is_probe && st == ARIL_E_NOT_FOUND) {
        l->is_probe = false;
        begin(b, l, item, ARILI_HTTP_PUT);
        return;
    }
    settle(b, item, l->is_probe && st == ARIL_OK ? ARIL_E_EXISTS : st, &why);
}

static void end_finished(struct batch *b)
{
    int left = 0;
    const CURLMsg *msg = b->s->curl->multi_info_read(b->desk->multi, &left);
    while (msg != NULL) {
        struct arili_http_lane *l = NULL;
        const CURLcode rc = msg->data.result;
        if (msg->msg == CURLMSG_DONE &&
            b->s->curl->easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &l) == CURLE_OK) {
            end(b, l, rc);
        }
        msg = b->s->curl->multi_info_read(b->desk->multi, &left);
    }
}

/* Whatever is still going on ends with that. */
static void end_all(struct batch *b, CURLcode rc)
{
    for (uint32_t i = 0; i < b->lanes; i++) {
        if (b->desk->lanes[i]->item != NULL) {
            b->desk->lanes[i]->is_probe = false;
            end(b, b->desk->lanes[i], rc);
        }
    }
}

static void step(struct batch *b)
{
    int running = 0;
    if (b->s->curl->multi_perform(b->desk->multi, &running) != CURLM_OK) {
        end_all(b, CURLE_OUT_OF_MEMORY);
        return;
    }
    end_finished(b);
    const uint64_t now = arili_http_mono_ns();
    if (now >= b->deadline_ns) {
        end_all(b, CURLE_OPERATION_TIMEDOUT);
    } else if (b->active > 0 && (uint32_t)running == b->active) {
        const uint64_t left_ms = (b->deadline_ns - now) / NS_PER_MS + 1;
        (void)b->s->curl->multi_poll(b->desk->multi, NULL, 0,
                                     (int)(left_ms < POLL_MS_MAX ? left_ms : POLL_MS_MAX), NULL);
    }
}

static aril_status run_batch(struct arili_http *s, enum arili_http_verb verb,
                             aril_store_item *items, size_t count, uint64_t deadline_ns,
                             aril_error *error)
{
    struct batch b = {
        .s = s, .verb = verb, .items = items, .count = count, .deadline_ns = deadline_ns
    };
    if (count == 0) {
        return ARIL_OK;
    }
    ARILI_TRY(arili_http_desk_take(b.s, count, deadline_ns, &b.desk, &b.lanes, error));
    begin_next(&b);
    while (b.active > 0) {
        step(&b);
        begin_next(&b);
    }
    for (size_t i = b.next; i < count; i++) {
        items[i].status = b.stop;
    }
    arili_http_desk_give(b.s, b.desk, b.lanes);
    if (b.failed != ARIL_OK && error != NULL) {
        *error = b.why;
    }
    return b.has_answer ? ARIL_OK : b.failed;
}

static aril_status run(void *state, enum arili_http_verb verb, aril_store_item *items, size_t count,
                       uint64_t deadline_ns, aril_error *error)
{
    struct arili_http_quiet q = arili_http_quiet_begin();
    const aril_status st = run_batch(state, verb, items, count, deadline_ns, error);
    arili_http_quiet_end(&q);
    return st;
}

static aril_status http_get(void *state, aril_store_item *items, size_t count, uint64_t deadline_ns,
                            aril_error *error)
{
    return run(state, ARILI_HTTP_GET, items, count, deadline_ns, error);
}

static aril_status http_put(void *state, aril_store_item *items, size_t count, uint64_t deadline_ns,
                            aril_error *error)
{
    return run(state, ARILI_HTTP_PUT, items, count, deadline_ns, error);
}

static aril_status http_erase(void *state, aril_store_item *items, size_t count,
                              uint64_t deadline_ns, aril_error *error)
{
    return run(state, ARILI_HTTP_DELETE, items, count, deadline_ns, error);
}

static aril_status http_exists(void *state, aril_store_item *items, size_t count,
                               uint64_t deadline_ns, aril_error *error)
{
    return run(state, ARILI_HTTP_HEAD, items, count, deadline_ns, error);
}

static aril_status http_stat(void *state, uint64_t deadline_ns, struct arili_cache_store_stat *ret,
                             aril_error *error)
{
    const struct arili_http *const s = state;
    (void)deadline_ns;
    (void)error;
    ret->entries = ret->bytes = UINT64_MAX;
    (void)snprintf(ret->description, sizeof ret->description, "%.*s", SHOWN_CHARS, s->base);
    return ARIL_OK;
}

static const char *const schemes[] = { "http", "https", NULL };

const struct arili_cache_store_ops arili_cache_store_http = {
    .abi = ARILI_CACHE_STORE_ABI,
    .kind = "http",
    .schemes = schemes,
    .open = http_open,
    .close = http_close,
    .get = http_get,
    .put = http_put,
    .erase = http_erase,
    .exists = http_exists,
    .stat = http_stat,
};

#else

static aril_status http_open(const struct arili_cache_store_options *o, const char *scheme,
                             void **ret_state, uint32_t *ret_capabilities, aril_error *error)
{
    (void)o;
    (void)ret_state;
    (void)ret_capabilities;
    return arili_error_set(error, arili_fail(ARIL_E_UNAVAILABLE),
                           "%s: built without the headers of libcurl; install them (Debian: "
                           "libcurl4-openssl-dev) and build again",
                           scheme);
}

static const char *const schemes[] = { "http", "https", NULL };

const struct arili_cache_store_ops arili_cache_store_http = {
    .abi = ARILI_CACHE_STORE_ABI,
    .kind = "http",
    .schemes = schemes,
    .open = http_open,
};
#endif
