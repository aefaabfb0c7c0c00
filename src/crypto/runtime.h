/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_CRYPTO_RUNTIME_H
#define ARILI_CRYPTO_RUNTIME_H
#include "base/secure.h"
#include "crypto/contexts.h"
#include "crypto/crypto.h"
#include <aril/runtime.h>
#include <stdatomic.h>

/* What every part above takes from its runtime. Members are fixed after creation but
 * for the counter; what they point to is thread-safe. */
struct aril_runtime {
    struct arili_crypto crypto;
    struct arili_secure *secure;
    struct arili_contexts *contexts;
    aril_clock clock;
    const aril_audit_sink *audit; /* NULL: nobody listens */
    _Atomic uint64_t accepts;     /* handshakes begun as server: tells which session is newer */
    bool owns_provider;           /* false when a test handed its own in */
    atomic_uint holders;          /* whoever made it, and arili_runtime_hold() */
};

/* Keeps the runtime until one more aril_runtime_free(), for a thread that outlives the object it
 * works for. Such a holder uses neither clock nor audit: those are borrowed. */
aril_runtime *arili_runtime_hold(aril_runtime *rt);

/* ARIL_E_FORKED in a child of the process that made the runtime: locks of the parent's other
 * threads may be held there for ever, so nothing new may begin. */
ARIL_MUST_USE aril_status arili_runtime_check(const aril_runtime *rt);

/* aril_runtime_new() over a provider of the caller's, which must outlive the
 * runtime. For tests that make primitives fail; not exported. */
ARIL_MUST_USE aril_status arili_runtime_new_over(const struct arili_crypto *crypto,
                                                 const aril_runtime_config *config,
                                                 aril_runtime **ret_rt);
#endif
