/* SPDX-License-Identifier: Apache-2.0 */
/* The Redis store under the contract, over real servers: by TCP, by a UNIX socket, by TLS, with
 * passwords, and over a Cluster. */
#include "cache_store_contract.h"
#include "check.h"
#include "redis.h"
#include "runtime.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define ALL \
    (ARIL_STORE_TTL | ARIL_STORE_LIST | ARIL_STORE_LOCK | ARIL_STORE_NOTIFY | ARIL_STORE_SHARED)

/* One way to reach servers that run. */
struct way {
    const char *name;
    char uri[256];
    aril_store_config config; /* of which uri and the deadline are filled in */
    struct redis *servers;
    size_t count;
};

static aril_status open_it(void *user, aril_store **ret, aril_error *error)
{
    const struct way *const way = user;
    aril_store_config config = way->config;
    config.uri = way->uri;
    config.deadline_ms = CACHE_STORE_DEADLINE_MS;
    return aril_store_open(rt, &config, ret, error);
}

static void flush(void *user)
{
    const struct way *const way = user;
    for (size_t i = 0; i < way->count; i++) {
        redis_expect(&way->servers[i], "FLUSHALL", "+OK");
    }
}

static int run(struct way *way)
{
    const struct cache_store_subject subject = {
        .name = way->name,
        .user = way,
        .open = open_it,
        .clear = flush,
        .capabilities = ALL,
        .survives = 1,
    };
    return cache_store_contract_run(&subject, NULL);
}

static bool write_secret(const struct redis *r, const char *text, char *ret, size_t cap)
{
    (void)snprintf(ret, cap, "%s", redis_file(r, "secret"));
    FILE *const file = fopen(ret, "w");
    return file != NULL && chmod(ret, 0600) == 0 && fputs(text, file) >= 0 && fclose(file) == 0;
}

/* --- One server ---------------------------------------------------------------------------- */

static int over_plain(void)
{
    struct redis server;
    if (!redis_start(&server, &(struct redis_options){ .tcp = true })) {
        return 1;
    }
    struct way tcp = { .name = "redis", .servers = &server, .count = 1 };
    struct way one = { .name = "redis, one connection, another database",
                       .config = { .connections = 1 },
                       .servers = &server,
                       .count = 1 };
    struct way local = { .name = "redis+unix", .servers = &server, .count = 1 };
    (void)snprintf(tcp.uri, sizeof tcp.uri, "redis://127.0.0.1:%u", server.port);
    (void)snprintf(one.uri, sizeof one.uri, "redis://127.0.0.1:%u/3", server.port);
    (void)snprintf(local.uri, sizeof local.uri, "redis+unix:%s", server.socket);
    const int failed = run(&tcp) + run(&one) + run(&local);
    redis_remove(&server);
    return failed;
}

/* The server asks for the client's certificate and for a password. */
static int over_tls(void)
{
    struct redis server;
    const struct redis_options options = { .tls = true, .tls_clients = true, .password = "sesame" };
    char ca[192], cert[192], key[192], secret[192];
    if (!redis_start(&server, &options) ||
        !write_secret(&server, "sesame\n", secret, sizeof secret)) {
        redis_remove(&server);
        return 1;
    }
    (void)snprintf(ca, sizeof ca, "%s", redis_file(&server, "ca.pem"));
    (void)snprintf(cert, sizeof cert, "%s", redis_file(&server, "client.pem"));
    (void)snprintf(key, sizeof key, "%s", redis_file(&server, "client.key"));
    struct way way = {
        .name = "rediss, certificate and password",
        .config = { .secret_path = secret, .ca_path = ca, .cert_path = cert, .key_path = key },
        .servers = &server,
        .count = 1
    };
    (void)snprintf(way.uri, sizeof way.uri, "rediss://127.0.0.1:%u", server.tls_port);
    const int failed = run(&way);
    redis_remove(&server);
    return failed;
}

/* A user who may do no more than a cache needs. */
static int over_users(void)
{
    struct redis server;
    const struct redis_options options = {
        .tcp = true, .acl = "user default off\nuser anna on >sesame ~* &* +@all -@dangerous\n"
    };
    char secret[192];
    if (!redis_start(&server, &options) ||
        !write_secret(&server, "sesame", secret, sizeof secret)) {
        redis_remove(&server);
        return 1;
    }
    struct way way = { .name = "redis, a user and a password",
                       .config = { .secret_path = secret, .connections = 2 },
                       .servers = &server,
                       .count = 1 };
    (void)snprintf(way.uri, sizeof way.uri, "redis://anna@127.0.0.1:%u", server.port);
    const int failed = run(&way);
    redis_remove(&server);
    return failed;
}

/* --- A Cluster ----------------------------------------------------------------------------- */

static int over_cluster(void)
{
    struct redis_cluster cluster;
    if (!redis_cluster_start(&cluster, NULL)) {
        return 1;
    }
    struct way way = { .name = "redis+cluster", .servers = cluster.node, .count = REDIS_NODES };
    (void)snprintf(way.uri, sizeof way.uri, "redis+cluster://127.0.0.1:%u,127.0.0.1:%u",
                   cluster.node[0].port, cluster.node[1].port);
    const int failed = run(&way);
    redis_cluster_remove(&cluster);
    return failed;
}

int main(void)
{
    if (!redis_installed()) {
        print_message("SKIPPED: " REDIS_MISSING "\n");
        return 77;
    }
    if (runtime_setup(NULL) != 0) {
        return 1;
    }
    const int failed = over_plain() + over_tls() + over_users() + over_cluster();
    runtime_teardown(NULL);
    return failed;
}
