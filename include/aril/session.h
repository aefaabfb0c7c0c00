/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARIL_SESSION_H
#define ARIL_SESSION_H
#include <aril/audit.h>
#include <aril/base.h>
#include <aril/identity.h>
#include <aril/profile.h>
#include <aril/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Unless a function says otherwise. Threads: any; a handshake is used by one thread at a time, a
 * session by any number. Blocks: no longer than the work takes. Allocates: yes. Since: 0.1.
 * Every function answers ARIL_E_USAGE_NULL for a missing required pointer, ARIL_E_FORKED in a
 * forked child, ARIL_E_NOMEM, ARIL_E_RANDOM and ARIL_E_CRYPTO where those can happen; every output
 * is then untouched, NULL or zero.
 */

/**
 * When keys change and how long they live. The server decides and tells the tenant.
 * A member that is 0 takes the default.
 */
typedef struct aril_policy {
    uint64_t rotate_records;  /* records per epoch, 1 to 2^32; default 100 000 */
    uint64_t rotate_bytes;    /* plaintext bytes per epoch, 1 to 2^38; default 2^38 */
    uint32_t rotate_after_s;  /* age of an epoch, 1 to 2 592 000; default 300 */
    uint32_t ttl_s;           /* life of the session, 1 to 2 592 000; default 900 */
    uint32_t readable_epochs; /* epochs that stay readable, the current one included,
                                 1 to 1024; default 16 */
} aril_policy;

/** How far ahead of the newest epoch it knows an opener looks for a rotated peer. */
#define ARIL_EPOCHS_AHEAD_MAX 8u

/**
 * One end of an established session. Threads may seal, open, rotate and retire at
 * the same time on one session; only aril_session_close() needs it alone among calls
 * that take the session itself. Views (aril/kv.h) keep it alive.
 */
typedef struct aril_session aril_session;

/** A session that is being agreed on: one end, between two messages. */
typedef struct aril_handshake aril_handshake;

/** Key of tenant tags, in bytes. */
#define ARIL_TAG_KEY_BYTES 32u
/** Enough room for any offer, accept or confirm. */
#define ARIL_HANDSHAKE_BYTES_MAX 12288u

/** What the tenant's end knows beforehand. All zero but tenant_id and server_did is allowed. */
typedef struct aril_offer_config {
    aril_profile profile;          /* 0: ARIL_PROFILE_HYBRID */
    aril_bytes tenant_id;          /* 1 to 255 bytes without NUL */
    const aril_identity *identity; /* signs the offer; NULL when the transport vouches for
                                      the tenant id. Its algorithm must be the profile's. */
    const char *server_did;        /* the server's pinned DID; required */
} aril_offer_config;

/** What the server's end knows beforehand. */
typedef struct aril_accept_config {
    uint32_t profiles;             /* bit (1u << profile) of each one accepted; 0: hybrid only */
    const aril_identity *identity; /* signs; required; profiles with another algorithm than
                                      its own are refused */
    const aril_trust *trust;       /* whom signed offers may come from; NULL: nobody */
    aril_bytes vouched_tenant_id;  /* the tenant id that an authenticated transport vouches for;
                                      len 0: the offer must be signed */
    aril_bytes tag_key;            /* ARIL_TAG_KEY_BYTES; one key per server or fleet */
    const aril_policy *policy;     /* NULL: the defaults */
} aril_accept_config;

/**
 * Tenant, step 1: make an offer with a fresh ephemeral key.
 *
 * @param ret_hs     The tenant's end; NULL on failure.
 * @param ret_offer  Message for the server; enough is ARIL_HANDSHAKE_BYTES_MAX.
 * @retval ARIL_E_USAGE_RANGE  A profile, length or algorithm does not fit.
 * Threads: any. Allocates: yes. Source: docs/FORMAT.md section 5. Since: 0.1
 */
ARIL_API ARIL_MUST_USE aril_status aril_session_offer(aril_runtime *rt,
                                                      const aril_offer_config *config,
                                                      aril_handshake **ret_hs, uint8_t *ret_offer,
                                                      size_t cap, size_t *ret_len);

/**
 * Server, step 2: check an offer and answer it.
 *
 * A signed offer is accepted when @p config->trust trusts its key and the name of that
 * entry equals the tenant id; an unsigned one when the vouched tenant id equals its own.
 *
 * @retval ARIL_E_FORMAT (class)  Not an offer.
 * @retval ARIL_E_PROFILE         Its profile is not accepted here.
 * @retval ARIL_E_TRUST (class)   Signed by nobody we trust, or unsigned and nobody vouches.
 * @retval ARIL_E_AUTH            The signature is wrong, or the tenant id is not that of the
 *                                signer or not the one that is vouched for.
 */
ARIL_API ARIL_MUST_USE aril_status aril_session_accept(aril_runtime *rt,
                                                       const aril_accept_config *config,
                                                       aril_bytes offer, aril_handshake **ret_hs,
                                                       uint8_t *ret_accept, size_t cap,
                                                       size_t *ret_len);

/**
 * Tenant, step 3: check the accept; the tenant's session is then established.
 *
 * The handshake is used up when this succeeds, and after a failure stays as it was, so that a
 * forged accept cannot end it. Free it in both cases.
 *
 * @retval ARIL_E_FORMAT (class)   Not an accept, or a pinned DID that is none.
 * @retval ARIL_E_USAGE_STATE      Not a tenant's handshake, or one that is used up.
 * @retval ARIL_E_USAGE_TOO_SMALL  @p cap; nothing was written, try again.
 * @retval ARIL_E_TRUST_DID  Signed by another server than the pinned one.
 * @retval ARIL_E_PROFILE    The server answered with another profile.
 * @retval ARIL_E_AUTH       Signature or key confirmation is wrong.
 */
ARIL_API ARIL_MUST_USE aril_status aril_session_finish(aril_handshake *hs, aril_bytes accept,
                                                       uint8_t *ret_confirm, size_t cap,
                                                       size_t *ret_len, aril_session **ret_session);

/**
 * Server, step 4: check the confirm; the server's session is then established, and only
 * now may it displace an older one of the same tenant.
 * @retval ARIL_E_FORMAT (class)  Not a confirm.
 * @retval ARIL_E_USAGE_STATE     Not a server's handshake, or one that is used up.
 * @retval ARIL_E_AUTH     The tenant did not derive the same keys.
 * @retval ARIL_E_EXPIRED  The accept is older than 60 s.
 */
ARIL_API ARIL_MUST_USE aril_status aril_session_confirm(aril_handshake *hs, aril_bytes confirm,
                                                        aril_session **ret_session);

/** End a handshake; wipes. Accepts NULL. */
ARIL_API void aril_handshake_free(aril_handshake *hs);

/**
 * Both ends in one process, over the same four steps, without signature of the tenant:
 * for tests and for a server that keeps the cache of its own tenants.
 *
 * @param identity  Signs for the server; its algorithm must be the profile's.
 * @param tag_key   As in aril_accept_config.
 * @param ret_tenant  May be NULL; then the tenant's end is closed again.
 */
ARIL_API ARIL_MUST_USE aril_status aril_session_pair(aril_runtime *rt, aril_profile profile,
                                                     aril_bytes tenant_id,
                                                     const aril_identity *identity,
                                                     aril_bytes tag_key, const aril_policy *policy,
                                                     aril_session **ret_tenant,
                                                     aril_session **ret_server);

/**
 * Close a session: seal and open answer ARIL_E_KEY_CLOSED from now on, keys are wiped
 * when the last operation that uses them is done, and the caller's reference ends.
 * Accepts NULL. Views of the session may be freed later.
 */
ARIL_API void aril_session_close(aril_session *session);

/**
 * Begin a new epoch of this end's sending direction now. Older epochs stay readable as
 * the policy says; the oldest one beyond that is retired.
 * @retval ARIL_E_EXPIRED, ARIL_E_KEY_CLOSED, ARIL_E_FORKED  As for seal.
 */
ARIL_API ARIL_MUST_USE aril_status aril_session_rotate(aril_session *session);

/**
 * Wipe the keys of every epoch of @p direction up to and including @p epoch. The
 * current sending epoch is replaced by a new one first when it is among them.
 * Operations under way end normally; their epochs are wiped after them.
 * @retval ARIL_E_USAGE_RANGE  @p epoch is ahead of the newest one.
 */
ARIL_API ARIL_MUST_USE aril_status aril_session_retire(aril_session *session,
                                                       aril_direction direction, uint32_t epoch);

/** One direction of a session, as it is now. */
typedef struct aril_direction_info {
    uint32_t epoch;                        /* newest */
    uint32_t oldest_readable;              /* oldest that still opens */
    uint64_t records_sealed, bytes_sealed; /* by this end, since the session began */
    uint64_t records_opened, bytes_opened;
    uint64_t refused; /* records that were not opened */
} aril_direction_info;

typedef struct aril_session_info {
    aril_profile profile;
    aril_direction sends; /* the direction that this end seals in */
    uint8_t session_id[ARIL_SESSION_ID_BYTES];
    uint64_t tenant_tag;
    aril_policy policy; /* with defaults filled in */
    uint64_t age_s, ttl_left_s;
    aril_direction_info direction[2]; /* by aril_direction */
} aril_session_info;

/** Threads: any. The counters are those of this moment. */
ARIL_API ARIL_MUST_USE aril_status aril_session_get_info(const aril_session *session,
                                                         aril_session_info *ret_info);

/** The tenant id; borrowed, valid as long as the session. */
ARIL_API aril_bytes aril_session_tenant(const aril_session *session);

/** Report the counts of sealed and opened records since the last report to the sink. */
ARIL_API void aril_session_flush_audit(aril_session *session);

#ifdef __cplusplus
}
#endif
#endif
