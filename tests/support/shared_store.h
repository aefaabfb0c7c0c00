/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_TESTS_SHARED_STORE_H
#define ARIL_TESTS_SHARED_STORE_H
#include "keyring/stores/store.h"

/*
 * A keystore with a counter whose memory forked processes share, as they share a TPM. It hides
 * nothing: a blob is what was sealed. It can not destroy.
 */
struct shared_backing;

/* Before fork(). Ends the process without memory. */
struct shared_backing *shared_backing_new(void);
void shared_backing_free(struct shared_backing *b);
/* In any of the processes. */
struct arili_store shared_store(struct shared_backing *b);
/* The only counter. */
uint64_t shared_backing_counter(const struct shared_backing *b);
#endif
