/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_CACHE_STORE_CONTRACT_H
#define ARIL_TESTS_CACHE_STORE_CONTRACT_H
#include <aril/store.h>

/*
 * What every cache store promises, asked through aril/store.h. A new backend is one subject:
 *
 *   static aril_status open_it(void *user, aril_store **ret, aril_error *error)
 *   {
 *       const aril_store_config config = { .uri = user, .deadline_ms = CACHE_STORE_DEADLINE_MS };
 *       return aril_store_open(rt, &config, ret, error);
 *   }
 *   ...
 *   const struct cache_store_subject subject = { .name = "redis", .user = uri, .open = open_it,
 *                                                .clear = flush_it, .capabilities = ... };
 *   failed += cache_store_contract_run(&subject, NULL);
 *
 * What a case needs is told by the capabilities that the subject states, and that the store must
 * have; the other cases are reported as not applicable, and counted.
 */

/* For stores under test: so long that a busy machine does not fail a test. */
#define CACHE_STORE_DEADLINE_MS 120000u

struct cache_store_subject {
    const char *name; /* for the report */
    void *user;       /* handed to the functions */
    /* Opens a store. All that are open at the same time see the same values, as those of two
     * processes do. A failure ends the test. */
    aril_status (*open)(void *user, aril_store **ret, aril_error *error);
    /* Before each case, with no store open: removes every value. NULL: closing does. */
    void (*clear)(void *user);
    uint32_t capabilities; /* exactly what aril_store_get_info() must tell */
    size_t value_max;      /* the longest value that is tried, 0: 16 MiB */
    int survives;          /* 1: values are there after the last store was closed */
};

struct cache_store_result {
    int failed;
    unsigned passed, not_applicable;
};
/* Runs all cases that apply; the numbers are printed and added to *ret, when there is one. Returns
 * how many failed. */
int cache_store_contract_run(const struct cache_store_subject *subject,
                             struct cache_store_result *ret);
#endif
