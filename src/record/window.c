/* SPDX-License-Identifier: Apache-2.0 */
#include "record/window.h"
#include "base/ensure.h"

#define MASK (ARILI_WINDOW_WORDS - 1u)
_Static_assert((ARILI_WINDOW_WORDS & MASK) == 0, "the ring is a power of two");

void arili_window_init(struct arili_window *w)
{
    (void)pthread_mutex_init(&w->lock, NULL); /* default attributes: cannot fail on Linux */
    arili_window_reset(w);
}

void arili_window_done(struct arili_window *w)
{
    (void)pthread_mutex_destroy(&w->lock);
}

void arili_window_reset(struct arili_window *w)
{
    atomic_store_explicit(&w->top, 0, memory_order_relaxed);
    for (size_t i = 0; i < ARILI_WINDOW_WORDS; i++) {
        atomic_store_explicit(&w->bits[i], 0, memory_order_relaxed);
    }
}

/* Left of the window: older than any sequence that the ring still tells apart. */
static bool too_old(uint64_t top, uint64_t sequence)
{
    return sequence < top && top - sequence >= ARILI_WINDOW_RECORDS;
}

bool arili_window_seen(const struct arili_window *w, uint64_t sequence)
{
    /* Acquire: with a new top, the words it moved over are seen as zeros, so that no record
     * is refused for what a word said of an older one. */
    const uint64_t top = atomic_load_explicit(&w->top, memory_order_acquire);
    if (sequence > top) {
        return false;
    }
    const uint64_t word =
        atomic_load_explicit(&w->bits[(sequence >> 6) & MASK], memory_order_relaxed);
    return too_old(top, sequence) || (word >> (sequence & 63) & 1) != 0;
}

/* Zero the words that the window moves over; at most the whole ring. */
static void slide(struct arili_window *w, uint64_t top, uint64_t sequence)
{
    uint64_t words = (sequence >> 6) - (top >> 6);
    if (words > ARILI_WINDOW_WORDS) {
        words = ARILI_WINDOW_WORDS;
    }
    for (uint64_t i = 0; i < words; i++) {
        const uint64_t at = ((sequence >> 6) - i) & MASK;
        atomic_store_explicit(&w->bits[at], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&w->top, sequence, memory_order_release);
}

static aril_status mark_locked(struct arili_window *w, uint64_t sequence)
{
    const uint64_t top = atomic_load_explicit(&w->top, memory_order_relaxed);
    ARILI_ENSURE(!too_old(top, sequence), ARIL_E_REPLAY);
    if (sequence > top) {
        slide(w, top, sequence);
    }
    _Atomic uint64_t *word = &w->bits[(sequence >> 6) & MASK];
    const uint64_t bit = UINT64_C(1) << (sequence & 63);
    const uint64_t before = atomic_load_explicit(word, memory_order_relaxed);
    ARILI_ENSURE((before & bit) == 0, ARIL_E_REPLAY);
    atomic_store_explicit(word, before | bit, memory_order_relaxed);
    return ARIL_OK;
}

aril_status arili_window_mark(struct arili_window *w, uint64_t sequence)
{
    (void)pthread_mutex_lock(&w->lock);
    const aril_status st = mark_locked(w, sequence);
    (void)pthread_mutex_unlock(&w->lock);
    return st;
}
