/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ARILI_SESSION_HANDSHAKE_H
#define ARILI_SESSION_HANDSHAKE_H
#include "format/handshake.h"
#include "session/session.h"
#include "session/transcript.h"

enum arili_handshake_state {
    ARILI_HANDSHAKE_OFFERED = 1,  /* tenant, waits for the accept */
    ARILI_HANDSHAKE_ACCEPTED = 2, /* server, waits for the confirm */
    ARILI_HANDSHAKE_USED = 3
};

struct aril_handshake {
    aril_runtime *rt;
    enum arili_handshake_state state;
    const struct arili_profile *profile;
    uint8_t tenant[ARIL_TENANT_ID_BYTES_MAX];
    size_t tenant_len;
    /* Tenant: its offer, ephemeral key and the pinned server. */
    struct arili_hpke_key *ephemeral;
    uint8_t *offer;
    size_t offer_len;
    char *server_did;
    /* Server: what the confirm will establish. */
    struct arili_agreement *agreement; /* secure cell */
    uint8_t session_id[ARIL_SESSION_ID_BYTES];
    uint64_t tenant_tag;
    aril_policy policy;
    uint64_t order;    /* later accepts have higher numbers */
    uint64_t began_ns; /* boot clock at the accept */
};

ARIL_MUST_USE aril_status arili_handshake_new(aril_runtime *rt, const struct arili_profile *profile,
                                              aril_bytes tenant_id, aril_handshake **ret);
void arili_handshake_freep(aril_handshake **hs);
/* 1 to 255 bytes without NUL. */
ARIL_MUST_USE aril_status arili_tenant_id_check(aril_bytes tenant_id);
/* Report that a message which claims to be of that tenant (may be empty) was refused; returns
 * why. */
aril_status arili_handshake_refused(aril_runtime *rt, aril_bytes tenant_id, aril_status why);
#endif
