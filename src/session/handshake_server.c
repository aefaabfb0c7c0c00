/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "session/handshake.h"
#include "session/policy.h"

/* The server's end: steps 2 and 4. */

/* A confirm that comes later than this is not waited for: docs/session.md. */
#define LIFE_NS UINT64_C(60000000000)

/* --- Step 2: accept ----------------------------------------------------------- */

static aril_status check_accept_config(const aril_accept_config *config)
{
    ARILI_ENSURE(config->identity != NULL && config->tag_key.data != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(config->tag_key.len == ARIL_TAG_KEY_BYTES, ARIL_E_USAGE_RANGE);
    if (config->vouched_tenant_id.len > 0) {
        ARILI_TRY(arili_tenant_id_check(config->vouched_tenant_id));
    }
    return ARIL_OK;
}

static bool same(aril_bytes a, aril_bytes b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0; /* names: public */
}

/* Whether the offer comes from the tenant that it names. */
static aril_status check_origin(aril_runtime *rt, const aril_accept_config *config,
                                const struct arili_profile *p, const struct arili_offer *m)
{
    if (config->vouched_tenant_id.len > 0) {
        ARILI_ENSURE(same(config->vouched_tenant_id, m->tenant_id), ARIL_E_AUTH);
    }
    if (!m->is_signed) {
        ARILI_ENSURE(config->vouched_tenant_id.len > 0, ARIL_E_TRUST);
        return ARIL_OK;
    }
    ARILI_ENSURE(m->sign_public.len == arili_sign_public_bytes((int)p->sign) &&
                     m->signature.len == arili_sign_signature_bytes((int)p->sign),
                 ARIL_E_FORMAT_LENGTH);
    ARILI_ENSURE(config->trust != NULL, ARIL_E_TRUST_UNKNOWN);
    const char *name = NULL;
    ARILI_TRY(aril_trust_check(config->trust, p->sign, m->sign_public, &name));
    ARILI_TRY(aril_signature_verify(rt, p->sign, m->sign_public, ARILI_OFFER_CONTEXT,
                                    m->to_be_signed, m->signature));
    ARILI_ENSURE(same((aril_bytes){ (const uint8_t *)name, strlen(name) }, m->tenant_id),
                 ARIL_E_AUTH);
    return ARIL_OK;
}

static aril_status check_offer(aril_runtime *rt, const aril_accept_config *config,
                               const struct arili_offer *m, const struct arili_profile **ret)
{
    const uint32_t allowed =
        config->profiles != 0 ? config->profiles : 1u << (unsigned)ARIL_PROFILE_HYBRID;
    ARILI_ENSURE((allowed >> (unsigned)m->profile & 1) != 0, ARIL_E_PROFILE);
    const struct arili_profile *p = arili_profile_get(m->profile);
    ARILI_ENSURE(p != NULL, ARIL_E_PROFILE);
    /* A profile that our identity can not sign for is one that we do not accept. */
    ARILI_ENSURE(aril_identity_alg(config->identity) == p->sign, ARIL_E_PROFILE);
    ARILI_ENSURE(m->kem_public.len == arili_hpke_public_bytes(p->suite.kem), ARIL_E_FORMAT_LENGTH);
    ARILI_TRY(check_origin(rt, config, p, m));
    *ret = p;
    return ARIL_OK;
}

/* Encapsulate, derive, sign: fills hs and writes the accept. */
static aril_status answer(aril_handshake *hs, const aril_accept_config *config, aril_bytes offer,
                          aril_bytes kem_public, uint8_t *ret, size_t cap, size_t *ret_len)
{
    const struct arili_crypto *c = &hs->rt->crypto;
    const struct arili_profile *p = hs->profile;
    uint8_t info[64];
    size_t info_len, core_len, sig_len;
    ARILI_TRY(arili_transcript_info(c, p, offer, info, &info_len));
    uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX];
    const size_t enc_len = arili_hpke_enc_bytes(p->suite.kem);
    ARILI_DEFER(arili_hpke_done) struct arili_hpke_ctx hpke = { 0 };
    ARILI_TRY(arili_hpke_setup_sender(c, p->suite, kem_public, (aril_bytes){ info, info_len }, NULL,
                                      NULL, enc, enc_len, &hpke));
    struct arili_accept m = { .profile = p->id,
                              .tenant_tag = hs->tenant_tag,
                              .policy = hs->policy,
                              .sign_public = aril_identity_public(config->identity),
                              .enc = { enc, enc_len } };
    memcpy(m.session_id, hs->session_id, sizeof m.session_id);
    ARILI_TRY(hs->rt->clock.unix_s(hs->rt->clock.state, &m.created_unix_s));
    uint8_t core[ARIL_HANDSHAKE_BYTES_MAX];
    ARILI_TRY(arili_accept_write_core(&m, core, sizeof core, &core_len));
    struct arili_digest t, mac;
    ARILI_TRY(arili_transcript_hash(c, p, offer, (aril_bytes){ core, core_len }, &t));
    ARILI_TRY(arili_transcript_agree(&hpke, p, &t, hs->agreement, &mac));
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    ARILI_TRY(aril_identity_sign(config->identity, ARILI_ACCEPT_CONTEXT,
                                 (aril_bytes){ t.bytes, t.len }, sig, sizeof sig, &sig_len));
    m.mac = (aril_bytes){ mac.bytes, mac.len };
    m.signature = (aril_bytes){ sig, sig_len };
    size_t len;
    ARILI_TRY(arili_accept_write(&m, core, sizeof core, &len));
    ARILI_ENSURE(len <= cap, ARIL_E_USAGE_TOO_SMALL);
    memcpy(ret, core, len);
    *ret_len = len;
    return ARIL_OK;
}

static aril_status accept_offer(aril_runtime *rt, const aril_accept_config *config,
                                aril_bytes offer, const struct arili_offer *m,
                                aril_handshake **ret_hs, uint8_t *ret, size_t cap, size_t *ret_len)
{
    const struct arili_profile *p = NULL;
    ARILI_TRY(check_offer(rt, config, m, &p));
    ARILI_DEFER(arili_handshake_freep) aril_handshake *hs = NULL;
    ARILI_TRY(arili_handshake_new(rt, p, m->tenant_id, &hs));
    ARILI_TRY(arili_policy_complete(config->policy, &hs->policy));
    ARILI_TRY(rt->clock.boot_ns(rt->clock.state, &hs->began_ns));
    hs->order = atomic_fetch_add(&rt->accepts, 1) + 1;
    ARILI_TRY(arili_tenant_tag(&rt->crypto, config->tag_key, m->tenant_id, &hs->tenant_tag));
    ARILI_TRY(rt->crypto.ops->random(rt->crypto.provider, hs->session_id, sizeof hs->session_id));
    ARILI_TRY(answer(hs, config, offer, m->kem_public, ret, cap, ret_len));
    hs->state = ARILI_HANDSHAKE_ACCEPTED;
    *ret_hs = ARILI_TAKE(hs);
    return ARIL_OK;
}

aril_status aril_session_accept(aril_runtime *rt, const aril_accept_config *config,
                                aril_bytes offer, aril_handshake **ret_hs, uint8_t *ret_accept,
                                size_t cap, size_t *ret_len)
{
    ARILI_ENSURE(ret_hs != NULL, ARIL_E_USAGE_NULL);
    *ret_hs = NULL;
    ARILI_ENSURE(rt != NULL && config != NULL && ret_len != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(offer.data != NULL || offer.len == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(ret_accept != NULL || cap == 0, ARIL_E_USAGE_NULL);
    ARILI_TRY(check_accept_config(config));
    ARILI_TRY(arili_runtime_check(rt));
    struct arili_offer m = { 0 };
    aril_status st = arili_offer_parse(offer, &m);
    if (st == ARIL_OK) {
        st = accept_offer(rt, config, offer, &m, ret_hs, ret_accept, cap, ret_len);
    }
    return st == ARIL_OK ? ARIL_OK : arili_handshake_refused(rt, m.tenant_id, st);
}

/* --- Step 4: confirm ---------------------------------------------------------- */

static aril_status establish(aril_handshake *hs, const struct arili_confirm *m,
                             aril_session **ret_session)
{
    uint64_t now;
    ARILI_TRY(hs->rt->clock.boot_ns(hs->rt->clock.state, &now));
    ARILI_ENSURE(now < hs->began_ns + LIFE_NS, ARIL_E_EXPIRED);
    const size_t mac_len = arili_hash_bytes(hs->profile->hash);
    ARILI_ENSURE(m->profile == hs->profile->id, ARIL_E_PROFILE);
    ARILI_ENSURE(m->mac.len == mac_len, ARIL_E_FORMAT_LENGTH);
    /* The session id is public; only the MAC needs constant time. */
    ARILI_ENSURE(memcmp(m->session_id, hs->session_id, sizeof hs->session_id) == 0 &&
                     arili_equal_ct(m->mac.data, hs->agreement->confirm, mac_len),
                 ARIL_E_AUTH);
    const struct arili_session_seed seed = { .profile = hs->profile,
                                             .sends = ARIL_SERVER_TO_TENANT,
                                             .id = hs->session_id,
                                             .tenant_tag = hs->tenant_tag,
                                             .tenant_id = { hs->tenant, hs->tenant_len },
                                             .policy = &hs->policy,
                                             .order = hs->order,
                                             .secret = hs->agreement->secret };
    return arili_session_new(hs->rt, &seed, ret_session);
}

aril_status aril_session_confirm(aril_handshake *hs, aril_bytes confirm, aril_session **ret_session)
{
    ARILI_ENSURE(ret_session != NULL, ARIL_E_USAGE_NULL);
    *ret_session = NULL;
    ARILI_ENSURE(hs != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(confirm.data != NULL || confirm.len == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(hs->state == ARILI_HANDSHAKE_ACCEPTED, ARIL_E_USAGE_STATE);
    ARILI_TRY(arili_runtime_check(hs->rt)); /* a child reads zeros for the MAC that it expects */
    struct arili_confirm m;
    aril_status st = arili_confirm_parse(confirm, &m);
    if (st == ARIL_OK) {
        st = establish(hs, &m, ret_session);
    }
    if (st != ARIL_OK) {
        return arili_handshake_refused(hs->rt, (aril_bytes){ hs->tenant, hs->tenant_len }, st);
    }
    arili_wipe(hs->agreement, sizeof *hs->agreement);
    hs->state = ARILI_HANDSHAKE_USED;
    return ARIL_OK;
}
