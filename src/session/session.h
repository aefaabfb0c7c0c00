/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_SESSION_SESSION_H
#define ARILI_SESSION_SESSION_H
#include "crypto/profile.h"
#include "record/chain.h"
#include <aril/session.h>
#include <stdatomic.h>

/* Summaries of sealed and opened records go to the sink this often, while there is use. */
#define ARILI_TELL_INTERVAL_NS UINT64_C(10000000000)

struct aril_session {
    aril_runtime *rt;
    const struct arili_profile *profile;
    aril_direction sends;
    uint8_t id[ARIL_SESSION_ID_BYTES];
    uint64_t tenant_tag;
    uint64_t began_ns;
    uint64_t order;              /* server's end: of its accept among all of the runtime; else 0 */
    aril_policy policy;          /* complete */
    struct arili_chain chain[2]; /* by aril_direction */
    _Atomic uint64_t tell_at_ns; /* when the next summaries are due */
    _Atomic uint32_t references; /* the owner's, and one per view */
    size_t tenant_len;
    uint8_t tenant[]; /* the tenant id */
};

/* Everything that makes a session, agreed on by the handshake. */
struct arili_session_seed {
    const struct arili_profile *profile;
    aril_direction sends;
    const uint8_t *id; /* ARIL_SESSION_ID_BYTES */
    uint64_t tenant_tag;
    aril_bytes tenant_id;
    const aril_policy *policy; /* complete */
    const uint8_t *secret;     /* of the profile's hash length */
    uint64_t order;
};
ARIL_MUST_USE aril_status arili_session_new(aril_runtime *rt, const struct arili_session_seed *seed,
                                            aril_session **ret);

/* Views and the registry hold a session in memory; the owner decides how long it is open. */
void arili_session_hold(aril_session *s);
void arili_session_drop(aril_session *s);
/* aril_session_close() without ending the caller's reference. */
void arili_session_end(aril_session *s, aril_status why);

/* The boot clock. */
ARIL_MUST_USE aril_status arili_session_now(const aril_session *s, uint64_t *ret_ns);
/* Send summaries when they are due. Cheap: one load and one comparison. */
void arili_session_tick(aril_session *s, uint64_t now_ns);

/* A record of direction d was refused: count it, and report what concerns security. h is all zero
 * when the seal could not be read. */
void arili_session_refused(aril_session *s, aril_direction d, aril_status why,
                           const struct arili_seal_header *h);
#endif
