/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILD_WORKERS_H
#define ARILD_WORKERS_H
#include "proxy/loop.h"
#include <pthread.h>

/*
 * Threads for what may block. A task is run by one of them, in the order in which they were put,
 * and handed to deliver() afterwards, on that thread.
 *
 * Threads: workers_put() from any.
 */
struct workers;
typedef void workers_deliver_fn(void *user, struct arili_task *task);

/* count >= 1. name: of the threads, up to 15 bytes. */
ARIL_MUST_USE aril_status workers_new(uint32_t count, const char *name, workers_deliver_fn *deliver,
                                      void *user, struct workers **ret);
/* Linked through task->next. */
void workers_put(struct workers *w, struct arili_task *task);
/* Runs and delivers what was put, then ends the threads. Accepts NULL. */
void workers_free(struct workers *w);

/* Start a thread on which no signal is handled. 0, or an errno. */
int thread_start(pthread_t *ret, void *(*run)(void *), void *user);
/* Name the calling thread, for top(1) and debuggers. */
void thread_name(const char *name);
#endif
