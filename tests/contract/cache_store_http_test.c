/* SPDX-License-Identifier: Apache-2.0 */
/* The store http: under the contract, over tests/scripts/cache_http_server.py. */
#include "cache/stores/http_internal.h"
#include "cache_store_contract.h"
#include "check.h"
#include "http_server.h"
#include "runtime.h"
#include <stdio.h>

#if ARILI_HTTP_HEADERS
static struct http_server server;
static char uri[128];

static aril_status open_plain(void *user, aril_store **ret, aril_error *error)
{
    (void)user;
    (void)snprintf(uri, sizeof uri, "http:%s/ok", server.rest);
    const aril_store_config config = { .uri = uri, .deadline_ms = CACHE_STORE_DEADLINE_MS };
    return aril_store_open(rt, &config, ret, error);
}

static aril_status open_saas(void *user, aril_store **ret, aril_error *error)
{
    (void)user;
    (void)snprintf(uri, sizeof uri, "http:%s/saas", server.rest);
    const aril_store_config config = {
        .uri = uri, .deadline_ms = CACHE_STORE_DEADLINE_MS, .connections = 2, .cachekit_saas = 1
    };
    return aril_store_open(rt, &config, ret, error);
}

/* A new server has no values. */
static void restart(void *user)
{
    (void)user;
    http_server_stop(&server);
    (void)http_server_start(&server, NULL, NULL, NULL);
}

int main(void)
{
    const char *reason = NULL;
    if (arili_http_curl_load(&reason) == NULL) {
        print_message("SKIPPED: %s\n", reason);
        return 77;
    }
    if (!http_server_start(&server, NULL, NULL, NULL)) {
        print_message("SKIPPED: python3 does not run tests/scripts/cache_http_server.py\n");
        return 77;
    }
    if (runtime_setup(NULL) != 0) {
        return 1;
    }
    const struct cache_store_subject subjects[] = {
        { .name = "http",
          .open = open_plain,
          .clear = restart,
          .capabilities = ARIL_STORE_SHARED,
          .survives = 1 },
        { .name = "http, cachekit's paths",
          .open = open_saas,
          .clear = restart,
          .capabilities = ARIL_STORE_SHARED | ARIL_STORE_TTL,
          .survives = 1 },
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT(subjects); i++) {
        failed += cache_store_contract_run(&subjects[i], NULL);
    }
    http_server_stop(&server);
    runtime_teardown(NULL);
    return failed;
}

#else

int main(void)
{
    (void)printf("SKIPPED: built without the headers of libcurl\n");
    return 77;
}
#endif
