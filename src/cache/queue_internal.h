/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_QUEUE_INTERNAL_H
#define ARILI_CACHE_QUEUE_INTERNAL_H
#include <aril/cache.h>

#define ARILI_QUEUE_WORKERS_MAX 256u
#define ARILI_QUEUE_DEPTH_MAX   65536u
#define ARILI_QUEUE_OPS         4u
/* A batch is cut for several workers, into pieces that have one of both at least. */
#define ARILI_QUEUE_PIECE_ITEMS 16u
#define ARILI_QUEUE_PIECE_BYTES ((size_t)1 << 20)

/* What the workers call, by aril_cache_op. */
typedef aril_status arili_queue_call(aril_cache *cache, aril_cache_item *items, size_t count,
                                     aril_error *error);
struct arili_queue_calls {
    arili_queue_call *by_op[ARILI_QUEUE_OPS];
};
/* aril_cache_queue_new() over other calls than those of cache.h. calls stays borrowed. */
ARIL_MUST_USE aril_status arili_queue_new_over(const struct arili_queue_calls *calls,
                                               aril_cache *cache, size_t workers, size_t depth,
                                               aril_cache_queue **ret);
#endif
