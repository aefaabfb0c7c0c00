/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/files.h"
#include "base/mem.h"
#include "cache/stores/redis_internal.h"
#include <stdio.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)

static void store_close(void *state)
{
    struct arili_redis *const s = state;
    if (s == NULL) {
        return;
    }
    arili_redis_listener_end(s->listener);
    arili_redis_pool_done(s);
    arili_tls_free(s->tls);
    (void)pthread_cond_destroy(&s->map_changed);
    (void)pthread_mutex_destroy(&s->mutex);
    arili_free(s, sizeof *s);
}

static void closep(struct arili_redis **s)
{
    store_close(*s);
}

/* --- The password ---------------------------------------------------------------------------- */

static aril_status password_from_file(struct arili_redis *s, const char *path, aril_error *error)
{
    ARILI_DEFER(arili_file_done) struct arili_file file = { 0 };
    ARILI_TRY(arili_file_read(path, ARIL_SECRET_BYTES_MAX + 2, ARILI_FILE_SECRET, &file, error));
    /* Editors end the line. */
    size_t len = file.len;
    len -= len > 0 && file.data[len - 1] == '\n';
    len -= len > 0 && len < file.len && file.data[len - 1] == '\r';
    if (len == 0 || len > sizeof s->password) {
        return arili_error_set(error, arili_fail(ARIL_E_USAGE_RANGE),
                               "%s: a password has 1 to %u bytes; write it into the file", path,
                               ARIL_SECRET_BYTES_MAX);
    }
    memcpy(s->password, file.data, len);
    s->login.password = (aril_bytes){ s->password, len };
    return ARIL_OK;
}

static aril_status password_from_person(struct arili_redis *s, const aril_store_config *config,
                                        aril_error *error)
{
    char name[ARILI_REDIS_ADDRESS_TEXT];
    size_t len = 0;
    arili_redis_address_text(&s->uri.seeds[0], name);
    const aril_status st = config->ask(config->user, ARIL_SECRET_PASSPHRASE, name, s->password,
                                       sizeof s->password, &len);
    if (st != ARIL_OK || len == 0 || len > sizeof s->password) {
        arili_wipe(s->password, sizeof s->password);
        return arili_error_set(error, st != ARIL_OK ? st : arili_fail(ARIL_E_AUTH),
                               "%s: nobody gave its password; give a file with it (secret_path)",
                               name);
    }
    s->login.password = (aril_bytes){ s->password, len };
    return ARIL_OK;
}

static aril_status read_password(struct arili_redis *s, const aril_store_config *config,
                                 aril_error *error)
{
    s->login = (struct arili_redis_login){ .user = s->uri.user, .db = s->uri.db };
    if (config->secret_path != NULL) {
        return password_from_file(s, config->secret_path, error);
    }
    if (s->uri.password_file[0] != '\0') {
        return password_from_file(s, s->uri.password_file, error);
    }
    if (s->uri.user[0] != '\0' && config->ask != NULL) {
        return password_from_person(s, config, error);
    }
    return ARIL_OK;
}

/* --- Opening --------------------------------------------------------------------------------- */

static aril_status contact(struct arili_redis *s, uint64_t deadline_ns, aril_error *error)
{
    if (s->uri.cluster) {
        return arili_redis_map_refresh(s, 0, deadline_ns, error);
    }
    struct arili_redis_node *node = NULL;
    struct arili_redis_conn *conn = NULL;
    ARILI_TRY(arili_redis_node_hold(s, &s->uri.seeds[0], &node, error));
    const aril_status st = arili_redis_pool_take(node, deadline_ns, &conn, error);
    arili_redis_pool_give(conn);
    arili_redis_node_drop(node);
    return st;
}

static uint64_t until(const struct arili_redis *s)
{
    return arili_redis_now_ns() + s->deadline_ms * NS_PER_MS;
}

/* A server that is down may come back; one that refuses us, or is none, will not change. */
static aril_status first_contact(struct arili_redis *s, const aril_store_config *config,
                                 aril_error *error)
{
    struct arili_redis_resolved resolved;
    aril_error note = { 0 };
    aril_status st = ARIL_E_IO;
    for (size_t i = 0; i < s->uri.seed_count && st != ARIL_OK; i++) {
        st = arili_redis_resolve(&s->uri.seeds[i], until(s), &resolved, &note);
    }
    if (st == ARIL_OK) {
        st = contact(s, until(s), &note);
        if (st == ARIL_E_AUTH && s->login.password.len == 0 && config->ask != NULL) {
            ARILI_TRY(password_from_person(s, config, error));
            st = contact(s, until(s), &note);
        }
        if (st == ARIL_E_IO || st == ARIL_E_TIMEOUT) {
            return ARIL_OK;
        }
    }
    return st == ARIL_OK ? ARIL_OK : arili_error_set(error, st, "%s", note.message);
}

static aril_status store_new(const struct arili_cache_store_options *options, const char *scheme,
                             struct arili_redis **ret, aril_error *error)
{
    struct arili_redis *const s = arili_alloc(sizeof *s);
    pthread_condattr_t monotonic;
    if (s == NULL || pthread_condattr_init(&monotonic) != 0) {
        arili_free(s, sizeof *s);
        return arili_error_set(error, arili_fail(ARIL_E_NOMEM), "%s: out of memory", scheme);
    }
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->map_changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&s->mutex, NULL);
    s->rt = options->rt;
    s->connections = options->config->connections != 0 ? options->config->connections : 8;
    s->deadline_ms = options->config->deadline_ms != 0 ? options->config->deadline_ms : 1000;
    s->jitter = arili_redis_now_ns() ^ (uint64_t)(uintptr_t)s;
    memset(s->map.nodes, 0xff, sizeof s->map.nodes);
    *ret = s;
    return ARIL_OK;
}

static aril_status store_open(const struct arili_cache_store_options *options, const char *scheme,
                              void **ret_state, uint32_t *ret_capabilities, aril_error *error)
{
    ARILI_DEFER(closep) struct arili_redis *s = NULL;
    const aril_store_config *const config = options->config;
    ARILI_TRY(store_new(options, scheme, &s, error));
    ARILI_TRY(arili_redis_uri_parse(scheme, options->rest, &s->uri, error));
    ARILI_TRY(read_password(s, config, error));
    if (s->uri.tls) {
        const struct arili_tls_config tls = { .ca_path = config->ca_path,
                                              .cert_path = config->cert_path,
                                              .key_path = config->key_path };
        ARILI_TRY(arili_tls_new(options->rt, &tls, &s->tls, error));
    }
    ARILI_TRY(first_contact(s, config, error));
    *ret_state = ARILI_TAKE(s);
    *ret_capabilities =
        ARIL_STORE_TTL | ARIL_STORE_LIST | ARIL_STORE_LOCK | ARIL_STORE_NOTIFY | ARIL_STORE_SHARED;
    return ARIL_OK;
}

/* --- What it is ------------------------------------------------------------------------------ */

struct info {
    char kind[16];
    char version[24];
    const char *group; /* of TLS; NULL: none */
};

/* The value of "name:" at the beginning of a line, cut; unchanged when it is not there. */
static void info_line(aril_bytes text, const char *name, char *ret, size_t cap)
{
    size_t at = 0;
    while (at < text.len) {
        const uint8_t *const line = text.data + at;
        const uint8_t *const end = memchr(line, '\n', text.len - at);
        const size_t len = end != NULL ? (size_t)(end - line) : text.len - at;
        const size_t name_len = strlen(name);
        if (len > name_len && memcmp(line, name, name_len) == 0) {
            size_t n = 0;
            while (n + 1 < cap && name_len + n < len && line[name_len + n] > ' ' &&
                   line[name_len + n] < 0x7f) {
                ret[n] = (char)line[name_len + n];
                n++;
            }
            ret[n] = '\0';
            return;
        }
        at += len + 1;
    }
}

static aril_status note_info(void *user, const struct arili_redis_value *v)
{
    struct info *const info = user;
    if (v->kind == ARILI_RESP_BULK || v->kind == ARILI_RESP_VERBATIM) {
        char valkey[24] = "";
        info_line(v->text, "redis_version:", info->version, sizeof info->version);
        info_line(v->text, "valkey_version:", valkey, sizeof valkey);
        if (valkey[0] != '\0') {
            memcpy(info->version, valkey, sizeof valkey);
        }
        (void)snprintf(info->kind, sizeof info->kind, "%s", valkey[0] != '\0' ? "valkey" : "redis");
    }
    return ARIL_OK;
}

/* Nodes of a Cluster need not agree on one. */
static void note_group(struct info *info, const struct arili_redis_socket *socket)
{
    if (socket->tls != NULL) {
        const char *const group = arili_tls_group(socket->tls);
        const bool other = info->group != NULL && strcmp(info->group, group) != 0;
        info->group = other ? "several groups" : group;
    }
}

/* Adds what one node has. A user without the right to ask gets less of an answer. */
static aril_status node_stat(struct arili_redis_node *node, uint64_t deadline_ns, struct info *info,
                             uint64_t *entries, aril_error *error)
{
    const aril_bytes size[] = { ARILI_LITERAL("DBSIZE") };
    const aril_bytes ask[] = { ARILI_LITERAL("INFO"), ARILI_LITERAL("server") };
    ARILI_DEFER(arili_redis_pool_givep) struct arili_redis_conn *conn = NULL;
    struct arili_redis_answer a;
    ARILI_TRY(arili_redis_pool_take(node, deadline_ns, &conn, error));
    note_group(info, &conn->socket);
    ARILI_TRY(arili_redis_conn_send(conn, size, 1, deadline_ns, error));
    ARILI_TRY(arili_redis_conn_send(conn, ask, 2, deadline_ns, error));
    ARILI_TRY(arili_redis_conn_flush(conn, deadline_ns, error));
    ARILI_TRY(arili_redis_conn_answer(conn, &a, deadline_ns, error));
    const bool counted = a.kind == ARILI_RESP_INTEGER && a.number >= 0 && *entries != UINT64_MAX;
    *entries = counted ? *entries + (uint64_t)a.number : UINT64_MAX;
    return arili_redis_conn_receive(conn, (aril_span){ NULL, 0 }, note_info, info, deadline_ns,
                                    error);
}

static aril_status store_stat(void *state, uint64_t deadline_ns, struct arili_cache_store_stat *ret,
                              aril_error *error)
{
    struct arili_redis *const s = state;
    struct arili_redis_node *nodes[ARILI_REDIS_NODES_MAX];
    struct info info = { .kind = "redis" };
    size_t count = 0;
    uint64_t entries = 0;
    if (s->uri.cluster && arili_redis_map_generation(s) == 0) {
        ARILI_TRY(arili_redis_map_refresh(s, 0, deadline_ns, error));
    }
    ARILI_TRY(arili_redis_masters(s, nodes, ARILI_REDIS_NODES_MAX, &count, error));
    aril_status st = ARIL_OK;
    for (size_t i = 0; i < count; i++) {
        if (st == ARIL_OK) {
            st = node_stat(nodes[i], deadline_ns, &info, &entries, error);
        }
        arili_redis_node_drop(nodes[i]);
    }
    ARILI_TRY(st);
    char name[ARILI_REDIS_ADDRESS_TEXT];
    char where[40];
    arili_redis_address_text(&s->uri.seeds[0], name);
    (void)snprintf(where, sizeof where, "a Cluster of %zu at ", count);
    *ret = (struct arili_cache_store_stat){ .entries = entries, .bytes = UINT64_MAX };
    const int len = snprintf(
        ret->description, sizeof ret->description, "%s %s%s%s%.48s%s%s", info.kind, info.version,
        info.version[0] != '\0' ? " " : "", s->uri.cluster ? where : "at ", name,
        info.group != NULL ? ", TLS 1.3, " : "", info.group != NULL ? info.group : "");
    ARILI_ENSURE(len > 0, ARIL_E_FORMAT); /* what is longer is cut */
    return ARIL_OK;
}

static const char *const SCHEMES[] = { "redis",         "rediss",         "redis+unix",
                                       "redis+cluster", "rediss+cluster", NULL };

const struct arili_cache_store_ops arili_cache_store_redis = {
    .abi = ARILI_CACHE_STORE_ABI,
    .kind = "redis",
    .schemes = SCHEMES,
    .open = store_open,
    .close = store_close,
    .get = arili_redis_get,
    .put = arili_redis_put,
    .erase = arili_redis_erase,
    .exists = arili_redis_exists,
    .scan = arili_redis_scan,
    .lock = arili_redis_lock,
    .unlock = arili_redis_unlock,
    .publish = arili_redis_publish,
    .listen = arili_redis_listen,
    .stat = store_stat,
};
