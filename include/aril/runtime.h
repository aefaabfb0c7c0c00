/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_RUNTIME_H
#define ARIL_RUNTIME_H
#include <aril/audit.h>
#include <aril/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ARIL_CLOCK_ABI 1u

/**
 * Where time comes from. Rules: both functions may be called from any thread
 * at any time, never block, and never go back except where stated.
 */
typedef struct aril_clock {
    uint32_t abi; /* ARIL_CLOCK_ABI */
    void *state;  /* handed to the functions; owned by whoever made the table */
    /** Nanoseconds since boot, sleep included. Lifetimes are counted with it. */
    ARIL_MUST_USE aril_status (*boot_ns)(void *state, uint64_t *ret_ns);
    /** Seconds since 1970, UTC. For audit events only; may jump. */
    ARIL_MUST_USE aril_status (*unix_s)(void *state, uint64_t *ret_s);
} aril_clock;

/** All zero is the default. */
typedef struct aril_runtime_config {
    const aril_clock *clock;      /* NULL: the system's clocks. Borrowed until free. */
    const aril_audit_sink *audit; /* NULL: events are not recorded. Borrowed until free. */
    aril_error *error;            /* NULL, or where aril_runtime_new() says what is missing */
} aril_runtime_config;

/**
 * What all objects of one process share: an own OpenSSL library context, cipher
 * contexts, secure memory, clocks and the audit sink. Most programs have one.
 *
 * A runtime belongs to the process that made it. A forked child frees what it inherited, makes
 * its own runtime, and establishes sessions of its own; everything else answers ARIL_E_FORKED.
 */
typedef struct aril_runtime aril_runtime;

/**
 * Create a runtime.
 *
 * @param config   NULL or all zero for the defaults. Copied.
 * @param ret_rt   The new runtime; NULL on failure.
 *
 * @retval ARIL_E_UNAVAILABLE  libcrypto lacks an algorithm that aril needs.
 * @retval ARIL_E_USAGE_RANGE  A table in @p config has an unknown version.
 * @retval ARIL_E_NOMEM        Out of memory, or no pages for secrets.
 *
 * Threads: any. Blocks: no. Allocates: yes. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_runtime_new(const aril_runtime_config *config,
                                                    aril_runtime **ret_rt);

/**
 * End a runtime. Accepts NULL. Every object made from it must be freed before.
 * Threads: the caller alone. Since: 0.1
 */
ARIL_API void aril_runtime_free(aril_runtime *rt);

/** What the runtime found on this host. Strings are static or live as long as the runtime. */
typedef struct aril_runtime_info {
    const char *version;          /* of aril */
    const char *openssl;          /* version text of the embedded libcrypto */
    const char *cpu;              /* comma separated: "aes,pclmulqdq,avx512f,vaes" */
    size_t secure_bytes;          /* secure memory in use for secrets, whole pages */
    size_t secure_locked_bytes;   /* the part that is locked against swapping */
    int wipes_on_fork;            /* 1: a forked child sees zeros instead of secrets */
    int excluded_from_core_dumps; /* 1: for secure pages and for libcrypto's heap */
} aril_runtime_info;

/** Fill @p ret_info. Threads: any. Since: 0.1 */
ARIL_API ARIL_MUST_USE aril_status aril_runtime_get_info(const aril_runtime *rt,
                                                         aril_runtime_info *ret_info);

/** Called once per known-answer test with its name and ARIL_OK or what failed. */
typedef void aril_self_test_fn(void *user, const char *name, aril_status st);

/**
 * Run a known-answer test of each primitive: AES-256-GCM and AES-128-GCM, XAES-256-GCM,
 * AES-256-SIV, SHA-2, SHA-3, BLAKE2b, HKDF, HMAC, Argon2id, X25519, ML-KEM-768 and -1024, X-Wing,
 * HPKE, ML-DSA-65 and -87.
 *
 * @param report  Called for each test, in order; may be NULL.
 * @retval ARIL_OK        Every test gave the expected bytes.
 * @retval ARIL_E_CRYPTO  At least one did not.
 *
 * Threads: any. Blocks: about 10 ms of work. Allocates: yes. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_runtime_self_test(aril_runtime *rt,
                                                          aril_self_test_fn *report, void *user);

#ifdef __cplusplus
}
#endif
#endif
