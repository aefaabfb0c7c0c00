/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_BREAKER_H
#define ARILI_CACHE_BREAKER_H
#include <aril/store.h>
#include <pthread.h>
#include <stdatomic.h>

/*
 * A store that failed `after` times in a row is left alone for open_ns; then one call, and only
 * one, is let through to see. It closes the breaker, or opens it for another open_ns. Calls that
 * were under way when it opened change nothing any more.
 *
 * Time is handed in, nanoseconds of any clock that does not go back. Threads: any. While closed and
 * without failures a call costs two loads.
 */
struct arili_breaker {
    uint32_t after;
    uint64_t open_ns;
    pthread_mutex_t mutex;
    atomic_int state;          /* aril_breaker_state; changed with the mutex */
    _Atomic uint32_t failures; /* in a row, while closed; changed with the mutex */
    uint64_t until_ns;         /* while open; with the mutex */
};

enum arili_breaker_pass {
    ARILI_PASS_NONE = 0, /* refused */
    ARILI_PASS_NORMAL,
    ARILI_PASS_PROBE /* the one call of a half-open breaker */
};
enum arili_breaker_outcome {
    ARILI_OUTCOME_ANSWERED, /* the store is there, whatever it said */
    ARILI_OUTCOME_FAILED,
    ARILI_OUTCOME_UNKNOWN /* the call says nothing of the store: no memory here */
};

/* after and open_ns are above 0. */
ARIL_MUST_USE aril_status arili_breaker_init(struct arili_breaker *b, uint32_t after,
                                             uint64_t open_ns);
void arili_breaker_done(struct arili_breaker *b);
/* Whoever gets a pass ends it with _leave. */
ARIL_MUST_USE enum arili_breaker_pass arili_breaker_enter(struct arili_breaker *b, uint64_t now_ns);
void arili_breaker_leave(struct arili_breaker *b, enum arili_breaker_pass pass,
                         enum arili_breaker_outcome outcome, uint64_t now_ns);
/* HALF_OPEN also when it is open and the next call would be the probe. */
aril_breaker_state arili_breaker_state(struct arili_breaker *b, uint64_t now_ns);
/* What the result of a call says of the store. */
enum arili_breaker_outcome arili_breaker_judge(aril_status st);
#endif
