/* SPDX-License-Identifier: Apache-2.0 */
#include "session/handshake.h"
#include "audit/report.h"
#include "base/ensure.h"
#include "base/mem.h"
#include <string.h>

/* What both ends of a handshake share. */

_Static_assert(sizeof(struct arili_agreement) <= ARILI_SECURE_CELL_BYTES, "fits a cell");

aril_status arili_tenant_id_check(aril_bytes tenant_id)
{
    ARILI_ENSURE(tenant_id.data != NULL || tenant_id.len == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(tenant_id.len >= 1 && tenant_id.len <= ARIL_TENANT_ID_BYTES_MAX,
                 ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(memchr(tenant_id.data, 0, tenant_id.len) == NULL, ARIL_E_USAGE_RANGE);
    return ARIL_OK;
}

aril_status arili_handshake_new(aril_runtime *rt, const struct arili_profile *profile,
                                aril_bytes tenant_id, aril_handshake **ret)
{
    ARILI_TRY(arili_runtime_check(rt));
    ARILI_DEFER(arili_handshake_freep) aril_handshake *hs = arili_alloc(sizeof *hs);
    ARILI_ENSURE(hs != NULL, ARIL_E_NOMEM);
    hs->rt = rt;
    hs->profile = profile;
    memcpy(hs->tenant, tenant_id.data, tenant_id.len);
    hs->tenant_len = tenant_id.len;
    hs->agreement = arili_secure_take(rt->secure);
    ARILI_ENSURE(hs->agreement != NULL, ARIL_E_NOMEM);
    *ret = ARILI_TAKE(hs);
    return ARIL_OK;
}

void aril_handshake_free(aril_handshake *hs)
{
    if (hs == NULL) {
        return;
    }
    arili_hpke_key_free(hs->ephemeral);
    arili_secure_give(hs->rt->secure, hs->agreement);
    arili_free(hs->offer, hs->offer_len);
    if (hs->server_did != NULL) {
        arili_free(hs->server_did, strlen(hs->server_did) + 1);
    }
    arili_free(hs, sizeof *hs);
}

void arili_handshake_freep(aril_handshake **hs)
{
    aril_handshake_free(*hs);
}

aril_status arili_handshake_refused(aril_runtime *rt, aril_bytes tenant_id, aril_status why)
{
    if (aril_status_class(why) != ARIL_E_USAGE) { /* the caller's own mistake is no event */
        aril_event ev = { .kind = ARIL_EVENT_SESSION, .status = why, .tenant = tenant_id };
        arili_audit_emit(rt->audit, &rt->clock, &ev);
    }
    return why;
}
