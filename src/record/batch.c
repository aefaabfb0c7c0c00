/* SPDX-License-Identifier: Apache-2.0 */
#include "record/batch.h"
#include "base/ensure.h"

/* --- Parallel runs ------------------------------------------------------------------ */

struct pieces {
    void (*fn)(void *arg, size_t first, size_t end);
    void *arg;
    size_t count, pieces;
};

static void run_piece(void *arg, size_t piece)
{
    const struct pieces *p = arg;
    const size_t each = p->count / p->pieces;
    const size_t more = p->count % p->pieces; /* the first ones take one more */
    const size_t first = piece * each + (piece < more ? piece : more);
    p->fn(p->arg, first, first + each + (piece < more ? 1 : 0));
}

void arili_batch_run(const aril_executor *executor, size_t count, uint64_t bytes,
                     void (*fn)(void *arg, size_t first, size_t end), void *arg)
{
    const uint64_t wanted = bytes / ARILI_BATCH_PIECE_BYTES;
    struct pieces p = { .fn = fn, .arg = arg, .count = count };
    p.pieces = wanted < count ? (size_t)wanted : count;
    if (executor == NULL || p.pieces < 2) {
        p.pieces = 1;
        run_piece(&p, 0);
        return;
    }
    executor->run(executor->state, run_piece, &p, p.pieces);
}

/* --- Sealing ------------------------------------------------------------------ */

struct segment {
    const struct arili_batch *batch;
    size_t first_item;
    struct arili_reservation place;
};

/* One context serves the whole piece: all its records have one key. */
static void seal_piece(void *arg, size_t first, size_t end)
{
    const struct segment *s = arg;
    const struct arili_batch *b = s->batch;
    struct arili_contexts *contexts = b->chain->rt->contexts;
    struct arili_epoch *epoch = s->place.epoch;
    struct arili_context_lease lease;
    const aril_status st = arili_contexts_get(contexts, epoch->uid, epoch->keys->key, &lease);
    for (size_t i = first; i < end; i++) {
        const size_t item = s->first_item + i;
        if (st != ARIL_OK) {
            arili_epoch_unused(epoch, b->length(b->items, item));
            b->refuse(b->items, item, st);
            continue;
        }
        const struct arili_place place = { epoch, s->place.number, s->place.first + i, lease.ctx };
        b->seal(b->items, item, &place);
    }
    if (st == ARIL_OK) {
        arili_contexts_put(contexts, &lease);
    }
}

struct shifted {
    const struct arili_batch *batch;
    size_t first;
};

static uint64_t shifted_length(const void *records, size_t i)
{
    const struct shifted *s = records;
    return s->batch->length(s->batch->items, s->first + i);
}

static uint64_t segment_bytes(const struct segment *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->place.count; i++) {
        sum += s->batch->length(s->batch->items, s->first_item + i);
    }
    return sum;
}

void arili_batch_seal(const struct arili_batch *b, uint64_t now_ns)
{
    struct segment s = { .batch = b };
    while (s.first_item < b->count) {
        const struct shifted rest = { b, s.first_item };
        const aril_status st = arili_chain_reserve(b->chain, now_ns, shifted_length, &rest,
                                                   b->count - s.first_item, &s.place);
        if (st == ARIL_E_LIMIT_RECORD) {
            b->refuse(b->items, s.first_item++, st);
            continue;
        }
        if (st != ARIL_OK) {
            while (s.first_item < b->count) {
                b->refuse(b->items, s.first_item++, st);
            }
            return;
        }
        arili_batch_run(b->executor, s.place.count, b->executor != NULL ? segment_bytes(&s) : 0,
                        seal_piece, &s);
        arili_epoch_unpin(b->chain, s.place.epoch);
        s.first_item += s.place.count;
    }
}
