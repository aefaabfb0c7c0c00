/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_RECORD_WINDOW_H
#define ARILI_RECORD_WINDOW_H
#include <aril/base.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/*
 * Anti-replay window of one key (RFC 6479): a ring of 64-bit words. The newest word may
 * be partial, so what counts is one word less than the ring.
 *
 * arili_window_seen() asks before the AES and takes no lock; what it answers may be
 * outdated by a moment, in which case the record is checked in vain. arili_window_mark()
 * decides, after the tag was verified, which one of equal records was first.
 */
#define ARILI_WINDOW_WORDS   64u
#define ARILI_WINDOW_RECORDS ((ARILI_WINDOW_WORDS - 1) * 64u)

struct arili_window {
    pthread_mutex_t lock; /* serializes _mark */
    _Atomic uint64_t top; /* highest sequence marked; 0: none */
    _Atomic uint64_t bits[ARILI_WINDOW_WORDS];
};

void arili_window_init(struct arili_window *w);
void arili_window_done(struct arili_window *w);
/* Forget everything, for the next key. Nobody else may use w. */
void arili_window_reset(struct arili_window *w);
/* Whether sequence (at least 1) was marked or has left the window. */
bool arili_window_seen(const struct arili_window *w, uint64_t sequence);
/* Mark sequence. ARIL_E_REPLAY when it was marked or has left the window. */
ARIL_MUST_USE aril_status arili_window_mark(struct arili_window *w, uint64_t sequence);
#endif
