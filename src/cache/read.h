/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_READ_H
#define ARILI_CACHE_READ_H
#include "cache/cache.h"

/*
 * One value on its way from the store: begun when it was not in L1, fed by the store while it comes
 * in, ended when it is there. _begin, then the store's get with _item, then _end.
 */
struct arili_reading {
    aril_cache *cache;
    aril_cache_item *item;
    struct arili_scope *scope;
    uint64_t now_ns, now_ms, ticket;
    uint64_t epoch;      /* of the scope, before the store was asked */
    uint64_t stored_max; /* what is longer is passed over */
    struct arili_place_of_value place;
    struct arili_stage stage; /* the stored value, where it has to be whole before it is opened */

    /* A value that comes in pieces. */
    bool in_pieces, staged;
    uint8_t header[ARILI_VALUE_HEADER_BYTES];
    size_t came;         /* bytes of it */
    aril_status refused; /* why it was passed over */

    bool begun;
    struct arili_value_opening opening;
    aril_tenant_key *key;
    bool old_key;
    uint64_t until_ns; /* L1 may keep it no longer: its tags were looked up there */
    aril_span out;
    bool allocated;
};

/* Fill r for an item whose scope is known. On failure there is nothing to end. */
ARIL_MUST_USE aril_status arili_reading_begin(struct arili_reading *r, aril_cache *cache,
                                              aril_cache_item *item, struct arili_scope *scope,
                                              uint64_t now_ns, aril_error *error);
/* What the store is asked for; r stays where it is meanwhile. */
void arili_reading_item(struct arili_reading *r, aril_store_item *ret);
/* stored: what the store answered for that item, or store_status for all. Fills result and status
 * of the item, and releases what r holds. */
void arili_reading_end(struct arili_reading *r, const aril_store_item *stored, aril_error *error);

/* Fill result.outcome, result.status and status of an item that ended with st. from_store: st is
 * the store's, which could not be asked. */
void arili_reading_judge(aril_cache_item *item, const struct arili_policy *policy, aril_status st,
                         bool from_store);
#endif
