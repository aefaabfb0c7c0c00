/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_REDIS_INTERNAL_H
#define ARIL_TESTS_REDIS_INTERNAL_H
#include "redis.h"

/* What redis.c and redis_cluster.c share. */
#define REDIS_POLLS_MAX  10000u
#define REDIS_LINE_BYTES 4096u

/* Between two looks at a server that is not ready. */
void redis_pause(void);
/* As redis_ask(); false without a connection or an answer. */
bool redis_try(const struct redis *r, const char *line, char *ret, size_t cap, size_t *ret_len);
/* As redis_start(). ret_bus_port not NULL: a node of a cluster. */
bool redis_start_node(struct redis *r, const struct redis_options *options, unsigned *ret_bus_port);
#endif
