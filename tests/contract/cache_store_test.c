/* SPDX-License-Identifier: Apache-2.0 */
/* Every store that runs without a server, under the contract. */
#include "cache_store_contract.h"
#include "check.h"
#include "runtime.h"
#include "temp_folder.h"
#include <stdio.h>
#include <string.h>

static aril_status open_uri(void *user, aril_store **ret, aril_error *error)
{
    const aril_store_config config = { .uri = user, .deadline_ms = CACHE_STORE_DEADLINE_MS };
    return aril_store_open(rt, &config, ret, error);
}

static int run_over_memory(void)
{
    static char uri[] = "memory:contract";
    const struct cache_store_subject subject = {
        .name = "memory",
        .user = uri,
        .open = open_uri,
        .capabilities = ARIL_STORE_TTL | ARIL_STORE_LIST | ARIL_STORE_LOCK | ARIL_STORE_NOTIFY,
    };
    return cache_store_contract_run(&subject, NULL);
}

int main(void)
{
    if (runtime_setup(NULL) != 0 || temp_folder_make_quick(NULL) != 0) {
        return 1;
    }
    int failed = run_over_memory();
    failed += temp_folder_remove(NULL) != 0;
    runtime_teardown(NULL);
    return failed;
}
