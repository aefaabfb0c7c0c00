/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ensure.h"
#include "session/handshake.h"

/* Both ends in one process, over the messages that two processes would exchange. */

static void session_closep(aril_session **s)
{
    aril_session_close(*s);
}

static aril_status server_did(aril_runtime *rt, const aril_identity *identity,
                              char ret[ARIL_DID_BYTES_MAX])
{
    size_t len;
    return aril_did_write(rt, ARIL_DID_PQAID, aril_identity_alg(identity),
                          aril_identity_public(identity), ret, ARIL_DID_BYTES_MAX, &len);
}

aril_status aril_session_pair(aril_runtime *rt, aril_profile profile, aril_bytes tenant_id,
                              const aril_identity *identity, aril_bytes tag_key,
                              const aril_policy *policy, aril_session **ret_tenant,
                              aril_session **ret_server)
{
    ARILI_ENSURE(rt != NULL && identity != NULL && ret_server != NULL, ARIL_E_USAGE_NULL);
    *ret_server = NULL;
    if (ret_tenant != NULL) {
        *ret_tenant = NULL;
    }
    char did[ARIL_DID_BYTES_MAX];
    ARILI_TRY(server_did(rt, identity, did));
    const aril_profile id = profile != 0 ? profile : ARIL_PROFILE_HYBRID;
    const struct arili_profile *p = arili_profile_get(id);
    ARILI_ENSURE(p != NULL && p->sign == aril_identity_alg(identity), ARIL_E_USAGE_RANGE);
    const aril_offer_config offer = { .profile = id, .tenant_id = tenant_id, .server_did = did };
    const aril_accept_config accept = { .profiles = 1u << (unsigned)id,
                                        .identity = identity,
                                        .vouched_tenant_id = tenant_id,
                                        .tag_key = tag_key,
                                        .policy = policy };
    uint8_t there[ARIL_HANDSHAKE_BYTES_MAX], back[ARIL_HANDSHAKE_BYTES_MAX];
    size_t there_len, back_len;
    ARILI_DEFER(arili_handshake_freep) aril_handshake *tenant_hs = NULL;
    ARILI_DEFER(arili_handshake_freep) aril_handshake *server_hs = NULL;
    ARILI_DEFER(session_closep) aril_session *tenant = NULL;
    ARILI_TRY(aril_session_offer(rt, &offer, &tenant_hs, there, sizeof there, &there_len));
    ARILI_TRY(aril_session_accept(rt, &accept, (aril_bytes){ there, there_len }, &server_hs, back,
                                  sizeof back, &back_len));
    ARILI_TRY(aril_session_finish(tenant_hs, (aril_bytes){ back, back_len }, there, sizeof there,
                                  &there_len, &tenant));
    ARILI_TRY(aril_session_confirm(server_hs, (aril_bytes){ there, there_len }, ret_server));
    if (ret_tenant != NULL) {
        *ret_tenant = ARILI_TAKE(tenant);
    }
    return ARIL_OK;
}
