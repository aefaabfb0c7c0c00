/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_RECORD_BATCH_H
#define ARILI_RECORD_BATCH_H
#include "record/record.h"
#include <aril/executor.h>

/* What a use supplies to have its records sealed in a batch. Items that were refused
 * beforehand still have a place, of length 0, and are passed over by seal. */
struct arili_batch {
    struct arili_chain *chain;
    const aril_executor *executor; /* NULL: the caller's thread */
    void *items;                   /* handed to the functions */
    size_t count;
    arili_length_fn *length;
    /* Seal item i. Runs on any thread. */
    void (*seal)(void *items, size_t i, const struct arili_place *place);
    /* Item i is not sealed: there was no place for it, or no cipher context. Runs on any thread. */
    void (*refuse)(void *items, size_t i, aril_status why);
};
/* Reserve places epoch by epoch and seal them all; a place that cannot be had refuses its item
 * and, unless it is the item's own fault (ARIL_E_LIMIT_RECORD), all that follow. */
void arili_batch_seal(const struct arili_batch *b, uint64_t now_ns);

/* Cut 0 .. count - 1 into pieces of at least ARILI_BATCH_PIECE_BYTES, where bytes is the sum over
 * all, and run fn(arg, first, end) for each; on the executor when there is more than one. */
#define ARILI_BATCH_PIECE_BYTES (UINT64_C(256) << 10)
void arili_batch_run(const aril_executor *executor, size_t count, uint64_t bytes,
                     void (*fn)(void *arg, size_t first, size_t end), void *arg);
#endif
