/* SPDX-License-Identifier: Apache-2.0 */
/* The store file:FOLDER under the contract. */
#include "cache_store_contract.h"
#include "check.h"
#include "files_store.h"
#include "runtime.h"
#include "temp_folder.h"
#include <stdio.h>
#include <unistd.h>

static char folder[256];
static char uri[280];

static aril_status open_plain(void *user, aril_store **ret, aril_error *error)
{
    const aril_store_config config = { .uri = user, .deadline_ms = CACHE_STORE_DEADLINE_MS };
    return aril_store_open(rt, &config, ret, error);
}

static aril_status open_direct(void *user, aril_store **ret, aril_error *error)
{
    const aril_store_config config = { .uri = user,
                                       .deadline_ms = CACHE_STORE_DEADLINE_MS,
                                       .direct_io = 1 };
    return aril_store_open(rt, &config, ret, error);
}

static aril_status open_durable(void *user, aril_store **ret, aril_error *error)
{
    const aril_store_config config = { .uri = user,
                                       .deadline_ms = CACHE_STORE_DEADLINE_MS,
                                       .durable = 1 };
    return aril_store_open(rt, &config, ret, error);
}

/* So much room that nothing is evicted, but looked for. */
static aril_status open_bounded(void *user, aril_store **ret, aril_error *error)
{
    const aril_store_config config = { .uri = user,
                                       .deadline_ms = CACHE_STORE_DEADLINE_MS,
                                       .bytes_max = UINT64_C(1) << 40 };
    return aril_store_open(rt, &config, ret, error);
}

static void remove_all(void *user)
{
    (void)user;
    (void)tree_remove(folder);
}

int main(void)
{
    if (runtime_setup(NULL) != 0 || temp_folder_make_quick(NULL) != 0) {
        return 1;
    }
    (void)snprintf(folder, sizeof folder, "%s", temp_path("values"));
    (void)snprintf(uri, sizeof uri, "file:%s", folder);
    const struct {
        const char *name;
        aril_status (*open)(void *user, aril_store **ret, aril_error *error);
    } ways[] = { { "file", open_plain },
                 { "file, direct", open_direct },
                 { "file, durable", open_durable },
                 { "file, bounded", open_bounded } };
    int failed = 0;
    for (size_t i = 0; i < COUNT(ways); i++) {
        const struct cache_store_subject subject = {
            .name = ways[i].name,
            .user = uri,
            .open = ways[i].open,
            .clear = remove_all,
            .capabilities = ARIL_STORE_TTL | ARIL_STORE_LIST | ARIL_STORE_LOCK | ARIL_STORE_SHARED,
            .survives = 1,
        };
        failed += cache_store_contract_run(&subject, NULL);
    }
    remove_all(NULL);
    failed += temp_folder_remove(NULL) != 0;
    runtime_teardown(NULL);
    return failed;
}
