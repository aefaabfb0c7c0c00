/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_CACHE_STORE_CASES_H
#define ARIL_TESTS_CACHE_STORE_CASES_H
/* What the files of the contract of cache stores share. The functions end the running test when
 * something does not work, unless they give a status. */
#include "cache_store_contract.h"
#include "check.h"
#include "fixture.h"

struct cache_store_case {
    const char *name;
    void (*run)(void **state);
    uint32_t needs; /* capabilities */
    int survives;   /* needs values that survive */
};
/* Each ends with a case without a name. */
extern const struct cache_store_case cache_store_value_cases[];
extern const struct cache_store_case cache_store_piece_cases[];
extern const struct cache_store_case cache_store_batch_cases[];
extern const struct cache_store_case cache_store_ttl_cases[];
extern const struct cache_store_case cache_store_scan_cases[];
extern const struct cache_store_case cache_store_lock_cases[];
extern const struct cache_store_case cache_store_thread_cases[];

extern const struct cache_store_subject *cache_store_subject;

/* Four at a time. A case that fails need not close. */
aril_store *case_open(void);
void case_close(aril_store *store);

/* Whole values. Room for what comes is from malloc(), freed by got_done(). */
struct got {
    uint8_t *data;
    size_t len;
};
void got_done(struct got *g);
aril_status try_put(aril_store *s, aril_bytes name, aril_bytes value);
aril_status try_put_item(aril_store *s, aril_store_item item, aril_bytes value);
/* *ret is empty unless ARIL_OK. */
aril_status try_get(aril_store *s, aril_bytes name, struct got *ret);
aril_status try_delete(aril_store *s, aril_bytes name);
aril_status try_exists(aril_store *s, aril_bytes name);
void put(aril_store *s, aril_bytes name, aril_bytes value);
void assert_value(aril_store *s, aril_bytes name, aril_bytes value);
void assert_nothing(aril_store *s, aril_bytes name);

/* A name "PREFIXnumber"; static storage, eight at a time, one thread. */
aril_bytes numbered(const char *prefix, unsigned number);
/* Sleeps a little between polls; fails the test when it was called for a minute since the last
 * poll_begin(). */
void poll_begin(void);
void poll_again(void);

/* For other threads, which must not assert: the item's status, or that of the call. */
aril_status quiet_get(aril_store *s, aril_bytes name, uint8_t *buffer, size_t cap, size_t *ret_len);
aril_status quiet_put(aril_store *s, aril_store_item *item, aril_bytes value);
#endif
