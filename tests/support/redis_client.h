/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_REDIS_CLIENT_H
#define ARIL_TESTS_REDIS_CLIENT_H
#include "cache/stores/store.h"

/*
 * The Redis store through its table, without what stands above it (breaker, checks). Every call
 * has a deadline of client_deadline_ms from now. One value each; items are made here.
 */
extern uint32_t client_deadline_ms; /* 10000 unless a test says otherwise */
extern aril_error client_error;     /* of the last call */

uint64_t client_now_ns(void); /* CLOCK_MONOTONIC */
/* config may be NULL; its uri is not looked at. */
ARIL_MUST_USE aril_status client_open_with(const char *uri, const aril_store_config *config,
                                           void **ret);
/* As a test wants it: fails the test when it does not open. */
void *client_open(const char *uri);
void client_close(void *state);
uint64_t client_deadline_ns(void);

aril_bytes client_text(const char *text);
aril_status client_put(void *state, const char *name, const char *value);
/* Into a buffer of 256 bytes; the test fails when it succeeds with another value. */
aril_status client_get(void *state, const char *name, const char *want);
aril_status client_erase(void *state, const char *name);
aril_status client_exists(void *state, const char *name);
#endif
