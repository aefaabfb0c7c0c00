/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CACHE_STORE_INTERNAL_H
#define ARILI_CACHE_STORE_INTERNAL_H
#include "cache/breaker.h"
#include "cache/store_uri.h"
#include "cache/stores/store.h"
#include "crypto/runtime.h"

/* Fixed after the opening, but for counters and breaker. */
struct aril_store {
    aril_runtime *rt;
    const struct arili_cache_store_ops *ops;
    void *state;
    uint32_t capabilities;
    uint32_t deadline_ms;
    struct arili_breaker breaker;
    _Atomic uint64_t calls, failures, rejected;
    pthread_mutex_t hearing;   /* held while a message is handed over */
    aril_store_message_fn *fn; /* under hearing; NULL: nobody listens any more */
    void *user;
    aril_bytes channel; /* owned; that the backend listens on since somebody first did */
    char shown[ARILI_STORE_SHOWN_BYTES];
};
#endif
