/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_FILES_STORE_H
#define ARIL_TESTS_FILES_STORE_H
#include "cache/stores/store.h"
#include <stdbool.h>

/* A backend of cache stores without cache/store.c before it, and what tests of the store
 * file:FOLDER look at. Every failure fails the test that runs, unless said otherwise. */

/* CLOCK_MONOTONIC in a minute: no test waits that long. */
uint64_t far_deadline(void);

struct raw_store {
    const struct arili_cache_store_ops *ops;
    void *state;
    uint32_t capabilities;
    aril_error error; /* of the last call */
};
/* The status of the opening. */
aril_status raw_open(struct raw_store *s, const struct arili_cache_store_ops *ops, aril_runtime *rt,
                     const aril_store_config *config, const char *scheme, const char *rest);
void raw_close(struct raw_store *s);
/* One item each; the status of the item, or of the call when it failed. */
aril_status raw_put(struct raw_store *s, aril_bytes name, aril_bytes value, uint64_t ttl_ms);
/* *ret_len: of the value, also when it does not fit. */
aril_status raw_get(struct raw_store *s, aril_bytes name, aril_span buffer, size_t *ret_len);
aril_status raw_erase(struct raw_store *s, aril_bytes name);
aril_status raw_exists(struct raw_store *s, aril_bytes name);
/* Puts and gets items without asserts, for threads and children. */
aril_status raw_put_item(struct raw_store *s, aril_store_item *item);
aril_status raw_get_item(struct raw_store *s, aril_store_item *item);
/* Whether the name has exactly this value. */
bool raw_has(struct raw_store *s, aril_bytes name, aril_bytes value);

/* Removes a folder and all in it. False when that fails. */
bool tree_remove(const char *path);
/* Calls fn for each regular file below the folder; the path is whole. */
typedef void tree_fn(void *user, const char *path);
void tree_visit(const char *path, tree_fn *fn, void *user);
/* How many files lie there whose name begins with that; "" are all. */
unsigned tree_count(const char *path, const char *begin);
#endif
