/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_EXECUTOR_H
#define ARIL_EXECUTOR_H
#include <aril/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ARIL_EXECUTOR_ABI 1u

/**
 * Who runs the parts of a batch. A program with a thread pool of its own fills
 * this table; others take aril_pool_new(). Rules for every executor:
 *  - Work. run() calls task(arg, i) exactly once for every i below count, in any
 *    order, on any threads, also at the same time, and returns when all calls
 *    have returned. What they wrote is then visible to the caller.
 *  - Failure. run() cannot fail: without a free thread it runs the tasks itself.
 *  - Threads. run() is called from any thread, also at the same time.
 *  - A task does not throw, does not end its thread and is not cancelled.
 */
typedef struct aril_executor {
    uint32_t abi; /* ARIL_EXECUTOR_ABI */
    void *state;  /* handed to run(); owned by whoever made the table */
    void (*run)(void *state, void (*task)(void *arg, size_t index), void *arg, size_t count);
} aril_executor;

/** Threads of a pool, besides the callers of run(). */
#define ARIL_POOL_THREADS_MAX 1024u

/** A simple executor: threads that wait for work. */
typedef struct aril_pool aril_pool;

/**
 * Start a pool. Its threads are named "aril-pool", block all signals and inherit
 * the CPU affinity of the caller, which is how a program places them.
 *
 * @param threads   1 to ARIL_POOL_THREADS_MAX, besides the caller of run(), which
 *                  works too: for n processors in all, ask for n - 1.
 * @param ret_pool  The new pool; NULL on failure.
 *
 * @retval ARIL_E_USAGE_RANGE  @p threads is out of range.
 * @retval ARIL_E_NOMEM        Out of memory or threads; none is left behind.
 *
 * Threads: any. Blocks: no. Allocates: here, never in run(). Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_pool_new(size_t threads, aril_pool **ret_pool);

/**
 * End the threads and wait for them. Accepts NULL. No run() may be going on, and
 * it is not to be called from a task. In a forked child, where the threads do not
 * exist, a pool can be neither used nor freed.
 */
ARIL_API void aril_pool_free(aril_pool *pool);

/**
 * The table to hand to batch calls; lives as long as @p pool. Several threads may
 * run batches at the same time, and a task may run a batch of its own.
 */
ARIL_API const aril_executor *aril_pool_executor(aril_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
