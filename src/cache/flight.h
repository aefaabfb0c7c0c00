/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_FLIGHT_H
#define ARILI_CACHE_FLIGHT_H
#include "base/mem.h"
#include <aril/cache.h>

/*
 * Single flight: of the threads that want the same name one works, the others wait for it to end.
 * Threads: any. Memory: one small object per name that is being worked on.
 */
struct arili_flights;
struct arili_flight; /* one name that is being worked on */

ARIL_MUST_USE aril_status arili_flights_new(struct arili_flights **ret);
void arili_flights_free(struct arili_flights *f); /* nobody is in it; accepts NULL */

/*
 * Begin to work on a name. *ret is not NULL: the caller works, and ends it with _leave. NULL:
 * somebody worked, and has ended (ARIL_OK) or did not within wait_ms (ARIL_E_TIMEOUT). wait_ms 0:
 * do not wait; ARIL_E_TIMEOUT when somebody works. ARIL_E_NOMEM; ARIL_E_USAGE_RANGE for a name that
 * is longer than cache.h allows. Who waits longer than others of its kind does not go first: after
 * the end all of them are free to enter again.
 */
ARIL_MUST_USE aril_status arili_flight_enter(struct arili_flights *f, const aril_cache_key *key,
                                             uint32_t wait_ms, struct arili_flight **ret);
void arili_flight_leave(struct arili_flights *f, struct arili_flight *flight);
/* How many wait for it now; asked by who works. For tests, which cannot see it otherwise. */
size_t arili_flight_waiters(struct arili_flights *f, struct arili_flight *flight);
#endif
