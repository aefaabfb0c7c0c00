/* SPDX-License-Identifier: Apache-2.0 */
/* Every store that runs without a server, under the contract. */
#include "cache_store_contract.h"
#include "check.h"
#include "faulty_cache_store.h"
#include "runtime.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

static aril_status open_uri(void *user, aril_store **ret, aril_error *error)
{
    const aril_store_config config = { .uri = user, .deadline_ms = CACHE_STORE_DEADLINE_MS };
    return aril_store_open(rt, &config, ret, error);
}

static aril_status open_faulty(void *user, aril_store **ret, aril_error *error)
{
    const aril_store_config config = { .uri = "memory:faulty",
                                       .deadline_ms = CACHE_STORE_DEADLINE_MS };
    return faulty_cache_store_open(user, rt, &config, ret, error);
}

static int run_over_memory(void)
{
    static char uri[] = "memory:contract";
    struct faulty_cache_store *const faulty = faulty_cache_store_new(&arili_cache_store_memory);
    const uint32_t all = ARIL_STORE_TTL | ARIL_STORE_LIST | ARIL_STORE_LOCK | ARIL_STORE_NOTIFY;
    const struct cache_store_subject subjects[] = {
        { .name = "memory", .user = uri, .open = open_uri, .capabilities = all },
        { .name = "faulty wrapper over memory",
          .user = faulty,
          .open = open_faulty,
          .capabilities = all },
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT(subjects); i++) {
        failed += cache_store_contract_run(&subjects[i], NULL);
    }
    faulty_cache_store_free(faulty);
    return failed;
}

static char sqlite_uri[600];

static void remove_database(void *user)
{
    static const char *const names[] = { "c.db", "c.db-wal", "c.db-shm", "c.db-journal" };
    (void)user;
    for (size_t i = 0; i < COUNT(names); i++) {
        temp_clear(temp_path(names[i]));
    }
}

static aril_status open_durable(void *user, aril_store **ret, aril_error *error)
{
    const aril_store_config config = {
        .uri = user, .deadline_ms = CACHE_STORE_DEADLINE_MS, .connections = 1, .durable = 1
    };
    return aril_store_open(rt, &config, ret, error);
}

static int run_over_sqlite(void)
{
    (void)snprintf(sqlite_uri, sizeof sqlite_uri, "sqlite:%s", temp_path("c.db"));
    const struct cache_store_subject subjects[] = {
        { .name = "sqlite",
          .user = sqlite_uri,
          .open = open_uri,
          .clear = remove_database,
          .capabilities = ARIL_STORE_TTL | ARIL_STORE_LIST | ARIL_STORE_LOCK | ARIL_STORE_SHARED,
          .survives = 1 },
        { .name = "sqlite, durable, with one connection",
          .user = sqlite_uri,
          .open = open_durable,
          .clear = remove_database,
          .capabilities = ARIL_STORE_TTL | ARIL_STORE_LIST | ARIL_STORE_LOCK | ARIL_STORE_SHARED,
          .survives = 1 },
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT(subjects); i++) {
        failed += cache_store_contract_run(&subjects[i], NULL);
    }
    return failed;
}

int main(void)
{
    if (runtime_setup(NULL) != 0 || temp_folder_make_quick(NULL) != 0) {
        return 1;
    }
    int failed = run_over_memory();
    failed += run_over_sqlite();
    failed += temp_folder_remove(NULL) != 0;
    runtime_teardown(NULL);
    return failed;
}
