/* SPDX-License-Identifier: Apache-2.0 */
/* Every byte of every message changed, every length cut, and answers that a server signed
 * although it should not have. What is asked each time: the exact refusal, no session, nothing
 * written, and a handshake that still takes the genuine message. */
#include "base/bytes.h"
#include "crypto/runtime.h"
#include "format/handshake.h"
#include "session/policy.h"
#include "session/transcript.h"
#include "talk.h"
#include <stdlib.h>
#include <string.h>

static struct world w;
static struct talk t;
static uint64_t refusals; /* events expected so far */

static const aril_profile profiles[] = { ARIL_PROFILE_HYBRID, ARIL_PROFILE_ML_KEM_768,
                                         ARIL_PROFILE_STRICT };

static int setup(void **state)
{
    (void)state;
    world_init(&w);
    refusals = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(world_events(&w, ARIL_EVENT_SESSION), refusals); /* each was reported */
    world_done(&w);
    return 0;
}

/* --- One message against one end ------------------------------------------------------------- */

static aril_status offer_to_server(aril_bytes offer)
{
    static struct message out;
    aril_handshake *hs = (aril_handshake *)&w;
    size_t len = 4711;
    memset(out.bytes, GUARD_FILLER, sizeof out.bytes);
    const aril_status st =
        aril_session_accept(w.rt, &t.accept_config, offer, &hs, out.bytes, sizeof out.bytes, &len);
    if (st != ARIL_OK) {
        assert_null(hs);
        assert_int_equal(len, 4711);
        assert_true(is_filled(out.bytes, sizeof out.bytes, GUARD_FILLER));
        refusals++;
        return st;
    }
    t.accept = out;
    t.accept.len = len;
    aril_handshake_free(t.server_hs);
    t.server_hs = hs;
    return ARIL_OK;
}

static aril_status accept_to_tenant(aril_bytes accept)
{
    uint8_t out[128];
    aril_session *session = (aril_session *)&w;
    size_t len = 4711;
    memset(out, GUARD_FILLER, sizeof out);
    const aril_status st =
        aril_session_finish(t.tenant_hs, accept, out, sizeof out, &len, &session);
    assert_true(st != ARIL_OK);
    assert_null(session);
    assert_int_equal(len, 4711);
    assert_true(is_filled(out, sizeof out, GUARD_FILLER));
    refusals++;
    return st;
}

static aril_status confirm_to_server(aril_bytes confirm)
{
    aril_session *session = (aril_session *)&w;
    const aril_status st = aril_session_confirm(t.server_hs, confirm, &session);
    assert_true(st != ARIL_OK);
    assert_null(session);
    refusals++;
    return st;
}

typedef aril_status send_fn(aril_bytes message);

/* What a changed byte must lead to, from `first` up to the next row's first. */
struct expect {
    size_t first;
    aril_status want;
};

/* Checking a signature takes a millisecond, and messages have thousands of bytes: of the long
 * fields, all bytes are changed in the default profile, else a sample. */
static size_t stride_of(const struct message *genuine)
{
    const char *preloaded = getenv("LD_PRELOAD"); /* valgrind is slow */
    if (preloaded != NULL && strstr(preloaded, "vgpreload") != NULL) {
        return 397;
    }
    return genuine->bytes[6] == ARIL_PROFILE_HYBRID ? 1 : 31;
}

/* Changes each byte in one bit, and each bit of the first 64 bytes and of both ends of a row;
 * the profile (6) has a test of its own. A row with the class ARIL_E_FORMAT takes every status
 * of that class. */
static void change_every_byte(const struct message *genuine, const struct expect *rows,
                              send_fn *send)
{
    const size_t stride = stride_of(genuine);
    struct message m = *genuine;
    for (size_t at = 0; at < m.len; at++) {
        while (rows[1].first <= at) {
            rows++;
        }
        const bool all = at < 64 || at == rows[0].first || at + 1 == rows[1].first;
        for (unsigned bit = 0; bit < 8 && at != 6; bit++) {
            if (!all && (bit != at % 8 || at % stride != 0)) {
                continue;
            }
            m.bytes[at] ^= (uint8_t)(1u << bit);
            const aril_status st = send(wire(&m));
            m.bytes[at] ^= (uint8_t)(1u << bit);
            assert_status(rows->want == ARIL_E_FORMAT ? aril_status_class(st) : st, rows->want);
        }
    }
}

/* Every value of the profile byte: the two others are known, but not wanted. */
static void change_profile(const struct message *genuine, send_fn *send)
{
    struct message m = *genuine;
    for (unsigned v = 0; v < 256; v++) {
        m.bytes[6] = (uint8_t)v;
        if (v != genuine->bytes[6]) {
            assert_status(send(wire(&m)), v >= 1 && v <= 3 ? ARIL_E_PROFILE : ARIL_E_FORMAT_FIELD);
        }
    }
}

static void cut_at_every_length(const struct message *genuine, send_fn *send)
{
    for (size_t len = 0; len < genuine->len; len++) {
        assert_status(send((aril_bytes){ genuine->bytes, len }), ARIL_E_FORMAT_TRUNCATED);
    }
    struct message m = *genuine;
    for (size_t more = 1; more <= 3; more++) {
        m.bytes[m.len++] = 0;
        assert_status(send(wire(&m)), ARIL_E_FORMAT_LENGTH);
    }
    m.len = sizeof m.bytes;
    assert_status(send(wire(&m)), ARIL_E_FORMAT_LENGTH);
}

/* The genuine message still works, and then the rest of the handshake. */
static void complete(void)
{
    assert_status(talk_finish(&t), ARIL_OK);
    assert_status(talk_confirm(&t), ARIL_OK);
    refusals += 2; /* two sessions that were established */
    assert_ends_agree(t.tenant, t.server);
}

/* --- Changed bytes
 * -------------------------------------------------------------------------------- */

/* Lengths of a profile's fields. */
struct sizes {
    size_t kem, enc, key, hash;
};
static struct sizes sizes_of(aril_profile profile)
{
    const struct arili_profile *p = arili_profile_get(profile);
    return (struct sizes){ .kem = arili_hpke_public_bytes(p->suite.kem),
                           .enc = arili_hpke_enc_bytes(p->suite.kem),
                           .key = arili_sign_public_bytes((int)p->sign),
                           .hash = arili_hash_bytes(p->hash) };
}

static void every_changed_byte_of_a_signed_offer_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        talk_init(&t, &w, profiles[i], true);
        talk_until(&t, TALK_OFFER);
        const struct sizes s = sizes_of(profiles[i]);
        const size_t kem_at = 42 + 6 + 2, key_at = kem_at + s.kem + 2, sig_at = key_at + s.key + 2;
        const struct expect rows[] = {
            { 0, ARIL_E_FORMAT_KIND },
            { 5, ARIL_E_FORMAT_VERSION },
            { 7, ARIL_E_FORMAT }, /* flags */
            { 8, ARIL_E_AUTH },   /* nonce */
            { 40, ARIL_E_FORMAT },
            { 42, ARIL_E_AUTH }, /* tenant id */
            { kem_at - 2, ARIL_E_FORMAT },
            { kem_at, ARIL_E_AUTH },
            { key_at - 2, ARIL_E_FORMAT },
            { key_at, ARIL_E_TRUST_UNKNOWN },
            { sig_at - 2, ARIL_E_FORMAT },
            { sig_at, ARIL_E_AUTH },
            { SIZE_MAX, ARIL_OK },
        };
        change_every_byte(&t.offer, rows, offer_to_server);
        change_profile(&t.offer, offer_to_server);
        assert_status(offer_to_server(wire(&t.offer)), ARIL_OK);
        complete();
        talk_done(&t);
    }
}

/* Nobody signed it, so the server cannot see a change of nonce or key: then no keys agree. */
static void a_changed_offer_that_was_vouched_for_leads_to_no_session(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        talk_init(&t, &w, profiles[i], false);
        talk_until(&t, TALK_OFFER);
        const size_t stride = stride_of(&t.offer);
        struct message m = t.offer;
        size_t accepted = 0;
        for (size_t at = 0; at < m.len; at += at < 64 ? 1 : stride) {
            m.bytes[at] ^= (uint8_t)(1u << at % 8);
            const aril_status st = offer_to_server(wire(&m));
            m.bytes[at] ^= (uint8_t)(1u << at % 8);
            if (at >= 42 && at < 48) {
                assert_status(st, ARIL_E_AUTH); /* another tenant than the one vouched for */
            } else if (st == ARIL_OK) {
                assert_true((at >= 8 && at < 40) || at >= 50); /* nonce or key */
                assert_status(accept_to_tenant(wire(&t.accept)), ARIL_E_AUTH);
                accepted++;
            } else {
                assert_status_class(st, ARIL_E_FORMAT);
            }
        }
        assert_true(accepted > 32);
        assert_status(offer_to_server(wire(&t.offer)), ARIL_OK);
        complete();
        talk_done(&t);
    }
}

static void every_changed_byte_of_an_accept_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        talk_init(&t, &w, profiles[i], false);
        talk_until(&t, TALK_ACCEPT);
        const struct sizes s = sizes_of(profiles[i]);
        const size_t key_at = 68 + 2, enc_at = key_at + s.key + 2, mac_at = enc_at + s.enc + 2;
        const size_t sig_at = mac_at + s.hash + 2;
        const struct expect rows[] = {
            { 0, ARIL_E_FORMAT_KIND },
            { 5, ARIL_E_FORMAT_VERSION },
            { 7, ARIL_E_FORMAT_FIELD },
            { 8, ARIL_E_AUTH }, /* session id, tag, created, policy */
            { key_at - 2, ARIL_E_FORMAT },
            { key_at, ARIL_E_TRUST_DID },
            { enc_at - 2, ARIL_E_FORMAT },
            { enc_at, ARIL_E_AUTH },
            { mac_at - 2, ARIL_E_FORMAT },
            { mac_at, ARIL_E_AUTH },
            { sig_at - 2, ARIL_E_FORMAT },
            { sig_at, ARIL_E_AUTH },
            { SIZE_MAX, ARIL_OK },
        };
        change_every_byte(&t.accept, rows, accept_to_tenant);
        change_profile(&t.accept, accept_to_tenant);
        complete();
        talk_done(&t);
    }
}

static void every_changed_byte_of_a_confirm_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        talk_init(&t, &w, profiles[i], false);
        talk_until(&t, TALK_FINISH);
        refusals++; /* the tenant's session */
        static const struct expect rows[] = {
            { 0, ARIL_E_FORMAT_KIND }, { 5, ARIL_E_FORMAT_VERSION }, { 7, ARIL_E_FORMAT_FIELD },
            { 8, ARIL_E_AUTH },        { 24, ARIL_E_FORMAT },        { 26, ARIL_E_AUTH },
            { SIZE_MAX, ARIL_OK },
        };
        change_every_byte(&t.confirm, rows, confirm_to_server);
        change_profile(&t.confirm, confirm_to_server);
        assert_status(talk_confirm(&t), ARIL_OK);
        refusals++;
        assert_ends_agree(t.tenant, t.server);
        talk_done(&t);
    }
}

static void every_cut_message_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        talk_init(&t, &w, profiles[i], true);
        talk_until(&t, TALK_OFFER);
        cut_at_every_length(&t.offer, offer_to_server);
        assert_status(offer_to_server(wire(&t.offer)), ARIL_OK);
        cut_at_every_length(&t.accept, accept_to_tenant);
        assert_status(talk_finish(&t), ARIL_OK);
        cut_at_every_length(&t.confirm, confirm_to_server);
        assert_status(talk_confirm(&t), ARIL_OK);
        refusals += 2;
        assert_ends_agree(t.tenant, t.server);
        talk_done(&t);
    }
}

static void messages_in_the_wrong_place_are_another_kind(void **state)
{
    (void)state;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_ACCEPT);
    assert_status(accept_to_tenant(wire(&t.offer)), ARIL_E_FORMAT_KIND);
    assert_status(confirm_to_server(wire(&t.offer)), ARIL_E_FORMAT_KIND);
    assert_status(confirm_to_server(wire(&t.accept)), ARIL_E_FORMAT_KIND);
    const aril_bytes accept = wire(&t.accept);
    assert_status(offer_to_server(accept), ARIL_E_FORMAT_KIND);
    complete();
    talk_done(&t);
}

/* --- Rightly signed, and still wrong -------------------------------------------------------------
 */

/* An accept of the genuine server as the library would never write it. */
struct crafted {
    struct arili_accept m;
    uint8_t enc[ARILI_HPKE_ENC_BYTES_MAX];
    struct arili_digest mac;
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    bool flip_mac, other_key; /* what else is wrong with it */
};

static void craft_begin(struct crafted *c, const struct arili_profile *p)
{
    *c = (struct crafted){ .m = { .profile = p->id, .created_unix_s = 1 } };
    assert_status(arili_policy_complete(NULL, &c->m.policy), ARIL_OK);
    fill_pattern(c->m.session_id, sizeof c->m.session_id, 4);
    c->m.sign_public = aril_identity_public(t.accept_config.identity);
}

/* Everything that the server computes over the fields as they are now. */
static void craft_end(struct crafted *c, const struct arili_profile *p, struct message *ret)
{
    const struct arili_crypto *crypto = &w.rt->crypto;
    struct arili_offer offer;
    struct arili_agreement agreement;
    struct arili_digest digest;
    uint8_t info[64], core[ARIL_HANDSHAKE_BYTES_MAX];
    size_t info_len, core_len, sig_len;
    assert_status(arili_offer_parse(wire(&t.offer), &offer), ARIL_OK);
    assert_status(arili_transcript_info(crypto, p, wire(&t.offer), info, &info_len), ARIL_OK);
    const size_t enc_len = arili_hpke_enc_bytes(p->suite.kem);
    struct arili_hpke_ctx hpke = { 0 };
    struct arili_hpke_key *other = NULL;
    assert_status(arili_hpke_key_generate(crypto, p->suite.kem, &other), ARIL_OK);
    const aril_bytes to = c->other_key ? arili_hpke_key_public(other) : offer.kem_public;
    assert_status(arili_hpke_setup_sender(crypto, p->suite, to, (aril_bytes){ info, info_len },
                                          NULL, NULL, c->enc, enc_len, &hpke),
                  ARIL_OK);
    c->m.enc = (aril_bytes){ c->enc, enc_len };
    assert_status(arili_accept_write_core(&c->m, core, sizeof core, &core_len), ARIL_OK);
    assert_status(
        arili_transcript_hash(crypto, p, wire(&t.offer), (aril_bytes){ core, core_len }, &digest),
        ARIL_OK);
    assert_status(arili_transcript_agree(&hpke, p, &digest, &agreement, &c->mac), ARIL_OK);
    arili_hpke_done(&hpke);
    arili_hpke_key_free(other);
    c->mac.bytes[0] ^= c->flip_mac;
    assert_status(aril_identity_sign(t.accept_config.identity, ARILI_ACCEPT_CONTEXT,
                                     (aril_bytes){ digest.bytes, digest.len }, c->sig,
                                     sizeof c->sig, &sig_len),
                  ARIL_OK);
    c->m.mac = (aril_bytes){ c->mac.bytes, c->mac.len };
    c->m.signature = (aril_bytes){ c->sig, sig_len };
    assert_status(arili_accept_write(&c->m, ret->bytes, sizeof ret->bytes, &ret->len), ARIL_OK);
}

/* The crafting itself is right: without a fault the tenant takes it. */
static void a_crafted_accept_without_a_fault_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        const struct arili_profile *p = arili_profile_get(profiles[i]);
        struct crafted c;
        talk_init(&t, &w, profiles[i], false);
        talk_until(&t, TALK_OFFER);
        craft_begin(&c, p);
        craft_end(&c, p, &t.accept);
        assert_status(talk_finish(&t), ARIL_OK);
        refusals++;
        talk_done(&t);
    }
}

static void a_signed_policy_outside_its_ranges_is_refused(void **state)
{
    (void)state;
    static const struct {
        unsigned member;
        uint64_t value;
    } cases[] = {
        { 0, 0 },
        { 0, (UINT64_C(1) << 32) + 1 },
        { 0, UINT64_MAX },
        { 1, 0 },
        { 1, (UINT64_C(1) << 38) + 1 },
        { 1, UINT64_MAX },
        { 2, 0 },
        { 2, 2592001 },
        { 2, UINT32_MAX },
        { 3, 0 },
        { 3, 2592001 },
        { 3, UINT32_MAX },
        { 4, 0 },
        { 4, 1025 },
        { 4, UINT32_MAX },
    };
    const struct arili_profile *p = arili_profile_get(ARIL_PROFILE_HYBRID);
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_ACCEPT);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct crafted c;
        struct message m;
        craft_begin(&c, p);
        aril_policy *policy = &c.m.policy;
        policy->rotate_records = cases[i].member == 0 ? cases[i].value : policy->rotate_records;
        policy->rotate_bytes = cases[i].member == 1 ? cases[i].value : policy->rotate_bytes;
        uint32_t *small[] = { &policy->rotate_after_s, &policy->ttl_s, &policy->readable_epochs };
        if (cases[i].member >= 2) {
            *small[cases[i].member - 2] = (uint32_t)cases[i].value;
        }
        craft_end(&c, p, &m);
        assert_status(accept_to_tenant(wire(&m)), ARIL_E_FORMAT_FIELD);
    }
    complete();
    talk_done(&t);
}

/* The signature says that the server wants it; the tenant did not offer it. */
static void a_signed_downgrade_is_refused(void **state)
{
    (void)state;
    const struct arili_profile *p = arili_profile_get(ARIL_PROFILE_HYBRID);
    static const aril_profile others[] = { ARIL_PROFILE_ML_KEM_768, ARIL_PROFILE_STRICT };
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_ACCEPT);
    for (size_t i = 0; i < COUNT(others); i++) {
        struct crafted c;
        struct message m;
        craft_begin(&c, p);
        c.m.profile = others[i];
        craft_end(&c, p, &m);
        assert_status(accept_to_tenant(wire(&m)), ARIL_E_PROFILE);
    }
    complete();
    talk_done(&t);
}

/* The MAC is not signed: it is what shows that the server has the keys. */
static void a_signed_accept_with_a_wrong_confirmation_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(profiles); i++) {
        const struct arili_profile *p = arili_profile_get(profiles[i]);
        struct crafted c;
        struct message m;
        talk_init(&t, &w, profiles[i], false);
        talk_until(&t, TALK_ACCEPT);
        craft_begin(&c, p);
        c.flip_mac = true;
        craft_end(&c, p, &m);
        assert_status(accept_to_tenant(wire(&m)), ARIL_E_AUTH);
        craft_begin(&c, p);
        c.other_key = true; /* encapsulated to somebody else: decapsulation gives garbage */
        craft_end(&c, p, &m);
        assert_status(accept_to_tenant(wire(&m)), ARIL_E_AUTH);
        complete();
        talk_done(&t);
    }
}

/* A statement for another purpose, with the right key over the right bytes. */
static void a_signature_for_another_purpose_is_refused(void **state)
{
    (void)state;
    struct message m;
    struct arili_accept a;
    struct arili_digest digest;
    uint8_t sig[ARIL_SIGN_SIGNATURE_BYTES_MAX];
    size_t len;
    const struct arili_profile *p = arili_profile_get(ARIL_PROFILE_HYBRID);
    const aril_bytes contexts[] = { ARILI_OFFER_CONTEXT, TEXT(""), TEXT("aril session accept v2") };
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_ACCEPT);
    assert_status(arili_accept_parse(wire(&t.accept), &a), ARIL_OK);
    assert_status(arili_transcript_hash(&w.rt->crypto, p, wire(&t.offer), a.core, &digest),
                  ARIL_OK);
    for (size_t i = 0; i < COUNT(contexts); i++) {
        assert_status(aril_identity_sign(t.accept_config.identity, contexts[i],
                                         (aril_bytes){ digest.bytes, digest.len }, sig, sizeof sig,
                                         &len),
                      ARIL_OK);
        a.signature = (aril_bytes){ sig, len };
        assert_status(arili_accept_write(&a, m.bytes, sizeof m.bytes, &m.len), ARIL_OK);
        assert_status(accept_to_tenant(wire(&m)), ARIL_E_AUTH);
    }
    complete();
    talk_done(&t);
}

/* A confirm whose MAC is the server's own confirmation: each end has a key of its own. */
static void the_servers_confirmation_is_not_the_tenants(void **state)
{
    (void)state;
    struct arili_accept a;
    struct arili_confirm c;
    struct message m;
    talk_init(&t, &w, ARIL_PROFILE_HYBRID, false);
    talk_until(&t, TALK_ACCEPT);
    assert_status(arili_accept_parse(wire(&t.accept), &a), ARIL_OK);
    c = (struct arili_confirm){ .profile = ARIL_PROFILE_HYBRID, .mac = a.mac };
    memcpy(c.session_id, a.session_id, sizeof c.session_id);
    assert_status(arili_confirm_write(&c, m.bytes, sizeof m.bytes, &m.len), ARIL_OK);
    assert_status(confirm_to_server(wire(&m)), ARIL_E_AUTH);
    memset(m.bytes + 26, 0, 32); /* nor are zeros */
    assert_status(confirm_to_server(wire(&m)), ARIL_E_AUTH);
    complete();
    talk_done(&t);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_changed_byte_of_a_signed_offer_is_refused),
        CASE(a_changed_offer_that_was_vouched_for_leads_to_no_session),
        CASE(every_changed_byte_of_an_accept_is_refused),
        CASE(every_changed_byte_of_a_confirm_is_refused),
        CASE(every_cut_message_is_refused),
        CASE(messages_in_the_wrong_place_are_another_kind),
        CASE(a_crafted_accept_without_a_fault_is_taken),
        CASE(a_signed_policy_outside_its_ranges_is_refused),
        CASE(a_signed_downgrade_is_refused),
        CASE(a_signed_accept_with_a_wrong_confirmation_is_refused),
        CASE(a_signature_for_another_purpose_is_refused),
        CASE(the_servers_confirmation_is_not_the_tenants),
    };
    return cmocka_run_group_tests_name("forged handshakes", tests, NULL, NULL);
}
