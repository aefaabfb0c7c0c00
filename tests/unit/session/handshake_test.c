/* SPDX-License-Identifier: Apache-2.0 */
/* Who may establish a session with whom. Forged messages are in handshake_forged_test.c. */
#include "session/session.h"
#include "session/transcript.h"
#include "talk.h"
#include <string.h>

static struct world w;
static struct talk t;

static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                         ARIL_PROFILE_STRICT };

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_done(&w);
    return 0;
}

/* --- Sessions that come about ------------------------------------------------------------- */

static void assert_same_session(aril_session *tenant, aril_session *server, aril_profile profile)
{
    aril_session_info a, b;
    assert_status(aril_session_get_info(tenant, &a), ARIL_OK);
    assert_status(aril_session_get_info(server, &b), ARIL_OK);
    assert_int_equal(a.profile, profile);
    assert_int_equal(b.profile, profile);
    assert_int_equal(a.sends, ARIL_TENANT_TO_SERVER);
    assert_int_equal(b.sends, ARIL_SERVER_TO_TENANT);
    assert_memory_equal(a.session_id, b.session_id, sizeof a.session_id);
    assert_int_equal(a.tenant_tag, b.tenant_tag);
    assert_int_equal(a.policy.rotate_records, b.policy.rotate_records);
    assert_int_equal(a.policy.rotate_bytes, b.policy.rotate_bytes);
    assert_int_equal(a.policy.rotate_after_s, b.policy.rotate_after_s);
    assert_int_equal(a.policy.ttl_s, b.policy.ttl_s);
    assert_int_equal(a.policy.readable_epochs, b.policy.readable_epochs);
    assert_int_equal(aril_session_tenant(tenant).len, 6);
    assert_memory_equal(aril_session_tenant(tenant).data, "tenant", 6);
    assert_int_equal(aril_session_tenant(server).len, 6);
    assert_memory_equal(aril_session_tenant(server).data, "tenant", 6);
}

static void every_profile_signed_or_vouched_for_gives_equal_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        for (int is_signed = 0; is_signed <= 1; is_signed++) {
            talk_init(&t, &w, profiles[i], is_signed != 0);
            talk_until(&t, TALK_CONFIRM);
            assert_same_session(t.tenant, t.server, profiles[i]);
            assert_ends_agree(t.tenant, t.server);
            talk_done(&t);
        }
    }
}

static void signed_and_vouched_for_is_allowed_too(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    t.accept_config.vouched_tenant_id = TEXT("tenant");
    talk_until(&t, TALK_CONFIRM);
    assert_ends_agree(t.tenant, t.server);
    talk_done(&t);
}

static void hybrid_is_the_default_of_both_ends(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    t.offer_config.profile = 0;
    t.accept_config.profiles = 0;
    talk_until(&t, TALK_CONFIRM);
    assert_same_session(t.tenant, t.server, ARIL_PROFILE_HYBRID);
    talk_done(&t);
}

static void the_pinned_did_may_have_either_method(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    const aril_identity *server = t.accept_config.identity;
    size_t len;
    assert_status(aril_did_write(w.rt, ARIL_DID_KEY, ARIL_ML_DSA_65, aril_identity_public(server),
                                 t.did, sizeof t.did, &len),
                  ARIL_OK);
    talk_until(&t, TALK_CONFIRM);
    talk_done(&t);
}

static void the_servers_policy_holds_at_both_ends(void **state)
{
    (void)state;
    const aril_policy policy = { .rotate_records = UINT64_C(1) << 32,
                                 .rotate_bytes = 1,
                                 .rotate_after_s = 2592000,
                                 .readable_epochs = 1024 };
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    t.accept_config.policy = &policy;
    talk_until(&t, TALK_CONFIRM);
    assert_same_session(t.tenant, t.server, ARIL_PROFILE_HYBRID);
    aril_session_info info;
    assert_status(aril_session_get_info(t.tenant, &info), ARIL_OK);
    assert_int_equal(info.policy.rotate_records, UINT64_C(1) << 32);
    assert_int_equal(info.policy.rotate_bytes, 1);
    assert_int_equal(info.policy.rotate_after_s, 2592000);
    assert_int_equal(info.policy.ttl_s, 900);
    assert_int_equal(info.policy.readable_epochs, 1024);
    talk_done(&t);
}

static void a_tenant_id_may_have_255_bytes_of_any_value_but_nul(void **state)
{
    (void)state;
    uint8_t id[ARIL_TENANT_ID_BYTES_MAX];
    for (size_t i = 0; i < sizeof id; i++) {
        id[i] = (uint8_t)(i + 1);
    }
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    t.offer_config.tenant_id = (aril_bytes){ id, sizeof id };
    t.accept_config.vouched_tenant_id = (aril_bytes){ id, sizeof id };
    talk_until(&t, TALK_CONFIRM);
    assert_int_equal(aril_session_tenant(t.server).len, sizeof id);
    assert_memory_equal(aril_session_tenant(t.server).data, id, sizeof id);
    assert_ends_agree(t.tenant, t.server);
    talk_done(&t);
}

static void the_configuration_may_go_after_each_step(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    char id[] = "tenant";
    t.offer_config.tenant_id = text_bytes(id);
    t.accept_config.vouched_tenant_id = text_bytes(id);
    talk_until(&t, TALK_ACCEPT);
    memset(t.did, 'x', sizeof t.did - 1);
    memset(id, 'x', sizeof id - 1);
    memset(&t.offer_config, 0, sizeof t.offer_config);
    memset(&t.accept_config, 0, sizeof t.accept_config);
    assert_status(talk_finish(&t), ARIL_OK);
    assert_status(talk_confirm(&t), ARIL_OK);
    assert_same_session(t.tenant, t.server, ARIL_PROFILE_HYBRID);
    talk_done(&t);
}

static void sessions_of_one_tenant_share_nothing_but_the_tag(void **state)
{
    (void)state;
    struct talk other;
    aril_session_info a, b;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_init(&other, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_CONFIRM);
    talk_until(&other, TALK_CONFIRM);
    assert_status(aril_session_get_info(t.server, &a), ARIL_OK);
    assert_status(aril_session_get_info(other.server, &b), ARIL_OK);
    assert_memory_not_equal(a.session_id, b.session_id, sizeof a.session_id);
    assert_int_equal(a.tenant_tag, b.tenant_tag);
    const struct arili_epoch *e = atomic_load(&t.server->chain[0].current);
    const struct arili_epoch *f = atomic_load(&other.server->chain[0].current);
    assert_memory_not_equal(e->keys->key, f->keys->key, sizeof e->keys->key);
    assert_memory_not_equal(e->key_id, f->key_id, sizeof e->key_id);
    const struct arili_epoch *back = atomic_load(&t.server->chain[1].current);
    assert_memory_not_equal(e->keys->key, back->keys->key, sizeof e->keys->key);
    talk_done(&t);
    talk_done(&other);
}

static void two_offers_have_nothing_in_common(void **state)
{
    (void)state;
    struct message first;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_OFFER);
    first = t.offer;
    assert_status(talk_offer(&t), ARIL_OK);
    assert_int_equal(t.offer.len, first.len);
    assert_memory_not_equal(t.offer.bytes + 8, first.bytes + 8, 32);
    assert_memory_not_equal(t.offer.bytes + 50, first.bytes + 50, 64); /* of the key */
    talk_done(&t);
}

/* Expected bytes from Python: HMAC-SHA-384(tag key, "aril tenant tag v1" || id). */
static void a_tenant_tag_is_what_the_format_document_says(void **state)
{
    (void)state;
    static const struct {
        aril_bytes id;
        uint64_t tag;
    } rows[] = { { { (const uint8_t *)"tenant", 6 }, UINT64_C(0x161798aea36ebb1c) },
                 { { (const uint8_t *)"acme", 4 }, UINT64_C(0xe3f5ec8b2d3b72df) } };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t p = 0; p < COUNT(profiles); p++) { /* the same in every profile */
            struct pair pair;
            aril_session_info info;
            pair_init(&pair, &w, profiles[p], rows[i].id, NULL);
            assert_status(aril_session_get_info(pair.server, &info), ARIL_OK);
            assert_int_equal(info.tenant_tag, rows[i].tag);
            pair_done(&pair);
        }
    }
}

static void a_tenant_tag_depends_on_every_byte_of_key_and_id(void **state)
{
    (void)state;
    uint8_t key[32] = { 1 };
    uint8_t id[40];
    uint64_t first, tag;
    memset(id, 'a', sizeof id);
    assert_status(arili_tenant_tag(&w.rt->crypto, (aril_bytes){ key, sizeof key },
                                   (aril_bytes){ id, sizeof id }, &first),
                  ARIL_OK);
    for (size_t i = 0; i < sizeof key + sizeof id + 1; i++) {
        uint8_t *byte = i < sizeof key ? &key[i] : i - sizeof key < sizeof id ? &id[i - 32] : NULL;
        const size_t len = byte != NULL ? sizeof id : sizeof id - 1;
        if (byte != NULL) {
            *byte ^= 1;
        }
        assert_status(arili_tenant_tag(&w.rt->crypto, (aril_bytes){ key, sizeof key },
                                       (aril_bytes){ id, len }, &tag),
                      ARIL_OK);
        assert_true(tag != first);
        if (byte != NULL) {
            *byte ^= 1;
        }
    }
}

static void establishing_is_reported_at_both_ends(void **state)
{
    (void)state;
    world_forget(&w);
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&t, TALK_FINISH);
    assert_int_equal(world_events(&w, ARIL_EVENT_SESSION), 1);
    assert_int_equal(world_last(&w, ARIL_EVENT_SESSION).direction, ARIL_TENANT_TO_SERVER);
    assert_status(talk_confirm(&t), ARIL_OK);
    assert_int_equal(world_events(&w, ARIL_EVENT_SESSION), 2);
    const aril_event ev = world_last(&w, ARIL_EVENT_SESSION);
    assert_int_equal(ev.direction, ARIL_SERVER_TO_TENANT);
    assert_status(ev.status, ARIL_OK);
    assert_true(world_last_tenant_is(&w, ARIL_EVENT_SESSION, TEXT("tenant")));
    aril_session_info info;
    assert_status(aril_session_get_info(t.server, &info), ARIL_OK);
    assert_memory_equal(ev.session_id, info.session_id, sizeof ev.session_id);
    talk_done(&t);
}

/* --- Who is refused ------------------------------------------------------------------------- */

/* The server refuses the offer with this status, reports it, and gives nothing out. */
static void assert_not_accepted(aril_status want, aril_bytes tenant)
{
    const uint64_t before = world_events(&w, ARIL_EVENT_SESSION);
    aril_handshake *hs = (aril_handshake *)&w;
    struct message out;
    memset(&out, GUARD_FILLER, sizeof out);
    const size_t len = out.len;
    assert_status(aril_session_accept(w.rt, &t.accept_config, wire(&t.offer), &hs, out.bytes,
                                      sizeof out.bytes, &out.len),
                  want);
    assert_null(hs);
    assert_true(is_filled(out.bytes, sizeof out.bytes, GUARD_FILLER));
    assert_int_equal(out.len, len);
    assert_int_equal(world_events(&w, ARIL_EVENT_SESSION), before + 1);
    assert_status(world_last(&w, ARIL_EVENT_SESSION).status, want);
    assert_true(world_last_tenant_is(&w, ARIL_EVENT_SESSION, tenant));
}

static void a_signer_must_be_trusted(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    t.offer_config.identity = fixture_identity(ARIL_ML_DSA_65, 2); /* a stranger */
    talk_until(&t, TALK_OFFER);
    assert_not_accepted(ARIL_E_TRUST_UNKNOWN, TEXT("tenant"));
    t.accept_config.trust = NULL; /* nobody is trusted */
    assert_not_accepted(ARIL_E_TRUST_UNKNOWN, TEXT("tenant"));
    t.offer_config.identity = fixture_identity(ARIL_ML_DSA_65, 1);
    talk_until(&t, TALK_OFFER);
    assert_not_accepted(ARIL_E_TRUST_UNKNOWN, TEXT("tenant"));
    t.accept_config.trust = t.trust;
    assert_status(talk_accept(&t), ARIL_OK);
    talk_done(&t);
}

static void a_revoked_signer_is_refused_from_then_on(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&t, TALK_ACCEPT);
    assert_status(aril_trust_revoke(t.trust, fixture_did(t.offer_config.identity), "lost"),
                  ARIL_OK);
    assert_not_accepted(ARIL_E_TRUST_REVOKED, TEXT("tenant"));
    talk_done(&t);
}

static void a_trusted_signer_speaks_for_its_own_name_only(void **state)
{
    (void)state;
    static const char *const others[] = { "tenan", "tenant2", "Tenant", "tenant ", "x" };
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    for (size_t i = 0; i < COUNT(others); i++) {
        t.offer_config.tenant_id = text_bytes(others[i]);
        talk_until(&t, TALK_OFFER);
        assert_not_accepted(ARIL_E_AUTH, text_bytes(others[i]));
    }
    talk_done(&t);
}

static void an_unsigned_offer_needs_somebody_to_vouch(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_OFFER);
    t.accept_config.vouched_tenant_id = (aril_bytes){ NULL, 0 };
    assert_not_accepted(ARIL_E_TRUST, TEXT("tenant"));
    t.accept_config.vouched_tenant_id = TEXT("tenant2");
    assert_not_accepted(ARIL_E_AUTH, TEXT("tenant"));
    t.accept_config.vouched_tenant_id = TEXT("tenan");
    assert_not_accepted(ARIL_E_AUTH, TEXT("tenant"));
    t.accept_config.vouched_tenant_id = TEXT("TENANT");
    assert_not_accepted(ARIL_E_AUTH, TEXT("tenant"));
    talk_done(&t);
}

static void signature_and_transport_must_agree(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&t, TALK_OFFER);
    t.accept_config.vouched_tenant_id = TEXT("somebody else");
    assert_not_accepted(ARIL_E_AUTH, TEXT("tenant"));
    t.accept_config.vouched_tenant_id = TEXT("tenant"); /* does not replace the trust */
    t.accept_config.trust = NULL;
    assert_not_accepted(ARIL_E_TRUST_UNKNOWN, TEXT("tenant"));
    talk_done(&t);
}

static void a_server_accepts_the_profiles_of_its_list_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        const uint32_t own = 1u << (unsigned)profiles[i];
        talk_init(&t, &w, profiles[i], false);
        talk_until(&t, TALK_OFFER);
        for (uint32_t mask = 1; mask < 16; mask++) {
            t.accept_config.profiles = mask << 1;
            if ((t.accept_config.profiles & own) == 0) {
                assert_not_accepted(ARIL_E_PROFILE, TEXT("tenant"));
            } else {
                assert_status(talk_accept(&t), ARIL_OK);
            }
        }
        t.accept_config.profiles = 0;
        if (profiles[i] != ARIL_PROFILE_HYBRID) {
            assert_not_accepted(ARIL_E_PROFILE, TEXT("tenant"));
        }
        talk_done(&t);
    }
}

/* The tenant refuses the accept and can go on with the genuine one. */
static void assert_not_finished(aril_status want)
{
    const uint64_t before = world_events(&w, ARIL_EVENT_SESSION);
    aril_session *session = (aril_session *)&w;
    struct message out;
    memset(&out, GUARD_FILLER, sizeof out);
    const size_t len = out.len;
    assert_status(aril_session_finish(t.tenant_hs, wire(&t.accept), out.bytes, sizeof out.bytes,
                                      &out.len, &session),
                  want);
    assert_null(session);
    assert_true(is_filled(out.bytes, sizeof out.bytes, GUARD_FILLER));
    assert_int_equal(out.len, len);
    assert_int_equal(world_events(&w, ARIL_EVENT_SESSION), before + 1);
    assert_status(world_last(&w, ARIL_EVENT_SESSION).status, want);
    assert_true(world_last_tenant_is(&w, ARIL_EVENT_SESSION, TEXT("tenant")));
}

static void only_the_pinned_server_is_believed(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    aril_identity *genuine = fixture_identity(ARIL_ML_DSA_65, 0);
    t.accept_config.identity = fixture_identity(ARIL_ML_DSA_65, 3); /* an honest other server */
    talk_until(&t, TALK_ACCEPT);
    assert_not_finished(ARIL_E_TRUST_DID);
    t.accept_config.identity = genuine;
    assert_status(talk_accept(&t), ARIL_OK);
    assert_status(talk_finish(&t), ARIL_OK);
    assert_status(talk_confirm(&t), ARIL_OK);
    talk_done(&t);
}

static void a_pinned_did_that_is_none_lets_nobody_in(void **state)
{
    (void)state;
    static const char *const dids[] = { "", "did:pqaid:", "did:web:example.org", "x" };
    for (size_t i = 0; i < COUNT(dids); i++) {
        talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
        t.offer_config.server_did = dids[i];
        talk_until(&t, TALK_ACCEPT);
        aril_session *session = NULL;
        const aril_status st =
            aril_session_finish(t.tenant_hs, wire(&t.accept), t.confirm.bytes,
                                sizeof t.confirm.bytes, &t.confirm.len, &session);
        assert_status_class(st, ARIL_E_FORMAT);
        assert_null(session);
        talk_done(&t);
    }
}

/* --- Replays and mix-ups ------------------------------------------------------------------------
 */

static void a_replayed_offer_makes_no_session(void **state)
{
    (void)state;
    aril_handshake *replay_hs = NULL;
    struct message replay_accept;
    aril_session *wrong = NULL;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&t, TALK_ACCEPT);
    assert_status(aril_session_accept(w.rt, &t.accept_config, wire(&t.offer), &replay_hs,
                                      replay_accept.bytes, sizeof replay_accept.bytes,
                                      &replay_accept.len),
                  ARIL_OK);
    assert_memory_not_equal(replay_accept.bytes + 8, t.accept.bytes + 8, 16); /* session ids */
    assert_status(talk_finish(&t), ARIL_OK);
    /* The confirm belongs to one of the two, and only that one becomes a session. */
    assert_status(aril_session_confirm(replay_hs, wire(&t.confirm), &wrong), ARIL_E_AUTH);
    assert_null(wrong);
    assert_status(talk_confirm(&t), ARIL_OK);
    assert_ends_agree(t.tenant, t.server);
    aril_handshake_free(replay_hs);
    talk_done(&t);
}

static void either_answer_to_one_offer_may_be_the_one_that_counts(void **state)
{
    (void)state;
    aril_handshake *second_hs = NULL;
    struct message first_accept;
    aril_session *session = NULL;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    talk_until(&t, TALK_ACCEPT);
    first_accept = t.accept;
    aril_handshake *first_hs = t.server_hs;
    t.server_hs = NULL;
    assert_status(talk_accept(&t), ARIL_OK);
    assert_status(talk_finish(&t), ARIL_OK); /* the second one */
    assert_status(talk_confirm(&t), ARIL_OK);
    assert_ends_agree(t.tenant, t.server);
    assert_status(aril_session_confirm(first_hs, wire(&t.confirm), &session), ARIL_E_AUTH);
    assert_status(aril_session_finish(t.tenant_hs, wire(&first_accept), t.confirm.bytes,
                                      sizeof t.confirm.bytes, &t.confirm.len, &session),
                  ARIL_E_USAGE_STATE);
    assert_null(session);
    aril_handshake_free(second_hs);
    aril_handshake_free(first_hs);
    talk_done(&t);
}

static void an_accept_belongs_to_its_offer(void **state)
{
    (void)state;
    struct talk other;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_init(&other, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_ACCEPT);
    talk_until(&other, TALK_ACCEPT);
    const struct message genuine = t.accept;
    t.accept = other.accept;
    assert_not_finished(ARIL_E_AUTH);
    t.accept = genuine;
    assert_status(talk_finish(&t), ARIL_OK);
    assert_status(talk_confirm(&t), ARIL_OK);
    talk_done(&t);
    talk_done(&other);
}

static void a_confirm_belongs_to_its_accept(void **state)
{
    (void)state;
    struct talk other;
    aril_session *session = (aril_session *)&w;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_init(&other, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_FINISH);
    talk_until(&other, TALK_FINISH);
    const uint64_t before = world_events(&w, ARIL_EVENT_SESSION);
    assert_status(aril_session_confirm(t.server_hs, wire(&other.confirm), &session), ARIL_E_AUTH);
    assert_null(session);
    assert_int_equal(world_events(&w, ARIL_EVENT_SESSION), before + 1);
    /* Also when the session id is changed to the right one. */
    memcpy(other.confirm.bytes + 8, t.confirm.bytes + 8, 16);
    assert_status(aril_session_confirm(t.server_hs, wire(&other.confirm), &session), ARIL_E_AUTH);
    assert_status(talk_confirm(&t), ARIL_OK);
    assert_ends_agree(t.tenant, t.server);
    talk_done(&t);
    talk_done(&other);
}

static void a_handshake_serves_once_and_in_its_own_role(void **state)
{
    (void)state;
    aril_session *session = NULL;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_ACCEPT);
    assert_status(aril_session_confirm(t.tenant_hs, wire(&t.confirm), &session),
                  ARIL_E_USAGE_STATE);
    assert_status(aril_session_finish(t.server_hs, wire(&t.accept), t.confirm.bytes,
                                      sizeof t.confirm.bytes, &t.confirm.len, &session),
                  ARIL_E_USAGE_STATE);
    assert_status(talk_finish(&t), ARIL_OK);
    assert_status(talk_confirm(&t), ARIL_OK);
    struct message again;
    assert_status(aril_session_finish(t.tenant_hs, wire(&t.accept), again.bytes, sizeof again.bytes,
                                      &again.len, &session),
                  ARIL_E_USAGE_STATE);
    assert_status(aril_session_confirm(t.server_hs, wire(&t.confirm), &session),
                  ARIL_E_USAGE_STATE);
    assert_null(session);
    talk_done(&t);
}

static void a_handshake_may_end_at_any_step(void **state)
{
    (void)state;
    aril_handshake_free(NULL);
    for (int last = TALK_OFFER; last <= TALK_CONFIRM; last++) {
        talk_init(&t, &w, ARIL_PROFILE_STRICT, true);
        talk_until(&t, (enum talk_step)last);
        talk_done(&t); /* the arena knows whether every cell came back */
    }
}

/* --- Wrong arguments
 * ------------------------------------------------------------------------------ */

static aril_status offer_with(const aril_offer_config *config)
{
    aril_handshake *hs = (aril_handshake *)&w;
    size_t len = 4711;
    struct message out;
    memset(&out, GUARD_FILLER, sizeof out);
    const aril_status st = aril_session_offer(w.rt, config, &hs, out.bytes, sizeof out.bytes, &len);
    assert_true(st == ARIL_OK || hs == NULL);
    assert_true(st == ARIL_OK ||
                (len == 4711 && is_filled(out.bytes, sizeof out.bytes, GUARD_FILLER)));
    aril_handshake_free(hs);
    return st;
}

static void an_offer_checks_its_configuration(void **state)
{
    (void)state;
    uint8_t id[256];
    static char did[ARIL_DID_BYTES_MAX + 1];
    memset(id, 'x', sizeof id);
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, true);
    const aril_offer_config good = t.offer_config;
    aril_offer_config c = good;
    assert_status(offer_with(&c), ARIL_OK);
    for (int p = -1; p < 6; p++) {
        c.profile = (aril_profile)p;
        const bool with_65 = p >= 0 && p <= 2; /* strict needs an ML-DSA-87 key */
        assert_status(offer_with(&c), with_65 ? ARIL_OK : ARIL_E_USAGE_RANGE);
    }
    c = good;
    c.tenant_id = (aril_bytes){ id, 0 };
    assert_status(offer_with(&c), ARIL_E_USAGE_RANGE);
    c.tenant_id = (aril_bytes){ NULL, 0 };
    assert_status(offer_with(&c), ARIL_E_USAGE_RANGE);
    c.tenant_id = (aril_bytes){ NULL, 3 };
    assert_status(offer_with(&c), ARIL_E_USAGE_NULL);
    c.tenant_id = (aril_bytes){ id, 255 };
    assert_status(offer_with(&c), ARIL_OK);
    c.tenant_id = (aril_bytes){ id, 256 };
    assert_status(offer_with(&c), ARIL_E_USAGE_RANGE);
    id[254] = 0;
    c.tenant_id = (aril_bytes){ id, 255 };
    assert_status(offer_with(&c), ARIL_E_USAGE_RANGE);
    c = good;
    c.server_did = NULL;
    assert_status(offer_with(&c), ARIL_E_USAGE_NULL);
    memset(did, 'd', sizeof did - 1);
    c.server_did = did; /* as long as ARIL_DID_BYTES_MAX with its NUL, and one more */
    assert_status(offer_with(&c), ARIL_E_USAGE_RANGE);
    did[ARIL_DID_BYTES_MAX - 1] = '\0';
    assert_status(offer_with(&c), ARIL_OK);
    c = good;
    c.identity = fixture_identity(ARIL_ML_DSA_87, 0);
    assert_status(offer_with(&c), ARIL_E_USAGE_RANGE);
    c.profile = ARIL_PROFILE_STRICT;
    assert_status(offer_with(&c), ARIL_OK);
    talk_done(&t);
}

static aril_status accept_with(const aril_accept_config *config)
{
    aril_handshake *hs = (aril_handshake *)&w;
    const aril_status st = aril_session_accept(w.rt, config, wire(&t.offer), &hs, t.accept.bytes,
                                               sizeof t.accept.bytes, &t.accept.len);
    assert_true(st == ARIL_OK || hs == NULL);
    aril_handshake_free(hs);
    return st;
}

static void an_accept_checks_its_configuration(void **state)
{
    (void)state;
    uint8_t id[256], tag_key[64] = { 5 };
    memset(id, 'x', sizeof id);
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_OFFER);
    const aril_accept_config good = t.accept_config;
    aril_accept_config c = good;
    c.identity = NULL;
    assert_status(accept_with(&c), ARIL_E_USAGE_NULL);
    c.identity = fixture_identity(ARIL_ML_DSA_87, 0); /* not the algorithm of hybrid */
    assert_status(accept_with(&c), ARIL_E_PROFILE);
    c = good;
    for (size_t len = 0; len <= sizeof tag_key; len++) {
        c.tag_key = (aril_bytes){ tag_key, len };
        assert_status(accept_with(&c), len == 32 ? ARIL_OK : ARIL_E_USAGE_RANGE);
    }
    c.tag_key = (aril_bytes){ NULL, 32 };
    assert_status(accept_with(&c), ARIL_E_USAGE_NULL);
    c = good;
    c.vouched_tenant_id = (aril_bytes){ id, 256 };
    assert_status(accept_with(&c), ARIL_E_USAGE_RANGE);
    c.vouched_tenant_id = (aril_bytes){ NULL, 6 };
    assert_status(accept_with(&c), ARIL_E_USAGE_NULL);
    id[3] = 0;
    c.vouched_tenant_id = (aril_bytes){ id, 6 };
    assert_status(accept_with(&c), ARIL_E_USAGE_RANGE);
    talk_done(&t);
}

static void an_accept_checks_its_policy(void **state)
{
    (void)state;
    static const aril_policy bad[] = { { .rotate_records = (UINT64_C(1) << 32) + 1 },
                                       { .rotate_bytes = (UINT64_C(1) << 38) + 1 },
                                       { .rotate_after_s = 2592001 },
                                       { .ttl_s = 2592001 },
                                       { .readable_epochs = 1025 } };
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_OFFER);
    for (size_t i = 0; i < COUNT(bad); i++) {
        t.accept_config.policy = &bad[i];
        assert_status(accept_with(&t.accept_config), ARIL_E_USAGE_RANGE);
    }
    talk_done(&t);
}

static void missing_pointers_are_refused(void **state)
{
    (void)state;
    aril_session *session = (aril_session *)&w;
    aril_handshake *hs = (aril_handshake *)&w;
    struct message out;
    const aril_bytes lost = { NULL, 5 };
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_ACCEPT);
    assert_status(aril_session_offer(NULL, &t.offer_config, &hs, out.bytes, 9, &out.len),
                  ARIL_E_USAGE_NULL);
    assert_null(hs);
    assert_status(aril_session_offer(w.rt, NULL, &hs, out.bytes, 9, &out.len), ARIL_E_USAGE_NULL);
    assert_status(aril_session_offer(w.rt, &t.offer_config, NULL, out.bytes, 9, &out.len),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_session_offer(w.rt, &t.offer_config, &hs, NULL, 9, &out.len),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_session_offer(w.rt, &t.offer_config, &hs, out.bytes, 9, NULL),
                  ARIL_E_USAGE_NULL);
    hs = (aril_handshake *)&w;
    assert_status(
        aril_session_accept(NULL, &t.accept_config, wire(&t.offer), &hs, out.bytes, 9, &out.len),
        ARIL_E_USAGE_NULL);
    assert_null(hs);
    assert_status(aril_session_accept(w.rt, NULL, wire(&t.offer), &hs, out.bytes, 9, &out.len),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_session_accept(w.rt, &t.accept_config, lost, &hs, out.bytes, 9, &out.len),
                  ARIL_E_USAGE_NULL);
    assert_status(
        aril_session_accept(w.rt, &t.accept_config, wire(&t.offer), NULL, out.bytes, 9, &out.len),
        ARIL_E_USAGE_NULL);
    assert_status(
        aril_session_accept(w.rt, &t.accept_config, wire(&t.offer), &hs, NULL, 9, &out.len),
        ARIL_E_USAGE_NULL);
    assert_status(
        aril_session_accept(w.rt, &t.accept_config, wire(&t.offer), &hs, out.bytes, 9, NULL),
        ARIL_E_USAGE_NULL);
    assert_status(aril_session_finish(NULL, wire(&t.accept), out.bytes, 9, &out.len, &session),
                  ARIL_E_USAGE_NULL);
    assert_null(session);
    assert_status(aril_session_finish(t.tenant_hs, lost, out.bytes, 9, &out.len, &session),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_session_finish(t.tenant_hs, wire(&t.accept), NULL, 9, &out.len, &session),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_session_finish(t.tenant_hs, wire(&t.accept), out.bytes, 9, NULL, &session),
                  ARIL_E_USAGE_NULL);
    assert_status(aril_session_finish(t.tenant_hs, wire(&t.accept), out.bytes, 9, &out.len, NULL),
                  ARIL_E_USAGE_NULL);
    assert_status(talk_finish(&t), ARIL_OK);
    session = (aril_session *)&w;
    assert_status(aril_session_confirm(NULL, wire(&t.confirm), &session), ARIL_E_USAGE_NULL);
    assert_null(session);
    assert_status(aril_session_confirm(t.server_hs, lost, &session), ARIL_E_USAGE_NULL);
    assert_status(aril_session_confirm(t.server_hs, wire(&t.confirm), NULL), ARIL_E_USAGE_NULL);
    assert_status(talk_confirm(&t), ARIL_OK);
    talk_done(&t);
}

/* --- Room
 * ------------------------------------------------------------------------------------------- */

/* Every size below need that is near an end, and some between. */
static size_t next_cap(size_t cap, size_t need)
{
    return cap < 16 || need - cap <= 16 ? cap + 1 : cap + (need - cap) / 2;
}

static void too_small_buffers_are_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        talk_init(&t, &w, profiles[i], true);
        talk_until(&t, TALK_FINISH);
        const size_t offer_len = t.offer.len, accept_len = t.accept.len;
        const size_t confirm_len = t.confirm.len;
        aril_session_close(t.tenant);
        t.tenant = NULL;
        struct guarded g;
        size_t len = 4711;
        for (size_t cap = 0; cap < offer_len; cap = next_cap(cap, offer_len)) {
            aril_handshake *hs = (aril_handshake *)&w;
            guarded_init(&g, cap);
            assert_status(aril_session_offer(w.rt, &t.offer_config, &hs, g.data, cap, &len),
                          ARIL_E_USAGE_TOO_SMALL);
            assert_null(hs);
            assert_true(is_filled(g.data, cap, GUARD_FILLER));
            guarded_check(&g);
            guarded_done(&g);
        }
        for (size_t cap = 0; cap < accept_len; cap = next_cap(cap, accept_len)) {
            aril_handshake *hs = (aril_handshake *)&w;
            guarded_init(&g, cap);
            assert_status(
                aril_session_accept(w.rt, &t.accept_config, wire(&t.offer), &hs, g.data, cap, &len),
                ARIL_E_USAGE_TOO_SMALL);
            assert_null(hs);
            assert_true(is_filled(g.data, cap, GUARD_FILLER));
            guarded_check(&g);
            guarded_done(&g);
        }
        talk_until(&t, TALK_ACCEPT);
        for (size_t cap = 0; cap < confirm_len; cap++) {
            aril_session *session = (aril_session *)&w;
            guarded_init(&g, cap);
            assert_status(
                aril_session_finish(t.tenant_hs, wire(&t.accept), g.data, cap, &len, &session),
                ARIL_E_USAGE_TOO_SMALL);
            assert_null(session);
            assert_true(is_filled(g.data, cap, GUARD_FILLER));
            guarded_check(&g);
            guarded_done(&g);
        }
        assert_int_equal(len, 4711);
        guarded_init(&g, confirm_len); /* exactly enough, and the handshake is as it was */
        assert_status(
            aril_session_finish(t.tenant_hs, wire(&t.accept), g.data, confirm_len, &len, &t.tenant),
            ARIL_OK);
        assert_status(aril_session_confirm(t.server_hs, (aril_bytes){ g.data, len }, &t.server),
                      ARIL_OK);
        guarded_check(&g);
        guarded_done(&g);
        talk_done(&t);
    }
}

static void every_message_fits_the_documented_room(void **state)
{
    (void)state;
    uint8_t id[ARIL_TENANT_ID_BYTES_MAX];
    memset(id, 'x', sizeof id);
    talk_init(&t, &w, ARIL_PROFILE_STRICT, true);
    t.offer_config.tenant_id = (aril_bytes){ id, sizeof id };
    talk_until(&t, TALK_OFFER); /* the longest there is */
    assert_int_equal(t.offer.len, 8 + 32 + 2 + 255 + 2 + 1568 + 2 + 2592 + 2 + 4627);
    assert_true(t.offer.len <= ARIL_HANDSHAKE_BYTES_MAX);
    talk_done(&t);
    talk_init(&t, &w, ARIL_PROFILE_STRICT, false);
    talk_until(&t, TALK_FINISH);
    assert_int_equal(t.accept.len,
                     8 + 16 + 4 * 8 + 3 * 4 + 2 + 2592 + 2 + 1568 + 2 + 48 + 2 + 4627);
    assert_int_equal(t.confirm.len, 8 + 16 + 2 + 48);
    talk_done(&t);
}

/* --- Time
 * -------------------------------------------------------------------------------------------- */

static void a_clock_that_fails_lets_no_session_begin(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_OFFER);
    atomic_store(&w.clock.status, ARIL_E_UNAVAILABLE);
    assert_status(talk_accept(&t), ARIL_E_UNAVAILABLE);
    assert_null(t.server_hs);
    atomic_store(&w.clock.status, ARIL_OK);
    assert_status(talk_accept(&t), ARIL_OK);
    atomic_store(&w.clock.status, ARIL_E_UNAVAILABLE);
    assert_status(talk_finish(&t), ARIL_E_UNAVAILABLE);
    assert_null(t.tenant);
    atomic_store(&w.clock.status, ARIL_OK);
    assert_status(talk_finish(&t), ARIL_OK);
    atomic_store(&w.clock.status, ARIL_E_UNAVAILABLE);
    assert_status(talk_confirm(&t), ARIL_E_UNAVAILABLE);
    assert_null(t.server);
    atomic_store(&w.clock.status, ARIL_OK);
    assert_status(talk_confirm(&t), ARIL_OK);
    assert_ends_agree(t.tenant, t.server);
    talk_done(&t);
}

static void a_confirm_counts_for_a_minute(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_FINISH);
    fake_clock_add_ns(&w.clock, 60 * FAKE_NS_PER_S - 1);
    assert_status(talk_confirm(&t), ARIL_OK);
    assert_ends_agree(t.tenant, t.server);
    talk_done(&t);
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_FINISH);
    fake_clock_add_ns(&w.clock, 61 * FAKE_NS_PER_S);
    assert_status(talk_confirm(&t), ARIL_E_EXPIRED);
    assert_null(t.server);
    assert_status(talk_confirm(&t), ARIL_E_EXPIRED);
    talk_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_profile_signed_or_vouched_for_gives_equal_keys),
        cmocka_unit_test(signed_and_vouched_for_is_allowed_too),
        cmocka_unit_test(hybrid_is_the_default_of_both_ends),
        cmocka_unit_test(the_pinned_did_may_have_either_method),
        cmocka_unit_test(the_servers_policy_holds_at_both_ends),
        cmocka_unit_test(a_tenant_id_may_have_255_bytes_of_any_value_but_nul),
        cmocka_unit_test(the_configuration_may_go_after_each_step),
        cmocka_unit_test(sessions_of_one_tenant_share_nothing_but_the_tag),
        cmocka_unit_test(two_offers_have_nothing_in_common),
        cmocka_unit_test(a_tenant_tag_is_what_the_format_document_says),
        cmocka_unit_test(a_tenant_tag_depends_on_every_byte_of_key_and_id),
        cmocka_unit_test(establishing_is_reported_at_both_ends),
        cmocka_unit_test(a_signer_must_be_trusted),
        cmocka_unit_test(a_revoked_signer_is_refused_from_then_on),
        cmocka_unit_test(a_trusted_signer_speaks_for_its_own_name_only),
        cmocka_unit_test(an_unsigned_offer_needs_somebody_to_vouch),
        cmocka_unit_test(signature_and_transport_must_agree),
        cmocka_unit_test(a_server_accepts_the_profiles_of_its_list_only),
        cmocka_unit_test(only_the_pinned_server_is_believed),
        cmocka_unit_test(a_pinned_did_that_is_none_lets_nobody_in),
        cmocka_unit_test(a_replayed_offer_makes_no_session),
        cmocka_unit_test(either_answer_to_one_offer_may_be_the_one_that_counts),
        cmocka_unit_test(an_accept_belongs_to_its_offer),
        cmocka_unit_test(a_confirm_belongs_to_its_accept),
        cmocka_unit_test(a_handshake_serves_once_and_in_its_own_role),
        cmocka_unit_test(a_handshake_may_end_at_any_step),
        cmocka_unit_test(an_offer_checks_its_configuration),
        cmocka_unit_test(an_accept_checks_its_configuration),
        cmocka_unit_test(an_accept_checks_its_policy),
        cmocka_unit_test(missing_pointers_are_refused),
        cmocka_unit_test(too_small_buffers_are_left_alone),
        cmocka_unit_test(every_message_fits_the_documented_room),
        cmocka_unit_test(a_confirm_counts_for_a_minute),
        cmocka_unit_test(a_clock_that_fails_lets_no_session_begin),
    };
    return cmocka_run_group_tests_name("handshake", tests, setup, teardown);
}
