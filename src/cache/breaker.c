/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/breaker.h"
#include "base/ensure.h"
#include <stdbool.h>

aril_status arili_breaker_init(struct arili_breaker *b, uint32_t after, uint64_t open_ns)
{
    *b = (struct arili_breaker){ .after = after, .open_ns = open_ns };
    ARILI_ENSURE(pthread_mutex_init(&b->mutex, NULL) == 0, ARIL_E_NOMEM);
    return ARIL_OK;
}

void arili_breaker_done(struct arili_breaker *b)
{
    (void)pthread_mutex_destroy(&b->mutex);
}

/* With the mutex. */
static void open_until(struct arili_breaker *b, uint64_t now_ns)
{
    b->until_ns = now_ns > UINT64_MAX - b->open_ns ? UINT64_MAX : now_ns + b->open_ns;
    atomic_store(&b->state, ARIL_BREAKER_OPEN);
}

enum arili_breaker_pass arili_breaker_enter(struct arili_breaker *b, uint64_t now_ns)
{
    if (atomic_load(&b->state) == ARIL_BREAKER_CLOSED) {
        return ARILI_PASS_NORMAL;
    }
    enum arili_breaker_pass pass = ARILI_PASS_NONE;
    (void)pthread_mutex_lock(&b->mutex);
    if (atomic_load(&b->state) == ARIL_BREAKER_CLOSED) {
        pass = ARILI_PASS_NORMAL;
    } else if (atomic_load(&b->state) == ARIL_BREAKER_OPEN && now_ns >= b->until_ns) {
        atomic_store(&b->state, ARIL_BREAKER_HALF_OPEN);
        pass = ARILI_PASS_PROBE;
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return pass;
}

/* With the mutex. */
static void normal_failed(struct arili_breaker *b, uint64_t now_ns)
{
    if (atomic_load(&b->state) != ARIL_BREAKER_CLOSED) {
        return;
    }
    const uint32_t failures = atomic_load(&b->failures) + 1;
    atomic_store(&b->failures, failures);
    if (failures >= b->after) {
        open_until(b, now_ns);
    }
}

/* With the mutex. */
static void probe_ended(struct arili_breaker *b, enum arili_breaker_outcome outcome,
                        uint64_t now_ns)
{
    switch (outcome) {
    case ARILI_OUTCOME_ANSWERED:
        atomic_store(&b->failures, 0);
        atomic_store(&b->state, ARIL_BREAKER_CLOSED);
        break;
    case ARILI_OUTCOME_FAILED:
        open_until(b, now_ns);
        break;
    default: /* the next call is the probe */
        atomic_store(&b->state, ARIL_BREAKER_OPEN);
        break;
    }
}

void arili_breaker_leave(struct arili_breaker *b, enum arili_breaker_pass pass,
                         enum arili_breaker_outcome outcome, uint64_t now_ns)
{
    const bool quiet = pass == ARILI_PASS_NORMAL &&
                       (outcome == ARILI_OUTCOME_UNKNOWN ||
                        (outcome == ARILI_OUTCOME_ANSWERED && atomic_load(&b->failures) == 0));
    if (pass == ARILI_PASS_NONE || quiet) {
        return;
    }
    (void)pthread_mutex_lock(&b->mutex);
    if (pass == ARILI_PASS_PROBE) {
        probe_ended(b, outcome, now_ns);
    } else if (outcome == ARILI_OUTCOME_FAILED) {
        normal_failed(b, now_ns);
    } else if (atomic_load(&b->state) == ARIL_BREAKER_CLOSED) {
        atomic_store(&b->failures, 0);
    }
    (void)pthread_mutex_unlock(&b->mutex);
}

aril_breaker_state arili_breaker_state(struct arili_breaker *b, uint64_t now_ns)
{
    (void)pthread_mutex_lock(&b->mutex);
    aril_breaker_state state = (aril_breaker_state)atomic_load(&b->state);
    if (state == ARIL_BREAKER_OPEN && now_ns >= b->until_ns) {
        state = ARIL_BREAKER_HALF_OPEN;
    }
    (void)pthread_mutex_unlock(&b->mutex);
    return state;
}

enum arili_breaker_outcome arili_breaker_judge(aril_status st)
{
    switch (aril_status_class(st)) {
    case ARIL_E_TIMEOUT:
        return ARILI_OUTCOME_FAILED;
    case ARIL_E_FORMAT: /* _KIND: under that one name is something else, which anybody may put */
        return st == ARIL_E_FORMAT_KIND ? ARILI_OUTCOME_ANSWERED : ARILI_OUTCOME_FAILED;
    case ARIL_E_IO:
        return st == ARIL_E_IO_FULL ? ARILI_OUTCOME_ANSWERED : ARILI_OUTCOME_FAILED;
    case ARIL_OK:
    case ARIL_E_NOT_FOUND:
    case ARIL_E_EXISTS:
    case ARIL_E_REPLAY:
    case ARIL_E_AUTH:
    case ARIL_E_LIMIT:
        return ARILI_OUTCOME_ANSWERED;
    case ARIL_E_USAGE:
        return st == ARIL_E_USAGE_TOO_SMALL ? ARILI_OUTCOME_ANSWERED : ARILI_OUTCOME_UNKNOWN;
    default:
        return ARILI_OUTCOME_UNKNOWN;
    }
}
