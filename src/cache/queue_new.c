/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "cache/queue_internal.h"

static const struct arili_queue_calls cache_calls = {
    .by_op = { [ARIL_CACHE_OP_GET] = aril_cache_get,
               [ARIL_CACHE_OP_PUT] = aril_cache_put,
               [ARIL_CACHE_OP_EXISTS] = aril_cache_exists,
               [ARIL_CACHE_OP_DELETE] = aril_cache_delete },
};

aril_status aril_cache_queue_new(aril_cache *cache, size_t workers, size_t depth,
                                 aril_cache_queue **ret_queue)
{
    ARILI_ENSURE(cache != NULL && ret_queue != NULL, ARIL_E_USAGE_NULL);
    return arili_queue_new_over(&cache_calls, cache, workers, depth, ret_queue);
}
