/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_KEYRING_WORKER_H
#define ARILI_KEYRING_WORKER_H
#include <aril/base.h>
#include <stdbool.h>

/*
 * A thread for calls that may never return, and a deadline for those who wait for them.
 *
 * Callers take turns; during its turn a caller may use the subject, hand a function over and
 * wait for it. When the deadline passes first, the worker is given up: from then on the subject
 * belongs to the thread, which releases it when the function comes back after all, and nobody
 * gets a turn any more.
 */
struct arili_worker;
typedef aril_status arili_worker_fn(void *subject);

/* Starts the thread. release ends the subject, on the thread, once. deadline_ms > 0. On failure
 * the subject is still the caller's. ARIL_E_NOMEM. */
ARIL_MUST_USE aril_status arili_worker_new(void *subject, void (*release)(void *subject),
                                           uint32_t deadline_ms, struct arili_worker **ret);
/* No caller may be inside. Waits for the release at most as long as the deadline; not at all
 * when the worker was given up: the thread ends the rest then. NULL is fine. */
void arili_worker_free(struct arili_worker *w);
/* In a forked child, where the thread is not: releases the worker's memory and nothing else. */
void arili_worker_forget(struct arili_worker *w);

enum arili_turn {
    ARILI_TURN_TAKEN = 0,
    ARILI_TURN_BUSY = 1,     /* others were in it for as long as the deadline */
    ARILI_TURN_GIVEN_UP = 2, /* for ever */
    ARILI_TURN_INSIDE = 3    /* this is the worker's own thread */
};
/* A turn that was taken is put back, unless the worker was given up in it. */
enum arili_turn arili_worker_take(struct arili_worker *w);
void arili_worker_put(struct arili_worker *w);
/* During a turn: runs fn on the thread. False: it did not return in time; the worker is given
 * up, the turn is over and the subject must not be touched. */
ARIL_MUST_USE bool arili_worker_run(struct arili_worker *w, arili_worker_fn *fn,
                                    aril_status *ret_status);

/* From within fn: between the two the clocks of all deadlines stand still. False, and no
 * resume, when the worker was given up. */
ARIL_MUST_USE bool arili_worker_pause(struct arili_worker *w);
void arili_worker_resume(struct arili_worker *w);
#endif
