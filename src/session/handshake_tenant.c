/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"
#include "base/ensure.h"
#include "base/mem.h"
#include "session/handshake.h"
#include "session/policy.h"
#include <string.h>

/* The tenant's end: steps 1 and 3. */

/* --- Step 1: offer ------------------------------------------------------------ */

static aril_status check_offer_config(const aril_offer_config *config,
                                      const struct arili_profile **ret_profile)
{
    const aril_profile id = config->profile != 0 ? config->profile : ARIL_PROFILE_HYBRID;
    const struct arili_profile *p = arili_profile_get(id);
    ARILI_ENSURE(p != NULL, ARIL_E_USAGE_RANGE);
    ARILI_TRY(arili_tenant_id_check(config->tenant_id));
    ARILI_ENSURE(config->server_did != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(strlen(config->server_did) < ARIL_DID_BYTES_MAX, ARIL_E_USAGE_RANGE);
    ARILI_ENSURE(config->identity == NULL || aril_identity_alg(config->identity) == p->sign,
                 ARIL_E_USAGE_RANGE);
    *ret_profile = p;
    return ARIL_OK;
}

/* The signature goes to sig, which the offer then borrows. */
static aril_status sign_offer(const aril_identity *identity, struct arili_offer *m, uint8_t *core,
                              size_t cap, uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX])
{
    m->is_signed = true;
    m->sign_public = aril_identity_public(identity);
    size_t core_len, sig_len;
    ARILI_TRY(arili_offer_write_core(m, core, cap, &core_len));
    ARILI_TRY(aril_identity_sign(identity, ARILI_OFFER_CONTEXT, (aril_bytes){ core, core_len }, sig,
                                 ARIL_SIGN_SIGNATURE_BYTES_MAX, &sig_len));
    m->signature = (aril_bytes){ sig, sig_len };
    return ARIL_OK;
}

/* Write the offer to hs->offer. */
static aril_status compose_offer(aril_handshake *hs, const aril_offer_config *config)
{
    const struct arili_crypto *c = &hs->rt->crypto;
    struct arili_offer m = { .profile = hs->profile->id,
                             .tenant_id = config->tenant_id,
                             .kem_public = arili_hpke_key_public(hs->ephemeral) };
    ARILI_TRY(c->ops->random(c->provider, m.nonce, sizeof m.nonce));
    uint8_t message[ARIL_HANDSHAKE_BYTES_MAX];
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    if (config->identity != NULL) {
        ARILI_TRY(sign_offer(config->identity, &m, message, sizeof message, sig));
    }
    size_t len;
    ARILI_TRY(arili_offer_write(&m, message, sizeof message, &len));
    hs->offer = arili_alloc(len);
    ARILI_ENSURE(hs->offer != NULL, ARIL_E_NOMEM);
    hs->offer_len = len;
    memcpy(hs->offer, message, len);
    return ARIL_OK;
}

aril_status aril_session_offer(aril_runtime *rt, const aril_offer_config *config,
                               aril_handshake **ret_hs, uint8_t *ret_offer, size_t cap,
                               size_t *ret_len)
{
    ARILI_ENSURE(ret_hs != NULL, ARIL_E_USAGE_NULL);
    *ret_hs = NULL;
    ARILI_ENSURE(rt != NULL && config != NULL && ret_len != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(ret_offer != NULL || cap == 0, ARIL_E_USAGE_NULL);
    const struct arili_profile *p = NULL;
    ARILI_TRY(check_offer_config(config, &p));

    ARILI_DEFER(arili_handshake_freep) aril_handshake *hs = NULL;
    ARILI_TRY(arili_handshake_new(rt, p, config->tenant_id, &hs));
    const size_t did_size = strlen(config->server_did) + 1;
    hs->server_did = arili_alloc(did_size);
    ARILI_ENSURE(hs->server_did != NULL, ARIL_E_NOMEM);
    memcpy(hs->server_did, config->server_did, did_size);
    ARILI_TRY(arili_hpke_key_generate(&rt->crypto, p->suite.kem, &hs->ephemeral));
    ARILI_TRY(compose_offer(hs, config));
    ARILI_ENSURE(hs->offer_len <= cap, ARIL_E_USAGE_TOO_SMALL);
    memcpy(ret_offer, hs->offer, hs->offer_len);
    *ret_len = hs->offer_len;
    hs->state = ARILI_HANDSHAKE_OFFERED;
    *ret_hs = ARILI_TAKE(hs);
    return ARIL_OK;
}

/* --- Step 3: finish ----------------------------------------------------------- */

/* Form, profile, server, signature: everything that needs no private key. */
static aril_status check_accept(const aril_handshake *hs, const struct arili_accept *m,
                                struct arili_digest *ret_t)
{
    const struct arili_profile *p = hs->profile;
    ARILI_ENSURE(m->profile == p->id, ARIL_E_PROFILE);
    ARILI_ENSURE(m->enc.len == arili_hpke_enc_bytes(p->suite.kem) &&
                     m->mac.len == arili_hash_bytes(p->hash) &&
                     m->sign_public.len == arili_sign_public_bytes((int)p->sign) &&
                     m->signature.len == arili_sign_signature_bytes((int)p->sign),
                 ARIL_E_FORMAT_LENGTH);
    ARILI_TRY(aril_did_check(hs->rt, hs->server_did, p->sign, m->sign_public));
    ARILI_TRY(arili_transcript_hash(&hs->rt->crypto, p, (aril_bytes){ hs->offer, hs->offer_len },
                                    m->core, ret_t));
    ARILI_TRY(aril_signature_verify(hs->rt, p->sign, m->sign_public, ARILI_ACCEPT_CONTEXT,
                                    (aril_bytes){ ret_t->bytes, ret_t->len }, m->signature));
    /* Signed by the right server: from here a bad value is that server's mistake. */
    aril_policy full;
    ARILI_ENSURE(m->policy.rotate_records != 0 && m->policy.rotate_bytes != 0 &&
                     m->policy.rotate_after_s != 0 && m->policy.ttl_s != 0 &&
                     m->policy.readable_epochs != 0 &&
                     arili_policy_complete(&m->policy, &full) == ARIL_OK,
                 ARIL_E_FORMAT_FIELD);
    return ARIL_OK;
}

/* Decapsulate and check the server's confirmation. */
static aril_status agree(aril_handshake *hs, const struct arili_accept *m,
                         const struct arili_digest *t)
{
    uint8_t info[64];
    size_t info_len;
    ARILI_TRY(arili_transcript_info(&hs->rt->crypto, hs->profile,
                                    (aril_bytes){ hs->offer, hs->offer_len }, info, &info_len));
    ARILI_DEFER(arili_hpke_done) struct arili_hpke_ctx hpke = { 0 };
    ARILI_TRY(arili_hpke_setup_recipient(&hs->rt->crypto, hs->profile->suite, hs->ephemeral, m->enc,
                                         (aril_bytes){ info, info_len }, NULL, &hpke));
    struct arili_digest mac;
    ARILI_TRY(arili_transcript_agree(&hpke, hs->profile, t, hs->agreement, &mac));
    ARILI_ENSURE(arili_equal_ct(mac.bytes, m->mac.data, mac.len), ARIL_E_AUTH);
    return ARIL_OK;
}

static aril_status finish(aril_handshake *hs, const struct arili_accept *m, uint8_t *ret_confirm,
                          size_t cap, size_t *ret_len, aril_session **ret_session)
{
    struct arili_digest t;
    ARILI_TRY(check_accept(hs, m, &t));
    ARILI_TRY(agree(hs, m, &t));
    struct arili_confirm confirm = { .profile = hs->profile->id,
                                     .mac = { hs->agreement->confirm, t.len } };
    memcpy(confirm.session_id, m->session_id, sizeof confirm.session_id);
    uint8_t message[8 + ARIL_SESSION_ID_BYTES + 2 + ARILI_HASH_BYTES_MAX];
    size_t len;
    ARILI_TRY(arili_confirm_write(&confirm, message, sizeof message, &len));
    ARILI_ENSURE(len <= cap, ARIL_E_USAGE_TOO_SMALL);
    const struct arili_session_seed seed = { .profile = hs->profile,
                                             .sends = ARIL_TENANT_TO_SERVER,
                                             .id = m->session_id,
                                             .tenant_tag = m->tenant_tag,
                                             .tenant_id = { hs->tenant, hs->tenant_len },
                                             .policy = &m->policy,
                                             .secret = hs->agreement->secret };
    ARILI_TRY(arili_session_new(hs->rt, &seed, ret_session));
    memcpy(ret_confirm, message, len);
    *ret_len = len;
    return ARIL_OK;
}

aril_status aril_session_finish(aril_handshake *hs, aril_bytes accept, uint8_t *ret_confirm,
                                size_t cap, size_t *ret_len, aril_session **ret_session)
{
    ARILI_ENSURE(ret_session != NULL, ARIL_E_USAGE_NULL);
    *ret_session = NULL;
    ARILI_ENSURE(hs != NULL && ret_len != NULL, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(accept.data != NULL || accept.len == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(ret_confirm != NULL || cap == 0, ARIL_E_USAGE_NULL);
    ARILI_ENSURE(hs->state == ARILI_HANDSHAKE_OFFERED, ARIL_E_USAGE_STATE);
    ARILI_TRY(arili_runtime_check(hs->rt));
    struct arili_accept m;
    aril_status st = arili_accept_parse(accept, &m);
    if (st == ARIL_OK) {
        st = finish(hs, &m, ret_confirm, cap, ret_len, ret_session);
    }
    arili_wipe(hs->agreement, sizeof *hs->agreement);
    if (st != ARIL_OK) {
        return arili_handshake_refused(hs->rt, (aril_bytes){ hs->tenant, hs->tenant_len }, st);
    }
    hs->state = ARILI_HANDSHAKE_USED;
    arili_hpke_key_free(ARILI_TAKE(hs->ephemeral));
    return ARIL_OK;
}
