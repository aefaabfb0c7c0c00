/* SPDX-License-Identifier: Apache-2.0 */
#include "talk.h"
#include <string.h>

aril_bytes wire(const struct message *m)
{
    return (aril_bytes){ m->bytes, m->len };
}

void talk_init(struct talk *t, struct world *w, aril_profile profile, bool is_signed)
{
    const aril_sign_alg alg = fixture_alg(profile);
    aril_identity *server = fixture_identity(alg, 0);
    *t = (struct talk){ .w = w };
    memcpy(t->did, fixture_did(server), sizeof t->did);
    assert_status(aril_trust_new(w->rt, &t->trust), ARIL_OK);
    t->offer_config = (aril_offer_config){ .profile = profile,
                                           .tenant_id = TEXT("tenant"),
                                           .server_did = t->did };
    t->accept_config = (aril_accept_config){ .profiles = 1u << (unsigned)profile,
                                             .identity = server,
                                             .trust = t->trust,
                                             .tag_key = fixture_tag_key() };
    if (is_signed) {
        t->offer_config.identity = fixture_identity(alg, 1);
        assert_status(aril_trust_add(t->trust, fixture_did(t->offer_config.identity), "tenant"),
                      ARIL_OK);
    } else {
        t->accept_config.vouched_tenant_id = TEXT("tenant");
    }
}

void talk_done(struct talk *t)
{
    aril_handshake_free(t->tenant_hs);
    aril_handshake_free(t->server_hs);
    aril_session_close(t->tenant);
    aril_session_close(t->server);
    aril_trust_free(t->trust);
    *t = (struct talk){ .w = NULL };
}

aril_status talk_offer(struct talk *t)
{
    aril_handshake_free(t->tenant_hs);
    return aril_session_offer(t->w->rt, &t->offer_config, &t->tenant_hs, t->offer.bytes,
                              sizeof t->offer.bytes, &t->offer.len);
}

aril_status talk_accept(struct talk *t)
{
    aril_handshake_free(t->server_hs);
    return aril_session_accept(t->w->rt, &t->accept_config, wire(&t->offer), &t->server_hs,
                               t->accept.bytes, sizeof t->accept.bytes, &t->accept.len);
}

aril_status talk_finish(struct talk *t)
{
    return aril_session_finish(t->tenant_hs, wire(&t->accept), t->confirm.bytes,
                               sizeof t->confirm.bytes, &t->confirm.len, &t->tenant);
}

aril_status talk_confirm(struct talk *t)
{
    return aril_session_confirm(t->server_hs, wire(&t->confirm), &t->server);
}

void talk_until(struct talk *t, enum talk_step last)
{
    static aril_status (*const steps[])(struct talk * t) = { talk_offer, talk_accept, talk_finish,
                                                             talk_confirm };
    for (size_t i = 0; i <= (size_t)last; i++) {
        assert_status(steps[i](t), ARIL_OK);
    }
}

static void assert_carries(aril_session *from, aril_session *to)
{
    const aril_kv_config config = view_config_peer();
    const aril_kv_block block = chain_block(1);
    aril_kv *sender = view_new(from, &config);
    aril_kv *receiver = view_new(to, &config);
    struct room r;
    room_init(&r, 300, 5, &block);
    room_seal(&r, sender);
    assert_status(room_open(&r, receiver), ARIL_OK);
    assert_true(room_is_open(&r));
    assert_status(room_open(&r, sender), ARIL_E_AUTH); /* sent back to where it came from */
    assert_true(room_is_clean(&r));
    room_done(&r);
    aril_kv_free(sender);
    aril_kv_free(receiver);
}

void assert_ends_agree(aril_session *tenant, aril_session *server)
{
    assert_carries(tenant, server);
    assert_carries(server, tenant);
}
